"""A plot of one series over time, in characters, for a terminal."""

from collections.abc import Sequence
from typing import Final

from loadtests.bench_figure import percentile
from loadtests.tally import Series

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
WIDTH: Final = 60
HEIGHT: Final = 5


def plot(title: str, values: Sequence[float], seconds: float, height: int = HEIGHT) -> str:
    """A column a value, from the left; the scale is on the left, the time below."""
    top = max(values, default=0.0) or 1.0
    lines = [title]
    for row in reversed(range(height)):
        label = f"{top * (row + 1) / height:>9,.4g}" if row in (height - 1, height // 2) else " " * 9
        cells = (_cell(value / top * height - row) for value in values)
        lines.append(f"{label} ┤{''.join(cells)}")
    lines.append(f"{0:>9} └{'─' * len(values)}")
    lines.append(f"{'':>11}0 s{f'{seconds:.0f} s':>{max(0, len(values) - 3)}}")
    return "\n".join(lines)


def _cell(filled: float) -> str:
    return BLOCKS[max(0, min(8, round(filled * 8)))]


def over_time(series: Series, begun_s: float, ended_s: float) -> tuple[list[float], list[float]]:
    """(how many a second, 99 of 100 of their waits in ms) for each column of a plot."""
    columns = max(1, min(WIDTH, round(ended_s - begun_s)))
    width_s = max(1e-9, (ended_s - begun_s) / columns)
    parts: list[list[float]] = [[] for _ in range(columns)]
    for at_s, ms in zip(series.at_s, series.ms, strict=True):
        column = int((at_s - begun_s) / width_s)
        if 0 <= column < columns:
            parts[column].append(ms)
    return [len(part) / width_s for part in parts], [
        percentile(part, 0.99) if part else 0.0 for part in parts
    ]
