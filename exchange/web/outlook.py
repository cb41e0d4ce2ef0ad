"""How one's own score and grade came about, and what would change them."""

import asyncio
from typing import Annotated, Final

from msgspec import Meta, Struct

from credit.conduct import KINDS, Conduct
from credit.remedy import minimum_days
from credit.score import DAY_NS, fades_ns
from exchange import projector
from exchange.consequence import grade_of
from exchange.events import Refused
from exchange.projection import GradeRecord
from exchange.state import Case, State
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Operation
from exchange.web.problem import Refusing

MOST_DAYS: Final = 400
USUAL_DAYS: Final = 30
MOST_FAULTS: Final = 100
MOST_CHANGES: Final = 1_000


class HistoryQuery(Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """The last thirty days where nothing is said."""

    since: Annotated[Instant | None, Meta(description="not more than 400 days before until")] = None
    until: Instant | None = None


class Change(Struct, rename={"next_from": "from"}):
    """As of `at`: the score, the grade that it gives (`computed_grade`) and the one in force. `notice`: the grade that was
    noticed then, to be in force from `from` on."""

    at: str
    score: int
    grade: str
    computed_grade: str
    notice: str | None
    next_from: str | None


class History(Struct):
    """The first is how it was at `from`."""

    items: tuple[Change, ...]
    next: str | None = None


class Outlook(Struct):
    """`points` come back when this one is gone: by itself at `fades_at`, or by what `repair_zh` and `repair` say.

    `event` is that of the reason; of a case that has no effect yet, they will be taken from `effective_at` on. `gate` holds
    the grade down whatever the points.
    """

    event: str
    kind: str
    points: int
    text_zh: str
    text_en: str
    clause: str
    effective_at: str
    fades_at: str | None
    case: str | None
    repair: str
    repair_zh: str


class Outlooks(Struct):
    items: tuple[Outlook, ...]
    next: str | None = None


# ---- history


async def history(call: Call, asked: HistoryQuery) -> History:
    """One rating for each instant at which anything may have changed: midnights, faults, steps of cases and grades."""
    participant, now_ns = call.participant, call.now_ns
    until_ns = now_ns if asked.until is None else min(now_ns, ns_of(asked.until, "until"))
    from_ns = until_ns - USUAL_DAYS * DAY_NS if asked.since is None else ns_of(asked.since, "from")
    if not 0 <= until_ns - from_ns <= MOST_DAYS * DAY_NS:
        raise Refusing(Refused.out_of_bounds, f"from lies before until, by {MOST_DAYS} days at most")
    await call.tables_ready()
    pool = call.desk.pool
    steps = list(reversed(await projector.grades_of(pool, participant, from_ns, until_ns, MOST_CHANGES)))
    in_force = await projector.grade_at(pool, participant, from_ns)
    instants = await call.read(lambda state: _instants(state, participant, from_ns, until_ns))
    every = sorted(dict.fromkeys([*instants, *(row.at_ns for row in steps)]))
    return History(tuple(await _changes(call, participant, every, steps, in_force)))


def _instants(state: State, participant: str, from_ns: int, until_ns: int) -> list[int]:
    first = (from_ns // DAY_NS + 1) * DAY_NS
    found = [from_ns, *range(first, until_ns + 1, DAY_NS), until_ns]
    faults = [row.at_ns for row in state.bureau.faults_of(participant)]
    remedies = state.bureau.remedies.get(participant, {}).values()
    steps = [at for row in remedies for at in (row.contested_ns, row.decided_ns, row.repaired_ns)]
    return [*found, *(at for at in (*faults, *steps) if from_ns < at <= until_ns)]


async def _changes(
    call: Call, participant: str, instants: list[int], steps: list[GradeRecord], in_force: str
) -> list[Change]:
    """The engine is asked for one rating at a time, so that others have their turn between."""
    changes: list[Change] = []
    noticed: dict[int, GradeRecord] = {}
    for at_ns in instants:
        for row in (row for row in steps if row.at_ns == at_ns):
            in_force = row.grade if row.step == "set" else in_force
            if row.step == "noticed":
                noticed[at_ns] = row
        rating = await call.read(lambda state, at=at_ns: state.bureau.rating(participant, at))  # type: ignore[misc]
        notice = noticed.get(at_ns)
        change = Change(
            text_of(at_ns),
            rating.score,
            in_force,
            rating.grade,
            None if notice is None else notice.grade,
            None if notice is None else text_of(notice.from_ns),
        )
        if not changes or notice is not None or _differs(changes[-1], change):
            changes.append(change)
        await asyncio.sleep(0)
    return changes


def _differs(one: Change, other: Change) -> bool:
    return (one.score, one.grade, one.computed_grade) != (other.score, other.grade, other.computed_grade)


# ---- what would change it


async def outlook(call: Call, asked: None) -> Outlooks:
    participant, now_ns = call.participant, call.now_ns
    return Outlooks(tuple(await call.read(lambda state: outlooks(state, participant, now_ns))))


def outlooks(state: State, participant: str, now_ns: int) -> list[Outlook]:
    """The dearest first; of very many faults the newest hundred."""
    cases = {
        (row.kind, row.fault, row.fault_at_ns): row
        for row in state.cases.values()
        if row.participant == participant
    }
    faults = [
        row
        for row in state.bureau.faults_of(participant)
        if KINDS[row.kind].effect not in ("note", "correction")
    ]
    found = [
        _outlook(state, fault, cases.get((fault.kind, fault.reference, fault.at_ns)), now_ns)
        for fault in faults[-MOST_FAULTS:]
    ]
    weighing = [row for row in found if row is not None]
    return [*sorted(weighing, key=lambda row: -row.points), *_gates(state, participant, now_ns)]


def _outlook(state: State, fault: Conduct, case: Case | None, now_ns: int) -> Outlook | None:
    """None for what weighs nothing any more."""
    bureau, at_ns = state.bureau, max(now_ns, fault.at_ns)
    rating = bureau.rating(fault.participant, at_ns)
    without = bureau.rating(fault.participant, at_ns, without=fault)
    points = without.score - rating.score
    if points <= 0 and case is None:
        return None
    kind = KINDS[fault.kind]
    repair_zh, repair = _ways(fault, case, now_ns)
    return Outlook(
        fault.reference,
        fault.kind,
        points,
        kind.zh,
        kind.en,
        kind.clause_zh,
        text_of(fault.at_ns),
        optional_text(fades_ns(bureau.conduct[fault.participant], fault, at_ns)),
        None if case is None else case.id,
        repair,
        repair_zh,
    )


def _ways(fault: Conduct, case: Case | None, now_ns: int) -> tuple[str, str]:
    """(Chinese, English): the steps that are open now."""
    if case is None:
        said = "object: POST /v1/credit/objections", "异议：POST /v1/credit/objections"
        if KINDS[fault.kind].effect == "performance":
            return f"{said[1]}；或待其自然消退", f"{said[0]}; or let it fade"
        path = "POST /v1/credit/corrections"
        return f"{said[1]}；纠正后可修复：{path}", f"{said[0]}; put right, it can be repaired: {path}"
    path = f"POST /v1/credit/cases/{case.id}"
    if case.decide_ns or case.repair_ns:
        until = text_of(case.decide_ns or case.repair_ns)
        return f"待决定，最迟{until}", f"a decision waits, until {until} at the latest"
    if case.state == "corrected":
        earliest_ns = case.effective_ns + minimum_days(case.kind) * DAY_NS
        when = text_of(max(now_ns, earliest_ns))
        return f"自{when}起可申请修复：{path}/repair", f"repair, from {when} on: {path}/repair"
    object_zh = "" if case.objected_ns else f"异议：{path}/objection；"
    object_en = "" if case.objected_ns else f"object: {path}/objection; "
    return f"{object_zh}生效后纠正：{path}/correction", f"{object_en}in force, correct it: {path}/correction"


def _gates(state: State, participant: str, now_ns: int) -> list[Outlook]:
    """What holds the grade down whatever the points, as the rating says it."""
    rating = state.bureau.rating(participant, now_ns)
    return [
        Outlook(
            "gate", "gate", 0, reason.zh, reason.en, reason.clause_zh, text_of(now_ns), None, None,
            f"what the text asks; the grade in force is {grade_of(state, participant)}",
            f"按文字所述；当前生效等级{grade_of(state, participant)}",
        )
        for reason in rating.reasons
        if reason.dimension == "gate"
    ]  # fmt: skip


OPERATIONS: Final = (
    Operation(
        "GET", "/v1/credit/me/history", history, "How the own score and grade changed, the oldest first", "credit",
        asks=HistoryQuery, answers=History, refused=(Refused.out_of_bounds,),
        example_answer={
            "items": [{"at": "2026-11-23T10:00:00Z", "score": 631, "grade": "M", "computed_grade": "M", "notice": None,
                       "from": None}],
            "next": None,
        },
    ),
    Operation(
        "GET", "/v1/credit/me/outlook", outlook, "What would change the own score: points, dates, and what repairs it",
        "credit", answers=Outlooks,
        example_answer={
            "items": [{"event": "F1", "kind": "false_statement", "points": 40, "text_zh": "登记或挂牌陈述不实",
                       "text_en": "false statement in a registration or listing", "clause": "海南22", "case": "F1",
                       "effective_at": "2026-11-30T10:00:00Z", "fades_at": None,
                       "repair": "in force, correct it: POST /v1/credit/cases/F1/correction",
                       "repair_zh": "生效后纠正：POST /v1/credit/cases/F1/correction"}],
            "next": None,
        },
    ),
)  # fmt: skip
