"""Figures over the market: against published ones, and against their definitions."""

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.population import (
    Share,
    bad_rates,
    drift,
    information_value,
    kolmogorov_smirnov,
    override_rate,
    population_stability,
)

COUNTS = st.lists(st.integers(0, 500), min_size=4, max_size=4)
SCORES = st.lists(st.integers(0, 1000), min_size=1, max_size=30)


def test_the_checking_account_of_the_german_credit_data_has_its_published_value() -> None:
    """Status of the existing checking account, classes A11 to A14: information value 0.6660."""
    assert round(information_value((139, 164, 49, 348), (135, 105, 14, 46)), 4) == 0.6660


def test_a_spread_that_did_not_move_is_stable() -> None:
    assert population_stability((10, 20, 70), (100, 200, 700)) == pytest.approx(0)
    moved = population_stability((50, 50), (60, 40))
    assert moved == pytest.approx(0.1 * log(1.2) - 0.1 * log(0.8))
    assert [drift(value) for value in (0.0999, 0.1, 0.2499, 0.25)] == [
        "stable",
        "moving",
        "moving",
        "shifted",
    ]


def test_an_empty_class_is_half_an_observation_everywhere() -> None:
    assert population_stability((9, 0), (5, 5)) == pytest.approx(population_stability((19, 1), (11, 11)))
    assert population_stability((0, 0), (1, 2)) == population_stability((1, 2), (0, 0)) == 0


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 classes before and 2 now"):
        population_stability((1, 2, 3), (1, 2))


@given(COUNTS, COUNTS)
def test_it_is_the_same_both_ways_and_never_below_nothing(before: list[int], now: list[int]) -> None:
    index = population_stability(before, now)
    assert index >= -1e-12
    assert index == pytest.approx(population_stability(now, before))


def test_the_gap_between_good_and_bad() -> None:
    assert kolmogorov_smirnov([600, 700], [400, 500]) == 1.0
    assert kolmogorov_smirnov([500, 600], [500, 600]) == 0.0
    assert kolmogorov_smirnov([1, 2, 3, 4], [1, 2, 2, 3]) == 0.25
    assert kolmogorov_smirnov([], [1]) == kolmogorov_smirnov([1], []) == 0.0


@given(SCORES, SCORES)
def test_the_gap_is_the_largest_at_any_score(good: list[int], bad: list[int]) -> None:
    gaps = [
        abs(sum(one <= at for one in good) / len(good) - sum(one <= at for one in bad) / len(bad))
        for at in range(1001)
    ]
    assert kolmogorov_smirnov(good, bad) == max(gaps)


def test_bad_rates_by_grade_best_first() -> None:
    rates = bad_rates([("C", True), ("A", False), ("M", False), ("A", True), ("C", True)])
    assert list(rates.items()) == [("A", Share(1, 2)), ("M", Share(0, 1)), ("C", Share(2, 2))]
    assert (rates["A"].ratio, Share(0, 0).ratio) == (0.5, 0.0)


def test_the_override_rate_counts_those_the_model_rated() -> None:
    own, in_force = {"P1": "A", "P2": "C", "P3": "B"}, {"P1": "A", "P2": "B", "P4": "D"}
    assert override_rate(own, in_force) == Share(1, 2)  # type: ignore[arg-type]
