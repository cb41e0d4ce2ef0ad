"""A price in any currency as whole fen for a whole number of units. Exact decimals; one rounding, and it is told."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from msgspec import Struct

THOUSAND: Final = 1_000
"""A price that is no whole number of fen is told for so many times the units."""
MOST_FEN: Final = 10**12
LOCAL: Final = "CNY"


class BadPrice(ValueError):
    """The text says what is wrong and what to do."""


class Price(Struct, frozen=True):
    """`fen` for `per_units` units; `rounded` where that is not exactly what the row says."""

    fen: int
    per_units: int
    rounded: bool = False


def read_rates(texts: Sequence[str]) -> dict[str, Decimal]:
    """`USDC=7.10` as {currency: CNY for one}. Raises BadPrice."""
    rates = {}
    for text in texts:
        currency, _, rate = text.partition("=")
        value = _decimal(rate)
        if not currency or value is None or value <= 0:
            raise BadPrice(f"--rate {text}: give a currency and CNY for one of it, as in --rate USDC=7.10")
        rates[currency.upper()] = value
    return rates


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def read_amount(text: object) -> Decimal:
    """A price as a row writes it. Raises BadPrice."""
    value = _decimal(text) if isinstance(text, str) else None
    if value is None or value < 0:
        raise BadPrice(f"the price {str(text)[:40]!r} is no amount: write it as a decimal, as in 0.035")
    return value


def price_of(amount: Decimal, currency: str, units: int, rates: Mapping[str, Decimal]) -> Price:
    """`amount` is for `units` units. Whole fen stay for these units, the rest is told for a thousand times as many.

    Raises BadPrice where there is no rate, or a price above zero would become zero.
    """
    rate = Decimal(1) if currency == LOCAL else rates.get(currency)
    if rate is None:
        raise BadPrice(f"there is no rate for {currency}: give one, as in --rate {currency}=7.10")
    fen = amount * rate * 100
    if fen > MOST_FEN:
        raise BadPrice(f"the price {amount} {currency} is above {MOST_FEN} fen")
    if fen == fen.to_integral_value():
        return Price(int(fen), units)
    exact = fen * THOUSAND
    whole = exact.to_integral_value(ROUND_HALF_EVEN)
    if not whole:
        raise BadPrice(f"the price {amount} {currency} is below one fen for {units * THOUSAND} units")
    return Price(int(whole), units * THOUSAND, whole != exact)
