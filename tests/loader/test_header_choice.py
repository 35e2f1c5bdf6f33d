"""Which sheet and which row hold the headers: what fits is chosen or named, never something else in silence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.errors import InputError
from batch_updater.records import ANNOTATION_COLUMNS
from tests.loader.described import workbook
from tests.loader.header_files import FORMATS, offered, opened, write
from tests.loader.staged import staged

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE: list[list[object]] = [["OpportunityId", "opportunityType", "StageName"], [841, "Pre", "Qualified"]]
READ_ME: list[list[object]] = [["Fill in the sheet Changes"], ["and send it"]]
LISTS: list[list[object]] = [["Stage"], ["Qualified"]]
NOTES: list[list[object]] = [["Exported", "2026-03-25"], ["By", "Ada"]]


def refused(path: Path, **given: object) -> InputError:
    with pytest.raises(InputError) as raised:
        opened(path, **given)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells which files are open")
def test_a_file_that_is_refused_is_not_held_open(tmp_path: Path) -> None:
    """Its owner can move or replace it at once, even while the error is being handled."""
    path = workbook(tmp_path / "a.xlsx", {"January": TABLE, "February": TABLE})
    error = refused(path)
    open_files = {entry.resolve() for entry in Path("/proc/self/fd").iterdir()}
    assert error.__traceback__
    assert path.resolve() not in open_files


@pytest.mark.parametrize(
    "others",
    [{"Read me": READ_ME, "Lists": LISTS}, {"Cover": [["Q1"]]}, {"Notes": NOTES, "Old": [["a", "b"], [1, 2]]},
     {"Ids": [["OpportunityId"], [841]]}],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_the_sheet_whose_headers_fit_is_chosen_and_named(
    tmp_path: Path, others: dict[str, Sequence[Sequence[object]]], first: bool
) -> None:
    """Instructions, lists and covers beside the table do not hide it, wherever it is."""
    sheets = {"Changes ": TABLE, **others} if first else {**others, "Changes ": TABLE}
    table = opened(workbook(tmp_path / "a.xlsx", sheets))
    assert (table.sheet, staged(table).input.good) == ("Changes ", 1)
    assert table.notes[0].startswith('The sheet "Changes " is read: its headers fit, unlike those of ')
    assert all(repr(name) in table.notes[0] for name in others)


def test_two_sheets_that_fit_are_both_named(tmp_path: Path) -> None:
    """Which of two months is meant is never guessed."""
    path = workbook(
        tmp_path / "a.xlsx", {"Read me": READ_ME, "January": TABLE, "February": [*TABLE, [842, "Pre", "x"]]}
    )
    error = refused(path)
    assert "several sheets whose headers fit: 'January' (1 row), 'February' (2 rows)." in error.message
    assert '--sheet "January"' in error.remedy
    assert opened(path, sheet="february").sheet == "February"


@pytest.mark.parametrize(
    ("titles", "row"), [([["Table 1"]], 2), ([["Report of March"], [], ["by", "Ada"]], 4), ([["A"], ["B"], ["C"]], 4)]
)
def test_of_several_sheets_the_one_that_fits_best_is_proposed(
    tmp_path: Path, titles: list[list[object]], row: int
) -> None:
    """Where its headers are below a title, both options are named, and obeying them works."""
    sheets: dict[str, Sequence[Sequence[object]]] = {
        "Export Summary": [["Numbers Sheet Name"], ["Sheet 1"]],
        "Sheet 1 - Table 1": [*titles, *TABLE],
    }
    path = workbook(tmp_path / "a.xlsx", sheets)
    error = refused(path)
    assert f"The headers of 'Sheet 1 - Table 1' (row {row}) fit best." in error.message
    assert f'--sheet "Sheet 1 - Table 1" --header-row {row}' in error.remedy
    assert "'Sheet 1 - Table 1' (1 row)" in error.message
    table = opened(path, sheet="Sheet 1 - Table 1", header_row=row)
    assert (table.columns.header_row, staged(table).input.good) == (row, 1)
    table.close()


def test_a_sheet_with_a_misspelt_header_is_proposed_too(tmp_path: Path) -> None:
    """It has no headers that fit as a whole, but more of them than the others."""
    broken: list[list[object]] = [["OpportunityId", "opportunityType", "StageNme"], [841, "Pre", "x"]]
    error = refused(workbook(tmp_path / "a.xlsx", {"Lists": LISTS, "Data": broken}))
    assert "The headers of 'Data' (row 1) fit best." in error.message
    assert '--sheet "Data", or' in error.remedy


def hidden(path: Path, *names: str) -> Path:
    """Hide sheets of a workbook."""
    book = openpyxl.load_workbook(path)
    for name in names:
        book[name].sheet_state = "veryHidden" if name == names[-1] else "hidden"
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("visible", "begins"),
    [
        ({"Vis": [["x", "y"], [1, 2]]}, "'Vis' begins with 'x', 'y'"),
        ({"Vis": [["StageName"], ["Won"]]}, "'Vis' begins with 'StageName'"),
        ({"Read me": READ_ME, "Vis": [["x"]]}, "'Read me' begins with 'Fill in the sheet Changes'; 'Vis' begins with "),
    ],
)
def test_a_hidden_sheet_is_named_where_only_it_fits(
    tmp_path: Path, visible: dict[str, Sequence[Sequence[object]]], begins: str
) -> None:
    """It is read only if it is named, and obeying the message works."""
    path = hidden(workbook(tmp_path / "a.xlsx", {"Old": LISTS, **visible, "Hid": TABLE, "Blank": []}), "Old", "Hid")
    error = refused(path)
    assert f"no visible sheet whose headers fit: {begins}" in error.message
    assert error.message.endswith("The headers of the hidden sheet 'Hid' fit.")
    assert '--sheet "Hid"' in error.remedy
    assert staged(opened(path, sheet="Hid")).input.good == 1


def test_of_hidden_sheets_alone_the_one_that_fits_is_proposed(tmp_path: Path) -> None:
    """The first of them is not named for its place; of two that fit both are named."""
    sheets: dict[str, Sequence[Sequence[object]]] = {"Blank": [], "Lists": LISTS, "Hid": TABLE}
    error = refused(hidden(workbook(tmp_path / "a.xlsx", sheets), "Lists", "Hid"))
    assert "no visible sheet that holds anything; hidden are: 'Lists', 'Hid'." in error.message
    assert '--sheet "Hid"' in error.remedy
    error = refused(hidden(workbook(tmp_path / "a.xlsx", {**sheets, "Too": TABLE}), "Lists", "Hid", "Too"))
    assert "The headers of the hidden sheets 'Hid', 'Too' fit." in error.message


def test_a_hidden_sheet_does_not_distract_from_a_visible_one(tmp_path: Path) -> None:
    """The slip in a visible table is named, and a table that fits is read, whatever is hidden beside it."""
    broken: list[list[object]] = [["OpportunityId", "opportunityType", "StageNme"], [841, "Pre", "x"]]
    path = hidden(workbook(tmp_path / "a.xlsx", {"Vis": broken, "Hid": TABLE}), "Hid")
    assert "'StageNme' is not the name of a field" in refused(path).message
    path = hidden(workbook(tmp_path / "b.xlsx", {"Vis": TABLE, "Hid": TABLE}), "Hid")
    assert (opened(path).sheet, opened(path).notes) == ("Vis", ())
    path = hidden(workbook(tmp_path / "c.xlsx", {"Vis": [["x", "y"]], "Hid": LISTS}), "Hid")
    assert "sheet \"Vis\" (row 1: 'x', 'y') has 3 problems" in refused(path).message


def test_where_no_sheet_fits_the_message_says_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    """Which one is read is a question then, and what its columns are the next one."""
    error = refused(workbook(tmp_path / "a.xlsx", {"A": [["x", "y"], [1, 2]], "B": [["u"], [3]]}))
    assert "no sheet whose headers fit: 'A' begins with 'x', 'y'; 'B' begins with 'u'." in error.message
    assert "needed: OpportunityId; opportunityType; at least one of OpportunityName, OpportunityID, " in error.message
    assert "\n    --sheet A   'A', which begins with 'x', 'y'\n    --sheet B   'B'" in error.remedy
    error = refused(workbook(tmp_path / "c.xlsx", {"A": [["StageName", "y"], ["Won", 2]], "B": [["u"], [3]]}))
    assert "no sheet whose headers fit: 'A' begins with 'StageName', 'y'; 'B' begins with 'u'." in error.message
    path = workbook(tmp_path / "b.xlsx", {"A": [["x"], [1], [2]], "B": [["u"]]})
    error = refused(path, header_row=2, constants={"opportunityType": "Pre", "StageName": "Won"})
    assert "'A' begins with '1'; 'B' has no header row. Columns that are needed: OpportunityId." in error.message


@pytest.mark.parametrize("wanted", ["changes", "CHANGES", " Changes", "Changes  ", "changes "])
def test_names_of_sheets_ignore_case_and_blanks_at_the_ends(tmp_path: Path, wanted: str) -> None:
    """A blank behind a name cannot be seen, and Excel itself knows no case in it."""
    path = workbook(tmp_path / "a.xlsx", {"Changes ": TABLE, "Other": TABLE})
    assert opened(path, sheet=wanted).sheet == "Changes "


def test_sheets_whose_names_differ_in_blanks_alone_are_both_named(tmp_path: Path) -> None:
    """The exact name chooses; any other spelling is a question."""
    path = workbook(tmp_path / "a.xlsx", {"Data": TABLE, " Data": TABLE})
    assert opened(path, sheet=" Data").sheet == " Data"
    assert "more than one sheet 'data': 'Data', ' Data'." in refused(path, sheet="data").message


@pytest.mark.parametrize("ending", FORMATS)
def test_the_header_row_is_always_named_with_what_it_holds(tmp_path: Path, ending: str) -> None:
    """Whether it fits or not, a person sees which row was taken for the headers."""
    table = opened(write(tmp_path / f"a.{ending}", [[], ["Id", "Type", "StageName", "Owner"], [1, "Pre", None, "Ada"]]))
    assert table.columns.header_row == 2
    assert [tuple(column) for column in table.columns.mapping] == [
        ("Id", "1", "OpportunityId"), ("Type", "Pre", "opportunityType"), ("StageName", "", "StageName"),
        ("Owner", "Ada", None),
    ]  # fmt: skip
    error = refused(write(tmp_path / f"b.{ending}", [[], ["Number", "Kind"], [1, "Pre"]]))
    assert "(row 2: 'Number', 'Kind') has 3 problems:" in error.message


@pytest.mark.parametrize("ending", FORMATS)
def test_a_row_that_fits_better_is_named_with_the_option(tmp_path: Path, ending: str) -> None:
    """Also where that row has a fault of its own, and where the configured row is below the right one."""
    path = tmp_path / f"a.{ending}"
    write(path, [["Changes of March", None, None], *TABLE])
    error = refused(path)
    assert "row 2 is: row 1 begins with 'Changes of March', row 2 holds 'OpportunityId', " in error.message
    assert "--header-row 2 (or set input.header_row to 2), or delete the rows above it." in error.remedy
    write(path, [["Changes", None, None], ["OpportunityId", "opportunityType", "StageNme"], [1, "Pre", "x"]])
    assert "row 2 looks more like it" in refused(path).message
    assert "'StageNme' is not the name of a field" in refused(path, header_row=2).message
    write(path, [*TABLE, [842, "Pre", "x"]])
    error = refused(path, header_row=2)
    assert "Row 2 of " in error.message
    assert "row 1 is: row 2 begins with '841'" in error.message
    assert error.remedy_lines[0] == "Add --header-row 1 (or set input.header_row to 1)."


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "headers",
    [["Opportunity No.", "Type", "Stage", "Close Date", "Amount"], ["Deal", "opportunity_id", "Deal stage", "Closing"],
     ["Opp. name", "Stages*", "Sales revenu", "Owner"]],
)  # fmt: skip
def test_headers_in_a_persons_own_words_are_found_below_titles(
    tmp_path: Path, ending: str, headers: list[object]
) -> None:
    """A row of texts that may mean fields is named with its option before anything that is open in it."""
    titles: list[list[object]] = [["Pipeline clean-up Q4"], ["Stages and revenue, by Ada"], [], ["25.03.2026"]]
    values: list[list[object]] = [[number, "Pre", "Won", "2026-03-01", "Closing soon"] for number in (101, 102)]
    path = write(tmp_path / f"a.{ending}", [*titles, headers, *values])
    error = refused(path)
    assert "row 5 looks more like it: row 1 begins with 'Pipeline clean-up Q4'" in error.message
    assert error.remedy_lines[0].startswith("Add --header-row 5 (or set input.header_row to 5)")
    assert error.remedy_lines[1].startswith("    --header-row 5   row 5: ")
    obeyed = refused(path, header_row=5)
    assert (error.lines[1:], error.remedy_lines[3:]) == (obeyed.lines, obeyed.remedy_lines)


@pytest.mark.parametrize("ending", FORMATS)
def test_records_are_no_better_headers_than_the_first_row(tmp_path: Path, ending: str) -> None:
    """Words in them that could be fields', such as names of deals, do not make them one."""
    rows: list[list[object]] = [["Number", "What", "Stage"], [7, "Close", "Stage revenue"], [8, "Stages", "Potential"]]
    assert "(row 1: 'Number', 'What', 'Stage')" in refused(write(tmp_path / f"a.{ending}", rows)).message


