"""The figures of a team for Prometheus: what is in the database is what is served, and no secret is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batch_updater.config.secrets import Secret
from batch_updater.errors import UsageError
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.metrics import MetricsAddress, metrics_address, serve_metrics

if TYPE_CHECKING:
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian
ANY = MetricsAddress("127.0.0.1", 0)
ORIGIN = "https://nexus.example.com:443"


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def figures(text: str) -> dict[str, float]:
    """Return name and labels of each sample -> its value."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_the_database_holds_is_served(team: TeamDatabase) -> None:
    """Runs and jobs by state, rows by outcome, workers, the month, breaker and pace; each answer reads it again."""
    account = "0123456789abcdef0123456789abcdef"
    month = datetime.now(UTC).date().replace(day=1)
    with team.connected() as connection, serve_metrics(team, ANY) as port:
        empty = figures(scraped(port))
        assert empty["batch_updater_team_database_up"] == 1
        assert empty["batch_updater_team_runs queued"] == empty["batch_updater_team_oldest_waiting_seconds"] == 0
        connection.execute("INSERT INTO runs (name, origin, state, submitted_at) VALUES "
                           "('a', 'o', 'queued', now() - interval '90 s'), ('b', 'o', 'queued', now()), "
                           "('c', 'o', 'sending', now()), ('d', 'o', 'ended', now())")  # fmt: skip
        connection.execute("""INSERT INTO blocks (run, number, "rows", counts) SELECT id, number, 10, counts
                           FROM runs, (VALUES (0, '{"updated": 3, "failed": 1}'), (1, '{"updated": 4}'))
                           AS b (number, counts)
                           WHERE name IN ('c', 'd')""")  # fmt: skip
        connection.execute("INSERT INTO workers SELECT procrastinate_register_worker_v1(), 'host-a'")
        connection.execute("INSERT INTO workers SELECT procrastinate_register_worker_v1(), 'host-b'")
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' "
                           "WHERE id = (SELECT id FROM workers WHERE host = 'host-b')")  # fmt: skip
        connection.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES "
                           "('runs https://nexus.example.com', 'send', 'todo'), ('runs o', 'send', 'doing'), "
                           "('blocks o', 'block', 'succeeded')")  # fmt: skip
        connection.execute("INSERT INTO quotas (origin, account, slowed_to_per_s, opened_at, deadline) VALUES "
                           "(%s, %s, 12.5, 1, extract(epoch FROM now()) + 60), (%s, 'ended', NULL, 1, 2)",
                           (ORIGIN, account, ORIGIN))  # fmt: skip
        connection.execute("INSERT INTO months VALUES (%s, %s, %s, 41), (%s, %s, '2020-01-01', 5)",
                           (ORIGIN, account, month, ORIGIN, account))  # fmt: skip
        text = scraped(port)
    found = figures(text)
    assert [found[f"batch_updater_team_runs {state}"] for state in ("queued", "sending", "ended", "staging")] == [
        2, 1, 1, 0,
    ]  # fmt: skip
    assert found["batch_updater_team_rows updated"] == 7  # of the run that is being sent, not of the one that has ended
    assert found["batch_updater_team_rows failed"] == 1
    assert found["batch_updater_team_jobs runs todo"] == found["batch_updater_team_jobs runs doing"] == 1
    assert not [name for name in found if "succeeded" in name]
    assert found["batch_updater_team_workers host-a"] == 1
    assert "batch_updater_team_workers host-b" not in found
    assert 90 <= found["batch_updater_team_oldest_waiting_seconds"] < 120
    shown = f"{account[:8]} {ORIGIN}"
    assert found[f"batch_updater_team_requests_this_month {shown}"] == 41
    assert found[f"batch_updater_team_breaker_open {shown}"] == 1
    assert found[f"batch_updater_team_breaker_open ended {ORIGIN}"] == 0  # the run that opened it has ended
    assert found[f"batch_updater_team_slowed_to_per_second {shown}"] == 12.5
    assert account not in text
    assert "secret-of-the-database" not in text


def test_a_database_that_is_away_is_a_figure(server: PostgresServer, closed_port: int) -> None:
    """The answer is there all the same, and says nothing else."""
    away = TeamDatabase(Secret(address_of(server.address(port=closed_port))))
    with serve_metrics(away, ANY) as served:
        text = scraped(served)
    assert figures(text) == {"batch_updater_team_database_up": 0}
    assert "secret" not in text


def test_the_port_is_free_again_afterwards_and_a_taken_one_is_told(team: TeamDatabase) -> None:
    """In a sentence with what to do."""
    with serve_metrics(team, ANY) as port:
        with (
            pytest.raises(UsageError, match=f"127.0.0.1:{port}") as caught,
            serve_metrics(team, MetricsAddress("127.0.0.1", port)),
        ):
            pass
        assert "--metrics-port" in caught.value.remedy
    with pytest.raises(OSError, match="refused"):
        scraped(port)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9101", ("127.0.0.1", 9101)),
        ("0.0.0.0:9101", ("0.0.0.0", 9101)),  # noqa: S104
        ("[::1]:9101", ("::1", 9101)),
        ("metrics.example.com:0", ("metrics.example.com", 0)),
    ],
)
def test_an_address_is_of_this_machine_unless_it_names_a_host(text: str, address: tuple[str, int]) -> None:
    """The host goes before the port."""
    assert metrics_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "70000", "-1", ":9101", "host:", "::1:9101", "[::1]", "[x]:1", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    """With how to write it."""
    with pytest.raises(UsageError) as caught:
        metrics_address(text)
    assert "HOST:PORT" in caught.value.remedy
