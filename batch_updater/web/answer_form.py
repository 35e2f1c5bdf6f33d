"""The form with what only a person can answer about a file, and what was typed into it -> answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.open_columns import field_of
from batch_updater.questions import (
    NO_ANSWERS,
    OF_COLUMNS,
    OF_PLACE,
    Answers,
    Choice,
    Question,
    QuestionKind,
    SampledColumn,
)
from batch_updater.records import NOT_SENT

NOT_SENT_VALUE = "-"
_FIELD = "="
"""What the value of an option begins with that stands for a field."""
_MOST_OPTIONS = 10_000
"""Of all columns together."""
_AGAIN = Choice("ask me again", NO_ANSWERS)
_MOST_ROWS = 1_048_576
"""Of a sheet."""


class AskedQuestion(msgspec.Struct, frozen=True):
    """A question as a group of radio buttons."""

    key: str
    """Name of the buttons; their values are the positions of the choices."""
    question: Question
    chosen: str
    """Value of the button that is chosen; '' if none is."""
    is_proposed: bool
    """Whether no person has chosen that."""
    is_required: bool
    column: SampledColumn | None
    """The one that it is about."""
    error: str


class AskedColumn(msgspec.Struct, frozen=True):
    """A line of the mapping table."""

    key: str
    """Name of the select."""
    column: SampledColumn
    chosen: str
    """Value of the option that is chosen; '' if none is."""
    is_proposed: bool
    """Whether nothing but a question stands behind what is chosen."""
    why: tuple[str, ...]
    """What is asked about it, and what speaks for one field or another."""
    more: tuple[tuple[str, str], ...]
    """Value and name of fields that are no others' options: members of open parts."""
    error: str

    @property
    def typed(self) -> str:
        """What is chosen, as a person types it."""
        return NOT_SENT if self.chosen == NOT_SENT_VALUE else self.chosen.removeprefix(_FIELD)


class FileAnswers(msgspec.Struct, frozen=True):
    """What is known of a file, and what was answered about it so far."""

    questions: tuple[Question, ...]
    """Those that are open."""
    columns: tuple[SampledColumn, ...]
    """Those of the header row, if that is known."""
    given: Answers
    """What people have answered."""
    used: Answers
    """That and what the layout of the file says."""
    settled: tuple[Question, ...]
    """The questions about cells and rows that were answered."""
    sheet: str | None
    """As it is read."""
    header_row: int | None


