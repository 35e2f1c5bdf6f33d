from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.config.schema import ApiSettings, InputSettings
from batch_updater.errors import InputError, UsageError
from batch_updater.records import Outcome, OutcomeKind
from batch_updater.runs.caller import Caller
from batch_updater.runs.history import (
    Candidate,
    DamagedRun,
    Earlier,
    Facts,
    Identity,
    PastRun,
    earlier_run,
    find_run,
    past_runs,
    read_run,
)
from batch_updater.runs.store import Part
from tests.runs.stored import begun, prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batch_updater.runs.caller import CallerDigest

SAME = Identity("abc", None, {"itemId": "A: Id"}, {}, {"decimal": "."}, "def", "https://a.example")
SALT = "5a" * 16
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE = Outcome(2, OutcomeKind.UPDATED)
FAILED = Outcome(3, OutcomeKind.FAILED)


def caller(values: Mapping[str, str] = MappingProxyType({}), **api: object) -> Caller:
    """Return the caller of a configuration, with what its references give; without any for no reference."""
    return Caller(ApiSettings.model_validate(api), lambda reference, _: values[reference.location])


ANY_CALLER = caller()


def made(
    parent: Path,
    name: str,
    *outcomes: Outcome,
    identity: Identity = SAME,
    digest: CallerDigest | None = None,
    after_s: float = 0,
    ended: bool = True,
) -> Path:
    """Make the folder of a run of three rows, one of them with problems."""
    folder = parent / name
    folder.mkdir()
    facts = Facts(
        identity=identity, caller=digest or ANY_CALLER.digest(SALT, None), input="items.csv", input_path="/items.csv",
        input_file="input.csv", stem="items", endpoint="{}",
        reading=InputSettings(), settings=(), staged_by="1", rows=3, reads_first=False, is_undo=False, undoes=None,
        invocation=None, inbox=None,
    )  # fmt: skip
    started_at = STARTED + timedelta(seconds=after_s)
    with begun(folder / "run.sqlite", (2, 3), facts.as_json(), invalid=(4,), started_at=started_at) as database:
        for outcome in outcomes:
            asyncio.run(database.will_send([prepared(outcome.row)]))
            database.settle(outcome)
        if ended:
            database.flush()
            counts = database.store.counts(OutcomeKind.NOT_SENT)
            database.end_part(Part(started_at, started_at, 5, 1, 2.5, None, None, None, "results.xlsx", counts))
        database.flush()
    return folder


def test_a_run_is_read_from_its_database(tmp_path: Path) -> None:
    """Rows that the database does not know had problems or no turn; the sum is that of the file."""
    past = read_run(made(tmp_path, "20260102-030405-items", DONE))
    assert isinstance(past, PastRun)
    counts = {kind: count for kind, count in past.counts.items() if count}
    assert counts == {OutcomeKind.UPDATED: 1, OutcomeKind.INVALID: 1, OutcomeKind.NOT_SENT: 1}
    assert (past.rows, past.confirmed, past.requests, past.elapsed_s) == (3, 1, 5, 2.5)
    assert (past.identity, past.started_at, past.is_unfinished) == (SAME, STARTED, True)


@pytest.mark.parametrize(("outcomes", "ended", "unfinished"), [
    ((DONE, replace(DONE, row=3)), True, False), ((DONE, replace(DONE, row=3)), False, True),
    ((DONE, FAILED), True, True), ((DONE, replace(DONE, row=3, kind=OutcomeKind.REJECTED)), True, False),
])  # fmt: skip
def test_when_a_run_is_unfinished(
    tmp_path: Path, outcomes: tuple[Outcome, ...], *, ended: bool, unfinished: bool
) -> None:
    """As long as a row is not done, or its last part has not come to its end."""
    past = read_run(made(tmp_path, "20260102-030405-items", *outcomes, ended=ended))
    assert isinstance(past, PastRun)
    assert past.is_unfinished == unfinished


def test_the_newest_run_of_the_same_counts(tmp_path: Path) -> None:
    """An unfinished run that was restarted since is not resumed."""
    old = made(tmp_path, "20260102-030405-items", DONE, FAILED)
    assert _earlier(tmp_path).resumed == read_run(old)
    new = made(tmp_path, "20260102-030405-items-2", DONE, replace(DONE, row=3), after_s=0.5)
    found = _earlier(tmp_path)
    assert (found.resumed, found.finished, found.note) == (None, read_run(new), None)


