"""Whether the credit model still fits those whom it rates (信用模型监测): for operators and auditors.

    psi_micro         population stability: grades now against those of 90 days ago, in millionths
    bad_rate_bp       by grade of 180 days ago: who has had a decided fault, or a general or severe breach, since
    override_rate_bp  how many have a grade that operators set by hand beside the one that the model gives

Everybody with conduct on record is rated three times for it, a few at a time beside the engine's other work, once a day
of the venue's clock. The figures are those of `credit.population`.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from credit.conduct import KINDS, Conduct
from credit.population import Share, bad_rates, drift, override_rate, population_stability
from credit.score import RANK, Grade
from exchange.events import Refused
from exchange.state import DAY_NS, State
from exchange.web.instant import text_of
from exchange.web.operation import Call, Operation

STABILITY_NS: Final = 90 * DAY_NS
OUTCOME_NS: Final = 180 * DAY_NS
AT_ONCE: Final = 20
"""Participants rated before the engine has its turn: some milliseconds."""
GRADES: Final[tuple[Grade, ...]] = tuple(sorted(RANK, key=lambda grade: -RANK[grade]))


class Rated(Struct, frozen=True):
    """One participant's grades by the model, None for when it had no conduct; whether it turned out bad since."""

    now: Grade
    quarter_ago: Grade | None
    half_ago: Grade | None
    bad: bool
    set_by_hand: Grade | None


class Monitoring(Struct):
    """Grades are those that the model gives. A rate is null where nobody was of its grade; `counted` says of how many."""

    as_of: str
    rated: int
    grades: Mapping[str, int]
    psi_micro: int
    drift: str
    bad_rate_bp: Mapping[str, int | None]
    counted: Mapping[str, int]
    override_rate_bp: int


async def monitoring(call: Call, asked: None) -> Monitoring:
    """Midnight's figures; a grade that operators set today is in those of tomorrow."""
    await call.need_role("operator", "auditor")
    today, kept = call.now_ns // DAY_NS, call.desk.monitored
    found = kept.get(today)
    if found is None:
        found = figures(await _all_rated(call, today * DAY_NS), today * DAY_NS)
        kept.clear()
        kept[today] = found
    return found


async def _all_rated(call: Call, at_ns: int) -> dict[str, Rated]:
    names = await call.read(lambda state: list(state.bureau.conduct))
    found: dict[str, Rated] = {}
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        found |= await call.read(partial(_rated_ones, some, at_ns))
        await asyncio.sleep(0)
    return found


def _rated_ones(names: list[str], at_ns: int, state: State) -> dict[str, Rated]:
    return {name: rated(state, name, at_ns) for name in names}


def rated(state: State, participant: str, at_ns: int) -> Rated:
    """As of an instant, and of the two before it."""
    bureau, by_hand = state.bureau, state.overrides.get(participant)
    first_ns = bureau.first_ns(participant)

    def grade(as_of_ns: int) -> Grade | None:
        return bureau.rating(participant, as_of_ns).grade if first_ns < as_of_ns else None

    since_ns = at_ns - OUTCOME_NS
    return Rated(
        bureau.rating(participant, at_ns).grade,
        grade(at_ns - STABILITY_NS),
        grade(since_ns),
        any(
            since_ns <= fault.at_ns < at_ns and is_bad(fault) for fault in bureau.standing_faults(participant)
        ),
        by_hand.grade if by_hand is not None and by_hand.confirmed_by else None,
    )


def is_bad(fault: Conduct) -> bool:
    """Decided against somebody, or more than a minor breach."""
    kind = KINDS[fault.kind]
    return kind.effect == "adjudicated" or (
        kind.effect == "compliance" and kind.severity in ("general", "severe")
    )


def figures(found: Mapping[str, Rated], at_ns: int) -> Monitoring:
    rows = found.values()
    now = [sum(row.now == grade for row in rows) for grade in GRADES]
    before = [sum(row.quarter_ago == grade for row in rows) for grade in GRADES]
    stability = population_stability(before, now)
    bad = bad_rates((row.half_ago, row.bad) for row in rows if row.half_ago is not None)
    own = {name: row.now for name, row in found.items()}
    in_force = own | {name: row.set_by_hand for name, row in found.items() if row.set_by_hand is not None}
    nobody = Share(0, 0)
    return Monitoring(
        text_of(at_ns),
        len(found),
        dict(zip(GRADES, now, strict=True)),
        round(stability * 1_000_000),
        drift(stability),
        {grade: _bp(bad.get(grade, nobody)) for grade in GRADES},
        {grade: bad.get(grade, nobody).whole for grade in GRADES},
        _bp(override_rate(own, in_force)) or 0,
    )


def _bp(share: Share) -> int | None:
    return share.part * 10_000 // share.whole if share.whole else None


_GRADES: Final = {"A": 12, "B": 140, "M": 800, "C": 30, "D": 4}

OPERATIONS: Final = (
    Operation("GET", "/v1/credit/monitoring", monitoring,
              "Population stability, bad rate by grade, override rate (operator, auditor)", "credit",
              answers=Monitoring, refused=(Refused.forbidden,), example_answer={
                  "as_of": "2026-11-23T00:00:00Z", "rated": 986, "grades": _GRADES, "psi_micro": 18_200, "drift": "stable",
                  "bad_rate_bp": {"A": 0, "B": 210, "M": 560, "C": 3_100, "D": None},
                  "counted": {"A": 8, "B": 95, "M": 610, "C": 22, "D": 0}, "override_rate_bp": 10}),
)  # fmt: skip
