"""What a person sees on a real terminal: the preview, the question, the end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure, environment, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


TERMINAL = {"COLUMNS": None, "TERM": "xterm", "NO_COLOR": "1", "DISPLAY": None, "WAYLAND_DISPLAY": None}
"""One without a desktop, on which a question would offer to open the workbook."""


def converse(answer: str, cwd: Path, *arguments: str) -> tuple[int, str]:
    """Run on a pseudo-terminal, answer the question, and return the exit code and everything shown."""
    return dialogue([("[y/N]", answer)], cwd, *arguments)


def dialogue(
    answers: Sequence[tuple[str, str | Callable[[], str]]],
    cwd: Path,
    *arguments: str,
    columns: int = 80,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Do the same with several questions: each is known by a part of it, and answered in turn.

    An answer may be a function that does something while the program waits, and returns what is typed then.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "batch_updater", *arguments]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment(**{**TERMINAL, **(variables or {})}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, seen, waiting = "", 0, list(answers)
    while True:
        if not select.select([ours], [], [], 60)[0]:
            process.kill()
            pytest.fail(f"It waits for an answer:\n{shown}")
        try:
            part = os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # the other side has closed: the command has ended
            break
        shown += part
        if waiting and (at := shown.find(waiting[0][0], seen)) >= 0:
            seen = at + len(waiting[0][0])
            _, answer = waiting.pop(0)
            os.write(ours, f"{answer() if callable(answer) else answer}\n".encode())
    os.close(ours)
    return process.wait(timeout=60), shown


@pytest.mark.parametrize(("answer", "code", "sent"), [("y", 0, 2), ("n", 2, 0), ("", 2, 0)])
def test_a_person_sees_what_will_happen_and_is_asked(tmp_path: Path, answer: str, code: int, sent: int) -> None:
    """The preview names file, rows, fields, host, time and a sample request; anything but yes sends nothing."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName,Owner\n5,Pre,x,me\n6,Pre,y,me\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        ended, shown = converse(answer, tmp_path, "run", "c.csv")
        assert len(api.requests()) == sent
    assert ended == code
    for part in ("c.csv", "2 good", "OpportunityName in 2 rows", api.url, "PUT ", '{"OpportunityName": "x"}', "Owner"):
        assert part in shown
    if sent:
        assert "All 2 rows were updated." in shown
        assert "Results: " in shown
    else:
        assert not list((tmp_path / "runs").iterdir())


COMPARING = "sending: {rate_per_s: 500, compare: true, attempts: 1}\n"


def comparable(folder: Path, rows: int = 3) -> None:
    lines = [f"{number},Pre,{number}00" for number in range(1, rows + 1)]
    (folder / "c.csv").write_text("\n".join(["Id,Type,SalesRevenue", *lines, ""]), encoding="utf-8")


def test_a_person_is_asked_with_what_is_at_stake(tmp_path: Path) -> None:
    """With --compare records are read first: the preview says what that costs, the question how many updates remain."""
    comparable(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url, COMPARING)
        assert batch_updater("run", "c.csv", "--limit", "1", cwd=tmp_path).code == 3
        before = len(api.requests())
        (tmp_path / "d.csv").write_text((tmp_path / "c.csv").read_text(encoding="utf-8") + "\n", encoding="utf-8")
        code, shown = converse("y", tmp_path, "run", "d.csv")
        methods = [request["method"] for request in api.requests()[before:]]
    said = " ".join(shown.split())
    assert code == 0, shown
    assert "3 reads before anything is sent, 3 right before the updates, and at most 3 updates" in said
    assert "What changes:" in said
    assert "2 records change." in said
    assert "1 row without a change: the record already holds these values." in said
    assert "Send 2 updates to" in said
    assert (methods.count("GET"), methods.count("PUT")) == (6, 2)


def test_what_stops_the_reading_is_not_asked_about(tmp_path: Path) -> None:
    """A quota used up while the records are read: no question, exit 3, a workbook that says why."""
    comparable(tmp_path)
    with sandbox("--quota", "1") as api:
        configure(tmp_path, api.url, COMPARING)
        code, shown = converse("y", tmp_path, "run", "c.csv")
        assert {request["method"] for request in api.requests()} == {"GET"}
    said = " ".join(shown.split())
    assert (code, "[y/N]" in said) == (3, False), shown
    assert "This is not all: some records could not be read." in said
    assert "Nothing was sent. The account's quota of requests to Nexus is used up." in said
    assert "Results: " in said


