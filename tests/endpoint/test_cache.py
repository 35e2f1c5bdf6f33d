"""endpoint/cache.py and endpoint/stored.py: an endpoint is read back as it was, or read from its description again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.cache import cache_folder
from batch_updater.endpoint.description import (
    AllowedNames,
    Bounds,
    Endpoint,
    Field,
    Kind,
    LeftOut,
    OpenColumns,
    OpenKind,
    Pair,
    ReadOperation,
    Requirement,
)
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.stored import decode_endpoint, encode_endpoint
from batch_updater.errors import EndpointError
from tests.endpoint.documents import document

NEXUS = load_endpoint("nexus-opportunity")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty cache."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return tmp_path / "cache" / "batch-updater" / "endpoints"


def written(folder: Path, **operation: Any) -> Path:
    path = folder / "openapi.json"
    path.write_text(json.dumps(document(**operation)), encoding="utf-8")
    return path


def body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def test_what_was_read_once_is_not_parsed_again(tmp_path: Path, cache: Path) -> None:
    """The entry counts: what is put into it with the right digest is what is used."""
    path = written(tmp_path)
    endpoint = load_endpoint(str(path))
    (entry,) = cache.iterdir()
    assert load_endpoint(str(path)) == endpoint
    content = entry.read_bytes().partition(b"\n")[2].replace(b"put-thing", b"cached")
    entry.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert load_endpoint(str(path)) == replace(endpoint, name="cached")
    written(tmp_path, operationId="other")
    assert load_endpoint(str(path)).name == "other"
    assert len(list(cache.iterdir())) == 2
    if sys.platform != "win32":
        assert (entry.stat().st_mode & 0o777, cache.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("content", [None, b"", b"x\n", b"\xff\xfe", b"0" * 64 + b"\n{}", "changed"])
def test_a_damaged_entry_does_not_count(tmp_path: Path, cache: Path, content: bytes | str | None) -> None:
    """Whatever is in its place: the description is read, and the entry written again."""
    path = written(tmp_path)
    endpoint = load_endpoint(str(path))
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    if content is None:
        entry.unlink()
        entry.mkdir()
    elif isinstance(content, str):
        entry.write_bytes(whole.replace(b"size", b"SIZE"))
    else:
        entry.write_bytes(content)
    assert load_endpoint(str(path)) == endpoint
    assert content is None or entry.read_bytes() == whole


def test_without_a_cache_that_can_be_written_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in place of the folder, and no folder at all."""
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path / "cache"), "/nowhere", "relative"):
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
            monkeypatch.setenv(name, folder)
        assert load_endpoint(str(written(tmp_path))).name == "put-thing"
    assert not (tmp_path / "relative").exists()


def test_an_entry_that_others_can_write_does_not_count(tmp_path: Path, cache: Path) -> None:
    """Nor is one written into a folder of others."""
    if sys.platform == "win32":
        pytest.skip("the mode of a file says nothing there")
    path = written(tmp_path)
    load_endpoint(str(path))
    (entry,) = cache.iterdir()
    entry.chmod(0o666)
    assert load_endpoint(str(path)).name == "put-thing"
    assert entry.stat().st_mode & 0o777 == 0o600
    entry.unlink()
    cache.chmod(0o777)
    assert load_endpoint(str(path)).name == "put-thing"
    assert not entry.exists()


def test_a_file_beside_the_document_counts_too(tmp_path: Path, cache: Path) -> None:
    """A change of it, and that it is gone, are noticed."""
    path, thing = written(tmp_path, requestBody=body({"$ref": "thing.json"})), tmp_path / "thing.json"
    for name in ("colour", "size"):
        thing.write_text(json.dumps({"properties": {name: {"type": "string"}}}))
        for _ in range(2):
            assert [field.name for field in load_endpoint(str(path)).body_fields] == [name]
    thing.unlink()
    with pytest.raises(EndpointError, match=r"thing\.json does not exist"):
        load_endpoint(str(path))
    assert cache.is_dir()


