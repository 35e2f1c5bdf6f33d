from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import batch_updater, configure, sandbox
from tests.torture.runs import confirmed_rows, database_of, ended, numbered, start

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 300
SENDING = "sending: {rate_per_s: 150, concurrency: 3}\n"


@pytest.mark.parametrize("cut_file", ["run.sqlite", "run.sqlite-wal"])
def test_a_database_cut_at_any_byte_is_refused(tmp_path: Path, cut_file: str, *, torture: bool) -> None:
    """Unless what is missing is of no commit that was counted: then every row that was confirmed still is."""
    numbered(tmp_path / "rows.csv", ROWS)
    with sandbox() as api:
        configure(tmp_path, api.url, SENDING)
        with api.held_after(ROWS // 3):
            process = start(tmp_path, "run", "rows.csv")
            api.wait_for(ROWS // 3 + 1)
            if cut_file.endswith("wal"):
                process.kill()
            else:
                process.terminate()
        if cut_file.endswith("wal"):
            process.communicate()
        else:
            assert ended(process)[0] == 3
        database = database_of(tmp_path)
        assert database is not None
        whole = tmp_path / "whole"
        shutil.copytree(tmp_path / "runs", whole)
        kept, is_behind = _confirmed(whole, tmp_path / "look")
        size = (database.parent / cut_file).stat().st_size
        places = range(max(1, size - 3 * 4096 - 100), size, 1 if torture else 1013)
        endings = [_cut_and_read(whole, tmp_path / "look", database.parent.name, cut_file, at) for at in places]
        assert all(rows == kept or (is_behind and rows < kept) for rows in endings if rows is not None)
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000}\n")
        for at in list(places)[:: max(1, len(places) // 3)]:
            _resume(tmp_path, whole, database, cut_file, at)
    refused = sum(rows is None for rows in endings)
    print(f"{cut_file}: {len(endings)} cuts, {refused} refused, nothing was missing in the others")


def _cut_and_read(whole: Path, look: Path, name: str, cut_file: str, at: int) -> set[int] | None:
    """Return the rows that a cut database calls confirmed; None if it is refused."""
    from batch_updater.runs.history import DamagedRun, read_run
    from batch_updater.runs.store import DamagedStoreError, opened_store

    shutil.rmtree(look, ignore_errors=True)
    shutil.copytree(whole, look)
    with (look / name / cut_file).open("r+b") as stream:
        stream.truncate(at)
    past = read_run(look / name)
    assert past is not None
    if isinstance(past, DamagedRun):
        return None
    try:
        with opened_store(look / name / "run.sqlite") as database:
            database.require_whole()
    except DamagedStoreError:
        return None
    return confirmed_rows(look / name / "run.sqlite")


def _confirmed(whole: Path, look: Path) -> tuple[set[int], bool]:
    """Return the rows that a database calls confirmed, and whether it was killed before its last commit was counted."""
    shutil.copytree(whole, look)
    (database,) = look.glob("*/run.sqlite")
    counter = database.with_name("run.sqlite-commits")
    with closing(sqlite3.connect(database)) as reader:
        (last,) = reader.execute("SELECT max(commit_number) FROM rows").fetchone()
    return confirmed_rows(database), counter.exists() and int.from_bytes(counter.read_bytes(), "little") < last


def _resume(folder: Path, whole: Path, database: Path, cut_file: str, at: int) -> None:
    """Resume a run whose database was cut: either it is refused, or in the end every row is updated."""
    shutil.rmtree(folder / "runs")
    shutil.copytree(whole, folder / "runs")
    with (database.parent / cut_file).open("r+b") as stream:
        stream.truncate(at)
    done = batch_updater("run", "rows.csv", "--json", cwd=folder)
    if done.code == 2:
        assert "is damaged" in done.object["error"]["message"]
        assert "--restart" in done.object["error"]["remedy"]
        done = batch_updater("run", "rows.csv", "--restart", "--json", cwd=folder)
    assert (done.code, done.object["outcomes"]["updated"]) == (0, ROWS)
