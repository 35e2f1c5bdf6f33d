"""Why a row of a past run ended as it did: its cells, its request, every attempt at it, and its outcome."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import RequestBuilder, shown_headers
from batch_updater.errors import InputError, ResultsError, UsageError
from batch_updater.loader.formats.book import SheetRow, is_blank_row
from batch_updater.loader.formats.opening import open_source
from batch_updater.records import Columns, MadeEdit, Outcome, OutcomeKind, Row, StagedInput
from batch_updater.reporter.cell_values import shown
from batch_updater.reporter.summary import RUN_AGAIN
from batch_updater.runs.edits import EditsOfRows, edits_of_row
from batch_updater.runs.family import Runs, rounds_with
from batch_updater.runs.history import PastRun
from batch_updater.runs.rows import input_row, unsent
from batch_updater.runs.statements import ENDED_IN_FLIGHT
from batch_updater.runs.store import BEFORE_ALL_ROWS, NO_SNAPSHOTS, StoredAttempt, StoredRow
from batch_updater.runs.team_files import fetched
from batch_updater.sender.idempotency import idempotency_key

READ = "GET"
_ACCEPTED = "accepted"
_SETTLED_BY_READING = frozenset({OutcomeKind.UNCHANGED, OutcomeKind.REJECTED})
"""Outcomes of rows whose attempts all went well, and of which nothing was sent."""


class ShownRequest(NamedTuple):
    """A request as it went out, or would, without the headers that all requests have: the token is one of them."""

    method: str
    url: str
    """Without the query."""
    query: str
    """Percent-encoded, without the question mark; '' if there is none."""
    headers: Mapping[str, str]
    """Those of this request alone."""
    body: str
    """'' where there is none."""
    is_json: bool
    """Whether the body is JSON, and no form."""

    @property
    def shown_body(self) -> str:
        """The body with a line for each member; numbers keep their digits."""
        return msgspec.json.format(self.body, indent=2) if self.is_json and self.body else self.body


class ExplainedRow(msgspec.Struct, frozen=True):
    """Everything that is known of a row."""

    row: Row
    sheet_row: int | None
    """Where a row that was asked for has come back on the sheet `To fix`; None of any other."""
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
    edits: tuple[MadeEdit, ...] = ()
    """What people have changed in its cells on the page, by time, without what was undone."""
    later: tuple[tuple[PastRun, OutcomeKind], ...] = ()
    """The later rounds of the file that have a row that was asked for, by time, and how it ended there."""


def explained_rows(past: PastRun, number: int | None = None, runs: Runs | None = None) -> Iterator[ExplainedRow]:
    """Yield every row of a run in file order, or the one with that number. Memory is flat in the number of rows.

    The number is the one in the first file, for a row that has come back as for any other. `runs`: all of the run's
    folder, if they were read already. Raises InputError if the run's database is damaged, UsageError if it has no such
    row.
    """
    endpoint, base_url = past.endpoint, (past.identity.base_url or "").rstrip("/")
    builder, is_json = RequestBuilder(endpoint), not endpoint.body_format.is_form
    with past.store(looks_at_all=number is None) as store:
        staged = past.staged(store)
        starts = [part.started_at for part in store.parts()]
        edits_of = EditsOfRows(store).of if number is None else partial(edits_of_row, store)
        for stored in store.rows(unsent(past.stop), after=BEFORE_ALL_ROWS if number is None else number - 1):
            if number not in {None, stored.number}:
                break
            attempts = (*_attempts(stored, store.attempts(stored.number), endpoint, starts),)
            request = read = None
            if stored.is_good:
                path, query, body = store.request(stored.number)
                key = idempotency_key(past.facts.caller.salt, stored.number)
                made, is_read_first = builder.of(stored.job, path, query, body), past.facts.reads_first
                body = made.body.decode()
                headers = shown_headers(endpoint, made, key, is_read_first=is_read_first)
                request = ShownRequest(endpoint.method, f"{base_url}{path}", query, headers, body, is_json)
                if endpoint.read and any(one.method == READ for one in attempts):
                    made = builder.build_read(stored.job)
                    read_headers = dict(made.headers)
                    read = ShownRequest(READ, f"{base_url}{made.path}", made.query, read_headers, "", is_json)
            sheet_row = None
            if number is not None and staged.columns.origin:
                in_input = _input_rows(past, staged)
                sheet_row = next((row.number for row in in_input if _stated_number(row) == number), None)
            rounds = () if number is None else rounds_with(past, number, runs)
            later = tuple((run, kind) for run, kind in rounds if run.started_at > past.started_at)
            yield ExplainedRow(
                input_row(stored, staged), sheet_row, stored.target, staged.columns, past.identity.constants, request,
                read, attempts, _as_of_now(stored.outcome, past), edits_of(stored.number), later,
            )  # fmt: skip
            if number is not None:
                return
        if number is not None:
            why, remedy = _why_missing(past, staged, number, runs)
            raise UsageError(f"The run {past.folder.name} has no row {number:,}. {why}".rstrip(), remedy=remedy)


def _as_of_now(outcome: Outcome, past: PastRun) -> Outcome:
    """Return an outcome; that of a row in flight does not say that the run has ended while a team is sending it."""
    if not past.is_under_way or outcome.cause != ENDED_IN_FLIGHT:
        return outcome
    awaited = "The run is going on: the answer for this row is awaited, or its next attempt is due."
    return replace(outcome, message=awaited, advice="Wait until the run has ended.")


def _input_rows(past: PastRun, staged: StagedInput) -> Iterator[SheetRow]:
    """Yield the rows of the run's copy of its input that are not blank, from the header row on; none if it has gone."""
    settings = past.facts.reading.model_copy(update={"header_row": staged.columns.header_row})
    with suppress(InputError, ResultsError), ExitStack() as stack:
        book = open_source(fetched(past.folder, past.facts.input_file), settings, name=past.facts.input)
        stack.callback(book.close)
        for index, sheet in enumerate(book.sheets):
            if sheet.name == staged.sheet:
                rows = stack.enter_context(closing(book.rows(index)))
                yield from (
                    row for row in rows if row.number >= staged.columns.header_row and not is_blank_row(row.cells)
                )


