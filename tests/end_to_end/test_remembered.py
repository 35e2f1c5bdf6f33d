"""Layouts: what was answered once for a kind of file is not asked again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from batch_updater import check, run
from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure, sandbox, worker
from tests.end_to_end.test_questions import sent
from tests.end_to_end.test_terminal import dialogue
from tests.loader.described import workbook
from tests.loader.header_files import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox


HEADERS: list[object] = ["Deal", "Type", "Sales Stage", "Close date", "Owner"]
ROWS: list[list[object]] = [
    HEADERS, [1, "Pre", "Qualified", "03/04/2026", "Dana"], [2, "Pre", "Proposal", "04/05/2026", "Dana"],
]  # fmt: skip
MAPPING = ("--map", "Deal=OpportunityId", "--map", "Sales Stage=StageName", "--map", "Close date=PendingCloseDate")
ORDER = ("--date-order", "Close date=DMY")
SENT = [
    {"StageName": "Qualified", "PendingCloseDate": "2026-04-03"},
    {"StageName": "Proposal", "PendingCloseDate": "2026-05-04"},
]


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def inside(tmp_path: Path, api: Sandbox) -> Inside:
    """Return the command line in a folder with a configuration and one file."""
    configure(tmp_path, api.url)
    write(tmp_path / "q1.csv", ROWS)
    return Inside(tmp_path)


def bodies(api: Sandbox, before: int = 0) -> list[Any]:
    return [body for _, body in sent(api, before)]


def remembered(inside: Inside, name: str = "q1", *more: str) -> str:
    """Save the layout of q1.csv and return its text."""
    done = inside("columns", "q1.csv", *MAPPING, *ORDER, *more, "--save", name)
    assert done.code == 0, done.err
    return (inside.folder / "layouts" / f"{name}.yaml").read_text(encoding="utf-8")


def test_answers_are_remembered_and_the_next_file_asks_nothing(inside: Inside, api: Sandbox) -> None:
    """On a terminal a name is offered; the file of the next week is read by itself, and the preview says so."""
    answers = [
        *[("q to cancel >", "1")] * 3, ("q to cancel >", "1"), ("q to cancel >", "1"),
        ("Name (Enter for q1,", "Q1 Pipeline"), ("[y/N]", "y"),
    ]  # fmt: skip
    code, shown = dialogue(answers, inside.folder, "run", "q1.csv")
    assert code == 0, shown
    assert "Remembered in layouts/Q1 Pipeline.yaml." in shown
    assert bodies(api) == SENT
    write(inside.folder / "q2.csv", [["Week 2"], [], HEADERS[::-1], ["Bo", "05/06/2026", "Qualified", "Pre", 3]])
    code, shown = dialogue([("[y/N]", "y")], inside.folder, "run", "q2.csv")
    assert code == 0, shown
    assert "The layout 'Q1 Pipeline' is used." in " ".join(shown.split())
    assert bodies(api, 2) == [{"StageName": "Qualified", "PendingCloseDate": "2026-06-05"}]


def test_a_layout_is_readable_and_can_be_edited(inside: Inside, api: Sandbox) -> None:
    """It has the headers and the answers by their names; what is edited counts."""
    text = remembered(inside)
    assert text.partition("headers:")[2] == (
        "\n- Deal\n- Type\n- Sales Stage\n- Close date\n- Owner\ncolumns:\n  Deal: OpportunityId\n"
        "  Type: opportunityType\n  Sales Stage: StageName\n  Close date: PendingCloseDate\n  Owner: null\n"
        "date_order:\n  Close date: DMY\n"
    )
    (inside.folder / "layouts" / "q1.yaml").write_text(text.replace("DMY", "MDY"), encoding="utf-8")
    assert inside("run", "q1.csv").code == 0
    assert [body["PendingCloseDate"] for body in bodies(api)] == ["2026-03-04", "2026-04-05"]


def test_the_headers_are_found_on_any_sheet_and_row(inside: Inside) -> None:
    """Titles above them, another sheet before it and other columns in between do not matter."""
    remembered(inside)
    data: list[Sequence[object]] = [["Pipeline"], ["as of today"], HEADERS, *ROWS[1:]]
    workbook(inside.folder / "c.xlsx", {"Read me": [["Ask Dana"]], "Data": data})
    done = inside("check", "c.xlsx", "--json")
    assert (done.code, done.object["sheet"]) == (0, "Data")
    assert "The layout 'q1' is used." in done.object["notes"]


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ([*HEADERS, "Remark"], "--map Remark=OpportunityName   OpportunityName (name)"),
        (["Number", *HEADERS[1:]], "--map Number=OpportunityId   OpportunityId (opportunity number)"),
    ],
)
def test_an_added_or_renamed_header_asks_about_that_one_alone(
    inside: Inside, api: Sandbox, headers: list[object], line: str
) -> None:
    """Everything else is as remembered, and the answer is remembered in the same layout."""
    remembered(inside)
    write(inside.folder / "c.csv", [headers, *([*row, "a b"][: len(headers)] for row in ROWS[1:])])
    refused = inside("check", "c.csv")
    assert refused.code == 2
    assert f"    {line}" in refused.err
    mapped = {one.split("=")[0].strip() for one in refused.err.splitlines() if one.startswith("    --map")}
    assert mapped == {line.partition("=")[0]}
    new = line.split()[1].partition("=")[0]
    field = "2" if new == "Remark" else "1"
    name = ("Name (Enter for q1,", "")
    answers = [("q to cancel >", field), name, ("Replace it? [y/N]", "y"), ("Send", "y")]
    code, shown = dialogue(answers, inside.folder, "run", "c.csv")
    assert code == 0, shown
    assert inside("check", "c.csv").code == 0
    assert len(api.requests()) == 2


def test_two_layouts_that_fit_equally_are_named(inside: Inside) -> None:
    """Which one is meant is said by name; a layout that fits less well is no matter."""
    remembered(inside, "a")
    (inside.folder / "layouts" / "b.yaml").write_text(remembered(inside, "a").replace("DMY", "MDY"), encoding="utf-8")
    (inside.folder / "layouts" / "c.yaml").write_text(
        "headers: [Deal, Type, Sales Stage]\ncolumns: {Deal: OpportunityId}\n", encoding="utf-8"
    )
    refused = inside("check", "q1.csv")
    assert refused.code == 2
    assert "The layouts 'a' and 'b' fit q1.csv equally well." in refused.err
    assert "--layout a" in refused.err
    assert "The layout 'b' is used." in inside("check", "q1.csv", "--layout", "b", "--json").object["notes"]


def test_a_layout_that_is_not_there_proposes_the_nearest(inside: Inside) -> None:
    """And one whose headers the file has not is refused."""
    assert "Layouts are: none yet." in inside("check", "q1.csv", "--layout", "q1").err
    remembered(inside, "pipeline")
    refused = inside("check", "q1.csv", "--layout", "pipelin")
    assert (refused.code, "Did you mean 'pipeline'?" in refused.err) == (2, True)
    write(inside.folder / "c.csv", [["Id", "Kind"], [5, "Pre"]])
    refused = inside("check", "c.csv", "--layout", "pipeline")
    assert refused.code == 2
    assert "No row of c.csv has the headers of the layout 'pipeline': 'Deal', 'Type'" in refused.err


HEAD = "headers: [Deal, Type, Sales Stage, Close date, Owner]\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("headers: [Deal, Type", "line 1: the bracket is never closed"),
        ("headers: []\n# Deal, Type", "headers must be a list with at least one header, each of them text: in quotes"),
        ("headers: [Deal, Type, 2026]", "headers must be a list with at least one header, each of them text"),
        ("headers: [Deal, Type, ' ']", "headers must be a list with at least one header, each of them text"),
        ("headers: [Deal, Type, Deal]", "headers has 'Deal' twice"),
        ("columns: {Deal: OpportunityId, Type: null}\n", "headers must be a list"),
        (f"{HEAD}date_order: {{Close date: YMD}}\n", "date_order of 'Close date' must be DMY, MDY or none"),
        (f"{HEAD}date_order: {{Clos date: DMY}}\n", "none of its headers (did you mean 'Close date'?)."),
        (f"{HEAD}date_order: {{'': DMY}}\n", "date_order names '', which is none of its headers"),
        (f"{HEAD}two_digit_years: {{Close date: 5}}\n", "two_digit_years of 'Close date' must be a year from 1900"),
        (f"{HEAD}columns: {{Deal: [5]}}\n", "columns of 'Deal' must be the name of a field, or null"),
        (f"{HEAD}columns: [Deal]\n", "columns must be a list of `header: value` pairs"),
        (f"{HEAD}decimal: {{Deal: ';'}}\n", "decimal of 'Deal' must be"),
        (f"{HEAD}clear_marker: {{Deal: ''}}\n", "clear_marker of 'Deal' must be a text"),
        (f"{HEAD}rows_below: drop\nsheet: 5\n", "sheet must be the name of a sheet; put it in quotes; rows_below must"),
        (f"{HEAD}colums: {{Deal: null}}\n", "colums is no key of a layout (did you mean columns?)."),
        ("- Deal\n- Type\n", "it has no keys such as headers:"),
        ("", "it has no keys such as headers:"),
    ],
)  # fmt: skip
def test_a_damaged_layout_is_named(inside: Inside, text: str, why: str) -> None:
    """With its path, and what to do about it."""
    path = damaged(inside, text)
    refused = inside("check", "q1.csv", "--json")
    error = refused.object["error"]
    assert refused.code == 2
    assert f"The layout {path} cannot be read: " in error["message"]
    assert why in error["message"]
    assert error["remedy"] == "Correct it, or delete it and answer the questions again."
    assert error["file"] == str(path)


def damaged(inside: Inside, text: str) -> Path:
    """Write a layout that cannot be used."""
    path = inside.folder / "layouts" / "broken.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_damaged_layout_stops_only_files_that_may_have_it(inside: Inside, api: Sandbox) -> None:
    """Files with other headers, with a layout of their own, and our own workbooks go on, and a note names it."""
    remembered(inside)
    path = damaged(inside, f"{HEAD.replace('Owner', 'Boss')}zzz: red\n")
    write(inside.folder / "other.csv", [["Id", "Kind"], [1, "Pre"]])
    note = f"The layout {path} cannot be read: zzz is no key of a layout. It is passed over."
    first = inside("run", "q1.csv", "--json")
    assert (first.code, bodies(api)) == (0, SENT)
    assert note in first.object["notes"]
    kinds = ("--map", "Kind=opportunityType", "--set", "OpportunityName=x")
    assert note in inside("check", "other.csv", *kinds, "--json").object["notes"]
    assert note in inside("columns", first.object["results"], "--json").object["notes"]
    write(inside.folder / "near.csv", [[*HEADERS[:4], "Boss"], [1, "Pre", "Proposal", "04/05/2026", "Bo"]])
    assert inside("check", "near.csv").code == 2
    assert "'Boss' is not in the layout 'q1' (layouts/q1.yaml)." in inside("check", "near.csv", "--layout", "q1").err
    assert "cannot be read" in inside("check", "q1.csv", "--layout", "broken").err
    assert inside("columns", "q1.csv", "--layout", "q1", "--save", "broken").code == 2  # q1 has the same headers


def test_a_layout_that_gives_a_field_two_columns_is_named_with_its_file(inside: Inside) -> None:
    """Unless an option says of one of them what it is: then the file is as wrong as without a layout."""
    path = inside.folder / "layouts" / "q1.yaml"
    text = remembered(inside)
    path.write_text(text.replace("Owner: null", "Owner: StageName"), encoding="utf-8")
    refused = inside("check", "q1.csv")
    both = "StageName has more than one column: C1 ('Sales Stage') and E1 ('Owner')"
    assert refused.code == 2
    assert f"{both}, as the layout 'q1' (layouts/q1.yaml) says." in refused.err
    assert f"{both}." in inside("check", "q1.csv", "--map", "owner=stagename").err
    assert inside("check", "q1.csv", "--map", "owner=").code == 0


def test_a_sheet_that_a_layout_names_and_the_file_does_not_have_is_told(inside: Inside) -> None:
    """The headers decide which sheet is read; a file without sheets lacks none."""
    path = inside.folder / "layouts" / "q1.yaml"
    path.write_text(f"sheet: Pipline\n{remembered(inside)}", encoding="utf-8")
    workbook(inside.folder / "q2.xlsx", {"Pipeline": ROWS})
    notes = inside("check", "q2.xlsx", "--json").object["notes"]
    assert "The layout 'q1' is used. The file has no sheet 'Pipline', which it names." in notes
    assert "The layout 'q1' is used." in inside("check", "q1.csv", "--json").object["notes"]
    path.write_text(path.read_text(encoding="utf-8").replace("Pipline", "pipeline"), encoding="utf-8")
    assert "The layout 'q1' is used." in inside("check", "q2.xlsx", "--json").object["notes"]


def test_a_clear_marker_without_a_character_is_refused_as_what_it_is(inside: Inside) -> None:
    """It is in quotes already."""
    path = inside.folder / "layouts" / "q1.yaml"
    path.write_text(f"{remembered(inside)}clear_marker: {{Sales Stage: ''}}\n", encoding="utf-8")
    told = "clear_marker of 'Sales Stage' must be a text with at least one character; put it in quotes."
    assert told in inside("check", "q1.csv").err


def test_a_damaged_layout_stops_no_night(inside: Inside, api: Sandbox) -> None:
    """The file that may have it goes to attention/ with the reason; the others are sent."""
    (inside.folder / "inbox").mkdir()
    write(inside.folder / "inbox" / "a.csv", ROWS)
    write(inside.folder / "inbox" / "b.csv", [["Id", "Kind", "Name"], [1, "Pre", "x"]])
    configure(
        inside.folder, api.url,
        "nightly: {inbox: inbox}\ninput: {columns: {Kind: opportunityType, Name: OpportunityName}}\n",
    )  # fmt: skip
    for file in (inside.folder / "inbox").iterdir():
        os.utime(file, (1, 1))
    damaged(inside, f"{HEAD}colour: red\n")
    assert inside("nightly", "--json").code == 1
    assert bodies(api) == [{"OpportunityName": "x"}]
    (note,) = (inside.folder / "attention").glob("*/a.csv.txt")
    assert "colour is no key of a layout" in note.read_text(encoding="utf-8")


def test_a_layout_with_a_slip_in_a_field_is_named(inside: Inside) -> None:
    """One that names fields of another endpoint alone is not for this one."""
    path = inside.folder / "layouts" / "q1.yaml"
    text = remembered(inside)
    path.write_text(text.replace(": StageName", ": StagName"), encoding="utf-8")
    refused = inside("check", "q1.csv")
    assert refused.code == 2
    assert "The layout 'q1' (layouts/q1.yaml) says that 'Sales Stage' is 'StagName', which is no field." in refused.err
    path.write_text("headers: [Deal, Type]\ncolumns: {Deal: accountId, Type: contactKind}\n", encoding="utf-8")
    assert "accountId" not in inside("check", "q1.csv").err


def test_options_win_over_the_layout_and_the_layout_over_the_configuration(inside: Inside, api: Sandbox) -> None:
    """Be they about one column, about all, or about where the headers are."""
    remembered(inside)
    configure(inside.folder, api.url, "input: {date_order: MDY, columns: {Sales Stage: CategoryName}}\n")
    checks = [(), ("--date-order", "MDY"), ("--date-order", "close date=MDY"), ("--map", "sales stage=")]
    days, fields = [], []
    for options in checks:
        before = len(api.requests())
        assert inside("run", "q1.csv", "--restart", "--yes", *options).code == 0
        days.append(bodies(api, before)[0]["PendingCloseDate"])
        fields.append("StageName" in bodies(api, before)[0])
    assert days == ["2026-04-03", "2026-03-04", "2026-03-04", "2026-04-03"]
    assert fields == [True, True, True, False]
    workbook(inside.folder / "c.xlsx", {"Q1": ROWS, "Q2": [["Second"], *ROWS]})
    refused = inside("check", "c.xlsx")
    assert "several sheets with the headers of the layout 'q1': 'Q1', 'Q2'." in refused.err
    assert "\n    --sheet Q2   the sheet 'Q2'\n" in refused.err
    second = inside("check", "c.xlsx", "--sheet", "q2", "--json")
    assert (second.code, second.object["sheet"], second.outcomes) == (0, "Q2", {"planned": 2})


def test_headers_that_differ_by_case_alone_keep_their_fields(inside: Inside, api: Sandbox) -> None:
    """In whatever order the columns are."""
    rows: list[list[object]] = [["OpportunityId", "Type", "OpportunityID"], [7, "Pre", "C-7"]]
    write(inside.folder / "a.csv", rows)
    assert inside("columns", "a.csv", "--save", "ids").code == 0
    write(inside.folder / "b.csv", [row[::-1] for row in rows])
    assert inside("run", "b.csv").code == 0
    assert sent(api, 0)[0][0].endswith("/7")
    assert bodies(api) == [{"OpportunityID": "C-7"}]


def test_columns_with_the_same_header_keep_their_fields(inside: Inside, api: Sandbox) -> None:
    """By option, by layout, and in a repaired workbook: the number tells which of them is meant."""
    rows: list[list[object]] = [
        ["Id", "Type", "Date", "Date", "Remark", "Remark"], [7, "Pre", "03/04/2026", "04/05/2026", "a", "b"],
    ]  # fmt: skip
    write(inside.folder / "a.csv", rows)
    options = ("--map", "date #1=", "--map", "Date #2=PendingCloseDate", "--date-order", "Date=DMY")
    assert inside("columns", "a.csv", *options, "--save", "dates").code == 0
    first = inside("run", "a.csv", "--json")
    assert "The layout 'dates' is used." in first.object["notes"]
    assert bodies(api) == [{"PendingCloseDate": "2026-05-04"}]
    (inside.folder / "layouts" / "dates.yaml").unlink()
    rows[1][3] = "31/02/2026"
    write(inside.folder / "b.csv", rows)
    done = inside("run", "b.csv", *options, "--json")
    assert done.outcomes == {"invalid": 1}
    book = openpyxl.load_workbook(done.object["results"])
    book["To fix"]["H2"] = "04/03/2026"
    book.save(inside.folder / "fixed.xlsx")
    assert inside("run", "fixed.xlsx").code == 0
    assert bodies(api, 1) == [{"PendingCloseDate": "2026-03-04"}]


def test_the_library_and_the_nightly_job_use_layouts(inside: Inside, api: Sandbox) -> None:
    """Without one the job asks in its note, and nothing is sent; with it the same file goes through."""
    inbox = inside.folder / "inbox"
    inbox.mkdir()
    configure(inside.folder, api.url, "nightly: {inbox: inbox}\n")
    half: list[list[object]] = [["Id", "Type", "PendingCloseDate"], [1, "Pre", "03/04/2026"], [2, "Pre", "05/06/2026"]]
    write(inside.folder / "half.csv", half)

    def night(name: str) -> Any:
        (inbox / name).write_bytes((inside.folder / name).read_bytes())
        os.utime(inbox / name, (1, 1))
        return inside("nightly", "--json")

    asked = night("half.csv")
    assert (asked.code, api.requests()) == (1, [])
    (note,) = (inside.folder / "attention").glob("*/half.csv.txt")
    text = note.read_text(encoding="utf-8")
    assert "How are the dates of 'PendingCloseDate' (column C) written?" in text
    assert "--date-order PendingCloseDate=DMY   day/month" in text
    assert "`batch-updater columns half.csv --save NAME`" in text
    assert asked.object["files"][0]["disposition"] == "attention"
    order = ("--date-order", "PendingCloseDate=DMY", "--save", "half")
    assert inside("columns", "half.csv", *order).code == 0
    assert night("half.csv").code == 0
    assert bodies(api) == [{"PendingCloseDate": "2026-04-03"}, {"PendingCloseDate": "2026-06-05"}]

    remembered(inside)
    config = inside.folder / "config.yaml"
    os.environ["NEXUS_TOKEN"] = "sandbox-token"
    assert check(inside.folder / "q1.csv", config).outcomes["planned"] == 2
    with worker("run", cwd=inside.folder):
        assert run(inside.folder / "q1.csv", config).outcomes["updated"] == 2
    assert bodies(api, 2) == SENT


@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_repaired_workbook_is_read_as_its_first_file_was(inside: Inside, api: Sandbox, is_remembered: bool) -> None:
    """Dates, decimals and markers mean on the sheet To fix what they meant there, without an option."""
    rows = [
        [*HEADERS, "Worth"],
        [1, "Pre", "Nowhere", "03/04/2026", "Dana", "1.500"],
        [2, "Pre", "NIL", "x", "Bo", "2"],
    ]
    write(inside.folder / "c.csv", rows)
    options = [
        *MAPPING,
        "--map",
        "Worth=SalesRevenue",
        "--date-order",
        "DMY",
        "--decimal",
        ",",
        "--clear-marker",
        "NIL",
    ]
    if is_remembered:
        assert inside("columns", "c.csv", *options, "--save", "c").code == 0
        options = []
    first = inside("run", "c.csv", *options, "--json")
    assert first.outcomes == {"rejected": 1, "invalid": 1}, first.err
    book = openpyxl.load_workbook(first.object["results"])
    book["To fix"]["G2"], book["To fix"]["H3"] = "Qualified", "04/05/2026"
    book.save(inside.folder / "fixed.xlsx")
    if is_remembered:
        (inside.folder / "layouts" / "c.yaml").unlink()
    inside("run", "fixed.xlsx", "--json")
    assert bodies(api, 1) == [
        {"StageName": "Qualified", "PendingCloseDate": "2026-04-03", "SalesRevenue": 1500},
        {"StageName": None, "PendingCloseDate": "2026-05-04", "SalesRevenue": 2},
    ]


@pytest.mark.parametrize("is_remembered_first", [False, True])
def test_an_unfinished_run_resumes_however_the_answers_come(
    inside: Inside, tmp_path: Path, is_remembered_first: bool
) -> None:
    """By option and then by layout, or the other way; with other answers it is another run."""
    write(tmp_path / "q1.csv", [["Week 1"], *ROWS])
    options = (*MAPPING, *ORDER, "--header-row", "2")
    layout = tmp_path / "layouts" / "q1.yaml"

    def remember() -> None:
        assert inside("columns", "q1.csv", *options, "--save", "q1").code == 0

    with sandbox("--fault", "status-503=1") as down:
        configure(tmp_path, down.url, "sending: {rate_per_s: 5000, attempts: 1}\n")
        if is_remembered_first:
            remember()
        first = inside("run", "q1.csv", *(() if is_remembered_first else options))
        assert first.code == 3, first.err
        if is_remembered_first:
            layout.unlink()
        else:
            remember()
        again = inside("run", "q1.csv", *(options if is_remembered_first else ()))
        other = inside("run", "q1.csv", *options[:-4], "--date-order", "Close date=MDY", "--header-row", "2")
    assert "Resuming the run" in again.err
    assert "Resuming the run" not in other.err
    assert "how cells are read" in other.err


@pytest.mark.parametrize(
    ("option", "part"),
    [
        (("--decimal", "Worth=,"), "how cells are read"),
        (("--clear-marker", "Worth=NIL"), "how cells are read"),
        (("--two-digit-years", "Close date=2000"), "how cells are read"),
        (("--without-totals",), "how cells are read"),
        (("--map", "Owner=OpportunityName"), "which column is which field"),
        (("--visible-only",), "whether hidden rows are left out"),
    ],
)
def test_other_answers_are_another_run(tmp_path: Path, option: tuple[str, ...], part: str) -> None:
    """What was sent in another way is not taken for done."""
    inside = Inside(tmp_path)
    write(tmp_path / "c.csv", [[*HEADERS, "Worth"], *([*row, 5] for row in ROWS[1:])])
    options = (*MAPPING, *ORDER, "--map", "Worth=SalesRevenue")
    with sandbox("--fault", "status-503=1") as down:
        configure(tmp_path, down.url, "sending: {rate_per_s: 5000, attempts: 1}\n")
        assert inside("run", "c.csv", *options).code == 3
        other = inside("run", "c.csv", *options, *option)
    assert "Resuming the run" not in other.err
    assert part in other.err


def test_columns_shows_the_mapping(inside: Inside) -> None:
    """Header, first value and field, as a table or as an object; what it saves it says."""
    refused = inside("columns", "q1.csv", "--json")
    assert (refused.code, '--map "Sales Stage=StageName"' in refused.object["error"]["remedy"]) == (2, True)
    shown = inside("columns", "q1.csv", *MAPPING)
    assert shown.code == 0
    assert "Close date   03/04/2026   PendingCloseDate" in shown.out
    assert "Owner        Dana         not sent" in shown.out
    saved = inside("columns", "q1.csv", *MAPPING, *ORDER, "--save", "q1", "--json").object
    assert saved["columns"][3] == {"header": "Close date", "field": "PendingCloseDate", "first_value": "03/04/2026"}
    assert (saved["layout"], saved["saved"]) == (None, str(inside.folder / "layouts" / "q1.yaml"))
    assert inside("columns", "q1.csv", "--json").object["layout"] == "q1"
    refused = inside("columns", "q1.csv", "--save", "../q1")
    assert (refused.code, list((inside.folder / "layouts").iterdir())) == (
        2, [inside.folder / "layouts" / "q1.yaml"],
    )  # fmt: skip


def test_another_file_does_not_replace_a_layout_unasked(inside: Inside) -> None:
    """The name that Enter takes may be that of another layout."""
    text = remembered(inside)
    (inside.folder / "more").mkdir()
    write(inside.folder / "more" / "q1.csv", [["Id", "Kind of deal", "Phase", "PendingCloseDate"],
                                              [5, "Pre", "Won", "03/04/2026"]])  # fmt: skip
    answers = [("q to cancel >", "1"), ("q to cancel >", "1"), ("q to cancel >", "1"),
               ("q to cancel) >", ""), ("Replace it? [y/N]", "n"), ("q to cancel) >", "-"), ("[y/N]", "n")]  # fmt: skip
    _, shown = dialogue(answers, inside.folder, "run", "more/q1.csv")
    assert "layouts/q1.yaml is there already. Replace it?" in " ".join(shown.split()), shown
    assert (inside.folder / "layouts" / "q1.yaml").read_text(encoding="utf-8") == text
