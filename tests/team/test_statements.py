"""The statements of a run do the same in a team's database as in a file, and touch no other run there."""

from __future__ import annotations

import json
import re
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from batch_updater.runs import statements
from batch_updater.runs.statements import statements_in
from batch_updater.runs.store import Store
from batch_updater.runs.team_rows import TABLES, copy_back, copy_run
from batch_updater.runs.team_store import TeamStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.runs.team_database import TeamDatabase

_SQLITE, _POSTGRES = statements_in("sqlite.sql"), statements_in("postgres.sql")
_TABLES = "|".join((*TABLES, "blocks"))
_NAMED = re.compile(rf"(?:\b(?:FROM|UPDATE)|,(?! \w+\))) ({_TABLES})\b(?![.(=\w]| =)(?: AS (\w+))?")
_BOUND = re.compile(r"\b(\w+)\.run = %\((?:earlier_)?run\)s::bigint")


@pytest.mark.parametrize("name", _POSTGRES)
def test_every_table_of_a_statement_is_bound_to_its_run(name: str) -> None:
    """However often it is named, and under whichever alias; what is inserted has the run."""
    for text in _POSTGRES[name]:
        bound = _BOUND.findall(text)
        assert sorted(alias or table for table, alias in _NAMED.findall(text)) == sorted(bound)
        if text.startswith("INSERT"):
            assert re.match(r"INSERT INTO \w+ \(run, ", text)
            assert re.search(r"(VALUES \(|\) SELECT )%\(run\)s::bigint, ", text)
            assert "ON CONFLICT (run, " in text or "ON CONFLICT" not in text
        else:
            assert bound


# --- the same in both ------------------------------------------------------------------------------------------------

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
_json = st.one_of(st.none(), st.lists(_text, max_size=2).map(json.dumps))
_number, _time = st.integers(2, 9), st.floats(0, 4e9)
_small, _flag, _status = st.integers(0, 5), st.integers(0, 1), st.one_of(st.none(), st.integers(100, 599))
_kind = st.sampled_from(["updated", "unchanged", "rejected", "failed", "unconfirmed", "not_sent", "differs"])
_maybe = st.one_of(st.none(), _text)
_target = st.sampled_from(["id=1", "id=2", "id=é", ""])
_fields = st.sampled_from(['[["a"],["i",5]]', '[["a"],["n",null]]', '[["a","b"],["ss","x",[]]]', '[["a"],["",{}]]'])


