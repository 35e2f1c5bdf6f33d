"""Nights made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from batch_updater.errors import ExitCode
from batch_updater.nightly.dispositions import Disposition, NightStop
from batch_updater.nightly.night import FileResult, Night
from batch_updater.records import Cause, OutcomeKind
from batch_updater.reporter.summary import Summary

STARTED = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
QUOTA = NightStop("quota", "The quota is used up.", "Ask for more.")
LOCKED = NightStop("locked", "Another run is going on.", "Wait.", ExitCode.LOCKED)


def summary(**counts: int) -> Summary:
    known = {kind: counts.get(kind.value, 0) for kind in OutcomeKind}
    cause = Cause("StageName: unknown", 2, 7, "C7", "'Propsal' is not known.", ("C7", "C9"))
    return Summary(sum(known.values()), known, (cause,))


def file(disposition: Disposition, name: str = "a.csv", **counts: int) -> FileResult:
    return FileResult(
        name, disposition, summary=summary(**counts) if counts else None, requests=5, retries=2, throttled=1
    )


def night(*files: FileResult, stop: NightStop | None = None) -> Night:
    return Night(Path("/inbox"), files, stop, STARTED, 60.0, "host.example.com", "https://nexus.example.com (nexus)")
