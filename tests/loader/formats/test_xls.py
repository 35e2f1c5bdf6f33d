from __future__ import annotations

import hashlib
import io
import struct
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import xlwt
from xlwt.CompoundDoc import XlsDoc

from batch_updater.errors import InputError
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import CellError, FormattedNumber, ShownAs
from tests.loader.described import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batch_updater.records import Cell


def saved(path: Path, book: xlwt.Workbook) -> Path:
    book.save(str(path / "a.xls"))
    return path / "a.xls"


def read(path: Path) -> list[tuple[int, list[Cell], bool]]:
    return [(row.number, row.cells, row.hidden) for row in open_source(path, settings(), name="a.xls").rows(0)]


def style(code: str) -> xlwt.XFStyle:
    made = xlwt.XFStyle()
    made.num_format_str = code
    return made


@pytest.mark.parametrize("calendar_1904", [False, True])
def test_cells_arrive_as_they_stand(tmp_path: Path, *, calendar_1904: bool) -> None:
    """Text stays text, numbers keep their digits, days are days in both calendars, error cells are no blanks."""
    book = xlwt.Workbook()
    book.dates_1904 = calendar_1904
    sheet = book.add_sheet("S")
    day = 45000 - (1462 if calendar_1904 else 0)
    cells = [
        ("00123", "General"), ("", "General"), ("NA", "@"), (7, "General"), (0.1, "0.0"), (10**14 + 1, "0"),
        (True, "0"), (day, "dd.mm.yyyy"), (day + 0.5, "dd.mm.yyyy hh:mm"), (0.5, "0%"), (123, "00000"), (-3, "000"),
    ]  # fmt: skip
    for column, (value, code) in enumerate(cells):
        sheet.write(1, column, value, style(code))
    sheet.row(1).set_cell_error(len(cells), 0x17)
    number, found, hidden = read(saved(tmp_path, book))[1]
    assert (number, hidden) == (2, False)
    noon = datetime.combine(date(2023, 3, 15), time(12))
    assert found == [
        "00123", None, "NA", 7, Decimal("0.1"), 10**14 + 1, True, date(2023, 3, 15), noon,
        FormattedNumber(Decimal("0.5"), "50%", "0%", ShownAs.OTHERWISE),
        FormattedNumber(123, "00123", "00000"), FormattedNumber(-3, "-003", "000"), CellError("error-cell", "#REF!"),
    ]  # fmt: skip


def test_formulas_give_what_was_saved_with_them(tmp_path: Path) -> None:
    """One formula with a result shows that the sheet was calculated: an empty result is then a blank."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for column in range(2):
        sheet.write(0, column, xlwt.Formula("A2"))
    file = saved(tmp_path, book)
    assert read(file) == [(1, [CellError("formula-without-value", "=...")] * 2, False)]
    # The result of the second formula (8 bytes, [MS-XLS] 2.5.133) becomes the number 2.
    content, empty = file.read_bytes(), b"\x03\0\0\0\0\0\xff\xff"
    second = content.rindex(empty)
    file.write_bytes(content[:second] + b"\0\0\0\0\0\0\0\x40" + content[second + 8 :])
    assert read(file) == [(1, [None, 2], False)]


def test_merged_cells_and_hidden_columns_are_known(tmp_path: Path) -> None:
    """Merged areas, hidden rows, columns and sheets."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write_merge(1, 2, 1, 3, "x")
    sheet.row(1).hidden = True
    sheet.col(4).hidden = True
    sheet.write(3, 4, "y")
    book.add_sheet("H").visibility = 1
    book.add_sheet("V").visibility = 2
    source = open_source(saved(tmp_path, book), settings(), name="a.xls")
    properties = source.properties(0)
    assert [area.address for area in properties.merged] == ["B2:D3"]
    assert list(properties.hidden_columns) == [range(4, 5)]
    assert [row.number for row in source.rows(0) if row.hidden] == [2]
    assert [(entry.name, entry.hidden) for entry in source.sheets] == [("S", False), ("H", True), ("V", True)]


def test_a_workbook_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """It would be kept in memory, so its size is looked at first; saving it in the newer format helps."""
    file = saved(tmp_path, book_of_one_sheet())
    with file.open("r+b") as stream:
        stream.truncate(61 << 20)
    with pytest.raises(InputError, match="larger than 60 MB") as raised:
        open_source(file, settings(), name="a.xls")
    assert ".xlsx" in str(raised.value.remedy)


def book_of_one_sheet() -> xlwt.Workbook:
    book = xlwt.Workbook()
    book.add_sheet("S").write(0, 0, "x")
    return book


