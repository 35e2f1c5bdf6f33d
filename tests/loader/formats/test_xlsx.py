from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from batch_updater.errors import InputError
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import CellError, FormattedNumber, ShownAs
from tests.data.make_data import write_package
from tests.loader.described import settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batch_updater.records import Cell

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
LISTED = "http://schemas.openxmlformats.org/package/2006/relationships"


def read(path: Path) -> list[tuple[int, list[Cell]]]:
    return [(row.number, row.cells) for row in open_source(path, settings(), name="a.xlsx").rows(0)]


def read_with_properties(path: Path) -> None:
    source = open_source(path, settings(), name="a.xlsx")
    source.properties(0)
    list(source.rows(0))


def handmade(
    path: Path, data: str, *, namespace: str = MAIN, strings: str = "", head: str = "", tail: str = ""
) -> Path:
    """Write a workbook whose sheet's data is the XML given."""
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{LISTED}"><Relationship Id="r" Type="{RELATIONS}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{LISTED}">'
        f'<Relationship Id="a" Type="{RELATIONS}/worksheet" Target="/xl/worksheets/sheet1.xml"/>'
        f'<Relationship Id="b" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
        f'<Relationship Id="c" Type="{RELATIONS}/styles" Target="styles.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{RELATIONS}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="a"/></sheets></workbook>',
        "xl/styles.xml": f'<styleSheet xmlns="{namespace}"><cellStyleXfs><xf numFmtId="22"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{namespace}">{strings}</sst>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{namespace}"><dimension ref="A1"/>'
        f"<sheetData>{data}</sheetData>{tail}</worksheet>",
    }
    file = path / "a.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file


def test_cells_arrive_as_they_stand(tmp_path: Path) -> None:
    """Text stays text, numbers keep their digits, dates are dates, in the place where they stand."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    cells = [
        "00123", "NA", " x ", 7, 1.5, 0.1, 123456789012345, True, date(2025, 4, 3),
        datetime.combine(date(2025, 4, 3), time(9, 30)), time(9, 30), timedelta(hours=30), None, "last",
    ]  # fmt: skip
    sheet.append([])
    sheet.append(cells)
    book.save(tmp_path / "a.xlsx")
    expected = [*cells]
    expected[4:6] = [Decimal("1.5"), Decimal("0.1")]
    assert read(tmp_path / "a.xlsx") == [(2, expected)]


def test_rich_text_escapes_and_pronunciations(tmp_path: Path) -> None:
    """A text in several formats is one text; escaped characters are themselves; readings of Japanese are left out."""
    strings = (
        "<si><r><t>Ab</t></r><r><rPr><b/></rPr><t xml:space='preserve'> c</t></r></si>"
        "<si><t>x_x000D_y_x005F_x0041_</t></si>"
        "<si><t>\u6771</t><rPh sb='0' eb='1'><t>\u3068\u3046</t></rPh><phoneticPr fontId='1'/></si>"
        "<si><t>_xD83D__xDE00_</t></si><si/>"
    )
    data = (
        "<row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>1</v></c><c r='C1' t='s'><v>2</v></c>"
        "<c r='D1' t='s'><v>3</v></c><c r='E1' t='s'><v>4</v></c>"
        "<c r='F1' t='inlineStr'><is><r><t>in</t></r><r><t>line_x0009_</t></r></is></c>"
        "<c r='G1' t='str'><f>A1</f><v>Ab</v></c></row>"
    )
    assert read(handmade(tmp_path, data, strings=strings)) == [
        (1, ["Ab c", "x\ry_x0041_", "\u6771", "\U0001f600", None, "inline\t", "Ab"])
    ]


def test_rich_text_of_a_library(tmp_path: Path) -> None:
    """Rich text arrives whole, whichever program wrote it."""
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = CellRichText("plain ", TextBlock(InlineFont(b=True), "bold"))
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx") == [(1, ["plain bold"])]


def test_errors_and_formulas_without_a_value_are_no_blanks(tmp_path: Path) -> None:
    """What has no value is reported so; a formula that gives an empty text is blank."""
    data = (
        "<row><c t='e'><v>#N/A</v></c><c><f>A1+1</f></c><c><f>A1</f><v></v></c><c><f>A1</f><v/></c>"
        "<c t='str'><f>\"\"</f><v></v></c><c><f>1+1</f><v>2</v></c><c t='e'><f>1/0</f><v>#DIV/0!</v></c>"
        "<c t='s'><f>A1</f></c></row>"
    )
    missing = CellError("formula-without-value", "=A1")
    assert read(handmade(tmp_path, data)) == [
        (1, [CellError("error-cell", "#N/A"), CellError("formula-without-value", "=A1+1"), missing, missing, None, 2,
             CellError("error-cell", "#DIV/0!"), missing]),
    ]  # fmt: skip


def test_places_stated_and_unstated(tmp_path: Path) -> None:
    """Rows and cells without their address follow the one before; gaps are blank; the stated size is not believed."""
    data = (
        "<row><c><v>1</v></c><c/><c><v>2</v></c></row><row r='5' hidden='1'><c r='C5'><v>3</v></c><c><v>4</v></c>"
        "<c r='AB5'><v>5</v></c></row><row/><row><c><v>6</v></c></row>"
    )
    assert read(handmade(tmp_path, data)) == [
        (1, [1, None, 2]), (5, [None, None, 3, 4, *[None] * 23, 5]), (6, []), (7, [6]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("-0", 0), ("123.0", 123), ("1E3", 1000), ("9007199254740993", 9007199254740993),
     ("0.10000000000000001", Decimal("0.1")), ("1.5E-7", Decimal("1.5E-7")), ("1E+20", Decimal("1E+20")),
     ("123456789012345678901", 123456789012345678901)],
)  # fmt: skip
def test_numbers_keep_the_digits_that_they_have(tmp_path: Path, text: str, number: int | Decimal) -> None:
    """Whole numbers keep all digits of the file, fractions the shortest that stand for the file's number."""
    ((_, (found,)),) = read(handmade(tmp_path, f"<row><c><v>{text}</v></c></row>"))
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("namespace", [MAIN, STRICT])
def test_both_kinds_of_open_xml_are_read(tmp_path: Path, namespace: str) -> None:
    """Strict workbooks, whose dates are texts of their own type, are read like the others."""
    data = "<row><c t='d'><v>2025-04-03</v></c><c t='d'><v>2025-04-03T09:30:00</v></c><c s='1'><v>45000</v></c></row>"
    assert read(handmade(tmp_path, data, namespace=namespace)) == [
        (1, [date(2025, 4, 3), datetime.combine(date(2025, 4, 3), time(9, 30)), date(2023, 3, 15)])
    ]


