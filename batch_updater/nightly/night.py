"""What became of a night, file by file, and what it comes to: the verdict, the exit code, who has to know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from batch_updater.errors import ExitCode
from batch_updater.records import OutcomeKind

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from batch_updater.records import MappedColumn
    from batch_updater.reporter.summary import Summary


WORKED = frozenset({ExitCode.OK, ExitCode.NEEDS_PERSON})
"""Exit codes of a night without trouble of the account, the service or the set-up."""


class Verdict(StrEnum):
    """Where a file went, and why."""

    DONE = "done"
    ATTENTION = "attention"
    AGAIN = "again"
    """Rows are not done; it stays in the inbox, and the next night goes on with it."""
    LEFT = "left"
    """It was not touched."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file of the inbox."""

    name: str
    verdict: Verdict
    note: str = ""
    """Why, in whole sentences, where its rows do not say it."""
    summary: Summary | None = None
    """None if it was not run."""
    moved_to: Path | None = None
    results: Path | None = None
    """The workbook that people should open."""
    columns: tuple[MappedColumn, ...] = ()
    run: Path | None = None
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    confirmed: int = 0
    """Rows that the API has confirmed in this night."""
    fault: bool = False
    """Whether the program itself failed at it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the job ended before every file had its turn."""

    reason: str
    """That of the run that was stopped, or `configuration`, `locked`, `disk`, `fault`."""
    message: str
    advice: str
    exit_code: ExitCode = ExitCode.RUN_AGAIN


@dataclass(frozen=True, slots=True)
class Night:
    """One start of the unattended job, at its end."""

    inbox: Path
    files: tuple[FileResult, ...]
    trouble: Trouble | None
    started_at: datetime
    """UTC."""
    elapsed_s: float

    def of(self, verdict: Verdict) -> tuple[FileResult, ...]:
        """Return the files with that verdict."""
        return tuple(file for file in self.files if file.verdict is verdict)

    @property
    def exit_code(self) -> ExitCode:
        """What the process tells its caller."""
        if any(file.fault for file in self.files):
            return ExitCode.FAULT
        if self.trouble:
            return self.trouble.exit_code
        if self.of(Verdict.AGAIN):
            return ExitCode.RUN_AGAIN
        return ExitCode.NEEDS_PERSON if self.of(Verdict.ATTENTION) else ExitCode.OK

    @property
    def has_worked(self) -> bool:
        """Whether every file had its turn, whatever became of it."""
        return self.exit_code in WORKED

    @property
    def outcomes(self) -> dict[OutcomeKind, int]:
        """What became of the rows of all files."""
        total = Counter[OutcomeKind]()
        for file in self.files:
            total.update(file.summary.counts if file.summary else {})
        return {kind: total[kind] for kind in OutcomeKind}

    @property
    def verdict(self) -> str:
        """One or two plain sentences."""
        sentences = [f"The job ended early: {self.trouble.message}"] if self.trouble else []
        if attention := len(self.of(Verdict.ATTENTION)):
            sentences.append(f"{_files(attention)} {'needs' if attention == 1 else 'need'} you.")
        if again := len(self.of(Verdict.AGAIN)):
            sentences.append(f"{_files(again)} {'is' if again == 1 else 'are'} not done and will be gone on with.")
        if done := len(self.of(Verdict.DONE)):
            sentences.append(f"{_files(done)} {'is' if done == 1 else 'are'} done.")
        return " ".join(sentences) or "There was nothing to do: no finished file in the inbox."


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def as_object(night: Night) -> dict[str, object]:
    """Return what `nightly --json` prints."""
    return {
        "inbox": str(night.inbox),
        "files": [_file_object(file) for file in night.files],
        "outcomes": {kind.value: count for kind, count in night.outcomes.items()},
        "requests": sum(file.requests for file in night.files),
        "retries": sum(file.retries for file in night.files),
        "elapsed_s": round(night.elapsed_s, 3),
        "verdict": night.verdict,
        "exit_code": int(night.exit_code),
        "stopped": night.trouble.reason if night.trouble else None,
    }


def _file_object(file: FileResult) -> dict[str, object]:
    return {
        "name": file.name,
        "verdict": file.verdict.value,
        "note": file.note or None,
        "outcomes": {kind.value: count for kind, count in file.summary.counts.items()} if file.summary else None,
        "columns": [column.as_object for column in file.columns],
        "moved_to": str(file.moved_to) if file.moved_to else None,
        "results": str(file.results) if file.results else None,
        "run": str(file.run) if file.run else None,
    }
