"""Whether the database is what the journal says: `shuji verify`.

The journal is replayed from its first row, never from a snapshot, and beside it everything that can be
derived a second time is looked at:

    journal      the chain of checksums, missing rows, the columns that repeat what the body says
    verdict      given again by the rulebook in force at its instant it is the stored one, and so are the facts it read
    evidence     each leaf is that of the journal, each node and root that of the leaves, in SHA-256 and in SM3
    snapshot     the body hashes to its name, and the replay had that very state at that sequence
    cursor       stands at the journal's last row
    account      row by row what the ledger holds; each asset adds up to zero, here and in memory
    reservation  each belongs to an open order, a hold, a withdrawal or a bid, each of these has exactly what it needs
    debt         the debtors' accounts hold what the debts say, and nothing of it could be set off
    bill         each overdue one has its debt, and what was set off against them is kept until it is distributed
    book         every invariant, and every open order rests in its book
    credential_document  what was signed is what the journal says of the credential, by a key that the venue has had
    bank_row     a bank account or a statement hashes to its name (an erased row is none, and lawful)
    secret       a password or a second factor hashes to its name (an erased row is none, and opens nothing)
    personal     the row hashes to what its participant registered (an erased row is none, and lawful)
    file         what living entitlements give a right to is in the data folder, byte for byte
    query tables what `exchange.projector.compare` says

All of SQL is read as of one instant, so a venue may go on trading meanwhile. A verdict of a rulebook that
came with an older version cannot be given again; how many there are is said. Where the journal cannot be
replayed to its end, the rest of it is still checked as a chain, and only those tables that speak for
themselves are looked at: a state that lacks a batch differs from everything.

It takes as long as a recovery without snapshots and as much memory as the state, but for the query tables,
whose comparison holds their rows (`exchange.projector.rebuild`).
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from clearing.bank import OPEN_STATES
from clearing.evidence import HASH_BYTES
from clearing.ledger import BILLS, CNY, DEBT, DEBTOR_PREFIX, ESCROW, unit_asset
from clearing.money import amount_fen
from credit.credential import Issued, kept_fault
from exchange import audit, journal, projector, rejudging, venue
from exchange.auction import price_id
from exchange.book_orders import Law, takes_orders
from exchange.departure import kept_under
from exchange.events import SCHEMA_VERSION, Batch, Event, VenueKeyAdopted
from exchange.evidence import Leaf, Log, Row, edition_at, leaves_in, older_leaf
from exchange.matching.book import Order
from exchange.matching.orders import BUY
from exchange.migration import MigrationRefused, pending, steps
from exchange.projector import Difference
from exchange.state import State, Trade, encode_state, state_hash

MOST_DIFFERENCES: Final = 1_000
"""Differences that are kept: one lost batch can put every account wrong, and nobody reads them all."""
TELL_EVERY: Final = 250_000
"""Entries between two words about how far the replay is."""
ACCOUNTS_AHEAD: Final = 2_000
"""Account rows fetched at a time."""

Need = tuple[str, str, int]
"""What must be reserved: owner, asset, amount."""


async def verify(
    dsn: str, data_dir: Path | None, empty: Callable[[], State], report: Callable[[str], None]
) -> list[Difference]:
    """The differences in the order in which they were found; none is good. `report` is told how far it is.

    Without `data_dir` the delivered files are not looked at. Raises MigrationRefused where the tables are not
    those of this version, and what asyncpg raises where the database cannot be read.
    """
    connection = await journal.connect(dsn)
    try:
        await _check_version(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            run = _Audit(connection, empty(), report)
            await run.run(data_dir)
            return run.found
    finally:
        await connection.close()


async def _check_version(connection: Any) -> None:
    if await connection.fetchval("select to_regclass('migration')") is None:
        raise MigrationRefused("there is no venue in this database yet: `shuji serve` makes one")
    applied = dict(await connection.fetch("select name, sha256 from migration"))
    lacking = [step.name for step in pending(steps(), applied)]
    if lacking:
        raise MigrationRefused(f"the database lacks {', '.join(lacking)}: run `shuji migrate` first")


class _Audit:
    """One run. `whole` is given up once a journal row could not be replayed."""

    def __init__(self, connection: Any, state: State, report: Callable[[str], None]) -> None:
        self.connection = connection
        self.state = state
        self.report = report
        self.found: list[Difference] = []
        self.whole = True
        self.sequence = 0
        self.checksum = b""
        self.epoch = 0
        self.entries = 0
        self.told = 0
        self.continued: tuple[bytes, ...] = (b"",)
        """Checksums that the next row may continue: after a mismatch the stored one and the one that fits, so
        that one altered row is named and not its neighbour too."""
        self.snapshots: dict[int, bytes] = {}
        self.evidence = Evidence(connection, self.differ)
        self.keys: dict[str, None] = {}
        """Every key that the venue has signed with."""
        self.verdicts: dict[bool, int] = {True: 0, False: 0}
        """How many were judged again, and how many could not be."""

    def differ(self, table: str, key: str, wrong: str) -> None:
        if len(self.found) < MOST_DIFFERENCES:
            self.found.append(Difference(table, key, wrong))

    async def run(self, data_dir: Path | None) -> None:
        await self._read_snapshots()
        await self.evidence.begin()
        await self._replay()
        await self.evidence.end(self.sequence)
        await self._compare_cursor()
        await self._follow_audit_log()
        if self.whole:
            await self._compare_state(data_dir)
        else:
            self.report(
                f"the journal cannot be replayed behind {self.sequence}: accounts are not compared with it"
            )
        await self._sum_assets()

    async def _compare_state(self, data_dir: Path | None) -> None:
        await self._compare_accounts()
        for table, key, wrong in invariants(self.state):
            self.differ(table, key, wrong)
        await self._compare_personal()
        if data_dir is not None:
            await self._compare_files(data_dir / "files")
        self.report("query tables")
        difference = await projector.compare(self.connection)
        if difference is not None:
            self.found.append(difference)

    # --- snapshots

    async def _read_snapshots(self) -> None:
        """Each body against its name, hashed by the database: a body may be large."""
        found = await self.connection.fetch(
            "select sequence, schema, state_sha256, sha256(body) as body_sha256 from snapshot"
            " where shard = $1 order by sequence",
            journal.SHARD,
        )
        for row in found:
            if row["body_sha256"] != row["state_sha256"]:
                self.differ("snapshot", str(row["sequence"]), "the body does not hash to the snapshot's name")
            elif row["schema"] == SCHEMA_VERSION:
                self.snapshots[row["sequence"]] = row["state_sha256"]
            elif row["schema"] > SCHEMA_VERSION:
                self.differ(
                    "snapshot", str(row["sequence"]), f"schema {row['schema']} is newer than this code"
                )

    def _compare_snapshot(self) -> None:
        named = self.snapshots.pop(self.sequence, None)
        if named is not None and state_hash(encode_state(self.state)) != named:
            self.differ(
                "snapshot",
                str(self.sequence),
                "the state that the journal gives at this sequence is another one",
            )

    # --- the journal

    async def _replay(self) -> None:
        async for row in journal.rows(self.connection, 0):
            self._follow(row)
            await self.evidence.follow(row)
            if self.whole:
                self._apply(row)
                self._compare_snapshot()
            self._tell()
        if self.whole:
            for sequence in self.snapshots:
                self.differ("snapshot", str(sequence), f"there is no journal row {sequence}")
        self.report(f"journal: {self.entries} entries in {self.sequence} rows")
        self._tell_verdicts()

    def _tell_verdicts(self) -> None:
        said = f"verdicts: {self.verdicts[True]} judged again"
        if self.verdicts[False]:
            said += f", {self.verdicts[False]} not: the rulebook of their time came with an older version"
        self.report(said)

    def _tell(self) -> None:
        if self.entries - self.told >= TELL_EVERY:
            self.told = self.entries
            self.report(f"journal: {self.entries} entries so far")

    def _follow(self, row: Any) -> None:
        """The row as a link of the chain."""
        number = row["sequence"]
        fitting = [journal.checksum_of(checksum, row["body"]) for checksum in self.continued]
        if number != self.sequence + 1:
            self.whole = False
            missing = (
                f"{self.sequence + 1}"
                if number == self.sequence + 2
                else f"{self.sequence + 1} to {number - 1}"
            )
            self.differ("journal", str(self.sequence + 1), f"journal {missing} is missing")
        elif row["checksum"] not in fitting:
            self.differ("journal", str(number), "the checksum does not fit the body and the row before")
        if row["epoch"] < self.epoch:
            self.differ("journal", str(number), f"epoch {row['epoch']} follows epoch {self.epoch}")
        self.epoch = max(self.epoch, row["epoch"])
        fits = row["checksum"] in fitting
        self.continued = (row["checksum"],) if fits else (row["checksum"], *fitting)
        self.sequence, self.checksum = number, row["checksum"]

    def _apply(self, row: Any) -> None:
        """The row's entries on the state. Whatever an altered body does to it, it is this row that is named."""
        number = row["sequence"]
        try:
            entries = journal.entries_of(row)
            for raw in entries:
                venue.replay(self.state, raw, self._judge_again)
        except journal.JournalBroken as error:
            self._stop(number, str(error))
        except Exception as error:  # an altered entry fails anywhere in the venue, in any way
            self._stop(number, f"an entry cannot be applied ({type(error).__name__}: {error})")
        else:
            self.entries += len(entries)
            self._compare_columns(row, len(entries))

    def _judge_again(self, event: Event, at_ns: int) -> None:
        if type(event) is VenueKeyAdopted:
            self.keys[event.public_key] = None
        if type(event) not in rejudging.AGAIN:
            return
        can = rejudging.can_judge(self.state)
        self.verdicts[can] += 1
        for judged, wrong in rejudging.differences(self.state, event, at_ns) if can else ():
            self.differ("verdict", judged, wrong)

    def _stop(self, number: int, wrong: str) -> None:
        self.whole = False
        self.differ("journal", str(number), wrong)

    def _compare_columns(self, row: Any, entries: int) -> None:
        """What the row's columns repeat of its body."""
        said = {"entries": entries, "at_ns": self.state.now_ns, "schema": _schema_of(row["body"])}
        for column, value in said.items():
            if row[column] != value:
                self.differ(
                    "journal", str(row["sequence"]), f"{column} is {row[column]}, the body says {value}"
                )

    async def _compare_cursor(self) -> None:
        row = await self.connection.fetchrow(
            "select sequence, checksum, epoch from cursor where shard = $1", journal.SHARD
        )
        key = f"shard {journal.SHARD}"
        if row is None:
            self.differ("cursor", key, "there is no row: the venue cannot be written")
            return
        if row["sequence"] != self.sequence:
            self.differ("cursor", key, f"stands at {row['sequence']}, the journal ends at {self.sequence}")
        elif row["checksum"] != self.checksum:
            self.differ("cursor", key, f"its checksum is not that of journal {self.sequence}")
        if row["epoch"] < self.epoch:
            self.differ("cursor", key, f"epoch {row['epoch']} is older than the journal's {self.epoch}")

    async def _follow_audit_log(self) -> None:
        rows = self.connection.cursor("select * from audit_log order by number", prefetch=ACCOUNTS_AHEAD)
        if (number := await audit.broken(rows)) is not None:
            wrong = "the row, or one before it, is not the one that was written: its checksum does not follow"
            self.differ("audit_log", str(number), wrong)

    # --- accounts

    async def _compare_accounts(self) -> None:
        """Row by row, both ways; an account that has never held anything needs no row."""
        said = {(row[0], row[1]): (row[2], row[3]) for row in self.state.ledger.dump()["accounts"]}
        statement = (
            "select owner, asset, balance, reserved from account where shard = $1 order by owner, asset"
        )
        async for row in self.connection.cursor(statement, journal.SHARD, prefetch=ACCOUNTS_AHEAD):
            key = (row["owner"], row["asset"])
            expected = said.pop(key, None)
            if expected is None:
                self.differ("account", _name(key), "the journal has no such account")
            else:
                self._compare_account(key, (row["balance"], row["reserved"]), expected)
        for key, expected in said.items():
            if expected != (0, 0):
                self.differ("account", _name(key), f"the row is missing: {_holding(expected)}")

    def _compare_account(
        self, key: tuple[str, str], stored: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        if stored != expected:
            self.differ(
                "account", _name(key), f"has {_holding(stored)}, the journal says {_holding(expected)}"
            )

    async def _sum_assets(self) -> None:
        """The second witness of double entry: SQL's own sum."""
        for row in await self.connection.fetch(
            "select asset, sum(balance)::text as total from account where shard = $1"
            " group by asset having sum(balance) <> 0 order by asset",
            journal.SHARD,
        ):
            self.differ("account", row["asset"], f"all balances add up to {row['total']}, not to zero")

    # --- personal rows and files

    async def _compare_personal(self) -> None:
        """数据安全法 33 asks for the verification to be kept, 个人信息保护法 47 for erasure: the hash stays."""
        participants = self.state.bureau.participants
        async for row in self.connection.cursor(
            "select participant, salt, body from personal order by participant"
        ):
            participant = participants.get(row["participant"])
            if participant is None:
                self.differ("personal", row["participant"], "the journal has no such participant")
            elif hashlib.sha256(row["salt"] + row["body"]).hexdigest() != participant.personal_sha256:
                self.differ("personal", row["participant"], "the row does not hash to what was registered")

        await self._compare_bank_rows()
        await self._compare_documents()
        await self._compare_secrets()

    async def _compare_documents(self) -> None:
        """Of credentials, as they were signed."""
        columns = ", ".join([f'c."{name}"' for name in projector.CREDENTIALS.fields])
        statement = (
            f"select d.method, d.body, d.valid_until_ns as until_ns, {columns} from credential_document as d"  # noqa: S608
            " join credential as c on c.id = d.credential order by d.credential, d.method, d.valid_until_ns"
        )
        async for row in self.connection.cursor(statement):
            method, body, until_ns, *rest = row
            found = projector.CREDENTIALS.row_of(rest)
            issued = Issued(
                number=found.number, claims=found.claims, from_ns=found.issued_at_ns, until_ns=until_ns
            )
            if wrong := kept_fault(body, issued, method, self.keys):
                self.differ("credential_document", found.id, wrong)

    async def _compare_secrets(self) -> None:
        """Passwords and second factors at the console: one that was altered is named, and opens nothing."""
        for row in await self.connection.fetch(
            "select sha256 from console_secret"
            " where encode(sha256(salt || body), 'hex') <> sha256 order by sha256"
        ):
            self.differ("console_secret", row["sha256"], "the row does not hash to its name")

    async def _compare_bank_rows(self) -> None:
        """Account numbers and files of the custody bank, which the journal names by their hashes."""
        for row in await self.connection.fetch(
            "select sha256 from bank_row where encode(sha256(salt || body), 'hex') <> sha256 order by sha256"
        ):
            self.differ("bank_row", row["sha256"], "the row does not hash to its name")

    async def _compare_files(self, folder: Path) -> None:
        """Each file once, however many have a right to it."""
        self.report("delivered files")
        wanted = {
            (row.seller, row.delivery.sha256): row.id
            for row in self.state.entitlements.values()
            if row.delivery is not None and row.delivery.kind == "file"
        }
        for (seller, sha256), entitlement in wanted.items():
            places = [folder / name / sha256 for name in kept_under(self.state, seller)]
            found = [await asyncio.to_thread(_wrong_with_file, place, sha256) for place in places]
            wrong = "" if "" in found else found[0]
            if wrong:
                self.differ(
                    "file", f"{seller}/{sha256}", f"{wrong}; entitlement {entitlement} gives a right to it"
                )


class Evidence:
    """The log of evidence beside the journal, row by row.

    One altered byte is one difference: where the stored leaves give the stored root, the log goes on from them, and it is
    the journal's row or the leaf that is named; where they do not, it goes on from the leaves that the journal gives.
    """

    def __init__(self, connection: Any, differ: Callable[[str, str, str], None]) -> None:
        self.connection = connection
        self.differ = differ
        self.begins = 0
        self.editions: list[tuple[int, int]] = []
        self.log: Log | None = None
        self.before: Any = None
        self.ahead: deque[Any] = deque()

    async def begin(self) -> None:
        begun = await self.connection.fetchrow(
            "select begins, secret from evidence_log where shard = $1", journal.SHARD
        )
        if begun is not None:
            self.begins, self.log = begun["begins"], Log(begun["secret"])
            self.editions = await journal.editions(self.connection)

    async def follow(self, row: Any) -> None:
        """The evidence of a journal row."""
        sequence = row["sequence"]
        stored = await self._stored(sequence)
        if self.log is None or sequence < self.begins:
            self.before = row
            if stored is not None:
                self.differ("evidence", str(sequence), "the log had not begun")
            return
        if sequence == self.begins and self.before is not None:
            self.log.older = older_leaf(*[self.before[name] for name in ("sequence", "at_ns", "checksum")])
        try:
            leaves = leaves_in(journal.entries_of(row), edition_at(self.editions, sequence))
        except (journal.JournalBroken, msgspec.MsgspecError):
            self._skip(stored)
        else:
            self._compare(sequence, self.log, leaves, stored)

    async def _stored(self, sequence: int) -> Any:
        """The evidence row of a journal row. Rows come in order, so they are fetched some at a time."""
        if not self.ahead or self.ahead[-1]["sequence"] < sequence:
            self.ahead += await self.connection.fetch(
                "select * from evidence where shard = $1 and sequence >= $2 order by sequence limit $3",
                journal.SHARD,
                max(sequence, self.ahead[-1]["sequence"] + 1 if self.ahead else 0),
                journal.CHUNK,
            )
        while self.ahead and self.ahead[0]["sequence"] < sequence:
            self._orphan(self.ahead.popleft())
        return self.ahead.popleft() if self.ahead and self.ahead[0]["sequence"] == sequence else None

    def _orphan(self, row: Any) -> None:
        self.differ("evidence", str(row["sequence"]), "there is no such journal row")

    def _skip(self, stored: Any) -> None:
        """The journal row cannot be read, and is named: the log goes on from what was stored of it."""
        if stored is not None and self.log is not None:
            self.log.older = None
            self.log.adopt(stored["leaves"], stored["sha256"], stored["sm3"])

    def _compare(self, sequence: int, log: Log, leaves: list[Leaf], stored: Any) -> None:
        said = log.copy()
        expected = said.take(leaves)
        if expected is None and stored is not None:
            self.differ("evidence", str(sequence), "the journal row gives no leaf")
        elif expected is not None and stored is None:
            self.differ("evidence", str(sequence), f"the row of {expected.leaves} leaves is missing")
        elif expected is not None and (wrong := _wrong_with(expected, stored)):
            self.differ("evidence", str(sequence), wrong)
            self._go_on(said, stored)
            return
        self.log = said

    def _go_on(self, said: Log, stored: Any) -> None:
        assert self.log is not None
        self.log.older = None
        kept = self.log.copy()
        kept.adopt(stored["leaves"], stored["sha256"], stored["sm3"])
        roots = tuple([tree.root() for tree in kept.trees])
        self.log = kept if roots == (stored["root_sha256"], stored["root_sm3"]) else said

    async def end(self, sequence: int) -> None:
        """Rows behind the journal's end."""
        await self._stored(sequence + 1)
        for row in self.ahead:
            self._orphan(row)


def _wrong_with(expected: Row, stored: Any) -> str:
    """What of a stored row is not what the journal gives: the first leaf, else the first node, else a root."""
    for name in ("first_leaf", "leaves"):
        if stored[name] != getattr(expected, name):
            return f"{name} is {stored[name]}, the journal says {getattr(expected, name)}"
    for name, words in (("sha256", "SHA-256"), ("sm3", "SM3")):
        at = _first_other(stored[name], getattr(expected, name))
        if at is not None and at < expected.leaves:
            return f"leaf {expected.first_leaf + at} ({words}) is not what the journal says"
        if at is not None:
            return f"node {at - expected.leaves} over its leaves ({words}) is not what the leaves give"
    for name, words in (("root_sha256", "SHA-256"), ("root_sm3", "SM3")):
        if stored[name] != getattr(expected, name):
            return f"the root ({words}) is not what the leaves give"
    return ""


def _first_other(one: bytes, other: bytes) -> int | None:
    """The number of the first hash that differs."""
    if one == other:
        return None
    places = range(0, max(len(one), len(other)), HASH_BYTES)
    return next(
        at
        for at, place in enumerate(places)
        if one[place : place + HASH_BYTES] != other[place : place + HASH_BYTES]
    )


def _wrong_with_file(path: Path, sha256: str) -> str:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    return "" if found == sha256 else f"the bytes hash to {found}"


def _schema_of(body: bytes) -> int:
    return msgspec.msgpack.decode(body, type=Batch).schema


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]} {key[1]}"


