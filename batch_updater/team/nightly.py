"""The nightly job on a schedule: of all workers of a team exactly one runs it, each time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_updater.errors import ExitCode

if TYPE_CHECKING:  # imported only where there is a team
    from procrastinate import App
    from procrastinate.jobs import Job

NIGHTLY = "nightly"
"""Name of the task, of its queue and of its lock: one night at a time."""
_STARTS = 5
_AGAIN_AFTER_S = 30 * 60
"""As samples/schedule/batch-updater.service does it: after trouble of the account or the service, four times more."""
_log = logging.getLogger(__name__)


class _NightToRepeatError(Exception):
    """The night is to be repeated."""

    def __init__(self, code: int, wait_s: int) -> None:
        super().__init__(f"the nightly job ended with exit code {code}")
        self.wait_s = wait_s


class _NightFailedError(Exception):
    """The night has failed, and repeating it would not help."""


def register_nightly(app: App, schedule: str, command: Sequence[str]) -> None:
    """Run `command`, which is `batch-updater nightly`, at every time of the schedule (crontab(5), in UTC).

    It is a process of its own, with its own signals, log and exit code. Its queue is `NIGHTLY`: what listens to that
    one does nothing else, for the night waits for runs that other jobs send. Where a worker is asked to end, the night
    is, too, and goes to another worker. Every worker with a schedule takes part; a time that was more than ten minutes
    ago is left out.
    """
    from procrastinate import BaseRetryStrategy, RetryDecision

    class AfterTrouble(BaseRetryStrategy):
        """Repeats a night that raised _NightToRepeatError."""

        def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
            """Return when, None for never."""
            if not isinstance(exception, _NightToRepeatError) or (exception.wait_s and job.attempts + 1 >= _STARTS):
                return None
            return RetryDecision(retry_in={"seconds": exception.wait_s})

    @app.periodic(cron=schedule)
    @app.task(name=NIGHTLY, queue=NIGHTLY, lock=NIGHTLY, retry=AfterTrouble())
    async def nightly(timestamp: int) -> None:  # noqa: ARG001  (Procrastinate gives it)
        await _run(command)


async def _run(command: Sequence[str]) -> None:
    """Run the night to its end. Raises _NightToRepeatError, _NightFailedError."""
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
        code = await process.wait()
        raise _NightToRepeatError(code, 0) from None
    if code == ExitCode.RUN_AGAIN:
        raise _NightToRepeatError(code, _AGAIN_AFTER_S)
    if code not in {ExitCode.OK, ExitCode.NEEDS_PERSON}:
        raise _NightFailedError(f"the nightly job ended with exit code {code}")
    _log.info("The nightly job ended with exit code %s.", code)
