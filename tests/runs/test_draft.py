"""Drafts: uploads that are staged on disk and edited by people."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

import batch_updater
from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.errors import InputError, UsageError
from batch_updater.questions import Answers, OpenQuestionsError
from batch_updater.records import OutcomeKind
from batch_updater.runs.draft import DRAFT, CellEdit, Draft, HeldDraftError, Upload, stage_draft
from batch_updater.runs.history import newest_run
from batch_updater.runs.open_run import open_draft
from batch_updater.runs.report import report
from batch_updater.runs.result import Options
from batch_updater.runs.run import ActiveRun
from batch_updater.sandbox.server import Sandbox
from tests.runs.drafted import DAY, GOOD, ID, NAME, REVENUE, TYPE, configuration, content, drafted, uploaded
from tests.runs.test_guards import configuration as sending

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def row(number: int, **cells: str) -> list[str]:
    """Return a good row but for some cells."""
    at = {"type": TYPE, "name": NAME, "revenue": REVENUE, "day": DAY}
    made = [str(number), *GOOD[1:]]
    for name, text in cells.items():
        made[at[name]] = text
    return made


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Draft]:
    """Two rows with a wrong type, one with a wrong number, two of the same record, and a good one."""
    rows = [
        row(1, type="Prx"), row(2, type="Prx", revenue="x"), row(3), row(4), row(4, name="b"), row(6, day="01/02/2026"),
    ]  # fmt: skip
    made = drafted(uploaded(tmp_path / "upload", rows), configuration(tmp_path))
    yield made
    made.close()


def counts(draft: Draft) -> tuple[int, int, int]:
    """Return how many rows are good, wait, and are invalid."""
    summary = draft.summary()
    return tuple(summary[kind] for kind in (OutcomeKind.PLANNED, OutcomeKind.NOT_SENT, OutcomeKind.INVALID))  # type: ignore[return-value]


def test_the_grid_has_the_rows_that_need_someone_in_the_order_of_the_file(draft: Draft) -> None:
    """Page by page, all of them or those of one cause."""
    first = draft.grid(most=2)
    assert [one.number for one in first.rows] == [2, 3]
    assert first.total == 5
    assert first.next_after == 3
    rest = draft.grid(after=first.next_after, most=3)
    assert [one.number for one in rest.rows] == [5, 6, 7]
    assert rest.next_after is None
    (cause,) = [cause for cause in draft.summary().causes if "not a number" in cause.text]
    assert [one.number for one in draft.grid(cause=cause.text).rows] == [3]


def test_one_edit_repairs_every_cell_with_the_same_problem(draft: Draft) -> None:
    """Those with another value, or another problem, stay as they are."""
    (problem,) = draft.grid().rows[0].problems
    group = draft.group(problem)
    assert group is not None
    assert group.rows == 2
    assert draft.choices(draft.grid().rows[0], "opportunityType") == ("Pre", "Post")
    assert draft.edit_group(group, "Pre", "ann") == 2
    assert counts(draft) == (2, 0, 4)
    assert [(edit.row, edit.old, edit.new, edit.by) for edit in draft.edits()] == [
        (2, "Prx", "Pre", "ann"), (3, "Prx", "Pre", "ann"),
    ]  # fmt: skip
    assert [one.number for one in draft.grid(edited=True).rows] == [2, 3]


def test_an_edit_frees_the_other_row_of_its_record(draft: Draft) -> None:
    """Both are good once they update different records, and neither is once it is undone."""
    (edited,) = draft.edit([CellEdit(6, ID, "5")], "ann")
    assert edited.problems == ()
    assert counts(draft) == (3, 0, 3)
    assert draft.undo_edit(1, "bob").problems[0].code == "duplicate-target"
    assert counts(draft) == (1, 0, 5)


def test_an_undone_edit_takes_the_later_ones_of_its_cell_with_it(draft: Draft) -> None:
    """The cell holds what it held before the first of them."""
    draft.edit([CellEdit(3, REVENUE, "y")], "ann")
    draft.edit([CellEdit(3, REVENUE, "7"), CellEdit(3, NAME, "c")], "bob")
    assert draft.undo_edit(1, "bob").cells[REVENUE] == "x"
    assert [edit.number for edit in draft.edits() if edit.is_undone] == [1, 2]
    with pytest.raises(UsageError):
        draft.undo_edit(1, "bob")


def test_edits_that_were_made_together_are_undone_together(draft: Draft) -> None:
    """Those that are left of them, with the later ones of their cells; other edits stay, and so does who undid what."""
    before = draft.summary()
    draft.edit([CellEdit(5, NAME, "b")], "ann")
    group = draft.group(draft.grid().rows[0].problems[0])
    assert group is not None
    assert draft.edit_group(group, "Post", "ann", row=7) == 3
    alone, *together = draft.edits()
    assert [draft.made_together(edit) for edit in (alone, *together)] == [1, 3, 3, 3]
    draft.undo_edit(together[0].number, "bob")
    draft.edit([CellEdit(3, TYPE, "Pre")], "cia")
    assert draft.made_together(together[1]) == 2
    assert draft.undo_batch(together[0].number, "bob") == 2
    assert [edit.number for edit in draft.edits() if not edit.is_undone] == [alone.number]
    assert draft.grid(edited=True).total == 1
    assert draft.summary() == before
    with pytest.raises(UsageError, match="There is no edit 2 that could be undone"):
        draft.undo_batch(together[0].number, "bob")
    with pytest.raises(UsageError):
        draft.undo_batch(99, "bob")


def test_what_a_cell_shows_already_is_no_edit(draft: Draft) -> None:
    """A form that is sent as it was changes neither rows nor digests."""
    before = content(draft)
    draft.edit([CellEdit(3, at, text) for at, text in enumerate(row(2, type="Prx", revenue="x"))], "ann")
    assert content(draft) == before
    assert draft.edits() == ()


@pytest.mark.parametrize(
    "edit", [CellEdit(1, 0, "x"), CellEdit(99, 0, "x"), CellEdit(2, 99, "x"), CellEdit(2, -1, "x")]
)
def test_a_cell_that_there_is_not_cannot_be_edited(draft: Draft, edit: CellEdit) -> None:
    """Nothing of the other edits is kept either."""
    before = content(draft)
    with pytest.raises(UsageError):
        draft.edit([CellEdit(3, REVENUE, "1"), edit], "ann")
    assert content(draft) == before
    assert draft.edits() == ()


def test_a_draft_that_is_held_or_closed_says_why_it_cannot_be_changed(draft: Draft) -> None:
    """It is held while a run takes its copy, and closed while the file is checked again."""
    edit = [CellEdit(2, NAME, "x")]
    with draft.held("It is being sent."):
        with pytest.raises(HeldDraftError, match="It is being sent"):
            draft.edit(edit, "ann")
        assert draft.grid().total
    (row,) = draft.edit(edit, "ann")
    assert row.cells[NAME] == "x"
    draft.close()
    for attempt in (lambda: draft.edit(edit, "ann"), lambda: draft.undo_edit(1, "ann"), draft.grid, draft.digest):
        with pytest.raises(HeldDraftError, match="being checked again"):
            attempt()


def test_a_typed_number_with_two_readings_is_a_problem(draft: Draft) -> None:
    """The file, in which no number is written so, does not vouch for it."""
    (edited,) = draft.edit([CellEdit(4, REVENUE, "1.234")], "ann")
    assert [problem.code for problem in edited.problems] == ["ambiguous-number"]
    (edited,) = draft.edit([CellEdit(4, REVENUE, "1.2340")], "ann")
    assert edited.problems == ()


def test_a_typed_number_is_read_with_the_mark_that_was_answered(tmp_path: Path) -> None:
    """It has one reading then."""
    answers = Answers(decimal={"SalesRevenue": ","})
    draft = drafted(uploaded(tmp_path / "upload", [row(1, revenue="x")]), configuration(tmp_path), answers)
    (edited,) = draft.edit([CellEdit(2, REVENUE, "1.234")], "ann")
    assert edited.problems == ()
    assert '"SalesRevenue":1234' in str(draft.store.request(2).body).replace(" ", "")
    draft.close()


def test_a_question_is_gone_with_the_last_cell_that_raises_it(draft: Draft) -> None:
    """And is back if the edit is undone, also after the draft was opened again."""
    assert [question.kind for question in draft.questions] == ["date order"]
    draft.edit([CellEdit(7, DAY, "2026-02-01")], "ann")
    assert not draft.questions
    assert draft.plan().staged.questions == ()
    draft.close()
    reopened = Draft.open(draft.folder, draft.config)
    assert reopened is not None
    assert not reopened.questions
    reopened.undo_edit(1, "ann")
    assert [question.kind for question in reopened.questions] == ["date order"]
    reopened.close()


def test_a_row_with_too_few_cells_is_whole_once_its_last_one_is_typed(tmp_path: Path) -> None:
    """Undone, it has too few again; and a row with too many is whole once those are emptied."""
    rows: list[list[str]] = [["1", "Pre", "a"], row(2), [*row(3), "more"]]
    draft = drafted(uploaded(tmp_path / "upload", rows), configuration(tmp_path))
    (edited,) = draft.edit([CellEdit(2, NAME, "b")], "ann")
    assert [problem.code for problem in edited.problems] == ["ragged-row"]
    (edited,) = draft.edit([CellEdit(2, DAY, "")], "ann")
    assert edited.problems == ()
    assert [problem.code for problem in draft.undo_edit(2, "ann").problems] == ["ragged-row"]
    (edited,) = draft.edit([CellEdit(4, 5, "")], "ann")
    assert edited.problems == ()
    draft.close()


def test_an_edit_shows_in_identity_and_digest(draft: Draft) -> None:
    """The same for every person who makes it; not once it is undone."""
    identity, digest = draft.identity, draft.digest()
    assert identity.edits == ""
    draft.edit([CellEdit(4, NAME, "other")], "ann")
    edited = draft.identity, draft.digest()
    assert edited[0].edits
    assert edited[1] != digest
    draft.undo_edit(1, "bob")
    assert (draft.identity, draft.digest()) == (identity, digest)
    draft.edit([CellEdit(4, NAME, "other")], "bob")
    assert (draft.identity, draft.digest()) == edited


@pytest.mark.parametrize(
    "sections",
    [
        {"api": {"base_url": "http://127.0.0.1:2"}},
        {"input": {"decimal": ","}},
        {"api": {"base_url": "http://127.0.0.1:1", "fields": {"StageName": {"required": True}}}},
    ],
)
def test_a_draft_of_another_configuration_counts_as_none(
    draft: Draft, tmp_path: Path, sections: dict[str, dict[str, object]]
) -> None:
    """Its rows were judged otherwise, or would go elsewhere; guards and the like change nothing."""
    assert Draft.open(draft.folder, configuration(tmp_path, **sections)) is None
    other = Draft.open(draft.folder, configuration(tmp_path, guards={"rows": 1}))
    assert other is not None
    other.close()


def test_a_file_that_is_checked_again_keeps_its_edits(draft: Draft, tmp_path: Path) -> None:
    """With other answers too; an earlier draft that is still open takes no more."""
    draft.edit([CellEdit(3, REVENUE, "7")], "ann")
    upload = Upload(draft.folder / "input.csv", "week 48.csv", "week_48")
    answers = Answers(date_order={"PendingCloseDate": "DMY"})
    again = drafted(upload, configuration(tmp_path), answers)
    assert again.answers.date_order == {"PendingCloseDate": "DMY"}
    assert [(edit.row, edit.new) for edit in again.edits()] == [(3, "7")]
    assert again.row(3).cells[REVENUE] == "7"  # type: ignore[union-attr]
    with pytest.raises(UsageError):
        draft.edit([CellEdit(3, REVENUE, "8")], "ann")
    again.close()


def test_a_file_whose_columns_are_open_leaves_no_draft(tmp_path: Path) -> None:
    """The questions come as an error."""
    upload = uploaded(tmp_path / "upload", [["1", "Pre", "a"]], ("Id", "Type", "OpportunityNam"))
    with pytest.raises(OpenQuestionsError):
        drafted(upload, configuration(tmp_path))
    assert not (tmp_path / "upload" / DRAFT).exists()


def test_a_person_who_waits_may_end_the_check(tmp_path: Path) -> None:
    """What `progress` raises comes out, and there is no draft."""
    upload = uploaded(tmp_path / "upload", [row(1)])

    def stop(rows: int) -> None:
        raise KeyboardInterrupt(rows)

    with pytest.raises(KeyboardInterrupt):
        stage_draft(upload, configuration(tmp_path), Answers(), None, progress=stop)
    assert Draft.open(tmp_path / "upload", configuration(tmp_path)) is None
    drafted(upload, configuration(tmp_path)).close()


def test_a_file_that_cannot_be_read_leaves_no_draft(tmp_path: Path) -> None:
    """And one that was there before is still there."""
    upload = uploaded(tmp_path / "upload", [row(1)])
    drafted(upload, configuration(tmp_path)).close()
    upload.path.write_bytes(b"")
    with pytest.raises(InputError):
        drafted(upload, configuration(tmp_path))
    assert (tmp_path / "upload" / DRAFT).exists()


# --- killed ----------------------------------------------------------------------------------------------------------

_STAGES = """
import os, signal, sys
from pathlib import Path
from batch_updater.runs.draft import Upload, stage_draft
from batch_updater.questions import NO_ANSWERS
from tests.runs.drafted import configuration
folder = Path(sys.argv[1])
stage_draft(Upload(folder / "upload" / "input.csv", "a.csv", "a"), configuration(folder), NO_ANSWERS, None,
            progress=lambda rows: rows < 1000 or os.kill(os.getpid(), signal.SIGKILL))
