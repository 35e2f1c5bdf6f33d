"""The database of a run: its tables and every statement over them, in SQLAlchemy Core.

The program executes what is in `sqlite.sql`, which `make sql` writes from this module: SQLAlchemy takes longer to start
than a small run to send its rows.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Delete,
    Float,
    Index,
    Insert,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from batch_updater.runs.sql_file import BY_BATCH, EARLIER, REPLACES, as_file, as_sql_file, statements_of
from batch_updater.runs.statements import (
    CONFIRMED,
    EDITED_ROWS,
    ENDED_IN_FLIGHT,
    FORMAT,
    IN_FLIGHT_AT_THE_END,
    STAGED,
    WAITS,
    WAITS_FOR_ROW,
)
from batch_updater.runs.team_compiler import postgres_text

_metadata = MetaData()

facts = Table(
    "run", _metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)  # fmt: skip
parts = Table(
    "parts", _metadata,  # one for each time that the run was started or resumed
    Column("number", Integer, primary_key=True),
    Column("commit_number", Integer),  # of the commit that wrote it last, as in the tables below
    Column("started_at", Float, nullable=False),  # seconds since 1970-01-01 UTC, as all times here
    Column("ended_at", Float),  # NULL: still going on, or killed
    Column("requests", Integer), Column("retries", Integer), Column("elapsed_s", Float),
    Column("stopped", Text), Column("stop_message", Text), Column("stop_advice", Text),
    Column("results", Text),  # the workbook; NULL: not written
    Column("counts", Text),  # JSON: how many rows have each outcome, at its end
)  # fmt: skip
rows = Table(
    "rows", _metadata,
    Column("number", Integer, primary_key=True),  # as Excel shows it
    Column("commit_number", Integer, nullable=False),
    Column("state", Text, nullable=False),  # invalid, ready, in_flight, finished
    Column("waits_for", Integer),  # an earlier row of the same target that is invalid: this one is not sent
    Column("place", Integer),  # of a row that was added on To fix: the number of the row that it is below
    Column("is_repeated", Integer, nullable=False, server_default="0"),  # whether another row has the same target
    Column("outcome", Text), Column("maybe_applied", Integer, nullable=False, server_default="0"),
    Column("earlier_attempts", Integer, nullable=False, server_default="0"),  # requests in earlier parts of the run
    Column("attempts", Integer, nullable=False, server_default="0"),  # in this part
    Column("status", Integer), Column("sent_at", Float), Column("seconds", Float),
    Column("target", Text),
    Column("cells", Text, nullable=False),  # as they stood in the file; see encoding.py
    Column("fields", Text),  # the values that are sent, by field
    Column("path", Text), Column("query", Text), Column("body", Text),  # the request; NULL where none will be made
    Column("problems", Text),
    Column("message", Text), Column("advice", Text), Column("cause", Text),
    Column("before", Text), Column("reported", Text),  # JSON: the record before the update, and what came back
    Column("block", Integer, system=True),  # in PostgreSQL alone: the part of the run that a worker sends
)  # fmt: skip
attempts = Table(
    "attempts", _metadata,  # of rows that took more than one request, or did not succeed
    Column("row", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1 in each part
    Column("commit_number", Integer, nullable=False),
    Column("method", Text), Column("sent_at", Float), Column("wait_s", Float), Column("seconds", Float),
    Column("status", Integer),  # NULL: no answer came
    Column("why", Text, nullable=False), Column("message", Text), Column("answer", Text),
)  # fmt: skip
names = Table(
    "names", _metadata,  # valid names learned from answers
    Column("field", Text, primary_key=True),
    Column("depends_on", Text, primary_key=True),
    Column("commit_number", Integer, nullable=False),
    Column("list", Text, nullable=False),
)  # fmt: skip
expected = Table(
    "expected", _metadata,  # what the records must still hold, where the run undoes another one
    Column("target", Text), Column("field", Text), Column("before_shown", Text), Column("left_shown", Text),
    Column("before", Text), Column("left", Text),
)  # fmt: skip

edits = Table(
    "edits", _metadata,  # cells that people have changed on the page
    Column("number", Integer, primary_key=True),  # from 1, by time
    Column("batch", Integer, nullable=False),  # the number of the first edit that was made together with it
    Column("row", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # of the column, from 0
    Column("width", Integer, nullable=False),  # how many cells the row has in the file
    Column("old", Text, nullable=False),  # the cell before; see encoding.py
    Column("new", Text, nullable=False),
    Column("author", Text, nullable=False), Column("at", Float, nullable=False),
    Column("undone_by", Text), Column("undone_at", Float),  # NULL: it is not undone
)  # fmt: skip
refusals = Table(
    "refusals", _metadata,  # rows that needed someone in the run that is repaired
    Column("row", Integer, primary_key=True),
    Column("problems", Text, nullable=False),
    Column("by_cell", Integer, nullable=False),  # whether each problem stays until its own cell is changed
    Column("accepted_by", Text), Column("accepted_at", Float),  # who said that it is sent as it is
)  # fmt: skip
_of_drafts = MetaData()
draft = Table(
    "draft", _of_drafts,  # what is needed to judge its rows again without the file
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)  # fmt: skip
grid = Table(
    "grid", _of_drafts,  # which rows are in which list of rows that need someone; see grid.py
    Column("key", Integer, primary_key=True),
    Column("row", Integer, primary_key=True),
    sqlite_with_rowid=False,
)  # fmt: skip
lists = Table(
    "lists", _of_drafts,  # how many rows are in a list
    Column("key", Integer, primary_key=True),
    Column("cause", Text),  # that all of its rows have; NULL: it is no list of a cause
    Column("rows", Integer, nullable=False),
)  # fmt: skip
named = Table(
    "named", _of_drafts,  # how many good rows have which names
    Column("field", Text, primary_key=True),
    Column("content", Text, primary_key=True),  # its value, and those that its names depend on; see encoding.py
    Column("rows", Integer, nullable=False),
)  # fmt: skip

_r = rows.c
_most = bindparam("most", type_=Integer)
_listed = select(
    func.json_each(bindparam("numbers", type_=Text)).table_valued(column("value", Integer), name="listed").c.value
)
"""The elements of an array of JSON."""
_last_part = select(func.max(parts.c.number)).scalar_subquery()


def _replacing(table: Table) -> Insert:
    """Return an insertion that takes the place of the record with the same key."""
    return insert(table).prefix_with("OR REPLACE", dialect="sqlite").execution_options(**{REPLACES: True})


def _is(column: ColumnElement[Any], *values: str) -> ColumnElement[bool]:
    return or_(*(column == value for value in values))


_CONFIRMED = sorted(kind.value for kind in CONFIRMED)
_is_ready = and_(_r.state == "ready", _r.waits_for.is_(None))
_is_good = and_(_r.state != "invalid", _r.waits_for.is_(None))
"""Can be sent as it is, whether or not it has been by now."""
_is_confirmed = _is(_r.outcome, *_CONFIRMED)

CREATE = (
    text(f"PRAGMA user_version = {FORMAT}"), *map(CreateTable, _metadata.sorted_tables),
    CreateIndex(Index("edits_by_row", edits.c.row, edits.c.number)),
    CreateIndex(Index("kept_edits_by_batch", edits.c.batch, sqlite_where=edits.c.undone_at.is_(None))),
)  # fmt: skip
SET_FACT = _replacing(facts)
FACTS = select(facts.c.name, facts.c.value).where(facts.c.name != "staged", facts.c.name != "report")
FACT = select(facts.c.value).where(facts.c.name == bindparam("name"))

# --- drafts ----------------------------------------------------------------------------------------------------------

CREATE_DRAFT = tuple(map(CreateTable, _of_drafts.sorted_tables))
INDEX_DRAFT = CreateIndex(Index("rows_by_target", rows.c.target))
"""Made once the rows are there, which is faster. A run needs none, and no column of it changes there."""
SET_DRAFT_FACT = _replacing(draft)
DROP_DRAFT_FACT = delete(draft).where(draft.c.name == bindparam("name"))
DRAFT_FACT = select(draft.c.value).where(draft.c.name == bindparam("name"))
_e = edits.c
_is_kept = _e.undone_at.is_(None)
_whole_edit = select(
    _e.number, _e.row, _e.position, _e.old, _e.new, _e.author, _e.at, _e.undone_at, _e.batch, _e.width
)  # fmt: skip
ADD_EDIT = insert(edits).values(
    {name: bindparam(name) for name in ("batch", "row", "position", "width", "old", "new", "author", "at")}
)
NEXT_EDIT = select(func.coalesce(func.max(_e.number), 0) + 1)
COPY_EDIT = insert(edits)
ALL_EDITS = select(*_e).order_by(_e.number).execution_options(**{BY_BATCH: True})
EDITS = _whole_edit.where(_e.number > bindparam("after")).order_by(_e.number).limit(_most)
_after_edit = tuple_(bindparam("after_row", type_=Integer), bindparam("after_number", type_=Integer))
KEPT_EDITS_BY_ROW = (
    _whole_edit.where(tuple_(_e.row, _e.number) > _after_edit, _is_kept)
    .order_by(_e.row, _e.number).limit(_most)
)  # fmt: skip
EDITS_OF_ROWS = _whole_edit.where(_e.row.in_(_listed), _is_kept).order_by(_e.row, _e.number)
EDIT = _whole_edit.where(_e.number == bindparam("number"))
_in_batch = and_(_e.batch == bindparam("of_batch"), _is_kept)
EDITS_OF_BATCH = _whole_edit.where(_in_batch).order_by(_e.number).limit(_most)
BATCH_LENGTH = select(func.count()).select_from(edits).where(_in_batch)
UNDO_EDITS = (
    update(edits)
    .where(
        _e.row == bindparam("of_row"),
        _e.position == bindparam("at_position"),
        _e.number >= bindparam("first"),
        _is_kept,
    )
    .values(undone_by=bindparam("who"), undone_at=bindparam("when"))
)
DROP_LOST_EDITS = (
    update(edits).where(_is_kept, _e.row.not_in(select(_r.number)))
    .values(undone_by="", undone_at=bindparam("when"))
)  # fmt: skip
"""Edits of rows that are not read any more."""
_f = refusals.c
ADD_REFUSAL = _replacing(refusals)
ALL_REFUSALS = select(*_f).order_by(_f.row)
_open_refusal = select(_f.row, _f.problems, _f.by_cell).where(_f.accepted_at.is_(None))
REFUSALS_OF = _open_refusal.where(_f.row.in_(_listed))
ACCEPT = (
    update(refusals).where(_f.row == bindparam("of_row"))
    .values(accepted_by=bindparam("who"), accepted_at=bindparam("when"))
)  # fmt: skip
OPEN_REFUSALS = _open_refusal.order_by(_f.row)
SET_NAMED = _replacing(named)
NAMED = select(named.c.field, named.c.content, named.c.rows)
_g, _l = grid.c, lists.c
ADD_TO_GRID = text("INSERT OR REPLACE INTO grid SELECT :key, value FROM json_each(:numbers)")
REMOVE_FROM_GRID = delete(grid).where(_g.key == bindparam("of_key"), _g.row.in_(_listed))
CREATE_UNSORTED = text("CREATE TEMP TABLE unsorted (key INTEGER, row INTEGER)")
ADD_UNSORTED = text("INSERT INTO unsorted VALUES (:key, :row)")
SORT_GRID = text("INSERT INTO grid SELECT key, row FROM unsorted ORDER BY key, row")
DROP_UNSORTED = text("DROP TABLE unsorted")
COUNT_LIST = text(
    "INSERT INTO lists (key, cause, rows) VALUES (:key, :cause, :rows) "
    "ON CONFLICT (key) DO UPDATE SET rows = rows + excluded.rows"
)
DROP_EMPTY_LISTS = delete(lists).where(_l.rows == 0)
LISTS = select(_l.key, _l.cause, _l.rows)
LIST_LENGTH = select(_l.rows).where(_l.key == bindparam("of_key"))
GRID_ROWS = (
    select(_g.row).where(_g.key == bindparam("of_key"), _g.row > bindparam("after"))
    .order_by(_g.row).limit(_most)
)  # fmt: skip
GRID_COUNT = select(func.count()).select_from(grid).where(_g.key == bindparam("of_key"))
_drafted = select(
    _r.number, _r.state, _r.waits_for, _r.place, _r.is_repeated, _r.target, _r.cells, _r.fields, _r.problems
)
DRAFT_ROWS = _drafted.where(_r.number.in_(_listed)).order_by(_r.number)
NEEDING_SOMEONE = (
    select(_r.number, _r.state, _r.problems)
    .where(or_(_r.state == "invalid", _r.waits_for.is_not(None))).order_by(_r.number)
)  # fmt: skip
_listed_targets = select(
    func.json_each(bindparam("targets", type_=Text)).table_valued(column("value", Text), name="listed").c.value
)
REPEATED_AMONG = (
    select(_r.target).where(_r.target.in_(_listed_targets)).group_by(_r.target)
    .having(or_(func.count() > 1, func.max(_r.is_repeated) == 1))
)  # fmt: skip
"""The targets among some that several rows have, or one of which it is still said."""
OF_TARGETS = (
    _drafted.where(_r.target.in_(_listed_targets))
    .order_by(_r.target, func.coalesce(_r.place, _r.number), _r.number)
)  # fmt: skip
UPDATE_DRAFT_ROW = (
    update(rows).where(_r.number == bindparam("of_row")).values(
        {name: bindparam(f"new_{name}") for name in EDITED_ROWS}
    )
)  # fmt: skip
REQUESTS_IN_ORDER = (
    select(_r.number, _r.path, _r.query, _r.body).where(_is_good)
    .order_by(func.coalesce(_r.place, _r.number), _r.number)
)  # fmt: skip

# --- staging ---------------------------------------------------------------------------------------------------------

STAGE = insert(rows).values({name: bindparam(name) for name in STAGED})
STAGE_AGAIN = _replacing(rows).values({name: bindparam(name) for name in STAGED})
EXPECT = insert(expected)
EXPECTED_FIELDS = select(expected.c.target, expected.c.field).where(expected.c.target.in_(_listed_targets))
EXPECTED = select(*expected.c).order_by(literal_column("rowid"))
CELLS = (
    select(_r.number, _r.cells, func.coalesce(_r.problems.like(bindparam("ragged")), False))
    .where(_r.number > bindparam("after")).order_by(_r.number).limit(_most)
)  # fmt: skip
_same_target = select(_r.target).where(_r.target.is_not(None)).group_by(_r.target).having(func.count() > 1)
_judged = select(_r.number, _r.state, _r.target, _r.cells, _r.problems)
REPEATED = _judged.where(_r.target.in_(_same_target)).order_by(_r.target, func.coalesce(_r.place, _r.number), _r.number)
PLACE = update(rows).where(_r.number == bindparam("row")).values(place=bindparam("place"))
MARK_REPEATED = update(rows).where(_r.number == bindparam("row")).values(is_repeated=1)
MAKE_INVALID = (
    update(rows).where(_r.number == bindparam("row"))
    .values(state="invalid", problems=bindparam("found"), path=null(), query=null(), body=null())
)  # fmt: skip
WAIT = update(rows).where(_r.number == bindparam("row")).values(waits_for=bindparam("earlier"))
AMBIGUOUS = select(_r.number, _r.problems).where(_r.problems.like(bindparam("pattern")))
LEAVE_OUT = delete(rows).where(_r.number == bindparam("row"))
SET_PROBLEMS = update(rows).where(_r.number == bindparam("row")).values(problems=bindparam("found"))
REQUESTS = (
    select(_r.number, _r.target, _r.fields, _r.path, _r.query, _r.body)
    .where(_is_good, not_(func.coalesce(_is_confirmed, False))).order_by(_r.number)
    .execution_options(**{BY_BATCH: True})
)  # fmt: skip
_w = rows.alias("waited_for").c
WAITING_FOR_NOTHING = (
    select(_r.number).where(
        _r.waits_for.is_not(None),
        not_(exists(
            select(_w.number).where(_w.number == _r.waits_for, _w.state == "invalid", _w.target == _r.target)
        )),
    )
)  # fmt: skip
FIRST_JOB = select(_r.number, _r.target, _r.fields).where(_is_good).order_by(_r.number).limit(1)
STAGED_COUNTS = select(func.count(), func.count().filter(_is_good), func.count(_r.waits_for)).select_from(rows)
_kind = case(
    (_r.state == "invalid", "invalid"),
    (_r.state == "in_flight", "unconfirmed"),
    (_r.outcome.is_not(None), _r.outcome),
    (_r.waits_for.is_not(None), "not_sent"),
    else_=bindparam("unsent", type_=Text),
)
"""The one outcome of a row; `unsent` is that of a row without a turn: `not_sent`, or `planned` in a check."""
KINDS = select(_r.number, _kind).execution_options(**{BY_BATCH: True})
_is_listed = _r.number.in_(_listed)
LISTED = _judged.where(_is_listed)
KINDS_OF = KINDS.where(_is_listed)
"""The outcomes of the rows whose numbers are in an array of JSON."""
LAST_ROW = select(func.coalesce(func.max(_r.number), 0))
ADDED_ROWS = select(_r.number).where(_r.number >= bindparam("first")).order_by(_r.number).limit(_most)
_every_row = select(
    _r.number, _r.state, _kind, _r.waits_for, _r.is_repeated, _r.maybe_applied,
    (_r.earlier_attempts + _r.attempts).label("attempts"), _r.status, _r.sent_at, _r.seconds, _r.target, _r.cells,
    _r.fields, _r.body, _r.problems, _r.message, _r.advice, _r.cause, _r.before, _r.reported,
).where(_r.number > bindparam("after")).order_by(_r.number).execution_options(**{BY_BATCH: True})  # fmt: skip
ROWS = _every_row
INVALID_ROWS = _every_row.where(_r.state == "invalid")
ROWS_TO_FIX = _every_row.where(not_(_is(_kind, "updated", "unchanged", "planned")))
COUNTS = select(_kind.label("kind"), func.count()).select_from(rows).group_by(literal_column("kind"))
LAST_ANSWER_AT = select(func.max(_r.sent_at + func.coalesce(_r.seconds, 0.0)))
NUMBER_AT = select(_r.number).order_by(_r.number).limit(1).offset(bindparam("at", type_=Integer))
_field = func.json_each(_r.fields, "$[1]").table_valued("type", "value")
_is_empty = or_(_field.c.type == "null", _field.c.value == "[]", _field.c.value == "{}")
CLEARING = (
    select(_r.number).where(_is_good, exists(select(_field.c.type).where(_is_empty)))
    .order_by(_r.number).limit(_most)
)  # fmt: skip
FIRST_INVALID = select(_r.number, _r.problems).where(_r.state == "invalid").order_by(_r.number).limit(_most)

# --- sending ---------------------------------------------------------------------------------------------------------

_item = func.json_each(bindparam("batch", type_=Text)).table_valued("value", name="item")


def _of_item(at: int, kind: type[TypeEngine[Any]] = Text) -> ColumnElement[Any]:
    return func.json_extract(_item.c.value, f"$[{at}]", type_=kind)


_limit = bindparam("limit", type_=Integer)
_LAST_OF_LIMIT = (select(_r.number).where(_is_good).order_by(_r.number).limit(1).offset(_limit - 1)).scalar_subquery()
_IN_LIMIT = or_(_limit.is_(None), _LAST_OF_LIMIT.is_(None), _r.number <= _LAST_OF_LIMIT)
"""What is confirmed counts towards the limit."""
_jobs = select(
    _r.number, _r.target, _r.fields, _r.path, _r.query, _r.body, _r.maybe_applied, _r.place
).where(_is_ready, _IN_LIMIT)  # fmt: skip
JOBS = _jobs.where(_r.number > bindparam("after"), _r.place.is_(None)).order_by(_r.number).limit(_most)
_added_from = (
    select(func.json_extract(facts.c.value, "$.columns.origin.next_row")).where(facts.c.name == "staged")
).scalar_subquery()
ADDED_JOBS = _jobs.where(_r.number >= _added_from, _r.place.is_not(None)).order_by(_r.place, _r.number)
COUNT_TO_SEND = (
    select(func.count()).select_from(rows).where(_is_good, not_(func.coalesce(_is_confirmed, False)), _IN_LIMIT)
)
_is_in_flight = _of_item(1).is_(None)
WRITE_MANY = (
    update(rows).where(_r.number == _of_item(0, Integer)).values(
        commit_number=bindparam("commit"), state=case((_is_in_flight, "in_flight"), else_="finished"),
        outcome=_of_item(1), attempts=_of_item(2, Integer), status=_of_item(3, Integer),
        sent_at=_of_item(4, Float), seconds=_of_item(5, Float),
        before=func.coalesce(_r.before, _of_item(6)), reported=_of_item(7), maybe_applied=0,
        message="", advice="", cause="", problems=null(),
    )
)  # fmt: skip
"""Writes many rows at once, given as JSON: that they may be in flight (no outcome), or that they were confirmed.

