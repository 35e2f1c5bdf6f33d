"""The workbooks that XlsxWriter writes for us: every text in them is a text, whatever it looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

if TYPE_CHECKING:
    import io
    from collections.abc import Sequence

_NOT_IN_XML = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_TO_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}[_{_NOT_IN_XML}])|[{_NOT_IN_XML}]")
"""What XML cannot hold, and the beginning of what would be read as an escape of it (ECMA-376, part 1, 22.9.2.19).

That may also be something before an escape, which begins with the `_` that it lacks."""
_KEEP_BLANKS = True


class Sheet(Worksheet):  # type: ignore[misc]  # its types are not followed
    """A sheet that takes no text for markup.

    XlsxWriter writes a text that begins with `<r>` and ends with `</r>` as it is, because its own rich texts look like
    that, and of two escapes that share a `_` it escapes only the first.
    """

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, object]] = ()) -> None:
        self._xml_inline_string(string, _KEEP_BLANKS, attributes)

    @staticmethod
    def _escape_control_characters(data: object) -> object:
        if not isinstance(data, str):
            return data
        return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", data)


class Book(Workbook):  # type: ignore[misc]  # as above
    """A workbook whose sheets keep their rows on disk, so that memory stays flat: they are written from the top."""

    worksheet_class = Sheet

    def __init__(self, place: str | io.RawIOBase) -> None:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_date_format": "yyyy-mm-dd",
        }
        super().__init__(place, options)
