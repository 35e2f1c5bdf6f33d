from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import InputError
from tests.loader.described import codes, table_of

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path, content: str, **given: object) -> InputError:
    with pytest.raises(InputError) as raised:
        table_of(path, content, **given)
    return raised.value


def test_the_first_row_that_is_not_blank_is_the_header_row(tmp_path: Path) -> None:
    """Blank lines above it keep their numbers."""
    assert codes(table_of(tmp_path, "\n,\nitemId,label\n1,a\n")) == {4: []}


def test_titles_are_told_from_headers(tmp_path: Path) -> None:
    """If a later row is clearly the header row, the message says which, and obeying it works."""
    content = "Updates of March\n\nitemId,label\n1,a\n"
    error = refusal(tmp_path, content)
    assert error.message == (
        "Row 1 of items.csv is not the header row, but row 3 is: row 1 begins with 'Updates of March', row 3 holds "
        "'itemId', 'label'."
    )
    assert error.remedy_lines[0] == ("Add --header-row 3 (or set input.header_row to 3), or delete the rows above it.")
    assert codes(table_of(tmp_path, content, header_row=3)) == {4: []}


def test_without_a_row_of_headers_the_first_row_is_judged(tmp_path: Path) -> None:
    """Where no row names the fields, the message is about the columns, not about a row that cannot be named."""
    assert "input.header_row" not in refusal(tmp_path, "a,b\n1,2\n").remedy


@pytest.mark.parametrize(("content", "row"), [("itemId,label\n1,a\n", 9), ("itemId,label\n\n1,a\n", 2)])
def test_a_configured_row_without_anything_is_refused(tmp_path: Path, content: str, row: int) -> None:
    """The setting is wrong then, and the message names it."""
    error = refusal(tmp_path, content, header_row=row)
    assert f"nothing in row {row}, where --header-row or input.header_row says it is" in error.message


def test_a_file_of_blank_rows_has_no_header_row(tmp_path: Path) -> None:
    """It says so, and where headers belong."""
    assert refusal(tmp_path, "\n \n").remedy == "Put the names of the fields into the first row."
