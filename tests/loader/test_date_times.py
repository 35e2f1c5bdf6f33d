"""Cells of date-time fields: one point in time, or a problem that says what is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind
from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from batch_updater.loader.table import open_table
from batch_updater.records import PartlyShownDate, PartlyShownDateTime
from tests.loader.described import DAY, ITEM, TEXT, codes, endpoint, settings

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.loader.findings import CellNote
    from batch_updater.records import Cell

WHEN = replace(TEXT, name="when", kind=Kind.DATE_TIME, title="time")


def problem(cell: Cell, **given_settings: object) -> ValueProblem:
    with pytest.raises(ValueProblem) as raised:
        converter(WHEN, settings(**given_settings), [])(cell)
    return raised.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00Z"),
        (" 2026-11-28t10:00:00z ", "2026-11-28T10:00:00Z"),
        ("2026-11-28 10:00 UTC", "2026-11-28T10:00:00Z"),
        ("2026-11-28 10:00:00+0130", "2026-11-28T10:00:00+01:30"),
        ("2026-11-28T10:00:00.120-05", "2026-11-28T10:00:00.120-05:00"),
        ("2026-11-28T10:00:00.123456789Z", "2026-11-28T10:00:00.123456789Z"),
        ("28.11.2026 2:30 PM +00:00", "2026-11-28T14:30:00+00:00"),
        ("Sat, 28 Nov 2026 10:00:00 GMT", "2026-11-28T10:00:00Z"),
    ],
)
def test_a_text_with_a_zone_is_the_point_in_time_that_it_names(text: str, value: str) -> None:
    """Every way to write it comes out in the form of RFC 3339, its zone and the digits of its second as typed."""
    assert converter(WHEN, settings(), [])(text) == value
    assert converter(WHEN, settings(time_zone="Asia/Tokyo"), [])(text) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2026-11-28 10:00", "2026-11-28T10:00:00+01:00"),
        ("28/07/2026 10:00", "2026-07-28T10:00:00+02:00"),
        (datetime(2026, 11, 28, 10), "2026-11-28T10:00:00+01:00"),  # noqa: DTZ001  (as sheets hold them)
        (datetime(2026, 7, 28, 10, 0, 5, 250_000), "2026-07-28T10:00:05.25+02:00"),  # noqa: DTZ001
        (date(2026, 11, 28), "2026-11-28T00:00:00+01:00"),
        ("28 Nov 2026", "2026-11-28T00:00:00+01:00"),
    ],
)
def test_a_time_of_day_without_a_zone_is_read_in_the_configured_one(cell: Cell, value: str) -> None:
    """Its offset is that of the day; a date alone is its midnight there."""
    assert converter(WHEN, settings(time_zone="Europe/Berlin"), [])(cell) == value


def test_a_midnight_that_no_cell_shows_is_told() -> None:
    """What is sent for a date alone is in a note, in full."""
    noted: list[CellNote] = []
    converter(WHEN, settings(time_zone="UTC"), noted)(date(2026, 11, 28))
    assert [note.sentence for note in noted] == [
        "2026-11-28 has no time of day: the midnight with which it begins is sent, 2026-11-28T00:00:00Z."
    ]


@pytest.mark.parametrize("cell", ["2026-11-28 10:00", datetime(2026, 11, 28, 10)])  # noqa: DTZ001
def test_without_a_configured_zone_a_time_of_day_is_refused(cell: Cell) -> None:
    """The remedy names the key, and how to type it."""
    refusal = problem(cell)
    assert refusal.code == "no-time-zone"
    assert "input.time_zone" in refusal.remedy
    assert "+01:00" in refusal.remedy


@pytest.mark.parametrize("cell", ["2026-11-28", date(2026, 11, 28)])
def test_without_a_configured_zone_a_date_alone_is_refused(cell: Cell) -> None:
    """No time of day is made up that the cell does not show."""
    assert problem(cell).code == "no-time-of-day"


def test_times_that_the_change_of_clocks_leaves_out_or_repeats_are_refused() -> None:
    """Neither is one point in time; for the second one both are named."""
    assert problem("2026-03-29 02:30", time_zone="Europe/Berlin").code == "no-such-time"
    twice = problem(datetime(2026, 10, 25, 2, 30), time_zone="Europe/Berlin")  # noqa: DTZ001
    assert twice.code == "ambiguous-time"
    assert "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00" in twice.reason
    # In Cairo clocks were put forward at midnight.
    assert problem(date(2024, 4, 26), time_zone="Africa/Cairo").code == "no-such-time"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("03/04/2026 10:00Z", "ambiguous-date"), ("3.4.26 10:00Z", "ambiguous-order-and-century"),
        ("31.02.2026 10:00Z", "no-such-date"), ("2026-11-28T10:00:00+25:00", "not-a-date-and-time"),
        ("2026-11-28T25:00:00Z", "not-a-date-and-time"), ("2026-11-28T10:00 CET", "not-a-date-and-time"),
        ("soon", "not-a-date-and-time"), (45_000, "not-a-date-and-time"), (Decimal("45000.5"), "not-a-date-and-time"),
        (time(10), "not-a-date-and-time"), (timedelta(hours=3), "not-a-date-and-time"), (True, "not-a-date-and-time"),
        ("null", "word-for-nothing"), ("1850-01-01T00:00:00Z", "no-such-date"),
    ],
)  # fmt: skip
def test_what_is_no_single_point_in_time_is_refused(cell: Cell, code: str) -> None:
    """A date with two readings is asked about as in a column of dates."""
    assert problem(cell, time_zone="UTC").code == code


def test_the_order_of_day_and_month_counts_for_dates_with_a_time_of_day() -> None:
    """An answer about the column settles them."""
    assert converter(WHEN, settings(date_order="DMY"), [])("03/04/2026 10:00Z") == "2026-04-03T10:00:00Z"


@pytest.mark.parametrize(
    "cell",
    [
        PartlyShownDateTime.of(datetime(2026, 11, 28, 10), "time of day"),  # noqa: DTZ001
        PartlyShownDateTime.of(datetime(2026, 11, 28, 10), "date"),  # noqa: DTZ001
        PartlyShownDate.of(date(2026, 11, 28), "date"),
    ],
)
def test_what_the_format_of_a_cell_hides_is_not_sent(cell: Cell) -> None:
    """Not even where a zone is configured: the person sees another value."""
    assert problem(cell, time_zone="UTC").code == "shown-otherwise"


def test_seconds_of_a_cell_are_told() -> None:
    """The usual format of a date with a time of day does not show them."""
    noted: list[CellNote] = []
    converter(WHEN, settings(time_zone="UTC"), noted)(datetime(2026, 11, 28, 10, 0, 37))  # noqa: DTZ001
    assert [note.code for note in noted] == ["with-seconds"]


def test_a_hidden_time_of_day_stays_a_problem_of_a_date_field() -> None:
    """It is refused there as any other time of day."""
    with pytest.raises(ValueProblem) as raised:
        converter(DAY, settings(), [])(PartlyShownDateTime.of(datetime(2026, 11, 28, 10), "time of day"))  # noqa: DTZ001
    assert raised.value.code == "has-time-of-day"


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_a_point_in_time_reads_back_as_the_local_time(local: datetime, zone: str) -> None:
    """For every local time that exists once, the text that is sent is that time, with the offset of that day."""
    try:
        value = converter(WHEN, settings(time_zone=zone), [])(local)
    except ValueProblem as refusal:
        assert refusal.code in {"no-such-time", "ambiguous-time"}  # noqa: PT017
        return
    assert isinstance(value, str)
    moment = datetime.fromisoformat(value)
    assert moment.replace(tzinfo=None) == local
    assert converter(WHEN, settings(), [])(value) == value
    assert moment.astimezone(UTC).tzinfo is UTC


def test_the_format_of_a_cell_tells_what_is_hidden(tmp_path: Path) -> None:
    """In a workbook: a time of day behind a format for dates, a date behind one for times, and both shown."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["itemId", "when"])
    moment = datetime(2026, 11, 28, 10, 30)  # noqa: DTZ001
    for row, number_format in enumerate(("yyyy-mm-dd", "hh:mm", "mmm yyyy hh:mm", "yyyy-mm-dd hh:mm"), 2):
        sheet.append([row, moment])
        sheet.cell(row, 2).number_format = number_format
    book.save(tmp_path / "t.xlsx")
    opened = open_table(tmp_path / "t.xlsx", endpoint((ITEM, WHEN)), settings(time_zone="UTC"), name="t.xlsx")
    hidden = "shown-otherwise"
    assert codes(opened) == {2: [("when", hidden)], 3: [("when", hidden)], 4: [("when", hidden)], 5: []}
