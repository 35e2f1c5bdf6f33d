"""One account's quota at one API, for everything that a team sends: a row in PostgreSQL, from which permits are leased.

The database's clock counts, so that a host whose clock is wrong takes nothing from the others.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ApiSettings, Config, SecretReference, SendingSettings
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.errors import ConfigError, StoreError
from batch_updater.runs.caller import Caller, new_salt
from batch_updater.runs.lock import origin_of
from batch_updater.runs.statements import statements_in
from batch_updater.runs.team_database import full_disk, is_of_lost_database
from batch_updater.runs.team_folders import team_of
from batch_updater.sender.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S
from batch_updater.sender.limiter import DECREASE, WINDOW_SLACK_S, increase_per_s, slowest_per_s
from batch_updater.sender.team_breaker import TeamBreaker
from batch_updater.sender.team_limiter import TeamLimiter
from batch_updater.sender.team_quota import Lease, OpenBreaker, QuotaState

if TYPE_CHECKING:  # only where there is a team
    import psycopg

    from batch_updater.runs.team_database import TeamDatabase

_FILE = "team_quota.sql"
_SLICE_S = 0.1
"""How long the permits of one lease last, at most."""
_QUEUE_S = 0.2
"""How far ahead permits are leased. With more workers than permits in that time, each gets one by one."""
_ANSWERS_WITHIN_S = 3.0
"""An answer that takes longer does not come any more: the connection is given up, and what it brought is lost."""
_CONNECTS_AGAIN_AFTER_S = 0.2
_LONGEST_AHEAD_S = 0.5
_AHEAD_MORE_S = 0.001
"""Than the last round trips have taken."""
_ROUND_TRIP_FORGOTTEN = 0.95
"""Each round trip that is shorter takes so much off what a lease is asked ahead of time."""
_CLOCKS_DRIFT = 0.0005
"""Seconds by which two clocks may drift apart in one: what adjtime(3) may slew at most."""
_COMPARED_AT_FIRST = 3
"""So often is the database's clock looked at before the first lease: the first answers on a connection take longer."""
_SALT = "account"

_log = logging.getLogger("batch_updater.sender")