def test_old_entries_are_removed(tmp_path: Path, cache: Path) -> None:
    """The newest two hundred stay."""
    load_endpoint(str(written(tmp_path)))
    (first,) = cache.iterdir()
    for number in range(250):
        other = cache / f"{number:064}"
        other.write_text("x")
        os.utime(other, (number, number))
    load_endpoint(str(written(tmp_path, operationId="other")))
    assert len(list(cache.iterdir())) == 200
    assert first.exists()


def test_the_folder_of_caches_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the XDG specification a path that is not absolute does not count."""
    if sys.platform == "win32":
        pytest.skip("another variable")
    monkeypatch.setenv("HOME", "/home/ann")
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/batch-updater/endpoints")
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    for variables in ({}, {"XDG_CACHE_HOME": "x"}, {"XDG_CACHE_HOME": ""}):
        assert cache_folder(variables) == Path("/home/ann", usual, "batch-updater", "endpoints")


steps = st.one_of(st.text(), st.integers(0, 99), st.builds(Pair, st.text(), st.text() | st.integers(), st.text()))
paths = st.lists(steps, max_size=3).map(tuple)
values = st.one_of(st.text(), st.integers(), st.booleans(), st.decimals(allow_nan=False), st.dates())
fields = st.builds(
    replace,
    st.sampled_from(NEXUS.fields),
    name=st.text(),
    enum=st.lists(values, max_size=3).map(tuple),
    bounds=st.builds(Bounds, minimum=st.none() | st.decimals(allow_nan=False, allow_infinity=False)),
    path=paths,
    reported_as=paths,
    kind=st.sampled_from(Kind),
    allowed=st.none() | st.just(AllowedNames("a", "b", None, ("c",))),
    clears_with=st.none() | st.just(""),
)
opens = st.builds(
    OpenColumns, st.text(), paths, st.sampled_from(OpenKind), st.text(), st.lists(fields, max_size=2).map(tuple)
)
nested = st.builds(replace, opens, opens=st.lists(opens, max_size=2).map(tuple))
endpoints = st.builds(
    replace,
    st.just(NEXUS),
    fields=st.lists(fields, max_size=3).map(tuple),
    opens=st.lists(nested, max_size=2).map(tuple),
    requirements=st.lists(st.builds(Requirement, paths, paths), max_size=2).map(tuple),
    left_out=st.just((LeftOut("a", "b"),)),
    record_path=st.lists(st.text() | st.integers(0, 9), max_size=2).map(tuple),
    read=st.none() | st.builds(ReadOperation, st.text(), st.just(("a",)), st.frozensets(st.text(), max_size=3)),
    record_statuses=st.dictionaries(st.integers(200, 299), st.none() | st.frozensets(st.text(), max_size=3)),
)


@given(endpoints)
def test_an_endpoint_is_read_back_as_it_was(endpoint: Endpoint) -> None:
    """Every attribute, and values of their own types."""
    text = encode_endpoint(endpoint)
    again = decode_endpoint(text)
    assert again == endpoint
    assert [list(map(type, one.enum)) for one in again.fields] == [list(map(type, one.enum)) for one in endpoint.fields]
    assert encode_endpoint(again) == text


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"fields": 1}', '{"fields": [{"enum": [1.5]}]}'])
def test_another_text_is_no_endpoint(text: str) -> None:
    """It is a ValueError whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011  (whatever it says)
        decode_endpoint(text)


def test_a_new_attribute_changes_no_stored_endpoint() -> None:
    """What has its default is not in the text, which decides whether two runs are the same."""
    told = json.loads(encode_endpoint(NEXUS))
    assert "if_match" not in told
    assert "clears_with" not in told["fields"][0]
    field: Field = NEXUS.fields[3]
    stored = replace(NEXUS, fields=(replace(field, enum=(Decimal("0.10"), date(2026, 1, 2), "0.10", 1, True)),))
    assert json.loads(encode_endpoint(stored))["fields"][0]["enum"] == [
        {"number": "0.10"}, {"date": "2026-01-02"}, "0.10", 1, True,
    ]  # fmt: skip
