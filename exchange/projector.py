"""Behind the journal: fills the query tables, checks them, reads them.

`Projector` follows the journal. One transaction takes the next rows of the journal, brings in the table
rows that they are about, folds (`exchange.projection`), writes what changed and moves the cursor: each
event counts exactly once, whatever is killed when. That transaction does not wait for the disk
(`synchronous_commit` off): what a power cut takes back, rows and cursor together, is projected again from
the journal, which did wait.

Reading is by page, newest first, each page an index range. A cursor is opaque to callers; one that is not
ours raises `CursorInvalid`. A read that must include the caller's last write waits for
`Projector.caught_up` first.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import asyncpg
import msgspec
from msgspec import Struct

from credit.credential import Claims
from exchange.attributes import Attributes
from exchange.events import (
    AnyEvent,
    AuctionClosed,
    AuctionOpened,
    BidEnded,
    BidPlaced,
    BidRevealed,
    BillDefaulted,
    BillDisputed,
    BillLowered,
    BillMade,
    BillPaid,
    BillRefunded,
    BillReminded,
    CaseMoved,
    Completed,
    CompletionPostponed,
    CredentialMoved,
    CureOvertaken,
    Delivered,
    Delivery,
    DeliveryRejected,
    DepartureAccepted,
    DepartureBegun,
    DepartureDone,
    DisputeAnswered,
    DutyBroken,
    DutyMoved,
    DutyRescheduled,
    EntitlementEnded,
    EntitlementMoved,
    EntitlementReminded,
    EntitlementRenewed,
    Entry,
    FactsAmended,
    Held,
    HoldChanged,
    HoldCured,
    HoldReleased,
    IdentityResubmitted,
    KeyIssued,
    ListingCreated,
    ListingMoved,
    ListingRevised,
    MandateEnded,
    MandateUsed,
    NeedMoved,
    NeedShortlisted,
    OrderCameIn,
    OrderClosed,
    OrderReduced,
    OrderReplaced,
    PassedOn,
    PlanBegun,
    PlanSet,
    PriceLowered,
    ProposalAwarded,
    ProposalCountered,
    ProposalMade,
    ProposalMarked,
    ProposalRevised,
    ProposalWithdrawn,
    Refunded,
    RefundPaid,
    ReportEnded,
    ReserveOpened,
    Reversed,
    Settled,
    Stage,
    SubscriptionMoved,
    TradeRefused,
    TradeReported,
)
from exchange.journal import SHARD, editions, entries_of
from exchange.matching.metering import Line, Plan
from exchange.matching.negotiation import Criterion
from exchange.projection import (
    AccreditationRow,
    AuctionRecord,
    BidRecord,
    BillRecord,
    CallAuctionRecord,
    CaseRecord,
    CredentialRecord,
    DepartureRecord,
    DutyRecord,
    EntitlementRecord,
    GradeRecord,
    Kept,
    LeafRecord,
    ListingDayRecord,
    ListingRecord,
    MandateRecord,
    NeedRecord,
    Offer,
    OrderRecord,
    ParticipantName,
    PostingRecord,
    ProductRecord,
    ProposalRecord,
    RefusalRecord,
    ReportRecord,
    Shares,
    SubscriptionRecord,
    TradeRecord,
    Unknown,
    UsageRow,
    View,
    fold,
    is_order,
    number_of,
)

LOG = logging.getLogger(__name__)

CHUNK_ENTRIES: Final = 1_000
"""Journal entries projected in one transaction; a single journal row may be more."""
CHUNK_ROWS: Final = 256
"""Journal rows looked at for one chunk."""
SLICE_EVENTS: Final = 200
"""After so many folded events, and after each journal row read, other tasks of the event loop have their turn."""
PACE_S: Final = 0.02
"""Commits within this time are projected together, unless a reader waits for one of them."""
FIRST_PAUSE_S: Final = 0.05
LAST_PAUSE_S: Final = 5.0
CAUGHT_UP_S: Final = 10.0
COMPARED_ROWS: Final = 1_000
"""Table rows that `compare` fetches at a time."""

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.TransactionRollbackError,
)
"""What a lost or restarting server raises. A kill in the middle of COPY is an InternalClientError."""

_ENTRY: Final = msgspec.msgpack.Decoder(Entry)

CURSOR: Final = (
    "SELECT sequence, rulebook_sha256, (SELECT begins FROM evidence_log WHERE shard = $1) AS leaves_from"
    " FROM projection WHERE shard = $1"
)

BY_KEY_ONLY: Final = "SET enable_seqscan = off"
"""The planner does not know how few rows are staged, and would read a whole table for each chunk to change some of it."""

Pool = Any
"""An asyncpg pool: it has no types of its own."""


class ProjectorStopped(Exception):
    """The projector met what it cannot project: a corrupt journal row or a bug. It says which."""


class CursorInvalid(ValueError):
    """A page cursor that this venue did not give out."""


# ------------------------------------------------------------------------------------------------- tables

Row = TypeVar("Row", bound=Struct)


class Table(Generic[Row]):
    """One query table: the columns are the fields of its row, tuples of text are text[], the rest of `json`
    jsonb.
    """

    def __init__(
        self, name: str, row: type[Row], key: tuple[str, ...], json: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.row = row
        self.key = key
        self.fields = row.__struct_fields__
        self.columns = ", ".join([f'"{field}"' for field in self.fields])
        self.json = [(self.fields.index(field), type_) for field, type_ in (json or {}).items()]
        types = {field.name: field.type for field in msgspec.structs.fields(row)}
        self.arrays = [at for at, field in enumerate(self.fields) if types[field] == tuple[str, ...]]

    def values(self, row: Row) -> tuple[Any, ...]:
        """The row as PostgreSQL takes it."""
        values = msgspec.structs.astuple(row)
        if not self.json:
            return values
        filled = list(values)
        for at, _ in self.json:
            if filled[at] is not None:
                filled[at] = msgspec.json.encode(filled[at]).decode()
        return tuple(filled)

    def row_of(self, record: Sequence[Any]) -> Row:
        """The row that PostgreSQL gave, its columns in the order of the fields."""
        values = list(record)
        for at in self.arrays:
            values[at] = tuple(values[at])
        for at, type_ in self.json:
            if values[at] is not None:
                values[at] = msgspec.json.decode(values[at], type=type_)
        return self.row(**dict(zip(self.fields, values, strict=True)))

    def select(self, condition: str) -> str:
        """A statement over this table; the condition is written in this package, never by a caller."""
        return f'SELECT {self.columns} FROM "{self.name}" {condition}'  # noqa: S608

    def stage(self) -> str:
        """A table of this connection alone, of the same shape, for rows that are to be changed."""
        return (
            f'CREATE TEMP TABLE IF NOT EXISTS "changed_{self.name}" (LIKE "{self.name}" INCLUDING DEFAULTS)'
            " ON COMMIT DELETE ROWS"
        )

    def update(self) -> str:
        """Give the rows staged their new values."""
        settings = ", ".join(
            [f'"{field}" = fresh."{field}"' for field in self.fields if field not in self.key]
        )
        same = " AND ".join([f'old."{field}" = fresh."{field}"' for field in self.key])
        return f'UPDATE "{self.name}" AS old SET {settings} FROM "changed_{self.name}" AS fresh WHERE {same}'  # noqa: S608


PARTICIPANTS: Final = Table("participant_name", ParticipantName, ("id",))
PRODUCTS: Final = Table("product_record", ProductRecord, ("number",))
LISTINGS: Final = Table("listing_search", ListingRecord, ("number",), {"attributes": Attributes})
ORDERS: Final = Table("order_record", OrderRecord, ("number",))
TRADES: Final = Table(
    "trade", TradeRecord, ("number",), {"shares": Shares, "unknown": Unknown, "delivery": Delivery | None}
)
ENTITLEMENTS: Final = Table("entitlement", EntitlementRecord, ("number",))
DUTIES: Final = Table("duty", DutyRecord, ("number",))
DAYS: Final = Table("listing_day", ListingDayRecord, ("number",))
REPORTS: Final = Table("trade_report", ReportRecord, ("number",))
NEEDS: Final = Table(
    "need", NeedRecord, ("number",), {"criteria": tuple[Criterion, ...], "stages": tuple[Stage, ...]}
)
PROPOSALS: Final = Table(
    "proposal",
    ProposalRecord,
    ("number",),
    {
        "figures": dict[str, int],
        "marks": dict[str, int],
        "offers": tuple[Offer, ...],
        "points_bp": tuple[int, ...],
    },
)
AUCTIONS: Final = Table("auction", AuctionRecord, ("number",))
BIDS: Final = Table("bid", BidRecord, ("number",))
SUBSCRIPTIONS: Final = Table(
    "subscription", SubscriptionRecord, ("number",), {"plan": Plan, "next_plan": Plan | None}
)
BILLS: Final = Table("bill", BillRecord, ("number",), {"lines": tuple[Line, ...], "shares": Shares})
DEPARTURES: Final = Table("departure", DepartureRecord, ("number",))
CREDENTIALS: Final = Table("credential", CredentialRecord, ("number",), {"claims": Claims})
MANDATES: Final = Table("mandate", MandateRecord, ("number",))
USAGE: Final = Table("usage_record", UsageRow, ("sequence", "position"))
ACCREDITATIONS: Final = Table("accreditation_step", AccreditationRow, ("sequence", "position"))
LEAVES: Final = Table("evidence_leaf", LeafRecord, ("id", "sequence", "position"))
POSTINGS: Final = Table("posting", PostingRecord, ("sequence", "position"))
REFUSALS: Final = Table("refusal", RefusalRecord, ("sequence", "position"), {"unknown": Unknown})

CALL_AUCTIONS: Final = Table("call_auction", CallAuctionRecord, ("sequence", "position"))
CASES: Final = Table("credit_case", CaseRecord, ("number",))
GRADES: Final = Table("credit_grade", GradeRecord, ("sequence", "position"))


def kept_of(view: View) -> tuple[tuple[Table[Any], Kept[Any]], ...]:
    """The tables whose rows have ids, with their part of the view."""
    return (
        (PARTICIPANTS, view.participants),
        (PRODUCTS, view.products),
        (LISTINGS, view.listings),
        (ORDERS, view.orders),
        (TRADES, view.trades),
        (ENTITLEMENTS, view.entitlements),
        (DUTIES, view.duties),
        (REPORTS, view.reports),
        (DAYS, view.days),
        (NEEDS, view.needs),
        (PROPOSALS, view.proposals),
        (AUCTIONS, view.auctions),
        (BIDS, view.bids),
        (SUBSCRIPTIONS, view.subscriptions),
        (BILLS, view.bills),
        (DEPARTURES, view.departures),
        (CREDENTIALS, view.credentials),
        (CASES, view.cases),
        (MANDATES, view.mandates),
    )


STAGED: Final = tuple(table for table, _ in kept_of(View()))
"""All of them: whatever has an id may change."""


# -------------------------------------------------------------------------------------- a chunk of journal


Happened = tuple[int, int, AnyEvent]
"""An event with the sequence of its journal row and its instant."""


def decode(rows: Iterable[Any]) -> list[Happened]:
    """The events of some journal rows, in order. Raises JournalBroken for a body that is none."""
    events: list[Happened] = []
    for row in rows:
        for raw in entries_of(row):
            entry = _ENTRY.decode(raw)
            for event in entry.events:
                events.append((row["sequence"], entry.at_ns, event))
    return events


class Wanted(Struct):
    """Ids of rows that a chunk is about; dictionaries, for their order."""

    participants: dict[str, None] = {}
    products: dict[str, None] = {}
    listings: dict[str, None] = {}
    listings_of: dict[str, None] = {}
    orders: dict[str, None] = {}
    trades: dict[str, None] = {}
    entitlements: dict[str, None] = {}
    duties: dict[str, None] = {}
    days_of: dict[str, None] = {}
    reports: dict[str, None] = {}
    needs: dict[str, None] = {}
    proposals: dict[str, None] = {}
    auctions: dict[str, None] = {}
    bids: dict[str, None] = {}
    subscriptions: dict[str, None] = {}
    bills: dict[str, None] = {}
    departures: dict[str, None] = {}
    credentials: dict[str, None] = {}
    cases: dict[str, None] = {}
    mandates: dict[str, None] = {}


def want(wanted: Wanted, events: Iterable[Happened]) -> None:
    """Note what to bring in before folding; rows that the chunk itself makes are among it and are not found."""
    for _, _, event in events:
        match event:
            case Settled() | Held() | TradeRefused():
                wanted.listings[event.listing] = wanted.days_of[event.listing] = None
                wanted.orders[event.buy_order] = wanted.orders[event.sell_order] = None
                if event.buy_order == event.trade:  # a cured hold is paid out of its own reservation
                    wanted.trades[event.trade] = None
            case OrderClosed() | OrderCameIn() | OrderReplaced() | OrderReduced():
                wanted.orders[event.order] = None
            case HoldChanged():
                wanted.trades[event.trade] = None
            case HoldCured() | HoldReleased() | Delivered() | DeliveryRejected() | Completed() | Refunded():
                wanted.trades[event.trade] = None
            case CureOvertaken() if event.trade:
                wanted.trades[event.trade] = None
            case PriceLowered() | RefundPaid() | CompletionPostponed():
                wanted.trades[event.trade] = None
            case Reversed() if event.trade:
                wanted.trades[event.transaction] = None
            case KeyIssued() | EntitlementEnded() | EntitlementMoved():
                wanted.entitlements[event.entitlement] = None
            case EntitlementReminded() | EntitlementRenewed():
                wanted.entitlements[event.entitlement] = None
            case DutyMoved():
                wanted.duties[event.duty] = None
                if event.kind == "deletion" and event.entitlement:
                    wanted.entitlements[event.entitlement] = None
            case DutyBroken() | DutyRescheduled():
                wanted.duties[event.duty] = None
            case NeedMoved():
                wanted.needs[event.need] = None
                wanted.proposals.update(dict.fromkeys((*event.opened, *event.closed)))
            case NeedShortlisted():
                wanted.needs[event.need] = None
                wanted.proposals.update(dict.fromkeys((*event.kept, *event.eliminated)))
            case ProposalMade():
                wanted.needs[event.need] = None
            case ProposalAwarded():
                wanted.needs[event.need] = wanted.proposals[event.proposal] = None
                wanted.proposals.update(dict.fromkeys(row.id for row in event.ranking))
            case ProposalRevised() | ProposalCountered() | ProposalWithdrawn() | ProposalMarked():
                wanted.proposals[event.proposal] = None
            case ListingCreated():
                wanted.participants[event.merchant] = wanted.products[event.product] = None
            case IdentityResubmitted():
                wanted.participants[event.participant] = None
            case ListingRevised() | ListingMoved():
                wanted.listings[event.listing] = None
            case FactsAmended():
                wanted.products[event.product] = wanted.listings_of[event.product] = None
            case AuctionOpened():
                wanted.listings[event.listing] = None
            case ReserveOpened():
                wanted.auctions[event.listing] = None
            case BidPlaced():
                wanted.auctions[event.listing] = None
                if event.outbid:
                    wanted.bids[event.outbid] = None
            case BidRevealed():
                wanted.auctions[event.listing] = wanted.bids[event.bid] = None
            case BidEnded():
                wanted.bids[event.bid] = None
            case AuctionClosed():
                wanted.auctions[event.listing] = None
            case _:
                _want_further(wanted, event)


def _want_further(wanted: Wanted, event: AnyEvent) -> None:
    """Of reports, of subscriptions, their bills and their listings' plans."""
    match event:
        case TradeReported() if event.matches:
            wanted.reports[event.matches] = None
        case ReportEnded():
            wanted.reports[event.report] = None
        case SubscriptionMoved():
            wanted.subscriptions[event.subscription] = None
        case BillMade() if event.kind == "month":
            wanted.subscriptions[event.subscription] = None
        case PlanSet():
            wanted.listings[event.listing] = None
            wanted.subscriptions.update(dict.fromkeys(row for row, _ in event.binds))
        case PlanBegun():
            wanted.listings[event.listing] = None
        case BillPaid() | BillReminded() | BillDefaulted() | BillDisputed() | DisputeAnswered():
            wanted.bills[event.bill] = None
        case BillLowered() | BillRefunded():
            wanted.bills[event.bill] = None
        case DepartureBegun() | DepartureAccepted() | DepartureDone():
            wanted.departures[event.participant] = None
        case MandateEnded():
            wanted.mandates[event.mandate] = None
        case MandateUsed():
            wanted.mandates[event.mandate] = wanted.orders[event.order] = None
        case PassedOn():
            _want_passing(wanted, event)
        case CredentialMoved():
            wanted.credentials[event.credential] = None
        case CaseMoved():
            wanted.cases[event.case] = None


