"""The statements of `upload_tables` over the tables of the page as PostgreSQL takes them.

`make sql` writes `team_uploads.sql` from them. The tables themselves are made by the revisions of Alembic.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from typing import Any

from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.functions import Function

from batch_updater.runs import upload_tables
from batch_updater.runs.sql_file import as_file, statements_of
from batch_updater.runs.team_compiler import TypedCompiler, compiled

_CREATES, _FIRST_OF_DRAFT = "CREATE_UPLOADS", "EDITS_OF_DRAFT"
"""Names of the statements before and behind those over tables that a team has in PostgreSQL."""


class _PageCompiler(TypedCompiler):
    """Compiles functions of SQLite that PostgreSQL does not have."""

    def visit_json_each_func(self, function: Function[Any], **keywords: Any) -> str:
        (array,) = function.clauses
        return f"json_array_elements_text({self.process(array, **keywords)}::json)"


class _PageDialect(PGDialect):
    statement_compiler = _PageCompiler


def as_postgres() -> str:
    """Return every statement under its name, as `upload_statements` reads them."""
    statements = statements_of(vars(upload_tables))
    names = takewhile(_FIRST_OF_DRAFT.__ne__, (name for name in statements if name != _CREATES))
    named = {name: statements[name] for name in names}
    return as_file(named, "upload_tables.py", lambda statement: compiled(statement, _PageDialect))


if __name__ == "__main__":
    sys.stdout.write(as_postgres())
