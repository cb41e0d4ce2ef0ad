"""Who meets whom: the rules of `docs/MATCHING.md` that decide. Nothing here changes a book.

Each function reads the book and yields what is to happen next: an event of `exchange/matching/orders.py`, or one of the two
steps below. Whoever drives it (`exchange/matching/market.py` for a book alone, the venue with clearing in between) makes it
so and asks for the next, which is decided on the book as it is then. A fill that did not stand is seen by the taker having
lost nothing, and is barred by then.

    come_in   ─> meet ─> Filled Refilled Reduced Closed ...
                  └─ something is left ─> Rests ─> all-or-none orders on the other side come in
    settle_stops ─> each stop that the last price reached since: CameIn, come_in
"""

from collections import deque
from collections.abc import Generator, Iterator
from typing import Final

from msgspec import Struct

from exchange.matching.book import Book, Order
from exchange.matching.orders import (
    BUY,
    PLAIN,
    SELL,
    CameIn,
    Closed,
    Event,
    Filled,
    MayTrade,
    Phase,
    Reduced,
    Refilled,
    Side,
)
from exchange.matching.views import met


class Rests(Struct, frozen=True, gc=False):
    """Nobody is told: what is left of the order that came in rests, at its place if it still has one."""

    order: str


class Waits(Struct, frozen=True, gc=False):
    """Nobody is told: the order waits for its stop."""

    order: str


Step = Event | Rests | Waits

LAST: Final = 1 << 62
"""Beyond every price."""


class Elected:
    """Stops that the last price has reached, in the order in which they come in; of one command."""

    __slots__ = ("_book", "_high", "_low", "queue")

    def __init__(self, book: Book) -> None:
        self._book = book
        self._high, self._low = 0, LAST
        self.queue: deque[Order] = deque()

    def note(self, price_fen: int) -> None:
        """Buys first, the lowest stop first, then sells, the highest first; equal ones by time."""
        if price_fen > self._high:
            self.queue.extend(self._book.reached(BUY, price_fen, self._high))
            self._high = price_fen
        if price_fen < self._low:
            self.queue.extend(self._book.reached(SELL, price_fen, self._low))
            self._low = price_fen


def is_reached(book: Book, side: Side, stop_fen: int) -> bool:
    """Whether the last settled trade has reached this stop; before the first trade none has."""
    if not book.last_fen:
        return False
    return book.last_fen >= stop_fen if side == BUY else book.last_fen <= stop_fen


def collar(book: Book) -> tuple[int, int] | None:
    """The lowest and the highest price that the collar allows, None where there is none."""
    around, collar_bp = book.last_fen or book.instrument.reference_fen, book.instrument.collar_bp
    if not collar_bp or not around:
        return None
    allowed = around * collar_bp // 10_000
    return around - allowed, around + allowed


def limit_of(book: Book, taker: Order) -> int | None:
    """The worst price this order takes; None for any. A market order's is the collar's end as it lies now."""
    if taker.price_fen:
        return taker.price_fen
    ends = collar(book)
    return None if ends is None else ends[taker.side == BUY]


# ---- what comes in


def enter(book: Book, may_trade: MayTrade, phase: Phase, order: Order, elected: Elected) -> Iterator[Step]:
    """A new order, after `Entered`, or one that was replaced and waits no more."""
    stop_fen = order.conditions.stop_fen
    if stop_fen:
        if phase != "continuous" or not is_reached(book, order.side, stop_fen):
            yield Waits(order.id)
            return
        yield CameIn(order.id, "stop")
    elif phase != "continuous":
        yield Rests(order.id)
        return
    yield from come_in(book, may_trade, order, elected)
    yield from settle_stops(book, may_trade, elected)


def come_in(
    book: Book, may_trade: MayTrade, order: Order, elected: Elected, fresh: bool = True
) -> Iterator[Step]:
    """The meeting and the all-or-none orders that what rested lets in. `fresh`: it asks its `minimum`."""
    rests = yield from meet(book, may_trade, order, elected, fresh)
    if rests:
        yield Rests(order.id)
        yield from whole_again(book, may_trade, order, elected)


def whole_again(book: Book, may_trade: MayTrade, order: Order, elected: Elected) -> Iterator[Step]:
    """All-or-none orders that cross this one, which came to rest, come in where they can be filled whole now."""
    open_turns = [iter(_crossing_whole(book, order))]
    while open_turns:
        one = next(open_turns[-1], None)
        if one is None:
            open_turns.pop()
        elif one.shown and fillable(book, may_trade, one, one.remaining):
            yield CameIn(one.id, "all_or_none")
            rests = yield from meet(book, may_trade, one, elected, fresh=False)
            if rests:
                yield Rests(one.id)
                open_turns.append(iter(_crossing_whole(book, one)))


