"""Word of one's own orders: what `exchange.blotter` follows, encoded once for each participant's open connections.

Somebody who begins to watch gets the open orders out of the tables, as of a journal row, and then whatever is committed
behind that row: nothing is missing between the two and nothing is told twice. Nobody watching costs a commit nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Protocol

import asyncpg
import msgspec
from msgspec import Meta, Struct

from exchange import projector
from exchange.blotter import Blotter, Line, Own
from exchange.engine import Engine
from exchange.events import (
    CertificateReminded,
    DutyBroken,
    DutyMoved,
    DutyOpened,
    EntitlementReminded,
    OrderCameIn,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    OrderReplaced,
    Refused,
)
from exchange.projection import OrderRecord
from exchange.projector import Progress
from exchange.venue import Outcome
from exchange.web.fills import Fill, fill_of, order_state
from exchange.web.instant import text_of
from exchange.web.problem import Reasons, Refusing

log = logging.getLogger("shuji.watch")

MOST_OPEN: Final = 5_000
"""Open orders of one participant who watches them."""

Text = Annotated[str, Meta(description="RFC 3339")]


class OpenOrder(Struct, frozen=True):
    """An own order in the market."""

    order: str
    listing: str
    side: str
    quantity: int
    filled: int
    remaining: int
    limit_fen: int | None
    client_order_id: str | None


class PlacedView(Struct, frozen=True, tag_field="type", tag="placed"):
    """An own order came in, by whichever way. What it met at once follows as `trade`."""

    sequence: int
    at: Text
    order: str
    listing: str
    side: str
    quantity: int
    limit_fen: int | None
    client_order_id: str | None


class ChangedView(Struct, frozen=True, tag_field="type", tag="changed"):
    """An own order in a book is another: `why` is replaced, stop (its stop was reached), all_or_none, crossed (it came in
    again by itself), or self_trade (a part of it is gone). What it meets follows as `trade`."""

    sequence: int
    at: Text
    order: str
    listing: str
    side: str
    why: str
    quantity: int
    remaining: int
    limit_fen: int | None


class TradedView(Struct, frozen=True, tag_field="type", tag="trade"):
    """A trade of one's own, settled, held or refused, and the order as it is after it.

    `order` is null where this side has none: a sale at a posted price, a hold that settles.
    """

    sequence: int
    at: Text
    order: str | None
    listing: str
    side: str
    state: str | None
    filled: int | None
    remaining: int | None
    trade: Fill


class ClosedView(Struct, frozen=True, tag_field="type", tag="closed"):
    """What was left of an own order (`quantity`) is out of the market."""

    sequence: int
    at: Text
    order: str
    listing: str
    side: str
    quantity: int
    filled: int
    reason: str


class DutyTold(Struct, frozen=True, tag_field="type", tag="duty"):
    """An own duty after a trade was opened (`state` scheduled, with its date), or has moved on; `GET /v1/duties/{duty}`."""

    sequence: int
    at: Text
    duty: str
    kind: str
    trade: str
    state: str
    due: Text | None


class ReminderTold(Struct, frozen=True, tag_field="type", tag="entitlement_reminder"):
    """An entitlement that one has bought or sold (`side`) ends soon."""

    sequence: int
    at: Text
    entitlement: str
    side: str
    until: Text


class CertificateTold(Struct, frozen=True, tag_field="type", tag="certificate_reminder"):
    """The certificate of an own product ends soon: a reviewer renews it before, on an application with its evidence."""

    sequence: int
    at: Text
    product: str
    certificate: str
    until: Text


_ENCODE: Final = msgspec.json.Encoder().encode


class Watching(Protocol):
    """A connection that is told, until it is cut off."""

    def tell(self, line: str) -> None: ...

    def cut(self, reason: str) -> None: ...


class Watchers:
    """Who watches whose orders. One a venue, in the engine's process and loop."""

    def __init__(
        self, engine: Engine, progress: Progress, pool: "asyncpg.Pool[asyncpg.Record]", reasons: Reasons
    ) -> None:
        self._engine = engine
        self._progress = progress
        self._pool = pool
        self._reasons = reasons
        self._blotter = Blotter()
        self._watching: dict[str, dict[Watching, None]] = {}
        self._waiting: list[tuple[int, list[Outcome]]] = []
        self._recent: list[tuple[int, list[Outcome]]] | None = None
        """Commits since somebody began, until they watch."""
        self._lock = asyncio.Lock()
        engine.on_entries.append(self._committed)

    async def begin(self, one: Watching, participant: str, told: Callable[[list[OpenOrder]], None]) -> None:
        """`told` gets the open orders; from then on the connection is told. Refuses too many open orders.

        Raises what a database that is not there raises.
        """
        async with self._lock:
            if participant in self._blotter:
                self._digest()
                told([_open(own) for own in self._blotter.orders(participant)])
            else:
                await self._follow(participant, told, one)
            self._watching.setdefault(participant, {})[one] = None

    def end(self, one: Watching, participant: str) -> None:
        mine = self._watching.get(participant)
        if mine is not None and one in mine:
            del mine[one]
            if not mine:
                del self._watching[participant]
                self._blotter.leave(participant)

    async def _follow(self, participant: str, told: Callable[[list[OpenOrder]], None], one: Watching) -> None:
        self._recent = []
        try:
            await self._progress.caught_up(self._engine.sequence)
            sequence, rows = await projector.open_orders(self._pool, participant, MOST_OPEN + 1)
            self._digest()
            if len(rows) > MOST_OPEN:
                raise Refusing(
                    Refused.out_of_bounds, f"up to {MOST_OPEN} open orders are watched: cancel some"
                )
            self._blotter.follow(participant, map(_own, rows))
            told([_open(own) for own in self._blotter.orders(participant)])
            for row in self._recent:
                if row[0] > sequence:
                    self._tell(row, participant, (one,))
        finally:
            self._recent = None

    # --- from the engine

    def _committed(self, sequence: int, entries: list[Outcome]) -> None:
        if self._blotter or self._recent is not None:
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._digest)
            self._waiting.append((sequence, entries))

    def _digest(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            for row in waiting:
                if self._recent is not None:
                    self._recent.append(row)
                if self._blotter:
                    self._tell(row)
        except Exception:
            log.critical("the orders that are watched are lost: whoever watches begins anew", exc_info=True)
            self._blotter = Blotter()
            for one in [one for mine in self._watching.values() for one in mine]:
                one.cut("begin anew: connect, sign in and watch again")
            self._watching = {}

    def _tell(
        self, row: tuple[int, list[Outcome]], participant: str = "", these: Sequence[Watching] = ()
    ) -> None:
        sequence, outcomes = row
        for outcome in outcomes:
            for line in self._blotter.fold(outcome.events, participant):
                text = _ENCODE(self._view(line, sequence, outcome.at_ns)).decode()
                for one in these or self._watching.get(line[0], ()):
                    one.tell(text)

    def _view(
        self, line: Line, sequence: int, at_ns: int
    ) -> PlacedView | ChangedView | TradedView | ClosedView | DutyTold | ReminderTold | CertificateTold:
        _, side, own, event = line
        at = text_of(at_ns)
        if isinstance(event, DutyOpened | DutyMoved | DutyBroken):
            return DutyTold(
                sequence, at, event.duty, event.kind, event.trade, *_state_and_due(event)
            )  # fmt: skip
        if isinstance(event, EntitlementReminded):
            return ReminderTold(sequence, at, event.entitlement, side, text_of(event.until_ns))
        if isinstance(event, CertificateReminded):
            until = text_of(event.valid_until_ns)
            return CertificateTold(sequence, at, event.product, event.certificate, until)
        if isinstance(event, OrderPlaced):
            limit = event.limit_fen or None
            mine = event.client_order_id or None
            return PlacedView(
                sequence, at, event.order, event.listing, side, event.quantity, limit, mine
            )  # fmt: skip
        if isinstance(event, OrderCameIn | OrderReplaced | OrderReduced):
            assert own is not None, "only an order that is followed is told changed"
            return ChangedView(
                sequence, at, own.order, own.listing, side, _why(event), own.quantity, own.remaining,
                own.limit_fen or None,
            )  # fmt: skip
        if isinstance(event, OrderClosed):
            assert own is not None, "only an order that is followed is told closed"
            return ClosedView(
                sequence, at, own.order, own.listing, side, event.remaining, own.filled, event.reason
            )
        fill = fill_of(event, self._reasons, at_ns)
        assert fill is not None, "a line of the blotter is an order or a trade"
        if own is None:
            return TradedView(sequence, at, None, event.listing, side, None, None, None, fill)
        state = order_state(own.quantity, own.filled, own.held, not own.remaining)
        return TradedView(
            sequence, at, own.order, own.listing, side, state, own.filled, own.remaining, fill
        )  # fmt: skip


def _why(event: OrderCameIn | OrderReplaced | OrderReduced) -> str:
    if isinstance(event, OrderCameIn):
        return event.cause
    return "replaced" if isinstance(event, OrderReplaced) else "self_trade"


def _state_and_due(event: DutyOpened | DutyMoved | DutyBroken) -> tuple[str, str | None]:
    """The date is told once, when the duty is opened."""
    if isinstance(event, DutyOpened):
        return "scheduled", text_of(event.due_ns)
    return (event.state if isinstance(event, DutyMoved) else "broken"), None


def _own(row: OrderRecord) -> Own:
    return Own(
        row.id, row.participant, row.listing, row.side, row.quantity, row.filled, row.held, row.remaining,
        row.limit_fen, row.client_order_id,
    )  # fmt: skip


def _open(own: Own) -> OpenOrder:
    return OpenOrder(
        own.order, own.listing, own.side, own.quantity, own.filled, own.remaining, own.limit_fen or None,
        own.client_order_id or None,
    )  # fmt: skip
