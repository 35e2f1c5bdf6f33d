"""dispositions.py: which of the five a file gets, by its own run, error and history alone."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import psycopg
import pytest
from msgspec.structs import replace

from batch_updater.errors import (
    ConfigError,
    CredentialsError,
    EndedEarlyError,
    EndpointError,
    ExitCode,
    GuardError,
    InputError,
    LockedError,
    ResultsError,
    StoreError,
)  # fmt: skip
from batch_updater.nightly.dispositions import (
    CHANGED,
    Decision,
    Disposition,
    decide_error,
    decide_not_archived,
    decide_not_ready,
    decide_replaced,
    decide_run,
    next_step_of,
)
from batch_updater.nightly.inbox import ReadyFile, SkippedFile, Stamp
from batch_updater.nightly.state import PendingFile, StateStore
from batch_updater.records import Stop, StopReason
from batch_updater.reporter.summary import Summary
from batch_updater.runs.interrupts import Detached, Interrupted
from batch_updater.runs.result import RunResult
from batch_updater.sender.pool import UniformRefusal
from tests.nightly.made import STARTED, summary

DONE, ATTENTION, UNFINISHED = Disposition.DONE, Disposition.ATTENTION, Disposition.UNFINISHED
TROUBLE, NOT_READY = Disposition.TROUBLE, Disposition.NOT_READY
FORBIDDEN = UniformRefusal("403 Forbidden", shows_set_up=True)
MISTYPED = UniformRefusal("404 Not Found", shows_set_up=False)


@dataclass
class Ended:
    """What a decision looks at in the result of a run."""

    summary: Summary
    stop: Stop | None = None
    uniform_refusal: UniformRefusal | None = None
    fault: str | None = None


def ended(
    reason: str | None = None, refusal: UniformRefusal | None = None, fault: str | None = None, **counts: int
) -> RunResult:
    stop = Stop(StopReason(reason), "It stopped.", "Do this.") if reason else None
    return cast("RunResult", Ended(summary(**counts), stop, refusal, fault))


@pytest.mark.parametrize(
    ("run", "first", "third"),
    [
        (ended(updated=3), DONE, DONE),
        (ended(unchanged=3), DONE, DONE),
        (ended(), DONE, DONE),
        (ended(updated=2, rejected=1), ATTENTION, ATTENTION),
        (ended(invalid=1), ATTENTION, ATTENTION),
        (ended(updated=1, differs=1), ATTENTION, ATTENTION),
        (ended(updated=1, failed=1), TROUBLE, UNFINISHED),
        (ended(unconfirmed=1, rejected=1), TROUBLE, UNFINISHED),
        (ended("service_down", failed=2, not_sent=9), TROUBLE, UNFINISHED),
        (ended("all_alike", FORBIDDEN, rejected=20, not_sent=9), TROUBLE, UNFINISHED),
        (ended(None, FORBIDDEN, rejected=2), TROUBLE, UNFINISHED),
        (ended("failures", FORBIDDEN, rejected=2, not_sent=1), TROUBLE, UNFINISHED),
        (ended(None, MISTYPED, rejected=2), ATTENTION, ATTENTION),
        (ended(None, FORBIDDEN, updated=1, rejected=2), ATTENTION, ATTENTION),
        (ended("failures", rejected=5, not_sent=9), ATTENTION, ATTENTION),
        (ended("failures", rejected=5, failed=1, not_sent=9), TROUBLE, UNFINISHED),
        (ended("waiting", rejected=1, not_sent=1), ATTENTION, ATTENTION),
        (ended("waiting", rejected=1, failed=1, not_sent=1), TROUBLE, UNFINISHED),
        *(
            (ended(reason, updated=1, not_sent=9), TROUBLE, TROUBLE)
            for reason in ("credentials", "quota", "max_wait", "interrupted", "disk")
        ),
        (ended(None, None, "The workbook could not be written.", updated=1), TROUBLE, TROUBLE),
    ],
)
def test_a_run_decides_on_its_file(run: RunResult, first: Disposition, third: Disposition) -> None:
    """In a first night, and in the third in a row with trouble of its own; the night ends with what is left."""
    for nights, disposition in ((1, first), (2, first), (3, third)):
        decision = decide_run(run, nights)
        assert decision.disposition is disposition
        assert (decision.stop is not None) == (disposition is TROUBLE)
        assert decision.is_own_trouble == (disposition is TROUBLE and third is UNFINISHED)


@pytest.mark.parametrize(
    ("error", "disposition", "reason", "code"),
    [
        (Interrupted(15), TROUBLE, "interrupted", 3),
        (CredentialsError("No token."), TROUBLE, "credentials", 3),
        (LockedError("Another."), TROUBLE, "locked", 4),
        (ConfigError("Wrong."), TROUBLE, "configuration", 2),
        (EndpointError("Wrong."), TROUBLE, "configuration", 2),
        (ResultsError("Full."), TROUBLE, "disk", 3),
        (StoreError("Full."), TROUBLE, "disk", 3),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), TROUBLE, "disk", 3),
        (InputError("Unreadable."), ATTENTION, None, None),
        (GuardError("Too many."), ATTENTION, None, None),
        (RuntimeError("unforeseen"), ATTENTION, None, None),
    ],
)
def test_an_error_decides_on_its_file(
    error: BaseException, disposition: Disposition, reason: str | None, code: int | None
) -> None:
    """What the next file would meet as well ends the night; what is about the file goes to a person with a remedy."""
    decision = decide_error(error, Path("a.csv"))
    stop = decision.stop
    assert (decision.disposition, stop and stop.reason, stop and stop.exit_code) == (disposition, reason, code)
    assert decision.is_fault == isinstance(error, RuntimeError)
    assert not decision.is_own_trouble


@pytest.mark.parametrize(
    ("counts", "disposition"),
    [(None, NOT_READY), ({"updated": 1, "not_sent": 1}, ATTENTION), ({"updated": 2}, DONE)],
)
def test_a_file_that_was_replaced_is_not_taken_for_the_new_one(
    counts: dict[str, int] | None, disposition: Disposition
) -> None:
    """Nothing of it was sent: the new one waits. Rows are left: a person has the copy. All is done: that holds."""
    decided = decide_replaced(Decision(DONE), summary(**counts) if counts else None)
    assert decided.disposition is disposition
    assert decide_replaced(
        replace(CHANGED, stop=decide_error(LockedError("x"), Path("a.csv")).stop), None
    ).stop  # the night still ends


@pytest.mark.parametrize(("counts", "disposition"), [({"updated": 1}, ATTENTION), ({"failed": 1}, TROUBLE)])
def test_nothing_newer_overtakes_a_file_that_cannot_be_moved(counts: dict[str, int], disposition: Disposition) -> None:
    """While rows of it are not done, the night ends: the next one would send old values over newer ones."""
    decided = decide_not_archived(Decision(ATTENTION), summary(**counts), "/attention", "No space left on device")
    assert (decided.disposition, decided.stop is not None) == (disposition, disposition is TROUBLE)


@pytest.mark.parametrize(("hours", "disposition"), [(None, NOT_READY), (1, NOT_READY), (25, ATTENTION)])
def test_what_is_not_ready_for_a_day_needs_a_person(hours: int | None, disposition: Disposition) -> None:
    """A dead upload and a forgotten lock do; a name that is not for the job does not."""
    now = datetime.now(UTC)
    still_since = now - timedelta(hours=hours) if hours else None
    file = SkippedFile(Path("a.part"), "it is still being uploaded", still_since)
    assert decide_not_ready(file, now).disposition is disposition


def test_a_start_within_half_a_day_is_the_same_night(tmp_path: Path) -> None:
    """A scheduler tries again every half hour, over midnight too; trouble that is not the file's own does not count."""
    file = ReadyFile(tmp_path / "a.csv", Stamp(1, 2, 3))
    first = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    state = StateStore(tmp_path, tmp_path)
    state.begin(file)
    counted = []
    for hours, own in ((0, True), (1.5, True), (24, False), (24, True), (24.5, True), (48, True)):
        state.leave(file, first + timedelta(hours=hours), own_trouble=own)
        (pending,) = StateStore(tmp_path, tmp_path).state.pending
        counted.append(pending.nights)
    assert counted == [1, 1, 1, 2, 2, 3]


