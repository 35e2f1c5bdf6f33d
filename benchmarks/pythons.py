"""`run` under other interpreters, whose environments hold the same packages."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.bench import say
from benchmarks.clients import Client, Sent, median_sent, sent
from benchmarks.growth import runs_table
from benchmarks.servers import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.table import Goal, Table

VERSION = "import platform; print(platform.python_version(), end='')"


@dataclass(frozen=True, slots=True)
class Pythons:
    """`run` of the same files under each interpreter."""

    runs: Sequence[tuple[str, Sent]]
    """Rows and version, and medians."""
    server: str

    def tables(self) -> list[Table]:
        """Return one line for each interpreter and file."""
        return [runs_table(f"Interpreters, 0 ms latency, {self.server}", self.runs)]

    def goals(self) -> list[Goal]:
        """Which is fastest is for the reader."""
        return []


def measured(bench: Bench, others: Sequence[str]) -> Pythons:
    """Run under our own interpreter and the others in turn."""
    clients = [
        Client(f"Python {_version(python)}", functools.partial(product.send, python=python))
        for python in (sys.executable, *others)
    ]
    runs = []
    with serving(bench.folder) as server:
        for rows in (bench.sizes.fast.rows, bench.sizes.large.rows):
            rounds: list[list[Sent]] = [[] for _ in clients]
            for _ in range(bench.rounds):
                for client, costs in zip(clients, rounds, strict=True):
                    one = sent(bench, server, client, rows)
                    costs.append(one)
                    say(f"{rows:,} rows, {client.name}: {one.cost.wall_s:.1f} s, {one.cost.cpu_s:.1f} s of CPU")
            runs += [
                (f"{rows:,} rows, {client.name}", median_sent(costs))
                for client, costs in zip(clients, rounds, strict=True)
            ]
        return Pythons(runs, server.name)


def _version(python: str) -> str:
    return subprocess.run([python, "-c", VERSION], capture_output=True, text=True, check=True).stdout  # noqa: S603
