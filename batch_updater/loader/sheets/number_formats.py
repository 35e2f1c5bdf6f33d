"""Excel's number formats and serial numbers: which numbers are dates or masked, and which date a number is."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.loader.sheets.masks import Mask, mask_of
from batch_updater.model import CellFault

if TYPE_CHECKING:
    from batch_updater.model import ShownNumber

Number: TypeAlias = int | Decimal


class Shown(Enum):
    """As what a number format shows a number, as far as it is more than a number."""

    DATE = "date"
    DATE_TIME = "date and time"
    TIME = "time of day"
    DURATION = "duration"


# Formats that a file names by number only (ECMA-376 part 1, 18.8.30); 27-36 and 50-58 are East Asian dates.
_BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)), Shown.DATE),
    22: Shown.DATE_TIME,
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47), Shown.TIME),
    46: Shown.DURATION,
}
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]*\]")
_SCIENTIFIC = re.compile(r"e[+-]", re.IGNORECASE)


def shown_by(format_id: int, code: str | None) -> Shown | Mask | None:
    """Return as what a number format shows a number; None if as that number (or text).

    `code` is the file's own definition of the format; None if it has none and the format is a built-in one.
    """
    return _BUILT_IN.get(format_id) if code is None else _shown_by_code(code) or mask_of(code)


def _shown_by_code(code: str) -> Shown | None:
    first = _LITERALS.sub("", code).partition(";")[0]
    if _ELAPSED.search(first):
        return Shown.DURATION
    letters = _SCIENTIFIC.sub("", _BRACKETS.sub("", first)).lower().replace("general", "")
    has_time = "h" in letters or "s" in letters or "am/pm" in letters or "a/p" in letters
    # An m beside hours or seconds means minutes, alone it means months; e and g are Japanese years and eras.
    has_date = any(letter in letters for letter in "ydeg") or ("m" in letters and not has_time)
    if has_date:
        return Shown.DATE_TIME if has_time else Shown.DATE
    return Shown.TIME if has_time else None


def as_shown(
    number: Number, shown: Shown | Mask, *, epoch_1904: bool
) -> Number | date | datetime | time | timedelta | ShownNumber:
    """Return a number as its format shows it; as it is, where that makes no difference."""
    if isinstance(shown, Shown):
        return from_serial(number, shown, epoch_1904=epoch_1904)
    return shown.shown(number)


_EXACT_BELOW = 10**15
"""Excel keeps 15 digits: a floating-point number below this is the whole number it seems to be."""


def from_double(value: float) -> Number:
    """Return a number of a file: whole, or the shortest digits that stand for the double. Raises ValueError."""
    if not math.isfinite(value):
        message = "not a finite number"
        raise ValueError(message)
    if value.is_integer() and abs(value) < _EXACT_BELOW:
        return int(value)
    return Decimal(repr(value).removesuffix(".0"))


_DAYS_TO_1904 = 1462
_FICTITIOUS_DAY = 60
"""29 February 1900, which Excel believes in: earlier serial numbers are one day off."""
_LAST_DAY = 2958465
_MOST_ELAPSED_DAYS = 10**9
"""Of a `timedelta`."""
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  (a date in a sheet has no time zone)


def from_serial(serial: Number, shown: Shown, *, epoch_1904: bool) -> Number | date | datetime | time | timedelta:
    """Return what a serial number of days stands for, to the millisecond as Excel rounds it.

    A number that stands for none (a negative date, one past the year 9999, 29 February 1900) is returned as it is.
    """
    if shown is Shown.DURATION and -_MOST_ELAPSED_DAYS < serial < _MOST_ELAPSED_DAYS:
        return timedelta(milliseconds=round(serial * 86_400_000))
    if not 0 <= serial <= _LAST_DAY + 1 or shown is Shown.DURATION:
        return serial
    days, part = divmod(serial, 1)
    since_midnight = _since_midnight(Decimal(part))
    if not days and shown is not Shown.DATE and not epoch_1904:
        return (_DAY_ZERO + since_midnight).time()
    day = _day(int(days), epoch_1904=epoch_1904)
    if day is None:
        return serial
    moment = day + since_midnight
    return moment.date() if shown is Shown.DATE and not part else moment


NO_VALUE = "#VALUE!"
"""What an error is called that the file does not name, as spreadsheet programs would."""
_MOST_SHOWN = 40


def no_value(text: str) -> CellFault:
    """Return the fault of a cell that holds a text where its type asks for a number or a date."""
    return CellFault("no-value", text[:_MOST_SHOWN]) if text else CellFault("error-cell", NO_VALUE)


def from_iso(value: str) -> date | datetime | time | str | CellFault:
    """Return what a text in the form of ISO 8601 stands for, where a format stores dates so. A date stands for itself.

    One with a time zone is text, of which the same readings are possible as if it had been typed; one that does not
    exist is a fault of its cell.
    """
    try:
        if ":" in value and "T" not in value:
            return time.fromisoformat(value)
        moment = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    except ValueError:
        return no_value(value)
    return value if isinstance(moment, datetime) and moment.tzinfo is not None else moment


def _since_midnight(part: Decimal) -> timedelta:
    """Return how much of the day has passed; whatever is not midnight stays so, however close it is."""
    rounded = timedelta(milliseconds=round(part * 86_400_000))
    if part and rounded in {timedelta(0), timedelta(days=1)}:
        return timedelta(microseconds=min(max(1, int(part * 86_400_000_000)), 86_400_000_000 - 1))
    return rounded


def _day(days: int, *, epoch_1904: bool) -> datetime | None:
    if epoch_1904:
        days += _DAYS_TO_1904
    elif days == _FICTITIOUS_DAY or not days:
        return None
    elif days < _FICTITIOUS_DAY:
        days += 1
    return _DAY_ZERO + timedelta(days=days) if days <= _LAST_DAY else None
