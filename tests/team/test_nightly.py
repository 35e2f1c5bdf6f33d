"""The nightly job on a schedule: exactly one worker runs it, and its exit code decides whether it is tried again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from socket import create_server
from typing import TYPE_CHECKING, Any

import procrastinate
import pytest

from batch_updater.config.environment import machine_name
from batch_updater.team.nightly import NIGHTLY, ScheduledNights, last_night
from batch_updater.text.redaction import Redaction
from tests.end_to_end.program import sandbox
from tests.end_to_end.test_night import a_day_older
from tests.nightly.receivers import webhook
from tests.team.hosts import PATIENT_S, Host, hosts, until, wait_until_handing_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batch_updater.runs.team_database import TeamDatabase
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


def just_now() -> str:
    """Return a schedule whose last time was two minutes ago and whose next one is in an hour."""
    return f"{(datetime.now(UTC) - timedelta(minutes=2)).minute} * * * *"


SECRET = "secret-of-the-configuration"


def app_of(
    team: TeamDatabase, command: list[str], schedule: str | None = None, said: list[str] | None = None
) -> procrastinate.App:
    redaction = Redaction()
    redaction.remember(SECRET)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=team.address))
    say = (said if said is not None else []).append
    ScheduledNights(team, schedule or just_now(), command, say, redaction.text, lambda: True).register(app)
    return app


def program(folder: Path, text: str) -> list[str]:
    """Return a command that notes each start in `started`, then does what the text says."""
    path = folder / "night.py"
    begin = f"import signal, sys, time\nopen({str(folder / 'started')!r}, 'a').write('.')\n"
    path.write_text(begin + text, encoding="utf-8")
    return [sys.executable, str(path)]


def starts(folder: Path) -> int:
    path = folder / "started"
    return len(path.read_text()) if path.exists() else 0


def status(team: TeamDatabase) -> list[tuple[object, ...]]:
    with team.connected() as connection:
        return connection.execute("SELECT status::text, attempts, scheduled_at > now() + interval '29 min' "
                                  "FROM procrastinate_jobs").fetchall()  # fmt: skip


def worked(*apps: procrastinate.App, holds: Callable[[], bool]) -> None:
    """Let each app work on the queue of the night until something is so, then end them as a worker ends."""

    async def work() -> None:
        async with AsyncExitStack() as stack:
            workers = []
            for app in apps:
                await stack.enter_async_context(app.open_async())
                running = app.run_worker_async(
                    queues=[NIGHTLY], concurrency=1, install_signal_handlers=False, shutdown_graceful_timeout=0,
                    fetch_job_polling_interval=0.2,
                )  # fmt: skip
                workers.append(asyncio.create_task(running))
            await asyncio.to_thread(until, holds)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    asyncio.run(work())


@pytest.mark.parametrize("code", [0, 1])
def test_one_of_several_workers_runs_it(team: TeamDatabase, tmp_path: Path, code: int) -> None:
    """The three have the same schedule; the night is one job, and done."""
    command, schedule = program(tmp_path, f"sys.exit({code})"), just_now()
    apps = [app_of(team, command, schedule) for _ in range(3)]
    worked(*apps, holds=lambda: status(team)[:1] == [("succeeded", 1, None)])
    assert status(team) == [("succeeded", 1, None)]
    assert starts(tmp_path) == 1


@pytest.mark.parametrize("code", [3, 4])
def test_after_trouble_it_is_tried_again_half_an_hour_later(team: TeamDatabase, tmp_path: Path, code: int) -> None:
    """Also if another nightly job works on the inbox: that one may be killed."""
    schedule = just_now()
    app = app_of(team, program(tmp_path, f"sys.exit({code})"), schedule)
    worked(app, holds=lambda: status(team)[:1] == [("todo", 1, True)])
    with team.connected() as connection:  # the last of its starts
        connection.execute("UPDATE procrastinate_jobs SET attempts = 4, scheduled_at = NULL")
    app = app_of(team, program(tmp_path, f"sys.exit({code})"), schedule)  # a minute later it would have another time
    worked(app, holds=lambda: status(team)[:1] == [("failed", 5, None)])
    assert starts(tmp_path) == 2


@pytest.mark.parametrize("code", [2, 70])
def test_what_is_no_better_a_little_later_has_failed(
    team: TeamDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """The log of the worker names the exit code."""
    app = app_of(team, program(tmp_path, f"sys.exit({code})"))
    worked(app, holds=lambda: status(team)[:1] == [("failed", 1, None)])
    assert f"the nightly job ended with exit code {code}" in caplog.text


def test_a_worker_that_ends_ends_the_night_and_another_one_takes_it(team: TeamDatabase, tmp_path: Path) -> None:
    """SIGTERM goes to the night, which has the time that it needs; the next worker runs it at once."""
    going_on = "def end(*_):\n    time.sleep(0.3)\n    open(sys.argv[0] + '.ended', 'w')\n    sys.exit(3)\n"
    going_on += "signal.signal(signal.SIGTERM, end)\nopen(sys.argv[0] + '.ready', 'w')\ntime.sleep(60)\n"
    app = app_of(team, program(tmp_path, going_on))
    worked(app, holds=(tmp_path / "night.py.ready").exists)
    assert (tmp_path / "night.py.ended").exists()
    (row,) = status(team)
    assert row[:2] == ("todo", 1)
    other = app_of(team, program(tmp_path, "sys.exit(0)"), "0 0 1 1 *")
    worked(other, holds=lambda: status(team)[0][0] == "succeeded")
    assert starts(tmp_path) == 2


def test_a_time_that_was_long_ago_is_left_out(team: TeamDatabase, tmp_path: Path) -> None:
    """A worker that starts at noon does not run the night of 2 o'clock, but does what is due."""
    schedule = f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *"
    app = app_of(team, program(tmp_path, ""), schedule)

    @app.periodic(cron=just_now())
    @app.task(name="due", queue="due")
    async def due(timestamp: int) -> None:
        """Never run: no one works on its queue."""

    with team.connected() as connection:
        queued = "SELECT task_name FROM procrastinate_jobs"
        # The times of all tasks are looked at in one go, in the order in which they were registered.
        worked(app, holds=lambda: connection.execute(queued).fetchall() != [])
        assert connection.execute(queued).fetchall() == [("due",)]


