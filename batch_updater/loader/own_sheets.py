"""Sheets with which the program's own workbooks come back: what an undo expects, and the mapping of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.expected_values import COLUMNS, MARKS, SHEET, value_in_cells
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, is_blank_row
from batch_updater.records import MAPPED_HEADER, NOT_SENT, SETTINGS_SHEET, Expected, ExpectedValue, Job

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
    expected: dict[str, tuple[ExpectedValue, ...]] = {}
    with closing(source.rows(names.index(SHEET))) as every_row:  # an error would keep the file open until it is gone
        rows = (row for row in every_row if not is_blank_row(row.cells))
        header = next(rows, None)
        if header is None or tuple(header.cells[: len(COLUMNS)]) != COLUMNS:
            if not is_marked:
                return None
            raise _damaged(source, "its header row was changed", "A1")
        for row in rows:
            try:
                target, value = value_in_cells(row.cells)
            except ValueError as fault:
                why = f"row {row.number} is not as it was written: {fault}"
                raise _damaged(source, why, f"A{row.number}") from fault
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


def mapping_in(source: Book, fields: Collection[str]) -> dict[str, str | None]:
    """Return header -> field, or None for a column that is not sent, as the sheet `Settings` of a run's workbook says.

    The sheet may have gone. Raises InputError if it names what is none of the endpoint's `fields`.
    """
    names = [entry.name for entry in source.sheets]
    if SETTINGS_SHEET not in names:
        return {}
    mapping: dict[str, str | None] = {}
    for row in source.rows(names.index(SETTINGS_SHEET)):
        match row.cells[:2]:
            case [str(name), str(meaning)] if name.startswith(MAPPED_HEADER):
                header, field = name.removeprefix(MAPPED_HEADER), None if meaning == NOT_SENT else meaning
                if field is not None and field not in fields:
                    raise InputError(
                        f'The sheet "{SETTINGS_SHEET}" of {source.name} says that {header!r} is {field!r}, which is no '
                        "field.",
                        remedy="Use the configuration with which the workbook was made, or delete that sheet.",
                        place=Location(source.name, SETTINGS_SHEET, f"B{row.number}"),
                    )
                mapping[header] = field
    return mapping
