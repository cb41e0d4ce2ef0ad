"""Issue 6, "Score and consequences": incentive, punishment, repair and objection (M11), as `casebook` says them.

POST /v1/credit/objections {reference, kind, text} -> {case}   to any conduct event of one's own; decided as cases are
GET  /v1/credit/me/history?from=&until=    items: {at, score, grade}: each change, the oldest first
GET  /v1/credit/me/outlook                 items: {event, points, fades_at, repair}: what would change it
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.casebook import (
    GENERAL,
    SEVERE,
    decide,
    determine,
    determined,
    grade,
    in_force,
    object_to,
    of_house,
    rating,
    read,
    score,
    second_reviewer,
    step,
    until,
    upheld,
)
from tests.story import Person, Venue, done, instant, parsed, refused, sha256_of, shuji


@pytest.fixture
def merchant(venue: Venue) -> Person:
    return venue.merchant()


def named_in(seen: dict[str, Any], event: str) -> list[dict[str, Any]]:
    """The reasons that name an event."""
    return [reason for reason in seen["reasons"] if event in reason["events"]]


def test_a_determination_is_noticed_before_it_counts(venue: Venue, merchant: Person) -> None:
    """Line: "each with notice before effect, named decider"; then every point has its event, clause and date."""
    before = score(merchant)
    case = determined(venue, merchant)
    seen = read(merchant, case)
    assert (seen["state"], seen["severity"]) == ("noticed", "general")
    assert seen["decider"] == venue.desk.participant
    assert parsed(seen["effective_at"]) > venue.now()
    assert score(merchant) == before
    in_force(venue, merchant, case)
    assert read(merchant, case)["state"] == "in_force"
    after = rating(merchant)
    assert after["score"] < before
    assert sum(reason["points"] for reason in after["reasons"]) == after["score"]
    named = named_in(after, seen["reference"]) + named_in(after, case["case"])
    assert named
    assert all(reason["clause"] for reason in named)


def test_who_may_determine_and_who_may_read(venue: Venue, merchant: Person) -> None:
    """Line: "a reviewer never decides their own case"; others see grade and public facts only."""
    neighbour = venue.merchant()
    for nobody in (venue.operator, neighbour):
        refused(determine(venue, merchant, by=nobody), 403, "forbidden")
    done(venue.operator.post(f"/v1/participants/{merchant.participant}/roles", {"role": "reviewer"}))
    refused(determine(venue, merchant, by=merchant), 403, "own_case")
    case = determined(venue, neighbour)
    assert venue.buyer(cash_fen=0).get(f"/v1/credit/cases/{case['case']}").status_code in (403, 404)
    own = {row["case"] for row in neighbour.every("/v1/credit/cases")}
    assert own == {case["case"]}
    refused(determine(venue, neighbour, kind="completed_sale"), 422)


def test_nobody_decides_twice_on_the_same_case(venue: Venue, merchant: Person) -> None:
    """Line: "named decider, deadline, and the rule that nobody decides twice on the same case"; nor does its house."""
    first, colleague = of_house(venue, "house-twice"), of_house(venue, "house-twice")
    case = determined(venue, merchant, by=first)
    assert object_to(venue.merchant(), case).status_code in (403, 404)
    done(object_to(merchant, case))
    refused(object_to(merchant, case), 409)
    seen = read(merchant, case)
    assert seen["state"] == "objected"
    assert parsed(seen["decide_by"]) > venue.now()
    for decider in (first, colleague, merchant):
        refused(decide(decider, case, "uphold"), 403)
    done(decide(second_reviewer(venue), case, "reject"))
    refused(decide(second_reviewer(venue), case, "uphold"), 409, "wrong_state")


def test_an_upheld_objection_equals_absence(venue: Venue) -> None:
    """Line: "Upheld: as if it had never been": beside a twin of whom nothing was ever said, as of then and of now."""
    accused, twin = venue.merchant(), venue.merchant()
    case = determined(venue, accused)
    in_force(venue, accused, case)
    assert score(accused) < score(twin)
    blamed_at = instant(venue.now())
    upheld(venue, accused, case)
    assert read(accused, case)["state"] == "upheld"
    assert (score(accused), grade(accused)) == (score(twin), grade(twin))
    assert rating(accused, as_of=blamed_at)["score"] == rating(twin, as_of=blamed_at)["score"]


def test_while_contested_it_does_not_restrict_and_rejected_it_does(venue: Venue, merchant: Person) -> None:
    """Line: "meanwhile the view that restricts leaves the event out ..., contested severe events stay capped at C"."""
    case = determined(venue, merchant, SEVERE)
    in_force(venue, merchant, case)
    assert grade(merchant) == "D"
    done(object_to(merchant, case))
    assert grade(merchant) == "C"
    done(decide(second_reviewer(venue), case, "reject"))
    assert read(merchant, case)["state"] == "rejected"
    in_force(venue, merchant, case)
    assert grade(merchant) == "D"


def test_repair_is_free_after_the_minimum_period_and_never_lowers(venue: Venue, merchant: Person) -> None:
    """Line: "repair": corrected, minimum period, public commitment, decided by another: weight 0, and still in the log."""
    case = determined(venue, merchant)
    in_force(venue, merchant, case)
    commitment = {"commitment_sha256": sha256_of("public commitment")}
    assert step(merchant, case, "repair", **commitment).status_code in (409, 422)
    done(step(merchant, case, "correction", evidence_sha256=sha256_of("corrected")))
    assert read(merchant, case)["state"] == "corrected"
    assert step(merchant, case, "repair", **commitment).status_code in (409, 422)
    venue.advance(days=93)
    before = score(merchant)
    done(step(merchant, case, "repair", **commitment))
    decision = {"decision": "uphold", "text": "已纠正"}
    refused(step(venue.desk, case, "repair/decision", **decision), 403)
    done(step(second_reviewer(venue), case, "repair/decision", **decision))
    seen = rating(merchant)
    assert seen["score"] >= before
    assert read(merchant, case)["state"] == "repaired"
    assert not [reason for reason in seen["reasons"] if reason["points"] < 0]
    assert merchant.balance == 0


def test_any_event_of_ones_own_can_be_objected_to(venue: Venue) -> None:
    """Line: "Objection: one an event", also where no reviewer made it: a missed delivery that was the venue's fault."""
    merchant, buyer = venue.merchant(), venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant, delivery_days=1))
    before = score(merchant)
    venue.advance(days=1, seconds=60)
    assert score(merchant) < before
    body = {"reference": trade, "kind": "not_delivered", "text": "交易所文件服务当天中断"}
    assert venue.merchant().post("/v1/credit/objections", body).status_code in (403, 404)
    case = done(merchant.post("/v1/credit/objections", body), 201)
    refused(merchant.post("/v1/credit/objections", body), 409)
    done(decide(second_reviewer(venue), case, "uphold"))
    assert score(merchant) >= before


