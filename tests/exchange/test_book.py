"""The order book against its drawing, its naive twin, and the bugs found in other people's engines.

The bug classes named here are those of an outside benchmark of 247 engines, as far as they can happen in a
book that does not match: trade at the taker's price, stale best price after a cancel, a modify that does not
match again, a filled maker left in the id index, lost queue order after an interior cancel, duplicate live
id, zero-quantity trades.
"""

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.book import Book, Order, kept_apart
from exchange.matching.orders import BUY, SELL, Side
from tests.exchange.naive_book import NaiveBook

LONG_QUEUE = 64
OTHER: dict[Side, Side] = {BUY: SELL, SELL: BUY}


def order(order_id: str, side: Side, price_fen: int, remaining: int, owner: str = "anyone") -> Order:
    return Order(order_id, side, price_fen, remaining, owner)


def book_of(drawing: str) -> Book:
    """A book drawn one level a line, best first: `sell 121: s1 5, s5 2` rests s1 for 5, then s5 for 2."""
    book = Book()
    for line in drawing.strip().splitlines():
        level, queue = line.split(":")
        side, price = level.split()
        for one in queue.split(","):
            name, quantity = one.split()
            book.add(order(name, BUY if side == "buy" else SELL, int(price), int(quantity), owner=name))
    book.check()
    return book


def drawn(book: Book) -> str:
    lines: dict[tuple[str, int], list[str]] = {}
    for one in book.orders():
        lines.setdefault((one.side, one.price_fen), []).append(f"{one.id} {one.remaining}")
    return "\n".join(f"{side} {price}: {', '.join(queue)}" for (side, price), queue in lines.items())


def take(book: Book, side: Side, quantity: int, limit_fen: int | None = None) -> list[tuple[str, int, int]]:
    """What a taker of this quantity fills: (maker, price in fen, quantity)."""
    fills = []
    for maker in book.makers(side, limit_fen):
        filled = min(quantity, maker.remaining)
        book.reduce(maker.id, filled)
        fills.append((maker.id, maker.price_fen, filled))
        quantity -= filled
        if not quantity:
            break
    book.check()
    return fills


TWO_SIDES = """
buy 120: b4 7
buy 119: b1 5, b3 2
sell 121: s1 5, s5 2
sell 123: s2 9
"""


def test_a_book_is_what_was_drawn() -> None:
    book = book_of(TWO_SIDES)
    assert drawn(book) == TWO_SIDES.strip()
    assert (book.best_price(BUY), book.best_price(SELL), len(book)) == (120, 121, 6)
    assert book.depth(BUY, 5) == [(120, 7, 1), (119, 7, 2)]
    assert book.depth(SELL, 1) == [(121, 7, 2)]


def test_an_empty_book_answers() -> None:
    book = Book()
    book.check()
    assert book.best_price(SELL) is None
    assert book.depth(SELL, 3) == []
    assert list(book.makers(BUY, None)) == []
    assert book.get("nobody") is None


def test_takers_meet_the_best_price_then_the_oldest() -> None:
    book = book_of(TWO_SIDES)
    assert take(book, BUY, 8) == [("s1", 121, 5), ("s5", 121, 2), ("s2", 123, 1)]
    assert drawn(book).splitlines()[2:] == ["sell 123: s2 8"]


def test_bug_trade_at_the_takers_price() -> None:
    """A taker that would pay 130 is shown makers at their own 121 and 123."""
    assert [one.price_fen for one in book_of(TWO_SIDES).makers(BUY, 130)] == [121, 121, 123]


def test_makers_stop_at_the_takers_limit() -> None:
    book = book_of(TWO_SIDES)
    assert [one.id for one in book.makers(BUY, 122)] == ["s1", "s5"]
    assert [one.id for one in book.makers(BUY, 120)] == []
    assert [one.id for one in book.makers(SELL, 120)] == ["b4"]
    assert [one.id for one in book.makers(SELL, None)] == ["b4", "b1", "b3"]


