from __future__ import annotations

import re
import tempfile
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batch_updater.errors import ConfigError, InputError
from batch_updater.loader.table import open_table
from batch_updater.questions import Answers
from batch_updater.records import NOT_EXACT_MARK, TO_FIX, TO_FIX_COLUMNS, CellError, Problem
from tests.data.make_data import write_package
from tests.loader.described import codes, csv_text, endpoint, judged, settings, table_of, workbook
from tests.loader.staged import staged

if TYPE_CHECKING:
    from batch_updater.records import Job

HEADERS = ("itemId", "label", "amountDue", "count", "dueDay")


def test_a_good_row_becomes_a_job(tmp_path: Path) -> None:
    """Values are typed, blanks are left out, and the row number is Excel's."""
    (row,) = judged(table_of(tmp_path, "itemId,itemKind,label,amountDue,dueDay\n\n7,large,,1.50,2025-04-03\n"))
    assert row.job is not None
    assert row.row.number == 3
    assert row.row.cells == ("7", "large", None, "1.50", "2025-04-03")
    assert row.job.values == {
        "itemId": 7, "itemKind": "Large", "amountDue": Decimal("1.50"), "dueDay": date(2025, 4, 3),
    }  # fmt: skip
    assert row.job.target == "itemId=7&itemKind=Large"


def test_all_problems_of_a_row_are_found_at_once(tmp_path: Path) -> None:
    """One look at a row finds every faulty cell, with its address, value, reason and remedy."""
    table = table_of(tmp_path, "itemId,amountDue,dueDay,Note\nx,1.23E+05,31/02/2025,#N/A\n,,,\n1,,,\n,5,,\n")
    rows = judged(table)
    assert codes(table) == {
        2: [("itemId", "not-a-number"), ("amountDue", "may-be-damaged"), ("dueDay", "no-such-date")],
        4: [(None, "nothing-to-update")],
        5: [("itemId", "missing")],
    }
    assert rows[0].problems[0] == Problem(
        2, "itemId", "not-a-number", "x", "'x' is not a whole number.", "Type the digits alone, such as 1234."
    )
    assert [table.columns.cell(problem.row, problem.field) for problem in rows[0].problems] == ["A2", "B2", "C2"]
    assert all((row.job is None) is bool(row.problems) for row in rows)


def test_the_review_counts_what_will_be_sent(tmp_path: Path) -> None:
    """The review knows rows, good rows, causes, and which fields are sent and cleared in how many."""
    table = table_of(tmp_path, "itemId,label,count\nx,a,\n1,a,5\n2,#CLEAR,\ny,b,\n3,,1\n")
    review = staged(table).input
    assert (review.rows, review.good, review.waiting) == (5, 3, 0)
    assert dict(review.sent) == {"itemId": 3, "label": 2, "count": 2}
    assert dict(review.cleared) == {"label": 1}
    first = staged(table).first_job
    assert first is not None
    assert first.row == 3
    (cause,) = review.causes
    assert (cause.text, cause.count, cause.example_row, cause.example_cell) == ("itemId: not a number", 2, 2, "A2")


def test_a_record_that_occurs_twice_is_refused_and_each_row_names_the_other(tmp_path: Path) -> None:
    """Two rows for one record contradict each other, also if one has further problems or leaves out the default."""
    table = table_of(tmp_path, "itemId,itemKind,label\n1,Small,a\n2,,b\n1,,c\n01,Large,d\n2,Small,\n")
    rows = judged(table)
    assert codes(table) == {
        2: [("itemId", "duplicate-target")],
        3: [("itemId", "duplicate-target")],
        4: [("itemId", "duplicate-target")],
        5: [],
        6: [(None, "nothing-to-update"), ("itemId", "duplicate-target")],
    }
    assert rows[0].problems[0].reason == "The row updates the same item as row 4."
    review = staged(table).input
    assert review.good == 1
    first = staged(table).first_job
    assert first is not None
    assert first.row == 5
    assert dict(review.sent) == {"itemId": 1, "itemKind": 1, "label": 1}


