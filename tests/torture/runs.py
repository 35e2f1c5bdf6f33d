"""Runs that are killed and hurt, and what must hold of them afterwards."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.end_to_end.program import TOKEN, environment
from tests.json_schema import require_valid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_rows(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def numbered(path: Path, count: int) -> Path:
    """Write a file of so many rows, each of the record with its number, and with a value that tells it."""
    return write_rows(
        path, [{"Id": row, "Type": "Pre", "OpportunityName": f"row {row}"} for row in range(2, count + 2)]
    )


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command; its one JSON object is for `ended`."""
    return subprocess.Popen(
        [sys.executable, "-m", "batch_updater", *arguments, "--json"],
        cwd=folder, env=environment(**variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def ended(process: subprocess.Popen[str], *, seconds: float = 120) -> tuple[int, dict[str, Any], str]:
    """Wait for a command; returns its exit code, its JSON object ({} if there is none) and what it said."""
    out, err = process.communicate(timeout=seconds)
    assert TOKEN not in out + err
    assert "Traceback" not in err, err
    return process.returncode, require_valid(json.loads(out)) if out.strip() else {}, err


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    return ended(start(folder, "run", *arguments, **variables))


def database_of(folder: Path) -> Path | None:
    """Return the database of the newest run in a folder; None if there is none."""
    found = sorted((folder / "runs").glob("*/run.sqlite"))
    return found[-1] if found else None


def confirmed_rows(database: Path | None) -> set[int]:
    """Return the rows whose confirmation a database holds, read from a copy as the next start would read it."""
    if database is None or not database.stat().st_size:
        return set()
    with closing(sqlite3.connect(database)) as reader:
        if not reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return set()
        found = reader.execute("SELECT number FROM rows WHERE outcome IN ('updated', 'unchanged', 'differs')")
        return {number for (number,) in found}


def assert_no_token(folder: Path, token: str = TOKEN) -> None:
    """Fail if a file of a folder holds the token, workbooks unpacked included."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "token":
            assert token.encode() not in path.read_bytes(), path
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    assert not [name for name in archive.namelist() if token.encode() in archive.read(name)], path
