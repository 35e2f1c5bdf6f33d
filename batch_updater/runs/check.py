"""What would be sent and what would change by it, without sending: checks, comparisons, and the guards on changes."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from batch_updater.errors import JournalError, Location, ResultsError
from batch_updater.files.writing import ROOM_FOR_TEMPORARY_FILES, check_replaceable, remedy_of
from batch_updater.records import Invocation, RunFacts, Stop, StopReason
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.summary import Tally
from batch_updater.reporter.workbook import write_results
from batch_updater.runs.guards import exceeded, exceeded_by_changes, require_changes_allowed
from batch_updater.runs.history import JOURNAL
from batch_updater.runs.journal import Journal
from batch_updater.runs.reconcile import counted, lasting, planned_rows, require_sum
from batch_updater.runs.result import Options, Progress, RunResult, limit_stop
from batch_updater.runs.rows import rows_of
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import hooks_of, read_before_write, run_loop, send
from batch_updater.sender.send_options import SendOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batch_updater.config.environment import Environment
    from batch_updater.records import ReportRow
    from batch_updater.reporter.summary import Summary
    from batch_updater.reporter.workbook import WrittenWorkbook
    from batch_updater.runs.guards import Exceeded
    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.runs.open_run import EarlierPart, OpenRun
    from batch_updater.runs.stage import Plan


def check(plan: Plan, results: Path | None) -> RunResult:
    """Judge every row and write the workbook, if it is given a place; send nothing.

    Raises ResultsError if the place is taken. That the workbook cannot be written is a fault of what is returned.
    """
    started_at, clock = datetime.now(UTC), time.monotonic()
    table, review = plan.table, plan.review
    in_doubt = functools.partial(planned_rows, table, review, only_in_doubt=True)
    planned = review.rows - len(review.in_doubt)
    over = exceeded(plan.config.guards, table, review)
    facts = _facts_of_check(plan, started_at, over)
    _require_replaceable(results)
    written, fault = _written(results, facts, plan, in_doubt(), planned)
    summary = written.summary if written else counted(in_doubt(), table.columns, planned, of_check=True)
    require_sum(review, summary)
    return RunResult(
        table=table,
        facts=facts,
        rows=functools.partial(planned_rows, table, review),
        rows_in_doubt=in_doubt,
        results=written.path if written else None,
        asked_results=results,
        fault=fault,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
    )


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
    results: Path | None, facts: RunFacts, plan: Plan, rows: Iterator[ReportRow], planned: int = 0
) -> tuple[WrittenWorkbook | None, str | None]:
    """Write the workbook of a check, if it is given a place; returns it, or why it could not be written."""
    if results is None:
        return None, None
    try:
        return write_results(results, facts, plan.table.columns, plan.endpoint, rows, planned=planned), None
    except (OSError, ResultsError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = remedy_of(error, "Name another place with --results.")
        if remedy == ROOM_FOR_TEMPORARY_FILES:
            remedy += " --results names another place for the workbook itself."
        return None, f"The workbook {results} could not be written: {why}. {remedy}"


def _facts_of_check(plan: Plan, started_at: datetime, over: tuple[Exceeded, ...]) -> RunFacts:
    return RunFacts(
        command="check",
        input_path=plan.snapshot.name,
        input_sha256=plan.snapshot.sha256,
        sheet=plan.table.sheet,
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
        notes=(*plan.notes, *(guard.note for guard in over)),
        expected=plan.table.expected,
        invocation=_as_run(plan),
        is_over_guard=bool(over),
    )


def _as_run(plan: Plan) -> Invocation:
    """Return the command line of a run that reads the same rows and treats them in the same way."""
    reading = plan.config.input
    return Invocation(
        PurePath(plan.snapshot.name).name, None, reading.sheet, (),
        compare=plan.config.sending.compare, header_row=reading.header_row, visible_only=plan.table.visible_only,
    )  # fmt: skip


def compare(
    plan: Plan,
    asked: Options,
    folder: Path,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: Interrupts | None = None,
    earlier: EarlierPart | None = None,
) -> RunResult:
    """Read the record of every good row and say what would change; send nothing but readings.

    `folder` is a scratch folder, which must stay as long as the result is looked at; of a run that is resumed,
    `earlier` leaves out the rows that are done. Raises what `check` and `Run.execute` raise.
    """
    from batch_updater.sender.auth import fetch_credentials

    started_at, clock = datetime.now(UTC), time.monotonic()
    table, review = plan.table, plan.review
    _require_replaceable(asked.results)
    credentials = fetch_credentials(plan.config.api, environment)
    path = folder / JOURNAL
    path.unlink(missing_ok=True)
    try:
        with Journal.create(path, {}, started_at) as journal, LogFile(folder / "run.log") as log:
            done, known = earlier or (None, ())
            for names in known:
                journal.learned(names)
            options = SendOptions(
                review.rows, asked.keep_going, read_before_write(plan, journal, only=True), allowed=known,
                in_order=plan.config.input.duplicates == "in_order",
            )  # fmt: skip
            jobs, hooks = plan.jobs(asked.limit, done), hooks_of(journal, log, progress)
            sent = run_loop(send(plan, hooks, jobs, credentials, environment, options, interrupts))
            journal.flush()
            allowed = journal.allowed()
    except JournalError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error
    stop = sent.stop or limit_stop(review, asked.limit, "were read")
    again = functools.partial(rows_of, folder, table, review, stop, plan.endpoint)
    summary, change_summary = _reckoned(again(), plan)
    require_sum(review, summary)
    guards = plan.config.guards
    over = (*exceeded(guards, table, review), *exceeded_by_changes(guards, change_summary))
    facts = replace(
        _facts_of_check(plan, started_at, over),
        requests=sent.requests, retries=sent.retries, stop=stop, allowed=allowed,
    )  # fmt: skip
    written, fault = _written(asked.results, facts, plan, again())
    return RunResult(
        table=table,
        facts=facts,
        rows=again,
        rows_in_doubt=again,
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


def _reckoned(rows: Iterator[ReportRow], plan: Plan) -> tuple[Summary, ChangeSummary]:
    """Count rows and what they change."""
    change_summary, tally = ChangeSummary.of(plan.endpoint), Tally(plan.table.columns, of_check=True)
    for row in rows:
        tally.add(row.outcome)
        change_summary.add(row)
    change_summary.settle()
    return tally.summary(), change_summary


def require_allowed(open_run: OpenRun, compared: RunResult) -> None:
    """Raise GuardError if what would change is over a guard; a comparison that is not whole says nothing of that."""
    plan = open_run.plan
    if open_run.needs_changes and compared.is_whole and compared.change_summary:
        place = Location(file=plan.snapshot.name, sheet=plan.table.sheet)
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