def test_many_rows_of_one_record_name_the_first_few(tmp_path: Path) -> None:
    """A problem stays readable however often the record occurs."""
    table = table_of(tmp_path, "itemId,label\n" + "1,a\n" * 9)
    assert judged(table)[8].problems[0].reason == "The row updates the same item as rows 2, 3, 4 and more."
    assert judged(table)[0].problems[0].reason == "The row updates the same item as rows 3, 4, 5 and more."


def test_in_order_a_row_waits_for_a_faulty_one_before_it(tmp_path: Path) -> None:
    """An older value never overtakes a newer one: after a faulty row the later ones of its record wait."""
    table = table_of(tmp_path, "itemId,count\n1,1\n1,x\n1,3\n2,x\n3,1\n3,2\n", duplicates="in_order")
    review = staged(table).input
    assert (review.good, review.waiting) == (3, 1)
    assert [(row.row.number, row.waits_for) for row in judged(table) if row.job] == [
        (2, None), (4, 3), (6, None), (7, None),
    ]  # fmt: skip


def test_evidence_in_the_column_is_named_but_never_decides(tmp_path: Path) -> None:
    """An ambiguous date stays a problem; the message points to a later row that shows the order."""
    table = table_of(tmp_path, "itemId,dueDay\n1,03/04/2025\n2,25/03/2025\n")
    rows = judged(table)
    assert codes(table)[2] == [("dueDay", "ambiguous-date")]
    assert "This column has 25/03/2025 in row 3" in rows[0].problems[0].remedy
    assert "add --date-order DMY (or set input.date_order)" in rows[0].problems[0].remedy
    assert rows[0].problems[0].remedy in staged(table).input.causes[0].example
    mixed = table_of(tmp_path, "itemId,dueDay\n1,03/04/2025\n2,25/03/2025\n3,03/25/2025\n")
    assert "mixes both orders" in judged(mixed)[0].problems[0].remedy


@pytest.mark.parametrize(("mark", "other", "thousand"), [(".", "1.234,50", "2.000"), (",", "1,234.50", "-2,000 EUR")])
def test_a_number_that_may_be_a_thousand_is_refused_where_the_file_has_the_other_mark(
    tmp_path: Path, mark: str, other: str, thousand: str
) -> None:
    """2.000 is 2 in a file without other marks; beside 1.234,50, in whatever row, it has two readings."""
    rows = [("itemId", "amountDue"), (1, thousand), (2, f"5{mark}5"), (3, f"20{mark}00")]
    plain = table_of(tmp_path, csv_text(rows), decimal=mark)
    assert [row.job is not None for row in staged(plain).rows] == [True, True, True]
    mixed = table_of(tmp_path, csv_text([*rows, (4, other)]), decimal=mark)
    first, second, third, last = staged(mixed).rows
    assert staged(mixed).input.good == 2
    assert second.job
    assert third.job
    assert [problem.code for problem in last.problems] == ["other-decimal-mark"]
    (problem,) = first.problems
    assert problem.code == "ambiguous-number"
    assert "2000" in problem.reason
    assert "Row 5" in problem.remedy


def test_constants_fill_every_row_and_are_checked_once(tmp_path: Path) -> None:
    """A constant is read as a cell would be; a wrong one ends the command."""
    constants = {"itemKind": "large", "dueDay": "2025-04-03"}
    (row,) = judged(table_of(tmp_path, "itemId\n7\n", constants=constants))
    assert row.job is not None
    assert row.job.values == {"itemKind": "Large", "dueDay": date(2025, 4, 3), "itemId": 7}
    for name, value in {"itemKind": "Huge", "itmKind": "Small", "label": " ", "dueDay": "03/04/2025"}.items():
        with pytest.raises(ConfigError, match=name):
            table_of(tmp_path, "itemId,count\n7,1\n", constants={name: value})


@pytest.mark.parametrize("row", ["1,a", "1,a,2,3", "1,a,2,,x", "1"])
def test_a_csv_row_of_another_length_than_the_header_is_refused(tmp_path: Path, row: str) -> None:
    """Values of a row with too few or too many cells may be under the wrong headers."""
    table = table_of(tmp_path, f"itemId,label,count\n1,a,2\n{row}\n9,a,2,,\n")
    assert codes(table)[3] == [(None, "ragged-row")]
    assert codes(table)[2] == codes(table)[4] == []


