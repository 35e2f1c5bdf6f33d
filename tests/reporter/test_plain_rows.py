"""reporter/plain_rows.py: what it makes of a row is what XlsxWriter makes of it, or nothing."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch_updater.reporter.output_workbook import new_workbook
from batch_updater.reporter.plain_rows import OwnStyle, PlainRows
from batch_updater.reporter.row_sheets import CellWriter
from batch_updater.reporter.style import DATE

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.records import Cell

CELLS = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.text("ab <>&_x0041=+-@\n\u00a0", max_size=12),
    st.integers(),
    st.integers(-(10**15), 10**15),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**6, places=2),
    st.dates(),
    st.booleans(),
    st.datetimes(),
)


def rows_of_sheet(path: Path, cells: list[Cell], *, by_xlsxwriter: bool) -> tuple[bool, bytes]:
    """Write one row below the first; returns whether it was made here, and the XML of the sheet."""
    path.write_bytes(b"")
    with new_workbook(path) as book:
        book.describe("t", "m", datetime(2026, 1, 2, tzinfo=UTC))
        sheet, plain = book.add_worksheet(), book.style()
        for column in range(len(cells)):
            sheet.write_string(0, column, "x", plain)
        day = OwnStyle(book.style(num_format=DATE, align="left"))
        xml = None if by_xlsxwriter else PlainRows(len(cells), OwnStyle(plain), day).row(2, (), cells, ())
        if xml is None:
            writer = CellWriter(book)
            for column, cell in enumerate(cells):
                writer.write(sheet, 1, column, cell)
        else:
            sheet.write_row_xml(1, len(cells), xml)
    with zipfile.ZipFile(path) as archive:
        return xml is not None, archive.read("xl/worksheets/sheet1.xml")


@given(st.lists(CELLS, min_size=1, max_size=4))
@example([Decimal("-0.00")])
@example([Decimal(0), Decimal("1E+2"), Decimal("0.1"), 10**15 - 1])
@example([date(1900, 2, 28), date(1900, 3, 1)])
@settings(max_examples=150, deadline=None)
def test_a_row_is_the_same_xml_as_xlsxwriter_makes(tmp_path_factory: pytest.TempPathFactory, cells: list[Cell]) -> None:
    """For every row that it makes."""
    path = tmp_path_factory.mktemp("rows") / "x.xlsx"
    is_made, xml = rows_of_sheet(path, cells, by_xlsxwriter=False)
    if is_made and cells != [None] * len(cells):
        assert xml == rows_of_sheet(path, cells, by_xlsxwriter=True)[1]


@pytest.mark.parametrize("cell", ["Bolt", "a_b", "Müller", 7, -7, Decimal("12.5"), date(2026, 1, 2), None])
def test_rows_of_usual_cells_are_made(tmp_path: Path, cell: Cell) -> None:
    """They are nearly all there are."""
    path = tmp_path / "x.xlsx"
    assert rows_of_sheet(path, ["x", cell], by_xlsxwriter=False)[0]
