"""What changes of many records come to: how many, in which fields, and what becomes of the sums of money."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.model import OutcomeKind, Unknown

if TYPE_CHECKING:
    from batch_updater.model import ReportRow

_JUMPS_SHOWN = 5


class Jump(NamedTuple):
    """One number that changes."""

    size: Decimal
    """How far it changes, without sign."""
    row: int
    field: str
    now: Decimal
    new: Decimal

    @property
    def factor(self) -> Decimal | None:
        """By how much the greater of both is greater than the other, infinity over zero; None if one is 0 or empty.

        Filling a field for the first time is no jump, and emptying one is judged by the totals and by its own guard.
        """
        if not self.now or not self.new:
            return None
        if (self.now < 0) != (self.new < 0):
            return Decimal("Infinity")
        low, high = sorted((abs(self.now), abs(self.new)))
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
        return abs(self.new - self.now) / abs(self.now) * 100


@dataclass(slots=True)
class Stakes:
    """Counts the changes of rows one by one; holds no row."""

    records: int = 0
    """Rows that change, or would change, their record."""
    unchanged: int = 0
    """Rows whose record holds already what they ask for."""
    first_rows: list[int] = field(default_factory=list)
    """The first few of them."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field -> rows that change it."""
    cleared: Counter[str] = field(default_factory=Counter)
    """Field -> rows that empty it."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Field -> rows of which nobody can tell whether they change it."""
    totals: dict[str, Total] = field(default_factory=dict)
    """Field that holds numbers -> its sums."""
    jumps: list[Jump] = field(default_factory=list)
    """The largest changes of a number; a heap, the smallest first."""
    widest: Jump | None = None
    """The change by the largest factor."""

    def add(self, row: ReportRow) -> None:
        """Count one row."""
        self.unchanged += row.outcome.kind is OutcomeKind.UNCHANGED
        if not row.changes:
            return
        self.records += 1
        if len(self.first_rows) < _JUMPS_SHOWN:
            self.first_rows.append(row.row.number)
        for name, now, new in row.changes:
            self.fields[name] += 1
            if isinstance(now, Unknown):
                self.unknown[name] += 1
            elif new is None:
                self.cleared[name] += 1
            if _is_number(new) or (new is None and _is_number(now)):
                self._add_number(row.row.number, name, _number(now), _number(new))

    def _add_number(self, row: int, name: str, known: Decimal | None, new: Decimal | None) -> None:
        if known is None or new is None:
            return
        total = self.totals.setdefault(name, Total())
        total.now += known
        total.new += new
        jump = Jump(abs(new - known), row, name, known, new)
        (heapq.heappush if len(self.jumps) < _JUMPS_SHOWN else heapq.heappushpop)(self.jumps, jump)
        factor = jump.factor
        if factor is not None and factor > (self.widest.factor or 0 if self.widest else 0):
            self.widest = jump

    def largest_jumps(self) -> list[Jump]:
        """Return the largest changes of a number, the largest first."""
        return sorted(self.jumps, reverse=True)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _number(value: object) -> Decimal | None:
    """Return a value as a number, an empty field as 0; None if it is none."""
    if value is None:
        return Decimal(0)
    try:
        return Decimal(str(value)) if not isinstance(value, (bool, Unknown)) else None
    except InvalidOperation:
        return None


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
        percent = total.change_percent
        share = "" if percent.is_infinite() else f" ({'+' if total.new >= total.now else '-'}{percent:,.1f}%)"
        lines.append(f"Total of {name} in these records: {total.now:,f} before, {total.new:,f} after{share}.")
    jumps = (f"Row {jump.row:,}: {jump.field} from {jump.now:,f} to {jump.new:,f}." for jump in stakes.largest_jumps())
    return [*lines, *jumps]


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
