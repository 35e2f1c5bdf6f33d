"""The text of a description, or of a file beside it, as mappings and lists: JSON, or YAML 1.2.

Numbers are exact. Keys are texts, as they are written: YAML's `200` is JSON's `"200"`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from yaml.error import YAMLError

from batch_updater.errors import EndpointError, Location
from batch_updater.files.reading import open_regular, read_regular
from batch_updater.text.spelling import nearest
from batch_updater.text.yaml_reader import DoubledKeys, TooManyAliases, read_yaml_values

LARGEST_BYTES = 64_000_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_content(path: Path, key: str = "api.endpoint") -> bytes:
    """Return the content of a file of at most 64 MB; `key` of the configuration names it. Raises EndpointError."""
    with _read_faults(path, key):
        return read_regular(path, LARGEST_BYTES)


def digest_of(path: Path, key: str = "api.endpoint") -> str:
    """Return the SHA-256 of a file, whatever its size, without holding its content. Raises as `read_content`."""
    with _read_faults(path, key), open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _read_faults(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        close = nearest(path.name, _names_in(path.parent), cutoff=0.8) if is_missing else None
        raise EndpointError(
            f"The description {path} {'does not exist' if is_missing else f'cannot be read: {error.strerror}'}.",
            remedy=f"Did you mean {close!r}?" if close else f"Check its name: {key} in the configuration.",
            place=Location(file=str(path)),
        ) from error


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir())
    except OSError:
        return []


def decoded(path: str, content: bytes) -> str:
    """Return the text of a file; UTF-16 is what `>` of Windows PowerShell writes. Raises EndpointError."""
    try:
        return str(content, "utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_valid(path, "", "not text in UTF-8") from error


def parse(path: str, content: bytes) -> object:
    """Return what the content of a file means; `path` is for messages. Raises EndpointError."""
    text = decoded(path, content)
    if text.lstrip()[:1] in {"{", "["}:
        if _SURROGATE.search(text):
            text = _ESCAPE.sub(_without_half, text)
        try:
            return json.loads(text, parse_float=_exact, parse_constant=str, object_pairs_hook=_object)
        except (ValueError, RecursionError):  # with a comment or a comma too many it is YAML
            pass
    try:
        return read_yaml_values(text, _exact)
    except TooManyAliases as error:
        place = Location(file=path)
        raise EndpointError(f"{path} uses too many YAML aliases.", remedy="Write them out.", place=place) from error
    except (YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" in line {line + 1}"
        raise _not_valid(path, where, getattr(error, "problem", None) or "it cannot be parsed") from error


def _without_half(escape: re.Match[str]) -> str:
    """Return an escape of JSON; U+FFFD for half a character, which no file and no request can hold."""
    return escape[0] if escape["half"] is None else "\\ufffd"


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    by_key = dict(members)
    if len(by_key) == len(members):
        return by_key
    doubled = {key for key, value in members if value != by_key[key]}
    return DoubledKeys(by_key, doubled) if doubled else by_key


def _exact(text: str) -> Decimal:
    """Read 0.1 as 0.1: a bound may not pass through binary floating point."""
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent that no Decimal can have
        return Decimal("NaN")


def _not_valid(path: str, where: str, what: str) -> EndpointError:
    return EndpointError(
        f"{path} is not valid YAML or JSON{where}: {what}.", remedy="Correct the document.", place=Location(file=path)
    )
