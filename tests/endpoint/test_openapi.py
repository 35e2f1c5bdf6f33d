"""endpoint/openapi.py: an OpenAPI document becomes an endpoint, or is refused with the place."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate
from ruamel.yaml import YAML

import batch_updater.endpoint
from batch_updater.endpoint.description import Kind, ParameterLocation
from batch_updater.endpoint.document import Resolver
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.openapi import operations
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import EndpointError
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.endpoint.description import Endpoint

NEXUS = Path(batch_updater.endpoint.__file__).with_name("nexus-opportunity.openapi.yaml")


def body(**schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"type": "object", "properties": {"field": schema}}}}}


def test_the_built_in_description_is_valid_openapi() -> None:
    """An independent validator finds nothing wrong with the description of Nexus."""
    validate(YAML(typ="safe", pure=True).load(NEXUS))


def test_the_built_in_description_says_what_the_contract_says() -> None:
    """Names, locations, types and rules of the fields are those of the contract."""
    endpoint = load_endpoint("nexus-opportunity")
    assert (endpoint.method, endpoint.path) == ("PUT", "/api/v2/opportunities/{OpportunityId}")
    assert [(field.name, field.location, field.kind, field.required) for field in endpoint.fields] == [
        ("OpportunityId", ParameterLocation.PATH, Kind.INTEGER, True),
        ("opportunityType", ParameterLocation.QUERY, Kind.TEXT, True),
        ("LanguageId", ParameterLocation.QUERY, Kind.INTEGER, False),
        ("OpportunityName", ParameterLocation.BODY, Kind.TEXT, False),
        ("OpportunityID", ParameterLocation.BODY, Kind.TEXT, False),
        ("CategoryName", ParameterLocation.BODY, Kind.TEXT, False),
        ("StageName", ParameterLocation.BODY, Kind.TEXT, False),
        ("AcctPotential", ParameterLocation.BODY, Kind.DECIMAL, False),
        ("SalesRevenue", ParameterLocation.BODY, Kind.DECIMAL, False),
        ("PendingCloseDate", ParameterLocation.BODY, Kind.DATE, False),
    ]
    assert endpoint.field("OpportunityId").bounds.minimum == 1
    assert endpoint.field("opportunityType").enum == ("Pre", "Post")
    assert [field.name for field in endpoint.fields if field.selects_record] == ["OpportunityId", "opportunityType"]
    assert endpoint.field("OpportunityId").reported_as == ("ID",)
    assert endpoint.field("OpportunityID").reported_as == ("OpportunityID",)
    assert endpoint.quota_message == "Limit Exceeded"
    assert endpoint.always_reported(200) == endpoint.always_reported(201) == endpoint.record_properties
    assert endpoint.record_properties >= {"ID", "Type", "OpportunityName", "OpportunityStageID", "PendingCloseDate"}
    assert endpoint.idempotent


def test_a_plain_document_needs_no_extensions(load: Callable[..., Endpoint]) -> None:
    """An ordinary document gives an endpoint; without a described record a 2xx alone is a success."""
    endpoint = load(document())
    assert (endpoint.name, endpoint.api_name) == ("put-thing", "Shop")
    assert [(field.name, field.required, field.selects_record) for field in endpoint.fields] == [
        ("thing", True, True),
        ("size", True, False),
    ]
    assert endpoint.always_reported(204) is None


def test_annotations_beside_a_reference_override_those_behind_it(load: Callable[..., Endpoint]) -> None:
    """OpenAPI 3.1 allows them; a mistake in them is refused with its place like any other."""
    behind = {"type": "string", "maxLength": 5, "title": "behind", "x-aliases": ["Old"]}
    content = document(requestBody=body(**{"$ref": "#/components/schemas/Field", "title": "beside", "maxLength": 9}))
    content["components"] = {"schemas": {"Field": behind}}
    field = load(content).field("field")
    assert (field.title, field.aliases, field.bounds.max_length) == ("beside", ("Old",), 5)
    content = document(requestBody=body(**{"$ref": "#/components/schemas/Field", "x-allowed-names": {"list": "L"}}))
    content["components"] = {"schemas": {"Field": behind}}
    with pytest.raises(EndpointError, match="/components/schemas/Field/x-allowed-names/name is missing"):
        load(content)


def answers(**of_status: dict[str, Any]) -> dict[str, Any]:
    """Make a document whose answers have these schemas."""
    responses = {
        status.removeprefix("s"): {"description": "x", "content": {"application/json": {"schema": schema}}}
        for status, schema in of_status.items()
    }
    return document(responses=responses)


def always_reported(endpoint: Endpoint, *statuses: int) -> list[set[str]]:
    return [set(endpoint.always_reported(status) or ()) for status in statuses]


def described(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def test_every_status_reports_the_properties_that_its_own_answer_describes(load: Callable[..., Endpoint]) -> None:
    """A status that is not listed always reports what all listed ones do."""
    endpoint = load(answers(s200=described("id", "size"), s201=described("id")))
    assert always_reported(endpoint, 200, 201, 203) == [{"id", "size"}, {"id"}, {"id"}]
    wild = load(answers(s200=described("id", "size"), **{"2XX": described("note"), "default": described("error")}))
    assert always_reported(wild, 200, 203) == [{"id", "size"}, {"note"}]


def test_a_composed_answer_reports_the_properties_of_all_its_parts(load: Callable[..., Endpoint]) -> None:
    """`allOf` adds up; a schema with a choice describes a record without any property that is always reported."""
    content = answers(s200={"allOf": [{"$ref": "#/components/schemas/Thing"}, described("size")]}, s201={"oneOf": []})
    content["components"] = {
        "schemas": {"Thing": {**described("id"), "allOf": [{"$ref": "#/components/schemas/Thing"}]}}
    }
    endpoint = load(content)
    assert always_reported(endpoint, 200, 201) == [{"id", "size"}, set()]


def test_fewer_properties_can_be_always_reported_than_are_described(load: Callable[..., Endpoint]) -> None:
    """`x-always-reported` lists them; a property that an extension maps counts without a schema, too."""
    content = answers(s200=described("id", "size"), s201={"type": "object"})
    put = content["paths"]["/things/{thing}"]["put"]
    put["responses"]["200"]["x-always-reported"] = ["id"]
    put["parameters"][0]["x-reported-as"] = "number"
    endpoint = load(content)
    assert always_reported(endpoint, 200, 201) == [{"id", "number"}, {"number"}]
    put["responses"]["200"]["x-always-reported"] = ["idd"]
    with pytest.raises(EndpointError, match="x-always-reported is no list of properties of the answer"):
        load(content)


def test_references_are_followed_and_the_operation_overrides_the_path(load: Callable[..., Endpoint]) -> None:
    """Parameters, bodies and schemas may be anywhere in the document; the operation's own parameter wins."""
    content = document(requestBody={"$ref": "#/components/requestBodies/Thing"})
    item = content["paths"]["/things/{thing}"]
    item["parameters"] = [
        {"name": "thing", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
        {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
    ]
    content["components"] = {
        "requestBodies": {
            "Thing": {"content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/A~1B"}}}}
        },
        "schemas": {"A/B": {"properties": {"id": {"type": "integer", "readOnly": True}, "colour": {"type": "string"}}}},
    }
    endpoint = load(content)
    assert [(field.name, field.kind) for field in endpoint.fields] == [
        ("thing", Kind.INTEGER),
        ("dry", Kind.BOOLEAN),
        ("colour", Kind.TEXT),
    ]
    assert endpoint.content_type == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("schema", "kind", "nullable"),
    [
        ({"type": "integer", "format": "int64", "nullable": True}, Kind.INTEGER, True),
        ({"type": ["number", "null"]}, Kind.DECIMAL, True),
        ({"type": "string", "format": "date"}, Kind.DATE, False),
        ({"type": "string", "format": "uuid"}, Kind.TEXT, False),
        ({"enum": ["a", "b", None]}, Kind.TEXT, True),
        ({"type": "boolean"}, Kind.BOOLEAN, False),
    ],
)
def test_types_of_both_versions_are_understood(
    load: Callable[..., Endpoint], schema: dict[str, Any], kind: Kind, nullable: bool
) -> None:
    """The type of a field and whether it may be cleared come from the schema, as 3.0 or 3.1 write it."""
    field = load(document(requestBody=body(**schema))).field("field")
    assert (field.kind, field.nullable) == (kind, nullable)


