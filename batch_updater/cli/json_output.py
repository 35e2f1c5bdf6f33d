"""What `--json` prints: one object on one line, for each kind of command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from batch_updater.records import OutcomeKind
from batch_updater.text.printable import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from batch_updater.doctor.finding import Finding
    from batch_updater.endpoint.usable import DocumentList
    from batch_updater.errors import BatchUpdaterError, ExitCode
    from batch_updater.nightly.night import FileResult, Night
    from batch_updater.records import MappedColumn
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.family import Family
    from batch_updater.runs.history import DamagedRun, PastRun
    from batch_updater.runs.plan import Opened
    from batch_updater.runs.result import RunResult
    from batch_updater.runs.undo import Undo
    from batch_updater.team.import_runs import Imported


def write_object(value: Mapping[str, object], stream: TextIO) -> None:
    """Write one object as one line."""
    print_line(_as_ascii(json.dumps(value)), stream)


def write_exact_object(value: Mapping[str, object], stream: TextIO) -> None:
    """Write one object with numbers of any size and number of digits as one line."""
    from batch_updater.endpoint.exact_json import to_json

    print_line(_as_ascii(to_json(value)), stream)


def _as_ascii(text: str) -> str:
    """Return JSON with an escape for every character that an encoding may lack, or a terminal may not show."""
    return re.sub("[\x7f-\U0010ffff]+", lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)


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
        "columns": _columns(result.columns.mapping),
        "notes": [*filter(None, [facts.family]), *result.notes, *([result.fault] if result.fault else [])],
        "requests": result.requests,
        "retries": result.retries,
        "started_at": facts.started_at.isoformat(),
        "finished_at": facts.finished_at.isoformat(),
        "elapsed_s": round(result.elapsed_s, 3),
        "rate_per_s": round(result.requests / result.elapsed_s, 3) if result.elapsed_s else 0.0,
        "repeats": facts.repeats,
        "exit_code": int(result.exit_code),
        "stopped": result.stop.reason.value if result.stop else None,
    }


_NOTHING_KNOWN: Mapping[str, object] = {
    "schema": 1, "command": "run", "run": None, "input": None, "sheet": None, "results": None, "endpoint": None,
    "rows": None, "outcomes": None, "verdict": None, "causes": [], "next": None, "columns": [], "notes": [],
    "requests": 0, "retries": 0, "started_at": None, "finished_at": None, "elapsed_s": None, "rate_per_s": None,
    "repeats": None, "exit_code": None, "stopped": None,
}  # fmt: skip
"""What `run` prints, of a file that was not run."""


def run_list_object(
    runs: Iterable[tuple[PastRun | DamagedRun, PastRun | None]], rounds: Mapping[Path, Family]
) -> dict[str, object]:
    """Return what `runs` prints, of runs that each come with the run that undid it.

    `rounds`: folder of the last round of a file -> what all of them have come to.
    """
    import msgspec

    from batch_updater.runs.history import DamagedRun

    listed: list[dict[str, object]] = [
        {"run": str(run.folder), "damaged": run.why}
        if isinstance(run, DamagedRun)
        else {
            "run": str(run.folder),
            "input": run.facts.input,
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
            "closed_at": run.facts.closed_at.isoformat() if run.facts.closed_at else None,
            "undone_by": undone_by.folder.name if undone_by else None,
            "verdict": run.summary.verdict,
            "exit_code": int(run.summary.exit_code),
            "rows_of": run.facts.origin.file if run.facts.origin else None,
            "rounds": msgspec.to_builtins(rounds.get(run.folder)),
        }
        for run, undone_by in runs
    ]
    return {"schema": 1, "command": "runs", "runs": listed, "exit_code": 0}


def import_object(moved: Iterable[Imported], code: int) -> dict[str, object]:
    """Return what `team import` prints."""
    listed = [{"kind": one.kind, "name": one.name, "state": one.state.value, "why": one.why or None} for one in moved]
    return {"schema": 1, "command": "team import", "imported": listed, "exit_code": int(code)}


def night_object(night: Night) -> dict[str, object]:
    """Return what `nightly` prints."""
    return {
        "schema": 1,
        "command": "nightly",
        "inbox": str(night.inbox),
        "files": [_night_file(file) for file in night.files],
        "outcomes": _outcomes(night.outcomes),
        "requests": sum(file.requests for file in night.files),
        "retries": sum(file.retries for file in night.files),
        "elapsed_s": round(night.elapsed_s, 3),
        "verdict": night.verdict,
        "notes": list(night.notes),
        "exit_code": int(night.exit_code),
        "stopped": night.stop.reason if night.stop else None,
    }


def _night_file(file: FileResult) -> dict[str, object]:
    """Return what `nightly` prints of a file: what `run` does, null where that is not known, and what became of it."""
    if file.last:
        known = result_object(file.last, file.next_step)
    elif past := file.past:
        known = {
            "run": str(past.folder),
            "input": past.facts.input,
            "sheet": past.identity.sheet,
            "endpoint": past.identity.endpoint,
            "rows": past.rows,
            "outcomes": _outcomes(past.counts),
            "started_at": past.started_at.isoformat(),
            "finished_at": past.ended_at.isoformat() if past.ended_at else None,
            "repeats": past.facts.repeats,
        }
    else:
        known = {"input": file.name}
    return {
        **_NOTHING_KNOWN,
        **known,
        "results": str(file.results) if file.results else None,
        "verdict": file.summary.verdict if file.summary else file.note,
        "next": {"kind": file.next_step.kind.value, "command": file.next_step.command},
        "requests": file.requests,
        "retries": file.retries,
        "exit_code": int(file.exit_code),
        "name": file.name,
        "disposition": file.disposition.verdict,
        "note": file.note or None,
        "moved_to": str(file.moved_to) if file.moved_to else None,
    }


def undo_object(undo: Undo) -> dict[str, object]:
    """Return what `undo` prints."""
    return {
        "schema": 1,
        "command": "undo",
        "undo": str(undo.path),
        "rows": undo.rows,
        "not_possible": undo.not_possible,
        "exit_code": 0,
    }


def columns_object(opened: Opened, saved: Path | str | None) -> dict[str, object]:
    """Return what `columns` prints; `saved` is where the layout was remembered."""
    table = opened.table
    return {
        "schema": 1,
        "command": "columns",
        "input": opened.snapshot.name,
        "sheet": table.sheet,
        "header_row": table.columns.header_row,
        "endpoint": opened.endpoint.name,
        "columns": [
            {"header": one.header, "field": one.field, "first_value": one.first_value} for one in table.columns.mapping
        ],
        "layout": table.layout.name if table.layout else None,
        "saved": str(saved) if saved else None,
        "notes": list(table.notes),
        "exit_code": 0,
    }


def endpoints_object(listed: DocumentList) -> dict[str, object]:
    """Return what `endpoints` prints."""
    import msgspec

    return {"operations": msgspec.to_builtins(listed.operations)}


def template_object(path: Path, endpoint: str) -> dict[str, object]:
    """Return what `template` prints."""
    return {"schema": 1, "command": "template", "template": str(path), "endpoint": endpoint, "exit_code": 0}


def init_object(path: Path) -> dict[str, object]:
    """Return what `init` prints."""
    return {"schema": 1, "command": "init", "config": str(path), "exit_code": 0}


def _columns(mapping: Iterable[MappedColumn]) -> list[dict[str, str | None]]:
    return [{"header": column.header, "field": column.field} for column in mapping]


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
    return {"schema": 1, "command": "doctor", "checks": checks, "exit_code": int(code)}


def error_object(error: BatchUpdaterError, redact: Callable[[str], str]) -> dict[str, object]:
    """Return what any command prints that ends with an error, without secrets."""
    place = error.place
    fault = {
        "message": redact(error.message), "file": place.file, "sheet": place.sheet, "cell": place.cell,
        "remedy": redact(error.remedy) or None,
    }  # fmt: skip
    return {"exit_code": int(error.exit_code), "error": fault}