def test_a_row_of_the_wrong_length_comes_back_as_one(tmp_path: Path) -> None:
    """In a results workbook every row is as wide as the others; the row's own cells say that it was not."""
    for row in ("1,a", "1,a,2,3", "1"):
        table = table_of(tmp_path, f"itemId,label,count\n{row}\n")
        (kept,) = judged(table)
        headers = [*TO_FIX_COLUMNS, *table.columns.headers]
        cells = [NOT_EXACT_MARK + cell.text if isinstance(cell, CellError) else cell for cell in kept.row.cells]
        path = workbook(
            tmp_path / "r.xlsx", {TO_FIX: [headers, [2, "invalid", "", "", *cells]]}, batch_updater="results"
        )
        assert codes(open_table(path, endpoint(), settings(), name="r.xlsx")) == {2: [(None, "ragged-row")]}


def test_a_sheet_may_hold_cells_beside_the_table(tmp_path: Path) -> None:
    """Cells without a header are carried into the results, and are no fault of a row that can be sent."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId", "label"], [1, "a", None, "note"], [2, "b"]]})
    table = open_table(path, endpoint(), settings(), name="a.xlsx")
    rows = judged(table)
    assert table.columns.headers == ("itemId", "label", "", "")
    assert [row.row.cells for row in rows] == [(1, "a", None, "note"), (2, "b", None, None)]
    assert all(row.job for row in rows)


def test_a_returned_workbook_is_read_without_our_columns(tmp_path: Path) -> None:
    """To fix is read by itself; its first four columns are ours, and addresses are those of the sheet."""
    rows: list[list[object]] = [
        [*TO_FIX_COLUMNS, "itemId", "label", "count"],
        [14, "invalid", "wrong", "repair", 1, "a", "x"],
        [15, "invalid", "wrong", "repair", 2, f"{NOT_EXACT_MARK}1", 5],
        [16, "invalid", "wrong", "repair", None, None, None],
    ]
    path = workbook(tmp_path / "r.xlsx", {"Summary": [["x"]], TO_FIX: rows}, batch_updater="results")
    table = open_table(path, endpoint(), settings(sheet="Changes", header_row=3), name="r.xlsx")
    assert table.sheet == TO_FIX
    assert table.columns.headers == ("itemId", "label", "count")
    assert codes(table) == {2: [("count", "not-a-number")], 3: [("label", "not-exact")]}
    assert judged(table)[0].row.cells == (1, "a", "x")
    assert table.columns.cell(2, "count") == "G2"


def test_an_empty_sheet_to_fix_has_nothing_to_do(tmp_path: Path) -> None:
    """A results workbook in which everything went well can be run again: it has no rows."""
    path = workbook(
        tmp_path / "r.xlsx", {"Summary": [["x"]], TO_FIX: [[*TO_FIX_COLUMNS, *HEADERS]]}, batch_updater="results"
    )
    table = staged(open_table(path, endpoint(), settings(), name="r.xlsx"))
    assert (table.input.rows, table.input.good, table.first_job) == (0, 0, None)


def test_a_template_needs_no_mapping(tmp_path: Path) -> None:
    """The headers that other files have are not missed in a template of ours."""
    path = workbook(tmp_path / "t.xlsx", {"Data": [HEADERS, [1, "a"]]}, batch_updater="template")
    (row,) = judged(open_table(path, endpoint(), settings(columns={"Deal": "label"}), name="t.xlsx"))
    assert row.job is not None


def test_columns_that_are_not_sent_and_hidden_rows_are_said(tmp_path: Path) -> None:
    """Nothing is left out in silence, and nothing hidden is read in silence."""
    path = workbook(tmp_path / "a.xlsx", {"S": [["itemId", "label", "Owner"], [1, "a", "x"], [2, "b", "y"]]})
    book = openpyxl.load_workbook(path)
    book.worksheets[0].row_dimensions[3].hidden = True
    book.save(path)
    table = open_table(path, endpoint(), settings(), name="a.xlsx")
    assert [column.field for column in table.columns.mapping] == ["itemId", "label", None]
    assert staged(table).input.good == 2
    note = "1 row is hidden in the sheet (filtered, or by hand)"
    told = f"{note} and read like the others: row 3. To leave it out, add --visible-only."
    assert table.notes[-1] == told
    visible = open_table(path, endpoint(), settings(), name="a.xlsx", answers=Answers(hidden_rows="leave out"))
    assert staged(visible).input.good == 1
    assert visible.notes[-1] == "1 row hidden in the sheet (filtered, or by hand) is left out, as you said: row 3."


def test_the_header_row_can_be_configured(tmp_path: Path) -> None:
    """Title lines above the header row are skipped as the configuration says."""
    table = table_of(tmp_path, "Our, list\n\nitemId,label\n1,a\n", header_row=3)
    assert [row.row.number for row in judged(table)] == [4]
    with pytest.raises(InputError, match="nothing in row 2, where"):
        table_of(tmp_path, "Our, list\n\nitemId,label\n1,a\n", header_row=2)


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\r\ufffe\uffff"), max_size=8)
CELLS = {
    "itemId": st.integers(1, 10**12) | st.none(),
    "label": TEXTS | st.integers(-(10**14), 10**14) | st.none(),
    "amountDue": st.integers(-(10**12), 10**12)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)
    | st.none(),
    "count": st.integers(-(10**14), 10**14) | st.none(),
    "dueDay": st.dates(date(1900, 3, 1), date(2100, 1, 1)) | st.none(),
}


def as_text(cell: object) -> str:
    return "" if cell is None else str(cell)


def by_openpyxl(rows: list[tuple[object, ...]], path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row_number, row in enumerate(rows, start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(row_number, column)
            cell.value = value  # type: ignore[assignment]
            if isinstance(value, str):
                cell.data_type = "s"
    book.save(path)


def by_xlsxwriter(rows: list[tuple[object, ...]], path: Path) -> None:
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for row_number, row in enumerate(rows):
        for column, value in enumerate(row):
            if isinstance(value, str):
                sheet.write_string(row_number, column, value)
            elif isinstance(value, date):
                sheet.write_datetime(row_number, column, value, day)
            elif value is not None:
                sheet.write_number(row_number, column, value)
    book.close()


def by_csv(rows: list[tuple[object, ...]], path: Path) -> None:
    path.write_text(csv_text([list(map(as_text, row)) for row in rows]), encoding="utf-8", newline="")


def verdicts(path: Path) -> list[tuple[int, Job | None, list[tuple[str | None, str]]]]:
    table = open_table(path, endpoint(), settings(), name=path.name)
    return [
        (row.row.number, row.job, [(problem.field, problem.code) for problem in row.problems]) for row in judged(table)
    ]


@hypothesis_settings(max_examples=40)
@given(st.lists(st.tuples(*(CELLS[name] for name in HEADERS)), max_size=8))
def test_any_table_gives_the_same_jobs_as_csv_and_as_xlsx(rows: list[tuple[object, ...]]) -> None:
    """The format of the file makes no difference, nor does the program that wrote it."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for ending, write in (("csv", by_csv), ("1.xlsx", by_openpyxl), ("2.xlsx", by_xlsxwriter)):
            path = Path(folder, f"items.{ending}")
            write([HEADERS, *rows], path)
            found.append(verdicts(path))
    assert found[0] == found[1] == found[2]


