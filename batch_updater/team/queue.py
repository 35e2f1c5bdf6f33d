"""The queue of a team: Procrastinate, on the team's database. The arguments of its jobs hold names of runs alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

if TYPE_CHECKING:
    from batch_updater.runs.team_database import TeamDatabase

_SEND, _BLOCK, _REPORT = "send", "block", "report"
_FIRST = 1
"""Priority of a job that goes before blocks: someone waits for the report of rows that are all done."""
_CONNECTIONS = 8
_CONNECTS_WITHIN_S = 5.0
_LONGEST_PAUSE_S = 60

_OWN = """WITH own AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND status = 'doing'
    AND (worker_id IS NULL OR worker_id = %(worker)s::bigint) FOR UPDATE) """
_FINISH = f"{_OWN}SELECT procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s) FROM own"  # noqa: S608  (constants)
_RETRY = f"{_OWN}SELECT procrastinate_retry_job_v2(id, clock_timestamp() + %(wait)s, NULL, NULL, NULL) FROM own"  # noqa: S608


def runs_queue(origin: str) -> str:
    """Return the queue of the runs for an API: they go one after the other."""
    return f"runs {_digest(origin)}"


def blocks_queue(origin: str) -> str:
    """Return the queue of the blocks of the run that is being sent to an API, and of reports."""
    return f"blocks {_digest(origin)}"


def _digest(origin: str) -> str:
    # Procrastinate listens on a channel of that name, and one of PostgreSQL has 63 bytes at most.
    return hashlib.sha256(origin.encode()).hexdigest()[:24]


LOST = (psycopg.OperationalError, psycopg.InterfaceError, ConnectorException, TimeoutError)
"""Errors that mean that the database does not answer."""


class Work(Protocol):
    """The jobs of a worker. Each is cancelled when the worker ends, and is then repeated by another one."""

    async def send(self, run: str) -> None:
        """Begin the queued part of a run, and return when each of its rows has had its turn."""

    async def block(self, run: str, number: int) -> None:
        """Send the rows of a block."""

    async def report(self, run: str) -> None:
        """Write the workbook of a run, and end its part."""


def submit(connection: psycopg.Connection[Any], run: str) -> None:
    """Queue a run, within the transaction of the connection. Raises psycopg.Error."""
    record = connection.execute("SELECT origin FROM runs WHERE name = %s", [run]).fetchone()
    if record is None:
        raise LookupError(f"there is no run {run}")
    (origin,) = record
    _defer(connection, [_job(_SEND, runs_queue(origin), origin, run=run)])


def submit_blocks(connection: psycopg.Connection[Any], run: str, origin: str, numbers: Sequence[int]) -> None:
    """Queue blocks of a run, within the transaction of the connection. Raises psycopg.Error.

    The same block is never worked on twice at once, however often it is queued.
    """
    queue = blocks_queue(origin)
    _defer(connection, [_job(_BLOCK, queue, f"{run} {number}", run=run, number=number) for number in numbers])


def submit_report(connection: psycopg.Connection[Any], run: str, origin: str) -> None:
    """Queue the report of a run, within the transaction of the connection. Raises psycopg.Error."""
    _defer(connection, [_job(_REPORT, blocks_queue(origin), f"{run} report", _FIRST, run=run)])


def _job(task: str, queue: str, lock: str, priority: int = 0, **arguments: str | int) -> Job:
    return Job(
        id=None, queue=queue, lock=lock, queueing_lock=None, task_name=task, priority=priority,
        task_kwargs=dict(arguments),
    )  # fmt: skip


def _defer(connection: psycopg.Connection[Any], jobs: list[Job]) -> None:
    if jobs:
        # The connector is never opened: everything goes over the connection that is given.
        JobManager(PsycopgConnector()).batch_defer_jobs(jobs, connection=connection)


def app_of(team: TeamDatabase, work: Work) -> App:
    """Return the queue with what is done for each of its jobs; open it before use."""
    connector = PsycopgConnector(
        conninfo=team.address, min_size=0, max_size=_CONNECTIONS, timeout=_CONNECTS_WITHIN_S,
    )  # fmt: skip
    app = App(connector=connector)
    app.job_manager = _OwnJobs(connector)

    @app.task(name=_SEND, retry=_UntilDone())
    async def send(run: str) -> None:
        await work.send(run)

    @app.task(name=_BLOCK, retry=_UntilDone())
    async def block(run: str, number: int) -> None:
        await work.block(run, number)

    @app.task(name=_REPORT, retry=_UntilDone())
    async def report(run: str) -> None:
        await work.report(run)

    return app


class _UntilDone(BaseRetryStrategy):
    """Repeats a job until it succeeds: at once if its worker ends, after a growing pause if it fails."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, (asyncio.CancelledError, HandedBack)):
            return RetryDecision()
        if isinstance(exception, LOST):
            return RetryDecision(retry_in={"seconds": 1})
        return RetryDecision(retry_in={"seconds": min(2 ** min(job.attempts, 10), _LONGEST_PAUSE_S)})


class HandedBack(Exception):  # noqa: N818  (no error: another worker continues with it)
    """A block was handed back before all of its rows had their turn."""


class _OwnJobs(JobManager):
    """Finishes or retries a job only while it is this worker's: another one may have taken it over.

    That is looked at in the statement that changes the job, since all workers queue those of a dead one again. Until
    when a job waits counts by the database's clock, so that a host whose clock is ahead keeps no run waiting.
    """

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        await self._change(_FINISH, job, status=status.value, delete_job=delete_job)

    async def retry_job(self, job: Job, retry_at: datetime | None = None, *_: Any, **__: Any) -> None:
        wait = retry_at - datetime.now(UTC) if retry_at else timedelta()
        await self._change(_RETRY, job, wait=max(wait, timedelta()))

    async def _change(self, statement: str, job: Job, **values: object) -> None:
        await self.connector.execute_query_async(statement, job_id=job.id, worker=job.worker_id, **values)
