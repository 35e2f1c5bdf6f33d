"""The nightly job with everything around it: lock, health check, message, metrics, state."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, require_sendable
from batch_updater.errors import BatchUpdaterError, ConfigError, ExitCode, LockedError
from batch_updater.nightly.dispositions import NightStop
from batch_updater.nightly.job import NightlyJob
from batch_updater.nightly.message import compose, compose_verdict, has_recovered, is_due
from batch_updater.nightly.metrics import write_metrics
from batch_updater.nightly.night import FileResult, Night
from batch_updater.nightly.notify import notify
from batch_updater.nightly.ping import FAILURE, START, SUCCESS, ping
from batch_updater.nightly.state import StateFile
from batch_updater.runs.interrupts import Interrupted, Interrupts
from batch_updater.runs.lock import locked_inbox


def run_night(
    config: Config,
    environment: Environment,
    interrupts: Interrupts,
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> Night:
    """Run the nightly job once and report it.

    `say` takes a line for each file, `complain` one for whatever fails and is part of no result.
    Raises LockedError if another one is running, ConfigError if the inbox cannot be used or no API is named.
    """
    state = StateFile(config.results.folder, config.nightly.inbox)
    reporter = _NightReporter(config, environment, state, complain)
    job = NightlyJob(config, environment, state, interrupts, say, complain)
    with reporter.reporting_errors(job.results):
        require_sendable(config)
        inbox = _required_inbox(config.nightly.inbox)
        with locked_inbox(inbox):
            with suppress(Interrupted), interrupts.ending_at_once():
                if failure := ping(config.nightly.health_check, START, environment):
                    complain(failure)
            night = job.run(inbox)
            reporter.report(night)
            return night


def _required_inbox(inbox: Path | None) -> Path:
    """Return the inbox. Raises ConfigError if none is configured, or the folder is not there."""
    if inbox is None:
        raise ConfigError(
            "The configuration does not say where the files of the nightly job lie.",
            remedy="Set nightly.inbox in config.yaml to the folder into which they are put.",
        )
    if not inbox.is_dir():
        raise ConfigError(
            f"The inbox {inbox} is not there, or is no folder.",
            remedy="Make it, or correct nightly.inbox; if it is on another machine, see whether it is connected.",
        )
    return inbox


class _NightReporter:
    """Reports a night to people and machines. A failure is passed to `complain` and changes nothing else."""

    def __init__(
        self, config: Config, environment: Environment, state: StateFile, complain: Callable[[str], None]
    ) -> None:
        self._config = config
        self._environment = environment
        self._state = state
        self._complain = complain
        self._started_at = datetime.now(UTC)
        self._has_reported = False

    def report(self, night: Night) -> None:
        """Report the night, once to each recipient."""
        self._has_reported = True
        for failure in self._report(night):
            if failure:
                self._complain(failure)

    def _report(self, night: Night) -> Iterator[str | None]:
        settings, last = self._config.nightly, self._state.state.exit_code
        # The local files come first: a second signal may end the reporting, and people take longest.
        yield write_metrics(settings.metrics, night)
        recovers = has_recovered(night, last)
        if not recovers:
            yield self._keep(night)
        yield ping(settings.health_check, SUCCESS if night.exit_code == ExitCode.OK else FAILURE, self._environment)
        if is_due(settings.notify_when, night, last):
            yield from self._notify(night, last)
        if recovers:  # until people have been told of it, the trouble is what they know
            yield self._keep(night)

    def _keep(self, night: Night) -> str | None:
        try:
            self._state.end(int(night.exit_code))
        except OSError as error:
            where = f"The end of the night could not be noted in {self._state.path}: {error.strerror}."
            return f"{where} See that the job may write there."
        return None

    def _notify(self, night: Night, last: int | None) -> Iterator[str]:
        try:
            message = compose(night, last)
        except Exception:  # noqa: BLE001  (whatever it is: the verdict alone is better than nothing)
            yield from traceback.format_exc().splitlines()
            yield "The message could not be composed; the verdict alone was sent."
            message = compose_verdict(night)
        redact = self._environment.redaction.text
        message = replace(message, subject=redact(message.subject), body=redact(message.body))
        yield from notify(message, self._config.nightly.notify, self._environment)

    @contextmanager
    def reporting_errors(self, so_far: Sequence[FileResult]) -> Iterator[None]:
        """Report an exception that ends the job early, with the files so far, and let it pass."""
        stop: NightStop | None = NightStop("fault", "An internal error ended it.", "Look at its log.", ExitCode.FAULT)
        try:
            yield
            stop = None
        except LockedError:
            stop = None  # the job that holds the lock reports its own end
            raise
        except BatchUpdaterError as error:
            stop = NightStop("configuration", error.message, error.remedy, ExitCode.NOTHING_SENT)
            raise
        except KeyboardInterrupt:
            stop = NightStop("interrupted", "A second signal ended it at once.", "Start it again to go on.")
            raise
        finally:
            if stop and not self._has_reported:
                elapsed_s = (datetime.now(UTC) - self._started_at).total_seconds()
                inbox = self._config.nightly.inbox or Path("?")
                self.report(Night(inbox, tuple(so_far), stop, self._started_at, elapsed_s))
