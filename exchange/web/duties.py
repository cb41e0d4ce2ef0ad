"""Duties after the trade, the proofs of them, and the working calendar that their dates follow."""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import Meta, Struct

from clearing.calendar import day_of
from clearing.duties import KINDS, DutyState
from exchange import projector
from exchange.events import (
    DecideDuty,
    DutyBroken,
    DutyMoved,
    DutyRescheduled,
    FindBreach,
    ProveDuty,
    PublishYear,
    Refused,
    YearPublished,
)
from exchange.projection import DutyRecord
from exchange.state import State
from exchange.web.instant import optional_text, text_of
from exchange.web.operation import Call, Operation, Paging, Sha256
from exchange.web.pattern import whole
from exchange.web.problem import Refusing, Violation

SEE_ALL: Final = ("reviewer", "operator", "auditor", "regulator")
Day = Annotated[str, Meta(pattern=whole("[0-9]{4}-[0-9]{2}-[0-9]{2}"), description="a Beijing day, ISO 8601")]
Reason = Annotated[str, Meta(max_length=500)]


class DutyQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    trade: Annotated[str, Meta(max_length=64)] = ""
    state: DutyState | None = None


class DutyView(Struct):
    """What `participant` owes after a trade. `due`: until when it is in time; `provisional`: that day may still move.

    `evidence_sha256`: what was brought for it, or found against it. `violated`: the articles of a breach.
    """

    duty: str
    kind: str
    rule: str
    what_zh: str
    what_en: str
    clause_zh: str
    participant: str
    trade: str
    listing: str
    entitlement: str | None
    cause: str
    state: str
    opened: str
    due: str
    provisional: bool
    reviewed: bool
    reminded: str | None
    evidence_sha256: str | None
    decided_by: str | None
    reason: str | None
    broken: str | None
    violated: tuple[Violation, ...]


class DutyList(Struct):
    items: tuple[DutyView, ...]
    next: str | None


class Proof(Struct, kw_only=True, forbid_unknown_fields=True):
    evidence_sha256: Sha256


class Decision(Struct, kw_only=True, forbid_unknown_fields=True):
    """`waive` needs the evidence that nothing is owed; whoever refuses or waives says why."""

    step: Literal["accept", "refuse", "waive"]
    reason: Reason = ""
    evidence_sha256: Sha256 | Literal[""] = ""


class Found(Struct, kw_only=True, forbid_unknown_fields=True):
    """P04: the purpose that was `observed`. P02: how many whole years the records were kept."""

    rule: Literal["P02", "P04"]
    evidence_sha256: Sha256
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    observed: Annotated[str, Meta(max_length=64)] = ""
    kept_years: Annotated[int, Meta(ge=0, le=100)] = 3


class DutyStep(Struct):
    """`state` after the last step of this request."""

    duty: str
    state: str
    at: str


class Notice(Struct, kw_only=True, forbid_unknown_fields=True):
    """国务院办公厅关于部分节假日安排的通知, for one year: weekdays that are off, Saturdays and Sundays that are worked."""

    year: Annotated[int, Meta(ge=2004, le=2199)]
    off: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=100)]
    worked: Annotated[tuple[Day, ...], Meta(max_length=50)]
    evidence_sha256: Sha256


class NoticeView(Struct):
    year: int
    rescheduled: int
    at: str


class CalendarView(Struct):
    """Working days are known until the end of `published_until`. Dates of `provisional` open duties may still move.

    `entered`: years whose notice an operator entered, because the installed packages did not have it.
    """

    today: str
    is_working_day: bool
    published_until: int
    provisional: int
    entered: tuple[int, ...]


# ---- reads


def duty_view(call: Call, row: DutyRecord) -> DutyView:
    kind = KINDS[row.kind]  # type: ignore[index]
    return DutyView(
        row.id,
        row.kind,
        row.rule,
        kind.zh,
        kind.en,
        kind.clause,
        row.participant,
        row.trade,
        row.listing,
        row.entitlement or None,
        row.cause,
        row.state,
        text_of(row.opened_at_ns),
        text_of(row.due_ns),
        row.provisional,
        row.reviewed,
        optional_text(row.reminded_at_ns),
        row.evidence_sha256 or None,
        row.decided_by or None,
        row.reason or None,
        optional_text(row.broken_at_ns),
        call.desk.reasons.violations(row.violated, row.broken_at_ns, row.capacities),
    )


