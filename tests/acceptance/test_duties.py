"""Issue 4, duties after the trade over HTTP: opened, reminded, proven, accepted, broken with its article, redressed."""

import datetime
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.storybook import Row
from tests.story import Person, Venue, done, parsed, refused, rules_named, sha256_of

TRIPS: dict[str, Any] = {
    "classification": {
        "origin": "personal",
        "pi_state": "identifiable",
        "sensitive_pi": False,
        "under14": False,
    },
    "consent": {"basis": "separate_consent", "purposes": ["market_analysis", "risk_control"]},
}


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


@pytest.fixture(scope="module")
def buyer(venue: Venue) -> Person:
    return venue.buyer()


def bought(venue: Venue, merchant: Person, buyer: Person, **product: Any) -> tuple[str, str]:
    """A completed trade of a licence of ten days, and its product."""
    made = venue.product(merchant, **product)
    trade = venue.trade(buyer, venue.listing(merchant, made, term_days=10))
    venue.complete(merchant, buyer, trade)
    return trade, made


def duties(person: Person, **query: str) -> list[dict[str, Any]]:
    return list(person.every("/v1/duties", **query))


def only_duty(person: Person, trade: str, kind: str) -> dict[str, Any]:
    (found,) = (row for row in duties(person, trade=trade) if row["kind"] == kind)
    return found