def test_bounds_are_exact_in_both_versions(load: Callable[..., Endpoint]) -> None:
    """A bound of 0.1 is 0.1, and `exclusiveMinimum` may be a flag (3.0) or a number (3.1)."""
    flag = load(document(requestBody=body(type="number", minimum=0.1, exclusiveMinimum=True))).field("field").bounds
    number = (
        load(document(requestBody=body(type="number", exclusiveMinimum=0.1, multipleOf=0.01))).field("field").bounds
    )
    assert (flag.minimum, flag.exclusive_minimum) == (None, Decimal("0.1"))
    assert (number.exclusive_minimum, number.multiple_of) == (Decimal("0.1"), Decimal("0.01"))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"requestBody": {"$ref": "#/components/requestBodies/Nowhere"}}, "/components/requestBodies/Nowhere"),
        ({"requestBody": {"content": {"text/xml": {}}}}, "requestBody/content holds text/xml"),
        ({"requestBody": body(type="string", **{"x-allowed-names": {"list": "L"}})}, "x-allowed-names/name is missing"),
        ({"requestBody": body(type="string", **{"x-allowed-names": "L"})}, "x-allowed-names is not an object"),
        (
            {"parameters": [{"name": "session", "in": "cookie", "required": True, "schema": {"type": "string"}}]},
            "parameters/0 requires a value in a cookie",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(
    load: Callable[..., Endpoint], change: dict[str, Any], place: str
) -> None:
    """A body that is a file, a required cookie, and an extension that is wrong, name the place in the document."""
    with pytest.raises(EndpointError) as caught:
        load(document(**change))
    assert place in caught.value.message
    assert caught.value.remedy
    assert caught.value.place.file


def test_references_in_a_circle_are_refused(load: Callable[..., Endpoint]) -> None:
    """A reference that leads back to itself ends in an error, not in a hang."""
    content = document(requestBody={"$ref": "#/components/requestBodies/A"})
    content["components"] = {"requestBodies": {"A": {"$ref": "#/components/requestBodies/A"}}}
    with pytest.raises(EndpointError, match="leads in a circle"):
        load(content)


def test_an_unknown_operation_names_the_nearest(load: Callable[..., Endpoint]) -> None:
    """A misspelt operationId is answered with the right one."""
    with pytest.raises(EndpointError) as caught:
        load(document(), "put-thnig")
    assert "put-thing" in caught.value.remedy


def test_an_operation_that_is_no_update_says_so_and_names_the_one_beside_it(load: Callable[..., Endpoint]) -> None:
    """Where no name is near, the message lists some, and where all are."""
    content = document()
    content["paths"]["/things/{thing}"]["get"] = {"operationId": "show"}
    put = content["paths"]["/things/{thing}"]["put"]
    content["paths"] |= {
        f"/others/{number}/{{thing}}": {"put": put | {"operationId": f"o{number}"}} for number in range(20)
    }
    with pytest.raises(EndpointError, match=r"has show, which cannot be used: It only reads") as raised:
        load(content, "show")
    assert raised.value.remedy == "Did you mean 'put-thing'?"
    with pytest.raises(EndpointError) as raised:
        load(content, "xyz")
    assert "o8, and more that `batch-updater endpoints` lists." in str(raised.value.remedy)


def test_an_operation_is_named_by_its_method_and_path_too(load: Callable[..., Endpoint]) -> None:
    """Many have no operationId, and one that two have does not tell which is meant."""
    content = document(operationId=None)
    content["paths"]["/things/{thing}"]["patch"] = content["paths"]["/things/{thing}"]["put"]
    assert load(content, "put /things/{thing}").name == "put /things/{thing}"
    assert load(content, "PATCH /things/{thing}").method == "PATCH"
    for method in ("put", "patch"):
        content["paths"]["/things/{thing}"][method] = content["paths"]["/things/{thing}"]["put"] | {
            "operationId": "same"
        }
    with pytest.raises(EndpointError) as caught:
        load(content, "same")
    assert "put /things/{thing}" in caught.value.remedy


def test_every_operation_is_listed_with_its_endpoint_or_the_reason_why_not(tmp_path: Path) -> None:
    """What creates, deletes or only reads is told apart from what cannot be sent; mistakes elsewhere do no harm."""
    content = document(summary="Change\na thing")
    item = content["paths"]["/things/{thing}"]
    item |= {"get": {"responses": {}}, "delete": {}, "post": {"requestBody": item["put"]["requestBody"]}}
    item["patch"] = {"operationId": "photo", "requestBody": {"content": {"image/png": {}}}}
    content["paths"] |= {"/things": {"post": item["put"], "put": "nonsense"}, "/others": {"$ref": "#/nowhere"}}
    files = DocumentFiles(tmp_path / "openapi.json", json.dumps(content).encode())
    listed = list(operations(Resolver(files)))
    assert [(one.operation, one.method, one.path, one.summary) for one in listed if one.endpoint] == [
        ("put-thing", "PUT", "/things/{thing}", "Change a thing"),
        ("post /things/{thing}", "POST", "/things/{thing}", ""),
    ]
    reasons = {f"{one.method} {one.path}": one.why_not or "" for one in listed if not one.endpoint}
    assert "is not an object" in reasons.pop("PUT /things")
    assert "refers to #/nowhere, which does not exist" in reasons.pop(" /others")
    assert set(reasons) == {"GET /things/{thing}", "DELETE /things/{thing}", "PATCH /things/{thing}", "POST /things"}
    assert "only reads" in reasons["GET /things/{thing}"]
    assert "deletes" in reasons["DELETE /things/{thing}"]
    assert "image/png" in reasons["PATCH /things/{thing}"]
    assert "creates" in reasons["POST /things"]


@pytest.mark.parametrize("path", ["/things/{thing}/../x", "things/{thing}", "/things//{thing}", "/things/{thing}?a=b"])
def test_a_path_that_does_not_lead_straight_to_one_place_is_refused(load: Callable[..., Endpoint], path: str) -> None:
    """A description cannot make a request leave the base URL."""
    content = document()
    content["paths"] = {path: content["paths"]["/things/{thing}"]}
    with pytest.raises(EndpointError, match="path"):
        load(content)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "openapi: 2.0", "a: 1\na: 2", "\ttab: 1"])
