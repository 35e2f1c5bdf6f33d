"""The workbook that takes a run back: an ordinary input workbook, with what it expects of the records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.expected_values import SHEET, UNDO_MARK
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import write_workbook
from batch_updater.records import MARK_PROPERTY, TEMPLATE_SHEET, ExpectedValue
from batch_updater.reporter.expected_sheet import write_expected, write_head
from batch_updater.reporter.list_sheets import ValidNames
from batch_updater.reporter.output_workbook import Book, sink_for
from batch_updater.reporter.row_sheets import CellWriter, Widths, bounded, cell_properties, print_wide, shown
from batch_updater.reporter.style import HEADER, REQUIRED, Styles
from batch_updater.reporter.workbook import ROWS_OF_A_SHEET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import RawIOBase
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.records import AllowedList, Cell

_NOT_POSSIBLE = "Not possible"
_NOT_POSSIBLE_COLUMNS = ("Target", "Row", "Field", "Why")
_ABOUT = "About"
_NOT_POSSIBLE_WIDTHS = (44, 8, 22, 90)


class UndoRow(NamedTuple):
    """One record that is to be set back."""

    target: str
    cells: Mapping[str, Cell]
    """Field -> cell, for the fields of route and query and those that are set back."""
    expected: tuple[ExpectedValue, ...]


class NotPossible(NamedTuple):
    """One field of one row that cannot be set back."""

    target: str
    row: int
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class UndoWorkbook:
    """All that is to be set back of a run, and what cannot be."""

    rows: Sequence[UndoRow]
    not_possible: Sequence[NotPossible]
    run: str
    """Name of the run's folder."""
    input: str
    """What people call its input."""
    started_at: datetime
    """UTC."""
    is_ended: bool
    allowed: tuple[AllowedList, ...]
    """Valid names that the run learned."""


def write_undo_workbook(path: Path, endpoint: Endpoint, undo_workbook: UndoWorkbook, clear_marker: str) -> Path:
    """Write the workbook, whole or not at all; returns where it is. Raises OSError, ResultsError if it has no room."""
    fields = sum(len(row.expected) for row in undo_workbook.rows)
    if fields >= ROWS_OF_A_SHEET:
        raise ResultsError(
            f"The run changed {fields:,} fields, more than a sheet has rows, so it cannot be taken back in one file.",
            remedy="Set the records back in parts, from the results workbooks of the run.",
            place=Location(file=str(path)),
        )

    def write(draft: Path) -> None:
        with sink_for(draft) as sink:
            _Draft(sink, endpoint, undo_workbook).write(clear_marker)

    return write_workbook(path, write)


