"""The files of a run that people get."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from batch_updater.reporter.page import PAGE
from batch_updater.runs.history import PastRun
from batch_updater.runs.team_files import fetch, team_files
from batch_updater.runs.undo import UNDO


class RunFileKind(StrEnum):
    """What such a file is."""

    WORKBOOK = "workbook"
    ANNOTATED = "annotated"
    PAGE = "page"
    UNDO = "undo"


class RunFile(NamedTuple):
    """A file in the folder of a run."""

    kind: RunFileKind
    path: Path
    size: int
    """In bytes."""


def files_of(past: PastRun) -> tuple[RunFile, ...]:
    """Return the files that a run has in its folder, the last of each kind; those of a team are fetched.

    Raises ResultsError if they cannot be.
    """
    for file in team_files(past.folder):
        if file.name != past.facts.input_file:
            fetch(past.folder, file)
    return tuple(
        RunFile(kind, path, found.st_size)
        for kind, path in _places(past)
        if path.parent == past.folder.resolve() and (found := path.lstat()) and stat.S_ISREG(found.st_mode)
    )


def _places(past: PastRun) -> Iterator[tuple[RunFileKind, Path]]:
    folder = past.folder.resolve()
    annotated = sorted(folder.glob("*-annotated*.xls[mx]"), key=lambda path: path.lstat().st_mtime)
    every = {
        RunFileKind.WORKBOOK: past.workbook,
        RunFileKind.ANNOTATED: annotated[-1] if annotated else None,
        RunFileKind.PAGE: folder / PAGE,
        RunFileKind.UNDO: folder / UNDO,
    }
    return ((kind, path) for kind, path in every.items() if path is not None and path.is_file())
