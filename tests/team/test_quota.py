"""One quota for all processes of a team, seen from the service: processes with the real sender, and PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.team.postgres import PostgresServer, postgres_server
from tests.team.quota_client import clients
from tests.team.recording_server import Arrival, busiest_second, recording_server

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's time of arrival is Linux's"),
]

PROCESSES = 6
"""Four workers, a server and a nightly job."""


@pytest.fixture
def address(team: TeamDatabase) -> str:
    return team.address


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the library that sets the clock of the day of one process."""
    library, source = tmp_path_factory.mktemp("clock") / "clock.so", Path(__file__).parents[1] / "torture" / "clock.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return str(library)


def new_team(server: PostgresServer) -> str:
    database = TeamDatabase(Secret(address_of(server.new_database())))
    migrate(database)
    database.close()
    return database.address


def used_in_the_middle(times: list[float], rate: float) -> float:
    """Return the share of the rate that was used, without the first and the last second."""
    middle = [at for at in times if times[0] + 1 <= at <= times[-1] - 1]
    return (len(middle) - 1) / (middle[-1] - middle[0]) / rate


def counted_this_month(address: str) -> int:
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT sum(requests) FROM batch_updater.months").fetchone()
    return int(found[0] or 0) if found else 0


@pytest.mark.parametrize(
    ("rate", "concurrency", "most", "least_used"), [(100, 10, 102, 0.97), (2000, 50, 2040, 0.95)], ids=["100", "2000"]
)
def test_all_processes_together_hold_the_rate_and_use_it(
    address: str, rate: int, concurrency: int, most: int, least_used: float, *, torture: bool
) -> None:
    """Six processes that send as fast as they may stay within the rate in any second, and use nearly all of it.

    Every request that went out counts towards the month, and nothing else does.
    """
    seconds = 120 if torture else 6
    with (
        recording_server() as api,
        clients(address, api.url, PROCESSES, rate=rate, seconds=seconds, concurrency=concurrency) as running,
    ):
        results = [client.result() for client in running]
    busiest, used = busiest_second(api.times), used_in_the_middle(api.times, rate)
    sys.stdout.write(f"{len(api.times)} requests, busiest second {busiest}, {used:.1%} of {rate}/s used\n")
    assert busiest <= most
    assert used >= (least_used if torture else 0.5)
    assert sum(result.requests for result in results) == len(api.times) == counted_this_month(address)


def test_what_a_killed_process_has_leased_is_lost_and_never_doubled(address: str, *, torture: bool) -> None:
    """While processes are killed and others start, no second holds more than the rate, and the rest of them go on."""
    rate, kills = 100, 30 if torture else 6
    with recording_server() as api:
        with clients(address, api.url, 2, rate=rate, seconds=1000) as lasting:
            for number in range(kills):
                with clients(address, api.url, 1, rate=rate, seconds=1000, first=(number + 10) * 10**6) as killed:
                    time.sleep(0.5)
                    os.kill(killed[0].process.pid, signal.SIGKILL)
            time.sleep(2)
            last = api.times[-1]
        assert len(lasting) == 2
    after = [at for at in api.times if last - 1.5 <= at <= last]
    assert busiest_second(api.times) <= 102
    assert len(after) >= 0.5 * rate * 1.5
    assert counted_this_month(address) >= len(api.times)


def test_one_refusal_for_too_many_requests_slows_all_down(address: str) -> None:
    """A 429 to one process takes 30% from the pace of all, and it grows back evenly."""
    rate, refused_at = 200, list[float]()

    def answer(arrival: Arrival) -> tuple[str, str]:
        if len(api.arrivals) == 300:
            refused_at.append(arrival.at)
            return "429 Too Many Requests", ""
        return "200 OK", ""

    with recording_server(answer) as api, clients(address, api.url, 4, rate=rate, seconds=4) as running:
        for client in running:
            client.result()
    times, at = api.times, refused_at[0]
    soon = sum(at + 0.4 < one <= at + 1.4 for one in times)
    assert soon <= 0.75 * rate  # 140 and what grows in that time
    with psycopg.connect(address) as connection:
        (slowed_to,) = connection.execute("SELECT slowed_to_per_s FROM batch_updater.quotas").fetchone() or (None,)
    assert slowed_to == pytest.approx(0.7 * rate)


