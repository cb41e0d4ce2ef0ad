"""A venue that has run for long: `python -m loadtests.endurance [--closed N] [--events N] [--behind N] [--seconds S]`.

    pauses    orders at a fixed rate, once as many command ids are remembered as ever will be; how late a timer of the same
              loop comes, every millisecond, without the time for which others had both cores, and how long the cyclic
              collector stopped everything.
    memory    the engine closes orders by the hundred thousand: filled, delivered, paid and run out; cancelled; unfilled.
              What it keeps of them all must be nothing.
    restart   the journal grows to `--events`, the last `--behind` of them past the last snapshot; then `shuji serve` on
              it, from its start to `/readyz`. The query tables are told that they are up to date: how fast they catch up
              is another figure.

One engine in this process, a real PostgreSQL, the simulated clock: each round ends a month later, so that licences end.
Prints what it measures as it goes, and at the end each figure beside its goal; status 1 where one is not reached.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
from msgspec import Struct

from exchange import journal, snapshot
from exchange.engine import Engine
from exchange.events import AcceptDelivery, AdvanceClock, CancelOrder, Deliver, Delivery, PlaceOrder
from exchange.migration import migrate
from exchange.postgres import open_database
from exchange.state import REMEMBERED
from exchange.venue import Outcome
from loadtests.bench_engine import lay_foundation, paced
from loadtests.bench_figure import percentile
from loadtests.bench_market import JURISDICTION, BookFlow, CommandIds, Market, PostedFlow, empty
from loadtests.client import free_port

ROUND: Final = 150_000
"""Orders between two months."""
EVENTS_AN_ORDER: Final = 3
SUBMISSION: Final = 500
MONTH_S: Final = 31 * 86_400
MOST_ROUNDS: Final = 27
"""Mandates, authorisations and listings of the bench's market end after 900 days."""
RATE: Final = 4_000.0
"""Orders a second while pauses are measured."""
TIMER_S: Final = 0.001

READY_GOAL_S: Final = 10.0
PAUSE_GOAL_MS: Final = 50.0
FLAT_GOAL_MB: Final = 10.0
"""What memory may grow by from the middle to the end, for a million closed orders: the allocator's play."""


class Sample(Struct):
    """Resident memory after so many closed orders."""

    closed: int
    resident_mb: float
    events: int


class Pauses(Struct):
    """Of the loop and of the collector, in ms.

    A timer's lateness has two parts: what the engine did meanwhile, and how long a core was not to be had.
    """

    timer_p999: float
    timer_worst: float
    own_worst: float
    core_worst: float
    collector_worst: float
    collections: int
    orders_a_second: float


class TimelyIds(CommandIds):
    """Ids of the venue's own time, a millisecond later with each submission.

    The engine takes none that is older than what it remembers, and it forgets a whole millisecond at once.
    """

    def __init__(self) -> None:
        super().__init__(0, 0)
        self._at_ms = 0

    def move_to(self, at_ms: int) -> None:
        self._at_ms = max(at_ms, self._at_ms + 1)
        CommandIds.__init__(self, self._at_ms, 0)

    def next(self) -> str:
        if self._number == SUBMISSION:
            self.move_to(0)
        return super().next()


