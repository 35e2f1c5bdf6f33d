"""One redaction for every text that came from outside: a secret of the configuration never leaves the program.

A service may repeat what it was sent: in an error text, in a record, encoded by the layers that the text went through,
or cut off in the middle. So a secret is looked for as it is, percent-encoded (RFC 3986, section 2.1), escaped as in
JSON (RFC 8259, section 7) or HTML, each up to three times over, and in Base64 (RFC 4648) at any position within it;
and so is a part of it that a text ends or begins with.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REDACTED = "[redacted]"
"""Takes the place of a secret."""
_SHORTEST = 4
"""Characters. A shorter text is no secret: it would occur in half of all texts by chance."""
_SHORT = 6
"""A secret shorter than this is looked for as a word of its own only."""
_CUT_AT_LEAST = 6
"""Characters of a secret that are taken for it where a text was cut off."""
_PART_AT_LEAST = 8
"""The same anywhere else, and then at least half of the secret."""
_ENCODINGS = 3
"""How many layers of escapes are undone."""
_CUT = re.compile(r"\Z|\s?(\.\.|…)|[\"'*<\[]")
"""What follows where a text was cut off: its end, an ellipsis, or the end of what it quotes."""
_KEY = re.compile(r"[A-Za-z0-9_~.-]{16,}")
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="


class _Escape(NamedTuple):
    """A way to write characters in other characters."""

    mark: str
    """How every escape begins."""
    pattern: re.Pattern[str]
    meaning: Callable[[str], str]
    """Returns the character for what the pattern's group holds."""


_ESCAPES = (
    _Escape("%", re.compile(r"%([0-9a-fA-F]{2})"), lambda code: chr(int(code, 16))),
    _Escape(
        "\\",
        re.compile(r"\\([\"'/\\]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})"),
        lambda code: chr(int(code[1:], 16)) if code[1:] else code,
    ),
    _Escape("&", re.compile(r"(&#?[0-9a-zA-Z]{1,8};)"), html.unescape),
)
"""Percent-encoding, the escapes of JSON and of most programming languages, and those of HTML."""


class _Needle(NamedTuple):
    """One form of a secret."""

    text: str
    is_base64: bool

    @property
    def shortest_cut(self) -> int:
        return min(_CUT_AT_LEAST, len(self.text))


class _Layer(NamedTuple):
    """A text with some layers of its escapes undone."""

    text: str
    origins: Sequence[int]
    """Position in `text` -> where that character begins in the original; one more for the end."""


