"""archive.py: no file is lost or replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import pytest

from batch_updater.nightly.archive import archive
from batch_updater.nightly.inbox import ReadyFile, stamp_of

DAY = date(2026, 11, 24)


def ready(file: Path) -> ReadyFile:
    stamp = stamp_of(file)
    assert stamp
    return ReadyFile(file, stamp)


def names(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_a_file_goes_with_its_workbook_and_its_note(tmp_path: Path) -> None:
    """All three are in the folder of the day, readable by those who could read the file; the inbox is empty."""
    (tmp_path / "inbox").mkdir()
    file, workbook = tmp_path / "inbox" / "a.csv", tmp_path / "a-results.xlsx"
    file.write_text("rows", encoding="utf-8")
    file.chmod(0o640)
    workbook.write_text("outcomes", encoding="utf-8")
    filed = archive(ready(file), tmp_path / "attention", DAY, workbook, "look at it")
    assert filed.file
    assert names(filed.file.parent) == {"a.csv": "rows", "a-results.xlsx": "outcomes", "a.csv.txt": "look at it"}
    assert filed.file.parent == tmp_path / "attention" / "2026-11-24"
    assert {path.stat().st_mode & 0o777 for path in filed.file.parent.iterdir()} == {0o640}
    assert list((tmp_path / "inbox").iterdir()) == []
    assert workbook.exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    """A name that is taken gets -2, -3 ..., and so does the note with it."""
    for number in range(1, 4):
        file = tmp_path / "a.csv"
        file.write_text(f"rows {number}", encoding="utf-8")
        archive(ready(file), tmp_path / "to", DAY, note=f"note {number}")
    assert names(tmp_path / "to" / "2026-11-24") == {
        "a.csv": "rows 1", "a.csv.txt": "note 1", "a-2.csv": "rows 2", "a-2.csv.txt": "note 2",
        "a-3.csv": "rows 3", "a-3.csv.txt": "note 3",
    }  # fmt: skip


def test_a_file_goes_to_another_file_system(tmp_path: Path) -> None:
    """It is copied whole, and then only taken away."""
    shared = Path("/dev/shm")  # noqa: S108  (only where it is another file system)
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        file = tmp_path / "a.csv"
        file.write_text("rows", encoding="utf-8")
        filed = archive(ready(file), Path(elsewhere), DAY)
        assert filed.file
        assert names(filed.file.parent) == {"a.csv": "rows"}
    assert not file.exists()


def test_where_a_move_fails_nothing_is_left_behind(tmp_path: Path) -> None:
    """Night after night one workbook and note more would lie there; a folder cannot take the place of a file."""
    file = tmp_path / "a.csv"
    file.mkdir()
    workbook = tmp_path / "a-results.xlsx"
    workbook.write_text("outcomes", encoding="utf-8")
    with pytest.raises(NotADirectoryError):
        archive(ready(file), tmp_path / "to", DAY, workbook, "note")
    assert names(tmp_path / "to" / "2026-11-24") == {}
    assert file.is_dir()


@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 83 + ".csv", "a." + "x" * 253])
def test_the_longest_names_are_archived_too(tmp_path: Path, name: str) -> None:
    """With a note, and a second time: what is made beside them has shorter names."""
    for number in range(2):
        file = tmp_path / name
        file.write_text(f"rows {number}", encoding="utf-8")
        archive(ready(file), tmp_path / "to", DAY, note=f"note {number}")
    kept = names(tmp_path / "to" / "2026-11-24")
    assert sorted(kept.values()) == ["note 0", "note 1", "rows 0", "rows 1"]
    assert kept[name] == "rows 0"
    assert [kept[one] for one in kept if one.endswith(".txt")] == [kept[one] for one in kept if "note" in kept[one]]


def test_no_signal_at_any_moment_loses_a_file(tmp_path: Path) -> None:
    """Interrupted again and again while it is archived, it is in the inbox or in its new place, and whole."""
    script = tmp_path / "archiving.py"
    script.write_text(_ARCHIVING, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "in", tmp_path / "to"], capture_output=True, text=True, check=True
    )
    interrupted, put = map(int, done.stdout.split())
    assert interrupted > 20
    assert len(list((tmp_path / "in").iterdir())) + put == 400
    # A name may be left that was taken for the file and is empty still.
    found = [path.read_text(encoding="utf-8") for path in [*tmp_path.glob("to/*/*"), *tmp_path.glob("in/*")]]
    assert sorted(filter(None, found)) == sorted(f"rows {number}" for number in range(400))


_ARCHIVING = """
import random, signal, sys
from datetime import date
from pathlib import Path
from batch_updater.nightly.archive import archive
from batch_updater.nightly.inbox import ReadyFile, stamp_of

inbox, place = map(Path, sys.argv[1:])
inbox.mkdir()
chance, interrupted, put = random.Random(1), 0, 0

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for number in range(400):
    file = inbox / f"{number}.csv"
    file.write_text(f"rows {number}")
    ready = ReadyFile(file, stamp_of(file))
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 4e-4))
        archive(ready, place, date(2026, 11, 24))
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    put += not file.exists()
print(interrupted, put)
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_moved_stays(tmp_path: Path) -> None:
    """Where the place may not be written, the file stays as it is."""
    file = tmp_path / "a.csv"
    file.write_text("rows", encoding="utf-8")
    (tmp_path / "to").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        archive(ready(file), tmp_path / "to", DAY)
    assert file.read_text(encoding="utf-8") == "rows"


def test_a_file_that_was_replaced_stays(tmp_path: Path) -> None:
    """What was not read is not archived; the workbook and the note about what was read are."""
    file, workbook = tmp_path / "a.csv", tmp_path / "a-results.xlsx"
    file.write_text("rows", encoding="utf-8")
    workbook.write_text("outcomes", encoding="utf-8")
    read = ready(file)
    file.write_text("other rows", encoding="utf-8")
    filed = archive(read, tmp_path / "to", DAY, workbook, "note")
    assert filed.file is None
    assert file.read_text(encoding="utf-8") == "other rows"
    assert names(tmp_path / "to" / "2026-11-24") == {"a-results.xlsx": "outcomes", "a.csv.txt": "note"}


@pytest.mark.parametrize(
    ("of_place", "of_file", "of_day", "of_copies"),
    [(0o2770, 0o600, 0o2770, 0o660), (0o755, 0o600, 0o755, 0o600), (0o775, 0o644, 0o775, 0o664)],
)
def test_a_group_that_may_change_the_place_may_change_what_is_put_there(
    tmp_path: Path, of_place: int, of_file: int, of_day: int, of_copies: int
) -> None:
    """Whatever the umask: a workbook is repaired in its place and moved from there; no one else gains a right."""
    place, file, workbook = tmp_path / "to", tmp_path / "a.csv", tmp_path / "a-results.xlsx"
    place.mkdir()
    place.chmod(of_place)
    for path in (file, workbook):
        path.write_text("rows", encoding="utf-8")
        path.chmod(of_file)
    before = os.umask(0o027)
    try:
        filed = archive(ready(file), place, DAY, workbook, "note")
    finally:
        os.umask(before)
    assert filed.results
    assert filed.note
    assert filed.results.parent.stat().st_mode & 0o7777 == of_day
    assert [path.stat().st_mode & 0o777 for path in (filed.results, filed.note)] == [of_copies] * 2
