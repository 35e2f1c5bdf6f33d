"""Statements of SQLAlchemy Core as a file of SQL, which the program executes without SQLAlchemy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

REPLACES = "replaces"
"""Execution option of an insertion that takes the place of the record with the same key."""
BY_BATCH = "by_batch"
"""Execution option of a selection of any length whose first column is the number of a row and which is in that order.

PostgreSQL gives it to a program as a whole, so it is read in batches: each begins behind the last row of the one
before.
"""
BATCH_ROWS = "batch_rows"
"""Parameter of such a statement."""
EARLIER = "earlier"
"""Schema of the tables of another run; its parameter is `earlier_run`."""


def as_sql_file(module: Mapping[str, object], name: str) -> str:
    """Return every statement among the names of a module, in upper case, as `statements` reads them.

    `name` is the module's file.
    """
    return as_file(statements_of(module), name, sqlite_text)


def statements_of(module: Mapping[str, object]) -> dict[str, tuple[ClauseElement, ...]]:
    """Return the statements among the names of a module, in upper case."""
    named = {name: value if isinstance(value, tuple) else (value,) for name, value in module.items() if name.isupper()}
    return {name: clauses for name, clauses in named.items() if isinstance(clauses[0], ClauseElement)}


def as_file(named: Mapping[str, Sequence[ClauseElement]], name: str, as_text: Callable[[ClauseElement], str]) -> str:
    """Return statements by their names as the content of a file that `make sql` writes from the module `name`."""
    sections = [
        f"-- {name}\n" + "".join(f"{as_text(clause)};\n" for clause in clauses) for name, clauses in named.items()
    ]
    return f"-- Written by `make sql` from {name}.\n\n" + "\n".join(sections)


def sqlite_text(clause: ClauseElement) -> str:
    """Return a statement for SQLite: its parameters are named, and its constants are in it."""
    compiled = cast("SQLCompiler", clause.compile(dialect=sqlite.dialect(paramstyle="named")))
    lines = "\n".join(line.rstrip() for line in compiled.string.strip().splitlines())
    constants = {name: value for name, value in (compiled.params or {}).items() if value is not None}
    return re.sub(r":(\w+)", lambda found: literal(constants[found[1]]) if found[1] in constants else found[0], lines)


def literal(constant: object) -> str:
    """Return a constant as it is written in SQL."""
    return str(constant) if isinstance(constant, (int, float)) else "'" + str(constant).replace("'", "''") + "'"
