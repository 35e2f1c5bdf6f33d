from __future__ import annotations

import psycopg
import pytest

from batch_updater.runs.team_database import TeamDatabase
from batch_updater.team.queue import blocks_queue, runs_queue, submit

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
