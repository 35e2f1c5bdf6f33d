"""Every sentence that a command prints: results, past runs, the doctor's findings, errors."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.cli.colour import Style, takes_colour
from batch_updater.cli.parser import DEFAULT_CONFIG, PROGRAM
from batch_updater.config.environment import ways_to_set
from batch_updater.messages import (
    counted,
    duration,
    format_date_time,
    format_time,
    mapping_shown,
    outcome_counts,
    removal_note,
)
from batch_updater.records import OutcomeKind, StopReason
from batch_updater.reporter.summary import NEEDS_NOTHING, NEEDS_PERSON
from batch_updater.text.printable import command_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from batch_updater.cli.wizard import Answers
    from batch_updater.doctor.finding import Finding
    from batch_updater.endpoint.usable import DocumentList, ListedOperation
    from batch_updater.errors import BatchUpdaterError
    from batch_updater.records import Cause, Columns
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.family import Family
    from batch_updater.runs.history import DamagedRun, PastRun
    from batch_updater.runs.plan import Opened
    from batch_updater.runs.result import RunResult
    from batch_updater.runs.undo import Undo
    from batch_updater.team.import_runs import Imported

_CAUSES_SHOWN = 5
_CAUSES_SHOWN_BY_CHECK = 20
_NARROWEST_TERMINAL = 40
_UNBROKEN = "\0"
"""Stands for a blank at which no line is broken: no printable text has it."""
_OPTIONS = r"^ +--.*?(?= {3}|$)"
"""Options to be copied, with what they mean three blanks behind them."""
_GAP = "  "
"""Between the columns of a table."""
_LEAST_VALUE = 12
"""Characters of the first values in the mapping table that always have room."""
_STATUS_WIDTH = 9
_CHECK_WIDTH = 17
_STATUS_STYLES = {"ok": Style.GOOD, "wrong": Style.WRONG, "warning": Style.AGAIN}


class Line(NamedTuple):
    """One line for people."""

    text: str = ""
    indent: int | None = None
    """Blanks in front of its further lines where a terminal is too narrow; None: it stays one line, to be copied."""
    style: Style | None = None
    styled: int | None = None
    """How many characters at its beginning have the style; None: all."""


def write_lines(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines, in colour where the stream takes it; long ones are broken between words on a terminal only."""
    for line in lines:
        stream.writelines(f"{part}\n" for part in parts_of(line, stream))
    stream.flush()


def parts_of(line: Line, stream: TextIO) -> list[str]:
    """Return a line as it is written to a stream, without its end: several lines where a terminal is too narrow."""
    is_broken = line.indent is not None and stream.isatty()
    parts = wrapped(line.text, line.indent or 0) if is_broken else [printable(line.text)]
    if not line.style or not takes_colour(stream):
        return parts
    if line.styled is None:
        return [line.style(part) for part in parts]
    first, *others = parts
    return [f"{line.style(first[: line.styled])}{first[line.styled :]}", *others]


def wrapped(text: str, indent: int, beside: int = 0) -> list[str]:
    """Return a text in lines that fit the terminal.

    An address, a path, a command in backticks, and options that it begins with are not broken. `beside`: how many
    columns are taken beside it.
    """
    text = printable(text)  # before its blanks are taken for places where it may be broken
    text = re.sub(f"{_OPTIONS}|`[^`]+`", lambda match: match[0].replace(" ", _UNBROKEN), text)
    wrapper = _Wrapper(
        _terminal_width() - beside, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_UNBROKEN, " ") for line in wrapper.wrap(text)] or [""]


class _Wrapper(textwrap.TextWrapper):
    """Breaks a line at a blank, or behind a comma of JSON that has none."""

    wordsep_simple_re = re.compile(r'( +|(?<=,)(?="))')


def body_texts(body: str) -> Sequence[str]:
    """Return the lines of a request's body: only one of several parts has more than one."""
    return body.removesuffix("\r\n").split("\r\n") if body else ()


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path as it is printed: relative to the current folder where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive of Windows
        return str(path)
    if relative.startswith("-"):  # which a command would take for an option
        relative = os.path.join(os.curdir, relative)  # noqa: PTH118  (a Path drops the dot)
    return min(str(path), relative, key=len)


