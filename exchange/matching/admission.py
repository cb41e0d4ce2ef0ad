"""Whether a book takes an order, or its replacement: in the order of `docs/MATCHING.md`. Changes nothing."""

from typing import Final

from exchange.matching.book import Book, Order
from exchange.matching.meeting import collar
from exchange.matching.orders import PLAIN, Conditions, Enter, Phase, Replace

_REST = ("gtc", "gtd", "day")

CONTRADICTIONS: Final = (
    "a market order rests nowhere: ioc or fok, or a limit",
    "an order without a limit is not post_only, all_or_none or in parts (display_quantity)",
    "ioc and fok rest nowhere: without post_only and display_quantity",
    "all_or_none goes without display_quantity, minimum_quantity and self_trade decrement",
    "fok asks for all of it already: without minimum_quantity and all_or_none",
    "post_only goes without minimum_quantity, all_or_none and stop_fen",
    "display_quantity and minimum_quantity are at most the quantity",
    "expires_at goes with gtd, and with nothing else",
)
"""What contradicts what, in the order in which it is said."""


def entry_refusal(book: Book, phase: Phase, command: Enter) -> str:
    """The code of the first thing that fails; empty: it is taken."""
    if command.order in book:
        return "duplicate"
    conditions, plain = command.conditions, command.conditions is PLAIN
    if command.quantity <= 0 or command.price_fen < 0 or (not plain and _negative(conditions)):
        return "quantity"
    if (not plain or not command.price_fen) and contradictory(
        conditions, command.price_fen, command.quantity
    ):
        return "conditions"
    if phase != "continuous" and not _taken_in(phase, command):
        return "phase"
    parts = (command.quantity, conditions.display, conditions.minimum)
    return _off_grid(book, parts, command.price_fen, conditions.stop_fen)


def _negative(conditions: Conditions) -> bool:
    return conditions.display < 0 or conditions.minimum < 0 or conditions.stop_fen < 0


def contradictory(conditions: Conditions, price_fen: int, quantity: int) -> bool:
    """Whether what the order asks cannot all be had."""
    return any(_contradictions(conditions, price_fen, quantity))


def contradiction(conditions: Conditions, price_fen: int, quantity: int) -> str:
    """What of it cannot be had, for people; empty where all can."""
    found = zip(CONTRADICTIONS, _contradictions(conditions, price_fen, quantity), strict=True)
    return next((words for words, holds in found if holds), "")


def _contradictions(conditions: Conditions, price_fen: int, quantity: int) -> tuple[object, ...]:
    """For each of `CONTRADICTIONS` whether it holds."""
    in_force, whole = conditions.time_in_force, conditions.all_or_none
    rests, display, minimum = in_force in _REST, conditions.display, conditions.minimum
    return (
        not price_fen and rests and not conditions.stop_fen,
        not price_fen and (conditions.post_only or display or whole),
        not rests and (conditions.post_only or display),
        whole and (display or minimum or conditions.self_trade == "decrement"),
        in_force == "fok" and (minimum or whole),
        conditions.post_only and (minimum or whole or conditions.stop_fen),
        display > quantity or minimum > quantity,
        (in_force in ("gtd", "day")) != bool(conditions.expires_ns),
    )


def _taken_in(phase: Phase, command: Enter) -> bool:
    """Outside continuous trading: nothing in closed and halted, before an auction what rests or waits."""
    if phase in ("closed", "halted"):
        return False
    conditions = command.conditions
    if conditions.stop_fen:
        return True
    asks = conditions.post_only or conditions.minimum or conditions.all_or_none
    return bool(command.price_fen) and conditions.time_in_force in _REST and not asks


def _off_grid(book: Book, parts: tuple[int, ...], price_fen: int, stop_fen: int) -> str:
    instrument = book.instrument
    if instrument.lot != 1 and any(part % instrument.lot for part in parts):
        return "lot"
    if instrument.tick_fen != 1 and (price_fen % instrument.tick_fen or stop_fen % instrument.tick_fen):
        return "tick"
    ends = collar(book)
    if ends is not None and any(price and not ends[0] <= price <= ends[1] for price in (price_fen, stop_fen)):
        return "collar"
    return ""


def replace_refusal(book: Book, phase: Phase, command: Replace) -> str:
    """The code of the first thing that fails; empty: it is replaced."""
    order = book.get(command.order)
    if order is None:
        return "unknown"
    if phase in ("closed", "halted", "call_auction"):
        return "phase"
    if command.quantity <= 0 or min(command.price_fen, command.stop_fen, command.display) < 0:
        return "quantity"
    if _cannot_become(order, command):
        return "conditions"
    stop_fen = (command.stop_fen or order.conditions.stop_fen) if book.waits(order) else 0
    wrong = _off_grid(book, (command.quantity, command.display), command.price_fen, stop_fen)
    return wrong or ("" if remaining_after(order, command) > 0 else "too_late")


def remaining_after(order: Order, command: Replace) -> int:
    """What would remain of it; not positive where as much was filled already."""
    return command.quantity - (order.quantity - order.remaining)


def _cannot_become(order: Order, command: Replace) -> bool:
    """An order without a price stays without one, one with a price keeps one. A display may be above what remains."""
    conditions = order.conditions
    if bool(command.price_fen) != bool(order.price_fen) or command.quantity < conditions.minimum:
        return True
    in_part = conditions.all_or_none or conditions.time_in_force not in _REST or not order.price_fen
    return bool(command.display) and in_part