def _crossing_whole(book: Book, order: Order) -> list[Order]:
    side = book.against(order.side)
    if not side.whole:
        return []
    waiting = book.all_or_none(SELL if order.side == BUY else BUY)
    return [one for one in waiting if side.within(one.price_fen, order.price_fen)]


def whole_by_itself(book: Book, may_trade: MayTrade, order: Order, elected: Elected) -> Iterator[Step]:
    """An all-or-none order that has become smaller at its place."""
    if fillable(book, may_trade, order, order.remaining):
        yield CameIn(order.id, "all_or_none")
        yield from come_in(book, may_trade, order, elected, fresh=False)
        yield from settle_stops(book, may_trade, elected)


def settle_stops(book: Book, may_trade: MayTrade, elected: Elected) -> Iterator[Step]:
    """The stops that are elected come in, one after the other."""
    while elected.queue:
        order = elected.queue.popleft()
        if book.waits(order):
            yield CameIn(order.id, "stop")
            yield from come_in(book, may_trade, order, elected)


def open_trading(book: Book, may_trade: MayTrade, again: bool = False) -> Iterator[Step]:
    """Into continuous: what still crosses comes in, by its time in the book, then the stops that were reached before.

    `again`: the book trades already, and an all-or-none order that cannot be filled whole need not come in for that.
    """
    elected, before = Elected(book), Elected(book)
    if book.last_fen:
        before.note(book.last_fen)
    for order in _crossed(book):
        if order.shown and next(_makers(book, may_trade, order, order.price_fen), None) is not None:
            if (
                again
                and order.conditions.all_or_none
                and not fillable(book, may_trade, order, order.remaining)
            ):
                continue
            yield CameIn(order.id, "crossed")
            yield from come_in(book, may_trade, order, elected, fresh=False)
            yield from settle_stops(book, may_trade, elected)
    elected.queue.extend(before.queue)
    yield from settle_stops(book, may_trade, elected)


def _crossed(book: Book) -> list[Order]:
    best_buy, best_sell = book.best_price(BUY), book.best_price(SELL)
    if best_buy is None or best_sell is None or best_buy < best_sell:
        return []
    crossing = [*book.side(BUY).walk(best_sell), *book.side(SELL).walk(best_buy)]
    return sorted(crossing, key=lambda order: order.place)


# ---- the meeting


def meet(
    book: Book, may_trade: MayTrade, taker: Order, elected: Elected, fresh: bool = True
) -> Generator[Step, None, bool]:
    """The order meets the other side. Returns whether something is left of it that rests."""
    limit_fen = limit_of(book, taker)
    if taker.conditions is not PLAIN:
        reason = _beforehand(book, may_trade, taker, limit_fen, fresh)
        if reason:
            if reason != "rests":
                yield Closed(taker.id, reason, taker.remaining)
            return reason == "rests"
    filled = False
    for maker in _makers(book, may_trade, taker, limit_fen):
        if maker.owner == taker.owner:
            yield from _with_oneself(taker, maker)
            if not taker.remaining or _ends(taker):
                return False
            continue
        before = taker.remaining
        yield fill(taker, maker, min(before, maker.shown))
        if taker.remaining == before:
            continue
        filled = True
        if book.last_fen and book.waiting():  # a fill that is held is no last price yet
            elected.note(book.last_fen)
        if maker.remaining and not maker.shown:
            yield Refilled(maker.id, min(maker.conditions.display, maker.remaining))
        if not taker.remaining:
            return False
    reason = _left(taker, filled)
    if reason:
        yield Closed(taker.id, reason, taker.remaining)
    return not reason


def fill(taker: Order, maker: Order, quantity: int) -> Filled:
    if taker.side == BUY:
        return Filled(taker.id, maker.id, maker.id, maker.price_fen, quantity)
    return Filled(maker.id, taker.id, maker.id, maker.price_fen, quantity)


def _makers(book: Book, may_trade: MayTrade, taker: Order, limit_fen: int | None) -> Iterator[Order]:
    """Whom the taker meets: an all-or-none maker larger than what remains of it is passed over."""
    for maker in met(book, may_trade, taker, limit_fen):
        if not (maker.conditions.all_or_none and maker.remaining > taker.remaining):
            yield maker


def would_meet(book: Book, may_trade: MayTrade, order: Order) -> bool:
    """Whether there is anybody whom this order would meet if it came in now."""
    return next(_makers(book, may_trade, order, limit_of(book, order)), None) is not None


