from __future__ import annotations

import base64
import html
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.text.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "canary+Tok/en=9f3"
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="[]"), min_size=12, max_size=60
).filter(lambda secret: not secret.isdigit())
BETWEEN = st.text("äöüß αβγ", max_size=20)
"""Nothing that a secret has."""


def knowing(*secrets: str) -> Redaction:
    redaction = Redaction()
    for secret in secrets:
        redaction.remember(secret)
    return redaction


def every_character(form: str, secret: str) -> str:
    return "".join(form.format(ord(character)) for character in secret)


def in_base64(before: str, secret: str) -> str:
    return base64.b64encode(f"{before}{secret}:behind".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "as in a form": quote_plus,
    "percent-encoded in lower case": lambda secret: every_character("%{:02x}", secret),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON inside JSON": lambda secret: json.dumps(json.dumps(secret))[1:-1],
    "with every character escaped": lambda secret: every_character("\\u{:04X}", secret),
    "in HTML": html.escape,
    "in HTML by numbers": lambda secret: every_character("&#{:d};", secret),
    "in Base64": lambda secret: in_base64("", secret),
    "in Base64 one byte later": lambda secret: in_base64("u", secret),
    "in Base64 two bytes later": lambda secret: in_base64("us", secret),
    "in Base64 of a whole header": lambda secret: in_base64("Bearer ", secret),
    "in Base64 for addresses": lambda secret: base64.urlsafe_b64encode(f"b{secret}".encode()).decode(),
    "in Base64 of many lines": lambda secret: base64.encodebytes(
        f"Authorization: Bearer {secret * 3}".encode()
    ).decode(),
    "in capitals": str.upper,
    "in hexadecimal": lambda secret: secret.encode().hex(),
    "wrapped into lines": lambda secret: "\n ".join(secret[at : at + 7] for at in range(0, len(secret), 7)),
    "wrapped in JSON": lambda secret: json.dumps("\n".join(secret[at : at + 7] for at in range(0, len(secret), 7)))[
        1:-1
    ],
    "in HTML without semicolons": lambda secret: every_character("&#{:d}", secret),
    "without its first characters": lambda secret: f"...{secret[4:]}",
    "without its last characters": lambda secret: f"{secret[:-4]}, and so on",
    "in Base64 that is percent-encoded": lambda secret: quote(in_base64("", secret), safe=""),
}


@given(SECRETS, BETWEEN, BETWEEN, st.sampled_from(sorted(FORMS)))
def test_a_secret_in_any_form_is_removed_and_the_text_around_it_stays(
    secret: str, before: str, behind: str, form: str
) -> None:
    """Whatever layers of software have made of it; Base64 is removed with what is encoded beside it."""
    shown = FORMS[form](secret)
    redacted = knowing(secret).text(f"{before} {shown} {behind}")
    assert REDACTED in redacted
    assert secret not in redacted
    assert shown not in redacted
    assert redacted.startswith(before)
    assert redacted.endswith(behind)


@given(SECRETS, st.sampled_from(["", "...", " ...", "…", '"}', "***"]), st.data())
def test_what_a_cut_has_left_of_a_secret_is_removed(secret: str, mark: str, data: st.DataObject) -> None:
    """A text may end in the middle of it, or begin there."""
    left = data.draw(st.integers(6, len(secret) - 1))
    assert secret[:left] not in knowing(secret).text(f"You sent Bearer {secret[:left]}{mark}")
    assert secret[-left:] not in knowing(secret).text(f"{secret[-left:]} is what you sent")


@given(st.text("%\\&#;u0123456789abcdef äα", max_size=200))
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    """Percent signs, backslashes and ampersands included, whether or not they are escapes of something."""
    assert knowing("SECRET-OF-CAPITALS").text(text) == text


