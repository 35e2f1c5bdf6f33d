"""The mapping with which the rows of a results workbook were read: it is read with the same when it comes back."""

from __future__ import annotations

from collections.abc import Collection

from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book
from batch_updater.records import MAPPED_HEADER, NOT_SENT, SETTINGS_SHEET


def mapping_in(source: Book, fields: Collection[str]) -> dict[str, str | None]:
    """Return header -> field, or None for a column that is not sent, as the sheet `Settings` says; it may have gone.

    Raises InputError if it names what is none of the endpoint's `fields`.
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
