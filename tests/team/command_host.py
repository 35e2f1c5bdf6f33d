"""A host on which people type commands, with or without a team."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.program import Done
from tests.team.hosts import Host, WorkerProcess, query, until

SENDING = "{rate_per_s: 2000, attempts: 3}"
ENDS_WITHIN_S = 120
"""Far above what anything takes on a busy machine."""


class CommandHost(Host):
    """A host that reads what commands print."""

    def __init__(self, folder: Path, api: str, database: str, sending: str = SENDING, more: str = "") -> None:
        """`database`: '' for a host without a team."""
        super().__init__(folder, api, database, sending=sending, more=more)
        if not database:
            config = folder / "config.yaml"
            lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
            config.write_text("".join(line for line in lines if not line.startswith("team:")), encoding="utf-8")

    def file(self, name: str, rows: int, *, first: int = 1, text: str = "row") -> Path:
        """Write a file of so many rows, each of a record of its own."""
        lines = [f"{number},Pre,{text} {number}" for number in range(first, first + rows)]
        path = self.folder / name
        path.write_text("\n".join(["Id,Type,OpportunityName", *lines, ""]), encoding="utf-8")
        return path

    def __call__(self, *arguments: str) -> Done:
        """Run a command to its end."""
        return ended(self.start(*arguments))

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its programs."""
        return self._environment

    def rows(self, statement: str, *values: object) -> list[Sequence[Any]]:
        """Return the records of a statement over the tables of the team."""
        return query(self._database, statement, *values)

    def wait_for(self, statement: str, *values: object) -> None:
        """Wait until the database says true."""
        until(lambda: self.rows(statement, *values) == [(True,)], ENDS_WITHIN_S)

    @contextmanager
    def worker(self) -> Iterator[WorkerProcess]:
        """Run a worker, which ends cleanly with the block."""
        worker = self.work(1, quick=False)
        try:
            yield worker
            assert worker.process.poll() is None, worker.said
            assert worker.end(ENDS_WITHIN_S) == 0, worker.said
        finally:
            self.close()


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for a command and return how it ended."""
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert "secret-of-the-database" not in out + err
    return Done(process.returncode, out, err)