def test_two_fields_are_told_apart_by_what_they_are_and_by_the_value(tmp_path: Path) -> None:
    """Names that differ in the case of a letter alone are no choice."""
    error = refused(write(tmp_path / "a.csv", [["Opportunity No.", "Type", "StageName"], [4711, "Pre", "x"]]))
    assert (
        "OpportunityId is the opportunity number, OpportunityID is the CRM number; the column begins with '4711'."
        in error.message
    )
    assert offered(error, "Opportunity No.") == ["OpportunityId", "OpportunityID", ""]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_without_headers_is_called_that(tmp_path: Path, ending: str) -> None:
    """The first record is not taken for headers that hold values, whatever it holds."""
    path = write(tmp_path / f"a.{ending}", [[851, "Pre", "x", "2026-03-25"], [852, "Post", "y", "2026-03-26"]])
    error = refused(path)
    assert "(row 1: '851', 'Pre', 'x', '2026-03-25') has 3 problems:" in error.message
    assert "There is no column OpportunityId" in error.message
    assert error.remedy == "Put the names of the fields into a row above the values."


@pytest.mark.parametrize("ending", FORMATS)
def test_the_first_value_is_that_of_the_first_filled_cell(tmp_path: Path, ending: str) -> None:
    """The mapping table shows what a column holds, although its first rows are blank."""
    rows: list[list[object]] = [
        [*TABLE[0], "Owner"],
        [1, "Pre", "x", None],
        [2, "Pre", "y", " "],
        [3, "Pre", "z", "Ada"],
    ]
    assert opened(write(tmp_path / f"a.{ending}", rows)).columns.mapping[-1] == ("Owner", "Ada", None)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("header", ["Deal", "deal", " DEAL ", "De al", "_deal"])
