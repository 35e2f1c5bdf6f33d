r"""Common slips in YAML files, and what to write instead.

YAML reports where it can no longer parse, in terms of its grammar. That may be lines after the slip: after
`base_url:https://host`, which is one text to YAML, it stops at the colon of the next line.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from yaml.error import MarkedYAMLError
from yaml.nodes import Node, ScalarNode
from yaml.reader import ReaderError

ESCAPES = r"in double quotes a backslash begins an escape, such as \n for a line break, so no Windows path fits there"
WITHOUT_ESCAPES = r"Write the path without quotation marks, or with / in place of each backslash: C:/Users/me."
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a\u300c\u300d\uff02\uff07"
_BLANKS = "\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff"
"""Characters that look like a blank, or like nothing: in a class of a regular expression."""
_LINE = re.compile(
    r"""(?P<indent>\s*)(?P<dash>-\s+)?(?P<key>"[^"]*"|'[^']*'|[^\s:#"'\[{][^:#]*?)\s*:\s+(?P<value>[^\s#].*)"""
)


class Slip(NamedTuple):
    """A place where YAML reads something else than was meant."""

    line: int
    """Of the file, from 1; 0 where that is not known."""
    what: str
    remedy: str


def slip_behind(error: Exception, text: str, keys: Collection[str]) -> Slip | None:
    """Return the slip that keeps a document from being read; None if it is not one of the common ones.

    `keys` are the names that a key may have.
    """
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Slip(
            line, "YAML does not allow one of its characters", "Type the line again, without control characters."
        )
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return None
    mark = error.problem_mark
    lines = text.splitlines()[: mark.line + 1]
    if "escape" in str(error.problem):
        return Slip(mark.line + 1, ESCAPES, WITHOUT_ESCAPES)
    if slip := slip_in(lines, keys) or _slip_at(lines):
        return slip
    bracket = re.match(r"expected ',' or '([]}])'", str(error.problem))
    if bracket is None or error.context_mark is None:
        return None
    return Slip(error.context_mark.line + 1, "the bracket is never closed", f"Write {bracket[1]} at its end.")


def slip_in(lines: list[str], keys: Collection[str], first: int = 1) -> Slip | None:
    """Return the first slip in some lines; None if there is none. `first` is the number of the first line."""
    names = "|".join(sorted(map(re.escape, keys), key=len, reverse=True)) or "(?!)"
    for number, line in enumerate(lines, first):
        if line.lstrip().startswith("#"):
            continue
        for pattern, what, remedy in _LINE_SLIPS:
            if match := re.match(pattern.replace("NAMES", names), line):
                return Slip(number, what.format(*match.groups()), remedy.format(*match.groups()))
        if match := _LINE.match(line) or re.match(r"\s*-\s+(?P<value>[^\s#].*)", line):
            value = re.sub(r"\s+#.*", "", match["value"]).strip()
            for pattern, what, remedy in _VALUE_SLIPS:
                if match := re.match(pattern, value):
                    return Slip(number, what.format(*match.groups()), remedy.format(*match.groups(), mark=value[0]))
    return None


_BLANKS_SLIP = (
    "the line holds blanks of another kind, as web pages and Word have them",
    "Type the blanks of that line again.",
)
_TYPOGRAPHIC_SLIP = (
    "the quotation marks are typographic ones, which to YAML are a part of the value",
    """Write " or ' in their place, or leave them out.""",
)
_LINE_SLIPS = (
    (r" *\t", "the line is indented with a tab, and YAML takes blanks only", "Write two blanks in place of the tab."),
    (rf"\s*(?:-\s+)?(NAMES):(?=[^\s:])(?![{_BLANKS}])", "there is no blank behind the colon of {0}",
     "Write {0}: and then a blank."),
    (r"\s*(NAMES)\s*[=\uff1a\u2236]", "no colon follows {0}", "Write {0}: and then a blank."),
    (r"\s*[\w-]+:[ ]*\t", "a tab follows the colon", "Write one blank in place of the tab."),
    (rf"\s*[{_BLANKS}]|[^\"']*:[ ]*[{_BLANKS}]", *_BLANKS_SLIP),
)  # fmt: skip
"""Of a whole line: how it begins, what is wrong, what to write. NAMES are those of all keys."""
_VALUE_SLIPS = (
    (rf"[{_TYPOGRAPHIC}]|[\[{{].*[{_TYPOGRAPHIC}]", *_TYPOGRAPHIC_SLIP),
    # Its last backslash takes the closing mark away.
    (r"\"(?:[A-Za-z]:)?\\.*\\\"$|\"[A-Za-z]:\\(?:.*\\)?\"$", ESCAPES, WITHOUT_ESCAPES),
    (r"\"(?!.*(?<!\\)\")|'(?!.*')", "the quotation mark is never closed",
     "Close it at the end of the value, or leave it out."),
    (r"\"[^\"]*\"\s*[^\s,\]}]|'(?:[^']|'')*'\s*[^\s',\]}]", "the quotation marks end within the value",
     "Put the whole value between two {mark}."),
    (r"([%@`])", "a value cannot begin with {0}", "Put the value between single quotation marks: '...'."),
    (r"\[?\s*([*&!])(?=\S)", "a value that begins with {0} means something else to YAML",
     "Put each such value between single quotation marks: ['*.csv']."),
    (r"(env|file|command): ", "a blank follows {0}:", "Write {0}: and the rest without a blank between them."),
)  # fmt: skip
"""The same of a value."""


def _slip_at(lines: list[str]) -> Slip | None:
    """Return what is wrong with the last line, compared with the one before it."""
    number, line = len(lines), lines[-1] if lines else ""
    if line.startswith(("---", "...")):
        return Slip(number, "a second document begins there", "Remove the line.")
    match = _LINE.match(line) or re.match(r"(?P<indent> *)(?P<key>[\w-]+):(?P<value>)", line)
    before = next((at for at in range(number - 2, -1, -1) if lines[at].strip() and lines[at].lstrip()[0] != "#"), None)
    if match is None or before is None:
        return None
    if re.search(r":(\s|$)", match["value"].strip("\"'")):
        return Slip(number, "a colon and a blank are within the value", "Put the value between single quotation marks.")
    if re.fullmatch(r"\s*[\w-]+\s*", lines[before]):
        name = lines[before].strip()
        return Slip(before + 1, f"no colon follows {name}", f"Write {name}: with a colon.")
    above = re.match(r" *", lines[before])
    if _LINE.match(lines[before]) and above and len(match["indent"]) > above.end():
        return Slip(number, "the line is indented further than the one before", "Begin both in the same column.")
    first = next(at for at, one in enumerate(lines, 1) if one.strip() and one.lstrip()[0] != "#")
    if lines[first - 1][0] == " " and not match["indent"]:
        return Slip(
            first, "the line is indented, and the sections below are not", "Begin every section in the first column."
        )
    if above and 0 < len(match["indent"]) < above.end():
        what = "the line is indented less than the keys before it, and more than their section"
        return Slip(number, what, "Begin all keys of a section in the same column.")
    return None


def silent_slip(node: Node) -> tuple[str, str] | None:
    """Return what was probably not meant in a text that YAML accepts as it is."""
    if not isinstance(node, ScalarNode) or node.style or not node.value:
        return None
    if node.value[0] in _TYPOGRAPHIC and node.value[-1] in _TYPOGRAPHIC:
        return _TYPOGRAPHIC_SLIP
    if re.match(f"[{_BLANKS}]", node.value):
        return _BLANKS_SLIP
    return None