def test_every_secret_is_looked_for() -> None:
    """Each generation of a token, and what is known besides."""
    redaction = knowing("first-token-1111", "second-token-222", TOKEN)
    redacted = redaction.text(f"a first-token-1111, a second-token-222, a {TOKEN}.")
    assert redacted == f"a {REDACTED}, a {REDACTED}, a {REDACTED}."


def test_values_of_json_are_redacted_wherever_they_are() -> None:
    """In names, texts, lists and numbers; the rest keeps its types and digits."""
    redaction = knowing("12345678", TOKEN)
    value = {"a": [1, Decimal("1.50"), None, True, f"x {TOKEN}"], TOKEN: 12345678, "n": 1123456789}
    expected = {"a": [1, Decimal("1.50"), None, True, f"x {REDACTED}"], REDACTED: REDACTED, "n": 1123456789}
    assert redaction.json(value) == expected


@pytest.mark.parametrize(
    "text", ["the code 7 of row 77", "abc", "a tokenabcd1 b", "1000000.00", "a prodigy in production"]
)
def test_short_texts_are_not_taken_for_secrets_inside_of_others(text: str) -> None:
    """A tenant `7` is no secret; a short one, a number or a word counts as a word of its own only."""
    assert knowing("7", "abc", "abcd1", "100000", "prod").text(text) == text


@pytest.mark.parametrize(
    "form", ["as it is", "percent-encoded in lower case", "in Base64", "with every character escaped"]
)
def test_a_text_full_of_secrets_costs_little_time(form: str) -> None:
    """A megabyte is not kept, and what is kept is taken apart in time that grows with its length."""
    redaction = knowing(TOKEN, "another-token-of-32-characters-1")
    repeated = FORMS[form](TOKEN)
    assert redaction.text(repeated * (1_000_000 // len(repeated))) == REDACTED
    started_s = time.process_time()
    redacted = redaction.text(repeated * (50_000 // len(repeated)))
    assert time.process_time() - started_s < 20  # minutes if it grew with the square
    assert TOKEN not in redacted


def test_a_short_secret_is_removed_as_a_word() -> None:
    """A password need not be long."""
    assert knowing("abcd1").text("password abcd1.") == f"password {REDACTED}."


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("http://me:pass%2Fword@proxy:8080", "pass/word"),
        ("http://me:password1@proxy:8080", "me:password1"),
        ("https://hooks.example.com/services/T024BE7LD0000000000/x", "T024BE7LD0000000000"),
        ("gotify://push.example.com/AbCdEfGhIj12345", "AbCdEfGhIj12345"),
        ("tgram://123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/42", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
        ("slack://bot@T1JJ3T3L2B1/A1BRTD4JD2K5/x", "A1BRTD4JD2K5"),
    ],
)
def test_what_is_secret_in_an_address_is_known(address: str, secret: str) -> None:
    """Its password, and what looks like a key."""
    redaction = Redaction()
    redaction.remember_address(address)
    assert redaction.text(f"a {secret} b") == f"a {REDACTED} b"
    assert redaction.text("http://proxy:8080/services") == "http://proxy:8080/services"


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("http://corporateproxy01:3128", None),
        ("http://corporate-user-01:pass%2Fword@corporateproxy01:3128", "pass/word"),
        ("http://me:password1@corporateproxy01:3128", "me:password1"),
        ("http://AbCdEfGhIj12345@corporateproxy01:3128", "AbCdEfGhIj12345"),
        ("http://AbCdEfGhIj12345:@corporateproxy01:3128", "AbCdEfGhIj12345"),
        ("http://[corporateproxy01:3128", None),
    ],
)
def test_of_a_proxy_only_the_login_is_secret(address: str, secret: str | None) -> None:
    """Its host is told, however it is called."""
    redaction = Redaction()
    redaction.remember_login(address)
    assert redaction.text(f"The proxy corporateproxy01:3128, {secret}") == (
        f"The proxy corporateproxy01:3128, {REDACTED if secret else None}"
    )
