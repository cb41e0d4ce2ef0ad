"""Reversal (冲正): what was booked wrongly is taken back by a new transaction, linked to it and its opposite.

Nothing that is booked is ever changed or deleted. A reversal moves client money, so two operators agree to it (双人复核):
one proposes, another sends the same. Both are verified people of two houses, and neither reverses what their own house has
paid or received. It is made in full or not at all: where somebody has spent what would go back, it is
refused with the account that lacks it. A transaction is reversed once, and a reversal is not reversed: what was wrong
about it is booked anew.

A booking that no statement has shown is simply gone, and its reference free. What a statement has shown is at the bank all
the same: the entry becomes an open break again, which stops payouts until it is booked to whom it belongs.

What a trade granted ends with it. Its supply is not offered again, and the conduct it left stands: both say what happened.
"""

from collections.abc import Iterator
from typing import Final

from clearing.ledger import CNY, DEBT, Leg
from exchange import revenue
from exchange.bank import opened
from exchange.events import (
    EntitlementEnded,
    Event,
    Legs,
    Refusal,
    Refused,
    ReversalEnded,
    ReversalProposed,
    Reversed,
    ReverseTransaction,
)
from exchange.participant import role_refusal, same_house, unverified_refusal
from exchange.state import DAY_NS, Reversal, State

PROPOSAL_NS: Final = 10 * DAY_NS
"""How long a proposal waits for another operator."""
BANK_PREFIX: Final = "bank:"
"""How a transaction is called that an entry of the bank brought; its reference follows."""


def reverse(state: State, command: ReverseTransaction, at_ns: int) -> Refusal | list[Event] | Iterator[Event]:
    refusal = _decider_refusal(state, command, at_ns) or _transaction_refusal(state, command)
    if refusal is not None:
        return refusal
    if (refusal := _lack_refusal(state, command.legs)) is not None:
        return refusal
    proposal = state.claims.proposals.get(command.transaction)
    if proposal is None:
        return [_proposal(state, command, at_ns)]
    if proposal.until_ns < at_ns:
        return [ReversalEnded(proposal.id, proposal.transaction, "expired"), _proposal(state, command, at_ns)]
    if same_house(state, proposal.proposed_by, command.actor):
        detail = "you, or somebody of your house, have proposed this: another operator has to send the same"
        return Refusal(Refused.own_case, detail)
    if proposal.legs != command.legs:
        return Refusal(
            Refused.wrong_state,
            "the transaction has moved more since it was proposed: let it be proposed anew",
        )
    return _reversed(state, proposal, command)


def _decider_refusal(state: State, command: ReverseTransaction, at_ns: int) -> Refusal | None:
    """Why somebody reverses nothing, or not this."""
    actor = command.actor
    refusal = role_refusal(state, actor, at_ns, "operator") or unverified_refusal(state, actor, at_ns)
    if refusal is not None:
        return refusal
    if any(same_house(state, actor, party) for party in _parties(state, command.legs)):
        return Refusal(
            Refused.own_case,
            "nobody reverses what their own house has paid or received: ask another operator",
        )
    return None


def _parties(state: State, legs: Legs) -> list[str]:
    """Whose money or units the legs moved; a deposit and a debt are their participant's."""
    owners = (account.rpartition(":")[2] for leg in legs for account in leg[:2])
    return [owner for owner in owners if owner in state.bureau.participants]


def _proposal(state: State, command: ReverseTransaction, at_ns: int) -> ReversalProposed:
    reversal, until_ns = state.next_id("V"), at_ns + PROPOSAL_NS
    return ReversalProposed(
        reversal, command.transaction, command.reason, command.legs, command.actor, until_ns
    )


def _transaction_refusal(state: State, command: ReverseTransaction) -> Refusal | None:
    """Why this transaction cannot be reversed, whoever asks."""
    name, claims = command.transaction, state.claims
    if not command.reason.strip():
        return Refusal(Refused.malformed, "say the reason: it is kept with the reversal")
    if not command.legs:
        return Refusal(
            Refused.not_found,
            f"{name or 'it'} has moved nothing: name a trade, or bank: and the bank's reference",
        )
    if name in claims.reversals and not _booked_anew(state, name):
        return Refusal(Refused.already_exists, f"{name} was reversed by {claims.reversals[name].id}")
    if name.startswith(BANK_PREFIX):
        return _booking_refusal(state, name.removeprefix(BANK_PREFIX))
    if name in state.trades:
        return Refusal(
            Refused.wrong_state, "the trade is open: it ends by its own steps, or by a refund agreement"
        )
    if any(debt.trade == name for debts in claims.debts.values() for debt in debts.values()):
        return Refusal(Refused.wrong_state, "a debt out of this trade is open: let it be set off first")
    if claims.refunded_fen.get(name, command.refunded_fen) != command.refunded_fen:
        return Refusal(
            Refused.wrong_state, "a refund was agreed to meanwhile: look at the trade and propose anew"
        )
    if any(_claims_left(command.legs).values()):
        detail = (
            "its debt was set off and the books lack that: let the query tables catch up, then propose anew"
        )
        return Refusal(Refused.wrong_state, detail)
    return _transfer_refusal(state, command.entitlement)


