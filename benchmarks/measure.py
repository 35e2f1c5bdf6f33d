"""What a process costs, from its start to its end."""

from __future__ import annotations

import os
import re
import select
import signal
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAMPLE_EVERY_S = 0.2
SAID_AT_MOST = 2_000
"""Characters of what a failed process printed that are told, from the end."""
_SIZE = re.compile(r"^(Rss|Pss): +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one program took, with the processes that it started."""

    wall_s: float
    cpu_s: float
    """In the program and in the kernel on its behalf, of the process and the children it waited for."""
    peak_mb: float
    """Resident memory of its largest process at its highest. It counts from that of the process which starts it, so
    that one stays small."""
    total_mb: float
    """Memory of all its processes together at its highest, pages that they share counted once."""


class FailedError(Exception):
    """Something measured did not do its work, so that its figures mean nothing."""


def run(command: list[str], output: Path, environ: Mapping[str, str] | None = None) -> Cost:
    """Run a process to its end, what it prints to stdout in the file `output`, errors beside it in `*.err`.

    `environ` is added to our own environment. Python programs keep what they compiled, as installed ones do. Raises
    FailedError unless it ends with 0.
    """
    errors = output.with_suffix(".err")
    actions = [
        (os.POSIX_SPAWN_OPEN, descriptor, os.fspath(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, path in ((1, output), (2, errors))
    ]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environ or {})}
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, environ, file_actions=actions)
    try:
        peak_mb, total_mb = _peaks_mb(process)
        _, status, usage = os.wait4(process, 0)
    except BaseException:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    wall_s = time.perf_counter() - started
    if status:
        said = "".join(path.read_text(encoding="utf-8", errors="replace")[-SAID_AT_MOST:] for path in (output, errors))
        raise FailedError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{said}")
    peak_mb = max(peak_mb, usage.ru_maxrss / 1024)  # exact, but without children that were not waited for
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_mb, max(total_mb, peak_mb))


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
        statistics.median(cost.total_mb for cost in costs),
    )


def memory_mb(process: int) -> tuple[float, float]:
    """Return the resident memory of the largest of a process and its descendants, and that of all of them together."""
    largest, total = 0.0, 0.0
    for member in _family(process):
        with suppress(OSError):  # it has ended since
            sizes = dict(_SIZE.findall(Path(f"/proc/{member}/smaps_rollup").read_text(encoding="ascii")))
            largest = max(largest, int(sizes["Rss"]) / 1024)
            total += int(sizes["Pss"]) / 1024
    return largest, total


def cpu_s(process: int) -> float:
    """Return what a process and its descendants have computed so far, with those that ended and were waited for.

    It is exact to a hundredth of a second (proc(5), /proc/[pid]/stat).
    """
    ticks = 0
    for member in _family(process):
        with suppress(OSError):  # it has ended since, and is then in the figure of the one that waited for it
            figures = Path(f"/proc/{member}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
            ticks += sum(map(int, figures.split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(process: int) -> Iterator[int]:
    yield process
    with suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in children.read_text(encoding="ascii").split():
                yield from _family(int(child))


def _peaks_mb(process: int) -> tuple[float, float]:
    """Wait until the process has ended. Returns the highest of each figure of `memory_mb` among samples."""
    peak_mb, total_mb = 0.0, 0.0
    descriptor = os.pidfd_open(process)
    try:
        end = select.poll()
        end.register(descriptor, select.POLLIN)
        while not end.poll(SAMPLE_EVERY_S * 1_000):
            largest, total = memory_mb(process)
            peak_mb, total_mb = max(peak_mb, largest), max(total_mb, total)
    finally:
        os.close(descriptor)
    return peak_mb, total_mb
