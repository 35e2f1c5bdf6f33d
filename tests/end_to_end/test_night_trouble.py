"""Nights in which one file has trouble: nothing is sent twice or forgotten."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from socket import create_server

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, description_without_reading, sandbox
from tests.end_to_end.test_night import aged, api_rows, by_name, names, next_night, night, opportunities, prepared
from tests.nightly.receivers import mail_server, webhook
from tests.nightly.test_metrics import samples
from tests.torture.runs import ended, start

_HOUR_S = 3600
_SHORT = {"BATCH_UPDATER_SENDING__MAX_WAIT_S": "1"}

pytestmark = pytest.mark.usefixtures("store")


def test_a_row_that_fails_night_after_night_does_not_stop_the_others_for_ever(tmp_path: Path) -> None:
    """Newer files wait with it for two nights; in the third it is for a person, and they have their turn."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        rows = (1, "Pre", "fault:status-500"), (2, "Pre", "b"), ("x", "Pre", "c")
        opportunities(inbox / "poison.csv", *rows, age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", (3, "Pre", "d"))
        for done in (night(tmp_path), next_night(tmp_path)):
            assert (done.code, by_name(done)) == (3, {"poison.csv": "left", "newer.csv": "left"}), done.err
        third = next_night(tmp_path)
        assert (third.code, by_name(third)) == (1, {"poison.csv": "attention", "newer.csv": "done"}), third.err
        assert names(tmp_path / "attention") == {"poison.csv", "poison.csv.txt", "poison-results"}
        (note,) = (tmp_path / "attention").glob("*/poison.csv.txt")
        assert "The file is unfinished" in note.read_text(encoding="utf-8")
        opportunities(inbox / "last.csv", (4, "Pre", "e"))
        fourth = night(tmp_path)
        assert (fourth.code, by_name(fourth)) == (0, {"last.csv": "done"}), fourth.err


def test_a_file_at_which_the_service_seems_down_does_not_stop_the_others_for_ever(tmp_path: Path) -> None:
    """In the third night that it ends that way it is for a person; where the service is down the next one is left."""
    with sandbox("--fault", "status-503=1") as down, sandbox() as up:
        inbox = prepared(tmp_path, down.url)
        opportunities(inbox / "older.csv", *((row, "Pre", "a") for row in range(1, 60)), age_s=2 * _HOUR_S)
        opportunities(inbox / "newer.csv", *((row, "Pre", "b") for row in range(1, 60)))
        for done in (night(tmp_path, **_SHORT), night(tmp_path, **_SHORT), next_night(tmp_path, **_SHORT)):
            assert (done.code, done.object["stopped"]) == (3, "service_down"), done.err
            assert by_name(done) == {"older.csv": "left", "newer.csv": "left"}
        third = next_night(tmp_path, **_SHORT)
        assert (third.code, third.object["stopped"]) == (3, "service_down"), third.err
        assert by_name(third) == {"older.csv": "attention", "newer.csv": "left"}
        done = night(tmp_path, BATCH_UPDATER_API__BASE_URL=up.url)
    assert (done.code, by_name(done)) == (0, {"newer.csv": "done"}), done.err


def test_a_row_that_waits_for_a_failed_one_is_tried_again(tmp_path: Path) -> None:
    """No one can repair a row at which the service failed: the file stays, and the later value comes last."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "old fault:status-503:8"), (1, "Pre", "new"))
        settings = {"BATCH_UPDATER_INPUT__DUPLICATES": "in_order"}
        first = night(tmp_path, **settings)
        assert (first.code, by_name(first)) == (3, {"a.csv": "left"}), first.err
        second = night(tmp_path, **settings)
        assert (second.code, by_name(second)) == (0, {"a.csv": "done"}), second.err
        assert "new" in json.dumps(api.records()[1])


def test_failures_of_the_service_up_to_the_limit_are_tried_again(tmp_path: Path) -> None:
    """The limit is for a person only where the rows themselves were refused."""
    settings = {"BATCH_UPDATER_SENDING__STOP_AFTER_FAILURES": "10%"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-503:4"), (2, "Pre", "b"), age_s=2 * _HOUR_S)
        first = night(tmp_path, **settings)
        assert (first.code, by_name(first)) == (3, {"a.csv": "left"}), first.err
        opportunities(inbox / "b.csv", (3, "Pre", "fault:status-400:9"), (4, "Pre", "b"))
        second = night(tmp_path, **settings)
        assert (second.code, by_name(second)) == (1, {"a.csv": "done", "b.csv": "attention"}), second.err


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_rows_left_of_a_file_that_was_replaced_are_for_a_person(tmp_path: Path) -> None:
    """The new file waits for its own turn, unread; the old one is archived as the run has kept it."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        rows = [(row, "Pre", "a") for row in range(1, 20)]
        old = opportunities(inbox / "a.csv", (30, "Pre", "fault:status-503"), *rows).read_bytes()
        running = start(tmp_path, "nightly", BATCH_UPDATER_SENDING__RATE_PER_S="10")
        api.wait_for(2)
        with api.held():
            opportunities(inbox / "a.csv", (70, "Pre", "new"))
        code, told, said = ended(running)
        assert code == 1, said
        assert "/70" not in json.dumps([request["path"] for request in api.requests()])
        (file,) = told["files"]
        assert (file["disposition"], file["outcomes"]["updated"]) == ("attention", 19)
        assert "1 of its rows are not done" in file["note"]
        assert names(tmp_path / "attention") == {"a.csv", "a.csv.txt", "a-results"}
        (kept,) = (tmp_path / "attention").glob("*/a.csv")
        assert kept.read_bytes() == old
        last = night(tmp_path)
        assert (last.code, by_name(last)) == (0, {"a.csv": "done"}), last.err


def test_names_that_are_no_utf8_are_names(tmp_path: Path) -> None:
    """Such files go where they belong and people are told; the one after them has its turn."""
    with sandbox() as api, webhook() as hook, mail_server() as mail:
        inbox = prepared(tmp_path, api.url)
        unreadable = Path(os.fsdecode(os.fsencode(inbox) + b"/un\xe9.xlsx"))
        unreadable.write_bytes(b"PK\x03\x04 cut off")
        aged(unreadable, 3 * _HOUR_S)
        opportunities(inbox / "good.csv", (1, "Pre", "a")).rename(
            Path(os.fsdecode(os.fsencode(inbox) + b"/go\xe9d.csv"))
        )
        opportunities(inbox / "plain.csv", (2, "Pre", "b"))
        mailto = f"mailto://127.0.0.1:{mail.port}/ops@example.com?from=night@example.com"
        done = night(tmp_path, BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{hook.place}/told', '{mailto}']")
    assert done.code == 1, done.err
    assert len(mail.mails) == 1, done.err
    assert [file["disposition"] for file in done.object["files"]] == ["attention", "done", "done"], done.err
    assert api_rows(done) == {"updated": 2}
    assert {len(list(folder.glob("*/*"))) for folder in (tmp_path / "attention", tmp_path / "done")} == {2, 4}
    assert "plain.csv: done" in hook.bodies()[0]["message"]


def test_a_half_done_file_with_other_settings_is_not_called_applied(tmp_path: Path) -> None:
    """The note says how much is left and what has changed, and never to delete it."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:8 b"))
        assert by_name(night(tmp_path)) == {"a.csv": "left"}
        before = len(api.requests())
        done = night(tmp_path, BATCH_UPDATER_INPUT__CONSTANTS="{StageName: Closed}")
        assert (done.code, by_name(done), len(api.requests())) == (1, {"a.csv": "attention"}, before), done.err
    (note,) = (tmp_path / "attention").glob("*/a.csv.txt")
    said = note.read_text(encoding="utf-8")
    assert "1 of 2 rows of it are not done" in said
    assert "this has changed since: the constants" in said
    assert "delete" not in said


@pytest.mark.one_process("it is about the database as a file")
def test_a_damaged_database_concerns_its_own_content_alone(tmp_path: Path) -> None:
    """An export has the same name every night: the next one is run; the one of that database is for a person."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        assert by_name(night(tmp_path)) == {"a.csv": "done"}
        (database,) = tmp_path.glob("runs/*/run.sqlite")
        database.write_bytes(b"no database" * 500)
        opportunities(inbox / "a.csv", (2, "Pre", "b"))
        other = night(tmp_path)
        assert (other.code, by_name(other)) == (0, {"a.csv": "done"}), other.err
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        same = night(tmp_path)
        assert (same.code, by_name(same)) == (1, {"a.csv": "attention"}), same.err
        assert "move that folder away" in same.object["files"][0]["note"]


@pytest.mark.one_process("the runs are in the database")
@pytest.mark.parametrize("command", [["runs"], ["nightly"]])
def test_a_folder_of_results_that_cannot_be_read_is_said(tmp_path: Path, command: list[str]) -> None:
    """It is a fault of the set-up, in words (a name that is too long cannot be read by root either)."""
    with sandbox() as api:
        opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "a"))
        done = batch_updater(*command, "--json", cwd=tmp_path, BATCH_UPDATER_RESULTS__FOLDER="r" * 300)
    assert done.code == 2, done.err
    assert "The folder of results" in done.object["error"]["message"]


