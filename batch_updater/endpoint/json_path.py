"""JSONPath (RFC 9535), as far as overlays of API descriptions use it: names, positions, slices, `*`, `..` and filters.

Of functions there are `length`, `count`, `match`, `search` and `value`. Beyond the RFC, names after a dot may have
hyphens, and a filter may be in parentheses, as in most examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

_Read = TypeVar("_Read")
_Location: TypeAlias = tuple[str | int, ...]
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
        | (?P<number> -?\d+(?:\.\d+)?(?:[eE][-+]?\d+)? )
        | (?P<name> [^\W\d][\w-]* )
        | (?P<sign> \.\. | && | \|\| | [=!<>]= | [$@.\[\]*,:?()!<>] )
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_NOTHING = object()
"""What a comparison has where a path selects no node."""


class BadPathError(ValueError):
    """A text is no JSONPath, or uses what is not supported; its message says what and where."""


class SelectedNode(NamedTuple):
    """A node that a path selects."""

    location: _Location
    """Names and positions that lead to it from the root."""
    value: object


_Selector: TypeAlias = Callable[[SelectedNode, object], Iterator[SelectedNode]]
"""Yields children of a node; the second argument is the root."""
_Expression: TypeAlias = Callable[[object, object], object]
"""Returns what an expression in a filter has for the current node and the root."""


class _Segment(NamedTuple):
    selectors: tuple[_Selector, ...]
    is_descendant: bool

    def children(self, node: SelectedNode, root: object) -> Iterator[SelectedNode]:
        for one in _descendants(node) if self.is_descendant else (node,):
            for selector in self.selectors:
                yield from selector(one, root)


class _Query(msgspec.Struct, frozen=True):
    """A path within a filter."""

    segments: tuple[_Segment, ...]
    is_absolute: bool

    def nodes(self, current: object, root: object) -> list[SelectedNode]:
        return _selected(self.segments, root if self.is_absolute else current, root)

    def __call__(self, current: object, root: object) -> object:
        """Return the value of the single node; otherwise nothing."""
        nodes = self.nodes(current, root)
        return nodes[0].value if len(nodes) == 1 else _NOTHING


def select(path: str, root: object) -> list[SelectedNode]:
    """Return the nodes of a JSON value that a path selects, in document order, each once. Raises BadPathError."""
    nodes = _selected(_Parser(path).path(), root, root)
    return list({node.location: node for node in nodes}.values())


def _selected(segments: tuple[_Segment, ...], value: object, root: object) -> list[SelectedNode]:
    nodes = [SelectedNode((), value)]
    for segment in segments:
        nodes = [child for node in nodes for child in segment.children(node, root)]
    return nodes


def _children(node: SelectedNode) -> Iterator[SelectedNode]:
    location, value = node
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield SelectedNode((*location, name), child)
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield SelectedNode((*location, at), child)


def _descendants(node: SelectedNode) -> Iterator[SelectedNode]:
    """Yield a node and those below it."""
    rest = [node]
    while rest:
        yield (one := rest.pop())
        rest += reversed([*_children(one)])


def _named(name: str) -> _Selector:
    def selector(node: SelectedNode, _root: object) -> Iterator[SelectedNode]:
        if isinstance(node.value, Mapping) and name in node.value:
            yield SelectedNode((*node.location, name), node.value[name])

    return selector


def _sliced(start: int | None, end: int | None, step: int | None) -> _Selector:
    def selector(node: SelectedNode, _root: object) -> Iterator[SelectedNode]:
        if isinstance(node.value, list) and step != 0:
            for at in range(*slice(start, end, step).indices(len(node.value))):
                yield SelectedNode((*node.location, at), node.value[at])

    return selector


def _at(position: int) -> _Selector:
    return _sliced(position, position + 1 or None, None)


def _filtered(condition: _Expression) -> _Selector:
    def selector(node: SelectedNode, root: object) -> Iterator[SelectedNode]:
        for child in _children(node):
            if condition(child.value, root):
                yield child

    return selector


def _equal(left: object, right: object) -> bool:
    """Whether two values are equal: `true` is not 1."""
    return left is right or (isinstance(left, bool) == isinstance(right, bool) and left == right)


def _less(left: object, right: object) -> bool:
    """Whether a number or text comes before another; anything else has no order."""
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    is_bool = isinstance(left, bool) or isinstance(right, bool)
    return not is_bool and isinstance(left, (int, Decimal)) and isinstance(right, (int, Decimal)) and left < right


_COMPARED: Mapping[str, Callable[[object, object], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: _less(left, right) or _equal(left, right),
    ">=": lambda left, right: _less(right, left) or _equal(left, right),
}


class _Parser:
    """Reads one path."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tokens: list[tuple[str, str, int]] = []
        """Kind (a sign is its own), text and end of each."""
        at = 0
        while at < len(path.rstrip()):
            found = _TOKEN.match(path, at)
            if found is None:
                raise BadPathError(f"{path!r} cannot be read from character {at + 1} on")
            at, kind = found.end(), str(found.lastgroup)
            text = found[kind]
            self._tokens.append((text if kind == "sign" else kind, text, at))
        self._tokens.append(("", "", at))
        self._next = 0

    def path(self) -> tuple[_Segment, ...]:
        """Read the whole path."""
        self._expect("$")
        segments = self._segments()
        self._expect("")
        return segments

    def _peek(self) -> str:
        return self._tokens[self._next][0]

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _takes(self, *kinds: str) -> bool:
        """Take the next token if it is one of these."""
        is_it = self._peek() in kinds
        self._next += is_it
        return is_it

    def _expect(self, kind: str) -> str:
        if self._peek() != kind:
            _, text, end = self._tokens[self._next]
            wanted = f"{kind!r} is expected" if kind else "the end is expected"
            raise BadPathError(f"{self._path!r}: {wanted} at character {end - len(text) + 1}")
        return self._take()

    def _segments(self) -> tuple[_Segment, ...]:
        segments = []
        while self._peek() in {".", "..", "["}:
            is_descendant = self._takes("..")
            if self._takes("["):
                segments.append(_Segment(tuple(self._listed(self._selector, "]")), is_descendant))
                continue
            if not is_descendant:
                self._expect(".")
            children = (_all if self._takes("*") else _named(self._expect("name")),)
            segments.append(_Segment(children, is_descendant))
        return tuple(segments)

    def _selector(self) -> _Selector:
        if self._takes("*"):
            return _all
        if self._takes("?"):
            return _filtered(self._either())
        if self._peek() == "text":
            return _named(self._text())
        start = self._position()
        if not self._takes(":"):
            if start is None:
                self._expect("text")
            return _at(start or 0)
        end = self._position()
        return _sliced(start, end, self._position() if self._takes(":") else None)

    def _position(self) -> int | None:
        if self._peek() != "number":
            return None
        try:
            return int(self._take())
        except ValueError as error:
            raise BadPathError(f"{self._path!r}: a position is a whole number") from error

    def _text(self) -> str:
        def meant(escape: re.Match[str]) -> str:
            code = escape[1]
            return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)

        return _ESCAPE.sub(meant, self._expect("text")[1:-1])

    def _either(self) -> _Expression:
        parts = [self._both()]
        while self._takes("||"):
            parts.append(self._both())
        return lambda current, root: any(part(current, root) for part in parts)

    def _both(self) -> _Expression:
        parts = [self._basic()]
        while self._takes("&&"):
            parts.append(self._basic())
        return lambda current, root: all(part(current, root) for part in parts)

    def _basic(self) -> _Expression:
        if self._takes("!"):
            negated = self._basic()
            return lambda current, root: not negated(current, root)
        if self._takes("("):
            inner = self._either()
            self._expect(")")
            return inner
        left = self._operand()
        if self._peek() in _COMPARED:
            compare, right = _COMPARED[self._take()], self._operand()
            return lambda current, root: compare(left(current, root), right(current, root))
        if isinstance(left, _Query):
            return lambda current, root: bool(left.nodes(current, root))
        return lambda current, root: left(current, root) is True

    def _operand(self) -> _Expression:
        if self._peek() in {"$", "@"}:
            is_absolute = self._take() == "$"
            return _Query(self._segments(), is_absolute)
        if self._peek() == "text":
            return _constant(self._text())
        if self._peek() == "number":
            text = self._take()
            return _constant(Decimal(text))
        name = self._expect("name")
        if name in _WORDS:
            return _constant(_WORDS[name])
        self._expect("(")
        return self._called(name, self._listed(self._operand, ")"))

    def _called(self, name: str, arguments: list[_Expression]) -> _Expression:
        match name, arguments:
            case "count", [_Query() as query]:
                return lambda current, root: len(query.nodes(current, root))
            case "value", [_Query()]:
                return arguments[0]
            case "length", [argument]:
                return lambda current, root: _length(argument(current, root))
            case (("match" | "search"), [argument, pattern]):
                find = re.fullmatch if name == "match" else re.search
                return lambda current, root: _found(find, pattern(current, root), argument(current, root))
        raise BadPathError(f"{self._path!r}: {name} is no function with {len(arguments)} such arguments")

    def _listed(self, read: Callable[[], _Read], end: str) -> list[_Read]:
        items = [read()]
        while self._takes(","):
            items.append(read())
        self._expect(end)
        return items


def _all(node: SelectedNode, _root: object) -> Iterator[SelectedNode]:
    return _children(node)


def _constant(value: object) -> _Expression:
    return lambda _current, _root: value


def _length(value: object) -> object:
    return len(value) if isinstance(value, (str, list, Mapping)) else _NOTHING


def _found(find: Callable[[str, str], object], pattern: object, value: object) -> bool:
    if not isinstance(pattern, str) or not isinstance(value, str):
        return False
    try:
        return bool(find(pattern, value))
    except re.error:
        return False
