"""The sheets that are lists: `Allowed values` with the drop-downs that refer to it, and `Expected`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from batch_updater.endpoint import expected_values
from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.records import AllowedList, ExpectedValue
from batch_updater.reporter.cell_values import LARGEST_WHOLE, readable
from batch_updater.reporter.output_workbook import OutputWorkbook
from batch_updater.reporter.style import AS_TEXT, QUIET

ALLOWED_VALUES = "Allowed values"
_LONGEST_INLINE_LIST = 255
"""Characters that Excel takes in a list in the validation itself."""
_LONGEST_FORMULA = 255
"""Characters that Excel takes in the formula of a validation."""
_EXPECTED_WIDTHS = (44, 22, 30, 30, 26, 26, 14)
_READ_BY_PEOPLE = 4
"""Columns of `Expected`; the others are for the program."""


def drop_down(
    field: Field, lists: tuple[AllowedList, ...], endpoint: Endpoint, letters: Mapping[str, str]
) -> dict[str, object] | None:
    """Return the validation of a field's cells from row 2 on, as XlsxWriter takes it; None if no values are known.

    `letters`: field -> its column. Names that depend on another field, such as the language, are offered by its cell in
    the same row; where that is blank, those of the API's default.
    """
    if field.kind is Kind.LIST:  # its cells hold several
        return None
    source: list[str] | str | None = ["TRUE", "FALSE"] if field.kind is Kind.BOOLEAN else None
    if field.enum:
        names = [name for value in field.enum if (name := str(value))]
        source = names if len(",".join(names)) <= _LONGEST_INLINE_LIST else None
    elif source is None:
        source = _names_by_row(field, lists, endpoint, letters)
    if source is None:
        return None
    return {
        "validate": "list",
        "source": source,
        "error_type": "warning",
        "error_title": "Not in the list",
        "error_message": f"This is not a {field.title} that is known to be valid. Keep it anyway?",
    }


def _names_by_row(
    field: Field, lists: tuple[AllowedList, ...], endpoint: Endpoint, letters: Mapping[str, str]
) -> str | None:
    """Return the formula of the names that a cell of row 2 may hold; None if none are known."""
    areas, first = [], 2
    for listed in lists:
        last = first + len(listed.values) - 1
        if listed.field == field.name:
            area = f"'{ALLOWED_VALUES}'!$C${first}:$C${last}"
            is_default = all(value == (endpoint.field(name).default or "") for name, value in listed.depends_on)
            areas.append((not is_default, listed.depends_on, area))
        first = last + 1
    areas.sort(key=lambda area: area[0])
    if not areas:
        return None
    formula = areas[0][2]
    for _, depends_on, area in areas[1:]:
        tests = [
            f'${letters[name]}2&""="{value.replace(chr(34), 2 * chr(34))}"'
            for name, value in depends_on
            if name in letters
        ]
        longer = f"IF(AND({','.join(tests)}),{area},{formula})"
        if tests and len(longer) < _LONGEST_FORMULA:  # without room, or a column that tells, only the default's
            formula = longer
    return f"={formula}"


def write_allowed_values(book: OutputWorkbook, lists: tuple[AllowedList, ...]) -> None:
    """Add the sheet of valid names, if any are known."""
    if not lists:
        return
    sheet, style, row = (
        book.add_list(ALLOWED_VALUES, {"Field": 24, "Depends on": 18, "Name": 40, "Id": 12}),
        book.style(),
        0,
    )
    for listed in lists:
        depends_on = ", ".join(f"{name} {value}" for name, value in listed.depends_on)
        for value in listed.values:
            row += 1
            sheet.write_string(row, 0, listed.field, style)
            sheet.write_string(row, 1, depends_on, style)
            sheet.write_string(row, 2, readable(value.name), style)
            if isinstance(value.id, int) and abs(value.id) <= LARGEST_WHOLE:
                sheet.write_number(row, 3, value.id, style)
            elif value.id is not None:
                sheet.write_string(row, 3, readable(str(value.id)), style)
    sheet.autofilter(0, 0, row, 3)


def write_expected(book: OutputWorkbook, rows: Iterable[tuple[str, Iterable[ExpectedValue]]]) -> None:
    """Add the sheet that says what the records must still hold, from each target and its values."""
    sheet = book.add_list(expected_values.SHEET, dict(zip(expected_values.COLUMNS, _EXPECTED_WIDTHS, strict=True)))
    sheet.set_tab_color(QUIET)
    text, quiet, row = book.style(num_format=AS_TEXT), book.style(num_format=AS_TEXT, font_color=QUIET), 0
    for target, values in rows:
        for value in values:
            row += 1
            for column, cell in enumerate(expected_values.cells_of(target, value)):
                sheet.write_string(row, column, cell, text if column < _READ_BY_PEOPLE else quiet)
    sheet.autofilter(0, 0, row, len(expected_values.COLUMNS) - 1)
