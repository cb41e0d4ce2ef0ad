"""The credit model cm-0.2: a log of conduct, and the rating it gives as of any instant (信用评分).

The score is 0..1000, the sum of seven dimensions. Four are ratios of good to bad conduct:

    odds   = (38 + G) / (2 + B)
    points = W * clip(ln odds / ln 300, 0, 1)          doubling the odds adds 0.1215 W

    G      over counterparties: relation * one-way share * s * x     x: good orders, halved every 365 days
    B      over counterparties: s * y, plus adjudicated faults       y: slips, faded the same way
    s      = 20 (1 - e^(-n/20)) / n with n = x + y                   a counterparty is worth at most 20 orders

The other three: compliance starts full and is taken from; identity is all or nothing; tenure grows for four
years. A verified newcomer stands at 631 with the grade M, which says "not enough is known" and nothing
worse.

Where cm-0.2 departs from cm-0.1 of the starting document:

1. Good and bad with one counterparty saturate together. In cm-0.1 only good did, so that a merchant with a
   few large customers and a small failure rate sank as it grew.
2. A needs 25 and B 8 independent counterparties, and 180 and 30 days since the first counted order: sums
   alone were cheap to forge with a handful of bought identities.
3. C and D need a mark: faults that weigh one whole order together, or 24 compliance points. One slip is not
   dishonesty.
4. Slips end after three years; nothing small outlives the longest period of a severe breach.
5. Tenure counts from the first order with an unrelated counterparty, not from an idle registration.

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
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import exp2, expm1, log
from typing import Final, Literal

import msgspec

from credit.conduct import GOOD, KINDS, Conduct, ConductKind, Dimension, Kind, Severity, order_weight_micro

MODEL: Final = "cm-0.2"
DAY_NS: Final = 86_400_000_000_000
MICRO: Final = 1_000_000

Grade = Literal["A", "B", "C", "D", "M"]
Relation = Literal["same_controller", "verified", "new", "unverified"]

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

PRIOR_GOOD_MICRO: Final = 38 * MICRO
PRIOR_BAD_MICRO: Final = 2 * MICRO
BEST_ODDS: Final = 300
SATURATION: Final = 20
HALF_LIFE_DAYS: Final = 365
SLIP_ENDS_DAYS: Final = 1095
TENURE_DAYS: Final = 1460
RELATION_QUARTERS: Final[Mapping[Relation, int]] = {
    "same_controller": 0,
    "verified": 4,
    "new": 2,
    "unverified": 1,
}

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
BAND_C: Final = 520
A_COUNTERPARTIES: Final = 25
A_DAYS: Final = 180
B_COUNTERPARTIES: Final = 8
B_DAYS: Final = 30
INDEPENDENT_MICRO: Final = 100_000
"""A counterparty is counted from a tenth of an ordinary order (1,000 CNY) on, one-way and decayed."""
MARK_FAULT_MICRO: Final = 1_000_000
MARK_BREACH_MICRO: Final = 24 * MICRO

_DECAY_SCALE: Final = 1_000_000_000
_FULL: Final = 1_000_000


class Reason(msgspec.Struct, frozen=True):
    """One line of a rating. `points` may be negative or 0; `fades_at_ns` is when a fault ends, 0 for never
    or not yet known."""

    dimension: Dimension
    points: int
    zh: str
    en: str
    references: tuple[str, ...] = ()
    clause_zh: str = ""
    clause_en: str = ""
    fades_at_ns: int = 0


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

    `good`: (counterparty, kind, UTC day) -> [orders, weight in millionths, fen]. `faults`: single records
    under a key of their own; a fact told twice is one fact.
    """

    good: dict[tuple[str, ConductKind, int], list[int]] = {}
    faults: dict[tuple[object, ...], Conduct] = {}


