from __future__ import annotations

import string
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import openpyxl
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.loader.table import open_table
from tests.data.made_xlsb import write_xlsb
from tests.data.make_data import opendocument_parts, write_package
from tests.loader.described import csv_text, endpoint, settings
from tests.loader.staged import staged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.records import Cell

HEADERS = ("itemId", "label", "amountDue", "count", "dueDay", "active")
NO_FORMULA = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=12
)
TEXT = st.one_of(
    NO_FORMULA, st.text(string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", ""), max_size=8),
    st.sampled_from(["00123", "NA", "null", "TRUE", "1e5", "=1+1", "#N/A", "#CLEAR", " a ", "2025-01-01", "_x0041_"]),
)  # fmt: skip
# A spreadsheet holds 15 digits.
AMOUNT = st.decimals(-(10**9), 10**9, places=2).map(lambda number: number.normalize())
ROW = st.tuples(
    st.one_of(st.integers(-5, 10**14), st.just("x")),
    st.one_of(TEXT, st.none()),
    st.one_of(AMOUNT, st.integers(-(10**14), 10**14), st.none(), st.just("n/a")),
    st.one_of(st.integers(-9, 9), st.none()),
    st.one_of(st.dates(date(1900, 3, 1), date(9999, 12, 30)), st.none()),
    st.one_of(st.booleans(), st.none()),
)


def write_csv(path: Path, rows: Sequence[Sequence[Cell]], headers: Sequence[str] = HEADERS) -> Path:
    path = path / "a.csv"
    shown = [[text_of(cell) for cell in row] for row in rows]
    path.write_text(csv_text([headers, *shown]), encoding="utf-8", newline="")
    return path


def text_of(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    return "" if cell is None else format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def write_openpyxl(path: Path, rows: Sequence[Sequence[Cell]], headers: Sequence[str] = HEADERS) -> Path:
    path = path / "a.xlsx"
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for number, row in enumerate([headers, *rows], 1):
        for column, cell in enumerate(row, 1):
            made = sheet.cell(number, column, openpyxl_escaped(cell) if isinstance(cell, str) else cell)  # type: ignore[arg-type]
            if isinstance(cell, str):
                made.data_type = "s"
    book.save(path)
    return path


def openpyxl_escaped(text: str) -> str:
    """Openpyxl writes what looks like an escape as it is; Excel would escape its underscore."""
    return text.replace("_x", "_x005F_x")


def write_xlsxwriter(path: Path, rows: Sequence[Sequence[Cell]], headers: Sequence[str] = HEADERS) -> Path:
    path = path / "b.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate([headers, *rows]):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, column, cell)
                elif isinstance(cell, date):
                    sheet.write_datetime(number, column, cell, day)
                elif cell is not None:
                    sheet.write(number, column, cell)
    return path


def write_xls(path: Path, rows: Sequence[Sequence[Cell]], headers: Sequence[str] = HEADERS) -> Path:
    path = path / "a.xls"
    book, day = xlwt.Workbook(encoding="utf-8"), xlwt.XFStyle()
    day.num_format_str = "yyyy-mm-dd"
    sheet = book.add_sheet("S")
    for number, row in enumerate([headers, *rows]):
        for column, cell in enumerate(row):
            if isinstance(cell, date):
                # xlwt's own conversion is a day off before March 1900 only.
                sheet.write(number, column, cell, day)
            elif cell is not None:
                sheet.write(number, column, cell)
    book.save(str(path))
    return path


def write_ods(path: Path, rows: Sequence[Sequence[Cell]], headers: Sequence[str] = HEADERS) -> Path:
    lines = "".join(
        f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in (list(headers), *rows)
    )
    return write_package(path / "a.ods", opendocument_parts(lines))


def ods_cell(cell: Cell) -> str:
    match cell:
        case None:
            return "<table:table-cell/>"
        case bool():
            made = f'boolean" office:boolean-value="{str(cell).lower()}"/>'
        case str():
            value = quoteattr(cell, {"\n": "&#10;", "\t": "&#9;"})
            made = f'string" office:string-value={value}><text:p>{escape(cell)}</text:p></table:table-cell>'
        case date():
            made = f'date" office:date-value="{cell.isoformat()}"/>'
        case _:
            made = f'float" office:value="{cell}"/>'
    return f'<table:table-cell office:value-type="{made}'


def comes_to(path: Path) -> list[tuple[int, object, list[tuple[str | None, str]]]]:
    table = open_table(path, endpoint(), settings(), name=path.name)
    return [
        (row.row.number, row.job and dict(row.job.values), [(problem.field, problem.code) for problem in row.problems])
        for row in staged(table).rows
    ]


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=6))
def test_a_table_comes_to_the_same_in_every_format(tmp_path: Path, rows: list[tuple[Cell, ...]]) -> None:
    """Which format a table is saved in changes neither its jobs nor its problems."""
    expected = comes_to(write_csv(tmp_path, rows))
    assert comes_to(write_openpyxl(tmp_path, rows)) == expected
    assert comes_to(write_xlsxwriter(tmp_path, rows)) == expected
    assert comes_to(write_xls(tmp_path, rows)) == expected
    assert comes_to(write_ods(tmp_path, rows)) == expected
    assert comes_to(write_xlsb(tmp_path / "a.xlsb", {"S": [HEADERS, *rows]})) == expected
