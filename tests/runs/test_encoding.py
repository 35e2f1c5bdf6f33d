"""encoding.py: what goes into the table comes back as exactly what it was."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.records import Cell, CellError, FormattedNumber, PartlyShownDate, PartlyShownDateTime, ShownAs
from batch_updater.runs.encoding import (
    UndecodableError,
    decode_cells,
    decode_fields,
    encode_cells,
    encode_fields,
    head_of_fields,
)

NUMBERS = st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False))
TEXTS = st.text(st.characters(), max_size=8)
CELLS: st.SearchStrategy[Cell] = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.dates(),
    st.datetimes().map(lambda at: at.replace(fold=0)), st.times().map(lambda at: at.replace(fold=0)), st.timedeltas(),
    st.builds(FormattedNumber, NUMBERS, TEXTS, TEXTS, st.sampled_from(ShownAs), st.sampled_from(["", "EUR"])),
    st.builds(CellError, st.sampled_from(["error-cell", "no-value"]), TEXTS),
    st.builds(PartlyShownDate.of, st.dates(), st.sampled_from(["day", "century"])),
    st.builds(PartlyShownDateTime.of, st.datetimes(), st.sampled_from(["date", "time of day"])),
)  # fmt: skip


def exact(cell: Cell) -> tuple[type, str, str]:
    """Return what tells a cell from every other, as True from 1 and 1.0 from 1.00."""
    return type(cell), repr(cell), getattr(cell, "hidden", "")


@given(st.lists(CELLS, max_size=12), st.booleans())
def test_cells_come_back_as_they_were(cells: list[Cell], keeps_blank: bool) -> None:
    """Every kind of cell, whatever it holds; blank ones at the end only where the length of a row matters."""
    (text,) = encode_cells([cells], keeps_blank=keeps_blank)
    back = decode_cells(text)
    expected = list(cells)
    while not keeps_blank and expected and expected[-1] is None:
        expected.pop()
    assert list(map(exact, back)) == list(map(exact, expected))


@given(st.lists(st.lists(CELLS, max_size=4), max_size=6), st.booleans())
def test_many_rows_are_encoded_as_each_of_them_is(rows: list[list[Cell]], keeps_blank: bool) -> None:
    """Whatever the others hold."""
    one_by_one = [text for cells in rows for text in encode_cells([cells], keeps_blank=keeps_blank)]
    assert encode_cells(rows, keeps_blank=keeps_blank) == one_by_one


@given(st.dictionaries(TEXTS, st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.dates()), max_size=8))
def test_field_values_come_back_in_their_order(values: dict[str, str | int | Decimal | bool | date | None]) -> None:
    """Names and values, with the types that they had."""
    try:
        (stored,) = encode_fields([values], [head_of_fields(values)])
    except UnicodeEncodeError:  # a name is the endpoint's, and never holds half a surrogate
        return
    back = decode_fields(stored)
    assert [(name, exact(value)) for name, value in back.items()] == [(n, exact(v)) for n, v in values.items()]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "1", "null", '["s"]', '["s", 1]', '["i", "1"]', '["n", "x"]', '["d", "2025-13-01"]', '["?", 1]',
     '[null, ["x", 1]]', '[null, 1.5]', '[null, {}]', '["s", "a", "b"]', '[1, "a"]', '["i", 1.5]'],
)  # fmt: skip
def test_what_is_never_written_is_refused(text: str) -> None:
    """Cells that a person or another program has put there are no cells."""
    with pytest.raises(UndecodableError):
        decode_cells(text)


def test_times_of_day_and_durations_keep_their_microseconds() -> None:
    """A sheet's times are exact to the millisecond at least."""
    cells: list[Cell] = [time(1, 2, 3, 456000), timedelta(hours=30, microseconds=1)]
    (text,) = encode_cells([cells])
    assert decode_cells(text) == cells
