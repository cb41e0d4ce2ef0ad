"""`make bench`: how fast, beside what. `python -m loadtests.bench [--quick] [--output FILE]`.

Everything is measured on this machine in this run, also what it is compared with: the echo of an order, the COPY of
as many postings, a small commit, mere decoding. A table goes to standard output, the same figures to `bench.json`.
Ratios travel between machines, the rest does not. Two cores are busy for about ten minutes (`--quick`: one minute,
too short for figures to quote).
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from exchange.postgres import open_database
from loadtests import (
    bench_book,
    bench_catalogue,
    bench_credit,
    bench_evidence,
    bench_feed,
    bench_http,
    bench_import,
    bench_pieces,
    bench_rules,
    bench_storage,
    endurance,
)
from loadtests.bench_engine import NewFlow, Reached, full_speed, paced, running, sustained
from loadtests.bench_figure import Figure, percentile, table, write
from loadtests.bench_market import BookFlow, PostedFlow

MIXES: Final[dict[str, NewFlow]] = {"posted": PostedFlow, "book": BookFlow}
SUBMISSIONS: Final = {
    "singles_64": (64, 1),
    "singles_1000": (1_000, 1),
    "batches_100": (8, 100),
    "batches_1000": (4, 1_000),
}
"""Name: (submitters, orders in a submission)."""
ALONE: Final = {"batches_1": 1, "batches_10000": 10_000}
"""Name: orders in a submission of one submitter, who waits for each: the least and the most that a commit takes."""

SETTLED_GOALS: Final = (25_000.0, 40_000.0)
CPU_GOALS: Final = (25.0, 16.0)


class Extent(Struct):
    """How long each part is measured. `orders` are those of breakdown and memory, `rows` those of the import.

    `catalogue`: sizes at which it is searched, the first of which is the reference; `listings` are for its memory.
    """

    engine_seconds: float
    http_seconds: float
    storage_seconds: float
    orders: int
    turns: int
    rows: int
    listings: int
    catalogue: tuple[int, ...]


FULL: Final = Extent(4.0, 6.0, 2.5, 60_000, 3, 1_000, 2_000, (1_000, 10_000, 100_000))
QUICK: Final = Extent(0.6, 1.2, 0.6, 8_000, 1, 40, 200, (1_000, 10_000))


async def measure(extent: Extent, folder: Path) -> AsyncIterator[Figure]:
    """Every figure, as soon as it is known."""
    for figure in bench_rules.measure(5 * extent.turns, 5_000):
        yield figure
    everybody = (bench_credit.MERCHANTS, bench_credit.FACTS) if extent is FULL else (500, 50_000)
    for figure in bench_credit.measure(5 * extent.turns, 1_000, *everybody):
        yield figure
    for figure in bench_book.measure(bench_book.FULL if extent is FULL else bench_book.QUICK):
        yield figure
    for figure in breakdown(extent):
        yield figure
    yield resting(extent)
    yield listed(extent)
    async with open_database(folder / "engine") as database:
        async for figure in storage(extent, database.dsn):
            yield figure
        async for figure in proved(extent, database.dsn):
            yield figure
        async for figure in searched(extent, database.dsn):
            yield figure
    async for figure in http(extent, folder):
        yield figure
    async for figure in told(extent, folder):
        yield figure
    yield restart(folder)
    yield imported(extent, folder)


def breakdown(extent: Extent) -> Iterator[Figure]:
    """CPU of a settled trade in the pure venue, by piece."""
    for mix, new_flow in MIXES.items():
        spent = bench_pieces.measure(new_flow, extent.orders)
        for piece, us in spent.pieces.items():
            if us > 0:  # also where a piece is too small for its timers
                yield _cpu(
                    f"cpu_{mix}_{piece}", us, spent.total, "all pieces of this mix, without engine and commit"
                )


def restart(folder: Path) -> Figure:
    """The venue that the HTTP runs have left, beside one that has never been."""
    begun, again = folder / "begun", folder / "venue"
    begun.mkdir(mode=0o711)
    return Figure(
        name="restart",
        value=endurance.seconds_to_ready(again),
        unit="s",
        reference=endurance.seconds_to_ready(begun),
        compared="the first start of an empty venue",
        goals=(10.0, 5.0),
        better="less",
    )


def imported(extent: Extent, folder: Path) -> Figure:
    found = bench_import.measure(folder / "import", extent.rows)
    return Figure(
        name="import",
        value=found.rows,
        unit="rows/s",
        reference=found.singles / bench_import.COMMANDS_A_ROW,
        compared="as many commands one after the other",
    )


def _cpu(name: str, us: float, reference: float, compared: str, goals: tuple[float, ...] = ()) -> Figure:
    return Figure(
        name=name,
        value=us,
        unit="CPU us/trade",
        reference=reference,
        compared=compared,
        goals=goals,
        better="less",
    )


def resting(extent: Extent) -> Figure:
    found = bench_storage.resting_bytes(extent.orders)
    return Figure(
        name="bytes_a_resting_order",
        value=found.venue,
        unit="bytes",
        reference=found.book,
        compared="the same order in a book alone",
        goals=(500.0, 400.0),
        better="less",
    )


def listed(extent: Extent) -> Figure:
    found = bench_catalogue.listing_bytes(extent.listings)
    return Figure(
        name="bytes_a_listing",
        value=found.memory,
        unit="bytes",
        reference=found.written,
        compared="listing and product as a snapshot writes them",
        better="less",
    )


async def proved(extent: Extent, dsn: str) -> AsyncIterator[Figure]:
    """What evidence costs: in CPU, and of a commit."""
    appended = bench_evidence.append_speed(extent.storage_seconds)
    yield Figure(
        name="evidence_appends",
        value=appended.leaves,
        unit="leaves/CPU s",
        reference=appended.hashed,
        compared="their hashes alone: SHA-256 and SM3, of leaf and node",
    )
    committed = await bench_evidence.commit_speed(dsn, extent.storage_seconds)
    yield Figure(
        name="evidence_commit_1000",
        value=committed.with_leaves,
        unit="ms",
        reference=committed.without,
        compared="the same commit of 1,000 trades without their leaves",
        better="less",
    )


async def searched(extent: Extent, dsn: str) -> AsyncIterator[Figure]:
    """The median of all questions at each size, compared with that at the first."""
    found = await bench_catalogue.search_speed(dsn, extent.catalogue, 30 * extent.turns)
    for one in found:
        yield Figure(
            name=f"catalogue_p50_{one.listings}",
            value=one.p50_ms,
            unit="ms",
            reference=found[0].p50_ms,
            compared=f"the same with {found[0].listings:,} listings",
            goals=(2.0,),
            goals_are_ratios=True,
            better="less",
        )


async def storage(extent: Extent, dsn: str) -> AsyncIterator[Figure]:
    """What needs PostgreSQL but no HTTP."""
    copied = await bench_storage.copy_speed(dsn, extent.storage_seconds)
    one_by_one = await bench_storage.one_by_one_speed(dsn, extent.storage_seconds)
    yield Figure(
        name="copy_of_postings",
        value=copied,
        unit="trades/s",
        reference=one_by_one,
        compared="a transaction a trade",
    )
    yield Figure(
        name="transaction_a_trade",
        value=one_by_one,
        unit="trades/s",
        reference=copied,
        compared="COPY of five postings a trade",
    )
    for mix, new_flow in MIXES.items():
        rate = 0.0
        for name, (submitters, size) in SUBMISSIONS.items():
            reached = await _full_speed(extent, dsn, new_flow, submitters, size)
            rate = rate or reached.orders_a_second
            yield _settled(f"settled_{mix}_{name}", reached, copied)
            if size == 100:
                yield _cpu(
                    f"cpu_{mix}_durable",
                    reached.cpu_us_a_trade,
                    1e6 / copied,
                    "wall us a trade of COPY; CPU is the whole process in batches of 100",
                    CPU_GOALS,
                )
        async for figure in _waits(extent, dsn, mix, new_flow, rate / 2):
            yield figure
    for name, size in ALONE.items():
        reached = await _full_speed(extent, dsn, PostedFlow, 1, size)
        yield _settled(f"settled_posted_{name}", reached, copied)
    async for figure in _sustained(extent, dsn):
        yield figure
    with_ids = await _full_speed(extent, dsn, PostedFlow, 64, 1, with_ids=True)
    yield _settled("settled_posted_singles_64_with_ids", with_ids, copied)
    async for figure in _recovery(extent, dsn):
        yield figure


async def _sustained(extent: Extent, dsn: str) -> AsyncIterator[Figure]:
    """With the query tables filled as fast as trades settle, beside the same in a burst."""
    submitters, size = SUBMISSIONS["batches_1000"]
    for mix, new_flow in MIXES.items():
        burst = await _full_speed(extent, dsn, new_flow, submitters, size)
        async with running(dsn) as (engine, market):
            reached = await sustained(engine, market, new_flow, submitters, size, extent.engine_seconds)
        yield Figure(
            name=f"sustained_{mix}_batches_1000",
            value=reached.trades_a_second,
            unit="trades/s",
            reference=burst.trades_a_second,
            compared="the same in a burst, before the query tables have it",
        )


async def _full_speed(
    extent: Extent, dsn: str, new_flow: NewFlow, submitters: int, size: int, with_ids: bool = False
) -> Reached:
    async with running(dsn) as (engine, market):
        reached = await full_speed(
            engine, market, new_flow, submitters, size, extent.engine_seconds, with_ids
        )
    assert reached.trades * 2 >= reached.orders, (
        "fewer trades than half of the commands: not the mix that was meant"
    )
    return reached


def _settled(name: str, reached: Reached, copied: float) -> Figure:
    return Figure(
        name=name,
        value=reached.trades_a_second,
        unit="trades/s",
        reference=copied,
        compared="COPY of five postings a trade",
        goals=SETTLED_GOALS,
    )


async def _waits(
    extent: Extent, dsn: str, mix: str, new_flow: NewFlow, orders_a_second: float
) -> AsyncIterator[Figure]:
    """99 of 100 at half of what 64 submitters reached."""
    small = percentile(await bench_storage.small_commit_ms(dsn, extent.storage_seconds / 2), 0.99)
    async with running(dsn) as (engine, market):
        waited = await paced(engine, market, new_flow, orders_a_second, extent.engine_seconds)
    compared = "p99 of a transaction of one short row"
    yield _wait(f"commit_p99_{mix}", waited.commit_p99_ms, small, compared, (3.0, 2.0))
    yield _wait(f"acknowledged_p99_{mix}", waited.answer_p99_ms, small, compared)


def _wait(name: str, ms: float, reference: float, compared: str, goals: tuple[float, ...] = ()) -> Figure:
    return Figure(
        name=name, value=ms, unit="ms", reference=reference, compared=compared, goals=goals, better="less"
    )


async def _recovery(extent: Extent, dsn: str) -> AsyncIterator[Figure]:
    found = await bench_storage.recovery(dsn, extent.engine_seconds)
    for name, speed in (("journal", found.journal_speed), ("snapshot", found.snapshot_speed)):
        yield Figure(
            name=f"recovery_from_{name}",
            value=speed,
            unit="events/s",
            reference=found.decode_speed,
            compared="reading and decoding the journal alone",
            goals=(150_000.0, 300_000.0),
        )


async def http(extent: Extent, folder: Path) -> AsyncIterator[Figure]:
    """Orders through the door of a real venue."""
    answers = await bench_http.measure(folder / "venue", extent.http_seconds, extent.turns)
    for connections, single in answers.singles.items():
        yield Figure(
            name=f"http_orders_{connections}",
            value=single.orders,
            unit="orders/s",
            reference=single.echo,
            compared="decode and echo, same server, same turns",
            goals=(0.40, 0.60),
            goals_are_ratios=True,
        )
        yield Figure(
            name=f"http_cpu_{connections}",
            value=single.cpu_us,
            unit="CPU us/order",
            reference=1e6 / single.echo,
            compared="wall us of an echo",
            better="less",
        )
    yield Figure(
        name="http_batches_100",
        value=answers.batch_orders,
        unit="orders/s",
        reference=answers.batch_echo,
        compared="decode and echo of the same batch",
        goals=(40_000.0, 60_000.0),
    )
    compared = "p99 of the echo at the same rate"
    yield _wait("http_answer_p99", answers.p99_ms, answers.echo_p99_ms, compared, (10.0, 5.0))


async def told(extent: Extent, folder: Path) -> AsyncIterator[Figure]:
    """200 readers of the feed, and orders over WebSocket, on one venue in turns with orders over HTTP."""
    found = await bench_feed.measure(folder / "fed venue", extent.http_seconds, extent.turns)
    readers = bench_feed.READERS
    yield Figure(
        name=f"feed_messages_{readers}",
        value=found.messages,
        unit="messages/s",
        reference=found.changes * readers,
        compared=f"{found.changes:,.0f} changes/s for each of {readers} readers: all there was to tell",
    )
    same = f"orders of {bench_feed.CONNECTIONS} HTTP connections, same venue, same turns"
    for name, orders in (
        (f"feed_orders_{readers}", found.with_readers),
        ("socket_orders_16", found.socket),
        ("socket_orders_pipelined", found.socket_pipelined),
    ):
        yield Figure(name=name, value=orders, unit="orders/s", reference=found.alone, compared=same)
    for name, cpu_us in (
        (f"feed_cpu_{readers}", found.cpu_with_readers_us),
        ("socket_cpu_pipelined", found.cpu_pipelined_us),
    ):
        yield Figure(
            name=name, value=cpu_us, unit="CPU us/order", reference=found.cpu_us, compared=same, better="less"
        )


async def _run(extent: Extent, output: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="shuji bench ") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may run as another user
        os.environ["SHUJI_STATE"] = str(folder / "state")
        figures = []
        async for figure in measure(extent, folder):
            print(f"{figure.name}: {figure.value:,.4g} {figure.unit}", file=sys.stderr)
            figures.append(figure)
    print(table(figures))
    write(figures, output)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one minute: shows that it works, not how fast")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="default bench.json")
    arguments = parser.parse_args()
    extent = QUICK if arguments.quick else FULL
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(extent, arguments.output))
    else:
        uvloop.run(_run(extent, arguments.output))


if __name__ == "__main__":
    main()
