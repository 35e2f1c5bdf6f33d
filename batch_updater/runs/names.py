"""`names.json` in the folder of results: the valid names that answers of the APIs have listed, with their ids.

The file is the one place where names outlive a run. It may be deleted at any time. One that is damaged counts as empty,
and the next run that learns names replaces it. A team has a table instead, with a record for each list: what two hosts
learn at the same time is kept.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ApiSettings
from batch_updater.config.secrets import fetch_secret
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint, Field
from batch_updater.errors import CredentialsError, ResultsError
from batch_updater.files.reading import read_regular
from batch_updater.files.writing import private_folder, write_whole
from batch_updater.messages import counted, format_day
from batch_updater.records import AllowedList, AllowedValue, Columns, Job, Value
from batch_updater.runs.caller import Caller, CallerDigest
from batch_updater.runs.history import PastRun
from batch_updater.runs.team_folders import team_of
from batch_updater.text.characters import suggestion
from batch_updater.text.typed_values import typed_json

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase

NAMES = "names.json"
_LOCK = ".names-lock"
_LOCKED_FOR_S = 10
"""Another run takes milliseconds to add its names; on a network share more."""
_MOST_BYTES = 50_000_000
_MOST_VALUES = 10_000
"""Different values of a column that are counted: one with more holds no names."""
_VALUES_NAMED = 5
_LOG = logging.getLogger(__name__)
_PUT = """
    INSERT INTO remembered_names (name, content) VALUES (%(name)s, %(content)s)
    ON CONFLICT (name) DO UPDATE SET content = excluded.content"""
_STAMP = "SELECT count(*), sum(xmin::text::bigint) FROM remembered_names"
"""PostgreSQL notes with each record the transaction that has written it."""


class NamesOfField(msgspec.Struct, frozen=True):
    """One list of the file: the names that are valid in a field of an API."""

    api: str
    """Its base URL."""
    endpoint: str
    field: str
    depends_on: Mapping[str, str]
    """Field -> value, such as the language."""
    seen: date
    """The day of the last answer that listed them."""
    names: tuple[AllowedValue, ...]
    caller: CallerDigest
    """Who was told: to another account the same ids may stand for other names."""

    @property
    def key(self) -> tuple[object, ...]:
        """What it is the list of."""
        return self.api, self.endpoint, self.field, tuple(self.depends_on.items())

    @property
    def allowed(self) -> AllowedList:
        """The list as the other parts know it."""
        return AllowedList(self.field, tuple(self.depends_on.items()), self.names, self.seen)


class _Content(msgspec.Struct, frozen=True):
    lists: tuple[NamesOfField, ...] = ()
    schema: int = 1


class RememberedNames(msgspec.Struct, frozen=True):
    """The names that one endpoint of one API is known to have."""

    lists: tuple[NamesOfField, ...] = ()
    fault: str = ""
    """Why the file could not be read, in a sentence; '' if it could, or if there is none."""

    @property
    def allowed(self) -> tuple[AllowedList, ...]:
        """The lists of all callers."""
        return tuple(one.allowed for one in self.lists)

    def told_to(self, caller: Caller) -> tuple[AllowedList, ...]:
        """Return the lists whose ids mean the same to this caller, as far as that can be told."""
        is_same: dict[str, bool] = {}
        for digest in {one.caller.salt: one.caller for one in self.lists}.values():
            try:
                is_same[digest.salt] = not caller.changes_since(digest)
            except CredentialsError:  # of the token, which may not be needed at all
                is_same[digest.salt] = False
        return tuple(one.allowed for one in self.lists if is_same[one.caller.salt])


def remembered_names(folder: Path, endpoint: str, base_url: str | None) -> RememberedNames:
    """Return the names of an endpoint, from the file in a folder of results. Raises ResultsError as `all_names`."""
    known = all_names(folder)
    return RememberedNames(
        tuple(one for one in known.lists if (one.endpoint, one.api) == (endpoint, base_url)), known.fault
    )


def all_names(folder: Path) -> RememberedNames:
    """Return the names of every endpoint, from the file in a folder of results.

    Raises ResultsError if a team's database cannot be used.
    """
    if team := team_of(folder):
        return names_in(team)
    content, fault = _read(folder / NAMES)
    return RememberedNames(content.lists, fault)


def names_stamp(folder: Path) -> object:
    """Return what changes whenever names are remembered. Raises ResultsError as `all_names`."""
    if team := team_of(folder):
        with team.session() as connection:
            return connection.execute(_STAMP).fetchone()
    try:
        return (folder / NAMES).stat().st_mtime
    except OSError:
        return 0.0


def names_for_undo(past: PastRun, api: ApiSettings, environment: Environment) -> tuple[AllowedList, ...]:
    """Return the names with which a run's ids can be told now, if the configuration is still that of its caller."""
    identity = past.facts.identity
    names = remembered_names(past.folder.parent, identity.endpoint, identity.base_url)
    if not names.lists:
        return ()
    try:
        caller = Caller(api, lambda reference, key: fetch_secret(reference, environment, key).reveal())
        return () if caller.changes_since(past.facts.caller) else names.told_to(caller)
    except CredentialsError:
        return ()


