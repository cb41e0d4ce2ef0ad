"""What an operator watches: counted from committed entries, and looked at where only a look tells.

    engine ──commit──> waiting ──soon──> Tally (orders, fills, refusals by rule ...), surveillance
    engine, projector, PostgreSQL ──look──> Sight (queue, latencies, holds, halts, overdue, the server)

A look always ends: what does not answer in time is told as it was last seen, or as not known.

A commit pays for a list's append; counting follows when its answers have left. The counts of a page are rebuilt at start
from the journal's end, as far back as midnight in China but no further than `TAIL_ENTRIES`: `since_ns` says from when on
they are whole. Counters for machines (`fresh`) begin at zero with the process, as Prometheus wants them.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final, Generic, TypeAlias, TypeVar

import asyncpg
import msgspec
from msgspec import Struct

from exchange import journal
from exchange.engine import Engine
from exchange.events import (
    Completed,
    Delivered,
    DeliveryRejected,
    Entry,
    Event,
    Held,
    HoldReleased,
    OrderClosed,
    OrderPlaced,
    OrderRefused,
    Quarantined,
    Refunded,
    Settled,
    TradeRefused,
)
from exchange.participant import ultimate_owner
from exchange.projector import Progress
from exchange.state import DAY_NS, Halt, State
from exchange.surveillance import Surveillance
from exchange.tape import start_of
from exchange.venue import Outcome

log = logging.getLogger("shuji.monitor")
T = TypeVar("T")

TAIL_ENTRIES: Final = 20_000
"""How far back counts and surveillance are rebuilt at start: about 0.2 s of work in small pieces."""
TAIL_ROWS: Final = 5_000
LATEST: Final = 8
"""Refusals that the desk names one by one."""
SAMPLES: Final = 90
SAMPLE_S: Final = 2.0
"""The desk's curve: three minutes."""
COMMITS_SEEN: Final = 1_000
SERVER_S: Final = 5.0
"""How old what is known of PostgreSQL may be."""
PATIENCE_S: Final = 2.0
LOOK_S: Final = 1.0
"""How long a look at committed state is waited for, and at what falls due."""
DUES_OLD_S: Final = 60.0
"""How old what falls due may be where it takes long to be found."""
BUCKETS_MS: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0)
"""Upper bounds of the histogram of commits."""

Key: TypeAlias = tuple[str, str]
Counts: TypeAlias = dict[Key, int]
"""(what, which): how many. `which` is empty where there is only one kind."""


# ---- counting


def _closed(counts: Counts, event: OrderClosed) -> None:
    _add(counts, "closed", event.reason)


def _refused(counts: Counts, event: OrderRefused) -> None:
    _add(counts, "refused", event.code)
    _rules(counts, event.violated, event.unknown)


def _held(counts: Counts, event: Held) -> None:
    _add(counts, "fills", "")
    _add(counts, "held", "")
    for rule in event.violated:
        _add(counts, "holding_rule", rule)


def _trade_refused(counts: Counts, event: TradeRefused) -> None:
    _add(counts, "trades_refused", event.outcome)
    _rules(counts, event.violated, event.unknown)


def _rules(counts: Counts, violated: Iterable[str], unknown: Iterable[tuple[str, Any]]) -> None:
    for rule in violated:
        _add(counts, "rule", rule)
    for rule, _ in unknown:
        _add(counts, "undecided", rule)


def _released(counts: Counts, event: HoldReleased) -> None:
    _add(counts, "released", event.reason)


def _delivered(counts: Counts, event: Delivered) -> None:
    _add(counts, "delivered", event.step)


def _rejected(counts: Counts, event: DeliveryRejected) -> None:
    _add(counts, "delivery_rejected", "")


def _completed(counts: Counts, event: Completed) -> None:
    _add(counts, "completed", event.step)


def _refunded(counts: Counts, event: Refunded) -> None:
    _add(counts, "refunded", event.step)


