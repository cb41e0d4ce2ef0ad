"""The order book alone: the venue's own, beside a bare one, the naive twin and what else Python offers.

    python -m loadtests.bench_book [--quick]

One stream for all: 200,000 commands, 55 % add, 35 % cancel, 10 % marketable, made beforehand. `deep` has about 100 orders a
level, `thin` about one. The venue's book is `Market.execute`: order objects, owners, self-trade prevention, `MayTrade` and
`Stands` asked, level totals, a list of events for each command. The bare one has none of these. Books are measured in
turns, in CPU time, and the best turn counts; of latencies each command's best of three, so that what the neighbours took is
left out. Quantities are 1 to 20, orders of 1,000 owners.

Where the time goes: `orders`, `events` and `asking` are made alone as often as the stream makes them, `changing` is adding,
removing and filling as it was decided beforehand, `deciding` is what is left.
"""

import argparse
import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import count
from typing import Any, Final

from msgspec import Struct

from exchange.matching.book import Book, Order
from exchange.matching.market import Market
from exchange.matching.orders import (
    BUY,
    SELL,
    Cancel,
    Closed,
    Command,
    Enter,
    Entered,
    Event,
    Filled,
    Instrument,
    MayTrade,
    Move,
    Side,
)
from loadtests.bare_book import BareBook
from loadtests.bench_figure import Figure, percentile, table
from tests.exchange.naive_market import NaiveMarket

OWNERS: Final = 1_000
MIDDLE: Final = 1_000_000


class Shape(Struct, frozen=True):
    """`prices` on a side; `resting` orders are there before the stream begins."""

    name: str
    prices: int
    resting: int = 0


DEEP: Final = Shape("deep", 150, 30_000)
THIN: Final = Shape("thin", 20_000, 10_000)


class Extent(Struct, frozen=True):
    """`slow` commands for books that are slow; `sizes` of the curve in resting orders, `books` in books."""

    commands: int
    turns: int
    slow: int
    sizes: tuple[int, ...]
    books: tuple[int, ...]
    barred: int
    takers: int


FULL: Final = Extent(200_000, 3, 3_000, (1_000, 10_000, 100_000, 1_000_000), (1, 100, 10_000), 10_000, 1_000)
QUICK: Final = Extent(20_000, 1, 400, (1_000, 10_000), (1, 100), 1_000, 100)


class Stream(Struct):
    """The same commands in the words of the venue's book and of the bare one; `before` fill the book."""

    before: list[Command]
    commands: list[Command]


def stream_of(
    shape: Shape, commands: int, seed: int = 20231208, parts: tuple[int, int, int] = (55, 35, 10)
) -> Stream:
    """Adds rest, cancels hit what rests, marketable orders take about two makers each."""
    return Stream(*_made(_Maker(shape, seed), commands, parts))


def _made(maker: "_Maker", commands: int, parts: tuple[int, int, int]) -> tuple[list[Command], list[Command]]:
    before = [maker.adds() for _ in range(maker.shape.resting)]
    draw = maker.choose.choices((maker.adds, maker.cancels, maker.takes), parts, k=commands)
    return before, [make() for make in draw]


