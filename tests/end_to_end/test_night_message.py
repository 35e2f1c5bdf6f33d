"""What people are told of a night, by a webhook that receives the message; nights are killed as processes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, sandbox
from tests.end_to_end.test_night import aged, by_name, night, opportunities, prepared
from tests.nightly.receivers import webhook
from tests.runs.test_retention import NAME, finished
from tests.torture.runs import confirmed_rows, database_of, ended, numbered, start

if TYPE_CHECKING:
    from tests.nightly.receivers import Received

pytestmark = pytest.mark.usefixtures("store")

SLOW = {"BATCH_UPDATER_SENDING__RATE_PER_S": "20"}


def told_by(hook: Received) -> dict[str, str]:
    return {"BATCH_UPDATER_NIGHTLY__NOTIFY": f"['json://{hook.place}/told']"}


def killed_night(folder: Path, **variables: str) -> None:
    """Start the job and kill it once rows are confirmed."""
    process = start(folder, "nightly", **SLOW, **variables)
    while len(confirmed_rows(database_of(folder))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()


def test_the_message_says_where_what_and_what_to_do(tmp_path: Path) -> None:
    """Machine, API, run, page, status of the cause, and the next step of a file whose rows were refused."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "fault:status-400:9"), (2, "Pre", "b"), ("x", "Pre", "c"))
        done = night(tmp_path, **told_by(hook))
    assert done.code == 1, done.err
    (file,) = done.object["files"]
    (posted,) = hook.bodies()
    lines = [line.strip() for line in posted["message"].splitlines()]
    assert f"API: {api.url} (nexus-opportunity)" in lines
    assert f"Host: {os.uname().nodename}" in lines
    assert f"Run: {Path(file['run']).name}" in lines
    assert f"Page: {file['run']}/report.html" in lines
    assert any(line.startswith("1 x 400 Bad Request (row 2)") for line in lines)
    assert (
        f'What to do: Repair the coloured cells on the sheet "To fix" of the results workbook, save it, and put it '
        f"into the inbox, {inbox}: the next night sends just those rows." in lines
    )


def test_a_file_of_the_night_has_the_fields_of_a_run(tmp_path: Path) -> None:
    """What the run of a file would have printed, and of one that was not run the same fields without values."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), ("x", "Pre", "c"), age_s=7200)
        (inbox / "b.xlsx").write_bytes(b"PK no workbook")
        aged(inbox / "b.xlsx")
        done = night(tmp_path)
    ran, unread = done.object["files"]
    assert (ran["verdict"], ran["disposition"], ran["exit_code"]) == (
        "1 of 2 rows was updated. 1 needs you.", "attention", 1,
    )  # fmt: skip
    assert [cause["rows"] for cause in ran["causes"]] == [1]
    assert (ran["next"]["kind"], ran["rows"], ran["requests"], ran["stopped"]) == ("repair", 2, 1, None)
    assert (unread["rows"], unread["outcomes"], unread["run"], unread["input"]) == (None, None, None, "b.xlsx")
    assert (unread["next"]["kind"], unread["exit_code"], unread["verdict"]) == ("correct", 1, unread["note"])


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_night_that_was_killed_is_mentioned_by_the_next(tmp_path: Path) -> None:
    """Once, though all goes well by then; with the time at which it was started."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        aged(numbered(inbox / "a.csv", 40))
        killed_night(tmp_path, **told_by(hook))
        assert hook.bodies() == []
        done = night(tmp_path, **told_by(hook))
        assert (done.code, by_name(done)) == (0, {"a.csv": "done"}), done.err
        opportunities(inbox / "b.csv", (1, "Pre", "a"))
        quiet = night(tmp_path, **told_by(hook))
    said = r"The job that was started on \d+ \w+ \d{4}, \d\d:\d\d did not come to its end: it was killed"
    (posted,) = hook.bodies()
    assert len(re.findall(said, posted["message"])) == 1
    (note,) = done.object["notes"]
    assert re.match(said, note)
    assert (quiet.code, quiet.object["notes"]) == (0, [])


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_every_killed_night_is_mentioned_until_people_were_told(tmp_path: Path) -> None:
    """Two in a row, the second one before it could tell of the first."""
    with sandbox() as api, webhook() as hook:
        aged(numbered(prepared(tmp_path, api.url) / "a.csv", 80))
        killed_night(tmp_path)
        process = start(tmp_path, "nightly", **SLOW)
        before = len(api.requests())
        api.wait_for(before + 2)
        process.kill()
        process.communicate()
        done = night(tmp_path, **told_by(hook))
    assert done.code == 0, done.err
    (posted,) = hook.bodies()
    assert posted["message"].count("did not come to its end") == 2


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_night_that_was_stopped_was_not_killed(tmp_path: Path) -> None:
    """It has told of its end itself."""
    with sandbox() as api:
        aged(numbered(prepared(tmp_path, api.url) / "a.csv", 40))
        process = start(tmp_path, "nightly", **SLOW)
        api.wait_for(2)
        process.send_signal(signal.SIGTERM)
        code, told, said = ended(process)
        assert (code, told["stopped"]) == (3, "interrupted"), said
        assert night(tmp_path).object["notes"] == []


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_second_job_does_not_take_the_first_for_killed(tmp_path: Path) -> None:
    """While the first works on the inbox, neither it nor the next one says so."""
    with sandbox() as api:
        aged(numbered(prepared(tmp_path, api.url) / "a.csv", 40))
        process = start(tmp_path, "nightly", **SLOW)
        api.wait_for(2)
        with api.held():  # or the first might have ended by then
            assert night(tmp_path).code == 4
        code, told, said = ended(process)
        assert (code, told["notes"]) == (0, []), said
        assert night(tmp_path).object["notes"] == []


