"""The library: run and check on files and DataFrames."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import yaml

import batch_updater
from batch_updater.errors import BatchUpdaterError, ConfigError, InputError
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
    """`run` sends the good rows with their values and returns all outcomes."""
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


def _interpreter() -> tuple[object, ...]:
    """Return what a run sets for its time."""
    return gc.get_threshold(), gc.get_freeze_count(), sys.getswitchinterval()


def test_the_interpreter_is_left_as_it_was(tmp_path: Path) -> None:
    """A process that uses the library goes on collecting garbage and switching threads as before."""
    before = _interpreter()
    with Sandbox() as sandbox:
        batch_updater.run(FRAME, configuration(tmp_path, sandbox.url))
    assert _interpreter() == before


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


def test_runs_in_threads_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Two runs at once: each has the log of its own rows, and the interpreter is left as it was."""
    before = _interpreter()

    def rows(name: str, count: int) -> tuple[batch_updater.Run, list[int]]:
        (tmp_path / name).mkdir()
        frame = pd.DataFrame({"Id": range(1, count + 1), "Type": "Pre", "OpportunityName": name})
        result = batch_updater.run(frame, configuration(tmp_path / name, sandbox.url) | {"sending": {"rate_per_s": 50}})
        assert result.folder
        lines = (result.folder / "run.log").read_text(encoding="utf-8").splitlines()
        return result, sorted(json.loads(line)["row"] for line in lines if '"attempt"' in line)

    with Sandbox() as sandbox, ThreadPoolExecutor(2) as pool:
        for result, logged in pool.map(rows, ("a", "b"), (40, 60)):
            assert result.exit_code == 0
            assert logged == list(range(2, result.outcomes["updated"] + 2))
    assert _interpreter() == before


def test_a_frame_is_never_made_of_another_database(tmp_path: Path) -> None:
    """If the run's folder was changed or has gone, `frame` says so: outcomes are beside the rows that they are of."""
    with Sandbox() as sandbox:
        result = batch_updater.run(FRAME[:2], configuration(tmp_path, sandbox.url))
    assert result.folder
    (result.folder / "run.sqlite").write_bytes(b"no database")
    with pytest.raises(InputError, match="database"):
        result.frame()
    shutil.rmtree(result.folder)
    with pytest.raises(InputError, match="No such file"):
        result.frame()


def test_what_cannot_be_run_is_refused_by_name(tmp_path: Path) -> None:
    """A configuration without an address, text that is none, and what is neither a path nor a DataFrame."""
    with pytest.raises(ConfigError, match="which API"):
        batch_updater.run(FRAME, {"results": {"folder": str(tmp_path / "runs")}})
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match=r"'\\ud800'"):
        batch_updater.check(FRAME.assign(OpportunityID="\ud800"))
    with pytest.raises(TypeError, match="not bytes"):
        batch_updater.check(b"a.csv")  # type: ignore[arg-type]  # that is the point


def test_other_readers_of_yaml_in_the_process_are_left_alone(tmp_path: Path) -> None:
    """Reading a configuration and a description changes nothing for a program that reads YAML of its own."""
    (tmp_path / "config.yaml").write_text("input: {sheet: Changes}\n", encoding="utf-8")
    batch_updater.check(FRAME, tmp_path / "config.yaml")
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load("[0.25, 2026-03-31, NO, 010]", loader) == [0.25, date(2026, 3, 31), False, 8]  # noqa: S506