def with_relative_paths(text: str) -> str:
    """Return a sentence with every path in the current folder relative to it; one in quotes may be a cell's content."""
    try:
        folder = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118  (a Path drops the separator)
    except FileNotFoundError:  # it has been removed
        return text
    return text if folder == os.sep else re.sub(rf"(?<![\w./:'\"-]){re.escape(folder)}(?=[^\s-])", "", text)


def to_type(command: Iterable[str]) -> str:
    """Return a command to be copied, with the absolute paths in it as they are printed."""
    return command_line(shown_path(word) if os.path.isabs(word) else word for word in command)  # noqa: PTH117


def _terminal_width() -> int:
    return max(shutil.get_terminal_size().columns, _NARROWEST_TERMINAL)


def result_lines(result: RunResult, step: NextStep, *, row_by_row: bool = False) -> Iterator[Line]:
    """Yield what was wrong and why the run stopped, then the verdict, where the workbook is, and what to do next.

    `row_by_row`: a check names every problem, not only the causes.
    """
    summary, facts, columns = result.summary, result.facts, result.columns
    if result.folder is None:
        sheet = f', sheet "{facts.sheet}"' if facts.sheet else ""
        yield Line(f"Checked: {shown_path(facts.input_path)}{sheet}, headers in row {columns.header_row:,}", 9)
        yield from (Line(f"  {text}") for text in mapping_texts(columns, 2))
        yield from change_summary_lines(result)
        yield from note_lines(facts.notes)
        if row_by_row:
            yield from _problem_lines(result)
        else:
            yield from cause_lines("Problems:", summary.causes, _CAUSES_SHOWN_BY_CHECK)
        yield Line()
    elif summary.causes:
        yield from (*cause_lines("Most common causes:", summary.causes, _CAUSES_SHOWN), Line())
    if result.stop:
        yield from (Line(f"Stopped: {result.stop.message} {result.stop.advice}", 9, Style.WRONG, 8), Line())
    yield Line(summary.verdict, 0, Style.STRONG)
    if facts.family:
        yield Line(facts.family, 0)
    if summary.rows:
        width = len(f"{summary.rows:,}")
        yield Line()
        for kind in OutcomeKind:
            if summary[kind]:
                yield Line(f"  {summary[kind]:>{width},}  {kind.value}", 0, _style_of(kind))
        yield Line(f"  {summary.rows:>{width},}  rows")
    yield from _workbook_lines(result)
    if result.removed:
        yield from note_lines((removal_note(result.removed),))
    if step.kind.value != "nothing":
        yield Line(f"Next:    {step.text}", 9)
    if step.command:
        yield Line(f"         {to_type(step.command)}", style=Style.STRONG)


def _style_of(kind: OutcomeKind) -> Style:
    if kind in NEEDS_NOTHING:
        return Style.GOOD
    return Style.WRONG if kind in NEEDS_PERSON else Style.AGAIN


def _workbook_lines(result: RunResult) -> Iterator[Line]:
    if result.fault:
        yield from (Line(), Line(with_relative_paths(result.fault), 0, Style.WRONG))
    if result.results:
        if result.asked_results not in {None, result.results}:
            why = "open in another program, or not written by batch-updater"
            yield from (Line(), Line(f"Could not overwrite {shown_path(result.asked_results or '')} ({why}).", 0))
        yield from (Line(), Line(f"Results: {shown_path(result.results)}"))
    if result.annotated:
        yield Line(f"Annotated: {shown_path(result.annotated)}")
    elif result.annotation_note and result.folder:  # those of a check are above
        yield from note_lines((result.annotation_note,))


def columns_lines(opened: Opened, layout: Path | str | None) -> Iterator[Line]:
    """Yield the mapping table of a file; `layout` is where it was saved."""
    table = opened.table
    sheet = f', sheet "{table.sheet}"' if table.sheet else ""
    yield Line(f"{opened.snapshot.name}{sheet}, headers in row {table.columns.header_row:,}", 0)
    yield from map(Line, mapping_texts(table.columns, 0))
    yield from note_lines(table.notes)
    if layout:
        yield Line(f"Saved as {shown_path(layout)}: files with these headers are read so from now on.", 0)


