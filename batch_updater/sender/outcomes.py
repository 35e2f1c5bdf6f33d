"""The state of a row while it is sent, and the outcome that it ends with, in words for people."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from batch_updater.endpoint.compare import Confirmation
from batch_updater.endpoint.exact_json import to_json
from batch_updater.records import Outcome, OutcomeKind, Problem, RecordSnapshots
from batch_updater.sender.classify import (
    MESSAGE_CHARACTERS,
    REASON_CHARACTERS,
    Answer,
    Effect,
    TransportError,
    advice_on,
    advice_on_doubt,
    message_of,
    status_name,
    text_of,
    unsettled_kind,
    utc_now,
)
from batch_updater.sender.reasons import one_line

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from batch_updater.endpoint.allowed import AllowedValues
    from batch_updater.endpoint.compare import Difference, Unconfirmed
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.endpoint.expected_values import ChangedSinceRun
    from batch_updater.records import Job, Stop
    from batch_updater.sender.reasons import Said
    from batch_updater.sender.wire import AnswerReader
    from batch_updater.text.redaction import Redaction


NOTHING_TOLD = Confirmation()
"""Of an attempt that brought no answer of the kind 2xx."""


@dataclass(slots=True, eq=False)
class RowState:
    """What is known of a row while it is being sent."""

    job: Job
    task: asyncio.Task[object]
    """The one that sends it. Handed down, because to ask for the current task costs more than to send its log line."""
    attempts: int = 0
    """Requests that went out."""
    sendings: int = 0
    """Those of them that were the current request, reading or update, and not the one before it."""
    reading: bool = False
    """Whether the current request reads the record."""
    was_read: bool = False
    """Whether the record was read, so that the current request is the update."""
    tries: int = 0
    """Those that count towards `sending.attempts`: no probes, no repeats after a 401."""
    written_at: float = 0.0
    """When the last request left, on the limiter's clock."""
    effect: Effect = Effect.NONE
    """The gravest of all attempts so far, those of earlier parts of the run included."""
    status: int | None = None
    sent_at: datetime | None = None
    started_s: float = 0.0
    seconds: float | None = None
    """From the first request to the last answer, or what stood in for it."""
    token_refusals: int = 0
    is_locked: bool = False
    """Whether the last answer said that the record is locked."""
    is_probe: bool = False
    """Whether it is sent although the breaker is open."""
    is_connecting: bool = False
    """Whether aiohttp has asked for a connection for the last request."""
    on_kept_connection: bool = False
    """Whether the last request was not the first on its connection."""
    reader: AnswerReader | None = None
    """The connection on which the last request was written."""
    has_left: bool = False
    """Whether the last request was written: only then it can have been applied."""
    refusal: Answer | None = None
    """The last answer as far as its status, if that is no success: it counts even if the rest does not come."""
    last: Answer | TransportError | None = None
    before: str | None = None
    """The record as it was read, in JSON; None if it was not."""
    asked: bytes | None = None
    """Body of the update."""
    answer: Confirmation = NOTHING_TOLD
    """What the last answer says of the record."""

    def is_sent_next(self) -> None:
        """Take note that one more attempt begins, with nothing of it on the wire yet."""
        if not self.attempts:
            self.started_s = time.monotonic()
        self.is_connecting = self.has_left = False
        self.refusal = None

    def count(self, *, has_left: bool) -> None:
        """Count one more attempt, whose request is written now or never."""
        if not self.attempts:
            self.sent_at = utc_now()
        self.attempts += 1
        self.sendings += 1
        if has_left:
            self.has_left = True
            self.written_at = time.monotonic()

    def begins(self, *, reading: bool) -> None:
        """Take note that the next request is another one."""
        self.was_read = self.reading
        self.reading = reading
        self.sendings = self.tries = self.token_refusals = 0
        self.status = None

    def clock_stops(self) -> float:
        """Take note of how long the row has taken so far, in seconds since its first request, and return it."""
        self.seconds = seconds = time.monotonic() - self.started_s
        return seconds


