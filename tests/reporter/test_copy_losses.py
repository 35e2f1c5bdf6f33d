"""What an annotated copy would lose is found in the workbook's own package, before openpyxl opens it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from batch_updater.reporter.copy_losses import Annotatable, examine
from tests.data.make_data import FOLDER

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f80f0001040100"
    "7d0d4f1a0000000049454e44ae426082"
)
PUT: dict[str, Callable[[xlsxwriter.Workbook, Worksheet], object]] = {
    "shapes and text boxes": lambda _, sheet: sheet.insert_textbox("D2", "look"),
    "pictures": lambda _, sheet: sheet.insert_image("D2", "a.png", {"image_data": io.BytesIO(PICTURE)}),
    "pictures in headers": lambda _, sheet: sheet.set_header(
        "&L&G", {"image_left": "a.png", "image_data_left": io.BytesIO(PICTURE)}
    ),
    "the picture behind": lambda _, sheet: sheet.set_background(io.BytesIO(PICTURE)),
    "charts": lambda book, sheet: sheet.insert_chart("D2", _chart(book)),
    "sparklines": lambda _, sheet: sheet.add_sparkline("D2", {"range": "Sheet1!A1:C1"}),
    "conditional formats of newer": lambda _, sheet: sheet.conditional_format(
        "A1:A3", {"type": "data_bar", "data_bar_2010": True}
    ),
    "buttons and other controls": lambda _, sheet: sheet.insert_button("D2", {"macro": "go"}),
    "check boxes in cells": lambda _, sheet: sheet.insert_checkbox("D2", boolean=True),
    "dynamic arrays": lambda _, sheet: sheet.write_dynamic_array_formula("D2", "=UNIQUE(A1:A3)"),
    "saved results of a formula": lambda _, sheet: sheet.write_formula("D2", "=A1", value=1),
    "warnings of cells": lambda _, sheet: sheet.ignore_errors({"number_stored_as_text": "A1"}),
    "embedded": lambda _, sheet: sheet.embed_image("D2", "a.png", {"image_data": io.BytesIO(PICTURE)}),
    "reading only": lambda book, _: book.read_only_recommended(),
}
OPEN, EXCEL = "application/vnd.openxmlformats-officedocument", "application/vnd.ms-excel"
ADDED = {
    "custom XML": ("customXml/item1.xml", "application/xml"),
    "digital signature": ("_xmlsignatures/sig1.xml", "application/xml"),
    "replies in threaded": ("xl/threadedComments/threadedComment1.xml", f"{EXCEL}.threadedcomments+xml"),
    "slicers": ("xl/slicers/slicer1.xml", f"{EXCEL}.slicer+xml"),
    "pivot tables": ("xl/pivotCache/definition1.xml", f"{OPEN}.spreadsheetml.pivotCacheDefinition+xml"),
    "data connections": ("xl/connections.xml", f"{OPEN}.spreadsheetml.connections+xml"),
    "data model": ("xl/model/item.data", f"{OPEN}.model+data"),
    "SmartArt": ("xl/diagrams/data1.xml", f"{OPEN}.drawingml.diagramData+xml"),
    "sensitivity label": ("docMetadata/LabelInfo.xml", "application/vnd.ms-office.classificationlabels+xml"),
    "its part xl/newest.bin": ("xl/newest.bin", f"{EXCEL}.newest"),
}


@pytest.mark.parametrize("words", PUT)
def test_what_excel_knows_and_openpyxl_does_not_is_named(tmp_path: Path, words: str) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        PUT[words](book, book.add_worksheet())
    losses = examine(path).losses
    assert any(words in loss for loss in losses) or (words == "embedded" and losses)


@pytest.mark.parametrize("words", ADDED)
def test_a_part_that_would_be_left_out_is_named(tmp_path: Path, words: str) -> None:
    name, kind = ADDED[words]
    (loss,) = examine(plain(tmp_path, {name: "<a/>"}, f'<Override PartName="/{name}" ContentType="{kind}"/>')).losses
    assert words in loss


def test_what_openpyxl_keeps_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b"], book.add_format({"bold": True, "bg_color": "yellow", "quote_prefix": True}))
        sheet.write_rich_string(1, 0, "one ", book.add_format({"italic": True}), "two")
        sheet.write_comment(1, 1, "Ask Ada")
        sheet.write_url(2, 1, "https://example.com/")
        sheet.data_validation("B2:B9", {"validate": "list", "source": ["x", "y"]})
        sheet.conditional_format("A1:A3", {"type": "cell", "criteria": ">", "value": 1})
        sheet.merge_range("C1:D2", "both")
        sheet.add_table("F1:G3")
        sheet.freeze_panes(1, 1)
        sheet.autofilter("A1:B3")
        sheet.protect("x")
        book.define_name("Rate", "=Sheet1!$A$1")
        book.set_custom_property("Owner", "Ada")
    assert examine(path) == Annotatable()
    assert examine(FOLDER / "saved-by-libreoffice.xlsx") == Annotatable()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("report.csv", "only .xlsx and .xlsm"),
        ("saved-by-libreoffice.xls", "only .xlsx and .xlsm"),
        ("saved-by-libreoffice.ods", "only .xlsx and .xlsm"),
        ("cells-of-every-kind.xlsb", "only .xlsx and .xlsm"),
        ("protected.xlsx", "encrypted"),
        ("strict.xlsx", "Strict Open XML"),
        ("billion-laughs.xlsx", "document type definition"),
        ("cut-off.xlsx", "only .xlsx and .xlsm"),
    ],
)
def test_a_file_that_cannot_be_annotated_is_refused_with_the_reason(name: str, why: str) -> None:
    assert why in examine(FOLDER / name).refusal


@pytest.mark.parametrize(
    "sheet",
    [
        "<sheetData>" + '<row r="1"><c/><c/><c/></row>' * 4 + "</sheetData>",
        '<sheetData/><mergeCells><mergeCell ref="A1:D3"/></mergeCells>',
        '<sheetData/><hyperlinks><hyperlink ref="A1:XFD1048576"/></hyperlinks>',
        "<sheetData>" + '<row r="1" ht="3"/>' * 12 + "</sheetData>",
    ],
)
def test_a_workbook_with_too_many_cells_is_refused(tmp_path: Path, sheet: str) -> None:
    path = plain(tmp_path, {"xl/worksheets/sheet1.xml": f'<worksheet xmlns="x">{sheet}</worksheet>'})
    assert "more than 11 cells" in examine(path, most_cells=11).refusal
    assert not examine(path, most_cells=12 if "XFD" not in sheet else 1 << 34).refusal


def test_a_text_that_openpyxl_would_change_is_a_reason(tmp_path: Path) -> None:
    for far in (0, (1 << 16) - 80):
        text = "<is><t>" + "-" * far + "_x005F_x0041_</t></is>"
        sheet = f'<worksheet xmlns="x"><sheetData><row r="1"><c t="inlineStr">{text}</c></row></sheetData></worksheet>'
        assert "x005F" in examine(plain(tmp_path, {"xl/worksheets/sheet1.xml": sheet})).refusal


def test_losses_are_told_as_one_sentence() -> None:
    three = Annotatable(losses=("slicers", "shapes", "charts"))
    assert "would lose slicers, shapes and charts. With --yes" in three.note(may_lose=False)
    assert "lacks slicers, shapes and charts." in three.note(may_lose=True)
    assert not Annotatable().note(may_lose=False)
    assert "because" not in Annotatable(refusal="it is too large.").note(may_lose=True)


def _chart(book: xlsxwriter.Workbook) -> object:
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=Sheet1!$A$1:$A$3"})
    return chart


def plain(folder: Path, parts: dict[str, str], override: str = "") -> Path:
    """Make a workbook with other parts than it would have."""
    made, path = io.BytesIO(), folder / "plain.xlsx"
    openpyxl.Workbook().save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = parts.get(name, "").encode() or old.read(name)
            new.writestr(name, content.replace(b"</Types>", f"{override}</Types>".encode()))
        for name in parts.keys() - set(old.namelist()):
            new.writestr(name, parts[name])
    return path
