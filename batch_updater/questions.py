"""Questions about a file that only a person can answer, and the answers, which options and layouts give as well."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct, convert, structs, to_builtins

from batch_updater.errors import InputError, Location
from batch_updater.text.printable import command_line

_NEEDS_QUOTES = re.compile(r"[^\w./=,:-]")
_SPECIAL_IN_QUOTES = re.compile(r"[\"$`!\\\x00-\x1f\x7f-\x9f]")
_COLUMNS_LISTED = 20
ALL_COLUMNS: Final = ""
"""In place of a header: every column about which nothing else is said."""
Order: TypeAlias = Literal["DMY", "MDY", "none"]
"""`none`: dates that can be read either way are problems."""
Mark: TypeAlias = Literal[".", ",", "none"]
"""`none`: numbers that can be read either way are problems."""


class Answers(Struct, frozen=True, omit_defaults=True):
    """What was decided about a file beyond the configuration. Headers are keys as the file spells them.

    Those about how cells are read may be about `ALL_COLUMNS` instead.
    """

    sheet: str | None = None
    header_row: int | None = None
    columns: Mapping[str, str | None] = {}
    """Header -> field, or None for a column that is not sent."""
    date_order: Mapping[str, Order] = {}
    two_digit_years: Mapping[str, int] = {}
    """Header -> first year of the hundred that two digits stand for."""
    decimal: Mapping[str, Mark] = {}
    clear_marker: Mapping[str, str] = {}
    """Header -> a text that empties the field as the clear marker does."""
    hidden_rows: Literal["send", "leave out"] | None = None
    rows_below: Literal["leave out", "judge"] | None = None
    """What is done with totals and remarks below the table."""

    def with_more(self, more: Answers) -> Answers:
        """Return these answers and some more, which win where both say something; one on all columns wins over all."""
        fields: dict[str, Any] = {
            name: _joined(getattr(self, name), getattr(more, name)) for name in self.__struct_fields__
        }
        return Answers(**fields)

    def about(self, headers: Mapping[str, Collection[str]]) -> Answers:
        """Return these answers with those on all columns spelled out; `headers`: name of an answer -> its columns."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in OF_COLUMNS:
            answers = dict(fields[name])
            if ALL_COLUMNS in answers:
                of_all = answers.pop(ALL_COLUMNS)
                fields[name] = dict.fromkeys(headers[name], of_all) | answers
        return Answers(**fields)

    @property
    def named_headers(self) -> frozenset[str]:
        """The headers of which they say something."""
        return frozenset().union(*(getattr(self, name) for name in ("columns", *OF_COLUMNS))) - {ALL_COLUMNS}

    def renamed(self, headers: Mapping[str, Collection[str]]) -> Answers:
        """Return those about some columns, under one or more other headers, and all that are about none."""
        fields: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = fields[name] = getattr(self, name)
            if isinstance(value, Mapping):
                fields[name] = {new: answer for header, answer in value.items() for new in headers.get(header, ())}
        return Answers(**fields)

    def only(self, header: str, column: str) -> Answers:
        """Return what they say of one header, said of another column."""
        said = {name: getattr(self, name) for name in ("columns", *OF_COLUMNS)}
        fields = {name: {column: answers[header]} for name, answers in said.items() if header in answers}
        return structs.replace(NO_ANSWERS, **fields)

    def without(self, name: str, headers: Collection[str]) -> Answers:
        """Return these answers without those called `name` about some headers."""
        left = {header: answer for header, answer in getattr(self, name).items() if header not in headers}
        return structs.replace(self, **{name: left})

    @property
    def settings(self) -> dict[str, str]:
        """Those about how cells and rows are read, as settings are listed: `date_order: Close date` -> DMY."""
        listed = {
            f"{name}: {header}": str(answer) for name in OF_COLUMNS for header, answer in getattr(self, name).items()
        }
        return listed | ({"rows_below": self.rows_below} if self.rows_below else {})

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Answers:
        """Return the answers that a list of settings holds, among others. Raises ValueError if one cannot be."""
        answers: dict[str, Any] = {name: {} for name in OF_COLUMNS}
        for key, value in settings.items():
            name, _, header = key.partition(": ")
            if name in OF_COLUMNS:
                answers[name][header] = value
            elif key == "rows_below":
                answers[key] = value
        return convert(answers, cls, strict=False)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the command line that give the same answers."""
        words: list[str] = []
        for name, option in _OPTIONS.items():
            value = getattr(self, name)
            if isinstance(value, Mapping):
                for header, answer in value.items():
                    words += _words(option, str(answer) if header == ALL_COLUMNS else f"{header}={answer or ''}")
            elif value is not None:
                words += _words(option, str(value))
        words += [option for (name, value), option in _FLAGS.items() if getattr(self, name) == value]
        return tuple(words)

    @property
    def keywords(self) -> str:
        """The keywords of the library that give the same answers, as they are typed."""
        answers = to_builtins(self)
        words = [f"{name}={answers.pop(name)!r}" for name in ("sheet", "header_row") if name in answers]
        return ", ".join([*words, *([f"answers={answers!r}"] if answers else [])])


OF_COLUMNS: Final = ("date_order", "two_digit_years", "decimal", "clear_marker")
"""The answers about how the cells of single columns are read."""
NO_ANSWERS: Final = Answers()
OF_ONE_FILE: Final = Answers(hidden_rows="leave out")
"""What is written into no layout, unless by a person: which rows are hidden differs by file."""
_OPTIONS = {
    "sheet": "--sheet",
    "header_row": "--header-row",
    "columns": "--map",
    "date_order": "--date-order",
    "two_digit_years": "--two-digit-years",
    "decimal": "--decimal",
    "clear_marker": "--clear-marker",
}
"""Answer -> the option that gives it; those of single columns take HEADER=VALUE and may be repeated."""
_FLAGS = {
    ("hidden_rows", "leave out"): "--visible-only",
    ("hidden_rows", "send"): "--all-rows",
    ("rows_below", "leave out"): "--without-totals",
    ("rows_below", "judge"): "--with-totals",
}


def _words(option: str, value: str) -> tuple[str, ...]:
    return (f"{option}={value}",) if value.startswith("-") else (option, value)  # which would be taken for an option


def _joined(value: object, more: object) -> object:
    if isinstance(value, Mapping) and isinstance(more, Mapping):
        return {**more} if ALL_COLUMNS in more else {**value, **more}
    return value if more is None else more


class QuestionKind(StrEnum):
    """What a question is about."""

    SHEET = "sheet"
    HEADER_ROW = "header row"
    COLUMN = "column"
    DATE_ORDER = "date order"
    CENTURY = "century"
    DECIMAL = "decimal mark"
    CLEAR_MARKER = "clear marker"
    HIDDEN_ROWS = "hidden rows"
    ROWS_BELOW = "rows below the table"

    @property
    def key(self) -> str | None:
        """The key of the configuration that answers it for every file; None if there is none."""
        return _KEYS.get(self)


_KEYS = {
    QuestionKind.SHEET: "input.sheet",
    QuestionKind.HEADER_ROW: "input.header_row",
    QuestionKind.COLUMN: "input.columns",
    QuestionKind.DATE_ORDER: "input.date_order",
    QuestionKind.CENTURY: "input.two_digit_years",
    QuestionKind.DECIMAL: "input.decimal",
    QuestionKind.CLEAR_MARKER: "input.clear_marker",
}


OF_PLACE: Final = frozenset({QuestionKind.SHEET, QuestionKind.HEADER_ROW})
"""About where the headers are: what to ask about columns follows from the answer."""


class Choice(Struct, frozen=True):
    """One of the possible answers to a question."""

    text: str
    """The answer and what follows from it."""
    answers: Answers
    then: tuple[Question, ...] = ()
    """What has to be asked next."""
    first_rows: tuple[tuple[str, ...], ...] = ()
    """What the first cells of the first rows show, of a choice that is about where the headers are."""


class Question(Struct, frozen=True):
    """Something about a file that has more than one answer."""

    kind: QuestionKind
    text: str
    evidence: str
    """What speaks for one choice or another; '' if nothing does."""
    choices: tuple[Choice, ...]
    is_conclusive: bool = False
    """Whether the evidence speaks for the first choice alone."""

    is_about_one_cell: bool = False
    """Where it cannot be asked, the one cell is a problem as any other, and does not keep the others from going out."""
    likely: int | None = None
    """How many choices, the first ones, are worth listing where it cannot be asked; None: all."""
    mistyped: str = ""
    """The header that is none, of which an option says something: the answer takes the place of what it says."""
    listed: Mapping[str, str] = {}
    """Columns that the evidence ends with: header -> how messages call it."""

    @property
    def full_evidence(self) -> str:
        """The evidence with the columns that it lists."""
        columns = list(self.listed.values())
        more = f" and {len(columns) - _COLUMNS_LISTED:,} more" if len(columns) > _COLUMNS_LISTED else ""
        return f"{self.evidence} {', '.join(columns[:_COLUMNS_LISTED])}{more}." if columns else self.evidence

    @property
    def proposal(self) -> Choice | None:
        """The choice that a form may make beforehand, for a person to see and to change; None if none is likelier.

        The evidence speaks for it alone, or it is the only one that is worth listing, or the one field that a column
        may be if it is sent. The only sheet or header row that is listed may still be the wrong one: none has fitted.
        """
        listed = self.choices[: self.likely]
        is_only_one = len(listed) == 1 and self.kind not in OF_PLACE
        is_one_field = self.kind is QuestionKind.COLUMN and self.likely == 2
        return listed[0] if listed and (self.is_conclusive or is_one_field or is_only_one) else None

    def left_by(self, answers: Answers) -> Question | None:
        """Return the question without the choices, and columns, that other answers rule out; None if they settle it.

        A column is no second field, and a field has no second column.
        """
        headers = {header for choice in self.choices for header in choice.answers.columns}
        if headers and headers <= answers.columns.keys():
            return None
        fed = set(answers.columns.values())
        choices = tuple(
            choice
            for choice in self.choices
            if not any(name and (name in fed or header in answers.columns)
                       for header, name in choice.answers.columns.items())
        )  # fmt: skip
        listed = {header: column for header, column in self.listed.items() if header not in answers.columns}
        return structs.replace(self, choices=choices, listed=listed) if choices else None

    @property
    def lasting_lines(self) -> list[str]:
        """Those of the options that a layout holds."""
        return structs.replace(self, choices=tuple(one for one in self.choices if one.answers != OF_ONE_FILE)).lines

    @property
    def lines(self) -> list[str]:
        """The options that answer it, one line for each likely choice, with what the choice means."""
        likely = [(typed(choice.answers), choice.text) for choice in self.choices[: self.likely]]
        return [f"{options}   {text}" for options, text in likely]


def typed(answers: Answers) -> str:
    """Return the options of some answers as people type them: in double quotes, which every shell understands."""
    words = (
        f'"{word}"' if _NEEDS_QUOTES.search(word) and not _SPECIAL_IN_QUOTES.search(word) else command_line([word])
        for word in answers.options
    )
    return " ".join(words)


class AnswersError(InputError):
    """Answers that cannot be used on a file; the message names them as the command line has them."""

    def __init__(
        self, answers: tuple[Answers, ...], why: str, *, remedy: str | Sequence[str] = "", place: Location | None = None
    ) -> None:
        """`why` goes on where the answers have been named."""
        super().__init__(f"{' and '.join(map(typed, answers))} {why}", remedy=remedy, place=place)
        self.answers = answers
        self.why = why

    def by_keyword(self) -> InputError:
        """Return the same error for programs, which have given keywords and no options."""
        named = " and ".join(one.keywords for one in self.answers)
        return InputError(f"{named} {self.why}", remedy=self.remedy_lines, place=self.place)


class SampledColumn(Struct, frozen=True):
    """One line of the mapping table of the page."""

    header: str
    """As answers call the column."""
    letters: str
    field: str | None
    """The field that it is, or that is proposed; None: not sent, or not known yet."""
    first_values: tuple[str, ...]
    """What its first three filled cells show."""


class HeaderRowError(InputError):
    """A header row that does not fit, and about some of which there is nothing to ask.

    `questions` are about the rest of it, and `columns` are all of it: a person may say of each what it is.
    """

    def __init__(
        self,
        message: str | Sequence[str],
        questions: tuple[Question, ...],
        columns: tuple[SampledColumn, ...],
        *,
        remedy: str | Sequence[str],
        place: Location,
    ) -> None:
        super().__init__(message, remedy=remedy, place=place)
        self.questions = questions
        self.columns = columns


class OpenQuestionsError(InputError):
    """A file about which there are open questions; `questions` can be asked, the message is for where they cannot.

    `columns` are those of the header row, where that is known.
    """

    def __init__(
        self,
        message: str | Sequence[str],
        questions: tuple[Question, ...],
        *,
        remedy: str | Sequence[str] = "",
        place: Location | None = None,
        columns: tuple[SampledColumn, ...] = (),
    ) -> None:
        super().__init__(message, remedy=remedy, place=place)
        self.questions = questions
        self.columns = columns

    def by_keyword(self) -> OpenQuestionsError:
        """Return the same error for programs, with the keywords of the library in place of options."""
        several = " Those of several `answers` go into one." if len(self.questions) > 1 else ""
        remedy = [f"Answer by keyword.{several} To remember answers, save a layout with `batch-updater columns FILE`."]
        for question in self.questions:
            likely = question.choices[: question.likely]
            remedy += [f"    {choice.answers.keywords}   {choice.text}" for choice in likely]
        return OpenQuestionsError(self.lines, self.questions, remedy=remedy, place=self.place, columns=self.columns)
