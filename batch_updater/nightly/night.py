"""A night and its files: exit code and verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batch_updater.errors import ExitCode
from batch_updater.nightly.dispositions import Disposition, NightStop
from batch_updater.records import MappedColumn, OutcomeKind
from batch_updater.reporter.summary import Summary

WORKED = frozenset({ExitCode.OK, ExitCode.NEEDS_PERSON})
"""Exit codes of a night without trouble of the account, the service or the set-up."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file of the inbox at the end of the night."""

    name: str
    disposition: Disposition
    note: str = ""
    """The reason in whole sentences; empty where its rows say it all."""
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
    is_fault: bool = False
    """Whether the program itself failed at it."""

    @property
    def needs_person(self) -> bool:
        """Whether it is for a person, in attention/ or where it lies."""
        return self.disposition in {Disposition.ATTENTION, Disposition.UNFINISHED}

    @property
    def is_left(self) -> bool:
        """Whether it stays in the inbox for another night."""
        return self.disposition in {Disposition.TROUBLE, Disposition.NOT_READY}


@dataclass(frozen=True, slots=True)
class Night:
    """One start of the nightly job, at its end."""

    inbox: Path
    files: tuple[FileResult, ...]
    stop: NightStop | None
    """None if every file had its turn."""
    started_at: datetime
    """UTC."""
    elapsed_s: float

    @property
    def exit_code(self) -> ExitCode:
        """What the process tells its caller."""
        if any(file.is_fault for file in self.files):
            return ExitCode.FAULT
        if self.stop:
            return self.stop.exit_code
        return ExitCode.NEEDS_PERSON if any(file.needs_person for file in self.files) else ExitCode.OK

    @property
    def has_worked(self) -> bool:
        """Whether every file had its turn."""
        return self.exit_code in WORKED

    @property
    def outcomes(self) -> dict[OutcomeKind, int]:
        """The outcomes of the rows of all files."""
        total = Counter[OutcomeKind]()
        for file in self.files:
            total.update(file.summary.counts if file.summary else {})
        return {kind: total[kind] for kind in OutcomeKind}

    @property
    def verdict(self) -> str:
        """One or more plain sentences."""
        sentences = [f"The job ended early: {self.stop.message}"] if self.stop else []
        if attention := sum(file.needs_person for file in self.files):
            sentences.append(f"{attention:,} {'file needs' if attention == 1 else 'files need'} you.")
        if done := sum(file.disposition is Disposition.DONE for file in self.files):
            sentences.append(f"{done:,} {'file is' if done == 1 else 'files are'} done.")
        return " ".join(sentences) or "There was nothing to do: no finished file in the inbox."
