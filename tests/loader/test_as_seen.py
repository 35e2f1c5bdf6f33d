"""What the eye sees of a cell decides, in whichever format the table is saved."""

from __future__ import annotations

import struct
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import pytest
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.loader.table import open_table
from tests.data.made_xlsb import FIRST_OWN, cell_record, record, row_record, write_xlsb
from tests.data.make_data import opendocument_parts, sheet_xml, workbook_parts, write_package
from tests.data.make_data import row as xml_row
from tests.loader.described import csv_text, endpoint, settings, workbook
from tests.loader.staged import staged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.loader.staged import JudgedRow

HEADERS = ("itemId", "label", "amountDue", "count", "dueDay")
LABEL, AMOUNT, COUNT, DAY = HEADERS[1:]
MANY = hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Shown(NamedTuple):
    """A number, or a text, in a format."""

    code: str
    number: float | str


class Format(NamedTuple):
    """A format as Excel writes it, and as the styles of an OpenDocument spreadsheet say the same."""

    code: str
    style: str


DIGIT = '<number:number number:min-integer-digits="1" number:decimal-places="0"/>'
CENTS = '<number:number number:min-integer-digits="1" number:decimal-places="2" number:grouping="true"/>'


def number_style(content: str, kind: str = "number") -> str:
    return f'<number:{kind}-style style:name="{{name}}">{content}</number:{kind}-style>'


def text(characters: str) -> str:
    return f"<number:text>{characters}</number:text>"


THOUSANDS = DIGIT.replace("/>", ' number:display-factor="1000"/>') + text("K")


def conditional(condition: str, content: str, otherwise: str) -> str:
    """Return a style that names another one for some numbers."""
    style_map = f'<style:map style:condition="value(){condition}" style:apply-style-name="{{name}}P0"/>'
    return number_style(content).replace("{name}", "{name}P0") + number_style(otherwise + style_map)


def of_texts(positive: str, negative: str, zero: str, texts: str) -> str:
    """Return a style of texts that names others for all numbers, as LibreOffice writes a format of four sections."""
    conditions = ("&gt;0", "&lt;0", "=0")
    others = [number_style(content).replace("{name}", f"{{name}}P{at}")
              for at, content in enumerate((positive, negative, zero))]  # fmt: skip
    maps = "".join(
        f'<style:map style:condition="value(){condition}" style:apply-style-name="{{name}}P{at}"/>'
        for at, condition in enumerate(conditions)
    )
    return "".join(others) + number_style(texts + maps, "text")


