from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, to_excel

from batch_updater.loader.formats.number_formats import DateKind, apply_format, from_double, from_serial, shown_by
from batch_updater.records import FormattedNumber


@pytest.mark.parametrize(
    ("format_id", "code", "expected"),
    [
        (0, None, None), (14, None, DateKind.DATE), (22, None, DateKind.DATE_TIME), (20, None, DateKind.TIME),
        (46, None, DateKind.DURATION), (9, None, None), (49, None, None), (31, None, DateKind.DATE),
        (164, "yyyy-mm-dd", DateKind.DATE), (164, "[$-409]d. mmmm yyyy;@", DateKind.DATE),
        (164, "dd.mm.yyyy hh:mm", DateKind.DATE_TIME), (164, "hh:mm:ss AM/PM", DateKind.TIME),
        (164, "mm:ss", DateKind.TIME),
        (164, "[h]:mm", DateKind.DURATION), (164, "[ss]", DateKind.DURATION), (164, "General", None),
        (164, "0.00E+00", None),
        (164, '#,##0.00 "days"', None), (164, "[Red]0;[Blue]-0", None), (164, "#,##0\\ \\d", None),
        (164, '0 "h";yyyy', None), (164, "_-* #,##0.00_-", None), (14, "0.00", None), (164, "@", None),
    ],
)  # fmt: skip
def test_only_formats_of_dates_and_times_make_dates(
    format_id: int, code: str | None, expected: DateKind | None
) -> None:
    """A number is a date because its format shows one, not because it could be one."""
    found = shown_by(format_id, code)
    assert (found if isinstance(found, DateKind) else None) is expected


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)), st.booleans())  # noqa: DTZ001  (sheets have no zones)
def test_serial_numbers_are_read_as_excel_writes_them(moment: datetime, epoch_1904: bool) -> None:
    """Every day and time of both calendars comes back, to the millisecond."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, year=max(moment.year, 1905))
    serial = to_excel(moment, CALENDAR_MAC_1904 if epoch_1904 else CALENDAR_WINDOWS_1900)  # type: ignore[no-untyped-call]
    found = from_serial(Decimal(repr(serial)), DateKind.DATE_TIME, epoch_1904=epoch_1904)
    assert isinstance(found, datetime)
    assert abs(found - moment) <= timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("serial", "shown", "expected"),
    [
        (1, DateKind.DATE, date(1900, 1, 1)), (59, DateKind.DATE, date(1900, 2, 28)), (60, DateKind.DATE, 60),
        (61, DateKind.DATE, date(1900, 3, 1)), (0, DateKind.DATE, 0), (-1, DateKind.DATE, -1),
        (2958465, DateKind.DATE, date.max),
        (2958466, DateKind.DATE, 2958466), (Decimal("0.5"), DateKind.TIME, time(12)),
        (Decimal("1.25"), DateKind.DURATION, timedelta(hours=30)),
        (Decimal("-0.5"), DateKind.DURATION, timedelta(-0.5)),
        (Decimal("45000.5"), DateKind.DATE, datetime.combine(date(2023, 3, 15), time(12))),
    ],
)  # fmt: skip
def test_the_edges_of_the_calendar(serial: int | Decimal, shown: DateKind, expected: object) -> None:
    """A number that is no day stays a number; a hidden time of day is not lost."""
    found = from_serial(serial, shown, epoch_1904=False)
    assert found == expected
    assert type(found) is type(expected)


def test_the_calendar_of_1904() -> None:
    """Workbooks of old Macintosh versions count from 1904."""
    assert from_serial(0, DateKind.DATE, epoch_1904=True) == date(1904, 1, 1)


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ("00000", 123, "00123"), ("00000", -123, "-00123"), ('"OPP-"0000', 7, "OPP-0007"), ("000-00-0000", 123456789,
         "123-45-6789"), ("000\\-000", 1, "000-001"), ("00000;-0", 5, "00005"), ('"No. "0', 5, "No. 5"),
        ("000", 12345678, None), ("00000", 12345, None), ("0", 5, None), ("#,##0", 1234, None), ("0.00", 5, None),
        ('0" pcs"', 5, "5 pcs"), ("[$EUR] 0", 5, "5"), ('"EUR" 0', 5, "5"), ("@", 5, None),
        ("00000", Decimal("1.5"), "00002"), ('"00"0', 123, "00123"), ("\\0\\0#", 123, "00123"), ('0"0"', 123, "1230"),
        ('"OPP-"General', 123, "OPP-123"), ('General"-A"', 12, "12-A"), ("00000", Decimal("123.5"), "00124"),
        ("00000.00", 123, "00123.00"), ("00.00", 12, None), ("[<100]0;00000", 50, None),
        ("[<100]0;00000", 123, "00123"),
        ('"Won";"Lost"', 1, "Won"), ('"Won";"Lost"', -1, "Lost"), ('[=1]"Won";[=2]"Lost";General', 2, "Lost"),
        ('[=1]"Won";[=2]"Lost";General', 3, None), ("??000", 12, "012"), ("0,000", 12, "0012"),
        ("?/?", 5, "5/1"), ("?/?", Decimal("1.5"), "3/2"), ("# ?/8", Decimal("0.5"), "4/8"),
        ("??/100", Decimal("0.333"), "33/100"), ("# ??/100", Decimal("2.125"), "2 13/100"),
        ("# ?/10", Decimal("0.5"), "5/10"), ("# ??/16", Decimal("0.5"), "8/16"), ("# ?/?", 5, None),
        ("0.0.0", 5, "5.0.0"), ("0.0,", 1234, "1.2"), ("0,.0", 1234, "1.2"), ("#,##0.0", 1234, None),
        ("[<0]-0;0", -5, None), ("[<0]0;0", -5, "5"), ("[>=0]0;0", -5, "5"), ("[<100]0;00000", -5, None),
    ],
)  # fmt: skip
def test_a_number_shown_with_more_than_it_has_is_told_apart(code: str, number: int | Decimal, text: str | None) -> None:
    """Leading zeros and letters that only the format shows are no part of the number, and not forgotten either."""
    shown = shown_by(164, code)
    found = number if shown is None else apply_format(number, shown, epoch_1904=False)
    if text is None:
        assert found == number
    else:
        assert isinstance(found, FormattedNumber)
        assert (found.number, found.text) == (number, text)


@pytest.mark.parametrize("part", ["0.999999999", "0.99999999999999", "0.000000001"])
def test_a_moment_beside_midnight_is_not_midnight(part: str) -> None:
    """Rounding may neither lose a time of day nor make it the next day."""
    found = from_serial(45740 + Decimal(part), DateKind.DATE_TIME, epoch_1904=False)
    assert isinstance(found, datetime)
    assert (found.date(), found.time() != time()) == (date(2025, 3, 24), True)


@given(
    st.lists(st.sampled_from([*'0#?.,%/8@$;-+()_*"\\[] x', "General", "E+00", "[Red]", "[<5]", "[$€-2]"]), max_size=12),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_no_format_is_too_odd_to_be_read(pieces: list[str], value: float) -> None:
    """Whatever a file defines, a number stays that number; at most a note tells that it is shown otherwise."""
    number = from_double(value)
    assert isinstance(number, (int, Decimal))
    shown = shown_by(164, "".join(pieces))
    found = number if shown is None else apply_format(number, shown, epoch_1904=False)
    if not isinstance(found, (date, time)):
        assert (found.number if isinstance(found, FormattedNumber) else found) == number
