"""Money: cash-in, balances, statements.

Balances are read from the table that the journal's own transaction writes, so they are what is committed.
"""

import base64
import binascii
from typing import Annotated, Final

from litestar import Response
from msgspec import Meta, Struct

from exchange import projector
from exchange.events import BookCashIn, CashBooked, Refused
from exchange.projection import PostingRecord
from exchange.web.instant import text_of
from exchange.web.operation import Call, Id, Operation, Paging
from exchange.web.problem import Refusing

MOST_FEN: Final = 10**15


class CashIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that arrived at the custody bank, under the bank's own reference."""

    participant: Id
    amount_fen: Annotated[int, Meta(ge=1, le=MOST_FEN)]
    bank_reference: Annotated[str, Meta(min_length=1, max_length=100)]


class CashInView(Struct):
    participant: str
    amount_fen: int
    bank_reference: str
    at: str


class AccountView(Struct):
    """`asset` is CNY (amounts in fen) or unit:<listing> (whole units)."""

    asset: str
    balance: int
    reserved: int
    available: int


class OwnAccounts(Struct):
    items: tuple[AccountView, ...]


class OwnedAccount(Struct):
    owner: str
    asset: str
    balance: int
    reserved: int
    available: int


class AccountList(Struct):
    items: tuple[OwnedAccount, ...]
    next: str | None


class PostingView(Struct):
    """One movement of an own account: `amount` is positive in, negative out. `sequence` is that of the journal."""

    at: str
    kind: str
    asset: str
    amount: int
    counterparty: str
    trade: str | None
    reference: str | None
    sequence: int


class Statement(Struct):
    items: tuple[PostingView, ...]
    next: str | None


async def cash_in(call: Call, body: CashIn) -> CashInView:
    command = BookCashIn(
        actor=call.participant,
        key=call.key,
        participant=body.participant,
        amount_fen=body.amount_fen,
        bank_reference=body.bank_reference,
    )
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, CashBooked)
    return CashInView(event.participant, event.amount_fen, event.bank_reference, text_of(outcome.at_ns))


async def own_accounts(call: Call, asked: None) -> OwnAccounts:
    rows = await call.desk.pool.fetch(
        "SELECT asset, balance, reserved FROM account WHERE shard = 0 AND owner = $1 ORDER BY asset",
        call.participant,
    )
    return OwnAccounts(
        tuple(AccountView(asset, balance, held, balance - held) for asset, balance, held in map(tuple, rows))
    )


async def all_accounts(call: Call, asked: Paging) -> Response[bytes]:
    await call.need_role("operator", "auditor", "regulator")
    owner, asset = _account_cursor(asked.cursor)
    rows = await call.desk.pool.fetch(
        "SELECT owner, asset, balance, reserved FROM account WHERE shard = 0 AND (owner, asset) > ($1, $2)"
        " ORDER BY owner, asset LIMIT $3",
        owner,
        asset,
        asked.limit + 1,
    )
    items = [
        OwnedAccount(owner, asset, balance, held, balance - held)
        for owner, asset, balance, held in map(tuple, rows[: asked.limit])
    ]
    more = len(rows) > asked.limit
    return call.page(items, sealed_cursor(items[-1].owner, items[-1].asset) if more else "")


def sealed_cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode()


def _account_cursor(cursor: str) -> tuple[str, str]:
    try:
        owner, _, asset = base64.urlsafe_b64decode(cursor.encode()).decode().partition("\n")
    except (binascii.Error, ValueError) as error:
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before") from error
    if "\0" in owner + asset:
        raise Refusing(Refused.malformed, "cursor is the `next` of the page before")
    return owner, asset


def posting_view(row: PostingRecord, participant: str) -> PostingView:
    out = row.source == participant
    return PostingView(
        text_of(row.at_ns),
        row.kind,
        row.asset,
        -row.amount if out else row.amount,
        row.target if out else row.source,
        row.trade or None,
        row.reference or None,
        row.sequence,
    )


async def statement(call: Call, asked: Paging) -> Response[bytes]:
    participant = call.participant
    await call.tables_ready()
    page = await projector.statement(call.desk.pool, participant, asked.limit, asked.cursor or None)
    return call.page([posting_view(row, participant) for row in page.items], page.next or "")


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_ACCOUNT: Final = {"asset": "CNY", "balance": 1_000_000, "reserved": 50_000, "available": 950_000}

OPERATIONS: Final = (
    Operation("POST", "/v1/cash-in", cash_in, "Book money that arrived at the custody bank (operator)", "money",
              status=201, asks=CashIn, answers=CashInView,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.already_exists),
              example={"participant": "P4", "amount_fen": 1_000_000, "bank_reference": "BANK-2026-000017"},
              example_answer={"participant": "P4", "amount_fen": 1_000_000, "bank_reference": "BANK-2026-000017",
                              "at": _WHEN}),
    Operation("GET", "/v1/accounts/me", own_accounts, "Own balances, and what of them is reserved", "money",
              answers=OwnAccounts, example_answer={"items": [_ACCOUNT]}),
    Operation("GET", "/v1/accounts", all_accounts, "All accounts; every asset sums to zero (operator, auditor)", "money",
              asks=Paging, answers=AccountList, refused=(Refused.forbidden,),
              example_answer={"items": [{"owner": "P4", **_ACCOUNT}], "next": None}),
    Operation("GET", "/v1/statement", statement, "Own movements of money and units, the newest first", "money",
              asks=Paging, answers=Statement,
              example_answer={"items": [{"at": _WHEN, "kind": "escrow", "asset": "CNY", "amount": -50_000,
                                         "counterparty": "venue:escrow", "trade": "T1", "reference": None,
                                         "sequence": 17}], "next": None}),
)  # fmt: skip
