"""Money in whole fen (分, a hundredth of a yuan), and the two places where it is rounded.

A price is `price_fen` for `price_per_units` units: 0.035 CNY a call is 3,500 fen per 1,000 calls. An amount
is rounded UP to the fen, once, over the whole quantity of one order or one fill; never per unit. Quantities
in a book are multiples of `price_per_units`, so book amounts are exact and the fills of an order add up to
the order. Where they are not, the amounts of several fills may exceed the amount of their sum by
a fen each: such an order is filled whole or not at all. A part in basis points is rounded DOWN, and the rest
keeps the difference.

No amount reaches `FEN_LIMIT` (2**53, some 90 trillion yuan), so it passes exactly through any JSON reader,
also one that keeps numbers as IEEE 754 doubles (RFC 8259 section 6), and fits a PostgreSQL bigint with room
to add up.
"""

from typing import Final, Literal

from msgspec import Struct

FEN_LIMIT: Final = 2**53
QUANTITY_LIMIT: Final = 2**53
BASIS_POINTS: Final = 10_000

AmountRefusal = Literal[
    "price_negative",
    "price_too_large",
    "price_units_not_positive",
    "quantity_not_positive",
    "quantity_too_large",
    "quantity_not_multiple",
    "amount_too_large",
]
"""Why an amount cannot be formed, in the order in which `refuse_amount` looks."""


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From this quantity on the whole order is at this price, which is per the listing's `price_per_units`."""

    from_units: int
    price_fen: int


def amount_fen(price_fen: int, price_per_units: int, quantity: int) -> int:
    """What the quantity costs, rounded up to the fen. The arguments have passed `refuse_amount`."""
    return -(-price_fen * quantity // price_per_units)


def refuse_amount(
    price_fen: int, price_per_units: int, quantity: int, *, exact: bool = False
) -> AmountRefusal | None:
    """The first reason why this price and quantity make no amount; None when they do. Zero is a price (free).

    `exact` asks for a quantity that needs no rounding, as orders in a book do.
    """
    if price_fen < 0:
        return "price_negative"
    if price_fen >= FEN_LIMIT:
        return "price_too_large"
    if price_per_units <= 0:
        return "price_units_not_positive"
    if quantity <= 0:
        return "quantity_not_positive"
    if quantity >= QUANTITY_LIMIT:
        return "quantity_too_large"
    if exact and quantity % price_per_units:
        return "quantity_not_multiple"
    if amount_fen(price_fen, price_per_units, quantity) >= FEN_LIMIT:
        return "amount_too_large"
    return None
