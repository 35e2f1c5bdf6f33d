"""The annotated copy: a person's own workbook with its faulty cells marked and the outcome beside every row."""

from __future__ import annotations

import io
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from copy import copy
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from openpyxl.cell import MergedCell
from openpyxl.comments import Comment
from openpyxl.packaging.custom import StringProperty
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles import Alignment, Color, Font, PatternFill
from openpyxl.styles.cell_style import StyleArray
from openpyxl.utils import get_column_letter
from openpyxl.workbook.properties import CalcProperties
from openpyxl.worksheet.dimensions import ColumnDimension
from openpyxl.writer.excel import ExcelWriter

from batch_updater.errors import ResultsError
from batch_updater.files.writing import TemporaryFilesError, write_workbook
from batch_updater.messages import what_is_wrong, what_to_do
from batch_updater.records import (
    ANNOTATED_MARK,
    ANNOTATION_COLUMNS,
    MARK_PROPERTY,
    Columns,
    OutcomeKind,
    Problem,
    ReportRow,
    annotation_at,
)
from batch_updater.reporter.cell_values import COLUMNS_OF_A_SHEET, readable, text_of_cell
from batch_updater.reporter.copy_losses import MACROS
from batch_updater.reporter.style import COLOURS, FAULTY

_WIDTHS = (13, 56, 44)
_COMMENTS_AT_MOST = 10_000
"""Excel takes long to open a workbook with more; `What is wrong` holds the reason of every cell."""
_SIGNED = re.compile(rf"(?:\A|\n\n){MARK_PROPERTY}: ")
"""How our comments begin, and our part of a person's."""
_COMMENT_CHARACTERS = 1_000
_COMMENT_WIDTH, _COMMENT_LINE, _COMMENT_HEIGHT = 300, 45, 18
"""In pixels, characters, and pixels of one line."""
_LINE_HEIGHT, _HIGHEST_ROW = 15, 240
"""In points."""
_FAULTY, _NO_COLOUR = f"FF{FAULTY[1:]}", Color(indexed=64)
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""What stands for a character in a text of a workbook unless its underscore is escaped (ST_Xstring)."""


def write_annotated(source: Path, target: Path, sheet: str, columns: Columns, rows: Iterable[ReportRow]) -> Path:
    """Write the copy of a workbook, annotated with the rows of that sheet, whole or not at all; returns where it is.

    `source` is one that `examine` has not refused. Raises ResultsError if openpyxl cannot copy it, OSError if the copy
    cannot be written.
    """
    with warnings.catch_warnings(action="ignore"):  # openpyxl's own list of what it loses
        try:
            workbook = _Reader(source).workbook()
            annotation = _Annotation(workbook, sheet, columns)
        except Exception as error:  # what openpyxl raises over a workbook that it does not expect is of all kinds
            raise _not_understood(error) from error
        for row in rows:
            annotation.add(row)
        try:
            content = _packed(workbook)
        except OSError as error:  # the file itself is made in memory
            why = f"{error.strerror or error} (temporary files in {tempfile.gettempdir()})"
            raise TemporaryFilesError(error.errno, why) from error
        except Exception as error:  # as above
            raise _not_understood(error) from error
    return write_workbook(target, lambda draft: draft.write_bytes(content))


def _not_understood(error: Exception) -> ResultsError:
    why = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".")
    return ResultsError(f"openpyxl, which makes the copy, does not understand the workbook ({why}).")


class _Reader(ExcelReader):
    """Reads a workbook without giving its numbers another form. Workbooks are Any: the stubs know no private names."""

    def __init__(self, source: Path) -> None:
        self._stream = source.open("rb")  # openpyxl judges a path by its ending
        super().__init__(self._stream, rich_text=True)
        self.keep_vba = MACROS in self.valid_files  # else openpyxl would still refer to them

    def workbook(self) -> Any:
        """Return the workbook. Raises what openpyxl raises."""
        with self._stream:
            self.read()
        return self.wb

    def read_worksheets(self) -> None:
        """Read the sheets; a number that is shown as a date stays the number that it is."""
        workbook: Any = self.wb
        workbook.template = False
        workbook._date_formats = workbook._timedelta_formats = set()  # noqa: SLF001
        super().read_worksheets()


def _packed(workbook: Any) -> bytes:
    """Return the workbook as a file whose values are exactly those that were read."""
    cells = [cell for sheet in workbook.worksheets for cell in sheet._cells.values()]  # noqa: SLF001
    for cell in cells:
        value = cell.value
        if type(value) in {int, float} and isfinite(value):
            cell._value = repr(value)  # noqa: SLF001  (openpyxl writes 16 digits, and a double may need 17)
        elif type(value) is str and "\r" in value and cell.data_type == "s":
            cell._value = value.replace("\r", "_x000D_")  # noqa: SLF001  (a line end of XML would come back as another)
        if cell.comment:
            lines = _lines(cell.comment.text, _COMMENT_LINE)
            cell.comment.width, cell.comment.height = _COMMENT_WIDTH, _COMMENT_HEIGHT * (lines + 1)
    if any(cell.data_type == "f" for cell in cells):
        workbook.calculation = workbook.calculation or CalcProperties()
        workbook.calculation.fullCalcOnLoad = True
    # Created and modified at the same time: a copy that a person has saved since then differs.
    workbook.properties.created = workbook.properties.modified = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    packed = io.BytesIO()  # a zip file on a full disk would raise once more when it is deleted
    ExcelWriter(workbook, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED)).save()
    if workbook.vba_archive:
        workbook.vba_archive.close()  # or it would be written to when it is collected, after its own buffer perhaps
    return packed.getvalue()


def _lines(text: str, width: int) -> int:
    return sum(1 + len(line) // width for line in text.split("\n"))


class _Annotation:
    def __init__(self, workbook: Any, sheet: str, columns: Columns) -> None:
        """Mark the workbook, take away what an earlier annotation has left on the sheet, and write the headers."""
        self._sheet = workbook[sheet]
        self._columns = columns
        self._comments = 0
        self._styles: dict[tuple[int, str], StyleArray] = {}
        is_annotated = self._mark(workbook)
        at = annotation_at(columns.headers) if is_annotated else None
        end = columns.first_column + len(columns.headers)
        self._first = end + 1 if at is None else columns.first_column + at + 1
        own = range(self._first, self._first + len(ANNOTATION_COLUMNS)) if at is not None else ()
        for (row, column), cell in self._sheet._cells.items():  # noqa: SLF001
            if row >= columns.header_row and at is None and (isinstance(cell, MergedCell) or cell.value is not None):
                self._first = max(self._first, column + 1)
            if is_annotated and not isinstance(cell, MergedCell):
                if cell.comment and (ours := _SIGNED.search(cell.comment.text)):
                    theirs, author = cell.comment.text[: ours.start()], cell.comment.author
                    cell.comment = Comment(theirs, author) if theirs else None
                if cell.has_style and cell.fill.fill_type == "solid" and cell.fill.fgColor.rgb == _FAULTY:
                    before = copy(cell.fill.bgColor)
                    is_plain = before in (_NO_COLOUR, Color())
                    cell.fill = PatternFill() if is_plain else PatternFill("solid", fgColor=before)
                if column in own and row > columns.header_row:
                    cell.value, cell._style = None, StyleArray()  # noqa: SLF001
        if self._first + len(ANNOTATION_COLUMNS) - 1 > COLUMNS_OF_A_SHEET:
            raise ValueError("it has no room for three more columns")
        self._merged = {
            place: (area.min_row, area.min_col) for area in self._sheet.merged_cells.ranges for place in area.cells
        }
        """Place of a merged cell -> where the value of all of them is."""
        self._write_headers()

    def _mark(self, workbook: Any) -> bool:
        """Give the workbook the mark of an annotated copy, beside another one of ours; returns whether it had it."""
        properties = workbook.custom_doc_props
        mark = str(properties[MARK_PROPERTY].value or "") if MARK_PROPERTY in properties.names else ""
        if mark.endswith(ANNOTATED_MARK):
            return True
        if MARK_PROPERTY in properties.names:
            del properties[MARK_PROPERTY]
        properties.append(StringProperty(name=MARK_PROPERTY, value=f"{mark}-{ANNOTATED_MARK}".lstrip("-")))
        return False

    def _write_headers(self) -> None:
        last, widths = self._first + len(ANNOTATION_COLUMNS) - 1, self._sheet.column_dimensions
        for shared in list(widths.values()):  # one entry may be about many columns, and no two about the same
            shared.reindex()
            if shared.max >= self._first and shared.min <= last:
                del widths[shared.index]
                for left, right in ((shared.min, self._first - 1), (last + 1, shared.max)):
                    if left <= right:
                        widths[get_column_letter(left)] = ColumnDimension(
                            self._sheet, get_column_letter(left), shared.width, shared.bestFit, shared.hidden,
                            shared.outlineLevel, style=copy(shared._style), min=left, max=right,  # noqa: SLF001
                        )  # fmt: skip
        beside = self._cell(self._columns.header_row, self._first - 1)
        for column, (header, width) in enumerate(zip(ANNOTATION_COLUMNS, _WIDTHS, strict=True), self._first):
            widths[get_column_letter(column)].width = width
            self._write(self._columns.header_row, column, header)._style = copy(beside._style)  # noqa: SLF001

    def add(self, row: ReportRow) -> None:
        """Write a row's outcome and mark its faulty cells."""
        outcome, number = row.outcome, row.row.number
        self._styled(self._write(number, self._first, outcome.kind.value), outcome.kind)
        wrong = "\n".join(filter(None, (what_is_wrong(outcome, self._columns), self._edits_of(row))))
        texts = (wrong, what_to_do(outcome, self._columns))
        for column, (text, width) in enumerate(zip(texts, _WIDTHS[1:], strict=True), self._first + 1):
            if text:
                self._styled(self._write(number, column, text), "text")
                # Programs do not agree on who fits the height of wrapped text, so it is set.
                height = min(_LINE_HEIGHT * _lines(text, width - 2), _HIGHEST_ROW)
                dimension = self._sheet.row_dimensions[number]
                dimension.height = max(height, dimension.height or 0)
        for problem in outcome.problems:
            position = self._columns.of_field.get(problem.field or "")
            if position is not None:
                cell = self._cell(number, self._columns.first_column + position + 1)
                self._styled(cell, "faulty")
                self._comment(cell, problem)

    def _edits_of(self, row: ReportRow) -> str:
        """Return what was sent of a row in place of the person's own cells, which stay; '' if nothing was."""
        first = {edit.position: edit.old for edit in reversed(row.edits)}
        last = {edit.position: edit.new for edit in row.edits}
        cells = (
            f"{self._columns.letters(at)}{row.row.number} to {new!r} from {text_of_cell(first[at])!r}"
            for at, new in sorted(last.items())
        )
        return f"Changed on the page: {', '.join(cells)}." if row.edits else ""

    def _cell(self, row: int, column: int) -> Any:
        return self._sheet.cell(*self._merged.get((row, column), (row, column)))

    def _write(self, row: int, column: int, text: str) -> Any:
        """Write a text that stays one, whatever it begins with."""
        cell = self._cell(row, column)
        cell.value = _ESCAPE.sub("_x005F_", readable(text))
        cell.data_type = "s"
        return cell

    def _styled(self, cell: Any, look: str) -> None:
        """Change how a cell looks: as a faulty one, a text of ours, or the outcome of that name."""
        key = (cell.style_id, look)
        if key not in self._styles:
            if look == "faulty":
                before = cell.fill.fgColor if cell.fill.fill_type == "solid" else _NO_COLOUR
                # The second colour of a solid fill is not shown: it keeps the person's own.
                cell.fill = PatternFill("solid", fgColor=_FAULTY, bgColor=copy(before))
            elif look == "text":
                cell.alignment, cell.quotePrefix = Alignment(wrap_text=True), True
            else:
                fill, ink = (f"FF{colour[1:]}" for colour in COLOURS[OutcomeKind(look)])
                cell.fill = PatternFill("solid", fgColor=fill)
                cell.font = Font(cell.font.name, cell.font.sz, bold=True, color=ink)
            self._styles[key] = cell._style  # noqa: SLF001
        cell._style = copy(self._styles[key])  # noqa: SLF001

    def _comment(self, cell: Any, problem: Problem) -> None:
        self._comments += 1
        if self._comments > _COMMENTS_AT_MOST:
            return
        text = _ESCAPE.sub("_x005F_", readable(problem.in_full))[:_COMMENT_CHARACTERS]
        old, author = (cell.comment.text, cell.comment.author) if cell.comment else ("", MARK_PROPERTY)
        joined = f"{old}\n{text}" if _SIGNED.search(old) else f"{old}\n\n{MARK_PROPERTY}: {text}".lstrip("\n")
        cell.comment = Comment(joined, author)
