"""The custody bank at the venue: withdrawals, payout batches, statements, breaks, and the comparison at each day's end.

The ledger's account `bank:cash` moves by what the bank's statements show, or by an operator's hand ahead of them
(`exchange.cash`); both are accounted for in `clearing.bank.Bank`.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from clearing.bank import (
    DAY_NS,
    KEPT_DAYS,
    LATE_DAYS,
    MOST_NUMBERS,
    OPEN_STATES,
    PAYOUT_DAYS,
    REMEDIES,
    WITHDRAWAL_LIFE,
    Ahead,
    BankEntry,
    Batch,
    Break,
    BreakKind,
    Custody,
    Equality,
    Payment,
    Taken,
    Withdrawal,
    WithdrawalStep,
    adds_up,
    end_to_end_of,
    next_day_end,
)
from clearing.ledger import CASH, CNY, FEES, deposit_owner
from clearing.revenue import PUBLIC_PREFIX
from exchange import cash, participant
from exchange.debt import debt_refusal
from exchange.events import (
    VENUE,
    BankDayEnded,
    BookCashIn,
    BookStatement,
    BreakClosed,
    BreakOpened,
    CancelWithdrawal,
    CashBooked,
    CashConfirmed,
    CloseBreak,
    CustodySet,
    Event,
    MakePayoutBatch,
    OpenVenue,
    PayoutAccountSet,
    PayoutBatchMade,
    PayoutConfirmed,
    PayoutEnded,
    Refusal,
    Refused,
    RejectPayout,
    RequestWithdrawal,
    SetCustody,
    SetPayoutAccount,
    StatementTaken,
    WithdrawalCancelled,
    WithdrawalRequested,
)
from exchange.participant import (
    account_refusal,
    frozen_refusal,
    has_role,
    is_active,
    role_refusal,
    same_house,
    signer_refusal,
)
from exchange.state import State

OWN: Final = "own"
"""How the venue's own money is called where a break is booked."""

NO_CUSTODY: Final = Refusal(
    Refused.wrong_state, "there is no custody account yet: an operator names it with POST /v1/bank/custody"
)


SAMPLE_CUSTODY: Final = Custody(
    "SHUJI-SAMPLE-CUSTODY", "数集客户资金存管专户（示例）", "000000000000", "示例银行"
)
"""For demonstration: no bank takes a payment from it. An operator names the real one (POST /v1/bank/custody)."""


# ---- the accounts


def open_venue(state: State, command: OpenVenue, at_ns: int) -> Refusal | list[Event]:
    """The ledger mirrors a bank account from the first fen on."""
    decision = participant.open_venue(state, command, at_ns)
    return decision if isinstance(decision, Refusal) else [*decision, CustodySet(SAMPLE_CUSTODY, VENUE)]


