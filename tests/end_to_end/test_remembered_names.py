"""names.json: what one run's answers taught helps the next check, run, template and undo."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import DATABASE, configure, in_store, sandbox
from tests.sender.server import Api, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("store")

STAGES = ["Prospect", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost"]
HEADERS = "OpportunityId,opportunityType,StageName\n"


def today() -> datetime:
    """Return the day of now, and not that on which the tests were started."""
    return datetime.now(UTC).astimezone()


def as_of() -> str:
    return f"{today().day} {today():%B}"


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with sandbox() as api:
        configure(tmp_path, api.url)
        yield Inside(tmp_path)


def write(inside: Inside, name: str, *stages: str, first: int = 501, headers: str = HEADERS) -> str:
    """Write a file with a row for each stage."""
    rows = [f"{number},Pre,{stage}\n" for number, stage in enumerate(stages, first)]
    (inside.folder / name).write_text(headers + "".join(rows), encoding="utf-8")
    return name


def remembered(inside: Inside) -> list[dict[str, Any]]:
    if DATABASE in os.environ:
        return [json.loads(content) for (content,) in in_store(inside.folder, "SELECT content FROM remembered_names")]
    found: list[dict[str, Any]] = json.loads((inside.folder / "runs" / "names.json").read_text("utf-8"))["lists"]
    return found


def teach(inside: Inside) -> None:
    """Run a file that the API refuses for a stage that it does not have."""
    assert inside("run", write(inside, "first.csv", "Propsal"), "--yes", "--json").outcomes == {"rejected": 1}


@pytest.mark.one_process("it is about the file names.json")
def test_what_a_refusal_lists_is_kept_with_ids_and_the_day(inside: Inside) -> None:
    """By API, endpoint, field and what it depends on, in a file that only its owner may read and that has no secret."""
    teach(inside)
    categories, names = remembered(inside)
    assert categories["field"] == "CategoryName"
    assert (names["field"], names["endpoint"]) == ("StageName", "nexus-opportunity")
    assert names["seen"] == f"{today():%Y-%m-%d}"
    assert names["depends_on"] == {"LanguageId": "1"}
    assert [name["name"] for name in names["names"]] == STAGES
    assert all(isinstance(name["id"], int) for name in names["names"])
    path = inside.folder / "runs" / "names.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "sandbox-token" not in path.read_text("utf-8")


def test_check_and_run_note_names_that_are_not_known(inside: Inside) -> None:
    """A note for each value with how many rows have it, not a problem: it may be new. Refused rows say nothing."""
    file = write(inside, "changes.csv", "Proposal", "negotiation", "Qualifid", "Qualifid", "Won", first=601)
    assert inside("check", file, "--json").object["notes"] == []
    teach(inside)
    checked = inside("check", file, "--json")
    assert checked.outcomes == {"planned": 5}
    first, second = checked.object["notes"]
    assert first == (
        "StageName: 'Qualifid' in 2 good rows is not among the 6 names that Nexus listed "
        f"on {as_of()}. The nearest is 'Qualified'. It is sent all the same, since it may have been added."
    )
    assert second.startswith("StageName: 'Won' in 1 good row is not among")
    assert first.split(":")[1] in inside("run", file, "--yes").err
    twice = HEADERS + "601,Pre,Nonsense\n601,Pre,Nonsense\n602,Pre,Proposal\n"
    (inside.folder / "twice.csv").write_text(twice, encoding="utf-8")
    assert inside("check", "twice.csv", "--json").object["notes"] == []


def test_many_unknown_names_are_counted(inside: Inside) -> None:
    """The five most common are named, the others are counted."""
    teach(inside)
    file = write(inside, "many.csv", *[f"Name {number}" for number in range(8)], "Name 7", first=601)
    notes = inside("check", file, "--json").object["notes"]
    assert len(notes) == 6
    assert notes[0].startswith("StageName: 'Name 7' in 2 good rows")
    assert notes[5] == "3 more names in good rows are not known either."


def test_a_template_offers_them_as_of_their_day(inside: Inside) -> None:
    """A drop-down in the column, the list on a sheet of its own, the day where the columns are explained."""
    teach(inside)
    inside("template", "t.xlsx")
    book = openpyxl.load_workbook(inside.folder / "t.xlsx")
    assert book.sheetnames == ["Data", "How to fill in", "Allowed values"]
    offered = {str(one.sqref)[0]: one.formula1 for one in book["Data"].data_validations.dataValidation}
    listed = [(row[0].value, row[2].value) for row in book["Allowed values"].iter_rows()]
    first = listed.index(("StageName", STAGES[0]))
    assert listed[first:] == [("StageName", name) for name in STAGES]
    assert offered["G"] == f"'Allowed values'!$C${first + 1}:$C${first + 6}"
    told = {row[0].value: str(row[3].value) for row in book["How to fill in"].iter_rows(max_row=12)}
    where = f"a name of the sheet Allowed values, as of {as_of()}; "
    assert told["StageName"].startswith(f"{where}it depends on LanguageId.")
    assert f"as of {as_of()}" in book["Data"]["G1"].comment.text
    book["Data"].append([701, "Pre", None, None, None, None, "Proposal"])
    book.save(inside.folder / "t.xlsx")
    assert inside("run", "t.xlsx", "--yes", "--json").outcomes == {"updated": 1}


def test_compare_and_undo_know_the_names_of_ids(inside: Inside) -> None:
    """A later run that has learned nothing itself compares by name, and its undo writes the name, not the id."""
    assert inside("run", write(inside, "a.csv", "Proposal"), "--yes", "--json").outcomes == {"updated": 1}
    teach(inside)
    inside("run", write(inside, "b.csv", "Proposal"), "--yes", "--restart", "--json")
    same = inside("run", write(inside, "c.csv", "Proposal", "Qualified"), "--compare", "--yes", "--json")
    assert same.outcomes == {"unchanged": 1, "updated": 1}
    checked = inside("check", write(inside, "d.csv", "Negotiation"), "--compare", "--json")
    changes = openpyxl.load_workbook(checked.object["results"])["Changes"]
    assert "Proposal" in [cell.value for cell in changes[2]]
    done = inside("run", "d.csv", "--compare", "--yes", "--json")
    assert done.outcomes == {"updated": 1}
    undone = inside("undo", done.object["run"], "--json")
    assert undone.object["rows"] == 1
    data = openpyxl.load_workbook(undone.object["undo"])["Data"]
    assert "Proposal" in [cell.value for cell in data[2]]


def test_undo_knows_names_that_were_learned_after_the_run(inside: Inside) -> None:
    """The run itself had been told no names; without the file they are not known, and with another account neither."""
    inside("run", write(inside, "a.csv", "Proposal"), "--yes", "--json")
    done = inside("run", write(inside, "b.csv", "Negotiation"), "--compare", "--yes", "--json")
    assert inside("undo", done.object["run"], "--json").object["not_possible"] == 1
    teach(inside)
    assert inside("undo", done.object["run"], "--json").object == {
        "schema": 1, "command": "undo", "exit_code": 0,
        "undo": str(inside.folder / "runs" / done.object["run"] / "undo.xlsx"), "rows": 1, "not_possible": 0,
    }  # fmt: skip
    config = (inside.folder / "config.yaml").read_text("utf-8")
    (inside.folder / "config.yaml").write_text(config.replace("token:", "headers: {X-Tenant: '7'}, token:"), "utf-8")
    assert inside("undo", done.object["run"], "--json").object["not_possible"] == 1


def test_another_account_is_not_told_by_the_ids_of_the_first(inside: Inside) -> None:
    """The same id may be another name there, so nothing counts as unchanged because of it."""
    inside("run", write(inside, "a.csv", "Proposal"), "--yes", "--json")
    teach(inside)
    inside("run", write(inside, "b.csv", "Proposal"), "--yes", "--json")
    config = (inside.folder / "config.yaml").read_text("utf-8")
    (inside.folder / "config.yaml").write_text(config.replace("token:", "headers: {X-Tenant: '7'}, token:"), "utf-8")
    done = inside("run", write(inside, "c.csv", "Proposal"), "--compare", "--yes", "--json")
    assert done.outcomes == {"updated": 1}


@pytest.mark.one_process("it is about the file names.json")
@pytest.mark.parametrize("content", [b"", b"{", b'{"lists": [{"api": 5}]}', b"\xff\xfe", b"[]"])
def test_a_damaged_file_is_told_and_replaced(inside: Inside, content: bytes) -> None:
    """It counts as empty, with a note; the next refusal writes it again."""
    teach(inside)
    path = inside.folder / "runs" / "names.json"
    path.write_bytes(content)
    file = write(inside, "c.csv", "Nonsense", first=801)
    checked = inside("check", file, "--json")
    assert checked.outcomes == {"planned": 1}
    (note,) = checked.object["notes"]
    assert note.startswith(f"The file of known names {path} is damaged")
    assert "is damaged" in inside("template", "t.xlsx").err
    assert inside("run", file, "--yes", "--json").outcomes == {"rejected": 1}
    assert [one["field"] for one in remembered(inside)] == ["CategoryName", "StageName"]


@pytest.mark.one_process("it is about the file names.json")
def test_a_deleted_file_is_forgotten_and_one_in_its_place_harms_nothing(inside: Inside) -> None:
    """Deleting is safe; a folder of that name is a note, and the run ends as it would."""
    teach(inside)
    path = inside.folder / "runs" / "names.json"
    path.unlink()
    file = write(inside, "c.csv", "Nonsense", first=801)
    assert inside("check", file, "--json").object["notes"] == []
    path.mkdir()
    done = inside("run", file, "--yes", "--json")
    assert done.outcomes == {"rejected": 1}
    assert "cannot be read" in done.object["notes"][0]
    assert path.is_dir()


def test_names_of_other_apis_stay(inside: Inside) -> None:
    """Each API has lists of its own."""
    teach(inside)
    with sandbox() as other:
        configure(inside.folder, other.url)
        teach(inside)
    assert len({one["api"] for one in remembered(inside)}) == 2


def test_a_comparison_that_is_refused_teaches_names_too(tmp_path: Path) -> None:
    """Where reading a record is answered with a list, nothing was sent, and the list is kept all the same."""
    refusal = {"Message": "No such stage.", "AvailableStages": [{"StageID": 4, "StageName": "Won"}]}
    inside = Inside(tmp_path)
    with Api(readings={"501": [status(400, json.dumps(refusal))]}) as api:
        configure(tmp_path, api.url)
        done = inside("check", write(inside, "a.csv", "Proposal"), "--compare", "--json")
    assert done.outcomes == {"rejected": 1}
    assert [name["name"] for one in remembered(inside) for name in one["names"]] == ["Won"]
