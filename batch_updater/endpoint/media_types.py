"""Which of the formats of a body is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from batch_updater.endpoint import document
from batch_updater.endpoint.description import BodyFormat
from batch_updater.errors import EndpointError

_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_MERGE_PATCH = re.compile(r"application/merge-patch\+json\s*(;.*)?", re.IGNORECASE)
_JSON_PATCH = re.compile(r"application/json-patch\+json\s*(;.*)?", re.IGNORECASE)
_OTHER_JSON = re.compile(r"[a-z]+/([a-z0-9.+-]+\+)?(json|x-json)\s*(;.*)?", re.IGNORECASE)
_ANY = re.compile(r"\*/\*|application/\*", re.IGNORECASE)
_FORM = re.compile(r"application/x-www-form-urlencoded\s*(;.*)?", re.IGNORECASE)
_MULTIPART = re.compile(r"(multipart|application)/form-data\s*(;.*)?", re.IGNORECASE)
_OF_JSON = (_JSON, _MERGE_PATCH, _OTHER_JSON, _ANY)
"""The best first."""
_FORMS = {_FORM: BodyFormat.FORM, _MULTIPART: BodyFormat.MULTIPART}


def body_content(
    resolver: document.Resolver, body: document.RequestBody
) -> tuple[str, document.MediaType, BodyFormat] | None:
    """Return the content type to send, what it holds, and how that is written; None if there is none to choose.

    JSON comes first, forms after it, and JSON Patch last. A format whose schema is missing comes after the others.
    """
    found = []
    for rank, pattern in enumerate((*_OF_JSON, *_FORMS, _JSON_PATCH)):
        for media_type, media in _media(resolver, body):
            if pattern.fullmatch(media_type) and (pattern is _JSON_PATCH) == bool(_JSON_PATCH.fullmatch(media_type)):
                body_format = _FORMS.get(pattern, BodyFormat.JSON)
                sent = "application/json" if pattern is _ANY else media_type
                sent = "multipart/form-data" if pattern is _MULTIPART else sent
                found.append((not media.schema, rank, sent, media, body_format))
    if not found:
        return None
    _, _, sent, media, body_format = min(found, key=lambda one: one[:2])
    return sent, media, body_format


def json_content(resolver: document.Resolver, owner: document.Response) -> document.MediaType | None:
    """Return the JSON of an answer; None if it has none."""
    described = list(_media(resolver, owner))
    for pattern in _OF_JSON:
        for media_type, media in described:
            if pattern.fullmatch(media_type):
                return media
    return None


def _media(
    resolver: document.Resolver, owner: document.RequestBody | document.Response
) -> Iterator[tuple[str, document.MediaType]]:
    for media_type, written in owner.content.items():
        if isinstance(written, Mapping):
            try:
                yield media_type, resolver.node(document.MediaType, written, owner, "content", media_type)
            except EndpointError:
                continue
