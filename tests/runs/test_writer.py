"""writer.py: what is known about every row, on disk."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.errors import StoreError
from batch_updater.records import AllowedList, AllowedValue, Outcome, OutcomeKind, Problem, RecordSnapshots
from batch_updater.runs.store import Part, opened_store
from batch_updater.runs.writer import RunWriter
from tests.loader.described import endpoint
from tests.runs.stored import STARTED, begun, maybe_applied, outcomes, prepared

if TYPE_CHECKING:
    from pathlib import Path

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


ROWS = range(10)


def test_an_outcome_comes_back_as_it_was_given(tmp_path: Path) -> None:
    """Every part of an outcome survives the database."""
    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        writer.settle(REJECTED)
        writer.flush()
        assert outcomes(writer.store) == [REJECTED]


def test_a_row_that_may_be_in_flight_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    """When will_send returns, another reader of the file sees the row, and it counts as unconfirmed."""
    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        asyncio.run(writer.will_send([prepared(7)]))
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT number FROM rows WHERE state = 'in_flight'").fetchall() == [(7,)]
        reader.close()
        (outcome,) = outcomes(writer.store)
        assert (outcome.row, outcome.kind, outcome.attempts) == (7, OutcomeKind.UNCONFIRMED, 1)


def test_outcomes_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    """However they were settled, outcomes are read by row number, one each."""

    async def settle(writer: RunWriter) -> None:
        for row in (9, 2, 5):
            await writer.will_send([prepared(row)])
        for row in (5, 9, 2):
            writer.settle(Outcome(row, OutcomeKind.UPDATED, attempts=1))

    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        asyncio.run(settle(writer))
        writer.flush()
        assert [(outcome.row, outcome.kind) for outcome in outcomes(writer.store)] == [
            (2, OutcomeKind.UPDATED), (5, OutcomeKind.UPDATED), (9, OutcomeKind.UPDATED),
        ]  # fmt: skip


def test_many_waiting_at_once_are_all_released(tmp_path: Path) -> None:
    """Rows that wait for the disk together share a commit and all go on."""

    async def send_all(writer: RunWriter) -> None:
        await asyncio.gather(*(writer.will_send([prepared(row)]) for row in ROWS))

    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        asyncio.run(send_all(writer))
        assert len(outcomes(writer.store)) == len(ROWS)


def test_a_database_that_cannot_be_written_stops_the_sending(tmp_path: Path) -> None:
    """Once a commit fails, will_send, settle and flush raise StoreError, and go on raising it."""
    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        saboteur = sqlite3.connect(path)
        saboteur.execute("DROP TABLE rows")
        saboteur.commit()
        saboteur.close()
        for _ in range(2):
            with pytest.raises(StoreError, match=r"run\.sqlite"):
                asyncio.run(writer.will_send([prepared(1)]))
        with pytest.raises(StoreError):
            writer.settle(REJECTED)
        with pytest.raises(StoreError):
            writer.flush()


def test_a_database_that_cannot_be_made_names_its_file(tmp_path: Path) -> None:
    """A folder that does not exist is a StoreError with the path, not an error of SQLite."""
    with pytest.raises(StoreError, match="nowhere"):
        begun(tmp_path / "nowhere" / "run.sqlite", ROWS)


def test_a_reopened_database_knows_what_is_done_and_what_is_open(tmp_path: Path) -> None:
    """Confirmed requests are kept, unless the row now asks for something else; requests of all parts are counted."""

    async def first(writer: RunWriter) -> None:
        for row in range(1, 6):
            await writer.will_send([prepared(row)])
        writer.settle(Outcome(1, OutcomeKind.UPDATED, attempts=2))
        writer.settle(Outcome(2, OutcomeKind.FAILED, attempts=3))
        writer.settle(Outcome(3, OutcomeKind.UNCONFIRMED, attempts=1))
        writer.settle(Outcome(4, OutcomeKind.REJECTED, attempts=1))

    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        asyncio.run(first(writer))
    with RunWriter.resume(path, {"reads_first": False}, STARTED) as writer:
        with opened_store(path) as store:
            to_send = [job.row for job, _ in store.jobs(endpoint())]
        assert to_send == [0, 2, 3, 4, 5, 6, 7, 8, 9]
        assert maybe_applied(writer.store) == [3, 5]
        asyncio.run(writer.will_send([prepared(2)]))
        writer.settle(Outcome(2, OutcomeKind.UPDATED, attempts=2))
        writer.flush()
        assert [(outcome.row, outcome.kind.value, outcome.attempts) for outcome in outcomes(writer.store)] == [
            (1, "updated", 2), (2, "updated", 5), (3, "unconfirmed", 1), (4, "rejected", 1), (5, "unconfirmed", 1),
        ]  # fmt: skip
        assert len(writer.store.parts()) == 2


def test_learned_names_come_back(tmp_path: Path) -> None:
    """Each list with what it depends on, the latest of its kind."""
    old = AllowedList("stage", (("language", "1"),), (AllowedValue("Won", 3),))
    new = AllowedList("stage", (("language", "1"),), (AllowedValue("Won", 3), AllowedValue("Lost", None)))
    other = AllowedList("stage", (("language", "2"),), (AllowedValue("Gewonnen", "g"),))
    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        for names in (old, other, new):
            writer.learned(names)
        writer.flush()
        assert sorted(writer.store.names(), key=str) == sorted((new, other), key=str)


def test_a_database_whose_file_is_removed_takes_nothing_more(tmp_path: Path) -> None:
    """The system would go on writing to a file that can never be read again."""
    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        writer.settle(REJECTED)
        writer.flush()
        path.unlink()
        with pytest.raises(StoreError, match="No such file"):
            asyncio.run(writer.will_send([prepared(1)]))
        assert outcomes(writer.store) == [REJECTED]


def test_the_first_reading_of_a_record_counts(tmp_path: Path) -> None:
    """A record that is read again, after an update without an answer, does not replace what was there before."""

    async def go(writer: RunWriter) -> None:
        await writer.will_send([prepared(7)])
        await writer.will_change(7, '{"size": "l"}')
        await writer.will_change(7, '{"size": "xl"}')
        writer.settle(Outcome(7, OutcomeKind.UPDATED, kept=RecordSnapshots('{"size": "xl"}', "{}", "{}")))

    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        asyncio.run(go(writer))
        writer.flush()
        (outcome,) = outcomes(writer.store)
    assert outcome.kept == RecordSnapshots('{"size": "l"}', "{}", "{}")


@pytest.mark.parametrize(
    ("kind", "is_doubtful", "before"),
    [
        (OutcomeKind.FAILED, False, "new"), (OutcomeKind.REJECTED, False, "new"), (OutcomeKind.REJECTED, True, "old"),
        (OutcomeKind.UNCONFIRMED, True, "old"),
    ],
)  # fmt: skip
def test_a_resumed_run_keeps_the_first_reading_only_of_what_may_have_been_applied(
    tmp_path: Path, kind: OutcomeKind, before: str, *, is_doubtful: bool
) -> None:
    """Before an update that was certainly not applied, others may have changed the record: the later reading counts."""

    async def go(writer: RunWriter, read: str, ended: OutcomeKind, *, is_doubtful: bool) -> None:
        await writer.will_send([prepared(7)])
        await writer.will_change(7, read)
        kept = RecordSnapshots(read, None, None)
        writer.settle(Outcome(7, ended, message="why", kept=kept, maybe_applied=is_doubtful))

    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        asyncio.run(go(writer, '"old"', kind, is_doubtful=is_doubtful))
    with RunWriter.resume(path, {"reads_first": False}, STARTED) as writer:
        assert (7 in maybe_applied(writer.store)) == (before == "old")
        asyncio.run(go(writer, '"new"', OutcomeKind.UPDATED, is_doubtful=False))
        writer.flush()
        (outcome,) = outcomes(writer.store)
    assert outcome.kept == RecordSnapshots(f'"{before}"', "{}", None)


@pytest.mark.parametrize("first_reads", [True, False])
@pytest.mark.parametrize("second_reads", [True, False])
def test_a_row_whose_record_was_not_read_was_not_sent_by_a_part_that_reads_first(
    tmp_path: Path, first_reads: bool, second_reads: bool
) -> None:
    """Killed with a row announced: only a part that sends plainly may have sent it, the last or one before."""
    path = tmp_path / "run.sqlite"
    with begun(path, ROWS, {"reads_first": first_reads}) as writer:
        asyncio.run(writer.will_send([prepared(7), prepared(8)]))
        asyncio.run(writer.will_change(8, "{}"))
    with RunWriter.resume(path, {"reads_first": second_reads}, STARTED) as writer:
        assert (7 in maybe_applied(writer.store)) != first_reads
        assert 8 in maybe_applied(writer.store)
        asyncio.run(writer.will_send([prepared(7)]))
    with RunWriter.resume(path, {"reads_first": True}, STARTED) as writer:
        assert (7 in maybe_applied(writer.store)) != (first_reads and second_reads)
        assert 8 in maybe_applied(writer.store)
        had_turn = [outcome.row for outcome in outcomes(writer.store)]
        assert had_turn == ([8] if first_reads and second_reads else [7, 8])


def test_what_cannot_be_written_as_text_is_a_fault_and_no_wait_for_ever(tmp_path: Path) -> None:
    """Half a surrogate, which SQLite does not take, ends the sending like a full disk."""
    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        writer.settle(replace(REJECTED, message="\udcff"))
        with pytest.raises(StoreError, match="surrogates"):
            writer.flush()


def test_a_workbook_in_a_folder_whose_name_is_no_text_is_noted(tmp_path: Path) -> None:
    """On POSIX a name is bytes: what stands for them in Python is no text that SQLite takes."""
    with begun(tmp_path / "run.sqlite", ROWS) as writer:
        writer.end_part(Part(STARTED, STARTED, 1, 0, 0.5, None, None, None, "/r\udcff/x.xlsx"))
        writer.flush()
        assert writer.store.parts()[-1].results == "/r\\udcff/x.xlsx"


def test_rows_are_final_up_to_the_first_that_is_not(tmp_path: Path) -> None:
    """A row in flight, or without its turn, holds back what comes behind it; an invalid row does not."""
    with begun(tmp_path / "run.sqlite", (0, 1, 3, 4, 5), invalid=(2,)) as writer:

        async def send() -> None:
            await writer.will_send([prepared(row) for row in (0, 1, 3, 5)])
            for row in (0, 1, 5):
                writer.settle(Outcome(row, OutcomeKind.UPDATED, attempts=1))

        asyncio.run(send())
        writer.flush()
        assert [row.number for row in writer.store.final_rows()] == [0, 1, 2]
        assert [row.number for row in writer.store.final_rows(after=0)] == [1, 2]
        writer.settle(Outcome(3, OutcomeKind.FAILED, "No answer.", "Run again.", "no answer", attempts=1))
        writer.flush()
        assert [row.number for row in writer.store.final_rows(after=2)] == [3]


def test_a_run_is_closed_in_one_commit(tmp_path: Path) -> None:
    """Where a part of it cannot be written nothing is: no run is closed whose rows are open."""
    path = tmp_path / "run.sqlite"
    with begun(path, ROWS) as writer:
        writer.store.connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON parts BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        counts = {OutcomeKind.NOT_SENT: len(ROWS)}
        writer.close_run(Part(STARTED, STARTED, 0, 0, 0.0, None, None, None, None, counts))
        with pytest.raises(StoreError, match="disk full"):
            writer.flush()
        assert outcomes(writer.store) == []
        assert writer.store.fact("closed_at") is None
