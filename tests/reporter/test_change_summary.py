"""reporter/change_summary.py: the figures of many changes."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind
from batch_updater.records import Columns, FieldChange, Outcome, OutcomeKind, ReportRow, Row, Unknown
from batch_updater.reporter.change_summary import ChangeSummary
from tests.reporter.made import COLUMNS, ENDPOINT


def change_summary(*rows: tuple[FieldChange, ...]) -> ChangeSummary:
    found = ChangeSummary(frozenset({"amount", "count"}))
    for number, changes in enumerate(rows, 2):
        outcome = Outcome(number, OutcomeKind.PLANNED if changes else OutcomeKind.UNCHANGED)
        found.add(ReportRow(Row(number, ()), outcome, "id=1", changes))
    return found


def words(found: ChangeSummary) -> list[str]:
    return list(found.in_words())


def money(now: object, new: str) -> tuple[FieldChange, ...]:
    return (FieldChange("amount", now, Decimal(new)),)


def test_every_figure_is_counted() -> None:
    """Records, fields, cleared and unknown ones, totals with exact digits, and the largest changes first."""
    found = change_summary(
        money(Decimal("0.10"), "0.30"), money(None, "5"), money(100, "10"), (FieldChange("name", "a", None),),
        (FieldChange("stage", Unknown("3"), "Won"),), (),
    )  # fmt: skip
    assert (found.records, found.unchanged) == (5, 1)
    assert (found.fields["amount"], found.cleared["name"], found.unknown["stage"]) == (3, 1, 1)
    assert (found.totals["amount"].now, found.totals["amount"].new) == (Decimal("100.10"), Decimal("15.30"))
    assert [change.row for change in found.largest_changes()] == [4, 3, 2]
    assert words(found)[0] == "4 records change, up to 5; only names could not be compared."
    assert "Total of amount in these records: 100.10 before, 15.30 after (-84.7%)." in words(found)


def test_numbers_that_identify_something_have_no_total() -> None:
    """Nor a factor: another assignee is no larger one."""
    revenue = ENDPOINT.field("SalesRevenue")
    assignee = replace(revenue, name="assignee_id", kind=Kind.INTEGER, is_identifier=True)
    count = replace(assignee, name="count", is_identifier=False)
    endpoint = replace(ENDPOINT, fields=(revenue, assignee, count))
    assert ChangeSummary.of(endpoint, COLUMNS).numbers == {"SalesRevenue", "count"}


def test_a_list_or_object_that_is_emptied_counts_as_cleared() -> None:
    """As null does; another list does not, nor does a list where only null empties the field."""
    found = ChangeSummary(containers=frozenset({"tags"}))
    for number, (name, new) in enumerate([("tags", []), ("tags", ["vip"]), ("tags", {}), ("lines", [])], 2):
        changes = (FieldChange(name, ["eu"], new),)
        found.add(ReportRow(Row(number, ()), Outcome(number, OutcomeKind.PLANNED), "id=1", changes))
    assert found.cleared == {"tags": 2, "lines": 0}


@pytest.mark.parametrize(
    ("now", "new", "share"),
    [
        (230_500, "1", "-99.99%"), (230_500, "0", "-100.0%"), (100, "15.3", "-84.7%"),
        (100_000, "100001", "+0.01%"), (100_000, "200010", "+100.01%"), (100, "200", "+100.0%"),
        (100_000, "-10", "-100.01%"), (1, "12345", "+1,234,400.0%"),
    ],
)  # fmt: skip
def test_a_sum_falls_by_all_of_it_only_where_nothing_is_left(now: int, new: str, share: str) -> None:
    """A percentage is rounded to one digit, but not to 0 or 100, which say something else."""
    (total,) = (line for line in words(change_summary(money(now, new))) if line.startswith("Total of amount"))
    assert total.endswith(f" after ({share}).")


def test_the_widest_factor_is_found_wherever_it_is() -> None:
    """A factor counts in both directions; from 0 and for an emptied field there is none, to 0 and over 0 no bound."""
    emptied = (FieldChange("amount", 9, None),)
    found = change_summary(money(1, "2"), money(1000, "1"), money(0, "9"), emptied, money("5", "6"))
    assert [(change.row, str(change.factor)) for change in found.widest_changes(Decimal(2))] == [(3, "1000")]
    assert [change.row for change in found.widest_changes(Decimal(1))] == [3, 2, 6]
    assert [str(change.factor) for change in change_summary(money(9, "0")).widest_changes(Decimal(1))] == ["Infinity"]
    over_zero = change_summary(money(1000, "1"), money(-1, "9")).widest_changes(Decimal(1))
    assert [(change.row, str(change.factor)) for change in over_zero] == [(3, "Infinity"), (2, "1000")]


def test_an_emptied_number_and_whole_numbers_count_in_the_totals() -> None:
    """What is taken out of a column by clearing its cells is a change of its total as any other."""
    emptied = change_summary(
        (FieldChange("amount", Decimal(90), None),), money(10, "10.5"), (FieldChange("name", "7", None),)
    )
    assert list(emptied.totals) == ["amount"]
    assert (emptied.totals["amount"].now, emptied.totals["amount"].new) == (Decimal(100), Decimal("10.5"))
    assert emptied.largest_changes()[0].size == 90
    assert emptied.cleared == {"amount": 1, "name": 1}
    whole = change_summary((FieldChange("count", 2, 10),), (FieldChange("flag", False, True),))
    assert whole.totals.keys() == {"count"}
    assert [change.factor for change in whole.widest_changes(Decimal(1))] == [5]


def test_a_number_is_what_the_description_says() -> None:
    """An amount that the API reports as text counts, and a text that it reports as a number does not."""
    found = change_summary(money("90.00", "1"), (FieldChange("amount", "5", None),), (FieldChange("crm", 77, None),))
    assert list(found.totals) == ["amount"]
    assert (found.totals["amount"].now, found.totals["amount"].new) == (Decimal("95.00"), Decimal(1))
    of_file = ChangeSummary.of(ENDPOINT, COLUMNS)
    assert of_file.numbers == {"AcctPotential", "SalesRevenue"}


def test_the_largest_changes_of_a_small_field_are_kept_beside_those_of_a_large_one() -> None:
    """A guard on a column's total names rows of that column, and not of another one."""
    large = [money(0, str(10**9 + size)) for size in range(9)]
    found = change_summary(*large, (FieldChange("count", 1, Decimal(3)),))
    assert [change.row for change in found.largest_changes("count")] == [11]
    assert {change.field for change in found.largest_changes()} == {"amount"}


