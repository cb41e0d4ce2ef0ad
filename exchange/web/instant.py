"""Instants at the door: RFC 3339 with an offset outside, UTC nanoseconds inside."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

from exchange.events import Refused
from exchange.web.problem import Refusing

Instant = Annotated[datetime, Meta(tz=True, examples=["2026-11-23T10:00:00Z"])]
"""An instant in a body. One without an offset is refused: nobody guesses a zone."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_NS: Final = 1_000_000_000
_LAST_NS: Final = 253_402_300_800 * _SECOND_NS // 100
"""About 2050: beyond it dates are mistakes, and 64 bits hold whatever is added to them."""


def ns_of(instant: datetime, field: str) -> int:
    """UTC nanoseconds. Refuses what lies before 1970 or beyond 2050."""
    at_ns = (instant - _EPOCH) // _MICROSECOND * 1_000
    if not 0 <= at_ns <= _LAST_NS:
        raise Refusing(Refused.out_of_bounds, f"{field} lies between 1970 and 2050")
    return at_ns


def optional_ns(instant: datetime | None, field: str) -> int:
    """0 where there is none."""
    return 0 if instant is None else ns_of(instant, field)


@lru_cache(maxsize=4_096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%dT")


def text_of(at_ns: int) -> str:
    """RFC 3339 in UTC; as many decimals as the instant has. 0.7 us: on the way of every filled order."""
    seconds, rest = divmod(at_ns, _SECOND_NS)
    days, second = divmod(seconds, 86_400)
    text = f"{_day(days)}{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02}"
    decimals = f"{rest:09d}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"


def optional_text(at_ns: int) -> str | None:
    """None for 0, which means no instant."""
    return text_of(at_ns) if at_ns else None
