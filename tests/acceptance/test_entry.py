"""Issue 3, market data and feeds: order entry over WebSocket."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.story import Person, Site, Venue, done, refused, sha256_of

PATIENCE_S = 20


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def venue_to_end(tmp_path: Path) -> Iterator[Venue]:
    """A venue of its own, for a test that stops it or moves its clock."""
    running = Venue(tmp_path / "venue")
    try:
        yield running.start()
    finally:
        running.close()


class Line:
    """A connection, and the requests on it."""

    def __init__(self, socket: ClientConnection, person: Person | None = None) -> None:
        self.socket = socket
        self.person = person
        self.number = 0
        self.told: list[dict[str, Any]] = []
        """What came that was no answer."""

    def say(self, op: str, **more: Any) -> int:
        """Whoever orders has signed the listing's contract before."""
        self.number += 1
        if self.person is not None:
            self.person.venue.agree_for(self.person, more.get("order") or more.get("orders"))
        self.socket.send(json.dumps({"op": op, "request": self.number, **more}))
        return self.number

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE_S))
        return message

    def answer(self) -> dict[str, Any]:
        while (message := self.hear())["type"] != "answer":
            self.told.append(message)
        return message

    def ask(self, op: str, **more: Any) -> dict[str, Any]:
        number = self.say(op, **more)
        answer = self.answer()
        assert answer["request"] == number
        return answer

    def until(self, kind: str) -> dict[str, Any]:
        while not self.told or self.told[-1]["type"] != kind:
            self.told.append(self.hear())
        return self.told[-1]

    def is_closed(self) -> int:
        """The code of the close, which must come."""
        try:
            while True:
                self.socket.recv(timeout=PATIENCE_S)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 0


def address(venue: Site) -> str:
    return f"{str(venue.http.base_url).replace('http', 'ws', 1).rstrip('/')}/v1/orders/ws"


@contextmanager
def line_of(person: Person) -> Iterator[Line]:
    headers = {"Authorization": f"Bearer {person.token}"}
    with connect(address(person.venue), additional_headers=headers) as socket:
        yield Line(socket, person)


def order(listing: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"listing": listing, "quantity": quantity, "purpose": "market_analysis", **more}


