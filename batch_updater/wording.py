"""Words that every report uses: what is wrong with a row, what to do about it, when something was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batch_updater.model import Columns, MappedColumn, Outcome


def what_is_wrong(outcome: Outcome, columns: Columns) -> str:
    """Return everything that is wrong with a row, a line for each cell."""
    lines = [outcome.message] if outcome.message else []
    for problem in outcome.problems:
        if problem.reason in outcome.message:
            continue
        cell = columns.address_of(problem)
        where = f"{problem.field} ({cell}): " if cell else f"{problem.field}: " if problem.field else ""
        lines.append(f"{where}{problem.reason}")
    return "\n".join(lines)


def what_to_do(outcome: Outcome) -> str:
    """Return what a person should do about a row, each advice once."""
    remedies = dict.fromkeys(problem.remedy for problem in outcome.problems if problem.remedy)
    advice = "" if remedies and not outcome.message else outcome.advice
    return "\n".join([*remedies, advice] if advice else remedies)


_COLUMNS_NOT_SENT_SHOWN = 30


def mapping_shown(mapping: Iterable[MappedColumn]) -> tuple[list[MappedColumn], str]:
    """Return the columns that a report shows, and how many more are not sent; '' if that is all of them."""
    shown, left_out, not_sent = [], 0, 0
    for column in mapping:
        not_sent += column.field is None
        if column.field is None and not_sent > _COLUMNS_NOT_SENT_SHOWN:
            left_out += 1
        else:
            shown.append(column)
    columns = "column is" if left_out == 1 else "columns are"
    return shown, f"and {left_out:,} more {columns} not sent" if left_out else ""


def outcome_message(outcome: Outcome, columns: Columns) -> str:
    """Return what is wrong and what to do, on one line."""
    text = f"{what_is_wrong(outcome, columns)} {what_to_do(outcome)}".strip()
    return " ".join(text.split("\n"))


def moment(at: datetime) -> str:
    """Return when something was, in this machine's time: `14:02` today, else `23 November 2026, 14:02`."""
    local = at.astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M}" if is_today else dated_moment(at)


def dated_moment(at: datetime) -> str:
    """Return when something was, in this machine's time, for what is read on another day."""
    local = at.astimezone()
    return f"{local.day} {local:%B %Y, %H:%M}"
