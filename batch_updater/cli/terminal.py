"""What a command says to people: the preview before a run, the progress during it, the end after it."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import sys
import textwrap
import time
import unicodedata
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Never, Self, TextIO

from batch_updater.doctor.finding import Status, exit_code_of
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import UsageError
from batch_updater.messages import format_time, mapping_shown
from batch_updater.records import OutcomeKind, StopReason
from batch_updater.reporter.next_step import NextKind, NextStep
from batch_updater.runs.history import DamagedRun, with_undos
from batch_updater.runs.interrupts import Interrupted
from batch_updater.text.printable import command_line, print_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from tqdm import tqdm

    from batch_updater.doctor.finding import Finding
    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.records import Cause, Columns, Outcome
    from batch_updater.reporter.summary import Summary
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.plan import Plan
    from batch_updater.runs.result import RunResult

_REFRESH_S = 0.5
_PLAIN_LINE_EVERY_S = 5.0
_CAUSES_SHOWN = 5
_ROWS_TO_FORETELL = 20
"""Fewer say nothing about when the others will be done."""
_PROBLEMS_SHOWN = 20
_SAMPLE_CHARACTERS = 500
_LABEL_WIDTH = 9
_NARROWEST_TERMINAL = 60
_GAP = "  "
"""Between the columns of a table."""


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `1 min 34 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def rows(count: int) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def print_preview(open_run: OpenRun, count: int, stream: TextIO, *, asking: bool = False) -> None:
    """Show what will happen; `count` rows are sent; `asking`: somebody is asked, for which records are read first."""
    for label, text in _preview_lines(open_run, count, asking=asking):
        _print_wrapped(f"{label:<{_LABEL_WIDTH}} {text}", _LABEL_WIDTH + 1, stream)


def print_readings(plan: Plan, stream: TextIO) -> None:
    """Say what reading the record of every good row costs."""
    count, rate = plan.staged.good, plan.config.sending.rate_per_s
    readings = "1 record is read" if count == 1 else f"{count:,} records are read"
    line = f"{readings}: about {duration(count / rate)} at {rate:g} requests a second{_share(plan, count)}."
    _print_wrapped(line, 0, stream)


def print_earlier(open_run: OpenRun, stream: TextIO) -> None:
    """Say what past runs of the same input mean for this one."""
    earlier = open_run.earlier
    if past := earlier.resumed:
        began = format_time(past.started_at)
        _print_wrapped(f"Resuming the run of {began}: {past.confirmed:,} of {rows(past.rows)} are done.", 0, stream)
        if open_run.is_old:
            print_line("It began more than a day ago: changes made since could be overwritten.", stream)
    if past := earlier.finished:
        done, when = past.summary[OutcomeKind.UPDATED], format_time(past.started_at)
        _print_wrapped(f"This was applied before ({when}): {done:,} of {rows(past.rows)} updated.", 0, stream)
    if earlier.note:
        _print_wrapped(earlier.note, 0, stream)


def _print_wrapped(line: str, indent: int, stream: TextIO) -> None:
    """Print a line; on a terminal broken between words, as deep as it begins."""
    for part in _wrapped(line, indent) if stream.isatty() else (line,):
        print_line(part, stream)


def _wrapped(line: str, indent: int) -> list[str]:
    """Return a line in parts that fit the terminal."""
    line = printable(line)  # before its blanks are taken for places where it may be broken
    width = max(shutil.get_terminal_size().columns, _NARROWEST_TERMINAL)
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _preview_lines(open_run: OpenRun, count: int, *, asking: bool) -> Iterator[tuple[str, str]]:
    plan = open_run.plan
    staged = plan.staged
    is_read_twice = plan.reads_first and (asking or open_run.needs_changes)
    sheet = f', sheet "{staged.sheet}"' if staged.sheet else ""
    yield "File", f"{plan.snapshot.name}{sheet}, headers in row {staged.columns.header_row:,}"
    yield from _labelled("Columns", _mapping_lines(staged.columns, _LABEL_WIDTH + 1))
    bad = staged.rows - staged.good
    yield "Rows", f"{staged.rows:,}: {staged.good:,} good, {bad:,} with problems" + (" (not sent)" if bad else "")
    yield from _labelled("Problems", _cause_lines(staged.causes))
    yield from _labelled("Fields", _field_lines(plan))
    yield from _labelled("Note", open_run.notes)
    yield "To", f"{plan.config.api.base_url} ({plan.endpoint.name})"
    yield "Time", _time(plan, count, is_read_twice=is_read_twice)
    yield "Undo", open_run.undo
    if not open_run.earlier.resumed:  # then the first row is done already
        yield from _labelled("First", _sample_lines(plan))


def _time(plan: Plan, count: int, *, is_read_twice: bool) -> str:
    rate = plan.config.sending.rate_per_s
    if not plan.reads_first:
        return f"about {duration(count / rate)} at {rate:g} requests a second"
    readings = 2 * count if is_read_twice else count
    when = " before anything is sent, as many right before the updates" if is_read_twice else ""
    how = f"{count:,} readings{when}"
    return (
        f"{duration(readings / rate)} to {duration((readings + count) / rate)} at {rate:g} requests a second: {how}, "
        f"and as many updates at most{_share(plan, readings + count)}"
    )


def _share(plan: Plan, requests: int) -> str:
    quota = plan.endpoint.quota_per_month
    if not quota:
        return ""
    share = f"up to {requests / quota:.2%}" if requests * 10_000 >= quota else "under 0.01%"
    return f", {share} of the account's requests for a month"


def _labelled(label: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        yield label, line
        label = ""


def _mapping_lines(columns: Columns, indent: int) -> Iterator[str]:
    """Yield the mapping table: header, first value, field; `indent` is what goes in front of each line."""
    room = max(shutil.get_terminal_size().columns, _NARROWEST_TERMINAL) - indent - 2 * len(_GAP)
    shown, more = mapping_shown(columns.mapping)
    lines = [("header", "first value", "field"), *((one.header, one.first_value, one.meaning) for one in shown)]
    headers, values, fields = (list(map(printable, texts)) for texts in zip(*lines, strict=True))
    headers, fields = _cut(headers, room // 3), _cut(fields, room // 3)
    values = _cut(values, room - max(map(len, headers)) - max(map(len, fields)))
    for line in zip(*map(_filled, (headers, values)), fields, strict=True):
        yield _GAP.join(line)
    if more:
        yield more


def _cut(texts: list[str], width: int) -> list[str]:
    return [text if len(text) <= width else f"{text[: width - 3]}..." for text in texts]


def _filled(texts: list[str]) -> list[str]:
    """Return texts with blanks behind them, all of one width."""
    width = max(map(_width, texts))
    return [text + " " * (width - _width(text)) for text in texts]


def _width(text: str) -> int:
    """Return how many places a text takes on a terminal, where East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _field_lines(plan: Plan) -> Iterator[str]:
    for field in plan.endpoint.body_fields:
        if sent := plan.staged.sent.get(field.name, 0):
            cleared = plan.staged.cleared.get(field.name, 0)
            yield f"{field.name} in {rows(sent)}" + (f", cleared in {cleared:,} of them" if cleared else "")


