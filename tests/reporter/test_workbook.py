"""reporter/workbook.py: the results workbook, read back by two other readers."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from python_calamine import CalamineWorkbook

from batch_updater.config.schema import InputSettings
from batch_updater.loader.table import open_table
from batch_updater.records import (
    AllowedList,
    AllowedValue,
    Columns,
    Invocation,
    MadeEdit,
    Outcome,
    OutcomeKind,
    ReportRow,
    Row,
    Stop,
    StopReason,
)
from tests.loader.staged import staged
from tests.reporter.made import COLUMNS, ENDPOINT, HEADERS, facts, invalid, row, updated, write

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

    from batch_updater.records import Cell


def sheet(path: Path, name: str) -> Worksheet:
    found: Worksheet = openpyxl.load_workbook(path)[name]
    return found


def values(path: Path, name: str) -> list[list[object]]:
    return [[cell.value for cell in line] for line in sheet(path, name).iter_rows()]


def test_the_edits_of_a_row_are_on_a_sheet_of_their_own(tmp_path: Path) -> None:
    """Who typed what when, and what the cell held; hostile text is text."""
    at = datetime(2026, 11, 29, 21, 5, 7, tzinfo=UTC)
    edits = (MadeEdit(1, 2, 0, 7, "=1+1", "ann", at), MadeEdit(4, 2, 0, "=1+1", "8", "<b>bob", at))
    path = tmp_path / "r.xlsx"
    write(path, [replace(updated(2, 1, "Pre"), edits=edits), updated(3, 1, "Pre")])
    assert values(path, "Edits") == [
        ["Row", "Column", "Old", "New", "Who", "When (UTC)"],
        [2, HEADERS[0], "7", "=1+1", "ann", "2026-11-29 21:05:07"],
        [2, HEADERS[0], "=1+1", "8", "<b>bob", "2026-11-29 21:05:07"],
    ]


def test_the_sheets_are_those_of_the_interface(tmp_path: Path) -> None:
    """A run has Summary, To fix, All rows, Allowed values and Settings; a check has no All rows."""
    path = tmp_path / "r.xlsx"
    write(path, [updated(2, 1, "Pre")])
    assert CalamineWorkbook.from_path(str(path)).sheet_names == [
        "Summary", "To fix", "All rows", "Allowed values", "Settings",
    ]  # fmt: skip
    write(path, [invalid(2, 1, "Pre")], facts=facts("check", learned=False))
    assert openpyxl.load_workbook(path).sheetnames == ["Summary", "To fix", "Settings"]


def test_to_fix_holds_every_row_that_needs_a_person_or_another_run(tmp_path: Path) -> None:
    """To fix has our four columns, then the input's own; updated rows are not there."""
    path = tmp_path / "r.xlsx"
    failed = ReportRow(
        row(4, 3, "Pre"), Outcome(4, OutcomeKind.FAILED, "No connection.", "Run again.", "no connection")
    )
    write(path, [updated(2, 1, "Pre"), invalid(3, 2, "Pre", "x", "Propsal"), failed])
    assert values(path, "To fix") == [
        ["Row", "Outcome", "What is wrong", "What to do", *HEADERS],
        [3, "invalid", "StageName (D3): 'Propsal' is not a stage that Nexus accepts.", "Did you mean 'Proposal'?",
         2, "Pre", "x", "Propsal", None, None, None],
        [4, "failed", "No connection.", "Run again.", 3, "Pre", None, None, None, None, None],
    ]  # fmt: skip


def test_all_rows_keeps_cells_as_they_were_and_says_what_became_of_them(tmp_path: Path) -> None:
    """All rows: row and outcome, its cells with their types, then status, message, attempts, time and seconds."""
    path = tmp_path / "r.xlsx"
    cells = ("00123", "Pre", "=1+1", "Proposal", Decimal("0.1"), date(2025, 3, 25), True)
    write(path, [updated(2, *cells)])
    header, line = values(path, "All rows")
    assert header == ["Row", "Outcome", *HEADERS, "HTTP status", "Message", "Attempts", "Sent at", "Seconds"]
    assert line == [
        2, "updated", "00123", "Pre", "=1+1", "Proposal", 0.1, datetime(2025, 3, 25), True,  # noqa: DTZ001
        200, None, 1, datetime(2026, 3, 1, 14, 2, 1), 0.25,  # noqa: DTZ001
    ]  # fmt: skip


def test_columns_of_all_rows_are_as_wide_as_what_is_in_them(tmp_path: Path) -> None:
    """Each by its own cells."""
    path = tmp_path / "r.xlsx"
    write(path, [updated(2, 1, "Pre", "A text that needs some room, more than others")])
    columns = sheet(path, "All rows").column_dimensions
    assert columns["E"].width > 40
    assert all(columns[letter].width < 15 for letter in "ABCD")


