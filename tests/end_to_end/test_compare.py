"""--compare: each record is read first, and only what would change it is sent."""

from __future__ import annotations

import csv
import json
import sqlite3
from bisect import bisect_left
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure, sandbox

pytestmark = pytest.mark.usefixtures("store")

FAST = "sending: {rate_per_s: 2000, concurrency: 20, compare: true}\n"


def write_rows(path: Path, values: dict[int, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("Id", "Type", "OpportunityName"))
        writer.writerows((number, "Pre", name) for number, name in values.items())


def test_only_what_would_change_a_record_is_sent(tmp_path: Path) -> None:
    """Of 250 rows 150 are so already: 150 `unchanged`, 100 PUTs, 250 GETs; a second run sends nothing."""
    before = {number: f"name {number}" for number in range(1, 251)}
    after = {number: name if number <= 150 else f"new {name}" for number, name in before.items()}
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "before.csv", before)
        assert batch_updater("run", "before.csv", cwd=tmp_path).code == 0
        seen = len(api.requests())
        write_rows(tmp_path / "after.csv", after)
        first = batch_updater("run", "after.csv", "--json", cwd=tmp_path)
        methods = [request["method"] for request in api.requests()[seen:]]
        assert (first.code, first.outcomes) == (0, {"updated": 100, "unchanged": 150})
        assert (methods.count("GET"), methods.count("PUT")) == (250, 100)
        assert (first.object["requests"], first.object["retries"]) == (350, 0)
        second = batch_updater("run", "after.csv", "--json", cwd=tmp_path)
        methods = [request["method"] for request in api.requests()[seen + 350 :]]
        assert (second.code, second.outcomes) == (0, {"unchanged": 250})
        assert methods == ["GET"] * 250


def test_a_record_that_is_not_there_is_rejected_without_an_update(tmp_path: Path) -> None:
    """404 on reading: `rejected`, and no PUT."""
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "rows.csv", {1: "a", 99_999_999: "b"})
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (1, {"updated": 1, "rejected": 1})
        assert [request["method"] for request in api.requests()].count("PUT") == 1


def test_check_compares_and_sends_nothing_but_readings(tmp_path: Path) -> None:
    """`check --compare` says what would change, in figures and field by field, and changes nothing."""
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 2000}\n")
        (tmp_path / "rows.csv").write_text(
            "Id,Type,OpportunityName,SalesRevenue,PendingCloseDate\n"
            "1,Pre,First,1000.50,\n2,Pre,,,#CLEAR\n3,Pre,,7,2031-01-02\n99999999,Pre,Nobody,,\n",
            encoding="utf-8",
        )
        first = batch_updater("run", "rows.csv", "--limit", "1", "--compare", cwd=tmp_path)
        assert first.code == 3
        seen = len(api.requests())
        done = batch_updater("check", "rows.csv", "--compare", "--json", cwd=tmp_path)
        assert [request["method"] for request in api.requests()[seen:]] == ["GET"] * 4
        assert (done.code, done.outcomes) == (1, {"unchanged": 1, "planned": 2, "rejected": 1})
        assert (done.object["run"], done.object["requests"]) == (None, 4)
        said = batch_updater("check", "rows.csv", "--compare", cwd=tmp_path).out
    assert "2 records change." in said
    assert "Total of SalesRevenue in these records: " in said
    assert "emptied in 1" in said
    book = openpyxl.load_workbook(done.object["results"])
    header, *changes = book["Changes"].iter_rows(values_only=True)
    assert header == ("Row", "Target", "Field", "Now", "New")
    assert [(row, field, new) for row, _, field, _, new in changes] == [
        (3, "PendingCloseDate", "(empty)"), (4, "SalesRevenue", 7), (4, "PendingCloseDate", datetime(2031, 1, 2)),  # noqa: DTZ001
    ]  # fmt: skip
    assert all(now not in (None, "") for _, _, _, now, _ in changes)
    assert any("2 records change." in str(cell) for (cell, *_) in book["Summary"].iter_rows(values_only=True))


