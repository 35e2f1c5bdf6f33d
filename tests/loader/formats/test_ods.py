from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.formats.book import Book
from batch_updater.loader.formats.choice import choose_sheet
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import CellError, FormattedNumber, ShownAs
from tests.data.make_data import opendocument_parts, write_package
from tests.loader.described import settings

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.records import Cell


def source(path: Path, rows: str, **given: object) -> Book:
    return open_source(write_package(path / "a.ods", opendocument_parts(rows)), settings(**given), name="a.ods")


def cell(path: Path, attributes: str, content: str = "") -> Cell:
    row = f"<table:table-row><table:table-cell {attributes}>{content}</table:table-cell></table:table-row>"
    return next(iter(source(path, row).rows(0))).cells[0]


@pytest.mark.parametrize(
    ("attributes", "content", "expected"),
    [
        ('office:value-type="string"', "<text:p>00123</text:p>", "00123"),
        ('office:value-type="string"', "<text:p>a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d</text:p>",
         "a   b\tc\nd"),
        ('office:value-type="string"', "<text:p> a \n  b </text:p>", "a b "),
        ('office:value-type="string"', "<text:p>\n  a b\n  </text:p>", "a b"),
        ('office:value-type="string"', "<text:p><text:span>a</text:span><text:a>b</text:a></text:p>", "ab"),
        ('office:value-type="string" office:string-value="x"', "<text:p>shown</text:p>", "x"),
        ('office:value-type="float" office:value="0.1"', "<text:p>0</text:p>", Decimal("0.1")),
        ('office:value-type="float" office:value="123" table:style-name="zeros"', "",
         FormattedNumber(123, "00123", "00000")),
        ('office:value-type="percentage" office:value="0.5"', "<text:p>50%</text:p>",
         FormattedNumber(Decimal("0.5"), "50%", "0%", ShownAs.OTHERWISE)),
        ('office:value-type="currency" office:currency="EUR" office:value="5"', "", 5),
        ('office:value-type="boolean" office:boolean-value="true"', "", True),
        ('office:value-type="date" office:date-value="2025-04-03"', "", date(2025, 4, 3)),
        ('office:value-type="date" office:date-value="2025-04-03T09:30:00"', "",
         datetime.combine(date(2025, 4, 3), time(9, 30))),
        ('office:value-type="time" office:time-value="PT30H15M00S"', "", timedelta(hours=30, minutes=15)),
        ('table:formula="of:=1+1"', "", CellError("formula-without-value", "=1+1")),
        ('table:formula="of:=NA()" office:value-type="string" office:string-value=""', "<text:p>#N/A</text:p>",
         CellError("error-cell", "#N/A")),
    ],
)  # fmt: skip
def test_a_cell_is_what_its_attributes_say(tmp_path: Path, attributes: str, content: str, expected: Cell) -> None:
    """The value of a cell is in its attributes; the text beside it is how it is shown."""
    assert cell(tmp_path, attributes, content) == expected


def test_repeated_cells_and_rows_stand_where_they_are(tmp_path: Path) -> None:
    """A run of equal cells or rows is written once with its number; blank ones count too."""
    twice = 'table:number-columns-repeated="2"'
    rows = (
        '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>'
        f'<table:table-row table:number-rows-repeated="2"><table:table-cell {twice}/>'
        f'<table:table-cell {twice} office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048571"><table:table-cell/></table:table-row>'
    )
    found = [(row.number, row.cells) for row in source(tmp_path, rows).rows(0) if any(row.cells)]
    assert found == [(4, [None, None, "x", "x"]), (5, [None, None, "x", "x"])]


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ('office:value-type="float" office:value="abc"', "abc"),
        ('office:value-type="float" office:value="nan"', "nan"),
        ('office:value-type="float" office:value="1e999999999"', "1e999999999"),
        ('office:value-type="float"', "#VALUE!"),
        ('office:value-type="date" office:date-value="-0044-03-15"', "-0044-03-15"),
        ('office:value-type="time" office:time-value="09:55:33"', "09:55:33"),
        ('office:value-type="boolean" office:boolean-value="yes"', "yes"),
        ('office:value-type="boolean"', "#VALUE!"), ('office:value-type="colour"', "7"),
        ('office:value-type="date" office:date-value="12025-03-15"', "12025-03-15"),
    ],
)  # fmt: skip
def test_a_number_or_date_that_is_none_is_a_fault_of_its_cell(tmp_path: Path, attributes: str, shown: str) -> None:
    """What cannot be read is neither a blank nor a zero, nor what its text seems to say."""
    code = "error-cell" if shown.startswith("#") else "no-value"
    assert cell(tmp_path, attributes, "<text:p>7</text:p>") == CellError(code, shown)


