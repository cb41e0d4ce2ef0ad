"""The feed: sheets of the listings that somebody follows, and readers who are told every change of them.

    engine ──commit──> waiting ──soon──> Sheet.fold ──encode once──> Message ──> ring, mailboxes of all readers

A listing that nobody follows costs a commit nothing. To follow one, its levels are read from committed state, rewound by
the journal's last rows and followed again, which also fills the ring that late readers are caught up from: so what is
told does not depend on when somebody began to listen, nor on a restart. Prints and bars of before come from the query
tables. A listing is left alone again some time after its last reader has gone.

What is told is in order of (journal sequence, listing number), which is a message's place. A reader holds a bounded
mailbox; one that does not empty it is *behind*: its mailbox is dropped, and when it reads again it gets, for each listing
that moved meanwhile, how far it knew (`gap`) and the sheet as it is then (`snapshot`).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

import asyncpg
import msgspec
from msgspec import Struct

from exchange import journal, prints, tape
from exchange.engine import Engine
from exchange.events import Entry, Refusal, Refused
from exchange.halt import key_of
from exchange.listing import VISIBLE
from exchange.matching.book import Book
from exchange.matching.orders import Side
from exchange.projector import Progress
from exchange.state import Listing, State
from exchange.tape import Bar, Change, Print, Sheet
from exchange.venue import Outcome
from exchange.web.instant import text_of
from exchange.web.problem import Refusing, refusing

log = logging.getLogger("shuji.feed")

KEPT_MESSAGES: Final = 500
"""Changes of one listing in its ring."""
KEPT_BYTES: Final = 64 << 20
"""All rings together; beyond it the largest loses the older half of what it has."""
TAIL_ROWS: Final = 256
TAIL_ENTRIES: Final = 10_000
"""How far back the journal is read to fill a ring: so many rows, and not more entries in them than that (about 30 ms)."""
MOST_WAITING: Final = 500
MOST_WAITING_BYTES: Final = 256 << 10
"""What may wait for one reader; then it is behind."""
MOST_REPLAYED: Final = 5_000
"""Changes in one replay; a reader who missed more gets snapshots."""
MOST_LISTINGS: Final = 200
"""Listings that one reader may follow."""
MOST_FOLLOWED: Final = 2_000
MOST_READERS: Final = 2_000
LINGER_S: Final = 300.0
"""How long a listing is followed after its last reader has gone: readers come back."""
PARTING_S: Final = 2.0
"""How long the stop of the venue waits for connections that take nothing any more."""
SHARE_S: Final = 0.000_25
"""Pause between two sends to one reader, for each that follows something: about a tenth of one core goes to sending."""

Levels: TypeAlias = list[tuple[int, int]]
Row: TypeAlias = tuple[int, int, list[tape.Entry]]
"""A commit: its sequence, its last instant, its entries."""


# ---- what is told


class PrintView(Struct, frozen=True, gc=False):
    """A settled trade; who the parties are is theirs."""

    trade: str
    at: str
    price_fen: int
    quantity: int
    amount_fen: int


class BarView(Struct, frozen=True, gc=False):
    """What settled in one interval; a day's begins at midnight in China."""

    start: str
    open_fen: int
    high_fen: int
    low_fen: int
    close_fen: int
    quantity: int
    amount_fen: int
    trades: int


class ChangeView(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="change"):
    """A listing after a commit. Levels are [price_fen, quantity], and 0 says that the level is gone.

    `bars` are those that the prints are in; `state` is there where the listing's changed, `halted` where a halt of the
    market, its board or the listing began or ended: the scopes that stand still now.
    """

    sequence: int
    listing: str
    at: str
    bids: Levels = []
    asks: Levels = []
    trades: list[PrintView] = []
    bars: dict[str, BarView] = {}
    state: str = ""
    halted: list[str] | None = None


class SnapshotView(Struct, frozen=True, tag_field="type", tag="snapshot"):
    """A listing as of `sequence`: all levels, the last print, the newest bars.

    `halted` are the scopes of halts that stand (market, board, listing); `previous_close_fen` is the last price before the
    day of the daily bar.
    """

    sequence: int
    listing: str
    at: str
    state: str
    bids: Levels
    asks: Levels
    last: PrintView | None
    bars: dict[str, BarView]
    halted: list[str]
    previous_close_fen: int | None


