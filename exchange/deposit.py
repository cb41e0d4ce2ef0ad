"""Deposits (保证金): money that a merchant sets apart so that refunds after payout are covered.

It lies in an account of its own, pays no order and is still the merchant's: the venue holds it apart from its own funds.
The merchant takes back what neither an open sale nor a refund that it has offered needs.
"""

from typing import Final

from clearing.ledger import CNY, Leg, deposit_owner
from exchange.consequence import UNDO, kept_deposit_fen
from exchange.events import DepositPaid, DepositTaken, Event, PayDeposit, Refusal, Refused, TakeDeposit
from exchange.state import State

MAX_DEPOSIT_FEN: Final = 10**13


def pay(state: State, command: PayDeposit, at_ns: int) -> Refusal | list[Event]:
    """Anybody may: a deposit is of use to whoever sells, now or later."""
    if (refusal := _bounds_refusal(command.amount_fen)) is not None:
        return refusal
    available = state.ledger.available(command.actor, CNY)
    if available < command.amount_fen:
        return Refusal(
            Refused.funds_insufficient, f"{command.amount_fen} fen are offered, {available} are available"
        )
    return [DepositPaid(command.actor, command.amount_fen)]


def take(state: State, command: TakeDeposit, at_ns: int) -> Refusal | list[Event]:
    if (refusal := _bounds_refusal(command.amount_fen)) is not None:
        return refusal
    lies_fen, kept_fen = deposited(state, command.actor), kept_deposit_fen(state, command.actor)
    if kept_fen and lies_fen - kept_fen < command.amount_fen:
        said = f"deposit_fen: the grade in force asks for {kept_fen} fen while listings are open. 信用等级要求保证金。"
        return Refusal(Refused.standing_denied, said + UNDO)
    free_fen = lies_fen - needed(state, command.actor)
    if free_fen < command.amount_fen:
        detail = f"{max(free_fen, 0)} fen of the deposit are free: open sales and refunds that you offered need the rest"
        return Refusal(Refused.funds_insufficient, detail)
    return [DepositTaken(command.actor, command.amount_fen)]


def _bounds_refusal(amount_fen: int) -> Refusal | None:
    if 0 < amount_fen <= MAX_DEPOSIT_FEN:
        return None
    return Refusal(Refused.out_of_bounds, f"amount_fen lies between 1 and {MAX_DEPOSIT_FEN}")


def deposited(state: State, participant: str) -> int:
    """What lies in the deposit, in fen."""
    return state.ledger.available(deposit_owner(participant), CNY)


def needed(state: State, participant: str) -> int:
    """What stays in: the prices of own sales that are not finished, and refunds that the seller has offered. O(trades)."""
    open_fen = sum(
        trade.amount_fen
        for trade in state.trades.values()
        if trade.seller == participant and trade.state != "held"
    )
    offers = state.claims.offers.values()
    return open_fen + sum(
        offer.amount_fen for offer in offers if offer.by == participant and offer.trade not in state.trades
    )


# ---- events


def apply_paid(state: State, event: DepositPaid, at_ns: int) -> None:
    state.ledger.move([Leg(event.participant, deposit_owner(event.participant), CNY, event.amount_fen)])


def apply_taken(state: State, event: DepositTaken, at_ns: int) -> None:
    state.ledger.move([Leg(deposit_owner(event.participant), event.participant, CNY, event.amount_fen)])
