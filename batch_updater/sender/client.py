"""One job -> one outcome: every attempt at it, until something settles it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, wait_random_exponential
from yarl import URL

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes
from batch_updater.endpoint.expected_values import changed_since_run, pending_changes
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import ConfigError, Location, StoreError
from batch_updater.files.reading import open_regular
from batch_updater.records import AllowedList, Attempt, Job, Outcome, OutcomeKind, Stop, StopReason
from batch_updater.sender.auth import CredentialsRefused, TokenUnavailable, read_at_most
from batch_updater.sender.breaker import ServiceDown
from batch_updater.sender.classify import (
    Answer,
    Classification,
    Effect,
    Meaning,
    TransportError,
    again_advice,
    asks_to_slow_down,
    classify,
    confirmation_in,
    is_success,
    reading_in,
    shows_service_down,
    status_name,
    utc_now,
)
from batch_updater.sender.missing import says_record_missing
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.outcomes import NOTHING_TOLD, OutcomeWriter, RowState, stored
from batch_updater.sender.proxies import proxy_for
from batch_updater.sender.retry_after import asked_wait_s
from batch_updater.sender.shutdown import ShuttingDown
from batch_updater.sender.wire import SENDING, SentAgain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from batch_updater.config.schema import Config
    from batch_updater.config.secrets import Secret
    from batch_updater.endpoint.compare import Confirmation
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.endpoint.request import Prepared, Request
    from batch_updater.records import Expected
    from batch_updater.sender.auth import Token, TokenSource
    from batch_updater.sender.breaker import Breaker
    from batch_updater.sender.in_flight import InFlight
    from batch_updater.sender.limiter import Limiter
    from batch_updater.sender.send_options import SendOptions
    from batch_updater.sender.shutdown import Shutdown
    from batch_updater.sender.wire import Connector
    from batch_updater.text.redaction import Redaction

_LARGEST_ANSWER_BYTES = 1 << 20
_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_TOKEN_REFUSALS_PER_ROW = 3
_DOUBTED_FOR_S = 0.05
_DOUBTED_AT_MOST_S = 2.0
"""How long a refusal on a kept connection waits for the answer that would follow it if it was an earlier request's."""
_TOKEN_ACCEPTED = frozenset({Meaning.ACCEPTED, Meaning.REFUSED})
"""What says that the token was taken: a gateway that fails has not looked at it."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Whom the sender tells, and waits for; all but the last two may raise StoreError: then nothing more goes out."""

    before_send: Callable[[Sequence[Prepared]], Awaitable[None]]
    """Awaited once for every job, with others, before its first request may go out."""
    may_send: Callable[[], None]
    """Called right before every request of a row is written."""
    on_outcome: Callable[[Outcome], Awaitable[None]]
    """Awaited once for every job that was taken from the iterator."""
    on_names: Callable[[AllowedList], None]
    """Called with each list of valid names that an answer taught."""
    on_attempt: Callable[[Attempt], None]


_log = logging.getLogger("batch_updater.sender")


class _HeldBack(Exception):  # noqa: N818
    """The breaker has opened while the request waited: it goes out as a probe or when the breaker is closed again."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A row's outcome, and whether it ends the run."""

    outcome: Outcome
    stop: Stop | None = None
    is_missing: bool = False
    """Whether the API refused it with 404 and a reason that is about the record."""


@dataclass(frozen=True, slots=True)
class Reading:
    """That each record is read before its update, and what is done then."""

    endpoint: Endpoint
    """The update's, as far as an answer to a reading is judged by it."""
    builder: RequestBuilder
    before_change: Callable[[int, str], Awaitable[None]]
    """Awaited with a row and its record as JSON before the update may go out; raises StoreError."""
    only: bool
    """Whether nothing is sent but readings."""
    expected: Expected
    """What the records must still hold where the run takes another one back; else empty."""

    @classmethod
    def of(
        cls,
        endpoint: Endpoint,
        before_change: Callable[[int, str], Awaitable[None]],
        *,
        only: bool,
        expected: Expected | None = None,
    ) -> Reading:
        """Return how the records of an endpoint are read, which must describe it."""
        return cls(replace(endpoint, idempotent=True), RequestBuilder(endpoint), before_change, only, expected or {})


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom the API is called."""

    tokens: TokenSource
    headers: Mapping[str, Secret]
    """Sent with every request."""
    redaction: Redaction
    """Knows these secrets, should an answer repeat them."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What holds requests back or ends them, for the whole run."""

    limiter: Limiter
    breaker: Breaker
    in_flight: InFlight
    shutdown: Shutdown
    """Set once nothing new may start."""


