"""A broker's mandate: what somebody may order for somebody else, within which scope and until when.

    principal signs scope and date ──> broker orders for it ──> its date, taken back, given up, or one of both leaves

The order is the principal's in everything that the law, the money and the conduct know of it: its funds are set aside, its
contract counts, its ultimate owner is asked for (E05). The broker is noted with the order, and may cancel it. It has to be
accredited as a broker (江西 31: 数据经纪) at the time of each order. Whoever asks for more than the mandate gives is
refused with what that was; nothing is stored of it.

`most_fen` counts what has been ordered under the mandate, filled or not: it does not come back, and a new mandate is a
new signature. In a book an order under a mandate has a limit, or nobody could say what it asks for.
"""

from collections.abc import Iterator
from typing import Final

from credit.merchant import accredited_for
from exchange.events import (
    VENUE,
    EndMandate,
    Event,
    GiveMandate,
    MandateEnded,
    MandateGiven,
    MandateUsed,
    OrderPlaced,
    PlaceOrder,
    Refusal,
    Refused,
)
from exchange.listing import unit_price_fen
from exchange.participant import is_active, standing_refusal
from exchange.state import Listing, Mandate, State

SIDES: Final = ("buy", "sell", "both")
MOST_FEN: Final = 10**15
MOST_MANDATES: Final = 1_000
"""That one principal may have given at a time."""


# ---- giving and ending


def give(state: State, command: GiveMandate, at_ns: int) -> Refusal | list[Event]:
    refusal = _broker_refusal(state, command, at_ns) or _content_refusal(state, command, at_ns)
    deeds = {"buy": ("buy",), "sell": ("list",), "both": ("buy", "list")}.get(command.side, ())
    for deed in deeds:
        refusal = refusal or standing_refusal(state, command.actor, deed, at_ns)
    if refusal is not None:
        return refusal
    return [
        MandateGiven(
            state.next_id("M"),
            command.actor,
            command.broker,
            command.side,
            command.listings,
            command.boards,
            command.most_fen,
            command.valid_until_ns,
            command.public_key,
            command.text,
            command.signature,
        )
    ]


def _broker_refusal(state: State, command: GiveMandate, at_ns: int) -> Refusal | None:
    row = state.bureau.participants.get(command.broker)
    if row is None:
        return Refusal(Refused.not_found, f"there is no participant {command.broker}")
    if command.broker == command.actor:
        return Refusal(Refused.malformed, "one orders for oneself without a mandate")
    if not accredited_for(row, "broker", at_ns):
        return Refusal(Refused.not_accredited, f"{command.broker} is not accredited as a broker (数据经纪)")
    if state.bureau.participants[command.actor].public_key != command.public_key:
        return Refusal(Refused.signature_wrong, "your key was replaced: sign with the one that stands now")
    return None


def _content_refusal(state: State, command: GiveMandate, at_ns: int) -> Refusal | None:
    if command.side not in SIDES:
        return Refusal(Refused.malformed, f"side is one of {', '.join(SIDES)}")
    if command.valid_until_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "valid_until lies in the future")
    if not 0 < command.most_fen <= MOST_FEN:
        return Refusal(Refused.out_of_bounds, f"most_fen lies between 1 and {MOST_FEN}")
    for kind, named, known in (
        ("listing", command.listings, state.listings),
        ("board", command.boards, state.boards),
    ):
        if missing := [name for name in named if name not in known]:
            return Refusal(Refused.not_found, f"there is no {kind} {missing[0]}")
    if sum(one.principal == command.actor for one in state.mandates.values()) >= MOST_MANDATES:
        return Refusal(Refused.out_of_bounds, f"{MOST_MANDATES} mandates of yours run: take one back first")
    return None


def end(state: State, command: EndMandate, at_ns: int) -> Refusal | list[Event]:
    """Orders that rest stay: they are the principal's, to be cancelled or kept."""
    found = state.mandates.get(command.mandate)
    if found is None or command.actor not in (found.principal, found.broker):
        return Refusal(Refused.not_found, f"no mandate {command.mandate} of yours runs")
    how = "revoked" if command.actor == found.principal else "given_up"
    return [MandateEnded(found.id, how, command.actor)]


# ---- using it


