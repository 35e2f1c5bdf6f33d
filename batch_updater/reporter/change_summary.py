"""The changes of many records in figures: how many, in which fields, and by how much the sums of money change."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import NamedTuple, Self, TypeVar

import msgspec

from batch_updater.endpoint.description import Endpoint, Kind
from batch_updater.endpoint.exact_json import number_of
from batch_updater.messages import counted
from batch_updater.records import Columns, FieldChange, OutcomeKind, ReportRow, Unknown

_SHOWN = 5
"""Rows that are named, and changes of each ranking."""
_WIDE = Decimal(100)
"""A number that changes by this factor is named, or at least counted."""
_EXACT = Context(prec=1000)
"""Adds up a million numbers of any size that `number_of` lets through without losing a digit."""
_WRITTEN_OUT = 30
"""Digits before the point, or places behind it, of a number that is written out for people."""
_PLAIN_PERCENTS = (Decimal(0), Decimal(100))
"""Nothing has changed; nothing is left, or the number has doubled."""
_Item = TypeVar("_Item", "NumberChange", "tuple[Decimal, NumberChange]")


class NumberChange(NamedTuple):
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
        """The greater number divided by the other, infinity to 0 and over 0; None if there is no factor.

        Filling a field for the first time has none; emptying one is judged by the totals and by its own guard.
        """
        if not self.now or self.is_emptied:
            return None
        if not self.new or (self.now < 0) != (self.new < 0):
            return Decimal("Infinity")
        low, high = sorted((self.now.copy_abs(), self.new.copy_abs()))
        return high / low

    @property
    def is_wide(self) -> bool:
        """Whether it changes by a factor that is rarely meant."""
        return self.factor is not None and self.factor >= _WIDE

    @property
    def change_percent(self) -> Decimal | None:
        """By how many per cent the number changes, with its sign; None from 0, and for an emptied field."""
        if not self.now or self.is_emptied:
            return None
        return _EXACT.subtract(self.new, self.now) / self.now.copy_abs() * 100


class Total(msgspec.Struct):
    """The sum of a column of numbers over all records that change."""

    now: Decimal = Decimal(0)
    new: Decimal = Decimal(0)

    @property
    def change_percent(self) -> Decimal:
        """By how many per cent the sum changes; infinity if it was 0 and is no longer."""
        if not self.now:
            return Decimal("Infinity") if self.new else Decimal(0)
        return _EXACT.subtract(self.new, self.now).copy_abs() / self.now.copy_abs() * 100


class ChangeSummary(msgspec.Struct):
    """Counts the changes of rows one by one; holds no row, except of records that several rows change."""

    numbers: frozenset[str] = frozenset()
    """Fields that hold amounts, whatever the API reports them as; a whole number may be an identifier."""
    headers: Mapping[str, str] = {}
    """Field -> what the person calls it."""
    records: int = 0
    """Records that change, or would; those that could not be compared included."""
    uncertain: int = 0
    """Those of them of which no field is known to change."""
    unchanged: int = 0
    """Rows whose record already holds these values."""
    first_rows: list[int] = msgspec.field(default_factory=list)
    """The first few that change their record."""
    fields: Counter[str] = msgspec.field(default_factory=Counter)
    """Field -> records in which it changes."""
    cleared: Counter[str] = msgspec.field(default_factory=Counter)
    """Field -> records in which it is emptied."""
    unknown: Counter[str] = msgspec.field(default_factory=Counter)
    """Field -> records of which it is not known whether it changes."""
    only_names_unknown: bool = True
    """Whether all unknown values are names, of which the API reports only the id."""
    no_numbers: Counter[str] = msgspec.field(default_factory=Counter)
    """Field that holds numbers -> records that report something else, or a number beyond all bounds, in it."""
    totals: dict[str, Total] = msgspec.field(default_factory=dict)
    """Field that holds numbers -> its sums."""
    any_kind: frozenset[str] = frozenset()
    """Fields of which a record may hold a number or something else."""
    containers: frozenset[str] = frozenset()
    """Fields that hold lists, or JSON."""
    _largest: dict[str, list[NumberChange]] = msgspec.field(default_factory=dict)
    """Field -> its largest changes; a heap, the smallest first."""
    _widest: list[tuple[Decimal, NumberChange]] = msgspec.field(default_factory=list)
    """The changes by the largest factors, with these; a heap, the smallest first."""
    _endless: list[tuple[Decimal, NumberChange]] = msgspec.field(default_factory=list)
    """The same for changes to 0 and over 0, which would hide the others."""
    _wide: int = 0
    """Numbers that change by a factor that is rarely meant."""
    _repeated: dict[str, dict[str, tuple[int, FieldChange]]] = msgspec.field(default_factory=dict)
    """Target that several rows change -> field -> the last of the rows, and all of them as one change."""

    @classmethod
    def of(cls, endpoint: Endpoint, columns: Columns) -> Self:
        """Return an empty summary for an endpoint and the columns of a file."""
        kinds = (Kind.INTEGER, Kind.DECIMAL)
        return cls(
            frozenset(one.name for one in endpoint.body_fields if one.kind in kinds and not one.is_identifier),
            {name: columns.called(name) for name in columns.of_field},
            any_kind=frozenset(field.name for field in endpoint.body_fields if field.kind is Kind.ANY),
            containers=frozenset(field.name for field in endpoint.body_fields if field.may_be_empty),
        )

    def called(self, name: str) -> str:
        """Return what people read of a field: its header first."""
        return self.headers.get(name, name)

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
        row, is_certain = 0, False
        for row, (name, now, new) in changes:
            self.fields[name] += 1
            if isinstance(now, Unknown):
                self.unknown[name] += 1
                self.only_names_unknown &= now.id != ""
            else:
                is_certain = True
                self.cleared[name] += new is None or (name in self.containers and new in ([], {}))
            change = self.number_change(row, FieldChange(name, now, new))
            if change is not None:
                total = self.totals.setdefault(name, Total())
                total.now, total.new = _EXACT.add(total.now, change.now), _EXACT.add(total.new, change.new)
                _keep(self._largest.setdefault(name, []), change)
                if (factor := change.factor) is not None:
                    _keep(self._widest if factor.is_finite() else self._endless, (factor, change))
                    self._wide += change.is_wide
            elif self._holds_number(name, new) and not isinstance(now, Unknown):
                self.no_numbers[name] += 1
        if row:
            self.records += 1
            self.uncertain += not is_certain
            if len(self.first_rows) < _SHOWN:
                self.first_rows.append(row)

    def number_change(self, row: int, change: FieldChange) -> NumberChange | None:
        """Return a change of a row as one of a number; None if it is of something else, or not known."""
        name, now, new = change
        if not self._holds_number(name, new):
            return None
        before, after = _number(now), _number(new)
        if before is None or after is None:
            return None
        size = _EXACT.abs(_EXACT.subtract(after, before))
        return NumberChange(size, row, name, before, after, is_emptied=new is None)

    def _holds_number(self, name: str, new: object) -> bool:
        return name in self.numbers or (name in self.any_kind and _is_number(new))

    def largest_changes(self, name: str | None = None) -> list[NumberChange]:
        """Return the largest changes of a number, of one field or of all, the largest first."""
        chosen = self._largest.values() if name is None else (self._largest.get(name, []),)
        return sorted((change for changes in chosen for change in changes), reverse=True)[:_SHOWN]

    def widest_changes(self, over: Decimal) -> list[NumberChange]:
        """Return the changes by the largest factors that are over a limit, the largest first."""
        ranked = sorted([*self._widest, *self._endless], reverse=True)
        return [change for factor, change in ranked if factor > over]

    def in_words(self) -> Iterator[str]:
        """Yield the figures as sentences; none if nothing changes."""
        if not self.records:
            return
        certain = self.records - self.uncertain
        sure = f"{counted(certain, 'record')} {'changes' if certain == 1 else 'change'}"
        if self.uncertain:
            sure = sure if certain else "No record changes for certain"
            which = "only names" if self.only_names_unknown else "the others"
            yield f"{sure}, up to {self.records:,}; {which} could not be compared."
        else:
            yield f"{sure}."
        for name, count in self.fields.most_common():
            known, up_to = count - self.unknown[name], f"up to {counted(count, 'record')}"
            shown = counted(count, "record") if known == count else f"{known:,} certain, {up_to}" if known else up_to
            cleared = f", emptied in {self.cleared[name]:,}" if self.cleared[name] else ""
            yield f"{self.called(name)}: {shown}{cleared}."
        for name, total in self.totals.items():
            sign = "+" if total.new >= total.now else "-"
            share = f" ({sign}{percent_of(total)})" if total.change_percent.is_finite() else ""
            sums = f"{written_out(total.now)} before, {written_out(total.new)} after"
            yield f"Total of {self.called(name)} in these records: {sums}{share}."
        for name, count in self.no_numbers.items():
            where = counted(count, "record")
            yield f"{self.called(name)}: in {where} it is no number that can be compared, and is not in the total."
        named = list(dict.fromkeys([*self.largest_changes(), *self.widest_changes(Decimal(1))]))
        for change in named:
            yield f"Row {change.row:,}: {self.called(change.field)} {_from_to(change)}."
        if more := self._wide - sum(change.is_wide for change in named):
            others = "1 more number changes" if more == 1 else f"{more:,} more numbers change"
            yield f"{others} by a factor of {_WIDE} or more."


def _keep(heap: list[_Item], item: _Item) -> None:
    (heapq.heappush if len(heap) < _SHOWN else heapq.heappushpop)(heap, item)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _number(value: object) -> Decimal | None:
    """Return a value as a number, an empty field as 0; None if it is none."""
    is_empty = value is None or (isinstance(value, str) and not value.strip())
    return Decimal(0) if is_empty else number_of(value)


def written_out(number: Decimal) -> str:
    """Return a number for people: with all its digits, as long as they can be read."""
    is_readable = abs(number.adjusted()) < _WRITTEN_OUT and len(number.as_tuple().digits) <= 2 * _WRITTEN_OUT
    return f"{number:,f}" if is_readable else f"{number:.6g}"


def percent_of(total: Total) -> str:
    """Return by how much a sum changes, with a percent sign; the sum must not have been 0.

    Only what is 0 or 100 per cent is rounded to it: a sum that falls by 99.999% leaves something.
    """
    percent = total.change_percent
    if percent.adjusted() >= _WRITTEN_OUT:
        return f"{percent:.6g}%"
    rounded = percent.quantize(Decimal("0.1"), context=_EXACT)
    if rounded in _PLAIN_PERCENTS and percent != rounded:
        rounded = percent.quantize(Decimal("0.01"), ROUND_DOWN if percent < rounded else ROUND_UP, _EXACT)
    return f"{rounded:,}%"


def _from_to(change: NumberChange) -> str:
    now, new, percent = written_out(change.now), written_out(change.new), change.change_percent
    if change.is_emptied:
        return f"emptied, {now} before"
    if percent is None or percent.adjusted() >= _WRITTEN_OUT:
        return f"from {now} to {new}"
    # Never rounded up: a fall by 99.999% leaves something.
    return f"from {now} to {new} ({percent.quantize(Decimal('0.01'), ROUND_DOWN, _EXACT):+,}%)"
