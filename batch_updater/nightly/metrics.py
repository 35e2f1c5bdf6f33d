"""Figures of a night for Prometheus, as a file that node_exporter's textfile collector reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.errors import ExitCode
from batch_updater.files.reading import read_regular_text
from batch_updater.nightly.night import Verdict
from batch_updater.nightly.time_limit import tried

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from batch_updater.nightly.night import FileResult, Night

LIMIT_S = 10.0
_FOR_EVERYBODY = 0o644
_MOST_BYTES = 1_000_000
_LAST_SUCCESS = "batch_updater_last_success_timestamp_seconds"
_INBOX = "inbox"
_PLACES = (Verdict.DONE.value, Verdict.ATTENTION.value, _INBOX)


def write_metrics(path: Path | None, night: Night, limit_s: float = LIMIT_S) -> str | None:
    """Write the file, whole or not at all; returns a sentence if that failed."""
    if path is None:
        return None
    why = tried(lambda: _write(path, night), limit_s)
    if why is None:
        return None
    return f"The metrics {path} were not written: {why}. See that their folder is there, has room and may be written."


def _write(path: Path, night: Night) -> str | None:
    from prometheus_client import write_to_textfile  # noqa: PLC0415  (only where somebody wants metrics)

    try:
        write_to_textfile(str(path), _registry(night, _last_success(path, night)))
        path.chmod(_FOR_EVERYBODY)  # node_exporter is somebody else, and there is nothing personal in it
    except OSError as error:
        return error.strerror or str(error)
    return None


def _ended_s(night: Night) -> float:
    """Return when the night ended, in seconds since 1970."""
    return night.started_at.timestamp() + night.elapsed_s


def _last_success(path: Path, night: Night) -> float:
    """Return when a night last needed nobody, from the earlier file if it was not this one; 0 if never."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  (as above)

    if night.exit_code == ExitCode.OK:
        return _ended_s(night)
    try:
        families = list(text_string_to_metric_families(read_regular_text(path, _MOST_BYTES)))
    except (OSError, ValueError):
        return 0.0  # there is none, or it is none of ours
    return next((sample.value for one in families for sample in one.samples if sample.name == _LAST_SUCCESS), 0.0)


def _registry(night: Night, last_success_s: float) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Gauge  # noqa: PLC0415  (as above)

    registry = CollectorRegistry()
    for name, what, value in _figures(night, last_success_s):
        Gauge(name, what, registry=registry).set(value)
    rows = Gauge("batch_updater_last_run_rows", "Rows of the last night by outcome.", ["outcome"], registry=registry)
    for kind, count in night.outcomes.items():
        rows.labels(kind.value).set(count)
    files = Gauge(
        "batch_updater_last_run_files", "Files of the last night by where they are now.", ["place"], registry=registry
    )
    for place in _PLACES:
        files.labels(place).set(sum(_place(file) == place for file in night.files))
    return registry


def _place(file: FileResult) -> str:
    """Return where a file is now: one that needs attention may lie in the inbox still."""
    return file.verdict.value if file.moved_to else _INBOX


def _figures(night: Night, last_success_s: float) -> tuple[tuple[str, str, float], ...]:
    files, last = night.files, "batch_updater_last_run"
    return (
        (f"{last}_requests", "Requests that went out in the last night.", sum(file.requests for file in files)),
        (f"{last}_retries", "Those of them that were repeats.", sum(file.retries for file in files)),
        (f"{last}_throttled_requests", "Those that were answered with 429.", sum(file.throttled for file in files)),
        (f"{last}_duration_seconds", "How long the last night took.", night.elapsed_s),
        (f"{last}_exit_code", "Exit code of the last night.", int(night.exit_code)),
        (f"{last}_timestamp_seconds", "When the last night ended.", _ended_s(night)),
        (_LAST_SUCCESS, "When a night last ended with exit code 0; 0 if never.", last_success_s),
    )
