from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack

import psycopg
import pytest

from batch_updater.runs.team_database import TeamDatabase
from batch_updater.team.queue import app_of, blocks_queue, runs_queue, submit, submit_blocks

pytestmark = pytest.mark.debian
_JOBS = "SELECT task_name, queue_name, lock, args, status::text FROM procrastinate_jobs"
_RUN = "INSERT INTO runs (name, origin) VALUES (%s, %s)"
_ORIGIN = f"https://{'a-long-name.' * 20}example.com:443"


def test_a_run_is_queued_in_the_transaction_that_stages_it(team: TeamDatabase) -> None:
    """If that fails, there is neither run nor job; the job holds the run's name alone, and its lock is the API."""

    def stage_twice() -> None:
        with team.connected(autocommit=False) as connection:
            connection.execute(_RUN, ["a", _ORIGIN])
            submit(connection, "a")
            connection.execute(_RUN, ["a", _ORIGIN])

    with pytest.raises(psycopg.errors.UniqueViolation):
        stage_twice()
    with team.connected() as connection:
        assert connection.execute(_JOBS).fetchall() == []
    with team.connected(autocommit=False) as connection:
        connection.execute(_RUN, ["a", _ORIGIN])
        submit(connection, "a")
    with team.connected() as connection:
        expected = ("send", runs_queue(_ORIGIN), _ORIGIN, {"run": "a"}, "todo")
        assert connection.execute(_JOBS).fetchall() == [expected]


def test_names_of_queues_are_channels_of_postgresql() -> None:
    """Which have fewer than 64 bytes, with what Procrastinate puts in front."""
    for queue in (runs_queue(_ORIGIN), blocks_queue(_ORIGIN)):
        assert len(f"procrastinate_queue_v1#{queue}") < 64


def test_a_job_of_a_dead_worker_is_queued_again_by_one_of_the_others(team: TeamDatabase) -> None:
    """All see it at once, and none fails because of another."""
    with team.connected() as connection:
        connection.execute(_RUN, ["a", _ORIGIN])
        for number in range(20):
            submit_blocks(connection, "a", _ORIGIN, [number])
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")

    async def queued_again() -> None:
        async with AsyncExitStack() as stack:
            apps = [app_of(team, NoWork()) for _ in range(4)]
            for app in apps:
                await stack.enter_async_context(app.open_async())
            for job in await apps[0].job_manager.get_stalled_jobs(seconds_since_heartbeat=20):
                await asyncio.gather(*(app.job_manager.retry_job(job) for app in apps))

    asyncio.run(queued_again())
    with team.connected() as connection:
        counted = (
            "SELECT status::text, attempts, scheduled_at <= now(), count(*) FROM procrastinate_jobs GROUP BY 1, 2, 3"
        )
        assert connection.execute(counted).fetchall() == [("todo", 1, True, 20)]


class NoWork:
    """Does none of the jobs."""

    async def has_room(self, queues: Iterable[str] | None) -> bool:
        return queues is None

    async def give_up(self, task: str, run: str, number: int | None = None) -> None:
        raise AssertionError(task, run, number)

    async def send(self, run: str) -> None:
        raise AssertionError(run)

    async def block(self, run: str, number: int) -> None:
        raise AssertionError(run, number)

    async def report(self, run: str) -> None:
        raise AssertionError(run)
