"""Auctions of one lot: who wins, and at what price. Sealed bids of first and second price, and the ascending auction.

It knows bids: their prices, instants and order of coming, and nothing of merchants or law. The rules:

    sealed      the highest bid wins; of equal ones the earlier. First price: it pays what it bid. Second price: it pays
                the highest of the other bids, where that is below the floor the floor.
    ascending   a bid is at least the start, and at least the increment above the leading one, so that no two are equal.
                The last one wins at its price. One that comes within the extension of the end moves the end.
    floor       what a bid has to reach to win: the start, and the reserve where that is higher. A bid at the floor wins.

Bids that may not win (`lawful` says which may) are as if they had not been made: they neither win nor set a price. What
is asked is asked of as few as can be: of the winner, of those above it, and of the one behind it that sets the price.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

Kind = Literal["sealed_first", "sealed_second", "ascending"]
SEALED: Final[tuple[Kind, ...]] = ("sealed_first", "sealed_second")
MINUTE_NS: Final = 60_000_000_000


class Bid(Struct, frozen=True, gc=False):
    """A price that somebody offers for the lot; `at_ns` is when it was committed to, which decides between equals."""

    id: str
    price_fen: int
    at_ns: int


class Award(Struct, frozen=True, gc=False):
    """The bid that wins, and what it pays. `passed_over` are those above it that may not win, the highest first."""

    bid: Bid
    price_fen: int
    passed_over: tuple[Bid, ...] = ()


Lawful = Callable[[Bid], bool]


def ranked(bids: Iterable[Bid], floor_fen: int) -> list[Bid]:
    """The bids that reach the floor: the highest first, of equal ones the earlier. O(n log n)."""
    reaching = [bid for bid in bids if bid.price_fen >= floor_fen]
    return sorted(reaching, key=lambda bid: (-bid.price_fen, bid.at_ns))


def award(kind: Kind, bids: Iterable[Bid], floor_fen: int, lawful: Lawful) -> Award | None:
    """Who wins a sealed auction and what it pays; None where no lawful bid reaches the floor."""
    passed_over: list[Bid] = []
    candidates = iter(ranked(bids, floor_fen))
    for bid in candidates:
        if lawful(bid):
            return Award(bid, _price_fen(kind, bid, candidates, floor_fen, lawful), tuple(passed_over))
        passed_over.append(bid)
    return None


def _price_fen(kind: Kind, winner: Bid, behind: Iterator[Bid], floor_fen: int, lawful: Lawful) -> int:
    """`behind` are the bids that follow on the winner, best first."""
    if kind != "sealed_second":
        return winner.price_fen
    return next((bid.price_fen for bid in behind if lawful(bid)), floor_fen)


def least_fen(start_fen: int, increment_fen: int, leading_fen: int | None) -> int:
    """What the next bid of an ascending auction has to offer; `leading_fen` is None before the first."""
    return start_fen if leading_fen is None else leading_fen + increment_fen


def end_after_ns(bid_at_ns: int, end_ns: int, extension_ns: int, last_ns: int) -> int:
    """When an ascending auction ends after a bid of this instant: never earlier than before, never behind `last_ns`."""
    return max(end_ns, min(bid_at_ns + extension_ns, last_ns))