def _stated_number(row: SheetRow) -> int | None:
    """Return the number in the first file that a row of the sheet `To fix` has; None if a person has added it."""
    number = shown(row.cells[0])
    return int(number) if number.isdecimal() else None


def _why_missing(past: PastRun, staged: StagedInput, number: int, runs: Runs | None) -> tuple[str, str]:
    """Return why a run has no row of that number, and what to do."""
    file, origin, header_row = past.facts.input, staged.columns.origin, staged.columns.header_row
    row, last = None, 0
    for one in _input_rows(past, staged):
        last = one.number
        row = one if last == number else row
    if origin:
        where = f"Its rows have the numbers that they have in {origin.file}"
        if row and number > header_row and (stated := _stated_number(row)):
            in_sheet = f'{where}: row {number:,} of the sheet "{staged.sheet}" is row {stated:,} there.'
            return in_sheet, f"Ask for that one: --row {stated}."
        has_it = [run.folder.name for run, _ in rounds_with(past, number, runs)] or [origin.run]
        which = "the first run" if has_it[-1] == origin.run else "the last run that has it"
        other = f", or ask {which}: `batch-updater report {has_it[-1]} --row {number}`" if has_it[-1] else ""
        return f"{where}.", f'Name a row by the number in the first column of the sheet "{staged.sheet}"{other}.'
    if row is None:
        is_above = number < header_row
        why = f"above the headers, which are in row {header_row:,}" if is_above else "blank" if number < last else ""
        why = (
            f"Row {number:,} of {file} is {why}." if why else f"The last row of {file} is row {last:,}." if last else ""
        )
    elif number == header_row:
        why = f"Row {number:,} of {file} holds the headers."
    elif row.hidden and staged.visible_only:
        why = f"Row {number:,} of {file} is hidden in the sheet and was left out, as you said."
        return why, "To send it as well, run the file again with --all-rows."
    else:
        why = f"Row {number:,} of {file} was left out, as you said: it holds totals or a remark, and is no record."
        return why, "If it is a record all the same, run the file again with --with-totals."
    return why, "Name a data row by the number that the spreadsheet shows."


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
    # Of a row that another worker of the team has taken over, the last attempt is in the same part.
    is_after_takeover = last is not None and last.why == ENDED_IN_FLIGHT and outcome.kind not in RUN_AGAIN
    if last and last.part >= part and not is_after_takeover:
        return
    method, answer = (READ, before) if outcome.kind in _SETTLED_BY_READING else (endpoint.method, reported)
    number = last.number + 1 if last and last.part == part else 1
    yield StoredAttempt(
        part, number, method, sent_at, 0.0, outcome.seconds, outcome.status, _ACCEPTED, answer=answer
    )  # fmt: skip
