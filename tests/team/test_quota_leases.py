"""runs/team_quota.py and sender/team_limiter.py: what is leased, lost and counted, against PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from subprocess import DEVNULL, Popen

import psycopg
import pytest
import uvloop

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.config.schema import ApiSettings
from batch_updater.doctor.examination import DoctorOptions, examine
from batch_updater.errors import StoreError
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_quota import TeamQuota, _DatabaseClock, account_of
from batch_updater.sender.breaker import ServiceDown
from batch_updater.sender.limiter import increase_per_s
from batch_updater.sender.shutdown import Shutdown, ShuttingDown
from batch_updater.sender.team_breaker import TeamBreaker
from batch_updater.sender.team_limiter import TeamLimiter
from tests.end_to_end.program import batch_updater, configure, environment, sandbox
from tests.team.recording_server import busiest_second, recording_server

pytestmark = pytest.mark.debian

_SPACE_S = 1.007
"""Of a second's permits: the pace is so much slower than the rate."""
_ROUNDING_S = 1e-6
"""Of seconds since 1970."""
_ACCURACY_S = 0.01
"""To which this machine knows the database's clock while it is busy."""


def quota_of(team: TeamDatabase, rate: float = 100, burst: int = 0) -> TeamQuota:
    return TeamQuota(team, "https://api.example:443", "account", rate, burst)


def execute(team: TeamDatabase, statement: str) -> None:
    with psycopg.connect(team.address, autocommit=True) as connection:
        connection.execute(statement)


def in_time_of_database(quota: TeamQuota) -> TeamQuota:
    """Let it return moments as the database gives them: what is known of that clock here is a little wrong."""
    quota._clock = TimeOfDatabase()
    return quota


class TimeOfDatabase(_DatabaseClock):
    """Leaves moments as they are."""

    def local(self, moment: float) -> float:
        return moment


async def known(breaker: TeamBreaker, *, is_open: bool) -> None:
    """Wait until a worker knows of the state of the breaker."""
    while breaker.is_open is not is_open:  # noqa: ASYNC110  (what it learns it tells the sender alone)
        await asyncio.sleep(0.005)


@dataclass
class Sends:
    """Takes permits as a row does."""

    limiter: TeamLimiter
    connects_in_s: float = 0.0
    times: list[float] = field(default_factory=list)

    async def one(self) -> None:
        await self.limiter.turn()
        if self.connects_in_s:
            await asyncio.sleep(self.connects_in_s)
        if not self.limiter.is_free:
            await self.limiter.permit()
        self.limiter.take()
        self.times.append(time.monotonic())

    async def until(self, ends_at: float) -> None:
        while time.monotonic() < ends_at:
            await self.one()

    async def for_some_time(self, seconds: float, workers: int) -> None:
        """Take them without a pause."""
        ends_at = time.monotonic() + seconds
        await asyncio.gather(*(self.until(ends_at) for _ in range(workers)))


def test_no_two_leases_hold_the_same_moment(team: TeamDatabase) -> None:
    """Ten connections that lease at once get moments of their own, each an interval after the one before."""

    async def leased() -> list[float]:
        quotas = [in_time_of_database(quota_of(team, 1000)) for _ in range(10)]

        async def lease(quota: TeamQuota) -> list[float]:
            moments: list[float] = []
            for _ in range(30):
                moments += (await quota.lease(20, 0)).moments
            await quota.end(0)
            return moments

        return sorted(moment for moments in await asyncio.gather(*map(lease, quotas)) for moment in moments)

    moments = uvloop.run(leased())
    assert len(moments) >= 300
    assert all(after - before >= 0.001 * _SPACE_S - _ROUNDING_S for before, after in pairwise(moments))