def mapping_texts(columns: Columns, indent: int) -> Iterator[str]:
    """Yield the mapping table: header, first value, field; `indent` is what goes in front of each line."""
    room = _terminal_width() - indent - 2 * len(_GAP)
    shown, more = mapping_shown(columns.mapping)
    lines = [("header", "first value", "field"), *((one.header, one.first_value, one.meaning) for one in shown)]
    headers, values, fields = (list(map(printable, texts)) for texts in zip(*lines, strict=True))
    # Names are told apart by what is cut off first, so they have what the values can spare.
    spare = room - min(max(map(len, values)), _LEAST_VALUE)
    headers = _cut(headers, max(room // 3, spare - max(map(len, fields))), keeps_end=True)
    fields = _cut(fields, spare - max(map(len, headers)), keeps_end=True)
    left = room - max(map(len, headers))
    values = _cut(values, left - max(map(len, fields)))
    for line in zip(padded(headers), padded(values), fields, strict=True):
        yield _GAP.join(line)
    if more:
        yield more


def endpoints_lines(listed: DocumentList) -> Iterator[Line]:
    """Yield the operations of a document in groups, or the columns of the only one that was asked for."""
    path, operations = shown_path(listed.path), listed.operations
    if listed.operation is not None:
        for one in operations:
            yield from _operation_lines(one, listed.name or f"{path}#{one.operation}")
        return
    usable = [one for one in operations if one.supported]
    yield Line(f"{path}: {len(usable):,} of {counted(len(operations), 'operation')} can be used.", 0)
    for one in usable:
        left_out = f", {len(one.left_out):,} left out" if one.left_out else ""
        yield Line()
        yield Line(f"  {one.operation}", style=Style.GOOD)
        yield Line(f"      {_called(one)}", 8)
        yield Line(f"      {counted(len(one.columns), 'column')}{left_out}", 8)
    by_reason: dict[str, list[ListedOperation]] = {}
    for one in operations:
        if one.reason is not None:
            by_reason.setdefault(one.reason, []).append(one)
    for reason, others in sorted(by_reason.items(), key=lambda group: len(group[1])):
        yield Line()
        yield Line(f"Cannot be used: {reason}", 0)
        for one in others:
            is_named = one.operation.lower() != f"{one.method} {one.path}".strip().lower()
            yield Line(f"  {one.operation}: {_called(one)}" if is_named else f"  {_called(one)}", 8)
    if usable:
        example = to_type((PROGRAM, "endpoints", f"{path}#{usable[0].operation}"))
        yield Line()
        yield Line(f"The columns of one of them: `{example}`", 0)


def _called(one: ListedOperation) -> str:
    """Return method and path of an operation, and its summary."""
    call = f"{one.method} {one.path}".strip()
    return f"{call}: {one.summary}" if one.summary else call


def _operation_lines(one: ListedOperation, reference: str) -> Iterator[Line]:
    yield Line(f"{one.operation}: {_called(one)}", 4)
    if one.reason is not None:
        yield Line(f"Cannot be used: {one.reason}", 0, Style.WRONG)
        return
    yield Line(f"api.endpoint: {reference}")
    yield Line()
    lines = [("column", "type", ""), *((c.field, c.type, "required" if c.required else "") for c in one.columns)]
    fields, types, needs = (list(map(printable, texts)) for texts in zip(*lines, strict=True))
    fields = _cut(
        fields, _terminal_width() - 2 * len(_GAP) - max(map(len, types)) - max(map(len, needs)), keeps_end=True
    )
    for texts in zip(padded(fields), padded(types), needs, strict=True):
        yield Line(_GAP.join(texts).rstrip())
    if one.left_out:
        yield Line()
        yield Line("Left out:", 0)
        for field in one.left_out:
            yield Line(f"  {field.field}: {field.why}", 4)


def _cut(texts: list[str], width: int, *, keeps_end: bool = False) -> list[str]:
    """Return texts of at most so many characters; `keeps_end`: what is left out is the middle."""
    end = (width - 3) * 2 // 3 if keeps_end else 0
    return [text if len(text) <= width else f"{text[: width - 3 - end]}...{text[len(text) - end :]}" for text in texts]


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
        yield Line(f"Note: {with_relative_paths(note)}", 6)


def _problem_lines(result: RunResult) -> Iterator[Line]:
    """Yield every problem, row by row, and why records could not be read, where no cell is to blame."""
    yield Line()
    for row in result.rows_to_fix():
        for problem in row.outcome.problems:
            where = f"Row {problem.row}"
            where += f", {result.columns.place(problem.row, problem.field)}" if problem.field else ""
            yield Line(f"{where}: {problem.in_full}", 2, Style.WRONG, len(where))
        if not row.outcome.problems:
            yield Line(f"Row {row.row.number}: {row.outcome.message}", 2)


def cause_lines(heading: str, causes: Sequence[Cause], most: int) -> Iterator[Line]:
    """Yield causes under a heading, with a blank line above; nothing if there are none."""
    if causes:
        yield from (Line(), Line(heading))
    yield from (Line(f"  {line.text}", 6, line.style) for line in causes_shown(causes, most))


def causes_shown(causes: Sequence[Cause], most: int = _CAUSES_SHOWN) -> Iterator[Line]:
    """Yield the most common causes: how many rows have it and where, then what is wrong in the first of them."""
    for cause in causes[:most]:
        yield Line(cause.headline, 4, Style.WRONG)
        yield Line(f"    {cause.example}", 4)
    if (more := len(causes) - most) > 0:
        yield Line(f"and {counted(more, 'more cause')}, which the workbook lists", 4)


def run_list_lines(
    runs: Iterable[tuple[PastRun | DamagedRun, PastRun | None]], rounds: Mapping[Path, Family]
) -> Iterator[Line]:
    """Yield past runs, the newest first, each with the run that undid it: when, how long, how many rows, outcomes.

    `rounds`: folder of the last round of a file -> what all of them have come to.
    """
    from batch_updater.runs.history import DamagedRun

    run = None
    for run, undone_by in runs:
        yield Line(run.folder.name)
        if isinstance(run, DamagedRun):
            yield Line(f"    its database {with_relative_paths(run.what)}", 4)
        else:
            yield from (Line(f"    {text}", 4) for text in _run_texts(run, undone_by, rounds.get(run.folder)))
    if run is None:
        yield Line("There are no runs yet: `batch-updater run FILE` starts the first.", 0)


def _run_texts(run: PastRun, undone_by: PastRun | None, family: Family | None) -> Iterator[str]:
    took = "cut off" if run.is_cut_off else duration(run.elapsed_s)
    if run.is_going_on:
        took = "waiting in the queue" if run.is_queued else "running now"
    of_file = f", rows of {run.facts.origin.file}" if run.facts.origin else ""
    yield f"{format_time(run.started_at)}, {took}, {run.facts.input}{of_file}"
    if run.is_going_on:
        so_far = outcome_counts(run.counts)
        if run.is_under_way and not run.is_queued:  # a row whose answer is awaited is counted as unconfirmed
            so_far = so_far.replace("unconfirmed", "in flight or unconfirmed")
        yield f"So far: {so_far}"
        return
    yield run.summary.verdict
    if run.rows:
        yield f"{counted(run.rows, 'row')}: {outcome_counts(run.counts)}"
    if run.facts.closed_at:
        yield f"Closed on {format_date_time(run.facts.closed_at)}. Running the same file again sends every row."
    if run.is_unfinished:
        why = f"{run.stop.message} " if run.stop else ""
        yield f"Unfinished. {why}Running the same file again {'sends every row' if undone_by else 'resumes it'}."
    if family:
        yield family.sentence
    if undone_by:
        yield f"Undone, at least in part, by the run {undone_by.folder.name}."


def imported_lines(one: Imported) -> Iterator[Line]:
    """Yield what became of something that was to be copied into the team's database."""
    known = {"imported": "imported", "known": "already there", "refused": "not imported"}[one.state]
    yield Line(f"{one.kind} {one.name}: {known}")
    if one.why:
        yield Line(f"    {with_relative_paths(one.why)}", 4)


def import_lines(moved: Sequence[Imported]) -> Iterator[Line]:
    """Yield how many of what there is were moved, and what to do then."""
    states = Counter(str(one.state) for one in moved)
    counts = [f"{states['imported']:,} imported", f"{states['known']:,} already there"]
    if states["refused"]:
        counts.append(f"{states['refused']:,} not imported")
    yield Line(f"{', '.join(counts)}.")
    if states["imported"]:
        yield Line("From now on, do not send from this folder without team.database.", 0)


def finding_lines(finding: Finding) -> Iterator[Line]:
    """Yield one of the doctor's findings: status, check, what was found, and how to correct it."""
    indent = " " * (_STATUS_WIDTH + _CHECK_WIDTH)
    head = f"{finding.status.value:{_STATUS_WIDTH}}{finding.check:{_CHECK_WIDTH}}"
    style = _STATUS_STYLES.get(finding.status.value)
    for text in (finding.message, *finding.more, *([f"-> {finding.remedy}"] if finding.remedy else [])):
        for part in wrapped(text, 0, beside=len(indent) + 1):
            yield Line(f"{head}{part}", style=style, styled=_STATUS_WIDTH)
            head, style = indent, None
    yield from (Line(f"{indent}   {step}") for step in finding.steps)


def diagnosis_lines(findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield how the doctor's checks ended, in one line."""
    from batch_updater.doctor.finding import diagnosis

    yield from (Line(), Line(diagnosis(findings), 0))


def undo_lines(undo: Undo, config: Path | None) -> Iterator[Line]:
    """Yield what the workbook of an undo holds, and how it is run."""
    yield Line(undo.verdict, 0)
    yield Line(f"Workbook: {shown_path(undo.path)}")
    if undo.rows:
        yield Line("Next:     look at it, then type")
        yield Line(f"          {to_type((PROGRAM, 'run', str(undo.path), *_with_config(config)))}", style=Style.STRONG)


def template_lines(path: Path, config: Path | None) -> Iterator[Line]:
    """Yield where the template is, and what is done with it."""
    yield Line(f"Template: {shown_path(path)}")
    yield Line("Next:     fill it in, save it, then type")
    yield Line(f"          {to_type((PROGRAM, 'check', str(path), *_with_config(config)))}", style=Style.STRONG)


def init_lines(path: Path, answers: Answers) -> Iterator[Line]:
    """Yield what was written, how the token is set, and the commands that follow."""
    inbox = answers.texts.get("nightly.inbox")

    def command(*words: str) -> str:
        return to_type((PROGRAM, *words, *_with_config(path if path != DEFAULT_CONFIG else None)))

    yield Line(f"Written: {shown_path(path)}")
    yield from (Line(f"Secret:  {shown_path(secret)}, which only you may read") for secret in answers.pasted)
    for variable, key in answers.variables.items():
        yield Line(f"Token:   set {variable} in the window in which you work:")
        yield from (Line(f"         {way}") for way in ways_to_set(variable, key))
    if inbox:
        yield Line(f"Inbox:   create the folder {inbox} if it does not exist yet.", 9)
    yield Line(f"Next:    {command('doctor')} checks it without sending anything. Then", 9)
    yield Line(f"         {command('template', 'changes.xlsx')}, fill it in, and", 9)
    yield Line(f"         {command('check', 'changes.xlsx')}")
    if inbox:
        yield Line(f"Nightly: {command('nightly')} runs the files of the inbox; schedule it.", 9)


def _with_config(config: Path | None) -> tuple[str, ...]:
    return ("--config", str(config)) if config else ()


def error_lines(error: BatchUpdaterError, redact: Callable[[str], str]) -> Iterator[Line]:
    """Yield what is wrong and what to do about it, without secrets; commands and options are indented."""

    def said(lines: Iterable[str]) -> Iterator[str]:
        return (with_relative_paths(redact(line)) for line in lines)

    first, *more = said(error.lines)
    yield Line(f"{PROGRAM}: {first}", 2, Style.WRONG, len(PROGRAM) + 1)
    yield from (Line(text, 4 if text.startswith(" ") else 0) for text in more)
    for text in said(error.remedy_lines):
        if options := re.match(_OPTIONS, text):
            yield Line(text, 8, Style.STRONG, len(options[0]))
        else:
            yield Line(text, style=Style.STRONG) if text.startswith(" ") else Line(text, 0)
