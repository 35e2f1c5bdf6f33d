"""A base URL beside the path of the call: whether it holds a part of that path, which would then be sent twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from batch_updater.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_updater.endpoint.description import Endpoint

_PARAMETER = re.compile(r"\{[^{}]*\}")
_VERSION = re.compile(r"v\d+(\.\d+)*", re.IGNORECASE)


class Overlap(NamedTuple):
    """What a base URL holds of the call's path."""

    held: str
    """The end of the base URL that is a part of the path, such as `/api/v2`."""
    relation: str
    """What that is to the path, to follow `ends with /api/v2,`."""
    instead: str
    """The base URL without it."""


def overlap(base_url: str, endpoint: Endpoint) -> Overlap | None:
    """Return what the end of a base URL repeats of the call's path; None if the two fit.

    The path begins with it: `/api`, `/api/v2`, the path of one record, in any case of letters; or `/api/v3`, where the
    path begins with `/api/v2`. From the middle of the path two segments that are no parameters are needed, since one
    may be a prefix of its own, such as the `/v2` of a gateway. So may be what the description names under `servers`.
    """
    url = urlsplit(base_url)
    base, path = _segments(url.path), _segments(endpoint.path)
    if "/".join(base) in endpoint.server_paths:
        return None
    for size in range(min(len(base), len(path)), 0, -1):
        end = base[-size:]
        for start in range(len(path) - size + 1):
            part = path[start : start + size]
            literal = sum(_is_same(ours, theirs) for ours, theirs in zip(end, part, strict=True))
            if literal >= (2 if start else 1) and all(map(_fits, end, part)):
                kept = "".join(f"/{segment}" for segment in base[:-size])
                return Overlap(
                    f"/{'/'.join(end)}",
                    _relation(end, part, path),
                    url._replace(path=kept, query="", fragment="").geturl(),
                )
    return None


def require_fitting(base_url: str | None, endpoint: Endpoint) -> None:
    """Raise ConfigError if a base URL repeats a part of the call's path."""
    if base_url and (found := overlap(base_url, endpoint)):
        raise ConfigError(
            f"api.base_url ends with {found.held}, {found.relation}: rows would be sent to "
            f"{urlsplit(base_url).path}{endpoint.path}.",
            remedy=f"Set api.base_url to {found.instead}",
        )


def _segments(path: str) -> Sequence[str]:
    return [segment for segment in path.split("/") if segment]


def _is_same(ours: str, theirs: str) -> bool:
    return unquote(ours).casefold() == unquote(theirs).casefold()


def _fits(ours: str, theirs: str) -> bool:
    is_other_version = bool(_VERSION.fullmatch(ours) and _VERSION.fullmatch(theirs))
    return _is_same(ours, theirs) or is_other_version or _PARAMETER.search(theirs) is not None


def _relation(end: Sequence[str], part: Sequence[str], path: Sequence[str]) -> str:
    shown = f"/{'/'.join(path)}"
    if any(_VERSION.fullmatch(theirs) and not _is_same(ours, theirs) for ours, theirs in zip(end, part, strict=True)):
        return f"where the path of the call has /{'/'.join(part)} ({shown})"
    if len(part) == len(path):
        return "which is the path of the call"
    begins = "with which the path of the call begins" if part == path[: len(part)] else "a part of the path of the call"
    return f"{begins} ({shown})"
