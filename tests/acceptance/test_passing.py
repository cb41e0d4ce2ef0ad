"""Issue 4, "refuse every unlawful one": what comes between settlement and completion stops both, and says by which rule.

What the checks expect; more members are welcome:

    POST /v1/trades/{trade}/delivery      -> 422 unlawful, violated: [{rule}], detail: what has to be recorded
    POST /v1/trades/{trade}/acceptance    -> the same
    GET  /v1/trades/{trade}               stopped: null, or {violated: [{rule}], until}
"""

from typing import Any

import pytest

from tests.acceptance.test_registers import FROZEN, enter
from tests.story import Person, Venue, done, parsed, rules_named, unlawful


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def stopped(venue: Venue, trade: str, buyer: Person) -> Any:
    return venue.read_trade(trade, buyer)["stopped"]


def test_a_frozen_right_is_not_delivered(venue: Venue, merchant: Person, buyer: Person) -> None:
    product = venue.product(merchant)
    trade = venue.trade(buyer, venue.listing(merchant, product))
    assert stopped(venue, trade, buyer) is None
    done(enter(venue.desk, "freezes", FROZEN, product=product), 201)
    body = {"kind": "address", "url": "https://api.shuji.example/teu"}
    said = unlawful(merchant.post(f"/v1/trades/{trade}/delivery", body), "B21")
    assert "court" in said["detail"], "what has to be recorded"
    told = stopped(venue, trade, buyer)
    assert (rules_named(told["violated"]), told["until"]) == ({"B21"}, None)
    done(enter(venue.desk, "freezes", {**FROZEN, "state": "lifted"}, product=product), 201)
    venue.complete(merchant, buyer, trade)


def test_silence_does_not_accept_from_whom_nobody_may_deal_with(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.hand_over(merchant, trade)
    due = venue.read_trade(trade, buyer)["dates"]["acceptance_due"]
    paid = merchant.balance
    facts = {"list": "export_control", "version": "2026-11", "state": "listed"}
    done(enter(venue.desk, "restricted_lists", facts, participant=buyer.participant), 201)
    unlawful(buyer.post(f"/v1/trades/{trade}/acceptance", {}), "E04")
    venue.advance(days=4)
    row = venue.read_trade(trade, buyer)
    assert (row["state"], rules_named(row["stopped"]["violated"])) == ("delivered", {"E04"})
    assert parsed(due) < parsed(row["dates"]["acceptance_due"]) <= parsed(row["stopped"]["until"])
    assert merchant.balance == paid
    done(
        enter(venue.desk, "restricted_lists", {**facts, "state": "removed"}, participant=buyer.participant),
        201,
    )
    venue.advance(days=11)
    assert venue.read_trade(trade, buyer)["state"] == "completed"
    assert merchant.balance > paid
