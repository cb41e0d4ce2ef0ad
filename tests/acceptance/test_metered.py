"""Metered plans from a bill without its money to its debt, to dispute, refund and renewal, killed between any two steps."""

from typing import Any

import pytest

from tests.acceptance.floor import killed, not_taken, verified
from tests.acceptance.test_m_metered import (
    bills,
    on_sale,
    on_the_first,
    plan,
    subscribe,
    tier,
    to_the_first,
    use,
)
from tests.story import Person, Venue, done, refused

PACKED = plan(
    tier(100, 4),
    tier(None, 10),
    base_fee_fen=1_000,
    package={"units": 50, "price_fen": 150, "valid_days": 20},
)


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


def bill_of(person: Person, identifier: str) -> dict[str, Any]:
    told: dict[str, Any] = done(person.get(f"/v1/bills/{identifier}"), 200)
    return told


def test_a_bill_without_money_to_its_debt_and_back_through_kill_9(venue: Venue, merchant: Person) -> None:
    """Price 1,150; in the first month 150 units, 50 of them out of the package: 400 are asked for, and 100 are there."""
    on_the_first(venue)
    poor = venue.buyer(cash_fen=1_250)
    subscription = subscribe(venue, merchant, poor, on_sale(venue, merchant, PACKED), 2)
    done(use(venue, merchant, subscription, a=150))
    killed(venue)
    to_the_first(venue)
    [bill] = bills(poor, subscription)
    assert (bill["total_fen"], bill["prepaid_fen"], bill["amount_fen"]) == (1_550, 1_150, 400)
    assert (bill["units"], bill["packaged"], bill["state"]) == (150, 50, "due")
    refused(poor.post(f"/v1/bills/{bill['bill']}/pay", {}), 409, "funds_insufficient")
    killed(venue)
    venue.advance(days=6)
    assert bill_of(poor, bill["bill"])["state"] == "reminded"
    killed(venue)
    venue.advance(days=5)
    assert bill_of(poor, bill["bill"])["state"] == "overdue"
    told = done(poor.get(f"/v1/subscriptions/{subscription}"), 200)
    assert told["state"] == "suspended"
    [debt] = [row for row in done(poor.get("/v1/debts"))["items"] if row["trade"] == bill["bill"]]
    assert (debt["amount_fen"], debt["outstanding_fen"]) == (400, 300)
    verified(venue)
    killed(venue)
    before = merchant.balance
    venue.cash_in(poor, 299)
    killed(venue)
    assert (bill_of(poor, bill["bill"])["state"], merchant.balance) == ("overdue", before)
    venue.cash_in(poor, 1)
    killed(venue)
    assert (bill_of(poor, bill["bill"])["state"], merchant.balance) == ("paid", before + 392)
    assert done(poor.get(f"/v1/subscriptions/{subscription}"), 200)["state"] == "running"
    verified(venue)


def test_a_paid_bill_is_disputed_refunded_and_the_subscription_renewed_through_kill_9(
    venue: Venue, merchant: Person
) -> None:
    on_the_first(venue)
    buyer = venue.buyer(cash_fen=100_000)
    subscription = subscribe(venue, merchant, buyer, on_sale(venue, merchant, PACKED), 2)
    path = f"/v1/subscriptions/{subscription}"
    bought = done(buyer.post(f"{path}/packages", {"count": 2}), 201)
    assert (bought["units"], bought["amount_fen"]) == (100, 300)
    killed(venue)
    done(use(venue, merchant, subscription, a=250))
    told = done(buyer.get(path), 200)
    assert told["open_months"] == [{"month": told["month"], "metered": 100, "packaged": 150}]
    assert [row["id"] for row in done(merchant.get(f"{path}/usage"))["items"]] == ["a"]
    to_the_first(venue)
    package, bill = bills(buyer, subscription)
    assert (package["kind"], bill["kind"], bill["amount_fen"], bill["state"]) == (
        "package",
        "month",
        400,
        "paid",
    )
    killed(venue)
    claim = {"amount_fen": 100, "reason": "ten calls were ours to test"}
    assert done(buyer.post(f"/v1/bills/{bill['bill']}/dispute", claim))["state"] == "contested"
    killed(venue)
    before = buyer.balance
    answered = merchant.post(f"/v1/bills/{bill['bill']}/answer", {"agree": True})
    assert done(answered)["state"] == "paid"
    killed(venue)
    assert (buyer.balance - before, bill_of(merchant, bill["bill"])["refunded_fen"]) == (100, 100)
    not_taken(buyer.post(f"/v1/bills/{bill['bill']}/dispute", claim), "wrong_state")
    made = done(buyer.post(f"{path}/renew", {"months": 1}), 201)
    killed(venue)
    done(
        merchant.post(
            f"/v1/trades/{made['trade']}/delivery", {"kind": "address", "url": "https://shuji.example/x"}
        )
    )
    venue.accept(buyer, made["trade"])
    killed(venue)
    to_the_first(venue)
    assert done(buyer.get(path), 200)["state"] == "ended"
    follows = done(buyer.get(f"/v1/subscriptions/{made['subscription']}"), 200)
    assert (follows["follows"], follows["state"]) == (subscription, "running")
    assert {row["subscription"] for row in buyer.every("/v1/subscriptions")} == {
        subscription,
        made["subscription"],
    }
    to_the_first(venue)
    assert done(buyer.get(f"/v1/subscriptions/{made['subscription']}"), 200)["state"] == "ended"
    verified(venue)
