"""The append-only log in PostgreSQL: append a batch, read it back, recover a state from it.

One statement is one transaction: the cursor moves by exactly one under our epoch (else nothing happens at all), the
batch becomes one row, balances change by the batch's net. An epoch that somebody else has raised fences us out.
The rows are a chain: each checksum covers the one before it, so a changed byte anywhere is named by `verify`.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from clearing import evidence as merkle
from exchange import venue
from exchange.events import SCHEMA_VERSION, Batch
from exchange.evidence import EDITION, Log, Row, older_leaf
from exchange.state import State, decode_state, state_hash

SHARD: Final = 0
"""The one shard of this version; every key carries it so that there can be more."""

LOCK_SPACE: Final = 0x5348554A
"""First key of the advisory lock (`SHUJ`); the second is the shard."""

CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 60.0
"""After this long a silent connection counts as lost; the engine waits less for its appends."""

SECRET_BYTES: Final = 32
"""Of the secret that the salts of evidence are made from."""

CHUNK: Final = 200
"""Journal rows read at a time."""

_DECODER = msgspec.msgpack.Decoder(Batch)
_ENCODER = msgspec.msgpack.Encoder()

DECODERS: Final[dict[int, Callable[[bytes], Batch]]] = {1: _DECODER.decode}
"""Schema version of a batch: how its body is read."""

_APPEND: Final = """
with fence as (
    update cursor set sequence = $4, checksum = $8
    where shard = $1 and epoch = $2 and sequence = $3 returning shard
), kept as (
    insert into journal (shard, sequence, epoch, at_ns, schema, entries, body, checksum)
    select $1, $4, $2, $5, $16, $6, $7, $8 from fence
), opened as (
    insert into account (shard, owner, asset, balance, reserved)
    select $1, new.owner, new.asset, new.balance, new.reserved
    from fence, unnest($9::text[], $10::text[], $11::bigint[], $12::bigint[]) as new (owner, asset, balance, reserved)
), moved as (
    update account set balance = account.balance + net.balance, reserved = account.reserved + net.reserved
    from fence, unnest($13::text[], $14::text[], $15::bigint[], $17::bigint[]) as net (owner, asset, balance, reserved)
    where account.shard = $1 and account.owner = net.owner and account.asset = net.asset
    returning 1
), proved as (
    insert into evidence (shard, sequence, first_leaf, leaves, sha256, sm3, root_sha256, root_sm3)
    select $1, $4, $21, $22, $23, $24, $25, $26 from fence where $22 > 0
), person as (
    insert into personal (participant, salt, body)
    select new.participant, new.salt, new.body
    from fence, unnest($18::text[], $19::bytea[], $20::bytea[]) as new (participant, salt, body)
)
select (select count(*) from fence), (select count(*) from moved)
"""


_NO_LEAVES: Final = (0, 0, b"", b"", b"", b"")


class Fenced(Exception):
    """Somebody else writes this shard now: stop."""


class JournalBroken(Exception):
    """The journal is not what was written; the message names the sequence."""


class Record(msgspec.Struct):
    """One batch ready to be appended: encoded entries, net balances, erasable personal rows."""

    sequence: int
    at_ns: int
    entries: int
    body: bytes
    checksum: bytes
    opened: list[tuple[str, str, int, int]]
    moved: list[tuple[str, str, int, int]]
    personal: list[tuple[str, bytes, bytes]]
    evidence: Row | None = None
    """What the log of evidence grows by (exchange/evidence.py)."""


def checksum_of(previous: bytes, body: bytes) -> bytes:
    """The chain: SHA-256 over the previous checksum and this body."""
    return hashlib.sha256(previous + body).digest()


def encode_batch(entries: Sequence[bytes]) -> bytes:
    """A batch body out of entries that are encoded already."""
    return _ENCODER.encode(Batch(SCHEMA_VERSION, tuple(msgspec.Raw(entry) for entry in entries)))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]


async def append(connection: Any, epoch: int, record: Record) -> None:
    """Append a batch in one transaction. Raises Fenced, or what asyncpg raises; then nothing is stored, or unknown."""
    opened = _columns(record.opened, 4)
    moved = _columns(record.moved, 4)
    found, changed = await connection.fetchrow(
        _APPEND,
        SHARD,
        epoch,
        record.sequence - 1,
        record.sequence,
        record.at_ns,
        record.entries,
        record.body,
        record.checksum,
        *opened,
        *moved[:3],
        SCHEMA_VERSION,
        moved[3],
        *_columns(record.personal, 3),
        *(_NO_LEAVES if record.evidence is None else msgspec.structs.astuple(record.evidence)),
    )
    if found != 1:
        raise Fenced(f"epoch {epoch} may not write batch {record.sequence}")
    if changed != len(record.moved):
        raise JournalBroken(f"batch {record.sequence} moved {changed} accounts of {len(record.moved)}")


async def take_epoch(connection: Any) -> tuple[int, int, bytes] | None:
    """Take the shard's lock on this session and raise the epoch: (epoch, sequence, checksum). None: it is taken."""
    if not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_SPACE, SHARD):
        return None
    row = await connection.fetchrow(
        "update cursor set epoch = epoch + 1 where shard = $1 returning epoch, sequence, checksum", SHARD
    )
    return row["epoch"], row["sequence"], row["checksum"]


