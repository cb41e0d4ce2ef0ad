"""The call auction: one price for all, then who gets what. Decides, changes nothing.

The price trades the most; of equals the one with the least surplus, then the nearest to the reference, then the lower.
Between two prices at which somebody rests nothing changes, so a price per such stretch is looked at instead of every tick:
O(levels log levels), where an iceberg or an all-or-none order rests O(orders of its level) more.
"""

from collections.abc import Iterator
from typing import Final

from exchange.matching.book import Book, Order
from exchange.matching.levels import Level, Levels
from exchange.matching.orders import BUY, SELL, Filled, MayTrade, Refilled, Uncrossed
from exchange.matching.views import met

NOTHING: Final = Uncrossed(0, 0, 0)


def auction_price(book: Book) -> Uncrossed:
    """The price, what it would trade and what is left over of the longer side; all 0 where nothing crosses.

    Before the auction it is the indicative price.
    """
    buys, sells = _quantities(book.side(BUY)), _quantities(book.side(SELL))
    if not buys or not sells or max(buys) < min(sells):
        return NOTHING
    reference = book.last_fen or book.instrument.reference_fen
    best = None
    for first, last, bought, sold in _stretches(buys, sells, book.instrument.tick_fen):
        price = _nearest(first, last, reference, book.instrument.tick_fen)
        traded, surplus = min(bought, sold), abs(bought - sold)
        rank = (-traded, surplus, abs(price - reference), price)
        if best is None or rank < best:
            best = rank
    assert best is not None
    return Uncrossed(best[3], -best[0], best[1])


def _quantities(side: Levels) -> dict[int, int]:
    """Price: all that rests there and is not all-or-none, hidden parts included."""
    found = {price_fen: _whole(level) for price_fen, level in side.at.items()}
    return {price_fen: quantity for price_fen, quantity in found.items() if quantity}


def _whole(level: Level) -> int:
    if not level.special:
        return level.total
    return sum(order.remaining for order in level if not order.conditions.all_or_none)


def _stretches(
    buys: dict[int, int], sells: dict[int, int], tick_fen: int
) -> Iterator[tuple[int, int, int, int]]:
    """(first price, last price, bought, sold) of each stretch between the lowest sell and the highest buy, rising."""
    lowest, highest = min(sells), max(buys)
    bought = sum(quantity for price_fen, quantity in buys.items() if price_fen >= lowest)
    sold = 0
    starts = {lowest, *(price for price in sells if price <= highest)}
    starts.update(price + tick_fen for price in buys if lowest <= price < highest)
    ordered = sorted(starts)
    for first, following in zip(ordered, [*ordered[1:], highest + tick_fen], strict=True):
        sold += sells.get(first, 0)
        if first > lowest:
            bought -= buys.get(first - tick_fen, 0)
        yield first, following - tick_fen, bought, sold


def _nearest(first: int, last: int, reference: int, tick_fen: int) -> int:
    """The multiple of the tick from first to last that is nearest to the reference; of two the lower."""
    below = reference // tick_fen * tick_fen
    price = below if 2 * (reference - below) <= tick_fen else below + tick_fen
    return min(max(price, first), last)


def allocate(book: Book, may_trade: MayTrade, price_fen: int) -> Iterator[Filled | Refilled]:
    """Who gets what at this price: buys in priority each walk the sells in priority.

    A fill that did not stand is barred when the next is asked for; else both orders have less. At the end the icebergs that
    were filled and rest show their part anew, where they stand.
    """
    icebergs: dict[str, Order] = {}
    for buy in _auctioned(book.side(BUY), price_fen):
        for sell in met(book, may_trade, buy, price_fen, auction=True):
            before = buy.remaining
            yield Filled(buy.id, sell.id, "", price_fen, min(before, sell.remaining))
            if buy.remaining == before:
                continue
            icebergs.update((one.id, one) for one in (buy, sell) if one.conditions.display)
            if not buy.remaining:
                break
        if book.side(SELL).best is None:
            break
    for order in sorted(icebergs.values(), key=lambda one: one.place):
        if order.remaining:
            yield Refilled(order.id, min(order.conditions.display, order.remaining))


def _auctioned(side: Levels, price_fen: int) -> Iterator[Order]:
    return (order for order in side.walk(price_fen) if not order.conditions.all_or_none)