class TeamQuota:
    """The quota of an account: `team_limiter.SharedQuota` over one connection, in one event loop."""

    def __init__(self, team: TeamDatabase, origin: str, account: str, rate_per_s: float, burst: int) -> None:
        """`account` is what `account_of` returns; rate and burst are those of this host's configuration."""
        self.rate_per_s = rate_per_s
        self._team = team
        self._key = {"origin": origin, "account": account}
        self._of_pace = {"rate": rate_per_s, "increase": increase_per_s(rate_per_s)}
        self._of_lease = {"burst": burst, "slack": 1.0 + WINDOW_SLACK_S, "slice": _SLICE_S, "queue": _QUEUE_S}
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._turn = asyncio.Lock()
        self.stays_connected = False
        """Whether `end` leaves the connection for the next use."""
        self._clock = _DatabaseClock()
        self._round_trip_s = 0.0

    def used_this_month(self) -> int:
        """Return how many requests the team has made since the month began (UTC), leased permits included.

        In no event loop. Raises psycopg.Error.
        """
        with self._team.connected() as connection:
            record = connection.execute(_text("MONTH"), self._key).fetchone()
        return max(0, int(str(record[0]))) if record else 0

    async def lease(self, permits: int, unused: int) -> Lease:
        """Return permits for requests that wait now; see `SharedQuota`."""
        ahead_s = min(self._round_trip_s + _AHEAD_MORE_S, _LONGEST_AHEAD_S)
        parameters = {**self._of_pace, **self._of_lease, "permits": permits, "unused": unused, "ahead": ahead_s}
        row = await self._state_by("LEASE", parameters)
        moments = [max(row.earliest, row.due_at + number * row.interval_s) for number in range(row.permits)]
        state = self._as_state(row)
        return Lease(
            pace_per_s=state.pace_per_s, slowed_at=state.slowed_at, paused_until=state.paused_until,
            breaker=state.breaker, moments=tuple(map(self._clock.local, moments)),
            is_due_at_once=row.due_at <= row.earliest, ahead_s=ahead_s,
        )  # fmt: skip

    async def state(self) -> QuotaState:
        """Return what there is to know without a permit."""
        return self._as_state(await self._state_by("STATE", self._of_pace))

    async def throttled(self, written_at: float) -> None:
        """Slow the team down, unless it has slowed down since that moment."""
        parameters = {**self._of_pace, "decrease": DECREASE, "slowest": slowest_per_s(self.rate_per_s)}
        await self._execute("THROTTLED", lambda: {**parameters, "written_ago": time.monotonic() - written_at})

    async def pause(self, until: float) -> None:
        """Let none of the team send anything before that moment."""
        await self._execute("PAUSE", lambda: {"seconds": until - time.monotonic()})

    async def open_breaker(self, why: str, max_wait_s: float, pause_s: float) -> None:
        """Open the team's breaker, unless it is open; the first probe may go after a pause."""
        parameters = {"why": why, "max_wait": max_wait_s, "pause": pause_s, "first_pause": FIRST_PAUSE_S}
        await self._execute("OPEN", lambda: parameters)

    async def close_breaker(self) -> None:
        """Close it: a worker has found the service working."""
        await self._execute("CLOSE", dict)

    async def take_probe(self, lost_after_s: float) -> bool:
        """Take the one probe that is due; returns whether it is this worker's."""
        parameters = {"lost_after": lost_after_s, "longest_pause": LONGEST_PAUSE_S}
        return await self._execute("TAKE_PROBE", lambda: parameters) is not None

    async def probe_failed(self, pause_share: float) -> None:
        """Give the probe back; the next one may go after that share of the pause that is due."""
        await self._execute("PROBE_FAILED", lambda: {"share": pause_share})

    def cut_off(self) -> None:
        """Let no call wait for an answer any longer."""
        if self._connection is not None and not self._connection.closed:
            _cut_off(self._connection.fileno())

    async def end(self, unused: int) -> None:
        """Have permits that were not used not count towards the month, if the database can be reached; disconnect."""
        import psycopg
        from psycopg.pq import TransactionStatus

        if self._connection is None:
            return
        if unused:
            with suppress(psycopg.Error):
                await self._execute_once(self._connection, "RETURN", {"unused": unused})
        self._turn = asyncio.Lock()  # another event loop may be next
        if not self.stays_connected or self._connection.info.transaction_status is not TransactionStatus.IDLE:
            await self._connection.close()
            self._connection = None

    def disconnect(self) -> None:
        """Let go of a connection that was left for the next use. In no event loop."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    async def _state_by(self, name: str, asked: Mapping[str, object]) -> _StateRow:
        row = await self._execute(name, lambda: asked)
        if row is None:
            raise _refused("its row in the table quotas is gone")
        return _StateRow(*row)

    def _as_state(self, row: _StateRow) -> QuotaState:
        local, breaker = self._clock.local, None
        if row.opened_at is not None and row.deadline is not None and row.next_probe_at is not None:
            breaker = OpenBreaker(row.why or "", local(row.deadline), local(row.next_probe_at), row.probes)
        slowed_at = None if row.slowed_at is None else local(row.slowed_at)
        return QuotaState(
            pace_per_s=row.pace, slowed_at=slowed_at, paused_until=local(row.paused_until), breaker=breaker
        )

    async def _execute(self, name: str, asked: Callable[[], Mapping[str, object]]) -> tuple[Any, ...] | None:
        """Execute a statement and return its row, if it has one. Connects again for as long as that is needed.

        `asked` gives the parameters in the moment in which they are sent: seconds from then on. Raises StoreError.
        """
        import psycopg

        async with self._turn:
            is_lost = False
            while True:
                try:
                    if self._connection is None:
                        self._connection = await self._connected()
                    row = await self._execute_once(self._connection, name, asked())
                except psycopg.Error as error:
                    if not is_of_lost_database(error):
                        raise _refused(f"SQLSTATE {error.sqlstate}") from error
                    if not is_lost:  # its text may hold the database's address
                        why, full = "no permits are given until it answers again", full_disk(error)
                        said = {"event": "team's database lost", "why": why}
                        fault = {"fault": self._team.fault_of(full)} if full else {}
                        _log.warning("team's database lost", extra={**said, **fault})
                    is_lost = True
                    if self._connection is not None:
                        await self._connection.close()
                        self._connection = None
                    await asyncio.sleep(_CONNECTS_AGAIN_AFTER_S)
                else:
                    if is_lost:
                        _log.warning("team's database back", extra={"event": "team's database back"})
                    return row

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        import psycopg

        connection = await psycopg.AsyncConnection.connect(self._team.address, autocommit=True)
        try:
            # No permit waits for a disk: what a server that crashes forgets of them is over before it is back.
            await connection.execute("SET synchronous_commit = off")
            await self._execute_once(connection, "ENTER", {})
            for _ in range(_COMPARED_AT_FIRST):
                await self._execute_once(connection, "STATE", self._of_pace)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _execute_once(
        self, connection: psycopg.AsyncConnection[tuple[Any, ...]], name: str, asked: Mapping[str, object]
    ) -> tuple[Any, ...] | None:
        """Execute a statement and return its row, if it has one. Raises psycopg.Error."""
        # A network that is cut says nothing. Cancelling the task would make psycopg wait for the server once more.
        timer = asyncio.get_running_loop().call_later(_ANSWERS_WITHIN_S, _cut_off, connection.fileno())
        asked_at = time.monotonic()
        try:
            cursor = await connection.execute(_text(name), {**self._key, **asked})
            row = await cursor.fetchone() if cursor.description else None
        finally:
            timer.cancel()
        answered_at = time.monotonic()
        self._round_trip_s = max(answered_at - asked_at, self._round_trip_s * _ROUND_TRIP_FORGOTTEN)
        if name in {"LEASE", "STATE"} and row:
            self._clock.compare(asked_at, answered_at, row[0])
        return row


class KeptQuotas:
    """The quotas of one account, with their connections, from one use to the next. For any thread."""

    def __init__(self) -> None:
        self._idle: list[TeamQuota] = []
        self._is_closed = False
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, make: Callable[[], TeamQuota]) -> Iterator[TeamQuota]:
        """Give one that is not in use, or a new one. Raises what `make` raises."""
        with self._lock:
            quota = self._idle.pop() if self._idle else None
        if quota is None:
            quota = make()
            quota.stays_connected = True
        is_kept = False
        try:
            yield quota
            with self._lock:
                if is_kept := not self._is_closed:
                    self._idle.append(quota)
        finally:
            if not is_kept:
                quota.disconnect()

    def close(self) -> None:
        """Disconnect those that are not in use, and the others after their use."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for quota in idle:
            quota.disconnect()


