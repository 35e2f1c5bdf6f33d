"""The circuit breaker of a team: any worker opens and closes it for all, and one probe at a time goes out for all."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from batch_updater.sender.breaker import FIRST_PAUSE_S, Failures, ServiceDown, share_of_pause
from batch_updater.sender.shutdown import end_pause
from batch_updater.sender.team_limiter import TeamLimiter
from batch_updater.sender.team_quota import OpenBreaker, QuotaState

_LOOKS_EVERY_S = 0.1
"""While a row waits to probe: so much later than the limiter it learns that the breaker has closed."""
_LOST_AFTER_MORE_S = 5.0
"""Than a request may take, the probe of a worker that is gone is lost, and another may be taken."""

_log = logging.getLogger("batch_updater.sender")


class TeamBreaker:
    """Opens for all workers when one of them sees nothing but failures, or has spent its retry budget.

    What the others do is learned with the permits that the limiter leases, or by its watch. While the breaker is open,
    the rows of all workers wait, and one of them is sent as a probe. After `max_wait_s` without success `before_probe`
    raises ServiceDown in every worker.
    """

    def __init__(
        self,
        limiter: TeamLimiter,
        max_wait_s: float,
        retry_budget: float,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`max_wait_s` counts where this worker opens it; `timeout_s` is how long a request may take."""
        self._limiter = limiter
        self._quota = limiter.quota
        self._max_wait_s = max_wait_s
        self._failures = Failures(retry_budget)
        self._lost_after_s = timeout_s + _LOST_AFTER_MORE_S
        self._clock = clock
        self._chance = chance
        self._open: OpenBreaker | None = None
        self._probing: asyncio.Task[object] | None = None
        """The task whose next answer is that of the team's probe."""
        self.turn = asyncio.Lock()
        """Held by the row that probes, or waits to; given to the others in the order in which they came."""
        limiter.on_state = self._learn

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes may go out."""
        return self._open is not None

    def answered(self) -> None:
        """Take note of an answer that is neither 429 nor 5xx: the service works."""
        self._failures.end_series()
        self._end_probe()
        if self._open is not None:
            self._open = None
            self._limiter.tell(self._quota.close_breaker())
            _log.warning("breaker closed", extra={"event": "breaker closed", "why": "the service answers again"})

    def allows(self, *, requests: int, retries: int) -> bool:
        """Whether the budget for repeats is not spent."""
        return self._failures.allow(requests=requests, retries=retries)

    def failed(self, what: str, *, unreachable: bool, requests: int, retries: int) -> None:
        """Take note of a 429, a 5xx or no answer, in words; `requests` and `retries` have gone out so far."""
        why = self._failures.add(what, unreachable=unreachable, requests=requests, retries=retries)
        is_of_probe = self._end_probe()
        if self._open is not None:
            if is_of_probe:
                self._limiter.tell(self._quota.probe_failed(share_of_pause(self._chance)))
        elif why is not None:
            pause_s, now = FIRST_PAUSE_S * share_of_pause(self._chance), self._clock()
            self._open = OpenBreaker(why, now + self._max_wait_s, now + pause_s, 0)
            self._limiter.tell(self._quota.open_breaker(why, self._max_wait_s, pause_s))
            self._limiter.release_turns()  # at a pace that has slowed down the probe would wait for all of them
            _log.warning("breaker open", extra={"event": "breaker open", "why": why, "wait_s": self._max_wait_s})

    async def before_probe(self) -> None:
        """Wait until the team's next probe is this row's, or the breaker has closed. Call it with `turn` held.

        Raises ServiceDown if the last one allowed has failed, ShuttingDown if the run is ending.
        """
        while (breaker := self._open) is not None:
            now = self._clock()
            if breaker.probes and now >= breaker.deadline:
                raise ServiceDown
            due_in_s = min(breaker.next_probe_at, breaker.deadline) - now
            if due_in_s > 0:
                await self._limiter.shutdown.pause(min(due_in_s, _LOOKS_EVERY_S))
            elif await self._take_probe():
                self._probing = asyncio.current_task()
                return
            else:  # another worker has it, which the limiter will know in a moment
                await self._limiter.shutdown.pause(_LOOKS_EVERY_S)

    async def _take_probe(self) -> bool:
        """Take the team's probe, if it is due; returns whether it is this worker's.

        Raises ShuttingDown once the run is ending, StoreError if the database does not give it.
        """
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        is_taken = False

        async def take() -> None:
            nonlocal is_taken
            try:
                is_taken = await self._quota.take_probe(self._lost_after_s)
                if is_taken and over.done():  # the run has ended meanwhile
                    await self._quota.probe_failed(0.0)
            finally:
                end_pause(over)

        self._limiter.tell(take())
        await self._limiter.shutdown.until(over)
        self._limiter.require_working()
        return is_taken

    def give_back(self) -> None:
        """Let another worker have the probe at once, if it was this one's and has had no answer."""
        if self._probing is not None:
            self._limiter.tell(self._quota.probe_failed(0.0))

    def _end_probe(self) -> bool:
        """Take note that an answer has come; returns whether it was the probe's."""
        if self._probing is None or self._probing is not asyncio.current_task():
            return False
        self._probing = None
        return True

    def _learn(self, state: QuotaState) -> None:
        """Take over what the whole team knows."""
        before, self._open = self._open, state.breaker
        if before is None and self._open is not None:
            why, wait_s = f"another worker of the team says: {self._open.why}", self._open.deadline - self._clock()
            _log.warning("breaker open", extra={"event": "breaker open", "why": why, "wait_s": wait_s})
            self._limiter.release_turns()
        elif before is not None and self._open is None:
            self._failures.end_series()
            why = "another worker of the team has had an answer"
            _log.warning("breaker closed", extra={"event": "breaker closed", "why": why})
