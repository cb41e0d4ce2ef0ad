"""Instants at the door: RFC 3339 outside, nanoseconds inside, nothing lost between."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.web.instant import Instant, ns_of, optional_ns, optional_text, text_of
from exchange.web.problem import Refusing


@given(st.integers(min_value=0, max_value=2_524_607_999_999_999))
def test_a_microsecond_survives_the_way_out_and_in(at_us: int) -> None:
    text = text_of(at_us * 1_000)
    assert ns_of(msgspec.convert(text, Instant), "at") == at_us * 1_000
    assert datetime.fromisoformat(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_428_000_000_000_000, "2026-11-23T10:00:00Z"),
        (1_795_428_000_500_000_000, "2026-11-23T10:00:00.5Z"),
        (1_795_428_000_000_000_001, "2026-11-23T10:00:00.000000001Z"),
        (1_709_251_199_000_000_000, "2024-02-29T23:59:59Z"),
    ],
)
def test_an_instant_is_told_with_as_many_decimals_as_it_has(at_ns: int, text: str) -> None:
    assert text_of(at_ns) == text


def test_an_offset_is_taken_and_its_lack_is_refused() -> None:
    in_beijing = msgspec.convert("2026-11-23T18:00:00+08:00", Instant)
    assert ns_of(in_beijing, "at") == 1_795_428_000_000_000_000
    for text in ("2026-11-23T18:00:00", "2026-11-23", "yesterday", ""):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, Instant)


@pytest.mark.parametrize(
    "text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
def test_what_no_date_of_a_trade_can_be_is_refused(text: str) -> None:
    with pytest.raises(Refusing, match="at lies between 1970 and 2050"):
        ns_of(msgspec.convert(text, Instant), "at")


def test_no_instant_is_zero_inside_and_null_outside() -> None:
    assert optional_ns(None, "at") == 0
    assert optional_text(0) is None
