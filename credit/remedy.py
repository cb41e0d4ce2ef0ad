"""What follows from a grade, and what can be done about it (守信激励、失信惩戒、信用修复、异议处理): tables only.

    CONSEQUENCES   by grade: fee, deposit, listings, orders, ceiling, pre-review, suspension
    CASE_LIFE      the life of a case, from its notice to its end
    NOTICE_DAYS    how long before its effect anything that restricts is said
    UPGRADE_DAYS   how long a better grade must be computed before it is in force

Only what stands in `CONSEQUENCES` exists (社会信用体系建设: 失信惩戒措施实行清单制管理), and nothing else follows from a
grade. What drives the venue is the grade in force, never the computed one: `exchange.consequence` keeps it.
海南22: 「完善数据交易失信行为认定、守信激励、失信惩戒、信用修复、异议处理等机制」; figures are the venue's rule.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from credit.conduct import KINDS, ConductKind, Severity
from credit.score import FADING_DAYS, RANK, SLIP_ENDS_DAYS, Grade

NOTICE_DAYS: Final[Mapping[Severity, int]] = {"none": 0, "minor": 7, "general": 7, "severe": 3}
"""Days between the notice of a case and its effect. A grade that is computed lower is noticed as a general one."""
GRADE_NOTICE_DAYS: Final = 7
UPGRADE_DAYS: Final = 14
"""A better grade is in force when it, or a better one, was computed on this many days before today and on each since."""
OBJECTION_DAYS: Final = 15
"""Within how many days an objection is decided; at its date, not decided, it is upheld."""
REPAIR_DAYS: Final = 15
"""Within how many days a commitment is looked at; at its date, not decided, the repair is granted."""
MINIMUM_DAYS: Final[Mapping[Severity, int]] = {"none": 0, "minor": 0, "general": 90, "severe": 365}
"""How long after its effect a case may be repaired at the earliest. 《信用修复管理办法》(国家发展和改革委员会令第36号):
轻微最长3个月, 一般最短3个月, 严重最短1年."""
PUBLISHED_DAYS: Final[Mapping[Severity, int]] = {"none": 0, "minor": 0, "general": 365, "severe": 1095}
"""How long a case is shown to the public from its effect, unless it is repaired before; minor ones never are."""
OVERRIDE_DAYS: Final = 90
"""How long an override may last."""

CEILING_TIMES: Final = 3


class Consequences(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from one grade. Zero of a limit is none.

    `fee_bp` is added to the board's fee, where it has one. `deposit_fen` must lie in the deposit (保证金) of whoever lists.
    `most_listings` may be open at a time. An order may be `CEILING_TIMES` the largest clean settled one, and at least
    `largest_order_fen`. `pre_review`: days for which a listing is in public notice at least before it is published.
    `velocity`: orders of 10,000 CNY (`conduct.WHOLE_ORDER_FEN`) or more that it may sell a day, of what is to be
    delivered. `suspended`: no new order, bid, need, report, subscription or listing; what has begun is carried out.
    """

    fee_bp: int = 0
    deposit_fen: int = 0
    most_listings: int = 0
    orders_per_minute: int = 0
    largest_order_fen: int = 0
    velocity: int = 0
    pre_review: int = 0
    suspended: bool = False


CONSEQUENCES: Final[Mapping[Grade, Consequences]] = {
    "A": Consequences(fee_bp=-50, orders_per_minute=60_000),
    "B": Consequences(fee_bp=-20, orders_per_minute=30_000),
    "M": Consequences(orders_per_minute=12_000, largest_order_fen=1_000_000_000, velocity=40),
    "C": Consequences(
        fee_bp=50,
        deposit_fen=1_000_000,
        most_listings=5,
        orders_per_minute=30,
        largest_order_fen=5_000_000,
        velocity=20,
        pre_review=7,
    ),
    "D": Consequences(
        fee_bp=100,
        deposit_fen=5_000_000,
        most_listings=1,
        orders_per_minute=10,
        largest_order_fen=5_000_000,
        velocity=1,
        pre_review=15,
        suspended=True,
    ),
}
"""The published list. A newcomer's ceiling is ten times the amount above which an order weighs no more in the score."""


class Words(msgspec.Struct, frozen=True):
    """One consequence: the field of `Consequences` that it is, what it does and what undoes it."""

    field: str
    zh: str
    en: str
    undone_zh: str
    undone_en: str


_BETTER_ZH: Final = "等级回升后自生效日起不再适用；对依据的事项可异议、纠正、修复"
_BETTER_EN: Final = "ends when a better grade is in force; object to, correct or repair what it rests on"