def test_bug_stale_best_price_after_a_cancel() -> None:
    book = book_of(TWO_SIDES)
    book.remove("b4")
    book.check()
    assert book.best_price(BUY) == 119
    assert list(book.makers(SELL, 120)) == []
    book.remove("s1")
    assert book.best_price(SELL) == 121
    book.remove("s5")
    assert book.best_price(SELL) == 123
    book.remove("s2")
    book.check()
    assert book.best_price(SELL) is None


def test_bug_stale_best_price_after_a_better_order() -> None:
    book = book_of(TWO_SIDES)
    book.add(order("b9", BUY, 120, 1))
    assert next(book.makers(SELL, None)) is book.get("b4")
    book.remove("s1")
    book.remove("s5")
    book.add(order("s9", SELL, 122, 1))
    assert next(book.makers(BUY, None)) is book.get("s9")


def test_bug_a_modify_that_does_not_match_again() -> None:
    """A modify lifts the order and rests it anew: the new price crosses, and the order has lost its place."""
    book = book_of(TWO_SIDES)
    changed = book.lift("b1")
    assert book.best_price(SELL) == 121
    changed.price_fen = 120
    book.add(changed)
    assert book.depth(BUY, 9) == [(120, 12, 2), (119, 2, 1)]
    assert [one.id for one in book.makers(SELL, None)] == ["b4", "b1", "b3"]
    book.check()


def test_bug_a_filled_maker_left_in_the_id_index() -> None:
    book = book_of(TWO_SIDES)
    filled = book.reduce("s1", 5)
    assert filled.remaining == 0
    assert "s1" not in book
    assert book.get("s1") is None
    with pytest.raises(KeyError):
        book.remove("s1")
    with pytest.raises(KeyError):
        book.reduce("s1", 1)
    book.add(order("s1", SELL, 121, 1))
    book.check()


def test_bug_lost_queue_order_after_an_interior_cancel() -> None:
    book = book_of("sell 121: s1 1, s2 1, s3 1, s4 1")
    book.remove("s2")
    book.add(order("s5", SELL, 121, 1))
    assert drawn(book) == "sell 121: s1 1, s3 1, s4 1, s5 1"
    assert [fill[0] for fill in take(book, BUY, 4)] == ["s1", "s3", "s4", "s5"]


def test_an_order_filled_in_part_keeps_its_place() -> None:
    book = book_of("sell 121: s1 5, s2 5")
    assert book.reduce("s1", 4).remaining == 1
    assert take(book, BUY, 2) == [("s1", 121, 1), ("s2", 121, 1)]


def test_bug_duplicate_live_id() -> None:
    book = book_of(TWO_SIDES)
    with pytest.raises(AssertionError, match="b1 rests already"):
        book.add(order("b1", SELL, 500, 1))
    book.check()
    assert drawn(book) == TWO_SIDES.strip()


@pytest.mark.parametrize("quantity", [0, -1, 6])
def test_bug_zero_quantity_trades(quantity: int) -> None:
    book = book_of(TWO_SIDES)
    with pytest.raises(AssertionError, match="of order s1"):
        book.reduce("s1", quantity)
    assert drawn(book) == TWO_SIDES.strip()


def test_an_order_with_nothing_left_does_not_rest() -> None:
    with pytest.raises(AssertionError, match="nothing left"):
        Book().add(order("b1", BUY, 1, 0))


def test_makers_passed_over_keep_their_place() -> None:
    """The pair s1 is refused: the maker stays first in its queue, the taker goes on to the next."""
    book = book_of("sell 121: s1 5, s2 5\nsell 122: s3 5\nsell 124: s4 5")
    met = []
    for maker in book.makers(BUY, 122):
        met.append(maker.id)
        if maker.id != "s1":
            book.reduce(maker.id, maker.remaining)
        book.check()
    assert met == ["s1", "s2", "s3"]
    assert drawn(book) == "sell 121: s1 5\nsell 124: s4 5"


def test_walking_survives_the_removal_of_makers_still_to_come() -> None:
    book = book_of("sell 121: s1 1, s2 1, s3 1\nsell 122: s4 1\nsell 123: s5 1")
    met = []
    for maker in book.makers(BUY, None):
        met.append(maker.id)
        if maker.id == "s1":
            book.remove("s2")
            book.remove("s4")
    assert met == ["s1", "s3", "s5"]


