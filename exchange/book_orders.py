"""Orders of a book, from entry to their end (`docs/MATCHING.md` has the rules, `exchange.matching` decides what meets).

What an order meets is asked of the pure book, step by step. Each fill is judged by clearing before the next: it settles,
is held, or is refused, and then the two orders are barred from each other. So clearing has the last word, and an order
that has to be filled whole counts beforehand only makers that the law lets it trade with.

An order that is refused at many doors is not refused at all of them: after `MOST_REFUSED` counterparties it passes over
whoever the law keeps apart from it without another refused trade; `apart` tells both sides why.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from clearing.calendar import day_of, end_of
from clearing.house import Cell
from clearing.ledger import CNY, unit_asset
from clearing.money import amount_fen, refuse_amount
from exchange import mandate
from exchange import order as orders
from exchange.consequence import order_refusal
from exchange.events import (
    VENUE,
    CallAuctionHeld,
    CancelMany,
    CancelOrder,
    EndConnection,
    Event,
    Held,
    OrderCameIn,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    OrderRefilled,
    OrderReplaced,
    PlaceOrder,
    Refusal,
    Refused,
    ReplaceOrder,
    Settled,
    TradeRefused,
)
from exchange.listing import cell_of
from exchange.matching.admission import contradiction, entry_refusal, remaining_after, replace_refusal
from exchange.matching.book import Book, Order, kept_apart
from exchange.matching.call_auction import allocate, auction_price
from exchange.matching.market import elect, keeps_place
from exchange.matching.meeting import (
    Elected,
    Rests,
    Step,
    Waits,
    collar,
    come_in,
    enter,
    foreseen,
    open_trading,
    settle_stops,
    whole_by_itself,
    would_meet,
)
from exchange.matching.orders import (
    BUY,
    PLAIN,
    SELL,
    CameIn,
    Closed,
    Conditions,
    Enter,
    Filled,
    MayTrade,
    Phase,
    Reduced,
    Refilled,
    Replace,
    Side,
)
from exchange.order import Deal, clear, judge_clearing
from exchange.state import Listing, State, closing, is_crossed

MOST_REFUSED: Final = 8
"""Counterparties of one order whose refusal by clearing is recorded one by one."""

DETAILS: Final = {
    "quantity": (Refused.out_of_bounds, "quantity, minimum_quantity and display_quantity are positive"),
    "conditions": (
        Refused.malformed,
        "an order keeps its limit or has none, and its minimum_quantity; only one that may rest in part has a display",
    ),
    "phase": (Refused.session, "the {board} board's books are in {phase}: {takes}"),
    "lot": (Refused.lot, "quantities are multiples of {lot}, the listing's price_per_units"),
    "tick": (Refused.tick, "prices are multiples of {tick} fen, the listing's tick_fen"),
    "collar": (
        Refused.collar,
        "prices lie between {least} and {most} fen now: at most the listing's collar_bp from the last one",
    ),
    "too_late": (Refused.too_late, "so much of it is filled already: nothing would be left"),
}
"""What a book says no with: the refusal, and what to do."""

GATHERS: Final = (
    "taken are stops, and gtc, gtd and day with a limit, without post_only, minimum_quantity or all_or_none"
)
TAKES: Final = {
    "closed": "orders are only cancelled",
    "halted": "orders are only cancelled",
    "pre_open": GATHERS,
    "call_auction": f"{GATHERS}, and none is cancelled or replaced",
}
"""What a book does outside continuous trading."""


# ---- placing


def place(state: State, command: PlaceOrder, at_ns: int) -> Refusal | Iterator[Event]:
    """Any order; one that a broker places is looked at with its mandate first."""
    if command.broker:
        return mandate.refusal_of(state, command, at_ns) or mandate.noted(
            state, command, _place(state, command, at_ns)
        )
    return _place(state, command, at_ns)


def _place(state: State, command: PlaceOrder, at_ns: int) -> Refusal | Iterator[Event]:
    """One at a posted price goes its own way (`exchange.order.place`)."""
    listing = state.listings.get(command.listing)
    if listing is None or listing.terms.mechanism != "continuous_auction" or listing.id not in state.books:
        return orders.place(state, command, at_ns)
    if (refusal := orders.closed_refusal(state, listing)) is not None:
        return refusal
    asks = _conditions(command, at_ns)
    refusal = _form_refusal(state, listing, command, asks, at_ns)
    if refusal is not None:
        return refusal
    read = orders.lawful(state, listing, _cell(state, listing, at_ns), command, at_ns, True)
    if isinstance(read, Refusal):
        return read
    law = Law(state, listing, at_ns)
    if asks.post_only and would_meet(state.books[listing.id], law, _as_order(state, command, asks)):
        return Refusal(Refused.would_cross, "post_only: it would trade at once; place it at another price")
    reserved = _reserved(state, law, command, asks)
    return (
        _funds_refusal(state, command, reserved)
        or _ceiling_refusal(
            state, listing, command.actor, command.side, command.limit_fen, command.quantity, reserved
        )
        or _enter(state, law, command, asks, reserved, at_ns)
    )


def _cell(state: State, listing: Listing, at_ns: int) -> Cell:
    """A book's one licence class."""
    return cell_of(state, listing, listing.terms.purposes[0], listing.terms.territories[0], at_ns)


