"""One book alone, from commands to events: all of `docs/MATCHING.md`, without money, law or clearing of its own.

execute ─> admission ─> Order ─> crosses nobody ─> rests
                              └> meeting, call_auction decide ─> the book is changed ─> they decide on
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from exchange.matching.admission import entry_refusal, remaining_after, replace_refusal
from exchange.matching.book import Book, Order
from exchange.matching.call_auction import allocate, auction_price
from exchange.matching.levels import Levels
from exchange.matching.meeting import (
    Elected,
    Rests,
    Step,
    Waits,
    come_in,
    enter,
    open_trading,
    settle_stops,
    whole_by_itself,
)
from exchange.matching.orders import (
    BUY,
    PLAIN,
    Barred,
    CameIn,
    Cancel,
    Closed,
    Command,
    Conditions,
    Disconnect,
    Enter,
    Entered,
    Event,
    Expire,
    Filled,
    Instrument,
    MassCancel,
    MayTrade,
    Move,
    Moved,
    Phase,
    Reduced,
    Refilled,
    Refused,
    Replace,
    Replaced,
    Stands,
)

MOVES: Final[dict[Phase, tuple[Phase, ...]]] = {
    "closed": ("pre_open", "continuous", "halted"),
    "pre_open": ("call_auction", "closed", "halted"),
    "call_auction": ("continuous", "closed", "halted"),
    "continuous": ("call_auction", "closed", "halted"),
    "halted": (),
}
"""From a phase into others; out of a halt only back."""


class Snapshot(msgspec.Struct):
    """All that a market is: orders in the order of their places."""

    phase: Phase
    before_halt: Phase
    last_fen: int
    entered: int
    places: int
    orders: list[Order]
    bars: list[tuple[str, str]]


class Market:
    """A book and its phase. It begins closed."""

    __slots__ = (
        "_before_halt",
        "_entered",
        "_incoming",
        "_may_trade",
        "_stands",
        "_swift",
        "_unbound",
        "book",
        "phase",
    )

    def __init__(self, instrument: Instrument, may_trade: MayTrade, stands: Stands) -> None:
        self.book = Book(instrument)
        self.phase: Phase = "closed"
        self._before_halt: Phase = "closed"
        self._may_trade, self._stands = may_trade, stands
        instrument = self.book.instrument
        self._unbound = instrument.lot == instrument.tick_fen == 1 and not instrument.collar_bp
        self._swift = False
        self._entered = 0
        self._incoming: Order | None = None

    def execute(self, command: Command) -> list[Event]:
        """What happened, in order; a command that is not taken is one `Refused`."""
        return _HANDLERS[type(command)](self, command)

    def law_changed(self) -> None:
        """`may_trade` may answer otherwise from now on."""
        self.book.law_changed()

    # ---- orders

    def _enter(self, command: Enter) -> list[Event]:
        book, order_id, quantity = self.book, command.order, command.quantity
        price_fen, plain = command.price_fen, command.conditions is PLAIN
        if not (plain and self._swift and price_fen > 0 and quantity > 0) or order_id in book.index:
            refusal = entry_refusal(book, self.phase, command)
            if refusal:
                return [Refused(order_id, refusal)]
        self._entered = entered = self._entered + 1
        order = Order(
            order_id,
            command.side,
            price_fen,
            quantity,
            command.owner,
            command.participant,
            "",
            quantity,
            entered,
        )
        told: list[Event] = [Entered(order_id)]
        if plain and price_fen and self.phase == "continuous":
            other = book.against(command.side)
            best = other.best
            if best is None or (
                price_fen < best.price_fen if command.side == BUY else price_fen > best.price_fen
            ):
                if not other.whole:
                    book.add(order)
                    return told
            else:
                return self._take(order, other, told)
        elif not plain:
            order.conditions = shared(command.conditions)
        self._incoming = order
        return self._run(enter(book, self._may_trade, self.phase, order, Elected(book)), told)

    def _take(self, order: Order, side: Levels, told: list[Event]) -> list[Event]:
        """An order without conditions meets plain makers, until something else comes: from there on
        `exchange/matching/meeting.py` decides."""
        book, elected = self.book, Elected(self.book)
        if not self._plainly(order, side, elected, told):
            self._incoming = order
            self._run(come_in(book, self._may_trade, order, elected), told)
        if elected.queue:
            self._run(settle_stops(book, self._may_trade, elected), told)
        return told

    def _plainly(self, order: Order, side: Levels, elected: Elected, told: list[Event]) -> bool:
        """Whether that was all of it: it is filled, or rests, and lets no all-or-none order in."""
        book, buys, waiting = self.book, order.side == BUY, self.book.waiting()
        price_fen, left = order.price_fen, order.remaining
        while (level := side.best) is not None and (
            price_fen >= level.price_fen if buys else price_fen <= level.price_fen
        ):
            maker = level.first()
            if maker.conditions is not PLAIN or maker.owner == order.owner:
                return False
            buyer, seller = (order, maker) if buys else (maker, order)
            if not self._may_trade(buyer.participant, seller.participant):
                return False
            quantity = maker.shown if maker.shown < left else left
            fill = Filled(buyer.id, seller.id, maker.id, level.price_fen, quantity)
            if not self._stands(fill):
                book.bar(order.id, maker.id)
                told.append(Barred(order.id, maker.id))
                return False
            told.append(fill)
            book.last_fen = level.price_fen
            order.remaining = left = left - quantity
            book.reduce(maker.id, quantity)
            if waiting:
                elected.note(level.price_fen)
            if not left:
                return True
        if side.whole:
            return False
        book.add(order)
        return True

    def _cancel(self, command: Cancel) -> list[Event]:
        if self.phase == "call_auction":
            return [Refused(command.order, "phase")]
        order_id = command.order
        if order_id not in self.book.index:
            return [Refused(order_id, "unknown")]
        return [Closed(order_id, "cancelled", self.book.remove(order_id).remaining)]

    def _replace(self, command: Replace) -> list[Event]:
        book = self.book
        refusal = replace_refusal(book, self.phase, command)
        order = book.get(command.order)
        if refusal or order is None:
            return [Refused(command.order, refusal)]
        remaining, waits, before = remaining_after(order, command), book.waits(order), order.remaining
        keeps = keeps_place(order, command, waits)
        told: list[Event] = [Replaced(order.id, command.price_fen, remaining, keeps)]
        if keeps:
            book.replace(order.id, command.quantity, remaining)
            alone = order.conditions.all_or_none and not waits and remaining < before
            if not alone or self.phase != "continuous":
                return told
            return self._run(whole_by_itself(book, self._may_trade, order, Elected(book)), told)
        self._incoming = become(book.lift(order.id), command, remaining, waits)
        return self._run(self._again(order), told)

    def _again(self, order: Order) -> Iterator[Step]:
        """A replaced order that lost its place."""
        book, elected = self.book, Elected(self.book)
        if order.conditions.stop_fen or self.phase != "continuous":
            yield from enter(book, self._may_trade, self.phase, order, elected)
            return
        yield from come_in(book, self._may_trade, order, elected, fresh=False)
        yield from settle_stops(book, self._may_trade, elected)

    # ---- many orders

    def _mass_cancel(self, command: MassCancel) -> list[Event]:
        if self.phase == "call_auction":
            return [Refused("", "phase")]
        return self._close(
            "cancelled",
            lambda order: (
                order.participant == command.participant and (not command.side or order.side == command.side)
            ),
        )

    def _disconnect(self, command: Disconnect) -> list[Event]:
        session = command.session
        return self._close(
            "disconnected", lambda order: bool(session) and order.conditions.session == session
        )

    def _expire(self, command: Expire) -> list[Event]:
        return self._close("expired", lambda order: 0 < order.conditions.expires_ns <= command.at_ns)

    def _close(self, reason: str, chosen: Callable[[Order], bool]) -> list[Event]:
        """Those that are chosen, by when they end, then by when they were entered. O(orders)."""
        found = [order for order in self.book.live() if chosen(order)]
        ends = reason == "expired"
        found.sort(key=lambda order: (order.conditions.expires_ns if ends else 0, order.placed_at_ns))
        return [Closed(order.id, reason, self.book.remove(order.id).remaining) for order in found]

    # ---- phases

    def _move(self, command: Move) -> list[Event]:
        back = command.phase == "resume"
        phase: Phase = self._before_halt if command.phase == "resume" else command.phase
        allowed = self.phase == "halted" if back else phase in MOVES[self.phase]
        if not allowed:
            return [Refused("", "phase")]
        before, self.phase = self.phase, phase
        self._swift = phase == "continuous" and self._unbound
        told: list[Event] = [Moved(phase)]
        if phase == "halted":
            self._before_halt = before
            return told
        if before == "call_auction":
            self._uncross(told)
        if phase == "continuous":
            self._run(open_trading(self.book, self._may_trade), told)
        return told

    def _uncross(self, told: list[Event]) -> None:
        price = auction_price(self.book)
        told.append(price)
        if price.quantity:
            self._run(allocate(self.book, self._may_trade, price.price_fen), told)

    # ---- what was decided

    def _run(self, steps: Iterator[Step], told: list[Event]) -> list[Event]:
        """Make each step so before the next is decided."""
        for step in steps:
            event = _MAKE_SO[type(step)](self, step)
            if event is not None:
                told.append(event)
        self._incoming = None
        return told

    def _of(self, order_id: str) -> Order:
        order = self._incoming
        if order is None or order.id != order_id:
            order = self.book.get(order_id)
            assert order is not None
        return order

    def _filled(self, fill: Filled) -> Event:
        taker, maker = (fill.buy, fill.sell) if fill.maker != fill.buy else (fill.sell, fill.buy)
        if not self._stands(fill):
            self.book.bar(taker, maker)
            return Barred(taker, maker)
        self.book.last_fen = fill.price_fen
        self._give(self._of(taker), fill.quantity)
        if fill.maker:
            self.book.reduce(maker, fill.quantity)
        else:
            self.book.allot(maker, fill.quantity)
        return fill

    def _give(self, order: Order, quantity: int) -> None:
        """The taker is filled, where it stands or before it rests."""
        if order.place:
            self.book.allot(order.id, quantity)
            return
        order.remaining -= quantity
        if not order.remaining:
            self._gone(order)

    def _gone(self, order: Order) -> None:
        if order.id in self.book:
            self.book.remove(order.id)
        else:
            self.book.forget_bars(order.id)

    def _closed(self, event: Closed) -> Event:
        self._gone(self._of(event.order))
        return event

    def _reduced(self, event: Reduced) -> Event:
        order = self._of(event.order)
        if order.place:
            self.book.decrement(order.id, event.quantity)
        else:
            order.remaining -= event.quantity
            order.quantity -= event.quantity
        return event

    def _refilled(self, event: Refilled) -> Event:
        self.book.refill(event.order, event.shown)
        return event

    def _came_in(self, event: CameIn) -> Event:
        if event.cause == "stop":
            order = self._of(event.order)
            self._incoming = elect(self.book.lift(order.id) if order.place else order)
        else:
            self._incoming = self.book.get(event.order)
        return event

    def _rests(self, step: Rests) -> None:
        order = self._of(step.order)
        if order.place:
            self.book.show_anew(order)
        else:
            self.book.add(order)

    def _waits(self, step: Waits) -> None:
        self.book.park(self._of(step.order))

    # ---- the whole

    def snapshot(self) -> Snapshot:
        orders = sorted(self.book.live(), key=lambda order: order.place)
        book = self.book
        return Snapshot(
            self.phase, self._before_halt, book.last_fen, self._entered, book.places, orders, book.bars()
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Become what was written down; the market is new."""
        self.phase, self._before_halt = snapshot.phase, snapshot.before_halt
        self._swift = self.phase == "continuous" and self._unbound
        self.book.last_fen, self._entered = snapshot.last_fen, snapshot.entered
        for order in snapshot.orders:
            order.conditions = shared(order.conditions)
            self.book.restore(order)
        self.book.places = snapshot.places
        for pair in snapshot.bars:
            self.book.bar(*pair)

    def sha256(self) -> str:
        """Of all that the market is: equal commands give equal hashes."""
        return hashlib.sha256(msgspec.msgpack.encode(self.snapshot(), order="deterministic")).hexdigest()


