"""A price in any currency as whole fen for a whole number of units. Exact fractions; one rounding, and it is told."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from msgspec import Struct

from exchange.listing import MAX_PRICE_FEN, MAX_UNITS

THOUSAND: Final = 1_000
"""A price that is no whole number of fen is told for so many times the units."""
MOST_DIGITS: Final = 30
"""Of an amount or rate before and after its point. Longer ones are slips, and would cost memory."""
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
    if not value.is_finite() or len(value.as_tuple().digits) > MOST_DIGITS:
        return None
    return value if abs(value.adjusted()) <= MOST_DIGITS else None


def read_amount(text: object) -> Decimal:
    """A price as a row writes it: a text, or a number of JSON. Raises BadPrice."""
    written = isinstance(text, str | int | Decimal) and not isinstance(text, bool)
    value = _decimal(str(text)) if written else None
    if value is None or value < 0:
        raise BadPrice(f"the price {str(text)[:40]!r} is no amount: write it as a decimal, as in 0.035")
    return value


def price_of(amount: Decimal, currency: str, units: int, rates: Mapping[str, Decimal]) -> Price:
    """`amount` is for `units` units. Whole fen stay for these units, the rest is told for a thousand times as many.

    Rounded half to even. Raises BadPrice where there is no rate, or a price above zero would become zero.
    """
    rate = Decimal(1) if currency == LOCAL else rates.get(currency)
    if rate is None:
        raise BadPrice(f"there is no rate for {currency}: give one, as in --rate {currency}=7.10")
    fen = Fraction(amount) * Fraction(rate) * 100
    price = Price(int(fen), units) if fen.denominator == 1 else _for_a_thousand(fen, units)
    if not price.fen and amount:
        raise BadPrice(f"the price {amount} {currency} is below one fen for {price.per_units} units")
    if price.fen > MAX_PRICE_FEN:
        raise BadPrice(
            f"the price {amount} {currency} is above {MAX_PRICE_FEN} fen for {price.per_units} units"
        )
    if price.per_units > MAX_UNITS:
        raise BadPrice(
            f"the price {amount} {currency} is told for {price.per_units} units; at most {MAX_UNITS}"
        )
    return price


def _for_a_thousand(fen: Fraction, units: int) -> Price:
    exact = fen * THOUSAND
    whole = round(exact)
    return Price(whole, units * THOUSAND, whole != exact)
