"""Disks, folders and streams that fail under the real command line: what it says, and that no row is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import Done, configure, environment, sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell prepares the surroundings")


def in_shell(prepared: str, *arguments: str, cwd: Path) -> Done:
    """Run one command in a POSIX shell in which something was prepared; `$@` in it is the command."""
    variables = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["sh", "-c", prepared, "sh", sys.executable, "-m", "batch_updater", *arguments],
        cwd=cwd, env=variables, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_an_input_whose_copy_does_not_fit_is_refused_and_not_cut_off(tmp_path: Path) -> None:
    """A disk that takes a part of the copy: exit code 2, nothing sent; otherwise the last rows would vanish."""
    rows = "".join(f"{number},Pre,name {number},{'x' * 15_000}\n" for number in range(1, 31))
    (tmp_path / "rows.csv").write_text(f"Id,Type,OpportunityName,Note\n{rows}", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        # 512 bytes each: more than everything but the copy needs, and less than half of the copy.
        done = in_shell('ulimit -f 400; exec "$@"', "run", "rows.csv", "--json", cwd=tmp_path)
        assert not api.requests()
    assert done.code == 2
    assert "The copy of the input" in done.object["error"]["message"]
    assert not list((tmp_path / "runs").iterdir())
