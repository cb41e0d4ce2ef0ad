"""What each mechanism must come to, reckoned slowly and by itself: nothing here asks the venue's matching.

The rules are read from `docs/mechanisms`; prices are fen, the first of equals is the earlier one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


def sealed_winner(kind: str, reserve_fen: int, opened: Sequence[int]) -> tuple[int, int] | None:
    """(number of the winning bid, what it pays) of the opened prices in the order of their commitments; None: nobody."""
    if not opened or max(opened) < reserve_fen:
        return None
    winner = opened.index(max(opened))
    others = [price for number, price in enumerate(opened) if number != winner and price >= reserve_fen]
    second_fen = max(others, default=reserve_fen)
    return winner, opened[winner] if kind == "sealed_first" else second_fen


def call_price(reference_fen: int, buys: Sequence[tuple[int, int]], sells: Sequence[tuple[int, int]]) -> int:
    """The one price of (price, units) on both sides: every fen between is tried. 0 where nothing crosses."""
    lowest, highest = min(price for price, _ in sells), max(price for price, _ in buys)
    ranks = []
    for price_fen in range(lowest, highest + 1):
        bought = sum(units for limit, units in buys if limit >= price_fen)
        sold = sum(units for limit, units in sells if limit <= price_fen)
        ranks.append((-min(bought, sold), abs(bought - sold), abs(price_fen - reference_fen), price_fen))
    return min(ranks)[3] if ranks else 0


def call_units(
    price_fen: int, buys: Sequence[tuple[int, int]], sells: Sequence[tuple[int, int]]
) -> list[int]:
    """What each buy gets at that price: the dearest first, then the earlier one, until what is offered is gone."""
    left = sum(units for limit, units in sells if limit <= price_fen)
    got = [0] * len(buys)
    for number in sorted(range(len(buys)), key=lambda one: (-buys[one][0], one)):
        if buys[number][0] >= price_fen:
            got[number] = min(left, buys[number][1])
            left -= got[number]
    return got


@dataclass(frozen=True)
class Proposal:
    """What is compared: `mark` is the buyer's, by a criterion where more is better."""

    price_fen: int
    days: int
    mark: int


def best_first(proposals: Sequence[Proposal], weights_bp: tuple[int, int, int]) -> list[int]:
    """Numbers of the proposals by their scores; the weights are of price, days (lower is better) and mark (higher)."""
    cheapest, quickest = min(one.price_fen for one in proposals), min(one.days for one in proposals)
    highest = max(one.mark for one in proposals)
    by_price, by_days, by_mark = weights_bp

    def rank(number: int) -> tuple[int, int, int, int]:
        one = proposals[number]
        score = by_price * cheapest // one.price_fen + by_days * quickest // one.days
        score += by_mark * one.mark // highest if by_mark else 0
        return -score, one.price_fen, one.days, number

    return sorted(range(len(proposals)), key=rank)


def metered_fen(tiers: Sequence[tuple[int | None, int]], units: int) -> int:
    """Graduated: each unit at the price of its own tier, (up to this unit, price)."""
    return sum(_prices(tiers, units))


def _prices(tiers: Sequence[tuple[int | None, int]], units: int) -> Iterator[int]:
    begun = 0
    for up_to, price_fen in tiers:
        ends = units if up_to is None else min(units, up_to)
        yield max(0, ends - begun) * price_fen
        begun = max(begun, ends)


def tier_price(tiers: Sequence[tuple[int, int]], quantity: int) -> int:
    """Of a posted price: (from units, price), rising; the whole order at the tier of its quantity."""
    return next(price_fen for begins, price_fen in reversed(tiers) if quantity >= begins)
