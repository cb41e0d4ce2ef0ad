"""The load over a trading day, squeezed into a few seconds: how much of the full number of users is there, when.

    open     ▁█▇▅▄▃▃▃   everybody is there when trading begins, then it calms down
    noon     ▅▅▂▁▁▂▅▅   the market goes to lunch and comes back
    close    ▃▃▃▄▅▆▇█   more and more until the last second

`SHUJI_LOAD_SHAPE=open locust -f loadtests/locustfile.py ...`; each user keeps its throughput, so users make the rate.
"""

from itertools import pairwise
from typing import Final

from locust import LoadTestShape

from loadtests.schedule import SPAWN_S

Curve = tuple[tuple[float, float], ...]
"""(part of the time, part of the users), in order, from 0 to 1; straight lines between."""

CURVES: Final[dict[str, Curve]] = {
    "open": ((0.0, 0.2), (0.05, 1.0), (0.2, 0.9), (0.5, 0.45), (1.0, 0.35)),
    "noon": ((0.0, 0.6), (0.25, 0.6), (0.4, 0.15), (0.6, 0.15), (0.75, 0.6), (1.0, 0.6)),
    "close": ((0.0, 0.35), (0.4, 0.35), (0.8, 0.7), (1.0, 1.0)),
}
SECONDS: Final = 60.0


def share(curve: Curve, part: float) -> float:
    """The part of the users that is there when this part of the time has gone."""
    for (begin, low), (end, high) in pairwise(curve):
        if part <= end:
            return low + (high - low) * (part - begin) / (end - begin)
    return curve[-1][1]


class Shape(LoadTestShape):
    """One of the curves; ends after its time."""

    abstract = True
    curve: Curve = ()

    def __init__(self, users: int, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.users, self.seconds = users, seconds

    def tick(self) -> tuple[int, float] | None:
        """(users, how many come or go a second); None at the end."""
        part = max(0.0, self.get_run_time() - SPAWN_S) / self.seconds  # type: ignore[no-untyped-call]
        return None if part >= 1 else (max(1, round(self.users * share(self.curve, part))), float(self.users))


def named(name: str, users: int, seconds: float) -> type[Shape]:
    """The class that locust makes its shape of. Raises KeyError for a name that is none."""

    class Chosen(Shape):
        curve = CURVES[name]

        def __init__(self) -> None:
            super().__init__(users, seconds)

    return Chosen
