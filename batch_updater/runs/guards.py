"""Limits of the section `guards`: over one of them nothing of a file is sent, and a person is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from batch_updater.config.schema import GuardSettings
from batch_updater.errors import GuardError, Location
from batch_updater.messages import counted
from batch_updater.records import StagedInput
from batch_updater.reporter.change_summary import ChangeSummary, percent_of, written_out
from batch_updater.runs import statements
from batch_updater.runs.store import Store

_ROWS_NAMED = 5


class Exceeded(msgspec.Struct, frozen=True):
    """A guard whose limit a file is over."""

    key: str
    """Its key in the configuration: `guards.rows`."""
    sentence: str
    """What the file has, what is allowed, and the first rows that are the cause."""

    @property
    def note(self) -> str:
        """The note of a check."""
        return f"A guard is exceeded, so a run would send nothing. {self.sentence}"


class Override(msgspec.Struct, frozen=True):
    """Which guards a person lets a file exceed."""

    how: str
    """Such as `by --override-guards`."""
    keys: tuple[str, ...] | None = None
    """Keys of the guards; None: every guard, those on changes that no one has seen included."""

    def covers(self, key: str) -> bool:
        """Whether the guard with that key is overridden."""
        return self.keys is None or key in self.keys

    def note(self, guard: Exceeded) -> str:
        """Return the note on a guard where it is sent all the same."""
        return f"A guard is exceeded, and overridden {self.how}. {guard.sentence}"


def exceeded(settings: GuardSettings, staged: StagedInput, store: Store) -> Iterator[Exceeded]:
    """Yield the guards that a file is over, judged by all its rows, whether or not some of them are done already."""
    if settings.rows is not None and staged.rows > settings.rows:
        yield Exceeded(
            "guards.rows",
            f"The file has {counted(staged.rows, 'row')}, and guards.rows allows {settings.rows:,}; "
            f"the first beyond is row {store.numbers(statements.NUMBER_AT, at=settings.rows)[0]:,}.",
        )
    # Rows that could not be sent are all that a results workbook holds, and not all may be repaired yet.
    invalid, limit = staged.invalid, None if staged.is_to_fix else settings.invalid_percent
    if limit is not None and invalid * 100 > _exact(limit) * staged.rows:
        percent = invalid * 100 / staged.rows
        yield Exceeded(
            "guards.invalid_percent",
            f"{invalid:,} of {counted(staged.rows, 'row')} cannot be sent ({percent:.3g}%), and "
            f"guards.invalid_percent allows {limit:g}%; {_named(*store.first_invalid(_ROWS_NAMED))}.",
        )
    cleared = sum(staged.cleared.values())
    if settings.cleared is not None and cleared > settings.cleared:
        by_field = ", ".join(
            f"{staged.columns.called(name)} in {counted(count, 'row')}"
            for name, count in staged.cleared.items()
            if count
        )
        yield Exceeded(
            "guards.cleared",
            f"{counted(cleared, 'field')} would be cleared ({by_field}), and guards.cleared allows "
            f"{settings.cleared:,}; {_named(store.numbers(statements.CLEARING, most=_ROWS_NAMED))}.",
        )


def require_none(exceeded_guards: Iterable[Exceeded], override: Override | None, place: Location) -> None:
    """Raise GuardError, which names every guard that a file is over and that is not overridden, if there is one."""
    over = tuple(guard for guard in exceeded_guards if not (override and override.covers(guard.key)))
    if not over:
        return
    keys = " and ".join(dict.fromkeys(guard.key for guard in over))
    raise GuardError(
        f"Nothing was sent. {' '.join(guard.sentence for guard in over)}",
        remedy=f"If the file is as it should be, run it with --override-guards, or change {keys} in the configuration.",
        place=place,
    )


def guards_on_changes(settings: GuardSettings) -> list[str]:
    """Return the keys of the guards that are set and can be judged only once the records have been read."""
    return [
        f"guards.{name}"
        for name in ("changed", "factor", "total_change_percent")
        if getattr(settings, name) is not None
    ]


def exceeded_by_changes(settings: GuardSettings, change_summary: ChangeSummary) -> Iterator[Exceeded]:
    """Yield the guards that the changes of a file are over."""
    if settings.changed is not None and change_summary.records > settings.changed:
        up_to = "Up to " if change_summary.uncertain else ""  # a record that cannot be compared may change as well
        yield Exceeded(
            "guards.changed",
            f"{up_to}{counted(change_summary.records, 'record')} would change, and "
            f"guards.changed allows {settings.changed:,}; the first: {_rows(change_summary.first_rows)}.",
        )
    if settings.factor is not None and (changes := change_summary.widest_changes(_exact(settings.factor))):
        widest, others = changes[0], _rows([change.row for change in changes[1:]])
        is_finite = widest.factor is not None and widest.factor.is_finite()
        factor = f"by the factor {widest.factor:,.6g}" if is_finite else "to or over zero"
        yield Exceeded(
            "guards.factor",
            f"Row {widest.row:,} would change {change_summary.called(widest.field)} from {written_out(widest.now)} to "
            f"{written_out(widest.new)}, {factor}, and "
            f"guards.factor allows {settings.factor:g}{'; the next: ' if others else ''}{others}.",
        )
    limit = settings.total_change_percent
    for name, total in change_summary.totals.items():
        if limit is None or total.change_percent <= _exact(limit):
            continue
        percent = f" ({percent_of(total)})" if total.change_percent.is_finite() else ""
        rows = _rows([change.row for change in change_summary.largest_changes(name)])
        yield Exceeded(
            "guards.total_change_percent",
            f"The total of {change_summary.called(name)} would change from {written_out(total.now)} to "
            f"{written_out(total.new)}{percent}, and guards.total_change_percent allows {limit:g}%; "
            f"the largest changes: {rows}.",
        )


class JudgedGuard(msgspec.Struct, frozen=True):
    """A guard that is set, and how a file stands to it."""

    key: str
    """Its key in the configuration: `guards.rows`."""
    limit: str
    """What is allowed: `500`, `10%`."""
    value: str
    """What the file has; '' as long as that is not known, as before the records are read."""
    over: str
    """Why it is exceeded, in sentences; '' if it is not."""


def judged_guards(
    settings: GuardSettings, staged: StagedInput, over: Iterable[Exceeded], changes: Mapping[str, str]
) -> Iterator[JudgedGuard]:
    """Yield every guard that is set; `over` are those that are exceeded.

    `changes` are the values of `values_of_changes`; empty as long as not all records were read.
    """
    sentences: dict[str, list[str]] = {}
    for guard in over:
        sentences.setdefault(guard.key, []).append(guard.sentence)
    values = {
        "rows": f"{staged.rows:,}",
        "invalid_percent": f"{staged.invalid * 100 / max(staged.rows, 1):.3g}%",
        "cleared": f"{sum(staged.cleared.values()):,}",
        **changes,
    }
    for name, limit in settings:
        if limit is not None:
            key, sign = f"guards.{name}", "%" if name.endswith("_percent") else ""
            shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
            yield JudgedGuard(key, f"{shown}{sign}", values.get(name, ""), " ".join(sentences.get(key, ())))


def values_of_changes(change_summary: ChangeSummary) -> dict[str, str]:
    """Return what the guards on changes are held against, by the names of their keys."""
    up_to = "up to " if change_summary.uncertain else ""
    changes = change_summary.widest_changes(Decimal(1))
    widest = changes[0].factor if changes else Decimal(1)
    totals = sorted(change_summary.totals.values(), key=lambda total: total.change_percent)
    percent = percent_of(totals[-1]) if totals and totals[-1].change_percent.is_finite() else "0%"
    return {
        "changed": f"{up_to}{change_summary.records:,}",
        "factor": f"{float(widest):,.6g}" if widest and widest.is_finite() else "to or over zero",
        "total_change_percent": "from 0" if totals and not totals[-1].change_percent.is_finite() else percent,
    }


def _rows(numbers: Sequence[int]) -> str:
    """Return `row 4` or `rows 4, 7`; '' for none."""
    listed = ", ".join(f"{number:,}" for number in numbers)
    return f"row{'s' if len(numbers) > 1 else ''} {listed}" if numbers else ""


def _exact(limit: float) -> Decimal:
    """Return a limit as it was written: 2.3 as a float is a little less."""
    return Decimal(str(limit))


def _named(numbers: Sequence[int], reason: str = "") -> str:
    """Name the first rows, with the first thing that is wrong with the first of them."""
    first, *others = numbers
    such_as = f" ({reason.rstrip('.')})" if reason else ""
    return ", ".join((f"the first: row {first:,}{such_as}", *(f"{number:,}" for number in others)))
