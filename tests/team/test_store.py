"""The rows of a run in a team's database: blocks, second claims, and what fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.config.environment import Environment
from batch_updater.config.secrets import Secret
from batch_updater.errors import StoreError, UsageError
from batch_updater.records import AllowedList, AllowedValue, Outcome, OutcomeKind
from batch_updater.runs import statements
from batch_updater.runs.history import DATABASE
from batch_updater.runs.store import Store, WithheldStoreError, faults_named, opened_store, reason_of
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.runs.team_folders import joined, team_of
from batch_updater.runs.team_rows import Cut, block_of, copy_run, cut_into_blocks
from batch_updater.team.migrate import migrate
from tests.loader.described import endpoint
from tests.team.postgres import PostgresServer
from tests.web.queue import config_in

_UNSENT = Outcome(0, OutcomeKind.NOT_SENT)


def _row(number: int, target: str, **others: object) -> dict[str, object]:
    return {
        "number": number, "commit_number": 0, "state": "ready", "target": target, "cells": f'["s","{number}"]',
        "fields": f'[["id"],["i",{number}]]', "path": f"/items/{number}", "query": "", "body": "{}", "problems": None,
        **others,
    }  # fmt: skip


def _fill(store: Store, rows: int, targets: int = 10_000) -> None:
    with store.transaction():
        store.executemany(statements.STAGE, (_row(number, f"id={number % targets}") for number in range(2, rows + 2)))
        store.execute(statements.NEW_PART, started_at=1.5)


_runs = count()


def _submit(team: TeamDatabase, store: Store, cut: Cut | None = None) -> str:
    name = f"run-{next(_runs)}"
    with team.connected(autocommit=False) as connection:
        query = "INSERT INTO runs (name, origin) VALUES (%s, 'http://localhost') RETURNING id"
        (number,) = connection.execute(query, (name,)).fetchone() or (0,)
        copy_run(store, connection, number, {"team": True}, cut)
    return name


@contextmanager
def _run_of_team(team: TeamDatabase, rows: int, cut: Cut | None = None, targets: int = 10_000) -> Iterator[Store]:
    with Store.temporary() as draft:
        _fill(draft, rows, targets)
        name = _submit(team, draft, cut)
    with team.store(name) as store:
        yield store


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.debian)])
def filled(request: pytest.FixtureRequest) -> Iterator[Callable[[int], Store]]:
    """Give what makes a store with so many rows, in a file or in a team's database."""
    opened: list[Store] = []

    def of(rows: int) -> Store:
        store = Store.temporary()
        opened.append(store)
        _fill(store, rows)
        if request.param == "postgres":
            team: TeamDatabase = request.getfixturevalue("team")
            store = team.store_of(Path(_submit(team, store), DATABASE))
            opened.append(store)
        return store

    yield of
    for store in opened:
        store.close()


def _write(store: Store, records: list[tuple[object, ...]]) -> None:
    store.execute(statements.WRITE_MANY, commit=1, batch=json.dumps(records))


# --- in both ---------------------------------------------------------------------------------------------------------


def test_a_selection_of_any_length_is_read_while_others_are_executed(filled: Callable[[int], Store]) -> None:
    """Several batches of it, in order, and each row once."""
    store = filled(1_700)
    numbers = []
    for row in store.rows(_UNSENT):
        numbers.append(row.number)
        if row.number % 400 == 0:
            assert store.last_row() == 1_701
    assert numbers == list(range(2, 1_702))
    assert [row.number for row in islice(store.rows(_UNSENT, after=1_690), 3)] == [1_691, 1_692, 1_693]
    with closing(store.execute(statements.KINDS, unsent="not_sent")) as kinds:
        assert kinds.fetchone() == (2, "not_sent")
        assert [number for number, _ in kinds.fetchmany(600)] == list(range(3, 603))
        assert len(kinds.fetchall()) == 1_700 - 601


