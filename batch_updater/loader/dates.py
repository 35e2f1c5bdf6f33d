"""Dates as people type them -> the date, where only one reading is possible."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from batch_updater.config import DateOrder
from batch_updater.loader.refusal import Refusal, shown

if TYPE_CHECKING:
    from decimal import Decimal

_YEAR_FIRST = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_EARLIEST_YEAR = 1900
_EXCEL_DAY_ZERO = date(1899, 12, 30)
_TYPE_ISO = "Type it like 2025-12-31."


def date_from_text(text: str, order: DateOrder | None) -> date:
    """Return the date that a text that is not blank stands for; `order` settles what has two readings. Raises Refusal.

    Read are yyyy-MM-dd, yyyy/MM/dd, dd/MM/yyyy and MM/dd/yyyy, from the year 1900 on.
    """
    bare = text.strip()
    if found := _YEAR_FIRST.fullmatch(bare):
        value = _date_of(int(found[1]), int(found[3]), int(found[4]))
        if value is None:
            raise _impossible(bare)
        return value
    readings = _readings(bare)
    if readings is None:
        raise Refusal("not-a-date", f"{shown(bare, quoted=True)} is not a date that can be read.", _TYPE_ISO)
    possible = {value for value in readings.values() if value is not None}
    if not possible:
        raise _impossible(bare)
    if len(possible) == 1:
        return possible.pop()
    if order is None:
        raise _ambiguous(bare, readings)
    settled = readings[order]
    return settled if settled is not None else possible.pop()


def order_shown_by(text: str) -> DateOrder | None:
    """Return in which order a text date has day and month, if it can be in one only, as in 25/03/2025."""
    readings = _readings(text.strip()) or {}
    possible = [order for order, value in readings.items() if value is not None]
    return possible[0] if len(possible) == 1 else None


def date_from_number(number: int | Decimal) -> Refusal:
    """Return why a number is no date; it may be how Excel stores one."""
    reason = f"{shown(number)} is a number, not a date"
    if 1 <= number <= 2958465:
        day = _EXCEL_DAY_ZERO + timedelta(days=int(number))
        return Refusal(
            "not-a-date",
            f"{reason}; Excel may mean {day:%Y-%m-%d} by it.",
            f"Set the cell's format to Date, or type {day:%Y-%m-%d} if that day is meant.",
        )
    return Refusal("not-a-date", f"{reason}.", _TYPE_ISO)


def _readings(bare: str) -> dict[DateOrder, date | None] | None:
    found = _YEAR_LAST.fullmatch(bare)
    if found is None:
        return None
    first, second, year = map(int, found.groups())
    return {DateOrder.DMY: _date_of(year, second, first), DateOrder.MDY: _date_of(year, first, second)}


def _date_of(year: int, month: int, day: int) -> date | None:
    if year < _EARLIEST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _impossible(bare: str) -> Refusal:
    return Refusal("no-such-date", f"'{bare}' is a date that does not exist, or lies before 1900.", _TYPE_ISO)


def _ambiguous(bare: str, readings: dict[DateOrder, date | None]) -> Refusal:
    day_first, month_first = (f"{readings[order]:%d %B %Y}".lstrip("0") for order in DateOrder)
    return Refusal(
        AMBIGUOUS_DATE,
        f"'{bare}' could be {day_first} or {month_first}.",
        "Type it like 2025-12-31, or set input.date_order to DMY or MDY if the whole file is written so.",
    )


AMBIGUOUS_DATE = "ambiguous-date"
"""Code of the problem about which other cells of the column may hold evidence."""