def test_configured_headers_are_understood_and_need_not_exist(tmp_path: Path, ending: str, header: str) -> None:
    """They are names that some files have, written in any case; a file without them is as good."""
    columns = {"Deal": "StageName", "Nexus number": "OpportunityId", "Remark": None}
    path = tmp_path / f"a.{ending}"
    assert staged(opened(write(path, TABLE), columns=columns)).input.good == 1
    table = opened(write(path, [["Id", "Type", header], [1, "Pre", "x"]]), columns=columns)
    assert table.columns.of_field["StageName"] == 2


@pytest.mark.parametrize("ending", FORMATS)
def test_a_configured_header_goes_before_a_name_only_as_it_is_written(tmp_path: Path, ending: str) -> None:
    """A field's exact name is that field, unless exactly that header is configured to be something else."""
    path = write(tmp_path / f"a.{ending}", [*[[*TABLE[0], "opportunityid"]], [841, "Pre", "x", "OPP-1"]])
    table = opened(path, columns={"opportunityid": "OpportunityID"})
    assert (table.columns.of_field["OpportunityId"], table.columns.of_field["OpportunityID"]) == (0, 3)
    table = opened(path, columns={"opportunityid": None, "StageName": "CategoryName"})
    assert "StageName" not in table.columns.of_field
    assert table.columns.of_field["CategoryName"] == 2


