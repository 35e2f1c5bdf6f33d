"""What the filled cells of a row need of each other: members that belong together, and items without gaps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from batch_updater.endpoint.description import Endpoint, Field, Pair, Requirement, Step
from batch_updater.records import Problem

_MOST_KNOWN = 1_000
"""Different sets of filled cells that are judged once."""


class _Shortfall(NamedTuple):
    """What is wrong with a row in which some fields have values."""

    field: str
    """The one whose cell is to blame; it may have no column."""
    code: str
    reason: str
    remedy: str


class RowNeeds:
    """Tells what rows lack beside the fields that are always required, for one endpoint and some of its fields."""

    def __init__(self, endpoint: Endpoint, names: Collection[str]) -> None:
        """`names` are the fields that have a column or are the same in every row."""
        self._names = frozenset(names)
        self._body = endpoint.body_fields
        self._paths = {field.name: field.path for field in endpoint.body_fields if field.name in self._names}
        self._requirements = endpoint.requirements
        by_path = {path: name for name, path in self._paths.items()}
        self._pairs = [
            (upper, name)
            for name, path in self._paths.items()
            for size in range(len(path))
            if (upper := by_path.get(path[:size]))
        ]
        """Fields of which one is a part of the other, as of a cell of JSON."""
        self._items = {
            name: [(path[:at], step) for at, step in enumerate(path) if isinstance(step, int)]
            for name, path in self._paths.items()
        }
        """Field -> the lists in which it is, and its position there."""
        has_positions = any(position for lists in self._items.values() for _, position in lists)
        self.may_fail = bool(self._requirements or self._pairs or has_positions)
        """Whether a row can lack anything at all."""
        self._known: dict[frozenset[str], Sequence[_Shortfall]] = {}

    def problems(self, row: int, filled: Iterable[str]) -> list[Problem]:
        """Return the problems of a row in which some fields have a value."""
        return [
            Problem(row, one.field if one.field in self._names else None, one.code, "", one.reason, one.remedy)
            for one in self._shortfalls(frozenset(filled))
        ]

    def _shortfalls(self, filled: frozenset[str]) -> Sequence[_Shortfall]:
        found = self._known.get(filled)
        if found is None:
            found = [*self._unmet(filled), *self._gaps(filled), *self._doubled(filled)]
            if len(self._known) < _MOST_KNOWN:
                self._known[filled] = found
        return found

    def _unmet(self, filled: frozenset[str]) -> Iterator[_Shortfall]:
        paths = {name: path for name, path in self._paths.items() if name in filled}
        told: set[tuple[Step, ...]] = set()
        for requirement in self._requirements:
            cause = _below(requirement.within, paths)
            if cause is None or requirement.member in told or _has(requirement.member, paths.values()):
                continue
            told.add(requirement.member)
            needed = _fields_at(requirement, self._body)
            with_column = [field for field in needed if field.name in self._names]
            name = (with_column or needed)[0].name if needed else _name_of(requirement.member)
            others = f" or {with_column[1].name}" if len(with_column) > 1 else ""
            cells = "The cell is blank" if with_column else f"There is no column for {name}"
            why = f", but it is needed where {cause} is filled in" if requirement.within else ", but every row needs it"
            remedy = f"Fill in {name}{others}" + (f", or leave {cause} blank." if requirement.within else ".")
            yield _Shortfall(name, "missing", f"{cells}{why}.", remedy if with_column else f"Add a column {name}.")

    def _gaps(self, filled: frozenset[str]) -> Iterator[_Shortfall]:
        positions: dict[tuple[Step, ...], dict[int, str]] = {}
        for name in self._items:
            if name in filled:
                for of_list, position in self._items[name]:
                    positions.setdefault(of_list, {}).setdefault(position, name)
        for of_list, used in positions.items():
            free = next(position for position in range(len(used) + 1) if position not in used)
            if free < max(used):
                name = used[min(position for position in used if position > free)]
                item = f"{_name_of(of_list)}[{free}]"
                reason = f"{name} is filled in, but nothing of {item}, which comes before it in the list."
                yield _Shortfall(name, "gap-in-list", reason, f"Fill in {item}, or move the items up.")

    def _doubled(self, filled: frozenset[str]) -> Iterator[_Shortfall]:
        for upper, lower in self._pairs:
            if upper in filled and lower in filled:
                reason = f"{upper} and {lower} are both filled in, but the first holds the other one."
                yield _Shortfall(lower, "filled-in-twice", reason, "Leave one of the two cells blank.")


def always_needed(endpoint: Endpoint, known: Collection[str]) -> Iterator[tuple[str, Field | None]]:
    """Yield what every row needs beside the required fields and none of the known ones is: its name, and its field."""
    paths = [field.path for field in endpoint.body_fields if field.name in known]
    for requirement in endpoint.requirements:
        if not requirement.within and not _has(requirement.member, paths):
            field = next(iter(_fields_at(requirement, endpoint.body_fields)), None)
            yield (field.name if field else _name_of(requirement.member)), field


def _below(within: tuple[Step, ...], paths: Mapping[str, tuple[Step, ...]]) -> str | None:
    """Return the first field below a place; for the body itself any name."""
    if not within:
        return ""
    size = len(within)
    return next((name for name, path in paths.items() if len(path) > size and path[:size] == within), None)


def _has(member: tuple[Step, ...], paths: Iterable[tuple[Step, ...]]) -> bool:
    """Whether one of the paths leads to a member or below it, or to a whole that it is a part of."""
    return any(path[: len(member)] == member[: len(path)] for path in paths)


def _fields_at(requirement: Requirement, fields: Iterable[Field]) -> list[Field]:
    size = len(requirement.member)
    return [field for field in fields if field.path[:size] == requirement.member]


def _name_of(path: Sequence[Step]) -> str:
    """Return what a place in the body is called: `lines[0].amount`."""
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
        elif isinstance(step, Pair):
            name += f"[{step.key}]"
        else:
            name += f".{step}" if name else step
    return name
