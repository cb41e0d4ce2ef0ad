"""The price levels of one side of a book, and the queue of each.

    buys                       sells
    120 ── b4                  121 ── s1 s5      a level is a queue, oldest first
    119 ── b1 b3               123 ── s2

A queue is a list in the order of `place`, a number that rises with every order that comes to rest. An order that leaves
stays in the list and shows 0, and is skipped; the list is made anew when most of it is such, so leaving costs O(1) over
time wherever the order stood. The prices nearest to the touch are a sorted list with the best at its end, where levels
open and close; those behind are a heap, of which some come near when those before are gone.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import pairwise
from operator import attrgetter
from typing import Final

import msgspec

from exchange.matching.orders import BUY, PLAIN, Conditions, Side

MOST_NEAR: Final = 1_024
"""Prices in the sorted list of a side; moving all of them is moving 8 KiB."""

LONGEST_LOG: Final = 8_192
"""Arrivals that are kept for views that have not looked at them; as many as rest, where more do."""

SPARE: Final = 24
"""A queue holds at most so many that left, or as many as rest."""


class Order(msgspec.Struct, gc=False):
    """An order as it stands.

    `owner` is the ultimate owner, by which trades with oneself are prevented. `barred` names participants that this
    order may not meet; pairs of orders are barred in the book. `quantity` is the whole order, `remaining` what is not
    filled of it, `shown` what of that the book shows: 0 while it is not in a queue. `place` is its turn among those that
    rest or wait for their stop, 0 for none. Orders are told apart in time by `placed_at_ns`. The book changes
    `remaining`, `shown`, `place` and nothing else; the rest is the venue's.
    """

    id: str
    side: Side
    price_fen: int
    remaining: int
    owner: str
    participant: str = ""
    listing: str = ""
    quantity: int = 0
    placed_at_ns: int = 0
    barred: tuple[str, ...] = ()
    client_order_id: str = ""
    purpose: str = ""
    territory: str = ""
    accepts_prior: bool = False
    conditions: Conditions = PLAIN
    shown: int = 0
    place: int = 0


_place_of: Final = attrgetter("place")


class Level:
    """One price. `total` is what its orders show, `special` counts those that hide a part or are all-or-none."""

    __slots__ = ("count", "head", "price_fen", "queue", "special", "total")

    def __init__(self, price_fen: int) -> None:
        self.price_fen = price_fen
        self.queue: list[Order] = []
        self.head = self.count = self.total = self.special = 0

    def first(self) -> Order:
        """The oldest; the level has one. O(1) over time."""
        queue, head = self.queue, self.head
        while not queue[head].shown:
            head += 1
        self.head = head
        return queue[head]

    def behind(self, place: int) -> int:
        """Where in the queue those begin that came later; 0 is before all. O(log of the queue) over time."""
        queue, head = self.queue, self.head
        if place:
            return bisect_right(queue, place, head, key=_place_of)
        while head < len(queue) and not queue[head].shown:
            head += 1
        self.head = head
        return head

    def vacate(self, order: Order) -> None:
        """The order will rest again, so its slot goes to one that has left for good. O(log of the queue)."""
        slot = bisect_left(self.queue, order.place, self.head, key=_place_of)
        assert self.queue[slot] is order
        self.queue[slot] = Order("", BUY, 0, 0, "", place=order.place)

    def shorten(self) -> None:
        self.queue = [order for order in self.queue[self.head :] if order.shown]
        self.head = 0

    def __iter__(self) -> Iterator[Order]:
        return (order for order in self.queue[self.head :] if order.shown)


class View(msgspec.Struct):
    """What one participant may meet of a side: of all before (`rank`, `place`), `lawful` are those that it may.

    They are (minus the rank, place, order) in priority, with some that have left. `seen` arrivals were looked at.
    """

    rank: int
    place: int
    seen: int
    lawful: list[tuple[int, int, Order]]


class Levels:
    """One side. A rank is the price, or minus the price for sells: the best is the largest."""

    __slots__ = ("_far", "_near", "_stale", "arrivals", "at", "best", "sign", "sweep_at", "views", "whole")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.at: dict[int, Level] = {}
        self.best: Level | None = None
        self.whole: dict[str, Order] = {}
        """All-or-none orders that rest."""
        self._near: list[int] = []
        self._far: list[int] = []
        """A heap of minus the rank; holds prices whose level is gone, `_stale` of them."""
        self._stale = 0
        self.views: dict[tuple[str, str], View] = {}
        """Of participants that passed many over, see `exchange/matching/views.py`."""
        self.arrivals: list[Order] = []
        """Who came to rest since the first of the views looked; kept while there are views."""
        self.sweep_at = LONGEST_LOG

    def open(self, price_fen: int) -> Level:
        """A level of this price, which has none. O(log levels)."""
        level = self.at[price_fen] = Level(price_fen)
        rank, near = price_fen * self.sign, self._near
        if not near or rank > near[-1]:
            near.append(rank)
            self.best = level
        elif rank < near[0] and (self._far or len(near) >= MOST_NEAR):
            heappush(self._far, -rank)
        else:
            insort(near, rank)
        if len(near) > 2 * MOST_NEAR:
            self._spill()
        return level

    def close(self, level: Level) -> None:
        """Nobody rests there any more. O(log levels) over time."""
        del self.at[level.price_fen]
        near = self._near
        if level is self.best:
            near.pop()
            if not near:
                self._draw()
            self.best = self.at[near[-1] * self.sign] if near else None
            return
        rank = level.price_fen * self.sign
        if rank >= near[0]:
            del near[bisect_left(near, rank)]
            return
        self._stale += 1
        if self._stale > len(self._far) // 2 + 64:
            self._gather()

    def _spill(self) -> None:
        self._far += [-rank for rank in self._near[:-MOST_NEAR]]
        heapify(self._far)
        del self._near[:-MOST_NEAR]

    def _gather(self) -> None:
        """The heap without what is stale."""
        last = self._near[0]
        self._far = [-rank for price_fen in self.at if (rank := price_fen * self.sign) < last]
        heapify(self._far)
        self._stale = 0

    def _draw(self) -> None:
        """The best of those behind come near."""
        near, far, drawn = self._near, self._far, list[int]()
        last = near[0] if near else None
        while far and len(drawn) < MOST_NEAR // 2:
            rank = -heappop(far)
            if rank == last or rank * self.sign not in self.at:
                self._stale -= 1
            else:
                drawn.append(rank)
                last = rank
        near[:0] = reversed(drawn)

    def worse(self, price_fen: int) -> Level | None:
        """The best level worse than this price, which itself may be gone. O(log levels) over time."""
        near, rank = self._near, price_fen * self.sign
        behind = bisect_left(near, rank)
        if not behind and self._far:
            self._draw()
            behind = bisect_left(near, rank)
        return self.at[near[behind - 1] * self.sign] if behind else None

    def within(self, price_fen: int, limit_fen: int | None) -> bool:
        """Whether a taker of this limit meets orders of this price."""
        return limit_fen is None or price_fen * self.sign >= limit_fen * self.sign

    def in_order(self) -> Iterator[Level]:
        """All levels, best first. O(levels log levels)."""
        return (self.at[price_fen] for price_fen in sorted(self.at, reverse=self.sign > 0))

    def top(self, levels: int) -> Iterator[Level]:
        """The best so many. O(of them), of more than are near O(levels)."""
        near = self._near
        if levels > len(near) and self._far:
            return (level for level, _ in zip(self.in_order(), range(levels), strict=False))
        return (self.at[rank * self.sign] for rank in near[: -levels - 1 : -1])

    def walk(self, limit_fen: int | None, behind: tuple[int, int] | None = None) -> Iterator[Order]:
        """Orders in priority down to the limit, behind this (price, place), or all.

        The book may change in any way between two steps. Nobody comes twice, but for who rests again behind.
        """
        level, place = self.best, 0
        if behind is not None:
            place = behind[1]
            level = self.at.get(behind[0])
            if level is None:
                level, place = self.worse(behind[0]), 0
        while level is not None and self.within(level.price_fen, limit_fen):
            queue, slot = level.queue, level.behind(place)
            while slot < len(queue):
                order = queue[slot]
                slot += 1
                if order.shown:
                    place = order.place
                    yield order
                    if level.queue is not queue:
                        queue, slot = level.queue, level.behind(place)
            anew = self.at.get(level.price_fen)
            if anew is not None and anew is not level:
                level = anew
            else:
                level, place = self.worse(level.price_fen), 0

    def check(self, side: Side, index: dict[str, Order]) -> int:
        """Assert what is said above; how many rest."""
        near, ranks = self._near, sorted(price_fen * self.sign for price_fen in self.at)
        assert all(worse < better for worse, better in pairwise(near)), "levels out of order"
        behind = {-rank for rank in self._far}
        expected = [rank for rank in ranks if rank in behind and (not near or rank < near[0])] + near
        assert ranks == expected, "a level is neither near nor behind"
        assert self.best is (self.at[ranks[-1] * self.sign] if ranks else None), "stale best level"
        assert all(level.price_fen == price_fen for price_fen, level in self.at.items())
        whole = {order.id for level in self.at.values() for order in level if order.conditions.all_or_none}
        assert whole == set(self.whole), "the register of all-or-none orders"
        return sum(_check_level(level, side, index) for level in self.at.values())


def _check_level(level: Level, side: Side, index: dict[str, Order]) -> int:
    orders = list(level)
    assert orders, "an empty level"
    assert level.count == len(orders), "level count"
    assert level.total == sum(order.shown for order in orders), "level total"
    assert level.special == sum(is_special(order) for order in orders), "level's special orders"
    places = [order.place for order in level.queue]
    assert all(one < other for one, other in pairwise(places)), "queue out of order"
    assert not any(order.shown for order in level.queue[: level.head]), "an order before the head"
    for order in orders:
        assert (order.side, order.price_fen) == (side, level.price_fen), "an order at another price"
        assert index.get(order.id) is order, "the id index lacks a resting order"
        assert order.remaining > 0, "an order with nothing left rests"
        shown = (
            order.remaining
            if not order.conditions.display
            else min(order.conditions.display, order.remaining)
        )
        assert 0 < order.shown <= shown, "an order shows what it may not"
        assert order.conditions.display or order.shown == order.remaining, "an order hides what it may not"
    return len(orders)


def is_special(order: Order) -> bool:
    """Whether what it shows is not what a call auction counts."""
    return order.conditions is not PLAIN and bool(order.conditions.display or order.conditions.all_or_none)
