"""The composition root: everything that runs in one process is put together here and nowhere else.

    database ─> migrations ─> engine (recovers) ─> projector ─> web

`open_venue` yields a `Venue` that takes commands; leaving it drains the queue and stops the database last. Query tables
that are behind then catch up at the next start.
"""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from litestar import Litestar

from clearing import notrade
from exchange import board, journal, keys
from exchange.archive import Archiver
from exchange.audit import AuditLog
from exchange.consequence import grade_of
from exchange.engine import Engine
from exchange.events import VENUE, AdoptVenueKey, FollowCredentials, OpenVenue
from exchange.issuing import lacking
from exchange.migration import migrate
from exchange.monitor import Monitor
from exchange.postgres import Database, open_database
from exchange.projecting import ProjectorProcess
from exchange.proofs import Prover
from exchange.ring_search import RingSearch
from exchange.sealing import KeyRing, Sealer, place_of
from exchange.settings import Settings
from exchange.snapshot import Snapshots
from exchange.state import State
from exchange.web import files, uploads
from exchange.web.access import Challenges, Tokens, load_key
from exchange.web.desk import Desk
from exchange.web.feed import Feed
from exchange.web.hashing import Hashing
from exchange.web.problem import Reasons
from exchange.web.rates import Rates
from exchange.web.routes import refuse_framework_error, routes
from exchange.web.sessions import Sessions

log = logging.getLogger("shuji")
POOL_SIZE = 6


@dataclass(frozen=True, slots=True)
class Venue:
    """A running venue: the application to serve, and the parts that operators and tests look at."""

    app: Litestar
    engine: Engine
    projector: ProjectorProcess
    desk: Desk
    dsn: str
    database: Database
    archiver: Archiver


def create_app(desk: Desk) -> Litestar:
    """The web application over a running engine. OpenAPI is our own document (`exchange.web.openapi`)."""
    return Litestar(
        route_handlers=routes(desk),
        openapi_config=None,
        exception_handlers={Exception: refuse_framework_error},
        logging_config=None,
        request_max_body_size=None,
        pdb_on_exception=False,
    )


@asynccontextmanager
async def open_venue(settings: Settings) -> AsyncIterator[Venue]:
    """Everything started, in order; stopped in reverse."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        archiver = Archiver(settings.data.resolve(), log.warning)
        stack.push_async_callback(archiver.close)
        database = await stack.enter_async_context(open_database(settings.data, settings.dsn or None))
        if database.embedded:
            await stack.enter_async_context(_task(archiver.run(database.dsn)))
        await stack.enter_async_context(_task(database.watch(log.warning)))
        await migrate(database.dsn)
        yield await _start(settings, database, archiver, stack)


async def _start(settings: Settings, database: Database, archiver: Archiver, stack: AsyncExitStack) -> Venue:
    """Engine, tables and web over a migrated database."""
    dsn = database.dsn
    boards = board.load()
    rulebook = notrade.load(boards=boards)

    def empty() -> State:
        return State(boards, rulebook, settings.jurisdiction)

    engine = Engine(dsn, empty, settings.simulated_clock)
    engine.on_standby = lambda: log.warning("another engine writes this venue: standing by until it ends")
    await engine.start(math.inf if settings.standby else 0.0)
    stack.push_async_callback(engine.stop)
    await _open_for_business(engine, settings.operator_key)
    ring = KeyRing(settings.venue_key)
    await _adopt_key(engine, ring)
    await _issue_lacking(engine)
    pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=POOL_SIZE))
    projector = ProjectorProcess(dsn)
    engine.on_commit.append(projector.wake)
    await stack.enter_async_context(_task(projector.run()))
    await stack.enter_async_context(_task(Snapshots(engine, settings.jurisdiction).run()))
    monitor = Monitor(engine, projector, pool)
    await stack.enter_async_context(_task(monitor.run()))
    audit = AuditLog(pool)
    stack.push_async_callback(audit.close)
    await stack.enter_async_context(_task(audit.run(engine.now_ns)))
    search = RingSearch(engine, projector, pool)
    await stack.enter_async_context(_task(search.run()))
    first = await _first_checksum(pool)
    tokens = Tokens(hmac.digest(load_key(settings.data), first, "sha256"))
    desk = Desk(
        engine,
        projector,
        pool,
        tokens,
        Challenges(),
        Reasons(lambda: engine.state.rulebook, settings.jurisdiction),
        boards,
        _files_folder(settings),
        Feed(engine, projector, pool),
        monitor,
        Sessions(tokens),
        Prover(pool, ring, f"shuji/{first[:8].hex()}"),
        _rates(engine, settings.rates == "on"),
        audit,
        Sealer(pool, ring, place_of(settings.public)),
        Hashing(),
        search,
        backup_age_s=archiver.age_s,
    )
    stack.push_async_callback(desk.feed.close)
    await uploads.sweep(desk)
    return Venue(create_app(desk), engine, projector, desk, dsn, database, archiver)


def _rates(engine: Engine, on: bool) -> Rates:
    """A simulated clock stands still between commands, and is moved on: there, time is both clocks together."""

    def now_ns() -> int:
        return engine.now_ns() + (time.monotonic_ns() if engine.simulated else 0)

    return Rates(lambda participant: grade_of(engine.state, participant), now_ns, on)


async def _first_checksum(pool: Any) -> bytes:
    """What tells this journal from others: tokens are bound to it, and its evidence log is named by it."""
    first: bytes = await pool.fetchval(
        "SELECT checksum FROM journal WHERE shard = $1 AND sequence = 1", journal.SHARD
    )
    return first


def _files_folder(settings: Settings) -> Path:
    settings.files.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.remove_unfinished(settings.files)
    return settings.files


async def _open_for_business(engine: Engine, key_file: Path) -> None:
    """First start: an operator whose key lies in the data folder. Killed in between, the next start goes on."""
    if await engine.read(lambda state: bool(state.bureau.participants)):
        return
    key = keys.ensure(key_file)
    await engine.submit(OpenVenue(actor=VENUE, public_key=key.public_key, simulated=engine.simulated))
    keys.name_participant(key_file, await engine.read(lambda state: state.bureau.by_key[key.public_key]))


async def _adopt_key(engine: Engine, ring: KeyRing) -> None:
    """The key that signs checkpoints and credentials. A folder without one, as after a restore, makes a new one, and the
    journal says so; the old one verifies for its overlap."""
    key = ring.settle(await engine.read(lambda state: state.venue_key))
    if await engine.read(lambda state: state.venue_key != key.public_key or not state.venue_keys):
        await engine.submit(
            AdoptVenueKey(actor=VENUE, public_key=key.public_key, reason="found in the folder")
        )


async def _issue_lacking(engine: Engine) -> None:
    """A venue that is older than credentials: what is in force gets its own, some hundreds in one entry."""
    while await engine.read(lambda state: lacking(state, engine.now_ns(), 1)):
        await engine.submit(FollowCredentials(actor=VENUE))


@asynccontextmanager
async def _task(work: Any) -> AsyncIterator[None]:
    """Work beside the rest; cancelled at the end. What it raised is logged, once, when it ends by itself."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_report)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a part of the venue has stopped: %r", error, exc_info=error)