_PLAIN_OF: Final = {**orders.UNCONDITIONED, "fok": Conditions("fok")}


def _conditions(command: PlaceOrder, at_ns: int) -> Conditions:
    """A market order rests nowhere, whatever it says; a day ends at midnight in China."""
    force, asks = command.time_in_force, command.conditions
    if not command.limit_fen and force not in ("ioc", "fok") and (asks is None or not asks.stop_fen):
        force = "ioc"
    if asks is None and force in _PLAIN_OF:
        return _PLAIN_OF[force]
    asks = asks or PLAIN
    expires_ns = end_of(day_of(at_ns)) + 1 if force == "day" else asks.expires_ns
    return replace(asks, time_in_force=force, expires_ns=expires_ns)


def _form_refusal(
    state: State, listing: Listing, command: PlaceOrder, asks: Conditions, at_ns: int
) -> Refusal | None:
    """What of the order does not fit the book."""
    terms = listing.terms
    if command.side not in (BUY, SELL):
        return Refusal(Refused.malformed, "side is buy or sell")
    purpose, territory = terms.purposes[0], terms.territories[0]
    if command.purpose not in ("", purpose) or command.territory not in ("", territory):
        return Refusal(Refused.outside_terms, f"offered are purpose {purpose} and territory {territory}")
    if asks.time_in_force == "gtd" and asks.expires_ns <= at_ns:
        return Refusal(Refused.out_of_bounds, "a gtd order says in expires_at, ahead of now, when it ends")
    side: Side = "sell" if command.side == SELL else "buy"
    asked = Enter("", side, command.limit_fen, command.quantity, "", "", asks)
    code = entry_refusal(state.books[listing.id], _phase(state, listing), asked)
    if code == "conditions":
        return Refusal(Refused.malformed, contradiction(asks, command.limit_fen, command.quantity))
    return _said(state, listing, code) or _amount_refusal(listing, command.limit_fen, command.quantity)


def _said(state: State, listing: Listing, code: str) -> Refusal | None:
    return _refused(state, listing, code) if code else None


def _refused(state: State, listing: Listing, code: str) -> Refusal:
    """What the pure book said no with, in this listing's figures."""
    refused, detail = DETAILS[code]
    book, phase = state.books[listing.id], _phase(state, listing)
    least, most = collar(book) or (0, 0)
    figures = {"lot": book.instrument.lot, "tick": book.instrument.tick_fen, "least": least, "most": most}
    where = {"board": listing.board, "phase": phase, "takes": TAKES.get(phase, "")}
    return Refusal(refused, detail.format(**figures, **where))


def _phase(state: State, listing: Listing) -> Phase:
    return state.phase_of(listing.board)  # type: ignore[return-value]


