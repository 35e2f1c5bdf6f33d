"""One run, or one more part of it: from what was begun to its workbook."""

from __future__ import annotations

import functools
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_updater.errors import GuardError, InputError, JournalError, ResultsError
from batch_updater.files.writing import OTHER_PLACE, check_replaceable, remedy_of, temporary_folder
from batch_updater.records import RunFacts, Stop, StopReason
from batch_updater.reporter.page import PAGE, RowsForReview, write_page
from batch_updater.reporter.summary_view import SummaryView, summary_view
from batch_updater.reporter.workbook import write_results
from batch_updater.runs.caller import new_salt
from batch_updater.runs.check import compare, overridden, require_allowed, why_incomplete
from batch_updater.runs.history import JOURNAL, Facts
from batch_updater.runs.journal import Journal, Part
from batch_updater.runs.open_run import OpenRun, folder_faults
from batch_updater.runs.reconcile import counted, counted_without_input, invalid_rows, lasting, require_sum
from batch_updater.runs.result import Options, Progress, RunResult, limit_stop
from batch_updater.runs.retention import remove_old_runs
from batch_updater.runs.rows import rows_in, rows_of
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import hooks_of, read_before_write, run_loop, send
from batch_updater.sender.send_options import SendOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batch_updater.config.environment import Environment
    from batch_updater.records import Job
    from batch_updater.reporter.summary import Summary
    from batch_updater.runs.caller import CallerDigest
    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.pool import SendResult


_NOT_WAITED_FOR = "The workbook was not written: the second signal ended the run at once."
_NOT_WAITED_FOR_PAGE = "The page was not written: the second signal ended the run at once."


