"""Metered plans: the published worked bills exactly, a twin that prices each unit by itself, and whom a new plan binds."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clearing.calendar import DAY_NS, month_begins, month_name, month_of
from exchange.matching.metering import (
    Bought,
    Package,
    Plan,
    UsageTier,
    amount_fault,
    bill,
    first_of_month,
    is_dearer,
    month_cost,
    opening,
    plan_fault,
    plan_words,
    quote,
    rise_binds_ns,
    take,
    term_end,
    tier_units,
)

BAIDU = Plan(
    tiers=(
        UsageTier(up_to_units=100_000, price_fen=4),
        UsageTier(up_to_units=5_000_000, price_fen=35, per_units=10),
        UsageTier(price_fen=3),
    )
)
"""Per calendar month: to 100,000 calls 0.040 yuan, to 5,000,000 0.035, above 0.030."""
THREE_SCALE = Plan(
    setup_fen=500,
    base_fee_fen=1_000,
    tiers=(UsageTier(up_to_units=100, price_fen=4), UsageTier(price_fen=10)),
)
"""In cents: setup 5.00, monthly 10.00; the first hundred calls 0.04, each further 0.10."""
SNOWFLAKE = Plan(base_fee_fen=10_000, tiers=(UsageTier(price_fen=50),), monthly_cap_fen=15_000)
"""A monthly access fee, a price a query, and a maximum monthly charge."""
JAN, FEB = month_begins(2026 * 12), month_begins(2026 * 12 + 1)


@pytest.mark.parametrize(("calls", "fen"), [(20_000, 80_000), (1_000_000, 3_550_000)])
def test_the_published_bills_of_graduated_tiers(calls: int, fen: int) -> None:
    """20,000 calls are 800 yuan, 1,000,000 are 35,500."""
    assert bill(BAIDU, calls).total_fen == fen


@pytest.mark.parametrize(("calls", "cents"), [(100, 400), (101, 410)])
def test_the_published_rule_of_two_tiers(calls: int, cents: int) -> None:
    """100 calls are 4.00, 101 are 4.10: usage alone."""
    assert bill(THREE_SCALE, calls, base="none").total_fen == cents


def test_the_first_invoice_is_setup_and_month_then_the_month() -> None:
    """15 then 10."""
    first = bill(THREE_SCALE, 0, base="paid", first=opening(THREE_SCALE))
    assert (first.total_fen, first.prepaid_fen, THREE_SCALE.first_fen) == (1_500, 1_500, 1_500)
    assert bill(THREE_SCALE, 0).total_fen == 1_000
    assert opening(THREE_SCALE, renews=True) == ()
    assert THREE_SCALE.again_fen == 1_000


def test_what_came_with_a_subscription_is_shown_and_not_asked_for_again() -> None:
    """Setup 5.00, base 10.00, a package 1.50; 101 units beyond it are 4.10."""
    plan = replace(THREE_SCALE, package=Package(units=50, price_fen=150, valid_days=30))
    billed = bill(plan, 101, 50, "paid", opening(plan))
    assert [line.kind for line in billed.lines] == ["setup", "package", "base", "tier", "tier", "packaged"]
    assert (billed.total_fen, billed.prepaid_fen, billed.asked_fen) == (2_060, 1_650, 410)
    assert plan.first_fen == 1_650


@pytest.mark.parametrize(("units", "fen"), [(0, 5_000), (1, 5_000), (1_000, 5_000), (1_200, 7_000)])
def test_a_quote_has_one_package_and_tiers_beyond_it(units: int, fen: int) -> None:
    plan = Plan(
        tiers=(UsageTier(price_fen=10),), package=Package(units=1_000, price_fen=5_000, valid_days=30)
    )
    assert quote(plan, units).total_fen == fen


@pytest.mark.parametrize(
    ("queries", "fen"), [(0, 10_000), (99, 14_950), (100, 15_000), (101, 15_000), (10**9, 15_000)]
)
def test_access_fee_and_queries_are_capped_together(queries: int, fen: int) -> None:
    billed = bill(SNOWFLAKE, queries)
    assert billed.total_fen == fen
    assert sum(line.amount_fen for line in billed.lines) == fen


def test_the_cap_counts_a_base_fee_that_was_paid_before_and_none_that_is_not_for_the_month() -> None:
    assert bill(SNOWFLAKE, 200, base="paid").asked_fen == 5_000
    assert bill(SNOWFLAKE, 200, base="none").total_fen == 10_000
    assert bill(SNOWFLAKE, 400, base="none").total_fen == 15_000


def test_a_bill_is_rounded_up_once_and_its_lines_add_up() -> None:
    """Three units of 1/3 fen and one of 1/2: 1.5 fen, which is 2; by the unit it would be 4."""
    plan = Plan(
        tiers=(UsageTier(up_to_units=3, price_fen=1, per_units=3), UsageTier(price_fen=1, per_units=2))
    )
    billed = bill(plan, 4)
    assert [line.amount_fen for line in billed.lines] == [0, 1, 1]
    assert billed.total_fen == 2


def test_units_out_of_packages_cost_nothing_and_are_told() -> None:
    billed = bill(THREE_SCALE, 0, packaged=7, base="none")
    assert [(line.kind, line.units, line.amount_fen) for line in billed.lines] == [("packaged", 7, 0)]
    assert billed.total_fen == 0


# ---- the twin


prices = st.integers(0, 50)
pers = st.integers(1, 7)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ends = sorted(draw(st.sets(st.integers(1, 60), max_size=3)))
    tiers = tuple(
        UsageTier(up_to_units=end, price_fen=draw(prices), per_units=draw(pers)) for end in [*ends, None]
    )
    base_fen = draw(st.integers(0, 200))
    cap = draw(st.none() | st.integers(max(1, base_fen), 300))
    return Plan(base_fee_fen=base_fen, tiers=tiers, monthly_cap_fen=cap)


def price_of(plan: Plan, number: int) -> Fraction:
    """What the unit with this number (1 is the month's first) costs."""
    for tier in plan.tiers:
        if tier.up_to_units is None or number <= tier.up_to_units:
            return Fraction(tier.price_fen, tier.per_units)
    raise AssertionError("the last tier has no end")


def by_the_unit(plan: Plan, units: int) -> int:
    total = plan.base_fee_fen + ceil(
        sum((price_of(plan, number + 1) for number in range(units)), Fraction(0))
    )
    return total if plan.monthly_cap_fen is None else min(total, plan.monthly_cap_fen)


@given(plans(), st.integers(0, 90))
def test_a_month_costs_what_its_units_cost_one_by_one(plan: Plan, units: int) -> None:
    assert plan_fault(plan) == ""
    assert bill(plan, units).total_fen == by_the_unit(plan, units)


@given(plans(), st.integers(0, 90))
def test_tiers_share_out_every_unit(plan: Plan, units: int) -> None:
    assert sum(count for _, count in tier_units(plan.tiers, units)) == units


@settings(max_examples=30, deadline=None)
@given(plans(), plans())
def test_a_plan_is_dearer_where_some_month_is(old: Plan, new: Plan) -> None:
    """Ends lie below 61 units and caps below 301 fen at a seventh of a fen at least: beyond 2,200 only slopes do."""
    tried = [*range(2_200), 10**9]
    some = any(month_cost(new, units) > month_cost(old, units) for units in tried)
    assert is_dearer(old, new) == some


# ---- packages


def bought(identifier: str, left: int, from_days: int, until_days: int) -> Bought:
    return Bought(
        id=identifier, left=left, from_ns=JAN + from_days * DAY_NS, until_ns=JAN + until_days * DAY_NS
    )


def test_packages_are_used_up_in_the_order_in_which_they_end() -> None:
    packages = [bought("late", 10, 0, 30), bought("early", 4, 0, 20), bought("older", 5, -1, 20)]
    assert take(packages, 12, JAN) == ((("older", 5), ("early", 4), ("late", 3)), 0)
    assert take(packages, 40, JAN) == ((("older", 5), ("early", 4), ("late", 10)), 21)


def test_a_package_is_good_from_its_purchase_until_its_end_and_no_longer() -> None:
    packages = [bought("one", 10, 1, 2)]
    assert take(packages, 3, JAN + DAY_NS - 1) == ((), 3)
    assert take(packages, 3, JAN + DAY_NS) == ((("one", 3),), 0)
    assert take(packages, 3, JAN + 2 * DAY_NS) == ((), 3)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), st.integers(1, 20)), max_size=5),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=8),
)
def test_packages_give_what_one_unit_after_the_other_would_take(
    some: list[tuple[int, int, int]], uses: list[tuple[int, int]]
) -> None:
    rows = [bought(f"{at}", left, start, start + days) for at, (left, start, days) in enumerate(some)]
    twin = {row.id: row.left for row in rows}
    for day, units in uses:
        at_ns = JAN + day * DAY_NS
        taken, rest = take(rows, units, at_ns)
        naive, left_over = _one_by_one(rows, twin, units, at_ns)
        assert (dict(taken), rest) == (naive, left_over)
        for row in rows:
            row.left -= dict(taken).get(row.id, 0)
            assert row.left == twin[row.id]


