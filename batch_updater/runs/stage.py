"""Stages an input: reads it once, judges every row, and puts all of it into the table `rows` of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, repeat
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.description import EMPTY_VALUES
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.loader.dates import AMBIGUOUS_DATE
from batch_updater.loader.findings import RAGGED
from batch_updater.loader.row_parser import EditedCells, ParsedRow
from batch_updater.loader.survey import DatesOfOrders, FileEvidence, with_date_orders
from batch_updater.loader.table import ParsedCells, Table
from batch_updater.loader.targets import OTHER_ROWS, Targets, duplicate
from batch_updater.questions import Question
from batch_updater.records import AllowedList, Cell, Job, Problem, StagedInput, Value
from batch_updater.reporter.summary import Tally
from batch_updater.runs import statements
from batch_updater.runs.edits import drop_lost_edits, edited_rows, overlaid, withheld_rows
from batch_updater.runs.encoding import (
    as_list,
    decode_cells,
    decode_problems,
    encode_cells,
    encode_fields,
    encode_problems,
    head_of_fields,
    names_in_head,
)
from batch_updater.runs.names import NameCount
from batch_updater.runs.rows import PLANNED
from batch_updater.runs.store import BEFORE_ALL_ROWS, Store
from batch_updater.version import __version__

_BATCH = 500


class _StoredRow(NamedTuple):
    """A row that is judged by others."""

    number: int
    state: str
    target: str
    values: Mapping[str, Value]
    problems: str | None
    """As they are stored."""
    cells: list[Cell]


class Staging:
    """Puts the rows of one table into one store."""

    def __init__(
        self,
        table: Table,
        store: Store,
        builder: RequestBuilder | None,
        commit: int | None = None,
        names: Sequence[AllowedList] = (),
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """`builder` makes the requests of good rows; None where none will be sent.

        `commit` is the last one of a run that is staged again, whose earlier rows are set aside; None for a new one.
        `names` are those that the API is known to have; `progress` gets the rows that are read so far, and may raise.
        """
        self._table = table
        self._targets = Targets(table.endpoint)
        self._store = store
        self._builder = builder
        self._commit = commit or 0
        self._is_again = commit is not None
        self._in_order = table.in_order
        self._keeps_fields = builder is not None or table.expected is not None
        """Whether the values of every row are looked at later; those of rows that clear a field always are."""
        self._keeps_blank = table.width.stated is not None
        """Whether the length of a row matters."""
        self.names = NameCount(table.endpoint, names)
        self._progress = progress
        self.date_orders: Mapping[str, DatesOfOrders] = {}
        """What the dates of the file show about the order of day and month; after `stage`."""
        self._sent: Counter[str] = Counter()
        """Which fields good rows send, as `head_of_fields` says it -> how many rows."""
        self._emptied: Counter[str] = Counter({field.name: 0 for field in table.endpoint.fields if field.may_be_empty})
        """Field of a list or JSON -> how many good rows send it empty."""

    def stage(self) -> StagedInput:
        """Read and judge every row, within a transaction. Raises InputError if the file turns out to be unreadable.

        The edits that the store holds are made again. What the whole file shows about its cells is what the file holds:
        the edits are no evidence.
        """
        table, store = self._table, self._store
        evidence = FileEvidence(table.parser)
        self._insert(table.rows(), evidence, statements.STAGE, self._progress)
        findings = table.findings(evidence.doubts, self._stored())
        if findings:
            # Only the whole file shows how its cells are meant: every row is judged by that, from the table.
            table.parser.settle(findings)
            evidence = FileEvidence(table.parser)
            self._sent.clear()
            self._emptied = Counter(dict.fromkeys(self._emptied, 0))
            self.names.clear()
            self._insert(table.parse_all(self._stored()), evidence, statements.STAGE_AGAIN)
        if left_out := table.left_out(evidence):
            table.rows_left_out = tuple(left_out)
            store.executemany(statements.LEAVE_OUT, [{"row": number} for number in table.rows_left_out])
        self._make_edits()
        if numbers := table.row_numbers:
            places = [{"row": number, "place": place} for number, place in numbers.places.items()]
            store.executemany(statements.PLACE, places)
            self._mark_misnumbered(numbers.faults)
        self._withhold()
        self._mark_repeated()
        if self._is_again:
            for statement in statements.in_order("TAKE_OVER"):
                store.execute(statement)
        self.date_orders = evidence.date_orders()
        if self.date_orders:
            self._explain_dates()
        store.executemany(
            statements.EXPECT,
            (
                {"target": target, **value._asdict()}
                for target, values in (table.expected or {}).items()
                for value in values
            ),
        )
        table.require_expected(self._jobs())
        questions = tuple(table.open_questions(evidence, findings.marks if findings else {}))
        staged = self._summed_up(evidence, questions)
        store.set_facts({"staged": msgspec.to_builtins(staged), "staged_by": __version__})
        return staged

    def _insert(
        self,
        rows: Iterable[ParsedRow],
        evidence: FileEvidence,
        statement: str,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Write rows as they come, a few hundred at once, and tell how many they are so far."""
        left, count = iter(rows), 0
        while batch := list(islice(left, _BATCH)):
            evidence.add(batch)
            self._write_rows(batch, statement)
            count += len(batch)
            if progress is not None:
                progress(count)

    def _write_rows(self, rows: Sequence[ParsedRow], statement: str) -> None:
        """Write a batch of rows, column by column. Runs for every row: kept lean."""
        good, invalid = [row for row in rows if not row.problems], [row for row in rows if row.problems]
        for columns in (self._good(good), self._invalid(invalid)):
            # Columns that hold nothing are left out: the module sqlite3 takes longer for a None than for a text.
            text = statements.with_columns(statement, columns)
            self._store.sqlite.executemany(text, zip(*columns.values(), strict=False))

    def _make_edits(self) -> None:
        """Put what people have typed into the rows that there are, and judge them again."""
        drop_lost_edits(self._store)
        edited = edited_rows(self._store)
        while batch := dict(islice(edited, _BATCH)):
            rows = list[EditedCells]()
            for row in self._stored_rows(statements.LISTED, numbers=as_list(batch)):
                texts = batch[row.number]
                if row.state == "ready":
                    self._uncount(row.values)
                rows.append(EditedCells(row.number, overlaid(row.cells, texts), texts))
            parsed = list[ParsedRow]()
            for one in self._table.parser.parse_edited(rows):
                wrong = self._table.unexpected(one, self._targets.of(one.values))
                parsed.append(replace(one, problems=(*one.problems, *wrong)) if wrong else one)
            self._write_rows(parsed, statements.STAGE_AGAIN)

    def _withhold(self) -> None:
        """Make rows invalid that needed someone in the run that is repaired, and still do."""
        withheld = withheld_rows(self._store, self._table.columns)
        while batch := dict(islice(withheld, _BATCH)):
            changes: list[dict[str, object]] = []
            for row in self._stored_rows(statements.LISTED, numbers=as_list(batch)):
                if row.state == "ready":
                    self._uncount(row.values)
                    changes.append({"row": row.number, "found": encode_problems(batch[row.number])})
            self._store.executemany(statements.MAKE_INVALID, changes)

    def _good(self, rows: Sequence[ParsedRow]) -> Mapping[str, Iterable[object]]:
        """Return the columns of rows without problems."""
        values = [row.values for row in rows]
        heads = list(map(head_of_fields, values))
        self._sent.update(heads)
        emptying = self._count_emptied(values, 1)
        self.names.add(values)
        columns = self._columns("ready", rows)
        if self._keeps_fields:
            columns["fields"] = encode_fields(values, heads)
        elif (clearing := {head for head in set(heads) if names_in_head(head)[1]}) or emptying:
            texts = zip(encode_fields(values, heads), heads, strict=True)
            columns["fields"] = [
                text if head in clearing or at in emptying else None for at, (text, head) in enumerate(texts)
            ]
        if self._builder is not None:
            columns["path"], columns["query"], columns["body"] = self._builder.texts(values)
        return columns

    def _count_emptied(self, rows: Sequence[Mapping[str, Value]], by: int) -> set[int]:
        """Count the lists and JSON that good rows send empty; return the positions of such rows."""
        found = set[int]()
        for name in self._emptied:
            at = [at for at, values in enumerate(rows) if values.get(name) in EMPTY_VALUES]
            self._emptied[name] += by * len(at)
            found.update(at)
        return found

    def _uncount(self, values: Mapping[str, Value]) -> None:
        """Take a row out of the figures that turns out not to be sent."""
        self._sent[head_of_fields(values)] -= 1
        self._count_emptied([values], -1)
        self.names.remove(values)

    def _invalid(self, rows: Sequence[ParsedRow]) -> Mapping[str, Iterable[object]]:
        """Return the columns of rows with problems."""
        columns = self._columns("invalid", rows)
        if self._keeps_fields:
            values = [row.values for row in rows]
            texts = zip(encode_fields(values, list(map(head_of_fields, values))), columns["target"], strict=True)
            columns["fields"] = [text if target is not None else None for text, target in texts]
        columns["problems"] = [encode_problems(row.problems) for row in rows]
        return columns

    def _columns(self, state: str, rows: Sequence[ParsedRow]) -> dict[str, Iterable[object]]:
        return {
            "number": [row.number for row in rows],
            "commit_number": repeat(self._commit),
            "state": repeat(state),
            "target": self._targets.of_all([row.values for row in rows]),
            "cells": encode_cells([row.cells for row in rows], keeps_blank=self._keeps_blank),
        }

    def _stored(self) -> Iterator[ParsedCells]:
        after, ragged, execute = BEFORE_ALL_ROWS, f'%"{RAGGED}"%', self._store.execute
        while batch := execute(statements.CELLS, after=after, most=_BATCH, ragged=ragged).fetchall():
            for number, cells, is_ragged in batch:
                yield ParsedCells(number, decode_cells(cells), bool(is_ragged))
            after = batch[-1][0]

    def _jobs(self) -> Iterator[Job]:
        return (row.job for row in self._store.rows(PLANNED) if row.is_good)

    def _mark_repeated(self) -> None:
        """Deal with rows of the same target: all are invalid, or those behind an invalid one wait for it."""
        changes: dict[str, list[dict[str, object]]] = {
            statements.MARK_REPEATED: [], statements.WAIT: [], statements.MAKE_INVALID: [],
        }  # fmt: skip
        for _, group in groupby(self._stored_rows(statements.REPEATED), key=lambda row: row.target):
            first_rows = list(islice(group, OTHER_ROWS + 1))
            numbers = [row.number for row in first_rows]
            blocked_by: int | None = None
            for number, state, _, values, problems, _ in (*first_rows, *group):
                changes[statements.MARK_REPEATED].append({"row": number})
                if not self._in_order:
                    others = [other for other in numbers if other != number][:OTHER_ROWS]
                    found = (*decode_problems(problems), duplicate(number, self._targets, values, others))
                    changes[statements.MAKE_INVALID].append({"row": number, "found": encode_problems(found)})
                    if state == "ready":
                        self._uncount(values)
                elif state == "invalid":
                    blocked_by = number if blocked_by is None else blocked_by
                elif blocked_by is not None:
                    changes[statements.WAIT].append({"row": number, "earlier": blocked_by})
                    self._uncount(values)
                if len(changes[statements.MARK_REPEATED]) >= _BATCH:
                    self._write(changes)
        self._write(changes)

    def _mark_misnumbered(self, faults: Mapping[int, Problem]) -> None:
        """Make rows invalid whose number is that of another one."""
        invalid = []
        for number, state, _, values, problems, _ in self._stored_rows(statements.LISTED, numbers=as_list(faults)):
            found = (*decode_problems(problems), faults[number])
            invalid.append({"row": number, "found": encode_problems(found)})
            if state == "ready":
                self._uncount(values)
        self._store.executemany(statements.MAKE_INVALID, invalid)

    def _stored_rows(self, statement: str, **given: object) -> Iterator[_StoredRow]:
        records = self._store.execute(statement, **given)
        while batch := records.fetchmany(_BATCH):
            cells = [ParsedCells(number, decode_cells(stored), is_ragged=False) for number, _, _, stored, _ in batch]
            parsed = self._table.parse_all(cells)
            for (number, state, target, _, problems), one, row in zip(batch, cells, parsed, strict=True):
                yield _StoredRow(number, state, target, row.values, problems, one.cells)

    def _write(self, changes: Mapping[str, list[dict[str, object]]]) -> None:
        for statement, records in changes.items():
            self._store.executemany(statement, records)
            records.clear()

    def _explain_dates(self) -> None:
        """Tell people of an ambiguous date what other rows of its column show."""
        pattern, in_words = f'%"{AMBIGUOUS_DATE}"%', self._table.parser.row_in_words
        for number, problems in self._store.execute(statements.AMBIGUOUS, pattern=pattern).fetchall():
            told = [with_date_orders(problem, self.date_orders, in_words) for problem in decode_problems(problems)]
            found = encode_problems(told)
            self._store.executemany(statements.SET_PROBLEMS, [{"row": number, "found": found}])

    def _summed_up(self, evidence: FileEvidence, questions: tuple[Question, ...]) -> StagedInput:
        table, store = self._table, self._store
        table.cell_notes = tuple(evidence.notes.sentences(table.columns))
        rows, good, waiting = store.execute(statements.STAGED_COUNTS).fetchone()
        tally = Tally(table.columns)
        for row in store.rows(PLANNED, statements.INVALID_ROWS):
            tally.add(row.outcome)
        sent, cleared = Counter[str](), Counter[str]()
        for head, count in self._sent.items():
            names, emptied = names_in_head(head)
            sent.update(dict.fromkeys(names, count))
            cleared.update(dict.fromkeys(emptied, count))
        cleared += self._emptied
        return StagedInput(
            columns=table.columns,
            stated_width=table.width.stated,
            sheet=table.sheet,
            visible_only=table.visible_only,
            hidden_rows=table.hidden_rows,
            is_to_fix=table.is_to_fix,
            is_undo=table.expected is not None,
            notes=(*table.notes, *self.names.notes(table.columns)),
            rows=rows,
            good=good,
            waiting=waiting,
            causes=tally.summary().causes,
            sent=+sent,
            cleared=+cleared,
            layout=table.layout.name if table.layout else None,
            questions=questions,
        )
