from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Bounds, ParameterLocation
from batch_updater.loader.cells import BLANK, ERROR_LITERALS, Blank, converter
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import CellError
from tests.loader.described import ACTIVE, AMOUNT, COUNT, DAY, FIELDS, ITEM, KIND, TEXT, settings

if TYPE_CHECKING:
    from batch_updater.endpoint.description import Field
    from batch_updater.records import Cell, Value


def read(field: Field, cell: Cell) -> Value | Blank:
    return converter(field, settings(), [])(cell)


TENANT = replace(TEXT, name="X-Tenant", location=ParameterLocation.HEADER, title="tenant", nullable=False)


def code(field: Field, cell: Cell) -> str:
    with pytest.raises(ValueProblem) as refused:
        read(field, cell)
    assert refused.value.reason.endswith(".")
    assert refused.value.remedy.endswith((".", "?"))
    return refused.value.code


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_blank_cell_has_no_value(field: Field) -> None:
    """Nothing, and text of blanks alone, mean that the field is left as it is."""
    assert read(field, None) is BLANK
    assert read(field, " \t\u00a0\n") is BLANK


def test_the_clear_marker_clears_what_may_be_cleared() -> None:
    """The marker sends null; where null is not described it is a problem."""
    assert read(AMOUNT, " #CLEAR ") is None
    assert code(ITEM, "#CLEAR") == "cannot-be-cleared"


@pytest.mark.parametrize("literal", sorted(ERROR_LITERALS))
def test_an_error_of_excel_is_a_problem_also_as_text(literal: str) -> None:
    """An export of a failed formula is never sent as text and never taken for a blank."""
    assert code(TEXT, f" {literal.lower()} ") == "error-cell"
    assert code(AMOUNT, CellError("error-cell", literal)) == "error-cell"
    assert read(TEXT, f"see {literal}") == f"see {literal}"


def test_a_formula_without_its_value_is_a_problem() -> None:
    """A workbook saved by a program that does not calculate holds no values to send."""
    assert code(TEXT, CellError("formula-without-value", "=A1")) == "formula-without-value"


def test_what_stands_where_a_number_belongs_is_refused_in_every_field() -> None:
    """Not even a field for text takes what a broken program has put into a number's cell."""
    for field in (TEXT, AMOUNT, DAY):
        assert code(field, CellError("no-value", "NaN")) == "no-value"


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        (ITEM, 123, 123), (ITEM, Decimal("123.0"), 123), (ITEM, "123.0", 123),
        (TEXT, "  00123 ", "  00123 "), (TEXT, "a\tb\r\nc", "a\tb\r\nc"), (TEXT, 123, "123"),
        (TEXT, Decimal("1E+2"), "100"), (TEXT, Decimal("0.1"), "0.1"), (TEXT, "TRUE", "TRUE"), (TEXT, "NA", "NA"),
        (TEXT, 123456789012345, "123456789012345"),
        (AMOUNT, 5, Decimal(5)), (AMOUNT, Decimal("0.1"), Decimal("0.1")), (AMOUNT, "1.10", Decimal("1.10")),
        (ACTIVE, True, True), (ACTIVE, " false ", False), (ACTIVE, "TRUE", True),
        (DAY, date(2025, 4, 3), date(2025, 4, 3)), (DAY, datetime.combine(date(2025, 4, 3), time()), date(2025, 4, 3)),
        (KIND, " large ", "Large"), (KIND, "SMALL", "Small"), (TENANT, "acme, inc", "acme, inc"),
    ],
)  # fmt: skip
def test_what_can_be_converted_without_loss_is(field: Field, cell: Cell, value: Value) -> None:
    """Each kind of field takes the cells that say exactly one value of it."""
    found = read(field, cell)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "cell", "expected"),
    [
        (ITEM, True, "not-a-number"), (ITEM, Decimal("1.5"), "not-a-whole-number"),
        (ITEM, 10**15, "may-be-damaged"), (ITEM, Decimal("1E+20"), "may-be-damaged"),
        (ITEM, date(2025, 1, 1), "not-a-number"), (ITEM, "1.23E+11", "may-be-damaged"),
        (TEXT, 1234567890123456, "may-be-damaged"), (TEXT, Decimal("0.1234567890123456"), "may-be-damaged"),
        (TEXT, date(2025, 1, 1), "not-text"), (TEXT, True, "not-text"), (TEXT, time(9), "not-text"),
        (TEXT, timedelta(1), "not-text"), (TEXT, "a\x00b", "control-character"), (TEXT, "\ud800", "control-character"),
        (AMOUNT, True, "not-a-number"), (AMOUNT, date(2025, 1, 1), "not-a-number"), (AMOUNT, time(9), "not-a-number"),
        (COUNT, timedelta(1), "not-a-number"),
        (ACTIVE, 1, "not-true-or-false"), (ACTIVE, "yes", "not-true-or-false"),
        (DAY, datetime.combine(date(2025, 4, 3), time(9)), "has-time-of-day"), (DAY, 45000, "not-a-date"),
        (DAY, True, "not-a-date"),
        (DAY, time(9), "not-a-date"), (DAY, Decimal("45000.5"), "not-a-date"),
        (KIND, "Smal", "not-one-of-the-values"), (KIND, 1, "not-one-of-the-values"),
        (TENANT, "caf\u00e9", "not-for-a-header"), (TENANT, " acme", "not-for-a-header"),
        (TENANT, "a\r\nb", "not-for-a-header"), (TENANT, "a\x00b", "control-character"),
    ],
)  # fmt: skip
def test_what_would_be_a_loss_or_a_guess_is_refused(field: Field, cell: Cell, expected: str) -> None:
    """Each kind of field refuses what may be damaged, or is something else."""
    assert code(field, cell) == expected