async def list_duties(call: Call, asked: DutyQuery) -> Response[bytes]:
    """Those of one's own trades, on either side; of everybody for those who look after them."""
    sees_all = bool((await call.roles()).intersection(SEE_ALL))
    await call.tables_ready()
    page = await projector.duties_of(
        call.desk.pool,
        None if sees_all else call.participant,
        asked.trade,
        asked.state or "",
        asked.limit,
        asked.cursor or None,
    )
    return call.page([duty_view(call, row) for row in page.items], page.next or "")


async def show(call: Call, asked: None) -> DutyView:
    await call.tables_ready()
    row = await projector.duty(call.desk.pool, call.path["duty"])
    if row is None or not (
        call.participant in (row.buyer, row.seller) or (await call.roles()).intersection(SEE_ALL)
    ):
        raise Refusing(Refused.not_found, f"there is no duty {call.path['duty']} of your trades")
    return duty_view(call, row)


# ---- steps


async def prove(call: Call, body: Proof) -> DutyStep:
    return await _prove(call, call.path["duty"], body)


async def prove_deletion(call: Call, body: Proof) -> DutyStep:
    """The deletion that an ended entitlement has opened; the same as a proof of that duty."""
    await call.tables_ready()
    row = await projector.deletion_of(call.desk.pool, call.path["entitlement"])
    if row is None or row.participant != call.participant:
        detail = "no deletion is owed by you for this entitlement: it opens when the entitlement ends"
        raise Refusing(Refused.not_found, detail)
    return await _prove(call, row.id, body)


async def _prove(call: Call, duty: str, body: Proof) -> DutyStep:
    command = ProveDuty(actor=call.participant, key=call.key, duty=duty, evidence_sha256=body.evidence_sha256)
    return _step(await call.submit(command))


async def decide(call: Call, body: Decision) -> DutyStep:
    command = DecideDuty(
        actor=call.participant,
        key=call.key,
        duty=call.path["duty"],
        step=body.step,
        reason=body.reason,
        evidence_sha256=body.evidence_sha256,
    )
    return _step(await call.submit(command))


async def find(call: Call, body: Found) -> DutyStep:
    """Recorded of a trade that settled, however long ago."""
    await call.need_role("reviewer")
    await call.tables_ready()
    row = await projector.trade(call.desk.pool, call.path["trade"])
    if row is None or not row.settled_at_ns:
        raise Refusing(Refused.not_found, f"no trade {call.path['trade']} has settled")
    command = FindBreach(
        actor=call.participant,
        key=call.key,
        rule=body.rule,
        trade=row.id,
        listing=row.listing,
        buyer=row.buyer,
        seller=row.seller,
        purpose=row.purpose,
        territory=row.territory,
        entitlement=row.entitlement,
        evidence_sha256=body.evidence_sha256,
        reason=body.reason,
        observed=body.observed,
        kept_years=body.kept_years,
    )
    return _step(await call.submit(command))


def _step(outcome: Any) -> DutyStep:
    last = outcome.events[-1]
    assert isinstance(last, DutyMoved | DutyBroken)
    state = last.state if isinstance(last, DutyMoved) else "broken"
    return DutyStep(last.duty, state, text_of(outcome.at_ns))


# ---- the calendar


async def publish_year(call: Call, body: Notice) -> NoticeView:
    command = PublishYear(
        actor=call.participant,
        key=call.key,
        year=body.year,
        off=body.off,
        worked=body.worked,
        evidence_sha256=body.evidence_sha256,
    )
    outcome = await call.submit(command)
    published = outcome.events[0]
    assert isinstance(published, YearPublished)
    moved = sum(isinstance(event, DutyRescheduled) for event in outcome.events)
    return NoticeView(published.year, moved, text_of(outcome.at_ns))


