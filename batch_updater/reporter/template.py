"""The template: an empty workbook, or CSV file, with the columns of an endpoint."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Endpoint, Field, Kind, OpenColumns, OpenKind
from batch_updater.endpoint.open_columns import example_header, field_of
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import write_faults, write_whole
from batch_updater.messages import format_day
from batch_updater.records import TEMPLATE_SHEET, AllowedList, column_letters
from batch_updater.reporter.list_sheets import ALLOWED_VALUES, drop_down, write_allowed_values
from batch_updater.reporter.output_workbook import ROWS_OF_A_SHEET, OutputSheet, OutputWorkbook, new_workbook
from batch_updater.reporter.row_sheets import cell_properties, lines_in
from batch_updater.reporter.style import HEADER, QUIET, REQUIRED

_HOW = "How to fill in"
_HOW_COLUMNS = {"Column": 32, "Needed?": 10, "What it is": 52, "It holds": 40, "Example": 26}
_KINDS = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.DECIMAL: "a number",
    Kind.BOOLEAN: "TRUE or FALSE",
    Kind.DATE: "a date",
    Kind.DATE_TIME: "a date with a time of day",
    Kind.JSON: "JSON",
    Kind.ANY: "text, a number, TRUE or FALSE, or a date",
}
_FORMATS = {"email": "an e-mail address", "uuid": "a UUID", "uri": "a web address"}
_EXAMPLES = {Kind.DATE_TIME: "2025-12-31T14:30:00+01:00", Kind.JSON: '{"name": "value"}'}
_ITEMS: Mapping[Kind, Sequence[str]] = {
    Kind.TEXT: ("first", "second"), Kind.INTEGER: ("1", "2"), Kind.DECIMAL: ("1.5", "2"),
}  # fmt: skip
"""Examples where the description has none."""
_MOST_NAMES = 12
"""Of fields that one rule lists."""
_MOST_CHARACTERS = 600
"""Of a description: some are pages long."""
_OPEN_PARTS = {
    OpenKind.MAP: "any number of columns, each with the name of a member of its own",
    OpenKind.PAIRS: "any number of columns, each with the key of a value in brackets",
    OpenKind.ITEMS: "any number of columns, with the number of an item in brackets: the first one is 0",
}


class _Column(NamedTuple):
    """A column of the template, or of those that it may get, in words."""

    header: str
    is_required: bool
    description: str
    holds: str
    example: str


def write_template(
    path: Path, endpoint: Endpoint, settings: InputSettings, names: tuple[AllowedList, ...] = ()
) -> None:
    """Write an empty workbook (.xlsx) or CSV file to fill in; `names` are those that earlier runs have learned.

    Fields that every row needs come first; those with a constant are no columns. `settings` say how its cells will be
    read.

    Raises ResultsError if a file of that name exists: a template may have been filled in since.
    """
    place = Location(file=str(path))
    if path.exists() or path.is_symlink():
        raise ResultsError(f"{path} already exists.", remedy="Choose another name.", place=place)
    # A file may not have a column for what every row has from the configuration.
    constants = {one.name for name in settings.constants if (one := field_of(endpoint, name))}
    fields = sorted((one for one in endpoint.fields if one.name not in constants), key=lambda one: not one.required)

    def write_csv(draft: Path) -> None:
        # With a byte order mark: without it Excel takes the file for the system's old encoding.
        with draft.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerow([field.name for field in fields])

    def write_xlsx(draft: Path) -> None:
        columns = [_column(field, settings, names) for field in fields]
        with new_workbook(draft) as book:
            book.describe(f"Template for {endpoint.name}", "template", datetime.now(UTC))
            _write_data(book.add_worksheet(TEMPLATE_SHEET), book, endpoint, fields, columns, names)
            _write_how(book, endpoint, columns, settings)
            write_allowed_values(book, names)

    write = {".xlsx": write_xlsx, ".csv": write_csv}.get(path.suffix.lower())
    if write is None:
        raise ResultsError(
            f"{path} cannot be a template.", remedy="Use a name that ends in .xlsx or .csv.", place=place
        )
    with write_faults(path, "Choose another place."):
        write_whole(path, write)


def _write_data(
    sheet: OutputSheet,
    book: OutputWorkbook,
    endpoint: Endpoint,
    fields: Sequence[Field],
    columns: Sequence[_Column],
    names: tuple[AllowedList, ...],
) -> None:
    letters = {field.name: column_letters(column) for column, field in enumerate(fields)}
    for column, (field, about) in enumerate(zip(fields, columns, strict=True)):
        header = book.header_style(bg_color=REQUIRED) if field.required else book.header_style()
        sheet.write_string(0, column, field.name, header)
        needed = "Needed in every row." if field.required else "Leave it blank to change nothing."
        example = f" For example: {about.example}." if about.example else ""
        ends = not about.description or about.description.endswith((".", "!", "?"))
        description = about.description if ends else f"{about.description}."
        note = f"{description} {needed} It is {about.holds}.{example}".strip()
        sheet.write_comment(0, column, note, {"x_scale": 2, "y_scale": 1.3, "font_size": 9})
        sheet.set_column(column, column, max(len(field.name) + 4, 14), book.style(**cell_properties(field)))
        if validation := drop_down(field, names, endpoint, letters):
            sheet.data_validation(1, column, ROWS_OF_A_SHEET - 1, column, validation)
    sheet.set_row(0, 24)
    sheet.freeze_panes(1, 0)
    sheet.print_wide()


def _column(field: Field, settings: InputSettings, names: tuple[AllowedList, ...]) -> _Column:
    item = replace(field, kind=field.item_kind) if field.kind is Kind.LIST else field
    holds, example = _kind(item, names), field.example or _EXAMPLES.get(item.kind, "")
    if item.kind is Kind.DATE_TIME:
        zone = settings.time_zone
        holds += f", in {zone} unless it names another zone" if zone else " and its zone"
    if field.kind is Kind.LIST:
        least, most = field.bounds.min_items, field.bounds.max_items
        count = f" of at least {least:,}" if least else ""
        count += f"{' and' if count else ' of'} at most {most:,}" if most is not None else ""
        between = f"{settings.list_separator!r} or a line break between items"
        holds = f"a list{count}, with {between}. Each item is {holds}"
        if not field.example:
            items = [str(value) for value in field.enum[:2]] or _ITEMS.get(item.kind, (example,))
            separator = settings.list_separator
            example = (f"{separator} " if separator in {",", ";"} else separator).join(items)
    elif field.is_json_array and not field.example:
        example = f"[{example}]"
    description = field.description[:_MOST_CHARACTERS] + (" ..." if len(field.description) > _MOST_CHARACTERS else "")
    return _Column(field.name, field.required, description, holds, example)


def _kind(field: Field, names: tuple[AllowedList, ...]) -> str:
    if field.enum:
        return "one of " + ", ".join(text for value in field.enum if (text := str(value)))
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
    return (_FORMATS.get(field.format) or _KINDS[field.kind]) + least + most + longest


def _open_columns(part: OpenColumns) -> _Column:
    holds = _OPEN_PARTS[part.kind]
    if part.kind is OpenKind.ITEMS:
        members = (*(field.name for field in part.fields), *map(example_header, part.opens))
        holds += f". Its members are {', '.join(members)}"
    return _Column(example_header(part), False, part.title, holds, "")


def _write_how(book: OutputWorkbook, endpoint: Endpoint, columns: Sequence[_Column], settings: InputSettings) -> None:
    sheet, style = book.add_list(_HOW, _HOW_COLUMNS), book.style
    wrapped, bold = style(text_wrap=True), style(text_wrap=True, bold=True)
    number = 0
    for number, column in enumerate((*columns, *map(_open_columns, endpoint.opens)), 1):
        needed = style(bold=True, font_color=REQUIRED) if column.is_required else style(font_color=QUIET)
        is_needed = "yes" if column.is_required else "no"
        texts = (column.header, is_needed, column.description, column.holds, column.example)
        # Programs do not agree on who fits the height of wrapped text, so it is set.
        sheet.set_row(number, 15 * max(map(lines_in, texts, _HOW_COLUMNS.values())))
        for at, (text, looks) in enumerate(zip(texts, (bold, needed, wrapped, wrapped, wrapped), strict=True)):
            sheet.write_string(number, at, text, looks)
    for title, lines in (("Rules", _rules(endpoint, settings)), ("Not in this file", _left_out(endpoint))):
        if lines:
            number += 2
            sheet.write_string(number, 0, title, style(bold=True, font_size=12, font_color=HEADER))
        for line in lines:
            number += 1
            sheet.merge_range(number, 0, number, len(_HOW_COLUMNS) - 1, "", wrapped)
            sheet.write_string(number, 0, line, wrapped)
            sheet.set_row(number, 15 * (1 + len(line) // 125))


def _rules(endpoint: Endpoint, settings: InputSettings) -> Sequence[str]:
    selecting = [field.name for field in endpoint.fields if field.selects_record]
    together = " and ".join([", ".join(selecting[:-1]), selecting[-1]] if len(selecting) > 1 else selecting)
    has_times = any(Kind.DATE_TIME in {field.kind, field.item_kind} for field in endpoint.fields)
    kept = [field.name for field in endpoint.body_fields if not field.can_be_cleared and not field.required]
    others = " and others" if kept[_MOST_NAMES:] else ""
    not_all = f" These cannot be emptied: {', '.join(kept[:_MOST_NAMES])}{others}." if kept else ""
    return (
        f'Fill in the sheet "{TEMPLATE_SHEET}", one row for each {endpoint.record_name}.',
        "The columns with a brown header are needed in every row.",
        "A blank cell changes nothing: the field stays as it is.",
        f"To empty a field, write {settings.clear_marker} into its cell.{not_all}",
        "Type dates as dates of Excel. As text write them as 2025-03-25.",
        *([f"Write times of day as text with their zone, as {_EXAMPLES[Kind.DATE_TIME]}."] if has_times else []),
        f"No two rows may have the same {together}.",
        "You may add columns of your own; they are not sent, and come back in the results.",
        "Then: batch-updater check THIS-WORKBOOK, and batch-updater run THIS-WORKBOOK.",
    )


def _left_out(endpoint: Endpoint) -> Sequence[str]:
    lines = [f"{one.field} is left out because {one.why}." for one in endpoint.left_out]
    if lines and endpoint.method == "PUT":
        lines.append(f"PUT may empty what is not sent: try with one {endpoint.record_name} whether these fields stay.")
    return lines
