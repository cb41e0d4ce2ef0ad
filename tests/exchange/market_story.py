"""Small stories of an order book, told to the naive twin and to the fast book at once."""

from typing import Any

from exchange.matching.orders import (
    BUY,
    SELL,
    Command,
    Conditions,
    Enter,
    Event,
    Instrument,
    Move,
    Refused,
    Side,
)
from tests.exchange.two_books import TwoBooks

CONTINUOUS = Move("continuous")


def order(name: str, side: Side, quantity: int, price_fen: int, owner: str, **asked: Any) -> Enter:
    """Its participant is called as its owner, and its owner as itself where nothing else is said."""
    return Enter(name, side, price_fen, quantity, owner or name, owner or name, Conditions(**asked))


def buy(name: str, quantity: int, price_fen: int, owner: str = "", **asked: Any) -> Enter:
    return order(name, BUY, quantity, price_fen, owner, **asked)


def sell(name: str, quantity: int, price_fen: int, owner: str = "", **asked: Any) -> Enter:
    return order(name, SELL, quantity, price_fen, owner, **asked)


class Story:
    """Two books, which have to answer alike. What `refused` names (buy, sell) does not stand in them, and what `apart`
    names (buyer, seller) may not trade."""

    def __init__(
        self,
        *refused: tuple[str, str],
        apart: tuple[tuple[str, str], ...] = (),
        **instrument: int,
    ) -> None:
        self.books = TwoBooks(
            Instrument(**instrument),
            lambda buyer, seller: (buyer, seller) not in apart,
            lambda fill: (fill.buy, fill.sell) not in refused,
        )
        self.book = self.books.twin

    def after(self, *commands: Command) -> list[Event]:
        """What the last of them brought about."""
        events: list[Event] = []
        for command in commands:
            events = self.books.execute(command)
            self.books.check()
        return events

    def opened(self, *commands: Command) -> "Story":
        """In continuous, after `commands`."""
        return self.taken(CONTINUOUS, *commands)

    def taken(self, *commands: Command) -> "Story":
        """After `commands`, none of which was refused."""
        for command in commands:
            assert not any(isinstance(event, Refused) for event in self.after(command)), command
        return self

    def rests(self) -> list[tuple[str, int]]:
        return [(row[0], row[3]) for row in self.book.resting()]
