"""The books over HTTP: reports, refunds by agreement, deposits, debts, reversals. `docs/LEDGER.md` explains each account.

An account is named by its owner: a participant (`P4`), its deposit (`deposit:P4`), what it owes (`debtor:P4`), the venue's
own (`venue:fees`, `venue:escrow`), the mirror of the custody bank (`bank:cash`), the issue of a listing (`issue:L7`).
"""

from typing import Annotated, Any, Final, Literal

from litestar import Response
from msgspec import Meta, Struct
from msgspec.structs import replace

from clearing.ledger import CNY, DEBTOR_PREFIX, DEPOSIT_PREFIX, FEES, deposit_owner
from exchange import bookkeeping, projector
from exchange.deposit import MAX_DEPOSIT_FEN, deposited, needed
from exchange.events import (
    Completed,
    DepositPaid,
    DepositTaken,
    OfferRefund,
    PayDeposit,
    PriceLowered,
    Refunded,
    RefundOffered,
    Refused,
    ReversalProposed,
    Reversed,
    ReverseTransaction,
    TakeDeposit,
)
from exchange.journal import SHARD
from exchange.projection import PostingRecord, TradeRecord
from exchange.reversal import BANK_PREFIX
from exchange.state import Reversal, State, offer_key
from exchange.web.instant import Instant, ns_of, optional_text, text_of
from exchange.web.operation import Call, Operation, Paging
from exchange.web.problem import Refusing

OFFICIALS: Final = ("operator", "auditor", "regulator")
NS: Final = 1_000_000_000

AccountName = Annotated[str, Meta(min_length=1, max_length=80, description="P4, deposit:P4, venue:fees, ...")]
Asset = Annotated[
    str, Meta(max_length=80, description="CNY (fen), unit:<listing> (whole units), debt:CNY (fen)")
]
Amount = Annotated[int, Meta(ge=1, le=MAX_DEPOSIT_FEN, description="fen")]
Reason = Annotated[str, Meta(min_length=1, max_length=1_000)]


class AtQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    """`at`: as of then, that instant included; without it as of now."""

    at: Instant | None = None


