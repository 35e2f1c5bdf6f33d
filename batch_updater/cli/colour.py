"""Whether a stream takes colour, and the few styles that can be read on light and on dark backgrounds."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

RESET = "\x1b[0m"


class Style(Enum):
    """A way to print text: parameters of the sequence SGR (ECMA-48).

    Yellow and cyan cannot be read on white, blue cannot on black. What a colour says, the words beside it say as well.
    """

    GOOD = "32"
    WRONG = "31"
    AGAIN = "35"
    """Not done, and nothing is wrong with it."""
    STRONG = "1"

    def __call__(self, text: str) -> str:
        """Return a text in this style."""
        return f"\x1b[{self.value}m{text}{RESET}"


def takes_colour(stream: TextIO) -> bool:
    """Return whether colours are written to a stream: NO_COLOR, then FORCE_COLOR, then whether it is a terminal.

    Both variables count if they are not empty (no-color.org, force-color.org). `TERM=dumb` is a terminal that takes
    none, and an old console of Windows shows the sequences instead.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return sys.platform != "win32" or bool({"WT_SESSION", "TERM_PROGRAM", "ANSICON", "TERM"} & os.environ.keys())
