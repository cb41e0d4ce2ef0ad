"""A small venue in a real database, an engine on it, and hands that disturb the two.

    small = await lay(dsn)                     P1 operator, P2 reviewer, a merchant, a buyer, two listings
    async with engine_on(dsn) as engine:
        async with held_cursor(dsn):           no commit gets through until the block ends
            ...

Nothing of PostgreSQL is replaced: what fails here fails in the server or on the way to it.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec

from exchange import journal
from exchange.engine import Engine
from exchange.events import VENUE, BookCashIn, Entry, FollowGrades, PlaceOrder
from exchange.evidence import EDITION, Row
from exchange.state import State, encode_state
from exchange.venue import Outcome
from exchange.verification import verify
from tests.exchange.world import OPERATOR, World, command_id, empty

DEADLINE_SECONDS = 20.0
HOUR_NS = 3_600_000_000_000
ENTRY = msgspec.msgpack.Decoder(Entry)


class Small(msgspec.Struct):
    """The people and listings of the venue."""

    world: World
    merchant: str
    buyer: str
    posted: str
    book: str
    entries: int

    def order(self, key: str = "", quantity: int = 1) -> PlaceOrder:
        """A purchase at the posted price; it settles at once."""
        return PlaceOrder(actor=self.buyer, key=key, listing=self.posted, quantity=quantity)

    def bid(self, quantity: int = 1) -> PlaceOrder:
        """An order that rests in the book."""
        return PlaceOrder(actor=self.buyer, listing=self.book, quantity=quantity, limit_fen=1)

    def cash(self, reference: str, amount_fen: int = 100, key: str = "") -> BookCashIn:
        """The simplest command that moves money; `reference` finds it again."""
        return BookCashIn(
            actor=OPERATOR,
            key=key,
            participant=self.buyer,
            amount_fen=amount_fen,
            bank_reference=reference,
        )


def new_key(number: int = 1) -> str:
    """A command id made now."""
    return command_id(time.time_ns(), number)


def found(ago_ns: int = HOUR_NS, simulated: bool = False) -> Small:
    """A venue that opened that long ago."""
    world = World(simulated)
    world.at_ns = time.time_ns() - ago_ns
    merchant, buyer = world.merchant(), world.buyer()
    posted, book = world.listing(merchant), world.book(merchant)
    for listing in (posted, book):
        world.agree(buyer, listing)
    world.must(FollowGrades(actor=VENUE))
    world.tick()
    return Small(world, merchant, buyer, posted, book, 0)


async def lay(dsn: str, small: Small | None = None, evidence: Row | None = None) -> Small:
    """Journal the venue as the first batch, as an engine would have; without leaves, which begin behind it.

    `evidence`: its leaves, of a log of the first edition.
    """
    small = small or found()
    small.entries = len(small.world.entries)
    body = journal.encode_batch(small.world.entries)
    state = small.world.state
    opened = state.ledger.drain()
    record = journal.Record(
        1, state.now_ns, small.entries, body, journal.checksum_of(b"", body), opened, [], [], evidence
    )
    async with session(dsn) as connection:
        taken = await journal.take_epoch(connection)
        assert taken is not None
        await journal.append(connection, taken[0], record)
        if evidence is None:
            await connection.execute(
                "insert into evidence_edition (shard, edition, begins) values (0, $1, 1)", EDITION
            )
    return small


@asynccontextmanager
async def engine_on(dsn: str, simulated: bool = False) -> AsyncIterator[Engine]:
    engine = Engine(dsn, empty, simulated)
    await engine.start()
    try:
        yield engine
    finally:
        await soon(engine.stop(), "the engine stops")


# ---- looking


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def execute(dsn: str, statement: str, *values: Any) -> None:
    async with session(dsn) as connection:
        await connection.execute(statement, *values)


async def value(dsn: str, query: str, *values: Any) -> Any:
    async with session(dsn) as connection:
        return await connection.fetchval(query, *values)


async def batches(dsn: str, after: int = 1) -> list[list[Entry]]:
    """The journal's rows behind the foundation, decoded."""
    async with session(dsn) as connection:
        return [
            [ENTRY.decode(raw) for raw in journal.entries_of(row)]
            async for row in journal.rows(connection, after)
        ]


async def sizes(dsn: str) -> list[int]:
    """How many entries each row behind the foundation has."""
    return [len(batch) for batch in await batches(dsn)]


async def stored(dsn: str, after: int = 1) -> list[str]:
    """What happened behind the foundation: kinds of events, a booking by the bank's reference."""
    return [
        getattr(event, "bank_reference", type(event).__name__)
        for batch in await batches(dsn, after)
        for entry in batch
        for event in entry.events
    ]


async def replayed(dsn: str) -> State:
    """What recovery makes of the database."""
    async with session(dsn) as connection:
        state: State = (await journal.recover(connection, empty)).state
        return state


async def is_sound(dsn: str, engine: Engine) -> bool:
    """Memory, journal and tables say the same, to the byte."""
    assert encode_state(engine.state) == encode_state(await replayed(dsn)), "memory is not what is journaled"
    assert await verify(dsn, None, empty, lambda _: None) == []
    return True


