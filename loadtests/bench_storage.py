"""PostgreSQL and memory by themselves: what the engine's figures are to be held against.

copy            the postings of as many trades, five each, by COPY into a table with a primary key
one by one      a transaction a trade: five postings, two balances
recovery        an engine's journal replayed into an empty venue, and with a snapshot
resting order   what memory grows by for each order that rests, decoded from its body as at the door
"""

import gc
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from exchange import journal, snapshot, venue
from exchange.engine import Engine
from exchange.events import Entry
from exchange.matching.book import Book, Order
from exchange.web.orders import command_of, decode_order
from loadtests.bench_engine import fresh_database, full_speed, lay_foundation
from loadtests.bench_market import BookFlow, PostedFlow, empty, found

POSTINGS_A_TRADE = 5
TRADES_A_COPY = 1_000
_TABLE = """
create table bench_posting (
    id bigint primary key, trade bigint not null, owner text not null, asset text not null,
    amount bigint not null, at_ns bigint not null
);
create table bench_balance (owner text primary key, amount bigint not null);
insert into bench_balance select 'P' || number, 0 from generate_series(0, 39) as number;
"""
_INSERT = """
insert into bench_posting select $1 + line, $2, 'P' || line, 'CNY', 100, $3 from generate_series(0, 4) as line
"""
_COLUMNS = ("id", "trade", "owner", "asset", "amount", "at_ns")


# ---- PostgreSQL as it is


async def copy_speed(server_dsn: str, seconds: float) -> float:
    """Trades a second whose postings COPY takes, in batches of 1,000 trades, each its own transaction."""
    async with fresh_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(_TABLE)
        started, trades = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            rows = list(_postings(trades))
            await connection.copy_records_to_table("bench_posting", records=rows, columns=_COLUMNS)
            trades += TRADES_A_COPY
        took = time.perf_counter() - started
        await connection.close()
    return trades / took


def _postings(first_trade: int) -> Iterator[tuple[int, int, str, str, int, int]]:
    for trade in range(first_trade, first_trade + TRADES_A_COPY):
        for line in range(POSTINGS_A_TRADE):
            yield trade * POSTINGS_A_TRADE + line, trade, f"P{line}", "CNY", 100, trade


async def one_by_one_speed(server_dsn: str, seconds: float) -> float:
    """Trades a second when each is a transaction, over one connection."""
    async with fresh_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(_TABLE)
        started, trades = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            await _one_trade(connection, trades)
            trades += 1
        took = time.perf_counter() - started
        await connection.close()
    return trades / took


async def _one_trade(connection: Any, trade: int) -> None:
    async with connection.transaction():
        await connection.execute(_INSERT, trade * POSTINGS_A_TRADE, trade, trade)
        for owner, amount in ((f"P{trade % 40}", -500), (f"P{(trade + 1) % 40}", 500)):
            await connection.execute(
                "update bench_balance set amount = amount + $2 where owner = $1", owner, amount
            )


async def small_commit_ms(server_dsn: str, seconds: float) -> list[float]:
    """How long a transaction takes that does nothing but insert one short row, over and over."""
    async with fresh_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("create table small (number bigint)")
        took: list[float] = []
        until = time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            await connection.execute("insert into small values ($1)", len(took))
            took.append((time.perf_counter() - started) * 1e3)
        await connection.close()
    return took


# ---- recovery


class Recovery(Struct):
    """Events a second: replayed from the journal alone, brought back through a snapshot, and merely decoded."""

    events: int
    journal_speed: float
    snapshot_speed: float
    decode_speed: float


async def recovery(server_dsn: str, seconds: float) -> Recovery:
    """Half posted, half book, as many as the engine makes in this time; then recovered twice."""
    async with fresh_database(server_dsn) as dsn:
        market = await lay_foundation(dsn)
        engine = Engine(dsn, empty)
        await engine.start()
        for new_flow in (PostedFlow, BookFlow):
            await full_speed(engine, market, new_flow, 4, 500, seconds / 2)
        await engine.stop()
        connection = await journal.connect(dsn)
        events, decode_speed = await _decoded(connection)
        replayed_s = await _recovered(connection)
        await snapshot.take(connection, empty)
        through_snapshot_s = await _recovered(connection)
        await connection.close()
    return Recovery(events, events / replayed_s, events / through_snapshot_s, decode_speed)


async def _recovered(connection: Any) -> float:
    started = time.perf_counter()
    await journal.recover(connection, empty)
    return time.perf_counter() - started


async def _decoded(connection: Any) -> tuple[int, float]:
    """(events in the journal, events a second that reading and decoding them alone takes)."""
    decoder = msgspec.msgpack.Decoder(Entry)
    events, started = 0, time.perf_counter()
    async for row in journal.rows(connection, 0):
        for raw in journal.entries_of(row):
            events += len(decoder.decode(raw).events)
    return events, events / (time.perf_counter() - started)


# ---- memory


class RestingBytes(Struct):
    """Bytes an order: in the whole venue, and in a book by itself."""

    venue: float
    book: float


def resting_bytes(orders: int) -> RestingBytes:
    """Counted by `tracemalloc` over this many orders; without the ids of clients, which are bounded."""
    market = found(1_790_000_000_000_000_000)
    bodies = [
        msgspec.json.encode(
            {"listing": market.book, "side": "buy", "quantity": 20, "limit_fen": 400 + number % 100}
        )
        for number in range(200)
    ]
    at_ns = market.state.now_ns
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(orders):
        command = command_of(decode_order(bodies[number % 200]), market.buyers[number % 20])
        outcome = venue.execute(market.state, command, at_ns := at_ns + 1_000)
        assert outcome.refusal is None, outcome.refusal
    del outcome, command
    gc.collect()
    in_venue = (tracemalloc.get_traced_memory()[0] - before) / orders
    tracemalloc.stop()
    return RestingBytes(in_venue, _book_bytes(orders))


def _book_bytes(orders: int) -> float:
    """A book that knows of an order only what it needs to match it."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    book = Book()
    for number in range(orders):
        book.add(Order(f"O{number}", "buy", 400 + number % 100, 20, "P5"))
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / orders
