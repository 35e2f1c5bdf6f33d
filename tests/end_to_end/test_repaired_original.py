"""The original file repaired and run again, instead of the results workbook: the note about rows that are done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import dialogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def rows(path: Path, *amounts: object, first: int = 1) -> Path:
    """Write a file with a row for each amount, of which a text is refused."""
    lines = [f"{number},Pre,{amount}" for number, amount in enumerate(amounts, first)]
    path.write_text("\n".join(["Id,Type,SalesRevenue", *lines, ""]), encoding="utf-8")
    return path


def told(folder: Path, file: str, command: str = "check") -> list[str]:
    """Return what a command says of earlier runs."""
    notes = batch_updater(command, file, "--json", cwd=folder).object["notes"]
    return [note for note in notes if "with the same values" in note]


def first_run(folder: Path, api: Sandbox, *options: str) -> Path:
    """Run three rows of which one is wrong; returns the workbook."""
    configure(folder, api.url)
    rows(folder / "deals.csv", 10, "abc", 30)
    done = batch_updater("run", "deals.csv", *options, "--json", cwd=folder)
    assert (done.code, done.outcomes) == (1, {"updated": 2, "invalid": 1})
    return Path(done.object["results"])


@pytest.mark.one_process("the workbook is fetched into the folder of this host")
def test_it_is_said_which_rows_are_sent_again_and_which_workbook_sends_the_others(tmp_path: Path, api: Sandbox) -> None:
    """Check and run say it, in --json and in the log; the question counts the rows; the run's workbook keeps it."""
    workbook = first_run(tmp_path, api)
    rows(tmp_path / "deals.csv", 10, 20, 30)
    (note,) = told(tmp_path, "deals.csv")
    assert note.startswith("2 of 3 good rows were updated with the same values by the run ")
    assert workbook.parent.name in note
    assert ": they are sent again. To send only the row that is left, run this results workbook instead" in note
    assert note.endswith(f": {workbook}")
    code, shown = dialogue([("[y/N]", "n")], tmp_path, "run", "deals.csv")
    said = " ".join(shown.split())
    assert (code, "2 of 3 good rows were updated with the same values" in said) == (2, True), shown
    assert "Send 3 updates, 2 of them again, to" in said
    done = batch_updater("run", "deals.csv", cwd=tmp_path)
    assert "2 of 3 good rows were updated with the same values" in done.err
    written = openpyxl.load_workbook(tmp_path / done.out.partition("Results: ")[2].partition("\n")[0])
    assert any("with the same values" in str(cell) for row in written["Summary"].values for cell in row)


def test_the_file_may_have_another_name_and_rows_put_in(tmp_path: Path, api: Sandbox) -> None:
    """It is the rows that tell: a copy under another name, with rows above the old ones."""
    first_run(tmp_path, api)
    path = rows(tmp_path / "deals (repaired).csv", 10, 20, 30)
    lines = path.read_text(encoding="utf-8").splitlines()
    new = [f"{number},Pre,1" for number in range(900, 930)]
    path.write_text("\n".join([lines[0], *new, *lines[1:], ""]), encoding="utf-8")
    assert [note.partition(" good")[0] for note in told(tmp_path, path.name)] == ["2 of 33"]


def test_what_was_repaired_in_the_workbook_is_done_too(tmp_path: Path, api: Sandbox) -> None:
    """After both runs all rows are done, by two runs, and no workbook is left to be run."""
    workbook = first_run(tmp_path, api)
    book = openpyxl.load_workbook(workbook)
    book["To fix"]["G2"] = 20
    book.save(tmp_path / "repaired.xlsx")
    assert batch_updater("run", "repaired.xlsx", "--json", cwd=tmp_path).outcomes == {"updated": 1}
    rows(tmp_path / "deals.csv", 10, 20, 30)
    (note,) = told(tmp_path, "deals.csv")
    assert note.startswith("3 of 3 good rows were updated with the same values by the runs ")
    assert note.endswith(": they are sent again.")