def test_a_term_that_ends_opens_the_duty_to_delete_and_the_buyer_proves_it(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    trade, _ = bought(venue, merchant, buyer)
    assert duties(buyer, trade=trade) == []
    entitlement = venue.read_trade(trade, buyer)["entitlement"]
    proof = {"evidence_sha256": sha256_of("wiped")}
    refused(buyer.post(f"/v1/entitlements/{entitlement}/deletion-proof", proof), 404, "not_found")
    venue.advance(days=10, seconds=60)
    duty = only_duty(buyer, trade, "deletion")
    assert (duty["state"], duty["rule"], duty["participant"]) == ("scheduled", "P03", buyer.participant)
    assert "第二十五条" in duty["clause_zh"]
    assert only_duty(merchant, trade, "deletion")["duty"] == duty["duty"]
    refused(merchant.post(f"/v1/duties/{duty['duty']}/proofs", proof), 404, "not_found")
    refused(venue.buyer(cash_fen=0).get(f"/v1/duties/{duty['duty']}"), 404, "not_found")
    told = done(buyer.post(f"/v1/entitlements/{entitlement}/deletion-proof", proof))
    assert (told["duty"], told["state"]) == (duty["duty"], "done")
    assert done(buyer.get(f"/v1/duties/{duty['duty']}"))["evidence_sha256"] == proof["evidence_sha256"]
    assert done(buyer.get(f"/v1/entitlements/{entitlement}"))["state"] == "deleted"
    assert duties(buyer, trade=trade, state="scheduled") == []


def test_a_missed_duty_is_reminded_then_broken_with_its_article_then_redressed(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    trade, _ = bought(venue, merchant, buyer)
    venue.advance(days=10, seconds=60)
    duty = only_duty(buyer, trade, "deletion")
    venue.advance(seconds=int((parsed(duty["due"]) - venue.now()).total_seconds()) - 3_600)
    duty = only_duty(buyer, trade, "deletion")
    assert (duty["state"], duty["reminded"] < duty["due"]) == ("reminded", True)
    venue.advance(days=1)
    duty = only_duty(buyer, trade, "deletion")
    assert (duty["state"], duty["due"] < duty["broken"]) == ("broken", True)
    assert rules_named(duty["violated"]) == {"P03"}
    assert duty["violated"][0]["citations"]
    answer = buyer.post(f"/v1/duties/{duty['duty']}/proofs", {"evidence_sha256": sha256_of("late")})
    assert done(answer)["state"] == "late"
    path = f"/v1/duties/{duty['duty']}/decisions"
    refused(buyer.post(path, {"step": "accept"}), 403, "forbidden")
    assert done(venue.reviewer().post(path, {"step": "accept"}))["state"] == "redressed"


def test_withdrawn_consent_stops_new_trades_and_those_who_have_the_data(
    venue: Venue, merchant: Person, buyer: Person
) -> None:
    trade, product = bought(venue, merchant, buyer, **TRIPS)
    done(venue.record(product, "consent_withdrawn"))
    assert venue.read_trade(trade, buyer)["state"] == "completed"
    duty = only_duty(buyer, trade, "stop")
    assert (duty["rule"], duty["reviewed"], duty["cause"]) == ("P05", True, "consent_withdrawn")
    done(buyer.post(f"/v1/duties/{duty['duty']}/proofs", {"evidence_sha256": sha256_of("stopped")}))
    path = f"/v1/duties/{duty['duty']}/decisions"
    refused(venue.reviewer().post(path, {"step": "refuse"}), 400, "malformed")
    assert done(venue.reviewer().post(path, {"step": "accept"}))["state"] == "done"


@dataclass(frozen=True)
class Owed(Row):
    """A duty that one does in time and another does not. `happens` is what opens it, once both have the data."""

    kind: str
    happens: str
    of_persons: bool = False


OWED = (
    Owed("P01", "filing", "registered"),
    Owed("P03", "deletion", "term over"),
    Owed("P05", "stop", "consent withdrawn", of_persons=True),
)


def happens(venue: Venue, owed: Owed, product: str) -> None:
    if owed.happens == "term over":
        venue.advance(days=10, seconds=60)
    if owed.happens == "consent withdrawn":
        done(venue.record(product, "consent_withdrawn"))


@pytest.mark.parametrize("owed", OWED, ids=lambda owed: f"{owed.rule} {owed.kind}")
def test_a_duty_not_done_is_a_breach_of_exactly_this_rule(venue: Venue, merchant: Person, owed: Owed) -> None:
    """And its lawful twin: the same duty of another trade, proven in time."""
    product = venue.product(merchant, **(TRIPS if owed.of_persons else {}))
    if owed.happens == "registered":
        venue.enter("ip_registrations", {"number": "1", "authority": "北京"}, product=product)
    listing = venue.listing(merchant, product, term_days=10)
    trades = {}
    for buyer in (venue.buyer(), venue.buyer()):
        trades[venue.trade(buyer, listing)] = buyer
    for trade, buyer in trades.items():
        venue.complete(merchant, buyer, trade)
    happens(venue, owed, product)
    kept, broken = (only_duty(merchant, trade, owed.kind) for trade in trades)
    prover = merchant if kept["participant"] == merchant.participant else trades[kept["trade"]]
    path = f"/v1/duties/{kept['duty']}"
    done(prover.post(f"{path}/proofs", {"evidence_sha256": sha256_of("done")}))
    if kept["reviewed"]:
        done(venue.reviewer().post(f"{path}/decisions", {"step": "accept"}))
    venue.advance(seconds=int((parsed(broken["due"]) - venue.now()).total_seconds()) + 60)
    kept, broken = (only_duty(merchant, trade, owed.kind) for trade in trades)
    assert (kept["state"], kept["violated"]) == ("done", [])
    assert (broken["state"], rules_named(broken["violated"])) == ("broken", {owed.rule})


@dataclass(frozen=True)
class Finding(Row):
    """What a reviewer has seen at a buyer: what breaks the rule, and what does not."""

    kind: str
    wrong: tuple[str, Any]
    right: tuple[str, Any]


FINDINGS = (
    Finding("P02", "records", ("kept_years", 2), ("kept_years", 3)),
    Finding("P04", "purpose", ("observed", "advertising"), ("observed", "market_analysis")),
)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: f"{finding.rule} {finding.kind}")
def test_what_a_reviewer_finds_is_a_breach_of_exactly_this_rule(
    venue: Venue, merchant: Person, buyer: Person, finding: Finding
) -> None:
    trade, _ = bought(venue, merchant, buyer, **TRIPS)
    path = f"/v1/trades/{trade}/findings"
    body = {"rule": finding.rule, "evidence_sha256": sha256_of("log"), "reason": "审计"}
    field, value = finding.right
    refused(venue.reviewer().post(path, {**body, field: value}), 409, "wrong_state")
    field, value = finding.wrong
    assert done(venue.reviewer().post(path, {**body, field: value}))["state"] == "broken"
    duty = only_duty(buyer, trade, finding.kind)
    assert rules_named(duty["violated"]) == {finding.rule}


def test_a_reviewer_finds_a_use_that_was_not_agreed(venue: Venue, merchant: Person, buyer: Person) -> None:
    trade, _ = bought(venue, merchant, buyer)
    body = {
        "rule": "P04",
        "evidence_sha256": sha256_of("log"),
        "reason": "审计日志",
        "observed": "advertising",
    }
    path = f"/v1/trades/{trade}/findings"
    refused(merchant.post(path, body), 403, "forbidden")
    refused(venue.reviewer().post(path, {**body, "observed": venue.read_trade(trade, buyer)["purpose"]}), 409)
    assert done(venue.reviewer().post(path, body))["state"] == "broken"
    duty = only_duty(buyer, trade, "purpose")
    assert rules_named(duty["violated"]) == {"P04"}


def test_the_calendar_says_how_far_it_is_published_and_takes_a_notice(venue: Venue, merchant: Person) -> None:
    seen = done(venue.http.get("/v1/calendar"))
    year = seen["published_until"] + 1
    notice = {
        "year": year,
        "off": [f"{year}-10-01" if _is_weekday(year, 10, 1) else f"{year}-10-04"],
        "worked": [],
        "evidence_sha256": sha256_of("notice"),
    }
    refused(merchant.post("/v1/calendar/years", notice), 403, "forbidden")
    refused(venue.operator.post("/v1/calendar/years", {**notice, "off": ["soon"]}), 400, "malformed")
    known = {**notice, "year": year - 1, "off": [f"{year - 1}-10-01"]}
    refused(venue.operator.post("/v1/calendar/years", known), 403, "forbidden")
    assert done(venue.operator.post("/v1/calendar/years", notice), 201)["year"] == year
    assert done(venue.http.get("/v1/calendar"))["entered"] == [year]


def _is_weekday(year: int, month: int, day: int) -> bool:
    return datetime.date(year, month, day).weekday() < 5