def remember_names(
    folder: Path, endpoint: str, base_url: str, caller: CallerDigest, lists: Sequence[AllowedList]
) -> None:
    """Add the lists that answers have taught just now, in place of earlier ones; others stay.

    That they cannot be written is a warning in the log: no row depends on them.
    """
    if not lists:
        return
    today, path = datetime.now(UTC).astimezone().date(), folder / NAMES
    new = [
        NamesOfField(base_url, endpoint, one.field, dict(one.depends_on), today, one.values, caller) for one in lists
    ]
    try:
        if team := team_of(folder):
            put_names(team, new)
            return
        private_folder(folder)
        with FileLock(folder / _LOCK, timeout=_LOCKED_FOR_S, mode=0o600):
            by_key = {one.key: one for one in (*_read(path)[0].lists, *new)}
            text = msgspec.json.format(msgspec.json.encode(_Content(tuple(by_key.values()))), indent=1)
            write_whole(path, lambda draft: draft.write_bytes(text + b"\n"))
            with suppress(OSError):  # Windows keeps a file that is open
                (folder / _LOCK).unlink()
    except (OSError, NotImplementedError, Timeout, UnicodeEncodeError, ResultsError) as error:
        why = f"{path} cannot be written: {getattr(error, 'strerror', None) or error}"
        _LOG.warning("names not remembered", extra={"event": "names not remembered", "why": why})


def _read(path: Path) -> tuple[_Content, str]:
    """Return what the file holds, and why it cannot be read; '' if it can, or if there is none."""
    try:
        return typed_json(read_regular(path, _MOST_BYTES), _Content), ""
    except FileNotFoundError:
        return _Content(), ""
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        why = f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else f"is damaged ({error})"
        return _Content(), f"The file of known names {path} {why}: it counts as empty."


def put_names(team: TeamDatabase, lists: Iterable[NamesOfField]) -> None:
    """Write lists into a team's database, in place of earlier ones; others stay. Raises ResultsError."""
    # In the same order on every host, so that two which write at the same time do not wait for each other.
    records = {json.dumps(one.key): msgspec.json.encode(one).decode() for one in lists}
    with team.session() as connection, connection.transaction():
        for name, content in sorted(records.items()):
            connection.execute(_PUT, {"name": name, "content": content})


def names_in(team: TeamDatabase) -> RememberedNames:
    """Return the names of every endpoint, from a team's database. Raises ResultsError if it cannot be used."""
    with team.session() as connection:
        records = connection.execute("SELECT content FROM remembered_names ORDER BY name").fetchall()
    lists, fault = [], ""
    for (content,) in records:
        try:
            lists.append(typed_json(str(content).encode(), NamesOfField))
        except (msgspec.MsgspecError, ValueError) as error:
            fault = f"Known names in the team's database are damaged ({error}): they are passed over."
    return RememberedNames(tuple(lists), fault)


class NameCount:
    """Counts the names in good rows, to tell those that the API is not known to have."""

    def __init__(self, endpoint: Endpoint, lists: Sequence[AllowedList]) -> None:
        self._allowed = AllowedValues.of(endpoint, lists)
        self._lists = {(one.field, one.depends_on): one for one in lists}
        listed = {one.field for one in lists}
        self._fields = {
            field: field.allowed.depends_on for field in endpoint.fields if field.allowed and field.name in listed
        }
        self._counts: dict[str, Counter[tuple[Value, ...]]] = {}
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self._counts = {field.name: Counter() for field in self._fields}

    def add(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Count the values of some rows. Runs for every row: kept lean."""
        for field, depends_on in self._fields.items():
            counts = self._counts[field.name]
            if len(counts) < _MOST_VALUES:
                counts.update(
                    zip(*([row.get(name) for row in rows] for name in (field.name, *depends_on)), strict=True)
                )

    def remove(self, row: Mapping[str, Value]) -> None:
        """Take back a row that turns out not to be good."""
        for field, values in self.keys(row):
            self._counts[field].subtract([values])

    @property
    def entries(self) -> Iterator[tuple[str, tuple[Value, ...], int]]:
        """Field, its value and those that its names depend on, and how many good rows have them."""
        return ((field, values, count) for field, counts in self._counts.items() for values, count in counts.items())

    def keys(self, row: Mapping[str, Value]) -> Iterator[tuple[str, tuple[Value, ...]]]:
        """Yield field and values of each entry that a row is counted in."""
        for field, depends_on in self._fields.items():
            yield field.name, tuple(row.get(name) for name in (field.name, *depends_on))

    def count(self, field: str, values: tuple[Value, ...]) -> int:
        """Return how many good rows have these values."""
        return self._counts[field][values]

    def restore(self, entries: Iterable[tuple[str, tuple[Value, ...], int]]) -> None:
        """Take over what was counted before, of the fields whose names are known."""
        self.clear()
        for field, values, count in entries:
            if field in self._counts:
                self._counts[field][values] = count

    def notes(self, columns: Columns) -> Iterator[str]:
        """Yield a sentence for each name that is not known, the most common first."""
        unknown = [
            (count, field, Job(0, "", dict(zip((field.name, *depends_on), values, strict=True))))
            for field, depends_on in self._fields.items()
            for values, count in sorted(self._counts[field.name].items(), key=lambda one: (-one[1], str(one[0])))
            if count > 0
        ]
        unknown = [(count, field, job) for count, field, job in unknown if self._allowed.judge(job)]
        for count, field, job in unknown[:_VALUES_NAMED]:
            yield self._note(count, field, job, columns)
        if (more := len(unknown) - _VALUES_NAMED) > 0:
            yield f"{counted(more, 'more name')} in good rows {'is' if more == 1 else 'are'} not known either."

    def _note(self, count: int, field: Field, job: Job, columns: Columns) -> str:
        name, listed = str(job.values[field.name]), self._lists[self._allowed.key_of(field, job)]
        close = suggestion(name, [value.name for value in listed.values]).name
        day = f" on {format_day(listed.seen)}" if listed.seen else ""
        return (
            f"{columns.header_of(field.name)}: {name!r} in {counted(count, 'good row')} is not among the "
            f"{counted(len(listed.values), 'name')} that {self._allowed.endpoint.api_name} listed{day}."
            f"{f' The nearest is {close!r}.' if close else ''} It is sent all the same, since it may have been added."
        )
