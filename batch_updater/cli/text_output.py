"""Every sentence that a command prints: results, past runs, the doctor's findings, errors."""

from __future__ import annotations

import itertools
import shutil
import textwrap
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.cli.parser import DEFAULT_CONFIG, PROGRAM
from batch_updater.config.environment import ways_to_set
from batch_updater.messages import counted, format_date_time, format_time, mapping_shown, removal_note
from batch_updater.records import OutcomeKind, StopReason
from batch_updater.text.printable import command_line, print_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from batch_updater.cli.wizard import Answers
    from batch_updater.doctor.finding import Finding
    from batch_updater.errors import BatchUpdaterError
    from batch_updater.records import Cause, Columns
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.history import DamagedRun, PastRun
    from batch_updater.runs.result import RunResult
    from batch_updater.runs.undo import Undo

_CAUSES_SHOWN = 5
_PROBLEMS_SHOWN = 20
_NARROWEST_TERMINAL = 60
_GAP = "  "
"""Between the columns of a table."""
_STATUS_WIDTH = 9
_CHECK_WIDTH = 16


class Line(NamedTuple):
    """One line for people."""

    text: str = ""
    indent: int | None = None
    """Blanks in front of its further lines where a terminal is too narrow; None: it stays one line, to be copied."""


def write_lines(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines; long ones are broken between words on a terminal only."""
    for text, indent in lines:
        for part in (text,) if indent is None or not stream.isatty() else wrapped(text, indent):
            print_line(part, stream)
    stream.flush()


def wrapped(text: str, indent: int) -> list[str]:
    """Return a text in lines that fit the terminal; an address or a path stays in one piece."""
    text = printable(text)  # before its blanks are taken for places where it may be broken
    return textwrap.wrap(
        text, _terminal_width(), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _terminal_width() -> int:
    return max(shutil.get_terminal_size().columns, _NARROWEST_TERMINAL)


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `1 min 34 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def outcome_counts(counts: Mapping[OutcomeKind, int]) -> str:
    """Return `1,200 updated, 3 failed`; '' if there are none."""
    return ", ".join(f"{counts[kind]:,} {kind.value}" for kind in OutcomeKind if counts[kind])


def result_lines(result: RunResult, step: NextStep) -> Iterator[Line]:
    """Yield the outcome of a run or check, why it stopped, where the workbook is, and what to do next."""
    summary, facts, columns = result.summary, result.facts, result.columns
    if result.folder is None:
        sheet = f', sheet "{facts.sheet}"' if facts.sheet else ""
        yield Line(f"Checked: {facts.input_path}{sheet}, headers in row {columns.header_row:,}", 9)
        yield from (Line(f"  {text}", 4) for text in mapping_texts(columns, 2))
        yield Line()
    yield Line(summary.verdict)
    if result.stop:
        yield Line()
        yield Line(f"Stopped: {result.stop.message} {result.stop.advice}", 9)
    if summary.rows:
        width = len(f"{summary.rows:,}")
        yield Line()
        yield from (Line(f"  {summary[kind]:>{width},}  {kind.value}") for kind in OutcomeKind if summary[kind])
        yield Line(f"  {summary.rows:>{width},}  rows")
    if result.folder is None:
        yield from change_summary_lines(result)
        yield from note_lines(facts.notes)
        yield from _problem_lines(result)
    elif summary.causes:
        yield from (Line(), Line("Most common causes:"))
        yield from (Line(f"  {text}", 6) for text in cause_texts(summary.causes))
    yield from _workbook_lines(result)
    if result.removed:
        yield from note_lines((removal_note(result.removed),))
    if step.kind.value != "nothing":
        yield Line(f"Next:    {step.text}", 9)
    if step.command:
        yield Line(f"         {command_line(step.command)}")


def _workbook_lines(result: RunResult) -> Iterator[Line]:
    if result.fault:
        yield from (Line(), Line(result.fault))
    if result.results:
        if result.asked_results not in {None, result.results}:
            why = "open in another program, or not written by batch-updater"
            yield from (Line(), Line(f"Could not overwrite {result.asked_results} ({why})."))
        yield from (Line(), Line(f"Results: {result.results}"))
    if result.annotated:
        yield Line(f"Annotated: {result.annotated}")
    elif result.annotation_note and result.folder:  # those of a check are above
        yield from note_lines((result.annotation_note,))


def mapping_texts(columns: Columns, indent: int) -> Iterator[str]:
    """Yield the mapping table: header, first value, field; `indent` is what goes in front of each line."""
    room = _terminal_width() - indent - 2 * len(_GAP)
    shown, more = mapping_shown(columns.mapping)
    lines = [("header", "first value", "field"), *((one.header, one.first_value, one.meaning) for one in shown)]
    headers, values, fields = (list(map(printable, texts)) for texts in zip(*lines, strict=True))
    headers, fields = _cut(headers, room // 3), _cut(fields, room // 3)
    values = _cut(values, room - max(map(len, headers)) - max(map(len, fields)))
    for line in zip(padded(headers), padded(values), fields, strict=True):
        yield _GAP.join(line)
    if more:
        yield more


def _cut(texts: list[str], width: int) -> list[str]:
    return [text if len(text) <= width else f"{text[: width - 3]}..." for text in texts]


def padded(texts: list[str]) -> list[str]:
    """Return texts with blanks behind them, all as wide on a terminal, where East Asian characters take two places."""
    widths = [sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text) for text in texts]
    return [text + " " * (max(widths) - width) for text, width in zip(texts, widths, strict=True)]


def change_summary_lines(result: RunResult) -> Iterator[Line]:
    """Yield what changes, or that nothing does."""
    if result.change_summary is None:
        return
    texts = list(result.change_summary.in_words())
    if not texts and result.is_whole:
        texts.append("Nothing changes.")
    if unchanged := result.change_summary.unchanged:
        texts.append(f"{counted(unchanged, 'row')} without a change: the record already holds these values.")
    if not result.is_whole:
        texts.append("This is not all: some records could not be read.")
    elif result.stop and result.stop.reason is StopReason.LIMIT:
        texts.append(result.stop.message)
    yield from (Line(), Line("What changes:"))
    yield from (Line(f"  {text}", 4) for text in texts)


def note_lines(notes: Iterable[str]) -> Iterator[Line]:
    """Yield notes, with a blank line above."""
    for number, note in enumerate(notes):
        if not number:
            yield Line()
        yield Line(f"Note: {note}", 6)


def _problem_lines(result: RunResult) -> Iterator[Line]:
    """Yield the first problems, then what kept records from being read, where no cell is to blame."""
    problems = (problem for row in result.rows_to_fix() for problem in row.outcome.problems)
    shown = list(itertools.islice(problems, _PROBLEMS_SHOWN + 1))
    if shown:
        yield Line()
    for problem in shown[:_PROBLEMS_SHOWN]:
        cell = result.columns.address_of(problem)
        where = f"Row {problem.row}" + (f", {problem.field}" if problem.field else "") + (f" ({cell})" if cell else "")
        yield Line(f"{where}: {problem.in_full}", 2)
    if len(shown) > _PROBLEMS_SHOWN:
        yield Line("... and more: the workbook lists every one.")
    if result.change_summary:
        causes = [cause for cause in result.summary.causes if cause.example_cell is None]
        yield from (Line(text, 2) for text in cause_texts(causes))


def cause_texts(causes: Sequence[Cause]) -> Iterator[str]:
    """Yield the most common causes, each with an example."""
    yield from (cause.as_line for cause in causes[:_CAUSES_SHOWN])
    if (more := len(causes) - _CAUSES_SHOWN) > 0:
        yield f"and {counted(more, 'more cause')}, which the workbook lists"


def run_list_lines(runs: Iterable[tuple[PastRun | DamagedRun, PastRun | None]]) -> Iterator[Line]:
    """Yield past runs, the newest first, each with the run that undid it: when, how long, how many rows, outcomes."""
    from batch_updater.runs.history import DamagedRun

    run = None
    for run, undone_by in runs:
        yield Line(run.folder.name)
        if isinstance(run, DamagedRun):
            yield Line(f"    its database {run.what}")
        else:
            yield from (Line(f"    {text}", 4) for text in _run_texts(run, undone_by))
    if run is None:
        yield Line("There are no runs yet.")


def _run_texts(run: PastRun, undone_by: PastRun | None) -> Iterator[str]:
    took = duration(run.elapsed_s) if run.ended_at else "running now" if run.is_going_on else "cut off"
    yield f"{format_time(run.started_at)}, {took}, {run.facts.input}"
    if run.is_going_on:
        yield f"So far: {outcome_counts(run.counts)}"
        return
    yield run.summary.verdict
    if run.rows:
        yield f"{counted(run.rows, 'row')}: {outcome_counts(run.counts)}"
    if run.facts.closed_at:
        yield f"Closed on {format_date_time(run.facts.closed_at)}. Running the same file again sends every row."
    if run.is_unfinished:
        why = f"{run.stop.message} " if run.stop else ""
        yield f"Unfinished. {why}Running the same file again {'sends every row' if undone_by else 'resumes it'}."
    if undone_by:
        yield f"Undone, at least in part, by the run {undone_by.folder.name}."


def finding_lines(finding: Finding) -> Iterator[Line]:
    """Yield one of the doctor's findings: status, check, what was found, and how to correct it."""
    indent = " " * (_STATUS_WIDTH + _CHECK_WIDTH)
    head = f"{finding.status.value:{_STATUS_WIDTH}}{finding.check:{_CHECK_WIDTH}}"
    width = _terminal_width() - 1 - len(indent)
    for text in (finding.message, *finding.more, *([f"-> {finding.remedy}"] if finding.remedy else [])):
        for part in textwrap.wrap(printable(text), width, break_long_words=False, break_on_hyphens=False):
            yield Line(f"{head}{part}")
            head = indent
    yield from (Line(f"{indent}   {step}") for step in finding.steps)


def diagnosis_lines(findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield how the doctor's checks ended, in one line."""
    counts = Counter(finding.status.value for finding in findings)
    untried = [finding.check for finding in findings if finding.status.value == "skipped"]
    if counts["wrong"]:
        verdict = "correct what is wrong, then check again."
    elif untried:
        look = " Look at the warnings." if counts["warning"] else ""
        verdict = f"nothing is wrong so far; {', '.join(untried)}: not tried.{look}"
    else:
        verdict = "the set-up works; look at the warnings." if counts["warning"] else "everything is ready."
    by_status = [f"{counts[status]} {status}" for status in ("ok", "warning", "wrong", "skipped") if counts[status]]
    yield from (Line(), Line(f"{', '.join(by_status)}: {verdict}"))


def undo_lines(undo: Undo, config: Path | None) -> Iterator[Line]:
    """Yield what the workbook of an undo holds, and how it is run."""
    yield Line(undo.verdict)
    yield Line(f"Workbook: {undo.path}")
    if undo.rows:
        yield Line("Next:     look at it, then type")
        yield Line(f"          {command_line((PROGRAM, 'run', str(undo.path), *_with_config(config)))}")


def template_lines(path: Path, config: Path | None) -> Iterator[Line]:
    """Yield where the template is, and what is done with it."""
    yield Line(f"Template: {path}")
    yield Line("Next:     fill it in, save it, then type")
    yield Line(f"          {command_line((PROGRAM, 'check', str(path), *_with_config(config)))}")


def init_lines(path: Path, answers: Answers) -> Iterator[Line]:
    """Yield what was written, how the token is set, and the commands that follow."""
    token = answers.texts.get("api.token", answers.texts.get("api.oauth.client_secret", ""))
    inbox = answers.texts.get("nightly.inbox")

    def command(*words: str) -> str:
        return command_line((PROGRAM, *words, *_with_config(path if path != DEFAULT_CONFIG else None)))

    yield Line(f"Written: {path}")
    yield from (Line(f"Secret:  {secret}, which only you may read") for secret in answers.pasted)
    if token.startswith("env:"):
        variable = token.removeprefix("env:")
        yield Line(f"Token:   set {variable} in the window in which you work:")
        yield from (Line(f"         {way}") for way in ways_to_set(variable))
    if inbox:
        yield Line(f"Inbox:   create the folder {inbox} if it does not exist yet.")
    yield Line(f"Next:    {command('doctor')} checks it without sending anything. Then")
    yield Line(f"         {command('template', 'changes.xlsx')}, fill it in, and")
    yield Line(f"         {command('check', 'changes.xlsx')}")
    if inbox:
        yield Line(f"Nightly: {command('nightly')} runs the files of the inbox; schedule it.")


def _with_config(config: Path | None) -> tuple[str, ...]:
    return ("--config", str(config)) if config else ()


def error_lines(error: BatchUpdaterError, redact: Callable[[str], str]) -> Iterator[Line]:
    """Yield what is wrong and what to do about it, without secrets."""
    first, *more = error.lines
    for text in (f"{PROGRAM}: {first}", *more, *error.remedy_lines):
        yield Line(redact(text))
