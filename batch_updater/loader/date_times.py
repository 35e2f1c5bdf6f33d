"""Cells -> points in time, as the texts of RFC 3339 that are sent."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Field
from batch_updater.loader.dates import (
    EARLIEST_YEAR,
    DateSettings,
    date_from_text,
    day_and_time,
    impossible_date,
)
from batch_updater.loader.findings import CellNote
from batch_updater.loader.plain_cells import kind_of_cell
from batch_updater.loader.refusal import ValueProblem, shown

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?")
_LIKE: Final = "2025-12-31T14:30:00+01:00"
_TYPE: Final = f"Type it like {_LIKE}."
_NO_DATE: Final = frozenset({"not-a-date", "has-time-of-day"})


class DateTimeReader:
    """Reads the points in time of one column."""

    def __init__(self, field: Field, settings: InputSettings, noted: list[CellNote]) -> None:
        """Add notes to `noted`. Where `settings` name a time zone, times of day without one are read there."""
        self._field = field
        self._noted = noted
        self._dates = DateSettings(settings.date_order, settings.two_digit_years)
        self._zone: ZoneInfo | None = None
        if settings.time_zone:
            from zoneinfo import ZoneInfo  # noqa: PLC0415  (most files need no zone)

            self._zone = ZoneInfo(settings.time_zone)

    def from_text(self, text: str) -> str:
        """Return what a text that is not blank says. Raises ValueProblem.

        Read are the dates that fields for dates take, with a time of day behind them. A zone in the text is sent as it
        is written there.
        """
        bare = text.strip()
        parts = day_and_time(bare)
        try:
            day = date_from_text(parts.day if parts else bare, self._dates)
        except ValueProblem as refusal:
            if refusal.code in _NO_DATE:
                what = "is not a date with a time of day that can be read"
                raise ValueProblem.of(bare, "not-a-date-and-time", what, _TYPE) from None
            remedy = refusal.remedy.replace("Type it like 2025-12-31", f"Type it like {_LIKE}")
            raise ValueProblem(refusal.code, refusal.reason, remedy) from None
        if parts is None:
            return self._midnight(day, shown(bare, quoted=True))
        local = datetime.combine(day, time(parts.hour, parts.minute, parts.second))
        fraction = f".{parts.fraction}" if parts.fraction else ""
        if not parts.zone:
            return self._in_zone(local, fraction, shown(bare, quoted=True))
        return f"{local.isoformat()}{fraction}{_offset_in(parts.zone, bare)}"

    def from_cell(self, cell: object) -> str:
        """Return what a cell says that is no text. Raises ValueProblem."""
        if isinstance(cell, date) and cell.year < EARLIEST_YEAR:
            raise impossible_date(shown(cell))
        if isinstance(cell, datetime):
            fraction = f".{cell.microsecond:06}".rstrip("0") if cell.microsecond else ""
            value = self._in_zone(cell.replace(microsecond=0), fraction, shown(cell))
            if cell.second or fraction:
                sentence = f"{shown(cell)} is sent with its seconds, which not every format of a cell shows."
                self._noted.append(CellNote(self._field.name, "with-seconds", sentence))
            return value
        if isinstance(cell, date):
            return self._midnight(cell, shown(cell))
        is_number = isinstance(cell, (int, Decimal)) and not isinstance(cell, bool)
        remedy = "Set the cell's format to one for dates with a time of day, if it is one." if is_number else _TYPE
        raise ValueProblem.of(
            cell, "not-a-date-and-time", f"is {kind_of_cell(cell)}, not a date with a time of day", remedy
        )

    def _midnight(self, day: date, cell: str) -> str:
        if self._zone is None:
            raise ValueProblem(
                "no-time-of-day",
                f"{cell} is a date without a time of day, but a point in time is sent.",
                f"Type it like {_LIKE}; or set input.time_zone, such as Europe/Berlin, to send midnight there.",
            )
        value = self._in_zone(datetime.combine(day, time()), "", cell)
        sentence = f"{cell} has no time of day: the midnight with which it begins is sent, {value}."
        self._noted.append(CellNote(self._field.name, "midnight", sentence))
        return value

    def _in_zone(self, local: datetime, fraction: str, cell: str) -> str:
        """Return a time of day in the configured zone, where there is just one such time on that day."""
        zone = self._zone
        if zone is None:
            raise ValueProblem(
                "no-time-zone",
                f"{cell} does not say in which time zone it is, so that it could be many points in time.",
                f"Set input.time_zone to the zone of the file, such as Europe/Berlin; or type it like {_LIKE}.",
            )
        first, second = local.replace(tzinfo=zone), local.replace(tzinfo=zone, fold=1)
        if first.utcoffset() == second.utcoffset():
            return _written(first, fraction)
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
            reason = f"{cell} is a time that does not exist in {zone.key}: the clocks were put forward over it."
            raise ValueProblem("no-such-time", reason, "Type the time that is meant.")
        texts = f"{_written(first, fraction)} or {_written(second, fraction)}"
        reason = f"{cell} was twice in {zone.key}, before and after the clocks were put back: {texts}."
        raise ValueProblem("ambiguous-time", reason, f"Type {texts}, whichever is meant.")


def _written(moment: datetime, fraction: str) -> str:
    """Return a moment in the form of RFC 3339, section 5.6, whose offsets have no seconds."""
    offset = moment.utcoffset() or timedelta()
    if not offset or offset.seconds % 60:
        return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}{fraction}Z"
    text = moment.isoformat()
    return f"{text[:-6]}{fraction}{text[-6:]}"


def _offset_in(zone: str, bare: str) -> str:
    """Return the zone of a text in the form of RFC 3339."""
    if zone in {"Z", "z", "UTC", "GMT"}:
        return "Z"
    found = _OFFSET.fullmatch(zone)
    if found is None:
        raise ValueProblem.of(bare, "not-a-date-and-time", f"has no time zone there is: {zone}", _TYPE)
    return f"{found[1]}{found[2]}:{found[3] or '00'}"
