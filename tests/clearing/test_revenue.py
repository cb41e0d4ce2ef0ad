"""Shares: the worked example of the module, and the sum that never loses a fen."""

import datetime
import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.money import FEN_LIMIT
from clearing.revenue import (
    ROLES,
    UNSAID,
    Ceiling,
    Part,
    Revenue,
    ShareRefusal,
    Shares,
    beijing_year,
    parts_of,
    refuse_roles,
    refuse_shares,
    split,
    split_public,
    years_of,
)


def test_the_worked_example() -> None:
    fee, payments, merchant = split(100_001, 250, (("采集方", 3_000), ("治理方", 1_250)))
    assert (fee, payments, merchant) == (2_500, (("采集方", 29_250), ("治理方", 12_187)), 56_064)


def test_without_contributors_the_merchant_has_the_remainder() -> None:
    assert split(999, 100, ()) == (9, (), 990)


def test_a_free_product_pays_nobody() -> None:
    assert split(0, 250, (("采集方", 3_000),)) == (0, (("采集方", 0),), 0)


def test_a_merchant_that_gives_all_away_keeps_what_rounding_leaves() -> None:
    assert split(10, 0, (("a", 3_333), ("b", 6_667))) == (0, (("a", 3), ("b", 6)), 1)


@st.composite
def declared_shares(draw: st.DrawFn) -> Shares:
    left, shares = 10_000, []
    for number in range(draw(st.integers(0, 6))):
        if left:
            basis_points = draw(st.integers(1, left))
            shares.append((f"p{number}", basis_points))
            left -= basis_points
    return tuple(shares)


@given(st.integers(0, FEN_LIMIT - 1), st.integers(0, 10_000), declared_shares())
def test_the_parts_are_the_price_to_the_fen(amount: int, fee_bp: int, shares: Shares) -> None:
    assert refuse_shares(shares, "merchant") is None
    fee, payments, merchant = split(amount, fee_bp, shares)
    paid = [fen for _, fen in payments]
    assert fee + sum(paid) + merchant == amount
    assert min([fee, merchant, *paid]) >= 0
    assert [name for name, _ in payments] == [name for name, _ in shares]
    for (_, fen), (_, basis_points) in zip(payments, shares, strict=True):
        assert 0 <= (amount - fee) * basis_points - fen * 10_000 < 10_000


REFUSED: list[tuple[Shares, str]] = [
    ((("", 0), ("", 1)), "share_not_positive"),
    ((("", 1), ("", 1)), "contributor_unnamed"),
    ((("商家", 9_999), ("商家", 2)), "contributor_twice"),
    ((("商家", 9_999), ("b", 2)), "contributor_is_merchant"),
    ((("a", 9_999), ("b", 2)), "shares_exceed_whole"),
]


@pytest.mark.parametrize(("shares", "refusal"), REFUSED)
def test_shares_are_refused_for_their_first_reason(shares: Shares, refusal: str) -> None:
    assert refuse_shares(shares, "商家") == refusal


def test_every_refusal_is_tested_in_its_order() -> None:
    assert tuple(refusal for _, refusal in REFUSED) == get_args(ShareRefusal)


@pytest.mark.parametrize(("amount", "fee_bp"), [(-1, 0), (1, -1), (1, 10_001)])
def test_a_split_of_nonsense_is_a_bug(amount: int, fee_bp: int) -> None:
    with pytest.raises(AssertionError):
        split(amount, fee_bp, ())


# ---- the public-data share, roles


def test_the_public_data_share_comes_before_the_contributors() -> None:
    """1,000.01 less 25.00 fee leaves 975.01; a tenth of it is the public's, 97.50; shares are of the 877.51 left."""
    fee, public, payments, merchant = split_public(
        100_001, 250, 1_000, (("采集方", 3_000), ("治理方", 1_250))
    )
    assert (fee, public, payments, merchant) == (
        2_500,
        9_750,
        (("采集方", 26_325), ("治理方", 10_968)),
        50_458,
    )


def test_without_a_public_data_share_the_split_is_the_plain_one() -> None:
    shares = (("采集方", 3_333),)
    fee, payments, merchant = split(77_777, 100, shares)
    assert split_public(77_777, 100, 0, shares) == (fee, 0, payments, merchant)


basis_points = st.integers(0, 10_000)
amounts = st.integers(0, FEN_LIMIT - 1)


@given(amounts, basis_points, basis_points, declared_shares(), st.randoms(use_true_random=False))
def test_every_split_adds_up_in_any_order_and_keeps_its_roles(
    amount: int, fee_bp: int, public_bp: int, shares: Shares, order: random.Random
) -> None:
    roles = tuple(order.choice(ROLES) for _ in shares)
    declared = list(zip(shares, roles, strict=True))
    fee, public, payments, merchant = split_public(amount, fee_bp, public_bp, shares)
    parts = parts_of(
        "fees", fee, "merchant", merchant, (*payments, ("public", public)), (*roles, "public_data")
    )
    assert sum(part.amount_fen for part in parts) == amount
    assert min(part.amount_fen for part in parts) >= 0
    assert {part.account: part.role for part in parts} == {
        "fees": "fee",
        "merchant": "merchant",
        "public": "public_data",
        **{name: role for (name, _), role in declared},
    }
    order.shuffle(declared)
    again = split_public(amount, fee_bp, public_bp, tuple(share for share, _ in declared))
    assert (again[0], again[1], again[3]) == (fee, public, merchant)
    assert dict(again[2]) == dict(payments)