def _want_passing(wanted: Wanted, event: PassedOn) -> None:
    """What passes on, and by which name its new holder is found."""
    wanted.participants[event.successor] = None
    rows: dict[str, tuple[dict[str, None], ...]] = {
        "product": (wanted.products,),
        "listing": (wanted.listings, wanted.auctions),
        "trade": (wanted.trades,),
        "entitlement": (wanted.entitlements,),
        "subscription": (wanted.subscriptions,),
        "bill": (wanted.bills,),
        "duty": (wanted.duties,),
    }
    for named in rows[event.kind]:
        named.update(dict.fromkeys(event.ids))


LAST_DAYS: Final = DAYS.select(
    "WHERE number IN (SELECT (SELECT number FROM listing_day WHERE listing = asked ORDER BY number DESC LIMIT 1)"
    " FROM unnest($1::text[]) AS asked)"
)
"""The newest day of each listing, by its index."""


async def bring_in(connection: Any, view: View, wanted: Wanted) -> None:
    """Put the rows that are wanted, and those that hang on them, into the view."""
    await _bring(connection, PARTICIPANTS, view.participants, wanted.participants)
    await _bring(connection, PRODUCTS, view.products, wanted.products)
    await _bring(connection, LISTINGS, view.listings, wanted.listings)
    if wanted.listings_of:
        records = await connection.fetch(LISTINGS.select("WHERE product = ANY($1)"), list(wanted.listings_of))
        _know(LISTINGS, view.listings, records)
    if wanted.days_of:
        records = await connection.fetch(LAST_DAYS, list(wanted.days_of))
        _know(DAYS, view.days, records)
        view.last_day.update({row.listing: row.id for row in view.days.rows.values()})
    await _bring(connection, TRADES, view.trades, wanted.trades)
    for trade in view.trades.rows.values():
        wanted.orders[trade.buy_order] = wanted.orders[trade.sell_order] = None
        if trade.entitlement:
            wanted.entitlements[trade.entitlement] = None
    await _bring(connection, ORDERS, view.orders, [order for order in wanted.orders if is_order(order)])
    await _bring(connection, ENTITLEMENTS, view.entitlements, wanted.entitlements)
    await _bring(connection, DUTIES, view.duties, wanted.duties)
    await _bring(connection, REPORTS, view.reports, wanted.reports)
    await _bring(connection, NEEDS, view.needs, wanted.needs)
    await _bring(connection, PROPOSALS, view.proposals, wanted.proposals)
    await _bring(connection, AUCTIONS, view.auctions, wanted.auctions)
    await _bring(connection, BIDS, view.bids, wanted.bids)
    await _bring(connection, SUBSCRIPTIONS, view.subscriptions, wanted.subscriptions)
    await _bring(connection, BILLS, view.bills, wanted.bills)
    await _bring(connection, DEPARTURES, view.departures, wanted.departures)
    await _bring(connection, CREDENTIALS, view.credentials, wanted.credentials)
    await _bring(connection, CASES, view.cases, wanted.cases)
    await _bring(connection, MANDATES, view.mandates, wanted.mandates)


