"""endpoint/parsing.py and endpoint/document_files.py: the files of a description are read, or refused where needed."""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint.parsing import LARGEST_BYTES, parse
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import EndpointError
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint


def body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def referring(target: str) -> dict[str, Any]:
    """Return a document whose body is what a reference leads to."""
    return document(requestBody=body({"$ref": target}))


def load(folder: Path, files: dict[str, object]) -> Endpoint:
    """Write files, texts as they are and anything else as JSON, and read the first of them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return load_endpoint(str(folder / next(iter(files))))


THING = {"type": "object", "properties": {"colour": {"type": "string"}}}


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("thing.json", THING),
        ("./thing.json#", THING),
        ("parts/thing.json#/definitions/Thing", {"definitions": {"Thing": THING}}),
        ("parts/../parts/a%20thing.yaml#/a~1b/%C3%BC%20c", {"a/b": {"ü c": THING}}),
        ("parts/thing.yaml#/things/1", {"things": [{}, THING]}),
        ("parts/thing.yaml#/404", "404: {properties: {colour: {type: string}}}"),
        ("parts/thing.yaml#/x", {"x": {"$ref": "#/y"}, "y": THING}),
        ("parts/thing.yaml#/x/y", {"x": {"$ref": "#/z"}, "z": {"y": THING}}),
    ],
)
def test_references_lead_to_files_beside_the_document(tmp_path: Path, target: str, file: object) -> None:
    """Whole files and parts of them, in folders below, with percent-encoded names and pointers."""
    name = target.partition("#")[0].replace("%20", " ").removeprefix("./").replace("parts/../", "")
    endpoint = load(tmp_path, {"api/openapi.json": referring(target), f"api/{name}": file})
    assert [field.name for field in endpoint.body_fields] == ["colour"]


def test_files_refer_to_each_other_and_back(tmp_path: Path) -> None:
    """References of a file are relative to that file, also those back into the document."""
    content = document()
    content["paths"]["/things/{thing}"] = {"$ref": "paths/thing.yaml"}
    content["components"] = {
        "schemas": {
            "Colour": {"type": "string", "maxLength": 7},
            "Width": {"$ref": "./openapi.json#/components/schemas/Number"},
            "Number": {"type": "integer", "maximum": 9},
        }
    }
    put = document()["paths"]["/things/{thing}"]["put"]
    endpoint = load(
        tmp_path,
        {
            "openapi.json": content,
            "paths/thing.yaml": {"put": {**put, "requestBody": body({"$ref": "../schemas/thing.yaml#/Thing"})}},
            "schemas/thing.yaml": {
                "Thing": {
                    "properties": {
                        "colour": {"$ref": "../openapi.json#/components/schemas/Colour"},
                        "size": {"$ref": "#/Size"},
                        "weight": {"$ref": "./weight.yaml"},
                        "width": {"$ref": "../openapi.json#/components/schemas/Width"},
                    }
                },
                "Size": {"type": "integer"},
            },
            "schemas/weight.yaml": {"type": "number", "minimum": 0.1},
        },
    )
    assert [field.name for field in endpoint.body_fields] == ["colour", "size", "weight", "width"]
    assert endpoint.field("width").bounds.maximum == 9
    assert endpoint.field("colour").bounds.max_length == 7
    assert endpoint.field("weight").bounds.minimum == Decimal("0.1")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("https://127.0.0.1:9/thing.json", "which is on the network"),
        ("//127.0.0.1/thing.json#/Thing", "which is on the network"),
        ("file:///etc/thing.json", "which is on the network"),
        ("../secret.json", "which is outside of the document's folder"),
        ("%2e%2e/secret.json", "which is outside of the document's folder"),
        ("parts/../../secret.json#/x", "which is outside of the document's folder"),
        ("/secret.json", "which is outside of the document's folder"),
        ("C:\\secret.json", "which is outside of the document's folder"),
        ("\\\\host\\share\\secret.json", "which is outside of the document's folder"),
        ("link.json", "which is outside of the document's folder"),
        ("nowhere.json", "nowhere.json does not exist"),
        ("parts", "is a device or a pipe|cannot be read"),
        ("broken.yaml", r"broken\.yaml is not valid YAML or JSON in line 2"),
        ("thing.json#/Nothing", "which does not exist"),
        ("thing.json#Thing", "which is not supported"),
        ("circle.json#/a/b", "which leads in a circle"),
    ],
)
def test_other_references_are_refused_only_where_they_are_needed(tmp_path: Path, target: str, why: str) -> None:
    """To the network, out of the folder, to nothing: a sentence that names it, and none for another operation."""
    (tmp_path / "secret.json").write_text(json.dumps(THING))
    files: dict[str, object] = {
        "api/openapi.json": referring(target),
        "api/thing.json": {"Thing": THING},
        "api/broken.yaml": "a: 1\nb: [",
        "api/circle.json": {"a": {"$ref": "#/c"}, "c": {"$ref": "#/a"}},
        "api/parts/thing.json": THING,
    }
    if sys.platform != "win32":
        (tmp_path / "api").mkdir()
        (tmp_path / "api" / "link.json").symlink_to(tmp_path / "secret.json")
    elif target == "link.json":
        pytest.skip("links need a privilege on Windows")
    with pytest.raises(EndpointError, match=why):
        load(tmp_path, files)
    content = referring(target)
    content["paths"]["/others/{thing}"] = document(operationId="other")["paths"]["/things/{thing}"]
    (tmp_path / "api" / "openapi.json").write_text(json.dumps(content))
    assert load_endpoint(f"{tmp_path / 'api' / 'openapi.json'}#other").name == "other"


def test_a_linked_folder_holds_its_files(tmp_path: Path) -> None:
    """As where a cluster mounts a configuration: the document and its neighbours are links into another folder."""
    if sys.platform == "win32":
        pytest.skip("links need a privilege on Windows")
    data = tmp_path / "mount" / "..data"
    load(data, {"openapi.json": referring("thing.json"), "thing.json": THING})
    for name in ("openapi.json", "thing.json"):
        (tmp_path / "mount" / name).symlink_to(data / name)
    assert load_endpoint(str(tmp_path / "mount" / "openapi.json")).field("colour")


def test_a_doubled_key_counts_only_where_it_is_needed(tmp_path: Path) -> None:
    """An optional field is left out, and what the operation needs is refused with its place."""
    text = json.dumps(document(requestBody=body({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}})))
    doubled = text.replace('"b": {"type": "string"}', '"b": {"type": "string"}, "b": {"type": "integer"}')
    for name, written in (("a.json", doubled), ("a.yaml", f"# YAML\n{doubled}")):
        assert [one.field for one in load(tmp_path, {name: written}).left_out] == ["b"]
    with pytest.raises(EndpointError, match="/put/requestBody/content is there twice"):
        load(tmp_path, {"b.json": text.replace('"content":', '"content": {}, "content":')})
    elsewhere = text.replace('"paths"', '"components": {"schemas": {"x": 1, "x": 2}}, "paths"')
    assert load(tmp_path, {"c.json": elsewhere}).field("b")
    same = text.replace('"b": {"type": "string"}', '"b": {"type": "string"}, "b": {"type": "string"}')
    assert load(tmp_path, {"d.json": same}).field("b")


def test_the_document_may_be_as_large_as_vendors_make_them(tmp_path: Path) -> None:
    """64 MB, and not a byte more."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document(description="x" * 6_000_000)))
    assert load_endpoint(str(path))
    os.truncate(path, LARGEST_BYTES + 1)
    with pytest.raises(EndpointError, match="larger than 64,000,000 bytes"):
        load_endpoint(str(path))


