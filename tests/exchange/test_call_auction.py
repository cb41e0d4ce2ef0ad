"""The price of a call auction against every price there is, its rule at each tie, and who gets what."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching import views
from exchange.matching.book import Book, Order
from exchange.matching.call_auction import allocate, auction_price
from exchange.matching.orders import (
    BUY,
    PLAIN,
    SELL,
    Conditions,
    Filled,
    Instrument,
    Refilled,
    Side,
    Uncrossed,
)

NOTHING: Final = Uncrossed(0, 0, 0)


def book_of(*orders: tuple[str, int, int], tick: int = 1, reference: int = 0, last: int = 0) -> Book:
    """(side, price, quantity), each of its own owner, resting in this order."""
    book = Book(Instrument(tick_fen=tick, reference_fen=reference), last)
    for number, (side, price, quantity) in enumerate(orders):
        book.add(order(f"{side[0]}{number}", BUY if side == "buy" else SELL, price, quantity))
    return book


def order(
    name: str, side: Side, price: int, quantity: int, owner: str = "", asks: Conditions = PLAIN
) -> Order:
    owner = owner or name
    return Order(name, side, price, quantity, owner, owner, quantity=quantity, conditions=asks)


def by_every_price(book: Book) -> Uncrossed:
    """The rule as it is written: every multiple of the tick between the lowest sell and the highest buy is looked at."""
    resting = [one for one in book.orders() if not one.conditions.all_or_none]
    buys = [one for one in resting if one.side == BUY]
    sells = [one for one in resting if one.side == SELL]
    if not buys or not sells:
        return NOTHING
    low, high = min(one.price_fen for one in sells), max(one.price_fen for one in buys)
    reference = book.last_fen or book.instrument.reference_fen
    found = []
    for price in range(low, high + 1, book.instrument.tick_fen):
        bought = sum(one.remaining for one in buys if one.price_fen >= price)
        sold = sum(one.remaining for one in sells if one.price_fen <= price)
        found.append((-min(bought, sold), abs(bought - sold), abs(price - reference), price))
    return Uncrossed(min(found)[3], -min(found)[0], min(found)[1]) if found else NOTHING


def test_nothing_crosses() -> None:
    assert auction_price(Book()) == NOTHING
    assert auction_price(book_of(("buy", 99, 5), ("sell", 100, 5))) == NOTHING


def test_first_the_most_quantity() -> None:
    book = book_of(("buy", 105, 5), ("buy", 101, 20), ("sell", 100, 12), ("sell", 104, 2), reference=105)
    assert auction_price(book) == Uncrossed(101, 12, 13)


def test_then_the_least_surplus() -> None:
    book = book_of(("buy", 105, 10), ("buy", 102, 1), ("sell", 100, 10), reference=100)
    assert auction_price(book) == Uncrossed(103, 10, 0)


@pytest.mark.parametrize(("reference", "price"), [(90, 100), (100, 100), (103, 103), (105, 105), (200, 105)])
def test_then_the_nearest_to_the_reference(reference: int, price: int) -> None:
    assert auction_price(book_of(("buy", 105, 5), ("sell", 100, 5), reference=reference)) == Uncrossed(
        price, 5, 0
    )


def test_the_reference_is_the_last_price() -> None:
    book = book_of(("buy", 105, 5), ("sell", 100, 5), reference=100, last=104)
    assert auction_price(book) == Uncrossed(104, 5, 0)


@pytest.mark.parametrize(("reference", "price"), [(104, 100), (105, 100), (106, 110)])
def test_of_two_equally_near_the_lower(reference: int, price: int) -> None:
    book = book_of(("buy", 110, 5), ("sell", 100, 5), tick=10, reference=reference)
    assert auction_price(book) == Uncrossed(price, 5, 0)


@pytest.mark.parametrize(("reference", "price"), [(104, 100), (105, 100), (106, 110)])
def test_of_a_surplus_of_buys_and_one_of_sells_the_nearer(reference: int, price: int) -> None:
    """At 100 five are bought and four sold, at 110 four and five."""
    orders = (("buy", 130, 4), ("buy", 100, 1), ("sell", 90, 4), ("sell", 110, 1))
    assert auction_price(book_of(*orders, tick=10, reference=reference)) == Uncrossed(price, 4, 1)


def test_hidden_parts_count_and_all_or_none_waits() -> None:
    book = book_of(("sell", 100, 9))
    book.add(order("b8", BUY, 100, 8, asks=Conditions(display=2)))
    book.add(order("b9", BUY, 100, 9, asks=Conditions(all_or_none=True)))
    assert auction_price(book) == Uncrossed(100, 8, 1)


@given(
    orders=st.lists(
        st.tuples(
            st.sampled_from(("buy", "sell")),
            st.integers(1, 14),
            st.integers(1, 9),
            st.sampled_from((0, 0, 1, 2)),
        ),
        max_size=14,
    ),
    tick=st.sampled_from((1, 1, 3)),
    reference=st.integers(0, 60),
    last=st.sampled_from((0, 0, 7, 20)),
)
def test_brute_force_over_all_prices_agrees(
    orders: list[tuple[str, int, int, int]], tick: int, reference: int, last: int
) -> None:
    """The last number: 1 is an iceberg, 2 all-or-none."""
    book = Book(Instrument(tick_fen=tick, reference_fen=reference), last)
    kinds = (PLAIN, Conditions(display=1), Conditions(all_or_none=True))
    for number, (side, steps, quantity, kind) in enumerate(orders):
        one = order(f"o{number}", BUY if side == "buy" else SELL, steps * tick, quantity, asks=kinds[kind])
        book.add(one)
    assert auction_price(book) == by_every_price(book)


def allocated(book: Book, price: int, apart: tuple[tuple[str, str], ...] = ()) -> list[Filled | Refilled]:
    """Every fill stands and is made so."""
    told: list[Filled | Refilled] = []
    for step in allocate(book, lambda buyer, seller: (buyer, seller) not in apart, price):
        told.append(step)
        if isinstance(step, Filled):
            book.allot(step.buy, step.quantity)
            book.allot(step.sell, step.quantity)
        else:
            book.refill(step.order, step.shown)
        book.check(crossing=True)
    return told


def test_buys_in_priority_walk_the_sells_in_priority() -> None:
    book = book_of(("buy", 101, 5), ("buy", 102, 5), ("sell", 100, 3), ("sell", 99, 4), ("sell", 103, 9))
    assert allocated(book, 101) == [
        Filled("b1", "s3", "", 101, 4),
        Filled("b1", "s2", "", 101, 1),
        Filled("b0", "s2", "", 101, 2),
    ]


def test_forbidden_pairs_are_passed_over_and_keep_their_places() -> None:
    book = book_of(("buy", 100, 5), ("buy", 100, 5), ("sell", 100, 5), ("sell", 100, 2))
    assert allocated(book, 100, apart=(("b0", "s2"),)) == [
        Filled("b0", "s3", "", 100, 2),
        Filled("b1", "s2", "", 100, 5),
    ]
    assert [one.id for one in book.orders()] == ["b0"]


def test_icebergs_show_their_part_anew_where_they_stand() -> None:
    book = book_of(("sell", 100, 7))
    book.add(order("b1", BUY, 100, 9, asks=Conditions(display=4)))
    book.add(order("b2", BUY, 100, 9))
    assert allocated(book, 100) == [Filled("b1", "s0", "", 100, 7), Refilled("b1", 2)]
    assert [(one.id, one.shown) for one in book.orders()] == [("b1", 2), ("b2", 9)]


def test_orders_of_one_owner_are_passed_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A house with a thousand buys and a thousand sells, which do not meet, before the one order that it may meet."""
    looked = 0
    asked = views._asked

    def counted(*given: Any) -> bool:
        nonlocal looked
        looked += 1
        return asked(*given)

    monkeypatch.setattr(views, "_asked", counted)
    book = Book(Instrument(reference_fen=100))
    for number in range(1_000):
        book.add(order(f"s{number}", SELL, 100, 1, owner="house"))
        book.add(order(f"b{number}", BUY, 100, 1, owner="house"))
    book.add(order("s", SELL, 100, 5, owner="other"))
    assert allocated(book, 100) == [Filled(f"b{number}", "s", "", 100, 1) for number in range(5)]
    assert looked < 1_001 + 2 * views.PATIENCE


def test_a_wide_auction_looks_at_levels_and_not_at_ticks() -> None:
    """Prices a billion apart: nobody could look at every tick."""
    book = book_of(("buy", 2_000_000_000, 5), ("sell", 1, 5), ("sell", 1_000_000_000, 1), reference=7)
    assert auction_price(book) == Uncrossed(7, 5, 0)
