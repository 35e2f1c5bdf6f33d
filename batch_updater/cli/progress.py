"""How far the sending is: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Never, TextIO

from batch_updater.cli.text_output import wrapped
from batch_updater.messages import counted, duration, outcome_counts
from batch_updater.text.printable import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import SupportsWrite
    from tqdm import tqdm

    from batch_updater.records import Outcome, OutcomeKind

_REFRESH_S = 0.5
_LINE_EVERY_S = 5.0
_ROWS_TO_FORETELL = 20
"""Fewer say nothing about when the others will be done."""


_FORMATS = (
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
    "{percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]",
    "{percentage:3.0f}% {n_fmt}/{total_fmt} [{remaining} left{postfix}]",
    "{percentage:3.0f}% {n_fmt}/{total_fmt}{postfix}",
    "{percentage:3.0f}% {n_fmt}/{total_fmt} rows",
    "{percentage:3.0f}%",
)
"""What the bar shows, from a wide terminal to a narrow one."""
_NARROWEST_BAR = 10


def _bar_class() -> type[tqdm[Never]]:
    """Return the bar of tqdm that leaves out what the terminal has no room for; importing tqdm takes time."""
    from tqdm import tqdm
    from tqdm.utils import disp_len

    class FittingBar(tqdm):  # type: ignore[type-arg]  # tqdm is generic only for type checkers
        def __str__(self) -> str:
            facts = self.format_dict
            room = facts["ncols"] or 79  # one less than the terminal has: tqdm leaves the last column free
            for number, bar_format in enumerate(_FORMATS):
                whole = self.format_meter(**{**facts, "bar_format": bar_format.replace("{bar}", ""), "ncols": None})
                needed = disp_len(whole) + (0 if number else _NARROWEST_BAR)
                if needed <= room or bar_format == _FORMATS[-1]:
                    break
            return self.format_meter(**{**facts, "bar_format": bar_format, "ncols": room})

        @staticmethod
        def status_printer(file: SupportsWrite[str]) -> Callable[[str], None]:
            """Return what replaces the line: it is erased, since a narrower terminal has no room for blanks over it."""
            if sys.platform == "win32":
                return tqdm.status_printer(file)

            def show(text: str) -> None:
                file.write(f"\r\x1b[K{text}")
                sys.stderr.flush()

            return show

    return FittingBar


class ProgressBar:
    """A progress bar on stderr, with rate, time left and counts by outcome, as far as there is room."""

    def __init__(self, total: int, known: Mapping[OutcomeKind, int] | None = None) -> None:
        """`known`: rows that had their outcome before; the rate is that of the others."""
        self._counts = Counter(known)
        self._bar = _bar_class()(
            total=total, unit=" rows", dynamic_ncols=True, mininterval=_REFRESH_S, smoothing=0.1, disable=not total,
            initial=self._counts.total(),
        )  # fmt: skip
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
        """Print a line above the bar, or several where the terminal is too narrow."""
        self._bar.write("\n".join(wrapped(text, 0)), file=sys.stderr)


class ProgressLines:
    """A line every few seconds, for a log."""

    def __init__(
        self,
        total: int,
        stream: TextIO,
        every_s: float = _LINE_EVERY_S,
        known: Mapping[OutcomeKind, int] | None = None,
    ) -> None:
        """`known`: rows that had their outcome before; the rate is that of the others."""
        self._total = total
        self._stream = stream
        self._every_s = every_s
        self._counts = Counter(known)
        self._known = self._counts.total()
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
            new = done - self._known
            rate = new / (now - self._started_at)
            left = f", {duration((self._total - done) / rate)} left" if new >= _ROWS_TO_FORETELL else ""
            so_far = outcome_counts(self._counts)
            self.say(f"{done:,} of {counted(self._total, 'row')}: {so_far}; {rate:.1f} rows/s{left}")

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(text, self._stream)
        self._stream.flush()
