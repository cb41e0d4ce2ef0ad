"""The working calendar against days that the State Council's notices name, and against counting by hand."""

from datetime import UTC, date, datetime, timedelta

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.calendar import (
    PACKAGE,
    Calendar,
    Year,
    add_working_days,
    day_of,
    end_of,
    is_working_day,
    working_days_between,
    year_of,
)

UNPUBLISHED = PACKAGE.published_until() + 1


def test_a_long_holiday_and_the_weekend_that_pays_for_it() -> None:
    """国办发明电〔2025〕7号: Spring Festival 2026 from 15 to 23 February, worked on 14 and 28 February."""
    assert is_working_day(date(2026, 2, 14))
    assert not any(is_working_day(date(2026, 2, day)) for day in range(15, 24))
    assert is_working_day(date(2026, 2, 24))
    assert is_working_day(date(2026, 2, 28))
    assert not is_working_day(date(2026, 3, 1))


def test_ten_working_days_over_the_spring_festival() -> None:
    """From Friday 13 February 2026: the 14th, then 24 to 28 February, then 2 to 5 March."""
    assert add_working_days(date(2026, 2, 13), 10) == (date(2026, 3, 5), False)
    assert working_days_between(date(2026, 2, 13), date(2026, 3, 5)) == 10


def test_the_day_itself_does_not_count_and_none_is_the_next_working_day() -> None:
    assert add_working_days(date(2026, 6, 8), 1) == (date(2026, 6, 9), False)
    assert add_working_days(date(2026, 6, 8), 0) == (date(2026, 6, 8), False)
    assert add_working_days(date(2026, 6, 6), 0) == (date(2026, 6, 8), False)
    assert working_days_between(date(2026, 6, 8), date(2026, 6, 8)) == 0
    assert working_days_between(date(2026, 6, 9), date(2026, 6, 8)) == -1


def test_the_extended_spring_festival_of_2020() -> None:
    """国办发明电〔2020〕1号 lengthened a holiday that had begun: a notice can change a year that is under way."""
    assert not is_working_day(date(2020, 1, 31))
    assert is_working_day(date(2020, 2, 3))


def test_a_year_without_its_notice_is_provisional_and_has_the_holidays_of_the_law() -> None:
    assert not PACKAGE.is_published(UNPUBLISHED)
    end, provisional = add_working_days(date(UNPUBLISHED - 1, 12, 25), 10)
    assert provisional
    assert end.year == UNPUBLISHED
    of_the_law = holidays.country_holidays("CN", years=UNPUBLISHED)
    assert date(UNPUBLISHED, 10, 1) in of_the_law
    assert not any(is_working_day(day) for day in of_the_law)
    weekdays = [day for day in _days(UNPUBLISHED) if day.weekday() < 5]
    assert sum(map(is_working_day, _days(UNPUBLISHED))) == len([d for d in weekdays if d not in of_the_law])


def test_a_notice_takes_the_place_of_the_fallback() -> None:
    friday = next(day for day in _days(UNPUBLISHED) if day.month == 6 and day.weekday() == 4)
    sunday = friday + timedelta(days=2)
    notice = year_of(UNPUBLISHED, [friday.isoformat()], [sunday.isoformat()])
    later = PACKAGE.with_year(notice)
    assert later.is_published(UNPUBLISHED)
    assert later.published_until() == UNPUBLISHED
    assert (later.is_working_day(friday), later.is_working_day(sunday)) == (False, True)
    assert later.add_working_days(friday - timedelta(days=1), 1) == (sunday, False)
    assert PACKAGE.is_working_day(friday), "a calendar is a value: the old one stands as it was"


@pytest.mark.parametrize(
    ("off", "worked", "says"),
    [
        (["2031-06-07"], [], "Monday to Friday"),
        (["2031-06-06"], ["2031-06-09"], "Saturdays"),
        (["2030-06-06"], [], "lies in 2031"),
        (["2031-06-06", "2031-06-06"], [], "named once"),
        ([], [], "without a day off"),
        (["2031-06-06"], ["2031-06-08"], ""),
    ],
)
def test_a_notice_that_cannot_be_one(off: list[str], worked: list[str], says: str) -> None:
    faults = year_of(2031, off, worked).faults()
    assert says in faults if says else not faults


def test_a_word_that_is_no_date() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        year_of(2031, ["1 June"], [])


@given(st.dates(date(2003, 6, 1), date(2199, 11, 1)), st.integers(0, 40))
def test_adding_and_counting_agree(day: date, number: int) -> None:
    end, _ = add_working_days(day, number)
    assert is_working_day(end)
    counted = sum(is_working_day(day + timedelta(days=ahead)) for ahead in range(1, (end - day).days + 1))
    assert working_days_between(day, end) == counted
    assert counted == number or (number == 0 and counted <= 1)


def test_counting_over_years_is_counting_each_day() -> None:
    first, last = date(2024, 12, 30), date(2027, 1, 5)
    days = (first + timedelta(days=ahead) for ahead in range(1, (last - first).days + 1))
    assert working_days_between(first, last) == sum(map(is_working_day, days))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 6, 7, 15, 59, 59, tzinfo=UTC), date(2026, 6, 7)),
        (datetime(2026, 6, 7, 16, tzinfo=UTC), date(2026, 6, 8)),
    ],
)
def test_days_are_beijing_days(instant: datetime, day: date) -> None:
    at_ns = int(instant.timestamp()) * 1_000_000_000
    assert day_of(at_ns) == day
    assert day_of(end_of(day)) == day
    assert day_of(end_of(day) + 1) == day + timedelta(days=1)


def test_two_notices_are_two_years() -> None:
    one = Year(2031, (date(2031, 1, 1),), ())
    two = Year(2032, (date(2032, 1, 1),), ())
    calendar = Calendar({2031: one}).with_year(two)
    assert calendar.is_published(2031)
    assert calendar.is_published(2032)


def _days(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=ahead) for ahead in range(365)]