class _Maker:
    """Draws commands and plays them on a bare book, so that only what rests is cancelled."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape, self.choose, self.book = shape, random.Random(seed), BareBook()
        self.live: list[str] = []
        self.made = 0

    def _enter(self, side: Side, price: int, quantity: int) -> Enter:
        self.made += 1
        owner = f"P{self.choose.randrange(OWNERS)}"
        self.book.add(f"O{self.made}", side == BUY, price, quantity)
        return Enter(f"O{self.made}", side, price, quantity, owner, owner)

    def adds(self) -> Command:
        side: Side = self.choose.choice((BUY, SELL))
        away = 1 + int(self.shape.prices * self.choose.random())
        entered = self._enter(
            side, MIDDLE - away if side == BUY else MIDDLE + away, self.choose.randint(1, 20)
        )
        self.live.append(entered.order)
        return entered

    def takes(self) -> Command:
        side: Side = self.choose.choice((BUY, SELL))
        far = MIDDLE + self.shape.prices if side == BUY else MIDDLE - self.shape.prices
        return self._enter(side, far, self.choose.randint(1, 30))

    def cancels(self) -> Command:
        while self.live:
            place = self.choose.randrange(len(self.live))
            self.live[place], self.live[-1] = self.live[-1], self.live[place]
            order = self.live.pop()
            if order in self.book.rows:
                self.book.cancel(order)
                return Cancel(order)
        return self.adds()


# ---- the books


def anybody(buyer: str, seller: str) -> bool:
    return True


def stands(fill: Filled) -> bool:
    return True


def market(may_trade: MayTrade = anybody) -> Market:
    opened = Market(Instrument(), may_trade, stands)
    opened.execute(Move("continuous"))
    return opened


def _seconds(execute: Callable[[Any], Any], commands: Iterable[Any]) -> float:
    """CPU seconds."""
    started = time.process_time()
    for command in commands:
        execute(command)
    return time.process_time() - started


def _run(execute: Callable[[Any], Any], stream: Stream) -> float:
    """CPU seconds of the stream's commands."""
    for command in stream.before:
        execute(command)
    gc.collect()
    return _seconds(execute, stream.commands)


def run_bare(stream: Stream) -> float:
    """The same on the bare book, whose commands are tuples."""
    book = BareBook()
    add, cancel = book.add, book.cancel
    for row in _rows(stream.before):
        add(*row)
    rows = list(_rows(stream.commands))
    gc.collect()
    started = time.process_time()
    for row in rows:
        if len(row) == 1:
            cancel(*row)
        else:
            add(*row)
    return time.process_time() - started


def _rows(commands: list[Command]) -> Iterator[tuple[Any, ...]]:
    for one in commands:
        if isinstance(one, Enter):
            yield one.order, one.side == BUY, one.price_fen, one.quantity
        elif isinstance(one, Cancel):
            yield (one.order,)


def run_light(stream: Stream) -> float:
    """lightmatchingengine numbers its orders itself, and has two events for a fill and none for the rest."""
    module = import_module("lightmatchingengine.lightmatchingengine")
    engine, numbers = module.LightMatchingEngine(), dict[str, int]()

    def execute(command: Command) -> None:
        if isinstance(command, Enter):
            side = module.Side.BUY if command.side == BUY else module.Side.SELL
            order, _ = engine.add_order("L1", command.price_fen, command.quantity, side)
            numbers[command.order] = order.order_id
        elif isinstance(command, Cancel):
            engine.cancel_order(numbers[command.order], "L1")

    return _run(execute, stream)


def latencies_ns(stream: Stream) -> list[int]:
    """Of each command the best of three turns, without the clock."""
    clock = time.perf_counter_ns
    best: list[int] = []
    idle = min(_waited(clock) for _ in range(1_000))
    for _ in range(3):
        execute, taken = market().execute, list[int]()
        for command in stream.before:
            execute(command)
        for command in stream.commands:
            started = clock()
            execute(command)
            taken.append(clock() - started - idle)
        best = taken if not best else list(map(min, best, taken))
    return best


def _waited(clock: Callable[[], int]) -> int:
    started = clock()
    return clock() - started


# ---- where the time goes


def pieces(stream: Stream) -> Iterator[tuple[str, float]]:
    """(piece, CPU us a command)."""
    whole, told = _told(stream)
    each = 1e6 / len(stream.commands)
    alone = {
        "orders": _orders_alone(stream),
        "events": _events_alone(told),
        "changing": _changing_alone(stream, told),
        "asking": _asking_alone(told),
    }
    for name, seconds in alone.items():
        yield name, seconds * each
    yield "deciding", (whole - sum(alone.values())) * each


def _told(stream: Stream) -> tuple[float, list[list[Event]]]:
    execute = market().execute
    for command in stream.before:
        execute(command)
    told = [execute(command) for command in stream.commands]
    return min(_run(market().execute, stream) for _ in range(3)), told


