"""Makes the files in this folder, each named after its quirk: `python -m tests.data.make_data`.

Those made from others by LibreOffice (`*-by-libreoffice.*`) are made only where it is installed.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlwt
from xlwt.CompoundDoc import XlsDoc

from batch_updater.records import CellError
from tests.data.made_xlsb import ZEROS, cell_record, row_record, write_xlsb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = Path(__file__).parent
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
HEADERS = ("itemId", "label", "amountDue", "count", "dueDay")
# Cell styles of the workbooks made here.
GENERAL, DATE, ZEROS_5, DURATION, PERCENT, DATE_TIME, NAMED = range(7)
STYLES = (
    '<numFmts count="2"><numFmt numFmtId="164" formatCode="00000"/>'
    '<numFmt numFmtId="165" formatCode="&quot;OPP-&quot;0000"/></numFmts><cellXfs>'
    + "".join(f'<xf numFmtId="{id_}"/>' for id_ in (0, 14, 164, 46, 9, 22, 165))
    + "</cellXfs>"
)


def main() -> None:
    """Make all files again."""
    texts()
    workbooks()
    broken_workbooks()
    old_workbooks()
    binary_workbooks()
    spreadsheets()
    misnamed()
    if shutil.which("soffice"):
        saved_by_libreoffice()


def save(name: str, content: str | bytes, encoding: str = "utf-8") -> None:
    (FOLDER / name).write_bytes(content.encode(encoding) if isinstance(content, str) else content)


def texts() -> None:
    head = "itemId,label,amountDue,count,dueDay\n"
    save("utf8-with-bom.csv", head + "1,Zoë,5,,\n", "utf-8-sig")
    save("utf16.csv", (head + "1,Zoë,5,,\n"), "utf-16")
    save("utf16-without-bom.csv", (head + "1,Zoë,5,,\n"), "utf-16-le")
    save("windows-1252.csv", head + "1,plain,5,,\n2,Zoë,5,,\n", "cp1252")
    save("semicolons.csv", head.replace(",", ";") + "1;a,b;5,25;;\n2;c;1.000,5;;\n")
    save("tabs.tsv", head.replace(",", "\t") + "1\ta, b\t5\t\t\n")
    save("bars.txt", head.replace(",", "|") + "1|a|5||\n")
    save("sep-line.csv", "sep=;\n" + head.replace(",", ";") + "1;a;5;;\nx;b;5;;\n")
    save("two-possible-delimiters.csv", "itemId,x;label\n1,2;3\n4,5;6\n")
    save("mixed-line-ends.csv", "itemId,label\r\n1,a\n2,b\r3,c\r\n")
    save("ctrl-z-at-the-end.csv", "itemId,label\r\n1,a\r\n\x1a")
    save("ctrl-z-in-a-cell.csv", "itemId,label\n1,a\x1ab\n2,b\n")
    save("nul-in-a-cell.csv", "itemId,label\n1,a\x00b\n2,b\n")
    save("unclosed-quote.csv", 'itemId,label\n1,a\n2,"b\n3,c\n4,d\n')
    save("text-behind-a-quote.csv", 'itemId,label\n1,"a"b\n')
    save("ragged-rows.csv", "itemId,label,count\n1,a,1\n2,b\n3,c,3,4\n4,d,4\n")
    save("blank-rows.csv", "itemId,label\n\n1,a\n,\n\n2,b\n\n\n")
    save("quoted-line-breaks.csv", 'itemId,label\n1,"one\ntwo"\nx,b\n')
    save("titles-above-the-header.csv", "Changes of March\n\nitemId,label\n1,a\n")
    save("repeated-headers.csv", "itemId,label\n1,a\nitemId,label\n2,b\n")
    save("total-row.csv", "itemId,label,amountDue\n1,a,5\n2,b,6\n,Total,11\n")
    save("odd-headers.csv", '\u200bitem\u00a0Id ,"amount\nDue", label\u200b\n1,5,a\n')
    save("doubled-headers.csv", "itemId,label,label\n1,a,b\n")
    save("doubled-unknown-headers.csv", "itemId,label,Note,Note\n1,a,b,c\n")
    save("words-that-libraries-blank.csv", "itemId,label\n1,NA\n2,null\n3,None\n4,TRUE\n5,NaN\n6,#N/A\n7,n/a\n8,-\n")
    save("zeros-in-front.csv", "itemId,label,count\n00123,00123,007\n")
    save("digits-beyond-a-double.csv", "itemId,label,amountDue\n9007199254740993,a,9007199254740993.01\n")
    save("excel-damaged-ids.csv", "itemId,label\n1.23E+11,a\n12.5,b\nTRUE,c\n")
    save("empty.csv", b"")
    save("blank-lines-only.csv", "\n\n\n")
    save("header-only.csv", head)
    save("hostile-texts.csv", 'itemId,label\n1,"=HYPERLINK(""http://a"")"\n2,@SUM(1)\n3,+1\n4,"\t=1"\n../5,x\n')


def sheet_xml(rows: str, *, namespace: str = MAIN, before: str = "", after: str = "", dimension: str = "A1") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{namespace}" xmlns:r="{OFFICE}">'
        f'<dimension ref="{dimension}"/>{before}<sheetData>{rows}</sheetData>{after}</worksheet>'
    )


def cell(reference: str, value: object, *, style: int = GENERAL) -> str:
    """Return a cell; text is inline, a value in angle brackets is written as it is."""
    styled = f' s="{style}"' if style else ""
    if isinstance(value, str) and value.startswith("<"):
        return f'<c r="{reference}"{styled}>{value}</c>'
    if isinstance(value, str):
        return f'<c r="{reference}"{styled} t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
    if isinstance(value, CellError):
        return f'<c r="{reference}"{styled} t="e"><v>{value.text}</v></c>'
    return f'<c r="{reference}"{styled}><v>{value}</v></c>'


def row(number: int, *cells: object, first: str = "A", attributes: str = "") -> str:
    """Return a row; None leaves a cell out, a pair is a value and its style."""
    made = ""
    for index, value in enumerate(cells):
        reference = f"{chr(ord(first) + index)}{number}"
        if isinstance(value, tuple):
            made += cell(reference, value[0], style=value[1])
        elif value is not None:
            made += cell(reference, value)
    return f'<row r="{number}"{attributes}>{made}</row>'


def workbook(name: str, sheets: Mapping[str, str], **options: Any) -> None:
    """Save a workbook; `options` are those of `workbook_parts`."""
    package(name, workbook_parts(sheets, **options))


def workbook_parts(
    sheets: Mapping[str, str],
    *,
    namespace: str = MAIN,
    states: Mapping[str, str] | None = None,
    properties: str = "",
    macros: bool = False,
    relations: Iterable[str] = (),
    others: Mapping[str, str] | None = None,
) -> dict[str, str | bytes]:
    """Return the parts of a workbook whose sheets are the XML given."""
    listed = related = ""
    parts: dict[str, str | bytes] = {}
    for index, (title, xml) in enumerate(sheets.items(), 1):
        state = (states or {}).get(title, "visible")
        listed += f'<sheet name="{title}" sheetId="{index}" r:id="r{index}" state="{state}"/>'
        related += f'<Relationship Id="r{index}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{index}.xml"/>'
        parts[f"xl/worksheets/sheet{index}.xml"] = xml
    related += f'<Relationship Id="st" Type="{OFFICE}/styles" Target="styles.xml"/>'
    related += "".join(f'<Relationship Id="x{kind}" Type="{OFFICE}/{kind}" Target="{kind}"/>' for kind in relations)
    kind = "vnd.ms-excel.sheet.macroEnabled" if macros else "vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="application/{kind}.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{OFFICE}">{properties}'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{namespace}">{STYLES}</styleSheet>',
        **parts,
        **(others or {}),
    }


def package(name: str, parts: Mapping[str, str | bytes]) -> None:
    write_package(FOLDER / name, parts)


def write_package(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    """Write a zip file of parts, the same bytes each time."""
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            stored = zipfile.ZIP_STORED if part == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(part, (2025, 1, 1, 0, 0, 0)), content, stored)
    return path


HEADER = row(1, *HEADERS)


def workbooks() -> None:
    workbook("cells-of-every-kind.xlsx", {"S": sheet_xml(cells_of_every_kind())})
    workbook("days-since-1904.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a", None, None, (44196, DATE)))},
             properties='<workbookPr date1904="1"/>')  # fmt: skip
    merged = HEADER + row(2, 1, "a", 5) + row(3, 2, None, 6) + row(4, 3, None, 7) + row(5, 4, "b", None, 8)
    workbook("merged-cells.xlsx", {"S": sheet_xml(merged, after='<mergeCells count="2"><mergeCell ref="B2:B4"/>'
             '<mergeCell ref="B5:C5"/></mergeCells>')})  # fmt: skip
    hidden = (
        HEADER + row(2, 1, "a") + row(3, 2, "b", attributes=' hidden="1"') + row(4, "x", "c", attributes=' hidden="1"')
    )
    workbook("hidden-rows-and-columns.xlsx",
             {"S": sheet_xml(hidden, before='<cols><col min="2" max="3" hidden="1"/></cols>')})  # fmt: skip
    good = sheet_xml(HEADER + row(2, 1, "a") + row(3, 2, "b"))
    workbook("several-sheets.xlsx", {"One": good, "Two": sheet_xml(HEADER + row(2, 3, "c")), "Empty": sheet_xml("")})
    workbook("only-hidden-sheets.xlsx", {"S": good, "T": sheet_xml("")}, states={"S": "hidden"})
    workbook("a-very-hidden-sheet-beside.xlsx", {"S": good, "T": good}, states={"T": "veryHidden"})
    away = row(4, *HEADERS, first="C") + row(5, 1, "a", first="C") + row(7, "x", "b", first="C")
    workbook("starts-at-c4.xlsx", {"S": sheet_xml(away, dimension="C4:G7")})
    workbook("wrong-dimension.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a") + row(300, 2, "b"), dimension="A1:B1")})
    formatted = "".join(f'<row r="{number}"><c r="A{number}" s="1"/><c r="XFD{number}" s="1"/></row>'
                        for number in range(3, 1003))  # fmt: skip
    workbook("formatted-rows-behind.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a") + formatted)})
    workbook("blank-rows-between.xlsx", {"S": sheet_xml(HEADER + row(5, 1, "a") + row(9, "x", "b") + row(10, " ", ""))})
    titles = row(1, "Changes of March") + row(3, "as of", 45000) + row(4, *HEADERS) + row(5, 1, "a")
    workbook("titles-above-the-header.xlsx", {"S": sheet_xml(titles)})
    workbook("strict.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a", 5), namespace=STRICT)}, namespace=STRICT)
    workbook("external-links.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "<f>[1]S!A1</f><v>7</v>", 5).replace(
             '<c r="B2">', '<c r="B2" t="str">'))}, relations=["externalLink"])  # fmt: skip
    workbook("macros.xlsm", {"S": good}, macros=True, relations=["vbaProject"])
    unnumbered = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in HEADERS)
    workbook("no-row-numbers.xlsx", {"S": sheet_xml(
        f"<row>{unnumbered}</row>"
        '<row><c><v>1</v></c><c t="inlineStr"><is><t>a</t></is></c></row>')})  # fmt: skip
    workbook("text-that-looks-like-errors.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "#REF!") + row(3, 2, "#Ref") +
             row(4, 3, "Err:502"))})  # fmt: skip


def cells_of_every_kind() -> str:
    rich = "<is><r><t>bo</t></r><r><rPr><b/></rPr><t>ld</t></r><rPh sb='0' eb='1'><t>no</t></rPh></is>"
    return "".join(
        (
            HEADER,
            row(2, 1, "00123", 1234.5, 7, (45000, DATE)),
            row(3, 2, (123, ZEROS_5), (123, ZEROS_5), (7, ZEROS_5)),
            row(4, 3, (77, NAMED), (0.25, PERCENT)),
            row(5, 4, rich).replace('<c r="B5">', '<c r="B5" t="inlineStr">'),
            row(6, 5, "a_x000D_b&#10;c"),
            row(7, 6, CellError("error-cell", "#N/A"), CellError("error-cell", "#REF!")),
            row(8, 7, "<f>A1&amp;B1</f>", "<f>1+1</f><v/>"),
            row(9, 8, "x", "<f>1+1</f><v>2</v>"),
            row(10, 9, None, None, None, (45000.5, DATE_TIME)),
            row(11, 10, None, (1.25, DURATION), None, (1.25, DURATION)),
            row(12, 9007199254740993, "x"),
            row(13, 11, None, 0.1, None, None),
            row(14, 12, None, 0.30000000000000004, None, None),
            row(15, 13, None, 1e21, None, None),
            row(16, 14, "  x  ", None, 12.0, None),
            row(17, 15, None, None, 12.5, 45000),
            row(18, "<v>1</v>", "x").replace('<c r="A18">', '<c r="A18" t="b">'),
            row(19, 16, "<v>1</v>").replace('<c r="B19">', '<c r="B19" t="b">'),
        )
    )


def broken_workbooks() -> None:
    workbook("whole.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a"))})
    whole = (FOLDER / "whole.xlsx").read_bytes()
    save("cut-off.xlsx", whole[: len(whole) // 2])
    (FOLDER / "whole.xlsx").unlink()
    sheet = sheet_xml(HEADER + row(2, 1, "&b;")).replace("<worksheet", '<!DOCTYPE w [<!ENTITY b "x">]><worksheet')
    workbook("entity.xlsx", {"S": sheet})
    laughs = "".join(f'<!ENTITY l{n + 1} "' + f"&l{n};" * 10 + '">' for n in range(9))
    workbook("billion-laughs.xlsx", {"S": sheet.replace('<!ENTITY b "x">', f'<!ENTITY l0 "ha">{laughs}')})
    workbook("unpacks-to-much.xlsx", {"S": sheet_xml(HEADER)}, others={"xl/much.xml": " " * (3 << 20)})
    workbook("rows-out-of-order.xlsx", {"S": sheet_xml(HEADER + row(3, 1, "a") + row(2, 2, "b"))})
    workbook("cells-out-of-order.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a").replace('r="A2"', 'r="C2"'))})
    package("no-workbook-inside.xlsx", {"a.txt": "x"})
    package("word-document.xlsx", {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r" Type="{OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>', "word/document.xml": "<document/>"})  # fmt: skip


def old_workbooks() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    zeros, day = xlwt.XFStyle(), xlwt.XFStyle()
    zeros.num_format_str, day.num_format_str = "00000", "yyyy-mm-dd"
    for column, name in enumerate(HEADERS):
        sheet.write(0, column, name)
    for column, (value, style) in enumerate([(1, None), ("00123", None), (1234.5, None), (7, zeros), (45000, day)]):
        sheet.write(1, column, value, style or xlwt.XFStyle())
    sheet.write(2, 0, 2)
    sheet.write(2, 1, 123, zeros)
    sheet.write(4, 0, 3)
    sheet.write_merge(4, 5, 1, 1, "merged")
    sheet.write(5, 0, 4)
    sheet.write(5, 2, 5)
    sheet.row(4).hidden = True
    sheet.col(3).hidden = True
    sheet.row(6).set_cell_number(0, 5)
    sheet.row(6).set_cell_error(1, 0x2A)
    sheet.write(7, 0, True)
    sheet.write(7, 1, "x")
    other = book.add_sheet("Hidden")
    other.write(0, 0, "x")
    other.visibility = 1
    book.save(str(FOLDER / "cells-of-every-kind.xls"))
    formulas = xlwt.Workbook()
    sheet = formulas.add_sheet("S")
    for column, name in enumerate(HEADERS):
        sheet.write(0, column, name)
    sheet.write(1, 0, 1)
    sheet.write(1, 1, xlwt.Formula('"a"'))
    sheet.write(1, 2, xlwt.Formula("1+1"))
    formulas.save(str(FOLDER / "formulas-never-calculated.xls"))
    plain = book.get_biff_data()
    begin = 4 + int.from_bytes(plain[2:4], "little")
    protected = plain[:begin] + b"\x2f\x00\x06\x00\x00\x00\x59\xb3\x0a\x9a" + plain[begin:]
    compound("protected.xls", protected)
    compound("protected.xlsx", b"x" * 5000, "EncryptedPackage")
    compound("word-document.xls", b"x" * 5000, "WordDocument")
    whole = (FOLDER / "cells-of-every-kind.xls").read_bytes()
    save("cut-off.xls", whole[: len(whole) // 2])


def compound(name: str, stream: bytes, stream_name: str = "Workbook") -> None:
    """Save a compound file ([MS-CFB]) with one stream."""
    held = io.BytesIO()
    XlsDoc().save(held, stream)
    content = bytearray(held.getvalue())
    at = content.index("Workbook\0".encode("utf-16-le"))
    content[at : at + 64] = (stream_name + "\0").encode("utf-16-le").ljust(64, b"\0")
    content[at + 64 : at + 66] = ((len(stream_name) + 1) * 2).to_bytes(2, "little")
    save(name, bytes(content))


def binary_workbooks() -> None:
    def line(number: int, *cells: bytes, hidden: bool = False) -> bytes:
        return row_record(number, hidden=hidden) + b"".join(cells)

    header = line(1, *(cell_record(column, name) for column, name in enumerate(HEADERS)))
    rows = (
        header
        + line(2, cell_record(0, 1), cell_record(1, "00123"), cell_record(2, 1234), cell_record(3, 7))
        + line(3, cell_record(0, 2), cell_record(1, 123, style=ZEROS))
        + line(5, cell_record(0, 3), cell_record(1, CellError("error-cell", "#REF!")), hidden=True)
        + line(6, cell_record(0, True), cell_record(1, "x"))
    )
    write_xlsb(FOLDER / "cells-of-every-kind.xlsb", {"S": rows, "Hidden": header}, hidden=["Hidden"],
               relations=["vbaProject"])  # fmt: skip
    whole = (FOLDER / "cells-of-every-kind.xlsb").read_bytes()
    save("cut-off.xlsb", whole[: len(whole) // 2])
    write_xlsb(FOLDER / "cells-out-of-order.xlsb", {"S": header + line(2, cell_record(1, "a"), cell_record(0, 1))})


NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{full}:1.0"'
    for name, full in (("office", "office"), ("table", "table"), ("text", "text"), ("style", "style"),
                       ("number", "datastyle"), ("manifest", "manifest"))
)  # fmt: skip


def spreadsheets() -> None:
    opendocument("cells-of-every-kind.ods", ods_rows())
    package("protected.ods", {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"\x01\x02",
        "META-INF/manifest.xml": f"<manifest:manifest {NAMES}><manifest:file-entry><manifest:encryption-data/>"
        "</manifest:file-entry></manifest:manifest>"})  # fmt: skip
    opendocument("a-hundred-million-cells.ods", _ods_row(*HEADERS) + "<table:table-row "
                 'table:number-rows-repeated="1048575"><table:table-cell table:number-columns-repeated="16384"/>'
                 "</table:table-row>")  # fmt: skip
    opendocument("seventeen-billion-cells.ods", _ods_row(*HEADERS) + '<table:table-row '
                 'table:number-rows-repeated="1048575"><table:table-cell table:number-columns-repeated="16384" '
                 'office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>')  # fmt: skip
    opendocument("too-many-rows.ods", _ods_row(*HEADERS) + "<table:table-row table:number-rows-repeated="
                 '"999999999"><table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell>'
                 "</table:table-row>")  # fmt: skip


def opendocument(name: str, rows: str) -> None:
    package(name, opendocument_parts(rows))


def opendocument_parts(rows: str, styles: str = "") -> dict[str, str | bytes]:
    """Return the parts of a spreadsheet with those rows and further styles, and a hidden sheet."""
    return {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "content.xml": f"<office:document-content {NAMES}><office:automatic-styles>{styles}"
        '<number:number-style style:name="N1"><number:number number:decimal-places="0" '
        'number:min-integer-digits="5"/></number:number-style>'
        '<style:style style:name="zeros" style:family="table-cell" style:data-style-name="N1"/>'
        '<style:style style:name="away" style:family="table"><style:table-properties table:display="false"/>'
        "</style:style></office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="S">{rows}</table:table>'
        '<table:table table:name="Hidden" table:style-name="away"><table:table-row><table:table-cell '
        'office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row></table:table>'
        "</office:spreadsheet></office:body></office:document-content>",
    }


def _ods_row(*cells: object, attributes: str = "") -> str:
    made = ""
    for value in cells:
        if isinstance(value, str) and value.startswith("<"):
            made += value
        elif isinstance(value, str):
            made += f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
        else:
            made += f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    return f"<table:table-row{attributes}>{made}</table:table-row>"


def ods_rows() -> str:
    cell_ = "<table:table-cell "
    hidden = '<table:table-column/><table:table-column table:visibility="collapse"/>'
    return hidden + "".join(
        (
            _ods_row(*HEADERS),
            _ods_row(1, "00123", 1234.5, 7, cell_ + 'office:value-type="date" office:date-value="2023-03-15"/>'),
            _ods_row(2, cell_ + 'table:style-name="zeros" office:value-type="float" office:value="123"/>'),
            '<table:table-row table:number-rows-repeated="2"><table:table-cell/></table:table-row>',
            _ods_row(
                3,
                cell_ + 'table:number-rows-spanned="2" office:value-type="string">'
                "<office:annotation><text:p>no</text:p></office:annotation>"
                "<text:p>a <text:s text:c='2'/>b</text:p><text:p>c</text:p></table:table-cell>",
            ),
            _ods_row(4, "<table:covered-table-cell/>", 5),
            _ods_row(5, cell_ + 'table:formula="of:=NA()" office:value-type="string" office:string-value="">'
                     "<text:p>#N/A</text:p></table:table-cell>"),
            _ods_row(6, cell_ + 'table:formula="of:=1+1"/>', attributes=' table:visibility="filter"'),
            _ods_row(7, "x", cell_ + 'table:formula="of:=1+1" office:value-type="float" office:value="2"/>'),
        )
    )  # fmt: skip


def misnamed() -> None:
    save("web-page.xls", "<html><body><table><tr><td>itemId</td></tr></table></body></html>")
    save("excel-2003-xml.xls", '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>')
    save("picture.xlsx", b"\x89PNG\r\n\x1a\n" + bytes(100))
    save("text.xlsx", "itemId,label\n1,a\n")
    save("noise.xlsx", bytes(range(256)) * 20)
    save("~$open.xlsx", b"\x06Editor" + b" " * 158)
    workbook("workbook.csv", {"S": sheet_xml(HEADER + row(2, 1, "a"))})
    workbook("macros-named.xlsx", {"S": sheet_xml(HEADER + row(2, 1, "a"))}, macros=True)
    shutil.copy(FOLDER / "cells-of-every-kind.xls", FOLDER / "old-workbook.xlsx")
    save("report.csv", b"%PDF-1.7\n")


def saved_by_libreoffice() -> None:
    """Save one workbook in every format that LibreOffice writes, so that no two readers can agree by mistake alone."""
    source = FOLDER / "to-save.xlsx"
    rows = (
        HEADER + row(2, 1, "00123", 1234.5, 7, (45000, DATE)) + row(4, 2, "Zoë &amp; Söhne", 0.1, None, (45001, DATE))
    )
    rows += row(5, 3, "  blanks  ", -5, 123456789) + row(6, "x", "y", "z", 1.5, "w") + row(7, 4, (123, ZEROS_5), 5)
    workbook(source.name, {"S": sheet_xml(rows)})
    for target in ("xlsx:Calc MS Excel 2007 XML", "xls:MS Excel 97", "ods", "csv:Text - txt - csv (StarCalc):44,34,76"):
        ending = target.partition(":")[0]
        command = ["soffice", "-env:UserInstallation=file:///tmp/soffice-of-make-data", "--headless", "--convert-to",
                   target, "--outdir", str(FOLDER / "converted"), str(source)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        (FOLDER / "converted" / f"to-save.{ending}").rename(FOLDER / f"saved-by-libreoffice.{ending}")
    shutil.rmtree(FOLDER / "converted")
    source.unlink()


if __name__ == "__main__":
    main()
