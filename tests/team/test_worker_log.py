"""What a worker says: one line where the database is lost, who is gone by name, and where a token was refused."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from batch_updater.config.environment import machine_name
from batch_updater.runs.team_faults import PERCENT_ENCODE, TeamFault
from batch_updater.team.blocks import CONTACT_S
from batch_updater.team.worker_log import WorkerLog
from batch_updater.text.redaction import Redaction
from tests.end_to_end.program import sandbox
from tests.team.hosts import (
    PATIENT_S,
    Host,
    confirmed_rows,
    hosts,
    joined_run,
    migrated,
    query,
    until,
    wait_for_workers,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


def numbered(path: Path, rows: int) -> None:
    lines = [f"{number},Pre,{number}\n" for number in range(1, rows + 1)]
    path.write_text(f"Id,Type,SalesRevenue\n{''.join(lines)}", encoding="utf-8")


def test_a_lost_database_is_said_once_until_it_answers_again() -> None:
    """Of several blocks that notice it, the first one says it; then why, and once more if that changes."""
    said: list[str] = []
    log = WorkerLog(said.append, Redaction(), 8)
    for _ in range(2):
        log.lost()
        for why in ("refused", "refused", "starting up"):
            log.lost(TeamFault(why, "Wait."))
            log.lost()
        log.answers()
        log.answers()
    assert [line.split(" ", 1)[1] for line in said] == 2 * [
        "The team's database does not answer. Nothing more is sent until it does.",
        "The team's database cannot be used: refused. Wait.",
        "The team's database cannot be used: starting up. Wait.",
        "The team's database answers again.",
    ]


def test_a_worker_says_why_it_cannot_connect_again(tmp_path: Path, server: PostgresServer) -> None:
    """As whom, to which database and what to do, once for each reason, and never the password."""
    address, password = migrated(server), "k7-zq-42-vbx"
    own = address.replace("postgres:secret-of-the-database", f"night_worker:{password}")
    with psycopg.connect(address, autocommit=True) as admin, sandbox() as api:
        admin.execute(f"CREATE ROLE night_worker SUPERUSER LOGIN PASSWORD '{password}'")
        host = Host(tmp_path, api.url, own)
        with hosts(host):
            worker = host.work()
            wait_for_workers(address, 1)  # nothing of it connects any more

            def change(rights: str, then: str) -> None:
                """Change the role, and cut its connections off until the worker says something."""
                admin.execute(f"ALTER ROLE night_worker {rights}")
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'night_worker'"
                until(lambda: then in worker.said or not admin.execute(cut))

            change("PASSWORD 'another'", "authentication failed")
            change(f"PASSWORD '{password}' NOLOGIN", "not permitted")
            admin.execute("ALTER ROLE night_worker LOGIN")
            worker.wait_for("answers again")
            assert worker.end() == 0
        admin.execute("DROP ROLE night_worker")
    lines = [line.split(" ", 1)[1] for line in worker.said.splitlines() if "The team's database" in line]
    used = f"database {address.rpartition('/')[2]} at 127.0.0.1, port {server.port}, as user night_worker"
    wrong = f'{used}: password authentication failed for user "night_worker". Correct user and password.'
    denied = f'{used}: role "night_worker" is not permitted to log in. Correct the user, or have it created with LOGIN.'
    assert lines == [
        "The team's database does not answer. Nothing more is sent until it does.",
        f"The team's database cannot be used: {wrong} {PERCENT_ENCODE}",
        f"The team's database cannot be used: {denied}",
        "The team's database answers again.",
    ]
    assert password not in worker.said


def test_a_worker_that_stood_still_does_not_blame_the_database() -> None:
    """Until the database cannot be connected to."""
    said: list[str] = []
    log = WorkerLog(said.append, Redaction(), 0.2)
    time.sleep(0.15)  # it stands still, for longer on a busy machine
    log.lost()
    (line,) = said
    assert "This worker stood still for " in line
    log.lost(TeamFault("refused", "Wait."))
    assert "The team's database does not answer." in said[-2]


def test_a_worker_that_is_stopped_and_continued_says_so(tmp_path: Path, server: PostgresServer) -> None:
    """Its blocks are sent to their end, by itself or by another one."""
    address = migrated(server)
    with sandbox("--latency-ms", "50", answers=30) as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 40, concurrency: 4}", timeout_s=PATIENT_S)
        numbered(tmp_path / "many.csv", 200)
        with hosts(host):
            worker = host.work(quick=False)
            run = host.submit("many.csv")
            until(lambda: len(confirmed_rows(address, run)) >= 20)
            worker.process.send_signal(signal.SIGSTOP)
            time.sleep(CONTACT_S + 1)  # longer than it may send without an answer of the database
            worker.process.send_signal(signal.SIGCONT)
            api.release()
            worker.wait_for(f"{run} has ended")
            assert worker.end() == 0
    assert "This worker stood still for" in worker.said
    assert "does not answer" not in worker.said
    assert len(confirmed_rows(address, run)) == 200


def test_a_dead_worker_is_named_with_its_host_and_its_block(tmp_path: Path, server: PostgresServer) -> None:
    """The one that takes its work over says so."""
    address = migrated(server)
    with sandbox("--latency-ms", "50", answers=40) as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 40, concurrency: 4}", timeout_s=PATIENT_S)
        numbered(tmp_path / "many.csv", 100)
        with hosts(host):
            killed, other, run = joined_run(host, address, 30)
            killed.kill()
            other.wait_for(f"The worker on {machine_name()} is gone: another worker takes over block ")
            other.wait_for(f"The worker on {machine_name()} is gone: another worker leads {run} from now on.")
            api.release()
            other.wait_for(f"{run} has ended")
            assert other.end() == 0
    assert re.search(rf"another worker takes over block \d+ of {run}\.", other.said)


def test_a_worker_for_another_api_does_not_forget_whose_jobs_it_cannot_take(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Those that send to the same API still name the host, however long ago its worker died."""
    address = migrated(server)
    with sandbox() as api, sandbox() as other_api:
        host, other_host = Host(tmp_path, api.url, address), Host(tmp_path / "other", other_api.url, address)
        numbered(tmp_path / "few.csv", 3)
        run = host.submit("few.csv")
        with psycopg.connect(address, autocommit=True, options="-c search_path=batch_updater") as connection:
            last = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
            (dead,) = connection.execute(last).fetchone() or ()
            note = "INSERT INTO workers (id, host, origin, queue) VALUES (%s, 'far', %s, 'runs')"
            connection.execute(note, [dead, api.url])
            connection.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", [dead])
        with hosts(host, other_host):
            other = other_host.work()
            noted = "SELECT count(*) FROM workers WHERE origin = %s"
            until(lambda: query(address, noted, other_api.url) == [(2,)])  # it has looked for dead workers by then
            worker = host.work()
            worker.wait_for(f"The worker on far is gone: another worker leads {run} from now on.")
            worker.wait_for(f"{run} has ended")
            until(lambda: query(address, "SELECT true FROM workers WHERE host = 'far'") == [])
            assert (worker.end(), other.end()) == (0, 0)


def test_a_refused_token_is_told_with_its_host(tmp_path: Path, server: PostgresServer) -> None:
    """In the log, by the command that follows the run, in the workbook's rows and by `report --row`."""
    address = migrated(server)
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        config = tmp_path / "config.yaml"
        config.write_text(config.read_text(encoding="utf-8").replace("env:NEXUS_TOKEN", "file:token"), encoding="utf-8")
        (tmp_path / "token").write_text("one-that-was-revoked", encoding="utf-8")
        (tmp_path / "token").chmod(0o600)
        numbered(tmp_path / "few.csv", 3)
        with hosts(host):
            worker = host.work(quick=False)
            code, out, err = host.run("run", "few.csv", "--json")
            assert worker.end() == 0
            _, row, _ = host.run("report", "--row", "3")
    refused = f"On {machine_name()}: The API does not accept the credentials (401)"
    assert code == 3, err
    assert refused in json.dumps(json.loads(out))
    assert f"The run ends for all: {refused}" in worker.said
    assert refused in " ".join(row.split())