def test_rows_of_one_record_are_one_change_from_the_first_value_to_the_last() -> None:
    """100 -> 200 -> 300 is one record from 100 to 300; 5 -> 6 -> 5 is none."""
    found = ChangeSummary(frozenset({"amount"}))
    steps = [("a", 100, "200"), ("b", 5, "6"), ("a", 200, "300"), ("b", 6, "5"), ("c", 1, "2")]
    for number, (target, now, new) in enumerate(steps, 2):
        outcome = Outcome(number, OutcomeKind.UPDATED)
        found.add(ReportRow(Row(number, ()), outcome, target, money(now, new), is_repeated=target != "c"))
    found.settle()
    assert (found.records, found.fields) == (2, {"amount": 2})
    assert (found.totals["amount"].now, found.totals["amount"].new) == (Decimal(101), Decimal(302))
    assert [(change.row, change.size) for change in found.largest_changes()] == [(4, Decimal(200)), (6, Decimal(1))]


def test_five_changes_are_kept_of_many() -> None:
    """The largest five stay, however many there are."""
    found = change_summary(*(money(0, str(size)) for size in (3, 9, 1, 8, 2, 7, 6, 5, 4)))
    assert [change.size for change in found.largest_changes()] == [9, 8, 7, 6, 5]


@pytest.mark.parametrize("odd", ["1e999999999", "1e-999999999", "NaN", "7" * 100_000, "many", True, [1], {"a": 1}])
def test_what_cannot_be_compared_is_said_and_not_added_up(odd: object) -> None:
    """A value that is no number, or one beyond all bounds, leaves the totals as they are, and is told as left out."""
    found = change_summary(money(odd, "5"), money(1, "2"), money(odd, "6"))
    assert (found.totals["amount"].now, found.totals["amount"].new) == (Decimal(1), Decimal(2))
    assert [change.row for change in found.largest_changes()] == [3]
    left_out = "amount: in 2 records it is no number that can be compared, and is not in the total."
    assert left_out in words(found)
    assert not any("no number" in line for line in words(change_summary(money(1, "2"))))


def test_totals_of_numbers_of_any_size_are_exact_and_readable() -> None:
    """The largest and the smallest numbers that count are added up to the last digit, and said in a few characters."""
    largest, smallest = "1e400", "1e-400"
    found = change_summary(
        money(Decimal(largest), "0.01"), money(Decimal(smallest), largest), money(smallest, "-" + largest)
    )
    assert found.totals["amount"].now == Context(prec=900).create_decimal(f"1{'0' * 400}.{'0' * 399}2")
    assert found.totals["amount"].new == Decimal("0.01")
    assert max(map(len, words(found))) < 120
    assert "Total of amount in these records: 1.00000e+400 before, 0.01 after (-100.0%)." in words(found)
    assert "-" not in words(change_summary(money("-0.00", "0")))[-1]
    huge = words(change_summary(money(1, largest)))
    assert "Total of amount in these records: 1 before, 1.00000e+400 after (+1.00000e+402%)." in huge


