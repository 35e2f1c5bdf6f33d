"""sender/secret_shape.py: texts that cannot be a secret, and those that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.sender.secret_shape import secret_problem

if TYPE_CHECKING:
    from pathlib import Path

B64 = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=20, max_size=80).filter(
    lambda text: text[0] != "/" and len(set(text)) > 3
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("'abc'", "quotation marks"),
        ("\u201cabc\u201d", "quotation marks"),
        ("bearer abc", "Bearer"),
        ("Bearer: abc", "Bearer"),
        ("Authorization: Bearer abc", "Bearer"),
        ("Basic dXNlcjpwdw==", "Bearer"),
        ("abc\r\ndef", "2 lines"),
        ("abc def", "blank"),
        ("abc\u00a0def", "blank"),
        ("ab\u200bc", "characters"),
        ("\ufeffabc", "characters"),
        ("<your token>", "placeholder"),
        ("{your-token}", "placeholder"),
        ("YOUR_API_TOKEN", "placeholder"),
        ("your-token-here", "placeholder"),
        ("xxxxxxxx", "placeholder"),
        ("********", "placeholder"),
        ("changeme", "placeholder"),
        ("~/secrets/token", "path"),
        ("C:\\secrets\\token.txt", "path"),
        ("secrets/token.txt", "path"),
        ('{"access_token": "abc"}', "JSON"),
        ("NEXUS_TOKEN=abc", "name and ="),
        ("export NEXUS_TOKEN=abc", "name and ="),
        ("access_token: abc", "name and ="),
        ("$NEXUS_TOKEN", "variable"),
        ("%NEXUS_TOKEN%", "variable"),
        ("env:NEXUS_TOKEN", "reference"),
        ("https://login.example.com", "address"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "PEM"),
        ("<!DOCTYPE html><html>", "web page"),
    ],
)
def test_what_can_be_no_token_is_told_by_its_shape(text: str, words: str) -> None:
    """What it is and what to do, without the text itself."""
    found = secret_problem(text, "api.token")
    assert found
    assert words in found.what
    assert not text or text not in f"{found.what} {found.remedy}"


def test_a_file_that_is_there_is_a_path(tmp_path: Path) -> None:
    """A token may begin with a slash as well; what names a file does not."""
    path = tmp_path / "token"
    assert secret_problem(str(path), "api.token") is None
    path.touch()
    assert "path" in str(secret_problem(str(path), "api.token"))


@given(B64)
def test_a_random_token_is_taken(text: str) -> None:
    """In Base64, plain, for URLs, padded, as a JWT, in hexadecimal: as they are issued."""
    for token in (
        text,
        text + "==",
        text.replace("+", "-").replace("/", "_"),
        ".".join([text.replace("/", "_")] * 3),
        text.encode().hex(),
    ):
        assert secret_problem(token, "api.token") is None


@pytest.mark.parametrize(
    "text", ["sandbox-token", "token-1", "s", "BearerToken1", "my-secret-sauce", "p@ss:w0rd!", "a=b~c"]
)
def test_short_and_odd_secrets_are_taken(text: str) -> None:
    """An own account's words are its own."""
    assert secret_problem(text, "api.oauth.client_secret") is None


def test_values_of_headers_and_addresses_may_look_like_anything() -> None:
    """`token=abc` is a header's value, and an address is what a notification needs."""
    assert secret_problem("token=abc", "api.headers.X-Key") is None
    assert secret_problem("https://host.example/x", "nightly.notify, number 1") is None