@pytest.mark.one_process("it looks into the run's SQLite file")
def test_the_database_keeps_what_was_what_was_asked_and_what_came_back(tmp_path: Path) -> None:
    """Of every updated row: the record before where it was read, the body that was sent, and the API's answer."""
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "rows.csv", {1: "New name"})
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        configure(tmp_path, api.url)
        write_rows(tmp_path / "rows.csv", {2: "Other name"})
        blind = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    kept = [kept_of(run.object["run"]) for run in (done, blind)]
    assert [(asked["OpportunityName"], reported["OpportunityName"]) for _, asked, reported in kept] == [
        ("New name", "New name"), ("Other name", "Other name"),
    ]  # fmt: skip
    assert kept[0][0]["OpportunityName"] != "New name"
    assert kept[0][0]["ID"] == 1
    assert kept[1][0] is None


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        ("changed: 1", "2 records would change, and guards.changed allows 1; the first: rows 2, 3."),
        ("factor: 100", "Row 2 would change SalesRevenue from "),
        ("total_change_percent: 10", "The total of SalesRevenue would change from "),
    ],
)
def test_a_guard_on_changes_sends_nothing(tmp_path: Path, guard: str, said: str) -> None:
    """Over a guard that only reading can judge: exit 2, no PUT, no run; --override-guards sends all the same."""
    (tmp_path / "rows.csv").write_text("Id,Type,SalesRevenue\n1,Pre,123456789.50\n2,Pre,1\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url, f"sending: {{rate_per_s: 2000, compare: true}}\nguards: {{{guard}}}\n")
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert done.code == 2
        assert said in done.object["error"]["message"]
        assert f"guards.{guard.partition(':')[0]}" in done.object["error"]["remedy"]
        assert {request["method"] for request in api.requests()} == {"GET"}
        assert not list((tmp_path / "runs").glob("2*"))
        again = batch_updater("run", "rows.csv", "--override-guards", "--json", cwd=tmp_path)
        assert (again.code, again.outcomes) == (0, {"updated": 2})


@pytest.mark.parametrize(
    ("trouble", "reason", "said"),
    [
        (("--quota", "1"), "quota", "quota of requests"),
        (("--fault", "status-503=0.5"), "service_down", "could not be read."),
    ],
)
def test_guards_that_cannot_be_judged_send_nothing(
    tmp_path: Path, trouble: tuple[str, ...], reason: str, said: str
) -> None:
    """Where not every record can be read: exit 3, no PUT, the readings counted, and the run can be resumed."""
    settings = "sending: {rate_per_s: 2000, compare: true, attempts: 1, concurrency: 1}\nguards: {changed: 10}\n"
    write_rows(tmp_path / "rows.csv", {1: "a", 2: "b", 3: "c", 4: "d"})
    with sandbox(*trouble) as api:
        configure(tmp_path, api.url, settings)
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (3, {"not_sent": 4})
        assert done.object["stopped"] == reason
        rows = openpyxl.load_workbook(done.object["results"])["Summary"].iter_rows(values_only=True)
        why = next(str(value) for row in rows for value in row if "Nothing was sent, because the guards" in str(value))
        assert said in why
        methods = [request["method"] for request in api.requests()]
        assert methods == ["GET"] * done.object["requests"]
    with sandbox() as api:
        configure(tmp_path, api.url, settings)
        again = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (again.code, again.outcomes) == (0, {"updated": 4})
        assert again.object["requests"] == len(api.requests()) == 12


@pytest.mark.parametrize(
    ("guard", "stops"),
    [
        ("changed: 1", False), ("changed: 0", True), ("factor: 2.3", False), ("factor: 2.29", True),
        ("total_change_percent: 130", False), ("total_change_percent: 129.9", True),
    ],
)  # fmt: skip
def test_a_guard_on_changes_allows_what_it_names(tmp_path: Path, guard: str, *, stops: bool) -> None:
    """10 becomes 23: one record, by the factor 2.3, by 130 per cent; a check says beforehand what a run would do."""
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        (tmp_path / "first.csv").write_text("Id,Type,SalesRevenue\n1,Pre,10\n", encoding="utf-8")
        assert batch_updater("run", "first.csv", cwd=tmp_path).code == 0
        configure(tmp_path, api.url, f"{FAST}guards: {{{guard}}}\n")
        (tmp_path / "rows.csv").write_text("Id,Type,SalesRevenue\n1,Pre,23\n", encoding="utf-8")
        checked = batch_updater("check", "rows.csv", cwd=tmp_path)
        assert (f"guards.{guard.partition(':')[0]} allows" in checked.out) == stops, checked.out
        assert ("--override-guards" in checked.out) == stops
        first = openpyxl.load_workbook(tmp_path / "rows-check.xlsx")["Summary"]["A2"].value
        command = "batch-updater run rows.csv --compare"
        assert str(first).endswith(f"{command} --override-guards" if stops else f"Send them: {command}")
        assert "1 record is read: about" in checked.err
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert done.code == (2 if stops else 0), done.err


def test_a_check_speaks_of_what_would_be_sent(tmp_path: Path) -> None:
    """Nothing of a check says that rows were updated or not; records that could not be read are for another time."""
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 1}\n")
        write_rows(tmp_path / "none.csv", {99_999_998: "a", 99_999_999: "b"})
        none = batch_updater("check", "none.csv", "--compare", cwd=tmp_path)
        assert "None of the 2 rows can be sent." in none.out
    with sandbox("--fault", "status-503=1") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 1}\n")
        write_rows(tmp_path / "down.csv", {1: "a"})
        down = batch_updater("check", "down.csv", "--compare", cwd=tmp_path)
    assert down.code == 3
    assert "0 of 1 rows would be sent. 1 record could not be read." in down.out
    assert "Check again when every record can be read." in down.out


