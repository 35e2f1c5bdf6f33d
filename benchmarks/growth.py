"""How cost and memory of `run` grow with the number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.bench import say
from benchmarks.clients import PRODUCT, Client, Sent, median_sent, sent
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench


@dataclass(frozen=True, slots=True)
class Growth:
    """`run` of more and more rows."""

    of_csv: Sequence[Sent]
    """From the fewest rows to the most."""
    of_workbook: Sent
    server: str

    def tables(self) -> list[Table]:
        """Return one line for each number of rows."""
        named = [*((f"{one.rows:,} rows of CSV", one) for one in self.of_csv),
                 (f"{self.of_workbook.rows:,} x 10 cells of xlsx", self.of_workbook)]  # fmt: skip
        return [runs_table(f"Growth, 0 ms latency, {self.server}", named)]

    def goals(self) -> list[Goal]:
        """Memory has a bound, and neither memory nor cost per row may grow with the rows."""
        fewest, middle, most = self.of_csv
        costs = max(more.cpu_s_per_1000 / less.cpu_s_per_1000 for less, more in pairwise(self.of_csv))
        span = f"from {fewest.rows:,} to {most.rows:,} rows"
        run, workbook_run = f"`run` of {most.rows:,} CSV rows", f"`run` of {self.of_workbook.rows:,} xlsx rows"
        return [
            Goal(f"`run` of {middle.rows:,} CSV rows: last answer to finished workbook", "at most", 2, middle.ending_s,
                 "{:.2f} s"),
            Goal(f"{run}: peak memory of the largest process", "at most", 120, most.cost.peak_mb, "{:.0f} MB"),
            Goal(f"{run}: peak memory of all processes", "at most", 200, most.cost.total_mb, "{:.0f} MB"),
            Goal(f"{workbook_run}: peak memory of all processes", "at most", 200, self.of_workbook.cost.total_mb,
                 "{:.0f} MB"),
            Goal(f"memory is flat {span}: peak of the largest process / that of the fewest", "at most", 1.25,
                 most.cost.peak_mb / fewest.cost.peak_mb, "{:.2f}"),
            Goal(f"CPU per row is flat {span}: largest step from one size to the next", "at most", 1.1, costs,
                 "{:.2f}"),
        ]  # fmt: skip


def runs_table(title: str, named: Sequence[tuple[str, Sent]]) -> Table:
    """Return one line for each `run`, under its name."""
    lines = [
        (
            name,
            f"{one.cost.wall_s:,.1f}",
            f"{one.sending_rows_per_s:,.0f}",
            f"{one.whole_rows_per_s:,.0f}",
            f"{one.cpu_s_per_1000:.3f}",
            f"{one.ending_s:.2f}",
            f"{one.cost.peak_mb:.0f}",
            f"{one.cost.total_mb:.0f}",
        )
        for name, one in named
    ]
    headers = ("`run` of", "Seconds", "Rows/s while sending", "Rows/s of the whole program", "CPU s per 1,000 rows",
               "Seconds from last answer to end", "MB of largest process", "MB of all processes")  # fmt: skip
    return Table(title, headers, lines)


def measured(bench: Bench) -> Growth:
    """Send CSV files of every size and one workbook in turn."""
    sources = [*map(bench.csv, bench.sizes.growth), bench.workbook(bench.sizes.workbook_in)]
    rows = [*bench.sizes.growth, bench.sizes.workbook_in]
    rounds: list[list[Sent]] = [[] for _ in sources]
    with serving(bench.folder) as server:
        for _ in range(bench.rounds):
            for source, count, costs in zip(sources, rows, rounds, strict=True):
                one = sent(bench, server, Client(PRODUCT, product.send), count, source)
                costs.append(one)
                say(f"run of {source.name}: {one.cost.wall_s:.1f} s, {one.cost.total_mb:.0f} MB")
        *of_csv, of_workbook = map(median_sent, rounds)
        return Growth(of_csv, of_workbook, server.name)
