"""The statements over the database of a run, by the names that they have in `tables`.

They are read from `sqlite.sql`; any attribute of this module that is not below is one of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from batch_updater.records import OutcomeKind

FORMAT = 3
"""SQLite's `user_version` of a database with these tables."""
STAGED = ("number", "commit_number", "state", "target", "cells", "fields", "path", "query", "body", "problems")
"""Columns of a row as it is staged, in the order of the values that `in_positions` takes."""
IN_FLIGHT_AT_THE_END = "The run ended while this row was in flight; whether it was applied is unknown."
CONFIRMED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS})
"""Outcomes that a resumed run keeps; every other row is sent again."""


@cache
def _statements() -> dict[str, tuple[str, ...]]:
    sections = Path(__file__).with_name("sqlite.sql").read_text(encoding="utf-8").split("\n-- ")[1:]
    named = (section.split("\n", 1) for section in sections)
    return {name: tuple(body.strip().removesuffix(";").split(";\n")) for name, body in named}


def __getattr__(name: str) -> str:
    """Return a statement by its name."""
    if name.startswith("_") or name not in _statements():
        raise AttributeError(name)
    return _statements()[name][0]


def in_order(name: str) -> tuple[str, ...]:
    """Return statements that are executed one after the other."""
    return _statements()[name]


def in_positions(statement: str) -> str:
    """Return the insertion of a staged row with its values by their positions, as in `STAGED`."""
    into = statement.partition(" VALUES ")[0]
    return f"{into} VALUES ({', '.join('?' * len(STAGED))})"
