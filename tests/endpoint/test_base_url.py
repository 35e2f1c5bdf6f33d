"""endpoint/base_url.py: a base URL that holds a part of the call's path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.base_url import possible_misfit, possible_repetition, repeated_path
from batch_updater.endpoint.reference import load_endpoint

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
def test_a_part_of_the_path_is_repeated(end: str, kept: str | None) -> None:
    """In any case of letters, with an id, in another version; not what may be a prefix of its own."""
    repeated = repeated_path(f"https://nexus.example.com{end}", ENDPOINT)
    assert (repeated.corrected if repeated else None) == (None if kept is None else f"https://nexus.example.com{kept}")
    assert repeated is None or repeated.is_certain


@pytest.mark.parametrize(("end", "kept"), [("/api", ""), ("/API", ""), ("/nexus/api", "/nexus")])
def test_one_repeated_segment_is_only_a_warning(end: str, kept: str) -> None:
    """There are gateways with such a prefix: the message says where rows go, and the remedy names the other address."""
    base_url = f"https://nexus.example.com{end}"
    repeated = possible_repetition(base_url, ENDPOINT)
    assert repeated
    assert f"rows would be sent to {base_url}/api/v2/opportunities/{{OpportunityId}}." in repeated.message
    assert repeated.remedy.endswith(f"set api.base_url to https://nexus.example.com{kept}")


@given(prefix=SEGMENTS, path=SEGMENTS.filter(bool), data=st.data())
def test_any_beginning_of_any_path_is_repeated(prefix: list[str], path: list[str], data: st.DataObject) -> None:
    """Whatever is before it stays; a base URL that shares no segment with the path is never refused."""
    endpoint = replace(ENDPOINT, path=f"/{'/'.join(path)}/{{id}}")
    prefix = [f"x-{segment}" for segment in prefix if f"x-{segment}" not in path]
    alone = "".join(["https://host.example:8443", *(f"/{segment}" for segment in prefix)])
    held = path[: data.draw(st.integers(1, len(path)))]
    repeated = repeated_path(f"{alone}/{'/'.join(held)}", endpoint)
    assert repeated
    assert repeated.corrected == alone
    assert repeated.message.startswith(f"api.base_url ends with /{'/'.join(held)}, ")
    assert repeated.is_certain is (len(held) > 1)
    assert repeated_path(alone, endpoint) is None


def test_a_path_of_the_servers_in_the_description_is_right() -> None:
    """There are services behind a prefix of the same name."""
    endpoint = replace(ENDPOINT, path="/orders/{id}", server_paths=frozenset({"orders"}))
    assert repeated_path("https://host.example/orders", endpoint) is None
    assert possible_repetition("https://host.example/orders", endpoint) is None
    assert repeated_path("https://host.example/orders/orders", endpoint)
    assert possible_repetition("https://host.example/orders/v1", endpoint)


def test_a_parameter_alone_is_no_part() -> None:
    """`/{tenant}/api` begins like everything; with a name behind it there is no doubt."""
    endpoint = replace(ENDPOINT, path="/{tenant}/customers/{id}")
    assert repeated_path("https://host.example/acme", endpoint) is None
    assert repeated_path("https://host.example/acme/customers", endpoint)


def test_the_path_of_the_server_is_missed_where_the_base_url_has_none() -> None:
    """The note names the address that would be called, and the other one; of several servers none is guessed."""
    endpoint = replace(ENDPOINT, path="/tasks/{id}", servers=("https://{host}/api/1.0/", "//b.example/api/1.0"))
    misfit = possible_misfit("https://host.example/", endpoint)
    assert misfit
    assert "rows would be sent to https://host.example/tasks/{id}." in misfit.message
    assert misfit.remedy.endswith("set api.base_url to https://host.example/api/1.0")
    assert possible_misfit("https://host.example/api/1.0", endpoint) is None
    assert possible_misfit("https://host.example/gateway", endpoint) is None
    assert possible_misfit(None, endpoint) is None
    for paths in ([""], ["", "/v1"], ["/v1", "/v2"], ["/{tenant}"], []):
        servers = tuple(f"https://host.example{path}" for path in paths)
        assert possible_misfit("https://host.example", replace(endpoint, servers=servers)) is None
    repeated = possible_misfit("https://host.example/tasks", endpoint)
    assert repeated
    assert "ends with /tasks" in repeated.message