def test_the_calendar_of_1904_is_obeyed(tmp_path: Path) -> None:
    """The same day has another number in such a workbook."""
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.worksheets[0].append([date(2025, 4, 3)])
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx") == [(1, [date(2025, 4, 3)])]


@pytest.mark.parametrize(
    "data",
    [
        "<row r='2'><c r='B2'/></row><row r='2'><c r='B2'/></row>", "<row r='0'/>", "<row r='x'/>",
        "<row r='1048577'/>",
        "<row r='1'><c r='B1'/><c r='A1'/></row>", "<row r='1'><c r='XFE1'/></row>", "<row r='1'><c r='A2'/></row>",
        "<row r='1'><c r='1'/></row>", "<row><c t='s'><v>0</v></c></row>", "<row><c t='s'><v>-1</v></c></row>",
        "<row><c><v>1</v></c>",
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(tmp_path: Path, data: str) -> None:
    """A sheet that a spreadsheet program would have to repair is not read by guessing."""
    with pytest.raises(InputError, match=r"^a\.xlsx "):
        read(handmade(tmp_path, data))


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("<c><v>x</v></c>", "x"), ("<c><v>NaN</v></c>", "NaN"), ("<c><v>1e999</v></c>", "1e999"),
        ("<c><v>1_0</v></c>", "1_0"), ("<c s='1'><v>NaN</v></c>", "NaN"), ("<c><v> </v></c>", "#VALUE!"),
        ("<c t='d'><v>soon</v></c>", "soon"), ("<c t='d'><v>12025-04-03</v></c>", "12025-04-03"),
        ("<c t='b'><v>2</v></c>", "2"), ("<c t='q'><v>2</v></c>", "2"),
        ("<c t='e'/>", "#VALUE!"), ("<c t='e'><v/></c>", "#VALUE!"), ("<c t='e'><v>#N/A</v></c>", "#N/A"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("row", ["<row>{}</row>", '<row r="1">{}</row>'])
def test_what_is_no_value_is_a_fault_of_its_cell(tmp_path: Path, cell: str, shown: str, row: str) -> None:
    """An error, with or without its name, and what is no number or date, is neither a blank nor the end of the file."""
    cell = cell.replace("'", '"') if "r=" not in row else cell.replace("'", '"').replace("<c", '<c r="A1"')
    code = "error-cell" if shown.startswith("#") else "no-value"
    assert read(handmade(tmp_path, row.format(cell))) == [(1, [CellError(code, shown)])]


def test_blanks_around_a_number_are_none_of_it(tmp_path: Path) -> None:
    """Programs that indent their XML mean the number alone."""
    assert read(handmade(tmp_path, "<row><c>\n <v>\n 5 \n</v>\n</c></row>")) == [(1, [5])]


def test_a_date_with_a_zone_is_left_to_the_reading_of_texts(tmp_path: Path) -> None:
    """A day of one zone may be another one elsewhere, in a date cell as in a text."""
    data = "<row><c t='d'><v>2025-04-03T00:00:00+02:00</v></c></row>"
    assert read(handmade(tmp_path, data)) == [(1, ["2025-04-03T00:00:00+02:00"])]


def test_a_formula_written_down_elsewhere_is_a_formula(tmp_path: Path) -> None:
    """The second cell of a shared formula has no text of its own."""
    data = "<row><c><f t='shared' si='0'/></c></row>"
    assert read(handmade(tmp_path, data)) == [(1, [CellError("formula-without-value", "=...")])]


@pytest.mark.parametrize("cell", ["<c/>", "<c><v>1</v></c>"])
def test_cells_without_addresses_end_at_the_last_column(tmp_path: Path, cell: str) -> None:
    """A row of a few bytes a cell must not fill the memory."""
    assert len(read(handmade(tmp_path, f"<row>{cell * 16_384}</row>"))[0][1]) == 16_384
    with pytest.raises(InputError, match="more than 16,384 columns in row 1"):
        read(handmade(tmp_path, f"<row>{cell * 16_385}</row>"))


@pytest.mark.parametrize("tag", ["<a>", "<row>", "<c>", "<v>", "<is>"])
def test_elements_do_not_stand_within_one_another_without_end(tmp_path: Path, tag: str) -> None:
    """Each open element takes the parser's memory, whatever it is called."""
    with pytest.raises(InputError, match="too many elements within one another"):
        read(handmade(tmp_path, tag * 200))
    with pytest.raises(InputError, match="too many elements within one another"):
        open_source(handmade(tmp_path, "", tail=tag * 200), settings(), name="a.xlsx").properties(0)
    with pytest.raises(InputError, match="too many elements within one another"):
        read(handmade(tmp_path, "<row><c t='s'><v>0</v></c></row>", strings=f"<si>{tag * 200}"))


def test_numbers_too_large_for_their_format_arrive_as_they_are(tmp_path: Path) -> None:
    """No number is too large for a mask of zeros; one that is too large for a date or a time is none."""
    path = handmade(tmp_path, "<row><c s='1'><v>1E+300</v></c><c s='2'><v>1E+15</v></c><c s='3'><v>1E+30</v></c></row>")
    parts = {entry: zipfile.ZipFile(path).read(entry) for entry in zipfile.ZipFile(path).namelist()}
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="000.000"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="46"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    ).encode()
    assert read(write_package(tmp_path / "b.xlsx", parts)) == [
        (1, [10**300, *(FormattedNumber(10**power, "########", "yyyy-mm-dd", ShownAs.OTHERWISE) for power in (15, 30))])
    ]


def test_a_document_type_definition_is_refused(tmp_path: Path) -> None:
    """Entities of the file's own making are how a small file fills a memory or reads another file."""
    head = '<!DOCTYPE worksheet [<!ENTITY a "b">]>'
    with pytest.raises(InputError, match="document type definition"):
        read(handmade(tmp_path, "<row><c t='str'><v>&a;</v></c></row>", head=head))


def test_a_damaged_end_is_noticed(tmp_path: Path) -> None:
    """Rows are not taken from a sheet whose XML is broken behind them."""
    with pytest.raises(InputError, match="the XML inside it is broken"):
        read(handmade(tmp_path, "<row r='1'><c r='A1'><v>1</v></c></row>", tail="<a>"))


def test_a_program_that_leaves_the_calculating_to_others_gives_no_results(tmp_path: Path) -> None:
    """XlsxWriter asks for calculation, and saves with a formula 0 or what the program guessed: no result either way."""
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_formula(0, 0, "=500*3")
        sheet.write_formula(0, 1, "=500*3", None, 1500)
        sheet.write_number(0, 2, 0)
    assert read(tmp_path / "a.xlsx") == [
        (1, [CellError("stale-formula", "=500*3"), CellError("stale-formula", "=500*3"), 0])
    ]


def test_a_cell_without_a_style_has_the_first_one(tmp_path: Path) -> None:
    """The default of `s` is 0 (ECMA-376 part 1, 18.3.1.4), in the fast way of reading and in the other."""
    data = "<row r='1'><c r='A1'><v>45741</v></c></row>"
    for text in (data, data.replace("'", '"')):
        file = handmade(tmp_path, text)
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["xl/styles.xml"] = parts["xl/styles.xml"].replace(b'<xf numFmtId="0"/>', b'<xf numFmtId="14"/>')
        write_package(file, parts)
        assert read(file) == [(1, [date(2025, 3, 25)])]


def test_a_formula_of_text_without_a_value_is_no_blank(tmp_path: Path) -> None:
    """An empty text that was saved is one; nothing saved is none."""
    data = "<row r='1'><c r='A1' t='str'><f>B1</f></c><c r='B1' t='str'><f>C1</f><v></v></c></row>"
    assert read(handmade(tmp_path, data)) == [(1, [CellError("formula-without-value", "=B1"), None])]


@pytest.mark.parametrize("where", ["styles", "merged", "columns"])
def test_parts_that_unfold_to_much_are_refused_soon(tmp_path: Path, where: str) -> None:
    """A small file may not fill the memory by way of what is beside the rows."""
    many = "<a/>" * 1_000_001 if where == "styles" else "<mergeCell ref='A1:B2'/>" * 200_001
    columns = "<col min='1' max='1' hidden='1'/>" * 200_001
    file = handmade(tmp_path, "<row r='1'><c r='A1' s='1'><v>1</v></c></row>", tail=many if where == "merged" else "")
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if where == "styles":
        parts["xl/styles.xml"] = parts["xl/styles.xml"].replace(b"</cellXfs>", f"{many}</cellXfs>".encode())
    if where == "columns":
        sheet = parts["xl/worksheets/sheet1.xml"]
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(b"<sheetData>", f"{columns}<sheetData>".encode())
    write_package(file, parts)
    with pytest.raises(InputError, match=r"unreasonable size|more than 200,000"):
        read_with_properties(file)


def test_a_workbook_with_the_password_of_excel_itself_opens_as_in_excel(tmp_path: Path) -> None:
    """Excel gives this password to workbooks whose structure alone is protected, and does not ask for it."""
    plain = io.BytesIO()
    with xlsxwriter.Workbook(plain) as book:
        book.add_worksheet().write_number(0, 0, 5)
    for password in ("VelvetSweatshop", "another"):
        with (tmp_path / "a.xlsx").open("w+b") as stream:
            OOXMLFile(plain).encrypt(password, stream)
        if password == "VelvetSweatshop":
            assert read(tmp_path / "a.xlsx") == [(1, [5])]
        else:
            with pytest.raises(InputError, match="is protected by a password"):
                read(tmp_path / "a.xlsx")


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("form", [str.upper, lambda name: name.replace("/", "\\"), lambda name: f"/{name}"])
def test_parts_are_found_however_their_names_are_written(tmp_path: Path, form: Callable[[str], str]) -> None:
    """Some programs write the separator of Windows, or other capitals; Excel opens what they write."""
    data = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" s="1"><v>45741</v></c></row>'
    parts = parts_of(handmade(tmp_path, data, strings="<si><t>a</t></si>"))
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = form(name)
            archive.writestr(entry, content)
    assert read(tmp_path / "b.xlsx") == [(1, ["a", date(2025, 3, 25)])]


def test_targets_with_the_separator_of_windows_are_found(tmp_path: Path) -> None:
    """The names that parts call each other by are read like those of the parts."""
    parts = parts_of(handmade(tmp_path, "<row><c><v>5</v></c></row>"))
    parts = {name: content.replace(b"/xl/worksheets/sheet1", b"worksheets\\sheet1") for name, content in parts.items()}
    assert read(write_package(tmp_path / "b.xlsx", parts)) == [(1, [5])]


def test_shared_texts_may_be_missing_if_no_cell_has_one(tmp_path: Path) -> None:
    """A program that writes texts into the cells may still name the part; a cell that refers to it is refused."""
    for cell, is_read in (("<c><v>5</v></c>", True), ("<c t='s'><v>0</v></c>", False)):
        parts = parts_of(handmade(tmp_path, f"<row>{cell}</row>"))
        del parts["xl/sharedStrings.xml"]
        file = write_package(tmp_path / "b.xlsx", parts)
        if is_read:
            assert read(file) == [(1, [5])]
        else:
            with pytest.raises(InputError, match="refers to a text that it does not hold"):
                read(file)


def test_a_prefix_changes_nothing(tmp_path: Path) -> None:
    """Whatever stands before the names of elements, texts, rows and merged areas are the same."""
    data = '<row r="1"><c r="A1" t="s"><v>1</v></c><c r="B1"><v>2</v></c></row>'
    tail = '<mergeCells count="1"><mergeCell ref="A2:B3"/></mergeCells>'
    parts = parts_of(handmade(tmp_path, data, strings="<si><t>a</t></si><si><t>b</t></si>", tail=tail))
    for part in ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"):
        text = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", parts[part])
        parts[part] = text.replace(b" xmlns=", b" xmlns:x=", 1)
    source = open_source(write_package(tmp_path / "b.xlsx", parts), settings(), name="a.xlsx")
    assert [row.cells for row in source.rows(0)] == [["b", 2]]
    assert [area.address for area in source.properties(0).merged] == ["A2:B3"]
