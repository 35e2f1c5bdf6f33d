"""Cells that are no text -> values of the kinds of fields that have one for them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from batch_updater.loader.dates import EARLIEST_YEAR, date_from_number, has_time_of_day, impossible_date
from batch_updater.loader.refusal import ValueProblem, digits_of, shown
from batch_updater.records import DIGITS_OF_A_CELL, Value

_MORE_DIGITS = 10**DIGITS_OF_A_CELL
"""The least whole number that Excel does not keep every digit of."""
_TRUTHS: Final = {"true": True, "false": False}
_NAMES_OF_TYPES = ((bool, "a truth value"), (date, "a date"), (time, "a time of day"), (timedelta, "a duration"))


def integer_of(cell: object) -> int:
    """Return the whole number of a cell that is no text. Raises ValueProblem."""
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        raise _not_a_number(cell, "a whole number")
    if isinstance(cell, Decimal) and cell != cell.to_integral_value():
        raise ValueProblem.of(
            cell, "not-a-whole-number", "is not a whole number", "Type it without a decimal fraction."
        )
    if abs(cell) >= _MORE_DIGITS:
        raise damaged(cell)
    return int(cell)


def decimal_of(cell: object) -> Decimal:
    """Return the number of a cell that is no text. Raises ValueProblem."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = Decimal(cell)
    if not isinstance(cell, Decimal):
        raise _not_a_number(cell, "a number")
    if cell.adjusted() >= DIGITS_OF_A_CELL and has_more_digits(cell):
        raise damaged(cell)
    return cell


def truth_of(cell: object) -> Value:
    """Return the truth value of a cell, text included. Raises ValueProblem."""
    value = _TRUTHS.get(cell.strip().lower()) if isinstance(cell, str) else cell
    if isinstance(value, bool):
        return value
    raise ValueProblem.of(cell, "not-true-or-false", "is neither TRUE nor FALSE", "Type TRUE or FALSE.")


def date_of(cell: object) -> Value:
    """Return the date of a cell that is no text. Raises ValueProblem."""
    if isinstance(cell, datetime):
        if cell.time() != time():
            raise has_time_of_day(shown(cell), cell.date())
        cell = cell.date()
    if isinstance(cell, date):
        if cell.year < EARLIEST_YEAR:
            raise impossible_date(shown(cell))
        return cell
    if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool):
        raise date_from_number(cell)
    raise ValueProblem.of(cell, "not-a-date", f"is {kind_of_cell(cell)}, not a date", "Type it like 2025-12-31.")


def text_of(cell: object) -> Value:
    """Return the text that a number is sent as. Raises ValueProblem."""
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        what = f"is {kind_of_cell(cell)}, where text is expected; Excel may have made it so"
        raise ValueProblem.of(cell, "not-text", what, "Set the cell's format to Text and type it again.")
    if abs(cell) >= _MORE_DIGITS or has_more_digits(cell):
        raise damaged(cell)
    return digits_of(cell)


def _not_a_number(cell: object, wanted: str) -> ValueProblem:
    is_moment = isinstance(cell, (date, time, timedelta))
    remedy = "Set the cell's format to Number and type the number again." if is_moment else "Type the number."
    return ValueProblem.of(cell, "not-a-number", f"is {kind_of_cell(cell)}, not {wanted}", remedy)


def kind_of_cell(cell: object) -> str:
    """Return what a cell that is no text is, with its article."""
    return next((name for of_type, name in _NAMES_OF_TYPES if isinstance(cell, of_type)), "a number")


def damaged(cell: int | Decimal) -> ValueProblem:
    """Return why a number is refused of which Excel may have lost digits."""
    what = f"is a number of more than {DIGITS_OF_A_CELL} digits, of which Excel keeps only {DIGITS_OF_A_CELL}"
    remedy = "Set the cell's format to Text and type it again, from its source."
    return ValueProblem.of(cell, "may-be-damaged", what, remedy)


def has_more_digits(number: int | Decimal) -> bool:
    """Whether a number has more digits than Excel keeps."""
    return len(digits_of(number).lstrip("-").replace(".", "").strip("0")) > DIGITS_OF_A_CELL
