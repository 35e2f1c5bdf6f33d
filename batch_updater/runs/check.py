"""What would be sent and what would change by it, without sending: checks, comparisons, and the guards on changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath

from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.secrets import fetch_secret
from batch_updater.errors import Location, ResultsError, StoreError
from batch_updater.files.writing import ROOM_FOR_TEMPORARY_FILES, check_replaceable, not_written, temporary_folder
from batch_updater.messages import counted
from batch_updater.records import Invocation, ReportRow, RunFacts, Stop, StopReason
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.summary import Summary, Tally
from batch_updater.reporter.workbook import write_results
from batch_updater.runs import statements
from batch_updater.runs.annotate import AnnotatedCopy
from batch_updater.runs.caller import Caller, new_salt
from batch_updater.runs.edits import EditsOfRows
from batch_updater.runs.guards import Exceeded, exceeded, exceeded_by_changes, require_none
from batch_updater.runs.history import DATABASE
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.names import remember_names
from batch_updater.runs.open_run import OpenRun
from batch_updater.runs.plan import Plan
from batch_updater.runs.result import Options, Progress, RunResult, limit_stop
from batch_updater.runs.rows import PLANNED, check_row_count, lasting, report_rows, rows_in, tallied, unsent
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import hooks_of, read_before_write, run_loop, send
from batch_updater.runs.store import opened_store
from batch_updater.runs.writer import RunWriter
from batch_updater.sender.send_options import SendOptions


def check(
    plan: Plan, results: Path | None, *, may_lose: bool = False, invocation: Invocation | None = None
) -> RunResult:
    """Write the workbook of a check, if it is given a place; send nothing. The plan's store stays open.

    `may_lose`: whether a person has agreed to what an annotated copy loses; `invocation`: how it was typed.

    Raises ResultsError if the place is taken. That the workbook cannot be written is a fault of what is returned.
    """
    clock = time.monotonic()
    _require_replaceable(results)
    every_row = partial(report_rows, plan.store, plan.staged, plan.endpoint, PLANNED)
    facts, over = _facts(plan, invocation), tuple(exceeded(plan.config.guards, plan.staged, plan.store))
    return _reported(plan, Options(results, may_lose=may_lose), facts, over, every_row, clock)


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


def _facts(plan: Plan, typed: Invocation | None) -> RunFacts:
    """Return the facts about a check, with the command line of a run that reads and treats the same rows so."""
    name, reading = PurePath(plan.snapshot.name).name, plan.config.input
    invocation = replace(typed or Invocation("", None, reading.sheet, (), header_row=reading.header_row), file=name)
    invocation = replace(
        invocation, config=None, annotate=False,
        compare=plan.config.sending.compare, visible_only=plan.staged.visible_only,
    )  # fmt: skip
    facts = plan.facts("check", datetime.now(UTC), plan.store)
    return replace(facts, invocation=invocation, allowed=plan.names.allowed, notes=plan.notes)


def _reported(
    plan: Plan,
    asked: Options,
    facts: RunFacts,
    over: tuple[Exceeded, ...],
    every_row: Callable[..., Iterator[ReportRow]],
    clock: float,
    compared: Summary | None = None,
) -> RunResult:
    """Write the workbook and the annotated copy, if they are given a place.

    `over`: guards that are exceeded; `compared`: the outcomes of a comparison, whose workbook may hold any row.
    """
    results, staged, written, fault = asked.results, plan.staged, None, None
    # A comparison, and edits, have more to tell of any row.
    is_about_all = compared is not None or not EditsOfRows(plan.store).is_empty
    to_fix = partial(every_row, statement=statements.ROWS_TO_FIX)
    rows, planned = (every_row, 0) if is_about_all else (to_fix, staged.good)
    annotated_copy = AnnotatedCopy.of(plan, may_lose=asked.may_lose) if results else AnnotatedCopy(plan.snapshot.path)
    notes = (*facts.notes, *(guard.note for guard in over), *filter(None, [annotated_copy.note]))
    facts = replace(facts, notes=notes, is_over_guard=bool(over), finished_at=datetime.now(UTC))
    if results:
        try:
            written = write_results(results, facts, staged.columns, plan.endpoint, rows(), planned=planned)
        except (OSError, ResultsError) as error:
            fault = not_written(f"The workbook {results}", error, "Name another place with --results.")
            if fault.endswith(ROOM_FOR_TEMPORARY_FILES):
                fault += " --results names another place for the workbook itself."
    summary = compared or (written.summary if written else tallied(rows(), staged.columns, planned, of_check=True))
    check_row_count(staged, summary)
    result = RunResult(
        columns=staged.columns,
        facts=facts,
        rows=every_row,
        results=written.path if written else None,
        asked_results=results,
        fault=fault,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
    )
    return annotated_copy.added_to(result, results.parent, Path(facts.input_path).stem) if results else result


def compare(
    plan: Plan,
    asked: Options,
    folder: Path,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: StopRequests | None = None,
) -> RunResult:
    """Read the record of every row that is to be sent and say what would change; send nothing but readings.

    `folder` is a scratch folder with the plan's store, of a run that is resumed a copy; it must stay as long as the
    result is looked at. Raises what `check` and `Run.execute` raise.
    """
    from batch_updater.sender.auth import fetch_credentials

    clock = time.monotonic()
    staged, guards = plan.staged, plan.config.guards
    _require_replaceable(asked.results)
    credentials = fetch_credentials(plan.config.api, plan.endpoint, environment)
    facts, over = _facts(plan, asked.invocation), tuple(exceeded(guards, staged, plan.store))
    caller = Caller(plan.config.api, lambda reference, key: fetch_secret(reference, environment, key).reveal())
    try:
        plan.store.learn(plan.names.told_to(caller))
        known = plan.store.names()
        with (
            RunWriter.begin(plan.store, folder / DATABASE, {}, facts.started_at) as writer,
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
            remember_names(
                plan.config.results.folder, plan.endpoint.name, plan.config.api.base_url or "",
                caller.digest(new_salt(), None), writer.taught,
            )  # fmt: skip
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error
    stop = sent.stop or limit_stop(staged.good, asked.limit, "were read", "was read")
    every_row = partial(rows_in, folder, staged, plan.endpoint, unsent(stop))
    change_summary, tally = ChangeSummary.of(plan.endpoint, staged.columns), Tally(staged.columns, of_check=True)
    for row in every_row():
        tally.add(row.outcome)
        change_summary.add(row)
    change_summary.settle()
    summary = tally.summary()
    facts = replace(facts, requests=sent.requests, retries=sent.retries, stop=stop, allowed=allowed)
    over = (*over, *exceeded_by_changes(guards, change_summary))
    return replace(
        _reported(plan, asked, facts, over, every_row, clock, summary),
        requests=sent.requests,
        retries=sent.retries,
        throttled=sent.throttled,
        stop=lasting(stop, summary),
        change_summary=change_summary,
        limiter=sent.limiter,
    )


def compare_beforehand(
    plan: Plan, options: Options, environment: Environment, progress: Progress | None, interrupts: StopRequests | None
) -> RunResult:
    """Compare before a run, in a copy of its rows that is gone afterwards: the result has no rows to look at."""
    asked = replace(options, results=None)
    try:
        with temporary_folder() as folder, plan.store.copied_to(folder / DATABASE) as store:
            return compare(replace(plan, store=store), asked, folder, environment, progress, interrupts)
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error


def require_allowed(open_run: OpenRun, compared: RunResult) -> None:
    """Raise GuardError if what would change is over a guard; a comparison that is not whole says nothing of that."""
    plan = open_run.plan
    if open_run.needs_changes and compared.is_whole and compared.change_summary:
        place = Location(file=plan.snapshot.name, sheet=plan.staged.sheet)
        over = exceeded_by_changes(plan.config.guards, compared.change_summary)
        require_none(over, open_run.override, place)


def overridden(open_run: OpenRun, compared: RunResult | None) -> tuple[str, ...]:
    """Return a note for each guard on changes that is overridden, as far as records were read beforehand."""
    override = open_run.override
    if override is None or compared is None or compared.change_summary is None:
        return ()
    over = exceeded_by_changes(open_run.plan.config.guards, compared.change_summary)
    return tuple(override.note(guard) for guard in over if override.covers(guard.key))


def why_incomplete(compared: RunResult) -> Stop | None:
    """Return why not every record was read; None if all were."""
    why = "Nothing was sent, because the guards judge what would change:"
    if compared.is_whole:
        return None
    if compared.stop and compared.is_stopped:
        return replace(compared.stop, message=f"{why} {compared.stop.message}")
    why = f"{why} {counted(compared.unread, 'record')} could not be read."
    return Stop(StopReason.SERVICE_DOWN, why, "Run again later.")
