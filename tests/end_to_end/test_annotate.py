"""--annotate: the copy of a person's own workbook, the notes about it, and that it runs like any file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import Done, Sandbox, configure, sandbox
from tests.end_to_end.test_mapping_table import age
from tests.end_to_end.test_terminal import converse
from tests.loader.described import workbook

pytestmark = pytest.mark.usefixtures("store")

HEADERS = ["OpportunityId", "Type", "OpportunityName", "SalesRevenue", "PendingCloseDate"]
ROWS: list[list[object]] = [
    [*HEADERS],
    [101, "Pre", "Alder", 12.5, "2026-06-30"],
    [102, "Pre", "Birch", "12k", "2026-06-30"],
    [103, "Post", "  Cedar ", 0.1, "2026-06-30"],
]


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def program(tmp_path: Path, api: Sandbox) -> Inside:
    configure(tmp_path, api.url)
    workbook(tmp_path / "changes.xlsx", {"Changes": ROWS})
    return Inside(tmp_path)


def test_the_copy_of_a_run_sends_the_same_and_not_its_own_columns(program: Inside, api: Sandbox) -> None:
    original = (program.folder / "changes.xlsx").read_bytes()
    done = program("run", "changes.xlsx", "--annotate")
    (copy,) = program.folder.glob("runs/*/changes-annotated.xlsx")
    assert f"Annotated: {copy.relative_to(program.folder)}" in done.out
    assert outcomes_in(copy) == ["updated", "invalid", "updated"]
    assert (program.folder / "changes.xlsx").read_bytes() == original
    before = len(api.requests())
    again = program("run", copy, "--json")
    first, second = (sorted((one["path"], one["body"]) for one in part) for part in split(api.requests(), before))
    assert second == first
    assert [column["field"] for column in again.object["columns"]][len(HEADERS) :] == [None, None, None]
    assert again.code == done.code == 1


def test_a_check_writes_the_copy_beside_its_results(program: Inside) -> None:
    (program.folder / "out").mkdir()
    checked = program("check", "changes.xlsx", "--annotate", "--results", "out/checked.xlsx", "--json")
    copy = program.folder / "out" / "changes-annotated.xlsx"
    assert outcomes_in(copy) == ["planned", "invalid", "planned"]
    sheet = openpyxl.load_workbook(copy)["Changes"]
    assert sheet["D3"].comment.text.startswith("batch-updater: '12k' is not a number.")
    assert not [note for note in checked.object["notes"] if "annotated" in note]
    assert checked.code == 1


def test_a_row_that_holds_our_columns_alone_is_blank(program: Inside) -> None:
    program("check", "changes.xlsx", "--annotate")
    copy = program.folder / "changes-annotated.xlsx"
    book = openpyxl.load_workbook(copy)
    for cell in book["Changes"][3][: len(HEADERS)]:
        cell.value = None
    book.save(copy)
    checked = program("check", copy, "--json")
    assert checked.object["rows"] == 2
    assert checked.code == 0


def test_a_template_that_is_annotated_is_still_one(program: Inside) -> None:
    program("template", "filled.xlsx")
    book: Any = openpyxl.load_workbook(program.folder / "filled.xlsx")
    headers = [cell.value for cell in book["Data"][1]]
    for name, value in zip(("OpportunityId", "opportunityType", "OpportunityName"), (101, "Pre", "Elm"), strict=True):
        book["Data"].cell(2, headers.index(name) + 1).value = value
    book.save(program.folder / "filled.xlsx")
    program("check", "filled.xlsx", "--annotate", "--yes")
    checked = program("check", "filled-annotated.xlsx", "--json")
    assert (checked.object["sheet"], checked.outcomes) == ("Data", {"planned": 1})


def test_without_a_terminal_nothing_is_lost_unless_yes_is_given(program: Inside) -> None:
    with_formula(program.folder / "changes.xlsx")
    first = program("run", "changes.xlsx", "--annotate", "--json")
    assert "would lose the saved results of a formula" in note_of(first)
    assert not list(program.folder.glob("runs/*/*-annotated.xlsx"))
    assert first.outcomes == {"updated": 2, "invalid": 1}
    again = program("run", "changes.xlsx", "--annotate", "--yes", "--json")
    assert "lacks the saved results of a formula" in note_of(again)
    (copy,) = program.folder.glob("runs/*/*-annotated.xlsx")
    assert openpyxl.load_workbook(copy)["Other"]["A1"].value == "=1+1"
    assert first.code == again.code == 1


@pytest.mark.parametrize(("answer", "copies"), [("y", 1), ("n", 0)])
def test_a_person_is_asked_before_anything_is_lost(program: Inside, api: Sandbox, answer: str, copies: int) -> None:
    with_formula(program.folder / "changes.xlsx")
    ended, shown = converse(answer, program.folder, "check", "changes.xlsx", "--annotate")
    question = " ".join(shown.split())
    assert "Annotating loses the saved results of a formula" in question
    assert "Write the annotated copy anyway? [y/N]" in question
    assert len(list(program.folder.glob("*-annotated.xlsx"))) == copies
    assert ended == 1
    assert api.requests() == []


def test_a_csv_file_has_no_annotated_copy(program: Inside) -> None:
    (program.folder / "rows.csv").write_text("Id,Type,OpportunityName\n5,Pre,x\n", encoding="utf-8")
    done = program("run", "rows.csv", "--annotate")
    assert "Note: There is no annotated copy: only .xlsx and .xlsm files can be annotated." in done.out
    assert "Note: There is no annotated copy" in done.err
    assert done.code == 0


def test_the_setting_holds_for_the_nightly_job_too(program: Inside, api: Sandbox) -> None:
    inbox = program.folder / "inbox"
    inbox.mkdir()
    configure(program.folder, api.url, "results: {annotate: true}\nnightly: {inbox: inbox}\n")
    (program.folder / "changes.xlsx").rename(inbox / "changes.xlsx")
    age(inbox / "changes.xlsx")
    program("nightly")
    (copy,) = program.folder.glob("runs/*/changes-annotated.xlsx")
    assert outcomes_in(copy) == ["updated", "invalid", "updated"]


def outcomes_in(copy: Path) -> list[object]:
    """Return what the column `Outcome` says."""
    header, *rows = openpyxl.load_workbook(copy)["Changes"].iter_rows(values_only=True)
    at = header.index("Outcome")
    return [row[at] for row in rows]


def split(requests: list[dict[str, Any]], at: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return requests[:at], requests[at:]


def with_formula(path: Path) -> None:
    """Give a workbook another sheet with a formula whose result is saved."""
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Changes")
        for number, row in enumerate(ROWS):
            sheet.write_row(number, 0, row)
        book.add_worksheet("Other").write_formula(0, 0, "=1+1", value=2)


def note_of(done: Done) -> str:
    (note,) = (one for one in done.object["notes"] if "annotated" in one)
    return str(note)
