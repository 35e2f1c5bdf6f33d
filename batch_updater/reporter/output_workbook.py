"""The workbooks that XlsxWriter writes for us: every text in them is a text, whatever it looks like."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from batch_updater.files.reading import PrivateFile
from batch_updater.files.writing import TemporaryFilesError, temporary_folder
from batch_updater.records import MARK_PROPERTY, OutcomeKind
from batch_updater.reporter.packed_rows import PLACE, PackedRows, join
from batch_updater.reporter.style import COLOURS, HEADER, INK

ROWS_OF_A_SHEET = 1_048_576
"""What an xlsx sheet holds at most, its header included (ECMA-376, part 1, 18.3.1.73)."""
_NOT_IN_XML = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_TO_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}[_{_NOT_IN_XML}])|[{_NOT_IN_XML}]")
"""What XML cannot hold, and the beginning of what would be read as an escape of it (ECMA-376, part 1, 22.9.2.19).

That may also be something before an escape, which begins with the `_` that it lacks."""
_KEEP_BLANKS = True


class OutputSheet(Worksheet):  # type: ignore[misc]  # its types are not followed
    """A sheet that takes no text for markup.

    XlsxWriter writes a text that begins with `<r>` and ends with `</r>` as it is, because its own rich texts look like
    that, and of two escapes that share a `_` it escapes only the first.
    """

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, object]] = ()) -> None:
        self._xml_inline_string(string, _KEEP_BLANKS, attributes)

    @staticmethod
    def _escape_control_characters(data: object) -> object:
        if not isinstance(data, str):
            return data
        return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", data)

    def _initialize(self, init_data: dict[str, object]) -> None:
        super()._initialize({**init_data, "constant_memory": False})  # or it would open a file of its own
        self.constant_memory = True
        self.rows = self.row_data_fh = self.fh = PackedRows(self.tmpdir)

    def _write_optimized_sheet_data(self) -> None:
        self._xml_start_tag("sheetData")
        self.fh.write(PLACE)
        self._xml_end_tag("sheetData")

    def _opt_close(self) -> None:
        """Leave the rows open: they are still to go into the workbook."""

    def write_row_xml(self, row: int, columns: int, xml: str) -> None:
        """Write a row of so many cells that is XML already; `row` is 0-based and below all rows that were written."""
        self._check_dimensions(row, columns - 1)
        self._write_single_row(row)  # the one before
        self.rows.write(xml)

    def print_wide(self) -> None:
        """Have the sheet printed across, all its columns on one page."""
        self.set_landscape()
        self.set_paper(9)
        self.fit_to_pages(1, 0)
        self.repeat_rows(0)


class OutputWorkbook(Workbook):  # type: ignore[misc]  # as above
    """A workbook whose sheets keep their rows on disk, so that memory stays flat: they are written from the top."""

    worksheet_class = OutputSheet

    def __init__(self, parts: io.BytesIO, scratch: Path) -> None:
        """`parts` take everything but the rows, which are in the folder `scratch` and go in with `join`."""
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_date_format": "yyyy-mm-dd",
            "tmpdir": str(scratch),
        }
        super().__init__(parts, options)
        self.in_memory = True  # from here on: what XlsxWriter packs are small parts, which need no temporary files
        self._formats_made: dict[tuple[tuple[str, object], ...], Format] = {}

    def describe(self, title: str, mark: str, created_at: datetime) -> None:
        """Set the document's properties; by `mark` the program knows its own workbooks."""
        # Created and modified at the same time: a workbook that a person has saved since then differs.
        created = created_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        self.set_properties({"title": title, "created": created})
        self.set_custom_property(MARK_PROPERTY, mark)

    def style(self, **properties: object) -> Format:
        """Return the format with these properties of XlsxWriter; each is made once."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats_made:
            self._formats_made[key] = self.add_format({"font_color": INK, "valign": "top", **properties})
        return self._formats_made[key]

    def header_style(self, **properties: object) -> Format:
        """Return the format of a header row's cell."""
        usual = {"bold": True, "font_color": "#FFFFFF", "bg_color": HEADER, "text_wrap": True, "valign": "vcenter"}
        return self.style(**{**usual, **properties})

    def outcome_style(self, kind: OutcomeKind) -> Format:
        """Return the format of a cell that names an outcome."""
        fill, ink = COLOURS[kind]
        return self.style(bg_color=fill, font_color=ink, bold=True)

    def add_list(self, name: str, columns: Mapping[str, int]) -> OutputSheet:
        """Add a sheet that begins with a header row: header -> width in characters."""
        sheet: OutputSheet = self.add_worksheet(name)
        for column, (header, width) in enumerate(columns.items()):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, header, self.header_style())
        sheet.freeze_panes(1, 0)
        sheet.print_wide()
        return sheet


class _Sink(io.RawIOBase):
    """A file for a zip file. After the first fault it accepts everything and keeps nothing.

    Otherwise a zip file that cannot be written raises once more when it is deleted, where nothing can catch it.
    """

    def __init__(self, file: PrivateFile) -> None:
        self._file: PrivateFile | None = file
        self._at = 0
        self.fault: OSError | None = None
        """Why it cannot be written; None if it can."""

    def end(self) -> None:
        """Keep nothing of what still comes."""
        self._file = None

    def close(self) -> None:
        """Stay open: a zip file that is deleted later still flushes this, and the file itself is another's to close."""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if self._file:
            self._at = self._file.seek(offset, whence)
        return self._at

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # zipfile gives bytes
        try:
            if self._file:
                self._file.write(data)
        except OSError as error:
            self._file, self.fault = None, error
        self._at += len(data)
        return len(data)


@contextmanager
def new_workbook(draft: Path) -> Iterator[OutputWorkbook]:
    """Give a workbook to fill; at the end of the block it is written into the draft. Raises OSError if it does not fit.

    XlsxWriter keeps parts in temporary files and leaves them behind where it cannot write the workbook: they have a
    folder of their own, and a fault of that folder names it.
    """
    parts = io.BytesIO()
    with temporary_folder() as scratch, PrivateFile(draft, "rb+") as file, ExitStack() as stack:
        sink = _Sink(file)
        stack.callback(sink.end)
        try:
            book = OutputWorkbook(parts, scratch)
            stack.callback(lambda: [sheet.rows.close() for sheet in book.worksheets()])
            yield book
            book.close()
            rows = {f"xl/worksheets/sheet{number}.xml": sheet.rows for number, sheet in enumerate(book.worksheets(), 1)}
            with ZipFile(parts) as made, ZipFile(sink, "w", ZIP_DEFLATED) as archive:
                join(made, archive, rows)
        except (OSError, XlsxFileError) as error:
            cause = error.args[0] if isinstance(error, XlsxFileError) and error.args else error
            why = f"{getattr(cause, 'strerror', None) or cause} (temporary files in {tempfile.gettempdir()})"
            raise sink.fault or TemporaryFilesError(getattr(cause, "errno", None), why) from error
        if sink.fault:
            raise sink.fault
