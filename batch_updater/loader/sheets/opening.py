"""Opens a file by its content. The one place where what a format's library raises becomes an `InputError`."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat

from batch_updater.errors import InputError, Place
from batch_updater.loader.sheets.book import Book, SheetEntry, SheetRow, UnreadableError
from batch_updater.loader.sheets.delimited import DelimitedBook
from batch_updater.loader.sheets.xlsx import XlsxBook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batch_updater.config import InputSettings

_HEAD_BYTES = 1 << 12
_SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
_DAMAGED = "Ask for the file again, or open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
_OTHER_FORMATS = (
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook (.xls), or one that is protected by a password",
     "Open it in Excel, remove the password if it has one, and save it as an Excel workbook (.xlsx)."),
    (b"%PDF", "is a PDF document", _SAVE_AS),
    (b"\x89PNG", "is a picture", "Name the spreadsheet."),
    (b"\xff\xd8\xff", "is a picture", "Name the spreadsheet."),
    (b"GIF8", "is a picture", "Name the spreadsheet."),
    (b"{\\rtf", "is a text document (RTF)", _SAVE_AS),
    (b"\x1f\x8b", "is a compressed file", "Unpack it and name the spreadsheet in it."),
)  # fmt: skip
"""First bytes of what people name by mistake -> what it is, what to do."""
# What the libraries of the formats raise over a damaged file; each means the same to whoever sent it.
_DAMAGES = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, expat.ExpatError, EOFError, NotImplementedError, RuntimeError,
    ValueError, LookupError, ArithmeticError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose format is known; what goes wrong while it is read becomes an `InputError` that names it."""

    name: str
    """What the file is called in messages."""
    book: Book

    @property
    def sheets(self) -> Sequence[SheetEntry]:
        """The sheets in their order."""
        return self.book.sheets

    @property
    def mark(self) -> str | None:
        """Value of the document property `model.MARK_PROPERTY`, if the file is one of ours. Raises InputError."""
        with _faults_named(self.name):
            return self.book.mark

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of the sheet at that position of `sheets`. Raises InputError."""
        with _faults_named(self.name, self.book.sheets[sheet].name):
            yield from self.book.rows(sheet)


def open_source(path: Path, settings: InputSettings, *, name: str) -> Source:
    """Open a file of any format, decided by its content; `name` is what messages call it.

    Raises InputError if it cannot be read.
    """
    with _faults_named(name):
        return Source(name, _book(path, settings))


def _book(path: Path, settings: InputSettings) -> Book:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise UnreadableError("is empty: it has no header row", "Name the file that holds the rows.")
    if head.startswith(b"PK"):
        return XlsxBook(path, max_unpacked_mb=settings.max_unpacked_mb)
    for first, what, remedy in _OTHER_FORMATS:
        if head.startswith(first):
            raise UnreadableError(what, remedy)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise UnreadableError("is a web page or an XML file, whatever it is named", _SAVE_AS)
    return DelimitedBook(path, encoding=settings.encoding, header_row=settings.header_row)


@contextmanager
def _faults_named(name: str, sheet: str | None = None) -> Iterator[None]:
    place = Place(file=name, sheet=sheet)
    try:
        yield
    except UnreadableError as fault:
        raise InputError(f"{name} {fault.sentence}.", remedy=fault.remedy, place=place) from fault
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror or error}."
        raise InputError(message, remedy="Check that the file is there and not locked.", place=place) from error
    except _DAMAGES as error:
        raise InputError(f"{name} is damaged: {_what(error)}.", remedy=_DAMAGED, place=place) from error


def _what(error: Exception) -> str:
    if isinstance(error, (zipfile.BadZipFile, EOFError, zlib.error)):
        return "it is cut off or was changed on its way"
    if isinstance(error, expat.ExpatError):
        return "the XML inside it is broken"
    return "it does not hold what a file of its kind holds"