@hypothesis_settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["1", "x", ""])), max_size=12), st.booleans())
def test_counts_and_rows_agree(rows: list[tuple[int, str]], in_order: bool) -> None:
    """What is counted of a file is what its rows say."""
    with tempfile.TemporaryDirectory() as folder:
        content = csv_text([("itemId", "count"), *rows])
        table = table_of(Path(folder), content, duplicates="in_order" if in_order else "reject")
        review, first, first_job = staged(table)
    ready = [row.job for row in first if row.job and row.waits_for is None]
    assert review.rows == len(first)
    assert review.good == len(ready)
    assert first_job == (ready[0] if ready else None)
    assert review.waiting == sum(row.waits_for is not None for row in first)
    assert review.sent.get("count", 0) == sum("count" in job.values for job in ready)
    for cause in review.causes:
        having = [row for row in first if any(problem.cause(table.columns) == cause.text for problem in row.problems)]
        assert (cause.count, cause.example_row) == (len(having), having[0].row.number)


def test_a_column_without_a_header_is_named_if_it_holds_anything(tmp_path: Path) -> None:
    """What is not sent is named, with the column's letter where it has no name."""
    table = table_of(tmp_path, "itemId,,label,,count\n1,5000,a,,2\n")
    staged(table)
    assert table.notes == ("Column B has no header and is not sent.",)
    table = table_of(tmp_path, "itemId,,label,,count\n1,5000,a,x,2\n")
    staged(table)
    assert table.notes == ("Columns B, D have no header and are not sent.",)


