"""The result of one check of the doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import ways_to_set
from batch_updater.config.secrets import DOCTOR_SAYS_HOW, UnsetVariableError
from batch_updater.errors import BatchUpdaterError, ExitCode
from batch_updater.text.redaction import Redaction


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's report."""

    check: str
    status: Status
    message: str
    remedy: str = ""
    """What to do about it; '' where nothing is to be done."""
    more: tuple[str, ...] = ()
    """Further lines of the message."""
    steps: tuple[str, ...] = ()
    """Further lines of the remedy, printed as they are."""

    @property
    def whole_message(self) -> str:
        """The message with its further lines."""
        return "\n".join((self.message, *self.more))

    @property
    def whole_remedy(self) -> str:
        """The remedy with its further lines."""
        return "\n".join((self.remedy, *self.steps))

    def redacted(self, redaction: Redaction) -> Finding:
        """Return the finding with the secrets in its texts redacted."""
        text = redaction.text
        return replace(self, message=text(self.message), remedy=text(self.remedy), more=tuple(map(text, self.more)))


def ok(check: str, message: str) -> Finding:
    """Return that a check found nothing wrong."""
    return Finding(check, Status.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Return something that allows sending."""
    return Finding(check, Status.WARNING, message, remedy)


def wrong(check: str, message: str, remedy: str) -> Finding:
    """Return something that has to be corrected before anything can be sent."""
    return Finding(check, Status.WRONG, message, remedy)


def from_error(check: str, error: BatchUpdaterError) -> Finding:
    """Return an error as a finding, with the error's own message and remedy, and how a variable is set."""
    remedy = error.remedy.replace(DOCTOR_SAYS_HOW, "")
    steps = ways_to_set(error.variable, error.key) if isinstance(error, UnsetVariableError) else ()
    return Finding(check, Status.WRONG, error.lines[0], remedy, error.lines[1:], steps)


def skipped(checks: Iterable[str], because_of: str) -> Iterator[Finding]:
    """Yield a finding for each check that another one's failure has made pointless."""
    for check in checks:
        yield Finding(check, Status.SKIPPED, f"not checked, because of: {because_of}")


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Return 2 if anything is wrong; warnings allow sending."""
    is_wrong = any(finding.status is Status.WRONG for finding in findings)
    return ExitCode.NOTHING_SENT if is_wrong else ExitCode.OK


def diagnosis(findings: Sequence[Finding]) -> str:
    """Return how the checks ended, in a sentence."""
    counts = Counter(finding.status for finding in findings)
    untried = [finding.check for finding in findings if finding.status is Status.SKIPPED]
    if counts[Status.WRONG]:
        verdict = "correct what is wrong, then check again."
    elif untried:
        look = " Look at the warnings." if counts[Status.WARNING] else ""
        verdict = f"nothing is wrong so far; {', '.join(untried)}: not tried.{look}"
    else:
        verdict = "the set-up works; look at the warnings." if counts[Status.WARNING] else "everything is ready."
    by_status = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return f"{', '.join(by_status)}: {verdict}"
