"""Issue 3, feeds: killed in the middle a reader goes on with nothing missing or twice; who means no good harms nobody."""

import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.story import Person, Venue, done

PATIENCE_S = 30
Levels = dict[tuple[str, int], int]


@pytest.fixture
def own_venue(tmp_path: Path) -> Iterator[Venue]:
    running = Venue(tmp_path / "venue")
    try:
        yield running.start()
    finally:
        running.close()


class Follower:
    """A reader of the event stream that comes back, from where it was, however the stream ended."""

    def __init__(self, venue: Venue, listing: str) -> None:
        self.venue, self.listing = venue, listing
        self.place = ""
        self.messages: list[dict[str, Any]] = []

    def read(self, until_current: bool) -> None:
        """To the end of the stream, or until everything of before has been told."""
        headers = {"Last-Event-ID": self.place} if self.place else {}
        with (
            httpx.Client(base_url=self.venue.url, timeout=PATIENCE_S, trust_env=False) as http,
            http.stream(
                "GET", "/v1/feed/events", params={"listings": self.listing}, headers=headers
            ) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            place = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    place = value
                elif name == "data":
                    message = json.loads(value)
                    self.messages.append(message)
                    self.place = place or self.place
                    place = ""
                    if until_current and message["type"] == "current":
                        return

    def follow(self) -> None:
        """Until the venue is gone."""
        with suppress(httpx.HTTPError):
            self.read(until_current=False)

    def levels(self) -> Levels:
        known: Levels = {}
        for message in self.messages:
            if message["type"] == "snapshot":
                known = {}
            for side in ("bids", "asks"):
                for price, quantity in message.get(side, ()):
                    known[side, price] = quantity
        return {level: quantity for level, quantity in known.items() if quantity}

    def prints(self) -> list[str]:
        return [
            row["trade"] for one in self.messages if one["type"] == "change" for row in one.get("trades", ())
        ]


def trade_at_random(people: list[Person], listing: str, units: int, stop: threading.Event, seed: int) -> None:
    """Bids, offers and cancels until told to stop, or until the venue does not answer."""
    chance = random.Random(seed)
    resting: list[tuple[Person, str]] = []
    try:
        while not stop.is_set():
            if resting and chance.random() < 0.3:
                person, order = resting.pop()
                person.delete(f"/v1/orders/{order}")
                continue
            person = chance.choice(people)
            body = {
                "listing": listing,
                "side": "buy" if person is people[1] else "sell",
                "quantity": units * chance.randint(1, 5),
                "limit_fen": chance.randint(95, 105),
                "purpose": "market_analysis",
            }
            answer = person.post("/v1/orders", body)
            if answer.status_code == 201 and answer.json()["state"] in ("open", "partly_filled"):
                resting.append((person, answer.json()["order"]))
    except httpx.HTTPError:
        pass


def naive_levels(people: list[Person], listing: str) -> Levels:
    """Counted from every participant's own list of orders."""
    found: Counter[tuple[str, int]] = Counter()
    for person in people:
        for row in person.every("/v1/orders", limit=100):
            if row["listing"] == listing and row["state"] in ("open", "partly_filled"):
                found["bids" if row["side"] == "buy" else "asks", row["limit_fen"]] += row["remaining"]
    return dict(found)


def naive_prints(person: Person, listing: str) -> list[str]:
    """Settled trades of a party's own list, in the order in which they were made."""
    rows = [row for row in person.every("/v1/trades", limit=100) if row["listing"] == listing]
    return [row["trade"] for row in reversed(rows) if row["state"] in ("settled", "completed")]


def test_a_reader_survives_the_kill_of_the_venue(own_venue: Venue) -> None:
    venue = own_venue
    dealer, buyer = venue.merchant(), venue.buyer()
    listing = venue.book_listing(dealer)
    units = venue.terms(mechanism="continuous_auction")["price_per_units"]
    people = [dealer, buyer]
    reader = Follower(venue, listing)
    reader.read(until_current=True)
    for round_ in range(3):
        stop = threading.Event()
        reading = threading.Thread(target=reader.follow)
        trading = threading.Thread(target=trade_at_random, args=(people, listing, units, stop, round_))
        reading.start()
        trading.start()
        seen = len(reader.messages)
        while len(reader.messages) < seen + 25:
            assert trading.is_alive()
            reading.join(0.02)
        venue.kill()
        stop.set()
        trading.join(PATIENCE_S)
        reading.join(PATIENCE_S)
        venue.restart()
        reader.read(until_current=True)
        assert reader.levels() == naive_levels(people, listing)
        assert reader.prints() == naive_prints(buyer, listing)
    kinds = Counter(one["type"] for one in reader.messages)
    assert (kinds["snapshot"], kinds["gap"]) == (1, 0), "a restart is no reason for a snapshot"
    assert len(reader.prints()) > 20


# ---- those who mean no good


def raw_socket(venue: Venue, request: str) -> socket.socket:
    """A connection that has asked and reads nothing."""
    made = socket.create_connection(("127.0.0.1", venue.port), timeout=PATIENCE_S)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    made.sendall(request.encode())
    return made


def memory_mib(venue: Venue) -> float:
    """Resident memory of the venue's process (Linux)."""
    assert venue.process is not None
    status = Path(f"/proc/{venue.process.pid}/status")
    if not status.exists():
        pytest.skip("memory is read from /proc")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def closing_code(line: ClientConnection, text: str) -> int:
    """Of the close that answers this; 0 where the connection ends without one."""
    try:
        line.send(text)
        while True:
            line.recv(timeout=PATIENCE_S)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 0


def test_those_who_never_read_cost_little_and_keep_nobody_from_trading(own_venue: Venue) -> None:
    venue = own_venue
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant, price_fen=100)
    ask = f"GET /v1/feed/events?listings={listing} HTTP/1.1\r\nhost: x\r\n\r\n"
    dead = [raw_socket(venue, ask) for _ in range(200)]
    reader = Follower(venue, listing)
    reader.read(until_current=True)
    orders = [{"listing": listing, "quantity": 1, "purpose": "market_analysis"}] * 200
    before = memory_mib(venue)
    for _ in range(30):
        answer = done(buyer.post("/v1/orders/batch", orders), 200)
        assert {one["status"] for one in answer["results"]} == {201}
    reader.read(until_current=True)
    assert Counter(reader.prints()) == Counter(naive_prints(buyer, listing))
    assert memory_mib(venue) - before < 200
    assert venue.is_ready()
    began = time.monotonic()
    assert venue.stop() == 0
    assert time.monotonic() - began < 20, "nor from stopping"
    for one in dead:
        one.close()


def test_huge_frames_and_thousands_of_connections(own_venue: Venue) -> None:
    venue = own_venue
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    url = venue.url.replace("http", "ws", 1)
    for path in ("/v1/feed", "/v1/orders/ws"):
        with connect(f"{url}{path}") as line:
            assert closing_code(line, "x" * 1_000_000) in (0, 1009)
    handshake = (
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    before = memory_mib(venue)
    for turn in range(10):
        path = ("/v1/feed", "/v1/orders/ws")[turn % 2]
        comers = [raw_socket(venue, handshake.format(path)) for _ in range(250)]
        for number, one in enumerate(comers):
            if number % 2:
                one.sendall(os.urandom(200))
            one.close()
    venue.trade(buyer, listing)
    assert venue.is_ready()
    assert memory_mib(venue) - before < 150
    for path in ("/v1/feed", "/v1/orders/ws"):
        with connect(f"{url}{path}") as line:
            line.send("{")
            assert "malformed" in str(line.recv(timeout=PATIENCE_S))
    assert venue.stop() == 0
