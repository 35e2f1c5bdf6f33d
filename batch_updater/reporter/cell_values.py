"""Cells -> values that a sheet holds exactly, or a text with a mark that says that it cannot."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

from batch_updater.records import NOT_EXACT_MARK, Cell, CellError, FormattedNumber, digits_of_double

Writable: TypeAlias = str | float | bool | datetime | date | time | timedelta | None

LONGEST_TEXT = 32_767
"""Characters that Excel holds in a cell, counted in UTF-16 units."""
LARGEST_WHOLE = 2**53
"""Whole numbers up to here are exact as the doubles that a sheet holds."""
COLUMNS_OF_A_SHEET = 16_384
FIRST_DAY = date(1900, 3, 1)
"""The first that has the same number in every program: before it lies the 29 February 1900, which never was."""
STARTS_FORMULA = frozenset("=+-@")
"""Excel makes a formula of such a text as soon as a person edits its cell."""
_UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_SHOWN_OF_A_MARKED = 200


class _Digits(float):
    """A number that is written with digits of its own: XlsxWriter's 16 are one too few for some doubles."""

    digits: str

    def __format__(self, _spec: str) -> str:
        return self.digits


def writable(cell: Cell) -> Writable:
    """Return what is written for a cell; marked text where a sheet cannot hold it exactly."""
    match cell:
        case None | bool():
            return cell
        case str():
            return cell if holds_text(cell) else marked(cell)
        case int() | Decimal():
            return _number(cell)
        case FormattedNumber():
            return _number(cell.number)
        case CellError():
            # An error's name is, as text too, a problem when it comes back.
            return cell.text if cell.code == "error-cell" else marked(cell.text)
        case datetime():
            is_exact = cell.date() >= FIRST_DAY and not cell.microsecond and cell.tzinfo is None
        case date():
            is_exact = cell >= FIRST_DAY
        case time():
            is_exact = not cell.microsecond
        case timedelta():
            is_exact = cell >= timedelta() and not cell.microseconds
    return cell if is_exact else marked(str(cell))


def _number(cell: int | Decimal) -> Writable:
    """Write a number if the double nearest to it comes back as exactly these digits."""
    if isinstance(cell, int):
        return float(cell) if abs(cell) <= LARGEST_WHOLE else marked(str(cell))
    number = _Digits(cell)
    number.digits = repr(float(cell))
    return number if comes_back(cell) else marked(format(cell, "f"))


def comes_back(number: Decimal) -> bool:
    """Whether a number that is written into a cell is read from it with these very digits."""
    return math.isfinite(double := float(number)) and digits_of_double(double) == number


def holds_text(text: str) -> bool:
    """Whether a cell holds this text as it is."""
    fits = len(text) <= LONGEST_TEXT // 2 or len(text.encode("utf-16-le", "surrogatepass")) // 2 <= LONGEST_TEXT
    return fits and not _UNHOLDABLE.search(text)


def marked(text: str) -> str:
    """Return a text that says that the sheet could not hold the cell, with its beginning."""
    return NOT_EXACT_MARK + readable(text[:_SHOWN_OF_A_MARKED]) + (" ..." if len(text) > _SHOWN_OF_A_MARKED else "")


def readable(text: str) -> str:
    """Return a text of ours or of the API's as a cell can show it: characters that it cannot hold are replaced."""
    return text if holds_text(text) else _UNHOLDABLE.sub("\N{REPLACEMENT CHARACTER}", text)[: LONGEST_TEXT // 2]


def shown(cell: Cell) -> str:
    """Return about what a cell shows."""
    return "" if cell is None else cell.text if isinstance(cell, (CellError, FormattedNumber)) else str(cell)


def text_of_cell(cell: Cell) -> str:
    """Return what a cell shows, as a person would type it: typing just that changes nothing."""
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case Decimal():
            return format(cell, "f")
        case datetime():
            return str(cell).removesuffix(" 00:00:00")
    return shown(cell)
