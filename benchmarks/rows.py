"""Input files, made by a seed so that they are the same everywhere.

python -m benchmarks.rows FILE ROWS [FAULTY_EVERY]

makes a CSV file of the four columns that are sent in the comparison, or an .xlsx file of all ten. FAULTY_EVERY: one row
in so many of the CSV file cannot be sent.
"""

from __future__ import annotations

import csv
import random
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED = 1
CSV_HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "SalesRevenue")
XLSX_HEADERS = (*CSV_HEADERS, "CRM Opportunity ID", "CategoryName", "StageName", "AcctPotential", "PendingCloseDate",
                "Note")  # fmt: skip
ALIKE = 28
"""Rows with the same wrong type."""


class Made(NamedTuple):
    """One good row, its cells in the order of `XLSX_HEADERS`."""

    identity: int
    kind: str
    name: str
    revenue: float
    crm_identity: str
    category: str
    stage: str
    potential: float
    closes_on: date
    note: str


def made(count: int) -> Iterator[Made]:
    """Yield good rows, each of another record."""
    chance = random.Random(SEED)
    for number in range(count):
        yield Made(
            identity=100_000 + number,
            kind=chance.choice(("Pre", "Post")),
            name=f"Opportunity {number}",
            revenue=round(chance.random() * 1e6, 2),
            crm_identity=f"00{number:08d}",
            category=chance.choice(("Gold", "Silver", "Bronze")),
            stage=chance.choice(("Proposal", "Won", "Lost", "Lead")),
            potential=round(chance.random() * 1e6, 2),
            closes_on=date(2026, 1, 1) + timedelta(days=chance.randrange(700)),
            note=f"note {chance.randrange(1_000)}",
        )


def make_csv(path: Path, count: int, faulty_every: int = 0) -> None:
    """Write the rows as text. Of those that cannot be sent, 28 have a type that there is not, all others no amount."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(CSV_HEADERS)
        rows = (row[: len(CSV_HEADERS)] for row in made(count))
        writer.writerows(_with_faults(rows, count, faulty_every) if faulty_every else rows)


def _with_faults(rows: Iterable[tuple[object, ...]], count: int, every: int) -> Iterator[tuple[object, ...]]:
    alike_every = max(1, count // every // ALIKE)
    for number, (identity, kind, name, revenue) in enumerate(rows):
        fault, is_sound = divmod(number, every)
        if is_sound:
            yield identity, kind, name, revenue
        elif fault % alike_every or fault // alike_every >= ALIKE:
            yield identity, kind, name, "n/a"
        else:
            yield identity, "Prre", name, revenue


def make_workbook(path: Path, count: int) -> None:
    """Write the rows as Excel would: texts in the table of shared ones, days as formatted numbers."""
    import xlsxwriter  # noqa: PLC0415  (the benchmark itself stays small, as Cost.peak_mb explains)

    with xlsxwriter.Workbook(str(path)) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, XLSX_HEADERS)
        for line, row in enumerate(made(count), 1):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(line, column, datetime.combine(value, time()), day)
                else:
                    sheet.write(line, column, value)


if __name__ == "__main__":
    target, counts = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]]
    if target.suffix == ".xlsx":
        make_workbook(target, *counts)
    else:
        make_csv(target, *counts)
