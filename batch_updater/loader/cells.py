"""A cell and the field it is for -> the value that is sent, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Final

import msgspec

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Bounds, Field, Kind
from batch_updater.loader.as_seen import TINY, cell_as_seen
from batch_updater.loader.clear_marker import ClearMarker
from batch_updater.loader.currencies import CurrencyWatch, currency_sign
from batch_updater.loader.dates import (
    EARLIEST_YEAR,
    DateSettings,
    date_from_number,
    date_from_text,
    has_time_of_day,
    impossible_date,
)
from batch_updater.loader.findings import CellNote
from batch_updater.loader.numbers import decimal_from_text, integer_from_text, text_without_residue, without_residue
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.loader.texts import TextReader, as_written, refuse_for_cause
from batch_updater.records import DIGITS_OF_A_CELL, NOT_EXACT_MARK, Cell, CellError, Value
from batch_updater.text.characters import folded, suggestion


class Blank:
    """The cell holds nothing: its field is not sent."""


BLANK: Final = Blank()

_ERRORS = (
    "#NULL! #DIV/0! #VALUE! #REF! #NAME? #NUM! #N/A #GETTING_DATA #SPILL! #CONNECT! #BLOCKED! #UNKNOWN! #FIELD! "
    "#CALC! #BUSY! #EXTERNAL! #PYTHON! #TIMEOUT! "
    # In German, French, Spanish, Italian, Portuguese, Dutch, Polish and Swedish.
    "#NV #BEZUG! #WERT! #ZAHL! #\u00dcBERLAUF! #NUL! #VALEUR! #NOM? #NOMBRE! #\u00a1DIV/0! #\u00a1NULO! "
    "#\u00a1VALOR! #\u00a1REF! #\u00a1NUM! #\u00bfNOMBRE? #N/D #NULLO! #VALORE! #RIF! #NOME? #NULO! #VALOR! "
    "#N\u00daM! #WAARDE! #VERW! #NAAM? #GETAL! #N/B #ARG! #ADR! #NAZWA? #LICZBA! #SKIPPAT! #V\u00c4RDEFEL! "
    "#REFERENS! #NAMN? #OGILTIGT! #SAKNAS!"
)
ERROR_LITERALS = frozenset(_ERRORS.split())
"""What Excel shows in a cell whose formula failed; an export to CSV holds the same as text."""
_ERROR_OF_LIBREOFFICE = re.compile(r"Err:[0-9]{3}")
_DIGITS = frozenset("0123456789")
_EXACT = Context(prec=1_000)
"""Divides numbers of any size that a cell may hold; the usual context gives up at 28 digits."""
_MORE_DIGITS = 10**DIGITS_OF_A_CELL
"""The least whole number that Excel does not keep every digit of."""
_NO_VALUE: Final = {
    "error-cell": (
        "error-cell",
        "The cell shows the error {text} instead of a value.",
        "Repair the formula, or type the value itself; leave the cell blank to keep the field as it is.",
    ),
    "formula-without-value": (
        "formula-without-value",
        "The cell holds the formula {text}, but the file was saved without its result.",
        "Open the file in a spreadsheet program, save it and run again; or type the value itself.",
    ),
    "stale-formula": (
        "stale-formula",
        "The cell holds the formula {text}, and the workbook says that its saved results are out of date.",
        "Open the file in a spreadsheet program, calculate and save it and run again; or type the value itself.",
    ),
    "merged-cell": (
        "merged-cell",
        "The cell is part of the merged cells {text}, whose value stands for {first} alone.",
        "Unmerge the cells and give every row its own value.",
    ),
    "hidden-text": (
        "shown-otherwise",
        "The cell holds the text {quoted}, which its format does not show.",
        "Set the cell's format to General; then keep the text, or clear the cell to leave the field as it is.",
    ),
    "text-shown-otherwise": (
        "shown-otherwise",
        "The cell shows {quoted}, of which its format has added a part.",
        "Set the cell's format to Text and type the text that is meant.",
    ),
    "no-value": (
        "no-value",
        "The cell is stored as a number, a date or a truth value, but contains {quoted}.",
        "Type the value itself; leave the cell blank to keep the field as it is.",
    ),
}
"""Code of a cell that holds no value -> code, reason and remedy of its problem."""
_TRUTHS: Final = {"true": True, "false": False}
_NAMES_OF_TYPES = ((bool, "a truth value"), (date, "a date"), (time, "a time of day"), (timedelta, "a duration"))
_SEEN_AS_THEY_ARE = frozenset({int, bool, date, datetime})
"""Types of nearly all cells that are no text; a format that shows something else makes another type of them."""
_VALUES_LISTED = 20


class ColumnFacts(msgspec.Struct, frozen=True):
    """What is known about a column beyond its field."""

    header: str = ""
    """'' where there is none, as for a constant."""
    is_verbatim: bool = False
    """Whether its texts are records' own, so that they are taken as they are, probable or not."""
    has_fractions: bool = False
    """Whether some of its texts are numbers with a fraction, such as 4711.5."""
    clears: str = ""
    """A text that empties the field as the clear marker does, as a person has answered."""


