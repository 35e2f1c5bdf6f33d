from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, configure, environment, in_store, sandbox, worker
from tests.end_to_end.test_terminal import converse
from tests.reserved_port import reserved_port
from tests.torture.runs import confirmed_rows, database_of, ended, numbered, start, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")

DESCRIPTION = Path(__file__).parent.parent.parent / "batch_updater/endpoint/nexus-opportunity.openapi.yaml"
FAST = "sending: {rate_per_s: 5000, attempts: 2}\n"
SLOW = "sending: {rate_per_s: 10, concurrency: 4}\n"
"""So slow that a run of 100 rows is told to stop long before its end, however long a signal takes to be heard of."""
_STOPPED_WHILE_IT_WRITES = """
import os, signal, sys
from batch_updater.cli import commands

to_open = [1]

def stop(event, arguments):
    is_draft = event == "open" and os.path.basename(str(arguments[0])).startswith(".rows-results-")
    if is_draft and os.path.exists(arguments[0]) and to_open:
        to_open.clear()
        os.kill(os.getpid(), signal.SIGSTOP)

sys.addaudithook(stop)
sys.exit(commands.main(sys.argv[1:]))
"""
"""Once the draft of the workbook has been created, and is opened to be written."""


@pytest.fixture
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def interrupted(folder: Path, api: Sandbox, rows: int = 100) -> dict[str, Any]:
    """Leave a run of rows.csv unfinished, as Ctrl-C does; returns its result."""
    numbered(folder / "rows.csv", rows)
    configure(folder, api.url, SLOW)
    before = len(api.requests())
    with worker("run", cwd=folder):
        process = start(folder, "run", "rows.csv")
        api.wait_for(before + 12)
        process.send_signal(signal.SIGINT)
        code, result, _ = ended(process)
    assert (code, result["stopped"]) == (3, "interrupted")
    configure(folder, api.url, FAST)
    return result


def rows_of(workbook: str) -> list[tuple[object, ...]]:
    """Return what the sheet with every row says."""
    book = openpyxl.load_workbook(workbook, read_only=True)
    rows: list[tuple[object, ...]] = list(book["All rows"].iter_rows(values_only=True))
    book.close()
    return rows


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, api: Sandbox) -> None:
    """What was confirmed is not sent again, and the last workbook is about the whole run."""
    first = interrupted(tmp_path, api)
    done, before = first["outcomes"]["updated"], len(api.requests())
    second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert f": {done} of 100 rows are done." in second.err
    assert second.err.startswith("Resuming the run of ")
    assert (second.code, second.outcomes) == (0, {"updated": 100})
    assert second.object["run"] == first["run"]
    assert second.object["requests"] == len(api.requests()) - before == 100 - done
    assert len({request["path"] for request in api.requests()}) == len(api.requests()) == 100
    rows = rows_of(second.object["results"])
    assert {row[rows[0].index("Outcome")] for row in rows[1:]} == {"updated"}
    assert {row[rows[0].index("Attempts")] for row in rows[1:]} == {1}
    third = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert "This was applied before (" in third.err
    assert third.object["run"] != first["run"]
    assert third.object["requests"] == 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("content", "the content of the file"), ("mapping", "which column is which field"),
        ("constants", "the constants"), ("reading", "how cells are read"), ("api", "the address of the API"),
    ],
)  # fmt: skip
def test_what_has_changed_is_a_new_run_and_said(tmp_path: Path, api: Sandbox, change: str, said: str) -> None:
    """Another content, mapping or API is another run; the unfinished one is named and left."""
    first = interrupted(tmp_path, api)
    more, constants = FAST, []
    if change == "content":
        numbered(tmp_path / "rows.csv", 99)
    elif change == "mapping":
        more += "input: {columns: {OpportunityName: OpportunityID}}\n"
    elif change == "reading":
        more += "input: {decimal: ','}\n"
    elif change == "constants":
        constants = ["--set", "LanguageId=1"]
    with sandbox() as other:
        configure(tmp_path, other.url if change == "api" else api.url, more)
        second = batch_updater("run", "rows.csv", "--json", *constants, cwd=tmp_path)
    name = Path(first["run"]).name
    assert f"The unfinished run {name} is not resumed, because this has changed since: {said}" in second.err
    assert second.code == 0
    assert second.object["run"] != first["run"]
    assert second.object["requests"] >= 99


