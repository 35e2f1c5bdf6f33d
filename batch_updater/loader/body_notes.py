"""What a person should know of the body that rows make: fields that no column can be, and lists that are replaced."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from batch_updater.endpoint.description import Endpoint, Field, Kind, OpenKind, ParameterLocation
from batch_updater.messages import counted

_FIELDS_NAMED = 8


def body_notes(endpoint: Endpoint, names: Collection[str]) -> Iterator[str]:
    """Yield them as sentences; `names` are the fields that have a column or are the same in every row."""
    if left_out := endpoint.left_out:
        listed = ", ".join(f"{one.field} ({one.why})" for one in left_out[:_FIELDS_NAMED])
        more = f" and {len(left_out) - _FIELDS_NAMED:,} more" if len(left_out) > _FIELDS_NAMED else ""
        columns = "a column" if len(left_out) == 1 else "columns"
        note = f"{counted(len(left_out), 'field')} of the description cannot be {columns}: {listed}{more}."
        warning = f" PUT may empty what is not sent: try with one {endpoint.record_name} whether their values stay."
        yield note + (warning if endpoint.method == "PUT" else "")
    if lists := list(dict.fromkeys(filter(None, (_replaced(endpoint, endpoint.field(name)) for name in names)))):
        listed = ", ".join(lists[:_FIELDS_NAMED]) + (" and more" if len(lists) > _FIELDS_NAMED else "")
        yield f"A list that is sent takes the place of the record's whole list: {listed}."


def _replaced(endpoint: Endpoint, field: Field) -> str | None:
    """Return the name of the list of the record that a field replaces; None if it replaces none.

    A list that answers with the record do not have is none of the record's, but says what to do with it. Where no
    answer is described, that cannot be told.
    """
    knows_record = bool(endpoint.record_properties or (endpoint.read and endpoint.read.properties))
    if field.location is not ParameterLocation.BODY:
        return None
    if field.kind is Kind.LIST or field.is_json_array:
        return field.name if field.reported_as or not knows_record else None
    return next(
        (
            part.name
            for part in endpoint.opens
            if part.kind is OpenKind.ITEMS
            and field.path[: len(part.path)] == part.path
            and (part.reported_as or not knows_record)
        ),
        None,
    )
