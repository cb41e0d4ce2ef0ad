"""Amounts: rounded up once, refused in order, never lost."""

from fractions import Fraction
from math import ceil
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.money import (
    FEN_LIMIT,
    QUANTITY_LIMIT,
    AmountRefusal,
    amount_fen,
    refuse_amount,
)

prices = st.integers(0, 10**9)
units = st.integers(1, 10**6)
quantities = st.integers(1, 10**9)


@pytest.mark.parametrize(
    ("price_fen", "per", "quantity", "fen"),
    [
        (3_500, 1_000, 1, 4),  # 0.035 CNY a call: one call costs 3.5 fen, rounded up
        (3_500, 1_000, 2, 7),  # and two cost 7, not twice 4
        (3_500, 1_000, 1_000, 3_500),
        (0, 1_000, 1, 0),
        (1, 1_000, 1, 1),
        (1, 1_000, 1_001, 2),
    ],
)
def test_amounts_are_rounded_up_once(price_fen: int, per: int, quantity: int, fen: int) -> None:
    assert amount_fen(price_fen, per, quantity) == fen


@given(prices, units, quantities)
def test_an_amount_is_the_exact_price_rounded_up(price_fen: int, per: int, quantity: int) -> None:
    assert amount_fen(price_fen, per, quantity) == ceil(Fraction(price_fen * quantity, per))


@given(prices, units, st.lists(st.integers(1, 1_000), min_size=1))
def test_fills_of_exact_quantities_add_up_to_the_order(price_fen: int, per: int, lots: list[int]) -> None:
    fills = [lot * per for lot in lots]
    assert sum(amount_fen(price_fen, per, fill) for fill in fills) == amount_fen(price_fen, per, sum(fills))


REFUSED = [
    ((-1, 0, 0), "price_negative"),
    ((FEN_LIMIT, 0, 0), "price_too_large"),
    ((0, 0, 0), "price_units_not_positive"),
    ((0, 7, 0), "quantity_not_positive"),
    ((0, 7, QUANTITY_LIMIT), "quantity_too_large"),
    ((FEN_LIMIT - 1, 7, 15), "quantity_not_multiple"),
    ((FEN_LIMIT - 1, 7, 14), "amount_too_large"),
]


@pytest.mark.parametrize(("arguments", "refusal"), REFUSED)
def test_an_amount_is_refused_for_its_first_reason(arguments: tuple[int, int, int], refusal: str) -> None:
    assert refuse_amount(*arguments, exact=True) == refusal


def test_every_refusal_is_tested_in_its_order() -> None:
    assert tuple(refusal for _, refusal in REFUSED) == get_args(AmountRefusal)


@pytest.mark.parametrize("arguments", [(0, 1, 1), (FEN_LIMIT - 1, 1, 1), (1, 2, QUANTITY_LIMIT - 1)])
def test_the_largest_and_the_free_amounts_stand(arguments: tuple[int, int, int]) -> None:
    assert refuse_amount(*arguments) is None


def test_only_books_ask_for_exact_quantities() -> None:
    assert refuse_amount(5, 10, 15) is None
    assert refuse_amount(5, 10, 15, exact=True) == "quantity_not_multiple"
