"""The PostgreSQL database of a team: connections to it, and whether its tables are those of this program."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from batch_updater.config.environment import Environment
from batch_updater.config.schema import TeamSettings
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.errors import ConfigError, ResultsError

if TYPE_CHECKING:  # imported only where there is a team: it takes 100 ms
    import psycopg

SCHEMA = "batch_updater"
"""Of all tables, those of Procrastinate included."""
_CONNECTS_WITHIN_S = 5
_KEY = "team.database"


class TeamDatabase:
    """A team's database."""

    def __init__(self, address: Secret) -> None:
        """`address` is checked by `address_of`."""
        self._address = address

    @property
    def address(self) -> str:
        """The address with its password, for libraries that connect by themselves. Never shown."""
        return self._address.reveal()

    @contextmanager
    def connected(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Give a connection whose tables are found without their schema. Raises psycopg.Error."""
        import psycopg

        with psycopg.connect(self.address, autocommit=autocommit) as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Give such a connection to what a person asks for. Raises ResultsError if the database cannot be used."""
        import psycopg

        try:
            with self.connected() as connection:
                yield connection
        except psycopg.Error as error:
            raise ResultsError(
                f"The team's database cannot be used: {str(error).strip().partition(chr(10))[0]}.",
                remedy="`batch-updater doctor` checks it.",
            ) from error


def team_database(settings: TeamSettings, environment: Environment) -> TeamDatabase | None:
    """Return the database that the configuration names; None if it names none. Raises ConfigError."""
    if settings.database is None:
        return None
    return TeamDatabase(Secret(address_of(fetch_secret(settings.database, environment, _KEY).reveal())))


def address_of(text: str) -> str:
    """Return the address as it is connected to: with TLS that is verified, unless it says otherwise or is this machine.

    `sslmode=verify-full` checks that the certificate is of that host and signed by an authority that the system trusts
    (PostgreSQL's documentation, SSL Support). Raises ConfigError.
    """
    try:
        parts = urlsplit(text)
        host, options = parts.hostname or "", dict(parse_qsl(parts.query, keep_blank_values=True))
        is_address = parts.scheme in {"postgresql", "postgres"} and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigError(
            f"{_KEY}: what it refers to is no address of a PostgreSQL database.",
            remedy="Give postgresql://USER:PASSWORD@HOST/NAME.",
        )
    if not _is_of_this_machine(options.get("host", host)):
        options.setdefault("sslmode", "verify-full")
        if options["sslmode"] == "verify-full":
            options.setdefault("sslrootcert", "system")
    options.setdefault("connect_timeout", str(_CONNECTS_WITHIN_S))
    options.setdefault("application_name", "batch-updater")
    options.setdefault("options", f"-c search_path={SCHEMA}")
    return urlunsplit(parts._replace(query=urlencode(options, quote_via=quote)))


def _is_of_this_machine(host: str) -> bool:
    if host in {"", "localhost"} or host.startswith("/"):  # a folder with a socket
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
