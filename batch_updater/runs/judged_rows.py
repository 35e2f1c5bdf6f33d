"""Rows of a draft judged again after an edit, with those of the same target and the figures that they are part of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from batch_updater.endpoint.description import EMPTY_VALUES, Endpoint
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.loader.own_sheets import unexpected
from batch_updater.loader.row_parser import EditedCells, ParsedRow, RowParser
from batch_updater.loader.survey import DatesOfOrders, with_date_orders
from batch_updater.loader.targets import OTHER_ROWS, Targets, duplicate
from batch_updater.records import AllowedList, Cell, Columns, Problem, StagedInput, Value
from batch_updater.runs import statements
from batch_updater.runs.edits import EditsOfRow, edits_of_rows, overlaid, why_withheld
from batch_updater.runs.encoding import (
    as_list,
    decode_cells,
    decode_fields,
    decode_problems,
    encode_cells,
    encode_fields,
    encode_problems,
    head_of_fields,
    names_in_head,
)
from batch_updater.runs.grid import EDITED, RowLists
from batch_updater.runs.names import NameCount
from batch_updater.runs.store import Store

_DUPLICATE = "duplicate-target"
_BATCH = 500
_KEPT = frozenset({"row-number"})
"""Codes of problems that no cell of the upload's own columns can repair."""