def _earlier(
    parent: Path, identity: Identity = SAME, by: Caller = ANY_CALLER, *, stem: str = "items", restart: bool = False
) -> Earlier:
    return earlier_run(parent, Candidate(identity, by), "/items.csv", stem, restart=restart)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": "x"}, "the content of the file"), ({"sheet": "S"}, "the sheet"),
        ({"constants": {"a": "b"}, "mapping": {}}, "which column is which field and the constants"),
        ({"content": "x", "sheet": "S", "base_url": None},
         "the content of the file, the sheet and the address of the API"),
    ],
)  # fmt: skip
def test_what_has_changed_is_said(tmp_path: Path, change: dict[str, object], words: str) -> None:
    """An unfinished run of the same file that is not resumed is named, with what differs."""
    made(tmp_path, "20260102-030405-items", DONE, FAILED)
    found = _earlier(tmp_path, replace(SAME, **change))
    assert found.resumed is None
    assert found.note == (
        f"The unfinished run 20260102-030405-items is not resumed, because this has changed since: {words}."
    )


def test_a_finished_or_unrelated_run_is_not_spoken_of(tmp_path: Path) -> None:
    """Only what is unfinished and about the same file concerns a new run."""
    made(tmp_path, "20260102-030405-items", DONE, replace(DONE, row=3))
    assert _earlier(tmp_path, replace(SAME, content="x")).note is None
    made(tmp_path, "20260102-030406-other", FAILED, identity=replace(SAME, content="y"), after_s=1)
    assert earlier_run(tmp_path, Candidate(SAME, ANY_CALLER), "/another.csv", "another", restart=False).note is None


def test_a_database_that_the_system_withholds_is_not_called_damaged(tmp_path: Path) -> None:
    """A user who may not read it is told so, and whom to ask."""
    folder = made(tmp_path, "20260102-030405-items", DONE, FAILED)
    folder.chmod(0)
    user = os.geteuid()
    if not user:
        os.seteuid(65_534)  # root may read whatever can be read
    try:
        with pytest.raises(InputError, match=r"its database run\.sqlite cannot be read: Permission denied") as raised:
            find_run(tmp_path, folder.name)
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
    assert raised.value.remedy == "Ask for it as the user that ran it."


def test_a_damaged_database_of_such_a_file_is_refused(tmp_path: Path) -> None:
    """Whether it is the same run cannot be told; one of another file, or with --restart, is passed over."""
    folder = made(tmp_path, "20260102-030405-items", DONE, FAILED)
    (folder / "run.sqlite").write_bytes(b"x" * 5000)
    assert isinstance(read_run(folder), DamagedRun)
    with pytest.raises(InputError, match="is damaged") as raised:
        _earlier(tmp_path)
    assert "--restart" in raised.value.remedy
    assert _earlier(tmp_path, restart=True).resumed is None
    assert _earlier(tmp_path, stem="other").resumed is None
    (folder / "input.csv").write_text("other rows", encoding="utf-8")  # the copy tells that it was another content
    assert _earlier(tmp_path).resumed is None
    with pytest.raises(InputError, match="is damaged"):
        find_run(tmp_path, folder.name)


def test_a_database_of_another_version_is_not_called_damaged(tmp_path: Path) -> None:
    """A person with that version can still read it, and let the run go on."""
    folder = made(tmp_path, "20260102-030405-items", DONE, FAILED)
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 5")
    for ask in (lambda: find_run(tmp_path, folder.name), lambda: _earlier(tmp_path)):
        with pytest.raises(InputError, match="is of another version of the program: it is of the format 5") as raised:
            ask()
        assert "version" in raised.value.remedy


def test_a_run_that_was_never_begun_is_no_run(tmp_path: Path) -> None:
    """Killed before its database had its name, a run has sent nothing."""
    folder = tmp_path / "20260102-030405-items"
    folder.mkdir()
    for name in ("input.csv", "database.sqlite-new"):
        (folder / name).touch()
    (folder / "database.sqlite-commits").write_bytes(bytes(8))
    assert list(past_runs(tmp_path)) == []
    (tmp_path / "items.csv").write_text("Id", encoding="ascii")
    with pytest.raises(UsageError, match="is a file, not the folder of a run"):
        find_run(tmp_path, str(tmp_path / "items.csv"))
    (tmp_path / "loop").symlink_to("loop")
    for name in ("20260102-030405-items", "x" * 300, "loop", "loop/x"):
        with pytest.raises(UsageError, match="There is no run"):
            find_run(tmp_path, name)


def test_a_run_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    """As a person names it, from wherever they are."""
    folder = made(tmp_path, "20260102-030405-items", DONE)
    assert find_run(tmp_path, folder.name).folder == folder
    assert find_run(tmp_path / "elsewhere", str(folder)).folder == folder
