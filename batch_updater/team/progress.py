"""The progress of a run of a team, and what it waits for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, cast

from batch_updater.messages import counted
from batch_updater.records import OutcomeKind
from batch_updater.runs.history import PastRun
from batch_updater.runs.queued_runs import QueuedRun, queued_run, runs_ahead
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.team.overview import SEEN_WITHIN_S

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

_COUNTS = """
    SELECT counted.key, sum(counted.value::bigint)::bigint
    FROM blocks, json_each_text(blocks.counts::json) AS counted WHERE blocks.run = %s GROUP BY counted.key"""
_SAYS_ITS_API_WITHIN_S = 5.0
"""A worker that has just begun says to which API it sends with its first heartbeat."""
_START = "Start one, on any host that has the same configuration: batch-updater worker"
NO_WORKER = f"No worker of the team is running, so no row is sent. {_START}"
_WORKERS = """
    SELECT count(*), count(*) FILTER (WHERE origin = %s) FROM procrastinate_workers LEFT JOIN workers USING (id)
    WHERE last_heartbeat > clock_timestamp() - make_interval(secs => %s)"""
_ROWS = """
    SELECT coalesce(sum(rows), 0)::bigint, extract(epoch FROM clock_timestamp() - %s)::float8 FROM blocks
    WHERE run = %s"""


class RunProgress(NamedTuple):
    """How far the part of a run is that is queued or sent."""

    outcomes: Counter[OutcomeKind]
    """Rows that have their outcome."""
    rows: int | None
    """That this part sends; None while it is queued."""
    waits_for: str
    """Why nothing is being sent, as a sentence; '' if something is, or will be at once."""


def progress_of(team: TeamDatabase, name: str) -> RunProgress | None:
    """Return how far a run is; None if there is none of that name, or it has ended. Raises ResultsError."""
    with team.session() as connection:
        run = queued_run(connection, name)
        if run is None or not run.is_under_way:
            return None
        rows, since_s = connection.execute(_ROWS, [run.submitted_at, run.id]).fetchone() or (0, 0.0)
        outcomes, waits_for = rows_so_far(connection, run), what_it_waits_for(connection, run, cast("float", since_s))
    return RunProgress(outcomes, None if run.state is TeamRunState.QUEUED else cast("int", rows), waits_for)


class PartSoFar(NamedTuple):
    """How far the part of a run is when a command begins to follow it."""

    rows: int
    """That this part sends; 0 if it has ended."""
    outcomes: Counter[OutcomeKind]
    """Rows that have their outcome."""


def part_so_far(team: TeamDatabase, past: PastRun) -> PartSoFar:
    """Return how far the part of a run is that is queued or sent. Raises ResultsError, InputError."""
    with team.session() as connection:
        run = queued_run(connection, past.folder.name)
        if run is None or not run.is_under_way:
            return PartSoFar(0, Counter())
        if run.state is not TeamRunState.QUEUED:
            rows, _ = connection.execute(_ROWS, [run.submitted_at, run.id]).fetchone() or (0, 0.0)
            return PartSoFar(cast("int", rows), rows_so_far(connection, run))
    with past.store(looks_at_all=False) as store:
        return PartSoFar(store.to_send(run.options.limit), Counter())


def rows_so_far(connection: TeamConnection, run: QueuedRun) -> Counter[OutcomeKind]:
    """Return how many rows of the part of a run have which outcome. Raises psycopg.Error."""
    counts: Counter[OutcomeKind] = Counter()
    if run.state is not TeamRunState.QUEUED:  # until then the blocks are those of the part before
        for kind, rows in connection.execute(_COUNTS, [run.id]):
            counts[OutcomeKind(cast("str", kind))] = cast("int", rows)
    return counts


def missing_worker(team: TeamDatabase, name: str) -> str:
    """Return that no worker is running that would send a run, as sentences; '' if one is. Raises ResultsError."""
    with team.session() as connection:
        run = queued_run(connection, name)
        return _missing_worker(connection, run, knows_all=True) if run is not None and run.is_under_way else ""


def _missing_worker(connection: TeamConnection, run: QueuedRun, *, knows_all: bool) -> str:
    """`knows_all`: whether each worker has had the time to say to which API it sends."""
    every, own = connection.execute(_WORKERS, [run.origin, SEEN_WITHIN_S]).fetchone() or (0, 0)
    if not every:
        return NO_WORKER
    if not own and knows_all:
        return (
            f"No worker for {run.origin} is running, so no row is sent. Those of the team send to other APIs. {_START}"
        )
    return ""


def what_it_waits_for(connection: TeamConnection, run: QueuedRun, waited_s: float | None) -> str:
    """Return why nothing of a run is being sent, as a sentence; '' if something is. Raises psycopg.Error.

    `waited_s`: for how long it has waited although some worker was running; None while those that there are may not
    have come back yet.
    """
    if not run.is_under_way:
        return ""
    if waited_s is not None and (
        missing := _missing_worker(connection, run, knows_all=waited_s >= _SAYS_ITS_API_WITHIN_S)
    ):
        return missing
    if run.state is TeamRunState.QUEUED and (ahead := runs_ahead(connection, run)):
        first, more = ahead[0], len(ahead) - 1
        behind = f" {counted(more, 'more run')} will be sent before this one." if more else ""
        return f"Waiting for the run {first.name} of {first.options.host or 'another host'} to end.{behind}"
    return ""