async def _bring(connection: Any, table: Table[Any], kept: Kept[Any], identifiers: Iterable[str]) -> None:
    numbers = [number_of(identifier) for identifier in identifiers]
    if numbers:
        _know(table, kept, await connection.fetch(table.select("WHERE number = ANY($1)"), numbers))


def _know(table: Table[Any], kept: Kept[Any], records: Iterable[Sequence[Any]]) -> None:
    for record in records:
        row = table.row_of(record)
        if row.id not in kept.rows:
            kept.know(row)


async def write(connection: Any, view: View) -> None:
    """New rows by COPY, changed rows by COPY into a stage and one UPDATE."""
    for table, kept in kept_of(view):
        await _copy(connection, table, table.name, kept.added.values())
        if kept.changed:
            await _copy(connection, table, f"changed_{table.name}", kept.changed.values())
            await connection.execute(table.update())
    await _copy(connection, USAGE, USAGE.name, view.usage)
    await _copy(connection, ACCREDITATIONS, ACCREDITATIONS.name, view.accreditations)
    await _copy(connection, POSTINGS, POSTINGS.name, view.postings)
    await _copy(connection, REFUSALS, REFUSALS.name, view.refusals)
    await _copy(connection, CALL_AUCTIONS, CALL_AUCTIONS.name, view.call_auctions)
    await _copy(connection, GRADES, GRADES.name, view.grades)
    await _copy(connection, LEAVES, LEAVES.name, view.leaves)


async def _copy(connection: Any, table: Table[Any], target: str, rows: Iterable[Any]) -> None:
    records = [table.values(row) for row in rows]
    if records:
        await connection.copy_records_to_table(target, records=records, columns=table.fields)


# ---------------------------------------------------------------------------------------------- projector