def test_who_found_a_suspension_without_ground_does_not_decide_about_it_again(venue: Venue) -> None:
    """Line: "the rule that nobody decides twice on the same case"."""
    merchant, buyer = venue.merchant(), venue.buyer()
    trade = venue.trade(buyer, venue.listing(merchant))
    venue.complete(merchant, buyer, trade)
    path = f"/v1/entitlements/{venue.read_trade(trade, buyer)['entitlement']}"
    finder = venue.verified_official("reviewer")
    paper = {"reason": "日志", "evidence_sha256": sha256_of("the log")}
    done(merchant.post(f"{path}/suspend", paper))
    done(finder.post(f"{path}/resume", paper))
    objection = {"kind": "dispute_lost", "reference": trade, "text": "日志不完整"}
    case = done(merchant.post("/v1/credit/objections", objection))
    assert case["decider"] != finder.participant
    refused(decide(finder, case, "reject"), 403, "own_case")
    done(decide(second_reviewer(venue), case, "uphold"))


def test_history_and_what_would_change_it(venue: Venue, merchant: Person) -> None:
    """Line: "Own rating, history, "what would change it" over the API; others see grade and public facts only"."""
    started = instant(venue.now())
    before = score(merchant)
    case = determined(venue, merchant)
    in_force(venue, merchant, case)
    asked = {"from": started, "until": instant(venue.now())}
    history = list(merchant.every("/v1/credit/me/history", **asked))
    assert history[-1]["score"] == score(merchant) < before
    instants = [parsed(one["at"]) for one in history]
    assert instants == sorted(instants)
    assert all(one["grade"] in "ABCDM" for one in history)
    outlook = list(merchant.every("/v1/credit/me/outlook"))
    reference = read(merchant, case)["reference"]
    [change] = [one for one in outlook if one["event"] in (case["case"], reference)]
    assert change["points"] > 0
    assert change["repair"]
    assert "fades_at" in change
    neighbour = venue.buyer(cash_fen=0)
    seen = done(neighbour.get(f"/v1/credit/{merchant.participant}"), 200)
    assert "score" not in seen
    assert reference not in json.dumps(seen)


