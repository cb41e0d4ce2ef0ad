"""What the evidence log proves to others: signed checkpoints, leaves with their salts, paths between roots.

Everything is read from committed rows (`exchange/schema/0012_evidence.sql`), about 2 log2(n) hashes a proof, so nothing
here waits for the engine or makes it wait.

A checkpoint is a note as transparency logs sign them (C2SP signed-note and tlog-checkpoint): the log's name, its size and
its SHA-256 root on three lines, lines of our own, a blank line, a line with the signature. Ed25519 (RFC 8032) signs the
same bytes the same, so asking twice gives the same note.
"""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from clearing.evidence import Checkpoint, Node, Salt, Span, body_of, consistency, fold, inclusion, nodes_of
from clearing.evidence import sha256 as sha256_of
from exchange import journal
from exchange.evidence import OLDER, SM3, Leaf, leaf_at, older_leaf, readers_of
from exchange.keys import Key
from exchange.sealing import KeyRing

ED25519: Final = b"\x01"
"""Kind of signature in a signed note."""

_NEWEST: Final = """
select evidence.sequence, first_leaf + leaves as size, root_sha256, root_sm3, journal.at_ns
from evidence join journal using (shard, sequence) where shard = $1 order by sequence desc limit 1
"""

_LEAVES: Final = """
select leaf.sequence, leaf.position, evidence.first_leaf, log.begins, log.secret,
    journal.schema, journal.entries, journal.body, (
        select coalesce(max(edition), 1) from evidence_edition
        where shard = $1 and evidence_edition.begins <= leaf.sequence
    ) as edition
from evidence_leaf as leaf
join evidence on evidence.shard = $1 and evidence.sequence = leaf.sequence
join journal on journal.shard = $1 and journal.sequence = leaf.sequence
join evidence_log as log on log.shard = $1
where leaf.id = $2 and (leaf.sequence, leaf.position) > ($3, $4) order by leaf.sequence, leaf.position limit $5
"""

_OLDER: Final = """
select log.secret, journal.sequence, journal.at_ns, journal.checksum
from evidence_log as log join journal on journal.shard = log.shard and journal.sequence = log.begins - 1
where log.shard = $1
"""


class Beyond(Exception):
    """There is no such proof: the text says between what the numbers lie."""


class Signed(msgspec.Struct, frozen=True):
    """`text` is what `signature` (base64) is over; `note` has both."""

    checkpoint: Checkpoint
    text: str
    signature: str
    note: str


class Shown(msgspec.Struct, frozen=True):
    """A leaf that is in the tree: its number, where it comes from, and `body`, which is hashed."""

    number: int
    sequence: int
    position: int
    leaf: Leaf
    body: str

    @property
    def readers(self) -> tuple[str, ...] | None:
        """Who may be shown it beside operator and auditor; None: everybody who is signed in."""
        return readers_of(self.leaf)


class Path(msgspec.Struct, frozen=True):
    """Hashes of a proof, from the leaf up, in both trees."""

    sha256: list[bytes]
    sm3: list[bytes]


class Prover:
    """Signs and proves. `origin` names the log: it stays when the key is changed."""

    def __init__(self, pool: Any, ring: KeyRing, origin: str) -> None:
        self.pool = pool
        self.ring = ring
        self.origin = origin
        self._newest: Signed | None = None

    @property
    def key(self) -> Key:
        """The one that signs now."""
        return self.ring.key

    async def checkpoint(self) -> Signed | None:
        """The newest; None while the log is empty."""
        row = await self.pool.fetchrow(_NEWEST, journal.SHARD)
        if row is None:
            return None
        checkpoint = Checkpoint(origin=self.origin, key=base64.b64decode(self.key.public_key), **row)
        if self._newest is None or self._newest.checkpoint != checkpoint:
            self._newest = signed(checkpoint, self.key)
        return self._newest

    async def size(self) -> int:
        row = await self.pool.fetchrow(_NEWEST, journal.SHARD)
        return 0 if row is None else int(row["size"])

    async def inclusion(self, leaf: int, size: int) -> Path:
        """That the leaf is one of the first `size`. Raises Beyond."""
        most = await self.size()
        if not 0 <= leaf < size <= most:
            raise Beyond(f"leaf is below size, and size at most that of the newest checkpoint, {most}")
        return await self._path(inclusion(leaf, size))

    async def consistency(self, old: int, new: int) -> Path:
        """That the first `old` leaves are the same among the first `new`. Raises Beyond."""
        most = await self.size()
        if not 0 < old <= new <= most:
            raise Beyond(f"from is at least 1, to at least from and at most the newest size, {most}")
        return await self._path(consistency(old, new))

    async def _path(self, spans: Sequence[Span]) -> Path:
        parts = [nodes_of(span) for span in spans]
        wanted: list[Node] = [node for part in parts for node in part]
        found = iter(await journal.nodes_at(self.pool, wanted))
        held = [[next(found) for _ in part] for part in parts]
        return Path(
            [fold(sha256_of, [node[0] for node in part]) for part in held],
            [fold(SM3, [node[1] for node in part]) for part in held],
        )

    async def leaves(self, identifier: str, after: tuple[int, int], limit: int) -> list[Shown]:
        """Leaves with this id behind a place in the journal (sequence, position), in the order in which they came."""
        if identifier == OLDER:
            return await self._older()
        rows = await self.pool.fetch(_LEAVES, journal.SHARD, identifier, *after, limit)
        return [await asyncio.to_thread(_shown, row) for row in rows]

    async def _older(self) -> list[Shown]:
        row = await self.pool.fetchrow(_OLDER, journal.SHARD)
        if row is None:
            return []
        leaf = older_leaf(row["sequence"], row["at_ns"], row["checksum"])
        return [Shown(0, row["sequence"], 0, leaf, leaf.body(Salt(row["secret"]).of(0)).decode())]


def _shown(row: Any) -> Shown:
    """What stands for a journal that is older than the log is leaf 0, before those of the first row."""
    number = row["first_leaf"] + row["position"] + (1 if row["sequence"] == row["begins"] > 1 else 0)
    leaf = leaf_at(journal.entries_of(row), row["position"], row["edition"])
    body = leaf.body(Salt(row["secret"]).of(number)).decode()
    return Shown(number, row["sequence"], row["position"], leaf, body)


def signed(checkpoint: Checkpoint, key: Key) -> Signed:
    text = body_of(checkpoint, _base64)
    signature = key.sign(text)
    name = f"{checkpoint.origin}\n".encode() + ED25519 + checkpoint.key
    number = hashlib.sha256(name).digest()[:4]
    mark = _base64(number + base64.b64decode(signature))
    return Signed(checkpoint, text, signature, f"{text}\n— {checkpoint.origin} {mark}\n")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