def test_what_a_person_overrides_is_kept(tmp_path: Path) -> None:
    """The preview and the workbook say which guard was overridden, and by how much it is exceeded."""
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500}\nguards: {rows: 1}\n")
        write_rows(tmp_path / "rows.csv", {1: "a", 2: "b"})
        done = batch_updater("run", "rows.csv", "--override-guards", cwd=tmp_path)
    said = "A guard is exceeded, and overridden by --override-guards. The file has 2 rows, and guards.rows allows 1"
    assert done.code == 0
    assert said in done.err
    (workbook,) = (tmp_path / "runs").glob("*/rows-results-*.xlsx")
    rows = openpyxl.load_workbook(workbook)["Summary"].iter_rows(values_only=True)
    assert any(said in str(value) for row in rows for value in row)


def test_guards_that_are_not_judged_are_said(tmp_path: Path) -> None:
    """A guard on changes is idle as long as no record is read: check and run say so instead of looking safe."""
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500}\nguards: {changed: 0, factor: 2}\n")
        write_rows(tmp_path / "rows.csv", {1: "a"})
        note = "guards.changed and guards.factor are judged only where records are read"
        assert note in batch_updater("check", "rows.csv", cwd=tmp_path).out
        done = batch_updater("run", "rows.csv", cwd=tmp_path)
    assert done.code == 0
    assert note in done.err


def test_readings_beforehand_leave_out_what_is_done(tmp_path: Path) -> None:
    """A resumed run is guarded by what it still sends, and reads nothing else."""
    settings = f"{FAST}guards: {{changed: 2}}\n"
    write_rows(tmp_path / "rows.csv", {number: f"name {number}" for number in range(1, 5)})
    with sandbox() as api:
        configure(tmp_path, api.url, settings)
        assert batch_updater("run", "rows.csv", "--limit", "2", cwd=tmp_path).code == 3
        seen = len(api.requests())
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        targets = [(one["method"], one["path"].rpartition("/")[2]) for one in api.requests()[seen:]]
    assert done.code in {0, 1}, done.err
    assert sorted(targets) == sorted([*(("GET", "3"), ("GET", "4")) * 2, ("PUT", "3"), ("PUT", "4")])


