"""--visible-only: a decision that check, run, resuming, report and the workbook all keep to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import filtered

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

pytestmark = pytest.mark.usefixtures("store")


def cells(sheet: ReadOnlyWorksheet) -> set[str]:
    return {str(cell) for row in sheet.values for cell in row if cell is not None}


def test_hidden_rows_are_left_out_and_the_workbook_says_so(tmp_path: Path) -> None:
    """They are no data rows of the run, which is finished without them: exit code 0, and report writes it so again."""
    filtered(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url)
        done = batch_updater("run", "c.xlsx", "--visible-only", "--json", cwd=tmp_path)
        assert sorted(int(request["path"].rpartition("/")[2]) for request in api.requests()) == [1, 4, 6]
    told = "3 rows hidden in the sheet (filtered, or by hand) are left out, as you said: rows 3-4, 6."
    assert (done.code, done.object["rows"], done.outcomes) == (0, 3, {"updated": 3})
    assert told in done.object["notes"]
    (run,) = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    assert (run["unfinished"], run["rows"]) == (False, 3)
    again = batch_updater("report", run["run"], "--json", "--results", "again.xlsx", cwd=tmp_path)
    assert (again.code, again.outcomes) == (0, {"updated": 3})
    for path in (done.object["results"], tmp_path / "again.xlsx"):
        book = openpyxl.load_workbook(path, read_only=True)
        assert told in cells(book["Summary"])
        assert "--visible-only" in cells(book["Settings"])
        assert [row[0] for row in book["All rows"].iter_rows(min_row=2, values_only=True)] == [2, 5, 7]
        book.close()


def test_hidden_rows_are_sent_only_if_an_option_says_so(tmp_path: Path) -> None:
    """Without a terminal the message names the options; those that are sent are counted in a note."""
    filtered(tmp_path)
    with sandbox() as api:
        configure(tmp_path, api.url)
        refused = batch_updater("run", "c.xlsx", cwd=tmp_path)
        assert (refused.code, api.requests()) == (2, [])
        assert "    --all-rows   yes: they are sent like the others\n" in refused.err
        done = batch_updater("run", "c.xlsx", "--all-rows", cwd=tmp_path)
        assert len(api.requests()) == 6
    assert done.code == 0
    assert "3 rows are hidden in the sheet" in done.err


@pytest.mark.parametrize("option", ["--all-rows", "--visible-only"])
def test_a_run_is_gone_on_with_only_by_the_same_decision(tmp_path: Path, option: str) -> None:
    """Other rows are another run, and the note names what has changed; the next command keeps the option."""
    filtered(tmp_path)
    with sandbox("--fault", "status-503=1") as down:
        configure(tmp_path, down.url, "sending: {rate_per_s: 500, attempts: 1}\n")
        first = batch_updater("run", "c.xlsx", "--visible-only", cwd=tmp_path)
        assert first.code == 3
        assert "batch-updater run c.xlsx --visible-only" in first.out
        second = batch_updater("run", "c.xlsx", option, cwd=tmp_path)
    assert ("Resuming the run" in second.err) == (option == "--visible-only")
    assert ("whether hidden rows are left out (--visible-only)" in second.err) == (option == "--all-rows")


def test_a_check_leaves_them_out_and_names_the_run_that_does(tmp_path: Path) -> None:
    """What was checked is what is sent: command line and workbook name the option."""
    filtered(tmp_path)
    configure(tmp_path, "http://127.0.0.1:9")
    done = batch_updater("check", "c.xlsx", "--visible-only", cwd=tmp_path)
    assert (done.code, "All 3 rows are good." in done.out) == (0, True)
    assert "batch-updater run c.xlsx --visible-only" in done.out
    book = openpyxl.load_workbook(tmp_path / "c-check.xlsx", read_only=True)
    assert any("run c.xlsx --visible-only" in cell for cell in cells(book["Summary"]))
    book.close()
