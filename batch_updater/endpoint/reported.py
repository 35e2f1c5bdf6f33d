"""What an API reports of a field, in JSON's own types -> the field's value, and whether two reports say the same."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from batch_updater.endpoint.compare import same
from batch_updater.endpoint.description import Field, Kind
from batch_updater.endpoint.exact_json import number_of, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from batch_updater.records import Value

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")


def reported_in(field: Field, record: Mapping[str, object]) -> object:
    """Return what a record reports of a field, an id where it has no more. Raises KeyError if it reports nothing."""
    if field.reported_as is not None and field.reported_as in record:
        return record[field.reported_as]
    return record[field.reported_id_as or ""]


def value_of(field: Field, got: object) -> Value:
    """Return the field's value that a report stands for; None if it is blank. Raises ValueError if it is none."""
    if got is None or (isinstance(got, str) and not got.strip()):
        return None
    if isinstance(got, (list, dict)):
        raise ValueError("it is a list or an object")  # noqa: TRY004  (a value of the API's, not of ours)
    match field.kind:
        case Kind.TEXT:
            return got if isinstance(got, str) else to_json(got)
        case Kind.BOOLEAN:
            return _truth(got)
        case Kind.DATE:
            return _date(field, str(got).strip())
        case Kind.INTEGER:
            number = _number(got)
            if number != number.to_integral_value():
                raise ValueError("it is not a whole number")
            return int(number)
        case Kind.DECIMAL:
            return _number(got)


def alike(field: Field, one: object, other: object) -> bool:
    """Whether two reports of a field say the same: decimals by value, dates by their day, null equals blank."""
    try:
        value = value_of(field, one)
    except ValueError:
        value = to_json(one)
        return value == to_json(other)
    return same(field, value, other)


def _truth(got: object) -> bool:
    truth = {"true": True, "false": False}.get(str(got).strip().lower())
    if truth is None:
        raise ValueError("it is neither true nor false")
    return truth


def _date(field: Field, text: str) -> date:
    day = _DAY.fullmatch(text)
    try:
        if day:
            return date.fromisoformat(day[1])
        return datetime.strptime(text, field.date_format).replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError("it is not a date") from None


def _number(got: object) -> Decimal:
    number = number_of(got)
    if number is None:
        raise ValueError("it is not a number that can be written out")
    return number