def test_place_and_cancel_are_answered_with_their_number(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing, book = venue.listing(merchant), venue.book_listing(merchant)
    units = venue.terms(mechanism="continuous_auction")["price_per_units"]
    with line_of(buyer) as line:
        placed = line.ask("place", order=order(listing))
        assert (placed["status"], placed["order"]["state"]) == (201, "filled")
        trade = placed["order"]["trades"][0]["trade"]
        assert done(buyer.get(f"/v1/trades/{trade}"), 200)["state"] == "settled"
        rests = line.ask("place", order=order(book, 3 * units, limit_fen=90))["order"]["order"]
        gone = line.ask("cancel", order=rests)
        assert gone["cancelled"] == {"order": rests, "quantity": 3 * units, "reason": "cancelled"}
        assert done(buyer.get(f"/v1/orders/{rests}"), 200)["closed_reason"] == "cancelled"
        again = line.ask("cancel", order=rests)
        assert (again["status"], again["problem"]["code"]) == (404, "not_found")


def test_the_same_refusals_as_over_http(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    for bad in (
        order(listing, 0),
        order(listing, 1, limit_fen=0),
        order(listing, purpose=""),
        {**order(listing), "surprise": 1},
        order(listing, client_order_id="x"),
        order("L999999"),
        order(listing, purpose="advertising"),
        order(listing, 10**9),
    ):
        http = buyer.post("/v1/orders", bad)
        said = refused(http, http.status_code)
        with line_of(buyer) as line:
            told = line.ask("place", order=bad)
        assert told["status"] == http.status_code
        problem = told["problem"]
        assert {name: problem.get(name) for name in ("code", "title", "title_zh", "violated", "unknown")} == {
            name: said.get(name) for name in ("code", "title", "title_zh", "violated", "unknown")
        }


def test_what_is_no_message_is_told_so_and_the_connection_goes_on(venue: Venue, buyer: Person) -> None:
    with line_of(buyer) as line:
        for text, request in (
            ("{", None),
            ("[]", None),
            ("", None),
            (b"\xff\xfe", None),
            ("[" * 50_000, None),
            ('{"op":"shout","request":7}', 7),
            ('{"op":"place","request":8}', 8),
            ('{"op":"place","request":-1,"order":{}}', None),
            ('{"op":"cancel","request":9,"order":"O1","command_id":"x"}', 9),
            ('{"op":"watch","request":10,"more":1}', 10),
        ):
            line.socket.send(text)
            answer = line.answer()
            assert (answer["request"], answer["status"]) == (request, 400), text
            assert answer["problem"]["code"] == "malformed"
        assert line.ask("cancel", order="O999999")["status"] == 404


def test_an_order_sent_again_is_placed_once(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    mine = order(listing, client_order_id=venue.new_id())
    with line_of(buyer) as line:
        first = line.ask("place", order=mine)
    with line_of(buyer) as line:
        again = line.ask("place", order=mine)
        other = line.ask("place", order={**mine, "quantity": 2})
    assert first["order"] == again["order"]
    assert done(buyer.post("/v1/orders", mine), 201) == first["order"]
    assert (other["status"], other["problem"]["code"]) == (409, "id_conflict")


def test_a_cancel_sent_again_gets_the_same_answer(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant)
    units = venue.terms(mechanism="continuous_auction")["price_per_units"]
    with line_of(buyer) as line:
        rests = line.ask("place", order=order(book, units, limit_fen=90))["order"]["order"]
        key = venue.new_id()
        first = line.ask("cancel", order=rests, command_id=key)
        again = line.ask("cancel", order=rests, command_id=key)
    assert first["status"] == 200
    assert first["cancelled"] == again["cancelled"]


def test_many_are_under_way_and_answered_in_order(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with line_of(buyer) as line:
        numbers = [line.say("place", order=order(listing)) for _ in range(300)]
        answers = [line.answer() for _ in numbers]
    assert [answer["request"] for answer in answers] == numbers
    placed = [int(answer["order"]["order"][1:]) for answer in answers]
    assert placed == sorted(placed)
    assert len(set(placed)) == 300


def test_a_batch_answers_each_order_on_its_own(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with line_of(buyer) as line:
        answer = line.ask("batch", orders=[order(listing), order("L999999"), order(listing)])
        assert [one["status"] for one in answer["results"]] == [201, 404, 201]
        assert answer["results"][1]["problem"]["index"] == 1
        bad = line.ask("batch", orders=[order(listing), order(listing, 0)])
        assert (bad["status"], bad["problem"]["code"]) == (400, "malformed")
        assert "orders[1]" in bad["problem"]["errors"][0]["path"]
        assert line.ask("batch", orders=[])["results"] == []


def test_too_many_under_way_are_refused_and_the_rest_is_done(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing = venue.listing(merchant, price_fen=100)
    before = len(list(buyer.every("/v1/orders", limit=100)))
    with line_of(buyer) as line:
        numbers = [line.say("batch", orders=[order(listing)] * 600) for _ in range(6)]
        answers = [line.answer() for _ in numbers]
    assert [answer["request"] for answer in answers] == numbers
    taken = [answer for answer in answers if answer["status"] == 200]
    for answer in answers:
        assert answer in taken or (answer["status"], answer["problem"]["code"]) == (503, "overloaded")
    assert len(taken) >= 3
    assert len(list(buyer.every("/v1/orders", limit=100))) == before + 600 * len(taken)


def test_sign_in_by_message_and_nobody_without(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with connect(address(venue)) as socket:
        line = Line(socket, buyer)
        assert line.ask("place", order=order(listing))["problem"]["code"] == "not_signed_in"
        assert line.ask("watch")["problem"]["code"] == "not_signed_in"
        assert line.ask("sign_in", token=buyer.token)["participant"] == buyer.participant
        assert line.ask("place", order=order(listing))["status"] == 201
        assert line.ask("sign_in", token=buyer.sign_in())["status"] == 200
        assert line.ask("sign_in", token=merchant.token)["problem"]["code"] == "forbidden"
        assert line.ask("sign_in", token="P1.0.9.x.y")["problem"]["code"] == "not_signed_in"
        assert line.is_closed() == 1008
    with pytest.raises(InvalidStatus) as refusal:
        connect(address(venue), additional_headers={"Authorization": "Bearer nonsense"})
    response = refusal.value.response
    assert response.status_code == 401
    assert json.loads(response.body)["code"] == "not_signed_in"
    told = venue.http.get("/v1/orders/ws")
    refused(told, 400, "malformed")


def test_the_connection_ends_with_the_participants_standing(venue: Venue, merchant: Person) -> None:
    """A suspended account orders nothing more, though it is connected; an idle one is closed soon."""
    listing, person = venue.listing(merchant), venue.buyer()
    with line_of(person) as busy, line_of(person) as idle:
        assert busy.ask("place", order=order(listing))["status"] == 201
        path = f"/v1/participants/{person.participant}/status"
        done(venue.operator.post(path, {"step": "suspend", "reason": "a check"}))
        assert busy.ask("place", order=order(listing))["problem"]["code"] == "not_signed_in"
        assert busy.is_closed() == 1008
        assert idle.answer()["problem"]["code"] == "not_signed_in"
        assert idle.is_closed() == 1008


def test_the_connection_ends_with_its_token(venue_to_end: Venue) -> None:
    venue = venue_to_end
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    with line_of(buyer) as line:
        assert line.ask("place", order=order(listing))["status"] == 201
        venue.advance(seconds=31 * 60)
        answer = line.answer()
        assert (answer["request"], answer["problem"]["code"]) == (None, "not_signed_in")
        assert line.is_closed() == 1008


def test_own_orders_are_told_however_placed(venue: Venue) -> None:
    dealer, buyer, other = venue.merchant(), venue.buyer(), venue.buyer()
    book = venue.book_listing(dealer)
    units = venue.terms(mechanism="continuous_auction")["price_per_units"]
    early = done(venue.order(buyer, book, 4 * units, limit_fen=90), 201)["order"]
    with line_of(buyer) as line, line_of(buyer) as second, line_of(other) as stranger:
        [opened] = line.ask("watch")["orders"]
        assert (opened["order"], opened["remaining"], opened["limit_fen"]) == (early, 4 * units, 90)
        assert second.ask("watch")["orders"] == [opened]
        assert stranger.ask("watch")["orders"] == []
        done(venue.order(dealer, book, 3 * units, side="sell", limit_fen=90), 201)
        traded = line.until("trade")
        assert (traded["order"], traded["filled"], traded["remaining"]) == (early, 3 * units, units)
        assert (traded["state"], traded["trade"]["state"], traded["side"]) == (
            "partly_filled",
            "settled",
            "buy",
        )
        placed = done(venue.order(buyer, book, units, limit_fen=80), 201)["order"]
        assert line.until("placed")["order"] == placed
        done(buyer.delete(f"/v1/orders/{early}"), 200)
        closed = line.until("closed")
        assert (closed["order"], closed["quantity"], closed["reason"]) == (early, units, "cancelled")
        own = line.ask("cancel", order=placed)
        assert own["status"] == 200
        while len([one for one in line.told if one["type"] == "closed"]) < 2:
            line.told.append(line.hear())
        while len(second.told) < len(line.told):
            second.told.append(second.hear())
        assert second.told == line.told
        assert [one["sequence"] for one in line.told] == sorted(one["sequence"] for one in line.told)
        assert dealer.participant not in json.dumps(line.told)
        assert stranger.ask("cancel", order="O999999")["status"] == 404
        assert stranger.told == []


def test_a_merchant_is_told_what_its_posted_price_sold(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant)
    with line_of(merchant) as line:
        line.ask("watch")
        trade = venue.trade(buyer, listing, 2)
        told = line.until("trade")
    assert (told["order"], told["side"], told["trade"]["trade"]) == (None, "sell", trade)


def test_a_buyer_is_told_what_it_owes_after_a_trade(venue: Venue, merchant: Person) -> None:
    buyer = venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.complete(merchant, buyer, trade)
    found = {
        "rule": "P04",
        "observed": "advertising",
        "reason": "the log",
        "evidence_sha256": sha256_of("log"),
    }
    with line_of(buyer) as line:
        line.ask("watch")
        done(venue.reviewer().post(f"/v1/trades/{trade}/findings", found))
        opened = line.until("duty")
        broken = line.hear()
    assert (opened["kind"], opened["trade"], opened["state"]) == ("purpose", trade, "scheduled")
    assert (broken["duty"], broken["state"], broken["due"]) == (opened["duty"], "broken", None)


def test_open_lines_do_not_keep_a_venue_from_stopping(venue_to_end: Venue) -> None:
    """What is under way is answered; what was answered is there after the restart, and nothing is done twice."""
    venue = venue_to_end
    merchant, buyer = venue.merchant(), venue.buyer()
    listing = venue.listing(merchant)
    keys = [venue.new_id() for _ in range(200)]
    with line_of(buyer) as line, line_of(buyer) as idle:
        for key in keys:
            line.say("place", order=order(listing, client_order_id=key))
        answers = [line.answer()]
        began = time.monotonic()
        assert venue.stop() == 0
        assert time.monotonic() - began < 10
        answers += rest_of(line)
        assert idle.is_closed() in (1001, 1012)
    venue.restart()
    placed = {one["client_order_id"]: one["order"] for one in buyer.every("/v1/orders", limit=100)}
    for key, answer in zip(keys, answers, strict=False):
        assert placed[key] == answer["order"]["order"]
    with line_of(buyer) as line:
        for key in keys:
            line.say("place", order=order(listing, client_order_id=key))
        again = [line.answer()["order"]["order"] for _ in keys]
    assert again[: len(answers)] == [answer["order"]["order"] for answer in answers]
    assert len(list(buyer.every("/v1/orders", limit=100))) == len(keys)


def rest_of(line: Line) -> list[dict[str, Any]]:
    """Answers up to the close."""
    found = []
    try:
        while True:
            found.append(line.answer())
    except ConnectionClosed:
        return found


def test_the_page_alone_says_how(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Each message that the page shows is understood; what it answers has the documented shape."""
    document = done(venue.http.get("/openapi.json"), 200)
    told = document["paths"]["/v1/orders/ws"]["get"]
    said = {variant["$ref"].rpartition("/")[2] for variant in told["x-websocket"]["says"]["anyOf"]}
    assert said == {"SignIn", "Place", "PlaceMany", "Cancel", "Watch"}
    assert said <= set(document["components"]["schemas"])
    shown = [
        line.removeprefix("say").strip()
        for line in told["description"].splitlines()
        if line.startswith("say")
    ]
    listing = venue.listing(merchant)
    venue.agree(buyer, listing)
    with connect(address(venue)) as socket:
        line = Line(socket)
        for text in shown:
            mine = {
                "TOKEN": buyer.token,
                '"L1"': f'"{listing}"',
                "[{...},{...}]": json.dumps([order(listing)] * 2),
                "019ab0d2-3c40-7a52-9d1e-0d5f3a9c1b77": venue.new_id(),
            }
            for word, own in mine.items():
                text = text.replace(word, own)
            socket.send(text)
            assert line.answer()["status"] in (200, 201, 404)
    page = venue.http.get("/docs").text
    assert "/v1/orders/ws" in page
    assert "client_order_id" in page
