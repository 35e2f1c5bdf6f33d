"""The rows of a file through several rounds: they keep file, row and cell, and are counted once."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.program import Done

pytestmark = pytest.mark.usefixtures("store")

COLUMNS = """sending: {rate_per_s: 5000, attempts: 3}
input: {columns: {Deal: OpportunityId, Kind: opportunityType, Sales Stage: StageName, Close date: PendingCloseDate}}
"""
HEADERS = ("Owner", "Deal", "Kind", "Sales Stage", "Close date")
NO_DAY, NO_STAGE = "31/02/2026", "Propsal"


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with sandbox() as api:
        configure(tmp_path, api.url, COLUMNS)
        yield Inside(tmp_path)


def file(folder: Path, rows: int, *, first_row: int = 1) -> Path:
    """Write q1.xlsx: in each fifth row the day does not exist, in each fourth the stage is misspelt."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for column, header in enumerate(HEADERS, 2):
        sheet.cell(first_row, column, header)
    for number in range(1, rows + 1):
        stage, day = NO_STAGE if number % 4 == 0 else "Proposal", NO_DAY if number % 5 == 0 else date(2026, 5, number)
        for column, value in enumerate(("Ann", 100 + number, "Pre", stage, day), 2):
            sheet.cell(first_row + number, column).value = value
    book.save(folder / "q1.xlsx")
    return folder / "q1.xlsx"


def to_fix(done: Done) -> dict[Any, list[Any]]:
    """Return the rows of the sheet by their first column."""
    rows = openpyxl.load_workbook(done.object["results"])["To fix"].iter_rows(min_row=2, values_only=True)
    return {row[0]: list(row) for row in rows}


def edited(done: Done, edit: Callable[[list[list[Any]]], list[list[Any]]]) -> str:
    """Replace the rows of To fix as a person would, and return the workbook's path."""
    path = str(done.object["results"])
    book = openpyxl.load_workbook(path)
    sheet = book["To fix"]
    rows = [list(row) for row in sheet.iter_rows(min_row=2, values_only=True)]
    sheet.delete_rows(2, len(rows))
    for row in edit(rows):
        sheet.append(row)
    book.save(path)
    return path


def repaired(row: list[Any]) -> list[Any]:
    return [*row[:8], "Proposal", date(2026, 6, 1)]


def counts(done: Done) -> tuple[int, int]:
    """How many rows were updated, and how many need someone: a name is refused by the API, or known to be by then."""
    needing = done.outcomes.get("invalid", 0) + done.outcomes.get("rejected", 0)
    assert done.outcomes["updated"] + needing == sum(done.outcomes.values())
    return done.outcomes["updated"], needing