class Venue:
    """The engine, its market and what went through it."""

    def __init__(self, engine: Engine, market: Market) -> None:
        self.engine, self.market = engine, market
        self.closed = self.events = self.rounds = 0
        self._ids = TimelyIds()
        self.posted, self._book = PostedFlow(market, 0, self._ids), BookFlow(market, 1, self._ids)

    async def do(self, commands: list[Any]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(commands), SUBMISSION):
            outcomes += await self.engine.submit_many(commands[start : start + SUBMISSION])
        self.events += sum(len(outcome.events) for outcome in outcomes)
        return outcomes

    async def round(self, orders: int) -> None:
        """So many orders, half of them posted; nothing of them is open at its end."""
        self.rounds += 1
        if self.rounds > MOST_ROUNDS:
            raise SystemExit(
                f"endurance: the market of the bench lives for {MOST_ROUNDS} months: fewer --events"
            )
        opened = [await self._orders(flow, orders // 2) for flow in (self.posted, self._book)]
        await self._close_the_rest()
        await self.finish_trades()
        await self.do([AdvanceClock(actor="P1", seconds=MONTH_S)])
        self.closed += sum(opened)

    async def _orders(self, flow: PostedFlow | BookFlow, orders: int) -> int:
        """How many of the commands were orders."""
        placed = 0
        at_ms = self.engine.now_ns() // 1_000_000
        for number in range(orders // SUBMISSION):
            self._ids.move_to(at_ms + number)
            commands = [flow.command() for _ in range(SUBMISSION)]
            placed += sum(type(command) is PlaceOrder for command in commands)
            for outcome in await self.do(commands):
                flow.note(outcome)
        return placed

    async def _close_the_rest(self) -> None:
        """Cancel what rests, but for as many orders as a book has at its start."""
        resting = await self.engine.read(
            lambda state: [(order.owner, order.id) for order in state.books[self.market.book].orders()]
        )
        await self.do([CancelOrder(actor=owner, order=order) for owner, order in resting[:-2_000]])

    async def finish_trades(self) -> None:
        """Whatever is settled is delivered and accepted."""
        handed = Delivery(kind="address", url="https://merchant.example/data")
        found = await self.engine.read(
            lambda state: [(one.id, one.seller, one.buyer) for one in state.trades.values()]
        )
        await self.do([Deliver(actor=seller, trade=trade, delivery=handed) for trade, seller, _ in found])
        await self.do([AcceptDelivery(actor=buyer, trade=trade) for trade, _, buyer in found])


def resident_mb() -> float:
    """Of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def say(text: str) -> None:
    print(text, flush=True)


# ---- memory


async def measure_memory(venue: Venue, closed: int) -> list[Sample]:
    """A sample a round, until so many more orders are closed."""
    samples: list[Sample] = []
    until = venue.closed + closed
    while venue.closed < until:
        await venue.round(ROUND)
        samples.append(Sample(venue.closed, resident_mb(), venue.events))
        say(
            f"  {venue.closed:>9,} orders closed  {venue.events:>10,} events  resident {samples[-1].resident_mb:7.1f} MB"
        )
    return samples


def growth_mb(samples: list[Sample]) -> float:
    """For a million orders, by least squares."""
    if len(samples) < 2:
        raise SystemExit(f"endurance: one round shows no growth; give --closed {2 * ROUND} or more")
    middle_x = sum(one.closed for one in samples) / len(samples)
    middle_y = sum(one.resident_mb for one in samples) / len(samples)
    rise = sum((one.closed - middle_x) * (one.resident_mb - middle_y) for one in samples)
    return rise / sum((one.closed - middle_x) ** 2 for one in samples) * 1e6


# ---- pauses


@contextmanager
def collections() -> Iterator[list[float]]:
    """What each stop of the cyclic collector took, in ms of CPU: waiting for a core is not its doing."""
    took: list[float] = []
    begun = 0.0

    def watch(phase: str, details: dict[str, int]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.thread_time()
        else:
            took.append((time.thread_time() - begun) * 1e3)

    gc.callbacks.append(watch)
    try:
        yield took
    finally:
        gc.callbacks.remove(watch)


async def _late(timers: list[tuple[float, float]]) -> None:
    """How late each timer comes, and how much of that this thread waited for a core; until cancelled."""
    account = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    try:
        while True:
            due, queued = time.perf_counter() + TIMER_S, _waited_for_a_core_ns(account)
            await asyncio.sleep(TIMER_S)
            late_ms = (time.perf_counter() - due) * 1e3
            timers.append((late_ms, (_waited_for_a_core_ns(account) - queued) / 1e6))
    finally:
        os.close(account)


def _waited_for_a_core_ns(account: int) -> int:
    """Since the thread began (Linux: the second figure of schedstat)."""
    return int(os.pread(account, 100, 0).split()[1])


async def measure_pauses(venue: Venue, seconds: float) -> Pauses:
    """A snapshot is taken meanwhile by its own process, as in a venue's life."""
    timers: list[tuple[float, float]] = []
    clock = asyncio.create_task(_late(timers))
    with collections() as took:
        taking = await _start_snapshot(venue.engine.dsn)
        waited = await paced(venue.engine, venue.market, lambda *_: venue.posted, RATE, seconds)
        await taking.wait()
    clock.cancel()
    late = [both for both, _ in timers]
    return Pauses(
        percentile(late, 0.999),
        max(late),
        max(both - core for both, core in timers),
        max(core for _, core in timers),
        max(took, default=0.0),
        len(took),
        waited.orders_a_second,
    )


async def _start_snapshot(dsn: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "SHUJI_DSN": dsn, "SHUJI_JURISDICTION": JURISDICTION}
    return await asyncio.create_subprocess_exec(
        "nice", sys.executable, "-m", "exchange.snapshot", env=environment, stderr=asyncio.subprocess.DEVNULL
    )


# ---- restart


async def grow(venue: Venue, events: int, behind: int) -> None:
    """The journal up to about so many events, with the last snapshot so many before its end."""
    while venue.events < events - behind:
        await venue.round(ROUND)
        say(f"  {venue.events:>10,} events in the journal")
        await take_snapshot(venue.engine.dsn)
    while (left := events - venue.events) > ROUND // 10:
        await venue.round(min(ROUND, left // EVENTS_AN_ORDER))


async def take_snapshot(dsn: str) -> None:
    connection = await journal.connect(dsn)
    try:
        await snapshot.take(connection, empty)
    finally:
        await connection.close()


async def tables_are_up_to_date(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO projection (shard, sequence) SELECT shard, sequence FROM cursor"
            " ON CONFLICT (shard) DO UPDATE SET sequence = excluded.sequence"
        )
    finally:
        await connection.close()


def seconds_to_ready(data: Path, *flags: str) -> float:
    return restarted(data, *flags)[0]


def restarted(data: Path, *flags: str) -> tuple[float, float]:
    """Seconds of `shuji serve` from its start until it answers that it is ready, and CPU. Then it is stopped."""
    port = free_port()
    serve = [sys.executable, "-m", "exchange", "serve", "--data", str(data), "--port", str(port), *flags]
    started = time.perf_counter()
    with (data / "serve.log").open("ab") as log:
        process = subprocess.Popen([*serve, "--no-sample"], stdout=log, stderr=log)
    try:
        while not _ready(f"http://127.0.0.1:{port}/readyz"):
            if process.poll() is not None:
                raise SystemExit(f"endurance: the venue did not start: {(data / 'serve.log').read_text()}")
            time.sleep(0.02)
        return time.perf_counter() - started, _cpu_s(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _cpu_s(process: int) -> float:
    """Of a process so far, without its children (Linux)."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own venue
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


# ---- the whole


async def grown(data: Path, wanted: argparse.Namespace) -> tuple[float, Pauses]:
    """Growth for a million orders in MB, and pauses; the journal is left as long as wanted."""
    async with open_database(data) as database:
        await migrate(database.dsn)
        market = await lay_foundation(database.dsn, simulated=True)
        engine = Engine(database.dsn, empty, simulated=True)
        await engine.start()
        venue = Venue(engine, market)
        say("warming up, then pauses")
        while venue.closed < REMEMBERED:
            await venue.round(ROUND)
        pauses = await measure_pauses(venue, wanted.seconds)
        say("memory")
        samples = await measure_memory(venue, wanted.closed)
        say("restart")
        await take_snapshot(database.dsn)
        await grow(venue, wanted.events, wanted.behind)
        engine.state.ledger.check()
        await engine.stop()
        await tables_are_up_to_date(database.dsn)
    return growth_mb(samples), pauses


def report(growth: float, pauses: Pauses, ready: tuple[float, float]) -> bool:
    """Each figure beside its goal; whether all are reached."""
    lines = (
        (f"memory grows by {growth:.1f} MB a million closed orders", growth, FLAT_GOAL_MB),
        (f"the engine pauses for {pauses.own_worst:.1f} ms at worst", pauses.own_worst, PAUSE_GOAL_MS),
        (
            f"the collector stops for {pauses.collector_worst:.1f} ms at worst",
            pauses.collector_worst,
            PAUSE_GOAL_MS,
        ),
        (f"ready after {ready[0]:.1f} s, {ready[1]:.1f} s of it CPU of the venue", ready[0], READY_GOAL_S),
    )
    say(
        f"{pauses.orders_a_second:,.0f} orders/s; timers late by {pauses.timer_p999:.1f} ms in 999 of 1,000, by "
        f"{pauses.timer_worst:.1f} ms at worst; no core to be had for {pauses.core_worst:.1f} ms at worst; "
        f"{pauses.collections} collections; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    for text, value, goal in lines:
        say(f"{'reached' if value <= goal else 'MISSED ':7}  {text} (goal {goal:g})")
    return all(value <= goal for _, value, goal in lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--closed", type=int, default=1_200_000, help="orders closed while memory is watched")
    parser.add_argument("--events", type=int, default=10_000_000, help="in the journal at the restart")
    parser.add_argument("--behind", type=int, default=500_000, help="of them past the last snapshot")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load while pauses are watched")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shuji-endurance-") as folder:
        data = Path(folder) / "venue"
        data.mkdir(mode=0o700)
        growth, pauses = asyncio.run(grown(data, wanted))
        reached = report(growth, pauses, restarted(data, "--simulated-clock"))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