class Run:
    """One run, or one more part of it: from what was begun to its workbook."""

    def __init__(self, open_run: OpenRun, options: Options, environment: Environment) -> None:
        self._begun = open_run
        self._plan = open_run.plan
        self._folder = open_run.folder
        self._options = replace(options, keep_going=options.keep_going or self._is_known_to_be_right(options))
        self._environment = environment
        self._started_at = datetime.now(UTC)
        self._readings = [options.compared] if options.compared else []
        self._clock = time.monotonic() - sum(one.elapsed_s for one in self._readings)

    def execute(self, progress: Progress | None = None, interrupts: Interrupts | None = None) -> RunResult:
        """Send every good row that is not done yet, then write the workbook.

        Raises ConfigError if no token is to be had, ResultsError if the workbook's place is taken or the folder
        cannot be written, GuardError if a guard is exceeded: then nothing was sent.
        """
        from batch_updater.sender.auth import fetch_credentials

        results = self._options.results or self._folder / workbook_name(self._plan.snapshot.stem, self._started_at)
        check_replaceable(results)
        sent: SendResult | None = None
        credentials = None
        if self._begun.to_send:
            credentials = fetch_credentials(self._plan.config.api, self._environment, self._begun.fetched)
        stop = self._stop_beforehand(interrupts) if credentials else None
        with ExitStack() as stack:
            with folder_faults(self._folder):
                journal = stack.enter_context(self._journal(credentials))
                log = stack.enter_context(LogFile(self._folder / "run.log"))
            if credentials and stop is None:
                hooks = hooks_of(journal, log, progress)
                read_first = read_before_write(self._plan, journal) if self._plan.reads_first else None
                before = self._readings[-1].limiter if self._readings else None
                jobs, known = self._jobs(journal), journal.allowed()
                options = SendOptions(
                    self._plan.review.rows, self._options.keep_going, read_first, before, known,
                    self._plan.config.input.duplicates == "in_order",
                )  # fmt: skip
                sent = run_loop(send(self._plan, hooks, jobs, credentials, self._environment, options, interrupts))
            if interrupts:
                interrupts.sent()  # nothing was, perhaps; what is known is written all the same
            finished = self._report(results, journal, sent, stop)
            remove_old_runs(self._plan.config.results, datetime.now(UTC), in_use=self._folder)
            return finished

    def _is_known_to_be_right(self, options: Options) -> bool:
        """Whether rows that are all refused alike say nothing of the set-up any more.

        A person who starts the run again has seen it. By night nobody has, until a row is confirmed.
        """
        resumed = self._begun.earlier.resumed
        return resumed is not None and (options.inbox is None or bool(resumed.confirmed))

    def _stop_beforehand(self, interrupts: Interrupts | None) -> Stop | None:
        """Return why nothing is sent. Raises GuardError."""
        compared = self._options.compared
        if compared is not None and compared.stop and compared.is_stopped:
            return replace(compared.stop, message=f"Nothing was sent. {compared.stop.message}")
        return self._judge_changes(interrupts) if self._begun.needs_changes else None

    def _judge_changes(self, interrupts: Interrupts | None) -> Stop | None:
        """Judge what would change; return why nothing is sent if not every record could be read. Raises GuardError."""
        compared = self._options.compared
        if compared is None or why_incomplete(compared):
            with temporary_folder() as folder:
                asked = replace(self._options, results=None)
                earlier = self._begun.earlier_part()
                compared = compare(self._plan, asked, folder, self._environment, None, interrupts, earlier)
            self._readings.append(compared)
        try:
            require_allowed(self._begun, compared)
        except GuardError as error:
            error.requests, error.retries = compared.requests, compared.retries
            error.throttled = compared.throttled
            raise
        return why_incomplete(compared)

    def _journal(self, credentials: Credentials | None) -> Journal:
        path, reads_first = self._folder / JOURNAL, self._plan.reads_first
        if resumed := self._begun.earlier.resumed:
            # By the token of this part a later one knows the account, wherever the token is kept by then.
            digest = _digest(self._begun, resumed.facts.caller.salt, credentials) if credentials else None
            facts = {"caller": asdict(digest)} if digest else {}
            return Journal.reopen(path, self._started_at, reads_first=reads_first, **facts)
        opening = _opening_facts(self._begun, self._options, _digest(self._begun, new_salt(), credentials))
        return Journal.create(path, opening.as_json(), self._started_at)

    def _jobs(self, journal: Journal) -> Iterator[Job]:
        """Yield the jobs that are to be sent, in file order: those that an earlier part confirmed are left out."""
        if not self._begun.earlier.resumed:
            yield from self._plan.jobs(self._options.limit)
            return
        for job in self._plan.jobs(self._options.limit, journal.earlier):
            yield job._replace(maybe_applied=True) if journal.earlier.maybe_applied(job.row) else job

    def _report(self, results: Path, journal: Journal, sent: SendResult | None, stop: Stop | None) -> RunResult:
        """Write workbook and page. A fault of the disk is reported, not raised: the outcomes are known all the same.

        `stop`: why nothing was sent.
        """
        stop = (
            stop
            or (sent.stop if sent else None)
            or limit_stop(self._plan.review, self._options.limit, "had their turn")
        )
        stop = _flushed(journal) or stop
        table, review = self._plan.table, self._plan.review
        facts, reviewed = self._facts(journal, sent, stop), RowsForReview(table.columns, self._plan.endpoint)
        written, fault = None, None
        try:
            if not (sent and sent.aborted):
                rows = reviewed.noting(rows_in(journal, table, review, stop, self._plan.endpoint))
                written = write_results(results, facts, table.columns, self._plan.endpoint, rows)
            else:
                fault = _NOT_WAITED_FOR
            summary = written.summary if written else self._summary(journal, stop)
        except (OSError, ResultsError, InputError) as error:
            why = f"The workbook {results} could not be written: {getattr(error, 'strerror', None) or error}."
            fault = f"{why} {remedy_of(error, OTHER_PLACE)}"
            summary = self._summary(journal, stop)
        except KeyboardInterrupt:  # somebody asked twice: not even the workbook is waited for
            fault, summary = _NOT_WAITED_FOR, self._summary(journal, stop)
        require_sum(review, summary)
        if fault != _NOT_WAITED_FOR:
            view = written.view if written else summary_view(facts, self._plan.endpoint, table.columns, summary)
            fault = page_written(view, reviewed, written.path if written else None, self._folder, fault)
        made = self._made(sent)
        again = functools.partial(rows_of, self._folder, table, review, stop, self._plan.endpoint)
        finished = RunResult(
            table=table,
            facts=facts,
            rows=again,
            rows_in_doubt=again,
            results=written.path if written else None,
            asked_results=results,
            summary=summary,
            elapsed_s=time.monotonic() - self._clock,
            folder=self._folder,
            copy=self._plan.snapshot.path,
            fault=fault,
            requests=sum(one.requests for one in made),
            retries=sum(one.retries for one in made),
            throttled=sum(one.throttled for one in made),
            stop=lasting(stop, summary),
            uniform_refusal=sent.uniform_refusal if sent else None,
            change_summary=written.change_summary if written else None,
        )
        return _ended(journal, finished, self._started_at)

    def _made(self, sent: SendResult | None) -> list[RunResult | SendResult]:
        """Return what made requests in this part of the run: readings of all records beforehand, and the sending."""
        return [*self._readings, *([sent] if sent else [])]

    def _summary(self, journal: Journal, stop: Stop | None) -> Summary:
        """Count the outcomes, from the journal alone where the copy of the input has gone."""
        table, review = self._plan.table, self._plan.review
        try:
            return counted(rows_in(journal, table, review, stop, self._plan.endpoint), table.columns)
        except (OSError, InputError):
            return counted_without_input(review, table.columns, journal.outcomes())

    def _facts(self, journal: Journal, sent: SendResult | None, stop: Stop | None) -> RunFacts:
        """Return the facts about the whole run, the parts before this one included."""
        parts = journal.parts()
        notes = [*self._begun.notes, *overridden(self._begun, self._options.compared)]
        if len(parts) > 1:
            notes.append(f"The run was resumed {_times(len(parts) - 1)}; requests and time are those of all its parts.")
        return RunFacts(
            command="run",
            input_path=self._plan.snapshot.name,
            input_sha256=self._plan.snapshot.sha256,
            sheet=self._plan.table.sheet,
            endpoint=self._plan.endpoint.name,
            base_url=self._plan.config.api.base_url,
            run_folder=str(self._folder),
            started_at=parts[0].started_at,
            finished_at=datetime.now(UTC),
            requests=sum(one.requests for one in (*parts, *self._made(sent))),
            retries=sum(one.retries for one in (*parts, *self._made(sent))),
            stop=stop,
            allowed=journal.allowed(),
            settings=self._plan.settings,
            notes=tuple(notes),
            expected=self._plan.table.expected,
            invocation=self._options.invocation,
            inbox=self._options.inbox,
        )