def _holding(row: tuple[int, int]) -> str:
    return f"balance {row[0]}, reserved {row[1]}"


# ---- what must be true of any state


def invariants(state: State) -> Iterator[tuple[str, str, str]]:
    """(table, key, what is wrong) of a state in itself. O(state)."""
    wrong = _failing(state.ledger.check)
    if wrong:
        yield "ledger", "all", wrong
    yield from _compare_reservations(state)
    yield from _check_escrow(state)
    yield from _check_debts(state)
    yield from _check_bills(state)
    for listing, book in state.books.items():
        of = state.listings[listing]
        gathers = not takes_orders(state, of)
        law = None if gathers else Law(state, of, state.now_ns)
        wrong = _failing(partial(book.check, law, gathers))
        if wrong:
            yield "book", listing, wrong
    yield from _check_resting(state)


def _failing(check: Callable[[], None]) -> str:
    """The message of the assertion that does not hold, or nothing."""
    try:
        check()
    except AssertionError as error:
        return str(error) or "an invariant does not hold"
    return ""


def _compare_reservations(state: State) -> Iterator[tuple[str, str, str]]:
    """No orphan, and nobody who lacks."""
    needed = dict(_needs(state))
    for identifier, owner, asset, amount in state.ledger.dump()["reservations"]:
        need = needed.pop(identifier, None)
        if need is None:
            yield (
                "reservation",
                identifier,
                f"{amount} {asset} of {owner} belong to no open order, hold, withdrawal or bid",
            )
        elif need != (owner, asset, amount):
            yield (
                "reservation",
                identifier,
                f"has {amount} {asset} of {owner}, needs {need[2]} {need[1]} of {need[0]}",
            )
    for identifier, (owner, asset, amount) in needed.items():
        if amount:
            yield "reservation", identifier, f"there is none: {amount} {asset} of {owner} are needed"