FORMATS = [
    Format("0%", number_style(DIGIT + text("%"), "percentage")),
    Format("# ?/?", number_style('<number:fraction number:min-integer-digits="0" number:min-numerator-digits="1" '
                                 'number:min-denominator-digits="1"/>')),
    Format("?/?", number_style('<number:fraction number:min-numerator-digits="1" number:min-denominator-digits="1"/>')),
    Format("0.00E+00", number_style('<number:scientific-number number:decimal-places="2" '
                                    'number:min-integer-digits="1" number:min-exponent-digits="2"/>')),
    Format('"#"0', number_style(text("#") + DIGIT)),
    Format('0" pcs"', number_style(DIGIT + text(" pcs"))),
    Format('0,"K"', number_style(THOUSANDS)),
    Format("000\\-000", number_style('<number:number number:min-integer-digits="6" number:decimal-places="0">'
                                     '<number:embedded-text number:position="3">-</number:embedded-text>'
                                     "</number:number>")),
    Format("#\\'##0.00", number_style(CENTS.replace(
        ' number:grouping="true"/>',
        '><number:embedded-text number:position="3">\'</number:embedded-text></number:number>'))),
    Format("0", number_style(DIGIT)),
    Format("#,##0.00", number_style(CENTS)),
    Format("[$€-2]\\ #,##0.00", number_style("<number:currency-symbol>€</number:currency-symbol>" + text(" ") + CENTS,
                                             "currency")),
    Format('#,##0.00\\ "kr"', number_style(CENTS + text(" kr"))),
    Format('_(* #,##0.00_);_(* \\(#,##0.00\\);_(* "-"??_);_(@_)',
           of_texts(CENTS, text("(") + CENTS + text(")"), text("- "), "<number:text-content/>")),
    Format("#,##0.00;[Red]#,##0.00",
           number_style(CENTS).replace("{name}", "{name}P0")
           + number_style('<style:text-properties fo:color="#ff0000"/>' + CENTS
                          + '<style:map style:condition="value()&gt;=0" style:apply-style-name="{name}P0"/>')),
    Format(";;;", of_texts("", "", "", "<number:text/>")),
    Format("0;-0;;@", of_texts(DIGIT, text("-") + DIGIT, "", "<number:text-content/>")),
    Format("@", number_style("<number:text-content/>", "text")),
    Format('"OPP-"@', number_style(text("OPP-") + "<number:text-content/>", "text")),
    Format('General" kg"', number_style('<number:number number:min-integer-digits="1"/>' + text(" kg"))),
    Format("0000", number_style(DIGIT.replace('"1"', '"4"'))),
    Format("#,###", number_style(DIGIT.replace('"1"', '"0"').replace("/>", ' number:grouping="true"/>'))),
    Format('[>=1000]0,"K";0', conditional("&gt;=1000", THOUSANDS, DIGIT)),
    Format("[<0]-0;0", conditional("&lt;0", text("-") + DIGIT, DIGIT)),
    Format("[<0]0;0", conditional("&lt;0", DIGIT, DIGIT)),
    Format("mmm-yy", number_style('<number:month number:textual="true"/>-<number:year/>', "date")),
    Format("d-mmm", number_style('<number:day/>-<number:month number:textual="true"/>', "date")),
    Format("dd/mm/yy", number_style("<number:day/>/<number:month/>/<number:year/>", "date")),
    Format("yyyy-mm-dd", number_style('<number:year number:style="long"/>-<number:month/>-<number:day/>', "date")),
    Format("h:mm", number_style("<number:hours/>:<number:minutes/>", "time")),
]  # fmt: skip
CODES = [one.code for one in FORMATS]
DATES = CODES[CODES.index("mmm-yy") :]
ACCOUNTING = next(code for code in CODES if code.startswith("_("))
NO_AMOUNT = ["0%", "# ?/?", "0.00E+00", '"#"0', '0" pcs"', '0,"K"', "000\\-000", ";;;"]


def serial(day: date) -> int:
    return (day - date(1899, 12, 30)).days


def tables(folder: Path, column: str, cells: Sequence[Shown]) -> list[Path]:
    """Write the same cells, one in a row, in every format of workbooks."""
    at = HEADERS.index(column)
    return [write(folder, at, cells) for write in (write_xlsx, write_xls, write_xlsb_, write_ods)]