def _sample_lines(plan: Plan) -> Iterator[str]:
    if plan.first_job is None:
        return
    request = RequestBuilder(plan.endpoint).build(plan.first_job)
    query = f"?{request.query}" if request.query else ""
    yield f"{request.method} {plan.config.api.base_url}{request.path}{query}   (row {plan.first_job.row})"
    body = request.body.decode()
    yield body if len(body) <= _SAMPLE_CHARACTERS else f"{body[:_SAMPLE_CHARACTERS]} ..."


def _cause_lines(causes: Sequence[Cause]) -> Iterator[str]:
    yield from (cause.as_line for cause in causes[:_CAUSES_SHOWN])
    if (more := len(causes) - _CAUSES_SHOWN) > 0:
        yield f"and {more:,} more kinds of trouble, which the workbook lists"


class Answer(Enum):
    """What a person says to the question whether to send."""

    YES = "y"
    COMPARE = "c"
    NO = "n"


_HIDDEN_TOO = frozenset({"a", "all", "y", "yes"})
_VISIBLE_ONLY = frozenset({"v", "visible", "visible only", "n", "no"})
"""A no to "send them too?" sends nothing yet: the question whether to send the others follows."""


def takes_hidden_rows(open_run: OpenRun) -> bool:
    """Ask on stderr whether hidden rows are sent too. Raises UsageError if the answer is neither yes nor no."""
    hidden, sheet = open_run.plan.staged.hidden_rows, open_run.plan.staged.sheet
    are = "is" if hidden.count == 1 else "are"
    where = f'the sheet "{sheet}"' if sheet else "the sheet"
    _print_wrapped(f"{hidden.counted} {are} hidden (filtered, or by hand) in {where}: {hidden.numbers}.", 0, sys.stderr)
    answer = _answer(f"Send {'it' if hidden.count == 1 else 'them'} too? [a]ll / [v]isible only / [C]ancel")
    if answer in _HIDDEN_TOO:
        return True
    if answer in _VISIBLE_ONLY:
        return False
    raise UsageError("Cancelled. Nothing was sent.", remedy="Run it again when you are ready.")


