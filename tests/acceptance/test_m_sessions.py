"""Issue 5, "Sessions per board" and "Call auction": phases, one price, and a halt that loses no order.

What the checks expect; more members are welcome:

    POST /v1/boards/{board}/session {phase, reason}; GET -> {phase}       phases begin and end at once
    GET /v1/listings/{listing}/market  -> {phase, indicative: null | {price_fen, quantity}}
    GET /v1/listings/{listing}/auctions -> [{price_fen, volume, surplus, reference_fen}], the last first
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.floor import (
    Placed,
    buy,
    deal,
    depth,
    fills,
    killed,
    look,
    not_taken,
    sell,
    session,
    verified,
)
from tests.story import ROOT, Person, Venue, done, refused

BOARD = "computing"


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def other(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def book(venue: Venue, merchant: Person) -> str:
    return venue.book_listing(merchant)


@pytest.fixture(autouse=True)
def open_again(venue: Venue) -> Iterator[None]:
    """Whatever a story leaves, the next one finds a continuous session."""
    yield
    session(venue, BOARD, "continuous")


def phase(venue: Venue, name: str) -> None:
    done(session(venue, BOARD, name))


def market(venue: Venue, book: str) -> dict[str, Any]:
    seen: dict[str, Any] = done(venue.http.get(f"/v1/listings/{book}/market"), 200)
    return seen


def last_auction(venue: Venue, book: str) -> dict[str, Any]:
    held: dict[str, Any] = done(venue.http.get(f"/v1/listings/{book}/auctions"), 200)["items"][0]
    return held


# -- phases


def test_the_operator_sets_the_phase_of_a_board(venue: Venue, merchant: Person, book: str) -> None:
    for name in ("closed", "pre_open", "call_auction", "continuous", "halted"):
        phase(venue, name)
        assert done(venue.http.get(f"/v1/boards/{BOARD}/session"), 200)["phase"] == name
        assert market(venue, book)["phase"] == name
    body = {"phase": "closed", "reason": "测试"}
    refused(merchant.post(f"/v1/boards/{BOARD}/session", body), 403, "forbidden")
    refused(venue.operator.post("/v1/boards/moonshine/session", body), 404, "not_found")
    assert session(venue, BOARD, "siesta").status_code in (400, 422)


def test_a_board_without_books_has_no_phases(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Else its operator would believe it closed while posted prices are still bought."""
    for name in ("closed", "pre_open", "call_auction"):
        told = not_taken(session(venue, "general", name), "mechanism_not_allowed")
        assert "/v1/halts" in told["detail"]
    listing = venue.listing(merchant)
    done(session(venue, "general", "halted"))
    not_taken(venue.order(buyer, listing), "halted")
    done(session(venue, "general", "continuous"))
    venue.trade(buyer, listing)


def test_a_phase_says_what_it_takes(venue: Venue, buyer: Person, book: str) -> None:
    phase(venue, "pre_open")
    resting = buy(venue, buyer, book, 1, 700)
    told = not_taken(venue.order(buyer, book, limit_fen=900, time_in_force="ioc"), "session")["detail"]
    assert "pre_open" in told
    assert "gtc, gtd and day" in told
    phase(venue, "call_auction")
    told = not_taken(buyer.delete(f"/v1/orders/{resting['order']}"), "session")["detail"]
    assert "call_auction" in told
    assert "none is cancelled" in told


def test_closed_takes_nothing_and_lets_go(venue: Venue, buyer: Person, book: str) -> None:
    resting = buy(venue, buyer, book, 1, 700)
    phase(venue, "closed")
    not_taken(venue.order(buyer, book, limit_fen=700), "session")
    assert look(buyer, resting)["state"] == "open"
    done(buyer.delete(f"/v1/orders/{resting['order']}"))


