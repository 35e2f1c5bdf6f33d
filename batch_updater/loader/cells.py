"""A cell and the field it is for -> the value that is sent, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Field, Kind
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
from batch_updater.loader.notes import CellNote
from batch_updater.loader.numbers import (
    decimal_from_text,
    integer_from_text,
    text_without_residue,
    without_residue,
)
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.loader.texts import TextReader, as_written, refuse_for_cause
from batch_updater.records import DIGITS_OF_A_CELL, NOT_EXACT_MARK, Cell, CellError, Value
from batch_updater.text.characters import composed, suggestion


class Blank:
    """The cell holds nothing: its field is not sent."""


BLANK: Final = Blank()
_Converted: TypeAlias = "Value | Blank"
_C = TypeVar("_C")
_FromText: TypeAlias = "Callable[[str], Value]"
_FromOther: TypeAlias = "Callable[[int | Decimal | bool | date | datetime | time | timedelta], Value]"

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
_MORE_DIGITS = 10**DIGITS_OF_A_CELL
"""The least whole number that Excel does not keep every digit of."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What is known about a column beyond its field."""

    header: str = ""
    """'' where there is none, as for a constant."""
    is_verbatim: bool = False
    """Whether its texts are records' own, so that they are taken as they are, probable or not."""
    has_fractions: bool = False
    """Whether some of its texts are numbers with a fraction, such as 4711.5."""


_UNKNOWN: Final = ColumnFacts()


def converter(
    field: Field, settings: InputSettings, noted: list[CellNote], column: ColumnFacts = _UNKNOWN
) -> Callable[[Cell], _Converted]:
    """Return the function that turns a cell into the field's value, BLANK or a `ValueProblem`.

    It adds to `noted` what people should know of a cell that is sent all the same.
    """
    watch = CurrencyWatch(field, column.header, noted)
    from_characters, from_other = _readers(field, settings, noted, column, watch)
    seen = cell_as_seen(field, noted, watch)

    def convert(cell: Cell) -> _Converted:
        if isinstance(cell, str):
            return from_characters(cell)
        if cell is None:
            return BLANK
        if isinstance(cell, CellError):
            raise _cell_fault(cell)
        return from_other(seen(cell))

    return _amount_first(convert) if field.kind is Kind.DECIMAL and not _judge(field) else convert


def _amount_first(convert: Callable[[Cell], _Converted]) -> Callable[[Cell], _Converted]:
    """Return the same function, faster for nearly every amount that is not typed as text."""

    def converted(cell: Cell) -> _Converted:
        if type(cell) is Decimal and TINY <= cell.adjusted() < DIGITS_OF_A_CELL:
            return cell
        return convert(cell)

    return converted


def _readers(
    field: Field, settings: InputSettings, noted: list[CellNote], column: ColumnFacts, watch: CurrencyWatch
) -> tuple[Callable[[str], _Converted], _FromOther]:
    """Return how a cell of text is read, and how any other one that holds a value."""
    marker, judge = ClearMarker(settings.clear_marker), _judge(field)
    if field.kind is Kind.TEXT and not field.enum and not column.is_verbatim:
        texts = TextReader(field, noted, marker, has_fractions=column.has_fractions)
        from_characters = _from_characters(field, _judged(texts.read, judge), marker, explains=False)
        return from_characters if judge else _plain_first(texts, from_characters), _judged(_text, judge)
    from_text, from_other = _converters(field, settings, watch)
    if field.kind in {Kind.INTEGER, Kind.DECIMAL} and not column.is_verbatim:
        from_text = _as_in_workbooks(from_text, field, settings.decimal, noted)
    from_characters = _from_characters(field, _judged(from_text, judge), marker, explains=not column.is_verbatim)
    return from_characters, _judged(from_other, judge)


def _judged(read: Callable[[_C], Value], judge: Callable[[Value], Value] | None) -> Callable[[_C], Value]:
    if judge is None:
        return read

    def judged(cell: _C) -> Value:
        return judge(read(cell))

    return judged


