"""The library: run and check on files and DataFrames."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import batch_updater
from batch_updater.errors import BatchUpdaterError
from batch_updater.sandbox.server import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FRAME = pd.DataFrame(
    {
        "OpportunityId": [11, 12, 13],
        "opportunityType": ["Pre", "Pre", "Pst"],
        "OpportunityID": ["00123", None, "x"],
        "SalesRevenue": [1.5, float("nan"), 3.0],
        "PendingCloseDate": pd.to_datetime(["2026-03-31", "2026-04-01", ""]),
    }
)


def configuration(folder: Path, url: str) -> dict[str, object]:
    (folder / "token").write_text("sandbox-token", encoding="ascii")
    return {
        "api": {"base_url": url, "token": f"file:{folder / 'token'}"},
        "sending": {"rate_per_s": 1000},
        "results": {"folder": str(folder / "runs")},
    }


def test_a_frame_is_checked_without_sending() -> None:
    """`check` judges every row of a DataFrame; blanks of any kind are blank."""
    result = batch_updater.check(FRAME)
    assert {kind: count for kind, count in result.outcomes.items() if count} == {"planned": 2, "invalid": 1}
    assert result.outcomes["planned"] == 2
    assert (result.exit_code, result.folder, result.results) == (1, None, None)
    frame = result.frame()
    assert list(frame["Outcome"]) == ["planned", "planned", "invalid"]
    assert frame["OpportunityID"][0] == "00123"
    assert "'Pst'" in frame["Message"][2]


def test_a_frame_is_sent(tmp_path: Path) -> None:
    """`run` sends the good rows with their values and returns what became of all."""
    with Sandbox() as sandbox:
        result = batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
        bodies = sorted(received.body for received in sandbox.received)
    assert (result.outcomes["updated"], result.outcomes["invalid"]) == (2, 1)
    assert bodies == [
        b'{"OpportunityID": "00123", "SalesRevenue": 1.5, "PendingCloseDate": "2026-03-31"}',
        b'{"PendingCloseDate": "2026-04-01"}',
    ]
    assert result.results
    assert result.results.exists()
    assert result.stopped is None
    assert list(result.frame()["HTTP status"]) == [200, 200, None]


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path) -> None:
    """A process that uses the library goes on collecting as before."""
    before = gc.get_threshold(), gc.get_freeze_count()
    with Sandbox() as sandbox:
        batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_notebook_that_runs_a_loop_can_use_it(tmp_path: Path) -> None:
    """Inside a running event loop `run` works as well."""

    async def cell() -> int:
        return batch_updater.run(FRAME[:2], configuration(tmp_path, sandbox.url)).exit_code

    with Sandbox() as sandbox:
        assert asyncio.run(cell()) == 0


def test_a_wrong_frame_is_refused(tmp_path: Path) -> None:
    """A frame without the required columns raises, and names what is missing."""
    with pytest.raises(BatchUpdaterError, match="opportunityType"):
        batch_updater.check(pd.DataFrame({"OpportunityId": [1], "StageName": ["x"]}))
    with pytest.raises(BatchUpdaterError, match="There is no file"):
        batch_updater.check(tmp_path / "nowhere.csv")
