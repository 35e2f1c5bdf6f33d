"""`runs --close`: an unfinished run is given up, under its lock, and says so everywhere."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, configure, sandbox, worker
from tests.end_to_end.test_night import aged, by_name, names, night, prepared
from tests.end_to_end.test_terminal import converse
from tests.torture.runs import confirmed_rows, database_of, ended, numbered, start, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")

SLOW = {"BATCH_UPDATER_SENDING__RATE_PER_S": "10"}
ROWS = 60
TRIED = 20


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def killed(folder: Path, api: Sandbox) -> Path:
    """Leave a run of rows.csv behind whose process was killed. Returns its folder."""
    if not (folder / "config.yaml").exists():
        configure(folder, api.url)
    numbered(folder / "rows.csv", ROWS)
    process = start(folder, "run", "rows.csv", "--yes", **SLOW)
    wait_for_confirmed(folder, process)
    process.kill()
    process.communicate()
    database = database_of(folder)
    assert database
    return database.parent


def tried(folder: Path, api: Sandbox) -> Path:
    """Leave a run of rows.csv behind of which only the first rows were to be sent. Returns its folder."""
    configure(folder, api.url)
    numbered(folder / "rows.csv", ROWS)
    done = batch_updater("run", "rows.csv", "--limit", str(TRIED), "--json", cwd=folder)
    assert (done.code, done.object["stopped"]) == (3, "limit")
    return Path(done.object["run"])


def wait_for_confirmed(folder: Path, process: Any) -> None:
    """Wait until some rows are confirmed on disk."""
    while len(confirmed_rows(database_of(folder))) < 3:
        assert process.poll() is None
        time.sleep(0.02)


def close(folder: Path, run: Path) -> dict[str, Any]:
    done = batch_updater("runs", "--close", run.name, "--yes", "--json", cwd=folder)
    assert done.code == 0, done.out
    (told,) = done.object["runs"]
    found: dict[str, Any] = told
    return found


@pytest.mark.one_process("only a process that is killed leaves rows in flight in a run that can be closed")
def test_a_closed_run_is_finished_and_its_open_rows_are_not_sent(tmp_path: Path, api: Sandbox) -> None:
    """What was confirmed stays; of a row that may have been applied the message says so."""
    run = killed(tmp_path, api)
    done, may_be_applied = confirmed_rows(run / "run.sqlite"), in_flight(run)
    assert may_be_applied
    assert "may have been applied" in converse("n", tmp_path, "runs", "--close", run.name)[1]
    told = close(tmp_path, run)
    assert told["outcomes"]["updated"] == len(done)
    assert told["outcomes"]["not_sent"] == ROWS - len(done)
    assert (told["unfinished"], told["going_on"], told["exit_code"], told["stopped"]) == (False, False, 3, None)
    assert told["closed_at"]
    lines = {line["row"]: line for line in batch_updater("report", "--rows", cwd=tmp_path).lines}
    for row in may_be_applied:
        assert lines[row]["message"].startswith(
            "The run was closed before it was known whether this row was applied. The run ended while this row was "
        )
    assert lines[ROWS + 1]["message"] == "The run was closed before this row was done."
    assert {lines[row]["outcome"] for row in done} == {"updated"}
    report = batch_updater("report", "--json", cwd=tmp_path).object
    causes = {cause["cause"]: cause["rows"] for cause in report["causes"]}
    assert causes == {
        "the run was closed, and it is unknown whether it was applied": len(may_be_applied),
        "the run was closed": ROWS - len(done) - len(may_be_applied),
    }
    listed = batch_updater("runs", cwd=tmp_path).out
    assert ", cut off, " in listed
    assert "Closed on " in listed
    assert "Running the same file again sends every row." in listed


def in_flight(run: Path) -> list[int]:
    with closing(sqlite3.connect(run / "run.sqlite")) as connection:
        return [row for (row,) in connection.execute("SELECT number FROM rows WHERE state = 'in_flight'")]


def test_the_same_file_is_a_new_run_after_closing(tmp_path: Path, api: Sandbox) -> None:
    """It is not resumed: every row is sent, into a folder of its own, and the closed run stays as it is."""
    run = tried(tmp_path, api)
    told = close(tmp_path, run)
    before = len(api.requests())
    again = batch_updater("run", "rows.csv", "--yes", cwd=tmp_path)
    assert (again.code, len(api.requests()) - before) == (0, ROWS)
    assert f"This was applied before ({told['closed_at'][11:16]})" in again.err
    assert "updated, then closed." in again.err
    newest, closed = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    assert (newest["outcomes"]["updated"], closed) == (ROWS, told)


@pytest.mark.one_process("only a process that is killed leaves a run that can be closed and has no workbook")
def test_the_workbook_of_a_closed_run_sends_what_is_left(tmp_path: Path, api: Sandbox) -> None:
    """`report` writes it and names it as the next step; it sends just the rows that were not done, and only by name."""
    run = killed(tmp_path, api)
    left = close(tmp_path, run)["outcomes"]["not_sent"]
    report = batch_updater("report", run.name, "--json", cwd=tmp_path)
    assert (report.code, report.object["next"]["kind"], report.object["stopped"]) == (3, "repair", None)
    assert report.object["next"]["command"][:3] == ["batch-updater", "run", report.object["results"]]
    assert any(note.startswith("The run was closed on ") for note in report.object["notes"])
    book = openpyxl.load_workbook(report.object["results"])
    assert book["To fix"].max_row == left + 1
    before = len(api.requests())
    unnamed = batch_updater("run", "--fix", "--yes", cwd=tmp_path)
    assert (unnamed.code, "No results workbook" in unnamed.err) == (2, True)
    assert batch_updater("run", report.object["results"], "--yes", cwd=tmp_path).code == 0
    assert len(api.requests()) - before == left


def test_a_row_that_waits_for_another_says_so_once_the_run_is_closed(tmp_path: Path, api: Sandbox) -> None:
    """The run cannot be run again, so the earlier row is to be repaired on the sheet To fix."""
    configure(tmp_path, api.url, "input: {duplicates: in_order}\n")
    rows = [("9", "x"), ("9", "1"), ("8", "1")]
    write_rows(tmp_path / "rows.csv", [{"Id": n, "Type": "Pre", "SalesRevenue": amount} for n, amount in rows])
    run = Path(batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path).object["run"])
    told = close(tmp_path, run)["outcomes"]
    assert {kind: count for kind, count in told.items() if count} == {"updated": 1, "invalid": 1, "not_sent": 1}
    _, waiting, _ = batch_updater("report", "--rows", cwd=tmp_path).lines
    assert (waiting["outcome"], waiting["message"]) == (
        "not_sent",
        "The run was closed before this row was done. Row 2 updates the same record and has to be done first.",
    )
    assert waiting["advice"] == 'Repair row 2 on the sheet "To fix" of the results workbook, then run that workbook.'
    report = batch_updater("report", run.name, "--json", cwd=tmp_path)
    book = openpyxl.load_workbook(report.object["results"])
    book["To fix"]["G2"] = 5  # below SalesRevenue
    book.save(report.object["results"])
    repaired = batch_updater("run", report.object["results"], "--yes", "--json", cwd=tmp_path)
    assert (repaired.code, repaired.object["outcomes"]["updated"]) == (0, 2), repaired.err


@pytest.mark.one_process("only a process that is killed leaves rows in flight in a run that can be closed")
def test_undo_of_a_closed_run_names_the_rows_that_may_have_been_applied(tmp_path: Path, api: Sandbox) -> None:
    """They are not forgotten because they count as not sent."""
    configure(tmp_path, api.url, "sending: {rate_per_s: 5000, compare: true}\n", timeout_s=60)
    rows = [{"Id": row, "Type": "Pre", "OpportunityName": f"row {row}"} for row in range(2, 9)]
    write_rows(tmp_path / "rows.csv", [*rows, {"Id": 9, "Type": "Pre", "OpportunityName": "fault:hang:1"}])
    process = start(tmp_path, "run", "rows.csv", "--yes")
    while not any(request["method"] == "PUT" and request["path"].endswith("/9") for request in api.requests()):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    database = database_of(tmp_path)
    assert database
    close(tmp_path, database.parent)
    book = openpyxl.load_workbook(batch_updater("undo", "--json", cwd=tmp_path).object["undo"])
    assert 9 in {row for (row,) in book["Not possible"].iter_rows(min_row=2, min_col=2, max_col=2, values_only=True)}


@pytest.mark.one_process("its process holds the lock: a run that workers send is tested in tests/team")
def test_a_run_that_is_going_on_cannot_be_closed(tmp_path: Path, api: Sandbox) -> None:
    """Exit 4, and it goes on to its end."""
    numbered(tmp_path / "rows.csv", ROWS)
    configure(tmp_path, api.url)
    process = start(tmp_path, "run", "rows.csv", "--yes", BATCH_UPDATER_SENDING__RATE_PER_S="40")
    wait_for_confirmed(tmp_path, process)
    database = database_of(tmp_path)
    assert database
    with api.held():  # or the run might have ended by then
        refused = batch_updater("runs", "--close", database.parent.name, "--yes", "--json", cwd=tmp_path)
    assert refused.code == 4
    assert f"process {process.pid} " in refused.object["error"]["message"]
    code, told, said = ended(process)
    assert (code, told["outcomes"]["updated"]) == (0, ROWS), said


def test_without_a_terminal_closing_needs_yes(tmp_path: Path, api: Sandbox) -> None:
    """Exit 2, and the run is resumed as before."""
    run = tried(tmp_path, api)
    refused = batch_updater("runs", "--close", run.name, cwd=tmp_path)
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    assert "Resuming the run of" in batch_updater("run", "rows.csv", cwd=tmp_path).err


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2)])
def test_on_a_terminal_a_person_is_asked(tmp_path: Path, api: Sandbox, answer: str, code: int) -> None:
    """The question says how many rows are done and how many are open."""
    run = tried(tmp_path, api)
    ended_with, shown = converse(answer, tmp_path, "runs", "--close", run.name)
    said = " ".join(shown.split())
    assert ended_with == code, shown
    assert f"rows.csv: {TRIED} of {ROWS} rows are done." in said
    assert f"{ROWS - TRIED} open rows would count as not sent" in said
    (listed,) = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    assert bool(listed["closed_at"]) == (code == 0)


def test_only_an_unfinished_run_is_closed_and_only_once(tmp_path: Path, api: Sandbox) -> None:
    """Exit 2 for one that is finished, one that is closed, and one that is not there."""
    run = tried(tmp_path, api)
    close(tmp_path, run)
    batch_updater("run", "rows.csv", "--yes", cwd=tmp_path)
    finished = batch_updater("runs", "--json", cwd=tmp_path).object["runs"][0]["run"]
    for name, said in ((run.name, "was closed on"), (finished, "is finished"), ("nothing", "There is no run")):
        refused = batch_updater("runs", "--close", name, "--yes", "--json", cwd=tmp_path)
        assert (refused.code, said in refused.object["error"]["message"]) == (2, True), refused.out


def test_the_night_does_not_take_a_closed_run_for_one_that_is_done(tmp_path: Path, api: Sandbox) -> None:
    """Its file goes to a person, who decides whether all of it is sent again; nothing is sent by itself."""
    inbox = prepared(tmp_path, api.url)
    aged(numbered(inbox / "rows.csv", ROWS))
    with worker("nightly", cwd=tmp_path):
        process = start(tmp_path, "nightly", **SLOW)
        api.wait_for(5)
        process.send_signal(signal.SIGINT)  # SIGTERM would leave a team's run to its workers
        code, _, said = ended(process)
    assert code == 3, said
    (run,) = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    close(tmp_path, Path(run["run"]))
    before = len(api.requests())
    done = night(tmp_path)
    assert (done.code, by_name(done), len(api.requests())) == (1, {"rows.csv": "attention"}, before), done.out
    assert names(tmp_path / "attention") == {"rows.csv", "rows.csv.txt"}
    assert "The run was closed on" in done.object["files"][0]["note"]
