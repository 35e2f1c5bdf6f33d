"""The one redaction for every text from outside: a secret of the configuration never leaves the program.

A service may repeat what it was sent: in an error text, in a record, encoded by the layers that the text went through,
wrapped into lines, in capitals, or cut off. So a secret is looked for as it is, percent-encoded (RFC 3986, section
2.1), escaped as in JSON (RFC 8259, section 7) or HTML, each up to three times over, in hexadecimal, and in Base64 (RFC
4648) at any position within it; and so is every longer part of it.

What the cells of a row hold is kept out of the log in the same way, as whole values and without the encodings of bytes.
"""

from __future__ import annotations

import base64
import html
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from batch_updater.text.lazy_pattern import lazy_pattern

REDACTED = "[redacted]"
"""Takes the place of a secret."""
_SHORTEST = 4
"""Characters. A shorter text is no secret: it would occur in half of all texts by chance."""
_CHUNK = 6
"""Characters by which a part of a secret is found; so many count as the secret where a text was cut off."""
_MOST_CHUNKS = 8
_PART = 8
"""Characters of a secret that count as the secret anywhere; of one shorter than 12, three quarters."""
_LONGEST = 100_000
"""Characters. A longer text that may contain a secret is redacted as a whole: searching it could take seconds."""
_ENCODINGS = 3
"""How many layers of escapes are undone."""
_CUT = lazy_pattern(r"\Z|\s?(\.\.|…)|[\"'*<\[]")
"""What follows where a text was cut off: its end, an ellipsis, or the end of what it quotes."""
_KEY = lazy_pattern(r"[A-Za-z0-9_~.-]{12,}")
"""What may be a key in the path or query of an address."""
_KEY_AS_HOST = lazy_pattern(r"(?<![^@:])[A-Za-z0-9_~-]{12,}(?![^@:])")
"""The same where a notification service has its key in place of user, host or port; most hosts have dots."""
_NAME_END = 4
"""Characters of a name before a password; too few to count as a part of the secret."""
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="


_CONTROLS: Mapping[str, str] = {"n": "\n", "r": "\r", "t": "\t"}
_Escape: TypeAlias = tuple[re.Pattern[str], Callable[[str], str]]
"""A way to write characters in other characters, and the character for what the pattern's group holds."""
_ESCAPES: tuple[_Escape, ...] = (
    (lazy_pattern(r"%([0-9a-fA-F]{2})"), lambda code: chr(int(code, 16))),
    (
        lazy_pattern(r"\\([\"'/\\nrt]|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,5}\}|x[0-9a-fA-F]{2})"),
        lambda code: chr(int(code[1:].strip("{}"), 16)) if code[1:] else _CONTROLS.get(code, code),
    ),
    (lazy_pattern(r"(&(?:#0*[0-9]{1,7};?|#[xX]0*[0-9a-fA-F]{1,6};?|[a-zA-Z]{2,8};))"), html.unescape),
)
"""Percent-encoding, the escapes of JSON and of most programming languages, and those of HTML."""
_LINES: _Escape = (lazy_pattern(r"(\s+)"), lambda _: "")
"""Line breaks and blanks that a text was wrapped with."""


