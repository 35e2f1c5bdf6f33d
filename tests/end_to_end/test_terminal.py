"""What a person sees on a real terminal: the preview, the question, the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import batch_updater, configure, environment, sandbox

if TYPE_CHECKING:
    from pathlib import Path


def converse(answer: str, cwd: Path, *arguments: str) -> tuple[int, str]:
    """Run on a pseudo-terminal, answer the question, and return the exit code and everything shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "batch_updater", *arguments]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(TERM="xterm"), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown, asked = "", False
    while True:
        try:
            part = os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # the other side has closed: the command has ended
            break
        shown += part
        if not asked and "[y/N]" in shown:
            asked = True
            os.write(ours, f"{answer}\n".encode())
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
    assert "3 readings before anything is sent, as many right before the updates, and as many updates at most" in said
    assert "What changes:" in said
    assert "2 records change." in said
    assert "1 row of records that hold already what is asked for." in said
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


def test_with_nothing_to_update_nobody_is_asked_to_send(tmp_path: Path) -> None:
    """Where every record is so already the question is whether to write that down."""
    comparable(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url, COMPARING)
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 0
        code, shown = converse("y", tmp_path, "run", "c.csv")
        assert [request["method"] for request in api.requests()].count("PUT") == 3
    assert code == 0
    assert "Nothing is to be updated just now." in " ".join(shown.split())
    assert "Every record holds already what is asked for: nothing was sent." in shown


@pytest.mark.parametrize(("typed", "meant"), [("--compair", "--compare"), ("--overide-guards", "--override-guards")])
def test_a_misspelt_option_is_recognised(tmp_path: Path, typed: str, meant: str) -> None:
    """Exit 2, the option that is probably meant, and the help that lists it."""
    done = batch_updater("run", "c.csv", typed, cwd=tmp_path)
    assert done.code == 2
    assert f"Did you mean {meant}? See batch-updater run --help." in done.err


def test_a_guard_on_changes_is_named_before_the_question(tmp_path: Path) -> None:
    """Nobody says yes first and learns then that it is not allowed."""
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
