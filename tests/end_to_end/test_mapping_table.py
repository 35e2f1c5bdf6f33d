"""Which column is which field: shown first wherever people look, and remembered by the results workbook."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import converse
from tests.loader.described import workbook
from tests.loader.header_files import FORMATS, write

if TYPE_CHECKING:
    from pathlib import Path

HEADERS: list[object] = ["Opportunity No.", "Type", "Deal stage", "Owner", "Owner name", "OpportunityName"]
ROWS: list[list[object]] = [
    HEADERS, [5, "Pre", "Propsal", "me", "Ada", "x"], [6, "Pre", "Qualified", "me", "Bo", "y"],
]  # fmt: skip
COLUMNS = "input: {columns: {Opportunity No.: OpportunityId, Deal stage: StageName, Nobody has it: null}}\n"
LINES = [
    ["header", "first value", "field"], ["Opportunity No.", "5", "OpportunityId"], ["Type", "Pre", "opportunityType"],
    ["Deal stage", "Propsal", "StageName"], ["Owner", "me", "not sent"], ["Owner name", "Ada", "not sent"],
    ["OpportunityName", "x", "OpportunityName"],
]  # fmt: skip


def table_in(text: str) -> list[list[str]]:
    """Return the lines of the mapping table: those with three cells, which two blanks or more separate."""
    lines = text.replace("Columns ", "").splitlines()
    parts = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines]
    return [part for part in parts if len(part) == len(LINES[0])]


@pytest.mark.parametrize("ending", FORMATS)
def test_check_preview_summary_page_and_json_have_the_table(tmp_path: Path, ending: str) -> None:
    """Header, first value, and the field or that it is not sent, before anything else is told."""
    file = write(tmp_path / f"c.{ending}", ROWS)
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000}\n" + COLUMNS)
        checked = batch_updater("check", file.name, cwd=tmp_path)
        assert checked.out.startswith("Checked: ")
        assert ", headers in row 1\n" in checked.out.partition("\n\n")[0] + "\n"
        assert table_in(checked.out.partition("\n\n")[0]) == LINES
        code, shown = converse("y", tmp_path, "run", file.name)
    assert code == 1
    preview = shown.partition("Rows ")[0]
    assert "headers in row 1" in preview
    assert table_in(preview) == LINES
    assert "'Owner name' (E1) is not sent." in shown
    (folder,) = (tmp_path / "runs").glob("*-c")
    (results,) = folder.glob("*-results-*.xlsx")
    summary = [[cell for cell in row[:6] if cell] for row in openpyxl.load_workbook(results)["Summary"].values]
    at = summary.index(["Columns, by the headers in row 1"])
    assert [list(map(str, row)) for row in summary[at + 2 : at + 8]] == LINES[1:]
    assert at < summary.index(["Rows by outcome"])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.index('id="columns"') < page.index('id="counts"')
    for header, value, field in LINES[1:]:
        assert f'<th scope="row">{header}</th><td>{value}</td><td>{field}</td>' in re.sub(r">\s+<", "><", page)
    told = json.loads(batch_updater("report", folder.name, "--json", cwd=tmp_path).out)["columns"]
    assert told == [{"header": one, "field": None if field == "not sent" else field} for one, _, field in LINES[1:]]


def test_a_repaired_workbook_is_read_with_its_own_mapping(tmp_path: Path) -> None:
    """Whatever the configuration says by then; without its sheet Settings the configuration says it again."""
    file = write(tmp_path / "c.csv", ROWS)
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000}\n" + COLUMNS)
        first = batch_updater("run", file.name, "--json", cwd=tmp_path)
        assert first.outcomes == {"rejected": 1, "updated": 1}
        book = openpyxl.load_workbook(first.object["results"])
        book["To fix"]["G2"] = "Proposal"
        book.save(tmp_path / "fixed.xlsx")
        del book["Settings"]
        book.save(tmp_path / "without.xlsx")
        configure(tmp_path, api.url, "input: {columns: {Deal stage: CategoryName, Region: null}}\n")
        refused = batch_updater("check", "without.xlsx", cwd=tmp_path)
        assert refused.code == 2
        assert "'Opportunity No.' is not the name of a field" in refused.err
        done = batch_updater("run", "fixed.xlsx", "--json", cwd=tmp_path)
        assert done.outcomes == {"updated": 1}, done.err
        assert [column["field"] for column in done.object["columns"]] == [
            None if field == "not sent" else field for _, _, field in LINES[1:]
        ]
        assert len(api.requests()) == 3
        assert api.records()[5]["OpportunityStageID"] == 3
        configure(tmp_path, api.url, COLUMNS)
        assert batch_updater("check", "without.xlsx", "--json", cwd=tmp_path).outcomes == {"planned": 1}


def test_a_check_workbook_is_read_with_its_own_mapping(tmp_path: Path) -> None:
    """What was asked of the headers once is not asked again, though nothing was sent."""
    write(tmp_path / "c.csv", [HEADERS, ["five", "Pre", "x", "me", "Ada", "x"]])
    (tmp_path / "config.yaml").write_text(COLUMNS, encoding="utf-8")
    assert batch_updater("check", "c.csv", cwd=tmp_path).code == 1
    (tmp_path / "config.yaml").unlink()
    again = batch_updater("check", "c-check.xlsx", "--json", cwd=tmp_path)
    assert (again.code, again.outcomes) == (1, {"invalid": 1})


def test_settings_that_name_no_field_are_refused(tmp_path: Path) -> None:
    """A workbook of another endpoint is not half understood; the message names the cell."""
    write(tmp_path / "c.csv", [HEADERS, ["five", "Pre", "x", "me", "Ada", "x"]])
    (tmp_path / "config.yaml").write_text(COLUMNS, encoding="utf-8")
    batch_updater("check", "c.csv", cwd=tmp_path)
    book = openpyxl.load_workbook(tmp_path / "c-check.xlsx")
    (cell,) = [row[1] for row in book["Settings"].iter_rows() if row[0].value == "column: Deal stage"]
    cell.value = "Stage"
    book.save(tmp_path / "c-check.xlsx")
    refused = batch_updater("check", "c-check.xlsx", "--json", cwd=tmp_path)
    assert refused.code == 2
    assert "says that 'Deal stage' is 'Stage', which is no field." in refused.object["error"]["message"]
    assert refused.object["error"]["cell"] == cell.coordinate


def test_headers_of_every_kind_come_back(tmp_path: Path) -> None:
    """Signs that a sheet cannot hold, blanks and quotation marks in headers do not lose their meaning on the way."""
    odd = ["=Owner", " x ", 'a "b"', "column: y", "_x0041_", "\u00e9\u0301", "line\nbreak", "tab\there", "bell\u0007"]
    columns = dict.fromkeys(odd) | {"My \u0007 stage": "StageName"}
    write(tmp_path / "c.csv", [["Id", "Type", *odd, "My \u0007 stage"], ["five", "Pre", *odd, "x"]])
    (tmp_path / "config.yaml").write_text(json.dumps({"input": {"columns": columns}}), encoding="utf-8")
    assert batch_updater("check", "c.csv", cwd=tmp_path).code == 1
    (tmp_path / "config.yaml").unlink()
    again = batch_updater("check", "c-check.xlsx", "--json", cwd=tmp_path)
    assert again.code == 1, again.out + again.err
    assert [column["field"] for column in again.object["columns"]] == [
        "OpportunityId", "opportunityType", *[None] * len(odd), "StageName",
    ]  # fmt: skip


def test_columns_of_one_file_do_not_stand_in_the_way_of_others(tmp_path: Path) -> None:
    """The same configuration reads the samples, a template and a file with other headers."""
    (tmp_path / "config.yaml").write_text(COLUMNS, encoding="utf-8")
    for name in ("opportunities.xlsx", "opportunities-comma.csv", "mistakes.xlsx", "mistakes-results.xlsx"):
        done = batch_updater("check", SAMPLES / name, "--results", f"{name}.xlsx", "--json", cwd=tmp_path)
        assert done.code in {0, 1}, done.out + done.err
    batch_updater("template", "t.xlsx", cwd=tmp_path)
    assert batch_updater("check", "t.xlsx", cwd=tmp_path).code == 0


@pytest.mark.parametrize("ending", FORMATS)
def test_the_header_row_can_be_named_on_the_command_line(tmp_path: Path, ending: str) -> None:
    """The message names the option, check and run obey it, and the command to type next repeats it."""
    file = write(
        tmp_path / f"c.{ending}", [["Changes of March", None, None], ["Id", "Type", "StageName"], [5, "Pre", "Won"]]
    )
    refused = batch_updater("check", file.name, cwd=tmp_path)
    assert refused.code == 2
    assert "--header-row 2" in refused.err
    checked = batch_updater("check", file.name, "--header-row", "2", cwd=tmp_path)
    assert checked.code == 0
    assert ", headers in row 2\n" in checked.out
    assert f"batch-updater run {file.name} --header-row 2\n" in checked.out
    with sandbox() as api:
        configure(tmp_path, api.url)
        assert batch_updater("run", file.name, "--header-row", "2", "--json", cwd=tmp_path).object["rows"] == 1
        configure(tmp_path, api.url, "input: {header_row: 2}\n")
        assert batch_updater("check", file.name, "--json", cwd=tmp_path).code == 0
    for wrong in ("0", "-1", "x", "1.5"):
        done = batch_updater("check", file.name, "--header-row", wrong, cwd=tmp_path)
        assert done.code == 2
        assert "is not a whole number above 0" in done.err


def test_the_sheet_that_fits_is_read_and_named(tmp_path: Path) -> None:
    """Check says which, and why; a name in other letters is the same sheet."""
    lists: list[list[object]] = [["Stage"], ["Qualified"]]
    workbook(tmp_path / "c.xlsx", {"Read me": [["Fill in the sheet Changes"]], "Changes ": [*ROWS], "Lists": lists})
    (tmp_path / "config.yaml").write_text(COLUMNS, encoding="utf-8")
    checked = batch_updater("check", "c.xlsx", cwd=tmp_path)
    assert checked.code == 0
    assert "Note: The sheet \"Changes \" is read: its headers fit, unlike those of 'Read me', 'Lists'." in checked.out
    assert batch_updater("check", "c.xlsx", "--sheet", "changes", "--json", cwd=tmp_path).object["sheet"] == "Changes "


@pytest.mark.parametrize("ending", FORMATS)
def test_names_that_an_earlier_run_was_told_make_a_column_a_question(tmp_path: Path, ending: str) -> None:
    """Once the API has listed its stages, a column of them under another header is not left out in silence."""
    write(tmp_path / "a.csv", [["Id", "Type", "StageName"], [5, "Pre", "Propsal"]])
    phases: list[list[object]] = [["Id", "Type", "OpportunityName", "Phase"], [5, "Pre", "x", "Qualified"]]
    file = write(tmp_path / f"b.{ending}", phases)
    with sandbox() as api:
        configure(tmp_path, api.url)
        assert batch_updater("check", file.name, cwd=tmp_path).code == 0
        assert batch_updater("run", "a.csv", "--json", cwd=tmp_path).outcomes == {"rejected": 1}
        for command in ("check", "run"):
            refused = batch_updater(command, file.name, "--json", cwd=tmp_path)
            assert refused.code == 2
            assert "--map Phase=StageName" in refused.object["error"]["remedy"]
            assert "--map Phase=   not sent" in refused.object["error"]["remedy"]
        configure(tmp_path, api.url, "input: {columns: {Phase: null}}\n")
        assert batch_updater("run", file.name, "--json", cwd=tmp_path).outcomes == {"updated": 1}
        assert len(api.requests()) == 2


def test_a_wide_file_shows_its_fields_and_the_first_of_the_rest(tmp_path: Path) -> None:
    """Hundreds of columns that are not sent do not hide the fields."""
    more = [f"Extra {number}" for number in range(200)]
    write(tmp_path / "c.csv", [[*more, "Id", "Type", "StageName"], [*more, 5, "Pre", "Won"]])
    checked = batch_updater("check", "c.csv", cwd=tmp_path)
    table = checked.out.partition("\n\n")[0]
    assert len(table_in(table)) == 1 + 30 + 3
    assert "  and 170 more columns are not sent" in table


def test_a_night_asks_in_the_note_and_tells_the_columns(tmp_path: Path) -> None:
    """By night there is no one to ask: the file goes to attention with the lines that settle it, and then runs."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    rows: list[list[object]] = [["Change of the day", None, None, None], ["Id", "Type", "Deal stage", "Owner"]]
    file = write(inbox / "c.csv", [*rows, [5, "Pre", "Qualified", "me"]])
    content = file.read_bytes()
    more = "nightly: {inbox: inbox}\ninput: {header_row: 2"
    with sandbox() as api:
        configure(tmp_path, api.url, f"{more}}}\n")
        age(file)
        asked = batch_updater("nightly", "--json", cwd=tmp_path)
        assert (asked.code, api.requests()) == (1, [])
        (note,) = (tmp_path / "attention").glob("*/c.csv.txt")
        assert '--map "Deal stage=StageName"' in note.read_text(encoding="utf-8")
        file.write_bytes(content)
        age(file)
        mapping = ["--map", "Deal stage=StageName", "--save", "day"]
        assert batch_updater("columns", file, *mapping, cwd=tmp_path).code == 0
        done = batch_updater("nightly", "--json", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert [column["field"] for column in done.object["files"][0]["columns"]] == [
        "OpportunityId", "opportunityType", "StageName", None,
    ]  # fmt: skip


def age(path: Path) -> None:
    """Make a file look finished to the job, which leaves what has just been written."""
    os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def test_long_names_are_told_apart_on_a_narrow_terminal(tmp_path: Path) -> None:
    """Long values give way to names; what is too long even so keeps its beginning and its end."""
    (tmp_path / "api.yaml").write_text(
        """\
openapi: 3.1.0
info: {title: Desk, version: "1"}
paths:
  /tickets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    patch:
      operationId: change
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                attributes: {type: object, additionalProperties: {type: string}}
      responses: {"204": {description: done}}
""",
        encoding="utf-8",
    )
    long = [f"attributes.{'a name that goes on and on ' * 2}{number}" for number in (1, 2)]
    headers = ["id", "attributes.plan_of_the_first", "attributes.plan_of_the_other", *long]
    file = write(tmp_path / "c.csv", [headers[:3], ["5", "v" * 60, "w" * 60]])
    (tmp_path / "config.yaml").write_text("api: {endpoint: 'api.yaml#change'}\n", encoding="utf-8")
    shown = batch_updater("check", file.name, cwd=tmp_path, COLUMNS="80").out
    assert all(shown.count(f"  {header}") == 2 for header in headers[1:3])
    file = write(tmp_path / "d.csv", [[headers[0], *long], ["5", "x", "y"]])
    lines = batch_updater("check", file.name, cwd=tmp_path, COLUMNS="80").out.splitlines()
    cut = [line.split("  ")[1:] for line in lines if "..." in line]
    assert [(one[0][-4:], one[-1][-4:]) for one in cut] == [("on 1", "on 1"), ("on 2", "on 2")]
    assert all(len(line) <= 80 for line in lines[:4])