Each call of SQLite lets go of Python's lock and has to wait for it again, which beside a busy event loop takes longer
than the call. One call for all rows of a commit, which is the commit as well, makes the sending twice as fast."""
SETTLE = (
    update(rows).where(_r.number == bindparam("row")).values(
        commit_number=bindparam("commit"), state="finished", outcome=bindparam("kind"),
        attempts=bindparam("tries"), status=bindparam("http"), message=bindparam("said"), advice=bindparam("remedy"),
        cause=bindparam("why"), problems=bindparam("found"), sent_at=bindparam("at"), seconds=bindparam("took"),
        before=func.coalesce(_r.before, bindparam("record", type_=Text)), reported=bindparam("answer"),
        maybe_applied=bindparam("doubt"),
    )
)  # fmt: skip
KEEP_BEFORE = (
    update(rows).where(_r.number == _of_item(0, Integer))
    .values(commit_number=bindparam("commit"), before=func.coalesce(_r.before, _of_item(1)))
)  # fmt: skip
"""The first reading counts: a later one may show what an update without an answer has changed."""
KEEP_FINE_ATTEMPTS = _replacing(attempts).from_select(
    ("row", "part", "number", "commit_number", "method", "sent_at", "wait_s", "seconds", "status", "why", "message"),
    select(
        _of_item(0, Integer), _last_part, _of_item(1, Integer), bindparam("commit", type_=Integer), _of_item(2),
        _of_item(3, Float), _of_item(4, Float), _of_item(5, Float), _of_item(6, Integer), _of_item(7),
        literal_column("''"),
    ).select_from(_item),
)  # fmt: skip
"""Writes many attempts that have gone well."""
KEEP_ATTEMPT = _replacing(attempts).from_select(
    ("row", "part", "number", "commit_number", "method", "sent_at", "wait_s", "seconds", "status", "why", "message",
     "answer"),
    select(
        bindparam("of_row", type_=Integer), _last_part, bindparam("nth", type_=Integer),
        bindparam("commit", type_=Integer), bindparam("verb", type_=Text), bindparam("at", type_=Float),
        bindparam("wait", type_=Float), bindparam("took", type_=Float), bindparam("http", type_=Integer),
        bindparam("meaning", type_=Text), bindparam("said", type_=Text), bindparam("text", type_=Text),
    ),
)  # fmt: skip
ATTEMPTS = (
    select(
        attempts.c.part, attempts.c.number, attempts.c.method, attempts.c.sent_at, attempts.c.wait_s,
        attempts.c.seconds, attempts.c.status, attempts.c.why, attempts.c.message, attempts.c.answer,
    ).where(attempts.c.row == bindparam("of_row")).order_by(attempts.c.part, attempts.c.number)
)  # fmt: skip
REQUEST = select(_r.path, _r.query, _r.body).where(_r.number == bindparam("of_row"))
LEARN = _replacing(names).values(
    commit_number=bindparam("commit"), field=bindparam("field"), depends_on=bindparam("depends_on"),
    list=bindparam("list"),
)  # fmt: skip
NAMES = select(names.c.field, names.c.depends_on, names.c.list).order_by(literal_column("rowid"))
NEW_PART = insert(parts).values(started_at=bindparam("started_at"))
END_PART = (
    update(parts).where(parts.c.number == _last_part).values(
        commit_number=bindparam("commit"),
        **{
            name: bindparam(f"new_{name}")
            for name in ("ended_at", "requests", "retries", "elapsed_s", "stopped", "stop_message", "stop_advice",
                         "results", "counts")
        },
    )
)  # fmt: skip
PARTS = (
    select(
        parts.c.started_at, parts.c.ended_at, parts.c.requests, parts.c.retries, parts.c.elapsed_s, parts.c.stopped,
        parts.c.stop_message, parts.c.stop_advice, parts.c.results, parts.c.counts,
    ).order_by(parts.c.number)
)  # fmt: skip
LAST_COMMIT = select(
    func.max(
        select(func.coalesce(func.max(rows.c.commit_number), 0)).scalar_subquery(),
        select(func.coalesce(func.max(names.c.commit_number), 0)).scalar_subquery(),
        select(func.coalesce(func.max(attempts.c.commit_number), 0)).scalar_subquery(),
        select(func.coalesce(func.max(parts.c.commit_number), 0)).scalar_subquery(),
    )
)

# --- resuming --------------------------------------------------------------------------------------------------------

NEVER_SENT = (
    update(rows).where(
        _r.state == "in_flight", _r.before.is_(None), _r.earlier_attempts == 0,
        exists(select(facts.c.name).where(facts.c.name == "reads_first", facts.c.value == "true")),
    ).values(state="ready", outcome=null(), attempts=0, message=null(), advice=null(), cause=null())
)  # fmt: skip
"""Of rows that a part of the run left in flight, no update went out if that part read records first: what a record was
is on disk before its update. Rows of earlier parts have attempts there; they may have been sent plainly.