def test_jobs_come_in_the_order_of_the_file_up_to_a_limit(filled: Callable[[int], Store]) -> None:
    """Added rows come behind the row that they are below."""
    store = filled(600)
    store.set_facts({"staged": {"columns": {"origin": {"next_row": 601}}}})
    store.execute(statements.PLACE, row=601, place=3)
    _write(store, [(2, "updated", 1, 200, 1.5, 0.5)])
    assert [prepared.job.row for prepared in islice(store.jobs(endpoint()), 3)] == [3, 601, 4]
    assert [prepared.job.row for prepared in store.jobs(endpoint(), 4)] == [3, 4, 5]
    assert (store.to_send(), store.to_send(4)) == (599, 3)


def test_a_resumed_run_sends_what_is_not_confirmed_and_keeps_what_is_known(filled: Callable[[int], Store]) -> None:
    """A row in flight may have been applied, and its attempts count as earlier ones."""
    store = filled(5)
    _write(store, [(2, "updated", 1, 200, 1.5, 0.5), (3, None, 1)])
    with store.transaction():
        store.make_ready()
    assert [prepared.job.row for prepared in store.jobs(endpoint())] == [3, 4, 5, 6]
    assert [prepared.job.maybe_applied for prepared in store.jobs(endpoint())] == [True, False, False, False]
    assert [attempt.why for attempt in store.attempts(3)] == [statements.ENDED_IN_FLIGHT]
    counts = store.counts(OutcomeKind.NOT_SENT)
    assert (counts[OutcomeKind.UPDATED], counts[OutcomeKind.UNCONFIRMED]) == (1, 1)


def test_names_are_kept_in_the_order_in_which_they_were_learned(filled: Callable[[int], Store]) -> None:
    """A list that is learned again is the last."""
    store = filled(1)
    first, second = (AllowedList(field, (), (AllowedValue("x", 1),)) for field in ("b", "a"))
    store.learn([first, second])
    assert store.names() == (first, second)
    values = {"commit": 2, "field": "b", "depends_on": "[]", "list": '[{"name": "y", "id": 2}]'}
    store.execute(statements.LEARN, **values)
    assert store.names() == (second, AllowedList("b", (), (AllowedValue("y", 2),)))


@pytest.mark.parametrize("number", [0.1, 1e-300, 1.7976931348623157e308, 1764460800.123457])
def test_times_and_texts_come_back_as_they_were(filled: Callable[[int], Store], number: float) -> None:
    """Floats to the last bit, and texts of any length."""
    store, text = filled(1), "é😀\\'\"%s %(x)s \x01\u2028" * 100_000
    record = json.dumps({"amount": "12345678901234567890.123", "text": text})
    _write(store, [(2, "updated", 1, 200, number, number, record, record)])
    (found,) = store.execute(statements.ROWS, unsent="not_sent", after=0).fetchall()
    assert (found[8], found[9], found[18], found[19]) == (number, number, record, record)


def test_a_copy_for_a_comparison_forgets_what_became_of_the_rows(
    filled: Callable[[int], Store], tmp_path: Path
) -> None:
    """And only the copy does."""
    store = filled(3)
    store.set_facts({"staged": {"a": "\0"}})
    _write(store, [(2, "updated", 1, 200, 1.5, 0.5), (3, None, 1)])
    with store.copied_to(tmp_path / DATABASE) as copy:
        assert [row.outcome.kind for row in copy.rows(_UNSENT)] == [OutcomeKind.NOT_SENT] * 3
        assert copy.sqlite.execute("SELECT count(*) FROM rows WHERE cells LIKE '[\"s\"%'").fetchone() == (3,)
        assert copy.fact("staged") == {"a": "\0"}
    assert [row.outcome.kind for row in store.rows(_UNSENT)][:2] == [OutcomeKind.UPDATED, OutcomeKind.UNCONFIRMED]


