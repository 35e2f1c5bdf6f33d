"""Past runs, as the journals in their folders tell of them: which one to resume, which one to look at again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.errors import InputError, Place, ResultsError, UsageError
from batch_updater.journal import CONFIRMED, DamagedJournalError, journal_reader
from batch_updater.lock import held_since
from batch_updater.model import Invocation, OutcomeKind, Stop, StopReason
from batch_updater.snapshot import sha256_of
from batch_updater.summary import RUN_AGAIN, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from batch_updater.journal import Part

JOURNAL = "journal.sqlite"
_CUT_OFF = Stop(
    StopReason.INTERRUPTED,
    "The run was cut off: it was killed, or the machine went down.",
    "Start the same again: it goes on with the rows that are not done.",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two runs the same: then the later one goes on with the earlier."""

    content: str
    """SHA-256 of the input."""
    sheet: str | None
    mapping: Mapping[str, str]
    """Field -> where its values stand: `B: Opportunity Type`."""
    constants: Mapping[str, str]
    reading: Mapping[str, str | None]
    """The other settings that decide what a cell means."""
    description: str
    """SHA-256 of the endpoint's description, and which operation of it."""
    base_url: str | None
    duplicates: str = "reject"
    """What is done with rows of the same record: it decides which of them are sent."""

    def has_same_rows(self, other: Identity) -> bool:
        """Whether the same rows go to the same API, be they read in another way."""
        return (self.content, self.sheet, self.base_url) == (other.content, other.sheet, other.base_url)

    def changed_since(self, earlier: Identity) -> str:
        """Return what differs, in words; '' if nothing does."""
        changes = [words for key, words in _PARTS_OF_IDENTITY.items() if asdict(self)[key] != asdict(earlier)[key]]
        return " and ".join([", ".join(changes[:-1]), changes[-1]] if len(changes) > 1 else changes)


_PARTS_OF_IDENTITY = {
    "content": "the content of the file",
    "sheet": "the sheet",
    "mapping": "which column is which field",
    "constants": "the constants",
    "reading": "how cells are read (the section input of the configuration)",
    "description": "the description of the API",
    "base_url": "the address of the API",
    "duplicates": "what is done with rows of the same record (input.duplicates)",
}


