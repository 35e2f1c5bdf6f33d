"""How long the program takes to start, and a small run in all."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.bench import say
from benchmarks.clients import PRODUCT, Client, Sent, median_sent, sent
from benchmarks.measure import Cost, median_cost, run
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROWS = 10
STARTS_A_ROUND = 5
SCRIPT = Path(sys.executable).with_name("batch-updater")


@dataclass(frozen=True, slots=True)
class Starting:
    """What does not depend on the rows."""

    nothing: Cost
    """Of `python -c pass`."""
    help: Cost
    small_run: Sent

    @property
    def beyond_the_wire_s(self) -> float:
        """Seconds of the small run before its first request and after its last answer."""
        return self.small_run.cost.wall_s - self.small_run.sending_s

    def tables(self) -> list[Table]:
        """Return one line for each process."""
        named = (("`python -c pass`", self.nothing), ("`batch-updater --help`", self.help),
                 (f"`run` of {ROWS} rows", self.small_run.cost))  # fmt: skip
        lines = [(name, f"{cost.wall_s:.3f}", f"{cost.cpu_s:.3f}", f"{cost.peak_mb:.0f}") for name, cost in named]
        return [Table("Start-up", ("", "Seconds", "CPU seconds", "Peak MB"), lines)]

    def goals(self) -> list[Goal]:
        """Nothing waits for it to start."""
        return [
            Goal("`batch-updater --help` beyond `python -c pass`", "at most", 0.15,
                 self.help.wall_s - self.nothing.wall_s, "{:.2f} s"),
            Goal(f"`run` of {ROWS} rows beyond the wire", "at most", 0.45, self.beyond_the_wire_s, "{:.2f} s"),
        ]  # fmt: skip


def measured(bench: Bench) -> Starting:
    """Start each of them several times a round, in turn."""
    nothing, helps, runs = list[Cost](), list[Cost](), list[Sent]()
    shown = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, *product.PROGRAM]
    told = bench.folder / "told"
    say(f"start-up, {bench.rounds * STARTS_A_ROUND} times")
    with serving(bench.folder) as server:
        for _ in range(bench.rounds * STARTS_A_ROUND):
            nothing.append(run([sys.executable, "-c", "pass"], told))
            helps.append(run([*shown, "--help"], told))
            runs.append(sent(bench, server, Client(PRODUCT, product.send), ROWS))
    return Starting(median_cost(nothing), median_cost(helps), median_sent(runs))
