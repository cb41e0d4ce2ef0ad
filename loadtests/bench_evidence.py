"""The log of evidence: leaves a second beside hashing alone, and what a leaf a trade adds to a commit of 1,000.

A leaf costs its text (canonical JSON), its salt, and in each of two trees one hash of itself and about one of a node.
Hashing alone is those four hashes over the same bytes, ready made.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

from msgspec import Struct

from clearing.evidence import sha256
from exchange import journal, venue
from exchange.evidence import SM3, Leaf, Log, Row, leaves_of
from exchange.venue import Outcome
from loadtests.bench_engine import fresh_database
from loadtests.bench_market import PostedFlow, found, settled

BATCH: Final = 1_000
SECRET: Final = b"of a bench".ljust(32)
STEP_NS: Final = 20_000


class Appended(Struct):
    """A second of CPU: leaves, and the same number's hashes alone."""

    leaves: float
    hashed: float


class Committed(Struct):
    """ms of a commit of 1,000 trades, the median: with their leaves, and without."""

    with_leaves: float
    without: float


def trades() -> list[Outcome]:
    """A batch of settled orders, as the engine has them when it closes it."""
    market = found(1_790_000_000_000_000_000)
    flow, at_ns, outcomes = PostedFlow(market, 5, None), market.state.now_ns, list[Outcome]()
    while len(outcomes) < BATCH:
        at_ns += STEP_NS
        outcome = venue.execute(market.state, flow.command(), at_ns)
        flow.note(outcome)
        if settled(outcome):
            outcomes.append(outcome)
    return outcomes


def leaves_in(batch: list[Outcome]) -> list[Leaf]:
    return [leaf for outcome in batch for leaf in leaves_of(outcome.at_ns, outcome.events)]


def append_speed(seconds: float) -> Appended:
    batch, log = trades(), Log(SECRET)
    bodies = log.bodies(leaves_in(batch))
    node = bytes(65)

    def hash_alone() -> int:
        for digest in (sha256, SM3):
            for body in bodies:
                digest(body)
                digest(node)
        return len(bodies)

    def append() -> int:
        row = log.take(leaves_in(batch))
        assert row is not None
        return row.leaves

    return Appended(_speed(append, seconds), _speed(hash_alone, seconds))


def _speed(work: Callable[[], int], seconds: float) -> float:
    """Of what `work` says it did, a second of CPU."""
    started, done = time.process_time(), 0
    while (spent := time.process_time() - started) < seconds:
        done += work()
    return done / spent


async def commit_speed(server_dsn: str, seconds: float) -> Committed:
    """The same journal row in turn with its leaves and without, each durable."""
    batch = trades()
    body = journal.encode_batch([outcome.entry for outcome in batch])
    async with fresh_database(server_dsn) as dsn:
        connection = await journal.connect(dsn)
        taken = await journal.take_epoch(connection)
        assert taken is not None, "nobody else writes this database"
        took: dict[bool, list[float]] = {True: [], False: []}
        records = _records(batch, body)
        until = time.perf_counter() + 2 * seconds
        while time.perf_counter() < until or not took[False]:
            record = next(records)
            started = time.perf_counter()
            await journal.append(connection, taken[0], record)
            took[record.evidence is not None].append(1e3 * (time.perf_counter() - started))
        await connection.close()
    return Committed(median(took[True]), median(took[False]))


def _records(batch: list[Outcome], body: bytes) -> Iterator[journal.Record]:
    log, sequence, checksum = Log(SECRET), 0, b""
    leaves = leaves_in(batch)
    while True:
        for row in (log.take(leaves), None):
            sequence, checksum = sequence + 1, journal.checksum_of(checksum, body)
            yield _record(sequence, len(batch), body, checksum, row)


def _record(sequence: int, entries: int, body: bytes, checksum: bytes, row: Row | None) -> journal.Record:
    return journal.Record(sequence, sequence, entries, body, checksum, [], [], [], row)
