"""The values that an undo expects in the records, beside those that it restores.

They are on the sheet `Expected` of the undo workbook and of its results workbooks, until every row is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.reported import as_text, reported_value, reports_equal
from batch_updater.records import Expected, ExpectedValue, FieldChange, Job, Unknown

SHEET = "Expected"
COLUMNS = ("Target", "Field", "Before the run", "The run left", "Before, exactly", "Left, exactly", "Check")
"""Headers of the sheet. Those with `exactly` hold JSON; `Check` proves that the row was not changed."""
UNDO_MARK = "undo"
MARKS = frozenset({UNDO_MARK, "undo-results", "undo-check"})
"""Values of the document property of workbooks that must have the sheet."""
_CHECK_BYTES = 6


class ChangedSinceRun(NamedTuple):
    """A field that no longer holds what the run left."""

    field: str
    now: str
    """As people read it; '' if it is empty. So `left`."""
    left: str


def cells_of(target: str, value: ExpectedValue) -> tuple[str, ...]:
    """Return the row of the sheet."""
    return (target, *value, _check(target, value))


def value_in_cells(cells: Sequence[object]) -> tuple[str, ExpectedValue]:
    """Return target and value of a row of the sheet. Raises ValueError if the row was changed."""
    texts = ["" if cell is None else cell for cell in cells[: len(COLUMNS)]]
    target, *parts, check = [text for text in texts if isinstance(text, str)] or [""] * 2
    if len(parts) != len(ExpectedValue._fields):
        raise ValueError("cells are missing or are no longer text")
    value = ExpectedValue(*parts)
    if check != _check(target, value):
        raise ValueError("it was changed")
    return target, value


def _check(target: str, value: ExpectedValue) -> str:
    return blake2b("\0".join((target, *value)).encode("utf-8", "surrogatepass"), digest_size=_CHECK_BYTES).hexdigest()


def pending_changes(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], changes: Sequence[FieldChange], expected: Expected
) -> tuple[FieldChange, ...]:
    """Return the changes without those of names that the record already has, by the id that is expected for them."""
    values = _by_field(job, expected)

    def is_done(change: FieldChange) -> bool:
        value = values.get(change.field)
        return (
            value is not None
            and isinstance(change.now, Unknown)
            and change.new == value.before_shown
            and _holds(endpoint, change.field, record, value.before)
        )

    return tuple(change for change in changes if not is_done(change))


def changed_since_run(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], changes: Sequence[FieldChange], expected: Expected
) -> tuple[ChangedSinceRun, ...]:
    """Return which of the fields to be changed no longer hold what the run left."""
    values = _by_field(job, expected)
    return tuple(
        ChangedSinceRun(change.field, _shown(change.now), values[change.field].left_shown)
        for change in changes
        if change.field in values and not _holds(endpoint, change.field, record, values[change.field].left)
    )


def _by_field(job: Job, expected: Expected) -> dict[str, ExpectedValue]:
    return {value.field: value for value in expected.get(job.target, ())}


def _holds(endpoint: Endpoint, name: str, record: Mapping[str, object], expected_json: str) -> bool:
    field = endpoint.field(name)
    try:
        return reports_equal(field, from_json(expected_json), reported_value(field, record))
    except KeyError:
        return False


def _shown(now: object) -> str:
    if isinstance(now, Unknown):
        return f"id {now.id}" if now.id else "not reported"
    return as_text(now)