class GapView(Struct, frozen=True, tag_field="type", tag="gap"):
    """Changes of this listing behind `after` are not told one by one; its snapshot follows."""

    listing: str
    after: int


class CurrentView(Struct, frozen=True, tag_field="type", tag="current"):
    """Everything up to and with this sequence has been told."""

    sequence: int


def print_view(one: Print) -> PrintView:
    return PrintView(one.trade, text_of(one.at_ns), one.price_fen, one.quantity, one.amount_fen)


def bar_view(bar: Bar) -> BarView:
    start = text_of(bar.start_ns)
    return BarView(
        start,
        bar.open_fen,
        bar.high_fen,
        bar.low_fen,
        bar.close_fen,
        bar.quantity,
        bar.amount_fen,
        bar.trades,
    )


def _bars(bars: dict[str, Bar]) -> dict[str, BarView]:
    return {interval: bar_view(bar) for interval, bar in bars.items()}


Place: TypeAlias = tuple[int, int]
"""(journal sequence, listing number) of a change; the number is `BEHIND_ALL` where all of that sequence is meant."""
BEHIND_ALL: Final = 1 << 62

_ENCODE: Final = msgspec.json.Encoder().encode


class Message(Struct, frozen=True):
    """One message, encoded once for all readers: as a line of a WebSocket's text, and as an event of SSE.

    `place` is None where a reader cannot go on from it.
    """

    listing: str
    place: Place | None
    line: str
    event: bytes

    @property
    def size(self) -> int:
        return len(self.event)

    @property
    def kept_bytes(self) -> int:
        return len(self.line) + len(self.event)


def _message(view: Struct, listing: str = "", place: Place | None = None) -> Message:
    body = _ENCODE(view)
    identifier = "" if place is None else f"id: {place_text(place)}\n"
    kind = view.__struct_config__.tag
    return Message(
        listing, place, body.decode(), f"event: {kind}\n{identifier}data: ".encode() + body + b"\n\n"
    )


def place_text(place: Place) -> str:
    """`812.3` is the change of listing L3 in commit 812, `812` everything up to that commit."""
    return str(place[0]) if place[1] == BEHIND_ALL else f"{place[0]}.{place[1]}"


def place_of(text: str) -> Place:
    """Raises ValueError."""
    sequence, dot, number = text.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 17 for part in (sequence, number or "0")):
        raise ValueError(f"{text[:40]!r} is no place in the feed")
    return int(sequence), int(number) if dot else BEHIND_ALL


def _number(listing: str) -> int:
    return int(listing[1:])


def _told(change: Change) -> Message:
    view = ChangeView(
        change.sequence,
        change.listing,
        text_of(change.at_ns),
        change.bids,
        change.asks,
        [print_view(one) for one in change.prints],
        _bars(change.bars),
        change.state,
        change.halted,
    )
    return _message(view, change.listing, (change.sequence, _number(change.listing)))


# ---- readers


