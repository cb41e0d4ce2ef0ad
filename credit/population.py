"""Whether the model still fits those it rates: figures over the whole market (信用模型监测). Pure, and no concern of
the ledger: ratios are floats, counts are integers.

    population_stability   how far the spread over grades or bands has moved          below 0.1 stable, from 0.25 on shifted
    information_value      how well classes tell good from bad: the same sum over them
    kolmogorov_smirnov     the largest gap between the good and the bad up to any score
    bad_rates              of each grade, the part that turned out bad
    override_rate          how many grades in force are not the model's own
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Final, Literal

import msgspec

from credit.score import RANK, Grade

Drift = Literal["stable", "moving", "shifted"]
MOVING: Final = 0.1
SHIFTED: Final = 0.25


class Share(msgspec.Struct, frozen=True):
    """So many of so many."""

    part: int
    whole: int

    @property
    def ratio(self) -> float:
        return self.part / self.whole if self.whole else 0.0


def population_stability(before: Sequence[int], now: Sequence[int]) -> float:
    """Sum of (now - before) ln(now / before) over the parts of each class. Counts by class, in the same order.

    Where a class is empty on one side, half an observation is added to every class of both, so that the sum stays
    finite. 0 where either side has nobody. Raises ValueError when the classes are not the same number.
    """
    if len(before) != len(now):
        raise ValueError(f"{len(before)} classes before and {len(now)} now: give counts of the same classes")
    if not sum(before) or not sum(now):
        return 0.0
    added = 0.5 if 0 in before or 0 in now else 0.0
    whole_before, whole_now = sum(before) + added * len(before), sum(now) + added * len(now)
    total = 0.0
    for count_before, count_now in zip(before, now, strict=True):
        part_before, part_now = (count_before + added) / whole_before, (count_now + added) / whole_now
        total += (part_now - part_before) * log(part_now / part_before)
    return total


def information_value(good: Sequence[int], bad: Sequence[int]) -> float:
    """Sum of (good - bad) ln(good / bad) over the parts of each class: 0 where classes tell nothing. As above else."""
    return population_stability(bad, good)


def drift(stability: float) -> Drift:
    """The word for a population stability index, by the bounds that are customary."""
    if stability < MOVING:
        return "stable"
    return "moving" if stability < SHIFTED else "shifted"


def kolmogorov_smirnov(good: Sequence[float], bad: Sequence[float]) -> float:
    """The largest difference of the parts of good and bad at or below any score; 0 where either side is empty."""
    if not good or not bad:
        return 0.0
    low, high = sorted(good), sorted(bad)
    return max(
        abs(bisect_right(low, at) / len(low) - bisect_right(high, at) / len(high)) for at in {*low, *high}
    )


def bad_rates(outcomes: Iterable[tuple[Grade, bool]]) -> dict[Grade, Share]:
    """(grade, turned out bad) of each participant -> bad of all in each grade that has any, best grade first."""
    bad: dict[Grade, int] = {}
    whole: dict[Grade, int] = {}
    for grade, is_bad in outcomes:
        whole[grade] = whole.get(grade, 0) + 1
        bad[grade] = bad.get(grade, 0) + is_bad
    return {grade: Share(bad[grade], whole[grade]) for grade in sorted(whole, key=lambda one: -RANK[one])}


def override_rate(own: Mapping[str, Grade], in_force: Mapping[str, Grade]) -> Share:
    """How many participants have another grade in force than the model gave; those without a model's grade are left
    out."""
    rated = [name for name in in_force if name in own]
    return Share(sum(own[name] != in_force[name] for name in rated), len(rated))
