"""The custody bank over HTTP: where money is paid to, withdrawals, payout files, statements, breaks, equality.

Bank account numbers and the bank's own files are personal data: they lie in the erasable table `bank_row`, each under the
salted SHA-256 that the journal has. The row is written before the command, so no event lacks its row; a row whose command
is refused is taken away again.
"""

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response
from msgspec import Meta, Struct

from clearing.bank import DAY_NS, Break, Custody, Equality, Withdrawal, end_to_end_of, reference_of
from exchange.bank import equality_of, payout_refusal, uncovered_fen
from exchange.events import (
    BookStatement,
    BreakClosed,
    BreakOpened,
    CancelWithdrawal,
    CloseBreak,
    CustodySet,
    MakePayoutBatch,
    PayoutAccountSet,
    PayoutBatchMade,
    PayoutEnded,
    Refusal,
    Refused,
    RejectPayout,
    RequestWithdrawal,
    SetCustody,
    SetPayoutAccount,
    StatementTaken,
    WithdrawalRequested,
)
from exchange.participant import is_active
from exchange.state import State
from exchange.web.access import payout_account_text, signed_by, withdrawal_text
from exchange.web.desk import Desk
from exchange.web.entitlements import Nothing
from exchange.web.instant import optional_text, text_of
from exchange.web.iso20022 import StatementError, Transfer, payout_file, read_statement
from exchange.web.money import MOST_FEN
from exchange.web.operation import Call, Id, Operation, Paging
from exchange.web.participants import OFFICES, Reason, Signature, page_of
from exchange.web.pattern import whole
from exchange.web.problem import Refusing

XML: Final = "application/xml"
STATEMENT_LIMIT: Final = 8 << 20
SALT_BYTES: Final = 16

BankCode = Annotated[
    str, Meta(pattern=whole("[0-9]{12}"), description="CNAPS number of the bank (联行号), 12 digits")
]
AccountNumber = Annotated[str, Meta(pattern=whole("[0-9A-Za-z-]{4,34}"), description="account number")]
BankName = Annotated[str, Meta(min_length=1, max_length=140)]


# ---- bodies


class CustodyBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The account in which the bank keeps the participants' money (第三方存管)."""

    account: AccountNumber
    name: Annotated[BankName, Meta(description="as the bank has it")]
    bank_code: BankCode
    bank_name: BankName


