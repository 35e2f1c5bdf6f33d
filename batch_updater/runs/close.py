"""An unfinished run is closed: it counts as finished, its open rows as not sent, and it is not resumed any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_updater.errors import LockedError, UsageError
from batch_updater.messages import counted, format_date_time
from batch_updater.records import OutcomeKind
from batch_updater.reporter.summary import RUN_AGAIN
from batch_updater.runs import statements
from batch_updater.runs.folder import folder_faults
from batch_updater.runs.history import DATABASE, PastRun, find_run
from batch_updater.runs.queued_runs import leave_queue, queued_run
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.store import Part, Store, faults_named
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.runs.writer import RunWriter, closing_write

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase


def closing_in_words(past: PastRun) -> tuple[str, ...]:
    """Return what closing an unfinished run means, in sentences."""
    open_rows, unknown = past.summary.total(RUN_AGAIN), past.counts[OutcomeKind.UNCONFIRMED]
    what = f"{counted(open_rows, 'open row')} would count as not sent" if open_rows else "Its workbook is not written"
    said = (f"{what}, and running the same file again would send every row.",)
    if not unknown:
        return said
    return (*said, f"{counted(unknown, 'open row')} may have been applied. Only resuming the run can tell.")


@contextmanager
def run_to_close(past: PastRun) -> Iterator[PastRun]:
    """Hold the lock of an unfinished run, and give it as it is then; one that waits in a team's queue has none.

    Raises UsageError if it is finished, LockedError while it or another run to the same API is going on, InputError if
    its database is damaged.
    """
    _require_unfinished(past)
    if past.is_under_way and not past.is_queued:
        name = past.folder.name
        raise LockedError(
            f"The workers of the team are sending the run {name}.",
            remedy=f"To stop it: `batch-updater runs --follow {name}`, then Ctrl-C and stop.",
        )
    with nullcontext() if past.is_queued else past.locked(str(past.folder)):
        past = find_run(past.folder.parent, str(past.folder))
        _require_unfinished(past)
        yield past


def _require_unfinished(past: PastRun) -> None:
    if past.facts.closed_at:
        why = f"The run {past.folder.name} was closed on {format_date_time(past.facts.closed_at)}."
        raise UsageError(
            why,
            remedy="Its workbook sends the rows that were not done; running the same file again sends every row.",
        )
    if not past.is_unfinished:
        raise UsageError(f"The run {past.folder.name} is finished.", remedy="Only an unfinished run can be closed.")


def close_run(past: PastRun) -> PastRun:
    """Close a run whose lock is held; returns it as it is afterwards. Raises InputError, ResultsError."""
    with past.store():  # every record is checked
        pass
    closed_at, team = datetime.now(UTC), team_of(past.folder.parent)
    past.make_folder()
    with folder_faults(past.folder):
        if team:
            part = _closed_by_team(team, past, closed_at)
        else:
            with RunWriter.resume(past.folder / DATABASE, {}, closed_at) as writer:
                part = _closing_part(past, writer.store, closed_at)
                writer.close_run(part)
                writer.flush()
        counts = part.counts or {}
        with LogFile(past.folder / "run.log") as log:
            log.note("run closed", outcomes={kind.value: count for kind, count in counts.items()})
    return find_run(past.folder.parent, str(past.folder))


def _closing_part(past: PastRun, store: Store, closed_at: datetime) -> Part:
    """Return the part that closes a run; `store` is as it is when the run is resumed."""
    known = store.counts(OutcomeKind.NOT_SENT)
    every = {**known, **dict.fromkeys(RUN_AGAIN, 0), OutcomeKind.NOT_SENT: sum(known[kind] for kind in RUN_AGAIN)}
    counts = {kind: count for kind, count in every.items() if count}
    return Part(closed_at, datetime.now(UTC), 0, 0, 0.0, None, None, None, past.parts[-1].results, counts)


def _closed_by_team(team: TeamDatabase, past: PastRun, closed_at: datetime) -> Part:
    """Close a run in a team's database, in one transaction. Raises StoreError, UsageError if it is going on."""
    name = past.folder.name
    with faults_named(past.folder / DATABASE), team.store(name) as store, store.transaction():
        connection = store.rows_of_run.connection
        run = queued_run(connection, name, locked=True)
        if run is not None and run.state is TeamRunState.QUEUED:
            leave_queue(connection, run)
        if not store.begin_closing():
            raise UsageError(f"The run {name} is going on.", remedy="Only a run that has ended can be closed.")
        store.make_ready()
        store.executemany(statements.NEW_PART, [{"started_at": closed_at.timestamp()}])
        part, commit = _closing_part(past, store, closed_at), store.last_commit() + 1
        write = closing_write(part)
        for statement in write.statements:
            store.execute(statement, commit=commit, **write.values)
    return part
