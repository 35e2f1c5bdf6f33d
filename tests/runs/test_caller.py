"""caller.py: whether two runs were made with the same headers and for the same account, without keeping a secret."""

from __future__ import annotations

import json
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from batch_updater.config.schema import ApiSettings
from batch_updater.errors import CredentialsError
from batch_updater.runs.caller import Caller, new_salt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.config.schema import SecretReference

SALT = "5a" * 16
HEADERS = {"X-Tenant": "7", "X-Key": "env:KEY"}
OAUTH = {"token_url": "https://a.example/token", "client_id": "c", "client_secret": "env:S", "scope": "all"}


def caller(values: Mapping[str, str] = MappingProxyType({}), **api: object) -> Caller:
    """Return the caller of a configuration; `values` is where its references lead."""

    def reveal(reference: SecretReference, what: str) -> str:
        if reference.location not in values:
            raise CredentialsError(f"{what}: nothing there")
        return values[reference.location]

    return Caller(ApiSettings.model_validate(api), reveal)


def changes(before: Caller, after: Caller, token: str | None = None) -> list[str]:
    return after.changes_since(before.digest(new_salt(), token))


@settings(max_examples=10)
@given(
    st.dictionaries(st.sampled_from(["X-Tenant", "X-Key", "Accept-Language"]), st.text("a7 ", max_size=2), max_size=2)
)
def test_a_caller_is_the_same_as_itself_and_another_if_any_value_is_other(headers: dict[str, str]) -> None:
    """Whatever the salt, and however the names are written."""
    before = caller(headers=headers)
    assert changes(before, caller(headers={name.upper(): value for name, value in headers.items()})) == []
    for name, value in headers.items():
        other = caller(headers={**headers, name: f"{value}8"})
        assert changes(before, other) == [f"the headers that are sent ({name})"]
        without = caller(headers={one: other for one, other in headers.items() if one != name})
        assert changes(before, without) == [f"the headers that are sent ({name.lower()})"]


def test_what_a_reference_gives_counts_and_not_where_it_is_kept() -> None:
    """A tenant's number that has moved from the file to a variable is the same one, and another number is not."""
    before = caller(headers={"X-Tenant": "7"})
    assert changes(before, caller({"TENANT": "7"}, headers={"X-Tenant": "env:TENANT"})) == []
    eighth = caller({"TENANT": "8"}, headers={"x-tenant": "env:TENANT"})
    assert changes(before, eighth) == ["the headers that are sent (x-tenant)"]


def test_a_header_that_cannot_be_fetched_is_the_error_of_sending() -> None:
    """Then it is unknown whose rows are done."""
    with pytest.raises(CredentialsError, match=r"api\.headers\.X-Key: nothing there"):
        caller(headers=HEADERS)


@pytest.mark.parametrize(
    ("kept_at", "value", "is_same"),
    [("A", "old", True), ("A", "new", True), ("B", "old", True), ("B", "new", False)],
    ids=["nothing changed", "renewed", "moved", "another"],
)
def test_a_token_may_be_renewed_or_moved_but_not_both(kept_at: str, value: str, *, is_same: bool) -> None:
    """Only a token from another place that is another token says another account."""
    before = caller(token="env:A")
    after = caller({kept_at: value}, token=f"env:{kept_at}")
    assert changes(before, after, "old") == ([] if is_same else ["the account (api.token)"])


def test_a_token_that_is_kept_where_it_was_is_not_fetched_to_compare() -> None:
    """A command that gives it is not started for that."""
    assert changes(caller(token="env:A"), caller(token="env:A"), "old") == []


@pytest.mark.parametrize(
    ("kept_at", "value", "is_same"),
    [("A", "old", True), ("A", "new", False), ("B", "old", True), ("B", "new", False)],
    ids=["nothing differs", "another token", "kept elsewhere", "both"],
)
@pytest.mark.parametrize("basic", [False, True])
def test_on_another_host_the_token_itself_is_the_account(
    kept_at: str, value: str, *, is_same: bool, basic: bool
) -> None:
    """A variable of the same name may hold the token of someone else there."""

    def account(reference: str, values: Mapping[str, str]) -> Caller:
        if basic:
            return caller(values, auth={"basic": {"user": "ann", "password": reference}})
        return caller(values, token=reference)

    submitter = account("env:A", {"A": "old"}).digest(SALT, "old")
    worker = account(f"env:{kept_at}", {kept_at: value})
    differences = [] if is_same else [f"the account (api.{'auth' if basic else 'token'})"]
    assert worker.differences_from(submitter) == differences