@dataclass(slots=True)
class Counts:
    """What went out, over all rows."""

    requests: int = 0
    retries: int = 0
    retries_locked: int = 0
    """Those of them because a record was locked."""
    throttled: int = 0
    """Requests that were answered with 429."""


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificates by the system's trust store, or by one file alone."""
    try:
        if ca_file is not None:
            open_regular(Path(ca_file)).close()  # OpenSSL would wait for a pipe
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"api.ca_file: {ca_file} holds no certificates that can be read.",
            remedy="Name a file with certificates in PEM format.",
            place=Location(file=ca_file),
        ) from error


class Client:
    """Sends jobs over one session; shared by all workers."""

    def __init__(
        self,
        endpoint: Endpoint,
        config: Config,
        session: aiohttp.ClientSession,
        controls: Controls,
        credentials: Identity,
        hooks: Hooks,
        course: SendOptions,
    ) -> None:
        self._endpoint = endpoint
        self._config = config
        self._session = session
        self._connector = cast("Connector", session.connector)
        self._limiter = controls.limiter
        self._breaker = controls.breaker
        self._under_way = controls.in_flight
        self._stopping = controls.shutdown
        self._hooks = hooks
        self._reading = course.reading
        self._tokens = credentials.tokens
        self._proxy = proxy_for(config.api, config.api.base_url or "")
        self._proxy_url = self._proxy.url if self._proxy else None
        self._redaction = credentials.redaction
        self._outcomes = OutcomeWriter(endpoint, credentials.redaction)
        self._base = config.api.base_url or ""
        self._headers = {name: value.reveal() for name, value in credentials.headers.items()}
        self._headers["Content-Type"] = endpoint.content_type
        self._headers["Accept"] = "application/json"
        self._headers_of: tuple[Token | None, Mapping[str, str]] = (None, self._headers)
        self._backoff = wait_random_exponential(multiplier=_BACKOFF_S, max=_LONGEST_BACKOFF_S)
        self.counts = Counts()
        self.allowed = AllowedValues.of(endpoint, course.allowed)
        """Which names stand for which ids, as far as the answers have taught, those of earlier parts of the run too."""
        self._valid_now = AllowedValues(endpoint)
        """What the answers to this client have taught: names may have been added since an earlier part of the run."""
        self.answered = asyncio.Event()
        """Set by the first HTTP answer of the run."""
        self.first_answer_s = 0.0
        """How long that one took."""

    async def first_token(self) -> Stop | None:
        """Have a token before any row is touched; returns why the run ends if there is none to be had."""
        try:
            await self._token()
        except _EndOfRun as end:
            return end.stop
        except ShuttingDown:
            pass  # whoever stopped the run has said why
        return None

    async def send(self, prepared: Prepared, task: asyncio.Task[object]) -> Settled:
        """Send one job, in the current task, until it is settled, may not be repeated, or the run ends."""
        job, request = prepared
        # What may have been applied is for the API to judge: "nothing was sent" would not be true of it.
        if not job.maybe_applied and (problems := self._valid_now.judge(job)):
            return Settled(Outcome(job.row, OutcomeKind.INVALID, problems=problems))
        row = RowState(job, task, effect=Effect.POSSIBLE if job.maybe_applied else Effect.NONE)
        row.asked = request.body
        try:
            if self._reading is not None and (settled := await self._compared(row, self._reading)):
                return settled
            settled = self._judged(row, await self._settle(row, request))
            if self._may_be_out_of_step(row, settled.outcome):
                return await self._in_step(row, request, settled)
        except ShuttingDown:
            return Settled(self._outcomes.unsettled(row, self._stopping.why))
        except StoreError as error:
            return self._ended(row, disk_stop(error))
        except ServiceDown:
            return self._ended(row, self._service_down(row))
        except _EndOfRun as end:
            return self._ended(row, end.stop)
        return settled

    def _may_be_out_of_step(self, row: RowState, outcome: Outcome) -> bool:
        """Whether the answer tells of another record, and may be that to an earlier request on the same connection."""
        if outcome.kind is not OutcomeKind.DIFFERS or not row.on_kept_connection or not self._endpoint.idempotent:
            return False
        named = {problem.field for problem in outcome.problems}
        return any(field.selects_record and field.name in named for field in self._endpoint.fields)

    async def _in_step(self, row: RowState, request: Request, settled: Settled) -> Settled:
        """Send the row once more, on a connection that has answered nothing: only then the answer is its own."""
        connector = self._connector
        trusted = not connector.is_distrusting
        connector.distrust("an answer told of another record than its request")
        row.effect = Effect.POSSIBLE
        again = self._judged(row, await self._settle(row, request))
        if trusted and again.outcome.kind is settled.outcome.kind:
            connector.is_distrusting = False  # the service means it
        return again

    async def _compared(self, row: RowState, reading: Reading) -> Settled | None:
        """Read the record first; None if the update is to be sent."""
        row.begins(reading=True)
        verdict = await self._settle(row, reading.builder.build_read(row.job))
        if verdict.meaning is not Meaning.ACCEPTED:
            if isinstance(row.last, Answer) and is_success(row.last.status) and row.last.parsed() == []:
                return Settled(self._outcomes.missing(row))
            return self._judged(row, verdict)
        record = row.answer.record or {}
        found = changes(self._endpoint, row.job, record, self.allowed)
        found = pending_changes(self._endpoint, row.job, record, found, reading.expected)
        if not found:
            return Settled(self._outcomes.unchanged(row))
        if since := changed_since_run(self._endpoint, row.job, record, found, reading.expected):
            return Settled(self._outcomes.changed_since(row, since))
        if not row.job.maybe_applied:
            # Otherwise an earlier part of the run may have made the record what it is, which is no value before it.
            row.before = stored(record, self._redaction)
        if reading.only:
            return Settled(self._outcomes.planned(row))
        row.begins(reading=False)
        if row.before is not None:
            await reading.before_change(row.job.row, row.before)
        return None

    def _judged(self, row: RowState, verdict: Classification) -> Settled:
        answer = row.last
        if isinstance(answer, Answer):
            if verdict.meaning is Meaning.ACCEPTED:
                return Settled(self._outcomes.accepted(row))
            if verdict.meaning is Meaning.REFUSED:
                self._learn(row.job, answer)
                refused = self._outcomes.refused(row, answer, self._valid_now)
                return Settled(refused, is_missing=says_record_missing(answer, self._endpoint, row.job))
            if verdict.meaning is Meaning.QUOTA_USED_UP:
                message = f"The account's quota of requests to {self._endpoint.api_name} is used up."
                return self._ended(row, Stop(StopReason.QUOTA, message, "Run again when the quota has been renewed."))
        return Settled(self._outcomes.unsettled(row))

    def _learn(self, job: Job, answer: Answer) -> None:
        known, parsed = self.allowed, self._redaction.json(answer.parsed())
        self._valid_now = self._valid_now.learn(job, parsed)
        self.allowed = known.learn(job, parsed)
        for names in self.allowed.lists if self.allowed is not known else ():
            if names not in known.lists:
                self._hooks.on_names(names)

    def _ended(self, row: RowState, stop: Stop) -> Settled:
        return Settled(self._outcomes.stopped(row, stop), stop)

    async def _settle(self, row: RowState, request: Request) -> Classification:
        """Make up to `attempts` attempts, with growing pauses (exponential with full jitter) between them."""
        first = await self._admitted(row, request)
        if not self._is_worth_another(first):
            return first
        # tenacity costs tens of microseconds a call, so it enters only once a row needs it: the attempt that has been
        # made counts as the first of its own.
        made = [first]

        async def attempt() -> Classification:
            return made.pop() if made else await self._admitted(row, request)

        def wait(state: RetryCallState) -> float:
            # While the breaker is open its own pauses count.
            return 0.0 if self._breaker.is_open else max(self._backoff(state), _asked_wait_s(row))

        async def sleep(seconds: float) -> None:
            self._log(row, "back-off", wait_s=round(seconds, 3))
            await self._stopping.pause(seconds)

        retrying = AsyncRetrying(
            sleep=sleep,
            stop=lambda _: (
                row.tries >= self._config.sending.attempts
                or (row.is_locked and _asked_wait_s(row) > self._config.sending.max_wait_s)
            ),
            wait=wait,
            retry=retry_if_result(self._is_worth_another),
            retry_error_callback=_last_verdict,
        )
        return await retrying(attempt)

    def _is_worth_another(self, verdict: Classification) -> bool:
        """Whether another attempt may do better, and the run may make it.

        Repeats for locked records do not open the breaker: once its budget is spent there are no more of them.
        """
        counts = self.counts
        is_affordable = not verdict.is_of_record or self._breaker.allows(
            requests=counts.requests, retries=counts.retries_locked
        )
        return verdict.meaning is Meaning.TRY_AGAIN and is_affordable

    async def _admitted(self, row: RowState, request: Request) -> Classification:
        """Make one attempt when the breaker lets it: as a probe, which does not count, while it is open."""
        while True:
            while self._breaker.is_open:
                async with self._breaker.turn:
                    if self._breaker.is_open:
                        await self._breaker.before_probe()
                        row.is_probe = True
                        try:
                            return await self._attempt(row, request)
                        finally:
                            row.is_probe = False
            try:
                verdict = await self._attempt(row, request)
            except _HeldBack:
                continue
            row.tries += 1
            return verdict

    async def _attempt(self, row: RowState, request: Request) -> Classification:
        """Send the row once, and once more for each token that has been replaced meanwhile."""
        while True:
            if self._stopping.is_set():
                raise ShuttingDown
            if self._tokens.is_due:
                await self._token()
            token = self._tokens.current
            row.last = await self._exchange(row, request, token)
            row.answer = self._told(row, row.last)
            verdict = self._verdict(row, row.last)
            self._take_note(row, row.last, verdict)
            if token and verdict.meaning in _TOKEN_ACCEPTED:
                self._tokens.accepted(token)
            if verdict.meaning is not Meaning.TOKEN_REFUSED or row.token_refusals >= _TOKEN_REFUSALS_PER_ROW:
                return verdict
            await self._replace(token)

    def _verdict(self, row: RowState, result: Answer | TransportError) -> Classification:
        if row.reading and self._reading:
            # Reading changes nothing, whatever comes of it, and may be repeated.
            verdict = classify(result, self._reading.endpoint, settles=row.answer.settles)
            return verdict._replace(effect=Effect.NONE)
        return classify(result, self._endpoint, settles=row.answer.settles)

    def _take_note(self, row: RowState, result: Answer | TransportError, verdict: Classification) -> None:
        """Remember what the attempt says about its row and about the service. Raises _EndOfRun."""
        if verdict.effect is Effect.POSSIBLE and verdict.meaning is not Meaning.ACCEPTED:
            row.effect = Effect.POSSIBLE
        row.is_locked = verdict.is_of_record
        if verdict.meaning is Meaning.TOKEN_REFUSED:
            row.token_refusals += 1
        if isinstance(result, TransportError):
            why, status = result.cause, None
        else:
            why, status = _WHY[verdict.meaning], result.status
            row.status = status
            if not self.answered.is_set():
                self.first_answer_s = time.monotonic() - row.written_at
                self._connector.doubt_s = min(max(_DOUBTED_FOR_S, 2 * self.first_answer_s), _DOUBTED_AT_MOST_S)
                self.answered.set()
        self._hooks.on_attempt(Attempt(row.job.row, row.attempts, status, row.clock_stops(), why))
        self._judge_service(row, result)
        if verdict.meaning is Meaning.TRY_AGAIN and not row.is_locked:
            self._obey_retry_after(row)

    def _judge_service(self, row: RowState, result: Answer | TransportError) -> None:
        """Tell the limiter and the breaker; end the run where no attempt of any row can do better."""
        if isinstance(result, TransportError) and result.lasting:
            raise _EndOfRun(Stop(StopReason.SERVICE_DOWN, result.message, result.advice))
        if not shows_service_down(result):
            self._breaker.answered()
            return
        unreachable = isinstance(result, TransportError) and result.effect is Effect.NONE
        what = (
            self._redaction.text(result.message) if isinstance(result, TransportError) else status_name(result.status)
        )
        counts = self.counts
        retries = counts.retries - counts.retries_locked
        self._breaker.failed(what, unreachable=unreachable, requests=counts.requests, retries=retries)
        if asks_to_slow_down(result):
            self.counts.throttled += row.status == 429
            if self._limiter.throttled(row.written_at):
                self._log(row, "slower", why=f"{self._limiter.pace_per_s():.3g} requests a second from now on")

    def _service_down(self, row: RowState) -> Stop:
        waited_s, name = self._config.sending.max_wait_s, self._endpoint.api_name
        last, advice = "", "Check that it can be reached from here, then run again to go on."
        if isinstance(row.last, TransportError):
            last = f" {row.last.message}"
            advice = row.last.advice if row.last.effect is Effect.NONE else advice
        message = f"{name} has answered nothing but failures for {waited_s:g} s (sending.max_wait_s).{last}"
        return Stop(StopReason.SERVICE_DOWN, message, advice)

    def _obey_retry_after(self, row: RowState) -> None:
        """Let the whole pool wait as long as the service asks; end the run if that is too long."""
        asked_s = _asked_wait_s(row)
        longest_s = self._config.sending.max_wait_s
        if asked_s > longest_s:
            name = self._endpoint.api_name
            message = f"{name} asks to wait {asked_s:,.0f} s, which is more than sending.max_wait_s ({longest_s:g} s)."
            raise _EndOfRun(Stop(StopReason.MAX_WAIT, message, "Run again later."))
        if asked_s:
            self._limiter.pause(asked_s)
            self._log(row, "pause", wait_s=round(asked_s, 3), why="the service asks for it (Retry-After)")

    async def _token(self) -> None:
        with _credentials_end_the_run():
            await self._tokens.renew_if_due()

    async def _replace(self, token: Token | None) -> None:
        with _credentials_end_the_run():
            await self._tokens.refused(token)

    def _told(self, row: RowState, result: Answer | TransportError) -> Confirmation:
        if not isinstance(result, Answer) or not 200 <= result.status < 300:
            return NOTHING_TOLD
        if row.reading:
            return reading_in(result, self._endpoint, row.job)
        is_done = self._config.api.accepted_is_done
        return confirmation_in(result, self._endpoint, row.job, self.allowed, accepted_is_done=is_done)

    async def _exchange(self, row: RowState, request: Request, token: Token | None) -> Answer | TransportError:
        """One physical request and its answer, or what went wrong."""
        await self._limiter.turn()
        if self._breaker.is_open and not row.is_probe:  # the turn may have taken long
            raise _HeldBack
        row.is_sent_next()
        SENDING.set(row)
        # The clock starts now: waiting for a turn was not the service's fault.
        self._under_way.start(row, row.task)
        try:
            answer = await self._request(row, request, token)
            if await self._connector.is_another_s(row):
                row.refusal = None
                raise aiohttp.ServerDisconnectedError("the refusal was an earlier request's")
            return answer  # noqa: TRY300
        except (aiohttp.ClientError, OSError, SentAgain) as error:  # a TimeoutError is an OSError
            return row.refusal or self._fault(error, row)
        except asyncio.CancelledError:
            if not self._under_way.timed_out(row):
                raise
            return row.refusal or self._fault(TimeoutError(), row)
        finally:
            self._under_way.stop(row)
            SENDING.set(None)

    def leaves(self, row: RowState) -> None:
        """Count a request that is written now. Raises _HeldBack, Stopped or StoreError if it may not be."""
        if self._breaker.is_open and not row.is_probe:  # so may the connection, and the permit
            raise _HeldBack
        if self._stopping.is_set():
            raise ShuttingDown
        self._hooks.may_send()
        self.counts.requests += 1
        self.counts.retries += row.sendings > 0
        self.counts.retries_locked += row.sendings > 0 and row.is_locked
        row.count(has_left=True)

    async def _request(self, row: RowState, request: Request, token: Token | None) -> Answer:
        async with self._session.request(
            request.method,
            self._url(request),
            data=request.body,
            headers=self._headers_with(token),
            allow_redirects=False,
            proxy=self._proxy_url,
        ) as response:
            require_not_of_proxy(response, self._proxy)
            told = Answer(response.status, b"", complete=False)
            if not 200 <= response.status < 300:
                headers = response.headers
                asked_s = asked_wait_s(response.status, headers, utc_now())
                told = told._replace(content_type=headers.get("Content-Type", ""), asked_wait_s=asked_s)
                row.refusal = told
            try:
                body = await read_at_most(response.content, _LARGEST_ANSWER_BYTES)
            except (aiohttp.ClientError, OSError):
                # The status has arrived, and says more than that the rest has not.
                response.close()
                return told
            complete = len(body) <= _LARGEST_ANSWER_BYTES
            if not complete:
                response.close()
            return Answer(response.status, body, complete, told.content_type, told.asked_wait_s)

    def _headers_with(self, token: Token | None) -> Mapping[str, str]:
        """Return the headers with this token; those of the last one are kept, because it is nearly always the same."""
        if token is not None and token is not self._headers_of[0]:
            self._headers_of = (token, {**self._headers, "Authorization": f"Bearer {token.value.reveal()}"})
        return self._headers_of[1] if token is not None else self._headers

    def _url(self, request: Request) -> URL:
        """Return where a request goes: whatever follows a slash after the base URL stays within its origin."""
        if request.path[:1] != "/":  # cannot happen with a description that was read
            raise ValueError(f"a row would be sent to {self._base}{request.path}")
        query = f"?{request.query}" if request.query else ""
        return URL(f"{self._base}{request.path}{query}", encoded=True)

    def _fault(self, error: Exception, row: RowState) -> TransportError:
        """Say what went wrong without an answer, and whether the request can have been applied."""
        host = URL(self._base).host or ""
        if not row.has_left:
            row.count(has_left=False)  # an attempt, but no request
        if isinstance(error, aiohttp.ClientSSLError) and not is_about_proxy(error, self._proxy):
            # A certificate stays as it is; any other trouble with TLS may pass, once it has worked.
            is_certificate = isinstance(error, aiohttp.ClientConnectorCertificateError)
            return _tls_fault(error, host, lasting=is_certificate or not self.answered.is_set())
        if not row.has_left or isinstance(error, aiohttp.ClientHttpProxyError):
            why = no_connection(error, self._base, self._proxy)
            lasting = why.ends_run(has_worked=self.answered.is_set())
            return TransportError("no connection", why.message, why.advice, Effect.NONE, lasting=lasting)
        advice = again_advice(self._endpoint)
        if isinstance(error, TimeoutError) and self._under_way.is_cut:
            return TransportError(
                "ended while on its way", "The run ended before the answer came.", advice, Effect.POSSIBLE
            )
        if isinstance(error, TimeoutError):
            message = f"No answer came within {self._config.api.timeout_s:g} s."
            return TransportError("no answer in time", message, advice, Effect.POSSIBLE)
        message = "The connection was lost before the answer came."
        return TransportError("connection lost", message, advice, Effect.POSSIBLE)

    def _log(self, row: RowState, event: str, **facts: object) -> None:
        _log.info(event, extra={"event": event, "row": row.job.row, "attempt": row.attempts, **facts})


