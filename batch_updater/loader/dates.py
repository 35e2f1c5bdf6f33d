"""Dates as people type them -> the date, where only one reading is possible."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

import msgspec

from batch_updater.config.schema import DateOrder
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.text.lazy_pattern import lazy_pattern

_Readings: TypeAlias = list[tuple[DateOrder | None, date]]
"""The dates that a text may stand for, each with the order of day and month that makes it one (None: any)."""

AMBIGUOUS_DATE = "ambiguous-date"
"""Code of the problem about which other cells of the column may hold evidence."""
AMBIGUOUS_CENTURY = "ambiguous-century"
"""Code of the problem of a date that has one reading once the century is known."""
AMBIGUOUS_ORDER_AND_CENTURY = "ambiguous-order-and-century"
AMBIGUOUS_DAY = "ambiguous-day"
"""Code of the problem of a date of which they hold none."""
_YEAR_FIRST = lazy_pattern(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = lazy_pattern(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})")
_MONTHS: Final = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MONTH_NUMBERS: Final = {name: number for number, full in enumerate(_MONTHS, 1) for name in (full, full[:3])} | {
    "sept": 9
}
_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
_WEEKDAY_NUMBERS: Final = {full[:length]: at for at, full in enumerate(_WEEKDAYS) for length in (3, 4, 5, 9)}
_AFTER_WEEKDAY = lazy_pattern(r"(?P<weekday>[A-Za-z]{3,9})(?:\.?,\s*|\.?\s+)(?P<day>.*[0-9].*)")
_NAME = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?P<year>[0-9]{4}|'?[0-9]{2})"
_BETWEEN = r"(?:\s*[-/,]\s*|\s+)"
_NAMED = tuple(
    lazy_pattern(pattern, re.IGNORECASE)
    for pattern in (
        f"{_DAY}(?:{_BETWEEN}|)(?:of )?{_NAME}(?:{_BETWEEN}|){_YEAR}",
        f"{_NAME}{_BETWEEN}{_DAY}{_BETWEEN}{_YEAR}",
        r"(?P<year>[0-9]{4})" + f"{_BETWEEN}{_NAME}{_BETWEEN}{_DAY}",
    )
)
_WITH_TIME = lazy_pattern(
    # Oracle writes 25-MAR-26 12.00.00.000000 AM, Db2 2026-03-25-00.00.00.000000.
    r"(?P<day>.*[0-9])(?:[Tt]|,?\s+|-(?=[0-9]{2}\.[0-9]{2}\.[0-9]{2}))"
    r"(?P<hour>[0-9]{1,2})(?P<mark>[:.])(?P<minute>[0-9]{2})"
    r"(?:(?P=mark)(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?\s*(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_SERIAL_NUMBER = lazy_pattern(r"[1-9][0-9]{4}")
"""How Excel stores a date from 1927 on, and exports it where the cell has no format of dates."""
_MOST_CHARACTERS = 60
_MOST_DAYS = 31
EARLIEST_YEAR = 1900
_EXCELS_FIRST_YEAR = 1930
"""First of the hundred years that Excel takes two digits for."""
_EXCEL_DAY_ZERO = date(1899, 12, 30)
_TYPE_ISO = "Type it like 2025-12-31"
_ORDER = "--date-order DMY or --date-order MDY (or set input.date_order)"


class DateSettings(msgspec.Struct, frozen=True):
    """What settles a date that has more than one reading."""

    order: DateOrder | None = None
    first_year: int | None = None
    """First of the hundred years that two digits stand for; None: they leave the century open."""

    def years(self, digits: str) -> tuple[int, ...]:
        """Return the years that digits may stand for."""
        year = int(digits.lstrip("'"))
        if len(digits) == len("yyyy"):
            return (year,)
        if self.first_year is not None:
            return (self.first_year + (year - self.first_year) % 100,)
        return (2000 + year, 1900 + year)


_UNSETTLED = DateSettings()


def date_from_text(text: str, settings: DateSettings) -> date:
    """Return the date that a text that is not blank stands for. Raises ValueProblem.

    Read are numbers with dashes, slashes or dots, with the year in four digits first or last, English names of months,
    the right name of the weekday in front, and a time of day that is midnight; from the year 1900 on. `settings` settle
    what has several readings.
    """
    bare = text.strip()
    if (found := _YEAR_FIRST.fullmatch(bare)) and (value := _date_of(found[1], found[3], found[4])):
        return value
    weekday, rest = None, bare
    if len(bare) <= _MOST_CHARACTERS and (found := _AFTER_WEEKDAY.fullmatch(bare)):
        weekday = _WEEKDAY_NUMBERS.get(found["weekday"].lower())
        rest = bare if weekday is None else found["day"]
    day = _without_time(rest, bare, settings)
    readings = _readings(day, settings)
    if readings is None:
        if _SERIAL_NUMBER.fullmatch(bare):
            raise date_from_number(int(bare))
        raise ValueProblem.of(bare, "not-a-date", "is not a date that can be read", f"{_TYPE_ISO}.")
    if not readings:
        raise impossible_date(bare)
    possible = _left_by(settings.order, readings)
    if len(possible) > 1:
        raise _ambiguous(bare, day, possible, settings)
    value = possible[0]
    if settings.order is None and _may_have_day_too_many(day):
        what = f"could be {_long(value)}, or, with the year in front, a date that does not exist"
        remedy = f"{_TYPE_ISO}, or if the whole file is written so, add {_ORDER}."
        raise ValueProblem.of(bare, AMBIGUOUS_DAY, what, remedy)
    if weekday not in {None, value.weekday()}:
        what = f"names two days: {_long(value)} is a {_WEEKDAYS[value.weekday()].title()}"
        raise ValueProblem.of(bare, AMBIGUOUS_DAY, what, f"{_TYPE_ISO}.")
    return value


def _left_by(order: DateOrder | None, readings: _Readings) -> list[date]:
    """Return the different dates that an order of day and month leaves; all of them if it leaves none."""
    asked = [value for asked, value in readings if asked is order] if order is not None else []
    return list(dict.fromkeys(asked or [value for _, value in readings]))


def order_shown_by(text: str) -> tuple[DateOrder, bool] | None:
    """Return in which order a text date has day and month, if it can be in one only, as in 25/03/2025.

    The second value is whether that is so wherever the year is: 13/03/26 may be a day of 2013.
    """
    found = _YEAR_LAST.fullmatch(day_in(text) if ":" in text else text.strip())
    readings = {order for order, _ in _numbered(found, _UNSETTLED)} if found else set()
    orders = [order for order in readings if order is not None]
    return (orders[0], None not in readings) if len(orders) == 1 else None


def date_from_number(number: int | Decimal) -> ValueProblem:
    """Return why a number is no date; it may be how Excel stores one."""
    what, remedy = "is a number, not a date", f"{_TYPE_ISO}."
    if 1 <= number <= 2958465:
        day = _EXCEL_DAY_ZERO + timedelta(days=int(number))
        what += f"; Excel may mean {day:%Y-%m-%d} by it"
        remedy = f"Set the cell's format to Date, or type {day:%Y-%m-%d} if that day is meant."
    return ValueProblem.of(number, "not-a-date", what, remedy)


def has_time_of_day(cell: str, day: date | None) -> ValueProblem:
    """Return why a date with a time of day is refused; `cell` is what the cell shows."""
    return ValueProblem(
        "has-time-of-day",
        f"{cell} is a date with a time of day, but only a date can be sent.",
        f"Type {day:%Y-%m-%d} if that day is meant." if day else f"{_TYPE_ISO}.",
    )


def impossible_date(bare: str) -> ValueProblem:
    """Return why a date that no spreadsheet program shows is refused."""
    return ValueProblem.of(bare, "no-such-date", "is a date that does not exist, or lies before 1900", f"{_TYPE_ISO}.")


class DayAndTime(NamedTuple):
    """The parts of a text date with a time of day."""

    day: str
    hour: int
    minute: int
    second: int
    fraction: str
    """Digits of the second's fraction; '' if it has none."""
    zone: str
    """As it is written: `Z`, `UTC`, `+01:00`, `+0100`; '' if it has none."""