def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    """Names that are no UTF-8 included; of another file of that name nothing is known, and a damaged state is empty."""
    file = ReadyFile(tmp_path / "b\udce9.csv", Stamp(1, 2, 3))
    state = StateStore(tmp_path, tmp_path)
    state.begin(file)
    state.end(3, STARTED, ())
    again = StateStore(tmp_path, tmp_path)
    assert again.state.exit_code == 3
    assert isinstance(again.pending(file), PendingFile)
    assert again.pending(replace(file, stamp=Stamp(1, 2, 4))) is None
    again.remove(file)
    assert StateStore(tmp_path, tmp_path).pending(file) is None
    again.path.write_bytes(b"\xff{")
    assert StateStore(tmp_path, tmp_path).state.exit_code is None


def test_a_run_that_can_be_followed_no_more_leaves_its_file_in_the_inbox() -> None:
    """Its workers may have gone on: the next night finds the run ended, or follows it."""
    decision = decide_error(EndedEarlyError("The database does not answer.", remedy="Wait."), Path("a.csv"))
    assert (decision.disposition, decision.is_own_trouble, decision.exit_code) == (TROUBLE, False, ExitCode.RUN_AGAIN)


def test_a_database_that_does_not_answer_leaves_the_file_in_the_inbox() -> None:
    """Whatever the job asked of it."""
    decision = decide_error(psycopg.OperationalError("connection refused"), Path("a.csv"))
    assert (decision.disposition, decision.is_fault, decision.exit_code) == (TROUBLE, False, ExitCode.RUN_AGAIN)


def test_a_run_that_the_workers_continue_is_followed_and_not_run_by_the_next_start() -> None:
    """After a detached run the advice says only that; after any other stop it says that the file is run again."""
    after_detach, after_signal = (
        next_step_of(decide_error(error, Path("a.csv")), None).text
        for error in (Detached(Path("run")), Interrupted(15))
    )
    assert after_detach == "Start it again: it then follows the run to its end."
    assert after_signal.endswith("The next start of the job runs it.")
