"""The clock's alarm: raised by a jump of the wall clock, gone when the wall clock is back or an operator accepts.

The alarm keeps dates from passing, so one that stays for no reason stops every delivery date of the venue.
"""

import pytest

from exchange.clock import JUMP_NS, Clock

SECOND_NS = 1_000_000_000


class Times:
    """Two clocks that the test moves."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.wall_ns, self.steady_ns = clock, 1_700_000_000 * SECOND_NS, 5 * SECOND_NS
        clock._wall, clock._steady = lambda: self.wall_ns, lambda: self.steady_ns
        clock.accept()

    def pass_by(self, ns: int, jump_ns: int = 0) -> None:
        """Both clocks go on by `ns`, the wall clock by `jump_ns` more; the engine looks."""
        self.wall_ns += ns + jump_ns
        self.steady_ns += ns
        self.clock.watch()


@pytest.fixture
def times() -> Times:
    return Times(Clock(simulated=False))


def test_a_jump_raises_the_alarm_and_time_does_not_follow(times: Times) -> None:
    before = times.clock.now(0, 0)
    times.pass_by(SECOND_NS, 120 * SECOND_NS)
    assert times.clock.alarm_ns == 120 * SECOND_NS
    assert times.clock.now(0, 0) == before + SECOND_NS


@pytest.mark.parametrize("beside_ns", [-3_600 * SECOND_NS, -1_000_000, 0, 1_000_000, JUMP_NS])
def test_the_alarm_is_gone_when_the_wall_clock_is_back(times: Times, beside_ns: int) -> None:
    """Back, but a little behind the steady clock: no second look at it is any different."""
    times.pass_by(SECOND_NS, 120 * SECOND_NS)
    times.pass_by(SECOND_NS, -120 * SECOND_NS + beside_ns)
    assert times.clock.alarm_ns == 0


def test_the_alarm_stays_as_long_as_the_jump_does(times: Times) -> None:
    times.pass_by(SECOND_NS, 120 * SECOND_NS)
    times.pass_by(30 * SECOND_NS)
    assert times.clock.alarm_ns == 120 * SECOND_NS
    times.clock.accept()
    assert times.clock.alarm_ns == 0
    assert times.clock.now(0, 0) == times.wall_ns


def test_time_never_goes_back_with_the_wall_clock(times: Times) -> None:
    times.pass_by(SECOND_NS, 120 * SECOND_NS)
    times.clock.accept()
    before = times.clock.now(0, 0)
    times.pass_by(SECOND_NS, -120 * SECOND_NS)
    assert times.clock.now(before, 0) == before + SECOND_NS
