"""What the attempts at a row have come to, and the outcome that this makes, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import Confirmation, Unconfirmed
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.endpoint.expected_values import ChangedSinceRun
from batch_updater.endpoint.named_fields import field_named
from batch_updater.endpoint.reported import as_text
from batch_updater.records import AttemptDetails, Job, Outcome, OutcomeKind, Problem, RecordSnapshots, Stop, Value
from batch_updater.sender.advice import ACCEPTED_ADVICE, advice_on, retry_advice
from batch_updater.sender.answer import Answer, TransportError, status_name
from batch_updater.sender.bodies import shown_text
from batch_updater.sender.classify import ACCEPTED_ONLY, NOTHING_REPORTED, Classification, Meaning, is_throttled
from batch_updater.sender.reasons import one_line
from batch_updater.text.redaction import Redaction

_MESSAGE_CHARACTERS = 500
"""How much of an answer that confirms nothing a message quotes: it may hold a megabyte."""
_DATE_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
_OTHER_MARKS = str.maketrans(".,", ",.")
_ESCAPING = frozenset("%\\&")
"""Characters of which a text has one, at least, if others are escaped in it."""
_BEGINNING = 6
"""Characters of a value that are in a text which holds it, be it cut off."""
_REPORTED_OTHERWISE = "reported-otherwise"
_CHANGED_SINCE = "changed-since"
_OF_RECORD = frozenset({_REPORTED_OTHERWISE, _CHANGED_SINCE})
"""Codes of problems whose reasons tell what the record holds."""
_LONGEST_KEPT = 20_000
_ANSWER_CHARACTERS = 2_000
"""How much is kept of an answer that did not confirm its row: enough to see what it was."""


class AttemptResult(msgspec.Struct, frozen=True):
    """What one attempt came to."""

    result: Answer | TransportError
    classification: Classification
    on_kept_connection: bool = False

    @property
    def retry_after_s(self) -> float:
        """How long the service asks to wait; 0 if it does not."""
        return (self.result.retry_after_s if isinstance(self.result, Answer) else None) or 0.0


class RowSoFar(msgspec.Struct, frozen=True):
    """What the attempts at a row have come to so far."""

    job: Job
    maybe_applied: bool
    """Whether any attempt may have been applied, those of earlier parts of the run included."""
    last: AttemptResult | None = None
    """The last attempt at the current request, which reads or updates; None before the first."""
    attempts: int = 0
    """Requests that went out, and attempts that got no connection."""
    status: int | None = None
    started_s: float = 0.0
    """When the first attempt began, on the monotonic clock."""
    sent_at: datetime | None = None
    seconds: float = 0.0
    """From the first request to the last answer, or what stood in for it."""
    before: str | None = None
    """The record as it was read, in JSON; None if it was not, or is no value from before the update."""
    etag: str = ""
    """The version that was read, if the update is for no other; '' if it is for any."""

    @property
    def reported(self) -> Confirmation:
        """What the last answer says of the record."""
        return self.last.classification.confirmation if self.last else NOTHING_REPORTED


class OutcomeWriter:
    """Puts into words what rows of one endpoint have come to."""

    def __init__(self, endpoint: Endpoint, redaction: Redaction) -> None:
        self._endpoint = endpoint
        self._redaction = redaction

    def accepted(self, row: RowSoFar, answer: Answer) -> Outcome:
        """Return that the API took the row: `updated`, or `differs` if it reports something else."""
        confirmation = row.reported
        if not confirmation.differences:
            return self.outcome(row, OutcomeKind.UPDATED)
        problems = []
        for field, wanted, reported in confirmation.differences:
            asked = f"for {wanted!r}" if wanted else "to clear it"
            got = _short(repr(reported)) if reported else "an empty field"
            reason = f"{field}: asked {asked}, got {got}."
            problems.append(Problem(row.job.row, field, _REPORTED_OTHERWISE, wanted, reason, ""))
        message = " ".join(problem.reason for problem in problems)
        if (doubt := confirmation.doubt) and doubt.said:
            message += f" {self._doubted(doubt, answer)}"
        name = self._endpoint.record_name
        advice = f"Look at the {name} in {self._endpoint.api_name}. If it is right as it is, delete this row."
        return self.outcome(row, OutcomeKind.DIFFERS, message, advice, problems=tuple(problems))

    def changed_since(self, row: RowSoFar, moved: Sequence[ChangedSinceRun]) -> Outcome:
        """Return that the record was changed after the run that is to be undone."""
        problems = []
        for one in moved:
            now = _short(repr(one.now)) if one.now else "empty"
            left = _short(repr(one.left)) if one.left else "it empty"
            reason = f"{one.field}: changed since: now {now}, the run had left {left}."
            problems.append(Problem(row.job.row, one.field, _CHANGED_SINCE, _short(one.now), reason, ""))
        advice = (
            f"Look at the {self._endpoint.record_name} in {self._endpoint.api_name}. If it is right as it is, delete "
            "this row; if not, correct it there, or with a file of its own: this row is refused while the record is "
            "not as it was left."
        )
        message = " ".join(problem.reason for problem in problems)
        return self.outcome(row, OutcomeKind.REJECTED, message, advice, "changed since", tuple(problems))

    def missing(self, row: RowSoFar) -> Outcome:
        """Return that there is no such record to read."""
        message = f"{self._endpoint.api_name} has no such {self._endpoint.record_name}."
        return self.outcome(row, OutcomeKind.REJECTED, message, advice_on(404, self._endpoint), status_name(404))

    def refused(self, row: RowSoFar, answer: Answer, allowed: AllowedValues) -> Outcome:
        """Return why the API will not do it; `allowed` knows already what this answer taught."""
        name, explanation = status_name(answer.status), answer.explanation
        message = f"{self._endpoint.api_name} refused it ({name}){_quoted(explanation.line)}"
        # A field is to blame if it holds a name that is not valid, or if the answer names it.
        job, text_of = row.job, dict[str, str]()
        for reason in explanation.reasons:
            field = field_named(self._endpoint, job.values, reason.path) or self._endpoint.field_called(reason.field)
            if field is not None and field.name in job.values:
                text_of.setdefault(field.name, str(reason))
        problems = {problem.field: problem for problem in allowed.blame(job, explanation.text, text_of)}
        for field_name, words in text_of.items():
            value = _short(str(job.values[field_name] or ""))
            problems.setdefault(field_name, Problem(job.row, field_name, "rejected", value, words, ""))
        advice = advice_on(answer.status, self._endpoint, explanation, names_cells=bool(problems))
        return self.outcome(row, OutcomeKind.REJECTED, message, advice, name, tuple(problems.values()))

    def changed_since_read(self, row: RowSoFar, answer: Answer) -> Outcome:
        """Return that the record no longer is the version that was read (412, or a 409 that may say so).

        Where an attempt before may have been applied, that may be what has changed it.
        """
        name, api, record = status_name(answer.status), self._endpoint.api_name, self._endpoint.record_name
        said = f"{name}{_quoted(answer.explanation.line)}"
        if row.maybe_applied:
            message = f"The {record} was changed since it was read, perhaps by an attempt that had no answer: {said}"
            return self.outcome(row, OutcomeKind.UNCONFIRMED, message, "Run again to settle it.", "no answer yet")
        message = f"The {record} was changed since it was read, so {api} did not apply the row: {said}"
        advice = f"Look at the {record} in {api}. If this row is still right, run it again."
        return self.outcome(row, OutcomeKind.REJECTED, message, advice, "changed since it was read")

    def unsettled(self, row: RowSoFar, why_not: str = "", stop: Stop | None = None) -> Outcome:
        """Return what is known of a row that no attempt has settled, or why there was none.

        `stop`: what ended the run while the row was being sent.
        """
        if row.last is None:
            return not_sent(row.job, stop.message if stop else why_not)
        result, classification = row.last.result, row.last.classification
        doubt = classification.confirmation.doubt
        message = self.said(row.last)
        if isinstance(result, TransportError):
            cause = result.cause
            # Without an answer to its reading, a row was not sent yet.
            is_doubtful = result.maybe_applied
            advice = retry_advice(self._endpoint, maybe_applied=row.maybe_applied) if is_doubtful else result.advice
        elif doubt is not None:
            cause = f"{status_name(result.status)}{doubt.cause}"
            advice = advice_on(result.status, self._endpoint, maybe_applied=row.maybe_applied)
            if doubt is ACCEPTED_ONLY:
                advice += f" {ACCEPTED_ADVICE.format(api=self._endpoint.api_name)}"
        else:
            is_locked = classification.is_of_record
            meant = HTTPStatus.TOO_MANY_REQUESTS if is_throttled(result) else result.status
            status = HTTPStatus.LOCKED if is_locked else meant
            advice = advice_on(status, self._endpoint, maybe_applied=row.maybe_applied)
            cause = "record locked" if is_locked else status_name(result.status)
        if stop:
            message, advice = stop.message, stop.advice
        kind = OutcomeKind.UNCONFIRMED if row.maybe_applied else OutcomeKind.FAILED
        return self.outcome(row, kind, message, advice, cause)

    def details(
        self, job: Job, method: str, last: AttemptResult, sent_at: datetime, wait_s: float, took_s: float
    ) -> AttemptDetails:
        """Return what is kept of an attempt: its answer unless that is the record, and what the answer says."""
        result, confirmation = last.result, last.classification.confirmation
        message, answer = "" if last.classification.meaning is Meaning.ACCEPTED else self.said(last), None
        if isinstance(result, Answer) and (message or confirmation.differences):
            body = result.body
            text = body.text or ("" if body.value is None else to_json(body.value))
            # Redacted before it is cut off, so that no half of a secret is left at its end.
            text = self._redaction.text(text[:_LONGEST_KEPT].encode(errors="replace").decode())
            answer = text if len(text) <= _ANSWER_CHARACTERS else f"{text[:_ANSWER_CHARACTERS]} ..."
        for_log = without_values(message, job)
        return AttemptDetails(job.target, method, sent_at, wait_s, took_s, message, for_log, answer)

    def said(self, last: AttemptResult) -> str:
        """Return what came of an attempt that did not confirm its row, in a sentence without secrets."""
        result, doubt = last.result, last.classification.confirmation.doubt
        if isinstance(result, TransportError):
            text = result.message
        elif doubt is not None:
            text = self._doubted(doubt, result)
        else:
            text = f"{self._endpoint.api_name} answered {status_name(result.status)}{_quoted(result.explanation.line)}"
        return self._redaction.text(text)

    def _doubted(self, doubt: Unconfirmed, answer: Answer) -> str:
        """Say why an answer is no confirmation, with what it says."""
        body = answer.body
        text = doubt.said or (shown_text(body.text) if body.text or not body.is_json else to_json(body.value))
        said = _quoted(one_line(text, _MESSAGE_CHARACTERS))
        return f"{self._endpoint.api_name} answered {status_name(answer.status)}{doubt.words}{said}"

    def outcome(
        self,
        row: RowSoFar,
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
        # Values are kept of what changed a record, would change it, or may have.
        records = None
        if kind is OutcomeKind.PLANNED or (kind is OutcomeKind.REJECTED and row.maybe_applied):
            records = RecordSnapshots(row.before, None, None)
        elif kind in (OutcomeKind.UPDATED, OutcomeKind.DIFFERS):
            record = row.reported.record
            text = None if record is None else stored(record, self._redaction)
            if text and len(text) > _LONGEST_KEPT:
                text = to_json(f"a record of {len(text):,} characters, which is too long to be kept")
            records = RecordSnapshots(row.before, None, text)
        return Outcome(
            row.job.row, kind, message, advice, cause, problems, row.status, row.attempts, row.sent_at, row.seconds,
            records, row.maybe_applied,
        )  # fmt: skip


def stored(record: Mapping[str, object], redaction: Redaction) -> str:
    """Return a record as JSON, as it may be stored."""
    text = to_json(record)
    return to_json(redaction.json(record)) if redaction.may_hold(text) else text


def without_values(text: str, job: Job) -> str:
    """Return a text for the log, with the cells of the row blanked, but those that select the record."""
    if not text:
        return text
    selecting = {part.partition("=")[0] for part in job.target.split("&")}
    lowered, is_escaped = text.lower(), not _ESCAPING.isdisjoint(text)
    found = [
        form
        for name, value in job.values.items()
        if name not in selecting
        for form in _written(value)
        # To look for a value takes long, and most messages hold none.
        if is_escaped or ((words := form.split(None, 1)) and words[0][:_BEGINNING].lower() in lowered)
    ]
    if not found:
        return text
    blanking = Redaction("...")
    blanking.remember_values(found)
    return blanking.text(text)


def message_for_log(outcome: Outcome, job: Job) -> str:
    """Return what the log says of an outcome: nothing that the row or its record holds."""
    if outcome.problems and all(problem.code in _OF_RECORD for problem in outcome.problems):
        return " ".join(f"{problem.field}: {problem.code.replace('-', ' ')}." for problem in outcome.problems)
    return without_values(outcome.message or " ".join(problem.reason for problem in outcome.problems), job)


def _written(value: Value) -> Iterator[str]:
    """Yield a value in the ways in which services write it."""
    if isinstance(value, date):
        yield from (value.strftime(form) for form in _DATE_FORMS)
    elif isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        for digits in {format(number, "f"), format(number, ",f"), format(number.normalize(), "f")}:
            yield from (digits, digits.translate(_OTHER_MARKS))
    elif isinstance(value, str):
        yield value
        if value[:1] in ("[", "{"):  # a list or JSON, of which a service quotes what is wrong in it
            with suppress(ValueError):
                yield from _plain_texts(from_json(value))
    elif value is not None:
        yield str(value)


def _plain_texts(value: object) -> Iterator[str]:
    """Yield every plain value in a value of JSON."""
    if isinstance(value, (list, dict)):
        for one in value if isinstance(value, list) else value.values():
            yield from _plain_texts(one)
    elif value is not None:
        yield as_text(value)


def not_sent(job: Job, why: str = "") -> Outcome:
    """Return the outcome of a row that was about to be sent when the run ended."""
    message = f"The run ended before this row's turn. {why}".strip()
    if job.maybe_applied:
        message = f"It was sent before without an answer, and the run ended before its turn came again. {why}".strip()
        return Outcome(
            job.row, OutcomeKind.UNCONFIRMED, message, "Run again to settle it.", "no answer yet", maybe_applied=True
        )
    return Outcome(job.row, OutcomeKind.NOT_SENT, message, "Run again.", "no turn before the end")


def _quoted(text: str) -> str:
    return f": {text}" if text else "."


def _short(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]} ..."
