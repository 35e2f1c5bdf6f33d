"""What `check` costs, beside other programs that read the same workbook and do no more."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.bench import say
from benchmarks.measure import Cost, median_cost, run
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

PANDAS = 'import sys, pandas; pandas.read_excel(sys.argv[1], engine="openpyxl")'
CALAMINE = "import sys, python_calamine; python_calamine.load_workbook(sys.argv[1]).get_sheet_by_index(0).to_python()"


@dataclass(frozen=True, slots=True)
class Checking:
    """`check` of an xlsx and of a CSV file."""

    workbook_rows: int
    ours: Cost
    pandas: Cost
    """Reading alone, of the same workbook."""
    calamine: Cost
    """The same."""
    csv_rows: int
    of_csv: Cost

    def tables(self) -> list[Table]:
        """Return one line for each program and file."""
        named = (
            (f"`check` of {self.workbook_rows:,} x 10 cells of xlsx", self.ours),
            ('`pandas.read_excel(engine="openpyxl")` of the same, alone', self.pandas),
            ("python-calamine's `to_python()` of the same, alone", self.calamine),
            (f"`check` of {self.csv_rows:,} CSV rows, once", self.of_csv),
        )
        lines = [(name, f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{cost.peak_mb:.0f}") for name, cost in named]
        return [Table("Checking", ("", "Seconds", "CPU seconds", "Peak MB"), lines)]

    def goals(self) -> list[Goal]:
        """Judging every cell takes a quarter of what pandas takes to read them."""
        what = f"`check` of {self.workbook_rows:,} x 10 cells of xlsx"
        return [
            Goal(f'{what} / `pandas.read_excel(engine="openpyxl")` alone', "at most", 0.26,
                 self.ours.wall_s / self.pandas.wall_s, "{:.2f}"),
            Goal(f"{what} / python-calamine alone", "at most", 4, self.ours.wall_s / self.calamine.wall_s, "{:.2f}"),
        ]  # fmt: skip


def measured(bench: Bench) -> Checking:
    """Check the workbook and read it by each reference in turn; check the CSV file once."""
    rows, csv_rows = bench.sizes.workbook_in, bench.sizes.csv_checked
    source = bench.workbook(rows)
    ours, pandas, calamine = list[Cost](), list[Cost](), list[Cost]()
    for number in range(1, bench.rounds + 1):
        ours.append(_checked(bench, source, rows))
        for code, costs in ((PANDAS, pandas), (CALAMINE, calamine)):
            costs.append(run([sys.executable, "-c", code, str(source)], bench.folder / "told"))
        seconds = ", ".join(f"{costs[-1].wall_s:.1f} s" for costs in (ours, pandas, calamine))
        say(f"check of xlsx, round {number}, and read by pandas and calamine: {seconds}")
    of_csv = _checked(bench, bench.csv(csv_rows), csv_rows)
    say(f"check of {csv_rows:,} CSV rows: {of_csv.wall_s:.1f} s")
    return Checking(rows, median_cost(ours), median_cost(pandas), median_cost(calamine), csv_rows, of_csv)


def _checked(bench: Bench, source: Path, rows: int) -> Cost:
    with bench.empty_folder() as folder:
        return product.check(source, rows, folder)
