"""What a load test demands, as a table, and its verdict.

A run is `steady` (at no more than half the capacity), a `step` in search of the capacity, or an `overload`. It is void
where the load generator was what could not keep up: then its figures say nothing of the venue.
"""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from loadtests.bench_figure import percentile, rounded
from loadtests.tally import Tally

Mode = Literal["steady", "step", "overload"]
GOOD: Final = 0
BROKEN: Final = 1
VOID: Final = 3
"""Exit statuses; 2 is argparse's."""


class Run(Struct):
    """A run that has ended: what was seen, and what the examination afterwards found."""

    mode: Mode
    tally: Tally
    violations: list[str] = []
    """What was acknowledged and is not there once as it was sent, and what else the examination found, in words."""

    @property
    def done_part(self) -> float:
        """The part of what was due that was asked for in time."""
        due = self.tally.asked + self.tally.missed
        return self.tally.asked / due if due else 1.0


class Objective(Struct, frozen=True):
    """A figure and its limit. `modes` are those in which it is demanded."""

    name: str
    figure: Callable[[Run], float]
    limit: float
    unit: str = ""
    least: bool = False
    """Whether the limit is the least that will do; else it is the most."""
    modes: tuple[Mode, ...] = ("steady", "step", "overload")

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


def _busy_or_broken(run: Run) -> float:
    wanted = run.mode == "overload"
    return run.tally.broken + (0 if wanted else run.tally.busy)


def _p99_ms(run: Run) -> float:
    return run.tally.every_wait().percentile_ms(0.99)


OBJECTIVES: Final = (
    Objective("answers of 5xx (in overload: but 503 with Retry-After)", _busy_or_broken, 0),
    Objective("requests without an answer", lambda run: run.tally.silent, 0),
    Objective("refusals without a reason", lambda run: run.tally.unexpected, 0),
    Objective("acknowledged and not there once", lambda run: len(run.violations), 0),
    Objective("orders answered", lambda run: run.tally.orders, 1, least=True),
    Objective("99 of 100 answered, from when they were due", _p99_ms, 50, "ms", modes=("steady",)),
    Objective("99 of 100 answered, from when they were due", _p99_ms, 1_000, "ms", modes=("step",)),
    Objective(
        "asked for in time", lambda run: run.done_part * 100, 99, "%", least=True, modes=("steady", "step")
    ),
    Objective(
        "answers of 503 with Retry-After", lambda run: run.tally.busy, 1, least=True, modes=("overload",)
    ),
)

GENERATOR: Final = (
    Objective(
        "CPU of the generator, median of its seconds",
        lambda run: percentile(run.tally.cpu, 0.5) * 100 if run.tally.cpu else 0.0,
        90,
        "% of a core",
        modes=("steady", "step"),
    ),
    Objective(
        "users woken late, 99 of 100 of them by less than",
        lambda run: percentile(run.tally.lag_ms, 0.99) if run.tally.lag_ms else 0.0,
        20,
        "ms",
        modes=("steady", "step"),
    ),
)
"""Broken, the run is void."""


class Line(Struct):
    """An objective and what was measured."""

    name: str
    value: float
    limit: float
    unit: str
    least: bool
    holds: bool

    def __str__(self) -> str:
        held = "held  " if self.holds else "BROKEN"
        sign = "at least" if self.least else "at most"
        return f"{held}  {self.name}: {self.value:,.6g} {self.unit}".rstrip() + f" ({sign} {self.limit:g})"


class Verdict(Struct):
    """Of a run. `status` is the exit status; `figures` are for whoever compares runs."""

    mode: Mode
    figures: dict[str, float]
    objectives: list[Line]
    generator: list[Line]
    status: int

    @property
    def word(self) -> str:
        return {GOOD: "every objective held", BROKEN: "an objective is BROKEN", VOID: "VOID"}[self.status]


def judged(run: Run) -> Verdict:
    """What was demanded and what of it held. What was lost or answered with 5xx is no less lost in a void run."""
    objectives, generator = _lines(OBJECTIVES, run), _lines(GENERATOR, run)
    status = GOOD
    if not all(line.holds for line in objectives):
        status = BROKEN
    if not all(line.holds for line in generator) and not _is_wrong(objectives):
        status = VOID
    return Verdict(run.mode, figures(run.tally), objectives, generator, status)


def figures(tally: Tally) -> dict[str, float]:
    """Rates a second and waits in ms; `order_to_trade` from an order's scheduled instant until its trade was told."""
    seconds = tally.seconds or 1.0
    found = {"requests_a_second": tally.asked / seconds, "orders_a_second": tally.orders / seconds}
    told = {f"order_to_trade_{teller}": series for teller, series in sorted(tally.to_trade.items())}
    for name, series in {"answer": tally.every_wait(), **told}.items():
        for part in (0.5, 0.99):
            found[f"{name}_p{part * 100:.0f}_ms"] = series.percentile_ms(part)
    return {name: rounded(value) for name, value in found.items()}


def _lines(table: tuple[Objective, ...], run: Run) -> list[Line]:
    lines = []
    for one in table:
        if run.mode in one.modes:
            value = float(one.figure(run))
            lines.append(Line(one.name, value, one.limit, one.unit, one.least, one.holds(value)))
    return lines


def _is_wrong(objectives: list[Line]) -> bool:
    """Whether something is broken that no slow generator explains: what is counted and not timed."""
    return any(not line.holds and line.unit not in ("ms", "%") for line in objectives)