class _Needle(NamedTuple):
    """One form of a secret, in small letters."""

    text: str
    is_base64: bool = False
    is_value: bool = False
    """Whether it is what a cell holds: ordinary words, of which a part says nothing."""

    @property
    def is_word(self) -> bool:
        """Whether it is looked for as a word of its own only: as a part it would occur in other texts by chance."""
        size = len(self.text)
        return not self.is_base64 and (
            size < _CHUNK or (self.text.isdigit() and size < 12) or (self.text.isalpha() and size < 8)
        )

    @property
    def least(self) -> int:
        """So many characters of it are taken for the secret wherever they are."""
        size = len(self.text)
        return size if self.is_word or self.is_value else _PART if size >= 12 else -(-size * 3 // 4)

    def chunks(self) -> Iterator[tuple[str, int]]:
        """Yield short parts of it with their positions; one of them is in every longer part, and in its ends."""
        size = len(self.text)
        length = min(_CHUNK, size)
        if self.is_word:
            yield self.text[:length], 0
            return
        step = max(_CHUNK, -(-size // _MOST_CHUNKS)) if size > 12 else 1
        for at in {*range(0, size - length + 1, step), size - length}:
            yield self.text[at : at + length], at


class _Layer(NamedTuple):
    """A text with some layers of its escapes undone."""

    text: str
    spans: list[tuple[int, int]]
    """Where each of its characters begins and ends in the original."""

    def unescaped(self, escape: _Escape) -> _Layer:
        """Return the text with the escapes of one kind undone."""
        parts: list[str] = []
        spans: list[tuple[int, int]] = []
        at = 0
        pattern, meaning = escape
        for match in pattern.finditer(self.text):
            start, end = match.span()
            plain = meaning(match[1])
            parts += [self.text[at:start], plain]
            spans += self.spans[at:start]
            spans += [(self.spans[start][0], self.spans[end - 1][1])] * len(plain)
            at = end
        return _Layer("".join([*parts, self.text[at:]]), spans + self.spans[at:])


class Redaction:
    """Removes the secrets that it was given from texts."""

    def __init__(self, mark: str = REDACTED) -> None:
        """`mark` takes the place of a secret."""
        self._mark = mark
        self._needles: frozenset[_Needle] = frozenset()
        self._chunks: Mapping[str, Sequence[tuple[_Needle, int]]] = {}
        """Every chunk -> the needles that have it, and where."""
        self._any_chunk = lazy_pattern("(?!)")

    def remember(self, secret: str) -> None:
        """Redact one more secret from now on; one of less than four characters would match other text by chance."""
        if len(secret) >= _SHORTEST:
            self._look_for(_needles(secret))

    def remember_values(self, values: Iterable[str]) -> None:
        """Redact what cells hold from now on: whole values, or their beginnings where a text was cut off.

        Short ones only as words of their own; those without a letter or digit not at all.
        """
        self._look_for(needle for value in values if any(map(str.isalnum, value)) for needle in _value_needles(value))

    def _look_for(self, more: Iterable[_Needle]) -> None:
        needles = self._needles.union(more)
        if needles == self._needles:
            return
        chunks = defaultdict(list)
        for needle in needles:
            for chunk, at in needle.chunks():
                chunks[chunk].append((needle, at))
        self._any_chunk = lazy_pattern("|".join(map(re.escape, sorted(chunks, key=len, reverse=True))))
        self._needles, self._chunks = needles, chunks

    def remember_login(self, address: str) -> None:
        """Redact the login in an address: its password, or a key in place of the name."""
        parts = _parts(address)
        name, _, password = parts.netloc.rpartition("@")[0].partition(":")
        if not password:
            self._remember_keys([name])
            return
        # Of the name only the end: it is no secret, and hosts may be called like it.
        for secret in (password, unquote(password), f"{name[-_NAME_END:]}:{password}"):
            self.remember(secret)

    def remember_address(self, address: str) -> None:
        """Redact the secrets in a notification address: its login, and keys anywhere in it."""
        parts = _parts(address)
        self.remember_login(address)
        self._remember_keys(_KEY.findall(f"{parts.path}?{parts.query}"))
        self._remember_keys(_KEY_AS_HOST.findall(parts.netloc))

    def _remember_keys(self, texts: Iterable[str]) -> None:
        """Redact those of the texts that look like keys."""
        for text in texts:
            if _KEY.fullmatch(text) and re.search("[0-9]", text):
                self.remember(text)

    def may_hold(self, text: str) -> bool:
        """Whether a text may contain a secret; False is certain, and cheap."""
        lowered = text.lower()
        if any(chunk in lowered for chunk in self._chunks):
            return True
        return bool(self._needles) and any(pattern.search(text) for pattern, _ in _ESCAPES)

    def text(self, text: str) -> str:
        """Return the text with the mark in place of each secret, or of a part of one."""
        if not self.may_hold(text):
            return text
        if len(text) > _LONGEST:
            return self._mark
        parts, at = [], 0
        for start, end in sorted({span for layer in _layers(text) for span in self._spans(layer)}):
            if start >= at:
                parts += [text[at:start], self._mark]
            at = max(at, end)
        return "".join([*parts, text[at:]])

    def json(self, value: object) -> object:
        """Return a value of JSON with no secret in its texts and names, nor for a number (int or Decimal)."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(name)): self.json(member) for name, member in value.items()}
            case list():
                return [self.json(item) for item in value]
            case int() | Decimal() if not isinstance(value, bool) and _Needle(str(value)) in self._needles:
                return self._mark
            case _:
                return value

    def _spans(self, layer: _Layer) -> Iterator[tuple[int, int]]:
        """Yield where a secret, or a part of it, begins and ends in the original text."""
        lowered, at = _lowered(layer.text), 0
        while chunk := self._any_chunk.search(lowered, at):
            at = chunk.start() + 1
            for needle, position in self._chunks[chunk[0]]:
                # What the text and the needle have in common around the chunk.
                begins_at, ends_at = chunk.start() - position, chunk.start() - position + len(needle.text)
                before = lowered[max(0, begins_at) : chunk.start()]
                start = chunk.start() - _in_common(before[::-1], needle.text[:position][::-1])
                end = chunk.start() + _in_common(lowered[chunk.start() : ends_at], needle.text[position:])
                if _counts(lowered, start, end, needle, begins_at):
                    if needle.is_base64:  # the whole run of Base64 around a part of it
                        start = len(layer.text[:start].rstrip(_BASE64))
                        end = len(layer.text) - len(layer.text[end:].lstrip(_BASE64))
                    yield layer.spans[start][0], layer.spans[end - 1][1]
                    at = max(at, end)


def _parts(address: str) -> SplitResult:
    """Return the parts of an address; all are empty if it is none, and nothing is sent there."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _lowered(text: str) -> str:
    """Return a text in small letters, in which every character keeps its position."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text


def _needles(secret: str) -> Iterator[_Needle]:
    yield _Needle(_lowered(secret))
    as_bytes = secret.encode("utf-8", "surrogateescape")
    if not secret.isascii():
        yield _Needle(as_bytes.decode("latin-1").lower())  # as percent-encoding spells it, by bytes
    yield _Needle(as_bytes.hex(), is_base64=True)
    for before in range(3):  # where a group of three bytes may begin
        # Of the first and the last character, other bytes decide as well.
        first, end = -(-before * 8 // 6), (before + len(as_bytes)) * 8 // 6
        core = base64.b64encode(bytes(before) + as_bytes).decode("ascii")[first:end].lower()
        for form in {core, core.replace("+", "-").replace("/", "_")}:
            yield _Needle(form, is_base64=True)


def _value_needles(value: str) -> Iterator[_Needle]:
    words = value.split()
    for form in {
        value,
        *(blank.join(words) for blank in (" ", "+", "")),
    }:  # a plus is a blank in the query of an address
        yield _Needle(_lowered(form), is_value=True)
        if not form.isascii():
            by_bytes = form.encode("utf-8", "surrogateescape").decode("latin-1").lower()
            yield _Needle(by_bytes, is_value=True)


def _layers(text: str) -> Iterator[_Layer]:
    """Yield the text as it is, and with up to `_ENCODINGS` layers of escapes undone, in any order of their kinds.

    Each of them once more without blanks and line breaks.
    """
    layers = {text: _Layer(text, [(at, at + 1) for at in range(len(text))])}
    newest = list(layers.values())
    for _ in range(_ENCODINGS):
        undone = [layer.unescaped(escape) for layer in newest for escape in _ESCAPES]
        newest = [layer for layer in undone if layer.text not in layers]
        layers.update((layer.text, layer) for layer in newest)
    for layer in list(layers.values()):
        yield layer
        if len((unwrapped := layer.unescaped(_LINES)).text) < len(layer.text):
            yield unwrapped


def _in_common(one: str, other: str) -> int:
    """Return how many characters both texts begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _counts(text: str, start: int, end: int, needle: _Needle, begins_at: int) -> bool:
    """Whether these characters of a needle are a secret, or what is left of one; `begins_at`: where all of it would."""
    size = end - start
    if needle.is_word:
        is_alone = not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
        return size == len(needle.text) and is_alone
    if size >= needle.least:
        return True
    is_prefix, is_suffix = start == begins_at, end == begins_at + len(needle.text)
    if is_prefix and any(_CUT.match(text, cut) for cut in range(start + _CHUNK, end + 1)):
        return True
    return is_suffix and start == 0 and size >= _CHUNK