@pytest.mark.one_process("the worker reads them")
def test_certificates_that_cannot_be_read_are_a_fault_of_the_configuration(tmp_path: Path) -> None:
    """Exit 2: trying again in half an hour would not help."""
    inbox = prepared(tmp_path, "https://127.0.0.1:9")
    opportunities(inbox / "a.csv", (1, "Pre", "a"))
    done = night(tmp_path, BATCH_UPDATER_API__CA_FILE="config.yaml")
    assert (done.code, done.object["stopped"]) == (2, "configuration"), done.err
    assert "holds no certificates" in done.object["verdict"]
    assert (inbox / "a.csv").exists()


def test_people_hear_that_no_api_is_named(tmp_path: Path) -> None:
    """No one looks at the exit code of a job at night."""
    with webhook() as hook:
        prepared(tmp_path, "http://127.0.0.1:9")
        text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
        (tmp_path / "config.yaml").write_text(text.replace("base_url: 'http://127.0.0.1:9', ", ""), encoding="utf-8")
        health = f"http://{hook.place}/check"
        done = night(
            tmp_path, BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{hook.place}/told']",
            BATCH_UPDATER_NIGHTLY__HEALTH_CHECK=health,
        )  # fmt: skip
        assert done.code == 2, done.err
        (told,) = [body for body in hook.bodies() if body]
        assert "does not say which API to send to" in told["title"]
        assert "GET /check/fail" in hook.requests()


