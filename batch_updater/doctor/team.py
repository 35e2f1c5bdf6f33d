"""The database of a team: whether it can be used, and whether anyone works on what is in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.doctor.finding import Finding, Status, from_error, ok, skipped, warning, wrong
from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import ConfigError
from batch_updater.messages import counted, duration, format_date_time
from batch_updater.runs.lock import origin_of

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.team.nightly import NightEnd
    from batch_updater.team.overview import Overview

_CLOCK_MAY_BE_OFF_S = 2.0
"""Times of rows and of the quota are the database's, times of logs and of the night are each host's."""
_DATABASE, _SCHEMA = "team database", "team schema"
_MAY_CHANGE_VERSION = """
    SELECT has_table_privilege(oid, 'UPDATE') AND NOT pg_has_role(relowner, 'USAGE')
    FROM pg_class WHERE oid = 'schema_version'::regclass"""
_AFTER_THE_SCHEMA = ("team workers", "team queue", "team quota")


def team_findings(config: Config, endpoint: Endpoint | None, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for each part of a team's set-up; none without `team.database`. Changes nothing.

    `endpoint` None: it cannot be read, and how large the quota is remains unknown.
    """
    if config.team.database is None:
        return
    import psycopg  # noqa: PLC0415  (as in all that only a team needs)

    from batch_updater.runs.team_database import team_database  # noqa: PLC0415
    from batch_updater.team.nightly import last_night  # noqa: PLC0415
    from batch_updater.team.overview import database_clock_s, overview  # noqa: PLC0415

    if config.team.nightly is not None:
        yield _nightly_finding(config, config.team.nightly)

    left: tuple[str, ...] = ("team clock", _SCHEMA, *_AFTER_THE_SCHEMA)
    try:
        team = team_database(config.team.database, environment)
    except ConfigError as error:
        yield from_error(_DATABASE, error)
        yield from skipped(left, _DATABASE)
        return
    try:
        with closing(team), psycopg.connect(team.address, autocommit=True) as connection:
            yield _connection_finding(connection)
            before_s = time.time()
            theirs_s = database_clock_s(connection)
            yield clock_finding((before_s + time.time()) / 2 - theirs_s)
            left = (_SCHEMA, *_AFTER_THE_SCHEMA)
            try:
                team.require_schema()
            except ConfigError as error:
                yield from_error(_SCHEMA, error)
                yield from skipped(_AFTER_THE_SCHEMA, _SCHEMA)
                return
            yield _schema_finding(connection)
            left = _AFTER_THE_SCHEMA
            shown, night = overview(connection), last_night(connection)
    except psycopg.Error as error:
        message, remedy = team.fault_of(error)
        yield wrong(_DATABASE, f"cannot be used: {message}.", remedy)
        yield from skipped(left, _DATABASE)
        return
    yield _workers_finding(shown, config.api.base_url)
    yield _queue_finding(shown)
    yield _quota_finding(shown, config, endpoint)
    if night is not None:
        yield _last_night_finding(night)


def _connection_finding(connection: TeamConnection) -> Finding:
    from batch_updater.runs.team_database import is_this_machine  # noqa: PLC0415

    parameters, version = connection.info.get_parameters(), connection.info.server_version
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}, database {connection.info.dbname}"
    mode = parameters.get("sslmode", "prefer")
    if not connection.pgconn.ssl_in_use:
        if is_this_machine(parameters):
            return ok(_DATABASE, f"{name}, on this machine; the connection is not encrypted.")
        message = f"{name}; the connection is not encrypted (sslmode={mode})."
        return warning(_DATABASE, message, "Remove sslmode from the address: TLS is then required and verified.")
    if mode != "verify-full" and "sslmode" in parameters:
        message = f"{name}; TLS, but the identity of the server is not verified (sslmode={mode})."
        return warning(_DATABASE, message, "Remove sslmode from the address, or name your authority by sslrootcert.")
    return ok(_DATABASE, f"{name}; TLS{', verified' if mode == 'verify-full' else ''}.")


def _schema_finding(connection: TeamConnection) -> Finding:
    """Say that the tables are those of this program, and whether others than their owner may change their version."""
    (may_change,) = connection.execute(_MAY_CHANGE_VERSION).fetchone() or (False,)
    if may_change:
        message = f"matches this program, but the role {connection.info.user} may change the version of the tables."
        return warning(_SCHEMA, message, "Run samples/team/roles.sql once more: it withdraws that right.")
    return ok(_SCHEMA, "matches this program.")


