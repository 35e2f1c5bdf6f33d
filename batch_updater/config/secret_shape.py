"""What is wrong with a text that should be a secret, by its shape alone; the text itself is never shown.

Only forms that people copy by mistake are refused. A text that may be a secret is taken, for there is no way to insist.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_QUOTED = re.compile(
    r"([\"'`]).*\1|"
    "[\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a].*[\u201c\u201d\u2018\u2019\u00ab\u00bb\u2039\u203a]",
    re.DOTALL,
)
"""A text in a pair of quotation marks; typographic ones differ by language, and are no part of a secret anyway."""
_SCHEME = re.compile(r"authorization\s*[:=]|bearer([\s:=]|\Z)|(basic|token)\s+\S", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"(?i:((export|set|setx)\s+|\$env:)\w+\s*=)|[A-Z][A-Z0-9]*_([A-Z0-9]+_)*(TOKEN|KEY|SECRET|PASSWORD)=.|"
    r"(?i:(access|api|auth|bearer|client|id|refresh)[_-](token|key|secret)=.|[\w-]*(token|key|secret|password)\s*[:=]\s+\S)"
)
_PLACEHOLDER = re.compile(
    r"x{4,}|([*.\-_\u2022\u2026])\1{2,}|change[-_ ]?me|to[-_ ]?do|tbd|none|null|undefined|"
    r"(your|paste|insert|enter|put)[-_ ]([a-z0-9]+[-_ ])*(token|key|secret|password)([-_ ][a-z]+)*|"
    r"your(api)?(token|key|secret|password)(here)?",
    re.IGNORECASE,
)
_IN_BRACKETS = re.compile(r"\$?(<{1,2}|\{{1,2}|\[{1,2})(?P<inside>[\w .:-]*)(>|\}|\]){1,2}")
_TELLING = re.compile(
    r"your|token|bearer|secret|key|passw|paste|insert|enter|here|redacted|hidden|\A[.x]+\Z", re.IGNORECASE
)
"""Words of a placeholder in brackets; a secret may be in brackets as well, such as a GUID of Windows."""
_VARIABLE = re.compile(
    r"(\$[A-Z][A-Z0-9]*_[A-Z0-9_]+|\$(TOKEN|KEY|SECRET|PASSWORD)|\$\{[A-Z_][A-Z0-9_]*\}|%[A-Z_][A-Z0-9_]*%|\$(?i:env):\w+|"
    r"\$\([a-z./~].*\))\Z"
)
_REFERENCE = re.compile(r"env:[A-Za-z_]\w*\Z|(file|command):.")
_NAME = r"[\w .~-]+"
_FILE = re.compile(
    rf"(~|\.{{1,2}}|[A-Za-z]:|\\)[\\/]{_NAME}([\\/]{_NAME})+|file://.+|"
    rf"([A-Za-z]:)?[\\/]?({_NAME}[\\/])*{_NAME}[\\/]{_NAME}\.(txt|token|json|pem|key|env|ya?ml)|"
    rf"(~|\.{{1,2}}|[A-Za-z]:)[\\/]{_NAME}?(token|secret|key|password|\.txt)({_NAME})?",
    re.IGNORECASE,
)
_LONGEST_PATH = 1000


class Shape(NamedTuple):
    """What keeps a text from being a secret."""

    what: str
    """Predicate, such as `is empty`."""
    remedy: str


def secret_problem(text: str, key: str) -> Shape | None:
    """Return what keeps a text from being a secret; None if nothing does.

    `text` has no blanks around it; `key` is the configuration key that refers to it. A header's value may be any line;
    a notification address may begin with words and names, which tokens and passwords may not.
    """
    if not text:
        return Shape("is empty", "Put the secret there.")
    if len(text) > 1 and _QUOTED.fullmatch(text):
        return Shape("is in quotation marks, which would be sent with it", "Leave the quotation marks out.")
    if key.startswith(("api.headers.", "api.auth.header.")):
        return _line_problem(text, is_word=False)
    if not key.startswith("nightly."):
        for shape, what, remedy in _SHAPES:
            if shape.match(text):
                return Shape(what, remedy)
        if _is_path(text):
            return Shape("is the path of a file", "To have the file read, write file:PATH in the configuration.")
    in_brackets = _IN_BRACKETS.fullmatch(text)
    if _TELLING.search(in_brackets["inside"]) if in_brackets else _PLACEHOLDER.fullmatch(text):
        return Shape("is a placeholder, and not a secret", "Put the real one in its place.")
    return _line_problem(text, is_word=not key.startswith("api.auth.basic."))


def _line_problem(text: str, *, is_word: bool) -> Shape | None:
    """Return what keeps a text from being one line, as a header's value is, or one word, as other secrets are."""
    lines = len(text.splitlines())
    if lines > 1:
        return Shape(f"has {lines:,} lines", "Put only the secret there, on one line.")
    if re.search(r"[\x00-\x1f\x7f]", text):
        return Shape("contains characters that a secret cannot have", "Put only the secret there, as plain text.")
    if is_word and re.search(r"\s", text):
        return Shape("contains a blank", "Put only the secret there; if it was copied in pieces, copy it again.")
    if is_word and not text.isascii():
        remedy = "Copy it again from its source; it cannot contain accented letters or typographic marks."
        return Shape("contains characters that a secret cannot have", remedy)
    return None


def _is_path(text: str) -> bool:
    if len(text) > _LONGEST_PATH or "\n" in text or "\0" in text:
        return False
    if _FILE.fullmatch(text):
        return True
    if os.name == "nt" or text[0] != "/" or text.startswith("//"):
        return False  # two slashes, or any on Windows, may name a host, which would then be contacted
    try:
        # Base64 may begin with a slash as well: only what is there counts.
        return Path(text).exists()
    except OSError:
        return False


_SHAPES = (
    (
        _SCHEME,
        "begins with the word that goes before a token (such as Bearer), which is added when it is sent",
        "Put only the token itself there.",
    ),
    (re.compile(r"\{\s*(\"|\}\Z)|\[\s*(\{\s*)?\"|\[\s*\]\Z"), "is JSON",
     "Put only the token out of it there, such as access_token."),
    (re.compile(r"<(!doctype|html|head|body)\b", re.IGNORECASE), "is a web page", "Put only the secret there."),
    (re.compile(r"-----BEGIN "), "is a key or certificate in PEM format", "Put only the token there."),
    (_ASSIGNMENT, "begins with a name and = or a colon", "Put only what follows it there."),
    (_VARIABLE, "is the name of a variable, which is not replaced here", "Put its value there, or write env:NAME."),
    (_REFERENCE, "is itself a reference (env:, file:, command:)", "Put the secret itself there."),
    (re.compile(r"https?://", re.IGNORECASE), "is an address", "Put the token there."),
)  # fmt: skip
