"""plain_columns.py, and columns that are judged at once: the same comes of it as of each cell by itself."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.description import Bounds
from batch_updater.loader.cells import converter
from batch_updater.loader.plain_columns import plain_reader
from batch_updater.loader.row_parser import InputRules, RowParser, Width
from batch_updater.questions import NO_ANSWERS
from batch_updater.records import Cell, CellError, Columns
from tests.loader.described import AMOUNT, COUNT, DAY, FIELDS, ITEM, TEXT, endpoint, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_updater.endpoint.description import Field
    from batch_updater.loader.findings import CellNote
    from batch_updater.questions import NO_ANSWERS
from batch_updater.records import Value

WITHIN = Bounds(minimum=Decimal(-5), exclusive_maximum=Decimal(2000))
READ_AT_ONCE = (ITEM, AMOUNT, DAY, TEXT, replace(COUNT, bounds=WITHIN), replace(AMOUNT, bounds=WITHIN))
ORDINARY: st.SearchStrategy[Cell] = st.one_of(
    st.integers(0, 3000), st.integers(0, 3000).map(str), st.decimals(-10, 3000, places=2),
    st.decimals(-10, 3000, places=2).map(str), st.dates(), st.sampled_from(["Bolt", "Nut 5", "Größe M", "A&B", "x-1"]),
)  # fmt: skip
ODD: st.SearchStrategy[Cell] = st.one_of(
    st.integers(), st.decimals(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.booleans(),
    st.text(alphabet="0123456789.,-+eE\n %", max_size=8), st.just(CellError("error-cell", "#N/A")),
    st.sampled_from(["#CLEAR", "clear", "0", "-0", "-0.00", "1\n2", "007", "1.", ".5", "5 EUR", "$5", "Err:502", "-",
                     "NULL", "n/a", "2.0", "１", "a\nb", "b ", "Total", "123456789012345", "1234567890123456"]),
)  # fmt: skip


def exact(value: object) -> tuple[type, str]:
    """Return what tells a value from every other."""
    return type(value), repr(value)


def at_once(field: Field, cells: Sequence[Cell], **given_settings: object) -> Sequence[Value] | None:
    """Read cells of a column at once."""
    read = plain_reader(field, settings(**given_settings))
    assert read is not None
    return read(cells, set(map(type, cells)))


@given(
    st.sampled_from(READ_AT_ONCE),
    st.one_of(st.lists(ORDINARY, min_size=1, max_size=4), st.lists(ODD, min_size=1, max_size=3)),
    st.sampled_from([{}, {"decimal": ","}, {"clear_marker": "0"}, {"clear_marker": "Nut 5"}]),
)
def test_cells_that_are_read_at_once_are_the_values_that_each_of_them_is(
    field: Field, cells: list[Cell], given_settings: dict[str, object]
) -> None:
    """And nothing has to be told of them."""
    values = at_once(field, cells, **given_settings)
    if values is not None:
        noted: list[CellNote] = []
        convert = converter(field, settings(**given_settings), noted)
        assert list(map(exact, values)) == [exact(convert(cell)) for cell in cells]
        assert not noted


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        (ITEM, ["7", "008", "123456789012345"]), (ITEM, [7, 123456789012345]), (AMOUNT, ["1", "-2.50", "0"]),
        (AMOUNT, [5, Decimal("1.5"), 0]), (DAY, [date(2026, 1, 5), date(1900, 1, 1)]),
        (TEXT, ["Bolt", "Größe M", "12-7"]), (replace(AMOUNT, bounds=WITHIN), ["-5", "1999.99"]),
    ],
)  # fmt: skip
def test_ordinary_columns_are_read_at_once(field: Field, cells: list[Cell]) -> None:
    """Else nothing would be gained."""
    assert at_once(field, cells) is not None


HEADERS = tuple(field.name for field in FIELDS)
COLUMNS = Columns(HEADERS, 0, {name: at for at, name in enumerate(HEADERS)}, ())


def parser(stated: int | None) -> RowParser:
    """Return a new one."""
    width = Width(len(HEADERS), stated, "," if stated else "")
    return RowParser(
        endpoint(), COLUMNS, InputRules(settings(), {}, NO_ANSWERS), width, marked=False, is_verbatim=False
    )


ROWS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 9).map(str), st.sampled_from(["Small", None]), *[st.one_of(st.none(), ORDINARY)] * 5),
        st.lists(st.one_of(st.none(), ORDINARY, ODD, st.sampled_from(HEADERS)), min_size=1, max_size=8),
        st.just(HEADERS),
    ),
    min_size=1,
    max_size=5,
)


@given(ROWS, st.sampled_from([None, len(HEADERS)]))
def test_rows_that_are_judged_together_say_what_each_says_by_itself(
    rows: list[Sequence[Cell]], stated: int | None
) -> None:
    """Whatever the other rows hold, for all that a column remembers."""
    numbered = list(enumerate(rows, 2))
    together, one_by_one = parser(stated), parser(stated)
    expected = [one_by_one.parse(number, cells) for number, cells in numbered]
    assert list(map(repr, together.parse_all(numbered))) == list(map(repr, expected))
