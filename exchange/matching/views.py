"""Whom an order may meet: the walk along the other side that passes over whom law or clearing keeps apart.

A participant whom the law keeps from thousands that stand before the first it may meet would look at all of them with
every order. So whoever has passed over more than `PATIENCE` of them in one walk gets a view of that side: how far it has
looked, and who of those it may meet. The next walk looks at its view, at who came to rest before that place since, and goes
on where the last one ended. Each resting order is looked at once per participant, while the law's answers stand
(`Book.law_changed` ends them). In a call auction, where one owner's orders and all-or-none ones are passed over too, a
participant has another view. What only concerns one order (a fill that clearing refused) is asked of each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from exchange.matching.book import Book
from exchange.matching.levels import Levels, Order, View
from exchange.matching.orders import BUY, MayTrade

PATIENCE: Final = 32
MOST_VIEWS: Final = 16_384
"""Of one side; all are dropped where more would be."""


def met(
    book: Book, may_trade: MayTrade, taker: Order, limit_fen: int | None, auction: bool = False
) -> Iterator[Order]:
    """The makers that this order may meet, in priority, down to the limit.

    Own ones too, and all-or-none ones, but for a call auction. The book may change in any way between two steps. O(1) over
    time for each that comes or rests before.
    """
    for maker in _lawful(book, may_trade, taker, limit_fen, auction):
        if not (book.barred(taker.id, maker.id) or _barred(taker, maker)):
            yield maker


def _barred(taker: Order, maker: Order) -> bool:
    """By participant, as orders that are older than the bars of pairs have it."""
    return taker.participant in maker.barred or maker.participant in taker.barred


def _asked(may_trade: MayTrade, taker: Order, maker: Order, auction: bool) -> bool:
    """Of one owner's orders self-trade prevention decides, not the law; in an auction they do not meet."""
    if taker.owner == maker.owner:
        return not auction
    if auction and maker.conditions.all_or_none:
        return False
    if taker.side == BUY:
        return may_trade(taker.participant, maker.participant)
    return may_trade(maker.participant, taker.participant)


def _lawful(
    book: Book, may_trade: MayTrade, taker: Order, limit_fen: int | None, auction: bool
) -> Iterator[Order]:
    side, name = book.against(taker.side), (taker.participant, taker.owner if auction else "")
    if name in side.views:
        yield from _viewed(side, may_trade, taker, limit_fen, name)
        return
    passed, lawful = 0, list[tuple[int, int, Order]]()
    for maker in side.walk(limit_fen):
        where = (-maker.price_fen * side.sign, maker.place, maker)
        if _asked(may_trade, taker, maker, auction):
            lawful.append(where)
            yield maker
        elif (passed := passed + 1) > PATIENCE:
            if len(side.views) >= MOST_VIEWS:
                side.views, side.arrivals = {}, []
            side.views[name] = View(-where[0], where[1], len(side.arrivals), _standing(lawful))
            yield from _viewed(side, may_trade, taker, limit_fen, name, where[:2])
            return


def _standing(lawful: list[tuple[int, int, Order]]) -> list[tuple[int, int, Order]]:
    return [entry for entry in lawful if entry[2].shown and entry[2].place == entry[1]]


def _viewed(
    side: Levels,
    may_trade: MayTrade,
    taker: Order,
    limit_fen: int | None,
    name: tuple[str, str],
    behind: tuple[int, int] = (-(1 << 62), 0),
) -> Iterator[Order]:
    """By the participant's view, from behind this (minus the rank, place) on."""
    view, auction = side.views[name], bool(name[1])
    unseen = _unseen(side, view, may_trade, taker, limit_fen, auction)
    while True:
        _catch_up(side, view, may_trade, taker, auction)
        entry = _next(view.lawful, behind) or next(unseen, None)
        if entry is None or not side.within(entry[2].price_fen, limit_fen):
            return
        behind = entry[:2]
        yield entry[2]


def _next(lawful: list[tuple[int, int, Order]], behind: tuple[int, int]) -> tuple[int, int, Order] | None:
    """The first that still rests behind this; those that left are dropped on the way."""
    first = last = bisect_right(lawful, behind, key=_priority)
    while last < len(lawful) and not (lawful[last][2].shown and lawful[last][2].place == lawful[last][1]):
        last += 1
    del lawful[first:last]
    return lawful[first] if first < len(lawful) else None


def _priority(entry: tuple[int, int, Order]) -> tuple[int, int]:
    return entry[:2]


def _catch_up(side: Levels, view: View, may_trade: MayTrade, taker: Order, auction: bool) -> None:
    """Who came to rest, since it last looked, before where it has looked."""
    arrivals = side.arrivals
    while view.seen < len(arrivals):
        order = arrivals[view.seen]
        view.seen += 1
        rank = order.price_fen * side.sign
        before = rank > view.rank or (rank == view.rank and order.place <= view.place)
        if before and order.shown and _asked(may_trade, taker, order, auction):
            where = (-rank, order.place)
            slot = bisect_left(view.lawful, where, key=_priority)
            if slot == len(view.lawful) or view.lawful[slot][:2] != where:  # it may have come twice
                view.lawful.insert(slot, (*where, order))


def _unseen(
    side: Levels, view: View, may_trade: MayTrade, taker: Order, limit_fen: int | None, auction: bool
) -> Iterator[tuple[int, int, Order]]:
    """Goes on where the view has not looked."""
    for maker in side.walk(limit_fen, (view.rank * side.sign, view.place)):
        view.rank, view.place = maker.price_fen * side.sign, maker.place
        if _asked(may_trade, taker, maker, auction):
            entry = (-view.rank, view.place, maker)
            view.lawful.append(entry)
            yield entry
