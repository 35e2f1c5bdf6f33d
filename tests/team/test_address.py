"""The address of a team's database: how it is connected to, and that it is never shown."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from batch_updater.config.environment import Environment
from batch_updater.config.schema import TeamSettings
from batch_updater.errors import ConfigError
from batch_updater.runs.team_database import address_of, team_database

CERTIFICATES = Path(__file__).parent.parent / "sender" / "certificates"


def parameters(text: str) -> dict[str, object]:
    return dict(conninfo_to_dict(address_of(text)))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@db.example.com/team",
        "postgres://u:p@10.0.0.7/team",
        "postgresql://u:p@[fd00::7]/team",
        "postgresql://u:p@db1.example.com:5432,db2.example.com:5433/team",
        "postgresql://u:p@localhost,db.example.com/team",  # one of them is another machine
        "postgresql://u:p@localhost/team?hostaddr=10.0.0.7",  # the name is checked, the address is connected to
        "postgresql://u:p@127.0.0.1.example.com/team",
        "postgresql://u:p@/team?service=team",  # the host is in a file
        "postgresql:///team",  # or in the variable PGHOST
    ],
)
def test_tls_is_verified_unless_the_database_is_on_this_machine(address: str) -> None:
    """The certificate has to be of that host, and signed by an authority that the system trusts."""
    found = parameters(address)
    assert found["sslmode"] == "verify-full"
    assert found["sslrootcert"] == "system" or Path(str(found["sslrootcert"])).is_file()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@localhost/team",
        "postgresql://u:p@127.0.0.1:5433/team",
        "postgresql://u:p@[::1]/team",
        "postgresql://u:p@db.example.com/team?hostaddr=127.0.0.1",
        "postgresql://u@%2Fvar%2Frun%2Fpostgresql/team",
        "postgresql:///team?host=/var/run/postgresql",
        "postgresql://u:p@127.0.0.1:1,localhost:2/team",
    ],
)
def test_on_this_machine_it_is_as_the_server_has_it(address: str) -> None:
    """Loopback and sockets: no one is in between."""
    assert "sslmode" not in parameters(address)


def test_what_the_address_says_of_tls_goes_before() -> None:
    """An authority of one's own, or a person's decision to do without."""
    own = parameters("postgresql://u:p@db.example.com/team?sslrootcert=/etc/company.pem")
    assert (own["sslmode"], own["sslrootcert"]) == ("verify-full", "/etc/company.pem")
    without = parameters("postgresql://u:p@db.example.com/team?sslmode=require")
    assert (without["sslmode"], "sslrootcert" in without) == ("require", False)


def test_the_authorities_are_those_of_a_file_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the variable SSL_CERT_FILE says, too; psycopg's own OpenSSL has none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "localhost.pem"))
    assert ssl.get_default_verify_paths().cafile == str(CERTIFICATES / "localhost.pem")
    assert parameters("postgresql://u@db.example.com/team")["sslrootcert"] == str(CERTIFICATES / "localhost.pem")


def test_all_of_an_address_is_kept() -> None:
    """A password with every sign, several hosts with ports, and options of one's own; tables are found by name."""
    found = parameters(
        "postgresql://me:p%40s%2F%27%20w%23%3F@db1:1,db2:2/team?target_session_attrs=read-write"
        "&options=-c%20lock_timeout%3D1s&connect_timeout=2"
    )
    assert (found["user"], found["password"], found["dbname"]) == ("me", "p@s/' w#?", "team")
    assert (found["host"], found["port"], found["target_session_attrs"]) == ("db1,db2", "1,2", "read-write")
    assert found["options"] == "-c lock_timeout=1s -c search_path=batch_updater"
    assert found["connect_timeout"] == "2"


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:p-canary@db/team",
        "db.example.com canary",
        "host=db password=canary",
        "postgresql://u:canary@db:x/team",
        "postgresql://u:canary@db:0/team",
        "postgresql://u:canary@db:70000/team",
        "postgresql://u:canary@[::1/team",
        "postgresql://u:canary@db/team?nope=1",
        "postgresql://u:canary%zz@db/team",
        "",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    """It may hold a password, whatever it is."""
    with pytest.raises(ConfigError) as caught:
        address_of(text)
    whole = f"{caught.value}{caught.value.remedy}{caught.value.__cause__}"
    assert "team.database" in whole
    assert "postgresql://USER" in whole
    assert "canary" not in whole


@pytest.mark.parametrize("password", ["ca@nary", "ca/nary", "1/ca@nary"])
def test_a_password_that_is_not_percent_encoded_is_told_how(password: str) -> None:
    """What is behind the sign would be taken for the host or the database, which are shown."""
    with pytest.raises(ConfigError) as caught:
        address_of(f"postgresql://me:{password}@db/team")
    assert "@ : / ? # % as %40" in caught.value.remedy
    assert "nary" not in f"{caught.value}{caught.value.remedy}"


def test_an_option_that_is_not_known_is_named() -> None:
    """Unless it may be what is behind a `?` of the password."""
    with pytest.raises(ConfigError, match="does not know: nope"):
        address_of("postgresql://me:p@db/team?connect_timeout=5&nope=1")
    with pytest.raises(ConfigError) as caught:
        address_of("postgresql://me:1/pass?nary=1@db/team?nope=1")
    assert "nary" not in str(caught.value)


def test_the_address_and_its_password_are_never_shown() -> None:
    """Not as text, and not in what comes back from a driver: both are redacted from then on."""
    address = "postgresql://me:canary%21canary@127.0.0.1/team"
    environment = Environment({"TEAM_DATABASE": address})
    reference = TeamSettings.model_validate({"database": "env:TEAM_DATABASE"}).database
    assert reference
    team = team_database(reference, environment)
    assert "canary" not in f"{team}{team!r}{vars(team)}"
    text = environment.redaction.text(f"FATAL: {address} says canary!canary, or canary%21canary")
    assert "canary" not in text


def test_a_server_that_is_gone_without_a_word_is_given_up() -> None:
    """Where its machine has lost its power nothing says so, and the system would wait for hours."""
    found = parameters("postgresql://u:p@db.example.com/team?keepalives_idle=60")
    assert (found["keepalives_idle"], found["tcp_user_timeout"]) == ("60", "15000")
