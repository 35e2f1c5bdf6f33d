"""A part of a team's run in the queue: cut into blocks, each of which is one worker's at a time, until all are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from batch_updater.records import Stop, StopReason
from batch_updater.runs import statements
from batch_updater.runs.postgres import RunConnection
from batch_updater.runs.queued_runs import queued_run
from batch_updater.runs.team_rows import Cut, cut_into_blocks
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.team.queue import submit_blocks, submit_report
from batch_updater.team.report import end_without_report

if TYPE_CHECKING:
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.queued_runs import QueuedRun
    from batch_updater.runs.team_database import TeamDatabase

_BEGIN = "UPDATE runs SET state = 'sending', has_answer = false, changed_at = clock_timestamp() WHERE id = %s"
_FIRST = "SELECT block FROM rows WHERE run = %s AND block IS NOT NULL ORDER BY number LIMIT 1"
_BLOCKS = "SELECT number FROM blocks WHERE run = %s AND state = 'waiting' AND number <> %s ORDER BY number"
_HAS_BEGUN = """SELECT has_answer OR (SELECT state = 'done' FROM blocks WHERE run = runs.id AND number = %s)
    FROM runs WHERE id = %s"""
_NOT_BEGUN = "UPDATE blocks SET state = 'done' WHERE run = %s AND state = 'waiting'"
_END = """UPDATE runs SET state = 'reporting', changed_at = clock_timestamp() WHERE id = %s AND state = 'sending'
    AND NOT EXISTS (SELECT FROM blocks WHERE run = runs.id AND state <> 'done') RETURNING name, origin"""
_STOP = """UPDATE runs SET stop = coalesce(stop, %s), changed_at = clock_timestamp()
    WHERE id = %s AND state = 'sending'"""
_LEAVE_BLOCK = "UPDATE blocks SET state = 'done', epoch = epoch + 1 WHERE run = %s AND number = %s"
_BLOCKS_OF_BEFORE = "DELETE FROM blocks WHERE run = %s"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_GIVEN_UP = Stop(
    StopReason.DISK,
    "The workers failed three times with an internal error.",
    "Their log names it. Please report it to the person who maintains your installation, then run again.",
)


class Advance(NamedTuple):
    """How far a part has come."""

    is_over: bool
    """Whether each of its rows has had its turn."""
    is_shared: bool
    """Whether all of its blocks are queued, and not its first one alone."""


def begin(team: TeamDatabase, run: str, block_rows: int) -> None:
    """Begin the queued part of a run, and queue its first block. One that has begun stays as it is.

    Raises psycopg.Error.
    """
    with team.connected() as connection:
        queued = queued_run(connection, run)
    if queued is None or queued.state is not TeamRunState.QUEUED:
        return
    with team.store(run) as store, store.transaction():
        connection = store.rows_of_run.connection
        queued = queued_run(connection, run, locked=True)
        if queued is None or queued.state is not TeamRunState.QUEUED:
            return  # a person has stopped it just now
        _begin_part(store.rows_of_run)
        cut_into_blocks(store, Cut(block_rows, queued.options.limit))
        connection.execute(_BEGIN, [queued.id])
        if (first := _first_block(connection, queued)) is not None:
            submit_blocks(connection, run, queued.origin, [first])


def advance(team: TeamDatabase, run: str, *, is_shared: bool) -> Advance:
    """Queue the blocks that the first one was to go before, and end the part if all are done. Raises psycopg.Error.

    `is_shared`: whether they are queued already.
    """
    with team.connected(autocommit=False) as connection:
        queued = queued_run(connection, run)
        if queued is None or queued.state is not TeamRunState.SENDING:
            return Advance(is_over=True, is_shared=True)
        first = _first_block(connection, queued)
        if first is None or queued.stop:
            lock_run(connection, run)
            connection.execute(_NOT_BEGUN, [queued.id])
            return Advance(is_over=end_if_done(connection, queued.id), is_shared=True)
        if is_shared or connection.execute(_HAS_BEGUN, [first, queued.id]).fetchone() != (True,):
            return Advance(is_over=False, is_shared=is_shared)
        others = [int(number) for (number,) in connection.execute(_BLOCKS, [queued.id, first])]
        submit_blocks(connection, run, queued.origin, others)
        return Advance(is_over=False, is_shared=True)


def _first_block(connection: TeamConnection, queued: QueuedRun) -> int | None:
    """Return the block with the first row: a job of it goes alone, so that a fault of the set-up shows by one row."""
    record = connection.execute(_FIRST, [queued.id]).fetchone()
    return None if record is None else int(record[0])


def lock_run(connection: TeamConnection, run: str) -> None:
    """Keep others from ending a block of the run in this transaction."""
    queued_run(connection, run, locked=True)


def end_if_done(connection: TeamConnection, run: int) -> bool:
    """Queue the report of a run if all of its blocks are done, within a transaction that has locked it."""
    record = connection.execute(_END, [run]).fetchone()
    if record is not None:
        submit_report(connection, *record)
    return record is not None


def give_up(team: TeamDatabase, run: str, block: int | None = None) -> None:
    """End the part of a run, since a job of it has failed again and again: `send`, `report` or that of a block.

    Once rows have gone out it ends as one that is stopped, with a report, unless that is what has failed. The first
    reason counts. Raises psycopg.Error.
    """
    with team.connected(autocommit=False) as connection:
        queued = queued_run(connection, run, locked=True)
        if queued is None or not queued.is_under_way:
            return
        if queued.state is TeamRunState.SENDING:
            stop_for_all(connection, queued.id, _GIVEN_UP)
            if block is None:
                connection.execute(_NOT_BEGUN, [queued.id])
            else:
                connection.execute(_LEAVE_BLOCK, [queued.id, block])
            end_if_done(connection, queued.id)
            return
        if queued.state is TeamRunState.QUEUED:
            _begin_part(RunConnection(connection, queued.id, lambda _: None))
            connection.execute(_BLOCKS_OF_BEFORE, [queued.id])
        end_without_report(connection, queued, queued.stop or _GIVEN_UP)


def _begin_part(run: RunConnection) -> None:
    """Begin a part, by the clock of the database as its end. Raises psycopg.Error."""
    (now_s,) = cast("tuple[float]", run.connection.execute(_NOW).fetchone())
    run.execute(statements.NEW_PART, {"started_at": now_s})


def stop_for_all(connection: TeamConnection, run: int, stop: Stop) -> None:
    """Let the run of that number end early on all hosts; the first reason counts."""
    connection.execute(_STOP, [msgspec.json.encode(stop).decode(), run])
