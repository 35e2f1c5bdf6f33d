"""loader/own_sheets.py: the rows of To fix keep their numbers, whatever a person does with them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.loader.own_sheets import RowNumbers
from batch_updater.records import Cell, Columns, FormattedNumber, Origin

ORIGIN = Origin("20261128-212947-q1", "q1.xlsx", "q1", 301, 303, {"itemId": "A", "dueDay": "G"})
CELLS = st.one_of(
    st.none(), st.integers(-5, 400), st.booleans(), st.text(max_size=4), st.decimals(allow_nan=False, places=2)
)


@given(st.lists(CELLS, max_size=60))
def test_no_number_is_given_twice_and_none_of_the_file_is_invented(first_cells: list[Cell]) -> None:
    """What is no number of a row of the file, or of one that was added before, or was there already, gets a new one."""
    numbers = RowNumbers(ORIGIN)
    given_out = [numbers.of((cell, "invalid", "", ""), at) for at, cell in enumerate(first_cells, 2)]
    assert len(set(given_out)) == len(given_out)
    for cell, number in zip(first_cells, given_out, strict=True):
        assert number >= ORIGIN.next_row or str(number) == str(cell).strip()


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (74, 74), ("74", 74), (" 74 ", 74), (302, 302), (FormattedNumber(74, "00074", "00000"), 74),
        (303, 303), (400, 303), (None, 303), (0, 303), (-3, 303), (Decimal("7.5"), 303), (True, 303), ("new", 303),
        ("07", 303), (10**12, 303),
    ],
)  # fmt: skip
def test_a_number_is_taken_as_programs_write_it(cell: Cell, number: int) -> None:
    """Also as text, as LibreOffice or a web table may leave it; everything else gets a number of its own."""
    assert RowNumbers(ORIGIN).of((cell,), 2) == number
    assert RowNumbers(ORIGIN).of((), 2) == 303


def test_the_number_of_another_row_is_told_and_taken_from_none() -> None:
    """A number twice, and one that the sheet did not have: the rows get numbers of their own, and a problem."""
    numbers = RowNumbers(replace(ORIGIN, rows="7-9,74"))
    assert [numbers.of((cell,), at) for at, cell in enumerate([7, None, 9, 10, 74, 74, 74, 6, 305], 2)] == [
        7, 303, 9, 304, 74, 305, 306, 307, 308,
    ]  # fmt: skip
    assert numbers.places == {303: 7, 304: 9, 305: 74, 306: 74, 307: 74, 308: 74}
    assert {row: fault.reason for row, fault in numbers.faults.items()} == {
        304: "Column Row says 10 in row 5 of the sheet To fix, but row 10 of q1.xlsx was not to be fixed.",
        74: "Column Row has 74 twice, in row 6 and in row 7 of the sheet To fix.",
        305: "Column Row has 74 twice, in row 6 and in row 7 of the sheet To fix.",
        306: "Column Row has 74 twice, in row 6 and in row 8 of the sheet To fix.",
        307: "Column Row says 6 in row 9 of the sheet To fix, but row 6 of q1.xlsx was not to be fixed.",
        308: "Column Row says 305 in row 10 of the sheet To fix: q1.xlsx has no such row.",
    }


@pytest.mark.parametrize(
    ("cell", "said"), [("G74", "'G74'"), ("74 ?", "'74 ?'"), (400, "400"), (Decimal("7.5"), "7.5")]
)
def test_what_is_no_number_of_a_row_is_a_problem_and_no_new_row(cell: Cell, said: str) -> None:
    """A blank cell alone is a row that was added."""
    numbers = RowNumbers(ORIGIN)
    assert [numbers.of((one,), at) for at, one in enumerate([cell, None, "", " "], 2)] == [303, 304, 305, 306]
    (fault,) = numbers.faults.values()
    assert (fault.row, fault.code) == (303, "row-number")
    assert fault.reason == f"Column Row says {said} in row 2 of the sheet To fix: q1.xlsx has no such row."
    assert "empty the cell of a row that you have added: it is a new one" in fault.remedy


@pytest.mark.parametrize(
    ("row", "field", "place"),
    [
        (74, "dueDay", "Close date (G74 of q1.xlsx, field dueDay)"),
        (74, "itemId", "Item ID (A74 of q1.xlsx)"),
        (302, "dueDay", "Close date (new row 302, field dueDay)"),
        (74, "note", "Note (new column, row 74)"),
        (74, "kind", "kind"),
    ],
)
def test_a_place_is_the_cell_in_the_first_file(row: int, field: str, place: str) -> None:
    """The header first, and the field where it is called otherwise; a constant has no cell."""
    columns = Columns(
        ("Item ID", "Note", "Close\ndate"), 4, {"itemId": 0, "note": 1, "dueDay": 2}, (), origin=ORIGIN
    )  # fmt: skip
    assert columns.place(row, field) == place
