"""A run that is sent: by this process, or by the workers of a team, whose progress is followed."""

from __future__ import annotations

from batch_updater.config.environment import Environment
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.open_run import OpenRun
from batch_updater.runs.result import Options, Progress, RunResult
from batch_updater.runs.run import ActiveRun


def execute(
    open_run: OpenRun,
    options: Options,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: StopRequests | None = None,
) -> RunResult:
    """Send every good row that is not done yet, then write the workbook. Raises what `ActiveRun.execute` raises."""
    return ActiveRun(open_run, options, environment).execute(progress, interrupts)
