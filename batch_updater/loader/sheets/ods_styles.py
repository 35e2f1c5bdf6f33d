"""What the styles of an OpenDocument spreadsheet say about numbers (OpenDocument 1.3 part 3, 16.29)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_updater.loader.sheets.masks import Mask
from batch_updater.loader.sheets.number_formats import Shown, shown_by
from batch_updater.loader.sheets.package import DEEPEST, Feeder, safe_parser, too_deep

if TYPE_CHECKING:
    from batch_updater.loader.sheets.package import Package

OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
_NUMBER = "urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0"
_DATA_STYLES = {f"{_NUMBER} {name}-style" for name in ("number", "currency", "percentage", "time", "date", "boolean")}
_CHUNK_BYTES = 1 << 16
_MOST_DIGITS = 100
_MOST_PARENTS = 20
_OWN_FORMAT = 164
_CONDITION = re.compile(r"value\(\)((?:[<>]=?|!?=)-?[0-9]+(?:\.[0-9]+)?)")
_NOT_NEGATIVE = {">=0", ">0"}


@dataclass
class _DataStyle:
    """How numbers are shown, as far as it has been read."""

    is_duration: bool = False
    code: list[str] = field(default_factory=list)
    """Pieces of an Excel number format that shows the same."""
    instead: list[tuple[str, str]] = field(default_factory=list)
    """Which numbers another style is for, such as `<=9999999`, and its name (OpenDocument 1.3 part 3, 16.3)."""


class Styles:
    """The styles of cells and tables, by their names."""

    def __init__(self, package: Package) -> None:
        self.hidden_tables: set[str] = set()
        """Names of the styles whose tables are not shown."""
        self._data: dict[str, _DataStyle] = {}
        self._cells: dict[str, tuple[str, str]] = {}
        """Cell style -> the style it is based on, and its data style; '' if it has none."""
        self._known: dict[str, Shown | Mask | None] = {}
        for part in ("styles.xml", "content.xml"):
            if part in package:
                reader = _Reader(self._data, self._cells, self.hidden_tables)
                feeder = Feeder(reader.parser)
                with package.open(part) as stream:
                    while not reader.done and (chunk := stream.read(_CHUNK_BYTES)):
                        feeder.feed(chunk)

    def shown_by(self, style: str) -> Shown | Mask | None:
        """Return as what cells of a style show numbers, if it is more than the number; of the times just durations."""
        if style not in self._known:
            self._known[style] = self._find(style)
        return self._known[style]

    def _find(self, style: str) -> Shown | Mask | None:
        name = ""
        for _ in range(_MOST_PARENTS):
            parent, name = self._cells.get(style, ("", ""))
            if name or not parent:
                break
            style = parent
        data = self._data.get(name)
        if data is None:
            return None
        if data.is_duration:
            return Shown.DURATION
        shown = shown_by(_OWN_FORMAT, self._code(data))
        return shown if isinstance(shown, Mask) else None

    def _code(self, data: _DataStyle) -> str:
        """Return the Excel number format that shows the same; of one that tells signs apart the one for no sign."""
        sections = []
        for condition, name in data.instead:
            other = "".join(self._data[name].code) if name in self._data else ""
            if condition in _NOT_NEGATIVE:
                return other
            sections.append(f"[{condition}]{other}")
        return ";".join((*sections, "".join(data.code)))


class _Reader:
    """Gathers the styles of one part."""

    def __init__(self, data: dict[str, _DataStyle], cells: dict[str, tuple[str, str]], hidden_tables: set[str]) -> None:
        self.done = False
        """Whether the part's styles have been read."""
        self._data, self._cells, self._hidden_tables = data, cells, hidden_tables
        self._table = ""
        self._current: _DataStyle | None = None
        self._text: list[str] | None = None
        self._position = 0
        self._depth = 0
        self.parser = safe_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_deep()
        if name in _DATA_STYLES:
            self._current = _DataStyle(attributes.get(f"{_NUMBER} truncate-on-overflow") == "false")
            if not name.endswith((" number-style", " currency-style")):
                self._current.code.append("%")  # no mask, whatever else it has
            self._data[attributes.get(f"{_STYLE} name", "")] = self._current
        elif self._current is not None:
            self._start_in_data_style(name, attributes, self._current)
        elif name == f"{_STYLE} style":
            self._start_style(attributes)
        elif name == f"{_STYLE} table-properties" and attributes.get(f"{TABLE} display") == "false":
            self._hidden_tables.add(self._table)
        elif name == f"{OFFICE} body":
            self.done = True

    def _start_style(self, attributes: dict[str, str]) -> None:
        name = attributes.get(f"{_STYLE} name", "")
        if attributes.get(f"{_STYLE} family") == "table":
            self._table = name
        elif attributes.get(f"{_STYLE} family") == "table-cell":
            parent, data = (attributes.get(f"{_STYLE} {key}", "") for key in ("parent-style-name", "data-style-name"))
            self._cells[name] = (parent, data)

    def _start_in_data_style(self, name: str, attributes: dict[str, str], style: _DataStyle) -> None:
        match name.removeprefix(f"{_NUMBER} "):
            case "number":
                style.code.append(_digits(attributes))
            case "text" | "currency-symbol":
                self._text = []
            case "embedded-text":
                self._text = []
                self._position = min(int(attributes.get(f"{_NUMBER} position", "0")), _MOST_DIGITS)
            case "scientific-number" | "fraction":
                style.code.append("%")
            case other if other == f"{_STYLE} map":
                if found := _CONDITION.fullmatch(attributes.get(f"{_STYLE} condition", "")):
                    name = attributes.get(f"{_STYLE} apply-style-name", "")
                    style.instead.append((found[1].replace("!=", "<>"), name))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name in _DATA_STYLES:
            self._current = None
        elif self._text is not None and self._current is not None and name.startswith(f"{_NUMBER} "):
            literal = "".join(f"\\{character}" for character in "".join(self._text)[:_MOST_DIGITS])
            self._text = None
            code = self._current.code
            if name.endswith(" embedded-text") and code:
                # Counted from the right, in digits (OpenDocument 1.3 part 3, 19.354 number:position), also those that
                # are shown only where there is something to show.
                places = sum(character in "0#" for character in code[-1])
                code[-1] = "#" * (self._position + 1 - places) + code[-1]
                at = len(code[-1])
                digits = 0
                while at and digits < self._position:
                    at -= 1
                    digits += code[-1][at] in "0#" and code[-1][at - 1 : at] != "\\"
                code[-1] = code[-1][:at] + literal + code[-1][at:]
            else:
                code.append(literal)


def _digits(attributes: dict[str, str]) -> str:
    """Return the places for digits of a number as Excel writes them."""
    get = attributes.get
    least = min(int(get(f"{_NUMBER} min-integer-digits", "0")), _MOST_DIGITS)
    places = "#,##0" if get(f"{_NUMBER} grouping") == "true" else "0" * least or "#"
    return places + (".0" if int(get(f"{_NUMBER} decimal-places", "0") or 0) else "")
