"""Issue 4, "Post-trade duties": until when, by an outsider's own count of working days; and what a breach costs.

`test_duties` has the life of a duty; here are its dates. What the checks expect:

    GET  /v1/duties?trade=    items: duty, trade, rule (P01: filing), participant (who must), due, provisional, state
         (scheduled, reminded, done, broken)
    POST /v1/duties/{duty}/proofs    {evidence_sha256}, by whoever must
    GET  /v1/credit/me               a broken duty is a reason whose events name it
"""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from chinese_calendar import constants

from tests.story import Person, Venue, done, parsed, sha256_of, unlawful

BEIJING = ZoneInfo("Asia/Shanghai")
PERSONAL: dict[str, Any] = {
    "classification": {"origin": "personal", "pi_state": "identifiable"},
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis"]},
}


def duties(asked_by: Person, trade: str) -> dict[str, dict[str, Any]]:
    """The duties of a trade by their rule."""
    return {row["rule"]: row for row in asked_by.every("/v1/duties", trade=trade)}


def last_day(due: str) -> datetime.date:
    """The last day on which it is in time, in Beijing; midnight at its end belongs to it."""
    at = parsed(due).astimezone(BEIJING) - datetime.timedelta(microseconds=1)
    return at.date()


def nth_working_day(start: datetime.date, count: int) -> datetime.date:
    """That many working days after the start, which does not count, by the State Council's notices."""
    day = start
    while count:
        day += datetime.timedelta(days=1)
        count -= chinese_calendar.is_workday(day)
    return day


def registered_ip(venue: Venue, merchant: Person) -> str:
    """A listing whose product is registered as data IP outside, where each trade is filed (北京 16)."""
    product = venue.product(merchant)
    facts = {"number": "京知数 2026-1", "authority": "北京市知识产权保护中心"}
    body = {
        "product": product,
        "facts": facts,
        "evidence_sha256": sha256_of("ip"),
        "reason": "数据知识产权登记",
    }
    done(venue.desk.post("/v1/registers/ip_registrations/entries", body), 201)
    return venue.listing(merchant, product)


def completed(venue: Venue, merchant: Person, buyer: Person, listing: str) -> str:
    trade = venue.trade(buyer, listing)
    venue.complete(merchant, buyer, trade)
    return trade


def score(person: Person) -> int:
    return int(done(person.get("/v1/credit/me"), 200)["score"])


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def test_a_trade_in_registered_ip_is_filed_within_ten_working_days(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "filing with the registration institution within ten working days" (北京 16), "on the Chinese working
    calendar"; by the seller, and nobody else proves it."""
    trade = completed(venue, merchant, buyer, registered_ip(venue, merchant))
    settled = parsed(venue.read_trade(trade, buyer)["dates"]["settled"])
    duty = duties(merchant, trade)["P01"]
    assert (duty["state"], duty["participant"]) == ("scheduled", merchant.participant)
    if not duty["provisional"]:
        day = settled.astimezone(BEIJING).date()
        assert last_day(duty["due"]) == nth_working_day(day, 10)
    path, proof = f"/v1/duties/{duty['duty']}/proofs", {"evidence_sha256": sha256_of("receipt")}
    for other in (buyer, venue.buyer(cash_fen=0)):
        assert other.post(path, proof).status_code in (403, 404)
    done(merchant.post(path, proof))
    assert duties(merchant, trade)["P01"]["evidence_sha256"] == proof["evidence_sha256"]
    other_data = completed(venue, merchant, buyer, venue.listing(merchant))
    assert "P01" not in duties(merchant, other_data)


def test_a_broken_duty_costs_credit_of_whoever_owed_it(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "reminded, and go to credit when broken"."""
    trade = completed(venue, merchant, buyer, venue.listing(merchant, term_days=5))
    venue.advance(days=5, seconds=60)
    duty = duties(buyer, trade)["P03"]
    before, sellers = score(buyer), score(merchant)
    venue.advance(seconds=int((parsed(duty["due"]) - venue.now()).total_seconds()) + 60)
    assert duties(buyer, trade)["P03"]["state"] == "broken"
    after = done(buyer.get("/v1/credit/me"), 200)
    assert after["score"] < before
    named = [reason for reason in after["reasons"] if duty["duty"] in reason["events"]]
    assert named
    assert all(reason["clause"] for reason in named)
    assert score(merchant) >= sellers


def test_consent_withdrawn_between_order_and_settlement_blocks(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    """Line: "Consent withdrawn between order and settlement blocks": the trade is held meanwhile, and ends refused."""
    product = venue.product(merchant, **PERSONAL)
    listing = venue.listing(merchant, product)
    done(venue.record(product, "objection_raised"))
    before = buyer.account()
    trade = venue.held(buyer, listing, "B11")
    done(venue.record(product, "consent_withdrawn", by=merchant))
    assert venue.read_trade(trade, buyer)["state"] == "refused"
    assert buyer.account() == before
    done(venue.record(product, "objection_settled"))
    assert venue.read_trade(trade, buyer)["state"] == "refused"
    unlawful(venue.order(buyer, listing), "C05")
    assert duties(buyer, trade) == {}


def test_a_year_not_yet_published_is_provisional(venue: Venue, merchant: Person, buyer: Person) -> None:
    """Line: "a year not yet published falls back to `holidays`, marked provisional". (The last check: it moves far.)"""
    listing = registered_ip(venue, merchant)
    near_the_end = datetime.datetime(max(constants.holidays).year, 12, 28, 4, tzinfo=datetime.UTC)
    if near_the_end > venue.now():
        venue.advance(seconds=int((near_the_end - venue.now()).total_seconds()))
    trade = completed(venue, merchant, buyer, listing)
    duty = duties(merchant, trade)["P01"]
    assert duty["provisional"] is True
    waited = last_day(duty["due"]) - venue.now().astimezone(BEIJING).date()
    assert 14 <= waited.days <= 26, "ten working days with a holiday among them, not ten days"
