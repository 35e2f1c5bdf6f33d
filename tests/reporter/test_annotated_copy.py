"""The annotated copy of a person's own workbook: what it keeps, what it says, and that values stay what they are."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from msgspec.structs import replace
from openpyxl.comments import Comment
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from batch_updater.config.schema import InputSettings
from batch_updater.errors import ResultsError
from batch_updater.files.writing import is_untouched_of_ours
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import ANNOTATION_COLUMNS, Columns, MadeEdit, Outcome, OutcomeKind, ReportRow
from batch_updater.reporter.annotated_copy import write_annotated
from batch_updater.reporter.copy_losses import Annotatable, examine
from tests.data.make_data import FOLDER
from tests.reporter.made import COLUMNS, HEADERS, invalid, row, updated

YELLOW = "FFFFFF00"


def test_everything_of_the_workbook_is_there_and_the_rows_have_their_outcomes(tmp_path: Path) -> None:
    source = rich(tmp_path)
    before = source.read_bytes()
    copied = annotated(source, [updated(2), invalid(3), updated(4)])
    old, new = (openpyxl.load_workbook(path, rich_text=True) for path in (source, copied))
    assert source.read_bytes() == before
    assert new.sheetnames == ["Changes", "Other"]
    sheet, other = new["Changes"], old["Changes"]
    for cells in other.iter_rows(max_col=7):
        for cell in cells:
            now = sheet[cell.coordinate]
            assert now.value == cell.value
            assert now.number_format == cell.number_format
            assert repr(now.font) == repr(cell.font)
            assert (repr(now.fill) == repr(cell.fill)) is (cell.coordinate != "D3")
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == "A1:G4"
    assert sheet.column_dimensions["C"].width == other.column_dimensions["C"].width
    assert sheet.row_dimensions[3].hidden
    assert str(sheet.merged_cells) == str(other.merged_cells)
    assert str(sheet.data_validations.dataValidation[0].sqref) == "D2:D4"
    assert [str(area.sqref) for area in sheet.conditional_formatting] == ["E2:E4"]
    assert sheet["A2"].comment.text == "Ask Ada"
    assert sheet["C2"].hyperlink.target == "https://example.com/"
    assert new["Other"]["A1"].value == "kept"
    assert [[cell.value for cell in cells] for cells in sheet["H1:J4"]] == [
        list(ANNOTATION_COLUMNS),
        ["updated", None, None],
        ["invalid", "StageName (D3): 'Propsal' is not a stage that Nexus accepts.", "Did you mean 'Proposal'?"],
        ["updated", None, None],
    ]
    assert repr(sheet["H1"].font) == repr(sheet["G1"].font)
    assert repr(sheet["H1"].fill) == repr(sheet["G1"].fill)
    assert sheet["D3"].fill.fgColor.rgb == "FFFFD6D6"
    assert "'Propsal' is not a stage that Nexus accepts. Did you mean 'Proposal'?" in sheet["D3"].comment.text
    assert is_untouched_of_ours(copied)


def test_a_comment_of_a_person_is_kept_above_the_reason(tmp_path: Path) -> None:
    source = rich(tmp_path, comment_at="D3")
    text = openpyxl.load_workbook(annotated(source, [invalid(3)]))["Changes"]["D3"].comment.text
    assert text.startswith("Ask Ada\n\nbatch-updater: 'Propsal' is not")


def test_a_row_with_edits_says_so_and_the_own_cells_stay(tmp_path: Path) -> None:
    """The first cell before them and the last text, for each cell."""
    at, source = datetime(2026, 11, 29, tzinfo=UTC), rich(tmp_path)
    edits = (
        MadeEdit(1, 2, 3, "Propsal", "Propose", "ann", at), MadeEdit(2, 2, 3, "Propose", "Proposal", "ann", at),
        MadeEdit(3, 2, 2, Decimal("1.50"), "", "bob", at),
    )  # fmt: skip
    sheet = openpyxl.load_workbook(annotated(source, [replace(updated(2), edits=edits)]))["Changes"]
    assert sheet["I2"].value == "Changed on the page: C2 to '' from '1.50', D2 to 'Proposal' from 'Propsal'."
    assert sheet["D2"].value == openpyxl.load_workbook(source)["Changes"]["D2"].value


def test_annotating_an_annotated_copy_replaces_what_was_added(tmp_path: Path) -> None:
    source = rich(tmp_path, comment_at="D3", fill_at="D3")
    first = annotated(source, [updated(2), invalid(3), updated(4)])
    columns = Columns((*HEADERS, *ANNOTATION_COLUMNS), 0, COLUMNS.of_field, ())
    second = annotated(first, [updated(2), updated(3), invalid(4)], columns, tmp_path / "second.xlsx")
    sheet, old = openpyxl.load_workbook(second)["Changes"], openpyxl.load_workbook(source)["Changes"]
    assert [cell.value for cell in sheet[1]] == [*HEADERS, *ANNOTATION_COLUMNS]
    assert [sheet.cell(number, 8).value for number in (2, 3, 4)] == ["updated", "updated", "invalid"]
    assert sheet["I3"].value is None
    assert sheet["D3"].comment.text == "Ask Ada"
    assert sheet["D3"].fill.fgColor == old["D3"].fill.fgColor
    assert sheet["D4"].comment.text.count("batch-updater: ") == 1


def test_the_columns_have_place_beside_those_that_share_a_width(tmp_path: Path) -> None:
    source = rich(tmp_path, shared_width=True)
    copied = annotated(source, [updated(2)])
    with zipfile.ZipFile(copied) as archive:
        columns = re.findall(r"<col [^>]*>", archive.read("xl/worksheets/sheet1.xml").decode())
    places = [tuple(int(re.search(rf'{end}="(\d+)"', one)[1]) for end in ("min", "max")) for one in columns]  # type: ignore[index]
    assert (5, 7) in places
    assert (11, 16_384) in places
    assert all(left[1] < right[0] for left, right in pairwise(places))
    assert not openpyxl.load_workbook(copied)["Changes"].column_dimensions["H"].hidden


def test_numbers_dates_and_texts_are_read_from_the_copy_as_from_the_original(tmp_path: Path) -> None:
    cells = "".join(f'<c r="{column}2"{cell}</c>' for column, cell in zip("ABCDEFGHI", EXACT, strict=True))
    source = tmp_path / "exact.xlsx"
    source.write_bytes(
        with_sheet(FOLDER / "days-since-1904.xlsx", f"<row r='1'><c t='str'><v>a</v></c></row><row>{cells}</row>")
    )
    copied = annotated(source, [updated(2)], Columns(("a", *[""] * 8), 0, {}, ()))
    assert read(copied)[1][:9] == read(source)[1]


EXACT = (
    "><v>0.30000000000000004</v>",
    "><v>9007199254740993</v>",
    "><v>123456789012345678</v>",
    ' s="1"><v>-1</v>',
    ' s="1"><v>45000.12345678912</v>',
    ' t="inlineStr"><is><t>_x0041_&#13;</t></is>',
    ' t="inlineStr"><is><t>=1+1</t></is>',
    ' t="e"><v>#N/A</v>',
    ' t="b"><v>1</v>',
)  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "#N/A", "_x0041_"])
def test_a_text_of_the_api_stays_a_text(tmp_path: Path, text: str) -> None:
    outcome = Outcome(2, OutcomeKind.REJECTED, text, text)
    copied = annotated(rich(tmp_path), [ReportRow(row(2), outcome)])
    assert read(copied)[1][8:10] == [text, text]
    cell = openpyxl.load_workbook(copied)["Changes"]["I2"]
    assert cell.data_type == "s"
    assert cell.quotePrefix


def test_macros_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "macros.xlsm"
    with xlsxwriter.Workbook(str(source)) as book:
        book.add_vba_project(io.BytesIO(b"macros"), is_stream=True)
        sheet = book.add_worksheet("Changes")
        sheet.write_row(0, 0, HEADERS)
        sheet.write_comment(1, 0, "Ask Ada")
    assert examine(source) == Annotatable(".xlsm")
    copied = annotated(source, [invalid(2)], target=tmp_path / "copy.xlsm")
    with zipfile.ZipFile(copied) as archive:
        assert archive.read("xl/vbaProject.bin") == b"macros"
        assert b"macroEnabled" in archive.read("[Content_Types].xml")
        assert all(count == 1 for count in Counter(archive.namelist()).values())
    sheet = openpyxl.load_workbook(copied)["Changes"]
    assert [bool(sheet[place].comment) for place in ("A2", "D2")] == [True, True]
    assert read(copied)[1][7] == "invalid"


def test_an_xlsm_without_macros_becomes_an_xlsx(tmp_path: Path) -> None:
    assert examine(FOLDER / "macros.xlsm") == Annotatable(".xlsx")
    copied = annotated(FOLDER / "macros.xlsm", [], Columns(("itemId",), 0, {}, ()), tmp_path / "copy.xlsx")
    assert open_source(copied, InputSettings(), name="copy.xlsx").sheets


def test_a_faulty_cell_in_a_merged_area_is_marked_where_the_area_shows_its_value(tmp_path: Path) -> None:
    copied = annotated(rich(tmp_path), [invalid(4, field="OpportunityName")])
    sheet = openpyxl.load_workbook(copied)["Changes"]
    assert "C3:C4" in str(sheet.merged_cells)
    assert sheet["C3"].comment.text.startswith("batch-updater: ")


def test_formulas_are_calculated_when_the_copy_is_opened(tmp_path: Path) -> None:
    source = tmp_path / "formulas.xlsx"
    book: Any = openpyxl.Workbook()
    book.active.append(["a", "=1+1"])
    book.save(source)
    book = openpyxl.load_workbook(annotated(source, [], Columns(("a",), 0, {}, ())))
    assert book.calculation.fullCalcOnLoad
    assert book["Sheet"]["B1"].value == "=1+1"


def test_a_file_of_another_is_never_replaced_and_an_own_copy_is(tmp_path: Path) -> None:
    source, target = rich(tmp_path), tmp_path / "copy.xlsx"
    target.write_bytes(b"of another")
    assert annotated(source, [updated(2)]) == tmp_path / "copy (2).xlsx"
    assert target.read_bytes() == b"of another"
    target.unlink()
    assert annotated(source, [updated(2)]) == target == annotated(source, [updated(2)])


def test_a_workbook_that_openpyxl_does_not_understand_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(with_sheet(FOLDER / "days-since-1904.xlsx", '<row r="1"><c r="A1" s="999"><v>1</v></c></row>'))
    with pytest.raises(ResultsError, match="openpyxl"):
        annotated(broken, [])


def annotated(
    source: Path,
    rows: list[ReportRow],
    columns: Columns = COLUMNS,
    target: Path | None = None,
) -> Path:
    book = open_source(source, InputSettings(), name=source.name)
    book.close()
    return write_annotated(source, target or source.with_name("copy.xlsx"), book.sheets[0].name or "", columns, rows)


def rich(folder: Path, *, comment_at: str = "A2", fill_at: str = "B2", shared_width: bool = False) -> Path:
    """Make a workbook with what people put into theirs."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "Changes"
    sheet.append(HEADERS)
    for number in (2, 3, 4):
        sheet.append([number, "Presales", "Acme", "Propsal", 12.5, 46_000, "Ada"])
        sheet.cell(number, 6).number_format = "dd.mm.yyyy"
        sheet.cell(number, 5).number_format = '#,##0.00 "EUR"'
    for cell in sheet[1]:
        cell.font, cell.fill = Font(bold=True, color="FFFFFFFF"), PatternFill("solid", fgColor="FF203040")
    sheet[fill_at].fill = PatternFill("solid", fgColor=YELLOW)
    sheet[comment_at].comment = Comment("Ask Ada", "Bob")
    sheet["C2"].hyperlink = "https://example.com/"
    sheet.merge_cells("C3:C4")
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = "A1:G4"
    sheet.column_dimensions["C"].width = 33
    sheet.row_dimensions[3].hidden = True
    if shared_width:
        wide = sheet.column_dimensions["E"]
        wide.min, wide.max, wide.width, wide.hidden = 5, 16_384, 3, True
    validation = DataValidation(type="list", formula1='"Prospect,Proposal"')
    validation.add("D2:D4")
    sheet.add_data_validation(validation)
    sheet.conditional_formatting.add("E2:E4", Rule("cellIs", operator="greaterThan", formula=["5"]))
    book.create_sheet("Other")["A1"] = "kept"
    path = folder / "rich.xlsx"
    book.save(path)
    return path


def with_sheet(path: Path, rows: str) -> bytes:
    """Return a workbook whose first sheet has other rows."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("xl/worksheets/"):
                content = re.sub(
                    rb"<sheetData>.*</sheetData>", f"<sheetData>{rows}</sheetData>".encode(), content, flags=re.DOTALL
                )
            new.writestr(name, content)
    return packed.getvalue()


def read(path: Path) -> list[list[object]]:
    source = open_source(path, InputSettings(), name=path.name)
    try:
        return [list(one.cells) for one in source.rows(0)]
    finally:
        source.close()
