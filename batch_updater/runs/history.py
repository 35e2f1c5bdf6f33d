"""Past runs, as read from the databases in their folders: which one to resume, which one to report or undo."""

from __future__ import annotations

import errno
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Annotated

import msgspec

from batch_updater.config.environment import ON_MACHINE, RUN_BY, SENT_BY, machine_name
from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.stored import decode_endpoint
from batch_updater.errors import InputError, Location, LockedError, ResultsError, UsageError
from batch_updater.files.writing import private_folder
from batch_updater.messages import counted, format_time
from batch_updater.records import (
    Invocation,
    Origin,
    OutcomeKind,
    Setting,
    StagedInput,
    Stop,
    StopReason,
)
from batch_updater.reporter.summary import NEEDS_NOTHING, RUN_AGAIN, Summary
from batch_updater.runs.caller import Caller, CallerDigest
from batch_updater.runs.folder import folder_faults, is_file_name, safe_stem, sha256_of
from batch_updater.runs.guards import Override
from batch_updater.runs.lock import holder_of, locked, origin_of
from batch_updater.runs.statements import CONFIRMED
from batch_updater.runs.store import (
    DamagedStoreError,
    OtherFormatError,
    Part,
    Store,
    WithheldStoreError,
    converted,
    facts_in,
    is_left_alone,
    opened_store,
    parts_in,
)
from batch_updater.runs.team_files import fetch, fetched, team_files
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_runs import TeamRun, TeamRunState, read_team_runs, team_run_names

