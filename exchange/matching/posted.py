"""A posted price: what an order costs by its quantity, and what of it may still be had.

The first tier is from one unit on, at the listed price. From a tier's units on the whole order is at that tier's price, not
only what lies above. Each tier is cheaper than the one before, so that nobody pays less by splitting an order. How much of
a listing is left is the smaller of what its supply and its limit for each buyer leave. All prices are per the listing's
`price_per_units`.
"""

from collections.abc import Sequence
from typing import Final

from clearing.money import FEN_LIMIT, QUANTITY_LIMIT, Tier

MOST_TIERS: Final = 20


def unit_price_fen(listed_fen: int, tiers: Sequence[Tier], quantity: int) -> int:
    """The price at which all of an order of this quantity is sold."""
    price_fen = listed_fen
    for tier in tiers:
        if quantity < tier.from_units:
            break
        price_fen = tier.price_fen
    return price_fen


def refuse_tiers(listed_fen: int, tiers: Sequence[Tier]) -> str:
    """What is wrong with these tiers; empty where nothing is."""
    if len(tiers) > MOST_TIERS:
        return f"terms.tiers has at most {MOST_TIERS} tiers"
    if tiers and (tiers[0].from_units, tiers[0].price_fen) != (1, listed_fen):
        return f"terms.tiers begins with one unit at the listed price: from_units 1, price_fen {listed_fen}"
    units, price_fen = 1, listed_fen
    for tier in tiers[1:]:
        if not units < tier.from_units < QUANTITY_LIMIT:
            return f"terms.tiers: from_units {tier.from_units} lies above {units}, that of the tier before"
        if not 0 <= tier.price_fen < min(price_fen, FEN_LIMIT):
            return (
                f"terms.tiers: from {tier.from_units} units on the price is below {price_fen} fen, that of the tier before,"
                " so that nobody pays less by splitting an order"
            )
        units, price_fen = tier.from_units, tier.price_fen
    return ""


def left(supply: str, supply_units: int, taken: int) -> int | None:
    """Units that a listing still has; None without limit. What is exclusive is sold once."""
    if supply == "unlimited":
        return None
    return max(0, (1 if supply == "exclusive" else supply_units) - taken)


def left_for(per_buyer_units: int, bought: int) -> int | None:
    """Units that a buyer may still have who has had so many; None without limit."""
    return max(0, per_buyer_units - bought) if per_buyer_units else None