def test_a_workbook_that_takes_a_run_back_and_cannot_be_compared_concerns_itself_alone(tmp_path: Path) -> None:
    """The description has no GET of the record: that file is for a person, the next one has its turn."""
    description_without_reading(tmp_path / "blind.yaml")
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        file = opportunities(tmp_path / "a.csv", (1, "Pre", "a"))
        ran = batch_updater("run", file, "--compare", "--yes", "--json", cwd=tmp_path)
        assert batch_updater("undo", ran.object["run"], "--results", inbox / "undo.xlsx", cwd=tmp_path).code == 0
        aged(inbox / "undo.xlsx", 2 * _HOUR_S)
        opportunities(inbox / "b.csv", (2, "Pre", "b"))
        done = night(tmp_path, BATCH_UPDATER_API__ENDPOINT="blind.yaml#nexus-opportunity")
    assert (done.code, by_name(done)) == (1, {"undo.xlsx": "attention", "b.csv": "done"}), done.err
    assert "api.read" in done.object["files"][0]["note"]


def test_nights_over_two_inboxes_do_not_mix_what_they_remember(tmp_path: Path) -> None:
    """One ends with trouble; the other, with the same folder of results, has recovered from nothing."""
    with sandbox() as api, webhook() as hook:
        opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "a"))
        (tmp_path / "other").mkdir()
        told = {"BATCH_UPDATER_NIGHTLY__NOTIFY": f"['json://{hook.place}/told']"}
        assert night(tmp_path, NEXUS_TOKEN="", **told).code == 3
        assert night(tmp_path, BATCH_UPDATER_NIGHTLY__INBOX="other", **told).code == 0
        assert len(hook.bodies()) == 1
        assert night(tmp_path, **told).code == 0
        assert "The job works again" in hook.bodies()[1]["title"]