def day_and_time(text: str) -> DayAndTime | None:
    """Return the parts of a text without blanks around it; None if it does not end with a time of day."""
    found = _WITH_TIME.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if found is None:
        return None
    hour, half = int(found["hour"]), found["half"]
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half in "Pp" else 0)
    minute, second = int(found["minute"]), int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return DayAndTime(found["day"], hour, minute, second, found["part"] or "", found["zone"] or "")


def day_in(text: str) -> str:
    """Return a text date without its time of day."""
    parts = day_and_time(text.strip())
    return parts.day if parts else text


def _without_time(date_and_time: str, bare: str, settings: DateSettings) -> str:
    """Return a date without its time of day, which has to be midnight, and the same day in UTC."""
    parts = day_and_time(date_and_time)
    readings = _readings(parts.day, settings) if parts else None
    if parts is None or readings is None:
        return date_and_time
    if not readings:
        raise impossible_date(bare)
    left = _left_by(settings.order, readings)
    day = left[0] if len(left) == 1 else None
    # Whatever is not midnight stays so, however close it is.
    if parts.hour or parts.minute or parts.second or parts.fraction.strip("0"):
        raise has_time_of_day(shown(bare, quoted=True), day)
    if parts.zone[:1] == "+" and parts.zone.strip("+:0"):
        # Whichever day is meant, midnight there is the day before in UTC.
        here = day or readings[0][1]
        what = f"could be {_long(here)} or {_long(here - timedelta(days=1))}: it is another day in another time zone"
        raise ValueProblem.of(bare, AMBIGUOUS_DAY, what, f"{_TYPE_ISO}, without time and zone.")
    return parts.day