@dataclass(frozen=True, slots=True)
class PastRun:
    """What is known of a run from its folder."""

    folder: Path
    facts: Mapping[str, object]
    """As they were when it began: see `pipeline`."""
    parts: tuple[Part, ...]
    counts: Mapping[OutcomeKind, int]
    """Every outcome, those with no row too."""
    confirmed: int
    """Rows that a resumed run keeps."""

    @property
    def identity(self) -> Identity:
        """What it did."""
        return Identity(**self.facts["identity"])  # type: ignore[arg-type]  # written from an Identity

    @property
    def rows(self) -> int:
        """How many data rows the input has."""
        return int(str(self.facts["rows"]))

    @property
    def input(self) -> str:
        """What people call the input."""
        return str(self.facts["input"])

    @property
    def is_takeback(self) -> bool:
        """Whether it was a workbook of `undo` that it ran."""
        return bool(self.facts.get("is_takeback"))

    def takes_back(self, other: PastRun) -> bool:
        """Whether it ran the workbook that takes the other run back, as far as that lay in that run's folder."""
        path = self.facts["input_path"]
        if not self.is_takeback or path is None or self.identity.base_url != other.identity.base_url:
            return False
        return Path(str(path)).resolve().parent == other.folder.resolve()

    @property
    def started_at(self) -> datetime:
        """When it was first started."""
        return self.parts[0].started_at

    @property
    def last_started_at(self) -> datetime:
        """When its last part was started: the last time that somebody wanted it to go on."""
        return self.parts[-1].started_at

    @property
    def ended_at(self) -> datetime | None:
        """When its last part ended; None if that was killed or is still going on."""
        return self.parts[-1].ended_at

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
    def stop(self) -> Stop | None:
        """Why its last part ended before every row had its turn; for one that has no end, as far as is known."""
        last = self.parts[-1]
        if not self.is_ended:
            return None if self.is_going_on else _CUT_OFF
        if last.stopped is None:
            return None
        return Stop(StopReason(last.stopped), last.stop_message or "", last.stop_advice or "")

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Name and value of every setting that it began with."""
        return self.facts["settings"]  # type: ignore[return-value]  # written as such

    @property
    def invocation(self) -> Invocation | None:
        """The command line that started it; None if none did."""
        started = self.facts.get("invocation")
        return Invocation(**started) if isinstance(started, dict) else None

    @property
    def inbox(self) -> str | None:
        """The inbox from which the unattended job took its file; None if it did not."""
        inbox = self.facts.get("inbox")
        return None if inbox is None else str(inbox)

    @property
    def is_going_on(self) -> bool:
        """Whether a process is working on it at this moment, as far as this machine can tell."""
        if self.is_ended:
            return False
        since = held_since(self.folder.parent, self.identity.base_url or "")
        # Whoever holds the lock now may be another run, begun after this one was cut off.
        return since is not None and since <= self.parts[-1].started_at

    def damaged(self, why: str) -> InputError:
        """Return the error that says that the journal cannot be relied on."""
        return DamagedRun(self.folder, why).error

    @property
    def is_ended(self) -> bool:
        """Whether its last part came to its end; if not, it was killed or is still going on."""
        return self.ended_at is not None

    @property
    def summary(self) -> Summary:
        """What became of its rows, without causes."""
        return Summary(self.rows, self.counts, ())

    @property
    def is_unfinished(self) -> bool:
        """Whether running the same again goes on with it: rows are not done, or the last workbook is missing."""
        return bool(self.summary.total(RUN_AGAIN)) or self.parts[-1].results is None


@dataclass(frozen=True, slots=True)
class DamagedRun:
    """A run whose journal cannot be read."""

    folder: Path
    why: str
    is_withheld: bool = False
    """Whether it is the system that does not let it be read: the journal itself may be whole."""

    @property
    def what(self) -> str:
        """What is wrong with its journal, in words."""
        return f"cannot be read: {self.why}" if self.is_withheld else f"is damaged: {self.why}"

    @property
    def error(self) -> InputError:
        """What is said to whoever asks for that run."""
        return InputError(
            f"What became of the rows of the run {self.folder} cannot be told: its journal {self.what.rstrip('.')}.",
            remedy="Ask for it as the user that ran it."
            if self.is_withheld
            else "The workbooks in that folder are all there is.",
            place=Place(file=str(self.folder / JOURNAL)),
        )


def read_run(folder: Path) -> PastRun | DamagedRun | None:
    """Read the journal of a run; None if the folder holds none, or one of a run that never began."""
    path = folder / JOURNAL
    try:
        if not path.stat().st_size:
            return None
        with journal_reader(path) as journal:
            facts = journal.facts()
            if not facts:
                return None
            counts = journal.counts()
            confirmed = sum(counts.get(kind, 0) for kind in CONFIRMED)
            past = PastRun(folder, facts, journal.parts(), _all_counts(facts, counts), confirmed)
            _ = past.identity, past.rows, past.started_at  # whatever is missing shows here
    except FileNotFoundError:
        return None
    except OSError as error:
        return DamagedRun(folder, error.strerror or str(error), is_withheld=True)
    except (DamagedJournalError, ValueError, KeyError, IndexError, TypeError) as error:
        return DamagedRun(folder, str(error))
    return past


def _all_counts(facts: Mapping[str, object], known: Mapping[OutcomeKind, int]) -> dict[OutcomeKind, int]:
    """Add the rows that the journal does not know: those with problems, and those that had no turn."""
    counts = {kind: known.get(kind, 0) for kind in OutcomeKind}
    invalid, rows = int(str(facts["invalid"])), int(str(facts["rows"]))
    counts[OutcomeKind.NOT_SENT] += rows - invalid - sum(counts.values())
    counts[OutcomeKind.INVALID] += invalid
    return counts


def past_runs(parent: Path) -> Iterator[PastRun | DamagedRun]:
    """Yield every run under a folder of results, the newest first (by the names of their folders).

    Raises ResultsError if that folder cannot be read.
    """
    try:
        folders = sorted((entry for entry in parent.iterdir() if entry.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ResultsError(
            f"The folder of results {parent} cannot be read: {error.strerror or error}.",
            remedy="Allow reading it, or name another folder under results.folder in the configuration.",
            place=Place(file=str(parent)),
        ) from error
    for folder in folders:
        found = read_run(folder)
        if found is not None:
            yield found


def find_run(parent: Path, run: str) -> PastRun:
    """Return the run that a person names by its folder or the folder's name.

    Raises UsageError if there is none, InputError if its journal is damaged.
    """
    for folder in (parent / run, Path(run)):
        if folder.is_file():
            continue
        found = read_run(folder.resolve())
        if isinstance(found, DamagedRun):
            raise found.error
        if found is not None:
            return found
    what = (
        f"{run} is a file, not the folder of a run." if Path(run).is_file() else f"There is no run {run} in {parent}."
    )
    raise UsageError(what, remedy="`batch-updater runs` lists the runs.")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What past runs mean for one that is about to start."""

    resumed: PastRun | None = None
    """The unfinished run that is gone on with."""
    finished: PastRun | None = None
    """The same run, already finished: it is done anew."""
    note: str | None = None
    """A sentence about an unfinished run that is not gone on with."""


