"""One run, or one more part of it: from what was begun to its workbook."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.errors import ResultsError, StoreError
from batch_updater.files.writing import OTHER_PLACE, ROOM_THERE, check_replaceable, not_written
from batch_updater.records import RunFacts, Stop, StopReason
from batch_updater.reporter.page import PAGE, RowsForReview, write_page
from batch_updater.reporter.summary_view import SummaryView, summary_view
from batch_updater.reporter.workbook import write_results
from batch_updater.runs.beginning import RunBeginning
from batch_updater.runs.family import family_of
from batch_updater.runs.folder import folder_faults
from batch_updater.runs.guards import Override
from batch_updater.runs.history import DATABASE, read_run, resumption_note
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.names import remember_names
from batch_updater.runs.report_process import FEWEST_ROWS, ReportProcess
from batch_updater.runs.result import Progress, RunResult, limit_stop
from batch_updater.runs.retention import remove_old_runs
from batch_updater.runs.rows import check_row_count, lasting, report_rows, rows_in, tallied, unsent
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import hooks_of, read_before_write, run_loop, send
from batch_updater.runs.store import Part, opened_store
from batch_updater.runs.writer import RunWriter
from batch_updater.sender.send_options import SendOptions
from batch_updater.version import __version__

if TYPE_CHECKING:  # imported only where something is sent: it takes long
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.pool import SendResult


_NOT_WAITED_FOR = "The workbook was not written: the second signal ended the run at once."
_NOT_WAITED_FOR_PAGE = "The page was not written: the second signal ended the run at once."


class ActiveRun(RunBeginning):
    """One run, or one more part of it: from what was begun to its workbook."""

    def execute(self, progress: Progress | None = None, interrupts: StopRequests | None = None) -> RunResult:
        """Send every good row that is not done yet, then write the workbook.

        Raises ConfigError if a token cannot be fetched, ResultsError if the workbook's place is taken or the folder
        cannot be written, GuardError if a guard is exceeded: then nothing was sent.
        """
        results = self._options.results or self._folder / workbook_name(self._plan.snapshot.stem, self._started_at)
        check_replaceable(results)
        sent: SendResult | None = None
        process: ReportProcess | None = None
        credentials = self._credentials()
        stop = self._stop_beforehand(interrupts) if credentials else None
        with ExitStack() as stack:
            with folder_faults(self._folder):
                writer = stack.enter_context(self._writer(credentials, self._override(stop)))
                log = stack.enter_context(LogFile(self._folder / "run.log"))
                log.note("run begins", **self._beginning(writer))
            if credentials and stop is None:
                hooks = hooks_of(writer, log, progress)
                read_first = read_before_write(self._plan, writer) if self._plan.reads_first else None
                before = self._readings[-1].limiter if self._readings else None
                known = writer.store.names()
                send_options = SendOptions(
                    self._plan.staged.rows, self._options.keep_going, read_first, before, known,
                    self._plan.config.input.duplicates == "in_order", self._caller.salt,
                )  # fmt: skip
                if process := self._report_process(writer):
                    stack.enter_context(process)
                with opened_store(self._folder / DATABASE) as store:
                    jobs = store.jobs(self._plan.endpoint, self._options.limit)
                    work = send(self._plan, hooks, jobs, credentials, self._environment, send_options, interrupts)
                    sent = run_loop(work)
            if interrupts:
                interrupts.sent()  # nothing was, perhaps; what is known is written all the same
            finished = self._report(results, writer, sent, stop, process)
            removed = remove_old_runs(self._plan.config.results, datetime.now(UTC), in_use=self._folder)
            log.note("run ended", **_ending(finished, self._environment))
            return replace(finished, removed=removed)

    def _beginning(self, writer: RunWriter) -> dict[str, object]:
        """Return what the log says first: what is run by which program, and with which settings."""
        plan, options, resumed = self._plan, self._options, self._open_run.earlier.resumed
        asked = {"limit": options.limit, "keep_going": options.keep_going, "inbox": options.inbox}
        return {
            "version": __version__,
            "input": plan.snapshot.name,
            "sha256": plan.snapshot.sha256,
            "sheet": plan.staged.sheet,
            "endpoint": plan.endpoint.name,
            "base_url": plan.config.api.base_url,
            "part": len(writer.store.parts()),
            "rows": plan.staged.rows,
            "to_send": self._open_run.sends(options.limit),
            "confirmed": resumed.confirmed if resumed else 0,
            "columns": {column.header: column.field for column in plan.staged.columns.mapping},
            "settings": dict(plan.settings) | {name: value for name, value in asked.items() if value},
        }

    def _writer(self, credentials: Credentials | None, override: Override | None) -> RunWriter:
        path, plan = self._folder / DATABASE, self._plan
        if resumed := self._open_run.earlier.resumed:
            plan.store.close()  # the last connection that is closed takes everything into one file
            digest = self._digest(credentials) if credentials else None
            self._caller = digest or resumed.facts.caller
            writer = RunWriter.resume(path, self._changed_facts(resumed, digest, override), self._started_at)
            self._plan = replace(plan, store=writer.store)
            self._open_run = replace(self._open_run, plan=self._plan)
            return writer
        self._caller = self._digest(credentials)
        opening = self._facts_of_run(self._caller, override)
        return RunWriter.begin(plan.store, path, opening.as_json(), self._started_at)

    def _report_process(self, writer: RunWriter) -> ReportProcess | None:
        """Start a process that writes the workbook meanwhile; None where that is not worth it, or not possible."""
        if self._open_run.sends(self._options.limit) < FEWEST_ROWS or not writer.store.has_write_ahead_log:
            return None  # without such a log, who reads keeps the writer waiting
        started_at = writer.store.parts()[0].started_at
        return ReportProcess.start(self._folder / DATABASE, self._plan.staged, self._plan.endpoint, started_at)

    def _report(
        self,
        results: Path,
        writer: RunWriter,
        sent: SendResult | None,
        stop: Stop | None,
        process: ReportProcess | None,
    ) -> RunResult:
        """Write workbook and page. A fault of the disk is reported, not raised: the outcomes are known all the same.

        `stop`: why nothing was sent; `process` has begun to write the workbook.
        """
        plan, staged = self._plan, self._plan.staged
        left_out = limit_stop(staged.good, self._options.limit, "had their turn", "had its turn")
        stop = stop or (sent.stop if sent else None) or left_out
        try:
            writer.flush()
        except StoreError as error:  # the disk does not take the last outcomes
            stop = Stop(StopReason.DISK, str(error), error.remedy)
        api = plan.config.api.base_url or ""
        remember_names(self._folder.parent, plan.endpoint.name, api, self._caller, writer.taught)
        facts, for_review = self._facts(writer, sent, stop), RowsForReview(staged.columns, plan.endpoint)
        without_turn, written, fault = unsent(stop), None, None
        try:
            if sent and sent.aborted:
                fault = _NOT_WAITED_FOR
            elif process and (report := process.finish(results, facts, without_turn)):
                written, for_review = report
            else:
                rows = for_review.noting(report_rows(writer.store, staged, plan.endpoint, without_turn))
                written = write_results(results, facts, staged.columns, plan.endpoint, rows)
        except (OSError, ResultsError) as error:
            fault = not_written(f"The workbook {results}", error, OTHER_PLACE)
        except KeyboardInterrupt:  # the second signal: not even the workbook is waited for
            fault = _NOT_WAITED_FOR
        summary = written.summary if written else tallied(writer.store.rows(without_turn), staged.columns)
        check_row_count(staged, summary)
        view = None
        if fault != _NOT_WAITED_FOR:
            view = written.view if written else summary_view(facts, plan.endpoint, staged.columns, summary)
            fault = page_written(view, for_review, written.path if written else None, self._folder, fault)
        made = self._made(sent)
        finished = RunResult(
            columns=staged.columns,
            facts=facts,
            rows=partial(rows_in, self._folder, staged, plan.endpoint, without_turn),
            results=written.path if written else None,
            asked_results=results,
            summary=summary,
            elapsed_s=time.monotonic() - self._clock,
            folder=self._folder,
            fault=fault,
            requests=sum(one.requests for one in made),
            retries=sum(one.retries for one in made),
            throttled=sum(one.throttled for one in made),
            stop=lasting(stop, summary),
            uniform_refusal=sent.uniform_refusal if sent else None,
            change_summary=written.change_summary if written else None,
        )
        if not (sent and sent.aborted):
            finished = self._annotated_copy.added_to(finished, self._folder, plan.snapshot.stem)
        return _ended(writer, finished, self._started_at, view)

    def _made(self, sent: SendResult | None) -> list[RunResult | SendResult]:
        """Return what made requests in this part of the run: readings of all records beforehand, and the sending."""
        return [*self._readings, *([sent] if sent else [])]

    def _facts(self, writer: RunWriter, sent: SendResult | None, stop: Stop | None) -> RunFacts:
        """Return the facts about the whole run, the parts before this one included."""
        parts, family = writer.store.parts(), family_of(read_run(self._folder))
        notes = [*self._notes, *filter(None, [self._annotated_copy.note, resumption_note(len(parts))])]
        return replace(
            self._plan.facts("run", parts[0].started_at, writer.store, self._folder.name),
            run_folder=self._folder.name if self._plan.is_of_page else str(self._folder),
            requests=sum(one.requests for one in (*parts, *self._made(sent))),
            retries=sum(one.retries for one in (*parts, *self._made(sent))),
            stop=stop,
            allowed=writer.store.names(),
            notes=tuple(notes),
            invocation=self._options.invocation,
            inbox=self._options.inbox,
            repeats=self._open_run.repeats,
            family=family.sentence if family else "",
        )


def page_written(
    view: SummaryView, for_review: RowsForReview, workbook: Path | None, folder: Path, fault: str | None
) -> str | None:
    """Write the page. Returns the fault that there was and that of the page: neither hides the other."""
    try:
        write_page(folder / PAGE, view, for_review, workbook)
    except OSError as error:
        why = not_written(f"The page {folder / PAGE}", error, ROOM_THERE)
        return f"{fault} {why}" if fault else why
    except KeyboardInterrupt:
        return fault or _NOT_WAITED_FOR_PAGE
    return fault


def workbook_name(stem: str, at: datetime) -> str:
    """Return the name of a results workbook that is written at that moment."""
    return f"{stem}-results-{at:%Y%m%d-%H%M%S}.xlsx"


def _ended(writer: RunWriter, finished: RunResult, started_at: datetime, view: SummaryView | None) -> RunResult:
    """Note in the database how this part of the run ended; that it cannot be noted is a fault of its own."""
    stop = finished.stop
    part = Part(
        started_at, datetime.now(UTC), finished.requests, finished.retries, finished.elapsed_s,
        stop.reason.value if stop else None, stop.message if stop else None, stop.advice if stop else None,
        # Without everything written it is unfinished: running it again sends nothing and writes.
        str(finished.results) if finished.results and finished.fault is None else None,
        {kind: count for kind, count in finished.summary.counts.items() if count},
    )  # fmt: skip
    try:
        writer.end_part(part, view)
        writer.flush()
    except StoreError as error:
        return replace(finished, fault=finished.fault or f"How the run ended could not be noted: {error}")
    return finished


def _ending(finished: RunResult, environment: Environment) -> dict[str, object]:
    """Return what the log says last: how this part of the run ended."""
    stop = finished.stop
    texts = (finished.summary.verdict, stop.message if stop else "", finished.fault or "")
    return {
        "exit_code": int(finished.exit_code),
        "stopped": stop.reason.value if stop else None,
        "message": environment.redaction.text(" ".join(filter(None, texts))),
        "outcomes": {kind.value: count for kind, count in finished.summary.counts.items() if count},
        "requests": finished.requests,
        "retries": finished.retries,
        "seconds": round(finished.elapsed_s, 3),
        "results": str(finished.results) if finished.results else None,
    }
