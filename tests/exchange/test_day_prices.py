"""What a day reckons for itself: prices by the examples of `docs/mechanisms`, and its book with conditions."""

import pytest

from exchange.day.expectation import Deal, Expectation, NaiveBook, Resting
from exchange.day.prices import (
    Proposal,
    best_first,
    call_price,
    call_units,
    metered_fen,
    sealed_winner,
    tier_price,
)


@pytest.mark.parametrize(
    ("reserve_fen", "opened", "first", "second"),
    [
        (0, [30_000, 45_000, 40_000], (1, 45_000), (1, 40_000)),
        (42_000, [30_000, 45_000, 40_000], (1, 45_000), (1, 42_000)),
        (0, [45_000, 45_000], (0, 45_000), (0, 45_000)),
        (0, [45_000], (0, 45_000), (0, 0)),
        (42_000, [30_000, 40_000], None, None),
        (0, [], None, None),
    ],
)
def test_sealed_bids_as_their_page_says(
    reserve_fen: int, opened: list[int], first: tuple[int, int] | None, second: tuple[int, int] | None
) -> None:
    assert sealed_winner("sealed_first", reserve_fen, opened) == first
    assert sealed_winner("sealed_second", reserve_fen, opened) == second


def test_a_call_auction_as_its_page_says() -> None:
    sells, buys = [(700, 10), (850, 5)], [(850, 12), (700, 3)]
    assert call_price(1_000, buys, sells) == 850
    assert call_units(850, buys, sells) == [12, 0]
    assert call_price(1_000, [(600, 1)], sells) == 0


def test_units_run_out_in_priority() -> None:
    assert call_units(100, [(100, 5), (110, 4), (100, 5)], [(90, 7), (120, 9)]) == [3, 4, 0]


def test_a_tender_and_a_challenge_as_their_pages_say() -> None:
    """Q1, Q2, Q3 of the challenge: by price 3000, by the buyer's mark 7000."""
    drawn = [Proposal(500, 3, 60), Proposal(400, 3, 90), Proposal(450, 3, 75)]
    assert best_first(drawn, (3_000, 0, 7_000)) == [1, 2, 0]
    offers = [Proposal(400, 3, 80), Proposal(500, 1, 100), Proposal(640, 2, 90)]
    assert best_first(offers, (6_000, 1_000, 3_000)) == [1, 0, 2]


def test_of_equal_scores_the_cheaper_then_the_earlier_is_the_best() -> None:
    assert best_first([Proposal(2, 1, 0), Proposal(1, 2, 0)], (5_000, 5_000, 0)) == [1, 0]
    assert best_first([Proposal(1, 1, 0), Proposal(1, 1, 0)], (5_000, 5_000, 0)) == [0, 1]


@pytest.mark.parametrize(("units", "fen"), [(0, 0), (100, 400), (101, 410), (400, 3_400)])
def test_metered_units_cost_what_their_tier_says(units: int, fen: int) -> None:
    assert metered_fen(((100, 4), (None, 10)), units) == fen


@pytest.mark.parametrize(("units", "fen"), [(1, 500), (9, 500), (10, 400), (99, 400), (100, 300)])
def test_the_whole_order_at_the_price_of_its_tier(units: int, fen: int) -> None:
    assert tier_price(((1, 500), (10, 400), (100, 300)), units) == fen


def test_an_iceberg_as_the_books_page_says() -> None:
    sells = [(1, "first", 800, 5, 0), (2, "second", 800, 10, 4), (3, "third", 810, 3, 0)]
    book = NaiveBook()
    for number, owner, price_fen, quantity, display in sells:
        assert book.take(Resting(number, owner, "sell", price_fen, quantity, display), keeps=True) == []
    assert book.would_fill("buy", 805) == 15
    fills = book.take(Resting(4, "x", "buy", 805, 12), keeps=False)
    assert fills == [("first", 5, 800), ("second", 4, 800), ("second", 3, 800)]
    assert [(one.order, one.quantity, one.shown) for one in book.resting] == [(3, 3, 0), (2, 3, 1)]


def test_an_iceberg_waits_behind_the_others_of_its_price() -> None:
    book = NaiveBook()
    book.take(Resting(1, "ice", "sell", 100, 6, 2), keeps=True)
    book.take(Resting(2, "plain", "sell", 100, 3), keeps=True)
    fills = book.take(Resting(3, "x", "buy", 100, 6), keeps=False)
    assert fills == [("ice", 2, 100), ("plain", 3, 100), ("ice", 1, 100)]


def test_bills_and_what_is_forfeited_move_money_too() -> None:
    book = Expectation(
        deals={"T1": Deal(1, "b", "m", "open_research", 1_000, "accepted", mechanism="off_venue")},
        moves=[("b", "m", 7)],
        paid=[
            ("b", "m", "general", 0, 1_050),
            ("b", "m", "general", 50, 1_000),
            ("b", "m", "open_research", 50, 0),
        ],
    )
    assert book.moved_fen() == {"b": -1_000 - 7 - 1_050 - 1_000, "m": 1_000 + 7 + 1_050 - 21 + 1_000 - 25}


def test_mechanisms_and_boards_are_counted_by_their_trades() -> None:
    deals = {
        "T1": Deal(1, "b", "m", "general", 1, "accepted"),
        "T2": Deal(1, "b", "m", "computing", 1, "units", mechanism="call_auction"),
        "T3": Deal(1, "b", "m", "computing", 1, "units", mechanism="call_auction"),
    }
    told = Expectation(deals=deals).summary()
    assert told["mechanisms"] == {"call_auction": 2, "posted_price": 1}
    assert told["boards"] == {"computing": 2, "general": 1}
