"""What the eye sees of a cell: its number or date is taken, noted, or refused for what its format shows."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

from batch_updater.endpoint.description import Field, Kind
from batch_updater.loader.currencies import CurrencyWatch
from batch_updater.loader.findings import CellNote
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.records import Cell, FormattedNumber, PartlyShownDate, PartlyShownDateTime, ShownAs

TINY = -9
"""Power of ten below which no amount is meant: what a formula leaves over where 0.1 + 0.2 - 0.3 is no zero."""
_PLAIN_NUMBER = re.compile(r"[^0-9]*(?:0|[1-9][0-9]*)(?:\.[0-9]*)?[^0-9]*")
"""What tells no more than its number: no zeros in front. Signs and currencies around it change no reader's mind."""
_REFUSED = {
    Kind.INTEGER: {ShownAs.EXPONENT, ShownAs.OTHERWISE, ShownAs.NOTHING},
    Kind.DECIMAL: {ShownAs.OTHERWISE, ShownAs.NOTHING},
    Kind.TEXT: {ShownAs.OTHER_TEXT, ShownAs.EXPONENT, ShownAs.UNSIGNED, ShownAs.OTHERWISE, ShownAs.NOTHING},
    Kind.ANY: {ShownAs.EXPONENT, ShownAs.OTHERWISE, ShownAs.NOTHING},
    Kind.JSON: {ShownAs.EXPONENT, ShownAs.OTHERWISE, ShownAs.NOTHING},
}
"""What a field of a kind cannot be shown as. Dates and truth values take no number at all."""
_MAY_BE_TEXT = frozenset({Kind.TEXT, Kind.ANY, Kind.JSON})
"""Kinds of fields that take texts, so that 00123 may be one."""
_MOMENTS = frozenset({Kind.DATE_TIME, Kind.ANY})
"""Kinds of fields that take times of day."""


def cell_as_seen(cell: Cell, field: Field, noted: list[CellNote], watch: CurrencyWatch) -> Cell:
    """Return the value of a cell that is neither text, fault nor blank.

    Raises ValueProblem where the cell shows something else than would be sent. Adds to `noted` where it shows less, or
    another currency than `watch` has seen.
    """
    if isinstance(cell, Decimal):
        if cell.adjusted() < TINY and cell:
            sentence = f"{shown(cell)} is sent: is it what a formula leaves over, and 0 meant?"
            noted.append(CellNote(field.name, "close-to-zero", sentence))
        return cell
    if isinstance(cell, FormattedNumber):
        is_text = field.kind in _MAY_BE_TEXT
        if cell.effect in _REFUSED.get(field.kind, ()) or (is_text and not _PLAIN_NUMBER.fullmatch(cell.text)):
            number = shown(cell.number)
            reason = f"The cell holds the number {number}, which its format shows as {shown(cell)}"
            if cell.effect is ShownAs.NOTHING:
                reason = f"The cell holds the number {number}, which its format does not show"
                remedy = "General; then keep the number, or clear the cell to leave the field as it is."
            elif is_text:
                reason += ": as text it could be either" if field.kind is Kind.TEXT else ": either may be meant"
                remedy = f"Text and type {shown(cell)} or {number}, whichever is meant."
            else:
                remedy = "Number and type the number that is meant, in full."
            raise ValueProblem("shown-otherwise", f"{reason}.", f"Set the cell's format to {remedy}")
        if cell.effect in {ShownAs.ROUNDED, ShownAs.UNSIGNED}:
            in_colour = " in a colour" if cell.effect is ShownAs.UNSIGNED else ""
            number = shown(cell.number)
            sentence = f"{number} is shown as {shown(cell)}{in_colour}: {number} is sent."
            noted.append(CellNote(field.name, f"shown-{cell.effect.name.lower()}", sentence))
        if cell.currency and field.kind is Kind.DECIMAL:
            watch.see(cell.currency, f"{shown(cell.number)} is shown with {cell.currency}")
        return cell.number
    return _date_as_seen(cell, field, noted) if isinstance(cell, (PartlyShownDate, PartlyShownDateTime)) else cell


def _date_as_seen(cell: PartlyShownDate | PartlyShownDateTime, field: Field, noted: list[CellNote]) -> Cell:
    """Return a date of which its format does not show everything."""
    if isinstance(cell, PartlyShownDateTime):
        moment = datetime.combine(cell.date(), cell.time())
        if field.kind in _MOMENTS:
            reason = f"The cell holds {moment}, of which its format does not show the {cell.hidden}."
            remedy = (
                f"Set the cell's format to one for dates with a time of day; or type {cell.date()} if that is meant."
            )
            raise ValueProblem("shown-otherwise", reason, remedy)
        return moment
    day = date(cell.year, cell.month, cell.day)
    if field.kind in {Kind.DATE, *_MOMENTS} and cell.hidden == "date":
        reason = f"The cell holds the date {day}, which its format shows as a time of day."
        remedy = f"Set the cell's format to Date, and type {day} if that day is meant."
        raise ValueProblem("shown-otherwise", reason, remedy)
    if field.kind in {Kind.DATE, Kind.ANY}:
        sentence = f"{day} is shown without its {cell.hidden}: {day} is sent."
        noted.append(CellNote(field.name, f"without-{cell.hidden}", sentence))
    return day