def _amount_refusal(listing: Listing, limit_fen: int, quantity: int) -> Refusal | None:
    terms = listing.terms
    reason = refuse_amount(max(limit_fen, terms.price_fen), terms.price_per_units, quantity, exact=True)
    if reason is None:
        return None
    return Refusal(
        Refused.out_of_bounds, orders.MONEY_REFUSALS.get(reason, "quantity and price are positive")
    )


def _as_order(state: State, command: PlaceOrder, asks: Conditions) -> Order:
    """What it would come in as, to look at the book with."""
    owner = orders.owner_of(state, command.actor)
    side: Side = "sell" if command.side == SELL else "buy"
    order = Order("", side, command.limit_fen, command.quantity, owner, command.actor)
    order.conditions = asks
    return order


def _ceiling_refusal(
    state: State, listing: Listing, participant: str, side: str, limit_fen: int, quantity: int, reserved: int
) -> Refusal | None:
    """Whether its grade allows so large an order; a sale without a limit is held against the listed price."""
    if side == BUY:
        return order_refusal(state, participant, "", reserved)
    price_fen = limit_fen or listing.terms.price_fen
    return order_refusal(
        state, participant, "", amount_fen(price_fen, listing.terms.price_per_units, quantity)
    )


def _funds_refusal(state: State, command: PlaceOrder, reserved: int) -> Refusal | None:
    """`reserved`: what is to be set aside, units of a sale and fen of a purchase."""
    if command.side == BUY:
        enough = state.ledger.available(command.actor, CNY) >= reserved
        return None if enough else orders.lacking(state, command.actor, reserved)
    held = state.ledger.available(command.actor, unit_asset(command.listing))
    if held >= reserved:
        return None
    return Refusal(Refused.units_insufficient, f"{reserved} units are offered, {held} are available")


def _reserved(state: State, law: "Law", command: PlaceOrder, asks: Conditions) -> int:
    """What is set aside: a sale's units; of a purchase its limit, or at market the sweep of the book as it stands.

    A purchase that waits for its stop without a limit sets nothing aside until it comes in.
    """
    if command.side == SELL:
        return command.quantity
    if command.limit_fen:
        return amount_fen(command.limit_fen, law.listing.terms.price_per_units, command.quantity)
    return 0 if asks.stop_fen else _sweep(state, law, _as_order(state, command, asks))


def _sweep(state: State, law: "Law", order: Order, most: int = 0) -> int:
    """What it would cost to buy at market what there is, or so much of it. Nobody is asked whether a fill would stand, but
    where it has to be filled whole or to its minimum: of those that the law lets it trade with."""
    per_units, left, cost = law.listing.terms.price_per_units, most or order.remaining, 0
    counts = order.conditions.time_in_force == "fok" or order.conditions.minimum
    for price, quantity in foreseen(state.books[law.listing.id], law if counts else _anybody, order):
        cost += amount_fen(price, per_units, min(quantity, left))
        left -= min(quantity, left)
        if not left:
            break
    return cost


def _anybody(buyer: str, seller: str) -> bool:
    return True


def _enter(
    state: State, law: "Law", command: PlaceOrder, asks: Conditions, reserved: int, at_ns: int
) -> Iterator[Event]:
    identifier, listing = state.next_id("O"), law.listing
    yield OrderPlaced(
        identifier,
        command.actor,
        listing.id,
        command.side,
        command.quantity,
        command.limit_fen,
        asks.time_in_force,
        listing.terms.purposes[0],
        listing.terms.territories[0],
        command.accepts_prior,
        reserved,
        command.key,
        None if asks in orders.UNCONDITIONED.values() else asks,
    )
    book = state.books[listing.id]
    order, phase = state.orders[identifier], _phase(state, listing)
    steps = enter(book, law.patient(book, asks), phase, order, Elected(book))
    yield from _go(state, law, steps, at_ns)


# ---- what the book decides, made so


