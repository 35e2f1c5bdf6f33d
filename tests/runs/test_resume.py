"""A run is resumed from its own table; one that another version of the program has judged is judged again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batch_updater.config.environment import Environment
from batch_updater.errors import UsageError
from batch_updater.questions import NO_ANSWERS
from batch_updater.runs.draft import CellEdit, Draft, Upload, stage_draft
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.open_run import open_draft
from batch_updater.runs.result import Options
from batch_updater.runs.run import ActiveRun
from tests.end_to_end.program import TOKEN, Sandbox, batch_updater, configure, sandbox
from tests.torture.runs import database_of, numbered
from tests.web.queue import config_in

ROWS = 8
DONE = 3
OTHER_VERSION = "UPDATE run SET value = '\"0.0\"' WHERE name = 'staged_by'"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve a sandbox at which the first rows of a file have been updated."""
    with sandbox() as served:
        configure(tmp_path, served.url, "sending: {rate_per_s: 2000}\n")
        numbered(tmp_path / "rows.csv", ROWS)
        trial = batch_updater("run", "rows.csv", "--limit", str(DONE), "--json", cwd=tmp_path)
        assert trial.outcomes == {"updated": DONE, "not_sent": ROWS - DONE}
        yield served


def change(folder: Path, *statements: str) -> None:
    """Change the database of the run, as another version might have left it."""
    path = database_of(folder)
    assert path
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def resumed(folder: Path, api: Sandbox) -> tuple[dict[str, int], int]:
    """Run the file again. Returns the outcomes, and how many requests went out."""
    before = len(api.requests())
    done = batch_updater("run", "rows.csv", "--json", cwd=folder)
    assert done.code == 0, done.err
    return done.outcomes, len(api.requests()) - before


def test_a_resumed_run_does_not_read_its_input_again(tmp_path: Path, api: Sandbox) -> None:
    """The copy in its folder may be gone or anything: the rows are in the table."""
    path = database_of(tmp_path)
    assert path
    (path.parent / "input.csv").write_text("nonsense", encoding="utf-8")
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE)


@pytest.mark.parametrize("lost", ["cells = '[\"\"]'", "path = '/old'", "problems = NULL"])
def test_rows_that_another_version_has_judged_are_judged_again(tmp_path: Path, api: Sandbox, lost: str) -> None:
    """What it stored of rows that are not done does not matter; what is confirmed is not sent again."""
    change(tmp_path, OTHER_VERSION, f"UPDATE rows SET {lost} WHERE outcome IS NULL")  # noqa: S608
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE)
    report = batch_updater("report", "--json", cwd=tmp_path)
    assert report.outcomes == {"updated": ROWS}


def begun(folder: Path, api: Sandbox, *, undone: bool = False) -> Draft:
    """Change a cell of the file on the page and send the first rows."""
    (folder / "upload").mkdir()
    shutil.copy(folder / "rows.csv", folder / "upload" / "input.csv")
    upload = Upload(folder / "upload" / "input.csv", "rows.csv", "rows", None)
    draft = stage_draft(upload, config_in(folder, api.url), NO_ANSWERS, None, progress=lambda _: None)
    draft.edit([CellEdit(ROWS, draft.columns.of_field["OpportunityName"], "edited")], "ann")
    if undone:
        draft.undo_edit(1, "ann")
    sent(draft, limit=DONE)
    return draft


def sent(draft: Draft, limit: int | None = None) -> str:
    """Send the rows of a draft, or some. Returns the name of the run."""
    environment = Environment({"NEXUS_TOKEN": TOKEN})
    with open_draft(draft, environment, sent_by="ann") as opened:
        ActiveRun(opened, Options(limit=limit), environment).execute(lambda _: None, StopRequests())
        return opened.folder.name


@pytest.fixture(name="page_api")
def _page_api(tmp_path: Path) -> Iterator[Sandbox]:
    with sandbox() as served:
        configure(tmp_path, served.url)
        numbered(tmp_path / "rows.csv", ROWS)
        yield served


def test_a_run_with_edits_is_not_resumed_with_the_file(tmp_path: Path, page_api: Sandbox) -> None:
    """It says why not; from the page it continues with its edits, whichever version has staged it."""
    draft = begun(tmp_path, page_api)
    change(tmp_path, OTHER_VERSION)
    (first,) = (tmp_path / "runs").glob("*/run.sqlite")
    done = batch_updater("run", "rows.csv", "--yes", cwd=tmp_path)
    said = f"The unfinished run {first.parent.name} is not resumed, because this has changed since: the edits made on"
    assert said in " ".join(done.err.split())
    assert len(page_api.requests()) == DONE + ROWS
    assert sent(draft) == first.parent.name
    draft.close()
    assert len(page_api.requests()) == DONE + ROWS + ROWS - DONE
    assert page_api.records()[ROWS]["OpportunityName"] == "edited"


def test_a_run_without_edits_in_the_end_is_judged_again_from_its_file(tmp_path: Path, page_api: Sandbox) -> None:
    """The edit that was undone is not made again."""
    begun(tmp_path, page_api, undone=True).close()
    change(tmp_path, OTHER_VERSION, "UPDATE rows SET path = '/old' WHERE outcome IS NULL")
    assert resumed(tmp_path, page_api) == ({"updated": ROWS}, ROWS - DONE)
    assert page_api.records()[ROWS]["OpportunityName"] != "edited"