def test_a_file_that_is_never_ready_needs_a_person(tmp_path: Path) -> None:
    """A dead upload and a forgotten lock need a person after a day, in the inbox; other names are only mentioned."""
    day_s = 24 * _HOUR_S
    inbox = prepared(tmp_path, "http://127.0.0.1:9")
    for name, age_s in (
        ("dead.csv.part", 2 * day_s), ("fresh.csv.part", _HOUR_S), ("README.txt", 2 * day_s), ("open.xlsx", 9 * day_s),
        ("~$open.xlsx", 2 * day_s), ("edited.xlsx", 9 * day_s), ("~$edited.xlsx", _HOUR_S),
    ):  # fmt: skip
        (inbox / name).write_text("x", encoding="utf-8")
        aged(inbox / name, age_s)
    before = {path.name for path in inbox.iterdir()}
    done = night(tmp_path)
    assert (done.code, by_name(done)) == (
        1,
        {
            "dead.csv.part": "attention", "fresh.csv.part": "left", "README.txt": "left", "open.xlsx": "attention",
            "edited.xlsx": "left",
        },
    )  # fmt: skip
    assert "README.txt: Left in the inbox: its name fits none" in done.err
    assert {path.name for path in inbox.iterdir()} == before


def test_page_and_workbook_say_that_the_next_night_goes_on(tmp_path: Path) -> None:
    """While rows are not done, repairing the others is no matter: this workbook would send again what the run will."""
    with sandbox() as api:
        opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "fault:status-503:9"), ("x", "Pre", "b"))
        (file,) = night(tmp_path).object["files"]
        assert file["outcomes"]["failed"] == file["outcomes"]["invalid"] == 1
        page = Path(file["run"]) / "report.html"
        assert "The next night continues with the rows that are not done" in page.read_text(encoding="utf-8")
        again = night(tmp_path)
        assert (again.code, by_name(again)) == (1, {"a.csv": "attention"})
        assert "Repair the coloured cells" in page.read_text(encoding="utf-8")