def test_the_summary_says_the_verdict_and_counts_that_add_up(tmp_path: Path) -> None:
    """The verdict comes first; the counts are followed by a total that the sheet itself adds up."""
    path = tmp_path / "r.xlsx"
    written = write(path, [updated(2), updated(3), invalid(4)])
    cells = {cell.value for line in sheet(path, "Summary").iter_rows() for cell in line}
    assert written.summary.verdict == "2 of 3 rows were updated. 1 needs you."
    assert {"2 of 3 rows were updated. 1 needs you.", "updated", "invalid", "D4 (row 4)", "ab" * 32} <= cells
    formulas = [cell for cell in cells if isinstance(cell, str) and cell.startswith("=")]
    assert len(formulas) == 1
    assert formulas[0].startswith("=SUM(")
    cached = openpyxl.load_workbook(path, data_only=True)["Summary"]
    assert 3 in {cell.value for line in cached.iter_rows() for cell in line}


@pytest.mark.parametrize(
    ("started", "said"),
    [
        ({"inbox": "/srv/in"}, "put it into the inbox, /srv/in: the next night sends just those rows."),
        (
            {"invocation": Invocation("changes.xlsx", "/etc/b u.yaml", None, (("LanguageId", "1"),))},
            "batch-updater run THIS-WORKBOOK --config '/etc/b u.yaml' --set LanguageId=1",
        ),
        (
            {"invocation": Invocation("changes.xlsx", "/home/me/config.yaml", None, (), is_default_config=True)},
            "just those rows: batch-updater run THIS-WORKBOOK",
        ),
        ({}, "run it as the file was run: it sends just those rows."),
    ],
)
def test_what_next_fits_how_the_run_was_started(tmp_path: Path, started: dict[str, Any], said: str) -> None:
    """By hand it is the command with its configuration and constants, by night the inbox."""
    path = tmp_path / "r.xlsx"
    write(path, [invalid(4)], facts=replace(facts(), **started))
    assert str(sheet(path, "Summary")["A2"].value).endswith(said)


def test_a_stop_is_said_only_where_rows_are_not_done(tmp_path: Path) -> None:
    """The Summary shows the reason of a stop, unless every row was done by then."""
    path = tmp_path / "r.xlsx"
    stop = Stop(StopReason.QUOTA, "The quota is used up.", "Run again tomorrow.")
    not_sent = ReportRow(row(3), Outcome(3, OutcomeKind.NOT_SENT, "No turn.", "Run again.", "no turn"))
    write(path, [updated(2), not_sent], facts=facts(stop=stop))
    assert "The quota is used up." in str(values(path, "Summary"))
    write(path, [updated(2)], facts=facts(stop=stop))
    assert "The quota is used up." not in str(values(path, "Summary"))


def test_faulty_cells_are_filled_and_carry_the_reason(tmp_path: Path) -> None:
    """The cell that is to blame has a colour and a comment with reason and remedy; the others have neither."""
    path = tmp_path / "r.xlsx"
    write(path, [invalid(3, 2, "Pre", "x", "Propsal")])
    to_fix = sheet(path, "To fix")
    faulty, fine = to_fix["H2"], to_fix["G2"]
    assert faulty.value == "Propsal"
    assert faulty.fill.fgColor.rgb == "FFFFD6D6"
    assert faulty.comment
    assert "Did you mean 'Proposal'?" in faulty.comment.text
    assert fine.comment is None
    assert fine.fill.fill_type is None


def test_drop_downs_offer_the_names_that_are_known(tmp_path: Path) -> None:
    """The stages that were learned and the types of the description can be chosen in the cells of To fix."""
    path = tmp_path / "r.xlsx"
    write(path, [invalid(3, 2, "Pre"), invalid(4, 3, "Pre")])
    validations = {str(v.sqref): v.formula1 for v in sheet(path, "To fix").data_validations.dataValidation}
    assert validations == {"F2:F3": '"Pre,Post"', "H2:H3": "'Allowed values'!$C$2:$C$3"}
    assert values(path, "Allowed values")[1:] == [
        ["StageName", "LanguageId 1", "Prospect", 1],
        ["StageName", "LanguageId 1", "Proposal", 3],
    ]


@pytest.mark.parametrize("identity", [2**53 + 1, 10**400])
def test_an_id_that_a_sheet_cannot_hold_as_a_number_is_text(tmp_path: Path, identity: int) -> None:
    """However large an id the API gives its names, the workbook is written, with every digit of it."""
    path = tmp_path / "r.xlsx"
    stages = AllowedList("StageName", (), (AllowedValue("Proposal", identity),))
    write(path, [updated(3, 2, "Pre")], facts=replace(facts(), allowed=(stages,)))
    assert values(path, "Allowed values")[1:] == [["StageName", "", "Proposal", str(identity)]]