def test_another_sheet_is_another_run(tmp_path: Path, api: Sandbox) -> None:
    """The same workbook's other sheet has other rows."""
    book = openpyxl.Workbook()
    for sheet in (book.worksheets[0], book.create_sheet("Second")):
        sheet.append(["Id", "Type", "OpportunityName"])
        sheet.append([1, "Pre", sheet.title])
        sheet.append([2, "Pre", sheet.title])
    book.save(tmp_path / "two.xlsx")
    configure(tmp_path, api.url, FAST)
    first = batch_updater("run", "two.xlsx", "--sheet", "Sheet", "--limit", "1", "--json", cwd=tmp_path)
    assert (first.code, first.object["stopped"]) == (3, "limit")
    second = batch_updater("run", "two.xlsx", "--sheet", "Second", "--json", cwd=tmp_path)
    assert "because this has changed since: the sheet." in second.err
    third = batch_updater("run", "two.xlsx", "--sheet", "Sheet", "--json", cwd=tmp_path)
    assert (third.object["run"], third.object["requests"]) == (first.object["run"], 1)


def test_restart_starts_a_new_run(tmp_path: Path, api: Sandbox) -> None:
    """With --restart every row is sent again, in a run of its own; later starts know the newer run alone."""
    first = interrupted(tmp_path, api)
    second = batch_updater("run", "rows.csv", "--restart", "--json", cwd=tmp_path)
    assert (second.code, second.object["requests"]) == (0, 100)
    assert second.object["run"] != first["run"]
    third = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert "Resuming" not in third.err


def make_older(folder: Path, days: float) -> None:
    """Let the only run have been started so much earlier."""
    in_store(folder, f"UPDATE parts SET started_at = started_at - {days * 86_400}")  # noqa: S608  (a number)


def test_an_old_run_is_resumed_only_if_a_person_says_so(tmp_path: Path, api: Sandbox) -> None:
    """After more than a day newer changes could be overwritten: it is asked, or without a terminal needs --yes."""
    interrupted(tmp_path, api)
    make_older(tmp_path, 1.1)
    before = len(api.requests())
    refused = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert refused.code == 2
    assert "more than a day old" in refused.object["error"]["message"]
    assert "--yes" in refused.object["error"]["remedy"]
    code, shown = converse("n", tmp_path, "run", "rows.csv")
    assert (code, len(api.requests())) == (2, before)
    assert "changes made since could be overwritten" in shown
    assert "Send " in shown
    done = batch_updater("run", "rows.csv", "--yes", "--json", cwd=tmp_path)
    assert (done.code, done.outcomes) == (0, {"updated": 100})


def test_a_trial_goes_on_with_the_rest(tmp_path: Path, api: Sandbox) -> None:
    """--limit sends the first rows; the same again sends nothing more, and without it the rest follows."""
    numbered(tmp_path / "rows.csv", 20)
    configure(tmp_path, api.url, FAST)
    requests = [
        batch_updater("run", "rows.csv", *limit, "--json", cwd=tmp_path).object["requests"]
        for limit in (["--limit", "5"], ["--limit", "5"], [])
    ]
    assert requests == [5, 0, 15]
    assert len({request["path"] for request in api.requests()}) == 20


def test_a_trial_again_sends_no_more_and_foretells_no_more(tmp_path: Path, api: Sandbox) -> None:
    """--limit means the first good rows of the file: once they are done, there is nothing to ask and nothing to do."""
    numbered(tmp_path / "rows.csv", 9)
    configure(tmp_path, api.url)
    batch_updater("run", "rows.csv", "--limit", "4", cwd=tmp_path)
    before = len(api.requests())
    again = batch_updater("run", "rows.csv", "--limit", "4", cwd=tmp_path)
    assert len(api.requests()) == before
    assert "about 0.0 s" in again.err


def test_what_to_do_next_is_one_step(tmp_path: Path, api: Sandbox) -> None:
    """While rows are not done, only running again is named: the workbook of now would send again what is then done."""
    rows = [{"Id": n, "Type": "Pre", "OpportunityName": f"n {n}"} for n in range(2, 8)]
    write_rows(tmp_path / "rows.csv", [*rows, {"Id": "x", "Type": "Pre", "OpportunityName": "y"}])
    configure(tmp_path, api.url)
    trial = batch_updater("run", "rows.csv", "--limit", "2", cwd=tmp_path)
    assert "Next:    Run the same command again to send the rows that are not done:" in trial.out
    assert "To fix" not in trial.out
    rest = batch_updater("run", "rows.csv", cwd=tmp_path)
    assert 'Next:    Repair the coloured cells on the sheet "To fix"' in rest.out


