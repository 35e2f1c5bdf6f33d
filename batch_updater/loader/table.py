"""A file -> a table of jobs and problems. Goes over the file as often as it is asked to, and holds none of its rows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.errors import ConfigError, Location
from batch_updater.loader.cells import Blank, converter
from batch_updater.loader.columns import no_names
from batch_updater.loader.duplicates import Targets
from batch_updater.loader.expected_sheet import as_undo, expected_in, require_expected
from batch_updater.loader.formats.book import is_blank_row
from batch_updater.loader.formats.choice import Sheet, choose_sheet
from batch_updater.loader.formats.opening import open_source
from batch_updater.loader.headers import HeaderFit, read_head
from batch_updater.loader.hidden import HiddenRows
from batch_updater.loader.merged import MergedCells
from batch_updater.loader.own_mapping import mapping_in
from batch_updater.loader.refusal import ValueProblem
from batch_updater.loader.review import OTHERS_ASKED, Review, Reviewer, duplicate, with_evidence
from batch_updater.loader.row_parser import RowReader, Width
from batch_updater.loader.survey import Findings, survey
from batch_updater.records import TEMPLATE_SHEET, TO_FIX, Job, column_letters
from batch_updater.text.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from batch_updater.config.schema import InputSettings
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.endpoint.expected_values import Expected
    from batch_updater.loader.column_values import KnownNames
    from batch_updater.loader.columns import HeaderRow
    from batch_updater.loader.row_parser import Reading
    from batch_updater.loader.survey import Questions
    from batch_updater.records import Cell, Columns, Problem, Row, Value

__all__ = ["JudgedRow", "Review", "Table", "open_table"]

_MOST_EXTRA_COLUMNS = 100
"""So many columns to the right of the last header are carried into the results; nobody has more by intention."""
_LAST_ROWS = {16_384: "a sheet of Excel 95", 65_536: "a sheet of .xls", 1_048_576: "a sheet"}
"""Last row of a sheet -> of which kind. A file of any format may hold what another one has cut off."""


class JudgedRow(NamedTuple):
    """A data row and what it comes to: either a job or problems."""

    row: Row
    job: Job | None
    problems: tuple[Problem, ...]
    waits_for: int | None = None
    """An earlier row of the same target that has problems: until it is repaired this one must not be sent."""


def open_table(
    path: Path,
    endpoint: Endpoint,
    settings: InputSettings,
    *,
    name: str,
    known_names: KnownNames = no_names,
    visible_only: bool = False,
) -> Table:
    """Open a file and fit its header row to the endpoint; `name` is what messages call the file.

    `known_names` gives the names that the API is known to have; `visible_only`: rows that the sheet does not show are
    no data rows. Raises InputError if the file cannot be read or its header row does not fit, ConfigError if a constant
    is wrong.
    """
    source = open_source(path, settings, name=name)
    with ExitStack() as on_error:
        on_error.callback(source.close)
        expected = expected_in(source)
        if expected is not None:
            settings = as_undo(settings)
        constants = _constants(endpoint, settings)
        fit = HeaderFit(endpoint, settings.columns, constants, known_names)
        sheet = choose_sheet(source, settings, lambda sheet: fit.of_sheet(sheet, settings.header_row), fit.needed)
        if sheet.ours and sheet.name == TEMPLATE_SHEET:
            # It has the fields' own names, whatever other files call them.
            own = {header: field for header, field in settings.columns.items() if header not in endpoint.by_name}
            fit = replace(fit, further=own)
        elif sheet.ours:
            fit = replace(fit, further={**settings.columns, **mapping_in(source, endpoint.by_name)})
        head = read_head(sheet, None if sheet.ours else settings.header_row)
        columns, sheet = fit.columns(head), replace(sheet, visible_only=visible_only)
        table = Table(sheet, head.header, columns, endpoint, settings, constants, expected)
        on_error.pop_all()
    return table


def _constants(endpoint: Endpoint, settings: InputSettings) -> dict[str, Value]:
    """Convert the constants as if they stood in cells. Raises ConfigError."""
    values: dict[str, Value] = {}
    for name, text in settings.constants.items():
        if name not in endpoint.by_name:
            close = nearest(name, endpoint.by_name)
            raise ConfigError(
                f"input.constants (or --set) names {name!r}, which is no field.",
                remedy=f"Did you mean {close!r}?" if close else f"Fields are: {', '.join(endpoint.by_name)}.",
            )
        try:
            value = converter(endpoint.by_name[name], settings, [])(text)
        except ValueProblem as refusal:
            message = f"The value of {name} in input.constants (or --set) cannot be used: {refusal.reason}"
            raise ConfigError(message, remedy=refusal.remedy) from refusal
        if isinstance(value, Blank):
            raise ConfigError(
                f"The value of {name} in input.constants (or --set) is blank.", remedy="Give a value, or leave it out."
            )
        values[name] = value
    return values


class Table:
    """The rows of a file, as an endpoint's fields. `review` first, then `judged` as often as needed."""

    def __init__(
        self,
        sheet: Sheet,
        header: HeaderRow,
        columns: Columns,
        endpoint: Endpoint,
        settings: InputSettings,
        constants: Mapping[str, Value],
        expected: Expected | None,
    ) -> None:
        self.visible_only = sheet.visible_only
        """Whether rows that the sheet does not show are left out."""
        self.hidden_rows = HiddenRows()
        """Rows that the sheet does not show, left out or not; after `review`."""
        self.expected = expected
        """What the records must still hold, in a workbook that takes a run back; None in any other."""
        self.columns = columns
        """After `review` also the columns without a header to the right of the last one that hold anything."""
        self._sheet = sheet
        self._header_row = header.number
        delimiter = sheet.source.book.delimiter
        self._width = Width(len(columns.headers), header.width if delimiter else None, delimiter or "")
        self._reader = RowReader(
            endpoint, columns, settings, constants, marked=sheet.marked, is_verbatim=expected is not None
        )
        self._targets = Targets(endpoint)
        self._body = frozenset(field.name for field in endpoint.body_fields)
        self._in_order = settings.duplicates == "in_order"
        self._widest = len(columns.headers)
        self._last_row = 0
        """The last one that is not blank."""
        self._without_header = [position for position, header in enumerate(columns.headers) if not header.strip()]
        self._nameless: set[int] = set()
        """Columns without a header, between others, in which a row has something."""
        self._layout = sheet.layout()
        self._cell_notes: tuple[str, ...] = ()

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
        """What a person should know about how the file is read; after `review` also what only the rows show."""
        notes = list(self.columns.notes)
        if nameless := sorted(self._nameless):
            letters = ", ".join(column_letters(self.columns.first_column + position) for position in nameless)
            notes.append(
                f"Column {letters} has no header and is not sent."
                if len(nameless) == 1
                else f"Columns {letters} have no header and are not sent."
            )
        notes += self._notes_on_hidden()
        if self._widest > len(self.columns.headers):
            last = column_letters(self.columns.first_column + len(self.columns.headers) - 1)
            notes.append(f"Cells to the right of column {last} have no header and are left out of the results.")
        if self._last_row in _LAST_ROWS:
            holder = _LAST_ROWS[self._last_row]
            notes.append(
                f"The last row is row {self._last_row:,}, the last one that {holder} holds: rows may have been cut off "
                "when the file was saved."
            )
        return (*self._sheet.notes, *notes, *self._cell_notes, *self._sheet.source.notes)

    def _notes_on_hidden(self) -> Iterator[str]:
        rows = self.hidden_rows
        if rows.count:
            are = "is" if rows.count == 1 else "are"
            how, told = "(filtered, or by hand)", f"{rows.numbers}."
            if self.visible_only:
                yield f"{rows.counted} hidden in the sheet {how} {are} left out, as --visible-only asked: {told}"
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
            if any(first + position in columns for columns in self._layout.hidden_columns)
        ]

    def review(self) -> Review:
        """Go over all rows once. Raises InputError if the file turns out to be unreadable."""
        reviewer = self._reviewer()
        review = reviewer.review(self._readings())
        if findings := self._findings(reviewer.questions):
            self._reader.settle(findings)
            reviewer = self._reviewer()
            review = reviewer.review(self._readings())
        self._cell_notes = tuple(reviewer.notes.sentences(self.columns))
        self._carry_columns_without_header()
        if self.expected is not None:
            place = Location(self._sheet.source.name, self._sheet.name)
            jobs = (judged.job for judged in self.judged(review) if judged.job)
            require_expected(jobs, self._body, self.expected, place)
        if review.good and review.first_job is None:
            ready = (judged.job for judged in self.judged(review) if judged.job and judged.waits_for is None)
            return replace(review, first_job=next(ready))
        return review

    def _findings(self, questions: Questions) -> Findings | None:
        """Return what the whole file answers; None if that changes nothing."""
        has_semicolons = self._reader.decimal_mark == "." and self._sheet.source.has_semicolons
        marks_are_open = questions.other_mark or questions.thousands
        if marks_are_open or questions.point_zero or questions.unsure_totals:
            numbers, mark = self._reader.number_columns, self._reader.decimal_mark
            positions = self.columns.of_field
            found = survey(self._readings(), questions, numbers, positions, mark, has_semicolons=has_semicolons)
        else:
            found = Findings(below_from=questions.below_from)
        return None if found == Findings() else found

    def _reviewer(self) -> Reviewer:
        return Reviewer(self._targets, self.columns, self._reader, in_order=self._in_order)

    def judged(self, review: Review, *, only_in_doubt: bool = False) -> Iterator[JudgedRow]:
        """Yield every data row with its verdict, the same at every call. Raises InputError as `review` does.

        `only_in_doubt` leaves out the rows that the review found to be jobs as they are, and costs little.
        """
        only = review.in_doubt if only_in_doubt else None
        if only is not None and not only:
            return
        blocked: dict[str, int] = {}
        for reading in self._readings(only):
            row, values = reading.row, reading.values
            target = self._targets.of(values)
            others = () if target is None else review.targets.others(target, row.number, OTHERS_ASKED)
            if target is not None and not others and not reading.problems:  # as nearly always
                yield JudgedRow(row, Job(row.number, target, values), ())
                continue
            problems = [with_evidence(problem, review.evidence) for problem in reading.problems]
            if others and not self._in_order:
                problems.append(duplicate(row.number, self._targets, values, others))
            if target is not None and not problems:
                waits_for = blocked.get(target) if others else None
                yield JudgedRow(row, Job(row.number, target, values), (), waits_for)
                continue
            if target is not None and others:
                blocked.setdefault(target, row.number)
            yield JudgedRow(row, None, tuple(problems))

    def _readings(self, only: Container[int] | None = None) -> Iterator[Reading]:
        """Read every row below the header row that is not blank, or at least those of `only`."""
        own, carried = self.columns.first_column, len(self.columns.headers)
        merged, hidden = self._merged_cells(), HiddenRows()
        for sheet_row in self._sheet.rows(only):
            if sheet_row.number <= self._header_row or (only is not None and sheet_row.number not in only):
                continue
            cells: Sequence[Cell] = sheet_row.cells[own:] if own else sheet_row.cells
            if is_blank_row(cells):
                continue
            self._last_row = sheet_row.number
            if merged is not None:
                cells = merged.marked(sheet_row.number, cells)
            if len(cells) > self._widest and not is_blank_row(cells[self._widest :]):
                self._widest = len(cells)
            if sheet_row.hidden:
                hidden.add(sheet_row.number)
                if self.visible_only:
                    continue
            if self._without_header:
                self._note_nameless(cells)
            yield self._reader.read(sheet_row.number, cells, carried, self._width)
        if only is None:
            self.hidden_rows = hidden

    def _note_nameless(self, cells: Sequence[Cell]) -> None:
        width = len(cells)  # there may be as many columns without a header as a sheet has, of blank cells mostly
        filled = [at for at in self._without_header if at < width and cells[at] is not None]
        self._nameless.update(at for at in filled if not is_blank_row((cells[at],)))

    def _merged_cells(self) -> MergedCells | None:
        if not self._layout.merged:
            return None
        place = Location(self._sheet.source.name, self._sheet.name)
        return MergedCells(self._layout.merged, self.columns.of_field.values(), self.columns.first_column, place)

    def _carry_columns_without_header(self) -> None:
        """Give a blank header to each column to the right of the last header, so that results keep its cells."""
        known = len(self.columns.headers)
        extra = min(self._widest - known, _MOST_EXTRA_COLUMNS)
        if extra > 0:
            self.columns = replace(self.columns, headers=(*self.columns.headers, *[""] * extra))