class Reader:
    """A mailbox of bounded size and the listings it is for. `take` empties it."""

    __slots__ = (
        "_bytes",
        "_emptied",
        "_opening",
        "_waiting",
        "_woken",
        "behind",
        "closed",
        "idle_since",
        "listings",
    )

    def __init__(self) -> None:
        self.listings: dict[str, None] = {}
        self.behind: dict[str, int] = {}
        """Listings whose changes were dropped: the last sequence that was told."""
        self.closed = False
        self.idle_since: float | None = time.monotonic()
        """Since when it follows nothing (steady clock)."""
        self._waiting: deque[Message] = deque()
        self._opening: list[Message] = []
        self._bytes = 0
        self._woken = asyncio.Event()
        self._emptied = asyncio.Event()

    def put(self, message: Message) -> None:
        if self.behind:
            self._miss(message)
        elif len(self._waiting) >= MOST_WAITING or self._bytes + message.size > MOST_WAITING_BYTES:
            for waiting in self._waiting:
                self._miss(waiting)
            self._miss(message)
            self._waiting.clear()
            self._bytes = 0
        else:
            self._waiting.append(message)
            self._bytes += message.size
        self._woken.set()

    def _miss(self, message: Message) -> None:
        assert message.place is not None
        self.behind.setdefault(message.listing, message.place[0] - 1)

    def open(self, messages: list[Message]) -> None:
        """What a reader begins with, behind what it took, before all that comes. Bounded by what may be asked for."""
        self._opening = messages
        self._emptied.clear()
        self._woken.set()

    async def emptied(self) -> None:
        """Until what it was opened with has been taken: whoever asks and does not read is not heard meanwhile."""
        await self._emptied.wait()

    def close(self) -> None:
        self.closed = True
        self._woken.set()
        self._emptied.set()

    async def ready(self) -> None:
        """Until there is something to take, or the reader is closed."""
        while not (self.closed or self._opening or self._waiting or self.behind):
            self._woken.clear()
            await self._woken.wait()

    def take(self) -> list[Message]:
        taken = [*self._opening, *self._waiting]
        self._opening = []
        self._waiting.clear()
        self._bytes = 0
        self._emptied.set()
        return taken


# ---- the feed


class _Followed:
    """A listing that is followed: its sheet, its newest changes, who reads it."""

    __slots__ = ("_snapshot", "begins", "kept_bytes", "leaving", "readers", "ring", "sheet")

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.begins = sheet.sequence
        """Changes behind this sequence are in the ring."""
        self.ring: deque[Message] = deque()
        self.kept_bytes = 0
        self.readers: dict[Reader, None] = {}
        self.leaving: asyncio.TimerHandle | None = None
        self._snapshot: tuple[int, Message] | None = None

    def fold(self, sequence: int, at_ns: int, move: tape.Move) -> Message:
        message = _told(self.sheet.fold(sequence, at_ns, move))
        if len(self.ring) >= KEPT_MESSAGES:
            self._forget()
        self.ring.append(message)
        self.kept_bytes += message.kept_bytes
        return message

    def _forget(self) -> None:
        """The oldest change."""
        oldest = self.ring.popleft()
        assert oldest.place is not None
        self.begins = oldest.place[0]
        self.kept_bytes -= oldest.kept_bytes

    def halve(self) -> int:
        """Forget the older half, by bytes; how many bytes that were."""
        before = self.kept_bytes
        while self.kept_bytes > before // 2:
            self._forget()
        return before - self.kept_bytes

    def snapshot(self) -> Message:
        """The sheet as it is. Encoded once for all who ask before it moves."""
        sheet = self.sheet
        if self._snapshot is None or self._snapshot[0] != sheet.sequence:
            bids, asks = sheet.depth()
            latest = print_view(sheet.last) if sheet.last is not None else None
            at = text_of(sheet.at_ns)
            view = SnapshotView(
                sheet.sequence, sheet.listing, at, sheet.state, bids, asks, latest, _bars(sheet.bars),
                sheet.halted, sheet.previous_fen or None,
            )  # fmt: skip
            self._snapshot = (sheet.sequence, _message(view, sheet.listing))
        return self._snapshot[1]

    def since(self, place: Place) -> list[Message] | None:
        """The changes behind a place; None where the ring does not reach back that far."""
        if place < (self.begins, _number(self.sheet.listing)):
            return None
        return [message for message in self.ring if message.place is not None and message.place > place]


