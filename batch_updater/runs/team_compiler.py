"""Statements over the tables of one run as PostgreSQL takes them, where every table holds the rows of all runs.

`run` is in every key there: each statement takes the run as a parameter, and names no row of another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Float,
    FromClause,
    Integer,
    Table,
    Text,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.sql import ClauseElement, Delete, Insert, Select, Update
from sqlalchemy.sql.elements import ColumnClause, ColumnElement
from sqlalchemy.sql.functions import Function
from sqlalchemy.sql.selectable import Alias, TableValuedAlias

from batch_updater.runs.sql_file import BATCH_ROWS, BY_BATCH, EARLIER, REPLACES, literal

_TYPES = {Integer: "bigint", Float: "double precision", Text: "text"}


def postgres_text(statement: ClauseElement) -> str:
    """Return a statement for psycopg: its parameters are named, and its constants are in it."""
    if isinstance(statement, Select) and statement.get_execution_options().get(BY_BATCH):
        statement = _batch_of(statement)
    return compiled(statement, _RunDialect)


def compiled(statement: ClauseElement, dialect: type[PGDialect]) -> str:
    """Return a statement for psycopg in a dialect of PostgreSQL."""
    text = str(statement.compile(dialect=dialect(paramstyle="pyformat"))).strip()
    return "\n".join(line.rstrip() for line in text.splitlines())


def _batch_of(statement: Select[Any]) -> Select[Any]:
    number = next(iter(statement.selected_columns))
    if "after" not in statement.compile().params:
        statement = statement.where(number > bindparam("after"))
    return statement.order_by(None).order_by(number).limit(bindparam(BATCH_ROWS, type_=Integer))


def _type_of(element: ColumnElement[Any]) -> str:
    try:
        return _TYPES[type(element.type)]
    except KeyError:
        raise TypeError(f"{element!r} needs a type for PostgreSQL") from None


def _constant(element: ColumnElement[Any]) -> str:
    return str(cast("BindParameter[str]", element).value)


def _is_of_run(table: FromClause) -> Iterable[ColumnElement[bool]]:
    """Return that the records of a table, or of an alias of one, are the run's."""
    named = table.element if isinstance(table, Alias) else table
    if isinstance(named, Table):
        run: ColumnClause[int] = column("run", Integer)
        run.table = table
        yield run == bindparam("earlier_run" if named.schema == EARLIER else "run", type_=Integer)


class TypedCompiler(PGCompiler):
    """Writes constants into the text, and parameters with their types: PostgreSQL cannot tell that of NULL."""

    def visit_bindparam(self, bindparam: BindParameter[Any], *arguments: Any, **keywords: Any) -> str:
        """Return a constant, or a parameter with its type."""
        if not bindparam.required and bindparam.value is not None:
            return literal(bindparam.value).replace("%", "%%")
        return f"{super().visit_bindparam(bindparam, *arguments, **keywords)}::{_type_of(bindparam)}"

    def render_bind_cast(self, *of: Any) -> str:
        """Return the parameter as it is."""
        return str(of[-1])  # `visit_bindparam` writes the type


class _RunCompiler(TypedCompiler):
    """Compiles functions of SQLite that PostgreSQL does not have, and adds the run."""

    def visit_select(self, select_stmt: Select[Any], *arguments: Any, **keywords: Any) -> str:
        around = self.stack[-1]["correlate_froms"] if self.stack else ()
        tables = select_stmt.get_final_froms()
        own = [table for table in tables if table not in around] or tables  # the rule of SQLAlchemy's auto-correlation
        of_run = (one for table in own for one in _is_of_run(table))
        return super().visit_select(select_stmt.where(*of_run), *arguments, **keywords)

    def visit_update(self, update_stmt: Update, *arguments: Any, **keywords: Any) -> str:
        return super().visit_update(update_stmt.where(*_is_of_run(update_stmt.table)), *arguments, **keywords)

    def visit_delete(self, delete_stmt: Delete, *arguments: Any, **keywords: Any) -> str:
        return super().visit_delete(delete_stmt.where(*_is_of_run(delete_stmt.table)), *arguments, **keywords)

    def visit_insert(self, insert_stmt: Insert, *arguments: Any, **keywords: Any) -> str:
        table = cast("Table", insert_stmt.table)
        text = super().visit_insert(insert_stmt.inline(), *arguments, **keywords)
        names, numbering = text.partition(")")[0], ""
        if (numbered := table.autoincrement_column) is not None and not re.search(rf"\b{numbered.name}\b", names):
            next_number = select(func.coalesce(func.max(numbered), 0) + 1).scalar_subquery()
            numbering = f"{self.process(next_number)}, "
        into = f"run, {numbered.name}, " if numbering and numbered is not None else "run, "
        text = text.replace("(", f"({into}", 1)
        head, found, tail = re.split(r"(VALUES \(|\) SELECT )", text, maxsplit=1)
        text = f"{head}{found}{self.process(bindparam('run', type_=Integer))}, {numbering}{tail}"
        return text + _replacing(table, self) if insert_stmt.get_execution_options().get(REPLACES) else text

    def visit_table(self, table: Table, *arguments: Any, **keywords: Any) -> str:
        text = super().visit_table(table, *arguments, **keywords)
        return text.replace(f"{EARLIER}.rows", f"rows AS {EARLIER}_rows")

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **keywords: Any) -> str:
        if column.is_literal and column.name == "rowid":
            return "position"
        text = super().visit_column(column, *arguments, **keywords).replace(f"{EARLIER}.rows.", f"{EARLIER}_rows.")
        is_element = isinstance(column.table, TableValuedAlias) and type(column.type) in _TYPES
        return f"({text} #>> '{{}}')::{_type_of(column)}" if is_element else text

    def visit_json_each_func(self, function: Function[Any], **keywords: Any) -> str:
        (array,) = function.clauses
        return f"jsonb_array_elements({self.process(array, **keywords)}::jsonb)"

    def visit_json_extract_func(self, function: Function[Any], **keywords: Any) -> str:
        item, path = function.clauses
        at = int(_constant(path).removeprefix("$[").removesuffix("]"))
        return f"({self.process(item, **keywords)} ->> {at})::{_type_of(function)}"

    def visit_printf_func(self, function: Function[Any], **keywords: Any) -> str:
        template, *values = function.clauses
        shown = (self.process(one, **keywords) for one in values)
        return f"format({literal(_constant(template).replace('%d', '%%s'))}, {', '.join(shown)})"

    def visit_max_func(self, function: Function[Any], **keywords: Any) -> str:
        name = "greatest" if len(function.clauses) > 1 else "max"
        return f"{name}{self.function_argspec(function, **keywords)}"

    def visit_like_op_binary(self, *arguments: Any, **keywords: Any) -> str:
        return self.visit_ilike_op_binary(*arguments, **keywords)  # SQLite's takes no notice of case


def _replacing(table: Table, compiler: _RunCompiler) -> str:
    """Return what makes an insertion replace: every column that it does not name has its default then."""
    quoted = compiler.preparer.quote
    key = ", ".join(["run", *(quoted(one.name) for one in table.primary_key)])
    new = [f"{quoted(one.name)} = excluded.{quoted(one.name)}" for one in table.columns if not one.primary_key]
    # In SQLite a record that replaces another one is the last.
    moved = ["position = DEFAULT"] if table.name == "names" else []
    return f" ON CONFLICT ({key}) DO UPDATE SET {', '.join([*new, *moved])}"


class _RunDialect(PGDialect):
    statement_compiler = _RunCompiler