def _from_characters(
    field: Field, from_text: _FromText, marker: ClearMarker, *, explains: bool
) -> Callable[[str], _Converted]:
    """Return how any text is read. `explains`: what is no value of the field is looked at for the likely cause."""

    def from_characters(cell: str) -> _Converted:
        text = cell.strip()
        if not text:
            return BLANK
        if text == marker.text:
            return _cleared(field, marker.text)
        # One look at the first character spares nearly every cell the others.
        if text[0] in "#E[=":
            _refuse_what_is_no_value(text)
        try:
            return from_text(cell)
        except ValueProblem:
            if explains:
                refuse_for_cause(field, cell, marker)
            raise

    return from_characters


def _plain_first(texts: TextReader, from_characters: Callable[[str], _Converted]) -> Callable[[str], _Converted]:
    """Return the same function, faster for nearly every text."""
    is_plain = texts.is_plain

    def read(cell: str) -> _Converted:
        return cell if is_plain(cell) else from_characters(cell)

    return read


def _refuse_what_is_no_value(text: str) -> None:
    if text.upper() in ERROR_LITERALS or _ERROR_OF_LIBREOFFICE.fullmatch(text):
        raise _error_shown(text)
    if text.startswith(NOT_EXACT_MARK.strip()):
        raise _not_exact()
    if text.startswith('="') and text.endswith('"') and len(text) > len('=""'):
        raise ValueProblem(
            "formula-as-text",
            f"{shown(text, quoted=True)} is how programs write a text for Excel alone.",
            f"Type {shown(text[2:-1], quoted=True)}, if that is meant.",
        )


def _cleared(field: Field, marker: str) -> Value:
    if field.nullable:
        return None
    raise ValueProblem(
        "cannot-be-cleared", f"The {field.title} cannot be cleared, which {marker!r} asks for.", "Type a value."
    )


def _error_shown(text: str) -> ValueProblem:
    return ValueProblem(
        "error-cell",
        f"The cell shows the error {text} instead of a value.",
        "Repair the formula, or type the value itself; leave the cell blank to keep the field as it is.",
    )


def _cell_fault(fault: CellError) -> ValueProblem:
    if fault.code == "formula-without-value":
        return ValueProblem(
            fault.code,
            f"The cell holds the formula {shown(fault.text)}, but the file was saved without its result.",
            "Open the file in a spreadsheet program, save it and run again; or type the value itself.",
        )
    if fault.code == "stale-formula":
        return ValueProblem(
            fault.code,
            f"The cell holds the formula {shown(fault.text)}, and the workbook says that its saved results are out of "
            "date.",
            "Open the file in a spreadsheet program, calculate and save it and run again; or type the value itself.",
        )
    if fault.code == "merged-cell":
        first = fault.text.partition(":")[0]
        return ValueProblem(
            fault.code,
            f"The cell is part of the merged cells {shown(fault.text)}, whose value stands for {shown(first)} alone.",
            "Unmerge the cells and give every row its own value.",
        )
    if fault.code == "hidden-text":
        return ValueProblem(
            "shown-otherwise",
            f"The cell holds the text {shown(fault.text, quoted=True)}, which its format does not show.",
            "Set the cell's format to General; then keep the text, or clear the cell to leave the field as it is.",
        )
    if fault.code == "text-shown-otherwise":
        return ValueProblem(
            "shown-otherwise",
            f"The cell shows {shown(fault.text, quoted=True)}, of which its format has added a part.",
            "Set the cell's format to Text and type the text that is meant.",
        )
    if fault.code == "no-value":
        return ValueProblem(
            fault.code,
            f"The cell is stored as a number, a date or a truth value, but contains {shown(fault.text, quoted=True)}.",
            "Type the value itself; leave the cell blank to keep the field as it is.",
        )
    return _error_shown(shown(fault.text))


def _not_exact() -> ValueProblem:
    return ValueProblem(
        "not-exact",
        "The value of this cell could not be kept exactly in the workbook.",
        f"Type the value again, in full and without {NOT_EXACT_MARK.strip()!r}.",
    )


def _converters(field: Field, settings: InputSettings, watch: CurrencyWatch) -> tuple[_FromText, _FromOther]:
    """Return how the field reads text that is not blank, and how it reads every other cell."""
    match field.kind:
        case Kind.INTEGER:
            return lambda text: integer_from_text(text, settings.decimal), _integer
        case Kind.DECIMAL:
            return _amount_reader(settings.decimal, watch), _decimal
        case Kind.BOOLEAN:
            return _truth_from_text, _truth
        case Kind.DATE:
            dates = DateSettings(settings.date_order, settings.two_digit_years)
            return lambda text: date_from_text(text, dates), _date
        case Kind.TEXT:
            return lambda text: as_written(field, text), _text


