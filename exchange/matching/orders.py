"""What is said to a book and what it answers: the commands and events of `docs/MATCHING.md`, which has every rule.

Prices are fen per the listing's `price_per_units`, quantities whole units, instants UTC nanoseconds. A book knows
orders, their participants and their ultimate owners, and nothing of merchants or law: whether two participants may trade
is asked (`MayTrade`), and so is whether a fill stands (`Stands`).
"""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

Side = Literal["buy", "sell"]
BUY: Final = "buy"
SELL: Final = "sell"

TimeInForce = Literal["gtc", "gtd", "day", "ioc", "fok"]
SelfTrade = Literal["cancel_newest", "cancel_oldest", "cancel_both", "decrement"]
Phase = Literal["closed", "pre_open", "call_auction", "continuous", "halted"]

MayTrade = Callable[[str, str], bool]
"""Buyer and seller: whether the law lets them trade with each other now. Asked before a fill; says the same until told."""


class Conditions(Struct, frozen=True, gc=False):
    """What an order asks beside side, price and quantity; most ask nothing, and share PLAIN.

    `stop_fen` 0: no stop. `display` 0: all of it is shown. `minimum` counts when the order comes in, not later.
    `expires_ns` of gtd and day. `session`: the connection that it ends with, empty for none.
    """

    time_in_force: TimeInForce = "gtc"
    stop_fen: int = 0
    display: int = 0
    minimum: int = 0
    all_or_none: bool = False
    post_only: bool = False
    self_trade: SelfTrade = "cancel_newest"
    expires_ns: int = 0
    session: str = ""


PLAIN: Final = Conditions()


class Instrument(Struct, frozen=True, gc=False):
    """What a book trades. `collar_bp` 0: none, else how far from the last price (first: `reference_fen`) a price may be,
    in basis points of it, rounded down to the fen."""

    tick_fen: int = 1
    lot: int = 1
    collar_bp: int = 0
    reference_fen: int = 0


# ---- commands


class Enter(Struct, frozen=True, gc=False):
    """A new order. `price_fen` 0: at market. `owner` is the ultimate owner."""

    order: str
    side: Side
    price_fen: int
    quantity: int
    owner: str
    participant: str
    conditions: Conditions = PLAIN


class Cancel(Struct, frozen=True, gc=False):
    order: str


class Replace(Struct, frozen=True, gc=False):
    """`quantity`: the whole order, what was filled of it included. `stop_fen` counts while it waits for its stop."""

    order: str
    quantity: int
    price_fen: int
    stop_fen: int = 0
    display: int = 0


class MassCancel(Struct, frozen=True, gc=False):
    """All orders of a participant, of one side or (empty) of both."""

    participant: str
    side: str = ""


class Disconnect(Struct, frozen=True, gc=False):
    session: str


class Expire(Struct, frozen=True, gc=False):
    at_ns: int


class Move(Struct, frozen=True, gc=False):
    """Into another phase. `halted` is left for `resume`, the phase in which the halt began."""

    phase: Literal["closed", "pre_open", "call_auction", "continuous", "halted", "resume"]


Command = Enter | Cancel | Replace | MassCancel | Disconnect | Expire | Move


# ---- events


class Entered(Struct, frozen=True, gc=False):
    order: str


class Refused(Struct, frozen=True, gc=False):
    """Nothing has changed. `code`: duplicate, unknown, quantity, lot, tick, collar, conditions, phase, too_late."""

    order: str
    code: str


class Filled(Struct, frozen=True, gc=False):
    """`maker` is the order that rested, empty in a call auction."""

    buy: str
    sell: str
    maker: str
    price_fen: int
    quantity: int


class Barred(Struct, frozen=True, gc=False):
    """The fill did not stand: these two orders do not meet again."""

    taker: str
    maker: str


class Closed(Struct, frozen=True, gc=False):
    """`reason`: cancelled, ioc, fok, minimum_quantity, post_only, all_or_none, self_trade, expired, disconnected."""

    order: str
    reason: str
    remaining: int


class Refilled(Struct, frozen=True, gc=False):
    """An iceberg shows its next part, behind all others of its price (after a call auction: where it was)."""

    order: str
    shown: int


class Reduced(Struct, frozen=True, gc=False):
    """Self-trade prevention took this much of the order away."""

    order: str
    quantity: int


class CameIn(Struct, frozen=True, gc=False):
    """An order that waited comes in as if it were new. `cause`: stop, all_or_none, crossed."""

    order: str
    cause: str


class Replaced(Struct, frozen=True, gc=False):
    """`remaining` from now on. Where it lost its place it comes in again, behind all others of its price."""

    order: str
    price_fen: int
    remaining: int
    keeps_place: bool


class Moved(Struct, frozen=True, gc=False):
    phase: Phase


class Uncrossed(Struct, frozen=True, gc=False):
    """A call auction was held. `quantity` is what the price would trade, `surplus` what is left of the longer side at it:
    pairs that may not trade make the fills fewer, not the price another. All 0: nothing crossed."""

    price_fen: int
    quantity: int
    surplus: int


Event = (
    Entered | Refused | Filled | Barred | Closed | Refilled | Reduced | CameIn | Replaced | Moved | Uncrossed
)

Stands = Callable[[Filled], bool]
"""Clearing's last word on a fill. Where it says no, nothing has moved and the two orders are barred."""
