"""Jobs -> outcomes: a bounded queue, workers on one session, order per target, stopping."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.errors import StoreError
from batch_updater.records import Outcome, OutcomeKind, Stop, StopReason
from batch_updater.sender.auth import OAuthClient, TokenSource, source_by_reference
from batch_updater.sender.breaker import Breaker
from batch_updater.sender.client import (
    Client,
    Controls,
    Hooks,
    Identity,
    Settled,
    disk_stop,
    tls_context,
)
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.limiter import Limiter
from batch_updater.sender.outcomes import not_sent
from batch_updater.sender.proxies import proxy_for
from batch_updater.sender.shutdown import Shutdown, ShuttingDown
from batch_updater.sender.wire import Connector, WrittenAtOnce, sockets_closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batch_updater.config.environment import Environment
    from batch_updater.config.schema import Config
    from batch_updater.endpoint.allowed import AllowedValues
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Job
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.send_options import SendOptions

_SETTLED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS, OutcomeKind.PLANNED})
"""After these the next row of a target may have its turn."""
_UNSETTLED = frozenset({OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED})
_FAILURES = frozenset({OutcomeKind.REJECTED, OutcomeKind.DIFFERS, OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED})
_REFUSED_CALLS = frozenset({405, 406, 410, 415})
"""Refusals of the call more than of a row. They stop no run, but where all rows get one, it may not be the file."""
_ENOUGH_MISSING = 3
"""So many rows whose records are missing may mean another API, or another account, and not mistyped ids."""
_PARKED_AT_MOST = 10_000
"""Jobs that may wait for an earlier one of their target before reading the file pauses."""
_SPREAD_OVER_S = 1.0
"""The workers begin within so long, however slow the service is."""
_AHEAD_OF_A_WORKER = 2
"""How many jobs are made ready ahead for each worker, at most."""
_AHEAD_S = 0.1
"""How long the jobs last that are made ready ahead of the workers, and for which the journal has one commit.

