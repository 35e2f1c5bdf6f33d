"""undo: what a run has changed is set back, unless it was changed again since."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

import batch_updater
from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.errors import BatchUpdaterError, ConfigError, InputError, LockedError, ResultsError
from batch_updater.runs.history import find_run
from batch_updater.runs.lock import locked
from batch_updater.runs.team_folders import joined
from batch_updater.runs.undo import Undo, write_undo
from batch_updater.sandbox.server import Sandbox, SandboxSettings
from tests.end_to_end.program import batch_updater as program
from tests.end_to_end.program import configure, description_without_reading, in_store, sandbox, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("store")

ATTRIBUTES = {
    "OpportunityName": "name", "OpportunityID": "crm_id", "CategoryName": "category_id", "StageName": "stage_id",
    "AcctPotential": "potential", "SalesRevenue": "revenue", "PendingCloseDate": "close_date",
}  # fmt: skip
NAMED = ("CategoryName", "StageName")
HEADERS = ("OpportunityId", "opportunityType", "LanguageId", *ATTRIBUTES)
STAGES = {"": ("Prospect", "Qualified", "Proposal"), "2": ("Interessent", "Qualifiziert", "Angebot")}
CATEGORIES = {"": ("New Business", "Renewal"), "2": ("Neugeschäft", "Verlängerung")}


class Bench:
    """A sandbox, and runs against it as the library makes them."""

    def __init__(self, folder: Path, api: Sandbox) -> None:
        self.folder = folder
        self.api = api
        self.made = 0
        (folder / "token").write_text("sandbox-token", encoding="ascii")

    def configuration(self, **more: object) -> dict[str, object]:
        return {
            "api": {"base_url": self.api.url, "token": f"file:{self.folder / 'token'}"},
            "sending": {"rate_per_s": 5000, "compare": True},
            "input": {"duplicates": "in_order"},
            "results": {"folder": str(self.folder / "runs")},
        } | more

    def table(self, rows: list[dict[str, str]]) -> Path:
        self.made += 1
        path = self.folder / f"rows{self.made}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, HEADERS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def run(self, source: Path, *, restart: bool = True, **more: object) -> batch_updater.Run:
        settings = self.configuration(**more)
        (self.folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        with worker("run", cwd=self.folder):
            return batch_updater.run(source, settings, restart=restart)

    def undo(self, run: batch_updater.Run) -> Undo:
        assert run.folder
        with joined(load_config(self.folder / "config.yaml", os.environ), Environment(os.environ)):
            return write_undo(find_run(run.folder.parent, run.folder.name), None)

    def state(self) -> dict[tuple[str, str], str]:
        """Return every field of the records that the tests use, with the very digits."""
        return {
            (f"OpportunityId={number}&opportunityType={kind}", name): str(getattr(record, attribute))
            for kind in ("Pre", "Post")
            for number in range(1, 5)
            if (record := self.api.record(kind, number))
            for name, attribute in ATTRIBUTES.items()
        }


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Sandbox(SandboxSettings(null_clears=True)) as api:
        yield Bench(tmp_path, api)


def done(run: batch_updater.Run) -> dict[str, int]:
    return {kind: count for kind, count in run.outcomes.items() if count}


def sheet(path: Path, name: str) -> Worksheet:
    found = openpyxl.load_workbook(path)[name]
    assert isinstance(found, Worksheet)
    return found


def listed(path: Path) -> set[tuple[str, str]]:
    """Return target and field of everything that the workbook says cannot be undone."""
    rows = sheet(path, "Not possible").iter_rows(min_row=2, values_only=True)
    return {(str(target), str(field)) for target, _, field, _ in rows}


def as_rows(path: Path) -> list[dict[str, object]]:
    header, *rows = sheet(path, "Data").iter_rows(values_only=True)
    return [dict(zip(map(str, header), row, strict=True)) for row in rows]


class Change(NamedTuple):
    number: int
    kind: str
    language: str
    values: dict[str, str]

    def row(self) -> dict[str, str]:
        ids = {"OpportunityId": str(self.number), "opportunityType": self.kind, "LanguageId": self.language}
        return ids | self.values


def changes(language: str) -> st.SearchStrategy[Change]:
    texts = st.sampled_from(["00123", "=1+1", "a", " b ", "-5", "Müller & Söhne", "12345678901234567890", "x\ny"])
    amounts = st.decimals(0, 10**7, places=2).map(str)
    values = st.fixed_dictionaries(
        {},
        optional={
            "OpportunityName": texts | st.just("#CLEAR"),
            "OpportunityID": texts | st.just("#CLEAR"),
            "CategoryName": st.sampled_from(CATEGORIES[language]) | st.just("#CLEAR"),
            "StageName": st.sampled_from(STAGES[language]),
            "AcctPotential": amounts,
            "SalesRevenue": amounts | st.just("#CLEAR"),
            "PendingCloseDate": st.dates(datetime(1905, 1, 1).date(), datetime(2050, 1, 1).date()).map(str),  # noqa: DTZ001
        },
    ).filter(bool)
    return st.builds(Change, st.integers(1, 3), st.sampled_from(["Pre", "Post"]), st.just(language), values)


TEACHING = {"OpportunityId": "4", "opportunityType": "Pre", "StageName": "no stage at all"}
"""Is refused with the lists of all names."""


@pytest.mark.one_process("a property with dozens of runs, each of which a worker would take a second for")
@settings(max_examples=12)
@given(
    rows=st.lists(changes("") | changes("2"), min_size=1, max_size=7),
    null_clears=st.booleans(),
    teaches=st.booleans(),
)
def test_what_was_before_is_again_but_for_what_is_listed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Change], null_clears: bool, teaches: bool
) -> None:
    """Run, undo, run the undo: the state before, except exactly what is listed; and the undo can be undone."""
    with Sandbox(SandboxSettings(null_clears=null_clears)) as api:
        bench = Bench(tmp_path_factory.mktemp("undo"), api)
        before = bench.state()
        first = bench.run(bench.table([*([TEACHING] if teaches else []), *(row.row() for row in rows)]))
        left = bench.state()
        assert set(done(first)) <= {"updated", "unchanged", "differs", "rejected"}
        undo = bench.undo(first)
        second = bench.run(undo.path)
        after = bench.state()
        assert set(done(second)) <= {"updated"}
        assert_set_back(before, left, after, listed(undo.path))
        again = bench.undo(second)
        assert set(done(bench.run(again.path))) <= {"updated"} | (set() if null_clears else {"differs"})
        assert_set_back(left, after, bench.state(), listed(again.path))


def assert_set_back(
    before: dict[tuple[str, str], str],
    left: dict[tuple[str, str], str],
    after: dict[tuple[str, str], str],
    not_possible: set[tuple[str, str]],
) -> None:
    assert {field for _, field in not_possible} <= set(NAMED)
    assert {key for key in before if before[key] != after[key]} == not_possible
    assert all(left[key] == after[key] for key in not_possible)


def test_several_rows_on_one_record_go_back_to_the_earliest_value(bench: Bench) -> None:
    """Two rows change a field after each other: the undo has one row, with the value before the first."""
    before = bench.api.record("Pre", 1)
    values = [{"OpportunityName": "second"}, {"OpportunityName": "third", "SalesRevenue": "5"}]
    undo = bench.undo(bench.run(bench.table([Change(1, "Pre", "", one).row() for one in values])))
    assert undo.rows == 1
    assert done(bench.run(undo.path)) == {"updated": 1}
    assert bench.api.record("Pre", 1) == before


def test_a_field_that_was_changed_since_is_not_overwritten(bench: Bench) -> None:
    """The record of another hand is `rejected` with both values, also from To fix; the others are set back."""
    before = bench.state()
    rows = [Change(number, "Pre", "", {"OpportunityName": "ours", "SalesRevenue": "1"}).row() for number in (1, 2)]
    undo = bench.undo(bench.run(bench.table(rows)))
    bench.run(bench.table([Change(2, "Pre", "", {"OpportunityName": "theirs"}).row()]))
    sent = len(bench.api.received)
    second = bench.run(undo.path, sending={"rate_per_s": 5000})
    assert done(second) == {"updated": 1, "rejected": 1}
    assert "OpportunityName: changed since: now 'theirs', the run had left 'ours'." in second.frame()["Message"][1]
    assert [one.method for one in bench.api.received[sent:]].count("PUT") == 1
    assert second.results
    third = bench.run(second.results, sending={"rate_per_s": 5000})
    assert done(third) == {"rejected": 1}
    state = bench.state()
    assert state.pop(("OpportunityId=2&opportunityType=Pre", "OpportunityName")) == "theirs"
    assert state.pop(("OpportunityId=2&opportunityType=Pre", "SalesRevenue")) == "1"
    assert state.items() <= before.items()


def test_what_holds_the_earlier_values_already_is_unchanged(bench: Bench) -> None:
    """Running an undo twice sends nothing the second time, stages by name included."""
    rows = [Change(number, "Pre", "", {"StageName": "Proposal"}).row() for number in (1, 2, 3)]
    undo = bench.undo(bench.run(bench.table([TEACHING, *rows])))
    assert undo.rows
    assert done(bench.run(undo.path)) == {"updated": undo.rows}
    assert done(bench.run(undo.path)) == {"unchanged": undo.rows}


def undone_trial(folder: Path, url: str, *undo_options: str) -> None:
    """Try five of twenty rows, undo them, and leave the run unfinished."""
    lines = [f"{number},Pre,new {number}" for number in range(1, 21)]
    (folder / "rows.csv").write_text("\n".join(["Id,Type,OpportunityName", *lines, ""]), encoding="utf-8")
    configure(folder, url, "sending: {rate_per_s: 2000, compare: true}\n")
    tried = program("run", "rows.csv", "--limit", "5", "--json", cwd=folder).object
    undone = json.loads(program("undo", str(tried["run"]), *undo_options, "--json", cwd=folder).out)
    assert program("run", undone["undo"], "--json", cwd=folder).outcomes == {"updated": 5}


def test_undone_rows_are_not_done(tmp_path: Path) -> None:
    """The same file again sends every row, and says why: nothing is reported done that was undone."""
    with sandbox() as api:
        undone_trial(tmp_path, api.url)
        again = program("run", "rows.csv", cwd=tmp_path)
        names = {record["OpportunityName"] for record in api.records().values()}
    assert again.code == 0
    assert "is not resumed: it was undone since." in again.err
    assert "All 20 rows were updated." in again.out
    assert names == {f"new {number}" for number in range(1, 21)}


def test_a_run_that_may_have_been_undone_says_so(tmp_path: Path) -> None:
    """Where the workbook of undo lay elsewhere, it is unknown which run it was: --restart is named."""
    with sandbox() as api:
        undone_trial(tmp_path, api.url, "--results", "elsewhere.xlsx")
        again = program("run", "rows.csv", cwd=tmp_path)
    assert again.code == 0
    assert "A run has been undone since." in again.err
    assert "add --restart" in again.err


def test_without_compare_everything_is_listed(bench: Bench) -> None:
    """A run that read nothing knows no value before: an empty workbook that says so, and runs as nothing to do."""
    rows = [Change(1, "Pre", "", {"OpportunityName": "x", "SalesRevenue": "1"}).row()]
    undo = bench.undo(bench.run(bench.table(rows), sending={}))
    target = "OpportunityId=1&opportunityType=Pre"
    assert listed(undo.path) == {(target, "OpportunityName"), (target, "SalesRevenue")}
    assert (undo.rows, undo.not_possible) == (0, 2)
    assert "--compare" in str(sheet(undo.path, "Not possible")["D2"].value)
    assert undo.verdict == 'This workbook sets nothing back: correct the records on the sheet "Not possible" by hand.'
    assert undo.verdict in [row[0].value for row in sheet(undo.path, "About")]
    assert bench.run(undo.path).exit_code == 0


def test_a_run_that_changed_nothing_names_the_way_to_another(bench: Bench) -> None:
    """Its workbook is empty, and so is the sheet of what is not possible: another run may have been meant."""
    undo = bench.undo(bench.run(bench.table([Change(1, "Pst", "", {"OpportunityName": "x"}).row()])))
    assert (undo.rows, undo.not_possible) == (0, 0)
    assert undo.verdict == (
        "There is nothing to set back: the run changed no record. If another run is meant, name it: "
        "`batch-updater runs` lists them."
    )
    assert undo.verdict in [row[0].value for row in sheet(undo.path, "About")]


def test_cells_hold_the_values_exactly(bench: Bench) -> None:
    """Texts stay texts, digits stay as reported, dates are dates, an empty field is the clear marker."""
    first = {"OpportunityName": "=1+1", "OpportunityID": "00077", "AcctPotential": "1.50", "SalesRevenue": "2.25"}
    rows = [
        Change(1, "Pre", "", first | {"PendingCloseDate": "2026-03-31"}).row(),
        Change(2, "Pre", "", {"OpportunityName": "y" * 5000, "SalesRevenue": "#CLEAR"}).row(),
        Change(3, "Pre", "", {"AcctPotential": "33.333333333333336", "SalesRevenue": "57.7"}).row(),
    ]
    bench.run(bench.table(rows))
    other = {"OpportunityName": "z", "OpportunityID": "1", "AcctPotential": "9", "SalesRevenue": "9"}
    later = [Change(number, "Pre", "", other | {"PendingCloseDate": "2027-01-01"}).row() for number in (1, 2, 3)]
    undo = bench.undo(bench.run(bench.table(later)))
    one, two, three = as_rows(undo.path)
    assert one == first | {
        "OpportunityId": one["OpportunityId"], "opportunityType": "Pre", "SalesRevenue": 2.25,
        "PendingCloseDate": datetime(2026, 3, 31),  # noqa: DTZ001
    }  # fmt: skip
    assert (two["OpportunityName"], two["SalesRevenue"]) == ("y" * 5000, "#CLEAR")
    # A number of a cell has 15 digits.
    assert (three["AcctPotential"], three["SalesRevenue"]) == ("33.333333333333336", 57.7)
    data = sheet(undo.path, "Data")
    assert {cell.data_type for cell in data["C"]} == {"s"}


def test_it_is_read_as_it_was_written_whatever_is_configured(bench: Bench) -> None:
    """Constants, headers, decimal marks and clear markers of other files change nothing."""
    before = bench.api.record("Pre", 1)
    undo = bench.undo(bench.run(bench.table([Change(1, "Pre", "", {"SalesRevenue": "12.5"}).row()])))
    odd = {
        "constants": {"opportunityType": "Post", "OpportunityName": "no"}, "columns": {"Umsatz": "SalesRevenue"},
        "decimal": ",", "clear_marker": "-", "header_row": 4,
    }  # fmt: skip
    assert done(bench.run(undo.path, input=odd)) == {"updated": 1}
    assert bench.api.record("Pre", 1) == before


def damage(path: Path, how: str) -> None:
    book = openpyxl.load_workbook(path)
    expected, data = book["Expected"], book["Data"]
    match how:
        case "sheet removed":
            book.remove(expected)
        case "header changed":
            expected["A1"] = "Record"
        case "row removed":
            expected.delete_rows(2)
        case "value changed":
            expected["F2"] = '"other"'
        case "value of another kind":
            expected["F2"] = 5
        case "record added":
            data.append([9, "Pre", "new"])
    book.save(path)


@pytest.mark.parametrize(
    "how",
    ["sheet removed", "header changed", "row removed", "value changed", "value of another kind", "record added"],
)
def test_without_what_it_expects_nothing_is_sent(bench: Bench, how: str) -> None:
    """A sheet Expected that was damaged is refused before anything is sent, with where and what to do."""
    undo = bench.undo(bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "x"}).row()])))
    damage(undo.path, how)
    sent = len(bench.api.received)
    with pytest.raises(InputError, match="Expected") as refused:
        bench.run(undo.path)
    assert "batch-updater undo" in refused.value.remedy
    with pytest.raises(InputError, match="Expected"):
        batch_updater.check(undo.path)
    assert len(bench.api.received) == sent


def test_it_goes_through_a_spreadsheet_program_unharmed(bench: Bench) -> None:
    """Saved by another program, with a row deleted on Data, it still enforces what it expects."""
    rows = [Change(number, "Pre", "", {"OpportunityName": "x"}).row() for number in (1, 2)]
    undo = bench.undo(bench.run(bench.table(rows)))
    book = openpyxl.load_workbook(undo.path)
    book["Data"].delete_rows(2)
    book.save(undo.path)
    assert done(bench.run(undo.path)) == {"updated": 1}


def test_the_sheet_alone_is_enforced_where_a_program_drops_the_property(bench: Bench) -> None:
    """What a record was changed to since is not overwritten, although the workbook is no longer marked as an undo."""
    undo = bench.undo(bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "x"}).row()])))
    assert done(bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "newer"}).row()]))) == {"updated": 1}
    book = openpyxl.load_workbook(undo.path)
    properties = book.custom_doc_props  # type: ignore[attr-defined]  # not in the stubs
    for name in list(properties.names):
        del properties[name]
    book.save(undo.path)
    assert done(bench.run(undo.path, input={"sheet": "Data"})) == {"rejected": 1}
    record = bench.api.record("Pre", 1)
    assert record is not None
    assert record.name == "newer"


def test_a_workbook_that_was_changed_is_not_replaced(bench: Bench) -> None:
    """An undo of ours is replaced; one that was saved since is theirs."""
    run = bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "x"}).row()]))
    path = bench.undo(run).path
    assert bench.undo(run).path == path
    book = openpyxl.load_workbook(path)
    book.properties.created = datetime(2026, 1, 1)  # noqa: DTZ001  (earlier than now, when it is saved)
    book.save(path)
    theirs = path.read_bytes()
    with pytest.raises(ResultsError, match="already exists"):
        bench.undo(run)
    assert path.read_bytes() == theirs


@pytest.mark.one_process("it is about the lock of a process")
def test_a_run_that_may_be_going_on_is_not_undone(bench: Bench) -> None:
    """While another process holds the lock, a run without an end is refused; afterwards the verdict tells."""
    run = bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "x"}).row()]))
    assert run.folder
    in_store(bench.folder, "UPDATE parts SET ended_at = NULL")
    with locked(run.folder.parent, bench.api.url, "other.csv"), pytest.raises(LockedError):
        bench.undo(run)
    undo = bench.undo(run)
    assert undo.rows == 1
    assert "did not come to its end" in undo.verdict


@pytest.mark.parametrize("compared", [True, False])
def test_a_run_that_was_cut_off_after_an_update_went_out(bench: Bench, compared: bool) -> None:
    """Resumed, it finds the record as it left it: set back if it was read before, else listed and not taken for old."""
    before = bench.api.record("Pre", 1)
    table = bench.table([Change(1, "Pre", "", {"OpportunityName": "x", "StageName": "Proposal"}).row()])
    first = bench.run(table, sending={"compare": compared})
    assert first.folder
    in_store(bench.folder, "UPDATE rows SET state = 'in_flight', outcome = NULL, reported = NULL")
    in_store(bench.folder, "UPDATE parts SET counts = NULL")
    resumed = bench.run(table, restart=False)
    assert (resumed.folder, done(resumed)) == (first.folder, {"updated": 1})
    undo = bench.undo(resumed)
    bench.run(undo.path)
    target = "OpportunityId=1&opportunityType=Pre"
    if compared:
        assert listed(undo.path) <= {(target, "StageName")}
        assert bench.state()[(target, "OpportunityName")] == str(before.name if before else "")
    else:
        assert listed(undo.path) == {(target, "OpportunityName"), (target, "StageName")}


def test_a_resumed_run_knows_the_names_that_an_earlier_part_learned(bench: Bench) -> None:
    """A stage that a record has already is known by its id before this part's first refusal lists the names again."""
    row = Change(1, "Pre", "", {"StageName": "Proposal"}).row()
    one_by_one = {"rate_per_s": 5000, "compare": True, "concurrency": 1}
    table = bench.table([row, TEACHING])
    first = bench.run(table, sending=one_by_one)
    assert first.folder
    in_store(bench.folder, "UPDATE rows SET outcome = 'failed' WHERE number = 2")
    in_store(bench.folder, "UPDATE parts SET counts = NULL")
    resumed = bench.run(table, restart=False, sending=one_by_one)
    assert (resumed.folder, done(resumed)) == (first.folder, {"unchanged": 1, "rejected": 1})


