"""A past run from its folder alone: its endpoint, its table, and its workbook once more."""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_updater.endpoint.openapi import endpoint_of
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import OTHER_PLACE, check_replaceable, remedy_of
from batch_updater.loader.table import open_table
from batch_updater.records import RunFacts, Setting
from batch_updater.reporter.page import RowsForReview
from batch_updater.reporter.summary import RUN_AGAIN
from batch_updater.reporter.workbook import write_results
from batch_updater.runs import folder as snapshots
from batch_updater.runs.reconcile import require_sum
from batch_updater.runs.result import RunResult
from batch_updater.runs.rows import rows_in, rows_of
from batch_updater.runs.run import page_written, workbook_name

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.loader.table import Table
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.journal import JournalReader


def endpoint_of_run(past: PastRun) -> Endpoint:
    """Return the endpoint of a past run as it was described then."""
    return endpoint_of(past.facts.description)


def table_of_run(past: PastRun, endpoint: Endpoint) -> Table:
    """Open the copy of the input that a past run worked on. Raises InputError if it cannot be relied on."""
    copy = past.folder / past.facts.input_file
    snapshots.require_unchanged(copy, past.identity.content)
    return open_table(copy, endpoint, past.facts.reading, name=past.input, visible_only=past.identity.visible_only)


def report(past: PastRun, results: Path | None) -> RunResult:
    """Write the workbook of a past run again, from its folder alone; sends nothing.

    Raises InputError if what the folder holds cannot be relied on, ResultsError if the place is taken.
    """
    clock = time.monotonic()
    results = results or past.folder / workbook_name(past.facts.stem, datetime.now(UTC))
    check_replaceable(results)
    endpoint = endpoint_of_run(past)
    table = table_of_run(past, endpoint)
    review, stop = table.review(), past.stop
    with past.journal(review.numbers) as journal:
        told = _facts_of(past, table, journal)
        reviewed = RowsForReview(table.columns, endpoint)
        rows = reviewed.noting(rows_in(journal, table, review, stop, endpoint))
        try:
            written = write_results(results, told, table.columns, endpoint, rows)
        except OSError as error:
            raise ResultsError(
                f"{results} cannot be written: {error.strerror or error}.",
                remedy=remedy_of(error, OTHER_PLACE),
                place=Location(file=str(results)),
            ) from error
    require_sum(review, written.summary)
    fault = page_written(written.view, reviewed, written.path, past.folder, None)
    again = functools.partial(rows_of, past.folder, table, review, stop, endpoint)
    return RunResult(
        table=table,
        facts=told,
        rows=again,
        rows_in_doubt=again,
        results=written.path,
        summary=written.summary,
        elapsed_s=time.monotonic() - clock,
        folder=past.folder,
        fault=fault,
        stop=stop if written.summary.total(RUN_AGAIN) else None,
    )


def _facts_of(past: PastRun, table: Table, journal: JournalReader) -> RunFacts:
    notes, finished_at = list(table.notes), past.ended_at
    if past.is_going_on:
        notes.append("The run is going on: this is how far it had come, and rows on their way count as unconfirmed.")
    elif finished_at is None:
        notes.append("The run was cut off: rows on their way count as unconfirmed; its time ends with the last answer.")
        finished_at = journal.last_heard_at() or past.parts[-1].started_at
    return RunFacts(
        command="run",
        input_path=past.input,
        input_sha256=past.identity.content,
        sheet=past.identity.sheet,
        endpoint=past.identity.endpoint,
        base_url=past.identity.base_url,
        run_folder=str(past.folder),
        started_at=past.started_at,
        finished_at=finished_at or datetime.now(UTC),
        requests=past.requests,
        retries=past.retries,
        stop=past.stop,
        allowed=journal.allowed(),
        settings=tuple(Setting(name, value) for name, value in past.facts.settings),
        notes=tuple(notes),
        expected=table.expected,
        invocation=past.facts.invocation,
        inbox=past.facts.inbox,
    )