def clock_finding(off_s: float) -> Finding:
    """Say how far this machine's clock is ahead of the database's."""
    if abs(off_s) > _CLOCK_MAY_BE_OFF_S:
        message = f"this machine is {abs(off_s):,.0f} s {'ahead of' if off_s > 0 else 'behind'} the database."
        remedy = "Synchronise the clocks of both (timedatectl set-ntp true)."
        return warning("team clock", message, remedy)
    return ok("team clock", "agrees with the database's.")


def _nightly_finding(config: Config, schedule: str) -> Finding:
    """Say when the nightly job begins next."""
    from batch_updater.nightly.job import required_inbox  # noqa: PLC0415
    from batch_updater.team.nightly import in_words, next_night  # noqa: PLC0415

    try:
        required_inbox(config.nightly.inbox)
    except ConfigError as error:
        return from_error("team nightly", error)
    return ok("team nightly", f"begins next at {in_words(next_night(schedule))}.")


def _last_night_finding(night: NightEnd) -> Finding:
    """Say how the nightly job of the schedule last ended, on any host."""
    message = f"ended on {night.host} on {format_date_time(night.ended_at)}, {night.meaning}."
    if night.has_failed:
        return warning("last nightly job", message, "Fix the cause; see the log of the worker on that host.")
    return ok("last nightly job", message)


def _workers_finding(shown: Overview, base_url: str | None) -> Finding:
    """Say which workers send to the API; those that send to another take none of its runs."""
    own = origin_of(base_url) if base_url else ""
    here = {host: count for (origin, host), count in shown.workers.items() if origin == own and own}
    others = ", ".join(
        f"{_on_host(host, count)} for {origin or 'an API that is not known'}"
        for (origin, host), count in shown.workers.items()
        if origin != own or not own
    )
    if here:
        hosts = ", ".join(_on_host(host, count) for host, count in here.items())
        message = f"{counted(sum(here.values()), 'worker')} for this API seen in the last 30 seconds: {hosts}."
        return ok("team workers", f"{message} Others: {others}." if others else message)
    message = "none for this API was seen in the last 30 seconds, so its runs wait in the queue."
    message = f"{message} Others: {others}." if others else message
    return warning("team workers", message, "Start batch-updater worker with this configuration on a host.")


def _on_host(host: str, count: int) -> str:
    return f"{host} ({count:,})" if count > 1 else host


def _queue_finding(shown: Overview) -> Finding:
    waiting, going_on = shown.runs.get("queued", 0), shown.runs.get("sending", 0) + shown.runs.get("reporting", 0)
    failed = sum(count for (_, status), count in shown.jobs.items() if status == "failed")
    message = f"{counted(waiting, 'run')} waiting, {going_on:,} going on"
    if shown.oldest_waiting:
        name, waiting_s = shown.oldest_waiting
        message += f"; {name} has waited the longest, for {duration(waiting_s)}"
    if failed:
        message += f"; {counted(failed, 'job')} failed"
        return warning("team queue", f"{message}.", "Look for the error in the logs of the workers.")
    return ok("team queue", f"{message}.")


def _quota_finding(shown: Overview, config: Config, endpoint: Endpoint | None) -> Finding:
    """Say how many requests were made this month with every account of the API."""
    base_url = config.api.base_url
    quotas = [quota for quota in shown.quotas if base_url and quota.origin == origin_of(base_url)]
    limit = endpoint.quota_per_month if endpoint else None
    if not quotas:
        return ok("team quota", "no requests to this API yet.")
    parts, status = [], Status.OK
    for quota in quotas:
        used = f"{counted(quota.requests, 'request')} this month"
        if limit:
            used += f" of {limit:,}, {max(0, limit - quota.requests):,} left"
            status = Status.WARNING if quota.requests >= limit else status
        if quota.is_open:
            used += "; the circuit breaker is open"
        parts.append(used if len(quotas) == 1 else f"account {quota.account}: {used}")
    message = f"{'. '.join(parts)}."
    if status is Status.WARNING:
        return warning("team quota", message, "Wait for the next month, or ask the service for a larger quota.")
    return ok("team quota", message)
