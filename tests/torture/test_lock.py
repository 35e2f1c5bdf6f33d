from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tests.end_to_end.program import configure, sandbox
from tests.torture.runs import ended, numbered, run, start

if TYPE_CHECKING:
    from pathlib import Path


def test_of_many_started_at_once_one_runs(tmp_path: Path, *, torture: bool) -> None:
    """One process runs, and each of the others exits with 4, naming that process and its file."""
    starts = 20 if torture else 8
    numbered(tmp_path / "rows.csv", 60)
    with sandbox("--latency-ms", "100") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 0.2}\n")  # five minutes, more than all need to begin
        processes = [start(tmp_path, "run", "rows.csv") for _ in range(starts)]
        while sum(process.poll() is None for process in processes) > 1:
            time.sleep(0.05)
        (running,) = (process for process in processes if process.poll() is None)
        others = [process for process in processes if process is not running]
        for process in others:
            code, result, _ = ended(process)
            assert code == result["exit_code"] == 4
            assert f"process {running.pid} " in result["error"]["message"]
            assert result["error"]["file"] == str(tmp_path / "rows.csv")
        api.wait_for(1)
        running.terminate()
        assert ended(running)[0] == 3
        assert 0 < len(api.requests()) < 60


def test_a_lock_is_refused_at_once_and_dies_with_its_process(tmp_path: Path) -> None:
    """The second ends while the first goes on; a lock left by a killed process does not block."""
    numbered(tmp_path / "rows.csv", 60)
    with sandbox() as api, sandbox() as another:
        configure(tmp_path, api.url, "sending: {rate_per_s: 0.2}\n")  # five minutes, far more than what comes meanwhile
        running = start(tmp_path, "run", "rows.csv")
        api.wait_for(1)
        code, result, _ = run(tmp_path, "rows.csv")
        assert (code, running.poll()) == (4, None)
        assert str(running.pid) in result["error"]["message"]
        # Another API is another matter, and so is another folder of results.
        elsewhere = {"BATCH_UPDATER_API__BASE_URL": another.url, "BATCH_UPDATER_SENDING__RATE_PER_S": "500"}
        assert run(tmp_path, "rows.csv", **elsewhere)[0] == 0
        other_folder = {"BATCH_UPDATER_RESULTS__FOLDER": "others", "BATCH_UPDATER_SENDING__RATE_PER_S": "500"}
        assert run(tmp_path, "rows.csv", **other_folder)[0] == 0
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        code, result, said = run(tmp_path, "rows.csv", BATCH_UPDATER_SENDING__RATE_PER_S="500")
        assert (code, result["outcomes"]["updated"]) == (0, 60), said
        assert "Resuming the run of" in said
    assert [entry.name for entry in (tmp_path / "runs").iterdir() if not entry.is_dir()] == []
