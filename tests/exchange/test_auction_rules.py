"""Who wins an auction at what price: drawings, ties, and brute force over all prices."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.auction import (
    MINUTE_NS,
    SEALED,
    Award,
    Bid,
    Kind,
    award,
    end_after_ns,
    least_fen,
    ranked,
)

HIGHEST = 6
PRICES = st.integers(0, HIGHEST)


def everybody(bid: Bid) -> bool:
    return True


def bids_of(*prices: int) -> list[Bid]:
    """A bid for each price, a nanosecond apart: J1, J2, ..."""
    return [Bid(f"J{at}", price, at) for at, price in enumerate(prices, 1)]


def won(found: Award | None) -> tuple[str, int] | None:
    return None if found is None else (found.bid.id, found.price_fen)


# ---- drawings


@pytest.mark.parametrize(
    ("kind", "prices", "floor", "expected"),
    [
        ("sealed_first", (), 0, None),
        ("sealed_first", (30, 50, 40), 0, ("J2", 50)),
        ("sealed_second", (30, 50, 40), 0, ("J2", 40)),
        ("sealed_second", (50,), 0, ("J1", 0)),
        ("sealed_second", (50,), 20, ("J1", 20)),
        ("sealed_second", (50, 10), 20, ("J1", 20)),
        ("sealed_second", (50, 20), 20, ("J1", 20)),
        ("sealed_second", (50, 21), 20, ("J1", 21)),
        ("sealed_first", (19, 18), 20, None),
        ("sealed_first", (20, 18), 20, ("J1", 20)),
    ],
)
def test_drawn_by_hand(
    kind: Kind, prices: tuple[int, ...], floor: int, expected: tuple[str, int] | None
) -> None:
    assert won(award(kind, bids_of(*prices), floor, everybody)) == expected


@pytest.mark.parametrize("kind", SEALED)
def test_of_equal_bids_the_earlier_wins_and_pays_it(kind: Kind) -> None:
    """At a tie both rules pay the same: the other bid is as high."""
    late_first = [Bid("J7", 50, 700), Bid("J3", 50, 300), Bid("J5", 50, 500)]
    assert won(award(kind, late_first, 0, everybody)) == ("J3", 50)


def test_an_unlawful_bid_neither_wins_nor_sets_the_price() -> None:
    bids = bids_of(90, 80, 70, 60)
    found = award("sealed_second", bids, 0, lambda bid: bid.id not in ("J1", "J3"))
    assert found == Award(bids[1], 60, (bids[0],))


def test_the_law_is_asked_as_little_as_can_be() -> None:
    """First price: down to the winner. Second price: one lawful bid further."""
    asked: list[str] = []

    def lawful(bid: Bid) -> bool:
        asked.append(bid.id)
        return bid.id != "J1"

    award("sealed_first", bids_of(90, 80, 70, 60), 0, lawful)
    assert asked == ["J1", "J2"]
    asked.clear()
    award("sealed_second", bids_of(90, 80, 70, 60), 0, lawful)
    assert asked == ["J1", "J2", "J3"]


# ---- brute force over all prices

LAWFUL_BIDS = st.lists(st.tuples(PRICES, st.booleans()), max_size=5)


def wins_at(price: int, winner: Bid, others: list[Bid], floor: int) -> bool:
    """Whether it would not be outbid at this price; a tie is for the instants, not for the price."""
    return price >= floor and all(other.price_fen <= price for other in others)


@given(LAWFUL_BIDS, PRICES, st.sampled_from(SEALED))
def test_brute_force_over_all_prices_agrees(drawn: list[tuple[int, bool]], floor: int, kind: Kind) -> None:
    """The first price: going down from the highest one, the first at which a lawful bid stands. The second: going up from
    the lowest one, the first at which the winner would still not be outbid.
    """
    bids = bids_of(*[price for price, _ in drawn])
    allowed = [bid for bid, (_, lawful) in zip(bids, drawn, strict=True) if lawful]
    standing = [
        bid
        for price in range(HIGHEST, floor - 1, -1)
        for bid in sorted(allowed, key=lambda one: one.at_ns)
        if bid.price_fen == price
    ]
    found = award(kind, bids, floor, allowed.__contains__)
    if not standing:
        assert found is None
        return
    winner = standing[0]
    others = [bid for bid in standing if bid is not winner]
    lowest = next(price for price in range(HIGHEST + 1) if wins_at(price, winner, others, floor))
    assert won(found) == (winner.id, winner.price_fen if kind == "sealed_first" else lowest)


def test_every_small_auction_is_told_right() -> None:
    """All of three bids at four prices and floors: the winner has the highest, the second price lies between."""
    for *prices, floor in product(range(4), repeat=4):
        bids = bids_of(*prices)
        first = award("sealed_first", bids, floor, everybody)
        second = award("sealed_second", bids, floor, everybody)
        assert (first is None) == (second is None) == (max(prices) < floor)
        if first is not None and second is not None:
            assert first.bid is second.bid is bids[prices.index(max(prices))]
            assert second.price_fen == max(floor, sorted(prices)[-2])
            assert floor <= second.price_fen <= first.price_fen == max(prices)


@given(st.permutations(bids_of(3, 1, 3, 2, 3, 0)), PRICES)
def test_the_order_in_which_bids_are_given_does_not_matter(shuffled: list[Bid], floor: int) -> None:
    assert ranked(shuffled, floor) == ranked(bids_of(3, 1, 3, 2, 3, 0), floor)


@given(st.lists(PRICES, min_size=1, max_size=6), PRICES, PRICES, st.integers(0, 5))
def test_in_a_second_price_auction_nobody_gains_by_another_bid(
    prices: list[int], floor: int, instead: int, place: int
) -> None:
    """Its price says what the lot is worth to a bidder: with any other bid it never has more of it."""
    mine = place % len(prices)

    def gain(bids: list[Bid]) -> int:
        found = award("sealed_second", bids, floor, everybody)
        return prices[mine] - found.price_fen if found is not None and found.bid.id == f"J{mine + 1}" else 0

    other = [instead if at == mine else price for at, price in enumerate(prices)]
    assert gain(bids_of(*prices)) >= gain(bids_of(*other))


# ---- ascending


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(0, 10), st.integers(1, 5))
def test_ascending_ends_at_the_highest_bid_that_was_taken(
    offers: list[int], start: int, increment: int
) -> None:
    """Against a twin that looks at all bids taken so far."""
    taken: list[int] = []
    leading: int | None = None
    for offer in offers:
        fits = offer >= start and all(offer >= other + increment for other in taken)
        assert (offer >= least_fen(start, increment, leading)) == fits
        if fits:
            taken.append(offer)
            leading = offer
    assert taken == sorted(set(taken))
    assert leading == max(taken, default=None)


def test_only_a_bid_near_the_end_moves_it() -> None:
    end, extension, last = 100 * MINUTE_NS, 5 * MINUTE_NS, 110 * MINUTE_NS
    assert end_after_ns(90 * MINUTE_NS, end, extension, last) == end
    assert end_after_ns(95 * MINUTE_NS, end, extension, last) == end
    assert end_after_ns(95 * MINUTE_NS + 1, end, extension, last) == end + 1
    assert end_after_ns(end - 1, end, extension, last) == 105 * MINUTE_NS - 1
    assert end_after_ns(109 * MINUTE_NS, 109 * MINUTE_NS + 1, extension, last) == last
    assert end_after_ns(99 * MINUTE_NS, end, 0, last) == end
