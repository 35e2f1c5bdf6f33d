"""Rows of a sheet -> what their own cells say: values, or problems."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import DateOrder, InputSettings
from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.loader.below import Below, BelowTable, below_problem
from batch_updater.loader.cells import Blank, ColumnFacts, converter
from batch_updater.loader.column_reader import ColumnReader, Converter
from batch_updater.loader.findings import RAGGED, CellNote, Findings
from batch_updater.loader.formats.book import is_blank_row, name_of_delimiter
from batch_updater.loader.numbers import may_be_grouped, one_reading_each, refuse_grouped, without_group_mark
from batch_updater.loader.plain_columns import plain_reader
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.loader.requirements import RowNeeds
from batch_updater.questions import Answers
from batch_updater.records import NOT_EXACT_MARK, Cell, CellError, Columns, Problem, Value

_MISSING_CELL: Final = "no cell"
_BATCH: Final = 200
"""Rows that are judged at once."""
_TYPED: Final = "On this page a number with three digits behind its one mark has two readings"
"""Why the decimal mark of the file does not settle a number that a person has typed."""
_SURPLUS_CELL: Final = "surplus: "
"""What the cells of a row of the wrong length hold: a results workbook has room for every cell and would hide it.

There they are marked like everything that a sheet cannot hold exactly."""


class ParsedRow(msgspec.Struct, frozen=True):
    """One row as its own cells say, before it is compared with the others."""

    number: int
    cells: Sequence[Cell]
    """As the file holds them, at least one for each header unless the row is too short."""
    values: Mapping[str, Value]
    """Of the cells without a problem, and the constants."""
    problems: tuple[Problem, ...]
    notes: tuple[CellNote, ...] = ()
    """About cells that are sent as they are."""
    below: Below | None = None
    """What the row is, if it is no record."""

    @property
    def is_ragged(self) -> bool:
        """Whether it has more or fewer cells than the header row, so that its values may be in the wrong columns."""
        return any(problem.code == RAGGED for problem in self.problems)


class EditedCells(NamedTuple):
    """The cells of a row in which a person has typed some."""

    number: int
    cells: Sequence[Cell]
    """With what was typed."""
    typed: Collection[int]
    """Positions of the cells that were typed."""


class Width(msgspec.Struct, frozen=True):
    """How many cells a row has."""

    headers: int
    """Columns up to the last header, those that are ours left out."""
    stated: int | None
    """Cells of the header row, blank ones at its end included, where a row of another length is a fault."""
    delimiter: str
    """The character between cells, where a row of another length is a fault; '' elsewhere."""


class InputRules(msgspec.Struct, frozen=True):
    """What decides beside the endpoint what the cells of a file mean."""

    settings: InputSettings
    constants: Mapping[str, Value]
    """Fields whose value is the same in every row."""
    answers: Answers
    """Those about single columns, and about rows; the others are in the settings."""


class SavedParser(msgspec.Struct, frozen=True):
    """What makes a parser judge rows as another one did once the whole file was known; the endpoint is kept apart."""

    columns: Columns
    """As the header row says them, without further columns that rows have."""
    settings: InputSettings
    answers: Answers
    width: Width
    marked: bool
    is_verbatim: bool
    has_remarks: bool
    findings: Findings


class RowParser:
    """Turns rows of cells into values and problems, for one endpoint and one header row."""

    def __init__(
        self,
        endpoint: Endpoint,
        columns: Columns,
        rules: InputRules,
        width: Width,
        *,
        marked: bool,
        is_verbatim: bool,
    ) -> None:
        """`is_verbatim`: the texts of the cells are records' own, so that none of them is improbable."""
        settings, constants, answers = rules.settings, rules.constants, rules.answers
        self.answers = answers
        self._columns = columns
        self.width = width
        self._constants = constants
        self._marked = marked
        self._noted: list[CellNote] = []
        """Filled by the converters while they read a row."""
        self._settings = settings
        self._is_verbatim = is_verbatim
        self._takes_empty_lists = not endpoint.body_format.is_form
        self._fields = tuple(
            (columns.of_field[field.name], field) for field in endpoint.fields if field.name in columns.of_field
        )
        self._headers, self._names_of_columns = columns.headers, columns.names
        self.row_in_words = columns.row
        """Return what messages call a row."""
        self._first = self._fields[0][0]
        self._required = {field.name: field for field in endpoint.fields if field.required}
        self._body = frozenset(field.name for field in endpoint.body_fields)
        self._names = (*constants, *(field.name for _, field in self._fields))
        needs = RowNeeds(endpoint, self._names)
        self._needs = needs if needs.may_fail else None
        self._has_body = endpoint.has_body
        self._can_be_whole = (
            self._required.keys() <= set(self._names)
            and not (self._has_body and self._body.isdisjoint(self._names))
            and not needs.problems(0, self._names)
        )
        """Whether a row without a blank cell has every value that it needs."""
        self.date_columns = self._of_kinds(Kind.DATE, Kind.DATE_TIME)
        """Field and position of the columns that hold dates."""
        self.number_columns = {
            name: at
            for name, at in self._of_kinds(Kind.DECIMAL, Kind.INTEGER).items()
            if answers.decimal.get(columns.names[at], "none") == "none"
        }
        """The same of those that hold numbers, whose decimal mark is not answered."""
        self._amounts = {
            field.name
            for _, field in self._fields
            if field.kind in {Kind.DECIMAL, Kind.INTEGER} and not field.selects_record
        }
        """Fields of which an answer about the decimal mark also says what is a thousand."""
        self.decimal_mark = settings.decimal
        self._below = BelowTable(endpoint, columns)
        self.has_remarks = True
        """Whether rows may be remarks by where they are; not so where other rows have been taken from between them."""
        self._below_from: int | None = None
        self._last_mapped = max(columns.of_field.values())
        self._amount_fields = [field for _, field in self._fields if field.name in self.number_columns]
        self.settle(Findings())

    @property
    def saved(self) -> SavedParser:
        """What a parser is made of that judges rows as this one does now."""
        return SavedParser(
            self._columns, self._settings, self.answers, self.width, self._marked, self._is_verbatim,
            self.has_remarks, self._findings,
        )  # fmt: skip

    def _of_kinds(self, *kinds: Kind) -> dict[str, int]:
        return {field.name: position for position, field in self._fields if field.kind in kinds}

    def settle(self, findings: Findings) -> None:
        """From now on read the cells as the whole file shows them to be meant."""
        self._findings = findings
        self._readers = tuple(self._reader(field, position, findings) for position, field in self._fields)
        self._below_from = findings.below_from

    def _reader(self, field: Field, position: int, findings: Findings) -> ColumnReader:
        evidence, header = findings.marks.get(field.name), self._names_of_columns[position]
        settings = self._answers_on(header)
        configured = settings.decimal
        if evidence and evidence.decides:
            settings = settings.model_copy(update={"decimal": "," if configured == "." else "."})
        clears = self.answers.clear_marker.get(header, "")
        facts = ColumnFacts(
            self._headers[position],
            self._is_verbatim,
            field.name in findings.with_fractions,
            clears,
            self._takes_empty_lists,
        )
        convert, read_plain = converter(field, settings, self._noted, facts), None
        if self._is_verbatim:
            pass
        elif header in self.answers.decimal and field.name in self._amounts:
            convert, read_plain = _with_certain_mark(convert, settings.decimal), plain_reader(field, settings)
        elif evidence:
            convert = _strict(
                convert, configured, settings.decimal, evidence.sentence, is_whole=field.kind is Kind.INTEGER
            )
        elif field.name in findings.perhaps_thousands:
            convert = _noting_thousands(convert, field.name, configured, self._noted)
        else:
            read_plain = plain_reader(field, settings)
        return ColumnReader(position, field.name, convert, read_plain, self._noted)

    def _answers_on(self, header: str) -> InputSettings:
        """Return how the cells of a column are read, by the configuration and by what was answered."""
        answers = self.answers
        order = answers.date_order.get(header)
        by_key = {
            "date_order": None if order in {None, "none"} else DateOrder(order),
            "two_digit_years": answers.two_digit_years.get(header),
            "decimal": None if answers.decimal.get(header) == "none" else answers.decimal.get(header),
        }
        told = {key: value for key, value in by_key.items() if value is not None}
        return self._settings.model_copy(update=told) if told else self._settings

    def parse(self, number: int, cells: Sequence[Cell]) -> ParsedRow:
        """Return what a row that is not blank says; `cells` are the input's own."""
        (parsed,) = self.parse_all([(number, cells)])
        return parsed

    def parse_edited(self, rows: Iterable[EditedCells]) -> Iterator[ParsedRow]:
        """Yield what rows say in which a person has typed some of the cells.

        What the file shows about its cells does not vouch for these: a number among them that may be a thousand is a
        problem unless the decimal mark of its column was answered. A row with too few cells is one with enough of them
        once a person has typed up to its last column that is sent.
        """
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            parsed = self.parse_all([(row.number, self._reaching(row)) for row in batch])
            for one, row in zip(batch, parsed, strict=True):
                yield self._as_typed(row, one.typed) if one.typed and self._amount_fields else row

    def _reaching(self, row: EditedCells) -> Sequence[Cell]:
        cells, width = row.cells, self.width
        if width.stated is None or len(cells) >= width.headers or max(row.typed, default=-1) < self._last_mapped:
            return cells
        return (*cells, *[None] * (width.headers - len(cells)))

    def _as_typed(self, row: ParsedRow, positions: Collection[int]) -> ParsedRow:
        """Return a row with a problem for each number with two readings among the cells at some positions."""
        number, cells = row.number, row.cells
        if any(problem.field is None for problem in row.problems):
            return row
        faulty = {problem.field for problem in row.problems}
        problems = []
        for field in self._amount_fields:
            at = self.number_columns[field.name]
            if at in positions and field.name not in faulty and isinstance(text := cells[at], str):
                mark = self.decimal_mark
                try:
                    refuse_grouped(text, mark, mark, _TYPED, is_whole=field.kind is Kind.INTEGER)
                except ValueProblem as fault:
                    problems.append(Problem(number, field.name, fault.code, shown(text), fault.reason, fault.remedy))
        if not problems:
            return row
        left = {name: value for name, value in row.values.items() if name not in {one.field for one in problems}}
        return replace(row, values=left, problems=(*row.problems, *problems))

    def parse_all(self, rows: Iterable[tuple[int, Sequence[Cell]]]) -> Iterator[ParsedRow]:
        """Yield what each row says, as `parse` does of one; a batch of them takes a fraction of the time."""
        left, width, first = iter(rows), self.width, self._first
        while batch := list(islice(left, _BATCH)):
            lengths = {len(cells) for _, cells in batch}
            if (
                min(lengths) < width.headers
                or (width.stated is not None and max(lengths) > width.stated)
                or self._marked
                or self._headers[first] in [cells[first] for _, cells in batch]
            ):
                yield from self._parse_unusual(batch)
            elif self._below.names_are_texts:
                yield from map(self._if_no_remark, self._convert(batch))
            else:
                yield from [self._if_no_remark(row) if row.problems else row for row in self._convert(batch)]

    def _parse_unusual(self, rows: Sequence[tuple[int, Sequence[Cell]]]) -> list[ParsedRow]:
        """Do what `parse_all` does for rows of which some may be wrong as a whole, whatever their cells hold."""
        width = self.width
        parsed, ragged = dict[int, ParsedRow](), dict[int, ParsedRow]()
        left = list[tuple[int, Sequence[Cell]]]()
        for number, cells in rows:
            if width.stated is not None and (len(cells) < width.headers or not is_blank_row(cells[width.stated :])):
                problem = _ragged(number, cells[: _count(cells)], width)
                ragged[number] = ParsedRow(number, cells, {}, (problem,))
            padded = cells if len(cells) >= width.headers else (*cells, *[None] * (width.headers - len(cells)))
            if number in ragged:
                left.append((number, padded))
            elif self._marked and any(isinstance(cell, str) and _was_ragged(cell) for cell in padded):
                parsed[number] = ParsedRow(number, padded, {}, (_ragged(number, None, width),))
            elif padded[self._first] == self._headers[self._first] and (
                self._below.names_are_texts or self._repeats_headers(padded)
            ):
                parsed[number] = ParsedRow(number, padded, {}, (_repeated_headers(number),))
            else:
                left.append((number, padded))
        for row in self._convert(left):
            number = row.number
            is_ragged = number in ragged
            parsed[number] = self._if_record(ragged[number], row.values) if is_ragged else self._if_no_remark(row)
        return [parsed[number] for number, _ in rows]

    def _if_no_remark(self, row: ParsedRow) -> ParsedRow:
        """Return a row whose cells were converted; if it is no record, with that as its only problem."""
        if row.problems:
            return self._if_record(row, row.values)
        if not self._below.names_are_texts:
            return row
        if below := self._below.kind_by_name(row.values):
            return ParsedRow(row.number, row.cells, {}, (below_problem(row.number, below, row.cells),), (), below)
        notes = self._below.notes_by_name(row.values)
        return replace(row, notes=(*row.notes, *notes)) if notes else row

    def _if_record(self, parsed: ParsedRow, values: Mapping[str, Value]) -> ParsedRow:
        """Return a row with problems; if it is no record, with that as its only problem.

        `values` are those of the cells without a problem, wherever they belong.
        """
        number, cells = parsed.number, parsed.cells
        of_cells = {name: value for name, value in values.items() if name not in self._constants}
        below = self._below.kind_of(cells, of_cells)
        if below is None or not (below.is_certain or self.has_remarks):
            return parsed
        if not below.is_certain and (self._below_from is None or number < self._below_from):
            return replace(parsed, below=below)
        return ParsedRow(number, cells, {}, (below_problem(number, below, cells),), (), below)

    def _repeats_headers(self, cells: Sequence[Cell]) -> bool:
        """Whether the row's mapped cells are their own headers, as where several exports were put together."""
        return all(cells[position] == self._headers[position] for position, *_ in self._fields)

    def _convert(self, rows: Sequence[tuple[int, Sequence[Cell]]]) -> list[ParsedRow]:
        """Convert the cells of the mapped columns, column by column. Runs for every row: kept lean."""
        numbers = [number for number, _ in rows]
        columns: list[Sequence[Any]] = [[value] * len(rows) for value in self._constants.values()]
        problems: dict[int, list[Problem]] = {} if self._can_be_whole else {at: [] for at in range(len(rows))}
        notes: dict[int, list[CellNote]] = {}
        for reader in self._readers:
            read = reader.read(numbers, [cells[reader.position] for _, cells in rows])
            columns.append(read.values)
            for at in read.blanks:
                problems.setdefault(at, [])
            for at, problem in read.problems.items():
                problems.setdefault(at, []).append(problem)
            for at, of_cell in read.notes.items():
                notes.setdefault(at, []).extend(of_cell)
        names = self._names
        parsed = [
            ParsedRow(number, cells, dict(zip(names, values, strict=True)), ())
            for (number, cells), values in zip(rows, zip(*columns, strict=True), strict=True)
        ]
        for at in problems.keys() | notes.keys():
            parsed[at] = self._with_remarks(parsed[at], problems.get(at, []), notes.get(at, []))
        return parsed

    def _with_remarks(self, row: ParsedRow, problems: list[Problem], notes: list[CellNote]) -> ParsedRow:
        """Return a row of which some cells are blank, or have problems or notes."""
        values = {name: value for name, value in row.values.items() if not isinstance(value, Blank)}
        if problems or not self._required.keys() <= values.keys() or self._body.isdisjoint(values):
            problems.extend(self._missing(row.number, values, {problem.field for problem in problems}))
        if self._needs is not None:  # a cell with a problem of its own is not blank
            filled = values.keys() | {problem.field for problem in problems if problem.field}
            if not (self._has_body and self._body.isdisjoint(filled)):  # else there is nothing to update
                problems.extend(self._needs.problems(row.number, filled))
        faulty = {problem.field for problem in problems}
        left = tuple(note for note in notes if note.field not in faulty)
        return ParsedRow(row.number, row.cells, values, tuple(problems), left)

    def _missing(self, row: int, values: Mapping[str, Value], faulty: set[str | None]) -> Iterable[Problem]:
        for name, field in self._required.items():
            if name not in values and name not in faulty:
                reason = f"The {field.title} is blank, but every row needs it."
                yield Problem(row, name, "missing", "", reason, "Fill in the cell, or delete the row.")
        if self._has_body and self._body.isdisjoint(values) and self._body.isdisjoint(faulty):
            yield Problem(
                row,
                None,
                "nothing-to-update",
                "",
                "The row has nothing to update: every cell that could be sent is blank.",
                "Fill in what is to be changed, or delete the row.",
            )