class PayoutAccount(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature` is over the text `shuji-payout-account:<participant>:<bank_code>:<account>`; the account is in the
    participant's own name."""

    account: AccountNumber
    bank_code: BankCode
    signature: Signature


class KeptAccount(Struct, frozen=True):
    """What the erasable row holds."""

    account: str
    bank_code: str


class WithdrawalBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """`signature` is over the text `shuji-withdraw:<participant>:<amount_fen>:<Idempotency-Key>`, each time anew."""

    amount_fen: Annotated[int, Meta(ge=1, le=MOST_FEN)]
    signature: Signature


class WithdrawalCancellation(Struct, kw_only=True, forbid_unknown_fields=True):
    """`reason` is needed of an operator who cancels somebody's: a stolen key, a court's order."""

    reason: Annotated[str, Meta(max_length=1_000)] = ""


class WithdrawalQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Annotated[
        str, Meta(max_length=20, description="requested, batched, paid, returned or cancelled")
    ] = ""


class PayoutRejection(Struct, kw_only=True, forbid_unknown_fields=True):
    participant: Id
    reason: Reason


class BreakQuery(Paging, kw_only=True, forbid_unknown_fields=True):
    state: Annotated[Literal["open", "closed", "all"], Meta(description="those that stand, or others")] = (
        "open"
    )


class BreakClosing(Struct, kw_only=True, forbid_unknown_fields=True):
    """`remedy`: none (it is only explained), book (the entry belongs to `account`: a participant, `own` for the venue's
    fees, or a board's public-data account; missing cash to `own` alone), undo (what the bank never had is taken back
    here)."""

    reason: Reason
    remedy: Literal["none", "book", "undo"] = "none"
    account: Id = ""


# ---- answers


class CustodyView(Struct):
    account: str
    name: str
    bank_code: str
    bank_name: str


class Instructions(Struct):
    """How money comes in: to `custody`, with `reference` in the remittance text (ISO 11649). `payout_account_set`: whether
    it can go out."""

    custody: CustodyView | None
    reference: str
    payout_account_set: bool


class PayoutAccountView(Struct):
    participant: str
    account_sha256: str


class WithdrawalView(Struct):
    """`cancelled_by` and `reason` where its participant did not cancel it itself."""

    withdrawal: str
    participant: str
    amount_fen: int
    state: str
    batch: str | None
    requested_at: str
    ended_at: str | None
    cancelled_by: str | None = None
    reason: str | None = None


class PaymentView(Struct):
    participant: str
    amount_fen: int
    end_to_end: str
    state: str
    withdrawals: tuple[str, ...]


class BatchView(Struct):
    """`without`: participants who wait and whose account row was erased; they name an account again."""

    batch: str
    made_by: str
    made_at: str
    amount_fen: int
    payments: tuple[PaymentView, ...]
    without: tuple[str, ...] = ()


class StatementView(Struct):
    """What a statement did; `breaks` are those that it opened."""

    statement: str
    sequence: int | None
    opening_fen: int
    closing_fen: int
    entries: int
    matched: int
    breaks: tuple[str, ...]


class BreakView(Struct):
    """`amount_fen` is what the bank has more than the ledger by it; `age_days` are whole days until its closing, or now."""

    bank_break: str
    kind: str
    reference: str
    amount_fen: int
    since: str
    age_days: int
    booking_day: str | None
    participant: str | None
    statement: str | None
    state: str
    closed_at: str | None
    closed_by: str | None
    reason: str | None
    remedy: str | None
    account: str | None


class BreakList(Struct):
    items: tuple[BreakView, ...]
    next: str | None


class WithdrawalList(Struct):
    items: tuple[WithdrawalView, ...]
    next: str | None


class EqualityView(Struct):
    """Bank against ledger, as it is now: `bank_fen` (the closing balance of `statement`) = `client_fen` + `own_fen` -
    `ahead_fen` + `explained_fen` + `difference_fen`. `uncovered_fen`: what payouts would take from others; they wait for it
    to be 0."""

    account: str | None
    statement: str | None
    bank_fen: int
    client_fen: int
    own_fen: int
    ahead_fen: int
    explained_fen: int
    difference_fen: int
    uncovered_fen: int
    equal: bool
    open_breaks: int


# ---- erasable rows


async def _keep(desk: Desk, kind: str, owner: str, content: bytes) -> str:
    """Write a row, give its salted SHA-256. The same content of the same owner sent again finds its row, and its salt."""
    kept = await desk.pool.fetchval(
        "SELECT sha256 FROM bank_row WHERE kind = $1 AND owner = $2 AND body = $3", kind, owner, content
    )
    if kept is not None:
        return str(kept)
    salt = desk.tokens.passing_secret(f"{kind}\n{owner}\n".encode() + content)[:SALT_BYTES]
    sha256 = hashlib.sha256(salt + content).hexdigest()
    await desk.pool.execute(
        "INSERT INTO bank_row (sha256, kind, owner, salt, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        sha256,
        kind,
        owner,
        salt,
        content,
    )
    return sha256


async def _drop_unused(desk: Desk, sha256: str) -> None:
    """A command was refused: its row goes, unless an earlier one stands by it."""
    if not await desk.engine.read(lambda state: _is_used(state, sha256)):
        await desk.pool.execute("DELETE FROM bank_row WHERE sha256 = $1", sha256)


def _is_used(state: State, sha256: str) -> bool:
    bank = state.bank
    return sha256 in bank.accounts.values() or sha256 in bank.statements.values()


async def _submit_kept(call: Call, command: Any, sha256: str) -> Any:
    try:
        return await call.submit(command)
    except Refusing:
        await _drop_unused(call.desk, sha256)
        raise


async def _account_of(desk: Desk, sha256: str) -> KeptAccount | None:
    """None once it was erased."""
    body = await desk.pool.fetchval("SELECT body FROM bank_row WHERE sha256 = $1", sha256)
    return None if body is None else msgspec.json.decode(body, type=KeptAccount)


# ---- the accounts


def _custody_view(custody: Custody | None) -> CustodyView | None:
    if custody is None:
        return None
    return CustodyView(custody.account, custody.name, custody.bank_code, custody.bank_name)


async def set_custody(call: Call, body: CustodyBody) -> CustodyView:
    custody = Custody(body.account, body.name, body.bank_code, body.bank_name)
    event = (await call.submit(SetCustody(actor=call.participant, key=call.key, custody=custody))).events[0]
    assert isinstance(event, CustodySet)
    view = _custody_view(event.custody)
    assert view is not None, "it was just named"
    return view


async def instructions(call: Call, asked: None) -> Instructions:
    participant = call.participant
    return await call.read(
        lambda state: Instructions(
            _custody_view(state.bank.custody),
            reference_of(participant),
            participant in state.bank.accounts,
        )
    )


async def _signed(call: Call, text: str, signature: str) -> str:
    """A token alone moves no money out: the participant's key, which is given back, signs each time (RFC 8032)."""
    participant = call.participant
    public_key = await call.read(lambda state: state.bureau.participants[participant].public_key)
    if not signed_by(public_key, text, signature):
        raise Refusing(Refused.signature_wrong, f"sign the text {text} with your registered key")
    return public_key


async def set_payout_account(call: Call, body: PayoutAccount) -> PayoutAccountView:
    """Earlier rows of the participant go with it, but for those that a payment under way still needs."""
    participant = call.participant
    signer = await _signed(
        call, payout_account_text(participant, body.bank_code, body.account), body.signature
    )
    content = msgspec.json.encode(KeptAccount(body.account, body.bank_code))
    sha256 = await _keep(call.desk, "account", participant, content)
    command = SetPayoutAccount(actor=participant, key=call.key, account_sha256=sha256, signer=signer)
    event = (await _submit_kept(call, command, sha256)).events[0]
    assert isinstance(event, PayoutAccountSet)
    needed = await call.read(lambda state: _needed_rows(state, participant))
    await call.desk.pool.execute(
        "DELETE FROM bank_row WHERE kind = 'account' AND owner = $1 AND sha256 <> ALL($2)",
        participant,
        needed,
    )
    return PayoutAccountView(event.participant, event.account_sha256)


def _needed_rows(state: State, participant: str) -> list[str]:
    payments = [state.bank.payments[one] for one in state.bank.under_way]
    rows = [row.account_sha256 for row in payments if row.participant == participant]
    return [*rows, state.bank.accounts[participant]]


# ---- withdrawals


def _withdrawal_view(row: Withdrawal, stopped: tuple[str, str] = ("", "")) -> WithdrawalView:
    return WithdrawalView(
        row.id,
        row.participant,
        row.amount_fen,
        row.state,
        row.batch or None,
        text_of(row.at_ns),
        optional_text(row.ended_ns),
        stopped[0] or None,
        stopped[1] or None,
    )


async def withdraw(call: Call, body: WithdrawalBody) -> WithdrawalView:
    """The signature covers the command id, so it opens nothing a second time."""
    if not call.key:
        raise Refusing(
            Refused.malformed, "Idempotency-Key is part of what is signed: send a new UUID version 7"
        )
    participant = call.participant
    signer = await _signed(call, withdrawal_text(participant, body.amount_fen, call.key), body.signature)
    command = RequestWithdrawal(actor=participant, key=call.key, amount_fen=body.amount_fen, signer=signer)
    outcome = await call.submit(command)
    event = outcome.events[0]
    assert isinstance(event, WithdrawalRequested)
    return _withdrawal_view(Withdrawal(event.withdrawal, event.participant, event.amount_fen, outcome.at_ns))


async def withdrawals(call: Call, asked: WithdrawalQuery) -> Response[bytes]:
    """Those of ninety days and whatever is open; one's own, or all for operators and auditors."""
    participant, official = call.participant, bool((await call.roles()).intersection(OFFICES))

    def look(state: State) -> tuple[list[WithdrawalView], str]:
        rows, following = page_of(
            state.bank.withdrawals,
            "W",
            state.counters.get("W", 0),
            asked,
            lambda row: (official or row.participant == participant) and asked.state in ("", row.state),
        )
        return [_withdrawal_view(row, state.stopped.get(row.id, ("", ""))) for row in rows], following

    return call.page(*await call.read(look))


async def cancel(call: Call, body: WithdrawalCancellation) -> WithdrawalView:
    withdrawal = call.path["withdrawal"]
    command = CancelWithdrawal(
        actor=call.participant, key=call.key, withdrawal=withdrawal, reason=body.reason
    )
    await call.submit(command)
    return await call.read(
        lambda state: _withdrawal_view(
            state.bank.withdrawals[withdrawal], state.stopped.get(withdrawal, ("", ""))
        )
    )


# ---- payout batches


async def make_batch(call: Call, asked: Nothing) -> BatchView:
    await call.need_role("operator")
    waiting = await call.read(
        lambda state: {
            row.participant: state.bank.accounts[row.participant]
            for row in state.bank.withdrawals.values()
            if row.state == "requested"
        }
    )
    rows = await call.desk.pool.fetch(
        "SELECT sha256 FROM bank_row WHERE sha256 = ANY($1)", list(waiting.values())
    )
    there = {row["sha256"]: None for row in rows}
    without = tuple(participant for participant, sha256 in waiting.items() if sha256 not in there)
    command = MakePayoutBatch(actor=call.participant, key=call.key, without=without)
    event = (await call.submit(command)).events[0]
    assert isinstance(event, PayoutBatchMade)
    return msgspec.structs.replace(await _batch(call, event.batch), without=without)


async def batch(call: Call, asked: None) -> BatchView:
    await call.need_role("operator", "auditor", "regulator")
    return await _batch(call, call.path["batch"])


async def _batch(call: Call, identifier: str) -> BatchView:
    def look(state: State) -> BatchView | Refusal:
        bank = state.bank
        row = bank.batches.get(identifier)
        if row is None:
            return Refusal(Refused.not_found, f"there is no batch {identifier} of the last ninety days")
        payments = []
        for participant in row.participants:
            end_to_end = end_to_end_of(row.id, participant)
            paid = bank.payments[end_to_end]
            stands = bank.state_of(paid)
            payments.append(PaymentView(participant, paid.amount_fen, end_to_end, stands, paid.withdrawals))
        total = sum(payment.amount_fen for payment in payments)
        return BatchView(row.id, row.by, text_of(row.at_ns), total, tuple(payments))

    found = await call.read(look)
    assert isinstance(found, BatchView)
    return found


class _Payout(Struct):
    """A payment that is under way, before its account is read."""

    end_to_end: str
    name: str
    account_sha256: str
    amount_fen: int


async def pain_001(call: Call, asked: None) -> Response[bytes]:
    """What of the batch no statement has shown yet; refused while a break is open."""
    await call.need_role("operator")
    identifier = call.path["batch"]
    await _batch(call, identifier)
    custody, at_ns, payouts = await call.read(lambda state: _payouts(state, identifier))  # type: ignore[misc]
    transfers = []
    for row in payouts:
        kept = await _account_of(call.desk, row.account_sha256)
        if kept is None:
            detail = f"the account of {row.end_to_end} was erased: reject this payment of the batch first"
            raise Refusing(Refused.wrong_state, detail)
        transfers.append(Transfer(row.end_to_end, row.name, kept.account, kept.bank_code, row.amount_fen))
    content = payout_file(f"SHUJI-{identifier}", custody, transfers, at_ns)
    headers = {"content-disposition": f'attachment; filename="pain.001-{identifier}.xml"'}
    return Response(content, media_type=XML, headers=headers)


def _payouts(state: State, identifier: str) -> tuple[Custody, int, list[_Payout]] | Refusal:
    if (refusal := payout_refusal(state)) is not None:
        return refusal
    bank = state.bank
    batch, people = bank.batches[identifier], state.bureau.participants
    open_ones = [
        (one, bank.payments[one])
        for one in (end_to_end_of(batch.id, participant) for participant in batch.participants)
        if one in bank.under_way
    ]
    for one, row in open_ones:
        if not is_active(state, row.participant):
            detail = f"{row.participant} is suspended: reject its payment {one} where the bank does not have it yet"
            return Refusal(Refused.wrong_state, detail)
    if not open_ones:
        return Refusal(
            Refused.wrong_state, f"nothing of batch {identifier} is under way: it is paid or rejected"
        )
    assert bank.custody is not None, "payout_refusal has looked"
    return bank.custody, batch.at_ns, [
        _Payout(one, people[row.participant].legal_name, row.account_sha256, row.amount_fen)
        for one, row in open_ones
    ]  # fmt: skip


async def reject_payout(call: Call, body: PayoutRejection) -> BatchView:
    command = RejectPayout(
        actor=call.participant,
        key=call.key,
        batch=call.path["batch"],
        participant=body.participant,
        reason=body.reason,
    )
    event = (await call.submit(command)).events[0]
    assert isinstance(event, PayoutEnded)
    return await _batch(call, event.batch)


# ---- statements


async def take_statement(call: Call, asked: None) -> StatementView:
    """Read, kept as an erasable file, booked: all of it or nothing."""
    await call.need_role("operator")
    content = await call.body(STATEMENT_LIMIT)
    try:
        told = read_statement(content)
    except StatementError as error:
        raise Refusing(Refused.malformed, str(error)) from error
    sha256 = await _keep(call.desk, "statement", told.account, content)
    command = BookStatement(
        actor=call.participant,
        key=call.key,
        account=told.account,
        statement=told.id,
        sequence=told.sequence,
        opening_fen=told.opening_fen,
        closing_fen=told.closing_fen,
        until_ns=told.until_ns,
        entries=told.entries,
        file_sha256=sha256,
    )
    outcome = await _submit_kept(call, command, sha256)
    taken = outcome.events[0]
    assert isinstance(taken, StatementTaken)
    opened = [event for event in outcome.events if isinstance(event, BreakOpened)]
    unmatched = sum(event.kind == "unmatched" for event in opened)
    return StatementView(
        taken.statement,
        taken.sequence or None,
        taken.opening_fen,
        taken.closing_fen,
        taken.entries,
        taken.entries - unmatched,
        tuple(event.bank_break for event in opened),
    )


# ---- breaks and equality


def _break_view(row: Break, now_ns: int) -> BreakView:
    return BreakView(
        row.id,
        row.kind,
        row.subject,
        row.amount_fen,
        text_of(row.since_ns),
        ((row.closed_ns or now_ns) - row.since_ns) // DAY_NS,
        row.day or None,
        row.participant or None,
        row.statement or None,
        "open" if row.is_open else "closed",
        optional_text(row.closed_ns),
        row.closed_by or None,
        row.reason or None,
        row.remedy or None,
        row.account or None,
    )


async def breaks(call: Call, asked: BreakQuery) -> Response[bytes]:
    await call.need_role("operator", "auditor", "regulator")
    now_ns = call.now_ns

    def look(state: State) -> tuple[list[BreakView], str]:
        rows, following = page_of(
            state.bank.breaks,
            "K",
            state.counters.get("K", 0),
            asked,
            lambda row: asked.state == "all" or row.is_open == (asked.state == "open"),
        )
        return [_break_view(row, now_ns) for row in rows], following

    return call.page(*await call.read(look))


async def close_break(call: Call, body: BreakClosing) -> BreakView:
    identifier = call.path["bank_break"]
    command = CloseBreak(
        actor=call.participant,
        key=call.key,
        bank_break=identifier,
        reason=body.reason,
        remedy=body.remedy,
        account=body.account,
    )
    outcome = await call.submit(command)
    assert any(isinstance(event, BreakClosed) for event in outcome.events)
    return await call.read(lambda state: _break_view(state.bank.breaks[identifier], outcome.at_ns))


async def equality(call: Call, asked: None) -> EqualityView:
    await call.need_role("operator", "auditor", "regulator")

    def look(state: State) -> tuple[str | None, str | None, Equality, int, int]:
        bank = state.bank
        account = None if bank.custody is None else bank.custody.account
        statement = None if bank.taken is None else bank.taken.id
        return account, statement, equality_of(state), uncovered_fen(state), len(bank.open_breaks())

    account, statement, found, uncovered, open_breaks = await call.read(look)
    return EqualityView(
        account,
        statement,
        found.bank_fen,
        found.client_fen,
        found.own_fen,
        found.ahead_fen,
        found.explained_fen,
        found.difference_fen,
        uncovered,
        not found.difference_fen,
        open_breaks,
    )


# ---- the operations

_WHEN: Final = "2026-11-23T10:00:00Z"
_SHA: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_SIGNATURE: Final = (
    "c2lnbmF0dXJlIG9mIHRoZSB0ZXh0LCA2NCByYXcgYnl0ZXMgaW4gYmFzZTY0LCBhcyBFZDI1NTE5IGdpdmVzIGl0Lg=="
)
_CUSTODY: Final = {
    "account": "6222000000000001", "name": "数集客户资金存管专户", "bank_code": "102641000000",
    "bank_name": "示例银行海口分行",
}  # fmt: skip
_WITHDRAWAL: Final = {
    "withdrawal": "W1", "participant": "P4", "amount_fen": 50_000, "state": "requested", "batch": None,
    "requested_at": _WHEN, "ended_at": None, "cancelled_by": None, "reason": None,
}  # fmt: skip
_PAYMENT: Final = {
    "participant": "P4", "amount_fen": 50_000, "end_to_end": "B1-P4", "state": "batched", "withdrawals": ["W1"],
}  # fmt: skip
_BATCH: Final = {
    "batch": "B1", "made_by": "P1", "made_at": _WHEN, "amount_fen": 50_000, "payments": [_PAYMENT], "without": [],
}  # fmt: skip
_BREAK: Final = {
    "bank_break": "K1", "kind": "unmatched", "reference": "BANK-2026-000018", "amount_fen": 30_000, "since": _WHEN,
    "age_days": 2, "booking_day": "2026-11-23", "participant": None, "statement": "2026-231", "state": "open",
    "closed_at": None, "closed_by": None, "reason": None, "remedy": None, "account": None,
}  # fmt: skip
_CLOSING: Final = {"reason": "汇款人已确认为 P4", "remedy": "book", "account": "P4"}
_STATES: Final = (Refused.forbidden, Refused.not_found, Refused.wrong_state)

OPERATIONS: Final = (
    Operation("POST", "/v1/bank/custody", set_custody, "Name the account at the custody bank (operator)", "bank",
              asks=CustodyBody, answers=CustodyView, refused=(Refused.forbidden, Refused.wrong_state),
              example=_CUSTODY, example_answer=_CUSTODY),
    Operation("GET", "/v1/bank/instructions", instructions, "How to pay money in: the account, and one's own reference",
              "bank", answers=Instructions,
              example_answer={"custody": _CUSTODY, "reference": "RF33P4", "payout_account_set": True}),
    Operation("POST", "/v1/bank/payout-account", set_payout_account,
              "Say where one's money is paid out to, signed; kept in an erasable row", "bank",
              asks=PayoutAccount, answers=PayoutAccountView,
              refused=(Refused.signature_wrong, Refused.not_verified, Refused.standing_denied),
              example={"account": "6222000000000042", "bank_code": "102641000000", "signature": _SIGNATURE},
              example_answer={"participant": "P4", "account_sha256": _SHA}),
    Operation("POST", "/v1/withdrawals", withdraw, "Ask for money to be paid out, signed each time", "bank", status=201,
              asks=WithdrawalBody, answers=WithdrawalView,
              refused=(Refused.signature_wrong, Refused.out_of_bounds, Refused.funds_insufficient,
                       Refused.wrong_state, Refused.in_debt, Refused.standing_denied),
              example={"amount_fen": 50_000, "signature": _SIGNATURE}, example_answer=_WITHDRAWAL),
    Operation("GET", "/v1/withdrawals", withdrawals,
              "Withdrawals: open ones and those that ended in the last ninety days; one's own, or all for officials",
              "bank", asks=WithdrawalQuery, answers=WithdrawalList,
              example_answer={"items": [_WITHDRAWAL], "next": None}),
    Operation("POST", "/v1/withdrawals/{withdrawal}/cancellation", cancel,
              "Take a withdrawal back before it is paid; an operator with a reason, which its participant reads", "bank",
              asks=WithdrawalCancellation, answers=WithdrawalView, refused=(Refused.not_found, Refused.wrong_state),
              example={"reason": "密钥被盗，账户暂停"},
              example_answer=_WITHDRAWAL | {"state": "cancelled", "ended_at": _WHEN, "cancelled_by": "P1",
                                            "reason": "密钥被盗，账户暂停"}),
    Operation("POST", "/v1/bank/payout-batches", make_batch,
              "Put all withdrawals into one file, netted per participant (operator); a break stops it", "bank",
              status=201, asks=Nothing, answers=BatchView, refused=(Refused.forbidden, Refused.wrong_state),
              example={}, example_answer=_BATCH),
    Operation("GET", "/v1/bank/payout-batches/{batch}", batch, "A batch and how far its payments are (operator, auditor)",
              "bank", answers=BatchView, refused=(Refused.forbidden, Refused.not_found), example_answer=_BATCH),
    Operation("GET", "/v1/bank/payout-batches/{batch}/pain.001", pain_001,
              "The batch for the bank: ISO 20022 pain.001.001.09 (operator)", "bank", bytes_out=True, media=XML,
              refused=_STATES),
    Operation("POST", "/v1/bank/payout-batches/{batch}/rejections", reject_payout,
              "The bank did not take a payment: its money is free again (operator)", "bank", asks=PayoutRejection,
              answers=BatchView, refused=(*_STATES, Refused.own_case),
              example={"participant": "P4", "reason": "户名不符"},
              example_answer=_BATCH | {"payments": [_PAYMENT | {"state": "returned"}]}),
    Operation("POST", "/v1/bank/statements", take_statement,
              "Take a statement of the custody account: ISO 20022 camt.053 as XML (operator)", "bank", status=201,
              answers=StatementView, bytes_in=True, media=XML, limit=STATEMENT_LIMIT,
              refused=(Refused.forbidden, Refused.already_exists, Refused.wrong_state, Refused.file_mismatch,
                       Refused.out_of_bounds, Refused.too_large),
              example_answer={"statement": "2026-231", "sequence": 231, "opening_fen": 1_000_000,
                              "closing_fen": 1_030_000, "entries": 1, "matched": 0, "breaks": ["K1"]}),
    Operation("GET", "/v1/bank/breaks", breaks, "What bank and ledger do not agree on, and how old it is", "bank",
              asks=BreakQuery, answers=BreakList, refused=(Refused.forbidden,),
              example_answer={"items": [_BREAK], "next": None}),
    Operation("POST", "/v1/bank/breaks/{bank_break}/closing", close_break,
              "Close a break and say why: explained, booked or undone (operator)", "bank", asks=BreakClosing,
              answers=BreakView,
              refused=(*_STATES, Refused.own_case, Refused.already_exists, Refused.funds_insufficient),
              example=_CLOSING,
              example_answer=_BREAK | _CLOSING | {"state": "closed", "closed_at": _WHEN, "closed_by": "P1"}),
    Operation("GET", "/v1/bank/equality", equality, "Whether the bank has what the ledger says (operator, auditor)",
              "bank", answers=EqualityView, refused=(Refused.forbidden,),
              example_answer={"account": "6222000000000001", "statement": "2026-231", "bank_fen": 1_030_000,
                              "client_fen": 990_000, "own_fen": 10_000, "ahead_fen": 0, "explained_fen": 0,
                              "difference_fen": 30_000, "uncovered_fen": 0, "equal": False, "open_breaks": 1}),
)  # fmt: skip
