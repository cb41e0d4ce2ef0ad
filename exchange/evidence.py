"""What of the journal becomes evidence: which event gives a leaf, what the leaf says, and who may be shown it.

A leaf is made from an event and its instant alone, so that the journal gives every leaf again. It says what its kind
names and nothing else: no free text, and no personal data, which the journal does not have either
(docs/decisions/0013-personal-data.md). What an event gives is never changed: a proof of it is in somebody's hands.

Which events give leaves has editions. A kind says since which one it is; a log says from which journal row on each of
them counts, so that rows of before keep their leaves. A new kind of evidence is a line in `LEAVES`, under a new edition
where the event is older than its line.

What undoes something, or ends it, has its leaf under the same id: whoever asks for all of an id is shown it. What is in
force from some leaf on, as a rulebook, counts for all leaves behind it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, Final

import msgspec

from clearing.evidence import HASH_BYTES, LEAF_MARK, Salt, Tree, canonical, find_sm3, sha256, text_of
from exchange.events import (
    AttestationRevoked,
    Attested,
    AuctionClosed,
    BidEnded,
    BidPlaced,
    BidRevealed,
    BillLowered,
    BillMade,
    BillRefunded,
    CertificateRenewed,
    ContractOffered,
    ContractSigned,
    EntitlementEnded,
    Entry,
    Event,
    FactRecorded,
    Held,
    HoldChanged,
    HoldCured,
    HoldReleased,
    OrderRefused,
    PriceLowered,
    ProductDecided,
    Refunded,
    RefundPaid,
    ReserveOpened,
    Reversed,
    RulebookAdopted,
    RuleNarrowed,
    Settled,
    TradeRefused,
    VenueKeyAdopted,
)

_ENTRY: Final = msgspec.msgpack.Decoder(Entry)

EDITION: Final = 2
"""The newest edition: 1 is the log as it began, 2 has what undoes things, cures, attestations and narrowed rules."""

OLDER: Final = "older"
"""Kind and id of the leaf that stands for a journal's rows from before the log."""


SM3_BY, SM3 = find_sm3()
"""Who computes SM3 on this machine (hashlib or cryptography), and how. Raises DigestMissing where nobody does."""


class Kind(msgspec.Struct, frozen=True):
    """How an event becomes a leaf."""

    kind: str
    """trade, verdict, contract, certificate, attestation, rulebook, bill, key, bid, auction."""
    identifier: str
    """The field by whose value the leaf is asked for; empty: R and the instant; "kind": all of it by the kind's name."""
    fields: str = ""
    """What of the event it says, names separated by spaces: no free text, nothing personal."""
    readers: tuple[str, ...] = ()
    """The fields that name who may be shown it, and what else has its id; operator and auditor see all."""
    public: bool = False
    """Everybody who is signed in may be shown it."""
    applies: Callable[[Any], bool] | None = None
    since: int = 1
    """The edition."""
    undoes: str = ""
    """In words, with the fields of the event: what has become of what has the same id; empty where nothing has."""


_PARTIES: Final = "listing buyer seller buy_order sell_order quantity price_fen"
_TERMS: Final = "mechanism purpose territory"
_BOTH: Final = ("buyer", "seller")

