"""What a person sees of a run that the workers of a team send: on the command line, with real workers."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import psycopg
import pytest

from batch_updater.config.environment import machine_name
from batch_updater.runs.team_database import TeamDatabase
from tests.end_to_end.program import TOKEN, Sandbox, sandbox
from tests.team.command_host import ENDS_WITHIN_S, CommandHost, ended
from tests.team.hosts import hosts, until
from tests.team.postgres import PostgresServer

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]
DIFFERENT = frozenset({"run", "results", "started_at", "finished_at", "elapsed_s", "rate_per_s", "next", "requests"})
"""What of the JSON object is another one in every run."""
SENDING = "{rate_per_s: 2000, attempts: 3, concurrency: 4}"


@contextmanager
def two_hosts(
    folder: Path, address: str, *options: str, sending: str = SENDING, more: str = ""
) -> Iterator[tuple[CommandHost, CommandHost, Sandbox]]:
    """Give a host of a person and one with a worker, which share a database and nothing else, and their API."""
    with sandbox(*options) as api:
        desk, server = (CommandHost(folder / name, api.url, address, sending, more) for name in ("desk", "server"))
        yield desk, server, api


def sent(api: Sandbox) -> Counter[str]:
    """Return how often each record was sent."""
    return Counter(request["path"] for request in api.requests() if request["method"] == "PUT")


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Wait until a command has said something; returns all that it has said since it was last read."""
    said = ""
    while text not in said:
        assert process.stderr
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def read_to_end(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a command of which something was read; returns what it has said since."""
    assert process.stderr
    said = process.stderr.read()  # and not `communicate`, which leaves out what has been read ahead
    process.communicate(timeout=ENDS_WITHIN_S)
    return said


def run_names(host: CommandHost) -> list[object]:
    return [name for (name,) in host.rows("SELECT name FROM runs ORDER BY id")]


def row_in_flight(host: CommandHost) -> object:
    """Return the number of a row that is in flight, as soon as there is one."""
    found: list[object] = []

    def is_found() -> bool:
        found.extend(number for (number,) in host.rows("SELECT number FROM rows WHERE state = 'in_flight' LIMIT 1"))
        return bool(found)

    until(is_found)
    return found[0]


def test_a_run_of_a_team_ends_as_one_without_a_team(tmp_path: Path, address: str) -> None:
    """Exit code, JSON object and workbook are the same, on a host that has sent nothing itself."""
    with two_hosts(tmp_path, address) as (desk, server, api), sandbox() as other:
        alone = CommandHost(tmp_path / "alone", other.url, "", SENDING)
        for host in (desk, alone):
            host.file("c.csv", 50)
            with (host.folder / "c.csv").open("a") as file:
                file.write("none,Pre,x\n999999,Pre,no such record\n")
        with server.worker():
            done, expected = desk("run", "c.csv", "--json"), alone("run", "c.csv", "--json")
        assert (done.code, expected.code) == (1, 1)
        assert done.outcomes == {"updated": 50, "rejected": 1, "invalid": 1}
        told, other_told = done.object, expected.object
        assert {key: told[key] for key in told.keys() - DIFFERENT} == {
            key: other_told[key] for key in other_told.keys() - DIFFERENT
        }
        assert told["requests"] == other_told["requests"] == 51
        assert told["next"]["kind"] == other_told["next"]["kind"]
        folder = Path(told["run"])
        assert folder.parent == desk.folder / "runs"
        assert {path.name for path in folder.iterdir()} == {"input.csv", "report.html", Path(told["results"]).name}
        assert set(sent(api).values()) == {1}
    books = [openpyxl.load_workbook(told[key]) for told, key in ((told, "results"), (other_told, "results"))]
    to_fix = [[[cell.value for cell in row] for row in book["To fix"]] for book in books]
    assert to_fix[0] == to_fix[1]


def test_text_tells_the_same_as_without_a_team(tmp_path: Path, address: str) -> None:
    """The lines of the result and the next step are the same but for names and times."""
    with two_hosts(tmp_path, address) as (desk, server, _), sandbox() as other:
        alone = CommandHost(tmp_path / "alone", other.url, "", SENDING)
        texts = []
        with server.worker():
            for host in (desk, alone):
                host.file("c.csv", 30)
                with (host.folder / "c.csv").open("a") as file:
                    file.write("none,Pre,x\n")
                done = host("run", "c.csv")
                assert done.code == 1
                texts.append(re.sub(r"\d{8}-\d{6}", "DATE", done.out))
        assert texts[0] == texts[1]


def test_detached_runs_are_followed_later(tmp_path: Path, address: str) -> None:
    """--detach prints the name of the run and exits 0; runs --follow shows how it ends, on any host."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        desk.file("c.csv", 30)
        done = desk("run", "c.csv", "--detach")
        (name,) = run_names(desk)
        assert (done.code, done.out) == (0, f"{name}\n")
        assert f"runs --follow {name}" in done.err
        assert "No worker of the team is running" in " ".join(done.err.split())
        assert "The run waits in the queue. To follow it:" in done.err
        with server.worker():
            followed = desk("runs", "--follow", str(name), "--json", "--results", "out.xlsx")
            assert (followed.code, followed.outcomes) == (0, {"updated": 30})
            assert followed.object["command"] == "run"
            assert followed.object["results"] == str(desk.folder / "out.xlsx")
            again = server("runs", "--follow", str(name), "--json")
            assert (again.code, again.outcomes) == (0, {"updated": 30})
            assert Path(again.object["results"]).parent == server.folder / "runs" / str(name)
        told = desk("run", "c.csv", "--detach", "--json").object
        assert (told["command"], told["exit_code"]) == ("run --detach", 0)


def test_following_and_detaching_are_for_teams(tmp_path: Path) -> None:
    """Without a team both are a usage error, and nothing is sent."""
    with sandbox() as api:
        alone = CommandHost(tmp_path, api.url, "")
        alone.file("c.csv", 3)
        for arguments in (("run", "c.csv", "--detach"), ("runs", "--follow", "x")):
            done = alone(*arguments)
            assert done.code == 2
            assert "team.database" in done.err
        assert not api.received


def test_the_same_content_is_sent_once(tmp_path: Path, address: str) -> None:
    """What is submitted by two processes at the same moment, or is being sent, is one run that both follow."""
    with two_hosts(tmp_path, address, "--latency-ms", "20") as (desk, server, api):
        for host in (desk, server):
            host.file("c.csv", 60)
        processes = [host.start("run", "c.csv", "--json") for host in (desk, server, desk)]
        for process in processes:
            read_until(process, "No worker of the team is running")  # it follows the run now
        until(lambda: len(run_names(desk)) == 1 and desk.rows("SELECT state FROM runs") == [("queued",)])
        with server.worker():
            ends = [ended(process) for process in processes]
        assert [done.code for done in ends] == [0, 0, 0], [done.err for done in ends]
        assert {Path(done.object["run"]).name for done in ends} == {run_names(desk)[0]}
        assert all(done.outcomes == {"updated": 60} for done in ends)
        assert set(sent(api).values()) == {1}


def test_a_stopped_run_is_resumed_as_a_further_part(tmp_path: Path, address: str) -> None:
    """Without a terminal the first signal stops the run cleanly: exit code 3; the same file then sends the rest."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api), server.worker():
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv", "--json")
        api.wait_for(20)
        with api.slow():
            process.send_signal(signal.SIGTERM)
            done = ended(process)
        assert (done.code, done.object["stopped"]) == (3, "interrupted"), done.err
        assert "Stopping: " in done.err
        confirmed = done.outcomes["updated"]
        assert 0 < confirmed < 200
        again = desk("run", "c.csv", "--json", "--yes")
        assert (again.code, again.outcomes) == (0, {"updated": 200}), again.err
        assert again.object["run"] == done.object["run"]
        assert again.object["requests"] == 200 - confirmed
        assert len(run_names(desk)) == 1
        assert set(sent(api).values()) == {1}
        assert any("resumed" in note for note in again.object["notes"])


def test_a_run_that_is_stopped_without_a_worker_is_not_waited_for(tmp_path: Path, address: str) -> None:
    """The command ends with exit code 3, and the next worker ends the run."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api):
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv", "--json")
        with server.worker():
            api.wait_for(20)
        process.send_signal(signal.SIGTERM)
        done = ended(process)
        (name,) = run_names(desk)
        error = json.loads(done.out)["error"]
        assert done.code == 3, done.err
        assert f"No worker for the API of the run {name} is running." in error["message"]
        assert f"runs --follow {name}" in error["remedy"]
        confirmed = len(sent(api))
        with server.worker():
            followed = desk("runs", "--follow", str(name), "--json")
        assert (followed.code, followed.object["stopped"]) == (3, "interrupted"), followed.err
        assert followed.outcomes["updated"] == confirmed < 200 == sum(followed.outcomes.values())


def test_a_stopped_run_is_waited_for_while_its_worker_restarts(tmp_path: Path, address: str) -> None:
    """The command looks several times before it believes that there is none, and then shows the end of the run."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api):
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv")
        with server.worker():
            api.wait_for(20)
        read_until(process, "No worker of the team is running")
        process.send_signal(signal.SIGINT)
        said = read_until(process, "Stopping:")
        stopped_s = time.monotonic()
        until(lambda: time.monotonic() > stopped_s + 2.5)  # in which it has looked for a worker twice
        register = "INSERT INTO workers SELECT procrastinate_register_worker_v1(), 'server', %s RETURNING 1"
        desk.rows(register, api.url)  # as the restarted one does before it takes the jobs of the one before it
        with server.worker():
            said += read_to_end(process)
        assert (process.returncode, "No worker for the API of the run" in said) == (3, False), said
        assert desk.rows("SELECT state FROM runs") == [("ended",)]


def test_a_run_tells_of_the_circuit_breaker_of_its_own_account(tmp_path: Path, address: str) -> None:
    """Not of those of other accounts of the API. So does a command that only follows or joins it."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api):
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv", "--json")
        with server.worker():
            api.wait_for(20)
        (name,) = run_names(desk)
        processes = [process, desk.start("runs", "--follow", str(name)), desk.start("run", "c.csv", "--json")]
        desk.rows(
            "INSERT INTO quotas (origin, account, opened_at, deadline, why) SELECT origin, account || n, 1,"
            " extract(epoch FROM now()) + 100, 'of others' FROM quotas, generate_series(1, 20) AS n RETURNING 1"
        )
        desk.rows(
            "UPDATE quotas SET opened_at = 1, deadline = extract(epoch FROM now()) + 100, why = 'of its own'"
            " WHERE why IS NULL RETURNING 1"
        )
        said = [read_until(process, "of its own") for process in processes]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        said += [ended(process).err for process in processes]
        assert "of others" not in "".join(said)


def test_a_run_that_is_stopped_in_the_queue_was_never_there(tmp_path: Path, address: str) -> None:
    """Before its turn nothing is sent, and neither a folder nor a name is left."""
    with two_hosts(tmp_path, address) as (desk, server, api):
        desk.file("c.csv", 5)
        process = desk.start("run", "c.csv", "--json")
        desk.wait_for("SELECT count(*) = 1 FROM runs WHERE state = 'queued'")
        process.send_signal(signal.SIGINT)
        done = ended(process)
        assert done.code == 3
        assert "Nothing was sent" in json.loads(done.out)["error"]["message"]
        assert not run_names(desk)
        assert not list((desk.folder / "runs").iterdir())
        assert desk.rows("SELECT count(*) FROM procrastinate_jobs") == [(0,)]
        with server.worker() as worker:
            desk.file("d.csv", 1, first=7)
            assert desk("run", "d.csv").code == 0
            assert "-c begins" not in worker.said
        assert len(sent(api)) == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_follower_and_not_the_run(tmp_path: Path, address: str, number: signal.Signals) -> None:
    """Without a terminal, `runs --follow` ends with exit code 0 and says that the run goes on."""
    with two_hosts(tmp_path, address, "--latency-ms", "100") as (desk, server, api):
        desk.file("c.csv", 120)
        run = desk("run", "c.csv", "--detach").out.strip()
        process = desk.start("runs", "--follow", run)
        assert process.stderr
        assert "No worker of the team is running" in process.stderr.readline()  # it follows the run now
        with server.worker():
            api.wait_for(20)
            with api.slow():
                process.send_signal(number)
                done = ended(process)
            assert (done.code, done.out) == (0, f"{run}\n"), done.err
            assert "The run continues." in done.err
            followed = desk("runs", "--follow", run, "--json")
            assert (followed.code, followed.outcomes) == (0, {"updated": 120})


def test_a_closed_terminal_does_not_stop_the_run(tmp_path: Path, address: str) -> None:
    """SIGHUP at `run` detaches, and says how far the run was."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api), server.worker():
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv")
        api.wait_for(60)
        with api.slow():
            process.send_signal(signal.SIGHUP)
            done = ended(process)
        assert done.code == 0, done.err
        assert re.search(r"So far: \d+ updated\. The run continues\.", " ".join(done.err.split())), done.err
        followed = desk("runs", "--follow", done.out.strip(), "--json")
        assert (followed.code, followed.outcomes) == (0, {"updated": 200})


def test_a_run_that_waits_can_be_closed(tmp_path: Path, address: str) -> None:
    """`runs --close` takes it from the queue: nothing of it is sent, and the same file begins again."""
    with two_hosts(tmp_path, address) as (desk, server, api):
        desk.file("c.csv", 5)
        run = desk("run", "c.csv", "--detach").out.strip()
        closed = server("runs", "--close", run, "--yes")
        assert closed.code == 0, closed.err
        assert "Closed on" in closed.out
        assert "cut off" not in closed.out
        assert desk.rows("SELECT count(*) FROM procrastinate_jobs") == [(0,)]
        followed = desk("runs", "--follow", run, "--json")
        assert (followed.code, followed.outcomes) == (3, {"not_sent": 5}), followed.err
        assert "No worker" not in followed.err
        with server.worker():
            assert desk("run", "c.csv", "--json").outcomes == {"updated": 5}
        assert set(sent(api).values()) == {1}
        assert len(run_names(desk)) == 2


def test_a_further_part_that_waits_can_be_closed(tmp_path: Path, address: str) -> None:
    """What the part before has sent stays, and the rest counts as not sent."""
    with two_hosts(tmp_path, address) as (desk, server, api):
        desk.file("c.csv", 9)
        with server.worker():
            assert desk("run", "c.csv", "--limit", "4").code == 3
        run = desk("run", "c.csv", "--detach").out.strip()
        assert desk("runs", "--close", run, "--yes").code == 0
        followed = server("runs", "--follow", run, "--json")
        assert (followed.code, followed.outcomes) == (3, {"updated": 4, "not_sent": 5}), followed.err
        assert len(sent(api)) == 4


def test_a_run_that_is_being_sent_is_neither_closed_nor_reported(tmp_path: Path, address: str) -> None:
    """Exit code 4 says how to stop it, or to wait for it; the list calls rows in flight so."""
    with two_hosts(tmp_path, address, "--latency-ms", "300") as (desk, server, api), server.worker():
        desk.file("c.csv", 2000)
        run = desk("run", "c.csv", "--detach").out.strip()
        api.wait_for(8)
        for arguments in (("runs", "--close", run, "--yes"), ("report", run)):
            done = desk(*arguments)
            assert done.code == 4, done.err
            assert f"runs --follow {run}" in " ".join(done.err.split())
        until(lambda: "in flight or unconfirmed" in desk("runs").out)  # between two blocks there may be none
        assert "The run ended" not in desk("report", run, "--row", str(row_in_flight(desk))).out
        api.wait_for(len(api.received) + 20)  # it goes on


def test_a_run_of_another_host_is_run_again_there(tmp_path: Path, address: str) -> None:
    """The next step names the host that has the file, and no path that is none here."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        file = desk.file("nine.csv", 9)
        with server.worker():
            run = json.loads(desk("run", "nine.csv", "--limit", "4", "--json").out)["run"]
        file.unlink()
        told = " ".join(server("report", Path(run).name).out.split())
        assert "on the machine that has the file, or here with a copy of it: batch-updater run nine.csv" in told, told
        desk.rows(
            "UPDATE run SET value = replace(value, %s, 'workstation-7') WHERE name = 'settings' RETURNING 1",
            machine_name(),
        )
        done = server("report", Path(run).name)
        told = " ".join(done.out.split())
        assert "on workstation-7, which has the file, or here with a copy of it" in told, told
        assert "batch-updater run nine.csv" in told
        assert str(desk.folder) not in told


def test_an_attempt_of_a_killed_worker_is_among_those_of_its_row(tmp_path: Path, address: str) -> None:
    """The row tells that it was perhaps sent, and how it ended with the worker that took it over."""
    with two_hosts(tmp_path, address) as (desk, server, api), hosts(server):
        desk.file("c.csv", 1, text="fault:hang:1")  # it has no answer as long as its first worker lives
        run = desk("run", "c.csv", "--detach").out.strip()
        worker = server.work(1, quick=False)
        api.wait_for(1)
        worker.kill()
        server.work(1)
        assert desk("runs", "--follow", run).code == 0
        ((row,), *_) = desk.rows("SELECT \"row\" FROM attempts WHERE why = 'ended while in flight'")
        told = " ".join(desk("report", run, "--row", str(row)).out.split())
        assert "1. perhaps sent, then its worker was gone 2. PUT" in told, told
        assert TOKEN not in told


def test_a_limit_and_what_is_left_of_it(tmp_path: Path, address: str) -> None:
    """--limit sends the first rows, says so, and the next run the rest."""
    with two_hosts(tmp_path, address) as (desk, server, api), server.worker():
        desk.file("c.csv", 50)
        first = desk("run", "c.csv", "--limit", "7", "--json")
        assert (first.code, first.object["stopped"], first.outcomes) == (3, "limit", {"updated": 7, "not_sent": 43})
        assert desk("run", "c.csv", "--json").outcomes == {"updated": 50}
        assert set(sent(api).values()) == {1}


def test_a_run_waits_for_the_one_before_it(tmp_path: Path, address: str) -> None:
    """While another run is sent to the API, it is said which, and of which host."""
    with two_hosts(tmp_path, address, "--latency-ms", "100") as (desk, server, api), server.worker():
        desk.file("first.csv", 2000)
        desk.file("second.csv", 10, first=5000)
        first = desk.start("run", "first.csv", "--json")
        api.wait_for(8)
        second = desk.start("run", "second.csv")
        assert second.stderr
        told = ""
        while not re.search(r"Waiting for the run \d{8}-\d{6}-first of \S+ to end\.", told):
            line = second.stderr.readline()
            assert line, told
            told = " ".join([*told.split(), *line.split()])
        first.send_signal(signal.SIGTERM)
        assert ended(first).code == 3
        assert ended(second).code == 0


def test_only_runs_of_this_machine_are_fixed_without_a_name(tmp_path: Path, address: str) -> None:
    """What was repaired of another machine's is not known here, but its workbook can be named."""
    with two_hosts(tmp_path, address) as (desk, server, _), server.worker():
        desk.file("c.csv", 2)
        with (desk.folder / "c.csv").open("a") as file:
            file.write("none,Pre,x\n")
        assert desk("run", "c.csv").code == 1
        own = machine_name()
        for before, now, code in ((own, "workstation-7", 2), ("workstation-7", own, 1)):
            desk.rows("UPDATE run SET value = replace(value, %s, %s) WHERE name = 'settings' RETURNING 1", before, now)
            done = desk("run", "--fix")
            assert done.code == code, done.err
            assert ("No results workbook of this machine" in done.err) == (code == 2)


def test_without_a_worker_it_is_said_what_to_do(tmp_path: Path, address: str) -> None:
    """A run that waits for a worker says so, and is sent as soon as there is one."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        desk.file("c.csv", 5)
        process = desk.start("run", "c.csv")
        assert "No worker of the team is running" in read_until(process, "batch-updater worker")
        with server.worker():
            assert ended(process).code == 0


def test_a_restart_of_the_database_is_survived(tmp_path: Path, address: str, server: PostgresServer) -> None:
    """Who follows a run follows it further after PostgreSQL has been restarted."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, host, api), hosts(host):
        host.work(1)
        desk.file("c.csv", 200)
        process = desk.start("run", "c.csv", "--json")
        api.wait_for(20)
        server.restart()
        done = ended(process)
        assert (done.code, done.outcomes) == (0, {"updated": 200}), done.err


def test_workers_have_time_to_come_back_after_an_outage(tmp_path: Path, address: str, server: PostgresServer) -> None:
    """Only after that it is said that there is none; a stop that has failed says that the run will go on."""
    with two_hosts(tmp_path, address) as (desk, host, api):
        desk.file("c.csv", 20)
        followers = [desk.start("run", "c.csv"), desk.start("run", "c.csv")]
        for follower in followers:
            read_until(follower, "batch-updater worker")
        desk.rows("INSERT INTO workers SELECT procrastinate_register_worker_v1(), 'host', %s RETURNING 1", api.url)
        desk.rows(
            "UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() - interval '25 s' RETURNING 1"
        )  # and is seen for 5 s
        desk.wait_for("SELECT last_heartbeat < clock_timestamp() - interval '28 s' FROM procrastinate_workers")
        server.stop("immediate")
        last_seen_s = time.monotonic()
        try:
            for follower in followers:
                read_until(follower, "followed again then")
            followers[1].send_signal(signal.SIGINT)
            refused = ended(followers[1])
            until(lambda: time.monotonic() > last_seen_s + 3)
        finally:
            server.start()
        read_until(followers[0], "answers again")
        with host.worker():
            said = read_to_end(followers[0])
    assert (followers[0].returncode, "No worker" in said) == (0, False), said
    assert refused.code == 3
    assert "could not be stopped: the workers continue with it once the " in " ".join(refused.err.split())


def test_a_database_that_does_not_answer_sends_nothing(tmp_path: Path, closed_port: int) -> None:
    """The exit code is 2, with a sentence that names no secret."""
    with sandbox() as api:
        host = CommandHost(tmp_path, api.url, f"postgresql://postgres:secret-of-the-database@127.0.0.1:{closed_port}/x")
        host.file("c.csv", 3)
        done = host("run", "c.csv", "--json")
        assert done.code == 2
        assert "Connection refused" in json.loads(done.out)["error"]["message"]
        assert not api.received


def test_a_role_without_its_rights_is_told(tmp_path: Path, address: str) -> None:
    """Not as a database that does not answer: with PostgreSQL's reason and what to do about it."""
    with psycopg.connect(address) as connection:
        connection.execute(
            "CREATE ROLE clerk LOGIN PASSWORD 'secret-of-the-database';"
            "GRANT USAGE ON SCHEMA batch_updater TO clerk;"
            "GRANT ALL ON ALL TABLES IN SCHEMA batch_updater TO clerk;"
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA batch_updater TO clerk;"
            "REVOKE INSERT ON batch_updater.rows FROM clerk"
        )
    with sandbox() as api:
        clerk = CommandHost(tmp_path, api.url, address.replace("//postgres:", "//clerk:"))
        clerk.file("c.csv", 3)
        done = clerk("run", "c.csv", "--json")
        assert done.code == 2
        error = done.object["error"]
        assert "permission denied for table rows. Nothing was sent." in error["message"]
        assert "roles.sql" in error["remedy"]
        assert not api.received


def test_a_guard_holds_before_anything_is_queued(tmp_path: Path, address: str) -> None:
    """A file over a guard is refused with exit code 2; no name stays reserved."""
    with two_hosts(tmp_path, address, more="guards: {rows: 10}\n") as (desk, _, api):
        desk.file("c.csv", 11)
        done = desk("run", "c.csv", "--json")
        assert done.code == 2
        assert "guards.rows" in done.out
        assert not run_names(desk)
        assert not list((desk.folder / "runs").iterdir())
        assert not api.received


def test_changes_are_judged_before_a_run_is_queued(tmp_path: Path, address: str) -> None:
    """A guard on changes reads every record first, and refuses the run; within it the readings count as requests."""
    with two_hosts(tmp_path, address, sending="{rate_per_s: 2000, compare: true}", more="guards: {changed: 10}\n") as (
        desk, server, _,
    ), server.worker():  # fmt: skip
        desk.file("many.csv", 11)
        desk.file("few.csv", 9)
        refused = desk("run", "many.csv", "--json")
        assert refused.code == 2
        assert "guards.changed" in refused.out
        done = desk("run", "few.csv", "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 9}), done.err
        assert done.object["requests"] == 27  # read to judge, read right before the update, updated


def test_a_check_asks_no_worker(tmp_path: Path, address: str) -> None:
    """It judges the rows on this host alone."""
    with two_hosts(tmp_path, address) as (desk, _, api):
        desk.file("c.csv", 5)
        done = desk("check", "c.csv", "--json")
        assert (done.code, done.outcomes) == (0, {"planned": 5})
        assert not run_names(desk)
        assert not api.received


def write_workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data", 0)
    sheet.append(["Id", "Type", "OpportunityName"])
    sheet.append([5, "Pre", "x"])
    book.save(path)


def test_an_annotated_copy_comes_from_any_host(tmp_path: Path, address: str) -> None:
    """With --annotate the host that reports marks the copy of the input that is in the database."""
    with two_hosts(tmp_path, address) as (desk, server, _), server.worker():
        write_workbook(desk.folder / "c.xlsx")
        done = desk("run", "c.xlsx", "--annotate")
        assert done.code == 0, done.err
        assert "Annotated: " in done.out
        (copy,) = (desk.folder / "runs").glob("*/c-annotated.xlsx")
        assert openpyxl.load_workbook(copy)["Data"].max_column > 3


def test_a_worker_whose_folder_of_results_cannot_be_made_reports_all_the_same(tmp_path: Path, address: str) -> None:
    """The input is fetched for an annotated copy alone, and into a temporary folder."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        (server.folder / "file").write_text("no folder", encoding="utf-8")
        config = server.folder / "config.yaml"
        config.write_text(f"{config.read_text()}results: {{folder: file/runs}}\n", encoding="utf-8")
        with server.worker():
            write_workbook(desk.folder / "c.xlsx")
            done = desk("run", "c.xlsx", "--annotate", "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 1}), done.err
        assert Path(done.object["results"]).is_file()
        assert list((desk.folder / "runs").glob("*/c-annotated.xlsx"))


def test_no_copy_of_the_input_is_left_on_a_worker(tmp_path: Path, address: str) -> None:
    """Its folder of the run has the log of what it has sent, and nothing else."""
    with two_hosts(tmp_path, address) as (desk, server, _), server.worker():
        write_workbook(desk.folder / "c.xlsx")
        for options in ([], ["--annotate", "--restart"]):
            done = desk("run", "c.xlsx", "--yes", *options)
            assert done.code == 0, done.err
        names = {path.name for path in (server.folder / "runs").glob("*/*")}
        assert names == {"run.log"}


def test_old_runs_are_removed_by_the_settings_of_who_submits(tmp_path: Path, address: str) -> None:
    """A worker that keeps runs for a shorter time removes none, but the files that it has of those that are gone."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        config = server.folder / "config.yaml"
        config.write_text(f"{config.read_text()}results: {{keep_days: 1}}\n", encoding="utf-8")
        write_workbook(desk.folder / "c.xlsx")
        with server.worker():
            assert desk("run", "c.xlsx", "--json").code == 0
            (name,) = run_names(desk)
            old = "20260101-000000-c"
            desk.rows("UPDATE runs SET name = %s RETURNING id", old)
            desk.rows(
                "UPDATE parts SET started_at = started_at - 30 * 86400, ended_at = ended_at - 30 * 86400 RETURNING run"
            )
            (server.folder / "runs" / str(name)).rename(server.folder / "runs" / old)
            desk.file("d.csv", 1)
            assert "removed" not in desk("run", "d.csv").err
            assert old in run_names(desk)
            config = desk.folder / "config.yaml"
            config.write_text(f"{config.read_text()}results: {{keep_days: 20}}\n", encoding="utf-8")
            desk.file("e.csv", 2)
            done = desk("run", "e.csv")
            assert done.code == 0
            assert f"Removed, as results.keep_days says: 1 old run ({old})." in done.out + done.err
            assert old not in run_names(desk)
            desk.file("f.csv", 3)  # by its report at the latest
            assert desk("run", "f.csv").code == 0
            assert not (server.folder / "runs" / old).exists()


def test_a_command_that_does_not_wait_for_its_run_removes_old_ones(tmp_path: Path, address: str) -> None:
    """By results.keep_days of its host, as one that follows the run to its end."""
    with two_hosts(tmp_path, address) as (desk, server, _):
        desk.file("c.csv", 1)
        with server.worker():
            assert desk("run", "c.csv").code == 0
        old = "20260101-000000-c"
        desk.rows("UPDATE runs SET name = %s RETURNING id", old)
        desk.rows(
            "UPDATE parts SET started_at = started_at - 30 * 86400, ended_at = ended_at - 30 * 86400 RETURNING run"
        )
        config = desk.folder / "config.yaml"
        config.write_text(f"{config.read_text()}results: {{keep_days: 20}}\n", encoding="utf-8")
        desk.file("d.csv", 2)
        done = desk("run", "d.csv", "--detach")
        assert (done.code, run_names(desk)) == (0, [done.out.strip()]), done.err


def test_an_input_of_more_than_64_mb_stays_on_its_host(tmp_path: Path, address: str) -> None:
    """The run is sent all the same, with a note that says where the copy of the input is."""
    with two_hosts(tmp_path, address) as (desk, server, _), server.worker():
        write_workbook(desk.folder / "c.xlsx")
        with zipfile.ZipFile(desk.folder / "c.xlsx", "a") as archive:
            archive.writestr("xl/media/large.bin", os.urandom(65 << 20))
        done = desk("run", "c.xlsx", "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 1}), done.err
        assert any("64 MB" in note for note in done.object["notes"])
        names = {name for (name,) in desk.rows("SELECT name FROM files")}
        assert not any(str(name).startswith("input") for name in names)
        assert (Path(done.object["run"]) / "input.xlsx").exists()


def test_names_that_were_reserved_long_ago_are_free_again(tmp_path: Path, address: str, team: TeamDatabase) -> None:
    """What a killed process has left of a run that was never queued goes after a day."""
    with two_hosts(tmp_path, address) as (desk, _, __):
        with team.connected() as connection:
            for name, age in (("old", "2 days"), ("new", "1 hour")):
                connection.execute(
                    "INSERT INTO runs (name, origin, submitted_at) VALUES (%s, 'x', clock_timestamp() - %s::interval)",
                    [name, age],
                )
        desk.file("c.csv", 3)
        assert desk("run", "c.csv", "--detach").code == 0
        assert {name for name in run_names(desk) if not re.match(r"\d{8}", str(name))} == {"new"}


# --- on a terminal ---


@contextmanager
def terminal(host: CommandHost, *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "batch_updater", *arguments], cwd=host.folder, stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True,
        env={**host.variables, "TERM": "xterm", "NO_COLOR": "1", "DISPLAY": "", "WAYLAND_DISPLAY": ""},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Terminal:
    """A program on a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], file: int) -> None:
        self.process = process
        self.shown = ""
        self._file = file

    def wait_for(self, text: str) -> None:
        """Wait until something is shown."""
        while text not in " ".join(self.shown.split()):
            if not self._read():
                pytest.fail(f"{text!r} is not shown:\n{self.shown}")

    def end(self) -> int:
        """Wait for the end of the program and return its exit code."""
        while self._read():
            pass
        return self.process.wait(ENDS_WITHIN_S)

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def _read(self) -> bool:
        if not select.select([self._file], [], [], ENDS_WITHIN_S)[0]:
            return False
        try:
            part = os.read(self._file, 65536)
        except OSError:  # the program has ended
            return False
        self.shown += part.decode("utf-8", "replace")
        return bool(part)


@pytest.mark.parametrize("answer", ["\n", None])
def test_ctrl_c_on_a_terminal_detaches(tmp_path: Path, address: str, answer: str | None) -> None:
    """A person may leave, by Enter or by a second Ctrl-C: the run goes on, and its name is printed."""
    with two_hosts(tmp_path, address, "--latency-ms", "50") as (desk, server, api), server.worker():
        desk.file("c.csv", 200)
        with terminal(desk, "run", "c.csv", "--yes") as shown:
            api.wait_for(10)
            with api.slow():
                shown.interrupt()
                shown.wait_for("Enter to detach:")
                if answer is None:
                    shown.interrupt()
                else:
                    shown.type(answer)
                assert shown.end() == 0
        (name,) = run_names(desk)
        assert f"runs --follow {name}" in shown.shown
        done = desk("runs", "--follow", str(name), "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 200})


def test_another_answer_to_the_question_asks_again(tmp_path: Path, address: str) -> None:
    """A word that is neither of the two answers changes nothing, at `runs --follow` as at `run`."""
    with two_hosts(tmp_path, address, "--latency-ms", "300") as (desk, server, api):
        desk.file("c.csv", 2000)
        run = desk("run", "c.csv", "--detach").out.strip()
        with terminal(desk, "runs", "--follow", run) as shown:
            shown.wait_for("No worker of the team is running")
            with server.worker():
                api.wait_for(8)
                shown.interrupt()
                shown.wait_for("Enter to detach:")
                shown.shown = ""
                shown.type("yes\n")
                shown.wait_for("Enter to detach:")
                shown.type("stop\n")
                assert shown.end() == 3
        assert "Stopped: You stopped the run." in shown.shown


def test_a_run_that_is_joined_shows_all_of_its_rows(tmp_path: Path, address: str) -> None:
    """The same file, run while the team sends it, is followed from where it is, and ends at 100%."""
    with two_hosts(tmp_path, address, "--latency-ms", "100") as (desk, server, api):
        desk.file("c.csv", 120)
        desk("run", "c.csv", "--detach")
        with server.worker():
            api.wait_for(20)
        assert desk.rows("SELECT state FROM runs") == [("sending",)]  # its blocks were handed back
        with terminal(desk, "run", "c.csv", "--yes") as shown:
            shown.wait_for("/120 [")
            with server.worker():
                assert shown.end() == 0
        assert "120/120" in shown.shown
        assert set(re.findall(r"\d+/(\d+) \[", shown.shown)) == {"120"}, shown.shown


def test_ctrl_c_on_a_terminal_stops_the_run(tmp_path: Path, address: str) -> None:
    """The other answer stops it for all workers within two seconds, and what was sent by then has its outcome."""
    sending = "{rate_per_s: 20, concurrency: 4}"
    with two_hosts(tmp_path, address, "--latency-ms", "50", sending=sending) as (desk, server, api), server.worker():
        desk.file("c.csv", 2000)
        with terminal(desk, "run", "c.csv", "--yes") as shown:
            api.wait_for(10)
            shown.interrupt()
            shown.wait_for("Enter to detach:")
            shown.type("stop\n")
            shown.wait_for("Stopping: ")
            before = len(api.requests())
            assert shown.end() == 3
        assert "Stopped: You stopped the run." in shown.shown
        (name,) = run_names(desk)
        told = desk("runs", "--follow", str(name)).out
        assert f"Stopped: A command on {machine_name()} stopped the run." in told
        assert len(api.requests()) <= before + 2 * 20
        assert desk.rows("SELECT count(*) FROM rows WHERE outcome = 'updated'") == [(len(sent(api)),)]


def test_a_row_that_was_left_in_flight_stays_doubtful_whatever_the_next_part_reads(
    tmp_path: Path, address: str
) -> None:
    """Of an imported run that was killed: that its next part reads each record first says nothing of what was sent."""
    with two_hosts(tmp_path, address) as (desk, server, _), server.worker():
        desk.file("c.csv", 5)
        assert desk("run", "c.csv").code == 0
        desk.rows("UPDATE rows SET state = 'in_flight', outcome = NULL WHERE number = 3 RETURNING 1")
        desk.rows("""UPDATE parts SET counts = '{"updated": 4, "unconfirmed": 1}' RETURNING 1""")
        done = desk("run", "c.csv", "--compare", "--json")
        assert done.code == 0, done.err
        assert desk.rows('SELECT why FROM attempts WHERE part = 1 AND "row" = 3') == [("ended while in flight",)]


def test_a_run_whose_rows_cannot_be_relied_on_ends_all_the_same(tmp_path: Path, address: str) -> None:
    """There is no report of it, and the person who waits is told why; the next run has its turn."""
    with two_hosts(tmp_path, address) as (desk, server, api):
        desk.file("c.csv", 5)
        run = desk("run", "c.csv", "--detach").out.strip()
        desk.rows("UPDATE rows SET cells = '{' WHERE number = 3 RETURNING 1")
        with server.worker():
            done = desk("runs", "--follow", run)
        assert done.code == 2, done.err
        assert "damaged" in done.err
        assert set(sent(api).values()) == {1}
        assert desk.rows("SELECT state FROM runs") == [("ended",)]


def test_a_run_whose_facts_cannot_be_relied_on_ends_before_its_first_row(tmp_path: Path, address: str) -> None:
    """It does not keep others of the same API waiting."""
    with two_hosts(tmp_path, address) as (desk, server, api):
        desk.file("c.csv", 5)
        desk("run", "c.csv", "--detach")
        desk.rows("UPDATE run SET value = '\"no endpoint\"' WHERE name = 'endpoint' RETURNING 1")
        with server.worker():
            desk.wait_for("SELECT state = 'ended' FROM runs")
        assert not sent(api)
