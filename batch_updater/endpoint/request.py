"""Builds the request of a job: path, query, headers and body, exactly as they go out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

import msgspec

from batch_updater.endpoint.description import BodyFormat, Endpoint, Field, Kind, Pair, ParameterLocation, Step
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.records import Job, Value


class Request(msgspec.Struct, frozen=True):
    """One request, ready to be sent."""

    method: str
    path: str
    """Percent-encoded, with a leading slash; to be appended to the base URL."""
    query: str
    """Percent-encoded, without the question mark; '' if there is none."""
    body: bytes
    """In UTF-8, in the format of `Endpoint.body_format`; empty where there is none."""
    content_type: str
    """The same for all requests of the endpoint; '' without a body, and where `headers` has it with a boundary."""
    headers: tuple[tuple[str, str], ...] = ()
    """Those that the row's values make, in ASCII."""


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
_HEADER_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What a field value may be that every server takes for the same (RFC 9110, section 5.5)."""
ANY_VERSION = "*"
"""What If-Match says where any version of the record will do (RFC 9110, section 13.1.1)."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""
_RESERVED_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers of the connection, the body and the account, which no row decides."""
_OF_PATHS = "/:@!$&'()*+,;=-._~%"
"""What stays as it is in the fixed parts of a path (RFC 3986, section 3.3)."""


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
            _parameter(quote(field.wire_name, safe=""), field) for field in by_location[ParameterLocation.QUERY]
        )
        self._headers = tuple(one for one in by_location[ParameterLocation.HEADER] if is_header_of_rows(one.wire_name))
        self._body = _body_of(by_location[ParameterLocation.BODY], endpoint.body_format)
        self._empty_body = ""
        if endpoint.body_format is BodyFormat.JSON:
            self._empty_body = "[]" if self._body.is_list else "{}"
        elif endpoint.body_format is BodyFormat.JSON_PATCH:
            self._empty_body = "[]"

    def build_read(self, job: Job) -> Request:
        """Build the request that reads the job's record. Raises ValueError as `build` does, and without a `read`."""
        read = self._endpoint.read
        if read is None:
            raise ValueError(f"{self._endpoint.name} describes no way to read a record")
        of_row = (
            one.start + one.write(job.values[one.name])
            for one in self._query
            if one.name in read.query and one.name in job.values
        )
        query = "&".join(filter(None, (read.more_query, *of_row)))
        (path,) = self._paths(read.path, [job.values])
        return Request("GET", path, query, b"", "", self.headers(job.values))

    def build(self, job: Job) -> Request:
        """Build the request that updates the job's record.

        Raises ValueError if a value cannot be a path segment (empty, `.`, `..`, control characters), cannot be a
        header, or cannot be encoded in UTF-8. The loader refuses such values first.
        """
        (path,), (query,), (body,) = self.texts([job.values])
        return self.of(job, path, query, body)

    def of(self, job: Job, path: str, query: str, body: str) -> Request:
        """Return the request of a job whose texts have been built. Raises ValueError if a value cannot be a header."""
        endpoint = self._endpoint
        headers = self.headers(job.values) if self._headers else ()
        content, content_type = body.encode(), endpoint.content_type
        if endpoint.body_format is BodyFormat.MULTIPART:
            content, boundary = _parts_of(body)
            headers = (*headers, ("Content-Type", f"{content_type}; boundary={boundary}"))
            content_type = ""
        return Request(endpoint.method, path, query, content, content_type, headers)

    def headers(self, values: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
        """Return the headers that a row's values make. Raises ValueError as `header_value` does."""
        return tuple(
            (field.wire_name, header_value(wire_text(field, value)))
            for field in self._headers
            if (value := values.get(field.name)) is not None
        )

    def texts(self, rows: Sequence[Mapping[str, Value]]) -> RequestTexts:
        """Build the texts of the requests of some rows, given their values, as `build` does of one.

        Runs for every row: kept lean. Column by column is faster than row by row.
        """
        names = set[str]().union(*rows)
        queries = [one.column(rows) for one in self._query if one.name in names]
        bodies = self._body.column(rows, names)
        if bodies is None:
            bodies = [self._empty_body] * len(rows)
        elif "" in bodies:
            bodies = [body or self._empty_body for body in bodies]
        return RequestTexts(self._paths(self._endpoint.path, rows), _joined("&", queries, len(rows)), bodies)

    def _paths(self, path: str, rows: Sequence[Mapping[str, Value]]) -> list[str]:
        # What follows a # tells operations of one path apart, and is never sent (RFC 3986, section 3.5).
        path = quote(path.partition("#")[0], safe=f"{_OF_PATHS}{{}}")
        paths = [path] * len(rows)
        for name, field in self._path:
            placeholder = quote(name, safe=f"{_OF_PATHS}{{}}")
            # OData, URL Conventions 4.01, section 5.1.1.6.1: 'O''Brien' is the text O'Brien.
            quotes = "''" if f"'{placeholder}'" in path else "'"
            column = [values[field.name] for values in rows]
            segments = [
                str(value) if type(value) is int else path_segment(wire_text(field, value).replace("'", quotes))
                for value in column
            ]
            paths = [path.replace(placeholder, segment) for path, segment in zip(paths, segments, strict=True)]
        return paths


class _Value(NamedTuple):
    """A field as a part of a body or query."""

    name: str
    start: str
    """What is written before its value."""
    write: Callable[[Value], str]

    def column(self, rows: Sequence[Mapping[str, Value]]) -> list[str]:
        """Return its text in each of some rows; '' where it has no value."""
        name, start, write = self
        return [start + write(values[name]) if name in values else "" for values in rows]


class _Part(msgspec.Struct):
    """An object, a list or one of its elements in a body: parts with values, in order."""

    field: Field | None = None
    """The one whose value is all of it; it may have members as well, if that is a cell of JSON."""
    value: _Value | None = None
    """How that is written."""
    members: dict[Step | tuple[str, str | int], _Part] = msgspec.field(default_factory=dict)
    """By name or position; the elements of a list of pairs by their keys."""
    before: str = ""
    """What is written before what is inside. So `after`; neither where it is nothing."""
    after: str = ""
    separator: str = ", "
    index: str = ""
    """What stands for the position of each element, of a list in a form."""

    @property
    def is_list(self) -> bool:
        """Whether its members are elements."""
        return any(not isinstance(step, str) for step in self.members)

    def column(self, rows: Sequence[Mapping[str, Value]], names: set[str]) -> list[str] | None:
        """Return its text in each of some rows, '' where nothing in it has a value; None if that is in all of them.

        `names` are the fields that have a value in any row.
        """
        own = self.value.column(rows) if self.value is not None and self.value.name in names else None
        columns = [one for part in self.members.values() if (one := part.column(rows, names)) is not None]
        if not columns:
            return own
        if self.index:
            texts = [
                "&".join([text.replace(self.index, f"[{at}]") for at, text in enumerate(filter(None, row))])
                for row in zip(*columns, strict=True)
            ]
        else:
            texts = columns[0] if len(columns) == 1 else _joined(self.separator, columns, len(rows))
        if self.before:
            before, after = self.before, self.after
            texts = [f"{before}{text}{after}" if text else "" for text in texts]
        if own is None:
            return texts
        if any(map(all, zip(own, texts, strict=True))):
            raise ValueError("a part of the body has a value of its own and values below it")
        return [one or other for one, other in zip(own, texts, strict=True)]


def _body_of(fields: Sequence[Field], body_format: BodyFormat) -> _Part:
    """Return the body of which the paths of its fields are the parts."""
    root = _Part()
    match body_format:
        case BodyFormat.JSON:
            for field in fields:
                _place(root, field).field = field
            _finish_json(root, "")
        case BodyFormat.FORM | BodyFormat.MULTIPART:
            for field in fields:
                _place(root, field).field = field
            _finish_form(root, "")
        case BodyFormat.JSON_PATCH:
            root = _Part(before="[", after="]")
            for field in fields:
                operation = f'{{"op": "replace", "path": {json.dumps(_pointer(field.path))}, "value": '
                value = _Part(field, _Value(field.name, "", _json_writer(field)))
                root.members[field.name] = _Part(members={"value": value}, before=operation, after="}")
        case BodyFormat.NONE:
            pass
    return root


def _place(root: _Part, field: Field) -> _Part:
    """Return the part where a field's path leads, made with all above it."""
    part = root
    for step in field.path:
        if isinstance(step, Pair):
            part = part.members.setdefault((step.key_name, step.key), _Part())
            part = part.members.setdefault(step.value_name, _Part())
        else:
            part = part.members.setdefault(step, _Part())
    return part


def _finish_json(part: _Part, start: str) -> None:
    """Say how a part and everything in it is written as JSON; `start` is what is written before it."""
    if part.field is not None:
        part.value = _Value(part.field.name, start, _json_writer(part.field))
    opening, part.after = "[]" if part.is_list else "{}"
    part.before = start + opening
    for step, member in _in_order(part):
        _finish_json(member, f"{json.dumps(step)}: " if isinstance(step, str) else "")
        if isinstance(step, tuple):
            member.before = f"{{{json.dumps(step[0])}: {json.dumps(step[1])}, "


def _finish_form(part: _Part, name: str, depth: int = 0) -> None:
    """Say how a part and everything in it is written in a form, where it has a name with brackets: `a[b][0]`."""
    part.separator = "&"
    if part.field is not None:
        part.value = _parameter(name, part.field)
    part.index = f"\0{depth}\0" if part.is_list else ""
    for step, member in _in_order(part):
        if not isinstance(step, str):
            inner = f"{name}{part.index}"
        else:
            inner = f"{name}[{quote(step, safe='')}]" if name else quote(step, safe="")
        _finish_form(member, inner, depth + 1)
        if isinstance(step, tuple):
            key_name, key = step
            member.before = f"{inner}[{quote(key_name, safe='')}]={quote(str(key), safe='')}&"


def _parts_of(form: str) -> tuple[bytes, str]:
    """Return a form as the parts of `multipart/form-data` (RFC 7578), and the boundary between them.

    The boundary is made of all that the parts say: a repeated request is the same, and no value can contain it.
    """
    boundary = sha256(form.encode()).hexdigest()[:32]
    parts = []
    for name, text in parse_qsl(form, keep_blank_values=True):
        # What would end the name is written as browsers do (HTML, "multipart form data").
        shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{shown}"\r\n\r\n{text}\r\n')
    return f"{''.join(parts)}--{boundary}--\r\n".encode(), boundary


def _in_order(part: _Part) -> list[tuple[Step | tuple[str, str | int], _Part]]:
    """Put the members of a part in order, the elements of a list by their positions, and return them."""
    members = sorted(part.members.items(), key=lambda one: one[0] if isinstance(one[0], int) else math.inf)
    part.members = dict(members)
    return members


def _pointer(path: Sequence[Step]) -> str:
    """Return a path as a JSON Pointer (RFC 6901). Raises ValueError if it leads to an element with a key."""
    if any(isinstance(step, Pair) for step in path):
        raise ValueError("a JSON Patch cannot name the element of a list by its key")
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


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


def header_value(text: str) -> str:
    """Return a text as the value of a header.

    Raises ValueError unless it is of printable ASCII, without blanks around it: a server may read anything else
    otherwise, and a line break would end the header (RFC 9110, section 5.5).
    """
    if not is_header_value(text):
        raise ValueError(f"{text!r} cannot be the value of a header")
    return text


def is_header_value(text: str) -> bool:
    """Whether a text can be the value of a header, as `header_value` has it."""
    return _HEADER_TEXT.fullmatch(text) is not None


def is_header_of_rows(name: str) -> bool:
    """Whether rows may set the header of that name: not those of the connection, the body and the account."""
    return _HEADER_NAME.fullmatch(name) is not None and name.casefold() not in _RESERVED_HEADERS


def shown_headers(endpoint: Endpoint, request: Request, key: str, *, is_read_first: bool) -> dict[str, str]:
    """Return the headers that belong to an update alone, in words where they are not known yet.

    Not those that all requests have: the token is one of them. `key` is that of the row, `is_read_first` whether the
    record is read before its update.
    """
    headers = dict(request.headers)
    if request.content_type and endpoint.body_format is not BodyFormat.JSON:
        headers["Content-Type"] = request.content_type
    if endpoint.if_match and is_read_first:
        headers["If-Match"] = "(the version that is read)"
    elif endpoint.requires_if_match:
        headers["If-Match"] = ANY_VERSION
    if endpoint.idempotency_key is not None:
        headers[endpoint.idempotency_key] = key
    return headers


def list_items(text: str) -> list[object]:
    """Return the items of a list's value, which is the text of a JSON array."""
    items = from_json(text)
    return items if isinstance(items, list) else [items]


def json_value(field: Field, value: Value) -> object:
    """Return a field's value as a body of JSON holds it."""
    return from_json(_json_writer(field)(value))


def wire_text(field: Field, value: Value) -> str:
    """Return a value as it is written in a path, a header, a query or a form; the items of a list between commas."""
    if isinstance(value, str):
        if field.kind is Kind.LIST:
            return (field.delimiter or ",").join(map(_plain_text, list_items(value)))
        return value
    if isinstance(value, date):
        # %Y pads years below 1000 with zeros on some platforms only.
        return value.strftime(field.date_format.replace("%Y", f"{value.year:04d}"))
    return _plain_text(value)


def _plain_text(value: object) -> str:
    """Return a text, number or truth value of JSON as it is written outside of JSON; null as nothing."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return to_json(value)
    return "" if value is None else str(value)


def _json_writer(field: Field) -> Callable[[Value], str]:
    """Return the function that writes the field's values as JSON. A Decimal keeps its digits."""
    is_text = field.kind in {Kind.TEXT, Kind.DATE_TIME}
    is_json = field.kind in {Kind.LIST, Kind.JSON}
    cleared = "null" if field.clears_with is None else _json_text(field.clears_with)
    if field.kind is Kind.LIST:
        cleared = "[]"

    def write(value: Value) -> str:
        if is_text and isinstance(value, str):
            return _json_text(value)
        if value is None:
            return cleared
        if is_text or isinstance(value, date) or (isinstance(value, str) and not is_json):
            return _json_text(wire_text(field, value))
        return value if isinstance(value, str) else wire_text(field, value)

    return write


def _parameter(name: str, field: Field) -> _Value:
    """Return how a field is written as a parameter of a query or form; `name` is percent-encoded but for brackets."""
    cleared = f"{name}={_quoted(field.clears_with or '')}"
    is_indexed, delimiter = field.is_indexed or len(field.path) > 1, quote(field.delimiter, safe=",")

    def write(value: Value) -> str:
        return cleared if value is None else f"{name}={_quoted(wire_text(field, value))}"

    def write_list(value: Value) -> str:
        items = [_quoted(_plain_text(item)) for item in (list_items(value) if isinstance(value, str) else ())]
        if not items:
            return cleared
        if delimiter:
            return f"{name}={delimiter.join(items)}"
        return "&".join([f"{name}{f'[{at}]' if is_indexed else ''}={item}" for at, item in enumerate(items)])

    def write_json(value: Value) -> str:
        return cleared if value is None else "&".join(_members(name, from_json(str(value)), cleared))

    return _Value(field.name, "", {Kind.LIST: write_list, Kind.JSON: write_json}.get(field.kind, write))


def _members(name: str, value: object, cleared: str) -> Iterator[str]:
    """Yield a parameter for every value in a value of JSON, by names with brackets; `cleared` if there is none."""
    if isinstance(value, dict) and value:
        for key, member in value.items():
            inner = quote(key, safe="")
            yield from _members(f"{name}[{inner}]" if name else inner, member, f"{name}[{inner}]=")
    elif isinstance(value, list) and value:
        for at, item in enumerate(value):
            yield from _members(f"{name}[{at}]", item, f"{name}[{at}]=")
    else:
        yield cleared if value is None or value in ([], {}) else f"{name}={_quoted(_plain_text(value))}"
