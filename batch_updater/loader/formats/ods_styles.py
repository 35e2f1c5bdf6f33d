"""What the styles of an OpenDocument spreadsheet say about numbers (OpenDocument 1.3 part 3, 16.29)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_updater.loader.formats.number_formats import Format, Shown, shown_by
from batch_updater.loader.formats.package import CHUNK_BYTES, Feeder, safe_parser

if TYPE_CHECKING:
    from batch_updater.loader.formats.package import Package

OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
_NUMBER = "urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0"
_TEXT_STYLE = f"{_NUMBER} text-style"
"""Of texts, and of the numbers that it names other styles for, as LibreOffice writes a format whose last section is for
texts: accountants' formats, and those that hide what a cell holds."""
_DATA_STYLES = {
    _TEXT_STYLE,
    *(f"{_NUMBER} {name}-style" for name in ("number", "currency", "percentage", "time", "date", "boolean")),
}
_COLOUR = "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0 color"
_MOST_DIGITS = 100
_MOST_PARENTS = 20
_OWN_FORMAT = 164
_SECTIONS_OF_NUMBERS = ("General", "-General", "General")
"""Of an Excel format that shows every number as it is: positive ones, negative ones, zero. One for texts follows."""
_CONDITION = re.compile(r"value\(\)((?:[<>]=?|!?=)-?[0-9]+(?:\.[0-9]+)?)")
_SECTIONS_OF_EXCEL = ([">=0"], [">0", "<0"], [">0", "<0", "=0"])
"""Conditions of styles that tell signs apart as the sections of an Excel format do, where a minus is no sign of its own
but a text."""
_PARTS_OF_DATE = {
    "day": "dd", "month": "mm", "day-of-week": "ddd", "era": "g", "hours": "h", "minutes": "h", "seconds": "h",
    "am-pm": "AM/PM",
}  # fmt: skip
"""Elements -> letters of an Excel format; which part of a time of day they show makes no difference."""


@dataclass
class _DataStyle:
    """How numbers are shown, as far as it has been read."""

    is_duration: bool = False
    is_percent: bool = False
    is_of_texts: bool = False
    decimals: str = ""
    """Places behind the point of the number element that is open."""
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
        self._known: dict[str, Format | None] = {}
        for part in ("styles.xml", "content.xml"):
            if part in package:
                reader = _Reader(self._data, self._cells, self.hidden_tables)
                feeder = Feeder(reader.parser)
                with package.open(part) as stream:
                    while not reader.done and (chunk := stream.read(CHUNK_BYTES)):
                        feeder.feed(chunk)

    def shown_by(self, style: str) -> Format | None:
        """Return as what cells of a style show numbers, if it is more than the number; of the times just durations."""
        if style not in self._known:
            self._known[style] = self._find(style)
        return self._known[style]

    def _find(self, style: str) -> Format | None:
        name = ""
        for _ in range(_MOST_PARENTS):
            parent, name = self._cells.get(style, ("", ""))
            if name or not parent:
                break
            style = parent
        data = self._data.get(name)
        if data is None:
            return None
        return Shown.DURATION if data.is_duration else shown_by(_OWN_FORMAT, self._code(data))

    def _code(self, data: _DataStyle) -> str:
        """Return the Excel number format that shows the same."""
        others = ["".join(self._data[name].code) if name in self._data else "" for _, name in data.instead]
        conditions = [condition for condition, _ in data.instead]
        tells_signs_apart = not conditions or conditions in _SECTIONS_OF_EXCEL
        if not tells_signs_apart:
            others = [f"[{condition}]{other}" for condition, other in zip(conditions, others, strict=True)]
        if data.is_of_texts:
            left = _SECTIONS_OF_NUMBERS[len(others) :]
            others += left if tells_signs_apart else ["General"] * len(left)
        return ";".join((*others, "".join(data.code)))


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
        self.parser = safe_parser(self._start, self._end)
        self.parser.CharacterDataHandler = self._characters

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _DATA_STYLES:
            is_duration = attributes.get(f"{_NUMBER} truncate-on-overflow") == "false"
            self._current = _DataStyle(is_duration, is_percent=name.endswith(" percentage-style"))
            if name.endswith(" boolean-style"):
                self._current.code.append('"TRUE";"TRUE";"FALSE"')
            self._current.is_of_texts = name == _TEXT_STYLE
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
                places, style.decimals = _digits(attributes)
                style.code.append(places)
            case "scientific-number":
                style.code.append(_scientific(attributes))
            case "fraction":
                style.code.append(_fraction(attributes))
            case "text-content":
                style.code.append("@")
            case "text" | "currency-symbol":
                self._text = []
            case "embedded-text":
                self._text = []
                self._position = min(int(attributes.get(f"{_NUMBER} position", "0")), _MOST_DIGITS)
            case "year":
                style.code.append("yyyy" if attributes.get(f"{_NUMBER} style") == "long" else "yy")
            case part if part in _PARTS_OF_DATE:
                style.code.append(_PARTS_OF_DATE[part])
            case _:
                self._start_of_style(name, attributes, style)

    @staticmethod
    def _start_of_style(name: str, attributes: dict[str, str], style: _DataStyle) -> None:
        """Take note of a colour, or of the numbers that another style is for."""
        if name == f"{_STYLE} text-properties" and _COLOUR in attributes:
            style.code.insert(0, "[Red]")
        elif name == f"{_STYLE} map" and (found := _CONDITION.fullmatch(attributes.get(f"{_STYLE} condition", ""))):
            name = attributes.get(f"{_STYLE} apply-style-name", "")
            style.instead.append((found[1].replace("!=", "<>"), name))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        style = self._current
        if style is None:
            return
        if name in _DATA_STYLES:
            if style.is_percent and "%" not in style.code:
                style.code.append("%")
            self._current = None
        elif name == f"{_NUMBER} number":
            style.code.append(style.decimals)
        elif self._text is not None and name.startswith(f"{_NUMBER} "):
            text = "".join(self._text)[:_MOST_DIGITS]
            self._text = None
            if name.endswith(" currency-symbol"):
                style.code.append(f"[${text.replace(']', '')}-0]")
            elif name.endswith(" embedded-text"):
                self._embed(_literal(text), style.code)
            else:
                style.code.extend("%" if each == "%" and style.is_percent else _literal(each) for each in text)

    def _embed(self, literal: str, code: list[str]) -> None:
        """Put a text between the digits of a number.

        Its position is counted from the right, in digits of the whole part (OpenDocument 1.3 part 3, 19.354
        number:position), also those that are shown only where there is something to show.
        """
        if code[-1] == "General":
            code[-1] = "#"
        places = sum(character in "0#" for character in code[-1])
        code[-1] = "#" * (self._position + 1 - places) + code[-1]
        at = len(code[-1])
        digits = 0
        while at and digits < self._position:
            at -= 1
            digits += code[-1][at] in "0#" and code[-1][at - 1 : at] != "\\"
        code[-1] = code[-1][:at] + literal + code[-1][at:]