def _one_by_one(
    rows: list[Bought], left: dict[str, int], units: int, at_ns: int
) -> tuple[dict[str, int], int]:
    found: dict[str, int] = {}
    rest = 0
    for _ in range(units):
        good = [row for row in rows if left[row.id] and row.from_ns <= at_ns < row.until_ns]
        if not good:
            rest += 1
            continue
        first = min(good, key=lambda row: (row.until_ns, row.from_ns))
        left[first.id] -= 1
        found[first.id] = found.get(first.id, 0) + 1
    return found, rest


# ---- who is bound when


def test_a_lower_price_a_higher_cap_and_a_worse_package_are_told_apart() -> None:
    cheaper = replace(BAIDU, tiers=(UsageTier(price_fen=3),))
    assert not is_dearer(BAIDU, cheaper)
    assert is_dearer(cheaper, BAIDU)
    assert not is_dearer(BAIDU, BAIDU)
    assert is_dearer(SNOWFLAKE, replace(SNOWFLAKE, monthly_cap_fen=15_001))
    assert is_dearer(SNOWFLAKE, replace(SNOWFLAKE, monthly_cap_fen=None))
    assert not is_dearer(SNOWFLAKE, replace(SNOWFLAKE, monthly_cap_fen=14_000, setup_fen=10**6))
    assert is_dearer(SNOWFLAKE, replace(SNOWFLAKE, pay_days=9))
    packed = replace(SNOWFLAKE, package=Package(units=10, price_fen=100, valid_days=30))
    assert not is_dearer(SNOWFLAKE, packed)
    assert is_dearer(packed, SNOWFLAKE)
    assert is_dearer(packed, replace(packed, package=Package(units=11, price_fen=111, valid_days=30)))
    assert is_dearer(packed, replace(packed, package=Package(units=11, price_fen=110, valid_days=29)))


