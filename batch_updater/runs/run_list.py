"""The runs of a folder of results for a page that is asked for again and again: only what has changed is read again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from batch_updater.records import OutcomeKind
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN
from batch_updater.runs.family import Family, families
from batch_updater.runs.history import (
    DATABASE,
    DamagedRun,
    PastRun,
    newest_first,
    read_run,
    run_folders,
    runs_in,
    with_undos,
)
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_runs import team_run_stamps

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase

_FRESH_NS = 2_000_000_000
"""Clocks of file systems are coarse: a file that is younger may change once more without its times telling so."""
_Stamp: TypeAlias = tuple[tuple[int, int] | None, ...]
"""Time and size of a database and of the files that SQLite and we have beside it."""


class RunState(StrEnum):
    """What a list of runs can be narrowed down to."""

    GOING_ON = "going on"
    NEEDS_SOMEONE = "needs someone"
    NOT_DONE = "not done"
    UNDONE = "undone"
    DAMAGED = "damaged"


class ListedRun(msgspec.Struct, frozen=True):
    """A run, and the later one that undid some of it."""

    run: PastRun | DamagedRun
    undone_by: PastRun | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.run.folder.name

    @property
    def file(self) -> str:
        """Name of its input, of that of the first round where its rows have come back; '' if it is damaged."""
        if isinstance(self.run, DamagedRun):
            return ""
        facts = self.run.facts
        return facts.origin.file if facts.origin else PurePath(facts.input).name

    @property
    def started_by(self) -> str:
        """Who sent it: a person of the page, else the user of the machine; '' if that is not known."""
        return "" if isinstance(self.run, DamagedRun) else self.run.sent_by


class RunEntry(msgspec.Struct, frozen=True):
    """One entry of the list: a run, or all rounds of a file."""

    rounds: tuple[ListedRun, ...]
    """The newest first."""
    family: Family | None = None
    """What the rounds have come to, where there are several."""

    @property
    def last(self) -> ListedRun:
        """Its newest round."""
        return self.rounds[0]

    @property
    def counts(self) -> Mapping[OutcomeKind, int]:
        """Outcomes that some row of the newest round has."""
        run = self.last.run
        return {} if isinstance(run, DamagedRun) else {kind: count for kind, count in run.counts.items() if count}

    @property
    def states(self) -> frozenset[RunState]:
        """To which narrower lists it belongs. What an earlier round has left is in the hands of the later one."""
        run, family = self.last.run, self.family
        if isinstance(run, DamagedRun):
            return frozenset({RunState.DAMAGED})
        if run.is_going_on:
            return frozenset({RunState.GOING_ON})
        undone = {RunState.UNDONE} if any(one.undone_by for one in self.rounds) else set()
        if self.last.undone_by:
            return frozenset(undone)
        needs_person = family.needs_person if family else run.summary.total(NEEDS_PERSON)
        not_done = family.not_done if family else run.summary.total(RUN_AGAIN)
        is_closed = run.facts.closed_at is not None
        left = {RunState.NEEDS_SOMEONE: needs_person, RunState.NOT_DONE: not_done and not is_closed}
        return frozenset(undone | {state for state, count in left.items() if count})

    def mentions(self, text: str) -> bool:
        """Whether a text is part of the name of a round or its file, or of who ran it, without regard to case."""
        wanted = text.casefold()
        return any(wanted in words.casefold() for one in self.rounds for words in (one.name, one.file, one.started_by))


class _Read(NamedTuple):
    stamp: tuple[object, ...]
    run: PastRun | DamagedRun


class _Tallied(NamedTuple):
    key: object
    family: Family | None


class RunList:
    """All runs of a folder. It remembers what it has read of each, as long as its database is the same.

    Every method may be called from any thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._read: dict[Path, _Read] = {}
        self._tallied: dict[str, _Tallied] = {}

    def entries(self) -> tuple[RunEntry, ...]:
        """Return the runs and the files with several rounds, the newest first.

        Raises ResultsError if the folder cannot be read.
        """
        with self._lock:
            listed = [ListedRun(run, undone_by) for run, undone_by in with_undos(self._runs())]
            return tuple(self._grouped(listed))

    def runs(self) -> list[PastRun | DamagedRun]:
        """Return all runs, the newest first. Raises ResultsError if the folder cannot be read."""
        with self._lock:
            return self._runs()

    def _runs(self) -> list[PastRun | DamagedRun]:
        known, self._read = self._read, {}
        if team := team_of(self._folder):
            return newest_first(self._runs_of(team, known))
        return newest_first(
            run for folder in run_folders(self._folder) if (run := self._run(folder, known.get(folder)))
        )

    def _runs_of(self, team: TeamDatabase, known: Mapping[Path, _Read]) -> Iterable[PastRun | DamagedRun]:
        stamps = {self._folder / name: stamp for name, stamp in team_run_stamps(team).items()}
        same = {folder: one for folder, stamp in stamps.items() if (one := known.get(folder)) and one.stamp == stamp}
        self._read = {**same}
        for run in runs_in([folder for folder in stamps if folder not in same]):
            stamp = stamps[run.folder]
            if stamp is not None and not (isinstance(run, DamagedRun) and run.is_withheld):
                self._read[run.folder] = _Read(stamp, run)
            yield run
        yield from (one.run for one in same.values())

    def _run(self, folder: Path, known: _Read | None) -> PastRun | DamagedRun | None:
        stamp, now = _stamp(folder), time.time_ns()
        if known and known.stamp == stamp:
            self._read[folder] = known
            return known.run
        run = read_run(folder)
        is_settled = all(now - file[0] > _FRESH_NS for file in stamp if file)
        if run and stamp[0] and is_settled and not (isinstance(run, DamagedRun) and run.is_withheld):
            self._read[folder] = _Read(stamp, run)
        return run

    def _grouped(self, listed: Sequence[ListedRun]) -> Iterable[RunEntry]:
        rounds: dict[str, list[ListedRun]] = {}
        for one in listed:
            first = one.name if isinstance(one.run, DamagedRun) else one.run.first_round
            rounds.setdefault(first, []).append(one)
        undos = [one.run for one in listed if isinstance(one.run, PastRun) and one.run.facts.is_undo]
        tallied, self._tallied = self._tallied, {}
        for first, found in rounds.items():
            if len(found) == 1:
                yield RunEntry((found[0],))
                continue
            runs = [one.run for one in found]
            key = (runs, [one.undone_by for one in found])
            known = tallied.get(first)
            if known is None or known.key != key:
                of_folder = families([*runs, *undos])
                known = _Tallied(key, next((of_folder[run.folder] for run in runs if run.folder in of_folder), None))
            self._tallied[first] = known
            yield RunEntry(tuple(found), known.family)


def _stamp(folder: Path) -> _Stamp:
    """Return what changes whenever anything is written into a run's database."""

    def of(name: str) -> tuple[int, int] | None:
        try:
            found = (folder / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    return of(DATABASE), of(f"{DATABASE}-wal"), of(f"{DATABASE}-commits")
