"""Opens a file by its content. The one place where what a format's library raises becomes an `InputError`."""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from xml.parsers import expat

from batch_updater.config.schema import InputSettings
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, Layout, SheetEntry, SheetRow, UnreadableError
from batch_updater.loader.formats.delimited import DelimitedBook
from batch_updater.loader.formats.package import Package
from batch_updater.loader.formats.xlsx import XlsxBook
from batch_updater.records import ANNOTATED_MARK

_HEAD_BYTES = 1 << 12
_SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
_DAMAGED = "Ask for the file again, or open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
_NO_SPREADSHEET = "Name the spreadsheet."
_UNPACK = "Unpack it and name the spreadsheet in it."


class Format(Enum):
    """A format that is read, as people call it."""

    TEXT = "text with one row on a line (CSV)"
    XLSX = "an Excel workbook (.xlsx)"
    XLSM = "an Excel workbook with macros (.xlsm)"
    XLSB = "a binary Excel workbook (.xlsb)"
    XLS = "an old Excel workbook (.xls)"
    ODS = "an OpenDocument spreadsheet (.ods)"


_FORMAT_OF_ENDING = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt"), Format.TEXT),
    **dict.fromkeys((".xlsx", ".xltx"), Format.XLSX),
    **dict.fromkeys((".xlsm", ".xltm"), Format.XLSM),
    ".xlsb": Format.XLSB,
    **dict.fromkeys((".xls", ".xlt"), Format.XLS),
    **dict.fromkeys((".ods", ".ots"), Format.ODS),
}
"""What a name says; names that end otherwise say nothing."""
_OTHER_FILES = (
    (b"%PDF", "a PDF document", _SAVE_AS),
    (b"\x89PNG", "a picture", _NO_SPREADSHEET),
    (b"\xff\xd8\xff", "a picture", _NO_SPREADSHEET),
    (b"GIF8", "a picture", _NO_SPREADSHEET),
    (b"II*\0", "a picture", _NO_SPREADSHEET),
    (b"MM\0*", "a picture", _NO_SPREADSHEET),
    (b"RIFF", "a picture, a sound or a film", _NO_SPREADSHEET),
    (b"\0\0\0\x18ftyp", "a picture or a film", _NO_SPREADSHEET),
    (b"\0\0\0 ftyp", "a picture or a film", _NO_SPREADSHEET),
    (b"MIME-Version:", "a web page with its pictures in one file", _SAVE_AS),
    (b"{\\rtf", "a text document (RTF)", _SAVE_AS),
    (b"\x1f\x8b", "a compressed file", _UNPACK),
    (b"7z\xbc\xaf", "a compressed file", _UNPACK),
    (b"Rar!", "a compressed file", _UNPACK),
    (b"SQLite format 3", "a database", _NO_SPREADSHEET),
)
"""First bytes of what people name by mistake -> what it is, what to do."""
_LOCKS = {"~$": "Excel", ".~lock.": "LibreOffice"}
"""How the names of the notes begin by which programs tell one another that a file is open."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# What the libraries of the formats raise over a damaged file; each means the same to a person.
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
        """Value of the document property `MARK_PROPERTY`, if the file is one of ours. Raises InputError."""
        return self._marks.removesuffix(ANNOTATED_MARK).removesuffix("-") or None

    @property
    def is_annotated(self) -> bool:
        """Whether it is an annotated copy, of a workbook of ours or of any other. Raises InputError."""
        return self._marks.endswith(ANNOTATED_MARK)

    @property
    def _marks(self) -> str:
        with _faults_named(self.name):
            return self.book.mark or ""

    @property
    def notes(self) -> Sequence[str]:
        """What is in the file and not used. Raises InputError."""
        with _faults_named(self.name):
            return self.book.notes

    @property
    def has_semicolons(self) -> bool:
        """Whether it is text whose columns are separated by semicolons, as where the decimal mark is a comma."""
        return isinstance(self.book, DelimitedBook) and self.book.delimiter == ";"

    def layout(self, sheet: int) -> Layout:
        """Return what the sheet at that position of `sheets` says beside its rows. Raises InputError."""
        with _faults_named(self.name, self.book.sheets[sheet].name):
            return self.book.layout(sheet)

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of the sheet at that position of `sheets`. Raises InputError."""
        with _faults_named(self.name, self.book.sheets[sheet].name):
            yield from self.book.rows(sheet)

    def close(self) -> None:
        """Let go of the file."""
        self.book.close()