async def calendar(call: Call, asked: None) -> CalendarView:
    now_ns = call.now_ns

    def look(state: State) -> CalendarView:
        today = day_of(now_ns)
        return CalendarView(
            today.isoformat(),
            state.calendar.is_working_day(today),
            state.calendar.published_until(),
            sum(duty.provisional for duty in state.duties.values()),
            tuple(sorted(state.years)),
        )

    return await call.read(look)


# ---- the operations

_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-11-23T10:00:00Z"
_STEP: Final = {"duty": "U1", "state": "offered", "at": _WHEN}
_DUTY: Final = {
    "duty": "U1", "kind": "deletion", "rule": "P03", "what_zh": KINDS["deletion"].zh, "what_en": KINDS["deletion"].en,
    "clause_zh": KINDS["deletion"].clause, "participant": "P4", "trade": "T1", "listing": "L1", "entitlement": "E1",
    "cause": "expired", "state": "scheduled", "opened": _WHEN, "due": "2026-12-07T15:59:59.999999999Z",
    "provisional": False, "reviewed": True, "reminded": None, "evidence_sha256": None, "decided_by": None,
    "reason": None, "broken": None, "violated": [],
}  # fmt: skip
_PROOF: Final = {"evidence_sha256": _SHA}
_OWED: Final = (Refused.not_found, Refused.wrong_state, Refused.evidence_missing)
_DECIDED: Final = (*_OWED, Refused.forbidden, Refused.own_case)

OPERATIONS: Final = (
    Operation("GET", "/v1/duties", list_duties,
              "Duties after one's trades; reviewers, operators and auditors see all", "duties", asks=DutyQuery,
              answers=DutyList, example_answer={"items": [_DUTY], "next": None}),
    Operation("GET", "/v1/duties/{duty}", show, "One duty, with its clause and its dates", "duties", answers=DutyView,
              example_answer=_DUTY),
    Operation("POST", "/v1/duties/{duty}/proofs", prove, "Prove an own duty by evidence (its debtor)", "duties",
              asks=Proof, answers=DutyStep, refused=_OWED, example=_PROOF, example_answer=_STEP),
    Operation("POST", "/v1/duties/{duty}/decisions", decide,
              "Accept or refuse a proof, or waive the duty (reviewer, not in their own case)", "duties", asks=Decision,
              answers=DutyStep, refused=_DECIDED, example={"step": "accept"},
              example_answer=_STEP | {"state": "done"}),
    Operation("POST", "/v1/trades/{trade}/findings", find,
              "Record another use than agreed (P04), or records gone too early (P02), with evidence (reviewer)", "duties",
              asks=Found, answers=DutyStep, refused=(*_DECIDED, Refused.already_exists),
              example={"rule": "P04", "observed": "advertising", "reason": "审计日志显示用于广告投放", **_PROOF},
              example_answer=_STEP | {"state": "broken"}),
    Operation("POST", "/v1/entitlements/{entitlement}/deletion-proof", prove_deletion,
              "Prove that what an ended entitlement gave is deleted (its buyer)", "duties", asks=Proof, answers=DutyStep,
              refused=_OWED, example=_PROOF, example_answer=_STEP),
    Operation("GET", "/v1/calendar", calendar, "The working calendar: how far it is published, what is provisional",
              "duties", answers=CalendarView, signed_in=False,
              example_answer={"today": "2026-11-23", "is_working_day": True, "published_until": 2026, "provisional": 0,
                              "entered": []}),
    Operation("POST", "/v1/calendar/years", publish_year,
              "Enter the State Council's notice for a year; dates are counted again (operator; reviewer for a change)",
              "duties",
              status=201, asks=Notice, answers=NoticeView,
              refused=(Refused.forbidden, Refused.evidence_missing),
              example={"year": 2027, "off": ["2027-01-01", "2027-02-08"], "worked": ["2027-02-20"], **_PROOF},
              example_answer={"year": 2027, "rescheduled": 4, "at": _WHEN}),
)  # fmt: skip
