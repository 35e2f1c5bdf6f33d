"""An overlay: changes to a description that is left as its vendor publishes it (OpenAPI Overlay Specification 1.0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import NamedTuple, NoReturn, cast

from batch_updater.endpoint.json_path import BadPathError, select
from batch_updater.errors import EndpointError, Location


class Overlaid(NamedTuple):
    """What an overlay has made of a document."""

    document: Mapping[str, object]
    idle: tuple[str, ...]
    """Targets of actions that select nothing, which is no error (OpenAPI Overlay, Action Object)."""


def apply_overlay(document: Mapping[str, object], overlay: object, path: str) -> Overlaid:
    """Apply the actions of an overlay to a document, in their order.

    `path` is that of the overlay, for messages. Raises EndpointError for what is no overlay.
    """

    def refuse(what: str) -> NoReturn:
        raise EndpointError(f"{path}: {what}.", remedy="Correct the overlay.", place=Location(file=path))

    if not isinstance(overlay, Mapping) or not str(overlay.get("overlay", "")).startswith("1."):
        refuse("this is no overlay of version 1 (overlay: 1.0.0)")
    actions = overlay.get("actions")
    if not isinstance(actions, list) or not actions:
        refuse("/actions is missing, or empty")
    changed: object = document
    idle: list[str] = []
    for number, action in enumerate(actions):
        try:
            changed = _applied(changed, action, idle)
        except (_BadActionError, BadPathError) as error:
            refuse(f"/actions/{number} {error}")
    return Overlaid(cast("Mapping[str, object]", changed), tuple(dict.fromkeys(idle)))


class _BadActionError(Exception):
    """Why an action cannot be applied; its message follows its place."""


def _applied(document: object, action: object, idle: list[str]) -> object:
    """Return the document with one action applied; add its target to `idle` if it selects nothing."""
    target = action.get("target") if isinstance(action, Mapping) else None
    if not isinstance(action, Mapping) or not isinstance(target, str):
        raise _BadActionError("has no target")
    nodes = select(target, document)
    if not nodes:
        idle.append(target)
    if action.get("remove") is True:
        for node in reversed(nodes):  # so that what is before them stays where it is
            if not node.location:
                raise _BadActionError("removes the whole document")
            document = _changed(document, node.location[:-1], partial(_without, node.location[-1]))
        return document
    if "update" not in action:
        raise _BadActionError("has neither update nor remove")
    for node in nodes:
        document = _changed(document, node.location, partial(_updated, action["update"], target))
    return document


def _changed(value: object, location: tuple[str | int, ...], change: Callable[[object], object]) -> object:
    """Return a value with one part changed. Parts may be shared, as aliases in YAML are, and so are copied."""
    if not location:
        return change(value)
    if isinstance(value, (dict, list)):
        first, *rest = location
        value = copy(value)
        value[first] = _changed(value[first], tuple(rest), change)  # type: ignore[index]
    return value


def _without(last: str | int, container: object) -> object:
    container = copy(container)
    del container[last]  # type: ignore[attr-defined]  # it is a list or a dict
    return container


def _updated(update: object, target: str, value: object) -> object:
    """Return an array with one more item, or an object merged: lists in it are joined, other values replaced."""
    if isinstance(value, list):
        return [*value, update]
    if isinstance(value, dict) and isinstance(update, Mapping):
        return _merged(value, update)
    raise _BadActionError(f"cannot update what {target} selects")


def _merged(value: dict[str, object], update: Mapping[str, object]) -> dict[str, object]:
    merged = copy(value)
    for name, new in update.items():
        own = merged.get(name)
        if isinstance(own, dict) and isinstance(new, Mapping):
            merged[name] = _merged(own, new)
        else:
            merged[name] = [*own, *new] if isinstance(own, list) and isinstance(new, list) else new
    return merged