class Waiter(Struct, eq=False):
    """Somebody who waits for a journal row."""

    sequence: int
    done: "asyncio.Future[None]"


class Progress(ABC):
    """How far the query tables are. `sequence` is the last journal row in them, committed.

    `failure` says why they will never get further, and is empty while all is well.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.connected = False
        self.failure = ""
        self._waiters: list[Waiter] = []

    @abstractmethod
    def wake(self, sequence: int, hurry: bool = False) -> None:
        """The journal has this row now, committed. `hurry`: somebody waits for it, so nothing is gathered first."""

    async def caught_up(self, sequence: int, timeout: float = CAUGHT_UP_S) -> None:  # noqa: ASYNC109
        """Return once the journal row `sequence` is in the tables; it need not have been announced by `wake`.

        Raises TimeoutError after `timeout` seconds, ProjectorStopped where it will never be.
        """
        if self.sequence >= sequence:
            return
        if self.failure:
            raise ProjectorStopped(self.failure)
        waiter = Waiter(sequence, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self.wake(sequence, hurry=True)
        try:
            async with asyncio.timeout(timeout):
                await waiter.done
        finally:
            self._waiters = [other for other in self._waiters if other is not waiter]

    def _arrive(self, sequence: int) -> None:
        """Tell those who waited for what is committed now."""
        self.sequence = sequence
        for waiter in self._waiters:
            if waiter.sequence <= sequence and not waiter.done.done():
                waiter.done.set_result(None)

    def _fail(self, failure: str) -> None:
        """Tell everybody who waits that it was in vain."""
        self.failure = failure
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(ProjectorStopped(failure))


class Projector(Progress):
    """Follows one shard's journal.

    Idle it costs nothing: it waits for `wake`. Under load it projects what has gathered, a chunk at a time, and
    keeps one connection of the pool. A lost connection is replaced after a pause (0.05 s doubling to 5 s).
    `on_arrival` is told how far the tables are after each chunk.
    """

    def __init__(self, pool: Pool, shard: int = 0, on_arrival: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self.pool = pool
        self.shard = shard
        self._on_arrival = on_arrival
        self._known = 0
        self._hurried = 0
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()

    def wake(self, sequence: int, hurry: bool = False) -> None:
        if hurry:
            self._hurried = max(self._hurried, sequence)
            self._hurry.set()
            self._work.set()
        elif sequence > self._known:
            self._known = sequence
            self._work.set()

    async def run(self) -> None:
        """Until cancelled. Raises what it cannot mend: a journal row that does not decode or fold."""
        try:
            await self._follow()
        except Exception as error:
            self._fail(f"the query tables stand still: {error}")
            raise

    async def _follow(self) -> None:
        """Connect, work, and after a loss connect again, ever later while nothing gets done."""
        pause_s = FIRST_PAUSE_S
        while True:
            before = self.sequence
            try:
                async with self.pool.acquire() as connection:
                    await self._work_on(connection)
            except LOST as error:
                if isinstance(error, ValueError):
                    raise  # a value of ours that PostgreSQL cannot hold: waiting does not mend it
                self.connected = False
                pause_s = FIRST_PAUSE_S if self.sequence > before else min(2 * pause_s, LAST_PAUSE_S)
                LOG.warning("projector lost its connection (%s); again in %.2f s", error, pause_s)
                await asyncio.sleep(pause_s)

    async def _work_on(self, connection: Any) -> None:
        """All there is, then whatever is announced, for as long as the connection lasts."""
        for table in STAGED:
            await connection.execute(f"SET client_min_messages = warning; {table.stage()}")
        await connection.execute(BY_KEY_ONLY)
        await connection.execute(
            "INSERT INTO projection (shard) VALUES ($1) ON CONFLICT DO NOTHING", self.shard
        )
        self.connected = True
        while True:
            self._work.clear()
            while await self._project_chunk(connection):
                pass
            await self._work.wait()
            if self._hurried <= self.sequence:
                await self._gather()

    async def _gather(self) -> None:
        """Let more commits come, unless a reader is in a hurry."""
        self._hurry.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), PACE_S)

    async def _project_chunk(self, connection: Any) -> bool:
        """The next rows of the journal, in one transaction. False when there were none."""
        async with connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            cursor = await connection.fetchrow(f"{CURSOR} FOR UPDATE", self.shard)
            rows = await next_rows(connection, self.shard, cursor["sequence"])
            reached = rows[-1]["sequence"] if rows else cursor["sequence"]
            if rows:
                begun = await editions(connection)
                view = View(cursor["rulebook_sha256"], cursor["leaves_from"], begun)
                await self._apply(connection, rows, view)
        self._arrive(reached)
        if self._on_arrival is not None:
            self._on_arrival(reached)
        return bool(rows)

    async def _apply(self, connection: Any, rows: list[Any], view: View) -> None:
        """These journal rows in the tables, and the cursor behind them."""
        events: list[Happened] = []
        wanted = Wanted()
        for row in rows:
            decoded = decode([row])
            want(wanted, decoded)
            events += decoded
            await asyncio.sleep(0)
        await bring_in(connection, view, wanted)
        for at in range(0, len(events), SLICE_EVENTS):
            fold_events(view, events[at : at + SLICE_EVENTS])
            await asyncio.sleep(0)
        await write(connection, view)
        await connection.execute(
            "UPDATE projection SET sequence = $2, rulebook_sha256 = $3 WHERE shard = $1",
            self.shard,
            rows[-1]["sequence"],
            view.rulebook_sha256,
        )


def fold_events(view: View, events: Iterable[Happened]) -> None:
    """Fold events in order; a new journal row begins where the sequence changes."""
    for sequence, at_ns, event in events:
        if sequence != view.sequence:
            view.begin(sequence)
        fold(view, event, at_ns)


async def next_rows(connection: Any, shard: int, after: int) -> list[Any]:
    """The journal rows after a sequence, as many as make a chunk: at least one if there is any."""
    found: list[Any] = await connection.fetch(
        "SELECT sequence, schema, entries, body FROM ("
        "  SELECT *, sum(entries) OVER (ORDER BY sequence) AS total"
        "  FROM (SELECT sequence, schema, entries, body FROM journal WHERE shard = $1 AND sequence > $2"
        "        ORDER BY sequence LIMIT $4) AS coming"
        ") AS counted WHERE total - entries < $3 ORDER BY sequence",
        shard,
        after,
        CHUNK_ENTRIES,
        CHUNK_ROWS,
    )
    return found


# ------------------------------------------------------------------------------------- rebuild and compare


class Difference(Struct, frozen=True):
    """Where a table is not what the journal says: which row by its key, and what of it."""

    table: str
    key: str
    detail: str

    def __str__(self) -> str:
        return f"table {self.table}, {self.key}: {self.detail}"


async def rebuild(connection: Any, shard: int = 0, until: int | None = None) -> View:
    """All rows that the journal up to row `until` (None: the whole) makes, from nothing.

    Memory is that of the rows. Raises JournalBroken for a body that does not decode.
    """
    begins = await connection.fetchval("SELECT begins FROM evidence_log WHERE shard = $1", shard)
    view = View(leaves_from=begins, editions=await editions(connection))
    after = 0
    while rows := await next_rows(connection, shard, after):
        rows = [row for row in rows if until is None or row["sequence"] <= until]
        if not rows:
            break
        fold_events(view, decode(rows))
        after = rows[-1]["sequence"]
    return view


async def compare(connection: Any, shard: int = 0) -> Difference | None:
    """The first row in which the tables differ from the journal, as far as they are projected; None if none
    does.

    Reads one instant (repeatable read); tables in a fixed order, rows by key. A projection that lags is no
    difference; one ahead of the journal is.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cursor = await connection.fetchrow(CURSOR, shard)
        sequence, rulebook_sha256, _ = tuple(cursor) if cursor is not None else (0, "", None)
        newest = await connection.fetchval(
            "SELECT coalesce(max(sequence), 0) FROM journal WHERE shard = $1", shard
        )
        name = f"shard {shard}"
        if sequence > newest:
            return Difference("projection", name, f"sequence is {sequence}, the journal ends at {newest}")
        view = await rebuild(connection, shard, sequence)
        if rulebook_sha256 != view.rulebook_sha256:
            detail = f"rulebook_sha256 is {rulebook_sha256!r}, the journal says {view.rulebook_sha256!r}"
            return Difference("projection", name, detail)
        return await _compare_tables(connection, view)


