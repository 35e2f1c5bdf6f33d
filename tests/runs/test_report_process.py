"""report_process.py: the workbook that a second process writes while rows are sent."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext as does_not_raise
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.records import (
    AllowedList,
    AllowedValue,
    Columns,
    HiddenRows,
    Outcome,
    OutcomeKind,
    RecordSnapshots,
    StagedInput,
)
from batch_updater.reporter.page import RowsForReview
from batch_updater.reporter.workbook import write_results
from batch_updater.runs.report_process import _END, _TASK, ReportProcess, _End, _follow, _Task
from batch_updater.runs.rows import report_rows, unsent
from tests.loader.described import endpoint
from tests.reporter.made import facts
from tests.runs.stored import STARTED, begun, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.runs.report_process import Report
    from batch_updater.runs.writer import RunWriter

ROWS, INVALID = range(2, 1_302), range(1_302, 1_312)
ENDPOINT = endpoint()
STAGED = StagedInput(
    Columns(("itemId",), 0, {"itemId": 0}, ()), stated_width=None, sheet=None, visible_only=False,
    hidden_rows=HiddenRows(0, ""), is_to_fix=False, is_undo=False, notes=(), rows=len(ROWS) + len(INVALID),
    good=len(ROWS), waiting=0, causes=(), sent={}, cleared={}, layout=None, questions=(),
)  # fmt: skip
FACTS = replace(facts(), started_at=STARTED, finished_at=STARTED + timedelta(seconds=90), allowed=())
UNSENT = unsent(None)


def updated(row: int, kept: RecordSnapshots | None = None) -> Outcome:
    sent_at = STARTED + timedelta(seconds=row / 20)
    return Outcome(row, OutcomeKind.UPDATED, status=200, attempts=1, sent_at=sent_at, seconds=0.05, kept=kept)


def rejected(row: int) -> Outcome:
    return replace(updated(row), kind=OutcomeKind.REJECTED, message="It is closed.", advice="Open it.", cause="closed")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    """Give a run of which nothing is sent yet."""
    with begun(tmp_path / "run.sqlite", ROWS, invalid=INVALID) as writer:
        yield writer


@pytest.fixture
def process(tmp_path: Path, writer: RunWriter) -> Iterator[ReportProcess]:
    """Give a process that follows that run."""
    writer.flush()
    with follow(tmp_path) as process:
        yield process


def follow(folder: Path) -> ReportProcess:
    process = ReportProcess.start(folder / "run.sqlite", STAGED, ENDPOINT, STARTED)
    assert process is not None
    return process


def settle(writer: RunWriter, *outcomes: Outcome) -> None:
    """Have rows in flight, and then finished."""

    async def both() -> None:
        await writer.will_send([prepared(outcome.row) for outcome in outcomes])
        for outcome in outcomes:
            writer.settle(outcome)

    asyncio.run(both())
    writer.flush()


def own(process: ReportProcess) -> int:
    """Return the number of the process."""
    return process._process.pid


def parts(workbook: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(workbook) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def expected(writer: RunWriter, folder: Path) -> tuple[dict[str, bytes], RowsForReview]:
    """Return what the run itself would write."""
    for_review = RowsForReview(STAGED.columns, ENDPOINT)
    rows = for_review.noting(report_rows(writer.store, STAGED, ENDPOINT, UNSENT))
    written = write_results(folder / "expected.xlsx", FACTS, STAGED.columns, ENDPOINT, rows)
    return parts(written.path), for_review


def test_the_process_writes_what_the_run_itself_would_write(
    writer: RunWriter, process: ReportProcess, tmp_path: Path
) -> None:
    """Whatever is final before it looks, between its looks, or only at the end."""
    settle(writer, *(rejected(row) if row % 7 == 0 else updated(row) for row in ROWS[:700]))
    settle(writer, *(updated(row) for row in ROWS[710:900]))
    asyncio.run(writer.will_send([prepared(ROWS[705])]))  # and it stays in flight
    settle(writer, *(updated(row) for row in ROWS[700:705]))
    report = finished(process, tmp_path)
    assert report is not None
    assert report.workbook.path == tmp_path / "results.xlsx"
    assert report.workbook.summary.counts[OutcomeKind.NOT_SENT] == len(ROWS) - 896
    sheets, for_review = expected(writer, tmp_path)
    assert parts(report.workbook.path) == sheets
    assert report.for_review.rows == for_review.rows


def finished(process: ReportProcess, folder: Path) -> Report | None:
    return process.finish(folder / "results.xlsx", FACTS, UNSENT, patience_s=120)


def test_a_process_that_was_killed_writes_nothing(process: ReportProcess, tmp_path: Path) -> None:
    """The run is told so, and writes the workbook itself."""
    os.kill(own(process), signal.SIGKILL)
    assert finished(process, tmp_path) is None
    assert not (tmp_path / "results.xlsx").exists()


def test_a_process_that_is_stuck_is_not_waited_for(process: ReportProcess, tmp_path: Path) -> None:
    """After some time without a word the run goes on without it."""
    os.kill(own(process), signal.SIGSTOP)
    assert process.finish(tmp_path / "results.xlsx", FACTS, UNSENT, patience_s=1) is None


def begin(process: ReportProcess) -> None:
    """Wait until it has begun to follow the run."""
    for _ in range(6_000):
        if (process._folder / "results.xlsx").exists():
            return
        time.sleep(0.01)
    raise TimeoutError("the process does not begin")


def test_signals_are_for_the_run_alone(process: ReportProcess, tmp_path: Path) -> None:
    """A terminal sends it no Ctrl-C, and what else is sent to it does not end it: the run decides."""
    assert os.getsid(own(process)) == own(process)
    begin(process)
    os.kill(own(process), signal.SIGINT)
    os.kill(own(process), signal.SIGTERM)
    assert finished(process, tmp_path) is not None


def test_a_process_whose_run_was_killed_leaves_nothing_behind(process: ReportProcess) -> None:
    """It ends by itself, and removes its folder."""
    begin(process)
    assert process._process.stdin is not None
    process._process.stdin.close()
    process._process.wait(timeout=120)
    assert list(process._folder.parent.glob(f"{process._folder.name}*")) == []


def test_a_process_that_ended_leaves_nothing_behind(writer: RunWriter, tmp_path: Path) -> None:
    """However the run ends: the process is gone and its folder too."""
    writer.flush()
    with follow(tmp_path) as process:
        begin(process)
    assert process._process.returncode is not None
    assert not process._folder.exists()


class Watched(threading.Event):
    """The end of a run, of which one knows when it is first waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.is_awaited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.is_awaited.set()
        return super().wait(timeout)


