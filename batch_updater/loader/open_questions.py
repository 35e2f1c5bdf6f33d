"""Problems that many cells of a column share because of one open question, and the question itself."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from batch_updater.config.schema import DateOrder
from batch_updater.endpoint.description import Endpoint, Field
from batch_updater.loader.dates import (
    AMBIGUOUS_CENTURY,
    AMBIGUOUS_DATE,
    AMBIGUOUS_ORDER_AND_CENTURY,
    DateSettings,
    date_from_text,
    day_in,
)
from batch_updater.loader.findings import MarkEvidence
from batch_updater.loader.numbers import AMBIGUOUS_NUMBER, OTHER_MARK, decimal_from_text, without_group_mark
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.loader.texts import NEAR_CLEAR_MARKER
from batch_updater.messages import counted
from batch_updater.questions import Answers, Choice, Mark, Order, Question, QuestionKind
from batch_updater.records import Columns, HiddenRows, Problem

_ORDERS = frozenset({AMBIGUOUS_DATE, AMBIGUOUS_ORDER_AND_CENTURY})
_CENTURIES = frozenset({AMBIGUOUS_CENTURY, AMBIGUOUS_ORDER_AND_CENTURY})
_MARKS = frozenset({OTHER_MARK, AMBIGUOUS_NUMBER})
_ASKED = _ORDERS | _CENTURIES | _MARKS | {NEAR_CLEAR_MARKER}
_ASKED_BY = {
    QuestionKind.DATE_ORDER: (_ORDERS, "date_order"),
    QuestionKind.CENTURY: (_CENTURIES, "two_digit_years"),
    QuestionKind.DECIMAL: (_MARKS, "decimal"),
    QuestionKind.CLEAR_MARKER: (frozenset({NEAR_CLEAR_MARKER}), "clear_marker"),
}
"""Kind of question -> codes of the problems that raise it, and the answer to it."""
_FEWEST_NEAR_MISSES = 2
"""Fewer cells are a slip of the hand."""
_ROWS_NAMED = 3
_DATES = {DateOrder.DMY: "day/month", DateOrder.MDY: "month/day"}
_FEWEST_TELLING_DATES = 3
"""That are conclusive if no other tells otherwise."""
_HUNDREDS = {1930: "1930 to 2029, as Excel reads them", 2000: "2000 to 2099", 1900: "1900 to 1999"}
"""First year of the hundred that two digits may stand for -> in words."""
_MARK_NAMES: Mapping[Mark, str] = {".": "a point", ",": "a comma"}


class _Cells(Struct):
    """Cells of one column with a problem of one kind."""

    row: int
    """Of the first one."""
    text: str
    count: int = 0


class OpenCells:
    """Counts the cells whose problem an answer about their column would settle; bounded by the number of columns."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], _Cells] = {}
        self._near_misses: dict[str, Counter[str]] = {}

    def add(self, problem: Problem) -> None:
        """Count one problem, if it is of such a kind."""
        if problem.code in _ASKED and problem.field:
            cells = self._cells.setdefault((problem.field, problem.code), _Cells(problem.row, problem.value))
            cells.count += 1
            if problem.code == NEAR_CLEAR_MARKER:
                texts = self._near_misses.setdefault(problem.field, Counter())
                if problem.value in texts or len(texts) <= 1:
                    texts[problem.value] += 1

    def of(self, field: str, codes: frozenset[str]) -> _Cells | None:
        """Return the cells of one field with a problem of some kinds; None if there are none."""
        found = [cells for code in sorted(codes) if (cells := self._cells.get((field, code)))]
        if not found:
            return None
        first = min(found, key=lambda cells: cells.row)
        return _Cells(first.row, first.text, sum(cells.count for cells in found))

    def near_miss(self, field: str) -> tuple[str, int] | None:
        """Return the one text that a column has for the clear marker, and in how many cells; None if it has not one."""
        texts = self._near_misses.get(field, Counter())
        ((text, count),) = texts.items() if len(texts) == 1 else (("", 0),)
        is_option = "=" not in text  # which parts header and text in the option that answers it
        return (text, count) if count >= _FEWEST_NEAR_MISSES and is_option else None


class OrdersOf(Protocol):
    """Gives the orders of day and month in which alone dates of a field can be read."""

    def __call__(self, field: str, *, is_year_last: bool = False) -> Mapping[DateOrder, tuple[int, str, int]]:
        """Return order -> row and text of the first such date, and how many there are.

        `is_year_last`: the year is known to be the last number.
        """


