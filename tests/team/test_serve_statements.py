"""The statements over the tables of the page as PostgreSQL takes them."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from batch_updater.runs.statements import statements_in
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_uploads import TeamUploads

pytestmark = pytest.mark.debian
FILE = "team_uploads.sql"


def test_every_statement_is_understood(team: TeamDatabase) -> None:
    """Tables, columns and the types of parameters fit, whatever the parameters are."""
    with team.connected() as connection:
        for (statement,) in statements_in(FILE).values():
            parameters = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
            for parameter in parameters:
                statement = statement.replace(f"%({parameter})s", "NULL")  # noqa: PLW2901
            connection.execute(f"PREPARE of_page AS {statement}".encode())
            connection.execute("DEALLOCATE of_page")


def test_nul_is_kept_as_it_is_shown(team: TeamDatabase, tmp_path: Path) -> None:
    """As in the rows of a run: PostgreSQL cannot hold the character."""
    with closing(TeamUploads(tmp_path / "web", team, str)) as uploads:
        uploads.note("anna", "typed", text="a\0b")
        (event,) = uploads.events()
        assert event.text == r"a\x00b"
