"""Excel's number formats and serial numbers: which numbers are dates or shown otherwise, and which date a number is."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import msgspec

from batch_updater.loader.formats.display_format import DisplayFormat, display_format_of
from batch_updater.records import (
    DIGITS_OF_A_CELL,
    CellError,
    FormattedNumber,
    PartlyShownDate,
    PartlyShownDateTime,
    ShownAs,
    digits_of_double,
)

Number: TypeAlias = int | Decimal


class DateKind(Enum):
    """As what a number format shows a number, as far as it is more than a number."""

    DATE = "date"
    DATE_TIME = "date and time"
    TIME = "time of day"
    DURATION = "duration"


class PartOfDate(msgspec.Struct, frozen=True):
    """A format that does not show all of a date."""

    kind: DateKind
    hidden: str
    """What it does not show of any date: `day`, `day and month` ...; '' if nothing."""
    has_two_digits: bool
    """Whether it shows the last two digits of the year alone."""


Format: TypeAlias = DateKind | PartOfDate | DisplayFormat

_BUILT_IN = {
    **dict.fromkeys((1, 3, 5, 6, 37, 38, 41, 42), "0"), **dict.fromkeys((2, 4, 7, 8, 39, 40, 43, 44), "0.00"),
    9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy",
    **dict.fromkeys((14, *range(27, 32), 36, *range(50, 59)), "yyyy-mm-dd"), 22: "yyyy-mm-dd h:mm",
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47), "h:mm"), 46: "[h]:mm", 48: "##0.0E+0",
}  # fmt: skip
"""Formats that a file names by number only, as far as they matter (ECMA-376 part 1, 18.8.30); 27-36 and 50-58 are East
Asian dates. Whether an amount has a currency or its digits in groups makes no difference."""
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]*\]")
_SCIENTIFIC = re.compile(r"e[+-]", re.IGNORECASE)
_DAY_OF_MONTH = re.compile(r"(?<!d)dd?(?!d)")
_FOUR_DIGITS = re.compile(r"yyy|e|g")
_CENTURY = range(1930, 2030)
"""The years that Excel takes two digits for."""


def shown_by(format_id: int, code: str | None) -> Format | None:
    """Return as what a number format shows a number; None if as that number (or text).

    `code` is the file's own definition of the format, which wins over what its number would mean; None if it has none.
    """
    code = _BUILT_IN.get(format_id) if code is None else code
    if code is None:
        return None
    first = _LITERALS.sub("", code).partition(";")[0]
    if _ELAPSED.search(first):
        return DateKind.DURATION
    letters = _SCIENTIFIC.sub("", _BRACKETS.sub("", first)).lower().replace("general", "")
    has_time = "h" in letters or "s" in letters or "am/pm" in letters or "a/p" in letters
    # An m beside hours or seconds means minutes, alone it means months; e and g are Japanese years and eras.
    has_year = any(letter in letters for letter in "yeg")
    if not has_year and "d" not in letters and ("m" not in letters or has_time):
        return DateKind.TIME if has_time else display_format_of(code)
    kind = DateKind.DATE_TIME if has_time else DateKind.DATE
    # ddd is a day of the week, which several days of a month are.
    shows = {"day": _DAY_OF_MONTH.search(letters), "month": "m" in letters.replace("am/pm", ""), "year": has_year}
    hidden = " and ".join(part for part, is_shown in shows.items() if not is_shown)
    has_two_digits = "y" in letters and not _FOUR_DIGITS.search(letters)
    return PartOfDate(kind, hidden, has_two_digits) if hidden or has_two_digits else kind


def apply_format(
    number: Number | CellError, shown: Format | None, *, epoch_1904: bool
) -> Number | date | datetime | time | timedelta | FormattedNumber | CellError:
    """Return a number as its format shows it; as it is, where that makes no difference."""
    if shown is None or isinstance(number, CellError):
        return number
    if isinstance(shown, DisplayFormat):
        return shown.shown(number)
    kind = shown.kind if isinstance(shown, PartOfDate) else shown
    found = from_serial(number, kind, epoch_1904=epoch_1904)
    if isinstance(found, (int, Decimal)):
        return FormattedNumber(number, _NO_DAY.get(found, "########"), "yyyy-mm-dd", ShownAs.OTHERWISE)
    return _date_as_shown(found, shown) if isinstance(found, date) else found


def text_as_shown(text: str | None, shown: Format | None) -> str | CellError | None:
    """Return a text as its format shows it; a fault of its cell if it shows something else."""
    return shown.shown_text(text) if text and isinstance(shown, DisplayFormat) else text


_NO_DAY: dict[Number, str] = {0: "1900-01-00", 60: "1900-02-29"}
"""What Excel shows for the days that are none, and for all others."""


def _date_as_shown(shown_date: date, shown: Format | None) -> date:
    """Return a date, or a moment within a day, with what its format does not show of it."""
    kind = shown
    if isinstance(shown, PartOfDate):
        kind = shown.kind
        hidden = shown.hidden or ("century" if shown.has_two_digits and shown_date.year not in _CENTURY else "")
    else:
        hidden = "date" if shown is DateKind.TIME else ""
    if isinstance(shown_date, datetime) and shown_date.time() != time():
        hidden = "time of day" if kind is DateKind.DATE else hidden
        return PartlyShownDateTime.of(shown_date, hidden) if hidden else shown_date
    return PartlyShownDate.of(shown_date, hidden) if hidden else shown_date


def from_double(value: float) -> Number | CellError:
    """Return a number of a file with the digits that Excel shows at most; a fault of its cell if it is none."""
    if not math.isfinite(value):
        return no_value(str(value))
    # Below this a double is the whole number that it seems to be.
    if value.is_integer() and abs(value) < 10**DIGITS_OF_A_CELL:
        return int(value)
    return digits_of_double(value)


_DAYS_TO_1904 = 1462
_FICTITIOUS_DAY = 60
"""29 February 1900, which Excel believes in: earlier serial numbers are one day off."""
_LAST_DAY = 2958465
_MOST_ELAPSED_DAYS = 10**9
"""Of a `timedelta`."""
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  (a date in a sheet has no time zone)


def from_serial(serial: Number, shown: DateKind, *, epoch_1904: bool) -> Number | date | datetime | time | timedelta:
    """Return what a serial number of days stands for, to the millisecond as Excel rounds it.

    A number that stands for none (a negative date, one past the year 9999, 29 February 1900) is returned as it is.
    """
    if shown is DateKind.DURATION and -_MOST_ELAPSED_DAYS < serial < _MOST_ELAPSED_DAYS:
        return timedelta(milliseconds=round(serial * 86_400_000))
    if not 0 <= serial <= _LAST_DAY + 1 or shown is DateKind.DURATION:
        return serial
    days, part = divmod(serial, 1)
    since_midnight = timedelta(milliseconds=round(part * 86_400_000))
    if part and since_midnight in {timedelta(0), timedelta(days=1)}:  # what is not midnight stays so
        since_midnight = timedelta(microseconds=min(max(1, int(part * 86_400_000_000)), 86_400_000_000 - 1))
    if not days and shown is not DateKind.DATE and not epoch_1904:
        return (_DAY_ZERO + since_midnight).time()
    day = int(days) + (_DAYS_TO_1904 if epoch_1904 else 0)
    if day > _LAST_DAY or (not epoch_1904 and day in {0, _FICTITIOUS_DAY}):
        return serial
    shown_date = _DAY_ZERO + timedelta(day + (day < _FICTITIOUS_DAY)) + since_midnight
    return shown_date.date() if shown is DateKind.DATE and not part else shown_date


NO_VALUE = "#VALUE!"
"""What an error is called that the file does not name, as spreadsheet programs would."""
_MOST_SHOWN = 40


def no_value(text: str) -> CellError:
    """Return the fault of a cell that holds a text where its type asks for a number or a date."""
    return CellError("no-value", text[:_MOST_SHOWN]) if text else CellError("error-cell", NO_VALUE)


def from_iso(value: str, shown: Format | None) -> date | datetime | time | str | CellError:
    """Return what a text in the form of ISO 8601 stands for, where a file stores dates so, as its format shows it.

    One with a time zone is text, of which the same readings are possible as if it had been typed; one that does not
    exist is a fault of its cell.
    """
    try:
        if ":" in value and "T" not in value:
            return time.fromisoformat(value)
        shown_date = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    except ValueError:
        return no_value(value)
    has_zone = isinstance(shown_date, datetime) and shown_date.tzinfo is not None
    return value if has_zone else _date_as_shown(shown_date, shown)