class PeriodQuery(Paging, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """`from` is in, `until` is out; without them from the beginning and to the end."""

    since: Instant | None = None
    until: Instant | None = None

    def bounds(self, now_ns: int) -> tuple[int, int]:
        """UTC ns."""
        start = 0 if self.since is None else ns_of(self.since, "from")
        return start, now_ns + 1 if self.until is None else ns_of(self.until, "until")


class StatementQuery(PeriodQuery, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    account: AccountName
    asset: Asset = CNY


class ReservationQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Literal["open", "posted", "voided", "expired"] = "open"


class ReversalBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`transaction`: a trade's id, or `bank:` and the bank's reference, as a statement names them."""

    transaction: Annotated[str, Meta(min_length=1, max_length=120)]
    reason: Reason


class RefundBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The same amount as the other party's offer agrees to it; any other is an offer of one's own."""

    amount_fen: Amount
    reason: Reason


class DepositBody(Struct, kw_only=True, forbid_unknown_fields=True):
    amount_fen: Amount


# ---- answers


class BalanceView(Struct):
    """Positive is credit (somebody's money or units), negative is debit (the outside world's mirror)."""

    account: str
    asset: str
    shard: int
    balance: int


class TotalView(Struct):
    asset: str
    debit: int
    credit: int


class TrialBalance(Struct):
    """`totals` are over all accounts, not only this page's: debit and credit are equal in each asset."""

    items: tuple[BalanceView, ...]
    next: str | None
    totals: tuple[TotalView, ...]


class LineView(Struct):
    """A movement of the account: `amount` is positive in, negative out; `balance` is after it.

    `transaction` is what a reversal names where it can be reversed: a trade, or `bank:` and the bank's reference.
    """

    transaction: str
    at: str
    kind: str
    amount: int
    balance: int
    counterparty: str
    reverses: str | None


class StatementView(Struct):
    """`opening` and `closing` are of the whole period, `items` in order."""

    account: str
    asset: str
    opening: int
    closing: int
    items: tuple[LineView, ...]
    next: str | None


class ReservationView(Struct):
    """`amount` was set aside; `posted` went to trades, `moved` to a hold's own reservation, `left` is still set aside."""

    reservation: str
    account: str
    asset: str
    amount: int
    posted: int
    moved: int
    left: int
    state: str
    at: str
    until: str | None


class ReservationList(Struct):
    items: tuple[ReservationView, ...]
    next: str | None


class EscrowView(Struct):
    trade: str
    buyer: str
    seller: str
    state: str
    amount_fen: int
    since: str
    age_seconds: int


class AgeView(Struct):
    """What lies in escrow for at least `from_days` and less than `until_days` (null: no end)."""

    from_days: int
    until_days: int | None
    amount_fen: int
    trades: int


class EscrowList(Struct):
    items: tuple[EscrowView, ...]
    next: str | None
    ages: tuple[AgeView, ...]


class FeeView(Struct):
    """A fee as it was paid, or taken back by a reversal (negative)."""

    trade: str
    amount_fen: int
    at: str
    kind: str


class FeeList(Struct):
    """`total_fen` is of the whole period."""

    items: tuple[FeeView, ...]
    next: str | None
    total_fen: int


class ShareView(Struct):
    trade: str
    product: str
    participant: str
    role: str
    amount_fen: int
    at: str


class ShareList(Struct):
    items: tuple[ShareView, ...]
    next: str | None


class RuleCount(Struct):
    """How often a rule was broken, in refused orders, trades and holds; in the words of the rulebook in force."""

    rule: str
    message_zh: str
    message_en: str
    count: int
    orders: int
    trades: int
    holds: int


class CodeCount(Struct):
    kind: str
    code: str
    count: int


class RefusalCounts(Struct):
    """`codes` counts every kept refusal, those without a rule too."""

    items: tuple[RuleCount, ...]
    codes: tuple[CodeCount, ...]


class ReversalView(Struct):
    """`state`: proposed (another operator has to send the same until `until`), made, expired."""

    transaction: str
    reverses: str
    state: str
    reason: str
    proposed_by: str
    approved_by: str | None
    until: str | None
    at: str | None


class ReversalList(Struct):
    items: tuple[ReversalView, ...]


class RefundView(Struct):
    """`state`: offered (the other party has to send the same amount until `until`), agreed.

    A part that is agreed to with the delivery in hand is acceptance at the lower price (`completed`).
    `escrow_fen`, `deposit_fen` and `cash_fen` went to the buyer out of escrow, the seller's deposit and its cash;
    `debt_fen` is what the seller owes now.
    """

    trade: str
    state: str
    amount_fen: int
    until: str | None = None
    escrow_fen: int = 0
    deposit_fen: int = 0
    cash_fen: int = 0
    debt_fen: int = 0
    completed: bool = False


class StandingOffer(Struct):
    by: str
    amount_fen: int
    reason: str
    until: str


class RefundState(Struct):
    """What was agreed until now, and the offers that wait for an answer: one of each party at most."""

    trade: str
    refunded_fen: int
    offers: tuple[StandingOffer, ...]


class DepositView(Struct):
    """`needed_fen` stays in for open sales and offered refunds, `free_fen` can be taken back."""

    participant: str
    balance_fen: int
    needed_fen: int
    free_fen: int


class DepositMove(Struct):
    """`amount_fen` is positive into the deposit, negative back out of it."""

    participant: str
    amount_fen: int
    at: str


class DepositList(Struct):
    items: tuple[DepositView, ...]


class DebtView(Struct):
    debt: str
    debtor: str
    creditor: str
    trade: str
    amount_fen: int
    outstanding_fen: int
    since: str


class DebtList(Struct):
    items: tuple[DebtView, ...]


# ---- reports


async def trial_balance(call: Call, asked: AtQuery) -> TrialBalance:
    await call.need_role(*OFFICIALS)
    await call.tables_ready()
    at_ns = None if asked.at is None else ns_of(asked.at, "at")
    owner, _, asset = asked.cursor.partition("|")
    rows, more = await bookkeeping.trial_balance(call.desk.pool, at_ns, owner, asset, asked.limit)
    items = tuple(BalanceView(row.owner, row.asset, SHARD, row.balance) for row in rows)
    totals = await bookkeeping.totals(call.desk.pool, at_ns)
    following = f"{items[-1].account}|{items[-1].asset}" if more else None
    return TrialBalance(items, following, tuple(TotalView(*row) for row in totals))


def owns(participant: str, account: str) -> bool:
    return account in (participant, DEPOSIT_PREFIX + participant, DEBTOR_PREFIX + participant)


async def statement(call: Call, asked: StatementQuery) -> StatementView:
    if not owns(call.participant, asked.account) and not (await call.roles()).intersection(OFFICIALS):
        raise Refusing(Refused.forbidden, "the account is another's: operators and auditors read any")
    await call.tables_ready()
    found = await bookkeeping.statement(
        call.desk.pool, asked.account, asked.asset, *asked.bounds(call.now_ns), asked.limit, asked.cursor
    )
    reversals = await call.read(reversed_by)
    balance, items = found.before, []
    for row in found.items:
        amount = row.amount if row.target == asked.account else -row.amount
        balance += amount
        other = row.source if row.target == asked.account else row.target
        items.append(
            LineView(transaction_of(row), text_of(row.at_ns), row.kind, amount, balance, other,
                     reversals.get(row.reference) if row.kind == "reversal" else None)
        )  # fmt: skip
    return StatementView(
        asked.account, asked.asset, found.opening, found.closing, tuple(items), found.next or None
    )


def reversed_by(state: State) -> dict[str, str]:
    """Reversal: the transaction that it took back."""
    return {row.id: row.transaction for row in state.claims.reversals.values()}


def transaction_of(row: PostingRecord) -> str:
    """What a posting belongs to: a reversal, a trade, the bank's entry, a debt; else its own place in the journal."""
    if row.kind == "reversal":
        return row.reference
    if row.kind == "cash_in":
        return BANK_PREFIX + row.reference
    return row.trade or row.reference or f"{row.sequence}.{row.position}"


async def reservations(call: Call, asked: ReservationQuery) -> Response[bytes]:
    everybody = (await call.roles()).intersection(OFFICIALS)
    await call.tables_ready()
    owner = "" if everybody else call.participant
    rows, following = await bookkeeping.reservations(
        call.desk.pool, owner, asked.state, asked.limit, asked.cursor
    )
    items = [
        ReservationView(row.reservation, row.account, row.asset, row.amount, row.posted, row.moved, row.left, row.state,
                        text_of(row.at_ns), optional_text(row.until_ns))
        for row in rows
    ]  # fmt: skip
    return call.page(items, following)


async def escrow(call: Call, asked: Paging) -> EscrowList:
    await call.need_role(*OFFICIALS)
    await call.tables_ready()
    now_ns = call.now_ns
    rows, more = await bookkeeping.escrow(call.desk.pool, after_of(asked.cursor), asked.limit)
    ages = await bookkeeping.escrow_ages(call.desk.pool, now_ns)
    edges = (0, *bookkeeping.AGES_DAYS)
    told = tuple(
        AgeView(start, end, fen, trades)
        for start, end, (fen, trades) in zip(edges, (*edges[1:], None), ages, strict=True)
    )
    items = tuple(
        EscrowView(
            row.id, row.buyer, row.seller, row.state, row.amount_fen - row.refunded_fen, text_of(row.settled_at_ns),
            max(0, now_ns - row.settled_at_ns) // NS,
        )
        for row in rows
    )  # fmt: skip
    return EscrowList(items, str(rows[-1].number) if more else None, told)


def after_of(cursor: str) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise projector.CursorInvalid(f"{cursor[:40]!r} is not a cursor of this list")
    return int(cursor or 0)


async def fees(call: Call, asked: PeriodQuery) -> FeeList:
    await call.need_role(*OFFICIALS)
    await call.tables_ready()
    bounds = asked.bounds(call.now_ns)
    total_fen, rows, following = await bookkeeping.fees(call.desk.pool, *bounds, asked.limit, asked.cursor)
    items = tuple(
        FeeView(row.trade, row.amount if row.target == FEES else -row.amount, text_of(row.at_ns), row.kind)
        for row in rows
    )
    return FeeList(items, following or None, total_fen)


async def revenue_shares(call: Call, asked: PeriodQuery) -> Response[bytes]:
    everybody = (await call.roles()).intersection(OFFICIALS)
    await call.tables_ready()
    owner = "" if everybody else call.participant
    bounds = asked.bounds(call.now_ns)
    rows, following = await bookkeeping.shares(call.desk.pool, owner, *bounds, asked.limit, asked.cursor)
    trades = await bookkeeping.trades(call.desk.pool, [row.trade for row in rows])
    return call.page([_share_view(row, trades[row.trade]) for row in rows], following)


def _share_view(row: PostingRecord, trade: TradeRecord) -> ShareView:
    """Below 0 where a reversal took it back."""
    back = row.kind == "reversal"
    owner, amount_fen = (row.source, -row.amount) if back else (row.target, row.amount)
    return ShareView(row.trade, trade.product, owner, role_of(trade, owner), amount_fen, text_of(row.at_ns))


def role_of(trade: TradeRecord, participant: str) -> str:
    """What somebody gave to the product, as it was declared; a contributor where nobody said."""
    named = dict(zip([name for name, _ in trade.shares], trade.share_roles, strict=False))
    return named.get(participant, "contributor")


async def refusals(call: Call, asked: PeriodQuery) -> RefusalCounts:
    await call.need_role(*OFFICIALS)
    await call.tables_ready()
    now_ns = call.now_ns
    bounds = asked.bounds(now_ns)
    by_rule = await bookkeeping.refusals_by_rule(call.desk.pool, *bounds)
    by_code = await bookkeeping.refusals_by_code(call.desk.pool, *bounds)
    words = call.desk.reasons.violations([row[0] for row in by_rule], now_ns, ())
    return RefusalCounts(
        tuple(
            RuleCount(row[0], said.message_zh, said.message_en, *row[1:])
            for row, said in zip(by_rule, words, strict=True)
        ),
        tuple(CodeCount(*row) for row in by_code),
    )


# ---- reversals


async def reverse(call: Call, body: ReversalBody) -> ReversalView:
    """The first operator proposes, another with the same transaction makes it."""
    await call.need_role("operator")
    await call.tables_ready()
    command = await _reversal_command(call, body)
    outcome = await call.submit(command)
    event = next(one for one in outcome.events if isinstance(one, Reversed | ReversalProposed))
    if isinstance(event, Reversed):
        return await call.read(lambda state: view_of(state.claims.reversals[event.transaction], "made"))
    return ReversalView(
        event.reversal,
        event.transaction,
        "proposed",
        event.reason,
        event.by,
        None,
        text_of(event.until_ns),
        None,
    )


async def _reversal_command(call: Call, body: ReversalBody) -> ReverseTransaction:
    command = ReverseTransaction(
        actor=call.participant, key=call.key, transaction=body.transaction, reason=body.reason
    )
    if body.transaction.startswith(BANK_PREFIX):
        legs = await bookkeeping.legs_of_booking(call.desk.pool, body.transaction.removeprefix(BANK_PREFIX))
        return replace(command, legs=legs)
    trade = await projector.trade(call.desk.pool, body.transaction)
    if trade is None or trade.state not in ("completed", "refunded"):
        return command
    if trade.state == "refunded":
        raise Refusing(Refused.wrong_state, "all of its price has gone back: there is nothing to reverse")
    legs = await bookkeeping.legs_of_trade(call.desk.pool, trade.id)
    return replace(
        command, legs=legs, entitlement=trade.entitlement, refunded_fen=trade.refunded_fen, listing=trade.listing,
        seller=trade.seller, amount_fen=trade.amount_fen,
    )  # fmt: skip


def view_of(row: Reversal, state: str) -> ReversalView:
    return ReversalView(
        row.id, row.transaction, state, row.reason, row.proposed_by, row.approved_by or None,
        None if row.at_ns else text_of(row.until_ns), optional_text(row.at_ns),
    )  # fmt: skip


async def reversals(call: Call, asked: None) -> ReversalList:
    await call.need_role(*OFFICIALS)

    def look(state: State) -> tuple[ReversalView, ...]:
        claims = state.claims
        proposed = [view_of(row, "proposed") for row in claims.proposals.values()]
        return (*proposed, *(view_of(row, "made") for row in claims.reversals.values()))

    return ReversalList(await call.read(look))


# ---- refunds


async def offer_refund(call: Call, body: RefundBody) -> RefundView:
    trade = await _own_trade(call)
    command = OfferRefund(
        actor=call.participant,
        key=call.key,
        trade=trade.id,
        amount_fen=body.amount_fen,
        reason=body.reason,
        price_fen=trade.amount_fen,
        entitlement=trade.entitlement,
        quantity=trade.quantity,
    )
    try:
        outcome = await call.submit(command)
    except Refusing as error:
        if error.refusal.code is not Refused.not_found:
            raise
        detail = f"the trade is {trade.state} and no licence runs: an operator can reverse it (POST /v1/ledger/reversals)"
        raise Refusing(Refused.wrong_state, detail) from error
    view = refund_view(outcome.events[0], body.amount_fen)
    view.completed = any(isinstance(event, Completed) for event in outcome.events)
    return view


def refund_view(event: Any, amount_fen: int) -> RefundView:
    if isinstance(event, RefundOffered):
        return RefundView(event.trade, "offered", amount_fen, text_of(event.until_ns))
    if isinstance(event, Refunded | PriceLowered):
        return RefundView(event.trade, "agreed", amount_fen, escrow_fen=amount_fen)
    return RefundView(
        event.trade,
        "agreed",
        amount_fen,
        deposit_fen=event.deposit_fen,
        cash_fen=event.cash_fen,
        debt_fen=event.debt_fen,
    )


async def _own_trade(call: Call, *offices: str) -> TradeRecord:
    await call.tables_ready()
    trade = await projector.trade(call.desk.pool, call.path["trade"])
    if trade is None or (
        call.participant not in (trade.buyer, trade.seller) and not (await call.roles()).intersection(offices)
    ):
        raise Refusing(Refused.not_found, f"there is no trade {call.path['trade']}")
    return trade


async def refund_state(call: Call, asked: None) -> RefundState:
    trade = await _own_trade(call, *OFFICIALS)
    keys = [offer_key(trade.id, party) for party in (trade.buyer, trade.seller)]
    found = await call.read(lambda state: [state.claims.offers.get(key) for key in keys])
    offers = [
        StandingOffer(row.by, row.amount_fen, row.reason, text_of(row.until_ns))
        for row in found
        if row is not None
    ]
    return RefundState(trade.id, trade.refunded_fen, tuple(offers))


# ---- deposits and debts


def deposit_view(state: State, participant: str) -> DepositView:
    balance, kept = deposited(state, participant), needed(state, participant)
    return DepositView(participant, balance, kept, max(0, balance - kept))


async def pay_deposit(call: Call, body: DepositBody) -> DepositMove:
    command = PayDeposit(actor=call.participant, key=call.key, amount_fen=body.amount_fen)
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, DepositPaid)
    return DepositMove(event.participant, event.amount_fen, text_of(outcome.at_ns))


async def take_deposit(call: Call, body: DepositBody) -> DepositMove:
    command = TakeDeposit(actor=call.participant, key=call.key, amount_fen=body.amount_fen)
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, DepositTaken)
    return DepositMove(event.participant, -event.amount_fen, text_of(outcome.at_ns))


