"""`endpoints` lists what of a document can be used, and what it says is what a run then takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.inside import Inside
from tests.endpoint.documents import document


@pytest.fixture
def program(tmp_path: Path) -> Inside:
    return Inside(tmp_path)


def shop() -> dict[str, Any]:
    """Return a document with operations of every kind."""
    content = document()
    thing = {"name": "thing", "in": "path", "required": True, "schema": {"type": "integer"}}
    schema = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "number"},
            "id": {"type": "integer", "readOnly": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "codes": {
                "type": "array",
                "items": {"type": "object", "properties": {"id": {"type": "integer"}, "value": {"type": "string"}}},
            },
        },
    }
    item = content["paths"]["/things/{thing}"]
    item["patch"] = {
        "summary": "Change\na thing",
        "parameters": [thing],
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {"204": {"description": "done"}},
    }
    item["delete"] = {"operationId": "remove-thing", "parameters": [thing]}
    item["get"] = {"operationId": "show-thing", "summary": "Show", "parameters": [thing]}
    content["paths"]["/things"] = {"post": {"operationId": "add-thing", "requestBody": item["patch"]["requestBody"]}}
    upload: dict[str, Any] = {"content": {"application/octet-stream": {}}}
    content["paths"]["/things/{thing}/picture"] = {
        "put": {"operationId": "upload", "parameters": [thing], "requestBody": upload}
    }
    content["paths"]["/elsewhere"] = {"$ref": "paths/elsewhere.yaml"}
    return content


def test_every_operation_is_listed_with_its_columns_or_the_reason(program: Inside) -> None:
    """In the order of the document; of those that cannot be used, the reason in a sentence."""
    (program.folder / "shop.json").write_text(json.dumps(shop()))
    done = program("endpoints", "shop.json", "--json")
    assert done.code == 0
    listed = {one.pop("operation"): one for one in done.object["operations"]}
    assert list(listed) == [
        "show-thing", "put-thing", "patch /things/{thing}", "remove-thing", "add-thing", "upload", "/elsewhere",
    ]  # fmt: skip
    assert listed["patch /things/{thing}"] == {
        "method": "PATCH",
        "path": "/things/{thing}",
        "summary": "Change a thing",
        "supported": True,
        "reason": None,
        "columns": [
            {"field": "thing", "type": "integer", "required": True},
            {"field": "size", "type": "decimal", "required": True},
            {"field": "labels.*", "type": "text", "required": False},
            {"field": "codes[*]", "type": "text", "required": False},
        ],
        "left_out": [],
    }
    assert {name: one["reason"] for name, one in listed.items() if not one["supported"]} == {
        "show-thing": "It only reads.",
        "remove-thing": "It deletes, and only updates are supported.",
        "add-thing": "It creates a record.",
        "upload": "requestBody/content holds application/octet-stream, and neither JSON nor a form.",
        "/elsewhere": f"The description {Path('paths', 'elsewhere.yaml')} does not exist.",
    }


def test_the_list_is_for_people_and_one_operation_has_a_table(program: Inside) -> None:
    """Grouped by what can be used; the reference that is printed is what the configuration takes."""
    (program.folder / "shop.json").write_text(json.dumps(shop()))
    lines = program("endpoints", "shop.json").out.splitlines()
    assert lines[0] == "shop.json: 2 of 7 operations can be used."
    assert lines[2:5] == ["  put-thing", "      PUT /things/{thing}", "      2 columns"]
    assert "  patch /things/{thing}" in lines
    assert lines[lines.index("Cannot be used: It creates a record.") + 1] == "  add-thing: POST /things"
    one = program("endpoints", "shop.json#patch /things/{thing}").out
    assert one.splitlines() == [
        "patch /things/{thing}: PATCH /things/{thing}: Change a thing",
        "api.endpoint: shop.json#patch /things/{thing}",
        "",
        "column    type",
        "thing     integer  required",
        "size      decimal  required",
        "labels.*  text",
        "codes[*]  text",
    ]
    made = program(
        "template", "new.csv", BATCH_UPDATER_API__ENDPOINT=one.splitlines()[1].removeprefix("api.endpoint: ")
    )
    assert made.code == 0
    assert "There may also be columns such as labels.NAME and codes[NUMBER]." in made.err
    assert (program.folder / "new.csv").read_text(encoding="utf-8-sig").startswith("thing,size")
    assert "Cannot be used: It creates a record." in program("endpoints", "shop.json#add-thing").out


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("nowhere.json", "nowhere.json does not exist. Check its name"),
        ("shpo.json", "shpo.json does not exist. Did you mean 'shop.json'?"),
        ("shop.json#put-thnig", "shop.json has no operation put-thnig. Did you mean 'put-thing'?"),
        ("shop", "There is no built-in description 'shop'"),
        ("text.yaml", "text.yaml is not an OpenAPI document"),
        ("asyncapi.yaml", "/openapi is not version 3.0 or 3.1 of OpenAPI"),
    ],
)
def test_what_cannot_be_listed_is_said(program: Inside, reference: str, why: str) -> None:
    """With exit code 2, in a sentence that names the file."""
    (program.folder / "shop.json").write_text(json.dumps(shop()))
    (program.folder / "text.yaml").write_text("just text")
    (program.folder / "asyncapi.yaml").write_text("asyncapi: 2.6.0\nchannels: {}")
    done = program("endpoints", reference)
    assert done.code == 2
    assert why in done.err.replace("\n", " ")


def test_an_operation_that_cannot_be_read_says_why(program: Inside) -> None:
    """Not that there is none."""
    content = shop()
    content["paths"]["/elsewhere"] = {"$ref": "https://127.0.0.1:9/elsewhere.yaml"}
    (program.folder / "shop.json").write_text(json.dumps(content))
    for name in ("endpoints", "template"):
        words = [name, "new.csv"] if name == "template" else [name, "shop.json#put /elsewhere"]
        done = program(*words, BATCH_UPDATER_API__ENDPOINT="shop.json#put /elsewhere")
        assert done.code == 2, name
    assert "refers to https://127.0.0.1:9/elsewhere.yaml, which is on the network" in done.err