def _quarantined(counts: Counts, event: Quarantined) -> None:
    _add(counts, "quarantined", "")


def _add(counts: Counts, what: str, which: str, much: int = 1) -> None:
    key = (what, which)
    counts[key] = counts.get(key, 0) + much


COUNTED: Final[dict[type, Callable[[Counts, Any], None]]] = {
    OrderClosed: _closed,
    OrderRefused: _refused,
    Held: _held,
    TradeRefused: _trade_refused,
    HoldReleased: _released,
    Delivered: _delivered,
    DeliveryRejected: _rejected,
    Completed: _completed,
    Refunded: _refunded,
    Quarantined: _quarantined,
}
"""Event: what it adds to. Placed and settled are not in it: they are the many, and `Tally.fold` has them in line."""

_PLACED: Final = {"buy": ("orders", "buy"), "sell": ("orders", "sell")}
_FILLS: Final = ("fills", "")
_SETTLED: Final = {name: ("settled", name) for name in ("posted_price", "continuous_auction", "off_venue")}
_SETTLED_FEN: Final = ("settled_fen", "")


class Tally:
    """Counts of a trading day and of everything since `since_ns` (0: nothing was counted yet)."""

    def __init__(self) -> None:
        self.since_ns = 0
        self.day_ns = 0
        """Midnight in China of the day that `today` counts."""
        self.total: Counts = defaultdict(int)
        self._before: Counts = {}
        """`total` as it was at that midnight."""

    def fold(self, at_ns: int, events: Iterable[Event]) -> None:
        if at_ns >= self.day_ns + DAY_NS:
            self.begin(at_ns)
        counts = self.total
        for event in events:
            kind = type(event)
            if kind is OrderPlaced:
                counts[_PLACED[event.side]] += 1  # type: ignore[attr-defined]
            elif kind is Settled:
                self._settled(event)  # type: ignore[arg-type]
            elif kind in COUNTED:
                COUNTED[kind](counts, event)

    def _settled(self, event: Settled) -> None:
        counts = self.total
        if event.buy_order or event.sell_order:
            counts[_FILLS] += 1
        counts[_SETTLED.get(event.mechanism) or ("settled", event.mechanism)] += 1
        counts[_SETTLED_FEN] += event.amount_fen

    def begin(self, at_ns: int) -> None:
        """The day of this instant, unless it is an earlier one."""
        start = start_of("1d", at_ns)
        if start > self.day_ns:
            self.day_ns, self._before = start, dict(self.total)
        self.since_ns = self.since_ns or at_ns

    def today(self, what: str, which: str | None = None) -> int:
        """Of one kind, or of all where none is named."""
        return count_of(self.total, what, which) - count_of(self._before, what, which)

    def ever(self, what: str, which: str | None = None) -> int:
        return count_of(self.total, what, which)

    def kinds(self, what: str) -> dict[str, int]:
        """Which: how many, the most first."""
        found = {which: count for (name, which), count in self.total.items() if name == what}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def count_of(counts: Counts, what: str, which: str | None = None) -> int:
    if which is not None:
        return counts.get((what, which), 0)
    return sum([count for (name, _), count in counts.items() if name == what])


# ---- looking


class Latest(Struct, frozen=True):
    """A refusal as it was committed; `position` is not that of the query tables."""

    sequence: int
    at_ns: int
    event: OrderRefused | TradeRefused


class Sample(Struct, frozen=True):
    """What was counted up to a moment of this process's steady clock."""

    at_s: float
    orders: int
    engine_cpu_s: float
    process_cpu_s: float


class Due(Struct, frozen=True):
    """A trade whose merchant has to deliver."""

    trade: str
    listing: str
    seller: str
    buyer: str
    state: str
    due_ns: int


class Dues(Struct, frozen=True):
    """What merchants have to deliver, as it was at `at_s` (steady clock); not `known` where it was not found in time."""

    at_s: float
    known: bool = False
    overdue: int = 0
    due_soon: int = 0
    due: tuple[Due, ...] = ()


