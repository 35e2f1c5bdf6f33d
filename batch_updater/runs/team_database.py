"""The PostgreSQL database of a team: connections to it, and whether its tables are those of this program."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from batch_updater.config.environment import Environment
from batch_updater.config.schema import TeamSettings
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.errors import ConfigError, ResultsError, UsageError
from batch_updater.runs.store import Store, reason_of

if TYPE_CHECKING:  # imported only where there is a team: it takes 100 ms
    from psycopg_pool import ConnectionPool

    from batch_updater.runs.postgres import TeamConnection

SCHEMA = "batch_updater"
"""Of all tables, those of Procrastinate included."""
SCHEMA_VERSION = "0002"
"""The last revision in `batch_updater/team/migrations`."""
_CONNECTS_WITHIN_S = 5
_MOST_CONNECTIONS = 32
"""Of one process: a thread may have several at once, so a bound that is reached would let threads wait for each other.
PostgreSQL's own is 100, by default."""
_IDLE_S = 60
"""After this, connections that are not in use are closed."""
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
    def connected(self, *, autocommit: bool = True) -> Iterator[TeamConnection]:
        """Give a connection whose tables are found without their schema. Raises psycopg.Error.

        Without `autocommit`, what was executed is committed in the end, or nothing of it where that fails.
        """
        with self._connections.connection() as connection:
            if connection.autocommit != autocommit:
                connection.autocommit = autocommit
            yield connection

    @contextmanager
    def store(self, run: str) -> Iterator[Store]:
        """Open the rows of a run. Raises UsageError if there is no such run, psycopg.Error."""
        try:
            store = self.store_of(Path(run, "run.sqlite"))
        except FileNotFoundError as error:
            raise UsageError(f"The team has no run {run}.", remedy="batch-updater runs lists those it has.") from error
        with store:
            yield store

    def store_of(self, path: Path) -> Store:
        """Open the rows of a run for reading by the path that its database would have, were it a file.

        Raises psycopg.Error, FileNotFoundError if there is no such run.
        """
        from batch_updater.runs.postgres import RunConnection, run_number
        from batch_updater.runs.team_store import TeamStore

        connection = self._connections.getconn()
        try:
            if not connection.autocommit:
                connection.autocommit = True
            run = run_number(connection, path.parent.name)
        except BaseException:
            self._connections.putconn(connection)
            raise
        return TeamStore(RunConnection(connection, run, self._connections.putconn), path)

    def require_schema(self) -> None:
        """Check that the database can be reached, and that its tables are those of this program. Raises ConfigError."""
        import psycopg

        try:
            with self.connected() as connection:
                (found,) = connection.execute("SELECT to_regclass('schema_version')").fetchone() or (None,)
                version = found and connection.execute("SELECT version_num FROM schema_version").fetchone()
        except psycopg.Error as error:
            raise ConfigError(
                f"{_KEY}: the team's database cannot be read: {reason_of(error)}.",
                remedy="See that PostgreSQL runs, and that the address is right: batch-updater doctor checks both.",
            ) from error
        number = str(version[0]) if version else ""
        if number > SCHEMA_VERSION:
            raise ConfigError(
                f"{_KEY}: the tables of the team's database are those of a newer program ({number}; this one has "
                f"{SCHEMA_VERSION}).",
                remedy="Update batch-updater on this host.",
            )
        if number < SCHEMA_VERSION:
            raise ConfigError(
                f"{_KEY}: the team's database has no tables of this program yet."
                if not number
                else f"{_KEY}: the tables of the team's database are those of an older program ({number}; this one has "
                f"{SCHEMA_VERSION}).",
                remedy="batch-updater worker --migrate",
            )

    def close(self) -> None:
        """Close the connections that are not in use; those that are, once they are given back."""
        if "_connections" in vars(self):
            self._connections.close()
            del self._connections

    @cached_property
    def _connections(self) -> ConnectionPool[TeamConnection]:
        from psycopg_pool import ConnectionPool

        from batch_updater.runs.postgres import prepare

        return ConnectionPool(
            self.address, min_size=0, max_size=_MOST_CONNECTIONS, max_idle=_IDLE_S, timeout=_CONNECTS_WITHIN_S,
            configure=prepare, check=ConnectionPool.check_connection, name="team", open=True,
            kwargs={"autocommit": True},
        )  # fmt: skip

    @contextmanager
    def session(self) -> Iterator[TeamConnection]:
        """Give such a connection to what a person asks for. Raises ResultsError if the database cannot be used."""
        import psycopg

        try:
            with self.connected() as connection:
                yield connection
        except psycopg.Error as error:
            raise ResultsError(
                f"The team's database cannot be used: {reason_of(error)}.",
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