DATABASE = "run.sqlite"
_LOG = "run.log"
_NAME = re.compile(r"(\d{8}-\d{6})-", re.ASCII)
_NAMED = "%Y%m%d-%H%M%S"
_MOST_ROWS = 2**31
"""More than any file has."""
_OLD = timedelta(days=1)
"""A run that began longer ago is not resumed without a question: others may have changed the records since."""
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of a path at which nothing can be."""
_RELATED = 5
"""Runs that are held against the rows of an input: each costs a look at its database."""
_FEW_OF_TEAM, _MANY_OF_TEAM = 10, 500
"""So many runs of a team are read at once: few at first, since the newest may be all that is asked for."""
_PERHAPS_UNDONE = "A run has been undone since. If it was this one, the rows that count as done are not: add --restart."
_CUT_OFF = Stop(
    StopReason.INTERRUPTED,
    "The run was cut off: it was killed, or the machine went down.",
    "Start the same again: it resumes with the rows that are not done.",
)


class Identity(msgspec.Struct, frozen=True):
    """What makes two runs of the same caller the same: the later one then resumes the earlier."""

    content: str
    """SHA-256 of the input."""
    sheet: str | None
    mapping: Mapping[str, str]
    """Field -> where its values stand: `B: Opportunity Type`."""
    constants: Mapping[str, str]
    reading: Mapping[str, str | None]
    """The other settings that decide what a cell means."""
    description: str
    """SHA-256 of the endpoint as it is stored: what of its description the program uses."""
    base_url: str | None
    duplicates: str = "reject"
    """What is done with rows of the same record: it decides which of them are sent."""
    endpoint: str = ""
    """Name of the endpoint, which stays where its description is corrected."""
    visible_only: bool = False
    """Whether rows that the sheet does not show are left out."""
    edits: str = ""
    """SHA-256 of the cells that people have changed on the page, and of the rows that are withheld; '' if neither."""


_PARTS_OF_IDENTITY = {
    "content": "the content of the file",
    "sheet": "the sheet",
    "mapping": "which column is which field",
    "constants": "the constants",
    "reading": "how cells are read (the section input of the configuration)",
    "description": "the description of the API",
    "base_url": "the address of the API",
    "duplicates": "what is done with rows of the same record (input.duplicates)",
    "visible_only": "whether hidden rows are left out (--visible-only)",
    "edits": "the edits made on the page",
}
_PARTS_OF_API = ("base_url",)


class Candidate(msgspec.Struct, frozen=True):
    """A run that is about to begin, to be held against past ones.

    Every method raises CredentialsError if a secret that it needs cannot be fetched.
    """

    identity: Identity
    caller: Caller

    def is_same_run(self, past: PastRun) -> bool:
        """Whether it would do the same, called by the same caller."""
        return self._is_same(past, _PARTS_OF_IDENTITY)

    def has_same_rows(self, past: PastRun) -> bool:
        """Whether the same rows go to the same API by the same caller, be they read in another way."""
        return self._is_same(past, ("content", "sheet", "base_url", "endpoint"))

    def is_same_api(self, past: PastRun) -> bool:
        """Whether the same caller calls the same API."""
        return self._is_same(past, _PARTS_OF_API)

    def has_same_caller(self, past: PastRun) -> bool:
        """Whether the API is called with the same headers and for the same account."""
        return self._is_same(past, ())

    def changed_since(self, past: PastRun) -> str:
        """Return what differs, in words; '' if nothing does."""
        return self._changed(past, _PARTS_OF_IDENTITY)

    def api_changed_since(self, past: PastRun) -> str:
        """Return what differs of the API and of how it is called, in words."""
        return self._changed(past, _PARTS_OF_API)

    def _differing(self, past: PastRun, parts: Iterable[str]) -> list[str]:
        return [part for part in parts if getattr(self.identity, part) != getattr(past.facts.identity, part)]

    def _is_same(self, past: PastRun, parts: Iterable[str]) -> bool:
        return not self._differing(past, parts) and not self.caller.changes_since(past.facts.caller)

    def _changed(self, past: PastRun, parts: Iterable[str]) -> str:
        words = [_PARTS_OF_IDENTITY[part] for part in self._differing(past, parts)]
        *first, last = [*words, *self.caller.changes_since(past.facts.caller)] or [""]
        return f"{', '.join(first)} and {last}" if first else last


_Count = Annotated[int, msgspec.Meta(ge=0)]


class Facts(msgspec.Struct, frozen=True):
    """The facts about a run that its database holds from its beginning."""

    identity: Identity
    caller: CallerDigest
    input: str
    """What people call the input."""
    input_path: str | None
    """Where it lay; None if it was no file."""
    input_file: Annotated[str, msgspec.Meta(pattern=r"^input(\.[^/\\]*)?$")]
    """Name of its copy in the run's folder."""
    stem: str
    """What the names of its workbooks begin with: as `safe_stem` gives it."""
    endpoint: str
    """As `encode_endpoint` gives it, with a field for each column of an open part."""
    reading: InputSettings
    settings: tuple[Setting, ...]
    staged_by: str
    """The version of the program that has judged the rows."""
    rows: _Count
    """Data rows of the input."""
    reads_first: bool
    """Whether its last part reads each record before its update."""
    is_undo: bool
    """Whether the input is a workbook of `undo`."""
    undoes: str | None
    """The folder of the run that it undoes; None if it undoes none, or none of the same caller."""
    invocation: Invocation | None
    """The command line that started it; None if none did."""
    inbox: str | None
    """The inbox from which the unattended job took its file; None if it did not."""
    repeats: str | None = None
    """The folder of an earlier run that had applied the same rows; None if none had."""
    origin: Origin | None = None
    """Where its rows come from, if they have come back in a results workbook."""
    notes: tuple[str, ...] = ()
    """What a person should have known beforehand."""
    overridden: Override | None = None
    """The guards that the page does not judge again where it goes on: all its rows have kept them, or they were
    overridden; None as long as neither is so."""
    closed_at: datetime | None = None
    """When a person closed it; None if no one did."""

    def as_json(self) -> dict[str, object]:
        """Return the facts as the database holds them."""
        told: dict[str, object] = msgspec.to_builtins(self, enc_hook=lambda reading: reading.model_dump(mode="json"))
        return told


