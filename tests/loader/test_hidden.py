"""Rows that a sheet does not show: counted, and left out where that was decided, in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlwt
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.loader.hidden import HiddenRowCounter
from batch_updater.loader.table import open_table
from batch_updater.questions import NO_ANSWERS, Answers
from tests.data.made_xlsb import cell_record, row_record, write_xlsb
from tests.data.make_data import opendocument_parts, write_package
from tests.loader.described import endpoint, settings, table_of
from tests.loader.staged import staged
from tests.loader.test_formats_agree import ods_cell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADERS = ("itemId", "label")
Rows = list[tuple[int, bool]]
"""The number of an item and whether its row is hidden."""


def xlsx(folder: Path, rows: Rows) -> Path:
    path, book = folder / "a.xlsx", openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADERS)
    for at, (number, is_hidden) in enumerate(rows, 2):
        sheet.append((number, "x"))
        sheet.row_dimensions[at].hidden = is_hidden
    book.save(path)
    return path


def xls(folder: Path, rows: Rows) -> Path:
    path, book = folder / "a.xls", xlwt.Workbook()
    sheet = book.add_sheet("S")
    for at, cells in enumerate([HEADERS, *((number, "x") for number, _ in rows)]):
        for column, cell in enumerate(cells):
            sheet.write(at, column, cell)
        sheet.row(at).hidden = at > 0 and rows[at - 1][1]
    book.save(str(path))
    return path


def xlsb(folder: Path, rows: Rows) -> Path:
    def line(at: int, cells: Sequence[int | str], *, hidden: bool = False) -> bytes:
        return row_record(at, hidden=hidden) + b"".join(cell_record(place, cell) for place, cell in enumerate(cells))

    lines = [line(at, (number, "x"), hidden=is_hidden) for at, (number, is_hidden) in enumerate(rows, 2)]
    return write_xlsb(folder / "a.xlsb", {"S": line(1, HEADERS) + b"".join(lines)})


def ods(folder: Path, rows: Rows, how: str = "filter") -> Path:
    def line(cells: Sequence[int | str], attributes: str = "") -> str:
        return f"<table:table-row{attributes}>{''.join(map(ods_cell, cells))}</table:table-row>"

    lines = [line((number, "x"), f' table:visibility="{how}"' if is_hidden else "") for number, is_hidden in rows]
    return write_package(folder / "a.ods", opendocument_parts(line(HEADERS) + "".join(lines)))


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), max_size=30, unique_by=lambda row: row[0]))
def test_hidden_rows_are_the_same_in_every_format(tmp_path: Path, rows: Rows) -> None:
    """All are read and the hidden ones counted; with --visible-only just the visible ones are data rows."""
    for write in (xlsx, xls, xlsb, ods):
        path = write(tmp_path, rows)
        found = {visible_only: _read(path, visible_only=visible_only) for visible_only in (False, True)}
        assert found[False] == ([number for number, _ in rows], sum(hidden for _, hidden in rows)), path.name
        assert found[True] == ([number for number, hidden in rows if not hidden], found[False][1]), path.name


VISIBLE_ONLY = Answers(hidden_rows="leave out")


def _read(path: Path, *, visible_only: bool) -> tuple[list[object], int]:
    answers = VISIBLE_ONLY if visible_only else NO_ANSWERS
    table = open_table(path, endpoint(), settings(), name=path.name, answers=answers)
    jobs: list[object] = [row.job.values["itemId"] for row in staged(table).rows if row.job]
    assert staged(table).input.rows == len(jobs)
    table.close()
    return jobs, table.hidden_rows.count


def test_rows_that_are_left_out_have_no_duplicates_and_no_problems(tmp_path: Path) -> None:
    """What is not sent cannot stop what is."""
    path = xlsx(tmp_path, [(1, False), (1, True), (-5, True), (2, False)])
    table = open_table(path, endpoint(), settings(), name="a.xlsx", answers=VISIBLE_ONLY)
    assert (staged(table).input.good, staged(table).input.causes) == (2, ())


@pytest.mark.parametrize("how", ["filter", "collapse"])
def test_both_ways_of_hiding_in_opendocument_count(tmp_path: Path, how: str) -> None:
    """Filtered, and hidden by hand."""
    assert _read(ods(tmp_path, [(1, True), (2, False)], how), visible_only=True) == ([2], 1)


def test_a_text_file_has_no_hidden_rows_and_says_so_where_they_are_to_be_left_out(tmp_path: Path) -> None:
    """A program that saves a filtered sheet as CSV writes all its rows."""
    table = table_of(tmp_path, "itemId,label\n1,a\n")
    assert staged(table).input.rows == 1
    table = open_table(tmp_path / "items.csv", endpoint(), settings(), name="items.csv", answers=VISIBLE_ONLY)
    assert staged(table).input.rows == 1
    assert "--visible-only leaves out nothing" in table.notes[-1]


def test_only_hidden_columns_that_are_sent_are_named(tmp_path: Path) -> None:
    """A hidden column that is not sent needs no note."""
    book = openpyxl.load_workbook(xlsx(tmp_path, [(1, False)]))
    sheet = book.worksheets[0]
    sheet["C1"], sheet["D1"], sheet["D2"] = "Owner", "amountDue", 5
    for letter in "BCD":
        sheet.column_dimensions[letter].hidden = True
    book.save(tmp_path / "a.xlsx")
    table = open_table(tmp_path / "a.xlsx", endpoint(), settings(), name="a.xlsx")
    staged(table)
    assert "Columns B, D are hidden in the sheet, and read like the others." in table.notes


def _words(rows: Sequence[int]) -> str:
    hidden = HiddenRowCounter()
    for row in rows:
        hidden.add(row)
    return hidden.result().numbers


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([3], "row 3"), ([3, 4, 5, 9], "rows 3-5, 9"), ([2, 4], "rows 2, 4"),
        (range(2, 1_000_002), "rows 2-1,000,001"),
        (range(2, 40, 2), "rows 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and more"),
    ],
)  # fmt: skip
def test_the_first_hidden_rows_are_named(rows: Sequence[int], words: str) -> None:
    """As stretches, however many there are."""
    assert _words(rows) == words
