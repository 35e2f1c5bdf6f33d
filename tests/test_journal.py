"""journal.py: what is known about every row, on disk."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from batch_updater.endpoint.request import Prepared, Request
from batch_updater.errors import JournalError
from batch_updater.records import AllowedList, AllowedValue, Job, Outcome, OutcomeKind, Problem, RecordSnapshots
from batch_updater.runs.journal import Journal, Part

if TYPE_CHECKING:
    from pathlib import Path

STARTED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
REJECTED = Outcome(
    row=3,
    kind=OutcomeKind.REJECTED,
    message="Category 'x' not found.",
    advice="Correct it.",
    cause="400",
    problems=(Problem(3, "size", "name-not-accepted", "x", "'x' is no size.", "Did you mean 'xl'?"),),
    status=400,
    attempts=2,
    sent_at=datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC),
    seconds=0.25,
)


def created(path: Path) -> Journal:
    return Journal.create(path, {"rows": 3}, STARTED)


def request(row: int) -> Request:
    return Request("PUT", f"/items/{row}", "", b"{}", "application/json")


def ready(row: int) -> Prepared:
    return Prepared(Job(row, f"id={row}", {"id": row}), request(row))


def test_an_outcome_comes_back_as_it_was_given(tmp_path: Path) -> None:
    """Every part of an outcome survives the journal."""
    with created(tmp_path / "journal.sqlite") as journal:
        asyncio.run(journal.settle(REJECTED))
        journal.flush()
        assert list(journal.outcomes()) == [REJECTED]


def test_a_row_that_may_be_in_flight_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    """When will_send returns, another reader of the file sees the row, and it counts as unconfirmed."""
    path = tmp_path / "journal.sqlite"
    with created(path) as journal:
        asyncio.run(journal.will_send([ready(7)]))
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT number, target, kind FROM rows").fetchall() == [(7, "id=7", None)]
        reader.close()
        (outcome,) = journal.outcomes()
        assert (outcome.row, outcome.kind, outcome.attempts) == (7, OutcomeKind.UNCONFIRMED, 1)


def test_outcomes_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    """However they were settled, outcomes are read by row number, one each."""

    async def settle(journal: Journal) -> None:
        for row in (9, 2, 5):
            await journal.will_send([ready(row)])
        for row in (5, 9, 2):
            await journal.settle(Outcome(row, OutcomeKind.UPDATED, attempts=1))

    with created(tmp_path / "journal.sqlite") as journal:
        asyncio.run(settle(journal))
        journal.flush()
        assert [(outcome.row, outcome.kind) for outcome in journal.outcomes()] == [
            (2, OutcomeKind.UPDATED), (5, OutcomeKind.UPDATED), (9, OutcomeKind.UPDATED),
        ]  # fmt: skip


def test_many_waiting_at_once_are_all_released(tmp_path: Path) -> None:
    """Rows that wait for the disk together share a commit and all go on."""

    async def send_all(journal: Journal) -> None:
        await asyncio.gather(*(journal.will_send([ready(row)]) for row in range(500)))

    with created(tmp_path / "journal.sqlite") as journal:
        asyncio.run(send_all(journal))
        assert sum(1 for _ in journal.outcomes()) == 500


def test_a_journal_that_cannot_be_written_stops_the_sending(tmp_path: Path) -> None:
    """Once a commit fails, will_send, settle and flush raise JournalError, and go on raising it."""
    path = tmp_path / "journal.sqlite"
    with created(path) as journal:
        saboteur = sqlite3.connect(path)
        saboteur.execute("DROP TABLE rows")
        saboteur.commit()
        saboteur.close()
        for _ in range(2):
            with pytest.raises(JournalError, match="journal"):
                asyncio.run(journal.will_send([ready(1)]))
        with pytest.raises(JournalError):
            asyncio.run(journal.settle(REJECTED))
        with pytest.raises(JournalError):
            journal.flush()


def test_a_journal_that_cannot_be_made_names_its_file(tmp_path: Path) -> None:
    """A folder that does not exist is a JournalError with the path, not an error of SQLite."""
    with pytest.raises(JournalError, match="nowhere"):
        created(tmp_path / "nowhere" / "journal.sqlite")


def test_a_reopened_journal_knows_what_is_done_and_what_is_open(tmp_path: Path) -> None:
    """Confirmed requests are kept, unless the row now asks for something else; requests of all parts are counted."""

    async def first(journal: Journal) -> None:
        for row in range(1, 6):
            await journal.will_send([ready(row)])
        await journal.settle(Outcome(1, OutcomeKind.UPDATED, attempts=2))
        await journal.settle(Outcome(2, OutcomeKind.FAILED, attempts=3))
        await journal.settle(Outcome(3, OutcomeKind.UNCONFIRMED, attempts=1))
        await journal.settle(Outcome(4, OutcomeKind.REJECTED, attempts=1))

    path = tmp_path / "journal.sqlite"
    with created(path) as journal:
        asyncio.run(first(journal))
    with Journal.reopen(path, STARTED, reads_first=False) as journal:
        earlier = journal.earlier
        assert [earlier.is_confirmed(row, request(row)) for row in range(7)] == [False, True] + [False] * 5
        assert not earlier.is_confirmed(1, request(9))
        assert [row for row in range(7) if earlier.maybe_applied(row)] == [3, 5]
        assert earlier.confirmed == 1
        asyncio.run(journal.will_send([ready(2)]))
        asyncio.run(journal.settle(Outcome(2, OutcomeKind.UPDATED, attempts=2)))
        journal.flush()
        assert [(outcome.row, outcome.kind.value, outcome.attempts) for outcome in journal.outcomes()] == [
            (1, "updated", 2), (2, "updated", 5), (3, "unconfirmed", 1), (4, "rejected", 1), (5, "unconfirmed", 1),
        ]  # fmt: skip
        assert len(journal.parts()) == 2


def test_learned_names_come_back(tmp_path: Path) -> None:
    """Each list with what it depends on, the latest of its kind."""
    old = AllowedList("stage", (("language", "1"),), (AllowedValue("Won", 3),))
    new = AllowedList("stage", (("language", "1"),), (AllowedValue("Won", 3), AllowedValue("Lost", None)))
    other = AllowedList("stage", (("language", "2"),), (AllowedValue("Gewonnen", "g"),))
    with created(tmp_path / "journal.sqlite") as journal:
        for names in (old, other, new):
            journal.learned(names)
        journal.flush()
        assert sorted(journal.allowed(), key=str) == sorted((new, other), key=str)


def test_a_journal_whose_file_is_removed_takes_nothing_more(tmp_path: Path) -> None:
    """The system would go on writing to a file that cannot be read again."""
    path = tmp_path / "journal.sqlite"
    with created(path) as journal:
        asyncio.run(journal.settle(REJECTED))
        journal.flush()
        path.unlink()
        with pytest.raises(JournalError, match="No such file"):
            asyncio.run(journal.will_send([ready(1)]))
        assert list(journal.outcomes()) == [REJECTED]


def test_the_first_reading_of_a_record_counts(tmp_path: Path) -> None:
    """A record that is read again, after an update without an answer, does not replace what was there before."""

    async def go(journal: Journal) -> None:
        await journal.will_send([ready(7)])
        await journal.will_change(7, '{"size": "l"}')
        await journal.will_change(7, '{"size": "xl"}')
        await journal.settle(Outcome(7, OutcomeKind.UPDATED, kept=RecordSnapshots('{"size": "xl"}', "{}", "{}")))

    with created(tmp_path / "journal.sqlite") as journal:
        asyncio.run(go(journal))
        journal.flush()
        (outcome,) = journal.outcomes()
    assert outcome.kept == RecordSnapshots('{"size": "l"}', "{}", "{}")


@pytest.mark.parametrize(
    ("kind", "asked", "before"),
    [
        (OutcomeKind.FAILED, None, "new"), (OutcomeKind.REJECTED, None, "new"), (OutcomeKind.REJECTED, "{}", "old"),
        (OutcomeKind.UNCONFIRMED, None, "old"),
    ],
)  # fmt: skip
def test_a_resumed_run_keeps_the_first_reading_only_of_what_may_have_been_applied(
    tmp_path: Path, kind: OutcomeKind, asked: str | None, before: str
) -> None:
    """Before an update that was certainly not applied, others may have changed the record: the later reading counts.

    What was asked is kept of a refused row only if an attempt of it may have been applied.
    """

    async def go(journal: Journal, read: str, ended: OutcomeKind, asked: str | None) -> None:
        await journal.will_send([ready(7)])
        await journal.will_change(7, read)
        await journal.settle(Outcome(7, ended, message="why", kept=RecordSnapshots(read, asked, None)))

    path = tmp_path / "journal.sqlite"
    with created(path) as journal:
        asyncio.run(go(journal, '"old"', kind, asked))
    with Journal.reopen(path, STARTED, reads_first=False) as journal:
        assert journal.earlier.maybe_applied(7) == (before == "old")
        asyncio.run(go(journal, '"new"', OutcomeKind.UPDATED, "{}"))
        journal.flush()
        (outcome,) = journal.outcomes()
    assert outcome.kept == RecordSnapshots(f'"{before}"', "{}", None)


@pytest.mark.parametrize("first_reads", [True, False])
@pytest.mark.parametrize("second_reads", [True, False])
def test_a_row_whose_record_was_not_read_was_not_sent_by_a_part_that_reads_first(
    tmp_path: Path, first_reads: bool, second_reads: bool
) -> None:
    """Killed with a row announced: only a part that sends plainly may have sent it, the last or one before."""
    path = tmp_path / "journal.sqlite"
    with Journal.create(path, {"reads_first": first_reads}, STARTED) as journal:
        asyncio.run(journal.will_send([ready(7), ready(8)]))
        asyncio.run(journal.will_change(8, "{}"))
    with Journal.reopen(path, STARTED, reads_first=second_reads) as journal:
        assert journal.earlier.maybe_applied(7) != first_reads
        assert journal.earlier.maybe_applied(8)
        asyncio.run(journal.will_send([ready(7)]))
    with Journal.reopen(path, STARTED, reads_first=True) as journal:
        assert journal.earlier.maybe_applied(7) != (first_reads and second_reads)
        assert journal.earlier.maybe_applied(8)
        not_sent = [outcome.message for outcome in journal.outcomes() if outcome.kind is OutcomeKind.NOT_SENT]
        assert not_sent == (["The run ended before this row's turn."] if first_reads and second_reads else [])


def test_what_cannot_be_written_as_text_is_a_fault_and_no_wait_for_ever(tmp_path: Path) -> None:
    """Half a surrogate, which SQLite does not take, ends the sending like a full disk."""
    with created(tmp_path / "journal.sqlite") as journal:
        asyncio.run(journal.settle(REJECTED._replace(message="\udcff")))
        with pytest.raises(JournalError, match="surrogates"):
            journal.flush()


def test_a_workbook_in_a_folder_whose_name_is_no_text_is_noted(tmp_path: Path) -> None:
    """On POSIX a name is bytes: their form in Python is no text that SQLite takes."""
    with created(tmp_path / "journal.sqlite") as journal:
        journal.end_part(Part(STARTED, STARTED, 1, 0, 0.5, None, None, None, "/r\udcff/x.xlsx"))
        journal.flush()
        assert journal.parts()[-1].results == "/r\\udcff/x.xlsx"
