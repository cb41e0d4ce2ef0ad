"""The naive twin of the order book: one list in order of arrival, sorted anew for every question."""

from collections.abc import Iterator

from exchange.matching.book import Order
from exchange.matching.orders import BUY, Side


class NaiveBook:
    """Obviously right and slow: every method reads the whole list. It never keeps the caller's orders."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, Side, int, int]] = []
        """(id, side, price in fen, remaining)"""

    def add(self, order: Order) -> None:
        self.arrived.append((order.id, order.side, order.price_fen, order.remaining))

    def remove(self, order_id: str) -> int:
        """What remained of it."""
        (remaining,) = [row[3] for row in self.arrived if row[0] == order_id]
        self.arrived = [row for row in self.arrived if row[0] != order_id]
        return remaining

    def reduce(self, order_id: str, quantity: int) -> None:
        rows = [(*row[:3], row[3] - quantity) if row[0] == order_id else row for row in self.arrived]
        self.arrived = [row for row in rows if row[3] > 0]

    def queue(self, side: Side) -> list[tuple[str, int, int]]:
        """(id, price in fen, remaining), best price first, then oldest first: sorting is stable."""
        rows = [(row[0], row[2], row[3]) for row in self.arrived if row[1] == side]
        return sorted(rows, key=lambda row: -row[1] if side == BUY else row[1])

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        queue = self.queue(side)
        prices = list(dict.fromkeys(price for _, price, _ in queue))[:levels]
        return [self._level([row for row in queue if row[1] == price]) for price in prices]

    @staticmethod
    def _level(rows: list[tuple[str, int, int]]) -> tuple[int, int, int]:
        return rows[0][1], sum(remaining for _, _, remaining in rows), len(rows)

    def makers(self, taker_side: Side, limit_fen: int | None) -> Iterator[tuple[str, int, int]]:
        buying = taker_side == BUY
        for row in self.queue("sell" if buying else "buy"):
            if limit_fen is None or (row[1] <= limit_fen if buying else row[1] >= limit_fen):
                yield row