def test_what_is_not_known_is_no_certain_change() -> None:
    """Certain changes are counted first, then how many there may be, and why it is not known."""
    unknown = FieldChange("stage", Unknown("3"), "Won")
    assert words(change_summary((unknown,), (unknown,))) == [
        "No record changes for certain, up to 2; only names could not be compared.", "stage: up to 2 records.",
    ]  # fmt: skip
    mixed = change_summary((unknown, *money(1, "2")), (unknown,), (FieldChange("stage", "Lost", "Won"),))
    assert (mixed.records, mixed.uncertain) == (3, 1)
    assert words(mixed)[:2] == [
        "2 records change, up to 3; only names could not be compared.", "stage: 1 certain, up to 3 records.",
    ]  # fmt: skip
    not_reported = change_summary((FieldChange("note", Unknown(""), "x"),), money(1, "2"))
    assert words(not_reported)[0] == "1 record changes, up to 2; the others could not be compared."


@pytest.mark.parametrize("crowd", [("1000000", "1900000"), ("1000000", "0"), ("1000000", "-1000000")])
def test_a_fall_to_almost_nothing_is_shown_however_small_it_is(crowd: tuple[str, str]) -> None:
    """Among changes that are far larger, to 0 or over 0 included, the one by 99.99% has its line with its share."""
    found = change_summary(*[money(Decimal(crowd[0]), crowd[1])] * 20, money(Decimal(10_000), "1"), money(3, "4"))
    assert "Row 22: amount from 10,000 to 1 (-99.99%)." in words(found)


def test_numbers_that_change_by_a_wide_factor_are_counted_where_they_are_too_many_to_be_shown() -> None:
    """Of 30 only some have a line, and the rest is counted."""
    found = change_summary(*(money(Decimal(10_000 + number), "1") for number in range(30)), money(100, "101"))
    told = [line for line in words(found) if line.startswith("Row")]
    assert words(found)[-1] == f"{30 - len(told):,} more numbers change by a factor of 100 or more."


def test_a_share_is_never_rounded_to_more_than_it_is() -> None:
    """A fall by 99.9999% is not told as one by 100%."""
    assert "(-99.99%)" in words(change_summary(money(1_000_000, "1")))[-1]


def test_fields_are_called_by_the_headers_of_the_file() -> None:
    """As everywhere else: the header first, and the field behind it where it is called otherwise."""
    columns = Columns(("Deal", "Worth"), 0, {"OpportunityId": 0, "SalesRevenue": 1}, ())
    summary = ChangeSummary.of(ENDPOINT, columns)
    record = Row(2, (1, 5))
    change = FieldChange("SalesRevenue", "5.00", Decimal(50))
    summary.add(ReportRow(record, Outcome(2, OutcomeKind.PLANNED), "OpportunityId=1", (change,)))
    summary.settle()
    assert list(summary.in_words()) == [
        "1 record changes.",
        "Worth (SalesRevenue): 1 record.",
        "Total of Worth (SalesRevenue) in these records: 5.00 before, 50 after (+900.0%).",
        "Row 2: Worth (SalesRevenue) from 5.00 to 50 (+900.00%).",
    ]


def test_members_without_a_type_count_as_numbers_where_they_are_numbers() -> None:
    """A text in such a column is no number that could not be compared."""
    found = ChangeSummary(any_kind=frozenset({"size"}))
    for row, (now, new) in enumerate([(1, 3), ("2", 4), ("large", "small"), ("large", 5)], 2):
        outcome = Outcome(row, OutcomeKind.PLANNED)
        found.add(ReportRow(Row(row, ()), outcome, f"id={row}", (FieldChange("size", now, new),)))
    assert (found.totals["size"].now, found.totals["size"].new) == (Decimal(3), Decimal(7))
    assert found.no_numbers == {"size": 1}


def test_a_list_that_is_sent_empty_counts_as_emptied() -> None:
    """As a field that is cleared does; a text that looks so does not."""
    found = ChangeSummary(containers=frozenset({"tags"}))
    changes = (FieldChange("tags", ["a"], []), FieldChange("name", "a", "[]"))
    found.add(ReportRow(Row(2, ()), Outcome(2, OutcomeKind.PLANNED), "id=1", changes))
    assert +found.cleared == {"tags": 1}