class AnswerForm:
    """The form about one file, filled in with what is likely or with what a person has typed."""

    def __init__(self, file: FileAnswers, endpoint: Endpoint, typed: Mapping[str, str] | None = None) -> None:
        """`typed`: the fields of the form that was sent; None if none was."""
        self.file = file
        self._endpoint = endpoint
        self._typed = typed
        self.is_about_place = any(question.kind in OF_PLACE for question in file.questions)
        self.digest = _digest([column.header for column in file.columns])
        """Of the columns that the form shows: the file may have been read in another way since."""
        self.is_outdated = typed is not None and typed.get("columns_digest", "") != self.digest
        self.questions = tuple(self._asked(self._open_questions, is_settled=False))
        """Those that are open, but for those about which field a column is."""
        open_again = {(question.kind, _columns_read(question)) for question in file.questions}
        settled = (one for one in file.settled if (one.kind, _columns_read(one)) not in open_again)
        self.settled = tuple(self._asked(settled, is_settled=True))
        self.columns = () if self.is_about_place else tuple(self._asked_columns())
        self.notes = tuple(self._notes())
        """What is asked about several columns: question, evidence and the columns that it may be."""

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """What is wrong with what was typed: name of the field in the form, and a sentence."""
        asked = [(one.key, f"{one.question.text} {one.error}") for one in (*self.questions, *self.settled) if one.error]
        asked += [
            (one.key, f"{one.column.letters}, {one.column.header}: {one.error}") for one in self.columns if one.error
        ]
        place = [("header_row", self.header_row_error)] if self.header_row_error else []
        outdated = "The file was read in another way since: look at its columns once more."
        return (*asked, *place, *([("columns", outdated)] if self.is_outdated else []))

    @property
    def fields(self) -> Sequence[tuple[str, str, bool]]:
        """Value, name and whether every row needs it, of each field of the endpoint."""
        return [
            (f"{_FIELD}{one.name}", one.name if one.title == one.name else f"{one.name} ({one.title})", one.required)
            for one in sorted(self._endpoint.fields, key=lambda field: not field.required)
        ]

    @property
    def has_typed_fields(self) -> bool:
        """Whether fields are typed, with proposals, because lists of all of them would make the page too large."""
        return len(self.columns) * len(self._endpoint.fields) > _MOST_OPTIONS

    @property
    def sheet(self) -> str:
        """What the field for the sheet holds."""
        return self._typed.get("sheet", "") if self._typed else self.file.sheet or ""

    @property
    def header_row(self) -> str:
        """What the field for the header row holds."""
        return self._typed.get("header_row", "") if self._typed else str(self.file.header_row or "")

    @property
    def header_row_error(self) -> str:
        """What is wrong with it; '' if nothing is."""
        text = self.header_row.strip()
        is_number = text.isascii() and text.isdigit() and 0 < int(text[:9]) <= _MOST_ROWS and len(text) < 9
        return "" if not text or is_number else "Type the number of the row, such as 3."

    @property
    def answers(self) -> Answers:
        """What the file does not say itself: what was answered before, and what is answered by this form."""
        given, file = self.file.given, self.file
        sheet, row = self.sheet.strip(), self.header_row.strip()
        is_other_sheet, is_other_row = sheet != (file.sheet or ""), row != str(file.header_row or "")
        if (is_other_sheet or is_other_row) and not self.is_about_place:
            # What was answered about columns is about those of the other header row.
            return Answers(
                sheet=(sheet or None) if is_other_sheet else given.sheet or file.sheet,
                header_row=int(row) if row and is_other_row else None,
            )
        for asked in (*self.questions, *self.settled):
            if asked.chosen:
                choice = asked.question.choices[int(asked.chosen)]
                if asked.question.mistyped:
                    for name in ("columns", *OF_COLUMNS):
                        given = given.without(name, [asked.question.mistyped])
                if choice is _AGAIN:
                    given = _without(given, asked.question)
                elif asked in self.questions or self.file.used.with_more(choice.answers) != self.file.used:
                    given = given.with_more(choice.answers)
        open_columns = {header for question in self._column_questions for header in _headers_of(question)}
        columns = {
            one.column.header: one.chosen.removeprefix(_FIELD) if one.chosen.startswith(_FIELD) else None
            for one in self.columns
            if one.chosen
            and (one.column.header in open_columns.union(given.columns) or one.chosen != _value_of(one.column.field))
        }
        return given.with_more(Answers(columns=columns))

    @property
    def _open_questions(self) -> Iterable[Question]:
        if self.is_about_place:
            return [question for question in self.file.questions if question.kind in OF_PLACE][:1]
        return [one for one in self.file.questions if one.kind is not QuestionKind.COLUMN or one.mistyped]

    @property
    def _column_questions(self) -> Sequence[Question]:
        """Those that the mapping table answers."""
        if self.is_about_place:
            return ()
        return [one for one in self.file.questions if one.kind is QuestionKind.COLUMN and not one.mistyped]

    def _asked(self, questions: Iterable[Question], *, is_settled: bool) -> Iterator[AskedQuestion]:
        columns = {column.header: column for column in self.file.columns}
        for question in questions:
            key = f"q.{_digest([question.kind, *(choice.answers for choice in question.choices)])}"
            chosen = ""
            if is_settled:
                used = self.file.used
                standing = (at for at, one in enumerate(question.choices) if used.with_more(one.answers) == used)
                chosen = str(next(standing, ""))
                if any(self.file.given.with_more(one.answers) == self.file.given for one in question.choices):
                    question = replace(question, choices=(*question.choices, _AGAIN))  # noqa: PLW2901
            elif question.proposal is not None:
                chosen = str(question.choices.index(question.proposal))
            if self._typed is not None:
                chosen = self._typed.get(key, chosen if is_settled else "")
            is_choice = chosen.isascii() and chosen.isdigit() and int(chosen[:4]) < len(question.choices)
            is_required = not is_settled and not question.is_about_one_cell
            yield AskedQuestion(
                key,
                question,
                chosen if is_choice else "",
                self._typed is None and not is_settled,
                is_required,
                next((columns[header] for header in _columns_read(question) if header in columns), None),
                "Choose an answer." if self._typed is not None and is_required and not is_choice else "",
            )

    def _asked_columns(self) -> Iterator[AskedColumn]:
        questions = self._column_questions
        proposed = {
            header: name
            for question in questions
            for header, name in (question.proposal.answers.columns if question.proposal else {}).items()
        } | {header: None for question in questions for header in question.listed}
        asked = {header for question in questions for header in _headers_of(question)}
        known = {field.name for field in self._endpoint.fields}
        chosen: list[str] = []
        for at, column in enumerate(self.file.columns):
            if self._typed is not None and not self.is_outdated:
                chosen.append(_value_typed(self._typed.get(f"c.{at}", "").strip()))
            elif column.header in asked and (column.header not in proposed or proposed[column.header] != column.field):
                chosen.append("")
            else:
                chosen.append(_value_of(column.field))
        times = Counter(value for value in chosen if value.startswith(_FIELD))
        for at, (column, value) in enumerate(zip(self.file.columns, chosen, strict=True)):
            name = value.removeprefix(_FIELD) if value.startswith(_FIELD) else None
            members = {
                one.name for text in (column.header, column.field) if text and (one := field_of(self._endpoint, text))
            }
            error = ""
            if times[value] > 1:
                letters = [one.letters for one, other in zip(self.file.columns, chosen, strict=True) if other == value]
                error = f"{name} is chosen for {' and '.join(letters)}: a field has one column."
            elif self._typed is not None and (not value or (name is not None and name not in known | members)):
                error = "Choose a field, or not sent."
            yield AskedColumn(
                key=f"c.{at}",
                column=column,
                chosen=value,
                is_proposed=self._typed is None and column.header in asked and bool(value),
                why=tuple(
                    question.evidence or _may_be(question, column.header)
                    for question in questions
                    if _headers_of(question) == {column.header} and not question.listed
                ),
                more=tuple((f"{_FIELD}{member}", member) for member in sorted(members - known)),
                error=error,
            )

    def _notes(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        for question in self._column_questions:
            if len(_headers_of(question)) > 1 or question.listed:
                choices = () if question.listed else tuple(choice.text for choice in question.choices)
                yield question.text, question.full_evidence, choices


def _headers_of(question: Question) -> set[str]:
    """Return the columns that a question is about."""
    return {header for choice in question.choices for header in choice.answers.columns}.union(question.listed)


def _may_be(question: Question, header: str) -> str:
    """Return in a sentence which fields a column may be."""
    fields = (choice.answers.columns.get(header) for choice in question.choices)
    return f"It may be {' or '.join(dict.fromkeys(filter(None, fields)))}."


def _columns_read(question: Question) -> frozenset[str]:
    """Return the columns of which a question asks how their cells are read."""
    return frozenset(header for name in OF_COLUMNS for header in getattr(question.choices[0].answers, name))


def _value_typed(text: str) -> str:
    """Return the value of what was chosen, or typed where there are too many fields for a list of options."""
    if not text or text == NOT_SENT_VALUE or text.startswith(_FIELD):
        return text
    return NOT_SENT_VALUE if text.casefold() == NOT_SENT else f"{_FIELD}{text}"


def _value_of(field: str | None) -> str:
    return NOT_SENT_VALUE if field is None else f"{_FIELD}{field}"


def _without(answers: Answers, question: Question) -> Answers:
    """Return answers without that to a question."""
    said = question.choices[0].answers
    for name in OF_COLUMNS:
        answers = answers.without(name, getattr(said, name))
    return replace(
        answers,
        hidden_rows=None if said.hidden_rows else answers.hidden_rows,
        rows_below=None if said.rows_below else answers.rows_below,
    )


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
