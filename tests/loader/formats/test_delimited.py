from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.formats.opening import open_source
from tests.loader.described import settings

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.records import Cell


def rows(path: Path, content: str | bytes, **given: object) -> list[tuple[int, list[Cell]]]:
    file = path / "a.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    source = open_source(file, settings(**given), name="a.csv")
    return [(row.number, row.cells) for row in source.rows(0)]


def fault(path: Path, content: str | bytes, **given: object) -> InputError:
    with pytest.raises(InputError) as raised:
        rows(path, content, **given)
    assert raised.value.remedy
    assert raised.value.place.file == "a.csv"
    return raised.value


def test_rows_are_numbered_as_excel_shows_them(tmp_path: Path) -> None:
    """Blank lines count, line breaks in quotes do not, and cells arrive as they are."""
    content = 'a,b\r\n\r\n"1\r\n2",  x \r\n,""\n"say ""hi""",\u00e9'
    assert rows(tmp_path, content) == [
        (1, ["a", "b"]), (2, []), (3, ["1\r\n2", "  x "]), (4, [None, None]), (5, ['say "hi"', "\u00e9"]),
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    """Comma, semicolon, tab and bar are told apart by the header row and the rows after it."""
    content = f'a{delimiter}b c{delimiter}"x, y; z"\n1{delimiter}"2,5;"{delimiter}3\n'
    assert rows(tmp_path, content) == [(1, ["a", "b c", "x, y; z"]), (2, ["1", "2,5;", "3"])]


def test_a_header_with_another_separator_in_it_is_settled_by_the_rows(tmp_path: Path) -> None:
    """The rows decide where the header row alone could be read in two ways; if they do not, the file is refused."""
    assert rows(tmp_path, "Id;Amount, net\n1;2\n")[0] == (1, ["Id", "Amount, net"])
    error = fault(tmp_path, "Id;Amount, net\n")
    assert error.message == "a.csv could have its columns separated by commas or semicolons."


def test_a_line_that_states_the_separator_is_obeyed_and_not_counted(tmp_path: Path) -> None:
    """Excel takes `sep=` as an instruction and shows the next line as row 1."""
    assert rows(tmp_path, "sep=;\r\na,x;b\n1;2\n") == [(1, ["a,x", "b"]), (2, ["1", "2"])]


def test_a_single_column_needs_no_separator(tmp_path: Path) -> None:
    """A file of one column is a table too."""
    assert rows(tmp_path, "a\n1\n2") == [(1, ["a"]), (2, ["1"]), (3, ["2"])]


@pytest.mark.parametrize(
    ("encoding", "given"),
    [("utf-8", {}), ("utf-8-sig", {}), ("utf-16", {}), ("utf-16-le", {"encoding": "UTF-16-LE"}),
     ("cp1252", {"encoding": "windows-1252"}), ("utf-8-sig", {"encoding": "windows-1252"})],
)  # fmt: skip
def test_encodings(tmp_path: Path, encoding: str, given: dict[str, str]) -> None:
    """UTF-8 and marked UTF-16 are found, a mark is believed first, others are read as configured."""
    assert rows(tmp_path, "a;b\n\u00e9;\u20ac\n".encode(encoding), **given) == [
        (1, ["a", "b"]),
        (2, ["\u00e9", "\u20ac"]),
    ]


def test_utf_16_of_the_other_byte_order(tmp_path: Path) -> None:
    """The mark says in which order the bytes come."""
    assert rows(tmp_path, codecs.BOM_UTF16_BE + "a,b\n".encode("utf-16-be")) == [(1, ["a", "b"])]


@pytest.mark.parametrize("lines_before", [0, 3, 20_000])
def test_a_byte_that_is_no_utf_8_is_named_with_its_line(tmp_path: Path, lines_before: int) -> None:
    """The message says where, which byte, what it would be elsewhere, and how to say so."""
    content = b"a,b\n" + b"1,2\n" * lines_before + "Caf\u00e9,x\n".encode("cp1252")
    error = fault(tmp_path, content)
    assert f"line {lines_before + 2:,} holds the byte E9 (in windows-1252 it would be '\u00e9')" in error.message
    assert "input.encoding" in error.remedy


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [('a,b\n1,"x\n2,3\n', "row 2 (line 2)", "never closed"),
     ('a,b\n"1\n2",3\n4,"5"6\n', "row 3 (line 4)", "after a closing"),
     ('sep=,\na,b\n\n"', "row 3 (line 4)", "never closed"),
     ('a,b\n1,"' + "x" * 200_000, "row 2 (line 2)", "more than")],
)  # fmt: skip
def test_a_quotation_mark_that_is_wrong_is_named_with_its_line(
    tmp_path: Path, content: str, where: str, what: str
) -> None:
    """A quote that is not closed never swallows the rest of the file."""
    message = fault(tmp_path, content).message
    assert where in message
    assert what in message


