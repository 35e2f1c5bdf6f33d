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
    is_certain: bool
    """Whether two segments or more are the path's own. One alone may be a prefix, such as `/api` or `/orders/v1`."""


def overlap(base_url: str, endpoint: Endpoint) -> Overlap | None:
    """Return what the end of a base URL repeats of the call's path; None if the two fit.

    The path begins with it: `/api`, `/api/v2`, the path of one record, in any case of letters; or `/api/v3`, where the
    path begins with `/api/v2`. From the middle of the path two segments that are no parameters are needed, since one
    is most often a prefix of its own, such as the `/v2` of a gateway. What the description names under `servers` fits.
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
                    is_certain=literal + sum(map(_is_other_version, end, part)) > 1,
                )
    return None


def require_fitting(base_url: str | None, endpoint: Endpoint) -> None:
    """Raise ConfigError if a base URL repeats a part of the call's path beyond doubt."""
    if base_url and (found := overlap(base_url, endpoint)) and found.is_certain:
        raise ConfigError(
            f"api.base_url ends with {found.held}, {found.relation}: rows would be sent to "
            f"{urlsplit(base_url).path}{endpoint.path}.",
            remedy=f"Set api.base_url to {found.instead}",
        )


class Doubt(NamedTuple):
    """What may be wrong with a base URL that is taken."""

    message: str
    """Where rows are sent, and why that may be wrong."""
    remedy: str
    """The other base URL to try."""

    @property
    def note(self) -> str:
        """Both."""
        return f"{self.message} {self.remedy}."


def doubt(base_url: str | None, endpoint: Endpoint) -> Doubt | None:
    """Return what may be wrong with a base URL that fits; None if nothing may be."""
    found = overlap(base_url, endpoint) if base_url else None
    if found is None or found.is_certain:
        return None
    return Doubt(
        f"api.base_url ends with {found.held}, {found.relation}: rows are sent to {base_url}{endpoint.path}.",
        f"If that is one {found.held} too many, set api.base_url to {found.instead}",
    )


def _segments(path: str) -> Sequence[str]:
    return [segment for segment in path.split("/") if segment]


def _is_same(ours: str, theirs: str) -> bool:
    return unquote(ours).casefold() == unquote(theirs).casefold()


def _fits(ours: str, theirs: str) -> bool:
    return _is_same(ours, theirs) or _is_other_version(ours, theirs) or _PARAMETER.search(theirs) is not None


def _is_other_version(ours: str, theirs: str) -> bool:
    return bool(_VERSION.fullmatch(ours) and _VERSION.fullmatch(theirs)) and not _is_same(ours, theirs)


def _relation(end: Sequence[str], part: Sequence[str], path: Sequence[str]) -> str:
    shown = f"/{'/'.join(path)}"
    if any(map(_is_other_version, end, part)):
        return f"where the path of the call has /{'/'.join(part)} ({shown})"
    if len(part) == len(path):
        return "which is the path of the call"
    begins = "with which the path of the call begins" if part == path[: len(part)] else "a part of the path of the call"
    return f"{begins} ({shown})"
