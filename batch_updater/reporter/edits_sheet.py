"""The sheet `Edits`: every cell that a person has changed on the page, of the rows that are reported."""

from __future__ import annotations

from batch_updater.records import Columns, ReportRow
from batch_updater.reporter.cell_values import readable, text_of_cell
from batch_updater.reporter.output_workbook import OutputSheet, OutputWorkbook
from batch_updater.reporter.style import AS_TEXT

EDITS = "Edits"
_COLUMNS = {"Row": 8, "Column": 26, "Old": 36, "New": 36, "Who": 22, "When (UTC)": 20}


class EditsSheet:
    """Every edit that is not undone; made when the first one comes."""

    def __init__(self, book: OutputWorkbook, columns: Columns, rows_of_a_sheet: int) -> None:
        self._book = book
        self._columns = columns
        self._limit = rows_of_a_sheet
        self._sheet: OutputSheet | None = None
        self._next = 1
        self.left_out = 0
        """Edits for which the sheet has no room."""

    def add(self, row: ReportRow) -> None:
        """Write the edits of one row."""
        names, style = self._columns.names, self._book.style
        for edit in row.edits:
            if self._next >= self._limit:
                self.left_out += 1
                continue
            if self._sheet is None:
                self._sheet = self._book.add_list(EDITS, _COLUMNS)
            column = names[edit.position] if names[edit.position].strip() else self._columns.letters(edit.position)
            self._sheet.write_number(self._next, 0, edit.row, style())
            texts = (column, text_of_cell(edit.old), edit.new, edit.by, f"{edit.at:%Y-%m-%d %H:%M:%S}")
            for at, text in enumerate(texts, 1):
                self._sheet.write_string(self._next, at, readable(text), style(num_format=AS_TEXT))
            self._next += 1

    def finish(self) -> None:
        """Set the filter, now that all edits are there."""
        if self._sheet is not None:
            self._sheet.autofilter(0, 0, self._next - 1, len(_COLUMNS) - 1)
