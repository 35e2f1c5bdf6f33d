"""retention.py: which folders of past runs are removed, and which never."""

from __future__ import annotations

import json
import logging
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import openpyxl
import pytest
from msgspec.structs import replace

from batch_updater.config.schema import ResultsSettings
from batch_updater.reporter.output_workbook import new_workbook
from batch_updater.runs.lock import locked
from batch_updater.runs.retention import remove_old_runs
from tests.runs.test_history import DONE, FAILED, STARTED, made
from tests.test_files import NOT_OURS

if TYPE_CHECKING:
    from pathlib import Path

ALL_DONE = (DONE, replace(DONE, row=3))
NAME = "20260102-030405-items"
WORKBOOK = "items-results-20260102-030405.xlsx"


def clean(parent: Path, *, days_later: float, in_use: Path | None = None) -> None:
    """Remove what is older than ten days, at a moment so long after the runs."""
    settings = ResultsSettings.model_construct(folder=parent, keep_days=10)
    remove_old_runs(settings, STARTED + timedelta(days=days_later), in_use=in_use or parent / "other")


def finished(parent: Path, name: str = NAME) -> Path:
    """Make the folder of a finished run with all that a run leaves there."""
    folder = made(parent, name, *ALL_DONE)
    for file in ("input.csv", "run.log", "report.html"):
        (folder / file).touch()
    for file in ("undo.xlsx", WORKBOOK):
        (folder / file).touch()
        with new_workbook(folder / file) as workbook:
            workbook.describe("Results", "results", datetime(2026, 1, 2, tzinfo=UTC))
            workbook.add_worksheet("To fix")
    return folder


def test_a_finished_run_goes_when_its_days_are_over(tmp_path: Path) -> None:
    """Counted from its end: the folder is there until then, and gone after."""
    folder = finished(tmp_path)
    clean(tmp_path, days_later=9.9)
    assert folder.exists()
    clean(tmp_path, days_later=10.1)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["undo.xlsx", "items-results-20260102-030405.xlsx"])
def test_a_workbook_that_was_saved_since_stays(tmp_path: Path, name: str) -> None:
    """It holds what they have repaired, though its name is one of ours."""
    folder = finished(tmp_path)
    book = openpyxl.load_workbook(folder / name)
    book["To fix"]["A1"] = "repaired"
    book.save(folder / name)
    clean(tmp_path, days_later=1000)
    assert openpyxl.load_workbook(folder / name)["To fix"]["A1"].value == "repaired"


@pytest.mark.parametrize("ending", [".xlsx", ".xlsm"])
def test_an_annotated_copy_goes_with_its_run_unless_a_person_has_saved_it(tmp_path: Path, ending: str) -> None:
    """With macros or without."""
    folder = finished(tmp_path)
    copy = folder / f"items-annotated{ending}"
    shutil.copy(folder / "items-results-20260102-030405.xlsx", copy)
    ours = copy.read_bytes()
    openpyxl.load_workbook(copy).save(copy)
    clean(tmp_path, days_later=1000)
    assert copy.exists()
    copy.write_bytes(ours)
    clean(tmp_path, days_later=1000)
    assert not folder.exists()


def test_an_unfinished_run_never_goes(tmp_path: Path) -> None:
    """Whether rows are not done or it was cut off: a person may resume it."""
    kept = [made(tmp_path, NAME, DONE, FAILED), made(tmp_path, f"{NAME}-2", *ALL_DONE, ended=False)]
    clean(tmp_path, days_later=1000)
    assert all(folder.exists() for folder in kept)


def test_the_run_in_use_never_goes(tmp_path: Path) -> None:
    """However old its name says it is."""
    folder = finished(tmp_path)
    clean(tmp_path, days_later=1000, in_use=folder)
    assert folder.exists()


@pytest.mark.parametrize("name", ["items", "20260102-030405", "20269999-030405-items", "2026-backup", NAME[1:]])
def test_what_is_not_named_like_a_run_stays(tmp_path: Path, name: str) -> None:
    """A folder that has a database of ours but another name is a person's copy."""
    folder = finished(tmp_path, name)
    clean(tmp_path, days_later=1000)
    assert folder.exists()


