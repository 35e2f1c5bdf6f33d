from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.config.schema import DateOrder
from batch_updater.loader.dates import DateSettings, date_from_number, date_from_text, order_shown_by
from batch_updater.loader.refusal import ValueProblem


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [("2025-04-03", None, date(2025, 4, 3)), (" 2025/4/3 ", None, date(2025, 4, 3)),
     ("25/03/2025", None, date(2025, 3, 25)), ("03/25/2025", None, date(2025, 3, 25)),
     ("04/04/2025", None, date(2025, 4, 4)), ("03/04/2025", DateOrder.DMY, date(2025, 4, 3)),
     ("03/04/2025", DateOrder.MDY, date(2025, 3, 4)), ("25/03/2025", DateOrder.MDY, date(2025, 3, 25)),
     ("29/02/2024", None, date(2024, 2, 29)), ("25.3.2025", None, date(2025, 3, 25)),
     ("2025-04-03 00:00", None, date(2025, 4, 3)), ("4/3/2025 12:00:00 AM", DateOrder.MDY, date(2025, 4, 3)),
     ("2025-04-03T00:00:00.000Z", None, date(2025, 4, 3)), ("3rd of April 2025", None, date(2025, 4, 3)),
     ("Apr. 3, 2025", None, date(2025, 4, 3)), ("2025-Apr-03", None, date(2025, 4, 3)),
     ("Thursday, April 3, 2025", None, date(2025, 4, 3)), ("Thu, 3 Apr 2025 00:00:00 GMT", None, date(2025, 4, 3)),
     ("Thu Apr 03 2025", None, date(2025, 4, 3)), ("Thu 03/04/2025", DateOrder.DMY, date(2025, 4, 3)),
     ("3/25/2025, 12:00:00 AM", None, date(2025, 3, 25)), ("03APR2025", None, date(2025, 4, 3))],
)  # fmt: skip
def test_dates_with_one_reading_are_taken(text: str, order: DateOrder | None, day: date) -> None:
    """A text is a date if it can be only that one, or if the setting leaves only that one."""
    assert date_from_text(text, DateSettings(order)) == day


@pytest.mark.parametrize(
    ("text", "code"),
    [("03/04/2025", "ambiguous-date"), ("31/02/2025", "no-such-date"), ("2025-02-30", "no-such-date"),
     ("2025-13-01", "no-such-date"), ("0025-01-01", "no-such-date"), ("25/03/0025", "no-such-date"),
     ("2025-W01-1", "not-a-date"), ("20250403", "not-a-date"), ("45000", "not-a-date"), ("soon", "not-a-date"),
     ("Friday, April 3, 2025", "ambiguous-day"), ("Someday, April 3, 2025", "not-a-date"),
     ("Thursday", "not-a-date"), ("Thu 31/02/2025", "no-such-date"), ("Thu 03/04/2025", "ambiguous-date"),
     ("Thu, 3 Apr 2025 10:00:00 GMT", "has-time-of-day"), ("Fri, 3 April 25", "ambiguous-century"),
     ("2025-04/03", "not-a-date"), ("2025-04-03 10:00", "has-time-of-day"), ("2025-04-03 25:00", "not-a-date"),
     ("2025-04-03T00:00:00+02:00", "ambiguous-day"), ("30 Feb 2025", "no-such-date"), ("May 2025", "not-a-date"),
     ("3 Mai 2025", "not-a-date"), ("3-Apr-25", "ambiguous-century"), ("03.04.2025", "ambiguous-date"),
     ("\u0662\u0660\u0662\u0665-01-01", "not-a-date"), ("3/4/25", "ambiguous-order-and-century")],
)  # fmt: skip
def test_dates_with_none_or_two_readings_are_refused(text: str, code: str) -> None:
    """No date is guessed."""
    with pytest.raises(ValueProblem) as refused:
        date_from_text(text, DateSettings())
    assert refused.value.code == code


def test_the_number_of_a_day_is_told_as_the_day_that_excel_means() -> None:
    """A spreadsheet without formats of dates exports such numbers."""
    with pytest.raises(ValueProblem, match=r"45741 is a number, not a date; Excel may mean 2025-03-25 by it\."):
        date_from_text("45741", DateSettings())


def test_an_ambiguous_date_names_both_days() -> None:
    """The message names both days to choose from."""
    with pytest.raises(ValueProblem, match=r"'03/04/2025' could be 3 April 2025 or 4 March 2025\."):
        date_from_text("03/04/2025", DateSettings())


def test_a_year_of_two_digits_names_every_day_that_it_may_be() -> None:
    """With two digits any of the three numbers may be the year, of this century or the last."""
    with pytest.raises(ValueProblem, match=r"31 March 2025 or 31 March 1925\.") as refused:
        date_from_text("25-03-31", DateSettings())
    assert "could be 25 March 2031, 25 March 1931, " in refused.value.reason


def test_a_date_on_another_weekday_names_the_right_one() -> None:
    """One of the two is wrong, and only the person who wrote it knows which."""
    with pytest.raises(ValueProblem, match=r"names two days: 3 April 2025 is a Thursday\."):
        date_from_text("Friday, 3 April 2025", DateSettings())


def test_excels_own_number_of_a_day_is_no_date_but_the_day_is_named() -> None:
    """45000 may be any number; the message says which day Excel would mean by it."""
    assert "2023-03-15" in date_from_number(45000).reason
    assert "Excel" not in date_from_number(-1).reason


@given(st.dates(min_value=date(1900, 1, 1)))
def test_every_day_survives_in_iso_form_and_shows_its_order_if_it_can(day: date) -> None:
    """ISO needs no setting; a day after the 12th shows in which order it was written."""
    assert date_from_text(day.isoformat(), DateSettings()) == day
    text = f"{day.day:02d}/{day.month:02d}/{day.year:04d}"
    assert date_from_text(text, DateSettings(DateOrder.DMY)) == day
    assert order_shown_by(text) == ((DateOrder.DMY, True) if day.day > 12 else None)
    # With two digits the year may be in front: it shows the order only where it is not.
    shows = order_shown_by(text[:6] + text[8:])
    assert (shows and shows[0]) == (DateOrder.DMY if day.day > 12 else None)


@given(st.text(alphabet="0123456789/-. :TZ+apmAPMaryun,", max_size=24))
def test_any_text_is_a_date_or_is_refused(text: str) -> None:
    """No text makes the reading of dates fail in another way."""
    with contextlib.suppress(ValueProblem):
        assert date_from_text(text, DateSettings()).year >= 1900


@pytest.mark.parametrize("text", ["03/04/2025 00:00 +02:00", "25/03/2025 00:00 +02:00", "2025-03-25T00:00:00.0000001"])
@pytest.mark.parametrize("order", [None, DateOrder.DMY, DateOrder.MDY])
def test_what_may_be_another_day_is_refused_whatever_the_order(text: str, order: DateOrder | None) -> None:
    """The order of day and month says nothing about zones, and a moment after midnight is not midnight."""
    with pytest.raises(ValueProblem) as raised:
        date_from_text(text, DateSettings(order))
    assert raised.value.code in {"ambiguous-day", "has-time-of-day"}