class DraftedRow(NamedTuple):
    """A row as the table has it."""

    number: int
    state: str
    waits_for: int | None
    place: int | None
    is_repeated: bool
    target: str | None
    cells: str
    fields: str | None
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether it is sent as it is."""
        return self.state == "ready" and self.waits_for is None

    @property
    def own_problems(self) -> tuple[Problem, ...]:
        """Its problems without that of the same target."""
        return tuple(problem for problem in self.problems if problem.code != _DUPLICATE)

    @property
    def waits(self) -> str:
        """The cause why it waits; '' if it does not."""
        return statements.WAITS if self.waits_for is not None else ""

    @property
    def values(self) -> dict[str, Value]:
        """Its values, as far as they are stored: those of good rows, and of rows with a target, always are."""
        return decode_fields(self.fields) if self.fields is not None else {}


def _drafted(record: Sequence[Any]) -> DraftedRow:
    number, state, waits_for, place, is_repeated, target, cells, fields, problems = record
    return DraftedRow(
        number, state, waits_for, place, bool(is_repeated), target, cells, fields, decode_problems(problems)
    )  # fmt: skip


def named_record(field: str, values: tuple[Value, ...], count: int) -> Mapping[str, object]:
    """Return an entry of a `NameCount` as `statements.SET_NAMED` takes it."""
    by_place = {str(at): value for at, value in enumerate(values)}
    (content,) = encode_fields([by_place], [head_of_fields(by_place)])
    return {"field": field, "content": content, "rows": count}


class EditableRow(NamedTuple):
    """A row as it is, with what is to become of it."""

    row: DraftedRow
    cells: list[Cell]
    """With its edits."""
    made: EditsOfRow
    """As they are before the change."""
    texts: Mapping[int, str]
    """What its edits come to after the change: position -> text."""

    @property
    def original(self) -> list[Cell]:
        """The cells as the file has them."""
        return self.made.original(self.cells)

    @property
    def width(self) -> int:
        """How many these are."""
        return len(self.cells) if self.made.width is None else self.made.width


def editable_rows(store: Store, numbers: Iterable[int]) -> dict[int, EditableRow]:
    """Return those of some rows that there are, in the order of their numbers."""
    listed = as_list(numbers)
    made = edits_of_rows(store, listed)
    found = {}
    for row in map(_drafted, store.execute(statements.DRAFT_ROWS, numbers=listed)):
        edits = made.get(row.number, EditsOfRow())
        found[row.number] = EditableRow(row, decode_cells(row.cells), edits, edits.texts)
    return found


class JudgedRows:
    """Judges rows again within a transaction: any number of them by `judge`, and all that follows by `sum_up`."""

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        columns: Columns,
        parser: RowParser,
        date_orders: Mapping[str, DatesOfOrders],
        *,
        in_order: bool,
        is_undo: bool,
    ) -> None:
        """`columns` are those of the staged input; `is_undo`: whether that undoes a run."""
        self.names = NameCount(endpoint, ())
        self._endpoint = endpoint
        self.lists = RowLists(store, columns)
        self._store = store
        self._columns = columns
        self._parser = parser
        self._date_orders = date_orders
        self._in_order = in_order
        self._is_undo = is_undo
        self._body = frozenset(field.name for field in endpoint.body_fields)
        self._keeps_blank = parser.width.stated is not None
        self._targets = Targets(endpoint)
        self._builder = RequestBuilder(endpoint)
        self._emptied = [field.name for field in endpoint.fields if field.may_be_empty]
        self.forget()

    def forget(self) -> None:
        """Forget what was judged since the last `sum_up`: the transaction has ended."""
        self._good = self._waiting = 0
        """How many more rows are so now than before."""
        self._heads = Counter[str]()
        """Which fields good rows send, as `head_of_fields` says it -> how many more rows."""
        self._more_emptied = Counter[str]()
        self._touched = dict[tuple[str, tuple[Value, ...]], None]()
        """Names of which the count has changed."""
        self._repeated = dict[str, None]()
        """Targets of which several rows are to be judged against each other."""

    def count_names(self, lists: Sequence[AllowedList]) -> None:
        """Count the names in good rows as the database has them; `lists` are those that the API is known to have."""
        self.names = NameCount(self._endpoint, lists)
        self.names.restore(
            (field, (*decode_fields(content).values(),), count)
            for field, content, count in self._store.execute(statements.NAMED).fetchall()
        )

    def judge(self, rows: Sequence[EditableRow]) -> None:
        """Judge rows again whose edits have changed, or that were accepted, as their own cells say; some hundreds."""
        parsed, targets = self._parsed(rows, self._store)
        withheld = why_withheld(self._store, self._columns, {one.row.number: one.texts for one in rows})
        values = [row.values for row in parsed]
        changes = [
            (one.row, self._judged(one.row, row, target, cells, fields, withheld.get(one.row.number, ())))
            for one, row, target, cells, fields in zip(
                rows,
                parsed,
                targets,
                encode_cells([row.cells for row in parsed], keeps_blank=self._keeps_blank),
                encode_fields(values, list(map(head_of_fields, values))),
                strict=True,
            )
        ]
        self._write(changes)
        self.lists.move((one.row.number, _edited_list(one.made.texts), _edited_list(one.texts)) for one in rows)
        # Of a target that is not repeated in the end, the last of its rows that is judged is found alone here.
        touched = {row.target: None for change in changes for row in change if row.target is not None}
        asked = as_list(target for target in touched if target not in self._repeated)
        found = self._store.execute(statements.REPEATED_AMONG, targets=asked)
        self._repeated.update(dict.fromkeys(target for (target,) in found))

    def found_wrong(self, rows: Sequence[EditableRow], store: Store) -> frozenset[int]:
        """Return those rows that the check finds wrong as they are, whatever the API has refused; `store`: theirs."""
        parsed, _ = self._parsed(rows, store)
        return frozenset(
            one.row.number
            for one, row in zip(rows, parsed, strict=True)
            if row.problems or any(problem.code in _KEPT | {_DUPLICATE} for problem in one.row.problems)
        )

    def _parsed(self, rows: Sequence[EditableRow], store: Store) -> tuple[list[ParsedRow], list[str | None]]:
        """Return what the cells of rows say with their edits, and their targets."""
        edited = [EditedCells(one.row.number, overlaid(one.original, one.texts), one.texts) for one in rows]
        parsed = [*self._parser.parse_edited(edited)]
        targets = self._targets.of_all([row.values for row in parsed])
        return self._as_expected(edited, parsed, targets, store) if self._is_undo else parsed, targets

    def _as_expected(
        self, edited: Sequence[EditedCells], rows: Sequence[ParsedRow], targets: Sequence[str | None], store: Store
    ) -> list[ParsedRow]:
        """Return rows with a problem where an edit would change a field of which nothing is expected."""
        known, asked = defaultdict[str, set[str]](set), as_list(target or "" for target in targets)
        for target, field in store.execute(statements.EXPECTED_FIELDS, targets=asked):
            known[target].add(field)
        return [
            replace(row, problems=(*row.problems, *unexpected(row.number, row.values, self._body, known[target or ""])))
            if one.typed
            else row
            for one, row, target in zip(edited, rows, targets, strict=True)
        ]

    def sum_up(self, staged: StagedInput) -> StagedInput:
        """Judge the rows of the same targets against each other, and return the figures, which were `staged` before."""
        self._judge_targets()
        self._store.executemany(statements.SET_NAMED, map(self._named, self._touched))
        sent, cleared = Counter[str](), self._more_emptied
        for head, count in self._heads.items():
            names, emptied = names_in_head(head)
            sent.update(dict.fromkeys(names, count))
            cleared.update(dict.fromkeys(emptied, count))
        summed = replace(
            staged,
            good=staged.good + self._good,
            waiting=staged.waiting + self._waiting,
            sent=_added(staged.sent, sent),
            cleared=_added(staged.cleared, cleared),
            causes=tuple(cause for cause in self.lists.causes() if cause.text != statements.WAITS),
        )
        self.forget()
        return summed

    def _named(self, key: tuple[str, tuple[Value, ...]]) -> Mapping[str, object]:
        return named_record(*key, self.names.count(*key))

    def _judged(
        self, old: DraftedRow, parsed: ParsedRow, target: str | None, cells: str, fields: str,
        withheld: tuple[Problem, ...],
    ) -> DraftedRow:  # fmt: skip
        """Return a row as its own cells say."""
        problems = [with_date_orders(one, self._date_orders, self._parser.row_in_words) for one in parsed.problems]
        problems += [problem for problem in old.problems if problem.code in _KEPT]
        if not problems:
            problems += withheld
        state, is_kept = "invalid" if problems else "ready", not problems or target is not None
        return DraftedRow(
            old.number, state, None, old.place, False, target, cells, fields if is_kept else None, tuple(problems)
        )  # fmt: skip

    def _judge_targets(self) -> None:
        """Judge the rows of each target that is repeated, or was, against each other, as they are staged."""
        left, changes = iter(self._repeated), list[tuple[DraftedRow, DraftedRow]]()
        while batch := list(islice(left, _BATCH)):
            records = self._store.execute(statements.OF_TARGETS, targets=as_list(batch))
            rows = map(_drafted, chain.from_iterable(iter(lambda: records.fetchmany(_BATCH), [])))  # noqa: B023
            for _, of_target in groupby(rows, key=lambda row: row.target):
                for change in self._of_target(of_target):
                    changes.append(change)
                    if len(changes) == _BATCH:
                        self._write(changes)
                        changes.clear()
        self._write(changes)

    def _of_target(self, rows: Iterable[DraftedRow]) -> Iterator[tuple[DraftedRow, DraftedRow]]:
        """Yield the rows of one target that change, each as it was and as it is now."""
        left = iter(rows)
        first_rows = list(islice(left, OTHER_ROWS + 1))
        first_numbers, is_repeated = [row.number for row in first_rows], len(first_rows) > 1
        blocked_by: int | None = None
        for old in chain(first_rows, left):
            problems, waits_for = list(old.own_problems), None
            if is_repeated and not self._in_order:
                others = [other for other in first_numbers if other != old.number][:OTHER_ROWS]
                problems.append(duplicate(old.number, self._targets, old.values, others))
            elif is_repeated and problems:
                blocked_by = old.number if blocked_by is None else blocked_by
            elif is_repeated:
                waits_for = blocked_by
            state = "invalid" if problems else "ready"
            new = old._replace(state=state, waits_for=waits_for, is_repeated=is_repeated, problems=tuple(problems))
            if new != old:
                yield old, new

    def _write(self, changes: Sequence[tuple[DraftedRow, DraftedRow]]) -> None:
        """Write rows in place of what they were, and count the difference."""
        ready = {row.number: row.values for _, row in changes if row.state == "ready"}
        texts = dict(zip(ready, zip(*self._builder.texts([*ready.values()]), strict=True), strict=True))
        records = list[Mapping[str, object]]()
        for _, row in changes:
            path, query, body = texts.get(row.number, (None, None, None))
            records.append({
                "of_row": row.number, "new_state": row.state, "new_waits_for": row.waits_for,
                "new_is_repeated": int(row.is_repeated), "new_target": row.target, "new_cells": row.cells,
                "new_fields": row.fields, "new_path": path, "new_query": query, "new_body": body,
                "new_problems": encode_problems(row.problems),
            })  # fmt: skip
        self._store.executemany(statements.UPDATE_DRAFT_ROW, records)
        self._waiting += sum((new.waits_for is not None) - (old.waits_for is not None) for old, new in changes)
        gone = [old.values for old, _ in changes if old.is_good]
        come = [ready[new.number] for _, new in changes if new.is_good]
        self._count(gone, -1)
        self._count(come, 1)
        self.names.add(come)
        for values in gone:
            self.names.remove(values)
        keys = self.lists.keys
        self.lists.move(
            (new.number, keys(old.problems, old.waits), keys(new.problems, new.waits)) for old, new in changes
        )

    def _count(self, rows: Sequence[Mapping[str, Value]], by: int) -> None:
        """Count the values of good rows."""
        self._good += by * len(rows)
        for values in rows:
            self._heads[head_of_fields(values)] += by
            self._touched.update(dict.fromkeys(self.names.keys(values)))
        for name in self._emptied:
            self._more_emptied[name] += by * sum(values.get(name) in EMPTY_VALUES for values in rows)


def _edited_list(texts: Mapping[int, str]) -> dict[int, str | None]:
    return {EDITED: None} if texts else {}


def _added(counts: Mapping[str, int], changes: Counter[str]) -> dict[str, int]:
    total = Counter(counts)
    total.update(changes)
    return dict(+total)