class ColumnQuestions:
    """Makes the questions that the cells of a whole file leave open."""

    def __init__(self, endpoint: Endpoint, columns: Columns, answers: Answers) -> None:
        self._columns = columns
        self._row = columns.row
        self._answers = answers
        self._fields = [field for field in endpoint.fields if field.name in columns.of_field]

    def about(
        self,
        cells: OpenCells,
        orders_of: OrdersOf,
        marks: Mapping[str, MarkEvidence],
        clear_marker: str,
    ) -> Iterator[Question]:
        """Yield them, column by column.

        `marks`: what shows that numbers have the other decimal mark.
        """
        for field in self._fields:
            header = self._columns.names[self._columns.of_field[field.name]]
            order = self._answers.date_order.get(header)
            if (found := cells.of(field.name, _ORDERS)) and order is None:
                yield from self._date_order(field, header, found, orders_of(field.name))
            elif order not in {None, "none"}:
                orders = orders_of(field.name, is_year_last=True)
                yield from self._contradicted_order(field, header, DateOrder(order), orders)
            if (found := cells.of(field.name, _CENTURIES)) and header not in self._answers.two_digit_years:
                yield self._century(field, header, found)
            # A mark in a number that names a record is a slip, and no way to write numbers.
            is_amount = not field.selects_record
            mark = self._answers.decimal.get(header)
            if is_amount and mark is None and (found := cells.of(field.name, _MARKS)):
                yield from self._decimal(field, header, found, marks.get(field.name))
            elif mark not in {None, "none"} and (found := cells.of(field.name, frozenset({OTHER_MARK}))):
                yield self._contradicted_mark(field, header, str(mark), found)
            if (
                (near := cells.near_miss(field.name))
                and field.can_be_cleared
                and header not in self._answers.clear_marker
            ):
                yield self._clear_marker(field, header, *near, clear_marker)

    def _column(self, field: Field, header: str) -> str:
        name = "" if header.strip() == field.name else f", sent as {field.name}"
        return f"{shown(header, quoted=True)} ({self._columns.column(field.name)}{name})"

    def _date_order(
        self, field: Field, header: str, cells: _Cells, orders: Mapping[DateOrder, tuple[int, str, int]]
    ) -> Iterator[Question]:
        if len(orders) > 1:
            return  # the column mixes both: no answer is right for all of it
        choices = _orders(header, cells.text, orders or DateOrder)
        text = f"How are the dates of {self._column(field, header)} written?"
        evidence = (
            f"{counted(cells.count, 'date')} can be read either way, such as {cells.text} in {self._row(cells.row)}."
        )
        if orders:
            ((order, (row, example, count)),) = orders.items()
            telling = f"All {count:,} dates" if count > 1 else "The one date"
            can, are = ("can", "are") if count > 1 else ("can", "is")
            evidence = (
                f"{telling} of {shown(header, quoted=True)} that {can} tell {are} {_DATES[order]}, none the other way "
                f"({example} in {self._row(row)}). {evidence}"
            )
            text = f"Read all {count + cells.count:,} dates as {_DATES[order]}?"
            # The other order would be right for none that tell, and mix both in one column.
            choices.append(
                Choice("no: those that can be read either way are problems", Answers(date_order={header: "none"}))
            )
        yield Question(
            QuestionKind.DATE_ORDER,
            text,
            evidence,
            tuple(choices),
            is_conclusive=sum(count for _, _, count in orders.values()) >= _FEWEST_TELLING_DATES,
            is_about_one_cell=cells.count == 1,
        )

    def _contradicted_order(
        self, field: Field, header: str, order: DateOrder, orders: Mapping[DateOrder, tuple[int, str, int]]
    ) -> Iterator[Question]:
        """Ask about a column that was said to be of one order, and has a date that only the other one can read."""
        (other,) = set(DateOrder) - {order}
        if other not in orders:
            return
        row, text, _ = orders[other]
        choices = [Choice("dates that can be read either way are problems", Answers(date_order={header: "none"}))]
        if order not in orders:
            choices.insert(0, Choice(f"{_DATES[other]}", Answers(date_order={header: other.value})))
        yield Question(
            QuestionKind.DATE_ORDER,
            f"How are the dates of {self._column(field, header)} written?",
            f"{text} in {self._row(row)} cannot be {_DATES[order]}, as an option or the layout says of the column.",
            tuple(choices),
        )

    def _contradicted_mark(self, field: Field, header: str, mark: str, cells: _Cells) -> Question:
        """Ask about a column that was said to have one decimal mark, and has a number with the other one."""
        return Question(
            QuestionKind.DECIMAL,
            f"What is the decimal mark of {self._column(field, header)}?",
            f"{cells.text} in {self._row(cells.row)} is no number with the decimal mark {mark!r}, which an option or "
            "the layout says of the column.",
            (
                Choice("numbers that can be read either way are problems", Answers(decimal={header: "none"})),
                *(
                    Choice(name, Answers(decimal={header: other}))
                    for other, name in _MARK_NAMES.items()
                    if other != mark
                ),
            ),
        )

    def _century(self, field: Field, header: str, cells: _Cells) -> Question:
        return Question(
            QuestionKind.CENTURY,
            f"Which century are the years of {self._column(field, header)} in?",
            f"{counted(cells.count, 'date')} {'has' if cells.count == 1 else 'have'} years of two digits, such as "
            f"{cells.text} in {self._row(cells.row)}.",
            _centuries(header),
            is_about_one_cell=cells.count == 1,
        )

    def _decimal(self, field: Field, header: str, cells: _Cells, evidence: MarkEvidence | None) -> Iterator[Question]:
        if evidence and evidence.is_mixed:
            return
        yield Question(
            QuestionKind.DECIMAL,
            f"What is the decimal mark of {self._column(field, header)}?",
            f"{counted(cells.count, 'number')} can be read either way, such as {cells.text} in {self._row(cells.row)}."
            + (f" {evidence.sentence}." if evidence else ""),
            _marks(header, cells.text),
            is_about_one_cell=cells.count == 1,
        )

    def _clear_marker(self, field: Field, header: str, text: str, count: int, marker: str) -> Question:
        return Question(
            QuestionKind.CLEAR_MARKER,
            f"Does {shown(text, quoted=True)} empty the field in {self._column(field, header)}?",
            f"{counted(count, 'cell')} {'holds' if count == 1 else 'hold'} {shown(text, quoted=True)}; {marker} is "
            "what empties a field.",
            (
                Choice(f"yes, as {marker} does", Answers(clear_marker={header: text})),
                Choice("no: those cells are problems", Answers(clear_marker={header: marker})),
            ),
        )