def codes(outcomes: list[Outcome]) -> list[str]:
    """The refusals' names, `done` where there is none."""
    return ["done" if one.refusal is None else one.refusal.code.name for one in outcomes]


# ---- a server that stands still


@asynccontextmanager
async def frozen(dsn: str) -> AsyncIterator[None]:
    """Whoever serves a connection to this database stands still, as with SIGSTOP of PostgreSQL: nothing is answered, and
    nothing ends.
    """
    async with session(dsn) as connection:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    pids = [row["pid"] for row in rows]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


# ---- waiting


async def soon(work: Awaitable[Any], what: str = "an answer") -> Any:
    """The result; a test fails where nothing comes."""
    try:
        return await asyncio.wait_for(work, DEADLINE_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"{what}: nothing came in {DEADLINE_SECONDS} s") from error


async def answers(futures: "list[asyncio.Future[Outcome]]") -> list[str]:
    """What became of the commands (see `codes`)."""
    return codes(await soon(asyncio.gather(*futures)))


async def nothing_comes(*futures: Any) -> bool:
    """None of these is answered in a tenth of a second."""
    done, _ = await asyncio.wait([asyncio.ensure_future(one) for one in futures], timeout=0.1)
    return not done


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it never came that {what}"
        await asyncio.sleep(0.005)


async def until_sql(dsn: str, query: str, what: str) -> None:
    """Until the query says true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    async with session(dsn) as connection:
        while not await connection.fetchval(query):
            assert time.monotonic() < deadline, f"it never came that {what}"
            await asyncio.sleep(0.005)


# ---- disturbing


COMMIT_WAITS = """select exists (select from pg_stat_activity where datname = current_database()
    and application_name = 'shuji' and wait_event_type = 'Lock' and query like '%insert into journal%')"""


async def until_a_commit_waits(dsn: str) -> None:
    await until_sql(dsn, COMMIT_WAITS, "a commit waits for the cursor")


@asynccontextmanager
async def held_cursor(dsn: str) -> AsyncIterator[None]:
    """Another session holds the cursor's row: a commit waits until this block ends."""
    async with session(dsn) as connection, connection.transaction():
        await connection.execute("select from cursor for update")
        yield


@asynccontextmanager
async def commit_under_way(
    dsn: str, engine: Engine, command: Any
) -> "AsyncIterator[asyncio.Future[Outcome]]":
    """In this block the command's commit is on its way and cannot end."""
    async with held_cursor(dsn):
        future = engine.submit(command)
        await until_a_commit_waits(dsn)
        yield future


async def cut_engine_off(dsn: str) -> None:
    """End the engine's session in the server, as an administrator would."""
    await execute(
        dsn,
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where datname = current_database() and application_name = 'shuji'",
    )


class Line(msgspec.Struct, eq=False):
    """One connection through the wire. `hidden`: the server does not learn that its client is gone."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    hidden: bool = False


class Wire:
    """A TCP proxy before PostgreSQL. It can swallow answers, cut, cut without telling the server, and stay closed."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        place = parse_qs(parts.query)
        self._socket = Path(place["host"][0]) / f".s.PGSQL.{place['port'][0]}"
        self._credentials = parts.netloc.rpartition("@")[0]
        self._database = parts.path
        self._door: asyncio.Server | None = None
        self._port = 0
        self._pumps: list[asyncio.Task[None]] = []
        self.lines: list[Line] = []
        self.swallows = False

    @property
    def dsn(self) -> str:
        return f"postgresql://{self._credentials}@127.0.0.1:{self._port}{self._database}"

    async def open(self) -> None:
        self._door = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._door.sockets[0].getsockname()[1]

    async def _connect(self, asked: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        answered, server = await asyncio.open_unix_connection(str(self._socket))
        line = Line(client, server)
        self.lines.append(line)
        self._pumps += [
            asyncio.create_task(self._ask(line, asked)),
            asyncio.create_task(self._answer(line, answered)),
        ]

    async def _ask(self, line: Line, asked: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await asked.read(1 << 16):
                line.server.write(data)
        if not line.hidden:
            line.server.close()

    async def _answer(self, line: Line, answered: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await answered.read(1 << 16):
                if not self.swallows:
                    line.client.write(data)
        line.client.close()

    def cut(self, hidden: bool = False) -> None:
        """End the connections on the client's side, and on the server's unless that is hidden from it."""
        self.swallows = False
        for line in self.lines:
            line.hidden = hidden
            line.client.transport.abort()
            if not hidden:
                line.server.transport.abort()

    def tell_server(self) -> None:
        """The server learns of what was hidden from it."""
        for line in self.lines:
            if line.hidden:
                line.server.transport.abort()

    def close(self) -> None:
        """As if PostgreSQL were down: nothing is connected and nothing can be."""
        assert self._door is not None
        self._door.close()
        self.cut()

    async def end(self) -> None:
        self.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@asynccontextmanager
async def wire_to(dsn: str) -> AsyncIterator[Wire]:
    wire = Wire(dsn)
    await wire.open()
    try:
        yield wire
    finally:
        await wire.end()


def numbered(count: int, word: str = "bank") -> Iterator[str]:
    """References that are not used yet."""
    return (f"{word} no {number}" for number in range(count))
