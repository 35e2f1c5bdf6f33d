"""A reference in the configuration, such as `openapi.yaml#operationId` -> its endpoint, from the cache if it can be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from batch_updater.endpoint.cache import cache_key, cached_endpoint, keep_endpoint
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.parsing import digest_of, read_content
from batch_updater.errors import EndpointError
from batch_updater.text.spelling import nearest

_IDLE = (
    "An action of the overlay (api.overlay) changes nothing, for the description has nothing at its target: {targets}."
)
BUILT_IN = ("nexus-opportunity",)


class NamedDocument(NamedTuple):
    """What a reference names."""

    path: Path
    operation: str | None
    """None: the only updating one of the document."""
    name: str | None
    """Of a built-in description."""


def named_document(reference: str) -> NamedDocument:
    """Return what a reference names. Raises EndpointError for what is no file and no built-in description."""
    if reference in BUILT_IN:
        return NamedDocument(built_in_path(reference), reference, reference)
    path_text, _, operation = reference.partition("#")
    path = Path(path_text)
    if not path.suffix and not path.exists():
        close = nearest(path_text, BUILT_IN)
        raise EndpointError(
            f"There is no built-in description {path_text!r}" + (f"; did you mean {close!r}?" if close else "."),
            remedy=f"Set api.endpoint to {', '.join(BUILT_IN)}, or to a file such as openapi.yaml#operationId.",
        )
    return NamedDocument(path, operation or None, None)


def built_in_path(name: str) -> Path:
    """Return the document of a built-in description."""
    return Path(__file__).with_name(f"{name}.openapi.yaml")


def load_endpoint(reference: str, overlay: Path | None = None, read: str | None = None) -> Endpoint:
    """Read the description of one operation: a built-in one, or `path/openapi.yaml#operationId`.

    Without an operation it is the only updating one of the document; `overlay` is an overlay to apply first, `read`
    the operation that reads a record, in place of the document's own: by its id or as `get /path`. What was read once
    is cached. Raises EndpointError, which names the file and the place in it, and NoSuchReadError.
    """
    named = named_document(reference)
    overlay_digest = digest_of(overlay, "api.overlay") if overlay else None

    def key(digest: str) -> str:
        return cache_key(named.name, named.operation, digest, overlay_digest, read)

    if cached := cached_endpoint(key(digest_of(named.path)), named.path):
        return cached
    from batch_updater.endpoint.document_files import DocumentFiles
    from batch_updater.endpoint.openapi import described_endpoint

    content = read_content(named.path)
    files = DocumentFiles(named.path, content, overlay)
    endpoint = described_endpoint(files, named.operation, named.name, read)
    if files.idle:
        endpoint = replace(endpoint, notes=(_IDLE.format(targets=", ".join(files.idle)),))
    keep_endpoint(key(hashlib.sha256(content).hexdigest()), endpoint, files.digests)
    return endpoint
