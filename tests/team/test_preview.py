"""What a preview says of the quota: what is left of the month, as all hosts of the team have counted it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from batch_updater.cli.preview import preview_lines
from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.runs.open_run import open_run
from batch_updater.runs.team_folders import joined
from batch_updater.runs.team_quota import quota_for

if TYPE_CHECKING:
    from pathlib import Path

    from batch_updater.config.schema import Config
    from batch_updater.runs.team_database import TeamDatabase

pytestmark = pytest.mark.debian
ROWS = "Id,Type,SalesRevenue\n1,Pre,100\n2,Pre,200\n3,Pre,300\n"
LEFT = "Quota     "


@pytest.fixture
def environment(team: TeamDatabase) -> Environment:
    parameters = psycopg.conninfo.conninfo_to_dict(team.address)
    address = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parameters)
    return Environment({"TEAM_DATABASE": address, "NEXUS_TOKEN": "token-of-a-test"})


def configured(folder: Path, *, team: bool = True, quota: int = 1000) -> Config:
    return config_from(
        {
            "api": {"base_url": "https://nexus.example.com", "token": "env:NEXUS_TOKEN", "quota_per_month": quota},
            "results": {"folder": str(folder / "runs")},
            **({"team": {"database": "env:TEAM_DATABASE"}} if team else {}),
        },
        {},
    )


def quota_lines(folder: Path, config: Config, environment: Environment) -> list[str]:
    (folder / "c.csv").write_text(ROWS, encoding="utf-8")
    with open_run(folder / "c.csv", config, environment) as opened:
        lines = [line.text for line in preview_lines(opened, 3, environment)]
    return [line.removeprefix(LEFT) for line in lines if line.startswith(LEFT)]


def count_requests(config: Config, environment: Environment, requests: int) -> None:
    """Let the month have so many requests of this account."""
    with joined(config, environment) as team:
        assert team
        quota = quota_for(config, environment)
        assert quota
        with team.connected() as connection:
            connection.execute("INSERT INTO months VALUES (%(origin)s, %(account)s, "
                               "date_trunc('month', now() AT TIME ZONE 'UTC')::date, %(requests)s)",
                               {**quota._key, "requests": requests})  # fmt: skip


def test_the_preview_says_what_is_left_of_the_month(tmp_path: Path, environment: Environment) -> None:
    """Of this account, on every host."""
    config = configured(tmp_path)
    with joined(config, environment):
        assert quota_lines(tmp_path, config, environment) == [
            "1,000 of 1,000 requests left this month (the team has made 0)"
        ]
    count_requests(config, environment, 400)
    with joined(config, environment):
        assert quota_lines(tmp_path, config, environment) == [
            "600 of 1,000 requests left this month (the team has made 400)"
        ]


def test_too_little_is_told(tmp_path: Path, environment: Environment) -> None:
    """With how many requests are missing; nothing is refused, for records may need no update."""
    config = configured(tmp_path)
    count_requests(config, environment, 998)
    with joined(config, environment):
        (line,) = quota_lines(tmp_path, config, environment)
    assert line.startswith("2 of 1,000 requests left this month (the team has made 998); ")
    assert line.endswith("that is 1 too few, if every request is needed")


def test_without_a_team_no_one_has_counted(tmp_path: Path, environment: Environment) -> None:
    """And the line is not there."""
    config = configured(tmp_path, team=False)
    assert quota_lines(tmp_path, config, environment) == []
