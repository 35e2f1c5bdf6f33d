"""The metrics of a team for Prometheus, read from the database on each request."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.errors import UsageError
from batch_updater.records import OutcomeKind
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.team.overview import Overview, overview

if TYPE_CHECKING:  # imported only where figures are served
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from batch_updater.runs.team_database import TeamDatabase

_PREFIX = "batch_updater_team"
_LOOPBACK = "127.0.0.1"
_REMEDY = "Give a port, such as 9101, which is served on this machine alone; or HOST:PORT."


class MetricsAddress(NamedTuple):
    """Where figures are served."""

    host: str
    port: int
    """0: any that is free."""


def metrics_address(text: str) -> MetricsAddress:
    """Read `PORT`, which is on this machine alone, or `HOST:PORT`. Raises UsageError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            port = ""
    elif ":" in host or (":" in text and not host):
        port = ""
    if not (port.isascii() and port.isdecimal() and int(port) < 65_536):
        raise UsageError(f"{text!r} is no port for the metrics.", remedy=_REMEDY)
    return MetricsAddress(host or _LOOPBACK, int(port))


@contextmanager
def serve_metrics(team: TeamDatabase, address: MetricsAddress) -> Iterator[int]:
    """Serve the figures while it is entered; gives the port. Raises UsageError if nothing can be served there."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_collector(team))
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise UsageError(
            f"The metrics cannot be served on {address.host}:{address.port}: {error.strerror or error}.",
            remedy="Give another port with --metrics-port.",
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _collector(team: TeamDatabase) -> Collector:
    import psycopg
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    class TeamCollector(Collector):
        """Reads the database for each answer; one that cannot be reached is a figure, too."""

        def describe(self) -> list[Metric]:
            """Return nothing: registering it reads no database."""
            return []

        def collect(self) -> Iterator[Metric]:
            """Yield every figure."""
            try:
                with team.connected() as connection:
                    shown = overview(connection)
            except psycopg.Error:
                shown = None
            up = "Whether the team's database can be read."
            yield GaugeMetricFamily(f"{_PREFIX}_database_up", up, value=int(shown is not None))
            if shown:
                yield from _figures(shown)

    return TeamCollector()


def _figures(shown: Overview) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    runs = GaugeMetricFamily(f"{_PREFIX}_runs", "Runs by state.", labels=["state"])
    for state in TeamRunState:
        runs.add_metric([state], shown.runs.get(state, 0))
    yield runs
    what = "Jobs of the queue that wait (todo), are worked on (doing) or have failed."
    jobs = GaugeMetricFamily(f"{_PREFIX}_jobs", what, labels=["queue", "status"])
    for (queue, status), count in sorted(shown.jobs.items()):
        jobs.add_metric([queue, status], count)
    yield jobs
    rows = GaugeMetricFamily(f"{_PREFIX}_rows", "Rows of the runs that are being sent, by outcome.", labels=["outcome"])
    for kind in OutcomeKind:
        rows.add_metric([kind.value], shown.rows.get(kind.value, 0))
    yield rows
    workers = GaugeMetricFamily(f"{_PREFIX}_workers", "Workers seen in the last 30 seconds, by host.", labels=["host"])
    by_host = Counter[str]()
    for (_, host), count in shown.workers.items():
        by_host[host] += count
    for host, count in by_host.items():
        workers.add_metric([host], count)
    yield workers
    what = "How long the run has waited that waits the longest; 0 if none does."
    waiting_s = shown.oldest_waiting[1] if shown.oldest_waiting else 0
    yield GaugeMetricFamily(f"{_PREFIX}_oldest_waiting_seconds", what, value=waiting_s)
    account = ["origin", "account"]
    requests = GaugeMetricFamily(
        f"{_PREFIX}_requests_this_month", "Requests in this month (UTC), retries included.", labels=account
    )
    breaker = GaugeMetricFamily(f"{_PREFIX}_breaker_open", "Whether the circuit breaker is open.", labels=account)
    paused = GaugeMetricFamily(
        f"{_PREFIX}_paused_seconds", "How long the service has asked to wait from now.", labels=account
    )
    pace = GaugeMetricFamily(
        f"{_PREFIX}_slowed_to_per_second", "Requests a second where the service has slowed it down.", labels=account
    )
    for quota in shown.quotas:
        of = [quota.origin, quota.account]
        requests.add_metric(of, quota.requests)
        breaker.add_metric(of, int(quota.is_open))
        paused.add_metric(of, quota.paused_s)
        if quota.slowed_to_per_s is not None:
            pace.add_metric(of, quota.slowed_to_per_s)
    yield from (requests, breaker, paused, pace)
