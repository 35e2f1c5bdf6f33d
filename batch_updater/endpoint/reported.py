"""Values as an API reports them, in JSON's own types: compared, and converted to a field's value or to text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from batch_updater.endpoint.description import Field, Kind, Pair, Step
from batch_updater.endpoint.exact_json import number_of, to_json
from batch_updater.endpoint.request import wire_text
from batch_updater.records import Value

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
_NOTHING: Final = object()
"""What is where a path does not lead."""
_MOST_MARKS = 100
"""Combining marks on one letter; UAX #15 takes 30 for more than any text needs."""


def reported_value(field: Field, record: Mapping[str, object]) -> object:
    """Return what a record reports of a field, the id if no more. Raises KeyError if it reports nothing."""
    if reports(field, record):
        return value_at(record, field.reported_as)
    return record[field.reported_id_as or ""]


def reports(field: Field, record: object) -> bool:
    """Whether a record holds the value of a field, be it null."""
    return bool(field.reported_as) and value_at(record, field.reported_as, _NOTHING) is not _NOTHING


def value_at(value: object, path: Sequence[Step], otherwise: object = None) -> object:
    """Return what is at the end of a path into a value of JSON; `otherwise` if the path does not lead anywhere."""
    for step in path:
        if isinstance(step, Pair):
            elements = value if isinstance(value, list) else []
            keyed = [one for one in elements if isinstance(one, dict) and str(one.get(step.key_name)) == str(step.key)]
            value = keyed[0].get(step.value_name, _NOTHING) if len(keyed) == 1 else _NOTHING
        elif isinstance(step, str):
            value = value.get(step, _NOTHING) if isinstance(value, Mapping) else _NOTHING
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else _NOTHING
    return otherwise if value is _NOTHING else value


def parse_reported(field: Field, reported: object) -> Value:
    """Return a reported value as a value of the field; None if it is blank. Raises ValueError if it is not valid."""
    if is_blank(reported):
        return None
    if isinstance(reported, (list, dict)):
        raise ValueError("it is a list or an object")  # noqa: TRY004  (a value of the API's, not of ours)
    match field.kind:
        case Kind.TEXT:
            return reported if isinstance(reported, str) else to_json(reported)
        case Kind.BOOLEAN:
            truth = {"true": True, "false": False}.get(str(reported).strip().lower())
            if truth is None:
                raise ValueError("it is neither true nor false")
            return truth
        case Kind.DATE:
            text = str(reported).strip()
            try:
                if day := _DAY.fullmatch(text):
                    return date.fromisoformat(day[1])
                return datetime.strptime(text, field.date_format).replace(tzinfo=UTC).date()
            except ValueError:
                raise ValueError("it is not a date") from None
    number = number_of(reported)
    if number is None:
        raise ValueError("it is not a number that can be written out")
    if field.kind is Kind.DECIMAL:
        return number
    if number != number.to_integral_value():
        raise ValueError("it is not a whole number")
    return int(number)


def reports_equal(field: Field, one: object, other: object) -> bool:
    """Whether two reports of a field are equal: decimals by value, dates by their day, null equals blank."""
    try:
        value = parse_reported(field, one)
    except ValueError:
        return to_json(one) == to_json(other)
    return equals_reported(field, value, other)


def equals_reported(field: Field, value: Value, reported: object) -> bool:
    """Whether a reported value is this value of the field; null equals blank."""
    if reported == value and type(reported) is type(value):  # nearly always
        return True
    if value is None or is_blank(reported):
        return is_blank(reported) and is_blank(value)
    if isinstance(reported, (list, dict)):
        return False
    if isinstance(value, bool):
        return as_text(reported).casefold() == wire_text(field, value)
    if field.kind in (Kind.INTEGER, Kind.DECIMAL):
        return number_of(reported) == Decimal(str(value))
    if isinstance(value, date):
        text = as_text(reported).strip()
        day = _DAY.fullmatch(text)
        return (day is not None and day[1] == value.isoformat()) or text == wire_text(field, value)
    return _normal(as_text(reported)) == _normal(str(value))


def is_blank(value: object) -> bool:
    """Whether a value is null or a text of blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def as_text(reported: object) -> str:
    """Return a reported value as people read it; '' for null."""
    if isinstance(reported, (list, dict)):
        return to_json(reported)
    if reported is None:
        return ""
    return str(reported).lower() if isinstance(reported, bool) else str(reported)


def _normal(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text.strip()
    # Sorting n combining marks takes n² time, so a text with more in a row than any script has stays as it is.
    runs = groupby(text, lambda character: unicodedata.combining(character) > 0) if len(text) > _MOST_MARKS else ()
    is_endless = any(is_mark and len(list(marks)) > _MOST_MARKS for is_mark, marks in runs)
    return (text if is_endless else unicodedata.normalize("NFC", text)).strip()