class PastRun(msgspec.Struct, frozen=True):
    """What is known of a run from its folder."""

    folder: Path
    facts: Facts
    parts: tuple[Part, ...]
    counts: Mapping[OutcomeKind, int]
    """Every outcome, those with no row too."""
    confirmed: int
    """Rows that a resumed run keeps."""
    team_state: TeamRunState | None = None
    """What a team's workers do with it; None of a run that one process sends."""

    @property
    def identity(self) -> Identity:
        """What it did."""
        return self.facts.identity

    @property
    def endpoint(self) -> Endpoint:
        """The call that it made. Raises InputError if that is damaged."""
        try:
            return decode_endpoint(self.facts.endpoint)
        except ValueError as error:
            raise DamagedRun(self.folder, "its table run holds no endpoint").error from error

    @property
    def rows(self) -> int:
        """How many data rows the input has."""
        return self.facts.rows

    @property
    def started_at(self) -> datetime:
        """When it was first started."""
        return self.parts[0].started_at

    @property
    def ended_at(self) -> datetime | None:
        """When its last part ended; None if that was killed or is still going on."""
        return self.parts[-1].ended_at

    @property
    def is_cut_off(self) -> bool:
        """Whether the last part that sent anything has no end, so that it is unknown how long it took."""
        sending = self.parts[:-1] if self.facts.closed_at else self.parts
        return bool(sending) and sending[-1].ended_at is None

    @property
    def requests(self) -> int:
        """Of all its parts, as far as they came to their end; so `retries`."""
        return sum(part.requests for part in self.parts)

    @property
    def retries(self) -> int:
        """Requests that were repeats."""
        return sum(part.retries for part in self.parts)

    @property
    def elapsed_s(self) -> float:
        """How long its parts took together."""
        return sum(part.elapsed_s for part in self.parts)

    @property
    def sent_by(self) -> str:
        """Who sent it: a person of the page, else the user of the machine; '' if no one is named."""
        named = {setting.name: setting.value for setting in self.facts.settings}
        return named.get(SENT_BY, named.get(RUN_BY, ""))

    @property
    def machine(self) -> str:
        """On which machine it was begun; '' if that is not known."""
        return next((setting.value for setting in self.facts.settings if setting.name == ON_MACHINE), "")

    @property
    def is_of_page(self) -> bool:
        """Whether it was begun on the page."""
        return any(setting.name == SENT_BY for setting in self.facts.settings)

    @property
    def first_round(self) -> str:
        """Name of the folder of the run whose rows have come back in its input; its own where none have."""
        return (self.facts.origin.run if self.facts.origin else "") or self.folder.name

    @property
    def resumption_note(self) -> str | None:
        """Return that it was resumed, and how often; None if it was not."""
        # Closing it is a part, too, which sends nothing.
        return resumption_note(len(self.parts) - bool(self.facts.closed_at))

    @property
    def stop(self) -> Stop | None:
        """Why its last part ended before every row had its turn, unless it was closed since.

        For one that has no end, as far as is known.
        """
        last = self.parts[-1]
        if not self.ended_at:
            return None if self.is_going_on else _CUT_OFF
        reason = last.stopped and StopReason(last.stopped)
        return Stop(reason, last.stop_message or "", last.stop_advice or "") if reason else None

    @property
    def is_queued(self) -> bool:
        """Whether it waits for its turn with a team's workers."""
        return self.team_state is TeamRunState.QUEUED

    @property
    def is_going_on(self) -> bool:
        """Whether a process is working on it at this moment, as far as this machine can tell, or a team will."""
        if self.team_state is not None:
            return self.team_state is not TeamRunState.ENDED
        if self.ended_at:
            return False
        holder = holder_of(self.folder.parent, self.identity.base_url or "")
        # The lock may be held by another run, begun after this one was cut off.
        return holder is not None and holder.since <= self.parts[-1].started_at

    @contextmanager
    def store(self, *, looks_at_all: bool = True) -> Iterator[Store]:
        """Open its database for reading. Raises InputError if a record that is read is damaged.

        `looks_at_all`: every record is checked beforehand, which takes some 10 us a row.
        """
        try:
            with opened_store(self.folder / DATABASE) as store:
                if looks_at_all:
                    store.require_whole()
                yield store
        except DamagedStoreError as error:
            raise DamagedRun.of(self.folder, error).error from error

    def staged(self, store: Store) -> StagedInput:
        """Return what is known of its input. Raises DamagedStoreError."""
        staged = converted(store.fact("staged"), StagedInput, "its table run")
        columns, width = staged.columns, len(staged.columns.headers)
        numbers = (
            columns.first_column, columns.header_row, staged.stated_width or 0, staged.hidden_rows.count,
            staged.good, staged.waiting, staged.invalid, *staged.sent.values(), *staged.cleared.values(),
        )  # fmt: skip
        is_plausible = all(0 <= number <= _MOST_ROWS for number in numbers) and staged.rows == self.rows
        if not is_plausible or not all(0 <= position < width for position in columns.of_field.values()):
            raise DamagedStoreError("its table run holds figures that no input has")
        return staged

    def require_whole(self) -> None:
        """Check every record of its database, as before it is resumed. Raises InputError."""
        try:
            with opened_store(self.folder / DATABASE) as store:
                store.require_whole()
        except DamagedStoreError as error:
            raise self.damaged(error) from error

    def damaged(self, error: DamagedStoreError) -> InputError:
        """Return the error for a run that cannot be resumed."""
        return DamagedRun.of(self.folder, error).resume_error

    @property
    def summary(self) -> Summary:
        """Its outcomes, without causes."""
        return Summary(self.rows, self.counts, ())

    @property
    def workbook(self) -> Path | None:
        """Its last results workbook, in its folder if that was moved with it; None if it is not there.

        Where that is gone, one that `report` has written counts. A team's comes from its database. Raises
        ResultsError if it cannot.
        """
        written = self.parts[-1].results
        places = [Path(written), self.folder / PurePath(written).name] if written else []
        if written and self.team_state is not None:  # the path is one of the host that has written it
            places.insert(0, fetched(self.folder, PurePath(written).name))
        places += sorted(self.folder.glob("*-results-*.xlsx"), reverse=True)
        return next((place.resolve() for place in places if place.is_file()), None)

    @property
    def is_under_way(self) -> bool:
        """Whether a team's workers are sending it, or will: it is followed then, and not resumed."""
        return self.team_state not in {None, TeamRunState.ENDED}

    @contextmanager
    def locked(self, file: str) -> Iterator[None]:
        """Keep others from working on it; `file` is what they are told. Raises LockedError while it is going on."""
        if self.team_state is None:
            with locked(self.folder.parent, self.identity.base_url or "", file):
                yield
            return
        if self.is_going_on:
            raise LockedError(
                f"The run {self.folder.name} is going on.",
                remedy=f"Wait until it has ended: `batch-updater runs --follow {self.folder.name}`.",
            )
        yield

    def make_folder(self) -> None:
        """Make its folder where a team has sent it on other hosts alone. Raises ResultsError."""
        if self.team_state is not None:
            with folder_faults(self.folder):
                private_folder(self.folder)

    @property
    def is_unfinished(self) -> bool:
        """Whether running the same again resumes it: rows are not done, or the last workbook is missing.

        A run that was closed counts as finished.
        """
        if self.facts.closed_at:
            return False
        return bool(self.summary.total(RUN_AGAIN)) or self.parts[-1].results is None


