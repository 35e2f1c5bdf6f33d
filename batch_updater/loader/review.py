"""The first pass over all rows: counts, causes and what only the whole file shows, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batch_updater.loader.below import Below
from batch_updater.loader.dates import AMBIGUOUS_DATE, order_shown_by
from batch_updater.loader.duplicates import TargetIndex, Targets
from batch_updater.loader.notes import NoteCollector
from batch_updater.loader.numbers import OTHER_MARK, may_be_grouped
from batch_updater.loader.refusal import shown
from batch_updater.loader.survey import Questions, amounts
from batch_updater.loader.texts import POINT_ZERO
from batch_updater.records import Cause, Columns, Job, Problem, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batch_updater.config.schema import DateOrder
    from batch_updater.loader.row_parser import Reading, RowReader
    from batch_updater.records import Value

_FAULTY = 0
"""The shape of a row that has problems."""
_OTHERS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text date that can be read in one order only: the others of its column are probably written alike."""

    order: DateOrder
    row: int
    text: str


class RowNumbers:
    """A set of row numbers; a bit for each row of the sheet."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def add(self, row: int) -> None:
        """Add a row."""
        place, bit = row >> 3, row & 7
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        if not self._bits[place] >> bit & 1:
            self._bits[place] |= 1 << bit
            self._count += 1

    def __contains__(self, row: object) -> bool:
        if not isinstance(row, int):
            return False
        place, bit = divmod(row, 8)
        return place < len(self._bits) and bool(self._bits[place] >> bit & 1)

    def __len__(self) -> int:
        return self._count


@dataclass(frozen=True, slots=True)
class Review:
    """What the first pass over a file found."""

    rows: int
    """Data rows; blank ones are not counted."""
    good: int
    """Rows that can be sent as they are."""
    waiting: int
    """Rows without problems that wait for an earlier row of their target, which has some."""
    duplicates: int
    """Rows whose target occurs more than once."""
    causes: tuple[Cause, ...]
    """What is wrong, the commonest first, each with the number of its rows and its first one."""
    sent: Mapping[str, int]
    """Field -> in how many good rows it is sent, cleared ones included."""
    cleared: Mapping[str, int]
    """Field -> in how many good rows it is cleared."""
    first_job: Job | None
    """The first job that can be sent; None if there is none."""
    evidence: Mapping[str, Sequence[Evidence]]
    """Date field -> what its column shows about the order of day and month."""
    targets: TargetIndex
    """The targets that occur more than once."""
    numbers: RowNumbers
    """All data rows."""
    in_doubt: RowNumbers
    """The rows that have problems or a target that occurs more than once; all others are jobs as they are."""


class Reviewer:
    """Takes every row's reading once, then gives the review."""

    def __init__(self, targets: Targets, columns: Columns, reader: RowReader, *, in_order: bool) -> None:
        self._targets = targets
        self._columns = columns
        self._date_columns = reader.date_columns.items()
        self._decimal_mark = reader.decimal_mark
        self._number_columns = list(reader.number_columns.values())
        """Positions; emptied once a number is found that may be a thousand."""
        self.questions = Questions()
        """What only the whole file can answer."""
        self._last_row = 0
        self._in_order = in_order
        self._index = TargetIndex()
        # Which fields a good row sends, and which of them it clears; kept instead of the row, since later rows may turn
        # out to be its duplicates.
        self._shapes: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._shape_counts: Counter[int] = Counter()
        self._cause_counts: Counter[str] = Counter()
        self._examples: dict[str, Problem] = {}
        self._evidence: dict[str, dict[DateOrder, Evidence]] = {}
        self._first_job: Job | None = None
        self._numbers = RowNumbers()
        self._in_doubt = RowNumbers()
        self.notes = NoteCollector()
        """What people should know of cells that are sent as they are."""

    def review(self, readings: Iterable[Reading]) -> Review:
        """Go over all readings."""
        rows = 0
        for reading in readings:
            rows += 1
            self._add(reading)
        self._index.keep_doubled()
        duplicates, waiting = self._take_back_duplicates()
        evidence = {name: tuple(found.values()) for name, found in self._evidence.items()}
        shapes = {number: shape for shape, number in self._shapes.items()}
        sent, cleared = Counter[str](), Counter[str]()
        for number, count in self._shape_counts.items():
            sent.update(dict.fromkeys(shapes[number][0], count))
            cleared.update(dict.fromkeys(shapes[number][1], count))
        good = self._shape_counts.total()
        causes = self._causes(evidence)
        return Review(
            rows,
            good,
            waiting,
            duplicates,
            causes,
            sent,
            cleared,
            self._first_job,
            evidence,
            self._index,
            self._numbers,
            self._in_doubt,
        )

    def _add(self, reading: Reading) -> None:
        row, values = reading.row, reading.values
        self._numbers.add(row.number)
        if reading.notes:
            self.notes.add(row.number, reading.notes)
        target = self._targets.of(values)
        shape = _FAULTY
        if reading.problems:
            self._in_doubt.add(row.number)
            self._count_problems(reading.problems)
        else:
            shape = self._shape_of(values)
            self._shape_counts[shape] += 1
            if self._first_job is None and target is not None:
                self._first_job = Job(row.number, target, values)
        if target is not None:
            self._index.add(target, row.number, shape)
        self._look_at_cells(row)
        if reading.problems:
            self._note_end(row, reading.below)
        elif self.questions.below_from is not None:
            self._note_record()
        self._last_row = row.number

    def _look_at_cells(self, row: Row) -> None:
        """Note what the cells show of the whole file: the order of dates, and that numbers may be thousands."""
        for name, position in self._date_columns:
            cell = row.cells[position]
            if isinstance(cell, str) and (order := order_shown_by(cell)):
                found = self._evidence.setdefault(name, {})
                found.setdefault(order, Evidence(order, row.number, shown(cell.strip())))
        mark = self._decimal_mark
        for position in self._number_columns:
            cell = row.cells[position]
            # Three digits behind the mark are the last, or something else than a digit is.
            if (
                isinstance(cell, str)
                and (cell[-4:-3] == mark or not cell[-1:].isdigit())
                and may_be_grouped(cell, mark)
            ):
                self.questions.thousands = True
                self._number_columns.clear()
                break

    def _note_end(self, row: Row, below: Below | None) -> None:
        """Keep track of the rows at the end of those seen so far that are no records."""
        questions, has_gap = self.questions, row.number > self._last_row + 1
        if below is None:
            self._note_record()
            return
        if questions.below_from is None and (below is not Below.PERHAPS_REMARK or has_gap):
            questions.below_from = row.number
        if below is Below.PERHAPS_TOTALS:
            questions.unsure_totals.update(position for position, _ in amounts(row.cells, range(len(row.cells))))

    def _note_record(self) -> None:
        self.questions.below_from = None
        self.questions.unsure_totals.clear()

    def _count_problems(self, problems: Iterable[Problem]) -> None:
        for cause, problem in {problem.cause: problem for problem in problems}.items():
            self._cause_counts[cause] += 1
            self._examples.setdefault(cause, problem)
            self.questions.other_mark |= problem.code == OTHER_MARK
            if problem.code == POINT_ZERO and problem.field:
                self.questions.point_zero.add(problem.field)

    def _shape_of(self, values: Mapping[str, Value]) -> int:
        cleared = tuple(name for name, value in values.items() if value is None) if None in values.values() else ()
        return self._shapes.setdefault((tuple(values), cleared), len(self._shapes) + 1)

    def _take_back_duplicates(self) -> tuple[int, int]:
        """Uncount the rows that cannot be sent because of another; return how many are doubled and how many wait."""
        doubled, waiting = 0, 0
        for group in self._index.groups():
            doubled += len(group)
            if not self._in_order:
                self._count_duplicates([sighting.row for sighting in group])
            blocked = not self._in_order
            for sighting in group:
                self._in_doubt.add(sighting.row)
                if sighting.shape == _FAULTY:
                    blocked = True
                elif blocked:
                    self._take_back(sighting.row, sighting.shape)
                    waiting += self._in_order
        return doubled, waiting

    def _take_back(self, row: int, shape: int) -> None:
        self._shape_counts[shape] -= 1
        if self._first_job is not None and self._first_job.row == row:
            self._first_job = None

    def _count_duplicates(self, rows: Sequence[int]) -> None:
        problem = duplicate(rows[0], self._targets, {}, rows[1:])
        self._cause_counts[problem.cause] += len(rows)
        known = self._examples.get(problem.cause)
        if known is None or problem.row < known.row:
            self._examples[problem.cause] = problem

    def _causes(self, evidence: Mapping[str, Sequence[Evidence]]) -> tuple[Cause, ...]:
        causes = []
        for text, count in self._cause_counts.items():
            example = with_evidence(self._examples[text], evidence)
            sentence = example.in_full
            cell = self._columns.address_of(example)
            causes.append(Cause(text, count, example.row, cell, sentence))
        return tuple(sorted(causes, key=lambda cause: (-cause.count, cause.example_row)))


