"""A row that goes out on To fix and comes back untouched is judged as it was before."""

from __future__ import annotations

import csv
from datetime import date, datetime
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.config.schema import InputSettings
from batch_updater.loader.below import NO_RECORD
from batch_updater.loader.table import open_table
from batch_updater.records import NOT_EXACT_MARK, Outcome, OutcomeKind, ReportRow
from batch_updater.reporter.workbook import write_results
from tests.loader.staged import staged
from tests.reporter.made import ENDPOINT, facts

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.loader.table import Table
    from tests.loader.staged import JudgedRow

HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "SalesRevenue", "PendingCloseDate", "Remarks")
TEXTS = st.sampled_from(
    ["1", "12", "0012", "pre", "Post", "x", " x ", "1,234", "1,234.50", "-5", "1e3", "2026-03-31", "03/04/2026",
     "25/03/2026", "#CLEAR", "#N/A", "=1+1", "TRUE", "12345678901234567890", "_x000D_", "'quoted", "\t", "NA", ".5"]
)  # fmt: skip
CELLS = st.one_of(
    st.none(),
    TEXTS,
    st.integers(-5, 10**16),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),  # noqa: DTZ001
    st.booleans(),
)
TABLES = st.lists(st.tuples(*[CELLS] * len(HEADERS)), max_size=6)


def as_csv(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADERS)
        writer.writerows([["" if cell is None else str(cell) for cell in row] for row in rows])


def as_xlsx(path: Path, rows: list[tuple[object, ...]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEADERS)
    for number, row in enumerate(rows, 2):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(number, column)
            cell.value = value  # type: ignore[assignment]  # one of the types of CELLS
            if isinstance(value, str) and value.startswith(("=", "#")):
                cell.data_type = "s"
    book.save(path)


def judged(table: Table) -> list[JudgedRow]:
    return staged(table).rows


def verdict(row: JudgedRow) -> object:
    if row.job:
        return dict(row.job.values)
    return sorted((problem.field or "", problem.code) for problem in row.problems)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@settings(max_examples=60)
@given(rows=TABLES)
def test_untouched_rows_are_judged_the_same(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[tuple[object, ...]]
) -> None:
    """From CSV and xlsx: the same values or the same problems, unless the sheet said that it cannot hold a cell."""
    folder = tmp_path_factory.mktemp("trip")
    source, results = folder / f"in.{suffix}", folder / "results.xlsx"
    (as_csv if suffix == "csv" else as_xlsx)(source, rows)
    before_table = open_table(source, ENDPOINT, InputSettings(), name=source.name)
    before = judged(before_table)
    reported = [
        ReportRow(row.row, Outcome(row.row.number, OutcomeKind.REJECTED, "no", problems=row.problems)) for row in before
    ]
    write_results(results, facts(), before_table.columns, ENDPOINT, reported)
    after = judged(open_table(results, ENDPOINT, InputSettings(), name=results.name))
    assert len(after) == len(before)
    for came, went in zip(after, before, strict=True):
        if any(isinstance(cell, str) and cell.startswith(NOT_EXACT_MARK) for cell in came.row.cells[:-1]):
            assert came.job is None
        elif not NO_RECORD.isdisjoint(problem.code for problem in went.problems):
            assert came.job is None  # where it is no longer says that it is a remark
        else:
            assert verdict(came) == verdict(went), (came.row, went.row)