def resumption_note(parts: int) -> str | None:
    """Return how often a run of so many parts was resumed; None if it was not."""
    if parts < 2:
        return None
    times = "once" if parts == 2 else f"{parts - 1:,} times"
    return f"The run was resumed {times}; requests and time are those of all its parts."


class DamagedRun(msgspec.Struct, frozen=True):
    """A run whose database cannot be read."""

    folder: Path
    why: str
    is_withheld: bool = False
    """Whether it is the system that does not let it be read: the database itself may be whole."""
    is_of_other_version: bool = False
    """Whether another version of the program has written it, which can read it."""

    @classmethod
    def of(cls, folder: Path, error: DamagedStoreError) -> DamagedRun:
        """Return the run of a folder whose database could not be read because of that."""
        is_withheld, is_other = isinstance(error, WithheldStoreError), isinstance(error, OtherFormatError)
        return cls(folder, str(error), is_withheld=is_withheld, is_of_other_version=is_other)

    @property
    def how(self) -> str:
        """How its database is, in words, without why."""
        if self.is_of_other_version:
            return "is of another version of the program"
        return "cannot be read" if self.is_withheld else "is damaged"

    @property
    def what(self) -> str:
        """What is wrong with its database, in words."""
        return f"{self.how}: {self.why}"

    @property
    def error(self) -> InputError:
        """The error of a command that needs that run."""
        remedy = "The workbooks in that folder are all there is."
        if team_of(self.folder.parent):
            return InputError(
                f"The outcomes of the run {self.folder.name} cannot be read: its part of the team's database "
                f"{self.what.rstrip('.')}.",
                remedy="Its workbooks are all there is.",
            )
        if self.is_withheld:
            remedy = "Ask for it as the user that ran it."
        elif self.is_of_other_version:
            remedy = "Ask the version that has sent it, or look at the workbooks in that folder."
        return InputError(
            f"The outcomes of the run {self.folder} cannot be read: its database {DATABASE} {self.what.rstrip('.')}.",
            remedy=remedy,
            place=Location(file=str(self.folder / DATABASE)),
        )

    @property
    def resume_error(self) -> InputError:
        """The error of a run that may have to resume it."""
        if team_of(self.folder.parent):
            return InputError(
                f"Which rows are done cannot be told: of the earlier run {self.folder.name}, its part of the team's "
                f"database {self.what.rstrip('.')}.",
                remedy="Look at its workbooks. To send every row again all the same, add --restart.",
            )
        again = "To send every row again all the same, move that folder away, or add --restart."
        remedy = f"Look at the workbooks in that folder. {again}"
        if self.is_withheld:
            remedy = "See that this user can read and write there, and that the disk has room; then run again."
        elif self.is_of_other_version:
            remedy = f"Let the version that began it finish it, or look at the workbooks in that folder. {again}"
        return InputError(
            f"Which rows are done cannot be told: the database of the earlier run {self.folder} "
            f"{self.what.rstrip('.')}.",
            remedy=remedy,
            place=Location(file=str(self.folder / DATABASE)),
        )

    def may_be_of(self, content: str, stem: str) -> bool:
        """Whether it may have worked on that content: its copy of the input tells; without one, its name."""
        for file in team_files(self.folder):
            if PurePath(file.name).stem == "input":
                fetch(self.folder, file)
        try:
            digests = {sha256_of(copy) for copy in self.folder.iterdir() if copy.stem == "input" and copy.is_file()}
        except OSError:
            digests = set()
        return content in digests if digests else _is_of(self.folder, stem)

    @property
    def started_s(self) -> float:
        """The end of the second in which it began by its folder's name, in seconds since 1970; without one, infinity.

        So it comes before others of that second, and one without a date in its name before all.
        """
        named = _NAME.match(self.folder.name)
        try:
            return datetime.strptime(named[1], _NAMED).replace(tzinfo=UTC).timestamp() + 1 if named else math.inf
        except ValueError:  # digits that are no date
            return math.inf


