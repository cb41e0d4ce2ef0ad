"""The credit model cm-1.0: a log of conduct, and the rating it gives as of any instant (信用评分).

The score is 0..1000, the sum of seven dimensions. Four are ratios of good to bad conduct:

    odds   = (23.75 + G) / (1.25 + B)
    points = W * clip(ln odds / ln 300, 0, 1)          doubling the odds adds 0.1215 W

    G      over counterparties: part * s * x     x: good orders, halved every 365 days
    B      over counterparties: s * y, plus adjudicated faults       y: slips, faded the same way
    s      = 40 (1 - e^(-n/40)) / n with n = x + y                   a counterparty is worth at most 40 orders
    part   = one-way share * (0.2 + 0.8 * what it has settled with others / 1,000,000 CNY, at most 1);
             0.05 for one whose identity is not verified, 0 for the same controller and in a ring found forged

The other three: compliance starts full and is taken from; identity is all or nothing; tenure grows for four
years. A verified newcomer stands at 631 with the grade M, which says "not enough is known" and nothing
worse. A from 760, B from 680; below 600, whoever has a mark (faults that weigh one and a half orders together, or 24
compliance points) is C, below 520 D.

Where cm-1.0 departs from cm-0.2, and why (docs/CREDIT.md has the figures):

1. Orders count by their number, from 2,000 CNY on, and not by the logarithm of their amount: how often a merchant
   failed tells more than how large the orders were.
2. A fault counts whole in its own dimension and three quarters in the others of the same side: who delivers late
   fails otherwise too. Its kind matters less: 1.25 orders for a slip, 2 for an order that came to nothing.
3. The assumption beforehand is 25 orders, not 40, with the same odds: what is seen tells sooner.
4. What an order proves depends on what its counterparty has settled with others. An identity alone proves little: it
   can be bought, and waiting 90 days costs nothing. History costs fees, whichever way money goes round; where the fee was
   less than 2 %, an order is that much less history.
5. A asks 25 counterparties over 180 days that have settled 24 million CNY with others, each counted to a million; B
   asks 8 over 30 days with 4.6 million. The fees for that are what a forger cannot save.
6. C and D need a score below 600 beside a mark: who delivers a hundred orders and two of them late is no worse than a
   newcomer, of whom nothing is known. M says "neither well known nor bad".
7. Repair: a fault that was put right and has a public commitment weighs nothing from then on, and stays in the log.
   Contested faults can be left out.

Days. Good conduct is kept in sums by counterparty and UTC day, so memory grows with pairs and days, not
with trades. It counts from the midnight that ends its day; faults count from their instant. Hence a rating
as of an instant is the same whenever it is asked, and between two midnights only faults, corrections and
identity changes move it. The rating as of the next midnight shows what today's orders will add.

Exactness. Weights are integer millionths and every function of them is rounded to an integer before it is
summed, so the order of arrival cannot show. Rounding to points happens once, on the running total of the
reasons in their fixed order: a reason's points are the rounded total after it less the rounded total before
it. So reasons sum to the score exactly, the score is within half a point of the unrounded sum, and a reason
is within one point of its own.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from math import exp2, expm1, log
from typing import Final, Literal

import msgspec

from credit.conduct import (
    GOOD,
    KINDS,
    WHOLE_BP,
    Conduct,
    ConductKind,
    Dimension,
    Kind,
    Severity,
    order_weight_micro,
)

MODEL: Final = "cm-1.0"
DAY_NS: Final = 86_400_000_000_000
MICRO: Final = 1_000_000

Grade = Literal["A", "B", "C", "D", "M"]
Relation = Literal["same_controller", "ring", "verified", "unverified"]
"""`ring`: both are in a ring that a reviewer found forged."""
Contested = Collection[tuple[ConductKind, str]]

WEIGHTS: Final[Mapping[Dimension, int]] = {
    "fulfilment": 250,
    "settlement": 170,
    "quality": 160,
    "disputes": 100,
    "compliance": 160,
    "identity": 120,
    "tenure": 40,
}
"""Points of each dimension, in the order in which reasons are listed and rounded."""

RATIOS: Final[tuple[Dimension, ...]] = ("fulfilment", "settlement", "quality", "disputes")
RANK: Final[Mapping[Grade, int]] = {"D": 0, "C": 1, "M": 2, "B": 3, "A": 4}
"""Grades from worst to best. M (thin file) stands above C: little is known, and nothing against it."""

SOLD: Final[tuple[Dimension, ...]] = ("fulfilment", "quality", "disputes")
BOUGHT: Final[tuple[Dimension, ...]] = ("settlement", "disputes")
"""Dimensions that a completed sale and a completed purchase feed."""

PRIOR_GOOD_MICRO: Final = 23_750_000
PRIOR_BAD_MICRO: Final = 1_250_000
BEST_ODDS: Final = 300
_LOG_BEST: Final = log(BEST_ODDS)
SATURATION: Final = 40
SISTER_MICRO: Final = 750_000
SMALL_ORDERS: Final = 5
"""An order counts one from 10,000 CNY / 5 on."""
HALF_LIFE_DAYS: Final = 365
SLIP_ENDS_DAYS: Final = 1095
TENURE_DAYS: Final = 1460
HISTORY_FEN: Final = 100_000_000
"""What a counterparty has settled with others counts up to 1,000,000 CNY."""
VERIFIED_MICRO: Final = 200_000
"""The part that orders with a verified counterparty count for that has settled nothing with anybody else."""
UNVERIFIED_MICRO: Final = 50_000
WORTHLESS: Final[tuple[Relation, ...]] = ("same_controller", "ring")
NOTHING_SEEN: Final = (0, 0, 0)
NAMED: Final = 8
"""Counterparties with a reason of their own; the others share one."""

FADING_DAYS: Final[Mapping[Severity, tuple[int, int]]] = {
    "none": (0, 0),
    "minor": (0, 90),
    "general": (90, 365),
    "severe": (365, 1095),
}
"""Days of full weight and days to zero. 《信用修复管理办法》(国家发展和改革委员会令第36号): 轻微最长3个月,
一般3个月至1年, 严重1年至3年."""

BREACH_POINTS: Final[Mapping[Severity, int]] = {"none": 0, "minor": 8, "general": 40, "severe": 160}
REPEAT_MICRO: Final = (1_000_000, 1_500_000, 2_250_000, 3_000_000)
"""The first breach of a kind within a year, the second, the third, every later one: 1.5 to the power, at
most 3."""
REPEAT_DAYS: Final = 365
GENERALS_DAYS: Final = 90
GENERALS_TO_C: Final = 3

BAND_A: Final = 760
BAND_B: Final = 680
BAND_M: Final = 600
BAND_C: Final = 520
INDEPENDENT_FEN: Final = 100_000
"""A counterparty is counted from 1,000 CNY on, one-way and decayed."""
MARK_FAULT_MICRO: Final = 1_500_000
MARK_BREACH_MICRO: Final = 24 * MICRO

_VENUE_RULE: Final = ("本所规则", "venue rule")
_DECAY_SCALE: Final = 1_000_000_000


class Reason(msgspec.Struct, frozen=True):
    """One line of a rating. `points` may be negative or 0; `fades_at_ns` is when a fault ends, 0 for never
    or not yet known. `weight_micro`: millionths of an order, or of a point for compliance."""

    dimension: Dimension
    points: int
    zh: str
    en: str
    references: tuple[str, ...] = ()
    clause_zh: str = ""
    clause_en: str = ""
    fades_at_ns: int = 0
    weight_micro: int = 0
    counterparty: str = ""


class Rating(msgspec.Struct, frozen=True):
    """A score of 0..1000, its grade and the reasons that sum to it."""

    score: int
    grade: Grade
    reasons: tuple[Reason, ...]
    as_of_ns: int
    model: str = MODEL


class Subject(msgspec.Struct, frozen=True):
    """What the model must know of the one who is rated, as of the same instant."""

    participant: str
    verified: bool


class Log(msgspec.Struct):
    """Everything known of one participant's conduct, folded so that the order of arrival leaves no trace.

    `good`: (counterparty, kind, UTC day) -> [orders, weight in millionths, fen, fen of history]. `faults`: single records
    under a key of their own; a fact told twice is one fact.
    """

    good: dict[tuple[str, ConductKind, int], list[int]] = {}
    faults: dict[tuple[object, ...], Conduct] = {}


class Flow(msgspec.Struct):
    """Orders completed with one counterparty before a day, each direction by itself: orders, weights and amounts
    halved every year, in billionths while they are added up; `sold_history_fen` and `bought_history_fen` are not halved."""

    orders: int = 0
    sold_orders: int = 0
    bought_orders: int = 0
    sold_micro: int = 0
    bought_micro: int = 0
    sold_fen: int = 0
    bought_fen: int = 0
    sold_history_fen: int = 0
    bought_history_fen: int = 0
    first_day: int = 1 << 62


class Tie(msgspec.Struct, frozen=True):
    """What a counterparty is to the one rated, and what it has settled with others: not with that one, nor with
    anybody under either's controller, nor in a ring found forged that both are in."""

    relation: Relation = "unverified"
    bought_fen: int = 0
    sold_fen: int = 0


