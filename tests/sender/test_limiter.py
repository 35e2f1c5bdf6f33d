"""sender/limiter.py: never more permits in a second than allowed, and not many fewer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.sender.limiter import Limiter, Stopped


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def times(rate_per_s: float, burst: int, lulls: list[float], overshoot_s: float = 0.0) -> list[float]:
    """Take permits one after the other on a clock of our own; a lull is time in which nobody wants one."""
    clock = Clock()
    limiter = Limiter(rate_per_s, burst, asyncio.Event(), clock)
    taken = []
    for lull in lulls:
        clock.now += lull
        wait = limiter.wait_s()
        if wait > 0:
            clock.now += wait + overshoot_s
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
    limiter = Limiter(1000, 100, asyncio.Event(), clock)
    limiter.pause(5)
    assert limiter.wait_s() == pytest.approx(5)


def test_waiting_ends_when_the_run_does() -> None:
    """Whoever waits for a permit is released with Stopped."""

    async def waits() -> None:
        stopping = asyncio.Event()
        limiter = Limiter(0.01, 0, stopping)
        await limiter.permit()
        waiting = asyncio.create_task(limiter.permit())
        await asyncio.sleep(0)
        stopping.set()
        with pytest.raises(Stopped):
            await waiting

    asyncio.run(waits())
