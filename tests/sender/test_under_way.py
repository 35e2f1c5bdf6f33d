"""sender/under_way.py: what is under way can be ended at once."""

from __future__ import annotations

import asyncio

import pytest

from batch_updater.sender.under_way import UnderWay


def test_everything_under_way_is_cut_at_once() -> None:
    """Each block ends as if its time were up, long before it is."""

    async def go() -> list[object]:
        under_way = UnderWay()

        async def waits() -> None:
            async with under_way.limited(60):
                await asyncio.Event().wait()

        waiting = [asyncio.create_task(waits()) for _ in range(3)]
        await asyncio.sleep(0)
        under_way.cut()
        async with asyncio.timeout(5):
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(end) for end in asyncio.run(go())] == [TimeoutError] * 3


def test_what_is_ending_already_keeps_nothing_else_from_being_cut() -> None:
    """To cut twice in a row, as a second signal does, harms nothing: what was cut first is still ending then."""

    async def go() -> None:
        under_way = UnderWay()

        async def waits() -> None:
            async with under_way.limited(60):
                await asyncio.Event().wait()

        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        under_way.cut()
        asyncio.get_running_loop().call_soon(under_way.cut)  # right after its time is up, before it has ended
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                await waiting

    faults: list[object] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        await go()

    asyncio.run(watched())
    assert faults == []