async def hold_epoch(connection: Any, epoch: int) -> tuple[int, bytes]:
    """After a lost connection: take the lock again and see how far the journal went.

    Holding the lock means that the lost session, and whatever it was committing, is over. Raises Fenced when another
    engine has raised the epoch, ConnectionError while the lost session lives.
    """
    found = await connection.fetchval("select epoch from cursor where shard = $1", SHARD)
    if found != epoch:
        raise Fenced(f"the epoch is {found}, ours was {epoch}")
    if not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_SPACE, SHARD):
        raise ConnectionError("the lost session still holds the lock: its last statement may not be over")
    row = await connection.fetchrow("select epoch, sequence, checksum from cursor where shard = $1", SHARD)
    if row["epoch"] != epoch:
        raise Fenced(f"the epoch is {row['epoch']}, ours was {epoch}")
    return row["sequence"], row["checksum"]


async def rows(connection: Any, after: int, until: int | None = None) -> AsyncIterator[Any]:
    """Journal rows in order, in chunks."""
    position = after
    while True:
        found = await connection.fetch(
            "select sequence, epoch, at_ns, schema, entries, body, checksum from journal"
            " where shard = $1 and sequence > $2 and sequence <= $3 order by sequence limit $4",
            SHARD,
            position,
            until if until is not None else 1 << 62,
            CHUNK,
        )
        for row in found:
            yield row
        if len(found) < CHUNK:
            return
        position = found[-1]["sequence"]


def entries_of(row: Any) -> list[bytes]:
    """The encoded entries of a journal row. Raises JournalBroken naming the row."""
    decode = DECODERS.get(row["schema"])
    if decode is None:
        raise JournalBroken(f"journal {row['sequence']}: schema {row['schema']} is newer than this code")
    try:
        return [bytes(raw) for raw in decode(row["body"]).entries]
    except msgspec.MsgspecError as error:
        raise JournalBroken(f"journal {row['sequence']}: the body cannot be read ({error})") from error


def replay_row(state: State, row: Any, sequence: int, checksum: bytes) -> None:
    """Apply one journal row that follows (sequence, checksum). Raises JournalBroken naming it."""
    number = row["sequence"]
    if number != sequence + 1:
        raise JournalBroken(f"journal {sequence + 1} is missing")
    if checksum_of(checksum, row["body"]) != row["checksum"]:
        raise JournalBroken(f"journal {number}: the checksum does not fit the body")
    for raw in entries_of(row):
        venue.replay(state, raw)


class Recovered(msgspec.Struct):
    """A state and the journal position it stands at."""

    state: Any
    sequence: int
    checksum: bytes
    replayed: int


async def recover(connection: Any, empty: Callable[[], State]) -> Recovered:
    """The latest snapshot, then the journal behind it. A snapshot that does not hash to its name is refused."""
    state, sequence = await latest_snapshot(connection, empty)
    checksum, replayed = b"", 0
    if sequence:
        checksum = await connection.fetchval(
            "select checksum from journal where shard = $1 and sequence = $2", SHARD, sequence
        )
    async for row in rows(connection, sequence):
        replay_row(state, row, sequence, checksum)
        sequence, checksum, replayed = row["sequence"], row["checksum"], replayed + row["entries"]
    stands = await connection.fetchval("select sequence from cursor where shard = $1", SHARD)
    if stands != sequence:
        raise JournalBroken(
            f"journal {stands} is missing: the cursor stands there, the journal ends at {sequence}"
        )
    state.ledger.drain()
    return Recovered(state, sequence, checksum, replayed)


# ---- the log of evidence


