"""What changes of many records come to: how many, in which fields, and what becomes of the sums of money."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from batch_updater.endpoint.description import Kind
from batch_updater.endpoint.exact_json import number_of
from batch_updater.model import FieldChange, OutcomeKind, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.model import ReportRow

_SHOWN = 5
"""Rows and jumps that are named."""
_EXACT = Context(prec=1000)
"""Adds up a million numbers of any size that `number_of` lets through without losing a digit."""
_WRITTEN_OUT = 30
"""Digits before the point, or places behind it, of a number that is written out for people."""
_Item = TypeVar("_Item", "Jump", "tuple[Decimal, Jump]")


class Jump(NamedTuple):
    """One number that changes."""

    size: Decimal
    """How far it changes, without sign."""
    row: int
    field: str
    now: Decimal
    new: Decimal
    """0 if the field is emptied."""
    is_emptied: bool

    @property
    def factor(self) -> Decimal | None:
        """By how much the greater of both is greater than the other, infinity to 0 and over 0; None if there is none.

        Filling a field for the first time is no jump, and emptying one is judged by the totals and by its own guard.
        """
        if not self.now or self.is_emptied:
            return None
        if not self.new or (self.now < 0) != (self.new < 0):
            return Decimal("Infinity")
        low, high = sorted((self.now.copy_abs(), self.new.copy_abs()))
        return high / low


@dataclass(slots=True)
class Total:
    """The sum of a column of numbers over all records that change."""

    now: Decimal = Decimal(0)
    new: Decimal = Decimal(0)

    @property
    def change_percent(self) -> Decimal:
        """By how many per cent the sum changes; infinity if it was 0 and is no longer."""
        if not self.now:
            return Decimal("Infinity") if self.new else Decimal(0)
        return _EXACT.subtract(self.new, self.now).copy_abs() / self.now.copy_abs() * 100


@dataclass(slots=True)
class Stakes:
    """Counts the changes of rows one by one; holds no row, except of records that several rows change."""

    numbers: frozenset[str] = frozenset()
    """Fields that hold numbers, whatever the API reports them as."""
    records: int = 0
    """Records that change, or would."""
    unchanged: int = 0
    """Rows whose record holds already what they ask for."""
    first_rows: list[int] = field(default_factory=list)
    """The first few that change their record."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field -> records in which it changes."""
    cleared: Counter[str] = field(default_factory=Counter)
    """Field -> records in which it is emptied."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Field -> records of which nobody can tell whether it changes."""
    no_numbers: Counter[str] = field(default_factory=Counter)
    """Field that holds numbers -> records that report something else, or a number beyond all bounds, in it."""
    totals: dict[str, Total] = field(default_factory=dict)
    """Field that holds numbers -> its sums."""
    _jumps: dict[str, list[Jump]] = field(default_factory=dict)
    """Field -> its largest changes; a heap, the smallest first."""
    _widest: list[tuple[Decimal, Jump]] = field(default_factory=list)
    """The changes by the largest factors, with these; a heap, the smallest first."""
    _repeated: dict[str, dict[str, tuple[int, FieldChange]]] = field(default_factory=dict)
    """Target that several rows change -> field -> the last of the rows, and what all of them come to."""

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Return empty stakes for an endpoint."""
        kinds = (Kind.INTEGER, Kind.DECIMAL)
        return cls(frozenset(field.name for field in endpoint.body_fields if field.kind in kinds))

    def add(self, row: ReportRow) -> None:
        """Count one row. Those of a record that others change too count in `settle`."""
        self.unchanged += row.outcome.kind is OutcomeKind.UNCHANGED
        if not row.changes:
            return
        if not row.is_repeated:
            self._add_record([(row.row.number, change) for change in row.changes])
            return
        merged = self._repeated.setdefault(row.target, {})
        for change in row.changes:
            _, first = merged.get(change.field, (0, change))
            merged[change.field] = row.row.number, change._replace(now=first.now)

    def settle(self) -> None:
        """Count the records that several rows change, each from its first value to its last; after the last row."""
        for merged in self._repeated.values():
            self._add_record([(row, change) for row, change in merged.values() if change.now != change.new])
        self._repeated.clear()

    def _add_record(self, changes: Iterable[tuple[int, FieldChange]]) -> None:
        row = 0
        for row, (name, now, new) in changes:
            self.fields[name] += 1
            if isinstance(now, Unknown):
                self.unknown[name] += 1
            elif new is None:
                self.cleared[name] += 1
            if name in self.numbers:
                self._add_number(row, name, now, new)
        if row:
            self.records += 1
            if len(self.first_rows) < _SHOWN:
                self.first_rows.append(row)

    def _add_number(self, row: int, name: str, now: object, new: object) -> None:
        before, after = _number(now), _number(new)
        if before is None or after is None:
            if not isinstance(now, Unknown):
                self.no_numbers[name] += 1
            return
        total = self.totals.setdefault(name, Total())
        total.now = _EXACT.add(total.now, before)
        total.new = _EXACT.add(total.new, after)
        size = _EXACT.abs(_EXACT.subtract(after, before))
        jump = Jump(size, row, name, before, after, is_emptied=new is None)
        _keep(self._jumps.setdefault(name, []), jump)
        if (factor := jump.factor) is not None:
            _keep(self._widest, (factor, jump))

    def largest_jumps(self, name: str | None = None) -> list[Jump]:
        """Return the largest changes of a number, of one field or of all, the largest first."""
        chosen = self._jumps.values() if name is None else (self._jumps.get(name, []),)
        return sorted((jump for jumps in chosen for jump in jumps), reverse=True)[:_SHOWN]

    def widest_jumps(self, over: Decimal) -> list[Jump]:
        """Return the changes by the largest factors, as far as these are over a limit, the largest first."""
        return [jump for factor, jump in sorted(self._widest, reverse=True) if factor > over]


def _keep(heap: list[_Item], item: _Item) -> None:
    (heapq.heappush if len(heap) < _SHOWN else heapq.heappushpop)(heap, item)


def _number(value: object) -> Decimal | None:
    """Return a value as a number, an empty field as 0; None if it is none."""
    is_empty = value is None or (isinstance(value, str) and not value.strip())
    return Decimal(0) if is_empty else number_of(value)


def written_out(number: Decimal) -> str:
    """Return a number for people: all its digits, as long as anybody would read them."""
    is_readable = abs(number.adjusted()) < _WRITTEN_OUT and len(number.as_tuple().digits) <= 2 * _WRITTEN_OUT
    return f"{number:,f}" if is_readable else f"{number:.6g}"


def stakes_in_words(stakes: Stakes) -> list[str]:
    """Return the figures as sentences for people; none if nothing changes."""
    if not stakes.records:
        return []
    lines = [f"{_count(stakes.records, 'record')} {'changes' if stakes.records == 1 else 'change'}."]
    for name, count in stakes.fields.most_common():
        cleared = f", emptied in {stakes.cleared[name]:,}" if stakes.cleared[name] else ""
        unknown = f", {stakes.unknown[name]:,} of them perhaps" if stakes.unknown[name] else ""
        lines.append(f"{name}: {_count(count, 'record')}{unknown}{cleared}.")
    for name, total in stakes.totals.items():
        sign = "+" if total.new >= total.now else "-"
        share = f" ({sign}{percent_of(total)})" if total.change_percent.is_finite() else ""
        sums = f"{written_out(total.now)} before, {written_out(total.new)} after"
        lines.append(f"Total of {name} in these records: {sums}{share}.")
    for name, count in stakes.no_numbers.items():
        lines.append(
            f"{name}: in {_count(count, 'record')} it is no number that can be compared, and is not in the total."
        )
    return [*lines, *(f"Row {jump.row:,}: {jump.field} {_from_to(jump)}." for jump in stakes.largest_jumps())]


def percent_of(total: Total) -> str:
    """Return by how much a sum changes, with its sign of per cent; the sum must not have been 0."""
    percent = total.change_percent
    return f"{percent:,.1f}%" if percent.adjusted() < _WRITTEN_OUT else f"{percent:.6g}%"


def _from_to(jump: Jump) -> str:
    now, new = written_out(jump.now), written_out(jump.new)
    return f"emptied, {now} before" if jump.is_emptied else f"from {now} to {new}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