def read_run(folder: Path) -> PastRun | DamagedRun | None:
    """Read the database of a run; None if the folder holds none, and nothing that only a run leaves.

    A team's run need have no folder on this host. Raises ResultsError if the team's database cannot be used.
    """
    if team_of(folder.parent):
        return next(runs_in([folder]), None)
    try:
        return _read(folder)
    except DamagedStoreError as error:
        return DamagedRun.of(folder, error)
    except OSError as error:
        if error.errno not in _NOWHERE:
            return DamagedRun(folder, error.strerror or str(error), is_withheld=True)
    is_named = _NAME.match(folder.name) is not None
    try:
        is_lost = is_left_alone(folder / DATABASE) or (is_named and (folder / _LOG).exists())
    except (OSError, DamagedStoreError):
        is_lost = is_named
    return DamagedRun(folder, "it is gone, and other files of the run are there") if is_lost else None


def _read(folder: Path) -> PastRun:
    with opened_store(folder / DATABASE) as store:
        past = _checked(folder, store.facts(), store.parts(), store.counts)
        store.require_all_commits()
    return past


def _read_of_team(folder: Path, found: TeamRun) -> PastRun:
    def counts(unsent: OutcomeKind) -> Mapping[OutcomeKind, int]:
        with opened_store(folder / DATABASE) as store:
            return store.counts(unsent)

    # Before a worker begins with it, a run has no part.
    queued = Part(found.submitted_at, None, 0, 0, 0.0, None, None, None, None)
    parts = parts_in(found.parts) or (() if found.state is TeamRunState.ENDED else (queued,))
    return msgspec.structs.replace(_checked(folder, facts_in(found.facts), parts, counts), team_state=found.state)


def _checked(
    folder: Path,
    facts: dict[str, object],
    parts: tuple[Part, ...],
    count: Callable[[OutcomeKind], Mapping[OutcomeKind, int]],
) -> PastRun:
    """Return what a database says of a run; `count` goes over its rows. Raises DamagedStoreError."""
    known = converted(facts, Facts, "its table run", lambda section, value: section.model_validate(value))
    if safe_stem(f"{known.stem}.x") != known.stem:  # it becomes part of a path
        raise DamagedStoreError("its table run holds a name that is never given")
    if not parts:
        raise DamagedStoreError("it does not say when the run was started")
    # Of a part that has ended the counts are noted: going over all rows of all runs would take long.
    counts = {**dict.fromkeys(OutcomeKind, 0), **(parts[-1].counts or count(OutcomeKind.NOT_SENT))}
    if sum(counts.values()) != known.rows or counts[OutcomeKind.PLANNED]:
        raise DamagedStoreError("its rows are not those of its input")
    try:
        origin_of(known.identity.base_url or "")
    except ValueError as error:
        raise DamagedStoreError(f"the address of its API is none: {error}") from error
    return PastRun(folder, known, parts, counts, sum(counts[kind] for kind in CONFIRMED))


def past_runs(parent: Path) -> Iterator[PastRun | DamagedRun]:
    """Yield every run under a folder of results, the newest first (by the names of their folders).

    Raises ResultsError if that folder cannot be read.
    """
    return runs_in(run_folders(parent))


