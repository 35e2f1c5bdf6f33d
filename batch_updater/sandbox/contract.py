"""What a request must look like, read off the bytes as they arrived.

Written from the API's published contract, and stricter than it where strictness shows a mistake of the client: a
number in quotation marks, a doubled key or a doubled query parameter is refused, not repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

Given: TypeAlias = str | int | Decimal | date | None
"""The value of a body field; None is JSON's null."""

TYPES = ("Pre", "Post")
DEFAULT_LANGUAGE = 1
TEXT_FIELDS = ("OpportunityName", "OpportunityID", "CategoryName", "StageName")
DECIMAL_FIELDS = ("AcctPotential", "SalesRevenue")
DATE_FIELD = "PendingCloseDate"
_DATE_FORMATS = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "%Y-%m-%d"),
    (re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}"), "%m/%d/%Y"),
    (re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}"), "%d/%m/%Y"),
)
_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


class Invalid(Exception):  # noqa: N818  (a verdict about a request, answered with 400; no error of the sandbox)
    """The request is not valid; the text is the answer's `ValidationMessage`."""


class Query(msgspec.Struct, frozen=True):
    """What the query says."""

    type: str | None
    """None if it is not there."""
    language: int


def read_id(segment: str) -> int:
    """Return the number that a percent-encoded path segment holds."""
    text = unquote(segment)
    if not _WHOLE_NUMBER.fullmatch(text):
        raise Invalid(f"The value '{text}' is not valid for Id.")
    return int(text)


def read_query(query: str) -> Query:
    """Return the query's parameters; unknown ones are ignored."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Invalid("The query cannot be read.") from error
    given = _without_doubles([pair for pair in pairs if pair[0] in ("opportunityType", "LanguageId")])
    kind = given.get("opportunityType")
    if kind is not None and kind not in TYPES:
        raise Invalid(f"The value '{kind}' is not valid for opportunityType. Use Pre or Post.")
    language = given.get("LanguageId", str(DEFAULT_LANGUAGE))
    if not _WHOLE_NUMBER.fullmatch(str(language)):
        raise Invalid(f"The value '{language}' is not valid for LanguageId.")
    return Query(None if kind is None else str(kind), int(str(language)))


def read_change(body: bytes) -> Mapping[str, Given]:
    """Return the known fields of a body, each with its value; unknown fields are ignored."""

    def refuse_constant(name: str) -> Decimal:
        raise Invalid(f"The request body is not valid JSON in UTF-8: {name} is no number.")

    try:
        parsed = json.loads(
            body.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=refuse_constant,
            object_pairs_hook=_without_doubles,
        )
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise Invalid(f"The request body is not valid JSON in UTF-8: {error}") from error
    if not isinstance(parsed, dict):
        raise Invalid("The request body is not a JSON object.")
    return {name: _READERS[name](name, value) for name, value in parsed.items() if name in _READERS}


def _without_doubles(pairs: list[tuple[str, object]] | list[tuple[str, str]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("A name is given twice in the request.")
    return found


def _text(name: str, value: object) -> Given:
    if value is None or (isinstance(value, str) and value.isascii()):
        return value
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise Invalid(f"The value of {name} is not a string.")
    return value


def _decimal(name: str, value: object) -> Given:
    if value is None or (isinstance(value, (int, Decimal)) and not isinstance(value, bool)):
        return value
    raise Invalid(f"The value of {name} is not a decimal.")


def _date(name: str, value: object) -> Given:
    if value is None:
        return None
    if isinstance(value, str):
        for form, pattern in _DATE_FORMATS:
            if form.fullmatch(value) and (day := _day(value, pattern)):
                return day
    raise Invalid(f"The value of {name} is not a date. Use yyyy-MM-dd, MM/dd/yyyy or dd/MM/yyyy.")


def _day(text: str, pattern: str) -> date | None:
    try:
        return datetime.strptime(text, pattern).replace(tzinfo=UTC).date()
    except ValueError:
        return None


_READERS = {**dict.fromkeys(TEXT_FIELDS, _text), **dict.fromkeys(DECIMAL_FIELDS, _decimal), DATE_FIELD: _date}