"""
_EDITS = """
import sys
from pathlib import Path
from batch_updater.runs.draft import CellEdit, Draft
from tests.runs.drafted import configuration
folder = Path(sys.argv[1])
draft = Draft.open(folder / "upload", configuration(folder))
for number in range(10_000):
    draft.edit([CellEdit(2 + number % 50, 2, f"edit {number}"), CellEdit(2 + number % 50, 0, str(number % 7))], "ann")
    print(number, flush=True)
"""


def program(text: str, folder: Path) -> subprocess.Popen[str]:
    """Start a program."""
    return subprocess.Popen([sys.executable, "-c", text, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_check_that_is_killed_leaves_the_earlier_draft_with_its_edits(tmp_path: Path) -> None:
    """The next one begins from its start, and has them too."""
    upload, config = uploaded(tmp_path / "upload", [row(at) for at in range(1, 1501)]), configuration(tmp_path)
    draft = drafted(upload, config)
    draft.edit([CellEdit(5, NAME, "edited")], "ann")
    before = content(draft)
    draft.close()
    with program(_STAGES, tmp_path) as process:
        assert process.wait() == -signal.SIGKILL
    left = Draft.open(upload.path.parent, config)
    assert left is not None
    assert content(left) == before
    left.close()
    again = drafted(upload, config)
    assert content(again) == before
    again.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_an_edit_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """One that was not is there as a whole or not at all."""
    upload, config = uploaded(tmp_path / "upload", [row(at) for at in range(1, 51)]), configuration(tmp_path)
    drafted(upload, config).close()
    with program(_EDITS, tmp_path) as process:
        assert process.stdout is not None
        for _ in range(60):
            process.stdout.readline()
        process.kill()
        answered = 60 + len(process.stdout.read().splitlines())
    left = Draft.open(upload.path.parent, config)
    assert left is not None
    texts = [edit.new for edit in left.edits(most=100_000) if edit.position == NAME]
    assert texts[:answered] == [f"edit {number}" for number in range(answered)]
    assert len(texts) - answered <= 1
    after = content(left)
    left.close()
    again = drafted(upload, config)
    assert content(again) == after
    again.close()


def test_a_complete_draft_takes_its_place_after_a_kill(tmp_path: Path) -> None:
    """It has the edits of the earlier one, whose files, a write-ahead log among them, may be there still."""
    upload, config = uploaded(tmp_path / "upload", [row(1)]), configuration(tmp_path)
    draft = drafted(upload, config)
    draft.edit([CellEdit(2, NAME, "edited")], "ann")
    after, folder = content(draft), tmp_path / "upload"
    shutil.copytree(folder, tmp_path / "other")  # with the write-ahead log of the edit
    draft.close()
    complete = drafted(upload, config)
    complete.close()
    (folder / DRAFT).rename(tmp_path / "other" / f"{DRAFT}-ready")
    recovered = Draft.open(tmp_path / "other", config)
    assert recovered is not None
    assert content(recovered) == after
    assert not (tmp_path / "other" / f"{DRAFT}-ready").exists()
    recovered.close()


# --- rows that the API refused ---------------------------------------------------------------------------------------


def refused_run(tmp_path: Path, sandbox: Sandbox, *more_rows: list[str]) -> tuple[Upload, Path]:
    """Send two rows whose stages the API does not know, and more; return the workbook as an upload."""
    headers = ("Id", "Type", "StageName")
    file = uploaded(
        tmp_path / "first", [["1", "Pre", "No such stage"], ["2", "Pre", "Nor this one"], *more_rows], headers
    ).path
    config = sending(tmp_path, sandbox.url)
    result = batch_updater.run(file, config)
    assert result.results is not None
    assert result.folder is not None
    folder = tmp_path / "repair"
    folder.mkdir()
    shutil.copy(result.results, folder / "input.xlsx")
    return Upload(folder / "input.xlsx", "repair.xlsx", "repair", str(result.results), result.folder), result.folder


def test_a_refused_row_waits_for_a_person(tmp_path: Path) -> None:
    """It is invalid with what the API said, until a cell of it is changed or someone says that it is sent as it is."""
    with Sandbox() as sandbox:
        upload, _ = refused_run(tmp_path, sandbox)
        config = configuration(tmp_path, api={"base_url": sandbox.url})
    draft = drafted(upload, config)
    first, second = draft.grid().rows
    assert first.is_refused
    assert not first.is_wrong
    assert first.problems[0].field == "StageName"
    assert counts(draft) == (0, 0, 2)
    withheld = draft.identity.edits
    assert withheld
    position = draft.columns.of_field["StageName"]
    (edited,) = draft.edit([CellEdit(first.number, position, "Closed Won")], "ann")
    assert not edited.is_refused
    assert edited.problems == ()
    assert draft.undo_edit(1, "ann").is_refused
    accepted = draft.accept_row(second.number, "ann")
    assert not accepted.is_refused
    assert counts(draft) == (1, 0, 1)
    assert draft.identity.edits not in {"", withheld}
    with pytest.raises(UsageError):
        draft.accept_row(second.number, "ann")
    after = content(draft)
    draft.close()
    again = drafted(upload, config)
    assert content(again) == after
    again.close()


def test_a_row_that_the_check_finds_wrong_is_not_made_good_by_accepting_it(tmp_path: Path) -> None:
    """Its cell was wrong in the run already, or another row is about the same record by now."""
    with Sandbox() as sandbox:
        upload, _ = refused_run(tmp_path, sandbox, ["3", "Prx", ""])
        config = configuration(tmp_path, api={"base_url": sandbox.url})
    draft = drafted(upload, config)
    assert [(row.is_refused, row.is_wrong) for row in draft.grid().rows] == [(True, False), (True, False), (True, True)]
    first, second, third = draft.grid().rows
    draft.edit([CellEdit(second.number, draft.columns.headers.index("Id"), "1")], "ann")
    assert [(row.is_refused, row.is_wrong) for row in draft.grid().rows] == [(True, True)] * 3
    for row in (first, third):
        assert draft.accept_row(row.number, "ann").problems
    draft.close()


def test_the_known_names_of_a_refused_row_are_offered_nearest_first(tmp_path: Path) -> None:
    """They are those that the API has listed when it refused the row."""
    with Sandbox() as sandbox:
        upload, _ = refused_run(tmp_path, sandbox)
        config = configuration(tmp_path, api={"base_url": sandbox.url})
    draft = drafted(upload, config)
    refused = draft.grid().rows[0]
    assert len(draft.choices(refused, "StageName")) > 1
    (edited,) = draft.edit([CellEdit(refused.number, draft.columns.of_field["StageName"], "closed wom")], "ann")
    assert draft.choices(edited, "StageName")[0] == "Closed Won"
    draft.close()


# --- sent ------------------------------------------------------------------------------------------------------------


def test_a_run_sends_the_rows_as_they_are_edited_and_its_workbook_says_so(tmp_path: Path) -> None:
    """The workbook that `report` writes from the run's database alone has the same sheet."""
    with Sandbox() as sandbox:
        config = Config.model_validate(sending(tmp_path, sandbox.url))
        draft = drafted(uploaded(tmp_path / "upload", [row(1, type="Prx"), row(2), row(3, revenue="x")]), config)
        draft.edit([CellEdit(2, TYPE, "Pre"), CellEdit(3, NAME, "edited"), CellEdit(4, REVENUE, "y")], "ann")
        draft.edit([CellEdit(3, NAME, "edited twice")], "bob")
        with open_draft(draft, Environment({})) as opened:
            result = ActiveRun(opened, Options(), Environment({})).execute()
        draft.close()
        assert result.summary[OutcomeKind.UPDATED] == 2
        assert any(b"edited twice" in request.body for request in sandbox.received)
    again = report(newest_run(tmp_path / "runs"), tmp_path / "again.xlsx")
    for workbook in (result.results, again.results):
        assert workbook is not None
        lines = [[cell.value for cell in line] for line in openpyxl.load_workbook(workbook)["Edits"].iter_rows()]
        assert [line[:5] for line in lines] == [
            ["Row", "Column", "Old", "New", "Who"],
            [2, "Type", "Prx", "Pre", "ann"],
            [3, "OpportunityName", "a", "edited", "ann"],
            [3, "OpportunityName", "edited", "edited twice", "bob"],
            [4, "SalesRevenue", "x", "y", "ann"],
        ]
        to_fix = openpyxl.load_workbook(workbook)["To fix"]
        assert [cell.value for cell in to_fix[2]][0:2] == [4, "invalid"]
        assert "y" in [cell.value for cell in to_fix[2]]


