"""Texts of files, people and APIs on pages: text, whatever they hold; and the bar of outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from batch_updater.records import OutcomeKind
from batch_updater.reporter.cell_values import readable
from batch_updater.text.printable import printable_lines

TEMPLATES = Path(__file__).with_name("templates")
_TEXT_CHARACTERS = 800
_VALUE_CHARACTERS = 120
_LONGEST_NOTE = 30
"""Characters of the note that a text is shortened."""
_NARROWEST_SHARE = 0.008
"""How much of the bar even one row of a million gets, so that it can be seen."""
BAR_WIDTH = 1_000


class BarPart(NamedTuple):
    """The part of a bar that is for one outcome, in units of which the whole bar has `BAR_WIDTH`."""

    kind: OutcomeKind
    left: float
    width: float


def plain(text: str) -> Markup:
    """Return a text without markup; except line breaks, its invisible characters are made visible."""
    return Markup.escape(readable(printable_lines(shortened(text))))


def in_body(value: object) -> object:
    """Return what an expression of a template yields: no text changes the direction of the text around it.

    It is what Jinja's `finalize` is for. In an attribute, the text goes through the filter `plain` besides.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return plain(value) if value.isascii() else Markup("<bdi>{}</bdi>").format(plain(value))


def as_value(text: str) -> str:
    """Return a text as short as values are shown."""
    return shortened(text, _VALUE_CHARACTERS)


def shortened(text: str, at_most: int = _TEXT_CHARACTERS) -> str:
    """Return the beginning of a long text, with a note on its length."""
    if len(text) <= at_most + _LONGEST_NOTE:  # so that a shortened text is not shortened again
        return text
    return f"{text[:at_most]} … ({len(text):,} characters)"


def bar_parts(counts: Mapping[OutcomeKind, int], total: int | None = None) -> Iterator[BarPart]:
    """Yield the parts of the bar for the outcomes that some row has, in their order.

    `total`: how many rows there are if not all have their outcome yet; what is left of the bar is theirs.
    """
    rows = sum(counts.values())
    whole = max(rows, total or 0)
    shares = {kind: max(count / whole, _NARROWEST_SHARE) for kind, count in counts.items() if count}
    all_shares = sum(shares.values())
    scale = BAR_WIDTH / (max(all_shares, 1.0) if rows < whole else all_shares or 1.0)
    left = 0.0
    for kind, share in shares.items():
        yield BarPart(kind, left, scale * share)
        left += scale * share