def is_open(question: Question, columns: Columns, answers: Answers, has_rows: Callable[[Problem], bool]) -> bool:
    """Whether a question about the cells of a column still has cells; any other question is open.

    `has_rows` tells whether any row has a problem of that field and code.
    """
    kind = question.kind
    codes, name = _ASKED_BY.get(kind, (frozenset[str](), ""))
    headers = {header for choice in question.choices for header in getattr(choice.answers, name, ())}
    if not headers or headers & getattr(answers, name).keys():
        return True  # it is about what was answered, and contradicted by the file
    field_at = {columns.names[at]: field for field, at in columns.of_field.items()}
    return any(
        has_rows(Problem(0, field_at[header], code, "", "", ""))
        for header in headers & field_at.keys()
        for code in codes
    )


def readings(problem: Problem, header: str) -> tuple[Choice, ...]:
    """Return how the column of a cell can be read so that the cell is no problem any more; () if that is no question.

    `header` is what answers call the column.
    """
    if problem.code in _ORDERS:
        return tuple(_orders(header, problem.value, DateOrder))
    if problem.code in _CENTURIES:
        return _centuries(header)
    return _marks(header, problem.value) if problem.code in _MARKS else ()


def _orders(header: str, text: str, orders: Iterable[DateOrder]) -> list[Choice]:
    return [
        Choice(f"{_DATES[order]}{_example(text, order)}", Answers(date_order={header: order.value})) for order in orders
    ]


def _centuries(header: str) -> tuple[Choice, ...]:
    return tuple(Choice(words, Answers(two_digit_years={header: first})) for first, words in _HUNDREDS.items())


def _marks(header: str, text: str) -> tuple[Choice, ...]:
    choices = []
    for mark in sorted(_MARK_NAMES, key=lambda mark: _reads(text, mark) is None):
        number = _reads(text, mark)
        reading = f"{text} is {number:f}" if number is not None else f"{text} stays a problem"
        choices.append(Choice(f"{_MARK_NAMES[mark]}: {reading}", Answers(decimal={header: mark})))
    return tuple(choices)


def hidden_rows_question(hidden: HiddenRows, sheet: str | None) -> Question:
    """Return the question whether rows that the sheet does not show are sent."""
    is_one = hidden.count == 1
    where = f'the sheet "{sheet}"' if sheet else "the sheet"
    return Question(
        QuestionKind.HIDDEN_ROWS,
        f"Send the {'hidden row' if is_one else f'{hidden.count:,} hidden rows'} too?",
        f"{hidden.counted} {'is' if is_one else 'are'} hidden (filtered, or by hand) in {where}: {hidden.numbers}.",
        (
            Choice(f"no: {'it is' if is_one else 'they are'} left out", Answers(hidden_rows="leave out")),
            Choice(f"yes: {'it is' if is_one else 'they are'} sent like the others", Answers(hidden_rows="send")),
        ),
    )