def set_custody(state: State, command: SetCustody, at_ns: int) -> Refusal | list[Event]:
    """Another account only while no payment is under way: the statements of the old one would show it."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    told = command.custody
    if not all(text.strip() for text in (told.account, told.name, told.bank_code, told.bank_name)):
        return Refusal(Refused.malformed, "account, name, bank_code and bank_name all say something")
    bank = state.bank
    if any(row.state == "batched" for row in bank.withdrawals.values()) or bank.open_breaks():
        return Refusal(
            Refused.wrong_state, "payments are under way or breaks open: end them at the bank of now first"
        )
    return [CustodySet(told, command.actor)]


def apply_custody(state: State, event: CustodySet, at_ns: int) -> None:
    """What statements of the account before said is behind; what was booked before is in the new opening balance.

    Their ids are the old account's: another bank may number its own alike.
    """
    bank = state.bank
    before = "" if bank.custody is None else bank.custody.account
    bank.custody, bank.taken = event.custody, None
    bank.opening_fen = -state.ledger.balance(CASH, CNY)
    bank.ahead.clear()
    bank.lacking.clear()
    bank.statements = {
        name if " " in name else f"{before} {name}": sha256 for name, sha256 in bank.statements.items()
    }


def set_payout_account(state: State, command: SetPayoutAccount, at_ns: int) -> Refusal | list[Event]:
    if state.bureau.participants[command.actor].identity != "verified":
        return Refusal(Refused.not_verified, "money is paid out to a verified participant's own account only")
    refusal = account_refusal(state, command.actor) or signer_refusal(state, command.actor, command.signer)
    if refusal is not None:
        return refusal
    return [PayoutAccountSet(command.actor, command.account_sha256)]


def apply_payout_account(state: State, event: PayoutAccountSet, at_ns: int) -> None:
    state.bank.accounts[event.participant] = event.account_sha256


# ---- withdrawals


def request(state: State, command: RequestWithdrawal, at_ns: int) -> Refusal | list[Event]:
    """Reserved at once, so that it can be spent on nothing else while the bank works."""
    if command.amount_fen <= 0:
        return Refusal(Refused.out_of_bounds, "amount_fen is at least 1")
    refusal = account_refusal(state, command.actor) or signer_refusal(state, command.actor, command.signer)
    refusal = refusal or frozen_refusal(state, command.actor) or debt_refusal(state, command.actor)
    if refusal is not None:
        return refusal
    if command.actor not in state.bank.accounts:
        return Refusal(
            Refused.wrong_state, "say first where to: POST /v1/bank/payout-account names your bank account"
        )
    if (refusal := _cover_refusal(state, command)) is not None:
        return refusal
    return [WithdrawalRequested(state.next_id("W"), command.actor, command.amount_fen)]


def _cover_refusal(state: State, command: RequestWithdrawal) -> Refusal | None:
    """Booked by hand it buys and sells, and leaves only after the bank has shown it."""
    available = state.ledger.available(command.actor, CNY)
    ahead = state.bank.ahead_by().get(command.actor, 0)
    if command.amount_fen <= available - ahead:
        return None
    if not ahead:
        return Refusal(Refused.funds_insufficient, f"{available} fen are available: ask for that or less")
    detail = f"{max(0, available - ahead)} fen can be paid out: ask for that or less"
    return Refusal(
        Refused.funds_insufficient,
        f"{detail}. {ahead} fen were booked by hand and wait for the bank's statement",
    )


def apply_requested(state: State, event: WithdrawalRequested, at_ns: int) -> None:
    state.took_id(event.withdrawal)
    ledger = state.ledger
    ledger.reserve(event.withdrawal, ledger.account(event.participant, CNY), event.amount_fen)
    row = Withdrawal(event.withdrawal, event.participant, event.amount_fen, at_ns)
    state.bank.withdrawals[event.withdrawal] = row


def cancel(state: State, command: CancelWithdrawal, at_ns: int) -> Refusal | list[Event]:
    """By whom it is; or by an operator with a reason: a stolen key, a court's order."""
    row, own = state.bank.withdrawals.get(command.withdrawal), False
    if row is not None:
        own = row.participant == command.actor
    if row is None or not (own or has_role(state, command.actor, "operator", at_ns)):
        return Refusal(Refused.not_found, f"you have no withdrawal {command.withdrawal}")
    if not own and not command.reason.strip():
        return Refusal(Refused.malformed, "say the reason: its participant reads it")
    if (row.state, "cancel") not in WITHDRAWAL_LIFE:
        return Refusal(Refused.wrong_state, f"a withdrawal that is {row.state} cannot be cancelled")
    return [
        WithdrawalCancelled(row.id) if own else WithdrawalCancelled(row.id, command.reason, command.actor)
    ]


def apply_cancelled(state: State, event: WithdrawalCancelled, at_ns: int) -> None:
    state.ledger.release(event.withdrawal)
    _step(state.bank.withdrawals[event.withdrawal], "cancel", at_ns)
    if event.by:
        state.stopped[event.withdrawal] = event.by, event.reason


def _step(row: Withdrawal, step: WithdrawalStep, at_ns: int) -> None:
    row.state = WITHDRAWAL_LIFE[row.state, step]
    row.ended_ns = 0 if row.state in OPEN_STATES else at_ns


# ---- payout batches