def _as_in_workbooks(read: _FromText, field: Field, mark: str, noted: list[CellNote]) -> _FromText:
    """Return how a text is read as a number without what a program's arithmetic has left over, with a note."""

    def converted(text: str) -> Value:
        if len(text) <= DIGITS_OF_A_CELL:
            return read(text)
        if field.kind is Kind.INTEGER:
            meant = text_without_residue(text) if mark in text else None
            value = read(text) if meant is None else _integer(meant)
        else:
            value = read(text)
            meant = without_residue(value) if isinstance(value, Decimal) else None
        if meant is None:
            return value
        digits = _plain(meant)
        sentence = f"{shown(text, quoted=True)} is {digits} as a program has calculated it: {digits} is sent."
        noted.append(CellNote(field.name, "calculated", sentence))
        return int(meant) if field.kind is Kind.INTEGER else meant

    return converted


def _amount_reader(mark: str, watch: CurrencyWatch) -> _FromText:
    def read(text: str) -> Value:
        value = decimal_from_text(text, mark)
        if text[0] in _DIGITS and text[-1] in _DIGITS:  # as nearly always
            return value
        if sign := currency_sign(text):
            watch.see(sign, f"{shown(text, quoted=True)} names {sign}")
        return value

    return read


def _integer(cell: object) -> Value:
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        raise _not_a_number(cell, "a whole number")
    if isinstance(cell, Decimal) and cell != cell.to_integral_value():
        raise ValueProblem(
            "not-a-whole-number", f"{_plain(cell)} is not a whole number.", "Type it without a decimal fraction."
        )
    if abs(cell) >= _MORE_DIGITS:
        raise _damaged(cell)
    return int(cell)


def _decimal(cell: object) -> Value:
    if isinstance(cell, Decimal):
        number = cell
    elif isinstance(cell, int) and not isinstance(cell, bool):
        number = Decimal(cell)
    else:
        raise _not_a_number(cell, "a number")
    if number.adjusted() >= DIGITS_OF_A_CELL and _has_more_digits(number):
        raise _damaged(number)
    return number


def _not_a_number(cell: object, wanted: str) -> ValueProblem:
    what = _kind_of_cell(cell)
    remedy = "Type the number"
    if isinstance(cell, (date, time, timedelta)):
        remedy = "Set the cell's format to Number and type the number again"
    return ValueProblem("not-a-number", f"{shown(cell)} is {what}, not {wanted}.", f"{remedy}.")


def _kind_of_cell(cell: object) -> str:
    match cell:
        case bool():
            return "a truth value"
        case date():
            return "a date"
        case time():
            return "a time of day"
        case timedelta():
            return "a duration"
        case _:
            return "a number"


def _damaged(cell: int | Decimal) -> ValueProblem:
    return ValueProblem(
        "may-be-damaged",
        f"{_plain(cell)} is a number of more than {DIGITS_OF_A_CELL} digits, of which Excel keeps only "
        f"{DIGITS_OF_A_CELL}.",
        "Set the cell's format to Text and type it again, from its source.",
    )


def _plain(number: int | Decimal) -> str:
    return shown(_digits(number))


def _digits(number: int | Decimal) -> str:
    # The format "f" makes a binary floating point number of an int.
    return str(number) if isinstance(number, int) else format(number, "f")


_TRUTHS = {"true": True, "false": False}


def _truth_from_text(text: str) -> Value:
    value = _TRUTHS.get(text.strip().lower())
    if value is None:
        raise _not_a_truth(text)
    return value


def _truth(cell: object) -> Value:
    if isinstance(cell, bool):
        return cell
    raise _not_a_truth(cell)


def _not_a_truth(cell: object) -> ValueProblem:
    return ValueProblem(
        "not-true-or-false", f"{shown(cell, quoted=True)} is neither TRUE nor FALSE.", "Type TRUE or FALSE."
    )


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
    raise ValueProblem("not-a-date", f"{shown(cell)} is {_kind_of_cell(cell)}, not a date.", "Type it like 2025-12-31.")


