"""Rows that a sheet does not show, because they are filtered or hidden by hand."""

from __future__ import annotations

_RANGES_KEPT = 10


class HiddenRows:
    """How many data rows are hidden, and which the first of them are; its size does not grow with the rows."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[tuple[int, int]] = []
        """First and last row of each stretch without a gap."""
        self._is_cut = False

    def add(self, row: int) -> None:
        """Add a row; rows come in ascending order."""
        self.count += 1
        if self._is_cut:
            return
        if self._ranges and self._ranges[-1][1] == row - 1:
            self._ranges[-1] = (self._ranges[-1][0], row)
        elif len(self._ranges) < _RANGES_KEPT:
            self._ranges.append((row, row))
        else:
            self._is_cut = True

    @property
    def numbers(self) -> str:
        """The rows in words: `row 3`, `rows 3-7, 9 and more`."""
        listed = ", ".join(f"{first:,}" if first == last else f"{first:,}-{last:,}" for first, last in self._ranges)
        return f"{'row' if self.count == 1 else 'rows'} {listed}{' and more' if self._is_cut else ''}"

    @property
    def counted(self) -> str:
        """How many they are: `1 row`, `12 rows`."""
        return "1 row" if self.count == 1 else f"{self.count:,} rows"