Those jobs count as possibly in flight if the program is killed, so they are no more than the rate needs."""


_log = logging.getLogger("batch_updater.sender")


class UniformRefusal(NamedTuple):
    """That the API refused rows in one and the same way."""

    how: str
    """`404 Not Found`."""
    shows_set_up: bool
    """Whether that may be trouble of the set-up: a few records that are missing are rather mistyped ids."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """What went out, and how it ended."""

    requests: int
    retries: int
    throttled: int
    """Requests that were answered with 429."""
    stop: Stop | None
    aborted: bool
    """Whether somebody asked twice: then not even the workbook is waited for."""
    allowed: AllowedValues
    limiter: Limiter
    """What it has permitted, for whoever sends to the same service next."""
    uniform_refusal: UniformRefusal | None
    """How the API refused every row, or the first `stop_after_alike` of them; None if it did not."""


@dataclass(slots=True)
class _UniformRefusals:
    """Counts how the first finished rows were refused: if all alike, the set-up is wrong and not the rows."""

    limit: int
    seen: int = 0
    kind: str | None = None
    are_missing: bool = True
    """Whether each answer said that there is no such record."""

    @property
    def refusal(self) -> UniformRefusal | None:
        """How all rows so far were refused; None if they were not."""
        is_enough = self.seen >= min(self.limit, _ENOUGH_MISSING)
        return UniformRefusal(self.kind, not self.are_missing or is_enough) if self.kind else None

    def kind_after(self, settled: Settled) -> str | None:
        """Take note of one more finished row; returns how all of the first `limit` were refused, else None.

        A row that is not settled, such as one whose record is locked, says nothing about the set-up.
        """
        outcome = settled.outcome
        if self.seen >= self.limit or not outcome.attempts or outcome.kind in _UNSETTLED:
            return None
        self.are_missing = self.are_missing and settled.is_missing
        kind = _refusal(outcome)
        self.kind = kind if self.seen == 0 or kind == self.kind else None
        self.seen = self.seen + 1 if self.kind else self.limit
        return self.kind if self.seen == self.limit else None


def _refusal(outcome: Outcome) -> str | None:
    if outcome.kind is not OutcomeKind.REJECTED or outcome.status is None:
        return None
    if 300 <= outcome.status < 400:
        return "a redirect to another address"
    if outcome.status in {403, 404} or outcome.status in _REFUSED_CALLS:
        return f"{outcome.status} {HTTPStatus(outcome.status).phrase}"
    return None


@dataclass(slots=True)
class _Targets:
    """Keeps the jobs of one target in file order, one at a time."""

    parked: dict[str, deque[Job]] = field(default_factory=dict)
    """Target under way -> the jobs that wait for it."""
    held: dict[str, int] = field(default_factory=dict)
    """Target that did not settle -> the row because of which its later ones wait."""
    waiting: int = 0

    def claim(self, job: Job) -> bool:
        """Whether the job may start now; if not, it waits."""
        if job.target not in self.parked:
            self.parked[job.target] = deque()
            return True
        self.parked[job.target].append(job)
        self.waiting += 1
        return False

    def release(self, job: Job) -> Job | None:
        """Return the next job of the target, which may start now; None if none waits."""
        queue = self.parked[job.target]
        if not queue:
            del self.parked[job.target]
            return None
        self.waiting -= 1
        return queue.popleft()


class _Ready:
    """Jobs that the workers may take: at most `ahead` more than are being sent when the feeder goes on.

    A queue that wakes the feeder once for many jobs: asyncio's would wake it for each.
    """

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self._jobs: deque[Prepared] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        """Workers without a job."""
        self._needed = asyncio.Event()
        """Set while there are fewer jobs than the workers will take before the feeder can make further ones ready."""
        self._ended = False

    async def put(self, batch: Sequence[Prepared]) -> None:
        """Add jobs; returns when it is time to make further ones ready."""
        self._jobs.extend(batch)
        self._wake(len(batch))
        if len(self._jobs) >= self.ahead:
            self._needed.clear()
            await self._needed.wait()

    def end(self) -> None:
        """There will be no more jobs."""
        self._ended = True
        self._wake(len(self._waiting))

    def take(self) -> Prepared | None:
        """Return the next job; None if there is none just now."""
        if not self._jobs:
            return None
        prepared = self._jobs.popleft()
        if len(self._jobs) < self.ahead:
            self._needed.set()
        return prepared

    async def wait(self) -> Prepared | None:
        """Return the next job when there is one; None at the end."""
        while (prepared := self.take()) is None and not self._ended:
            woken = asyncio.get_running_loop().create_future()
            self._waiting.append(woken)
            await woken
        return prepared

    def _wake(self, count: int) -> None:
        while count and self._waiting:
            if not (woken := self._waiting.popleft()).done():  # it is if its worker was cancelled
                woken.set_result(None)
                count -= 1


class Sender:
    """Sends the jobs of one run. Use it once."""

    def __init__(
        self,
        endpoint: Endpoint,
        config: Config,
        hooks: Hooks,
        credentials: Credentials,
        environment: Environment,
        course: SendOptions,
    ) -> None:
        self._endpoint = endpoint
        self._builder = RequestBuilder(endpoint)
        self._config = config
        self._hooks = hooks
        self._credentials = credentials
        self._course = course
        self._environment = environment
        self._stopping = Shutdown()
        self._stop: Stop | None = None
        self._aborted = False
        self._alike = _UniformRefusals(0 if course.keep_going else config.sending.stop_after_alike)
        self._failures_left = config.sending.failures_allowed(course.rows)
        self._targets = _Targets()
        self._unparked = asyncio.Event()
        self._finished = asyncio.Event()
        """Set with each outcome."""
        self._begun = 0
        """Workers that have begun since the first answer."""
        self._under_way = InFlight(config.api.timeout_s)

    def stop(self) -> None:
        """Start nothing new; wait for what was sent, `drain_s` at most. In the loop's thread."""
        self._end(Stop(StopReason.INTERRUPTED, "Somebody asked the run to stop.", "Run again to go on."))
        self._under_way.cut_unsent()
        asyncio.get_running_loop().call_later(self._config.sending.drain_s, self._under_way.cut)

    def abort(self) -> None:
        """End at once. In the loop's thread."""
        self._aborted = True
        self.stop()
        self._under_way.cut()

    async def send(self, jobs: Iterator[Job]) -> SendResult:
        """Send until the jobs or the run end. Every job taken from the iterator gets exactly one outcome."""
        sending = self._config.sending
        limiter = self._course.limiter or Limiter(sending.rate_per_s, sending.burst, self._stopping)
        limiter.go_on(self._stopping)
        connector = self._connector(limiter)
        timeout = aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_s())
        async with aiohttp.ClientSession(
            connector=connector,
            request_class=WrittenAtOnce,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            auto_decompress=True,
        ) as session:
            client = self._make_client(session, limiter)
            connector.leaves = client.leaves
            if stop := await client.first_token():
                self._end(stop)
            await self._send_all(jobs, client)
        await sockets_closed()
        counts = client.counts
        return SendResult(
            counts.requests, counts.retries, counts.throttled, self._stop, self._aborted, client.allowed, limiter,
            self._alike.refusal,
        )  # fmt: skip

    async def _send_all(self, jobs: Iterator[Job], client: Client) -> None:
        sending = self._config.sending
        ready = _Ready(max(1, min(_AHEAD_OF_A_WORKER * sending.concurrency, math.ceil(sending.rate_per_s * _AHEAD_S))))
        async with asyncio.TaskGroup() as group:
            for _ in range(sending.concurrency):
                group.create_task(self._work(ready, client))
            await self._feed(jobs, ready, client.answered)

    async def _feed(self, jobs: Iterator[Job], ready: _Ready, answered: asyncio.Event) -> None:
        """Make jobs ready as fast as they are sent, and no faster; until the first HTTP answer one at a time."""
        while not self._stopping.is_set():
            batch = await self._claimed(jobs, ready.ahead if answered.is_set() else 1)
            if not batch:
                break
            self._finished.clear()
            await self._announce(batch)
            await ready.put(batch)
            if not answered.is_set():
                await _first_of(answered, self._finished)
        ready.end()

    async def _claimed(self, jobs: Iterator[Job], count: int) -> list[Prepared]:
        """Return the next jobs that may start now, `count` at most; none at the end."""
        batch: list[Prepared] = []
        while len(batch) < count:
            while self._targets.waiting >= _PARKED_AT_MOST and not batch:
                self._unparked.clear()
                await self._unparked.wait()
            if self._targets.waiting >= _PARKED_AT_MOST or (job := next(jobs, None)) is None:
                break
            if self._targets.claim(job):
                batch.append(self._prepared(job))
        return batch

    def _prepared(self, job: Job) -> Prepared:
        return Prepared(job, self._builder.build(job))

    async def _announce(self, batch: Sequence[Prepared]) -> None:
        """Wait until these jobs may go out; if they never may, the run ends and they still get their outcomes."""
        try:
            await self._hooks.before_send(batch)
        except StoreError as error:
            self._end(disk_stop(error))

    async def _work(self, ready: _Ready, client: Client) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker is no task")
        prepared = ready.take() or await ready.wait()
        if client.answered.is_set():
            await self._spread(client.first_answer_s)
        while prepared is not None:
            await self._process(prepared, client, task)
            while (following := self._targets.release(prepared.job)) is not None:
                self._unparked.set()
                prepared = self._prepared(following)
                if not self._is_held(following):
                    await self._announce((prepared,))
                await self._process(prepared, client, task)
            prepared = ready.take() or await ready.wait()

    async def _spread(self, first_answer_s: float) -> None:
        """Let the workers begin one after another, spread over the time that an answer takes.

        Requests that go out together are answered together, and each answer then waits for those before it, round after
        round. With 50 workers and answers of 50 ms that costs 2% of the rate.
        """
        self._begun += 1
        wait_s = min(first_answer_s, _SPREAD_OVER_S) * self._begun / self._config.sending.concurrency
        with suppress(ShuttingDown):  # then the job is told so
            await self._stopping.pause(wait_s)

    async def _process(self, prepared: Prepared, client: Client, task: asyncio.Task[object]) -> None:
        """Give one job its outcome and tell it."""
        job = prepared.job
        settled = await self._settled(prepared, client, task)
        outcome = settled.outcome
        if outcome.kind not in _SETTLED and self._config.input.duplicates == "in_order":
            self._targets.held.setdefault(job.target, job.row)
        self._judge_run(settled)
        try:
            await self._hooks.on_outcome(outcome)
        except StoreError as error:
            self._end(disk_stop(error))
        self._finished.set()

    def _is_held(self, job: Job) -> bool:
        """Whether the job will not be sent in this run."""
        return self._stopping.is_set() or job.target in self._targets.held

    async def _settled(self, prepared: Prepared, client: Client, task: asyncio.Task[object]) -> Settled:
        job = prepared.job
        if self._stopping.is_set():
            return Settled(not_sent(job, self._stopping.why))
        earlier = self._targets.held.get(job.target)
        if earlier is not None:
            return Settled(_waits(job, earlier))
        settled = await client.send(prepared, task)
        if settled.stop:
            self._end(settled.stop)
        return settled

    def _judge_run(self, settled: Settled) -> None:
        """End the run if its outcomes so far say that going on makes no sense."""
        outcome = settled.outcome
        kind = self._alike.kind_after(settled)
        if kind and outcome.status not in _REFUSED_CALLS:
            message = f"The first {self._alike.limit} rows were all refused alike: {kind}. So something else is wrong."
            advice = f"{outcome.advice} If it is right all the same, add --keep-going."
            self._end(Stop(StopReason.ALL_ALIKE, message, advice))
        if self._failures_left is not None and outcome.kind in _FAILURES:
            self._failures_left -= 1
            if self._failures_left <= 0:
                limit = self._config.sending.stop_after_failures
                message = f"As many rows have failed as sending.stop_after_failures allows ({limit})."
                self._end(Stop(StopReason.FAILURES, message, "Look at the causes before more is sent."))

    def _end(self, stop: Stop) -> None:
        """Start nothing new; the first reason counts."""
        redact = self._environment.redaction.text
        stop = replace(stop, message=redact(stop.message), advice=redact(stop.advice))
        if self._stop is None:
            wait_s = self._config.sending.drain_s if stop.reason is StopReason.INTERRUPTED else None
            _log.warning("stop", extra={"event": "stop", "why": stop.reason.value, "wait_s": wait_s})
        self._stop = self._stop or stop
        self._stopping.why = self._stop.message
        self._stopping.set()
        self._unparked.set()

    def _make_client(self, session: aiohttp.ClientSession, limiter: Limiter) -> Client:
        sending = self._config.sending
        breaker = Breaker(sending.max_wait_s, sending.retry_budget, self._stopping)
        identity = Identity(
            self._token_source(session, limiter), self._credentials.headers, self._environment.redaction
        )
        controls = Controls(limiter, breaker, self._under_way, self._stopping)
        return Client(self._endpoint, self._config, session, controls, identity, self._hooks, self._course)

    def _token_source(self, session: aiohttp.ClientSession, limiter: Limiter) -> TokenSource:
        api, secrets = self._config.api, self._credentials
        if api.oauth and secrets.client_secret:
            oauth = OAuthClient(
                api.oauth,
                secrets.client_secret,
                session,
                permit=limiter.turn,
                pause=self._stopping.pause,
                in_flight=self._under_way,
                attempts=self._config.sending.attempts,
                redaction=self._environment.redaction,
                proxy=proxy_for(api, api.oauth.token_url),
                max_wait_s=self._config.sending.max_wait_s,
            )
            return TokenSource(None, oauth.fetch)
        if api.token and secrets.token:
            return source_by_reference(api.token, secrets.token, self._environment)
        return TokenSource(None, None)

    def _connector(self, limiter: Limiter) -> Connector:
        api = self._config.api
        secure = (api.base_url or "").startswith("https:") or (api.oauth and api.oauth.token_url.startswith("https:"))
        tls = tls_context(str(api.ca_file) if api.ca_file else None) if secure else True
        return Connector(self._config.sending.concurrency + 1, tls, limiter, self._under_way)

    def _connect_timeout_s(self) -> float:
        """Return the limit for connecting: a little below that for the whole attempt, so that the two differ."""
        return min(self._config.api.connect_timeout_s, 0.95 * self._config.api.timeout_s)


async def _first_of(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return when either is set."""
    waiting = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _waits(job: Job, earlier: int) -> Outcome:
    return Outcome(
        job.row,
        OutcomeKind.UNCONFIRMED if job.maybe_applied else OutcomeKind.NOT_SENT,
        f"Row {earlier} updates the same record and has to be done first.",
        f"See to row {earlier}, then run again.",
        "waits for an earlier row of the same record",
    )
