"""Rows of a draft judged again after an edit, with those of the same target and the figures that they are part of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from batch_updater.endpoint.description import EMPTY_VALUES, Endpoint
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.loader.own_sheets import unexpected
from batch_updater.loader.row_parser import RowParser
from batch_updater.loader.survey import DatesOfOrders, with_date_orders
from batch_updater.loader.targets import OTHER_ROWS, Targets, duplicate
from batch_updater.records import AllowedList, Cell, Columns, Problem, StagedInput, Value
from batch_updater.runs import statements
from batch_updater.runs.edits import edits_of_row, original_cells, overlaid, texts_of, why_withheld
from batch_updater.runs.encoding import (
    decode_cells,
    decode_fields,
    decode_problems,
    encode_cells,
    encode_fields,
    encode_problems,
    head_of_fields,
    names_in_head,
)
from batch_updater.runs.grid import RowLists
from batch_updater.runs.names import NameCount
from batch_updater.runs.store import Store

_DUPLICATE = "duplicate-target"
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


def _drafted(record: Sequence[object]) -> DraftedRow:
    row = DraftedRow(*record)  # type: ignore[arg-type]
    return row._replace(is_repeated=bool(row.is_repeated), problems=decode_problems(record[8]))  # type: ignore[arg-type]


def named_record(field: str, values: tuple[Value, ...], count: int) -> Mapping[str, object]:
    """Return an entry of a `NameCount` as `statements.SET_NAMED` takes it."""
    by_place = {str(at): value for at, value in enumerate(values)}
    (content,) = encode_fields([by_place], [head_of_fields(by_place)])
    return {"field": field, "content": content, "rows": count}


def drafted_row(store: Store, number: int) -> DraftedRow | None:
    """Return a row; None if there is none of that number."""
    record = store.execute(statements.DRAFT_ROW, of_row=number).fetchone()
    return None if record is None else _drafted(record)


class JudgedRows:
    """Judges rows again within a transaction."""

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        columns: Columns,
        parser: RowParser,
        date_orders: Mapping[str, DatesOfOrders],
        *,
        in_order: bool,
        keeps_blank: bool,
    ) -> None:
        """`columns` are those of the staged input; `keeps_blank`: whether the length of a row matters."""
        self.names = NameCount(endpoint, ())
        self._endpoint = endpoint
        self.lists = RowLists(store, columns)
        self._store = store
        self._columns = columns
        self._parser = parser
        self._date_orders = date_orders
        self._in_order = in_order
        self._is_undo = False
        self._body = frozenset(field.name for field in endpoint.body_fields)
        self._keeps_blank = keeps_blank
        self._targets = Targets(endpoint)
        self._builder = RequestBuilder(endpoint)
        self._emptied = [field.name for field in endpoint.fields if field.may_be_empty]
        self._good = self._waiting = 0
        """How many more rows are so now than before."""
        self._sent, self._cleared = Counter[str](), Counter[str]()
        self._touched = dict[tuple[str, tuple[Value, ...]], None]()
        """Names of which the count has changed."""

    def count_names(self, lists: Sequence[AllowedList]) -> None:
        """Count the names in good rows as the database has them; `lists` are those that the API is known to have."""
        self.names = NameCount(self._endpoint, lists)
        self.names.restore(
            (field, (*decode_fields(content).values(),), count)
            for field, content, count in self._store.execute(statements.NAMED).fetchall()
        )

    def originals(self, numbers: Iterable[int]) -> dict[int, list[Cell]]:
        """Return the cells of some rows as the file has them: to be known before their edits change."""
        found = {}
        for number in numbers:
            if (row := drafted_row(self._store, number)) is not None:
                found[number] = original_cells(self._store, number, decode_cells(row.cells))
        return found

    def judge(self, staged: StagedInput, originals: Mapping[int, Sequence[Cell]]) -> StagedInput:
        """Judge rows again whose edits have changed, or that were accepted; return the figures after it."""
        self._good, self._waiting, self._is_undo = 0, 0, staged.is_undo
        self._sent, self._cleared = Counter(), Counter()
        self._touched.clear()
        targets = dict[str, None]()
        for number, cells in originals.items():
            old = drafted_row(self._store, number)
            if old is None:
                continue
            new = self._judged(old, cells)
            for target in (old.target, new.target):
                if target is not None:
                    targets[target] = None
            self._write(old, new)
        for target in targets:
            self._judge_target(target)
        self._store.executemany(statements.SET_NAMED, map(self._named, self._touched))
        every = self.lists.causes()
        return replace(
            staged,
            good=staged.good + self._good,
            waiting=staged.waiting + self._waiting,
            sent=_added(staged.sent, self._sent),
            cleared=_added(staged.cleared, self._cleared),
            causes=tuple(cause for cause in every if cause.text != statements.WAITS),
        )

    def _named(self, key: tuple[str, tuple[Value, ...]]) -> Mapping[str, object]:
        return named_record(*key, self.names.count(*key))

    def _judged(self, old: DraftedRow, original: Sequence[Cell]) -> DraftedRow:
        """Return a row as its own cells say."""
        number = old.number
        texts = texts_of(edits_of_row(self._store, number))
        cells = overlaid(original, texts)
        parsed = self._parser.parse_edited(number, cells, texts) if texts else self._parser.parse(number, cells)
        problems = [with_date_orders(one, self._date_orders, self._parser.row_in_words) for one in parsed.problems]
        target = self._targets.of(parsed.values)
        if self._is_undo and texts:
            known = [field for (field,) in self._store.execute(statements.EXPECTED_FIELDS, of_target=target or "")]
            problems += unexpected(number, parsed.values, self._body, known)
        problems += [problem for problem in old.problems if problem.code in _KEPT]
        if not problems:
            problems += why_withheld(self._store, self._columns, number, texts)
        (stored,) = encode_cells([parsed.cells], keeps_blank=self._keeps_blank)
        is_stored = not problems or target is not None
        fields = encode_fields([parsed.values], [head_of_fields(parsed.values)])[0] if is_stored else None
        return old._replace(
            state="invalid" if problems else "ready", waits_for=None, is_repeated=False, target=target, cells=stored,
            fields=fields, problems=tuple(problems),
        )  # fmt: skip

    def _judge_target(self, target: str) -> None:
        """Judge the rows of one target against each other, as they are staged."""
        rows = [_drafted(record) for record in self._store.execute(statements.OF_TARGET, of_target=target)]
        first_numbers = [row.number for row in islice(rows, OTHER_ROWS + 1)]
        blocked_by: int | None = None
        for old in rows:
            problems, waits_for, is_repeated = list(old.own_problems), None, len(rows) > 1
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
                self._write(old, new)

    def _write(self, old: DraftedRow, new: DraftedRow) -> None:
        """Write a row in place of what it was, and count the difference."""
        path = query = body = None
        if new.state == "ready":
            (path,), (query,), (body,) = self._builder.texts([new.values])
        self._store.execute(
            statements.UPDATE_DRAFT_ROW, of_row=new.number, new_state=new.state, new_waits_for=new.waits_for,
            new_is_repeated=int(new.is_repeated), new_target=new.target, new_cells=new.cells, new_fields=new.fields,
            new_path=path, new_query=query, new_body=body, new_problems=encode_problems(new.problems),
        )  # fmt: skip
        self._count(old, -1)
        self._count(new, 1)
        self.lists.move(
            new.number, self.lists.keys(old.problems, old.waits), self.lists.keys(new.problems, new.waits)
        )  # fmt: skip

    def _count(self, row: DraftedRow, by: int) -> None:
        self._waiting += by if row.waits_for is not None else 0
        if not row.is_good:
            return
        self._good += by
        values = row.values
        self._touched.update(dict.fromkeys(self.names.keys(values)))
        if by > 0:
            self.names.add([values])
        else:
            self.names.remove(values)
        names, cleared = names_in_head(head_of_fields(values))
        self._sent.update(dict.fromkeys(names, by))
        self._cleared.update(dict.fromkeys(cleared, by))
        self._cleared.update({name: by for name in self._emptied if values.get(name) in EMPTY_VALUES})


def _added(counts: Mapping[str, int], changes: Counter[str]) -> dict[str, int]:
    total = Counter(counts)
    total.update(changes)
    return dict(+total)
