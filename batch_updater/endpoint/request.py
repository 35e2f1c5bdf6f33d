"""Builds the request of a job: path, query and body, exactly as they go out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from batch_updater.endpoint.description import Endpoint, Field, Kind, ParameterLocation
from batch_updater.records import Job, Value


class Request(msgspec.Struct, frozen=True):
    """One request, ready to be sent."""

    method: str
    path: str
    """Percent-encoded, with a leading slash; to be appended to the base URL."""
    query: str
    """Percent-encoded, without the question mark; '' if there is none."""
    body: bytes
    """JSON in UTF-8."""
    content_type: str


class RequestTexts(NamedTuple):
    """What differs between the requests of an endpoint, as in `Request`, for each of some rows."""

    paths: list[str]
    queries: list[str]
    bodies: list[str]


class Prepared(NamedTuple):
    """A job and its request."""

    job: Job
    request: Request


_json_text = json.encoder.encode_basestring
"""`json.dumps` with `ensure_ascii=False` comes to the same, but makes an encoder for every text."""


class RequestBuilder:
    """Builds the requests of one endpoint. A field without a value is not sent."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        by_location = {
            location: [field for field in endpoint.fields if field.location is location]
            for location in ParameterLocation
        }
        self._path = tuple((f"{{{field.wire_name}}}", field) for field in by_location[ParameterLocation.PATH])
        self._query = tuple(
            (field.name, f"{quote(field.wire_name, safe='')}=", field) for field in by_location[ParameterLocation.QUERY]
        )
        self._body = tuple(
            (field.name, f"{json.dumps(field.wire_name)}: ", _json_writer(field))
            for field in by_location[ParameterLocation.BODY]
        )

    def build_read(self, job: Job) -> Request:
        """Build the request that reads the job's record. Raises ValueError as `build` does, and without a `read`."""
        read = self._endpoint.read
        if read is None:
            raise ValueError(f"{self._endpoint.name} describes no way to read a record")
        query = "&".join(
            start + _quoted(wire_text(field, job.values[name]))
            for name, start, field in self._query
            if name in read.query and name in job.values
        )
        (path,) = self._paths(read.path, [job.values])
        return Request("GET", path, query, b"", self._endpoint.content_type)

    def build(self, job: Job) -> Request:
        """Build the request that updates the job's record.

        Raises ValueError if a value cannot be a path segment (empty, `.`, `..`, control characters) or cannot be
        encoded in UTF-8. The loader refuses such values first.
        """
        (path,), (query,), (body,) = self.texts([job.values])
        return Request(self._endpoint.method, path, query, body.encode(), self._endpoint.content_type)

    def texts(self, rows: Sequence[Mapping[str, Value]]) -> RequestTexts:
        """Build the texts of the requests of some rows, given their values, as `build` does of one.

        Runs for every row: kept lean. Column by column is faster than row by row.
        """
        names = set[str]().union(*rows)
        queries = [
            [start + _quoted(wire_text(field, values[name])) if name in values else "" for values in rows]
            for name, start, field in self._query
            if name in names
        ]
        members = [
            [start + write(values[name]) if name in values else "" for values in rows]
            for name, start, write in self._body
            if name in names
        ]
        bodies = [f"{{{body}}}" for body in _joined(", ", members, len(rows))]
        return RequestTexts(self._paths(self._endpoint.path, rows), _joined("&", queries, len(rows)), bodies)

    def _paths(self, path: str, rows: Sequence[Mapping[str, Value]]) -> list[str]:
        paths = [path] * len(rows)
        for placeholder, field in self._path:
            column = [values[field.name] for values in rows]
            segments = [str(value) if type(value) is int else path_segment(wire_text(field, value)) for value in column]
            paths = [path.replace(placeholder, segment) for path, segment in zip(paths, segments, strict=True)]
        return paths


def _joined(separator: str, columns: Sequence[Sequence[str]], count: int) -> list[str]:
    """Return the texts of each of `count` rows as one, but for those that are empty."""
    if not columns:
        return [""] * count
    return [separator.join(filter(None, texts)) for texts in zip(*columns, strict=True)]


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """Return a text as a query holds it. Cached because most rows have one of a few."""
    return quote(text, safe="")


def path_segment(text: str) -> str:
    """Return a text as exactly one path segment (RFC 3986, section 3.3).

    Raises ValueError if it cannot be one: a dot segment leads out of its folder even if it is encoded.
    """
    if text in {"", ".", ".."} or not text.isprintable():
        raise ValueError(f"{text!r} cannot be a path segment")
    return quote(text, safe="")


def wire_text(field: Field, value: Value) -> str:
    """Return a value as it is written in a path or a query."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        # %Y pads years below 1000 with zeros on some platforms only.
        return value.strftime(field.date_format.replace("%Y", f"{value.year:04d}"))
    return str(value)


def _json_writer(field: Field) -> Callable[[Value], str]:
    """Return the function that writes the field's values as JSON. A Decimal keeps its digits."""
    is_text = field.kind is Kind.TEXT

    def write(value: Value) -> str:
        if is_text and isinstance(value, str):
            return _json_text(value)
        if value is None:
            return "null"
        if is_text or isinstance(value, date):
            return _json_text(wire_text(field, value))
        return wire_text(field, value)

    return write
