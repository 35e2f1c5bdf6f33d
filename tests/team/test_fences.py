"""team/writer.py: what a worker learns of its rows while its block may be another one's, or the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from batch_updater.errors import StoreError
from batch_updater.records import Outcome, OutcomeKind
from batch_updater.runs import statements
from batch_updater.runs.store import Store
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_rows import Cut, copy_run, cut_into_blocks
from batch_updater.sender.client import Counts
from batch_updater.sender.pool import UniformRefusals
from batch_updater.team.writer import Claim, Contact, TakenOver, TeamWriter

pytestmark = pytest.mark.debian

_RUN = "20260101-000000-rows"


def claimed(team: TeamDatabase, rows: int = 3) -> Claim:
    """Return the only block of a new run, which is being sent."""
    with Store.temporary() as draft:
        with draft.transaction():
            draft.executemany(
                statements.STAGE,
                (
                    {
                        "number": number, "commit_number": 0, "state": "ready", "target": f"id={number}", "cells": "[]",
                        "fields": "[]", "path": f"/items/{number}", "query": "", "body": "{}", "problems": None,
                    }
                    for number in range(2, rows + 2)
                ),
            )  # fmt: skip
            draft.execute(statements.NEW_PART, started_at=1.5)
        with team.connected(autocommit=False) as connection:
            query = "INSERT INTO runs (name, origin, state) VALUES (%s, 'http://localhost', 'sending') RETURNING id"
            (number,) = connection.execute(query, (_RUN,)).fetchone() or (0,)
            copy_run(draft, connection, number, {})
    with team.store(_RUN) as store, store.transaction():
        cut_into_blocks(store, Cut(1_000))
    with team.connected() as connection:
        connection.execute("UPDATE blocks SET state = 'sending', epoch = 1 WHERE run = %s", (number,))
    return Claim(number, _RUN, 0, 1, {}, None, 0, 0, 0)


@contextmanager
def writing(team: TeamDatabase, claim: Claim, contact: Contact) -> Iterator[TeamWriter]:
    """Give the writer of a block, as while its rows are sent."""
    with closing(TeamWriter(team, claim, contact, lambda _: None)) as writer:
        writer.take_over()
        writer.begin(Counts(), UniformRefusals(50))
        yield writer


def outcome_of(row: int, kind: OutcomeKind, message: str = "") -> Outcome:
    """Return what came of a row that was sent once."""
    return Outcome(row, kind, attempts=1, status=200, message=message, sent_at=datetime.now(UTC), seconds=0.1)


def known(team: TeamDatabase, row: int) -> tuple[object, ...]:
    """Return what the database holds of a row."""
    with team.connected() as connection:
        query = "SELECT state, outcome, earlier_attempts, attempts, maybe_applied FROM rows WHERE number = %s"
        return connection.execute(query, (row,)).fetchone() or ()


def told_of(team: TeamDatabase, row: int) -> tuple[object, ...]:
    """Return the texts that the database holds of a row."""
    with team.connected() as connection:
        query = "SELECT message, advice, cause FROM rows WHERE number = %s"
        return connection.execute(query, (row,)).fetchone() or ()


def test_an_answer_that_comes_after_contact_was_lost_is_kept(team: TeamDatabase) -> None:
    """Nothing more may go out then. What has gone out before is not sent again by the next worker: it is confirmed."""
    with writing(team, claimed(team), Contact(0)) as writer:  # it is lost at once
        writer.settle(outcome_of(2, OutcomeKind.UPDATED))
        with pytest.raises(StoreError):
            writer.require_contact()
        writer.flush()
    assert known(team, 2)[:2] == ("finished", "updated")


def test_a_row_that_is_given_back_counts_its_attempts_once(team: TeamDatabase) -> None:
    """Whether a commit was made is not known when the answer is lost: then it is made again."""
    with writing(team, claimed(team), Contact(60)) as writer:
        writer.store.execute(statements.WRITE_MANY, commit=1, batch="[[2,null,1]]")
        writer.is_handing_back = True
        for _ in range(2):
            writer.settle(outcome_of(2, OutcomeKind.FAILED))
            writer.flush()
    assert known(team, 2) == ("ready", "failed", 1, 0, 0)


def test_a_row_that_is_given_back_without_being_sent_has_no_outcome(team: TeamDatabase) -> None:
    """If the run ends before another worker sends it, the reason of the run is its own."""
    with writing(team, claimed(team), Contact(60)) as writer:
        writer.store.execute(statements.WRITE_MANY, commit=1, batch="[[2,null,1],[3,null,1]]")
        writer.is_handing_back = True
        writer.settle(Outcome(2, OutcomeKind.NOT_SENT, "A worker has ended.", "Run again.", "no turn"))
        writer.settle(Outcome(3, OutcomeKind.UNCONFIRMED, "No answer yet.", "Run again.", "?", maybe_applied=True))
        writer.flush()
    assert known(team, 2) == ("ready", None, 0, 0, 0)
    assert told_of(team, 2) == (None, None, None)
    assert known(team, 3) == ("ready", "unconfirmed", 0, 0, 1)
    assert told_of(team, 3) == ("No answer yet.", "Run again.", "?")


def test_a_row_that_is_given_back_may_have_nul_in_every_text(team: TeamDatabase) -> None:
    """PostgreSQL cannot hold the character: it is written as it is shown."""
    with writing(team, claimed(team), Contact(60)) as writer:
        writer.store.execute(statements.WRITE_MANY, commit=1, batch="[[2,null,1]]")
        writer.is_handing_back = True
        writer.settle(Outcome(2, OutcomeKind.FAILED, "a\0b", "c\0d", "e\0f", attempts=1))
        writer.flush()
    assert told_of(team, 2) == (r"a\x00b", r"c\x00d", r"e\x00f")


def test_an_answer_that_is_no_unicode_ends_the_block_and_keeps_no_one_waiting(team: TeamDatabase) -> None:
    """JSON may hold half a character, which PostgreSQL does not keep."""
    with writing(team, claimed(team), Contact(60)) as writer:
        writer.settle(outcome_of(2, OutcomeKind.REJECTED, "\ud83d"))
        with pytest.raises(StoreError):
            writer.flush()


def test_nothing_is_written_of_a_block_that_another_worker_has_claimed(team: TeamDatabase) -> None:
    """Not even what is known of a row by then."""
    claim = claimed(team)
    with writing(team, claim, Contact(60)) as writer:
        with team.connected() as connection:
            connection.execute("UPDATE blocks SET epoch = epoch + 1 WHERE run = %s", (claim.run_id,))
        writer.settle(outcome_of(2, OutcomeKind.UPDATED))
        with pytest.raises(TakenOver):
            writer.flush()
    assert known(team, 2)[:2] == ("ready", None)