class Flow(msgspec.Struct):
    """Orders completed with one counterparty as of a day: decayed weights and amounts, each direction by
    itself. `quarters` is what the relation counts them for."""

    orders: int = 0
    sold_micro: int = 0
    bought_micro: int = 0
    sold_fen: int = 0
    bought_fen: int = 0
    first_day: int = 1 << 62
    quarters: int = 0

    def counted_micro(self, weight_micro: int) -> int:
        """A weight after the relation and after two-way flow, which two parties can pass to and fro for
        nothing."""
        gross_fen = self.sold_fen + self.bought_fen
        if gross_fen == 0:
            return 0
        return weight_micro * self.quarters * abs(self.sold_fen - self.bought_fen) // (4 * gross_fen)


class _Fault(msgspec.Struct, frozen=True):
    """A fault as of a day: its weight in millionths (of an order, or of a point) and when it ends."""

    conduct: Conduct
    kind: Kind
    weight_micro: int
    fades_at_ns: int


class _Line(msgspec.Struct, frozen=True):
    """A reason before rounding: millionths of a point."""

    dimension: Dimension
    micro: int
    zh: str
    en: str
    references: tuple[str, ...] = ()
    clause: tuple[str, str] = ("", "")
    fades_at_ns: int = 0


class _Cap(msgspec.Struct, frozen=True):
    """A grade that cannot be exceeded, and why."""

    grade: Grade
    zh: str
    en: str
    references: tuple[str, ...] = ()


