"""Issue 5, "Order book": every kind of order, its changes and its end, in a book of transferable units.

What is chosen where the issue leaves it open: a rest that may not stand is closed, with the reason that the order asked
for (`ioc`, `fok`, `minimum_quantity`); an order that is wrong in itself is refused, 409 or 422, with a code.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.floor import (
    Placed,
    buy,
    closed,
    deal,
    depth,
    fills,
    holder,
    killed,
    look,
    not_taken,
    prices,
    replace,
    sell,
    verified,
)
from tests.acceptance.test_entry import line_of, order
from tests.story import Person, Venue, done, refused


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    person = venue.merchant("buyer")
    venue.cash_in(person, 100_000_000)
    return person


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def other(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture
def book(venue: Venue, merchant: Person) -> str:
    return venue.book_listing(merchant)


def eventually(person: Person, placed: Placed, wanted: Callable[[Placed], bool]) -> Placed:
    deadline = time.monotonic() + 5
    while not wanted(seen := look(person, placed)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


# -- limit and market


def test_limit_is_what_an_order_with_a_price_is(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    for price in (850, 800, 800):
        sell(venue, merchant, book, 1, price, order_type="limit")
    assert prices(buy(venue, buyer, book, 3, 900, order_type="limit")) == [(800, 1), (800, 1), (850, 1)]


def test_a_market_order_takes_what_is_there_and_rests_nowhere(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    sell(venue, merchant, book, 3, 800)
    before = buyer.account()
    placed = done(venue.order(buyer, book, 5, order_type="market"), 201)
    assert (placed["state"], placed["filled"]) == ("closed", 3)
    assert depth(venue, book) == ([], [])
    assert buyer.account()["reserved"] == before["reserved"]


def test_a_trade_is_made_at_the_makers_price(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    buy(venue, buyer, book, 2, 900)
    assert prices(sell(venue, merchant, book, 2, 700)) == [(900, 2)]


# -- time in force


def test_gtc_stands_until_it_is_cancelled(venue: Venue, buyer: Person, book: str) -> None:
    placed = buy(venue, buyer, book, 1, 700, time_in_force="gtc")
    venue.advance(days=3)
    assert look(buyer, placed)["state"] == "open"
    done(buyer.delete(f"/v1/orders/{placed['order']}"))
    assert closed(look(buyer, placed)) == ("cancelled", 0)


def test_gtd_ends_at_its_instant(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    placed = buy(venue, buyer, book, 1, 700, time_in_force="gtd", expires_at=venue.in_days(2))
    venue.advance(days=1)
    assert look(buyer, placed)["state"] == "open"
    venue.advance(days=1, seconds=60)
    assert closed(look(buyer, placed)) == ("expired", 0)
    assert buyer.account() == before


@pytest.mark.parametrize("expires_at", [None, "2020-01-01T00:00:00Z"])
def test_gtd_needs_an_instant_to_come(venue: Venue, buyer: Person, book: str, expires_at: str | None) -> None:
    how: dict[str, Any] = {"expires_at": expires_at} if expires_at else {}
    answer = venue.order(buyer, book, limit_fen=700, time_in_force="gtd", **how)
    assert answer.status_code in (400, 409, 422), answer.text


def test_a_day_order_ends_with_its_day(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    placed = buy(venue, buyer, book, 1, 700, time_in_force="day")
    assert placed["state"] == "open"
    venue.advance(days=1)
    assert closed(look(buyer, placed)) == ("day", 0)
    assert buyer.account() == before


def test_ioc_takes_what_is_there_and_goes(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 3, 800)
    assert closed(buy(venue, buyer, book, 5, 800, time_in_force="ioc")) == ("ioc", 3)
    assert depth(venue, book) == ([], [])


def test_fok_is_all_at_once_or_nothing(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 2, 800)
    sell(venue, merchant, book, 3, 850)
    before = buyer.account()
    assert closed(buy(venue, buyer, book, 6, 900, time_in_force="fok")) == ("fok", 0)
    assert closed(buy(venue, buyer, book, 3, 849, time_in_force="fok")) == ("fok", 0)
    assert buyer.account() == before
    placed = buy(venue, buyer, book, 5, 850, time_in_force="fok")
    assert (placed["state"], prices(placed)) == ("filled", [(800, 2), (850, 3)])


def test_orders_of_a_batch_are_of_all_kinds(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 1, 800)
    bodies = [order(book, 2, limit_fen=800, time_in_force=force) for force in ("fok", "ioc")]
    results = done(buyer.post("/v1/orders/batch", bodies), 200)["results"]
    assert [result["order"]["filled"] for result in results] == [0, 1]


# -- post-only, iceberg


def test_post_only_rests_or_is_refused(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 2, 800)
    before = buyer.account()
    not_taken(venue.order(buyer, book, 1, limit_fen=800, post_only=True), "would_cross")
    assert buyer.account() == before
    assert buy(venue, buyer, book, 1, 799, post_only=True)["state"] == "open"
    assert depth(venue, book) == ([(799, 1)], [(800, 2)])


def test_an_iceberg_shows_a_part_and_queues_again_with_each_refill(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    """The rule that is expected: each new part goes to the end of the queue at its price."""
    iceberg = buy(venue, buyer, book, 10, 800, display_quantity=3)
    plain = buy(venue, other, book, 2, 800)
    assert depth(venue, book)[0] == [(800, 5)]
    sell(venue, merchant, book, 3, 800)
    assert (look(buyer, iceberg)["filled"], look(other, plain)["filled"]) == (3, 0)
    assert depth(venue, book)[0] == [(800, 5)], "two of the other, three anew"
    sell(venue, merchant, book, 3, 800)
    assert (look(buyer, iceberg)["filled"], look(other, plain)["filled"]) == (4, 2)
    sell(venue, merchant, book, 6, 800)
    assert look(buyer, iceberg)["state"] == "filled"


def test_the_hidden_part_of_an_iceberg_is_its_owners_secret(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    iceberg = sell(venue, merchant, book, 77, 800, display_quantity=5)
    market = venue.http.get(f"/v1/listings/{book}/market").json()
    assert market["asks"] == [{"price_fen": 800, "quantity": 5}]
    assert look(merchant, iceberg)["remaining"] == 77
    taken = buy(venue, buyer, book, 60, 800)
    assert (taken["state"], taken["filled"]) == ("filled", 60)


# -- stops


def test_a_stop_sells_when_the_price_has_fallen(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    owner = holder(venue, merchant, book, 5)
    stop = done(venue.order(owner, book, 5, side="sell", order_type="stop", stop_fen=700), 201)
    assert stop["state"] == "open"
    assert owner.account(f"unit:{book}")["reserved"] == 5
    buy(venue, other, book, 5, 650)
    deal(venue, merchant, buyer, book, 701)
    assert (look(owner, stop)["filled"], depth(venue, book)[1]) == (0, [])
    deal(venue, merchant, buyer, book, 700)
    assert fills(owner, stop) == [(650, 5)]


def test_a_stop_limit_becomes_a_limit_order_with_its_money_kept(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    before = buyer.account()["reserved"]
    stop = buy(venue, buyer, book, 4, 950, order_type="stop_limit", stop_fen=900)
    assert buyer.account()["reserved"] == before + 4 * 950
    assert depth(venue, book) == ([], []), "nobody sees it"
    deal(venue, merchant, other, book, 900)
    assert depth(venue, book)[0] == [(950, 4)]
    sell(venue, merchant, book, 4, 950)
    assert look(buyer, stop)["state"] == "filled"
    assert buyer.account()["reserved"] == before


def test_a_trade_that_is_held_triggers_no_stop_until_it_settles(
    venue: Venue, merchant: Person, buyer: Person, other: Person
) -> None:
    product = venue.product(merchant)
    listing = venue.listing(
        merchant, product, "computing", mechanism="continuous_auction", supply="limited", supply_units=100
    )
    stop = buy(venue, buyer, listing, 1, 950, order_type="stop_limit", stop_fen=900)
    done(venue.record(product, "objection_raised"))
    sell(venue, merchant, listing, 1, 900)
    [trade] = buy(venue, other, listing, 1, 900)["trades"]
    assert (trade["state"], depth(venue, listing)[0]) == ("held", [])
    done(venue.record(product, "objection_settled"))
    assert venue.read_trade(trade["trade"], other)["state"] == "completed", "units against payment, at once"
    assert look(buyer, stop)["state"] == "open"
    assert depth(venue, listing)[0] == [(950, 1)]


def test_a_stop_is_cancelled_like_any_order(venue: Venue, buyer: Person, book: str) -> None:
    before = buyer.account()
    stop = buy(venue, buyer, book, 4, 950, order_type="stop_limit", stop_fen=900)
    done(buyer.delete(f"/v1/orders/{stop['order']}"))
    assert closed(look(buyer, stop)) == ("cancelled", 0)
    assert buyer.account() == before


# -- minimum quantity, all or none


def test_less_than_the_minimum_is_nothing(venue: Venue, merchant: Person, buyer: Person, book: str) -> None:
    sell(venue, merchant, book, 3, 800)
    assert closed(buy(venue, buyer, book, 6, 800, minimum_quantity=4)) == ("minimum_quantity", 0)
    placed = buy(venue, buyer, book, 6, 800, minimum_quantity=3)
    assert (placed["state"], placed["filled"], placed["remaining"]) == ("partly_filled", 3, 3)


def test_all_or_none_rests_until_somebody_takes_all(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    whole = buy(venue, buyer, book, 5, 800, all_or_none=True)
    behind = buy(venue, other, book, 2, 790)
    small = sell(venue, merchant, book, 2, 790)
    assert prices(small) == [(790, 2)], "it passes over who wants five or nothing"
    assert (look(buyer, whole)["filled"], look(other, behind)["state"]) == (0, "filled")
    assert prices(sell(venue, merchant, book, 5, 790)) == [(800, 5)]
    assert look(buyer, whole)["state"] == "filled"


def test_all_or_none_with_ioc_is_never_a_part(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    sell(venue, merchant, book, 3, 800)
    placed = buy(venue, buyer, book, 5, 800, all_or_none=True, time_in_force="ioc")
    assert (placed["state"], placed["filled"]) == ("closed", 0)
    placed = buy(venue, buyer, book, 3, 800, all_or_none=True, time_in_force="ioc")
    assert (placed["state"], placed["filled"]) == ("filled", 3)


# -- replace


def test_a_smaller_quantity_keeps_the_place(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    first, second = buy(venue, buyer, book, 5, 800), buy(venue, other, book, 5, 800)
    before = buyer.account()["reserved"]
    done(replace(buyer, first, 3, 800))
    assert buyer.account()["reserved"] == before - 2 * 800
    sell(venue, merchant, book, 3, 800)
    assert (look(buyer, first)["state"], look(other, second)["filled"]) == ("filled", 0)


@pytest.mark.parametrize("change", [(6, 800), (5, 801)])
def test_anything_else_loses_the_place(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str, change: tuple[int, int]
) -> None:
    first, second = buy(venue, buyer, book, 5, 800), buy(venue, other, book, 5, 800)
    done(replace(buyer, first, *change))
    if change[1] != 800:
        done(replace(buyer, first, 5, 800))
    sell(venue, merchant, book, 5, 800)
    assert (look(buyer, first)["filled"], look(other, second)["state"]) == (0, "filled")


def test_a_replaced_price_that_crosses_trades_at_once(
    venue: Venue, merchant: Person, buyer: Person, book: str
) -> None:
    resting = buy(venue, buyer, book, 5, 700)
    sell(venue, merchant, book, 3, 800)
    done(replace(buyer, resting, 5, 850))
    assert fills(buyer, resting) == [(800, 3)]
    assert depth(venue, book) == ([(850, 2)], [])


def test_who_may_replace_what(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    resting = buy(venue, buyer, book, 5, 700)
    refused(replace(other, resting, 4, 700), 404, "not_found")
    sell(venue, merchant, book, 5, 700)
    not_taken(replace(buyer, resting, 4, 700), "too_late")


def test_a_replace_needs_its_money(venue: Venue, book: str) -> None:
    poor = venue.buyer(cash_fen=5_000)
    resting, before = buy(venue, poor, book, 5, 1_000), poor.account()
    refused(replace(poor, resting, 6, 1_000), 409, "funds_insufficient")
    assert (look(poor, resting)["remaining"], poor.account()) == (5, before)


# -- mass cancel, cancel on disconnect


def test_mass_cancel_by_side_by_listing_and_of_all(venue: Venue, merchant: Person, book: str) -> None:
    elsewhere = venue.book_listing(merchant)
    bid, ask = buy(venue, merchant, book, 1, 500), sell(venue, merchant, book, 1, 900)
    far = [buy(venue, merchant, elsewhere, 1, 500), sell(venue, merchant, elsewhere, 1, 900)]
    for body, gone in (
        ({"listing": book, "side": "sell"}, [ask]),
        ({"listing": book}, [bid]),
        ({}, far),
    ):
        told = str(done(merchant.post("/v1/orders/mass-cancel", body)))
        assert [one["order"] for one in (bid, ask, *far) if f"'{one['order']}'" in told] == [
            one["order"] for one in gone
        ]
        assert [closed(look(merchant, one)) for one in gone] == [("cancelled", 0)] * len(gone)


def test_mass_cancel_touches_nobody_else(venue: Venue, buyer: Person, other: Person, book: str) -> None:
    mine, theirs = buy(venue, buyer, book, 1, 500), buy(venue, other, book, 1, 500)
    done(buyer.post("/v1/orders/mass-cancel", {"listing": book}))
    assert (look(buyer, mine)["state"], look(other, theirs)["state"]) == ("closed", "open")


def test_what_asked_for_it_is_cancelled_with_the_connection(venue: Venue, buyer: Person, book: str) -> None:
    with line_of(buyer) as line:
        answer = line.ask("place", order=order(book, 1, limit_fen=500, cancel_on_disconnect=True))
        assert answer["status"] == 201, answer
        frail = answer["order"]
        firm = line.ask("place", order=order(book, 1, limit_fen=500))["order"]
        assert look(buyer, frail)["state"] == "open"
    assert closed(eventually(buyer, frail, lambda seen: seen["state"] == "closed")) == ("disconnected", 0)
    assert look(buyer, firm)["state"] == "open"


def test_there_is_no_connection_to_lose_over_http(venue: Venue, buyer: Person, book: str) -> None:
    answer = venue.order(buyer, book, limit_fen=500, cancel_on_disconnect=True)
    assert answer.status_code in (400, 409, 422), answer.text


def test_orders_of_all_kinds_outlive_kill_9(
    venue: Venue, merchant: Person, buyer: Person, other: Person, book: str
) -> None:
    iceberg = sell(venue, merchant, book, 9, 900, display_quantity=2)
    stop = buy(venue, buyer, book, 1, 950, order_type="stop_limit", stop_fen=900)
    whole = buy(venue, other, book, 5, 800, all_or_none=True)
    until = buy(venue, buyer, book, 1, 700, time_in_force="gtd", expires_at=venue.in_days(2))
    before = depth(venue, book), merchant.account(), buyer.account(), other.account()
    killed(venue)
    assert (depth(venue, book), merchant.account(), buyer.account(), other.account()) == before
    sell(venue, merchant, book, 2, 790)
    assert look(other, whole)["filled"] == 0
    buy(venue, other, book, 3, 900)
    killed(venue)
    assert (look(merchant, iceberg)["filled"], look(buyer, stop)["filled"]) == (2, 1)
    venue.advance(days=2, seconds=60)
    assert closed(look(buyer, until)) == ("expired", 0)
    verified(venue)


# -- tick, lot, collar, ceiling


def test_prices_are_multiples_of_the_tick(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant, tick_fen=10)
    not_taken(venue.order(buyer, book, limit_fen=805), "tick")
    assert buy(venue, buyer, book, 1, 810)["state"] == "open"


@pytest.mark.parametrize(
    "terms",
    [{"tick_fen": -5}, {"tick_fen": 7}, {"tick_fen": 10**13}, {"collar_bp": -1}, {"collar_bp": 10**9}],
)
def test_a_tick_or_collar_that_no_book_has_is_refused(
    venue: Venue, merchant: Person, terms: dict[str, int]
) -> None:
    """The reference price, 1,000 fen, is one that can be bid."""
    drafted = {"mechanism": "continuous_auction", "supply": "limited", "supply_units": 10, "price_fen": 1_000}
    body = {
        "product": venue.product(merchant),
        "board": "computing",
        "attributes": venue.filled_in("computing"),
        "terms": venue.terms(**drafted, **terms),
    }
    assert next(iter(terms)) in refused(merchant.post("/v1/listings", body), 422, "out_of_bounds")["detail"]
    body["terms"] = venue.terms(**drafted, tick_fen=10, collar_bp=500)
    shown = done(venue.desk.get(f"/v1/listings/{done(merchant.post('/v1/listings', body))['listing']}"), 200)
    assert (shown["tick_fen"], shown["collar_bp"]) == (10, 500)


def test_only_a_book_has_a_tick(venue: Venue, merchant: Person) -> None:
    for terms in ({"tick_fen": 10}, {"collar_bp": 500}):
        body = {
            "product": venue.product(merchant),
            "board": "general",
            "attributes": venue.filled_in("general"),
            "terms": venue.terms(**terms),
        }
        refused(merchant.post("/v1/listings", body), 422, "out_of_bounds")


def test_a_refusal_has_the_figures_of_its_book(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant, tick_fen=10, collar_bp=1_000, price_per_units=5)
    for quantity, limit_fen, code, figures in (
        (5, 1_005, "tick", "multiples of 10 fen"),
        (6, 1_000, "lot", "multiples of 5,"),
        (5, 1_110, "collar", "between 900 and 1100 fen"),
    ):
        told = not_taken(venue.order(buyer, book, quantity, limit_fen=limit_fen), code)
        assert figures in told["detail"]


def test_what_contradicts_what_is_said(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant)
    for asks, words in (
        ({"display_quantity": 9}, "at most the quantity"),
        ({"all_or_none": True, "minimum_quantity": 2}, "all_or_none goes without"),
        ({"post_only": True, "time_in_force": "ioc"}, "ioc and fok rest nowhere"),
        ({"expires_at": venue.in_days(3)}, "expires_at goes with gtd"),
    ):
        told = refused(venue.order(buyer, book, 4, limit_fen=1_000, **asks), 400, "malformed")
        assert words in told["detail"]


def test_quantities_are_multiples_of_the_lot(venue: Venue, merchant: Person, buyer: Person) -> None:
    book = venue.book_listing(merchant, price_per_units=10)
    not_taken(venue.order(buyer, book, 15, limit_fen=800), "lot")
    resting = buy(venue, buyer, book, 20, 800)
    not_taken(replace(buyer, resting, 15, 800), "lot")


def test_a_limit_far_from_the_reference_is_refused(venue: Venue, merchant: Person, buyer: Person) -> None:
    """The reference is the last settled price, before any the listing's own (1,000)."""
    book = venue.book_listing(merchant, collar_bp=1_000)
    for price in (899, 1_101):
        not_taken(venue.order(buyer, book, limit_fen=price), "collar")
    deal(venue, merchant, buyer, book, 1_100)
    not_taken(venue.order(buyer, book, limit_fen=1_211), "collar")
    assert buy(venue, buyer, book, 1, 1_210)["state"] == "open"