@pytest.mark.one_process("its old run is in the folder, and not in a team's database")
def test_what_retention_removed_is_told_once(tmp_path: Path) -> None:
    """By the night itself, and in the next message that people get, if that is a later one."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        (tmp_path / "runs").mkdir()
        finished(tmp_path / "runs")
        note = f"Removed, as results.keep_days says: 1 old run ({NAME})."
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        assert night(tmp_path, **told_by(hook)).object["notes"] == [note]
        assert hook.bodies() == []
        for name, value in (("b.csv", "x"), ("c.csv", "y")):
            opportunities(inbox / name, (value, "Pre", "b"))
            assert night(tmp_path, **told_by(hook)).object["notes"] == []
    first, second = (body["message"] for body in hook.bodies())
    assert (first.count(note), second.count(note)) == (1, 0)


UNREACHABLE = {"BATCH_UPDATER_NIGHTLY__NOTIFY": "['json://127.0.0.1:9/told']"}


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_what_no_recipient_got_is_told_by_the_next_night(tmp_path: Path) -> None:
    """A killed night and a removed run, until one recipient of several was reached; then never again."""
    with sandbox() as api, webhook() as hook:
        inbox = prepared(tmp_path, api.url)
        aged(numbered(inbox / "a.csv", 40))
        killed_night(tmp_path)
        finished(tmp_path / "runs")
        for _ in range(2):
            untold = night(tmp_path, **UNREACHABLE)
            assert (untold.code, "failed: " in untold.err) == (0, True), untold.err
            assert any("did not come to its end" in note for note in untold.object["notes"])
        one_of_two = f"['json://127.0.0.1:9/told', 'json://{hook.place}/told']"
        assert night(tmp_path, BATCH_UPDATER_NIGHTLY__NOTIFY=one_of_two).code == 0
        assert night(tmp_path, **told_by(hook)).object["notes"] == []
    (posted,) = hook.bodies()
    assert posted["message"].count("did not come to its end") == 1
    assert f"1 old run ({NAME})" in posted["message"]


def test_a_recovery_that_no_recipient_heard_of_is_told_by_the_next_night(tmp_path: Path) -> None:
    """Until then the problem is what people know."""
    with sandbox("--quota", "1") as used_up:
        inbox = prepared(tmp_path, used_up.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"), (2, "Pre", "b"))
        assert night(tmp_path).object["stopped"] == "quota"
    with sandbox() as api, webhook() as hook:
        base_url = {"BATCH_UPDATER_API__BASE_URL": api.url}
        assert night(tmp_path, **base_url, **UNREACHABLE).code == 0
        for _ in range(2):
            assert night(tmp_path, **base_url, **told_by(hook)).code == 0
    (posted,) = hook.bodies()
    assert posted["title"].startswith("batch-updater: The job works again.")


def test_a_file_with_open_questions_is_answered_by_a_layout(tmp_path: Path) -> None:
    """The job takes no option: the note names the command that does, and its answers are used by the next night."""
    rows = "Id,Type,Sales Stagee\n1,Pre,Qualified\n"
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        (inbox / "a.csv").write_text(rows, encoding="utf-8")
        aged(inbox / "a.csv")
        assert by_name(night(tmp_path)) == {"a.csv": "attention"}
        (note,) = (tmp_path / "attention").glob("*/a.csv.txt")
        lines = note.read_text(encoding="utf-8").splitlines()
        (what,) = (line for line in lines if line.startswith("What to do: "))
        assert "`batch-updater columns a.csv --save NAME` takes the options" in what
        (options,) = (line.strip().partition("   ")[0] for line in lines if "=StageName" in line)
        assert lines[-1] == "Then put it into the inbox again."
        (file,) = note.parent.glob("a.csv")
        words = shlex.split(options)
        assert batch_updater("columns", file, "--save", "sales", *words, cwd=tmp_path).code == 0
        file.rename(inbox / "a.csv")
        assert by_name(night(tmp_path)) == {"a.csv": "done"}


@pytest.mark.one_process("its old run is in the folder, and not in a team's database")
def test_a_run_says_which_old_runs_it_has_removed(tmp_path: Path) -> None:
    """Among its notes, and in a line for people."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        (tmp_path / "runs").mkdir()
        for options in (["--json"], []):
            finished(tmp_path / "runs")
            file = opportunities(inbox / "a.csv", (1, "Pre", "a"))
            done: Any = batch_updater("run", file, "--yes", *options, cwd=tmp_path)
            assert f"Removed, as results.keep_days says: 1 old run ({NAME})." in done.out


