"""config/secret_shape.py: texts that cannot be a secret, and those that can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.config.secret_shape import secret_problem

B64 = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=20, max_size=80).filter(
    lambda text: text[0] != "/" and len(set(text)) > 3
)
PASSWORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`"), min_size=8, max_size=40
).filter(lambda text: len(set(text)) > 3)


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
        ("Bearer:abc", "Bearer"),
        ("token abc", "Bearer"),
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
        ("${nexus_token}", "placeholder"),
        ("[paste it here]", "placeholder"),
        ("enter_api_key_here", "placeholder"),
        ("~/secrets/token", "path"),
        ("C:\\secrets\\token.txt", "path"),
        ("secrets/token.txt", "path"),
        ("./nexus-token", "path"),
        ("C:\\token.txt", "path"),
        ("\\\\server\\share\\nexus", "path"),
        ('{"access_token": "abc"}', "JSON"),
        ("NEXUS_TOKEN=abc", "name and ="),
        ("export NEXUS_TOKEN=abc", "name and ="),
        ("access_token: abc", "name and ="),
        ("access_token=abc", "name and ="),
        ("X-Api-Key: abc", "name and ="),
        ("$NEXUS_TOKEN", "variable"),
        ("${NEXUS_TOKEN}", "variable"),
        ("$env:NEXUS_TOKEN", "variable"),
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
    assert secret_problem(f"/{path}", "api.token") is None  # on Windows a host would be asked for it


def is_random(text: str) -> bool:
    """Tell texts of chance from words, which hypothesis takes out of the code under test."""
    words = "your|token|bearer|secret|key|passw|paste|insert|enter|here|redacted|hidden|none|null|undefined|tbd|todo"
    return not re.search(words, text, re.IGNORECASE)


@given(B64.filter(is_random))
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


@given(PASSWORDS.filter(is_random))
def test_a_random_password_is_taken(text: str) -> None:
    """Any printable character of ASCII may be anywhere in it, brackets, dollar and percent signs included."""
    for password in (text, f"{{{text}}}", f"<{text}>", f"[{text}]", f"${text}a", f"%{text}a%", f"{text}="):
        assert secret_problem(password, "api.oauth.client_secret") is None


@pytest.mark.parametrize(
    "text",
    [
        "sandbox-token", "token-1", "s", "BearerToken1", "my-secret-sauce", "p@ss:w0rd!", "a=b~c",
        "{3AAAF5C5-1D2E-4B57-8F0C-3C1F1F4E9E11}", "$ecret123", "${ab}c", "%x%y", "token:abcd1234efgh", "basic:abcd",
        "key=abcdefgh", "token=abcdefgh", "api:key-abcd", "env:", "[]9fK2", "{}9fK2", "..", "//server/x", "\"a'b",
    ],
)  # fmt: skip
def test_short_and_odd_secrets_are_taken(text: str) -> None:
    """An own account's words are its own, and there would be no way to insist."""
    assert secret_problem(text, "api.oauth.client_secret") is None


@pytest.mark.parametrize(
    "text", ["token=abc", "Bearer abcdefgh", "none", "<your token>", "Z\u00fcrich", '{"a": 1}', "env:A", "/", '"a", "b']
)
def test_the_value_of_a_header_may_be_any_line(text: str) -> None:
    """Only line breaks, other control characters and quotation marks around the whole are judged."""
    assert secret_problem(text, "api.headers.X-Key") is None
    assert "lines" in str(secret_problem(f"{text}\n{text}", "api.headers.X-Key"))
    assert "characters" in str(secret_problem(f"{text}\0{text}", "api.headers.X-Key"))
    assert "quotation marks" in str(secret_problem(f"'{text}'", "api.headers.X-Key"))


def test_an_address_is_what_a_notification_needs() -> None:
    """It may look like anything but a placeholder."""
    assert secret_problem("https://host.example/x", "nightly.notify, number 1") is None
    assert "placeholder" in str(secret_problem("<your key>", "nightly.notify, number 1"))
