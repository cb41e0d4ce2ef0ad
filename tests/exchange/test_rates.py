"""Limits of orders by grade: what a minute holds, how it fills again, and that nobody waits for nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit.score import RANK, Grade
from exchange.events import Refused
from exchange.web import rates
from exchange.web.problem import Refusing, headers_of
from exchange.web.rates import GRADED_NS, MINUTE_NS, ORDERS_A_MINUTE, Rates
from tests.exchange.web_venue import Doors

NOW = 1_795_428_000_000_000_000


class Watch:
    """A clock and a grade that a test sets."""

    def __init__(self, grade: Grade = "D") -> None:
        self.now_ns = NOW
        self.grade: Grade = grade
        self.asked = 0
        self.rates = Rates(self._grade, lambda: self.now_ns)

    def _grade(self, participant: str) -> Grade:
        self.asked += 1
        return self.grade

    def takes(self, orders: int = 1, participant: str = "P2") -> bool:
        try:
            self.rates.take(participant, orders)
        except Refusing as error:
            return (error.refusal.code, (error.retry_after_s or 0) > 0) != (Refused.rate_limited, True)
        return True


def test_the_better_the_grade_the_more_orders() -> None:
    best_first = sorted(RANK, key=lambda grade: -RANK[grade])
    limits = [ORDERS_A_MINUTE[grade] for grade in best_first]
    assert limits == sorted(limits, reverse=True)
    assert min(limits) > 0


@pytest.mark.parametrize("grade", list(RANK))
def test_a_minute_holds_what_the_grade_may_and_fills_evenly(grade: Grade) -> None:
    watch, most = Watch(grade), ORDERS_A_MINUTE[grade]
    assert [watch.takes() for _ in range(most)] == [True] * most
    assert not watch.takes()
    watch.now_ns += MINUTE_NS // most - 1
    assert not watch.takes()
    watch.now_ns += 1
    assert watch.takes()
    assert not watch.takes()
    watch.now_ns += MINUTE_NS
    assert watch.takes(most)


def test_buckets_are_ones_own() -> None:
    watch = Watch()
    assert watch.takes(10)
    assert not watch.takes()
    assert watch.takes(10, "P3")


def test_whoever_waits_as_told_is_taken() -> None:
    watch = Watch("D")
    assert watch.takes(10)
    with pytest.raises(Refusing, match="orders_per_minute of grade D is 10: wait") as caught:
        watch.rates.take("P2", 3)
    assert caught.value.retry_after_s == 18
    watch.now_ns += 18_000_000_000 - 1
    assert not watch.takes(3)
    watch.now_ns += 1
    assert watch.takes(3)


def test_more_at_once_than_a_minute_holds_is_told_so() -> None:
    with pytest.raises(Refusing, match="at most so many at once"):
        Watch("D").rates.take("P2", 11)


def test_a_grade_is_asked_once_a_second() -> None:
    watch = Watch("D")
    assert watch.takes(10)
    watch.grade = "M"
    assert not watch.takes()
    watch.now_ns += GRADED_NS
    assert watch.takes(100)
    assert watch.asked == 2


def test_limits_that_are_off_count_nothing() -> None:
    watch = Watch()
    watch.rates = Rates(watch._grade, lambda: watch.now_ns, on=False)
    assert all(watch.takes(1_000) for _ in range(100))
    assert watch.asked == 0


def test_buckets_that_are_full_again_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BUCKETS", 3)
    watch = Watch()
    for number in range(100):
        assert watch.takes(participant=f"P{number}")
        watch.now_ns += MINUTE_NS
    assert len(watch.rates._buckets) <= 3


@given(st.lists(st.tuples(st.integers(0, 10**11), st.integers(1, 12)), max_size=60))
def test_no_minute_ever_takes_more_than_two_buckets(steps: list[tuple[int, int]]) -> None:
    """One that is full, and what flows in meanwhile."""
    watch = Watch("D")
    taken: list[tuple[int, int]] = []
    for wait_ns, orders in steps:
        watch.now_ns += wait_ns
        if watch.takes(orders):
            taken.append((watch.now_ns, orders))
    for since_ns, _ in taken:
        within = [orders for at_ns, orders in taken if since_ns <= at_ns < since_ns + MINUTE_NS]
        assert sum(within) <= 2 * ORDERS_A_MINUTE["D"]


# ---- over HTTP


@pytest.mark.asyncio(loop_scope="module")
async def test_who_sends_too_many_is_told_when_to_come_back(
    web: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "ORDERS_A_MINUTE", dict.fromkeys(RANK, 3))
    order: dict[str, Any] = {"listing": "L99", "quantity": 1}
    answers = [await web.operator.ask("POST", "/v1/orders", json=order) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    problem = answers[-1].json()
    assert (problem["code"], "orders_per_minute" in problem["detail"]) == ("rate_limited", True)
    assert 0 < int(answers[-1].headers["retry-after"]) == problem["retry_after_s"] <= 20
    batch = await web.operator.ask("POST", "/v1/orders/batch", json=[order, order])
    assert (batch.status_code, "retry-after" in batch.headers) == (429, True)
    replaced = await web.operator.ask("POST", "/v1/orders/O99/replace", json={"quantity": 1})
    assert replaced.status_code == 429
    assert (await web.operator.ask("DELETE", "/v1/orders/O99")).status_code == 404, (
        "cancels are never limited"
    )
    seconds = int(batch.headers["retry-after"])
    assert (await web.operator.ask("POST", "/v1/clock/advance", json={"seconds": seconds})).status_code == 200
    batch = await web.operator.ask("POST", "/v1/orders/batch", json=[order, order])
    assert batch.status_code == 200
    assert headers_of(web.venue.desk.reasons.problem(Refusing(Refused.overloaded, "busy"))) == {
        "retry-after": "1"
    }