def test_walking_past_makers_survives_removals_further_down_the_level() -> None:
    """s1 is passed over, so the rest of its level is being walked when s3 and s5 leave the book."""
    book = book_of("sell 121: s1 1, s2 1, s3 1, s4 1\nsell 122: s5 1, s6 1")
    met = []
    for maker in book.makers(BUY, None):
        met.append(maker.id)
        if maker.id == "s2":
            book.remove("s3")
            book.remove("s5")
    assert met == ["s1", "s2", "s4", "s6"]
    book.check()


def test_a_maker_filled_in_part_is_not_met_twice() -> None:
    book = book_of("sell 121: s1 5, s2 5")
    met = []
    for maker in book.makers(BUY, None):
        met.append(maker.id)
        book.reduce(maker.id, 1)
    assert met == ["s1", "s2"]


def test_check_refuses_a_crossing_but_for_pairs_kept_apart() -> None:
    book = Book()
    book.add(msgspec.structs.replace(order("s1", SELL, 100, 1, owner="甲公司"), participant="卖方"))
    book.add(order("b1", BUY, 100, 1, owner="甲公司"))
    book.check()
    book.add(order("b2", BUY, 101, 1, owner="乙公司"))
    with pytest.raises(AssertionError, match="b2 and s1 cross"):
        book.check()
    book.remove("b2")
    barred = msgspec.structs.replace(order("b3", BUY, 101, 1, owner="乙公司"), barred=("卖方",))
    book.add(barred)
    book.check()


@pytest.mark.parametrize(
    ("barred", "apart"), [((), False), (("卖方子公司",), True), (("s1",), False), (("卖方",), False)]
)
def test_kept_apart_reads_either_orders_bar(barred: tuple[str, ...], apart: bool) -> None:
    sell = Order("s1", SELL, 1, 1, "卖方", participant="卖方子公司")
    buy = Order("b1", BUY, 1, 1, "买方", barred=barred)
    assert kept_apart(buy, sell) is apart
    assert kept_apart(sell, buy) is apart


def test_a_long_queue_keeps_its_order_through_its_change_of_kind() -> None:
    book = Book()
    names = [f"s{number}" for number in range(3 * LONG_QUEUE)]
    for name in names:
        book.add(order(name, SELL, 50, 1))
        book.check()
    for name in names[10::7]:
        book.remove(name)
    left = [name for name in names if name in book]
    assert [maker for maker, _, _ in take(book, BUY, len(names))] == left
    assert len(book) == 0


def test_check_sees_an_order_changed_behind_the_books_back() -> None:
    breakages: list[Callable[[Order], None]] = [
        lambda one: setattr(one, "remaining", one.remaining + 1),
        lambda one: setattr(one, "remaining", 0),
        lambda one: setattr(one, "price_fen", 7),
        lambda one: setattr(one, "side", SELL),
        lambda one: setattr(one, "id", "b0"),
    ]
    for break_it in breakages:
        book = book_of(TWO_SIDES)
        resting = book.get("b1")
        assert resting is not None
        break_it(resting)
        with pytest.raises(AssertionError):
            book.check()


def same(book: Book, naive: NaiveBook) -> None:
    for side in (BUY, SELL):
        queue = naive.queue(side)
        first = next(book.makers(SELL if side == BUY else BUY, None), None)
        assert (first.id if first else None) == (queue[0][0] if queue else None)
        assert book.best_price(side) == (queue[0][1] if queue else None)
        assert book.depth(side, 5) == naive.depth(side, 5)


def same_whole(book: Book, naive: NaiveBook) -> None:
    book.check()
    expected = naive.queue(BUY) + naive.queue(SELL)
    assert [(one.id, one.price_fen, one.remaining) for one in book.orders()] == expected
    assert len(book) == len(expected)


MOST_RESTING = 400
"""A day's book grows to this and stays: deep enough for long queues, small enough for the naive twin."""


