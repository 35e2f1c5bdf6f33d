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
NO_NAME = ("Name (Enter for c,", "-")
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
        [("1-2, or q to cancel >", "2")], ["--sheet", "Q2"], "--sheet Q2   'Q2' (2 rows)",
        [{"OpportunityName": "y"}, {"OpportunityName": "z"}],
    ),
    "hidden sheet": Case(
        {"Read me": [["Fill in the other sheet"]], "Data": NAMED}, "Which sheet is to be read?",
        [("1, or q to cancel >", "1")], ["--sheet", "Data"], "--sheet Data   the hidden sheet 'Data'",
        [{"OpportunityName": "x"}], hidden=["Data"],
    ),
    "header row": Case(
        {"Data": [["Changes of March"], ["by Dana"], *NAMED]}, "Which row holds the headers?",
        [("Enter for 1, or 1-2, or q to cancel >", "")], ["--header-row", "3"], "--header-row 3",
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
        [("1-2, or q to cancel >", "2")], ["--map", "StageName="],
        "--map StageName=   D1 ('Stage Name'), which begins with 'Proposal'", [{"StageName": "Proposal"}],
    ),
    "two columns with the same header": Case(
        {"Data": [[*KEYS, "StageName", "StageName"], [1, "Pre", "Qualified", "Proposal"]]},
        "1 C1 ('StageName'), which begins with 'Qualified' 2 D1 ('StageName'), which begins with 'Proposal'",
        [("1-2, or q to cancel >", "2")], ["--map", "StageName #1="],
        """--map "StageName #1=" --map "StageName #2=StageName"   D1 ('StageName'), which begins with 'Proposal'""",
        [{"StageName": "Proposal"}],
    ),
    "a required field without a column": Case(
        {"Data": rows("OpportunityName", "x", keys=("Deal", "Type"))}, "which every row needs?",
        [("1, or q to cancel >", "1")], ["--map", "Deal=OpportunityId"],
        "--map Deal=OpportunityId   A1 ('Deal'), which begins with 1", [{"OpportunityName": "x"}],
    ),
    "date order": Case(
        {"Data": rows("PendingCloseDate", "13/01/2026", "14/01/2026", "15/01/2026", "03/04/2026", "05/06/2026")},
        "All 3 dates of 'PendingCloseDate' that can tell are day/month, none the other way",
        [("Enter for 1, or 1-2, or q to cancel >", "")], ["--date-order", "PendingCloseDate=DMY"],
        "--date-order PendingCloseDate=DMY   day/month: 03/04/2026 is 3 April 2026",
        [{"PendingCloseDate": f"2026-{day}"} for day in ("01-13", "01-14", "01-15", "04-03", "06-05")],
    ),
    "century": Case(
        {"Data": rows("PendingCloseDate", "13 Jan 26", "14 Jan 26")}, "Which century are the years of",
        [("1-3, or q to cancel >", "2")], ["--two-digit-years", "PendingCloseDate=2000"],
        "--two-digit-years PendingCloseDate=2000   2000 to 2099",
        [{"PendingCloseDate": "2026-01-13"}, {"PendingCloseDate": "2026-01-14"}],
    ),
    "decimal mark": Case(
        {"Data": rows("SalesRevenue", "1.500", "2.500", 1234.5)}, "What is the decimal mark of 'SalesRevenue'",
        [("1-2, or q to cancel >", "2")], ["--decimal", "SalesRevenue=,"],
        "--decimal SalesRevenue=,   a comma: 1.500 is 1500",
        [{"SalesRevenue": 1500}, {"SalesRevenue": 2500}, {"SalesRevenue": 1234.5}],
    ),
    "clear marker": Case(
        {"Data": rows("SalesRevenue", "#clear", "#clear", 5)}, "2 cells hold '#clear'; #CLEAR is what empties",
        [("1-2, or q to cancel >", "1")], ["--clear-marker", "SalesRevenue=#clear"],
        '--clear-marker "SalesRevenue=#clear"   yes, as #CLEAR does',
        [{"SalesRevenue": None}, {"SalesRevenue": None}, {"SalesRevenue": 5}],
    ),
    "hidden rows": Case(
        {"Data": rows("OpportunityName", "x", "y", "z")}, "1 row is hidden (filtered, or by hand)",
        [("1-2, or q to cancel >", "1")], ["--visible-only"], "--visible-only   no: it is left out",
        [{"OpportunityName": "x"}, {"OpportunityName": "z"}], hidden_rows=[3],
    ),
    "rows below the table": Case(
        {"Data": [*rows("SalesRevenue", 100, 200), ["Total", None, 300]]}, "Row 4 holds totals, not a record.",
        [("Enter for 1, or 1-2, or q to cancel >", "")], ["--without-totals"],
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
    names = [] if case.hidden_rows else [NO_NAME]  # which rows are hidden is no matter of other files
    code, shown = dialogue([*case.answers, *names, SEND], tmp_path / "asked", "run", "c.xlsx")
    assert (code, "Remember this" in shown) == (done.code, bool(names)), shown
    assert case.asked in " ".join(shown.split())
    assert sent(api, before) == by_option


def test_a_field_that_was_just_given_to_a_column_is_not_offered_for_another(tmp_path: Path, api: Sandbox) -> None:
    """The second column may be left out, or be another field."""
    data: list[list[object]] = [[*KEYS, "Sales Stage", "Stage of sale"], [1, "Pre", "Qualified", "Proposal"]]
    write(Case({"Data": data}, "", [], [], "", []), tmp_path / "a", api.url)
    before = len(api.requests())
    answers = [("q to cancel >", "1"), ("q to cancel >", "1"), NO_NAME, SEND]
    code, shown = dialogue(answers, tmp_path / "a", "run", "c.xlsx")
    assert code == 0, shown
    first, second = shown.split("Question 2 of 2:")
    assert "1  StageName (stage)" in first
    assert "1  not sent" in second.partition("q to cancel")[0]
    assert [body for _, body in sent(api, before)] == [{"StageName": "Qualified"}]


def test_an_answer_that_is_none_is_told_what_is_expected(tmp_path: Path, api: Sandbox) -> None:
    """Enter where nothing is proposed, a number that is not offered, a word."""
    write(CASES["century"], tmp_path / "a", api.url)
    answers = [("q to cancel >", answer) for answer in ("", "0", "99", "abc", "2")]
    code, shown = dialogue([*answers, NO_NAME], tmp_path / "a", "check", "c.xlsx")
    assert (code, shown.count("Answer with a number from 1 to 3.")) == (0, 4), shown


def test_a_sheet_without_rows_is_not_offered(tmp_path: Path, api: Sandbox) -> None:
    """If one alone has rows below its headers it is read, and a note says so."""
    data: dict[str, Sequence[Sequence[object]]] = {"Empty": NAMED[:1], "Q1": NAMED, "Q2": NAMED}
    write(Case(data, "", [], [], "", []), tmp_path / "a", api.url)
    refused = batch_updater("check", "c.xlsx", cwd=tmp_path / "a")
    assert "--sheet Q1   'Q1' (1 row)\n    --sheet Q2   'Q2' (1 row)" in refused.err
    assert "Empty" not in refused.err
    write(Case({"Empty": NAMED[:1], "Q1": NAMED}, "", [], [], "", []), tmp_path / "b", api.url)
    done = batch_updater("check", "c.xlsx", "--json", cwd=tmp_path / "b")
    assert (done.code, done.object["sheet"]) == (0, "Q1")
    assert 'The sheet "Q1" is read: it alone has rows below its headers.' in done.object["notes"]


def test_options_that_contradict_each_other_are_named(tmp_path: Path, api: Sandbox) -> None:
    """None of them wins silently; the same said twice is no contradiction."""
    write(Case({"Data": NAMED}, "", [], [], "", []), tmp_path / "a", api.url)

    def check(*options: str) -> Any:
        return batch_updater("check", "c.xlsx", *options, cwd=tmp_path / "a")

    refused = check("--map", "Deal size=StageName", "--map", "Deal size=")
    assert (refused.code, refused.err.splitlines()[0]) == (
        2, 'batch-updater: --map "Deal size=StageName" and --map "Deal size=" contradict each other.',
    )  # fmt: skip
    refused = check("--date-order", "DMY", "--date-order", "MDY")
    assert "--date-order DMY and --date-order MDY contradict each other." in refused.err
    for one, other in (("--visible-only", "--all-rows"), ("--without-totals", "--with-totals")):
        refused = check(other, one)
        assert refused.code == 2
        assert refused.err.startswith(f"batch-updater: {one} and {other} contradict each other.")
    assert check("--date-order", "DMY", "--date-order", "DMY").code == 0


PRICES: list[list[object]] = [[*KEYS, "StageName", "Price", "Price"], [1, "Pre", "Qualified", 10, 20]]


@pytest.mark.parametrize(
    ("one", "other", "cell"),
    [
        ("StageName=StageName", "stagename=", "C1"),
        ("Price #1=SalesRevenue", "Price=", "D1"),
        ("price=", "PRICE #2=SalesRevenue", "E1"),
    ],
)
def test_options_that_spell_one_header_in_two_ways_contradict_each_other_in_any_order(
    tmp_path: Path, api: Sandbox, one: str, other: str, cell: str
) -> None:
    """Which column each is about is known only when the file is read."""
    write(Case({"Data": PRICES}, "", [], [], "", []), tmp_path / "a", api.url)
    for first, second in ((one, other), (other, one)):
        refused = batch_updater("check", "c.xlsx", "--map", first, "--map", second, cwd=tmp_path / "a")
        both = " and ".join(typed_map(option) for option in (first, second))
        assert (refused.code, refused.err.splitlines()[:2]) == (
            2,
            [
                f"batch-updater: {both} contradict each other: both are about column {cell}.",
                "Leave one of them out.",
            ],
        )


def typed_map(option: str) -> str:
    return f'--map "{option}"' if " " in option else f"--map {option}"


def test_a_person_overrides_an_option_however_it_spells_the_header(tmp_path: Path, api: Sandbox) -> None:
    """Both columns were said to be one field: the one that was not chosen is not sent, and nothing contradicts."""
    write(Case({"Data": PRICES}, "", [], [], "", []), tmp_path / "a", api.url)
    before = len(api.requests())
    code, shown = dialogue(
        [("q to cancel >", "2"), NO_NAME, SEND], tmp_path / "a", "run", "c.xlsx", "--map", "price=SalesRevenue"
    )
    assert code == 0, shown
    assert [body for _, body in sent(api, before)] == [{"StageName": "Qualified", "SalesRevenue": 20}]


WORTH: list[list[object]] = [[*KEYS, "Sales Stage", "Worth"], [1, "Pre", "Qualified", 10]]


def test_an_option_with_a_mistyped_header_is_what_is_to_be_corrected(tmp_path: Path, api: Sandbox) -> None:
    """The nearest header is proposed; on a terminal the other questions are asked too."""
    write(Case({"Data": WORTH}, "", [], [], "", []), tmp_path / "a", api.url)
    before = len(api.requests())
    options = ("--map", "Wroth=SalesRevenue")
    refused = batch_updater("run", "c.xlsx", *options, cwd=tmp_path / "a")
    assert refused.code == 2
    assert (
        "There is no column 'Wroth', of which an option or answer says something. Did you mean 'Worth'?" in refused.err
    )
    assert "\nCorrect the option:\n    --map Worth=SalesRevenue   D1 ('Worth')\n" in refused.err
    known = ("--map", "Sales Stage=StageName")
    alone = batch_updater("run", "c.xlsx", "--map", "qqq=SalesRevenue", *known, cwd=tmp_path / "a")
    assert "Correct the option, or leave it out." in alone.err
    assert "Correct the header row" not in alone.err
    answers = [("q to cancel >", "1"), ("q to cancel >", "1"), NO_NAME, SEND]
    code, shown = dialogue(answers, tmp_path / "a", "run", "c.xlsx", *options)
    assert code == 0, shown
    assert [body for _, body in sent(api, before)] == [{"StageName": "Qualified", "SalesRevenue": 10}]


UNKNOWN: list[list[object]] = [[*KEYS, "Sales Stage", "Deal", "Owner"], [1, "Pre", "Qualified", "big deal", "Dana D"]]


@pytest.mark.parametrize(
    ("answers", "body"),
    [
        (["1", "1"], {"StageName": "Qualified"}),
        (["1", "2", "2", "1"], {"StageName": "Qualified", "OpportunityName": "big deal"}),
    ],
)
def test_columns_of_which_nothing_is_known_are_asked_about_together(
    tmp_path: Path, api: Sandbox, answers: list[str], body: dict[str, Any]
) -> None:
    """Either all are left out, or they are asked about one by one; elsewhere the message names them."""
    case = Case({"Data": UNKNOWN}, "", [], [], "", [])
    write(case, tmp_path / "a", api.url)
    refused = batch_updater("run", "c.xlsx", cwd=tmp_path / "a")
    assert refused.code == 2
    assert "Nothing says which field they are: D1 ('Deal'), E1 ('Owner')." in refused.err
    before = len(api.requests())
    prompts = [("q to cancel >", answer) for answer in answers]
    code, shown = dialogue([*prompts, NO_NAME, SEND], tmp_path / "a", "run", "c.xlsx")
    assert code == 0, shown
    assert [sent_body for _, sent_body in sent(api, before)] == [body]


MANY: list[list[object]] = [
    [*KEYS, "Sales Stage", "PendingCloseDate", "SalesRevenue"],
    [1, "Pre", "Qualified", "03/04/2026", 10],
    [2, "Pre", "Proposal", "13/04/2026", 20],
    [3, "Pre", "Proposal", "05/04/2026", 30],
    ["Total", None, None, None, 60],
    [None, None, "checked by Dana", None, None],
]


def test_every_open_question_is_listed_at_once(tmp_path: Path, api: Sandbox) -> None:
    """Exit 2 with all of them and an option for each, also with --yes on a terminal; nothing is sent."""
    write(Case({"Data": MANY}, "", [], [], "", [], hidden_rows=[3]), tmp_path / "a", api.url)
    before, mapped = len(api.requests()), ("--map", "Sales Stage=StageName")
    refused = batch_updater("run", "c.xlsx", *mapped, "--json", cwd=tmp_path / "a")
    lines = refused.object["error"]["message"].splitlines()
    assert (refused.code, lines[0]) == (2, "Nothing was sent: 3 questions are open about c.xlsx.")
    options = [line.split()[0] for line in refused.object["error"]["remedy"].splitlines() if line.startswith("    ")]
    assert options == ["--visible-only", "--all-rows", *["--date-order"] * 2, "--without-totals", "--with-totals"]
    code, shown = dialogue([], tmp_path / "a", "run", "c.xlsx", *mapped, "--yes")
    assert (code, "3 questions are open" in " ".join(shown.split())) == (2, True)
    assert len(api.requests()) == before


@pytest.mark.parametrize("command", [("check",), ("check", "--compare"), ("columns",)])
def test_check_and_columns_ask_as_well(tmp_path: Path, api: Sandbox, command: tuple[str, ...]) -> None:
    """Several rounds of questions, none about a sheet without rows; then nothing is asked any more."""
    data: list[list[object]] = [["March"], *MANY[:-1]]
    write(Case({"Notes": [["Ask Dana"]], "Data": data}, "", [], [], "", []), tmp_path / "a", api.url)
    answers = [("q to cancel >", "1")] * 2
    if command[0] == "check":
        answers += [("1-2, or q to cancel >", "1"), ("Enter for 1, or 1-2", "")]
    code, shown = dialogue([*answers, ("Name (Enter for c,", "")], tmp_path / "a", *command, "c.xlsx")
    assert code == 0, shown
    again = batch_updater(*command, "c.xlsx", "--json", cwd=tmp_path / "a")
    assert again.code == 0, again.out
    assert "The layout 'c' is used." in again.object["notes"]
    if command[0] == "check":
        assert again.outcomes in ({"planned": 3}, {"unchanged": 3})
        assert f"{' '.join(('run c.xlsx', *command[1:]))}\n" in shown.replace("\r", "")


def test_a_check_without_a_terminal_notes_the_questions(tmp_path: Path, api: Sandbox) -> None:
    """Cells that are open stay problems; the notes name the options, and the next command has those given."""
    write(Case({"Data": MANY}, "", [], [], "", [], hidden_rows=[3]), tmp_path / "a", api.url)
    done = batch_updater("check", "c.xlsx", "--map", "Sales Stage=StageName", cwd=tmp_path / "a")
    assert done.code == 1
    assert "--date-order PendingCloseDate=DMY   day/month" in done.out
    assert "--visible-only   no: it is left out" in done.out
    assert "--without-totals" in done.out
    assert 'batch-updater check c.xlsx --map "Sales Stage=StageName"' in done.out.replace("'", '"')
    summary = openpyxl.load_workbook(tmp_path / "a" / "c-check.xlsx")["Summary"]
    told = "\n".join(str(cell) for row in summary.values for cell in row if cell)
    assert "check c.xlsx --map 'Sales Stage=StageName'" in told


@pytest.mark.parametrize("is_visible_only", [False, True])
def test_rows_that_are_left_out_below_the_table_add_up(tmp_path: Path, api: Sandbox, is_visible_only: bool) -> None:
    """Row numbers are those of the file, no row is without an outcome, and a note names what is left out."""
    folder = tmp_path / "a"
    write(Case({"Data": MANY}, "", [], [], "", [], hidden_rows=[3]), folder, api.url)
    options = ["--map", "Sales Stage=StageName", "--date-order", "DMY", "--without-totals", "--annotate"]
    options.append("--visible-only" if is_visible_only else "--all-rows")
    done = batch_updater("run", "c.xlsx", *options, "--json", cwd=folder)
    numbers = [2, 4] if is_visible_only else [2, 3, 4]
    assert (done.code, done.object["rows"], done.outcomes) == (0, len(numbers), {"updated": len(numbers)})
    assert "2 rows are left out, as you said: 5, 6 hold totals or remarks, no records." in done.object["notes"]
    again = batch_updater("report", done.object["run"], "--json", "--results", "again.xlsx", cwd=folder)
    assert (again.outcomes, again.object["notes"]) == (done.outcomes, done.object["notes"])
    for path in (done.object["results"], folder / "again.xlsx"):
        book = openpyxl.load_workbook(path)
        assert [row[0] for row in book["All rows"].iter_rows(min_row=2, values_only=True)] == numbers
        assert ("rows_below", "leave out") in [row[:2] for row in book["Settings"].values]
    (annotated,) = folder.rglob("*-annotated.xlsx")
    sheet = openpyxl.load_workbook(annotated)["Data"]
    told = {row[0].row for row in sheet.iter_rows(min_row=2) if any(cell.value == "updated" for cell in row)}
    assert told == set(numbers)
    judged = batch_updater("check", "c.xlsx", *options[:4], "--with-totals", "--all-rows", "--json", cwd=folder)
    assert judged.outcomes == {"planned": 3, "invalid": 2}


def test_a_q_at_the_name_of_a_layout_cancels(tmp_path: Path, api: Sandbox) -> None:
    """As at any other question: no layout is written and nothing is sent."""
    case, before = CASES["a column close to a field"], len(api.requests())
    write(case, tmp_path / "a", api.url)
    code, shown = dialogue([*case.answers, (NO_NAME[0], "q")], tmp_path / "a", "run", "c.xlsx")
    assert (code, "Cancelled. Nothing was sent." in shown, len(api.requests())) == (2, True, before), shown
    assert not (tmp_path / "a" / "layouts").exists()


def test_a_person_who_thinks_about_a_name_keeps_no_one_from_running_files(tmp_path: Path, api: Sandbox) -> None:
    """The other run does not find the API in use, and the first one goes on afterwards."""
    case = CASES["a column close to a field"]
    write(case, tmp_path / "a", api.url)
    (tmp_path / "a" / "other.csv").write_text("Id,Type,OpportunityName\n9,Pre,other\n", encoding="utf-8")

    def run_other() -> str:
        other = batch_updater("run", "other.csv", cwd=tmp_path / "a")
        assert other.code == 0, other.err
        return "-"

    before = len(api.requests())
    code, shown = dialogue([*case.answers, (NO_NAME[0], run_other), SEND], tmp_path / "a", "run", "c.xlsx")
    assert (code, shown.count("Remember this")) == (0, 1), shown
    assert [body for _, body in sent(api, before)] == [{"StageName": "Qualified"}, {"OpportunityName": "other"}]


def test_a_column_that_is_a_field_by_now_is_not_said_to_be_left_out(tmp_path: Path, api: Sandbox) -> None:
    """The last question lists the columns that the ones before it have left, and questions are counted as asked."""
    rows: list[list[object]] = [["First", "Second", "Type", "Stage of deal", "Owner"]]
    rows += [[number, number + 7, "Pre", "Qualified", "Dana D"] for number in (1, 2, 3)]
    write(Case({"Data": rows}, "", [], [], "", []), tmp_path / "a", api.url)
    code, shown = dialogue([("cancel >", "1"), ("cancel >", "1"), ("cancel >", "q")], tmp_path / "a", "check", "c.xlsx")
    said = " ".join(shown.split())
    assert code == 2
    assert "Which column is OpportunityId" in said, shown
    assert "1 A1 ('First'), which begins with 1, 2, 3 2 B1 ('Second')" in said
    assert "Nothing says which field they are: B1 ('Second'), E1 ('Owner')." in said


def test_a_column_that_mixes_both_orders_is_not_asked_about(tmp_path: Path, api: Sandbox) -> None:
    """Nor with years of two digits, where 13/03/26 may be a day of 2013; an order that was said is contradicted."""
    days = ("03/14/26", "03/15/26", "03/16/26", "13/03/26", "01/02/2026", "05/06/2026")
    write(Case({"Data": rows("PendingCloseDate", *days)}, "", [], [], "", []), tmp_path / "a", api.url)
    checked = batch_updater("check", "c.xlsx", "--two-digit-years", "2000", cwd=tmp_path / "a")
    assert "Read all" not in checked.out
    assert "the column mixes both orders, row 5 has 13/03/26 and row 2 has 03/14/26." in " ".join(checked.out.split())
    refused = batch_updater("run", "c.xlsx", "--two-digit-years", "2000", "--date-order", "MDY", cwd=tmp_path / "a")
    assert "13/03/26 in row 5 cannot be month/day" in refused.err
