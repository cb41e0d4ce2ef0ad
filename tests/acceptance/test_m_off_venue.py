"""Issue 5, "Off-venue report confirmed by both sides", and M2: checked by the same rules, cleared the same way.

That reports which differ settle nothing, that one can be withdrawn, and that the law is asked: `test_orders.py`.
"""

from typing import Any

import pytest

from tests.acceptance.floor import killed, paid, refunded, struck, verified
from tests.acceptance.test_orders import report
from tests.story import Person, Venue, done, refused

MONEY = 1_000_000


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer(cash_fen=MONEY)


@pytest.fixture
def listing(venue: Venue, merchant: Person) -> str:
    return venue.listing(merchant, mechanism="off_venue")


def both(venue: Venue, merchant: Person, buyer: Person, listing: str, **changes: Any) -> str:
    """Reported by both alike; gives the trade."""
    report(venue, merchant, buyer, listing, "sell", **changes)
    return str(report(venue, buyer, merchant, listing, "buy", **changes)["trade"])


def test_nothing_is_traded_until_the_other_side_confirms(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    report(venue, buyer, merchant, listing, "buy")
    assert (struck(listing, buyer), buyer.balance) == ([], MONEY)
    assert report(venue, merchant, buyer, listing, "sell")["state"] == "settled"
    assert buyer.balance == MONEY - 30_000


def test_a_price_that_was_agreed_elsewhere_is_the_price_here(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    trade = venue.read_trade(both(venue, merchant, buyer, listing, price_fen=12_345, quantity=3), buyer)
    assert (trade["price_fen"], trade["amount_fen"]) == (12_345, 37_035)


def test_a_third_party_confirms_nothing(venue: Venue, merchant: Person, buyer: Person, listing: str) -> None:
    report(venue, merchant, buyer, listing, "sell")
    stranger = venue.buyer()
    assert report(venue, stranger, merchant, listing, "buy")["state"] == "awaiting_counterparty"
    assert struck(listing, stranger) == []


def test_a_report_that_nobody_confirms_ends(venue: Venue, merchant: Person, listing: str) -> None:
    buyer = venue.buyer(cash_fen=MONEY)
    made = report(venue, merchant, buyer, listing, "sell")
    venue.advance(days=30)
    refused(merchant.delete(f"/v1/trade-reports/{made['report']}"), 404, "not_found")
    assert report(venue, buyer, merchant, listing, "buy")["state"] == "awaiting_counterparty"


def test_a_report_is_no_order_and_an_order_no_report(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    assert venue.order(buyer, listing).status_code in (409, 422)
    body = {
        "listing": venue.listing(merchant),
        "side": "buy",
        "counterparty": merchant.participant,
        "quantity": 1,
        "price_fen": 30_000,
        "purpose": "market_analysis",
        "territory": "CN",
        "contract_sha256": "0" * 64,
    }
    assert buyer.post("/v1/trade-reports", body).status_code in (409, 422)


def test_an_off_venue_trade_to_its_payment_through_kill_9(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    report(venue, merchant, buyer, listing, "sell")
    killed(venue)
    trade = report(venue, buyer, merchant, listing, "buy")["trade"]
    paid(venue, merchant, buyer, trade, kill=True)
    verified(venue)


def test_an_off_venue_trade_to_its_refund(
    venue: Venue, merchant: Person, buyer: Person, listing: str
) -> None:
    refunded(venue, buyer, both(venue, merchant, buyer, listing), MONEY)
    assert done(buyer.get("/v1/accounts/me"), 200)["items"][0]["reserved"] == 0