def test_what_a_night_said_is_kept_without_secrets(team: TeamDatabase, tmp_path: Path) -> None:
    """Every host of the team can read it."""
    command = program(tmp_path, f"print('No access with {SECRET}.', file=sys.stderr)\nsys.exit(2)")
    worked(app_of(team, command), holds=lambda: status(team)[:1] == [("failed", 1, None)])
    with team.connected() as connection:
        night = last_night(connection)
    assert night is not None
    assert night.reason == "No access with [redacted]."


def test_workers_run_the_files_of_the_inbox_by_themselves(address: str, team: TeamDatabase, tmp_path: Path) -> None:
    """The command itself, with two workers: the file is sent once, by way of the queue, and archived."""
    del team  # its tables are those of `address`
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("Id,Type,SalesRevenue\n1,Pre,10\n2,Pre,20\n", encoding="utf-8")
    stamp = time.time() - 3600
    os.utime(inbox / "a.csv", (stamp, stamp))
    with sandbox() as api:
        one, other = (
            Host(tmp_path / name, api.url, address, more=f"nightly: {{inbox: '{inbox}'}}\n")
            for name in ("one", "other")
        )
        schedule = just_now()
        for host in (one, other):
            scheduled(host, schedule)
        with hosts(one, other):
            workers = [host.work(quick=False) for host in (one, other)]
            until(lambda: bool(list((tmp_path / "done").rglob("a.csv"))))
            assert [worker.end() for worker in workers] == [0, 0]
    assert not list(inbox.iterdir())
    assert len(list((tmp_path / "done").rglob("a.csv"))) == 1
    assert len([request for request in api.requests() if request["method"] == "PUT"]) == 2


def night(host: Host) -> dict[str, Any]:
    """Run the nightly job on a host; returns what it prints."""
    _, out, err = host.run("nightly", "--json")
    assert out, err
    printed: dict[str, Any] = json.loads(out)
    return printed