class Server(Struct, frozen=True):
    """PostgreSQL. `failure` says why nothing is known of it."""

    failure: str = ""
    version: str = ""
    up_since_ns: int = 0
    connections: int = 0
    most_connections: int = 0
    database_bytes: int = 0
    answer_ms: float = 0.0


class Standing(Struct, frozen=True):
    """Of committed state: what is open, what stands still."""

    now_ns: int
    orders: int
    holds: int
    trades: int
    halts: tuple[Halt, ...]


class Sight(Struct, frozen=True):
    """One look at everything that is not counted. `standing` is older where the journal takes nothing now."""

    standing: Standing
    status: dict[str, Any]
    commit_ms_p50: float
    commit_ms_p99: float
    commits_seen: int
    orders_per_s: float
    engine_us_per_order: float | None
    """CPU of deciding and encoding; None where no order came lately."""
    process_us_per_order: float | None
    """CPU of this whole process, HTTP and TLS included."""
    lag_rows: int
    projector: str
    """following, starting, or why it stands still."""
    server: Server
    dues: Dues


_SERVER: Final = """
SELECT current_setting('server_version') AS version,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000000)::bigint AS up_since_ns,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('max_connections')::int AS most_connections,
    pg_database_size(current_database()) AS database_bytes
"""
_DUE_NS: Final = "CASE state WHEN 'settled' THEN delivery_due_ns ELSE redelivery_due_ns END"
_WAITING: Final = "FROM trade WHERE state IN ('settled', 'rejected')"
_DUE: Final = (
    f"SELECT count(*) FILTER (WHERE {_DUE_NS} < $1) AS overdue,"  # no value in it
    f" count(*) FILTER (WHERE {_DUE_NS} >= $1 AND {_DUE_NS} < $2) AS due_soon {_WAITING}"
)
_NEXT: Final = (
    f"SELECT id, listing, seller, buyer, state, {_DUE_NS} AS due_ns {_WAITING}"  # no value in it
    " ORDER BY due_ns, number LIMIT 8"
)
_TAIL: Final = (
    "SELECT sequence, at_ns, entries FROM journal WHERE shard = $1 AND sequence <= $2"
    " ORDER BY sequence DESC LIMIT $3"
)
_DECODE: Final = msgspec.msgpack.Decoder(Entry).decode
_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


def _look(state: State) -> Standing:
    return Standing(
        state.now_ns, len(state.orders), len(state.holds), len(state.trades), tuple(state.halts.values())
    )


def _begin_of(rows: list[Any], until: int, midnight: int) -> tuple[int, bool]:
    """Behind which journal row the counting begins, and whether all since midnight is in it. Rows are newest first."""
    left, after = TAIL_ENTRIES, until
    for row in rows[:TAIL_ROWS]:
        left -= row["entries"]
        if left < 0 or row["at_ns"] < midnight:
            return after, left >= 0
        after = row["sequence"] - 1
    return after, len(rows) <= TAIL_ROWS


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