LEAVES: Final[dict[type, Kind]] = {
    Settled: Kind(
        "trade",
        "trade",
        f"{_PARTIES} {_TERMS} amount_fen fee_fen merchant_fen shares share_roles entitlement due_ns facts_sha256"
        " contract buyer_signature",
        _BOTH,
    ),
    Held: Kind(
        "verdict",
        "trade",
        f"{_PARTIES} {_TERMS} accepts_prior amount_fen until_ns violated capacities facts_sha256",
        _BOTH,
    ),
    TradeRefused: Kind(
        "verdict", "trade", f"{_PARTIES} outcome violated unknown capacities facts_sha256", _BOTH
    ),
    HoldChanged: Kind("verdict", "trade", "outcome violated unknown capacities facts_sha256"),
    HoldReleased: Kind("verdict", "trade", "reason violated capacities blamed"),
    OrderRefused: Kind(
        "verdict",
        "",
        "participant listing side quantity limit_fen purpose territory accepts_prior"
        " code violated unknown capacities own",
        ("participant",),
    ),
    ProductDecided: Kind(
        "certificate",
        "certificate",
        "product decision confirmed rights valid_until_ns by",
        public=True,
        applies=lambda event: bool(event.certificate),
    ),
    CertificateRenewed: Kind(
        "certificate", "certificate", "product valid_until_ns evidence_sha256 by", public=True
    ),
    ContractOffered: Kind(
        "contract",
        "contract",
        "listing version merchant standard_terms sha256 public_key signature",
        public=True,
    ),
    ContractSigned: Kind(
        "contract",
        "signature_id",
        "contract participant declared_sha256 public_key signature",
        ("participant",),
    ),
    RulebookAdopted: Kind("rulebook", "kind", "sha256", public=True),
    VenueKeyAdopted: Kind("key", "kind", "public_key", public=True),
    # ---- since edition 2
    RuleNarrowed: Kind("rulebook", "kind", "rule sha256 by", public=True, since=2),
    HoldCured: Kind("verdict", "trade", "rule evidence_sha256 by attestation", since=2),
    Attested: Kind(
        "attestation",
        "attestation",
        "kind provider product buyer rules valid_until_ns evidence_sha256 public_key signature",
        ("provider", "buyer"),
        since=2,
    ),
    AttestationRevoked: Kind("attestation", "attestation", "by", since=2, undoes="已撤销 revoked by {by}"),
    Reversed: Kind(
        "trade",
        "transaction",
        "reversal by",
        applies=lambda event: bool(event.trade),
        since=2,
        undoes="已由 {reversal} 冲正 reversed by {reversal}",
    ),
    Refunded: Kind("trade", "trade", "step", since=2, undoes="已全额退款 refunded in full ({step})"),
    PriceLowered: Kind(
        "trade",
        "trade",
        "amount_fen fee_fen merchant_fen shares",
        since=2,
        undoes="已减价 {amount_fen} 分 price lowered by {amount_fen} fen",
    ),
    RefundPaid: Kind(
        "trade",
        "trade",
        "buyer seller deposit_fen cash_fen debt_fen debt",
        _BOTH,
        since=2,
        undoes="付款后退款 refunded after payout, fen: deposit {deposit_fen}, cash {cash_fen}, debt {debt_fen}",
    ),
    EntitlementEnded: Kind(
        "trade",
        "trade",
        "entitlement evidence_sha256 by",
        applies=lambda event: event.step == "revoke" and bool(event.trade),
        since=2,
        undoes="许可 {entitlement} 已撤销 entitlement {entitlement} revoked",
    ),
    FactRecorded: Kind(
        "certificate",
        "certificate",
        "product entry evidence_sha256 by",
        public=True,
        applies=lambda event: bool(event.certificate),
        since=2,
        undoes="登记状态变更 {entry}",
    ),
    # ---- auctions, whose events are no older
    BidPlaced: Kind(
        "bid",
        "bid",
        "listing participant commitment price_fen quantity purpose territory deposit_fen reserved_fen",
        ("participant",),
    ),
    BidRevealed: Kind("bid", "bid", "price_fen quantity reserved_fen"),
    BidEnded: Kind(
        "bid",
        "bid",
        "step deposit_fen paid_to",
        applies=lambda event: event.step == "forfeited",
        since=2,
        undoes="保证金已归 {paid_to} deposit of {deposit_fen} fen forfeited to {paid_to}",
    ),
    ReserveOpened: Kind("auction", "listing", "reserve_fen", public=True),
    AuctionClosed: Kind("auction", "listing", "outcome bid price_fen trade reserve_fen reason", public=True),
    BillMade: Kind(
        "bill",
        "bill",
        "subscription kind trade entitlement month units packaged base barred prepaid_fen amount_fen fee_fen merchant_fen"
        " shares share_roles due_ns buyer seller",
        _BOTH,
    ),
    BillLowered: Kind(
        "bill",
        "bill",
        "amount_fen fee_fen merchant_fen shares",
        since=2,
        undoes="已减收 {amount_fen} 分 lowered by {amount_fen} fen",
    ),
    BillRefunded: Kind(
        "bill",
        "bill",
        "buyer seller deposit_fen cash_fen debt_fen debt",
        _BOTH,
        since=2,
        undoes="付款后退款 refunded after payment, fen: deposit {deposit_fen}, cash {cash_fen}, debt {debt_fen}",
    ),
}
"""Event: the leaf it gives. Every event that is not here gives none."""