They have no outcome: if this part ends before their turn, its own reason is theirs."""


def _keep_in_flight(*of: ColumnElement[bool]) -> Insert:
    last_number = (
        select(func.max(attempts.c.number))
        .where(attempts.c.row == _r.number, attempts.c.part == _last_part).scalar_subquery()
    )  # fmt: skip
    return insert(attempts).from_select(
        ("row", "part", "number", "commit_number", "why"),
        select(
            _r.number, _last_part, func.coalesce(last_number, 0) + 1, _r.commit_number,
            literal_column(f"'{ENDED_IN_FLIGHT}'"),
        ).where(_r.state == "in_flight", *of),
    )  # fmt: skip


KEEP_IN_FLIGHT = _keep_in_flight()
"""What came of the last attempt at these rows is not known."""
RESUME = (
    update(rows).where(_is_good, not_(func.coalesce(_is_confirmed, False))).values(
        state="ready",
        outcome=case((_r.state == "in_flight", "unconfirmed"), else_=_r.outcome),
        message=case((_r.state == "in_flight", IN_FLIGHT_AT_THE_END), else_=_r.message),
        advice=case((_r.state == "in_flight", "Run again to settle it."), else_=_r.advice),
        cause=case((_r.state == "in_flight", ENDED_IN_FLIGHT), else_=_r.cause),
        maybe_applied=case((_r.state == "in_flight", 1), else_=_r.maybe_applied),
        before=case(
            (and_(_is(_r.outcome, "failed", "not_sent", "rejected"), _r.maybe_applied == 0), null()),
            else_=_r.before,
        ),
    )
)  # fmt: skip
"""What was read before an update that was certainly not applied is old by now: what is read next counts."""
_is_open = or_(_r.outcome.is_(None), _is(_r.outcome, "failed", "unconfirmed", "not_sent"))
_why_open = case(
    (_r.maybe_applied == 1, "The run was closed before it was known whether this row was applied. "),
    else_="The run was closed before this row was done. ",
)
_waits = _r.waits_for.is_not(None)
CLOSE = (
    (update(rows).where(_r.state != "invalid", _is_open).values(
        commit_number=bindparam("commit"), state="finished", outcome="not_sent",
        cause=case(
            (_waits, WAITS), (_r.maybe_applied == 1, "the run was closed, and it is unknown whether it was applied"),
            else_="the run was closed",
        ),
        message=func.trim(
            _why_open + func.coalesce(_r.message, case((_waits, func.printf(WAITS_FOR_ROW, _r.waits_for))), "")
        ),
        advice=case(
            (_waits, func.printf(
                'Repair row %d on the sheet "To fix" of the results workbook, then run that workbook.', _r.waits_for
            )),
            else_='Run the results workbook: that sends the rows of its sheet "To fix".',
        ),
    )),
    (update(rows).where(_is_good, _r.state == "ready").values(state="finished")),
)  # fmt: skip
"""Of a run that is not resumed any more; call after `RESUME`."""
FORGET_RESULTS = (
    (update(rows).where(_is_confirmed).values(
        outcome="not_sent", message="", advice="", cause="", problems=null(), before=null(), reported=null(),
    )),
    (update(rows).where(_r.state == "ready").values(
        outcome=null(), message=null(), advice=null(), cause=null(), problems=null(), before=null(), reported=null(),
        earlier_attempts=0,
    )),
    (delete(facts).where(facts.c.name != "staged")),
    (delete(parts)),
    (delete(attempts)),
)  # fmt: skip
"""For a comparison, which starts from the rows that are still to be sent; call after `RESUME`."""
COUNT_AS_EARLIER = (
    update(rows).where(_r.attempts > 0)
    .values(earlier_attempts=_r.earlier_attempts + _r.attempts, attempts=0)
)  # fmt: skip
"""The attempts of every part before this one."""

# --- staging again ---------------------------------------------------------------------------------------------------

PUT_ROWS_ASIDE = (
    text("ALTER TABLE rows RENAME TO earlier_rows"), CreateTable(rows), delete(expected),
)  # fmt: skip
DROP_EARLIER_ROWS = text("DROP TABLE earlier_rows")
_aside = Table("earlier_rows", MetaData(), *(Column(column.name, column.type) for column in rows.columns))
_a = _aside.c
_was_confirmed = _is(_a.outcome, *_CONFIRMED)
_RESULTS = ("state", "outcome", "maybe_applied", "earlier_attempts", "attempts", "status", "sent_at", "seconds",
            "problems", "message", "advice", "cause", "before", "reported")  # fmt: skip
_REQUEST = ("waits_for", "target", "fields", "path", "query", "body")
_maybe_was_applied = or_(_a.maybe_applied == 1, _a.state == "in_flight", _a.outcome == "unconfirmed")
_same_request_as_before = and_(
    _r.path == _a.path, _r.query == _a.query, or_(_r.body == _a.body, _r.fields == _a.fields)
)
_earlier = rows.alias("earlier_row")
TAKE_OVER = (
    # What is confirmed stays, and what may have been applied is for the API to judge.
    (
        update(rows)
        .where(
            _r.number == _a.number,
            or_(
                and_(_was_confirmed, _same_request_as_before),
                and_(not_(_is_good), or_(_was_confirmed, _maybe_was_applied)),
            ),
        )
        .values({name: _a[name] for name in (*_RESULTS, *_REQUEST)})
    ),
    # Rows then wait only for rows that are still invalid.
    (
        update(rows)
        .where(_r.waits_for.is_not(None))
        .values(
            waits_for=select(func.min(_earlier.c.number))
            .where(_earlier.c.target == _r.target, _earlier.c.state == "invalid", _earlier.c.number < _r.number)
            .scalar_subquery()
        )
    ),
    # Of a confirmed row that is another request now stays what its record was, and how often it was sent.
    (
        update(rows)
        .where(_r.number == _a.number, _is_good, _r.target == _a.target, _was_confirmed, _r.outcome.is_(None))
        .values(before=_a.before, earlier_attempts=_a.earlier_attempts + _a.attempts)
    ),
    (
        update(rows)
        .where(
            _r.number == _a.number, _is_good, _r.target == _a.target,
            not_(func.coalesce(_was_confirmed, False)), _a.state != "invalid",
        )
        .values({name: _a[name] for name in _RESULTS})
    ),
    (update(parts).values(counts=null())),
)  # fmt: skip
"""Run in this order after the rows were staged again, with the earlier ones in `earlier_rows`."""
LOST_ROWS = (
    select(_a.number)
    .where(or_(_a.attempts + _a.earlier_attempts > 0, _a.outcome.is_not(None)))
    .where(_a.number.not_in(select(_r.number)))
    .limit(1)
)
"""Rows with a result that the input no longer has."""

# --- other runs ------------------------------------------------------------------------------------------------------

_other_run = Table("rows", MetaData(schema=EARLIER), *(Column(column.name, column.type) for column in rows.columns))
"""The rows of another run, whose database is attached as `earlier`."""
_o = _other_run.c
_is_applied = _is(_o.outcome, "updated", "unchanged")
_same_request = and_(_r.path == _o.path, _r.query == _o.query, _r.body == _o.body)
_first_applied = (
    select(_o.number, _o.path, _o.query, _o.body).where(_is_applied).order_by(_o.number).limit(_most)
).subquery()
_first_rows = (
    select(_r.path, _r.query, _r.body).where(_is_good)
    .where(
        _r.number <= select(func.max(_first_applied.c.number)).scalar_subquery() + bindparam("further", type_=Integer)
    )
).subquery()  # fmt: skip
FIRST_REPEATED = select(
    exists(
        select(_first_rows.c.path).where(
            _first_rows.c.path == _first_applied.c.path,
            _first_rows.c.query == _first_applied.c.query,
            _first_rows.c.body == _first_applied.c.body,
        )
    )
)
"""Whether one of the first rows that the other run has applied is among the rows up to there."""
REPEATED_IN_EARLIER = select(_r.number).distinct().where(_is_good, _is_applied, _same_request).order_by(_r.number)
APPLIED_EARLIER = select(func.count()).select_from(_other_run).where(_is_applied)

# --- PostgreSQL ------------------------------------------------------------------------------------------------------

_in_block = _r.block == bindparam("block", type_=Integer)
_blocks = Table(
    "blocks", MetaData(),
    Column("number", Integer, primary_key=True),
    Column("state", Text), Column("epoch", Integer), Column("rows", Integer), Column("counts", Text),
    Column("refusals", Text), Column("requests", Integer), Column("retries", Integer), Column("throttled", Integer),
    Column("host", Text), Column("claimed_at", Text),
)  # fmt: skip
_b = _blocks.c
_target_number = literal_column(
    "('x' || left(encode(sha256(convert_to(coalesce(rows.target, ''), 'UTF8')), 'hex'), 8))::bit(32)::bigint", Integer
)
"""As `team_rows` computes it: rows that have their block from there stay as they are. FIPS mode has no md5."""
_new_block = case((and_(_is_ready, _IN_LIMIT), _target_number % bindparam("blocks", type_=Integer)))
_fresh = {
    "counts": "{}", "refusals": null(), "requests": 0, "retries": 0, "throttled": 0, "host": null(),
    "claimed_at": null(), "epoch": _b.epoch + 1,
}  # fmt: skip
_sizes = select(_r.block, literal_column("'waiting'"), func.count()).where(_r.block.is_not(None)).group_by(_r.block)
_new_blocks = postgresql.insert(_blocks).from_select(("number", "state", "rows"), _sizes)
_element = (
    func.json_array_elements(type_coerce(cast(_r.fields, JSON)[1], JSON))
    .table_valued(column("value", JSON), name="element")
)  # fmt: skip
_has_nothing = or_(func.json_typeof(_element.c.value) == "null", _is(cast(_element.c.value, Text), "[]", "{}"))
ON_POSTGRES: Mapping[str, ClauseElement | tuple[ClauseElement, ...]] = {
    # What the fact `staged` holds may have characters that PostgreSQL's functions for JSON refuse.
    "ADDED_JOBS": _jobs.where(_r.place.is_not(None)).order_by(_r.place, _r.number),
    "CLEARING": (
        select(_r.number).where(_is_good, exists(select(_element.c.value).where(_has_nothing)))
        .order_by(_r.number).limit(_most)
    ),
    # The rows of one target are in one block, which is sent in their order.
    "CUT_INTO_BLOCKS": (
        update(rows).where(_r.block.is_distinct_from(_new_block)).values(block=_new_block),
        update(_blocks).values(state="done", rows=0, **_fresh),
        _new_blocks.on_conflict_do_update(
            index_elements=["run", "number"],
            set_={"state": _new_blocks.excluded.state, "rows": _new_blocks.excluded.rows},
        ),
    ),
    "BLOCK_JOBS": (
        select(*_jobs.selected_columns).where(_is_ready, _in_block, _r.number > bindparam("after"), _r.place.is_(None))
        .order_by(_r.number).limit(_most)
    ),
    "BLOCK_ADDED_JOBS": (
        select(*_jobs.selected_columns).where(_is_ready, _in_block, _r.place.is_not(None))
        .order_by(_r.place, _r.number)
    ),
    # Of a block that another worker had: in this order, within one transaction.
    "READY_BLOCK": (
        NEVER_SENT.where(_in_block),
        _keep_in_flight(_in_block),
        RESUME.where(_r.state == "in_flight", _in_block),
        COUNT_AS_EARLIER.where(_r.state == "ready", _in_block),
    ),
}  # fmt: skip
"""Statements that only PostgreSQL has, for runs of a team, and those that have another form there."""

# --- the file --------------------------------------------------------------------------------------------------------


def as_sqlite() -> str:
    """Return every statement above under its name, as `statements` reads them."""
    return as_sql_file(globals(), "tables.py")


def as_postgres() -> str:
    """Return every statement over the tables of a run, the run in every key, as `statements` reads them.

    Tables that no run has, and statements that make or change a table, are SQLite's alone.
    """
    named = {**statements_of(globals()), **ON_POSTGRES}
    of_runs = {
        name: clauses
        for name, value in named.items()
        if all(map(_is_over_runs, clauses := value if isinstance(value, tuple) else (value,)))
    }
    return as_file(of_runs, "tables.py", postgres_text)


def _is_over_runs(clause: ClauseElement) -> bool:
    elements = list(visitors.iterate(clause))
    used = {one for element in elements if isinstance(one := getattr(element, "table", element), Table)}
    return isinstance(clause, (Select, Insert, Update, Delete)) and used <= {
        *_metadata.sorted_tables, _other_run, _blocks,
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write({"sqlite": as_sqlite, "postgres": as_postgres}[sys.argv[1]]())
