"""Writes binary workbooks ([MS-XLSB]) by hand, record by record: no free program does."""

from __future__ import annotations

import struct
import zipfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from batch_updater.records import CellError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.records import Cell

_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ERRORS = {"#NULL!": 0, "#DIV/0!": 7, "#VALUE!": 15, "#REF!": 23, "#NAME?": 29, "#NUM!": 36, "#N/A": 42}
# Styles by their position among the cell styles: built-in format or, from 164 on, one of the workbook's own.
GENERAL, DATE, DATE_TIME, DURATION, ZEROS = range(5)
_FORMATS = (0, 14, 22, 46, 164)
FIRST_OWN = len(_FORMATS)


def record(kind: int, data: bytes = b"") -> bytes:
    """Return one record: type and length in seven bits a byte."""
    number = bytes((kind,)) if kind < 0x80 else bytes((kind & 0x7F | 0x80, kind >> 7))
    length, rest = b"", len(data)
    while True:
        length += bytes((rest & 0x7F | (0x80 if rest > 0x7F else 0),))
        rest >>= 7
        if not rest:
            return number + length + data


def wide(text: str) -> bytes:
    """Return a text with its length before it."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    return struct.pack("<I", len(encoded) // 2) + encoded


def row_record(number: int, *, hidden: bool = False) -> bytes:
    """Return the record that begins a row; `number` counts from 1."""
    return record(0, struct.pack("<IIHBBB", number - 1, 0, 300, 0, 0x10 if hidden else 0, 0) + struct.pack("<I", 0))


def cell_record(column: int, cell: Cell, *, style: int = GENERAL, shared: list[str] | None = None) -> bytes:
    """Return the record of a cell; texts go to `shared`, where it is given."""
    match cell:
        case None:
            kind, data = 1, b""
        case CellError():
            kind, data = 3, bytes((_ERRORS[cell.text],))
        case bool():
            kind, data = 4, bytes((cell,))
        case str() if shared is not None:
            shared.append(cell)
            kind, data = 7, struct.pack("<I", len(shared) - 1)
        case str():
            kind, data = 6, wide(cell)
        case int() if -(2**29) <= cell < 2**29:
            kind, data = 2, struct.pack("<i", cell << 2 | 2)
        case date():
            at = cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001
            style = DATE_TIME if isinstance(cell, datetime) else DATE
            kind, data = 5, struct.pack("<d", (at - datetime(1899, 12, 30)) / timedelta(days=1))  # noqa: DTZ001
        case timedelta():
            kind, style, data = 5, DURATION, struct.pack("<d", cell / timedelta(days=1))
        case int() | Decimal():
            kind, data = 5, struct.pack("<d", float(cell))
        case _:
            raise TypeError(cell)
    return record(kind, struct.pack("<II", column, style) + data)


def write_xlsb(
    path: Path,
    sheets: dict[str, Sequence[Sequence[Cell]] | bytes],
    *,
    hidden: Sequence[str] = (),
    before: bytes = b"",
    after: bytes = b"",
    calculation: bytes = b"",
    relations: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> Path:
    """Write a workbook; a sheet is rows of cells or the records of its rows.

    `before` and `after` are records around the rows of every sheet, `calculation` is one of the workbook, `relations`
    are types of further parts and `formats` the codes of further styles of cells, from `FIRST_OWN` on.
    """
    format_ids = (*_FORMATS, *range(165, 165 + len(formats)))
    shared: list[str] = []
    parts: dict[str, bytes] = {}
    listed, related = b"", ""
    for index, (name, rows) in enumerate(sheets.items(), 1):
        data = rows if isinstance(rows, bytes) else _rows(rows, shared)
        parts[f"xl/worksheets/sheet{index}.bin"] = (
            record(129)
            + record(148, struct.pack("<4I", 0, 1000, 0, 50))
            + before
            + record(145)
            + data
            + record(146)
            + after
            + record(130)
        )
        listed += record(156, struct.pack("<II", int(name in hidden), index) + wide(f"r{index}") + wide(name))
        related += _relation(f"r{index}", "worksheet", f"worksheets/sheet{index}.bin")
    parts["xl/workbook.bin"] = (
        record(131)
        + record(153, struct.pack("<III", 0, 0, 0))
        + record(143)
        + listed
        + record(144)
        + calculation
        + record(132)
    )
    items = b"".join(record(19, b"\0" + wide(text)) for text in shared)
    parts["xl/sharedStrings.bin"] = record(159, struct.pack("<II", len(shared), len(shared))) + items + record(160)
    parts["xl/styles.bin"] = (
        record(278)
        + record(615, struct.pack("<I", 1))
        + b"".join(
            record(44, struct.pack("<H", id_) + wide(code)) for id_, code in enumerate(("00000", *formats), start=164)
        )
        + record(616)
        + record(617, struct.pack("<I", len(format_ids)))
        + b"".join(record(47, struct.pack("<HH", 0, id_) + bytes(12)) for id_ in format_ids)
        + record(618)
        + record(279)
    )
    related += _relation("s", "sharedStrings", "sharedStrings.bin") + _relation("t", "styles", "styles.bin")
    related += "".join(_relation(f"x{index}", kind, "other.bin") for index, kind in enumerate(relations))
    texts = {
        "_rels/.rels": _listing(_relation("r", "officeDocument", "xl/workbook.bin")),
        "xl/_rels/workbook.bin.rels": _listing(related),
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
        '<Override PartName="/xl/sharedStrings.bin" ContentType="application/vnd.ms-excel.sharedStrings"/>'
        '<Override PartName="/xl/styles.bin" ContentType="application/vnd.ms-excel.styles"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**{name: text.encode() for name, text in texts.items()}, **parts}.items():
            archive.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), content)
    return path


def _rows(rows: Sequence[Sequence[Cell]], shared: list[str]) -> bytes:
    data = b""
    for number, cells in enumerate(rows, 1):
        data += row_record(number)
        data += b"".join(cell_record(column, cell, shared=shared) for column, cell in enumerate(cells))
    return data


def _relation(id_: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{id_}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


def _listing(relations: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}">{relations}</Relationships>'
