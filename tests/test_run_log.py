"""run_log.py: the lines of attempts and decisions."""

from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path

import pytest

from batch_updater.model import Attempt
from batch_updater.run_log import LogFile

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_log_that_cannot_be_written_gathers_no_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and memory does not grow with what is no longer written."""
    monkeypatch.setattr(logging.getLogger("batch_updater"), "handlers", [])  # pytest's own keep every record
    made = Attempt(2, 1, 200, 0.05, "accepted")
    with LogFile(FULL) as log:
        log.attempt(made)
        tracemalloc.start()
        for _ in range(10_000):
            log.attempt(made)
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert capsys.readouterr().err.count("cannot be written any more") == 1
    assert held_bytes < 100_000


def test_a_log_that_is_cut_off_by_a_full_disk_ends_with_a_whole_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part of a line that found room is taken back: the next part of the run would go on in the middle of it."""
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
    assert "cannot be written any more" in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert whole.endswith(b"}\n")