@pytest.mark.parametrize(("name", "content"), [
    ("run.sqlite", b""), ("run.sqlite", b"no database" * 500), ("run.log", b""), ("notes.txt", b"mine"),
    ("run.sqlite-commits", b"\0\0\0\0\0\0\0\5"),
])  # fmt: skip
def test_what_has_no_database_of_ours_stays(tmp_path: Path, name: str, content: bytes) -> None:
    """The name alone proves nothing, and a run that has lost its database has sent rows."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "input.csv").touch()
    (folder / name).write_bytes(content)
    clean(tmp_path, days_later=1000)
    assert folder.exists()


@pytest.mark.parametrize("names", [
    (), ("input.csv",), ("input.xlsx", "run.sqlite-new", "run.sqlite-new-journal"),
    ("input", "run.sqlite-new", "run.sqlite-commits"),
])  # fmt: skip
def test_what_a_kill_while_staging_has_left_goes_when_its_days_are_over(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Nothing of it was sent, and no command ever looks at it again."""
    folder = tmp_path / NAME
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(bytes(8))
    clean(tmp_path, days_later=9.9)
    assert folder.exists()
    clean(tmp_path, days_later=10.1)
    assert not folder.exists()


@pytest.mark.parametrize("after_s", [-3600, 0.5])
def test_a_folder_stays_while_a_process_may_still_stage_its_rows(tmp_path: Path, after_s: float) -> None:
    """One that has held a lock since before the folder was made, whichever API it is for; and it goes after that."""
    folder, holder = tmp_path / NAME, tmp_path / ".lock-0123456789ab.json"
    folder.mkdir()
    since = STARTED + timedelta(seconds=after_s)
    for process, stays in ((os.getpid(), True), (2**31 - 1, False)):
        holder.write_text(json.dumps({"process": process, "file": "x.csv", "since": since.isoformat()}), "utf-8")
        clean(tmp_path, days_later=1000)
        assert folder.exists() is stays


def test_a_process_that_began_later_does_not_stage_an_old_folder(tmp_path: Path) -> None:
    """The run that removes old ones holds a lock itself."""
    (tmp_path / NAME).mkdir()
    with locked(tmp_path, "https://a.example", "x.csv"):
        clean(tmp_path, days_later=1000)
    assert not (tmp_path / NAME).exists()


def test_nothing_is_removed_through_a_link(tmp_path: Path) -> None:
    """Neither a folder nor a database that is a link counts, and what they lead to stays."""
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    runs.mkdir()
    elsewhere.mkdir()
    real = finished(elsewhere)
    (runs / NAME).symlink_to(real)
    linked = runs / f"{NAME}-2"
    linked.mkdir()
    (linked / "run.sqlite").symlink_to(real / "run.sqlite")
    clean(runs, days_later=1000)
    assert sorted(path.name for path in real.iterdir()) == [
        "input.csv", "items-results-20260102-030405.xlsx", "report.html", "run.log", "run.sqlite", "undo.xlsx",
    ]  # fmt: skip
    assert linked.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_folder_with_something_of_a_person_stays_whole(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a run did not put there keeps the folder as it is, and the log says so."""
    folder = finished(tmp_path)
    if kind == "file":
        (folder / "notes.txt").touch()
    elif kind == "folder":
        (folder / "notes").mkdir()
    else:
        (folder / "run.log").unlink()
        (folder / "run.log").symlink_to(tmp_path)
    before = sorted(folder.iterdir())
    with caplog.at_level(logging.WARNING, "batch_updater"):
        clean(tmp_path, days_later=1000)
    assert sorted(folder.iterdir()) == before
    assert [record.event for record in caplog.records] == ["old run not removed"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [WORKBOOK, "undo.xlsx"])
@pytest.mark.parametrize("content", NOT_OURS.values(), ids=NOT_OURS)
def test_a_workbook_that_cannot_be_read_keeps_its_folder_alone(tmp_path: Path, name: str, content: bytes) -> None:
    """It may be a person's work that was damaged; the other old runs go."""
    folder, other = finished(tmp_path), finished(tmp_path, f"{NAME}-2")
    (folder / name).write_bytes(content)
    clean(tmp_path, days_later=1000)
    assert (folder / name).read_bytes() == content
    assert not other.exists()


@pytest.mark.parametrize("suffix", ["", "-wal", "-commits"])
def test_a_database_that_is_a_pipe_is_not_waited_for(tmp_path: Path, suffix: str) -> None:
    """Nor does it keep the other old runs; a name that is no text does neither."""
    folder, other = finished(tmp_path), finished(tmp_path, f"{NAME}-2")
    (folder / f"run.sqlite{suffix}").unlink(missing_ok=True)
    os.mkfifo(folder / f"run.sqlite{suffix}")
    (other / "n\udcff-results-20260102-030405.xlsx").mkdir()
    (tmp_path / "20260102-030405-\udcff").mkdir()
    third = finished(tmp_path, f"{NAME}-3")
    clean(tmp_path, days_later=1000)
    assert folder.exists()
    assert other.exists()
    assert not third.exists()


def test_a_folder_of_results_that_cannot_be_read_ends_no_run(tmp_path: Path) -> None:
    """The rows are done all the same."""
    clean(tmp_path / "nowhere", days_later=1000)
