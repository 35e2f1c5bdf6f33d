"""YAML 1.2, as the configuration and the descriptions of APIs are written in it.

PyYAML parses it, with libyaml where that is installed. What a scalar means is decided here, because PyYAML reads
YAML 1.1, in which `NO` is false and `12:30` is 750.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec
from yaml import SafeLoader
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver
from yaml.tokens import AliasToken, AnchorToken

try:
    from yaml import CSafeLoader
except ImportError:  # PyYAML without libyaml does the same, ten times slower
    CSafeLoader = SafeLoader  # type: ignore[misc,assignment]

_MOST_ALIAS_NODES = 100_000
_LONGEST_FOR_WORDS = 1_000_000
"""Characters of a text that is parsed once more for a better error: in Python that takes ten times as long."""
_DEEPEST = 200
"""Lists and mappings in each other. libyaml has no limit, and from some ten thousands on it overflows the stack."""
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), f"{_TAG}null"),
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), f"{_TAG}bool"),
    "<<": _MERGE,
}
_NUMBER = re.compile(
    r"""(?!_)[-+]?(?:
        (?P<int> _*[0-9][0-9_]* | 0b_*[01][01_]* | 0o_*[0-7][0-7_]* | 0x_*[0-9a-fA-F][0-9a-fA-F_]* )
        | (?P<float> [0-9][0-9_]* (?: \.[0-9_]*(?:[eE][-+]?[0-9]+)? | [eE][-+]?[0-9]+ )
            | \._*[0-9][0-9_]*(?:[eE][-+][0-9]+)? | \.(?:inf|Inf|INF) | (?<![-+])\.(?:nan|NaN|NAN) )
    )\Z""",
    re.VERBOSE,
)
"""A plain scalar that is a number, with the forms that ruamel.yaml adds to YAML 1.2: `_` within it, and `0b`."""
_BASES = {"0b": 2, "0o": 8, "0x": 16}
_NUMBER_BEGINS = frozenset("0123456789+-._")
_PLAIN_TAGS = frozenset(f"{_TAG}{name}" for name in ("null", "bool", "int", "float"))
"""Tags of scalars that mean what they do without quotes."""


class DoubledKeys(dict[str, object]):
    """A mapping in which keys have two values. It has the last one of each."""

    def __init__(self, mapping: Mapping[str, object], doubled: Iterable[str]) -> None:
        super().__init__(mapping)
        self.doubled = frozenset(doubled)


class TooManyAliases(YAMLError):  # noqa: N818  (it is of the document)
    """A few lines whose aliases come to billions of nodes."""


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


class _Rules(SafeConstructor, Resolver):
    """What scalars mean and what mappings may hold, for either parser."""

    def __init__(self, text: str, number: Callable[[str], object]) -> None:
        super().__init__(text)  # type: ignore[call-arg]  # the next class is a parser
        self._number = number
        self._depth = 0
        self._merged_pairs: dict[Node, int] = {}

    def descend_resolver(self, current_node: object, current_index: object) -> None:  # noqa: ARG002
        """Begin a node."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError

    def ascend_resolver(self) -> None:
        """End it."""
        self._depth -= 1

    def resolve(self, kind: type[Node], value: str, implicit: tuple[bool, bool]) -> str:
        """Return the tag of a node that is written without one."""
        if kind is not ScalarNode or not implicit[0]:  # no plain scalar
            tag: str = super().resolve(kind, value, (False, False))  # type: ignore[no-untyped-call]
            return tag
        if value in _WORDS:
            return _WORDS[value]
        number = _NUMBER.match(value)
        return f"{_TAG}{number.lastgroup}" if number else self.DEFAULT_SCALAR_TAG

    def flatten_mapping(self, node: MappingNode) -> None:
        """Put the pairs that `<<` merges in front of the mapping's own, which override them."""
        merge_keys = [key for key, _ in node.value if key.tag == _MERGE]
        if len(merge_keys) > 1:
            raise _refused(node, merge_keys[1], 'found duplicate merge key "<<"')
        if merge_keys:
            own_pairs = len(node.value) - 1
            super().flatten_mapping(node)
            self._merged_pairs[node] = len(node.value) - own_pairs

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, object]:
        """Return a mapping; of doubled keys, PyYAML would take the last."""
        if not isinstance(node, MappingNode):  # its tag is wrong
            return super().construct_mapping(node, deep)
        self.flatten_mapping(node)
        first_own = self._merged_pairs.get(node, 0)
        mapping: dict[Hashable, object] = {}
        own_keys = set()
        for index, (key_node, value_node) in enumerate(node.value):
            key: Any = self.construct_object(key_node, deep=True)
            if isinstance(key, list):
                key = tuple(key)
            try:
                is_doubled = key in own_keys
            except TypeError as error:
                raise _refused(node, key_node, "found unhashable key") from error
            value: object = self.construct_object(value_node, deep)
            if is_doubled:
                what = f'found duplicate key "{key}" with value "{value}" (original value: "{mapping[key]}")'
                raise _refused(node, key_node, what)
            if index >= first_own:
                own_keys.add(key)
            mapping[key] = value
        return mapping

    def _construct_bool(self, node: ScalarNode) -> object:
        text = self.construct_scalar(node)
        return self.bool_values.get(text.lower(), text)

    def _construct_int(self, node: ScalarNode) -> object:
        digits = self.construct_scalar(node).replace("_", "")
        try:
            return int(digits, _BASES.get(digits.lstrip("-+")[:2], 10))
        except ValueError:  # thousands of digits
            return self._construct_float(node)

    def _construct_float(self, node: ScalarNode) -> object:
        text = self.construct_scalar(node)
        try:
            return self._number(text.replace("_", ""))
        except ValueError:  # its tag is wrong
            return text

    yaml_constructors = SafeConstructor.yaml_constructors | {
        f"{_TAG}bool": _construct_bool,
        f"{_TAG}int": _construct_int,
        f"{_TAG}float": _construct_float,
        f"{_TAG}timestamp": SafeConstructor.construct_yaml_str,
    }


