"""Whether a text field is an identifier, in which every character counts, by what a description calls it."""

from __future__ import annotations

import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LAST_WORDS = frozenset(
    {
        "id", "ids", "identifier", "number", "no", "nr", "num", "code", "key", "reference", "ref", "uuid", "guid",
        "sku", "ean", "gtin", "isbn", "iban", "bic", "vin", "zip", "postcode", "phone", "telephone", "mobile", "fax",
    }
)  # fmt: skip
"""Words with which names and titles of identifiers end."""
_NUMBERED = frozenset({"version", "release", "revision", "edition"})
"""Words for things that are numbered like 2.0."""
_DESCRIPTION = re.compile(
    r"(?:[\w/'-]+ ){0,3}?(?:id|number|code|key|reference)\b(?! of\b)|(?:[\w/'-]+ ){0,5}?identifier\b", re.IGNORECASE
)
"""How the description of an identifier begins: "The number that the CRM gave the opportunity."."""


def is_called_identifier(name: str, title: str, description: str) -> bool:
    """Whether a field's name, title or first sentence says that it is an identifier."""
    for text in (name, title):
        words = [word.lower() for word in _WORDS.findall(text)]
        if not _NUMBERED.isdisjoint(words):
            return False
        if words and (words[0] == "id" or words[-1] in _LAST_WORDS):
            return True
    return _DESCRIPTION.match(description) is not None