class _Source(msgspec.Struct, frozen=True, gc=False):
    """What a kind of event makes its leaves by: the name they bear, and how they are written (happened, instant, salt)."""

    event: str
    kind: Kind
    write: Callable[[Any, int, bytes], bytes]


class Leaf(msgspec.Struct, gc=False):
    """A leaf before it has its number, and with it its salt."""

    source: _Source
    at_ns: int
    happened: Any

    @property
    def kind(self) -> str:
        return self.source.kind.kind

    @property
    def event(self) -> str:
        return self.source.event

    @property
    def id(self) -> str:
        return id_of(self.source.kind, self.happened, self.at_ns)

    @property
    def undoes(self) -> str:
        """What has become of what has this id, in Chinese and English; empty where nothing has."""
        names = self.source.kind.fields.split()
        return self.source.kind.undoes.format(**{name: getattr(self.happened, name) for name in names})

    def body(self, salt: bytes) -> bytes:
        """What is hashed: canonical JSON."""
        return self.source.write(self.happened, self.at_ns, salt)


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_AS_TEXT: Final[dict[Any, str]] = {
    str: "{}",
    bool: "{}",
    int: "f'{{{}}}'",
    bytes: "{}.hex()",
    tuple[str, ...]: "{}",
    tuple[tuple[str, int], ...]: "[(name, f'{{number}}') for name, number in {}]",
}
"""Type of a field: the expression that gives what `text_of` would, at a fraction of its time."""


def _shape(name: str, fields: Iterable[str]) -> type[msgspec.Struct]:
    """A struct that JSON has in the order of RFC 8785."""
    return msgspec.defstruct(name, [(field, Any) for field in sorted(fields)], gc=False)


_WHOLE: Final = _shape("Whole", ("at_ns", "content", "event", "id", "kind", "salt"))


