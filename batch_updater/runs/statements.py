"""The statements over the database of a run, by the names that they have in `tables`.

They are read from `sqlite.sql`; any attribute of this module that is not below is one of them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

from batch_updater.records import OutcomeKind

FORMAT = 6
"""SQLite's `user_version` of a database with these tables."""
STAGED = ("number", "commit_number", "state", "target", "cells", "fields", "path", "query", "body", "problems")
"""Columns of a row as it is staged; those that hold nothing may be left out."""
EDITED_ROWS = (
    "state", "waits_for", "is_repeated", "target", "cells", "fields", "path", "query", "body", "problems",
)  # fmt: skip
"""Columns of a row that an edit of it, or of another row of its target, may change."""
IN_FLIGHT_AT_THE_END = "The run ended while this row was in flight; whether it was applied is unknown."
ENDED_IN_FLIGHT = "ended while in flight"
"""The cause of such a row, and what is known of the last attempt at it."""
WAITS = "waits for an earlier row of the same record"
"""The cause of a row that is not sent before another one, which needs repair."""
WAITS_FOR_ROW = "Row %d updates the same record and has to be done first."
"""Its message, as Python and SQLite format it."""
CONFIRMED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS})
"""Outcomes that a resumed run keeps; every other row is sent again."""


@cache
def statements_in(file: str) -> dict[str, tuple[str, ...]]:
    """Return the statements in a file that `make sql` writes, by their names."""
    sections = Path(__file__).with_name(file).read_text(encoding="utf-8").split("\n-- ")[1:]
    named = (section.split("\n", 1) for section in sections)
    return {name: tuple(body.strip().removesuffix(";").split(";\n")) for name, body in named}


def __getattr__(name: str) -> str:
    """Return a statement by its name."""
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return in_order(name)[0]
    except KeyError:
        raise AttributeError(name) from None


def in_order(name: str) -> tuple[str, ...]:
    """Return statements that are executed one after the other; those of a team alone as PostgreSQL takes them."""
    return statements_in("sqlite.sql").get(name) or statements_in("postgres.sql")[name]


def with_columns(statement: str, names: Collection[str]) -> str:
    """Return an insertion that takes the values of some columns alone, by their positions."""
    into, columns = statement.partition(" (")[0], ", ".join([f'"{name}"' for name in names])
    return f"{into} ({columns}) VALUES ({', '.join('?' * len(names))})"