def test_a_text_written_for_excel_alone_is_refused(tmp_path: Path) -> None:
    """It would arrive as a formula; what is meant is probably the text in it."""
    assert codes(table_of(tmp_path, 'itemId,label\n1,"=""00123"""\n2,=A1\n')) == {
        2: [("label", "formula-as-text")],
        3: [],
    }


def test_a_row_of_another_length_names_what_separates_its_cells(tmp_path: Path) -> None:
    """A wrong delimiter, and a line in quotation marks as a whole, can be told from the message."""
    table = table_of(tmp_path, 'itemId;label;count\n1;a;1\n2;b;2,5;x\n"3;""b; c"";3"\n4;d;4\n5;e;5\n')
    reasons = [row.problems[0].reason for row in judged(table) if row.problems]
    assert reasons[0].startswith("The row has 4 cells, separated by semicolons, but the header row has 3")
    assert reasons[1].startswith("The row is one cell, because its whole line is in quotation marks")


@pytest.mark.parametrize(("last", "is_full"), [(65_536, True), (65_535, False), (1_048_576, True), (1_048_575, False)])
def test_a_sheet_that_is_full_to_its_last_row_is_told(tmp_path: Path, last: int, is_full: bool) -> None:
    """What was saved from a longer table was cut off there, in whichever format it arrives."""
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["itemId", "label"])
        sheet.write_row(last - 1, 0, [1, "x"])
    table = open_table(tmp_path / "a.xlsx", endpoint(), settings(), name="a.xlsx")
    assert [row.row.number for row in judged(table)] == [last]
    assert any("may have been cut off" in note for note in table.notes) == is_full


def test_a_date_before_1900_is_refused_as_its_text_is(tmp_path: Path) -> None:
    """A file that holds dates as text of its own type may hold days that no spreadsheet program shows."""
    file = workbook(tmp_path / "a.xlsx", {"S": [["itemId", "label", "dueDay"], [1, "a", "x"], [2, "b", "x"]]})
    with zipfile.ZipFile(file) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    sheet = bytes(parts["xl/worksheets/sheet1.xml"])  # type: ignore[arg-type]
    for row, day in ((2, b"1899-12-31"), (3, b"1900-01-01")):
        sheet = re.sub(rb'<c r="C%d"[^>]*>.*?</c>' % row, b'<c r="C%d" t="d"><v>%s</v></c>' % (row, day), sheet)
    write_package(file, {**parts, "xl/worksheets/sheet1.xml": sheet})
    table = open_table(file, endpoint(), settings(), name="a.xlsx")
    first, second = judged(table)
    assert [problem.code for problem in first.problems] == ["no-such-date"]
    assert second.job is not None
    assert second.job.values["dueDay"] == date(1900, 1, 1)


def test_a_row_that_is_far_too_long_stays_so_when_the_whole_file_is_judged(tmp_path: Path) -> None:
    """However many blank cells come before the one that is too much."""
    long = "1,a" + "," * 150 + "x"
    rows = judged(table_of(tmp_path, f'itemId,label,amountDue\n{long}\n2,b,2.000\n3,c,"1.234,50"\n'))
    assert [problem.code for problem in rows[0].problems] == ["ragged-row"]
    assert "152 cells" in rows[0].problems[0].reason
