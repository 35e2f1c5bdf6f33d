"""One row -> one outcome: every attempt at it, until something settles it."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

import msgspec
from msgspec.structs import replace
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, wait_random_exponential

from batch_updater.config.schema import ApiSettings, SendingSettings
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes, etag_of, records_read
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.expected_values import changed_since_run, pending_changes
from batch_updater.endpoint.request import ANY_VERSION, Prepared, Request
from batch_updater.errors import ConfigError, StoreError
from batch_updater.records import Attempt, Outcome, OutcomeKind, Stop, StopReason
from batch_updater.sender.answer import Answer, TransportError, status_name
from batch_updater.sender.auth import CredentialsRefused, Token, TokenSource, TokenUnavailable, refusal_advice
from batch_updater.sender.breaker import CircuitBreaker, ServiceDown
from batch_updater.sender.classify import (
    Meaning,
    asks_to_slow_down,
    classify_read,
    classify_update,
    is_success,
    says_record_missing,
    shows_service_down,
)
from batch_updater.sender.idempotency import idempotency_key
from batch_updater.sender.limiter import RateLimiter
from batch_updater.sender.outcomes import AttemptResult, OutcomeWriter, RowSoFar, stored, without_values
from batch_updater.sender.send_options import Hooks, ReadBeforeWrite, SendOptions
from batch_updater.sender.shutdown import Shutdown, ShuttingDown
from batch_updater.sender.transport import Transport
from batch_updater.sender.wire import RowRequest
from batch_updater.text.redaction import Redaction

_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_TOKEN_REFUSALS_PER_REQUEST = 3
_TOKEN_ACCEPTED = frozenset({Meaning.ACCEPTED, Meaning.REFUSED})
"""What says that the token was taken: a gateway that fails has not looked at it."""

_log = logging.getLogger("batch_updater.sender")


class _HeldBack(Exception):  # noqa: N818
    """The breaker has opened while the request waited: it goes out as a probe or when the breaker is closed again."""


class _EndOfRun(Exception):  # noqa: N818
    """Something that is not the row's fault ends the whole run."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.message)
        self.stop = stop


class SentRow(msgspec.Struct, frozen=True):
    """A row's outcome, and whether it ends the run."""

    outcome: Outcome
    stop: Stop | None = None
    is_missing: bool = False
    """Whether the API refused it with 404 and a reason that is about the record."""


class Counts(msgspec.Struct):
    """What went out, over all rows."""

    requests: int = 0
    retries: int = 0
    retries_locked: int = 0
    """Those of them because a record was locked."""
    throttled: int = 0


class _Sending(msgspec.Struct, eq=False):
    """A row while it is sent: the one thing about it that changes."""

    row: RowSoFar
    request: Request
    """The current one."""
    task: asyncio.Task[object]
    """The one that sends it. Handed down, because to ask for the current task costs more than to send its log line."""
    reads: bool
    """Whether the current request reads the record."""
    is_kept: bool
    """Whether what comes of each attempt is kept, from the first on that has not gone well, be it in an earlier part of
    the run; and of a row whose record was read, once there is an update to send."""
    tries: int = 0
    """Attempts at it that count towards `sending.attempts`: no probes, no repeats after a 401."""
    token_refusals: int = 0


