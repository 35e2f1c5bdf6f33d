"""Copies the runs, names and layouts of one machine into the database of a team that it joins."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path, PurePath

import msgspec

from batch_updater.errors import BatchUpdaterError, ResultsError
from batch_updater.runs.history import DamagedRun, PastRun, read_run, run_folders
from batch_updater.runs.layouts import layout_names, layout_text
from batch_updater.runs.lock import origin_of
from batch_updater.runs.names import NAMES, all_names, names_in, put_names
from batch_updater.runs.retention import OURS
from batch_updater.runs.store import IS_OPEN, Store
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_files import MOST_BYTES, put_file
from batch_updater.runs.team_rows import copy_run

_NEW_RUN = """
    INSERT INTO runs (name, origin, state, part, submitted_at) VALUES (%(name)s, %(origin)s, 'ended', %(part)s, %(at)s)
    ON CONFLICT (name) DO NOTHING RETURNING id"""
_CALLER_OF = "SELECT run.value FROM run JOIN runs ON runs.id = run.run WHERE runs.name = %s AND run.name = 'caller'"
_NEW_LAYOUT = "INSERT INTO layouts (name, content) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING RETURNING name"


class ImportState(StrEnum):
    """What became of something that was to be copied."""

    IMPORTED = "imported"
    KNOWN = "known"
    """The database has it already."""
    REFUSED = "refused"


class Imported(msgspec.Struct, frozen=True):
    """A run, a layout or the known names, and what became of it."""

    kind: str
    """`run`, `layout` or `names`."""
    name: str
    state: ImportState
    why: str = ""
    """Of one that was refused; of an imported one, what of it stays in its folder."""


def import_runs(team: TeamDatabase, results: Path, layouts: Path) -> Iterator[Imported]:
    """Copy every run of a folder of results into a team's database, the oldest first, then its names and the layouts.

    The folders must not be joined to a team. They stay as they are, and a run that the database has is not touched, so
    that the same may be done again. Raises ResultsError if a folder or the database cannot be used.
    """
    for folder in reversed(run_folders(results)):
        past = read_run(folder)
        if isinstance(past, DamagedRun):
            yield Imported("run", folder.name, ImportState.REFUSED, f"Its database {past.what.rstrip('.')}.")
        elif past is not None:
            yield _import_run(team, past)
    yield from _import_names(team, results)
    for name in layout_names(layouts):
        yield _import_layout(team, layouts, name)


def _import_run(team: TeamDatabase, past: PastRun) -> Imported:
    import psycopg

    name = past.folder.name
    try:
        with past.locked("team import") if past.is_unfinished else nullcontext(), past.store() as store:
            staying = _copied(team, past, store)
    except (BatchUpdaterError, sqlite3.Error, OSError) as error:
        if isinstance(error, ResultsError) and isinstance(error.__cause__, psycopg.OperationalError):
            raise  # the next run would fare no better
        return Imported("run", name, ImportState.REFUSED, str(error))
    except UnicodeEncodeError:
        return Imported("run", name, ImportState.REFUSED, "It holds characters that PostgreSQL cannot keep.")
    if staying is None:
        return _known_run(team, past)
    return Imported("run", name, ImportState.IMPORTED, staying)


def _copied(team: TeamDatabase, past: PastRun, store: Store) -> str | None:
    """Copy a run with its files in one transaction.

    Returns which files stay in its folder, as a sentence, '' if none; None if there is a run of that name. Raises
    ResultsError, OSError.
    """
    facts, files = past.facts, [path for path in sorted(past.folder.iterdir()) if _is_ours(path)]
    named = {key: PurePath(run).name for key, run in (("undoes", facts.undoes), ("repeats", facts.repeats)) if run}
    with team.session() as connection, connection.transaction():
        new = {
            "name": past.folder.name,
            "origin": origin_of(past.identity.base_url or ""),
            "part": len(past.parts),
            "at": past.parts[-1].started_at,
        }
        record = connection.execute(_NEW_RUN, new).fetchone()
        if record is None:
            return None
        copy_run(store, connection, record[0], {**named, IS_OPEN: False})
        large = [path.name for path in files if not put_file(connection, record[0], path)]
    if not large:
        return ""
    return f"{', '.join(large)} stays in its folder: more than {MOST_BYTES // 1024**2} MB are not kept in the database."


def _is_ours(path: Path) -> bool:
    return OURS.fullmatch(path.name) is not None and path.is_file() and not path.is_symlink()


def _known_run(team: TeamDatabase, past: PastRun) -> Imported:
    """Return that the database has a run, or one of another machine under its name: the salt of each is its own."""
    with team.session() as connection:
        record = connection.execute(_CALLER_OF, (past.folder.name,)).fetchone()
    if record is not None and past.facts.caller.salt in str(record[0]):
        return Imported("run", past.folder.name, ImportState.KNOWN)
    why = "The team has another run of that name. Give the folder another name, such as with -2 behind it."
    return Imported("run", past.folder.name, ImportState.REFUSED, why)


def _import_names(team: TeamDatabase, results: Path) -> Iterator[Imported]:
    """Copy the lists of names that were seen later than those of the team, if there are any."""
    local = all_names(results)
    if local.fault:
        yield Imported("names", NAMES, ImportState.REFUSED, local.fault)
        return
    last_seen = {one.key: one.seen for one in names_in(team).lists}
    newer = [one for one in local.lists if one.key not in last_seen or one.seen > last_seen[one.key]]
    put_names(team, newer)
    if local.lists:
        yield Imported("names", NAMES, ImportState.IMPORTED if newer else ImportState.KNOWN)


def _import_layout(team: TeamDatabase, layouts: Path, name: str) -> Imported:
    content = layout_text(layouts, name)
    with team.session() as connection:
        if connection.execute(_NEW_LAYOUT, (name, content)).fetchone():
            return Imported("layout", name, ImportState.IMPORTED)
        record = connection.execute("SELECT content FROM layouts WHERE name = %s", (name,)).fetchone()
    if record is None or record[0] == content:
        return Imported("layout", name, ImportState.KNOWN)
    why = "The team has another layout of that name. Rename one of the two."
    return Imported("layout", name, ImportState.REFUSED, why)
