"""Journals written by hand, for tests of what reads them."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from exchange.events import (
    AnyEvent,
    Authorisation,
    Batch,
    CashBooked,
    Classification,
    Consent,
    Description,
    Entry,
    Held,
    ListingCreated,
    ListingMoved,
    OrderPlaced,
    ParticipantRegistered,
    ProductSubmitted,
    Settled,
    Source,
    Terms,
)

ENCODER = msgspec.msgpack.Encoder()


def entry(at_ns: int, *events: AnyEvent) -> Entry:
    return Entry(at_ns, "M1", "", b"", events)


async def append(connection: Any, sequence: int, *entries: Entry) -> None:
    """One row of the journal, as the engine writes it (without its chain of checksums)."""
    body = ENCODER.encode(Batch(1, tuple(msgspec.Raw(ENCODER.encode(one)) for one in entries)))
    await connection.execute(
        "INSERT INTO journal (shard, sequence, epoch, at_ns, schema, entries, body, checksum)"
        " VALUES (0, $1, 1, $2, 1, $3, $4, $5)",
        sequence,
        entries[-1].at_ns,
        len(entries),
        body,
        hashlib.sha256(body).digest(),
    )


def registered(participant: str, name: str = "") -> ParticipantRegistered:
    return ParticipantRegistered(participant, name or f"测试公司{participant}", "", (), "", "", "", "CN", "")


def classified(origin: str = "enterprise", data_class: str = "general") -> Classification:
    return Classification(origin=origin, data_class=data_class, secret_kind="none", pi_state="none")


def product(
    identifier: str = "D1",
    merchant: str = "M1",
    title: str = "气象观测",
    summary: str = "Hourly weather of Hainan",
    tags: Sequence[str] = ("weather",),
    classification: Classification | None = None,
) -> ProductSubmitted:
    return ProductSubmitted(
        identifier,
        merchant,
        Description(
            title=title,
            summary=summary,
            fields=(),
            update_frequency="hourly",
            quality_statement="",
            tags=tuple(tags),
        ),
        classification or classified(),
        Source(channel="own", statement=""),
        Authorisation(
            purposes=(), territories=(), field_groups=(), deals=(), valid_from_ns=0, valid_until_ns=0
        ),
        Consent(basis=""),
        (),
        {},
    )


def terms(mechanism: str = "posted_price", price_fen: int = 100, units: int = 0) -> Terms:
    return Terms(
        right="product_operation",
        deal="licence",
        purposes=("research",),
        territories=("CN",),
        field_group="core",
        term_days=30,
        mechanism=mechanism,
        supply="limited" if units else "unlimited",
        supply_units=units,
        price_fen=price_fen,
    )


def listing(
    identifier: str = "L1",
    of: str = "D1",
    merchant: str = "M1",
    board: str = "general",
    offered: Terms | None = None,
) -> ListingCreated:
    return ListingCreated(identifier, of, merchant, board, offered or terms())


def published(identifier: str = "L1") -> ListingMoved:
    return ListingMoved(identifier, "notice_over", "published", (), "venue", 0)


def suspended(identifier: str = "L1") -> ListingMoved:
    return ListingMoved(identifier, "suspend", "suspended", ("a reason",), "M9", 0)


def cash(participant: str, amount_fen: int, reference: str = "bank-1") -> CashBooked:
    return CashBooked(participant, amount_fen, reference, "M9")


def order(
    identifier: str, participant: str, quantity: int, side: str = "buy", of: str = "L1", limit_fen: int = 100
) -> OrderPlaced:
    return OrderPlaced(
        identifier,
        participant,
        of,
        side,
        quantity,
        limit_fen,
        "gtc",
        "research",
        "CN",
        False,
        quantity * (limit_fen or 10_000) if side == "buy" else quantity,
        f"key-{identifier}",
    )


def settled(
    trade: str,
    buy: str,
    sell: str,
    quantity: int,
    buyer: str = "M2",
    seller: str = "M1",
    price_fen: int = 100,
    due_ns: int = 0,
    entitlement: str = "",
    shares: tuple[tuple[str, int], ...] = (),
    fee_fen: int = 5,
) -> Settled:
    amount_fen = price_fen * quantity
    merchant_fen = amount_fen - fee_fen - sum(fen for _, fen in shares)
    return Settled(
        trade,
        "L1",
        buyer,
        seller,
        buy,
        sell,
        quantity,
        price_fen,
        amount_fen,
        fee_fen,
        merchant_fen,
        0,
        entitlement,
        due_ns,
        b"facts of " + trade.encode(),
        "continuous_auction" if sell else "posted_price",
        "research",
        "CN",
        shares,
    )


def held(trade: str, buy: str, sell: str, quantity: int, buyer: str = "M2", seller: str = "M1") -> Held:
    return Held(
        trade,
        "L1",
        buyer,
        seller,
        buy,
        sell,
        quantity,
        100,
        100 * quantity,
        0,
        9_999,
        ("B11",),
        b"facts of the hold",
        "posted_price",
        "research",
        "CN",
        False,
    )
