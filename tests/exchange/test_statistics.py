"""Statistics: the rows of the projection against a recount of the events, the index against fractions, and the page."""

import random
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clearing.calendar import day_of
from exchange import events as e
from exchange import statistics, venue
from exchange.projection import ListingDayRecord, View, fold
from tests.exchange.world import World

PAGE = Path(__file__).parents[2] / "docs/STATISTICS.md"


def links_of(rows: list[ListingDayRecord]) -> list[tuple[int, int, int]]:
    """What `statistics.index` asks SQL for, said in Python."""
    found: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        link = found.setdefault(row.day, [0, 0])
        if row.before_fen > 0 and row.amount_fen > 0:
            link[0] += row.amount_fen
            link[1] += row.before_fen * row.quantity // row.before_quantity
    return [(day, *link) for day, link in found.items()]  # type: ignore[misc]


def naive(sales: list[tuple[int, str, int, int]]) -> list[tuple[int, int]]:
    """The index recounted from (day, listing, quantity, amount): all sales are looked through for each day."""
    values, value = [], Fraction(statistics.BASE)
    for day in sorted({sale[0] for sale in sales}):
        now = then = 0
        for listing in sorted({sale[1] for sale in sales}):
            today = [sale for sale in sales if sale[0] == day and sale[1] == listing]
            earlier = [sale[0] for sale in sales if sale[0] < day and sale[1] == listing]
            if today and earlier:
                last = [sale for sale in sales if sale[0] == max(earlier) and sale[1] == listing]
                amount, cost = sum(sale[3] for sale in today), sum(sale[3] for sale in last)
                if amount and cost:
                    now += amount
                    then += cost * sum(sale[2] for sale in today) // sum(sale[2] for sale in last)
        if now and then:
            value = Fraction(int(value * now / then + Fraction(1, 2)))
        values.append((day, int(value)))
    return values


def folded(world: World) -> View:
    view = View()
    view.begin(1)
    for entry in world.entries:
        outcome = venue.answer_of(entry)
        for event in outcome.events:
            fold(view, event, outcome.at_ns)  # type: ignore[arg-type]
    return view


def test_rows_and_index_are_those_of_a_recount() -> None:
    """A book and two posted prices over twenty days, some of them quiet."""
    chance, world = random.Random(7), World()
    merchant, buyer = world.merchant(), world.buyer()
    book = world.book(merchant)
    posted = [world.listing(merchant, price_fen=price) for price in (0, 700)]
    sales: list[tuple[int, str, int, int]] = []
    for _ in range(20):
        for _ in range(chance.choice((0, 1, 3))):
            price = chance.randint(50, 150)
            world.ask(merchant, book, 4, price)
            outcomes = [world.bid(buyer, book, chance.choice((2, 4)), price)]
            outcomes += [
                world.order(buyer, listing, chance.randint(1, 3))
                for listing in posted
                if chance.random() < 0.5
            ]
            day = day_of(world.at_ns).toordinal()
            settled = [
                event for outcome in outcomes for event in outcome.events if isinstance(event, e.Settled)
            ]
            sales += [(day, row.listing, row.quantity, row.amount_fen) for row in settled]
        world.wait(days=1)
    rows = list(folded(world).days.rows.values())
    recounted: dict[tuple[int, str], list[int]] = {}
    for day, listing, quantity, amount in sales:
        row = recounted.setdefault((day, listing), [0, 0, 0])
        row[0], row[1], row[2] = row[0] + 1, row[1] + quantity, row[2] + amount
    assert {(row.day, row.listing): [row.trades, row.quantity, row.amount_fen] for row in rows} == recounted
    assert statistics.chained(links_of(rows)) == naive(sales)
    assert len({value for _, value in naive(sales)}) > 5
    world.check()


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from("AB"), st.integers(1, 5), st.integers(0, 900)),
        max_size=30,
    )
)
def test_any_sales_give_the_index_of_the_recount(sales: list[tuple[int, str, int, int]]) -> None:
    rows: dict[tuple[str, int], ListingDayRecord] = {}
    for day, listing, quantity, amount in sorted(sales):
        number = day * 100 + ord(listing)
        row = rows.setdefault(
            (listing, day),
            ListingDayRecord(number=number, id=f"G{number}", day=day, listing=listing, board="general"),
        )
        row.quantity, row.amount_fen = row.quantity + quantity, row.amount_fen + amount
    for (listing, day), row in rows.items():
        earlier = [other for other in rows if other[0] == listing and other[1] < day]
        if earlier:
            before = rows[max(earlier)]
            row.before_quantity, row.before_fen = before.quantity, before.amount_fen
    assert statistics.chained(links_of(list(rows.values()))) == naive(sales)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 10**12), min_size=1))
def test_shares_add_up(amounts: dict[str, int]) -> None:
    shares = statistics.shares_bp(amounts)
    total = sum(amounts.values())
    assert sum(shares.values()) == (10_000 if total else 0)
    assert all(
        abs(shares[name] - Fraction(amount * 10_000, total or 1)) < 1 for name, amount in amounts.items()
    )


def test_the_numbers_of_the_page() -> None:
    rows: list[Any] = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.M
    )
    sales = []
    for day, *parts, _ in rows:
        for listing, quantity, amount in (("A", *parts[:2]), ("B", *parts[2:])):
            if int(quantity):
                sales.append((int(day), listing, int(quantity), int(amount)))
    assert naive(sales) == [(int(row[0]), int(row[-1])) for row in rows]
    assert len(rows) == 4


def test_a_day_is_beijings() -> None:
    """Five in the afternoon in London is tomorrow in Beijing."""
    world = World()
    listing, buyer = world.listing(world.merchant()), world.buyer()
    for at_ns in (1_764_172_800_000_000_000 - 10**12, 1_764_172_800_000_000_000):
        world.at_ns = at_ns - 1_000
        world.buy(buyer, listing)
    first, second = sorted(folded(world).days.rows.values(), key=lambda row: row.day)
    assert second.day - first.day == 1
    assert (first.trades, second.trades) == (1, 1)
