"""Proposals by themselves: their life, and which is the best. The naive ranking below is in fractions, rounded where the
text says so."""

from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.negotiation import (
    DELIVERY,
    LIVE,
    PRICE,
    PROPOSAL_LIFE,
    STEPS,
    TURN,
    WEIGHTS,
    Candidate,
    Criterion,
    ProposalState,
    ProposalStep,
    after,
    points,
    ranked,
    refuse_criteria,
)

BY_PRICE = (Criterion(PRICE, WEIGHTS, "lower"),)
MIXED = (
    Criterion(PRICE, 6_000, "lower"),
    Criterion("coverage", 3_000, "higher"),
    Criterion(DELIVERY, 1_000, "lower"),
)


def candidate(number: int, cost: int, days: int = 1, **values: int) -> Candidate:
    return Candidate(f"Q{number}", number, {**values, PRICE: cost, DELIVERY: days}, cost, days)


# ---- the life


def test_every_state_is_reached_and_every_step_is_taken() -> None:
    reached = {"sealed", "offered", *PROPOSAL_LIFE.values()}
    assert reached == set(get_args(ProposalState))
    assert {step for _, step in PROPOSAL_LIFE} == set(get_args(ProposalStep))


def test_what_is_over_stays_over() -> None:
    over = set(get_args(ProposalState)) - set(LIVE)
    assert {state for state, _ in PROPOSAL_LIFE} == set(LIVE)
    assert over == {"awarded", "refused", "withdrawn", "eliminated", "closed"}
    assert after("closed", "award") is None


def test_turns_alternate() -> None:
    assert TURN == {"offered": "buyer", "countered": "merchant"}
    assert after("offered", "counter") == "countered"
    assert after("countered", "counter") == "offered"


def test_what_is_sealed_is_neither_countered_nor_awarded() -> None:
    """招标投标法第四十三条: nobody haggles before the decision."""
    assert {step for state, step in PROPOSAL_LIFE if state == "sealed"} == {
        "revise",
        "withdraw",
        "open",
        "close",
    }
    assert [kind for kind, steps in STEPS.items() if "counter" in steps] == ["quote"]


# ---- scoring


def test_the_worked_example_of_the_tender_page() -> None:
    """docs/mechanisms/tender.md has these numbers."""
    three = [
        candidate(1, 400_000, 3, coverage=80),
        candidate(2, 500_000, 1, coverage=100),
        candidate(3, 640_000, 2, coverage=90),
    ]
    first, second, third = ranked(MIXED, three)
    assert (first.id, first.score_bp, first.points_bp) == ("Q2", 8_800, (4_800, 3_000, 1_000))
    assert (second.id, second.score_bp, second.points_bp) == ("Q1", 8_733, (6_000, 2_400, 333))
    assert (third.id, third.score_bp, third.points_bp) == ("Q3", 6_950, (3_750, 2_700, 500))


def test_the_best_by_everything_has_all() -> None:
    assert ranked(MIXED, [candidate(1, 7, 2, coverage=3)])[0].score_bp == WEIGHTS == 10_000


def test_points_are_rounded_down_once_a_criterion() -> None:
    lower = Criterion("price_fen", 3_333, "lower")
    assert points(lower, 3, 1) == 1_111
    assert points(lower, 7, 2) == 952, "3,333 x 2 / 7 is 952.29"


@pytest.mark.parametrize(
    ("better", "value", "best", "score"),
    [
        ("lower", 0, 0, WEIGHTS),
        ("lower", 5, 0, 0),
        ("higher", 0, 0, WEIGHTS),
        ("higher", 0, 5, 0),
        ("lower", 5, 5, WEIGHTS),
    ],
)
def test_nothing_divides_nothing(better: str, value: int, best: int, score: int) -> None:
    assert points(Criterion("x", WEIGHTS, better), value, best) == score  # type: ignore[arg-type]


def test_ties_go_to_the_cheaper_then_the_quicker_then_the_earlier() -> None:
    """By coverage alone all of these are equal."""
    alone = (Criterion("coverage", WEIGHTS, "higher"),)
    rows = [
        candidate(1, 200, 3, coverage=5),
        candidate(2, 100, 3, coverage=5),
        candidate(3, 100, 2, coverage=5),
        candidate(4, 100, 2, coverage=5),
    ]
    assert [row.id for row in ranked(alone, rows)] == ["Q3", "Q4", "Q2", "Q1"]
    assert {row.score_bp for row in ranked(alone, rows)} == {WEIGHTS}


def test_without_criteria_nobody_scores() -> None:
    rows = ranked((), [candidate(1, 9), candidate(2, 5)])
    assert [(row.id, row.score_bp, row.points_bp) for row in rows] == [("Q2", 0, ()), ("Q1", 0, ())]
    assert ranked(MIXED, []) == ()


values = st.integers(0, 50) | st.integers(0, 10**15)
figures = st.lists(st.tuples(values, st.integers(1, 30), st.integers(0, 10**12)), min_size=1, max_size=8)


@given(figures, st.integers(1, WEIGHTS - 2), st.sampled_from(["lower", "higher"]))
def test_the_ranking_is_the_naive_one(rows: list[tuple[int, int, int]], weight: int, better: str) -> None:
    criteria = (
        Criterion(PRICE, weight, "lower"),
        Criterion("quality", WEIGHTS - weight - 1, better),  # type: ignore[arg-type]
        Criterion(DELIVERY, 1, "lower"),
    )
    candidates = [candidate(at, cost, days, quality=mark) for at, (cost, days, mark) in enumerate(rows, 1)]
    expected = []
    for row in candidates:
        score = 0
        for criterion in criteria:
            value, column = row.values[criterion.name], [one.values[criterion.name] for one in candidates]
            share = Fraction(1)
            if criterion.better == "lower" and value != min(column):
                share = Fraction(min(column), value)
            if criterion.better == "higher" and value != max(column):
                share = Fraction(value, max(column))
            score += int(criterion.weight_bp * share)
        expected.append((-score, row.cost_fen, row.delivery_days, row.number))
    found = ranked(criteria, candidates)
    assert [(row.id, row.score_bp) for row in found] == [(f"Q{key[3]}", -key[0]) for key in sorted(expected)]
    assert all(sum(row.points_bp) == row.score_bp <= WEIGHTS for row in found)
    assert found == ranked(criteria, reversed(candidates)), "the order of asking does not matter"


# ---- criteria


@pytest.mark.parametrize(
    ("criteria", "says"),
    [
        ((Criterion("a", 5_000, "lower"), Criterion("a", 5_000, "lower")), "name of its own"),
        ((Criterion("a", 10_001, "lower"), Criterion("b", -1, "lower")), "at least 1"),
        ((Criterion("a", 9_999, "lower"),), "not to 9999"),
        ((Criterion("price_fen", WEIGHTS, "higher"),), "better when lower"),
    ],
)
def test_criteria_that_cannot_be_published(criteria: tuple[Criterion, ...], says: str) -> None:
    assert says in (refuse_criteria(criteria) or "")


def test_criteria_in_order() -> None:
    assert refuse_criteria(()) is None
    assert refuse_criteria(BY_PRICE) is None
    assert refuse_criteria(MIXED) is None
