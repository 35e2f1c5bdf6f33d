"""files/reading.py: what is no regular file is refused at once, whatever it is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from batch_updater.files.reading import (
    UnfitFileError,
    append_to_regular,
    open_regular,
    read_regular,
    read_regular_text,
)


def made(folder: Path, kind: str) -> Path:
    """Make something that is no regular file. Returns its path."""
    path = folder / kind
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(folder / "pipe")
            path.symlink_to(folder / "pipe")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(os.path.relpath(path))  # a socket's name may have no more than 107 bytes
        case "device":
            return Path("/dev/zero")
    return path


KINDS = ("pipe", "link to a pipe", "socket", "device")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_end_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    """Neither a writer nor a reader at the other end is waited for; the sentence is ours."""
    path = made(tmp_path, kind)
    for opened in (open_regular, append_to_regular):
        with pytest.raises(OSError, match=r"it is a device or a pipe, not a file|symbolic links"):
            opened(path)


def test_a_pipe_with_a_reader_is_refused_as_well(tmp_path: Path) -> None:
    """A log may not be written into a pipe with a reader."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(UnfitFileError):
            append_to_regular(tmp_path / "pipe")
    finally:
        os.close(reader)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    """A configuration may hold any character."""
    for name in ("a\0b", "\ud800"):
        with pytest.raises(UnfitFileError, match="no file can have such a name"):
            open_regular(Path(name))


def test_a_link_is_read_and_not_written_to(tmp_path: Path) -> None:
    """A configuration may be a link; a log may not."""
    (tmp_path / "file").write_text("text", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", 4) == b"text"
    with pytest.raises(OSError, match="symbolic links"):
        append_to_regular(tmp_path / "link")


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    """What is larger is refused, whatever size the file system tells."""
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(UnfitFileError, match="it is larger than 4 bytes"):
        read_regular(tmp_path / "file", 4)


def test_a_text_has_one_kind_of_line_ends_and_no_mark(tmp_path: Path) -> None:
    """It is the text that an editor shows."""
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_regular_text(tmp_path / "file", 100) == "a\nb\nc\n"
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_regular_text(tmp_path / "file", 100)


def test_what_is_appended_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A file that was not there is private; what was in one stays."""
    for text in (b"a", b"b"):
        with append_to_regular(tmp_path / "log") as log:
            log.write(text)
    assert (tmp_path / "log").read_bytes() == b"ab"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