def _refused(mapping: MappingNode, key: Node, what: str) -> ConstructorError:
    return ConstructorError("while constructing a mapping", mapping.start_mark, what, key.start_mark)


class _FastLoader(_Rules, CSafeLoader):
    """libyaml."""


class _ThoroughLoader(_Rules, SafeLoader):
    """Python: its errors have better words, and it takes anchors of YAML 1.2, too."""

    def scan_to_next_token(self) -> None:
        """Skip blanks, and tabs within brackets, as in JSON."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()

    def scan_anchor(self, TokenClass: type[AliasToken | AnchorToken]) -> AliasToken | AnchorToken:  # noqa: N803
        """Read a name, which in YAML 1.1 holds ASCII letters and digits alone."""
        length = 1
        while self.peek(length) not in "\0 \t\r\n\x85\u2028\u2029,[]{}":
            length += 1
        if length == 1:
            token: AliasToken | AnchorToken = super().scan_anchor(TokenClass)  # type: ignore[no-untyped-call]
            return token
        start = self.get_mark()
        name = self.prefix(length)[1:]
        self.forward(length)
        return TokenClass(name, start, self.get_mark())

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Let an anchor be used again, which in YAML 1.1 is an error."""
        if not self.check_event(AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


class YamlDocument(msgspec.Struct, frozen=True):
    """A document that can be parsed."""

    root: Node | None
    """None: it is empty."""
    _loader: _Rules

    def value(self) -> object:
        """Return what it means. Raises YAMLError for doubled keys and unknown tags."""
        return None if self.root is None else self._loader.construct_document(self.root)


def read_yaml(text: str, number: Callable[[str], object] = _float) -> YamlDocument:
    """Parse a document; `number` makes values of those numbers that are not whole.

    Raises YAMLError, TooManyAliases among them, and RecursionError for lists in lists in lists ...
    """
    loader: _Rules
    try:
        # libyaml takes tabs where they are usually a slip.
        loader = (_ThoroughLoader if "\t" in text else _FastLoader)(text, number)
        root = loader.get_single_node()
    except (YAMLError, UnicodeEncodeError):  # half a character cannot be given to libyaml
        loader = _ThoroughLoader(text, number)
        root = loader.get_single_node()
    if root is not None and "*" in text:
        _require_few_aliases(root)
    return YamlDocument(root, loader)


def _require_few_aliases(root: Node) -> None:
    """Raise TooManyAliases if the aliases, written out, come to more than 100,000 nodes.

    Nothing is written out: the time is linear in the number of nodes.
    """
    sizes: dict[Node, int] = {}
    alias_nodes = 0

    def size(node: Node) -> int:
        nonlocal alias_nodes
        if node in sizes:
            alias_nodes += sizes[node]
            if alias_nodes > _MOST_ALIAS_NODES:
                raise TooManyAliases
            return sizes[node]
        sizes[node] = 0  # within itself
        children: Iterable[Node] = ()
        if isinstance(node, MappingNode):
            children = chain.from_iterable(node.value)
        elif isinstance(node, SequenceNode):
            children = node.value
        sizes[node] = 1 + sum(map(size, children))
        return sizes[node]

    size(root)


def read_yaml_values(text: str, number: Callable[[str], object] = _float) -> object:
    """Return what a document means, for large texts of others: no nodes are kept, which takes a third of the time.

    Keys are texts as they are written: `200`, `null`. Doubled keys come as `DoubledKeys`, tags other than YAML's own
    mean nothing, and an alias of what it is itself in means null. Aliases may add 100,000 nodes, and one for each
    character. Raises what `read_yaml` does.
    """
    most_alias_nodes = _MOST_ALIAS_NODES + len(text)
    try:
        return _Values(CSafeLoader(text), number, most_alias_nodes).document()
    except (YAMLError, UnicodeEncodeError):
        if len(text) > _LONGEST_FOR_WORDS:
            raise
        return _Values(_ThoroughLoader(text, number), number, most_alias_nodes).document()


class _Values:
    """Makes values of the events of a parser."""

    def __init__(
        self, parser: SafeLoader | CSafeLoader, number: Callable[[str], object], most_alias_nodes: int
    ) -> None:
        self._next: Callable[[], Event] = parser.get_event  # type: ignore[assignment]  # until the stream ends
        self._number = number
        self._nodes = self._alias_nodes = self._depth = 0
        self._most_alias_nodes = most_alias_nodes
        self._anchors: dict[str, tuple[object, int]] = {}
        """Anchor -> its value and the number of nodes in it, aliases written out; once it is complete."""
        self._texts: dict[str, str] = {}
        """Each text once: documents repeat a few thousand of them."""

    def document(self) -> object:
        """Return the only document of the stream."""
        self._next()
        event = self._next()
        if isinstance(event, StreamEndEvent):
            return None
        value = self._value(self._next())
        self._next()
        if not isinstance(event := self._next(), StreamEndEvent):
            raise ConstructorError(None, None, "found another document", event.start_mark)  # type: ignore[arg-type]
        return value

    def _value(self, event: Event) -> object:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self._nodes + self._alias_nodes
        self._nodes += 1
        value: object
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        else:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise RecursionError
            value = self._mapping() if isinstance(event, MappingStartEvent) else self._list()
            self._depth -= 1
        if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes + self._alias_nodes - before
        return value

    def _alias(self, event: AliasEvent) -> object:
        value, size = self._anchors.get(str(event.anchor), (None, 0))
        self._alias_nodes += size
        if self._alias_nodes > self._most_alias_nodes:
            raise TooManyAliases
        return value

    def _list(self) -> list[object]:
        items = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._value(event))
        return items

    def _mapping(self) -> dict[str, object]:
        mapping: dict[str, object] = {}
        merged: list[object] = []
        doubled = []
        while not isinstance(event := self._next(), MappingEndEvent):
            is_merge = isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = event.value if isinstance(event, ScalarEvent) else str(self._value(event))
            key = self._text(key)
            value = self._value(self._next())
            if is_merge and isinstance(value, (dict, list)):
                merged += value if isinstance(value, list) else [value]
            else:
                if key in mapping and mapping[key] != value:
                    doubled.append(key)
                mapping[key] = value
        for part in merged:  # the first ones override the later ones
            mapping = {**part, **mapping} if isinstance(part, dict) else mapping
        return DoubledKeys(mapping, doubled) if doubled else mapping

    def _scalar(self, event: ScalarEvent) -> object:
        text: str = event.value
        if event.implicit[0] or event.tag in _PLAIN_TAGS:
            match _WORDS.get(text):
                case "tag:yaml.org,2002:null":
                    return None
                case "tag:yaml.org,2002:bool":
                    return text.lower() == "true"
            if text[:1] in _NUMBER_BEGINS and (found := _NUMBER.match(text)):
                digits = text.replace("_", "")
                try:
                    is_whole = found.lastgroup == "int"
                    return int(digits, _BASES.get(digits.lstrip("-+")[:2], 10)) if is_whole else self._number(digits)
                except ValueError:  # thousands of digits
                    return self._number(digits)
        return self._text(text)

    def _text(self, text: str) -> str:
        """Return a text, half a character in it replaced: Python's parser lets it through."""
        if not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return self._texts.setdefault(text, text)