def records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the data of each record."""
    at = 0
    while at < len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def saved_stream(path: Path, stream: bytes) -> Path:
    held = io.BytesIO()
    XlsDoc().save(held, stream)
    (path / "a.xls").write_bytes(held.getvalue())
    return path / "a.xls"


def edited(path: Path, book: xlwt.Workbook, edit: Callable[[int, bytes], tuple[int, bytes]]) -> Path:
    """Save a workbook with records that are changed and keep their lengths."""
    stream = book.get_biff_data()
    changed = b"".join(record(*edit(kind, data)) for kind, data in records(stream))
    assert len(changed) == len(stream)
    assert changed != stream
    return saved_stream(path, changed)


FORMAT, STYLE, SST, NUMBER, NAME, NOTE, UNCALCED = 0x41E, 0xE0, 0xFC, 0x203, 0x18, 0x1C, 0x5E
PROTECT, HEADER, CALC_MODE, SAVE_RECALC = 0x12, 0x14, 0x0D, 0x5F


@pytest.mark.parametrize(
    ("code", "number", "expected"),
    [
        ("0.00_);-0.00", 46106, 46106), ("yyyy-mm-dd", 45741, date(2025, 3, 25)),
        ("00000", 123, FormattedNumber(123, "00123", "00000")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("built_in", [14, 50, 59, 60, 9])
def test_a_format_that_the_file_defines_wins_over_the_built_in_one(
    tmp_path: Path, built_in: int, code: str, number: int, expected: Cell
) -> None:
    """Some programs count their own formats from 50 on, where Excel has dates of East Asia, or from anywhere."""
    book = xlwt.Workbook()
    book.add_sheet("S").write(0, 0, number, style(code))

    def edit(kind: int, data: bytes) -> tuple[int, bytes]:
        if kind == FORMAT and data[:2] == struct.pack("<H", 164):
            data = struct.pack("<H", built_in) + data[2:]
        elif kind == STYLE and data[2:4] == struct.pack("<H", 164):
            data = data[:2] + struct.pack("<H", built_in) + data[4:]
        return kind, data

    edited(tmp_path, book, edit)
    assert read(tmp_path / "a.xls") == [(1, [expected], False)]


@pytest.mark.parametrize("count", [0, 3, 4_000_000])
def test_however_many_texts_a_table_says_it_has_those_count_that_are_there(tmp_path: Path, count: int) -> None:
    """The number at its beginning is used by no program that opens it."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    texts = ["a", "\u00e9\u4e2d", "x" * 9000, "\u4e2d" * 9000, "z"]
    for column, text in enumerate(texts):
        sheet.write(0, column, text)

    def edit(kind: int, data: bytes) -> tuple[int, bytes]:
        return kind, data[:4] + struct.pack("<I", count) + data[8:] if kind == SST else data

    edited(tmp_path, book, edit)
    assert read(tmp_path / "a.xls") == [(1, texts, False)]


@pytest.mark.parametrize(("found", "becomes"), [(PROTECT, NAME), (HEADER, NOTE), (HEADER, 0x1B6), (HEADER, 0xAB)])
def test_what_is_not_needed_does_not_stop_the_reading(tmp_path: Path, found: int, becomes: int) -> None:
    """Names, comments, drawings and widths that make no sense are none of the rows."""
    book = book_of_one_sheet()
    edited(tmp_path, book, lambda kind, data: (becomes if kind == found else kind, data))
    assert read(tmp_path / "a.xls") == [(1, ["x"], False)]


def test_a_container_with_faults_is_read(tmp_path: Path) -> None:
    """Whatever says nothing about the records is no reason to refuse them."""
    file = saved(tmp_path, book_of_one_sheet())
    content = bytearray(file.read_bytes())
    content[28:30] = b"\xff\xfe"
    file.write_bytes(bytes(content))
    assert read(tmp_path / "a.xls") == [(1, ["x"], False)]


@pytest.mark.parametrize("none", ["nan", "-inf"])
def test_a_number_that_is_none_is_a_fault_of_its_cell(tmp_path: Path, none: str) -> None:
    """One cell of a careless program does not cost the others."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write(0, 0, 1 / 3)
    sheet.write(0, 1, 1 / 7)

    def edit(kind: int, data: bytes) -> tuple[int, bytes]:
        return kind, data.replace(struct.pack("<d", 1 / 3), struct.pack("<d", float(none)))

    edited(tmp_path, book, edit)
    seventh = Decimal("0.142857142857143")
    assert read(tmp_path / "a.xls") == [(1, [CellError("no-value", none), seventh], False)]


def test_results_that_a_sheet_says_are_out_of_date_are_refused(tmp_path: Path) -> None:
    """A sheet that was saved without being calculated says so ([MS-XLS] 2.4.331, Uncalced); its other cells stay."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write(0, 0, 7)
    sheet.write(0, 2, xlwt.Formula("A1*2"))
    assert not open_source(saved(tmp_path, book), settings(), name="a.xls").notes
    # xlwt saves a formula without a result ([MS-XLS] 2.5.133, FormulaValue); this one becomes 2.
    empty, two = b"\x03\0\0\0\0\0\xff\xff", struct.pack("<d", 2)

    def edit(kind: int, data: bytes) -> tuple[int, bytes]:
        return UNCALCED if kind == HEADER else kind, data.replace(empty, two)

    edited(tmp_path, book, edit)
    assert read(tmp_path / "a.xls") == [(1, [7, None, CellError("stale-formula", "=...")], False)]


