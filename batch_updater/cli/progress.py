"""How far the sending is: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Never, TextIO

from batch_updater.cli.text_output import duration, outcome_counts
from batch_updater.messages import counted
from batch_updater.text.printable import print_line, printable

if TYPE_CHECKING:
    from tqdm import tqdm

    from batch_updater.records import Outcome, OutcomeKind

_REFRESH_S = 0.5
_LINE_EVERY_S = 5.0
_ROWS_TO_FORETELL = 20
"""Fewer say nothing about when the others will be done."""


class ProgressBar:
    """A progress bar on stderr, with rate, time left and counts by outcome."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._counts: Counter[OutcomeKind] = Counter()
        self._bar: tqdm[Never] = tqdm(
            total=total, unit=" rows", dynamic_ncols=True, mininterval=_REFRESH_S, smoothing=0.1
        )
        self._shown_at = time.monotonic()

    def close(self) -> None:
        """Show the last counts and end the bar."""
        self._bar.set_postfix_str(outcome_counts(self._counts), refresh=False)
        self._bar.close()

    def settled(self, outcome: Outcome) -> None:
        """Count one more row that has its outcome."""
        self._counts[outcome.kind] += 1
        now = time.monotonic()
        if now - self._shown_at >= _REFRESH_S:  # set_postfix costs a hundred times what update does
            self._shown_at = now
            self._bar.set_postfix_str(outcome_counts(self._counts), refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(printable(text), file=sys.stderr)


class ProgressLines:
    """A line every few seconds, for a log."""

    def __init__(self, total: int, stream: TextIO, every_s: float = _LINE_EVERY_S) -> None:
        self._total = total
        self._stream = stream
        self._every_s = every_s
        self._counts: Counter[OutcomeKind] = Counter()
        self._started_at = self._shown_at = time.monotonic()

    def close(self) -> None:
        """Print nothing: the result follows."""

    def settled(self, outcome: Outcome) -> None:
        """Count one more row that has its outcome."""
        self._counts[outcome.kind] += 1
        now = time.monotonic()
        if now - self._shown_at >= self._every_s:
            self._shown_at = now
            done = self._counts.total()
            rate = done / (now - self._started_at)
            left = f", {duration((self._total - done) / rate)} left" if done >= _ROWS_TO_FORETELL else ""
            so_far = outcome_counts(self._counts)
            self.say(f"{done:,} of {counted(self._total, 'row')}: {so_far}; {rate:.1f} rows/s{left}")

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(text, self._stream)
        self._stream.flush()
