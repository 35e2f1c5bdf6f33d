"""One call of the benchmark: its numbers, its folder, its files."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.measure import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Load:
    """What every client of a comparison sends."""

    rows: int
    latency_ms: int
    """How long the server takes for an answer."""
    pandas_rows: tuple[int, int] | None = None
    """What the pandas loop sends instead: its figures are scaled from these two."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. All but the seconds, `web_runs` and `team_predicted` are rows."""

    fast: Load = Load(10_000, 0, (100, 2_100))
    large: Load = Load(100_000, 0)
    slow: Load = Load(10_000, 50, (10, 210))
    growth: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    workbook_in: int = 100_000
    """Of the xlsx that is checked and sent."""
    csv_checked: int = 1_000_000
    workbook_out: int = 100_000
    """Of the workbook of results."""
    rate_s: int = 60
    """How long the configured rate is held."""
    web_runs: int = 300
    """Earlier runs that the page lists."""
    web_checked: int = 10_000
    """Of the file whose check a person waits for."""
    web_rows: int = 1_000_000
    """Of the file whose rows are corrected."""
    web_rate_s: int = 30
    """How long a run at the configured rate goes on while people use the page."""
    team: tuple[Load, ...] = (Load(20_000, 0), Load(20_000, 50))
    team_rate_s: int = 120
    """How long a team holds each of its rates."""
    team_predicted: tuple[int, ...] = (1, 4, 10, 30, 100)
    """Workers on hosts of their own, by the model."""
    must_hold_rate: bool = True
    """Whether a team that exceeds its rate fails; a service that waits for a processor sees requests late."""


QUICK = Sizes(
    fast=Load(500, 0, (10, 110)),
    large=Load(1_000, 0),
    slow=Load(300, 50, (2, 22)),
    growth=(200, 500, 1_000),
    workbook_in=500,
    csv_checked=2_000,
    workbook_out=500,
    rate_s=5,
    web_runs=3,
    web_checked=500,
    web_rows=2_000,
    web_rate_s=3,
    team=(Load(500, 0), Load(500, 50)),
    team_rate_s=5,
    team_predicted=(1, 4),
    must_hold_rate=False,
)
"""Enough to see that the benchmark works; its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every section needs."""

    folder: Path
    """A temporary one; a path of it holds no blanks."""
    rounds: int
    sizes: Sizes
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def csv(self, rows: int, faulty_every: int = 0) -> Path:
        """Return a CSV file of four columns, in which one row in so many cannot be sent."""
        return self._made(".csv", rows, *([faulty_every] if faulty_every else []))

    def workbook(self, rows: int) -> Path:
        """Return an xlsx file of ten columns."""
        return self._made(".xlsx", rows)

    def _made(self, suffix: str, *counts: int) -> Path:
        path = self.folder / f"rows-{'-'.join(map(str, counts))}{suffix}"
        if not path.exists():
            say(f"making {path.name}")
            # In a process of its own: Cost.peak_mb of what is measured counts from our memory.
            command = [sys.executable, "-m", "benchmarks.rows", str(path), *map(str, counts)]
            run(command, self.folder / "made")
        return path

    @contextlib.contextmanager
    def empty_folder(self) -> Iterator[Path]:
        """Give a folder that is removed again."""
        path = self.folder / f"run-{next(self._numbers)}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path)


def say(what: str) -> None:
    """Tell how far it is, on stderr."""
    print(f"bench: {what}", file=sys.stderr, flush=True)
