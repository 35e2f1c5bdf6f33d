"""Which row of a sheet is the header row, and which sheet of several has one that fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import msgspec

from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import InputError, Location
from batch_updater.loader.column_values import ColumnValues, KnownNames
from batch_updater.loader.columns import HeaderRow, ToldOfColumns, fit_columns
from batch_updater.loader.formats.book import SheetRow, is_blank_row
from batch_updater.loader.formats.choice import Fit, Sheet
from batch_updater.loader.open_headers import possible_columns
from batch_updater.loader.proposals import HeaderNames, Proposals
from batch_updater.loader.refusal import shown
from batch_updater.questions import Answers, Choice, OpenQuestionsError, Question, QuestionKind
from batch_updater.records import ANNOTATION_COLUMNS, Columns, annotation_at

_ROWS_LOOKED_AT, _WIDEST_LOOKED_AT = 50, 500
"""Down to which row, and up to how many cells of one, another header row is looked for."""
_UNKNOWN_LOOKED_AT = 60
"""How many headers of such a row are held against the names of fields that they may be meant for."""
_ROWS_BELOW, _CELLS_BELOW = 300, 200_000
"""How many rows below the header row, or cells of them, are looked at for the values of columns."""
_ROWS_OFFERED = 6
_ROWS_SHOWN_BELOW, _CELLS_SHOWN = 2, 8
"""Of each row that may be the header row, for a person to see what its columns hold."""
_FIELDS_LISTED = 40
"""Of those of which a sheet needs one."""
_FIELDS_OF_A_HEADER_ROW = 2
"""A row that names fewer fields, and does not fit as a whole, is no better guess than the first."""


class Head(msgspec.Struct, frozen=True):
    """The first rows of a sheet, blank ones left out."""

    sheet: Sheet
    rows: tuple[SheetRow, ...]
    header: HeaderRow
    is_given: bool
    """Whether a person has said which row it is."""


def read_head(sheet: Sheet, number: int | None) -> Head:
    """Read the configured header row, or the first that is not blank, and rows around it. Raises InputError."""
    rows: list[SheetRow] = []
    header: SheetRow | None = None
    below = cells = 0
    for row in sheet.rows():
        if header is None and number is not None and row.number > number:
            break
        if is_blank_row(row.cells):
            continue
        if header is not None:
            below, cells = below + 1, cells + len(row.cells)
        elif number in {None, row.number}:
            header = row
        if header is not None or len(rows) < _ROWS_LOOKED_AT:
            rows.append(row)
        if below >= _ROWS_BELOW or cells > _CELLS_BELOW:
            break
    if header is None:
        where, remedy = "no header row", "Put the names of the fields into the first row."
        if number is not None:
            where = f"nothing in row {number:,}, where --header-row or input.header_row says it is"
            remedy = "Correct --header-row, or input.header_row."
        place = Location(sheet.source.name, sheet.name)
        raise InputError(f"{sheet.source.name} has {where}.", remedy=remedy, place=place)
    return Head(sheet, tuple(rows), _as_header(sheet, header, rows), number is not None)


def _as_header(sheet: Sheet, row: SheetRow, rows: Sequence[SheetRow]) -> HeaderRow:
    texts = [cell if isinstance(cell, str) else shown(cell) for cell in row.cells]
    width = len(texts)
    while not texts[-1].strip():
        texts.pop()
    own = sheet.own_columns(texts)
    below = tuple(other.cells[own:] for other in rows if other.number > row.number)
    at = annotation_at(texts[own:]) if sheet.source.is_annotated else None
    ours = range(at, at + len(ANNOTATION_COLUMNS)) if at is not None else range(0)
    return HeaderRow(sheet.source.name, sheet.name, row.number, own, tuple(texts[own:]), width - own, below, ours)


def _row_choice(row: HeaderRow) -> Choice:
    rows = (row.texts, *(map(shown, cells) for cells in row.below[:_ROWS_SHOWN_BELOW]))
    return Choice(
        f"row {row.number:,}: {row.contents}",
        Answers(header_row=row.number),
        first_rows=tuple(tuple(islice(cells, _CELLS_SHOWN)) for cells in rows),
    )


class HeaderFit(msgspec.Struct, frozen=True):
    """Fits header rows to an endpoint."""

    endpoint: Endpoint
    further: Mapping[str, str | None]
    """More headers that are understood, as in `input.columns`."""
    constants: Collection[str]
    """Fields that need no column."""
    names: KnownNames
    told: ToldOfColumns

    def columns(self, head: Head) -> Columns:
        """Return what the header row says.

        Raises InputError; OpenQuestionsError where answers would help, such as which row is the header row.
        """
        header = head.header
        try:
            return self._fit(header)
        except InputError as fault:
            # A person who has said which row it is is asked about its columns, not once more about the row.
            is_settled = head.is_given and isinstance(fault, OpenQuestionsError)
            if not is_settled and (other := self._other_row(head)):
                question = self._row_question(header, other)
                if head.is_given:  # the answer would be the same once more
                    raise InputError(question.lines, remedy=question.remedy_lines, place=question.place) from fault
                raise question from fault
            if not head.is_given and not self._meant(header) and (any_row := self._any_row(head)):
                remedy = (*fault.remedy_lines, "Or say by option which row holds the headers:")
                raise OpenQuestionsError(
                    fault.lines, (any_row,), remedy=(*remedy, *(f"    {line}" for line in any_row.lines)),
                    place=fault.place,
                ) from fault  # fmt: skip
            raise

    def _row_question(self, header: HeaderRow, other: HeaderRow) -> OpenQuestionsError:
        """Return the question whether another row is the header row, with those that are open there."""
        first, number, open_there = header.number, other.number, self._fault(other)
        looks = "looks more like it" if open_there else "is"
        delete = ", or delete the rows above it" if number > first else ""
        begins = shown(next(filter(str.strip, header.texts)), quoted=True)
        sentence = (
            f"Row {first:,} of {header.file} is not the header row, but row {number:,} {looks}: row {first:,} "
            f"begins with {begins}, row {number:,} holds {other.contents}."
        )
        question = Question(
            QuestionKind.HEADER_ROW,
            "Which row holds the headers?",
            sentence,
            (_row_choice(other), _row_choice(header)),
            is_conclusive=open_there is None,
        )
        remedy = f"Add --header-row {number} (or set input.header_row to {number}){delete}."
        return OpenQuestionsError(
            (sentence, *(open_there.lines if open_there else ())),
            (question, *(open_there.questions if isinstance(open_there, OpenQuestionsError) else ())),
            remedy=(
                remedy, *(f"    {line}" for line in question.lines), *(open_there.remedy_lines if open_there else ()),
            ),
            place=Location(header.file, header.sheet, f"A{first}"),
        )  # fmt: skip

    def _any_row(self, head: Head) -> Question | None:
        """Return the question which row holds the headers, where none has the name of a field."""
        likely = [row for row in head.rows[:_ROWS_LOOKED_AT] if len(row.cells) <= _WIDEST_LOOKED_AT]
        headers = [_as_header(head.sheet, row, head.rows) for row in likely]
        choices = [
            _row_choice(row)
            for row in headers
            if sum(map(row.is_theirs, range(len(row.texts)))) >= _FIELDS_OF_A_HEADER_ROW
            and row.below
            and not row.holds_values
        ]
        if not choices:
            return None
        text = "Which row holds the headers?"
        return Question(
            QuestionKind.HEADER_ROW, text, "No row has the name of a field.", tuple(choices[:_ROWS_OFFERED])
        )

    def of_sheet(self, sheet: Sheet, number: int | None) -> Fit | None:
        """Return how well a sheet fits; None if it has no header row."""
        try:
            head = read_head(sheet, number)
        except InputError:
            return None
        first = head.header.number
        if self._fault(head.header) is None:
            return Fit(first, first, self._meant(head.header), is_whole=True, headers=head.header.contents)
        best = self._other_row(head) or head.header
        return Fit(best.number, first, self._meant(best), is_whole=False, headers=head.header.contents)

    @property
    def needed(self) -> str:
        """Which columns a sheet needs, in a sentence."""
        fields = [field for field in self.endpoint.fields if field.name not in self.constants]
        names = [field.name for field in fields if field.required]
        body = {field.name for field in self.endpoint.body_fields}
        if self.endpoint.has_body and not body.intersection((*names, *self.constants)):
            listed = [field.name for field in self.endpoint.body_fields][:_FIELDS_LISTED]
            names.append(f"at least one of {', '.join(listed)}" if listed else "one to update from")
        needed = f"Columns that are needed: {'; '.join(names)}."
        return " ".join(filter(None, (needed, possible_columns(self.endpoint.opens))))

    def _other_row(self, head: Head) -> HeaderRow | None:
        """Return the row that fits better than the one that is read as the header row; None if there is none."""
        others = [row for row in head.rows if row.number != head.header.number and len(row.cells) <= _WIDEST_LOOKED_AT]
        rows = [_as_header(head.sheet, row, head.rows) for row in others[:_ROWS_LOOKED_AT]]
        meant = {row.number: self._meant(row) for row in rows}
        rows = [row for row in rows if meant[row.number]]
        if fitting := next((row for row in rows if self._fault(row) is None), None):
            return fitting
        best = max(rows, key=lambda row: meant[row.number], default=None)
        if best is None or meant[best.number] <= max(self._meant(head.header), _FIELDS_OF_A_HEADER_ROW - 1):
            return None
        return best

    def _fault(self, row: HeaderRow) -> InputError | None:
        try:
            self._fit(row)
        except InputError as fault:
            return fault
        return None

    def _meant(self, row: HeaderRow) -> int:
        """Return how many headers of a row mean fields, or may; of a row with values only those that name one."""
        names = HeaderNames(self.endpoint, self.further, self.told.of_row(row))
        known = {at: names.meanings(text, row.names[at]) for at, text in enumerate(row.texts) if row.is_theirs(at)}
        named = {fields for fields in known.values() if fields and None not in fields}
        unknown = [position for position, meanings in known.items() if not meanings]
        texts = [ColumnValues((row.texts[position],)) for position in unknown]
        if any(text.are_dates or text.are_numbers for text in texts):
            return len(named)
        fed = {fields[0] for fields in named if len(fields) == 1 and fields[0] is not None}
        proposals = Proposals(names, {*fed, *self.constants}, row.below, self.names)
        looked_at = unknown[:_UNKNOWN_LOOKED_AT]
        return len(named) + sum(
            proposals.by_header(row.texts[at], ColumnValues.of(row.below, at)) is not None for at in looked_at
        )

    def _fit(self, row: HeaderRow) -> Columns:
        return fit_columns(row, self.endpoint, self.further, self.constants, self.names, self.told)
