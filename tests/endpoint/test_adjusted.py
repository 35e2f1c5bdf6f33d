"""endpoint/adjusted.py: what the section `api` of a configuration says beside a description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.config.schema import ApiSettings
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.description import Pair
from batch_updater.endpoint.open_columns import opened
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import ConfigError
from batch_updater.records import Job
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint, Step

TEXT = {"type": "string"}
ADDRESS = {"type": "object", "properties": {"city": TEXT, "zip": TEXT}}
PAIRS = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}, "value": TEXT}}}
BODY = {
    "type": "object",
    "properties": {
        "name": TEXT, "address": ADDRESS, "addressee": TEXT, "codes": PAIRS,
        "properties": {"type": "object", "additionalProperties": TEXT},
    },
}  # fmt: skip
RECORD = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object", **BODY}}}}}


def described(folder: Path, *, form: bool = False, readable: bool = True, **api: Any) -> Endpoint:
    """Write a document with an object, a list of pairs and a free map, and return the endpoint of a configuration."""
    content_type = "application/x-www-form-urlencoded" if form else "application/json"
    made = document(requestBody={"content": {content_type: {"schema": BODY}}}, responses=RECORD)
    item = made["paths"]["/things/{thing}"]
    if readable:
        item["get"] = {"operationId": "get-thing", "parameters": item["put"]["parameters"], "responses": RECORD}
    (folder / "things.json").write_text(json.dumps(made), encoding="utf-8")
    return endpoint_for(ApiSettings.model_validate({"endpoint": f"{folder}/things.json#put-thing", **api}))


def body(endpoint: Endpoint, **values: str | None) -> str:
    """Return the body of a row with these values."""
    named = {name.replace("__", ".").replace("_7", "[7]"): value for name, value in values.items()}
    return RequestBuilder(opened(endpoint, named)).build(Job(2, "", {"thing": 1, **named})).body.decode()


def test_only_takes_an_object_with_all_that_is_in_it(tmp_path: Path) -> None:
    """And nothing whose name begins in the same way."""
    endpoint = described(tmp_path, only=["address", "name"])
    assert set(endpoint.by_name) == {"thing", "address.city", "address.zip", "name"}
    assert not endpoint.opens


def test_only_keeps_what_the_configuration_says_of_columns_of_an_open_part(tmp_path: Path) -> None:
    """A column that it describes stays, and so do those that a file may add."""
    fields = {"codes[7]": {"aliases": ["Plan"]}, "properties.size": {"kind": "decimal"}}
    endpoint = described(tmp_path, only=["codes"], fields=fields)
    assert set(endpoint.by_name) == {"thing", "codes[7]"}
    assert [part.name for part in endpoint.opens] == ["codes"]
    assert set(described(tmp_path, only=["properties"], fields=fields).by_name) == {"thing", "properties.size"}


def test_a_field_may_be_emptied_by_another_value_than_null(tmp_path: Path) -> None:
    """In JSON as in a form."""
    fields = {"name": {"nullable": True, "clears_with": ""}, "address.city": {"nullable": True}}
    assert body(described(tmp_path, fields=fields), name=None) == '{"name": ""}'
    assert body(described(tmp_path, fields=fields), address__city=None) == '{"address": {"city": null}}'
    fields = {"name": {"nullable": True, "clears_with": "none"}, "address.city": {"nullable": True}}
    assert body(described(tmp_path, form=True, fields=fields), name=None, address__city=None) in {
        "name=none&address[city]=", "address[city]=&name=none",
    }  # fmt: skip


def test_all_columns_of_an_open_part_are_described_at_once(tmp_path: Path) -> None:
    """A column with settings of its own has these before them."""
    every = {"nullable": True, "clears_with": ""}
    fields = {"properties": every, "codes": {"nullable": True}, "properties.note": {"clears_with": "-"}}
    endpoint = described(tmp_path, fields=fields)
    assert body(endpoint, properties__phone=None) == '{"properties": {"phone": ""}}'
    assert body(endpoint, properties__note=None) == '{"properties": {"note": "-"}}'
    assert body(endpoint, codes_7=None) == '{"codes": [{"id": 7, "value": null}]}'


def test_what_only_one_column_can_have_is_refused_for_all_of_an_open_part(tmp_path: Path) -> None:
    """Two columns with the same alias would be one."""
    with pytest.raises(ConfigError, match=r"api\.fields\.properties cannot have aliases"):
        described(tmp_path, fields={"properties": {"aliases": ["P"]}})


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("status", ("status",)),
        ("status.name", ("status", "name")),
        ("fields[id=7].value", ("fields", Pair("id", "7", "value"))),
        ("a.fields[gid=7.1].option.gid", ("a", "fields", Pair("gid", "7.1", "option"), "gid")),
        ("a[k=1].b[l=2].c", ("a", Pair("k", "1", "b"), Pair("l", "2", "c"))),
        (["a.b", 0, "c"], ("a.b", 0, "c")),
        ("a[0].b", ("a[0]", "b")),
        (None, ()),
    ],
)
def test_reported_as_leads_to_members_and_to_elements_with_a_key(
    tmp_path: Path, written: object, steps: tuple[Step, ...]
) -> None:
    """A list of steps takes any names; null says that it is not reported."""
    assert described(tmp_path, fields={"name": {"reported_as": written}}).field("name").reported_as == steps


def test_reported_as_has_to_lead_to_a_value(tmp_path: Path) -> None:
    """An element is no value, but the object that holds it."""
    with pytest.raises(ConfigError, match=r"api\.fields\.name\.reported_as is no path: fields\[id=7\] ends with an"):
        described(tmp_path, fields={"name": {"reported_as": "fields[id=7]"}})


@pytest.mark.parametrize("read", ["get-thing?fields=name,address&deep=a%20b", "?fields=name,address&deep=a%20b"])
def test_parameters_that_a_reading_needs_are_sent_with_each(tmp_path: Path, read: str) -> None:
    """As they are written, for the operation that is named or is found."""
    request = RequestBuilder(described(tmp_path, read=read)).build_read(Job(2, "", {"thing": 1}))
    assert (request.path, request.query) == ("/things/1", "fields=name,address&deep=a%20b")


def test_parameters_without_a_reading_are_refused(tmp_path: Path) -> None:
    """Nothing would send them."""
    with pytest.raises(ConfigError, match=r"api\.read has parameters for a reading"):
        described(tmp_path, readable=False, read="?fields=name")


@pytest.mark.parametrize("query", ["a b", "a=ü", 'a="b"', "a=%2", "a=1#b"])
def test_parameters_that_no_address_can_hold_are_refused(query: str) -> None:
    """They are written as they are sent."""
    with pytest.raises(ValueError, match="must have its parameters as they are in an address"):
        ApiSettings.model_validate({"read": f"get-thing?{query}"})


def test_a_call_of_which_a_row_can_say_nothing_is_refused(tmp_path: Path) -> None:
    """Without a parameter and a body there is no column; an overlay may add what the document leaves out."""
    content = document()
    content["paths"] = {"/settings": {"put": {"responses": {"204": {"description": "done"}}}}}
    (tmp_path / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"api\.endpoint names put /settings, which has no parameter and no body"):
        endpoint_for(ApiSettings(endpoint=str(tmp_path / "settings.json")))
