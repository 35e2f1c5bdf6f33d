"""run_log.py: the lines of attempts and decisions."""

from __future__ import annotations

import logging
import os
import resource
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from batch_updater.records import Attempt
from batch_updater.runs.run_log import LogFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_log_that_cannot_be_written_gathers_no_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported once, and memory does not grow with what is no longer written."""
    monkeypatch.setattr(logging.getLogger("batch_updater"), "handlers", [])  # pytest's own keep every record
    made = Attempt(2, 1, 200, 0.05, "accepted")
    with files_of_at_most(0), LogFile(tmp_path / "run.log") as log:
        log.attempt(made)
        tracemalloc.start()
        for _ in range(10_000):
            log.attempt(made)
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert capsys.readouterr().err.count("cannot be written: File too large. The run goes on without it.") == 1
    assert held_bytes < 100_000


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_lies_in_the_place_of_a_log_is_neither_waited_for_nor_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """A pipe, a link to another file or a folder: the run goes on without its log, which is told."""
    path, other = tmp_path / "run.log", tmp_path / "other"
    other.write_text("another's", encoding="utf-8")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(other)
        case _:
            path.mkdir()
    with LogFile(path) as log:
        log.attempt(Attempt(2, 1, 200, 0.05, "accepted"))
    assert f"{path} cannot be written: " in capsys.readouterr().err
    assert other.read_text(encoding="utf-8") == "another's"


def test_a_log_that_is_cut_off_by_a_full_disk_ends_with_a_whole_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part of a line that found room is removed: the next part of the run would begin in the middle of it."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "run.log"
    with LogFile(path) as log:
        log.attempt(Attempt(2, 1, 200, 0.05, "accepted"))
        log.flush()
        whole = path.read_bytes()
        log.attempt(Attempt(3, 1, 200, 0.05, "accepted"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, before[1]))
        try:
            log.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written" in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert whole.endswith(b"}\n")