def test_a_workbook_that_is_calculated_by_hand_says_so(tmp_path: Path) -> None:
    """How old its results are is unknown."""

    def by_hand(kind: int, data: bytes) -> tuple[int, bytes]:
        return kind, bytes(2) if kind in {CALC_MODE, SAVE_RECALC} else data

    file = edited(tmp_path, book_of_one_sheet(), by_hand)
    assert open_source(file, settings(), name="a.xls").notes == (
        "It is calculated by hand only: results of formulas in it may be out of date.",
    )


def workbook_of_excel_95(path: Path, text: bytes, code_page: int | None = None) -> Path:
    """Write a workbook of one cell ([MS-XLS] of version 5)."""
    bof = struct.pack("<HHHH", 0x0500, 5, 2412, 1995)
    head = record(0x809, bof) + (record(0x42, struct.pack("<H", code_page)) if code_page else b"")
    head += record(STYLE, struct.pack("<HHHHHHHH", 0, 0, 1, 0x20, 0, 0, 0, 0))
    sheet = record(0x809, bof[:2] + struct.pack("<H", 0x10) + bof[4:])
    sheet += record(0x204, struct.pack("<HHHH", 0, 0, 0, len(text)) + text) + record(0x0A, b"")
    begins = len(head) + 4 + 8 + 4
    head += record(0x85, struct.pack("<IHB", begins, 0, 1) + b"S") + record(0x0A, b"")
    return saved_stream(path, head + sheet)


def test_letters_of_an_old_workbook_are_those_of_its_code_page_or_are_asked_about(tmp_path: Path) -> None:
    """Excel 95 wrote bytes; whose letters they are is in the file, or else in the configuration, and never guessed."""
    name = "\u041c\u0438\u043b\u043b\u0435\u0440"
    workbook_of_excel_95(tmp_path, name.encode("cp1251"), 1251)
    assert read(tmp_path / "a.xls") == [(1, [name], False)]
    file = workbook_of_excel_95(tmp_path, b"plain")
    assert read(tmp_path / "a.xls") == [(1, ["plain"], False)]
    workbook_of_excel_95(tmp_path, name.encode("cp1251"))
    with pytest.raises(InputError, match="does not say in which encoding its texts are written") as raised:
        read(tmp_path / "a.xls")
    assert "input.encoding" in str(raised.value.remedy)
    told = open_source(file, settings(encoding="windows-1251"), name="a.xls")
    assert [row.cells for row in told.rows(0)] == [[name]]
    with pytest.raises(InputError, match="no known encoding"):
        open_source(file, settings(encoding="klingon"), name="a.xls")


def rc4(key: bytes, data: bytes) -> bytes:
    state, j, made = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        made.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(made)


def key_of_block(password: str, salt: bytes, block: int) -> bytes:
    """Return the key of 1,024 bytes of a workbook ([MS-OFFCRYPTO] 2.3.6.2)."""
    first = hashlib.md5(password.encode("utf-16-le"), usedforsecurity=False).digest()[:5]
    half = hashlib.md5((first + salt) * 16, usedforsecurity=False).digest()[:5]
    return hashlib.md5(half + struct.pack("<I", block), usedforsecurity=False).digest()


def encrypted(stream: bytes, password: str) -> bytes:
    """Return the records of a workbook encrypted ([MS-XLS] 2.2.10), after a FilePass behind its first one."""
    salt, verifier = bytes(range(16)), bytes(range(16, 32))
    digest = hashlib.md5(verifier, usedforsecurity=False).digest()
    both = rc4(key_of_block(password, salt, 0), verifier + digest)
    file_pass = record(0x2F, struct.pack("<HHH", 1, 1, 1) + salt + both)
    first = 4 + len(next(records(stream))[1])
    stream = stream[:first] + file_pass + stream[first:]
    keys = b"".join(rc4(key_of_block(password, salt, block), bytes(1024)) for block in range(len(stream) // 1024 + 1))
    made = b""
    for kind, data in records(stream):
        plain = len(data) if kind in {0x809, 0x2F, 0xE1} else 4 if kind == 0x85 else 0
        at = len(made) + 4
        hidden = bytes(byte ^ key for byte, key in zip(data[plain:], keys[at + plain :], strict=False))
        kept = data[:plain]
        if kind == 0x85:
            kept = struct.pack("<I", struct.unpack("<I", kept)[0] + len(file_pass))
        made += record(kind, kept + hidden)
    return made


def test_a_workbook_with_the_password_of_excel_itself_opens_as_in_excel(tmp_path: Path) -> None:
    """Excel gives this password to workbooks whose structure alone is protected, and does not ask for it."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for row in range(300):
        sheet.write(row, 0, f"text {row}")
    saved_stream(tmp_path, encrypted(book.get_biff_data(), "VelvetSweatshop"))
    assert [cells for _, cells, _ in read(tmp_path / "a.xls")] == [[f"text {row}"] for row in range(300)]
    saved_stream(tmp_path, encrypted(book.get_biff_data(), "another"))
    with pytest.raises(InputError, match="is protected by a password"):
        read(tmp_path / "a.xls")