def test_an_error_that_is_saved_as_zero_is_an_error(tmp_path: Path) -> None:
    """OpenOffice saves the value 0 with a formula that fails; only the text shows that it has failed."""
    attributes = 'table:formula="of:=1/0" office:value-type="float" office:value="0"'
    assert cell(tmp_path, attributes, "<text:p>#DIV/0!</text:p>") == CellError("error-cell", "#DIV/0!")


PHONES = (
    '<number:number-style style:name="N2P0"><number:number number:min-integer-digits="0"><number:embedded-text '
    'number:position="4">-</number:embedded-text></number:number></number:number-style>'
    '<number:number-style style:name="N2"><number:text>(</number:text><number:number number:min-integer-digits="0">'
    '<number:embedded-text number:position="7">) </number:embedded-text><number:embedded-text number:position="4">-'
    "</number:embedded-text></number:number>"
    '<style:map style:condition="value()&lt;=9999999" style:apply-style-name="N2P0"/></number:number-style>'
    '<style:style style:name="phones" style:family="table-cell" style:data-style-name="N2"/>'
)
"""As LibreOffice saves `[<=9999999]###-####;(###) ###-####`."""


@pytest.mark.parametrize(("number", "text"), [(1234567, "123-4567"), (2125551234, "(212) 555-1234")])
def test_a_format_that_depends_on_the_number_shows_what_it_shows(tmp_path: Path, number: int, text: str) -> None:
    """Which of several formats counts is decided by the number, and places that may stay empty are places."""
    parts = opendocument_parts(
        f'<table:table-row><table:table-cell table:style-name="phones" office:value-type="float" '
        f'office:value="{number}"/></table:table-row>'
    )
    parts["content.xml"] = str(parts["content.xml"]).replace(
        "<office:automatic-styles>", f"<office:automatic-styles>{PHONES}"
    )
    opened = open_source(write_package(tmp_path / "a.ods", parts), settings(), name="a.ods")
    (found,) = next(iter(opened.rows(0))).cells
    assert isinstance(found, FormattedNumber)
    assert (found.number, found.text) == (number, text)


@pytest.mark.parametrize("tag", ["<text:p>", "<table:table-cell>", "<a>"])
def test_elements_do_not_stand_within_one_another_without_end(tmp_path: Path, tag: str) -> None:
    """Each open element takes the parser's memory."""
    with pytest.raises(InputError, match="too many elements within one another"):
        source(tmp_path, tag * 200)


def test_of_many_sheets_only_those_with_something_are_read(tmp_path: Path) -> None:
    """Thousands of blank sheets cost one look; of as many full ones the first are named."""
    parts = opendocument_parts("<table:table-row><table:table-cell/></table:table-row>")
    blank = '<table:table table:name="B{}"><table:table-row><table:table-cell/></table:table-row></table:table>'
    full = blank.replace("<table:table-cell/>", '<table:table-cell office:value-type="float" office:value="1"/>')
    for sheets, chosen in (("".join(map(blank.format, range(3000))) + full.format("x"), 3001), (full * 3000, None)):
        content = str(parts["content.xml"]).replace("<office:spreadsheet>", "<office:spreadsheet>" + sheets, 1)
        file = write_package(tmp_path / "a.ods", {**parts, "content.xml": content})
        source_ = open_source(file, settings(), name="a.ods")
        if chosen is None:
            with pytest.raises(InputError, match=r"several sheets with rows: .* and more"):
                choose_sheet(source_, settings(), lambda _: None, "")
        else:
            assert source_.sheets[choose_sheet(source_, settings(), lambda _: None, "").index].name == "Bx"


def test_the_newer_form_of_a_protected_file_is_known(tmp_path: Path) -> None:
    """The whole package is encrypted inside another."""
    file = write_package(tmp_path / "a.ods", {"mimetype": "application/zip", "encrypted-package": b"\1\2"})
    with pytest.raises(InputError, match="protected by a password"):
        open_source(file, settings(), name="a.ods")