def _booked_anew(state: State, name: str) -> bool:
    """A reversed booking sets its reference free: who booked it again, wrongly again, may reverse that too."""
    return name.startswith(BANK_PREFIX) and name.removeprefix(BANK_PREFIX) in state.cash_references


def _claims_left(legs: Legs) -> dict[str, int]:
    """What the movements leave of claims on each side, in fen: nothing, where every debt among them was set off."""
    left: dict[str, int] = {}
    for source, target, asset, amount in legs:
        if asset == DEBT:
            left[source] = left.get(source, 0) - amount
            left[target] = left.get(target, 0) + amount
    return left


def _booking_refusal(state: State, reference: str) -> Refusal | None:
    if reference not in state.cash_references:
        return Refusal(Refused.not_found, f"no entry {reference} of the bank is booked")
    if state.bank.open_break("missing_cash", reference) is not None:
        return Refusal(
            Refused.wrong_state, "the bank's statement lacks this entry: close its break with `undo`"
        )
    return None


def _transfer_refusal(state: State, identifier: str) -> Refusal | None:
    entitlement = state.entitlements.get(identifier)
    if entitlement is None or state.listings[entitlement.listing].terms.deal != "transfer":
        return None
    return Refusal(Refused.wrong_state, "the right has passed on: it goes back by a transfer")


def opposite(legs: Legs) -> list[Leg]:
    """The last movement first, each the other way."""
    return [Leg(target, source, asset, amount) for source, target, asset, amount in reversed(legs)]


def _lack_refusal(state: State, legs: Legs) -> Refusal | None:
    lack = state.ledger.lacking(opposite(legs))
    if lack is None:
        return None
    code = Refused.funds_insufficient if lack.asset == CNY else Refused.units_insufficient
    return Refusal(code, f"{lack.owner} lacks {lack.missing} {lack.asset}: all of it goes back, or nothing")


def _reversed(state: State, proposal: Reversal, command: ReverseTransaction) -> Iterator[Event]:
    of_trade = not proposal.transaction.startswith(BANK_PREFIX)
    reference = proposal.transaction.removeprefix(BANK_PREFIX)
    at_bank = not of_trade and _is_at_bank(state, reference)
    public_fen = _public_fen(state, command) if of_trade else 0
    operator = command.seller if public_fen else ""
    yield Reversed(
        proposal.id, proposal.transaction, proposal.legs, command.actor, of_trade, public_fen, operator
    )
    if at_bank:
        yield opened(state, "unmatched", reference, sum(amount for _, _, _, amount in proposal.legs))
    entitlement = state.entitlements.get(command.entitlement)
    if entitlement is not None and entitlement.trade == command.transaction:
        yield EntitlementEnded(
            entitlement.id, "revoke", proposal.reason, "", command.actor, command.transaction
        )


def _public_fen(state: State, command: ReverseTransaction) -> int:
    """What of the trade its seller had earned with public data: units sold on by a holder count to nobody's ceiling."""
    listing = state.listings.get(command.listing)
    if listing is None or command.seller != listing.merchant or not revenue.is_public(state, listing.id):
        return 0
    return command.amount_fen - command.refunded_fen


def _is_at_bank(state: State, reference: str) -> bool:
    """Whether a statement has shown the entry: reversed or not, the bank has the money."""
    return state.bank.custody is not None and reference not in state.bank.ahead


def on_proposal_due(state: State, transaction: str, due_ns: int, at_ns: int) -> list[Event]:
    proposal = state.claims.proposals.get(transaction)
    if proposal is None or proposal.until_ns != due_ns:
        return []
    return [ReversalEnded(proposal.id, transaction, "expired")]


# ---- events


def apply_proposed(state: State, event: ReversalProposed, at_ns: int) -> None:
    state.took_id(event.reversal)
    state.claims.proposals[event.transaction] = Reversal(
        id=event.reversal,
        transaction=event.transaction,
        reason=event.reason,
        legs=event.legs,
        proposed_by=event.by,
        until_ns=event.until_ns,
    )
    state.start_timer(event.until_ns, "reversal", event.transaction)


def apply_proposal_ended(state: State, event: ReversalEnded, at_ns: int) -> None:
    del state.claims.proposals[event.transaction]


def apply_reversed(state: State, event: Reversed, at_ns: int) -> None:
    proposal = state.claims.proposals.pop(event.transaction)
    state.ledger.move(opposite(event.legs))
    proposal.approved_by, proposal.at_ns = event.by, at_ns
    revenue.give_back(state, event.operator, event.public_fen, at_ns)
    if not event.trade:
        reference = event.transaction.removeprefix(BANK_PREFIX)
        state.bank.ahead.pop(reference, None)
        state.cash_references.pop(reference, None)
    earlier = state.claims.reversals.get(event.transaction)
    if earlier is not None:
        state.claims.reversals[f"{event.transaction} {earlier.id}"] = earlier
    state.claims.reversals[event.transaction] = proposal