def test_no_limit_above_the_guided_ceiling(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant, classification={"origin": "public", "open_class": "unconditional"})
    book = venue.book_listing(merchant, product=product, price_regime="gov_guided", price_cap_fen=1_000)
    for side, person in (("sell", merchant), ("buy", buyer)):
        not_taken(venue.order(person, book, side=side, limit_fen=1_001), "above_ceiling", "unlawful")
    deal(venue, merchant, buyer, book, 1_000)


# -- self-trade prevention


@pytest.fixture
def sister(venue: Venue, merchant: Person) -> Person:
    """Of the same ultimate owner as the merchant."""
    return venue.buyer(owner_id=f"owner-{merchant.uscc}")


def test_cancel_newest_ends_what_comes(venue: Venue, merchant: Person, sister: Person, book: str) -> None:
    own = sell(venue, merchant, book, 5, 800)
    for how in ({}, {"self_trade": "cancel_newest"}):
        assert closed(buy(venue, sister, book, 3, 850, **how)) == ("self_trade", 0)
    assert (look(merchant, own)["remaining"], depth(venue, book)) == (5, ([], [(800, 5)]))


def test_cancel_oldest_ends_what_rests_and_goes_on(
    venue: Venue, merchant: Person, sister: Person, book: str
) -> None:
    stranger = holder(venue, merchant, book)
    own, theirs = sell(venue, merchant, book, 5, 800), sell(venue, stranger, book, 2, 820)
    placed = buy(venue, sister, book, 3, 850, self_trade="cancel_oldest")
    assert (prices(placed), placed["remaining"]) == ([(820, 2)], 1)
    assert closed(look(merchant, own)) == ("self_trade", 0)
    assert (look(stranger, theirs)["state"], depth(venue, book)) == ("filled", ([(850, 1)], []))