_WHY = {meaning: meaning.name.lower() for meaning in Meaning}


def _last_verdict(state: RetryCallState) -> Classification:
    if state.outcome is None:
        raise RuntimeError("tenacity gave up without an attempt")
    verdict: Classification = state.outcome.result()
    return verdict


def disk_stop(error: StoreError) -> Stop:
    """Return why the run ends when its journal can no longer be written."""
    return Stop(StopReason.DISK, str(error), error.remedy)


class _EndOfRun(Exception):  # noqa: N818
    """Something that is not the row's fault ends the whole run."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.message)
        self.stop = stop


@contextmanager
def _credentials_end_the_run() -> Iterator[None]:
    try:
        yield
    except (CredentialsRefused, ConfigError) as refusal:
        advice = "Check the token or the client's credentials in the configuration, then run again."
        raise _EndOfRun(Stop(StopReason.CREDENTIALS, refusal.message, advice)) from refusal
    except TokenUnavailable as trouble:
        raise _EndOfRun(Stop(StopReason.SERVICE_DOWN, trouble.message, trouble.advice)) from trouble


def _asked_wait_s(row: RowState) -> float:
    """Return how long the service asks to wait; 0 if it does not."""
    return (row.last.asked_wait_s or 0.0) if isinstance(row.last, Answer) else 0.0


def _tls_fault(error: aiohttp.ClientSSLError, host: str, *, lasting: bool) -> TransportError:
    return TransportError(
        "no secure connection",
        f"No secure connection to {host} can be made: {reason_of(error)}.",
        "Check api.base_url and api.ca_file; ask whoever runs the network whether a proxy replaces certificates.",
        Effect.NONE,
        lasting=lasting,
    )