def page_written(
    view: SummaryView, reviewed: RowsForReview, workbook: Path | None, folder: Path, fault: str | None
) -> str | None:
    """Write the page. Returns the fault that there was and that of the page: neither hides the other."""
    try:
        write_page(folder / PAGE, view, reviewed, workbook)
    except OSError as error:
        remedy = remedy_of(error, "See that there is space, and the right to write there.")
        why = f"The page {folder / PAGE} could not be written: {error.strerror or error}. {remedy}"
        return f"{fault} {why}" if fault else why
    except KeyboardInterrupt:
        return fault or _NOT_WAITED_FOR_PAGE
    return fault


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def workbook_name(stem: str, at: datetime) -> str:
    """Return the name of a results workbook that is written at that moment."""
    return f"{stem}-results-{at:%Y%m%d-%H%M%S}.xlsx"


def _flushed(journal: Journal) -> Stop | None:
    """Wait for the disk; returns why the run counts as stopped if it does not take the last outcomes."""
    try:
        journal.flush()
    except JournalError as error:
        return Stop(StopReason.DISK, str(error), error.remedy)
    return None


def _ended(journal: Journal, finished: RunResult, started_at: datetime) -> RunResult:
    """Note in the journal how this part of the run ended; that it cannot be noted is a fault of its own."""
    stop = finished.stop
    part = Part(
        started_at, datetime.now(UTC), finished.requests, finished.retries, finished.elapsed_s,
        stop.reason.value if stop else None, stop.message if stop else None, stop.advice if stop else None,
        # Without everything written it is unfinished: running it again sends nothing anew, and writes.
        str(finished.results) if finished.results and finished.fault is None else None,
    )  # fmt: skip
    try:
        journal.end_part(part)
        journal.flush()
    except JournalError as error:
        return replace(finished, fault=finished.fault or f"How the run ended could not be noted: {error}")
    return finished


def _digest(open_run: OpenRun, salt: str, credentials: Credentials | None) -> CallerDigest:
    """Return what is told of who calls the API; a run that has nothing to send has no credentials."""
    token = credentials.token if credentials else None
    return open_run.candidate.caller.digest(salt, token.reveal() if token else None)


def _opening_facts(open_run: OpenRun, options: Options, caller: CallerDigest) -> Facts:
    plan = open_run.plan
    return Facts(
        identity=open_run.candidate.identity,
        caller=caller,
        input=plan.snapshot.name,
        input_path=plan.snapshot.source_path,
        input_file=plan.snapshot.path.name,
        stem=plan.snapshot.stem,
        description=plan.description,
        reading=plan.config.input,
        settings=tuple((setting.name, setting.value) for setting in plan.settings),
        rows=plan.review.rows,
        invalid=invalid_rows(plan.review),
        reads_first=plan.reads_first,
        is_takeback=plan.table.expected is not None,
        undoes=open_run.undoes,
        invocation=options.invocation,
        inbox=options.inbox,
    )
