"""The statements over the databases of the page, by the names that they have in `upload_tables`.

They are read from `uploads.sql`; any attribute of this module that is not below is one of them.
"""

from __future__ import annotations

from functools import cache

from batch_updater.runs.statements import statements_in

UPLOADS_FORMAT = 1
"""SQLite's `user_version` of `web.sqlite` with these tables."""
COMPARED_FORMAT = 1
"""The same of `compared.sqlite`."""
_FILE = "uploads.sql"
_TEAM_FILE = "team_uploads.sql"


def __getattr__(name: str) -> str:
    """Return a statement by its name."""
    if name.startswith("_") or name not in statements_in(_FILE):
        raise AttributeError(name)
    return statements_in(_FILE)[name][0]


def in_order(name: str) -> tuple[str, ...]:
    """Return statements that are executed one after the other."""
    return statements_in(_FILE)[name]


@cache
def for_postgres(statement: str) -> str:
    """Return one of the statements over `web.sqlite` as PostgreSQL takes it."""
    name = next(name for name, texts in statements_in(_FILE).items() if texts[0] == statement)
    return statements_in(_TEAM_FILE)[name][0]