def make_batch(state: State, command: MakePayoutBatch, at_ns: int) -> Refusal | list[Event]:
    """Everything asked for goes into one file, netted per participant, while no break is open."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if (refusal := payout_refusal(state)) is not None:
        return refusal
    payments = _netted(state, command.without)
    if not payments:
        return Refusal(
            Refused.wrong_state, "nobody waits for money: GET /v1/withdrawals shows what was asked for"
        )
    return [PayoutBatchMade(state.next_id("B"), payments, command.actor)]


def payout_refusal(state: State) -> Refusal | None:
    """Why nothing is paid out now: what the bank has must be known, and every difference explained."""
    bank = state.bank
    if bank.custody is None:
        return NO_CUSTODY
    if bank.taken is None:
        return Refusal(
            Refused.wrong_state,
            "nobody knows yet what the bank has: POST /v1/bank/statements takes its first statement",
        )
    if found := bank.open_breaks():
        detail = f"break {found[0].id} ({found[0].kind}) is open, {len(found)} in all"
        return Refusal(
            Refused.wrong_state, f"{detail}: nothing is paid out until GET /v1/bank/breaks shows none open"
        )
    if uncovered := uncovered_fen(state):
        detail = f"{uncovered} fen that the bank has not shown were spent or are lost"
        return Refusal(
            Refused.wrong_state,
            f"{detail}: take its next statement, or pay own money in and book it to `own`",
        )
    return None


def uncovered_fen(state: State) -> int:
    """What a payout would take from those whose money the bank has; 0 where the venue's own money stands for it.

    Booked by hand, in no statement and not with its participant any more; and what the bank lacks by explained breaks.
    """
    bank = state.bank
    leaving = bank.leaving_by()
    spent = sum(
        max(0, fen - (_kept_fen(state, participant) - leaving.get(participant, 0)))
        for participant, fen in bank.ahead_by().items()
    )
    lost = max(0, -bank.explained_fen())
    return max(0, spent + lost - state.ledger.balance(FEES, CNY))


def _kept_fen(state: State, participant: str) -> int:
    ledger = state.ledger
    return ledger.balance(participant, CNY) + ledger.balance(deposit_owner(participant), CNY)


def _netted(state: State, without: tuple[str, ...]) -> tuple[Payment, ...]:
    waiting: dict[str, list[Withdrawal]] = {}
    ahead = state.bank.ahead_by()
    for row in state.bank.withdrawals.values():
        if row.state != "requested" or row.participant in without:
            continue
        if _is_payable(state, row.participant, ahead.get(row.participant, 0)):
            waiting.setdefault(row.participant, []).append(row)
    return tuple(
        Payment(
            participant,
            sum(row.amount_fen for row in rows),
            state.bank.accounts[participant],
            tuple(row.id for row in rows),
        )
        for participant, rows in waiting.items()
    )


def _is_payable(state: State, participant: str, ahead_fen: int) -> bool:
    """Whoever is suspended or owes waits, and whoever has less left than was booked to it by hand."""
    if participant in state.claims.debts or participant in state.frozen or not is_active(state, participant):
        return False
    return ahead_fen <= state.ledger.available(participant, CNY)


def apply_batch(state: State, event: PayoutBatchMade, at_ns: int) -> None:
    state.took_id(event.batch)
    bank = state.bank
    bank.batches[event.batch] = Batch(
        event.batch, event.by, at_ns, tuple(payment.participant for payment in event.payments)
    )
    for payment in event.payments:
        end_to_end = end_to_end_of(event.batch, payment.participant)
        bank.payments[end_to_end], bank.under_way[end_to_end] = payment, at_ns
    for row in _rows(state, *event.payments):
        row.batch = event.batch
        _step(row, "batch", at_ns)


def _rows(state: State, *payments: Payment) -> list[Withdrawal]:
    return [state.bank.withdrawals[one] for payment in payments for one in payment.withdrawals]


def reject(state: State, command: RejectPayout, at_ns: int) -> Refusal | list[Event]:
    """The bank refused it. What a statement has shown can only come back by a statement."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    end_to_end = end_to_end_of(command.batch, command.participant)
    payment = state.bank.payments.get(end_to_end)
    if payment is None:
        return Refusal(Refused.not_found, f"batch {command.batch} pays nothing to {command.participant}")
    if not command.reason.strip():
        return Refusal(Refused.malformed, "say why the bank did not pay")
    if end_to_end not in state.bank.under_way:
        return Refusal(Refused.wrong_state, f"this payment is {state.bank.state_of(payment)} already")
    if (refusal := _own_refusal(state, command.participant, command.actor)) is not None:
        return refusal
    return _rejected(state, end_to_end, command.reason, command.actor)


def _own_refusal(state: State, participant: str, actor: str) -> Refusal | None:
    """What the bank has paid after all would be there twice."""
    if not same_house(state, participant, actor):
        return None
    return Refusal(Refused.own_case, "nobody frees money of their own house: ask another operator")


