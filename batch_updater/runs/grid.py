"""Which rows of a draft need someone, listed by why: the tables `grid` and `lists`.

Every list has a key: that of all rows that need someone, that of the rows with edits, and one for each cause and each
group of cells with the same problem and value, which is a hash of what the list is of.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from batch_updater.records import Cause, Columns, Problem
from batch_updater.runs import statements
from batch_updater.runs.encoding import as_list, decode_problems
from batch_updater.runs.store import Store

ALL: Final = 0
"""Key of the list of rows that need someone."""
EDITED: Final = 1
"""Key of the list of rows with edits."""
_PLACES_NAMED = 3
_CUT_OFF = "..."
"""What a value ends with of which a problem holds the beginning only."""
_NOT_ALIKE = frozenset({"duplicate-target"})
"""Codes of problems that the same text in every cell would not repair."""


@lru_cache(maxsize=256)
def key_of_cause(text: str) -> int:
    """Return the key of the list of rows with a cause."""
    return _key(b"cause", text.encode(errors="surrogatepass"))


def key_of_group(problem: Problem, columns: Columns) -> int | None:
    """Return the key of the list of rows with the same problem and value in the same field; None if it makes none."""
    field, code, value = problem.field, problem.code, problem.value
    if field is None or field not in columns.of_field or code in _NOT_ALIKE or value.endswith(_CUT_OFF):
        return None
    return _key_of_cells(field, code, value)


@lru_cache(maxsize=256)
def _key_of_cells(*parts: str) -> int:
    return _key(b"group", msgspec.json.encode([part.encode(errors="surrogatepass") for part in parts]))


def _key(kind: bytes, content: bytes) -> int:
    # SQLite has integers of 64 bits with a sign; the small ones are taken.
    return (int.from_bytes(hashlib.blake2b(content, digest_size=8, person=kind).digest()) >> 1) | 2


class RowLists:
    """The lists that rows are in, by why they need someone."""

    def __init__(self, store: Store, columns: Columns) -> None:
        self._store = store
        self._columns = columns

    def keys(self, problems: Sequence[Problem], waits: str) -> dict[int, str | None]:
        """Return the keys of the lists that a row is in, each with the cause that it is of; `waits`: why it waits."""
        if waits:
            return {ALL: None, key_of_cause(waits): waits}
        if not problems:
            return {}
        keys: dict[int, str | None] = {ALL: None}
        for problem in problems:
            cause = problem.cause(self._columns)
            keys[key_of_cause(cause)] = cause
            if (key := key_of_group(problem, self._columns)) is not None:
                keys[key] = None
        return keys

    def fill(self, edited: Iterable[int]) -> None:
        """List all rows of a store that has just been staged; `edited` are those with edits."""
        store, counts, causes = self._store, Counter[int](), dict[int, str]()
        store.execute(statements.CREATE_UNSORTED)
        store.executemany(statements.ADD_UNSORTED, self._entries(counts, causes, edited))
        store.execute(statements.SORT_GRID)
        store.execute(statements.DROP_UNSORTED)
        self._count({key: counts[key] for key in (ALL, EDITED, *causes)}, causes)

    def _entries(
        self, counts: Counter[int], causes: dict[int, str], edited: Iterable[int]
    ) -> Iterator[Mapping[str, int]]:
        for number, state, problems in self._store.execute(statements.NEEDING_SOMEONE):
            waits = "" if state == "invalid" else statements.WAITS
            for key, cause in self.keys(decode_problems(problems) if not waits else (), waits).items():
                if cause is not None:
                    causes[key] = cause
                if cause is not None or key == ALL:
                    counts[key] += 1
                yield {"key": key, "row": number}
        for number in edited:
            counts[EDITED] += 1
            yield {"key": EDITED, "row": number}

    def move(self, rows: Iterable[tuple[int, Mapping[int, str | None], Mapping[int, str | None]]]) -> None:
        """Take rows out of some lists and put them into others: number, and the lists before and after by `keys`."""
        gone, come = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
        causes = dict[int, str]()
        for (old, new), alike in groupby(rows, key=itemgetter(1, 2)):
            numbers = [row for row, *_ in alike]
            for key in old.keys() - new.keys():
                gone[key] += numbers
            for key in new.keys() - old.keys():
                come[key] += numbers
            causes.update({key: cause for key, cause in (*old.items(), *new.items()) if cause is not None})
        for key, numbers in gone.items():
            self._store.execute(statements.REMOVE_FROM_GRID, of_key=key, numbers=as_list(numbers))
        for key, numbers in come.items():
            self._store.execute(statements.ADD_TO_GRID, key=key, numbers=as_list(numbers))
        counted = {ALL, EDITED, *causes} & {*gone, *come}
        self._count({key: len(come.get(key, ())) - len(gone.get(key, ())) for key in counted}, causes)

    def _count(self, changes: Mapping[int, int], causes: Mapping[int, str]) -> None:
        records = [{"key": key, "cause": causes.get(key), "rows": change} for key, change in changes.items() if change]
        self._store.executemany(statements.COUNT_LIST, records)
        if any(change < 0 for change in changes.values()):
            self._store.execute(statements.DROP_EMPTY_LISTS)

    def length(self, key: int) -> int:
        """Return how many rows a list has."""
        found = self._store.execute(statements.LIST_LENGTH, of_key=key).fetchone()
        return found[0] if found else 0

    def length_of_group(self, key: int) -> int:
        """Return how many rows a group has; it goes over them."""
        (count,) = self._store.execute(statements.GRID_COUNT, of_key=key).fetchone()
        return int(count)

    def rows(self, key: int, after: int, most: int) -> list[int]:
        """Return the numbers of some rows of a list behind a row, in their order."""
        return self._store.numbers(statements.GRID_ROWS, of_key=key, after=after, most=most)

    def causes(self) -> tuple[Cause, ...]:
        """Return the causes ranked as `Tally` ranks them, that of rows that wait included."""
        ranked = []
        for key, text, count in self._store.execute(statements.LISTS).fetchall():
            if text is not None:
                cause, order = self._cause(key, text, count)
                ranked.append((-count, cause.example_row, order, cause))
        return tuple(cause for *_, cause in sorted(ranked, key=lambda one: one[:3]))

    def _cause(self, key: int, text: str, count: int) -> tuple[Cause, int]:
        """Return a cause, and at which place the first of its rows has it."""
        columns, places, example, order = self._columns, list[str](), "", 0
        numbers = self.rows(key, -1, _PLACES_NAMED)
        for record in self._store.execute(statements.DRAFT_ROWS, numbers=as_list(numbers)):
            problems, number = decode_problems(record[8]), record[0]
            first = {problem.cause(columns): problem for problem in reversed(problems)}
            problem = first.get(text)
            cell = columns.cell(problem.row, problem.field) if problem else None
            if not places:
                example = problem.in_full if problem else statements.WAITS_FOR_ROW % record[2]
                order, example_cell = (list(first).index(text) if problem else 0), cell
            places.append(cell or str(number))
        return Cause(text, count, numbers[0], example_cell, example, tuple(places)), order
