"""Shares: the worked example of the module, and the sum that never loses a fen."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.money import FEN_LIMIT
from clearing.revenue import ShareRefusal, Shares, refuse_shares, split


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