def test_a_night_knows_of_the_nights_on_other_hosts(address: str, team: TeamDatabase, tmp_path: Path) -> None:
    """They share the inbox, not the folder of results: a file that two nights left is for a person in the third."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "poison.csv").write_text("Id,Type,OpportunityName\n1,Pre,fault:status-500\n2,Pre,b\n", encoding="utf-8")
    os.utime(inbox / "poison.csv", (time.time() - 3600,) * 2)
    with sandbox() as api:
        one, other = (
            Host(
                tmp_path / name, api.url, address, more=f"nightly: {{inbox: '{inbox}'}}\n",
                sending="{rate_per_s: 100, attempts: 2}",
            )
            for name in ("one", "other")
        )  # fmt: skip
        found = []
        with hosts(one, other):
            worker = one.work(quick=False)
            for host in (one, other, one):
                found += [file["disposition"] for file in night(host)["files"]]
                with team.connected() as connection:
                    ((content,),) = connection.execute("SELECT content FROM nights")
                    connection.execute("UPDATE nights SET content = %s", [a_day_older(str(content))])
            assert worker.end() == 0
    assert found == ["left", "left", "attention"]
    assert not list(tmp_path.glob("*/runs/.nightly-*"))


def test_a_night_tells_of_one_that_was_killed_on_another_host(address: str, team: TeamDatabase, tmp_path: Path) -> None:
    """Once, as where both are on one machine."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("Id,Type,SalesRevenue\n1,Pre,10\n", encoding="utf-8")
    with sandbox() as api:
        one, other = (
            Host(tmp_path / name, api.url, address, more=f"nightly: {{inbox: '{inbox}'}}\n")
            for name in ("one", "other")
        )
        running = one.start("nightly")  # it watches the new file for a while
        with team.connected() as connection:
            until(lambda: connection.execute("SELECT true FROM nights").fetchone() is not None)
        running.kill()
        running.communicate()
        (inbox / "a.csv").unlink()
        (note,) = night(other)["notes"]
        assert "did not come to its end" in note
        assert night(one)["notes"] == []


def test_people_are_told_of_a_night_whose_database_does_not_answer(tmp_path: Path, closed_port: int) -> None:
    """As of any night that could not begin: nothing is sent, the exit code is 2."""
    database = f"postgresql://postgres:secret-of-the-database@127.0.0.1:{closed_port}/x"
    with sandbox() as api, webhook() as hook:
        more = f"nightly: {{inbox: inbox, notify: ['json://{hook.place}/told']}}\n"
        code, _, err = Host(tmp_path / "host", api.url, database, more=more).run("nightly")
    (posted,) = hook.bodies()
    assert code == 2
    assert ": Connection refused." in err
    assert ": Connection refused." in posted["message"]
    assert "secret-of-the-database" not in json.dumps(posted)
    assert not api.received


def inbox_with(folder: Path, rows: int) -> Path:
    """Make an inbox with one file that the night takes at once."""
    inbox = folder / "inbox"
    inbox.mkdir()
    lines = [f"{number},Pre,{number}\n" for number in range(1, rows + 1)]
    (inbox / "a.csv").write_text(f"Id,Type,SalesRevenue\n{''.join(lines)}", encoding="utf-8")
    os.utime(inbox / "a.csv", (time.time() - 3600,) * 2)
    return inbox


def scheduled(host: Host, schedule: str | None = None) -> Host:
    """Let the workers of a host run the nightly job on a schedule, or at once."""
    config = host.folder / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("block_rows: 25", f"block_rows: 25, nightly: '{schedule or just_now()}'"), encoding="utf-8"
    )
    return host