class _Question(Generic[T]):
    """Asked again after a while; one at a time, however many look.

    A frozen server does not even let a question be called off (asyncpg waits for it to say so): the question is left
    standing until it is answered or its connection ends, and whoever looks is told that there is no answer yet.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[T] | None = None
        self._asked_s = self._answered_s = 0.0

    async def answer(self, patience_s: float, kept_s: float) -> T | None:
        """At most `kept_s` old; None where there is none in time. Raises what asking raised."""
        asked = self._asking
        if asked is None or (asked.done() and time.monotonic() - self._answered_s >= kept_s):
            self._asked_s = time.monotonic()
            asked = self._asking = asyncio.ensure_future(self._ask())
            asked.add_done_callback(self._answered)
        if not asked.done():
            left_s = self._asked_s + patience_s - time.monotonic()
            await asyncio.wait({asked}, timeout=max(0.0, left_s))
        return asked.result() if asked.done() else None

    def _answered(self, asked: "asyncio.Future[T]") -> None:
        self._answered_s = time.monotonic()
        if not asked.cancelled():
            asked.exception()  # whoever looks next gets it, if anybody does

    @property
    def is_open(self) -> bool:
        return self._asking is not None and not self._asking.done()

    def cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()


class Monitor:
    """One a venue, in the engine's process and loop."""

    def __init__(self, engine: Engine, projector: Progress, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._engine = engine
        self._projector = projector
        self._pool = pool
        self.tally = Tally()
        self.surveillance = Surveillance(self._related)
        self.latest: deque[Latest] = deque(maxlen=LATEST)
        self.samples: deque[Sample] = deque(maxlen=SAMPLES + 1)
        self.commits = [0] * (len(BUCKETS_MS) + 1)
        self.commit_ms_sum = 0.0
        self.started_ns = engine.now_ns()
        self._baseline: Counts = {}
        self._waiting: list[tuple[int, list[Outcome]]] = []
        self._rebuilt = False
        self._standing = _look(engine.state)
        self._dues = Dues(float("-inf"))
        self._looking = _Question(lambda: engine.read(_look))
        self._asking = _Question(self._ask)
        self._asking_dues = _Question(self._ask_dues)
        engine.on_entries.append(self._committed)

    def fresh(self) -> Counts:
        """Counts since this process started."""
        return {key: count - self._baseline.get(key, 0) for key, count in self.tally.total.items()}

    # --- from the engine

    def _committed(self, sequence: int, entries: list[Outcome]) -> None:
        took_ms = self._engine.commit_ms[-1]
        self.commits[bisect_left(BUCKETS_MS, took_ms)] += 1
        self.commit_ms_sum += took_ms
        if self._rebuilt and not self._waiting:
            asyncio.get_running_loop().call_soon(self._digest)
        self._waiting.append((sequence, entries))

    def _digest(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            for sequence, outcomes in waiting:
                for outcome in outcomes:
                    self._fold(sequence, outcome.at_ns, outcome.events)
        except Exception:
            log.critical("the monitor has lost count of %d commits", len(waiting), exc_info=True)

    def _fold(self, sequence: int, at_ns: int, events: tuple[Event, ...]) -> None:
        self.tally.fold(at_ns, events)
        self.surveillance.fold(sequence, at_ns, events)
        for event in events:
            kind = type(event)
            if kind is OrderRefused or kind is TradeRefused:
                assert isinstance(event, OrderRefused | TradeRefused)
                self.latest.appendleft(Latest(sequence, at_ns, event))

    def _related(self, one: str, other: str) -> bool:
        """Whether two participants are under one owner or in one group, by the register as it is."""
        people = self._engine.state.bureau.participants
        if one not in people or other not in people:
            return False
        this, that = people[one], people[other]
        if this.group_id == that.group_id != "":
            return True
        owned = this.owner_id or that.owner_id
        return bool(owned) and ultimate_owner(people, one) == ultimate_owner(people, other)

    # --- work beside the engine

    async def run(self) -> None:
        """Rebuild the day, then sample, until cancelled."""
        try:
            await self.rebuild()
            while True:
                self.sample()
                await asyncio.sleep(SAMPLE_S)
        finally:
            for question in (self._looking, self._asking, self._asking_dues):
                question.cancel()

    async def rebuild(self) -> None:
        """Count the journal's end. A database that does not answer leaves the counts to begin now."""
        until = self._waiting[0][0] - 1 if self._waiting else self._engine.sequence
        now_ns = self._engine.now_ns()
        try:
            await self._rebuild(until, now_ns)
        except (*_FAILURES, journal.JournalBroken) as error:
            log.warning("counts begin now; the day so far is not in them: %r", error)
        self.tally.begin(now_ns)
        self._baseline = dict(self.tally.total)
        self._rebuilt = True
        self._digest()

    async def _rebuild(self, until: int, now_ns: int) -> None:
        midnight = start_of("1d", now_ns)
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_TAIL, journal.SHARD, until, TAIL_ROWS + 1)
            after, is_whole = _begin_of(rows, until, midnight)
            self.tally.since_ns = midnight if is_whole else 0
            async for row in journal.rows(connection, after, until):
                for raw in journal.entries_of(row):
                    entry = _DECODE(raw)
                    if entry.at_ns >= midnight:
                        self._fold(row["sequence"], entry.at_ns, entry.events)
                await asyncio.sleep(0)

    def sample(self) -> None:
        orders = self.tally.ever("orders") + self.tally.ever("refused")
        self.samples.append(Sample(time.monotonic(), orders, self._engine.cpu_s, time.process_time()))

    def rates(self) -> list[float]:
        """Orders a second between two samples each, the oldest first."""
        samples = list(self.samples)
        return [
            (later.orders - earlier.orders) / max(later.at_s - earlier.at_s, 1e-9)
            for earlier, later in pairwise(samples)
        ]

    # --- looking

    async def sight(self) -> Sight:
        """Within `PATIENCE_S`, whatever does not answer."""
        standing, server, dues = await asyncio.gather(self._stand(), self._serve(), self._due())
        recent = list(self._engine.commit_ms)[-COMMITS_SEEN:]
        commits = sorted(recent)
        rates = self.rates()
        engine_us, process_us = self._cost()
        return Sight(
            standing,
            self._engine.status(),
            percentile(commits, 50),
            percentile(commits, 99),
            len(commits),
            rates[-1] if rates else 0.0,
            engine_us,
            process_us,
            max(0, self._engine.sequence - self._projector.sequence),
            self._projector.failure or ("following" if self._projector.connected else "starting"),
            server,
            dues,
        )

    def _cost(self) -> tuple[float | None, float | None]:
        """CPU an order in the curve's time, in microseconds: deciding it, and all that this process did."""
        if len(self.samples) < 2:
            return None, None
        first, last = self.samples[0], self.samples[-1]
        orders = last.orders - first.orders
        if not orders:
            return None, None
        return (
            (last.engine_cpu_s - first.engine_cpu_s) * 1e6 / orders,
            (last.process_cpu_s - first.process_cpu_s) * 1e6 / orders,
        )

    async def _stand(self) -> Standing:
        """Committed state; where nothing is committed now, or the engine has stopped, as it was last seen."""
        with suppress(ConnectionError):
            self._standing = await self._looking.answer(LOOK_S, 0.0) or self._standing
        return self._standing

    async def _serve(self) -> Server:
        found = await self._asking.answer(PATIENCE_S, SERVER_S)
        return found or Server(failure=f"no answer in {PATIENCE_S:.0f} s")

    async def _due(self) -> Dues:
        """Apart from the server: that these take long is not its failure."""
        self._dues = await self._asking_dues.answer(LOOK_S, SERVER_S) or self._dues
        is_old = time.monotonic() - self._dues.at_s > DUES_OLD_S
        return Dues(self._dues.at_s) if is_old else self._dues

    async def _ask(self) -> Server:
        started = time.monotonic()
        try:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(_SERVER)
        except _FAILURES as error:
            return Server(failure=str(error) or type(error).__name__)
        return Server(**row, answer_ms=(time.monotonic() - started) * 1000)

    async def _ask_dues(self) -> Dues:
        now_ns = self._engine.now_ns()
        try:
            async with self._pool.acquire() as connection:
                counted = await connection.fetchrow(_DUE, now_ns, now_ns + DAY_NS)
                due = await connection.fetch(_NEXT)
        except _FAILURES:
            return Dues(time.monotonic())
        waiting = tuple(Due(*one.values()) for one in due)
        return Dues(time.monotonic(), True, counted["overdue"], counted["due_soon"], waiting)
