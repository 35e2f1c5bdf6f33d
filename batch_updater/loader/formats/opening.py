"""Opens a file by its content."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

from batch_updater.config.schema import InputSettings
from batch_updater.loader.formats.book import ASK_AGAIN, SAVE_AS, Book, UnreadableError, faults_named
from batch_updater.loader.formats.delimited import DelimitedBook
from batch_updater.loader.formats.package import Package
from batch_updater.loader.formats.xlsx import XlsxBook

_HEAD_BYTES = 1 << 12
_NO_SPREADSHEET = "Name the spreadsheet."
_UNPACK = "Unpack it and name the spreadsheet in it."


_TEXT = "text with one row on a line (CSV)"
_XLSX = "an Excel workbook (.xlsx)"
_XLSM = "an Excel workbook with macros (.xlsm)"
_XLSB = "a binary Excel workbook (.xlsb)"
_XLS = "an old Excel workbook (.xls)"
_ODS = "an OpenDocument spreadsheet (.ods)"
_FORMAT_OF_ENDING = {
    ".csv": _TEXT, ".tsv": _TEXT, ".tab": _TEXT, ".psv": _TEXT, ".txt": _TEXT, ".xlsx": _XLSX, ".xltx": _XLSX,
    ".xlsm": _XLSM, ".xltm": _XLSM, ".xlsb": _XLSB, ".xls": _XLS, ".xlt": _XLS, ".ods": _ODS, ".ots": _ODS,
}  # fmt: skip
"""What a name says; names that end otherwise say nothing."""
_OTHER_FILES = (
    ((b"%PDF",), "a PDF document", SAVE_AS),
    ((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"), "a picture", _NO_SPREADSHEET),
    ((b"RIFF",), "a picture, a sound or a film", _NO_SPREADSHEET),
    ((b"\0\0\0\x18ftyp", b"\0\0\0 ftyp"), "a picture or a film", _NO_SPREADSHEET),
    ((b"MIME-Version:",), "a web page with its pictures in one file", SAVE_AS),
    ((b"{\\rtf",), "a text document (RTF)", SAVE_AS),
    ((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!"), "a compressed file", _UNPACK),
    ((b"SQLite format 3",), "a database", _NO_SPREADSHEET),
)
"""First bytes of what people name by mistake -> what it is, what to do."""
_LOCKS = {"~$": "Excel", ".~lock.": "LibreOffice"}
"""How the names of the notes begin by which programs tell one another that a file is open."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def open_source(path: Path, settings: InputSettings, *, name: str) -> Book:
    """Open a file of any format, decided by its content; `name` is what messages call it.

    Raises InputError if it cannot be read, or if it is named as another format.
    """
    with faults_named(name):
        for beginning, program in _LOCKS.items():
            if Path(name).name.startswith(beginning):
                raise UnreadableError(
                    f"is not a workbook but the note that {program} keeps beside one that is open",
                    f"Name the workbook itself: the same name without {beginning}.",
                )
        named = _FORMAT_OF_ENDING.get(path.suffix.lower())
        book, found = _opened(path, settings, named)
        _agree(named, found)
    book.name = name
    return book


def _opened(path: Path, settings: InputSettings, named: str | None) -> tuple[Book, str]:
    """Return the reader of what the file holds."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise UnreadableError("is empty: it has no header row", "Name the file that holds the rows.")
    if head.startswith(_ZIP):
        return _unpacked(path, settings, named)
    if head.startswith(_COMPOUND):
        from batch_updater.loader.formats.xls import open_compound

        old = open_compound(path, encoding=settings.encoding)
        return _unpacked(io.BytesIO(old), settings, named) if isinstance(old, bytes) else (old, _XLS)
    for beginnings, what, remedy in _OTHER_FILES:
        if head.startswith(beginnings):
            raise _no_spreadsheet(named, what, remedy)
    is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    markup = (head[2:].replace(b"\0", b"") if is_utf16 else head.removeprefix(codecs.BOM_UTF8)).lstrip().lower()
    if markup[:1] == b"<":
        what = "an XML file"
        if b"urn:schemas-microsoft-com:office:spreadsheet" in markup:
            what = "a spreadsheet in the XML of Excel 2003"
        elif any(tag in markup for tag in (b"<html", b"<!doctype html", b"<table", b"<body")):
            what = "a web page"
        raise _no_spreadsheet(named, what, SAVE_AS)
    try:
        return DelimitedBook(path, encoding=settings.encoding, header_row=settings.header_row), _TEXT
    except UnreadableError as fault:
        if named in {None, _TEXT}:
            raise
        raise _no_spreadsheet(named, "nothing that is known: it is damaged, or something else", ASK_AGAIN) from fault


def _unpacked(file: Path | io.BytesIO, settings: InputSettings, named: str | None) -> tuple[Book, str]:
    """Return the reader of a file that is a package."""
    package = Package(file, max_unpacked_mb=settings.max_unpacked_mb)
    if "encrypted-package" in package:
        raise UnreadableError("is protected by a password", "Open it, save it without a password and run again.")
    if "mimetype" in package and "content.xml" in package:
        from batch_updater.loader.formats.ods import OdsBook

        return OdsBook(package), _ODS
    main = next((relation.part for relation in package.relationships("") if relation.type == "officeDocument"), None)
    if main is None and any(name.endswith(".iwa") for name in package.names):
        raise _no_spreadsheet(named, "a document of Apple's Numbers", "Export it as an Excel workbook (.xlsx).")
    if main is None:
        raise _no_spreadsheet(named, "a zip file that holds no workbook", _UNPACK)
    if main.lower().endswith(".bin"):
        from batch_updater.loader.formats.xlsb import XlsbBook

        _agree(named, _XLSB)
        return XlsbBook(package, main), _XLSB
    return XlsxBook(package, main), _XLSM if package.has_macros(main) else _XLSX


def _agree(named: str | None, found: str) -> None:
    """Refuse a file that is named as another format: its name or its content is a mistake."""
    if named not in {None, found}:
        ending = next(ending for ending, format_ in _FORMAT_OF_ENDING.items() if format_ is found)
        remedy = f"If its content is what you mean to send, rename it so that it ends in {ending}."
        raise _no_spreadsheet(named, found, remedy)


def _no_spreadsheet(named: str | None, what: str, remedy: str) -> UnreadableError:
    return UnreadableError(f"is named as {named}, but is {what}" if named else f"is {what}", remedy)
