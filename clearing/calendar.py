"""The working calendar of mainland China: which days count where the law says 工作日 or 交易日.

Weekends are off, the holidays of the law are off, and each year the General Office of the State Council moves days
about (国务院办公厅关于部分节假日安排的通知): working Sundays before a long holiday, days off after it. `chinesecalendar`
holds the notices from 2004 on and has a new release each November or December. A year whose notice is not out yet falls
back to `holidays`, which knows the holidays of the law and none of the moved days: whatever was counted with such a year
is *provisional*, and is counted again when the notice is there (`Calendar.with_year`, or a newer package).

Trading days are working days: the venue trades when offices work. Days are Beijing days (UTC+8, no summer time since
1992). 「按照年、月、日计算期间的，开始的当日不计入，自下一日开始计算。」(民法典第二百零一条第一款)
「期间的最后一日的截止时间为二十四时」(第二百零三条第二款).
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Final

import chinese_calendar
import msgspec
from chinese_calendar import constants

DAY_NS: Final = 86_400_000_000_000
_BEIJING_NS: Final = 8 * 3_600_000_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_YEAR: Final[int] = min(constants.holidays).year
_LAST_YEAR: Final[int] = max(constants.holidays).year


class Year(msgspec.Struct, frozen=True):
    """One year's notice: the days from Monday to Friday that are off, the Saturdays and Sundays that are worked."""

    year: int
    off: tuple[date, ...]
    worked: tuple[date, ...]

    def faults(self) -> str:
        """What is wrong with it, in words; empty where nothing is."""
        days = (*self.off, *self.worked)
        if any(day.year != self.year for day in days) or len(dict.fromkeys(days)) != len(days):
            return f"each day lies in {self.year} and is named once"
        if any(day.weekday() > 4 for day in self.off) or any(day.weekday() < 5 for day in self.worked):
            return "off names days from Monday to Friday, worked names Saturdays and Sundays"
        return "" if self.off else "a year without a day off is none: name those from Monday to Friday"


class Calendar:
    """A calendar is a value: with the notices that came after the package's it is another one.

    Looking up a year the first time costs about 1 ms, and 0.3 s once in a process for the first year that falls back;
    afterwards `working_days_between` costs well under 1 us.
    """

    __slots__ = ("_counts", "_later")

    def __init__(self, later: Mapping[int, Year] | None = None) -> None:
        self._later = dict(later or {})
        self._counts: dict[int, tuple[int, ...]] = {}

    def with_year(self, year: Year) -> "Calendar":
        """The same but for this year's notice, which takes the place of what stood for that year."""
        return Calendar(self._later | {year.year: year})

    def is_published(self, year: int) -> bool:
        """Whether the year's notice is known; else its days are those of the law alone."""
        return year in self._later or _FIRST_YEAR <= year <= _LAST_YEAR

    def is_packaged(self, year: int) -> bool:
        """Whether the package has the State Council's notice of this year."""
        return _FIRST_YEAR <= year <= _LAST_YEAR

    def published_until(self) -> int:
        """The last year from which back no notice is missing."""
        last = _LAST_YEAR
        while self.is_published(last + 1):
            last += 1
        return last

    def is_working_day(self, day: date) -> bool:
        later = self._later.get(day.year)
        if later is not None:
            return day in later.worked or (day.weekday() < 5 and day not in later.off)
        if _FIRST_YEAR <= day.year <= _LAST_YEAR:
            return bool(chinese_calendar.is_workday(day))
        return day.weekday() < 5 and day not in _holidays_of_the_law(day.year)

    def add_working_days(self, day: date, number: int) -> tuple[date, bool]:
        """The last day of a term of so many working days that something on `day` sets off, and whether it is provisional.

        `day` itself does not count. Of none it is the next working day, `day` itself where that is one.
        """
        assert number >= 0, "a term runs ahead"
        end, left = day, number
        while left or not self.is_working_day(end):
            end += timedelta(days=1)
            left -= bool(left) and self.is_working_day(end)
        return end, not all(self.is_published(year) for year in range(day.year, end.year + 1))

    def working_days_between(self, first: date, last: date) -> int:
        """Working days after `first`, up to `last` and with it; below 0 where `last` comes before.

        So `add_working_days(day, n)` ends where this says n.
        """
        if last < first:
            return -self.working_days_between(last, first)
        whole = sum(self._counted(year)[-1] for year in range(first.year, last.year))
        return whole + self._counted(last.year)[_place(last)] - self._counted(first.year)[_place(first)]

    def begun_between(self, first: date, last: date) -> int:
        """Which working day after `first` `last` belongs to: a day off belongs to the next, the one before is over."""
        whole = self.working_days_between(first, last)
        return whole if self.is_working_day(last) else whole + 1

    def _counted(self, year: int) -> tuple[int, ...]:
        """Working days of the year up to its n-th day and with it, n from 0."""
        found = self._counts.get(year)
        if found is None:
            found = self._counts[year] = tuple(self._count(year))
        return found

    def _count(self, year: int) -> Iterable[int]:
        counted, day = 0, date(year, 1, 1)
        yield counted
        while day.year == year:
            counted += self.is_working_day(day)
            yield counted
            day += timedelta(days=1)


def _place(day: date) -> int:
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1


@cache
def _holidays_of_the_law(year: int) -> tuple[date, ...]:
    """The days off by 《全国年节及纪念日放假办法》, without any that a notice moves. The import alone takes 0.3 s."""
    import holidays

    return tuple(day for day in holidays.country_holidays("CN", years=year) if day.year == year)


PACKAGE: Final = Calendar()
"""What the installed packages know."""


def is_working_day(day: date) -> bool:
    return PACKAGE.is_working_day(day)


def add_working_days(day: date, number: int) -> tuple[date, bool]:
    return PACKAGE.add_working_days(day, number)


def working_days_between(first: date, last: date) -> int:
    return PACKAGE.working_days_between(first, last)


def day_of(at_ns: int) -> date:
    """The Beijing day of an instant."""
    return date.fromordinal(_EPOCH + (at_ns + _BEIJING_NS) // DAY_NS)


def start_of_day(text: str) -> int | None:
    """The first instant of a Beijing day that is written as in 2026-11-30, UTC ns; None where it is no day."""
    try:
        return (date.fromisoformat(text).toordinal() - _EPOCH) * DAY_NS - _BEIJING_NS
    except ValueError:
        return None


def end_of(day: date) -> int:
    """The last instant of a Beijing day, UTC ns: an act then is still in time."""
    return (day.toordinal() + 1 - _EPOCH) * DAY_NS - _BEIJING_NS - 1


def month_of(at_ns: int) -> int:
    """The Beijing month of an instant, counted from the beginning of the year 0: twelve a year."""
    day = day_of(at_ns)
    return day.year * 12 + day.month - 1


def month_begins(month: int) -> int:
    """The first instant of a month that `month_of` counts, UTC ns; the last of the month before is just before it."""
    return (date(month // 12, month % 12 + 1, 1).toordinal() - _EPOCH) * DAY_NS - _BEIJING_NS


def month_name(month: int) -> str:
    """As in 2026-01."""
    return f"{month // 12}-{month % 12 + 1:02d}"


def years_on(day: date, years: int) -> date:
    """「没有对应日的，月末日为期间的最后一日。」(民法典第二百零二条)."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def year_of(year: int, off: Iterable[str], worked: Iterable[str]) -> Year:
    """A notice out of ISO dates. Raises ValueError where one is no date."""
    return Year(year, tuple(map(date.fromisoformat, off)), tuple(map(date.fromisoformat, worked)))
