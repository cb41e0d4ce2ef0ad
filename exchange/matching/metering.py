"""Metered plans: what a month of so many units costs, exactly, and whom a changed plan binds when.

A plan has a setup fee (once), a base fee (a month), graduated tiers, and may have a package of units ahead and a monthly
cap. A subscription costs setup, the first month's base fee and a package at once (`Plan.first_fen`); the bill of its first
month shows them beside what was used, and asks for the rest.

    graduated    each unit costs what its own tier says: the 101st of a month is in the tier that reaches beyond 100
    package      so many units bought ahead, good for so many days. A unit is taken out of the package that ends first,
                 of equal ones out of the older; what no package covers is metered
    cap          the most that base fee and metered units of a month cost together; setup and packages stand outside it
    no proration a base fee is for a month of the calendar (Beijing time), whole, however late in it the first day is

Tiers may be priced for so many units at once (0.035 yuan a call: 35 fen for 10 calls). The metered units of a bill are
added up exactly and rounded up to the fen once (`clearing.money`). A line says by how much it raises the rounded sum, so
that the lines add up to the bill.

Months begin on their first day at 00:00 in Beijing. Pure: no I/O, no clock.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Final, Literal

from msgspec import Struct

from clearing.calendar import DAY_NS, month_begins, month_of
from clearing.money import FEN_LIMIT

MOST_TIERS: Final = 20
MOST_UNITS: Final = 10**12
"""Units of a month, of a tier's end and of a package."""
MOST_FEN: Final = 10**12
"""Of a fee, a tier's price and a cap."""
MOST_DAYS: Final = 3_660
MOST_MONTHS: Final = 36
"""Of one subscription, as the rule does that `docs/mechanisms/metered.md` takes the notice of a rise from."""
NOTICE_NS: Final = 90 * DAY_NS
"""Least time between the notice of a dearer plan and the first of a month on which it binds whoever subscribed before."""