def earlier_run(parent: Path, identity: Identity, input_path: str | None, stem: str, *, restart: bool) -> Earlier:
    """Find out what past runs mean for a new one: the newest of the same kind counts.

    Raises ResultsError if the folder cannot be read, InputError if a journal that may be of the same run is damaged:
    nobody knows then which rows are done.
    """
    note: str | None = None
    is_anything_taken_back = False
    for past, takeback in with_takebacks(_newest_first(past_runs(parent))):
        if isinstance(past, DamagedRun):
            if not restart and _is_of(past.folder, stem) and _may_be_of(past.folder, identity.content):
                raise _damaged(past)
            continue
        if past.identity == identity:
            if not past.is_unfinished:
                return Earlier(finished=past, note=note)
            if restart:
                return Earlier(note=f"The unfinished run {past.folder.name} is left as it is, as --restart asked.")
            if takeback:
                return Earlier(note=f"The unfinished run {past.folder.name} is not resumed: it was taken back since.")
            _require_whole(past)
            return Earlier(resumed=past, note=note or (_PERHAPS_TAKEN_BACK if is_anything_taken_back else None))
        if past.is_takeback and past.confirmed and past.identity.base_url == identity.base_url:
            is_anything_taken_back = True
        same_file = input_path is not None and past.facts["input_path"] == input_path
        is_related = same_file or past.identity.content == identity.content
        if note is None and is_related and past.is_unfinished:
            changed = identity.changed_since(past.identity)
            note = f"The unfinished run {past.folder.name} is not resumed, because this has changed since: {changed}."
    return Earlier(note=note)


def applied_before(parent: Path, identity: Identity) -> PastRun | None:
    """Return the newest run that has applied rows of the same content to the same API, whatever its settings were."""
    for past in _newest_first(past_runs(parent)):
        if isinstance(past, PastRun) and past.confirmed and past.identity.has_same_rows(identity):
            return past
    return None


def with_takebacks(
    runs: Iterable[PastRun | DamagedRun],
) -> Iterator[tuple[PastRun | DamagedRun, PastRun | None]]:
    """Yield runs, the newest first, each with the later one that took back some of it, as far as that is known."""
    takebacks: list[PastRun] = []
    for past in runs:
        if isinstance(past, DamagedRun):
            yield past, None
            continue
        yield past, next((one for one in takebacks if one.takes_back(past)), None)
        if past.is_takeback and past.confirmed:
            takebacks.append(past)


def taken_back_by(parent: Path, run: PastRun) -> PastRun | None:
    """Return the run that took back some of another, as far as that is known."""
    return next((by for past, by in with_takebacks(past_runs(parent)) if past.folder == run.folder), None)


_PERHAPS_TAKEN_BACK = (
    "A run has been taken back since. If it was this one, the rows that count as done are not: add --restart."
)


def _newest_first(runs: Iterator[PastRun | DamagedRun]) -> list[PastRun | DamagedRun]:
    """Sort by when a run began: two of the same second have names that do not tell."""

    def began(run: PastRun | DamagedRun) -> tuple[bool, float, str]:
        if isinstance(run, DamagedRun):
            return True, 0.0, run.folder.name
        return False, run.started_at.timestamp(), run.folder.name

    return sorted(runs, key=began, reverse=True)


def _is_of(folder: Path, stem: str) -> bool:
    """Whether the run's folder is named after such an input: `YYYYMMDD-HHMMSS-<stem>` or with `-2` behind."""
    rest = folder.name[16:]
    return rest == stem or (rest.startswith(f"{stem}-") and rest[len(stem) + 1 :].isdigit())


def _may_be_of(folder: Path, content: str) -> bool:
    """Whether a run may have worked on that content, by its copy of the input; without one nobody knows."""
    try:
        digests = {sha256_of(copy) for copy in folder.glob("input.*")}
    except OSError:
        return True
    return not digests or content in digests


def _require_whole(past: PastRun) -> None:
    try:
        with journal_reader(past.folder / JOURNAL) as journal:
            journal.require_whole()
    except DamagedJournalError as error:
        raise _damaged(DamagedRun(past.folder, str(error))) from error


def _damaged(run: DamagedRun) -> InputError:
    return InputError(
        f"Which rows are done cannot be told: the journal of the earlier run {run.folder} {run.what.rstrip('.')}.",
        remedy="Look at the workbooks in that folder. To send every row again all the same, move that folder away, "
        "or add --restart.",
        place=Place(file=str(run.folder / JOURNAL)),
    )