STRANGER: Final = Tie()


class _Cap(msgspec.Struct, frozen=True):
    """A grade that cannot be exceeded, and why."""

    grade: Grade
    zh: str
    en: str
    references: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True):
    """Good conduct as of a day, added up as far as no fault is needed for it. The same all day long.

    `seen`: counterparty -> (orders sold, orders bought, part that counts), all in millionths. `added_micro`: for each
    dimension, what each of them gives with no slips; `good_micro`: all of it. `orders`: how many were completed.
    """

    seen: Mapping[str, tuple[int, int, int]]
    orders: Mapping[str, int]
    added_micro: Mapping[Dimension, Mapping[str, int]]
    good_micro: Mapping[Dimension, int]
    counterparties: int
    backing_fen: int
    days: int
    caps: tuple[_Cap, ...] = ()


class _Fault(msgspec.Struct, frozen=True):
    """A fault as of a day: its weight in millionths (of an order, or of a point) and when it ends."""

    conduct: Conduct
    kind: Kind
    weight_micro: int
    fades_at_ns: int
    repaired: bool


class _Line(msgspec.Struct, frozen=True):
    """A reason before rounding: millionths of a point."""

    dimension: Dimension
    micro: int
    zh: str
    en: str
    references: tuple[str, ...] = ()
    clause: tuple[str, str] = ("", "")
    fades_at_ns: int = 0
    weight_micro: int = 0
    counterparty: str = ""