def test_a_permit_that_its_connection_comes_too_late_for_is_lost(team: TeamDatabase) -> None:
    """A request whose connection takes long waits for another permit; the month counts only what was used."""

    async def late() -> tuple[float, int]:
        quota = quota_of(team, 20)
        async with TeamLimiter(quota) as limiter:
            sends = Sends(limiter)
            await sends.one()
            sends.connects_in_s = 0.06
            await sends.one()
            await sends.one()
        return sends.times[1] - sends.times[0], await asyncio.to_thread(quota.used_this_month)

    took_s, used = uvloop.run(late())
    assert took_s >= 2 * 0.05 - _ACCURACY_S
    assert used == 3


def test_connections_that_are_made_for_every_request_leave_no_permit_unused(team: TeamDatabase) -> None:
    """Once requests come later than their turns, permits wait for them and not they for turns."""

    async def connecting() -> list[float]:
        async with TeamLimiter(quota_of(team, 100)) as limiter:
            sends = Sends(limiter, connects_in_s=0.1)
            ends_at = time.monotonic() + 60
            # 99 on a machine that does nothing else; one that stands still in some seconds does not in others.
            while busiest_second(sends.times) < 80 and time.monotonic() < ends_at:
                await sends.for_some_time(3, workers=30)
        return sends.times

    times = uvloop.run(connecting())
    assert busiest_second(times) >= 80
    assert all(last - first >= 1 - 2 * _ACCURACY_S for first, last in zip(times, times[100:], strict=False))


def test_a_burst_comes_at_once_after_a_lull_and_only_then(team: TeamDatabase) -> None:
    """With a burst of 10, eleven requests go at once; from then on each waits for its own moment."""

    async def in_a_row() -> list[float]:
        async with TeamLimiter(quota_of(team, 2, 10)) as limiter:
            sends = Sends(limiter)
            await asyncio.gather(*(sends.one() for _ in range(13)))
        return sends.times

    times = uvloop.run(in_a_row())
    assert times[12] - times[0] >= 2 * 0.5 - 2 * _ACCURACY_S
    assert times[10] - times[0] < 10 * 0.5 - 2 * _ACCURACY_S  # without a burst it takes longer than that


def test_a_database_clock_that_was_set_back_keeps_no_one_waiting(team: TeamDatabase) -> None:
    """Permits that were leased in an hour are those of a clock that was an hour ahead."""

    async def first_moment() -> float:
        quota = quota_of(team)
        await quota.lease(1, 0)
        execute(team, "UPDATE batch_updater.quotas SET next_at = next_at + 3600, leased_at = leased_at + 3600")
        lease = await quota.lease(1, 0)
        await quota.end(0)
        return lease.moments[0] - time.monotonic()

    assert uvloop.run(first_moment()) < 3


def test_requests_that_were_in_flight_together_slow_the_team_down_once(team: TeamDatabase) -> None:
    """Refusals that two workers get for requests of before the decrease say nothing new; one of after it does."""

    def slowed_to_per_s() -> float:
        with psycopg.connect(team.address) as connection:
            (pace,) = connection.execute("SELECT slowed_to_per_s FROM quotas").fetchone() or ()
        return float(pace)

    async def paces() -> list[float]:
        one, other = quota_of(team), quota_of(team)
        before = time.monotonic()
        paces = [(await one.state()).pace_per_s]
        await one.throttled(before)
        paces.append(slowed_to_per_s())
        await other.throttled(before)
        paces.append(slowed_to_per_s())
        await other.throttled(time.monotonic())
        grown = increase_per_s(100) * (time.monotonic() - before)
        paces += [slowed_to_per_s(), grown]
        await asyncio.gather(one.end(0), other.end(0))
        return paces

    full, once, still_once, twice, grown = uvloop.run(paces())
    assert full == 100
    assert once == still_once == pytest.approx(70)
    assert 49 - _ROUNDING_S <= twice <= 0.7 * (70 + grown) + _ROUNDING_S


