"""The rounds of one file: its own run, and those of the results workbooks that were repaired and run.

Which runs these are, and what their rows have come to, is read from their databases: the rows of a later round have the
numbers that they have in the first file (`records.Origin`).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import NamedTuple, TypeAlias

import msgspec

from batch_updater.messages import counted, what_is_wrong
from batch_updater.records import Columns, Origin, Outcome, OutcomeKind
from batch_updater.reporter.summary import NEEDS_NOTHING, NEEDS_PERSON
from batch_updater.runs import statements
from batch_updater.runs.history import DATABASE, DamagedRun, PastRun, past_runs, read_run, reference_to, with_undos
from batch_updater.runs.store import DamagedStoreError, Store, converted, opened_store

_UNSENT = Outcome(0, OutcomeKind.NOT_SENT)
_WRONG_CHARACTERS = 1_000
_UNREADABLE = (DamagedStoreError, sqlite3.Error, OSError)
Runs: TypeAlias = Sequence[PastRun | DamagedRun]


def origin_of(columns: Columns, *, run: str, name: str, stem: str, last_row: int) -> Origin:
    """Return where the rows of a results workbook come from: what their own input says, or that input itself.

    `run` is the folder of the run, '' of a check; `name` and `stem` are the input's; `last_row` is the last of its
    rows.
    """
    if origin := columns.origin:
        return msgspec.structs.replace(origin, run=origin.run or run, next_row=max(origin.next_row, last_row + 1))
    file = (PurePath(name).name or name).encode(errors="backslashreplace").decode()
    letters = {field: columns.letters(position) for field, position in columns.of_field.items()}
    return Origin(run, file, stem, last_row, last_row + 1, letters)


class Family(msgspec.Struct, frozen=True):
    """What the rounds of a file have come to."""

    file: str
    rounds: int
    rows: int
    """Of the first file; so the next five, which add up to it."""
    updated: int
    unchanged: int
    removed: int
    """Not done, and not in the last round."""
    needs_person: int
    """Of the last round, as `not_done`."""
    not_done: int
    added: int
    """Rows that the first file does not have."""
    added_done: int
    undone: tuple[str, ...]
    """Folders of the rounds that were undone since, at least in part: their rows are counted as they were then."""

    @property
    def sentence(self) -> str:
        """Return what people are told: `q1.xlsx: 296 of 301 rows updated in 3 rounds, 3 removed, 2 need you`."""
        of_rows = f"{self.updated:,} of {counted(self.rows, 'row')} updated in {counted(self.rounds, 'round')}"
        counts = (
            (self.unchanged, "was so already", "were so already"), (self.removed, "removed", "removed"),
            (self.needs_person, "needs you", "need you"), (self.not_done, "is not done", "are not done"),
        )  # fmt: skip
        more = [f"{count:,} {one if count == 1 else several}" for count, one, several in counts if count]
        added = f" {counted(self.added, 'new row')}: {self.added_done:,} updated." if self.added else ""
        undone = f" Undone since, at least in part: {', '.join(self.undone)}." if self.undone else ""
        return f"{self.file}: {', '.join((of_rows, *more))}.{added}{undone}"


def family_of(run: PastRun | DamagedRun | None, runs: Runs | None = None) -> Family | None:
    """Return what a run and the rounds before it have come to; None of a first round.

    None, too, where the first round's folder is gone. `runs`: all of the folder, if they were read already.
    """
    if not isinstance(run, PastRun) or run.facts.origin is None:
        return None
    return _tallied(_readable(run, runs), run)


def _readable(run: PastRun, runs: Runs | None) -> list[PastRun]:
    """Return the runs of the folder of a run that can be read."""
    every = past_runs(run.folder.parent) if runs is None else runs
    return [one for one in every if isinstance(one, PastRun)]


def families(runs: Iterable[PastRun | DamagedRun]) -> Mapping[Path, Family]:
    """Return the folder of the last round of every file with more than one -> what its rounds have come to."""
    readable = [run for run in runs if isinstance(run, PastRun)]
    last: dict[str, PastRun] = {}
    for run in sorted(readable, key=lambda run: run.started_at):
        if run.facts.origin:
            last[run.first_round] = run
    found = ((run.folder, _tallied(readable, run)) for run in last.values())
    return {folder: family for folder, family in found if family}


class Relatives(NamedTuple):
    """The runs that a run has to do with."""

    rounds: tuple[PastRun, ...]
    """Those of its file by time, itself included."""
    undone_by: PastRun | None
    """The newest that has undone some of it; None if none has, as far as that is known."""


def relatives_of(run: PastRun, runs: Runs) -> Relatives:
    """Return the runs that a run has to do with; `runs` are all of its folder, the newest first."""
    rounds = sorted(
        (one for one in runs if isinstance(one, PastRun) and one.first_round == run.first_round),
        key=lambda one: one.started_at,
    )
    return Relatives(tuple(rounds), next((by for one, by in with_undos(runs) if one.folder == run.folder), None))


def rounds_with(run: PastRun, number: int, runs: Runs | None = None) -> Iterator[tuple[PastRun, OutcomeKind]]:
    """Yield the rounds of a run's file that have a row of that number, by time, and how it ended in each.

    `runs`: all of the folder, if they were read already.
    """
    rounds = (one for one in _readable(run, runs) if one.first_round == run.first_round)
    for one in sorted(rounds, key=lambda run: run.started_at):
        with suppress(*_UNREADABLE), opened_store(one.folder / DATABASE) as store:
            for _, kind in _kinds(store, statements.KINDS_OF, numbers=json.dumps([number])):
                yield one, kind


def _tallied(runs: Sequence[PastRun], last: PastRun) -> Family | None:
    key = last.first_round
    rounds = sorted(
        (run for run in runs if run.first_round == key and run.started_at <= last.started_at),
        key=lambda run: run.started_at,
    )
    first, later = rounds[0], rounds[1:]
    if first.folder.name != key or not later or last.facts.origin is None:
        return None
    undone = {run.facts.undoes for run in runs if run.facts.is_undo and run.confirmed}
    try:
        return _added_up(
            last.facts.origin.file,
            first,
            later,
            tuple(run.folder.name for run in rounds if reference_to(run.folder.resolve()) in undone),
        )
    except _UNREADABLE:
        return None


def _added_up(file: str, first: PastRun, later: Sequence[PastRun], undone: tuple[str, ...]) -> Family:
    """Count every row once. One that is done stays so, whatever a later round says of it."""
    done: dict[int, OutcomeKind] = {}
    last: dict[int, OutcomeKind] = {}
    for run in later:
        with opened_store(run.folder / DATABASE) as store:
            last = dict(_kinds(store, statements.KINDS))
        done.update((row, kind) for row, kind in last.items() if kind in NEEDS_NOTHING)
    numbers = json.dumps(sorted({*done, *last}))
    with opened_store(first.folder / DATABASE) as store:
        before = dict(_kinds(store, statements.KINDS_OF, numbers=numbers))
    done_first = {row for row, kind in before.items() if kind in NEEDS_NOTHING}
    counts = Counter(kind for row, kind in done.items() if row in before and row not in done_first)
    left = {row: kind for row, kind in last.items() if row not in done and row not in done_first}
    updated = first.counts[OutcomeKind.UPDATED] + counts[OutcomeKind.UPDATED]
    unchanged = first.counts[OutcomeKind.UNCHANGED] + counts[OutcomeKind.UNCHANGED]
    needs_person = sum(kind in NEEDS_PERSON for row, kind in left.items() if row in before)
    not_done = sum(row in before for row in left) - needs_person
    added = {*done, *left} - before.keys()
    return Family(
        file=file,
        rounds=1 + len(later),
        rows=first.rows,
        updated=updated,
        unchanged=unchanged,
        removed=first.rows - updated - unchanged - needs_person - not_done,
        needs_person=needs_person,
        not_done=not_done,
        added=len(added),
        added_done=len(added & done.keys()),
        undone=undone,
    )


def _kinds(store: Store, statement: str, **values: object) -> Iterator[tuple[int, OutcomeKind]]:
    for record in store.execute(statement, unsent=OutcomeKind.NOT_SENT.value, **values):
        yield converted(tuple(record), tuple[int, OutcomeKind], "its table rows")


@contextmanager
def first_round(database: Path | None, origin: Origin | None) -> Iterator[Callable[[int], str]]:
    """Give what was wrong with a row in the first round, by its number; '' where that is not known.

    `database` is that of a later round.
    """
    first = read_run(database.parent.parent / origin.run) if database and origin and origin.run else None
    if not isinstance(first, PastRun) or first.folder == (database and database.parent):
        yield lambda _: ""
        return
    with suppress(*_UNREADABLE), opened_store(first.folder / DATABASE) as store:
        columns = first.staged(store).columns

        def wrong(number: int) -> str:
            found = next(store.rows(_UNSENT, after=number - 1), None)
            if found is None or found.number != number:
                return ""
            text = what_is_wrong(found.outcome, columns)
            return text if len(text) <= _WRONG_CHARACTERS else f"{text[:_WRONG_CHARACTERS]} ..."

        yield wrong
