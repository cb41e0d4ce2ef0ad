"""Settled trades a second in process: the real engine on a real PostgreSQL, acknowledged means committed.

Each run has a database of its own, founded through the journal. Submitters share the process and its one core with
the engine, so their cost is in the CPU figure. `paced` sends at a given rate and counts latency from the instant an
order was due, not from when it was sent: an engine that stalls cannot hide the orders that wait for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import asyncpg
from msgspec import Struct

from exchange import journal
from exchange.engine import Engine
from exchange.migration import migrate
from exchange.projecting import ProjectorProcess
from exchange.venue import Outcome
from loadtests.bench_figure import percentile
from loadtests.bench_market import CommandIds, Flow, Market, empty, found, settled

NewFlow = Callable[[Market, int, CommandIds | None], Flow]
_NUMBERS = count(1)
SLOT_SECONDS = 0.001


class Reached(Struct):
    """What a run reached. CPU is the whole process: submitters, engine and driver."""

    orders: int
    trades: int
    seconds: float
    cpu_seconds: float

    @property
    def trades_a_second(self) -> float:
        return self.trades / self.seconds

    @property
    def orders_a_second(self) -> float:
        return self.orders / self.seconds

    @property
    def cpu_us_a_trade(self) -> float:
        return self.cpu_seconds / self.trades * 1e6


class Waited(Struct):
    """99 of 100 at a fixed rate, in ms: until the acknowledgement from when it was due, and of commits alone."""

    answer_p99_ms: float
    commit_p99_ms: float
    orders_a_second: float


@asynccontextmanager
async def fresh_database(server_dsn: str) -> AsyncIterator[str]:
    """A migrated database of its own; dropped after the block."""
    name = f"bench_{next(_NUMBERS)}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        dsn = server_dsn.replace("/postgres?", f"/{name}?")
        await migrate(dsn)
        yield dsn
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def lay_foundation(dsn: str, simulated: bool = False) -> Market:
    """Journal a founded market as the first batch, as an engine would have."""
    market = found(time.time_ns() - 60 * 1_000_000_000, simulated)
    connection = await journal.connect(dsn)
    try:
        taken = await journal.take_epoch(connection)
        assert taken is not None, "nobody else writes this database"
        body = journal.encode_batch(market.entries)
        checksum = journal.checksum_of(b"", body)
        rows = market.state.ledger.drain()
        record = journal.Record(1, market.state.now_ns, len(market.entries), body, checksum, rows, [], [])
        await journal.append(connection, taken[0], record)
    finally:
        await connection.close()
    return market


@asynccontextmanager
async def running(server_dsn: str) -> AsyncIterator[tuple[Engine, Market]]:
    """An engine on a founded market. The ledger is checked after the run."""
    async with fresh_database(server_dsn) as dsn:
        market = await lay_foundation(dsn)
        engine = Engine(dsn, empty)
        await engine.start()
        try:
            yield engine, market
            engine.state.ledger.check()
            engine.state.books[market.book].check()
        finally:
            await engine.stop()


# ---- as fast as it goes


class _Tally(Struct):
    orders: int = 0
    trades: int = 0

    def count(self, outcome: Outcome) -> None:
        self.orders += 1
        self.trades += settled(outcome)


async def _singly(engine: Engine, flow: Flow, until: float, tally: _Tally) -> None:
    while time.perf_counter() < until:
        outcome = await engine.submit(flow.command())
        flow.note(outcome)
        tally.count(outcome)


async def _in_batches(engine: Engine, flow: Flow, size: int, until: float, tally: _Tally) -> None:
    """One at least."""
    while True:
        for outcome in await engine.submit_many([flow.command() for _ in range(size)]):
            flow.note(outcome)
            tally.count(outcome)
        if time.perf_counter() >= until:
            return


def _flows(new_flow: NewFlow, market: Market, submitters: int, with_ids: bool) -> list[Flow]:
    at_ms = time.time_ns() // 1_000_000
    return [
        new_flow(market, number, CommandIds(at_ms, number) if with_ids else None)
        for number in range(submitters)
    ]


async def full_speed(
    engine: Engine,
    market: Market,
    new_flow: NewFlow,
    submitters: int,
    size: int,
    seconds: float,
    with_ids: bool = False,
) -> Reached:
    """Every submitter sends as soon as its last was acknowledged; `size` 1 is single orders."""
    flows = _flows(new_flow, market, submitters, with_ids)
    tally = _Tally()
    started, cpu_started = time.perf_counter(), time.process_time()
    until = started + seconds
    if size == 1:
        work = [_singly(engine, flow, until, tally) for flow in flows]
    else:
        work = [_in_batches(engine, flow, size, until, tally) for flow in flows]
    await asyncio.gather(*work)
    return Reached(
        tally.orders, tally.trades, time.perf_counter() - started, time.process_time() - cpu_started
    )


# ---- no faster than the query tables

AHEAD: Final = 4
"""Journal rows by which the tables may be behind."""
PROJECTING_SECONDS: Final = 60.0


async def sustained(
    engine: Engine, market: Market, new_flow: NewFlow, submitters: int, size: int, seconds: float
) -> Reached:
    """What goes on for as long as one likes: nobody sends before the tables are close, and at the end they have it all."""
    projector = ProjectorProcess(engine.dsn)
    engine.on_commit.append(projector.wake)
    working = asyncio.create_task(projector.run())
    try:
        await projector.caught_up(engine.sequence, PROJECTING_SECONDS)
        tally = _Tally()
        started, cpu_started = time.perf_counter(), time.process_time()
        flows = _flows(new_flow, market, submitters, with_ids=False)
        await asyncio.gather(
            *[_abreast(engine, projector, flow, size, started + seconds, tally) for flow in flows]
        )
        await projector.caught_up(engine.sequence, PROJECTING_SECONDS)
        took, cpu_took = time.perf_counter() - started, time.process_time() - cpu_started
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return Reached(tally.orders, tally.trades, took, cpu_took)


async def _abreast(
    engine: Engine, projector: ProjectorProcess, flow: Flow, size: int, until: float, tally: _Tally
) -> None:
    while time.perf_counter() < until:
        await _in_batches(engine, flow, size, 0.0, tally)
        await projector.caught_up(engine.sequence - AHEAD, PROJECTING_SECONDS)


# ---- at a fixed rate


async def paced(
    engine: Engine, market: Market, new_flow: NewFlow, orders_a_second: float, seconds: float
) -> Waited:
    """Single orders, each due at its own instant, sent in slots of a millisecond."""
    [flow] = _flows(new_flow, market, 1, False)
    waits: list[float] = []
    engine.commit_ms.clear()
    started = time.perf_counter()
    sent = 0
    while (now := time.perf_counter()) < started + seconds:
        while (due := started + sent / orders_a_second) <= now:
            engine.submit(flow.command()).add_done_callback(_arrival(flow, due, waits))
            sent += 1
        await asyncio.sleep(SLOT_SECONDS)
    while len(waits) < sent:
        await asyncio.sleep(SLOT_SECONDS)
    took = time.perf_counter() - started
    return Waited(percentile(waits, 0.99) * 1e3, percentile(list(engine.commit_ms), 0.99), sent / took)


def _arrival(flow: Flow, due: float, waits: list[float]) -> Callable[["asyncio.Future[Outcome]"], Any]:
    def arrived(future: "asyncio.Future[Outcome]") -> None:
        waits.append(time.perf_counter() - due)
        flow.note(future.result())

    return arrived
