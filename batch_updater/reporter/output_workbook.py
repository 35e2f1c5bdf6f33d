"""The workbooks that XlsxWriter writes for us: every text in them is a text, whatever it looks like."""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.worksheet import Worksheet

from batch_updater.files.reading import PrivateFile
from batch_updater.files.writing import TemporaryFilesError, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NOT_IN_XML = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_TO_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}[_{_NOT_IN_XML}])|[{_NOT_IN_XML}]")
"""What XML cannot hold, and the beginning of what would be read as an escape of it (ECMA-376, part 1, 22.9.2.19).

That may also be something before an escape, which begins with the `_` that it lacks."""
_KEEP_BLANKS = True


class Sheet(Worksheet):  # type: ignore[misc]  # its types are not followed
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


class Book(Workbook):  # type: ignore[misc]  # as above
    """A workbook whose sheets keep their rows on disk, so that memory stays flat: they are written from the top."""

    worksheet_class = Sheet

    def __init__(self, place: str | io.RawIOBase) -> None:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_date_format": "yyyy-mm-dd",
            "tmpdir": str(place.scratch) if isinstance(place, _Sink) else None,
        }
        super().__init__(place, options)


class _Sink(io.RawIOBase):
    """A file for a zip file: once it is known that it cannot be written, it takes whatever comes and keeps nothing.

    A zip file that cannot be written would otherwise raise once more when it is thrown away, where nobody can catch it.
    """

    def __init__(self, file: PrivateFile, scratch: Path) -> None:
        self.scratch = scratch
        """Folder for temporary files: XlsxWriter leaves them behind where it cannot write the workbook."""
        self._file: PrivateFile | None = file
        self._at = 0
        self.fault: OSError | None = None
        """Why it cannot be written; None if it can."""

    def end(self) -> None:
        """Keep nothing of what still comes."""
        self._file = None

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
def sink_for(draft: Path) -> Iterator[io.RawIOBase]:
    """Give what a workbook is written to. Raises OSError at the end of the block if the draft did not take it all.

    XlsxWriter keeps rows and parts in temporary files meanwhile: that those find no room is said of their folder.
    """
    with temporary_folder() as scratch, PrivateFile(draft, "rb+") as file:
        sink = _Sink(file, scratch)
        try:
            yield sink
        except (OSError, XlsxFileError) as error:
            cause = error.args[0] if isinstance(error, XlsxFileError) and error.args else error
            why = f"{getattr(cause, 'strerror', None) or cause} (temporary files in {tempfile.gettempdir()})"
            raise sink.fault or TemporaryFilesError(getattr(cause, "errno", None), why) from error
        finally:
            sink.end()
        if sink.fault:
            raise sink.fault
