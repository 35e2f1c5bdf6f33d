"""The template: an empty workbook, or CSV file, with the columns of an endpoint."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import write_faults, write_whole
from batch_updater.messages import format_day
from batch_updater.records import TEMPLATE_SHEET, AllowedList, column_letters
from batch_updater.reporter.list_sheets import ALLOWED_VALUES, drop_down, write_allowed_values
from batch_updater.reporter.output_workbook import ROWS_OF_A_SHEET, OutputSheet, OutputWorkbook, new_workbook
from batch_updater.reporter.row_sheets import cell_properties, lines_in
from batch_updater.reporter.style import HEADER, QUIET, REQUIRED

_HOW = "How to fill in"
_HOW_COLUMNS = {"Column": 24, "Needed?": 10, "What it is": 52, "It holds": 40, "Example": 26}
_KINDS = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.DECIMAL: "a number",
    Kind.BOOLEAN: "TRUE or FALSE",
    Kind.DATE: "a date",
}


def write_template(path: Path, endpoint: Endpoint, clear_marker: str, names: tuple[AllowedList, ...] = ()) -> None:
    """Write an empty workbook (.xlsx) or CSV file to fill in; `names` are those that earlier runs have learned.

    Raises ResultsError if a file of that name exists: a template may have been filled in since.
    """
    place = Location(file=str(path))
    if path.exists() or path.is_symlink():
        raise ResultsError(f"{path} already exists.", remedy="Choose another name.", place=place)

    def write_csv(draft: Path) -> None:
        # With a byte order mark: without it Excel takes the file for the system's old encoding.
        with draft.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerow([field.name for field in endpoint.fields])

    def write_xlsx(draft: Path) -> None:
        with new_workbook(draft) as book:
            book.describe(f"Template for {endpoint.name}", "template", datetime.now(UTC))
            _write_data(book.add_worksheet(TEMPLATE_SHEET), book, endpoint, names)
            _write_how(book, endpoint, clear_marker, names)
            write_allowed_values(book, names)

    write = {".xlsx": write_xlsx, ".csv": write_csv}.get(path.suffix.lower())
    if write is None:
        raise ResultsError(
            f"{path} cannot be a template.", remedy="Use a name that ends in .xlsx or .csv.", place=place
        )
    with write_faults(path, "Choose another place."):
        write_whole(path, write)


def _write_data(sheet: OutputSheet, book: OutputWorkbook, endpoint: Endpoint, names: tuple[AllowedList, ...]) -> None:
    letters = {field.name: column_letters(column) for column, field in enumerate(endpoint.fields)}
    for column, field in enumerate(endpoint.fields):
        header = book.header_style(bg_color=REQUIRED) if field.required else book.header_style()
        sheet.write_string(0, column, field.name, header)
        needed = "Needed in every row." if field.required else "Leave it blank to change nothing."
        example = f" For example: {field.example}." if field.example else ""
        note = f"{field.description} {needed} It is {_kind(field, names)}.{example}".strip()
        sheet.write_comment(0, column, note, {"x_scale": 2, "y_scale": 1.3, "font_size": 9})
        sheet.set_column(column, column, max(len(field.name) + 4, 14), book.style(**cell_properties(field)))
        if validation := drop_down(field, names, endpoint, letters):
            sheet.data_validation(1, column, ROWS_OF_A_SHEET - 1, column, validation)
    sheet.set_row(0, 24)
    sheet.freeze_panes(1, 0)
    sheet.print_wide()


def _kind(field: Field, names: tuple[AllowedList, ...]) -> str:
    if field.enum:
        return "one of " + ", ".join(str(value) for value in field.enum)
    if listed := [one for one in names if one.field == field.name]:
        days = [one.seen for one in listed if one.seen]
        as_of = f", as of {format_day(min(days))}" if days else ""
        depends_on = " and ".join(name for name, _ in listed[0].depends_on)
        by = f"; it depends on {depends_on}" if depends_on else ""
        return f"a name of the sheet {ALLOWED_VALUES}{as_of}{by}. Others may have been added since"
    bounds = field.bounds
    least = f" of at least {bounds.minimum}" if bounds.minimum is not None else ""
    most = f" of at most {bounds.maximum}" if bounds.maximum is not None else ""
    longest = f" of at most {bounds.max_length:,} characters" if bounds.max_length is not None else ""
    return _KINDS[field.kind] + least + most + longest


def _write_how(book: OutputWorkbook, endpoint: Endpoint, clear_marker: str, names: tuple[AllowedList, ...]) -> None:
    sheet, style = book.add_list(_HOW, _HOW_COLUMNS), book.style
    wrapped, bold = style(text_wrap=True), style(bold=True)
    for number, field in enumerate(endpoint.fields, 1):
        needed = style(bold=True, font_color=REQUIRED) if field.required else style(font_color=QUIET)
        texts = (field.name, "yes" if field.required else "no", field.description, _kind(field, names), field.example)
        # Programs do not agree on who fits the height of wrapped text, so it is set.
        sheet.set_row(number, 15 * max(map(lines_in, texts, _HOW_COLUMNS.values())))
        for column, (text, looks) in enumerate(zip(texts, (bold, needed, wrapped, wrapped, wrapped), strict=True)):
            sheet.write_string(number, column, text, looks)
    selecting = [field.name for field in endpoint.fields if field.selects_record]
    together = " and ".join([", ".join(selecting[:-1]), selecting[-1]] if len(selecting) > 1 else selecting)
    rules = (
        f'Fill in the sheet "{TEMPLATE_SHEET}", one row for each {endpoint.record_name}.',
        "The columns with a brown header are needed in every row.",
        "A blank cell changes nothing: the field stays as it is.",
        f"To empty a field, write {clear_marker} into its cell.",
        "Type dates as dates of Excel. As text write them as 2025-03-25.",
        f"No two rows may have the same {together}.",
        "You may add columns of your own; they are not sent, and come back in the results.",
        "Then: batch-updater check THIS-WORKBOOK, and batch-updater run THIS-WORKBOOK.",
    )
    number = len(endpoint.fields) + 2
    sheet.write_string(number, 0, "Rules", style(bold=True, font_size=12, font_color=HEADER))
    for line, rule in enumerate(rules, number + 1):
        sheet.merge_range(line, 0, line, len(_HOW_COLUMNS) - 1, "", wrapped)
        sheet.write_string(line, 0, rule, wrapped)
        sheet.set_row(line, 15 * (1 + len(rule) // 125))
