"""Values as an API reports them, in JSON's own types: compared, and converted to a field's value or to text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from batch_updater.endpoint.description import Field, Kind, Pair, Step
from batch_updater.endpoint.exact_json import from_json, number_of, to_json
from batch_updater.endpoint.request import list_items, wire_text
from batch_updater.records import Value

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
NOTHING: Final = object()
"""What is where a path does not lead."""
_MOST_MARKS = 100
"""Combining marks on one letter; UAX #15 takes 30 for more than any text needs."""
_OF_ONE = ("id", "gid", "uuid", "guid", "key", "name", "value", "code", "slug", "login", "username", "email", "number")
"""Members by which an answer tells a record, where it has the record in place of the id or name that was sent."""
_PARSED_KINDS = frozenset({Kind.LIST, Kind.JSON})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACTNESS = timedelta(milliseconds=1)
"""Of points in time: many services keep no more."""


def reported_value(field: Field, record: Mapping[str, object]) -> object:
    """Return what a record reports of a field, the id if no more. Raises KeyError if it reports nothing."""
    if reports(field, record):
        return value_at(record, field.reported_as)
    return record[field.reported_id_as or ""]


def reports(field: Field, record: object) -> bool:
    """Whether a record holds the value of a field, be it null."""
    return bool(field.reported_as) and value_at(record, field.reported_as, NOTHING) is not NOTHING


def value_at(value: object, path: Sequence[Step], otherwise: object = None) -> object:
    """Return what is at the end of a path into a value of JSON; `otherwise` if the path does not lead anywhere.

    That is None where an object on the way is null: the record has none, so it has no member of it.
    """
    for step in path:
        if type(step) is str and type(value) is dict:  # nearly always
            value = value.get(step, NOTHING)
        elif value is None:
            return None
        elif isinstance(step, Pair):
            elements = value if isinstance(value, list) else []
            keyed = [one for one in elements if isinstance(one, dict) and str(one.get(step.key_name)) == str(step.key)]
            value = keyed[0].get(step.value_name, NOTHING) if len(keyed) == 1 else NOTHING
        elif isinstance(step, str):
            value = value.get(step, NOTHING) if isinstance(value, Mapping) else NOTHING
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else NOTHING
    return otherwise if value is NOTHING else value


def parse_reported(field: Field, reported: object) -> Value:
    """Return a reported value as a value of the field; None if it is blank. Raises ValueError if it is not valid."""
    if reported is None or (is_blank(reported) and field.kind is not Kind.JSON):
        return None
    if field.kind is Kind.JSON:
        return to_json(reported)
    if field.kind is Kind.LIST:
        if not isinstance(reported, list) or any(isinstance(item, (list, dict)) for item in reported):
            raise ValueError("it is not a list of plain values")
        return to_json(reported)
    if isinstance(reported, (list, dict)):
        raise ValueError("it is a list or an object")  # noqa: TRY004  (a value of the API's, not of ours)
    match field.kind:
        case Kind.ANY if isinstance(reported, (int, Decimal)):
            return reported
        case Kind.TEXT | Kind.ANY:
            return reported if isinstance(reported, str) else to_json(reported)
        case Kind.BOOLEAN:
            truth = {"true": True, "false": False}.get(str(reported).strip().lower())
            if truth is None:
                raise ValueError("it is neither true nor false")
            return truth
        case Kind.DATE:
            return _parse_day(field, str(reported).strip())
        case Kind.DATE_TIME:
            return _parse_moment(as_text(reported))
        case _:
            return _parse_number(field, reported)


def _parse_day(field: Field, text: str) -> date:
    try:
        if day := _DAY.fullmatch(text):
            return date.fromisoformat(day[1])
        return datetime.strptime(text, field.date_format).replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError("it is not a date") from None


