"""Times in messages of ours, as elements that the script shows in the viewer's zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.messages import format_date_time, format_time
from batch_updater.reporter.markup import in_body
from batch_updater.web.time_elements import with_time_elements

_MINUTES = st.integers(0, 4_000_000_000 // 60)


@given(_MINUTES)
@settings(max_examples=50, deadline=None)
def test_a_time_of_a_message_is_that_of_its_element(minutes: int) -> None:
    """Whatever the day: what is written is read back."""
    at = datetime.fromtimestamp(60 * minutes, UTC)
    shown = with_time_elements(in_body, f"The run was closed on {format_date_time(at)}: <b>")
    assert f'closed on <time datetime="{at:%Y-%m-%dT%H:%M}:00Z">' in shown
    assert shown.endswith("</time>: &lt;b&gt;")


def test_a_time_of_today_is_an_element_and_other_digits_are_not() -> None:
    """Only where a message of ours has a time."""
    now = datetime.now(UTC)
    for text in (f"Resuming the run of {format_time(now)}: 1 of 2", f"applied before ({format_time(now)})"):
        assert f'<time datetime="{now:%Y-%m-%dT%H:%M}:00Z">' in with_time_elements(in_body, text)
    assert not re.search("<time", with_time_elements(in_body, "10:30.csv holds 22:25 (12:00)"))