def fold(log: Log, conduct: Conduct) -> None:
    """Add one fact. Constant time, about 1 us for good conduct."""
    kind = conduct.kind
    if kind not in GOOD:
        _fold_fault(log, conduct)
        return
    amount_fen = conduct.amount_fen
    key = (conduct.counterparty, kind, conduct.at_ns // DAY_NS)
    row = log.good.get(key)
    if row is None:
        log.good[key] = [1, order_weight_micro(amount_fen), amount_fen]
        return
    row[0] += 1
    row[1] += order_weight_micro(amount_fen)
    row[2] += amount_fen


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
    relations: Mapping[str, Relation],
    as_of_ns: int,
    flows: Mapping[str, Flow] | None = None,
) -> Rating:
    """Rate a participant as of an instant. A counterparty without a relation counts as unverified.

    `flows` are those of flows_before() for the instant's day, for a caller that keeps them; without them they
    are added up anew. Cost with them: about 10 us a counterparty plus 20 us.
    """
    flows = _related(flows_before(log, as_of_ns // DAY_NS) if flows is None else flows, relations)
    faults = _faults(log, as_of_ns)
    lines = [line for dimension in RATIOS for line in _ratio_lines(dimension, flows, faults)]
    lines += _compliance_lines(faults)
    lines.append(_identity_line(subject))
    lines.append(_tenure_line(flows, as_of_ns // DAY_NS))
    total = _rounded(sum(line.micro for line in lines))
    grade, cap = _grade(total, flows, faults, as_of_ns // DAY_NS)
    reasons = (*_reasons(lines), *([_cap_reason(cap)] if cap else []))
    return Rating(score=total, grade=grade, reasons=reasons, as_of_ns=as_of_ns)


# --- what the log holds as of a day ---


@cache
def _decay(age_days: int) -> int:
    """0.5 ** (age / 365) in billionths."""
    return round(_DECAY_SCALE * exp2(-age_days / HALF_LIFE_DAYS))


def flows_before(log: Log, today: int) -> dict[str, Flow]:
    """Completed orders by counterparty, of days that have ended. Sorted, so that nothing depends on
    arrival. They are the same all day, whoever is verified or related since; about 0.4 us a bucket."""
    flows: dict[str, Flow] = {}
    for (counterparty, kind, day), (orders, weight_micro, amount_fen) in log.good.items():
        if day < today:
            flow = flows.get(counterparty)
            if flow is None:
                flow = flows[counterparty] = Flow()
            _add_bucket(flow, kind, day, orders, _decay(today - day), weight_micro, amount_fen)
    for flow in flows.values():
        flow.sold_micro //= _DECAY_SCALE
        flow.bought_micro //= _DECAY_SCALE
    return dict(sorted(flows.items()))


def _related(flows: Mapping[str, Flow], relations: Mapping[str, Relation]) -> dict[str, Flow]:
    """The flows with what each relation counts for; those that were given stay as they are."""
    related = {}
    for counterparty, flow in flows.items():
        quarters = RELATION_QUARTERS[relations.get(counterparty, "unverified")]
        related[counterparty] = msgspec.structs.replace(flow, quarters=quarters)
    return related


def _add_bucket(
    flow: Flow,
    kind: ConductKind,
    day: int,
    orders: int,
    decay: int,
    weight_micro: int,
    amount_fen: int,
) -> None:
    flow.orders += orders
    if day < flow.first_day:
        flow.first_day = day
    if kind == "completed_sale":
        flow.sold_micro += weight_micro * decay
        flow.sold_fen += amount_fen * decay
    else:
        flow.bought_micro += weight_micro * decay
        flow.bought_fen += amount_fen * decay


def _faults(log: Log, as_of_ns: int) -> list[_Fault]:
    """Faults up to the instant that still weigh or are still to be shown, oldest first."""
    known = sorted((fault for fault in log.faults.values() if fault.at_ns <= as_of_ns), key=_instant_order)
    corrected_ns = {fault.reference: fault.at_ns for fault in known if fault.kind == "corrected"}
    days_of: dict[ConductKind, list[int]] = {}
    faults = []
    for conduct in known:
        kind = KINDS[conduct.kind]
        repeats = _repeats(days_of.setdefault(conduct.kind, []), conduct.at_ns // DAY_NS)
        open_fault = kind.must_correct and corrected_ns.get(conduct.reference, -1) < conduct.at_ns
        fault = _fault(conduct, kind, open_fault, repeats, as_of_ns // DAY_NS)
        if fault is not None and kind.effect != "correction":
            faults.append(fault)
    return faults


def _repeats(earlier_days: list[int], day: int) -> int:
    """How many faults of the same kind lie within the year before this one; notes this one's day. Days
    ascend."""
    repeats = len(earlier_days) - bisect_right(earlier_days, day - REPEAT_DAYS)
    earlier_days.append(day)
    return repeats


def _fault(conduct: Conduct, kind: Kind, open_fault: bool, repeats: int, today: int) -> _Fault | None:
    day = conduct.at_ns // DAY_NS
    full_days, end_days = _periods(kind)
    if not open_fault and today - day >= end_days:
        return None
    weight_micro = _first_weight(conduct, kind, repeats)
    if kind.effect == "performance":
        weight_micro = weight_micro * _decay(today - day) // _DECAY_SCALE
    elif not open_fault and today - day > full_days:
        weight_micro = weight_micro * (end_days - today + day) // (end_days - full_days)
    return _Fault(conduct, kind, weight_micro, 0 if open_fault else (day + end_days) * DAY_NS)


def _periods(kind: Kind) -> tuple[int, int]:
    """Days of full weight and days to zero. Slips and notes have no full period; they end after three
    years."""
    return (0, SLIP_ENDS_DAYS) if kind.effect in ("performance", "note") else FADING_DAYS[kind.severity]


def _first_weight(conduct: Conduct, kind: Kind, repeats: int) -> int:
    """What a fault weighs on its first day; an adjudicated one never less than one ordinary order's worth."""
    if kind.effect == "compliance":
        return BREACH_POINTS[kind.severity] * REPEAT_MICRO[min(repeats, len(REPEAT_MICRO) - 1)]
    order_micro = MICRO if kind.once_a_day else order_weight_micro(conduct.amount_fen)
    if kind.effect == "adjudicated":
        order_micro = max(MICRO, order_micro)
    return kind.weight_micro * order_micro // _FULL


# --- the dimensions ---


def _ratio_micro(dimension: Dimension, good_micro: int, bad_micro: int) -> int:
    odds = (PRIOR_GOOD_MICRO + good_micro) / (PRIOR_BAD_MICRO + bad_micro)
    share = min(1.0, max(0.0, log(odds) / log(BEST_ODDS)))
    return round(MICRO * WEIGHTS[dimension] * share)


def _together(good_micro: int, bad_micro: int) -> tuple[int, int]:
    """Good and bad with one counterparty, saturated together: at most 20 observations in the proportion
    they have."""
    observations = (good_micro + bad_micro) / MICRO
    if observations == 0:
        return 0, 0
    kept = -expm1(-observations / SATURATION) * SATURATION / observations
    return int(good_micro * kept), int(bad_micro * kept)


def _good_of(dimension: Dimension, flow: Flow) -> int:
    sold = flow.sold_micro if dimension in KINDS["completed_sale"].dimensions else 0
    bought = flow.bought_micro if dimension in KINDS["completed_purchase"].dimensions else 0
    return sold + bought


def _good_and_bad(
    dimension: Dimension, flows: Mapping[str, Flow], slips: Mapping[str, int]
) -> tuple[int, int]:
    """G and B of one dimension over all counterparties, without adjudicated faults."""
    good_micro = bad_micro = 0
    for counterparty in flows.keys() | slips.keys():
        flow = flows.get(counterparty)
        good, bad = _together(_good_of(dimension, flow) if flow else 0, slips.get(counterparty, 0))
        good_micro += flow.counted_micro(good) if flow else 0
        bad_micro += bad
    return good_micro, bad_micro


def _ratio_lines(dimension: Dimension, flows: Mapping[str, Flow], faults: Iterable[_Fault]) -> list[_Line]:
    """Start, what good conduct adds, what each fault takes. They sum to the dimension's points."""
    own = [fault for fault in faults if dimension in fault.kind.dimensions]
    slips: dict[str, int] = {}
    for fault in own:
        if fault.kind.effect == "performance":
            counterparty = fault.conduct.counterparty
            slips[counterparty] = slips.get(counterparty, 0) + fault.weight_micro
    decided_micro = sum(fault.weight_micro for fault in own if fault.kind.effect == "adjudicated")
    start = _ratio_micro(dimension, 0, 0)
    without_faults = _ratio_micro(dimension, _good_and_bad(dimension, flows, {})[0], 0)
    good_micro, bad_micro = _good_and_bad(dimension, flows, slips)
    points = _ratio_micro(dimension, good_micro, bad_micro + decided_micro)
    return [
        _start_line(dimension, start),
        *_good_lines(dimension, flows, without_faults - start),
        *_fault_lines(dimension, own, without_faults - points),
    ]


def _start_line(dimension: Dimension, micro: int) -> _Line:
    return _Line(dimension, micro, "起始分：尚无记录时的分值", "where everybody starts, without any record")


def _good_lines(dimension: Dimension, flows: Mapping[str, Flow], micro: int) -> list[_Line]:
    own = [flow for flow in flows.values() if _good_of(dimension, flow) > 0]
    if not own:
        return []
    related = [flow for flow in own if flow.quarters == 0]
    orders, without = sum(flow.orders for flow in own), sum(flow.orders for flow in related)
    zh = f"已完成订单{orders}笔，交易对手{len(own)}家"
    en = f"{orders} completed orders with {len(own)} counterparties"
    if related:
        zh += f"，其中同一控制人的{without}笔不计分"
        en += f", {without} of them with the same controller, which earn nothing"
    kind = KINDS["completed_sale"]
    return [_Line(dimension, micro, zh, en, clause=(kind.clause_zh, kind.clause_en))]


def _fault_lines(dimension: Dimension, faults: Sequence[_Fault], loss_micro: int) -> list[_Line]:
    """The loss of a dimension shared among its faults by their weight; the shares sum to the loss exactly."""
    whole = sum(fault.weight_micro for fault in faults)
    lines, weight_so_far, shared = [], 0, 0
    for fault in faults:
        weight_so_far += fault.weight_micro
        upto = loss_micro * weight_so_far // whole if whole else 0
        lines.append(_fault_line(dimension, fault, shared - upto))
        shared = upto
    return lines


def _fault_line(dimension: Dimension, fault: _Fault, micro: int) -> _Line:
    kind, conduct = fault.kind, fault.conduct
    uncorrected = kind.must_correct and fault.fades_at_ns == 0
    return _Line(
        dimension,
        micro,
        kind.zh + ("，尚未纠正" if uncorrected else ""),
        kind.en + (", not put right yet" if uncorrected else ""),
        (conduct.reference,) if conduct.reference else (),
        (kind.clause_zh, kind.clause_en),
        fault.fades_at_ns,
    )


def _compliance_lines(faults: Iterable[_Fault]) -> list[_Line]:
    """The full points, less each breach; below zero nothing more is taken, from the oldest breach on."""
    full = WEIGHTS["compliance"] * MICRO
    lines = [
        _Line("compliance", full, "合规起始分：无违规记录", "compliance starts full: no breach on record")
    ]
    left = full
    for fault in faults:
        if fault.kind.effect == "compliance":
            taken = min(left, fault.weight_micro)
            left -= taken
            lines.append(_fault_line("compliance", fault, -taken))
    return lines


def _identity_line(subject: Subject) -> _Line:
    clause = (
        "海南12：建立数据商登记、审核、认定等资质认证服务；分值为本所规则",
        "Hainan 12: registration, review and accreditation of merchants; points are venue rule",
    )
    if subject.verified:
        micro = WEIGHTS["identity"] * MICRO
        return _Line("identity", micro, "身份已核验", "identity verified", clause=clause)
    return _Line("identity", 0, "身份尚未核验", "identity not verified", clause=clause)


def _first_counted_day(flows: Mapping[str, Flow]) -> int | None:
    return min((flow.first_day for flow in flows.values() if flow.quarters), default=None)


def _days_active(flows: Mapping[str, Flow], today: int) -> int:
    first = _first_counted_day(flows)
    return 0 if first is None else today - first


def _tenure_line(flows: Mapping[str, Flow], today: int) -> _Line:
    days = _days_active(flows, today)
    micro = WEIGHTS["tenure"] * MICRO * min(days, TENURE_DAYS) // TENURE_DAYS
    return _Line(
        "tenure",
        micro,
        f"自首笔计分订单起{days}天，满{TENURE_DAYS}天得满分",
        f"{days} days since the first counted order, full after {TENURE_DAYS}",
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
            )
        )
    return reasons


def _cap_reason(cap: _Cap) -> Reason:
    return Reason("gate", 0, cap.zh, cap.en, cap.references, "本所规则", "venue rule")


def _grade(
    total: int, flows: Mapping[str, Flow], faults: Sequence[_Fault], today: int
) -> tuple[Grade, _Cap | None]:
    """The band of the score, lowered to the strictest cap; the cap is returned when it lowers."""
    band = _band(total, _has_mark(faults))
    caps = [*_fault_caps(faults, today), *_thin_caps(flows, today)]
    strictest = min(caps, key=lambda cap: RANK[cap.grade], default=None)
    if strictest is None or RANK[strictest.grade] >= RANK[band]:
        return band, None
    return strictest.grade, strictest


def _band(total: int, marked: bool) -> Grade:
    if total >= BAND_A:
        return "A"
    if total >= BAND_B:
        return "B"
    if not marked:
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


def _thin_caps(flows: Mapping[str, Flow], today: int) -> list[_Cap]:
    """What a good grade asks beside points: enough independent counterparties, over enough days."""
    counterparties, days = _independent(flows), _days_active(flows, today)
    caps: list[_Cap] = []
    if counterparties < B_COUNTERPARTIES or days < B_DAYS:
        caps.append(_thin_cap("M", "B", counterparties, days, B_COUNTERPARTIES, B_DAYS))
    if counterparties < A_COUNTERPARTIES or days < A_DAYS:
        caps.append(_thin_cap("B", "A", counterparties, days, A_COUNTERPARTIES, A_DAYS))
    return caps


def _thin_cap(held: Grade, wanted: Grade, counterparties: int, days: int, need: int, need_days: int) -> _Cap:
    return _Cap(
        held,
        f"{wanted}级须有独立交易对手{need}家且满{need_days}天，现有{counterparties}家、{days}天",
        f"grade {wanted} asks {need} independent counterparties over {need_days} days; "
        f"there are {counterparties} over {days}",
    )


def _independent(flows: Mapping[str, Flow]) -> int:
    """Verified counterparties under another controller with a counted flow worth naming."""
    verified = RELATION_QUARTERS["new"]
    return sum(
        1
        for flow in flows.values()
        if flow.quarters >= verified
        and flow.counted_micro(flow.sold_micro + flow.bought_micro) >= INDEPENDENT_MICRO
    )
