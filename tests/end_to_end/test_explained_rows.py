"""`report --row` and `report --rows`: why each row of a run ended as it did, from the run's folder alone."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from aiohttp import web

from tests.end_to_end.program import batch_updater, configure, in_store, sandbox
from tests.sender.server import Api, hang, status
from tests.torture.runs import database_of, start, write_rows

if TYPE_CHECKING:
    from tests.sender.server import Answer, Seen

pytestmark = pytest.mark.usefixtures("store")

RUN = "sending: {rate_per_s: 500, attempts: 4}\n"


def explained(folder: Path, row: int) -> dict[str, Any]:
    """Return what is said of a row of the newest run."""
    done = batch_updater("report", "--row", str(row), "--json", cwd=folder)
    assert (done.code, done.err) == (0, "")
    return done.object


def ran(folder: Path, api: Api, rows: int, *options: str) -> None:
    """Run a file with records 1, 2 and so on in its rows 2, 3 and so on."""
    names = [{"Id": n, "Type": "Pre", "Note": "by phone", "OpportunityName": f"name {n}"} for n in range(1, rows + 1)]
    write_rows(folder / "c.csv", [dict(row) for row in names])
    configure(folder, api.url, RUN)
    assert batch_updater("run", "c.csv", *options, cwd=folder).code in {0, 1, 3}


def is_settled(folder: Path, row: int) -> bool:
    """Whether the outcome of a row is on disk."""
    database = database_of(folder)
    assert database
    with closing(sqlite3.connect(database)) as connection:
        (outcome,) = connection.execute("SELECT outcome FROM rows WHERE number = ?", (row,)).fetchone()
    return outcome is not None


def attempts(told: dict[str, Any]) -> list[tuple[int, int, str | None, int | None, str]]:
    return [(one["part"], one["number"], one["method"], one["status"], one["why"]) for one in told["attempts"]]


def test_a_row_that_was_tried_again_has_every_attempt(tmp_path: Path) -> None:
    """Each with its status, time, the wait before it and its answer; the last one with the record that came back."""
    busy = status(503, {"Message": "too busy"}, Retry_After="0.1")
    with Api(script={"1": [busy, status(500, "<html><title>Oops</title></html>")]}) as api:
        ran(tmp_path, api, 1)
    told = explained(tmp_path, 2)
    assert attempts(told) == [
        (1, 1, "PUT", 503, "retry"), (1, 2, "PUT", 500, "retry"), (1, 3, "PUT", 200, "accepted"),
    ]  # fmt: skip
    first, second, last = told["attempts"]
    assert first["message"] == "Nexus answered 503 Service Unavailable: too busy"
    assert json.loads(first["answer"]) == {"Message": "too busy"}
    assert second["answer"] == "<html><title>Oops</title></html>"
    assert json.loads(last["answer"])["OpportunityName"] == "name 1"
    assert (first["wait_s"], second["wait_s"] >= 0.09) == (0, True)
    assert first["sent_at"] < second["sent_at"] < last["sent_at"]


def test_a_row_says_what_was_in_it_and_what_was_sent(tmp_path: Path) -> None:
    """Cells with header, address and field, constants, and the request without its headers."""
    with Api() as api:
        ran(tmp_path, api, 2, "--set", "StageName=Prospect")
        (seen,) = [seen for seen in api.seen if seen.id == "2"]
        path = f"{api.url}{seen.request.path}"
    told = explained(tmp_path, 3)
    assert [(one["cell"], one["header"], one["value"], one["field"]) for one in told["cells"]] == [
        ("A3", "Id", "2", "OpportunityId"), ("B3", "Type", "Pre", "opportunityType"), ("C3", "Note", "by phone", None),
        ("D3", "OpportunityName", "name 2", "OpportunityName"),
    ]  # fmt: skip
    assert told["constants"] == {"StageName": "Prospect"}
    assert told["request"] == {
        "method": "PUT", "url": path, "query": "opportunityType=Pre", "headers": {}, "body": json.loads(seen.body),
    }  # fmt: skip
    assert (told["outcome"], told["read"], attempts(told)) == ("updated", None, [(1, 1, "PUT", 200, "accepted")])


def test_a_row_with_a_wrong_cell_has_no_request(tmp_path: Path) -> None:
    """The problem is there with its cell, and for people all of it in words."""
    write_rows(tmp_path / "c.csv", [{"Id": "x", "Type": "Pre", "OpportunityName": "a"}])
    configure(tmp_path, "http://127.0.0.1:9", RUN)
    assert batch_updater("run", "c.csv", cwd=tmp_path).code == 1
    told = explained(tmp_path, 2)
    assert (told["outcome"], told["request"], told["attempts"], told["status"]) == ("invalid", None, [], None)
    assert [(one["cell"], one["field"], one["code"]) for one in told["problems"]] == [
        ("A2", "OpportunityId", "not-a-number")
    ]
    shown = batch_updater("report", "--row", "2", cwd=tmp_path).out
    assert "  A2  Id               x    OpportunityId\n" in shown
    assert "Outcome: invalid\n  Id (A2, field OpportunityId): 'x' is not a whole number.\n" in shown
    assert shown.endswith("What to do\n  Type the digits alone, such as 1234.\n")


@pytest.mark.parametrize(
    ("answer", "outcome", "why"),
    [
        (status(400, {"Message": "No such stage"}), "rejected", "refused"),
        (status(200, "done"), "unconfirmed", "give_up"),
        (status(202, {"Message": "queued"}), "unconfirmed", "give_up"),
    ],
)
def test_an_answer_that_did_not_confirm_a_row_is_kept(tmp_path: Path, answer: Answer, outcome: str, why: str) -> None:
    """It was one attempt alone."""
    with Api(script={"1": [answer]}) as api:
        ran(tmp_path, api, 1)
    told = explained(tmp_path, 2)
    (only,) = told["attempts"]
    assert (told["outcome"], only["why"], only["status"]) == (outcome, why, told["status"])
    assert only["answer"] in {'{"Message": "No such stage"}', "done", '{"Message":"queued"}'}
    assert only["message"]


def test_a_row_whose_record_was_read_has_both_requests(tmp_path: Path) -> None:
    """Reading and update, whether all went well from the first on, or the update was tried again, or not needed."""
    with Api(script={"2": [status(503)]}, readings={"3": [status(503)], "4": [_as_asked]}) as api:
        ran(tmp_path, api, 4, "--compare")
    fine, again, read_again, unchanged = (explained(tmp_path, row) for row in (2, 3, 4, 5))
    assert attempts(fine) == [(1, 1, "GET", 200, "accepted"), (1, 2, "PUT", 200, "accepted")]
    for told in (fine, again, read_again, unchanged):
        assert all(one["sent_at"] and one["seconds"] > 0 and one["wait_s"] is not None for one in told["attempts"])
        assert [one["sent_at"] for one in told["attempts"]] == sorted(one["sent_at"] for one in told["attempts"])
    assert json.loads(fine["attempts"][0]["answer"])["OpportunityName"] == "before"
    assert json.loads(fine["attempts"][1]["answer"])["OpportunityName"] == "name 1"
    assert (fine["read"]["method"], fine["read"]["url"]) == ("GET", fine["request"]["url"])
    assert attempts(again) == [
        (1, 1, "GET", 200, "accepted"), (1, 2, "PUT", 503, "retry"), (1, 3, "PUT", 200, "accepted"),
    ]  # fmt: skip
    assert attempts(read_again) == [
        (1, 1, "GET", 503, "retry"), (1, 2, "GET", 200, "accepted"), (1, 3, "PUT", 200, "accepted"),
    ]  # fmt: skip
    assert (unchanged["outcome"], attempts(unchanged)) == ("unchanged", [(1, 1, "GET", 200, "accepted")])


async def _as_asked(seen: Seen) -> web.StreamResponse:
    return web.json_response([{"ID": int(seen.id), "Type": "Pre", "OpportunityName": f"name {seen.id}"}])


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_attempts_of_every_part_of_a_run_are_told_apart(tmp_path: Path) -> None:
    """A row that failed, one that was in flight when the process was killed, and one that was done before that."""
    with Api(script={"1": [], "2": [status(503)] * 4, "3": [hang]}) as api:
        write_rows(tmp_path / "c.csv", [{"Id": n, "Type": "Pre", "OpportunityName": f"name {n}"} for n in (1, 2, 3)])
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, attempts: 2, concurrency: 1}\n", timeout_s=30)
        process = start(tmp_path, "run", "c.csv", "--yes")
        while "3" not in {seen.id for seen in api.seen} or not is_settled(tmp_path, 3):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert attempts(explained(tmp_path, 4)) == [(1, 1, None, None, "ended while in flight")]
        api.script["2"] = []
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 0
    assert attempts(explained(tmp_path, 2)) == [(1, 1, "PUT", 200, "accepted")]
    assert attempts(explained(tmp_path, 3)) == [
        (1, 1, "PUT", 503, "retry"), (1, 2, "PUT", 503, "retry"), (2, 1, "PUT", 200, "accepted"),
    ]  # fmt: skip
    assert attempts(explained(tmp_path, 4)) == [
        (1, 1, None, None, "ended while in flight"), (2, 1, "PUT", 200, "accepted"),
    ]  # fmt: skip
    shown = batch_updater("report", "--row", "3", cwd=tmp_path).out
    assert "  1. PUT 20" in shown
    assert "503 Service Unavailable, took " in shown
    assert "when the run was resumed for the first time:" in shown


def test_a_long_answer_is_cut_off_after_secrets_were_removed(tmp_path: Path) -> None:
    """At most 2,000 characters are kept, and a secret at their end is gone whole."""
    text = "x" * 1990 + "sandbox-token" + "y" * 5000
    with Api(script={"1": [status(400, {"Message": text})]}) as api:
        ran(tmp_path, api, 1)
    (only,) = explained(tmp_path, 2)["attempts"]
    assert len(only["answer"]) <= 2010
    assert "sandbox" not in only["answer"]
    for everything in ("SELECT * FROM rows", "SELECT * FROM attempts"):
        assert "sandbox-t" not in str(in_store(tmp_path, everything))


def test_every_row_is_a_line_of_json(tmp_path: Path) -> None:
    """In file order and with the outcome that the run has counted; a line is what `--row` says of its row."""
    with sandbox("--fault", "status-400=0.3") as api:
        rows = [{"Id": n, "Type": "Pre", "OpportunityName": f"näme {n}"} for n in range(1, 40)]
        write_rows(tmp_path / "c.csv", [*rows, {"Id": "x", "Type": "Pre", "OpportunityName": "\u2028\x7f"}])
        configure(tmp_path, api.url, RUN)
        done = batch_updater("run", "c.csv", "--json", cwd=tmp_path)
    listed = batch_updater("report", "--rows", cwd=tmp_path)
    lines = listed.lines
    assert listed.code == 0
    assert [line["row"] for line in lines] == list(range(2, 42))
    for kind, count in done.object["outcomes"].items():
        assert sum(line["outcome"] == kind for line in lines) == count
    told = explained(tmp_path, 7)
    assert {name: told[name] for name in lines[5]} == lines[5]
    assert lines[-1]["cells"][2]["value"] == "\u2028\x7f"


def test_numbers_have_the_digits_that_the_file_and_the_request_have(tmp_path: Path) -> None:
    """None of them goes through a binary fraction."""
    write_rows(tmp_path / "c.csv", [{"Id": 1, "Type": "Pre", "SalesRevenue": "1234567890123.45"}])
    with Api() as api:
        configure(tmp_path, api.url, RUN)
        batch_updater("run", "c.csv", cwd=tmp_path)
    assert '"body":{"SalesRevenue": 1234567890123.45}' in batch_updater("report", "--rows", cwd=tmp_path).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--row", "9"], "has no row 9."), (["--row", "1"], "has no row 1."),
        (["--row", "2", "--rows"], "exclude each other"), (["--rows", "--results", "r.xlsx"], "exclude each other"),
    ],
)  # fmt: skip
def test_rows_that_are_not_there_and_options_that_do_not_fit_are_refused(
    tmp_path: Path, options: list[str], said: str
) -> None:
    """Exit 2, and no workbook is written."""
    with Api() as api:
        ran(tmp_path, api, 1)
    before = sorted(tmp_path.rglob("*"))
    done = batch_updater("report", *options, "--json", cwd=tmp_path)
    assert (done.code, said in done.object["error"]["message"]) == (2, True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_row_of_a_repaired_workbook_has_the_number_of_the_first_file(tmp_path: Path) -> None:
    """It says where it is on the sheet To fix; who asks for that row instead is told its number."""
    write_rows(tmp_path / "q1.csv", [{"Id": n, "Type": "Pre", "SalesRevenue": "1"} for n in (1, 2, 3, "x", 5, "y")])
    with sandbox() as api:
        configure(tmp_path, api.url, RUN)
        first = batch_updater("run", "q1.csv", "--json", cwd=tmp_path).object
        book = openpyxl.load_workbook(first["results"])
        sheet = book["To fix"]
        assert [row[0].value for row in sheet.iter_rows(min_row=2)] == [5, 7]
        sheet["E2"], sheet["E3"] = 5, 7
        sheet.append([None, None, None, None, "z", "Pre", "1"])
        book.save(tmp_path / "mine.xlsx")
        second = batch_updater("run", "mine.xlsx", "--json", cwd=tmp_path).object
    assert second["outcomes"]["updated"] == 2
    for row, place in (
        ("7", 'Row 7 of q1.csv, here row 3 of mine.xlsx, sheet "To fix"\n'),
        ("8", 'Row 8, which q1.csv does not have, here mine.xlsx, sheet "To fix"\n'),
    ):
        shown = batch_updater("report", "--row", row, cwd=tmp_path).out
        assert shown.startswith(place)
        assert ("\n  A7  Id " in shown) is (row == "7")
    in_sheet, elsewhere = (batch_updater("report", "--row", row, cwd=tmp_path) for row in ("3", "6"))
    assert (in_sheet.code, elsewhere.code) == (2, 2)
    assert in_sheet.err.endswith(
        "has no row 3. Its rows have the numbers that they have in q1.csv: row 3 of the sheet "
        '"To fix" is row 7 there.\nAsk for that one: --row 7.\n'
    )
    asked = Path(first["run"]).name
    assert f"ask the first run: `batch-updater report {asked} --row 6`." in elsewhere.err
    assert batch_updater("report", asked, "--row", "6", "--json", cwd=tmp_path).object["outcome"] == "updated"


def test_a_row_that_was_repaired_since_says_how_it_ended(tmp_path: Path) -> None:
    """What was to be done then is not proposed again; a run without the row names the last one that has it."""
    write_rows(tmp_path / "q1.csv", [{"Id": n, "Type": "Pre", "SalesRevenue": "1"} for n in (1, "x", "y")])
    with sandbox() as api:
        configure(tmp_path, api.url, RUN)
        name, runs = "q1.csv", []
        for repaired in (2, 3, None):
            done = batch_updater("run", name, "--json", cwd=tmp_path).object
            runs.append(Path(done["run"]).name)
            if repaired:
                book = openpyxl.load_workbook(done["results"])
                book["To fix"]["E2"] = repaired
                name = f"round-{repaired}.xlsx"
                book.save(tmp_path / name)
    told = batch_updater("report", runs[0], "--row", "4", "--json", cwd=tmp_path).object
    assert [(Path(one["run"]).name, one["outcome"]) for one in told["later"]] == [
        (runs[1], "invalid"), (runs[2], "updated"),
    ]  # fmt: skip
    shown = batch_updater("report", runs[0], "--row", "3", cwd=tmp_path).out
    assert shown.endswith(f"\nSince then\n  {runs[1]}: updated\n")
    assert batch_updater("report", runs[1], "--row", "3", "--json", cwd=tmp_path).object["later"] == []
    elsewhere = batch_updater("report", "--row", "3", cwd=tmp_path)
    assert f"ask the last run that has it: `batch-updater report {runs[1]} --row 3`." in elsewhere.err


@pytest.mark.one_process("a team has another copy of the input, in its database")
def test_a_row_that_was_left_out_says_so(tmp_path: Path) -> None:
    """By --limit, as hidden, as a total; and of one that holds no data what it holds."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    rows: list[list[Any]] = [
        ["Pipeline"],
        [],
        ["Id", "Type", "SalesRevenue"],
        [1, "Pre", 10],
        [2, "Pre", 20],
        [],
        [3, "Pre", 30],
    ]
    for row in (*rows, [4, "Pre", 40], [None, "Total", 100]):
        sheet.append(row)
    sheet.row_dimensions[5].hidden = True
    book.save(tmp_path / "q.xlsx")
    with sandbox() as api:
        configure(tmp_path, api.url, RUN)
        options = ("--header-row", "3", "--visible-only", "--without-totals", "--limit", "1")
        assert batch_updater("run", "q.xlsx", *options, cwd=tmp_path).code == 3
    said = {n: batch_updater("report", "--row", str(n), cwd=tmp_path) for n in (1, 3, 5, 6, 7, 9, 10)}
    for number, why in {
        1: "is above the headers, which are in row 3.", 3: "holds the headers.", 6: "is blank.",
        5: "is hidden in the sheet and was left out, as you said.\nTo send it as well, run the file again with "
        "--all-rows.",
        9: "was left out, as you said: it holds totals or a remark, and is no record.",
    }.items():  # fmt: skip
        assert f"has no row {number}. Row {number} of q.xlsx {why}" in said[number].err
    assert "The last row of q.xlsx is row 9." in said[10].err
    next(tmp_path.glob("runs/*/input.xlsx")).unlink()
    assert "has no row 5.\n" in batch_updater("report", "--row", "5", cwd=tmp_path).err
    assert "Only the first good row had its turn, as --limit asked." in said[7].out
    assert said[7].out.endswith("What to do\n  Run again without --limit.\n")