def test_rows_keep_file_row_and_cell_and_are_counted_once(inside: Inside) -> None:
    """Deleted, sorted, copied and added: every row of the file is updated, removed or left, new ones are told apart."""
    first = inside("run", file(inside.folder, 20, first_row=3), "--yes", "--json")
    assert counts(first) == (12, 8)
    assert sorted(to_fix(first)) == [7, 8, 11, 13, 15, 18, 19, 23]
    assert "Close date (F8, field PendingCloseDate): '31/02/2026'" in to_fix(first)[8][2]

    def edit(rows: list[list[Any]]) -> list[list[Any]]:
        left = [repaired(row) if row[0] in {7, 13} else row for row in rows if row[0] != 15]
        copy = [None, *left[0][1:6], 500, *left[0][7:]]
        new = [*[None] * 5, "Ann", 600, "Pre", NO_STAGE, date(2026, 6, 1)]
        return [*reversed(left), copy, new]

    second = inside("run", edited(first, edit), "--yes", "--json")
    rows = to_fix(second)
    assert counts(second) == (3, 6)
    family, unknown, new = second.object["notes"]
    assert family == "q1.xlsx: 14 of 20 rows updated in 2 rounds, 1 removed, 5 need you. 2 new rows: 1 updated."
    assert unknown.startswith("Sales Stage: 'Propsal' in 3 good rows is not among the 6 names")
    assert new == "Rows 24, 25 are new: added or copied on the sheet To fix, and not in q1.xlsx."
    assert sorted(rows) == [8, 11, 18, 19, 23, 25]
    wrong = str(rows[8][2]).splitlines()
    assert wrong[0].startswith("Close date (F8 of q1.xlsx, field PendingCloseDate): '31/02/2026' is")
    assert wrong[1:] == ["First round: the same."]
    assert "New: this row was added on the sheet To fix; q1.xlsx does not have it." in rows[25][2]
    assert rows[11][3].startswith("Sales Stage (E11 of q1.xlsx): Did you mean 'Proposal'?")

    def last(rows: list[list[Any]]) -> list[list[Any]]:
        # The day is repaired and the stage is wrong now.
        return [[*row[:8], NO_STAGE, date(2026, 6, 1)] if row[0] == 8 else repaired(row) for row in rows]

    third = inside("run", edited(second, last), "--yes", "--json")
    assert third.object["notes"][0] == (
        "q1.xlsx: 18 of 20 rows updated in 3 rounds, 1 removed, 1 needs you. 2 new rows: 2 updated."
    )
    (row,) = to_fix(third).values()
    wrong = str(row[2]).splitlines()
    assert wrong[0].startswith("Nexus refused it (400")
    assert wrong[1].startswith("First round: Close date (F8, field PendingCloseDate): '31/02/2026' is")
    for done in (first, second, third):
        assert Path(done.object["run"]).name[15:] in {"-q1", "-q1-2", "-q1-3"}  # within the same second
        assert Path(done.object["results"]).name.startswith("q1-results-2")
    newest, middle, oldest = json.loads(inside("runs", "--json").out)["runs"]
    assert (newest["rounds"]["removed"], newest["rounds"]["updated"]) == (1, 18)
    assert (newest["rows_of"], middle["rows_of"], oldest["rows_of"]) == ("q1.xlsx", "q1.xlsx", None)
    assert middle["rounds"] is oldest["rounds"] is None
    assert third.object["notes"][0] in inside("runs").out
    again = inside("report", third.object["run"], "--json")
    assert again.object["notes"] == third.object["notes"]
    summary = openpyxl.load_workbook(again.object["results"])["Summary"]
    assert summary["A2"].value == third.object["notes"][0]
    assert third.object["notes"][0] in (Path(third.object["run"]) / "report.html").read_text(encoding="utf-8")


def test_a_question_about_a_repaired_workbook_names_the_cells_of_the_first_file(inside: Inside) -> None:
    """Column and row are those of the first file, as in every other message."""
    first = inside("run", file(inside.folder, 10), "--yes", "--json")

    def edit(rows: list[list[Any]]) -> list[list[Any]]:
        new = [*[None] * 5, "Ann", 600, "Pre", "Proposal", "04/05/2026"]
        return [new, *([*row[:8], "Proposal", "03/04/2026"] for row in rows)]

    refused = inside("run", edited(first, edit), "--yes")
    assert refused.code == 2
    told = " ".join(refused.err.split())
    assert "5 dates can be read either way, such as 04/05/2026 in new row 12." in told
    assert "How are the dates of 'Close date' (column F of q1.xlsx, sent as PendingCloseDate) written?" in told
    refused = inside("run", edited(first, lambda rows: rows[1:]), "--yes")
    assert "such as 03/04/2026 in row 5 of q1.xlsx." in " ".join(refused.err.split())


