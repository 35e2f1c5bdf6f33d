"""The sentences that more than one part says: what is wrong with a row, what to do about it, how many, when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from batch_updater.records import Columns, MappedColumn, Outcome, OutcomeKind, Problem, ReportRow


def what_is_wrong(outcome: Outcome, columns: Columns) -> str:
    """Return everything that is wrong with a row, a line for each cell."""
    lines = [outcome.message] if outcome.message else []
    lines += [
        f"{columns.place(problem.row, problem.field)}: {problem.reason}" if problem.field else problem.reason
        for problem in outcome.problems
        if not _is_covered(problem, outcome)
    ]
    return "\n".join(lines)


def wrong_in_rounds(row: ReportRow, columns: Columns) -> str:
    """Return what is wrong with a row; with one that has come back, also what was wrong in the first round."""
    wrong, origin = what_is_wrong(row.outcome, columns), columns.origin
    if origin is None:
        return wrong
    lines = [wrong]
    if row.row.number > origin.last_row:
        lines.append(f"New: this row was added on the sheet To fix; {origin.file} does not have it.")
    elif row.first_wrong:
        is_same = re.sub(rf" of {re.escape(origin.file)}(?=[,)])", "", wrong) == row.first_wrong
        lines.append(f"First round: {'the same.' if is_same else row.first_wrong}")
    return "\n".join(filter(None, lines))


def what_to_do(outcome: Outcome, columns: Columns) -> str:
    """Return what to do about a row: the general advice, then each remedy once, with its cells.

    Where the message is only about problems with remedies, these are the advice.
    """
    if not outcome.problems:  # as of nearly every row
        return outcome.advice
    problems_of: dict[str, list[Problem]] = {}
    for problem in outcome.problems:
        if problem.remedy:
            problems_of.setdefault(problem.remedy, []).append(problem)
    are_all_covered = all(problem.remedy and _is_covered(problem, outcome) for problem in outcome.problems)
    if not outcome.message and len({problem.remedy for problem in outcome.problems}) == 1 and problems_of:
        return "".join(problems_of)
    lines = [f"{_places(problems, columns)}{remedy}" for remedy, problems in problems_of.items()]
    is_answered = bool(lines) and (are_all_covered or not outcome.message)
    return "\n".join(lines if is_answered or not outcome.advice else [outcome.advice, *lines])


_QUOTES = "'\"`\u2018-\u201f\u00ab\u00bb\u2039\u203a"


def _is_covered(problem: Problem, outcome: Outcome) -> bool:
    """Whether the row's message already says what is wrong with the cell, or names its value like the problem.

    A value that is neither quoted nor behind its field's name may be a part of another one: `New` of `New Lead`.
    """
    if problem.reason in outcome.message:
        return True
    if not problem.value or problem.value not in problem.reason:
        return False
    value = re.escape(problem.value)
    behind_field = rf"|\b{re.escape(problem.field)}\b[^{_QUOTES}]*(?<!\w){value}(?!\w)" if problem.field else ""
    return bool(re.search(rf"(?<!\w)[{_QUOTES}]{value}[{_QUOTES}](?!\w){behind_field}", outcome.message))


def _places(problems: Sequence[Problem], columns: Columns) -> str:
    """Return the locations of problems as a prefix: `Price (C2): `."""
    places = "; ".join(columns.short_place(problem.row, problem.field) for problem in problems if problem.field)
    return f"{places}: " if places else ""


def counted(count: int, noun: str) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_COLUMNS_NOT_SENT_SHOWN = 30


def mapping_shown(mapping: Iterable[MappedColumn]) -> tuple[list[MappedColumn], str]:
    """Return the columns that a report shows, and a text on how many more are not sent; '' if none."""
    shown, left_out, not_sent = [], 0, 0
    for column in mapping:
        not_sent += column.field is None
        if column.field is None and not_sent > _COLUMNS_NOT_SENT_SHOWN:
            left_out += 1
        else:
            shown.append(column)
    columns = "column is" if left_out == 1 else "columns are"
    return shown, f"and {left_out:,} more {columns} not sent" if left_out else ""


_RUNS_NAMED = 20


def removal_note(names: Sequence[str]) -> str:
    """Return which old runs were removed, of which there is one at least."""
    named = ", ".join(names[:_RUNS_NAMED])
    more = f" and {len(names) - _RUNS_NAMED:,} more" if len(names) > _RUNS_NAMED else ""
    return f"Removed, as results.keep_days says: {counted(len(names), 'old run')} ({named}{more})."


def outcome_message(outcome: Outcome, columns: Columns) -> str:
    """Return what is wrong and what to do, on one line."""
    *others, last = f"{what_is_wrong(outcome, columns)}\n{what_to_do(outcome, columns)}".strip().split("\n")
    # What an API says often ends without a full stop.
    return " ".join([*(line if line.endswith((".", "!", "?")) else f"{line}." for line in others), last])


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
    return ", ".join(f"{counts[kind]:,} {kind.value}" for kind in OutcomeKind if counts.get(kind))


def format_day(day: date) -> str:
    """Return `28 November`, with the year if it is not this one."""
    year = "" if day.year == datetime.now(UTC).astimezone().year else f" {day.year}"
    return f"{day.day} {day:%B}{year}"


def format_time(at: datetime) -> str:
    """Return a time in this machine's zone: `14:02` today, else `23 November 2026, 14:02`."""
    local = at.astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M}" if is_today else format_date_time(at)


def format_date_time(at: datetime) -> str:
    """Return date and time in this machine's zone: `23 November 2026, 14:02`."""
    local = at.astimezone()
    return f"{local.day} {local:%B %Y, %H:%M}"
