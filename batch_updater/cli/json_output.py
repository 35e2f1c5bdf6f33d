"""What `--json` prints: one object on one line, for each kind of command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batch_updater.records import OutcomeKind
from batch_updater.text.printable import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    from batch_updater.doctor.finding import Finding
    from batch_updater.errors import BatchUpdaterError, ExitCode
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.history import DamagedRun, PastRun
    from batch_updater.runs.result import RunResult


def write_object(value: Mapping[str, object], stream: TextIO) -> None:
    """Write one object as one line."""
    print_line(json.dumps(value), stream)


def result_object(result: RunResult, step: NextStep) -> dict[str, object]:
    """Return what `run`, `check`, `report` and `demo` print."""
    facts, summary = result.facts, result.summary
    return {
        "schema": 1,
        "command": facts.command,
        "run": str(result.folder) if result.folder else None,
        "input": facts.input_path,
        "sheet": facts.sheet,
        "results": str(result.results) if result.results else None,
        "endpoint": facts.endpoint,
        "rows": summary.rows,
        "outcomes": _outcomes(summary.counts),
        "verdict": summary.verdict,
        "causes": [
            {
                "cause": cause.text,
                "rows": cause.count,
                "example": {"row": cause.example_row, "cell": cause.example_cell, "message": cause.example},
            }
            for cause in summary.causes
        ],
        "next": {"kind": step.kind.value, "command": step.command},
        "columns": [column.as_object for column in result.columns.mapping],
        "notes": [*facts.notes, *([result.fault] if result.fault else [])],
        "requests": result.requests,
        "retries": result.retries,
        "started_at": facts.started_at.isoformat(),
        "finished_at": facts.finished_at.isoformat(),
        "elapsed_s": round(result.elapsed_s, 3),
        "rate_per_s": round(result.rate_per_s, 3),
        "exit_code": int(result.exit_code),
        "stopped": result.stop.reason.value if result.stop else None,
    }


def run_list_object(runs: Iterable[tuple[PastRun | DamagedRun, PastRun | None]]) -> dict[str, object]:
    """Return what `runs` prints, of runs that each come with the run that undid it."""
    return {"runs": [_run_object(run, undone_by) for run, undone_by in runs], "exit_code": 0}


def _run_object(run: PastRun | DamagedRun, undone_by: PastRun | None) -> dict[str, object]:
    from batch_updater.runs.history import DamagedRun

    if isinstance(run, DamagedRun):
        return {"run": str(run.folder), "damaged": run.why}
    return {
        "run": str(run.folder),
        "input": run.input,
        "sheet": run.identity.sheet,
        "endpoint": run.identity.endpoint,
        "base_url": run.identity.base_url,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "elapsed_s": round(run.elapsed_s, 3),
        "rows": run.rows,
        "outcomes": _outcomes(run.counts),
        "requests": run.requests,
        "retries": run.retries,
        "stopped": run.stop.reason.value if run.stop else None,
        "results": run.parts[-1].results,
        "unfinished": run.is_unfinished,
        "going_on": run.is_going_on,
        "undone_by": undone_by.folder.name if undone_by else None,
        "verdict": run.summary.verdict,
        "exit_code": int(run.summary.exit_code),
    }


def _outcomes(counts: Mapping[OutcomeKind, int]) -> dict[str, int]:
    return {kind.value: counts[kind] for kind in OutcomeKind}


def findings_object(findings: Sequence[Finding], code: ExitCode) -> dict[str, object]:
    """Return what `doctor` prints."""
    checks = [
        {
            "check": finding.check,
            "status": finding.status.value,
            "message": finding.whole_message,
            "remedy": finding.whole_remedy or None,
        }
        for finding in findings
    ]
    return {"exit_code": int(code), "checks": checks}


def error_object(error: BatchUpdaterError, redact: Callable[[str], str]) -> dict[str, object]:
    """Return what any command prints that ends with an error, without secrets."""
    place = error.place
    fault = {
        "message": redact(error.message), "file": place.file, "sheet": place.sheet, "cell": place.cell,
        "remedy": redact(error.remedy) or None,
    }  # fmt: skip
    return {"exit_code": int(error.exit_code), "error": fault}