def test_of_all_who_want_the_probe_one_gets_it(team: TeamDatabase) -> None:
    """One worker takes the probe that is due; that of a worker that is gone is another's after its time."""

    async def probes() -> tuple[int, bool, bool]:
        quotas = [quota_of(team) for _ in range(8)]
        await quotas[0].open_breaker("503", 600, 0)
        got = sum(await asyncio.gather(*(quota.take_probe(300) for quota in quotas)))
        too_early = await quotas[0].take_probe(300)
        await asyncio.to_thread(execute, team, "UPDATE batch_updater.quotas SET next_probe_at = next_probe_at - 300")
        in_time = await quotas[0].take_probe(300)
        await asyncio.gather(*(quota.end(0) for quota in quotas))
        return got, too_early, in_time

    assert uvloop.run(probes()) == (1, False, True)


def test_what_one_worker_finds_out_of_the_service_all_know_within_a_moment(team: TeamDatabase) -> None:
    """A breaker that one opens is open for the other long before it would try by itself, and so it closes."""

    async def delays() -> list[float]:
        async with AsyncExitStack() as stack:
            limiters = [await stack.enter_async_context(TeamLimiter(quota_of(team))) for _ in range(2)]
            one, other = (TeamBreaker(limiter, 60, 0.2, 5) for limiter in limiters)
            delays = []
            for is_open in (True, False):
                began = time.monotonic()
                if is_open:
                    for _ in range(10):
                        one.failed("503", unreachable=False, requests=10, retries=0)
                else:
                    one.answered()
                await known(other, is_open=is_open)
                delays.append(time.monotonic() - began)
            return delays

    assert max(uvloop.run(delays())) < 10  # of 60 that it may wait; 0.3 on a machine that does nothing else


def test_a_breaker_that_an_earlier_run_has_left_open_is_forgotten(team: TeamDatabase) -> None:
    """Once the time is over that the team may wait, a later run begins with a closed breaker."""

    async def later() -> None:
        quota = quota_of(team)
        async with TeamLimiter(quota) as limiter:
            breaker = TeamBreaker(limiter, 60, 0.2, 5)
            await quota.open_breaker("503", 0, 0)
            await quota.take_probe(1)
            await known(breaker, is_open=True)
            with pytest.raises(ServiceDown):
                await asyncio.wait_for(breaker.before_probe(), 60)
            assert breaker.is_open
            await asyncio.to_thread(execute, team, "UPDATE batch_updater.quotas SET deadline = deadline - 6")
            await asyncio.wait_for(known(breaker, is_open=False), 60)

    uvloop.run(later())


def test_a_connection_that_is_ended_is_made_again(team: TeamDatabase) -> None:
    """Permits go on after the server has ended every connection."""

    async def interrupted() -> int:
        async with TeamLimiter(quota_of(team)) as limiter:
            sends = Sends(limiter)
            await sends.one()
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            await asyncio.to_thread(execute, team, f"{others} AND datname = current_database()")
            await asyncio.wait_for(sends.one(), 60)
        return len(sends.times)

    assert uvloop.run(interrupted()) == 2


def test_a_database_without_its_tables_ends_the_run(team: TeamDatabase) -> None:
    """What waiting cannot help is raised where a request waits for its permit, as when a disk is full."""

    async def without() -> None:
        async with TeamLimiter(quota_of(team)) as limiter:
            sends = Sends(limiter)
            await sends.one()
            await asyncio.to_thread(execute, team, "DROP TABLE batch_updater.months")
            await asyncio.wait_for(sends.for_some_time(60, 3), 100)

    with pytest.raises(StoreError, match="gives no permits"):
        uvloop.run(without())


@pytest.mark.parametrize("waits", [TeamLimiter.turn, TeamLimiter.permit])
def test_waiting_ends_when_the_run_does(team: TeamDatabase, waits: Callable[[TeamLimiter], Awaitable[None]]) -> None:
    """A stop releases what waits, in a pause as well."""

    async def stopped() -> None:
        async with TeamLimiter(quota_of(team)) as limiter:
            shutdown = Shutdown()
            limiter.go_on(shutdown)
            limiter.pause(60)
            waiting = asyncio.ensure_future(waits(limiter))
            await asyncio.sleep(0.1)
            shutdown.set()
            with pytest.raises(ShuttingDown):
                await asyncio.wait_for(waiting, 30)  # of the pause of 60

    uvloop.run(stopped())