def _rejected(state: State, end_to_end: str, reason: str, by: str) -> list[Event]:
    payment, batch = state.bank.payments[end_to_end], end_to_end.partition("-")[0]
    ended = PayoutEnded(batch, payment.participant, "reject", payment.amount_fen, "", by)
    missing = state.bank.open_break("missing_payout", end_to_end)
    closed = [] if missing is None else [BreakClosed(missing.id, reason, "undo", "", 0, "", by)]
    return [ended, *closed]


def apply_confirmed(state: State, event: PayoutConfirmed, at_ns: int) -> None:
    """The reserved money has left (存管账户付款)."""
    cash = state.ledger.account(CASH, CNY)
    end_to_end = end_to_end_of(event.batch, event.participant)
    del state.bank.under_way[end_to_end]
    for row in _rows(state, state.bank.payments[end_to_end]):
        state.ledger.spend(row.id, cash, row.amount_fen)
        _step(row, "confirm", at_ns)


def apply_ended(state: State, event: PayoutEnded, at_ns: int) -> None:
    ledger = state.ledger
    end_to_end = end_to_end_of(event.batch, event.participant)
    state.bank.under_way.pop(end_to_end, None)
    for row in _rows(state, state.bank.payments[end_to_end]):
        if event.step == "reject":
            ledger.release(row.id)
            _step(row, "reject", at_ns)
        else:
            ledger.transfer(ledger.account(CASH, CNY), ledger.account(event.participant, CNY), row.amount_fen)
            _step(row, "return", at_ns)


# ---- statements


def book_statement(state: State, command: BookStatement, at_ns: int) -> Refusal | Iterator[Event]:
    refusal = role_refusal(state, command.actor, at_ns, "operator") or _statement_refusal(state, command)
    return refusal or _booked(state, command, at_ns)


def _statement_refusal(state: State, command: BookStatement) -> Refusal | None:
    bank = state.bank
    if bank.custody is None:
        return NO_CUSTODY
    if command.account != bank.custody.account:
        return Refusal(Refused.file_mismatch, "this is no statement of the custody account")
    if command.statement in bank.statements:
        return Refusal(Refused.already_exists, f"statement {command.statement} is taken already")
    if (refusal := _number_refusal(state, command.sequence)) is not None:
        return refusal
    if not adds_up(command.opening_fen, command.entries, command.closing_fen):
        return Refusal(
            Refused.file_mismatch, "opening balance and booked entries do not make the closing balance"
        )
    return None


def _number_refusal(state: State, number: int) -> Refusal | None:
    """Numbers go up by one; one that was left out may still come. A bank that gives none (0) is held to its balances."""
    taken = state.bank.taken
    if taken is None or not number or not taken.sequence or str(number) in state.bank.lacking:
        return None
    if number <= taken.sequence:
        detail = f"statement number {number} does not follow {taken.sequence}, the last one taken"
        return Refusal(Refused.already_exists, f"{detail}: send those that follow")
    if number > taken.sequence + MOST_NUMBERS:
        detail = f"statement number {number} leaves out more than {MOST_NUMBERS} behind {taken.sequence}"
        return Refusal(Refused.out_of_bounds, f"{detail}: send them first")
    return None


def _booked(state: State, command: BookStatement, at_ns: int) -> Iterator[Event]:
    before, gap = state.bank.taken, state.bank.lacking.get(str(command.sequence))
    yield StatementTaken(
        command.statement,
        command.sequence,
        command.opening_fen,
        command.closing_fen,
        command.until_ns,
        len(command.entries),
        command.file_sha256,
        command.actor,
    )
    if gap is None:
        yield from _left_out(state, before, command)
    for entry in command.entries:
        yield from _entry(state, entry, command)
    if gap is not None:
        yield from _filled(state, gap, command.statement)
    yield from _missing(state, command.until_ns)
    yield from _unequal(state)


def _left_out(state: State, before: Taken | None, command: BookStatement) -> Iterator[Event]:
    """Statements in between are missing: by their numbers, or by what the account had when this one begins."""
    if before is None:
        return
    number, jump_fen = command.sequence, command.opening_fen - before.closing_fen
    if before.sequence and number > before.sequence + 1:
        subject = f"{before.sequence + 1}-{number - 1}"
        found = opened(state, "gap", subject, jump_fen, statement=command.statement)
        yield replace(found, first=before.sequence + 1, last=number - 1)
    elif jump_fen:
        yield opened(state, "gap", command.statement, jump_fen, statement=command.statement)