def test_a_trial_of_a_run_that_goes_on_asks_for_what_it_sends(tmp_path: Path) -> None:
    """Of the first two rows one is done: one update is asked for, and one is sent."""
    rows = "Id,Type,OpportunityName\n1,Pre,fault:status-503:9 x\n2,Pre,y\n3,Pre,z\n"
    (tmp_path / "c.csv").write_text(rows, encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 1}\n")
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 3
        before = len(api.requests())
        code, shown = converse("y", tmp_path, "run", "c.csv", "--limit", "2")
        assert [request["path"].rpartition("/")[2] for request in api.requests()[before:]] == ["1"]
    assert code == 3
    assert "Send 1 update to" in " ".join(shown.split())


def test_with_nothing_to_update_the_question_is_about_the_workbook(tmp_path: Path) -> None:
    """Where every record already holds the values, the question is whether to write the workbook."""
    comparable(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url, COMPARING)
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 0
        code, shown = converse("y", tmp_path, "run", "c.csv")
        assert [request["method"] for request in api.requests()].count("PUT") == 3
    assert code == 0
    assert "There is nothing to update. Write the results workbook anyway?" in " ".join(shown.split())
    assert "Every record already holds these values: nothing was sent." in shown


@pytest.mark.parametrize(("typed", "meant"), [("--compair", "--compare"), ("--overide-guards", "--override-guards")])
def test_a_misspelt_option_is_recognised(tmp_path: Path, typed: str, meant: str) -> None:
    """Exit 2, and the command with the option that is probably meant."""
    done = batch_updater("run", "c.csv", typed, cwd=tmp_path)
    assert done.code == 2
    assert done.err.endswith(f"Did you mean:\n    batch-updater run c.csv {meant}\n")


