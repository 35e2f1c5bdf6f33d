"""stakes.py: what many changes come to."""

from __future__ import annotations

from decimal import Decimal

from batch_updater.model import FieldChange, Outcome, OutcomeKind, ReportRow, Row, Unknown
from batch_updater.stakes import Stakes, stakes_in_words


def stakes(*rows: tuple[FieldChange, ...]) -> Stakes:
    found = Stakes()
    for number, changes in enumerate(rows, 2):
        outcome = Outcome(number, OutcomeKind.PLANNED if changes else OutcomeKind.UNCHANGED)
        found.add(ReportRow(Row(number, ()), outcome, "id=1", changes))
    return found


def money(now: object, new: str) -> tuple[FieldChange, ...]:
    return (FieldChange("amount", now, Decimal(new)),)


def test_every_figure_is_counted() -> None:
    """Records, fields, cleared and unknown ones, totals with exact digits, and the largest changes first."""
    found = stakes(
        money(Decimal("0.10"), "0.30"), money(None, "5"), money(100, "10"), (FieldChange("name", "a", None),),
        (FieldChange("stage", Unknown("3"), "Won"),), (),
    )  # fmt: skip
    assert (found.records, found.unchanged) == (5, 1)
    assert (found.fields["amount"], found.cleared["name"], found.unknown["stage"]) == (3, 1, 1)
    assert (found.totals["amount"].now, found.totals["amount"].new) == (Decimal("100.10"), Decimal("15.30"))
    assert [jump.row for jump in found.largest_jumps()] == [4, 3, 2]
    assert stakes_in_words(found)[0] == "5 records change."
    assert "Total of amount in these records: 100.10 before, 15.30 after (-84.7%)." in stakes_in_words(found)


def test_the_widest_factor_is_found_wherever_it_is() -> None:
    """A factor counts in both directions; from 0 and to 0 there is none, and over 0 it has no bound."""
    found = stakes(money(1, "2"), money(1000, "1"), money(0, "9"), money(9, "0"), money("5", "6"))
    assert found.widest is not None
    assert (found.widest.row, str(found.widest.factor)) == (3, "1000")
    over_zero = stakes(money(1000, "1"), money(-1, "9")).widest
    assert over_zero is not None
    assert (over_zero.row, str(over_zero.factor)) == (3, "Infinity")


def test_an_emptied_number_and_whole_numbers_count_in_the_totals() -> None:
    """What is taken out of a column by clearing its cells is a change of its total as any other."""
    emptied = stakes((FieldChange("amount", Decimal(90), None),), money(10, "10.5"), (FieldChange("name", "7", None),))
    assert list(emptied.totals) == ["amount"]
    assert (emptied.totals["amount"].now, emptied.totals["amount"].new) == (Decimal(100), Decimal("10.5"))
    assert emptied.largest_jumps()[0].size == 90
    assert emptied.cleared == {"amount": 1, "name": 1}
    whole = stakes((FieldChange("count", 2, 10),), (FieldChange("flag", False, True),))
    assert whole.totals.keys() == {"count"}
    assert whole.widest is not None
    assert whole.widest.factor == 5


def test_five_jumps_are_kept_of_many() -> None:
    """The largest five stay, however many there are."""
    found = stakes(*(money(0, str(size)) for size in (3, 9, 1, 8, 2, 7, 6, 5, 4)))
    assert [jump.size for jump in found.largest_jumps()] == [9, 8, 7, 6, 5]