class UsageTier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Units of a month up to and with `up_to_units` (None: all further ones) cost `price_fen` for `per_units` units."""

    up_to_units: int | None = None
    price_fen: int
    per_units: int = 1


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is bought ahead: `units` for `price_fen`, good for `valid_days` from the purchase."""

    units: int
    price_fen: int
    valid_days: int


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base_fee_fen` is for a month. `pay_days`: how long a bill waits for its money before it is a debt.

    With a `package` one comes with the subscription, and more can be bought.
    """

    setup_fen: int = 0
    base_fee_fen: int = 0
    tiers: tuple[UsageTier, ...]
    package: Package | None = None
    monthly_cap_fen: int | None = None
    pay_days: int = 10

    @property
    def first_fen(self) -> int:
        """What a subscription costs at once: setup, the first month's base fee, and a package where there is one."""
        return self.setup_fen + self.again_fen

    @property
    def again_fen(self) -> int:
        """What it costs to renew one: it is set up already."""
        return self.base_fee_fen + (self.package.price_fen if self.package else 0)


LineKind = Literal["setup", "base", "package", "tier", "packaged", "cap"]


class Line(Struct, frozen=True, kw_only=True):
    """What a part of a bill comes to. `package` is one that was bought, `packaged` are units out of packages, which cost
    nothing more; a cap takes off what is beyond it, and is below zero."""

    kind: LineKind
    units: int = 0
    price_fen: int = 0
    per_units: int = 1
    amount_fen: int


class Billed(Struct, frozen=True):
    """`prepaid_fen` of the total was paid with the subscription."""

    lines: tuple[Line, ...]
    total_fen: int
    prepaid_fen: int = 0

    @property
    def asked_fen(self) -> int:
        return self.total_fen - self.prepaid_fen


Base = Literal["due", "paid", "none"]
"""A month's base fee: asked for with this bill, paid with the subscription, or not for this month."""


# ---- whether a plan can stand


def plan_fault(plan: Plan) -> str:
    """What of a plan cannot stand, in words that say what to change; empty where nothing is."""
    return (
        _fees_fault(plan)
        or _tiers_fault(plan.tiers)
        or _package_fault(plan.package)
        or ("plan.pay_days lies between 1 and 366" if not 1 <= plan.pay_days <= 366 else "")
    )


def _fees_fault(plan: Plan) -> str:
    for name, fen in (("setup_fen", plan.setup_fen), ("base_fee_fen", plan.base_fee_fen)):
        if not 0 <= fen <= MOST_FEN:
            return f"plan.{name} lies between 0 and {MOST_FEN}"
    cap_fen = plan.monthly_cap_fen
    if cap_fen is not None and not max(1, plan.base_fee_fen) <= cap_fen <= MOST_FEN:
        return f"plan.monthly_cap_fen lies between base_fee_fen (at least 1) and {MOST_FEN}"
    return ""


def _tiers_fault(tiers: tuple[UsageTier, ...]) -> str:
    if not 1 <= len(tiers) <= MOST_TIERS:
        return f"plan.tiers has 1 to {MOST_TIERS} tiers"
    if any(not (0 <= tier.price_fen <= MOST_FEN and 1 <= tier.per_units <= MOST_UNITS) for tier in tiers):
        return f"plan.tiers: price_fen lies between 0 and {MOST_FEN}, per_units between 1 and {MOST_UNITS}"
    ends = [tier.up_to_units for tier in tiers[:-1]]
    rising = [0, *[end or 0 for end in ends]]
    if tiers[-1].up_to_units is not None or any(one >= other for one, other in pairwise(rising)):
        return "plan.tiers: each tier's up_to_units is above the one before, and the last has none"
    return f"plan.tiers: up_to_units is at most {MOST_UNITS}" if rising[-1] > MOST_UNITS else ""


def _package_fault(package: Package | None) -> str:
    if package is None:
        return ""
    for name, value, least, most in (
        ("units", package.units, 1, MOST_UNITS),
        ("price_fen", package.price_fen, 0, MOST_FEN),
        ("valid_days", package.valid_days, 1, MOST_DAYS),
    ):
        if not least <= value <= most:
            return f"plan.package.{name} lies between {least} and {most}"
    return ""


def plan_words(plan: Plan) -> tuple[str, str]:
    """The plan as a contract prints it, in Chinese and in English."""
    zh = [f"开通费 {_yuan(plan.setup_fen)} 元", f"月基本费 {_yuan(plan.base_fee_fen)} 元"]
    en = [f"setup {_yuan(plan.setup_fen)} CNY", f"base fee {_yuan(plan.base_fee_fen)} CNY a month"]
    for tier in plan.tiers:
        price, units = _yuan(tier.price_fen), tier.per_units
        zh.append(f"{_reach(tier, '每月至第 {} 个单位', '其余')}每 {units} 个单位 {price} 元")
        en.append(f"{_reach(tier, 'up to unit {} of a month', 'further units')} {price} CNY for {units}")
    if plan.package is not None:
        price, days, units = _yuan(plan.package.price_fen), plan.package.valid_days, plan.package.units
        zh.append(f"套餐 {units} 个单位 {price} 元，{days} 天内有效")
        en.append(f"a package of {units} units {price} CNY, good for {days} days")
    if plan.monthly_cap_fen is not None:
        zh.append(f"每月封顶 {_yuan(plan.monthly_cap_fen)} 元")
        en.append(f"at most {_yuan(plan.monthly_cap_fen)} CNY a month")
    zh.append(f"账单 {plan.pay_days} 天内付清")
    en.append(f"bills are paid within {plan.pay_days} days")
    return "；".join(zh), "; ".join(en)


def _reach(tier: UsageTier, bounded: str, rest: str) -> str:
    return rest if tier.up_to_units is None else bounded.format(tier.up_to_units)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


# ---- what a month costs


def tier_units(tiers: Iterable[UsageTier], units: int) -> list[tuple[UsageTier, int]]:
    """How many of a month's units each tier prices; tiers that none reaches are left out."""
    found, below = [], 0
    for tier in tiers:
        end = units if tier.up_to_units is None else min(units, tier.up_to_units)
        if end > below:
            found.append((tier, end - below))
            below = end
    return found


def usage_cost(tiers: Iterable[UsageTier], units: int) -> Fraction:
    """What the metered units of a month cost, exactly, in fen."""
    parts = (Fraction(tier.price_fen * count, tier.per_units) for tier, count in tier_units(tiers, units))
    return sum(parts, Fraction(0))


def bill(
    plan: Plan,
    units: int,
    packaged: int = 0,
    base: Base = "due",
    first: Sequence[Line] = (),
    paid_base_fen: int | None = None,
) -> Billed:
    """A month with so many metered units and so many out of packages. `first`: what else came with the subscription
    (`opening`), in its first month. `paid_base_fen`: what a base fee that is paid was, where that is not the plan's: what
    was paid neither rises nor falls with the plan. O(tiers)."""
    assert units >= 0 <= packaged, "nobody uses less than nothing"
    lines = [*first]
    base_fen = _base_fen(plan, base, paid_base_fen)
    if base != "none":
        lines.append(Line(kind="base", units=1, price_fen=base_fen, amount_fen=base_fen))
    exact, rounded = Fraction(0), 0
    for tier, count in tier_units(plan.tiers, units):
        exact += Fraction(tier.price_fen * count, tier.per_units)
        amount_fen = ceil(exact) - rounded
        rounded += amount_fen
        lines.append(
            Line(
                kind="tier",
                units=count,
                price_fen=tier.price_fen,
                per_units=tier.per_units,
                amount_fen=amount_fen,
            )
        )
    if packaged:
        lines.append(Line(kind="packaged", units=packaged, amount_fen=0))
    over_fen = _over_cap(plan, rounded, base_fen)
    if over_fen:
        lines.append(Line(kind="cap", price_fen=plan.monthly_cap_fen or 0, amount_fen=-over_fen))
    prepaid_fen = sum(line.amount_fen for line in first) + (base_fen if base == "paid" else 0)
    return Billed(tuple(lines), sum(line.amount_fen for line in lines), prepaid_fen)


def opening(plan: Plan, renews: bool = False) -> tuple[Line, ...]:
    """What was paid with the subscription beside the base fee: the setup, unless it renews another, and a package."""
    lines = []
    if plan.setup_fen and not renews:
        lines.append(Line(kind="setup", units=1, price_fen=plan.setup_fen, amount_fen=plan.setup_fen))
    if plan.package is not None:
        lines.append(package_line(plan.package, 1))
    return tuple(lines)


def package_line(package: Package, count: int) -> Line:
    """So many packages, bought."""
    return Line(
        kind="package",
        units=package.units * count,
        price_fen=package.price_fen,
        per_units=package.units,
        amount_fen=package.price_fen * count,
    )


def quote(plan: Plan, units: int) -> Billed:
    """A first month of so many units, but for the setup: a package where the plan has one, and tiers beyond it."""
    package = plan.package
    packaged = 0 if package is None else min(units, package.units)
    lines = () if package is None else (package_line(package, 1),)
    billed = bill(plan, units - packaged, packaged, "due", lines)
    return Billed(billed.lines, billed.total_fen)


def _base_fen(plan: Plan, base: Base, paid_base_fen: int | None) -> int:
    if base == "none":
        return 0
    return plan.base_fee_fen if base == "due" or paid_base_fen is None else paid_base_fen


def _over_cap(plan: Plan, usage_fen: int, base_fen: int) -> int:
    """What base fee and usage are beyond the cap; a base fee that was paid ahead counts to its month, and
    stays paid where it alone is beyond."""
    if plan.monthly_cap_fen is None:
        return 0
    return min(usage_fen, max(0, base_fen + usage_fen - plan.monthly_cap_fen))


def month_cost(plan: Plan, units: int) -> Fraction:
    """Base fee and metered units under the cap, exactly: by this two plans are compared."""
    cost = plan.base_fee_fen + usage_cost(plan.tiers, units)
    return cost if plan.monthly_cap_fen is None else min(cost, Fraction(plan.monthly_cap_fen))


def amount_fault(plan: Plan, units: int) -> str:
    """Why a month of so many units makes no bill; empty where it does."""
    if not 0 <= units <= MOST_UNITS:
        return f"units lie between 0 and {MOST_UNITS}"
    over = plan.base_fee_fen + usage_cost(plan.tiers, units) >= FEN_LIMIT
    return "so many units cost more than the venue can book: split the plan" if over else ""


# ---- packages


class Bought(Struct, kw_only=True, gc=False):
    """A package of a subscription: what is left of it, good from `from_ns` until `until_ns` (exclusive)."""

    id: str
    left: int
    from_ns: int
    until_ns: int


def take(packages: Sequence[Bought], units: int, at_ns: int) -> tuple[tuple[tuple[str, int], ...], int]:
    """Which packages give how many of the units used at an instant, and how many no package covers. Changes nothing."""
    good = [one for one in packages if one.from_ns <= at_ns < one.until_ns and one.left]
    taken, wanted = [], units
    for one in sorted(good, key=lambda one: (one.until_ns, one.from_ns)):
        count = min(wanted, one.left)
        if count:
            taken.append((one.id, count))
            wanted -= count
    return tuple(taken), wanted


# ---- a changed plan


def is_dearer(old: Plan, new: Plan) -> bool:
    """Whether anybody who has subscribed could pay more, or has to pay sooner, under the new plan; the setup fee is paid.

    Both months' costs are straight between the ends of tiers and the points at which a cap begins to hold, so looking at
    these points and at the last slope is looking at every number of units.
    """
    if new.pay_days < old.pay_days or _package_is_dearer(old.package, new.package):
        return True
    if any(month_cost(new, units) > month_cost(old, units) for units in _corners(old, new)):
        return True
    return _slope(new) > _slope(old)


def _package_is_dearer(old: Package | None, new: Package | None) -> bool:
    if old is None:
        return False
    return new is None or (
        new.price_fen * old.units > old.price_fen * new.units or new.valid_days < old.valid_days
    )


def _slope(plan: Plan) -> Fraction:
    """What one more unit costs after any number of them."""
    last = plan.tiers[-1]
    capped = plan.monthly_cap_fen is not None and last.price_fen
    return Fraction(0) if capped else Fraction(last.price_fen, last.per_units)


def _corners(*plans: Plan) -> list[int]:
    """Whole units on either side of each point at which one of the plans bends."""
    found = {0: None, 1: None}
    for plan in plans:
        for point in _bends(plan):
            for units in (floor(point), floor(point) + 1):
                found[units] = None
    return list(found)


def _bends(plan: Plan) -> list[Fraction]:
    ends = [tier.up_to_units for tier in plan.tiers[:-1]]
    bends = [Fraction(end) for end in ends if end is not None]
    if plan.monthly_cap_fen is None:
        return bends
    room, below = Fraction(plan.monthly_cap_fen - plan.base_fee_fen), Fraction(0)
    for tier, end in zip(plan.tiers, [*bends, None], strict=True):
        price = Fraction(tier.price_fen, tier.per_units)
        if price and (end is None or price * (end - below) >= room):
            return [*bends, below + room * Fraction(price.denominator, price.numerator)]
        if end is not None:
            room, below = room - price * (end - below), end
    return bends


def rise_binds_ns(notice_ns: int) -> int:
    """The first of a month, at least ninety days after the notice."""
    return first_of_month(notice_ns + NOTICE_NS)


def first_of_month(at_ns: int) -> int:
    """The first instant of a month that is not before this one."""
    month = month_of(at_ns)
    begins_ns = month_begins(month)
    return begins_ns if begins_ns == at_ns else month_begins(month + 1)


def term_end(from_ns: int, months: int) -> int:
    """When a term of so many months of the calendar ends that begins at this instant: its first month counts as whole."""
    return month_begins(month_of(from_ns) + months)
