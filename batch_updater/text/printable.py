r"""Text for a terminal, a mail or a note: one line stays one line, and shows everything that it contains.

A file's name, a cell or an answer of the API may contain characters that move a terminal's cursor, begin a line that
looks like one of ours, or reverse the text around them. They are shown as escapes: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TextIO

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters (C0, DEL, C1)
    "\u2028\u2029"  # line and paragraph separator
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks and controls of the direction of text (UAX 9)
    "\ufff9-\ufffc"  # interlinear annotation, and what stands for an object
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2064\u3164\ufeff\uffa0"  # what cannot be seen
    "\U000e0000-\U000e001f"
    "\ud800-\udfff"  # bytes of a file's name that are no UTF-8, and halves of characters
    "]"
)
"""The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them."""


def printable(text: str) -> str:
    """Return a text with its unprintable characters, line breaks included, as visible escapes."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def printable_lines(text: str) -> str:
    """Return the same for a text whose line breaks are intended."""
    return "\n".join(map(printable, text.split("\n")))


def print_line(text: str, stream: TextIO) -> None:
    """Write one line for people. Raises OSError."""
    stream.write(f"{printable(text)}\n")


def command_line(words: Iterable[str]) -> str:
    """Return words quoted as a command to be copied into a shell.

    A word with unprintable characters is written as $'...', whose escapes bash, zsh and others read.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    def as_bytes(match: re.Match[str]) -> str:
        is_byte = "\udc80" <= match[0] <= "\udcff"  # of a name that is no UTF-8 (PEP 383)
        content = match[0].encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
        return "".join(f"\\x{byte:02x}" for byte in content)

    if not _UNPRINTABLE.search(word):
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNPRINTABLE.sub(as_bytes, plain)}'"
