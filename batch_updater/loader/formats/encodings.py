"""Encodings of texts that a person names in the configuration."""

from __future__ import annotations

import codecs

from batch_updater.loader.formats.book import UnreadableError

_NO_ENCODINGS = {"unicode-escape", "raw-unicode-escape", "utf-7", "idna", "punycode", "undefined"}
"""Codecs of Python that take a text apart in other ways than by its characters."""


def codec_of(configured: str) -> str:
    """Return the name of Python's codec for an encoding. Raises UnreadableError if it is none."""
    try:
        # Encoding tells the encodings of text from the other codecs of Python, such as base64.
        " ".encode(configured)
        name = codecs.lookup(configured).name
    except (LookupError, ValueError) as error:
        raise _no_encoding(configured) from error
    if name.replace("_", "-") in _NO_ENCODINGS:
        raise _no_encoding(configured)
    return name


def _no_encoding(configured: str) -> UnreadableError:
    return UnreadableError(
        f"cannot be read as {configured!r}, which is no known encoding",
        "Correct input.encoding; common ones are utf-8, windows-1252 and utf-16-le.",
    )
