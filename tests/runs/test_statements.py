"""The statements that are executed are those of the tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batch_updater
from batch_updater.runs import statements, tables, team_upload_tables, upload_statements, upload_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PACKAGE = Path(batch_updater.__file__).parent


@pytest.mark.parametrize(
    ("content", "file"),
    [
        (tables.as_sqlite, "sqlite.sql"),
        (tables.as_postgres, "postgres.sql"),
        (upload_tables.as_sqlite, "uploads.sql"),
        (team_upload_tables.as_postgres, "team_uploads.sql"),
    ],
)
def test_the_file_of_statements_is_what_the_tables_make(content: Callable[[], str], file: str) -> None:
    """It is written by `make sql`, after each change of the tables."""
    assert (PACKAGE / "runs" / file).read_text(encoding="utf-8") == content()


@pytest.mark.parametrize("of", [statements, upload_statements])
def test_every_statement_that_a_module_names_is_in_the_file(of: ModuleType) -> None:
    """Their names are looked up when they are needed."""
    name = of.__name__.rpartition(".")[2]
    named = {
        found
        for module in PACKAGE.rglob("*.py")
        for found in re.findall(rf"\b{name}\.([A-Z][A-Z_]+)\b", module.read_text(encoding="utf-8"))
    }
    assert named
    assert all(getattr(of, found) for found in named)


@pytest.mark.parametrize("module", [["tables", "sqlite"], ["tables", "postgres"], ["upload_tables"]])
def test_the_file_is_the_same_from_one_process_to_the_next(module: list[str]) -> None:
    """Sets have another order in each."""
    made = {
        subprocess.run(
            [sys.executable, "-m", f"batch_updater.runs.{module[0]}", *module[1:]],
            capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(made) == 1
