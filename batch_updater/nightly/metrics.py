"""Figures of a night for Prometheus, as a file that node_exporter's textfile collector reads."""

from __future__ import annotations

from pathlib import Path

from batch_updater.errors import ExitCode
from batch_updater.files.reading import read_regular_text
from batch_updater.nightly.night import Night
from batch_updater.nightly.notify import run_with_timeout

_LIMIT_S = 10.0
_FOR_ALL = 0o644
_MOST_BYTES = 1_000_000
_LAST_SUCCESS = "batch_updater_last_success_timestamp_seconds"


def write_metrics(path: Path | None, night: Night) -> str | None:
    """Write the file, whole or not at all; returns a sentence if that failed."""
    if path is None:
        return None
    why = run_with_timeout(lambda: _write(path, night), _LIMIT_S)
    if why is None:
        return None
    return f"The metrics {path} were not written: {why}. See that their folder is there, has room and may be written."


def _write(path: Path, night: Night) -> str | None:
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile  # noqa: PLC0415  (only with metrics)

    registry = CollectorRegistry()
    files, last, ended_s = night.files, "batch_updater_last_run", night.started_at.timestamp() + night.elapsed_s
    for name, what, value in (
        (f"{last}_requests", "Requests that went out in the last night.", sum(file.requests for file in files)),
        (f"{last}_retries", "Those of them that were repeats.", sum(file.retries for file in files)),
        (f"{last}_throttled_requests", "Those that came too fast for the API.", sum(file.throttled for file in files)),
        (f"{last}_duration_seconds", "How long the last night took.", night.elapsed_s),
        (f"{last}_exit_code", "Exit code of the last night.", int(night.exit_code)),
        (f"{last}_timestamp_seconds", "When the last night ended.", ended_s),
        (
            _LAST_SUCCESS,
            "When a night last ended with exit code 0; 0 if never.",
            ended_s if night.exit_code == ExitCode.OK else _last_success_s(path),
        ),
    ):
        Gauge(name, what, registry=registry).set(value)
    rows = Gauge(f"{last}_rows", "Rows of the last night by outcome.", ["outcome"], registry=registry)
    for kind, count in night.outcomes.items():
        rows.labels(kind.value).set(count)
    places = [file.disposition.verdict if file.moved_to else "inbox" for file in files]
    by_place = Gauge(f"{last}_files", "Files of the last night by where they are now.", ["place"], registry=registry)
    for place in ("done", "attention", "inbox"):
        by_place.labels(place).set(places.count(place))
    try:
        write_to_textfile(str(path), registry)
        path.chmod(_FOR_ALL)  # node_exporter is another user, and there is nothing personal in it
    except OSError as error:
        return error.strerror or str(error)
    return None


def _last_success_s(path: Path) -> float:
    """Return when a night last ended with exit code 0, in seconds since 1970, from the earlier file; 0 if never."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  (as above)

    try:
        families = list(text_string_to_metric_families(read_regular_text(path, _MOST_BYTES)))
    except (OSError, ValueError):
        return 0.0  # there is none, or it is not one of ours
    return next((sample.value for one in families for sample in one.samples if sample.name == _LAST_SUCCESS), 0.0)
