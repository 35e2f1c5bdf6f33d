"""Turns and permits of a quota that a team shares: leased in slices, each permit for one moment."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

from batch_updater.sender.limiter import DECREASE, ReadyRequests
from batch_updater.sender.shutdown import Shutdown, ShuttingDown, end_pause
from batch_updater.sender.team_quota import Lease, QuotaState, SharedQuota

_USABLE_FOR_S = 0.015
"""How long after its moment a permit may be used. All workers together can exceed the rate by no more than what this,
and the network, let one second's requests run into another's. With the slack of the pace (`WINDOW_SLACK_S`) that is
0.8% of it and one request, so that a network may be 11 ms late now and then before any second holds 2% too many. A
machine that has no processor left keeps an event loop waiting for more than 10 ms again and again."""
_ASK_AHEAD_S = 0.05
"""How long before the last leased permit is due more are asked for."""
_LEASES_APART_S = 0.005
"""So that requests that come one after another are counted together."""
_WATCHED_EVERY_S = 0.25
"""How often the state of the team is read while no permit is leased."""


class TeamLimiter:
    """Lets requests leave at the moments that it has leased from a team's quota; enter it before it is used.

    A permit may be used at its moment or `_USABLE_FOR_S` later, by any request of this process that is ready then, and
    is lost afterwards. So no delay of one worker adds requests to a second that belongs to another. It is leased only
    for a request that waits; but where the team leaves permits unused, so that a further one is taken from no other
    worker, also for those that are likely to follow.

    A turn comes with the moment of a permit, so that a request with a kept connection leaves at once. While connections
    have to be made, which takes longer than a permit can be used, turns come without one, and the permit is waited for
    with the connection.
    """

    def __init__(
        self, quota: SharedQuota, clock: Callable[[], float] = time.monotonic, ends_within_s: float = 1.0
    ) -> None:
        """`ends_within_s`: how long the database is awaited in the end, so that it learns what was not used."""
        self.quota = quota
        self.shutdown = Shutdown()
        self.on_state: Callable[[QuotaState], None] | None = None
        """Called with what the database tells, unless something that was told to it has not arrived yet."""
        self._clock = clock
        self._ends_within_s = ends_within_s
        self._leased: deque[float] = deque()
        """Moments to come."""
        self._in_hand: deque[float] = deque()
        """Moments that have come, each for a request that is about to be written."""
        self._lost = 0
        """Permits that were not used, and of which the database does not know it yet."""
        self._has_room = False
        """Whether the permits of the last lease were due at once, since the team uses fewer than it may."""
        self._used = 0
        """Permits that were used since the last lease was asked for."""
        self._turns: deque[asyncio.Future[None]] = deque()
        self._permits: deque[asyncio.Future[None]] = deque()
        """Requests that wait for a permit: without and with a connection."""
        self._turn_at: dict[asyncio.Task[object], float] = {}
        """Task of a request -> when it had its turn."""
        self._must_connect = False
        """Whether the last request had no connection when its turn came."""
        self._ready = ReadyRequests(quota.rate_per_s)
        self._pace_per_s = quota.rate_per_s
        self._slowed_at: float | None = None
        self._paused_until = 0.0
        self._ahead_s = 0.0
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_changed = asyncio.Event()
        """Set when there may be something to ask for."""
        self._fault: BaseException | None = None
        """What keeps permits from being leased."""
        self._is_over = False
        self._asking: asyncio.Task[None] | None = None
        self._told: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to ask for permits, and to watch the state of the team."""
        self._asking = asyncio.create_task(self._keep_asking())
        self._asking.add_done_callback(self._fail_with)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ask no more; permits that are left are lost, but do not count as used."""
        self._is_over = True
        self._has_changed.set()
        asking = {self._asking, *self._told} if self._asking else self._told
        if asking:
            _, late = await asyncio.wait(asking, timeout=self._ends_within_s)
            if late:  # the database does not answer
                self.quota.cut_off()
                for task in late:
                    task.cancel()
                await asyncio.wait(late)
        if self._timer is not None:
            self._timer.cancel()
        self._lose_before(math.inf)
        await self.quota.end(self._lost)

    def go_on(self, shutdown: Shutdown) -> None:
        """Serve the requests of a run, in the event loop in which this was entered."""
        self.shutdown = shutdown

    async def turn(self) -> None:
        """Return when one more request may be made ready to leave.

        Raises ShuttingDown once the run is ending, and StoreError if the database gives no permits.
        """
        if self._must_connect:
            await self._ready.wait_for_room()
            if self.shutdown.is_set():
                raise ShuttingDown
        else:
            await self._moment(self._turns)
        if task := asyncio.current_task():
            self._turn_at[task] = self._clock()

    async def permit(self) -> None:
        """Return when a request that has a connection may be written; it must be at once, and followed by `take`.

        Raises what `turn` raises.
        """
        if (had_turn_at := self._forget_turn()) is not None:
            self._must_connect = self._clock() - had_turn_at > _USABLE_FOR_S
        self._ready.count(1)
        try:
            while not self.is_free:  # its permit may have gone to another, or have come too late
                await self._moment(self._permits)
        finally:
            self._ready.count(-1)

    @property
    def is_free(self) -> bool:
        """Whether a request may be written now, before none that has waited longer."""
        self._lose_before(max(self._clock() - _USABLE_FOR_S, self._paused_until))
        return bool(self._in_hand) or (not self._turns and not self._permits and self._take_due())

    def take(self) -> None:
        """Take the permit for the request that has just been written."""
        if self._in_hand:  # a request for a token may be written a moment after it was looked at
            self._in_hand.popleft()
            self._used += 1
            if self._has_room and self._used == 1:
                self._has_changed.set()
        if self._forget_turn() is not None:
            self._must_connect = False

    def pace_per_s(self) -> float:
        """Return how many permits a second the whole team is given just now."""
        return self._pace_per_s

    def throttled(self, written_at: float) -> bool:
        """Slow the team down, because the service refused a request that was written at that moment; returns whether.

        As far as is known here: the database decides, once for all workers whose requests were in flight together.
        """
        if self._slowed_at is not None and written_at <= self._slowed_at:
            return False
        self._slowed_at = self._clock()
        self._pace_per_s *= DECREASE  # until the database has answered
        self.tell(self.quota.throttled(written_at))
        return True

    def pause(self, seconds: float) -> None:
        """Let none of the team send anything for so long (Retry-After, RFC 9110, section 10.2.3)."""
        until = self._clock() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self.tell(self.quota.pause(until))

    def release_turns(self) -> None:
        """Let the requests that wait for a turn look whether they may go out at all; none has a permit by that."""
        while self._turns:
            end_pause(self._turns.popleft())

    def require_working(self) -> None:
        """Raise what keeps the database from being asked, such as StoreError."""
        if self._fault:
            raise self._fault

    def tell(self, call: Coroutine[object, object, None]) -> None:
        """Let the database know something, without waiting for it."""
        task = asyncio.create_task(call)
        self._told.add(task)
        task.add_done_callback(self._told.discard)
        task.add_done_callback(self._fail_with)

    def _forget_turn(self) -> float | None:
        task = asyncio.current_task()
        return self._turn_at.pop(task, None) if task else None

    async def _moment(self, queue: deque[asyncio.Future[None]]) -> None:
        """Wait in a queue until a permit is in hand; those with a connection go first."""
        if self.shutdown.is_set():
            raise ShuttingDown
        self.require_working()
        if not self._turns and not self._permits and self._take_due():
            return
        waiting = asyncio.get_running_loop().create_future()
        queue.append(waiting)
        if self._missing > 0:
            self._has_changed.set()
        self._set_timer()
        try:
            await self.shutdown.until(waiting)
        finally:
            if waiting in queue:
                queue.remove(waiting)

    def _take_due(self) -> bool:
        """Take a leased permit in hand if it is due."""
        now = self._clock()
        self._lose_before(max(now - _USABLE_FOR_S, self._paused_until))
        if self._leased and self._leased[0] <= now:
            self._in_hand.append(self._leased.popleft())
            return True
        return False

    def _lose_before(self, moment: float) -> None:
        """Lose the permits of earlier moments."""
        for moments in (self._in_hand, self._leased):
            while moments and moments[0] < moment:
                moments.popleft()
                self._lost += 1

    def _set_timer(self) -> None:
        """Have the next leased permit given in its moment, if a request waits for one."""
        if self._timer is None and self._leased and (self._permits or self._turns):
            # Whole milliseconds, as in `Shutdown.pause`.
            wait_s = math.ceil(max(0.0, self._leased[0] - self._clock()) * 1000) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._give)

    def _give(self) -> None:
        """Give the permits that are due to the requests that have waited longest."""
        self._timer = None
        for queue in (self._permits, self._turns):
            while queue:
                if queue[0].done():  # the run is ending
                    queue.popleft()
                elif self._take_due():
                    queue.popleft().set_result(None)
                else:
                    break
        if self._missing > 0:
            self._has_changed.set()
        self._set_timer()

    @property
    def _missing(self) -> int:
        """How many requests wait for which no permit is leased."""
        return len(self._turns) + len(self._permits) - len(self._leased)

    def _wanted(self, now: float) -> int:
        """Return how many permits are to be leased, those for requests that are likely to follow included."""
        missing = self._missing
        if not self._has_room:
            return missing
        share = min(1.0, _USABLE_FOR_S / max(_LEASES_APART_S, now - self._asked_at))
        return max(0, missing) + int(self._used * share)

    async def _keep_asking(self) -> None:
        """Lease permits for the requests that wait, a little ahead of time; else watch the state of the team."""
        loop = asyncio.get_running_loop()
        while not self._is_over:
            if (wait_s := self._ask_in_s()) > 0:
                timer = loop.call_later(math.ceil(wait_s * 1000) / 1000, self._has_changed.set)
                await self._has_changed.wait()
                timer.cancel()
                self._has_changed.clear()
            else:
                await self._ask()

    def _ask_in_s(self) -> float:
        """Return how long there is nothing to ask, in seconds; 0 or less if there is."""
        now = self._clock()
        self._lose_before(max(now - _USABLE_FOR_S, self._paused_until))
        watch_s = self._asked_at + _WATCHED_EVERY_S - now
        return min(watch_s, self._lease_in_s(now)) if self._wanted(now) > 0 else watch_s

    def _lease_in_s(self, now: float) -> float:
        earliest = self._asked_at + _LEASES_APART_S
        if self._leased:
            earliest = max(earliest, self._leased[-1] - _ASK_AHEAD_S - self._ahead_s)
        return earliest - now

    async def _ask(self) -> None:
        now, unused = self._clock(), self._lost
        wanted = self._wanted(now)
        if wanted > 0 and self._lease_in_s(now) <= 0:
            self._asked_at, self._used = now, 0
            lease: QuotaState = await self.quota.lease(wanted, unused)
            self._lost -= unused
        else:
            self._asked_at, self._used = now, 0
            lease = await self.quota.state()
        self._paused_until = max(self._paused_until, lease.paused_until)
        if not self._told:
            self._pace_per_s, self._slowed_at = lease.pace_per_s, lease.slowed_at
            if self.on_state is not None:
                self.on_state(lease)
        if isinstance(lease, Lease):
            self._leased.extend(lease.moments)
            self._ahead_s = lease.ahead_s
            self._has_room = lease.is_due_at_once
            self._set_timer()

    def _fail_with(self, task: asyncio.Task[None]) -> None:
        """Give no permits any more if a task that asks the database has failed."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._fault = error
        for queue in (self._permits, self._turns):
            while queue:
                if not (waiting := queue.popleft()).done():
                    waiting.set_exception(error)
