"""endpoint/overlay.py and endpoint/json_path.py: a description is changed beside it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint.json_path import BadPathError, select
from batch_updater.endpoint.overlay import apply_overlay
from batch_updater.endpoint.parsing import parse
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import EndpointError
from tests.end_to_end.program import batch_updater
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from pathlib import Path

STORE: Any = {
    "books": [
        {"title": "A", "price": 8, "isbn": "1-2", "tags": ["x"]},
        {"title": "B", "price": 13, "x-paged": True},
        {"title": "C", "price": 9, "in print": False, "tags": []},
    ],
    "o'clock": {"a/b": 1, "é": 2},
    "limit": 10,
}


@pytest.mark.parametrize(
    ("path", "locations"),
    [
        ("$", [()]),
        ("$.limit", [("limit",)]),
        ("$['limit', \"books\"][1].title", [("books", 1, "title")]),
        ("$.books[*].title", [("books", at, "title") for at in range(3)]),
        ("$.books.*.isbn", [("books", 0, "isbn")]),
        ("$.books[-1]", [("books", 2)]),
        ("$.books[:2]", [("books", 0), ("books", 1)]),
        ("$.books[::-2].price", [("books", 2, "price"), ("books", 0, "price")]),
        ("$.books[7]", []),
        ("$.limit[0]", []),
        ("$['o\\'clock']['a/b']", [("o'clock", "a/b")]),
        ('$["o\'clock"].é', [("o'clock", "é")]),
        ('$["o\\u0027clock"]', [("o'clock",)]),
        ("$..title", [("books", at, "title") for at in range(3)]),
        ("$..[0]", [("books", 0), ("books", 0, "tags", 0)]),
        ("$.books[?@.isbn]", [("books", 0)]),
        ("$.books[?(@.isbn)]", [("books", 0)]),
        ("$.books[?!@.isbn && @.price<10]", [("books", 2)]),
        ("$.books[?@.price > 8 || @.title == 'A']", [("books", 0), ("books", 1), ("books", 2)]),
        ("$.books[?(@.price>=9 && (@.price<=9))]", [("books", 2)]),
        ("$.books[?@['x-paged'] == true]", [("books", 1)]),
        ("$.books[?@.x-paged]", [("books", 1)]),
        ("$.books[?@.x-paged == 1]", []),
        ("$.books[?@['in print'] == false]", [("books", 2)]),
        ("$.books[?@.isbn == null]", []),
        ("$.books[?@.nothing == @.isbn].title", [("books", 1, "title"), ("books", 2, "title")]),
        ("$.books[?@.price < $.limit].title", [("books", 0, "title"), ("books", 2, "title")]),
        ("$.books[?@.price != 8]", [("books", 1), ("books", 2)]),
        ("$.books[?@.price == 8.0]", [("books", 0)]),
        ("$.books[?@.title < 'B']", [("books", 0)]),
        ("$.books[?@.title < 1]", []),
        ("$.books[?match(@.isbn, '[0-9]-.')]", [("books", 0)]),
        ("$.books[?match(@.isbn, '-')]", []),
        ("$.books[?search(@.isbn, '-')]", [("books", 0)]),
        ("$.books[?search(@.isbn, '(')]", []),
        ("$.books[?length(@.tags) == 1]", [("books", 0)]),
        ("$.books[?count(@.*) == 3]", [("books", 1)]),
        ("$.books[?value(@..isbn) == '1-2']", [("books", 0)]),
        ("$..books[?@.tags[?@ == 'x']].title", [("books", 0, "title")]),
    ],
)
def test_a_path_selects_what_rfc_9535_says(path: str, locations: list[tuple[str | int, ...]]) -> None:
    """Names, positions, slices, wildcards, descendants, filters with comparisons, logic and functions."""
    nodes = select(path, STORE)
    assert [node.location for node in nodes] == locations
    for location, value in nodes:
        found = STORE
        for step in location:
            found = found[step]
        assert value is found


@pytest.mark.parametrize(
    "path",
    ["", "books", "$.", "$[", "$[]", "$.books[", "$.books[?]", "$.books[?@.a ==]", "$ x", "$.a b", "$['a", "$[1.5]",
     "$.books[?nothing(@)]", "$.books[?length(@.a, 1) == 1]", "$.books[?(@.a]", "$[?count(1) == 1]", "$.books#",
     "$.1a"],
)  # fmt: skip
def test_another_text_is_no_path(path: str) -> None:
    """The message shows it."""
    with pytest.raises(BadPathError) as caught:
        select(path, STORE)
    assert repr(path) in str(caught.value)


def overlay(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"overlay": "1.0.0", "info": {"title": "Ours", "version": "1"}, "actions": list(actions)}


def test_actions_apply_in_their_order() -> None:
    """Objects are merged, arrays get an item, what is removed is gone, and the document given stays as it was."""
    before = {"a": {"b": {"c": 1, "list": [1]}, "d": [1, 2, 3]}, "e": [{"x": 1}, {"x": 2}, {"x": 1}], "f": 1}
    given = deepcopy(before)
    changed, idle = apply_overlay(
        given,
        overlay(
            {"target": "$.a.b", "update": {"c": {"new": True}, "list": [2]}},
            {"target": "$.a.d", "update": 4},
            {"target": "$.e[?@.x == 1]", "remove": True, "update": {"ignored": 1}},
            {"target": "$.a.d[0,2]", "remove": True},
            {"target": "$", "update": {"g": {}}},
            {"target": "$.g", "update": {"h": 1}},
            {"target": "$.nowhere", "update": {"h": 1}},
            {"target": "$.f", "remove": True},
        ),
        "overlay.yaml",
    )
    assert changed == {"a": {"b": {"c": {"new": True}, "list": [1, 2]}, "d": [2, 4]}, "e": [{"x": 2}], "g": {"h": 1}}
    assert given == before
    assert idle == ("$.nowhere",)


def test_what_is_an_alias_in_yaml_is_changed_alone() -> None:
    """Two places of one anchor are two places."""
    shared = parse("x.yaml", b"a: &x {list: [1], deep: {b: 1}}\nc: *x")
    assert isinstance(shared, dict)
    changed, _ = apply_overlay(shared, overlay({"target": "$.a", "update": {"list": [2], "deep": {"b": 2}}}), "o.yaml")
    assert changed == {"a": {"list": [1, 2], "deep": {"b": 2}}, "c": {"list": [1], "deep": {"b": 1}}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "this is no overlay of version 1"),
        ({"overlay": "2.0.0", "actions": [{}]}, "this is no overlay of version 1"),
        ({"overlay": "1.0.0"}, "/actions is missing, or empty"),
        (overlay({"update": {}}), "/actions/0 has no target"),
        (overlay({"target": "$.a"}), "/actions/0 has neither update nor remove"),
        (overlay({"target": "$.a", "remove": True}, {"target": "$.", "remove": True}), r"/actions/1 '\$\.'"),
        (overlay({"target": "$", "remove": True}), "/actions/0 removes the whole document"),
        (overlay({"target": "$.openapi", "update": {}}), r"/actions/0 cannot update what \$\.openapi selects"),
        (overlay({"target": "$.info", "update": 1}), r"/actions/0 cannot update what \$\.info selects"),
    ],
)
def test_what_is_no_overlay_is_refused(tmp_path: Path, content: object, why: str) -> None:
    """The message names the file and the action."""
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    (tmp_path / "overlay.json").write_text(json.dumps(content))
    with pytest.raises(EndpointError, match=rf"overlay\.json: {why}"):
        load_endpoint(str(tmp_path / "openapi.json"), tmp_path / "overlay.json")


def test_a_description_is_read_with_its_overlay(tmp_path: Path) -> None:
    """In YAML as well; a change of the overlay counts at once, and a missing one is named."""
    path, beside = tmp_path / "openapi.json", tmp_path / "overlay.yaml"
    path.write_text(json.dumps(document()))
    with pytest.raises(EndpointError, match=r"overlay\.yaml does not exist") as caught:
        load_endpoint(str(path), beside)
    assert "api.overlay" in caught.value.remedy
    for name in ("colour", "weight"):
        beside.write_text(
            "overlay: 1.0.0\ninfo: {title: Ours, version: 1}\nactions:\n"
            "  - target: $.paths['/things/{thing}'].put.requestBody.content.*.schema.properties\n"
            f"    update: {{{name}: {{type: string, x-aliases: [Shade]}}}}\n"
        )
        fields = load_endpoint(str(path), beside).body_fields
        assert [(field.name, field.aliases) for field in fields] == [("size", ()), (name, ("Shade",))]
    assert [field.name for field in load_endpoint(str(path)).body_fields] == ["size"]


def test_an_action_that_changes_nothing_is_told(tmp_path: Path) -> None:
    """No error: check, preview and doctor have a note with its target, of a cached description as well."""
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    here, nowhere = ({"target": target, "update": {"description": "x"}} for target in ("$.info", "$.paths['/thing']"))
    (tmp_path / "overlay.json").write_text(json.dumps(overlay(here, nowhere)))
    (tmp_path / "config.yaml").write_text(
        "api: {base_url: 'http://127.0.0.1:9', endpoint: openapi.json, overlay: overlay.json}\n"
        "sending: {max_wait_s: 1}\n"  # nothing listens there
    )
    (tmp_path / "things.csv").write_text("thing,size\n1,2\n")
    note = "changes nothing, for the description has nothing at its target: $.paths['/thing']."
    for command in (("check", "things.csv"), ("check", "things.csv"), ("run", "things.csv"), ("doctor",)):
        done = batch_updater(*command, cwd=tmp_path)
        assert note in " ".join((done.out + done.err).split()), command
