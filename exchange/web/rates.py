"""How many orders a participant may send in a minute, by its grade: the venue's own process counts, in memory.

Each participant has a bucket of one minute's orders that fills evenly (the generic cell rate algorithm, as in ITU-T I.371:
one integer each, no floating point, nothing that runs by itself). Orders, replacements and every element of a batch count,
also those that are refused or sent again; cancels never do. Who sends too many is told when there is room again, and
nothing of it is stored. What a grade may is in `credit.remedy.CONSEQUENCES`, and the grade is the one in force.
"""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from credit.remedy import CONSEQUENCES
from credit.score import Grade
from exchange.events import Refused
from exchange.web.problem import Refusing

ORDERS_A_MINUTE: Final[Mapping[Grade, int]] = {
    grade: row.orders_per_minute for grade, row in CONSEQUENCES.items()
}
"""0: as many as there are."""

MINUTE_NS: Final = 60_000_000_000
GRADED_NS: Final = 1_000_000_000
"""For how long a grade that was asked is taken to be the same."""
MOST_BUCKETS: Final = 100_000


class _Bucket(Struct, gc=False):
    """`empty_ns`: when it would be full again. `order_ns`: what an order takes of the minute, 0 where none is counted."""

    empty_ns: int
    graded_ns: int
    order_ns: int
    grade: Grade


class Rates:
    """`now_ns` only has to go on; `grade_of` is asked once a second and participant."""

    __slots__ = ("_buckets", "_grade_of", "_now_ns", "_on")

    def __init__(self, grade_of: Callable[[str], Grade], now_ns: Callable[[], int], on: bool = True) -> None:
        self._grade_of = grade_of
        self._now_ns = now_ns
        self._on = on
        self._buckets: dict[str, _Bucket] = {}

    def take(self, participant: str, orders: int = 1) -> None:
        """Count these orders. Raises Refusing where there is no room for them; then none is counted. 0.5 us."""
        if not self._on:
            return
        now_ns = self._now_ns()
        bucket = self._buckets.get(participant)
        if bucket is None or now_ns >= bucket.graded_ns:
            bucket = self._graded(participant, bucket, now_ns)
        full_ns = max(bucket.empty_ns, now_ns) + orders * bucket.order_ns
        if full_ns - now_ns > MINUTE_NS:
            raise _too_many(bucket.grade, orders, full_ns - now_ns - MINUTE_NS)
        bucket.empty_ns = full_ns

    def _graded(self, participant: str, bucket: _Bucket | None, now_ns: int) -> _Bucket:
        grade = self._grade_of(participant)
        most = ORDERS_A_MINUTE[grade]
        if bucket is None:
            self._make_room(now_ns)
            bucket = self._buckets[participant] = _Bucket(now_ns, 0, 0, grade)
        bucket.graded_ns = now_ns + GRADED_NS
        bucket.order_ns = MINUTE_NS // most if most else 0
        bucket.grade = grade
        return bucket

    def _make_room(self, now_ns: int) -> None:
        """A bucket that is full is like none."""
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets = {name: one for name, one in self._buckets.items() if one.empty_ns > now_ns}


def _too_many(grade: Grade, orders: int, wait_ns: int) -> Refusing:
    most = ORDERS_A_MINUTE[grade]
    if orders > most:
        detail = f"orders_per_minute of grade {grade} is {most}: send at most so many at once"
    else:
        detail = f"orders_per_minute of grade {grade} is {most}: wait as Retry-After says; a better grade may send more"
    return Refusing(Refused.rate_limited, detail, retry_after_s=-(-wait_ns // 1_000_000_000))
