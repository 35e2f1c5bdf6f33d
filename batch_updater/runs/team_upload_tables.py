"""The statements of `upload_tables` over the tables of the page as PostgreSQL takes them.

`make sql` writes `team_uploads.sql` from them. The tables themselves are made by the revisions of Alembic.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from typing import Any

from sqlalchemy import BindParameter, Float, Integer
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.functions import Function

from batch_updater.runs import upload_tables
from batch_updater.runs.sql_file import as_file, literal, statements_of

_CREATES, _FIRST_OF_DRAFT = "CREATE_UPLOADS", "EDITS_OF_DRAFT"
"""Names of the statements before and behind those over tables that a team has in PostgreSQL."""
_TYPES = {Integer: "bigint", Float: "double precision"}


class _Compiler(PGCompiler):
    """Compiles what SQLite has and PostgreSQL has not. Parameters have types: that of NULL could not be told."""

    def visit_json_each_func(self, function: Function[Any], **keywords: Any) -> str:
        (array,) = function.clauses
        return f"json_array_elements_text({self.process(array, **keywords)}::json)"

    def render_bind_cast(self, *of: Any) -> str:
        return str(of[-1])  # `visit_bindparam` says of each parameter what it is

    def visit_bindparam(self, bindparam: BindParameter[Any], *arguments: Any, **keywords: Any) -> str:
        if not bindparam.required and bindparam.value is not None:
            return literal(bindparam.value)
        kind = _TYPES.get(type(bindparam.type), "text")
        return f"{super().visit_bindparam(bindparam, *arguments, **keywords)}::{kind}"


class _Dialect(PGDialect):
    statement_compiler = _Compiler


def as_postgres() -> str:
    """Return every statement under its name, as `upload_statements` reads them."""
    statements = statements_of(vars(upload_tables))
    names = takewhile(_FIRST_OF_DRAFT.__ne__, (name for name in statements if name != _CREATES))
    return as_file({name: statements[name] for name in names}, "upload_tables.py", _text_of)


def _text_of(statement: ClauseElement) -> str:
    lines = str(statement.compile(dialect=_Dialect(paramstyle="pyformat"))).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.stdout.write(as_postgres())
