"""Nights: the real command line over a full inbox, with a mail server and a webhook that receive what is sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.end_to_end.program import DATABASE, Done, batch_updater, configure, environment, sandbox, worker
from tests.end_to_end.test_resume import make_older
from tests.nightly.receivers import mail_server, webhook
from tests.nightly.test_metrics import samples
from tests.team.hosts import wait_for_workers
from tests.torture.runs import ended, numbered, start, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox

_HOUR_S = 3600

pytestmark = pytest.mark.usefixtures("store")


def opportunities(path: Path, *rows: tuple[object, object, object], age_s: float = _HOUR_S) -> Path:
    write_rows(path, [dict(zip(("Id", "Type", "OpportunityName"), row, strict=True)) for row in rows])
    return aged(path, age_s)


def aged(path: Path, age_s: float = _HOUR_S) -> Path:
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def prepared(folder: Path, url: str, **nightly: str) -> Path:
    """Write the configuration of a night and make its inbox. Returns the inbox."""
    settings = json.dumps({"inbox": "inbox", "metrics": "night.prom", **nightly})
    configure(folder, url, f"sending: {{rate_per_s: 500, attempts: 4}}\nguards: {{cleared: 1}}\nnightly: {settings}\n")
    inbox = folder / "inbox"
    inbox.mkdir()
    return inbox


def names(folder: Path) -> set[str]:
    """Name the files in a folder of `done` or `attention`, all days together; times of workbooks are left out."""
    found = [path.name for path in folder.glob("*/*")]
    return {f"{name.partition('-results-')[0]}-results" if "-results-" in name else name for name in found}


@contextmanager
def being_written(path: Path) -> Iterator[None]:
    """Append to a file until the block ends."""
    over = threading.Event()

    def write() -> None:
        with path.open("w", encoding="utf-8") as stream:
            stream.write("Id,Type,OpportunityName\n")
            row = 0
            while not over.wait(0.05):
                row += 1
                stream.write(f"{row},Pre,still\n")
                stream.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def killed_run(folder: Path, inbox: Path, api: Sandbox) -> None:
    """Leave an unfinished run of `unfinished.csv` behind, as a machine that loses power does."""
    aged(numbered(inbox / "unfinished.csv", 40))
    running = start(folder, "run", "inbox/unfinished.csv", "--yes", BATCH_UPDATER_SENDING__RATE_PER_S="20")
    api.wait_for(5)
    running.kill()
    running.communicate()


def night(folder: Path, **variables: str) -> Done:
    return batch_updater("nightly", "--json", cwd=folder, **variables)


def by_name(done: Done) -> dict[str, str]:
    return {file["name"]: file["disposition"] for file in done.object["files"]}


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_night_with_everything_that_can_lie_in_an_inbox(tmp_path: Path) -> None:
    """Each file goes where it belongs, the others' trouble notwithstanding; each recipient gets one message."""
    with sandbox() as api, mail_server() as mail, webhook() as hook:
        inbox = prepared(tmp_path, api.url, health_check="env:PING_URL")
        opportunities(inbox / "repeated.csv", (300, "Pre", "once"))
        assert batch_updater("run", "inbox/repeated.csv", "--yes", cwd=tmp_path).code == 0
        killed_run(tmp_path, inbox, api)
        before = len(api.requests())
        opportunities(inbox / "good.csv", (101, "Pre", "a"), (102, "Pre", "fault:status-503:2 b"))
        opportunities(inbox / "bad.csv", (201, "Pre", "a"), (202, "Pxe", "b"), ("x", "Pre", "c"))
        opportunities(inbox / "guarded.csv", (401, "Pre", "#CLEAR"), (402, "Pre", "#CLEAR"))
        (inbox / "unreadable.xlsx").write_bytes(b"PK\x03\x04 cut off")
        aged(inbox / "unreadable.xlsx")
        with being_written(inbox / "growing.csv"):
            done = night(
                tmp_path,
                BATCH_UPDATER_NIGHTLY__NOTIFY="['env:MAIL_URL', 'env:HOOK_URL']",
                MAIL_URL=f"mailto://127.0.0.1:{mail.port}/ops@example.com?from=night@example.com",
                HOOK_URL=f"json://me:canary-password@{hook.place}/told",
                PING_URL=f"http://{hook.place}/canary-ping",
            )
        sent = api.requests()[before:]

    assert done.code == 1, done.err
    assert by_name(done) == {
        "good.csv": "done", "unfinished.csv": "done", "bad.csv": "attention", "guarded.csv": "attention",
        "repeated.csv": "attention", "unreadable.xlsx": "attention", "growing.csv": "left",
    }  # fmt: skip
    oldest_first = [file["name"] for file in done.object["files"][:3]]
    assert oldest_first == ["repeated.csv", "unfinished.csv", "good.csv"]
    assert names(tmp_path / "done") == {"good.csv", "good-results", "unfinished.csv", "unfinished-results"}
    assert names(tmp_path / "attention") == {
        "bad.csv", "bad-results", "guarded.csv", "guarded.csv.txt", "repeated.csv", "repeated.csv.txt",
        "unreadable.xlsx", "unreadable.xlsx.txt",
    }  # fmt: skip
    assert {path.name for path in inbox.iterdir()} == {"growing.csv"}
    (note,) = (tmp_path / "attention").glob("*/repeated.csv.txt")
    assert "a file with the same content was applied on" in note.read_text(encoding="utf-8")
    (note,) = (tmp_path / "attention").glob("*/guarded.csv.txt")
    assert "2 fields would be cleared" in note.read_text(encoding="utf-8")
    targets = [request["path"].rpartition("/")[2] for request in sent]
    assert not {"300", "401", "402"} & set(targets)
    assert targets.count("102") == 3
    assert api_rows(done) == {"updated": 43, "invalid": 2}

    (letter,), (posted,) = mail.mails, hook.bodies()
    assert mail.recipients == ["ops@example.com"]
    assert letter["subject"] == posted["title"] == "batch-updater: 4 files need you. 2 files are done"
    body = letter.get_body(("plain", "html"))
    assert body
    for text in (body.get_content(), posted["message"]):
        assert "bad.csv: needs you" in text
        assert "1 updated, 2 invalid" in text
        assert "growing.csv: left in the inbox" in text
    assert [part.get_filename().partition("-results-")[0] for part in letter.iter_attachments()] == ["bad"]  # type: ignore[union-attr]
    assert len(posted["attachments"]) == 1
    pings = [line for line in hook.requests() if line.startswith("GET")]
    assert pings == ["GET /canary-ping/start", "GET /canary-ping/fail"]

    figures = samples(tmp_path / "night.prom")
    assert (figures["last_run_rows/updated"], figures["last_run_files/attention"]) == (43, 4)
    assert (figures["last_run_exit_code"], figures["last_run_retries"]) == (1, 2)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary" not in kept + done.out.encode() + done.err.encode()


