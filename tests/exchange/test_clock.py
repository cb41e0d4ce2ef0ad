"""The venue's clock: it never goes back, follows the wall clock with care, and stands still where it is simulated.

The machine's two clocks are set by hand: `wall` is what people see, `steady` counts on from the machine's start.
"""

import pytest

from exchange.clock import JUMP_NS, Clock

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = 1_764_000_000 * SECOND


class Machine:
    """Two clocks that somebody else sets."""

    def __init__(self) -> None:
        self.wall = NOON
        self.steady = 77 * SECOND

    def run(self, ns: int) -> None:
        """Time passes, and both clocks agree about it."""
        self.wall += ns
        self.steady += ns


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("time.time_ns", lambda: machine.wall)
    monkeypatch.setattr("time.monotonic_ns", lambda: machine.steady)
    return machine


@pytest.fixture
def clock(machine: Machine) -> Clock:
    return Clock(simulated=False)


# ---- the real clock


def test_it_shows_the_wall_clock(machine: Machine, clock: Clock) -> None:
    assert clock.now(0, 0) == NOON
    machine.run(5 * SECOND)
    assert clock.now(0, 0) == NOON + 5 * SECOND


def test_every_instant_is_after_the_last(machine: Machine, clock: Clock) -> None:
    last_ns = 0
    for step in (0, 0, 1, 0, SECOND, 0):
        machine.run(step)
        now_ns = clock.now(last_ns, 0)
        assert now_ns > last_ns
        last_ns = now_ns


def test_a_journal_ahead_of_the_clock_is_continued_a_nanosecond_at_a_time(clock: Clock) -> None:
    """The venue was started on a machine whose clock is behind."""
    ahead_ns = NOON + 9 * MINUTE
    assert clock.now(ahead_ns, 0) == ahead_ns + 1
    assert clock.now(ahead_ns + 1, 0) == ahead_ns + 2


def test_the_real_clock_knows_no_simulated_instant(clock: Clock) -> None:
    assert clock.now(0, NOON + MINUTE) == NOON


@pytest.mark.parametrize("back", [1, SECOND, MINUTE, 400 * 86_400 * SECOND])
def test_a_wall_clock_that_is_set_back_does_not_take_the_venue_with_it(
    machine: Machine, clock: Clock, back: int
) -> None:
    machine.run(10 * SECOND)
    machine.wall -= back
    for _ in range(3):
        clock.watch()
    assert clock.now(0, 0) == NOON + 10 * SECOND
    assert clock.alarm_ns == 0
    machine.run(SECOND)
    clock.watch()
    assert clock.now(0, 0) == NOON + 11 * SECOND, "it goes on by the steady clock"


def test_after_a_set_back_it_follows_the_wall_clock_again_once_that_has_caught_up(
    machine: Machine, clock: Clock
) -> None:
    machine.wall -= 5 * SECOND
    clock.watch()
    machine.wall += 5 * SECOND + 7
    clock.watch()
    assert clock.now(0, 0) == NOON + 7


@pytest.mark.parametrize("ahead", [1, SECOND, JUMP_NS])
def test_it_follows_a_wall_clock_that_runs_ahead_by_up_to_a_minute(
    machine: Machine, clock: Clock, ahead: int
) -> None:
    machine.wall += ahead
    clock.watch()
    assert clock.alarm_ns == 0
    assert clock.now(0, 0) == NOON + ahead


def test_a_minute_of_small_steps_is_no_jump(machine: Machine, clock: Clock) -> None:
    """The wall clock gains a second at each look, all day long."""
    for _ in range(1_000):
        machine.run(200_000_000)
        machine.wall += SECOND
        clock.watch()
        assert clock.alarm_ns == 0
    assert clock.now(0, 0) == machine.wall


def test_a_jump_of_more_than_a_minute_is_not_followed_and_raises_the_alarm(
    machine: Machine, clock: Clock
) -> None:
    machine.wall += JUMP_NS + 1
    clock.watch()
    assert clock.alarm_ns == JUMP_NS + 1
    assert clock.now(0, 0) == NOON
    machine.run(SECOND)
    clock.watch()
    assert clock.now(0, 0) == NOON + SECOND, "it goes on by the steady clock"
    assert clock.alarm_ns == JUMP_NS + 1


def test_the_alarm_stays_until_an_operator_accepts_the_jump(machine: Machine, clock: Clock) -> None:
    machine.wall += 400 * 86_400 * SECOND
    for _ in range(10):
        machine.run(SECOND)
        clock.watch()
        assert clock.alarm_ns == 400 * 86_400 * SECOND
    clock.accept()
    assert clock.alarm_ns == 0
    assert clock.now(0, 0) == machine.wall
    clock.watch()
    assert clock.alarm_ns == 0


def test_the_alarm_ends_when_the_wall_clock_is_mended(machine: Machine, clock: Clock) -> None:
    machine.wall += 5 * MINUTE
    clock.watch()
    assert clock.alarm_ns
    machine.wall -= 5 * MINUTE - SECOND
    clock.watch()
    assert clock.alarm_ns == 0
    assert clock.now(0, 0) == NOON
    clock.watch()
    assert clock.now(0, 0) == NOON + SECOND, "and it is followed again"


def test_accepting_without_an_alarm_takes_the_wall_clock_as_it_is(machine: Machine, clock: Clock) -> None:
    machine.wall += 3 * SECOND
    clock.accept()
    assert clock.now(0, 0) == NOON + 3 * SECOND


def test_a_wall_clock_set_back_and_accepted_still_gives_no_instant_twice(
    machine: Machine, clock: Clock
) -> None:
    last_ns = clock.now(0, 0)
    machine.wall -= MINUTE
    clock.accept()
    assert clock.now(last_ns, 0) == last_ns + 1


# ---- the simulated clock


def test_a_simulated_clock_begins_with_the_wall_clock_and_then_stands_still(machine: Machine) -> None:
    clock = Clock(simulated=True)
    first_ns = clock.now(0, 0)
    assert first_ns == NOON
    machine.run(MINUTE)
    clock.watch()
    assert clock.now(first_ns, 0) == first_ns + 1
    assert clock.now(first_ns + 1, 0) == first_ns + 2


def test_a_simulated_clock_does_not_go_before_where_it_was_set(machine: Machine) -> None:
    clock = Clock(simulated=True)
    set_ns = NOON + 400 * 86_400 * SECOND
    assert clock.now(NOON, set_ns) == set_ns
    assert clock.now(set_ns, set_ns) == set_ns + 1


def test_a_simulated_clock_goes_on_from_the_journal_after_a_restart(machine: Machine) -> None:
    """Also where the machine's clock is later than the venue's: no date passes by itself."""
    machine.run(9 * 86_400 * SECOND)
    assert Clock(simulated=True).now(NOON, 0) == NOON + 1