def test_cancel_both_ends_both(venue: Venue, merchant: Person, sister: Person, book: str) -> None:
    own = sell(venue, merchant, book, 5, 800)
    assert closed(buy(venue, sister, book, 3, 850, self_trade="cancel_both")) == ("self_trade", 0)
    assert closed(look(merchant, own)) == ("self_trade", 0)
    assert depth(venue, book) == ([], [])


def test_decrement_takes_the_smaller_from_both(
    venue: Venue, merchant: Person, sister: Person, book: str
) -> None:
    own, units = sell(venue, merchant, book, 5, 800), merchant.account(f"unit:{book}")
    assert closed(buy(venue, sister, book, 3, 850, self_trade="decrement")) == ("self_trade", 0)
    assert (look(merchant, own)["state"], look(merchant, own)["remaining"]) == ("open", 2)
    assert merchant.account(f"unit:{book}")["reserved"] == units["reserved"] - 3
    assert depth(venue, book) == ([], [(800, 2)])


@pytest.mark.parametrize("mode", ["cancel_newest", "cancel_oldest", "cancel_both", "decrement"])
def test_no_residual_rests_that_would_cross(venue: Venue, merchant: Person, mode: str) -> None:
    """Two of another's come first, then the own three; what is left of six never stands above what is offered."""
    book = venue.book_listing(merchant)
    stranger, before = holder(venue, merchant, book), merchant.account()["reserved"]
    sell(venue, stranger, book, 2, 790)
    sell(venue, merchant, book, 3, 800)
    sell(venue, stranger, book, 1, 840)
    placed = buy(venue, merchant, book, 6, 830, self_trade=mode)
    assert prices(placed) == [(790, 2)], "what was dealt before stands"
    bids, asks = depth(venue, book)
    assert not bids or bids[0][0] < asks[0][0], (bids, asks)
    assert merchant.account()["reserved"] == before + sum(price * quantity for price, quantity in bids)


# -- books


def test_one_book_per_licence_class(venue: Venue, merchant: Person, buyer: Person) -> None:
    """A listing is one class: right, purpose, territory, field group. Another class is another listing, with its book."""
    product = venue.product(merchant)
    wide = {"purposes": ["market_analysis", "risk_control"], "territories": ["CN"]}
    terms = venue.terms(mechanism="continuous_auction", supply="limited", supply_units=9, **wide)
    body = {"product": product, "board": "computing", "terms": terms}
    refused(merchant.post("/v1/listings", body), 422, "out_of_bounds")
    analysis = venue.book_listing(merchant, product=product)
    control = venue.book_listing(merchant, product=product, purposes=["risk_control"])
    sell(venue, merchant, analysis, 1, 800)
    placed = buy(venue, buyer, control, 1, 850, purpose="risk_control")
    assert (placed["state"], placed["filled"]) == ("open", 0)
    refused(venue.order(buyer, analysis, limit_fen=850, purpose="risk_control"), 422, "outside_terms")
