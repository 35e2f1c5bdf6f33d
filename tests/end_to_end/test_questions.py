"""Whatever has more than one answer is asked on a terminal; elsewhere the message lists the options that answer it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import openpyxl
import pytest

from tests.end_to_end.program import Sandbox, batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import dialogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEYS = ("Id", "Type")
NO_NAME = ("Name (Enter: c, - for no) >", "-")
SEND = ("[y/N]", "y")


class Case(NamedTuple):
    """A file that leaves one thing open."""

    sheets: dict[str, Sequence[Sequence[object]]]
    asked: str
    """What the question says."""
    answers: Sequence[tuple[str, str]]
    """What a person types at which prompt."""
    options: Sequence[str]
    """The same as options."""
    line: str
    """How the message offers them."""
    bodies: Sequence[dict[str, Any]]
    hidden: Sequence[str] = ()
    """Hidden sheets."""
    hidden_rows: Sequence[int] = ()


def rows(header: str, *values: object, keys: Sequence[str] = KEYS) -> list[list[object]]:
    """Return rows of one column beside those that every row needs."""
    return [[*keys, header], *([at, "Pre", value] for at, value in enumerate(values, 1))]


NAMED = rows("OpportunityName", "x")
CASES = {
    "sheet": Case(
        {"Q1": NAMED, "Q2": rows("OpportunityName", "y", "z")}, "Which sheet is to be read?",
        [("1-2, q to cancel >", "2")], ["--sheet", "Q2"], "--sheet Q2   'Q2' (2 rows)",
        [{"OpportunityName": "y"}, {"OpportunityName": "z"}],
    ),
    "hidden sheet": Case(
        {"Read me": [["Fill in the other sheet"]], "Data": NAMED}, "Which sheet is to be read?",
        [("1-1, q to cancel >", "1")], ["--sheet", "Data"], "--sheet Data   the hidden sheet 'Data'",
        [{"OpportunityName": "x"}], hidden=["Data"],
    ),
    "header row": Case(
        {"Data": [["Changes of March"], ["by Dana"], *NAMED]}, "Which row holds the headers?",
        [("Enter: 1, or 1-2, q to cancel >", "")], ["--header-row", "3"], "--header-row 3",
        [{"OpportunityName": "x"}],
    ),
    "a column that may be several fields": Case(
        {"Data": rows("opportunityid", "C-5")}, "Which field is C1 ('opportunityid')?",
        [("q to cancel >", "1")], ["--map", "opportunityid=OpportunityID"],
        "--map opportunityid=OpportunityID   OpportunityID (", [{"OpportunityID": "C-5"}],
    ),
    "a column close to a field": Case(
        {"Data": rows("Sales Stage", "Qualified")}, "Which field is C1 ('Sales Stage')?",
        [("q to cancel >", "1")], ["--map", "Sales Stage=StageName"],
        '--map "Sales Stage=StageName"   StageName (stage)', [{"StageName": "Qualified"}],
    ),
    "two columns for one field": Case(
        {"Data": [[*KEYS, "StageName", "Stage Name"], [1, "Pre", "Qualified", "Proposal"]]},
        "Which column is StageName (stage)? No other is sent.",
        [("1-2, q to cancel >", "2")], ["--map", "StageName="],
        "--map StageName=   D1 ('Stage Name'), which begins with 'Proposal'", [{"StageName": "Proposal"}],
    ),
    "a required field without a column": Case(
        {"Data": rows("OpportunityName", "x", keys=("Deal", "Type"))}, "which every row needs?",
        [("1-1, q to cancel >", "1")], ["--map", "Deal=OpportunityId"],
        "--map Deal=OpportunityId   A1 ('Deal'), which begins with 1", [{"OpportunityName": "x"}],
    ),
    "date order": Case(
        {"Data": rows("PendingCloseDate", "13/01/2026", "03/04/2026")},
        "The one date of 'PendingCloseDate' that can tell is day/month, none the other way",
        [("Enter: 1, or 1-2, q to cancel >", "")], ["--date-order", "PendingCloseDate=DMY"],
        "--date-order PendingCloseDate=DMY   day/month: 03/04/2025 is 3 April 2025",
        [{"PendingCloseDate": "2026-01-13"}, {"PendingCloseDate": "2026-04-03"}],
    ),
    "century": Case(
        {"Data": rows("PendingCloseDate", "13 Jan 26")}, "Which hundred years are the two digits of",
        [("1-3, q to cancel >", "2")], ["--two-digit-years", "PendingCloseDate=2000"],
        "--two-digit-years PendingCloseDate=2000   2000 to 2099", [{"PendingCloseDate": "2026-01-13"}],
    ),
    "decimal mark": Case(
        {"Data": rows("SalesRevenue", "1.500", "2.500", 1234.5)}, "What is the decimal mark of 'SalesRevenue'",
        [("1-2, q to cancel >", "2")], ["--decimal", "SalesRevenue=,"],
        "--decimal SalesRevenue=,   a comma: 1.500 is 1500",
        [{"SalesRevenue": 1500}, {"SalesRevenue": 2500}, {"SalesRevenue": 1234.5}],
    ),
    "clear marker": Case(
        {"Data": rows("SalesRevenue", "#clear", "#clear", 5)}, "Does '#clear' empty the field in",
        [("1-2, q to cancel >", "1")], ["--clear-marker", "SalesRevenue=#clear"],
        '--clear-marker "SalesRevenue=#clear"   yes, as #CLEAR does',
        [{"SalesRevenue": None}, {"SalesRevenue": None}, {"SalesRevenue": 5}],
    ),
    "hidden rows": Case(
        {"Data": rows("OpportunityName", "x", "y", "z")}, "1 row is hidden (filtered, or by hand)",
        [("1-2, q to cancel >", "1")], ["--visible-only"], "--visible-only   visible only: it is left out",
        [{"OpportunityName": "x"}, {"OpportunityName": "z"}], hidden_rows=[3],
    ),
    "rows below the table": Case(
        {"Data": [*rows("SalesRevenue", 100, 200), ["Total", None, 300]]}, "Row 4: The row holds totals, not a record.",
        [("Enter: 1, or 1-2, q to cancel >", "")], ["--without-totals"],
        "--without-totals   yes: it is no part of the data", [{"SalesRevenue": 100}, {"SalesRevenue": 200}],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Any:
    with sandbox() as running:
        yield running


def write(case: Case, folder: Path, url: str) -> None:
    """Write the workbook and a configuration into a new folder."""
    folder.mkdir()
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, content in case.sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name in case.hidden else "visible"
        for row in content:
            sheet.append(row)
        for number in case.hidden_rows:
            sheet.row_dimensions[number].hidden = True
    book.save(folder / "c.xlsx")
    configure(folder, url)


def sent(api: Sandbox, before: int) -> list[Any]:
    """Return what has been sent since, in the order of the records."""
    requests = sorted(api.requests()[before:], key=lambda request: request["path"])
    return [(request["path"], json.loads(request["body"])) for request in requests]


@pytest.mark.parametrize("name", CASES)
def test_a_question_is_answered_on_a_terminal_or_by_the_option_that_the_message_names(
    tmp_path: Path, api: Sandbox, name: str
) -> None:
    """Without a terminal: exit 2 and nothing sent; then both ways send the same."""
    case = CASES[name]
    for folder in ("asked", "told"):
        write(case, tmp_path / folder, api.url)
    before = len(api.requests())
    refused = batch_updater("run", "c.xlsx", cwd=tmp_path / "told")
    refused_json = batch_updater("run", "c.xlsx", "--json", cwd=tmp_path / "told")
    assert (refused.code, refused_json.code, len(api.requests())) == (2, 2, before)
    assert f"\n    {case.line}" in refused.err
    assert f"    {case.line}" in refused_json.object["error"]["remedy"]
    assert not list((tmp_path / "told" / "runs").glob("2*"))

    done = batch_updater("run", "c.xlsx", *case.options, "--json", cwd=tmp_path / "told")
    by_option = sent(api, before)
    assert (done.object["rows"], done.outcomes.get("invalid")) == (len(case.bodies), None), done.err + done.out
    assert [body for _, body in by_option] == list(case.bodies)

    before = len(api.requests())
    code, shown = dialogue([*case.answers, NO_NAME, SEND], tmp_path / "asked", "run", "c.xlsx")
    assert code == done.code, shown
    assert case.asked in " ".join(shown.split())
    assert sent(api, before) == by_option
