"""What of an OpenAPI document can be used: its operations, their columns, and why others cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from batch_updater.endpoint import document
from batch_updater.endpoint.description import Endpoint, LeftOut, OpenColumns, OpenKind
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.openapi import DescribedOperation, operations
from batch_updater.endpoint.parsing import read_content
from batch_updater.endpoint.reference import named_document
from batch_updater.errors import EndpointError, Location
from batch_updater.text.spelling import nearest


class UsableColumn(msgspec.Struct, frozen=True):
    """A column that a file may have."""

    field: str
    """Its header; `*` is what the header says: `properties.*`, `ticket.custom_fields[*]`. `lines[0].amount` may have
    any number."""
    type: str
    required: bool
    """Whether every row needs it."""


class ListedOperation(msgspec.Struct, frozen=True):
    """An operation as `endpoints` lists it."""

    operation: str
    """What follows the # in `api.endpoint`; a path whose operations cannot be read."""
    method: str
    """In capitals; '' of such a path."""
    path: str
    summary: str
    supported: bool
    reason: str | None
    """Why it cannot be used, in a sentence."""
    columns: tuple[UsableColumn, ...]
    left_out: tuple[LeftOut, ...]


class DocumentList(msgspec.Struct, frozen=True):
    """A document and its operations."""

    path: Path
    name: str | None
    """Of a built-in description."""
    operation: str | None
    """The only one that was asked for."""
    operations: tuple[ListedOperation, ...]


def list_operations(reference: str, overlay: Path | None = None) -> DocumentList:
    """Return the operations of a document, or the one behind its `#`; a name is that of a built-in description.

    Raises EndpointError.
    """
    named = named_document(reference)
    resolver = document.Resolver(DocumentFiles(named.path, read_content(named.path), overlay))
    found = [_listed(one, str(named.path)) for one in operations(resolver)]
    if (wanted := named.operation) is not None:
        chosen = [one for one in found if wanted in {one.operation, f"{one.method.lower()} {one.path}"}]
        if not chosen:
            close = nearest(wanted, [one.operation for one in found])
            raise EndpointError(
                f"{named.path} has no operation {wanted}.",
                remedy=f"Did you mean {close!r}?" if close else "Leave out what is behind the # to list all.",
                place=Location(file=str(named.path)),
            )
        found = chosen
    return DocumentList(named.path, named.name, named.operation, tuple(found))


def _listed(one: DescribedOperation, path: str) -> ListedOperation:
    endpoint = one.endpoint
    return ListedOperation(
        operation=one.operation,
        method=one.method,
        path=one.path,
        summary=one.summary,
        supported=endpoint is not None,
        reason=None if endpoint else _without_place(one, path),
        columns=tuple(_columns(endpoint)) if endpoint else (),
        left_out=endpoint.left_out if endpoint else (),
    )


def _without_place(one: DescribedOperation, path: str) -> str:
    """Return the reason without the document and the operation, which are known."""
    pointer = one.path.replace("~", "~0").replace("/", "~1")
    reason = (one.why_not or "").removeprefix(f"{path}: ")
    for place in (f"/paths/{pointer}/{one.method.lower()}", f"/paths/{pointer}"):
        if reason.startswith(f"{place} "):
            return f"It {reason[len(place) + 1 :]}"
        if reason.startswith(f"{place}/"):
            return reason[len(place) + 1 :]
    return reason


def _columns(endpoint: Endpoint) -> Iterator[UsableColumn]:
    for field in endpoint.fields:
        yield UsableColumn(field.name, field.kind.value, field.required)
    for part in endpoint.opens:
        yield from _open_columns(part, "")


def _open_columns(part: OpenColumns, beginning: str) -> Iterator[UsableColumn]:
    name = f"{beginning}{part.name}"
    for field in part.fields:
        match part.kind:
            case OpenKind.MAP:
                yield UsableColumn(f"{name}.*", field.kind.value, required=False)
            case OpenKind.PAIRS:
                yield UsableColumn(f"{name}[*]", field.kind.value, required=False)
            case OpenKind.ITEMS:
                yield UsableColumn(f"{name}[0].{field.name}", field.kind.value, required=False)
    for inner in part.opens:
        yield from _open_columns(inner, f"{name}[0].")