def test_json_may_be_sloppy_and_of_any_unicode_encoding(tmp_path: Path) -> None:
    """With a comma too many, a tab, a mark at its beginning, or as Windows PowerShell writes it."""
    content = document(requestBody=body({"properties": {"größe": {"type": "number", "maximum": 0.1}}}))
    text = json.dumps(content, ensure_ascii=False, indent="\t")
    sloppy = f"// from the vendor\n{text}".replace("// from", "# from").replace('"maximum": 0.1', '"maximum": 0.1,')
    path = tmp_path / "openapi.json"
    for encoding, written in (("utf-8", sloppy), ("utf-8-sig", text), ("utf-16", text), ("utf-8", f"\r\n{text}")):
        path.write_text(written, encoding=encoding)
        assert load_endpoint(str(path)).field("größe").bounds.maximum == Decimal("0.1")
    path.write_text(text, encoding="latin-1")
    with pytest.raises(EndpointError, match="not text in UTF-8"):
        load_endpoint(str(path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO: NO\n12:30: 12:30\nvalue: =\nNorway: no", {"NO": "NO", "12:30": "12:30", "value": "=", "Norway": "no"}),
        ("200: 1\nnull: 2\n1.0: 3\ntrue: 4\n'x': 0o14", {"200": 1, "null": 2, "1.0": 3, "true": 4, "x": 12}),
        ("a: &x {k: [1, 0.10]}\nb: {<<: *x, c: !Sub '${x}'}", {"a": {"k": [1, Decimal("0.10")]}}),
        ("a: [~, null, 'null', \"1\", !!str 1, !!int '1']", None),
        ("a: &a [*a, 1]", {"a": [None, 1]}),
        ("", None),
    ],
)
def test_yaml_means_what_json_does(text: str, value: object) -> None:
    """YAML 1.2: words and times are texts, keys are texts as written, numbers are exact, other tags mean nothing."""
    read = parse("x.yaml", text.encode())
    if "!Sub" in text:
        assert read == {"a": {"k": [1, Decimal("0.10")]}, "b": {"k": [1, Decimal("0.10")], "c": "${x}"}}
    elif "!!str" in text:
        assert read == {"a": [None, None, "null", "1", "1", 1]}
    else:
        assert read == value


@pytest.mark.parametrize("beginning", ["", "# YAML\n"])
def test_half_a_character_is_replaced(beginning: str) -> None:
    """In JSON and in YAML: no file could hold it. A whole one, and what a pattern writes with two backslashes, stay."""
    text = r"""{"a\ud800": ["\uDC00x", "\ud83d\ude00", "[\\ud800-\\udfff]", "\ud800\ud83d\ude00", "\\\ud800"]}"""
    read = parse("x", f"{beginning}{text}".encode())
    assert read == {"a\ufffd": ["\ufffdx", "\U0001f600", r"[\ud800-\udfff]", "\ufffd\U0001f600", "\\\ufffd"]}


def test_aliases_are_counted_by_what_they_add() -> None:
    """Many `*` in texts are none, and a large document may repeat much; a bomb is refused."""
    large = "x: &x [" + "1, " * 1_000 + "]\n" + "".join(f"y{at}: *x\n" for at in range(500))
    plain = "".join(f"p{at}: '*see* **this** * that'\n" for at in range(100_000))
    assert parse("x.yaml", f"{large}{plain}".encode())
    with pytest.raises(EndpointError, match="too many YAML aliases"):
        parse("x.yaml", large.replace("\n", "\nz: &z [*x, *x]\n", 1).replace("*x\n", "*z\n").encode())