def test_a_file_that_ended_because_rows_were_refused_is_repaired_in_its_workbook(tmp_path: Path) -> None:
    """Workbook and page say to put the workbook into the inbox, which does all that is left; none says to run again."""
    settings = {"BATCH_UPDATER_SENDING__STOP_AFTER_FAILURES": "1", "BATCH_UPDATER_SENDING__CONCURRENCY": "1"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-400"), (2, "Pre", "b"), (3, "Pre", "c"))
        first = night(tmp_path, **settings)
        assert (first.code, by_name(first)) == (1, {"a.csv": "attention"}), first.err
        (file,) = first.object["files"]
        page = (Path(file["run"]) / "report.html").read_text(encoding="utf-8")
        assert "the next night sends just those rows" in page
        assert "run again" not in page
        workbook = openpyxl.load_workbook(file["results"])
        header = [cell.value for cell in workbook["To fix"][1]]
        workbook["To fix"].cell(2, header.index("OpportunityName") + 1, "a")
        workbook.save(inbox / "repaired.xlsx")
        aged(inbox / "repaired.xlsx")
        second = night(tmp_path, **settings)
    assert (second.code, by_name(second)) == (0, {"repaired.xlsx": "done"}), second.err
    assert api_rows(second) == {"updated": 3}


def test_an_undone_file_is_not_applied_again_by_the_job(tmp_path: Path) -> None:
    """Only people know whether it is meant again: the note names the run that undid it, and so does `runs`."""
    compare = {"BATCH_UPDATER_SENDING__COMPARE": "true"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        content = opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "b")).read_bytes()
        (file,) = night(tmp_path, **compare).object["files"]
        undone = batch_updater("undo", file["run"], "--json", cwd=tmp_path).object["undo"]
        assert batch_updater("run", undone, "--yes", cwd=tmp_path).code == 0
        undoing, run = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
        assert (run["run"], run["undone_by"]) == (file["run"], Path(undoing["run"]).name)
        assert "Undone, at least in part, by the run " in batch_updater("runs", cwd=tmp_path).out
        (inbox / "b.csv").write_bytes(content)
        aged(inbox / "b.csv")
        before = len(api.requests())
        second = night(tmp_path, **compare)
        assert len(api.requests()) == before
    assert (second.code, by_name(second)) == (1, {"b.csv": "attention"}), second.err
    assert f"The run {run['undone_by']} has undone some of that" in second.object["files"][0]["note"]


def test_an_unfinished_run_that_was_undone_is_for_a_person(tmp_path: Path) -> None:
    """The next night applies nothing of it again."""
    compare = {"BATCH_UPDATER_SENDING__COMPARE": "true"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:8 b"))
        first = night(tmp_path, **compare)
        assert by_name(first) == {"a.csv": "left"}
        undone = batch_updater("undo", first.object["files"][0]["run"], "--json", cwd=tmp_path).object["undo"]
        assert batch_updater("run", undone, "--yes", cwd=tmp_path).code == 0
        assert "Running the same file again sends every row." in batch_updater("runs", cwd=tmp_path).out
        before = len(api.requests())
        second = night(tmp_path, **compare)
        assert len(api.requests()) == before
    assert by_name(second) == {"a.csv": "attention"}
    assert "the run was undone" in second.object["files"][0]["note"]


def test_rows_that_wait_for_a_refused_one_are_repaired_with_it(tmp_path: Path) -> None:
    """The file goes to a person in the first night, and newer ones have their turn."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-400:9"), (1, "Pre", "b"), age_s=2 * _HOUR_S)
        opportunities(inbox / "b.csv", (2, "Pre", "c"))
        done = night(tmp_path, BATCH_UPDATER_INPUT__DUPLICATES="in_order")
    assert (done.code, by_name(done)) == (1, {"a.csv": "attention", "b.csv": "done"}), done.err
    assert "Repair" in done.object["files"][0]["note"]


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_recovery_is_told_though_the_job_was_killed_while_it_told_it(tmp_path: Path) -> None:
    """Until people have been told, the trouble is what they know."""
    with sandbox("--quota", "1") as used_up:
        inbox = prepared(tmp_path, used_up.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "b"))
        assert night(tmp_path).object["stopped"] == "quota"
    with sandbox() as api, create_server(("127.0.0.1", 0)) as silent, webhook() as hook:
        base_url = {"BATCH_UPDATER_API__BASE_URL": api.url}
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        running = start(tmp_path, "nightly", **base_url, BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{place}/told']")
        with silent.accept()[0]:
            running.kill()
            running.communicate()
        assert night(tmp_path, **base_url, BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{hook.place}/told']").code == 0
    assert [body["title"][:37] for body in hook.bodies()] == ["batch-updater: The job works again. T"]


def test_a_file_that_goes_to_another_address_from_the_start_is_reported(tmp_path: Path) -> None:
    """All its rows are sent there, and an unfinished run to the old address is named."""
    with sandbox() as old, sandbox() as new:
        inbox = prepared(tmp_path, old.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:3 b"))
        assert by_name(night(tmp_path, BATCH_UPDATER_SENDING__ATTEMPTS="1")) == {"a.csv": "left"}
        second = night(tmp_path, BATCH_UPDATER_API__BASE_URL=new.url)
        assert api_rows(second) == {"updated": 2}
        assert len(new.requests()) == 5
    assert "the address of the API" in second.object["files"][0]["note"], second.out


def test_a_file_that_cannot_be_moved_is_not_sent_again(tmp_path: Path) -> None:
    """Though none of its rows was taken: once it can be moved it is, with the workbook of its run."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url, attention="blocked/attention")
        (tmp_path / "blocked").touch()
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-400:9"))
        for _ in range(2):
            done = night(tmp_path)
            assert (done.code, by_name(done)) == (1, {"a.csv": "attention"}), done.err
            assert "could not be moved" in done.object["files"][0]["note"]
        (tmp_path / "blocked").unlink()
        assert by_name(night(tmp_path)) == {"a.csv": "attention"}
        assert len(api.requests()) == 1
    assert names(tmp_path / "blocked" / "attention") == {"a.csv", "a-results"}


def test_nothing_newer_is_sent_while_a_file_with_rows_left_cannot_be_moved(tmp_path: Path) -> None:
    """The next night would send its rows over newer ones: the night ends, as on a full disk."""
    settings = {"BATCH_UPDATER_SENDING__STOP_AFTER_FAILURES": "1", "BATCH_UPDATER_SENDING__CONCURRENCY": "1"}
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url, attention="blocked/attention")
        (tmp_path / "blocked").touch()
        rows = [(row, "Pre", "b") for row in range(2, 9)]
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-400:9"), *rows, age_s=2 * _HOUR_S)
        opportunities(inbox / "b.csv", (20, "Pre", "new"))
        done = night(tmp_path, **settings)
        assert "/20" not in json.dumps([request["path"] for request in api.requests()])
    assert (done.code, done.object["stopped"]) == (3, "disk"), done.err
    assert by_name(done) == {"a.csv": "left", "b.csv": "left"}
    assert "could not be moved to" in done.object["files"][0]["note"]


