"""The single writer: queue, batch, execute, one transaction, answer.

    submit ──> queue ──> batch ──> venue.execute ──> journal.append ──> answers, projector
                             └── the next batch is executed while this one commits ──┘

Answers leave only after the commit. A read runs in sequence with the commands and leaves only once everything it saw
is committed. What can go wrong, and what is done:

    the queue is full                    503 at once, nothing stored; room is kept for cancels and halts
    a command raises, SQL refuses        memory is dropped and recovered from the journal; what raised is known, what
                                         SQL refuses is halved until the one command is alone; it is journaled as
                                         quarantined, the others go on
    the connection is lost after COMMIT  unknown: read the cursor on a new connection, then answer or send again
    the cyclic collector                 what was recovered is frozen (never looked at again); rows and events are
                                         untracked structs (gc=False), so a full collection finds little to look at
    the disk is full, PostgreSQL is down the batch is kept and sent again; new commands get 503 meanwhile
    somebody else has raised our epoch   stop: the other engine is the writer
"""

import asyncio
import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from exchange import journal, venue
from exchange.board import BoardError
from exchange.book_orders import has_connections
from exchange.clock import Clock
from exchange.consequence import is_behind as grades_behind
from exchange.duty import is_stale
from exchange.events import (
    VENUE,
    AdoptRulebook,
    AdvanceClock,
    CancelMany,
    CancelOrder,
    EndConnection,
    FollowGrades,
    FollowTimetables,
    HaltTrading,
    MoveListing,
    ParticipantRegistered,
    RecountDuties,
    Refusal,
    Refused,
    Tick,
)
from exchange.evidence import Log, leaves_of
from exchange.journal import Fenced, Record
from exchange.session import is_behind
from exchange.state import State
from exchange.venue import Outcome

log = logging.getLogger("shuji.engine")
T = TypeVar("T")

QUEUE_LIMIT: Final = 20_000
"""Commands that may wait. Above it new ones are refused with 503."""
QUEUE_RESERVE: Final = 2_000
"""Room above the limit for cancels and halts."""
BATCH_LIMIT: Final = 1_000
"""Commands in one transaction."""
TICK_SECONDS: Final = 0.2
STANDBY_SECONDS: Final = 0.1
"""How often a standby looks whether the writer has gone."""
PATIENCE_SECONDS: Final = 5.0
"""How long callers wait for a database that does not answer before they are told that the outcome is unknown."""

OVERLOADED: Final = Outcome((), Refusal(Refused.overloaded, "the venue is busy: try again in a second"), 0)
UNAVAILABLE: Final = Outcome(
    (),
    Refusal(
        Refused.storage_unavailable,
        "the database takes nothing now (silent, gone, or its disk is full): repeat the request with the same id",
    ),
    0,
)


class Simulated(Exception):
    """The clock asked for is not the clock this venue has lived by."""


class _Work(msgspec.Struct):
    """Something that waits in the queue: commands with one future, or a look at the state."""

    future: asyncio.Future[Any]
    commands: Sequence[Any] = ()
    look: Callable[[State], Any] | None = None
    personal: tuple[bytes, bytes] | None = None
    single: bool = False


class _Batch(msgspec.Struct):
    """Executed work and its answers; `record` is what to append once it is closed (None: nothing is stored)."""

    work: list[_Work] = []
    answers: list[Any] = []
    entries: list[Outcome] = []
    personal: list[tuple[str, bytes, bytes]] = []
    record: Record | None = None