def open_source(path: Path, settings: InputSettings, *, name: str) -> Source:
    """Open a file of any format, decided by its content; `name` is what messages call it.

    Raises InputError if it cannot be read, or if it is named as another format.
    """
    with _faults_named(name):
        for beginning, program in _LOCKS.items():
            if Path(name).name.startswith(beginning):
                raise UnreadableError(
                    f"is not a workbook but the note that {program} keeps beside one that is open",
                    f"Name the workbook itself: the same name without {beginning}.",
                )
        return Source(name, _book(path, settings))


def _book(path: Path, settings: InputSettings) -> Book:
    """Return the reader of what the file holds; what the file is named must not say otherwise."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    named = _FORMAT_OF_ENDING.get(path.suffix.lower())
    if not head:
        raise UnreadableError("is empty: it has no header row", "Name the file that holds the rows.")
    if head.startswith(_ZIP):
        return _packed_book(path, settings, named)
    if head.startswith(_COMPOUND):
        from batch_updater.loader.formats.xls import XlsBook, package_in

        if (package := package_in(path)) is not None:
            return _packed_book(io.BytesIO(package), settings, named)
        old = XlsBook(path, encoding=settings.encoding)
        _agree(named, Format.XLS)
        return old
    for first, what, remedy in _OTHER_FILES:
        if head.startswith(first):
            raise _no_spreadsheet(named, what, remedy)
    markup = _without_second_bytes(head).lstrip()
    if markup[:1] == b"<":
        raise _no_spreadsheet(named, _kind_of_markup(markup), _SAVE_AS)
    return _text_book(path, settings, named)


def _packed_book(file: Path | io.BytesIO, settings: InputSettings, named: Format | None) -> Book:
    package = Package(file, max_unpacked_mb=settings.max_unpacked_mb)
    if "encrypted-package" in package:
        raise UnreadableError("is protected by a password", "Open it, save it without a password and run again.")
    if "mimetype" in package and "content.xml" in package:
        from batch_updater.loader.formats.ods import OdsBook

        spreadsheet = OdsBook(package)
        _agree(named, Format.ODS)
        return spreadsheet
    main = next((relation.part for relation in package.relationships("") if relation.type == "officeDocument"), None)
    if main is None and any(name.endswith(".iwa") for name in package.names):
        raise _no_spreadsheet(named, "a document of Apple's Numbers", "Export it as an Excel workbook (.xlsx).")
    if main is None:
        raise _no_spreadsheet(named, "a zip file that holds no workbook", _UNPACK)
    if main.lower().endswith(".bin"):
        from batch_updater.loader.formats.xlsb import XlsbBook

        _agree(named, Format.XLSB)
        return XlsbBook(package, main)
    book = XlsxBook(package, main)
    _agree(named, Format.XLSM if package.has_macros(main) else Format.XLSX)
    return book


def _text_book(path: Path, settings: InputSettings, named: Format | None) -> Book:
    try:
        text = DelimitedBook(path, encoding=settings.encoding, header_row=settings.header_row)
    except UnreadableError as fault:
        if named in {None, Format.TEXT}:
            raise
        raise _no_spreadsheet(named, "nothing that is known: it is damaged, or something else", _DAMAGED) from fault
    _agree(named, Format.TEXT)
    return text


def _agree(named: Format | None, found: Format) -> None:
    """Refuse a file that is named as another format: its name or its content is a mistake."""
    if named not in {None, found}:
        endings = [ending for ending, format_ in _FORMAT_OF_ENDING.items() if format_ is found]
        remedy = f"If its content is what you mean to send, rename it so that it ends in {endings[0]}."
        raise _no_spreadsheet(named, found.value, remedy)


def _no_spreadsheet(named: Format | None, what: str, remedy: str) -> UnreadableError:
    return UnreadableError(f"is named as {named.value}, but is {what}" if named else f"is {what}", remedy)


def _without_second_bytes(head: bytes) -> bytes:
    """Return how a text begins without its mark, what is written in UTF-16 as if it were in UTF-8."""
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if head.startswith(mark):
            return head.removeprefix(mark).replace(b"\0", b"")
    return head.removeprefix(codecs.BOM_UTF8)


def _kind_of_markup(head: bytes) -> str:
    text = head.lower()
    if b"urn:schemas-microsoft-com:office:spreadsheet" in text:
        return "a spreadsheet in the XML of Excel 2003"
    if any(tag in text for tag in (b"<html", b"<!doctype html", b"<table", b"<body")):
        return "a web page"
    return "an XML file"


@contextmanager
def _faults_named(name: str, sheet: str | None = None) -> Iterator[None]:
    place = Location(file=name, sheet=sheet)
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