def next_night(folder: Path, **variables: str) -> Done:
    """Run the job a day after the nights that are remembered."""
    if DATABASE in os.environ:
        with psycopg.connect(os.environ["TEAM_DATABASE"]) as connection:
            ((content,),) = connection.execute("SELECT content FROM batch_updater.nights")
            connection.execute("UPDATE batch_updater.nights SET content = %s", [a_day_older(content)])
    else:
        (path,) = (folder / "runs").glob(".nightly-*.json")
        path.write_text(a_day_older(path.read_text(encoding="utf-8")), encoding="utf-8")
    return night(folder, **variables)


def a_day_older(state: str) -> str:
    """Return the state of the nights as if all of them had been a day earlier."""
    content = json.loads(state)
    for pending in content["pending"]:
        if pending["counted_at"]:
            pending["counted_at"] = (datetime.fromisoformat(pending["counted_at"]) - timedelta(days=1)).isoformat()
    return json.dumps(content)


def api_rows(done: Done) -> dict[str, int]:
    return {kind: count for kind, count in done.object["outcomes"].items() if count}


def test_trouble_of_the_account_ends_the_job_and_keeps_the_files(tmp_path: Path) -> None:
    """A used-up quota ends the night with 3 and keeps what is not done; the next night goes on and says so."""
    with sandbox("--quota", "5") as poor, sandbox() as rich, webhook() as hook:
        inbox = prepared(tmp_path, poor.url)
        told = {"BATCH_UPDATER_NIGHTLY__NOTIFY": f"['json://{hook.place}/told']"}
        opportunities(inbox / "first.csv", (1, "Pre", "a"), (2, "Pre", "b"), age_s=3 * _HOUR_S)
        aged(numbered(inbox / "second.csv", 20), 2 * _HOUR_S)
        opportunities(inbox / "third.csv", (60, "Pre", "c"))
        done = night(tmp_path, **told)
        assert (done.code, done.object["stopped"]) == (3, "quota"), done.err
        assert by_name(done) == {"first.csv": "done", "second.csv": "left", "third.csv": "left"}
        assert {path.name for path in inbox.iterdir()} == {"second.csv", "third.csv"}
        assert api_rows(done)["updated"] == 5  # what the file at which it ended had done counts, too
        assert samples(tmp_path / "night.prom")["last_success_timestamp_seconds"] == 0

        again = night(tmp_path, **told, BATCH_UPDATER_API__BASE_URL=rich.url)
        assert (again.code, again.object["stopped"]) == (0, None), again.err
        assert by_name(again) == {"second.csv": "done", "third.csv": "done"}
        quiet = night(tmp_path, **told)
        assert quiet.code == 0
    first, second = (body["title"] for body in hook.bodies())
    assert first.startswith("batch-updater: The job ended early: ")
    assert second == "batch-updater: The job works again. 2 files are done"
    assert list(inbox.iterdir()) == []
    assert samples(tmp_path / "night.prom")["last_success_timestamp_seconds"] > 0


