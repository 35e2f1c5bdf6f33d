"""The edits that people have made to the cells of an upload, as the database of a draft or a run holds them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, NamedTuple

import msgspec

from batch_updater.records import Cell, Columns, MadeEdit, Problem
from batch_updater.runs import statements, upload_statements
from batch_updater.runs.encoding import UndecodableError, as_list, decode_cells, decode_problems, encode_cells
from batch_updater.runs.store import BEFORE_ALL_ROWS, DamagedStoreError, Store, converted

_TABLE = "its table edits"
_BATCH = 500
_NO_EDITS: tuple[int, tuple[MadeEdit, ...]] = (BEFORE_ALL_ROWS, ())
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Time = Annotated[float, msgspec.Meta(ge=0, le=32_503_680_000)]


class _EditRecord(NamedTuple):
    number: _Count
    row: _Count
    position: Annotated[int, msgspec.Meta(ge=0, le=2**20)]
    old: str
    new: str
    author: str
    at: _Time
    undone_at: _Time | None
    batch: _Count
    width: _Count


def _made(record: object) -> tuple[MadeEdit, int]:
    """Return an edit, and how many cells its row has in the file. Raises DamagedStoreError."""
    one = converted(record, _EditRecord, _TABLE)
    try:
        (old,) = decode_cells(one.old) or (None,)
    except (UndecodableError, ValueError) as error:
        raise DamagedStoreError(f"{_TABLE} holds what is never written there ({error})") from error
    at = datetime.fromtimestamp(one.at, UTC)
    is_undone = one.undone_at is not None
    made = MadeEdit(one.number, one.row, one.position, old, one.new, one.author, at, is_undone, one.batch)
    return made, one.width


def _each(records: Iterable[object]) -> Iterator[MadeEdit]:
    return (_made(record)[0] for record in records)


def kept_edits_by_row(store: Store) -> Iterator[tuple[int, tuple[MadeEdit, ...]]]:
    """Yield the rows with edits that are not undone, in their order, each with them. Raises DamagedStoreError.

    Some hundreds are read at once: the write-ahead log of a run grows for as long as someone reads.
    """
    return ((row, tuple(of_row)) for row, of_row in groupby(_by_row(store), key=lambda edit: edit.row))


def _by_row(store: Store) -> Iterator[MadeEdit]:
    row, number = BEFORE_ALL_ROWS, 0
    while records := store.execute(
        statements.KEPT_EDITS_BY_ROW, after_row=row, after_number=number, most=_BATCH
    ).fetchall():
        for edit in _each(records):
            yield edit
            row, number = edit.row, edit.number


class EditsOfRows:
    """Gives the edits of rows that are asked for by ascending numbers."""

    def __init__(self, store: Store) -> None:
        self._left = kept_edits_by_row(store)
        self._row, self._edits = next(self._left, _NO_EDITS)

    @property
    def is_empty(self) -> bool:
        """Whether there are none any more."""
        return not self._edits

    def of(self, number: int) -> tuple[MadeEdit, ...]:
        """Return the edits of a row that are not undone, by time."""
        while self._row < number and self._edits:
            self._row, self._edits = next(self._left, _NO_EDITS)
        return self._edits if self._row == number else ()


def edits_after(store: Store, after: int, most: int) -> tuple[MadeEdit, ...]:
    """Return some edits by number, the undone ones included. Raises DamagedStoreError."""
    return tuple(_each(store.execute(statements.EDITS, after=after, most=most)))


def edits_of_row(store: Store, row: int) -> tuple[MadeEdit, ...]:
    """Return the edits of a row that are not undone, by number. Raises DamagedStoreError."""
    return tuple(_each(store.execute(statements.EDITS_OF_ROWS, numbers=as_list([row]))))


class EditsOfRow(NamedTuple):
    """What people have made of one row."""

    edits: tuple[MadeEdit, ...] = ()
    """Those that are not undone, by number."""
    width: int | None = None
    """How many cells the row has in the file; None if there is no edit."""

    @property
    def texts(self) -> dict[int, str]:
        """What they come to: position -> text."""
        return texts_of(self.edits)

    def original(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells of the row as the file has them, from those with the edits."""
        made = list(cells)
        for edit in reversed(self.edits):
            if edit.position < len(made):
                made[edit.position] = edit.old
        return made[: self.width]