def _go(state: State, law: "Law", steps: Iterator[Step], at_ns: int) -> Iterator[Event]:
    """Make each step so before the next is decided. A fill goes through clearing."""
    for step in steps:
        if isinstance(step, Filled):
            event = _cleared(state, law.listing, step, at_ns)
            if event is not None:
                yield event
                law.refused += type(event) is TradeRefused
            if event is None or (type(event) is not TradeRefused and event.quantity < step.quantity):
                yield OrderClosed(step.buy, "funds", state.orders[step.buy].remaining)
        elif isinstance(step, Rests | Waits):
            orders.rest(state)
        else:
            yield SAID[type(step)](state, law, step)


def _cleared(
    state: State, listing: Listing, step: Filled, at_ns: int
) -> Settled | Held | TradeRefused | None:
    """What clearing makes of a fill. A market order's is as much as its money pays, and none where that is nothing, or
    less than all of a maker that is sold whole or not at all."""
    buy, sell = state.orders[step.buy], state.orders[step.sell]
    per_units, quantity = listing.terms.price_per_units, step.quantity
    if not buy.price_fen:
        quantity = min(quantity, _payable_units(state, buy.id, step.price_fen, per_units))
        if not quantity or (sell.conditions.all_or_none and quantity < step.quantity):
            return None
    rest = (buy.price_fen - step.price_fen) * quantity // per_units if buy.price_fen else 0
    terms = listing.terms
    where = (terms.purposes[0], terms.territories[0])
    deal = Deal(
        listing,
        _cell(state, listing, at_ns),
        buy.participant,
        sell.participant,
        buy.id,
        sell.id,
        quantity,
        step.price_fen,
        rest,
        *where,
        buy.accepts_prior,
        sell.id if step.maker == buy.id else buy.id,
        standing=buy.placed_at_ns < at_ns,
    )
    deal.mechanism = "" if step.maker else "call_auction"
    return clear(state, deal, at_ns)


def _payable_units(state: State, order: str, price_fen: int, per_units: int) -> int:
    """What a market order's reservation still pays at this price: a maker that clearing refused was cheaper."""
    reservation = state.ledger.reservation(order)
    return 0 if reservation is None else reservation.amount // price_fen * per_units


def _came_in(state: State, law: "Law", step: CameIn) -> Event:
    """A purchase that waited for its stop without a limit has as much set aside as the book costs now, or what there is;
    nothing where that does not pay its minimum."""
    order = state.orders[step.order]
    reserved = 0
    if order.side == BUY and not order.price_fen:
        least, available = order.conditions.minimum, state.ledger.available(order.participant, CNY)
        if not least or available >= _sweep(state, law, order, least):
            reserved = min(_sweep(state, law, order), available)
    return OrderCameIn(
        order.id,
        step.cause,
        order.listing,
        order.side,
        order.price_fen if order.shown else 0,
        order.shown,
        order.price_fen,
        order.remaining,
        order.conditions.display,
        reserved,
    )


def _closed(state: State, law: "Law", step: Closed) -> Event:
    """An order that comes in rests nowhere: where it came from is said already."""
    order = state.orders[step.order]
    if order is state.incoming:
        return OrderClosed(order.id, step.reason, step.remaining)
    return closing(order, step.reason)


def _reduced(state: State, law: "Law", step: Reduced) -> Event:
    order = state.orders[step.order]
    hidden = order.remaining - order.shown
    less_shown = 0 if order is state.incoming else max(0, step.quantity - hidden)
    return OrderReduced(order.id, order.listing, order.side, order.price_fen, step.quantity, less_shown)


def _refilled(state: State, law: "Law", step: Refilled) -> Event:
    order = state.orders[step.order]
    return OrderRefilled(order.id, order.listing, order.side, order.price_fen, step.shown)


SAID: Final[dict[type, Callable[[State, "Law", Any], Event]]] = {
    CameIn: _came_in,
    Closed: _closed,
    Reduced: _reduced,
    Refilled: _refilled,
}
"""Step of the book: the venue's event."""


# ---- replacing


