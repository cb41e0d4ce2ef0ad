"""What an order or report led to, told from the events of its journal entry alone.

An answer must be the same when a command id is repeated, also after a restart and after things have moved on; so it
is made from what was recorded then, never from what is so now.
"""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from clearing.delivery import TRADE_OPENING
from exchange.events import (
    Completed,
    Held,
    HoldReleased,
    OrderClosed,
    OrderPlaced,
    OrderReduced,
    Settled,
    TradeRefused,
)
from exchange.web.instant import optional_text
from exchange.web.problem import Reasons, Unknown, Violation, unknown_rules


class Fill(Struct, frozen=True, gc=False):
    """One trade of an order. `due` is when the merchant must have delivered, or when a hold ends."""

    trade: str
    state: str
    quantity: int
    price_fen: int
    amount_fen: int
    fee_fen: int | UnsetType = UNSET
    entitlement: str | UnsetType = UNSET
    due: str | UnsetType | None = UNSET
    violated: tuple[Violation, ...] | UnsetType = UNSET
    unknown: tuple[Unknown, ...] | UnsetType = UNSET


class PlacedOrder(Struct, frozen=True, gc=False):
    """The answer to an order. `filled` counts what was settled; `state` is open, partly_filled, filled or closed."""

    order: str
    state: str
    listing: str
    side: str
    quantity: int
    filled: int
    remaining: int
    trades: tuple[Fill, ...]
    closed_reason: str | UnsetType = UNSET


def settled_fill(event: Settled) -> Fill:
    """Units change hands at once, so their trade is settled for good and has no date."""
    return Fill(
        event.trade,
        "settled",
        event.quantity,
        event.price_fen,
        event.amount_fen,
        event.fee_fen,
        event.entitlement or UNSET,
        optional_text(event.due_ns) if event.due_ns else UNSET,
    )


def held_fill(event: Held, reasons: Reasons, at_ns: int) -> Fill:
    return Fill(
        event.trade,
        "held",
        event.quantity,
        event.price_fen,
        event.amount_fen,
        due=optional_text(event.until_ns),
        violated=reasons.violations(event.violated, at_ns, event.capacities),
    )


def refused_fill(event: TradeRefused, reasons: Reasons, at_ns: int) -> Fill:
    return Fill(
        event.trade,
        TRADE_OPENING[event.outcome],
        event.quantity,
        event.price_fen,
        0,
        violated=reasons.violations(event.violated, at_ns, event.capacities),
        unknown=unknown_rules(event.unknown),
    )


def fill_of(event: object, reasons: Reasons, at_ns: int) -> Fill | None:
    """The trade that an event began, if it began one."""
    if type(event) is Settled:
        return settled_fill(event)
    if type(event) is Held:
        return held_fill(event, reasons, at_ns)
    if type(event) is TradeRefused:
        return refused_fill(event, reasons, at_ns)
    return None


def placed_order(events: Iterable[object], reasons: Reasons, at_ns: int) -> PlacedOrder:
    """The order that these events placed; other orders that came in behind it have theirs. 1 us for one that rests, 3 us
    with a fill."""
    placed: OrderPlaced | None = None
    closed_reason: str | UnsetType = UNSET
    fills = []
    filled = held = reduced = 0
    for event in events:
        if type(event) is OrderPlaced:
            placed = event
        elif type(event) is OrderClosed:
            closed_reason = (
                event.reason if placed is not None and event.order == placed.order else closed_reason
            )
        elif type(event) is OrderReduced:
            reduced += event.quantity if placed is not None and event.order == placed.order else 0
        elif _is_of(event, placed) and (fill := fill_of(event, reasons, at_ns)) is not None:
            fills.append(fill)
            filled += fill.quantity if fill.state == "settled" else 0
            held += fill.quantity if fill.state == "held" else 0
    assert placed is not None, "an accepted order has its event"
    remaining = placed.quantity - filled - held - reduced if closed_reason is UNSET else 0
    if closed_reason is UNSET and held and not remaining:
        closed_reason = "held"
    return PlacedOrder(
        placed.order,
        order_state(placed.quantity, filled, held, closed_reason is not UNSET),
        placed.listing,
        placed.side,
        placed.quantity,
        filled,
        remaining,
        tuple(fills),
        closed_reason,
    )


def _is_of(event: object, placed: OrderPlaced | None) -> bool:
    """Whether it is a trade of this order."""
    sides = (getattr(event, "buy_order", ""), getattr(event, "sell_order", ""))
    return placed is not None and placed.order in sides


def order_state(quantity: int, filled: int, held: int, closed: bool) -> str:
    """As `projection.OrderRecord` has it: what is on hold is not filled, and not in the market either."""
    if filled == quantity:
        return "filled"
    if closed:
        return "closed"
    return "partly_filled" if filled or held else "open"


def hold_state(events: Iterable[object], trade: str) -> str:
    """What a held trade is after these events: settled, refused, completed, or held still."""
    state = "held"
    for event in events:
        if type(event) is Settled and event.trade == trade:
            state = "settled"
        elif type(event) is HoldReleased and event.trade == trade:
            state = "refused"
        elif type(event) is Completed and event.trade == trade:
            state = "completed"
    return state
