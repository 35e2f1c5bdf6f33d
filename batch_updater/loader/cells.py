"""A cell and the field it is for -> the value that is sent, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Field, Kind, ParameterLocation
from batch_updater.loader.any_cells import AnyReader
from batch_updater.loader.as_seen import TINY, cell_as_seen
from batch_updater.loader.clear_marker import ClearMarker
from batch_updater.loader.currencies import CurrencyWatch, currency_sign
from batch_updater.loader.date_times import DateTimeReader
from batch_updater.loader.dates import DateSettings, date_from_text
from batch_updater.loader.findings import CellNote
from batch_updater.loader.json_cells import JsonReader
from batch_updater.loader.limits import judge_of
from batch_updater.loader.list_cells import EMPTY_LIST, ListReader, item_field
from batch_updater.loader.numbers import decimal_from_text, integer_from_text, text_without_residue, without_residue
from batch_updater.loader.plain_cells import date_of, decimal_of, integer_of, text_of, truth_of
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.loader.texts import TextReader, as_written, refuse_for_cause
from batch_updater.records import DIGITS_OF_A_CELL, NOT_EXACT_MARK, Cell, CellError, Value


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
_SEEN_AS_THEY_ARE = frozenset({int, bool, date, datetime})
"""Types of nearly all cells that are no text; a format that shows something else makes another type of them."""


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
    takes_empty_lists: bool = True
    """Whether the body can hold a list without items, as a form cannot."""


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
    is_plain, emptied = None, _emptied(field, column)
    clearing = {marker.text, column.clears, *([EMPTY_LIST] if field.kind is Kind.LIST else [])}
    if field.kind is Kind.TEXT and not field.enum and not column.is_verbatim:
        texts = TextReader(field, noted, marker, has_fractions=column.has_fractions)
        from_text, is_plain = texts.read, None if judge else texts.is_plain
    # A text that is no value of the field is looked at for the likely cause.
    is_free_text = field.kind in {Kind.TEXT, Kind.ANY} and not field.enum
    explains = not column.is_verbatim and not is_free_text
    # The items of a list are looked at one by one.
    as_seen = (lambda cell, *_: cell) if field.kind is Kind.LIST else cell_as_seen

    def convert(cell: Cell) -> Value | Blank:
        if isinstance(cell, str):
            if is_plain is not None and is_plain(cell):
                return cell
            text = cell.strip()
            if not text:
                return BLANK
            if text in clearing:
                if not isinstance(emptied, Blank):
                    return emptied
                reason = f"The {field.title} cannot be cleared, which {text!r} asks for."
                may_be = field.location is ParameterLocation.BODY and not field.required
                unless = f" If the API can empty it all the same, set nullable for {field.name} under api.fields."
                raise ValueProblem("cannot-be-cleared", reason, f"Type a value.{unless if may_be else ''}")
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
        seen = cell if type(cell) in _SEEN_AS_THEY_ARE else as_seen(cell, field, noted, watch)
        value = from_other(seen)
        return value if judge is None else judge(value)

    def convert_amount(cell: Cell) -> Value | Blank:
        # Nearly every amount that is not typed as text.
        if type(cell) is Decimal and TINY <= cell.adjusted() < DIGITS_OF_A_CELL:
            return cell
        return convert(cell)

    return convert_amount if field.kind is Kind.DECIMAL and judge is None else convert


def _emptied(field: Field, column: ColumnFacts) -> Value | Blank:
    """Return the value that empties a field; BLANK if none does."""
    if field.takes_empty_list and column.takes_empty_lists:
        return EMPTY_LIST
    return None if field.nullable or field.clears_with is not None else BLANK


def _readers(
    field: Field, settings: InputSettings, noted: list[CellNote], column: ColumnFacts, watch: CurrencyWatch
) -> tuple[Callable[[str], Value], Callable[[Any], Value]]:
    """Return how the field reads text that is not blank, and how it reads every other cell with a value."""
    match field.kind:
        case Kind.INTEGER | Kind.DECIMAL:
            read = _number_reader(field, settings.decimal, watch, None if column.is_verbatim else noted)
            return read, integer_of if field.kind is Kind.INTEGER else decimal_of
        case Kind.BOOLEAN:
            return truth_of, truth_of
        case Kind.DATE:
            dates = DateSettings(settings.date_order, settings.two_digit_years)
            return lambda text: date_from_text(text, dates), date_of
        case Kind.DATE_TIME:
            moments = DateTimeReader(field, settings, noted)
            return moments.from_text, moments.from_cell
        case Kind.LIST:
            items = ListReader(
                field, settings.list_separator, noted, converter(item_field(field), settings, noted, column)
            )
            return items.from_text, items.from_cell
        case Kind.JSON:
            reader = JsonReader(field, noted)
            return reader.from_text, reader.from_cell
        case Kind.ANY:
            texts = TextReader(field, noted, ClearMarker(settings.clear_marker), has_fractions=column.has_fractions)
            verbatim = partial(as_written, field)
            cells = AnyReader(
                field, noted, verbatim if column.is_verbatim else texts.read, DateTimeReader(field, settings, noted)
            )
            return cells.from_text, cells.from_cell
        case Kind.TEXT:
            return partial(as_written, field), text_of


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
            value = integer_from_text(text, mark) if meant is None else integer_of(meant)
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
