"""A few bytes that say a lot: what is repeated or far off counts like what a file unpacks to, and blanks are free."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.formats.book import Book
from batch_updater.loader.formats.opening import open_source
from tests.data.made_xlsb import cell_record, row_record, write_xlsb
from tests.data.make_data import opendocument_parts, sheet_xml, workbook_parts, write_package
from tests.loader.described import settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXT = 'office:value-type="string"'
ROW = f"<table:table-row><table:table-cell {TEXT}><text:p>x</text:p></table:table-cell></table:table-row>"


def opened(path: Path, parts: Mapping[str, str | bytes], **given: object) -> Book:
    return open_source(write_package(path, parts), settings(**given), name=path.name)


def ods(folder: Path, rows: str, **given: object) -> Book:
    return opened(folder / "a.ods", opendocument_parts(rows), **given)


def repeated(rows: int, cells: str) -> str:
    return f'<table:table-row table:number-rows-repeated="{rows}">{cells}</table:table-row>'


def read(source: Book) -> list[int]:
    """Read a sheet in every way. Returns the numbers of its rows."""
    source.properties(0)
    return [row.number for row in source.rows(0)]


FULL = f"<table:table-cell {TEXT}><text:p>x</text:p></table:table-cell>"
WIDE = f'<table:table-cell {TEXT} table:number-columns-repeated="16000"><text:p>x</text:p></table:table-cell>'
FAR = f'<table:table-cell table:number-columns-repeated="16383"/>{FULL}'


@pytest.mark.parametrize(
    "rows",
    [
        repeated(1_000_000, FULL),
        repeated(100_000, FULL),
        f"{ROW}{repeated(20, FULL)}" * 2_000,
        repeated(1_000, WIDE),
        f"<table:table-row>{WIDE}</table:table-row>" * 600,
        f"<table:table-row>{FAR}</table:table-row>" * 10_000,
        f'<table:table-row><table:table-cell {TEXT}><text:p><text:s text:c="131000"/></text:p></table:table-cell>'
        "</table:table-row>" * 5_000,
    ],
)
def test_what_is_repeated_without_end_is_refused_with_a_remedy(tmp_path: Path, rows: str) -> None:
    """The sentence names the file and the sheet, and what to do if all of it is meant."""
    with closing(ods(tmp_path, rows)) as source, pytest.raises(InputError) as raised:
        read(source)
    sheet = raised.value.place.sheet
    assert raised.value.message.startswith(f"a.ods has so many repeated or far-off cells on its sheet {sheet!r}")
    assert "500 MB" in raised.value.message
    assert "input.max_unpacked_mb" in raised.value.remedy


def test_who_raises_the_limit_may_repeat(tmp_path: Path) -> None:
    """The limit is that of what a file unpacks to, and counts for each reading."""
    source = ods(tmp_path, repeated(200, FULL), max_unpacked_mb=5)
    assert read(source) == read(source) == list(range(1, 201))
    with pytest.raises(InputError, match="more than 1 MB"):
        read(ods(tmp_path, repeated(200, FULL), max_unpacked_mb=1))


@pytest.mark.parametrize(
    "blank",
    [
        '<table:table-cell table:number-columns-repeated="16384"/>',
        f"<table:table-cell {TEXT}><text:p><text:s/></text:p></table:table-cell>",
        '<table:covered-table-cell table:number-columns-repeated="999999999"/>',
    ],
)
def test_blank_rows_cost_nothing_wherever_they_are(tmp_path: Path, blank: str) -> None:
    """LibreOffice writes the rest of a sheet as one row, repeated a million times."""
    rows = f"{ROW}{repeated(500_000, blank)}{ROW}{repeated(548_000, blank)}"
    assert read(ods(tmp_path, rows, max_unpacked_mb=1)) == [1, 500_002]


def test_columns_without_end_are_refused(tmp_path: Path) -> None:
    """A sheet has 16,384; each that is declared is kept while its rows are read."""
    parts = opendocument_parts(ROW)
    content = str(parts["content.xml"]).replace(
        "<table:table-row", "<table:table-column/>" * 210_000 + "<table:table-row", 1
    )
    with pytest.raises(InputError, match="more than 200,000"):
        read(opened(tmp_path / "a.ods", {**parts, "content.xml": content}))


def test_cells_far_off_count_in_every_workbook(tmp_path: Path) -> None:
    """A row of one cell in the last column is as long as any."""
    far = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 101))
    parts = workbook_parts({"S": sheet_xml(far)})
    assert len(read(opened(tmp_path / "a.xlsx", parts, max_unpacked_mb=10))) == 100
    with pytest.raises(InputError, match="far-off cells on its sheet 'S'"):
        read(opened(tmp_path / "b.xlsx", parts, max_unpacked_mb=1))
    data = b"".join(row_record(n) + cell_record(16_383, 1) for n in range(1, 101))
    with pytest.raises(InputError, match="far-off cells on its sheet 'S'"):
        read(open_source(write_xlsb(tmp_path / "c.xlsb", {"S": data}), settings(max_unpacked_mb=1), name="c.xlsb"))


def test_a_record_of_text_ends_somewhere(tmp_path: Path) -> None:
    """Quoted line breaks may go on for ever without a line that is too long."""
    lines = f'{"x" * 1_000}\n","' * 8_500
    (tmp_path / "a.csv").write_text(f'a,b\n1,"{lines}', encoding="utf-8")
    with pytest.raises(InputError, match="more than 8,388,608 characters in row 2"):
        read(open_source(tmp_path / "a.csv", settings(), name="a.csv"))