# --- blocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.debian
def test_blocks_hold_every_row_once_and_those_of_one_target_together(team: TeamDatabase) -> None:
    """As they are copied, and in order; cutting them finds nothing to change then."""
    with _run_of_team(team, 1_000, Cut(100), targets=37) as store:
        with store.transaction():
            assert cut_into_blocks(store, Cut(100)) == 10
        blocks = [[prepared.job for prepared in store.jobs(endpoint(), block=number)] for number in range(10)]
        assert sorted(job.row for jobs in blocks for job in jobs) == list(range(2, 1_002))
        assert all([job.row for job in jobs] == sorted(job.row for job in jobs) for jobs in blocks)
        targets = [{job.target for job in jobs} for jobs in blocks]
        assert sum(map(len, targets)) == 37
        assert [len(jobs) for jobs in blocks if jobs] == [rows for _, _, rows in _blocks(team, store) if rows]


@pytest.mark.debian
def test_a_part_that_is_resumed_is_cut_into_blocks_again(team: TeamDatabase) -> None:
    """Rows that are confirmed are in no block, and who had a block before has an epoch that is past."""
    with _run_of_team(team, 100, Cut(10)) as store:
        with store.transaction():
            cut_into_blocks(store, Cut(10))
        _write(store, [(number, "updated", 1, 200, 1.5, 0.5) for number in range(2, 92)])
        with store.transaction():
            store.make_ready()
            assert cut_into_blocks(store, Cut(3, limit=95)) == 2
        found = _blocks(team, store)
        assert sum(rows for _, _, rows in found) == 5
        assert {state for _, state, rows in found if not rows} == {"done"}
        assert {state for _, state, rows in found if rows} == {"waiting"}
        with team.connected() as connection:
            assert connection.execute("SELECT min(epoch) FROM blocks").fetchone() == (1,)


def _blocks(team: TeamDatabase, store: Store) -> list[tuple[int, str, int]]:
    assert store.path
    query = 'SELECT number, b.state, "rows" FROM blocks b JOIN runs ON id = run WHERE name = %s ORDER BY number'
    with team.connected() as connection:
        found: list[Any] = connection.execute(query, (store.path.parent.name,)).fetchall()
    return found


@pytest.mark.debian
def test_only_the_rows_of_a_block_that_was_given_up_may_have_been_applied(team: TeamDatabase) -> None:
    """What its worker has finished stays."""
    with _run_of_team(team, 40, Cut(10), targets=40) as store:
        with store.transaction():
            cut_into_blocks(store, Cut(10))
        rows = [prepared.job.row for prepared in store.jobs(endpoint(), block=1)]
        other = next(prepared.job.row for prepared in store.jobs(endpoint(), block=2))
        _write(store, [(rows[0], None, 1), (rows[1], "updated", 1, 200, 1.5, 0.5), (other, None, 1)])
        with store.transaction():
            for statement in statements.in_order("READY_BLOCK"):
                store.execute(statement, block=1)
        left = [prepared.job for prepared in store.jobs(endpoint(), block=1)]
        assert [job.row for job in left] == [rows[0], *rows[2:]]
        assert [job.maybe_applied for job in left][:2] == [True, False]
        assert [(one.number, one.why) for one in store.attempts(rows[0])] == [(1, statements.ENDED_IN_FLIGHT)]
        assert [row.number for row in store.rows(_UNSENT) if row.outcome.cause == statements.ENDED_IN_FLIGHT] == sorted(
            [rows[0], other]
        )


@pytest.mark.debian
def test_postgresql_computes_the_block_that_this_program_does(team: TeamDatabase) -> None:
    """Of any target."""

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.integers(1, 2**31))
    def check(target: str, blocks: int) -> None:
        assert connection.execute(query, (target, blocks)).fetchone() == (block_of(target, blocks),)

    with team.connected() as connection:
        number = "('x' || left(encode(sha256(convert_to(coalesce({}, ''), 'UTF8')), 'hex'), 8))::bit(32)::bigint"
        assert number.format("rows.target") in statements.in_order("CUT_INTO_BLOCKS")[0]
        query = f"SELECT {number.format('%s::text')} %% %s::bigint"
        check()


