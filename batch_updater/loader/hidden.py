"""Rows that a sheet does not show, because they are filtered or hidden by hand."""

from __future__ import annotations

from batch_updater.records import HiddenRows

_RANGES_KEPT = 10


class HiddenRowCounter:
    """Counts hidden rows, and keeps the first of their numbers; its size does not grow with the rows."""

    def __init__(self) -> None:
        self._count = 0
        self._ranges: list[tuple[int, int]] = []
        """First and last row of each stretch without a gap."""
        self._is_cut = False

    def add(self, row: int) -> None:
        """Add a row; rows come in ascending order."""
        self._count += 1
        if self._is_cut:
            return
        if self._ranges and self._ranges[-1][1] == row - 1:
            self._ranges[-1] = (self._ranges[-1][0], row)
        elif len(self._ranges) < _RANGES_KEPT:
            self._ranges.append((row, row))
        else:
            self._is_cut = True

    def result(self) -> HiddenRows:
        """Return what was counted."""
        listed = ", ".join(f"{first:,}" if first == last else f"{first:,}-{last:,}" for first, last in self._ranges)
        rows = "row" if self._count == 1 else "rows"
        return HiddenRows(self._count, f"{rows} {listed}{' and more' if self._is_cut else ''}" if listed else "")