def change(state: State, command: ReplaceOrder, at_ns: int) -> Refusal | Iterator[Event]:
    """Less at the same price keeps its place in the queue, anything else comes in again."""
    order = state.orders.get(command.order)
    if order is None or order.participant != command.actor or order.listing not in state.books:
        return Refusal(Refused.not_found, f"you have no open order {command.order}")
    listing, book = state.listings[order.listing], state.books[order.listing]
    if (refusal := orders.closed_refusal(state, listing)) is not None:
        return refusal
    asked = Replace(order.id, command.quantity, command.limit_fen, command.stop_fen, command.display)
    code = replace_refusal(book, _phase(state, listing), asked)
    refusal = _said(state, listing, code) or _amount_refusal(listing, asked.price_fen, asked.quantity)
    if refusal is not None:
        return refusal
    keeps = keeps_place(order, asked, book.waits(order))
    if not keeps and (refusal := _again_refusal(state, listing, order, asked, at_ns)) is not None:
        return refusal
    cost = _cost(listing, order, asked)
    return (
        _cost_refusal(state, listing, order, asked)
        or _ceiling_refusal(
            state, listing, order.participant, order.side, asked.price_fen, asked.quantity, cost
        )
        or _replaced(state, listing, order, asked, keeps, at_ns)
    )


def _again_refusal(
    state: State, listing: Listing, order: Order, asked: Replace, at_ns: int
) -> Refusal | None:
    """What comes in again is asked by the law again."""
    placed = PlaceOrder(
        actor=order.participant,
        listing=listing.id,
        side=order.side,
        quantity=asked.quantity,
        limit_fen=asked.price_fen,
        accepts_prior=order.accepts_prior,
    )
    read = orders.lawful(state, listing, _cell(state, listing, at_ns), placed, at_ns, True)
    return read if isinstance(read, Refusal) else None


def _cost_refusal(state: State, listing: Listing, order: Order, asked: Replace) -> Refusal | None:
    reservation = state.ledger.reservation(order.id)
    has = 0 if reservation is None else reservation.amount
    asset = CNY if order.side == BUY else unit_asset(listing.id)
    lacks = _cost(listing, order, asked) - has - state.ledger.available(order.participant, asset)
    if lacks <= 0:
        return None
    code = Refused.funds_insufficient if order.side == BUY else Refused.units_insufficient
    what = "fen" if order.side == BUY else "units"
    return Refusal(code, f"{lacks} {what} more are needed than are available")


def _cost(listing: Listing, order: Order, asked: Replace) -> int:
    """What is set aside for it from now on."""
    remaining = remaining_after(order, asked)
    if order.side == SELL:
        return remaining
    return amount_fen(asked.price_fen, listing.terms.price_per_units, remaining)


def _replaced(
    state: State, listing: Listing, order: Order, asked: Replace, keeps: bool, at_ns: int
) -> Iterator[Event]:
    book, before = state.books[listing.id], order.remaining
    remaining, waits = remaining_after(order, asked), book.waits(order)
    yield OrderReplaced(
        order.id,
        listing.id,
        order.side,
        order.price_fen,
        order.shown,
        asked.price_fen,
        asked.quantity,
        remaining,
        (asked.stop_fen or order.conditions.stop_fen) if waits else 0,
        asked.display,
        min(order.shown, remaining) if keeps else 0,
        _cost(listing, order, asked),
        keeps,
    )
    law = Law(state, listing, at_ns)
    steps = _after_replace(
        book, law.patient(book, order.conditions), _phase(state, listing), order, keeps, before
    )
    yield from _go(state, law, steps, at_ns)


def _after_replace(
    book: Book, may_trade: MayTrade, phase: Phase, order: Order, keeps: bool, before: int
) -> Iterator[Step]:
    """A smaller all-or-none order may fit now; one that lost its place comes in again, without asking its minimum."""
    elected = Elected(book)
    if keeps:
        if (
            order.shown
            and order.conditions.all_or_none
            and order.remaining < before
            and phase == "continuous"
        ):
            yield from whole_by_itself(book, may_trade, order, elected)
    elif order.conditions.stop_fen or phase != "continuous":
        yield from enter(book, may_trade, phase, order, elected)
    else:
        yield from come_in(book, may_trade, order, elected, fresh=False)
        yield from settle_stops(book, may_trade, elected)