def write_xlsx(folder: Path, at: int, cells: Sequence[Shown]) -> Path:
    with xlsxwriter.Workbook(str(folder / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        for row, cell in enumerate(cells, 1):
            sheet.write_number(row, 0, row)
            sheet.write(row, at, cell.number, book.add_format({"num_format": cell.code}))
            sheet.write_boolean(row, len(HEADERS), 1)  # XlsxWriter leaves no row without a cell
    return folder / "a.xlsx"


def write_xls(folder: Path, at: int, cells: Sequence[Shown]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    styles = {}
    for code in CODES:
        styles[code] = xlwt.XFStyle()
        styles[code].num_format_str = code
    for column, header in enumerate(HEADERS):
        sheet.write(0, column, header)
    for row, cell in enumerate(cells, 1):
        sheet.write(row, 0, row)
        sheet.write(row, at, cell.number, styles[cell.code])
    book.save(str(folder / "a.xls"))
    return folder / "a.xls"


def write_xlsb_(folder: Path, at: int, cells: Sequence[Shown]) -> Path:
    data = row_record(1) + b"".join(cell_record(column, header) for column, header in enumerate(HEADERS))
    for row, cell in enumerate(cells, 2):
        value = cell.number if isinstance(cell.number, str) else Decimal(repr(cell.number))
        data += row_record(row) + cell_record(0, row - 1)
        data += cell_record(at, value, style=FIRST_OWN + CODES.index(cell.code))
    return write_xlsb(folder / "a.xlsb", {"S": data}, formats=CODES)


def write_ods(folder: Path, at: int, cells: Sequence[Shown]) -> Path:
    styles = "".join(
        one.style.replace("{name}", f"F{index}")
        + f'<style:style style:name="c{index}" style:family="table-cell" style:data-style-name="F{index}"/>'
        for index, one in enumerate(FORMATS)
    )
    rows = "<table:table-row>" + "".join(map(ods_text, HEADERS)) + "</table:table-row>"
    for row, cell in enumerate(cells, 1):
        value = f'float" office:value="{cell.number!r}"'
        if isinstance(cell.number, str):
            value = f'string" office:string-value="{cell.number}"'
        elif cell.code in DATES:
            value = f'date" office:date-value="{date(1899, 12, 30) + timedelta(days=int(cell.number))}"'
        rows += (
            f'<table:table-row><table:table-cell office:value-type="float" office:value="{row}"/>'
            f'{"<table:table-cell/>" * (at - 1)}<table:table-cell table:style-name="c{CODES.index(cell.code)}" '
            f'office:value-type="{value}/></table:table-row>'
        )
    parts = opendocument_parts(rows, styles)
    parts["content.xml"] = str(parts["content.xml"]).replace(
        "<office:document-content",
        '<office:document-content xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"', 1,
    )  # fmt: skip
    return write_package(folder / "a.ods", parts)


def ods_text(cell: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'


def write_csv(folder: Path, column: str, shown: Sequence[str]) -> Path:
    rows = [[row, *["" if header != column else cell for header in HEADERS[1:]]] for row, cell in enumerate(shown, 1)]
    (folder / "a.csv").write_text(csv_text([HEADERS, *rows]), encoding="utf-8")
    return folder / "a.csv"


def judged(path: Path) -> tuple[list[JudgedRow], tuple[str, ...]]:
    table = open_table(path, endpoint(), settings(), name=path.name)
    rows = staged(table).rows
    return rows, table.notes


def sent(path: Path, column: str) -> list[object]:
    """Return the value that each row sends for the column; where it sends none, the code of the problem."""
    rows, _ = judged(path)
    return [row.job.values.get(column) if row.job else row.problems[0].code for row in rows]


def decision(folder: Path, column: str, cell: Shown) -> str:
    """Return whether a cell is sent, noted or refused, which all formats say in the same words."""
    found = set()
    for file in tables(folder, column, [cell]):
        rows, notes = judged(file)
        refused = tuple((problem.code, problem.reason, problem.remedy) for problem in rows[0].problems)
        noted = tuple(note for note in notes if note.startswith(column))
        found.add((refused, noted, rows[0].job and rows[0].job.values.get(column)))
    assert len(found) == 1, found
    refused, noted, _ = found.pop()
    return "refused" if refused else "noted" if noted else "sent"


@pytest.mark.parametrize(
    ("cell", "amount", "count", "label"),
    [
        (Shown("0%", 0.4), "refused", "refused", "refused"),
        (Shown("0%", 4), "refused", "refused", "refused"),
        (Shown("# ?/?", 0.5), "refused", "refused", "refused"),
        (Shown("# ?/?", 3), "sent", "sent", "sent"),
        (Shown("?/?", 3), "refused", "refused", "refused"),
        (Shown("0;-0;;@", 0), "refused", "refused", "refused"),
        (Shown("0;-0;;@", -5), "sent", "sent", "sent"),
        (Shown("@", 5), "sent", "sent", "sent"),
        (Shown('General" kg"', 5), "refused", "refused", "refused"),
        (Shown("0000", 5), "sent", "sent", "refused"),
        (Shown("#,###", 0), "refused", "refused", "refused"),
        (Shown('[>=1000]0,"K";0', 999), "sent", "sent", "sent"),
        (Shown('[>=1000]0,"K";0', 1000), "refused", "refused", "refused"),
        (Shown("[<0]-0;0", -5), "sent", "sent", "sent"),
        (Shown("[<0]0;0", -5), "refused", "refused", "refused"),
        (Shown("0.00E+00", 1234), "refused", "refused", "refused"),
        (Shown("0.00E+00", 1200), "sent", "refused", "refused"),
        (Shown('"#"0', 1234), "refused", "refused", "refused"),
        (Shown('0" pcs"', 5), "refused", "refused", "refused"),
        (Shown('0,"K"', 5000), "refused", "refused", "refused"),
        (Shown("000\\-000", 1234), "refused", "refused", "refused"),
        (Shown("#\\'##0.00", 1234567.5), "sent", "refused", "refused"),
        (Shown("#\\'##0.00", 1234.567), "noted", "refused", "refused"),
        (Shown("#\\'##0.00", -1234), "sent", "sent", "refused"),
        (Shown(";;;", 5), "refused", "refused", "refused"),
        (Shown("0", 1234.56), "noted", "refused", "noted"),
        (Shown("#,##0.00", 1234.567), "noted", "refused", "noted"),
        (Shown("#,##0.00", 1234.5), "sent", "refused", "sent"),
        (Shown("#,##0.00", 1234), "sent", "sent", "sent"),
        (Shown("[$€-2]\\ #,##0.00", 1234), "sent", "sent", "sent"),
        (Shown("[$€-2]\\ #,##0.00", 1234.567), "noted", "refused", "noted"),
        (Shown('#,##0.00\\ "kr"', -1234), "sent", "sent", "sent"),
        (Shown(ACCOUNTING, -5), "sent", "sent", "sent"),
        (Shown(ACCOUNTING, 0), "sent", "sent", "refused"),
        (Shown("#,##0.00;[Red]#,##0.00", -5), "noted", "noted", "refused"),
        (Shown("0", -4.5e-13), "noted", "refused", "noted"),
        (Shown("yyyy-mm-dd", 45741), "refused", "refused", "refused"),
    ],
)  # fmt: skip
def test_a_number_is_sent_noted_or_refused_as_it_is_shown(
    tmp_path: Path, cell: Shown, amount: str, count: str, label: str
) -> None:
    """A format that shows another number, or no number, is a problem; one that only hides decimals is a note."""
    assert decision(tmp_path, AMOUNT, cell) == amount
    assert decision(tmp_path, COUNT, cell) == count
    assert decision(tmp_path, LABEL, cell) == label


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("yyyy-mm-dd", date(2025, 3, 25), "sent"), ("mmm-yy", date(2025, 3, 25), "noted"),
        ("d-mmm", date(2025, 3, 25), "noted"), ("dd/mm/yy", date(2025, 3, 25), "sent"),
        ("dd/mm/yy", date(2035, 3, 25), "noted"), ("h:mm", date(2025, 3, 25), "refused"),
    ],
)  # fmt: skip
def test_a_date_of_which_a_part_is_not_shown_is_told(tmp_path: Path, code: str, day: date, expected: str) -> None:
    """The day or year that is sent can be seen before it is sent; a date shown as a time of day is none."""
    assert decision(tmp_path, DAY, Shown(code, serial(day))) == expected


def test_formats_that_hide_different_parts_are_told_apart(tmp_path: Path) -> None:
    """One sentence for all would be true of the first cell only."""
    codes = [("d-mmm", 2025), ("mmm-yy", 2025), ("dd/mm/yy", 2035), ("d-mmm", 2026)]
    for file in tables(tmp_path, DAY, [Shown(code, serial(date(year, 3, 25))) for code, year in codes]):
        assert [note for note in judged(file)[1] if note.startswith(DAY)] == [
            "dueDay (E2, E5): 2025-03-25 is shown without its year: 2025-03-25 is sent.",
            "dueDay (E3): 2025-03-25 is shown without its day: 2025-03-25 is sent.",
            "dueDay (E4): 2035-03-25 is shown without its century: 2035-03-25 is sent.",
        ]
    numbers = [Shown("0", 1.5), Shown("#,##0.00;[Red]#,##0.00", -5)]
    for file in tables(tmp_path, AMOUNT, numbers):
        assert len([note for note in judged(file)[1] if note.startswith(AMOUNT)]) == len(numbers)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (Shown(";;;", "Acme"), "refused"), (Shown('"OPP-"@', "123"), "refused"), (Shown('"OPP-"@', 123), "sent"),
        (Shown('"OPP-"@', -123), "sent"),
        (Shown("@", "Acme"), "sent"), (Shown(ACCOUNTING, "Acme"), "sent"), (Shown("0;-0;;@", "Acme"), "sent"),
        (Shown("0%", "Acme"), "sent"), (Shown("yyyy-mm-dd", "Acme"), "sent"),
    ],
)  # fmt: skip
def test_a_text_that_its_format_hides_or_adds_to_is_refused(tmp_path: Path, cell: Shown, expected: str) -> None:
    """A text is sent only if it is what the cell shows; the formats of numbers show texts as they are."""
    assert decision(tmp_path, LABEL, cell) == expected