async def deposits(call: Call, asked: None) -> DepositList:
    participant = call.participant
    if not (await call.roles()).intersection(OFFICIALS):
        return DepositList((await call.read(lambda state: deposit_view(state, participant)),))
    return DepositList(await call.read(all_deposits))


def all_deposits(state: State) -> tuple[DepositView, ...]:
    """Whoever has one: O(participants and trades)."""
    held = [name for name in state.bureau.participants if state.ledger.balance(deposit_owner(name), CNY)]
    return tuple(deposit_view(state, participant) for participant in held)


async def debts(call: Call, asked: None) -> DebtList:
    """One's own on either side; operators and auditors see all."""
    participant = call.participant
    everybody = bool((await call.roles()).intersection(OFFICIALS))

    def look(state: State) -> tuple[DebtView, ...]:
        return tuple(
            DebtView(
                row.id,
                row.debtor,
                row.creditor,
                row.trade,
                row.amount_fen,
                row.left_fen,
                text_of(row.since_ns),
            )
            for owed in state.claims.debts.values()
            for row in owed.values()
            if everybody or participant in (row.debtor, row.creditor)
        )

    return DebtList(await call.read(look))


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_UNTIL: Final = "2026-12-03T10:00:00Z"
_BALANCES: Final = [
    {"account": "P4", "asset": "CNY", "shard": 0, "balance": 950_000},
    {"account": "bank:cash", "asset": "CNY", "shard": 0, "balance": -1_000_000},
    {"account": "venue:escrow", "asset": "CNY", "shard": 0, "balance": 50_000},
]
_LINE: Final = {"transaction": "T1", "at": _WHEN, "kind": "escrow", "amount": -50_000, "balance": 950_000,
                "counterparty": "venue:escrow", "reverses": None}  # fmt: skip
