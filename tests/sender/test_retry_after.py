"""sender/retry_after.py: a service that asks to wait is understood, in whatever form."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from batch_updater.sender.retry_after import read_retry_after

NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
IN_30_S = 1_795_917_630
"""Seconds since 1970."""


def asked(*headers: tuple[str, str], status: int = 429) -> float | None:
    return read_retry_after(status, CIMultiDict(headers), NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("1.5", 1.5), (".5", 0.5), ("5.", 5), ("+3", 3), ("0", 0), ("-5", 0), ('"30"', 30),
        ("120s", 120), ("30 seconds", 30), ("2 min", 120), ("1500ms", 1.5), ("1h", 3600), ("5, 60", 60),
        ("1m30s", 90), ("2h", 7200), ("1 minute and 30 seconds", 90), ("1.5h 2 min.", 5520), ("PT5S", 5),
        ("pt1m30s", 90), ("PT0.5S", 0.5), ("P1DT2H", 93_600), ("P1W", 604_800), ("5;q=1", 5), ("PT2M; jitter=1", 120),
        ("1e3", 1000), ("1,5", 5), ("P1M", None), ("P", None), ("PT", None), ("1m30", None), ("1e", None),
        ("Sun, 29 Nov 2026 02:00:30 GMT", 30), ("Sunday, 29-Nov-26 02:00:30 GMT", 30), ("Sun Nov 29 02:00:30 2026", 30),
        ("Sun, 29 Nov 2026 02:00:30 GMT, Sun, 29 Nov 2026 02:00:40 GMT", 40), ("Sun, 29 Nov 2020 02:00:30 GMT", 0),
        ("2026-11-29T02:00:30Z", 30), ("2026-11-29T03:00:30+01:00", 30), ("2026-11-29 02:00:30", 30),
        (f"{IN_30_S}", 30), (f"{IN_30_S}000", 30), ("9" * 5_000, 1e9),
        ("", None), ("soon", None), ("30 lightyears", None), ("\u0663", None),
    ],
)  # fmt: skip
def test_every_form_of_retry_after_is_understood(value: str, seconds: float | None) -> None:
    """Numbers, units, durations, lists, the forms of HTTP and ISO dates, moments since 1970; nonsense asks for none."""
    assert asked(("Retry-After", value), status=503) == seconds


def test_headers_of_their_own_are_understood() -> None:
    """The longest wait of all that are there counts."""
    assert asked(("Retry-After", "5"), ("Retry-After", "8")) == 8
    assert asked(("retry-after-ms", "1500")) == 1.5
    assert asked(("x-ms-retry-after-ms", "250"), ("Retry-After", "1")) == 1
    assert asked(("RateLimit-Reset", "30")) == asked(("X-RateLimit-Reset", f"{IN_30_S}")) == 30
    assert asked(("RateLimit", '"default";r=0;t=30')) == asked(("RateLimit", "limit=9, remaining=0, reset=30")) == 30


def test_the_end_of_a_period_counts_only_where_its_limit_is_used_up() -> None:
    """Many services send it with every answer: only a 429 without anything left asks to wait for it."""
    reset = ("X-RateLimit-Reset", f"{IN_30_S}")
    assert asked(reset, ("X-RateLimit-Remaining", "0")) == 30
    assert asked(reset, ("X-RateLimit-Remaining", "12")) is None
    assert asked(reset, status=503) is None
    assert asked(("RateLimit", '"default";r=5;t=30')) is None
    assert asked(reset, ("Retry-After", "2")) == 2


def test_a_403_asks_to_wait_only_if_it_says_that_a_limit_is_used_up() -> None:
    """Most are for good, and some services send the end of the period with them as well."""
    reset = ("X-RateLimit-Reset", f"{IN_30_S}")
    assert asked(reset, ("X-RateLimit-Remaining", "0"), status=403) == 30
    assert asked(("RateLimit", '"default";r=0;t=30'), status=403) == 30
    assert asked(("Retry-After", "60"), status=403) == 60
    assert asked(reset, ("X-RateLimit-Remaining", "4999"), status=403) is None
    assert asked(reset, status=403) is None
    assert asked(("RateLimit", '"default";t=30'), status=403) is None


def test_a_date_goes_by_the_clock_of_the_service() -> None:
    """Its clock may be an hour ahead of ours: its header Date tells."""
    ahead = ("Date", "Sun, 29 Nov 2026 03:00:00 GMT")
    assert asked(("Retry-After", "Sun, 29 Nov 2026 03:00:30 GMT"), ahead) == 30
    assert asked(("Retry-After", f"{IN_30_S + 3600}"), ahead) == 30
    assert asked(("Retry-After", "Sun, 29 Nov 2026 02:00:30 GMT"), ("Date", "yesterday")) == 30


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} Nov [0-9]{1,9} [0-9:+-]{0,12} [A-Z]{0,4}"), st.text())
def test_no_value_of_a_header_does_harm(value: str, date: str) -> None:
    """Any text is a finite wait, or none."""
    for name in ("Retry-After", "retry-after-ms", "X-RateLimit-Reset", "RateLimit"):
        wait_s = asked((name, value), ("Date", date))
        assert wait_s is None or 0 <= wait_s <= 1e9
