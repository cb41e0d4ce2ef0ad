"""The tape: what committed entries say of a market, and the sheet of one listing that follows them.

    entries of a commit ──moves──> Move (a listing's levels up and down, prints, state)
                                     └──Sheet.fold──> Change (the levels as they are now, prints, bars)

Only what settled is a print: it alone moves the last price and the bars. A quantity that is matched and held leaves its
level, and comes to the tape on the day it settles. No order is kept: a fill names its maker's price, what leaves a book
unfilled says where it rested (`OrderClosed`), and so does what changes in it; a call auction says what it did to the
levels. So a move is read from an entry alone, and a sheet can be rewound by taking moves back (`Sheet.rewound`): with the
newest levels and the journal's end, any recent moment is told again.

Levels are what orders show: an iceberg hides the rest, an order that waits for its stop is not there. Two orders that the
law keeps apart may rest at crossing prices: the best bid of a sheet may be above its best offer.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from exchange.events import (
    CallAuctionHeld,
    Event,
    Held,
    ListingMoved,
    OrderCameIn,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    OrderRefilled,
    OrderReplaced,
    Settled,
    TradingHalted,
    TradingResumed,
)
from exchange.halt import SCOPES

BUY: Final = "buy"
SELL: Final = "sell"

SECOND_NS: Final = 1_000_000_000
INTERVALS: Final = {"1m": 60 * SECOND_NS, "1h": 3_600 * SECOND_NS, "1d": 86_400 * SECOND_NS}
"""Length of each kind of bar."""

CHINA_NS: Final = 8 * 3_600 * SECOND_NS
"""A trading day begins at midnight of China standard time (UTC+8, no summer time)."""

Entry = tuple[int, Iterable[Event]]
"""Its instant and what happened."""


class Print(Struct, frozen=True, gc=False):
    """A settled trade, without its parties. `at_ns` is when it settled; the price is per `price_per_units`."""

    trade: str
    at_ns: int
    price_fen: int
    quantity: int
    amount_fen: int


class Bar(Struct, gc=False):
    """Prints of one interval, in the order in which they settled."""

    start_ns: int
    open_fen: int
    high_fen: int
    low_fen: int
    close_fen: int
    quantity: int
    amount_fen: int
    trades: int


class Move(Struct):
    """What entries did to one listing. `levels`: (side, price) and by how much the quantity there went up or down.

    `state` is what the listing became, empty where it stayed as it was. `halts`: scope, and whether a halt of it began
    first and last; a scope that was not touched is not in it.
    """

    levels: dict[tuple[str, int], int]
    prints: list[Print]
    state: str = ""
    halts: dict[str, tuple[bool, bool]] = {}


class Change(Struct):
    """A listing after a commit: the levels that moved (quantity 0: gone), the prints, the bars they are in.

    `halted`: scopes that stand still, the widest first; None where no halt began or ended.
    """

    sequence: int
    listing: str
    at_ns: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    prints: list[Print]
    bars: dict[str, Bar]
    state: str
    halted: list[str] | None = None


# ---- reading entries


class _Incoming(Struct, gc=False):
    """An order that comes in: what is left of it rests at the end, showing `display` of it (0: all)."""

    order: str
    listing: str
    side: str
    price_fen: int
    left: int
    display: int

    @property
    def shown(self) -> int:
        return min(self.display or self.left, self.left)


class _Reading:
    """The moves of some listings so far. An order that came in is followed to the next one or the end of its entry, where
    it rests."""

    __slots__ = ("_boards", "_incoming", "_listings", "at_ns", "moves")

    def __init__(self, listings: Container[str], boards: Mapping[str, str]) -> None:
        self._listings = listings
        self._boards = boards
        self._incoming: _Incoming | None = None
        self.at_ns = 0
        self.moves: dict[str, Move] = {}

    def entry(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind in READ:
                READ[kind](self, event)
        self.rests()

    def rests(self) -> None:
        """What is left of the order that came in is in its level."""
        one, self._incoming = self._incoming, None
        if one is not None and one.left:
            self.level(one.listing, one.side, one.price_fen, one.shown)

    def move(self, listing: str) -> Move | None:
        """None for a listing that nobody asked for."""
        found = self.moves.get(listing)
        if found is None and listing in self._listings:
            found = self.moves[listing] = Move({}, [])
        return found

    def level(self, listing: str, side: str, price_fen: int, quantity: int) -> None:
        move = self.move(listing)
        if move is not None:
            key = (side, price_fen)
            move.levels[key] = move.levels.get(key, 0) + quantity

    def placed(self, event: OrderPlaced) -> None:
        """One with a stop waits until it comes in."""
        self.rests()
        asks = event.conditions
        if event.listing in self._listings and (asks is None or not asks.stop_fen):
            self._incoming = _Incoming(
                event.order,
                event.listing,
                event.side,
                event.limit_fen,
                event.quantity,
                0 if asks is None else asks.display,
            )

    def came_in(self, event: OrderCameIn) -> None:
        self.rests()
        if event.listing in self._listings:
            self.level(event.listing, event.side, event.left_fen, -event.left_quantity)
            self._incoming = _Incoming(
                event.order, event.listing, event.side, event.limit_fen, event.remaining, event.display
            )

    def replaced(self, event: OrderReplaced) -> None:
        self.level(event.listing, event.side, event.left_fen, -event.left_quantity)
        if event.keeps_place:
            self.level(event.listing, event.side, event.limit_fen, event.shown)
        elif event.listing in self._listings and not event.stop_fen:
            self.rests()
            self._incoming = _Incoming(
                event.order, event.listing, event.side, event.limit_fen, event.remaining, event.display
            )

    def refilled(self, event: OrderRefilled) -> None:
        self.level(event.listing, event.side, event.price_fen, event.shown)

    def reduced(self, event: OrderReduced) -> None:
        incoming = self._incoming
        if incoming is not None and incoming.order == event.order:
            incoming.left -= event.quantity
        else:
            self.level(event.listing, event.side, event.price_fen, -event.less_shown)

    def auctioned(self, event: CallAuctionHeld) -> None:
        for side, price, quantity in event.levels:
            self.level(event.listing, side, price, quantity)

    def filled(self, event: Settled | Held) -> None:
        """The incoming order takes from a maker, from the posted supply, or from nothing: a hold that settles."""
        incoming = self._incoming
        if incoming is None or incoming.order not in (event.buy_order, event.sell_order):
            return
        incoming.left -= event.quantity
        if event.sell_order:
            maker = SELL if incoming.order == event.buy_order else BUY
            self.level(event.listing, maker, event.price_fen, -event.quantity)

    def settled(self, event: Settled) -> None:
        self.filled(event)
        move = self.move(event.listing)
        if move is not None:
            move.prints.append(
                Print(event.trade, self.at_ns, event.price_fen, event.quantity, event.amount_fen)
            )

    def closed(self, event: OrderClosed) -> None:
        if self._incoming is not None and event.order == self._incoming.order:
            self._incoming.left = 0
        elif event.side:
            self.level(event.listing, event.side, event.price_fen, event.hidden - event.remaining)

    def moved(self, event: ListingMoved) -> None:
        move = self.move(event.listing)
        if move is not None:
            move.state = event.state

    def halted(self, event: TradingHalted | TradingResumed) -> None:
        """Every listing that it stops or lets go on."""
        begins = type(event) is TradingHalted
        for listing, board in self._boards.items():
            if event.subject == {"market": "", "board": board, "listing": listing}[event.scope]:
                move = self.move(listing)
                if move is not None:
                    first, _ = move.halts.get(event.scope, (begins, begins))
                    move.halts[event.scope] = (first, begins)


READ: Final[dict[type, Callable[[_Reading, Any], None]]] = {
    OrderPlaced: _Reading.placed,
    Settled: _Reading.settled,
    Held: _Reading.filled,
    OrderClosed: _Reading.closed,
    OrderCameIn: _Reading.came_in,
    OrderReplaced: _Reading.replaced,
    OrderRefilled: _Reading.refilled,
    OrderReduced: _Reading.reduced,
    CallAuctionHeld: _Reading.auctioned,
    ListingMoved: _Reading.moved,
    TradingHalted: _Reading.halted,
    TradingResumed: _Reading.halted,
}
"""Event: what it says of a market."""


def moves(
    entries: Iterable[Entry], listings: Container[str], boards: Mapping[str, str] | None = None
) -> dict[str, Move]:
    """What the entries did to each of these listings; those they leave alone are not in it.

    `boards`: listing and its board, of those that are to be told of halts.
    """
    reading = _Reading(listings, boards or {})
    for at_ns, events in entries:
        reading.at_ns = at_ns
        reading.entry(events)
    return reading.moves


def is_told(entries: Iterable[Entry]) -> bool:
    """Whether every order that left a book here says where it rested: journals of an earlier version do not."""
    for _, events in entries:
        placed = ""
        for event in events:
            if isinstance(event, OrderPlaced | OrderCameIn | OrderReplaced):
                placed = event.order
            elif type(event) is OrderClosed and not event.side and event.order != placed:
                return False
    return True


# ---- bars


def start_of(interval: str, at_ns: int) -> int:
    """When the bar of this instant begins; a day's at midnight in China."""
    length = INTERVALS[interval]
    return at_ns - (at_ns + CHINA_NS) % length


