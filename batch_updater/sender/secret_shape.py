"""What is wrong with a text that should be a secret: told by its shape, and never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a"
_SCHEME = re.compile(r"(authorization\s*[:=]\s*)?(bearer|basic|token)\s*[:\s]\s*\S|authorization\s*[:=]", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"((export|set|setx)\s+|\$env:)?[a-z_]*(token|key|secret|password)[a-z_]*\s*(=\s*[^\s=]|:\s+\S)", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"<.*>|\{\{?[^\"]*\}\}?|\[[\w -]*\]|x{4,}|[*.\-_\u2022\u2026]+|change[-_ ]?me|to[-_ ]?do|tbd|none|null|undefined|"
    r"(your|paste|insert|enter|put)[-_ ].*(token|key|secret)([-_ ].*)?|your(token|key|secret)(here)?",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"(\$\{?[A-Z_][A-Z0-9_]*\}?|%[A-Z_][A-Z0-9_]*%|\$env:\w+|\$\(.*\))\Z", re.IGNORECASE)
_REFERENCE = re.compile(r"(env|file|command):")
_FILE = re.compile(
    r"(~|\.{1,2})[\\/].+|[A-Za-z]:[\\/].*|\\\\.+|file://.+|.*[\\/][^\\/]+\.(txt|token|json|pem|key|env|ya?ml)"
)
_LONGEST_PATH = 1000
_AS_THEY_ARE = ("api.headers.", "nightly.")


class Shape(NamedTuple):
    """What a text is in place of a secret."""

    what: str
    """To follow `what env:TOKEN gives`."""
    remedy: str


def secret_problem(text: str, key: str) -> Shape | None:
    """Return what keeps a text from being a secret; None if nothing does.

    `text` has no blanks around it; `key` is the key of the configuration that refers to it. Values of headers and
    addresses of notifications may begin with words and names, tokens and passwords may not.
    """
    if not text:
        return Shape("is empty", "Put the secret there.")
    if text[0] in _QUOTES and text[-1] in _QUOTES and len(text) > 1:
        return Shape("is in quotation marks, which would be sent with it", "Leave the quotation marks out.")
    if not key.startswith(_AS_THEY_ARE):
        for shape, what, remedy in _SHAPES:
            if shape.match(text):
                return Shape(what, remedy)
        if _is_path(text):
            return Shape("is the path of a file", "To have the file read, write file:PATH in the configuration.")
    if _PLACEHOLDER.fullmatch(text):
        return Shape("is a placeholder, and not a secret", "Put the real one in its place.")
    return _character_problem(text)


def _character_problem(text: str) -> Shape | None:
    """Return which characters of a text cannot be sent in a header; None if all can."""
    lines = len(text.splitlines())
    if lines > 1:
        return Shape(f"has {lines:,} lines", "Put only the secret there, on one line.")
    if re.search(r"\s", text):
        return Shape("has a blank within it", "Put only the secret there; if it was copied in pieces, copy it again.")
    if not text.isascii():
        remedy = (
            "Copy it again from its source: letters with accents, typographic marks and the like are no part of it."
        )
        return Shape("holds characters that a secret cannot have", remedy)
    if not text.isprintable():
        return Shape("holds characters that a secret cannot have", "Put only the secret there, as plain text.")
    return None


def _is_path(text: str) -> bool:
    if len(text) > _LONGEST_PATH or "\n" in text or "\0" in text:
        return False
    if _FILE.fullmatch(text):
        return True
    try:
        # Base64 may begin with a slash as well: only what is there counts.
        return text[0] == "/" and Path(text).exists()
    except OSError:
        return False


_SHAPES = (
    (
        _SCHEME,
        "begins with the word that goes before a token (such as Bearer), which is added when it is sent",
        "Put only the token itself there.",
    ),
    (re.compile(r"[{[]\s*[\"\]}]"), "is JSON", "Put only the token out of it there, such as access_token."),
    (re.compile(r"<(!doctype|html|head|body)\b", re.IGNORECASE), "is a web page", "Put only the secret there."),
    (re.compile(r"-----BEGIN "), "is a key or certificate in PEM format", "Put only the token there."),
    (_ASSIGNMENT, "begins with a name and = or a colon", "Put only what follows it there."),
    (_VARIABLE, "is the name of a variable, which is not replaced here", "Put its value there, or write env:NAME."),
    (_REFERENCE, "is itself a reference (env:, file:, command:)", "Put the secret itself there."),
    (re.compile(r"https?://", re.IGNORECASE), "is an address", "Put the token there."),
)  # fmt: skip