def test_a_currency_that_only_a_format_shows_is_told_where_it_contradicts_the_others(tmp_path: Path) -> None:
    """Dollars among euros are no less wrong where the sign is not typed."""
    cells = [Shown("[$€-2]\\ #,##0.00", 5), Shown("0", 6), Shown('#,##0.00\\ "kr"', 7), Shown("[$€-2]\\ #,##0.00", 8)]
    for file in tables(tmp_path, AMOUNT, cells):
        rows, notes = judged(file)
        assert [row.job and row.job.values[AMOUNT] for row in rows] == [5, 6, 7, 8]
        assert [note for note in notes if note.startswith(AMOUNT)] == [
            "amountDue (C4): 7 is shown with kr, but another cell of the column has €. The number alone is sent."
        ]


def apply_format(cell: Shown) -> str:
    """Return what Excel shows, and so writes into a CSV file."""
    number = float(cell.number)
    return {
        "0%": f"{number:.0%}", "# ?/?": "1/2", "0.00E+00": f"{number:.2E}", '"#"0': f"#{number:.0f}",
        '0" pcs"': f"{number:.0f} pcs", '0,"K"': f"{number / 1000:.0f}K", ";;;": "",
        "000\\-000": f"{number:07.0f}".replace(f"{number:07.0f}", f"{int(number) // 1000:03}-{int(number) % 1000:03}"),
        "#,##0.00": f"{number:,.2f}", "[$€-2]\\ #,##0.00": f"€ {number:,.2f}",
    }[cell.code]  # fmt: skip


