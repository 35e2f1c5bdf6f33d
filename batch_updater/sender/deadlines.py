"""A time limit for every request, at the cost of one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_updater.sender.outcomes import RowState


class Deadlines:
    """Cancels the task of a request that takes longer than `timeout_s`, as `asyncio.timeout` does.

    All requests have the same limit, so that the one that began first is the first to be late, and one timer serves
    all. A timer for each took a twentieth of the time that a row takes.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends_at: dict[RowState, float] = {}
        """On the loop's clock; the earliest first."""
        self._tasks: dict[RowState, asyncio.Task[object]] = {}
        self._late: set[RowState] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, row: RowState) -> None:
        """Let the time of a row's request run, in the task that sends it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is sent outside any task")
        loop = asyncio.get_running_loop()
        self._tasks[row] = task
        self._ends_at[row] = ends_at = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_at(ends_at, self._end_late)

    def stop(self, row: RowState) -> None:
        """Let it run no longer."""
        del self._ends_at[row], self._tasks[row]
        self._late.discard(row)

    def ended(self, row: RowState) -> bool:
        """Whether the cancellation that has just arrived came from here, and from nowhere else as well."""
        return row in self._late and self._tasks[row].uncancel() == 0

    def end_all(self) -> None:
        """End every request that is under way now."""
        for row in self._tasks:
            self._end(row)

    def _end_late(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for row, ends_at in self._ends_at.items():
            if ends_at > loop.time():
                self._timer = loop.call_at(ends_at, self._end_late)
                break
            self._end(row)

    def _end(self, row: RowState) -> None:
        if row not in self._late:
            self._late.add(row)
            self._tasks[row].cancel()
