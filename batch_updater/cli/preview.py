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
from batch_updater.messages import counted, format_time
from batch_updater.records import OutcomeKind
from batch_updater.runs.interrupts import Interrupted, go_on_after
from batch_updater.text.printable import print_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from batch_updater.config.environment import Environment
    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.plan import Plan
    from batch_updater.runs.result import RunResult

_SAMPLE_CHARACTERS = 500
_LABEL_WIDTH = 10


def preview_lines(open_run: OpenRun, count: int, environment: Environment, *, asking: bool = False) -> Iterator[Line]:
    """Yield what will happen: `count` rows are sent; `asking`: records are read before the question as well."""
    from batch_updater.runs.preview import preview_of

    is_read_twice = open_run.plan.reads_first and (asking or open_run.needs_changes)
    plan, earlier = open_run.plan, open_run.earlier
    shown = preview_of(plan, earlier, open_run.notes, count, environment, is_read_twice=is_read_twice)
    texts: dict[str, Iterable[str]] = {
        "File": [shown.source],
        "Columns": mapping_texts(shown.columns, _LABEL_WIDTH),
        "Rows": [shown.row_counts],
        "Problems": (line.text for line in causes_shown(shown.causes)),
        "Fields": [field.sentence for field in shown.fields],
        "Note": map(with_relative_paths, shown.notes),
        "To": [shown.destination],
        "Time": [shown.time],
        "Quota": [shown.quota] if shown.quota else [],
        "Undo": [shown.undo],
    }
    if request := shown.first:
        query = f"?{request.query}" if request.query else ""
        texts["First"] = [
            f"{request.method} {request.url}{query}   ({shown.first_row})",
            *(f"{name}: {value}" for name, value in request.headers.items()),
            *body_texts(_sample(request.body)),
        ]
    for label, lines in texts.items():
        for number, text in enumerate(lines):
            # A line goes on below its own beginning, a cause two blanks further: the next one begins there.
            indent = _LABEL_WIDTH + (len(text) - len(text.lstrip()) or 2 * (label == "Problems"))
            style = None if number else Style.STRONG
            yield Line(f"{'' if number else label:<{_LABEL_WIDTH}}{text}", indent, style, _LABEL_WIDTH)


def _sample(body: str) -> str:
    return body if len(body) <= _SAMPLE_CHARACTERS else f"{body[:_SAMPLE_CHARACTERS]} ..."


def reads_lines(plan: Plan) -> Iterator[Line]:
    """Yield what reading the record of every good row costs."""
    from batch_updater.runs.preview import cost_of_reading

    yield Line(cost_of_reading(plan), 0)


def earlier_lines(open_run: OpenRun) -> Iterator[Line]:
    """Yield what past runs of the same input mean for this one."""
    return (Line(text, 0) for text in open_run.earlier.sentences)


def under_way(open_run: OpenRun) -> str:
    """Return that a team is sending the same already, or will."""
    past = open_run.earlier.resumed
    since = f" since {format_time(past.parts[-1].started_at)}" if past else ""
    return f"The team is already working on this file{since}. Following its run: {open_run.folder.name}"


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
    from batch_updater.runs.close import closing_in_words

    done = f"{run.confirmed:,} of {counted(run.rows, 'row')} are done"
    lines = (f"Run of {format_time(run.started_at)}, {run.facts.input}: {done}.", *closing_in_words(run))
    write_lines((Line(text, 0) for text in lines), sys.stderr)
    return ask(f"Close the run {run.folder.name}? [y/N]") in {"y", "yes"}


def ask_to_stop(run: str) -> bool:
    """Ask whether a run of the team is stopped, until the answer is stop, or Enter, with which it goes on."""
    while True:
        answer = ask(f"Stop the run {run}, or detach and let it continue? Type stop, or press Enter to detach:")
        if not answer or answer in {"d", "detach"}:
            return False
        if answer in {"s", "stop"}:
            return True


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
        go_on_after(signalled)
        return None
    return answer.strip() if answer else None