def _order(command: Enter, number: int) -> Order:
    return Order(
        command.order,
        command.side,
        command.price_fen,
        command.quantity,
        command.owner,
        command.participant,
        "",
        command.quantity,
        number,
    )


def _orders_alone(stream: Stream) -> float:
    entered = [command for command in stream.commands if isinstance(command, Enter)]
    return min(_seconds(lambda command: _order(command, 1), entered) for _ in range(3))


def _events_alone(told: list[list[Event]]) -> float:
    def again(events: list[Event]) -> list[Event]:
        return [_REMADE[type(event)](event) for event in events]

    def nothing(events: list[Event]) -> None:
        for event in events:
            _UNMADE[type(event)](event)

    return max(min(_seconds(again, told) - _seconds(nothing, told) for _ in range(3)), 0.0)


_REMADE: Final[dict[type, Callable[[Any], Event]]] = {
    Entered: lambda event: Entered(event.order),
    Closed: lambda event: Closed(event.order, event.reason, event.remaining),
    Filled: lambda event: Filled(event.buy, event.sell, event.maker, event.price_fen, event.quantity),
}
_UNMADE: Final[dict[type, Callable[[Any], Any]]] = {
    Entered: lambda event: event.order,
    Closed: lambda event: (event.order, event.reason, event.remaining),
    Filled: lambda event: (event.buy, event.sell, event.maker, event.price_fen, event.quantity),
}


def _changing_alone(stream: Stream, told: list[list[Event]]) -> float:
    """Adding, removing and reducing as it was done, decided beforehand."""
    return min(_changed(stream, told) for _ in range(3))


def _changed(stream: Stream, told: list[list[Event]]) -> float:
    changed = market()
    for command in stream.before:
        changed.execute(command)
    steps = list(_steps(changed.book, stream, told))
    started = time.process_time()
    for change, given in steps:
        change(*given)
    return time.process_time() - started