def test_a_worse_grade_is_announced_with_its_date(venue: Venue, merchant: Person) -> None:
    """Line: "each with notice before effect": `next` says which grade and from when; only then it is the grade."""
    case = determined(venue, merchant, SEVERE)
    assert grade(merchant) == "M"
    following = rating(merchant)["next"]
    if following is None:
        until(venue, case["effective_at"])
        following = rating(merchant)["next"]
    assert following["grade"] == "D"
    assert parsed(following["from"]) > venue.now()
    assert grade(merchant) == "M"
    until(venue, following["from"])
    seen = rating(merchant)
    assert (seen["grade"], seen["next"]) == ("D", None)


def test_an_override_needs_two_and_has_a_reason_and_an_end(venue: Venue, merchant: Person) -> None:
    """Line: "override rate": what people change of the model's grade is proposed by one operator, made by another."""
    path = f"/v1/credit/{merchant.participant}/override"
    body = {"grade": "C", "reason": "媒体报道待核实", "until": venue.in_days(30)}
    refused(venue.desk.post(path, body), 403, "forbidden")
    first, second = venue.verified_official("operator"), venue.verified_official("operator")
    done(first.post(path, body))
    assert grade(merchant) == "M"
    assert first.post(path, body).status_code in (403, 409)
    done(second.post(path, body))
    in_force(venue, merchant)
    assert grade(merchant) == "C"
    venue.advance(days=31)
    in_force(venue, merchant)
    assert grade(merchant) == "M"
    assert GENERAL not in json.dumps(rating(merchant)["reasons"])


def test_cases_grades_and_heirs_survive_a_kill(tmp_path: Path) -> None:
    """One noticed, one objected to, one in force and passed on: killed between, each goes on where it was; `verify` finds
    nothing, and whoever is absorbed leaves no record behind."""
    venue = Venue(tmp_path / "data").start()
    try:
        noticed, objecting, blamed, heir = (venue.merchant() for _ in range(4))
        waiting = determined(venue, objecting, SEVERE)
        bad = determined(venue, blamed, SEVERE)
        in_force(venue, blamed, bad)
        done(object_to(objecting, waiting))
        fresh = determined(venue, noticed)
        before = [(score(person), grade(person)) for person in (noticed, objecting, blamed)]
        venue.kill()
        venue.restart()
        assert [(score(person), grade(person)) for person in (noticed, objecting, blamed)] == before
        assert [row[1] for row in before] == ["M", "C", "D"]
        done(decide(second_reviewer(venue), waiting, "uphold"))
        venue.kill()
        venue.restart()
        assert grade(objecting) == "M"
        in_force(venue, noticed, fresh)
        assert read(noticed, fresh)["state"] == "in_force"
        assert score(noticed) < before[0][0]
        done(
            blamed.post(
                "/v1/participants/me/departure",
                {"kind": "merger", "reason": "合并", "successor": heir.participant},
            )
        )
        done(heir.post(f"/v1/participants/{blamed.participant}/departure/accept"))
        venue.kill()
        venue.restart()
        assert rating(heir)["computed_grade"] == "D"
        in_force(venue, heir)
        assert grade(heir) == "D"
        verified = shuji("verify", "--data", str(venue.data))
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        venue.close()
