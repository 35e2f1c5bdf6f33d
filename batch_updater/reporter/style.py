"""How workbooks and page look: colours and number formats."""

from __future__ import annotations

from collections.abc import Mapping

from batch_updater.records import OutcomeKind

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

DATE = "yyyy-mm-dd"
DATE_TIME = "yyyy-mm-dd hh:mm:ss"
TIME = "hh:mm:ss"
DURATION = "[h]:mm:ss"
AS_TEXT = "@"