class Engine:
    """One shard's writer. `state` is ahead of the journal by at most two batches; see `read` for committed state."""

    def __init__(self, dsn: str, empty: Callable[[], State], simulated: bool = False) -> None:
        self.dsn = dsn
        self.clock = Clock(simulated)
        self.state = empty()
        self.sequence = 0
        self.epoch = 0
        self.on_commit: list[Callable[[int], None]] = []
        self.on_entries: list[Callable[[int, list[Outcome]], None]] = []
        """Told every committed batch: its sequence and its entries. Must be quick and may not raise."""
        self.on_standby: Callable[[], None] | None = None
        self.stopped: asyncio.Event = asyncio.Event()
        self.failure: str = ""
        self.quarantined = 0
        self.dates_stopped = False
        self.commit_ms: deque[float] = deque(maxlen=10_000)
        self.entries_committed = 0
        self.cpu_s = 0.0
        """CPU of deciding, applying and encoding, since the start of this process."""
        self.recovered_entries = 0
        self._empty = empty
        self._checksum = b""
        self._executed_sequence = 0
        self._executed_checksum = b""
        self._known: dict[tuple[str, str], None] = {}
        self._log = Log(b"")
        self._queue: deque[_Work] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._inflight: asyncio.Task[None] | None = None
        self._stuck_since = 0.0
        self._connection: Any = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._tick_queued = False
        self._stopping = False
        self._filling: _Batch | None = None
        """What memory holds and no record does yet: the batch that is being filled, or healed."""

    # --- life

    @property
    def simulated(self) -> bool:
        return self.clock.simulated

    @property
    def uncommitted(self) -> int:
        """Batches that are executed and not yet committed."""
        return self._executed_sequence - self.sequence

    async def start(self, standby_seconds: float = 0.0) -> None:
        """Become the writer, recover, and begin. Raises Fenced when another engine holds the shard for too long."""
        self._connection = await journal.connect(self.dsn)
        try:
            self.epoch = await self._take_over(standby_seconds)
            await self._recover()
            self._refuse_other_clock()
            self._refuse_missing_boards()
        except BaseException:
            self._connection.terminate()
            raise
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._tick())]
        # The log says what counts behind it; an edition that begins says it once more, for what was before.
        if self._log.unwritten or self.state.rulebook_sha256 != self.state.rulebook.sha256:
            await self.submit(AdoptRulebook(actor=VENUE, sha256=self.state.rulebook.sha256))
        if is_stale(self.state, self.now_ns()):
            await self.submit(RecountDuties(actor=VENUE))
        if is_behind(self.state, self.now_ns()):
            await self.submit(FollowTimetables(actor=VENUE))
        if grades_behind(self.state):
            await self.submit(FollowGrades(actor=VENUE))
        if has_connections(self.state):
            await self.submit(EndConnection(actor=VENUE))

    def _refuse_missing_boards(self) -> None:
        """What is listed keeps the rules of its board, so its file stays."""
        missing = {one.board for one in self.state.listings.values()} - self.state.boards.keys()
        if missing:
            names = ", ".join(f"{board}.toml" for board in sorted(missing))
            raise BoardError(f"there are listings on boards that have no file any more: put {names} back")

    def _refuse_other_clock(self) -> None:
        if self.state.bureau.participants and self.state.simulated != self.simulated:
            lived = "a simulated" if self.state.simulated else "the real"
            raise Simulated(
                f"this venue lives by {lived} clock: start it with{'' if self.state.simulated else 'out'} --simulated-clock"
            )

    async def _take_over(self, standby_seconds: float) -> int:
        """The epoch, once whoever writes this shard has gone."""
        deadline = time.monotonic() + standby_seconds
        while (taken := await journal.take_epoch(self._connection)) is None:
            if time.monotonic() >= deadline:
                raise Fenced("another engine writes this venue: stop it first, or wait for it with --standby")
            if self.on_standby is not None:
                self.on_standby()
                self.on_standby = None
            await asyncio.sleep(STANDBY_SECONDS)
        return taken[0]

    async def stop(self) -> None:
        """Drain the queue, commit, end. Commands that come later are refused."""
        self._stopping = True
        self._wake.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close()

    async def _recover(self) -> None:
        recovered = await journal.recover(self._connection, self._empty)
        self.state = recovered.state
        self.sequence = self._executed_sequence = recovered.sequence
        self._checksum = self._executed_checksum = recovered.checksum
        self._log = await journal.recover_log(self._connection, recovered.sequence)
        self.recovered_entries = recovered.replayed
        for misfit in self.state.misfits:
            log.error("the rulebook in force does not fit this release: %s", misfit)
        gc.collect()
        gc.freeze()
        rows = await self._connection.fetch(
            "select owner, asset from account where shard = $1", journal.SHARD
        )
        self._known = {(row["owner"], row["asset"]): None for row in rows}

    # --- the door

    def now_ns(self) -> int:
        """The venue's time, for tokens and challenges."""
        return self.clock.now(self.state.now_ns, self.state.clock_floor_ns)

    def submit(self, command: Any, personal: tuple[bytes, bytes] | None = None) -> "asyncio.Future[Outcome]":
        """Await the outcome; it is committed then. `personal` is (salt, body) of the erasable row of a registration."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if (refusal := self._full((command,))) is not None:
            future.set_result(refusal)
            return future
        self._put(_Work(future, (command,), None, personal, True), 1)
        return future

    def submit_many(self, commands: Sequence[Any]) -> "asyncio.Future[list[Outcome]]":
        """Await the outcomes of commands that are executed one after the other; committed then."""
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        if not commands:
            future.set_result([])
        elif (refusal := self._full(commands)) is not None:
            future.set_result([refusal] * len(commands))
        else:
            self._put(_Work(future, commands), len(commands))
        return future

    async def read(self, look: Callable[[State], T]) -> T:
        """What `look` sees, once all of it is committed. It must be quick and return plain values.

        Raises ConnectionError where the engine has stopped and what it holds is not all committed.
        """
        if not self._queue and self._filling is None and self._executed_sequence == self.sequence:
            return look(self.state)
        if self.stopped.is_set():
            raise ConnectionError("the engine has stopped")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Work(future, (), look), 0)
        result: T = await future
        return result

    def _put(self, work: _Work, size: int) -> None:
        self._queue.append(work)
        self._queued += size
        self._wake.set()

    def _full(self, commands: Sequence[Any]) -> Outcome | None:
        if self._stopping or self.failure:
            return UNAVAILABLE
        if self._stuck_since and time.monotonic() - self._stuck_since > 1.0:
            return UNAVAILABLE
        wanted = self._queued + len(commands)
        if wanted <= QUEUE_LIMIT or (wanted <= QUEUE_LIMIT + QUEUE_RESERVE and all(map(_relieves, commands))):
            return None
        return OVERLOADED

    # --- the writer

    async def _run(self) -> None:
        try:
            while await self._work_is_there():
                await self._step()
        except BaseException as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.critical("the engine stops: %s", self.failure)
            self._abandon()
            raise
        finally:
            self.stopped.set()

    def _abandon(self) -> None:
        """Whoever still waits is told that the outcome is not known."""
        for item in (*(self._filling.work if self._filling else ()), *self._queue):
            _answer(item, UNAVAILABLE)
        self._queue.clear()

    async def _work_is_there(self) -> bool:
        while not self._queue:
            if self._inflight is not None and self._inflight.done():
                await self._settle_inflight()
            elif self._stopping and self._inflight is None:
                return False
            else:
                self._wake.clear()
                await self._wake.wait()
        return True

    async def _step(self) -> None:
        """Execute a batch while the one before it commits, then commit it."""
        batch = self._filling = _Batch()
        try:
            await self._fill(batch)
            self._close(batch)
        except Exception:
            log.exception("a command raised")
            await self._settle_inflight()
            await self._heal(batch.work)
        else:
            if await self._settle_inflight():
                self._inflight = asyncio.create_task(self._commit(batch))
                self._inflight.add_done_callback(lambda _: self._wake.set())
            else:
                await self._heal(batch.work)
        self._filling = None
        await asyncio.sleep(0)  # the commit is on its way before the next batch is executed

    async def _fill(self, batch: _Batch) -> None:
        """What waits, and what comes until the batch before is committed: the busier, the more share a commit."""
        room = BATCH_LIMIT
        while True:
            work = self._gather(room)
            batch.work += work
            self._execute(work, batch)
            room -= sum([len(item.commands) for item in work])
            if self._queue or self._inflight is None or self._inflight.done():
                return
            self._wake.clear()
            await self._wake.wait()

    def _gather(self, room: int) -> list[_Work]:
        """From the queue's front what fits; into an empty batch at least one."""
        work: list[_Work] = []
        size = 0
        queue = self._queue
        while queue and (size + len(queue[0].commands) <= room or (not work and room == BATCH_LIMIT)):
            taken = queue.popleft()
            size += len(taken.commands)
            work.append(taken)
        self._queued -= size
        return work

    def _execute(self, work: list[_Work], batch: _Batch) -> None:
        """Decide every command; each is applied before the next is decided."""
        started = time.thread_time()
        answers, entries = batch.answers, batch.entries
        for item in work:
            if item.look is not None:
                answers.append(_looked(item.look, self.state))
                continue
            outcomes = [self._decide(command, entries) for command in item.commands]
            if item.personal is not None and outcomes[0].events and not outcomes[0].repeated:
                registered = outcomes[0].events[0]
                assert isinstance(registered, ParticipantRegistered)
                batch.personal.append((registered.participant, *item.personal))
            answers.append(outcomes[0] if item.single else outcomes)
        self.cpu_s += time.thread_time() - started

    def _close(self, batch: _Batch) -> None:
        """Nothing more comes in: what to append."""
        if batch.entries:
            started = time.thread_time()
            batch.record = self._record(batch.entries, batch.personal)
            self.cpu_s += time.thread_time() - started

    def _decide(self, command: Any, entries: list[Outcome]) -> Outcome:
        state = self.state
        outcome = venue.execute(state, command, self.clock.now(state.now_ns, state.clock_floor_ns))
        if outcome.entry and not outcome.repeated:
            entries.append(outcome)
            if type(command) is AdvanceClock:
                self._run_timers(entries)
        if type(command) is Tick:
            self._tick_queued = False
        return outcome

    def _run_timers(self, entries: list[Outcome]) -> None:
        """A simulated clock was advanced: everything that is due by then happens before anything else."""
        state = self.state
        while state.timers and state.timers[0][0] < state.clock_floor_ns:
            at_ns = self.clock.now(state.now_ns, state.clock_floor_ns)
            entries.append(venue.execute(state, Tick(actor=VENUE), at_ns))

    def _record(self, entries: list[Outcome], personal: list[tuple[str, bytes, bytes]]) -> Record:
        body = journal.encode_batch([outcome.entry for outcome in entries])
        opened, moved = [], []
        for row in self.state.ledger.drain():
            key = (row[0], row[1])
            if key in self._known:
                moved.append(row)
            else:
                self._known[key] = None
                opened.append(row)
        leaves = [leaf for outcome in entries for leaf in leaves_of(outcome.at_ns, outcome.events)]
        self._executed_sequence += 1
        self._executed_checksum = journal.checksum_of(self._executed_checksum, body)
        return Record(
            self._executed_sequence,
            self.state.now_ns,
            len(entries),
            body,
            self._executed_checksum,
            opened,
            moved,
            personal,
            self._log.take(leaves),
        )

    async def _settle_inflight(self) -> bool:
        """Wait for the batch before; False when SQL refused it and memory has been recovered since."""
        task, self._inflight = self._inflight, None
        if task is None:
            return True
        try:
            await task
        except _BatchRefused as refused:
            log.error("SQL refuses a batch: %s", refused.reason)
            await self._heal(refused.work)
            return False
        return True

    async def _commit(self, batch: _Batch) -> None:
        if batch.record is not None:
            started = time.perf_counter()
            await self._append(batch)
            self.commit_ms.append((time.perf_counter() - started) * 1000)
            self.sequence, self._checksum = batch.record.sequence, batch.record.checksum
            self.entries_committed += batch.record.entries
            for wake in self.on_commit:
                wake(self.sequence)
            for tell in self.on_entries:
                tell(self.sequence, batch.entries)
        for item, answer in zip(batch.work, batch.answers, strict=True):
            _answer(item, answer)

    async def _append(self, batch: _Batch) -> None:
        """Append, and where the outcome is unknown find it out. A fence or a broken journal ends the engine."""
        record = batch.record
        assert record is not None
        started = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    if self._connection.is_closed():
                        await self._reconnect()
                        if await self._is_committed(record):
                            break
                    await journal.append(self._connection, self.epoch, record)
                break
            except (Fenced, journal.JournalBroken):
                for item in batch.work:
                    _answer(item, UNAVAILABLE)
                raise
            except (asyncpg.PostgresError, *LOST) as error:
                if _is_refusal(error):
                    raise _BatchRefused(batch.work, error) from error
                await self._stuck(batch.work, error, started)
        self._stuck_since = 0.0

    async def _stuck(self, work: list[_Work], error: Exception, since: float) -> None:
        """The database does not answer, or has no room: keep the work and try again.

        Raises ConnectionError where the venue is to stop and has waited long enough.
        """
        if not self._stuck_since:
            self._stuck_since = since
            log.error(
                "the database does not take batch %s: %s",
                self._executed_sequence,
                str(error) or "it is silent",
            )
        if time.monotonic() - self._stuck_since > PATIENCE_SECONDS:
            for item in work + (self._filling.work if self._filling else []):
                _answer(item, UNAVAILABLE)
            self._abandon_queue()
            if self._stopping:
                raise ConnectionError("the database does not answer, and the venue is to stop") from error
        if not _keeps_connection(error):
            self._connection.terminate()
        await asyncio.sleep(0.1)

    def _abandon_queue(self) -> None:
        """Commands that have not been executed are refused; nothing of them is stored."""
        waiting, self._queue = self._queue, deque()
        self._queued = 0
        for item in waiting:
            _answer(item, UNAVAILABLE)

    async def _reconnect(self) -> None:
        self._connection = await journal.connect(self.dsn)

    async def _is_committed(self, record: Record) -> bool:
        """The unknown commit: the cursor tells. Raises Fenced when another engine has taken over."""
        sequence, checksum = await journal.hold_epoch(self._connection, self.epoch)
        if sequence == record.sequence and checksum == record.checksum:
            return True
        if sequence != record.sequence - 1:
            raise Fenced(f"the journal stands at {sequence}, batch {record.sequence} does not follow")
        return False

    # --- healing

    async def _heal(self, work: list[_Work]) -> None:
        """Recover memory from the journal, then do the work again; what fails in it is found and set aside.

        A command that raises is known at once. What SQL refuses is halved until it is one command.
        """
        filling, self._filling = self._filling, self._filling or _Batch(work)
        await self._recover_patiently(work)
        pieces = [work]
        while pieces:
            piece = pieces.pop()
            failure = await self._attempt(piece)
            if failure is None:
                continue
            await self._recover_patiently(piece)
            if len(piece) == 1:
                await self._set_aside(piece[0], failure.reason)
            else:
                pieces += [part for part in reversed(failure.parts(piece)) if part]
        self._filling = filling

    async def _attempt(self, work: list[_Work]) -> "_Failure | None":
        """Execute and commit; where that fails memory is no longer good."""
        batch = _Batch()
        for at, item in enumerate(work):
            try:
                batch.work.append(item)
                self._execute([item], batch)
            except Exception as error:
                log.exception("a command raised")
                return _Failure(error, at)
        try:
            self._close(batch)
            await self._commit(batch)
        except _BatchRefused as refused:
            log.error("SQL refuses a batch: %s", refused.reason)
            return _Failure(refused.reason, None)
        return None

    async def _recover_patiently(self, work: list[_Work]) -> None:
        """Recover, also where the database has to come back first. Raises Fenced when another engine took over."""
        started = time.monotonic()
        while True:
            try:
                if self._connection.is_closed():
                    await self._reconnect()
                    await journal.hold_epoch(self._connection, self.epoch)
                await self._recover()
            except (asyncpg.PostgresError, *LOST) as error:
                if _is_refusal(error):
                    raise
                await self._stuck(work, error, started)
            else:
                self._stuck_since = 0.0
                return

    async def _set_aside(self, item: _Work, reason: Exception) -> None:
        """One command is quarantined; of a submission of several, each is done on its own."""
        if len(item.commands) == 1:
            await self._quarantine(item, reason)
            return
        loop = asyncio.get_running_loop()
        alone = [_Work(loop.create_future(), (command,), single=True) for command in item.commands]
        await self._heal(alone)
        _answer(item, [one.future.result() for one in alone])

    async def _quarantine(self, item: _Work, reason: Exception) -> None:
        self.quarantined += 1
        at_ns = self.clock.now(self.state.now_ns, self.state.clock_floor_ns)
        outcome = venue.quarantine(
            self.state, item.commands[0], f"{type(reason).__name__}: {reason}"[:500], at_ns
        )
        batch = _Batch([item], [outcome if item.single else [outcome]], [outcome])
        self._close(batch)
        await self._commit(batch)

    # --- time

    async def _tick(self) -> None:
        while not self._stopping and not self.failure:
            await asyncio.sleep(TICK_SECONDS)
            self.clock.watch()
            if self.simulated or self.clock.alarm_ns or self._tick_queued or self.dates_stopped:
                continue
            timers = self.state.timers
            if timers and timers[0][0] < self.now_ns():
                self._tick_queued = True
                self.submit(Tick(actor=VENUE)).add_done_callback(self._ticked)

    def _ticked(self, future: "asyncio.Future[Outcome]") -> None:
        self._tick_queued = False
        refusal = future.result().refusal
        if refusal is not None and refusal.code is Refused.quarantined:
            self.dates_stopped = True
            log.critical(
                "what falls due cannot be done: dates stand still until this is mended and started again"
            )

    # --- looking in

    def status(self) -> dict[str, Any]:
        """Plain values for /readyz and /v1/operations."""
        commits = sorted(self.commit_ms)
        return {
            "ready": not self.failure and not self._stuck_since and not self._stopping,
            "failure": self.failure,
            "queue_depth": self._queued,
            "sequence": self.sequence,
            "epoch": self.epoch,
            "entries": self.entries_committed,
            "commits": len(commits),
            "commit_ms_p50": round(commits[len(commits) // 2], 3) if commits else 0.0,
            "commit_ms_p99": round(commits[len(commits) * 99 // 100], 3) if commits else 0.0,
            "quarantined": self.quarantined,
            "dates_stopped": self.dates_stopped,
            "clock_alarm_seconds": self.clock.alarm_ns // 1_000_000_000,
            "simulated_clock": self.simulated,
            "database_stuck": bool(self._stuck_since),
            "rulebook_misfits": list(self.state.misfits),
            "rulebook_lacking": self.state.lacking,
        }


class _BatchRefused(Exception):
    """SQL refused a batch: nothing of it is stored."""

    def __init__(self, work: list[_Work], reason: Exception) -> None:
        super().__init__(str(reason))
        self.work = work
        self.reason = reason


class _Failure(msgspec.Struct):
    """Why a piece of work failed, and the place in it of what raised (None: SQL refused it as a whole)."""

    reason: Exception
    at: int | None

    def parts(self, work: list[_Work]) -> tuple[list[_Work], ...]:
        """What to try apart, in order."""
        if self.at is None:
            middle = len(work) // 2
            return work[:middle], work[middle:]
        return work[: self.at], work[self.at : self.at + 1], work[self.at + 1 :]


class _LookFailed(msgspec.Struct):
    """A look raised: its caller gets the exception, the engine goes on."""

    error: Exception


def _relieves(command: Any) -> bool:
    """A cancel or a halt: the reserve is for these."""
    return type(command) in (CancelOrder, CancelMany, EndConnection, HaltTrading) or (
        type(command) is MoveListing and command.step == "suspend"
    )


def _looked(look: Callable[[State], Any], state: State) -> Any:
    try:
        return look(state)
    except Exception as error:
        return _LookFailed(error)


def _answer(item: _Work, answer: Any) -> None:
    future = item.future
    if future.done():
        return
    if type(answer) is _LookFailed:
        future.set_exception(answer.error)
    elif answer is UNAVAILABLE and item.look is not None:
        future.set_exception(ConnectionError("the database is not answering"))
    elif answer is UNAVAILABLE and not item.single:
        future.set_result([UNAVAILABLE] * len(item.commands))
    else:
        future.set_result(answer)


_REFUSING: Final = ("22", "23", "42", "P0")
"""SQLSTATE classes in which the statement itself is wrong: data, integrity, syntax, raised."""

_ROOM: Final = ("53", "40", "55", "57014")
"""SQLSTATE classes after which the connection is good and the same statement may succeed later."""


LOST: Final = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What asyncpg raises of a connection that is gone, silent, or was killed in the middle of something."""


def _is_refusal(error: Exception) -> bool:
    """Whether sending the batch again would be refused again: by SQL, or by what PostgreSQL can hold at all."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_REFUSING)
    return isinstance(error, ValueError)


def _keeps_connection(error: Exception) -> bool:
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_ROOM)