LISTED: Final = (
    Words(
        "fee_bp",
        "交易服务费加收或减免（基点）",
        "added to the board's fee, or taken off (basis points)",
        _BETTER_ZH,
        _BETTER_EN,
    ),
    Words(
        "deposit_fen",
        "挂牌须存有保证金（分）",
        "deposit that whoever lists must hold (fen)",
        "存入保证金；" + _BETTER_ZH,
        "pay the deposit in; " + _BETTER_EN,
    ),
    Words(
        "most_listings",
        "同时开放的挂牌上限（0为不限）",
        "most listings open at a time (0: no limit)",
        "撤下一项挂牌；" + _BETTER_ZH,
        "withdraw a listing; " + _BETTER_EN,
    ),
    Words(
        "orders_per_minute",
        "每分钟订单上限（0为不限）",
        "most orders a minute (0: no limit)",
        _BETTER_ZH,
        _BETTER_EN,
    ),
    Words(
        "largest_order_fen",
        "单笔上限为已结清最大订单的三倍，且不低于此数（分，0为不限）",
        "an order may be three times the largest settled one, and at least this (fen, 0: no limit)",
        "结清更大的订单；" + _BETTER_ZH,
        "settle larger orders; " + _BETTER_EN,
    ),
    Words(
        "velocity",
        "每日可售出的一万元及以上订单数（0为不限）",
        "orders of 10,000 CNY or more that may be sold a day (0: no limit)",
        "次日（世界时）重新计数；" + _BETTER_ZH,
        "counted anew each day (UTC); " + _BETTER_EN,
    ),
    Words(
        "pre_review",
        "挂牌发布前的公示天数",
        "days in public notice before a listing is published",
        _BETTER_ZH,
        _BETTER_EN,
    ),
    Words(
        "suspended",
        "暂停新增交易与挂牌，已成立的照常履行",
        "no new trades and listings; what has begun is carried out",
        _BETTER_ZH,
        _BETTER_EN,
    ),
)
"""What each column of the list means."""


def ceiling_fen(grade: Grade, largest_fen: int) -> int:
    """The largest order of a participant of this grade, whose largest clean settled one was this; 0: no ceiling."""
    floor_fen = CONSEQUENCES[grade].largest_order_fen
    return max(floor_fen, CEILING_TIMES * largest_fen) if floor_fen else 0


def is_worse(grade: Grade, than: Grade) -> bool:
    return RANK[grade] < RANK[than]


def worse_of(one: Grade, other: Grade) -> Grade:
    return one if RANK[one] <= RANK[other] else other


def better_of(one: Grade, other: Grade) -> Grade:
    return other if RANK[one] <= RANK[other] else one


# ---- cases

CaseState = Literal["noticed", "in_force", "corrected", "repaired", "faded", "upheld"]
"""Where a case is. That an objection waits is said beside it: it leaves the life where it is until it is decided."""

CaseStep = Literal["take_effect", "correct", "repair", "fade", "uphold"]

CASE_LIFE: Final[Mapping[tuple[CaseState, CaseStep], CaseState]] = {
    ("noticed", "take_effect"): "in_force",
    ("noticed", "uphold"): "upheld",
    ("in_force", "correct"): "corrected",
    ("in_force", "fade"): "faded",
    ("in_force", "uphold"): "upheld",
    ("corrected", "repair"): "repaired",
    ("corrected", "fade"): "faded",
    ("corrected", "uphold"): "upheld",
}
"""What is not in it cannot happen. A rejected objection leaves the case as it was."""

OVER: Final[tuple[CaseState, ...]] = ("repaired", "faded", "upheld")
"""Nothing comes of it any more: it is in the query tables only."""

DETERMINED: Final[tuple[ConductKind, ...]] = (
    "false_statement",
    "data_misuse",
    "listed_dishonest",
    "duty_missed",
    "dispute_lost",
)
"""Kinds of conduct that a reviewer may determine (认定) in a case; the others the venue sees for itself."""


def notice_days(kind: ConductKind) -> int:
    """Between the notice of a case and its effect."""
    return NOTICE_DAYS[KINDS[kind].severity]


def minimum_days(kind: ConductKind) -> int:
    """From the effect of a case to the first repair."""
    return MINIMUM_DAYS[KINDS[kind].severity]


def end_days(kind: ConductKind) -> int:
    """From the effect of a case to its fading, where it has been corrected if it must be."""
    row = KINDS[kind]
    return SLIP_ENDS_DAYS if row.effect in ("performance", "note") else FADING_DAYS[row.severity][1]


def published_days(kind: ConductKind) -> int:
    """How long a case is public from its effect; 0: never."""
    return PUBLISHED_DAYS[KINDS[kind].severity]
