"""The model cm-0.2, which stood before this one, without its reasons: kept to be measured beside its successor.

It reads the same log. Score and grade are those of `credit/score.py` of that version, point for point; what it meant is
said there.
"""

from collections.abc import Mapping
from math import exp2, expm1, log
from typing import Final

from credit.bureau import Bureau
from credit.conduct import KINDS, Conduct, ConductKind, Dimension, order_weight_micro
from credit.merchant import same_controller, verified_since_ns
from credit.score import DAY_NS, Grade, Log

MICRO: Final = 1_000_000
SCALE: Final = 1_000_000_000
RATIOS: Final[Mapping[Dimension, int]] = {
    "fulfilment": 250,
    "settlement": 170,
    "quality": 160,
    "disputes": 100,
}
SOLD: Final = ("fulfilment", "quality", "disputes")
BOUGHT: Final = ("settlement", "disputes")
WEIGHT_MICRO: Final[Mapping[ConductKind, int]] = {
    "delivered_late": 500_000,
    "not_delivered": 2_000_000,
    "rejected_delivery": 500_000,
    "redelivery_rejected": 2_000_000,
    "cancelled_sale": 1_000_000,
    "cancelled_purchase": 1_000_000,
    "payment_default": 3_000_000,
    "dispute_lost": 2_000_000,
    "hold_expired": 500_000,
}
FADING: Final = {"minor": (0, 90), "general": (90, 365), "severe": (365, 1095)}
BREACH: Final = {"minor": 8, "general": 40, "severe": 160}
REPEAT: Final = (1_000_000, 1_500_000, 2_250_000, 3_000_000)
QUARTERS: Final = {"same_controller": 0, "verified": 4, "new": 2, "unverified": 1}

_Faults = list[tuple[Conduct, int, bool]]
"""Each with its weight in millionths and whether it is still to be put right."""
_Flow = dict[str, int]


