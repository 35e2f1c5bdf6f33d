"""The server is killed at any moment and started again: what it was doing goes on, and nothing is sent twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batch_updater.records import OutcomeKind
from batch_updater.runs.history import PastRun, past_runs
from batch_updater.runs.uploads import TaskKind, Uploads
from tests.end_to_end.program import configure, environment, sandbox
from tests.torture.runs import assert_no_token, confirmed_rows, database_of
from tests.torture.test_kill import TENTH, rows_of
from tests.web.queue import OPEN, add_rows, numbered_rows, until

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.runs.uploads import StoredUpload


def serving(folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the server."""
    return subprocess.Popen(
        [sys.executable, "-m", "batch_updater", "serve", "--port", "0"], cwd=folder, env=environment(**variables),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def queued(folder: Path, rows: int) -> StoredUpload:
    """Upload rows while no server is there, to be checked and sent."""
    with closing(Uploads(folder / "runs" / "web")) as uploads:
        upload = add_rows(uploads, numbered_rows(rows))
        uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
        return upload


@pytest.mark.timeout(900)
def test_a_server_that_is_killed_at_any_moment_sends_no_confirmed_row_again(tmp_path: Path, *, torture: bool) -> None:
    """Under faults, killed again and again: one run comes of it, and every row of it ends with one outcome."""
    rows, kills, rate = (2000, 100, 100) if torture else (300, 8, 100)
    chance = random.Random(7)
    with sandbox(*TENTH, "--seed", "3") as api:
        configure(
            tmp_path, api.url, f"sending: {{rate_per_s: {rate}, concurrency: 10, attempts: 8, retry_budget: 5}}\n"
        )
        upload = queued(tmp_path, rows)
        kept: set[int] = set()
        seen = 0
        with closing(Uploads(tmp_path / "runs" / "web")) as uploads:
            for _ in range(kills):
                process = serving(tmp_path)
                time.sleep(chance.uniform(0.5, 2.5))  # the moment is meant to be any
                process.kill()
                assert "Traceback" not in process.communicate()[0]
                requests = api.requests()
                assert not rows_of(requests[seen:]) & kept
                seen, kept = len(requests), confirmed_rows(database_of(tmp_path))
            while True:
                process = serving(tmp_path)
                until(lambda: not any(task.state in OPEN for task in uploads.tasks(upload.id)), 300)
                process.send_signal(signal.SIGTERM)
                assert "Traceback" not in process.communicate()[0]
                (past,) = [run for run in past_runs(tmp_path / "runs") if isinstance(run, PastRun)]
                if not past.is_unfinished:
                    break
                uploads.add_task(TaskKind.SEND, "anna", upload=None, run=past.folder.name)  # a person lets it go on
            found = uploads.upload(upload.id)
            assert found
            assert found.run == past.folder.name
        requests = api.requests()
    assert not rows_of(requests[seen:]) & kept
    assert past.counts[OutcomeKind.UPDATED] == past.rows == rows
    assert_no_token(tmp_path)


def test_a_server_that_is_ended_drains_and_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """SIGTERM: what is in flight is awaited, the run is unfinished, and nothing needs a person for it to go on."""
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, concurrency: 5, retry_budget: 5}\n", timeout_s=60)
        upload = queued(tmp_path, 100)
        with closing(Uploads(tmp_path / "runs" / "web")) as uploads:
            process = serving(tmp_path, BATCH_UPDATER_SENDING__RATE_PER_S="5")  # the rows last for 20 seconds
            api.wait_for(5)
            process.send_signal(signal.SIGTERM)
            assert "Traceback" not in process.communicate()[0]
            assert process.returncode == 0
            (past,) = past_runs(tmp_path / "runs")
            assert isinstance(past, PastRun)
            assert past.counts[OutcomeKind.UNCONFIRMED] == 0
            assert 0 < past.counts[OutcomeKind.UPDATED] < 100
            process = serving(tmp_path)
            until(lambda: not any(task.state in OPEN for task in uploads.tasks(upload.id)))
            process.send_signal(signal.SIGTERM)
            process.communicate()
            (past,) = past_runs(tmp_path / "runs")
            assert isinstance(past, PastRun)
            assert past.counts[OutcomeKind.UPDATED] == 100
        assert len(api.requests()) == 100