def test_a_number_that_was_filled_down_takes_no_row_over(inside: Inside) -> None:
    """A done row stays done, and of two rows with one number neither is sent: each is told with what to do."""
    first = inside("run", file(inside.folder, 10), "--yes", "--json")
    assert sorted(to_fix(first)) == [5, 6, 9, 11]

    def edit(rows: list[list[Any]]) -> list[list[Any]]:
        filled = [[number, *[None] * 4, "Bo", 700 + number, "Pre", "Proposal", date(2026, 6, 2)] for number in (7, 9)]
        return [*(repaired(row) for row in rows), *filled]

    done = inside("run", edited(first, edit), "--yes", "--json")
    assert done.outcomes == {"updated": 3, "invalid": 3}
    assert done.object["notes"][0] == ("q1.xlsx: 9 of 10 rows updated in 2 rounds, 1 needs you. 2 new rows: 0 updated.")
    rows = to_fix(done)
    assert (rows[9][6], rows[12][6], rows[13][6]) == (108, 707, 709)
    twice = "Column Row has 9 twice, in row 4 and in row 7 of the sheet To fix."
    assert str(rows[9][2]).startswith(twice)
    assert str(rows[13][2]).startswith(twice)
    other = "Column Row says 7 in row 6 of the sheet To fix, but row 7 of q1.xlsx was not to be fixed."
    assert str(rows[12][2]).startswith(other)
    assert "Empty the cell in column Row of the row that you have added: it is sent as a new one." in rows[12][3]

    def emptied(rows: list[list[Any]]) -> list[list[Any]]:
        return [row if row[0] == 9 else [None, *row[1:]] for row in rows]

    assert inside("run", edited(done, emptied), "--yes", "--json").outcomes == {"updated": 3}


def test_rows_of_one_record_are_sent_in_the_order_of_the_sheet(tmp_path: Path) -> None:
    """A row that was added between two others is sent between them, with `in_order`."""
    with sandbox() as api:
        configure(tmp_path, api.url, f"{COLUMNS}".replace("input: {", "input: {duplicates: in_order, "))
        inside = Inside(tmp_path)
        first = inside("run", file(tmp_path, 10), "--yes", "--json")

        def edit(rows: list[list[Any]]) -> list[list[Any]]:
            def row(number: int | None, day: int) -> list[Any]:
                return [number, *[None] * 4, "Bo", 800, "Pre", "Proposal", date(2026, 7, day)]

            return [row(None, 1), row(5, 2), row(None, 3), row(None, 4), row(9, 5), *map(repaired, rows[3:])]

        before = len(api.requests())
        done = inside("run", edited(first, edit), "--yes", "--json")
        assert done.outcomes == {"updated": 6}
        sent = [request for request in api.requests()[before:] if request["path"].endswith("/800")]
        days = [json.loads(request["body"])["PendingCloseDate"] for request in sent]
        assert days == [f"2026-07-0{day}" for day in (1, 2, 3, 4, 5)]


def test_the_preview_of_a_round_names_the_workbook_and_the_row_of_the_first_file(inside: Inside) -> None:
    """Its path is as long as a line, and its own row numbers are of no use to anyone."""
    first = inside("run", file(inside.folder, 20, first_row=3), "--yes", "--json")
    workbook = edited(first, lambda rows: [repaired(row) for row in rows])
    shown = inside("run", workbook, "--yes").err
    assert f'\nFile      {Path(workbook).name}, sheet "To fix"' in f"\n{shown}"
    assert "(row 7 of q1.xlsx)\n" in shown


def test_a_check_between_two_rounds_changes_nothing(inside: Inside) -> None:
    """Its workbook is named after the first file, says one way to go on, and can be run as one more round."""
    first = inside("run", file(inside.folder, 10), "--yes", "--json")
    path = first.object["results"]
    checked = inside("check", path, "--json")
    assert checked.object["results"] == str(Path(path).parent / "q1-check.xlsx")
    assert checked.object["next"] == {"kind": "correct", "command": ["batch-updater", "check", path]}
    assert "Close date (F6 of q1.xlsx, field PendingCloseDate)" in to_fix(checked)[6][2]
    second = inside("run", edited(checked, lambda rows: [repaired(row) for row in rows]), "--yes", "--json")
    assert second.object["notes"][0].startswith("q1.xlsx: 8 of 10 rows updated in 2 rounds, 2 removed.")


