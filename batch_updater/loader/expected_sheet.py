"""The sheet `Expected` of a workbook that undoes a run: read whole, or the workbook is refused."""

from __future__ import annotations

from collections.abc import Iterable

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.expected_values import COLUMNS, MARKS, SHEET, value_in_cells
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, is_blank_row
from batch_updater.records import Expected, ExpectedValue, Job

_WRITE_AGAIN = (
    "Write the undo workbook again with `batch-updater undo`; what belongs elsewhere goes into a file of its own."
)


def expected_in(source: Book) -> Expected | None:
    """Return what the workbook expects of the records; None if it takes no run back.

    A workbook does so by its document property; and by the sheet, since some programs drop the property on saving.
    Raises InputError if the sheet has gone or was changed: without it, newer changes would be overwritten.
    """
    names = [entry.name for entry in source.sheets]
    is_marked = source.mark in MARKS
    if SHEET not in names:
        if not is_marked:
            return None
        raise _damaged(source, "it has gone", None)
    rows = (row for row in source.rows(names.index(SHEET)) if not is_blank_row(row.cells))
    header = next(rows, None)
    if header is None or tuple(header.cells[: len(COLUMNS)]) != COLUMNS:
        if not is_marked:
            return None
        raise _damaged(source, "its header row was changed", "A1")
    expected: dict[str, tuple[ExpectedValue, ...]] = {}
    for row in rows:
        try:
            target, value = value_in_cells(row.cells)
        except ValueError as fault:
            raise _damaged(source, f"row {row.number} is not as it was written: {fault}", f"A{row.number}") from fault
        expected[target] = (*expected.get(target, ()), value)
    return expected


def as_undo(settings: InputSettings) -> InputSettings:
    """Return how such a workbook is read: as it was written, whatever the configuration says of other files.

    Only columns that a person has added are understood as it says.
    """
    return InputSettings(sheet=settings.sheet, columns=settings.columns, max_unpacked_mb=settings.max_unpacked_mb)


def require_expected(jobs: Iterable[Job], body: frozenset[str], expected: Expected, place: Location) -> None:
    """Raise InputError if a job would change a field of which nothing is expected."""
    for job in jobs:
        known = {value.field for value in expected.get(job.target, ())}
        if missing := sorted(body & job.values.keys() - known):
            raise InputError(
                f'{place.file} undoes a run, but its sheet "{SHEET}" does not say what the run had left in '
                f"{missing[0]} of row {job.row}: a newer change could be overwritten.",
                remedy=_WRITE_AGAIN,
                place=place,
            )


def _damaged(source: Book, why: str, cell: str | None) -> InputError:
    return InputError(
        f'{source.name} undoes a run, but its sheet "{SHEET}" cannot be relied on: {why}.',
        remedy=_WRITE_AGAIN,
        place=Location(source.name, SHEET, cell),
    )