async def recover_log(connection: Any, sequence: int) -> Log:
    """The log as of the journal's end; it and its newest edition are begun behind it where they are not yet.

    Raises JournalBroken where the stored nodes do not give the stored root.
    """
    await connection.execute(
        "insert into evidence_log (shard, begins, secret) values ($1, $2, $3) on conflict do nothing",
        SHARD,
        sequence + 1,
        secrets.token_bytes(SECRET_BYTES),
    )
    begins, secret = await connection.fetchrow(
        "select begins, secret from evidence_log where shard = $1", SHARD
    )
    unwritten = await _begin_edition(connection, sequence)
    last = await connection.fetchrow(
        "select sequence, first_leaf + leaves as size, root_sha256, root_sm3 from evidence"
        " where shard = $1 order by sequence desc limit 1",
        SHARD,
    )
    if last is None:
        older = await connection.fetchrow(
            "select sequence, at_ns, checksum from journal where shard = $1 and sequence = $2",
            SHARD,
            begins - 1,
        )
        return Log(secret, older_leaf(*older) if older else None, unwritten)
    return await _resumed(connection, Log(secret, unwritten=unwritten), last)


async def _begin_edition(connection: Any, sequence: int) -> bool:
    """Rows behind this one give leaves by the newest edition; whether there is none of them yet."""
    await connection.execute(
        "insert into evidence_edition (shard, edition, begins) values ($1, $2, $3) on conflict do nothing",
        SHARD,
        EDITION,
        sequence + 1,
    )
    begins = await connection.fetchval(
        "select begins from evidence_edition where shard = $1 and edition = $2", SHARD, EDITION
    )
    return bool(begins > sequence)


async def editions(connection: Any) -> list[tuple[int, int]]:
    """Editions of the log of evidence, and the journal rows from which they count."""
    rows = await connection.fetch("select edition, begins from evidence_edition where shard = $1", SHARD)
    return [(row["edition"], row["begins"]) for row in rows]


async def _resumed(connection: Any, log: Log, last: Any) -> Log:
    nodes = await nodes_at(connection, merkle.nodes_of((0, last["size"])))
    roots = last["root_sha256"], last["root_sm3"]
    for at, tree in enumerate(log.trees):
        tree.resume(last["size"], [node[at] for node in nodes])
        if tree.root() != roots[at]:
            raise JournalBroken(
                f"evidence {last['sequence']}: the stored nodes do not give the root: run verify"
            )
    return log


async def nodes_at(connection: Any, nodes: Sequence[merkle.Node]) -> list[tuple[bytes, bytes]]:
    """Complete nodes of both trees (SHA-256, SM3), in the order asked. Raises JournalBroken where one is missing."""
    found = await connection.fetch(
        "select held.sequence, held.first_leaf, held.leaves"
        " from unnest($2::bigint[]) with ordinality as wanted (leaf, at) cross join lateral ("
        "  select sequence, first_leaf, leaves from evidence where shard = $1 and first_leaf <= wanted.leaf"
        "  order by first_leaf desc limit 1) as held order by wanted.at",
        SHARD,
        [merkle.last_leaf(node) for node in nodes],
    )
    if len(found) < len(nodes):
        raise JournalBroken("evidence: the log's first row is missing: run verify")
    places = [
        merkle.place_of(node, row["first_leaf"], row["leaves"])
        for node, row in zip(nodes, found, strict=True)
    ]
    rows = await connection.fetch(
        "select substring(sha256 from place for 32) as sha256, substring(sm3 from place for 32) as sm3"
        " from unnest($2::bigint[], $3::integer[]) with ordinality as wanted (sequence, place, at)"
        " join evidence on shard = $1 and evidence.sequence = wanted.sequence order by wanted.at",
        SHARD,
        [row["sequence"] for row in found],
        [place * merkle.HASH_BYTES + 1 for place in places],
    )
    return [(row["sha256"], row["sm3"]) for row in rows]


async def latest_snapshot(connection: Any, empty: Callable[[], State]) -> tuple[State, int]:
    """The newest snapshot of this code's schema, or the empty state at 0. Raises JournalBroken."""
    row = await connection.fetchrow(
        "select sequence, state_sha256, body from snapshot where shard = $1 and schema = $2"
        " order by sequence desc limit 1",
        SHARD,
        SCHEMA_VERSION,
    )
    fresh = empty()
    if row is None:
        return fresh, 0
    if state_hash(row["body"]) != row["state_sha256"]:
        raise JournalBroken(
            f"snapshot {row['sequence']}: the body does not hash to its name; delete this row"
        )
    return decode_state(row["body"], fresh.boards, fresh.rulebook, fresh.jurisdiction), row["sequence"]


async def connect(dsn: str) -> Any:
    """A connection of our own, not from a pool: a pool's reset would release the lock."""
    return await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": "shuji"},
    )