def test_targets_are_spread_evenly_over_the_blocks() -> None:
    """None of a hundred blocks has much more or less than its hundredth, although the targets differ by little."""
    sizes = Counter(block_of(f"Id={number}", 100) for number in range(100_000))
    assert len(sizes) == 100
    assert all(850 < size < 1_150 for size in sizes.values())


def test_no_statement_needs_a_digest_that_fips_mode_refuses() -> None:
    """PostgreSQL answers md5 with an error where its OpenSSL allows only approved algorithms."""
    files = list(Path(statements.__file__).parent.glob("*.sql"))
    assert files
    assert not [file.name for file in files if "md5" in file.read_text(encoding="utf-8").lower()]


# --- what PostgreSQL refuses, and what fails -------------------------------------------------------------------------


@pytest.mark.debian
def test_a_failed_transaction_leaves_nothing_and_the_store_can_be_used(team: TeamDatabase) -> None:
    """Its rows are as before."""

    def fail(statement: str, values: dict[str, object]) -> None:
        with store.transaction():
            store.execute(statements.MARK_REPEATED, row=2)
            store.execute(statement, **values)

    with _run_of_team(team, 2) as store:
        with pytest.raises(psycopg.errors.UniqueViolation):
            fail(statements.STAGE, _row(2, "id=2"))
        with pytest.raises(psycopg.ProgrammingError, match="missing"):
            fail(statements.STAGE, {})
        assert not any(row.is_repeated for row in store.rows(_UNSENT))


@pytest.mark.debian
def test_an_answer_with_nul_is_kept_as_it_is_shown(team: TeamDatabase) -> None:
    """PostgreSQL cannot hold the character; a run does not end because of it."""
    with _run_of_team(team, 2) as store:
        values = {"commit": 1, "kind": "rejected", "tries": 1, "http": 400, "said": "a\0b", "remedy": "", "why": "400",
                  "found": None, "at": 1.0, "took": 0.5, "record": None, "answer": None, "doubt": False}  # fmt: skip
        store.execute(statements.SETTLE, row=2, **values)
        _write(store, [(3, "updated", 1, 200, 1.5, 0.5, '{"a": "\\u0000"}', '{"b": "\0"}')])
        first, second = store.rows(_UNSENT)
        assert first.outcome.message == r"a\x00b"
        assert second.outcome.kept
        assert (second.outcome.kept.before, second.outcome.kept.reported) == ('{"a": "\\u0000"}', r'{"b": "\x00"}')


@pytest.mark.debian
def test_half_a_surrogate_is_refused_as_by_a_file(team: TeamDatabase) -> None:
    """Bytes of a file's name that are no text: as the writer of a run expects it."""
    with _run_of_team(team, 1) as store, pytest.raises(UnicodeEncodeError):
        store.execute(statements.SET_FACT, name="a", value="\udc80")


@pytest.mark.debian
def test_a_row_with_nul_cannot_be_submitted_and_nothing_is_left_of_the_run(team: TeamDatabase) -> None:
    """A clear error: no such row is staged from a file, which refuses the character."""
    with Store.temporary() as draft:
        _fill(draft, 1)
        draft.execute(statements.STAGE, **_row(9, "id=\0"))
        with pytest.raises(psycopg.DataError, match="NUL"):
            _submit(team, draft)
    with team.connected() as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM rows)").fetchone() == (0,)


@pytest.mark.debian
def test_what_is_removed_with_a_run_is_all_of_it(team: TeamDatabase) -> None:
    """And nothing of another one."""
    with _run_of_team(team, 3), _run_of_team(team, 2) as store, team.connected() as connection:
        assert store.path
        connection.execute("DELETE FROM runs WHERE name <> %s", (store.path.parent.name,))
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM parts").fetchone() == (1,)


