"""What an undo expects: the values that a run left in the records, beside those that it sets back.

They stand on a sheet of the workbook that takes the run back, and travel with it until every row is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.endpoint.reported import alike, reported_in
from batch_updater.records import Expected, ExpectedValue, FieldChange, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Job

SHEET = "Expected"
COLUMNS = ("Target", "Field", "Before the run", "The run left", "Before, exactly", "Left, exactly", "Check")
"""Headers of the sheet. Those with `exactly` hold JSON, `Check` shows that nobody has changed the row."""
UNDO_MARK = "undo"
MARKS = frozenset({UNDO_MARK, "undo-results", "undo-check"})
"""Values of the document property of workbooks that must have the sheet."""
_CHECK_BYTES = 6


class Moved(NamedTuple):
    """A field that no longer holds what the run left."""

    field: str
    now: str
    """As people read it; '' if it is empty."""
    left: str


def cells_of(target: str, value: ExpectedValue) -> tuple[str, ...]:
    """Return the row of the sheet."""
    return (target, *value, _check(target, value))


def value_in_cells(cells: Sequence[object]) -> tuple[str, ExpectedValue]:
    """Return target and value of a row of the sheet. Raises ValueError if somebody has changed it."""
    texts = ["" if cell is None else cell for cell in cells[: len(COLUMNS)]]
    target, *parts, check = [text for text in texts if isinstance(text, str)] or [""] * 2
    if len(parts) != len(ExpectedValue._fields):
        raise ValueError("cells are missing, or are no texts any more")
    value = ExpectedValue(*parts)
    if check != _check(target, value):
        raise ValueError("it was changed")
    return target, value


def _check(target: str, value: ExpectedValue) -> str:
    return blake2b("\0".join((target, *value)).encode("utf-8", "surrogatepass"), digest_size=_CHECK_BYTES).hexdigest()


def still_to_set(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], found: Sequence[FieldChange], expected: Expected
) -> tuple[FieldChange, ...]:
    """Leave out of the changes found those of names whose id is already the one that stands for the name."""
    known = _by_field(job, expected)

    def is_set(change: FieldChange) -> bool:
        wanted = known.get(change.field)
        if wanted is None or not isinstance(change.now, Unknown) or change.new != wanted.before_shown:
            return False
        return _holds(endpoint, change.field, record, wanted.before)

    return tuple(change for change in found if not is_set(change))


def moved(
    endpoint: Endpoint, job: Job, record: Mapping[str, object], found: Sequence[FieldChange], expected: Expected
) -> tuple[Moved, ...]:
    """Return which of the fields that are to be changed somebody has changed since the run."""
    known = _by_field(job, expected)
    return tuple(
        Moved(change.field, _shown(change.now), known[change.field].left_shown)
        for change in found
        if change.field in known and not _holds(endpoint, change.field, record, known[change.field].left)
    )


def _by_field(job: Job, expected: Expected) -> dict[str, ExpectedValue]:
    return {value.field: value for value in expected.get(job.target, ())}


def _holds(endpoint: Endpoint, name: str, record: Mapping[str, object], as_json: str) -> bool:
    field = endpoint.field(name)
    try:
        return alike(field, from_json(as_json), reported_in(field, record))
    except KeyError:
        return False


def _shown(now: object) -> str:
    if isinstance(now, Unknown):
        return f"id {now.id}" if now.id else "not reported"
    return "" if now is None else now if isinstance(now, str) else to_json(now)
