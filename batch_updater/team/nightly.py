"""The nightly job on a schedule: of all workers of a team exactly one runs it, each time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from batch_updater.config.environment import machine_name
from batch_updater.errors import ExitCode
from batch_updater.messages import duration

if TYPE_CHECKING:  # imported only where there is a team
    from procrastinate import App
    from procrastinate.jobs import Job

    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

NIGHTLY = "nightly"
"""Name of the task, of its queue and of its lock: one night at a time."""
_STARTS = 5
_AGAIN_AFTER_S = 30 * 60
"""As samples/schedule/batch-updater.service does it: after trouble of the account or the service, four times more."""
_MEANT = {
    ExitCode.OK: "nothing needs attention",
    ExitCode.NEEDS_PERSON: "a file needs a person",
    ExitCode.RUN_AGAIN: "the account or the service failed, or rows are not done",
    ExitCode.LOCKED: "another nightly job works on the inbox",
}
_LAST = "last scheduled"
"""Name of the record of the last one among what nights remember, which is named by inbox."""
_KEEP = """
    INSERT INTO nights (name, content) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET content = excluded.content"""
_REASON_LINES = 3
_LONGEST_REASON = 500
_LONGEST_LINE_BYTES = 1_000_000


class NightEnd(msgspec.Struct, frozen=True):
    """How the nightly job ended on a host."""

    host: str
    ended_at: datetime
    exit_code: int
    """Negative: the signal that killed it."""
    reason: str
    """What it has said last on standard error, without secrets; '' if nothing."""

    @property
    def has_failed(self) -> bool:
        """Whether repeating it would not help."""
        return self.exit_code not in {int(code) for code in _MEANT}

    @property
    def meaning(self) -> str:
        """The exit code in words."""
        if self.exit_code < 0:
            return f"it was killed by signal {-self.exit_code}"
        meant = "" if self.has_failed else _MEANT[ExitCode(self.exit_code)]
        return f"exit code {self.exit_code}: {meant or self.reason or 'it has not said why'}".rstrip(".")


def last_night(connection: TeamConnection) -> NightEnd | None:
    """Return how the last nightly job of the schedule ended; None if there was none. Raises psycopg.Error."""
    record = connection.execute("SELECT content FROM nights WHERE name = %s", [_LAST]).fetchone()
    return msgspec.json.decode(record[0], type=NightEnd) if record else None


def next_night(schedule: str) -> datetime:
    """Return when the next one begins, in UTC."""
    from croniter import croniter

    return datetime.fromtimestamp(croniter(schedule, start_time=time.time()).get_next(float), UTC)


def in_words(at: datetime) -> str:
    """Return a time of the schedule, in UTC and as the clock of this machine shows it."""
    return f"{at:%Y-%m-%d %H:%M} UTC ({at.astimezone():%H:%M %Z} on this machine)"


class NightEndedError(Exception):
    """The night has ended in such a way that its job has failed, or is to be repeated."""


class _NightToRepeatError(NightEndedError):
    """The night is to be repeated."""

    def __init__(self, code: int, wait_s: int) -> None:
        super().__init__(f"the nightly job ended with exit code {code}")
        self.wait_s = wait_s


class ScheduledNights:
    """The part of a worker that runs `batch-updater nightly` at every time of a schedule (crontab(5), in UTC).

    A night is a process of its own, with its own signals and exit code; what it prints is said line by line. Its queue
    is `NIGHTLY`: what listens to that one does nothing else, for the night waits for runs that other jobs send. Every
    worker with a schedule takes part; a time that was more than ten minutes ago is left out.

    Where a worker is asked to end, the night is, too, and goes to another worker; its run continues. A worker that
    loses the database lets it go on: it waits for the database as any command does. Its job is queued again meanwhile,
    and belongs to the night that is going on if this worker gets it; on another one it finds the inbox locked, and
    comes back later.
    """

    def __init__(
        self,
        team: TeamDatabase,
        schedule: str,
        command: Sequence[str],
        say: Callable[[str], None],
        redact: Callable[[str], str],
        is_ending: Callable[[], bool],
    ) -> None:
        """`redact`: for what is kept; `is_ending`: whether the worker was asked to end when its jobs are cancelled."""
        self._team = team
        self._schedule = schedule
        self._command = command
        self._say = say
        self._redact = redact
        self._is_ending = is_ending
        self._process: asyncio.subprocess.Process | None = None
        self._night: asyncio.Task[NightEnd] | None = None
        """The night that is going on."""

    @property
    def next_time(self) -> str:
        """When the next one begins, in words."""
        return in_words(next_night(self._schedule))

    def register(self, app: App) -> None:
        """Take part in the schedule."""
        from procrastinate import BaseRetryStrategy, RetryDecision

        class AfterTrouble(BaseRetryStrategy):
            """Repeats a night that raised _NightToRepeatError."""

            def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
                """Return when, None for never."""
                if not isinstance(exception, _NightToRepeatError):
                    return None
                if exception.wait_s and job.attempts + 1 >= _STARTS:
                    return None
                return RetryDecision(retry_in={"seconds": exception.wait_s})

        @app.periodic(cron=self._schedule)
        @app.task(name=NIGHTLY, queue=NIGHTLY, lock=NIGHTLY, retry=AfterTrouble())
        async def nightly(timestamp: int) -> None:
            await self._run(datetime.fromtimestamp(timestamp, UTC))

    async def end(self) -> None:
        """End the night that is going on, as by a signal, and wait for it: its run continues without it."""
        if self._night is None:
            return
        self.terminate()
        await self._night

    def terminate(self) -> None:
        """Send the signal; the second one ends the night at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    async def _run(self, at: datetime) -> None:
        """Run the night of that time to its end. Raises NightEndedError."""
        if self._night is None:
            self._night = asyncio.create_task(self._one(at))
        night = self._night
        try:
            end = await asyncio.shield(night)
        except asyncio.CancelledError:
            if self._is_ending():
                await self.end()
            raise _NightToRepeatError(ExitCode.RUN_AGAIN, 0) from None
        if end.has_failed:
            raise NightEndedError(f"the nightly job ended with exit code {end.exit_code}")
        if end.exit_code in {ExitCode.RUN_AGAIN, ExitCode.LOCKED}:
            raise _NightToRepeatError(end.exit_code, _AGAIN_AFTER_S)

    async def _one(self, at: datetime) -> NightEnd:
        began_s, host = time.monotonic(), machine_name()
        self._say(f"The nightly job of {at:%Y-%m-%d %H:%M} UTC begins.")
        try:
            code, reason = await self._process_ended()
        finally:
            self._night = self._process = None
        end = NightEnd(host, datetime.now(UTC), code, reason)
        took = duration(time.monotonic() - began_s)
        verb = "has failed" if end.has_failed else "has ended"
        self._say(f"The nightly job of {at:%Y-%m-%d %H:%M} UTC {verb} on {host} after {took}, {end.meaning}.")
        await asyncio.to_thread(self._keep, end)
        return end

    async def _process_ended(self) -> tuple[int, str]:
        """Run the process; returns its exit code, and what it has said last on standard error."""
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, limit=_LONGEST_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for the worker: `end` sends the signal of its night
        )  # fmt: skip
        _, reason = await asyncio.gather(self._passed_on(process.stdout), self._passed_on(process.stderr))
        return await process.wait(), reason

    async def _passed_on(self, stream: asyncio.StreamReader | None) -> str:
        """Say each line of a stream; returns the last ones."""
        last = deque[str](maxlen=_REASON_LINES)
        while stream is not None and (line := await stream.readline()):
            if text := line.decode("utf-8", "replace").strip():
                self._say(f"Nightly job: {text}")
                last.append(text)
        return self._redact(" ".join(last))[-_LONGEST_REASON:]

    def _keep(self, end: NightEnd) -> None:
        """Note how the last night ended, for `doctor`; it is in the log if the database does not answer."""
        import psycopg

        with suppress(psycopg.Error), self._team.connected() as connection:
            connection.execute(_KEEP, [_LAST, msgspec.json.encode(end).decode()])