class Feed:
    """Follows listings for whoever asks. One a venue, in the engine's process and loop."""

    def __init__(self, engine: Engine, projector: Progress, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._engine = engine
        self._projector = projector
        self._pool = pool
        self._followed: dict[str, _Followed] = {}
        self._boards: dict[str, str] = {}
        """Board of each listing that is followed: halts of a board and of the market reach it."""
        self._waiting: list[tuple[int, list[Outcome]]] = []
        self._beginning: list[Row] | None = None
        """Commits since somebody began to follow new listings, until these are followed."""
        self._lock = asyncio.Lock()
        self._readers: dict[Reader, None] = {}
        self._following = 0
        """Readers that follow something."""
        self._kept_bytes = 0
        """In the rings of all listings that are followed."""
        self.closing = asyncio.Event()
        self._connections: list[object] = []
        self._quiet = asyncio.Event()
        engine.on_entries.append(self._committed)

    # --- from the engine

    def _committed(self, sequence: int, entries: list[Outcome]) -> None:
        """Nothing where nobody follows anything; else soon, so that the answers of this commit go first."""
        if self._followed or self._beginning is not None:
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._digest)
            self._waiting.append((sequence, entries))

    def _digest(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            for sequence, outcomes in waiting:
                entries: list[tape.Entry] = [(outcome.at_ns, outcome.events) for outcome in outcomes]
                row = (sequence, outcomes[-1].at_ns, entries)
                if self._beginning is not None:
                    self._beginning.append(row)
                self._kept_bytes += self._fold(row, self._followed)
            self._keep_within()
        except Exception:
            log.critical("the feed has lost the market and begins anew", exc_info=True)
            self._begin_anew()

    def _fold(self, row: Row, followed: dict[str, _Followed]) -> int:
        """By how many bytes the rings have grown."""
        sequence, at_ns, entries = row
        moves = tape.moves(entries, followed, self._boards)
        grown = 0
        for listing in sorted(moves, key=_number):
            one = followed[listing]
            grown -= one.kept_bytes
            message = one.fold(sequence, at_ns, moves[listing])
            grown += one.kept_bytes
            for reader in one.readers:
                reader.put(message)
        return grown

    def _keep_within(self) -> None:
        while self._kept_bytes > KEPT_BYTES:
            largest = max(self._followed.values(), key=lambda followed: followed.kept_bytes)
            self._kept_bytes -= largest.halve()

    def _begin_anew(self) -> None:
        """Let go of everything: readers are told to come again, and get snapshots."""
        for followed in self._followed.values():
            if followed.leaving is not None:
                followed.leaving.cancel()
        self._followed, self._boards = {}, {}
        self._kept_bytes = 0
        self._beginning = None
        for reader in list(self._readers):
            reader.close()

    @property
    def sequence(self) -> int:
        """How far what is told has come."""
        return self._waiting[0][0] - 1 if self._waiting else self._engine.sequence

    # --- following

    def sheet(self, listing: str) -> Sheet:
        """Of a listing that is followed."""
        return self._followed[listing].sheet

    async def follow(self, listings: Sequence[str]) -> None:
        """Have these followed from now on, for a while at least. Refuses what is not public.

        Raises what a database that is not there raises. Nothing waits between the end of this and the caller.
        """
        async with self._lock:
            new = [listing for listing in dict.fromkeys(listings) if listing not in self._followed]
            if new:
                self._make_room(len(new), listings)
                await self._projector.caught_up(self._engine.sequence)
                self._beginning = []
                try:
                    await self._begin(new)
                finally:
                    self._beginning = None
        for listing in listings:
            self._linger(listing)

    def _make_room(self, wanted: int, asked: Sequence[str]) -> None:
        """Where too many are followed, those go first that nobody reads any more or asks for now. Refuses where that is
        not enough."""
        kept = set(asked)
        for listing in kept & self._followed.keys():
            self._linger(listing)
        idle = [
            listing
            for listing, followed in self._followed.items()
            if not followed.readers and listing not in kept
        ]
        for listing in idle[: max(0, len(self._followed) + wanted - MOST_FOLLOWED)]:
            self._leave(listing, self._followed[listing])
        if len(self._followed) + wanted > MOST_FOLLOWED:
            raise Refusing(Refused.overloaded, "too many listings are followed: try again later")

    async def _begin(self, listings: list[str]) -> None:
        """Newest levels, rewound by the journal's end, followed again up to now."""
        now_ns, bases = await self._bases(listings)
        begin, tail = await self._tail()
        await self._projector.caught_up(begin[0])
        sheets = {}
        for listing, base in bases.items():
            sheet = sheets[listing] = Sheet(listing, base.state, *begin, base.board)
            sheet.bids, sheet.asks, sheet.standing = dict(base.bids), dict(base.asks), base.halts
            sheet.last, sheet.bars, sheet.previous_fen = await prints.newest(self._pool, listing, begin[1])
        self._digest()
        if self._beginning is None:
            raise Refusing(Refused.overloaded, "the feed begins anew: try again in a second")
        known = tail[-1][0] if tail else begin[0]
        tail += [row for row in self._beginning if row[0] > known]
        seen = [entry for _, _, entries in tail for entry in entries if entry[0] <= now_ns]
        boards = {listing: base.board for listing, base in bases.items()}
        self._boards.update(boards)
        for listing, move in tape.moves(seen, sheets, boards).items():
            sheets[listing].rewound(move)
        followed = {listing: _Followed(sheet) for listing, sheet in sheets.items()}
        for row in tail:
            self._fold(row, followed)
        self._followed.update(followed)
        self._kept_bytes += sum([one.kept_bytes for one in followed.values()])
        self._keep_within()

    async def _bases(self, listings: list[str]) -> tuple[int, "dict[str, _Base]"]:
        """The instant of the state that was looked at, and each listing then. Committed."""

        def look(state: State) -> tuple[int, dict[str, _Base]] | Refusal:
            found = {}
            for identifier in listings:
                listing = state.listings.get(identifier)
                if listing is None or listing.state not in VISIBLE:
                    return Refusal(Refused.not_found, f"there is no public listing {identifier[:40]}")
                book = state.books.get(identifier)
                halts = {scope: key in state.halts for scope, key in _halt_keys(listing).items()}
                found[identifier] = _Base(
                    listing.state, listing.board, halts, _levels(book, "buy"), _levels(book, "sell")
                )
            return state.now_ns, found

        looked = await self._engine.read(look)
        if isinstance(looked, Refusal):
            raise refusing(looked, self._engine.now_ns())
        return looked

    async def _tail(self) -> tuple[tuple[int, int], list[Row]]:
        """The journal's last rows, and the (sequence, instant) that they begin behind."""
        until = self._engine.sequence
        async with self._pool.acquire() as connection:
            found = await connection.fetch(_TAIL, journal.SHARD, until - TAIL_ROWS, until)
        rows: list[Row] = []
        left = TAIL_ENTRIES
        for record in found:
            sequence, at_ns = record["sequence"], record["at_ns"]
            left -= record["entries"]
            entries = _entries(record) if left >= 0 and sequence > until - TAIL_ROWS else []
            if not entries or not tape.is_told(entries):
                return (sequence, at_ns), rows[::-1]
            rows.append((sequence, at_ns, entries))
            await asyncio.sleep(0)
        return (0, 0), rows[::-1]

    def _linger(self, listing: str) -> None:
        """Without readers a listing is followed for a while, and then no more."""
        followed = self._followed.get(listing)
        if followed is None:
            return
        if followed.leaving is not None:
            followed.leaving.cancel()
        followed.leaving = asyncio.get_running_loop().call_later(LINGER_S, self._leave, listing, followed)

    def _leave(self, listing: str, followed: _Followed) -> None:
        if followed.leaving is not None:
            followed.leaving.cancel()
            followed.leaving = None
        if not followed.readers and self._followed.get(listing) is followed:
            del self._followed[listing]
            self._kept_bytes -= followed.kept_bytes
            self._boards.pop(listing, None)

    # --- readers

    def join(self) -> Reader:
        """A new reader, of nothing yet. Refuses one too many."""
        if self.closing.is_set() or len(self._readers) >= MOST_READERS:
            raise Refusing(Refused.overloaded, "the feed takes no more readers now: try again in a second")
        reader = Reader()
        self._readers[reader] = None
        return reader

    def part(self, reader: Reader) -> None:
        self._readers.pop(reader, None)
        self.unsubscribe(reader, list(reader.listings))

    async def subscribe(self, reader: Reader, listings: Sequence[str], since: Place | None = None) -> None:
        """Tell the reader of these listings: from a place on, or from now on with a snapshot of each."""
        wanted = [listing for listing in dict.fromkeys(listings) if listing not in reader.listings]
        if len(reader.listings) + len(wanted) > MOST_LISTINGS:
            raise Refusing(Refused.out_of_bounds, f"one reader follows at most {MOST_LISTINGS} listings")
        await self.follow(wanted)
        if wanted and reader.idle_since is not None:
            reader.idle_since = None
            self._following += 1
        for listing in wanted:
            reader.listings[listing] = None
            self._followed[listing].readers[reader] = None
        reader.open([*self.take(reader), *self._catch_up(dict.fromkeys(wanted, since))])

    def unsubscribe(self, reader: Reader, listings: Iterable[str]) -> None:
        for listing in listings:
            reader.listings.pop(listing, None)
            reader.behind.pop(listing, None)
            followed = self._followed.get(listing)
            if followed is not None and followed.readers.pop(reader, reader) is None:
                self._linger(listing)
        if reader.idle_since is None and not reader.listings:
            reader.idle_since = time.monotonic()
            self._following -= 1

    def take(self, reader: Reader) -> list[Message]:
        """Everything that waits for the reader; of what it missed the newest, and that it missed it."""
        taken = reader.take()
        if reader.behind:
            missed, reader.behind = reader.behind, {}
            for listing, after in missed.items():
                taken += self._snapshot(listing, after)
            taken.append(_current(self.sequence))
        return taken

    def _catch_up(self, since: dict[str, Place | None]) -> list[Message]:
        replayed: list[Message] = []
        begun: list[Message] = []
        for listing, place in since.items():
            changes = (
                self._followed[listing].since(place) if place is not None and self._is_past(place) else None
            )
            if changes is None or len(replayed) + len(changes) > MOST_REPLAYED:
                begun += self._snapshot(listing, None if place is None else place[0])
            else:
                replayed += changes
        replayed.sort(key=lambda message: message.place or (0, 0))
        # Snapshots have no place to go on from: behind them, so that whoever is cut off in between gets them again.
        return [*begun, *replayed, _current(self.sequence)]

    def _is_past(self, place: Place) -> bool:
        """A place ahead of the journal is another venue's, or one that was restored to an earlier instant."""
        return place[0] <= self.sequence

    def _snapshot(self, listing: str, after: int | None) -> list[Message]:
        gap = [] if after is None else [_message(GapView(listing, after), listing)]
        return [*gap, self._followed[listing].snapshot()]

    @property
    def pause_s(self) -> float:
        """How long to leave a reader alone between two sends: what comes meanwhile goes out together."""
        return self._following * SHARE_S

    # --- the end

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """An open connection that ends by itself once `closing` is set."""
        me = object()
        self._connections.append(me)
        try:
            yield
        finally:
            self._connections.remove(me)
            if not self._connections:
                self._quiet.set()

    @property
    def connections(self) -> int:
        """Of readers who still take something."""
        return len(self._connections)

    async def close(self) -> None:
        """The venue stops: open connections say what they still have to say and end. Waits a little for them."""
        self.closing.set()
        for reader in list(self._readers):
            reader.close()
        if self._connections:
            self._quiet.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(PARTING_S):
                    await self._quiet.wait()


def _current(sequence: int) -> Message:
    return _message(CurrentView(sequence), "", (sequence, BEHIND_ALL))


class _Base(Struct):
    """A listing in committed state."""

    state: str
    board: str
    halts: dict[str, bool]
    bids: Levels
    asks: Levels


def _halt_keys(listing: Listing) -> dict[str, str]:
    """Scope, and where a halt of it that reaches this listing stands in the state."""
    subjects = {"market": "", "board": listing.board, "listing": listing.id}
    return {scope: key_of(scope, subject) for scope, subject in subjects.items()}


def _levels(book: Book | None, side: Side) -> Levels:
    """All levels of a side."""
    if book is None:
        return []
    return [(price, quantity) for price, quantity, _ in book.depth(side, len(book))]


_TAIL: Final = (
    "SELECT sequence, at_ns, schema, entries, body FROM journal"
    " WHERE shard = $1 AND sequence >= $2 AND sequence <= $3 ORDER BY sequence DESC"
)
_ENTRY: Final = msgspec.msgpack.Decoder(Entry)


def _entries(record: asyncpg.Record) -> list[tape.Entry]:
    decoded = map(_ENTRY.decode, journal.entries_of(record))
    return [(entry.at_ns, entry.events) for entry in decoded]