def test_pre_open_collects(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    phase(venue, "pre_open")
    offer, bid = sell(venue, merchant, book, 5, 700), buy(venue, buyer, book, 5, 900)
    assert (offer["filled"], bid["filled"]) == (0, 0)
    not_taken(venue.order(buyer, book, limit_fen=900, time_in_force="ioc"), "session")
    done(buyer.delete(f"/v1/orders/{bid['order']}"))
    assert look(merchant, offer)["state"] == "open"


def test_other_boards_go_on(venue: Venue, merchant: Person, buyer: Person) -> None:
    posted = venue.listing(merchant)
    phase(venue, "closed")
    venue.trade(buyer, posted)


# -- a halt never loses an order


def test_a_halt_keeps_every_order_and_its_place(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    first, second = buy(venue, buyer, book, 5, 800), buy(venue, other, book, 5, 800)
    iceberg = sell(venue, merchant, book, 9, 900, display_quantity=2)
    stop = buy(venue, other, book, 1, 950, order_type="stop_limit", stop_fen=900)
    before = depth(venue, book), buyer.account(), other.account()
    phase(venue, "halted")
    not_taken(venue.order(buyer, book, limit_fen=900), "session", "halted")
    killed(venue)
    assert (depth(venue, book), buyer.account(), other.account()) == before
    phase(venue, "continuous")
    assert depth(venue, book) == before[0]
    sell(venue, merchant, book, 5, 800)
    assert (look(buyer, first)["state"], look(other, second)["filled"]) == ("filled", 0)
    buy(venue, buyer, book, 9, 900)
    assert (look(merchant, iceberg)["state"], look(other, stop)["state"]) == ("filled", "open")
    verified(venue)


@pytest.mark.parametrize("scope", ["listing", "board", "market"])
def test_the_operators_halts_keep_every_order_too(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str, scope: str
) -> None:
    first, second = buy(venue, buyer, book, 5, 800), buy(venue, other, book, 5, 800)
    halt = {"scope": scope, "subject": {"listing": book, "board": BOARD}.get(scope, ""), "reason": "核查"}
    done(venue.operator.post("/v1/halts", halt))
    try:
        refused(venue.order(buyer, book, limit_fen=900), 409, "halted")
        assert depth(venue, book) == ([(800, 10)], [])
    finally:
        done(venue.operator.post("/v1/halts/resume", halt))
    sell(venue, merchant, book, 5, 800)
    assert (look(buyer, first)["state"], look(other, second)["filled"]) == ("filled", 0)


def test_in_a_halt_orders_can_be_cancelled(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    resting = buy(venue, buyer, book, 5, 800)
    phase(venue, "halted")
    done(buyer.delete(f"/v1/orders/{resting['order']}"))
    assert buyer.account() == before


# -- call auction


def called(venue: Venue, merchant: Person, book: str, asks: str, bids: str, *bidders: Person) -> list[Placed]:
    """A call auction over orders written as "5@900 4@850"; gives the bids, whose bidders take turns."""
    phase(venue, "call_auction")
    for text in asks.split():
        sell(venue, merchant, book, *_order(text))
    made = [
        buy(venue, bidders[number % len(bidders)], book, *_order(text))
        for number, text in enumerate(bids.split())
    ]
    phase(venue, "continuous")
    return made


def _order(text: str) -> tuple[int, int]:
    quantity, price = text.split("@")
    return int(quantity), int(price)


def test_all_trade_at_one_price(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    """At 800 ten are sold, at any other price fewer, or nothing more."""
    dear, near = called(venue, merchant, book, "5@700 5@800", "5@900 5@800", buyer, other)
    assert {price for price, _ in fills(buyer, dear)} == {800}
    assert {price for price, _ in fills(other, near)} == {800}
    assert (look(buyer, dear)["state"], look(other, near)["state"]) == ("filled", "filled")
    assert last_auction(venue, book)["volume"] == 10
    assert market(venue, book)["last"]["price_fen"] == 800
    assert depth(venue, book) == ([], [])


@pytest.mark.parametrize(
    ("reference_fen", "asks", "bids", "price_fen", "volume", "surplus"),
    [
        pytest.param(1_000, "10@700 5@850", "12@850 3@700", 850, 12, 3, id="most volume"),
        pytest.param(1_000, "10@800", "10@900 4@850", 900, 10, 0, id="then least surplus"),
        pytest.param(1_000, "5@700", "5@900", 900, 5, 0, id="then nearest the reference, above"),
        pytest.param(600, "5@700", "5@900", 700, 5, 0, id="then nearest the reference, below"),
        pytest.param(600, "10@800", "14@850", 800, 10, 4, id="a surplus that cannot be helped"),
    ],
)
def test_the_rule_of_the_price_at_its_ties(
    venue: Venue,
    merchant: Person,
    buyer: Person,
    reference_fen: int,
    asks: str,
    bids: str,
    price_fen: int,
    volume: int,
    surplus: int,
) -> None:
    """The reference is the last settled price, before any the listing's own (1,000)."""
    book = venue.book_listing(merchant)
    if reference_fen != 1_000:
        deal(venue, merchant, buyer, book, reference_fen)
    called(venue, merchant, book, asks, bids, buyer)
    told = last_auction(venue, book)
    assert (told["price_fen"], told["volume"], abs(told["surplus"])) == (price_fen, volume, surplus)
    assert told["reference_fen"] == reference_fen


def test_allocation_is_by_price_and_time(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    first, second = called(venue, merchant, book, "6@800", "5@800 5@800", buyer, other)
    assert (look(buyer, first)["filled"], look(other, second)["filled"]) == (5, 1)
    assert depth(venue, book) == ([(800, 4)], []), "what is left goes on in the continuous session"


def test_the_indicative_price_is_shown(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    phase(venue, "call_auction")
    sell(venue, merchant, book, 5, 800)
    assert market(venue, book)["indicative"] is None
    buy(venue, buyer, book, 3, 800)
    assert market(venue, book)["indicative"] == {"price_fen": 800, "quantity": 3}
    assert market(venue, book)["last"] is None
    phase(venue, "continuous")
    assert market(venue, book)["indicative"] is None


def test_an_auction_that_finds_no_price(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    called(venue, merchant, book, "5@900", "5@800", buyer)
    assert depth(venue, book) == ([(800, 5)], [(900, 5)])
    assert market(venue, book)["last"] is None


def test_who_bid_more_has_the_rest_back(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    deal(venue, merchant, buyer, book, 600)
    before = buyer.account()
    called(venue, merchant, book, "5@700", "5@900", buyer)
    after = buyer.account()
    assert (before["balance"] - after["balance"], after["reserved"]) == (5 * 700, before["reserved"])


def test_a_call_auction_through_kill_9(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    """Units change hands against payment at once: there is nothing to deliver or to refund."""
    phase(venue, "pre_open")
    sell(venue, merchant, book, 5, 800)
    killed(venue)
    phase(venue, "call_auction")
    killed(venue)
    bid, before = buy(venue, buyer, book, 5, 800), merchant.balance
    killed(venue)
    phase(venue, "continuous")
    killed(venue)
    assert look(buyer, bid)["state"] == "filled"
    assert merchant.balance > before
    assert buyer.account(f"unit:{book}")["balance"] == 5
    verified(venue)


def test_the_rule_is_written_down() -> None:
    page = (ROOT / "docs" / "mechanisms" / "call_auction.md").read_text(encoding="utf-8").lower()
    for word in ("volume", "surplus", "reference"):
        assert word in page
