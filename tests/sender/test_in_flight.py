"""sender/in_flight.py: what is in flight can be ended at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from batch_updater.sender.in_flight import InFlight

_T = TypeVar("_T")


class _LoopWithoutWaiting(asyncio.SelectorEventLoop):
    """Does not wait for its timers, but sets its clock to them: what happens when does not depend on the machine."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                loop.now += timeout or 0
                return super().select(0 if timeout else timeout)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


def run_without_waiting(monkeypatch: pytest.MonkeyPatch, work: Coroutine[object, object, _T]) -> _T:
    """Run a coroutine on a clock of its own."""
    with asyncio.Runner(loop_factory=_LoopWithoutWaiting) as runner:
        clock = SimpleNamespace(monotonic=runner.get_loop().time)
        monkeypatch.setattr("batch_updater.sender.in_flight.time", clock)
        return runner.run(work)


async def waits(in_flight: InFlight) -> None:
    """Be in flight until it is cancelled."""
    async with in_flight.limited():
        await asyncio.Event().wait()


def test_everything_in_flight_is_cancelled_at_once() -> None:
    """Each block ends as if its time were up, long before it is."""

    async def go() -> list[object]:
        in_flight = InFlight(60)

        waiting = [asyncio.create_task(waits(in_flight)) for _ in range(3)]
        await asyncio.sleep(0)
        in_flight.cancel_all()
        async with asyncio.timeout(5):
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(end) for end in asyncio.run(go())] == [TimeoutError] * 3


def test_what_is_ending_already_keeps_nothing_else_from_being_cancelled() -> None:
    """To cancel twice in a row, as a second signal does, harms nothing: what was cancelled is still ending then."""

    async def go() -> None:
        in_flight = InFlight(60)

        waiting = asyncio.create_task(waits(in_flight))
        await asyncio.sleep(0)
        in_flight.cancel_all()
        asyncio.get_running_loop().call_soon(in_flight.cancel_all)  # right after its time is up, before it has ended
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                await waiting

    errors: list[object] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await go()

    asyncio.run(watched())
    assert errors == []


def test_each_request_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one timer for all, each is late when its own time is up, and one that has ended in time is not touched."""

    async def go() -> list[tuple[str, float]]:
        in_flight, loop = InFlight(0.2), asyncio.get_running_loop()
        began, ended = loop.time(), []

        async def waits(name: str, after_s: float, for_s: float) -> None:
            await asyncio.sleep(after_s)
            try:
                async with in_flight.limited():
                    await asyncio.sleep(for_s)
                ended.append((name, loop.time() - began))
            except TimeoutError:
                ended.append((f"{name} late", loop.time() - began))

        await asyncio.gather(waits("first", 0, 60), waits("quick", 0.05, 0.01), waits("second", 0.1, 60))
        return ended

    (quick, _), (first, first_s), (second, second_s) = run_without_waiting(monkeypatch, go())
    assert (quick, first, second) == ("quick", "first late", "second late")
    assert 0.2 <= first_s < second_s
    assert second_s >= 0.3


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """Only what ran out of time becomes a TimeoutError; the task that is cancelled for another reason is cancelled."""

    async def go() -> bool:
        in_flight = InFlight(60)

        waiting = asyncio.create_task(waits(in_flight))
        await asyncio.sleep(0)
        waiting.cancel()
        in_flight.cancel_all()
        await asyncio.wait([waiting], timeout=5)
        return waiting.cancelled()

    assert asyncio.run(go())


def test_time_that_is_suspended_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits for something else beyond its limit neither times out nor is cancelled meanwhile."""

    async def go() -> None:
        in_flight = InFlight(0.2)
        async with in_flight.limited():
            with in_flight.suspended():
                await asyncio.sleep(0.3)
                in_flight.cancel_all()

    run_without_waiting(monkeypatch, go())


def test_the_rest_of_its_time_counts_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was suspended is late when its own time is up, before one that began after it and has more time left."""

    async def go() -> list[str]:
        in_flight, ended = InFlight(0.4), []

        async def waits(name: str, *, suspended_s: float) -> None:
            try:
                async with in_flight.limited():
                    await asyncio.sleep(0.2)
                    with in_flight.suspended():
                        await asyncio.sleep(suspended_s)
                    await asyncio.Event().wait()
            except TimeoutError:
                ended.append(name)

        await asyncio.gather(waits("second", suspended_s=0.3), waits("first", suspended_s=0))
        return ended

    assert run_without_waiting(monkeypatch, go()) == ["first", "second"]
