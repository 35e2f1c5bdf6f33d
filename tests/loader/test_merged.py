from __future__ import annotations

import pytest

from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Area
from batch_updater.loader.merged import MergedCells
from batch_updater.records import CellError

PLACE = Location("a.xlsx", "S")
INSIDE = CellError("merged-cell", "B2:C3")


def test_only_the_cell_at_the_top_left_of_an_area_has_its_value() -> None:
    """The others are marked in every row of the area, also where the file has no cell for them, and nowhere else."""
    merged = MergedCells([Area(2, 3, 1, 2)], [0, 1, 2], 0, PLACE)
    assert merged.marked(1, ["a"]) == ["a"]
    assert merged.marked(2, ["1", "top left", None, "d"]) == ["1", "top left", INSIDE, "d"]
    assert merged.marked(3, ["2"]) == ["2", INSIDE, INSIDE]
    assert merged.marked(4, ["3", None]) == ["3", None]


def test_columns_of_no_field_may_be_merged() -> None:
    """A title merged over columns that are not sent is no problem."""
    assert MergedCells([Area(2, 3, 1, 2)], [0, 3], 0, PLACE).marked(3, ["1", None, None, "x"]) == ["1", None, None, "x"]


def test_areas_count_from_column_a_where_the_cells_do_not() -> None:
    """The columns that results put in front are no part of the cells, but of the areas' places."""
    assert MergedCells([Area(2, 3, 5, 5)], [1], 4, PLACE).marked(3, ["1"]) == ["1", CellError("merged-cell", "F2:F3")]


def test_areas_over_one_another_are_refused() -> None:
    """More areas in one row than columns that they touch is an attack on time, and no workbook."""
    merged = MergedCells([Area(2, 9, 0, 9)] * 3, [0, 1], 0, PLACE)
    with pytest.raises(InputError, match="lie over one another"):
        merged.marked(2, ["1"])
    beside = MergedCells([Area(2, 9, 0, 0), Area(2, 9, 1, 4)], [0, 1], 0, PLACE)
    assert beside.marked(2, ["1", "2"]) == ["1", "2"]