class OutcomeWriter:
    """Puts into words what became of rows of one endpoint."""

    def __init__(self, endpoint: Endpoint, redaction: Redaction) -> None:
        self._endpoint = endpoint
        self._redaction = redaction

    def accepted(self, row: RowState) -> Outcome:
        """Say what became of a row that the API took: what was asked for, or what it reports instead."""
        if not row.answer.differences:
            return self._outcome(row, OutcomeKind.UPDATED)
        problems = tuple(self._difference(row.job.row, difference) for difference in row.answer.differences)
        message = " ".join(problem.reason for problem in problems)
        if row.answer.doubt and row.answer.doubt.said and isinstance(row.last, Answer):
            message += f" {self._doubted(row.answer.doubt, row.last)}"
        name = self._endpoint.record_name
        advice = f"Look at the {name} in {self._endpoint.api_name}. If it is right as it is, delete this row."
        return self._outcome(row, OutcomeKind.DIFFERS, message, advice, problems=problems)

    def unchanged(self, row: RowState) -> Outcome:
        """Say that the record that was read holds already what is asked for."""
        # Where an earlier part of the run sent it without an answer, this is what it left.
        return self._outcome(row, OutcomeKind.UPDATED if row.job.maybe_applied else OutcomeKind.UNCHANGED)

    def changed_since(self, row: RowState, found: Sequence[ChangedSinceRun]) -> Outcome:
        """Say that somebody has changed the record since the run that is to be taken back."""
        problems = tuple(self._moved(row.job.row, one) for one in found)
        name = self._endpoint.record_name
        advice = (
            f"Look at the {name} in {self._endpoint.api_name}. If it is right as it is, delete this row; if not, "
            "correct it there, or with a file of its own: this row is refused while the record is not as it was left."
        )
        message = " ".join(problem.reason for problem in problems)
        return self._outcome(row, OutcomeKind.REJECTED, message, advice, "changed since", problems=problems)

    def _moved(self, row: int, found: ChangedSinceRun) -> Problem:
        now = _short(repr(found.now)) if found.now else "empty"
        left = _short(repr(found.left)) if found.left else "it empty"
        reason = f"{found.field}: changed since: now {now}, the run had left {left}."
        return Problem(row, found.field, "changed-since", _short(found.now), reason, "")

    def planned(self, row: RowState) -> Outcome:
        """Say that the row would be sent, and what its record holds now."""
        return self._outcome(row, OutcomeKind.PLANNED)

    def missing(self, row: RowState) -> Outcome:
        """Say that there is no such record to read."""
        message = f"{self._endpoint.api_name} has no such {self._endpoint.record_name}."
        return self._outcome(row, OutcomeKind.REJECTED, message, advice_on(404, self._endpoint), status_name(404))

    def refused(self, row: RowState, answer: Answer, allowed: AllowedValues) -> Outcome:
        """Say why the API will not do it; `allowed` knows already what this answer taught."""
        said = answer.said(self._endpoint)
        text, name = one_line(said.text, REASON_CHARACTERS), status_name(answer.status)
        message = f"{self._endpoint.api_name} refused it ({name})" + (f": {text}" if text else ".")
        problems = self._blamed(row.job, said, allowed)
        advice = advice_on(answer.status, self._endpoint, said, names_cells=bool(problems))
        return self._outcome(row, OutcomeKind.REJECTED, message, advice, name, problems)

    def _blamed(self, job: Job, said: Said, allowed: AllowedValues) -> tuple[Problem, ...]:
        """Return a problem for each field to blame: it holds a name that is not valid, or the answer names it."""
        said_of: dict[str, str] = {}
        for reason in said.reasons:
            field = self._endpoint.field_called(reason.field)
            if field is not None and field.name in job.values:
                said_of.setdefault(field.name, str(reason))
        problems = {problem.field: problem for problem in allowed.blame(job, said.text, said_of)}
        for name, words in said_of.items():
            value = _short(str(job.values[name] or ""))
            problems.setdefault(name, Problem(job.row, name, "rejected", value, words, ""))
        return tuple(problems.values())

    def unsettled(self, row: RowState, why_not: str = "") -> Outcome:
        """Say what is known of a row that no attempt has settled, or why there was none."""
        if not row.attempts or (row.was_read and not row.sendings):
            return not_sent(row.job, why_not)
        message, advice, cause = self._trouble(row)
        return self._outcome(row, unsettled_kind(row.effect), message, advice, cause)

    def stopped(self, row: RowState, stop: Stop) -> Outcome:
        """Say that something ended the run while this row was being sent."""
        if not row.attempts or (row.was_read and not row.sendings):
            return not_sent(row.job, stop.message)
        cause = self._trouble(row)[2]
        return self._outcome(row, unsettled_kind(row.effect), stop.message, stop.advice, cause)

    def _trouble(self, row: RowState) -> tuple[str, str, str]:
        """Return message, advice and cause."""
        last, doubt = row.last, row.answer.doubt
        if last is None:
            return "The run ended before an answer came.", "Run again.", "no answer before the end"
        if isinstance(last, TransportError):
            return last.message, last.advice, last.cause
        status = HTTPStatus.LOCKED if row.is_locked else last.status
        cause = status_name(last.status)
        if doubt is not None:
            advice = advice_on_doubt(status, self._endpoint, doubt)
            return self._doubted(doubt, last), advice, f"{cause}{doubt.cause}"
        advice = advice_on(status, self._endpoint)
        said = message_of(last, self._endpoint)
        message = f"{self._endpoint.api_name} answered {cause}"
        return message + (f": {said}" if said else "."), advice, "record locked" if row.is_locked else cause

    def _doubted(self, doubt: Unconfirmed, answer: Answer) -> str:
        """Say why an answer is no confirmation, with what it says."""
        said = one_line(doubt.said, MESSAGE_CHARACTERS) if doubt.said else text_of(answer) if answer.complete else None
        message = f"{self._endpoint.api_name} answered {status_name(answer.status)}{doubt.words}"
        return message + (f": {said}" if said else ".")

    def _difference(self, row: int, found: Difference) -> Problem:
        asked = f"for {found.asked!r}" if found.asked else "to clear it"
        got = _short(repr(found.got)) if found.got else "an empty field"
        reason = f"{found.field}: asked {asked}, got {got}."
        return Problem(row, found.field, "reported-otherwise", found.asked, reason, "")

    def _outcome(
        self,
        row: RowState,
        kind: OutcomeKind,
        message: str = "",
        advice: str = "",
        cause: str = "",
        problems: tuple[Problem, ...] = (),
    ) -> Outcome:
        """Return the outcome; here every text that an answer has brought into it passes the redaction."""
        redact = self._redaction.text
        if message or problems:
            message, cause = redact(message), redact(cause)
            problems = tuple(
                replace(one, value=redact(one.value), reason=redact(one.reason), remedy=redact(one.remedy))
                for one in problems
            )
        return Outcome(
            row.job.row, kind, message, advice, cause, problems, row.status, row.attempts, row.sent_at, row.seconds,
            self._kept(row, kind),
        )  # fmt: skip

    def _kept(self, row: RowState, kind: OutcomeKind) -> RecordSnapshots | None:
        """Return what the journal keeps of a row's values: of what changed a record, would change it, or may have."""
        asked = None if row.asked is None else row.asked.decode()
        if kind is OutcomeKind.PLANNED or (kind is OutcomeKind.REJECTED and row.effect is Effect.POSSIBLE):
            return RecordSnapshots(row.before, asked, None)
        if kind in (OutcomeKind.UPDATED, OutcomeKind.DIFFERS):
            return RecordSnapshots(row.before, asked, self._reported(row))
        return None

    def _reported(self, row: RowState) -> str | None:
        """Return the record that the last answer held, as JSON; where it is not kept, a text that says why."""
        if row.answer.record is None:
            return None
        record = stored(row.answer.record, self._redaction)
        if len(record) <= _LONGEST_KEPT:
            return record
        return to_json(f"a record of {len(record):,} characters, which is too long to be kept")


def stored(record: Mapping[str, object], redaction: Redaction) -> str:
    """Return a record as JSON, as it may be stored."""
    text = to_json(record)
    return to_json(redaction.json(record)) if redaction.may_hold(text) else text


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:MESSAGE_CHARACTERS]} ..."


_LONGEST_KEPT = 20_000
"""Characters of a record."""


def not_sent(job: Job, why: str = "") -> Outcome:
    """Return the outcome of a row that was about to be sent when the run ended."""
    message = f"The run ended before this row's turn. {why}".strip()
    if job.maybe_applied:
        message = f"It was sent before without an answer, and the run ended before its turn came again. {why}".strip()
        return Outcome(job.row, OutcomeKind.UNCONFIRMED, message, "Run again to settle it.", "no answer yet")
    return Outcome(job.row, OutcomeKind.NOT_SENT, message, "Run again.", "no turn before the end")
