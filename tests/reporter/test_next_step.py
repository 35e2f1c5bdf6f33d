"""reporter/next_step.py: one decision, which every report renders."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from batch_updater.records import Invocation, Outcome, OutcomeKind, Problem, Stop, StopReason
from batch_updater.reporter.next_step import THIS_WORKBOOK, NextKind, NextStep, next_step
from batch_updater.reporter.summary import Summary, Tally
from tests.reporter.made import COLUMNS, facts

TYPED = Invocation("in.csv", "c.yaml", None, (("LanguageId", "1"),), compare=True)
RUN = ("batch-updater", "run", "in.csv", "--config", "c.yaml", "--set", "LanguageId=1", "--compare")
CHECK = ("batch-updater", "check", *RUN[2:])
REPAIRED = ("batch-updater", "run", THIS_WORKBOOK, "--config", "c.yaml", "--set", "LanguageId=1")
U, S, P, I, R, F, N = (  # noqa: E741
    OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.PLANNED, OutcomeKind.INVALID, OutcomeKind.REJECTED,
    OutcomeKind.FAILED, OutcomeKind.NOT_SENT,
)  # fmt: skip


def stop(reason: StopReason) -> Stop:
    return Stop(reason, "It ended.", "Do this.")


def summary(kinds: list[OutcomeKind], *, of_check: bool = False) -> Summary:
    tally = Tally(COLUMNS, of_check=of_check)
    for number, kind in enumerate(kinds, 2):
        problem = Problem(number, "StageName", "x", "v", "It is wrong.", "Correct it.")
        tally.add(Outcome(number, kind, problems=(problem,) if kind is I else ()))
    return tally.summary()


def after_run(kinds: list[OutcomeKind], reason: StopReason | None = None, **options: Any) -> NextStep:
    invocation, inbox = options.pop("invocation", TYPED), options.pop("inbox", None)
    told = replace(facts(stop=stop(reason) if reason else None), inbox=inbox)
    return next_step(told, summary(kinds), invocation, **options)


@pytest.mark.parametrize(
    ("kinds", "reason", "kind", "command"),
    [
        ([], None, NextKind.NOTHING, None),
        ([U, S], None, NextKind.NOTHING, None),
        ([U, S], StopReason.INTERRUPTED, NextKind.NOTHING, None),
        ([U, I], None, NextKind.REPAIR, REPAIRED),
        ([U, R], None, NextKind.REPAIR, REPAIRED),
        ([U, F], None, NextKind.RESUME, RUN),
        # One step only: the workbook of this part would send again what the next part will have done.
        ([U, I, F], None, NextKind.RESUME, RUN),
        ([U, I, N], StopReason.LIMIT, NextKind.RESUME, RUN),
        ([N], StopReason.CREDENTIALS, NextKind.RESUME, RUN),
        # Rows that wait for one that needs a person wait in the next run, too.
        ([R, N], None, NextKind.REPAIR, REPAIRED),
        ([R, N], StopReason.WAITING, NextKind.REPAIR, REPAIRED),
        # The same rows would be refused again.
        ([R, R, N], StopReason.FAILURES, NextKind.REPAIR, REPAIRED),
        ([R, F, N], StopReason.FAILURES, NextKind.RESUME, RUN),
    ],
)
def test_after_a_run_the_same_again_comes_before_repairing(
    kinds: list[OutcomeKind], reason: StopReason | None, kind: NextKind, command: tuple[str, ...] | None
) -> None:
    """Rows that another run can settle come first; rows for a person then; after that there is nothing to do."""
    step = after_run(kinds, reason)
    assert (step.kind, step.command) == (kind, command)
    assert step.text.endswith(":" if command else ".")


def test_what_stopped_a_run_is_to_be_corrected_first() -> None:
    """With a wrong token, or where every row was refused in the same way, running again alone does not help."""
    assert after_run([N], StopReason.CREDENTIALS).text.startswith("First correct what stopped the run. Run the same")
    assert after_run([R, N], StopReason.ALL_ALIKE).text.startswith("First correct what stopped the run.")
    assert after_run([N], StopReason.QUOTA).text.startswith("Run the same command again to send the rows that are not")


def test_reports_that_could_not_be_written_ask_for_the_same_command() -> None:
    """Also where every row is done; a folder that has been removed is reported as gone."""
    missing = after_run([U, I], is_written=False)
    assert (missing.kind, missing.command) == (NextKind.RESUME, RUN)
    assert missing.text == "Run the same command again to write the results workbook:"
    assert "starts again with the first row" in after_run([U], is_written=False, is_folder_gone=True).text


@pytest.mark.parametrize("kinds", [[U, I], [U, F], [U, I, F]])
def test_a_run_that_a_program_started_has_no_command(kinds: list[OutcomeKind]) -> None:
    """By night it is the inbox; how a library started its run is not known."""
    by_night, library = after_run(kinds, invocation=None, inbox="/srv/in"), after_run(kinds, invocation=None)
    assert by_night.command is library.command is None
    assert by_night.kind is library.kind is after_run(kinds).kind
    assert "/srv/in" in by_night.text or "in the inbox" in by_night.text


@pytest.mark.parametrize(
    ("kinds", "over_guard", "kind", "command"),
    [
        ([P, P], False, NextKind.RUN, RUN),
        ([P, S], False, NextKind.RUN, RUN),
        ([S, S], False, NextKind.NOTHING, None),
        ([P, P], True, NextKind.CORRECT, (*RUN, "--override-guards")),
        ([P, I], False, NextKind.CORRECT, CHECK),
        ([P, I], True, NextKind.CORRECT, CHECK),
        ([I, I], False, NextKind.CORRECT, CHECK),
        ([P, F], False, NextKind.CHECK, None),
        ([P, I, F], False, NextKind.CHECK, None),
    ],
)
def test_after_a_check_the_file_is_sent_or_corrected(
    kinds: list[OutcomeKind], *, over_guard: bool, kind: NextKind, command: tuple[str, ...] | None
) -> None:
    """There is one way: send it, or correct and check again; a command that overrides a guard says so."""
    told = replace(facts("check"), is_over_guard=over_guard)
    step = next_step(told, summary(kinds, of_check=True), TYPED)
    assert (step.kind, step.command) == (kind, command)
    assert step.text.endswith(":" if command else ".") or over_guard


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_file_without_rows_is_to_be_filled_in(command: str) -> None:
    """But not a workbook of ours: everything on its sheet has been done, or there is nothing to undo."""
    told = facts(command)
    assert "put them below the headers" in next_step(told, summary([]), TYPED).text
    for ours in (replace(told, sheet="To fix"), replace(told, expected={})):
        assert next_step(ours, summary([]), TYPED).text == "There is nothing left to do."


def test_the_workbook_gets_its_name_where_it_is_known() -> None:
    """On its own Summary sheet it is THIS-WORKBOOK: its reader may have renamed it."""
    step = after_run([U, I])
    assert step.in_full.endswith("batch-updater run THIS-WORKBOOK --config c.yaml --set LanguageId=1")
    named = step.with_workbook("a b.xlsx")
    assert named.in_full.endswith("batch-updater run 'a b.xlsx' --config c.yaml --set LanguageId=1")
    assert after_run([U, F]).with_workbook("x").command == RUN