def _beforehand(book: Book, may_trade: MayTrade, taker: Order, limit_fen: int | None, fresh: bool) -> str:
    """Why the order is closed without meeting anybody, or `rests`; empty: it meets."""
    conditions = taker.conditions
    if conditions.post_only:
        first = next(_makers(book, may_trade, taker, limit_fen), None)
        return "rests" if first is None else "post_only"
    if conditions.time_in_force == "fok":
        return "" if fillable(book, may_trade, taker, taker.remaining) else "fok"
    if conditions.all_or_none:
        if fillable(book, may_trade, taker, taker.remaining):
            return ""
        return "all_or_none" if conditions.time_in_force == "ioc" else "rests"
    if fresh and conditions.minimum and not fillable(book, may_trade, taker, conditions.minimum):
        return "minimum_quantity"
    return ""


def _left(taker: Order, filled: bool) -> str:
    """Why what is left at the end is closed; empty: it rests."""
    conditions = taker.conditions
    if conditions.time_in_force == "fok":
        return "fok"
    if conditions.time_in_force == "ioc" or not taker.price_fen:
        return "ioc"
    return "all_or_none" if conditions.all_or_none and filled else ""


def _with_oneself(taker: Order, maker: Order) -> Iterator[Step]:
    """Self-trade prevention, as the taker says. The maker first."""
    how = taker.conditions.self_trade
    if how == "decrement" and not maker.conditions.all_or_none:
        quantity = min(taker.remaining, maker.remaining)
        yield Reduced(maker.id, quantity)
        yield Reduced(taker.id, quantity)
        for one in (maker, taker):
            if not one.remaining:
                yield Closed(one.id, "self_trade", 0)
        return
    if how != "cancel_newest":
        yield Closed(maker.id, "self_trade", maker.remaining)
    if _ends(taker):
        yield Closed(taker.id, "self_trade", taker.remaining)


def _ends(taker: Order) -> bool:
    """Whether a maker of its own owner ends the order."""
    return taker.conditions.self_trade in ("cancel_newest", "cancel_both")


# ---- whole or not


def fillable(book: Book, may_trade: MayTrade, taker: Order, wanted: int) -> bool:
    """Whether at least this much of the order would be filled if it came in now: counted over the walk it would make."""
    left, got, how = taker.remaining, 0, taker.conditions.self_trade
    whole = taker.conditions.all_or_none or taker.conditions.time_in_force == "fok"
    for maker, part in _parts(met(book, may_trade, taker, limit_of(book, taker)), taker.owner):
        if maker.conditions.all_or_none and maker.remaining > left:
            continue
        if maker.owner != taker.owner:
            part = min(part, left)
            got += part
            left -= part
        elif _ends(taker):
            return False
        elif how == "decrement" and not maker.conditions.all_or_none:
            if whole:
                return False
            left -= min(left, maker.remaining)
        if got >= wanted:
            return True
        if not left:
            break
    return False


def foreseen(book: Book, may_trade: MayTrade, taker: Order) -> Iterator[tuple[int, int]]:
    """(price in fen, quantity) of each fill that the order would get if it came in now and every fill stood."""
    left, how = taker.remaining, taker.conditions.self_trade
    for maker, part in _parts(met(book, may_trade, taker, limit_of(book, taker)), taker.owner):
        whole = maker.conditions.all_or_none
        if whole and maker.remaining > left:
            continue
        if maker.owner != taker.owner:
            part = min(part, left)
            left -= part
            yield maker.price_fen, part
        elif _ends(taker):
            return
        elif how == "decrement" and not whole:
            left -= min(left, maker.remaining)
        if not left:
            return


def _parts(makers: Iterator[Order], owner: str) -> Iterator[tuple[Order, int]]:
    """(maker, what it shows) as a walk that fills all of them meets them: an iceberg's next parts behind the others of its
    price. One of the taker's owner comes once."""
    again: deque[tuple[Order, int]] = deque()
    price_fen = 0
    for maker in makers:
        if maker.price_fen != price_fen:
            yield from _next_parts(again)
            price_fen = maker.price_fen
        yield maker, maker.shown
        if maker.remaining > maker.shown and maker.owner != owner:
            again.append((maker, maker.remaining - maker.shown))
    yield from _next_parts(again)


def _next_parts(again: deque[tuple[Order, int]]) -> Iterator[tuple[Order, int]]:
    while again:
        maker, hidden = again.popleft()
        part = min(maker.conditions.display, hidden)
        yield maker, part
        if hidden > part:
            again.append((maker, hidden - part))
