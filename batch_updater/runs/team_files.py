"""The files of a team's runs: in its database, fetched into the run's folder of a host when they are needed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from batch_updater.files.writing import private_folder, write_whole
from batch_updater.runs.folder import folder_faults, is_file_name
from batch_updater.runs.team_folders import team_of

if TYPE_CHECKING:
    from batch_updater.runs.postgres import TeamConnection

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


def put_file(connection: TeamConnection, run: int, path: Path) -> bool:
    """Write a file of the run with that id into the database, in place of the one of its name.

    Returns whether it is there: one of more than `MOST_BYTES` is not. Raises OSError, psycopg.Error.
    """
    stat = path.stat()
    if stat.st_size > MOST_BYTES:
        return False
    at = datetime.fromtimestamp(stat.st_mtime).astimezone()
    connection.execute(_PUT, {"run": run, "name": path.name, "content": path.read_bytes(), "at": at})
    return True


def team_files(folder: Path) -> tuple[TeamFile, ...]:
    """Return the files of the run of a folder that a team's database has, the newest last; none without a team.

    What would not be in that folder is no file of the run, whatever the database says.
    """
    team = team_of(folder.parent)
    if team is None:
        return ()
    with team.session() as connection:
        records = connection.execute(_NAMED, {"run": folder.name}).fetchall()
    return tuple(file for file in map(TeamFile._make, records) if is_file_name(file.name))


def file_content(connection: TeamConnection, run: str, name: str) -> bytes | None:
    """Return what a file of a run holds; None if it is not in the database. Raises psycopg.Error."""
    record = connection.execute(_CONTENT, {"run": run, "name": name}).fetchone()
    return None if record is None else cast("bytes", record[0])


def fetched(folder: Path, name: str) -> Path:
    """Return where a file of a run is on this host, if it is anywhere: a team's is fetched into the run's folder.

    Raises ResultsError.
    """
    file = next((one for one in team_files(folder) if one.name == name), None)
    return fetch(folder, file) if file else folder / name


def fetch(folder: Path, file: TeamFile) -> Path:
    """Put a file of a team's run into its folder on this host; returns its path.

    One that is there stays unless the database has a later one of that name; a workbook, whose name tells when it was
    written, always stays: people work in it. Raises ResultsError.
    """
    path, at = folder / file.name, file.written_at.timestamp()
    with folder_faults(folder):
        if path.exists() and (path.suffix in {".xlsx", ".xlsm"} or path.stat().st_mtime >= at - _COARSE_S):
            return path
        team = team_of(folder.parent)
        if team is None:
            raise RuntimeError("a file of a team without a database")
        with team.session() as connection:
            content = file_content(connection, folder.name, file.name)
        if content is None:  # the run was removed just now
            return path
        private_folder(folder)
        path = write_whole(path, lambda draft: draft.write_bytes(content))
        os.utime(path, (at, at))
    return path
