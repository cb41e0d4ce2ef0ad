"""A measured figure, the table for people and `bench.json` for machines."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

Better = Literal["more", "less"]


class Figure(msgspec.Struct, kw_only=True):
    """One line of `bench.json`. `reference` was measured in the same run; `ratio` is value / reference.

    `compared` says in words what the reference is. `goals`: first what the prototype reached, then what to reach for;
    they are compared with the ratio where `goals_are_ratios`.
    """

    name: str
    value: float
    unit: str
    reference: float
    compared: str
    goals: tuple[float, ...] = ()
    goals_are_ratios: bool = False
    better: Better = "more"

    @property
    def ratio(self) -> float:
        return self.value / self.reference if self.reference else 0.0

    @property
    def reached(self) -> str:
        """How many of the goals, in a word; empty where there are none."""
        measured = self.ratio if self.goals_are_ratios else self.value
        if not self.goals:
            return ""
        met = [measured >= goal if self.better == "more" else measured <= goal for goal in self.goals]
        return ("below both", "first", "both")[sum(met)] if len(met) == 2 else ("below", "reached")[sum(met)]


class _Line(msgspec.Struct):
    """What `bench.json` holds of a figure."""

    name: str
    value: float
    unit: str
    reference: float
    ratio: float


_COLUMNS: Final = ("figure", "value", "unit", "reference", "ratio", "goals", "reached", "reference is")


def write(figures: Sequence[Figure], path: Path) -> None:
    lines = [
        _Line(one.name, rounded(one.value), one.unit, rounded(one.reference), rounded(one.ratio))
        for one in figures
    ]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=2) + b"\n")


def rounded(number: float) -> float:
    """Four digits that count."""
    return float(f"{number:.4g}")


def table(figures: Iterable[Figure]) -> str:
    """The figures as aligned text."""
    rows = [_COLUMNS, *(_row(one) for one in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(one: Figure) -> tuple[str, ...]:
    goals = " then ".join(f"{goal:,g}" for goal in one.goals)
    return (
        one.name,
        _text(one.value),
        one.unit,
        _text(one.reference),
        _text(one.ratio),
        goals,
        one.reached,
        one.compared,
    )


def _text(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