class Client(msgspec.Struct, eq=False, dict=True):
    """Sends rows over one session; shared by all workers."""

    endpoint: Endpoint
    api: ApiSettings
    sending: SendingSettings
    hooks: Hooks
    options: SendOptions
    transport: Transport
    limiter: RateLimiter
    breaker: CircuitBreaker
    tokens: TokenSource
    shutdown: Shutdown
    """Set once nothing new may start."""
    redaction: Redaction
    counts: Counts = msgspec.field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.allowed = AllowedValues.of(self.endpoint, self.options.allowed)
        """Which names stand for which ids, as far as the answers have taught, those of earlier parts of the run too."""
        self._valid_now = AllowedValues(self.endpoint)
        """What the answers to this client have taught: names may have been added since an earlier part of the run."""
        self._outcomes = OutcomeWriter(self.endpoint, self.redaction)
        self._backoff = wait_random_exponential(multiplier=_BACKOFF_S, max=_LONGEST_BACKOFF_S)

    async def send(self, prepared: Prepared, task: asyncio.Task[object]) -> SentRow:
        """Send one row, in the current task, until it is settled, may not be repeated, or the run ends."""
        job, request = prepared
        # What may have been applied is for the API to judge: "nothing was sent" would not be true of it.
        if not job.maybe_applied and (problems := self._valid_now.judge(job)):
            return SentRow(Outcome(job.row, OutcomeKind.INVALID, problems=problems))
        reads = self.options.read_first
        first = request if reads is None else reads.builder.build_read(job)
        sending = _Sending(RowSoFar(job, job.maybe_applied), first, task, reads is not None, job.maybe_applied)
        try:
            if reads is not None:
                if sent := await self._read(sending, reads):
                    return sent
                read = self._reading(sending)
                sending.row = replace(sending.row, last=None, status=None)
                sending.reads, sending.tries, sending.token_refusals = False, 0, 0
                if sending.row.before is not None:
                    await reads.before_change(job.row, sending.row.before, read)
            sending.request = self._with_own_headers(request, sending.row)
            last = await self._settle(sending)
            sent = self._sent(sending.row, last)
            if sent.outcome.kind is OutcomeKind.DIFFERS and last.on_kept_connection and self.endpoint.can_repeat:
                sent = await self._in_step(sending, sent)
        except ShuttingDown:
            return SentRow(self._outcomes.unsettled(sending.row, self.shutdown.why))
        except ServiceDown:
            waited = f"{self.sending.max_wait_s:g} s (sending.max_wait_s)"
            message = f"{self.endpoint.api_name} has answered nothing but failures for {waited}."
            advice = "Check that it can be reached from here, then run again to go on."
            if (last_one := sending.row.last) and isinstance(error := last_one.result, TransportError):
                message += f" {error.message}"
                advice = advice if error.maybe_applied else error.advice
            return self._ended(sending.row, Stop(StopReason.SERVICE_DOWN, message, advice))
        except END_THE_RUN as error:
            return self._ended(sending.row, stop_for(error, self.api, self.endpoint, self.options.host))
        return sent

    def _with_own_headers(self, request: Request, row: RowSoFar) -> Request:
        """Return the update of a row with the headers that the reading and the run decide."""
        endpoint, headers = self.endpoint, list[tuple[str, str]]()
        if endpoint.if_match and (etag := row.etag or (ANY_VERSION if endpoint.requires_if_match else "")):
            headers.append(("If-Match", etag))
        if endpoint.idempotency_key is not None:
            headers.append((endpoint.idempotency_key, idempotency_key(self.options.run, row.job.row)))
        return replace(request, headers=(*headers, *request.headers)) if headers else request

    async def _in_step(self, sending: _Sending, first: SentRow) -> SentRow:
        """Send a row once more if its answer tells of another record, and so may be that to an earlier request.

        On a connection that has answered nothing the answer is its own.
        """
        named = {problem.field for problem in first.outcome.problems}
        if not any(one.selects_record and one.name in named for one in self.endpoint.fields):
            return first
        connector = self.transport.connector
        trusted = not connector.is_distrusting
        connector.distrust("an answer told of another record than its request")
        sending.row = replace(sending.row, maybe_applied=True)
        last = await self._settle(sending)
        second = self._sent(sending.row, last)
        if trusted and second.outcome.kind is first.outcome.kind:
            connector.is_distrusting = False  # the service means it
        return second

    async def _read(self, sending: _Sending, how: ReadBeforeWrite) -> SentRow | None:
        """Read the record first; None if the update is to be sent."""
        last = await self._settle(sending)
        answer, classification = last.result, last.classification
        row, job = sending.row, sending.row.job
        if classification.meaning is not Meaning.ACCEPTED:
            if isinstance(answer, Answer) and is_success(answer.status):
                found = records_read(self.endpoint, answer.body.value)
                if found is not None and not found:
                    return SentRow(self._outcomes.missing(row))
            return self._sent(row, last)
        record = classification.confirmation.record or {}
        if self.endpoint.if_match and isinstance(answer, Answer):
            sending.row = row = replace(row, etag=etag_of(answer.etag, record))
        all_changes = changes(self.endpoint, job, record, self.allowed)
        to_change = pending_changes(self.endpoint, job, record, all_changes, how.expected)
        if not to_change:
            # Where an earlier part of the run sent it without an answer, this is what it left.
            kind = OutcomeKind.UPDATED if job.maybe_applied else OutcomeKind.UNCHANGED
            return SentRow(self._outcomes.outcome(row, kind))
        if since := changed_since_run(self.endpoint, job, record, to_change, how.expected):
            return SentRow(self._outcomes.changed_since(row, since))
        if not job.maybe_applied:
            # Otherwise an earlier part of the run may have made the record what it is, which is no value before it.
            sending.row = replace(row, before=stored(record, self.redaction))
        return SentRow(self._outcomes.outcome(sending.row, OutcomeKind.PLANNED)) if how.only else None

    def _reading(self, sending: _Sending) -> Attempt | None:
        """Return the one attempt that has read a record; None if it is kept already. From now on all are."""
        row, last = sending.row, sending.row.last
        if sending.is_kept or last is None or row.sent_at is None:
            return None
        sending.is_kept = True
        method = sending.request.method
        details = self._outcomes.details(row.job, method, last, row.sent_at, wait_s=0.0, took_s=row.seconds)
        return Attempt(row.job.row, row.attempts, row.status, row.seconds, last.classification.meaning, details)

    def _sent(self, row: RowSoFar, last: AttemptResult) -> SentRow:
        """Return what a row came to by its last attempt."""
        answer, meaning = last.result, last.classification.meaning
        if isinstance(answer, Answer):
            if meaning is Meaning.ACCEPTED:
                return SentRow(self._outcomes.accepted(row, answer))
            if meaning is Meaning.REFUSED:
                if answer.body.is_json and answer.complete:
                    known, listed = self._valid_now, self.redaction.json(answer.body.value)
                    self._valid_now = known.learn(row.job, listed)
                    self.allowed = self.allowed.learn(row.job, listed)
                    for names in self._valid_now.lists if self._valid_now is not known else ():
                        if names not in known.lists:
                            self.hooks.on_names(names)
                # Some services say 409 for another version. Its own words tell whether it is about that, but an attempt
                # since the reading that may have been applied has made another version.
                is_own_doing = answer.status == HTTPStatus.CONFLICT and row.maybe_applied and not row.job.maybe_applied
                if row.etag and (answer.status == HTTPStatus.PRECONDITION_FAILED or is_own_doing):
                    return SentRow(self._outcomes.changed_since_read(row, answer))
                refused = self._outcomes.refused(row, answer, self._valid_now)
                return SentRow(refused, is_missing=says_record_missing(answer, self.endpoint, row.job))
            if meaning is Meaning.QUOTA_USED_UP:
                message = f"The account's quota of requests to {self.endpoint.api_name} is used up."
                return self._ended(row, Stop(StopReason.QUOTA, message, "Run again when the quota has been renewed."))
        return SentRow(self._outcomes.unsettled(row))

    def _ended(self, row: RowSoFar, stop: Stop) -> SentRow:
        return SentRow(self._outcomes.unsettled(row, stop=stop), stop)

    async def _settle(self, sending: _Sending) -> AttemptResult:
        """Make up to `attempts` attempts, with growing pauses (exponential with full jitter) between them."""
        first = await self._admitted(sending)
        if not self._is_worth_another(first):
            return first
        # tenacity costs tens of microseconds a call, so it enters only once a row needs it: the attempt that has been
        # made counts as the first of its own.
        made = [first]

        async def attempt() -> AttemptResult:
            return made.pop() if made else await self._admitted(sending)

        def wait(state: RetryCallState) -> float:
            # While the breaker is open its own pauses count.
            return 0.0 if self.breaker.is_open else max(self._backoff(state), _last(state).retry_after_s)

        def is_last(state: RetryCallState) -> bool:
            last = _last(state)
            is_locked_long = last.classification.is_of_record and last.retry_after_s > self.sending.max_wait_s
            return is_locked_long or sending.tries >= self.sending.attempts

        async def sleep(seconds: float) -> None:
            said = self._outcomes.said(sending.row.last) if sending.row.last else ""
            said = without_values(said, sending.row.job)
            self._log(sending.row, "back-off", wait_s=round(seconds, 3), said=said)
            await self.shutdown.pause(seconds)

        retry = retry_if_result(self._is_worth_another)
        retrying = AsyncRetrying(sleep=sleep, stop=is_last, wait=wait, retry=retry, retry_error_callback=_last)
        return await retrying(attempt)

    def _is_worth_another(self, last: AttemptResult) -> bool:
        """Whether another attempt may do better, and the run may make it.

        Repeats for locked records do not open the breaker: once its budget is spent there are no more of them.
        """
        if last.classification.meaning is not Meaning.RETRY:
            return False
        requests, retries = self.counts.requests, self.counts.retries_locked
        return not last.classification.is_of_record or self.breaker.allows(requests=requests, retries=retries)

    async def _admitted(self, sending: _Sending) -> AttemptResult:
        """Make one attempt when the breaker lets it: as a probe, which does not count, while it is open."""
        while True:
            while self.breaker.is_open:
                async with self.breaker.turn:
                    if self.breaker.is_open:
                        await self.breaker.before_probe()
                        return await self._attempt(sending, is_probe=True)
            try:
                last = await self._attempt(sending)
            except _HeldBack:
                continue
            sending.tries += 1
            return last

    async def _attempt(self, sending: _Sending, *, is_probe: bool = False) -> AttemptResult:
        """Send the row once, and once more for each token that has been replaced meanwhile."""
        while True:
            if self.shutdown.is_set():
                raise ShuttingDown
            if self.tokens.is_due:
                await self.tokens.renew_if_due()
            token = self.tokens.current
            last = await self._exchange(sending, token, is_probe=is_probe)
            meaning = last.classification.meaning
            if token and meaning in _TOKEN_ACCEPTED:
                self.tokens.accepted(token)
            if meaning is not Meaning.TOKEN_REFUSED:
                return last
            sending.token_refusals += 1
            if sending.token_refusals >= _TOKEN_REFUSALS_PER_REQUEST:
                return last
            await self.tokens.refused(token)

    async def _exchange(self, sending: _Sending, token: Token | None, *, is_probe: bool) -> AttemptResult:
        """Make one physical request, and take note of what it says about its row and about the service.

        Raises _HeldBack, _EndOfRun, ShuttingDown and StoreError.
        """
        # Rows whose answers came in the same round are all judged before the next requests are written one after
        # another: a service on the same machine is woken once for all of them, which takes longer than to write one.
        await asyncio.sleep(0)
        await self.limiter.turn()
        if self.breaker.is_open and not is_probe:  # the turn may have taken long
            raise _HeldBack
        started_s = time.monotonic()
        outgoing = RowRequest(partial(self._before_write, sending.row, is_probe=is_probe))
        result = await self.transport.send(sending.request, token, outgoing, sending.task)
        job = sending.row.job
        if sending.reads:
            classification = classify_read(result, self.endpoint, job)
        else:
            classification = classify_update(
                result, self.endpoint, job, self.allowed, accepted_is_done=self.api.accepted_is_done
            )
        last = AttemptResult(result, classification, outgoing.on_kept_connection)
        now_s, written_at = time.monotonic(), outgoing.written_at
        so_far = sending.row
        first_s, sent_at = so_far.started_s, so_far.sent_at
        if sent_at is None:
            first_s = started_s
            sent_at = datetime.fromtimestamp(time.time() - (now_s - written_at if written_at else 0.0), UTC)
        why: str
        if isinstance(result, Answer):
            why, status = classification.meaning, result.status
        else:
            why, status = result.cause, None
        sending.row = row = RowSoFar(
            job, so_far.maybe_applied or classification.maybe_applied, last, so_far.attempts + 1,
            status or so_far.status, first_s, sent_at, now_s - first_s, so_far.before, so_far.etag,
        )  # fmt: skip
        details = None
        is_fine = classification.meaning is Meaning.ACCEPTED and not classification.confirmation.differences
        if sending.is_kept or not is_fine:
            sending.is_kept = True
            began_s, wait_s, began_at = written_at or started_s, 0.0, sent_at
            if so_far.attempts:
                wait_s = max(0.0, began_s - first_s - so_far.seconds)
                began_at = datetime.fromtimestamp(time.time() - (now_s - began_s), UTC)
            method = sending.request.method
            details = self._outcomes.details(job, method, last, began_at, wait_s, now_s - began_s)
        self.hooks.on_attempt(Attempt(job.row, row.attempts, status, row.seconds, why, details))
        self._judge_service(row, last, written_at)
        return last

    def _before_write(self, row: RowSoFar, *, is_probe: bool) -> None:
        """Count a request that is written now. Raises _HeldBack, ShuttingDown or StoreError if it may not be."""
        if self.breaker.is_open and not is_probe:  # the connection may have taken long, and so may the permit
            raise _HeldBack
        if self.shutdown.is_set():
            raise ShuttingDown
        self.hooks.may_send()
        self.counts.requests += 1
        if row.last is not None:
            self.counts.retries += 1
            self.counts.retries_locked += row.last.classification.is_of_record

    def _judge_service(self, row: RowSoFar, last: AttemptResult, written_at: float | None) -> None:
        """Tell the limiter and the breaker, and let the whole pool wait as long as the service asks.

        Ends the run where no attempt of any row can do better, or where the wait would be too long.
        """
        result = last.result
        if isinstance(result, TransportError) and result.lasting:
            raise _EndOfRun(Stop(StopReason.SERVICE_DOWN, result.message, result.advice))
        if shows_service_down(result):
            if isinstance(result, TransportError):
                unreachable, what = not result.maybe_applied, self.redaction.text(result.message)
            else:
                unreachable, what = False, status_name(result.status)
            requests, retries = self.counts.requests, self.counts.retries - self.counts.retries_locked
            self.breaker.failed(what, unreachable=unreachable, requests=requests, retries=retries)
            if asks_to_slow_down(result) and written_at is not None:
                self.counts.throttled += row.status != HTTPStatus.SERVICE_UNAVAILABLE
                if self.limiter.throttled(written_at):
                    self._log(row, "slower", why=f"{self.limiter.pace_per_s():.3g} requests a second from now on")
        else:
            self.breaker.answered()
        wait_s = last.retry_after_s
        if not wait_s or last.classification.meaning is not Meaning.RETRY or last.classification.is_of_record:
            return
        if wait_s > self.sending.max_wait_s:
            longest = f"more than sending.max_wait_s ({self.sending.max_wait_s:g} s)"
            message = f"{self.endpoint.api_name} asks to wait {wait_s:,.0f} s, which is {longest}."
            raise _EndOfRun(Stop(StopReason.MAX_WAIT, message, "Run again later."))
        self.limiter.pause(wait_s)
        self._log(row, "pause", wait_s=round(wait_s, 3), why="the service asks for it (Retry-After)")

    def _log(self, row: RowSoFar, event: str, **facts: object) -> None:
        told = {"event": event, "row": row.job.row, "target": row.job.target, "attempt": row.attempts, **facts}
        _log.info(event, extra=told)


def _last(state: RetryCallState) -> AttemptResult:
    if state.outcome is None:
        raise RuntimeError("tenacity gave up without an attempt")
    last: AttemptResult = state.outcome.result()
    return last


END_THE_RUN = (_EndOfRun, StoreError, CredentialsRefused, TokenUnavailable, ConfigError)


def stop_for(error: Exception, api: ApiSettings, endpoint: Endpoint, host: str = "") -> Stop:
    """Return why the run ends after one of `END_THE_RUN`; `host` is named where its own credentials are the reason."""
    of_host = f"On {host}: {error}" if host else str(error)
    match error:
        case _EndOfRun():
            return error.stop
        case StoreError():
            return Stop(StopReason.DISK, str(error), error.remedy)
        case TokenUnavailable():
            return Stop(StopReason.SERVICE_DOWN, of_host, error.advice)
    if isinstance(error, ConfigError):  # a secret that cannot be fetched any more
        return Stop(StopReason.CREDENTIALS, of_host, error.remedy)
    return Stop(StopReason.CREDENTIALS, of_host, refusal_advice(api, endpoint))
