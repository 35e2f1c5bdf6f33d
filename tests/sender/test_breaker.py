"""sender/breaker.py: when nothing but probes may go out, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from batch_updater.runs.run_log import spoken
from batch_updater.sender.breaker import Breaker, ServiceDown
from batch_updater.sender.shutdown import Shutdown, ShuttingDown


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock | None = None, max_wait_s: float = 60, shutdown: Shutdown | None = None) -> Breaker:
    return Breaker(max_wait_s, 0.2, shutdown or Shutdown(), clock or Clock(), chance=lambda: 1.0)


def fail(of: Breaker, times: int = 1, *, unreachable: bool = False, requests: int = 0, retries: int = 0) -> None:
    for _ in range(times):
        of.failed("503", unreachable=unreachable, requests=requests, retries=retries)


def test_failures_alone_open_it_and_another_answer_closes_it() -> None:
    """Ten failures in a row open the breaker; the first answer that is none closes it."""
    one = breaker()
    fail(one, 9)
    states = [one.is_open]
    fail(one)
    states.append(one.is_open)
    one.answered()
    states.append(one.is_open)
    assert states == [False, True, False]


def test_an_answer_between_failures_keeps_it_closed() -> None:
    """A service that fails often but not always goes on being asked."""
    one = breaker()
    for _ in range(20):
        fail(one, 9)
        one.answered()
    assert not one.is_open


def test_a_service_that_cannot_be_reached_opens_it_sooner() -> None:
    """A missing connection is never due to a row: four of them are enough."""
    one = breaker()
    fail(one, 3, unreachable=True)
    assert not one.is_open
    fail(one, unreachable=True)
    assert one.is_open


def test_a_spent_retry_budget_opens_it() -> None:
    """The budget is 100 repeats and a share of the requests; once it is spent, the next failure opens the breaker."""
    one = breaker()
    fail(one, requests=1000, retries=299)
    assert not one.is_open
    fail(one, requests=1000, retries=300)
    assert one.is_open


def test_probes_come_at_growing_pauses_until_the_wait_is_over() -> None:
    """The pauses double up to 15 s; once max_wait_s has passed the service counts as down."""

    async def probes() -> list[float]:
        clock = Clock()
        one = breaker(clock)
        fail(one, 10)
        due: list[float] = []
        while clock.now + one.next_probe_s < 100 + 60:
            clock.now += one.next_probe_s
            await one.before_probe()
            due.append(clock.now - 100)
            fail(one)
        assert clock.now + one.next_probe_s == 100 + 60, "the last probe is not put off beyond the wait"
        clock.now += one.next_probe_s
        with pytest.raises(ServiceDown):
            await one.before_probe()
        return due

    assert asyncio.run(probes()) == [0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5]


def test_it_starts_again_from_nothing_after_it_was_closed() -> None:
    """A second outage has its own pauses and its own time."""

    async def twice() -> float:
        clock = Clock()
        one = breaker(clock)
        for _ in range(3):
            fail(one, 10)
            clock.now += 59
            await one.before_probe()
            one.answered()
        fail(one, 10)
        return one.next_probe_s

    assert asyncio.run(twice()) == 0.5


def test_waiting_for_a_probe_ends_when_the_run_does() -> None:
    """A stop releases the row that waits to probe."""

    async def waits() -> None:
        shutdown = Shutdown()
        one = breaker(shutdown=shutdown)
        fail(one, 10)
        waiting = asyncio.create_task(one.before_probe())
        await asyncio.sleep(0)
        shutdown.set()
        with pytest.raises(ShuttingDown):
            await waiting

    asyncio.run(waits())


@pytest.mark.parametrize("last", ["No connection could be made (refused).", "503 Service Unavailable"])
@pytest.mark.parametrize("retries", [0, 10_000])
def test_what_is_said_of_an_open_breaker_ends_with_one_full_stop(last: str, retries: int) -> None:
    """The last failure may be a sentence or the name of a status; it becomes the end of another sentence."""
    said: list[str] = []
    with spoken(said.append):
        one = breaker()
        for _ in range(10):
            one.failed(last, unreachable=False, requests=0, retries=retries)
    assert len(said) == 1
    assert f"; the last: {last.rstrip('.')}. One request at a time tries" in said[0]
