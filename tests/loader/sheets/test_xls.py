from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import xlwt

from batch_updater.errors import InputError
from batch_updater.loader.sheets.opening import open_source
from batch_updater.model import CellFault, ShownAs, ShownNumber
from tests.loader.described import settings

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.model import Cell


def saved(path: Path, book: xlwt.Workbook) -> Path:
    book.save(str(path / "a.xls"))
    return path / "a.xls"


def read(path: Path) -> list[tuple[int, list[Cell], bool]]:
    return [(row.number, row.cells, row.hidden) for row in open_source(path, settings(), name="a.xls").rows(0)]


def style(code: str) -> xlwt.XFStyle:
    made = xlwt.XFStyle()
    made.num_format_str = code
    return made


@pytest.mark.parametrize("calendar_1904", [False, True])
def test_cells_arrive_as_they_stand(tmp_path: Path, *, calendar_1904: bool) -> None:
    """Text stays text, numbers keep their digits, days are days in both calendars, error cells are no blanks."""
    book = xlwt.Workbook()
    book.dates_1904 = calendar_1904
    sheet = book.add_sheet("S")
    day = 45000 - (1462 if calendar_1904 else 0)
    cells = [
        ("00123", "General"), ("", "General"), ("NA", "@"), (7, "General"), (0.1, "0.0"), (10**14 + 1, "0"), (True, "0"),
        (day, "dd.mm.yyyy"), (day + 0.5, "dd.mm.yyyy hh:mm"), (0.5, "0%"), (123, "00000"), (-3, "000"),
    ]  # fmt: skip
    for column, (value, code) in enumerate(cells):
        sheet.write(1, column, value, style(code))
    sheet.row(1).set_cell_error(len(cells), 0x17)
    number, found, hidden = read(saved(tmp_path, book))[1]
    assert (number, hidden) == (2, False)
    noon = datetime.combine(date(2023, 3, 15), time(12))
    assert found == [
        "00123", None, "NA", 7, Decimal("0.1"), 10**14 + 1, True, date(2023, 3, 15), noon,
        ShownNumber(Decimal("0.5"), "50%", "0%", ShownAs.OTHERWISE),
        ShownNumber(123, "00123", "00000"), ShownNumber(-3, "-003", "000"), CellFault("error-cell", "#REF!"),
    ]  # fmt: skip


def test_formulas_give_what_was_saved_with_them(tmp_path: Path) -> None:
    """One formula with a result shows that the sheet was calculated: an empty result is then a blank."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for column in range(2):
        sheet.write(0, column, xlwt.Formula("A2"))
    file = saved(tmp_path, book)
    assert read(file) == [(1, [CellFault("formula-without-value", "=...")] * 2, False)]
    # The result of the second formula (8 bytes, [MS-XLS] 2.5.133) becomes the number 2.
    content, empty = file.read_bytes(), b"\x03\0\0\0\0\0\xff\xff"
    second = content.rindex(empty)
    file.write_bytes(content[:second] + b"\0\0\0\0\0\0\0\x40" + content[second + 8 :])
    assert read(file) == [(1, [None, 2], False)]


def test_the_layout_is_known(tmp_path: Path) -> None:
    """Merged areas, hidden rows, columns and sheets."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write_merge(1, 2, 1, 3, "x")
    sheet.row(1).hidden = True
    sheet.col(4).hidden = True
    sheet.write(3, 4, "y")
    book.add_sheet("H").visibility = 1
    book.add_sheet("V").visibility = 2
    source = open_source(saved(tmp_path, book), settings(), name="a.xls")
    layout = source.layout(0)
    assert [area.address for area in layout.merged] == ["B2:D3"]
    assert list(layout.hidden_columns) == [range(4, 5)]
    assert [row.number for row in source.rows(0) if row.hidden] == [2]
    assert [(entry.name, entry.hidden) for entry in source.sheets] == [("S", False), ("H", True), ("V", True)]


def test_a_workbook_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """It would be kept in memory, so its size is looked at first; saving it in the newer format helps."""
    file = saved(tmp_path, book_of_one_sheet())
    with file.open("r+b") as stream:
        stream.truncate(61 << 20)
    with pytest.raises(InputError, match="larger than 60 MB") as raised:
        open_source(file, settings(), name="a.xls")
    assert ".xlsx" in str(raised.value.remedy)


def book_of_one_sheet() -> xlwt.Workbook:
    book = xlwt.Workbook()
    book.add_sheet("S").write(0, 0, "x")
    return book