def test_a_name_that_was_added_since_an_earlier_part_is_sent(bench: Bench) -> None:
    """What an earlier part learned says which id a name has, not that there are no further names by now."""
    table = bench.table([Change(1, "Pre", "", {"StageName": "Proposal"}).row(), TEACHING])
    first = bench.run(table, sending={"rate_per_s": 5000, "concurrency": 1})
    assert first.folder
    in_store(bench.folder, "UPDATE rows SET outcome = 'failed' WHERE number = 2")
    in_store(bench.folder, "UPDATE parts SET counts = NULL")
    in_store(bench.folder, "UPDATE names SET list = replace(list, 'Proposal', 'Earlier')")
    resumed = bench.run(table, restart=False, sending={"rate_per_s": 5000, "concurrency": 1})
    assert (resumed.folder, done(resumed)) == (first.folder, {"updated": 1, "rejected": 1})


def test_an_api_that_cannot_be_read_offers_no_undo(bench: Bench) -> None:
    """Where the description has no GET of the record, nothing can be compared: refused, with the reason."""
    blind = description_without_reading(bench.folder / "blind.yaml")
    api = {
        "base_url": bench.api.url,
        "token": f"file:{bench.folder / 'token'}",
        "endpoint": f"{blind}#nexus-opportunity",
    }
    row = [Change(1, "Pre", "", {"OpportunityName": "x"}).row()]
    run = bench.run(bench.table(row), api=api, sending={})
    with pytest.raises(ConfigError, match=r"api\.read"):
        bench.undo(run)
    undo = bench.undo(bench.run(bench.table(row)))
    bench.run(bench.table([Change(2, "Pre", "", {"OpportunityName": "y"}).row()]))
    undo = bench.undo(bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "z"}).row()])))
    with pytest.raises(BatchUpdaterError, match=r"api\.read"):
        bench.run(undo.path, api=api, sending={})