class _StateRow(msgspec.Struct):
    """A row of STATE or LEASE, in the order of its columns; moments are the database's."""

    now: float
    pace: float
    slowed_at: float | None
    paused_until: float
    opened_at: float | None
    deadline: float | None
    next_probe_at: float | None
    probes: int
    why: str | None
    permits: int = 0
    due_at: float = 0.0
    interval_s: float = 0.0
    earliest: float = 0.0


class _DatabaseClock:
    """How far this machine's monotonic clock is from the database's: each round trip leaves less room for it."""

    def __init__(self) -> None:
        self._compared_at = -math.inf
        self._least_s = -math.inf
        self._most_s = math.inf

    def compare(self, asked_at: float, answered_at: float, now: float) -> None:
        """Take note that the database's clock showed `now` between two moments of this machine's."""
        drift_s = _CLOCKS_DRIFT * (answered_at - self._compared_at)
        least_s = max(self._least_s - drift_s, asked_at - now)
        most_s = min(self._most_s + drift_s, answered_at - now)
        if least_s > most_s:  # the database's clock was set
            least_s, most_s = asked_at - now, answered_at - now
        self._compared_at, self._least_s, self._most_s = answered_at, least_s, most_s

    def local(self, moment: float) -> float:
        """Return a moment of the database's clock on this machine's: that late at most, and never too early."""
        return moment + self._most_s


def _cut_off(descriptor: int) -> None:
    """End a connection, so that what waits for an answer on it fails now."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _refused(why: str) -> StoreError:
    error = StoreError(f"The team's database gives no permits: {why}.")
    error.remedy = "Check it with `batch-updater doctor`, then run the file again."
    return error


def _text(name: str) -> str:
    return statements_in(_FILE)[name][0]


def account_of(api: ApiSettings, environment: Environment, team: TeamDatabase, token: Secret | None = None) -> str:
    """Return what tells the account that requests count for, the same on every host that uses it.

    `token` is what `ApiSettings.secret` refers to, if that was fetched. Raises CredentialsError and psycopg.Error.
    """
    with team.connected() as connection:
        connection.execute(_text("NEW_SALT"), {"name": _SALT, "salt": new_salt()})
        record = connection.execute(_text("SALT"), {"name": _SALT}).fetchone()
    if record is None:
        raise RuntimeError("a salt is gone")

    def reveal(reference: SecretReference, key: str) -> str:
        is_token = api.secret is not None and key == api.secret[0]
        return token.reveal() if token and is_token else fetch_secret(reference, environment, key).reveal()

    return Caller(api, reveal).account_key(str(record[0]))


def quota_for(config: Config, environment: Environment, token: Secret | None = None) -> TeamQuota:
    """Return the quota of what is sent with a configuration, whose folder of results is a team's.

    `token` as in `account_of`. Raises ConfigError if a secret or the database cannot be read.
    """
    import psycopg

    if (team := team_of(config.results.folder)) is None:
        raise RuntimeError("a quota without a team")
    try:
        account = account_of(config.api, environment, team, token)
    except psycopg.Error as error:
        message, remedy = team.fault_of(error)
        raise ConfigError(f"team.database: the team's database cannot be used: {message}.", remedy=remedy) from error
    origin, sending = origin_of(config.api.base_url or ""), config.sending
    return TeamQuota(team, origin, account, sending.rate_per_s, sending.burst)


class TeamLimits(NamedTuple):
    """What holds the requests of this process to what the team may send."""

    limiter: TeamLimiter
    breaker: TeamBreaker


@asynccontextmanager
async def limits_of(limiter: TeamLimiter, api: ApiSettings, sending: SendingSettings) -> AsyncIterator[TeamLimits]:
    """Give limiter and breaker for the requests of one event loop, until the block ends."""
    async with limiter:
        breaker = TeamBreaker(limiter, sending.max_wait_s, sending.retry_budget, api.timeout_s)
        try:
            yield TeamLimits(limiter, breaker)
        finally:
            breaker.give_back()