class Asked(msgspec.Struct, frozen=True):
    """What a good grade asks beside its points, and the grade that is held without it."""

    grade: Grade
    held: Grade
    counterparties: int
    days: int
    backing_fen: int


FOR_B: Final = Asked("B", "M", 8, 30, 460_000_000)
FOR_A: Final = Asked("A", "B", 25, 180, 2_400_000_000)


def fold(log: Log, conduct: Conduct) -> None:
    """Add one fact. Constant time, about 1 us for good conduct."""
    kind = conduct.kind
    if kind not in GOOD:
        _fold_fault(log, conduct)
        return
    amount_fen = conduct.amount_fen
    settled_fen = amount_fen * conduct.history_bp // WHOLE_BP
    key = (conduct.counterparty, kind, conduct.at_ns // DAY_NS)
    row = log.good.get(key)
    if row is None:
        log.good[key] = [1, order_weight_micro(amount_fen), amount_fen, settled_fen]
        return
    row[0] += 1
    row[1] += order_weight_micro(amount_fen)
    row[2] += amount_fen
    row[3] += settled_fen


def _fold_fault(log: Log, conduct: Conduct) -> None:
    kind = KINDS[conduct.kind]
    facts = msgspec.structs.astuple(conduct)
    if not kind.once_a_day:
        log.faults[facts] = conduct
        return
    towards = conduct.counterparty if kind.effect == "performance" else ""
    key = (conduct.kind, towards, conduct.at_ns // DAY_NS)
    known = log.faults.get(key)
    if known is None or _earlier(conduct, known):
        log.faults[key] = conduct


def _earlier(one: Conduct, other: Conduct) -> bool:
    return _instant_order(one) < _instant_order(other)


def _instant_order(conduct: Conduct) -> tuple[int, str, str, str, int]:
    return conduct.at_ns, conduct.kind, conduct.reference, conduct.counterparty, conduct.amount_fen


def score(
    log: Log,
    subject: Subject,
    ties: Mapping[str, Tie],
    as_of_ns: int,
    contested: Contested = (),
) -> Rating:
    """Rate a participant as of an instant from its log alone. A counterparty without a tie counts as unverified."""
    today = as_of_ns // DAY_NS
    return rate(log, subject, evidence(flows_before(log, today), ties, today), as_of_ns, contested)


def rate(log: Log, subject: Subject, found: Evidence, as_of_ns: int, contested: Contested = ()) -> Rating:
    """Score, grade and reasons; `found` is that of the instant's day.

    `contested`: (kind, reference) of faults under objection, which the view that restricts leaves out; a severe one
    among them still holds the grade at C. About 1 us a counterparty, 10 us a fault, and 100 us.
    """
    faults = _faults(log, as_of_ns, contested)
    bad = _bad(faults)
    lines = [line for dimension in RATIOS for line in _ratio_lines(dimension, found, faults, bad[dimension])]
    lines += _compliance_lines(faults)
    lines += [_identity_line(subject), _tenure_line(found)]
    total = _rounded(sum(line.micro for line in lines))
    caps = _caps(found, faults, as_of_ns // DAY_NS, _contested_severe(log, as_of_ns, contested))
    grade, cap = _grade(total, faults, caps)
    reasons = (*_reasons(lines), *([_cap_reason(cap)] if cap else []))
    return Rating(score=total, grade=grade, reasons=reasons, as_of_ns=as_of_ns)


def score_and_grade(
    log: Log, subject: Subject, found: Evidence, as_of_ns: int, contested: Contested = ()
) -> tuple[int, Grade]:
    """Those of `rate` without the reasons: as `weigh` and `weighed_grade`."""
    weighed = weigh(log, found, as_of_ns, contested)
    return weighed_grade(weighed, subject, found, _contested_severe(log, as_of_ns, contested))


class Weighed(msgspec.Struct):
    """The faults of a log as of a day, and G and B of each dimension, kept so that one more fault does not weigh all of
    them anew."""

    weighing: "_Weighing"
    bad: "dict[Dimension, _Bad]"
    ratios: dict[Dimension, tuple[int, int]]

    def add(self, found: Evidence, conduct: Conduct) -> None:
        """One more fault, of the same day and no earlier than any other. O(dimensions that it counts in)."""
        fault = self.weighing.add(conduct)
        if fault is None:
            return
        for dimension, part in PARTS[conduct.kind].items():
            bad, (good_micro, bad_micro) = self.bad[dimension], self.ratios[dimension]
            before = _slips_micro(dimension, found, bad, conduct.counterparty)
            _count(bad, fault, part)
            after = _slips_micro(dimension, found, bad, conduct.counterparty)
            decided_micro = fault.weight_micro * part // MICRO if fault.kind.effect == "adjudicated" else 0
            self.ratios[dimension] = (
                good_micro + after[0] - before[0],
                bad_micro + after[1] - before[1] + decided_micro,
            )


def weigh(log: Log, found: Evidence, as_of_ns: int, contested: Contested = ()) -> Weighed:
    """About 6 us a fault."""
    weighing = _weighing(log, as_of_ns, contested)
    bad = _bad(weighing.faults)
    ratios = {dimension: _good_and_bad(dimension, found, row) for dimension, row in bad.items()}
    return Weighed(weighing, bad, ratios)


def weighed_grade(
    weighed: Weighed, subject: Subject, found: Evidence, contested: tuple[str, ...] = ()
) -> tuple[int, Grade]:
    """Score and grade of what was weighed; `contested` are the references of severe breaches left out."""
    faults = weighed.weighing.faults
    micro = sum([_ratio_micro(dimension, *row) for dimension, row in weighed.ratios.items()])
    breaches_micro = sum([fault.weight_micro for fault in faults if fault.kind.effect == "compliance"])
    micro += max(0, WEIGHTS["compliance"] * MICRO - breaches_micro)
    micro += _identity_micro(subject) + _tenure_micro(found)
    caps = _caps(found, faults, weighed.weighing.today, contested)
    total = _rounded(micro)
    return total, _grade(total, faults, caps)[0]


def fades_ns(log: Log, conduct: Conduct, as_of_ns: int) -> int:
    """When this fault ends; 0 where that is not known yet, or it has ended."""
    return next((one.fades_at_ns for one in _faults(log, as_of_ns, ()) if one.conduct == conduct), 0)


# --- what the log holds as of a day ---


@cache
def _decay(age_days: int) -> int:
    """0.5 ** (age / 365) in billionths."""
    return round(_DECAY_SCALE * exp2(-age_days / HALF_LIFE_DAYS))


def flows_before(log: Log, today: int) -> dict[str, Flow]:
    """Completed orders by counterparty, of days that have ended. Sorted, so that nothing depends on
    arrival. They are the same all day, whoever is verified or related since; about 0.5 us a bucket."""
    flows: dict[str, Flow] = {}
    for (counterparty, kind, day), row in log.good.items():
        if day < today:
            flow = flows.get(counterparty)
            if flow is None:
                flow = flows[counterparty] = Flow()
            _add_bucket(flow, kind, day, _decay(today - day), row)
    return dict(sorted(flows.items()))


def _add_bucket(flow: Flow, kind: ConductKind, day: int, decay: int, row: Sequence[int]) -> None:
    orders, weight_micro, amount_fen, settled_fen = row
    flow.orders += orders
    if day < flow.first_day:
        flow.first_day = day
    if kind == "completed_sale":
        flow.sold_orders += orders * decay
        flow.sold_micro += weight_micro * decay
        flow.sold_fen += amount_fen * decay
        flow.sold_history_fen += settled_fen
    else:
        flow.bought_orders += orders * decay
        flow.bought_micro += weight_micro * decay
        flow.bought_fen += amount_fen * decay
        flow.bought_history_fen += settled_fen


def evidence(flows: Mapping[str, Flow], ties: Mapping[str, Tie], today: int) -> Evidence:
    """What completed orders say, by who the counterparties are. About 5 us a counterparty."""
    seen, orders, first_day = {}, {}, today
    counterparties = customers_fen = suppliers_fen = 0
    for name, flow in flows.items():
        tie = ties.get(name, STRANGER)
        part = _part_micro(flow, tie)
        seen[name] = (
            _orders_micro(flow.sold_orders, flow.sold_micro),
            _orders_micro(flow.bought_orders, flow.bought_micro),
            part,
        )
        orders[name] = flow.orders
        if part and flow.first_day < first_day:
            first_day = flow.first_day
        if part and tie.relation == "verified" and _is_worth_naming(flow):
            counterparties += 1
            customers_fen += min(HISTORY_FEN, tie.bought_fen) if flow.sold_fen > flow.bought_fen else 0
            suppliers_fen += min(HISTORY_FEN, tie.sold_fen) if flow.sold_fen < flow.bought_fen else 0
    added_micro = _added_micro(seen)
    good_micro = {dimension: sum(added.values()) for dimension, added in added_micro.items()}
    backing_fen = max(customers_fen, suppliers_fen)
    found = Evidence(seen, orders, added_micro, good_micro, counterparties, backing_fen, today - first_day)
    return msgspec.structs.replace(found, caps=tuple(_thin_caps(found)))


def _added_micro(seen: Mapping[str, tuple[int, int, int]]) -> dict[Dimension, dict[str, int]]:
    """Sales feed fulfilment and quality alike."""
    added: dict[Dimension, dict[str, int]] = {}
    for dimension in RATIOS:
        same: Dimension = "fulfilment" if dimension == "quality" else dimension
        if same not in added:
            added[same] = {name: _good_micro(same, row, 0)[0] for name, row in seen.items()}
        added[dimension] = added[same]
    return added


def _orders_micro(orders: int, weight_micro: int) -> int:
    """Orders that count whole from 2,000 CNY on: as many as there were, or five times their weight if that is less."""
    return min(orders * MICRO, weight_micro * SMALL_ORDERS) // _DECAY_SCALE


def _part_micro(flow: Flow, tie: Tie) -> int:
    """The part that orders with a counterparty count for: what it is to us, how much it has settled with others, and
    without the two-way flow, which two parties can pass to and fro for nothing."""
    gross_fen = flow.sold_fen + flow.bought_fen
    if tie.relation in WORTHLESS or gross_fen == 0:
        return 0
    part = UNVERIFIED_MICRO
    if tie.relation == "verified":
        settled_fen = tie.bought_fen if flow.sold_fen > flow.bought_fen else tie.sold_fen
        part = VERIFIED_MICRO + (MICRO - VERIFIED_MICRO) * min(HISTORY_FEN, settled_fen) // HISTORY_FEN
    return part * abs(flow.sold_fen - flow.bought_fen) // gross_fen


def _is_worth_naming(flow: Flow) -> bool:
    """One-way orders of at least 1,000 CNY, decayed."""
    return abs(flow.sold_fen - flow.bought_fen) >= INDEPENDENT_FEN * _DECAY_SCALE


class _Weighing(msgspec.Struct):
    """Faults as of a day that still weigh or are still to be shown, in the order in which they were added; when what was
    corrected or repaired was; the days of each kind."""

    today: int
    mended_ns: dict[tuple[ConductKind, str], int]
    days_of: dict[ConductKind, list[int]] = {}
    faults: list[_Fault] = []

    def add(self, conduct: Conduct) -> _Fault | None:
        kind, at_ns = KINDS[conduct.kind], conduct.at_ns
        repeats = _repeats(self.days_of.setdefault(conduct.kind, []), at_ns // DAY_NS)
        open_fault = kind.must_correct and self.mended_ns.get(("corrected", conduct.reference), -1) < at_ns
        repaired = not open_fault and self.mended_ns.get(("repaired", conduct.reference), -1) >= at_ns
        fault = _fault(conduct, kind, open_fault, repaired, repeats, self.today)
        if fault is not None:
            self.faults.append(fault)
        return fault


def _faults(log: Log, as_of_ns: int, contested: Contested) -> list[_Fault]:
    """Faults up to the instant that still weigh or are still to be shown, oldest first."""
    return _weighing(log, as_of_ns, contested).faults


def _weighing(log: Log, as_of_ns: int, contested: Contested) -> _Weighing:
    known = [fault for fault in log.faults.values() if fault.at_ns <= as_of_ns]
    known.sort(key=_instant_order)
    mended_ns = {
        (fault.kind, fault.reference): fault.at_ns
        for fault in known
        if KINDS[fault.kind].effect == "correction"
    }
    found = _Weighing(as_of_ns // DAY_NS, mended_ns)
    for conduct in known:
        is_correction = KINDS[conduct.kind].effect == "correction"
        if not is_correction and not (contested and (conduct.kind, conduct.reference) in contested):
            found.add(conduct)
    return found


def _contested_severe(log: Log, as_of_ns: int, contested: Contested) -> tuple[str, ...]:
    """References of severe breaches that are left out because they are under objection."""
    if not contested:
        return ()
    rows = (
        row for row in log.faults.values() if row.at_ns <= as_of_ns and KINDS[row.kind].severity == "severe"
    )
    return tuple(sorted(row.reference for row in rows if (row.kind, row.reference) in contested))


def _repeats(earlier_days: list[int], day: int) -> int:
    """How many faults of the same kind lie within the year before this one; notes this one's day. Days
    ascend."""
    repeats = len(earlier_days) - bisect_right(earlier_days, day - REPEAT_DAYS)
    earlier_days.append(day)
    return repeats


def _fault(
    conduct: Conduct, kind: Kind, open_fault: bool, repaired: bool, repeats: int, today: int
) -> _Fault | None:
    day = conduct.at_ns // DAY_NS
    full_days, end_days = _periods(kind)
    if not open_fault and today - day >= end_days:
        return None
    weight_micro = 0 if repaired else _first_weight(conduct, kind, repeats)
    if kind.effect == "performance":
        weight_micro = weight_micro * _decay(today - day) // _DECAY_SCALE
    elif not open_fault and today - day > full_days:
        weight_micro = weight_micro * (end_days - today + day) // (end_days - full_days)
    return _Fault(conduct, kind, weight_micro, 0 if open_fault else (day + end_days) * DAY_NS, repaired)


def _periods(kind: Kind) -> tuple[int, int]:
    """Days of full weight and days to zero. Slips and notes have no full period; they end after three
    years."""
    return (0, SLIP_ENDS_DAYS) if kind.effect in ("performance", "note") else FADING_DAYS[kind.severity]


def _first_weight(conduct: Conduct, kind: Kind, repeats: int) -> int:
    """What a fault weighs on its first day. One in carrying out an order counts as the order would have."""
    if kind.effect == "compliance":
        return BREACH_POINTS[kind.severity] * REPEAT_MICRO[min(repeats, len(REPEAT_MICRO) - 1)]
    if kind.once_a_day or kind.effect == "adjudicated":
        return kind.weight_micro
    return kind.weight_micro * min(MICRO, order_weight_micro(conduct.amount_fen) * SMALL_ORDERS) // MICRO


# --- the dimensions ---


def _ratio_micro(dimension: Dimension, good_micro: int, bad_micro: int) -> int:
    odds = (PRIOR_GOOD_MICRO + good_micro) / (PRIOR_BAD_MICRO + bad_micro)
    share = min(1.0, max(0.0, log(odds) / _LOG_BEST))
    return round(MICRO * WEIGHTS[dimension] * share)


def _good_micro(dimension: Dimension, row: tuple[int, int, int], bad_micro: int) -> tuple[int, int]:
    """(G, B) of one counterparty: its orders and the slips towards it saturate together, in the proportion they have,
    at 40 observations. Orders that earn nothing are none of them: they would make slips lighter."""
    sold, bought, part = row
    good_micro = ((sold if dimension in SOLD else 0) + (bought if dimension in BOUGHT else 0)) if part else 0
    observations = (good_micro + bad_micro) / MICRO
    if observations == 0:
        return 0, 0
    kept = -expm1(-observations / SATURATION) * SATURATION / observations
    return int(good_micro * kept) * part // MICRO, int(bad_micro * kept)


def _parts_of(kind: Kind) -> dict[Dimension, int]:
    """In which dimensions a fault counts, in millionths: whole in its own, three quarters in the others of the same
    side, for whoever delivers late is likelier to deliver badly too."""
    if kind.effect not in ("performance", "adjudicated"):
        return {}
    sold = any(dimension in SOLD for dimension in kind.dimensions)
    sisters: dict[Dimension, int] = dict.fromkeys(SOLD if sold else (), SISTER_MICRO)
    return sisters | dict.fromkeys(kind.dimensions, MICRO)


PARTS: Final = {name: _parts_of(kind) for name, kind in KINDS.items()}


def _weight_in(dimension: Dimension, fault: _Fault) -> int:
    return fault.weight_micro * PARTS[fault.conduct.kind].get(dimension, 0) // MICRO


class _Bad(msgspec.Struct):
    """Faults of one dimension, in millionths of an order: slips by counterparty, and decided ones."""

    slips: dict[str, int] = {}
    decided_micro: int = 0


def _bad(faults: Iterable[_Fault]) -> dict[Dimension, _Bad]:
    bad = {dimension: _Bad() for dimension in RATIOS}
    for fault in faults:
        for dimension, part in PARTS[fault.conduct.kind].items():
            _count(bad[dimension], fault, part)
    return bad


def _count(bad: _Bad, fault: _Fault, part: int) -> None:
    weight_micro, name = fault.weight_micro * part // MICRO, fault.conduct.counterparty
    if fault.kind.effect == "adjudicated":
        bad.decided_micro += weight_micro
    else:
        bad.slips[name] = bad.slips.get(name, 0) + weight_micro


def _good_and_bad(dimension: Dimension, found: Evidence, bad: _Bad) -> tuple[int, int]:
    """G and B of one dimension."""
    good_micro, bad_micro = found.good_micro[dimension], bad.decided_micro
    for name in bad.slips:
        more_micro, slips_micro = _slips_micro(dimension, found, bad, name)
        good_micro += more_micro
        bad_micro += slips_micro
    return good_micro, bad_micro


def _slips_micro(dimension: Dimension, found: Evidence, bad: _Bad, name: str) -> tuple[int, int]:
    """What slips towards one counterparty change of G, and what they add to B."""
    slip_micro = bad.slips.get(name, 0)
    if not slip_micro:
        return 0, 0
    good, slips = _good_micro(dimension, found.seen.get(name, NOTHING_SEEN), slip_micro)
    return good - found.added_micro[dimension].get(name, 0), slips


def _ratio_lines(dimension: Dimension, found: Evidence, faults: Iterable[_Fault], bad: _Bad) -> list[_Line]:
    """Start, what good conduct adds by counterparty, what each fault takes. They sum to the dimension's points."""
    own = [
        fault
        for fault in faults
        if dimension in fault.kind.dimensions or dimension in PARTS[fault.conduct.kind]
    ]
    start = _ratio_micro(dimension, 0, 0)
    without_faults = _ratio_micro(dimension, found.good_micro[dimension], 0)
    points = _ratio_micro(dimension, *_good_and_bad(dimension, found, bad))
    return [
        _start_line(dimension, start),
        *_good_lines(dimension, found, without_faults - start),
        *_fault_lines(dimension, own, without_faults - points),
    ]


def _start_line(dimension: Dimension, micro: int) -> _Line:
    zh, en = "起始分：尚无记录时的分值", "where everybody starts, without any record"
    return _Line(dimension, micro, zh, en, clause=_VENUE_RULE)


def _good_lines(dimension: Dimension, found: Evidence, micro: int) -> list[_Line]:
    """A line for each of the counterparties that add most, one for all others; shared by what each adds to G."""
    added = found.added_micro[dimension]
    traded = [name for name, row in found.seen.items() if _trades_in(dimension, row)]
    traded.sort(key=lambda name: (-added[name], name))
    named, others = traded[:NAMED], traded[NAMED:]
    groups = [(name,) for name in named] + ([tuple(others)] if others else [])
    weights = [sum(added[name] for name in group) for group in groups]
    shares = _shared(micro, weights)
    return [
        _good_line(dimension, found, group, weight, share)
        for group, weight, share in zip(groups, weights, shares, strict=True)
    ]


def _trades_in(dimension: Dimension, row: tuple[int, int, int]) -> bool:
    return (dimension in SOLD and row[0] > 0) or (dimension in BOUGHT and row[1] > 0)


def _good_line(
    dimension: Dimension, found: Evidence, names: tuple[str, ...], weight_micro: int, micro: int
) -> _Line:
    orders = sum(found.orders[name] for name in names)
    whom = (
        (f"交易对手{names[0]}", names[0])
        if len(names) == 1
        else (f"其他{len(names)}家交易对手", f"{len(names)} other counterparties")
    )
    zh, en = f"与{whom[0]}已完成订单{orders}笔", f"{orders} completed orders with {whom[1]}"
    if all(found.seen[name][2] == 0 for name in names):
        zh += "，双向往来、同一控制人或已认定的虚假交易不计分"
        en += ", which earn nothing: to and fro, under the same controller, or in a ring found forged"
    else:
        zh += f"，折合{weight_micro / MICRO:.2f}笔，每{HALF_LIFE_DAYS}天减半"
        en += f", counted as {weight_micro / MICRO:.2f}, halved every {HALF_LIFE_DAYS} days"
    kind = KINDS["completed_sale"]
    clause = (kind.clause_zh, kind.clause_en)
    counterparty = names[0] if len(names) == 1 else ""
    return _Line(dimension, micro, zh, en, (), clause, 0, weight_micro, counterparty)


def _shared(micro: int, weights: Sequence[int]) -> list[int]:
    """A number of points in parts by weight, which sum to it exactly."""
    whole, upto, given, parts = sum(weights), 0, 0, []
    for weight in weights:
        upto += weight
        due = micro * upto // whole if whole else 0
        parts.append(due - given)
        given = due
    return parts


def _fault_lines(dimension: Dimension, faults: Sequence[_Fault], loss_micro: int) -> list[_Line]:
    """The loss of a dimension shared among its faults by their weight in it."""
    weights = [_weight_in(dimension, fault) for fault in faults]
    lost = _shared(loss_micro, weights)
    return [
        _fault_line(dimension, fault, -part, weight)
        for fault, part, weight in zip(faults, lost, weights, strict=True)
    ]


def _fault_line(dimension: Dimension, fault: _Fault, micro: int, weight_micro: int) -> _Line:
    kind, conduct = fault.kind, fault.conduct
    zh, en = kind.zh, kind.en
    if fault.repaired:
        zh, en = f"{zh}，信用已修复", f"{en}, repaired"
    elif kind.must_correct and fault.fades_at_ns == 0:
        zh, en = f"{zh}，尚未纠正", f"{en}, not put right yet"
    if kind.effect != "compliance" and dimension not in kind.dimensions:
        zh, en = f"{zh}（连带）", f"{en} (as it bears on this)"
    references = (conduct.reference,) if conduct.reference else ()
    clause = (kind.clause_zh, kind.clause_en)
    return _Line(
        dimension, micro, zh, en, references, clause, fault.fades_at_ns, weight_micro, conduct.counterparty
    )


def _compliance_lines(faults: Iterable[_Fault]) -> list[_Line]:
    """The full points, less each breach; below zero nothing more is taken, from the oldest breach on."""
    full = WEIGHTS["compliance"] * MICRO
    zh, en = "合规起始分：无违规记录", "compliance starts full: no breach on record"
    lines = [_Line("compliance", full, zh, en, clause=_VENUE_RULE)]
    left = full
    for fault in faults:
        if fault.kind.effect == "compliance":
            taken = min(left, fault.weight_micro)
            left -= taken
            lines.append(_fault_line("compliance", fault, -taken, fault.weight_micro))
    return lines


def _identity_micro(subject: Subject) -> int:
    return WEIGHTS["identity"] * MICRO if subject.verified else 0


def _identity_line(subject: Subject) -> _Line:
    clause = (
        "海南12：建立数据商登记、审核、认定等资质认证服务；分值为本所规则",
        "Hainan 12: registration, review and accreditation of merchants; points are venue rule",
    )
    words = (
        ("身份已核验", "identity verified") if subject.verified else ("身份尚未核验", "identity not verified")
    )
    return _Line("identity", _identity_micro(subject), *words, clause=clause)


def _tenure_micro(found: Evidence) -> int:
    return WEIGHTS["tenure"] * MICRO * min(found.days, TENURE_DAYS) // TENURE_DAYS


def _tenure_line(found: Evidence) -> _Line:
    return _Line(
        "tenure",
        _tenure_micro(found),
        f"自首笔计分订单起{found.days}天，满{TENURE_DAYS}天得满分",
        f"{found.days} days since the first counted order, full after {TENURE_DAYS}",
        clause=_VENUE_RULE,
    )


# --- rounding and grade ---


def _rounded(micro: int) -> int:
    """Millionths of a point to points, halves up."""
    return (micro + MICRO // 2) // MICRO


def _reasons(lines: Iterable[_Line]) -> list[Reason]:
    """Round on the running total, so that the points of all reasons sum to the rounded total."""
    reasons, running = [], 0
    for line in lines:
        points = _rounded(running + line.micro) - _rounded(running)
        running += line.micro
        reasons.append(
            Reason(
                dimension=line.dimension,
                points=points,
                zh=line.zh,
                en=line.en,
                references=line.references,
                clause_zh=line.clause[0],
                clause_en=line.clause[1],
                fades_at_ns=line.fades_at_ns,
                weight_micro=line.weight_micro,
                counterparty=line.counterparty,
            )
        )
    return reasons


def _cap_reason(cap: _Cap) -> Reason:
    return Reason("gate", 0, cap.zh, cap.en, cap.references, *_VENUE_RULE)


def _caps(found: Evidence, faults: Sequence[_Fault], today: int, contested: tuple[str, ...]) -> list[_Cap]:
    caps = [*_fault_caps(faults, today), *found.caps]
    if contested:
        en = "a severe breach is under objection"
        caps.append(_Cap("C", "有严重失信行为正在异议处理", en, contested))
    return caps


def _grade(total: int, faults: Sequence[_Fault], caps: Sequence[_Cap]) -> tuple[Grade, _Cap | None]:
    """The band of the score, lowered to the strictest cap; the cap is returned when it lowers."""
    band = _band(total, _has_mark(faults))
    strictest = min(caps, key=lambda cap: RANK[cap.grade], default=None)
    if strictest is None or RANK[strictest.grade] >= RANK[band]:
        return band, None
    return strictest.grade, strictest


def _band(total: int, marked: bool) -> Grade:
    if total >= BAND_A:
        return "A"
    if total >= BAND_B:
        return "B"
    if not marked or total >= BAND_M:
        return "M"
    return "C" if total >= BAND_C else "D"


def _has_mark(faults: Iterable[_Fault]) -> bool:
    """Whether enough is held against a participant to grade it C or D by its score."""
    orders_micro = breaches_micro = 0
    for fault in faults:
        if fault.kind.effect == "compliance":
            breaches_micro += fault.weight_micro
        else:
            orders_micro += fault.weight_micro
    return orders_micro >= MARK_FAULT_MICRO or breaches_micro >= MARK_BREACH_MICRO


def _fault_caps(faults: Iterable[_Fault], today: int) -> list[_Cap]:
    faults = [fault for fault in faults if not fault.repaired]
    if not faults:
        return []
    severe = [fault for fault in faults if fault.kind.severity == "severe"]
    defaults = [
        fault for fault in faults if fault.conduct.kind == "payment_default" and fault.fades_at_ns == 0
    ]
    generals = [fault for fault in faults if _recent_general(fault, today)]
    caps = []
    if severe:
        caps.append(
            _Cap(
                "D", "有未满期限的严重失信行为", "a severe breach has not run its period", _references(severe)
            )
        )
    if defaults:
        caps.append(
            _Cap("C", "有未纠正的违约付款", "a payment default is not put right", _references(defaults))
        )
    if len(generals) >= GENERALS_TO_C:
        en = f"{len(generals)} general breaches within {GENERALS_DAYS} days"
        caps.append(_Cap("C", f"{GENERALS_DAYS}天内一般失信行为{len(generals)}次", en, _references(generals)))
    return caps


def _recent_general(fault: _Fault, today: int) -> bool:
    if fault.kind.effect != "compliance" or fault.kind.severity != "general":
        return False
    return today - fault.conduct.at_ns // DAY_NS < GENERALS_DAYS


def _references(faults: Iterable[_Fault]) -> tuple[str, ...]:
    return tuple(fault.conduct.reference for fault in faults)


def _thin_caps(found: Evidence) -> list[_Cap]:
    """What a good grade asks beside points: enough independent counterparties with a history of their own with others,
    over enough days."""
    caps: list[_Cap] = []
    for asked in (FOR_B, FOR_A):
        if (
            found.counterparties < asked.counterparties
            or found.days < asked.days
            or found.backing_fen < asked.backing_fen
        ):
            caps.append(_thin_cap(asked, found))
    return caps


def _thin_cap(asked: Asked, found: Evidence) -> _Cap:
    need, most, have = asked.backing_fen, HISTORY_FEN, found.backing_fen
    return _Cap(
        asked.held,
        f"{asked.grade}级须有独立交易对手{asked.counterparties}家、满{asked.days}天，且各家与他人已结算金额"
        f"（每家最多计{most // 1_000_000}万元，手续费不足2%的按比例折算）合计{need // 1_000_000}万元；"
        f"现有{found.counterparties}家、{found.days}天、{have // 1_000_000}万元",
        f"grade {asked.grade} asks {asked.counterparties} independent counterparties over {asked.days} days, who have "
        f"settled {need // 100:,} CNY with others, each counted up to {most // 100:,}, and in proportion "
        f"where the fee was below 2 %; "
        f"there are {found.counterparties} over {found.days} days, with {have // 100:,} CNY",
    )