def test_the_command_needs_neither_token_nor_address(bench: Bench) -> None:
    """`undo RUN --json` works from the run's folder alone, writes a private file and opens no connection."""
    run = bench.run(bench.table([Change(1, "Pre", "", {"OpportunityName": "x", "StageName": "Proposal"}).row()]))
    assert run.folder
    sent = len(bench.api.received)
    told = program("undo", run.folder, "--json", cwd=bench.folder)
    assert (told.code, told.object["undo"], told.object["rows"]) == (0, str(run.folder / "undo.xlsx"), 1)
    assert stat.S_IMODE((run.folder / "undo.xlsx").stat().st_mode) == 0o600
    elsewhere = program("undo", run.folder, "--results", "back.xlsx", cwd=bench.folder)
    assert "Workbook: back.xlsx\n" in elsewhere.out
    assert len(bench.api.received) == sent
    assert program("undo", "no-such-run", "--json", cwd=bench.folder).code == 2
    (bench.folder / "config.yaml").write_text(json.dumps(bench.configuration()), encoding="utf-8")
    shutil.copy(bench.folder / "back.xlsx", bench.folder / "copy.xlsx")
    assert program("run", "copy.xlsx", cwd=bench.folder).code == 0
    report = ("report", next((bench.folder / "runs").glob("*copy")), "--results", "again.xlsx")
    assert program(*report, cwd=bench.folder).code == 0
    assert "Expected" in openpyxl.load_workbook(bench.folder / "again.xlsx").sheetnames