def _readings(bare: str, settings: DateSettings) -> _Readings | None:
    """Return the dates that a text without a time of day may stand for; None if it does not look like a date."""
    if len(bare) > _MOST_CHARACTERS:
        return None
    if found := _YEAR_FIRST.fullmatch(bare):
        value = _date_of(found[1], found[3], found[4])
        return [] if value is None else [(None, value)]
    if found := _YEAR_LAST.fullmatch(bare):
        return _numbered(found, settings)
    for pattern in _NAMED:
        if (found := pattern.fullmatch(bare)) and (month := _MONTH_NUMBERS.get(found["month"].lower())):
            values = [_date_of(year, month, found["day"]) for year in settings.years(found["year"])]
            return [(None, value) for value in values if value is not None]
    return None


def _numbered(found: re.Match[str], settings: DateSettings) -> _Readings:
    first, second, last = int(found[1]), int(found[3]), int(found[4])
    readings: _Readings = []
    for year in settings.years(found[4]):
        for order, month, day in ((DateOrder.DMY, second, first), (DateOrder.MDY, first, second)):
            value = _date_of(year, month, day)
            if value is not None:
                readings.append((order, value))
    is_day = 1 <= first <= _MOST_DAYS
    # 31-06-26 is a slip rather than a day of 1931; where the order of day and month is named, the year is last.
    if settings.order is None and _may_have_year_first(found) and (readings or not is_day):
        readings += [(None, value) for year in settings.years(found[1]) if (value := _date_of(year, second, last))]
    return readings


def _may_have_year_first(found: re.Match[str]) -> bool:
    """Whether any of the numbers may be the year, as in 25-03-31."""
    return len(found[1]) == len(found[4]) == len("yy")


def _may_have_day_too_many(day: str) -> bool:
    """Whether a text is a day that does not exist if its year is in front: 25-02-29."""
    found = _YEAR_LAST.fullmatch(day)
    if found is None or not _may_have_year_first(found) or not 1 <= int(found[4]) <= _MOST_DAYS:
        return False
    return int(found[3]) <= len(_MONTHS) and not any(
        _date_of(year, found[3], found[4]) for year in _UNSETTLED.years(found[1])
    )


def _date_of(year: int | str, month: int | str, day: int | str) -> date | None:
    try:
        value = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return value if value.year >= EARLIEST_YEAR else None


def _ambiguous(bare: str, day: str, possible: list[date], settings: DateSettings) -> ValueProblem:
    """Return why a date with several readings is refused, with the settings that would leave one of them."""
    # Naming the century, the order, or both: the first that leaves one reading are the fewest.
    orders = (DateOrder.DMY, DateOrder.MDY) if settings.order is None else ()
    centuries = (_EXCELS_FIRST_YEAR,) if settings.first_year is None else ()
    for order, first_year in (
        *((settings.order, first_year) for first_year in centuries),
        *((order, settings.first_year) for order in orders),
        *((order, first_year) for order in orders for first_year in centuries),
    ):
        if len(_left_by(order, _readings(day, DateSettings(order, first_year)) or [])) == 1:
            names_order, names_century = order is not settings.order, first_year != settings.first_year
            break
    else:
        names_order = names_century = False
    remedy = _TYPE_ISO
    if len({value.year % 100 for value in possible}) < len({value.year for value in possible}):
        remedy += ", with all four digits of the year"
    asked = [_ORDER] if names_order else []
    if names_century:
        asked.append(
            "--two-digit-years (or set input.two_digit_years) with the first year of the hundred (1930: from 1930 to "
            "2029)"
        )
    if asked:
        remedy += f", or if the whole file is written so, add {' and '.join(asked)}"
    named = [_long(value) for value in possible]
    return ValueProblem.of(
        bare,
        _CODES[names_order, names_century],
        f"could be {', '.join(named[:-1])} or {named[-1]}",
        f"{remedy}.",
    )


_CODES: Final = {
    (True, False): AMBIGUOUS_DATE,
    (False, True): AMBIGUOUS_CENTURY,
    (True, True): AMBIGUOUS_ORDER_AND_CENTURY,
    (False, False): AMBIGUOUS_DAY,
}
"""Whether the order of day and month, and the century, would settle a date -> the code of its problem."""
SEVERAL_DAYS: Final = frozenset(_CODES.values())
"""Codes of the problems of texts that are dates all the same."""


def _long(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1].title()} {day.year}"