_RESERVATION: Final = {"reservation": "O1", "account": "P4", "asset": "CNY", "amount": 10_000, "posted": 4_000, "moved": 0,
                       "left": 6_000, "state": "open", "at": _WHEN, "until": None}  # fmt: skip
_REVERSAL: Final = {"transaction": "V1", "reverses": "bank:BANK-2026-000017", "state": "proposed",
                    "reason": "记账有误", "proposed_by": "P1", "approved_by": None, "until": _UNTIL,
                    "at": None}  # fmt: skip
_DEPOSIT: Final = {"participant": "P2", "balance_fen": 30_000, "needed_fen": 10_000, "free_fen": 20_000}
_ASKED: Final = {"amount_fen": 20_000, "reason": "三月数据缺失"}
_OFFICE: Final = (Refused.forbidden,)

OPERATIONS: Final = (
    Operation("GET", "/v1/ledger/trial-balance", trial_balance, "Every account's balance, now or then (operator, auditor)",
              "ledger", asks=AtQuery, answers=TrialBalance, refused=_OFFICE,
              example_answer={"items": _BALANCES, "next": None,
                              "totals": [{"asset": "CNY", "debit": 1_000_000, "credit": 1_000_000}]}),
    Operation("GET", "/v1/ledger/statement", statement, "An account's movements and balances over a period", "ledger",
              asks=StatementQuery, answers=StatementView, refused=_OFFICE,
              example_answer={"account": "P4", "asset": "CNY", "opening": 1_000_000, "closing": 950_000, "items": [_LINE],
                              "next": None}),
    Operation("GET", "/v1/ledger/reservations", reservations, "What is or was set aside, and for what", "ledger",
              asks=ReservationQuery, answers=ReservationList, example_answer={"items": [_RESERVATION], "next": None}),
    Operation("GET", "/v1/ledger/escrow", escrow, "What lies in escrow, by age (operator, auditor)", "ledger", asks=Paging,
              answers=EscrowList, refused=_OFFICE,
              example_answer={"items": [{"trade": "T1", "buyer": "P4", "seller": "P2", "state": "settled",
                                         "amount_fen": 50_000, "since": _WHEN, "age_seconds": 172_800}], "next": None,
                              "ages": [{"from_days": 0, "until_days": 3, "amount_fen": 50_000, "trades": 1}]}),
    Operation("GET", "/v1/ledger/fees", fees, "Fees that were earned or taken back (operator, auditor)", "ledger",
              asks=PeriodQuery, answers=FeeList, refused=_OFFICE,
              example_answer={"items": [{"trade": "T1", "amount_fen": 1_000, "at": _WHEN, "kind": "fee"}], "next": None,
                              "total_fen": 1_000}),
    Operation("GET", "/v1/ledger/revenue-shares", revenue_shares, "Shares paid to contributors: own; officials all",
              "ledger", asks=PeriodQuery, answers=ShareList,
              example_answer={"items": [{"trade": "T1", "product": "D1", "participant": "P3", "role": "contributor",
                                         "amount_fen": 4_900, "at": _WHEN}], "next": None}),
    Operation("GET", "/v1/ledger/refusals", refusals, "How often each rule refused (operator, auditor)", "ledger",
              asks=PeriodQuery, answers=RefusalCounts, refused=_OFFICE,
              example_answer={"items": [{"rule": "B04", "message_zh": "超出授权。", "message_en": "Not authorised.",
                                         "count": 2, "orders": 2, "trades": 0, "holds": 0}],
                              "codes": [{"kind": "order", "code": "unlawful", "count": 2}]}),
    Operation("POST", "/v1/ledger/reversals", reverse, "Propose a reversal, or make the one another proposed (operators)",
              "ledger", status=201, asks=ReversalBody, answers=ReversalView,
              refused=(Refused.forbidden, Refused.own_case, Refused.not_found, Refused.already_exists, Refused.wrong_state,
                       Refused.not_verified, Refused.funds_insufficient, Refused.units_insufficient),
              example={"transaction": "bank:BANK-2026-000017", "reason": "记账对象有误"}, example_answer=_REVERSAL),
    Operation("GET", "/v1/ledger/reversals", reversals, "Proposed and made reversals (operator, auditor)", "ledger",
              answers=ReversalList, refused=_OFFICE, example_answer={"items": [_REVERSAL]}),
    Operation("POST", "/v1/trades/{trade}/refund-agreements", offer_refund,
              "Offer that a part or all of the price goes back, or agree to the other's offer", "trades", asks=RefundBody,
              answers=RefundView, example=_ASKED,
              refused=(Refused.not_found, Refused.wrong_state, Refused.out_of_bounds, Refused.unlawful),
              example_answer={"trade": "T1", "state": "offered", "amount_fen": 20_000, "until": _UNTIL, "escrow_fen": 0,
                              "deposit_fen": 0, "cash_fen": 0, "debt_fen": 0, "completed": False}),
    Operation("GET", "/v1/trades/{trade}/refund-agreements", refund_state,
              "What of a price has gone back, and what is offered", "trades", answers=RefundState,
              refused=(Refused.not_found,),
              example_answer={"trade": "T1", "refunded_fen": 0,
                              "offers": [{"by": "P4", "amount_fen": 20_000, "reason": "三月数据缺失", "until": _UNTIL}]}),
    Operation("POST", "/v1/deposits", pay_deposit, "Pay into the own deposit", "money", status=201, asks=DepositBody,
              answers=DepositMove, refused=(Refused.out_of_bounds, Refused.funds_insufficient),
              example={"amount_fen": 30_000}, example_answer={"participant": "P2", "amount_fen": 30_000, "at": _WHEN}),
    Operation("POST", "/v1/deposits/returns", take_deposit, "Take back what no open sale needs", "money", status=201,
              asks=DepositBody, answers=DepositMove, refused=(Refused.out_of_bounds, Refused.funds_insufficient),
              example={"amount_fen": 20_000}, example_answer={"participant": "P2", "amount_fen": -20_000, "at": _WHEN}),
    Operation("GET", "/v1/deposits", deposits, "The own deposit; officials see all", "money", answers=DepositList,
              example_answer={"items": [_DEPOSIT]}),
    Operation("GET", "/v1/debts", debts, "Open debts of which one is debtor or creditor; officials see all", "money",
              answers=DebtList,
              example_answer={"items": [{"debt": "Q1", "debtor": "P2", "creditor": "P4", "trade": "T1",
                                         "amount_fen": 20_000, "outstanding_fen": 20_000, "since": _WHEN}]}),
)  # fmt: skip
