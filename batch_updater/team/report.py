"""The job `report`: writes the workbook and the page of a run from its rows, and ends the part."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import Config
from batch_updater.errors import InputError, ResultsError
from batch_updater.files.writing import OTHER_PLACE, not_written, temporary_folder
from batch_updater.records import AllowedList, RunFacts, Stop
from batch_updater.reporter.copy_losses import Annotatable
from batch_updater.reporter.page import PAGE, RowsForReview
from batch_updater.reporter.summary import Summary
from batch_updater.reporter.summary_view import SummaryView, summary_view
from batch_updater.reporter.workbook import write_results
from batch_updater.runs import statements
from batch_updater.runs.annotate import AnnotatedCopy
from batch_updater.runs.folder import is_file_name
from batch_updater.runs.history import PastRun, find_run, resumption_note
from batch_updater.runs.names import remember_names
from batch_updater.runs.queued_runs import QueuedRun, queued_run, set_facts
from batch_updater.runs.report import facts_of
from batch_updater.runs.result import RunResult, limit_stop
from batch_updater.runs.retention import remove_orphaned_files
from batch_updater.runs.rows import check_row_count, lasting, report_rows, tallied, unsent
from batch_updater.runs.run import page_written, workbook_name
from batch_updater.runs.store import REPORT, DamagedStoreError, Part, Store
from batch_updater.runs.team_database import database_errors
from batch_updater.runs.team_files import MOST_BYTES, file_content, put_file
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.runs.writer import part_record
from batch_updater.sender.pool import UniformRefusal, UniformRefusals
from batch_updater.team.writer import BlockRefusals
from batch_updater.text.typed_values import typed

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

RESULT = "result.json"
"""Name of the file of a run that holds a `PartResult`."""


class PartResult(msgspec.Struct, frozen=True):
    """How a part of a run ended, for a person who has waited for it on another host."""

    facts: RunFacts
    """Without the names that are known, and what an undo expects: these are in the database."""
    summary: Summary
    elapsed_s: float
    workbook: str | None
    """Name of the file; None if it was not written."""
    annotated: str | None
    annotation_note: str
    fault: str | None
    requests: int
    retries: int
    throttled: int
    stop: Stop | None
    uniform_refusal: UniformRefusal | None


def part_result(team: TeamDatabase, run: str) -> PartResult | None:
    """Return how the last part of a run ended; None where that is not known. Raises psycopg.Error."""
    with team.connected() as connection:
        content = file_content(connection, run, RESULT)
    if content is None:
        return None
    result = typed(json.loads(content), PartResult)
    # The names of files become parts of paths on the host that has waited.
    return result if all(map(is_file_name, filter(None, (result.workbook, result.annotated)))) else None


class _Sent(NamedTuple):
    """What the blocks of a part have sent."""

    requests: int
    retries: int
    throttled: int
    started_at: datetime
    ended_at: datetime
    """Now, by the clock of the database."""


def write_report(team: TeamDatabase, run: str, config: Config) -> None:
    """Write workbook and page of a run, put them into the database, and end the part. `config` is that of this host.

    A part that has ended stays as it is. One of which the database holds what cannot be relied on ends without a
    report. Raises psycopg.Error, also where that is why rows could not be read: it says nothing of what they hold, so
    the report is tried again.
    """
    with team.connected() as connection:
        queued = queued_run(connection, run)
        if queued is None or queued.state is not TeamRunState.REPORTING:
            return  # another worker has done it
        sent = _sent(connection, queued)
    try:
        _write(team, queued, sent, config)
    except (InputError, DamagedStoreError) as error:
        if (behind := next(database_errors(error), None)) is not None:
            raise behind from None
        with team.connected(autocommit=False) as connection:
            if _is_to_report(connection, queued):
                end_without_report(connection, queued, queued.stop)
        raise  # who waits for it is told the same when they look for it


def _write(team: TeamDatabase, queued: QueuedRun, sent: _Sent, config: Config) -> None:
    run = queued.name
    folder = config.results.folder / run
    past = find_run(folder.parent, run)
    with temporary_folder() as scratch, past.store(looks_at_all=False) as store:
        finished, view = _Report(team, queued, sent, past, store).written(scratch)
        remember_names(
            folder.parent, finished.facts.endpoint, finished.facts.base_url or "", past.facts.caller,
            _taught(team, queued, store.names()),
        )  # fmt: skip
        remove_orphaned_files(config.results, datetime.now(UTC), in_use=folder)
        _end(team, queued, sent, finished, view, scratch)


class _Report:
    """The report of one part of a run."""

    def __init__(self, team: TeamDatabase, queued: QueuedRun, sent: _Sent, past: PastRun, store: Store) -> None:
        self._team = team
        self._queued = queued
        self._options = queued.options
        self._sent = sent
        self._past = past
        self._store = store
        self._staged = past.staged(store)

    def written(self, folder: Path) -> tuple[RunResult, SummaryView]:
        """Write everything into a temporary folder.

        A fault of the disk is reported, not raised: the outcomes are known all the same.
        """
        past, staged, store, options = self._past, self._staged, self._store, self._options
        endpoint = past.endpoint
        stop = self._queued.stop or limit_stop(staged.good, options.limit, "had their turn", "had its turn")
        without_turn = unsent(stop)
        annotated_copy = self._annotated_copy(folder)
        facts, for_review = self._facts(stop, annotated_copy.note), RowsForReview(staged.columns, endpoint)
        results = folder / workbook_name(past.facts.stem, self._sent.started_at)
        written, fault = None, None
        try:
            rows = for_review.noting(report_rows(store, staged, endpoint, without_turn))
            written = write_results(results, facts, staged.columns, endpoint, rows)
        except (OSError, ResultsError) as error:
            fault = not_written(f"The workbook {results.name}", error, OTHER_PLACE)
        summary = written.summary if written else tallied(store.rows(without_turn), staged.columns)
        check_row_count(staged, summary)
        view = written.view if written else summary_view(facts, endpoint, staged.columns, summary)
        fault = page_written(view, for_review, written.path if written else None, folder, fault)
        finished = RunResult(
            columns=staged.columns,
            facts=facts,
            rows=lambda **_: report_rows(store, staged, endpoint, without_turn),
            results=written.path if written else None,
            summary=summary,
            elapsed_s=(self._sent.ended_at - self._sent.started_at).total_seconds() + options.elapsed_s,
            fault=fault,
            requests=self._sent.requests + options.requests,
            retries=self._sent.retries + options.retries,
            throttled=self._sent.throttled + options.throttled,
            stop=lasting(stop, summary),
        )
        return annotated_copy.added_to(finished, folder, past.facts.stem), view

    def _annotated_copy(self, folder: Path) -> AnnotatedCopy:
        """Look at the input if a copy of it is asked for: that in the database, or else that of this host."""
        past, name = self._past, self._past.facts.input_file
        source = past.folder / name
        if not self._options.annotate:
            return AnnotatedCopy(source)
        with self._team.connected() as connection:
            content = file_content(connection, past.folder.name, name)
        try:
            if content is not None:
                source = folder / name
                source.write_bytes(content)
            elif not source.is_file():
                why = f"the input has more than {MOST_BYTES >> 20} MB, which the team's database does not take."
                return AnnotatedCopy(source, Annotatable(refusal=why))
            return AnnotatedCopy.of_input(source, self._staged.columns, may_lose=self._options.may_lose)
        except OSError as error:
            why = f"the input cannot be read: {error.strerror or error}."
            return AnnotatedCopy(source, Annotatable(refusal=why))

    def _facts(self, stop: Stop | None, annotation_note: str) -> RunFacts:
        """Return the facts about the whole run, the parts before this one included."""
        past, options, sent = self._past, self._options, self._sent
        ended = past.parts[-1]._replace(ended_at=sent.ended_at)
        past = replace(past, parts=(*past.parts[:-1], ended), team_state=TeamRunState.ENDED)
        facts = facts_of(past, self._store, self._staged)
        notes = (*options.notes, *filter(None, [annotation_note, resumption_note(len(past.parts))]))
        return replace(
            facts,
            run_folder=past.folder.name,
            finished_at=sent.ended_at,
            requests=facts.requests + sent.requests + options.requests,
            retries=facts.retries + sent.retries + options.retries,
            stop=stop,
            notes=notes,
            invocation=options.invocation,
            inbox=options.inbox,
            repeats=options.repeats,
        )


def _sent(connection: TeamConnection, queued: QueuedRun) -> _Sent:
    """Return the requests of all blocks of a part, and its times."""
    record = connection.execute(
        "SELECT coalesce(sum(requests), 0)::bigint, coalesce(sum(retries), 0)::bigint,"
        " coalesce(sum(throttled), 0)::bigint,"
        " (SELECT max(started_at) FROM parts WHERE run = %(run)s), extract(epoch FROM clock_timestamp())::float"
        " FROM blocks WHERE run = %(run)s",
        {"run": queued.id},
    ).fetchone()
    requests, retries, throttled, started_at, now = cast("tuple[int, int, int, float, float]", record)
    times = datetime.fromtimestamp(started_at, UTC), datetime.fromtimestamp(now, UTC)
    return _Sent(requests, retries, throttled, *times)


def _uniform_refusal(connection: TeamConnection, queued: QueuedRun) -> UniformRefusal | None:
    """Return how the API refused the first rows of every block, if all in the same way."""
    records = connection.execute(
        "SELECT refusals FROM blocks WHERE run = %s AND refusals IS NOT NULL", [queued.id]
    ).fetchall()
    refusals = [msgspec.json.decode(cast("str", text), type=BlockRefusals) for (text,) in records]
    refusals = [one for one in refusals if one.seen]
    kinds = {one.kind for one in refusals}
    if len(kinds) != 1:
        return None
    seen, are_missing = sum(one.seen for one in refusals), all(one.are_missing for one in refusals)
    return UniformRefusals(queued.rules.stop_after_alike, seen, kinds.pop(), are_missing).refusal


def _taught(team: TeamDatabase, queued: QueuedRun, known: tuple[AllowedList, ...]) -> list[AllowedList]:
    """Return the lists of valid names that answers have taught in this run."""
    with team.connected() as connection:
        records = connection.execute(
            "SELECT field, depends_on FROM names WHERE run = %s AND commit_number > 0", [queued.id]
        ).fetchall()
    taught = {(str(field), str(depends_on)) for field, depends_on in records}
    return [one for one in known if (one.field, json.dumps(one.depends_on)) in taught]


def _end(
    team: TeamDatabase, queued: QueuedRun, sent: _Sent, finished: RunResult, view: SummaryView, folder: Path
) -> None:
    """End the part, with its files, in one transaction."""
    with team.connected(autocommit=False) as connection:
        if not _is_to_report(connection, queued):
            return
        is_stored = {path.name: put_file(connection, queued.id, path) for path in _files(finished, folder)}
        workbook = finished.results.name if finished.results else None
        result = PartResult(
            facts=replace(finished.facts, allowed=(), expected=None),
            summary=finished.summary,
            elapsed_s=finished.elapsed_s,
            workbook=workbook,
            annotated=finished.annotated.name if finished.annotated and is_stored[finished.annotated.name] else None,
            annotation_note=finished.annotation_note,
            fault=finished.fault,
            requests=finished.requests,
            retries=finished.retries,
            throttled=finished.throttled,
            stop=finished.stop,
            uniform_refusal=_uniform_refusal(connection, queued),
        )
        (folder / RESULT).write_text(json.dumps(msgspec.to_builtins(result)), encoding="ascii")
        put_file(connection, queued.id, folder / RESULT)
        stop = finished.stop
        part = Part(
            sent.started_at, sent.ended_at, finished.requests, finished.retries, finished.elapsed_s,
            stop.reason.value if stop else None, stop.message if stop else None, stop.advice if stop else None,
            # Without everything written it is unfinished: running it again sends nothing and writes.
            workbook if finished.fault is None else None,
            {kind: count for kind, count in finished.summary.counts.items() if count},
        )  # fmt: skip
        _end_part(connection, queued, part, view)


def end_without_report(connection: TeamConnection, queued: QueuedRun, stop: Stop | None) -> None:
    """End the last part of a run without a report, in the transaction of the caller.

    The command that waits writes it from the rows. Raises psycopg.Error.
    """
    sent = _sent(connection, queued)
    connection.execute("DELETE FROM files WHERE run = %s AND name = %s", [queued.id, RESULT])
    part = Part(
        sent.started_at, sent.ended_at, sent.requests, sent.retries,
        (sent.ended_at - sent.started_at).total_seconds(),
        stop.reason.value if stop else None, stop.message if stop else None, stop.advice if stop else None, None,
    )  # fmt: skip
    _end_part(connection, queued, part, None)


def _is_to_report(connection: TeamConnection, queued: QueuedRun) -> bool:
    """Lock the run, and return whether no other worker has ended the part meanwhile."""
    locked = queued_run(connection, queued.name, locked=True)
    return locked is not None and locked.state is TeamRunState.REPORTING and locked.part == queued.part


def _files(finished: RunResult, folder: Path) -> list[Path]:
    """Return the files of a report that were written."""
    page = folder / PAGE
    return [path for path in (finished.results, finished.annotated, page) if path is not None and path.is_file()]


def _end_part(connection: TeamConnection, queued: QueuedRun, part: Part, view: SummaryView | None) -> None:
    """Note how the part ended, within the transaction of the caller."""
    from batch_updater.runs.postgres import RunConnection

    of_run = RunConnection(connection, queued.id, lambda _: None)
    of_run.execute(statements.END_PART, {"commit": 0, **part_record(part)})  # commits are counted for a file alone
    if view is not None:
        set_facts(connection, queued.id, {REPORT: msgspec.to_builtins(view)})
    connection.execute("UPDATE runs SET state = 'ended', changed_at = clock_timestamp() WHERE id = %s", [queued.id])