def _filled(state: State, gap: str, statement: str) -> Iterator[Event]:
    """The last one that was left out has come; what then still differs is told by the sums."""
    if gap not in state.bank.lacking.values():
        yield BreakClosed(gap, f"statement {statement} has come 缺失的对账单已补齐", "book", "", 0, "", VENUE)


def opened(
    state: State,
    kind: BreakKind,
    subject: str,
    amount_fen: int,
    day: str = "",
    participant: str = "",
    statement: str = "",
) -> BreakOpened:
    return BreakOpened(state.next_id("K"), kind, subject, amount_fen, day, participant, statement)


def _entry(state: State, entry: BankEntry, command: BookStatement) -> Iterator[Event]:
    """A payment of ours going out or coming back, cash booked ahead, cash that names its participant; or a break."""
    found = _payout_step(state, entry) or _cash_step(state, entry)
    if found is not None:
        yield found
        yield from _arrived(state, found, command)
        return
    yield opened(
        state,
        "unmatched",
        entry.reference,
        entry.amount_fen,
        entry.day,
        entry.participant,
        command.statement,
    )


def _payout_step(state: State, entry: BankEntry) -> Event | None:
    """Only the whole amount, and each way once: anything else is not this payment, nor is money that names another."""
    bank = state.bank
    payment = bank.payments.get(entry.end_to_end)
    if payment is None or payment.amount_fen != abs(entry.amount_fen):
        return None
    if entry.amount_fen > 0 and entry.participant not in ("", payment.participant):
        return None
    batch, who = entry.end_to_end.partition("-")[0], payment.participant
    if entry.amount_fen < 0 and entry.end_to_end in bank.under_way:
        return PayoutConfirmed(batch, who, payment.amount_fen, entry.reference)
    if entry.amount_fen > 0 and (bank.state_of(payment), "return") in WITHDRAWAL_LIFE:
        return PayoutEnded(batch, who, "return", payment.amount_fen, entry.reference, VENUE)
    return None


def _cash_step(state: State, entry: BankEntry) -> Event | None:
    """The bank's reference was booked by hand, or the remittance names a participant. A reference is booked once."""
    if entry.amount_fen <= 0:
        return None
    ahead = state.bank.ahead.get(entry.reference)
    if ahead is not None:
        return CashConfirmed(entry.reference) if ahead.amount_fen == entry.amount_fen else None
    if entry.reference in state.cash_references or entry.participant not in state.bureau.participants:
        return None
    return CashBooked(entry.participant, entry.amount_fen, entry.reference, VENUE)


def _arrived(state: State, found: Event, command: BookStatement) -> Iterator[Event]:
    """What was missing has come: its break explains itself. Another's payment under the same name is none of it."""
    row = None
    if isinstance(found, PayoutConfirmed):
        row = state.bank.open_break("missing_payout", end_to_end_of(found.batch, found.participant))
    elif isinstance(found, CashConfirmed):
        row = state.bank.open_break("missing_cash", found.bank_reference)
    if row is not None:
        reason = f"came with statement {command.statement} 已随对账单到账"
        yield BreakClosed(row.id, reason, "none", "", 0, "", VENUE)


def _missing(state: State, until_ns: int) -> Iterator[Event]:
    """What the statements up to here should have shown; not while its break is open, again after it was closed."""
    bank = state.bank
    for reference, ahead in list(bank.ahead.items()):
        if ahead.at_ns < until_ns and bank.open_break("missing_cash", reference) is None:
            yield opened(state, "missing_cash", reference, -ahead.amount_fen, participant=ahead.participant)
    for end_to_end, made_ns in list(bank.under_way.items()):
        late = made_ns + PAYOUT_DAYS * DAY_NS < until_ns
        if late and bank.open_break("missing_payout", end_to_end) is None:
            payment = bank.payments[end_to_end]
            yield opened(
                state, "missing_payout", end_to_end, payment.amount_fen, participant=payment.participant
            )


def _unequal(state: State) -> Iterator[Event]:
    taken = state.bank.taken
    if taken is not None and (untold := state.bank.untold_fen(equality_of(state))):
        yield opened(state, "inequality", taken.id, untold, statement=taken.id)