def run_folders(parent: Path) -> list[Path]:
    """Return the folders in a folder of results, the newest runs first; those of all hosts of a team.

    Raises ResultsError.
    """
    if team := team_of(parent):
        return [parent / name for name in team_run_names(team)]
    try:
        return sorted((entry for entry in parent.iterdir() if entry.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ResultsError(
            f"The folder of results {parent} cannot be read: {error.strerror or error}.",
            remedy="Allow reading it, or name another folder under results.folder in the configuration.",
            place=Location(file=str(parent)),
        ) from error


def runs_in(folders: Sequence[Path]) -> Iterator[PastRun | DamagedRun]:
    """Yield the runs of folders that lie together; those of a team are read many at a time. Raises ResultsError."""
    team = team_of(folders[0].parent) if folders else None
    if team is None:
        yield from (run for run in map(read_run, folders) if run is not None)
        return
    at, most = 0, _FEW_OF_TEAM
    while some := folders[at : at + most]:
        by_name = {folder.name: folder for folder in some}
        for found in read_team_runs(team, by_name):
            folder = by_name[found.name]
            try:
                yield _read_of_team(folder, found)
            except DamagedStoreError as error:
                yield DamagedRun.of(folder, error)
        at, most = at + most, _MANY_OF_TEAM


def newest_run(parent: Path) -> PastRun:
    """Return the newest run. Raises UsageError if there is none, InputError if its database is damaged."""
    runs = past_runs(parent)
    newest = next(runs, None)
    if newest is None:
        where, key = _where_runs_are(parent)
        raise UsageError(f"There are no runs in {where}.", remedy=f"Check {key}, or name a run's folder.")
    second = newest.folder.name[:15]
    newest = newest_first([newest, *takewhile(lambda run: run.folder.name[:15] == second, runs)])[0]
    if isinstance(newest, DamagedRun):
        raise newest.error
    return newest


def newest_to_fix(parent: Path) -> PastRun:
    """Return the newest run whose last workbook is there and has rows on its sheet To fix.

    Of the rounds of a file the last one counts, wherever its workbook was run from: it holds the rows that are left of
    the others. A run that was undone or closed needs no repair, nor does one whose file a later run has applied: its
    workbook would send old values again. Of a team's runs only those of this machine count, for its person alone knows
    what they have repaired. Raises UsageError if there is none, ResultsError if the folder cannot be read.
    """
    runs = list(with_undos(newest_first(past_runs(parent))))
    first_rounds = {past.folder.name: past for past, _ in runs if isinstance(past, PastRun)}
    later: set[str] = set()
    applied: set[tuple[str | None, ...]] = set()
    gone: PastRun | None = None
    for past, undone in runs:
        if isinstance(past, DamagedRun) or (past.parts[-1].results is None and not past.facts.closed_at):
            continue
        files = _files_of(first_rounds.get(past.first_round, past))
        is_superseded = past.first_round in later or not files.isdisjoint(applied)
        is_left = undone is None and not past.facts.closed_at and not is_superseded
        is_ours = past.team_state is None or past.machine in {"", machine_name()}
        if is_left and is_ours and past.rows > past.summary.total(NEEDS_NOTHING):
            if past.workbook is not None:
                return past
            gone = gone or past
        later.add(past.first_round)
        if past.confirmed and past.first_round == past.folder.name:
            applied |= files
    if gone:
        raise UsageError(
            f"The run {gone.folder.name} has rows to fix, but its results workbook is not there.",
            remedy=f"Name the workbook if you have moved it, or write it: `batch-updater report {gone.folder.name}`.",
        )
    listed = "`batch-updater runs` says how each run ended. " if later else ""
    where, key = _where_runs_are(parent)
    of_machine = " of this machine" if team_of(parent) else ""
    raise UsageError(
        f"No results workbook{of_machine} in {where} has rows to fix.", remedy=f"{listed}Name a file, or check {key}."
    )


def _files_of(past: PastRun) -> set[tuple[str | None, ...]]:
    """Return by what another run is of the same file and for the same API: its content, or its path on one machine."""
    known = past.identity
    api = (known.endpoint, known.base_url, known.sheet)
    files: set[tuple[str | None, ...]] = {(*api, known.content)}
    if past.facts.input_path:
        files.add((*api, past.machine, past.facts.input_path))
    return files


def _where_runs_are(parent: Path) -> tuple[str, str]:
    """Return where the runs of a folder of results are, for a sentence, and the key of the configuration."""
    return ("the team's database", "team.database") if team_of(parent) else (str(parent), "results.folder")


def find_run(parent: Path, run: str) -> PastRun:
    """Return the run that a person names by its folder or the folder's name.

    Raises UsageError if there is none, InputError if its database is damaged.
    """
    for folder in (parent / run, parent / unicodedata.normalize("NFC", run), Path(run)):
        try:
            found = read_run(folder.resolve())
        except RuntimeError:  # links in a circle
            continue
        if isinstance(found, DamagedRun):
            raise found.error
        if found is not None:
            return found
    is_file = os.path.isfile(run)  # noqa: PTH113  (to which any name may be given)
    where, _ = _where_runs_are(parent)
    remedy = "`batch-updater runs` lists the runs."
    if team_of(parent) and (parent / run / DATABASE).exists():
        remedy = "It was sent before this host joined the team: `batch-updater team import` copies it."
    what = f"{run} is a file, not the folder of a run." if is_file else f"There is no run {run} in {where}."
    raise UsageError(what, remedy=remedy)


def run_named(parent: Path, name: str) -> PastRun | DamagedRun | None:
    """Return the run whose folder has that name and nothing else; None if there is none.

    No path gets at anything that is not a folder of results, no matter who made it up.
    """
    return read_run(parent / name) if is_file_name(name) and not name.startswith(".") else None


class Earlier(msgspec.Struct, frozen=True):
    """What past runs mean for one that is about to start."""

    resumed: PastRun | None = None
    """The unfinished run that is resumed."""
    finished: PastRun | None = None
    """The same run, already finished: every row is sent again."""
    note: str | None = None
    """A sentence about an unfinished run that is not resumed."""
    related: tuple[PastRun, ...] = ()
    """Runs to the same API that may have applied the same rows, as `related_runs` gives them."""

    @property
    def is_old(self) -> bool:
        """Whether the resumed run began more than a day ago, or in the future, as by a wrong clock."""
        return self.resumed is not None and abs(datetime.now(UTC) - self.resumed.started_at) > _OLD

    @property
    def key(self) -> str:
        """Which run it is, and whether it goes on: a text to be compared with another; '' if there is none."""
        if self.resumed:
            return f"resumed {self.resumed.folder.name}"
        return f"finished {self.finished.folder.name}" if self.finished else ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What past runs mean for the new one, in words."""
        said = []
        if past := self.resumed:
            done = f"{past.confirmed:,} of {counted(past.rows, 'row')} are done"
            said.append(f"Resuming the run of {format_time(past.started_at)}: {done}.")
            if self.is_old:
                said.append("It started more than a day ago: changes made since could be overwritten.")
        if past := self.finished:
            closed = ", then closed" if past.facts.closed_at else ""
            done = f"{past.summary[OutcomeKind.UPDATED]:,} of {counted(past.rows, 'row')} updated{closed}"
            said.append(f"This was applied before ({format_time(past.started_at)}): {done}.")
        return (*said, self.note) if self.note else tuple(said)


def earlier_run(
    parent: Path,
    candidate: Candidate,
    input_path: str | None,
    stem: str,
    runs: Iterable[PastRun | DamagedRun] | None = None,
    *,
    restart: bool,
) -> Earlier:
    """Find out what past runs mean for a new one: the newest of the same kind counts.

    `runs`: all of the folder `parent`, if they were read already.
    Raises ResultsError if the folder cannot be read, InputError if a database that may be of the same run is damaged:
    it does not tell then which rows are done; CredentialsError as `Candidate` does.
    """
    note: str | None = None
    undos: list[PastRun] = []
    every = list(with_undos(newest_first(past_runs(parent) if runs is None else runs)))
    for past, undo in every:
        if isinstance(past, DamagedRun):
            if not restart and past.may_be_of(candidate.identity.content, stem):
                raise past.resume_error
            continue
        if candidate.is_same_run(past):
            if not past.is_unfinished:
                return Earlier(finished=past, note=note)
            if restart:
                note = f"The unfinished run {past.folder.name} is left as it is, as --restart asked."
                break
            if undo:
                return Earlier(note=f"The unfinished run {past.folder.name} is not resumed: it was undone since.")
            if not past.is_under_way:
                past.require_whole()
            is_anything_undone = any(candidate.is_same_api(one) for one in undos)
            return Earlier(resumed=past, note=note or (_PERHAPS_UNDONE if is_anything_undone else None))
        if past.facts.is_undo and past.confirmed:
            undos.append(past)
        same_file = input_path is not None and past.facts.input_path == input_path
        is_related = same_file or past.identity.content == candidate.identity.content
        if note is None and is_related and past.is_unfinished:
            changed = candidate.changed_since(past)
            note = f"The unfinished run {past.folder.name} is not resumed, because this has changed since: {changed}."
    note = note or _not_imported(parent, {run.folder.name for run, _ in every})
    related = related_runs(every, candidate.identity.endpoint, candidate.identity.base_url, input_path)
    return Earlier(note=note, related=tuple(run for run in related if candidate.has_same_caller(run)))


def _not_imported(parent: Path, known: Set[str]) -> str | None:
    """Return that runs of this machine are none of its team's, which does not know then what they have sent."""
    if team_of(parent) is None:
        return None
    left = [path.parent.name for path in parent.glob(f"*/{DATABASE}") if path.parent.name not in known]
    if not left:
        return None
    are, them = ("is", "it") if len(left) == 1 else ("are", "them")
    return (
        f"{counted(len(left), 'run')} of this machine {are} not in the team's database, so that rows may be sent "
        f"again: `batch-updater team import` copies {them}."
    )


def related_runs(
    runs: Iterable[tuple[PastRun | DamagedRun, PastRun | None]],
    endpoint: str,
    base_url: str | None,
    input_path: str | None,
) -> tuple[PastRun, ...]:
    """Return the few runs, with all their rounds, that most likely have applied rows of an input; the newest first.

    `runs` come as `with_undos` gives them. Those of a file of the same name come before others; undone rows count as
    not done.
    """
    applied = [
        past
        for past, undo in runs
        if isinstance(past, PastRun) and past.confirmed and undo is None and not past.facts.is_undo
        and (past.identity.endpoint, past.identity.base_url) == (endpoint, base_url)
    ]  # fmt: skip
    name = None if input_path is None else PurePath(input_path).name
    namesakes = [past for past in applied if name and PurePath(past.facts.input_path or "").name == name]
    likely = {past.first_round for past in (*namesakes[:_RELATED], *applied)[:_RELATED]}
    return tuple(past for past in applied if past.first_round in likely)


def related_by_name(
    parent: Path, endpoint: str, base_url: str | None, input_path: str | None, stem: str
) -> tuple[PastRun, ...]:
    """Return the same where nothing is sent, opening few databases: those that the names of folders suggest.

    These are the newest runs, those of inputs of that name, and those that may have undone one of them; no run if
    the folder of results cannot be read.
    """
    try:
        folders = run_folders(parent)
    except ResultsError:
        return ()
    likely = set(folders[:_RELATED])
    for name in (stem, "undo"):
        likely.update([folder for folder in folders if _is_of(folder, name)][:_RELATED])
    runs = runs_in(sorted(likely, reverse=True))
    return related_runs(with_undos(runs), endpoint, base_url, input_path)


def applied_before(parent: Path, candidate: Candidate) -> PastRun | None:
    """Return the newest run that has applied rows of the same content to the same API, whatever its settings were.

    Raises CredentialsError as `Candidate` does.
    """
    for past in newest_first(past_runs(parent)):
        if isinstance(past, PastRun) and past.confirmed and candidate.has_same_rows(past):
            return past
    return None


def reference_to(folder: Path) -> str:
    """Return how the facts of one run name another: by its folder, and in a team, where that differs, by its name."""
    return folder.name if team_of(folder.parent) else str(folder)


def with_undos(
    runs: Iterable[PastRun | DamagedRun],
) -> Iterator[tuple[PastRun | DamagedRun, PastRun | None]]:
    """Yield runs, the newest first, each with the later one that undid some of it, as far as that is known."""
    undos: list[PastRun] = []
    for past in runs:
        if isinstance(past, DamagedRun):
            yield past, None
            continue
        folder = reference_to(past.folder.resolve())
        yield past, next((one for one in undos if one.facts.undoes == folder), None)
        if past.facts.is_undo and past.confirmed:
            undos.append(past)


def undone_by(parent: Path, run: PastRun) -> PastRun | None:
    """Return the run that undid some of another, as far as that is known."""
    return next((by for past, by in with_undos(past_runs(parent)) if past.folder == run.folder), None)


def newest_first(runs: Iterable[PastRun | DamagedRun]) -> list[PastRun | DamagedRun]:
    """Return runs by when they began: two of the same second have names that do not tell."""

    def began(run: PastRun | DamagedRun) -> tuple[float, str]:
        return (run.started_s if isinstance(run, DamagedRun) else run.started_at.timestamp()), run.folder.name

    return sorted(runs, key=began, reverse=True)


def _is_of(folder: Path, stem: str) -> bool:
    """Whether the run's folder is named after such an input: `YYYYMMDD-HHMMSS-<stem>` or with `-2` behind."""
    rest = unicodedata.normalize("NFC", folder.name[16:])  # HFS+ keeps names in pieces
    return rest == stem or (rest.startswith(f"{stem}-") and rest[len(stem) + 1 :].isdigit())
