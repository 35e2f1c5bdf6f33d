"""Why a row of a past run ended as it did: its cells, its request, every attempt at it, and its outcome."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.openapi import endpoint_of
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import UsageError
from batch_updater.records import Columns, Outcome, OutcomeKind, Row
from batch_updater.runs.history import PastRun
from batch_updater.runs.rows import input_row, unsent
from batch_updater.runs.statements import ENDED_IN_FLIGHT
from batch_updater.runs.store import BEFORE_ALL_ROWS, NO_SNAPSHOTS, StoredAttempt, StoredRow

READ = "GET"
_ACCEPTED = "accepted"
_SETTLED_BY_READING = frozenset({OutcomeKind.UNCHANGED, OutcomeKind.REJECTED})
"""Outcomes of rows whose attempts all went well, and of which nothing was sent."""


class ShownRequest(NamedTuple):
    """A request as it went out, or would, without its headers."""

    method: str
    url: str
    """Without the query."""
    query: str
    """Percent-encoded, without the question mark; '' if there is none."""
    body: str
    """JSON; '' of a request that reads."""


class ExplainedRow(msgspec.Struct, frozen=True):
    """Everything that is known of a row."""

    row: Row
    target: str
    """'' where the row does not say which record it is about."""
    columns: Columns
    constants: Mapping[str, str]
    """Field -> value, the same for every row."""
    request: ShownRequest | None
    """None for a row that cannot be sent as it is."""
    read: ShownRequest | None
    """What reads the record; None unless one of the attempts did."""
    attempts: tuple[StoredAttempt, ...]
    """Of all parts of the run, by time."""
    outcome: Outcome


def explained_rows(past: PastRun, number: int | None = None) -> Iterator[ExplainedRow]:
    """Yield every row of a run in file order, or the one with that number. Memory is flat in the number of rows.

    Raises InputError if the run's database is damaged, UsageError if it has no such row.
    """
    endpoint, base_url = endpoint_of(past.facts.description), (past.identity.base_url or "").rstrip("/")
    builder = RequestBuilder(endpoint)
    with past.store() as store:
        staged = past.staged(store)
        starts = [part.started_at for part in store.parts()]
        for stored in store.rows(unsent(past.stop), after=BEFORE_ALL_ROWS if number is None else number - 1):
            if number not in {None, stored.number}:
                break
            attempts = (*_attempts(stored, store.attempts(stored.number), endpoint, starts),)
            request = read = None
            if stored.is_good:
                path, query, body = store.request(stored.number)
                request = ShownRequest(endpoint.method, f"{base_url}{path}", query, body)
                if endpoint.read and any(one.method == READ for one in attempts):
                    made = builder.build_read(stored.job)
                    read = ShownRequest(READ, f"{base_url}{made.path}", made.query, "")
            yield ExplainedRow(
                input_row(stored, staged), stored.target, staged.columns, past.identity.constants, request, read,
                attempts, stored.outcome,
            )  # fmt: skip
            if number is not None:
                return
    if number is not None:
        raise UsageError(
            f"The run {past.folder.name} has no row {number:,}.",
            remedy="Name a data row by the number that the spreadsheet shows. Blank rows and those above the data are "
            "no rows of the run.",
        )


def _attempts(
    row: StoredRow, stored: Sequence[StoredAttempt], endpoint: Endpoint, starts: Sequence[datetime]
) -> Iterator[StoredAttempt]:
    """Yield every attempt at a row. One that settled the row at once is not stored: the outcome tells of it.

    `starts`: when the parts of the run were started.
    """
    outcome = row.outcome
    snapshots = outcome.kept or NO_SNAPSHOTS
    before, reported = snapshots.before, snapshots.reported
    last: StoredAttempt | None = None
    for one in stored:
        is_record = one.why == _ACCEPTED and one.answer is None
        yield one._replace(answer=before if one.method == READ else reported) if is_record else one
        last = one
    if outcome.cause == ENDED_IN_FLIGHT and (last is None or last.why != ENDED_IN_FLIGHT):
        number = last.number + 1 if last and last.part == len(starts) else 1
        yield StoredAttempt(len(starts), number, None, None, None, None, None, ENDED_IN_FLIGHT)
    sent_at = outcome.sent_at
    if sent_at is None:
        return
    part = max(bisect_right(starts, sent_at), 1)
    if last and last.part >= part:
        return
    method, answer = (READ, before) if outcome.kind in _SETTLED_BY_READING else (endpoint.method, reported)
    yield StoredAttempt(
        part, 1, method, sent_at, 0.0, outcome.seconds, outcome.status, _ACCEPTED, answer=answer
    )  # fmt: skip
