"""One quota for all processes of a team, seen from the service: processes with the real sender, and PostgreSQL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from batch_updater.runs.team_database import TeamDatabase, address_of
from tests.team.hosts import ROOT, Host, hosts, migrated, until
from tests.team.postgres import PostgresServer, postgres_server
from tests.team.quota_client import Client, clients, stopped
from tests.team.recording_server import Arrival, RecordingServer, busiest_second, recording_server
from tests.torture.runs import write_rows
from tests.web.served import PageServer, wait_until
from tests.web.test_preview_page import press

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
    return address_of(migrated(server))


def used_in_the_middle(times: list[float], rate: float) -> float:
    """Return the share of the rate that was used, without the first and the last second; 0 if there is no other."""
    middle = [at for at in times if times[0] + 1 <= at <= times[-1] - 1]
    if len(middle) < 2:
        return 0
    return (len(middle) - 1) / (middle[-1] - middle[0]) / rate


def counted_this_month(address: str) -> int:
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT sum(requests) FROM batch_updater.months").fetchone()
    return int(found[0] or 0) if found else 0


def has_sent(api: RecordingServer, million: int) -> bool:
    """Whether the process with the rows from that million on has sent anything."""
    return any(arrival.record // 10**6 == million for arrival in api.arrivals)


def has_arrived_since(api: RecordingServer, moment: float) -> bool:
    return api.arrivals[-1].at > moment


def late(running: list[Client]) -> int:
    """Return how many requests some processes, which have ended, wrote late: each may add to another second."""
    return sum(client.late for client in running)


def quota_value(address: str, column: str) -> float:
    """Wait until the database holds something of the quota; returns it."""
    found, of_quota = list[float](), SQL("SELECT {} FROM batch_updater.quotas").format(Identifier(column))

    def is_known() -> bool:
        with psycopg.connect(address) as connection:
            (value,) = connection.execute(of_quota).fetchone() or (None,)
        found[:] = [float(value)] if value else []
        return bool(found)

    until(is_known)
    return found[0]


@pytest.mark.parametrize(
    ("rate", "concurrency", "most", "least_used"), [(100, 10, 102, 0.97), (2000, 50, 2040, 0.95)], ids=["100", "2000"]
)
def test_all_processes_together_hold_the_rate_and_use_it(
    address: str, rate: int, concurrency: int, most: int, least_used: float, *, torture: bool
) -> None:
    """Six processes that send as fast as they may stay within the rate in any second, and use nearly all of it.

    Every request that went out counts towards the month, and nothing else does.
    """
    with (
        recording_server() as api,
        clients(address, api.url, PROCESSES, rate=rate, concurrency=concurrency, ends_within=60) as running,
    ):
        time.sleep(120 if torture else 5)
        if not torture:  # as far as other tests leave a processor
            until(lambda: used_in_the_middle(api.times, rate) >= 0.3)
        results = stopped(running)
    busiest, used = busiest_second(api.times), used_in_the_middle(api.times, rate)
    sys.stdout.write(f"{len(api.times)} requests, busiest second {busiest}, {used:.1%} of {rate}/s used\n")
    # Beside other tests a process may write late what it has in hand, and at 2,000/s each of the six has several.
    assert busiest <= (most if torture else late(running) + (most if rate == 100 else 1.05 * rate))
    assert used >= least_used or not torture
    assert sum(result.requests for result in results) == len(api.times) == counted_this_month(address)


def numbered_from(first: int, count: int, path: Path) -> Path:
    """Write a file of so many rows, each of a record of its own, from that record on."""
    records = range(first, first + count)
    return write_rows(path, [{"Id": one, "Type": "Pre", "OpportunityName": f"row {one}"} for one in records])


def test_workers_a_page_and_a_night_hold_the_rate_together(
    tmp_path: Path, server: PostgresServer, *, torture: bool
) -> None:
    """What two workers send, and what a page reads meanwhile, is of one quota; each row of all three is sent once."""
    address, inbox = migrated(server), tmp_path / "inbox"
    inbox.mkdir()
    with recording_server() as api, ExitStack() as stack:
        sending = "{rate_per_s: 100, burst: 0}"
        desk, workers_host, page_host, night_host = (
            Host(tmp_path / name, api.url, address, sending=sending, more=f"nightly: {{inbox: '{inbox}'}}\n")
            for name in ("desk", "workers", "page", "night")
        )
        numbered_from(1_000, 200, desk.folder / "run.csv")
        numbered_from(2_000, 100, inbox / "night.csv")
        uploaded = numbered_from(3_000, 100, page_host.folder / "page.csv")
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        page = stack.enter_context(PageServer(page_host.folder, TEAM_DATABASE=address, PYTHONPATH=path))
        stack.enter_context(hosts(workers_host))
        workers = [workers_host.work(quick=False) for _ in range(2)]
        browser = page.signed_in()
        files = browser.upload("page.csv", uploaded.read_bytes()).location
        wait_until(browser, f"{files}/check", "good")
        commands = [desk.start("run", "run.csv", "--json"), night_host.start("nightly", "--json")]
        until(lambda: api.arrivals)
        press(browser, browser.get(f"{files}/preview"), f"{files}/compare")
        preview = wait_until(browser, f"{files}/preview", "Read records again")
        press(browser, preview, f"{files}/send")
        for command in commands:
            _, err = command.communicate(timeout=120)
            assert command.returncode == 0, err
        wait_until(browser, f"{files}/run", "All 100 rows were updated.")
        assert [worker.end() for worker in workers] == [0, 0]
    sent = Counter(arrival.record for arrival in api.arrivals if arrival.method == "PUT")
    assert sent == Counter([*range(1_000, 1_200), *range(2_000, 2_100), *range(3_000, 3_100)])
    assert busiest_second(api.times) <= (102 if torture else 1.05 * 100)
    assert counted_this_month(address) == len(api.times)


def test_what_a_killed_process_has_leased_is_lost_and_never_doubled(address: str, *, torture: bool) -> None:
    """While processes are killed and others start, no second holds more than the rate, and the rest of them go on."""
    with recording_server() as api, clients(address, api.url, 2) as lasting:
        all_killed: list[Client] = []
        for number in range(10, 40 if torture else 15):
            with clients(address, api.url, 1, first=number * 10**6) as killed:
                until(partial(has_sent, api, number))
                time.sleep(random.uniform(0, 0.5))
                os.kill(killed[0].process.pid, signal.SIGKILL)
            all_killed += killed
        before = len(api.arrivals)
        until(lambda: len(api.arrivals) > before + 100)
        results = stopped(lasting)
    assert busiest_second(api.times) <= 102 + late([*lasting, *all_killed])
    assert {result.stopped for result in results} == {"interrupted"}
    assert counted_this_month(address) >= len(api.times)


def test_one_refusal_for_too_many_requests_slows_all_down(address: str) -> None:
    """A 429 to one process takes 30% from the pace of all, and it grows back evenly."""
    rate = 200

    def answer(_arrival: Arrival) -> tuple[str, str]:
        return ("429 Too Many Requests", "") if len(api.arrivals) == 300 else ("200 OK", "")

    with recording_server(answer) as api, clients(address, api.url, 4, rate=rate) as running:
        slowed_at = quota_value(address, "slowed_at")
        until(partial(has_arrived_since, api, slowed_at + 2))
        stopped(running)
    soon = sum(slowed_at + 0.5 < at <= slowed_at + 1.5 for at in api.times)
    assert soon <= 0.75 * rate + late(running)  # 140 and what grows in that time
    with psycopg.connect(address) as connection:
        (slowed_to,) = connection.execute("SELECT slowed_to_per_s FROM batch_updater.quotas").fetchone() or (None,)
    assert slowed_to == pytest.approx(0.7 * rate)


def test_a_pause_that_the_service_asks_for_stops_all(address: str) -> None:
    """After Retry-After to one process none sends anything until it is over, but for what is leaving just then."""

    def answer(_arrival: Arrival) -> tuple[str, str]:
        if len(api.arrivals) == 150:
            return "429 Too Many Requests", "Retry-After: 6\r\n"
        return "200 OK", ""

    with recording_server(answer) as api, clients(address, api.url, 4) as running:
        paused_until = quota_value(address, "paused_until")
        told_at = time.time()
        until(partial(has_arrived_since, api, paused_until))
        stopped(running)
    # Within 0.3 s on a machine that does nothing else; one that is busy may write what it has in hand later.
    assert sum(told_at + 1 < at < paused_until - 0.05 for at in api.times) <= late(running)


def test_without_the_database_nothing_is_sent_and_afterwards_all_goes_on() -> None:
    """While PostgreSQL is stopped there are no permits; a crash of it lets no second hold more than the rate."""
    with postgres_server() as server:
        address = new_team(server)
        with recording_server() as api, clients(address, api.url, 4) as running:
            until(lambda: len(api.arrivals) > 150)
            for _ in range(2):
                server.stop("immediate")
                at = time.time()
                time.sleep(2)
                assert not [one - at for one in api.times if one > at + 1]
                server.start()
                until(partial(has_arrived_since, api, time.time()))
            results = stopped(running)
        assert busiest_second(api.times) <= 102 + late(running)
        assert {result.stopped for result in results} == {"interrupted"}


def test_a_run_that_is_stopped_does_not_wait_for_a_lost_database() -> None:
    """Requests that wait for permits are given up when the run ends, whether or not PostgreSQL is back."""
    with postgres_server() as server, recording_server() as api, clients(new_team(server), api.url, 2) as running:
        until(lambda: len(api.arrivals) > 50)
        server.stop("immediate")
        began = time.monotonic()
        results = stopped(running)
        took_s = time.monotonic() - began
        server.start()
    assert took_s < 60  # without an end of its own it would wait for as long as the database is away
    assert {result.stopped for result in results} == {"interrupted"}


def test_one_probe_goes_out_for_all_while_the_service_is_down(address: str) -> None:
    """While it only fails, requests come one by one with growing pauses; with the first answer all processes go on."""
    is_down = threading.Event()

    def answer(_arrival: Arrival) -> tuple[str, str]:
        return ("503 Service Unavailable", "") if is_down.is_set() else ("200 OK", "")

    with recording_server(answer) as api, clients(address, api.url, 4, rate=200) as running:
        until(lambda: len(api.arrivals) > 200)
        is_down.set()
        down = quota_value(address, "opened_at")
        until(lambda: [one for one in api.arrivals if one.at > down + 3])
        is_down.clear()
        up = time.time()
        until(lambda: len({one.record // 10**6 for one in api.arrivals if one.at > up}) == 4)
        stopped(running)
    probes = [at for at in api.times if down + 1 < at < up]
    assert len(probes) <= 8 + late(running)
    if not late(running):
        assert min((later - earlier for earlier, later in pairwise(probes)), default=1) >= 0.2


def test_a_service_that_stays_down_ends_the_runs_of_all(address: str) -> None:
    """Once the time that the team may wait is over, every process stops for the same reason, and soon."""
    with (
        recording_server(lambda _: ("503 Service Unavailable", "")) as api,
        clients(address, api.url, 4, max_wait=3) as running,
    ):
        began = time.monotonic()
        results = [client.result() for client in running]
        took_s = time.monotonic() - began
    assert [result.stopped for result in results] == ["service_down"] * 4
    assert took_s < 60
    assert len(api.times) < 100


def test_the_clock_of_a_host_may_be_wrong(address: str, clock: str) -> None:
    """A process on a host whose clock is hours off takes neither more nor less: the database's clock counts."""
    with ExitStack() as stack:
        api = stack.enter_context(recording_server())
        running = [
            stack.enter_context(clients(
                address, api.url, 1, first=(number + 1) * 10**6,
                environ={"LD_PRELOAD": clock, "CLOCK_FILE": "/", "CLOCK_JUMP_S": str(off_s)},
            ))[0]
            for number, off_s in enumerate((0, -30_000, 30_000))
        ]  # fmt: skip
        time.sleep(4)
        shares = [result.requests for result in stopped(running)]
    assert busiest_second(api.times) <= 102 + late(running)
    assert min(shares) > 20