def _needs(state: State) -> Iterator[tuple[str, Need]]:
    for order in state.orders.values():
        yield order.id, _need_of_order(state, order)
    for trade in state.holds.values():
        yield from _needs_of_hold(state, trade)
    for row in state.bank.withdrawals.values():
        if row.state in OPEN_STATES:
            yield row.id, (row.participant, CNY, row.amount_fen)
    for auction in state.auctions.values():
        for bid in auction.bids.values():
            yield bid.id, (bid.participant, CNY, bid.deposit_fen)
            yield price_id(bid.id), (bid.participant, CNY, bid.reserved_fen)


def _need_of_order(state: State, order: Order) -> Need:
    """A buy order rests at its limit, in quantities that price exactly; a sell order sets its units aside."""
    if order.side != BUY:
        return order.participant, unit_asset(order.listing), order.remaining
    per_units = state.listings[order.listing].terms.price_per_units
    return order.participant, CNY, amount_fen(order.price_fen, per_units, order.remaining)


def _needs_of_hold(state: State, trade: Trade) -> Iterable[tuple[str, Need]]:
    yield trade.id, (trade.buyer, CNY, trade.amount_fen)
    if state.listings[trade.listing].terms.mechanism == "continuous_auction":
        yield f"{trade.id}:units", (trade.seller, unit_asset(trade.listing), trade.quantity)