def rows_below_question(rows: Mapping[int, str]) -> Question:
    """Return the question whether rows that are no records are left out; `rows`: number -> why it is none."""
    is_one = len(rows) == 1
    listed = [
        f"Row {number:,} {reason.removeprefix('The row ')}"
        if reason.startswith("The row ")
        else f"Row {number:,}: {reason}"
        for number, reason in list(rows.items())[:_ROWS_NAMED]
    ]
    more = [f"{counted(len(rows) - _ROWS_NAMED, 'more row')} like these."] if len(rows) > _ROWS_NAMED else []
    return Question(
        QuestionKind.ROWS_BELOW,
        f"Leave {f'row {next(iter(rows)):,}' if is_one else 'them'} out?",
        " ".join([*listed, *more]),
        (
            Choice(f"yes: {'it is' if is_one else 'they are'} no part of the data", Answers(rows_below="leave out")),
            Choice(f"no: {'it counts as a row' if is_one else 'they count as rows'} with a problem",
                   Answers(rows_below="judge")),
        ),
        is_conclusive=True,
    )  # fmt: skip


def settled_questions(answers: Answers, clear_marker: str) -> Iterator[Question]:
    """Yield the questions about cells and rows that some answers have settled, for a person to answer otherwise.

    One choice of each is the answer. They have no evidence: it is told where the question is open. `clear_marker` is
    the configured one.
    """

    def settled(kind: QuestionKind, text: str, choices: Iterable[tuple[str, Answers]]) -> Question:
        return Question(kind, text, "", tuple(itertools.starmap(Choice, choices)))

    for header in answers.date_order:
        orders: dict[str, Order] = {words: order.value for order, words in _DATES.items()}
        orders["dates that can be read either way are problems"] = "none"
        yield settled(
            QuestionKind.DATE_ORDER, f"How are the dates of {shown(header, quoted=True)} written?",
            ((words, Answers(date_order={header: order})) for words, order in orders.items()),
        )  # fmt: skip
    for header, year in answers.two_digit_years.items():
        hundreds = {year: f"{year} to {year + 99}"} | _HUNDREDS
        yield settled(
            QuestionKind.CENTURY, f"Which century are the years of {shown(header, quoted=True)} in?",
            ((words, Answers(two_digit_years={header: first})) for first, words in hundreds.items()),
        )  # fmt: skip
    for header in answers.decimal:
        marks: dict[str, Mark] = {words: mark for mark, words in _MARK_NAMES.items()}
        marks["numbers that can be read either way are problems"] = "none"
        yield settled(
            QuestionKind.DECIMAL, f"What is the decimal mark of {shown(header, quoted=True)}?",
            ((words, Answers(decimal={header: mark})) for words, mark in marks.items()),
        )  # fmt: skip
    for header, text in answers.clear_marker.items():
        texts = dict.fromkeys((text, clear_marker))
        yield settled(
            QuestionKind.CLEAR_MARKER, f"What empties the field in {shown(header, quoted=True)}?",
            ((f"{shown(one)} does", Answers(clear_marker={header: one})) for one in texts),
        )  # fmt: skip
    if answers.hidden_rows:
        no, yes = "no: they are left out", "yes: they are sent like the others"
        yield settled(
            QuestionKind.HIDDEN_ROWS, "Send the rows too that the sheet does not show?",
            ((no, Answers(hidden_rows="leave out")), (yes, Answers(hidden_rows="send"))),
        )  # fmt: skip
    if answers.rows_below:
        yes, no = "yes: they are no part of the data", "no: they count as rows with a problem"
        yield settled(
            QuestionKind.ROWS_BELOW, "Leave the totals and remarks below the table out?",
            ((yes, Answers(rows_below="leave out")), (no, Answers(rows_below="judge"))),
        )  # fmt: skip


def _example(text: str, order: DateOrder) -> str:
    """Return what a date of the file is with day and month in that order, as `: 10/03/2026 is 10 March 2026`."""
    try:
        day = date_from_text(day_in(text.strip("'")), DateSettings(order))
    except ValueProblem:
        return ""
    return f": {text} is {day.day} {day:%B %Y}"


def _reads(text: str, mark: Mark) -> Decimal | None:
    try:
        return decimal_from_text(without_group_mark(text, mark), mark)
    except ValueProblem:
        return None
