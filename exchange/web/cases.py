"""Credit cases: opened, objected to, decided, corrected, repaired; and grades that two operators set by hand."""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from credit.conduct import KINDS, ConductKind
from credit.remedy import minimum_days
from credit.score import Grade
from exchange import projector
from exchange.events import (
    AskRepair,
    CaseMoved,
    CaseOpened,
    CorrectCase,
    CorrectConduct,
    DecideObjection,
    DecideRepair,
    GradeNoticed,
    ObjectToCase,
    ObjectToConduct,
    OpenCase,
    OverrideConfirmed,
    OverrideGrade,
    Refused,
)
from exchange.projection import CaseRecord
from exchange.state import DAY_NS
from exchange.venue import Outcome
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Id, Operation, Paging, Sha256
from exchange.web.problem import Refusing

SEE_ALL: Final = ("reviewer", "operator", "auditor", "regulator")
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
NoSha = Literal[""]


class CaseQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    """Of one participant, for those who see all; one's own are one's own."""

    participant: Id = ""
    state: Literal["", "noticed", "in_force", "corrected", "repaired", "faded", "upheld"] = ""


class Determination(Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody has done. Its severity is that of its kind (GET /v1/credit/consequences, docs/CREDIT.md)."""

    participant: Id
    kind: ConductKind
    reference: Id = ""
    text: Text
    evidence_sha256: Sha256


class Objection(Struct, kw_only=True, forbid_unknown_fields=True):
    text: Text
    evidence_sha256: Sha256 | NoSha = ""


class ObjectionToConduct(Objection, kw_only=True, forbid_unknown_fields=True):
    """`reference` and `kind` as `events` of GET /v1/credit/me and its outlook name them; the newest of that kind."""

    reference: Id
    kind: ConductKind


class CorrectionOfConduct(Struct, kw_only=True, forbid_unknown_fields=True):
    reference: Id
    kind: ConductKind
    evidence_sha256: Sha256


class ObjectionDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    decision: Literal["uphold", "reject"]
    text: Text


class Correction(Struct, kw_only=True, forbid_unknown_fields=True):
    evidence_sha256: Sha256


class Commitment(Struct, kw_only=True, forbid_unknown_fields=True):
    """The public commitment (信用承诺) that this will not happen again."""

    commitment_sha256: Sha256


class RepairDecision(Struct, kw_only=True, forbid_unknown_fields=True):
    decision: Literal["uphold", "reject"]
    text: Text


class ObjectionView(Struct):
    """`state`: waits, upheld or rejected. `decider`: who is named for it, or has decided."""

    state: str
    text: str
    evidence_sha256: str | None
    at: str
    decider: str | None
    decide_by: str | None
    decision: str | None
    decided_at: str | None


class RepairView(Struct):
    """`state`: waits, granted or refused."""

    state: str
    commitment_sha256: str
    at: str
    decider: str | None
    decide_by: str | None
    decision: str | None
    decided_at: str | None


class CaseView(Struct):
    """`state` is `objected` while an objection waits, `rejected` where it has the same effect as before. `event` is what
    reasons of a score name it by.

    It has effect from `effective_at` on, may be repaired from `repairable_from` on, and fades at `fades_at`, once it is
    corrected where `must_correct`. `opened_by` determined it. `decider`: who is named for what waits, until `decide_by`, or
    has decided last.
    """

    case: str
    participant: str
    kind: str
    what_zh: str
    what_en: str
    severity: str
    clause_zh: str
    reference: str
    event: str
    text: str
    evidence_sha256: str | None
    state: str
    opened_by: str
    opened_at: str
    effective_at: str
    repairable_from: str
    fades_at: str
    must_correct: bool
    published_until: str | None
    corrected_at: str | None
    decider: str | None
    decide_by: str | None
    objection: ObjectionView | None
    repair: RepairView | None


class CaseList(Struct):
    items: tuple[CaseView, ...]
    next: str | None


class OverrideBody(Struct, kw_only=True, forbid_unknown_fields=True):
    grade: Grade
    until: Instant
    reason: Text


class OverrideView(Struct, rename={"since": "from"}):
    """`state`: proposed, until a second operator says the same; noticed, where it restricts; in_force."""

    participant: str
    grade: str
    state: str
    until: str
    since: str | None


# ---- what is shown


def case_view(row: CaseRecord) -> CaseView:
    kind = KINDS[row.kind]  # type: ignore[index]
    waits = bool(row.decide_by_ns)
    return CaseView(
        row.id,
        row.participant,
        row.kind,
        kind.zh,
        kind.en,
        kind.severity,
        kind.clause_zh,
        row.reference,
        row.fault,
        row.text,
        row.evidence_sha256 or None,
        _state_of(row),
        row.opened_by,
        text_of(row.opened_at_ns),
        text_of(row.effective_ns),
        text_of(row.effective_ns + minimum_days(row.kind) * DAY_NS),  # type: ignore[arg-type]
        text_of(row.ends_ns),
        kind.must_correct,
        optional_text(row.published_until_ns),
        optional_text(row.corrected_at_ns),
        row.decider or (None if waits else row.opened_by),
        optional_text(row.decide_by_ns),
        _objection_of(row),
        _repair_of(row),
    )


def _state_of(row: CaseRecord) -> str:
    if row.objection == "waits":
        return "objected"
    return "rejected" if row.objection == "rejected" and row.state in ("noticed", "in_force") else row.state


def _objection_of(row: CaseRecord) -> ObjectionView | None:
    if not row.objection:
        return None
    waits = row.objection == "waits"
    return ObjectionView(
        row.objection,
        row.objection_text,
        row.objection_sha256 or None,
        text_of(row.objected_at_ns),
        (row.decider if waits else row.objection_decided_by) or None,
        optional_text(row.decide_by_ns) if waits else None,
        row.objection_decision or None,
        optional_text(row.objection_decided_at_ns),
    )


def _repair_of(row: CaseRecord) -> RepairView | None:
    if not row.repair:
        return None
    waits = row.repair == "waits"
    return RepairView(
        row.repair,
        row.commitment_sha256,
        text_of(row.repair_asked_at_ns),
        (row.decider if waits else row.repair_decided_by) or None,
        optional_text(row.decide_by_ns) if waits else None,
        row.repair_decision or None,
        optional_text(row.repair_decided_at_ns),
    )


async def list_cases(call: Call, asked: CaseQuery) -> Response[bytes]:
    """One's own; those who look after cases see all."""
    sees_all = bool((await call.roles()).intersection(SEE_ALL))
    if not sees_all and asked.participant not in ("", call.participant):
        raise Refusing(
            Refused.forbidden, "others' cases are for reviewers, operators, auditors and regulators"
        )
    await call.tables_ready()
    about = asked.participant if sees_all else call.participant
    page = await projector.cases_of(call.desk.pool, about, asked.state, asked.limit, asked.cursor or None)
    return call.page([case_view(row) for row in page.items], page.next or "")


async def show(call: Call, asked: None) -> CaseView:
    return await _shown(call, call.path["case"])


async def _shown(call: Call, identifier: str) -> CaseView:
    await call.tables_ready()
    row = await projector.case(call.desk.pool, identifier)
    if row is None or not (call.participant == row.participant or (await call.roles()).intersection(SEE_ALL)):
        raise Refusing(Refused.not_found, f"there is no case {identifier} about you")
    return case_view(row)


# ---- steps


async def open_case(call: Call, body: Determination) -> CaseView:
    command = OpenCase(
        actor=call.participant,
        key=call.key,
        participant=body.participant,
        kind=body.kind,
        reference=body.reference,
        text=body.text,
        evidence_sha256=body.evidence_sha256,
    )
    return await _after(call, await call.submit(command))


async def _after(call: Call, outcome: Outcome) -> CaseView:
    """The case as it is after a step."""
    about = [event.case for event in outcome.events if isinstance(event, CaseOpened | CaseMoved)]
    return await _shown(call, about[0])


async def object_to_case(call: Call, body: Objection) -> CaseView:
    command = ObjectToCase(
        actor=call.participant,
        key=call.key,
        case=call.path["case"],
        text=body.text,
        evidence_sha256=body.evidence_sha256,
    )
    return await _after(call, await call.submit(command))


async def object_to_conduct(call: Call, body: ObjectionToConduct) -> CaseView:
    command = ObjectToConduct(
        actor=call.participant,
        key=call.key,
        kind=body.kind,
        reference=body.reference,
        text=body.text,
        evidence_sha256=body.evidence_sha256,
        first=await _first_decider(call, body.reference),
    )
    return await _after(call, await call.submit(command))


async def correct_conduct(call: Call, body: CorrectionOfConduct) -> CaseView:
    command = CorrectConduct(
        actor=call.participant,
        key=call.key,
        kind=body.kind,
        reference=body.reference,
        evidence_sha256=body.evidence_sha256,
        first=await _first_decider(call, body.reference),
    )
    return await _after(call, await call.submit(command))


async def _first_decider(call: Call, reference: str) -> str:
    """Who found it, of a duty's breach, a suspension without ground, or an earlier case; empty where the venue saw for
    itself."""
    await call.tables_ready()
    pool = call.desk.pool
    if reference[1:].isdigit() and reference.startswith("U"):
        duty = await projector.duty(pool, reference)
        return "" if duty is None else duty.found_by
    if reference[1:].isdigit() and reference.startswith("F"):
        case = await projector.case(pool, reference)
        return "" if case is None else case.opened_by
    if reference[1:].isdigit() and reference.startswith("T"):
        trade = await projector.trade(pool, reference)
        entitlement = (
            await projector.entitlement(pool, trade.entitlement) if trade and trade.entitlement else None
        )
        return "" if entitlement is None else entitlement.unfounded_by
    return ""


async def decide(call: Call, body: ObjectionDecision) -> CaseView:
    command = DecideObjection(
        actor=call.participant,
        key=call.key,
        case=call.path["case"],
        uphold=body.decision == "uphold",
        text=body.text,
    )
    return await _after(call, await call.submit(command))


async def correct(call: Call, body: Correction) -> CaseView:
    command = CorrectCase(
        actor=call.participant, key=call.key, case=call.path["case"], evidence_sha256=body.evidence_sha256
    )
    return await _after(call, await call.submit(command))


async def repair(call: Call, body: Commitment) -> CaseView:
    command = AskRepair(
        actor=call.participant, key=call.key, case=call.path["case"], commitment_sha256=body.commitment_sha256
    )
    return await _after(call, await call.submit(command))


async def decide_repair(call: Call, body: RepairDecision) -> CaseView:
    command = DecideRepair(
        actor=call.participant,
        key=call.key,
        case=call.path["case"],
        grant=body.decision == "uphold",
        text=body.text,
    )
    return await _after(call, await call.submit(command))


async def override(call: Call, body: OverrideBody) -> OverrideView:
    command = OverrideGrade(
        actor=call.participant,
        key=call.key,
        participant=call.path["participant"],
        grade=body.grade,
        until_ns=ns_of(body.until, "until"),
        reason=body.reason,
    )
    outcome = await call.submit(command)
    confirmed = next((event for event in outcome.events if isinstance(event, OverrideConfirmed)), None)
    noticed = any(isinstance(event, GradeNoticed) for event in outcome.events)
    state = "proposed" if confirmed is None else "noticed" if noticed else "in_force"
    since = None if confirmed is None else text_of(confirmed.from_ns)
    return OverrideView(command.participant, body.grade, state, text_of(command.until_ns), since)


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_CASE: Final[dict[str, Any]] = {
    "case": "F1", "participant": "P2", "kind": "false_statement", "what_zh": KINDS["false_statement"].zh,
    "what_en": KINDS["false_statement"].en, "severity": "general", "clause_zh": KINDS["false_statement"].clause_zh,
    "reference": "L1", "event": "F1", "text": "更新频率与登记不符", "evidence_sha256": _SHA, "state": "noticed",
    "opened_by": "P3", "opened_at": _WHEN, "effective_at": "2026-11-30T10:00:00Z",
    "repairable_from": "2027-02-28T10:00:00Z", "fades_at": "2027-11-30T10:00:00Z", "must_correct": True,
    "published_until": "2027-11-30T10:00:00Z", "corrected_at": None, "decider": "P3", "decide_by": None,
    "objection": None, "repair": None,
}  # fmt: skip
_OBJECTED: Final = _CASE | {
    "state": "objected", "decider": "P4", "decide_by": "2026-12-08T10:00:00Z",
    "objection": {"state": "waits", "text": "样本取自停更期", "evidence_sha256": None, "at": _WHEN, "decider": "P4",
                  "decide_by": "2026-12-08T10:00:00Z", "decision": None, "decided_at": None},
}  # fmt: skip
_OWN: Final = (Refused.not_found, Refused.wrong_state, Refused.out_of_bounds, Refused.evidence_missing)
_OFFICE: Final = (
    Refused.not_found, Refused.wrong_state, Refused.forbidden, Refused.own_case, Refused.not_verified,
    Refused.out_of_bounds,
)  # fmt: skip

OPERATIONS: Final = (
    Operation("GET", "/v1/credit/cases", list_cases,
              "Own cases; reviewers, operators, auditors and regulators see all", "credit", asks=CaseQuery,
              answers=CaseList, refused=(Refused.forbidden,), example_answer={"items": [_CASE], "next": None}),
    Operation("POST", "/v1/credit/cases", open_case,
              "Open a case: notice is given, its effect comes later (reviewer, verified, not of that house)", "credit",
              status=201, asks=Determination, answers=CaseView, refused=(*_OFFICE, Refused.evidence_missing),
              example={"participant": "P2", "kind": "false_statement", "reference": "L1", "text": "更新频率与登记不符",
                       "evidence_sha256": _SHA}, example_answer=_CASE),
    Operation("POST", "/v1/credit/objections", object_to_conduct,
              "Object to a fault on one's own record; it becomes a case", "credit", status=201, asks=ObjectionToConduct,
              answers=CaseView, refused=(*_OWN, Refused.already_exists),
              example={"reference": "T1", "kind": "not_delivered", "text": "已按期交付，回执在案"},
              example_answer=_OBJECTED | {"kind": "not_delivered", "reference": "T1", "event": "T1"}),
    Operation("POST", "/v1/credit/corrections", correct_conduct,
              "Show that a fault on one's own record is put right; it becomes a case, to be repaired", "credit", status=201,
              asks=CorrectionOfConduct, answers=CaseView, refused=(*_OWN, Refused.already_exists),
              example={"reference": "T1", "kind": "not_delivered", "evidence_sha256": _SHA},
              example_answer=_CASE | {"kind": "not_delivered", "reference": "T1", "event": "T1", "state": "corrected"}),
    Operation("GET", "/v1/credit/cases/{case}", show, "One case, with who decides what by when", "credit",
              answers=CaseView, refused=(Refused.not_found,), example_answer=_CASE),
    Operation("POST", "/v1/credit/cases/{case}/objection", object_to_case,
              "Object to a case, once (the one whom it is about)", "credit", asks=Objection, answers=CaseView,
              refused=(*_OWN, Refused.already_exists), example={"text": "样本取自停更期"}, example_answer=_OBJECTED),
    Operation("POST", "/v1/credit/cases/{case}/decision", decide,
              "Decide an objection (a reviewer who has decided nothing in the case, of another house)", "credit",
              asks=ObjectionDecision, answers=CaseView, refused=_OFFICE,
              example={"decision": "uphold", "text": "所附日志属实"}, example_answer=_CASE | {"state": "upheld"}),
    Operation("POST", "/v1/credit/cases/{case}/correction", correct,
              "Show that what was wrong is put right (the one whom it is about)", "credit", asks=Correction,
              answers=CaseView, refused=_OWN, example={"evidence_sha256": _SHA},
              example_answer=_CASE | {"state": "corrected", "corrected_at": _WHEN}),
    Operation("POST", "/v1/credit/cases/{case}/repair", repair,
              "Ask for repair with a public commitment, after the minimum period; free", "credit", asks=Commitment,
              answers=CaseView, refused=_OWN, example={"commitment_sha256": _SHA},
              example_answer=_CASE | {"state": "corrected", "corrected_at": _WHEN}),
    Operation("POST", "/v1/credit/cases/{case}/repair/decision", decide_repair,
              "Grant or refuse a repair (a reviewer who has decided nothing in the case, of another house)", "credit",
              asks=RepairDecision, answers=CaseView, refused=_OFFICE,
              example={"decision": "uphold", "text": "承诺已公示"}, example_answer=_CASE | {"state": "repaired"}),
    Operation("POST", "/v1/credit/{participant}/override", override,
              "Set a grade by hand until a date: one operator proposes, a second of another house says the same", "credit",
              asks=OverrideBody, answers=OverrideView,
              refused=(*_OFFICE, Refused.already_exists),
              example={"grade": "M", "until": "2026-12-23T10:00:00Z", "reason": "系统故障所致逾期，核查中"},
              example_answer={"participant": "P2", "grade": "M", "state": "proposed", "until": "2026-12-23T10:00:00Z",
                              "from": None}),
)  # fmt: skip