def test_a_token_that_cannot_be_read_keeps_the_files(tmp_path: Path) -> None:
    """It is trouble of the account: exit 3, and every file waits."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        done = night(tmp_path, NEXUS_TOKEN="")
        assert (done.code, done.object["stopped"]) == (3, "credentials")
        assert api.requests() == []
    assert [path.name for path in inbox.iterdir()] == ["a.csv"]


def test_rows_that_fail_are_tried_once_more_and_then_wait_for_the_next_night(tmp_path: Path) -> None:
    """The file stays in the inbox with exit 3; its other rows are done and not sent again."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:8 b"))
        first = night(tmp_path)
        assert (first.code, by_name(first)) == (3, {"a.csv": "left"}), first.err
        assert api_rows(first) == {"updated": 1, "failed": 1}
        second = night(tmp_path)
        assert (second.code, by_name(second)) == (0, {"a.csv": "done"})
        targets = [request["path"].rpartition("/")[2] for request in api.requests()]
    assert (targets.count("1"), targets.count("2")) == (1, 9)


def test_newer_files_wait_for_one_whose_rows_are_left(tmp_path: Path) -> None:
    """What the next night sends of the older file may not overwrite what a newer one says: the newest value stays."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "oldest.csv", (3, "Pre", "a"), age_s=3 * _HOUR_S)
        opportunities(inbox / "older.csv", (1, "Pre", "old fault:status-503:8"), age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", (1, "Pre", "new"))
        first = night(tmp_path)
        assert first.code == 3, first.err
        assert by_name(first) == {"oldest.csv": "done", "older.csv": "left", "newer.csv": "left"}
        assert "the job ended before its turn" in first.object["files"][2]["note"]
        assert first.object["stopped"] is None  # no rule has stopped the run
        second = night(tmp_path)
        assert (second.code, by_name(second)) == (0, {"older.csv": "done", "newer.csv": "done"}), second.err
        assert "new" in json.dumps(api.requests()[-1])


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_files_that_change_while_the_job_runs_stay(tmp_path: Path) -> None:
    """One replaced while it runs keeps its verdict and the new one waits; one changed before its turn is not run."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        write_rows(
            inbox / "a.csv", [{"Id": row, "Type": "Pre", "OpportunityName": "a"} for row in (*range(1, 20), "x")]
        )
        aged(inbox / "a.csv", 2 * _HOUR_S)
        opportunities(inbox / "b.csv", (60, "Pre", "b"))
        running = start(tmp_path, "nightly", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        api.wait_for(2)
        with api.held():
            opportunities(inbox / "a.csv", (70, "Pre", "new"))
            opportunities(inbox / "b.csv", (80, "Pre", "new"))
        code, told, said = ended(running)
    assert code == 1, said
    assert {file["name"]: file["disposition"] for file in told["files"]} == {"a.csv": "attention", "b.csv": "left"}
    assert "another file was put in its place" in told["files"][0]["note"]
    assert {path.name for path in inbox.iterdir()} == {"a.csv", "b.csv"}
    assert names(tmp_path / "attention") == {"a-results", "a.csv"}  # the copy of what was read


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_one_job_at_a_time_and_a_signal_ends_it_cleanly(tmp_path: Path) -> None:
    """A second job exits with 4 and names the first; SIGTERM drains, ends with 3 and keeps what is not done."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        aged(numbered(inbox / "long.csv", 60))
        running = start(tmp_path, "nightly", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        api.wait_for(2)
        with api.held():  # or the first might have ended by then
            other = night(tmp_path)
        assert other.code == other.object["exit_code"] == 4
        assert f"process {running.pid} has been working on {inbox} since" in other.object["error"]["message"]
        running.send_signal(signal.SIGTERM)
        code, told, said = ended(running)
        assert (code, told["stopped"]) == (3, "interrupted"), said
        assert [path.name for path in inbox.iterdir()] == ["long.csv"]
        # A killed job leaves a lock that does not block.
        killed = start(tmp_path, "nightly", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        before = len(api.requests())
        api.wait_for(before + 2)
        killed.kill()
        killed.communicate()
        done = night(tmp_path)
    assert (done.code, api_rows(done)) == (0, {"updated": 60}), done.err


def test_files_that_could_not_be_moved_are_moved_the_next_time(tmp_path: Path) -> None:
    """That concerns each alone; what was applied is neither applied again nor called a repetition."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        opportunities(inbox / "b.csv", (2, "Pre", "b"))
        # A file where the folder should be: the moving fails as on a full disk.
        (tmp_path / "done").write_text("in the way", encoding="utf-8")
        for _ in range(2):
            failed = night(tmp_path)
            assert (failed.code, by_name(failed)) == (1, {"a.csv": "attention", "b.csv": "attention"}), failed.err
            assert "It could not be moved" in failed.object["files"][0]["note"]
        (tmp_path / "done").unlink()
        last = night(tmp_path)
        assert (last.code, by_name(last)) == (0, {"a.csv": "done", "b.csv": "done"}), last.out
        assert len(api.requests()) == 2
    assert names(tmp_path / "done") == {"a.csv", "a-results", "b.csv", "b-results"}


@pytest.mark.parametrize(("settings", "said"), [("", "nightly.inbox"), ("nightly: {inbox: nowhere}\n", "nowhere")])
def test_an_inbox_that_is_not_there_is_a_fault_of_the_configuration(tmp_path: Path, settings: str, said: str) -> None:
    """Exit 2, in words; nothing is made."""
    configure(tmp_path, "http://127.0.0.1:9", settings or "sending: {}\n")
    done = night(tmp_path)
    assert (done.code, done.object["exit_code"]) == (2, 2)
    assert said in done.object["error"]["message"] + done.object["error"]["remedy"]


def test_dead_services_change_nothing(tmp_path: Path) -> None:
    """No mail, no health check and no folder of metrics: the night ends as it would, and each fault is reported."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url, metrics="nowhere/night.prom", health_check="http://127.0.0.1:9/canary")
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        done = night(
            tmp_path, BATCH_UPDATER_NIGHTLY__NOTIFY="['json://canary@127.0.0.1:9']",
            BATCH_UPDATER_NIGHTLY__NOTIFY_WHEN="always",
        )  # fmt: skip
    assert (done.code, by_name(done)) == (0, {"a.csv": "done"})
    for said in ("nightly.notify, number 1", "nightly.health_check", "night.prom"):
        assert said in done.err
    assert "canary" not in done.out + done.err


def test_for_people_a_night_is_a_line_for_each_file(tmp_path: Path) -> None:
    """Without --json they are on standard output, the verdict last; standard error is for trouble."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        with worker("nightly", cwd=tmp_path):
            if DATABASE in os.environ:
                wait_for_workers(os.environ["TEAM_DATABASE"], 1)  # until there is one, a line says so
            done = batch_updater("nightly", cwd=tmp_path)
    line, verdict = done.out.splitlines()
    assert line.startswith("a.csv: The row was updated. Moved to ")
    assert (done.code, verdict, done.err) == (0, "1 file is done.", "")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_night_that_cannot_be_printed_is_the_same_night(tmp_path: Path, options: list[str]) -> None:
    """Standard output on a full disk: the files are done and archived, exit 0, and standard error says it."""
    variables = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    with sandbox() as api, open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "a"))
        with worker("nightly", cwd=tmp_path):
            done = subprocess.run(
                [sys.executable, "-m", "batch_updater", "nightly", *options], cwd=tmp_path, env=variables, stdout=full,
                stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "standard output cannot be written" in done.stderr
    assert names(tmp_path / "done") == {"a.csv", "a-results"}


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_second_signal_ends_the_night_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Exit 3 although an answer hangs, people are told, the file stays, and the next night does what is left."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:hang:1 b"), (3, "Pre", "c"))
        running = start(tmp_path, "nightly", BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{hook.place}/told']")
        while not any("hang" in json.dumps(request) for request in api.requests()):
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        while not any('"stop"' in log.read_text(encoding="utf-8") for log in tmp_path.glob("runs/*/run.log")):
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        code, told, said = ended(running)
        assert (code, told["stopped"]) == (3, "interrupted"), said
        assert [path.name for path in inbox.iterdir()] == ["a.csv"]
        assert "The job ended early" in hook.bodies()[0]["title"]
        last = night(tmp_path)
    assert (last.code, by_name(last)) == (0, {"a.csv": "done"}), last.err


def test_the_report_of_a_nightly_run_says_where_the_repaired_workbook_goes(tmp_path: Path) -> None:
    """There is no command that a person could type again."""
    with sandbox() as api:
        opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "a"), ("x", "Pre", "b"))
        (file,) = night(tmp_path).object["files"]
        told = batch_updater("report", file["run"], cwd=tmp_path).out
    assert "put it into the inbox" in told
    assert "start it again" not in told


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_an_old_unfinished_run_is_for_a_person(tmp_path: Path) -> None:
    """After more than 36 hours it is not resumed unattended: the note beside the file says what to do."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        killed_run(tmp_path, inbox, api)
        make_older(tmp_path, 1.6)
        before = len(api.requests())
        done = night(tmp_path)
        assert (done.code, by_name(done)) == (1, {"unfinished.csv": "attention"})
        assert len(api.requests()) == before
        (note,) = (tmp_path / "attention").glob("*/unfinished.csv.txt")
        assert "left for more than 36 hours" in note.read_text(encoding="utf-8")
        (file,) = (tmp_path / "attention").glob("*/unfinished.csv")
        assert batch_updater("run", file, "--yes", cwd=tmp_path).code == 0


def test_a_run_that_every_night_resumes_does_not_grow_old(tmp_path: Path) -> None:
    """A daily job resumes what it began days ago: the time of the last resumption counts."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:16 b"))
        for _ in range(2):
            assert by_name(night(tmp_path)) == {"a.csv": "left"}
            make_older(tmp_path, 1.1)
        done = night(tmp_path)
        assert (done.code, by_name(done)) == (0, {"a.csv": "done"}), done.out


