"""Texts that have to be e-mail addresses, UUIDs or web addresses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Bounds
from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from tests.loader.described import TEXT, settings

UUID = "123e4567-e89b-42d3-a456-426614174000"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("email", "ann@example.com"), ("email", "o'neil+tag@mail.example.co.uk"),
        ("email", "\u00fcn\u00ef@ex\u00e4mple.com"),
        ("email", '"a b"@example.com'), ("email", "ann@[192.0.2.1]"), ("email", "ann@localhost"), ("uuid", UUID),
        ("uuid", UUID.upper()), ("uri", "https://example.com/a?b=c#d"), ("uri", "mailto:ann@example.com"),
        ("uri", "urn:isbn:0451450523"), ("uri", "https://example.com/\u00fc"), ("uri", "http://[2001:db8::1]:8080/"),
        ("other", "anything"),
    ],
)  # fmt: skip
def test_what_may_be_right_is_taken(name: str, text: str) -> None:
    """Letters of all scripts, unusual forms, and any text for a format that is not checked."""
    assert converter(replace(TEXT, format=name), settings(), [])(text) == text


@pytest.mark.parametrize(
    ("name", "text", "reason", "remedy"),
    [
        ("email", "ann.example.com", "it has no @", "name@example.com"),
        ("email", "ann@", "nothing behind the @", ""),
        ("email", "@example.com", "nothing before the @", ""),
        ("email", "a@example.com; b@example.com", "more than one @", "one address"),
        ("email", "Ann <ann@example.com>", "more than the address", "Type ann@example.com."),
        ("email", "mailto:ann@example.com", "more than the address", "Type ann@example.com."),
        ("email", "ann smith@example.com", "a blank", ""),
        ("email", "ann..smith@example.com", "a dot too many", ""),
        ("email", "ann@example.com.", "a dot too many", ""),
        ("email", "ann@example,com", "a character that no address has", ""),
        ("email", f"{'a' * 65}@example.com", "longer than an address can be", ""),
        ("email", " ann@example.com", "blanks around it", "Type ann@example.com."),
        ("uuid", f"{{{UUID}}}", "no UUID", f"Type {UUID}."),
        ("uuid", UUID.replace("-", ""), "no UUID", f"Type {UUID}."),
        ("uuid", "4711", "no UUID", "Type it like"),
        ("uri", "www.example.com/a", "how it is reached", "Type https://www.example.com/a"),
        ("uri", "example.com:8080/a", "how it is reached", "https://example.com:8080/a"),
        ("uri", "/a", "how it is reached", "https://example.com/page"),
        ("uri", "https://example.com/a b", "a blank", "%20"),
        ("uri", "https://", "names no page", ""),
    ],
)  # fmt: skip
def test_what_is_certainly_wrong_is_told_in_plain_words(name: str, text: str, reason: str, remedy: str) -> None:
    """With what to type instead, where that is clear."""
    with pytest.raises(ValueProblem) as raised:
        converter(replace(TEXT, format=name), settings(), [])(text)
    codes = {"email": "not-an-email-address", "uuid": "not-a-UUID", "uri": "not-a-web-address"}
    assert raised.value.code == codes[name]
    assert reason in raised.value.reason
    assert remedy in raised.value.remedy


def test_a_format_and_a_length_count_together() -> None:
    """Either may be the problem."""
    field = replace(TEXT, format="email", bounds=Bounds(max_length=15))
    for text, code in (("ann.example.com", "not-an-email-address"), ("ann.smith@example.com", "too-long")):
        with pytest.raises(ValueProblem) as raised:
            converter(field, settings(), [])(text)
        assert raised.value.code == code
