"""The queue of a team: Procrastinate, on the team's database. The arguments of its jobs hold names of runs alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from batch_updater.runs.team_database import database_errors, is_of_lost_database

if TYPE_CHECKING:
    from batch_updater.runs.team_database import TeamDatabase

_SEND, _BLOCK, _REPORT = "send", "block", "report"
_FIRST = 1
"""Priority of a job that goes before blocks: someone waits for the report of rows that are all done."""
_TRIES = 3
"""How often a job may fail with an error that no one has foreseen before the run ends because of it."""
_CONNECTIONS = 8
_CONNECTS_WITHIN_S = 5.0

_OWN = """WITH own AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND status = 'doing'
    AND (worker_id IS NULL OR worker_id = %(worker)s::bigint) FOR UPDATE) """
_FINISH = f"{_OWN}SELECT procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s) FROM own"  # noqa: S608  (constants)
_RETRY = f"{_OWN}SELECT procrastinate_retry_job_v2(id, clock_timestamp() + %(wait)s, %(priority)s, NULL, NULL) FROM own"  # noqa: S608


def runs_queue(origin: str) -> str:
    """Return the queue of the runs for an API: they go one after the other."""
    return f"runs {_digest(origin)}"


def blocks_queue(origin: str) -> str:
    """Return the queue of the blocks of the run that is being sent to an API, and of reports."""
    return f"blocks {_digest(origin)}"


def _digest(origin: str) -> str:
    # Procrastinate listens on a channel of that name, and one of PostgreSQL has 63 bytes at most.
    return hashlib.sha256(origin.encode()).hexdigest()[:24]


def is_lost(error: BaseException | None) -> bool:
    """Whether a job has failed because the database does not answer, at any point of the error's chain of causes."""
    if error is None:
        return False
    is_without_cause = not any(database_errors(error))
    return is_of_lost_database(error) or (is_without_cause and isinstance(error, (ConnectorException, TimeoutError)))


class Work(Protocol):
    """The jobs of a worker. Each is cancelled when the worker ends, and is then repeated by another one."""

    async def has_room(self, queues: Iterable[str] | None) -> bool:
        """Return when one more job of these queues may be fetched, or False when none may any more."""

    async def send(self, run: str) -> None:
        """Begin the queued part of a run, and return when each of its rows has had its turn."""

    async def block(self, run: str, number: int) -> None:
        """Send the rows of a block."""

    async def report(self, run: str) -> None:
        """Write the workbook of a run, and end its part."""

    async def give_up(self, task: str, run: str, number: int | None = None) -> None:
        """End a run of which that job, for the block of that number if it has one, has failed too often."""


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
    _defer(connection, [_job(_REPORT, blocks_queue(origin), f"{run} report", run=run)])


def _job(task: str, queue: str, lock: str, **arguments: str | int) -> Job:
    return Job(
        id=None, queue=queue, lock=lock, queueing_lock=None, task_name=task, priority=_priority(task),
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
    app.job_manager = _OwnJobs(connector, work)

    jobs: dict[str, Callable[..., Awaitable[None]]] = {_SEND: work.send, _BLOCK: work.block, _REPORT: work.report}
    for task, do in jobs.items():
        app.task(name=task, retry=_UntilDone(), pass_context=True)(_trying(task, do, work.give_up))
    return app


def _trying(
    task: str, do: Callable[..., Awaitable[None]], give_up: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    """Return what does a job, or gives it up once it has failed too often."""

    async def done(context: JobContext, **arguments: str | int) -> None:
        if _priority(task) - context.job.priority < _TRIES:
            await do(**arguments)
        else:
            await give_up(task, **arguments)

    return done


def _priority(task: str) -> int:
    """Return the priority with which jobs are queued: those for which someone waits go before blocks."""
    return _FIRST if task == _REPORT else 0


class _UntilDone(BaseRetryStrategy):
    """Repeats a job until it succeeds: at once if its worker ends, after a pause if it fails.

    Each error that no one has foreseen puts it behind others: its priority says how many there were, on all hosts.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, (asyncio.CancelledError, HandedBack)):
            return RetryDecision()
        if is_lost(exception):
            return RetryDecision(retry_in={"seconds": 1})
        failures = min(_priority(job.task_name) - job.priority + 1, _TRIES)
        return RetryDecision(retry_in={"seconds": failures}, priority=_priority(job.task_name) - failures)


class HandedBack(Exception):  # noqa: N818  (no error: another worker continues with it)
    """A block was handed back before all of its rows had their turn."""


class _OwnJobs(JobManager):
    """Finishes or retries a job only while it is this worker's: another one may have taken it over.

    That is looked at in the statement that changes the job, since all workers queue those of a dead one again. Until
    when a job waits counts by the database's clock, so that a host whose clock is ahead keeps no run waiting. A job is
    fetched when there is room for it.
    """

    def __init__(self, connector: PsycopgConnector, work: Work) -> None:
        super().__init__(connector)
        self._work = work

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        return await super().fetch_job(queues, worker_id) if await self._work.has_room(queues) else None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        await self._change(_FINISH, job, status=status.value, delete_job=delete_job)

    async def retry_job(
        self, job: Job, retry_at: datetime | None = None, priority: int | None = None, *_: Any, **__: Any
    ) -> None:
        wait = retry_at - datetime.now(UTC) if retry_at else timedelta()
        await self._change(_RETRY, job, wait=max(wait, timedelta()), priority=priority)

    async def _change(self, statement: str, job: Job, **values: object) -> None:
        await self.connector.execute_query_async(statement, job_id=job.id, worker=job.worker_id, **values)