# ---- a session


def uncross_board(state: State, board: str, at_ns: int) -> Iterator[Event]:
    """The call auction of each of a board's books that trades."""
    for listing in _books_of(state, board):
        yield from uncross(state, listing, at_ns)


def begin_continuous(state: State, board: str, at_ns: int) -> Iterator[Event]:
    for listing in _books_of(state, board):
        law = Law(state, listing, at_ns)
        yield from _go(state, law, open_trading(state.books[listing.id], law), at_ns)


def follow(state: State, at_ns: int) -> Iterator[Event]:
    """What else happens in an entry: stops come in that a settled hold has reached, and orders that the law kept apart
    are tried again when it may say otherwise (`State.crossed`)."""
    orders.rest(state)
    for key in in_order({*state.repriced, *state.crossed}):
        listing, book = state.listings[key], state.books[key]
        if not is_crossed(book):
            state.crossed.pop(key, None)
            if key not in state.repriced:
                continue
        if takes_orders(state, listing):
            law = Law(state, listing, at_ns)
            yield from _go(state, law, open_trading(book, law, again=True), at_ns)


def in_order(listings: Iterable[str]) -> list[str]:
    """By their numbers: a snapshot keeps books in another order than that in which they were opened."""
    return sorted(listings, key=lambda key: (len(key), key))


def takes_orders(state: State, listing: Listing) -> bool:
    """Whether its book trades continuously now: its board does, and nothing stands still."""
    return _phase(state, listing) == "continuous" and orders.closed_refusal(state, listing) is None


def stand_still(state: State) -> list[str]:
    """Books that take nothing now, whatever the phase of their board."""
    return [key for key in state.books if orders.closed_refusal(state, state.listings[key]) is not None]


def go_on(state: State, stood: Iterable[str], at_ns: int) -> Iterator[Event]:
    """A halt is over: those that stood still have the auction for which they gathered orders, and stops come in that were
    reached meanwhile."""
    for key in in_order(stood):
        listing, book = state.listings[key], state.books[key]
        if not takes_orders(state, listing):
            continue
        if is_crossed(book) and "call_auction" in state.boards[listing.board].mechanisms:
            yield from uncross(state, listing, at_ns)
        law = Law(state, listing, at_ns)
        yield from _go(state, law, open_trading(book, law), at_ns)


def _books_of(state: State, board: str) -> list[Listing]:
    listings = [state.listings[key] for key in in_order(state.books)]
    return [row for row in listings if row.board == board and orders.closed_refusal(state, row) is None]


def uncross(state: State, listing: Listing, at_ns: int) -> Iterator[Event]:
    """A call auction over one book; nothing where nothing crosses."""
    book = state.books[listing.id]
    found = auction_price(book)
    if not found.quantity:
        return
    law, before, traded, icebergs = Law(state, listing, at_ns), _levels(book), 0, list[str]()
    reference = book.last_fen or book.instrument.reference_fen
    for step in allocate(book, law, found.price_fen):
        if isinstance(step, Filled):
            event = _cleared(state, listing, step, at_ns)
            assert event is not None, "orders of an auction have limits"
            yield event
            traded += 0 if type(event) is TradeRefused else step.quantity
        else:
            icebergs.append(step.order)
    yield CallAuctionHeld(
        listing.id,
        found.price_fen,
        found.quantity,
        found.surplus,
        reference,
        traded,
        _changes(before, _levels(book, icebergs)),
        tuple(icebergs),
    )


Shown = dict[tuple[str, int], int]


def _levels(book: Book, anew: Iterable[str] = ()) -> Shown:
    """(side, price): what is shown there; `anew`: icebergs, once they show their parts again."""
    shown: Shown = {}
    for order in book.resting():
        part = min(order.conditions.display, order.remaining) if order.id in anew else order.shown
        shown[order.side, order.price_fen] = shown.get((order.side, order.price_fen), 0) + part
    return shown