def rated(bureau: Bureau, name: str, as_of_ns: int) -> tuple[int, Grade]:
    """(score, grade) as of an instant."""
    kept = bureau.conduct.get(name, Log())
    today = as_of_ns // DAY_NS
    flows = _flows(kept, today)
    quarters = {other: QUARTERS[_relation(bureau, name, other, as_of_ns)] for other in flows}
    faults = _faults(kept, as_of_ns)
    first = min((flow["first"] for other, flow in flows.items() if quarters[other]), default=None)
    days = 0 if first is None else today - first
    breaches_micro = sum(weight for fault, weight, _ in faults if KINDS[fault.kind].effect == "compliance")
    micro = sum(_ratio(dimension, flows, quarters, faults) for dimension in RATIOS)
    micro += max(0, 160 * MICRO - breaches_micro) + 40 * MICRO * min(days, 1460) // 1460
    micro += 120 * MICRO if verified_since_ns(bureau.participants[name], as_of_ns) is not None else 0
    score = (micro + MICRO // 2) // MICRO
    others = sum(
        quarters[other] >= 2 and _counted(flow, quarters[other], flow["sold"] + flow["bought"]) >= 100_000
        for other, flow in flows.items()
    )
    return score, _grade(score, faults, breaches_micro, others, days, today)


def _relation(bureau: Bureau, name: str, counterparty: str, as_of_ns: int) -> str:
    other = bureau.participants.get(counterparty)
    if other is None:
        return "unverified"
    if same_controller(bureau.participants[name], other):
        return "same_controller"
    since_ns = verified_since_ns(other, as_of_ns)
    if since_ns is None:
        return "unverified"
    return "new" if as_of_ns // DAY_NS - since_ns // DAY_NS < 90 else "verified"


def _decay(days: int) -> int:
    return round(SCALE * exp2(-days / 365))


def _flows(kept: Log, today: int) -> dict[str, _Flow]:
    flows: dict[str, _Flow] = {}
    for (other, kind, day), (_, weight, amount_fen, _) in kept.good.items():
        if day < today:
            empty = {"sold": 0, "bought": 0, "sold_fen": 0, "bought_fen": 0, "first": day}
            flow, way, decay = flows.setdefault(other, empty), kind.partition("_")[2], _decay(today - day)
            side = "sold" if way == "sale" else "bought"
            flow[side] += weight * decay
            flow[f"{side}_fen"] += amount_fen * decay
            flow["first"] = min(flow["first"], day)
    for flow in flows.values():
        flow["sold"] //= SCALE
        flow["bought"] //= SCALE
    return flows


def _counted(flow: _Flow, quarters: int, weight: int) -> int:
    gross = flow["sold_fen"] + flow["bought_fen"]
    return weight * quarters * abs(flow["sold_fen"] - flow["bought_fen"]) // (4 * gross) if gross else 0


def _faults(kept: Log, as_of_ns: int) -> _Faults:
    known = sorted((row for row in kept.faults.values() if row.at_ns <= as_of_ns), key=lambda row: row.at_ns)
    mended = {row.reference: row.at_ns for row in known if row.kind == "corrected"}
    days_of: dict[ConductKind, list[int]] = {}
    faults: _Faults = []
    for fault in known:
        kind, day = KINDS[fault.kind], fault.at_ns // DAY_NS
        earlier = days_of.setdefault(fault.kind, [])
        repeats = sum(one > day - 365 for one in earlier)
        earlier.append(day)
        still_open = kind.must_correct and mended.get(fault.reference, -1) < fault.at_ns
        if kind.effect not in ("correction", "note", "good"):
            weight = _weight(fault, repeats, still_open, as_of_ns // DAY_NS - day)
            if weight is not None:
                faults.append((fault, weight, still_open))
    return faults


def _weight(fault: Conduct, repeats: int, still_open: bool, age: int) -> int | None:
    kind = KINDS[fault.kind]
    full, end = (0, 1095) if kind.effect == "performance" else FADING[kind.severity]
    if not still_open and age >= end:
        return None
    if kind.effect == "compliance":
        weight = BREACH[kind.severity] * REPEAT[min(repeats, 3)]
    else:
        order = MICRO if kind.once_a_day else order_weight_micro(fault.amount_fen)
        order = max(MICRO, order) if kind.effect == "adjudicated" else order
        weight = WEIGHT_MICRO[fault.kind] * order // MICRO
    if kind.effect == "performance":
        return weight * _decay(age) // SCALE
    return weight * (end - age) // (end - full) if not still_open and age > full else weight


def _ratio(
    dimension: Dimension, flows: dict[str, _Flow], quarters: Mapping[str, int], faults: _Faults
) -> int:
    slips: dict[str, int] = {}
    decided = 0
    for fault, weight, _ in faults:
        kind = KINDS[fault.kind]
        if dimension in kind.dimensions and kind.effect == "performance":
            slips[fault.counterparty] = slips.get(fault.counterparty, 0) + weight
        elif dimension in kind.dimensions and kind.effect == "adjudicated":
            decided += weight
    good = bad = 0
    for other in flows.keys() | slips.keys():
        flow = flows.get(other, {"sold": 0, "bought": 0, "sold_fen": 0, "bought_fen": 0})
        x = (flow["sold"] if dimension in SOLD else 0) + (flow["bought"] if dimension in BOUGHT else 0)
        y = slips.get(other, 0)
        if x + y:
            part = -expm1(-(x + y) / MICRO / 20) * 20 / ((x + y) / MICRO)
            good += _counted(flow, quarters.get(other, 1), int(x * part))
            bad += int(y * part)
    odds = (38 * MICRO + good) / (2 * MICRO + bad + decided)
    return round(MICRO * RATIOS[dimension] * min(1.0, max(0.0, log(odds) / log(300))))


def _grade(score: int, faults: _Faults, breaches_micro: int, others: int, days: int, today: int) -> Grade:
    orders = sum(weight for fault, weight, _ in faults if KINDS[fault.kind].effect != "compliance")
    general = [
        fault
        for fault, _, _ in faults
        if KINDS[fault.kind].effect == "compliance" and KINDS[fault.kind].severity == "general"
    ]
    if any(KINDS[fault.kind].severity == "severe" for fault, _, _ in faults):
        return "D"
    marked = orders >= MICRO or breaches_micro >= 24 * MICRO
    low: Grade = "D" if score < 520 else "C"
    band: Grade = "A" if score >= 760 else "B" if score >= 680 else low if marked else "M"
    if any(still_open and fault.kind == "payment_default" for fault, _, still_open in faults) or (
        sum(today - fault.at_ns // DAY_NS < 90 for fault in general) >= 3
    ):
        band = "D" if band == "D" else "C"
    if band in ("A", "B") and (others < 8 or days < 30):
        return "M"
    return "B" if band == "A" and (others < 25 or days < 180) else band
