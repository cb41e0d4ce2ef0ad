"""The order book of one instrument: price first, then time. What changes it decides nothing.

            buys                    sells
    120 ── b4                 121 ── s1 s5      `exchange/matching/levels.py`
    119 ── b1 b3              123 ── s2
      stop 125 b7             stop 110 s6       waiting, by stop and time

The book never matches. Who meets whom is decided by `exchange/matching/meeting.py` and `call_auction.py`, which read it and
say what is to happen next; whoever drives them changes the book by that, here, and lets them go on. A replay calls the
same methods with what was written down. Pairs that law, clearing or one owner keep apart may rest at crossing prices;
`check` allows only those.
"""

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedDict

from exchange.matching.levels import LONGEST_LOG, SPARE, Level, Levels, is_special
from exchange.matching.levels import Order as Order
from exchange.matching.orders import BUY, PLAIN, SELL, Instrument, MayTrade, Side

ANYTHING: Final = Instrument()


def kept_apart(one: Order, other: Order) -> bool:
    """Whether these two may not trade with each other: the same owner, or a participant that clearing refused."""
    if one.owner == other.owner:
        return True
    return other.participant in one.barred or one.participant in other.barred


class Book:
    """The orders of one instrument.

    `last_fen` is the price of the last settled trade, 0 before the first; `places` the last place that was given. `index`
    has every order that rests or waits, by id; `apart` those that are barred, and from whom.
    """

    __slots__ = (
        "_buys",
        "_sells",
        "_waiting_buys",
        "_waiting_sells",
        "apart",
        "index",
        "instrument",
        "last_fen",
        "places",
    )

    def __init__(self, instrument: Instrument = ANYTHING, last_fen: int = 0) -> None:
        self.instrument = instrument
        self.last_fen = last_fen
        self._buys = Levels(1)
        self._sells = Levels(-1)
        self.index: dict[str, Order] = {}
        self.places = 0
        self._waiting_buys = SortedDict()
        self._waiting_sells = SortedDict()
        self.apart: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self.index

    def get(self, order_id: str) -> Order | None:
        """The order of this id that rests or waits for its stop; None when none does."""
        return self.index.get(order_id)

    # ---- changing

    def add(self, order: Order) -> None:
        """Rest the order behind all others of its price, shown as far as it shows itself. O(1), O(log levels) where it
        opens a level. It is new here, or was lifted; anything else is a bug of the caller.
        """
        order_id, shown, price_fen = order.id, order.remaining, order.price_fen
        assert self.index.setdefault(order_id, order) is order, f"order {order_id} rests already"
        assert not order.place, f"order {order_id} has a place already"
        assert shown > 0, f"order {order_id} has nothing left to rest"
        side = self._buys if order.side == BUY else self._sells
        level = side.at.get(price_fen)
        if level is None:
            level = side.open(price_fen)
        if order.conditions is not PLAIN:
            shown = self._taken_in(order, side, level)
        order.place = self.places = self.places + 1
        order.shown = shown
        level.queue.append(order)
        level.count += 1
        level.total += shown
        if side.views:
            self._tell(side, order)

    @staticmethod
    def _taken_in(order: Order, side: Levels, level: Level) -> int:
        if is_special(order):
            level.special += 1
            if order.conditions.all_or_none:
                side.whole[order.id] = order
        display = order.conditions.display
        return min(display, order.remaining) if display else order.remaining

    def _tell(self, side: Levels, order: Order) -> None:
        """Those who skip what they may not meet will look at this one. Who has not looked for long begins anew."""
        side.arrivals.append(order)
        if len(side.arrivals) < side.sweep_at:
            return
        late = len(side.arrivals) // 2
        side.views = {name: view for name, view in side.views.items() if view.seen >= late}
        seen = min((view.seen for view in side.views.values()), default=len(side.arrivals))
        del side.arrivals[:seen]
        for view in side.views.values():
            view.seen -= seen
        side.sweep_at = max(LONGEST_LOG, 2 * len(self.index))

    def park(self, order: Order) -> None:
        """The order waits for its stop, behind those of the same stop. O(log of those that wait)."""
        assert self.index.setdefault(order.id, order) is order, f"order {order.id} waits already"
        assert not order.place, f"order {order.id} has a place already"
        self.places += 1
        order.place, order.shown = self.places, 0
        self._waiting(order.side)[self._stop_key(order)] = order

    def waits(self, order: Order) -> bool:
        """Whether this one waits for its stop."""
        return bool(order.place) and not order.shown and order.id in self.index

    def lift(self, order_id: str) -> Order:
        """Take the order out of where it rests or waits: it comes in again, and rests, waits or is removed after that."""
        order = self.index[order_id]
        if order.shown:
            self._give_up(order)
        else:
            del self._waiting(order.side)[self._stop_key(order)]
        order.place = 0
        return order

    def _give_up(self, order: Order) -> None:
        """Its place in the queue, but not for good."""
        side, level = self._where(order)
        level.vacate(order)
        if order.conditions is not PLAIN:
            self._special_leaves(order, side, level)
        level.total -= order.shown
        order.shown = 0
        level.count -= 1
        if not level.count:
            side.close(level)

    def remove(self, order_id: str) -> Order:
        """Take the order out for good, with what remains of it. O(1). KeyError when it neither rests nor waits."""
        order = self.index.pop(order_id)
        if order.shown:
            side = self._buys if order.side == BUY else self._sells
            level = side.at[order.price_fen]
            if order.conditions is not PLAIN:
                self._special_leaves(order, side, level)
            level.total -= order.shown
            order.shown = 0
            level.count = count = level.count - 1
            if not count:
                side.close(level)
            elif len(level.queue) > 2 * count + SPARE:
                level.shorten()
        elif order.place:
            del self._waiting(order.side)[self._stop_key(order)]
        if self.apart:
            self._unbar(order_id)
        return order

    def _where(self, order: Order) -> tuple[Levels, Level]:
        side = self._buys if order.side == BUY else self._sells
        return side, side.at[order.price_fen]

    @staticmethod
    def _special_leaves(order: Order, side: Levels, level: Level) -> None:
        if is_special(order):
            level.special -= 1
            side.whole.pop(order.id, None)

    def reduce(self, order_id: str, quantity: int) -> Order:
        """Fill the order by this much of what it shows. O(1).

        Filled wholly it leaves the book, else it keeps its place; an iceberg that has shown its part is lifted, and
        waits for `refill`.
        """
        order = self.index[order_id]
        shown = order.shown
        assert 0 < quantity <= shown, f"fill of {quantity} on {shown} of order {order_id}"
        order.remaining = remaining = order.remaining - quantity
        if quantity < shown:
            side = self._buys if order.side == BUY else self._sells
            side.at[order.price_fen].total -= quantity
            order.shown = shown - quantity
        elif remaining:
            self.lift(order_id)
        else:
            self.remove(order_id)
        return order

    def refill(self, order_id: str, shown: int) -> None:
        """An iceberg shows this much: where it stands, or behind all others of its price where it was lifted."""
        order = self.index[order_id]
        if order.place:
            self._show(order, shown)
        else:
            self.add(order)
            assert order.shown == shown, f"order {order_id} shows {order.shown}, not {shown}"

    def decrement(self, order_id: str, quantity: int) -> None:
        """Take this much away from the whole order, hidden parts first. Nothing was filled by it.

        With nothing left it rests no more, and waits for `remove`.
        """
        order = self.index[order_id]
        self._take(order, quantity)
        order.quantity -= quantity

    def _take(self, order: Order, quantity: int) -> None:
        assert 0 < quantity <= order.remaining, f"{quantity} of {order.remaining} of order {order.id}"
        order.remaining -= quantity
        if order.remaining:
            self._show(order, min(order.shown, order.remaining))
            return
        self._give_up(order)
        order.place = 0

    def allot(self, order_id: str, quantity: int) -> None:
        """Fill the order by this much where it stands, hidden parts first. Filled wholly it leaves the book."""
        order = self.index[order_id]
        self._take(order, quantity)
        if not order.remaining:
            self.remove(order_id)

    def _show(self, order: Order, shown: int) -> None:
        self._where(order)[1].total += shown - order.shown
        order.shown = shown

    def show_anew(self, order: Order) -> None:
        """The order has come in and keeps its place: an iceberg shows its part again."""
        if display := order.conditions.display:
            self._show(order, min(display, order.remaining))

    def replace(self, order_id: str, quantity: int, remaining: int) -> None:
        """The whole order and what remains of it become this, not more than before; it keeps its place."""
        order = self.index[order_id]
        assert 0 < remaining <= order.remaining
        order.quantity, order.remaining = quantity, remaining
        if order.shown:
            self._show(order, min(order.shown, remaining))

    def bar(self, one_id: str, other_id: str) -> None:
        """Clearing refused a fill between these two: they do not meet again while both live."""
        self.apart.setdefault(one_id, {})[other_id] = None
        self.apart.setdefault(other_id, {})[one_id] = None

    def _unbar(self, order_id: str) -> None:
        for other_id in self.apart.pop(order_id, ()):
            others = self.apart[other_id]
            del others[order_id]
            if not others:
                del self.apart[other_id]

    def forget_bars(self, order_id: str) -> None:
        """An order that never rested has left: its pairs are forgotten."""
        if self.apart:
            self._unbar(order_id)

    def law_changed(self) -> None:
        """`MayTrade` may answer otherwise from now on."""
        for side in (self._buys, self._sells):
            side.views = {}
            side.arrivals = []

    # ---- reading

    def best_price(self, side: Side) -> int | None:
        """The side's best price in fen, None when the side is empty. O(1)."""
        best = (self._buys if side == BUY else self._sells).best
        return None if best is None else best.price_fen

    def side(self, side: Side) -> Levels:
        return self._buys if side == BUY else self._sells

    def against(self, side: Side) -> Levels:
        """The levels that an order of this side meets."""
        return self._sells if side == BUY else self._buys

    def makers(self, taker_side: Side, limit_fen: int | None) -> Iterator[Order]:
        """The orders a taker meets, best price and oldest first, down to its limit (None: a market order).

        The book may change in any way between two steps. No order comes twice, but for an iceberg's next part. Each
        step is O(1) over time.
        """
        return self.against(taker_side).walk(limit_fen)

    def barred(self, one_id: str, other_id: str) -> bool:
        bars = self.apart
        return bool(bars) and other_id in bars.get(one_id, ())

    def bars(self) -> list[tuple[str, str]]:
        """The barred pairs of orders, each once, in order of their ids."""
        return sorted((one, other) for one, others in self.apart.items() for other in others if one < other)

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """(price in fen, quantity shown, orders) of the side's best levels, best first. O(levels asked)."""
        return [(level.price_fen, level.total, level.count) for level in self.side(side).top(levels)]

    def all_or_none(self, side: Side) -> list[Order]:
        """The side's resting all-or-none orders, in priority."""
        levels = self.side(side)
        if not levels.whole:
            return []
        return sorted(levels.whole.values(), key=lambda one: (-one.price_fen * levels.sign, one.place))

    def waiting(self) -> bool:
        """Whether any order waits for its stop."""
        return bool(self._waiting_buys or self._waiting_sells)

    def reached(self, side: Side, price_fen: int, beyond_fen: int | None = None) -> Iterator[Order]:
        """Orders waiting for a stop that this price reaches, but not `beyond_fen`: the nearest stop first, then by time."""
        sign = 1 if side == BUY else -1
        least = None if beyond_fen is None else (sign * beyond_fen + 1, 0)
        table = self._waiting(side)
        for key in table.irange(least, (sign * price_fen + 1, 0), inclusive=(True, False)):
            yield table[key]

    def _waiting(self, side: Side) -> SortedDict:
        return self._waiting_buys if side == BUY else self._waiting_sells

    @staticmethod
    def _stop_key(order: Order) -> tuple[int, int]:
        stop_fen = order.conditions.stop_fen
        return (stop_fen if order.side == BUY else -stop_fen, order.place)

    def live(self) -> Iterator[Order]:
        """Every order that rests or waits, without an order that means anything."""
        return iter(self.index.values())

    def resting(self) -> Iterator[Order]:
        """Every resting order: buys then sells, best level first, oldest first."""
        for side in (self._buys, self._sells):
            for level in side.in_order():
                yield from level

    def orders(self) -> Iterator[Order]:
        """Every resting order as `resting` has them, then those that wait: the nearest stop first, then by time."""
        yield from self.resting()
        yield from self.parked()

    def parked(self) -> Iterator[Order]:
        """Every order that waits for its stop: buys then sells, the nearest stop first, then by time."""
        yield from self._waiting_buys.values()
        yield from self._waiting_sells.values()

    def restore(self, order: Order) -> None:
        """Put an order of a snapshot where it was: rest or park it. Given in the order of their places, the book is the
        same in every answer; in the order of `orders()`, in all but time between different prices.
        """
        place, shown = order.place, order.shown
        order.place = 0
        self.places = max(self.places, place - 1)
        if place and not shown:
            self.park(order)
            return
        self.add(order)
        if shown:
            self._show(order, shown)

    # ---- proving

    def check(self, may_trade: MayTrade | None = None, crossing: bool = False) -> None:
        """Assert every invariant of the book. O(orders log orders), and O(pairs) of those that cross.

        `may_trade` says which pairs may cross because the law keeps them apart. `crossing`: any may, as before a call
        auction.
        """
        counted = self._buys.check("buy", self.index) + self._sells.check("sell", self.index)
        waiting = self._check_waiting()
        assert counted + waiting == len(self.index), "the id index holds an order that no level holds"
        assert all(order_id == order.id for order_id, order in self.index.items())
        assert all(one in self.apart.get(other, ()) for one, others in self.apart.items() for other in others)
        assert not crossing or may_trade is None
        if not crossing:
            self._check_crossing(may_trade)

    def _check_waiting(self) -> int:
        order: Order
        for side, table in ((BUY, self._waiting_buys), (SELL, self._waiting_sells)):
            for key, order in table.items():
                assert key == self._stop_key(order)
                assert order.side == side
                assert order is self.index.get(order.id), "the id index lacks a waiting order"
                assert order.remaining > 0
                assert not order.shown
                assert order.conditions.stop_fen
        return len(self._waiting_buys) + len(self._waiting_sells)

    def _check_crossing(self, may_trade: MayTrade | None) -> None:
        best_sell, best_buy = self.best_price(SELL), self.best_price(BUY)
        if best_sell is None or best_buy is None:
            return
        for buy in self._buys.walk(best_sell):
            for sell in self._sells.walk(buy.price_fen):
                assert self._may_cross(buy, sell, may_trade), f"{buy.id} and {sell.id} cross"

    def _may_cross(self, buy: Order, sell: Order, may_trade: MayTrade | None) -> bool:
        """All-or-none orders may wait for a quantity that is not there."""
        if kept_apart(buy, sell) or self.barred(buy.id, sell.id):
            return True
        if buy.conditions.all_or_none or sell.conditions.all_or_none:
            return True
        return may_trade is not None and not may_trade(buy.participant, sell.participant)