def _text(cell: object) -> Value:
    if isinstance(cell, bool) or not isinstance(cell, (int, Decimal)):
        raise ValueProblem(
            "not-text",
            f"{shown(cell)} is {_kind_of_cell(cell)}, where text is expected; Excel may have made it so.",
            "Set the cell's format to Text and type it again.",
        )
    if abs(cell) >= _MORE_DIGITS or _has_more_digits(cell):
        raise _damaged(cell)
    return _digits(cell)


def _has_more_digits(number: int | Decimal) -> bool:
    return len(_digits(number).lstrip("-").replace(".", "").strip("0")) > DIGITS_OF_A_CELL


def _judge(field: Field) -> Callable[[Value], Value] | None:
    """Return what checks a value against the field's list and bounds, and gives the described spelling."""
    bounds = field.bounds
    has_limits = any(getattr(bounds, name) is not None for name in bounds.__slots__)
    if field.enum:
        spelled = {_folded(value): value for value in field.enum}

        def choose(value: Value) -> Value:
            described = spelled.get(_folded(value), BLANK)
            if isinstance(described, Blank):
                raise _not_listed(field, value)
            return described

        return choose
    if not has_limits:
        return None
    return _within_length(field) if field.kind is Kind.TEXT else _within_limits(field)


def _folded(value: Value) -> str:
    return composed(str(value)).strip().casefold()


def _not_listed(field: Field, value: Value) -> ValueProblem:
    valid = [str(option) for option in field.enum]
    close, look = suggestion(str(value), valid)
    listed = ", ".join(valid[:20]) + (" ..." if len(valid) > 20 else "")
    return ValueProblem(
        "not-one-of-the-values",
        f"{shown(value, quoted=True)} is not a {field.title}. {look}".rstrip(),
        f"Did you mean {close!r}? Valid are: {listed}." if close else f"Valid are: {listed}.",
    )


def _within_limits(field: Field) -> Callable[[Value], Value]:
    bounds = field.bounds
    low, high, above, below, step = (
        _whole_if_possible(bound) for bound in (
            bounds.minimum, bounds.maximum, bounds.exclusive_minimum, bounds.exclusive_maximum, bounds.multiple_of,
        )
    )  # fmt: skip

    def check(value: Value) -> Value:
        if isinstance(value, (int, Decimal)):
            if low is not None and value < low:
                raise _out_of_bounds("too-small", value, f"less than the smallest that is allowed, {_digits(low)}")
            if high is not None and value > high:
                raise _out_of_bounds("too-large", value, f"more than the largest that is allowed, {_digits(high)}")
            if above is not None and value <= above:
                raise _out_of_bounds("too-small", value, f"not more than {_digits(above)}, as it has to be")
            if below is not None and value >= below:
                raise _out_of_bounds("too-large", value, f"not less than {_digits(below)}, as it has to be")
            if step is not None and value % step:
                raise _out_of_bounds("not-a-multiple", value, f"not a multiple of {_digits(step)}")
        return value

    return check


def _whole_if_possible(bound: Decimal | None) -> int | Decimal | None:
    """Return a bound as an int, which whole numbers are compared with much faster."""
    return int(bound) if bound is not None and bound == bound.to_integral_value() else bound


def _out_of_bounds(code: str, value: int | Decimal, how: str) -> ValueProblem:
    return ValueProblem(code, f"{_plain(value)} is {how}.", "Correct the number.")


def _within_length(field: Field) -> Callable[[Value], Value]:
    bounds = field.bounds
    shortest, longest = bounds.min_length or 0, bounds.max_length
    pattern = re.compile(bounds.pattern) if bounds.pattern else None

    def check(value: Value) -> Value:
        if isinstance(value, str):
            if longest is not None and len(value) > longest:
                raise ValueProblem(
                    "too-long",
                    f"{shown(value, quoted=True)} has {len(value):,} characters; the most that is allowed is "
                    f"{longest:,}.",
                    "Shorten it.",
                )
            if len(value) < shortest:
                raise ValueProblem(
                    "too-short",
                    f"{shown(value, quoted=True)} has {len(value):,} characters; the least that is allowed is "
                    f"{shortest:,}.",
                    "Type it in full.",
                )
            if pattern is not None and not pattern.search(value):
                raise ValueProblem(
                    "wrong-form",
                    f"{shown(value, quoted=True)} does not have the form that a {field.title} has.",
                    f"Type it like {field.example!r}." if field.example else "Correct it.",
                )
        return value

    return check
