"""The databases of the page, `web.sqlite` and `compared.sqlite`: their tables and every statement over them.

The program executes what is in `uploads.sql`, which `make sql` writes from this module, as `tables` says. A team has
the tables of `web.sqlite` in PostgreSQL, and the same statements in `team_uploads.sql`.
"""

from __future__ import annotations

import sys
from typing import cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    null,
    or_,
    select,
    text,
    update,
)  # fmt: skip
from sqlalchemy.schema import CreateIndex, CreateTable

from batch_updater.runs.sql_file import as_sql_file
from batch_updater.runs.tables import edits, refusals
from batch_updater.runs.upload_statements import COMPARED_FORMAT, UPLOADS_FORMAT

# --- web.sqlite ------------------------------------------------------------------------------------------------------

_web = MetaData()

uploads = Table(
    "uploads", _web,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("file", Text, nullable=False),  # name of the copy in the upload's folder
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),  # seconds since 1970-01-01 UTC, as all times here
    Column("changed_at", Float, nullable=False),
    Column("source_path", Text),
    Column("repairs", Text), Column("undoes", Text),  # names of runs
    Column("answers", Text, nullable=False),  # JSON
    Column("layout", Text), Column("remember", Text),
    Column("compare", Integer, nullable=False, server_default="0"),
    Column("asked", Text),  # JSON
)  # fmt: skip
tasks = Table(
    "tasks", _web,
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # check, compare, send
    Column("upload", Text),
    Column("state", Text, nullable=False),  # waiting, running, done, failed
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float), Column("ended_at", Float),
    Column("run", Text),
    Column("fault", Text),  # JSON
    Column("waits_for", Text, nullable=False, server_default=""),
    Column("options", Text, nullable=False),  # JSON
    Column("is_stopped", Integer, nullable=False, server_default="0"),  # whether a person has asked it to stop
    sqlite_autoincrement=True,
)  # fmt: skip
events = Table(
    "events", _web,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False), Column("what", Text, nullable=False),
    Column("upload", Text), Column("run", Text), Column("text", Text, nullable=False),
)  # fmt: skip
approvals = Table(
    "approvals", _web,
    Column("number", Integer, primary_key=True),
    Column("upload", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("withdrawn_at", Float),
)  # fmt: skip
sessions = Table(
    "sessions", _web,
    Column("digest", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)  # fmt: skip
_indexes = (
    Index("tasks_of_upload", tasks.c.upload), Index("tasks_of_run", tasks.c.run),
    Index("tasks_by_state", tasks.c.state), Index("events_of_upload", events.c.upload),
    Index("events_of_run", events.c.run), Index("approvals_of_upload", approvals.c.upload),
    Index("uploads_that_repair", uploads.c.repairs),
)  # fmt: skip

_u, _t, _e, _a, _s = uploads.c, tasks.c, events.c, approvals.c, sessions.c

CREATE_UPLOADS = (
    text(f"PRAGMA user_version = {UPLOADS_FORMAT}"), *map(CreateTable, _web.sorted_tables), *map(CreateIndex, _indexes)
)  # fmt: skip

ADD_UPLOAD = insert(uploads).values(
    id=bindparam("id"), name=bindparam("name"), file=bindparam("file"), by=bindparam("by"), at=bindparam("at"),
    changed_at=bindparam("at"), source_path=bindparam("source_path"), repairs=bindparam("repairs"),
    undoes=bindparam("undoes"), answers=bindparam("answers"), compare=0,
)  # fmt: skip
_last_run = (
    select(_t.run).where(_t.upload == _u.id, _t.run.is_not(None)).order_by(_t.number.desc()).limit(1)
    .correlate(uploads).scalar_subquery()
)  # fmt: skip
_upload = select(*_u, _last_run.label("run"))
UPLOAD = _upload.where(_u.id == bindparam("upload_id"))
UPLOADS = _upload.order_by(_u.at.desc(), _u.id)
UPLOADS_REPAIRING = _upload.where(_u.repairs == bindparam("past")).order_by(_u.at.desc()).limit(1)
UPLOADS_UNDOING = _upload.where(_u.undoes == bindparam("past")).order_by(_u.at.desc()).limit(1)
TOUCH = update(uploads).where(_u.id == bindparam("upload_id")).values(changed_at=bindparam("now"))
_this = _u.id == bindparam("upload_id")
SET_ANSWERS = (
    update(uploads).where(_this)
    .values(
        answers=bindparam("given"), layout=bindparam("by_layout"), remember=bindparam("as_layout"), asked=null(),
        changed_at=bindparam("now"),
    )
)  # fmt: skip
SET_COMPARE = update(uploads).where(_this).values(compare=bindparam("reads_first"), changed_at=bindparam("now"))
SET_ASKED = update(uploads).where(_this).values(asked=bindparam("questions"))
SET_REMEMBERED = update(uploads).where(_this).values(remember=null())
_is_open = or_(_t.state == "waiting", _t.state == "running")
_has_open_task = exists(select(_t.number).where(_t.upload == _u.id, _is_open))
REMOVE_UPLOAD = delete(uploads).where(_this, not_(_has_open_task))
UNUSED_UPLOADS = select(_u.id).where(_u.changed_at < bindparam("before"), not_(_has_open_task)).order_by(_u.changed_at)

_task = select(*(column for column in _t if column.name != "is_stopped"))
ADD_TASK = insert(tasks).values(
    kind=bindparam("kind"), upload=bindparam("upload"), state="waiting", by=bindparam("by"),
    created_at=bindparam("created_at"), run=bindparam("run"), waits_for="", options=bindparam("options"), is_stopped=0,
)  # fmt: skip
EQUAL_TASKS = _task.where(
    _t.state == "waiting", _t.kind == bindparam("which"), _t.upload.is_not_distinct_from(bindparam("of_upload")),
    _t.run.is_not_distinct_from(bindparam("of_run")), _t.options == bindparam("with_options"), _t.is_stopped == 0,
).order_by(_t.number)  # fmt: skip
TASK = _task.where(_t.number == bindparam("task"))
TASKS = _task.where(_t.upload == bindparam("of_upload")).order_by(_t.number.desc())
OPEN_TASKS = _task.where(_is_open).order_by(_t.number)
LAST_TASK = select(func.max(_t.number))
TASK_OF_RUN = _task.where(_t.run == bindparam("past")).order_by(_t.number.desc()).limit(1)
TASK_IS_STOPPED = select(_t.is_stopped).where(_t.number == bindparam("task"))
TAKE_UP_TASKS = update(tasks).where(_t.state == "running").values(state="waiting", waits_for="")
START_TASK = (
    update(tasks).where(_t.number == bindparam("task"), _t.state == "waiting")
    .values(state="running", started_at=bindparam("now"))
)  # fmt: skip
DEFER_TASK = (
    update(tasks).where(_t.number == bindparam("task"), _is_open)
    .values(state="waiting", waits_for=bindparam("holder"))
)  # fmt: skip
SET_TASK_RUN = (
    update(tasks).where(_t.number == bindparam("task")).values(run=bindparam("past"), waits_for="")
)  # fmt: skip
END_TASK = (
    update(tasks).where(_t.number == bindparam("task"), _is_open)
    .values(state=bindparam("end"), ended_at=bindparam("now"), fault=bindparam("why"), waits_for="")
)  # fmt: skip
STOP_TASK = update(tasks).where(_t.number == bindparam("task"), _is_open).values(is_stopped=1)

ADD_EVENT = insert(events).values(
    at=bindparam("at"), by=bindparam("by"), what=bindparam("what"), upload=bindparam("upload"), run=bindparam("run"),
    text=bindparam("text"),
)  # fmt: skip


def _values_of(parameter: str, alias: str) -> ColumnElement[str]:
    """Return the values of a parameter that is an array in JSON, as a column of a table."""
    array = func.json_each(bindparam(parameter, type_=Text))
    return cast("ColumnElement[str]", array.table_valued("value", name=alias).c.value)


_most = bindparam("most", type_=Integer)
_event = select(_e.at, _e.by, _e.what, _e.upload, _e.run, _e.text).order_by(_e.number.desc()).limit(_most)
EVENTS = _event
EVENTS_OF = _event.where(
    or_(
        _e.upload.in_(select(_values_of("of_uploads", "u"))),
        _e.run.in_(select(_values_of("of_runs", "r"))),
    )
)
UPLOADS_OF_RUN = select(_t.upload).distinct().where(_t.run == bindparam("past"), _t.upload.is_not(None))
PEOPLE = select(_e.by).distinct().where(
    _e.upload == bindparam("of_upload"),
    _e.what.in_(select(_values_of("deeds", "d"))),
)  # fmt: skip

ADD_APPROVAL = insert(approvals).values(
    upload=bindparam("upload"), digest=bindparam("digest"), by=bindparam("by"), at=bindparam("at")
)
_of_upload = and_(_a.upload == bindparam("of_upload"), _a.withdrawn_at.is_(None))
OTHER_APPROVALS = select(_a.number, _a.by).where(_of_upload, _a.digest != bindparam("of_digest"))
WITHDRAW_APPROVAL = (
    update(approvals).where(_a.number == bindparam("approval"), _a.withdrawn_at.is_(None))
    .values(withdrawn_at=bindparam("now"))
)  # fmt: skip
APPROVAL = (
    select(_a.digest, _a.by, _a.at, _a.withdrawn_at).where(_of_upload, _a.digest == bindparam("of_digest"))
    .order_by(_a.number.desc()).limit(1)
)  # fmt: skip
REMOVE_APPROVALS = delete(approvals).where(_a.upload == bindparam("of_upload"))

ADD_SESSION = insert(sessions).prefix_with("OR REPLACE", dialect="sqlite").values(
    digest=bindparam("digest"), user=bindparam("user"), expires_at=bindparam("expires_at")
)  # fmt: skip
REMOVE_EXPIRED_SESSIONS = delete(sessions).where(_s.expires_at <= bindparam("now"))
_kept = sessions.alias("kept")
REMOVE_SURPLUS_SESSIONS = delete(sessions).where(
    _s.user == bindparam("of_user"),
    _s.digest.not_in(
        select(_kept.c.digest).where(_kept.c.user == bindparam("of_user"))
        .order_by(_kept.c.expires_at.desc()).limit(_most)
    ),
)  # fmt: skip
"""A program that keeps no cookies would get one more with each request."""
SESSION_USER = select(_s.user).where(_s.digest == bindparam("cookie"), _s.expires_at > bindparam("now"))

# --- the edits of a draft, which a team has in its database, too ------------------------------------------------------

_row_is_listed = _values_of("numbers", "listed")
EDITS_OF_DRAFT = select(*edits.c).where(edits.c.row.in_(select(_row_is_listed))).order_by(edits.c.number)
REFUSALS_OF_DRAFT = select(*refusals.c).where(refusals.c.row.in_(select(_row_is_listed))).order_by(refusals.c.row)
REMOVE_EDITS = delete(edits)
REMOVE_REFUSALS = delete(refusals)

# --- compared.sqlite -------------------------------------------------------------------------------------------------

_comparison = MetaData()

comparison = Table(
    "comparison", _comparison,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)  # fmt: skip
_columns_of_change = ("row", "target", "field", "now", "now_unknown", "new", "size", "size_text")


def _changes(name: str, metadata: MetaData, key: str) -> Table:
    return Table(
        name, metadata,
        Column(key, Integer, primary_key=True),
        Column("row", Integer, nullable=False), Column("target", Text, nullable=False),
        Column("field", Text, nullable=False),  # as people call it
        Column("now", Text), Column("now_unknown", Integer, nullable=False), Column("new", Text),  # NULL: empty
        Column("size", Float), Column("size_text", Text),  # NULL: no number
    )  # fmt: skip


ranked_changes = _changes("changes", _comparison, "rank")  # from 1, the largest jump first
unread_rows = Table(
    "unread", _comparison,
    Column("row", Integer, primary_key=True),
    Column("outcome", Text, nullable=False), Column("message", Text, nullable=False),
    Column("advice", Text, nullable=False),
)  # fmt: skip
found_changes = _changes("found", MetaData(), "number")  # as they come, until all are there
_f, _c = found_changes.c, ranked_changes.c

CREATE_COMPARED = (
    text(f"PRAGMA user_version = {COMPARED_FORMAT}"), *map(CreateTable, _comparison.sorted_tables),
    CreateTable(found_changes),
)  # fmt: skip
SET_COMPARED = insert(comparison).values(name=bindparam("name"), value=bindparam("value"))
COMPARED = select(comparison.c.value).where(comparison.c.name == bindparam("fact"))
ADD_CHANGE = insert(found_changes).values({name: bindparam(name) for name in _columns_of_change})
RANK_CHANGES = (
    insert(ranked_changes).from_select(
        _columns_of_change, select(*(_f[name] for name in _columns_of_change)).order_by(_f.size.desc(), _f.number)
    ),
    text("DROP TABLE found"),
)
ADD_UNREAD = insert(unread_rows).values({column.name: bindparam(column.name) for column in unread_rows.c})
CHANGES = (
    select(*ranked_changes.c).where(_c.rank > bindparam("after")).order_by(_c.rank).limit(bindparam("most"))
)  # fmt: skip
COUNT_CHANGES = select(func.count()).select_from(ranked_changes)
UNREAD = (
    select(*unread_rows.c).where(unread_rows.c.row > bindparam("after")).order_by(unread_rows.c.row)
    .limit(bindparam("most"))
)  # fmt: skip
COUNT_UNREAD = select(func.count()).select_from(unread_rows)


def as_sqlite() -> str:
    """Return every statement above under its name, as `upload_statements` reads them."""
    return as_sql_file(globals(), "upload_tables.py")


if __name__ == "__main__":
    sys.stdout.write(as_sqlite())
