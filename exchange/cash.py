"""Money that arrives at the custody bank, booked by an operator. The venue never owns client money (第三方存管)."""

from typing import Final

from clearing.ledger import CASH, CNY
from exchange.events import BookCashIn, CashBooked, Event, Refusal, Refused
from exchange.participant import role_refusal, same_house
from exchange.state import State

MAX_CASH_FEN: Final = 10**13
"""100 billion yuan: above it an amount is a slip of the pen."""


def book_in(state: State, command: BookCashIn, at_ns: int) -> Refusal | list[Event]:
    """One booking for each of the bank's references, and none for the operator's own house."""
    if (refusal := role_refusal(state, command.actor, at_ns, "operator")) is not None:
        return refusal
    if command.participant not in state.bureau.participants:
        return Refusal(Refused.not_found, f"there is no participant {command.participant}")
    if same_house(state, command.participant, command.actor):
        return Refusal(Refused.own_case, "nobody books money to their own house: ask another operator")
    if not 0 < command.amount_fen <= MAX_CASH_FEN:
        return Refusal(Refused.out_of_bounds, f"amount_fen lies between 1 and {MAX_CASH_FEN}")
    if not command.bank_reference.strip():
        return Refusal(Refused.malformed, "bank_reference names the bank's entry")
    if command.bank_reference in state.cash_references:
        return Refusal(Refused.already_exists, f"the bank's entry {command.bank_reference} is booked already")
    return [CashBooked(command.participant, command.amount_fen, command.bank_reference, command.actor)]


def apply_booked(state: State, event: CashBooked, at_ns: int) -> None:
    ledger = state.ledger
    ledger.transfer(ledger.account(CASH, CNY), ledger.account(event.participant, CNY), event.amount_fen)
    state.cash_references[event.bank_reference] = event.participant
