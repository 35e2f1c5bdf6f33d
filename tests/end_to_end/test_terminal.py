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