@MANY
@given(
    st.lists(
        st.tuples(st.sampled_from([*NO_AMOUNT[:-1], "#,##0.00", "[$€-2]\\ #,##0.00"]), st.integers(1, 99)),
        min_size=1,
        max_size=8,
    )
)
def test_an_amount_is_judged_the_same_in_a_workbook_and_in_text(tmp_path: Path, drawn: list[tuple[str, int]]) -> None:
    """What a workbook shows is taken where the same characters in a CSV file are, and refused where they are."""
    cells = [Shown(code, 0.5 if code == "# ?/?" else number * 1000 + 123) for code, number in drawn]
    in_text = sent(write_csv(tmp_path, AMOUNT, [apply_format(cell) for cell in cells]), AMOUNT)
    for file in tables(tmp_path, AMOUNT, cells):
        in_workbook = sent(file, AMOUNT)
        assert [isinstance(value, str) for value in in_workbook] == [isinstance(value, str) for value in in_text]
        assert [one for one in in_workbook if not isinstance(one, str)] == [
            one for one in in_text if not isinstance(one, str)
        ]


@MANY
@given(
    st.sampled_from([AMOUNT, COUNT, LABEL]),
    st.lists(
        st.tuples(
            st.sampled_from(CODES[: CODES.index("mmm-yy")]),
            st.one_of(st.integers(-(10**9), 10**9), st.decimals(-(10**6), 10**6, places=3).map(float)),
        ),
        min_size=1, max_size=8,
    ),
)  # fmt: skip
def test_every_workbook_shows_the_same(tmp_path: Path, column: str, drawn: list[tuple[str, float]]) -> None:
    """The same number in the same format is the same value or problem in every format of workbooks."""
    files = tables(tmp_path, column, [Shown(code, number) for code, number in drawn])
    first = sent(files[0], column)
    assert all(sent(file, column) == first for file in files)


