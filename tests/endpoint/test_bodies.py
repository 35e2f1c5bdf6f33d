"""endpoint/request.py: bodies of every format, read back by parsers that have nothing to do with the writer."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import HTTP
from typing import TypeAlias
from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.description import BodyFormat, Endpoint, Field, Kind, Pair, ParameterLocation, Step
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.records import Job, Value

NEXUS = load_endpoint("nexus-opportunity")
TEXT = replace(
    NEXUS.field("OpportunityName"), required=False, reported_as=(), aliases=(), is_identifier=False, nullable=True
)
Shape: TypeAlias = "Kind | dict[str, Shape] | list[Shape] | tuple[list[int | str], list[Shape]]"
Path: TypeAlias = tuple[Step, ...]


def field(*path: Step, kind: Kind = Kind.TEXT, name: str = "", **facts: object) -> Field:
    return replace(
        TEXT, name=name or repr(path), wire_name=str(path[-1]) if path else "", path=path, kind=kind, **facts
    )


def endpoint(*fields: Field, body_format: BodyFormat = BodyFormat.JSON, path: str = "/things") -> Endpoint:
    return replace(NEXUS, path=path, fields=fields, body_format=body_format)


def body(fields: dict[Field, Value], body_format: BodyFormat = BodyFormat.JSON) -> str:
    """Return the body of a row that has these values."""
    values = {one.name: value for one, value in fields.items()}
    return RequestBuilder(endpoint(*fields, body_format=body_format)).build(Job(2, "", values)).body.decode()


def leaves(shape: Shape, *path: Step) -> list[tuple[Path, Kind]]:
    """Return the paths of all values in a shape."""
    match shape:
        case dict():
            return [leaf for name, inner in shape.items() for leaf in leaves(inner, *path, name)]
        case list():
            return [leaf for at, inner in enumerate(shape) for leaf in leaves(inner, *path, at)]
        case tuple():
            pairs = zip(*shape, strict=False)
            return [leaf for key, inner in pairs for leaf in leaves(inner, *path, Pair("id", key, "value"))]
    return [(path, shape)]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="[]"), min_size=1, max_size=6)
KEYS = st.lists(st.integers(-5, 10**12), min_size=1, max_size=3, unique=True) | st.lists(
    NAMES, min_size=1, max_size=3, unique=True
)
SHAPES: st.SearchStrategy[Shape] = st.recursive(
    st.sampled_from(list(Kind)),
    lambda inner: (
        st.dictionaries(NAMES, inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3)
        | st.tuples(KEYS, st.lists(inner, min_size=3, max_size=3))
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, SHAPES, min_size=1, max_size=4)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=3)
DATES = st.dates()
PLAIN = st.one_of(TEXTS, st.integers(), NUMBERS, st.booleans())
LISTS = st.lists(TEXTS | st.integers(-(2**60), 2**60) | st.booleans(), min_size=1, max_size=4)
VALUES: dict[Kind, st.SearchStrategy[Value]] = {
    Kind.TEXT: TEXTS,
    Kind.INTEGER: st.integers(),
    Kind.DECIMAL: NUMBERS,
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: DATES,
    Kind.DATE_TIME: st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    Kind.LIST: LISTS.map(json.dumps),
    Kind.JSON: LISTS.map(lambda items: json.dumps({"a": items, "b": {"c": None}})),
    Kind.ANY: PLAIN | DATES,
}


@st.composite
def rows(draw: st.DrawFn, shapes: st.SearchStrategy[Shape] = OBJECTS) -> tuple[list[Field], dict[Field, Value]]:
    """Draw the fields of a body, and a row that has values for some of them."""
    fields = [field(*path, kind=kind) for path, kind in leaves(draw(shapes))]
    filled = draw(st.sets(st.sampled_from(fields), min_size=1)) if fields else set()
    assume(filled)
    return fields, {one: draw(VALUES[one.kind]) for one in fields if one in filled}


def sent(fields: list[Field], row: dict[Field, Value], body_format: BodyFormat) -> str:
    values = {one.name: value for one, value in row.items()}
    return RequestBuilder(endpoint(*fields, body_format=body_format)).build(Job(2, "", values)).body.decode()


def positions(path: Path, filled: list[Path]) -> list[str | int | Pair]:
    """Return where a path leads once the elements without a value have been left out."""
    steps: list[str | int | Pair] = []
    for at, step in enumerate(path):
        if isinstance(step, int):
            before = {one[at] for one in filled if one[:at] == path[:at] and len(one) > at}
            steps.append(sum(isinstance(other, int) and other < step for other in before))
        else:
            steps.append(step)
    return steps


def follow(value: object, steps: list[str | int | Pair]) -> object:
    for step in steps:
        if isinstance(step, Pair):
            assert isinstance(value, list)
            (element,) = (one for one in value if str(one["id"]) == str(step.key))
            assert set(element) == {"id", "value"}
            value = element["value"]
        else:
            value = value[step]  # type: ignore[index]
    return value


def in_json(one: Field, value: Value) -> object:
    """Return what a value is in JSON, by the kind of its field."""
    if one.kind in (Kind.LIST, Kind.JSON):
        return json.loads(str(value))
    return value.isoformat() if isinstance(value, date) else value


def parts(value: object, row: dict[Field, Value]) -> list[object]:
    """Return every object and list of a body but those that are values."""
    if not isinstance(value, (dict, list)) or any(value == in_json(one, given) for one, given in row.items()):
        return []
    inside = value.values() if isinstance(value, dict) else value
    return [value, *(part for one in inside for part in parts(one, row))]


@given(rows())
def test_a_json_body_holds_each_value_at_its_path_and_nothing_empty(
    drawn: tuple[list[Field], dict[Field, Value]],
) -> None:
    """Whatever the paths: members, positions, elements by their keys; what has no value below it is not there."""
    fields, row = drawn
    parsed = json.loads(sent(fields, row, BodyFormat.JSON), parse_float=Decimal)
    filled = [one.path for one in row]
    for one, value in row.items():
        assert follow(parsed, positions(one.path, filled)) == in_json(one, value)
    assert all(parts(parsed, row))


def bracketed(name: str) -> list[str]:
    """Split `a[b][0]` into its words."""
    words = re.findall(r"\[([^\]]*)\]", name)
    return [name.partition("[")[0], *words]


def in_words(steps: list[str | int | Pair], pairs: dict[int, int]) -> list[str]:
    words: list[str] = []
    for at, step in enumerate(steps):
        words += [str(pairs[at]), step.value_name] if isinstance(step, Pair) else [str(step)]
    return words


def in_a_form(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def flat(words: list[str], value: object) -> list[tuple[list[str], str]]:
    match value:
        case dict() if value:
            return [one for name, inner in value.items() for one in flat([*words, name], inner)]
        case list() if value:
            return [one for at, inner in enumerate(value) for one in flat([*words, str(at)], inner)]
    return [(words, in_a_form(value))]


@given(rows())
def test_a_form_holds_each_value_under_its_name(drawn: tuple[list[Field], dict[Field, Value]]) -> None:
    """A form that is decoded by the standard library has names with brackets, and their values as text."""
    fields, row = drawn
    fields = [replace(one, is_indexed=True) for one in fields]
    row = {replace(one, is_indexed=True): value for one, value in row.items()}
    pairs = parse_qsl(sent(fields, row, BodyFormat.FORM), keep_blank_values=True, strict_parsing=True)
    decoded = [(tuple(bracketed(name)), value) for name, value in pairs]
    filled = [one.path for one in row]
    expected: list[tuple[tuple[str, ...], str]] = []
    for one, value in row.items():
        steps = positions(one.path, filled)
        elements: dict[int, int] = {}
        for at, step in enumerate(one.path):
            if isinstance(step, Pair):
                keys = dict.fromkeys(
                    other.path[at]
                    for other in fields
                    if other in row and other.path[:at] == one.path[:at] and len(other.path) > at
                )
                elements[at] = list(keys).index(step)
                above = in_words(steps[:at], elements)
                expected.append(((*above, str(elements[at]), "id"), str(step.key)))
        expected += [(tuple(words), text) for words, text in flat(in_words(steps, elements), in_json(one, value))]
    assert sorted(decoded) == sorted(set(expected))


@given(rows(st.dictionaries(NAMES | st.sampled_from(["a/b", "~1", "m~n"]), st.sampled_from(list(Kind)), min_size=1)))
def test_a_json_patch_replaces_each_value_at_its_pointer(drawn: tuple[list[Field], dict[Field, Value]]) -> None:
    """Pointers are decoded as RFC 6901 has it, first ~1 and then ~0."""
    fields, row = drawn
    operations = json.loads(sent(fields, row, BodyFormat.JSON_PATCH), parse_float=Decimal)
    assert all(set(one) == {"op", "path", "value"} and one["op"] == "replace" for one in operations)
    decoded = {one["path"][1:].replace("~1", "/").replace("~0", "~"): one["value"] for one in operations}
    assert decoded == {str(one.path[0]): in_json(one, value) for one, value in row.items()}


def test_wrappers_pairs_and_items_are_written_as_vendors_show_them() -> None:
    """Bodies to the byte, one of each kind of path."""
    pairs = ("ticket", "custom_fields")
    assert body({field("ticket", "status"): "solved", field("ticket", "priority"): "low"}) == (
        '{"ticket": {"status": "solved", "priority": "low"}}'
    )
    assert body({field(*pairs, Pair("id", 360001, "value")): "a", field(*pairs, Pair("id", 7, "value")): None}) == (
        '{"ticket": {"custom_fields": [{"id": 360001, "value": "a"}, {"id": 7, "value": null}]}}'
    )
    assert body({field("Contacts", 0, "Name"): "A", field("Contacts", 0, "Phones", 0, "No"): "1"}) == (
        '{"Contacts": [{"Name": "A", "Phones": [{"No": "1"}]}]}'
    )
    assert body({field(0, "id", kind=Kind.INTEGER): 5}) == '[{"id": 5}]'
    assert body({field("tags", kind=Kind.LIST): '["vip","eu"]', field("more", kind=Kind.LIST): None}) == (
        '{"tags": ["vip","eu"], "more": []}'
    )
    assert body({field("dueAt", kind=Kind.DATE_TIME): "2026-01-31T10:00:00+01:00"}) == (
        '{"dueAt": "2026-01-31T10:00:00+01:00"}'
    )
    assert body({field(kind=Kind.JSON): '{ "a": 1.0 }'}) == '{ "a": 1.0 }'


def test_a_row_without_a_value_below_a_part_leaves_it_out() -> None:
    """Rows are written together, and each has only what it has values for; the body itself is always sent."""
    fields = [field("a", "x", name="x"), field("a", "l", 0, "y", name="y"), field("a", "l", 1, "y", name="z")]
    texts = RequestBuilder(endpoint(*fields)).texts([{"x": "1"}, {"z": "2"}, {}, {"y": "3", "z": "4"}])
    assert texts.bodies == [
        '{"a": {"x": "1"}}',
        '{"a": {"l": [{"y": "2"}]}}',
        "{}",
        '{"a": {"l": [{"y": "3"}, {"y": "4"}]}}',
    ]
    assert RequestBuilder(endpoint(field(0, "x", name="x"))).texts([{}]).bodies == ["[]"]


def test_a_cell_of_json_stands_for_its_whole_part() -> None:
    """A row has either the cell or columns below it, and never both."""
    whole, item = field("lines", kind=Kind.JSON, name="lines"), field("lines", 0, "amount", name="lines[0].amount")
    builder = RequestBuilder(endpoint(whole, item))
    assert builder.texts([{"lines": "[1]"}, {"lines[0].amount": "2"}]).bodies == [
        '{"lines": [1]}', '{"lines": [{"amount": "2"}]}'
    ]  # fmt: skip
    with pytest.raises(ValueError, match="a value of its own"):
        builder.texts([{"lines": "[1]", "lines[0].amount": "2"}])


def test_a_form_is_written_as_its_description_says() -> None:
    """Brackets for what is nested, and the style of a list; a truth value as a word; emptied as the API has it."""
    lists = {"kind": Kind.LIST}
    assert body(
        {
            field("metadata", "erp_id"): "7",
            field("items", 0, "price"): "p 1",
            field("items", 0, "quantity", kind=Kind.INTEGER): 2,
            field("active", kind=Kind.BOOLEAN): True,
            field("coupon", clears_with=""): None,
            field("Media", **lists): '["a","b"]',
            field("expand", is_indexed=True, **lists): '["c","d"]',
            field("codes", delimiter=",", **lists): '["e","f,g"]',
            field("none", **lists): None,
            field("address", kind=Kind.JSON): '{"city":"Ulm","lines":["x"]}',
        },
        BodyFormat.FORM,
    ) == (
        "metadata[erp_id]=7&items[0][price]=p%201&items[0][quantity]=2&active=true&coupon=&Media=a&Media=b"
        "&expand[0]=c&expand[1]=d&codes=e,f%2Cg&none=&address[city]=Ulm&address[lines][0]=x"
    )


def parts_of(row: dict[Field, Value]) -> list[tuple[str, str]]:
    """Return the names and texts of a multipart form, read as mail is."""
    values = {one.name: value for one, value in row.items()}
    made = replace(endpoint(*row, body_format=BodyFormat.MULTIPART), content_type="multipart/form-data")
    request = RequestBuilder(made).build(Job(2, "", values))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers).encode() + b"\r\n"
    message = message_from_bytes(head + request.body, policy=HTTP)
    assert isinstance(message, EmailMessage)
    texts = []
    for part in message.iter_parts():
        text = part.get_payload(decode=True)
        assert isinstance(text, bytes)
        texts.append((str(part.get_param("name", header="Content-Disposition")), text.decode()))
    return texts


def test_a_multipart_form_has_a_part_for_each_value() -> None:
    """Under its name, with the text as it is: line breaks, too."""
    row: dict[Field, Value] = {
        field("title"): "a & b = \u00e9\r\n--x--",
        field("tags", kind=Kind.LIST): '["c","d"]',
        field("active", kind=Kind.BOOLEAN): True,
        field("note", clears_with=""): None,
    }
    texts = [("title", "a & b = \u00e9\r\n--x--"), ("tags", "c"), ("tags", "d"), ("active", "true"), ("note", "")]
    assert parts_of(row) == texts


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_text_ends_its_part(text: str) -> None:
    """Whatever a cell has is the text of its own part."""
    assert [name for name, _ in parts_of({field("a"): text, field("b"): "x"})] == ["a", "b"]


def test_a_json_patch_is_a_list_of_replacements() -> None:
    """RFC 6902, with the pointers of RFC 6901; an element with a key has no pointer."""
    assert body({field("a", "b/c"): "x", field("l", 0, kind=Kind.INTEGER): 5}, BodyFormat.JSON_PATCH) == (
        '[{"op": "replace", "path": "/a/b~1c", "value": "x"}, {"op": "replace", "path": "/l/0", "value": 5}]'
    )
    with pytest.raises(ValueError, match="JSON Patch"):
        body({field("l", Pair("id", 1, "value")): "x"}, BodyFormat.JSON_PATCH)


def test_a_call_without_a_body_sends_none() -> None:
    """Parameters are all that it has."""
    request = RequestBuilder(replace(endpoint(body_format=BodyFormat.NONE), content_type="")).build(Job(2, "", {}))
    assert (request.body, request.content_type) == (b"", "")


def parameter(location: ParameterLocation, name: str, kind: Kind = Kind.TEXT, **facts: object) -> Field:
    return replace(TEXT, name=name, wire_name=name, location=location, path=(), kind=kind, **facts)


def test_lists_in_a_query_have_the_style_of_their_parameter() -> None:
    """Repeated, or between commas, blanks or bars, with the items encoded and the commas not."""
    query = ParameterLocation.QUERY
    made = RequestBuilder(
        endpoint(
            parameter(query, "a", Kind.LIST),
            parameter(query, "b", Kind.LIST, delimiter=","),
            parameter(query, "c", Kind.LIST, delimiter="|"),
            parameter(query, "d", Kind.LIST, delimiter=" "),
            parameter(query, "e", Kind.BOOLEAN),
        )
    ).build(Job(2, "", dict.fromkeys("abcd", '["x,1","y"]') | {"e": False}))
    assert made.query == "a=x%2C1&a=y&b=x%2C1,y&c=x%2C1%7Cy&d=x%2C1%20y&e=false"


@pytest.mark.parametrize(
    ("path", "sent_path"),
    [
        ("/x/{a}.json", "/x/a%20b.json"),
        ("/x/{a}:{b}", "/x/a%20b:c%2Fd"),
        ("/Items('{b}')/of ({a})", "/Items('c%2Fd')/of%20(a%20b)"),
        ("/files/{a}/{b}#add_shared_link", "/files/a%20b/c%2Fd"),
        ("/x/{a}{b}/%20", "/x/a%20bc%2Fd/%20"),
    ],
)
def test_values_fill_the_segments_of_a_path(path: str, sent_path: str) -> None:
    """Parts of segments too; what tells operations of one path apart behind a # is not sent."""
    fields = [parameter(ParameterLocation.PATH, name) for name in ("a", "b")]
    made = RequestBuilder(endpoint(*fields, path=path)).build(Job(2, "", {"a": "a b", "b": "c/d"}))
    assert made.path == sent_path


