"""The words of credit cases (失信认定): what stories of issue 6 say of a determination, over HTTP.

What the checks expect; more members are welcome:

    POST /v1/credit/cases {participant, kind, reference, text, evidence_sha256}    by a reviewer -> 201
    GET  /v1/credit/cases/{case}    its subject and the offices: case (F1), participant, kind, severity, reference, state
         (noticed, in_force, objected, upheld, rejected, corrected, repaired, faded), decider, effective_at, and once
         objected decide_by
    POST .../objection {text, evidence_sha256}   one a case;  .../decision {decision: uphold | reject, text}
    POST .../correction {evidence_sha256};  .../repair {commitment_sha256};  .../repair/decision {decision, text}
    GET  /v1/credit/me              grade: the one in force; next: null or {grade, from}; score and reasons as they are now
    GET  /v1/credit/consequences    items: {grade, fee_bp, deposit_fen, most_listings, orders_per_minute, largest_order_fen,
         pre_review, suspended}; null: no limit. `largest_order_fen` is that of somebody without a settled order
"""

from typing import Any

import httpx

from tests.story import Person, Venue, done, parsed, sha256_of

Case = dict[str, Any]
GENERAL, SEVERE = "false_statement", "data_misuse"
"""Kinds of conduct that are determined by somebody."""


def rating(person: Person, **parameters: str) -> dict[str, Any]:
    seen: dict[str, Any] = done(person.get("/v1/credit/me", **parameters), 200)
    return seen


def score(person: Person) -> int:
    return int(rating(person)["score"])


def grade(person: Person) -> str:
    return str(rating(person)["grade"])


def determine(
    venue: Venue, person: Person, kind: str = GENERAL, by: Person | None = None, reference: str = ""
) -> httpx.Response:
    body = {
        "participant": person.participant,
        "kind": kind,
        "reference": reference or f"REPORT-{venue.new_id()}",
        "text": "挂牌陈述与事实不符 the listing said what is not so",
        "evidence_sha256": sha256_of("report"),
    }
    return (by or desk(venue)).post("/v1/credit/cases", body)


def desk(venue: Venue) -> Person:
    """The venue's reviewer, verified: whether two reviewers are of one house can be told of verified people only."""
    if venue.desk not in _VERIFIED:
        done(venue.verify_identity(venue.desk, by=venue.reviewer()))
        _VERIFIED.append(venue.desk)
    return venue.desk


_VERIFIED: list[Person] = []


def determined(venue: Venue, person: Person, kind: str = GENERAL, by: Person | None = None) -> Case:
    found: Case = done(determine(venue, person, kind, by), 201)
    return found


def read(person: Person, case: Case) -> Case:
    found: Case = done(person.get(f"/v1/credit/cases/{case['case']}"), 200)
    return found


def until(venue: Venue, at: str) -> None:
    """To a second after this instant, where it is not past."""
    ahead = (parsed(at) - venue.now()).total_seconds()
    if ahead > -1:
        venue.advance(seconds=int(ahead) + 2)


def in_force(venue: Venue, person: Person, *cases: Case) -> None:
    """Whatever was noticed takes effect: the cases, and the grade that follows from them."""
    for case in cases:
        until(venue, case["effective_at"])
    following = rating(person)["next"]
    if following is not None:
        until(venue, following["from"])


def step(person: Person, case: Case, path: str, **body: Any) -> httpx.Response:
    return person.post(f"/v1/credit/cases/{case['case']}/{path}", body)


def object_to(person: Person, case: Case) -> httpx.Response:
    return step(person, case, "objection", text="证据另有解释", evidence_sha256=sha256_of("explanation"))


def decide(by: Person, case: Case, decision: str) -> httpx.Response:
    return step(by, case, "decision", decision=decision, text="复核意见")


def upheld(venue: Venue, person: Person, *cases: Case) -> None:
    """Objected to, and the objection upheld by somebody of another house than the first decider's."""
    second = second_reviewer(venue)
    for case in cases:
        done(object_to(person, case))
        done(decide(second, case, "uphold"))


def second_reviewer(venue: Venue) -> Person:
    """Somebody new, whose identity and house are verified."""
    return venue.verified_official("reviewer")


def consequences(person: Person) -> dict[str, dict[str, Any]]:
    """The published list, by grade."""
    return {row["grade"]: row for row in done(person.get("/v1/credit/consequences"), 200)["items"]}


def of_house(venue: Venue, house: str) -> Person:
    """A reviewer whose verified owner is this house."""
    person = venue.participant(owner_id=house, group_id=house)
    done(venue.operator.post(f"/v1/participants/{person.participant}/roles", {"role": "reviewer"}))
    done(venue.verify_identity(person, owner_id=house, group_id=house))
    return person