def test_rows_that_succeed_at_once_store_no_attempt(tmp_path: Path) -> None:
    """Of nearly every row the outcome tells all of it."""
    with Api(script={"2": [status(503)]}) as api:
        ran(tmp_path, api, 3)
    assert in_store(tmp_path, 'SELECT "row", number FROM attempts ORDER BY number') == [(3, 1), (3, 2)]


@pytest.mark.one_process("a worker tells on standard error what it does, and no folder has a log of all workers")
def test_the_log_says_what_began_and_how_it_ended(tmp_path: Path) -> None:
    """In its first line version, input and settings without secrets, in its last the outcomes; so for each part."""
    with Api(script={"1": [status(503)] * 4, "2": []}) as api:
        ran(tmp_path, api, 2)
        assert batch_updater("run", "c.csv", cwd=tmp_path).code == 0
    (log,) = tmp_path.glob("runs/*/run.log")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    first, *_, ended = lines[: next(at for at, line in enumerate(lines) if line["event"] == "run ended") + 1]
    resumed, *_, last = lines[lines.index(ended) + 1 :]
    assert (first["event"], first["part"], first["input"], first["rows"], first["to_send"]) == (
        "run begins", 1, "c.csv", 2, 2,
    )  # fmt: skip
    assert first["columns"] == {
        "Id": "OpportunityId", "Type": "opportunityType", "Note": None, "OpportunityName": "OpportunityName",
    }  # fmt: skip
    assert (first["settings"]["api.token"], first["settings"]["sending.attempts"]) == ("env:NEXUS_TOKEN", "4")
    assert (ended["exit_code"], ended["outcomes"], ended["requests"]) == (3, {"updated": 1, "failed": 1}, 5)
    assert (resumed["event"], resumed["part"], resumed["to_send"], resumed["confirmed"]) == ("run begins", 2, 1, 1)
    assert (last["event"], last["exit_code"], last["outcomes"]) == ("run ended", 0, {"updated": 2})
    assert last["message"] == "All 2 rows were updated."
