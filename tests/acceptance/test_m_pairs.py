"""Issue 5, "Legal pairs only": price would match them and law keeps them apart; neither loses its place, both can see why.

Whether such a fill is never proposed or refused at clearing is the builder's choice; what counts here is what settled. The
stories forbid one side by a register: a seller's compliance department says no (E10), a bidder is on a list (E04).
What the checks expect of `GET /v1/orders/{order}/apart`: items of the other side, {price_fen, quantity, rules: [...]}.
"""

from typing import Any

import pytest

from tests.acceptance.floor import (
    Placed,
    buy,
    closed,
    depth,
    fills,
    holder,
    killed,
    look,
    sell,
    session,
    verified,
)
from tests.story import Person, Venue, done, refused

LISTED = {"list": "export_control", "version": "1", "state": "listed"}


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant("buyer")


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def book(venue: Venue, merchant: Person) -> str:
    return venue.book_listing(merchant)


@pytest.fixture
def vetoed(venue: Venue, merchant: Person, book: str) -> tuple[Person, Placed]:
    """Somebody whose offer of five at 700 is the best in the book, and may sell to nobody."""
    person = holder(venue, merchant, book)
    offer = sell(venue, person, book, 5, 700)
    venue.enter("compliance_vetoes", {"state": "vetoed"}, participant=person.participant)
    return person, offer


Vetoed = tuple[Person, Placed]


def got(placed: Placed) -> list[tuple[int, int]]:
    """What settled at once."""
    return [
        (trade["price_fen"], trade["quantity"]) for trade in placed["trades"] if trade["state"] == "settled"
    ]


def apart(person: Person, order: Placed) -> list[dict[str, Any]]:
    return list(person.every(f"/v1/orders/{order['order']}/apart"))


def test_a_forbidden_maker_is_passed_over_and_keeps_its_place(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    person, offer = vetoed
    sell(venue, merchant, book, 3, 700)
    placed = buy(venue, buyer, book, 2, 900)
    assert (placed["state"], got(placed)) == ("filled", [(700, 2)])
    assert (look(person, offer)["state"], look(person, offer)["remaining"]) == ("open", 5)
    venue.enter("compliance_vetoes", {"state": "lifted"}, participant=person.participant)
    assert got(buy(venue, venue.buyer(), book, 4, 900)) == [(700, 4)]
    assert look(person, offer)["remaining"] == 1, "it stood before the three of the merchant, and still does"


def test_a_forbidden_bidder_keeps_its_place(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    listed = venue.buyer()
    first, second = buy(venue, listed, book, 5, 900), buy(venue, buyer, book, 3, 800)
    venue.enter("restricted_lists", LISTED, participant=listed.participant)
    sell(venue, merchant, book, 3, 700)
    assert (look(listed, first)["remaining"], look(buyer, second)["state"]) == (5, "filled")
    removed = {**LISTED, "version": "2", "state": "removed"}
    venue.enter("restricted_lists", removed, participant=listed.participant)
    sell(venue, merchant, book, 1, 700)
    assert fills(listed, first)[-1] == (900, 1)


def test_no_crossing_pair_that_may_trade_stands(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    """What is left of a taker rests above an offer that it may not take, and meets the next lawful one at once."""
    rest = buy(venue, buyer, book, 2, 900)
    assert (rest["state"], depth(venue, book)) == ("open", ([(900, 2)], [(700, 5)]))
    sell(venue, merchant, book, 2, 850)
    assert look(buyer, rest)["state"] == "filled"
    assert depth(venue, book) == ([], [(700, 5)])


def test_both_see_why_and_nobody_else(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    person, offer = vetoed
    bid = buy(venue, buyer, book, 2, 900)
    [seen] = apart(buyer, bid)
    assert (seen["price_fen"], seen["quantity"], seen["rules"]) == (700, 5, ["E10"])
    [seen] = apart(person, offer)
    assert (seen["price_fen"], seen["quantity"], seen["rules"]) == (900, 2, ["E10"])
    assert buyer.participant not in str(seen)
    lawful = buy(venue, buyer, book, 1, 600)
    assert apart(buyer, lawful) == []
    for stranger in (merchant, venue.buyer(cash_fen=0)):
        refused(stranger.get(f"/v1/orders/{bid['order']}/apart"), 404, "not_found")


def test_fok_counts_who_may_sell(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    sell(venue, merchant, book, 3, 800)
    before = buyer.account()
    placed = buy(venue, buyer, book, 5, 900, time_in_force="fok")
    assert (closed(placed), got(placed)) == (("fok", 0), [])
    assert buyer.account() == before
    assert got(buy(venue, buyer, book, 3, 900, time_in_force="fok")) == [(800, 3)]


def test_a_minimum_counts_who_may_sell(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    sell(venue, merchant, book, 3, 800)
    placed = buy(venue, buyer, book, 6, 900, minimum_quantity=4)
    assert (closed(placed), got(placed)) == (("minimum_quantity", 0), [])
    assert got(buy(venue, buyer, book, 6, 900, minimum_quantity=3)) == [(800, 3)]


def test_all_or_none_counts_who_may_sell(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    sell(venue, merchant, book, 3, 800)
    placed = buy(venue, buyer, book, 5, 900, all_or_none=True, time_in_force="ioc")
    assert (placed["state"], placed["filled"], got(placed)) == ("closed", 0, [])
    assert got(buy(venue, buyer, book, 3, 900, all_or_none=True)) == [(800, 3)]


def test_post_only_rests_above_whom_it_may_not_take(
    venue: Venue, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    assert buy(venue, buyer, book, 2, 900, post_only=True)["state"] == "open"


def test_the_pair_stays_barred_and_others_are_not(
    venue: Venue, merchant: Person, buyer: Person, book: str, vetoed: Vetoed
) -> None:
    """After a refusal at clearing the maker keeps its place, the taker goes on; what rests of it never asks again."""
    person, offer = vetoed
    rest = buy(venue, buyer, book, 1, 900)
    refusals = len([row for row in venue.operator.every("/v1/refusals", limit=200) if row["listing"] == book])
    for _ in range(3):
        sell(venue, merchant, book, 1, 950)
        buy(venue, merchant, book, 1, 600)
    again = [row for row in venue.operator.every("/v1/refusals", limit=200) if row["listing"] == book]
    assert len(again) == refusals
    assert (look(person, offer)["remaining"], look(buyer, rest)["state"]) == (5, "open")


def test_forbidden_pairs_outlive_kill_9(venue: Venue, buyer: Person, book: str, vetoed: Vetoed) -> None:
    rest = buy(venue, buyer, book, 1, 900)
    killed(venue)
    assert depth(venue, book) == ([(900, 1)], [(700, 5)])
    assert look(buyer, rest)["state"] == "open"
    verified(venue)


def test_a_call_auction_skips_who_may_not_sell(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    """All three stand at 800: the price; the vetoed offer came first, and the merchant's is what is sold."""
    person = holder(venue, merchant, book)
    done(session(venue, "computing", "call_auction"))
    try:
        offer = sell(venue, person, book, 5, 800)
        lawful = sell(venue, merchant, book, 5, 800)
        bid = buy(venue, buyer, book, 5, 800)
        venue.enter("compliance_vetoes", {"state": "vetoed"}, participant=person.participant)
    finally:
        done(session(venue, "computing", "continuous"))
    assert fills(buyer, bid)[-1] == (800, 5)
    assert (look(merchant, lawful)["state"], look(person, offer)["remaining"]) == ("filled", 5)
    [held] = done(venue.http.get(f"/v1/listings/{book}/auctions"), 200)["items"]
    assert held["price_fen"] == 800
