"""What sending a draft would change, kept in `compared.sqlite` of its folder to be looked at page by page."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from msgspec.structs import asdict, replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import GuardSettings
from batch_updater.endpoint.reported import as_text
from batch_updater.errors import Location, ResultsError, StoreError
from batch_updater.files.writing import ROOM_THERE, private_folder, sync_folder
from batch_updater.records import OutcomeKind, ReportRow, Stop, Unknown
from batch_updater.reporter.change_summary import ChangeSummary, written_out
from batch_updater.reporter.changes_sheet import is_empty, not_known
from batch_updater.runs import upload_statements
from batch_updater.runs.check import compare
from batch_updater.runs.draft import DRAFT, Draft
from batch_updater.runs.guards import Exceeded, exceeded_by_changes, values_of_changes
from batch_updater.runs.history import DATABASE
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.open_run import locked_results
from batch_updater.runs.plan import require_comparable
from batch_updater.runs.result import Options, Progress, RunResult
from batch_updater.runs.store import Store
from batch_updater.runs.upload_statements import COMPARED_FORMAT
from batch_updater.text.typed_values import typed_json

COMPARED = "compared.sqlite"
_SCRATCH = "comparing"
"""Name of the folder in which a comparison works; one that a killed process has left is removed by the next."""
_FACTS = "facts"
_BEING_READ = "The records of the file are about to be read: try it in a moment."
_LARGEST = sys.float_info.max
_UNREAD = frozenset({
    OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED, OutcomeKind.REJECTED, OutcomeKind.DIFFERS, OutcomeKind.NOT_SENT,
})  # fmt: skip
"""Outcomes of rows whose record was not read, or is not as it should be."""


class StoredChange(NamedTuple):
    """A field of a record that would change."""

    rank: int
    """From 1: the largest jump comes first, and what is no number behind all numbers."""
    row: int
    target: str
    field: str
    """As people call it: its header."""
    now: str | None
    """None: it is empty."""
    is_unknown: bool
    """Whether the API does not tell what it is now: then `now` says so."""
    new: str | None
    """None: it would be emptied."""
    size: str | None
    """How far a number changes, without sign; None for all else."""


class UnreadRow(NamedTuple):
    """A row whose record could not be read, or cannot be changed as the row says."""

    row: int
    outcome: OutcomeKind
    message: str
    advice: str


class _Facts(msgspec.Struct, frozen=True):
    """A comparison without its rows, as it is kept."""

    digest: str
    """Of the draft that was compared (`Draft.digest`): the comparison says nothing of another one."""
    at: datetime
    """When the records were read, UTC."""
    records: int
    """That would change."""
    unchanged: int
    """Rows whose record holds these values already."""
    sentences: tuple[str, ...]
    """The figures in words, as `ChangeSummary.in_words`."""
    over: tuple[Exceeded, ...]
    """The guards on changes that are exceeded."""
    is_whole: bool
    """Whether every record was read."""
    stop: Stop | None
    """Why not, if something stopped it."""
    guarded: Mapping[str, str]
    """What the guards on changes are held against, as `values_of_changes`."""


class Comparison(_Facts, frozen=True, kw_only=True):
    """What the rows of a draft would change, as it was when their records were read. May be used by any thread.

    Every method raises ResultsError if the file cannot be read.
    """

    path: Path

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Return the comparison in an upload's folder; None if there is none. Raises ResultsError."""
        path = folder / COMPARED
        if not path.exists():
            return None
        with _reading(path) as connection:
            (text,) = connection.execute(upload_statements.COMPARED, {"fact": _FACTS}).fetchone()
            facts = typed_json(text, _Facts)
        return cls(path=path, **asdict(facts))

    @property
    def change_count(self) -> int:
        """How many fields of records would change."""
        return self._count(upload_statements.COUNT_CHANGES)

    @property
    def unread_count(self) -> int:
        """How many rows there are in `unread`."""
        return self._count(upload_statements.COUNT_UNREAD)

    def _count(self, statement: str) -> int:
        with _reading(self.path) as connection:
            return int(connection.execute(statement).fetchone()[0])

    def changes(self, *, after: int = 0, most: int = 50) -> tuple[StoredChange, ...]:
        """Return changes by their ranks, those behind `after`: the largest jump first."""
        with _reading(self.path) as connection:
            found = connection.execute(upload_statements.CHANGES, {"after": after, "most": most}).fetchall()
        return tuple(
            StoredChange(rank, row, target, field, now, bool(unknown), new, size)
            for rank, row, target, field, now, unknown, new, _, size in found
        )

    def unread(self, *, after: int = -1, most: int = 50) -> tuple[UnreadRow, ...]:
        """Return rows whose record could not be read, those behind the row `after`."""
        with _reading(self.path) as connection:
            found = connection.execute(upload_statements.UNREAD, {"after": after, "most": most}).fetchall()
        return tuple(UnreadRow(row, OutcomeKind(kind), message, advice) for row, kind, message, advice in found)


