"""When the users of a load test are due: instants one period apart, whatever became of those before.

locust's `constant_throughput` begins the next period when a late answer has come. What should have been asked meanwhile
is then neither asked nor counted, and a venue that stands still for a second costs one slow answer instead of hundreds
("coordinated omission"). Here a user that is behind goes on at once, and every wait counts from when it was due.
"""

import math
from typing import Final

SPAWN_S: Final = 2.0
"""From the start of a run until all its users are there and the first is due."""


class Schedule:
    """Of one user, in seconds of one monotonic clock. `phase` (0 to 1) keeps users from being due all at once."""

    def __init__(self, throughput: float, now_s: float, phase: float = 0.0) -> None:
        if throughput <= 0:
            raise ValueError(f"a user does something more than 0 times a second, not {throughput}")
        self.period_s = 1 / throughput
        self.due_s = now_s + phase * self.period_s
        self.was_free = True
        """Whether the user waited for what it did last; else it was still busy with what was due before."""

    def pause_s(self, now_s: float) -> float:
        """How long until the user is due."""
        self.was_free = now_s <= self.due_s
        return max(0.0, self.due_s - now_s)

    def begin(self) -> float:
        """When the user was due that begins now. From here on the next instant counts."""
        due_s = self.due_s
        self.due_s += self.period_s
        return due_s

    def missed(self, now_s: float) -> int:
        """How often the user has been due by now and has not begun."""
        return max(0, math.floor((now_s - self.due_s) / self.period_s) + 1)