def test_a_wrong_token_is_what_to_correct_first(tmp_path: Path, api: Sandbox) -> None:
    """Where the set-up has stopped a run, repairing rows or trying again is not the next step."""
    numbered(tmp_path / "rows.csv", 3)
    configure(tmp_path, api.url)
    done = batch_updater("run", "rows.csv", cwd=tmp_path, NEXUS_TOKEN="wrong-token")
    assert done.code == 3
    assert "Next:    First correct what stopped the run." in done.out


def test_what_may_have_been_applied_stays_so_over_a_resume(tmp_path: Path) -> None:
    """A row that was sent without an answer is `unconfirmed` until an answer settles it, whatever comes between."""
    numbered(tmp_path / "rows.csv", 3)
    with reserved_port() as port:
        with sandbox("--port", str(port), "--fault", "drop-after=1") as api:
            configure(tmp_path, api.url, "sending: {rate_per_s: 100, attempts: 1, max_wait_s: 2}\n")
            first = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (first.code, first.outcomes) == (3, {"unconfirmed": 3})
        second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (second.code, second.outcomes) == (3, {"unconfirmed": 3})
        with sandbox("--port", str(port)):
            third = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (third.code, third.outcomes) == (0, {"updated": 3})
    rows = rows_of(third.object["results"])
    # Requests of all parts: the second part's never found a connection, but two rows' were tried.
    assert all(int(str(row[rows[0].index("Attempts")])) >= 2 for row in rows[1:])


def test_refused_rows_are_judged_again_and_invalid_ones_stay(tmp_path: Path, api: Sandbox) -> None:
    """A resume judges and sends whatever is not confirmed."""
    (tmp_path / "rows.csv").write_text(
        "Id,Type,StageName\n1,Pre,Qualified\n2,Pre,Nonsense\nx,Pre,Qualified\n4,Pre,Qualified\n", encoding="utf-8"
    )
    configure(tmp_path, api.url, FAST)
    first = batch_updater("run", "rows.csv", "--limit", "2", "--json", cwd=tmp_path)
    assert first.outcomes == {"updated": 1, "rejected": 1, "invalid": 1, "not_sent": 1}
    second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (second.code, second.outcomes) == (1, {"updated": 2, "rejected": 1, "invalid": 1})
    assert second.object["requests"] == 2
    book = openpyxl.load_workbook(second.object["results"])
    assert "Allowed values" in book.sheetnames