def test_report_tells_the_notes_of_the_run(tmp_path: Path) -> None:
    """Those that its own result had, such as why an unfinished run of the file is not resumed."""
    with sandbox() as api:
        file = opportunities(prepared(tmp_path, api.url) / "a.csv", (1, "Pre", "a"), (2, "Pre", "fault:status-503:9"))
        assert batch_updater("run", file, "--yes", cwd=tmp_path).code == 3
        ran = batch_updater("run", file, "--yes", "--set", "StageName=Prospect", "--json", cwd=tmp_path).object
    (note,) = ran["notes"]
    assert "is not resumed, because this has changed since: the constants." in note
    assert batch_updater("report", ran["run"], "--json", cwd=tmp_path).object["notes"] == [note]


def with_a_hidden_row(path: Path) -> Path:
    """Write a workbook whose last row is hidden."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (("Id", "Type", "OpportunityName"), (1, "Pre", "a"), (2, "Pre", "b")):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    book.save(path)
    aged(path)
    return path


def test_a_note_offers_no_option_that_a_layout_does_not_hold(tmp_path: Path) -> None:
    """Rows that are hidden are sent by a layout, or deleted; with the first of the options the file goes through."""
    with sandbox() as api:
        inbox = prepared(tmp_path, api.url)
        with_a_hidden_row(inbox / "a.xlsx")
        asked = night(tmp_path)
        assert by_name(asked) == {"a.xlsx": "attention"}
        assert "--all-rows" not in asked.object["files"][0]["note"]
        (note,) = (tmp_path / "attention").glob("*/a.xlsx.txt")
        lines = note.read_text(encoding="utf-8").splitlines()
        assert [line.split()[0] for line in lines if line.startswith("    --")] == ["--all-rows"]
        by_hand = "write `hidden_rows: leave out` into its layout by hand."
        assert f"To leave hidden rows out, delete them from the file, or {by_hand}" in lines
        assert batch_updater("columns", note.with_suffix(""), "--save", "a", "--all-rows", cwd=tmp_path).code == 0
        note.with_suffix("").rename(inbox / "a.xlsx")
        assert by_name(night(tmp_path)) == {"a.xlsx": "done"}


@pytest.mark.one_process("it edits the file of a layout")
def test_a_layout_leaves_hidden_rows_out_if_a_person_has_written_so(tmp_path: Path) -> None:
    """As the note says of a file whose hidden rows nothing is known about."""
    with sandbox() as api:
        file = with_a_hidden_row(prepared(tmp_path, api.url) / "a.xlsx")
        assert batch_updater("columns", file, "--save", "a", "--all-rows", cwd=tmp_path).code == 0
        layout = tmp_path / "layouts" / "a.yaml"
        text = layout.read_text(encoding="utf-8")
        layout.write_text(text.replace("hidden_rows: send", "hidden_rows: leave out"), encoding="utf-8")
        assert by_name(night(tmp_path)) == {"a.xlsx": "done"}
        assert [request["path"] for request in api.requests()] == ["/api/v2/opportunities/1"]