def _with_certain_mark(convert: Converter, mark: str) -> Converter:
    """Return the same function, which takes the other mark in a number for that between thousands."""
    return lambda cell: convert(without_group_mark(cell, mark) if isinstance(cell, str) else cell)


def _strict(convert: Converter, configured: str, mark: str, evidence: str, *, is_whole: bool) -> Converter:
    """Return the same function, which refuses numbers that may be thousands."""

    def converted(cell: Cell) -> Value | Blank:
        if isinstance(cell, str):
            refuse_grouped(cell, configured, mark, evidence, is_whole=is_whole)
        return convert(cell)

    return converted


def _noting_thousands(convert: Converter, name: str, mark: str, noted: list[CellNote]) -> Converter:
    """Return the same function, which notes numbers that may be thousands."""

    def converted(cell: Cell) -> Value | Blank:
        value = convert(cell)
        if isinstance(cell, str) and isinstance(value, (int, Decimal)) and may_be_grouped(cell, mark):
            thousand, _ = one_reading_each(cell.strip(), mark)
            sent = format(Decimal(value).normalize(), "f")
            sentence = f"{shown(cell.strip(), quoted=True)} is sent as {sent}. If {thousand} is meant, type {thousand}."
            noted.append(CellNote(name, "perhaps-thousand", sentence))
        return value

    return converted