def test_a_night_waits_for_a_database_that_is_away(
    address: str, team: TeamDatabase, server: PostgresServer, tmp_path: Path
) -> None:
    """The file is done in the same night, without a person; the log says in order what happened."""
    inbox = inbox_with(tmp_path, 400)
    with sandbox("--latency-ms", "20") as api:
        host = Host(
            tmp_path / "host", api.url, address, more=f"nightly: {{inbox: '{inbox}'}}\n",
            sending="{rate_per_s: 40, concurrency: 4}",
        )  # fmt: skip
        with hosts(scheduled(host)):
            worker = host.work(quick=False)
            until(lambda: len(api.requests()) > 40)
            server.stop("immediate")
            try:
                worker.wait_for("does not answer. Nothing more is sent until it does.")
                worker.wait_for("The run is followed again then.")
            finally:
                server.start()
            worker.wait_for("Moved to")
            worker.wait_for("UTC has ended")
            said = worker.said
            assert worker.end() == 0
    team.close()
    assert not list(inbox.glob("*.csv"))
    assert not (tmp_path / "attention").exists()
    assert len(list((tmp_path / "done").rglob("a.csv"))) == 1
    told = [line for line in said.splitlines() if "Nightly job:" not in line]
    lost, again = (
        [number for number, line in enumerate(told) if words in line] for words in ("does not answer", "answers again")
    )
    handed_back = [number for number, line in enumerate(told) if "handed back" in line]
    assert len(lost) == len(again) > 0  # it may be lost once more while it starts
    assert all(number > lost[0] for number in handed_back)
    assert "Nightly job: followed" not in said


@pytest.mark.parametrize("by", ["SIGTERM", "Ctrl-C"])
def test_a_worker_that_is_stopped_while_its_night_sends_leaves_the_run_to_the_next_one(
    address: str, team: TeamDatabase, tmp_path: Path, by: str
) -> None:
    """It ends at once although it is the only one; another one does the night to its end, each row once."""
    inbox = inbox_with(tmp_path, 100)
    with sandbox("--latency-ms", "20", answers=40) as api:
        more = f"nightly: {{inbox: '{inbox}'}}\n"
        host = Host(
            tmp_path / "host", api.url, address, more=more, sending="{rate_per_s: 40, drain_s: 100}",
            timeout_s=PATIENT_S,
        )  # fmt: skip
        scheduled(host)
        with hosts(host):
            first = host.work(quick=False)
            until(lambda: len(api.requests()) > 20)
            if by == "Ctrl-C":
                first.interrupt()
            else:
                first.process.send_signal(signal.SIGTERM)
            wait_until_handing_back(host.folder)
            api.release()
            assert first.ended() == 0  # it would wait for a worker as long as there is none
            assert "The workers of the team continue with the run." in first.said
            assert (inbox / "a.csv").exists()
            assert len(api.requests()) < 100
            second = host.work(quick=False)
            second.wait_for("Moved to")
            second.wait_for("UTC has ended")
            assert second.end() == 0
        rows = [request["path"] for request in api.requests() if request["method"] == "PUT"]
    assert sorted(rows) == sorted(f"/api/v2/opportunities/{number}" for number in range(1, 101))
    assert len(list((tmp_path / "done").rglob("a.csv"))) == 1
    with team.connected() as connection:
        assert connection.execute("SELECT part, stop FROM runs").fetchall() == [(1, None)]


def test_a_second_signal_to_the_worker_ends_its_night_at_once(address: str, team: TeamDatabase, tmp_path: Path) -> None:
    """Although it waits for a recipient that does not answer."""
    del team
    inbox = inbox_with(tmp_path, 200)
    with sandbox("--latency-ms", "20") as api, create_server(("127.0.0.1", 0)) as silent:
        more = f"nightly: {{inbox: '{inbox}', notify: ['json://127.0.0.1:{silent.getsockname()[1]}/told']}}\n"
        host = scheduled(Host(tmp_path / "host", api.url, address, more=more, sending="{rate_per_s: 40}"))
        with hosts(host):
            worker = host.work(quick=False)
            until(lambda: len(api.requests()) > 20)
            worker.process.send_signal(signal.SIGTERM)
            with silent.accept()[0]:
                worker.process.send_signal(signal.SIGTERM)
                assert worker.ended() == 0
    assert "Nightly job: batch-updater: interrupted." in worker.said


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_night_that_is_ended_without_a_person_leaves_its_run_to_the_workers(
    address: str, team: TeamDatabase, tmp_path: Path, number: signal.Signals
) -> None:
    """Even before its turn: the file stays in the inbox, and the next night follows the run to its end."""
    inbox = inbox_with(tmp_path, 10)
    with sandbox() as api:
        host = Host(tmp_path / "host", api.url, address, more=f"nightly: {{inbox: '{inbox}'}}\n")
        process = host.start("nightly", "--json")
        with team.connected() as connection:
            until(lambda: connection.execute("SELECT state FROM runs").fetchall() == [("queued",)])
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, json.loads(out)["stopped"]) == (3, "interrupted"), err
        assert "The workers of the team continue with the run." in json.loads(out)["files"][0]["note"]
        following = host.start("nightly", "--json")
        with hosts(host):
            host.work(quick=False)
            out, err = following.communicate(timeout=120)
        assert [file["disposition"] for file in json.loads(out)["files"]] == ["done"], err
        assert len([request for request in api.requests() if request["method"] == "PUT"]) == 10