class _Draft:
    """One workbook while it is written."""

    def __init__(self, sink: RawIOBase, endpoint: Endpoint, undo_workbook: UndoWorkbook) -> None:
        self._book = Book(sink)
        self._styles = Styles(self._book)
        self._endpoint = endpoint
        self._takeback = undo_workbook
        self._names = ValidNames(endpoint, undo_workbook.allowed)

    def write(self, clear_marker: str) -> None:
        data = self._book.add_worksheet(TEMPLATE_SHEET)
        self._write_data(data)
        expected = ((row.target, row.expected) for row in self._takeback.rows)
        write_expected(self._book, self._styles, expected)
        self._write_not_possible()
        self._names.write(self._book, self._styles)
        about = self._book.add_worksheet(_ABOUT)
        self._write_about(about, clear_marker)
        (data if self._takeback.rows else about).activate()
        created = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        self._book.set_properties({"title": f"Takes back the run {self._takeback.run}", "created": created})
        self._book.set_custom_property(MARK_PROPERTY, UNDO_MARK)
        self._book.close()

    def _fields(self) -> list[Field]:
        """Return the columns: every field that some row has; all of them where there is no row."""
        used = {name for row in self._takeback.rows for name in row.cells}
        return [field for field in self._endpoint.fields if field.name in used or not used]

    def _write_data(self, sheet: Worksheet) -> None:
        fields, cells, widths = self._fields(), CellWriter(self._styles), Widths()
        for column, field in enumerate(fields):
            header = self._styles.header(bg_color=REQUIRED) if field.required else self._styles.header()
            sheet.write_string(0, column, field.name, header)
        widths.measure([f"{field.name}  " for field in fields])
        for number, row in enumerate(self._takeback.rows, 1):
            found = [row.cells.get(field.name) for field in fields]
            for column, (field, cell) in enumerate(zip(fields, found, strict=True)):
                self._write_cell(cells, sheet, (number, column), field, cell)
            widths.measure([shown(cell) for cell in found])
        last = max(len(self._takeback.rows), 1)
        for column, field in enumerate(fields):
            if validation := self._names.validation(field):
                sheet.data_validation(1, column, last, column, validation)
        formats = {column: self._styles(**cell_properties(field)) for column, field in enumerate(fields)}
        widths.apply(sheet, formats, {})
        # Digits as text are meant so here: a number would lose zeros at their end, or at their beginning.
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{last + 1}"})
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(self._takeback.rows), len(fields) - 1)
        print_wide(sheet)

    def _write_cell(self, cells: CellWriter, sheet: Worksheet, at: tuple[int, int], field: Field, cell: Cell) -> None:
        properties = cell_properties(field)
        if isinstance(cell, str) and not properties:
            properties = {"num_format": "@", "align": "right", "indent": 1}
        cells.write(sheet, at[0], at[1], cell, **properties)

    def _write_not_possible(self) -> None:
        sheet = self._book.add_worksheet(_NOT_POSSIBLE)
        write_head(sheet, self._styles, _NOT_POSSIBLE_COLUMNS, _NOT_POSSIBLE_WIDTHS)
        listed = self._takeback.not_possible
        room = ROWS_OF_A_SHEET - 2
        plain, wrapped = self._styles(), self._styles(text_wrap=True)
        for number, one in enumerate(listed[:room], 1):
            sheet.write_string(number, 0, one.target, plain)
            sheet.write_number(number, 1, one.row, self._styles(align="left"))
            sheet.write_string(number, 2, one.field, plain)
            sheet.write_string(number, 3, bounded(one.why), wrapped)
        if len(listed) > room:
            sheet.write_string(room + 1, 3, f"and {len(listed) - room:,} more, for which the sheet has no room", plain)
        sheet.autofilter(0, 0, min(len(listed), room), len(_NOT_POSSIBLE_COLUMNS) - 1)

    def _write_about(self, sheet: Worksheet, clear_marker: str) -> None:
        sheet.set_column(0, 0, 110)
        title = self._styles(bold=True, font_size=14, font_color=HEADER)
        sheet.write_string(0, 0, f"Takes back the run {self._takeback.run}", title)
        for number, line in enumerate(self._lines(clear_marker), 2):
            sheet.set_row(number, 15 * (1 + len(line) // 115))
            sheet.write_string(number, 0, bounded(line), self._styles(text_wrap=True))
        print_wide(sheet)

    def _lines(self, clear_marker: str) -> list[str]:
        undo_workbook, api, name = self._takeback, self._endpoint.api_name, self._endpoint.record_name
        rows, left_out = len(undo_workbook.rows), len(undo_workbook.not_possible)
        lines = [f"That run began on {undo_workbook.started_at:%Y-%m-%d at %H:%M} UTC and sent {undo_workbook.input}."]
        if not undo_workbook.is_ended:
            lines.append("It did not come to its end: run its file again first, then write this workbook anew.")
        if rows:
            one = f"{rows:,} records are set back" if rows > 1 else "1 record is set back"
            lines += [
                f'{one} to what they were before it: one row each on the sheet "{TEMPLATE_SHEET}".',
                f"A blank cell changes nothing; {clear_marker} empties a field.",
                f'Look at "{TEMPLATE_SHEET}" and delete the rows that are to stay as the run left them.',
                "Then: batch-updater run THIS-WORKBOOK.",
                f"Each {name} is read before it is set back, and compared with what the run left in it.",
                f"One that somebody has changed in {api} since is not overwritten: its row ends as rejected.",
                f'What the run left stands on the sheet "{SHEET}". With one changed or missing there, nothing is sent.',
            ]
        else:
            lines.append("There is nothing to set back.")
        if left_out:
            fields = f"{left_out:,} fields" if left_out > 1 else "1 field"
            lines.append(f'{fields} cannot be set back; the sheet "{_NOT_POSSIBLE}" says which, and why.')
        return lines