def test_names_that_are_learned_meanwhile_are_left_to_the_run(writer: RunWriter, tmp_path: Path) -> None:
    """A change that was written without them would be shown otherwise than the run shows it."""
    writer.store.connection.execute("""UPDATE rows SET fields = '[["label"],["s","new"]]' WHERE number = 2""")
    settle(writer, updated(2, RecordSnapshots('{"label": "old"}', "{}", None)))
    (tmp_path / _TASK).write_bytes(pickle.dumps(_Task(tmp_path / "run.sqlite", STAGED, ENDPOINT, STARTED)))
    names = AllowedList("label", (), (AllowedValue("new", 1),))
    for learned, expectation in (((), does_not_raise()), ((names,), pytest.raises(RuntimeError, match="names"))):
        has_ended = Watched()
        (tmp_path / _END).write_bytes(pickle.dumps(_End(replace(FACTS, allowed=learned), UNSENT)))
        with ThreadPoolExecutor() as pool, expectation:
            report = pool.submit(_follow, tmp_path, has_ended)
            assert has_ended.is_awaited.wait(60)
            has_ended.set()
            report.result()


@pytest.mark.parametrize("executable", ["gone/python3", "/bin/true", "", None])
def test_where_no_process_can_be_started_there_is_none(
    writer: RunWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    """As in a program that embeds Python. The run then writes the workbook itself."""
    writer.flush()
    monkeypatch.setattr(sys, "executable", executable)
    assert ReportProcess.start(tmp_path / "run.sqlite", STAGED, ENDPOINT, STARTED) is None


def test_a_path_on_the_search_path_of_modules_does_no_harm(
    process: ReportProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself ignores what is no text there."""
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    with follow(tmp_path):
        pass
    assert finished(process, tmp_path) is not None


def test_why_it_ended_is_in_the_log_without_what_the_rows_hold(
    writer: RunWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The name of the error says enough."""
    writer.store.connection.execute("UPDATE rows SET state = 'invalid', cells = '[\"secret\"' WHERE number = 2")
    writer.flush()
    with follow(tmp_path) as process:
        assert process._process.wait(timeout=120) == 1
        assert finished(process, tmp_path) is None
    (record,) = caplog.records
    assert "DamagedStoreError" in record.__dict__["why"]
    assert "secret" not in record.__dict__["why"]


def test_rows_are_read_before_they_are_written(writer: RunWriter) -> None:
    """A transaction that lasted meanwhile would let the write-ahead log grow."""
    settle(writer, *(updated(row) for row in ROWS[:10]))
    rows = writer.store.final_rows()
    next(rows)
    (is_busy, left, moved) = writer.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (is_busy, left, moved) == (0, 0, 0)
