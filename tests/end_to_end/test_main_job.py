"""The whole job: a file in, every row sent to a sandbox in another process, one workbook out."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, TOKEN, batch_updater, configure, environment, sandbox, worker
from tests.sender.server import Api, hang

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_thousands_of_rows_are_updated_once_each_with_exact_bodies(tmp_path: Path) -> None:
    """3,000 good rows: every one `updated`, one request each, and each body to the byte."""
    rows: list[dict[str, object]] = [
        {"OpportunityId": n, "opportunityType": "Pre", "OpportunityName": f"Größe {n}", "SalesRevenue": f"{n}.50"}
        for n in range(1, 3_001)
    ]
    write_csv(tmp_path / "many.csv", rows)
    with sandbox() as alone:
        configure(tmp_path, alone.url, "sending: {rate_per_s: 100000, concurrency: 20}\n")
        done = batch_updater("run", "many.csv", "--json", cwd=tmp_path)
        requests = alone.requests()
    assert (done.code, done.outcomes) == (0, {"updated": 3_000})
    assert (done.object["requests"], done.object["retries"], done.object["stopped"]) == (3_000, 0, None)
    assert Counter(request["path"] for request in requests).most_common(1)[0][1] == 1
    bodies = {request["path"].rpartition("/")[2]: request["body"] for request in requests}
    assert bodies == {
        str(n): json.dumps({"OpportunityName": f"Größe {n}"}, ensure_ascii=False)[:-1] + f', "SalesRevenue": {n}.50}}'
        for n in range(1, 3_001)
    }


@pytest.mark.parametrize(
    ("sample", "config", "outcomes"),
    [
        ("opportunities.xlsx", None, {"updated": 60}),
        ("opportunities-comma.csv", None, {"updated": 25}),
        ("opportunities-semicolon.csv", "opportunities-semicolon.config.yaml", {"updated": 25}),
        ("mistakes.xlsx", None, {"updated": 11, "differs": 1, "invalid or rejected": 33}),
        ("template.xlsx", None, {}),
        ("mistakes-results.xlsx", None, {"updated": 2, "differs": 1, "invalid or rejected": 33}),
    ],
)
def test_every_sample_gives_what_is_said_of_it(
    tmp_path: Path, sample: str, config: str | None, outcomes: dict[str, int]
) -> None:
    """The samples run against the sandbox with these outcomes.

    `invalid` and `rejected` count together: which of two bad names is sent before the valid ones are known is chance.
    """
    with sandbox() as fresh:
        more = (SAMPLES / config).read_text(encoding="utf-8") if config else ""
        configure(tmp_path, fresh.url, more)
        answers = ("--decimal", ".", "--date-order", "DMY") if "mistakes" in sample else ()
        done = batch_updater("run", SAMPLES / sample, *answers, "--json", cwd=tmp_path)
    found = done.outcomes
    if together := found.pop("invalid", 0) + found.pop("rejected", 0):
        found["invalid or rejected"] = together
    assert found == outcomes, done.out + done.err
    assert done.code == (1 if set(outcomes) - {"updated"} else 0)
    assert done.object["rows"] == sum(outcomes.values())


def test_rows_are_repaired_in_the_workbook_and_only_they_are_sent(tmp_path: Path, api: Sandbox) -> None:
    """The results workbook, repaired and run again, sends just the rows of To fix."""
    configure(tmp_path, api.url)
    rows: list[dict[str, object]] = [
        {"Id": 7001, "Type": "Pre", "StageName": "Proposal"},
        {"Id": 7002, "Type": "Pre", "StageName": "Propsal"},
        {"Id": "7,003", "Type": "Pre", "StageName": "Qualified"},
    ]
    write_csv(tmp_path / "changes.csv", rows)
    first = batch_updater("run", "changes.csv", "--json", cwd=tmp_path)
    assert (first.code, first.outcomes) == (1, {"updated": 1, "invalid": 1, "rejected": 1})
    book = openpyxl.load_workbook(first.object["results"])
    to_fix = book["To fix"]
    assert [cell.value for cell in to_fix[1]][4:] == ["Id", "Type", "StageName"]
    to_fix["G2"], to_fix["E3"] = "Proposal", "7003"
    book.save(tmp_path / "repaired.xlsx")
    before = len(api.requests())
    second = batch_updater("run", "repaired.xlsx", "--json", cwd=tmp_path)
    assert (second.code, second.outcomes) == (0, {"updated": 2})
    assert second.object["sheet"] == "To fix"
    sent = [request["path"] for request in api.requests()[before:]]
    assert sorted(path.rpartition("/")[2] for path in sent) == ["7002", "7003"]
    third = batch_updater("run", second.object["results"], "--json", cwd=tmp_path)
    assert (third.code, third.object["rows"]) == (0, 0)


def test_check_sends_nothing_and_needs_no_account(tmp_path: Path) -> None:
    """`check` needs no configuration, makes no run folder, and writes its workbook beside the file."""
    (tmp_path / "m.xlsx").write_bytes((SAMPLES / "mistakes.xlsx").read_bytes())
    done = batch_updater("check", "m.xlsx", "--json", cwd=tmp_path)
    assert done.code == 1
    assert done.outcomes == {"invalid": 30, "planned": 15}
    assert (done.object["run"], done.object["requests"]) == (None, 0)
    assert done.object["results"] == str(tmp_path / "m-check.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-check.xlsx", "m.xlsx"]
    again = batch_updater("check", "m.xlsx", cwd=tmp_path)
    assert again.code == 1
    assert "15 of 45 rows are good. 30 need you." in again.out
    assert again.out.startswith("Checked: m.xlsx")
    assert "of a check" in batch_updater("check", "m-check.xlsx", cwd=tmp_path).out
    assert "      'Before' is not a type. Valid are: Pre, Post." in again.out
    listed = batch_updater("check", "m.xlsx", "--verbose", cwd=tmp_path).out
    assert "Row 13, Opportunity Type (B13): 'Before' is not a type. Valid are: Pre, Post." in listed


def test_constants_and_a_trial(tmp_path: Path, api: Sandbox) -> None:
    """`--set` fills a field of every row; `--limit` sends the first good rows and says that the rest was not sent."""
    configure(tmp_path, api.url)
    write_csv(tmp_path / "c.csv", [{"Id": n, "OpportunityName": f"n {n}"} for n in range(7101, 7106)])
    done = batch_updater("run", "c.csv", "--set", "opportunityType=Post", "--limit", "2", "--json", cwd=tmp_path)
    assert (done.code, done.outcomes, done.object["stopped"]) == (3, {"updated": 2, "not_sent": 3}, "limit")
    assert all("opportunityType=Post" in str(request) for request in api.requests()[-2:])


def test_csv_comes_from_standard_input_too(tmp_path: Path, api: Sandbox) -> None:
    """`run -` reads CSV from standard input and asks nothing without a terminal."""
    configure(tmp_path, api.url)
    text = "Id,Type,OpportunityName\n7201,Pre,from stdin\n"
    done = batch_updater("run", "-", "--json", cwd=tmp_path, stdin=text)
    assert (done.code, done.outcomes) == (0, {"updated": 1})
    assert (tmp_path / "runs").exists()


@pytest.mark.one_process("it is about the files in the folder of a run")
def test_the_run_folder_holds_what_the_interface_says_and_is_private(tmp_path: Path, api: Sandbox) -> None:
    """Copy of the input, database, log and workbook, for their owner alone; no token, and no customer in the log."""
    configure(tmp_path, api.url)
    write_csv(tmp_path / "my changes!.csv", [{"Id": 7301, "Type": "Pre", "OpportunityName": "Canary Customer"}])
    done = batch_updater("run", "my changes!.csv", "--json", cwd=tmp_path)
    (folder,) = (tmp_path / "runs").iterdir()
    assert done.object["run"] == str(folder)
    assert folder.name.endswith("-my_changes")
    names = {path.name for path in folder.iterdir()}
    assert {"input.csv", "run.sqlite", "run.log"} <= names
    assert any(name.startswith("my_changes-results-") and name.endswith(".xlsx") for name in names)
    assert (folder / "input.csv").read_bytes() == (tmp_path / "my changes!.csv").read_bytes()
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
        assert TOKEN.encode() not in path.read_bytes()
    log = (folder / "run.log").read_text(encoding="utf-8")
    assert "Canary" not in log
    assert {"event", "row", "attempt", "status"} <= set(json.loads(log.splitlines()[1]))


def test_a_first_signal_ends_a_run_cleanly(tmp_path: Path) -> None:
    """SIGINT: requests in flight are confirmed, the rest is not_sent, the workbook is written, the code is 3."""
    with sandbox("--latency-ms", "50") as slow:
        configure(tmp_path, slow.url, "sending: {rate_per_s: 20}\n")
        write_csv(tmp_path / "c.csv", [{"Id": n, "Type": "Pre", "OpportunityName": "x"} for n in range(1, 401)])
        command = [sys.executable, "-m", "batch_updater", "run", "c.csv", "--json"]
        with (
            worker("run", cwd=tmp_path),
            subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process,
        ):
            slow.wait_for(5)
            os.kill(process.pid, signal.SIGINT)
            out, _ = process.communicate(timeout=90)
        received = len(slow.requests())
    result = json.loads(out)
    assert process.returncode == 3
    assert result["stopped"] == "interrupted"
    assert result["outcomes"]["updated"] == received
    assert result["outcomes"]["not_sent"] == 400 - received
    assert openpyxl.load_workbook(result["results"]).sheetnames[0] == "Summary"


def test_rows_and_faults_always_add_up(tmp_path: Path) -> None:
    """With faults by chance, every row has one outcome and every `updated` one a confirmed request."""
    faults = ["status-503=0.1", "drop-after=0.05", "status-400=0.05", "cut-off=0.05"]
    options = [option for fault in faults for option in ("--fault", fault)]
    with sandbox("--seed", "3", *options) as faulty:
        configure(tmp_path, faulty.url, "sending: {rate_per_s: 5000, concurrency: 20, attempts: 4}\n")
        write_csv(tmp_path / "c.csv", [{"Id": n, "Type": "Pre", "OpportunityName": f"n{n}"} for n in range(1, 301)])
        done = batch_updater("run", "c.csv", "--json", cwd=tmp_path)
        requests = faulty.requests()
    assert sum(done.outcomes.values()) == 300
    assert done.object["requests"] == len(requests)
    assert done.object["retries"] == len(requests) - 300
    confirmed = {request["path"] for request in requests if request["status"] == 200}
    assert done.outcomes["updated"] <= len(confirmed)


@pytest.mark.parametrize("stream", ["full", "closed"])
def test_a_run_goes_on_though_its_output_cannot_be_written(tmp_path: Path, api: Sandbox, stream: str) -> None:
    """Standard error on a full disk, or closed: every row is sent, and the result says so."""
    configure(tmp_path, api.url)
    write_csv(tmp_path / "a.csv", [{"Id": n, "Type": "Pre", "OpportunityName": "x"} for n in range(1, 4)])
    command = shlex.join([sys.executable, "-m", "batch_updater", "run", "a.csv", "--json", "--verbose"])
    where = {"full": "2>/dev/full", "closed": "2>&-"}[stream]
    with worker("run", cwd=tmp_path):
        done = subprocess.run(
            ["sh", "-c", f"{command} {where}"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["outcomes"]["updated"]) == (0, 3)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_result_that_cannot_be_printed_changes_no_exit_code(tmp_path: Path, api: Sandbox, options: list[str]) -> None:
    """Standard output on a full disk: the rows are what they are, the workbook is there, and the fault is reported."""
    configure(tmp_path, api.url)
    write_csv(tmp_path / "a.csv", [{"Id": 1, "Type": "Pre", "OpportunityName": "x"}])
    command = [sys.executable, "-m", "batch_updater", "run", "a.csv", *options]
    variables = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w", encoding="utf-8") as full, worker("run", cwd=tmp_path):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=variables,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "standard output cannot be written" in done.stderr
    assert list((tmp_path / "runs").glob("*/a-results-*.xlsx"))


@pytest.mark.one_process("its process sends by itself: a worker that is killed or stopped is tested in tests/team")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_token_that_does_not_come_is_not_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    """A token URL that hangs is not waited for after the first signal: sending.drain_s is for rows."""
    with Api(token_answers=[hang]) as api:
        oauth = f"{{token_url: '{api.url}/oauth/token', client_id: me, client_secret: env:NEXUS_TOKEN}}"
        settings = f"api: {{base_url: '{api.url}', oauth: {oauth}}}\nsending: {{drain_s: 600}}\n"
        (tmp_path / "config.yaml").write_text(settings, encoding="utf-8")
        write_csv(tmp_path / "a.csv", [{"Id": 1, "Type": "Pre", "OpportunityName": "x"}])
        command = [sys.executable, "-m", "batch_updater", "run", "a.csv", "--json"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            while not api.token_requests:
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            out, _ = process.communicate(timeout=90)
        assert (process.returncode, json.loads(out)["stopped"], api.seen) == (3, "interrupted", [])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are texts")
def test_a_folder_whose_name_is_no_text_is_as_good_as_any(tmp_path: Path, api: Sandbox) -> None:
    """Linux takes any bytes: check, run and report work there, and the workbook shows the name as far as it can."""
    folder = tmp_path / os.fsdecode(b"d\xff")
    folder.mkdir()
    configure(folder, api.url)
    (folder / "a.csv").write_text("Id,Type,OpportunityName\n1,Pre,a\n", encoding="utf-8")
    assert batch_updater("check", "a.csv", cwd=folder).code == 0
    done = batch_updater("run", "a.csv", "--yes", "--json", cwd=folder)
    assert (done.code, done.outcomes) == (0, {"updated": 1}), done.err
    assert batch_updater("report", Path(done.object["run"]).name, cwd=folder).code == 0
    settings = openpyxl.load_workbook(done.object["results"])["Settings"]
    assert "d\N{REPLACEMENT CHARACTER}" in str([cell.value for row in settings.iter_rows() for cell in row])
    assert batch_updater("undo", Path(done.object["run"]).name, cwd=folder).code == 0