def _count(cells: Sequence[Cell]) -> int:
    """Return how many cells a row has, blank ones at its end left out."""
    count = len(cells)
    while count and cells[count - 1] is None:
        count -= 1
    return count


def _repeated_headers(row: int) -> Problem:
    reason = "The row repeats the headers instead of holding values."
    return Problem(row, None, "repeated-headers", "", reason, "Delete the row.")


def _ragged(row: int, cells: Sequence[Cell] | None, width: Width) -> Problem:
    """Return the problem of a row of the wrong length; `cells` is None where they are not known any more."""
    remedy = "Put every value under its header; in CSV, a value that holds the separator needs quotation marks."
    if cells is None:
        sentence = "The row did not have as many cells as the header row"
    elif len(cells) == 1 and isinstance(cells[0], str) and width.delimiter in cells[0]:
        sentence = "The row is one cell, because its whole line is in quotation marks"
        remedy = "Take away the first and the last quotation mark of the line, and one of each two inside."
    else:
        separated = f", separated by {name_of_delimiter(width.delimiter)}," if width.delimiter else ""
        count = "1 cell" if len(cells) == 1 else f"{len(cells):,} cells"
        sentence = f"The row has {count}{separated} but the header row has {width.headers:,}"
    return Problem(row, None, RAGGED, "", f"{sentence}: its values may be in the wrong columns.", remedy)


def carried_cells(cells: Sequence[Cell], carried: int, stated: int | None, *, is_ragged: bool) -> tuple[Cell, ...]:
    """Return as many cells as results carry; those of a row of the wrong length say which are missing or too many.

    `stated` is how many cells the header row has where that matters.
    """
    if stated is not None and (is_ragged or len(cells) > carried):
        kept: list[Cell] = list(cells[:stated])
        surplus = (
            None if cell is None else CellError("surplus-cell", f"{_SURPLUS_CELL}{shown(cell)}")
            for cell in cells[stated:]
        )
        missing = CellError("missing-cell", _MISSING_CELL)
        cells = [*kept, *surplus] if len(cells) > stated else kept + [missing] * (carried - len(kept))
    return (*cells[:carried], *[None] * (carried - len(cells)))


def _was_ragged(text: str) -> bool:
    return text.startswith((NOT_EXACT_MARK + _MISSING_CELL, NOT_EXACT_MARK + _SURPLUS_CELL))