_UNKNOWN: Final = ColumnFacts()


def converter(
    field: Field, settings: InputSettings, noted: list[CellNote], column: ColumnFacts = _UNKNOWN
) -> Callable[[Cell], Value | Blank]:
    """Return the function that turns a cell into the field's value, BLANK or a `ValueProblem`.

    It adds to `noted` what people should know of a cell that is sent all the same.
    """
    marker, judge = ClearMarker(settings.clear_marker), judge_of(field)
    watch = CurrencyWatch(field, column.header, noted)
    from_text, from_other = _readers(field, settings, noted, column, watch)
    is_plain = None
    if field.kind is Kind.TEXT and not field.enum and not column.is_verbatim:
        texts = TextReader(field, noted, marker, has_fractions=column.has_fractions)
        from_text, is_plain = texts.read, None if judge else texts.is_plain
    # A text that is no value of the field is looked at for the likely cause.
    explains = not column.is_verbatim and (field.kind is not Kind.TEXT or bool(field.enum))

    def convert(cell: Cell) -> Value | Blank:
        if isinstance(cell, str):
            if is_plain is not None and is_plain(cell):
                return cell
            text = cell.strip()
            if not text:
                return BLANK
            if text in {marker.text, column.clears}:
                if field.nullable:
                    return None
                reason = f"The {field.title} cannot be cleared, which {text!r} asks for."
                raise ValueProblem("cannot-be-cleared", reason, "Type a value.")
            if text[0] in "#E[=":
                _refuse_what_is_no_value(text)
            try:
                value = from_text(cell)
                return value if judge is None else judge(value)
            except ValueProblem:
                if explains:
                    refuse_for_cause(field, cell, marker)
                raise
        if cell is None:
            return BLANK
        if isinstance(cell, CellError):
            raise _no_value(cell)
        seen = cell if type(cell) in _SEEN_AS_THEY_ARE else cell_as_seen(cell, field, noted, watch)
        value = from_other(seen)
        return value if judge is None else judge(value)

    def convert_amount(cell: Cell) -> Value | Blank:
        # Nearly every amount that is not typed as text.
        if type(cell) is Decimal and TINY <= cell.adjusted() < DIGITS_OF_A_CELL:
            return cell
        return convert(cell)

    return convert_amount if field.kind is Kind.DECIMAL and judge is None else convert


def _readers(
    field: Field, settings: InputSettings, noted: list[CellNote], column: ColumnFacts, watch: CurrencyWatch
) -> tuple[Callable[[str], Value], Callable[[object], Value]]:
    """Return how the field reads text that is not blank, and how it reads every other cell with a value."""
    match field.kind:
        case Kind.INTEGER | Kind.DECIMAL:
            read = _number_reader(field, settings.decimal, watch, None if column.is_verbatim else noted)
            return read, _integer if field.kind is Kind.INTEGER else _decimal
        case Kind.BOOLEAN:
            return _truth, _truth
        case Kind.DATE:
            dates = DateSettings(settings.date_order, settings.two_digit_years)
            return lambda text: date_from_text(text, dates), _date
        case _:
            return lambda text: as_written(field, text), _text


