"""Why a cell has no value that could be sent, and how a cell is shown in a sentence."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Self

from batch_updater.records import CellError, FormattedNumber

_SHOWN_CHARACTERS = 60


class ValueProblem(Exception):  # noqa: N818  (a verdict about a cell, caught for each row; no error of the program)
    """A cell is not taken: the code, reason and remedy of the `Problem` it becomes."""

    def __init__(self, code: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy

    @classmethod
    def of(cls, cell: object, code: str, what: str, remedy: str) -> Self:
        """Return the problem whose reason is the cell, text in quotation marks, and `what` without its full stop."""
        return cls(code, f"{shown(cell, quoted=True)} {what}.", remedy)


def shown(cell: object, *, quoted: bool = False) -> str:
    """Return what a cell shows, at most 60 characters of it, in one line and with invisible characters made visible.

    `quoted` puts text, and only text, in quotation marks.
    """
    if cell is None:
        text = ""
    elif isinstance(cell, bool):
        text = "TRUE" if cell else "FALSE"
    elif isinstance(cell, (CellError, FormattedNumber)):
        text = cell.text
    elif isinstance(cell, Decimal):
        text = format(cell, "f")
    else:
        text = str(cell).removesuffix(" 00:00:00") if isinstance(cell, datetime) else str(cell)
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[:_SHOWN_CHARACTERS]
    ) + ("..." if len(text) > _SHOWN_CHARACTERS else "")
    return f"'{visible}'" if quoted and isinstance(cell, str) else visible


def digits_of(number: int | Decimal) -> str:
    """Return a number in digits, without an exponent."""
    # The format "f" makes a binary floating point number of an int.
    return str(number) if isinstance(number, int) else format(number, "f")
