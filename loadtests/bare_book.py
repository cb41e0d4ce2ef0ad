"""What a book costs at least in Python: levels in dictionaries, prices in heaps that are cleaned when they are looked at.

No order objects, owners, law, events, totals or depth. The yardstick of `loadtests/bench_book.py`, whose streams it also
tells what is still there to be cancelled.
"""

from heapq import heappop, heappush

Row = list[int]
"""Quantity left, price, 1 for a buy."""


class BareBook:
    """A level is a dictionary of rows, oldest first; the heaps keep prices whose level is empty until they are reached."""

    __slots__ = ("asks", "at", "bids", "fills", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.bids: list[int] = []
        self.asks: list[int] = []
        self.at: tuple[dict[int, dict[str, Row]], dict[int, dict[str, Row]]] = ({}, {})
        self.fills = 0

    def add(self, order: str, buys: int, price: int, quantity: int) -> None:
        """Take what it crosses and rest with what is left."""
        if buys:
            asks, levels = self.asks, self.at[0]
            while asks and asks[0] <= price:
                if asks[0] not in levels:
                    heappop(asks)
                    continue
                quantity = self._take(levels, asks[0], quantity)
                if not quantity:
                    return
        else:
            bids, levels = self.bids, self.at[1]
            while bids and -bids[0] >= price:
                if -bids[0] not in levels:
                    heappop(bids)
                    continue
                quantity = self._take(levels, -bids[0], quantity)
                if not quantity:
                    return
        levels = self.at[buys]
        level = levels.get(price)
        if level is None:
            level = levels[price] = {}
            if buys:
                heappush(self.bids, -price)
            else:
                heappush(self.asks, price)
        level[order] = self.rows[order] = [quantity, price, buys]

    def _take(self, levels: dict[int, dict[str, Row]], price: int, quantity: int) -> int:
        level = levels[price]
        while level:
            order = next(iter(level))
            row = level[order]
            self.fills += 1
            if row[0] > quantity:
                row[0] -= quantity
                return 0
            quantity -= row[0]
            del level[order], self.rows[order]
            if not quantity:
                break
        if not level:
            del levels[price]
        return quantity

    def cancel(self, order: str) -> None:
        row = self.rows.pop(order)
        levels = self.at[row[2]]
        level = levels[row[1]]
        del level[order]
        if not level:
            del levels[row[1]]
