"""Ctrl-C and SIGTERM: the first asks a run to end cleanly, the second to end at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts signals while it is entered; main thread only.

    Uses `signal.signal` and not the loop's own `add_signal_handler`, which Windows does not have.
    """

    def __init__(self) -> None:
        self.count = 0
        self._ask: Callable[[int], object] | None = None
        self._previous: list[object] = []

    def __enter__(self) -> Self:
        self._previous = [signal.signal(number, self._received) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in zip(_SIGNALS, self._previous, strict=True):
            signal.signal(number, previous)  # type: ignore[arg-type]  # what signal() gave is what it takes back

    def sending(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None], abort: Callable[[], None]) -> None:
        """From now on the first signal calls `stop`, every further one `abort`, in the loop's thread."""
        # call_soon_threadsafe wakes the loop; a plain call from a signal handler would wait for the next event.
        self._ask = lambda count: loop.call_soon_threadsafe(stop if count == 1 else abort)
        if self.count:
            self._ask(self.count)

    def sent(self) -> None:
        """Nothing is being sent any more: the first signal changes nothing, a further one ends the program."""
        self._ask = None

    @property
    def aborted(self) -> bool:
        """Whether somebody asked twice."""
        return self.count > 1

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._ask is not None:
            self._ask(self.count)
        elif self.aborted:
            raise KeyboardInterrupt