def test_other_files_than_openapi_documents_are_refused(tmp_path: Path, text: str) -> None:
    """Broken YAML, another format or a doubled key is one plain sentence that names the file."""
    path = tmp_path / "openapi.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EndpointError, match=r"openapi\.yaml"):
        load_endpoint(str(path))


def test_json_means_what_it_means_as_yaml(tmp_path: Path) -> None:
    """It is parsed faster if the text begins with it, into the same: numbers are exact, and 1e-2 is one."""
    text = json.dumps(document(requestBody=body(type="number", minimum=0.1, multipleOf=1e-2, title="x\u00e9/")))
    text = text.replace("0.01", "1e-2")
    path = tmp_path / "openapi.json"
    endpoints = []
    for written in (text, f"\n{text}"):
        path.write_text(written, encoding="utf-8")
        endpoints.append(load_endpoint(str(path)))
    assert endpoints[0] == endpoints[1]
    bounds = endpoints[0].field("field").bounds
    assert (bounds.minimum, bounds.multiple_of) == (Decimal("0.1"), Decimal("0.01"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"openapi": "3.1.0",\n"openapi": "3.0.0"}', "/openapi is there twice"),
        ('{"openapi": NaN}', "/openapi is not version 3"),
        ('{"openapi": 1e99999999999999999999}', "/openapi is not version 3"),
    ],
)
def test_json_that_is_none_is_refused_where_it_is_needed(tmp_path: Path, text: str, problem: str) -> None:
    """A word that is no number is a text, and a doubled key is refused."""
    path = tmp_path / "openapi.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EndpointError, match=problem):
        load_endpoint(str(path))


