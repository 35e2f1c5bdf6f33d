"""What a worker tells the people who run it: lines with a time, in the order in which things happened."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from batch_updater.messages import duration
from batch_updater.records import StopReason
from batch_updater.runs.run_log import sentence_of
from batch_updater.team.nightly import NightEndedError
from batch_updater.team.queue import is_lost
from batch_updater.team.writer import time_s

if TYPE_CHECKING:
    from procrastinate.jobs import Job

    from batch_updater.runs.team_faults import TeamFault
    from batch_updater.text.redaction import Redaction

_LOOKED_EVERY_S = 0.25
_REFUSED_EVERY_S = 60.0


class WorkerLog:
    """The lines of one worker. For any thread."""

    def __init__(self, say: Callable[[str], None], redaction: Redaction, contact_s: float) -> None:
        """`contact_s`: without an answer of the database for so long nothing more is sent."""
        self._said = say
        self._redaction = redaction
        self._contact_s = contact_s
        self._lock = threading.Lock()
        self._is_lost = False
        self._fault: TeamFault | None = None
        """What was said of why."""
        self._refused_at_s = float("-inf")
        self._looked_at_s = time_s()
        self._stood_still_at_s = float("-inf")

    def say(self, text: str) -> None:
        """Say something, each line with the time."""
        at = datetime.now().astimezone()
        for line in self._redaction.text(text).splitlines():
            self._said(f"{at:%H:%M:%S} {line}")

    # --- the database ---

    def lost(self, fault: TeamFault | None = None) -> None:
        """Say once that the database does not answer, before what follows from it.

        `fault`: why it could not be connected to again; said once, and once more if it changes. If this process itself
        has just stood still, that is said instead, until there is a fault.
        """
        with self._lock:
            self._look()
            if not self._is_lost:
                if fault is None and self._looked_at_s - self._stood_still_at_s < self._contact_s:
                    return
                self._is_lost = True
                self.say("The team's database does not answer. Nothing more is sent until it does.")
            if fault is not None and fault != self._fault:
                self._fault = fault
                self.say(f"The team's database cannot be used: {fault.message}. {fault.remedy}")

    def refused(self, fault: TeamFault) -> None:
        """Say, once a minute, why the database answers but takes nothing: what it has refused is repeated."""
        with self._lock:
            now_s = time_s()
            if now_s - self._refused_at_s >= _REFUSED_EVERY_S:
                self._refused_at_s = now_s
                self.say(f"The team's database cannot be used: {fault.message}. {fault.remedy}")

    def answers(self) -> None:
        """Say that the database answers again, if it was said that it does not."""
        with self._lock:
            if self._is_lost:
                self._is_lost, self._fault = False, None
                self.say("The team's database answers again.")

    async def keep_looking(self) -> None:
        """Notice when this process stands still: it is stopped, or its machine sleeps."""
        while True:
            await asyncio.sleep(_LOOKED_EVERY_S)
            with self._lock:
                self._look()

    def _look(self) -> None:
        now_s = time_s()
        still_s, self._looked_at_s = now_s - self._looked_at_s, now_s
        if still_s > self._contact_s / 2:
            self._stood_still_at_s = now_s
            self.say(
                f"This worker stood still for {duration(still_s)}: its process was stopped, or its machine slept, or "
                "had no time for it. Other workers may have taken over its blocks."
            )

    # --- other workers ---

    def taken_from(self, host: str | None, job: Job) -> None:
        """Say that the job of another worker is queued again; None: that one had lost the database, or is forgotten."""
        gone = f"The worker on {host} is gone" if host else "A worker is gone, or had lost the team's database"
        run, number = job.task_kwargs.get("run"), job.task_kwargs.get("number")
        what = {
            "send": f"another worker leads {run} from now on",
            "block": f"another worker takes over block {number} of {run}",
            "report": f"another worker writes the report of {run}",
        }
        self.say(f"{gone}: {what.get(job.task_name, 'another worker starts the nightly job again')}.")


class _ConsoleHandler(logging.Handler):
    """Says what the people who run the worker should know of. That the database answers again its heartbeat shows."""

    def __init__(self, log: WorkerLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        values = record.__dict__
        error = record.exc_info[1] if record.exc_info else None
        match values.get("event"):
            case "stop":
                if values["why"] != StopReason.INTERRUPTED:
                    self._log.say(f"The run ends for all: {values['said']}")
                return
            case "team's database lost":
                self._log.lost(values.get("fault"))
                return
            case "team's database back":
                return
        if sentence := sentence_of(record):
            self._log.say(sentence)
            return
        if error is None or isinstance(error, NightEndedError) or is_lost(error):
            return
        if record.name.startswith("procrastinate"):
            self._log.say(record.getMessage())


@contextmanager
def logged_to(log: WorkerLog) -> Iterator[None]:
    """Say some of what is logged, and let nothing else out: what psycopg logs may hold names of hosts and users."""
    handler = _ConsoleHandler(log)
    loggers = [logging.getLogger(name) for name in ("batch_updater", "procrastinate", "psycopg")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