def api_with(**keys: object) -> ApiSettings:
    return config_from({"api": {"base_url": "https://api.example", **keys}}, {}).api


def test_an_account_is_the_same_wherever_its_secret_is_kept(team: TeamDatabase, tmp_path: Path) -> None:
    """The key of an account depends on the token, or on the client or the user, and on nothing of the host."""
    (tmp_path / "token").write_text("canary-token-1")
    environment = Environment({"HERE": "canary-token-1", "OTHER": "canary-token-2", "PASSWORD": "canary-password"})
    oauth = {"token_url": "https://api.example/token", "client_id": "client"}

    def key(**keys: object) -> str:
        return account_of(api_with(**keys), environment, team)

    here = key(token="env:HERE")
    assert key(token=f"file:{tmp_path / 'token'}") == here
    keys = [
        here,
        key(token="env:OTHER"),
        key(),
        key(oauth={**oauth, "client_secret": "env:OTHER"}),
        key(auth={"basic": {"user": "anna", "password": "env:PASSWORD"}}),
    ]
    assert len(set(keys)) == len(keys)
    assert key(oauth={**oauth, "client_secret": "env:PASSWORD"}) == keys[3]
    assert key(auth={"basic": {"user": "anna", "password": "env:OTHER"}}) == keys[4]
    assert not [one for one in keys if "canary" in one]


def test_the_doctor_keeps_to_the_quota(team: TeamDatabase, address: str, tmp_path: Path) -> None:
    """Every request of the doctor counts, that for the way to the API and those that try the token."""
    config = tmp_path / "config.yaml"
    environment = Environment({"TOKEN": "canary-token", "TEAM_DATABASE": address, "HOME": str(tmp_path)})
    with recording_server() as api:
        config.write_text(f"api: {{base_url: '{api.url}', token: env:TOKEN}}\nteam: {{database: env:TEAM_DATABASE}}\n")
        checks = {finding.check for finding in examine(config, environment, DoctorOptions(record=("501", "Pre")))}
    assert {"answer", "token"} <= checks
    with psycopg.connect(team.address) as connection:
        counted = connection.execute("SELECT sum(requests) FROM months").fetchone()
    assert counted == (len(api.arrivals),)
    assert len(api.arrivals) >= 2


def test_what_a_comparison_reads_and_what_a_worker_sends_count_together(
    team: TeamDatabase, address: str, tmp_path: Path
) -> None:
    """A comparison, which no worker makes, and the run of the same rows take every request from the team's quota."""
    rows = "".join(f"{row},Pre,name {row}\n" for row in range(1, 41))
    (tmp_path / "rows.csv").write_text(f"OpportunityId,opportunityType,OpportunityName\n{rows}")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 100}\nteam: {database: env:TEAM_DATABASE}\n")
        compared = batch_updater("check", "--compare", "rows.csv", cwd=tmp_path, TEAM_DATABASE=address)
        assert compared.code == 0, compared.err
        with Popen(
            [sys.executable, "-m", "batch_updater", "worker"], cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL,
            env=environment(TEAM_DATABASE=address),
        ) as worker:  # fmt: skip
            sent = batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path, TEAM_DATABASE=address)
            worker.terminate()
        assert sent.code == 0, sent.err
        requests = api.requests()
    with psycopg.connect(team.address) as connection:
        counted = connection.execute("SELECT sum(requests) FROM months").fetchone()
    assert counted == (len(requests),)
    assert len(requests) == 80


def test_more_workers_than_the_permits_of_a_second_get_moments_of_their_own(team: TeamDatabase) -> None:
    """Each waits for one that is due later than all before it, however many wait."""

    async def leased() -> list[float]:
        quota = in_time_of_database(quota_of(team))
        await quota.lease(1, 0)
        moments = [(await quota.lease(1, 0)).moments[0] for _ in range(450)]
        await quota.end(0)
        return moments

    moments = uvloop.run(leased())
    assert all(after - before >= 0.01 * _SPACE_S - _ROUNDING_S for before, after in pairwise(moments))