def _of_json(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Return arrays of JSON for some rows, each row once."""
    return st.lists(st.tuples(_number, *parts), max_size=3, unique_by=lambda one: one[0]).map(json.dumps)


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("number", "row", "of_row", "after", "after_row", "after_number", "earlier"), _number),
    **dict.fromkeys(("when", "new_ended_at", "started_at", "accepted_at"), _time),
    **dict.fromkeys(("took", "wait", "new_elapsed_s", "undone_at"), st.one_of(st.none(), _time)),
    **dict.fromkeys(("commit", "commit_number", "tries", "nth", "most", "of_batch", "batch_of_edit"), _small),
    **dict.fromkeys(("position", "at_position", "width", "first", "new_requests", "new_retries", "further"), _small),
    **dict.fromkeys(("is_repeated", "new_is_repeated", "by_cell"), _flag),
    **dict.fromkeys(("new_state", "state"), st.sampled_from(["invalid", "ready", "in_flight", "finished"])),
    **dict.fromkeys(("new_waits_for", "place"), st.one_of(st.none(), _number)),
    **dict.fromkeys(("target", "new_target"), _target),
    **dict.fromkeys(("fields", "new_fields"), _fields),
    **dict.fromkeys(("cells", "new_cells", "value", "list", "problems"), st.just('["s","x"]')),
    **dict.fromkeys(("found", "new_problems", "record", "answer", "new_counts", "before", "left"), _json),
    **dict.fromkeys(("path", "new_path", "query", "new_query", "body", "new_body"), _text),
    **dict.fromkeys(("said", "remedy", "why", "verb", "meaning", "who", "author", "old", "new", "depends_on"), _text),
    **dict.fromkeys(("text", "new_stopped", "new_stop_message", "new_stop_advice", "new_results"), _maybe),
    **dict.fromkeys(("accepted_by", "undone_by", "before_shown", "left_shown"), _maybe),
    "http": _status, "kind": _kind, "unsent": st.sampled_from(["not_sent", "planned"]), "doubt": st.booleans(),
    "name": st.sampled_from(["reads_first", "a", "report"]), "field": st.sampled_from(["a", "b"]),
    "limit": st.one_of(st.none(), st.integers(1, 6)),
    "numbers": st.lists(_number, max_size=4).map(json.dumps), "targets": st.lists(_target, max_size=3).map(json.dumps),
    "ragged": st.just('%"RAGGED"%'), "pattern": st.just("%a%"),
}  # fmt: skip
_BATCHES = {
    "WRITE_MANY": st.one_of(
        _of_json(st.none(), _small),
        _of_json(_kind, _small, _status, _time, st.one_of(st.none(), _time), _maybe, _maybe),
    ),
    "KEEP_BEFORE": _of_json(_text),
    "KEEP_FINE_ATTEMPTS": _of_json(_small, _text, _time, st.one_of(st.none(), _time), _time, _status, _text),
}  # fmt: skip
_RESUME = ("NEVER_SENT", "KEEP_IN_FLIGHT", "RESUME", "COUNT_AS_EARLIER", "NEW_PART")
_STEPS = [
    name
    for name, texts in _POSTGRES.items()
    if name in _SQLITE and not texts[0].startswith("SELECT") and name not in {*_RESUME, "STAGE", "COPY_EDIT", "EXPECT"}
]
_READ = [
    name
    for name, (text, *_) in _POSTGRES.items()
    if name in _SQLITE and text.startswith("SELECT") and "earlier_run" not in text
]


def _values_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    parameters = {one for text in _SQLITE[name] for one in re.findall(r"(?<!:):(\w+)", text)}
    others = {"batch": _BATCHES.get(name, _small), "at": _small if name == "NUMBER_AT" else _time}
    return st.fixed_dictionaries({one: {**_VALUES, **others}[one] for one in sorted(parameters)})


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Return statements that write, with their values."""
    steps: list[tuple[str, dict[str, Any]]] = []
    for _ in range(draw(st.integers(0, 6))):
        # After those of a resumption comes a part, always.
        names = draw(st.one_of(st.sampled_from(_STEPS).map(lambda name: (name,)), st.just(_RESUME)))
        steps += [(name, draw(_values_of(name))) for name in names]
    return steps


@st.composite
def _staged(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Return statements that fill an empty store with rows, a part and what belongs to them."""
    numbers = draw(st.lists(_number, min_size=1, max_size=6, unique=True))
    rows = [("STAGE", {**draw(_values_of("STAGE")), "number": number}) for number in numbers]
    more = draw(st.lists(st.sampled_from(["EXPECT", "ADD_EDIT", "ADD_REFUSAL", "WAIT", "PLACE", "LEARN"]), max_size=5))
    # Every row with a place is one that was added behind all others.
    staged = {"name": "staged", "value": '{"columns": {"origin": {"next_row": 0}}}'}
    return [("SET_FACT", staged), *rows, *((name, draw(_values_of(name))) for name in (*more, "NEW_PART"))]


def _do(store: Store, steps: list[tuple[str, dict[str, Any]]]) -> None:
    for name, values in steps:
        for statement in statements.in_order(name):
            store.execute(statement, **values)


def _content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: store.sqlite.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()  # noqa: S608  (constants)
        for table in TABLES
    }


def _content_of_team(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    assert isinstance(store, TeamStore)
    with Store.temporary() as copy:
        copy_back(store.rows_of_run, copy)
        return _content(copy)


_runs = count()


def _new_run(team: TeamDatabase, store: Store) -> str:
    name = f"run-{next(_runs)}"
    with team.connected(autocommit=False) as connection:
        query = "INSERT INTO runs (name, origin) VALUES (%s, 'http://localhost') RETURNING id"
        (number,) = connection.execute(query, (name,)).fetchone() or (0,)
        copy_run(store, connection, number, {})
    return name


@pytest.mark.debian
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
    phases=(Phase.generate,),  # to make an example smaller takes minutes
)
@given(_staged(), _steps(), st.data())
def test_statements_leave_the_same_records_in_both_stores_and_none_of_another_run(
    team: TeamDatabase, staged: list[tuple[str, dict[str, Any]]], steps: list[tuple[str, dict[str, Any]]], data: Any
) -> None:
    """Every statement that both have, in any order, with any values; then every selection finds the same."""
    with Store.temporary() as store:
        _do(store, staged)
        name, other = _new_run(team, store), _new_run(team, store)
        before = _content(store)
        with team.store(name) as ours, team.store(other) as others:
            assert _content_of_team(ours) == before
            for one in (store, ours):
                _do(one, steps)
            assert _by_key(_content_of_team(ours)) == _by_key(_content(store))
            assert _content_of_team(others) == before
            for selection in _READ:
                values = data.draw(_values_of(selection))
                assert _found(ours, selection, values) == _found(store, selection, values), selection


def _by_key(content: Mapping[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return records whose order does not count in one that is the same for both."""
    return {
        name: records if name in {"names", "expected"} else sorted(records, key=repr)
        for name, records in content.items()
    }


def _found(store: Store, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    records = store.execute(statements.in_order(name)[0], **values).fetchall()
    return records if "ORDER BY" in _SQLITE[name][0].rpartition("FROM")[2] else sorted(records, key=repr)
