"""reporter/output_workbook.py: a text of any look comes back as the text that it is."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import openpyxl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.loader.table import open_table
from batch_updater.records import ExpectedValue
from batch_updater.reporter.cell_values import holds_text
from batch_updater.reporter.template import write_template
from batch_updater.reporter.undo_workbook import UndoRow, UndoWorkbook, write_undo_workbook
from tests.loader.staged import staged
from tests.reporter.made import COLUMNS, ENDPOINT, STARTED, invalid, row, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LOOKS = [
    "<r></r>",
    "<r>x</r>",
    "<r><t>x</t></r>",
    "<r>a & b < c</r>",
    "<r>" + "&" * 20_000 + "</r>",
    "<r>\n _x0041_ \t</r>",
    "_x0041_",
    "_x0041_x0042_x0043_",
    "_x005F_x0041_",
    "_X0041_",
    "_x00e9_",
    "a\rb\r\nc",
    "={1+1}",
    "{=1+1}",
    "http://example.com",
    "mailto:a@example.com",
    "internal:Data!A1",
    "&lt;",
    "]]>",
    "\u0085\u2028x",
    " x ",
    "\n",
]
PIECES = st.sampled_from(["<r>", "</r>", "<t>", "&", "_", "_x", "x0041", "_x005F_", "\r", "\n", " ", "a", "\U0001f600"])


def parts(path: Path) -> None:
    """Have an XML parser go over every part: whatever is not well-formed ends the test."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith((".xml", ".rels", ".vml")):
                ET.fromstring(archive.read(name))  # noqa: S314  (our own file)


def read(path: Path) -> list[object]:
    """Return the column OpportunityName as the loader reads it."""
    table = open_table(path, ENDPOINT, InputSettings(), name=path.name)
    at = table.columns.of_field["OpportunityName"]
    return [judged.row.cells[at] for judged in staged(table).rows]


@settings(max_examples=40)
@given(st.lists(st.lists(PIECES).map("".join)))
@example(LOOKS)
def test_texts_of_a_results_workbook_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """The text of a cell of the input is the text in the results, for our reader and for another."""
    texts = [text for text in texts if text and holds_text(text)]
    path = tmp_path_factory.mktemp("book") / "r.xlsx"
    write(path, [invalid(number, 1, "Pre", text) for number, text in enumerate(texts, 2)])
    parts(path)
    assert read(path) == texts
    book = openpyxl.load_workbook(path)
    for sheet, column in (("To fix", 7), ("All rows", 5)):
        for number, text in enumerate(texts, 2):
            # openpyxl does not decode the escapes of inline texts.
            if "_x" not in text and "\r" not in text:
                assert book[sheet].cell(number, column).value == text


def test_texts_of_an_undo_come_back(tmp_path: Path) -> None:
    """Also from the sheet that says what is expected, where a damaged text would refuse the whole file."""
    rows = [
        UndoRow(
            f"OpportunityId={number}&opportunityType=Pre",
            {"OpportunityId": number, "opportunityType": "Pre", "OpportunityName": text},
            (ExpectedValue("OpportunityName", text, text, text, text),),
        )
        for number, text in enumerate(LOOKS, 1)
    ]
    path = tmp_path / "undo.xlsx"
    write_undo_workbook(path, ENDPOINT, UndoWorkbook(rows, (), "run", "<r>x</r>", STARTED, True, ()), "#CLEAR")
    parts(path)
    assert read(path) == LOOKS
    expected = open_table(path, ENDPOINT, InputSettings(), name="undo.xlsx").expected
    assert expected
    assert [value.left for (value,) in expected.values()] == LOOKS


def test_a_template_of_an_odd_description_can_be_opened(tmp_path: Path) -> None:
    """What a field is called and said to be is text too."""
    odd = tuple(replace(field, description="<r>x</r>", example="<r>_x0041_</r>") for field in ENDPOINT.fields)
    path = tmp_path / "t.xlsx"
    write_template(path, replace(ENDPOINT, fields=odd), InputSettings(clear_marker="<r></r>"))
    parts(path)
    assert openpyxl.load_workbook(path)["How to fill in"]["C2"].value == "<r>x</r>"


def test_headers_are_texts(tmp_path: Path) -> None:
    """A header of the input, too."""
    path = tmp_path / "r.xlsx"
    headers = (*COLUMNS.headers[:-1], "<r>Owner</r>")
    write(path, [invalid(2, *row(2).cells)], columns=replace(COLUMNS, headers=headers, not_sent=("<r>Owner</r>",)))
    parts(path)
    assert openpyxl.load_workbook(path)["All rows"]["I1"].value == "<r>Owner</r>"