def test_a_file_whose_run_ended_after_its_night_is_moved_with_its_workbook(
    address: str, team: TeamDatabase, tmp_path: Path
) -> None:
    """Only the database has the workbook: the workers of another host have finished the run meanwhile."""
    inbox = inbox_with(tmp_path, 10)
    with sandbox() as api:
        more = f"nightly: {{inbox: '{inbox}'}}\n"
        one, other = (Host(tmp_path / name, api.url, address, more=more) for name in ("one", "other"))
        process = one.start("nightly", "--json")
        with team.connected() as connection:
            until(lambda: connection.execute("SELECT state FROM runs").fetchall() == [("queued",)])
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=120)
            assert [file["disposition"] for file in json.loads(out)["files"]] == ["left"], err
            with hosts(other):
                other.work(quick=False)
                until(lambda: connection.execute("SELECT state FROM runs").fetchall() == [("ended",)])
        (file,) = night(one)["files"]
    assert file["disposition"] == "done"
    (workbook,) = (tmp_path / "done").rglob("a-results-*.xlsx")
    assert file["results"] == str(workbook)
    assert len(list((tmp_path / "done").rglob("a.csv"))) == 1


def test_a_worker_with_a_schedule_needs_an_inbox(address: str, team: TeamDatabase, tmp_path: Path) -> None:
    """It is refused at its start, and doctor names it."""
    del team
    with sandbox() as api:
        for number, (more, said) in enumerate([
            ("", "does not say where the files of the nightly job lie"), ("nightly: {inbox: away}\n", "is not there"),
        ]):  # fmt: skip
            host = scheduled(Host(tmp_path / str(number), api.url, address, more=more))
            code, _, err = host.run("worker")
            assert (code, said in err) == (2, True), err
            _, out, _ = host.run("doctor", "--json")
            (finding,) = (one for one in json.loads(out)["checks"] if one["check"] == "team nightly")
            assert (finding["status"], said in finding["message"]) == ("wrong", True)


def test_doctor_says_when_the_next_night_begins_and_how_the_last_one_ended(
    address: str, team: TeamDatabase, tmp_path: Path
) -> None:
    """The log of the worker does, too."""
    said: list[str] = []
    command = program(tmp_path, "print('Something is wrong.', file=sys.stderr)\nsys.exit(2)")
    worked(app_of(team, command, said=said), holds=lambda: status(team)[:1] == [("failed", 1, None)])
    with team.connected() as connection:
        night = last_night(connection)
    assert night is not None
    assert (night.host, night.exit_code, night.reason) == (machine_name(), 2, "Something is wrong.")
    assert said[0].endswith("UTC begins.")
    assert said[1] == "Nightly job: Something is wrong."
    assert f"UTC has failed on {machine_name()} after " in said[2]
    assert said[2].endswith("exit code 2: Something is wrong.")
    (tmp_path / "inbox").mkdir()
    with sandbox() as api:
        host = scheduled(Host(tmp_path / "host", api.url, address, more=f"nightly: {{inbox: '{tmp_path}/inbox'}}\n"))
        _, out, _ = host.run("doctor", "--json")
        assert f" last nightly job ended on {machine_name()} on " in host.run("doctor")[1]
    findings = {one["check"]: one for one in json.loads(out)["checks"]}
    assert " UTC (" in findings["team nightly"]["message"]
    assert findings["last nightly job"]["status"] == "warning"
    assert f"ended on {machine_name()} on " in findings["last nightly job"]["message"]
    assert findings["last nightly job"]["message"].endswith("exit code 2: Something is wrong.")
