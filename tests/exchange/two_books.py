"""The naive twin and the fast book, told the same: they have to answer alike, and the same orders have to stand in them."""

from msgspec import msgpack

from exchange.matching.levels import Order
from exchange.matching.market import Market, Snapshot
from exchange.matching.orders import BUY, SELL, Command, Event, Instrument, MayTrade, Phase, Stands
from tests.exchange.naive_market import NaiveMarket


class TwoBooks:
    def __init__(self, instrument: Instrument, may_trade: MayTrade, stands: Stands) -> None:
        self.instrument, self.may_trade, self.stands = instrument, may_trade, stands
        self.twin = NaiveMarket(instrument, may_trade, stands)
        self.fast = Market(instrument, may_trade, stands)

    @property
    def phase(self) -> Phase:
        return self.twin.phase

    def execute(self, command: Command) -> list[Event]:
        events = self.twin.execute(command)
        assert list(self.fast.execute(command)) == events, command
        return events

    def law_changed(self) -> None:
        """`may_trade` answers otherwise from now on. The twin asks anew each time."""
        self.fast.law_changed()

    def restart(self) -> None:
        """The fast book goes on from what was written down of it."""
        written = msgpack.encode(self.fast.snapshot())
        sha256 = self.fast.sha256()
        self.fast = Market(self.instrument, self.may_trade, self.stands)
        self.fast.restore(msgpack.decode(written, type=Snapshot))
        assert self.fast.sha256() == sha256

    def check(self) -> None:
        """Each by itself, and that they are alike."""
        self.twin.check()
        if self.fast.phase == "continuous":
            self.fast.book.check(self.may_trade)
        else:
            self.fast.book.check(None, True)
        assert self.fast.phase == self.twin.phase
        assert self.fast.book.last_fen == self.twin.last_fen
        assert self.resting() == self.twin.resting()
        assert self.waiting() == self.twin.waiting()

    def resting(self) -> list[tuple[str, str, int, int, int]]:
        """(order, side, price, remaining, shown) of the fast book: buys in priority, then sells in priority."""
        makers = (order for taker_side in (SELL, BUY) for order in self.fast.book.makers(taker_side, None))
        return [(each.id, each.side, each.price_fen, each.remaining, each.shown) for each in makers]

    def waiting(self) -> list[tuple[str, str, int, int, int]]:
        """(order, side, price, stop, remaining) of the fast book, as one price would elect them."""
        waiting = [order for order in self.fast.book.orders() if self.fast.book.waits(order)]
        waiting.sort(key=by_election)
        return [
            (each.id, each.side, each.price_fen, each.conditions.stop_fen, each.remaining) for each in waiting
        ]


def by_election(order: Order) -> tuple[bool, int, int]:
    stop_fen = order.conditions.stop_fen
    return (order.side != BUY, stop_fen if order.side == BUY else -stop_fen, order.place)