def equality_of(state: State) -> Equality:
    """Ledger against bank, now."""
    ledger = state.ledger
    return state.bank.equality(-ledger.balance(CASH, CNY), ledger.balance(FEES, CNY))


def apply_statement(state: State, event: StatementTaken, at_ns: int) -> None:
    """One that had been left out says nothing about today's balance. The first one starts the comparison of the days."""
    bank = state.bank
    if not bank.statements:
        state.start_timer(next_day_end(at_ns), "bank", "day")
    bank.statements[event.statement] = event.file_sha256
    gap = bank.lacking.pop(str(event.sequence), None)
    if gap is not None:
        bank.breaks[gap].amount_fen -= event.closing_fen - event.opening_fen
    else:
        bank.taken = Taken(event.statement, event.sequence, event.closing_fen, event.until_ns)


def apply_cash_confirmed(state: State, event: CashConfirmed, at_ns: int) -> None:
    del state.bank.ahead[event.bank_reference]


def book_in(state: State, command: BookCashIn, at_ns: int) -> Refusal | list[Event]:
    """By hand, on the bank's word; or what a statement brought that named nobody, whose break it closes."""
    decision = cash.book_in(state, command, at_ns)
    row = state.bank.open_break("unmatched", command.bank_reference)
    if isinstance(decision, Refusal) or row is None:
        return decision
    if row.amount_fen != command.amount_fen:
        detail = f"the bank's statement shows {row.amount_fen} fen under {row.subject}: book that"
        return Refusal(Refused.out_of_bounds, detail)
    return [
        *decision,
        BreakClosed(row.id, "booked 已入账", "book", command.participant, 0, row.subject, command.actor),
    ]


def apply_cash(state: State, event: CashBooked, at_ns: int) -> None:
    """Booked by hand: a statement has to show it, unless one has."""
    cash.apply_booked(state, event, at_ns)
    bank = state.bank
    shown = event.by == VENUE or bank.open_break("unmatched", event.bank_reference) is not None
    if bank.custody is not None and not shown:
        bank.ahead[event.bank_reference] = Ahead(event.participant, event.amount_fen, at_ns)


# ---- breaks


def close_break(state: State, command: CloseBreak, at_ns: int) -> Refusal | list[Event]:
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    row = state.bank.breaks.get(command.bank_break)
    if row is None:
        return Refusal(Refused.not_found, f"there is no break {command.bank_break}")
    if not row.is_open:
        return Refusal(Refused.wrong_state, f"{row.id} was closed by {row.closed_by}: {row.reason}")
    if command.remedy not in REMEDIES[row.kind] or not command.reason.strip():
        allowed = ", ".join(REMEDIES[row.kind])
        return Refusal(Refused.malformed, f"a break {row.kind} is closed with one of {allowed}, and a reason")
    if command.remedy == "book":
        book = _stand_for if row.kind == "missing_cash" else _book
        return book(state, row, command)
    if command.remedy == "undo":
        return _undo(state, row, command)
    return [BreakClosed(row.id, command.reason, "none", "", 0, "", command.actor)]


def _book(state: State, row: Break, command: CloseBreak) -> Refusal | list[Event]:
    """The entry belongs to somebody after all; what goes out is taken from what that account has free."""
    account = FEES if command.account == OWN else command.account
    if (refusal := _account_refusal(state, account, command.actor)) is not None:
        return refusal
    if row.amount_fen > 0 and row.subject in state.cash_references:
        return Refusal(Refused.already_exists, f"the bank's entry {row.subject} is booked already")
    if (refusal := _lacking(state, account, -row.amount_fen)) is not None:
        return refusal
    return [BreakClosed(row.id, command.reason, "book", account, row.amount_fen, row.subject, command.actor)]


def _account_refusal(state: State, account: str, actor: str) -> Refusal | None:
    public = [board.public_data_account for board in state.boards.values()]
    if account == FEES or (account.startswith(PUBLIC_PREFIX) and account in public):
        return None
    if account not in state.bureau.participants:
        return Refusal(
            Refused.not_found,
            "account is a participant, `own` for the venue's fees, or a board's public account",
        )
    if same_house(state, account, actor):
        return Refusal(
            Refused.own_case, "nobody books money to or from their own house: ask another operator"
        )
    return None


