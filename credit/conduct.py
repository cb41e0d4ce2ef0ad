"""What the venue tells the credit bureau (行为记录), and what each kind of it means.

The venue states facts, one frozen `Conduct` a fact; it never states a number of points. What a fact is
worth is in the table KINDS and in score.py, so that a new model can read an old log.

Every kind has one of these effects:

    good          feeds the ratio of its dimensions; kept as sums by counterparty and UTC day
    performance   a slip in carrying out an order; fades like good conduct does, gone after three years
    adjudicated   a fault decided, or plain from a missed date; full weight to a minimum period, then falls
    compliance    a breach of a rule; points are taken, more for a repeat
    correction    the fault with the same reference has been put right, or is repaired and weighs nothing any more
    note          kept and shown, worth nothing either way

Clauses name the duty that was not met. The points taken for it are the venue's own rule (本所规则), not
that clause's. 民法典 646: the sale provisions apply by analogy to other contracts for value, which a data
licence is. The three classes and their periods follow 《信用修复管理办法》 (国家发展和改革委员会令第36号,
in force 2026-04-01): minor at most 3 months and not published, general 3 to 12 months, severe 1 to 3 years.
That order binds the public credit system; here it is a model.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Final, Literal

import msgspec

ConductKind = Literal[
    "completed_sale",
    "completed_purchase",
    "delivered_late",
    "not_delivered",
    "rejected_delivery",
    "redelivered",
    "redelivery_rejected",
    "cancelled_sale",
    "cancelled_purchase",
    "payment_default",
    "dispute_lost",
    "hold_expired",
    "refused_unlawful_order",
    "duty_missed",
    "false_statement",
    "data_misuse",
    "listed_dishonest",
    "corrected",
    "repaired",
]
Effect = Literal["good", "performance", "adjudicated", "compliance", "correction", "note"]
Severity = Literal["none", "minor", "general", "severe"]
Dimension = Literal[
    "fulfilment", "settlement", "quality", "compliance", "identity", "disputes", "tenure", "gate"
]


WHOLE_BP: Final = 10_000


class Conduct(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One fact about one participant.

    `counterparty` is empty where there is none. `amount_fen` is the order's amount, 0 where none.
    `reference` is the id of the trade, order or decision; a `corrected` carries the reference of the fault
    it puts right. `history_bp` is the part of a completed order's amount that is history of its two sides (`history_bp`).
    """

    kind: ConductKind
    participant: str
    counterparty: str
    amount_fen: int
    at_ns: int
    reference: str
    history_bp: int = WHOLE_BP


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of conduct means.

    `weight_micro` is the millionth part of one ordinary order, for performance and adjudicated faults.
    `severity` sets the periods of adjudicated and compliance faults and the points of the latter.
    `must_correct`: does not fade until corrected. `once_a_day`: however often on one UTC day, it counts
    once and as one ordinary order, since a slip that a program repeats is one slip; for performance faults
    once a day and counterparty.
    """

    effect: Effect
    dimensions: tuple[Dimension, ...]
    weight_micro: int = 0
    severity: Severity = "none"
    must_correct: bool = False
    once_a_day: bool = False
    zh: str
    en: str
    clause_zh: str
    clause_en: str


_MARKET_CREDIT: Final = (
    "海南22：完善数据交易失信行为认定、守信激励、失信惩戒、信用修复、异议处理等机制；分值为本所规则",
    "Hainan 22: finding dishonest conduct, incentives, punishment, repair, objections; points are venue rule",
)
_FULL_PERFORMANCE: Final = (
    "民法典第五百零九条：当事人应当按照约定全面履行自己的义务；分值为本所规则",
    "Civil Code 509: the parties shall fully perform as agreed; points are venue rule",
)
_TIMELY_DELIVERY: Final = (
    "民法典第六百零一条、第六百四十六条：按照约定的时间交付；分值为本所规则",
    "Civil Code 601 with 646: deliver at the agreed time; points are venue rule",
)
_AGREED_QUALITY: Final = (
    "民法典第六百一十五条、第六百四十六条：按照约定的质量要求交付；分值为本所规则",
    "Civil Code 615 with 646: deliver to the agreed quality; points are venue rule",
)
_BREACH: Final = (
    "民法典第五百七十七条：不履行合同义务或者履行不符合约定的，承担违约责任；分值为本所规则",
    "Civil Code 577: liability for breach of contract; points are venue rule",
)
_PAYMENT: Final = (
    "民法典第六百二十六条、第六百四十六条：按照约定的数额和支付方式支付价款；分值为本所规则",
    "Civil Code 626 with 646: pay the agreed amount in the agreed way; points are venue rule",
)


def _kind(
    effect: Effect,
    dimensions: tuple[Dimension, ...],
    words: tuple[str, str],
    clause: tuple[str, str],
    weight_micro: int = 0,
    severity: Severity = "none",
    *,
    must_correct: bool = False,
    once_a_day: bool = False,
) -> Kind:
    return Kind(
        effect=effect,
        dimensions=dimensions,
        weight_micro=weight_micro,
        severity=severity,
        must_correct=must_correct,
        once_a_day=once_a_day,
        zh=words[0],
        en=words[1],
        clause_zh=clause[0],
        clause_en=clause[1],
    )


KINDS: Final[Mapping[ConductKind, Kind]] = {
    "completed_sale": _kind(
        "good",
        ("fulfilment", "quality", "disputes"),
        ("交付并经验收的销售", "sale delivered and accepted"),
        _MARKET_CREDIT,
    ),
    "completed_purchase": _kind(
        "good", ("settlement", "disputes"), ("付款并验收的采购", "purchase paid and accepted"), _MARKET_CREDIT
    ),
    "delivered_late": _kind(
        "performance", ("fulfilment",), ("逾期交付", "delivered late"), _TIMELY_DELIVERY, 1_250_000
    ),
    "not_delivered": _kind(
        "adjudicated",
        ("fulfilment",),
        ("到期未交付，已退款", "not delivered by its date; refunded"),
        _BREACH,
        2_000_000,
        "general",
    ),
    "rejected_delivery": _kind(
        "performance",
        ("quality",),
        ("交付被买方附理由拒收", "delivery rejected with a reason"),
        _AGREED_QUALITY,
        1_250_000,
    ),
    "redelivered": _kind(
        "note",
        ("quality",),
        ("拒收后重新交付并被接受", "delivered again after a rejection, and accepted"),
        _AGREED_QUALITY,
    ),
    "redelivery_rejected": _kind(
        "adjudicated",
        ("quality",),
        ("重新交付仍被拒收，已退款", "second delivery rejected too; refunded"),
        _AGREED_QUALITY,
        2_000_000,
        "general",
    ),
    "cancelled_sale": _kind(
        "performance",
        ("fulfilment",),
        ("成交后卖方取消", "seller cancelled after the match"),
        _FULL_PERFORMANCE,
        1_500_000,
    ),
    "cancelled_purchase": _kind(
        "performance",
        ("settlement",),
        ("成交后买方取消", "buyer cancelled after the match"),
        _FULL_PERFORMANCE,
        1_500_000,
    ),
    "payment_default": _kind(
        "adjudicated",
        ("settlement",),
        ("到期未付款", "payment not made by its date"),
        _PAYMENT,
        3_000_000,
        "general",
        must_correct=True,
    ),
    "dispute_lost": _kind(
        "adjudicated",
        ("disputes",),
        ("争议裁决不利", "dispute decided against it"),
        _BREACH,
        2_000_000,
        "general",
    ),
    "hold_expired": _kind(
        "performance",
        ("fulfilment",),
        ("未在期限内补正，暂缓的成交失效", "a held trade ended because its evidence did not come in time"),
        _FULL_PERFORMANCE,
        1_250_000,
        once_a_day=True,
    ),
    "refused_unlawful_order": _kind(
        "compliance",
        ("compliance",),
        ("提交被禁止交易规则拒绝的订单", "order refused by a no-trade rule"),
        _MARKET_CREDIT,
        severity="minor",
        once_a_day=True,
    ),
    "duty_missed": _kind(
        "compliance",
        ("compliance",),
        ("未履行成交后的义务", "duty after the trade not met"),
        _MARKET_CREDIT,
        severity="general",
        must_correct=True,
    ),
    "false_statement": _kind(
        "compliance",
        ("compliance",),
        ("登记或挂牌陈述不实", "false statement in a registration or listing"),
        _MARKET_CREDIT,
        severity="general",
        must_correct=True,
    ),
    "data_misuse": _kind(
        "compliance",
        ("compliance",),
        ("超出许可范围使用或转让数据", "data used or passed on outside the licence"),
        _MARKET_CREDIT,
        severity="severe",
        must_correct=True,
    ),
    "listed_dishonest": _kind(
        "compliance",
        ("compliance",),
        ("被列入国家严重失信主体名单", "put on a national list of seriously dishonest subjects"),
        _MARKET_CREDIT,
        severity="severe",
        must_correct=True,
    ),
    "corrected": _kind("correction", ("compliance",), ("失信行为已纠正", "fault put right"), _MARKET_CREDIT),
    "repaired": _kind("correction", ("compliance",), ("信用已修复", "credit repaired"), _MARKET_CREDIT),
}

GOOD: Final[frozenset[ConductKind]] = frozenset(kind for kind, row in KINDS.items() if row.effect == "good")

WHOLE_ORDER_FEN: Final = 1_000_000
"""10,000 CNY: an order of this amount weighs one; below it, in proportion."""

WHOLE_FEE_BP: Final = 200
"""An order is history at its whole amount where the fee is 2 % of it; below that, in proportion."""

_HEAVIEST_ORDER_FEN: Final = 100_000_000
_HEAVIEST_MICRO: Final = 3_000_000


def history_bp(amount_fen: int, fee_fen: int) -> int:
    """The part of an order that is history, in basis points: nobody can have history for less than the fee on it."""
    whole_fen = max(1, amount_fen * WHOLE_FEE_BP // WHOLE_BP)
    return min(WHOLE_BP, fee_fen * WHOLE_BP // whole_fen)


def order_weight_micro(amount_fen: int) -> int:
    """What an order of this amount weighs, in millionths: linear to 10,000 CNY, then 1 + log10, at most 3
    (1,000,000 CNY).

    On the linear part a fen is exactly one millionth, so sums of weights are exact integers. Above it the
    logarithm lies on a straight line between two places of `_LOG10_NANO`, rounded to the nearest millionth, which
    is that of the true value or the next: the same on every machine, for weights are state.
    """
    if amount_fen <= WHOLE_ORDER_FEN:
        return amount_fen if amount_fen > 0 else 0
    if amount_fen >= _HEAVIEST_ORDER_FEN:
        return _HEAVIEST_MICRO
    doublings = amount_fen.bit_length() - 1
    over = (amount_fen << 27 >> doublings) & 0x7FFFFFF
    place = over >> 17
    low = _LOG10_NANO[place]
    nano = doublings * _LOG10_2_NANO + low + ((_LOG10_NANO[place + 1] - low) * (over & 0x1FFFF) >> 17)
    return (nano - 4_999_999_500) // 1_000


_EXACT: Final = Context(prec=20)
_LOG10_NANO: Final = tuple(
    int((1 + Decimal(place) / 1024).log10(_EXACT) * 10**9 + Decimal("0.5")) for place in range(1025)
)
"""log10 of 1, 1 + 1/1024, ... 2, in billionths. A decimal logarithm is correctly rounded, unlike a C library's."""
_LOG10_2_NANO: Final = _LOG10_NANO[-1]
