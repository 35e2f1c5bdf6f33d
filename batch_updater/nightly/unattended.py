"""The job with everything around it: its lock, the signs of life, the message, the metrics, what is remembered."""

from __future__ import annotations

import traceback
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.config.schema import require_sendable
from batch_updater.errors import BatchUpdaterError, ExitCode, LockedError
from batch_updater.nightly import ping
from batch_updater.nightly.job import Job, required_inbox
from batch_updater.nightly.memory import MemoryFile
from batch_updater.nightly.message import compose, compose_verdict, has_recovered, is_due
from batch_updater.nightly.metrics import write_metrics
from batch_updater.nightly.night import Night, Trouble
from batch_updater.nightly.notify import notify
from batch_updater.runs.interrupts import Interrupted
from batch_updater.runs.lock import locked_inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batch_updater.config.environment import Environment
    from batch_updater.config.schema import Config
    from batch_updater.nightly.night import FileResult
    from batch_updater.runs.interrupts import Interrupts


def run_night(
    config: Config,
    environment: Environment,
    interrupts: Interrupts,
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> Night:
    """Run the unattended job once and tell whoever has to know.

    `say` takes a line for each file, `complain` one for whatever fails and stands in no result.
    Raises LockedError if another one is going on, ConfigError if the inbox cannot be used or no API is named.
    """
    teller = _Teller(config, environment, complain)
    job = Job(config, environment, teller.memory, interrupts, say, complain)
    with teller.tells_of_faults(job.results), locked_inbox(_required_inbox(config)):
        with suppress(Interrupted), interrupts.ending_at_once():
            teller.starts()
        night = job.run()
        teller.tell(night)
        return night


def _required_inbox(config: Config) -> Path:
    require_sendable(config)
    return required_inbox(config)


class _Teller:
    """Tells people and machines about a night. Whatever fails here is said, and changes nothing else."""

    def __init__(self, config: Config, environment: Environment, say: Callable[[str], None]) -> None:
        self._config = config
        self._environment = environment
        self._say = say
        self._started_at = datetime.now(UTC)
        self._has_told = False
        self.memory = MemoryFile(config.results.folder, config.nightly.inbox)

    def starts(self) -> None:
        """Say that the job begins."""
        self._ping(ping.START)

    def tell(self, night: Night) -> None:
        """Tell the result, each recipient once."""
        self._has_told = True
        settings, last = self._config.nightly, self.memory.memory.exit_code
        # What stays here comes first: a second signal may end the telling, and people take longest.
        self._failed(write_metrics(settings.metrics, night))
        recovers = has_recovered(night, last)
        if not recovers:
            self._remember(night)
        self._ping(ping.SUCCESS if night.exit_code == ExitCode.OK else ping.FAILURE)
        if is_due(settings.notify_when, night, last):
            self._notify(night, last)
        if recovers:  # until people have been told of it, the trouble is what they know
            self._remember(night)

    def _remember(self, night: Night) -> None:
        try:
            self.memory.end(int(night.exit_code))
        except OSError as error:
            path = self.memory.path
            self._failed(
                f"How the night ended could not be noted in {path}: {error.strerror}. See that the job may write there."
            )

    def _notify(self, night: Night, last: int | None) -> None:
        try:
            message = compose(night, last)
        except Exception:  # noqa: BLE001  (whatever it is: the verdict alone is better than nothing)
            for line in traceback.format_exc().splitlines():
                self._failed(line)
            self._failed("The message could not be composed; the verdict alone was sent.")
            message = compose_verdict(night)
        redact = self._environment.redaction.text
        message = replace(message, subject=redact(message.subject), body=redact(message.body))
        for failure in notify(message, self._config.nightly.notify, self._environment):
            self._failed(failure)

    @contextmanager
    def tells_of_faults(self, so_far: Sequence[FileResult]) -> Iterator[None]:
        """Tell people of what ends the job before its end, and what it has done; the exception goes its way."""
        fault: Trouble | None = Trouble(
            "fault", "It met a fault of the program itself.", "Look at its log.", ExitCode.FAULT
        )
        try:
            yield
            fault = None
        except LockedError:
            fault = None  # the job that holds the lock tells its own end
            raise
        except BatchUpdaterError as error:
            fault = Trouble("configuration", error.message, error.remedy, ExitCode.NOTHING_SENT)
            raise
        except KeyboardInterrupt:
            fault = Trouble("interrupted", "A second signal ended it at once.", "Start it again to go on.")
            raise
        finally:
            if fault and not self._has_told:
                self.tell(self._night_of(fault, so_far))

    def _night_of(self, fault: Trouble, so_far: Sequence[FileResult]) -> Night:
        elapsed_s = (datetime.now(UTC) - self._started_at).total_seconds()
        return Night(self._config.nightly.inbox or Path("?"), tuple(so_far), fault, self._started_at, elapsed_s)

    def _ping(self, sign: str) -> None:
        self._failed(ping.ping(self._config.nightly.health_check, sign, self._environment))

    def _failed(self, why: str | None) -> None:
        if why:
            self._say(why)