def _check_escrow(state: State) -> Iterator[tuple[str, str, str]]:
    posted = sum(trade.amount_fen for trade in state.trades.values() if trade.state != "held")
    kept = state.ledger.available(ESCROW, CNY)
    if kept != posted:
        yield "escrow", CNY, f"{kept} fen are kept, trades under way have posted {posted}"


def _check_debts(state: State) -> Iterator[tuple[str, str, str]]:
    """What debtors owe and creditors claim is the sum of the debts, and no debtor has money that is not set off."""
    claimed: dict[str, int] = {}
    for debts in state.claims.debts.values():
        for debt in debts.values():
            claimed[debt.creditor] = claimed.get(debt.creditor, 0) + debt.left_fen
    for account in state.ledger.dump()["accounts"]:
        owner, asset, balance, _ = account
        if asset == DEBT and not owner.startswith(DEBTOR_PREFIX) and balance != claimed.get(owner, 0):
            yield "debt", owner, f"claims {balance} fen by its account, {claimed.get(owner, 0)} by the debts"
        if asset != DEBT or not owner.startswith(DEBTOR_PREFIX):
            continue
        debtor = owner.removeprefix(DEBTOR_PREFIX)
        owed = sum(debt.left_fen for debt in state.claims.debts.get(debtor, {}).values())
        if -balance != owed:
            yield "debt", debtor, f"owes {-balance} fen by its account, {owed} by its debts"
        if owed and (idle := state.ledger.available(debtor, CNY)):
            yield "debt", debtor, f"{idle} fen are available to a debtor and not set off"


def _check_bills(state: State) -> Iterator[tuple[str, str, str]]:
    """What was set off against overdue bills and not distributed yet lies in `venue:bills`."""
    overdue = [row for row in state.bills.values() if row.state == "overdue"]
    debts = [state.claims.debts.get(row.buyer, {}).get(row.debt) for row in overdue]
    for row in (row for row, debt in zip(overdue, debts, strict=True) if debt is None):
        yield "bill", row.id, "is overdue, and there is no debt of it"
    posted = sum(debt.amount_fen - debt.left_fen for debt in debts if debt is not None)
    kept = state.ledger.balance(BILLS, CNY)
    if kept != posted:
        yield "bill", CNY, f"{kept} fen are kept, {posted} were set off against bills that are overdue"


def _check_resting(state: State) -> Iterator[tuple[str, str, str]]:
    for order in state.orders.values():
        book = state.books.get(order.listing)
        if book is None or book.get(order.id) is not order:
            yield "order", order.id, "is open and rests in no book"
    resting = sum(len(book) for book in state.books.values())
    if resting > len(state.orders):
        yield "book", "all", f"{resting} orders rest, {len(state.orders)} are open"