def test_a_pause_that_the_service_asks_for_stops_all(address: str) -> None:
    """After Retry-After to one process none sends anything until it is over, but for what is leaving just then."""
    asked_at = list[float]()

    def answer(arrival: Arrival) -> tuple[str, str]:
        if len(api.arrivals) == 150:
            asked_at.append(arrival.at)
            return "429 Too Many Requests", "Retry-After: 2\r\n"
        return "200 OK", ""

    with recording_server(answer) as api, clients(address, api.url, 4, rate=100, seconds=6) as running:
        for client in running:
            client.result()
    at = asked_at[0]
    assert not [one - at for one in api.times if at + 0.4 < one < at + 1.95]
    assert [one for one in api.times if at + 1.95 < one < at + 3.5]


def test_without_the_database_nothing_is_sent_and_afterwards_all_goes_on() -> None:
    """While PostgreSQL is stopped there are no permits; a crash of it lets no second hold more than the rate."""
    with postgres_server() as server:
        address = new_team(server)
        with recording_server() as api, clients(address, api.url, 4, rate=100, seconds=8) as running:
            time.sleep(2)
            server.stop("immediate")
            stopped_at = time.time()
            time.sleep(1.5)
            started_at = time.time()
            server.start()
            results = [client.result() for client in running]
        assert not [one - stopped_at for one in api.times if stopped_at + 0.5 < one < started_at]
        assert [one for one in api.times if one > started_at]
        assert busiest_second(api.times) <= 102
        assert {result.stopped for result in results} == {"interrupted"}


def test_a_run_that_is_stopped_does_not_wait_for_a_lost_database() -> None:
    """Requests that wait for permits are given up when the run ends, whether or not PostgreSQL is back."""
    with postgres_server() as server:
        address = new_team(server)
        with recording_server() as api, clients(address, api.url, 2, rate=100, seconds=2) as running:
            time.sleep(0.5)
            server.stop("immediate")
            began = time.monotonic()
            results = [client.result() for client in running]
            took_s = time.monotonic() - began
            server.start()
    assert took_s < 8
    assert {result.stopped for result in results} == {"interrupted"}


def test_one_probe_goes_out_for_all_while_the_service_is_down(address: str) -> None:
    """While it only fails, requests come one by one with growing pauses; with the first answer all processes go on."""
    is_down, down_at, up_at = threading.Event(), list[float](), list[float]()

    def answer(_arrival: Arrival) -> tuple[str, str]:
        return ("503 Service Unavailable", "") if is_down.is_set() else ("200 OK", "")

    with recording_server(answer) as api, clients(address, api.url, 4, rate=200, seconds=9) as running:
        time.sleep(1.5)
        is_down.set()
        down_at.append(time.time())
        time.sleep(4)
        is_down.clear()
        up_at.append(time.time())
        for client in running:
            client.result()
    down, up = down_at[0], up_at[0]
    probes = [one for one in api.times if down + 1 < one < up]
    assert 1 <= len(probes) <= 8
    assert min((later - earlier for earlier, later in pairwise(probes)), default=1) >= 0.2
    first_answer = min(one for one in api.times if one >= up)
    others = [arrival for arrival in api.arrivals if first_answer + 0.5 < arrival.at < first_answer + 2]
    assert len({arrival.record // 10**6 for arrival in others}) == 4


def test_a_service_that_stays_down_ends_the_runs_of_all(address: str) -> None:
    """Once the time that the team may wait is over, every process stops for the same reason, and soon."""
    with (
        recording_server(lambda _: ("503 Service Unavailable", "")) as api,
        clients(address, api.url, 4, rate=100, seconds=60, max_wait=3) as running,
    ):
        began = time.monotonic()
        results = [client.result() for client in running]
        took_s = time.monotonic() - began
    assert [result.stopped for result in results] == ["service_down"] * 4
    assert took_s < 12
    assert len(api.times) < 100


def test_the_clock_of_a_host_may_be_wrong(address: str, clock: str) -> None:
    """A process on a host whose clock is hours off takes neither more nor less: the database's clock counts."""
    with ExitStack() as stack:
        api = stack.enter_context(recording_server())
        running = [
            stack.enter_context(clients(
                address, api.url, 1, rate=100, seconds=5, first=(number + 1) * 10**6,
                environ={"LD_PRELOAD": clock, "CLOCK_FILE": "/", "CLOCK_JUMP_S": str(off_s)},
            ))[0]
            for number, off_s in enumerate((0, -30_000, 30_000))
        ]  # fmt: skip
        shares = [client.result().requests for client in running]
    assert busiest_second(api.times) <= 102
    assert min(shares) > 20
