"""How far the sending is, on a terminal and in a log."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
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


def test_rows_that_were_known_before_are_counted_without_making_the_rate() -> None:
    """Who follows a run from its middle sees all of its rows, and a time left by the rows that were seen to end."""
    log = io.StringIO()
    with closing(ProgressLines(1000, log, every_s=0, known={OutcomeKind.UPDATED: 900})) as progress:
        for outcome in outcomes(20):
            progress.settled(outcome)
    lines = log.getvalue().splitlines()
    assert re.fullmatch(r"919 of 1,000 rows: 918 updated, 1 rejected; [\d.,]+ rows/s", lines[18])
    assert re.fullmatch(r"920 of 1,000 rows: 919 updated, 1 rejected; [\d.,]+ rows/s, [\d.]+ s left", lines[19])


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


def test_there_is_no_bar_where_no_row_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """What has to be said is printed all the same."""
    with closing(ProgressBar(0)) as progress:
        progress.say("The page cannot be written.")
    assert capsys.readouterr().err == "The page cannot be written.\n"


_END = "\x1e"


class Terminal:
    """A pseudo-terminal whose width can be changed, in place of stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ours, self._theirs = pty.openpty()
        monkeypatch.setattr(sys, "stderr", os.fdopen(self._theirs, "w", encoding="utf-8"))

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def line(self) -> str:
        """Return what the line shows that was written last."""
        sys.stderr.write(_END)
        sys.stderr.flush()
        shown = ""
        while not shown.endswith(_END):  # a terminal hands on what it is given when it has the time
            shown += os.read(self._ours, 1 << 20).decode()
        shown = shown.removesuffix(_END)
        return re.sub(r"\x1b\[[A-Z]", "", shown.rpartition("\r\x1b[K")[2])


def test_the_bar_fits_a_terminal_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves out what there is no room for: the bar first, then the rate, the time and the counts."""
    terminal = Terminal(monkeypatch)
    terminal.resize(120)
    with closing(ProgressBar(40)) as progress:
        shown = {}
        for columns, outcome in zip((120, 80, 66, 50, 26, 15, 5), outcomes(7), strict=True):
            terminal.resize(columns)
            progress._shown_at -= 60  # the counts are due
            progress.settled(outcome)
            progress._bar.refresh()  # it draws itself twice a second
            shown[columns] = terminal.line()
            assert len(shown[columns]) < columns
    assert re.fullmatch(r" *2%\|.*\| 1/40 \[.*rows/s, 1 rejected\]", shown[120])
    assert re.fullmatch(r" *5%\|.*\| 2/40 \[.*rows/s, 1 updated, 1 rejected\]", shown[80])
    assert re.fullmatch(r" *8% 3/40 \[.*rows/s, 2 updated, 1 rejected\]", shown[66])
    assert re.fullmatch(r" *10% 4/40 \[\d\d:\d\d left, 3 updated, 1 rejected\]", shown[50])
    assert shown[26] == " 12% 5/40 rows"
    assert shown[15] == " 15% 6/40 rows"
    assert shown[5] == " 18%"
