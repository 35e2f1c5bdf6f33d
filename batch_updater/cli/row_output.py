"""One row of a past run and why it ended so: as lines for people, and as a JSON object."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from batch_updater.cli.text_output import Line, body_texts, padded, shown_path
from batch_updater.messages import what_is_wrong, what_to_do
from batch_updater.records import CellError, FormattedNumber
from batch_updater.runs.row_view import address_of, bounded, row_view
from batch_updater.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from batch_updater.records import Cell
    from batch_updater.runs.explain import ExplainedRow, ShownRequest
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.row_view import ShownAttempt, ShownCell


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
                "cell": address_of(columns, number, at, field_at.get(at)),
                "header": header,
                "value": _in_json(cell),
                "field": field_at.get(at),
            }
            for at, (header, cell) in enumerate(zip(columns.headers, row.row.cells, strict=True))
        ],
        "edits": [
            {
                "cell": address_of(columns, number, edit.position, field_at.get(edit.position)),
                "header": columns.headers[edit.position],
                "old": _in_json(edit.old),
                "new": edit.new,
                "by": edit.by,
                "at": edit.at.isoformat(),
            }
            for edit in row.edits
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
                "answer": bounded(one.answer),
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


def row_lines(row: ExplainedRow, past: PastRun) -> Iterator[Line]:
    """Yield why a row ended as it did: its cells, request, attempts, outcome, and what to do."""
    view = row_view(row, past)
    yield Line(view.title, 4)
    yield Line(f"Run: {shown_path(past.folder)}")
    yield from (Line(), Line("Cells"))
    yield from (Line(f"  {text}", 4) for text in _cell_texts(view.cells))
    yield from (Line(f"  {text}", 4) for text in view.constants)
    if view.edits:
        yield from (Line(), Line("Edits"))
        for edit in view.edits:
            change = f"{edit.place}: {printable(edit.old)} → {printable(edit.new)}"
            yield Line(f"  {change}, {edit.by}, {edit.at.astimezone():%Y-%m-%d %H:%M:%S}", 4)
    if view.request:
        yield from (Line(), Line("Request"))
        yield from (Line(f"  {text}", 4) for text in _request_texts(view.request))
    if view.attempts:
        yield from (Line(), Line("Attempts"))
        yield from _attempt_lines(view.attempts)
    yield from (Line(), Line(f"Outcome: {view.outcome.value}"))
    if view.is_unsent:
        yield Line("  No request went out for it.", 2)
    yield from (Line(f"  {text}", 2) for text in view.wrong.splitlines())
    if view.later:
        yield from (Line(), Line("Since then"))
        yield from (Line(f"  {run}: {kind.value}", 4) for run, kind in view.later)
    if view.advice:
        yield from (Line(), Line("What to do"))
        yield from (Line(f"  {text}", 2) for text in view.advice.splitlines())


def _cell_texts(cells: Sequence[ShownCell]) -> Iterator[str]:
    if not cells:
        return
    addresses, headers, values, fields = (list(map(printable, texts)) for texts in zip(*cells, strict=True))
    for line in zip(padded(addresses), padded(headers), padded(values), fields, strict=True):
        yield "  ".join(line)


def _request_texts(request: ShownRequest) -> Iterator[str]:
    yield f"{request.method} {request.url}{'?' if request.query else ''}{request.query}"
    yield from (f"{name}: {value}" for name, value in request.headers.items())
    yield from body_texts(request.body)


def _attempt_lines(attempts: Iterable[ShownAttempt]) -> Iterator[Line]:
    """Yield each attempt with its time and status, the wait before it, and the answer."""
    for one in attempts:
        if one.part:
            yield Line(f"  {one.part}:")
        at = f"{one.sent_at.astimezone():%Y-%m-%d %H:%M:%S}" if one.sent_at else ""
        yield Line(f"  {one.number}. {', '.join(filter(None, (f'{one.method} {at}'.strip(), *one.details)))}", 5)
        if one.message:
            yield Line(f"     {one.message}", 5)
        if one.answer:
            yield Line(f"     Answer: {one.answer}", 5)
