"""How the workbooks look: colours and formats, each made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.records import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xlsxwriter import Workbook
    from xlsxwriter.format import Format

INK = "#1F2933"
QUIET = "#616E7C"
HEADER = "#243B53"
LINE = "#D9E2EC"
FAULTY = "#FFD6D6"
REQUIRED = "#7B341E"

COLOURS: Mapping[OutcomeKind, tuple[str, str]] = {
    OutcomeKind.UPDATED: ("#D9F2E3", "#0B6B3A"),
    OutcomeKind.UNCHANGED: ("#E6F4EA", "#3C6E57"),
    OutcomeKind.PLANNED: ("#DCEBFB", "#1B4F8A"),
    OutcomeKind.DIFFERS: ("#FFF0C7", "#7A5200"),
    OutcomeKind.INVALID: ("#FFE0D1", "#97330B"),
    OutcomeKind.REJECTED: ("#FBD5DC", "#8E1537"),
    OutcomeKind.FAILED: ("#E9DDF6", "#5B2A86"),
    OutcomeKind.UNCONFIRMED: ("#E3E0F5", "#3F3A8C"),
    OutcomeKind.NOT_SENT: ("#E4E7EB", "#3E4C59"),
}
"""Outcome -> fill and ink; the ink is also its colour in charts. Each pair has a contrast above 4.5."""

EXPLAINED: Mapping[OutcomeKind, str] = {
    OutcomeKind.UPDATED: "confirmed by {api}",
    OutcomeKind.UNCHANGED: "held these values already",
    OutcomeKind.PLANNED: "would be sent",
    OutcomeKind.DIFFERS: "{api} took it but reports something else: look at the record",
    OutcomeKind.INVALID: "a cell is wrong; nothing was sent: repair it on the sheet To fix",
    OutcomeKind.REJECTED: "refused by {api}: repair it on the sheet To fix",
    OutcomeKind.FAILED: "cannot have been applied: run again",
    OutcomeKind.UNCONFIRMED: "may have been applied, but nothing confirmed it: run again",
    OutcomeKind.NOT_SENT: "the run ended before its turn, or it waits for another row",
}

DATE = "yyyy-mm-dd"
DATE_TIME = "yyyy-mm-dd hh:mm:ss"
TIME = "hh:mm:ss"
DURATION = "[h]:mm:ss"
AS_TEXT = "@"


class Styles:
    """The formats of one workbook, made when first asked for."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, object], ...], Format] = {}
        self._outcomes: dict[OutcomeKind, Format] = {}

    def __call__(self, **properties: object) -> Format:
        """Return the format with these properties of XlsxWriter."""
        key = tuple(sorted(properties.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format({"font_color": INK, "valign": "top", **properties})
        return self._made[key]

    def header(self, **properties: object) -> Format:
        """Return the format of a header row's cell."""
        usual = {"bold": True, "font_color": "#FFFFFF", "bg_color": HEADER, "text_wrap": True, "valign": "vcenter"}
        return self(**{**usual, **properties})

    def outcome(self, kind: OutcomeKind) -> Format:
        """Return the format of a cell that names an outcome."""
        if kind not in self._outcomes:
            fill, ink = COLOURS[kind]
            self._outcomes[kind] = self(bg_color=fill, font_color=ink, bold=True)
        return self._outcomes[kind]