def asked_to_send(open_run: OpenRun, compared: RunResult | None, count: int) -> Answer:
    """Ask on stderr whether to send `count` rows, or what reading their records has left of them.

    Anything but yes, or the wish to compare first where that is possible, is no.
    """
    repeats = open_run.plan.repeats
    again = (
        " again"
        if open_run.earlier.finished
        else f", {repeats.rows:,} of them again,"
        if repeats and not compared
        else ""
    )
    if compared:  # a record that could not be read may be so already, or not
        count = compared.summary[OutcomeKind.PLANNED] + compared.unread
    upper = "up to " if compared and compared.unread else ""
    question = f"Send {upper}{count:,} update{'s' if count != 1 else ''}{again} to {open_run.plan.config.api.base_url}?"
    if not count:
        question = "Nothing is to be updated just now. Write the workbook of the run all the same?"
    can_compare = not open_run.plan.reads_first and open_run.plan.endpoint.read is not None
    answer = _answer(f"{question} [y/N]{', or c to compare first:' if can_compare else ''}")
    if can_compare and answer in {"c", "compare"}:
        return Answer.COMPARE
    return Answer.YES if answer in {"y", "yes"} else Answer.NO


def agrees_to_lose(lost: str) -> bool:
    """Ask on stderr whether an annotated copy is written although it loses that."""
    return _answer(f"Annotating loses {lost}. Write the annotated copy anyway? [y/N]") in {"y", "yes"}


