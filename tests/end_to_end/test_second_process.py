"""The process that writes the workbook of a long run while its rows are sent."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.runs.report_process import FEWEST_ROWS
from tests.end_to_end.program import configure, sandbox
from tests.torture.runs import database_of, ended, numbered, start
from tests.web.queue import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def child_of(process: subprocess.Popen[str]) -> int:
    """Wait until a command has started a process of its own; returns its number."""
    while True:
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        if found:
            return int(found[0])
        time.sleep(0.01)


def is_running(number: int) -> bool:
    """Whether a process is there and more than an entry that no one has asked for."""
    try:
        status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def events(folder: Path) -> list[str]:
    """Return the events of the newest run's log, but not the attempts."""
    database = database_of(folder)
    assert database is not None
    lines = (json.loads(line) for line in (database.parent / "run.log").read_text(encoding="utf-8").splitlines())
    first, *events, last = (line["event"] for line in lines if line["event"] != "attempt")
    assert (first, last) == ("run begins", "run ended")
    return events


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_workbook_has_every_row_whether_or_not_the_second_process_lives(
    tmp_path: Path, api: Sandbox, *, is_killed: bool
) -> None:
    """If that is killed in the middle, the run writes the workbook itself, and its end is the same."""
    numbered(tmp_path / "rows.csv", FEWEST_ROWS)
    configure(tmp_path, api.url)
    with api.held_after(FEWEST_ROWS // 2):
        process = start(tmp_path, "run", "rows.csv")
        child = child_of(process)
        api.wait_for(FEWEST_ROWS // 2 + 1)
        if is_killed:
            os.kill(child, signal.SIGKILL)
    code, result, _ = ended(process)
    assert (code, result["outcomes"]["updated"]) == (0, FEWEST_ROWS)
    assert events(tmp_path) == (["no report process"] if is_killed else [])
    until(lambda: not is_running(child))
    assert outcomes_in(result["results"]) == [(number, "updated") for number in range(2, FEWEST_ROWS + 2)]


def test_a_run_that_was_killed_takes_the_second_process_with_it(tmp_path: Path, api: Sandbox) -> None:
    """It is gone soon, keeps nothing of the run open, and the resumed run has every row once."""
    numbered(tmp_path / "rows.csv", FEWEST_ROWS)
    configure(tmp_path, api.url)
    with api.held_after(FEWEST_ROWS // 2):
        process = start(tmp_path, "run", "rows.csv")
        child = child_of(process)
        api.wait_for(FEWEST_ROWS // 2 + 1)
        process.kill()
        process.communicate()
    code, result, _ = ended(start(tmp_path, "run", "rows.csv"))
    assert (code, result["outcomes"]["updated"]) == (0, FEWEST_ROWS)
    until(lambda: not is_running(child))
    assert outcomes_in(result["results"]) == [(number, "updated") for number in range(2, FEWEST_ROWS + 2)]


def outcomes_in(workbook: str) -> list[tuple[object, ...]]:
    """Return row number and outcome of every row on the sheet with all of them."""
    book = openpyxl.load_workbook(workbook, read_only=True)
    rows: list[tuple[object, ...]] = list(book["All rows"].iter_rows(min_row=2, max_col=2, values_only=True))
    book.close()
    return rows