def _refuse_what_is_no_value(text: str) -> None:
    if text.upper() in ERROR_LITERALS or _ERROR_OF_LIBREOFFICE.fullmatch(text):
        raise _no_value(CellError("error-cell", text))
    if text.startswith(NOT_EXACT_MARK.strip()):
        raise ValueProblem(
            "not-exact",
            "The value of this cell could not be kept exactly in the workbook.",
            f"Type the value again, in full and without {NOT_EXACT_MARK.strip()!r}.",
        )
    if text.startswith('="') and text.endswith('"') and len(text) > len('=""'):
        what = "is how programs write a text for Excel alone"
        raise ValueProblem.of(
            text, "formula-as-text", what, f"Type {shown(text[2:-1], quoted=True)}, if that is meant."
        )


def _no_value(fault: CellError) -> ValueProblem:
    """Return the problem of a cell that holds an error, or something else that is no value."""
    code, reason, remedy = _NO_VALUE.get(fault.code, _NO_VALUE["error-cell"])
    text, quoted, first = shown(fault.text), shown(fault.text, quoted=True), shown(fault.text.partition(":")[0])
    return ValueProblem(code, reason.format(text=text, quoted=quoted, first=first), remedy)


def _number_reader(
    field: Field, mark: str, watch: CurrencyWatch, noted: list[CellNote] | None
) -> Callable[[str], Value]:
    """Return how a text is read as a number. What arithmetic has left over goes, with a note, if there is `noted`."""
    is_whole = field.kind is Kind.INTEGER

    def read(text: str) -> Value:
        may_have_residue = len(text) > DIGITS_OF_A_CELL and noted is not None
        value: int | Decimal
        if is_whole:
            meant = text_without_residue(text) if may_have_residue and mark in text else None
            value = integer_from_text(text, mark) if meant is None else _integer(meant)
        else:
            value = decimal_from_text(text, mark)
            # Nearly every amount has digits at both ends.
            if not (text[0] in _DIGITS and text[-1] in _DIGITS) and (sign := currency_sign(text)):
                watch.see(sign, f"{shown(text, quoted=True)} names {sign}")
            meant = without_residue(value) if may_have_residue else None
        if meant is None or noted is None:
            return value
        digits = shown(meant)
        sentence = f"{shown(text, quoted=True)} is {digits} as a program has calculated it: {digits} is sent."
        noted.append(CellNote(field.name, "calculated", sentence))
        return value if is_whole else meant

    return read


def _integer(cell: object) -> int:
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        raise _not_a_number(cell, "a whole number")
    if isinstance(cell, Decimal) and cell != cell.to_integral_value():
        raise ValueProblem.of(
            cell, "not-a-whole-number", "is not a whole number", "Type it without a decimal fraction."
        )
    if abs(cell) >= _MORE_DIGITS:
        raise _damaged(cell)
    return int(cell)


def _decimal(cell: object) -> Decimal:
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = Decimal(cell)
    if not isinstance(cell, Decimal):
        raise _not_a_number(cell, "a number")
    if cell.adjusted() >= DIGITS_OF_A_CELL and _has_more_digits(cell):
        raise _damaged(cell)
    return cell


def _not_a_number(cell: object, wanted: str) -> ValueProblem:
    is_moment = isinstance(cell, (date, time, timedelta))
    remedy = "Set the cell's format to Number and type the number again." if is_moment else "Type the number."
    return ValueProblem.of(cell, "not-a-number", f"is {_kind_of_cell(cell)}, not {wanted}", remedy)


def _kind_of_cell(cell: object) -> str:
    return next((name for of_type, name in _NAMES_OF_TYPES if isinstance(cell, of_type)), "a number")


def _damaged(cell: int | Decimal) -> ValueProblem:
    what = f"is a number of more than {DIGITS_OF_A_CELL} digits, of which Excel keeps only {DIGITS_OF_A_CELL}"
    remedy = "Set the cell's format to Text and type it again, from its source."
    return ValueProblem.of(cell, "may-be-damaged", what, remedy)


def _digits(number: int | Decimal) -> str:
    # The format "f" makes a binary floating point number of an int.
    return str(number) if isinstance(number, int) else format(number, "f")


def _has_more_digits(number: int | Decimal) -> bool:
    return len(_digits(number).lstrip("-").replace(".", "").strip("0")) > DIGITS_OF_A_CELL