def _parse_moment(text: str) -> str:
    moment = _moment(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError("it is not a date and time with a time zone")
    return moment.isoformat().replace("+00:00", "Z")


def _parse_number(field: Field, reported: object) -> int | Decimal:
    number = number_of(reported)
    if number is None:
        raise ValueError("it is not a number that can be written out")
    if field.kind is Kind.DECIMAL:
        return number
    if number != number.to_integral_value():
        raise ValueError("it is not a whole number")
    return int(number)


def told_by(field: Field, value: Value, reported: object) -> tuple[str, ...]:
    """Return the members by which an answer may tell what was sent: `name` of the labels that it has for their names.

    None of them if it reports the value itself, or no member tells; several if their values are equal.
    """
    sent = list_items(value) if field.kind is Kind.LIST and isinstance(value, str) else [value]
    objects = reported if isinstance(reported, list) else [reported]
    kind = field.item_kind if field.kind is Kind.LIST else field.kind
    if field.kind is Kind.JSON or len(sent) != len(objects) or not all(isinstance(one, dict) for one in objects):
        return ()

    def tells(name: str) -> bool:
        members = [one.get(name) for one in objects if isinstance(one, dict)]
        is_there = bool(members) and not any(map(is_blank, members))
        return is_there and _items_equal(kind, sent, members, in_order=False)

    return tuple(filter(tells, _OF_ONE))


def reduced(reported: object, member: str) -> object:
    """Return a reported value with that member in place of each object that has it."""
    if isinstance(reported, list):
        return [reduced(one, member) for one in reported]
    return reported[member] if isinstance(reported, dict) and member in reported else reported


def reports_equal(field: Field, one: object, other: object) -> bool:
    """Whether two reports of a field are equal: decimals by value, dates by their day, null equals blank."""
    try:
        value = parse_reported(field, one)
        # JSON that was asked for may be a part of what is there; a report is all of it.
        is_all = field.kind is not Kind.JSON or equals_reported(field, parse_reported(field, other), one)
    except ValueError:
        return to_json(one) == to_json(other)
    return is_all and equals_reported(field, value, other)


def equals_reported(field: Field, value: Value, reported: object, *, in_order: bool = True) -> bool:
    """Whether a reported value is this value of the field; null equals blank.

    Points in time are equal if the instant is, to the millisecond. JSON is equal if each of its members is: what the
    answer has besides is the API's own. `in_order`: whether the items of a list count as changed if only their order
    is.
    """
    if reported == value and type(reported) is type(value):  # nearly always
        return True
    if field.kind in _PARSED_KINDS and isinstance(value, str):
        asked = from_json(value)
        if field.kind is Kind.JSON or not isinstance(asked, list):
            return _holds(asked, reported)
        if not isinstance(reported, list):  # a text with delimiters
            return not asked if is_blank(reported) else _equals(Kind.TEXT, wire_text(field, value), reported)
        return _items_equal(field.item_kind, asked, reported, in_order=in_order)
    if value is None or is_blank(reported):
        return is_blank(reported) and is_blank(value)
    if isinstance(value, date):
        text = as_text(reported).strip()
        day = _DAY.fullmatch(text)
        return (day is not None and day[1] == value.isoformat()) or text == wire_text(field, value)
    return _equals(field.kind, value, reported)


def _equals(kind: Kind, value: object, reported: object) -> bool:
    """Whether a reported value, which is not blank, is this text, number or truth value."""
    if isinstance(reported, dict) and not isinstance(value, bool):
        names = [name for name in _OF_ONE if not is_blank(reported.get(name))]
        return any(not isinstance(reported[name], dict) and _equals(kind, value, reported[name]) for name in names)
    if isinstance(reported, (list, dict)):
        return False
    if isinstance(value, bool):
        return as_text(reported).casefold() == as_text(value)
    if isinstance(value, (int, Decimal)):
        return number_of(reported) == value
    if kind is Kind.DATE_TIME and _same_instant(str(value), reported):
        return True
    return _normal(as_text(reported)) == _normal(str(value))


def _items_equal(kind: Kind, asked: Sequence[object], reported: Sequence[object], *, in_order: bool) -> bool:
    if len(asked) != len(reported):
        return False
    if in_order:
        return all(_equals(kind, one, other) for one, other in zip(asked, reported, strict=True))
    left = list(reported)
    for one in asked:
        at = next((at for at, other in enumerate(left) if _equals(kind, one, other)), None)
        if at is None:
            return False
        del left[at]
    return True


def _holds(asked: object, reported: object) -> bool:
    """Whether a reported value of JSON has every member that was asked for, with equal values; null equals blank."""
    if isinstance(asked, dict) and isinstance(reported, dict):
        return all(_holds(member, reported.get(name)) for name, member in asked.items())
    if isinstance(asked, list) and isinstance(reported, list):
        return len(asked) == len(reported) and all(map(_holds, asked, reported))
    if is_blank(asked) or is_blank(reported):
        return is_blank(asked) and is_blank(reported)
    return not isinstance(asked, (dict, list)) and _equals(Kind.ANY, asked, reported)


def _same_instant(asked: str, reported: object) -> bool:
    """Whether a reported text, or number of seconds or milliseconds since 1970, is a point in time."""
    wanted = _moment(asked)
    if wanted is None:
        return False
    if wanted.tzinfo is not None and (number := number_of(reported)) is not None:
        milliseconds = Decimal((wanted - _EPOCH) // _EXACTNESS)
        return number in (milliseconds, milliseconds / 1000)
    got = _moment(as_text(reported))
    if got is None:
        return False
    if (got.tzinfo is None) != (wanted.tzinfo is None):  # a time of day without zone is local, or UTC
        if abs(got.replace(tzinfo=None) - wanted.replace(tzinfo=None)) < _EXACTNESS:
            return True
        got, wanted = (one.replace(tzinfo=one.tzinfo or UTC) for one in (got, wanted))
    return abs(got - wanted) < _EXACTNESS or got == wanted.replace(microsecond=0)


def _moment(text: str) -> datetime | None:
    """Return a text of ISO 8601 as a point in time; None if it is none."""
    try:
        return datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return None


def is_blank(value: object) -> bool:
    """Whether a value is null, a text of blanks, or a list or object with nothing in it."""
    return value is None or (not value.strip() if isinstance(value, str) else value in ([], {}))


def as_text(reported: object) -> str:
    """Return a reported value as people read it, the plain values of a list between commas; '' for null or no item."""
    if isinstance(reported, list) and not any(isinstance(item, (list, dict)) for item in reported):
        return ", ".join(map(as_text, reported))
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