def start_stopping(folder: Path) -> subprocess.Popen[str]:
    """Start a run of rows.csv that stops (SIGSTOP) while it writes its workbook: signals come before that is there."""
    return subprocess.Popen(
        [sys.executable, "-c", _STOPPED_WHILE_IT_WRITES, "run", "rows.csv", "--json"], cwd=folder, env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def wait_until_it_writes(process: subprocess.Popen[str], runs: Path) -> None:
    """Wait until a run has stopped while it writes its workbook."""
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert state
    assert state.si_code == os.CLD_STOPPED, process.communicate()
    assert any(runs.glob("*/.rows-results-*"))


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
@pytest.mark.parametrize(
    "when", ["while a row is in flight", "while the workbook is written", "when every row is done"]
)
def test_a_second_signal_leaves_a_run_that_goes_on(tmp_path: Path, when: str) -> None:
    """Two signals end at once, without a workbook; nothing confirmed is lost."""
    in_flight, wanted = (
        when == "while a row is in flight",
        {"while a row is in flight": 5}.get(when, 3000),
    )
    rows = 50 if in_flight else 3000 if when == "when every row is done" else 4000
    numbered(tmp_path / "rows.csv", rows)
    with sandbox("--latency-ms", "400" if in_flight else "0") as api:
        configure(tmp_path, api.url, f"sending: {{rate_per_s: {20 if in_flight else 1500}}}\n")
        process = start_stopping(tmp_path)
        api.wait_for(wanted)
        if when == "when every row is done":
            wait_until_it_writes(process, tmp_path / "runs")
        process.send_signal(signal.SIGINT)
        if when == "while the workbook is written":
            wait_until_it_writes(process, tmp_path / "runs")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        code, result, _ = ended(process)
        assert (code, result["results"], sum(result["outcomes"].values())) == (3, None, rows)
        configure(tmp_path, api.url, FAST)
        second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (second.code, second.outcomes) == (0, {"updated": rows})
    assert second.object["requests"] == rows - result["outcomes"]["updated"]
    assert not list((tmp_path / "runs").glob("*/.rows-results-*"))


def test_the_workbook_is_written_again_from_the_folder_alone(tmp_path: Path, api: Sandbox) -> None:
    """`report` needs neither the input nor the description: what it says of every row is the same."""
    shutil.copyfile(DESCRIPTION, tmp_path / "api.yaml")
    (tmp_path / "rows.csv").write_text(
        "Id,Type,StageName,Note\n1,Pre,Qualified,a\n2,Pre,Nonsense,b\nx,Pre,Qualified,c\n", encoding="utf-8"
    )
    text = f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', endpoint: api.yaml}}\n"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert done.code == 1
    for name in ("rows.csv", "api.yaml", "config.yaml"):
        (tmp_path / name).unlink()
    again = batch_updater("report", Path(done.object["run"]).name, "--json", "--results", "again.xlsx", cwd=tmp_path)
    assert (again.code, again.outcomes) == (done.code, done.outcomes)
    assert rows_of(str(tmp_path / "again.xlsx")) == rows_of(done.object["results"])
    first, second = (openpyxl.load_workbook(path) for path in (done.object["results"], tmp_path / "again.xlsx"))
    assert first.sheetnames == second.sheetnames
    for name in ("To fix", "Allowed values", "Settings"):
        assert list(first[name].values) == list(second[name].values)


def test_a_run_keeps_the_call_that_it_made_and_not_the_description(tmp_path: Path, api: Sandbox) -> None:
    """Of a description in several files; blanks and other operations change nothing of it, another limit does."""
    text = DESCRIPTION.read_text(encoding="utf-8")
    start_of_answer = text.index("components:")
    (tmp_path / "parts.yaml").write_text(text[start_of_answer:], encoding="utf-8")
    document = text[:start_of_answer].replace('"#/components/', '"parts.yaml#/components/')
    (tmp_path / "api.yaml").write_text(document, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("Id,Type,StageName\n1,Pre,Qualified\n2,Pre,Qualified\n", encoding="utf-8")
    endpoint = f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', endpoint: 'api.yaml#nexus-opportunity'}}\n"
    (tmp_path / "config.yaml").write_text(endpoint, encoding="utf-8")
    first = batch_updater("run", "rows.csv", "--json", "--limit", "1", cwd=tmp_path)
    assert first.outcomes == {"updated": 1, "not_sent": 1}
    more = "  /other:\n    put: {operationId: other, requestBody: []}\n"
    (tmp_path / "api.yaml").write_text(f"# The same.\n{document}{more}", encoding="utf-8")
    second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (second.object["run"], second.outcomes) == (first.object["run"], {"updated": 2})
    ((stored,),) = in_store(tmp_path, "SELECT value FROM run WHERE name = 'endpoint'")
    assert "parts.yaml" not in stored
    for name in ("parts.yaml", "api.yaml"):
        (tmp_path / name).unlink()
    explained = batch_updater("report", second.object["run"], "--row", "2", "--json", cwd=tmp_path).object
    assert explained["request"]["method"] == "PUT"
    assert explained["request"]["url"] == f"{api.url}/api/v2/opportunities/1"
    # A run that was made otherwise is another one.
    (tmp_path / "parts.yaml").write_text(text[start_of_answer:], encoding="utf-8")
    (tmp_path / "api.yaml").write_text(document.replace("minimum: 1", "minimum: 0"), encoding="utf-8")
    third = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert third.object["run"] != first.object["run"]


def test_a_damaged_endpoint_in_a_database_is_told(tmp_path: Path, api: Sandbox) -> None:
    """The message names the database; nothing is guessed."""
    numbered(tmp_path / "rows.csv", 2)
    configure(tmp_path, api.url, FAST)
    run = Path(batch_updater("run", "rows.csv", "--json", cwd=tmp_path).object["run"])
    in_store(tmp_path, "UPDATE run SET value = '\"{}\"' WHERE name = 'endpoint'")
    done = batch_updater("report", run.name, cwd=tmp_path)
    assert done.code == 2
    assert "its table run holds no endpoint" in done.err.replace("\n", " ")


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_killed_run_can_be_reported(tmp_path: Path, api: Sandbox) -> None:
    """What a killed run came to can be looked at without sending anything."""
    numbered(tmp_path / "rows.csv", 50)
    configure(tmp_path, api.url, "sending: {rate_per_s: 20}\n")
    process = start(tmp_path, "run", "rows.csv")
    while len(confirmed_rows(database_of(tmp_path))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    database = database_of(tmp_path)
    assert database
    before = len(api.requests())
    done = batch_updater("report", database.parent, "--json", cwd=tmp_path)
    assert (done.code, done.object["rows"], len(api.requests())) == (3, 50, before)
    assert done.outcomes["updated"] >= 3
    listed = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    assert (listed[0]["run"], listed[0]["outcomes"]) == (str(database.parent), done.object["outcomes"])
    assert (listed[0]["ended_at"], listed[0]["unfinished"]) == (None, True)
    told = batch_updater("report", database.parent, "--config", tmp_path / "config.yaml", cwd=tmp_path.parent).out
    assert "The run was cut off" in told
    assert "wait for an earlier row" not in told
    assert f"batch-updater run {tmp_path.name}/rows.csv --config {tmp_path.name}/config.yaml\n" in told
    assert "The run was cut off" in (database.parent / "report.html").read_text(encoding="utf-8")
    shown = batch_updater("runs", cwd=tmp_path).out
    assert "cut off, rows.csv" in shown
    assert "Running the same file again resumes it." in shown


def test_a_page_that_cannot_be_written_hides_no_workbook(tmp_path: Path, api: Sandbox) -> None:
    """The workbook is there and named, the fault of the page is reported, and the exit code asks for another try."""
    numbered(tmp_path / "rows.csv", 3)
    configure(tmp_path, api.url, FAST)
    done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    page = Path(done.object["run"]) / "report.html"
    page.unlink()
    page.mkdir()
    told = batch_updater("report", page.parent.name, "--results", "again.xlsx", cwd=tmp_path)
    assert (told.code, (tmp_path / "again.xlsx").exists()) == (3, True)
    assert f"The page {page.relative_to(tmp_path)} could not be written" in told.out
    assert "batch-updater run" not in told.out
    page.rmdir()
    assert batch_updater("report", page.parent.name, "--json", cwd=tmp_path).code == 0
    assert page.is_file()


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_run_that_is_going_on_is_not_called_unfinished(tmp_path: Path, api: Sandbox) -> None:
    """While its process works on it, `runs` shows it as going on, and its report says how far it has come."""
    numbered(tmp_path / "rows.csv", 5_000)
    configure(tmp_path, api.url, "sending: {rate_per_s: 20}\n")
    process = start(tmp_path, "run", "rows.csv")
    api.wait_for(5)
    shown = batch_updater("runs", cwd=tmp_path).out
    (listed,) = batch_updater("runs", "--json", cwd=tmp_path).object["runs"]
    told = batch_updater("report", Path(listed["run"]).name, "--json", cwd=tmp_path)
    process.kill()
    process.communicate()
    assert "running now, rows.csv" in shown
    assert "Unfinished" not in shown
    assert (listed["going_on"], listed["stopped"]) == (True, None)
    assert (told.code, told.object["stopped"]) == (3, None)
    assert batch_updater("runs", "--json", cwd=tmp_path).object["runs"][0]["going_on"] is False


def test_past_runs_are_listed_newest_first(tmp_path: Path, api: Sandbox) -> None:
    """Each with its verdict; a folder of something else is no run."""
    none = batch_updater("runs", cwd=tmp_path).out
    assert none == "There are no runs yet: `batch-updater run FILE` starts the first.\n"
    first = interrupted(tmp_path, api)
    second = batch_updater("run", "rows.csv", "--restart", "--json", cwd=tmp_path)
    (tmp_path / "runs" / "notes").mkdir()
    listed = batch_updater("runs", "--json", cwd=tmp_path).object
    assert [run["run"] for run in listed["runs"]] == [second.object["run"], first["run"]]
    assert [run["exit_code"] for run in listed["runs"]] == [0, 3]
    assert [run["stopped"] for run in listed["runs"]] == [None, "interrupted"]
    assert "All 100 rows were updated." in batch_updater("runs", cwd=tmp_path).out


@pytest.mark.one_process("it is about the database as a file")
def test_a_damaged_database_is_refused(tmp_path: Path, api: Sandbox) -> None:
    """It is unknown what is done: nothing is sent without --restart."""
    interrupted(tmp_path, api)
    database, before = database_of(tmp_path), len(api.requests())
    assert database
    database.write_bytes(b"no database" * 500)
    refused = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (refused.code, len(api.requests())) == (2, before)
    assert refused.object["error"]["file"] == str(database)
    assert "is damaged" in batch_updater("runs", cwd=tmp_path).out
    reported = batch_updater("report", database.parent.name, "--json", cwd=tmp_path)
    assert reported.code == 2
    done = batch_updater("run", "rows.csv", "--restart", "--json", cwd=tmp_path)
    assert (done.code, done.outcomes) == (0, {"updated": 100})


def test_an_unknown_run_is_named(tmp_path: Path) -> None:
    """`report` of something else is one sentence."""
    done = batch_updater("report", "20260101-000000-x", "--json", cwd=tmp_path)
    assert (done.code, "There is no run" in done.object["error"]["message"]) == (2, True)


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_folder_that_is_removed_under_a_run_ends_it(tmp_path: Path, api: Sandbox) -> None:
    """Nothing more is sent once the database is gone; every row still has its outcome, and the exit code says again."""
    numbered(tmp_path / "rows.csv", 1_000)
    configure(tmp_path, api.url, "sending: {rate_per_s: 40}\n")
    process = start(tmp_path, "run", "rows.csv")
    api.wait_for(10)
    process.send_signal(signal.SIGSTOP)  # it makes no file while they are removed
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    shutil.rmtree(tmp_path / "runs")
    process.send_signal(signal.SIGCONT)
    code, result, said = ended(process)
    assert (code, result["stopped"], result["results"]) == (3, "disk", None)
    assert sum(result["outcomes"].values()) == 1_000
    assert result["outcomes"]["updated"] >= 5
    assert len(api.requests()) < 200, said


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_sent(tmp_path: Path, api: Sandbox) -> None:
    """A file where the folder should be, or a read-only place."""
    numbered(tmp_path / "rows.csv", 2)
    (tmp_path / "runs").write_text("no folder", encoding="utf-8")
    configure(tmp_path, api.url, FAST)
    for folder in ("", "/proc/runs"):
        variables = {"BATCH_UPDATER_RESULTS__FOLDER": folder} if folder else {}
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path, **variables)
        assert (done.code, api.requests()) == (2, [])
        assert "cannot be written" in done.object["error"]["message"]
        assert "results.folder" in done.object["error"]["remedy"]


@pytest.mark.one_process("it is about the files in the folder of a run")
def test_no_lock_or_draft_is_left(tmp_path: Path, api: Sandbox) -> None:
    """After a run its folder alone is there, with what the interface names."""
    interrupted(tmp_path, api)
    batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    (folder,) = (tmp_path / "runs").iterdir()
    names = sorted(entry.name for entry in folder.iterdir())
    ours = ["input.csv", "report.html", "run.log", "run.sqlite"]
    assert [name for name in names if not name.endswith(".xlsx")] == ours
    assert all(entry.stat().st_mode & 0o77 == 0 for entry in folder.iterdir())
    assert folder.stat().st_mode & 0o77 == 0


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
def test_a_resumed_run_that_is_killed_leaves_one_folder(tmp_path: Path, api: Sandbox) -> None:
    """However often a run is resumed and killed, its copy of the input is there once."""
    first = interrupted(tmp_path, api)
    configure(tmp_path, api.url, SLOW)
    before = len(api.requests())
    process = start(tmp_path, "run", "rows.csv")
    api.wait_for(before + 1)
    process.kill()
    process.communicate()
    assert [str(path.parent) for path in tmp_path.glob("runs/*/input.csv")] == [first["run"]]


def test_a_copy_of_the_input_that_is_gone_is_made_again(tmp_path: Path, api: Sandbox) -> None:
    """A run whose folder has lost its copy of the input is resumed all the same, and the new copy is private."""
    first = interrupted(tmp_path, api)
    copy = Path(first["run"]) / "input.csv"
    copy.unlink()
    second = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
    assert (second.code, second.object["run"], second.outcomes) == (0, first["run"], {"updated": 100})
    assert copy.read_bytes() == (tmp_path / "rows.csv").read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
