"""A job -> the request that goes out: path, query and body, exactly as they stand on the wire."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from batch_updater.endpoint.description import Endpoint, Field, Kind, ParameterLocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.records import Job, Value


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


_json_text = json.JSONEncoder(ensure_ascii=False).encode
"""What `json.dumps` would make anew for every text."""


class Prepared(NamedTuple):
    """A job and the request that it comes to."""

    job: Job
    request: Request


class RequestBuilder:
    """Builds the requests of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._path = tuple(
            (f"{{{field.wire_name}}}", field) for field in endpoint.fields if field.location is ParameterLocation.PATH
        )
        self._query = tuple(
            (field.name, f"{quote(field.wire_name, safe='')}=", field)
            for field in endpoint.fields
            if field.location is ParameterLocation.QUERY
        )
        self._body = tuple(
            (field.name, f"{json.dumps(field.wire_name)}: ", _member_writer(field)) for field in endpoint.body_fields
        )

    def build_read(self, job: Job) -> Request:
        """Build the request that reads the job's record. Raises ValueError as `build` does, and without a `read`."""
        read = self._endpoint.read
        if read is None:
            raise ValueError(f"{self._endpoint.name} describes no way to read a record")
        query = "&".join(
            start + _quoted(written(field, job.values[name]))
            for name, start, field in self._query
            if name in read.query and name in job.values
        )
        return Request("GET", self._filled(read.path, job), query, b"", self._endpoint.content_type)

    def _filled(self, path: str, job: Job) -> str:
        for place, field in self._path:
            value = job.values[field.name]
            path = path.replace(place, str(value) if type(value) is int else segment(written(field, value)))
        return path

    def build(self, job: Job) -> Request:
        """Build one job's request. Runs for every row: kept lean.

        Raises ValueError if a value cannot be one path segment (empty, `.`, `..`, control characters) or cannot be
        written in UTF-8: the loader refuses such values, this is the last line of defence.
        """
        values, endpoint = job.values, self._endpoint
        path = self._filled(endpoint.path, job)
        query = "&".join(
            [start + _quoted(written(field, values[name])) for name, start, field in self._query if name in values]
        )
        members = [start + write(values[name]) for name, start, write in self._body if name in values]
        body = f"{{{', '.join(members)}}}".encode()
        return Request(endpoint.method, path, query, body, endpoint.content_type)


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """Return a text as a query holds it; most rows have one of a few."""
    return quote(text, safe="")


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


def _member_writer(field: Field) -> Callable[[Value], str]:
    """Return what writes a field's value as JSON; a Decimal keeps its digits, as the standard encoder would not do."""
    is_text = field.kind is Kind.TEXT

    def write(value: Value) -> str:
        if value is None:
            return "null"
        if is_text and isinstance(value, str):
            return _json_text(value)
        if is_text or isinstance(value, date):
            return _json_text(written(field, value))
        return written(field, value)

    return write


def _date(value: date, pattern: str) -> str:
    # %Y pads years below 1000 with zeros on some platforms and not on others.
    return value.strftime(pattern.replace("%Y", f"{value.year:04d}"))