def with_print(bar: Bar | None, interval: str, one: Print) -> Bar:
    """The bar with this print in it, or the next one where it lies behind the bar's end."""
    start = start_of(interval, one.at_ns)
    price = one.price_fen
    if bar is None or bar.start_ns != start:
        return Bar(start, price, price, price, price, one.quantity, one.amount_fen, 1)
    return Bar(
        start,
        bar.open_fen,
        max(bar.high_fen, price),
        min(bar.low_fen, price),
        price,
        bar.quantity + one.quantity,
        bar.amount_fen + one.amount_fen,
        bar.trades + 1,
    )


# ---- a listing's sheet


class Sheet:
    """One listing's market as of a journal sequence: quantity by price on each side, last print, newest bars.

    `previous_fen` is the last price before the day of the newest bar, 0 where there is none.
    """

    __slots__ = (
        "asks", "at_ns", "bars", "bids", "board", "last", "listing", "previous_fen", "sequence", "standing", "state",
    )  # fmt: skip

    def __init__(self, listing: str, state: str, sequence: int, at_ns: int, board: str = "") -> None:
        self.listing = listing
        self.board = board
        self.state = state
        self.sequence = sequence
        self.at_ns = at_ns
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.last: Print | None = None
        self.bars: dict[str, Bar] = {}
        self.previous_fen = 0
        self.standing: dict[str, bool] = {}
        """Scope of a halt: whether it stands."""

    @property
    def halted(self) -> list[str]:
        """Scopes of the halts that stand, the widest first."""
        return [scope for scope in reversed(SCOPES) if self.standing.get(scope)]

    def rewound(self, move: Move) -> None:
        """Take a move of the levels and of halts back. What it printed is not this sheet's yet."""
        for (side, price), quantity in move.levels.items():
            self._add(side, price, -quantity)
        for scope, (first, _) in move.halts.items():
            self.standing[scope] = not first

    def fold(self, sequence: int, at_ns: int, move: Move) -> Change:
        """Follow one commit; what those are told who had the sheet before."""
        self.sequence, self.at_ns = sequence, at_ns
        self.state = move.state or self.state
        bids: list[tuple[int, int]] = []
        asks: list[tuple[int, int]] = []
        for (side, price), quantity in move.levels.items():
            if quantity:
                (bids if side == BUY else asks).append((price, self._add(side, price, quantity)))
        for scope, (_, last) in move.halts.items():
            self.standing[scope] = last
        changed: dict[str, Bar] = {}
        for one in move.prints:
            self._turn_day(one)
            self.last = one
            for interval in INTERVALS:
                changed[interval] = self.bars[interval] = with_print(self.bars.get(interval), interval, one)
        bids.sort(reverse=True)
        asks.sort()
        halted = self.halted if move.halts else None
        return Change(sequence, self.listing, at_ns, bids, asks, move.prints, changed, move.state, halted)

    def _turn_day(self, one: Print) -> None:
        """The first print of a day makes the last one of before the previous close."""
        if self.last is not None and start_of("1d", one.at_ns) != start_of("1d", self.last.at_ns):
            self.previous_fen = self.last.price_fen

    def _add(self, side: str, price: int, quantity: int) -> int:
        """The level's quantity now. Less than nothing cannot be: the sheet is not this market's."""
        levels = self.bids if side == BUY else self.asks
        now = levels.get(price, 0) + quantity
        assert now >= 0, f"{self.listing}: {now} at {price} on the {side} side"
        if now:
            levels[price] = now
        else:
            levels.pop(price, None)
        return now

    def depth(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Both sides whole, best first."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
