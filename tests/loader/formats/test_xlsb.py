from __future__ import annotations

import struct
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import CellError, FormattedNumber
from tests.data.made_xlsb import ZEROS, cell_record, record, row_record, write_xlsb
from tests.data.make_data import write_package
from tests.loader.described import settings

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.records import Cell


def read(path: Path, rows: bytes, **parts: bytes) -> list[tuple[int, list[Cell]]]:
    file = write_xlsb(path / "a.xlsb", {"S": rows}, **parts)  # type: ignore[arg-type]
    return [(row.number, row.cells) for row in open_source(file, settings(), name="a.xlsb").rows(0)]


def number_record(column: int, packed: int) -> bytes:
    """Return a cell with a number in 32 bits ([MS-XLSB] 2.5.122, RkNumber)."""
    return record(2, struct.pack("<III", column, 0, packed))


def test_cells_of_every_record_arrive_as_they_stand(tmp_path: Path) -> None:
    """Each of the format's kinds of cells gives its value."""
    cells: list[Cell] = [
        "00123", 7, -5, Decimal("0.1"), 10**14 + 1, True, date(2025, 4, 3), timedelta(hours=30), None,
        CellError("error-cell", "#N/A"), "last",
    ]  # fmt: skip
    data = b"".join(cell_record(column, cell) for column, cell in enumerate(cells))
    data += cell_record(len(cells), 123, style=ZEROS)
    assert read(tmp_path, row_record(3) + data) == [(3, [*cells, FormattedNumber(123, "00123", "00000")])]


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (7 << 2 | 2, 7), (12345 << 2 | 3, Decimal("123.45")), (100 << 2 | 3, 1),
        ((-1 << 2 | 2) & 0xFFFFFFFF, -1), (struct.unpack("<I", struct.pack("<d", 1.5)[4:])[0], Decimal("1.5")),
        (struct.unpack("<I", struct.pack("<d", 150.0)[4:])[0] | 1, Decimal("1.5")),
    ],
)  # fmt: skip
def test_packed_numbers(tmp_path: Path, packed: int, expected: Cell) -> None:
    """A whole number or the upper half of a double, either of them in hundredths or not."""
    assert read(tmp_path, row_record(1) + number_record(0, packed)) == [(1, [expected])]


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_a_cut_record_is_refused(tmp_path: Path, length: int) -> None:
    """A file that ends in the middle of something is no shorter table."""
    file = write_xlsb(tmp_path / "a.xlsb", {"S": (row_record(1) + cell_record(0, "text of a cell"))[: -1 - length]})
    with pytest.raises(InputError):
        list(open_source(file, settings(), name="a.xlsb").rows(0))


def test_rows_that_go_back_are_refused(tmp_path: Path) -> None:
    """Rows in another order than their numbers would be told apart wrongly."""
    with pytest.raises(InputError, match="has row 2 in the wrong place"):
        read(tmp_path, row_record(3) + cell_record(0, 1) + row_record(2) + cell_record(0, 2))


def test_a_row_in_two_pieces_is_one_row(tmp_path: Path) -> None:
    """Its cells go on where they ended."""
    data = row_record(1) + cell_record(0, 1) + row_record(1) + cell_record(2, 3) + row_record(2) + cell_record(0, 5)
    assert read(tmp_path, data) == [(1, [1, None, 3]), (2, [5])]


def test_shared_texts_may_be_missing_if_no_cell_has_one(tmp_path: Path) -> None:
    """A part that is named and not there matters to the cells that refer to it, and to no others."""
    file = write_xlsb(tmp_path / "a.xlsb", {"S": row_record(1) + cell_record(0, 1)})
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if "sharedStrings" not in name}
    write_package(file, parts)
    assert [row.cells for row in open_source(file, settings(), name="a.xlsb").rows(0)] == [[1]]


def test_a_number_that_is_none_is_a_fault_of_its_cell(tmp_path: Path) -> None:
    """One cell of a careless program does not cost the others."""
    data = row_record(1) + record(5, struct.pack("<IId", 0, 0, float("nan"))) + cell_record(1, 1)
    assert read(tmp_path, data) == [(1, [CellError("no-value", "nan"), 1])]
