"""What someone who can write to a team's database, such as a foreign host, cannot make the hosts of the team do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.program import sandbox
from tests.team.hosts import Host, hosts, migrated, query, state_of, until
from tests.team.postgres import PostgresServer
from tests.torture.runs import numbered

pytestmark = pytest.mark.debian


@pytest.fixture
def address(server: PostgresServer) -> str:
    """Return the address of a database with the tables of this program."""
    return migrated(server)


def test_a_token_goes_to_the_address_of_the_hosts_own_configuration_alone(tmp_path: Path, address: str) -> None:
    """A run that names another one ends before its first row."""
    numbered(tmp_path / "many.csv", 30)
    with sandbox() as own, sandbox() as foreign:
        host = Host(tmp_path, own.url, address)
        with hosts(host):
            run = host.submit("many.csv")
            query(
                address,
                "UPDATE run SET value = replace(value, %s, %s) WHERE name = 'identity' RETURNING value",
                own.url,
                foreign.url,
            )
            worker = host.work()
            until(lambda: state_of(address, run) == "ended")
            assert worker.end() == 0
        assert own.requests() == []
        assert foreign.requests() == []
    ((stop,),) = query(address, "SELECT stop FROM runs WHERE name = %s", run)
    assert '"credentials"' in stop
    assert foreign.url in stop