def _literal(text: str) -> str:
    return "".join(f"\\{character}" for character in text)


def _count(attributes: dict[str, str], name: str, default: int = 0) -> int:
    return min(int(attributes.get(f"{_NUMBER} {name}") or default), _MOST_DIGITS)


def _digits(attributes: dict[str, str]) -> tuple[str, str]:
    """Return the places for digits of a number as Excel writes them: of its whole part, and behind the point.

    Without a number of decimal places all digits are shown (OpenDocument 1.3 part 3, 19.343). A number that is shown
    divided by 1000 has a comma for it behind all places.
    """
    get = attributes.get
    least = _count(attributes, "min-integer-digits", 1)
    is_grouped = get(f"{_NUMBER} grouping") == "true"
    if get(f"{_NUMBER} decimal-places") is None and not is_grouped and least < 2:
        return "General", ""
    places = "0" * least or "#"
    if is_grouped:
        places = ("0" * least).rjust(4, "#")
        places = f"{places[:-3]},{places[-3:]}"
    decimals = "0" * _count(attributes, "decimal-places")
    thousands = (len(get(f"{_NUMBER} display-factor", "1").partition(".")[0]) - 1) // 3
    return places, (f".{decimals}" if decimals else "") + "," * min(thousands, _MOST_DIGITS)


def _scientific(attributes: dict[str, str]) -> str:
    step = max(1, _count(attributes, "exponent-interval", 1))
    decimals = "0" * _count(attributes, "decimal-places")
    exponent = "0" * max(1, _count(attributes, "min-exponent-digits", 2))
    return "#" * (step - 1) + "0" + (f".{decimals}" if decimals else "") + f"E+{exponent}"


def _fraction(attributes: dict[str, str]) -> str:
    above = "?" * max(1, _count(attributes, "min-numerator-digits"))
    fixed = attributes.get(f"{_NUMBER} denominator-value", "")
    parts = f"{above}/{fixed or '?' * max(1, _count(attributes, 'min-denominator-digits'))}"
    return f"# {parts}" if f"{_NUMBER} min-integer-digits" in attributes else parts
