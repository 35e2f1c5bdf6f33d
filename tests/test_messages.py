"""messages.py: what is wrong with a row is told once, and each advice names its cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.messages import outcome_message, what_is_wrong, what_to_do
from batch_updater.records import Columns, Outcome, OutcomeKind, Problem

COLUMNS = Columns(("Id", "StageName", "Amount"), 0, {"StageName": 1, "Amount": 2}, ())
STAGE = Problem(2, "StageName", "name-not-accepted", "ed", "'ed' is not a stage.", "Did you mean 'Ed'?")
AMOUNT = Problem(2, "Amount", "not-a-number", "5 kg", "'5 kg' is not a number.", "Type the digits alone.")
ADVICE = "Correct what the message names."


def rejected(message: str, *problems: Problem) -> Outcome:
    return Outcome(2, OutcomeKind.REJECTED, message, ADVICE, "400", problems)


def test_a_name_in_the_message_is_not_told_again() -> None:
    """Its remedy is the advice; a name that only occurs within other words has not been told."""
    told = rejected("The API refused it: stage 'ed' not found.", STAGE)
    assert what_is_wrong(told, COLUMNS) == "The API refused it: stage 'ed' not found."
    assert what_to_do(told, COLUMNS) == "StageName (B2): Did you mean 'Ed'?"
    other = rejected("The API refused it.", STAGE)
    assert what_is_wrong(other, COLUMNS) == "The API refused it.\nStageName (B2): 'ed' is not a stage."
    assert what_to_do(other, COLUMNS) == f"{ADVICE}\nStageName (B2): Did you mean 'Ed'?"


@pytest.mark.parametrize(
    ("message", "is_told"),
    [
        ("Stage 'New' not found.", True), ('"New" is no stage.', True), ("Stage \u201cNew\u201d not found.", True),
        ("StageName: New not found.", True), ("Category 'New Businesz' not found.", False),
        ("Category New Businesz not found.", False), ("'Brand New' is no category.", False),
        ("No New was made.", False), ("CategoryName 'New Businesz', StageName 'Neww'", False),
    ],
)  # fmt: skip
def test_a_value_within_another_one_is_not_told(message: str, is_told: bool) -> None:
    """It is where it is quoted as a whole, or where the message names its field."""
    new = replace(STAGE, value="New", reason="'New' is not a stage.")
    assert what_is_wrong(rejected(message, new), COLUMNS).count("\n") == (not is_told)


def test_on_one_line_advice_begins_a_sentence() -> None:
    """Whether or not what the API said ended with a full stop."""
    assert (
        outcome_message(rejected("It refused it: RecordInvalid"), COLUMNS) == f"It refused it: RecordInvalid. {ADVICE}"
    )
    assert outcome_message(rejected("It refused it."), COLUMNS) == f"It refused it. {ADVICE}"


def test_one_cell_needs_no_name_in_its_advice() -> None:
    """Several do, and one remedy of several cells is told once."""
    one, two = (Outcome(2, OutcomeKind.INVALID, problems=problems) for problems in ((STAGE,), (STAGE, AMOUNT)))
    assert what_to_do(one, COLUMNS) == "Did you mean 'Ed'?"
    assert what_to_do(two, COLUMNS).splitlines() == [
        "StageName (B2): Did you mean 'Ed'?", "Amount (C2): Type the digits alone.",
    ]  # fmt: skip
    same = Outcome(2, OutcomeKind.INVALID, problems=(AMOUNT, replace(AMOUNT, field="StageName")))
    assert what_to_do(same, COLUMNS) == "Type the digits alone."


@given(
    st.sampled_from(["", "'ed' is not a stage.", "5 kg", "Refused."]),
    st.lists(st.sampled_from([STAGE, AMOUNT, Problem(2, None, "x", "", "Odd.", "")]), max_size=3),
)
def test_no_row_is_without_words(message: str, problems: list[Problem]) -> None:
    """Whatever is wrong with a row, there is something to do about it, and no blank line."""
    outcome = rejected(message, *problems)
    lines = what_to_do(outcome, COLUMNS).splitlines()
    assert lines
    assert all(lines)