def refusal_of(state: State, command: PlaceOrder, at_ns: int) -> Refusal | None:
    """Why this broker may not place this order for its principal."""
    found = state.mandates.get(command.mandate)
    if found is None or at_ns >= found.valid_until_ns:
        detail = (
            f"the mandate {command.mandate} does not run: it has ended, was taken back, or was never given"
        )
        return Refusal(Refused.forbidden, detail)
    if (found.broker, found.principal) != (command.broker, command.actor):
        detail = f"{found.id} is no mandate of {command.actor} for {command.broker}: name the one that is"
        return Refusal(Refused.forbidden, detail)
    row = state.bureau.participants[command.broker]
    if not accredited_for(row, "broker", at_ns) or not is_active(state, row.id) or at_ns < row.ban_until_ns:
        return Refusal(
            Refused.not_accredited, f"{row.id} may not act as a broker now: {row.credential}, {row.status}"
        )
    listing = state.listings.get(command.listing)
    return None if listing is None else _scope_refusal(found, listing, command)


def _scope_refusal(found: Mandate, listing: Listing, command: PlaceOrder) -> Refusal | None:
    """What of the order is beyond the mandate's scope."""
    amount = amount_of(listing, command)
    if found.side not in ("both", command.side):
        beyond = f"it is to {found.side}, not to {command.side}"
    elif found.listings and listing.id not in found.listings:
        beyond = f"it is for the listings {', '.join(found.listings)}, not for {listing.id}"
    elif found.boards and listing.board not in found.boards:
        beyond = f"it is for the boards {', '.join(found.boards)}, not for {listing.board}"
    elif amount is None:
        beyond = "in a book its orders have a limit_fen"
    elif found.used_fen + amount > found.most_fen:
        beyond = (
            f"most_fen is {found.most_fen}, of which {found.used_fen} are ordered; this order is {amount}"
        )
    else:
        return None
    return Refusal(Refused.outside_terms, f"outside the mandate {found.id}: {beyond}")


def amount_of(listing: Listing, command: PlaceOrder) -> int | None:
    """What an order is worth at most (a sale: at least), in fen, rounded up; None where it has no price."""
    terms = listing.terms
    book = terms.mechanism == "continuous_auction"
    price_fen = command.limit_fen if book else unit_price_fen(terms, command.quantity)
    if book and not price_fen:
        return None
    return -(-price_fen * command.quantity // terms.price_per_units)


def noted(
    state: State, command: PlaceOrder, decision: Refusal | Iterator[Event]
) -> Refusal | Iterator[Event]:
    """The broker behind an order that was placed."""
    if isinstance(decision, Refusal):
        return decision
    return _noted(state, command, decision)


def _noted(state: State, command: PlaceOrder, decision: Iterator[Event]) -> Iterator[Event]:
    amount = amount_of(state.listings[command.listing], command) or 0
    for event in decision:
        yield event
        if isinstance(event, OrderPlaced):
            yield MandateUsed(command.mandate, event.order, command.broker, amount)


def placed_by(state: State, order: str) -> str:
    """The broker of an open order, while its mandate runs; empty where there is none."""
    found = state.mandates.get(state.brokered.get(order, ""))
    return "" if found is None else found.broker


# ---- dates


def on_due(state: State, mandate: str, due_ns: int, at_ns: int) -> list[Event]:
    return [MandateEnded(mandate, "expired", VENUE)] if mandate in state.mandates else []


# ---- events


def apply_given(state: State, event: MandateGiven, at_ns: int) -> None:
    state.took_id(event.mandate)
    state.mandates[event.mandate] = Mandate(
        id=event.mandate,
        principal=event.principal,
        broker=event.broker,
        side=event.side,
        listings=event.listings,
        boards=event.boards,
        most_fen=event.most_fen,
        valid_until_ns=event.valid_until_ns,
    )
    state.start_timer(event.valid_until_ns, "mandate", event.mandate)


def apply_ended(state: State, event: MandateEnded, at_ns: int) -> None:
    del state.mandates[event.mandate]
    state.brokered = {order: name for order, name in state.brokered.items() if name != event.mandate}


def apply_used(state: State, event: MandateUsed, at_ns: int) -> None:
    """Orders that are over are forgotten here."""
    state.mandates[event.mandate].used_fen += event.amount_fen
    state.brokered = {order: name for order, name in state.brokered.items() if order in state.orders}
    state.brokered[event.order] = event.mandate
