"""Which record a row updates, and the problem of rows that update the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from batch_updater.endpoint.description import Endpoint, Field, ParameterLocation
from batch_updater.endpoint.request import wire_text
from batch_updater.loader.refusal import shown
from batch_updater.records import Problem, Value

_MOST_PARTS = 256
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
        self._parts: dict[str, str] = {}
        """Texts that were met -> how a target holds them; types repeat down a column."""

    @property
    def first_field(self) -> Field | None:
        """The field to name when the same record occurs twice."""
        return self._fields[0][0] if self._fields else None

    def of(self, values: Mapping[str, Value]) -> str | None:
        """Return the target in the form of a query; None if the row does not say which record it is about.

        A field that is not sent counts as what the API takes for it, if the description says what that is.
        """
        parts = []
        for field, prefix in self._fields:
            value = values.get(field.name)
            if type(value) is int:
                parts.append(prefix + str(value))
                continue
            text = value if type(value) is str else field.default if value is None else wire_text(field, value)
            if text is not None:
                part = self._parts.get(text)
                if part is None:
                    part = quote(text, safe="")
                    if len(self._parts) < _MOST_PARTS:
                        self._parts[text] = part
                parts.append(prefix + part)
            elif field.required:
                return None
        return "&".join(parts)


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