def test_the_rate_holds_over_readings_and_updates(tmp_path: Path) -> None:
    """In no second do more requests arrive than rate and burst allow, whichever of the three passes made them."""
    settings = "sending: {rate_per_s: 50, burst: 60, concurrency: 5, compare: true}\nguards: {changed: 999}\n"
    write_rows(tmp_path / "rows.csv", {number: f"name {number}" for number in range(1, 81)})
    with sandbox() as api:
        configure(tmp_path, api.url, settings)
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        times = [request["at_s"] for request in api.requests()]
    # Beside the odd two, those that were in flight while the sandbox or its machine stood still arrive together.
    assert (done.code, len(times)) == (0, 240), done.err
    assert max(bisect_left(times, began + 1) - at for at, began in enumerate(times)) <= 50 + 60 + 2 + 5


def test_a_trial_is_guarded_by_its_own_rows(tmp_path: Path) -> None:
    """With --limit the guards read the rows that would be sent, and no others; over the whole it stops."""
    settings = "sending: {rate_per_s: 2000, compare: true}\nguards: {changed: 1}\n"
    write_rows(tmp_path / "rows.csv", {1: "a", 2: "b", 3: "c"})
    with sandbox() as api:
        configure(tmp_path, api.url, settings)
        trial = batch_updater("run", "rows.csv", "--limit", "1", "--json", cwd=tmp_path)
        assert (trial.code, trial.outcomes) == (3, {"updated": 1, "not_sent": 2}), trial.err
        assert trial.object["stopped"] == "limit"
        methods = [request["method"] for request in api.requests()]
        assert methods == ["GET", "GET", "PUT"]
        assert trial.object["requests"] == 3
        whole = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert whole.code == 2
        assert "2 records would change" in whole.object["error"]["message"]


def test_keep_going_holds_for_the_readings_of_the_guards_too(tmp_path: Path) -> None:
    """Rows that are all refused in one way while the guards read stop the run, unless a person means it."""
    settings = (
        "sending: {rate_per_s: 2000, compare: true, stop_after_alike: 2, concurrency: 1}\nguards: {changed: 10}\n"
    )
    write_rows(tmp_path / "rows.csv", {99_999_998: "a", 99_999_999: "b", 3: "c", 4: "d"})
    with sandbox() as api:
        configure(tmp_path, api.url, settings)
        stopped = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (stopped.code, stopped.object["stopped"]) == (3, "all_alike"), stopped.err
        assert stopped.outcomes == {"not_sent": 4}
        meant = batch_updater("run", "rows.csv", "--keep-going", "--json", cwd=tmp_path)
        assert (meant.code, meant.outcomes) == (1, {"rejected": 2, "updated": 2}), meant.err


def test_check_of_an_undo_opens_no_connection(tmp_path: Path) -> None:
    """Without --compare `check` needs neither API nor token, also for a workbook that `run` would read records for."""
    with sandbox() as api:
        configure(tmp_path, api.url, FAST)
        write_rows(tmp_path / "rows.csv", {1: "New name"})
        run = batch_updater("run", "rows.csv", "--json", cwd=tmp_path).object["run"]
        seen = len(api.requests())
        configure(tmp_path, api.url)
        undo = batch_updater("undo", run, "--json", cwd=tmp_path).object["undo"]
        done = batch_updater("check", undo, "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (0, {"planned": 1})
        assert len(api.requests()) == seen


def kept_of(folder: str) -> tuple[Any, Any, Any]:
    with closing(sqlite3.connect(Path(folder) / "run.sqlite")) as database:
        (row,) = database.execute("SELECT before, body, reported FROM rows").fetchall()
    before, asked, reported = (None if text is None else json.loads(text) for text in row)
    return before, asked, reported


def test_comparing_needs_a_description_that_says_how_to_read(tmp_path: Path) -> None:
    """Where no way to read a record is described, comparing is refused before anything is opened."""
    configure(tmp_path, "http://127.0.0.1:9", "sending: {compare: true}\n")
    endpoint = f"{SAMPLES}/second-endpoint/customers.openapi.yaml"
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = batch_updater("check", "rows.csv", cwd=tmp_path, BATCH_UPDATER_API__ENDPOINT=endpoint)
    assert done.code == 2
    assert "api.read" in done.err
