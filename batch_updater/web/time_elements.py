"""Times on pages: elements that the script shows in the viewer's zone; without it, they are in the server's."""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup

from batch_updater.messages import format_date_time

_WITH_DATE = rf"\d{{1,2}} (?:{'|'.join(month_name[1:])}) \d{{4}}, \d\d:\d\d"
_OF_TODAY = r"(?:(?<=run of )|(?<=since )|(?<=before \())\d\d:\d\d\b"
_WRITTEN = re.compile(f"{_WITH_DATE}|{_OF_TODAY}")
"""As `format_time` and `format_date_time` write them, in the server's zone."""


def time_element(at: datetime) -> Markup:
    """Return a time as an element."""
    iso = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    zone = at.astimezone().tzname() or ""
    return Markup('<time datetime="{}">{} {}</time>').format(iso, format_date_time(at), zone)


def with_time_elements(in_body: Callable[[object], object], text: str) -> Markup:
    """Return a message of ours, whose times become elements; `in_body` makes text of it that a page may hold."""
    return Markup(_WRITTEN.sub(lambda found: time_element(_moment(found[0])), str(in_body(text))))  # noqa: S704  (escaped)


def _moment(written: str) -> datetime:
    if "," in written:
        return datetime.strptime(written, "%d %B %Y, %H:%M").astimezone()
    hour, minute = map(int, written.split(":"))
    return datetime.now(UTC).astimezone().replace(hour=hour, minute=minute, second=0, microsecond=0)
