"""summary.py: counts, causes and verdict."""

from __future__ import annotations

import pytest

from batch_updater.errors import ExitCode
from batch_updater.records import Columns, Outcome, OutcomeKind, Problem
from batch_updater.reporter.summary import Tally

COLUMNS = Columns(headers=("Id", "Size"), first_column=0, of_field={"id": 0, "size": 1}, not_sent=())


def tally(*counts: tuple[OutcomeKind, int]) -> Tally:
    made = Tally(COLUMNS, of_check=any(kind is OutcomeKind.PLANNED for kind, _ in counts))
    for kind, count in counts:
        for row in range(count):
            made.add(Outcome(row + 2, kind))
    return made


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        ([], ExitCode.OK),
        ([(OutcomeKind.UPDATED, 3)], ExitCode.OK),
        ([(OutcomeKind.UPDATED, 3), (OutcomeKind.UNCHANGED, 1), (OutcomeKind.PLANNED, 1)], ExitCode.OK),
        ([(OutcomeKind.UPDATED, 3), (OutcomeKind.INVALID, 1)], ExitCode.NEEDS_PERSON),
        ([(OutcomeKind.UPDATED, 3), (OutcomeKind.REJECTED, 1)], ExitCode.NEEDS_PERSON),
        ([(OutcomeKind.DIFFERS, 1)], ExitCode.NEEDS_PERSON),
        ([(OutcomeKind.FAILED, 1), (OutcomeKind.INVALID, 5)], ExitCode.RUN_AGAIN),
        ([(OutcomeKind.UNCONFIRMED, 1)], ExitCode.RUN_AGAIN),
        ([(OutcomeKind.NOT_SENT, 1)], ExitCode.RUN_AGAIN),
    ],
)
def test_exit_code_is_that_of_the_gravest_outcome(counts: list[tuple[OutcomeKind, int]], code: ExitCode) -> None:
    """Run again (3) goes before needs a person (1) before fine (0)."""
    assert tally(*counts).summary().exit_code == code


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ([], "There was nothing to do: the file has no data rows."),
        ([(OutcomeKind.UPDATED, 1)], "The row was updated."),
        ([(OutcomeKind.UPDATED, 2000)], "All 2,000 rows were updated."),
        (
            [(OutcomeKind.UPDATED, 1873), (OutcomeKind.INVALID, 100), (OutcomeKind.REJECTED, 27)],
            "1,873 of 2,000 rows were updated. 127 need you.",
        ),
        (
            [(OutcomeKind.UPDATED, 1), (OutcomeKind.INVALID, 1), (OutcomeKind.FAILED, 1)],
            "1 of 3 rows was updated. 1 needs you. 1 is not done.",
        ),
        ([(OutcomeKind.REJECTED, 2)], "None of the 2 rows was updated. 2 need you."),
        ([(OutcomeKind.REJECTED, 1)], "The row was not updated. 1 needs you."),
        ([(OutcomeKind.PLANNED, 4)], "All 4 rows are good."),
        ([(OutcomeKind.PLANNED, 4), (OutcomeKind.INVALID, 2)], "4 of 6 rows are good. 2 need you."),
        ([(OutcomeKind.PLANNED, 1), (OutcomeKind.INVALID, 1)], "1 of 2 rows is good. 1 needs you."),
        ([(OutcomeKind.INVALID, 2)], "None of the 2 rows can be sent."),
    ],
)
def test_verdict_says_in_plain_words_what_became_of_the_rows(
    counts: list[tuple[OutcomeKind, int]], verdict: str
) -> None:
    """The verdict names how many rows are done, how many need a person and how many another run."""
    assert tally(*counts).summary().verdict == verdict


def test_counts_hold_every_outcome_and_add_up() -> None:
    """The counts name every outcome, and their sum is the number of rows."""
    summary = tally((OutcomeKind.UPDATED, 3), (OutcomeKind.INVALID, 2)).summary()
    assert set(summary.counts) == set(OutcomeKind)
    assert sum(summary.counts.values()) == summary.rows == 5


def test_causes_are_ranked_with_an_example_cell() -> None:
    """The most common cause comes first and names the first row and cell that has it; a row counts once a cause."""
    made = Tally(COLUMNS)
    for row in (4, 5, 6):
        problem = Problem(row, "size", "not-a-number", "x", "'x' is not a number.", "Type a number.")
        made.add(Outcome(row, OutcomeKind.INVALID, problems=(problem, problem)))
    made.add(Outcome(9, OutcomeKind.REJECTED, message="No such record.", cause="404 Not Found", status=404))
    first, second = made.summary().causes
    assert (first.text, first.count, first.example_row, first.example_cell) == ("Size: not a number", 3, 4, "B4")
    assert (second.text, second.count, second.example_cell, second.example) == (
        "404 Not Found", 1, None, "No such record.",
    )  # fmt: skip
