"""What a person reads in the workbook of rows that the API did not take: its reason, told once, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure
from tests.sender.server import Api, ok, status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.program import Done

pytestmark = pytest.mark.usefixtures("store")

TWO = "OpportunityId,opportunityType,StageName\n501,Pre,Qualified\n502,Pre,Qualified\n"
LOCKED = {"Message": "Record is locked by another user. Try again."}
REFUSALS = (
    (
        400,
        {
            "type": "x",
            "title": "One or more validation errors occurred.",
            "status": 400,
            "errors": {"$.AcctPotential": ["The value could not be converted to a decimal."]},
        },
        "AcctPotential: The value could not be converted to a decimal.",
    ),
    (
        400,
        [{"errorCode": "CUSTOM", "message": "Close date may not lie in the past", "fields": ["PendingCloseDate"]}],
        "PendingCloseDate: Close date may not lie in the past",
    ),
    (
        422,
        {
            "errors": [
                {"field": "AcctPotential", "message": "must be greater than 0"},
                {"field": "StageName", "message": "is closed"},
            ]
        },
        "AcctPotential: must be greater than 0; StageName: is closed",
    ),
)


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    return Inside(tmp_path)


def to_fix(done: Done) -> dict[int, tuple[str, str, str]]:
    """Return outcome, 'What is wrong' and 'What to do' of each row on the sheet."""
    rows = openpyxl.load_workbook(done.object["results"])["To fix"].iter_rows(min_row=2, max_col=4, values_only=True)
    return {int(str(row)): (str(kind), str(wrong), str(todo)) for row, kind, wrong, todo in rows}


@pytest.mark.parametrize(("code", "body", "reason"), REFUSALS)
def test_a_reason_inside_an_answer_is_told(inside: Inside, code: int, body: object, reason: str) -> None:
    """Status, reason and field are what is wrong; the advice refers to a message that is there."""
    (inside.folder / "two.csv").write_text(TWO, encoding="utf-8")
    with Api(usual=status(code, json.dumps(body))) as api:
        configure(inside.folder, api.url)
        done = inside("run", "two.csv", "--yes", "--json")
    assert (done.code, done.outcomes) == (1, {"rejected": 2})
    outcome, wrong, todo = to_fix(done)[2]
    assert outcome == "rejected"
    assert wrong.startswith(f"Nexus refused it ({code} ")
    assert reason in wrong
    assert todo == "Correct what the message names, then run this row again."


@pytest.mark.parametrize("code", [423, 409])
def test_a_record_that_is_locked_for_a_moment_is_tried_again(inside: Inside, code: int) -> None:
    """If the lock passes the row is updated; if it stays, no cell is wrong and the same command goes on."""
    (inside.folder / "two.csv").write_text(TWO, encoding="utf-8")
    locked = status(code, LOCKED)
    with Api(script={"501": [locked], "502": [locked] * 3}) as api:
        configure(inside.folder, api.url)
        first = inside("run", "two.csv", "--yes", "--json")
        assert (first.code, first.outcomes, api.requests(501)) == (3, {"updated": 1, "failed": 1}, 2)
        outcome, wrong, todo = to_fix(first)[3]
        assert outcome == "failed"
        assert wrong.endswith(f": {LOCKED['Message']}")
        assert todo.startswith("Run again:")
        second = inside("run", "two.csv", "--yes", "--json")
        assert (second.code, second.outcomes, api.requests(501)) == (0, {"updated": 2}, 2)


def test_a_refused_name_is_told_once_and_the_advice_belongs_to_its_cell(inside: Inside) -> None:
    """The message names it, the remedy its cell; another fault of the row keeps its own advice."""
    (inside.folder / "names.csv").write_text(
        "OpportunityId,opportunityType,OpportunityName,StageName\n1,Pre,x,Propsal\n2,Pre,x,qualified\n3,Pre,x,Lost\n",
        encoding="utf-8",
    )
    lists = {"AvailableStages": [{"StageID": 1, "StageName": "Qualified"}, {"StageID": 2, "StageName": "Proposal"}]}
    about_stage = {"ValidationMessage": "Stage 'Propsal' not found.", **lists}
    about_name = {"ValidationMessage": "Name too short.", **lists}
    with Api(
        script={"1": [status(400, about_stage)], "2": [status(400, about_name)], "3": [status(400, about_name)]}
    ) as api:
        configure(inside.folder, api.url, "sending: {rate_per_s: 1000, concurrency: 1}\ninput: {columns: {}}\n")
        rows = to_fix(inside("run", "names.csv", "--yes", "--json"))
    assert rows[2] == (
        "rejected", "Nexus refused it (400 Bad Request): Stage 'Propsal' not found.",
        "StageName (D2): Did you mean 'Proposal'?",
    )  # fmt: skip
    assert rows[3] == (
        "rejected", "Nexus refused it (400 Bad Request): Name too short.",
        "Correct what the message names, then run this row again.",
    )  # fmt: skip
    assert rows[4][0] == "invalid"  # the API has listed its names, and this one was not sent


def test_a_name_that_the_answer_explains_under_its_field_is_told_in_those_words_alone(inside: Inside) -> None:
    """The cell is named once, beside its remedy; the other field that is wrong keeps the general advice."""
    (inside.folder / "names.csv").write_text(
        "OpportunityId,opportunityType,CategoryName,SalesRevenue\n1,Pre,New,5\n", encoding="utf-8"
    )
    answer = {
        "errors": {"CategoryName": ["unknown"], "SalesRevenue": ["too low"]}, "ValidationMessage": "2 errors",
        "AvailableCategories": [{"CategoryID": 1, "CategoryName": "New Business"}],
    }  # fmt: skip
    with Api(usual=status(400, answer)) as api:
        configure(inside.folder, api.url)
        done = inside("run", "names.csv", "--yes", "--json")
    _, wrong, todo = to_fix(done)[2]
    assert wrong == "Nexus refused it (400 Bad Request): 2 errors; CategoryName: unknown; SalesRevenue: too low"
    assert todo.splitlines() == [
        "Correct what the message names, then run this row again.",
        "CategoryName (C2): Valid are: New Business.",
    ]
    sheet = openpyxl.load_workbook(done.object["results"])["To fix"]
    assert [cell.comment.text for cell in sheet[2] if cell.comment] == [
        "CategoryName: unknown. Valid are: New Business.", "SalesRevenue: too low",
    ]  # fmt: skip


def test_the_terminal_names_the_setting_where_every_update_is_only_accepted(inside: Inside) -> None:
    """The same command again would end the same way for ever; with the setting the rows are updated."""
    (inside.folder / "two.csv").write_text(TWO, encoding="utf-8")
    with Api(usual=status(202, "<html>queued</html>")) as api:
        configure(inside.folder, api.url)
        first = inside("run", "two.csv", "--yes")
        assert first.code == 3
        causes = " ".join(first.out.partition("Most common causes:")[2].split())
        assert "set api.accepted_is_done: true" in causes
        config = inside.folder / "config.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("timeout_s", "accepted_is_done: true, timeout_s", 1), encoding="utf-8")
        second = inside("run", "two.csv", "--yes", "--json")
    assert second.outcomes == {"updated": 2}


def test_what_is_wrong_with_two_cells_has_an_advice_for_each(inside: Inside) -> None:
    """Each remedy names its cells, and one that several share is told once."""
    (inside.folder / "two.csv").write_text(
        "OpportunityId,opportunityType,AcctPotential,SalesRevenue,PendingCloseDate\n1,Pre,5 kg,6 kg,03/04/2025\n",
        encoding="utf-8",
    )
    with Api(usual=ok) as api:
        configure(inside.folder, api.url)
        _, wrong, todo = to_fix(inside("run", "two.csv", "--yes", "--json"))[2]
    assert len(wrong.splitlines()) == 3
    amounts, day = todo.splitlines()
    assert amounts.startswith("AcctPotential (C2); SalesRevenue (D2): ")
    assert day.startswith("PendingCloseDate (E2): ")