@pytest.mark.debian
def test_a_run_that_the_team_has_not_is_named(team: TeamDatabase) -> None:
    """As a person may mistype it."""
    with pytest.raises(UsageError, match="The team has no run nothing"), team.store("nothing"):
        pass


@pytest.mark.debian
def test_runs_of_a_folder_that_is_a_teams_are_read_from_its_database(
    team: TeamDatabase, address: str, tmp_path: Path
) -> None:
    """By the path that their database would have; another folder has files."""
    config = config_in(tmp_path, "http://127.0.0.1:1", team={"database": "env:TEAM_DATABASE"})
    folder = config.results.folder
    with Store.temporary() as draft:
        _fill(draft, 3)
        name = _submit(team, draft)
    with joined(config, Environment({"TEAM_DATABASE": address})) as database:
        assert team_of(folder) is database
        with opened_store(folder / name / DATABASE) as store, closing(Store.reading(store.path or Path())) as again:
            assert store.last_row() == again.last_row() == 4
            assert (store.facts(), len(store.parts())) == ({"team": True}, 1)
            store.require_whole()
        with pytest.raises(FileNotFoundError), opened_store(folder / "other" / DATABASE):
            pass
    assert team_of(folder) is None
    with pytest.raises(FileNotFoundError), opened_store(folder / name / DATABASE):
        pass


@pytest.mark.debian
def test_a_lost_connection_is_told_without_names_and_the_next_one_is_new(
    server: PostgresServer, tmp_path: Path
) -> None:
    """PostgreSQL goes down as when its machine does: who reads is told, and all goes on once it is there again."""
    config = config_in(tmp_path, "http://127.0.0.1:1", team={"database": "env:TEAM_DATABASE"})
    address = server.new_database()
    with closing(TeamDatabase(Secret(address_of(address)))) as made:
        migrate(made)
        with Store.temporary() as draft:
            _fill(draft, 3)
            name = _submit(made, draft)
    path = config.results.folder / name / DATABASE
    with joined(config, Environment({"TEAM_DATABASE": address})):
        with pytest.raises(WithheldStoreError, match="connection"):
            _read_while(path, lambda: server.stop("immediate"))
        with pytest.raises(StoreError, match="cannot be read") as raised, faults_named(path, "read"):
            Store.reading(path)
        server.start()
        assert not {"127.0.0.1", "secret", "postgres"} & set(str(raised.value).replace('"', " ").split())
        with opened_store(path) as store:
            assert store.last_row() == 4


def _read_while(path: Path, happens: Callable[[], None]) -> None:
    with opened_store(path) as store:
        happens()
        store.last_row()


def test_the_names_in_what_postgresql_says_of_a_connection_are_not_shown() -> None:
    """Its host, user and database, which are in quotes."""
    error = psycopg.OperationalError(
        'connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL:  password authentication '
        'failed for user "anna"'
    )
    assert "password authentication failed" in reason_of(error)
    assert not {"10.0.0.1", "anna"} & set(reason_of(error).replace('"', " ").replace(",", " ").split())


def test_without_a_team_nothing_of_postgresql_is_imported() -> None:
    """It would make every command start later."""
    code = (
        "import sys, batch_updater.cli.commands, batch_updater.runs.team_folders, batch_updater.runs.run;"
        "print({'psycopg', 'procrastinate', 'alembic', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.debian
def test_what_is_confirmed_is_on_disk_whatever_the_databases_defaults_are(address: str, team: TeamDatabase) -> None:
    """A database may be told not to wait for its disk: rows that were confirmed would be sent again after a crash."""
    with psycopg.connect(address, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'".encode())
    with closing(TeamDatabase(Secret(team.address))) as other, other.connected() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
