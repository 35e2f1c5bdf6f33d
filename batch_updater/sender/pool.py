"""Requests -> outcomes: a bounded queue, workers on one session, order per target, shutdown."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ApiSettings, SendingSettings
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import Prepared
from batch_updater.errors import StoreError
from batch_updater.records import Job, Outcome, OutcomeKind, Stop, StopReason
from batch_updater.sender.answer import status_name
from batch_updater.sender.auth import Credentials, OAuthClient, TokenSource, refusal_advice, source_by_reference
from batch_updater.sender.breaker import Breaker
from batch_updater.sender.client import END_THE_RUN, Client, Counts, SentRow, stop_for
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.limiter import Limiter, RateLimiter
from batch_updater.sender.outcomes import message_for_log, not_sent
from batch_updater.sender.proxies import proxy_for
from batch_updater.sender.send_options import Elsewhere, Hooks, SendOptions
from batch_updater.sender.shutdown import Shutdown, ShuttingDown
from batch_updater.sender.transport import Transport, tls_for
from batch_updater.sender.wire import Connector, WrittenAtOnce, sockets_closed

SETTLED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS, OutcomeKind.PLANNED})
"""After these the next row of a target may have its turn."""
_UNSETTLED = frozenset({OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED})
FAILURES = frozenset({OutcomeKind.REJECTED, OutcomeKind.DIFFERS, OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED})
_REFUSED_CALLS = frozenset({405, 406, 410, 415})
"""Refusals of the call more than of a row. They stop no run, but where all rows get one, it may not be the file."""
_OF_THE_SET_UP = dict.fromkeys(range(300, 400), "a redirect to another address") | {
    status: status_name(status) for status in (403, 404, *_REFUSED_CALLS)
}
"""Statuses that every row gets where the set-up is wrong, in words."""
_ENOUGH_MISSING = 3
"""So many rows whose records are missing may mean another API, or another account, and not mistyped ids."""
_PARKED_AT_MOST = 10_000
"""Rows that may wait for an earlier one of their target before no more are taken."""
_SPREAD_OVER_S = 1.0
"""The workers begin within so long, however slow the service is."""
_AHEAD_OF_A_WORKER = 4
"""How many rows are made ready ahead for each worker, at most: fewer, and workers wait for the disk where the service
answers at once."""
_AHEAD_S = 0.1
"""How long the rows last that are made ready ahead of the workers, and for which the database has one commit.

