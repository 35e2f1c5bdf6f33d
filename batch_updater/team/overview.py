"""Figures of a team: its queue, its workers and its quotas, read from the database on each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection

SEEN_WITHIN_S = 30
"""A worker whose last heartbeat is older is not counted; they beat more often than every 10 s."""
_SHOWN_OF_ACCOUNT = 8

_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
_RUNS = "SELECT state, count(*) FROM runs GROUP BY state"
_JOBS = """
SELECT split_part(queue_name, ' ', 1), status::text, count(*) FROM procrastinate_jobs
WHERE status IN ('todo', 'doing', 'failed') GROUP BY 1, 2
"""
_OLDEST = """
SELECT name, extract(epoch FROM clock_timestamp() - submitted_at)::float8 FROM runs WHERE state = 'queued'
ORDER BY submitted_at LIMIT 1
"""
_WORKERS = """
SELECT origin, host, count(*) FROM workers JOIN procrastinate_workers USING (id)
WHERE queue = 'blocks' AND last_heartbeat > clock_timestamp() - make_interval(secs => %(seen_s)s)
GROUP BY 1, 2 ORDER BY 1, 2
"""
_ROWS = """
SELECT outcome, sum(counted::bigint)::bigint
FROM runs JOIN blocks ON blocks.run = runs.id
     CROSS JOIN LATERAL jsonb_each_text(blocks.counts::jsonb) AS counts (outcome, counted)
WHERE runs.state IN ('sending', 'reporting') GROUP BY outcome
"""
_QUOTAS = """
SELECT quotas.origin, quotas.account, slowed_to_per_s,
       greatest(0, paused_until - now)::float8, opened_at IS NOT NULL AND deadline + 5 > now, coalesce(requests, 0)
FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock
     CROSS JOIN quotas LEFT JOIN months ON months.origin = quotas.origin AND months.account = quotas.account
     AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
ORDER BY 1, 2
"""
"""A breaker whose deadline has passed is closed, as it is for those who send (`team_quota.sql`)."""


class Quota(msgspec.Struct, frozen=True):
    """What the team has used of one account of an API, and how fast it may go on."""

    origin: str
    account: str
    """The first characters of its digest: enough to tell two of them apart."""
    slowed_to_per_s: float | None
    """None: at the configured rate."""
    paused_s: float
    """How long the service has asked everyone to wait from now."""
    is_open: bool
    """Whether the circuit breaker is open."""
    requests: int
    """In this month (UTC), retries included."""


class Overview(msgspec.Struct, frozen=True):
    """A team at one moment."""

    runs: Mapping[str, int]
    """State -> runs."""
    jobs: Mapping[tuple[str, str], int]
    """(queue, status) -> jobs that wait, are worked on or have failed."""
    oldest_waiting: tuple[str, float] | None
    """Name of the run that has waited the longest, and for how many seconds."""
    workers: Mapping[tuple[str, str], int]
    """(origin of the API, host) -> workers seen within the last `SEEN_WITHIN_S` seconds; origin '': unknown."""
    rows: Mapping[str, int]
    """Outcome -> rows of the runs that are being sent."""
    quotas: tuple[Quota, ...]


def overview(connection: TeamConnection) -> Overview:
    """Read all figures. Raises psycopg.Error."""
    oldest = connection.execute(_OLDEST).fetchone()
    return Overview(
        runs=dict(connection.execute(_RUNS)),
        jobs={(queue, status): count for queue, status, count in connection.execute(_JOBS)},
        oldest_waiting=(oldest[0], oldest[1]) if oldest else None,
        workers={
            (origin, host): count for origin, host, count in connection.execute(_WORKERS, {"seen_s": SEEN_WITHIN_S})
        },
        rows=dict(connection.execute(_ROWS)),
        quotas=tuple(
            Quota(origin, account[:_SHOWN_OF_ACCOUNT], *rest) for origin, account, *rest in connection.execute(_QUOTAS)
        ),
    )


def database_clock_s(connection: TeamConnection) -> float:
    """Return the database's time, in seconds since 1970. Raises psycopg.Error."""
    (clock_s,) = connection.execute(_CLOCK).fetchone() or (0.0,)
    return float(clock_s)
