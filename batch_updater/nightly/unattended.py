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
from batch_updater.errors import BatchUpdaterError, ExitCode, LockedError
from batch_updater.nightly.dispositions import NightStop
from batch_updater.nightly.job import NightlyJob, required_inbox
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
        with locked_inbox(required_inbox(config.nightly.inbox)):
            with suppress(Interrupted), interrupts.ending_at_once():
                reporter.ping(START)
            night = job.run()
            reporter.report(night)
            return night


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
        settings, last = self._config.nightly, self._state.state.exit_code
        # The local files come first: a second signal may end the reporting, and people take longest.
        self._complain_of(write_metrics(settings.metrics, night))
        recovers = has_recovered(night, last)
        if not recovers:
            self._keep(night)
        self.ping(SUCCESS if night.exit_code == ExitCode.OK else FAILURE)
        if is_due(settings.notify_when, night, last):
            self._notify(night, last)
        if recovers:  # until people have been told of it, the trouble is what they know
            self._keep(night)

    def ping(self, sign: str) -> None:
        """Send a sign to the health check."""
        self._complain_of(ping(self._config.nightly.health_check, sign, self._environment))

    def _keep(self, night: Night) -> None:
        try:
            self._state.end(int(night.exit_code))
        except OSError as error:
            self._complain(
                f"The end of the night could not be noted in {self._state.path}: {error.strerror}. See that the job "
                "may write there."
            )

    def _notify(self, night: Night, last: int | None) -> None:
        try:
            message = compose(night, last)
        except Exception:  # noqa: BLE001  (whatever it is: the verdict alone is better than nothing)
            for line in traceback.format_exc().splitlines():
                self._complain(line)
            self._complain("The message could not be composed; the verdict alone was sent.")
            message = compose_verdict(night)
        redact = self._environment.redaction.text
        message = replace(message, subject=redact(message.subject), body=redact(message.body))
        for failure in notify(message, self._config.nightly.notify, self._environment):
            self._complain(failure)

    def _complain_of(self, failure: str | None) -> None:
        if failure:
            self._complain(failure)

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