def _answer(question: str) -> str:
    """Ask on stderr and return the answer, in lower case; Ctrl-C is an answer, too."""
    *lines, last = _wrapped(question, 0)
    for line in ("", *lines):
        print_line(line, sys.stderr)
    sys.stderr.write(f"{last} ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().casefold()
    except Interrupted as signalled:
        print_line("", sys.stderr)
        if signalled.number != signal.SIGINT:
            raise
        return ""


class Bar:
    """A progress bar on a terminal, with rate, time left and counts by outcome."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415  (only where a terminal shows it)

        self._counts: Counter[OutcomeKind] = Counter()
        self._bar: tqdm[Never] = tqdm(
            total=total, unit=" rows", dynamic_ncols=True, mininterval=_REFRESH_S, smoothing=0.1
        )
        self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.set_postfix_str(_in_words(self._counts), refresh=False)
        self._bar.close()

    def settled(self, outcome: Outcome) -> None:
        """Take note of one more row that has its outcome."""
        self._counts[outcome.kind] += 1
        now = time.monotonic()
        if now - self._shown_at >= _REFRESH_S:  # set_postfix costs a hundred times what update does
            self._shown_at = now
            self._bar.set_postfix_str(_in_words(self._counts), refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(printable(text), file=sys.stderr)


class PlainLines:
    """A line every few seconds, for a log that nobody watches."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._counts: Counter[OutcomeKind] = Counter()
        self._done = 0
        self._started_at = self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind: the end is said elsewhere."""

    def settled(self, outcome: Outcome) -> None:
        """Take note of one more row that has its outcome."""
        self._counts[outcome.kind] += 1
        self._done += 1
        now = time.monotonic()
        if now - self._shown_at >= _PLAIN_LINE_EVERY_S:
            self._shown_at = now
            rate = self._done / (now - self._started_at)
            left = f", {duration((self._total - self._done) / rate)} left" if self._done >= _ROWS_TO_FORETELL else ""
            self.say(f"{self._done:,} of {rows(self._total)}: {_in_words(self._counts)}; {rate:.1f} rows/s{left}")

    def say(self, text: str) -> None:
        """Print a line."""
        print_line(text, self._stream)
        self._stream.flush()


def _in_words(counts: Mapping[OutcomeKind, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind.value}" for kind in OutcomeKind if counts[kind])


def print_end(finished: RunResult, step: NextStep, stream: TextIO) -> None:
    """Say what became of the rows, why the run ended early, where the workbook is and what to do or type next."""
    summary = finished.summary
    if finished.folder is None:
        _print_checked(finished, stream)
    print_line(summary.verdict, stream)
    if finished.stop:
        print_line("", stream)
        _print_wrapped(f"Stopped: {finished.stop.message} {finished.stop.advice}", 9, stream)
    _print_counts(summary, stream)
    if finished.folder is None:
        print_change_summary(finished, stream)
        print_notes(finished.facts.notes, stream)
        _print_problems(finished, stream)
        _print_trouble(finished, stream)
    elif summary.causes:
        print_line("", stream)
        print_line("Commonest causes:", stream)
        for line in _cause_lines(summary.causes):
            _print_wrapped(f"  {line}", 6, stream)
    if finished.fault:
        print_line("", stream)
        print_line(finished.fault, stream)
    _print_files(finished, stream)
    _print_next(step, stream)


def _print_files(finished: RunResult, stream: TextIO) -> None:
    if finished.results:
        if finished.asked_results not in {None, finished.results}:
            print_line("", stream)
            print_line(f"{finished.asked_results} is open in another program or not ours: it stays as it is.", stream)
        print_line("", stream)
        print_line(f"Results: {finished.results}", stream)
    if finished.annotated:
        print_line(f"Annotated: {finished.annotated}", stream)
    elif finished.annotation_note and finished.folder:  # those of a check are above
        _print_wrapped(f"Note: {finished.annotation_note}", 6, stream)


def _print_next(step: NextStep, stream: TextIO) -> None:
    if step.kind is not NextKind.NOTHING:
        _print_wrapped(f"{'Next:':<{_LABEL_WIDTH}}{step.text}", _LABEL_WIDTH, stream)
    if step.command:
        print_line(f"{'':<{_LABEL_WIDTH}}{command_line(step.command)}", stream)


def _print_checked(finished: RunResult, stream: TextIO) -> None:
    """Say what was read and as what."""
    facts, columns = finished.facts, finished.columns
    sheet = f', sheet "{facts.sheet}"' if facts.sheet else ""
    _print_wrapped(f"Checked: {facts.input_path}{sheet}, headers in row {columns.header_row:,}", 9, stream)
    for line in _mapping_lines(columns, 2):
        _print_wrapped(f"  {line}", 4, stream)
    print_line("", stream)


def print_change_summary(finished: RunResult, stream: TextIO) -> None:
    """Say what changes, or that nothing does."""
    if finished.change_summary is None:
        return
    lines = list(finished.change_summary.in_words())
    if not lines and finished.is_whole:
        lines.append("Nothing changes.")
    if finished.change_summary.unchanged:
        lines.append(f"{rows(finished.change_summary.unchanged)} of records that hold already what is asked for.")
    if not finished.is_whole:
        lines.append("This is not all: some records could not be read.")
    elif finished.stop and finished.stop.reason is StopReason.LIMIT:
        lines.append(finished.stop.message)
    print_line("", stream)
    print_line("What changes:", stream)
    for line in lines:
        _print_wrapped(f"  {line}", 4, stream)


def print_notes(notes: Iterable[str], stream: TextIO) -> None:
    """Print notes, with a blank line above."""
    for number, note in enumerate(notes):
        if not number:
            print_line("", stream)
        _print_wrapped(f"Note: {note}", 6, stream)


def _print_trouble(finished: RunResult, stream: TextIO) -> None:
    """Name what reading the records brought up, where no cell is to blame."""
    causes = (
        [cause for cause in finished.summary.causes if cause.example_cell is None] if finished.change_summary else []
    )
    for line in _cause_lines(causes):
        _print_wrapped(line, 2, stream)


def _print_problems(finished: RunResult, stream: TextIO) -> None:
    """Name the faulty cells one by one: after a check somebody is about to correct them."""
    problems = (problem for row in finished.rows_to_fix() for problem in row.outcome.problems)
    shown = list(itertools.islice(problems, _PROBLEMS_SHOWN + 1))
    if shown:
        print_line("", stream)
    for problem in shown[:_PROBLEMS_SHOWN]:
        cell = finished.columns.address_of(problem)
        where = f"Row {problem.row}" + (f", {problem.field}" if problem.field else "") + (f" ({cell})" if cell else "")
        _print_wrapped(f"{where}: {problem.in_full}", 2, stream)
    if len(shown) > _PROBLEMS_SHOWN:
        print_line("... and more: the workbook names every one.", stream)


def _print_counts(summary: Summary, stream: TextIO) -> None:
    if not summary.rows:
        return
    width = len(f"{summary.rows:,}")
    print_line("", stream)
    for kind in OutcomeKind:
        if count := summary[kind]:
            print_line(f"  {count:>{width},}  {kind.value}", stream)
    print_line(f"  {summary.rows:>{width},}  rows", stream)


def result_object(finished: RunResult, step: NextStep) -> str:
    """Return what `--json` prints: one object on one line."""
    facts, summary = finished.facts, finished.summary
    return json.dumps(
        {
            "run": str(finished.folder) if finished.folder else None,
            "input": facts.input_path,
            "sheet": facts.sheet,
            "results": str(finished.results) if finished.results else None,
            "endpoint": facts.endpoint,
            "rows": summary.rows,
            "outcomes": {kind.value: summary[kind] for kind in OutcomeKind},
            "next": {"kind": step.kind.value, "command": step.command},
            "columns": [column.as_object for column in finished.columns.mapping],
            "notes": [*facts.notes, *([finished.fault] if finished.fault else [])],
            "requests": finished.requests,
            "retries": finished.retries,
            "elapsed_s": round(finished.elapsed_s, 3),
            "rate_per_s": round(finished.rate_per_s, 3),
            "exit_code": int(finished.exit_code),
            "stopped": finished.stop.reason.value if finished.stop else None,
        }
    )


def print_runs(runs: Iterable[PastRun | DamagedRun], stream: TextIO) -> None:
    """List past runs, the newest first: when, how long, how many rows, and what became of them."""
    there_are = False
    for past, undo_workbook in with_undos(runs):
        there_are = True
        print_line(past.folder.name, stream)
        if isinstance(past, DamagedRun):
            print_line(f"    its journal {past.what}", stream)
            continue
        for line in _past_lines(past, undo_workbook):
            _print_wrapped(f"    {line}", 4, stream)
    if not there_are:
        print_line("There are no runs yet.", stream)


def _past_lines(past: PastRun, undo_workbook: PastRun | None) -> Iterator[str]:
    going_on = past.is_going_on
    took = duration(past.elapsed_s) if past.is_ended else "going on just now" if going_on else "cut off"
    yield f"{format_time(past.started_at)}, {took}, {past.input}"
    if going_on:
        yield f"So far: {_in_words(past.counts)}"
        return
    yield past.summary.verdict
    if past.rows:
        yield f"{rows(past.rows)}: {_in_words(past.counts)}"
    if past.is_unfinished:
        why = f"{past.stop.message} " if past.stop else ""
        again = "sends every row anew" if undo_workbook else "goes on with it"
        yield f"Unfinished. {why}Running the same again {again}."
    if undo_workbook:
        yield f"Taken back, in part at least, by the run {undo_workbook.folder.name}."


def runs_object(runs: Iterable[PastRun | DamagedRun]) -> str:
    """Return what `runs --json` prints: one object on one line."""
    found = [_run_object(past, undo_workbook) for past, undo_workbook in with_undos(runs)]
    return json.dumps({"runs": found, "exit_code": 0})


def _run_object(past: PastRun | DamagedRun, undo_workbook: PastRun | None) -> dict[str, object]:
    if isinstance(past, DamagedRun):
        return {"run": str(past.folder), "damaged": past.why}
    identity = past.identity
    return {
        "run": str(past.folder),
        "input": past.input,
        "sheet": identity.sheet,
        "endpoint": identity.endpoint,
        "base_url": identity.base_url,
        "started_at": past.started_at.isoformat(),
        "ended_at": past.ended_at.isoformat() if past.ended_at else None,
        "elapsed_s": round(past.elapsed_s, 3),
        "rows": past.rows,
        "outcomes": {kind.value: past.counts[kind] for kind in OutcomeKind},
        "requests": past.requests,
        "retries": past.retries,
        "stopped": past.stop.reason.value if past.stop else None,
        "results": past.parts[-1].results,
        "unfinished": past.is_unfinished,
        "going_on": past.is_going_on,
        "taken_back_by": undo_workbook.folder.name if undo_workbook else None,
        "verdict": past.summary.verdict,
        "exit_code": int(past.summary.exit_code),
    }


_STATUS_WIDTH = 9
_CHECK_WIDTH = 16


def print_finding(finding: Finding, stream: TextIO) -> None:
    """Print one line of the doctor's report: status, check, what was found, and how to mend it."""
    indent = " " * (_STATUS_WIDTH + _CHECK_WIDTH)
    head = f"{finding.status.value:{_STATUS_WIDTH}}{finding.check:{_CHECK_WIDTH}}"
    width = max(60, shutil.get_terminal_size().columns - 1)
    for line in (finding.message, *finding.more, *([f"-> {finding.remedy}"] if finding.remedy else [])):
        # A path or an address stays in one piece, to be copied.
        wrapped = textwrap.wrap(printable(line), width - len(indent), break_long_words=False, break_on_hyphens=False)
        for part in wrapped:
            print_line(f"{head}{part}", stream)
            head = indent
    for step in finding.steps:
        print_line(f"{indent}   {step}", stream)
    stream.flush()  # the next check may take its time


def asked_record(endpoint: Endpoint, fields: Sequence[Field]) -> list[str]:
    """Ask for a record that may be read to try the token; returns a value for each field, or none."""
    answers: list[str] = []
    for field in fields:
        sys.stderr.write(
            f"Which {printable(endpoint.record_name)} may be read to try the token? Nothing is changed.\n"
            f"{printable(field.name)} (Enter: none) > "
        )
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if not answer:
            return []
        answers.append(answer)
    return answers


def print_diagnosis(findings: Sequence[Finding], stream: TextIO) -> None:
    """Say how the doctor's checks ended, in one line."""
    counts = Counter(finding.status.value for finding in findings)
    if counts["wrong"]:
        verdict = "mend what is wrong, then check again."
    elif untried := [finding.check for finding in findings if finding.status is Status.SKIPPED]:
        look = " Look at the warnings." if counts["warning"] else ""
        verdict = f"nothing is wrong so far; {', '.join(untried)}: not tried.{look}"
    elif counts["warning"]:
        verdict = "the set-up works; look at the warnings."
    else:
        verdict = "everything is ready."
    told = ", ".join(f"{counts[status]} {status}" for status in ("ok", "warning", "wrong", "skipped") if counts[status])
    print_line("", stream)
    print_line(f"{told}: {verdict}", stream)


def findings_object(findings: Sequence[Finding]) -> str:
    """Return what `doctor --json` prints: one object on one line."""
    checks = [
        {
            "check": finding.check,
            "status": finding.status.value,
            "message": finding.whole_message,
            "remedy": finding.whole_remedy or None,
        }
        for finding in findings
    ]
    return json.dumps({"exit_code": int(exit_code_of(findings)), "checks": checks})