async def _compare_tables(connection: Any, view: View) -> Difference | None:
    for table, kept in kept_of(view):
        difference = await _compare_table(connection, table, kept.rows.values())
        if difference is not None:
            return difference
    return (
        await _compare_table(connection, USAGE, view.usage)
        or await _compare_table(connection, ACCREDITATIONS, view.accreditations)
        or await _compare_table(connection, POSTINGS, view.postings)
        or await _compare_table(connection, REFUSALS, view.refusals)
        or await _compare_table(connection, CALL_AUCTIONS, view.call_auctions)
        or await _compare_table(connection, GRADES, view.grades)
        or await _compare_table(connection, LEAVES, view.leaves)
    )


async def _compare_table(connection: Any, table: Table[Any], rows: Iterable[Any]) -> Difference | None:
    """Both sides in the order of the key, side by side."""
    by_number = "number" in table.fields
    order = "number" if by_number else "sequence, position"
    key_of = (lambda row: row.number) if by_number else (lambda row: (row.sequence, row.position))
    said = iter(sorted(rows, key=key_of))
    expected = next(said, None)
    async for found in _rows(connection, table, order):
        if expected is None or key_of(found) < key_of(expected):
            return Difference(table.name, _name(found), "is in the table and not in the journal")
        if key_of(found) > key_of(expected):
            break
        if found != expected:
            return Difference(table.name, _name(found), _differing(table, found, expected))
        expected = next(said, None)
    if expected is None:
        return None
    return Difference(table.name, _name(expected), "is in the journal and not in the table")


async def _rows(connection: Any, table: Table[Any], order: str) -> AsyncIterator[Any]:
    async for record in connection.cursor(table.select(f"ORDER BY {order}"), prefetch=COMPARED_ROWS):
        yield table.row_of(record)


def _name(row: Any) -> str:
    return row.id if hasattr(row, "id") else f"{row.sequence}.{row.position}"


def _differing(table: Table[Any], found: Any, expected: Any) -> str:
    for field in table.fields:
        one, other = getattr(found, field), getattr(expected, field)
        if one != other:
            return f"{field} is {one!r}, the journal says {other!r}"
    raise AssertionError("rows that differ in no column")


# ------------------------------------------------------------------------------------------------ reading


class Page(Struct, Generic[Row]):
    """Some rows, newest first; `next` is the cursor of the page after, None on the last."""

    items: list[Row]
    next: str | None


BEYOND: Final = 2**63 - 1
"""Above every number, where the first page begins."""


def _before(cursor: str | None) -> int:
    """The number that the page's rows lie below."""
    return BEYOND if cursor is None else _natural(cursor)


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise CursorInvalid(f"{text[:40]!r} is not a cursor of this list")
    return int(text)


def _place_before(cursor: str | None) -> tuple[int, int]:
    """The (sequence, position) that the page's rows lie below."""
    if cursor is None:
        return BEYOND, 0
    sequence, _, position = cursor.partition(".")
    place = _natural(sequence), _natural(position)
    if place[1] > 2**31 - 1:
        raise CursorInvalid(f"{cursor[:40]!r} is not a cursor of this list")
    return place


def _page(rows: list[Any], limit: int) -> Page[Any]:
    """One row more than the limit was asked for, to know whether there is another page."""
    items = rows[:limit]
    if len(rows) <= limit:
        return Page(items, None)
    last = items[-1]
    return Page(items, str(last.number) if hasattr(last, "number") else f"{last.sequence}.{last.position}")


async def _one(pool: Pool, table: Table[Any], kind: str, identifier: str) -> Any:
    """The row of an id; None for what is no id of this kind."""
    digits = identifier[1:]
    if not (identifier.startswith(kind) and digits.isascii() and digits.isdigit() and len(digits) < 19):
        return None
    record = await pool.fetchrow(table.select("WHERE number = $1 AND id = $2"), int(digits), identifier)
    return None if record is None else table.row_of(record)


async def _page_of(pool: Pool, table: Table[Any], query: str, limit: int, *arguments: Any) -> Page[Any]:
    assert limit > 0, "a page has at least one row"
    records = await pool.fetch(query, limit + 1, *arguments)
    return _page([table.row_of(record) for record in records], limit)


def _either(table: Table[Any], one: str, other: str, condition: str, order: str) -> str:
    """Rows where $2 is on either side: each side an index range, merged. $1 is the limit."""
    tail = f"{condition} ORDER BY {order} LIMIT $1)"
    return (
        f"SELECT * FROM (({table.select(f'WHERE {one} = $2 AND {tail}')}"  # noqa: S608
        f" UNION ALL ({table.select(f'WHERE {other} = $2 AND {one} <> $2 AND {tail}')}"
        f") AS either ORDER BY {order} LIMIT $1"
    )


BY_NUMBER: Final = "number DESC"
BY_PLACE: Final = "sequence DESC, position DESC"
BELOW: Final = "(sequence, position) < ($3, $4)"

