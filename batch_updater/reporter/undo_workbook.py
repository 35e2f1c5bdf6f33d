"""The workbook that undoes a run: an ordinary input workbook, with what it expects of the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.expected_values import SHEET, UNDO_MARK
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import write_workbook
from batch_updater.records import TEMPLATE_SHEET, AllowedList, Cell, ExpectedValue, column_letters
from batch_updater.reporter.cell_values import readable, shown
from batch_updater.reporter.list_sheets import drop_down, write_allowed_values, write_expected
from batch_updater.reporter.output_workbook import ROWS_OF_A_SHEET, OutputSheet, OutputWorkbook, new_workbook
from batch_updater.reporter.row_sheets import CellWriter, ColumnWidths, cell_properties
from batch_updater.reporter.style import AS_TEXT, HEADER, REQUIRED

_NOT_POSSIBLE = "Not possible"
_NOT_POSSIBLE_COLUMNS = {"Target": 44, "Row": 8, "Field": 22, "Why": 90}
_NOT_POSSIBLE_ROOM = ROWS_OF_A_SHEET - 2
_ABOUT = "About"


class UndoRow(NamedTuple):
    """One record to set back."""

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


class UndoWorkbook(msgspec.Struct, frozen=True):
    """What can be undone of a run, and what cannot."""

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
            f"The run changed {fields:,} fields, more than a sheet has rows, so one file cannot undo it.",
            remedy="Set the records back in parts, from the results workbooks of the run.",
            place=Location(file=str(path)),
        )
    title, not_possible = f"Undoes the run {undo_workbook.run}", undo_workbook.not_possible

    def write(draft: Path) -> None:
        with new_workbook(draft) as book:
            book.describe(title, UNDO_MARK, datetime.now(UTC))
            data = book.add_worksheet(TEMPLATE_SHEET)
            _write_data(data, book, endpoint, undo_workbook)
            write_expected(book, ((row.target, row.expected) for row in undo_workbook.rows))
            sheet, plain = book.add_list(_NOT_POSSIBLE, _NOT_POSSIBLE_COLUMNS), book.style()
            for number, one in enumerate(not_possible[:_NOT_POSSIBLE_ROOM], 1):
                sheet.write_string(number, 0, one.target, plain)
                sheet.write_number(number, 1, one.row, book.style(align="left"))
                sheet.write_string(number, 2, one.field, plain)
                sheet.write_string(number, 3, readable(one.why), book.style(text_wrap=True))
            if (more := len(not_possible) - _NOT_POSSIBLE_ROOM) > 0:
                text = f"and {more:,} more, for which the sheet has no room"
                sheet.write_string(_NOT_POSSIBLE_ROOM + 1, 3, text, plain)
            last = min(len(not_possible), _NOT_POSSIBLE_ROOM)
            sheet.autofilter(0, 0, last, len(_NOT_POSSIBLE_COLUMNS) - 1)
            write_allowed_values(book, undo_workbook.allowed)
            about = book.add_worksheet(_ABOUT)
            about.set_column(0, 0, 110)
            about.write_string(0, 0, title, book.style(bold=True, font_size=14, font_color=HEADER))
            for number, line in enumerate(_about(undo_workbook, endpoint, clear_marker), 2):
                about.set_row(number, 15 * (1 + len(line) // 115))
                about.write_string(number, 0, readable(line), book.style(text_wrap=True))
            about.print_wide()
            (data if undo_workbook.rows else about).activate()

    return write_workbook(path, write)


def _write_data(sheet: OutputSheet, book: OutputWorkbook, endpoint: Endpoint, undo_workbook: UndoWorkbook) -> None:
    """Fill the sheet that is read: a column for every field that some row has, all fields where there is no row."""
    rows = undo_workbook.rows
    used = {name for row in rows for name in row.cells}
    fields = [field for field in endpoint.fields if field.name in used or not used]
    properties = [cell_properties(field) for field in fields]
    cells, widths = CellWriter(book), ColumnWidths()
    letters = {field.name: column_letters(column) for column, field in enumerate(fields)}
    for column, field in enumerate(fields):
        header = book.header_style(bg_color=REQUIRED) if field.required else book.header_style()
        sheet.write_string(0, column, field.name, header)
        if validation := drop_down(field, undo_workbook.allowed, endpoint, letters):
            sheet.data_validation(1, column, max(len(rows), 1), column, validation)
    widths.measure([f"{field.name}  " for field in fields])
    for number, row in enumerate(rows, 1):
        for column, field in enumerate(fields):
            cell, usual = row.cells.get(field.name), properties[column]
            if isinstance(cell, str) and not usual:
                usual = {"num_format": AS_TEXT, "align": "right", "indent": 1}
            cells.write(sheet, number, column, cell, **usual)
        if widths.wanted:
            widths.measure([shown(row.cells.get(field.name)) for field in fields])
    widths.apply(sheet, {column: book.style(**usual) for column, usual in enumerate(properties)}, {})
    # Digits as text are meant so here: a number would lose zeros at their end, or at their beginning.
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{len(rows) + 2}"})
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(rows), len(fields) - 1)
    sheet.print_wide()


def _about(undo_workbook: UndoWorkbook, endpoint: Endpoint, clear_marker: str) -> Iterator[str]:
    rows, not_possible = len(undo_workbook.rows), len(undo_workbook.not_possible)
    yield f"The run started on {undo_workbook.started_at:%Y-%m-%d at %H:%M} UTC and sent {undo_workbook.input}."
    if not undo_workbook.is_ended:
        yield "It did not finish. Run its file again first, then write this workbook again."
    if rows:
        records = f"{rows:,} records are" if rows > 1 else "1 record is"
        yield f'{records} set back to the values before the run: one row each on the sheet "{TEMPLATE_SHEET}".'
        yield f"A blank cell changes nothing; {clear_marker} empties a field."
        yield f'Look at "{TEMPLATE_SHEET}" and delete the rows that you want to keep as the run left them.'
        yield "Then: batch-updater run THIS-WORKBOOK."
        yield f"Each {endpoint.record_name} is read before it is set back, and compared with what the run left in it."
        yield f"One that was changed in {endpoint.api_name} since then is not overwritten: its row ends as rejected."
        yield f'The sheet "{SHEET}" holds what the run left. If a row there is changed or missing, nothing is sent.'
    else:
        yield nothing_to_set_back(not_possible)
    if not_possible:
        fields = f"{not_possible:,} fields" if not_possible > 1 else "1 field"
        yield f'{fields} cannot be set back; the sheet "{_NOT_POSSIBLE}" says which, and why.'


def nothing_to_set_back(not_possible: int) -> str:
    """Return why the workbook has no row, and what to do; `not_possible`: how many fields cannot be set back."""
    if not_possible:
        return f'This workbook sets nothing back: correct the records on the sheet "{_NOT_POSSIBLE}" by hand.'
    return (
        "There is nothing to set back: the run changed no record. If another run is meant, name it: "
        "`batch-updater runs` lists them."
    )
