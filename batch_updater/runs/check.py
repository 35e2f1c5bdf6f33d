"""What would be sent and what would change by it, without sending: checks, comparisons, and the guards on changes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath

from batch_updater.config.environment import Environment
from batch_updater.errors import Location, ResultsError, StoreError
from batch_updater.files.writing import ROOM_FOR_TEMPORARY_FILES, check_replaceable, remedy_of, temporary_folder
from batch_updater.records import Expected, Invocation, ReportRow, RunFacts, Stop, StopReason
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.summary import Summary, Tally
from batch_updater.reporter.workbook import WrittenWorkbook, write_results
from batch_updater.runs import statements
from batch_updater.runs.annotate import AnnotatedCopy
from batch_updater.runs.guards import Exceeded, exceeded, exceeded_by_changes, require_changes_allowed
from batch_updater.runs.history import DATABASE
from batch_updater.runs.interrupts import Interrupts
from batch_updater.runs.open_run import OpenRun
from batch_updater.runs.plan import Plan
from batch_updater.runs.result import Options, Progress, RunResult, limit_stop
from batch_updater.runs.rows import PLANNED, check_row_count, lasting, report_rows, rows_in, tallied, unsent
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import hooks_of, read_before_write, run_loop, send
from batch_updater.runs.store import opened_store
from batch_updater.runs.writer import RunWriter
from batch_updater.sender.send_options import SendOptions


def check(plan: Plan, results: Path | None, *, may_lose: bool = False) -> RunResult:
    """Write the workbook of a check, if it is given a place; send nothing. The plan's store stays open.

    `may_lose`: whether a person has agreed to what an annotated copy loses.

    Raises ResultsError if the place is taken. That the workbook cannot be written is a fault of what is returned.
    """
    started_at, clock = datetime.now(UTC), time.monotonic()
    staged = plan.staged
    over = exceeded(plan.config.guards, staged, plan.store)
    annotated_copy = _annotated_copy(plan, results, may_lose=may_lose)
    expected = plan.store.expected() if staged.is_undo else None
    facts = _facts_of_check(plan, started_at, over, expected, annotated_copy.note)
    _require_replaceable(results)
    every_row = partial(report_rows, plan.store, staged, plan.endpoint, PLANNED)
    rows_to_fix = partial(every_row, statement=statements.ROWS_TO_FIX)
    written, fault = _written(results, facts, plan, rows_to_fix(), staged.good)
    summary = written.summary if written else tallied(rows_to_fix(), staged.columns, staged.good, of_check=True)
    check_row_count(staged, summary)
    result = RunResult(
        columns=staged.columns,
        facts=facts,
        rows=every_row,
        rows_to_fix=rows_to_fix,
        results=written.path if written else None,
        asked_results=results,
        fault=fault,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
    )
    return _with_copy(result, annotated_copy, results)


def _annotated_copy(plan: Plan, results: Path | None, *, may_lose: bool) -> AnnotatedCopy:
    """Return what is known of the annotated copy; without a workbook of results there is none."""
    return AnnotatedCopy.of(plan, may_lose=may_lose) if results else AnnotatedCopy(plan.snapshot.path)


def _with_copy(result: RunResult, annotated_copy: AnnotatedCopy, results: Path | None) -> RunResult:
    """Write the annotated copy beside the workbook of a check."""
    return annotated_copy.added_to(result, results.parent, Path(result.facts.input_path).stem) if results else result


def _require_replaceable(results: Path | None) -> None:
    """Raise ResultsError if the place of the workbook of a check is taken, or none.

    A folder that cannot be entered is told where the workbook cannot be written, beside what was found.
    """
    try:
        if results is not None:
            check_replaceable(results)
    except ResultsError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise


def _written(
    results: Path | None, facts: RunFacts, plan: Plan, rows: Iterable[ReportRow], planned: int = 0
) -> tuple[WrittenWorkbook | None, str | None]:
    """Write the workbook of a check, if it is given a place; returns it, or why it could not be written."""
    if results is None:
        return None, None
    try:
        return write_results(results, facts, plan.staged.columns, plan.endpoint, rows, planned=planned), None
    except (OSError, ResultsError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = remedy_of(error, "Name another place with --results.")
        if remedy == ROOM_FOR_TEMPORARY_FILES:
            remedy += " --results names another place for the workbook itself."
        return None, f"The workbook {results} could not be written: {why}. {remedy}"


def _facts_of_check(
    plan: Plan, started_at: datetime, over: tuple[Exceeded, ...], expected: Expected | None, annotation_note: str
) -> RunFacts:
    return RunFacts(
        command="check",
        input_path=plan.snapshot.name,
        input_sha256=plan.snapshot.sha256,
        sheet=plan.staged.sheet,
        endpoint=plan.endpoint.name,
        base_url=plan.config.api.base_url,
        run_folder=None,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        requests=0,
        retries=0,
        stop=None,
        allowed=(),
        settings=plan.settings,
        notes=(*plan.notes, *(guard.note for guard in over), *filter(None, [annotation_note])),
        expected=expected,
        invocation=_as_run(plan),
        is_over_guard=bool(over),
    )


def _as_run(plan: Plan) -> Invocation:
    """Return the command line of a run that reads the same rows and treats them in the same way."""
    reading = plan.config.input
    return Invocation(
        PurePath(plan.snapshot.name).name, None, reading.sheet, (),
        compare=plan.config.sending.compare, header_row=reading.header_row, visible_only=plan.staged.visible_only,
    )  # fmt: skip


def compare(
    plan: Plan,
    asked: Options,
    folder: Path,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: Interrupts | None = None,
) -> RunResult:
    """Read the record of every row that is to be sent and say what would change; send nothing but readings.

    `folder` is a scratch folder with the plan's store, of a run that is resumed a copy; it must stay as long as the
    result is looked at. Raises what `check` and `Run.execute` raise.
    """
    from batch_updater.sender.auth import fetch_credentials

    started_at, clock = datetime.now(UTC), time.monotonic()
    staged = plan.staged
    _require_replaceable(asked.results)
    credentials = fetch_credentials(plan.config.api, environment)
    known, expected = plan.store.names(), plan.store.expected() if staged.is_undo else None
    staged_over = exceeded(plan.config.guards, staged, plan.store)
    try:
        with (
            RunWriter.begin(plan.store, folder / DATABASE, {}, started_at) as writer,
            LogFile(folder / "run.log") as log,
        ):
            send_options = SendOptions(
                staged.rows, asked.keep_going, read_before_write(plan, writer, only=True), allowed=known,
                in_order=plan.config.input.duplicates == "in_order",
            )  # fmt: skip
            with opened_store(folder / DATABASE) as store:
                jobs, hooks = store.jobs(plan.endpoint, asked.limit), hooks_of(writer, log, progress)
                sent = run_loop(send(plan, hooks, jobs, credentials, environment, send_options, interrupts))
            writer.flush()
            allowed = writer.store.names()
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error
    stop = sent.stop or limit_stop(staged.good, asked.limit, "were read")
    every_row = partial(rows_in, folder, staged, plan.endpoint, unsent(stop))
    summary, change_summary = _summed_up(every_row(), plan)
    check_row_count(staged, summary)
    guards = plan.config.guards
    over = (*staged_over, *exceeded_by_changes(guards, change_summary))
    annotated_copy = _annotated_copy(plan, asked.results, may_lose=asked.may_lose)
    facts = replace(
        _facts_of_check(plan, started_at, over, expected, annotated_copy.note),
        requests=sent.requests, retries=sent.retries, stop=stop, allowed=allowed,
    )  # fmt: skip
    written, fault = _written(asked.results, facts, plan, every_row())
    result = RunResult(
        columns=staged.columns,
        facts=facts,
        rows=every_row,
        rows_to_fix=partial(every_row, statement=statements.ROWS_TO_FIX),
        results=written.path if written else None,
        asked_results=asked.results,
        fault=fault,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
        requests=sent.requests,
        retries=sent.retries,
        throttled=sent.throttled,
        stop=lasting(stop, summary),
        change_summary=change_summary,
        limiter=sent.limiter,
    )
    return _with_copy(result, annotated_copy, asked.results)


def compare_beforehand(
    plan: Plan, options: Options, environment: Environment, progress: Progress | None, interrupts: Interrupts | None
) -> RunResult:
    """Compare before a run, in a copy of its rows that is gone afterwards: the result has no rows to look at."""
    asked = replace(options, results=None)
    try:
        with temporary_folder() as folder, plan.store.copied_to(folder / DATABASE) as store:
            return compare(replace(plan, store=store), asked, folder, environment, progress, interrupts)
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error


def _summed_up(rows: Iterable[ReportRow], plan: Plan) -> tuple[Summary, ChangeSummary]:
    """Count rows and what they change."""
    change_summary, tally = ChangeSummary.of(plan.endpoint), Tally(plan.staged.columns, of_check=True)
    for row in rows:
        tally.add(row.outcome)
        change_summary.add(row)
    change_summary.settle()
    return tally.summary(), change_summary


def require_allowed(open_run: OpenRun, compared: RunResult) -> None:
    """Raise GuardError if what would change is over a guard; a comparison that is not whole says nothing of that."""
    plan = open_run.plan
    if open_run.needs_changes and compared.is_whole and compared.change_summary:
        place = Location(file=plan.snapshot.name, sheet=plan.staged.sheet)
        require_changes_allowed(plan.config.guards, compared.change_summary, place)


def overridden(open_run: OpenRun, compared: RunResult | None) -> tuple[str, ...]:
    """Return a note for each guard on changes that is overridden, as far as records were read beforehand."""
    if not open_run.overrides_guards or compared is None or compared.change_summary is None:
        return ()
    return tuple(
        guard.override_note for guard in exceeded_by_changes(open_run.plan.config.guards, compared.change_summary)
    )


def why_incomplete(compared: RunResult) -> Stop | None:
    """Return why not every record was read; None if all were."""
    why = "Nothing was sent, because the guards judge what would change:"
    if compared.is_whole:
        return None
    if compared.stop and compared.is_stopped:
        return replace(compared.stop, message=f"{why} {compared.stop.message}")
    records = "1 record" if compared.unread == 1 else f"{compared.unread:,} records"
    return Stop(StopReason.SERVICE_DOWN, f"{why} {records} could not be read.", "Run again later.")