They count as possibly in flight if the program is killed, so they are no more than the rate needs."""


_log = logging.getLogger("batch_updater.sender")


YOU_STOPPED = Stop(StopReason.INTERRUPTED, "You stopped the run.", "Run again to go on.")


class UniformRefusal(NamedTuple):
    """How the API refused all rows in one and the same way."""

    how: str
    shows_set_up: bool
    """Whether that may be trouble of the set-up: a few records that are missing are rather mistyped ids."""


class SendResult(msgspec.Struct, frozen=True):
    """What went out, and how it ended."""

    requests: int
    retries: int
    throttled: int
    stop: Stop | None
    aborted: bool
    """Whether the run was told twice to stop: then not even the workbook is waited for."""
    allowed: AllowedValues
    limiter: RateLimiter
    """What it has permitted, for what is sent to the same service next."""
    uniform_refusal: UniformRefusal | None
    """How the API refused every row, or the first `stop_after_alike` of them; None if it did not."""


class UniformRefusals(msgspec.Struct):
    """Counts how the first finished rows were refused: if all in the same way, the set-up is wrong and not the rows."""

    limit: int
    seen: int = 0
    """`limit` once one was not, or in another way."""
    kind: str | None = None
    are_missing: bool = True
    """Whether each answer said that there is no such record."""

    @property
    def refusal(self) -> UniformRefusal | None:
        """How all rows so far were refused; None if they were not."""
        is_enough = self.seen >= min(self.limit, _ENOUGH_MISSING)
        return UniformRefusal(self.kind, not self.are_missing or is_enough) if self.kind else None

    def kind_after(self, sent: SentRow, elsewhere: Elsewhere) -> str | None:
        """Take note of one more finished row; returns how all of the first `limit` were refused, else None.

        A row that is not settled, such as one whose record is locked, says nothing about the set-up.
        """
        outcome = sent.outcome
        if self.seen >= self.limit or not outcome.attempts or outcome.kind in _UNSETTLED:
            return None
        self.are_missing = self.are_missing and sent.is_missing
        kind = _OF_THE_SET_UP.get(outcome.status or 0) if outcome.kind is OutcomeKind.REJECTED else None
        is_same = (self.seen == 0 or kind == self.kind) and elsewhere.refused_as in {None, kind}
        self.kind = kind if is_same and not elsewhere.refusals_differ else None
        self.seen = self.seen + 1 if self.kind else self.limit
        return self.kind if self.seen + elsewhere.refused >= self.limit else None


class _TargetQueues(msgspec.Struct):
    """Keeps the rows of one target in file order, one at a time."""

    parked: dict[str, deque[Prepared] | None] = msgspec.field(default_factory=dict)
    """Target in flight -> the rows that wait for it; None if none has ever waited, as for nearly every target."""
    held: dict[str, int] = msgspec.field(default_factory=dict)
    """Target that did not settle -> the row because of which its later ones wait."""
    waiting: int = 0

    def claim(self, prepared: Prepared) -> bool:
        """Whether the row may start now; if not, it waits."""
        target = prepared.job.target
        if target not in self.parked:
            self.parked[target] = None
            return True
        queue = self.parked[target] = self.parked[target] or deque()
        queue.append(prepared)
        self.waiting += 1
        return False

    def release(self, job: Job) -> Prepared | None:
        """Return the next row of the target, which may start now; None if none waits."""
        queue = self.parked[job.target]
        if not queue:
            del self.parked[job.target]
            return None
        self.waiting -= 1
        return queue.popleft()


class _Ready:
    """Rows that the workers may take: at most `ahead` more than are being sent when the feeder goes on.

    The feeder is woken once for many rows: the limit of asyncio's queue would wake it for each.
    """

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self._rows: asyncio.Queue[Prepared | None] = asyncio.Queue()
        self._needed = asyncio.Event()
        """Set while there are fewer rows than the workers will take before the feeder can make further ones ready."""

    async def put(self, batch: Sequence[Prepared]) -> None:
        """Add rows; returns when it is time to make further ones ready."""
        for prepared in batch:
            self._rows.put_nowait(prepared)
        if self._rows.qsize() >= self.ahead:
            self._needed.clear()
            await self._needed.wait()

    def end(self) -> None:
        """There will be no more rows."""
        self._rows.put_nowait(None)

    async def take(self) -> Prepared | None:
        """Return the next row when there is one; None at the end."""
        prepared = await self._rows.get()
        if prepared is None:
            self.end()  # for the other workers, too
        elif self._rows.qsize() < self.ahead:
            self._needed.set()
        return prepared


class Sender(msgspec.Struct, eq=False, dict=True):
    """Sends the rows of one run. Use it once."""

    endpoint: Endpoint
    api: ApiSettings
    sending: SendingSettings
    hooks: Hooks
    credentials: Credentials
    environment: Environment
    options: SendOptions

    def __post_init__(self) -> None:
        self._shutdown = Shutdown()
        self._stop: Stop | None = None
        self._aborted = False
        self.refusals = UniformRefusals(0 if self.options.keep_going else self.sending.stop_after_alike)
        """How the first rows were refused."""
        self.counts = Counts()
        """What has gone out."""
        self._failures = 0
        self._failures_allowed = self.sending.failures_allowed(self.options.rows)
        self._targets = _TargetQueues(held=dict(self.options.held))
        self._unparked = asyncio.Event()
        self._finished = asyncio.Event()
        self._begun = 0
        self._in_flight = InFlight(self.api.timeout_s)

    @property
    def stopped(self) -> Stop | None:
        """Why it has ended, or is ending, before every row had its turn."""
        return self._stop

    def stop(self, why: Stop = YOU_STOPPED, within_s: float = math.inf) -> None:
        """Start nothing new; wait for what was sent, `drain_s` or `within_s` at most. In the loop's thread."""
        self.end(why)
        self._in_flight.cancel_unsent()
        asyncio.get_running_loop().call_later(min(self.sending.drain_s, within_s), self._in_flight.cancel_all)

    def abort(self) -> None:
        """End at once. In the loop's thread."""
        self._aborted = True
        self.stop()
        self._in_flight.cancel_all()

    async def send(self, rows: Iterator[Prepared]) -> SendResult:
        """Send until the rows or the run end. Every row taken from the iterator gets exactly one outcome."""
        api, sending = self.api, self.sending
        limiter = self.options.limiter or Limiter(sending.rate_per_s, sending.burst, self._shutdown)
        limiter.go_on(self._shutdown)
        tls = tls_for(api, api.base_url or "", api.oauth.token_url if api.oauth else "")
        # A little below the limit for the whole attempt, so that the two differ.
        connect_timeout_s = min(api.connect_timeout_s, 0.95 * api.timeout_s)
        connector = Connector(sending.concurrency + 1, tls, limiter, self._in_flight, connect_timeout_s)
        async with aiohttp.ClientSession(
            connector=connector,
            request_class=WrittenAtOnce,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
            auto_decompress=True,
        ) as session:
            redaction = self.environment.redaction
            transport = Transport(self.endpoint, api, self.credentials, connector, self._in_flight)
            breaker = self.options.breaker or Breaker(sending.max_wait_s, sending.retry_budget, self._shutdown)
            client = Client(
                self.endpoint, api, sending, self.hooks, self.options, transport, limiter, breaker,
                self._token_source(session, limiter), self._shutdown, redaction, self.counts,
            )  # fmt: skip
            try:
                await client.tokens.renew_if_due()  # before any row is touched
            except END_THE_RUN as error:
                self.end(stop_for(error, self.api, self.endpoint, self.options.host))
            except ShuttingDown:
                pass  # its reason is known
            ready = _Ready(self._ahead)
            async with asyncio.TaskGroup() as group:
                for _ in range(sending.concurrency):
                    group.create_task(self._work(ready, client, transport))
                await self._feed(rows, ready, transport.answered)
        await sockets_closed()
        counts = self.counts
        return SendResult(
            counts.requests, counts.retries, counts.throttled, self._stop, self._aborted, client.allowed, limiter,
            self.refusals.refusal,
        )  # fmt: skip

    @property
    def _ahead(self) -> int:
        """How many rows are made ready ahead: those that this sender's share of the rate lets go out in `_AHEAD_S`.

        With those that are being made ready, and one for each worker, no more than `concurrency + 2 * ahead - 1` rows
        are possibly in flight in the database at any moment.
        """
        share = self.sending.rate_per_s / (1 + self.options.elsewhere.senders)
        return max(1, min(_AHEAD_OF_A_WORKER * self.sending.concurrency, math.ceil(share * _AHEAD_S)))

    async def _feed(self, rows: Iterator[Prepared], ready: _Ready, answered: asyncio.Event) -> None:
        """Make rows ready as fast as they are sent, and no faster; until the first HTTP answer one at a time."""
        while not self._shutdown.is_set():
            ready.ahead = self._ahead
            try:
                batch = await self._next_batch(rows, ready.ahead if answered.is_set() else 1)
            except StoreError as error:  # which rows are left cannot be read
                self.end(stop_for(error, self.api, self.endpoint))
                break
            if not batch:
                break
            self._finished.clear()
            await self._announce(batch)
            await ready.put(batch)
            if not answered.is_set():
                waiting = [asyncio.create_task(event.wait()) for event in (answered, self._finished)]
                try:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in waiting:
                        task.cancel()
        ready.end()

    async def _next_batch(self, rows: Iterator[Prepared], count: int) -> list[Prepared]:
        """Return the next rows that may start now, `count` at most; none at the end."""
        batch: list[Prepared] = []
        while len(batch) < count:
            while self._targets.waiting >= _PARKED_AT_MOST and not batch:
                self._unparked.clear()
                await self._unparked.wait()
            if self._targets.waiting >= _PARKED_AT_MOST or (prepared := next(rows, None)) is None:
                break
            if self._targets.claim(prepared):
                batch.append(prepared)
        return batch

    async def _announce(self, batch: Sequence[Prepared]) -> None:
        """Wait until these rows may go out; if they never may, the run ends and they still get their outcomes."""
        try:
            await self.hooks.before_send(batch)
        except StoreError as error:
            self.end(stop_for(error, self.api, self.endpoint))

    async def _work(self, ready: _Ready, client: Client, transport: Transport) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker is no task")
        prepared = await ready.take()
        if transport.answered.is_set():
            # The workers begin one after another, spread over the time that an answer takes. Requests that go out
            # together are answered together, and each answer then waits for those before it, round after round: with
            # 50 workers and answers of 50 ms that costs 2% of the rate.
            self._begun += 1
            wait_s = min(transport.first_answer_s, _SPREAD_OVER_S) * self._begun / self.sending.concurrency
            with suppress(ShuttingDown):  # then its row is told so
                await self._shutdown.pause(wait_s)
        while prepared is not None:
            await self._process(prepared, client, task)
            while (following := self._targets.release(prepared.job)) is not None:
                self._unparked.set()
                prepared = following
                if not self._shutdown.is_set() and prepared.job.target not in self._targets.held:
                    await self._announce((prepared,))
                await self._process(prepared, client, task)
            prepared = await ready.take()

    async def _process(self, prepared: Prepared, client: Client, task: asyncio.Task[object]) -> None:
        """Give one row its outcome and tell it."""
        job = prepared.job
        if self._shutdown.is_set():
            sent = SentRow(not_sent(job, self._shutdown.why))
        elif (earlier := self._targets.held.get(job.target)) is not None:
            sent = SentRow(
                Outcome(
                    job.row,
                    OutcomeKind.UNCONFIRMED if job.maybe_applied else OutcomeKind.NOT_SENT,
                    f"Row {earlier} updates the same record and has to be done first.",
                    f"See to row {earlier}, then run again.",
                    "waits for an earlier row of the same record",
                    maybe_applied=job.maybe_applied,
                )
            )
        else:
            sent = await client.send(prepared, task)
            if sent.stop:
                self.end(sent.stop)
        if self.options.in_order and sent.outcome.kind not in SETTLED:
            self._targets.held.setdefault(job.target, job.row)
        # The run ends if its outcomes so far say that going on makes no sense.
        outcome = sent.outcome
        kind = self.refusals.kind_after(sent, self.options.elsewhere)
        if kind and outcome.status not in _REFUSED_CALLS:
            rows = f"The first {self.refusals.limit} rows"
            message = f"{rows} were all refused in the same way: {kind}. So something else is wrong."
            account = f" {refusal_advice(self.api, self.endpoint)}" if outcome.status == HTTPStatus.FORBIDDEN else ""
            advice = f"{outcome.advice}{account} If it is right all the same, add --keep-going."
            self.end(Stop(StopReason.ALL_ALIKE, message, advice))
        if self._failures_allowed is not None and outcome.kind in FAILURES:
            self._failures += 1
            if self._failures + self.options.elsewhere.failures >= self._failures_allowed:
                limit = self.sending.stop_after_failures
                message = f"As many rows have failed as sending.stop_after_failures allows ({limit})."
                self.end(Stop(StopReason.FAILURES, message, "Look at the causes before more is sent."))
        if outcome.message or outcome.problems:
            told = {"row": job.row, "target": job.target, "status": outcome.status}
            said = message_for_log(outcome, job)
            _log.info("outcome", extra={"event": "outcome", "why": outcome.kind.value, "said": said, **told})
        try:
            self.hooks.on_outcome(outcome)
        except StoreError as error:
            self.end(stop_for(error, self.api, self.endpoint))
        self._finished.set()

    def end(self, stop: Stop) -> None:
        """Start nothing new; the first reason counts. In the loop's thread."""
        redact = self.environment.redaction.text
        stop = replace(stop, message=redact(stop.message), advice=redact(stop.advice))
        if self._stop is None:
            wait_s = self.sending.drain_s if stop.reason is StopReason.INTERRUPTED else None
            told = {"event": "stop", "why": stop.reason.value, "said": stop.message, "wait_s": wait_s}
            _log.warning("stop", extra=told)
        self._stop = self._stop or stop
        self._shutdown.why = self._stop.message
        self._shutdown.set()
        self._unparked.set()

    def _token_source(self, session: aiohttp.ClientSession, limiter: RateLimiter) -> TokenSource:
        api, secrets = self.api, self.credentials
        if api.oauth and secrets.client_secret:
            oauth = OAuthClient(
                api.oauth,
                secrets.client_secret,
                session,
                permit=limiter.turn,
                pause=self._shutdown.pause,
                in_flight=self._in_flight,
                attempts=self.sending.attempts,
                redaction=self.environment.redaction,
                proxy=proxy_for(api, api.oauth.token_url),
                max_wait_s=self.sending.max_wait_s,
            )
            return TokenSource(None, oauth.fetch, kept=self.options.token)
        return source_by_reference(api, secrets, self.environment, self.options.token)