def test_a_run_that_another_version_has_judged_otherwise_does_not_go_on_from_the_page(
    tmp_path: Path, page_api: Sandbox
) -> None:
    """What would be sent is not what the person sees."""
    draft = begun(tmp_path, page_api)
    of_row_7 = "(SELECT fields, path, query, body FROM rows WHERE number = 7)"
    change(tmp_path, OTHER_VERSION, f"UPDATE rows SET (fields, path, query, body) = {of_row_7} WHERE number = 8")  # noqa: S608
    with pytest.raises(UsageError, match=r"0\.0 of the program, which has begun it, reads some rows in another way"):
        sent(draft)
    draft.close()
    assert len(page_api.requests()) == DONE


def test_a_confirmed_row_that_is_another_request_now_is_sent_again(tmp_path: Path, api: Sandbox) -> None:
    """A version that reads a cell otherwise asks for something else: the record does not hold that yet."""
    change(tmp_path, OTHER_VERSION, "UPDATE rows SET body = '{}', fields = '[[],[\"\"]]' WHERE number = 2")
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE + 1)


def test_a_row_that_may_have_been_applied_stays_one_when_it_is_judged_again(tmp_path: Path, api: Sandbox) -> None:
    """Its attempts are counted on, and only an answer settles it."""
    change(
        tmp_path, OTHER_VERSION, "UPDATE rows SET state = 'in_flight', attempts = 1 WHERE number = 6",
        "UPDATE parts SET counts = NULL",
    )  # fmt: skip
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE)
    path = database_of(tmp_path)
    assert path
    with closing(sqlite3.connect(path)) as connection:
        attempts = "SELECT earlier_attempts, attempts FROM rows WHERE number = 6"
        assert connection.execute(attempts).fetchone() == (1, 1)


def test_a_body_that_is_only_written_in_another_way_is_the_same_request(tmp_path: Path, api: Sandbox) -> None:
    """A version that puts no blanks into JSON asks for the same."""
    change(tmp_path, OTHER_VERSION, "UPDATE rows SET body = replace(body, ': ', ':')")
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE)


@pytest.mark.usefixtures("api")
def test_what_may_have_been_applied_is_no_invalid_row_because_a_version_reads_it_otherwise(tmp_path: Path) -> None:
    """The API has to settle it; nothing that the program thinks of the cell can."""
    lines = "Id,Type,OpportunityName\n2,Pre,row 2\n3,Pre,row 3\nx,Pre,row 4\n"
    (tmp_path / "rows.csv").write_text(lines, encoding="utf-8")
    trial = batch_updater("run", "rows.csv", "--limit", "1", "--json", cwd=tmp_path)
    assert trial.outcomes == {"updated": 1, "not_sent": 1, "invalid": 1}
    fields = '[["OpportunityId","opportunityType","OpportunityName"],["iss",4,"Pre","row 4"]]'
    change(
        tmp_path, OTHER_VERSION, "UPDATE parts SET counts = NULL",
        "UPDATE rows SET state = 'in_flight', attempts = 1, problems = NULL, target = 'OpportunityId=4', "  # noqa: S608
        "path = '/api/v2/opportunities/4', query = 'opportunityType=Pre', body = '{\"OpportunityName\": \"row 4\"}', "
        f"fields = '{fields}' WHERE number = 4",
    )  # fmt: skip
    again = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert again.outcomes == {"updated": 3}, again.err


def test_an_answer_of_no_to_a_run_that_was_judged_again_does_no_harm(tmp_path: Path, api: Sandbox) -> None:
    """Its rows are those of the new version then, and what was confirmed stays."""
    change(tmp_path, OTHER_VERSION)
    refused = batch_updater("run", "rows.csv", "--json", cwd=tmp_path, BATCH_UPDATER_GUARDS__ROWS="1")
    assert refused.code == 2
    assert resumed(tmp_path, api) == ({"updated": ROWS}, ROWS - DONE)


def test_a_version_that_no_longer_finds_a_row_refuses_and_changes_nothing(tmp_path: Path, api: Sandbox) -> None:
    """What became of that row would be lost."""
    change(
        tmp_path, OTHER_VERSION, "UPDATE rows SET number = 99 WHERE number = 2", "UPDATE parts SET counts = NULL",
    )  # fmt: skip
    for _ in range(2):
        refused = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert refused.code == 2
        assert "row 99, which the input does not have" in refused.object["error"]["message"]
    assert len(api.requests()) == DONE


@pytest.mark.usefixtures("api")
def test_a_resumed_run_with_overridden_guards_writes_its_workbook(tmp_path: Path) -> None:
    """The guards are judged by the rows of the table, also once these are being sent."""
    done = batch_updater("run", "rows.csv", "--override-guards", "--json", cwd=tmp_path, BATCH_UPDATER_GUARDS__ROWS="1")
    assert (done.code, done.outcomes) == (0, {"updated": ROWS})
    assert Path(done.object["results"]).is_file()