def _changes(before: Shown, after: Shown) -> tuple[tuple[str, int, int], ...]:
    changed = {key: after.get(key, 0) - before.get(key, 0) for key in before | after}
    return tuple((*key, change) for key, change in sorted(changed.items()) if change)


# ---- events


def apply_came_in(state: State, event: OrderCameIn, at_ns: int) -> None:
    """One that rested stays where it is while it takes; one that waited for its stop is lifted."""
    orders.rest(state)
    order = state.orders[event.order]
    if event.cause == "stop":
        elect(state.books[event.listing].lift(order.id))
    if event.reserved:
        state.ledger.reserve(order.id, state.ledger.account(order.participant, CNY), event.reserved)
    state.incoming = order


def apply_replaced(state: State, event: OrderReplaced, at_ns: int) -> None:
    orders.rest(state)
    order, book = state.orders[event.order], state.books[event.listing]
    asset = CNY if order.side == BUY else unit_asset(event.listing)
    state.ledger.release(order.id)
    state.ledger.reserve(order.id, state.ledger.account(order.participant, asset), event.reserved)
    if event.keeps_place:
        book.replace(order.id, event.quantity, event.remaining)
        return
    book.lift(order.id)
    order.quantity, order.remaining, order.price_fen = event.quantity, event.remaining, event.limit_fen
    asks = replace(order.conditions, stop_fen=event.stop_fen, display=event.display)
    order.conditions = PLAIN if asks == PLAIN else asks
    state.incoming = order


def apply_refilled(state: State, event: OrderRefilled, at_ns: int) -> None:
    state.books[event.listing].refill(event.order, event.shown)


def apply_reduced(state: State, event: OrderReduced, at_ns: int) -> None:
    """What is taken away of it was not filled: the order is smaller."""
    order = state.orders[event.order]
    per_units = state.listings[event.listing].terms.price_per_units
    if order.place:
        state.books[event.listing].decrement(order.id, event.quantity)
    else:
        order.remaining -= event.quantity
        order.quantity -= event.quantity
    if order.side == SELL:
        state.ledger.release(order.id, event.quantity)
    elif order.price_fen:
        state.ledger.release(order.id, amount_fen(order.price_fen, per_units, event.quantity))


def apply_auction(state: State, event: CallAuctionHeld, at_ns: int) -> None:
    """Of journals that do not say which icebergs were filled, all of them show their part anew."""
    book = state.books[event.listing]
    for order in book.resting():
        if event.icebergs is None or order.id in event.icebergs:
            book.show_anew(order)


# ---- what ends orders


def cancel(state: State, command: CancelOrder, at_ns: int) -> Refusal | list[Event]:
    order = state.orders.get(command.order)
    if order is None or command.actor not in (order.participant, mandate.placed_by(state, order.id)):
        return Refusal(Refused.not_found, f"you have no open order {command.order}")
    if _is_locked(state, order):
        return _refused(state, state.listings[order.listing], "phase")
    return [closing(order, "cancelled")]


def _is_locked(state: State, order: Order) -> bool:
    """In the call auction nothing leaves any more: what everybody sees of it is what will be traded."""
    return state.phase_of(state.listings[order.listing].board) == "call_auction"


def cancel_many(state: State, command: CancelMany, at_ns: int) -> Refusal | list[Event]:
    """All at once, or none where one of them rests in a book that lets nothing go now."""
    if command.side not in ("", BUY, SELL):
        return Refusal(Refused.malformed, "side is buy or sell, or left out for both")
    if command.listing and command.listing not in state.listings:
        return Refusal(Refused.not_found, f"there is no listing {command.listing}")
    mine = [
        order
        for order in state.orders.values()
        if order.participant == command.actor
        and command.listing in ("", order.listing)
        and command.side in ("", order.side)
    ]
    locked = next((order for order in mine if _is_locked(state, order)), None)
    if locked is not None:
        return _refused(state, state.listings[locked.listing], "phase")
    return [closing(order, "cancelled") for order in mine]


