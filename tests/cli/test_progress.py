"""How far the sending is, on a terminal and in a log."""

from __future__ import annotations

import io
import re
import sys
from contextlib import closing

import pytest

from batch_updater.cli.progress import ProgressBar, ProgressLines
from batch_updater.records import Outcome, OutcomeKind


def outcomes(count: int) -> list[Outcome]:
    """Return outcomes of which the first is a rejection."""
    kinds = [OutcomeKind.REJECTED, *[OutcomeKind.UPDATED] * (count - 1)]
    return [Outcome(number, kind) for number, kind in enumerate(kinds, 2)]


def test_a_log_has_a_line_with_counts_rate_and_time_left() -> None:
    """The time left is foretold from the twentieth row on."""
    log = io.StringIO()
    with closing(ProgressLines(40, log, every_s=0)) as progress:
        for outcome in outcomes(20):
            progress.settled(outcome)
    lines = log.getvalue().splitlines()
    assert len(lines) == 20
    assert re.fullmatch(r"19 of 40 rows: 18 updated, 1 rejected; [\d.,]+ rows/s", lines[18])
    assert re.fullmatch(r"20 of 40 rows: 19 updated, 1 rejected; [\d.,]+ rows/s, [\d.]+ s left", lines[19])


def test_a_log_is_not_filled_with_progress() -> None:
    """Within its five seconds nothing is printed but what has to be said, which stays one line of plain text."""
    log = io.StringIO()
    with closing(ProgressLines(40, log)) as progress:
        for outcome in outcomes(40):
            progress.settled(outcome)
        progress.say("slower:\x1b[2K 5 a second\n")
    assert log.getvalue() == "slower:\\x1b[2K 5 a second\\n\n"


def test_the_bar_ends_with_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it showed on the way, it ends with every row counted by its outcome; words go above it."""
    with closing(ProgressBar(3)) as progress:
        for outcome in outcomes(3):
            progress.settled(outcome)
        progress.say("slower:\x1b[2K")
    err = capsys.readouterr().err
    assert "slower:\\x1b[2K\n" in err
    assert re.search(r"3/3 .*2 updated, 1 rejected\]\n$", err.replace("\r", "\n")), err
    assert sys.stderr.closed is False