def test_a_trade_older_than_roles_was_paid_to_contributors() -> None:
    parts = parts_of("fees", 1, "M", 7, (("a", 2),), ())
    assert parts == (Part("fee", "fees", 1), Part("merchant", "M", 7), Part(UNSAID, "a", 2))


def test_roles_are_known_and_as_many_as_the_shares() -> None:
    shares: Shares = (("a", 1), ("b", 2))
    assert refuse_roles((), shares) is None
    assert refuse_roles(("processor", "broker"), shares) is None
    assert refuse_roles(("processor",), shares) == "roles_not_as_many"
    assert refuse_roles(("processor", "landlord"), shares) == "role_unknown"


# ---- ceilings

NS = 1_000_000_000
BEIJING = datetime.timezone(datetime.timedelta(hours=8))
LAST = int(datetime.datetime(2199, 12, 31, 23, 59, 59, tzinfo=BEIJING).timestamp())


@given(st.integers(0, LAST))
def test_the_year_is_that_of_beijing(at_s: int) -> None:
    assert beijing_year(at_s * NS) == datetime.datetime.fromtimestamp(at_s, BEIJING).year


@pytest.mark.parametrize("year", [1971, 2000, 2001, 2024, 2025, 2100, 2101])
def test_the_year_turns_at_midnight_in_beijing(year: int) -> None:
    turn_ns = int(datetime.datetime(year, 1, 1, tzinfo=BEIJING).timestamp()) * NS
    assert (beijing_year(turn_ns - 1), beijing_year(turn_ns)) == (year - 1, year)


def ceiling(year: int, fen: int) -> Ceiling:
    return Ceiling("P4", year, fen, "ab" * 32, "P2", 1)


def test_what_is_over_a_ceiling_is_taken_off_the_next() -> None:
    """2026: 1,300 earned of 1,000. 2027 may earn 1,000 - 300 = 700, earns 650. 2028 has the whole ceiling again."""
    ceilings = {year: ceiling(year, 1_000) for year in (2026, 2027, 2028)}
    years = years_of(ceilings, {2026: 1_300, 2027: 650})
    assert [(row.year, row.carried_fen, row.allowed_fen, row.earned_fen, row.over_fen) for row in years] == [
        (2026, 0, 1_000, 1_300, 300),
        (2027, 300, 700, 650, 0),
        (2028, 0, 1_000, 0, 0),
    ]


def test_an_excess_above_a_whole_ceiling_goes_on_to_the_year_after() -> None:
    ceilings = {year: ceiling(year, 100) for year in (2026, 2027, 2028, 2029)}
    over = [row.over_fen for row in years_of(ceilings, {2026: 350})]
    assert over == [250, 150, 50, 0]


def test_a_year_without_a_ceiling_is_shown_and_the_excess_waits() -> None:
    years = years_of({2026: ceiling(2026, 100), 2028: ceiling(2028, 100)}, {2026: 130, 2027: 999})
    assert [(row.year, row.carried_fen, row.over_fen) for row in years] == [
        (2026, 0, 30),
        (2027, 30, 0),
        (2028, 30, 0),
    ]


@given(
    st.dictionaries(st.integers(2020, 2040), st.integers(0, 10**9)),
    st.dictionaries(st.integers(2020, 2040), st.integers(0, 10**9)),
)
def test_no_excess_is_lost_or_counted_twice(allowed: dict[int, int], earned: dict[int, int]) -> None:
    """Each year with a ceiling: what came over and what was earned is within it or goes on, to the fen."""
    carried = 0
    for row in years_of({year: ceiling(year, fen) for year, fen in allowed.items()}, earned):
        assert row.carried_fen == carried
        if row.ceiling is not None:
            within = min(row.ceiling.ceiling_fen, carried + row.earned_fen)
            assert within + row.over_fen == carried + row.earned_fen
            assert row.allowed_fen == max(0, row.ceiling.ceiling_fen - carried)
            carried = row.over_fen


@given(st.permutations([(fen, year) for fen in (1, 20, 300) for year in (2026, 2027)]))
def test_revenue_is_the_same_in_any_order(earned: list[tuple[int, int]]) -> None:
    kept = Revenue()
    for fen, year in earned:
        kept.earn("P4", fen, int(datetime.datetime(year, 6, 1, tzinfo=BEIJING).timestamp()) * NS)
    assert kept.earned_fen == {"P4": {"2026": 321, "2027": 321}}
