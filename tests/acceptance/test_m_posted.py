"""Issue 5, "Posted price": unlimited, limited and exclusive supply, quantity tiers, per-buyer limits."""

from typing import Any

import pytest

from tests.acceptance.floor import not_taken, paid, refunded, verified
from tests.story import Person, Venue, done, refused

TIERS = [
    {"from_units": 1, "price_fen": 500},
    {"from_units": 10, "price_fen": 400},
    {"from_units": 100, "price_fen": 300},
]


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


@pytest.fixture(scope="module")
def tiered(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant, price_fen=500, tiers=TIERS)


def test_unlimited_limited_and_exclusive_supply(venue: Venue, merchant: Person, buyer: Person) -> None:
    venue.trade(buyer, venue.listing(merchant), 1_000)
    limited = venue.listing(merchant, supply="limited", supply_units=3)
    venue.trade(buyer, limited, 3)
    refused(venue.order(buyer, limited), 409, "supply_exhausted")
    sole = venue.listing(merchant, deal="exclusive_licence", supply="exclusive", supply_units=1)
    venue.trade(buyer, sole)
    assert venue.order(venue.buyer(), sole).status_code in (409, 422)


@pytest.mark.parametrize(
    ("quantity", "price_fen"),
    [
        pytest.param(9, 500),
        pytest.param(10, 400),
        pytest.param(99, 400),
        pytest.param(100, 300),
    ],
)
def test_the_whole_order_at_the_price_of_its_tier(
    venue: Venue, tiered: str, buyer: Person, quantity: int, price_fen: int
) -> None:
    before = buyer.balance
    trade = venue.read_trade(venue.trade(buyer, tiered, quantity), buyer)
    assert (trade["price_fen"], trade["amount_fen"]) == (price_fen, quantity * price_fen)
    assert before - buyer.balance == quantity * price_fen


def test_tiers_are_told_and_limits_hold(venue: Venue, tiered: str, buyer: Person) -> None:
    assert done(venue.http.get(f"/v1/listings/{tiered}"), 200)["tiers"] == TIERS
    before = buyer.account()
    answer = venue.order(buyer, tiered, 9, limit_fen=400, time_in_force="ioc")
    assert answer.status_code == 409 or answer.json()["filled"] == 0, answer.text
    assert buyer.account() == before
    venue.trade(buyer, tiered, 10, limit_fen=400)


@pytest.mark.parametrize(
    "wrong",
    [
        [{"from_units": 5, "price_fen": 500}],
        [{"from_units": 1, "price_fen": 500}, {"from_units": 1, "price_fen": 400}],
        [{"from_units": 10, "price_fen": 400}, {"from_units": 1, "price_fen": 500}],
        [{"from_units": 1, "price_fen": -1}],
    ],
)
def test_absurd_tiers_are_refused(venue: Venue, merchant: Person, wrong: list[dict[str, Any]]) -> None:
    body = {"product": venue.product(merchant), "board": "general", "terms": venue.terms(tiers=wrong)}
    answer = merchant.post("/v1/listings", body)
    assert answer.status_code in (400, 422), answer.text


def test_nobody_buys_more_than_the_limit_of_a_buyer(venue: Venue, merchant: Person, buyer: Person) -> None:
    listing = venue.listing(merchant, per_buyer_units=3)
    venue.trade(buyer, listing, 2)
    not_taken(venue.order(buyer, listing, 2))
    sister = venue.buyer(owner_id=f"owner-{buyer.uscc}")
    not_taken(venue.order(sister, listing, 2))
    venue.advance(days=1)
    venue.trade(sister, listing, 1)
    not_taken(venue.order(buyer, listing, 1))
    venue.trade(venue.buyer(), listing, 3)


def test_a_tiered_price_to_its_payment_and_refund_through_kill_9(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    listing = venue.listing(merchant, price_fen=500, tiers=TIERS, per_buyer_units=20)
    paid(venue, merchant, buyer, venue.trade(buyer, listing, 10), kill=True)
    before = buyer.balance
    refunded(venue, buyer, venue.trade(buyer, listing, 10), before)
    verified(venue)