def test_a_plan_that_is_cheaper_for_many_and_dearer_for_few_is_dearer() -> None:
    few = replace(BAIDU, base_fee_fen=1, tiers=(UsageTier(price_fen=1),))
    assert is_dearer(BAIDU, few)


def test_a_rise_binds_on_the_first_of_a_month_ninety_days_on() -> None:
    """Told on 1 January 2026 at 00:00: 90 days later is 1 April. A nanosecond later it is 1 May."""
    assert rise_binds_ns(JAN) == month_begins(2026 * 12 + 3)
    assert rise_binds_ns(JAN + 1) == month_begins(2026 * 12 + 4)


def test_months_are_those_of_beijing_and_terms_end_with_them() -> None:
    assert month_name(month_of(JAN)) == "2026-01"
    assert month_name(month_of(JAN - 1)) == "2025-12"
    assert JAN % DAY_NS == 16 * 3_600_000_000_000
    assert FEB - JAN == 31 * DAY_NS
    assert first_of_month(JAN) == JAN
    assert first_of_month(JAN + 1) == FEB
    assert term_end(FEB - 1, 1) == FEB
    assert term_end(JAN, 12) == month_begins(2027 * 12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tiers": ()}, "1 to 20 tiers"),
        ({"tiers": (UsageTier(up_to_units=5, price_fen=1),)}, "the last has none"),
        ({"tiers": (UsageTier(price_fen=1), UsageTier(price_fen=1))}, "above the one before"),
        (
            {
                "tiers": (
                    UsageTier(up_to_units=5, price_fen=1),
                    UsageTier(up_to_units=5, price_fen=1),
                    UsageTier(price_fen=1),
                )
            },
            "above",
        ),
        ({"tiers": (UsageTier(price_fen=-1),)}, "price_fen"),
        ({"tiers": (UsageTier(price_fen=1, per_units=0),)}, "per_units"),
        ({"setup_fen": -1}, "setup_fen"),
        ({"base_fee_fen": 10**12 + 1}, "base_fee_fen"),
        ({"monthly_cap_fen": 9_999, "base_fee_fen": 10_000}, "monthly_cap_fen"),
        ({"package": Package(units=0, price_fen=1, valid_days=1)}, "package.units"),
        ({"package": Package(units=1, price_fen=1, valid_days=0)}, "package.valid_days"),
        ({"pay_days": 0}, "pay_days"),
    ],
)
def test_what_no_plan_may_be(changed: dict[str, object], said: str) -> None:
    assert plan_fault(BAIDU) == ""
    assert said in plan_fault(replace(BAIDU, **changed))


def test_a_month_that_no_bill_can_hold_is_named() -> None:
    assert amount_fault(BAIDU, 10**12) == ""
    assert "between 0" in amount_fault(BAIDU, -1)
    assert "split" in amount_fault(Plan(tiers=(UsageTier(price_fen=10**12),)), 10**6)


def test_a_contract_prints_every_price_of_the_plan() -> None:
    plan = replace(
        BAIDU, package=Package(units=50, price_fen=150, valid_days=30), monthly_cap_fen=99_00, pay_days=7
    )
    zh, en = plan_words(plan)
    assert zh == (
        "开通费 0.00 元；月基本费 0.00 元；每月至第 100000 个单位每 1 个单位 0.04 元；每月至第 5000000 个单位每 10 个单位"
        " 0.35 元；其余每 1 个单位 0.03 元；套餐 50 个单位 1.50 元，30 天内有效；每月封顶 99.00 元；账单 7 天内付清"
    )
    for said in (
        "0.35 CNY for 10",
        "further units 0.03",
        "1.50 CNY, good for 30 days",
        "99.00 CNY a month",
        "7 days",
    ):
        assert said in en
