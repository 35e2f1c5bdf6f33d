"""inbox.py: which files are finished."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from batch_updater.nightly.inbox import look

if TYPE_CHECKING:
    from pathlib import Path

PATTERNS = ("*.csv", "*.xlsx")


def put(folder: Path, name: str, *, age_s: float = 60, text: str = "x") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def ready(folder: Path, look_s: float = 0) -> list[str]:
    return [file.path.name for file in look(folder, PATTERNS, look_s).ready]


def test_finished_files_come_oldest_first_whatever_the_case(tmp_path: Path) -> None:
    """Patterns do not mind upper case; the order is that of the last change."""
    put(tmp_path, "new.csv", age_s=40)
    put(tmp_path, "OLD.XLSX", age_s=1000)
    put(tmp_path, "middle.Csv", age_s=100)
    assert ready(tmp_path) == ["OLD.XLSX", "middle.Csv", "new.csv"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.csv.part", "uploaded"), ("a.csv.filepart", "uploaded"), ("a.tmp", "uploaded"),
        ("a.xlsx.crdownload", "uploaded"), ("a.docx", "fits none"), ("~$a.xlsx", None), (".hidden.csv", None),
        (".~lock.a.csv#", None),
    ],
)  # fmt: skip
def test_what_is_no_finished_file_by_its_name_is_left(tmp_path: Path, name: str, said: str | None) -> None:
    """Uploads and foreign files are named with the reason; hidden ones and office programs' own are passed over."""
    put(tmp_path, name)
    seen = look(tmp_path, PATTERNS, 0)
    assert seen.ready == ()
    assert [said in one.why for one in seen.skipped] == ([True] if said else [])  # type: ignore[operator]


@pytest.mark.parametrize("beside", ["~$report.xlsx", "~$port.xlsx", ".~lock.report.xlsx#", "report.xlsx.part"])
def test_a_file_that_another_program_has_open_is_left(tmp_path: Path, beside: str) -> None:
    """The file that an office program or a browser puts beside it tells."""
    put(tmp_path, "report.xlsx")
    put(tmp_path, beside)
    assert ready(tmp_path) == []


def test_a_file_changed_in_the_future_is_left(tmp_path: Path) -> None:
    """Such a time tells nothing."""
    put(tmp_path, "a.csv", age_s=-600)
    (skipped,) = look(tmp_path, PATTERNS, 0).skipped
    assert "future" in skipped.why


def test_a_file_put_there_just_now_is_waited_for(tmp_path: Path) -> None:
    """Who wrote a moment ago may write again: it is finished once it has been still for a while, in the same look."""
    path = put(tmp_path, "a.csv", age_s=0)
    seen = look(tmp_path, PATTERNS, 0, still_s=0.4)
    assert [file.path.name for file in seen.ready] == ["a.csv"]
    assert time.time() - path.stat().st_mtime >= 0.3


def test_a_file_that_grows_while_it_is_looked_at_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left although the program that writes it sets an old time."""
    path = put(tmp_path, "a.csv")
    put(tmp_path, "b.csv")

    def write(seconds: float) -> None:
        assert seconds == 2
        with path.open("a", encoding="utf-8") as stream:
            stream.write("more")
        os.utime(path, (time.time() - 60,) * 2)

    monkeypatch.setattr(time, "sleep", write)  # what is done while it waits
    assert ready(tmp_path, look_s=2) == ["b.csv"]


def test_links_and_folders_are_not_followed(tmp_path: Path) -> None:
    """A link leads elsewhere and a folder is no file: both stay, with the reason."""
    (tmp_path / "link.csv").symlink_to(put(tmp_path, ".elsewhere"))
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "done").mkdir()
    seen = look(tmp_path, PATTERNS, 0)
    assert seen.ready == ()
    assert [(one.path.name, one.why) for one in seen.skipped] == [
        ("folder.csv", "it is a folder"),
        ("link.csv", "it is a link to a file, and links are not followed"),
    ]