def duplicate(row: int, targets: Targets, values: Mapping[str, Value], others: Sequence[int]) -> Problem:
    """Return the problem of a row whose target other rows have too; `others` are all of them, or the first few."""
    named = [f"{other:,}" for other in others[:_OTHERS_NAMED]]
    more = len(others) > _OTHERS_NAMED
    if more:
        listed = f"rows {', '.join(named)} and more"
    elif len(named) > 1:
        listed = f"rows {', '.join(named[:-1])} and {named[-1]}"
    else:
        listed = f"row {named[0]}"
    field = targets.first_field
    return Problem(
        row,
        field.name if field else None,
        "duplicate-target",
        shown(values.get(field.name)) if field else "",
        f"The row updates the same {targets.record_name} as {listed}.",
        "Keep one of them, or set input.duplicates to in_order to send them one after the other.",
    )


OTHERS_ASKED = _OTHERS_NAMED + 1
"""How many other rows of a target `duplicate` needs to know."""


def with_evidence(problem: Problem, evidence: Mapping[str, Sequence[Evidence]]) -> Problem:
    """Return the problem of an ambiguous date with what other rows of its column show; it never decides."""
    found = evidence.get(problem.field or "", ())
    if problem.code != AMBIGUOUS_DATE or not found:
        return problem
    if len(found) > 1:
        seen = " and ".join(f"row {one.row:,} has {one.text}" for one in found)
        return replace(problem, remedy=f"Type it like 2025-12-31: the column mixes both orders, {seen}.")
    one = found[0]
    return replace(
        problem,
        remedy=f"Row {one.row:,} of this column has {one.text}: if all dates are written so, set input.date_order to "
        f"{one.order.value}; else type it like 2025-12-31.",
    )