def test_formats_keep_excel_from_damaging_what_is_typed(tmp_path: Path) -> None:
    """Columns of text and ids are text; a typed date becomes a date."""
    path = tmp_path / "r.xlsx"
    write(path, [invalid(3, 2, "Pre")])
    line = sheet(path, "To fix")[2]
    assert [cell.number_format for cell in line[4:10]] == ["@", "@", "@", "@", "General", "yyyy-mm-dd"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "http://evil.example", "#N/A", "mailto:x"])
def test_text_never_becomes_a_formula_or_a_link(tmp_path: Path, text: str) -> None:
    """Whatever a cell, a header or the API says, it stays text."""
    path = tmp_path / "r.xlsx"
    columns = Columns((text,), 0, {}, (text,))
    outcome = Outcome(2, OutcomeKind.REJECTED, text, text, text)
    write(path, [ReportRow(Row(2, (text,)), outcome)], columns=columns)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/sheet") and name != "xl/worksheets/sheet1.xml":
                xml = archive.read(name)
                assert b"<f>" not in xml
                assert b"<hyperlink" not in xml
                assert b't="e"' not in xml
    assert values(path, "To fix")[1][4] == text


def test_rows_beyond_a_sheet_continue_on_the_next(tmp_path: Path) -> None:
    """Where a sheet is full, All rows 2 continues, and no row is lost."""
    path = tmp_path / "r.xlsx"
    write(path, [updated(n, n) for n in range(2, 27)], rows_of_a_sheet=11)
    names = openpyxl.load_workbook(path).sheetnames
    assert names[2:5] == ["All rows", "All rows 2", "All rows 3"]
    rows = [line[0] for name in names[2:5] for line in values(path, name)[1:]]
    assert rows == list(range(2, 27))


def test_rows_for_which_to_fix_has_no_room_are_counted(tmp_path: Path) -> None:
    """Where To fix is full, the Summary says how many rows it lacks."""
    path = tmp_path / "r.xlsx"
    write(path, [invalid(n, n) for n in range(2, 27)], rows_of_a_sheet=11)
    assert len(values(path, "To fix")) == 11
    assert 'The sheet "To fix" is full: 15 more rows have no room.' in str(values(path, "Summary"))


def test_no_rows_still_make_a_workbook(tmp_path: Path) -> None:
    """A file without data rows gives a workbook that says so."""
    path = tmp_path / "r.xlsx"
    write(path, [])
    assert sheet(path, "Summary")["A1"].value == "There was nothing to do: the file has no data rows."


CELLS = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip),
    st.integers(-(10**17), 10**17),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).filter(lambda number: number != int(number)),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(repr(number))),
    st.dates(date(1890, 1, 1), date(2200, 1, 1)),
    st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.booleans(),
    st.sampled_from(["#N/A", "=A1", "_x0041_", "00123", " x ", "a\r\nb", "\x01", "1" * 40_000]),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(*[CELLS] * len(HEADERS)).filter(lambda cells: any(c is not None for c in cells)), max_size=5))
def test_what_comes_back_untouched_is_what_went_out_or_is_marked(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Cell, ...]]
) -> None:
    """Read again through To fix, every cell is the same value, or says that the sheet could not hold it."""
    path = tmp_path_factory.mktemp("r") / "r.xlsx"
    outcome = OutcomeKind.REJECTED
    write(path, [ReportRow(Row(n, cells), Outcome(n, outcome, "no")) for n, cells in enumerate(rows, 2)])
    table = open_table(path, ENDPOINT, InputSettings(), name="r.xlsx")
    back = [judged.row.cells for judged in staged(table).rows]
    assert len(back) == len(rows)
    for came, went in zip(back, rows, strict=True):
        for got, cell in zip(came, went, strict=True):
            marked = isinstance(got, str) and got.startswith("[not exact] ")
            same_day = isinstance(got, datetime) and not isinstance(cell, datetime) and got.date() == cell
            assert marked or same_day or got == cell, (cell, got)
            if isinstance(cell, int) and abs(cell) <= 10**15:
                assert not marked


def test_a_to_fix_sheet_is_read_without_being_named(tmp_path: Path) -> None:
    """The workbook is recognised by its mark: To fix is read, and our four columns are left out."""
    path = tmp_path / "r.xlsx"
    write(path, [updated(2, 1, "Pre"), invalid(3, 2, "Pre", "x", "Proposal")])
    table = open_table(path, ENDPOINT, InputSettings(sheet="Changes", header_row=7), name="r.xlsx")
    assert table.sheet == "To fix"
    assert table.columns.headers == HEADERS
    (judged,) = staged(table).rows
    assert judged.job
    assert dict(judged.job.values) == {
        "OpportunityId": 2, "opportunityType": "Pre", "OpportunityName": "x", "StageName": "Proposal",
    }  # fmt: skip
    assert COLUMNS.headers == table.columns.headers
