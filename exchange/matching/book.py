"""The order book of one instrument: price first, then time.

            buys                    sells
    120 ── b4                 121 ── s1 s5      a level is a queue, oldest first
    119 ── b1 b3              123 ── s2

Each side keeps its levels in a `SortedDict` under a key that is smallest for the best price (the price for
sells, minus the price for buys) and remembers its best level, so the top of the book is read in O(1). A
level's queue is a dict from order id to order: insertion order is time order, and an order in the middle
leaves in O(1). A dict keeps the holes of what left its front, and finding the first entry walks over them; a
level of more than `LONG_QUEUE` orders therefore changes to an `OrderedDict`, whose first entry is always O(1)
(docs/decisions/0002-price-levels.md has the figures).

The book never matches: the venue walks `makers`, judges each pair, and tells the book what was filled. A pair
that the law or self-trade prevention keeps apart may rest at crossing prices; `check` allows only that.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec
from sortedcontainers import SortedDict

from exchange.matching.orders import BUY, SELL, Side

LONG_QUEUE: Final = 64
"""A queue longer than this is an OrderedDict: dearer in memory, but its front never slows down."""


class Order(msgspec.Struct, gc=False):
    """A limit order. Only `remaining` changes while it rests, and only through `Book.reduce`.

    `owner` is the ultimate owner, by which trades with oneself are prevented. `barred` names the participants
    that this order may no longer meet, because clearing rejected the pair; it lasts as long as the order. The
    book reads id, side, price_fen and remaining (and `check` also owner, participant and barred); the rest is
    the venue's.
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


def kept_apart(one: Order, other: Order) -> bool:
    """Whether these two may not trade with each other: the same owner, or a pair that clearing rejected."""
    if one.owner == other.owner:
        return True
    return other.participant in one.barred or one.participant in other.barred


class _Level:
    """One price: its queue, oldest first, and the quantity in it."""

    __slots__ = ("key", "orders", "total")

    def __init__(self, key: int) -> None:
        self.key = key
        self.total = 0
        self.orders: dict[str, Order] = {}