ORDERS_OF: Final = {
    None: ORDERS.select(f"WHERE participant = $2 AND number < $3 ORDER BY {BY_NUMBER} LIMIT $1"),
    "open": ORDERS.select(
        f"WHERE participant = $2 AND number < $3 AND state IN ('open', 'partly_filled')"
        f" ORDER BY {BY_NUMBER} LIMIT $1"
    ),
    "closed": ORDERS.select(
        f"WHERE participant = $2 AND number < $3 AND state IN ('filled', 'closed') ORDER BY {BY_NUMBER} LIMIT $1"
    ),
}
COMPLETED: Final = "number < $3 AND state = 'completed'"
OTHER_STATE: Final = "number < $3 AND state <> 'completed' AND state = $4"
TRADES_OF: Final = _either(TRADES, "buyer", "seller", "number < $3", BY_NUMBER)
COMPLETED_OF: Final = _either(TRADES, "buyer", "seller", COMPLETED, BY_NUMBER)
TRADES_IN_STATE_OF: Final = _either(TRADES, "buyer", "seller", OTHER_STATE, BY_NUMBER)
TRADES_OF_LISTINGS: Final = TRADES.select(
    f"WHERE number < $2 AND listing = ANY($3) ORDER BY {BY_NUMBER} LIMIT $1"
)
ALL_TRADES: Final = TRADES.select(f"WHERE number < $2 ORDER BY {BY_NUMBER} LIMIT $1")
ALL_COMPLETED: Final = TRADES.select(
    f"WHERE number < $2 AND state = 'completed' ORDER BY {BY_NUMBER} LIMIT $1"
)
ALL_IN_STATE: Final = TRADES.select(
    f"WHERE number < $2 AND state <> 'completed' AND state = $3 ORDER BY {BY_NUMBER} LIMIT $1"
)
DISTRIBUTIONS: Final = TRADES.select(
    "WHERE state = 'completed' AND amount_fen > 0 AND number < $2 AND ($3 = '' OR product = $3)"
    f" ORDER BY {BY_NUMBER} LIMIT $1"
)
PAID_BY: Final = "state = 'completed' AND amount_fen > 0 AND number < $3 AND ($4 = '' OR product = $4)"
SHARED_WITH: Final = "shares <> '[]' AND shares @> jsonb_build_array(jsonb_build_array($2::text))"
DISTRIBUTIONS_OF: Final = (
    f"SELECT * FROM (({TRADES.select(f'WHERE seller = $2 AND {PAID_BY} ORDER BY {BY_NUMBER} LIMIT $1')}"  # noqa: S608
    f") UNION ALL ({TRADES.select(f'WHERE {SHARED_WITH} AND {PAID_BY} ORDER BY {BY_NUMBER} LIMIT $1')}"
    f")) AS paid ORDER BY {BY_NUMBER} LIMIT $1"
)
STATEMENT: Final = _either(POSTINGS, "source", "target", BELOW, BY_PLACE)
REFUSALS_OF: Final = _either(REFUSALS, "participant", "counterparty", f"{BELOW}", BY_PLACE).replace(
    "WHERE counterparty = $2", "WHERE counterparty <> '' AND counterparty = $2"
)
ALL_REFUSALS: Final = REFUSALS.select(f"WHERE (sequence, position) < ($2, $3) ORDER BY {BY_PLACE} LIMIT $1")
CASES_OF: Final = CASES.select(
    f"WHERE ($2 = '' OR participant = $2) AND number < $3 AND ($4 = '' OR state = $4) ORDER BY {BY_NUMBER} LIMIT $1"
)
PUBLIC_CASES_OF: Final = CASES.select(
    "WHERE participant = $1 AND state IN ('in_force', 'corrected') AND effective_ns <= $2 AND published_until_ns > $2"
    " ORDER BY number DESC LIMIT $3"
)
GRADE_BEFORE: Final = GRADES.select(
    f"WHERE participant = $1 AND step = 'set' AND at_ns <= $2 ORDER BY {BY_PLACE} LIMIT 1"
)
GRADES_OF: Final = GRADES.select(
    f"WHERE participant = $2 AND at_ns BETWEEN $3 AND $4 ORDER BY {BY_PLACE} LIMIT $1"
)
AUCTIONS_OF: Final = CALL_AUCTIONS.select(
    f"WHERE listing = $2 AND (sequence, position) < ($3, $4) ORDER BY {BY_PLACE} LIMIT $1"
)
FILLS_OF: Final = TRADES.select("WHERE buy_order = $1 OR sell_order = $1 ORDER BY number LIMIT $2")
SUBSCRIPTIONS_OF: Final = _either(SUBSCRIPTIONS, "buyer", "seller", "number < $3", BY_NUMBER)
BILLS_OF: Final = BILLS.select("WHERE subscription = $2 AND number > $3 ORDER BY number LIMIT $1")
ACCREDITATIONS_OF: Final = ACCREDITATIONS.select(
    "WHERE participant = $2 AND (sequence, position) > ($3, $4) ORDER BY sequence, position LIMIT $1"
)
USAGE_OF: Final = USAGE.select(f"WHERE subscription = $2 AND {BELOW} ORDER BY {BY_PLACE} LIMIT $1")
ENTITLEMENTS_OF: Final = _either(ENTITLEMENTS, "buyer", "seller", "number < $3", BY_NUMBER)
DUTIES_OF: Final = _either(
    DUTIES,
    "buyer",
    "seller",
    "number < $3 AND ($4 = '' OR trade = $4) AND ($5 = '' OR state = $5)",
    BY_NUMBER,
)
BIDS_OF: Final = BIDS.select(
    f"WHERE participant = $2 AND number < $3 AND ($4 = '' OR listing = $4) ORDER BY {BY_NUMBER} LIMIT $1"
)
PRICES_OF: Final = (
    "SELECT price_fen FROM bid WHERE listing = $1 AND price_fen >= 0 ORDER BY price_fen DESC LIMIT $2"
)
ALL_DUTIES: Final = DUTIES.select(
    f"WHERE number < $2 AND ($3 = '' OR trade = $3) AND ($4 = '' OR state = $4) ORDER BY {BY_NUMBER} LIMIT $1"
)
DELETION_OF: Final = DUTIES.select(
    f"WHERE entitlement = $1 AND kind = 'deletion' ORDER BY {BY_NUMBER} LIMIT 1"
)


async def order(pool: Pool, identifier: str) -> OrderRecord | None:
    """Any participant's order; who may see it is the caller's question."""
    found: OrderRecord | None = await _one(pool, ORDERS, "O", identifier)
    return found


async def trade(pool: Pool, identifier: str) -> TradeRecord | None:
    """Any trade, refused ones too; who may see it is the caller's question."""
    found: TradeRecord | None = await _one(pool, TRADES, "T", identifier)
    return found


async def entitlement(pool: Pool, identifier: str) -> EntitlementRecord | None:
    found: EntitlementRecord | None = await _one(pool, ENTITLEMENTS, "E", identifier)
    return found


async def duty(pool: Pool, identifier: str) -> DutyRecord | None:
    """Any duty; who may see it is the caller's question."""
    found: DutyRecord | None = await _one(pool, DUTIES, "U", identifier)
    return found


async def auction(pool: Pool, listing: str) -> AuctionRecord | None:
    """The auction of a listing, over or not."""
    found: AuctionRecord | None = await _one(pool, AUCTIONS, "L", listing)
    return found


async def bid(pool: Pool, identifier: str) -> BidRecord | None:
    """Any bid; who may see it is the caller's question."""
    found: BidRecord | None = await _one(pool, BIDS, "J", identifier)
    return found


async def bids_of(
    pool: Pool, participant: str, listing: str, limit: int = 50, cursor: str | None = None
) -> Page[BidRecord]:
    """A participant's bids, in one auction where `listing` is not empty."""
    return await _page_of(pool, BIDS, BIDS_OF, limit, participant, _before(cursor), listing)


async def prices_of(pool: Pool, listing: str, most: int) -> list[int]:
    """The prices that were bid in an auction, the highest first; sealed ones that were not opened have none."""
    return [row[0] for row in await pool.fetch(PRICES_OF, listing, most)]


async def deletion_of(pool: Pool, entitlement: str) -> DutyRecord | None:
    """The newest duty to delete what an entitlement gave."""
    record = await pool.fetchrow(DELETION_OF, entitlement)
    return None if record is None else DUTIES.row_of(record)


