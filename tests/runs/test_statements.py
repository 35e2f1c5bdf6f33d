"""The statements that are executed are those of the tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import batch_updater
from batch_updater.runs import statements
from batch_updater.runs.tables import as_sqlite

PACKAGE = Path(batch_updater.__file__).parent


def test_the_file_of_statements_is_what_the_tables_make() -> None:
    """It is written by `make sql`, after each change of runs/tables.py."""
    assert (PACKAGE / "runs" / "sqlite.sql").read_text(encoding="utf-8") == as_sqlite()


def test_every_statement_that_a_module_names_is_in_the_file() -> None:
    """Their names are looked up when they are needed."""
    named = {
        name
        for module in PACKAGE.rglob("*.py")
        for name in re.findall(r"\bstatements\.([A-Z][A-Z_]+)\b", module.read_text(encoding="utf-8"))
    }
    assert named
    assert all(getattr(statements, name) for name in named)


def test_the_file_is_the_same_from_one_process_to_the_next() -> None:
    """Sets have another order in each."""
    made = {
        subprocess.run(
            [sys.executable, "-m", "batch_updater.runs.tables"],
            capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(made) == 1
