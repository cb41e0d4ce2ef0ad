"""`make load`: that it counts what it says it counts, that each objective can break, and a short run of it."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtests import load
from loadtests.client import ROOT
from loadtests.cores import told
from loadtests.examination import attempt, memory
from loadtests.feed_reader import FeedReader
from loadtests.objectives import BROKEN, GOOD, OBJECTIVES, VOID, Mode, Run, Verdict, judged
from loadtests.plot import over_time, plot
from loadtests.schedule import SPAWN_S, Schedule
from loadtests.tally import Sent, Series, Tally

# ---- when users are due


def test_a_user_is_due_one_period_after_the_other() -> None:
    schedule = Schedule(10, 100.0, phase=0.5)
    assert schedule.pause_s(100.0) == pytest.approx(0.05)
    assert [schedule.begin() for _ in range(3)] == pytest.approx([100.05, 100.15, 100.25])


def test_waits_count_from_when_the_user_was_due() -> None:
    """An answer takes a second: the nine that were due meanwhile have waited too, each a tenth less."""
    schedule = Schedule(10, 0.0)
    schedule.pause_s(0.0)
    waits = [1.0 - schedule.begin()]
    while schedule.pause_s(1.0) == 0:
        assert not schedule.was_free or schedule.due_s == 1.0
        waits.append(1.0 - schedule.begin())
    assert waits == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])


def test_what_was_due_and_not_begun_is_missed() -> None:
    schedule = Schedule(10, 0.0)
    assert schedule.missed(-0.05) == 0
    assert schedule.missed(0.0) == 1
    schedule.begin()
    assert (schedule.missed(0.05), schedule.missed(0.95)) == (0, 9)


def test_a_user_does_something() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Schedule(0, 0.0)


# ---- objectives


def good(mode: Mode = "steady", **changes: Any) -> Run:
    """A run in which everything held."""
    waits = Series(at_s=[float(n) / 100 for n in range(1_000)], ms=[5.0] * 1_000)
    shape: dict[str, Any] = {
        "ended_s": 10.0,
        "answers": {"order": waits},
        "orders": 900,
        "busy": 1 if mode == "overload" else 0,
        "lag_ms": [1.0] * 1_000,
        "cpu": [0.5] * 10,
    }
    violations = changes.pop("violations", [])
    return Run(mode, Tally(**{**shape, **changes}), violations)


@pytest.mark.parametrize("mode", ["steady", "step", "overload"])
def test_a_good_run_holds_every_objective(mode: Mode) -> None:
    verdict = judged(good(mode))
    assert (verdict.status, verdict.word) == (GOOD, "every objective held")


def slow(ms: float) -> dict[str, Series]:
    """20 of 1,000 waited so long."""
    return {"order": Series([1.0] * 1_000, [5.0] * 980 + [ms] * 20)}


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("steady", {"broken": 1}),
        ("steady", {"busy": 1}),
        ("step", {"busy": 1}),
        ("overload", {"broken": 1}),
        ("overload", {"busy": 0}),
        ("steady", {"silent": 1}),
        ("steady", {"unexpected": 1}),
        ("steady", {"violations": ["P7: acknowledged order x is listed 0 times"]}),
        ("overload", {"violations": ["P7: acknowledged order x is listed 0 times"]}),
        ("steady", {"orders": 0}),
        ("steady", {"answers": slow(51.0)}),
        ("step", {"answers": slow(1_001.0)}),
        ("steady", {"missed": 11}),
    ],
)  # fmt: skip
def test_each_objective_can_break(mode: Mode, changes: dict[str, Any]) -> None:
    verdict = judged(good(mode, **changes))
    assert verdict.status == BROKEN
    assert [line for line in verdict.objectives if not line.holds]


def test_every_objective_was_broken_above() -> None:
    assert len(OBJECTIVES) == 9, "a new objective needs its line in the test above"


def test_a_step_and_an_overload_may_be_slower_than_half_the_capacity() -> None:
    assert judged(good("step", answers=slow(900.0))).status == GOOD
    assert judged(good("overload", answers=slow(9_000.0))).status == GOOD


@pytest.mark.parametrize("changes", [{"cpu": [0.95] * 10}, {"lag_ms": [1.0] * 900 + [25.0] * 100}])
def test_a_generator_that_cannot_keep_up_makes_the_run_void(changes: dict[str, Any]) -> None:
    assert judged(good(**changes)).status == VOID
    assert judged(good(**changes, answers=slow(80.0))).status == VOID
    assert judged(good(**changes, missed=500)).status == VOID


def test_a_slow_generator_excuses_no_lost_order() -> None:
    assert judged(good(cpu=[0.95] * 10, violations=["lost"])).status == BROKEN
    assert judged(good(cpu=[0.95] * 10, broken=1)).status == BROKEN


def test_the_verdict_tells_order_to_trade_as_a_figure_of_its_own() -> None:
    told = {"answer": Series([1.0, 2.0], [4.0, 8.0]), "feed": Series([1.0], [6.0])}
    assert judged(good(to_trade=told)).figures == {
        "requests_a_second": 100.0,
        "orders_a_second": 90.0,
        "answer_p50_ms": 5.0,
        "answer_p99_ms": 5.0,
        "order_to_trade_answer_p50_ms": 8.0,
        "order_to_trade_answer_p99_ms": 8.0,
        "order_to_trade_feed_p50_ms": 6.0,
        "order_to_trade_feed_p99_ms": 6.0,
    }


# ---- what was seen


def test_tallies_of_several_processes_are_put_together(tmp_path: Path) -> None:
    waits = Series([1.0], [2.0])
    one = Tally(begun_s=5.0, ended_s=9.0, answers={"order": waits}, orders=3, cpu=[0.1, 0.9], missed=1)
    other = Tally(begun_s=4.0, ended_s=8.0, answers={"order": waits, "bid": waits}, orders=4, cpu=[0.5])
    one.sent = {"buyer-1.key": [Sent("/v1/orders", "k", b"{}", 201, "O1")]}
    whole = Tally.merged([one, other])
    assert (whole.begun_s, whole.ended_s, whole.orders, whole.missed) == (4.0, 9.0, 7, 1)
    assert whole.cpu == [0.5, 0.9]
    assert whole.asked == 3
    whole.keep(tmp_path)
    assert Tally.read(tmp_path) == whole


def test_the_wait_until_a_trade_is_told_counts_from_the_orders_schedule() -> None:
    """The feed may be before the answer or after it."""
    tally = Tally()
    reader = FeedReader("http://127.0.0.1:1", ["L1"], tally, lambda clock_s: clock_s)
    reader.hear(b'{"type":"change","trades":[{"trade":"T1"},{"trade":"T9"}]}', 10.25)
    reader.expect("T1", 10.0)
    reader.expect("T2", 11.0)
    reader.hear(b'{"type":"change","sequence":5}', 11.1)
    reader.hear(b'{"type":"change","trades":[{"trade":"T2"}]}', 11.5)
    assert tally.to_trade["feed"].ms == pytest.approx([250.0, 500.0])
    reader.expect("T3", 12.0)
    reader.finish(0.0)
    assert tally.untold == 1


def test_what_was_sent_can_be_asked_for_again() -> None:
    sent = Sent("/v1/orders", "k", b'{"quantity":2}', 201, "O1")
    assert attempt(sent).answer == {"order": "O1"}
    assert attempt(sent).done
    assert attempt(Sent("/v1/orders", "k", b"{}")).in_doubt
    step = Sent("/v1/trades/T1/delivery", "s", b"{}", 409, subject="T1")
    did = memory(None, [sent, step], ["O1"], random.Random(0))  # type: ignore[arg-type]
    assert (list(did.orders), did.steps, did.cancels) == (["k"], {}, {"O1": True})


def test_others_on_the_machine_are_told() -> None:
    first = {"venue": 1.0, "generator": 0.0, "machine": 100.0}
    alone = told([(0.0, first), (2.0, {"venue": 2.0, "generator": 1.0, "machine": 102.2})])
    assert alone.startswith("venue 0.50, generator 0.50, others 0.10 of ")
    assert "quote" not in alone
    crowded = told([(0.0, first), (2.0, {"venue": 2.0, "generator": 1.0, "machine": 104.0})])
    assert "others 1.00" in crowded
    assert crowded.endswith("no figures to quote")
    assert "too short" in told([(0.0, first)])


# ---- the plot


def test_the_plot_shows_rate_and_waits_over_time() -> None:
    series = Series([0.1, 0.2, 0.3, 1.5, 3.9], [1.0, 2.0, 3.0, 40.0, 8.0])
    rates, waits = over_time(series, 0.0, 4.0)
    assert rates == [3.0, 1.0, 0.0, 1.0]
    assert waits == [3.0, 40.0, 0.0, 8.0]
    drawn = plot("waits", waits, 4.0, height=2).splitlines()
    assert drawn[0] == "waits"
    assert drawn[1].endswith("┤ █  ")
    assert drawn[2].endswith("┤▁█ ▃")


# ---- shapes; importing locust takes a process over, so they are looked at in another


def asked_of_shapes(question: str) -> Any:
    """What a fresh process answers."""
    code = f"import json; from loadtests import shapes; print(json.dumps({question}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_the_shapes_are_those_of_a_trading_day() -> None:
    found = asked_of_shapes(
        "{name: [shapes.share(curve, part / 10) for part in range(11)] for name, curve in shapes.CURVES.items()}"
    )
    assert sorted(found) == ["close", "noon", "open"]
    assert max(range(11), key=found["open"].__getitem__) <= 2
    assert found["open"][10] < 0.5
    assert found["noon"][5] < found["noon"][0] / 2
    assert found["noon"][10] == found["noon"][0]
    assert found["close"] == sorted(found["close"])
    assert found["close"][10] == 1


def test_a_shape_ends_after_its_time() -> None:
    """Its time begins once everybody can be there."""
    ask = "(lambda day: [(setattr(day, 'get_run_time', lambda: at), day.tick())[1] for at in ({})])"
    instants = f"{SPAWN_S}, {SPAWN_S + 30}, {SPAWN_S + 59.9}, {SPAWN_S + 60}"
    found = asked_of_shapes(f"{ask.format(instants)}(shapes.named('close', 100, 60)())")
    assert found == [[35, 100.0], [44, 100.0], [100, 100.0], None]


# ---- the search for the capacity


@pytest.mark.parametrize(
    ("holds_up_to", "held", "rates"),
    [
        (1_600.0, 1_562.5, [1_000, 1_250, 1_562.5, 1_953.125]),
        (700.0, 640.0, [1_000, 800, 640]),
        (10.0, 0.0, [1_000 / 1.25**step for step in range(load.MOST_STEPS)]),
    ],
)
def test_the_capacity_is_the_highest_step_that_is_held(
    monkeypatch: pytest.MonkeyPatch, holds_up_to: float, held: float, rates: list[float]
) -> None:
    tried: list[float] = []

    def run(found: Any, plans: load.Plans, mode: Mode, report: Path) -> Verdict:
        tried.append(plans.rate)
        return judged(good(mode, broken=int(plans.rate > holds_up_to)))

    monkeypatch.setattr(load, "run", run)
    plans = load.Plans(0.0, 60, 64, "", Path("report"))
    found = load.climb(Any, plans, 1_000.0)  # type: ignore[arg-type]
    assert found.rate == pytest.approx(held)
    assert found.ended_by == BROKEN
    assert found.orders == (90 if held else 0)
    assert tried == pytest.approx(rates)


def test_a_capacity_that_the_generator_ends_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(found: Any, plans: load.Plans, mode: Mode, report: Path) -> Verdict:
        return judged(good(mode, cpu=[0.95 if plans.rate > 1_000 else 0.5]))

    monkeypatch.setattr(load, "run", run)
    found = load.climb(Any, load.Plans(0.0, 60, 64, "", Path("report")), 1_000.0)  # type: ignore[arg-type]
    assert (found.rate, found.ended_by) == (1_000.0, VOID)
    assert "at least 90 orders/s" in found.beside(100.0)


@pytest.mark.parametrize(
    "wrong", ["--rate=0", "--rate=-5", "--rate=nan", "--seconds=0", "--users=0", "--users=1.5"]
)
def test_what_is_no_rate_is_refused_before_anything_starts(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load.main([wrong])
    assert ended.value.code == 2
    assert wrong.partition("=")[0] in capsys.readouterr().err


# ---- runs


def ran(*words: str) -> "subprocess.CompletedProcess[str]":
    """Told to end where it takes too long, so that it ends its venue too."""
    command = [sys.executable, "-m", "loadtests.load", *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SHUJI_LOAD")}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said, complained = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, complained = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def test_a_short_run(tmp_path: Path) -> None:
    """Slow machines may make it void; nothing may be lost or broken on any."""
    report = tmp_path / "report"
    run = ran("--rate", "50", "--seconds", "5", "--users", "12", "--report", str(report))
    said = run.stdout + run.stderr
    assert "shuji verify: clean" in run.stdout, said
    for counted in (
        "answers of 5xx",
        "requests without an answer",
        "refusals without a reason",
        "acknowledged and",
    ):
        assert re.search(rf"^  held    {counted}", run.stdout, re.MULTILINE), said
    assert re.search(r"order to trade, told by the answer +[\d,]+", run.stdout), said
    assert re.search(r"order to trade, told by the feed +[\d,]+", run.stdout), said
    assert "requests a second" in run.stdout
    verdict = json.loads((report / "verdict.json").read_text())
    assert run.returncode == verdict["verdict"]["status"]
    assert verdict["violations"] == []
    tally = Tally.read(report)
    assert 100 < tally.asked < 300
    assert tally.orders > 30
    assert "<html" in (report / "locust.html").read_text()


def test_above_its_capacity_the_venue_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """60,000 orders at once, of which the queue holds 20,000: the others are told when to come again, and come."""
    run = ran("--overload", "--seconds", "4", "--users", "8", "--report", str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    tally = Tally.read(tmp_path)
    assert tally.busy > 0
    assert tally.busy == tally.statuses["503 overloaded"]
    assert tally.orders > 60_000
    assert (tally.broken, tally.silent, tally.unexpected) == (0, 0, 0)
    assert "shuji verify: clean" in run.stdout
