"""The blotter: open orders of some participants, followed from committed entries, and what those are told of them.

    events of an entry ──fold──> (participant, side, own order, event): placed, changed, traded, closed, owed, reminded

Only those who are followed cost anything. An order is told by its owner's line alone: a fill names both parties, and each
is told its own side. A trade may have no order of its own on a side: the merchant of a posted price, a hold that settles.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from msgspec import Struct

from exchange.events import (
    CertificateReminded,
    DutyBroken,
    DutyMoved,
    DutyOpened,
    EntitlementReminded,
    Event,
    Held,
    OrderCameIn,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    OrderReplaced,
    Settled,
    TradeRefused,
)

BUY: Final = "buy"
SELL: Final = "sell"


class Own(Struct, gc=False):
    """An order in the market. `held` has left it and is not settled."""

    order: str
    participant: str
    listing: str
    side: str
    quantity: int
    filled: int
    held: int
    remaining: int
    limit_fen: int
    client_order_id: str


Owed: TypeAlias = DutyOpened | DutyMoved | DutyBroken
Changed: TypeAlias = OrderCameIn | OrderReplaced | OrderReduced
Line: TypeAlias = tuple[
    str,
    str,
    Own | None,
    OrderPlaced
    | Settled
    | Held
    | TradeRefused
    | OrderClosed
    | Changed
    | Owed
    | EntitlementReminded
    | CertificateReminded,
]
"""Whom to tell, on which side they are, their order as it is after the event (None: without one), and the event."""


class Blotter:
    """Open orders by participant."""

    __slots__ = ("_orders", "_people")

    def __init__(self) -> None:
        self._people: dict[str, dict[str, Own]] = {}
        self._orders: dict[str, Own] = {}

    def __contains__(self, participant: str) -> bool:
        return participant in self._people

    def __bool__(self) -> bool:
        return bool(self._people)

    def follow(self, participant: str, orders: Iterable[Own]) -> None:
        """From now on, with the orders that are open now."""
        mine = self._people[participant] = {own.order: own for own in orders}
        self._orders.update(mine)

    def leave(self, participant: str) -> None:
        for order in self._people.pop(participant, ()):
            del self._orders[order]

    def orders(self, participant: str) -> list[Own]:
        """Open now, the oldest first."""
        return list(self._people[participant].values())

    def fold(self, events: Iterable[Event], participant: str = "") -> Iterator[Line]:
        """Follow one entry, for everybody or for one. Each line is to be used before the next is asked for."""
        people: dict[str, dict[str, Own]] = self._people
        if participant:
            people = {participant: people[participant]}
        for event in events:
            read = READ.get(type(event))
            if read is not None:
                yield from read(self, people, event)

    def _placed(self, people: dict[str, dict[str, Own]], event: OrderPlaced) -> Iterator[Line]:
        mine = people.get(event.participant)
        if mine is not None:
            own = self._orders[event.order] = mine[event.order] = Own(
                event.order, event.participant, event.listing, event.side, event.quantity, 0, 0, event.quantity,
                event.limit_fen, event.client_order_id,
            )  # fmt: skip
            yield event.participant, event.side, own, event

    def _changed(self, people: dict[str, dict[str, Own]], event: Changed) -> Iterator[Line]:
        own = self._orders.get(event.order)
        if own is None or own.participant not in people:
            return
        if type(event) is OrderReplaced:
            own.quantity, own.remaining, own.limit_fen = event.quantity, event.remaining, event.limit_fen
        elif type(event) is OrderReduced:
            own.remaining -= event.quantity
        yield own.participant, own.side, own, event

    def _traded(
        self, people: dict[str, dict[str, Own]], event: Settled | Held | TradeRefused
    ) -> Iterator[Line]:
        for participant, order, side in (
            (event.buyer, event.buy_order, BUY),
            (event.seller, event.sell_order, SELL),
        ):
            mine = people.get(participant)
            if mine is None:
                continue
            own = mine.get(order)
            if own is not None:
                self._match(own, event)
            yield participant, side, own, event
            if own is not None and not own.remaining:
                del mine[order], self._orders[order]

    def _match(self, own: Own, event: Settled | Held | TradeRefused) -> None:
        if type(event) is TradeRefused:
            return
        own.remaining -= event.quantity
        if type(event) is Held:
            own.held += event.quantity
        else:
            own.filled += event.quantity

    def _owed(self, people: dict[str, dict[str, Own]], event: Owed) -> Iterator[Line]:
        if event.participant in people:
            yield event.participant, "", None, event

    def _reminded(self, people: dict[str, dict[str, Own]], event: EntitlementReminded) -> Iterator[Line]:
        for participant, side in ((event.buyer, BUY), (event.seller, SELL)):
            if participant in people:
                yield participant, side, None, event

    def _certificate_ends(
        self, people: dict[str, dict[str, Own]], event: CertificateReminded
    ) -> Iterator[Line]:
        if event.holder in people:
            yield event.holder, "", None, event

    def _closed(self, people: dict[str, dict[str, Own]], event: OrderClosed) -> Iterator[Line]:
        own = self._orders.get(event.order)
        if own is not None and own.participant in people:
            own.remaining = 0
            yield own.participant, own.side, own, event
            del people[own.participant][own.order], self._orders[own.order]


READ: Final[dict[type, Callable[[Blotter, dict[str, dict[str, Own]], Any], Iterator[Line]]]] = {
    OrderPlaced: Blotter._placed,
    Settled: Blotter._traded,
    Held: Blotter._traded,
    TradeRefused: Blotter._traded,
    OrderClosed: Blotter._closed,
    OrderCameIn: Blotter._changed,
    OrderReplaced: Blotter._changed,
    OrderReduced: Blotter._changed,
    DutyOpened: Blotter._owed,
    DutyMoved: Blotter._owed,
    DutyBroken: Blotter._owed,
    EntitlementReminded: Blotter._reminded,
    CertificateReminded: Blotter._certificate_ends,
}
"""Event: what it says to owners of orders."""
