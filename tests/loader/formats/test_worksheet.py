from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.loader.formats.book import SheetRow, UnreadableError
from batch_updater.loader.formats.cell_contents import CellContents
from batch_updater.loader.formats.number_formats import DateKind
from batch_updater.loader.formats.package import Allowance
from batch_updater.loader.formats.row_pattern import RowPattern
from batch_updater.loader.formats.shared_strings import SharedStrings
from batch_updater.loader.formats.worksheet import RowReader
from batch_updater.records import CellError

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.records import Cell

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self._size)


def strings() -> SharedStrings:
    table = SharedStrings()
    table.read(io.BytesIO(f'<sst xmlns="{MAIN}"><si><t>a</t></si><si><t>b_x0009_</t></si></sst>'.encode()))
    return table


def rows(document: str, size: int = 1 << 16, encoding: str = "utf-8") -> list[SheetRow] | str:
    """Return the rows of a worksheet without blank cells at their ends, or that it is refused."""
    reader = RowReader(CellContents(strings(), {"1": DateKind.DATE}, epoch_1904=False), Allowance(1 << 20, 1, None))
    try:
        return [_trimmed(row) for row in reader.rows(Dribble(document.encode(encoding), size))]
    except (UnreadableError, expat.ExpatError, ValueError):
        return "refused"


def _trimmed(row: SheetRow) -> SheetRow:
    cells = list(row.cells)
    while cells and cells[-1] is None:
        cells.pop()
    return row._replace(cells=cells)


def worksheet(data: str, head: str = "", tail: str = "") -> str:
    return f'{head}<worksheet xmlns="{MAIN}" xmlns:x="y"><cols/><sheetData>{data}</sheetData>{tail}</worksheet>'


CELLS = st.sampled_from(
    [
        '<c r="{c}{r}"><v>12</v></c>', '<c r="{c}{r}" s="1"><v>45000</v></c>', '<c r="{c}{r}" t="s"><v>0</v></c>',
        '<c r="{c}{r}" s="0" t="s"><v>1</v></c>', '<c r="{c}{r}"/>', '<c r="{c}{r}" s="1"/>', '<c r="{c}{r}"></c>',
        '<c r="{c}{r}" t="str"><f>A1&amp;"x"</f><v>x_x0041_</v></c>', '<c r="{c}{r}"><f>A1</f><v></v></c>',
        '<c r="{c}{r}"><f t="shared" si="0"/><v>0.1</v></c>', '<c r="{c}{r}"><f>A1</f></c>', '<c r="{c}{r}"><v/></c>',
        '<c r="{c}{r}" t="e"><v>#N/A</v></c>', '<c r="{c}{r}" t="b"><v>1</v></c>', '<c t="b"><v>0</v></c>',
        '<c r="{c}{r}" t="inlineStr"><is><t xml:space="preserve"> a]b_x000D_\u00e9 </t></is></c>', "<c r='{c}{r}'/>",
        '<c r="{c}{r}" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>', '<c s="1" r="{c}{r}"><v>1</v></c>',
        '<c r="{c}{r}" t="str"><v>a&lt;b</v></c>', '<c r="{c}{r}"><v>1</v></c>\n', '<x:c r="{c}{r}"><v>1</v></x:c>',
        '<c r="{c}{r}" t="str"><v>\r\n</v></c>', '<c r="{c}{r}"><v>1<!-- 2 -->3</v></c>', '<c r="{c}9"><v>1</v></c>',
        '<c r="{c}{r}"><v>x</v></c>', '<c r="{c}{r}" t="s"><v>7</v></c>', '<c r="{c}{r}"><v>1</c>', "]]>",
    ]
)  # fmt: skip
"""Cells in the usual form, in other forms, and in no form at all."""
ROWS = st.sampled_from(
    [
        '<row r="{r}">{cells}</row>', '<row r="{r}" spans="1:3" x:d="0.25">{cells}</row>',
        '<row r="{r}" hidden="1">{cells}</row>', "<row r='{r}' hidden='1'>{cells}</row>", '<row r="{r}"/>',
        "<row>{cells}</row>", '\n<row r="{r}" hidden="false">{cells}</row>\n',
        '<row hidden="true" r="{r}">{cells}</row >',
        '<!-- <row r="{r}">{cells}</row> -->', '<!-- </row><row r="{r}">{cells}</row> -->', '<row r="2">{cells}</row>',
        '<row r="{r}" a="/>">{cells}</row>', "<?x </row>?>",
    ]
)  # fmt: skip


