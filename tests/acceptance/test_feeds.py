"""Issue 3, market data and feeds: over HTTP, server-sent events and WebSocket."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.story import ROOT, Person, Venue, done, refused

PATIENCE_S = 20


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def venue_to_end(tmp_path: Path) -> Iterator[Venue]:
    """A venue of its own, for a test that stops it."""
    running = Venue(tmp_path / "venue")
    try:
        yield running.start()
    finally:
        running.close()


Event = dict[str, str]


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events with their fields; comments are left out."""
    event: Event = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


class Listening:
    """An open stream of events, read by a thread of its own."""

    def __init__(self, answer: httpx.Response) -> None:
        self._heard: queue.Queue[Event] = queue.Queue()
        threading.Thread(target=self._read, args=(answer,), daemon=True).start()

    def _read(self, answer: httpx.Response) -> None:
        try:
            for event in events_of(answer.iter_lines()):
                self._heard.put(event)
        except httpx.HTTPError:
            pass

    def until(self, kind: str) -> list[Event]:
        """The events up to and with the first of this kind."""
        heard: list[Event] = []
        while not heard or heard[-1]["event"] != kind:
            heard.append(self._heard.get(timeout=PATIENCE_S))
        return heard


@contextmanager
def listening(venue: Venue, listing: str, since: str = "", last: str = "") -> Iterator[Listening]:
    query = {"listings": listing} | ({"from": since} if since else {})
    headers = {"Last-Event-ID": last} if last else {}
    with (
        httpx.Client(base_url=venue.http.base_url, timeout=PATIENCE_S) as http,
        http.stream("GET", "/v1/feed/events", params=query, headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Listening(answer)


def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this kind; those before it are passed over."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_S))
        if message["type"] == kind:
            return message


def socket_of(venue: Venue) -> ClientConnection:
    return connect(f"{str(venue.http.base_url).replace('http', 'ws', 1).rstrip('/')}/v1/feed")


def test_market_bars_and_prints_of_what_settled(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, price_fen=790)
    trade = venue.trade(buyer, listing, 2)
    market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
    assert (market["last"]["trade"], market["last"]["price_fen"]) == (trade, 790)
    assert (market["day"]["quantity"], market["day"]["trades"], market["day"]["close_fen"]) == (2, 1, 790)
    for interval in ("1m", "1h", "1d"):
        [bar] = done(venue.http.get(f"/v1/listings/{listing}/bars", params={"interval": interval}), 200)[
            "items"
        ]
        assert (bar["open_fen"], bar["quantity"]) == (790, 2)
    [told] = done(venue.http.get(f"/v1/listings/{listing}/trades"), 200)["items"]
    assert told["trade"] == trade
    assert buyer.participant not in json.dumps(told)
    refused(venue.http.get(f"/v1/listings/{venue.draft(merchant)}/market"), 404, "not_found")
    refused(venue.http.get(f"/v1/listings/{listing}/bars", params={"interval": "2m"}), 400, "malformed")


def test_depth_and_best_prices_of_a_book(venue: Venue) -> None:
    dealer, buyer = venue.merchant(), venue.buyer()
    listing = venue.book_listing(dealer)
    units = venue.terms(mechanism="continuous_auction")["price_per_units"]
    done(venue.order(dealer, listing, 5 * units, side="sell", limit_fen=110), 201)
    done(venue.order(buyer, listing, 3 * units, limit_fen=90), 201)
    market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
    assert market["best_bid"] == {"price_fen": 90, "quantity": 3 * units}
    assert market["best_ask"] == {"price_fen": 110, "quantity": 5 * units}
    done(venue.order(buyer, listing, 2 * units, limit_fen=110), 201)
    market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
    assert market["asks"] == [{"price_fen": 110, "quantity": 3 * units}]
    assert market["last"]["price_fen"] == 110


def test_a_snapshot_then_changes_to_all_readers_alike(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with listening(venue, listing) as one, listening(venue, listing) as other:
        assert one.until("current")[0]["event"] == other.until("current")[0]["event"] == "snapshot"
        trade = venue.trade(buyer, listing)
        [told], [same] = one.until("change"), other.until("change")
    assert told == same
    assert [row["trade"] for row in json.loads(told["data"])["trades"]] == [trade]


@pytest.mark.parametrize("way", ["from", "Last-Event-ID"])
def test_a_reader_goes_on_where_it_was(venue: Venue, merchant: Person, buyer: Person, way: str) -> None:
    """What was missed is told again as it was told, and nothing twice."""
    listing = venue.listing(merchant)
    with listening(venue, listing) as whole:
        whole.until("current")
        venue.trade(buyer, listing)
        [first] = whole.until("change")
        for _ in range(3):
            venue.trade(buyer, listing)
        missed = [event for _ in range(3) for event in whole.until("change")]
    again = {"since": first["id"]} if way == "from" else {"last": first["id"]}
    with listening(venue, listing, **again) as late:
        assert late.until("current")[:-1] == missed


def test_a_place_that_is_too_old_gives_a_snapshot(venue: Venue, merchant: Person) -> None:
    listing = venue.listing(merchant)
    with listening(venue, listing, since="999999999") as reader:
        assert [event["event"] for event in reader.until("current")] == ["gap", "snapshot", "current"]


def test_over_websocket(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with socket_of(venue) as socket:
        socket.send(json.dumps({"op": "subscribe", "listings": [listing]}))
        assert heard(socket, "snapshot")["listing"] == listing
        heard(socket, "current")
        trade = venue.trade(buyer, listing)
        assert [row["trade"] for row in heard(socket, "change")["trades"]] == [trade]
        for bad, code in (
            ("{", "malformed"),
            (json.dumps({"op": "shout", "listings": [listing]}), "malformed"),
            (json.dumps({"op": "subscribe", "listings": ["L999999"]}), "not_found"),
            (json.dumps({"op": "subscribe", "listings": ["L999999"], "from": "x"}), "malformed"),
        ):
            socket.send(bad)
            assert heard(socket, "problem")["code"] == code
        trade = venue.trade(buyer, listing)
        assert [row["trade"] for row in heard(socket, "change")["trades"]] == [trade]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readmes_own_commands_watch_a_market(
    venue: Venue, merchant: Person, buyer: Person, name: str
) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    [block] = re.findall(r"```\n(curl -N .*?)```", text, re.DOTALL)
    listing = venue.listing(merchant)
    by_curl, by_websocket, typed = block.replace("127.0.0.1:8000", venue.url.removeprefix("http://")).replace(
        "L1", listing
    ).splitlines()  # fmt: skip
    for command, said in ((by_curl, b""), (by_websocket, typed.removeprefix("> ").encode() + b"\n")):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, "PATH": path},
        ) as watching:  # fmt: skip
            assert watching.stdin is not None
            assert watching.stdout is not None
            watching.stdin.write(said)
            watching.stdin.flush()
            read_until(watching.stdout, b"snapshot")
            read_until(watching.stdout, b"current")
            trade = venue.trade(buyer, listing)
            assert trade in read_until(watching.stdout, b"change")
            watching.kill()


def read_until(stream: IO[bytes], kind: bytes) -> str:
    """The line that has this message; what came before is passed over."""
    for line in stream:
        if b'"type":"' + kind + b'"' in line:
            return line.decode()
    raise AssertionError(f"the stream ended without {kind!r}")


def test_bad_questions_are_told_what_to_do(venue: Venue, merchant: Person) -> None:
    listing = venue.listing(merchant)
    refused(venue.http.get("/v1/feed/events"), 400, "malformed")
    refused(venue.http.get("/v1/feed/events", params={"listings": "L999999"}), 404, "not_found")
    refused(venue.http.get("/v1/feed/events", params={"listings": listing, "from": "x"}), 400, "malformed")


def test_open_readers_do_not_keep_a_venue_from_stopping(venue_to_end: Venue) -> None:
    """And after a restart the stream goes on: nothing is told twice, nothing is left out."""
    venue = venue_to_end
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    with listening(venue, listing) as reader, socket_of(venue) as socket:
        reader.until("current")
        socket.send(json.dumps({"op": "subscribe", "listings": [listing]}))
        heard(socket, "current")
        venue.trade(buyer, listing)
        [first] = reader.until("change")
        trade = venue.trade(buyer, listing)
        [second] = reader.until("change")
        assert venue.stop() == 0
    venue.restart()
    with listening(venue, listing, last=first["id"]) as reader:
        told = reader.until("current")
    assert told[:-1] == [second]
    assert trade in second["data"]


@pytest.mark.parametrize("scope", ["listing", "board", "market"])
def test_a_halt_is_told_and_shown(venue: Venue, merchant: Person, scope: str) -> None:
    listing = venue.listing(merchant)
    subject = {"listing": listing, "board": "general", "market": ""}[scope]
    body = {"scope": scope, "subject": subject, "reason": "价格来源异常"}
    with listening(venue, listing) as reader:
        reader.until("current")
        done(venue.operator.post("/v1/halts", body))
        try:
            [told] = reader.until("change")
            assert json.loads(told["data"])["halted"] == [scope]
            market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
            assert (market["state"], market["halted"]) == ("published", [scope])
            with listening(venue, listing) as late:
                assert json.loads(late.until("snapshot")[0]["data"])["halted"] == [scope]
        finally:
            done(venue.operator.post("/v1/halts/resume", body))
        [told] = reader.until("change")
        assert json.loads(told["data"])["halted"] == []
    assert done(venue.http.get(f"/v1/listings/{listing}/market"), 200)["halted"] == []


def test_a_new_day_has_the_close_of_the_day_before(venue_to_end: Venue) -> None:
    venue = venue_to_end
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=790)
    venue.trade(buyer, listing, 2)
    market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
    assert (market["day"]["close_fen"], market["previous_close_fen"]) == (790, None)
    venue.advance(days=1)
    for _ in range(2):
        market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
        assert (market["day"], market["previous_close_fen"], market["last"]["price_fen"]) == (None, 790, 790)
        assert venue.stop() == 0
        venue.restart()
    venue.trade(buyer, listing, 1)
    market = done(venue.http.get(f"/v1/listings/{listing}/market"), 200)
    assert (market["day"]["quantity"], market["day"]["amount_fen"], market["previous_close_fen"]) == (
        1,
        790,
        790,
    )
