"""Files of a team's runs, which are in its database: any host fetches them into the folder of the run when needed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from batch_updater.files.writing import private_folder, write_whole
from batch_updater.runs.team_folders import team_of

if TYPE_CHECKING:
    from psycopg import Connection

MOST_BYTES: Final = 64 * 1024 * 1024
"""Larger files stay on the host that has written them."""
_COARSE_S = 2
"""File systems keep times to so many seconds at worst (FAT)."""

_PUT = """
    INSERT INTO files (run, name, content, written_at) VALUES (%(run)s, %(name)s, %(content)s, %(at)s)
    ON CONFLICT (run, name) DO UPDATE SET content = excluded.content, written_at = excluded.written_at"""
_NAMED = """
    SELECT files.name, octet_length(files.content), files.written_at FROM files JOIN runs ON runs.id = files.run
    WHERE runs.name = %(run)s ORDER BY files.written_at, files.name"""
_CONTENT = """
    SELECT files.content FROM files JOIN runs ON runs.id = files.run
    WHERE runs.name = %(run)s AND files.name = %(name)s"""


class TeamFile(NamedTuple):
    """A file of a run in the team's database."""

    name: str
    size: int
    """In bytes."""
    written_at: datetime


def put_file(connection: Connection[tuple[object, ...]], run: int, path: Path) -> bool:
    """Write a file of the run with that id into the database, in place of the one of its name.

    Returns whether it is there: one of more than `MOST_BYTES` is not. Raises OSError, psycopg.Error.
    """
    found = path.stat()
    if found.st_size > MOST_BYTES:
        return False
    at = datetime.fromtimestamp(found.st_mtime).astimezone()
    connection.execute(_PUT, {"run": run, "name": path.name, "content": path.read_bytes(), "at": at})
    return True


def team_files(folder: Path) -> tuple[TeamFile, ...]:
    """Return the files of the run of a folder that a team's database has, the newest last; none without a team."""
    team = team_of(folder.parent)
    if team is None:
        return ()
    with team.connected() as connection:
        found = connection.execute(_NAMED, {"run": folder.name}).fetchall()
    return tuple(TeamFile(*record) for record in found)  # type: ignore[arg-type]


def fetched(folder: Path, name: str) -> Path:
    """Return where a file of a run is on this host: in its folder, into which it is fetched from a team's database.

    One that is there stays unless the database has a later one of that name; a workbook, whose name tells when it was
    written, always stays. It need not be anywhere. Raises OSError, psycopg.Error.
    """
    path = folder / name
    known = next((one for one in team_files(folder) if one.name == name), None)
    if known is None or _is_current(path, known):
        return path
    team = team_of(folder.parent)
    if team is None:
        raise RuntimeError("files of a team without a database")
    with team.connected() as connection:
        record = connection.execute(_CONTENT, {"run": folder.name, "name": name}).fetchone()
    if record is None:  # the run was removed just now
        return path
    private_folder(folder)
    content = record[0]
    if not isinstance(content, bytes):
        raise TypeError("the content of a file is no bytes")
    written = write_whole(path, lambda draft: draft.write_bytes(content))
    os.utime(written, (known.written_at.timestamp(), known.written_at.timestamp()))
    return written


def _is_current(path: Path, known: TeamFile) -> bool:
    if not path.exists():
        return False
    is_workbook = path.suffix in {".xlsx", ".xlsm"}
    return is_workbook or path.stat().st_mtime >= known.written_at.timestamp() - _COARSE_S