def test_a_checked_file_keeps_its_cells_where_the_workbook_of_the_check_is_run(inside: Inside) -> None:
    """Nothing was sent before, so these rows are a first round; addresses and names are those of the file."""
    checked = inside("check", file(inside.folder, 10), "--json")
    path = edited(checked, lambda rows: [row if row[0] == 6 else repaired(row) for row in rows])
    first = inside("run", path, "--yes", "--json")
    assert first.outcomes == {"updated": 1, "invalid": 1}
    assert "Close date (F6 of q1.xlsx, field PendingCloseDate)" in to_fix(first)[6][2]
    assert "First round" not in to_fix(first)[6][2]
    second = inside("run", edited(first, lambda rows: [repaired(row) for row in rows]), "--yes", "--json")
    assert second.object["notes"][0] == "q1.xlsx: 2 of 2 rows updated in 2 rounds."
    assert Path(second.object["run"]).name[15:].startswith("-q1")


def test_the_same_workbook_run_twice_counts_no_row_twice(inside: Inside) -> None:
    """Running the first results workbook once more sends its rows again; the file has no more rows by that."""
    first = inside("run", file(inside.folder, 10), "--yes", "--json")
    path = edited(first, lambda rows: [repaired(row) if row[0] == 5 else row for row in rows])
    assert inside("run", path, "--yes", "--json").outcomes == {"updated": 1, "invalid": 2, "rejected": 1}
    edited(first, lambda rows: [repaired(row) for row in rows])
    assert inside("run", path, "--yes", "--json").object["notes"][0] == "q1.xlsx: 10 of 10 rows updated in 3 rounds."


_REMOVED = pytest.param(
    "first run removed", marks=pytest.mark.one_process("the first run of a team is not in its folder"),
)  # fmt: skip


@pytest.mark.parametrize("damage", ["gone", "no JSON", "of another kind", "elsewhere", _REMOVED, "our columns changed"])
def test_a_workbook_that_has_lost_its_origin_is_run_all_the_same(inside: Inside, damage: str) -> None:
    """Settings deleted or damaged, the first run's folder removed, a header of ours renamed: nothing is invented."""
    first = inside("run", file(inside.folder, 10), "--yes", "--json")
    path = edited(first, lambda rows: [repaired(row) for row in rows[:-1]] + rows[-1:])
    book = openpyxl.load_workbook(path)
    if damage == "gone":
        del book["Settings"]
    elif damage == "first run removed":
        for left in Path(first.object["run"]).iterdir():
            if str(left) != path:
                left.unlink()
    elif damage == "our columns changed":
        book["To fix"]["A1"] = "No."
    else:
        (cell,) = [row[1] for row in book["Settings"].iter_rows() if row[0].value == "origin"]
        elsewhere = str(cell.value).replace('{"run":"', '{"run":"../')
        cell.value = {"no JSON": "x", "of another kind": '{"run": 5}', "elsewhere": elsewhere}[damage]
    book.save(path)
    second = inside("run", path, "--yes", "--json")
    assert second.outcomes == {"updated": 3, "invalid": 1}
    assert not any("rounds" in note for note in second.object["notes"])
    assert not any("First round" in str(row[2]) for row in to_fix(second).values())


def test_a_round_that_was_undone_is_named(inside: Inside) -> None:
    """Its rows are counted as they were then, so the sentence says which round it was."""
    first = inside("run", file(inside.folder, 10), "--compare", "--yes", "--json")
    path = edited(first, lambda rows: [repaired(row) for row in rows])
    second = inside("run", path, "--compare", "--yes", "--json")
    undo = inside("undo", second.object["run"], "--json").object
    assert inside("run", undo["undo"], "--yes", "--json").outcomes == {"updated": undo["rows"]}
    name = Path(second.object["run"]).name
    assert f"updated in 2 rounds. Undone since, at least in part: {name}." in inside("runs").out