class Day:
    """One random trading day on both books: rest, cancel, fill in part, take with some makers passed over.

    Buys are drawn from the lower three fifths of the prices and sells from the upper, so that some cross and
    most rest. `deepest` and `longest` are the most orders seen in the book and in one queue.
    """

    def __init__(self, choose: random.Random, prices: int) -> None:
        self.choose, self.prices = choose, prices
        self.book, self.naive = Book(), NaiveBook()
        self.placed = self.deepest = self.longest = 0

    def command(self) -> None:
        draw = self.choose.random()
        if not len(self.book) or (draw < 0.75 and len(self.book) < MOST_RESTING):
            self.place()
        elif draw < 0.92:
            name = self.some_id()
            assert self.book.remove(name).remaining == self.naive.remove(name)
        else:
            self.take()

    def measure(self) -> None:
        self.deepest = max(self.deepest, len(self.book))
        queues = [orders for side in (BUY, SELL) for _, _, orders in self.book.depth(side, self.prices)]
        self.longest = max([self.longest, *queues])

    def some_id(self) -> str:
        return self.choose.choice(self.naive.arrived)[0]

    def place(self) -> None:
        """A limit order takes what it crosses and rests with what is left, as in the venue."""
        side: Side = self.choose.choice((BUY, SELL))
        low = 1 if side == BUY else self.prices * 2 // 5 + 1
        high = -(-self.prices * 3 // 5) if side == BUY else self.prices
        price = self.choose.randint(low, high)
        left = self.walk(side, price, self.choose.randint(1, 20), passing=0.0)
        if left:
            self.placed += 1
            resting = order(f"o{self.placed}", side, price, left, owner=f"p{self.placed}")
            self.book.add(resting)
            self.naive.add(resting)

    def take(self) -> None:
        limit = self.choose.choice((None, self.choose.randint(1, self.prices)))
        self.walk(self.choose.choice((BUY, SELL)), limit, self.choose.randint(1, 40), passing=0.3)

    def walk(self, side: Side, limit: int | None, left: int, passing: float) -> int:
        """Fill along the makers, passing some over; both books offer the same. What is left over."""
        expected = self.naive.makers(side, limit)
        for maker in self.book.makers(side, limit):
            assert (maker.id, maker.price_fen, maker.remaining) == next(expected)
            if self.choose.random() < passing:
                continue
            filled = min(left, maker.remaining)
            self.book.reduce(maker.id, filled)
            self.naive.reduce(maker.id, filled)
            left -= filled
            if not left:
                return 0
        assert next(expected, None) is None
        return left


@pytest.mark.parametrize(
    ("seed", "prices", "longest"), [(20231208, 12, LONG_QUEUE), (38, 400, 4), (37, 3, 150)]
)
def test_a_day_of_20_000_commands_ends_as_the_naive_day(seed: int, prices: int, longest: int) -> None:
    """The depth is asserted too: a day whose book stays thin would prove little of the queues."""
    day = Day(random.Random(seed), prices)
    for number in range(20_000):
        day.command()
        if number % 50 == 0:
            same(day.book, day.naive)
            day.measure()
        if number % 500 == 0:
            same_whole(day.book, day.naive)
    same_whole(day.book, day.naive)
    assert day.deepest >= MOST_RESTING - 5
    assert day.longest > longest
    assert day.placed > 3_000


@given(seed=st.integers(0, 2**32), prices=st.integers(1, 8), commands=st.integers(1, 60))
def test_any_short_day_is_the_naive_day_after_every_command(seed: int, prices: int, commands: int) -> None:
    day = Day(random.Random(seed), prices)
    for _ in range(commands):
        day.command()
        same(day.book, day.naive)
        same_whole(day.book, day.naive)


@given(seed=st.integers(0, 2**32), commands=st.integers(0, 200))
def test_a_snapshot_rebuilds_an_equal_book(seed: int, commands: int) -> None:
    day = Day(random.Random(seed), prices=5)
    for _ in range(commands):
        day.command()
    encoded = msgspec.json.encode(sorted(day.book.orders(), key=lambda one: one.place))
    rebuilt = Book()
    for one in msgspec.json.decode(encoded, type=list[Order]):
        rebuilt.restore(one)
    same_whole(rebuilt, day.naive)
    assert list(rebuilt.orders()) == list(day.book.orders())