@pytest.mark.parametrize("reference", ["nexus-oportunity", "nowhere.yaml#x"])
def test_a_missing_description_is_named(reference: str) -> None:
    """The message names the misspelt built-in description or the missing file."""
    with pytest.raises(EndpointError, match=reference.partition("#")[0]):
        load_endpoint(reference)


@pytest.mark.parametrize(
    ("schema", "is_identifier"),
    [
        ({"title": "CRM number"}, True),
        ({"title": "country code"}, True),
        ({"x-field-name": "externalId"}, True),
        ({"x-field-name": "phone"}, True),
        ({"description": "The number that the CRM gave the opportunity."}, True),
        ({"description": "External CRM opportunity identifier"}, True),
        ({"title": "name", "x-identifier": True}, True),
        ({"title": "CRM number", "x-identifier": False}, False),
        ({"title": "name", "description": "What the opportunity is called."}, False),
        ({"title": "code name"}, False),
        ({"title": "version number"}, False),
        ({"description": "A remark; the number of characters is limited."}, False),
        ({"title": "type code", "enum": ["a", "b"]}, False),
        ({"title": "stage code", "x-allowed-names": {"list": "Stages", "name": "Name"}}, False),
    ],
)
def test_identifiers_are_recognised_by_name_title_or_description(
    load: Callable[..., Endpoint], schema: dict[str, Any], is_identifier: bool
) -> None:
    """A text is an identifier if its name, title or description says so, and x-identifier has the last word."""
    fields = load(document(requestBody=body(type="string", **schema))).body_fields
    assert [field.is_identifier for field in fields] == [is_identifier]


