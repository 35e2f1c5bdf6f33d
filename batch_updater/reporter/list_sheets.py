"""Valid names: the sheet that lists them, and the drop-downs that refer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.endpoint.description import Kind
from batch_updater.reporter.cell_values import LARGEST_WHOLE, readable

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.records import AllowedList
    from batch_updater.reporter.style import Styles

SHEET = "Allowed values"
_LONGEST_INLINE_LIST = 255
"""Characters that Excel takes in a list that stands in the validation itself."""


class ValidNames:
    """The names that are known to be valid, for one workbook."""

    def __init__(self, endpoint: Endpoint, lists: tuple[AllowedList, ...]) -> None:
        self._lists = lists
        self._endpoint = endpoint

    def validation(self, field: Field) -> dict[str, object] | None:
        """Return the drop-down for a field's cells, as XlsxWriter takes it; None if nothing is known."""
        source = self._source(field)
        if source is None:
            return None
        return {
            "validate": "list",
            "source": source,
            "error_type": "warning",
            "error_title": "Not in the list",
            "error_message": f"This is not a {field.title} that is known to be valid. Keep it all the same?",
        }

    def _source(self, field: Field) -> list[str] | str | None:
        if field.enum:
            names = [str(value) for value in field.enum]
            return names if len(",".join(names)) <= _LONGEST_INLINE_LIST else None
        if field.kind is Kind.BOOLEAN:
            return ["TRUE", "FALSE"]
        first = 1
        for listed in self._lists:  # several languages: the rows of the first list are offered
            last = first + len(listed.values) - 1
            if listed.field == field.name:
                return f"='{SHEET}'!$C${first + 1}:$C${last + 1}"
            first = last + 1
        return None

    def write(self, book: Workbook, styles: Styles) -> None:
        """Add the sheet, if there is anything to list."""
        if not self._lists:
            return
        sheet = book.add_worksheet(SHEET)
        sheet.write_row(0, 0, ("Field", "Depends on", "Name", "Id"), styles.header())
        number = 1
        for listed in self._lists:
            number = _write_list(sheet, listed, number, styles)
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 18)
        sheet.set_column(2, 2, 40)
        sheet.set_column(3, 3, 12)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, number - 1, 3)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)


def _write_list(sheet: Worksheet, listed: AllowedList, number: int, styles: Styles) -> int:
    """Write one list from a row on; returns the row after it."""
    depends_on = ", ".join(f"{name} {value}" for name, value in listed.depends_on)
    for value in listed.values:
        sheet.write_string(number, 0, listed.field, styles())
        sheet.write_string(number, 1, depends_on, styles())
        sheet.write_string(number, 2, readable(value.name), styles())
        if isinstance(value.id, int) and abs(value.id) <= LARGEST_WHOLE:
            sheet.write_number(number, 3, value.id, styles())
        elif value.id is not None:
            sheet.write_string(number, 3, readable(str(value.id)), styles())
        number += 1
    return number