@pytest.mark.parametrize("encoding", ["no-such", "base64", "rot13"])
def test_an_encoding_that_does_not_exist_is_refused(tmp_path: Path, encoding: str) -> None:
    """A typing error in the configuration is named."""
    assert encoding in fault(tmp_path, b"a,b\n", encoding=encoding).message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file of another kind, or UTF-16 without its mark, is not read as garbage."""
    assert "neither a workbook nor a text file" in fault(tmp_path, "a,b\n".encode("utf-16-le")).message


def test_a_nul_further_down_stays_in_its_cell(tmp_path: Path) -> None:
    """What the first look does not see is still no reason to lose or shift cells."""
    content = "a,b\n" + "1,2\n" * 20_000 + "x\0y,3\n"
    assert rows(tmp_path, content)[-1] == (20_002, ["x\0y", "3"])


def test_a_ctrl_z_ends_nothing_but_the_file(tmp_path: Path) -> None:
    """The mark that old programs put at the end is left out there, and a character like any other elsewhere."""
    assert rows(tmp_path, "a,b\n1,2\n\x1a") == [(1, ["a", "b"]), (2, ["1", "2"])]
    assert rows(tmp_path, "a,b\n\x1a1,2\n3,4\n")[1:] == [(2, ["\x1a1", "2"]), (3, ["3", "4"])]


@pytest.mark.parametrize("content", ["a,b\n" + "x" * (9 << 20), 'a,b\n"' + "x,\n" * (4 << 20), "a\n" + "x" * 200_000])
def test_a_cell_or_line_larger_than_any_is_refused(tmp_path: Path, content: str) -> None:
    """Memory is bounded, whatever a line or an open quotation mark goes on for."""
    assert re.search("row 2|line 2", fault(tmp_path, content).message)


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    """No sheet has more than 16,384."""
    assert "16,384" in fault(tmp_path, "," * 1_000_000 + "\n").message


@pytest.mark.parametrize("title", ["Report of March", "Report, for March", "Report; March, April"])
def test_titles_do_not_decide_about_the_delimiter(tmp_path: Path, title: str) -> None:
    """The rows below say how wide the table is."""
    for delimiter in ";\t|":
        lines = [title, "", delimiter.join(("a", "b", "c")), delimiter.join("123"), delimiter.join("456")]
        assert rows(tmp_path, "\n".join(lines))[2:] == [
            (3, ["a", "b", "c"]),
            (4, ["1", "2", "3"]),
            (5, ["4", "5", "6"]),
        ]


@pytest.mark.parametrize("end", ["\x1a", "\x1a\x1a\x1a", "\x1a\r\n\r\n", "\r\n\x1a\r\n\x1a"])
def test_however_often_the_end_is_marked(tmp_path: Path, end: str) -> None:
    """Whatever consists of marks and ends of lines behind the last row is the end."""
    assert [row for row in rows(tmp_path, f"a,b\r\n1,2{end}") if any(row[1])] == [(1, ["a", "b"]), (2, ["1", "2"])]


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (b"a,b\n1,2\n", "utf-16", "is not utf-16 with a mark"), (b"a,b\n", "unicode_escape", "no known encoding"),
        (b"a,b\n", "utf-7", "no known encoding"), ("a,b\n".encode("utf-32"), None, "UTF-32"),
    ],
)  # fmt: skip
def test_an_encoding_that_cannot_be_is_said(tmp_path: Path, content: bytes, encoding: str | None, said: str) -> None:
    """Neither a guess nor a codec that is none of texts."""
    assert said in fault(tmp_path, content, encoding=encoding).message


@pytest.mark.parametrize(("ours", "theirs"), [(",", ";"), (";", ","), ("\t", "|")])
def test_headers_separated_in_another_way_than_the_rows_are_refused(tmp_path: Path, ours: str, theirs: str) -> None:
    """Headers that were typed by hand above an export are no title, and are not read as one cell."""
    content = f"itemId{ours}label\n1{theirs}a\n2{theirs}b\n"
    message = fault(tmp_path, content).message
    assert "has its headers separated by" in message
    assert "but its rows by" in message


def test_an_encoding_that_is_configured_wrongly_is_not_suggested(tmp_path: Path) -> None:
    """An encoding that was set and does not fit is named."""
    refused = fault(tmp_path, b"itemId,label\n1,\x81\n", encoding="windows-1252")
    assert "line 2 holds the byte 81" in refused.message
    assert refused.remedy.endswith("now it is cp1252.")


def test_a_text_in_utf_16_that_is_cut_off_is_said_to_end_wrongly(tmp_path: Path) -> None:
    """Half a character is no byte of another encoding."""
    message = fault(tmp_path, codecs.BOM_UTF16_LE + "itemId\n1\n".encode("utf-16-le") + b"x").message
    assert "not written in UTF-16, as its mark says, from line 3 on" in message
    assert "windows-1252" not in message


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('1, "x"', ["1", "x"]), ('1, "x" ', ["1", "x"]), ('"1" ,"x"', ["1", "x"]), ('1,\t"x, y"\t', ["1", "x, y"]),
        ('1, "say ""x"""', ["1", 'say "x"']), ('"a\nb" , "x"', ["a\nb", "x"]), ('"a\n""b" , "x"', ['a\n"b', "x"]),
        ('1, ""', ["1", None]), ('1,\u00a0"x"', ["1", "x"]), (' "1",5" pipe', ["1", '5" pipe']),
        ('1,"""x"""', ["1", '"x"']), ('1,5" x', ["1", '5" x']), ("1, x", ["1", " x"]), ('1," x "', ["1", " x "]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_blanks_around_quotation_marks_are_no_part_of_a_cell(
    tmp_path: Path, line: str, cells: list[Cell], delimiter: str
) -> None:
    """Programs that write a blank after each delimiter mean the text in the marks; the marks are never a cell's."""
    text = f"a,b\n{line}\n".replace(",", delimiter)
    expected = [cell.replace(",", delimiter) if isinstance(cell, str) else cell for cell in cells]
    assert rows(tmp_path, text)[1:] == [(2, expected)]


def test_where_blanks_stand_before_quotation_marks_they_are_left_out_everywhere(tmp_path: Path) -> None:
    """In such a file a blank after a delimiter belongs to no cell, and people are told."""
    (tmp_path / "a.csv").write_text('a, b, c\n1, "x", y\n2, z,  w \n')
    source = open_source(tmp_path / "a.csv", settings(), name="a.csv")
    assert [row.cells for row in source.rows(0)] == [["a", "b", "c"], ["1", "x", "y"], ["2", "z", "w "]]
    assert source.notes == (
        "Blanks stand between commas and quotation marks; blanks at the beginning of a cell are left out.",
    )


@pytest.mark.parametrize("line", ['1, "Big" Company', '1, "open', '"1" 2,x'])
def test_text_beside_quotation_marks_is_refused_with_its_row(tmp_path: Path, line: str) -> None:
    """What begins like a cell in marks and is none has no certain reading."""
    assert "row 2" in fault(tmp_path, f"a,b\n{line}\n").message


def test_lines_that_stand_in_quotation_marks_as_a_whole_are_called_that(tmp_path: Path) -> None:
    """Such a file has one cell in each line; the message says so, for a file and for a single row."""
    whole = fault(tmp_path, '"a,b"\n"1,""x, y"""\n')
    assert "each line as a whole in quotation marks" in whole.message
    assert "quotation mark of each line" in str(whole.remedy)
    assert rows(tmp_path, '"a, b",c\n1,2\n')[0] == (1, ["a, b", "c"])


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff", "\u00ef\u00bb\u00bf"])
def test_byte_order_marks_of_files_that_were_put_together_are_nothing(tmp_path: Path, mark: str) -> None:
    """A mark at the beginning of a row is none of its first cell, in quotation marks or not."""
    content = f'{mark}a,b\n1,2\n{mark}"3",4\n{mark}5,6\n'
    expected = [(1, ["a", "b"]), (2, ["1", "2"]), (3, ["3", "4"]), (4, ["5", "6"])]
    assert rows(tmp_path, content) == expected
    assert rows(tmp_path, content.encode("utf-16")) == expected


def test_a_row_that_is_too_long_does_not_change_the_delimiter(tmp_path: Path) -> None:
    """Decimal commas make no table of a file whose header row and other rows have semicolons."""
    content = "a;b;c\n1;x;100,50\n2;x;200,50;extra\n3;x;300,50\n"
    assert [len(cells) for _, cells in rows(tmp_path, content)] == [3, 3, 4, 3]
