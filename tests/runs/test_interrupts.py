"""runs/interrupts.py: signals that end a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batch_updater.runs.interrupts import signal_behind

_LOST = """
import signal, sys
from batch_updater.runs.interrupts import Interrupted, Interrupts, end_on_signals

class Collected:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

end_on_signals()
one = Collected()
del one  # what is raised in it is only printed
try:
    with Interrupts():
        sys.exit("it goes on")
except Interrupted as signalled:
    print(signalled.number == signal.SIGTERM)
"""
_WRAPPED = """
import functools, signal, sys
from batch_updater.cli.commands import main

def at_first(frame, event, arg):
    if event == "call" and frame.f_code is functools.cached_property.__set_name__.__code__:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGTERM)

sys.setprofile(at_first)
sys.exit(main(["check", "deals.csv"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no other program sends this signal there")
def test_a_signal_of_which_python_makes_an_error_of_its_own_ends_the_command_as_any_other(tmp_path: Path) -> None:
    """As where it comes while a class is made: before anything is sent, and no internal error."""
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPED], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.splitlines() == ["batch-updater: Interrupted. Nothing was sent.", "Run it again."]
    assert (done.stdout, done.returncode) == ("", 3)


@pytest.mark.skipif(sys.platform == "win32", reason="no other program sends this signal there")
def test_a_signal_that_python_itself_drops_ends_the_command_all_the_same() -> None:
    """As where it comes during an import, whose callbacks can raise nothing: before anything is sent."""
    done = subprocess.run([sys.executable, "-c", _LOST], capture_output=True, text=True, timeout=60, check=False)
    assert "Exception ignored" in done.stderr
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_an_error_that_was_raised_because_of_one_that_it_has_caused_is_no_signal() -> None:
    """Looking for its causes comes to an end."""
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert signal_behind(one) is None
