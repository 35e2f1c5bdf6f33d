"""reporter/template.py: a workbook or CSV file to fill in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Bounds, Field, Kind, LeftOut, OpenColumns, OpenKind
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import ResultsError
from batch_updater.loader.table import open_table
from batch_updater.records import AllowedList, AllowedValue
from batch_updater.reporter.template import write_template
from tests.loader.staged import staged

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = load_endpoint("nexus-opportunity")


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_an_empty_template_is_read_as_nothing_to_do(tmp_path: Path, name: str) -> None:
    """A template's headers all fit, and it has no data rows."""
    path = tmp_path / name
    write_template(path, ENDPOINT, InputSettings())
    table = open_table(path, ENDPOINT, InputSettings(), name=name)
    assert set(table.columns.of_field) == {field.name for field in ENDPOINT.fields}
    assert staged(table).input.rows == 0


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_a_field_with_a_constant_is_no_column(tmp_path: Path, name: str) -> None:
    """A file that had one would be refused."""
    path, settings = tmp_path / name, InputSettings(constants={"opportunityType": "Pre"})
    write_template(path, ENDPOINT, settings)
    table = open_table(path, ENDPOINT, settings, name=name)
    assert set(table.columns.of_field) == {field.name for field in ENDPOINT.fields} - {"opportunityType"}


def test_a_filled_in_template_is_read_from_its_data_sheet(tmp_path: Path) -> None:
    """Rows typed into Data are jobs, although the workbook has a second sheet."""
    path = tmp_path / "t.xlsx"
    write_template(path, ENDPOINT, InputSettings())
    book = openpyxl.load_workbook(path)
    book["Data"].append([123, "Pre", None, "New name"])
    book.save(path)
    table = open_table(path, ENDPOINT, InputSettings(), name="t.xlsx")
    (judged,) = staged(table).rows
    assert judged.job
    assert dict(judged.job.values) == {"OpportunityId": 123, "opportunityType": "Pre", "OpportunityName": "New name"}


def test_a_template_helps_the_person_who_fills_it_in(tmp_path: Path) -> None:
    """Each header has a note, needed ones another colour, enums a drop-down; a second sheet explains the rules."""
    path = tmp_path / "t.xlsx"
    write_template(path, ENDPOINT, InputSettings(clear_marker="#EMPTY"))
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Data", "How to fill in"]
    data = book["Data"]
    assert all(cell.comment for cell in data[1])
    colours = {cell.value: cell.fill.fgColor.rgb for cell in data[1]}
    assert colours["OpportunityId"] == colours["opportunityType"] != colours["StageName"]
    assert [v.formula1 for v in data.data_validations.dataValidation] == ['"Pre,Post"']
    assert "#EMPTY" in str([cell.value for line in book["How to fill in"].iter_rows() for cell in line])


@pytest.mark.parametrize("name", ["there.xlsx", "t.pdf"])
def test_a_template_replaces_nothing(tmp_path: Path, name: str) -> None:
    """A file that exists stays as it is, and an ending that is no template is refused."""
    (tmp_path / "there.xlsx").write_text("mine", encoding="utf-8")
    with pytest.raises(ResultsError):
        write_template(tmp_path / name, ENDPOINT, InputSettings())
    assert (tmp_path / "there.xlsx").read_text(encoding="utf-8") == "mine"


def test_a_template_explains_what_its_cells_and_other_columns_hold(tmp_path: Path) -> None:
    """Needed columns first, an example for each kind, an example of each open part, and what is left out."""
    text = replace(ENDPOINT.fields[-1], enum=(), bounds=Bounds(), example="", format="", nullable=True, required=False)

    def field(name: str, kind: Kind, **more: Any) -> Field:
        return replace(text, name=name, wire_name=name, path=(name,), kind=kind, **more)

    endpoint = replace(
        ENDPOINT,
        fields=(
            *ENDPOINT.fields,
            field("tags", Kind.LIST, bounds=Bounds(max_items=3)),
            field("sizes", Kind.LIST, enum=("S", "M", "L")),
            field("seenAt", Kind.DATE_TIME),
            field("lines", Kind.JSON, json_schema='{"type": "array"}'),
            field("mail", Kind.TEXT, format="email", nullable=False, description="Where to write to"),
            replace(text, name="owner", wire_name="owner", path=("owner",), kind=Kind.TEXT, required=True),
        ),
        opens=(
            OpenColumns("properties", ("properties",), OpenKind.MAP, "properties", (field("", Kind.ANY),)),
            OpenColumns("cc", ("cc",), OpenKind.ITEMS, "cc", (field("mail", Kind.TEXT), field("name", Kind.TEXT))),
        ),
        left_out=(LeftOut("photo", "it is a file"),),
    )
    path = tmp_path / "t.xlsx"
    write_template(path, endpoint, InputSettings(list_separator="|", time_zone="Europe/Berlin"))
    book = openpyxl.load_workbook(path)
    headers = [cell.value for cell in book["Data"][1]]
    assert set(headers[:3]) == {"OpportunityId", "opportunityType", "owner"}
    lines = {str(line[0]): line for line in book["How to fill in"].iter_rows(values_only=True) if line[0]}
    between = "with '|' or a line break between items"
    assert lines["tags"][3:] == (f"a list of at most 3, {between}. Each item is text", "first|second")
    assert lines["sizes"][3:] == (f"a list, {between}. Each item is one of S, M, L", "S|M")
    assert "in Europe/Berlin unless it names another zone" in str(lines["seenAt"][3])
    assert lines["lines"][3:] == ("JSON", '[{"name": "value"}]')
    assert lines["mail"][3] == "an e-mail address"
    assert str(lines["properties.NAME"][3]).startswith("any number of columns")
    assert str(lines["cc[0].mail"][3]).endswith("Its members are mail, name")
    assert any(line.startswith("To empty a field") and line.endswith("emptied: mail.") for line in lines)
    note = next(cell.comment.text for cell in book["Data"][1] if cell.value == "mail" and cell.comment)
    assert note.startswith("Where to write to. Leave it blank")
    assert book["How to fill in"]["A2"].alignment.wrap_text
    assert "photo is left out because it is a file." in lines
    assert any(line.startswith("PUT may empty what is not sent") for line in lines)
    assert [one.formula1 for one in book["Data"].data_validations.dataValidation] == ['"Pre,Post"']


def test_a_drop_down_follows_the_language_of_its_row(tmp_path: Path) -> None:
    """Names of several languages: the row's own cell decides, and the API's default where that is blank."""
    lists = (
        AllowedList("StageName", (("LanguageId", "2"),), (AllowedValue("Gewonnen", 1), AllowedValue("Verloren", 2))),
        AllowedList("StageName", (("LanguageId", "1"),), (AllowedValue("Won", 1), AllowedValue("Lost", 2))),
    )
    path = tmp_path / "t.xlsx"
    write_template(path, ENDPOINT, InputSettings(), lists)
    data = openpyxl.load_workbook(path)["Data"]
    letter = next(cell.column_letter for cell in data[1] if cell.value == "LanguageId")
    formulas = [one.formula1 for one in data.data_validations.dataValidation]
    english, german = "'Allowed values'!$C$4:$C$5", "'Allowed values'!$C$2:$C$3"
    assert f'IF(AND(${letter}2&""="2"),{german},{english})' in formulas