def edits_of_rows(store: Store, rows: str) -> dict[int, EditsOfRow]:
    """Return the edits of those rows of an `as_list` that have any. Raises DamagedStoreError."""
    made = map(_made, store.execute(statements.EDITS_OF_ROWS, numbers=rows))
    by_row = {row: [*of_row] for row, of_row in groupby(made, key=lambda one: one[0].row)}
    return {row: EditsOfRow(tuple(edit for edit, _ in found), found[0][1]) for row, found in by_row.items()}


def edit_of_number(store: Store, number: int) -> MadeEdit | None:
    """Return an edit; None if there is none of that number. Raises DamagedStoreError."""
    found = store.execute(statements.EDIT, number=number).fetchone()
    return None if found is None else _made(found)[0]


def edits_of_batch(store: Store, batch: int, most: int) -> tuple[MadeEdit, ...]:
    """Return some edits that were made together and are not undone, by number. Raises DamagedStoreError."""
    return tuple(_each(store.execute(statements.EDITS_OF_BATCH, of_batch=batch, most=most).fetchall()))


def length_of_batch(store: Store, batch: int) -> int:
    """Return how many edits that were made together are not undone; it goes over them."""
    (count,) = store.execute(statements.BATCH_LENGTH, of_batch=batch).fetchone()
    return int(count)


def next_edit(store: Store) -> int:
    """Return the number that the next edit gets."""
    (number,) = store.execute(statements.NEXT_EDIT).fetchone()
    return int(number)


def texts_of(edits: Iterable[MadeEdit]) -> dict[int, str]:
    """Return what some edits of one row, by number, come to: position -> text."""
    return {edit.position: edit.new for edit in edits}


