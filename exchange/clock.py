"""The venue's clock: UTC nanoseconds that never go back.

The real clock runs on the machine's steady clock from an anchor on the wall clock, and is drawn to the wall clock
while both agree. When the wall jumps ahead by more than a minute, the venue's time does not follow and dates do not
expire until the wall clock is back or an operator accepts the jump. The simulated clock stands still, but for journaled
commands.
"""

import time
from typing import Final

JUMP_NS: Final = 60_000_000_000


class Clock:
    """`alarm` says by how many ns the wall clock has jumped ahead, 0 where it has not."""

    def __init__(self, simulated: bool) -> None:
        self.simulated = simulated
        self.alarm_ns = 0
        self._wall = time.time_ns
        self._steady = time.monotonic_ns
        self._anchor(self._wall())

    def _anchor(self, wall_ns: int) -> None:
        self._wall_ns, self._steady_ns = wall_ns, self._steady()

    def now(self, last_ns: int, floor_ns: int) -> int:
        """An instant after the last one; not before `floor_ns`, where a simulated clock was set to."""
        if self.simulated:
            return max(last_ns + 1, floor_ns, self._wall_ns if not last_ns else 0)
        return max(last_ns + 1, self._wall_ns + self._steady() - self._steady_ns)

    def watch(self) -> None:
        """Compare with the wall clock; called a few times a second."""
        wall_ns = self._wall()
        ahead_ns = wall_ns - (self._wall_ns + self._steady() - self._steady_ns)
        if ahead_ns > JUMP_NS:
            self.alarm_ns = ahead_ns
        elif self.alarm_ns:
            self.alarm_ns = 0
        elif ahead_ns > 0:
            self._anchor(wall_ns)

    def accept(self) -> None:
        """An operator has looked: the wall clock is right."""
        self.alarm_ns = 0
        self._anchor(self._wall())