def test_what_was_read_for_a_guard_is_counted(tmp_path: Path) -> None:
    """Requests are requests, though nothing of the file was sent."""
    settings = {"BATCH_UPDATER_SENDING__COMPARE": "true", "BATCH_UPDATER_GUARDS__CHANGED": "1"}
    with sandbox() as api:
        opportunities(prepared(tmp_path, api.url) / "a.csv", *((row, "Pre", "new") for row in range(1, 6)))
        done = night(tmp_path, **settings)
        assert [request["method"] for request in api.requests()] == ["GET"] * 5
    assert (by_name(done), done.object["requests"]) == ({"a.csv": "attention"}, 5)


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_local_files_are_written_before_people_are_told(tmp_path: Path) -> None:
    """A signal to a job that waits for a dead recipient ends just that: metrics and state are there."""
    with sandbox() as api, create_server(("127.0.0.1", 0)) as silent:
        opportunities(prepared(tmp_path, api.url) / "a.csv", ("x", "Pre", "a"))
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        running = start(tmp_path, "nightly", BATCH_UPDATER_NIGHTLY__NOTIFY=f"['json://{place}/told']")
        with silent.accept()[0]:
            for number in (signal.SIGTERM, signal.SIGINT):  # two of one kind may arrive as one
                running.send_signal(number)
            code, _, said = ended(running)
        assert code == 3, said  # ended by the signals, and not with the message
    assert samples(tmp_path / "night.prom")["last_run_exit_code"] == 1
    (memory,) = (tmp_path / "runs").glob(".nightly-*.json")
    assert json.loads(memory.read_text(encoding="utf-8"))["exit_code"] == 1
