"""The store of a run in a team's database: what differs from one in a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_updater.runs.postgres import RunConnection
from batch_updater.runs.store import Store, faults_named
from batch_updater.runs.team_rows import copy_back


class TeamStore(Store):
    """The rows of one run among those of all runs of a team.

    PostgreSQL tells by itself whether a commit is there, and checks its pages. Every method raises psycopg.Error.
    """

    def __init__(self, connection: RunConnection, path: Path) -> None:
        """`path`: where the database of the run would be if it were a file; its folder is the run's."""
        super().__init__(connection, path)
        self.rows_of_run = connection

    @property
    def has_write_ahead_log(self) -> bool:
        """Whether others may read it while it is written, without keeping the writer waiting."""
        return True

    def require_pages(self) -> None:
        """Nothing: PostgreSQL has its own checksums."""

    def require_all_commits(self) -> None:
        """Nothing: what PostgreSQL has committed is there."""

    @contextmanager
    def copied_to(self, path: Path) -> Iterator[Store]:
        """Give a copy in a file for a comparison, in which what was done has no turn. Raises StoreError."""
        with Store.draft(path) as copy:
            with faults_named(path), copy.transaction():
                copy_back(self.rows_of_run, copy)
                copy.forget_results()
            yield copy

    def attach(self, path: Path) -> None:
        """Let the rows of another run be those of `earlier`, until `detach`."""
        self.rows_of_run.earlier_run = self.rows_of_run.number_of(path.parent.name)

    def detach(self) -> None:
        """Forget the other run."""
        self.rows_of_run.earlier_run = None
