"""The nightly job with everything around it: lock, health check, metrics, message, state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, require_sendable
from batch_updater.errors import BatchUpdaterError, ConfigError, ExitCode, LockedError
from batch_updater.nightly.dispositions import NightStop
from batch_updater.nightly.job import NightlyJob
from batch_updater.nightly.message import compose, has_recovered, is_due
from batch_updater.nightly.metrics import write_metrics
from batch_updater.nightly.night import Night
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
    """Run the nightly job once and report it, also if an exception ends it early.

    `say` takes a line for each file, `complain` one for whatever fails and is part of no result. Raises LockedError if
    another job is running, which reports its own end, and ConfigError if the inbox cannot be used or no API is named.
    """
    state = StateFile(config.results.folder, config.nightly.inbox)
    job = NightlyJob(config, environment, state, interrupts, say, complain)
    night: Night | None = None

    def report(ended: Night) -> None:
        for failure in _report(ended, config, environment, state):
            if failure:
                complain(failure)

    try:
        require_sendable(config)
        inbox = _required_inbox(config.nightly.inbox)
        with locked_inbox(inbox):
            with suppress(Interrupted), interrupts.ending_at_once():
                if failure := ping(config.nightly.health_check, START, environment):
                    complain(failure)
            night = job.run(inbox)
            report(night)
            return night
    except LockedError:
        raise
    except BaseException as error:
        if night is None:  # else a second signal has ended the report
            report(job.night(config.nightly.inbox or Path("?"), _stop_of(error)))
        raise


def _required_inbox(inbox: Path | None) -> Path:
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


def _stop_of(error: BaseException) -> NightStop:
    if isinstance(error, BatchUpdaterError):
        return NightStop("configuration", error.message, error.remedy, ExitCode.NOTHING_SENT)
    if isinstance(error, KeyboardInterrupt):
        return NightStop("interrupted", "A second signal ended it at once.", "Start it again to go on.")
    return NightStop("fault", "An internal error ended it.", "Look at its log.", ExitCode.FAULT)


def _report(night: Night, config: Config, environment: Environment, state: StateFile) -> Iterator[str | None]:
    """Report a night, once to each machine and person. Yields a sentence for each failure, which changes nothing."""
    settings, last = config.nightly, state.state.exit_code
    # The local files come first: a second signal may end the report, and people take longest.
    yield write_metrics(settings.metrics, night)
    recovers = has_recovered(night, last)
    if not recovers:
        yield _keep(night, state)
    yield ping(settings.health_check, SUCCESS if night.exit_code == ExitCode.OK else FAILURE, environment)
    if is_due(settings.notify_when, night, last):
        message, redact = compose(night, last), environment.redaction.text
        message = replace(message, subject=redact(message.subject), body=redact(message.body))
        yield from notify(message, settings.notify, environment)
    if recovers:  # until people have been told of it, the trouble is what they know
        yield _keep(night, state)


def _keep(night: Night, state: StateFile) -> str | None:
    try:
        state.end(int(night.exit_code))
    except OSError as error:
        where = f"The end of the night could not be noted in {state.path}: {error.strerror}."
        return f"{where} See that the job may write there."
    return None
