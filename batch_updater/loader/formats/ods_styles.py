"""What the styles of an OpenDocument spreadsheet say about numbers (OpenDocument 1.3 part 3, 16.29)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from batch_updater.loader.formats.number_formats import DateKind, Format, shown_by
from batch_updater.loader.formats.package import Package
from batch_updater.loader.formats.safe_xml import Step, trees

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


class _DataStyle(NamedTuple):
    """How numbers are shown."""

    is_duration: bool
    is_of_texts: bool
    code: str
    """An Excel number format that shows the same."""
    instead: Sequence[tuple[str, str]]
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

        def choose(name: str, _: object) -> Step:
            if name == f"{OFFICE} body":
                return Step.STOP
            return Step.TAKE if name in _DATA_STYLES or name == f"{_STYLE} style" else Step.ENTER

        for part in ("styles.xml", "content.xml"):
            if part in package:
                with package.open(part) as stream:
                    for style in trees(stream, choose):
                        self._add(style)

    def _add(self, style: Element) -> None:
        name, parent, data, family = (
            style.get(f"{_STYLE} {key}", "") for key in ("name", "parent-style-name", "data-style-name", "family")
        )
        if style.tag in _DATA_STYLES:
            is_percent = style.tag.endswith(" percentage-style")
            code = ['"TRUE";"TRUE";"FALSE"'] if style.tag.endswith(" boolean-style") else []
            instead = []
            for part in style:
                if part.tag == f"{_STYLE} text-properties" and part.get(_COLOUR) is not None:
                    code.insert(0, "[Red]")
                elif part.tag == f"{_STYLE} map":
                    if found := _CONDITION.fullmatch(part.get(f"{_STYLE} condition", "")):
                        instead.append((found[1].replace("!=", "<>"), part.get(f"{_STYLE} apply-style-name", "")))
                else:
                    code += _codes(part, is_percent=is_percent)
            if is_percent and "%" not in code:
                code.append("%")
            is_duration = style.get(f"{_NUMBER} truncate-on-overflow") == "false"
            self._data[name] = _DataStyle(is_duration, style.tag == _TEXT_STYLE, "".join(code), instead)
        elif family == "table-cell":
            self._cells[name] = (parent, data)
        elif family == "table" and any(child.get(f"{TABLE} display") == "false" for child in style):
            self.hidden_tables.add(name)

    def shown_by(self, style: str) -> Format | None:
        """Return as what cells of a style show numbers, if it is more than the number; of the times just durations."""
        if style not in self._known:
            name, parent = "", style
            for _ in range(_MOST_PARENTS):
                if not name and parent:
                    parent, name = self._cells.get(parent, ("", ""))
            data = self._data.get(name)
            self._known[style] = data and self._format(data)
        return self._known[style]

    def _format(self, data: _DataStyle) -> Format | None:
        if data.is_duration:
            return DateKind.DURATION
        others = [self._data[name].code if name in self._data else "" for _, name in data.instead]
        conditions = [condition for condition, _ in data.instead]
        tells_signs_apart = not conditions or conditions in _SECTIONS_OF_EXCEL
        if not tells_signs_apart:
            others = [f"[{condition}]{other}" for condition, other in zip(conditions, others, strict=True)]
        if data.is_of_texts:
            left = _SECTIONS_OF_NUMBERS[len(others) :]
            others += left if tells_signs_apart else ["General"] * len(left)
        return shown_by(_OWN_FORMAT, ";".join((*others, data.code)))


def _codes(part: Element, *, is_percent: bool) -> Iterator[str]:
    """Yield the pieces of an Excel format that show the same as a part of a data style."""
    text = (part.text or "")[:_MOST_DIGITS]
    decimals = "0" * _count(part, "decimal-places")
    fraction = f".{decimals}" if decimals else ""
    match part.tag.removeprefix(f"{_NUMBER} "):
        case "number":
            places, behind = _digits(part, fraction)
            for inner in part:
                if inner.tag == f"{_NUMBER} embedded-text":
                    position = min(int(inner.get(f"{_NUMBER} position", "0")), _MOST_DIGITS)
                    places = _embedded(_literal((inner.text or "")[:_MOST_DIGITS]), position, places)
            yield places + behind
        case "scientific-number":
            step = max(1, _count(part, "exponent-interval", 1))
            yield "#" * (step - 1) + f"0{fraction}E+" + "0" * max(1, _count(part, "min-exponent-digits", 2))
        case "fraction":
            whole = "" if part.get(f"{_NUMBER} min-integer-digits") is None else "# "
            below = part.get(f"{_NUMBER} denominator-value") or "?" * max(1, _count(part, "min-denominator-digits"))
            yield f"{whole}{'?' * max(1, _count(part, 'min-numerator-digits'))}/{below}"
        case "text-content":
            yield "@"
        case "text":
            yield from ("%" if each == "%" and is_percent else _literal(each) for each in text)
        case "currency-symbol":
            yield f"[${text.replace(']', '')}-0]"
        case "year":
            yield "yyyy" if part.get(f"{_NUMBER} style") == "long" else "yy"
        case name:
            yield _PARTS_OF_DATE.get(name, "")


def _embedded(literal: str, position: int, places: str) -> str:
    """Return the places of a number with a text between them.

    Its position is counted from the right, in digits of the whole part (OpenDocument 1.3 part 3, 19.354
    number:position), also those that are shown only where there is something to show.
    """
    places = "#" if places == "General" else places
    places = "#" * (position + 1 - sum(character in "0#" for character in places)) + places
    at = len(places)
    digits = 0
    while at and digits < position:
        at -= 1
        digits += places[at] in "0#" and places[at - 1 : at] != "\\"
    return places[:at] + literal + places[at:]


def _literal(text: str) -> str:
    return "".join(f"\\{character}" for character in text)


def _count(element: Element, name: str, default: int = 0) -> int:
    return min(int(element.get(f"{_NUMBER} {name}") or default), _MOST_DIGITS)


def _digits(element: Element, fraction: str) -> tuple[str, str]:
    """Return the places for digits of a number as Excel writes them: of its whole part, and behind it.

    Without a number of decimal places all digits are shown (OpenDocument 1.3 part 3, 19.343). A number that is shown
    divided by 1000 has a comma for it behind all places.
    """
    least = _count(element, "min-integer-digits", 1)
    is_grouped = element.get(f"{_NUMBER} grouping") == "true"
    if element.get(f"{_NUMBER} decimal-places") is None and not is_grouped and least < 2:
        return "General", ""
    places = "0" * least or "#"
    if is_grouped:
        places = ("0" * least).rjust(4, "#")
        places = f"{places[:-3]},{places[-3:]}"
    thousands = (len(element.get(f"{_NUMBER} display-factor", "1").partition(".")[0]) - 1) // 3
    return places, fraction + "," * min(thousands, _MOST_DIGITS)
