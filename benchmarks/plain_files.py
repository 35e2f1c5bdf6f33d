"""How the references read rows and write their outcomes: the plainest way that is fast."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def read_rows(path: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a CSV file that rows.py made."""
    with Path(path).open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        next(rows)
        yield from rows


def write_results(path: str, done: Iterable[tuple[list[str], int]]) -> None:
    """Write each row and the status that it was answered with, as CSV if the path says so, else into a workbook."""
    if path.endswith(".csv"):
        with Path(path).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([*row, status] for row, status in done)
        return
    import xlsxwriter  # noqa: PLC0415  (CSV does without)

    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, (row, status) in enumerate(done):
            sheet.write_row(number, 0, [*row, status])