def _steps(
    book: Book, stream: Stream, told: list[list[Event]]
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    for number, command, events in zip(count(1), stream.commands, told, strict=False):
        if isinstance(command, Cancel):
            yield book.remove, (command.order,)
        elif isinstance(command, Enter):
            order = _order(command, number)
            for event in events:
                if isinstance(event, Filled):
                    order.remaining -= event.quantity
                    yield book.reduce, (event.maker, event.quantity)
            closed = any(isinstance(event, Closed) for event in events)
            if order.remaining and not closed:
                yield book.add, (order,)


def _asking_alone(told: list[list[Event]]) -> float:
    fills = [event for events in told for event in events if isinstance(event, Filled)]
    return min(_seconds(lambda fill: (anybody("", ""), stands(fill)), fills) for _ in range(3))


# ---- growing


def us_at(resting: int, commands: int) -> float:
    """CPU us a command where so many rest, 100 a level."""
    shape = Shape("curve", max(1, resting // 200), resting)
    return _run(market().execute, stream_of(shape, commands)) / commands * 1e6


def us_over(books: int, commands: int) -> float:
    """CPU us a command, each for another of so many books."""
    markets = [market() for _ in range(books)]
    stream = stream_of(Shape("books", 20, 0), max(40, commands // books))
    turns = [(one.execute, command) for command in stream.commands for one in markets]
    gc.collect()
    started = time.process_time()
    for execute, command in turns:
        execute(command)
    return (time.process_time() - started) / len(turns) * 1e6


def bytes_an_order(orders: int) -> float:
    """What an order that rests takes, with the texts of its id; its participant's name is shared."""
    owners = [f"P{number}" for number in range(OWNERS)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    opened = market()
    for number in range(orders):
        owner = owners[number % OWNERS]
        opened.execute(
            Enter(f"O{number}", BUY, 1_000 + number % (orders // 100), 20 + number % 500, owner, owner)
        )
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / orders


# ---- skipping


def us_past(makers: int, participants: int, takers: int) -> float:
    """CPU us a taker that meets one lawful maker behind so many that the law keeps from it."""
    opened = market(lambda buyer, seller: not seller.startswith("barred"))
    for number in range(makers):
        seller = f"barred{number % max(1, participants)}"
        opened.execute(Enter(f"B{number}", SELL, 100, 1, seller, seller))
    opened.execute(Enter("lawful", SELL, 101, takers, "lawful", "lawful"))
    commands = [Enter(f"T{number}", BUY, 101, 1, "taker", "taker") for number in range(takers)]
    gc.collect()
    seconds = _seconds(opened.execute, commands)
    assert "lawful" not in opened.book, "every taker met the lawful maker"
    return seconds / takers * 1e6


# ---- all of it


def measure(extent: Extent) -> Iterator[Figure]:
    """Every figure, as soon as it is known."""
    for shape in (DEEP, THIN):
        yield from _speeds(shape, extent)
    yield from _slow(extent)
    yield from _growing(extent)
    yield Figure(
        name="book_bytes_an_order",
        value=bytes_an_order(extent.commands // 2),
        unit="bytes",
        reference=500.0,
        compared="what the issue allows at first",
        goals=(500.0, 400.0),
        better="less",
    )
    free = us_past(0, 1, extent.takers)
    for name, participants in (("one", 1), ("each", extent.barred)):
        yield Figure(
            name=f"book_barred_{extent.barred}_of_{name}",
            value=us_past(extent.barred, participants, extent.takers),
            unit="CPU us/taker",
            reference=free,
            compared=f"the same takers with nobody in front; {extent.takers} in a row",
            better="less",
        )


def _speeds(shape: Shape, extent: Extent) -> Iterator[Figure]:
    stream = stream_of(shape, extent.commands)
    turns = [(run_bare(stream), _run(market().execute, stream)) for _ in range(extent.turns)]
    bare, own = (extent.commands / min(seconds) for seconds in zip(*turns, strict=True))
    yield Figure(
        name=f"book_{shape.name}",
        value=own,
        unit="commands/s",
        reference=bare,
        compared="a bare book: dictionary levels, lazily cleaned heaps",
        goals=(0.35,),
        goals_are_ratios=True,
    )
    taken = latencies_ns(stream)
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(
            name=f"book_{shape.name}_{name}",
            value=percentile(taken, part) / 1_000,
            unit="us",
            reference=1e6 / bare,
            compared="the mean of the bare book",
            goals=(5.0,) if part > 0.9 else (),
            better="less",
        )
    for name, us in pieces(stream):
        if us <= 0:  # what is left over of the others, which are timed alone
            continue
        yield Figure(
            name=f"book_{shape.name}_{name}",
            value=us,
            unit="CPU us/command",
            reference=1e6 / own,
            compared="the whole",
            better="less",
        )


def _slow(extent: Extent) -> Iterator[Figure]:
    stream = stream_of(Shape("slow", 20, 1_000), extent.slow)
    own = extent.slow / _run(market().execute, stream)
    twin = NaiveMarket(Instrument(), anybody, stands)
    twin.execute(Move("continuous"))
    yield Figure(
        name="book_twin",
        value=extent.slow / _run(twin.execute, stream),
        unit="commands/s",
        reference=own,
        compared="the venue's book, a shorter stream",
    )
    deep = stream_of(DEEP, extent.commands)
    yield Figure(
        name="book_lightmatchingengine",
        value=extent.commands / run_light(deep),
        unit="commands/s",
        reference=extent.commands / _run(market().execute, deep),
        compared="the venue's book, deep; it has no owners, law, refusals or depth",
    )


def _growing(extent: Extent) -> Iterator[Figure]:
    commands = extent.commands // 4
    for name, sizes, cost in (("resting", extent.sizes, us_at), ("books", extent.books, us_over)):
        first = 0.0
        for size in sizes:
            us = cost(size, commands)
            first = first or us
            yield Figure(
                name=f"book_us_{name}_{size}",
                value=us,
                unit="CPU us/command",
                reference=first,
                compared=f"with {sizes[0]:,}",
                better="less",
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="too short for figures to quote")
    print(table(measure(QUICK if parser.parse_args().quick else FULL)))


if __name__ == "__main__":
    main()
