"""The sender with the run's database, the log and the progress around it, in an event loop of its own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.records import Attempt, Outcome
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.plan import Plan
from batch_updater.runs.result import Progress
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.writer import RunWriter
from batch_updater.sender.send_options import Hooks, ReadBeforeWrite, SendOptions

if TYPE_CHECKING:  # imported only where something is sent: it takes long
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.pool import SendResult


_COLLECTED_EVERY = 50_000
"""Objects, instead of Python's 700; a request makes a few hundred, and nearly none of them in a circle."""
_THREADS_SWITCHED_AFTER_S = 0.0005
"""Instead of Python's 0.005: for so long the thread that commits may keep answers waiting. With 50 connections to a
service that takes 50 ms, it is 1% of the rate."""


async def send(
    plan: Plan,
    hooks: Hooks,
    jobs: Iterator[Prepared],
    credentials: Credentials,
    environment: Environment,
    options: SendOptions,
    interrupts: StopRequests | None,
) -> SendResult:
    """Send jobs, or read their records, until all are settled or the run is stopped.

    Where there is a team, within its quota. Raises ConfigError if the team's database cannot be asked.
    """
    import asyncio

    from batch_updater.sender.pool import Sender

    config = plan.config
    async with AsyncExitStack() as stack:
        if team_of(config.results.folder) is not None:
            from batch_updater.runs.team_quota import limits_of, quota_for
            from batch_updater.sender.team_limiter import TeamLimiter

            quota = await asyncio.to_thread(quota_for, config, environment, credentials.token)
            limits = await stack.enter_async_context(limits_of(TeamLimiter(quota), config.api, config.sending))
            options = replace(options, limiter=limits.limiter, breaker=limits.breaker)
        sender = Sender(plan.endpoint, config.api, config.sending, hooks, credentials, environment, options)
        if interrupts:
            interrupts.sending(asyncio.get_running_loop(), sender.stop, sender.abort)
        try:
            return await sender.send(jobs)
        finally:
            if interrupts:
                interrupts.sent()


def read_before_write(plan: Plan, writer: RunWriter, *, only: bool = False) -> ReadBeforeWrite:
    """Return how records are read, and where what they hold is kept; `only`: nothing is sent."""
    expected = writer.store.expected() if plan.staged.is_undo else {}
    return ReadBeforeWrite(RequestBuilder(plan.endpoint), writer.will_change, only, expected)


def hooks_of(writer: RunWriter, log: LogFile, progress: Progress | None) -> Hooks:
    """Return what the sender calls: before a request may go out, and with whatever it learns."""

    def settled(outcome: Outcome) -> None:
        writer.settle(outcome)
        if progress:
            progress(outcome)

    def attempted(made: Attempt) -> None:
        log.attempt(made)
        writer.attempted(made)

    return Hooks(
        before_send=writer.will_send,
        may_send=writer.require_writable,
        on_outcome=settled,
        on_names=writer.learned,
        on_attempt=attempted,
    )


def run_loop(work: Coroutine[object, object, SendResult]) -> SendResult:
    """Run an event loop: that of uvloop, which is faster, where it exists (not on Windows)."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        run: Callable[[Coroutine[object, object, SendResult]], SendResult] = asyncio.run
    else:
        run = uvloop.run
    with responsive():
        return run(work)


@contextmanager
def responsive() -> Iterator[None]:
    """Keep the interpreter from holding up an event loop, for the garbage collector or for another thread.

    The collector does not go over what there is by now, and looks for circles seldom: that buys a tenth. Afterwards all
    is as it was, for the process may belong to a program that uses the library. Where another thread sends a run, or
    the page is served, it is so already, and is set back there.
    """
    thresholds, switched_after_s = gc.get_threshold(), sys.getswitchinterval()
    if thresholds[0] == _COLLECTED_EVERY:
        yield
        return
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *thresholds[1:])
    sys.setswitchinterval(_THREADS_SWITCHED_AFTER_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switched_after_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
