"""sender/limiter.py: never more permits in a second than allowed, and not many fewer."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.sender.limiter import Limiter
from batch_updater.sender.shutdown import Shutdown, ShuttingDown


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def both_wait_s(limiter: Limiter) -> float:
    """Return how long a request waits that has a connection when its turn comes."""
    return max(limiter.turn_wait_s(), limiter.permit_wait_s())


def times(rate_per_s: float, burst: int, lulls: list[float], overshoot_s: float = 0.0) -> list[float]:
    """Take permits one after the other on a clock of our own; a lull is time in which none is wanted."""
    clock = Clock()
    limiter = Limiter(rate_per_s, burst, Shutdown(), clock)
    taken = []
    for lull in lulls:
        clock.now += lull
        wait = both_wait_s(limiter)
        if wait > 0:
            clock.now += wait + overshoot_s
        limiter.take_turn()
        limiter.take()
        taken.append(clock.now)
    return taken


def busiest_second(taken: list[float]) -> int:
    most, first = 0, 0
    for last, at in enumerate(taken):
        while taken[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@settings(max_examples=200)
@given(
    st.floats(0.2, 3000),
    st.integers(0, 300),
    st.lists(st.floats(0, 0.01) | st.floats(0, 3), min_size=1, max_size=600),
    st.floats(0, 0.02),
)
def test_no_second_ever_holds_more_than_rate_and_burst(
    rate_per_s: float, burst: int, lulls: list[float], overshoot_s: float
) -> None:
    """For any rate, burst, pauses and oversleeping, every one-second window stays within rate + burst."""
    assert busiest_second(times(rate_per_s, burst, lulls, overshoot_s)) <= max(1, int(rate_per_s + burst))


@pytest.mark.parametrize("rate_per_s", [0.5, 1, 10, 50, 100, 2000])
@pytest.mark.parametrize("overshoot_s", [0.0, 0.001])
def test_the_rate_is_used(rate_per_s: float, overshoot_s: float) -> None:
    """While there is work at least 98% of the permits are used, also when sleeps last a millisecond too long."""
    taken = times(rate_per_s, 0, [0.0] * int(rate_per_s * 20 + 1), overshoot_s)
    assert (len(taken) - 1) / (taken[-1] - taken[0]) >= 0.98 * rate_per_s


def test_a_burst_after_a_lull_is_given_at_once() -> None:
    """After a lull `burst` permits come on top, then the pace holds."""
    taken = times(10, 5, [100.0] + [0.0] * 30)
    assert sum(1 for at in taken if at == taken[0]) >= 5
    assert busiest_second(taken) <= 15


def test_a_pause_holds_everything() -> None:
    """After pause(5) the next permit comes in 5 s."""
    clock = Clock()
    limiter = Limiter(1000, 100, Shutdown(), clock)
    limiter.pause(5)
    assert limiter.turn_wait_s() == pytest.approx(5)


def test_refusals_of_requests_under_way_together_count_once() -> None:
    """Ten requests that went out before the service was found too slow make the pool slower once, a later one again."""
    clock = Clock()
    limiter = Limiter(100, 0, Shutdown(), clock)
    assert [limiter.throttled(clock.now - 0.01 * n) for n in range(10)] == [True] + [False] * 9
    assert limiter.pace_per_s() == pytest.approx(70)
    clock.now += 0.1
    assert limiter.throttled(clock.now)
    assert limiter.pace_per_s() == pytest.approx(49.14)


def test_it_speeds_up_again_evenly() -> None:
    """After a decrease the pace grows by 2% of the configured rate a second, and never beyond that rate."""
    clock = Clock()
    limiter = Limiter(1000, 0, Shutdown(), clock)
    limiter.throttled(clock.now)
    paces = []
    for _ in range(20):
        clock.now += 1
        paces.append(round(limiter.pace_per_s()))
    assert paces == [*range(720, 1001, 20), *[1000] * 5]


@given(st.floats(0.2, 3000), st.integers(1, 100))
def test_it_never_comes_to_a_stand(rate_per_s: float, refusals: int) -> None:
    """However often it is refused, one request a second stays, or the configured rate if that is less."""
    clock = Clock()
    limiter = Limiter(rate_per_s, 0, Shutdown(), clock)
    for _ in range(refusals):
        clock.now += 0.001
        limiter.throttled(clock.now)
    assert limiter.pace_per_s() >= min(1.0, rate_per_s)


@settings(max_examples=100)
@given(
    st.floats(0.2, 3000),
    st.integers(0, 300),
    st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from(["", "", "", "throttled", "pause"])), max_size=400),
)
def test_the_promise_holds_while_it_adapts(rate_per_s: float, burst: int, events: list[tuple[float, str]]) -> None:
    """Slowing down, pausing and speeding up again never give a window of one second more than rate + burst."""
    clock = Clock()
    limiter = Limiter(rate_per_s, burst, Shutdown(), clock)
    taken = []
    for lull, event in events:
        clock.now += lull + max(0.0, both_wait_s(limiter) - lull)
        limiter.take_turn()
        limiter.take()
        taken.append(clock.now)
        if event == "throttled":
            limiter.throttled(clock.now)
        elif event:
            limiter.pause(1.5)
            assert limiter.turn_wait_s() >= 1.49
    assert busiest_second(taken) <= max(1, int(rate_per_s + burst))


@dataclass
class Service:
    """A token bucket as API Gateway has it, and a crowd of workers that repeat what it refuses."""

    allowed_per_s: float
    burst: int
    latency_s: float
    requests: int = 0
    refused: int = 0

    def run(self, rows: int, asked_per_s: float, workers: int) -> float:
        """Send all rows on a clock of our own; returns the seconds that it takes."""
        clock, chance = Clock(0.0), random.Random(3)
        limiter = Limiter(asked_per_s, 0, Shutdown(), clock)
        tokens, filled_at = float(self.burst), 0.0
        free, not_begun = [(0.0, 0)] * workers, rows  # when a worker wants a permit next, and after how many refusals
        answers: list[tuple[float, float, int, bool]] = []
        heapq.heapify(free)
        while free or answers:
            at = max(free[0][0], clock.now + both_wait_s(limiter), clock.now) if free else math.inf
            if answers and answers[0][0] <= at:
                clock.now, permitted_at, refusals, refused = heapq.heappop(answers)
                if refused:
                    limiter.throttled(permitted_at)
                    heapq.heappush(free, (clock.now + chance.uniform(0, 0.5 * 2**refusals), refusals + 1))
                elif not_begun > 0:
                    heapq.heappush(free, (clock.now, 0))
                continue
            _, refusals = heapq.heappop(free)
            if not refusals:
                not_begun -= 1
                if not_begun < 0:
                    continue
            clock.now = at
            limiter.take_turn()
            limiter.take()
            tokens = min(self.burst, tokens + (clock.now - filled_at) * self.allowed_per_s)
            filled_at = clock.now
            refused = tokens < 1
            tokens -= not refused
            self.requests += 1
            self.refused += refused
            heapq.heappush(answers, (clock.now + self.latency_s, clock.now, refusals, refused))
        return clock.now


@pytest.mark.parametrize("latency_s", [0.005, 0.05])
@pytest.mark.parametrize(("asked_per_s", "workers"), [(1000, 10), (1000, 50), (200, 10), (10000, 10)])
def test_a_service_that_allows_less_is_met(asked_per_s: float, workers: int, latency_s: float) -> None:
    """Of a service with 100/s and burst 50, at most 10% is refused, in at most 1.5 times the shortest possible time."""
    service = Service(100, 50, latency_s)
    took_s = service.run(2000, asked_per_s, workers)
    assert service.requests - service.refused == 2000
    assert service.refused <= 0.1 * service.requests
    assert took_s <= 1.5 * (2000 - 50) / 100


def test_waiting_ends_when_the_run_does() -> None:
    """A request that waits for a permit is released with ShuttingDown."""

    async def waits() -> None:
        shutdown = Shutdown()
        limiter = Limiter(0.01, 0, shutdown)
        await limiter.turn()
        waiting = asyncio.create_task(limiter.turn())
        await asyncio.sleep(0)
        shutdown.set()
        with pytest.raises(ShuttingDown):
            await waiting

    asyncio.run(waits())


@settings(max_examples=200)
@given(
    st.floats(0.2, 300),
    st.integers(0, 60),
    st.lists(st.tuples(st.floats(0, 0.02) | st.floats(0, 5), st.floats(0, 0.2)), min_size=1, max_size=300),
)
def test_no_second_holds_more_however_long_connections_take(
    rate_per_s: float, burst: int, requests: list[tuple[float, float]]
) -> None:
    """Whatever lies between turn and connection, and between permit and writing, no second sees more leave."""
    clock = Clock()
    limiter = Limiter(rate_per_s, burst, Shutdown(), clock)
    connected, left = [], []
    for connects_s, _ in requests:
        clock.now += max(0.0, limiter.turn_wait_s())
        limiter.take_turn()
        connected.append(clock.now + connects_s)
    clock.now = 1000.0  # the connections come while the turns are still being taken
    for at, (_, stalls_s) in zip(sorted(connected), requests, strict=True):
        clock.now = max(clock.now, at)
        clock.now += max(0.0, limiter.permit_wait_s())
        clock.now += stalls_s / rate_per_s  # the machine is busy with something else
        left.append(clock.now)
        clock.now += stalls_s / rate_per_s
        limiter.take()
    assert busiest_second(left) <= max(1, int(rate_per_s + burst))


def test_connections_that_come_together_send_evenly() -> None:
    """A hundred that were waited for for five seconds send a few at once, and then as the pace says."""
    clock = Clock()
    limiter = Limiter(20, 0, Shutdown(), clock)
    for _ in range(100):
        clock.now += max(0.0, limiter.turn_wait_s())
        limiter.take_turn()
    left = []
    for _ in range(100):
        clock.now += max(0.0, limiter.permit_wait_s())
        limiter.take()
        left.append(clock.now)
    assert busiest_second(left) <= 20
    assert sum(at == left[0] for at in left) <= 6
    assert (len(left) - 1) / (left[-1] - left[0]) >= 0.98 * 20


@pytest.mark.parametrize("rate_per_s", [5.0, 20.0, 200.0])
def test_the_rate_is_used_where_every_request_needs_a_connection(rate_per_s: float) -> None:
    """With connections that take between nothing and 100 ms, 97% of the permits are used."""
    clock, chance = Clock(), random.Random(5)
    limiter = Limiter(rate_per_s, 0, Shutdown(), clock)
    connecting: list[float] = []
    ready = 0
    left: list[float] = []
    while len(left) < rate_per_s * 30:
        turn_at = clock.now + max(0.0, limiter.turn_wait_s()) if ready < 3 else math.inf
        permit_at = clock.now + max(0.0, limiter.permit_wait_s()) if ready else math.inf
        connected_at = connecting[0] if connecting else math.inf
        clock.now = max(clock.now, min(turn_at, permit_at, connected_at))
        if connected_at <= clock.now:
            heapq.heappop(connecting)
            ready += 1
        elif permit_at <= clock.now:
            ready -= 1
            limiter.take()
            left.append(clock.now)
        else:
            limiter.take_turn()
            heapq.heappush(connecting, clock.now + chance.uniform(0, 0.1))
    assert (len(left) - 1) / (left[-1] - left[0]) >= 0.97 * rate_per_s


def test_waiting_for_a_permit_ends_when_the_run_does() -> None:
    """A request that has its connection, and waits for its permit, is released with Stopped."""

    async def waits() -> None:
        shutdown = Shutdown()
        limiter = Limiter(0.01, 0, shutdown)
        limiter.take()
        waiting = asyncio.create_task(limiter.permit())
        await asyncio.sleep(0)
        shutdown.set()
        with pytest.raises(ShuttingDown):
            await waiting

    asyncio.run(waits())


def test_a_turn_comes_after_those_that_have_their_connections() -> None:
    """While many wait with connections there are no turns, and they go in the order in which they came."""

    async def order() -> list[str]:
        limiter, went = Limiter(100, 0, Shutdown()), []
        for _ in range(100):
            limiter.take()

        async def with_connection(name: str) -> None:
            await limiter.permit()
            limiter.take()
            went.append(name)

        async def without() -> None:
            await limiter.turn()
            went.append("turn")

        waiting = [asyncio.create_task(with_connection(str(number))) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.gather(*waiting, asyncio.create_task(without()))
        return went

    went = asyncio.run(order())
    turn = went.index("turn")
    assert turn >= 10
    went.remove("turn")
    assert went == [str(number) for number in range(20)]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_wait_for_a_turn_does_not_go_round_and_round(run: Callable[[Coroutine[object, object, int]], int]) -> None:
    """The clock is looked at a few times for each turn, however short the rest of the wait is."""

    async def looks() -> int:
        count = 0

        def clock() -> float:
            nonlocal count
            count += 1
            return asyncio.get_running_loop().time()

        limiter = Limiter(300, 0, Shutdown(), clock)
        for _ in range(60):
            await limiter.turn()
        return count

    assert run(looks()) <= 60 * 6
