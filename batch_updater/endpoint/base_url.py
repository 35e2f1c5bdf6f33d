"""A base URL that does not fit the call's path: a part of it would be sent twice, or that of the server not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import ConfigError

_PARAMETER = re.compile(r"\{[^{}]*\}")
_VERSION = re.compile(r"v\d+(\.\d+)*", re.IGNORECASE)


class RepeatedPath(NamedTuple):
    """The end of a base URL that is also a part of the call's path."""

    corrected: str
    """The base URL without it."""
    is_certain: bool
    """Whether two segments or more are the path's own. One alone may be a prefix, such as `/api` or `/orders/v1`."""
    message: str
    """The repetition, and the address that it leads to."""
    remedy: str

    @property
    def note(self) -> str:
        """Message and remedy."""
        return f"{self.message} {self.remedy}."


def repeated_path(base_url: str, endpoint: Endpoint) -> RepeatedPath | None:
    """Return what the end of a base URL repeats of the call's path; None if the two fit together.

    It repeats the beginning of the path, in any case of letters (`/api`, `/api/v2`, the path of one record), in
    another version as well (`/api/v3` for `/api/v2`). A part from the middle of the path counts if two segments of it
    are not parameters: one is mostly a prefix, such as the `/v2` of a gateway. A path of the description's `servers`
    fits.
    """
    url = urlsplit(base_url)
    base, path = _segments(url.path), _segments(endpoint.path)
    if "/".join(base) in endpoint.server_paths:
        return None
    for size in range(min(len(base), len(path)), 0, -1):
        end = base[-size:]
        for start in range(len(path) - size + 1):
            part = path[start : start + size]
            pairs = list(zip(end, part, strict=True))
            same = sum(_is_same(*pair) for pair in pairs)
            versions = sum(_is_other_version(*pair) for pair in pairs)
            fits = all(_is_same(*pair) or _is_other_version(*pair) or _PARAMETER.search(pair[1]) for pair in pairs)
            if not fits or same < (2 if start else 1):
                continue
            repeated, whole = f"/{'/'.join(end)}", f"/{'/'.join(path)}"
            if versions:
                relation = f"where the path of the call has /{'/'.join(part)} ({whole})"
            elif size == len(path):
                relation = "which is the path of the call"
            elif part == path[:size]:
                relation = f"with which the path of the call begins ({whole})"
            else:
                relation = f"a part of the path of the call ({whole})"
            rest = "".join(f"/{segment}" for segment in base[:-size])
            corrected = url._replace(path=rest, query="", fragment="").geturl()
            is_certain = same + versions > 1
            message = f"api.base_url ends with {repeated}, {relation}: rows would be sent to {base_url}{endpoint.path}."
            remedy = "Set" if is_certain else f"If that is one {repeated} too many, set"
            return RepeatedPath(corrected, is_certain, message, f"{remedy} api.base_url to {corrected}")
    return None


def require_fitting(base_url: str | None, endpoint: Endpoint) -> None:
    """Raise ConfigError if a base URL certainly repeats a part of the call's path."""
    if base_url and (repeated := repeated_path(base_url, endpoint)) and repeated.is_certain:
        raise ConfigError(repeated.message, remedy=repeated.remedy)


def possible_repetition(base_url: str | None, endpoint: Endpoint) -> RepeatedPath | None:
    """Return what a base URL that `require_fitting` accepts may repeat all the same; None if nothing."""
    repeated = repeated_path(base_url, endpoint) if base_url else None
    return None if repeated is None or repeated.is_certain else repeated


class MissingPath(NamedTuple):
    """The path of the API's server, which a base URL does not have."""

    message: str
    remedy: str

    @property
    def note(self) -> str:
        """Message and remedy."""
        return f"{self.message} {self.remedy}."


def possible_misfit(base_url: str | None, endpoint: Endpoint) -> RepeatedPath | MissingPath | None:
    """Return what may be wrong with a base URL that `require_fitting` accepts; None if nothing is.

    The path of the description's servers is missed where they have the same one and the base URL has none: one that has
    another may be that of a gateway.
    """
    if repeated := possible_repetition(base_url, endpoint):
        return repeated
    paths = {re.sub(r"^(\w+:)?//[^/]*", "", server).strip("/") for server in endpoint.servers}
    if not base_url or _segments(urlsplit(base_url).path) or len(paths) != 1:
        return None
    (path,) = paths
    if not path or "{" in path:
        return None
    alone = base_url.rstrip("/")
    message = (
        f"The description says that the API is below /{path}, and api.base_url has no path: rows would be sent to "
        f"{alone}{endpoint.path}."
    )
    return MissingPath(message, f"If that is one path too few, set api.base_url to {alone}/{path}")


def _segments(path: str) -> Sequence[str]:
    return [segment for segment in path.split("/") if segment]


def _is_same(ours: str, theirs: str) -> bool:
    return unquote(ours).casefold() == unquote(theirs).casefold()


def _is_other_version(ours: str, theirs: str) -> bool:
    return bool(_VERSION.fullmatch(ours) and _VERSION.fullmatch(theirs)) and not _is_same(ours, theirs)
