"""A run is resumed from its own table; one that another version of the program has judged is judged again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.program import Sandbox, batch_updater, configure, sandbox
from tests.torture.runs import database_of, numbered

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


def test_a_confirmed_row_that_is_another_request_now_is_sent_again(tmp_path: Path, api: Sandbox) -> None:
    """A version that reads a cell otherwise asks for something else: the record does not hold that yet."""
    change(tmp_path, OTHER_VERSION, "UPDATE rows SET body = '{}' WHERE number = 2")
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
