"""A job -> the request that goes out: path, query and body, exactly as they stand on the wire."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from batch_updater.endpoint.description import Endpoint, Field, Kind, Location

if TYPE_CHECKING:
    from batch_updater.model import Job, Value


class Request(NamedTuple):
    """One request, ready for the wire."""

    method: str
    path: str
    """Percent-encoded, with a leading slash; to be appended to the base URL."""
    query: str
    """Percent-encoded, without the question mark; '' if there is none."""
    body: bytes
    """JSON in UTF-8."""
    content_type: str

    @property
    def digest(self) -> bytes:
        """16 bytes that differ for requests that differ."""
        text = f"{self.method} {self.path}?{self.query}\n".encode()
        return hashlib.blake2b(text + self.body, digest_size=16).digest()


class Prepared(NamedTuple):
    """A job and the request that it comes to."""

    job: Job
    request: Request


class RequestBuilder:
    """Builds the requests of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._path = tuple(field for field in endpoint.fields if field.location is Location.PATH)
        self._query = tuple(
            (field, f"{quote(field.wire_name, safe='')}=")
            for field in endpoint.fields
            if field.location is Location.QUERY
        )
        self._body = tuple((field, f"{json.dumps(field.wire_name)}: ") for field in endpoint.body_fields)

    def build(self, job: Job) -> Request:
        """Build one job's request.

        Raises ValueError if a value cannot be one path segment (empty, `.`, `..`, control characters) or cannot be
        written in UTF-8: the loader refuses such values, this is the last line of defence.
        """
        values = job.values
        path = self._endpoint.path
        for field in self._path:
            path = path.replace(f"{{{field.wire_name}}}", segment(written(field, values[field.name])))
        query = "&".join(
            name + quote(written(field, values[field.name]), safe="")
            for field, name in self._query
            if field.name in values
        )
        members = (name + _member(field, values[field.name]) for field, name in self._body if field.name in values)
        body = f"{{{', '.join(members)}}}".encode()
        return Request(self._endpoint.method, path, query, body, self._endpoint.content_type)


def segment(text: str) -> str:
    """Return a text as exactly one path segment (RFC 3986, section 3.3).

    Raises ValueError if it cannot be one: a dot segment would lead out of its folder even when it is encoded.
    """
    if text in {"", ".", ".."} or not text.isprintable():
        raise ValueError(f"{text!r} cannot be a path segment")
    return quote(text, safe="")


def written(field: Field, value: Value) -> str:
    """Return a value as it is written in a path or a query."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return _date(value, field.date_format)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _member(field: Field, value: Value) -> str:
    """Return a value as JSON; a Decimal keeps its digits, which the standard encoder would not do."""
    if value is None:
        return "null"
    if field.kind is Kind.TEXT or isinstance(value, date):
        return json.dumps(written(field, value), ensure_ascii=False)
    return written(field, value)


def _date(value: date, pattern: str) -> str:
    # %Y pads years below 1000 with zeros on some platforms and not on others.
    return value.strftime(pattern.replace("%Y", f"{value.year:04d}"))
