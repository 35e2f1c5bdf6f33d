"""Rows that were copied in a spreadsheet program and pasted into the page."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.loader.formats.opening import open_source
from batch_updater.text.clipboard import as_tab_separated
from tests.loader.described import settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\t\x1a"), max_size=9)
PLAIN = CELLS.filter(lambda text: not text.startswith('"'))


def copied(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as Excel copies them."""

    def as_cell(text: str) -> str:
        return '"{}"'.format(text.replace('"', '""')) if "\n" in text else text

    return "".join("\t".join(map(as_cell, row)) + "\r\n" for row in rows)


def read(text: str) -> list[list[str]]:
    first, _, rest = as_tab_separated(text).partition("\n")
    assert first == "sep=\t"
    return list(csv.reader(StringIO(rest, newline=""), delimiter="\t", strict=True))


@given(
    rows=st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(PLAIN, min_size=width, max_size=width), min_size=1))
)
def test_what_was_copied_is_what_the_file_holds(rows: list[list[str]]) -> None:
    """Line breaks, quotes, commas and blanks in cells are a part of them."""
    assert read(copied(rows)) == rows


@pytest.mark.parametrize("cell", ['"new" offer', '6" pipe', '"all quoted"', '""', '"', '"open', "a,b;c"])
def test_quotes_in_a_cell_without_line_breaks_stay(cell: str) -> None:
    """Excel copies such a cell as it is."""
    assert read(f"{cell}\tx\r\ny\t{cell}\r\n") == [[cell, "x"], ["y", cell]]


def test_pasted_rows_are_read_as_every_file_is(tmp_path: Path) -> None:
    """The first row has number 1, although the file says above it what is between its cells."""
    path = tmp_path / "input.tsv"
    path.write_text(as_tab_separated('Id\tNote\n1\t"a, ""b""\nc, d"\n2\t"x"'), encoding="utf-8", newline="")
    source = open_source(path, settings(), name="pasted rows")
    assert [(row.number, row.cells) for row in source.rows(0)] == [
        (1, ["Id", "Note"]), (2, ["1", 'a, "b"\nc, d']), (3, ["2", '"x"']),
    ]  # fmt: skip


def test_a_text_without_tabs_is_left_to_the_reader_of_csv() -> None:
    """People paste lines of a CSV file, too."""
    assert as_tab_separated('Id;Note\r\n1;"a;b"\r\n') == 'Id;Note\n1;"a;b"\n'