def test_a_guard_on_changes_is_named_before_the_question(tmp_path: Path) -> None:
    """It comes before the question, not after a yes."""
    comparable(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url, f"{COMPARING}guards: {{changed: 2}}\n")
        code, shown = converse("y", tmp_path, "run", "c.csv")
        assert {request["method"] for request in api.requests()} == {"GET"}
    assert (code, "[y/N]" in shown) == (2, False), shown
    assert "3 records would change, and guards.changed allows 2" in " ".join(shown.split())


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    """In a pipe the run starts at once."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n5,Pre,x\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        done = batch_updater("run", "c.csv", cwd=tmp_path)
    assert done.code == 0
    assert "[y/N]" not in done.err
    assert done.out.startswith("The row was updated.")


@pytest.mark.parametrize("command", ["run", "check", "template", "demo", "sandbox", "doctor", "init"])
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    """`COMMAND --help` explains the command and shows how it is typed."""
    done = batch_updater(command, "--help", cwd=tmp_path)
    assert done.code == 0
    assert f"Example: batch-updater {command}" in done.out


def test_the_demo_needs_nothing(tmp_path: Path) -> None:
    """`demo` runs the sample against a sandbox of its own from any folder and leaves a workbook."""
    done = batch_updater("demo", "--json", cwd=tmp_path)
    assert (done.code, done.outcomes) == (0, {"updated": 60})
    assert str(tmp_path / "runs") in done.object["results"]


def test_a_run_that_cannot_be_undone_says_so_before_it_is_sent(tmp_path: Path) -> None:
    """Answering c reads every record first and asks again; that run can be undone, and its next command compares."""
    comparable(tmp_path)
    (tmp_path / "c.csv").write_text("Id,Type,SalesRevenue\n1,Pre,100\n2,Pre,#N/A\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        answers = [("or c to compare first", "c"), ("[y/N]", "y")]
        code, shown = dialogue(answers, tmp_path, "run", "c.csv")
        assert [request["method"] for request in api.requests()] == ["GET", "GET", "PUT"]
        (run,) = (tmp_path / "runs").glob("2*")
        undone = batch_updater("undo", str(run), "--json", cwd=tmp_path)
    said = " ".join(shown.split())
    assert code == 1, shown
    assert "Undo not possible; with --compare every record is read first" in said
    assert said.index("What changes:") < said.index("Send 1 update to", said.index("Send 1 update to") + 1)
    made = undone.object
    assert (made["undo"], made["rows"], made["not_possible"]) == (str(run / "undo.xlsx"), 1, 0)


def test_a_run_that_compares_says_that_it_can_be_undone(tmp_path: Path) -> None:
    """With --compare the preview says that it can, and of which fields only where names are known."""
    (tmp_path / "c.csv").write_text("Id,Type,StageName,SalesRevenue\n1,Pre,Qualified,5\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        done = batch_updater("run", "c.csv", "--compare", cwd=tmp_path)
        plain = batch_updater("run", "c.csv", cwd=tmp_path)
    assert "possible: every record is read before its update; StageName only where names are known" in done.err
    assert "Undo      not possible; with --compare every record is read first" in plain.err


def test_rows_that_an_earlier_part_sent_unread_are_told_apart(tmp_path: Path) -> None:
    """A run that is resumed with --compare can be undone for what is sent from then on."""
    rows = "Id,Type,OpportunityName\n1,Pre,fault:status-503:9 x\n2,Pre,y\n"
    (tmp_path / "c.csv").write_text(rows, encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 1}\n")
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 3
        done = batch_updater("run", "c.csv", "--compare", cwd=tmp_path)
    assert "Undo      possible for the rows sent now, not for the 1 done before" in done.err


def test_without_a_way_to_read_records_there_is_no_choice_to_compare(tmp_path: Path) -> None:
    """The preview names the description, and c is no answer that sends."""
    endpoint = SAMPLES / "second-endpoint" / "customers.openapi.yaml"
    assert "x-read" not in endpoint.read_text(encoding="utf-8")
    (tmp_path / "c.csv").write_text("accountId,contactId,email\nDE-0042,7,a@b.example\n", encoding="utf-8")
    api = f"{{base_url: 'http://127.0.0.1:9', token: 'env:NEXUS_TOKEN', endpoint: '{endpoint}#update-contact'}}"
    (tmp_path / "config.yaml").write_text(f"api: {api}\n", encoding="utf-8")
    code, shown = converse("c", tmp_path, "run", "c.csv")
    assert (code, "compare first" in shown) == (2, False), shown
    assert "names no way to read a record" in " ".join(shown.split())


def filtered(folder: Path) -> None:
    """Write a workbook of six rows, of which a filter hides three."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Id", "Type", "OpportunityName"])
    for number in range(1, 7):
        sheet.append([number, "Pre", f"name {number}"])
    for row in (3, 4, 6):
        sheet.row_dimensions[row].hidden = True
    sheet.auto_filter.ref = "A1:C7"
    book.save(folder / "c.xlsx")


@pytest.mark.parametrize(
    ("answers", "code", "sent"),
    [
        ([("1-2, or q", "2"), ("Name", "-"), ("Send 6 updates", "y")], 0, [1, 2, 3, 4, 5, 6]),
        ([("1-2, or q", "1"), ("Send 3 updates", "y")], 0, [1, 4, 6]),
        ([("1-2, or q", "1"), ("Send 3 updates", "n")], 2, []),
        ([("1-2, or q", ""), ("1-2, or q", "q")], 2, []),
    ],
)
def test_hidden_rows_are_asked_about_apart(
    tmp_path: Path, answers: list[tuple[str, str]], code: int, sent: list[int]
) -> None:
    """All, the visible ones alone, or nothing: the preview and the question count what was chosen."""
    filtered(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url)
        ended, shown = dialogue(answers, tmp_path, "run", "c.xlsx")
        assert sorted(int(request["path"].rpartition("/")[2]) for request in api.requests()) == sent
    said = " ".join(shown.split())
    assert ended == code, shown
    assert '3 rows are hidden (filtered, or by hand) in the sheet "Sheet": rows 3-4, 6.' in said
    assert ("Rows 3: 3 good" in said) == (answers[0][1] == "1")
    assert not list((tmp_path / "runs").glob("2*")) or sent
