"""The store of a run in a team's database, where it differs from one in a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_updater.runs.postgres import RunConnection
from batch_updater.runs.store import Store, faults_named
from batch_updater.runs.team_rows import copy_back

_APPLIED = """
    COPY (SELECT number, outcome, path, query, body FROM rows
    WHERE run = %(run)s AND outcome IN ('updated', 'unchanged') ORDER BY number LIMIT %(most)s) TO STDOUT"""

_CLOSING = "UPDATE runs SET part = part + 1, changed_at = clock_timestamp() WHERE id = %s AND state = 'ended'"


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

    def begin_closing(self) -> bool:
        """Keep other hosts from resuming the run until the transaction has ended; returns whether none has."""
        return bool(self.rows_of_run.connection.execute(_CLOSING, (self.rows_of_run.run,)).rowcount)

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

    @contextmanager
    def applied_lent_to(self, store: Store, most: int | None = None) -> Iterator[None]:
        """Copy the requests of the first `most` rows that this run has applied, or of all, to a store in a file."""
        if isinstance(store, TeamStore):
            with super().applied_lent_to(store, most):
                yield
            return
        store.sqlite.execute("ATTACH '' AS earlier")  # a temporary file
        try:
            store.sqlite.execute("CREATE TABLE earlier.rows (number, outcome, path, query, body)")
            store.sqlite.execute("BEGIN")
            of_run = {"run": self.rows_of_run.run, "most": most}
            with self.rows_of_run.connection.cursor() as cursor, cursor.copy(_APPLIED, of_run) as records:
                records.set_types(["int8", "text", "text", "text", "text"])
                store.sqlite.executemany("INSERT INTO earlier.rows VALUES (?, ?, ?, ?, ?)", records.rows())
            store.sqlite.execute("COMMIT")
            yield
        finally:
            store.sqlite.rollback()
            store.detach()

    def detach(self) -> None:
        """Forget the other run."""
        self.rows_of_run.earlier_run = None
