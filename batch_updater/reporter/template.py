"""The template: an empty workbook, or CSV file, with the columns of an endpoint."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_updater.endpoint.description import Kind
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import remedy_of, write_whole
from batch_updater.records import MARK_PROPERTY, TEMPLATE_SHEET
from batch_updater.reporter.list_sheets import ValidNames
from batch_updater.reporter.output_workbook import Book, sink_for
from batch_updater.reporter.row_sheets import cell_properties
from batch_updater.reporter.style import HEADER, QUIET, REQUIRED, Styles
from batch_updater.reporter.workbook import ROWS_OF_A_SHEET

if TYPE_CHECKING:
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

    from batch_updater.endpoint.description import Endpoint, Field

_HOW = "How to fill in"
_KINDS = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.DECIMAL: "a number",
    Kind.BOOLEAN: "TRUE or FALSE",
    Kind.DATE: "a date",
}


def write_template(path: Path, endpoint: Endpoint, clear_marker: str) -> None:
    """Write an empty workbook (.xlsx) or CSV file to fill in.

    Raises ResultsError if something is there already: a template may have been filled in since.
    """
    place = Location(file=str(path))
    if path.exists() or path.is_symlink():
        raise ResultsError(f"{path} is there already.", remedy="Name a file that is not there yet.", place=place)
    writers = {
        ".xlsx": lambda draft: _write_workbook(draft, endpoint, clear_marker),
        ".csv": lambda draft: _write_csv(draft, endpoint),
    }
    if path.suffix.lower() not in writers:
        raise ResultsError(
            f"{path} cannot be a template.", remedy="Use a name that ends in .xlsx or .csv.", place=place
        )
    try:
        write_whole(path, writers[path.suffix.lower()])
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy=remedy_of(error, "Name another place."),
            place=place,
        ) from error


def _write_csv(draft: Path, endpoint: Endpoint) -> None:
    # With a byte order mark: without it Excel takes the file for the system's old encoding.
    with draft.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerow([field.name for field in endpoint.fields])


def _write_workbook(draft: Path, endpoint: Endpoint, clear_marker: str) -> None:
    with sink_for(draft) as sink:
        book = Book(sink)
        styles = Styles(book)
        _write_data(book.add_worksheet(TEMPLATE_SHEET), styles, endpoint)
        _write_how(book.add_worksheet(_HOW), styles, endpoint, clear_marker)
        book.set_properties(
            {"title": f"Template for {endpoint.name}", "created": datetime.now(UTC).replace(tzinfo=None, microsecond=0)}
        )
        book.set_custom_property(MARK_PROPERTY, "template")
        book.close()


def _write_data(sheet: Worksheet, styles: Styles, endpoint: Endpoint) -> None:
    names = ValidNames(endpoint, ())
    for column, field in enumerate(endpoint.fields):
        header = styles.header(bg_color=REQUIRED) if field.required else styles.header()
        sheet.write_string(0, column, field.name, header)
        sheet.write_comment(0, column, _note(field), {"x_scale": 2, "y_scale": 1.3, "font_size": 9})
        sheet.set_column(column, column, max(len(field.name) + 4, 14), styles(**cell_properties(field)))
        if validation := names.validation(field):
            sheet.data_validation(1, column, ROWS_OF_A_SHEET - 1, column, validation)
    sheet.set_row(0, 24)
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _note(field: Field) -> str:
    needed = "Needed in every row." if field.required else "Leave it blank to change nothing."
    example = f" For example: {field.example}." if field.example else ""
    return f"{field.description} {needed} It is {_kind(field)}.{example}".strip()


def _kind(field: Field) -> str:
    if field.enum:
        return "one of " + ", ".join(str(value) for value in field.enum)
    bounds = field.bounds
    least = f" of at least {bounds.minimum}" if bounds.minimum is not None else ""
    most = f" of at most {bounds.maximum}" if bounds.maximum is not None else ""
    longest = f" of at most {bounds.max_length:,} characters" if bounds.max_length is not None else ""
    return _KINDS[field.kind] + least + most + longest


def _write_how(sheet: Worksheet, styles: Styles, endpoint: Endpoint, clear_marker: str) -> None:
    sheet.write_row(0, 0, ("Column", "Needed?", "What it is", "It holds", "Example"), styles.header())
    wrapped = styles(text_wrap=True)
    for number, field in enumerate(endpoint.fields, 1):
        needed = styles(bold=True, font_color=REQUIRED) if field.required else styles(font_color=QUIET)
        sheet.write_string(number, 0, field.name, styles(bold=True))
        sheet.write_string(number, 1, "yes" if field.required else "no", needed)
        sheet.write_string(number, 2, field.description, wrapped)
        sheet.write_string(number, 3, _kind(field), wrapped)
        sheet.write_string(number, 4, field.example, wrapped)
    number = len(endpoint.fields) + 2
    sheet.write_string(number, 0, "Rules", styles(bold=True, font_size=12, font_color=HEADER))
    for line, rule in enumerate(_rules(endpoint, clear_marker), number + 1):
        sheet.merge_range(line, 0, line, 4, "", wrapped)
        sheet.write_string(line, 0, rule, wrapped)
        sheet.set_row(line, 15 * (1 + len(rule) // 125))
    for column, width in enumerate((24, 10, 52, 28, 26)):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _rules(endpoint: Endpoint, clear_marker: str) -> tuple[str, ...]:
    return (
        f'Fill in the sheet "{TEMPLATE_SHEET}", one row for each {endpoint.record_name}.',
        "The columns with a brown header are needed in every row.",
        "A blank cell changes nothing: the field stays as it is.",
        f"To empty a field, write {clear_marker} into its cell.",
        "Type dates as dates of Excel. As text write them as 2025-03-25.",
        f"No two rows may have the same {_and([field.name for field in endpoint.fields if field.selects_record])}.",
        "You may add columns of your own; they are not sent, and come back in the results.",
        "Then: batch-updater check THIS-WORKBOOK, and batch-updater run THIS-WORKBOOK.",
    )
