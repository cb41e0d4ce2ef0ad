"""Debts: what a participant owes another, and how it is set off.

A debt comes from a refund that the seller agreed to and whose deposit and cash did not cover it. While one is open its
debtor withdraws nothing, lists nothing anew, and whatever becomes available to it goes to its creditors, the oldest debt
first, in the same journal entry as what brought it. That is the venue's own rule (本所规则): both have agreed to the
refund, and the creditor does not wait while the debtor spends: what it had asked to be paid out, and what its open buy
orders had set aside, is freed when the debt begins (`freed`). Another comes from a metered bill whose date passed
(`exchange.subscription`): its creditor is the account `venue:bills`, which distributes it when it is paid in full.

A debtor's account is watched by the ledger (`Ledger.stirred`), so those who owe nothing pay nothing for this.
"""

from collections.abc import Iterator
from typing import Final

from clearing.ledger import CNY, DEBT, Leg, debtor_owner
from exchange.events import VENUE, DebtSetOff, Event, Refusal, Refused, WithdrawalCancelled
from exchange.state import Debt, State, closing

IN_DEBT: Final = "a debt is open: it is set off first 有未清偿债务，先行抵扣"
"""Why a debtor's withdrawal is taken back."""


def debts_of(state: State, debtor: str) -> list[Debt]:
    """Open debts, the oldest first."""
    return sorted(state.claims.debts.get(debtor, {}).values(), key=lambda debt: int(debt.id[1:]))


def debt_refusal(state: State, participant: str) -> Refusal | None:
    """Why somebody who owes may not list anew, withdraw or be paid out."""
    debts = debts_of(state, participant)
    if not debts:
        return None
    left_fen = sum(debt.left_fen for debt in debts)
    detail = f"{left_fen} fen are owed (GET /v1/debts): pay them in first, whatever comes in is set off"
    return Refusal(Refused.in_debt, detail)


def set_off(state: State) -> Iterator[DebtSetOff]:
    """Whatever has become available to debtors goes to their creditors. Each event is applied before the next.

    A creditor may owe as well and is looked at in its turn. It ends: debts only shrink.
    """
    stirred = state.ledger.stirred
    while stirred:
        account = stirred.pop()
        if account.asset == CNY and account.owner in state.claims.debts:
            yield from _set_off(state, account.owner)


def _set_off(state: State, debtor: str) -> Iterator[DebtSetOff]:
    for debt in debts_of(state, debtor):
        amount_fen = min(debt.left_fen, state.ledger.available(debtor, CNY))
        if amount_fen:
            yield DebtSetOff(debt.id, debtor, debt.creditor, amount_fen)


def freed(state: State, debtor: str) -> Iterator[Event]:
    """What a debtor has set aside for itself: what it asked to be paid out, then its buy orders, the newest first, as far
    as the debts go. Free again, it is set off in the same entry."""
    for row in state.bank.open_withdrawals(debtor):
        if row.state == "requested":
            yield WithdrawalCancelled(row.id, IN_DEBT, VENUE)
    owed_fen = sum(debt.left_fen for debt in debts_of(state, debtor))
    for order in reversed([one for one in state.orders.values() if one.participant == debtor]):
        if state.ledger.available(debtor, CNY) >= owed_fen:
            return
        if order.side == "buy":
            yield closing(order, "in_debt")


# ---- events


def owe(state: State, debt: Debt) -> None:
    """A new debt: the claim is its creditor's, and the debtor's cash is watched from now on."""
    ledger = state.ledger
    ledger.move([Leg(debtor_owner(debt.debtor), debt.creditor, DEBT, debt.amount_fen)])
    ledger.watch(ledger.account(debt.debtor, CNY))
    state.claims.debts.setdefault(debt.debtor, {})[debt.id] = debt


def apply_set_off(state: State, event: DebtSetOff, at_ns: int) -> None:
    ledger, debts = state.ledger, state.claims.debts[event.debtor]
    ledger.move(
        [
            Leg(event.debtor, event.creditor, CNY, event.amount_fen),
            Leg(event.creditor, debtor_owner(event.debtor), DEBT, event.amount_fen),
        ]
    )
    debt = debts[event.debt]
    debt.left_fen -= event.amount_fen
    if not debt.left_fen:
        del debts[event.debt]
    if not debts:
        del state.claims.debts[event.debtor]
        ledger.unwatch(ledger.account(event.debtor, CNY))
