"""Facts and summary -> what a person should do next; workbook, page, terminal, `--json` and the nightly job show it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from batch_updater.records import TO_FIX, Invocation, OutcomeKind, RunFacts, Stop, StopReason
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN, Summary
from batch_updater.text.printable import command_line

THIS_WORKBOOK = "THIS-WORKBOOK"
"""The results workbook in a command: only its reader knows what it is called by then."""
_PROGRAM = "batch-updater"
_CORRECT_FIRST = frozenset({StopReason.CREDENTIALS, StopReason.ALL_ALIKE})
"""Stop reasons that running again does not remove."""


class NextKind(StrEnum):
    """What the next step is about."""

    NOTHING = "nothing"
    RUN = "run"
    """Everything that was checked is good."""
    CORRECT = "correct"
    """Correct the file. The command checks it again, or sends it as it is where only a guard is exceeded."""
    CHECK = "check"
    """Check again: not every record could be read."""
    RESUME = "resume"
    REPAIR = "repair"
    """Repair the rows on the sheet To fix."""
    REPORT = "report"
    """Write the reports of a finished run again."""


class NextStep(msgspec.Struct, frozen=True):
    """What to do next."""

    kind: NextKind
    text: str
    """Sentences; the last one ends with a colon if there is a command."""
    command: tuple[str, ...] | None = None
    """Words to type, the program first; THIS_WORKBOOK in place of the results workbook's name."""

    def with_workbook(self, workbook: str) -> NextStep:
        """Return the step with the name or path of the results workbook in its command."""
        words = self.command and tuple(workbook if word == THIS_WORKBOOK else word for word in self.command)
        return replace(self, command=words)

    def with_fix(self, workbook: str) -> NextStep:
        """Return the step with `--fix` in place of the results workbook's path, which a person need not copy then."""
        words = self.command and tuple("--fix" if word == workbook else word for word in self.command)
        return replace(self, command=words)

    @property
    def is_about_workbook(self) -> bool:
        """Whether it begins with a look at the workbook."""
        return self.kind in {NextKind.REPAIR, NextKind.CORRECT}

    @property
    def in_full(self) -> str:
        """Text and command on one line."""
        return f"{self.text} {command_line(self.command)}" if self.command else self.text


NOTHING_LEFT = NextStep(NextKind.NOTHING, "There is nothing left to do.")
_NO_ROWS = NextStep(NextKind.NOTHING, "If rows are missing, put them below the headers, save the file and start again.")


def next_step(
    facts: RunFacts,
    summary: Summary,
    invocation: Invocation | None,
    *,
    is_written: bool = True,
    is_folder_gone: bool = False,
    has_file: str = "",
) -> NextStep:
    """Return what to do next.

    `invocation` is the command line as the reader has to type it; None: a program started it.
    `is_written`: whether the reports of a run could be written. `is_folder_gone`: whether its folder has been removed.
    `has_file`: the machine that has the file, in words; '' for this one.
    """
    nothing_left = NOTHING_LEFT if summary.rows or facts.sheet == TO_FIX or facts.expected is not None else _NO_ROWS
    if facts.command == "check":
        return (
            _after_check(facts, summary, invocation) if summary.rows > summary[OutcomeKind.UNCHANGED] else nothing_left
        )
    if not facts.is_closed and (is_resumable(summary, facts.stop) or not is_written):
        return _resume(facts, summary, invocation, is_folder_gone=is_folder_gone, has_file=has_file)
    # What a run that was closed has not done is sent by its workbook alone.
    if not summary.total(NEEDS_PERSON | RUN_AGAIN if facts.is_closed else NEEDS_PERSON):
        return nothing_left
    repair = _repair(summary)
    repair = f"{repair[0].upper()}{repair[1:]}"
    if facts.inbox:
        text = f"{repair} and put it into the inbox, {facts.inbox}: the next night sends just those rows."
        return NextStep(NextKind.REPAIR, text)
    if invocation is None:
        return NextStep(NextKind.REPAIR, f"{repair} and run it as the file was run: it sends just those rows.")
    command = (_PROGRAM, *invocation.repaired(THIS_WORKBOOK))
    return NextStep(NextKind.REPAIR, f"{repair} and run it, which sends just those rows:", command)


def is_resumable(summary: Summary, stop: Stop | None) -> bool:
    """Whether running the same again gets more rows done.

    It does not if the rows left only wait for rows that need a person, or if the run ended because rows were refused.
    """
    again, not_sent = summary.total(RUN_AGAIN), summary[OutcomeKind.NOT_SENT]
    waits = (stop is None or stop.reason is StopReason.WAITING) and summary.total(NEEDS_PERSON)
    was_refused = stop is not None and stop.reason is StopReason.FAILURES
    return bool(again and not (again == not_sent and (waits or was_refused)))


def _after_check(facts: RunFacts, summary: Summary, invocation: Invocation | None) -> NextStep:
    source = PurePath(facts.input_path).name
    command = (_PROGRAM, *(invocation.again if invocation else ("run", source)))
    if is_resumable(summary, facts.stop):
        correct = f"Correct these cells in {source}, and c" if summary.total(NEEDS_PERSON) else "C"
        return NextStep(NextKind.CHECK, f"{correct}heck again when every record can be read.")
    if summary.total(NEEDS_PERSON):
        guard = "As the file is, a guard is exceeded (see the notes). " if facts.is_over_guard else ""
        again = (_PROGRAM, "check", *command[2:])
        return NextStep(NextKind.CORRECT, f"{guard}Correct these cells in {source}, then check it again:", again)
    if facts.is_over_guard:
        text = "A guard is exceeded (see the notes): correct the file. If it is right as it is, send it:"
        return NextStep(NextKind.CORRECT, text, (*command, "--override-guards"))
    return NextStep(NextKind.RUN, "Send them:", command)


def _resume(
    facts: RunFacts, summary: Summary, invocation: Invocation | None, *, is_folder_gone: bool, has_file: str
) -> NextStep:
    sends = "rows that are not done" if summary.total(RUN_AGAIN) else ""
    if facts.inbox:
        continues = f"continues with the {sends}" if sends else "writes the results workbook"
        text = f"The next night {continues}, as long as the file is in the inbox."
        if sends:
            text += f" If it was moved away: {_repair(summary)} and put it into the inbox, {facts.inbox}."
        return NextStep(NextKind.RESUME, text)
    what = f"send the {sends}" if sends else "write the results workbook"
    if invocation is None:
        return NextStep(NextKind.RESUME, f"Run it again in the way it was started, to {what}.")
    first = "First correct what stopped the run. " if facts.stop and facts.stop.reason in _CORRECT_FIRST else ""
    where = f", on {has_file}, or here with a copy of it" if has_file else ""
    again = f"{first}Run the same command again to {what}{where}:"
    if is_folder_gone:
        again = "The folder of the run has been removed, so the same command starts again with the first row:"
    return NextStep(NextKind.RESUME, again, (_PROGRAM, *invocation.again))


def _repair(summary: Summary) -> str:
    what, how = "rows", ' as its column "What to do" says'
    if any(cause.example_cell for cause in summary.causes):
        what, how = "coloured cells", ""
    return f'repair the {what} on the sheet "To fix" of the results workbook{how}, save it,'
