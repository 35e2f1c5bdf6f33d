"""Files of a team's runs, which are in its database so that any host can show them: input copy, workbook, page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from batch_updater.files.writing import private_folder, write_whole

if TYPE_CHECKING:  # imported only where there is a team
    import psycopg

    from batch_updater.runs.team_database import TeamDatabase

    Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]

MOST_MB = 64
MOST_BYTES = MOST_MB << 20
"""The largest file that is put into the database: one is read and written as a whole."""


def put_file(connection: Connection, run: int, path: Path, name: str | None = None) -> bool:
    """Put a file of a run into the database, in place of one of that name; `name`: another than it has on the disk.

    Returns whether it is there now: one of more than `MOST_BYTES` is kept out. Raises OSError, psycopg.Error.
    """
    if path.stat().st_size > MOST_BYTES:
        return False
    put_content(connection, run, name or path.name, path.read_bytes())
    return True


def put_content(connection: Connection, run: int, name: str, content: bytes) -> None:
    """Put what a file of a run holds into the database, in place of one of that name. Raises psycopg.Error."""
    connection.execute(
        "INSERT INTO files (run, name, content) VALUES (%s, %s, %s) ON CONFLICT (run, name)"
        " DO UPDATE SET content = excluded.content, written_at = clock_timestamp()",
        [run, name, content],
    )


def get_file(team: TeamDatabase, run: str, name: str) -> bytes | None:
    """Return what a file of the run of that name holds; None if it is not in the database. Raises psycopg.Error."""
    with team.connected() as connection:
        record = connection.execute(
            "SELECT content FROM files JOIN runs ON runs.id = files.run WHERE runs.name = %s AND files.name = %s",
            [run, name],
        ).fetchone()
    return None if record is None else cast("bytes", record[0])


def fetch_into(team: TeamDatabase, folder: Path, names: Iterable[str]) -> list[Path]:
    """Put files of a run into its folder on this host, those that are in the database; returns where they are.

    Raises OSError, psycopg.Error.
    """
    fetched = []
    for name in names:
        if (content := get_file(team, folder.name, name)) is not None:
            private_folder(folder)
            write_content(folder / name, content)
            fetched.append(folder / name)
    return fetched


def write_content(path: Path, content: bytes) -> None:
    """Write a file as a whole: it is there with all that it holds, or not at all. Raises OSError."""
    write_whole(path, lambda draft: draft.write_bytes(content))