def _source(event: type, kind: Kind) -> _Source:
    """Which fields are texts, and which integers, is known before: a trade's leaf is written in one expression.

    It is `canonical` of the same content, byte for byte; a test holds one against the other.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(event)}
    fields = sorted(kind.fields.split())
    said = [_AS_TEXT.get(types[field], "text_of({})").format(f"happened.{field}") for field in fields]
    lines = (
        "def write(happened, at_ns, salt):",
        f"    content = Content({', '.join(said)})",
        f"    whole = Whole(f'{{at_ns}}', content, {event.__name__!r}, {_id_text(kind)}, {kind.kind!r}, salt.hex())",
        "    return encode(whole)",
    )
    names: dict[str, Any] = {"Content": _shape("Content", fields), "Whole": _WHOLE, "text_of": text_of}
    names |= {"encode": _ENCODER.encode, "refused_order_id": refused_order_id}
    # Written by this module out of `LEAVES` alone.
    exec(compile("\n".join(lines), f"<leaves: {event.__name__}>", "exec"), names)  # noqa: S102
    return _Source(event.__name__, kind, names["write"])


def _id_text(kind: Kind) -> str:
    """The expression for `id_of`."""
    if kind.identifier == "kind":
        return repr(kind.kind)
    return f"happened.{kind.identifier}" if kind.identifier else "refused_order_id(at_ns)"


def refused_order_id(at_ns: int) -> str:
    """What has no id of its own is known by its instant: no two entries of a journal are of one."""
    return f"R{at_ns}"


_ALL: Final = {event: _source(event, kind) for event, kind in LEAVES.items()}
_SOURCES: Final = [
    {event: source for event, source in _ALL.items() if source.kind.since <= edition}
    for edition in range(EDITION + 1)
]
"""By edition; the first is that of no log."""


def edition_at(begun: Iterable[tuple[int, int]], sequence: int) -> int:
    """The edition by which a journal row gives leaves; `begun` are editions and the rows from which they count."""
    return max([edition for edition, begins in begun if begins <= sequence], default=1)


def kind_of(event: Event, edition: int = EDITION) -> Kind | None:
    """The kind of leaf that this event gives; None where it gives none."""
    source = _SOURCES[edition].get(type(event))
    if source is None or (source.kind.applies is not None and not source.kind.applies(event)):
        return None
    return source.kind


def id_of(kind: Kind, happened: Any, at_ns: int) -> str:
    """What the leaf is asked for by."""
    if kind.identifier == "kind":
        return kind.kind
    return getattr(happened, kind.identifier) if kind.identifier else refused_order_id(at_ns)


def readers_of(leaf: Leaf) -> tuple[str, ...] | None:
    """Participants who may be shown the leaf, and what came later under its id; None: everybody who is signed in."""
    kind = leaf.source.kind
    if kind.public:
        return None
    return tuple([reader for field in kind.readers if (reader := getattr(leaf.happened, field))])


def leaves_of(at_ns: int, events: Iterable[Event], edition: int = EDITION) -> Iterator[Leaf]:
    """The leaves of one entry, in the order of its events."""
    sources = _SOURCES[edition]
    for event in events:
        source = sources.get(type(event))
        if source is not None and (source.kind.applies is None or source.kind.applies(event)):
            yield Leaf(source, at_ns, event)


def leaves_in(entries: Iterable[bytes], edition: int = EDITION) -> list[Leaf]:
    """The leaves of a journal row, out of its encoded entries. Raises msgspec.MsgspecError for what is none."""
    leaves: list[Leaf] = []
    for raw in entries:
        entry = _ENTRY.decode(raw)
        leaves += leaves_of(entry.at_ns, entry.events, edition)
    return leaves


def leaf_at(entries: Iterable[bytes], position: int, edition: int) -> Leaf:
    """One leaf of a journal row, counted from 0."""
    return leaves_in(entries, edition)[position]


# ---- the log


class Row(msgspec.Struct, frozen=True):
    """What a journal row adds to the log: its leaves, and of both trees the nodes they complete and the root behind them.

    Nodes are joined, level by level (`clearing.evidence.place_of`).
    """

    first_leaf: int
    leaves: int
    sha256: bytes
    sm3: bytes
    root_sha256: bytes
    root_sm3: bytes


class Log:
    """Where the log stands. `older` is put before the first leaves: what the journal had before the log began.

    `unwritten`: the journal has no row yet that gives leaves by the newest edition.
    """

    def __init__(self, secret: bytes, older: Leaf | None = None, unwritten: bool = False) -> None:
        self.salt = Salt(secret)
        self.older = older
        self.unwritten = unwritten
        self.trees = Tree(sha256), Tree(SM3)

    @property
    def size(self) -> int:
        return self.trees[0].size

    def take(self, leaves: Sequence[Leaf]) -> Row | None:
        """A journal row's leaves, in both trees; None where there are none."""
        if self.older is not None:
            leaves, self.older = [self.older, *leaves], None
        if not leaves:
            return None
        return self.append(self.bodies(leaves))

    def copy(self) -> "Log":
        twin = copy(self)
        twin.trees = self.trees[0].copy(), self.trees[1].copy()
        return twin

    def adopt(self, leaves: int, *nodes: bytes) -> None:
        """Go on from a stored row: its leaves, as they stand at the front of its nodes."""
        for tree, joined in zip(self.trees, nodes, strict=True):
            tree.append([joined[at : at + HASH_BYTES] for at in range(0, leaves * HASH_BYTES, HASH_BYTES)])

    def bodies(self, leaves: Sequence[Leaf]) -> list[bytes]:
        """What is hashed of the leaves that come next."""
        first, salt = self.size, self.salt
        return [leaf.body(salt.of(first + at)) for at, leaf in enumerate(leaves)]

    def append(self, bodies: Sequence[bytes]) -> Row:
        first = self.size
        marked = [LEAF_MARK + body for body in bodies]
        nodes = [_grown(tree, marked) for tree in self.trees]
        return Row(first, len(bodies), *nodes, *[tree.root() for tree in self.trees])


def _grown(tree: Tree, marked: Sequence[bytes]) -> bytes:
    completed = tree.append(list(map(tree.digest, marked)))
    return b"".join([node for level in completed for node in level])


class _Older(msgspec.Struct, frozen=True):
    """The journal's last row before the log began."""

    checksum: bytes
    sequence: int


def _write_older(row: _Older, at_ns: int, salt: bytes) -> bytes:
    content = {"checksum": text_of(row.checksum), "sequence": text_of(row.sequence)}
    whole = {"content": content, "event": "", "id": OLDER, "kind": OLDER}
    return canonical(whole | {"at_ns": text_of(at_ns), "salt": salt.hex()})


_OLDER: Final = _Source("", Kind(OLDER, "kind", public=True), _write_older)


def older_leaf(sequence: int, at_ns: int, checksum: bytes) -> Leaf:
    """Stands for all journal rows up to this one, the last before the log began: each checksum covers the one before."""
    return Leaf(_OLDER, at_ns, _Older(checksum, sequence))