CONTENTS = st.sampled_from(
    ["12", "7.5", "", "-1e3", "x", "&amp;", "]", "\r", "1<!-- 2 -->", "</v><v>", '"', "\u00e9", "1.2.3", ".5", "5.",
     "00", "\u0663", "\u00b2", "0.10", "123456789012345678", "1234567890.1234567", "1", "-1"]
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Rows, many of which are written in the same way, and others that nearly are."""
    rows = [draw_row(draw) for _ in range(draw(st.integers(0, 6)))]
    if draw(st.booleans()):
        usual = draw_row(draw)
        nearly = [re.sub("<v>(?:12|0)(?=<)", lambda _: f"<v>{draw(CONTENTS)}", usual) for _ in range(3)]
        rows = [*rows[:2], *[usual] * 22, *nearly, *rows[2:], usual]
    return "".join(row.replace("{r}", str(number)) for number, row in enumerate(rows, 1))


def draw_row(draw: st.DrawFn) -> str:
    cells = "".join(draw(CELLS).replace("{c}", column) for column in draw(st.sampled_from(["", "A", "AB", "ABC"])))
    return draw(ROWS).replace("{cells}", cells)


def prefixed(document: str) -> str:
    """Return a worksheet with a prefix before the names of its elements."""
    return re.sub(r"<(/?)(?=[a-zA-Z]+[ />])", r"<\1p:", document).replace(" xmlns=", " xmlns:p=", 1)


@hypothesis_settings(max_examples=300)
@given(documents(), st.integers(1, 200))
def test_rows_are_the_same_whether_recognised_or_parsed(data: str, size: int) -> None:
    """In whatever pieces it comes, a worksheet gives the same rows, or is refused, as if the parser read it alone."""
    by_parser = rows(worksheet(f"<!-- parsed -->{data}"))
    assert rows(worksheet(data)) == by_parser
    assert rows(worksheet(data), size) == by_parser
    assert rows(prefixed(worksheet(data)), size) == rows(prefixed(worksheet(f"<!-- parsed -->{data}")))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('<c r="A{r}"><f>B{r}*2</f><v>{r}</v></c>', int), ('<c r="A{r}" t="str"><f t="shared" si="0"/><v>x{r}</v></c>',
         "x{}".format), ('<c r="A{r}" t="inlineStr"><is><t>x{r}</t></is></c>', "x{}".format), ('<c r="A{r}" s="2"/>',
         lambda _: None), ('<c r="A{r}"></c>', lambda _: None),
    ],
)  # fmt: skip
def test_rows_written_in_one_way_are_read(cell: str, value: Callable[[int], Cell]) -> None:
    """A formula may be another one in each row; what has no content is blank."""
    cells = cell + '<c r="C{r}"><v>5</v></c>'
    document = worksheet(
        "".join(f'<row r="{{r}}" spans="1:3">{cells}</row>'.replace("{r}", str(r)) for r in range(1, 60))
    )
    assert rows(document) == [SheetRow(r, [value(r), None, 5], hidden=False) for r in range(1, 60)]


ROW = '<row r="{}"{}><c r="A{}"><v>{}</v></c>{}'
TEXT = '<c r="C{}" t="s"><v>{}</v></c>'


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW.format(7, "", 7, "1.50", TEXT.format(7, 1)), [Decimal("1.5"), None, "b\t"]),
        (ROW.format(7, "", 7, "x", ""),
         [CellError("no-value", "x"), None, None]), (ROW.format(7, ' hidden="1"', 7, "2", TEXT.format(7, 0)), None),
        (ROW.format(7, "", 8, "2", ""), None), (ROW.format(7, "", 7, "2<!-- 3 -->", ""), None),
        (ROW.format(7, "", 7, "2&#51;", ""), None), (ROW.format(7, "", 7, "]]>", ""), None),
        (ROW.format(7, "", 7, "2", TEXT.format(7, 0).replace("C7", "D7")), None), (ROW.format("07", "", "07", "2", ""),
         None), (ROW.format(7, "", 7, "2", "<c r='C7' t='s'><v>0</v></c>"), None),
    ],
)  # fmt: skip
def test_a_row_is_recognised_if_all_its_cells_are_written_as_before(row: str, expected: list[Cell] | None) -> None:
    """The number and the contents may be others, and cells may be missing; all else is left to the parser."""
    pattern = RowPattern(CellContents(strings(), {}, epoch_1904=False), "")
    assert pattern.match(row) is None
    known = ROW.format(3, "", 3, "5", TEXT.format(3, 0))
    pattern.learn(known, SheetRow(3, [5, None, "a"], hidden=False), [(0, "n", "0"), (2, "s", "0")])
    found = pattern.match(row)
    assert (pattern.rows([found])[0].cells if found else None) == expected


def test_nothing_is_learned_from_what_was_read_otherwise() -> None:
    """A cell whose content alone does not give what the parser read of it stays with the parser."""
    pattern = RowPattern(CellContents(strings(), {}, epoch_1904=False), "")
    known = ROW.format(3, "", 3, "5", "")
    for number in range(1, 9):
        pattern.learn(known, SheetRow(3, [6], hidden=False), [(0, "n", "0")])
        pattern.learn(known, SheetRow(number + 3, [5], hidden=False), [(0, "n", "0")])
    assert pattern.match(known) is None


def test_a_row_in_two_pieces_is_one_row() -> None:
    """Its cells go on where they ended, recognised or parsed."""
    pieces = ('<row r="{}"><c r="A{}"><v>1</v></c></row>', "<row r='{}' hidden='1'><c r='C{}'><v>3</v></c></row>")
    for first, second in (pieces, (pieces[0], pieces[1].replace("'", '"')), (pieces[0].replace('"', "'"), pieces[1])):
        data = "".join(piece.format(number, number) for number in (1, 2) for piece in (first, second))
        assert rows(worksheet(data), 7) == [SheetRow(number, [1, None, 3], hidden=True) for number in (1, 2)]


def test_references_in_small_letters_are_references() -> None:
    """Excel reads them."""
    for data in ('<row r="1"><c r="c1"><v>3</v></c></row>', "<row r='1'><c r='c1'><v>3</v></c></row>"):
        assert rows(worksheet(data)) == [SheetRow(1, [None, None, 3], hidden=False)]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str) -> None:
    """XML says itself how it is encoded; nothing is read that only looks like UTF-8."""
    name = {"utf-8-sig": "UTF-8"}.get(encoding, encoding)
    document = worksheet(
        '<row r="1"><c r="A1" t="str"><v>\u00c3\u00a9</v></c></row>', head=f'<?xml version="1.0" encoding="{name}"?>'
    )
    assert rows(document, encoding=encoding) == [SheetRow(1, ["\u00c3\u00a9"], hidden=False)]


@pytest.mark.parametrize(
    "document",
    [
        worksheet('<row r="1"><c r="A1"><v>1</v></c></row>', tail="<a>"),
        worksheet('<row r="1"><c r="A1"><v>1</v></c></row>').removesuffix("</sheetData></worksheet>"),
        worksheet('<row r="1"><c r="A1"><v>1</v></c></row>', head="<!DOCTYPE a>"),
        worksheet('<row r="1"><c r="A1"><v>1</v></c>'), "<worksheet/>", "<a><sheetData></sheetData></a>", "",
    ],
)  # fmt: skip
def test_what_stands_around_the_rows_is_still_parsed(document: str) -> None:
    """Rows in perfect form do not hide that the rest is damaged or forbidden."""
    assert rows(document) == "refused"


def test_rows_in_a_comment_or_elsewhere_are_not_read() -> None:
    """Only the rows of the sheet's data are rows."""
    row = '<row r="{}"><c r="A{}"><v>1</v></c></row>'
    head = f"<!-- <sheetData>{row.format(1, 1)} -->"
    tail = '<extLst xmlns="z"><sheetData><row r="3"><c r="A3"><v>1</v></c></row></sheetData></extLst>'
    assert rows(worksheet(row.format(2, 2), head=head, tail=tail)) == [SheetRow(2, [1], hidden=False)]
    assert rows(worksheet(row.format(2, 2), tail=tail)) == [SheetRow(2, [1], hidden=False)]


def test_a_row_of_any_length_is_read() -> None:
    """A row that is too long to be kept in one piece is left to the parser."""
    texts: list[Cell] = [letter * 100_000 for letter in "abcdefghijklmnop"]
    cells = "".join(f'<c r="{str(text)[0].upper()}1" t="str"><v>{text}</v></c>' for text in texts)
    document = worksheet(f'<row r="1">{cells}</row><row r="2"><c r="A2"><v>1</v></c></row>')
    assert rows(document) == [SheetRow(1, texts, hidden=False), SheetRow(2, [1], hidden=False)]
