"""A file -> its rows as values and problems, in one pass that holds none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from batch_updater.config.schema import DateOrder, InputSettings
from batch_updater.endpoint.description import Endpoint, Kind
from batch_updater.endpoint.open_columns import field_of, opened
from batch_updater.errors import ConfigError, InputError, Location
from batch_updater.loader.below import REMARK
from batch_updater.loader.body_notes import body_notes
from batch_updater.loader.cells import Blank, ColumnFacts, converter
from batch_updater.loader.column_values import KnownNames
from batch_updater.loader.columns import HeaderRow, ToldOfColumns, no_names
from batch_updater.loader.findings import Findings, MarkEvidence
from batch_updater.loader.formats.book import is_blank_row
from batch_updater.loader.formats.choice import Sheet, choose_sheet
from batch_updater.loader.formats.opening import open_source
from batch_updater.loader.header_words import each_spelled_in
from batch_updater.loader.headers import HeaderFit, read_head
from batch_updater.loader.hidden import HiddenRowCounter
from batch_updater.loader.layouts import NO_LAYOUTS, FittingLayout, LayoutChoice, fitting_layout
from batch_updater.loader.merged import MergedCells
from batch_updater.loader.open_headers import fields_called, near_field, near_open_name, possible_columns
from batch_updater.loader.open_questions import ColumnQuestions, hidden_rows_question, rows_below_question
from batch_updater.loader.own_sheets import (
    RowNumbers,
    answers_in,
    as_undo,
    expected_in,
    origin_in,
    require_expected,
    unexpected,
)
from batch_updater.loader.refusal import ValueProblem
from batch_updater.loader.row_parser import InputRules, ParsedRow, RowParser, SavedParser, Width
from batch_updater.loader.survey import Doubts, FileEvidence, SurveyedRow, survey
from batch_updater.questions import ALL_COLUMNS, NO_ANSWERS, OF_COLUMNS, Answers, AnswersError, Question
from batch_updater.records import (
    TEMPLATE_SHEET,
    TO_FIX,
    TO_FIX_COLUMNS,
    Cell,
    Columns,
    Expected,
    HiddenRows,
    Job,
    Problem,
    Value,
    column_letters,
)

_MOST_EXTRA_COLUMNS = 100
"""So many columns to the right of the last header are carried into the results; no one has more by intention."""
_ROWS_NAMED = 10
_WITH_DATES = frozenset({Kind.DATE, Kind.DATE_TIME})
_LAST_ROWS = {16_384: "a sheet of Excel 95", 65_536: "a sheet of .xls", 1_048_576: "a sheet"}
"""Last row of a sheet -> of which kind. A file of any format may hold what another one has cut off."""


class ParsedCells(NamedTuple):
    """A row as it was stored: enough to judge it again."""

    number: int
    cells: list[Cell]
    is_ragged: bool


def open_table(
    path: Path,
    endpoint: Endpoint,
    settings: InputSettings,
    *,
    name: str,
    known_names: KnownNames = no_names,
    answers: Answers = NO_ANSWERS,
    layouts: LayoutChoice = NO_LAYOUTS,
) -> Table:
    """Open a file and fit its header row to the endpoint; `name` is what messages call the file.

    `known_names` gives the names that the API is known to have; `answers` come before those of the file's
    layout, if it has one, and these before `settings`. Raises InputError if the file cannot be read or its header row
    does not fit, OpenQuestionsError if answers would help, ConfigError if a constant is wrong.
    """
    source = open_source(path, settings, name=name)
    with ExitStack() as on_error:
        on_error.callback(source.close)
        expected = expected_in(source)
        if expected is not None:
            settings = as_undo(settings)
            answers = Answers(answers.sheet, answers.header_row, answers.columns, hidden_rows=answers.hidden_rows)
        explicit = answers.rows_below
        given = answers = _with_names_of_fields(answers, endpoint)
        layout = None
        if not source.mark and expected is None:
            layout = fitting_layout(source, layouts, answers, endpoint, settings.sheet)
        elif layouts.name is not None:
            raise InputError(
                f"{source.name} was written by batch-updater, and says itself how it is read.",
                remedy="Leave --layout out.",
                place=Location(source.name),
            )
        if layout:
            of_layout = _with_names_of_fields(layout.answers, endpoint, layout)
            spelled = {header: (text,) for header, text in each_spelled_in(layout.texts, answers.named_headers).items()}
            answers = of_layout.with_more(_as_spelled(answers, spelled))
        settings = _answered(settings, answers)
        constants = _constants(endpoint, settings)
        # The headers of an undo workbook are names of fields, meant as they are.
        own_names = {value.field: value.field for values in (expected or {}).values() for value in values}
        told = ToldOfColumns({**own_names, **answers.columns}, given)
        if layout:
            told = replace(told, added=layout.added, layout=layout.called)
        fit = HeaderFit(endpoint, settings.columns, constants, known_names, told)
        sheet = choose_sheet(source, settings, lambda sheet: fit.of_sheet(sheet, settings.header_row), fit.needed)
        if sheet.ours and sheet.name == TEMPLATE_SHEET:
            # It has the fields' own names, whatever other files call them.
            own = {header: field for header, field in settings.columns.items() if header not in endpoint.by_name}
            fit = replace(fit, further=own)
        elif sheet.ours:
            answers = answers_in(source, endpoint).with_more(answers)
            # Columns may have been deleted since.
            fit = replace(fit, told=ToldOfColumns(answers.columns))
        head = read_head(sheet, None if sheet.ours else settings.header_row)
        _require_agreement(given, head.header)
        columns = fit.columns(head)
        endpoint = opened(endpoint, [*columns.of_field, *constants])
        answers = _as_spelled(answers, head.header.columns_called(answers.named_headers))
        answers = answers.about(_headers_by_answer(endpoint, columns))
        sheet = replace(sheet, visible_only=answers.hidden_rows == "leave out")
        if sheet.ours and sheet.name == TO_FIX and head.header.first_column == len(TO_FIX_COLUMNS):
            columns = replace(columns, origin=origin_in(source))
        table = Table(sheet, head.header, columns, endpoint, InputRules(settings, constants, answers), expected)
        table.layout = layout
        table.layout_notes = (*([layout.note] if layout else []), *(one.note for one in layouts.damaged))
        table.parser.has_remarks = not table.is_to_fix
        table.leaves_out_remarks = explicit == "leave out"
        table.has_other_header_row = head.header.number != head.rows[0].number
        on_error.pop_all()
    return table


def restored_parser(saved: SavedParser, endpoint: Endpoint) -> RowParser:
    """Return a parser that judges rows as the one did of which that was saved."""
    rules = InputRules(saved.settings, _constants(endpoint, saved.settings), saved.answers)
    parser = RowParser(
        endpoint, saved.columns, rules, saved.width, marked=saved.marked, is_verbatim=saved.is_verbatim
    )  # fmt: skip
    parser.has_remarks = saved.has_remarks
    parser.settle(saved.findings)
    return parser


def _answered(settings: InputSettings, answers: Answers) -> InputSettings:
    """Return the settings with the answers on top that name sheet and header row, or are about all columns."""
    update: dict[str, object] = {} if answers.sheet is None else {"sheet": answers.sheet}
    update |= {} if answers.header_row is None else {"header_row": answers.header_row}
    of_all = {name: getattr(answers, name).get(ALL_COLUMNS) for name in OF_COLUMNS}
    if of_all["date_order"] is not None:
        of_all["date_order"] = None if of_all["date_order"] == "none" else DateOrder(of_all["date_order"])
    update |= {name: answer for name, answer in of_all.items() if answer is not None}
    return settings.model_copy(update=update) if update else settings


def _with_names_of_fields(answers: Answers, endpoint: Endpoint, layout: FittingLayout | None = None) -> Answers:
    """Return answers of a person, or of a layout, with the names of the fields that they mean. Raises InputError."""
    columns: dict[str, str | None] = {}
    for header, name in answers.columns.items():
        meant = fields_called(endpoint, name) if name is not None else (None,)
        if len(meant) == 1:
            columns[header] = meant[0]
            continue
        remedy = _field_meant(endpoint, name or "", meant)
        if layout is None:
            one = replace(NO_ANSWERS, columns={header: name})
            raise AnswersError((one,), f"names {_no_single(meant)}.", remedy=remedy)
        raise InputError(
            f"The {layout.called} says that {header!r} is {name!r}, which is {_no_single(meant)}.",
            remedy=remedy,
        )
    return replace(answers, columns=columns)


def _no_single(meant: Collection[str | None]) -> str:
    return "more than one field" if meant else "no field"


def _require_agreement(answers: Answers, row: HeaderRow) -> None:
    """Raise AnswersError if two answers say different things of one column, which they may spell differently."""
    called = row.columns_called(answers.named_headers)
    for name in ("columns", *OF_COLUMNS):
        first: dict[str, str] = {}
        said = getattr(answers, name)
        for header in said:
            for column in called.get(header, ()):
                other = first.setdefault(column, header)
                if said[other] != said[header]:
                    both = tuple(replace(NO_ANSWERS, **{name: {one: said[one]}}) for one in (other, header))
                    address = row.address(row.names.index(column))
                    raise AnswersError(
                        both, f"contradict each other: both are about column {address}.",
                        remedy="Leave one of them out.", place=Location(row.file, row.sheet, address),
                    )  # fmt: skip


def _field_meant(endpoint: Endpoint, name: str, meant: Collection[str | None]) -> str:
    """Return a sentence on the fields that a name means or is probably meant for, or on those that there are."""
    if meant:
        return f"Give the name of one: {' or '.join(filter(None, meant))}."
    if close := near_open_name(endpoint, name) or near_field(endpoint, name):
        return f"Did you mean {close!r}?"
    return f"Fields are: {', '.join(endpoint.by_name)}. {possible_columns(endpoint.opens)}".rstrip()


def _as_spelled(answers: Answers, columns: Mapping[str, Collection[str]]) -> Answers:
    """Return answers with the names that columns have in a file; `columns`: header as typed -> those, if any."""
    return answers.renamed({**{header: (header,) for header in (*answers.named_headers, ALL_COLUMNS)}, **columns})


def _headers_by_answer(endpoint: Endpoint, columns: Columns) -> dict[str, list[str]]:
    """Return which columns an answer about all of them is about."""
    headers = {name: columns.names[at] for name, at in columns.of_field.items()}
    dates = [headers[field.name] for field in endpoint.fields if field.name in headers and field.kind in _WITH_DATES]
    numbers = [
        headers[field.name]
        for field in endpoint.fields
        if field.name in headers and field.kind in {Kind.DECIMAL, Kind.INTEGER} and not field.selects_record
    ]
    return {
        "date_order": dates, "two_digit_years": dates, "decimal": numbers, "clear_marker": list(headers.values()),
    }  # fmt: skip


def _constants(endpoint: Endpoint, settings: InputSettings) -> dict[str, Value]:
    """Convert the constants as if they stood in cells. Raises ConfigError."""
    values: dict[str, Value] = {}
    facts = ColumnFacts(takes_empty_lists=not endpoint.body_format.is_form)
    for name, text in settings.constants.items():
        meant = fields_called(endpoint, name)
        field = field_of(endpoint, meant[0]) if len(meant) == 1 else None
        if field is None:
            raise ConfigError(
                f"--set (or input.constants) names {name!r}, which is {_no_single(meant)}.",
                remedy=_field_meant(endpoint, name, meant),
            )
        if field.name in values:
            raise ConfigError(
                f"--set and input.constants name {field.name} more than once, as {name!r} too.",
                remedy="Leave one of them out.",
            )
        try:
            value = converter(field, settings, [], facts)(text)
        except ValueProblem as refusal:
            message = f"The value of {name} in --set (or input.constants) cannot be used: {refusal.reason}"
            raise ConfigError(message, remedy=refusal.remedy) from refusal
        if isinstance(value, Blank):
            raise ConfigError(
                f"The value of {name} in --set (or input.constants) is blank.", remedy="Give a value, or leave it out."
            )
        values[field.name] = value
    return values


class Table:
    """The rows of a file, as an endpoint's fields."""

    def __init__(
        self,
        sheet: Sheet,
        header: HeaderRow,
        columns: Columns,
        endpoint: Endpoint,
        rules: InputRules,
        expected: Expected | None,
    ) -> None:
        self.answers = rules.answers
        self.leaves_out_remarks = False
        """Whether remarks below the table are left out with the totals: not by a layout, for they differ by file."""
        self.layout: FittingLayout | None = None
        """The one that the file has."""
        self.layout_notes: tuple[str, ...] = ()
        """What a person should know about it, and about those that cannot be used."""
        self.has_other_header_row = False
        """Whether the header row is not the first that holds anything."""
        self.visible_only = sheet.visible_only
        """Whether rows that the sheet does not show are left out."""
        self.hidden_rows = HiddenRows(0, "")
        """Rows that the sheet does not show, left out or not; after `rows`."""
        self.rows_left_out: Sequence[int] = ()
        """Numbers of the rows that are no records and are left out, as was answered."""
        self.expected = expected
        """What the records must still hold, in a workbook that undoes a run; None in any other."""
        self.endpoint = endpoint
        self.row_numbers = RowNumbers(columns.origin) if columns.origin else None
        """Those of rows that have come back; whole after `rows`."""
        self.columns = columns
        """After `rows` also the columns without a header to the right of the last one that hold anything."""
        self._sheet = sheet
        self._header_row = header.number
        self._ours = header.ours
        delimiter = sheet.source.delimiter
        self.width = Width(len(columns.headers), header.width if delimiter else None, delimiter or "")
        self.parser = RowParser(
            endpoint, columns, rules, self.width, marked=sheet.marked, is_verbatim=expected is not None
        )
        self._clear_marker = rules.settings.clear_marker
        self.in_order = rules.settings.duplicates == "in_order"
        """Whether rows of the same target are sent one after the other."""
        self._body = frozenset(field.name for field in endpoint.body_fields)
        self._constants = tuple(rules.constants)
        self._widest = len(columns.headers)
        self._last_row = 0
        """The last one that is not blank."""
        self._without_header = [position for position, header in enumerate(columns.headers) if not header.strip()]
        self._nameless: set[int] = set()
        """Columns without a header, between others, in which a row has something."""
        self._properties = sheet.properties()
        self.cell_notes: tuple[str, ...] = ()
        """What people should know of cells that are sent as they are."""
        self._is_cut = False
        """Whether there are more columns without a header than results keep."""

    def close(self) -> None:
        """Let go of the file. Rows cannot be read after it."""
        self._sheet.source.close()

    @property
    def sheet(self) -> str | None:
        """Name of the sheet that is read; None if the format has no sheets."""
        return self._sheet.name

    @property
    def is_to_fix(self) -> bool:
        """Whether it is the sheet of a results workbook from which rows are run again."""
        return self._sheet.ours and self._sheet.name == TO_FIX

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the file is read; after `rows` also what only the rows show."""
        notes = [*self.layout_notes, *self.columns.notes]
        if self.expected is None:
            notes += body_notes(self.endpoint, [*self.columns.of_field, *self._constants])
        if nameless := sorted(self._nameless):
            letters = ", ".join(column_letters(self.columns.first_column + position) for position in nameless)
            notes.append(
                f"Column {letters} has no header and is not sent."
                if len(nameless) == 1
                else f"Columns {letters} have no header and are not sent."
            )
        notes += self._notes_on_hidden()
        if numbers := self.rows_left_out:
            listed = ", ".join(f"{number:,}" for number in numbers[:_ROWS_NAMED])
            listed += " and more" if len(numbers) > _ROWS_NAMED else ""
            notes.append(
                f"Row {listed} is left out, as you said: it holds totals or a remark, and is no record."
                if len(numbers) == 1
                else f"{len(numbers):,} rows are left out, as you said: {listed} hold totals or remarks, no records."
            )
        if self._is_cut:
            last = column_letters(self.columns.first_column + len(self.columns.headers) - 1)
            notes.append(f"Cells to the right of column {last} have no header and are left out of the results.")
        if self._last_row in _LAST_ROWS:
            holder = _LAST_ROWS[self._last_row]
            notes.append(
                f"The last row is row {self._last_row:,}, the last one that {holder} holds: rows may have been cut off "
                "when the file was saved."
            )
        return (*self._sheet.notes, *notes, *self.cell_notes, *self._sheet.source.notes)

    def _notes_on_hidden(self) -> Iterator[str]:
        rows = self.hidden_rows
        if rows.count:
            are = "is" if rows.count == 1 else "are"
            how, told = "(filtered, or by hand)", f"{rows.numbers}."
            if self.visible_only:
                yield f"{rows.counted} hidden in the sheet {how} {are} left out, as you said: {told}"
            else:
                read = f"{rows.counted} {are} hidden in the sheet {how} and read like the others"
                yield f"{read}: {told} To leave {'it' if rows.count == 1 else 'them'} out, add --visible-only."
        elif self.visible_only and self.sheet is None:
            yield "--visible-only leaves out nothing: a text file has no hidden rows, and holds those of its sheet too."
        if hidden := self._hidden_columns():
            plural = "Columns {} are" if len(hidden) > 1 else "Column {} is"
            yield plural.format(", ".join(hidden)) + " hidden in the sheet, and read like the others."

    def _hidden_columns(self) -> list[str]:
        """Return the letters of the hidden columns that are sent."""
        first = self.columns.first_column
        return [
            column_letters(first + position)
            for position in sorted(self.columns.of_field.values())
            if any(first + position in columns for columns in self._properties.hidden_columns)
        ]

    def rows(self) -> Iterator[ParsedRow]:
        """Yield every row below the header row that is not blank. Raises InputError if the file cannot be read on.

        The one pass over the file: what it shows beside the rows is known afterwards.
        """
        hidden = HiddenRowCounter()
        most = len(self.columns.headers) + _MOST_EXTRA_COLUMNS
        is_kept_whole = self.width.stated is not None  # it is looked at once more where the file is judged as a whole
        for parsed in self.parser.parse_all(self._data_rows(hidden)):
            yield parsed if is_kept_whole or len(parsed.cells) <= most else replace(parsed, cells=parsed.cells[:most])
        self.hidden_rows = hidden.result()
        extra = min(self._widest - len(self.columns.headers), _MOST_EXTRA_COLUMNS)
        if extra > 0:  # results keep the cells to the right of the last header
            self._is_cut = self._widest - len(self.columns.headers) > extra
            self.columns = replace(self.columns, headers=(*self.columns.headers, *[""] * extra))

    def _data_rows(self, hidden: HiddenRowCounter) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Yield number and cells of every row below the header row that is not blank. Runs for every row."""
        own, merged = self.columns.first_column, self._merged_cells()
        numbers = self.row_numbers
        for number, in_sheet, is_hidden in self._sheet.rows():
            if number <= self._header_row:
                continue
            cells: Sequence[Cell] = in_sheet[own:] if own else in_sheet
            if is_blank_row(cells) or (self._ours and is_blank_row(self._theirs(cells))):
                continue
            self._last_row = number
            if merged is not None:
                cells = merged.marked(number, cells)
            if len(cells) > self._widest and not is_blank_row(cells[self._widest :]):
                self._widest = len(cells)
            if is_hidden:
                hidden.add(number)
                if self.visible_only:
                    continue
            if self._without_header:
                self._note_nameless(cells)
            yield numbers.of(in_sheet, number) if numbers else number, cells

    def findings(self, doubts: Doubts, stored: Iterable[ParsedCells]) -> Findings | None:
        """Return what the whole file answers to the doubts that its rows raise; None if that changes nothing.

        `stored` are the rows that `rows` has yielded, looked at only where that is needed.
        """
        parser = self.parser
        has_semicolons = parser.decimal_mark == "." and self._sheet.source.delimiter == ";"
        marks_are_open = doubts.other_mark or doubts.thousands
        if marks_are_open or doubts.point_zero or doubts.unsure_totals:
            rows = self._surveyed(doubts.below_from, stored)
            numbers, mark = parser.number_columns, parser.decimal_mark
            found = survey(rows, doubts, numbers, self.columns, mark, has_semicolons=has_semicolons)
        else:
            found = Findings(below_from=doubts.below_from)
        return None if found == Findings() else found

    def _surveyed(self, below_from: int | None, stored: Iterable[ParsedCells]) -> Iterator[SurveyedRow]:
        headers = len(self.columns.headers)
        for number, cells, is_ragged in stored:
            below = self.parser.parse(number, cells).below if below_from is not None and number >= below_from else None
            yield SurveyedRow(number, [*cells, *[None] * (headers - len(cells))], is_ragged, below)

    def open_questions(self, evidence: FileEvidence, marks: Mapping[str, MarkEvidence]) -> Iterator[Question]:
        """Yield what the cells of the whole file leave open; `marks` is what it shows about decimal marks."""
        ask = ColumnQuestions(self.endpoint, self.columns, self.answers)
        if self.hidden_rows.count and self.answers.hidden_rows is None:
            yield hidden_rows_question(self.hidden_rows, self.sheet)
        yield from ask.about(evidence.open_cells, evidence.orders_of, marks, self._clear_marker)
        open_rows = evidence.rows_below if self.answers.rows_below is None else self.remarks_left(evidence)
        if open_rows and not self.is_to_fix and self.answers.rows_below != "judge":
            yield rows_below_question({number: problem.reason for number, problem in open_rows.items()})

    def left_out(self, evidence: FileEvidence) -> dict[int, Problem]:
        """Return the rows below the table that are no rows of the run, by number; all of To fix are."""
        if self.answers.rows_below != "leave out" or self.is_to_fix:
            return {}
        kept = self.remarks_left(evidence)
        return {number: problem for number, problem in evidence.rows_below.items() if number not in kept}

    def remarks_left(self, evidence: FileEvidence) -> dict[int, Problem]:
        """Return the remarks below the table that a layout alone does not leave out."""
        if self.leaves_out_remarks:
            return {}
        return {number: problem for number, problem in evidence.rows_below.items() if problem.code == REMARK}

    def parse_all(self, stored: Iterable[ParsedCells]) -> Iterator[ParsedRow]:
        """Judge stored rows, as after `parser.settle`."""
        return self.parser.parse_all((number, cells) for number, cells, _ in stored)

    def unexpected(self, row: ParsedRow, target: str | None) -> tuple[Problem, ...]:
        """Return the problem of a row with edits that would change a field of which nothing is expected."""
        if self.expected is None:
            return ()
        known = {value.field for value in self.expected.get(target or "", ())}
        return unexpected(row.number, row.values, self._body, known)

    def require_expected(self, jobs: Iterable[Job]) -> None:
        """Raise InputError if a job of an undo workbook would change a field of which nothing is expected."""
        if self.expected is not None:
            require_expected(jobs, self._body, self.expected, Location(self._sheet.source.name, self._sheet.name))

    def _theirs(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells of a row of an annotated copy without ours."""
        return [*cells[: self._ours.start], *cells[self._ours.stop :]]

    def _note_nameless(self, cells: Sequence[Cell]) -> None:
        width = len(cells)  # there may be as many columns without a header as a sheet has, of blank cells mostly
        filled = [at for at in self._without_header if at < width and cells[at] is not None]
        self._nameless.update(at for at in filled if not is_blank_row((cells[at],)))

    def _merged_cells(self) -> MergedCells | None:
        if not self._properties.merged:
            return None
        place = Location(self._sheet.source.name, self._sheet.name)
        return MergedCells(self._properties.merged, self.columns.of_field.values(), self.columns.first_column, place)
