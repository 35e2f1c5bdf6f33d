"""Merged cells: the value of an area stands for its top-left cell alone; its other cells are no plain blanks."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Area
from batch_updater.records import Cell, CellError


class MergedCells:
    """The merged areas that touch some columns, for rows in ascending order."""

    def __init__(self, areas: Sequence[Area], positions: Collection[int], first_column: int, place: Location) -> None:
        """`positions` count from `first_column`, as the cells given to `marked` do."""
        self._positions = [(first_column + position, position) for position in sorted(positions)]
        columns = [column for column, _ in self._positions]
        touching = (area for area in areas if any(area.first_column <= at <= area.last_column for at in columns))
        self._ahead = deque(sorted(touching, key=lambda area: area.first_row))
        self._current: list[Area] = []
        self._place = place

    def marked(self, row: int, cells: Sequence[Cell]) -> Sequence[Cell]:
        """Return the row's cells; a blank one inside a merged area is a fault, except at the area's top left.

        Raises InputError if the areas lie over one another, as no spreadsheet program allows.
        """
        while self._ahead and self._ahead[0].first_row <= row:
            self._current.append(self._ahead.popleft())
        if not self._current:
            return cells
        self._current = [area for area in self._current if area.last_row >= row]
        if len(self._current) > len(self._positions):  # each has a column of its own
            raise InputError(
                f"{self._place.file} has merged cells that lie over one another.",
                remedy="Open it in a spreadsheet program, unmerge all cells and save it again.",
                place=self._place,
            )
        changed = list(cells)
        for area in self._current:
            for column, position in self._positions:
                inside = area.first_column <= column <= area.last_column
                top_left = row == area.first_row and column == area.first_column
                if inside and not top_left:
                    changed.extend([None] * (position + 1 - len(changed)))
                    changed[position] = CellError("merged-cell", area.address)
        return changed