def test_on_another_host_another_user_of_basic_authentication_is_another_account() -> None:
    """Even if both have the same password."""
    ann, bob = (caller({"A": "same"}, auth={"basic": {"user": user, "password": "env:A"}}) for user in ("ann", "bob"))
    assert bob.differences_from(ann.digest(SALT, "same")) == ["the account (api.auth)"]


def test_on_another_host_a_command_that_gives_new_tokens_is_the_same_account() -> None:
    """By its text: it is not started to compare. Another command is the same account if it gives the same token."""
    submitter = caller(token="command:get token").digest(SALT, "old")
    assert caller(token="command:get token").differences_from(submitter) == []
    assert caller({"get it": "old"}, token="command:get it").differences_from(submitter) == []
    other = caller({"get it": "new"}, token="command:get it")
    assert other.differences_from(submitter) == ["the account (api.token)"]
    assert caller({"A": "old"}, token="env:A").differences_from(submitter) == []


def test_on_another_host_a_client_of_oauth_is_the_account_and_no_token_is_none() -> None:
    """As on one machine."""
    client = caller(oauth=OAUTH).digest(SALT, None)
    assert caller(oauth=OAUTH | {"client_secret": "file:/s"}).differences_from(client) == []
    assert caller(oauth=OAUTH | {"client_id": "d"}).differences_from(client) == ["the account (api.oauth)"]
    assert caller().differences_from(caller().digest(SALT, None)) == []
    assert caller({"A": "t"}, token="env:A").differences_from(caller().digest(SALT, None)) == [
        "the account (api.token)"
    ]


def test_the_quota_of_a_command_is_one_although_its_tokens_are_new() -> None:
    """Any other token is an account of its own."""
    first, second = (caller({"get token": value}, token="command:get token") for value in ("1", "2"))
    assert first.account_key(SALT) == second.account_key(SALT)
    first, second = (caller({"A": value}, token="env:A") for value in ("1", "2"))
    assert first.account_key(SALT) != second.account_key(SALT)


@pytest.mark.parametrize("change", [{"client_id": "d"}, {"scope": "one"}, {"token_url": "https://b.example/token"}])
def test_another_client_of_oauth_is_another_account(change: dict[str, str]) -> None:
    """Its secret may be renewed and moved."""
    before = caller(oauth=OAUTH)
    assert changes(before, caller(oauth=OAUTH | {"client_secret": "file:/s"})) == []
    assert changes(before, caller(oauth=OAUTH | change)) == ["the account (api.oauth)"]
    assert changes(before, caller({"A": "t"}, token="env:A")) == ["the account (api.token)"]
    assert changes(before, caller()) == ["the account (api.token)"]
    assert changes(caller(), before) == ["the account (api.oauth)"]


def test_a_database_tells_neither_a_value_nor_that_two_runs_have_the_same() -> None:
    """Digests with a salt of the run's own, under the name of the header; the same one for the same salt."""
    one = caller({"KEY": "secret-key"}, headers=HEADERS, token="env:TOKEN")
    told = json.dumps(asdict(one.digest(SALT, "secret-token")))
    assert not [value for value in ("secret", '"7"', "KEY", "TOKEN") if value in told]
    assert one.digest(SALT, "t") == one.digest(SALT, "t")
    salts = new_salt(), new_salt()
    first, second = (one.digest(salt, "t") for salt in salts)
    assert not set(first.headers.values()) & set(second.headers.values())
    twice = caller(headers={"X-A": "7", "X-B": "7"}).digest(SALT, None)
    assert twice.headers["x-a"] != twice.headers["x-b"]


def test_digests_take_no_time_that_anybody_notices() -> None:
    """Slow enough to make guessing hard, fast enough for a start: the processor's time, which others do not take."""
    one = caller({"KEY": "k"}, headers=HEADERS, token="env:TOKEN")
    times = []
    for _ in range(5):
        began = time.process_time()
        one.digest(SALT, "t")
        times.append(time.process_time() - began)
    assert min(times) < 0.05