def _truth(cell: object) -> Value:
    value = _TRUTHS.get(cell.strip().lower()) if isinstance(cell, str) else cell
    if isinstance(value, bool):
        return value
    raise ValueProblem.of(cell, "not-true-or-false", "is neither TRUE nor FALSE", "Type TRUE or FALSE.")


def _date(cell: object) -> Value:
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
    raise ValueProblem.of(cell, "not-a-date", f"is {_kind_of_cell(cell)}, not a date", "Type it like 2025-12-31.")


def _text(cell: object) -> Value:
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        what = f"is {_kind_of_cell(cell)}, where text is expected; Excel may have made it so"
        raise ValueProblem.of(cell, "not-text", what, "Set the cell's format to Text and type it again.")
    if abs(cell) >= _MORE_DIGITS or _has_more_digits(cell):
        raise _damaged(cell)
    return _digits(cell)


def judge_of(field: Field) -> Callable[[Value], Value] | None:
    """Return what checks a value against the list, or else the bounds, and gives the described spelling."""
    if field.enum:
        spelled = {folded(str(value)): value for value in field.enum}
        valid = [str(value) for value in field.enum]
        listed = ", ".join(valid[:_VALUES_LISTED]) + (" ..." if len(valid) > _VALUES_LISTED else "")

        def choose(value: Value) -> Value:
            described = spelled.get(folded(str(value)), BLANK)
            if not isinstance(described, Blank):
                return described
            close, look = suggestion(str(value), valid)
            reason = f"{shown(value, quoted=True)} is not a {field.title}. {look}".rstrip()
            remedy = f"Did you mean {close!r}? Valid are: {listed}." if close else f"Valid are: {listed}."
            raise ValueProblem("not-one-of-the-values", reason, remedy)

        return choose
    if field.bounds == Bounds():
        return None
    return _within_length(field) if field.kind is Kind.TEXT else _within_limits(field.bounds)


def _within_limits(bounds: Bounds) -> Callable[[Value], Value]:
    # Whole numbers are compared much faster with an int.
    low, high, above, below, step = (
        int(bound) if bound is not None and bound == bound.to_integral_value() else bound
        for bound in (
            bounds.minimum, bounds.maximum, bounds.exclusive_minimum, bounds.exclusive_maximum, bounds.multiple_of,
        )
    )  # fmt: skip
    remedy = "Correct the number."

    def check(value: Value) -> Value:
        if isinstance(value, (int, Decimal)):
            if low is not None and value < low:
                what = f"is less than the smallest that is allowed, {_digits(low)}"
                raise ValueProblem.of(value, "too-small", what, remedy)
            if high is not None and value > high:
                what = f"is more than the largest that is allowed, {_digits(high)}"
                raise ValueProblem.of(value, "too-large", what, remedy)
            if above is not None and value <= above:
                raise ValueProblem.of(value, "too-small", f"is not more than {_digits(above)}, as it has to be", remedy)
            if below is not None and value >= below:
                raise ValueProblem.of(value, "too-large", f"is not less than {_digits(below)}, as it has to be", remedy)
            if step is not None and _EXACT.remainder(value, step):
                raise ValueProblem.of(value, "not-a-multiple", f"is not a multiple of {_digits(step)}", remedy)
        return value

    return check


def _within_length(field: Field) -> Callable[[Value], Value]:
    bounds = field.bounds
    shortest, longest = bounds.min_length or 0, bounds.max_length
    pattern = re.compile(bounds.pattern) if bounds.pattern else None

    def check(value: Value) -> Value:
        if not isinstance(value, str):
            return value
        if longest is not None and len(value) > longest:
            what = f"has {len(value):,} characters; the most that is allowed is {longest:,}"
            raise ValueProblem.of(value, "too-long", what, "Shorten it.")
        if len(value) < shortest:
            what = f"has {len(value):,} characters; the least that is allowed is {shortest:,}"
            raise ValueProblem.of(value, "too-short", what, "Type it in full.")
        if pattern is not None and not pattern.search(value):
            remedy = f"Type it like {field.example!r}." if field.example else "Correct it."
            raise ValueProblem.of(value, "wrong-form", f"does not have the form that a {field.title} has", remedy)
        return value

    return check