def test_a_file_whose_rows_are_all_refused_in_the_same_way_ends_the_night(tmp_path: Path) -> None:
    """Older files are done and newer ones wait, for three nights; then it is for a person, and they have their turn."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "older.csv", (100, "Pre", "a"), age_s=3 * _HOUR_S)
        unknown = [(row, "Pre", f"fault:status-404:9 {row}") for row in range(1, 60)]
        opportunities(inbox / "bad.csv", *unknown, age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", (1, "Pre", "b"))
        first = night(tmp_path)
        assert (first.code, first.object["stopped"]) == (3, "all_alike"), first.out
        assert by_name(first) == {"older.csv": "done", "bad.csv": "left", "newer.csv": "left"}
        assert by_name(next_night(tmp_path)) == {"bad.csv": "left", "newer.csv": "left"}
        third = next_night(tmp_path)
    assert (third.code, third.object["stopped"]) == (1, None), third.out
    assert by_name(third) == {"bad.csv": "attention", "newer.csv": "done"}
    (note,) = (tmp_path / "attention").glob("*/bad.csv.txt")
    said = note.read_text(encoding="utf-8")
    assert "Every row that was sent was refused in the same way: 404 Not Found. That happened on 3 nights" in said
    assert 'Repair the rows on the sheet "To fix"' in said


def test_a_wrong_set_up_leaves_every_file(tmp_path: Path) -> None:
    """It is found out at the oldest file: exit 3, and the night after it is right does them all."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        for at, name in enumerate(("a.csv", "b.csv", "c.csv")):
            rows = [(100 * at + row, "Pre", name) for row in range(1, 40)]
            opportunities(inbox / name, *rows, age_s=(3 - at) * _HOUR_S)
        for _ in range(3):
            wrong = night(tmp_path, BATCH_UPDATER_API__BASE_URL=f"{api.url}/wrong")
            assert (wrong.code, wrong.object["stopped"]) == (3, "all_alike"), wrong.out
            assert set(by_name(wrong).values()) == {"left"}
            assert "api.base_url" in wrong.err
        assert not (tmp_path / "attention").exists()
        right = night(tmp_path)
    assert (right.code, set(by_name(right).values())) == (0, {"done"}), right.out


