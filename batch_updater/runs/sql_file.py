"""Statements of SQLAlchemy Core as a file of SQL, which the program executes without SQLAlchemy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler


def as_sql_file(module: Mapping[str, object], name: str) -> str:
    """Return every statement among the names of a module, in upper case, as `statements` reads them.

    `name` is the module's file.
    """
    named = {name: value if isinstance(value, tuple) else (value,) for name, value in module.items() if name.isupper()}
    sections = [
        f"-- {name}\n" + "".join(f"{_text_of(clause)};\n" for clause in clauses)
        for name, clauses in named.items()
        if isinstance(clauses[0], ClauseElement)
    ]
    return f"-- Written by `make sql` from {name}.\n\n" + "\n".join(sections)


def _text_of(clause: ClauseElement) -> str:
    """Return a statement whose parameters are named, and whose constants are in it."""
    compiled = cast("SQLCompiler", clause.compile(dialect=sqlite.dialect(paramstyle="named")))
    lines = "\n".join(line.rstrip() for line in compiled.string.strip().splitlines())
    constants = {name: value for name, value in (compiled.params or {}).items() if value is not None}
    return re.sub(r":(\w+)", lambda found: _literal(constants[found[1]]) if found[1] in constants else found[0], lines)


def _literal(constant: object) -> str:
    return str(constant) if isinstance(constant, (int, float)) else "'" + str(constant).replace("'", "''") + "'"