def _lacking(state: State, account: str, amount_fen: int) -> Refusal | None:
    available = state.ledger.available(account, CNY)
    if amount_fen <= available:
        return None
    return Refusal(Refused.funds_insufficient, f"{account} has {available} fen free of {amount_fen}")


def _stand_for(state: State, row: Break, command: CloseBreak) -> Refusal | list[Event]:
    """Its participant has spent what the bank never had: the venue's own money takes its place, and the loss is booked."""
    ahead = state.bank.ahead[row.subject]
    if command.account != OWN:
        detail = "missing cash is booked to `own` alone: the venue's own money stands for it"
        return Refusal(Refused.malformed, detail)
    if same_house(state, ahead.participant, command.actor):
        return Refusal(Refused.own_case, "nobody makes good what their own house had: ask another operator")
    if (refusal := _lacking(state, FEES, ahead.amount_fen)) is not None:
        return refusal
    return [BreakClosed(row.id, command.reason, "book", FEES, -ahead.amount_fen, row.subject, command.actor)]


def _undo(state: State, row: Break, command: CloseBreak) -> Refusal | list[Event]:
    """The bank never had it: cash booked by hand is taken back, a payment's money is free again."""
    if row.kind == "missing_payout":
        refusal = _own_refusal(state, row.participant, command.actor)
        return refusal or _rejected(state, row.subject, command.reason, command.actor)
    ahead = state.bank.ahead[row.subject]
    if (refusal := _lacking(state, ahead.participant, ahead.amount_fen)) is not None:
        return refusal
    who, what = ahead.participant, -ahead.amount_fen
    return [BreakClosed(row.id, command.reason, "undo", who, what, row.subject, command.actor)]


def apply_opened(state: State, event: BreakOpened, at_ns: int) -> None:
    state.took_id(event.bank_break)
    bank = state.bank
    bank.standing[f"{event.kind}:{event.subject}"] = event.bank_break
    for number in range(event.first, event.last + 1 if event.first else 0):
        bank.lacking[str(number)] = event.bank_break
    bank.breaks[event.bank_break] = Break(
        id=event.bank_break,
        kind=event.kind,  # type: ignore[arg-type]
        subject=event.subject,
        amount_fen=event.amount_fen,
        since_ns=at_ns,
        day=event.day,
        participant=event.participant,
        statement=event.statement,
    )


def apply_closed(state: State, event: BreakClosed, at_ns: int) -> None:
    row = state.bank.breaks[event.bank_break]
    row.closed_ns, row.closed_by, row.reason = at_ns, event.by, event.reason
    row.remedy, row.account = event.remedy, event.account
    state.bank.standing.pop(f"{row.kind}:{row.subject}", None)
    for number in [number for number, gap in state.bank.lacking.items() if gap == row.id]:
        del state.bank.lacking[number]
    if not event.amount_fen:
        return
    cash, account = state.ledger.account(CASH, CNY), state.ledger.account(event.account, CNY)
    source, target = (cash, account) if event.amount_fen > 0 else (account, cash)
    state.ledger.transfer(source, target, abs(event.amount_fen))
    if row.kind == "missing_cash":
        del state.bank.ahead[event.bank_reference], state.cash_references[event.bank_reference]
    elif event.amount_fen > 0:
        state.cash_references[event.bank_reference] = event.account


# ---- the day's end


def on_due(state: State, identifier: str, due_ns: int, at_ns: int) -> Iterator[Event]:
    """Midnight in Beijing: ledger and bank are compared, and a bank that has been silent for too long is a break."""
    bank = state.bank
    yield BankDayEnded(equality_of(state))
    taken = bank.taken
    late = taken is not None and taken.until_ns + LATE_DAYS * DAY_NS < at_ns
    if late and taken is not None and bank.open_break("late", taken.id) is None:
        yield opened(state, "late", taken.id, 0, statement=taken.id)
    yield from _unequal(state)


def apply_day(state: State, event: BankDayEnded, at_ns: int) -> None:
    """A venue that stood still over several midnights compares once."""
    state.start_timer(next_day_end(at_ns), "bank", "day")
    state.bank.forget_before(at_ns - KEPT_DAYS * DAY_NS)
    for withdrawal in [one for one in state.stopped if one not in state.bank.withdrawals]:
        del state.stopped[withdrawal]