def test_a_workbook_that_was_run_is_not_proposed_however_many_runs_came_since(tmp_path: Path, api: Sandbox) -> None:
    """Nor where it was run under another name: the last round alone holds the rows that are left."""
    workbook = first_run(tmp_path, api)
    book = openpyxl.load_workbook(workbook)
    book["To fix"]["G2"] = 20
    book.save(tmp_path / "repaired.xlsx")
    assert batch_updater("run", "repaired.xlsx", "--json", cwd=tmp_path).outcomes == {"updated": 1}
    for number in range(5):
        rows(tmp_path / f"other-{number}.csv", 1, 2, 3, first=500 + 3 * number)
        assert batch_updater("run", f"other-{number}.csv", cwd=tmp_path).code == 0
    rows(tmp_path / "deals.csv", 10, 25, 30)
    (note,) = told(tmp_path, "deals.csv")
    assert note.startswith("2 of 3 good rows were updated with the same values by the run ")
    assert note.endswith(": they are sent again.")


def test_a_workbook_that_is_gone_can_be_written_again(tmp_path: Path, api: Sandbox) -> None:
    """The command that does so is named."""
    workbook = first_run(tmp_path, api)
    workbook.unlink()
    rows(tmp_path / "deals.csv", 10, 20, 30)
    (note,) = told(tmp_path, "deals.csv")
    assert f"batch-updater report {workbook.parent.name} writes it again" in note


def test_other_rows_and_undone_rows_are_not_mentioned(tmp_path: Path) -> None:
    """Other values, other records, another address, a run that was undone since."""
    with sandbox() as api:
        workbook = first_run(tmp_path, api, "--compare")
        assert not told(tmp_path, rows(tmp_path / "deals.csv", 11, 20, 31).name)
        assert not told(tmp_path, rows(tmp_path / "deals.csv", 10, 20, 30, first=500).name)
        rows(tmp_path / "deals.csv", 10, 20, 30)
        configure(tmp_path, "http://127.0.0.1:9")
        assert not told(tmp_path, "deals.csv")
        configure(tmp_path, api.url)
        assert told(tmp_path, "deals.csv")
        compared = batch_updater("check", "deals.csv", "--compare", "--json", cwd=tmp_path).object["notes"]
        assert any("they are sent again only where the record holds something else by now" in note for note in compared)
        assert batch_updater("undo", workbook.parent, cwd=tmp_path).code == 0
        assert batch_updater("run", workbook.parent / "undo.xlsx", cwd=tmp_path).code == 0
        assert not told(tmp_path, "deals.csv")


@pytest.mark.one_process("it is about the database as a file")
def test_a_damaged_database_costs_no_more_than_the_sentence(tmp_path: Path, api: Sandbox) -> None:
    """A check goes on as it would without any earlier run."""
    workbook = first_run(tmp_path, api)
    (workbook.parent / "run.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    rows(tmp_path / "deals.csv", 10, 20, 30)
    assert not told(tmp_path, "deals.csv")
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("no folder", encoding="utf-8")
    assert not told(tmp_path, "deals.csv")


@pytest.mark.one_process("a run is told by its name, not its folder")
def test_json_names_the_run_that_has_applied_the_same_rows(tmp_path: Path, api: Sandbox) -> None:
    """Of a check, of a run and of its report; null where none has."""
    configure(tmp_path, api.url)
    (tmp_path / "rows.csv").write_text("Id,Type,OpportunityName\n1,Pre,a\n2,Pre,b\n", encoding="utf-8")
    first = batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path)
    assert first.object["repeats"] is None
    (tmp_path / "copy.csv").write_bytes((tmp_path / "rows.csv").read_bytes())
    for name in ("rows.csv", "copy.csv"):
        assert batch_updater("check", name, "--json", cwd=tmp_path).object["repeats"] == first.object["run"]
    again = batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path)
    assert again.object["repeats"] == first.object["run"]
    written = batch_updater("report", again.object["run"], "--json", "--results", "r.xlsx", cwd=tmp_path)
    assert written.object["repeats"] == first.object["run"]


def test_a_run_that_applied_nothing_is_not_repeated(tmp_path: Path, api: Sandbox) -> None:
    """Nor one that applied only some of the rows."""
    configure(tmp_path, api.url)
    for outcomes in ("Nonsense", "Qualified"):
        lines = f"Id,Type,StageName\n1,Pre,Nonsense\n2,Pre,{outcomes}\n"
        (tmp_path / "rows.csv").write_text(lines, encoding="utf-8")
        for _ in range(2):
            assert batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path).object["repeats"] is None
