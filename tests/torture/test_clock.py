from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.program import configure, sandbox
from tests.torture.runs import ended, numbered, start

pytestmark = pytest.mark.debian

HALF_A_DAY = timedelta(hours=12)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library that lets the clock jump."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("jump_s", [86_400, -86_400])
def test_a_clock_that_jumps_by_a_day_changes_nothing(tmp_path: Path, clock: Path, jump_s: int) -> None:
    """Neither the rate nor a pause nor a token depends on the clock of the day: every row is sent, as fast as ever."""
    numbered(tmp_path / "rows.csv", 60)
    with sandbox("--fault", "retry-after-1=0.02", "--fault", "status-503=0.05") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 30, max_wait_s: 20}\n")
        jump = {"LD_PRELOAD": str(clock), "CLOCK_FILE": str(tmp_path / "jump"), "CLOCK_JUMP_S": str(jump_s)}
        with api.held_after(15):
            process = start(tmp_path, "run", "rows.csv", **jump)
            api.wait_for(16)
            (tmp_path / "jump").touch()
        code, result, said = ended(process)
    assert (code, result["outcomes"]["updated"]) == (0, 60), said
    lines = (Path(result["run"]) / "run.log").read_text(encoding="utf-8").splitlines()
    times = [datetime.fromisoformat(json.loads(line)["at"]) for line in lines]
    assert any(abs(after - before) > HALF_A_DAY for before, after in pairwise(times)), "the clock did not jump"