def test_the_nearest_value_of_a_list_is_offered() -> None:
    """A mistyped value of a list gets the one that was probably meant, and all that are valid."""
    with pytest.raises(ValueProblem) as refused:
        read(KIND, "Smal")
    assert refused.value.remedy == "Did you mean 'Small'? Valid are: Small, Large."


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "expected"),
    [
        (Bounds(minimum=Decimal(1)), "1", "0", "too-small"),
        (Bounds(maximum=Decimal(10)), "10", "10.01", "too-large"),
        (Bounds(exclusive_minimum=Decimal(0)), "0.01", "0", "too-small"),
        (Bounds(exclusive_maximum=Decimal(10)), "9.99", "10", "too-large"),
        (Bounds(multiple_of=Decimal("0.01")), "1.25", "1.255", "not-a-multiple"),
        (Bounds(multiple_of=Decimal("0.01")), "9" * 90, "9" * 90 + ".001", "not-a-multiple"),
    ],
)
def test_numbers_stay_within_their_bounds(bounds: Bounds, good: str, bad: str, expected: str) -> None:
    """Every described limit of a number holds, exactly at its edge too."""
    field = replace(AMOUNT, bounds=bounds)
    assert read(field, good) == Decimal(good)
    assert code(field, bad) == expected
    assert read(field, "#CLEAR") is None


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "expected"),
    [
        (Bounds(max_length=3), "abc", "abcd", "too-long"),
        (Bounds(min_length=2), "ab", "a", "too-short"),
        (Bounds(pattern="^[A-Z]+$"), "AB", "Ab", "wrong-form"),
    ],
)
def test_texts_stay_within_their_bounds(bounds: Bounds, good: str, bad: str, expected: str) -> None:
    """Every described limit of a text holds."""
    field = replace(TEXT, bounds=bounds)
    assert read(field, good) == good
    assert code(field, bad) == expected


@pytest.mark.parametrize("text", [".", "..", "a\nb"])
def test_text_that_leads_elsewhere_names_no_record(text: str) -> None:
    """What cannot be one segment of a path is refused where it is read."""
    field = replace(TEXT, location=ParameterLocation.PATH)
    assert code(field, text) == "not-an-identifier"
    assert read(field, "a/b") == "a/b"


def test_a_cell_that_could_not_be_kept_is_refused_on_return() -> None:
    """In a workbook of ours the mark means that the cell does not hold its value; elsewhere it is text."""
    assert code(TEXT, "[not exact] 12") == "not-exact"
    assert read(TEXT, "not exact") == "not exact"