def shared(conditions: Conditions) -> Conditions:
    """PLAIN itself where it says no more."""
    return PLAIN if conditions == PLAIN else conditions


def elect(order: Order) -> Order:
    """It waits no more; without a price it is a market order now, and ioc."""
    in_force = order.conditions.time_in_force if order.price_fen else "ioc"
    expires_ns = order.conditions.expires_ns if order.price_fen else 0
    order.conditions = shared(
        msgspec.structs.replace(order.conditions, stop_fen=0, time_in_force=in_force, expires_ns=expires_ns)
    )
    return order


def keeps_place(order: Order, command: Replace, waits: bool) -> bool:
    """Same price, stop and display, and not more than before."""
    conditions = order.conditions
    same = command.price_fen == order.price_fen and command.display == conditions.display
    if waits:
        same = same and command.stop_fen in (0, conditions.stop_fen)
    return same and remaining_after(order, command) <= order.remaining


def become(order: Order, command: Replace, remaining: int, waits: bool) -> Order:
    """The order as it was replaced, before it comes in again."""
    order.price_fen, order.quantity, order.remaining = command.price_fen, command.quantity, remaining
    conditions = order.conditions
    stop_fen = (command.stop_fen or conditions.stop_fen) if waits else 0
    if (conditions.display, conditions.stop_fen) != (command.display, stop_fen):
        order.conditions = shared(
            msgspec.structs.replace(conditions, display=command.display, stop_fen=stop_fen)
        )
    return order


_HANDLERS: Final[dict[type, Callable[[Any, Any], list[Event]]]] = {
    Enter: Market._enter,
    Cancel: Market._cancel,
    Replace: Market._replace,
    MassCancel: Market._mass_cancel,
    Disconnect: Market._disconnect,
    Expire: Market._expire,
    Move: Market._move,
}

_MAKE_SO: Final[dict[type, Callable[[Any, Any], Event | None]]] = {
    Filled: Market._filled,
    Closed: Market._closed,
    Reduced: Market._reduced,
    Refilled: Market._refilled,
    CameIn: Market._came_in,
    Rests: Market._rests,
    Waits: Market._waits,
}
