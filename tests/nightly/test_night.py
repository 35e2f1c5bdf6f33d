"""night.py: what a night comes to, and who is told what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.nightly.dispositions import Disposition, NightStop
from batch_updater.nightly.night import FileResult, Night, compose, is_due
from batch_updater.records import Cause
from batch_updater.reporter.next_step import NextKind, NextStep
from tests.nightly.made import LOCKED, QUOTA, STARTED, file, night, summary

if TYPE_CHECKING:
    from pathlib import Path

DONE, ATTENTION = file(Disposition.DONE, updated=3), file(Disposition.ATTENTION, "b.csv", updated=1, rejected=2)
TROUBLE, LEFT = file(Disposition.TROUBLE, "c.csv", failed=1), file(Disposition.NOT_READY, "d.csv")
UNFINISHED = file(Disposition.UNFINISHED, "e.csv", failed=1)
ROWS_FAILED = NightStop(None, "The API failed at some rows.", "The next start tries them again.")


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (night(), 0), (night(DONE, LEFT), 0), (night(DONE, ATTENTION), 1),
        (night(ATTENTION, TROUBLE, stop=ROWS_FAILED), 3), (night(UNFINISHED, DONE), 1),
        (night(DONE, replace(ATTENTION, is_fault=True), stop=QUOTA), 70),
        (night(ATTENTION, stop=QUOTA), 3), (night(ATTENTION, stop=LOCKED), 4),
    ],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_worst(made: Night, code: int) -> None:
    """Trouble of the account or service goes before files that need a person, and an upload is no trouble."""
    assert made.exit_code == code


@pytest.mark.parametrize(
    ("when", "made", "last", "due"),
    [
        ("attention", night(DONE), None, False), ("attention", night(DONE), 0, False),
        ("attention", night(DONE), 1, False), ("attention", night(DONE), 3, True), ("attention", night(DONE), 2, True),
        ("attention", night(ATTENTION), 0, True), ("attention", night(stop=QUOTA), 0, True),
        ("always", night(), 0, True), ("never", night(stop=QUOTA), 0, False),
    ],
)  # fmt: skip
def test_people_get_a_message_when_they_are_needed_or_the_job_recovers(
    when: str, made: Night, last: int | None, *, due: bool
) -> None:
    """A quiet night is silent; one that needs a person, and the first good one after trouble, are told."""
    assert is_due(when, made, last) == due


def test_the_message_says_verdict_counts_causes_and_place(tmp_path: Path) -> None:
    """The subject alone tells whether a person is needed; the workbook to repair goes with it."""
    workbook = tmp_path / "b-results.xlsx"
    workbook.write_bytes(b"PK")
    message = compose(night(DONE, replace(ATTENTION, results=workbook), TROUBLE, stop=ROWS_FAILED), None)
    assert message.subject == (
        "batch-updater: The job ended early: The API failed at some rows. 1 file needs you. 1 file is done"
    )
    for words in ("1 updated, 2 rejected", "2 x StageName: unknown (C7, C9): 'Propsal'", str(workbook)):
        assert words in message.body
    assert message.attachments == (workbook,)


def test_no_one_is_asked_to_do_what_the_next_night_does(tmp_path: Path) -> None:
    """Neither a workbook to repair, which would send rows twice, nor the advice to run it again."""
    note = "Left in the inbox: the API failed at some rows. 0 of its 1 rows are done."
    body = compose(night(replace(TROUBLE, note=note, results=tmp_path / "c-results.xlsx")), None).body
    assert note in body
    assert "1 failed" in body
    for misleading in ("c-results.xlsx", "run again"):
        assert misleading not in body


def test_workbooks_too_large_for_mail_are_only_named(tmp_path: Path) -> None:
    """No one reads a mail that the server refuses."""
    workbook = tmp_path / "large.xlsx"
    with workbook.open("wb") as stream:
        stream.truncate(9_000_000)
    assert compose(night(replace(ATTENTION, results=workbook)), None).attachments == ()


def test_recovery_is_said_in_the_subject() -> None:
    """People who were told of trouble are told that it is over, but not by a night that met it once more."""
    assert compose(night(DONE), 3).subject == "batch-updater: The job works again. 1 file is done"
    assert compose(night(UNFINISHED), 3).subject == "batch-updater: 1 file needs you"


def test_a_file_that_is_left_is_named_with_its_reason() -> None:
    """A file that stays in the inbox is no silence."""
    body = compose(night(FileResult("x.csv", Disposition.NOT_READY, "Left in the inbox: it grows.")), None).body
    assert "x.csv: left in the inbox\n    Left in the inbox: it grows." in body


def test_a_message_has_an_end() -> None:
    """Of many files the first are named, those that need a person before all others, and the others are counted."""
    files = [FileResult(f"{at}.csv", Disposition.DONE, "x" * 5000) for at in range(80)]
    body = compose(night(*files, FileResult("last.csv", Disposition.ATTENTION)), None).body
    assert body.startswith("1 file needs you. 80 files are done.\n\nlast.csv: needs you")
    assert "And 31 more; the log of the job names them." in body
    assert len(body) < 60_000


@pytest.mark.parametrize(
    ("made", "kind"),
    [(night(DONE, LEFT), "success"), (night(DONE, ATTENTION), "warning"), (night(TROUBLE, stop=ROWS_FAILED), "failure"),
     (night(DONE, stop=QUOTA), "failure")],
)  # fmt: skip
def test_a_message_says_how_bad_it_is(made: Night, kind: str) -> None:
    """Services show it by a colour, and let people choose what wakes them."""
    assert compose(made, None).kind == kind


def test_files_left_for_the_same_reason_are_named_together() -> None:
    """A job that ended early says once why the others had no turn."""
    left = [FileResult(f"{at}.csv", Disposition.NOT_READY, "The job ended before its turn.") for at in range(3)]
    body = compose(night(*left, FileResult("x.csv", Disposition.NOT_READY, "It grows."), stop=QUOTA), None).body
    assert "0.csv, 1.csv, 2.csv: left in the inbox\n    The job ended before its turn.\n\nx.csv: left" in body


def test_a_message_does_not_mention_waiting_files_where_there_are_none() -> None:
    """Where the inbox itself was missing no file stays in it."""
    assert "stay in the inbox" not in compose(night(stop=QUOTA), None).body
    assert "stay in the inbox" in compose(night(LEFT, stop=QUOTA), None).body


def test_a_message_can_be_encoded_whatever_a_file_is_called() -> None:
    """Mail and web services refuse what is no UTF-8, and no one would hear of the other files either."""
    message = compose(
        night(FileResult("b\udce9.csv", Disposition.NOT_READY, "Left in the inbox: b\udce9.csv grows.")), None
    )
    assert "b\\udce9.csv: left in the inbox" in message.body
    message.body.encode("utf-8")


def test_the_message_names_machine_and_api() -> None:
    """Who reads it may look after several."""
    lines = compose(night(DONE), None).body.splitlines()
    assert "Host: host.example.com" in lines
    assert "API: https://nexus.example.com (nexus)" in lines


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        ("StageName: name not accepted", 400, "2 x StageName: name not accepted (HTTP 400) (C7 and 1 more): No."),
        ("404 Not Found", 404, "2 x 404 Not Found (C7 and 1 more): No."),
        ("StageName: unknown", None, "2 x StageName: unknown (C7 and 1 more): No."),
    ],
)
def test_a_cause_has_the_status_of_its_answer(text: str, status: int | None, line: str) -> None:
    """Once, and only if there was an answer."""
    bad = replace(summary(rejected=2), causes=(Cause(text, 2, 7, "C7", "No.", status=status, places=("C7",)),))
    assert f"    {line}" in compose(night(replace(ATTENTION, summary=bad)), None).body.splitlines()


def test_a_file_says_what_to_do_and_where_its_page_is(tmp_path: Path) -> None:
    """With the name of its run; a next step that the note has already is not said twice."""
    run = tmp_path / "20261124-020000-a"
    run.mkdir()
    (run / "report.html").touch()
    step = NextStep(NextKind.REPAIR, "Repair the rows.")
    body = compose(night(replace(ATTENTION, run=run, next_step=step)), None).body
    assert "    What to do: Repair the rows." in body.splitlines()
    assert "    Run: 20261124-020000-a" in body.splitlines()
    assert f"    Page: {run / 'report.html'}" in body.splitlines()
    body = compose(night(replace(ATTENTION, next_step=step, note="It was refused. Repair the rows.")), None).body
    assert body.count("Repair the rows.") == 1


def test_people_are_told_of_a_night_that_was_killed() -> None:
    """Though nothing else needs them, unless they never want to hear anything."""
    made = replace(night(DONE), killed=(STARTED,))
    assert [is_due(when, made, 0) for when in ("attention", "always", "never")] == [True, True, False]
    assert "did not come to its end" in compose(made, 0).body