def end_connection(state: State, command: EndConnection, at_ns: int) -> Refusal | list[Event]:
    if command.actor != VENUE:
        return Refusal(Refused.forbidden, "the venue's own command")
    return [
        closing(order, "disconnected")
        for order in state.orders.values()
        if (session := order.conditions.session) and command.session in ("", session)
    ]


def has_connections(state: State) -> bool:
    """Whether an order is to end with a connection: none of them lives on when the venue starts anew."""
    return any(order.conditions.session for order in state.orders.values())


def on_due(state: State, order_id: str, due_ns: int, at_ns: int) -> list[Event]:
    order = state.orders.get(order_id)
    if order is None or order.conditions.expires_ns != due_ns:
        return []
    return [closing(order, "day" if order.conditions.time_in_force == "day" else "expired")]


# ---- what is kept apart


class Law:
    """Whether two participants may trade with each other in this book now: what clearing would say, without a trade.

    Asked of both as they are now, at the listing's own price; kept for the time of one command.
    """

    __slots__ = ("_at_ns", "_known", "_state", "listing", "refused")

    def __init__(self, state: State, listing: Listing, at_ns: int) -> None:
        self._state, self.listing, self._at_ns = state, listing, at_ns
        state.books[listing.id].law_changed()
        self.refused = 0
        """Fills that clearing has refused."""
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def __call__(self, buyer: str, seller: str) -> bool:
        return not self.broken(buyer, seller)

    def patient(self, book: Book, asks: Conditions) -> MayTrade:
        """Let clearing say no, up to MOST_REFUSED times; at once the law's answer where an order has to know beforehand."""
        counts = asks.time_in_force == "fok" or asks.minimum or asks.all_or_none or asks.post_only
        if counts or book.side(BUY).whole or book.side(SELL).whole:
            return self
        return lambda buyer, seller: self.refused < MOST_REFUSED or self(buyer, seller)

    def broken(self, buyer: str, seller: str) -> tuple[str, ...]:
        """The rules that keep the two apart: broken, or undecided because a fact is unknown."""
        known = self._known.get((buyer, seller))
        if known is None:
            known = self._known[buyer, seller] = self._judge(buyer, seller)
        return known

    def _judge(self, buyer: str, seller: str) -> tuple[str, ...]:
        state, listing, at_ns = self._state, self.listing, self._at_ns
        terms, cell = listing.terms, _cell(state, listing, at_ns)
        lot, price, where = terms.price_per_units, terms.price_fen, (terms.purposes[0], terms.territories[0])
        deal = Deal(listing, cell, buyer, seller, "", "O", lot, price, 0, *where, False, standing=True)
        verdict, _ = judge_clearing(state, deal, at_ns)
        if verdict.outcome in ("allow", "hold"):
            return ()
        return (*verdict.violated, *(rule for rule, _ in verdict.unknown))


def apart(
    state: State, order_id: str, at_ns: int, most: int
) -> Iterator[tuple[str, int, int, tuple[str, ...], str]]:
    """Orders on the other side that this one's price would match and that it does not meet: id, price (fen), what is
    shown, the rules, and why: rules, same_owner, refused_before, whole, or session, where nothing meets now."""
    order = state.orders.get(order_id)
    book = None if order is None else state.books.get(order.listing)
    if order is None or book is None or order_id not in book:
        return
    listing = state.listings[order.listing]
    law, left = Law(state, listing, at_ns), "whole" if takes_orders(state, listing) else "session"
    for maker in islice(book.makers(order.side, order.price_fen), most):
        buyer, seller = (order, maker) if order.side == BUY else (maker, order)
        rules = law.broken(buyer.participant, seller.participant)
        why = "rules"
        if order.owner == maker.owner:
            why = "same_owner"
        elif not rules:
            why = "refused_before" if kept_apart(order, maker) else left
        yield maker.id, maker.price_fen, maker.shown, rules, why
