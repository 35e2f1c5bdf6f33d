"""Names in documents, compared by their words: `friendlyName`, `friendly_name` and `FriendlyName` are alike."""

from __future__ import annotations

import re
from collections.abc import Collection

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
ID_WORDS = ("id", "_id", "gid", "uuid", "guid", "sid", "key")
"""Names of what identifies a record, without case, the most usual first."""


def name_words(name: str) -> list[str]:
    """Return the words of a name, without case."""
    return [word.lower() for word in _WORDS.findall(name)]


def last_word(name: str) -> str:
    """Return the last word of a name, without case; '' if it has none."""
    return next(reversed(name_words(name)), "")


def bare(name: str) -> str:
    """Return the letters and digits of a name, without case."""
    return "".join(filter(str.isalnum, name.casefold()))


def spelled(name: str, names: Collection[str]) -> str:
    """Return a name as it is spelled among others; unchanged if it is not among them, or not surely."""
    if name in names:
        return name
    alike = [one for one in names if bare(one) == bare(name)]
    return alike[0] if len(alike) == 1 else name


def is_one_of(name: str, collection: str) -> bool:
    """Whether a name is the singular of that of a collection: `subscription` of `subscriptions`."""
    one, several = bare(name), bare(collection)
    return bool(one) and several in {one, f"{one}s", f"{one}es", f"{one.removesuffix('y')}ies"}


def address(path: str) -> str:
    """Return the path of an operation as it is called: a # only tells apart what a document has at the same one."""
    return path.partition("#")[0].rstrip("/")


def collection(path: str) -> str:
    """Return the last segment of a path that is no parameter; '' if none is.

    It is `tickets` of `/tickets/{ticket_id}`, and of `/tickets({ticket_id})`, as OData has it.
    """
    names = (part.partition("(")[0] for part in reversed(address(path).split("/")))
    return next((name for name in names if name and "{" not in name), "")