def test_a_quote_in_a_quoted_segment_is_doubled() -> None:
    """As OData has it; in any other segment it stays as it is."""
    fields = [parameter(ParameterLocation.PATH, "a")]
    for path, expected in (("/Items('{a}')", "/Items('O%27%27Brien')"), ("/items/{a}", "/items/O%27Brien")):
        assert RequestBuilder(endpoint(*fields, path=path)).build(Job(2, "", {"a": "O'Brien"})).path == expected


def test_header_fields_go_out_as_headers() -> None:
    """Those of the connection and the body are ours, and no row sets them."""
    names = ("X-Tenant", "X-Count", "Content-Length", "authorization")
    fields = [parameter(ParameterLocation.HEADER, name) for name in names]
    values: dict[str, Value] = {"X-Tenant": "acme, inc", "X-Count": 5, "Content-Length": "1", "authorization": "x"}
    made = RequestBuilder(endpoint(*fields)).build(Job(2, "", values))
    assert made.headers == (("X-Tenant", "acme, inc"), ("X-Count", "5"))


@pytest.mark.parametrize("text", ["", " a", "a ", "a\r\nX-Evil: 1", "a\0", "caf\u00e9", "\u20ac", "a\tb"])
def test_a_header_that_a_server_may_read_otherwise_is_refused(text: str) -> None:
    """Line breaks would end it, blanks around it are dropped, and other characters have no agreed encoding."""
    builder = RequestBuilder(endpoint(parameter(ParameterLocation.HEADER, "X-Tenant")))
    with pytest.raises(ValueError, match="value of a header"):
        builder.build(Job(2, "", {"X-Tenant": text}))