def test_a_configured_header_misspelt_in_the_file_is_found(tmp_path: Path) -> None:
    """What people call a field is a name of it, which may be mistyped like any other."""
    error = refused(
        write(tmp_path / "a.csv", [["Id", "Type", "Statuss"], [1, "Pre", "x"]]), columns={"Status": "StageName"}
    )
    assert "'Statuss' is not the name of a field, but close to StageName." in error.message


def test_a_configured_field_that_is_none_stays_a_fault(tmp_path: Path) -> None:
    """A slip in the configuration is told although the file at hand would not need it."""
    error = refused(write(tmp_path / "a.csv", TABLE), columns={"Deal": "StagName"})
    assert "input.columns says that 'Deal' is 'StagName', which is no field. Did you mean 'StageName'?" in error.message


def test_two_configured_spellings_for_two_fields_are_a_question(tmp_path: Path) -> None:
    """A header between them is refused, not guessed."""
    path = write(tmp_path / "a.csv", [["Id", "Type", "DEAL"], [1, "Pre", "x"]])
    error = refused(path, columns={"Deal": "StageName", "deal": "CategoryName"})
    assert "'DEAL' could be StageName or CategoryName, which are different fields." in error.message


@pytest.mark.parametrize("mark", ["annotated", "results-annotated", None])
def test_the_columns_of_an_annotated_copy_are_not_sent_whatever_their_headers_mean(
    tmp_path: Path, mark: str | None
) -> None:
    """The property says that they are ours; a person's own column of that name is theirs."""
    rows: list[list[object]] = [
        ["OpportunityId", "Type", "Outcome", "SalesRevenue", *ANNOTATION_COLUMNS, "Later"],
        [841, "Pre", "Qualified", 5, "updated", None, None, "x"],
        [None, None, None, None, "not_sent", "The run ended.", "Run again.", None],
    ]
    properties = {"batch_updater": mark} if mark else {}
    path = workbook(tmp_path / "a.xlsx", {"Changes": rows}, **properties)
    columns = {"Outcome": "StageName"}
    if mark is None:
        assert "StageName has more than one column" in str(refused(path, columns=columns))
        return
    table = opened(path, columns=columns)
    assert table.columns.of_field["StageName"] == 2
    assert table.columns.not_sent == (*ANNOTATION_COLUMNS, "Later")
    assert staged(table).input.rows == 1
