"""The XML of one worksheet -> rows. Own code rather than a library's, because the cells must arrive exactly.

Libraries read error cells and formulas without a saved value as blanks, believe the sheet's stated size, or lose
digits of whole numbers; and the sheet's XML, read as a stream, is also the fastest way.
"""

from __future__ import annotations

import contextlib
import math
import re
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from batch_updater.loader.formats.book import (
    GAP_BYTES,
    LAST_COLUMN,
    LAST_ROW,
    MOST_CHARACTERS,
    SHORTEN,
    SheetRow,
    UnreadableError,
    column_position,
)
from batch_updater.loader.formats.display_format import DisplayFormat
from batch_updater.loader.formats.number_formats import (
    NO_VALUE,
    Format,
    Number,
    apply_format,
    from_double,
    from_iso,
    no_value,
    text_as_shown,
)
from batch_updater.loader.formats.package import DEEPEST, NAMESPACES, SAVE_AGAIN, safe_parser, too_deep
from batch_updater.loader.formats.shared_strings import SharedStrings, TextCollector, unescaped
from batch_updater.records import DIGITS_OF_A_CELL, Cell, CellError, column_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batch_updater.loader.formats.package import Allowance

_LETTERS = re.compile(r"[A-Za-z]{1,3}")
_WHOLE = re.compile(r"-?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_XML_BLANKS = " \t\r\n"
_NOT_ZERO = frozenset("123456789")
_SHARED_FORMULA = "..."
"""A formula that is written down once, in another cell."""
_MOST_PLANS = _MOST_REMEMBERED = 4096
_MOST_PLANNED_CELLS = 500_000
"""Of all plans together, each of which may be as wide as a sheet."""


def number(text: str) -> Number | CellError:
    """Return a number as it stands in a file: whole with all its digits, else as Excel shows it at most.

    What is none, such as the NaN of a program that does not know better, is a fault of its cell.
    """
    bare = text.strip(_XML_BLANKS)
    if _WHOLE.fullmatch(bare):
        return int(bare)
    value = float(bare) if _NUMBER.fullmatch(bare) else math.nan
    return from_double(value) if math.isfinite(value) else no_value(bare)


def plain_number(content: str) -> Number | CellError | None:
    """Return the number that a cell holds, as `number` does; the forms that nearly all have are read at once."""
    if content.isdigit() and len(content) <= 15 and content.isascii():
        return int(content)
    # Up to 15 digits are the shortest ones that stand for their double, unless there are zeros at the end.
    if (
        "." in content
        and len(content) <= 16
        and content[-1] in _NOT_ZERO
        and content.replace(".", "", 1).isdigit()
        and content.isascii()
    ):
        return Decimal(content)
    return number(content) if content else None


def plain_numbers(contents: Sequence[str]) -> Sequence[Cell]:
    """Return the numbers that several cells hold, as `plain_number` does for each."""
    digits = "".join(contents).replace(".", "")
    if digits.isdigit() and digits.isascii():
        with contextlib.suppress(ValueError, InvalidOperation):  # blank, or no number
            if max(map(len, contents)) <= DIGITS_OF_A_CELL and all(map(str.isdigit, contents)):
                return list(map(int, contents))
            return [
                Decimal(content)
                if "." in content and len(content) <= DIGITS_OF_A_CELL + 1 and content[-1] in _NOT_ZERO
                else plain_number(content)
                for content in contents
            ]
    return list(map(plain_number, contents))


class _Formatted:
    """Makes cells of numbers as a format shows them. Remembers them: days are few."""

    def __init__(self, shown: Format, *, epoch_1904: bool) -> None:
        self._shown = shown
        self._epoch_1904 = epoch_1904
        self._decimals = shown.decimals if isinstance(shown, DisplayFormat) else None
        self._known: dict[str, Cell] = {"": None}

    def __call__(self, content: str) -> Cell:
        # Most amounts are shown with all their digits, which their length tells.
        if self._decimals is not None and content[:1] in _NOT_ZERO:
            whole, _, fraction = content.partition(".")
            if len(fraction) <= self._decimals and whole.isdigit() and (not fraction or fraction.isdigit()):
                return plain_number(content)
        cell = self._known.get(content, _UNKNOWN)
        if cell is _UNKNOWN:
            cell = _number_shown(content, self._shown, epoch_1904=self._epoch_1904)
            if len(self._known) < _MOST_REMEMBERED:
                self._known[content] = cell
        return cell


_UNKNOWN: Final = CellError("", "")


def _number_shown(content: str, shown: Format, *, epoch_1904: bool) -> Cell:
    found = plain_number(content)
    return apply_format(found, shown, epoch_1904=epoch_1904) if isinstance(found, (int, Decimal)) else found


RowShape: TypeAlias = "tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]"
"""Letters of the columns, styles and types of a row's cells; a style or type that a cell does not have is ''."""
_Converter: TypeAlias = "Callable[[str], Cell]"
_ColumnConverter: TypeAlias = "Callable[[Sequence[str]], Sequence[Cell]]"


def _of_column(convert: _Converter) -> _ColumnConverter:
    """Return what converts the contents of several cells; quicker than one by one for texts and plain numbers."""
    if convert is plain_number:
        return plain_numbers
    owner = getattr(convert, "__self__", None)
    return owner.cells if isinstance(owner, SharedStrings) else lambda contents: list(map(convert, contents))


class RowPlan(NamedTuple):
    """What is done with the contents of a row of one shape."""

    is_dense: bool
    """Whether the cells stand in the columns from A on without a gap."""
    columns: tuple[int, ...]
    converters: tuple[_Converter, ...]
    of_columns: tuple[_ColumnConverter, ...]
    """The same for the contents of several rows."""


class RowReader:
    """Turns the events of an XML parser into rows. The handlers run once or more for each cell: they are kept lean."""

    def __init__(
        self,
        strings: SharedStrings,
        shown_by_style: Mapping[str, Format],
        allowance: Allowance,
        *,
        epoch_1904: bool,
        results_are_stale: bool = False,
    ) -> None:
        """`results_are_stale`: the workbook says that the results of formulas saved in it are out of date."""
        self._results_are_stale = results_are_stale
        self._strings = strings
        self._shown_by_style = shown_by_style
        self._charge = allowance.charge
        self._epoch_1904 = epoch_1904
        self._rows: list[SheetRow] = []
        self._columns: dict[str, int] = {}
        self._plans: dict[RowShape, RowPlan] = {}
        self._planned_cells = 0
        self._depth = 1
        """Elements that are open."""
        self._number = 0
        self._row_text = ""
        self._cells: list[Cell] = []
        self._hidden = False
        self._type: str | None = None
        self._style: str | None = None
        self._value: str | None = None
        self._formula: str | None = None
        self._pieces: list[str] = []
        self._length = 0
        self._inline = TextCollector(self._address)
        self.in_data = False
        """Whether the parser has come to the rows."""
        self.parser = safe_parser()
        self.parser.StartElementHandler = self._start_root

    def take(self) -> list[SheetRow]:
        """Return the rows that are complete, and forget them. The last one may yet go on in another piece."""
        rows, self._rows = self._rows[:-1], self._rows[-1:]
        return rows

    def rest(self) -> list[SheetRow]:
        """Return the last row, now that there is none after it."""
        return self._rows

    def _start_root(self, name: str, _attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if local != "worksheet" or namespace not in NAMESPACES:
            raise UnreadableError("has a sheet that is not a worksheet", SAVE_AGAIN)
        self._c, self._v, self._f, self._row, self._is, self._data = (
            f"{namespace} {tag}" for tag in ("c", "v", "f", "row", "is", "sheetData")
        )
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_deep()
        if name == self._c:
            self._start_cell(attributes)
        elif name in (self._v, self._f):
            self._pieces.clear()
            self._length = 0
            self.parser.CharacterDataHandler = self._characters
        elif name == self._row:
            self._start_row(attributes)
        elif name == self._is:
            self._inline.clear()
            self.parser.CharacterDataHandler = self._inline.characters
        elif name == self._data:
            self.in_data = True
        else:
            self._inline.start(name)

    def _characters(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            raise self._too_long()

    def _too_long(self) -> UnreadableError:
        return UnreadableError(f"has {self._address()} of more than {MOST_CHARACTERS:,} characters", SHORTEN)

    def _address(self) -> str:
        return f"a text in cell {column_letters(len(self._cells))}{self._number}"

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == self._c:
            if len(self._cells) >= LAST_COLUMN:
                raise UnreadableError(f"has more than {LAST_COLUMN:,} columns in row {self._number:,}", SHORTEN)
            self._cells.append(self._converted(self._type, self._style, self._value, self._formula))
        elif name == self._v:
            self._value = "".join(self._pieces)
            self.parser.CharacterDataHandler = None
        elif name == self._f:
            self._formula = "".join(self._pieces)
            self.parser.CharacterDataHandler = None
        elif name == self._row:
            self._close_row()
        elif name == self._is:
            self._value = self._inline.text()
            self.parser.CharacterDataHandler = None
        else:
            self._inline.end(name)

    def _start_row(self, attributes: dict[str, str]) -> None:
        stated = attributes.get("r")
        self._open_row(
            int(stated) if stated is not None else self._number + 1, hidden=attributes.get("hidden") in {"1", "true"}
        )

    def _open_row(self, number: int, *, hidden: bool) -> None:
        if number == self._number and self._rows:  # a further piece of the row
            before = self._rows.pop()
            self._cells, self._hidden = before.cells, before.hidden or hidden
            return
        if not self._number < number <= LAST_ROW:
            raise UnreadableError(f"has row {number} in the wrong place", SAVE_AGAIN)
        self._number, self._row_text = number, str(number)
        self._cells, self._hidden = [], hidden

    def _close_row(self) -> None:
        self._rows.append(SheetRow(self._number, self._cells, self._hidden))

    def _start_cell(self, attributes: dict[str, str]) -> None:
        get = attributes.get
        self._type, self._style = get("t"), get("s")
        self._value = self._formula = None
        reference = get("r")
        if reference is not None:
            self._go_to(reference.removesuffix(self._row_text), reference)

    def _go_to(self, letters: str, reference: str) -> None:
        """Fill up with blanks to a column."""
        column = self._columns.get(letters)
        if column is None:
            column = self._columns[letters] = self._column(letters, reference)
        missing = column - len(self._cells)
        if missing < 0:
            raise UnreadableError(f"has cell {reference} in the wrong place", SAVE_AGAIN)
        if missing:
            self._charge(missing * GAP_BYTES)
            self._cells.extend([None] * missing)

    def plan(self, shape: RowShape, number: int) -> RowPlan:
        """Return what is done with the cells of a row of some shape; `number` is that of the row.

        Nearly all rows of a sheet have one of a few shapes, for which it is worked out once.
        """
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._new_plan(shape, number)
            self._planned_cells += len(plan.columns)
            if len(self._plans) < _MOST_PLANS and self._planned_cells < _MOST_PLANNED_CELLS:
                self._plans[shape] = plan
        return plan

    def add_planned_row(self, number: int, plan: RowPlan, contents: Sequence[str], *, hidden: bool) -> None:
        """Add a row that was read in another way: what is done with its cells, and their contents."""
        self._open_row(number, hidden=hidden)
        self._fill(plan, contents)
        self._close_row()

    def add_planned_rows(self, rows: Sequence[Sequence[str]], plan: RowPlan, *, hidden: bool) -> None:
        """Add several rows of one shape, each as its number and contents: column by column, which is faster."""
        if not plan.is_dense or not plan.columns:
            for number, *contents in rows:
                self.add_planned_row(int(number), plan, contents, hidden=hidden)
            return
        _, *columns = zip(*rows, strict=True)
        converted = [convert(contents) for convert, contents in zip(plan.of_columns, columns, strict=True)]
        for row, cells in zip(rows, zip(*converted, strict=True), strict=True):
            self._open_row(int(row[0]), hidden=hidden)
            if self._cells:  # a further piece of a row
                self._fill(plan, row[1:])
            else:
                self._cells = list(cells)
            self._close_row()

    def _fill(self, plan: RowPlan, contents: Sequence[str]) -> None:
        if plan.is_dense and not self._cells:
            self._cells = [convert(content) for convert, content in zip(plan.converters, contents, strict=True)]
        elif contents:
            if plan.columns[0] < len(self._cells):
                raise UnreadableError(f"has cells of row {self._number} in the wrong place", SAVE_AGAIN)
            missing = plan.columns[-1] + 1 - len(self._cells)
            self._cells.extend([None] * missing)
            self._charge((missing - len(contents)) * GAP_BYTES)
            for column, convert, content in zip(plan.columns, plan.converters, contents, strict=True):
                self._cells[column] = convert(content)

    def _new_plan(self, shape: RowShape, number: int) -> RowPlan:
        letters, styles, kinds = shape
        columns = [self._column(each, f"{each}{number}") for each in letters]
        if any(left >= right for left, right in pairwise(columns)):
            raise UnreadableError(f"has cells of row {number} in the wrong place", SAVE_AGAIN)
        converters = tuple(self._converter(kind, style) for style, kind in zip(styles, kinds, strict=True))
        of_columns = tuple(map(_of_column, converters))
        return RowPlan(columns == list(range(len(columns))), tuple(columns), converters, of_columns)

    def _converter(self, kind: str, style: str) -> _Converter:
        """Return what makes a cell of the content of cells of a type and a style; '' is a cell without content."""
        shown = self._shown_by_style.get(style or "0")
        if kind == "s" and not (isinstance(shown, DisplayFormat) and shown.changes_texts):
            return self._strings.cell
        if kind in {"", "n"}:
            return plain_number if shown is None else _Formatted(shown, epoch_1904=self._epoch_1904)
        return lambda content: self._converted(kind, style, content, None)

    @staticmethod
    def _column(letters: str, reference: str) -> int:
        column = column_position(letters.upper()) if _LETTERS.fullmatch(letters) else LAST_COLUMN
        if column >= LAST_COLUMN:
            raise UnreadableError(f"has cell {reference[:20]!r} in the wrong place", SAVE_AGAIN)
        return column

    def _converted(self, kind: str | None, style: str | None, value: str | None, formula: str | None) -> Cell:
        if formula is not None and (value is None or (not value and kind != "str")):
            # An empty text is a result, if it was written down.
            return CellError("formula-without-value", f"={formula or _SHARED_FORMULA}")
        # An error is told as the error that it shows.
        if formula is not None and self._results_are_stale and kind != "e":
            return CellError("stale-formula", f"={formula or _SHARED_FORMULA}")
        if kind == "s" and value:
            return text_as_shown(self._strings.cell(value), self._shown_by_style.get(style or "0"))
        if not value:
            return CellError("error-cell", NO_VALUE) if kind == "e" else None
        if kind is None or kind == "n":
            shown = self._shown_by_style.get(style or "0")
            return plain_number(value) if shown is None else _number_shown(value, shown, epoch_1904=self._epoch_1904)
        if len(value) > MOST_CHARACTERS:
            raise self._too_long()
        shown = self._shown_by_style.get(style or "0")
        if kind in {"inlineStr", "str"}:
            return text_as_shown(unescaped(value) or None, shown)
        return from_iso(value, shown) if kind == "d" else _cell_of_type(kind, value)


def _cell_of_type(kind: str, value: str) -> Cell:
    match kind:
        case "b" if value in {"0", "1", "true", "false"}:
            return value in {"1", "true"}
        case "e":
            return CellError("error-cell", value)
        case _:
            return no_value(value)
