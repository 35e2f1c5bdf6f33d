"""What `check` costs beside pandas: `make bench`.

Each figure is the median of several rounds of whole processes, both sides in turn, since only ratios carry over from
one machine to another. Files are made by a seed, so that they are the same everywhere.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "CRM Opportunity ID", "CategoryName", "StageName",
           "AcctPotential", "SalesRevenue", "PendingCloseDate", "Note")  # fmt: skip
PANDAS = 'import sys, pandas; pandas.read_excel(sys.argv[1], engine="openpyxl")'


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def rows(count: int) -> Iterator[tuple[object, ...]]:
    """Yield good rows of ten cells."""
    chance = random.Random(1)
    for number in range(count):
        yield (
            100_000 + number,
            chance.choice(("Pre", "Post")),
            f"Opportunity {number}",
            f"00{number:08d}",
            chance.choice(("Gold", "Silver", "Bronze")),
            chance.choice(("Proposal", "Won", "Lost", "Lead")),
            round(chance.random() * 1e6, 2),
            round(chance.random() * 1e6, 2),
            date(2026, 1, 1) + timedelta(days=chance.randrange(700)),
            f"note {chance.randrange(1000)}",
        )


def make_workbook(path: Path, count: int) -> None:
    """Write the rows as Excel would: texts in the table of shared ones, days as formatted numbers."""
    with xlsxwriter.Workbook(str(path)) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, HEADERS)
        for line, row in enumerate(rows(count), 1):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(line, column, datetime(value.year, value.month, value.day), day)  # noqa: DTZ001
                else:
                    sheet.write(line, column, value)


def make_csv(path: Path, count: int) -> None:
    """Write the rows as text."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADERS)
        writer.writerows(rows(count))


def measured(command: list[str]) -> Cost:
    """Run a process to its end. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    process = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__))


def show(what: str, cost: Cost, goal: str) -> None:
    """Print one line of the table."""
    print(f"| {what} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_mb:.0f} | {goal} |")


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workbook-rows", type=int, default=100_000)
    parser.add_argument("--csv-rows", type=int, default=1_000_000)
    parser.add_argument("--make", type=Path, help="make the files in this folder, and nothing else")
    given = parser.parse_args()
    if given.make:
        make_workbook(given.make / "a.xlsx", given.workbook_rows)
        make_csv(given.make / "a.csv", given.csv_rows)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workbook, text, results = folder / "a.xlsx", folder / "a.csv", str(folder / "results.xlsx")
        # In a process of its own: a child's peak of memory counts from its parent's.
        sizes = ["--workbook-rows", str(given.workbook_rows), "--csv-rows", str(given.csv_rows)]
        measured([sys.executable, "-m", "benchmarks.check", "--make", name, *sizes])
        check = [sys.executable, "-m", "batch_updater", "check", "--results", results]
        sides: dict[str, list[Cost]] = {"ours": [], "pandas": [], "text": []}
        for _ in range(given.rounds):
            sides["ours"].append(measured([*check, str(workbook)]))
            sides["pandas"].append(measured([sys.executable, "-c", PANDAS, str(workbook)]))
        sides["text"].append(measured([*check, str(text)]))
    ours, pandas, text_cost = (median(costs) for costs in sides.values())
    print(f"| median of {given.rounds} | seconds | CPU seconds | peak MB | goal |\n| --- | --- | --- | --- | --- |")
    show(f"`check` of {given.workbook_rows:,} x 10 cells of xlsx", ours, "under 300 MB")
    show('`pandas.read_excel(engine="openpyxl")` of the same, alone', pandas, "")
    ratio, ratio_of_cpu = ours.seconds / pandas.seconds, ours.cpu_seconds / pandas.cpu_seconds
    print(f"| ratio | {ratio:.2f} | {ratio_of_cpu:.2f} | | at most 0.5 |")
    show(f"`check` of {given.csv_rows:,} CSV rows, once", text_cost, "under 300 MB")


if __name__ == "__main__":
    main()