class _Levels:
    """One side: the levels under their keys (best smallest), and the best of them or None."""

    __slots__ = ("best", "by_key", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.by_key = SortedDict()
        self.best: _Level | None = None

    def open(self, key: int) -> _Level:
        level = self.by_key[key] = _Level(key)
        if self.best is None or key < self.best.key:
            self.best = level
        return level

    def close(self, level: _Level) -> None:
        del self.by_key[level.key]
        if level is self.best:
            self.best = self.by_key.peekitem(0)[1] if self.by_key else None

    def after(self, key: int) -> _Level | None:
        """The best level worse than the key, which itself may be gone. O(log levels)."""
        place = self.by_key.bisect_right(key)
        return self.by_key.peekitem(place)[1] if place < len(self.by_key) else None


class Book:
    """The resting orders of one instrument."""

    __slots__ = ("_buys", "_orders", "_sells")

    def __init__(self) -> None:
        self._buys = _Levels(-1)
        self._sells = _Levels(1)
        self._orders: dict[str, Order] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._orders

    def get(self, order_id: str) -> Order | None:
        """The resting order of this id; None when none rests (never placed here, filled or removed)."""
        return self._orders.get(order_id)

    def add(self, order: Order) -> None:
        """Rest the order behind all others of its price. O(1), O(log levels) where it opens a level.

        An id that already rests, or nothing left to rest, is a bug of the caller.
        """
        order_id, remaining = order.id, order.remaining
        assert order_id not in self._orders, f"order {order_id} rests already"
        assert remaining > 0, f"order {order_id} has nothing left to rest"
        side = self._buys if order.side == BUY else self._sells
        key = order.price_fen * side.sign
        level = side.by_key.get(key) or side.open(key)
        level.orders[order_id] = self._orders[order_id] = order
        level.total += remaining
        if len(level.orders) == LONG_QUEUE + 1 and type(level.orders) is dict:
            level.orders = OrderedDict(level.orders)

    def remove(self, order_id: str) -> Order:
        """Take the order out with what remains of it. O(1). KeyError when it does not rest."""
        order = self._orders.pop(order_id)
        side = self._buys if order.side == BUY else self._sells
        level: _Level = side.by_key[order.price_fen * side.sign]
        del level.orders[order_id]
        level.total -= order.remaining
        if not level.orders:
            side.close(level)
        return order

    def reduce(self, order_id: str, quantity: int) -> Order:
        """Fill the order by this much. Filled wholly it leaves the book, else it keeps its place. O(1)."""
        order = self._orders[order_id]
        assert 0 < quantity <= order.remaining, f"fill of {quantity} on {order.remaining} of order {order_id}"
        if quantity == order.remaining:
            self.remove(order_id)
            order.remaining = 0
            return order
        side = self._buys if order.side == BUY else self._sells
        side.by_key[order.price_fen * side.sign].total -= quantity
        order.remaining -= quantity
        return order

    def best_price(self, side: Side) -> int | None:
        """The side's best price in fen, None when the side is empty. O(1)."""
        levels = self._buys if side == BUY else self._sells
        return None if levels.best is None else levels.best.key * levels.sign

    def makers(self, taker_side: Side, limit_fen: int | None) -> Iterator[Order]:
        """The orders a taker meets, best price and oldest first, down to its limit (None: a market order).

        Before asking for the next the caller may reduce or remove the order it was given, or pass it over,
        and may remove any other; no order comes twice. Orders added on the way may be missed. Each step is
        O(1); passing an order over copies the rest of its level once.
        """
        makers = self._sells if taker_side == BUY else self._buys
        limit = None if limit_fen is None else limit_fen * makers.sign
        while (level := makers.best) is not None and (limit is None or level.key <= limit):
            order = next(iter(level.orders.values()))
            yield order
            if self._orders.get(order.id) is order:
                yield from self._makers_past(order, makers, level, limit)
                return

    def _makers_past(
        self, passed: Order, makers: _Levels, level: _Level, limit: int | None
    ) -> Iterator[Order]:
        """The makers behind the first of this level, which was passed over and still rests."""
        waiting = [order for order in level.orders.values() if order is not passed]
        while True:
            for order in waiting:
                if self._orders.get(order.id) is order:
                    yield order
            following = makers.after(level.key)
            if following is None or (limit is not None and following.key > limit):
                return
            level = following
            waiting = list(level.orders.values())

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """(price in fen, quantity, orders) of the side's best levels, best first. O(levels asked)."""
        table = self._buys if side == BUY else self._sells
        return [
            (level.key * table.sign, level.total, len(level.orders))
            for _, level in zip(range(levels), table.by_key.values(), strict=False)
        ]

    def orders(self) -> Iterator[Order]:
        """Every resting order: buys then sells, best level first, oldest first.

        Adding them in this order to an empty book builds an equal book: the snapshot of a book is this list.
        """
        for side in (self._buys, self._sells):
            for level in side.by_key.values():
                yield from level.orders.values()

    def check(self) -> None:
        """Assert every invariant of the book. O(orders), and O(pairs) of those that cross."""
        counted = self._check_side(self._buys, BUY) + self._check_side(self._sells, SELL)
        assert counted == len(self._orders), "the id index holds an order that no level holds"
        self._check_crossing()

    def _check_side(self, side: _Levels, name: Side) -> int:
        keys = list(side.by_key)
        assert all(better < worse for better, worse in pairwise(keys)), "levels out of order"
        assert side.best is (side.by_key[keys[0]] if keys else None), "stale best level"
        counted = 0
        for key, level in side.by_key.items():
            assert level.key == key
            assert level.orders, "an empty level"
            assert level.total == sum(order.remaining for order in level.orders.values()), "level total"
            counted += len(level.orders)
            for order_id, order in level.orders.items():
                assert order.id == order_id
                assert order.side == name
                assert order.price_fen * side.sign == key
                assert order.remaining > 0, "an order with nothing left rests"
                assert self._orders.get(order_id) is order, "the id index lacks a resting order"
        return counted

    def _check_crossing(self) -> None:
        best_sell, best_buy = self.best_price(SELL), self.best_price(BUY)
        if best_sell is None or best_buy is None:
            return
        for buy in self._within(self._buys, -best_sell):
            for sell in self._within(self._sells, best_buy):
                crossing = sell.price_fen <= buy.price_fen
                assert not crossing or kept_apart(buy, sell), f"{buy.id} and {sell.id} cross"

    @staticmethod
    def _within(side: _Levels, limit: int) -> Iterator[Order]:
        for key in side.by_key.irange(maximum=limit):
            yield from side.by_key[key].orders.values()
