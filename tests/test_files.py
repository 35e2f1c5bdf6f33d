"""Our files: whole or not at all, and never over other people's."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_updater.errors import ResultsError
from batch_updater.files.writing import (
    check_replaceable,
    is_untouched_of_ours,
    private_folder,
    write_whole,
    write_workbook,
)
from tests.reporter.made import updated, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def new(draft: Path) -> None:
    draft.write_text("new", encoding="utf-8")


def test_a_file_is_whole_and_private(tmp_path: Path) -> None:
    """What was written is there under its name, readable by its owner alone, and nothing beside it."""
    path = write_whole(tmp_path / "a.xlsx", new)
    assert path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_earlier_file_and_no_draft(tmp_path: Path) -> None:
    """If writing fails in the middle, what was there before is untouched."""
    path = tmp_path / "a.xlsx"
    path.write_text("old", encoding="utf-8")

    def fail(draft: Path) -> None:
        draft.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="space"):
        write_whole(path, fail)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link at the target points to stays as it is."""
    victim, link = tmp_path / "victim", tmp_path / "a.xlsx"
    victim.write_text("precious", encoding="utf-8")
    link.symlink_to(victim)
    write_whole(link, new)
    assert victim.read_text(encoding="utf-8") == "precious"
    assert not link.is_symlink()


def test_a_workbook_that_excel_holds_open_goes_beside_it(tmp_path: Path) -> None:
    """While Excel's own lock file is there, the workbook is written under another name."""
    path = tmp_path / "a.xlsx"
    path.write_text("open in Excel", encoding="utf-8")
    (tmp_path / "~$a.xlsx").write_text("lock", encoding="utf-8")
    written = write_whole(path, new)
    assert written == tmp_path / "a (2).xlsx"
    assert path.read_text(encoding="utf-8") == "open in Excel"


def test_only_an_untouched_workbook_of_ours_may_be_replaced(tmp_path: Path) -> None:
    """A free path and our own workbook may be replaced; one that was saved since, or anything else, may not."""
    path = tmp_path / "r.xlsx"
    check_replaceable(path)
    write(path, [updated(2, 1, "Pre")])
    check_replaceable(path)
    openpyxl.load_workbook(path).save(path)
    with pytest.raises(ResultsError, match="not a workbook as batch-updater wrote it"):
        check_replaceable(path)
    path.write_text("notes", encoding="utf-8")
    with pytest.raises(ResultsError):
        check_replaceable(path)


def packed(flags: int = 0, method: int = zipfile.ZIP_DEFLATED, *, breaks: bytes = b"", text: bytes = b"<a/>") -> bytes:
    """Return a workbook's archive with odd flags, an odd compression, or with bytes of its parts overwritten."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("docProps/custom.xml", "docProps/core.xml"):
            archive.writestr(name, text)
    content = bytearray(made.getvalue())
    # Flags and compression of each part in the list at the end (APPNOTE.TXT 4.3.12), and in its own header (4.3.7).
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = content.find(signature)
        while start >= 0:
            struct.pack_into("<HH", content, start + at, flags, method)
            start = content.find(signature, start + 4)
    if breaks:
        start = content.find(b"docProps/custom.xml") + len("docProps/custom.xml")
        content[start : start + len(breaks)] = breaks
    return bytes(content)


NOT_OURS = {
    "no archive": b"notes", "empty": b"", "encrypted by Excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100,
    "another archive": packed(), "encrypted archive": packed(flags=1), "unknown compression": packed(method=99),
    "lzma": packed(method=zipfile.ZIP_LZMA), "damaged data": packed(breaks=b"\xff" * 4),
    "wrong checksum": packed(breaks=b"\xb3\x49\xd4"),
    "unknown encoding": packed(text=b'<?xml version="1.0" encoding="x"?><a/>'),
    "no XML": packed(text=b"\x00"), "cut off": packed()[:-30], "strong encryption": packed(flags=0x41),
}  # fmt: skip


@pytest.mark.parametrize("content", NOT_OURS.values(), ids=NOT_OURS)
def test_what_cannot_be_read_is_not_ours(tmp_path: Path, content: bytes) -> None:
    """A damaged, encrypted or foreign file is never replaced, and never a fault of the program."""
    path = tmp_path / "r.xlsx"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match="not a workbook as batch-updater wrote it"):
        check_replaceable(path)
    assert write_workbook(path, new).name == "r (2).xlsx"
    assert path.read_bytes() == content


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_ours(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe is not waited for."""
    make(tmp_path / "r.xlsx")
    with pytest.raises(ResultsError, match="not a workbook as batch-updater wrote it"):
        check_replaceable(tmp_path / "r.xlsx")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_workbook_of_ours_is_a_fault(tmp_path: Path, data: st.DataObject) -> None:
    """Wherever bytes of it are changed or missing: it is taken for ours or not."""
    path = tmp_path / "r.xlsx"
    if not path.exists():
        write(path, [updated(2, 1, "Pre")])
        path.rename(tmp_path / "whole.xlsx")
    content = bytearray((tmp_path / "whole.xlsx").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[-data.draw(st.integers(1, len(content)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    assert is_untouched_of_ours(path) in {True, False}


@pytest.mark.parametrize("name", ["r.csv", "nowhere/r.xlsx", "r", f"{'r' * 300}.xlsx"])
def test_a_place_that_cannot_hold_a_workbook_is_refused(tmp_path: Path, name: str) -> None:
    """Another ending or a folder that does not exist is reported before anything is sent."""
    with pytest.raises(ResultsError) as caught:
        check_replaceable(tmp_path / name)
    assert caught.value.place.file


def test_folders_are_private(tmp_path: Path) -> None:
    """A folder of ours may be entered by its owner alone."""
    private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_file_that_appeared_meanwhile_stays(tmp_path: Path, kind: str) -> None:
    """A workbook goes beside whatever is not ours, even if that came while it was written."""
    path, theirs = tmp_path / "a.xlsx", tmp_path / "theirs"
    theirs.write_text("precious", encoding="utf-8")

    def writes(draft: Path) -> None:
        new(draft)
        match kind:
            case "file":
                path.write_text("precious", encoding="utf-8")
            case "link":
                path.symlink_to(theirs)
            case _:
                path.mkdir()

    written = write_workbook(path, writes)
    assert (written.name, written.read_text(encoding="utf-8")) == ("a (2).xlsx", "new")
    assert theirs.read_text(encoding="utf-8") == "precious"
    assert path.is_dir() or path.read_text(encoding="utf-8") == "precious"