def edited_rows(store: Store) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield the rows with edits that are not undone, each with what they come to: position -> text."""
    return ((row, texts_of(edits)) for row, edits in kept_edits_by_row(store))


def overlaid(cells: Sequence[Cell], texts: Mapping[int, str]) -> list[Cell]:
    """Return the cells of a row in which something was typed; it then reaches to the last of these at least."""
    made = [*cells, *[None] * (max(texts, default=-1) + 1 - len(cells))]
    for position, text in texts.items():
        made[position] = text or None
    return made


def add_edits(
    store: Store, edits: Iterable[tuple[int, int, int, Cell, str]], batch: int, by: str, at: datetime
) -> None:
    """Write edits: row, position, how many cells the row has in the file, the cell before, and the text."""
    store.executemany(
        statements.ADD_EDIT,
        (
            {"batch": batch, "row": row, "position": position, "width": width, "old": encode_cells([[old]],
             keeps_blank=True)[0], "new": new, "author": by, "at": at.timestamp()}
            for row, position, width, old, new in edits
        ),
    )  # fmt: skip


def drop_lost_edits(store: Store) -> None:
    """Count edits as undone whose rows are not read any more, as rows that are left out now."""
    store.execute(statements.DROP_LOST_EDITS, when=datetime.now(UTC).timestamp())


def withheld_rows(store: Store, columns: Columns) -> Iterator[tuple[int, tuple[Problem, ...]]]:
    """Yield the rows that needed someone in the run that is repaired, and still do, with what is wrong with them.

    What the API refused is sent again once any cell of the row is changed, and what our own check did once the cell in
    question is: the other rows of that run, which may have shown it, are not here. Or a person accepts the row.
    """
    edits = EditsOfRows(store)
    for row, problems, by_cell in store.execute(statements.OPEN_REFUSALS).fetchall():
        if left := _still_wrong(problems, by_cell, columns, texts_of(edits.of(row))):
            yield row, left


def why_withheld(
    store: Store, columns: Columns, texts: Mapping[int, Mapping[int, str]]
) -> dict[int, tuple[Problem, ...]]:
    """Return what is still wrong with those rows that needed someone in the run that is repaired.

    `texts`: row -> what its edits come to.
    """
    found = store.execute(statements.REFUSALS_OF, numbers=as_list(texts))
    return {row: _still_wrong(problems, by_cell, columns, texts[row]) for row, problems, by_cell in found}


def _still_wrong(problems: str, by_cell: int, columns: Columns, texts: Mapping[int, str]) -> tuple[Problem, ...]:
    found = decode_problems(problems)
    if not texts:
        return found
    places = [(problem, columns.of_field.get(problem.field or "")) for problem in found] if by_cell else []
    return tuple(problem for problem, position in places if position is not None and position not in texts)


class KeptEdits(NamedTuple):
    """The edits of a draft, and the rows that needed someone in the run that is repaired, as its tables have them."""

    edits: tuple[Mapping[str, object], ...] = ()
    """Records of `edits`, by number."""
    refusals: tuple[Mapping[str, object], ...] = ()
    """Records of `refusals`, by row."""

    def rows_that_differ(self, other: KeptEdits) -> set[int]:
        """Return the numbers of rows of which these and others are not the same."""
        ours, theirs = self._by_row(), other._by_row()
        return {row for row in ours.keys() | theirs.keys() if ours.get(row) != theirs.get(row)}

    def _by_row(self) -> dict[int, list[tuple[object, ...]]]:
        found: dict[int, list[tuple[object, ...]]] = {}
        for record in (*self.edits, *self.refusals):
            found.setdefault(int(str(record["row"])), []).append(tuple(value for _, value in sorted(record.items())))
        return found

    def write(self, store: Store) -> None:
        """Write them into a draft that has none."""
        store.executemany(statements.COPY_EDIT, self.edits)
        store.executemany(statements.ADD_REFUSAL, self.refusals)


def edits_of_draft(store: Store, rows: Iterable[int] | None = None) -> KeptEdits:
    """Return the edits and refusals of some rows of a draft, or of all."""
    if rows is None:
        return KeptEdits(
            _records(store.sqlite.execute(statements.ALL_EDITS)),
            _records(store.sqlite.execute(statements.ALL_REFUSALS)),
        )
    numbers = {"numbers": as_list(rows)}
    return KeptEdits(
        _records(store.sqlite.execute(upload_statements.EDITS_OF_DRAFT, numbers)),
        _records(store.sqlite.execute(upload_statements.REFUSALS_OF_DRAFT, numbers)),
    )


def _records(cursor: sqlite3.Cursor) -> tuple[Mapping[str, object], ...]:
    names = [column[0] for column in cursor.description]
    return tuple(dict(zip(names, record, strict=True)) for record in cursor)


def copy_edits(source: sqlite3.Connection, target: Store) -> None:
    """Write the edits and refusals of another database into an empty one."""
    for read, write in (
        (statements.ALL_EDITS, statements.COPY_EDIT), (statements.ALL_REFUSALS, statements.ADD_REFUSAL),
    ):  # fmt: skip
        target.executemany(write, _records(source.execute(read)))


def digest_of_edits(store: Store, columns: Columns) -> str:
    """Return SHA-256 (hex) of what the edits come to, and of the rows that are withheld; '' if there are neither.

    Who made them, and in which order, makes no difference.
    """
    digest, is_empty = hashlib.sha256(), True
    for row, texts in edited_rows(store):
        digest.update(msgspec.json.encode((row, sorted(texts.items()))))
        is_empty = False
    for row, _ in withheld_rows(store, columns):
        digest.update(msgspec.json.encode(row))
        is_empty = False
    return "" if is_empty else digest.hexdigest()
