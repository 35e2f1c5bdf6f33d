"""A past run from its folder alone: its endpoint, its table, and its workbook once more."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.files.writing import OTHER_PLACE, check_replaceable, write_faults
from batch_updater.messages import format_date_time
from batch_updater.records import Cause, RunFacts, StagedInput
from batch_updater.reporter.page import RowsForReview
from batch_updater.reporter.summary import NEEDS_NOTHING, RUN_AGAIN
from batch_updater.reporter.summary_view import SummaryView, Timeline, summary_view
from batch_updater.reporter.workbook import write_results
from batch_updater.runs import statements
from batch_updater.runs.family import Runs, family_of, origin_of
from batch_updater.runs.history import PastRun
from batch_updater.runs.result import RunResult
from batch_updater.runs.rows import check_row_count, report_rows, rows_in, tallied, unsent
from batch_updater.runs.run import page_written, workbook_name
from batch_updater.runs.store import REPORT, Store
from batch_updater.text.typed_values import typed

_ROWS_TALLIED = 20_000
"""So many rows tell their causes within a second or so."""


def report(past: PastRun, results: Path | None) -> RunResult:
    """Write the workbook of a past run again, from its folder alone; sends nothing.

    Raises LockedError while a team is sending it, InputError if what the folder holds cannot be relied on,
    ResultsError if the place is taken.
    """
    clock = time.monotonic()
    with past.locked(past.facts.input) if past.is_under_way else nullcontext():  # its workers write it at the end
        past.make_folder()
    results = results or past.folder / workbook_name(past.facts.stem, datetime.now(UTC))
    check_replaceable(results)
    endpoint, stop = past.endpoint, past.stop
    without_turn = unsent(stop)
    with past.store() as store:
        staged = past.staged(store)
        facts = facts_of(past, store, staged)
        for_review = RowsForReview(staged.columns, endpoint)
        rows = for_review.noting(report_rows(store, staged, endpoint, without_turn))
        with write_faults(results, OTHER_PLACE):
            written = write_results(results, facts, staged.columns, endpoint, rows)
    check_row_count(staged, written.summary)
    fault = page_written(written.view, for_review, written.path, past.folder, None)
    return RunResult(
        columns=staged.columns,
        facts=facts,
        rows=partial(rows_in, past.folder, staged, endpoint, without_turn),
        results=written.path,
        summary=written.summary,
        elapsed_s=time.monotonic() - clock,
        folder=past.folder,
        fault=fault,
        stop=stop if written.summary.total(RUN_AGAIN) else None,
    )


def view_of(past: PastRun, runs: Runs | None = None) -> SummaryView:
    """Return what a report says of a run, at whatever number of rows, and also while it is going on.

    The causes of a run that was cut off are those of its invalid rows if there are many others. `runs`: all of its
    folder, if they were read already. Raises InputError if its database is damaged.
    """
    endpoint = past.endpoint
    with past.store(looks_at_all=False) as store:
        staged = past.staged(store)
        stored = None if past.is_cut_off else _stored_view(store)
        causes = stored.causes if stored else _causes(past, store, staged)
        facts = facts_of(past, store, staged, runs)
    timeline = Timeline(past.started_at) if past.parts[-1].results else None  # of a workbook that was written
    view = summary_view(facts, endpoint, staged.columns, replace(past.summary, causes=causes), timeline)
    if stored is None:
        return view
    return replace(view, more_causes=stored.more_causes, changes=stored.changes, timeline=stored.timeline)


def _stored_view(store: Store) -> SummaryView | None:
    """Return what was reported at the end; None where nothing was, or by another version of the program."""
    try:
        return typed(store.fact(REPORT), SummaryView)
    except msgspec.ValidationError:
        return None


def _causes(past: PastRun, store: Store, staged: StagedInput) -> tuple[Cause, ...]:
    if past.rows - past.summary.total(NEEDS_NOTHING) > _ROWS_TALLIED:
        return staged.causes
    return tallied(store.rows(unsent(past.stop), statements.ROWS_TO_FIX), staged.columns).causes


def facts_of(past: PastRun, store: Store, staged: StagedInput, runs: Runs | None = None) -> RunFacts:
    """Return what a report says of a run besides its rows. `runs`: all of its folder, if they were read already."""
    notes, finished_at = [*past.facts.notes, *filter(None, [past.resumption_note])], past.ended_at
    if past.is_going_on:
        notes.append("The run is going on: this is how far it had come, and rows in flight count as unconfirmed.")
    elif past.facts.closed_at:
        notes.append(
            f"The run was closed on {format_date_time(past.facts.closed_at)}: rows that were not done count as not "
            "sent, and running the file again sends every row."
        )
    elif finished_at is None:
        notes.append("The run was cut off: rows in flight count as unconfirmed; its time ends with the last answer.")
        finished_at = store.last_answer_at() or past.parts[-1].started_at
    family = family_of(past, runs)
    origin = origin_of(
        staged.columns, run=past.folder.name, name=past.facts.input, stem=past.facts.stem, last_row=store.last_row()
    )
    return RunFacts(
        command="run",
        input_path=past.facts.input,
        input_sha256=past.identity.content,
        sheet=past.identity.sheet,
        endpoint=past.identity.endpoint,
        base_url=past.identity.base_url,
        run_folder=past.folder.name if past.is_of_page else str(past.folder),
        started_at=past.started_at,
        finished_at=finished_at or datetime.now(UTC),
        requests=past.requests,
        retries=past.retries,
        stop=past.stop,
        allowed=store.names(),
        settings=past.facts.settings,
        notes=tuple(notes),
        expected=store.expected() if staged.is_undo else None,
        invocation=past.facts.invocation,
        inbox=past.facts.inbox,
        repeats=past.facts.repeats,
        origin=origin,
        family=family.sentence if family else "",
        is_closed=past.facts.closed_at is not None,
    )
