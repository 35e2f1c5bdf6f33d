"""Measure the program beside its references: `make bench`, or `python -m benchmarks`.

Prints tables in Markdown and draws a plot. Everything measured is a whole process; references and program take turns
in the same call, since only ratios carry over from one machine to another.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import checking, growth, pythons, rate, sending, starting, team, web, writing
from benchmarks.bench import QUICK, Bench, Sizes, say
from benchmarks.measure import FailedError
from benchmarks.references import references
from benchmarks.table import Section, table_of_goals
from benchmarks.team_hosts import is_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "benchmark.png"
SECTIONS: Mapping[str, Callable[[Bench], Section]] = {
    "sending": sending.fast,
    "large": sending.large,
    "latency": sending.slow,
    "rate": rate.measured,
    "growth": growth.measured,
    "check": checking.measured,
    "workbook": writing.measured,
    "start": starting.measured,
    "web": web.measured,
    "team": team.measured,
}


def main() -> int:
    """Measure what is asked for. Returns 1 if anything measured did not do its work; goals that are missed are told."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    sizes = QUICK if given.quick else Sizes()
    rounds = given.rounds or (1 if given.quick else 3)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            bench = Bench(Path(name), rounds, sizes)
            if given.python:
                found: list[Section] = [pythons.measured(bench, given.python)]
            else:
                found = [SECTIONS[section](bench) for section in SECTIONS if section in given.only]
    except FailedError as error:
        print(f"bench: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    _show(found, rounds)
    if given.plot:
        _draw(found, given.plot)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="how often each comparison is made (default: 3; with --quick, 1)")
    parser.add_argument("--quick", action="store_true", help="small numbers: whether it works, not how fast it is")
    every = [section for section in SECTIONS if section != "team" or is_installed()]
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=every, help="leave the others out")
    parser.add_argument(
        "--python",
        nargs="+",
        metavar="PATH",
        help="compare `run` under this interpreter and these instead; their environments hold requirements.lock",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="default: docs/pictures/benchmark.png if all is measured, otherwise none",
    )
    given = parser.parse_args()
    if given.plot is None and not given.quick and not given.python and set(given.only) >= set(every):
        given.plot = PICTURE
    return given


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End as if interrupted, so that servers are ended too."""
    raise KeyboardInterrupt


def _show(found: list[Section], rounds: int) -> None:
    machine = f"{os.cpu_count()} x {_processor()}, {platform.system()}, Python {platform.python_version()}"
    own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Medians of {rounds} round(s) of whole processes; {machine}. No peak is seen below {own_mb:.0f} MB.")
    print(f"References: {references()}.\n")
    goals = [table_of_goals(found)] if any(section.goals() for section in found) else []
    for table in (*goals, *(table for section in found for table in section.tables())):
        print(table.markdown())


def _processor() -> str:
    """Return the name that Linux gives to the processor."""
    name = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return name[1] if name else platform.machine()


def _draw(found: list[Section], path: Path) -> None:
    speeds = [section for section in found if isinstance(section, sending.Sending)]
    sizes = next((section for section in found if isinstance(section, growth.Growth)), None)
    if not speeds and not sizes:
        return
    from benchmarks.plot import draw  # noqa: PLC0415  (matplotlib is large, and only now is nothing measured any more)

    draw(path, speeds, sizes)
    say(f"the plot is {path}")


if __name__ == "__main__":
    sys.exit(main())