@pytest.mark.parametrize(
    ("fault", "path", "rows"),
    [
        ("status-403=1", "", 20), ("redirect-302=1", "", 1), ("status-405=1", "", 30), ("status-410=1", "", 1),
        ("status-415=1", "", 2), ("status-404=0", "/wrong", 1),
    ],
)  # fmt: skip
def test_small_files_wait_while_the_set_up_is_wrong(tmp_path: Path, fault: str, path: str, rows: int) -> None:
    """Files of fewer rows than stop_after_alike, or of more, stay as others do; the next night does them."""
    with sandbox("--fault", fault) as wrong, sandbox() as right:
        inbox = prepared(tmp_path, f"{wrong.url}{path}")
        for at, count in enumerate((rows, 1)):
            opportunities(
                inbox / f"{at}.csv", *((100 * at + row, "Pre", at) for row in range(1, count + 1)),
                age_s=(9 - at) * _HOUR_S,
            )  # fmt: skip
        done = night(tmp_path)
        assert (done.code, done.object["stopped"]) == (3, "all_alike"), done.out
        assert set(by_name(done).values()) == {"left"}
        assert "Every row that was sent was refused in the same way" in done.object["files"][0]["note"]
        assert not (tmp_path / "attention").exists()
        done = night(tmp_path, BATCH_UPDATER_API__BASE_URL=right.url)
    assert (done.code, set(by_name(done).values())) == (0, {"done"}), done.out


@pytest.mark.parametrize(
    ("missing", "settings", "code", "verdict"),
    [
        ([1], {}, 1, "attention"), ([2], {}, 1, "attention"), ([3], {}, 3, "left"), ([1, 1], {}, 1, "attention"),
        ([9], {"BATCH_UPDATER_SENDING__STOP_AFTER_ALIKE": "2"}, 3, "left"),
        ([2], {"BATCH_UPDATER_SENDING__STOP_AFTER_FAILURES": "1"}, 1, "attention"),
    ],
)  # fmt: skip
def test_a_few_mistyped_ids_are_no_wrong_set_up(
    tmp_path: Path, missing: list[int], settings: dict[str, str], code: int, verdict: str
) -> None:
    """A 404 that is about the record says something of the set-up only if three rows of one file have it."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        for at, count in enumerate(missing):
            rows = ((100 * at + row, "Pre", f"fault:status-404:9 {at}") for row in range(1, count + 1))
            opportunities(inbox / f"{at}.csv", *rows, (501, "Foo", "B"), age_s=(9 - at) * _HOUR_S)
        done = night(tmp_path, **settings)
    assert (done.code, set(by_name(done).values())) == (code, {verdict}), done.out
    assert done.object["stopped"] == ("all_alike" if code == 3 else None)
    if verdict == "attention":
        assert {"0.csv", "0-results"} <= names(tmp_path / "attention")
        assert not list(inbox.iterdir())


def test_what_is_given_up_is_done_when_it_is_put_into_the_inbox_again(tmp_path: Path) -> None:
    """A second start on a night is no other night: a scheduler tries again every half hour."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        wrong = {"BATCH_UPDATER_API__BASE_URL": f"{api.url}/wrong"}
        for done in (night(tmp_path, **wrong), night(tmp_path, **wrong), next_night(tmp_path, **wrong),
                     night(tmp_path, **wrong)):  # fmt: skip
            assert (done.code, by_name(done)) == (3, {"a.csv": "left"}), done.out
        last = next_night(tmp_path, **wrong)
        assert (last.code, by_name(last)) == (1, {"a.csv": "attention"}), last.out
        (file,) = (tmp_path / "attention").glob("*/a.csv")
        aged(file.rename(inbox / "a.csv"))
        assert by_name(night(tmp_path)) == {"a.csv": "done"}


def test_the_same_content_is_a_repetition_whatever_the_settings(tmp_path: Path) -> None:
    """Another constant does not make it another file; what was applied to another API does not count."""
    with sandbox() as api, sandbox() as other:
        inbox = prepared(tmp_path, api.url)
        for name, settings, verdict in (
            ("a.csv", {}, "done"),
            ("b.csv", {"BATCH_UPDATER_INPUT__CONSTANTS": "{StageName: Closed}"}, "attention"),
            ("c.csv", {"BATCH_UPDATER_API__BASE_URL": other.url}, "done"),
        ):
            opportunities(inbox / name, (1, "Pre", "a"))
            done = night(tmp_path, **settings)
            assert by_name(done) == {name: verdict}, done.out
        assert len(api.requests()) == 1


def test_a_repetition_is_applied_where_that_is_allowed(tmp_path: Path) -> None:
    """With `repeat: allow` the same content is a run of its own."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url, repeat="allow")
        for name in ("a.csv", "b.csv"):
            opportunities(inbox / name, (1, "Pre", "a"))
        done = night(tmp_path)
        assert (done.code, by_name(done)) == (0, {"a.csv": "done", "b.csv": "done"})
        assert len(api.requests()) == 2


def test_a_guard_is_overridden_by_a_person(tmp_path: Path) -> None:
    """`run` refuses as the job does, `check` says it in a note, and --override-guards sends."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        file = opportunities(inbox / "a.csv", (1, "Pre", "#CLEAR"), (2, "Pre", "#CLEAR"))
        refused = batch_updater("run", file, "--yes", "--json", cwd=tmp_path)
        assert (refused.code, refused.object["error"]["file"]) == (2, str(file))
        assert api.requests() == []
        checked = batch_updater("check", file, cwd=tmp_path)
        assert "Note: A guard is exceeded, so a run would send nothing. 2 fields would be cleared" in checked.out
        assert checked.code == 0
        batch_updater("run", file, "--yes", "--override-guards", cwd=tmp_path)
        assert len(api.requests()) == 2
