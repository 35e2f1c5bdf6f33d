"""endpoint/base_url.py: a base URL that holds a part of the call's path."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.base_url import doubt, overlap
from batch_updater.endpoint.openapi import load_endpoint

ENDPOINT = load_endpoint("nexus-opportunity")
SEGMENTS = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), max_size=4, unique=True)


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        ("/API/v2", ""),
        ("/x/api/v2", "/x"),
        ("//api//v2", ""),
        ("/api/v2/opportunities", ""),
        ("/api/v2/opportunities/123", ""),
        ("/api/v2/opportunities/{Id}", ""),
        ("/v2/opportunities", ""),
        ("/api/v3", ""),
        ("", None),
        ("/nexus", None),
        ("/v2", None),
        ("/opportunities", None),
        ("/prod/v1", None),
        ("/api/nexus", None),
        ("/apis", None),
    ],
)
def test_a_part_of_the_path_is_found(end: str, kept: str | None) -> None:
    """In any case of letters, with an id, in another version; not what may be a prefix of its own."""
    found = overlap(f"https://nexus.example.com{end}", ENDPOINT)
    assert (found.instead if found else None) == (None if kept is None else f"https://nexus.example.com{kept}")
    assert found is None or found.is_certain


@pytest.mark.parametrize(("end", "kept"), [("/api", ""), ("/API", ""), ("/nexus/api", "/nexus")])
def test_one_segment_alone_is_a_doubt(end: str, kept: str) -> None:
    """There are gateways with such a prefix: it is told where rows are sent, and which address may be meant."""
    base_url = f"https://nexus.example.com{end}"
    found = doubt(base_url, ENDPOINT)
    assert found
    assert f"rows are sent to {base_url}/api/v2/opportunities/{{OpportunityId}}." in found.message
    assert found.remedy.endswith(f"set api.base_url to https://nexus.example.com{kept}")


@given(prefix=SEGMENTS, path=SEGMENTS.filter(bool), data=st.data())
def test_any_beginning_of_any_path_is_found(prefix: list[str], path: list[str], data: st.DataObject) -> None:
    """Whatever stands before it stays; a base URL that shares no segment with the path is never refused."""
    endpoint = replace(ENDPOINT, path=f"/{'/'.join(path)}/{{id}}")
    prefix = [f"x-{segment}" for segment in prefix if f"x-{segment}" not in path]
    alone = "".join(["https://host.example:8443", *(f"/{segment}" for segment in prefix)])
    held = path[: data.draw(st.integers(1, len(path)))]
    found = overlap(f"{alone}/{'/'.join(held)}", endpoint)
    assert found
    assert (found.held, found.instead) == (f"/{'/'.join(held)}", alone)
    assert found.is_certain is (len(held) > 1)
    assert overlap(alone, endpoint) is None


def test_what_the_description_calls_its_server_is_right() -> None:
    """There are services behind a prefix of the same name."""
    endpoint = replace(ENDPOINT, path="/orders/{id}", server_paths=frozenset({"orders"}))
    assert overlap("https://host.example/orders", endpoint) is None
    assert doubt("https://host.example/orders", endpoint) is None
    assert overlap("https://host.example/orders/orders", endpoint)
    assert doubt("https://host.example/orders/v1", endpoint)


def test_a_parameter_alone_is_no_part() -> None:
    """`/{tenant}/api` begins like everything; with a name behind it there is no doubt."""
    endpoint = replace(ENDPOINT, path="/{tenant}/customers/{id}")
    assert overlap("https://host.example/acme", endpoint) is None
    assert overlap("https://host.example/acme/customers", endpoint)
