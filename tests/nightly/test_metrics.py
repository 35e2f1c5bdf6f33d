"""metrics.py: figures that Prometheus can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from batch_updater.nightly.dispositions import Disposition
from batch_updater.nightly.metrics import write_metrics
from tests.nightly.made import QUOTA, STARTED, file, night

if TYPE_CHECKING:
    from pathlib import Path


def samples(path: Path) -> dict[str, float]:
    """Read a file as Prometheus would: name with labels -> value."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {
        "/".join([sample.name.removeprefix("batch_updater_"), *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_figures_are_those_of_the_night(tmp_path: Path) -> None:
    """Rows by outcome, requests, files by place and the times are written, with their units."""
    path = tmp_path / "night.prom"
    done, attention = file(Disposition.DONE, updated=3), file(Disposition.ATTENTION, updated=1, rejected=2)
    moved = (replace(one, moved_to=tmp_path / one.name) for one in (done, attention))
    made = night(
        *moved, file(Disposition.NOT_READY), file(Disposition.ATTENTION)
    )  # the last has lain there for too long
    assert write_metrics(path, made) is None
    assert path.stat().st_mode & 0o777 == 0o644  # whatever the umask: another user collects it
    found = samples(path)
    assert (found["last_run_rows/updated"], found["last_run_rows/rejected"], found["last_run_rows/failed"]) == (4, 2, 0)
    assert [found[f"last_run_{name}"] for name in ("requests", "retries", "throttled_requests")] == [20, 8, 4]
    assert [found[f"last_run_files/{place}"] for place in ("done", "attention", "inbox")] == [1, 1, 2]
    assert (found["last_run_duration_seconds"], found["last_run_exit_code"]) == (60, 1)
    assert found["last_run_timestamp_seconds"] == STARTED.timestamp() + 60
    assert found["last_success_timestamp_seconds"] == 0


def test_the_last_success_outlives_a_night_that_fails(tmp_path: Path) -> None:
    """An alert on the age of the last success does not start again because a night failed."""
    path = tmp_path / "night.prom"
    assert write_metrics(path, night(file(Disposition.DONE, updated=1))) is None
    succeeded = samples(path)["last_success_timestamp_seconds"]
    assert write_metrics(path, night(stop=QUOTA)) is None
    assert samples(path)["last_success_timestamp_seconds"] == succeeded == STARTED.timestamp() + 60
    assert samples(path)["last_run_exit_code"] == 3


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """It is a sentence that names the file, and no exception; without metrics there is none."""
    said = write_metrics(tmp_path / "nowhere" / "night.prom", night())
    assert said
    assert "nowhere/night.prom were not written: No such file or directory" in said
    assert write_metrics(None, night()) is None
