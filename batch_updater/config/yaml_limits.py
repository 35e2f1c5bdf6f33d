"""The size of a YAML document whose aliases are followed: a few lines can expand to billions of nodes."""

from __future__ import annotations

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

_LARGEST_NODES = 100_000


class _Open(msgspec.Struct):
    """A list or mapping that is not closed yet."""

    anchor: str | None
    nodes: int = 1


def exceeds_alias_limit(text: str) -> bool:
    """Whether a document has more than 100,000 nodes with its aliases expanded. Raises YAMLError.

    Nothing is expanded: the time is linear in the length of the text.
    """
    if "*" not in text:
        return False  # without an alias
    nodes_of_anchor: dict[str, int] = {}
    opened = [_Open(None)]
    for event in YAML(typ="safe", pure=True).parse(text):
        match event:
            case CollectionStartEvent():
                opened.append(_Open(event.anchor))
                continue
            case CollectionEndEvent():
                ended = opened.pop()
            case ScalarEvent():
                ended = _Open(event.anchor)
            case AliasEvent():
                ended = _Open(None, nodes_of_anchor.get(event.anchor, 0))
            case _:
                continue
        if ended.anchor is not None:
            nodes_of_anchor[ended.anchor] = ended.nodes
        opened[-1].nodes += ended.nodes
    return opened[0].nodes > _LARGEST_NODES