@MANY
@given(
    st.lists(
        st.one_of(
            st.floats(-1e9, 1e9).map(lambda number: number or 0.0),
            st.tuples(st.integers(1, 10**9), st.integers(1, 10**6)).map(lambda pair: pair[0] / 100 + pair[1] / 1000),
            st.sampled_from([57.699999999999996, 100000.00000000001, 33.333333333333336, 0.1 + 0.2, -4.5e-13]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_an_amount_has_the_digits_that_excel_shows(tmp_path: Path, numbers: list[float]) -> None:
    """Digits behind the fifteenth are what arithmetic leaves over; no format of workbooks sends them."""
    cells = [Shown("#,##0.00", number) for number in numbers]
    data = xml_row(1, *HEADERS) + "".join(xml_row(at, at - 1, None, number) for at, number in enumerate(numbers, 2))
    by_hand = write_package(tmp_path / "b.xlsx", workbook_parts({"S": sheet_xml(data)}))
    # 0.5 settles what the mark is: alone, 1.234 in a text may be a thousand.
    in_text = write_csv(tmp_path, AMOUNT, [*(format(number, ".15g") for number in numbers), "0.5"])
    expected = [Decimal(format(number, ".15g")) for number in numbers]
    small = [number for number in numbers if 0 < abs(number) < 1e-4]
    # XlsxWriter writes 16 digits of the 17 that a double may have.
    files = [by_hand, *tables(tmp_path, AMOUNT, cells)[1:]]
    assert all(sent(file, AMOUNT) == expected for file in files)
    assert small or sent(in_text, AMOUNT) == [*expected, Decimal("0.5")]


def test_what_is_close_to_zero_is_told(tmp_path: Path) -> None:
    """What a formula leaves over where 0 is meant is sent as it is, and named."""
    file = workbook(tmp_path / "b.xlsx", {"S": [HEADERS, (1, None, -4.5474735088646412e-13)]})
    rows, notes = judged(file)
    assert rows[0].job is not None
    assert notes[0].startswith("amountDue (C2): -0.000000000000454747350886464 is sent")


def calculation(*, is_automatic: bool = True, flags: int = 0x20) -> bytes:
    """Return how a binary workbook is calculated ([MS-XLSB] 2.4.314, BrtCalcProp)."""
    return record(157, struct.pack("<IIIdIH", 191029, is_automatic, 100, 0.001, 1, flags))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", "sent"), (calculation(), "sent"), (calculation(flags=0x21), "refused"),
        (calculation(flags=0x30), "refused"), (calculation(is_automatic=False, flags=0x10), "refused"),
        (calculation(is_automatic=False, flags=0), "by hand"), (calculation(is_automatic=False), "sent"),
    ],
)  # fmt: skip
def test_a_binary_workbook_says_whether_its_results_are_out_of_date(tmp_path: Path, said: bytes, expected: str) -> None:
    """Results of formulas are refused then, and nothing else is."""
    formula = record(9, struct.pack("<IId", 2, 0, 110) + bytes(10))
    data = row_record(1) + b"".join(cell_record(column, header) for column, header in enumerate(HEADERS))
    data += row_record(2) + cell_record(0, 1) + formula + row_record(3) + cell_record(0, 2) + cell_record(2, 110)
    file = write_xlsb(tmp_path / "a.xlsb", {"S": data}, calculation=said)
    assert sent(file, AMOUNT) == ["stale-formula" if expected == "refused" else 110, 110]
    assert ("It is calculated by hand only: results of formulas in it may be out of date." in judged(file)[1]) == (
        expected == "by hand"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('calcId="1"', "sent"), ('fullCalcOnLoad="1"', "refused"), ('calcMode="manual" calcCompleted="0"', "refused"),
        ('calcMode="manual" calcOnSave="0"', "by hand"), ('calcMode="manual"', "sent"),
        ('calcCompleted="false" calcOnSave="0"', "refused"),
    ],
)  # fmt: skip
def test_a_workbook_says_whether_its_results_are_out_of_date(tmp_path: Path, said: str, expected: str) -> None:
    """Results of formulas are refused then, and nothing else is."""
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        sheet.write_row(1, 0, [1, None])
        sheet.write_formula(1, 2, "=D2*1.1", None, 110)
        sheet.write_row(2, 0, [2, None, 110])
    file = replaced(tmp_path / "a.xlsx", "xl/workbook.xml", b'calcId="124519" fullCalcOnLoad="1"', said.encode())
    assert sent(file, AMOUNT) == ["stale-formula" if expected == "refused" else 110, 110]
    assert ("It is calculated by hand only: results of formulas in it may be out of date." in judged(file)[1]) == (
        expected == "by hand"
    )


def replaced(path: Path, part: str, old: bytes, new: bytes) -> Path:
    """Change a part of a package."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[part]
    return write_package(path, {**parts, part: parts[part].replace(old, new)})