class Redaction:
    """Removes secrets from texts. What it has not been told of stays."""

    def __init__(self) -> None:
        self._needles: tuple[_Needle, ...] = ()
        self._hints: tuple[str, ...] = ()
        """One of these is in every text that holds a secret without an escape."""

    def remember(self, secret: str) -> None:
        """Look for one more secret from now on; one of less than four characters cannot be told from other text."""
        if len(secret) < _SHORTEST or any(needle.text == secret for needle in self._needles):
            return
        needles = {*self._needles, *_needles(secret)}
        self._needles = tuple(sorted(needles, key=lambda needle: -len(needle.text)))
        ends = ((needle.text[: needle.shortest_cut], needle.text[-needle.shortest_cut :]) for needle in self._needles)
        self._hints = tuple({hint for pair in ends for hint in pair})

    def remember_address(self, address: str) -> None:
        """Look for what is secret inside an address: its password, and whatever looks like a key in path and query."""
        try:
            parts = urlsplit(address)
            password, userinfo = parts.password, parts.netloc.rpartition("@")[0]
        except ValueError:  # it is no address, so nothing is sent there
            return
        keys = [key for key in _KEY.findall(f"{parts.path}?{parts.query}") if re.search("[0-9]", key)]
        for secret in (*((password, unquote(password), userinfo) if password else ()), *keys):
            self.remember(secret)

    def may_hold(self, text: str) -> bool:
        """Whether a text may hold a secret; False is certain, and is found out at little cost."""
        if any(hint in text for hint in self._hints):
            return True
        return bool(self._needles) and any(escape.mark in text and escape.pattern.search(text) for escape in _ESCAPES)

    def text(self, text: str) -> str:
        """Return the text with `REDACTED` in place of each secret, or of what is left of one."""
        if not self.may_hold(text):
            return text
        spans = sorted({span for layer in _layers(text) for needle in self._needles for span in _found(layer, needle)})
        parts, at = [], 0
        for start, end in spans:
            if start >= at:
                parts += [text[at:start], REDACTED]
            at = max(at, end)
        return "".join([*parts, text[at:]])

    def json(self, value: object) -> object:
        """Return a value of JSON, numbers as int or Decimal, with no secret in its texts, names and numbers."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(name)): self.json(member) for name, member in value.items()}
            case list():
                return [self.json(item) for item in value]
            case int() | Decimal() if not isinstance(value, bool) and self.text(str(value)) != str(value):
                return REDACTED
            case _:
                return value


def _needles(secret: str) -> Iterator[_Needle]:
    yield _Needle(secret, is_base64=False)
    as_bytes = secret.encode("utf-8", "surrogateescape")
    if not secret.isascii():
        yield _Needle(as_bytes.decode("latin-1"), is_base64=False)  # as percent-encoding spells it, byte by byte
    for before in range(3):  # where a group of three bytes may begin
        # Of the first and the last character, other bytes decide as well.
        first, end = -(-before * 8 // 6), (before + len(as_bytes)) * 8 // 6
        core = base64.b64encode(bytes(before) + as_bytes).decode("ascii")[first:end]
        for form in {core, core.replace("+", "-").replace("/", "_")}:
            yield _Needle(form, is_base64=True)


def _layers(text: str) -> Iterator[_Layer]:
    """Yield the text as it is, and with up to `_ENCODINGS` layers of escapes undone, in any order of their kinds."""
    layers = {text: _Layer(text, range(len(text) + 1))}
    newest = list(layers.values())
    for _ in range(_ENCODINGS):
        undone = [_unescaped(layer, escape) for layer in newest for escape in _ESCAPES]
        newest = [layer for layer in undone if layer.text not in layers]
        layers.update((layer.text, layer) for layer in newest)
    yield from layers.values()


def _unescaped(layer: _Layer, escape: _Escape) -> _Layer:
    parts: list[str] = []
    origins: list[int] = []
    at = 0
    for found in escape.pattern.finditer(layer.text):
        parts += [layer.text[at : found.start()], escape.meaning(found[1])]
        origins += [*layer.origins[at : found.start()], *[layer.origins[found.start()]] * len(parts[-1])]
        at = found.end()
    return _Layer("".join([*parts, layer.text[at:]]), [*origins, *layer.origins[at:]])


def _found(layer: _Layer, needle: _Needle) -> Iterator[tuple[int, int]]:
    """Yield where the needle, or a part of it that a cut has left, begins and ends in the original text."""
    text, cut = layer.text, needle.shortest_cut
    at = text.find(needle.text[:cut])
    while at >= 0:
        length = _common(text, at, needle.text)
        if _counts(text, at, length, needle):
            start, end = _widened(text, at, at + length) if needle.is_base64 else (at, at + length)
            yield layer.origins[start], layer.origins[end]
        at = text.find(needle.text[:cut], at + 1)
    for length in range(len(needle.text) - 1, cut - 1, -1):
        if text.startswith(needle.text[-length:]):
            yield 0, layer.origins[length]
            return


def _common(text: str, at: int, needle: str) -> int:
    """Return how many characters of the needle stand at that position."""
    low, high = 0, min(len(needle), len(text) - at)
    if text.startswith(needle[:high], at):
        return high
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if text.startswith(needle[:middle], at) else (low, middle)
    return low


def _counts(text: str, at: int, length: int, needle: _Needle) -> bool:
    """Whether so many characters of a needle are a secret, or what is left of one."""
    whole = len(needle.text)
    if length < whole:
        ends = range(at + needle.shortest_cut, at + length + 1)
        return length >= max(_PART_AT_LEAST, whole / 2) or any(_CUT.match(text, end) for end in ends)
    if whole >= _SHORT or needle.is_base64:
        return True
    return not (text[at - 1 : at].isalnum() or text[at + length : at + length + 1].isalnum())


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the whole run of Base64 around a part of it."""
    while start and text[start - 1] in _BASE64:
        start -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    return start, end
