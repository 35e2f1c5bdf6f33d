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
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

MB_AT_MOST = 300


@dataclass(frozen=True, slots=True)
class Growth:
    """`run` of more and more rows."""

    of_csv: Sequence[Sent]
    """From the fewest rows to the most."""
    of_workbook: Sent
    server: str
    rounds: int

    def tables(self) -> list[Table]:
        """Return one line for each number of rows."""
        named = [*((f"{one.rows:,} rows of CSV", one) for one in self.of_csv),
                 (f"{self.of_workbook.rows:,} x 10 cells of xlsx", self.of_workbook)]  # fmt: skip
        lines = [
            (
                name,
                f"{one.cost.wall_s:,.1f}",
                f"{one.sending_rows_per_s:,.0f}",
                f"{one.whole_rows_per_s:,.0f}",
                f"{one.cpu_s_per_1000:.3f}",
                f"{one.cost.peak_mb:.0f}",
            )
            for name, one in named
        ]
        headers = ("`run` of", "Seconds", "Rows/s while sending", "Rows/s of the whole program",
                   "CPU s per 1,000 rows", "Peak MB")  # fmt: skip
        note = f"The largest file and the workbook once, the others in {self.rounds} round(s)."
        return [Table(f"Growth, 0 ms latency, {self.server}", headers, lines, note)]

    def goals(self) -> list[Goal]:
        """Memory has a bound, and neither memory nor cost per row may grow with the rows."""
        fewest, most = self.of_csv[0], self.of_csv[-1]
        costs = max(more.cpu_s_per_1000 / less.cpu_s_per_1000 for less, more in pairwise(self.of_csv))
        span = f"from {fewest.rows:,} to {most.rows:,} rows"
        return [
            Goal(f"`run` of {most.rows:,} CSV rows: peak memory", "under", MB_AT_MOST, most.cost.peak_mb, "{:.0f} MB"),
            Goal(f"`run` of {self.of_workbook.rows:,} xlsx rows: peak memory", "under", MB_AT_MOST,
                 self.of_workbook.cost.peak_mb, "{:.0f} MB"),
            Goal(f"memory is flat {span}: peak of the whole process / that of the fewest", "at most", 1.25,
                 most.cost.peak_mb / fewest.cost.peak_mb, "{:.2f}"),
            Goal(f"CPU per row is flat {span}: largest step from one size to the next", "at most", 1.1, costs,
                 "{:.2f}"),
        ]  # fmt: skip


def measured(bench: Bench) -> Growth:
    """Send CSV files of every size in turn, the largest once, and one workbook."""
    *smaller, largest = bench.sizes.growth
    rounds: dict[int, list[Sent]] = {}
    with serving(bench.folder) as server:
        for _ in range(bench.rounds):
            for rows in smaller:
                rounds.setdefault(rows, []).append(_sent(bench, server, bench.csv(rows), rows))
        rounds[largest] = [_sent(bench, server, bench.csv(largest), largest)]
        rows = bench.sizes.workbook_in
        of_workbook = _sent(bench, server, bench.workbook(rows), rows)
        return Growth([median_sent(found) for found in rounds.values()], of_workbook, server.name, bench.rounds)


def _sent(bench: Bench, server: Server, source: Path, rows: int) -> Sent:
    one = sent(bench, server, Client(PRODUCT, product.send), rows, source)
    say(f"run of {source.name}: {one.cost.wall_s:.1f} s, {one.cost.peak_mb:.0f} MB")
    return one
