"""What the workbook of results costs, beside openpyxl writing the same cells."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import say
from benchmarks.measure import Cost, median_cost, run
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench


@dataclass(frozen=True, slots=True)
class Writing:
    """A workbook written by the product and by openpyxl."""

    rows: int
    ours: Cost
    openpyxl: Cost

    def tables(self) -> list[Table]:
        """Return one line for each writer."""
        named = (("batch-updater, with all its sheets", self.ours),
                 ("openpyxl's ordinary mode, the sheet of all rows alone", self.openpyxl))  # fmt: skip
        lines = [(name, f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{cost.peak_mb:.0f}") for name, cost in named]
        headers = ("Written by", "Seconds", "CPU seconds", "Peak MB")
        return [Table(f"Results workbook of {self.rows:,} rows x 15 columns", headers, lines)]

    def goals(self) -> list[Goal]:
        """Return its time beside openpyxl's, and of its memory."""
        what = f"results workbook of {self.rows:,} rows x 15"
        return [
            Goal(f"{what}: time / openpyxl's ordinary mode", "at most", 0.55, self.ours.wall_s / self.openpyxl.wall_s,
                 "{:.2f}"),
            Goal(f"{what}: peak memory", "under", 100, self.ours.peak_mb, "{:.0f} MB"),
        ]  # fmt: skip


def measured(bench: Bench) -> Writing:
    """Write both in turn."""
    rows, ours, openpyxl = bench.sizes.workbook_out, list[Cost](), list[Cost]()
    for number in range(1, bench.rounds + 1):
        ours.append(_written(bench, "workbook_by_product", rows))
        openpyxl.append(_written(bench, "workbook_by_openpyxl", rows))
        say(f"workbook, round {number}: {ours[-1].wall_s:.1f} s, openpyxl {openpyxl[-1].wall_s:.1f} s")
    return Writing(rows, median_cost(ours), median_cost(openpyxl))


def _written(bench: Bench, module: str, rows: int) -> Cost:
    with bench.empty_folder() as folder:
        target = str(folder / "results.xlsx")
        return run([sys.executable, "-m", f"benchmarks.{module}", target, str(rows)], folder / "told")
