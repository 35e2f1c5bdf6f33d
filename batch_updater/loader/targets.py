"""Which record a row updates, and the problem of rows that update the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from batch_updater.endpoint.description import Endpoint, Field, ParameterLocation
from batch_updater.endpoint.request import wire_text
from batch_updater.loader.refusal import shown
from batch_updater.records import Problem, Value

_MOST_QUOTED = 256
_ROWS_NAMED = 3
OTHER_ROWS = _ROWS_NAMED + 1
"""How many other rows of a target `duplicate` needs to know."""


class Targets:
    """Names the record that a row updates."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.record_name = endpoint.record_name
        selecting = [field for field in endpoint.fields if field.selects_record]
        selecting.sort(key=lambda field: field.location is not ParameterLocation.PATH)
        self._fields = tuple((field, f"{quote(field.name, safe='')}=") for field in selecting)
        self._quoted: dict[str, str] = {}
        """Texts that were met -> how a target holds them; types repeat down a column."""

    @property
    def first_field(self) -> Field | None:
        """The field to name when the same record occurs twice."""
        return self._fields[0][0] if self._fields else None

    def of(self, values: Mapping[str, Value]) -> str | None:
        """Return the target in the form of a query; None if the row does not say which record it is about.

        A field that is not sent counts as what the API takes for it, if the description says what that is.
        """
        (target,) = self.of_all([values])
        return target

    def of_all(self, rows: Sequence[Mapping[str, Value]]) -> list[str | None]:
        """Return the targets of some rows, as `of` does of one. Runs for every row: kept lean."""
        if not self._fields:
            return [""] * len(rows)
        columns = [
            [self._part(field, prefix, values.get(field.name)) for values in rows] for field, prefix in self._fields
        ]
        return [None if None in parts else "&".join(filter(None, parts)) for parts in zip(*columns, strict=True)]

    def _part(self, field: Field, prefix: str, value: Value) -> str | None:
        """Return what a target holds of a field; '' if it holds nothing, None if there is no target without it."""
        if type(value) is int:
            return prefix + str(value)
        text = value if type(value) is str else field.default if value is None else wire_text(field, value)
        if text is None:
            return None if field.required else ""
        quoted = self._quoted.get(text)
        if quoted is None:
            quoted = quote(text, safe="")
            if len(self._quoted) < _MOST_QUOTED:
                self._quoted[text] = quoted
        return prefix + quoted


def duplicate(row: int, targets: Targets, values: Mapping[str, Value], others: Sequence[int]) -> Problem:
    """Return the problem of a row whose target other rows have too; `others` are all of them, or the first few."""
    named = [f"{other:,}" for other in others[:_ROWS_NAMED]]
    if len(others) > _ROWS_NAMED:
        listed = f"rows {', '.join(named)} and more"
    elif len(named) > 1:
        listed = f"rows {', '.join(named[:-1])} and {named[-1]}"
    else:
        listed = f"row {named[0]}"
    field = targets.first_field
    return Problem(
        row,
        field.name if field else None,
        "duplicate-target",
        shown(values.get(field.name)) if field else "",
        f"The row updates the same {targets.record_name} as {listed}.",
        "Keep one of them, or set input.duplicates to in_order to send them one after the other.",
    )
