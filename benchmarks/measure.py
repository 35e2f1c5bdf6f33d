"""What a process costs, from its start to its end."""

from __future__ import annotations

import os
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SAID_AT_MOST = 2_000
"""Characters of what a failed process printed that are told, from the end."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    """In the program and in the kernel on its behalf, of the process and the children it waited for."""
    peak_mb: float
    """Resident memory at its highest. It counts from that of the process which starts it, so that one stays small."""


class FailedError(Exception):
    """Something measured did not do its work, so that its figures mean nothing."""


def run(command: list[str], output: Path, environ: Mapping[str, str] | None = None) -> Cost:
    """Run a process to its end, what it prints to stdout in the file `output`, errors beside it in `*.err`.

    `environ` is added to our own environment. Raises FailedError unless it ends with 0.
    """
    errors = output.with_suffix(".err")
    actions = [
        (os.POSIX_SPAWN_OPEN, descriptor, os.fspath(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, path in ((1, output), (2, errors))
    ]
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, {**os.environ, **(environ or {})}, file_actions=actions)
    try:
        _, status, usage = os.wait4(process, 0)
    except BaseException:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    wall_s = time.perf_counter() - started
    if status:
        said = "".join(path.read_text(encoding="utf-8", errors="replace")[-SAID_AT_MOST:] for path in (output, errors))
        raise FailedError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{said}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )
