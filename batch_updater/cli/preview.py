"""What a run would do, shown before it starts, and the questions that a person answers."""

from __future__ import annotations

import signal
import sys
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING

from batch_updater.cli.colour import Style
from batch_updater.cli.text_output import (
    Line,
    body_texts,
    causes_shown,
    mapping_texts,
    parts_of,
    shown_path,
    with_relative_paths,
    write_lines,
)
from batch_updater.errors import UsageError
from batch_updater.messages import counted, duration, format_time
from batch_updater.records import OutcomeKind
from batch_updater.reporter.summary import RUN_AGAIN
from batch_updater.runs.interrupts import Interrupted
from batch_updater.text.printable import print_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.plan import Plan
    from batch_updater.runs.result import RunResult

_SAMPLE_CHARACTERS = 500
_LABEL_WIDTH = 10


def preview_lines(open_run: OpenRun, count: int, *, asking: bool = False) -> Iterator[Line]:
    """Yield what will happen: `count` rows are sent; `asking`: records are read before the question as well."""
    from batch_updater.endpoint.request import RequestBuilder, shown_headers

    plan, staged, base_url = open_run.plan, open_run.plan.staged, open_run.plan.config.api.base_url
    sheet = f', sheet "{staged.sheet}"' if staged.sheet else ""
    # Workbooks of ours are in the folders of their runs, in paths that no line has room for.
    name = PurePath(plan.snapshot.name).name if plan.is_own_workbook else plan.snapshot.name
    bad = staged.rows - staged.good
    not_sent = " (not sent)" if bad else ""
    fields = []
    for field in plan.endpoint.body_fields:
        if sent := staged.sent.get(field.name, 0):
            cleared = staged.cleared.get(field.name, 0)
            of_them = f", cleared in {cleared:,} of them" if cleared else ""
            fields.append(f"{staged.columns.called(field.name)} in {counted(sent, 'row')}{of_them}")
    texts: dict[str, Iterable[str]] = {
        "File": [f"{name}{sheet}, headers in row {staged.columns.header_row:,}"],
        "Columns": mapping_texts(staged.columns, _LABEL_WIDTH),
        "Rows": [f"{staged.rows:,}: {staged.good:,} good, {bad:,} with problems{not_sent}"],
        "Problems": (line.text for line in causes_shown(staged.causes)),
        "Fields": fields,
        "Note": map(with_relative_paths, open_run.notes),
        "To": [f"{base_url} ({plan.endpoint.name})"],
        "Time": [_time(plan, count, is_read_twice=plan.reads_first and (asking or open_run.needs_changes))],
        "Undo": [open_run.undo],
    }
    job = None if open_run.earlier.resumed else plan.store.first_job()  # of a resumed run it may be done
    if job:
        request = RequestBuilder(plan.endpoint).build(job)
        headers = shown_headers(plan.endpoint, request, "(one for each row)", is_read_first=plan.reads_first)
        query, body = f"?{request.query}" if request.query else "", request.body.decode()
        texts["First"] = [
            f"{request.method} {base_url}{request.path}{query}   ({staged.columns.row(job.row)})",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        shown = body if len(body) <= _SAMPLE_CHARACTERS else f"{body[:_SAMPLE_CHARACTERS]} ..."
        texts["First"] = [*texts["First"], *body_texts(shown)]
    for label, lines in texts.items():
        for number, text in enumerate(lines):
            # A line goes on below its own beginning, a cause two blanks further: the next one begins there.
            indent = _LABEL_WIDTH + (len(text) - len(text.lstrip()) or 2 * (label == "Problems"))
            style = None if number else Style.STRONG
            yield Line(f"{'' if number else label:<{_LABEL_WIDTH}}{text}", indent, style, _LABEL_WIDTH)


def _time(plan: Plan, count: int, *, is_read_twice: bool) -> str:
    rate = plan.config.sending.rate_per_s
    if not plan.reads_first:
        return f"about {duration(count / rate)} at {rate:g} requests a second"
    reads = 2 * count if is_read_twice else count
    shortest, longest = duration(reads / rate), duration((reads + count) / rate)
    span = f"about {shortest}" if shortest == longest else f"{shortest} to {longest}"
    twice = f" before anything is sent, {count:,} right before the updates" if is_read_twice else ""
    at_most = f"and at most {counted(count, 'update')}{_share(plan, reads + count)}"
    return f"{span} at {rate:g} requests a second: {counted(count, 'read')}{twice}, {at_most}"


def _share(plan: Plan, requests: int) -> str:
    """Return how much of the account's monthly quota so many requests are, if it has one."""
    quota = plan.endpoint.quota_per_month
    if not quota:
        return ""
    share = f"up to {requests / quota:.2%}" if requests * 10_000 >= quota else "under 0.01%"
    return f", {share} of the account's requests for a month"


def reads_lines(plan: Plan) -> Iterator[Line]:
    """Yield what reading the record of every good row costs."""
    count, rate = plan.staged.good, plan.config.sending.rate_per_s
    time = f"about {duration(count / rate)} at {rate:g} requests a second"
    yield Line(f"{counted(count, 'record')} {'is' if count == 1 else 'are'} read: {time}{_share(plan, count)}.", 0)


def earlier_lines(open_run: OpenRun) -> Iterator[Line]:
    """Yield what past runs of the same input mean for this one."""
    earlier = open_run.earlier
    if past := earlier.resumed:
        done = f"{past.confirmed:,} of {counted(past.rows, 'row')} are done"
        yield Line(f"Resuming the run of {format_time(past.started_at)}: {done}.", 0)
        if open_run.is_old:
            yield Line("It started more than a day ago: changes made since could be overwritten.")
    if past := earlier.finished:
        closed = ", then closed" if past.facts.closed_at else ""
        done = f"{past.summary[OutcomeKind.UPDATED]:,} of {counted(past.rows, 'row')} updated{closed}"
        yield Line(f"This was applied before ({format_time(past.started_at)}): {done}.", 0)
    if earlier.note:
        yield Line(earlier.note, 0)


class Consent(Enum):
    """A person's answer to the question whether to send."""

    YES = "y"
    COMPARE = "c"
    NO = "n"


def cancelled() -> UsageError:
    """Return what ends a run whose question was declined."""
    return UsageError("Cancelled. Nothing was sent.", remedy="Run it again when you are ready.")


def ask_to_send(open_run: OpenRun, compared: RunResult | None, count: int, to_fix: str | None = None) -> Consent:
    """Ask whether to send `count` rows, or those of them that reading their records has left.

    `to_fix` names the workbook, where the person has not.
    Anything but yes, or the wish to compare first where that is possible, is no.
    """
    plan, repeats = open_run.plan, open_run.plan.repeats
    again = " again" if open_run.earlier.finished else ""
    if repeats and not compared and not again:
        again = f", {repeats.rows:,} of them again,"
    if compared:  # a record that could not be read may need the update, or not
        count = compared.summary[OutcomeKind.PLANNED] + compared.unread
    upper = "up to " if compared and compared.unread else ""
    source = f" of {to_fix}" if to_fix else ""
    question = f"Send {upper}{counted(count, 'update')}{source}{again} to {plan.config.api.base_url}?"
    if not count:
        question = "There is nothing to update. Write the results workbook anyway?"
    can_compare = not plan.reads_first and plan.endpoint.read is not None
    match ask(f"{question} [y/N]{', or c to compare first:' if can_compare else ''}"):
        case "y" | "yes":
            return Consent.YES
        case "c" | "compare" if can_compare:
            return Consent.COMPARE
    return Consent.NO


def ask_to_close(run: PastRun) -> bool:
    """Ask whether a run is closed for good."""
    unknown, done = run.counts[OutcomeKind.UNCONFIRMED], f"{run.confirmed:,} of {counted(run.rows, 'row')} are done"
    open_rows = sum(run.counts[kind] for kind in RUN_AGAIN)
    what = f"{counted(open_rows, 'open row')} would count as not sent" if open_rows else "Its workbook is not written"
    lines = [
        f"Run of {format_time(run.started_at)}, {run.facts.input}: {done}.",
        f"{what}, and running the same file again would send every row.",
    ]
    if unknown:
        lines.append(f"{counted(unknown, 'open row')} may have been applied. Only resuming the run can tell.")
    write_lines((Line(text, 0) for text in lines), sys.stderr)
    return ask(f"Close the run {run.folder.name}? [y/N]") in {"y", "yes"}


def ask_to_lose(lost: str) -> bool:
    """Ask on stderr whether an annotated copy is written although it loses that."""
    return ask(f"Annotating loses {lost}. Write the annotated copy anyway? [y/N]") in {"y", "yes"}


def ask_for_record(endpoint: Endpoint, fields: Sequence[Field]) -> list[str]:
    """Ask the doctor's question for a record that may be read. Returns a value for each field, or none."""
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


def ask_about_newest(past: PastRun, what: str) -> bool:
    """Ask whether the newest run is meant; `what` is what would be done with it, and sends nothing. Enter is yes."""
    return ask(f"{what} the newest run, {run_in_words(past)}? [Y/n]") in {"", "y", "yes"}


def run_in_words(past: PastRun) -> str:
    """Return what a person knows a run by: its folder, its input and when it began."""
    return f"{past.folder.name} ({PurePath(past.facts.input).name}, {format_time(past.started_at)})"


def ask_to_open(workbook: Path) -> bool:
    """Ask whether the workbook is opened in the program for it."""
    return ask(f"Open {shown_path(workbook)}? [y/N]") in {"y", "yes"}


def ask(question: str) -> str | None:
    """Ask on stderr and return the answer in lower case; None as of `ask_for_text`."""
    answer = ask_for_text(question)
    return None if answer is None else answer.casefold()


def ask_for_text(question: str) -> str | None:
    """Ask on stderr and return the answer; None for Ctrl-C or the end. Raises Interrupted for SIGTERM."""
    *lines, last = parts_of(Line(question, 0, Style.STRONG), sys.stderr)
    sys.stderr.writelines(f"{line}\n" for line in ("", *lines))
    sys.stderr.write(f"{last} ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except Interrupted as signalled:
        print_line("", sys.stderr)
        if signalled.number != signal.SIGINT:
            raise
        return None
    return answer.strip() if answer else None