def test_an_undo_workbook_takes_no_change_of_which_nothing_is_expected(tmp_path: Path) -> None:
    """A newer change of that field could be overwritten; a file that is checked again says the same."""
    with Sandbox() as sandbox:
        headers = ("Id", "Type", "OpportunityName")
        first = uploaded(tmp_path / "first", [["1", "Pre", "a"], ["2", "Pre", "b"]], headers).path
        config = sending(tmp_path, sandbox.url) | {"sending": {"rate_per_s": 1000, "compare": True}}
        result = batch_updater.run(first, config)
        assert result.folder is not None
        undo = batch_updater.undo(result.folder, config)
    assert undo.path.exists()
    folder = tmp_path / "undo"
    folder.mkdir()
    shutil.copy(undo.path, folder / "input.xlsx")
    upload = Upload(folder / "input.xlsx", "undo.xlsx", "undo", str(undo.path))
    settings = Config.model_validate(config)
    draft = drafted(upload, settings)
    assert draft.staged.is_undo
    assert counts(draft) == (2, 0, 0)
    draft.edit([CellEdit(2, draft.columns.of_field["OpportunityName"], "x")], "ann")
    assert counts(draft) == (2, 0, 0)
    draft.store.execute("DELETE FROM expected WHERE target = (SELECT target FROM rows WHERE number = 2)")
    (edited,) = draft.edit([CellEdit(2, draft.columns.of_field["OpportunityName"], "y")], "ann")
    assert [problem.code for problem in edited.problems] == ["not-expected"]
    draft.close()
