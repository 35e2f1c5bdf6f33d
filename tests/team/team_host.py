"""A host of a team: its folder, its configuration, and the real command line in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psycopg

from tests.end_to_end.program import Done, environment

PASSWORD = "secret-of-the-database"
ENDS_WITHIN_S = 60
"""Far above what anything takes on a busy machine."""


@dataclass
class Host:
    """A folder from which people and programs of a team work."""

    folder: Path
    api: str
    database: str
    """The address of the team's database; '' for a host without a team."""
    more: str = "sending: {rate_per_s: 2000, attempts: 3}\n"
    """Further sections of the configuration."""
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        team = "team: {database: 'env:TEAM_DATABASE', block_rows: 20}\n" if self.database else ""
        text = f"api: {{base_url: '{self.api}', token: 'env:NEXUS_TOKEN', timeout_s: 5}}\n"
        (self.folder / "config.yaml").write_text(text + self.more + team, encoding="utf-8")

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its programs."""
        return environment(TEAM_DATABASE=self.database or None, COLUMNS="80")

    def file(self, name: str, rows: int, *, first: int = 1, text: str = "row") -> Path:
        """Write a file of so many rows, each of a record of its own."""
        lines = [f"{number},Pre,{text} {number}" for number in range(first, first + rows)]
        path = self.folder / name
        path.write_text("\n".join(["Id,Type,OpportunityName", *lines, ""]), encoding="utf-8")
        return path

    def start(self, *arguments: str | Path, log: IO[str] | None = None) -> subprocess.Popen[str]:
        """Start a command; without a log what it prints is for `ended`."""
        return subprocess.Popen(
            [sys.executable, "-m", "batch_updater", *map(str, arguments)],
            cwd=self.folder, env=self.variables, text=True, encoding="utf-8", stdin=subprocess.DEVNULL,
            stdout=log or subprocess.PIPE, stderr=subprocess.STDOUT if log else subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str | Path) -> Done:
        """Run a command to its end."""
        return ended(self.start(*arguments))

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return what the database says."""
        with psycopg.connect(self.database, options="-c search_path=batch_updater") as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def wait_for(self, statement: str, *values: object) -> None:
        """Wait until the database says true."""
        wait_for(lambda: self.rows(statement, values) == [(True,)])

    @contextmanager
    def worker(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run a worker on this host, which ends cleanly with the block."""
        with (self.folder / "worker.log").open("a") as log:
            process = self.start("worker", *options, log=log)
            try:
                yield process
                assert process.poll() is None, (self.folder / "worker.log").read_text()
            finally:
                process.terminate()
                assert process.wait(ENDS_WITHIN_S) == 0, (self.folder / "worker.log").read_text()


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for a command and return how it ended."""
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert PASSWORD not in out + err
    return Done(process.returncode, out, err)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "it was waited for in vain"
        time.sleep(0.02)
