from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.end_to_end.program import configure, sandbox
from tests.torture.runs import assert_no_token, confirmed_rows, database_of, ended, numbered, run, start, write_rows

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = ("status-503", "status-500", "drop-before", "drop-after", "cut-off", "status-504", "throttled", "slow-30",
          "empty-200", "close")  # fmt: skip
TENTH = [part for fault in FAULTS for part in ("--fault", f"{fault}=0.01")]
SENDING = "sending: {{rate_per_s: {rate}, concurrency: 10, attempts: 8, max_wait_s: 30, retry_budget: 5}}\n"


def test_a_run_killed_at_any_moment_is_resumed_and_loses_nothing(tmp_path: Path, *, torture: bool) -> None:
    """Killed again and again under faults: every row ends with one outcome, backed by the server's own log.

    No request goes out for a row whose confirmation was in the database when the run was killed.
    """
    rows, kills, rate = (2000, 200, 100) if torture else (300, 12, 150)
    chance = random.Random(5)
    numbered(tmp_path / "many.csv", rows)
    with sandbox(*TENTH, "--seed", "3") as api:
        configure(tmp_path, api.url, SENDING.format(rate=rate))
        begun_s = time_to_begin(tmp_path)
        kept: set[int] = set()
        killed = seen = 0
        while killed < kills and len(kept) < rows:
            if not killed_after(tmp_path, chance.uniform(0.2, begun_s + 0.5)):
                break
            killed += 1
            requests = api.requests()
            assert not rows_of(requests[seen:]) & kept
            seen, kept = len(requests), confirmed_rows(database_of(tmp_path))
        code, result, said = run_to_its_end(tmp_path)
        requests = api.requests()
    assert kept or not torture
    print(f"{killed} kills, {len(kept)} of {rows} rows confirmed before the last start")
    assert not rows_of(requests[seen:]) & kept
    assert (code, sum(result["outcomes"].values()), result["outcomes"]["updated"]) == (0, rows, rows), said
    confirmed = {(request["path"], request["body"]) for request in requests if request["status"] == 200}
    for row in range(2, rows + 2):
        assert (f"/api/v2/opportunities/{row}", f'{{"OpportunityName": "row {row}"}}') in confirmed
    # A kill in the very first moments may leave a folder behind in which nothing had begun.
    assert len(ended(start(tmp_path, "runs"))[1]["runs"]) == 1
    assert_no_token(tmp_path)


def time_to_begin(folder: Path) -> float:
    """Return about how many seconds a run takes here before its first request: those of a check, which sends none."""
    started = time.monotonic()
    assert ended(start(folder, "check", "many.csv"))[0] == 0
    return time.monotonic() - started


def killed_after(folder: Path, seconds: float) -> bool:
    """Start or resume the run and kill it; returns whether it was still running."""
    process = start(folder, "run", "many.csv")
    time.sleep(seconds)  # the moment is meant to be any
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def run_to_its_end(folder: Path) -> tuple[int, dict[str, Any], str]:
    """Resume the run until no row is left to do; returns what its last part said.

    A run that came to its end before it could be killed would be restarted: the workbook is asked of it instead.
    """
    for past in ended(start(folder, "runs"))[1]["runs"]:
        if not past["unfinished"]:
            return ended(start(folder, "report", past["run"]))
    for _ in range(5):
        code, result, said = run(folder, "many.csv")
        if code != 3:
            break
    return code, result, said


def rows_of(requests: list[dict[str, Any]]) -> set[int]:
    """Return the rows that requests were for: row n of the file is record n."""
    return {int(request["path"].rpartition("/")[2]) for request in requests}


def test_the_last_row_of_a_record_wins_whatever_happens(tmp_path: Path, *, torture: bool) -> None:
    """In order, with delays, faults and kills: never two requests of a record at once, and its last row wins."""
    rows, records, kills = (200, 20, 20) if torture else (60, 6, 5)
    chance = random.Random(11)
    lines: list[dict[str, object]] = [
        {"Id": 1 + n % records, "Type": "Pre", "OpportunityName": f"row {n}"} for n in range(rows)
    ]
    write_rows(tmp_path / "many.csv", lines)
    with sandbox(*TENTH, "--latency-ms", "20", "--seed", "4") as api:
        configure(tmp_path, api.url, SENDING.format(rate=80) + "input: {duplicates: in_order}\n")
        begun_s = time_to_begin(tmp_path)
        for _ in range(kills):
            is_killed = killed_after(tmp_path, chance.uniform(0.4, begun_s + 0.5))
            if not is_killed or len(confirmed_rows(database_of(tmp_path))) == rows:
                break  # one more start could restart a finished run
        code, result, said = run_to_its_end(tmp_path)
        requests, stored = api.requests(), api.records()
    assert (code, result["outcomes"]["updated"]) == (0, rows), said
    last = {1 + n % records: f"row {n}" for n in range(rows)}
    assert {record: stored[record]["OpportunityName"] for record in last} == last
    applied: dict[str, list[int]] = {}
    for request in requests:
        if request["applied"]:
            applied.setdefault(request["path"], []).append(int(request["body"].split("row ")[1].rstrip('"}')))
    # A row may be applied twice, but never after a later one of its record.
    assert all(numbers == sorted(numbers) for numbers in applied.values())