def compare_draft(
    draft: Draft,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: StopRequests | None = None,
) -> RunResult:
    """Read the record of every row of a draft that would be sent, and keep what would change in its folder.

    Nothing is kept if `interrupts` ended it. It holds the lock of a run, for its requests count as those of one do.
    Raises what `compare` raises, LockedError, and ResultsError.
    """
    require_comparable(draft.endpoint)
    with locked_results(draft.config, draft.snapshot.name):
        return _compared(draft, environment, progress, interrupts)


def _compared(
    draft: Draft, environment: Environment, progress: Progress | None, interrupts: StopRequests | None
) -> RunResult:
    scratch, path = draft.folder / _SCRATCH, draft.folder / COMPARED
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        private_folder(scratch)
        with ExitStack() as stack:
            with draft.held(_BEING_READ):  # the digest is that of the rows that are copied
                digest, plan = draft.digest(), draft.plan()
                rows = stack.enter_context(closing(Store.reading(draft.folder / DRAFT)))
                copy = stack.enter_context(rows.copied_to(scratch / DATABASE))
            result = compare(replace(plan, store=copy), Options(), scratch, environment, progress, interrupts)
            if not (interrupts and interrupts.count):
                _write(scratch / COMPARED, result, digest, plan.config.guards)
                (scratch / COMPARED).replace(path)
                sync_folder(draft.folder)
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_THERE) from error
    except (sqlite3.Error, OSError) as error:
        raise _fault(path, "written", error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def _write(path: Path, result: RunResult, digest: str, guards: GuardSettings) -> None:
    """Write the database of a comparison. Raises sqlite3.Error, OSError."""
    changes = result.change_summary or ChangeSummary()
    facts = _Facts(
        digest, datetime.now(UTC), changes.records, changes.unchanged, tuple(changes.in_words()),
        tuple(exceeded_by_changes(guards, changes)), result.is_whole, result.stop, values_of_changes(changes),
    )  # fmt: skip
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # What is not there yet may be lost: the file gets its name once all is on disk.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in upload_statements.in_order("CREATE_COMPARED"):
            connection.execute(statement)
        connection.execute(
            upload_statements.SET_COMPARED, {"name": _FACTS, "value": msgspec.json.encode(facts).decode()}
        )
        for row in result.rows():
            connection.executemany(upload_statements.ADD_CHANGE, _change_records(row, changes))
            if row.outcome.kind in _UNREAD:
                connection.execute(upload_statements.ADD_UNREAD, _unread_record(row))
        for statement in upload_statements.in_order("RANK_CHANGES"):
            connection.execute(statement)
        connection.execute("COMMIT")
    with path.open("rb+") as written:
        os.fsync(written.fileno())


def _change_records(row: ReportRow, changes: ChangeSummary) -> Iterator[dict[str, object]]:
    for change in row.changes:
        number = changes.number_change(row.row.number, change)
        yield {
            "row": row.row.number,
            "target": row.target.replace("&", ", ").replace("=", " "),
            "field": changes.called(change.field),
            "now": _shown(change.now),
            "now_unknown": isinstance(change.now, Unknown),
            "new": _shown(change.new),
            # For the order alone: beyond the largest float all are equal.
            "size": min(float(number.size), _LARGEST) if number else None,
            "size_text": written_out(number.size) if number else None,
        }


def _shown(value: object) -> str | None:
    if isinstance(value, Unknown):
        return not_known(value)
    return None if is_empty(value) else as_text(value)


def _unread_record(row: ReportRow) -> dict[str, object]:
    outcome = row.outcome
    message = outcome.message or " ".join(problem.reason for problem in outcome.problems)
    advice = outcome.advice or " ".join(problem.remedy for problem in outcome.problems)
    return {"row": row.row.number, "outcome": outcome.kind, "message": message, "advice": advice}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database of a comparison, which never changes: another one takes its place."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != COMPARED_FORMAT:
                raise ResultsError(
                    f"{path} is of the format {found}, and this program reads {COMPARED_FORMAT}.",
                    remedy="Read the records once more.",
                    place=Location(file=str(path)),
                )
            yield connection
    except (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError) as error:
        raise _fault(path, "read", error) from error


def _fault(path: Path, refused: str, error: Exception) -> ResultsError:
    why = getattr(error, "strerror", None) or error
    return ResultsError(
        f"What would change cannot be {refused} in {path}: {why}.",
        remedy="See that there is space and the right to write there, then read the records once more.",
        place=Location(file=str(path)),
    )
