"""One row of a past run and why it ended so: as lines for people, and as a JSON object."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from batch_updater.cli.text_output import Line, body_texts, padded, shown_path
from batch_updater.messages import duration, what_is_wrong, what_to_do
from batch_updater.records import NOT_SENT, CellError, FormattedNumber, OutcomeKind
from batch_updater.reporter.cell_values import shown
from batch_updater.runs.statements import ENDED_IN_FLIGHT
from batch_updater.sender.answer import status_name
from batch_updater.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.records import Cell, Columns
    from batch_updater.runs.explain import ExplainedRow, ShownRequest
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.store import StoredAttempt

_ANSWER_CHARACTERS = 2_000
"""How much of a record is shown, as of every other answer."""


def row_object(row: ExplainedRow) -> dict[str, object]:
    """Return a line of `report --rows`, and what `report --row` tells of its row."""
    columns, outcome, number = row.columns, row.outcome, row.row.number
    field_at = {position: name for name, position in columns.of_field.items()}
    return {
        "row": number,
        "target": row.target or None,
        "outcome": outcome.kind.value,
        "cells": [
            {
                "cell": _address(columns, number, at, field_at.get(at)),
                "header": header,
                "value": _in_json(cell),
                "field": field_at.get(at),
            }
            for at, (header, cell) in enumerate(zip(columns.headers, row.row.cells, strict=True))
        ],
        "constants": row.constants,
        "request": _request_object(row.request),
        "read": _request_object(row.read),
        "attempts": [
            {
                "part": one.part,
                "number": one.number,
                "method": one.method,
                "sent_at": one.sent_at.isoformat() if one.sent_at else None,
                "wait_s": _rounded(one.wait_s),
                "seconds": _rounded(one.seconds),
                "status": one.status,
                "why": one.why,
                "message": one.message or None,
                "answer": _bounded(one.answer),
            }
            for one in row.attempts
        ],
        "status": outcome.status,
        "message": what_is_wrong(outcome, columns) or None,
        "advice": what_to_do(outcome, columns) or None,
        "problems": [
            {
                "cell": columns.cell(problem.row, problem.field),
                "field": problem.field,
                "code": problem.code,
                "value": problem.value,
                "message": problem.reason,
                "remedy": problem.remedy or None,
            }
            for problem in outcome.problems
        ],
    }


def _address(columns: Columns, row: int, position: int, field: str | None) -> str | None:
    """Return where a cell is; None of a column that is not sent, in a row that has come back: its first file has it."""
    if field is None:
        return None if columns.origin else f"{columns.letters(position)}{row}"
    return columns.cell(row, field)


def _request_object(request: ShownRequest | None) -> dict[str, object] | None:
    if request is None:
        return None
    # As it is: a number has the digits that go out.
    body = msgspec.Raw(request.body.encode()) if request.is_json and request.body else request.body or None
    return {
        "method": request.method,
        "url": request.url,
        "query": request.query,
        "headers": dict(request.headers),
        "body": body,
    }


def _in_json(cell: Cell) -> object:
    """Return a cell as JSON has it: numbers stay numbers, and everything else is about what the cell shows."""
    if isinstance(cell, (CellError, FormattedNumber)):
        return cell.text
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, int) and not isinstance(cell, bool):
        return Decimal(cell)  # of any size
    return str(cell) if isinstance(cell, timedelta) else cell


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _bounded(answer: str | None) -> str | None:
    if answer is None or len(answer) <= _ANSWER_CHARACTERS:
        return answer
    return f"{answer[:_ANSWER_CHARACTERS]} ..."


def row_lines(row: ExplainedRow, past: PastRun) -> Iterator[Line]:
    """Yield why a row ended as it did: its cells, request, attempts, outcome, and what to do."""
    columns, outcome = row.columns, row.outcome
    sheet, origin, number = past.identity.sheet, columns.origin, f"Row {row.row.number:,}"
    in_sheet = f'{past.facts.input}, sheet "{sheet}"' if sheet else past.facts.input
    if origin:
        place = f"row {row.sheet_row:,} of " if row.sheet_row else ""
        is_new = row.row.number > origin.last_row
        number = f"{number}, which {origin.file} does not have" if is_new else f"{number} of {origin.file}"
        in_sheet = f"here {place}{in_sheet}"
    yield Line(f"{number}{', ' if origin else ' of '}{in_sheet}", 4)
    yield Line(f"Run: {shown_path(past.folder)}")
    yield from (Line(), Line("Cells"))
    yield from (Line(f"  {text}", 4) for text in _cell_texts(row))
    yield from (Line(f"  {field} = {value}, a constant for every row", 4) for field, value in row.constants.items())
    if row.request:
        yield from (Line(), Line("Request"))
        yield from (Line(f"  {text}", 4) for text in _request_texts(row.request))
    if row.attempts:
        yield from (Line(), Line("Attempts"))
        yield from _attempt_lines(row)
    yield from (Line(), Line(f"Outcome: {outcome.kind.value}"))
    if not row.attempts and outcome.kind is not OutcomeKind.INVALID:
        yield Line("  No request went out for it.", 2)
    yield from (Line(f"  {text}", 2) for text in what_is_wrong(outcome, columns).splitlines())
    if row.later:
        yield from (Line(), Line("Since then"))
        yield from (Line(f"  {run.folder.name}: {kind.value}", 4) for run, kind in row.later)
    if (advice := what_to_do(outcome, columns)) and not row.later:  # by which it was done, or does no longer hold
        yield from (Line(), Line("What to do"))
        yield from (Line(f"  {text}", 2) for text in advice.splitlines())


def _cell_texts(row: ExplainedRow) -> Iterator[str]:
    columns, number = row.columns, row.row.number
    field_at = {position: name for name, position in columns.of_field.items()}
    lines = []
    for at, (header, cell) in enumerate(zip(columns.headers, row.row.cells, strict=True)):
        if header.strip() or cell is not None:
            address = _address(columns, number, at, field_at.get(at)) or ""
            if columns.origin:  # which the first line names
                address = address.removesuffix(f" of {columns.origin.file}")
            lines.append((address, header, shown(cell) or "(blank)", field_at.get(at, NOT_SENT)))
    if not lines:
        return
    addresses, headers, values, fields = (list(map(printable, texts)) for texts in zip(*lines, strict=True))
    for line in zip(padded(addresses), padded(headers), padded(values), fields, strict=True):
        yield "  ".join(line)


def _request_texts(request: ShownRequest) -> Iterator[str]:
    yield f"{request.method} {request.url}{'?' if request.query else ''}{request.query}"
    yield from (f"{name}: {value}" for name, value in request.headers.items())
    yield from body_texts(request.body)


def _attempt_lines(row: ExplainedRow) -> Iterator[Line]:
    """Yield each attempt with its time and status, the wait before it, and the answer."""
    part = 1
    for one in row.attempts:
        if one.part != part:
            part = one.part
            yield Line(f"  when the run was resumed for the {_ordinal(part - 1)} time:")
        yield Line(f"  {one.number}. {_attempt_text(one)}", 5)
        if one.message:
            yield Line(f"     {one.message}", 5)
        if answer := _bounded(one.answer):
            yield Line(f"     Answer: {answer}", 5)


def _attempt_text(one: StoredAttempt) -> str:
    at = f"{one.sent_at.astimezone():%Y-%m-%d %H:%M:%S}" if one.sent_at else ""
    waited = f"after a wait of {_duration(one.wait_s)}" if one.wait_s else ""
    came = status_name(one.status) if one.status else one.why
    if one.why == ENDED_IN_FLIGHT:
        came = "the run ended before an answer was known"
    took = f"took {_duration(one.seconds)}" if one.seconds is not None else ""
    return ", ".join(filter(None, [f"{one.method or ''} {at}".strip(), waited, came, took]))


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else duration(seconds)


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
