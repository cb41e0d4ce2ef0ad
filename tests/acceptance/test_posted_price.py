"""A posted price: what is shown of its tiers and limits, and that a limit outlives a kill and is given back by refunds."""

from typing import Any

import pytest

from tests.story import Person, Venue, done, refused

TIERS = [{"from_units": 1, "price_fen": 50_000}, {"from_units": 10, "price_fen": 45_000}]


@pytest.fixture(scope="module")
def merchant(venue: Venue) -> Person:
    return venue.merchant("buyer")


def test_a_limit_outlives_a_kill_and_comes_back_with_the_price(venue: Venue, merchant: Person) -> None:
    """After acceptance too: the whole price, so the whole quantity."""
    listing = venue.listing(merchant, per_buyer_units=15, tiers=TIERS)
    buyer, sister = venue.buyer(owner_id="house of two"), venue.buyer(owner_id="house of two")
    for one in (buyer, sister):
        venue.agree(one, listing)
    trade = venue.trade(buyer, listing, 12)
    venue.complete(merchant, buyer, trade)
    venue.kill()
    venue.restart()
    refused(venue.order(sister, listing, 4), 409, "supply_exhausted")
    amount = 12 * 45_000
    venue.cash_in(merchant, amount)
    for one, state in ((buyer, "offered"), (merchant, "agreed")):
        body = {"amount_fen": amount, "reason": "both agree"}
        assert done(one.post(f"/v1/trades/{trade}/refund-agreements", body))["state"] == state
    venue.trade(sister, listing, 15)
    refused(venue.order(buyer, listing, 1), 409, "supply_exhausted")


def test_terms_are_shown_as_they_were_said(venue: Venue, merchant: Person) -> None:
    listing = venue.listing(merchant, tiers=TIERS, per_buyer_units=15)
    plain = venue.listing(merchant)
    shown = {one: done(venue.http.get(f"/v1/listings/{one}")) for one in (listing, plain)}
    assert [(row["tiers"], row["per_buyer_units"]) for row in shown.values()] == [(TIERS, 15), ([], 0)]
    contract = str(done(merchant.get(f"/v1/listings/{listing}/contract")))
    assert "10 个单位起 450.00 元" in contract
    assert "合计至多购买 15 个单位" in contract


@pytest.mark.parametrize(
    "terms",
    [
        {"tiers": TIERS, "mechanism": "off_venue"},
        {"tiers": [*TIERS, {"from_units": 20, "price_fen": 45_000}]},
        {"per_buyer_units": 3, "mechanism": "off_venue"},
        {"per_buyer_units": -1},
    ],
)
def test_terms_that_do_not_fit(venue: Venue, merchant: Person, terms: dict[str, Any]) -> None:
    body = {"product": venue.product(merchant), "board": "general", "terms": venue.terms(**terms)}
    refused(merchant.post("/v1/listings", body), 422, "out_of_bounds")
