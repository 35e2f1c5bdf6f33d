"""Signals that end a command: before anything is sent at once, a run that sends cleanly, and on the second at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Never, Self

if TYPE_CHECKING:
    import asyncio


class Interrupted(KeyboardInterrupt):
    """A signal ended the command before anything was sent."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Detached(Exception):  # noqa: N818  (no error: the run goes on)
    """A command does not wait any longer for a run that others send: it goes on."""

    def __init__(self, folder: Path, said: str = "", *, lacks_worker: bool = False) -> None:
        super().__init__()
        self.folder = folder
        """Its name is that of the run."""
        self.said = said
        """How far it is, or that it has no worker, in sentences; '' if that is not known."""
        self.lacks_worker = lacks_worker
        """Whether no worker was running that would send it."""


_raised: list[Interrupted] = []
"""What signals have raised. Some of it may be lost: in a callback of the interpreter, as in that of an import, and in C
code that clears errors."""


def end_on_signals() -> None:
    """From now on a signal raises Interrupted; what is sent is sent within `Interrupts`. Main thread only."""
    _raised.clear()
    for number in _signals():
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> Never:
    _raised.append(Interrupted(number))
    raise _raised[-1]


def signal_behind(error: BaseException) -> Interrupted | None:
    """Return the signal that has caused an error; None if none has.

    Where a signal comes while a class is made, Python 3.11 raises a RuntimeError from it.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:  # an error may be raised again because of one it has caused
        if isinstance(cause, Interrupted):
            return cause
        causes.append(cause)
        cause = cause.__cause__
    return None


def go_on_after(signalled: Interrupted) -> None:
    """Do not end the command because of a signal that was an answer."""
    _raised.remove(signalled)


def _signals() -> list[signal.Signals]:
    """Return the signals that end a command. A hang-up that is ignored stays so: it is what nohup asks for."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    found = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [number for number in found if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN]


class StopRequests:
    """Requests to end a run: the first one cleanly, a further one at once. From any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._ask: Callable[[int], object] | None = None

    def request(self) -> None:
        """End the run: one that sends, or that is about to."""
        self.count += 1
        ask = self._ask
        if ask is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: the sending has ended
                ask(self.count)

    def watched(self, ask: Callable[[int], object] = lambda _: None) -> None:
        """From now on something may be sent: a request calls `ask` with the number of it, or `count` is looked at."""
        self._ask = ask
        if self.count:
            self._ask(self.count)

    def sending(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None], abort: Callable[[], None]) -> None:
        """From now on the first request calls `stop`, every further one `abort`, in the loop's thread."""
        # call_soon_threadsafe wakes the loop; a plain call from a signal handler would wait for the next event.
        self.watched(lambda count: loop.call_soon_threadsafe(stop if count == 1 else abort))

    def sent(self) -> None:
        """Nothing is being sent any more: the first request changes nothing."""
        self._ask = None


class Interrupts(StopRequests):
    """Takes signals as requests while it is entered; main thread only.

    Uses `signal.signal` and not the loop's own `add_signal_handler`, which Windows does not have. Once nothing is sent
    any more, a second signal ends the program.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends_at_once = False
        self._has_sent = False
        self._previous: dict[signal.Signals, object] = {}
        self._last: int = signal.SIGINT

    @property
    def is_by_person(self) -> bool:
        """Whether the last signal was Ctrl-C, and not one by which another program ends this one."""
        return self._last == signal.SIGINT

    @property
    def is_hang_up(self) -> bool:
        """Whether the last signal said that the terminal was closed."""
        return self._last == getattr(signal, "SIGHUP", None)

    def __enter__(self) -> Self:
        """Take the signals from now on. Raises Interrupted if what one raised before was lost."""
        if _raised:
            raise _raised[0]
        self._previous = {number: signal.signal(number, self._received) for number in _signals()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            # Once something was sent, no later signal may say that nothing was.
            signal.signal(number, signal.default_int_handler if self._has_sent else previous)  # type: ignore[arg-type]  # what signal() gave is what it takes back

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Let the first signal raise Interrupted, one that has come before included, until something may be sent."""
        if self.count:
            raise Interrupted(signal.SIGINT)
        self._ends_at_once = True
        try:
            yield
        finally:
            self._ends_at_once = False

    def watched(self, ask: Callable[[int], object] = lambda _: None) -> None:
        """From now on something may be sent: no signal ends the command by itself."""
        self._has_sent, self._ends_at_once = True, False
        super().watched(ask)

    def _received(self, number: int, _frame: FrameType | None) -> None:
        is_sending = self._ask is not None
        self._last = number
        self.request()
        if is_sending:
            return
        if self._ends_at_once:
            raise Interrupted(number)
        if self.count > 1:
            raise KeyboardInterrupt
