"""How long a service asks to wait before the next request, in whatever header and form it says so.

Retry-After is a number of seconds or an HTTP date (RFC 9110, sections 10.2.3 and 5.6.7). Servers also send fractions,
units (`1m30s`), ISO 8601 durations (`PT1M30S`) and dates, parameters (`5;q=1`), several values and seconds since 1970,
or use headers of their own: milliseconds (Azure, OpenAI), or the end of the period for which a limit holds (the
RateLimit headers of an IETF draft, GitHub and others).

A comma separates values, of which the longest counts: a header that came twice is joined so (RFC 9110, section 5.3).
So `1,5` is 5 seconds, though a decimal comma may be meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import MultiMapping

from batch_updater.text.lazy_pattern import lazy_pattern

_LONGEST_WAIT_S = 1e9
"""More than any run waits; keeps a number of any length finite."""
_SINCE_1970_S = 1e9
"""A larger number of seconds is a moment after 1970: that many are 31 years."""
_SINCE_1970_MS = 1e12
_SECONDS = ("Retry-After", "X-Retry-After", "X-RateLimit-Retry-After", "X-RateLimit-Reset-After")
_MILLISECONDS = ("Retry-After-Ms", "X-Ms-Retry-After-Ms")
_RESETS = ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset")
_REMAINING = ("RateLimit-Remaining", "X-RateLimit-Remaining", "X-Rate-Limit-Remaining")
_RATE_LIMIT = lazy_pattern(r"[;,\s](r|remaining|t|reset)\s*=\s*([0-9]+)", re.IGNORECASE)
"""Members of the draft's header RateLimit: `"default";r=0;t=30`, earlier `limit=100, remaining=0, reset=30`."""
_AMOUNT = lazy_pattern(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*([a-z]*)\.?\s*(?:and\s+)?", re.IGNORECASE
)
"""A number and its unit, before another one: `1 minute and 30 seconds`."""
_DURATION = lazy_pattern(r"P([0-9.]+W|(?:[0-9.]+D)?)(?:T([0-9.]+[HMS].*))?", re.IGNORECASE)
"""ISO 8601, section 5.5.2, without years and months, whose length depends on when they begin."""
_UNITS_S = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 0.001, "msec": 0.001,
    "millisecond": 0.001, "milliseconds": 0.001, "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86_400.0, "day": 86_400.0,
    "days": 86_400.0, "w": 604_800.0, "week": 604_800.0, "weeks": 604_800.0,
}  # fmt: skip
_BETWEEN_VALUES = lazy_pattern(r",(?!\s*[0-9]{1,2}[ -][A-Za-z]{3})")
"""A comma, but not the one behind the weekday of a date."""


def read_retry_after(status: int, headers: MultiMapping[str], now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait, the longest if it names several; None if it asks for nothing.

    The time of the service's own clock, its header Date, goes before `now`: a date in a header is by that clock.
    """
    now = next(filter(None, map(_date, headers.getall("Date", ()))), now)
    waits = [*_waits(headers, _SECONDS, 1.0, now), *_waits(headers, _MILLISECONDS, 0.001, now)]
    if not waits and status in (403, 429):  # else these tell of a limit that is not used up
        unsaid = 0.0 if status == 429 else 1.0  # nothing is left, by the status alone
        for text in headers.getall("RateLimit", ()):
            limit = {name.lower()[0:3]: float(value) for name, value in _RATE_LIMIT.findall(f" {text}")}
            reset = limit.get("t", limit.get("res"))
            if reset is not None and not limit.get("r", limit.get("rem", unsaid)):
                waits.append(min(reset, _LONGEST_WAIT_S))
        remaining = [text.strip() for name in _REMAINING for text in headers.getall(name, ())]
        if (remaining or not unsaid) and all(re.fullmatch(r"-?[0.]*", text) for text in remaining):
            waits += _waits(headers, _RESETS, 1.0, now)
    return max(waits, default=None)


def _waits(headers: MultiMapping[str], names: Sequence[str], unit_s: float, now: datetime) -> Iterator[float]:
    values = [value for name in names for text in headers.getall(name, ()) for value in _BETWEEN_VALUES.split(text)]
    for value in (value.partition(";")[0].strip(" \t\"'") for value in values):
        number = _AMOUNT.fullmatch(value)
        if number and not number[2]:
            wait_s = float(number[1]) * unit_s
            if float(number[1]) >= _SINCE_1970_S:
                wait_s = float(number[1]) / (1000 if float(number[1]) >= _SINCE_1970_MS else 1) - now.timestamp()
        else:
            # Numbers with units, one after the other, an ISO duration, or a date.
            duration = _DURATION.fullmatch(value)
            amounts = " ".join(filter(None, duration.groups())) if duration else value
            wait_s, at = 0.0, 0
            while (amount := _AMOUNT.match(amounts, at)) and (unit := _UNITS_S.get(amount[2].lower())):
                wait_s, at = wait_s + float(amount[1]) * unit, amount.end()
            if not at or at < len(amounts):
                date = _date(value)
                if date is None:
                    continue
                wait_s = (date - now).total_seconds()
        yield min(max(0.0, wait_s), _LONGEST_WAIT_S)


def _date(value: str) -> datetime | None:
    """Return the moment that an HTTP date in one of its three forms, or an ISO date, names; None if it is neither."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = read(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
    return None