@pytest.mark.parametrize(
    ("schema", "is_identifier"), [({"title": "assignee id"}, True), ({"title": "amount"}, False), ({}, False)]
)
def test_a_whole_number_of_the_body_may_be_an_identifier(
    load: Callable[..., Endpoint], schema: dict[str, Any], is_identifier: bool
) -> None:
    """No total is meant of it; in a path it is a number like any."""
    endpoint = load(document(requestBody=body(type="integer", **schema)))
    assert [field.is_identifier for field in endpoint.fields] == [False, is_identifier]


def test_a_text_that_selects_the_record_is_an_identifier(load: Callable[..., Endpoint]) -> None:
    """The record's own name in the path has to be exact to the character; a number needs no such rule."""
    parameter = {"name": "thing", "in": "path", "required": True, "schema": {"type": "string"}}
    assert load(document(parameters=[parameter])).field("thing").is_identifier
    assert not load(document()).field("thing").is_identifier


def test_a_record_is_read_to_try_the_set_up_by_the_get_of_its_path(load: Callable[..., Endpoint]) -> None:
    """Without x-read the update's own path is looked at; a GET that needs more than the update has is none."""
    content = document()
    assert load(content).sample_read is None
    item = content["paths"]["/things/{thing}"]
    item["get"] = {"parameters": item["put"]["parameters"], "responses": {}}
    endpoint = load(content)
    assert endpoint.sample_read
    assert (endpoint.sample_read.path, endpoint.read) == ("/things/{thing}", None)
    item["get"]["parameters"] = [
        *item["put"]["parameters"],
        {"name": "view", "in": "query", "required": True, "schema": {"type": "string"}},
    ]
    assert load(content).sample_read is None


def test_the_paths_of_servers_are_known(load: Callable[..., Endpoint]) -> None:
    """A base URL with one of them is right whatever the call's path begins with."""
    servers = [{"url": "https://host.example/things/"}, {"url": "/v1"}, {"url": "https://host.example"}]
    assert load(document() | {"servers": servers}).server_paths == {"things", "v1"}