async def duties_of(
    pool: Pool, participant: str | None, trade: str, state: str, limit: int = 50, cursor: str | None = None
) -> Page[DutyRecord]:
    """Duties after the trades in which the participant is buyer or seller (None: of everybody); of one trade, or in one
    state, where these are not empty.
    """
    before = _before(cursor)
    if participant is None:
        return await _page_of(pool, DUTIES, ALL_DUTIES, limit, before, trade, state)
    return await _page_of(pool, DUTIES, DUTIES_OF, limit, participant, before, trade, state)


async def orders_of(
    pool: Pool, participant: str, state: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[OrderRecord]:
    """`state` is open (something may still fill) or closed (nothing may), None for both."""
    assert state in ORDERS_OF, f"orders are open or closed, not {state}"
    return await _page_of(pool, ORDERS, ORDERS_OF[state], limit, participant, _before(cursor))


async def open_orders(pool: Pool, participant: str, most: int) -> tuple[int, list[OrderRecord]]:
    """How far the tables are, and the orders open then, the oldest first: at most so many of the newest."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        cursor = await connection.fetchrow(CURSOR, SHARD)
        found = await connection.fetch(ORDERS_OF["open"], most, participant, BEYOND)
    return cursor["sequence"], [ORDERS.row_of(record) for record in reversed(found)]


async def trades_of(
    pool: Pool, participant: str | None, state: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[TradeRecord]:
    """Trades in which the participant is buyer or seller; of everybody where it is None."""
    before = _before(cursor)
    if participant is None:
        if state is None or state == "completed":
            query = ALL_TRADES if state is None else ALL_COMPLETED
            return await _page_of(pool, TRADES, query, limit, before)
        return await _page_of(pool, TRADES, ALL_IN_STATE, limit, before, state)
    if state is None or state == "completed":
        query = TRADES_OF if state is None else COMPLETED_OF
        return await _page_of(pool, TRADES, query, limit, participant, before)
    return await _page_of(pool, TRADES, TRADES_IN_STATE_OF, limit, participant, before, state)


async def trades_of_listings(
    pool: Pool, listings: Sequence[str], limit: int = 50, cursor: str | None = None
) -> Page[TradeRecord]:
    """Trades in any of these listings, the newest first."""
    return await _page_of(pool, TRADES, TRADES_OF_LISTINGS, limit, _before(cursor), list(listings))


async def distributions_of(
    pool: Pool, participant: str | None, product: str = "", limit: int = 50, cursor: str | None = None
) -> Page[TradeRecord]:
    """Completed trades at a price that paid the participant, as seller or by a share; all where it is None.

    A merchant has no share in its own product, so no trade comes twice.
    """
    before = _before(cursor)
    if participant is None:
        return await _page_of(pool, TRADES, DISTRIBUTIONS, limit, before, product)
    return await _page_of(pool, TRADES, DISTRIBUTIONS_OF, limit, participant, before, product)


async def statement(
    pool: Pool, participant: str, limit: int = 50, cursor: str | None = None
) -> Page[PostingRecord]:
    """All movements of money and units from or to the participant, the newest first."""
    return await _page_of(pool, POSTINGS, STATEMENT, limit, participant, *_place_before(cursor))


async def refusals(
    pool: Pool, participant: str | None, limit: int = 50, cursor: str | None = None
) -> Page[RefusalRecord]:
    """Refused orders and trades of the participant, on either side; of everybody where it is None."""
    place = _place_before(cursor)
    if participant is None:
        return await _page_of(pool, REFUSALS, ALL_REFUSALS, limit, *place)
    return await _page_of(pool, REFUSALS, REFUSALS_OF, limit, participant, *place)


async def call_auctions_of(
    pool: Pool, listing: str, limit: int = 50, cursor: str | None = None
) -> Page[CallAuctionRecord]:
    """Call auctions over a listing's book, the newest first."""
    return await _page_of(pool, CALL_AUCTIONS, AUCTIONS_OF, limit, listing, *_place_before(cursor))


async def case(pool: Pool, identifier: str) -> CaseRecord | None:
    """Any case; who may see it is the caller's question."""
    found: CaseRecord | None = await _one(pool, CASES, "F", identifier)
    return found


async def cases_of(
    pool: Pool, participant: str, state: str, limit: int = 50, cursor: str | None = None
) -> Page[CaseRecord]:
    """Cases about a participant, of everybody where it is empty; in one state where that is not empty."""
    return await _page_of(pool, CASES, CASES_OF, limit, participant, _before(cursor), state)


async def public_cases_of(pool: Pool, participant: str, at_ns: int, most: int) -> list[CaseRecord]:
    """Cases about a participant that everybody may see at an instant: in force, not minor, within their period."""
    records = await pool.fetch(PUBLIC_CASES_OF, participant, at_ns, most)
    return [CASES.row_of(record) for record in records]


async def grade_at(pool: Pool, participant: str, at_ns: int) -> str:
    """The grade that was in force at an instant; M before it was ever set."""
    record = await pool.fetchrow(GRADE_BEFORE, participant, at_ns)
    return "M" if record is None else GRADES.row_of(record).grade


async def grades_of(
    pool: Pool, participant: str, from_ns: int, until_ns: int, most: int
) -> list[GradeRecord]:
    """What happened to a participant's grade between two instants, the newest first: at most so many."""
    records = await pool.fetch(GRADES_OF, most, participant, from_ns, until_ns)
    return [GRADES.row_of(record) for record in records]


async def fills_of(pool: Pool, order: str, most: int) -> list[TradeRecord]:
    """Trades that this order is a side of, the oldest first: at most so many."""
    return [TRADES.row_of(record) for record in await pool.fetch(FILLS_OF, order, most)]


async def entitlements_of(
    pool: Pool, participant: str, limit: int = 50, cursor: str | None = None
) -> Page[EntitlementRecord]:
    """Entitlements bought or sold by the participant, ended ones too."""
    return await _page_of(pool, ENTITLEMENTS, ENTITLEMENTS_OF, limit, participant, _before(cursor))


# ---- reports

REPORTS_OF: Final = _either(
    REPORTS, "participant", "counterparty", "number < $3 AND ($4 = '' OR state = $4)", BY_NUMBER
)
ALL_REPORTS: Final = REPORTS.select(
    f"WHERE number < $2 AND ($3 = '' OR state = $3) ORDER BY {BY_NUMBER} LIMIT $1"
)


async def report(pool: Pool, identifier: str) -> ReportRecord | None:
    """Any report; who may see it is the caller's question."""
    found: ReportRecord | None = await _one(pool, REPORTS, "R", identifier)
    return found


async def reports_of(
    pool: Pool, participant: str | None, state: str, limit: int = 50, cursor: str | None = None
) -> Page[ReportRecord]:
    """Those by and about a participant, of everybody where it is None; in one state where it is not empty."""
    before = _before(cursor)
    if participant is None:
        return await _page_of(pool, REPORTS, ALL_REPORTS, limit, before, state)
    return await _page_of(pool, REPORTS, REPORTS_OF, limit, participant, before, state)


# ---- needs

NEEDS_SEEN: Final = NEEDS.select(
    "WHERE number < $2 AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4) AND ($5 = '' OR board = $5)"
    " AND ($6 = '' OR buyer = $6) AND ($7::text IS NULL OR invited = '' OR invited = $7 OR buyer = $7)"
    f" ORDER BY {BY_NUMBER} LIMIT $1"
)
PROPOSALS_FOR: Final = PROPOSALS.select("WHERE need = $1 ORDER BY number")
PROPOSALS_OF: Final = PROPOSALS.select(f"WHERE merchant = $2 AND number < $3 ORDER BY {BY_NUMBER} LIMIT $1")
UNSEALED: Final = "SELECT id FROM proposal WHERE number = ANY($1) AND opened_at_ns > 0"


async def needs_of(
    pool: Pool,
    participant: str | None,
    wanted: tuple[str, str, str, str],
    limit: int = 50,
    cursor: str | None = None,
) -> Page[NeedRecord]:
    """Needs that a participant may see, all where it is None. `wanted`: kind, state, board and buyer, empty for any."""
    arguments = (_before(cursor), *wanted, participant)
    return await _page_of(pool, NEEDS, NEEDS_SEEN, limit, *arguments)


async def need(pool: Pool, identifier: str) -> NeedRecord | None:
    """Any need; who may see it is the caller's question."""
    found: NeedRecord | None = await _one(pool, NEEDS, "N", identifier)
    return found


async def needs_named(pool: Pool, identifiers: Iterable[str]) -> dict[str, NeedRecord]:
    records = await pool.fetch(
        NEEDS.select("WHERE number = ANY($1)"), [number_of(name) for name in identifiers]
    )
    return {row.id: row for row in map(NEEDS.row_of, records)}


async def proposal(pool: Pool, identifier: str) -> ProposalRecord | None:
    """Any proposal, sealed ones too; who may see it is the caller's question."""
    found: ProposalRecord | None = await _one(pool, PROPOSALS, "Q", identifier)
    return found


async def proposals_for(pool: Pool, need: str) -> list[ProposalRecord]:
    """All that were ever made for a need, the earliest first, sealed ones too."""
    return [PROPOSALS.row_of(record) for record in await pool.fetch(PROPOSALS_FOR, need)]


async def proposals_of(
    pool: Pool, merchant: str, limit: int = 50, cursor: str | None = None
) -> Page[ProposalRecord]:
    return await _page_of(pool, PROPOSALS, PROPOSALS_OF, limit, merchant, _before(cursor))


async def unsealed(pool: Pool, proposals: Iterable[str]) -> frozenset[str]:
    """Of these proposals those that may be shown; one that the tables do not have yet is none of them."""
    records = await pool.fetch(UNSEALED, [number_of(name) for name in proposals])
    return frozenset(record["id"] for record in records)


async def subscription(pool: Pool, identifier: str) -> SubscriptionRecord | None:
    """Any subscription; who may see it is the caller's question."""
    found: SubscriptionRecord | None = await _one(pool, SUBSCRIPTIONS, "S", identifier)
    return found


async def bill(pool: Pool, identifier: str) -> BillRecord | None:
    """Any bill; who may see it is the caller's question."""
    found: BillRecord | None = await _one(pool, BILLS, "I", identifier)
    return found


async def subscriptions_of(
    pool: Pool, participant: str, limit: int = 50, cursor: str | None = None
) -> Page[SubscriptionRecord]:
    """Subscriptions bought or sold by the participant, ended ones too."""
    return await _page_of(pool, SUBSCRIPTIONS, SUBSCRIPTIONS_OF, limit, participant, _before(cursor))


async def bills_of(
    pool: Pool, subscription: str, limit: int = 50, cursor: str | None = None
) -> Page[BillRecord]:
    """The oldest first."""
    after = 0 if cursor is None else _natural(cursor)
    return await _page_of(pool, BILLS, BILLS_OF, limit, subscription, after)


async def usage_of(
    pool: Pool, subscription: str, limit: int = 50, cursor: str | None = None
) -> Page[UsageRow]:
    """Records of use that were counted, the last told first."""
    return await _page_of(pool, USAGE, USAGE_OF, limit, subscription, *_place_before(cursor))


MANDATES_OF: Final = _either(MANDATES, "principal", "broker", "number < $3", BY_NUMBER)
ALL_MANDATES: Final = MANDATES.select(f"WHERE number < $2 ORDER BY {BY_NUMBER} LIMIT $1")


async def mandates_of(
    pool: Pool, participant: str | None, limit: int = 50, cursor: str | None = None
) -> Page[MandateRecord]:
    """Those that a participant has given or holds, ended ones too; of everybody where it is None."""
    before = _before(cursor)
    if participant is None:
        return await _page_of(pool, MANDATES, ALL_MANDATES, limit, before)
    return await _page_of(pool, MANDATES, MANDATES_OF, limit, participant, before)


async def mandate(pool: Pool, identifier: str) -> MandateRecord | None:
    """Any mandate; who may see it is the caller's question."""
    found: MandateRecord | None = await _one(pool, MANDATES, "M", identifier)
    return found


async def departure(pool: Pool, participant: str) -> DepartureRecord | None:
    """Who leaves or has left; who may see it is the caller's question."""
    found: DepartureRecord | None = await _one(pool, DEPARTURES, "P", participant)
    return found


async def accreditation_of(
    pool: Pool, participant: str, limit: int = 50, cursor: str | None = None
) -> Page[AccreditationRow]:
    """The steps of a participant's credential, the oldest first."""
    place = _place_before(cursor) if cursor else (0, 0)
    return await _page_of(pool, ACCREDITATIONS, ACCREDITATIONS_OF, limit, participant, *place)


# ---- credentials

CREDENTIALS_OF: Final = CREDENTIALS.select(
    "WHERE subject = $2 AND number < $3 AND ($4 = '' OR kind = $4) AND ($5 = '' OR state = $5)"
    f" ORDER BY {BY_NUMBER} LIMIT $1"
)
ALL_CREDENTIALS: Final = CREDENTIALS.select(
    f"WHERE number < $2 AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4) ORDER BY {BY_NUMBER} LIMIT $1"
)
IN_STATE: Final = (
    "SELECT number FROM credential WHERE state = $1 AND number > $2 AND number <= $3 ORDER BY number"
)
NEWEST_CREDENTIAL: Final = "SELECT coalesce(max(number), 0) FROM credential"


async def credential(pool: Pool, identifier: str) -> CredentialRecord | None:
    """Any credential; who may see it is the caller's question."""
    found: CredentialRecord | None = await _one(pool, CREDENTIALS, "C", identifier)
    return found


async def credentials_of(
    pool: Pool, subject: str | None, kind: str, state: str, limit: int = 50, cursor: str | None = None
) -> Page[CredentialRecord]:
    """Those of a subject, of everybody where it is None; of one kind or state where these are not empty."""
    before = _before(cursor)
    if subject is None:
        return await _page_of(pool, CREDENTIALS, ALL_CREDENTIALS, limit, before, kind, state)
    return await _page_of(pool, CREDENTIALS, CREDENTIALS_OF, limit, subject, before, kind, state)


async def credentials_in(pool: Pool, state: str, above: int, most: int) -> list[int]:
    """The numbers of credentials in a state, above one number and up to another."""
    return [row["number"] for row in await pool.fetch(IN_STATE, state, above, most)]


async def newest_credential(pool: Pool) -> int:
    """How many credentials were ever issued."""
    found: int = await pool.fetchval(NEWEST_CREDENTIAL)
    return found
