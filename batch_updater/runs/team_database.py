"""The PostgreSQL database of a team: connections to it, and whether its tables are those of this program."""

from __future__ import annotations

import ipaddress
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from batch_updater.config.environment import Environment
from batch_updater.config.schema import SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.errors import ConfigError, ResultsError, UsageError
from batch_updater.runs.team_faults import PERCENT_ENCODE, TeamFault, fault_of

if TYPE_CHECKING:  # imported only where there is a team: it takes 100 ms
    import psycopg

    from batch_updater.runs.postgres import Connections, TeamConnection
    from batch_updater.runs.team_store import TeamStore

SCHEMA = "batch_updater"
"""Of all tables, those of Procrastinate included."""
SCHEMA_VERSION = "0005"
"""The last revision in `batch_updater/team/migrations`."""
_GONE_SOON = {
    "connect_timeout": "5", "keepalives_idle": "5", "keepalives_interval": "3", "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # in milliseconds
}  # fmt: skip
"""A server that is gone without a word, as one that lost its power, is given up: the system waits for hours."""
KEY = "team.database"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
"""Where systems keep the authorities that they trust, in one file."""
_CONNECTION, _SHUTDOWN, _TOO_MANY_CONNECTIONS, _ROLLBACK, _DISK_FULL = "08", "57P", "53300", "40", "53100"
_LOST = (_CONNECTION, _SHUTDOWN, _TOO_MANY_CONNECTIONS, _ROLLBACK, _DISK_FULL)
"""How the SQLSTATE of an error begins whose statement may succeed when it is repeated (PostgreSQL's appendix A).

A deadlock is among them: of a transaction that was rolled back, nothing was done.
"""


class TeamUnreachableError(ResultsError):
    """The team's database does not answer, or not as it should."""


def database_errors(error: BaseException) -> Iterator[psycopg.Error]:
    """Yield the errors of a database at any point of its chain of causes; none where its client was not imported."""
    client = sys.modules.get("psycopg")  # imported where there is a team, and only there
    if client is not None:
        yield from (cause for cause in _causes(error) if isinstance(cause, client.Error))


def is_of_lost_database(error: BaseException) -> bool:
    """Whether an error came of a database that does not answer, at any point of its chain of causes.

    Also if it is out of connections or disk space, or has rolled a transaction back. An error of a statement, such as
    one that ran into `statement_timeout`, would only come again.
    """
    return any(map(_is_of_loss, database_errors(error)))


def full_disk(error: BaseException) -> psycopg.Error | None:
    """Return the error by which the database says that it is out of disk space, if that is behind an error."""
    return next((one for one in database_errors(error) if one.sqlstate == _DISK_FULL), None)


def is_of_team_database(error: BaseException) -> bool:
    """Whether an error came of a team's database that does not answer, or not as it should."""
    client = sys.modules.get("psycopg")
    kinds = () if client is None else (client.OperationalError, client.InterfaceError)
    return any(isinstance(cause, (TeamUnreachableError, *kinds)) for cause in _causes(error))


def _is_of_loss(error: psycopg.Error) -> bool:
    import psycopg

    if error.sqlstate is not None:
        return error.sqlstate.startswith(_LOST)
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what has caused it, one after the other."""
    cause: BaseException | None = error
    seen_ids = set[int]()
    while cause is not None and id(cause) not in seen_ids:  # an error may be raised again because of one it has caused
        yield cause
        seen_ids.add(id(cause))
        cause = cause.__cause__ or cause.__context__


class TeamDatabase:
    """A team's database."""

    def __init__(self, address: Secret) -> None:
        """`address` is checked by `address_of`."""
        self._address = address

    @property
    def address(self) -> str:
        """The address with its password, for libraries that connect by themselves. Never shown."""
        return self._address.reveal()

    def fault_of(self, error: psycopg.Error) -> TeamFault:
        """Return why this database cannot be used, with host, port, database and user."""
        return fault_of(error, _parameters_of(self.address))

    @contextmanager
    def connected(self, *, autocommit: bool = True) -> Iterator[TeamConnection]:
        """Give a connection whose tables are found without their schema. Raises psycopg.Error.

        Without `autocommit`, what was executed is committed in the end, or nothing of it where that fails.
        """
        connection = self._connections.take()
        try:
            connection.autocommit = autocommit
            yield connection
            connection.commit()
        finally:
            self._connections.give_back(connection)

    @contextmanager
    def session(self) -> Iterator[TeamConnection]:
        """Give such a connection for a command or a page. Raises TeamUnreachableError."""
        import psycopg

        try:
            with self.connected() as connection:
                yield connection
        except psycopg.Error as error:
            message, remedy = self.fault_of(error)
            raise TeamUnreachableError(f"The team's database cannot be used: {message}.", remedy=remedy) from error

    @contextmanager
    def store(self, run: str) -> Iterator[TeamStore]:
        """Open the rows of a run. Raises UsageError if there is no such run, psycopg.Error."""
        try:
            store = self.store_of(Path(run, "run.sqlite"))
        except FileNotFoundError as error:
            raise UsageError(f"The team has no run {run}.", remedy="batch-updater runs lists those it has.") from error
        with store:
            yield store

    def store_of(self, path: Path) -> TeamStore:
        """Open the rows of a run for reading by the path that its database would have, were it a file.

        Raises psycopg.Error, FileNotFoundError if there is no such run.
        """
        from batch_updater.runs.postgres import RunConnection, run_number
        from batch_updater.runs.team_store import TeamStore

        connection = self._connections.take()
        try:
            run = run_number(connection, path.parent.name)
        except BaseException:
            self._connections.give_back(connection)
            raise
        return TeamStore(RunConnection(connection, run, self._connections.give_back), path)

    def require_schema(self) -> None:
        """Check that the database can be reached, and that its tables are those of this program. Raises ConfigError."""
        import psycopg

        try:
            with self.connected() as connection:
                number = version_of(connection)
        except psycopg.Error as error:
            message, remedy = self.fault_of(error)
            raise ConfigError(f"{KEY}: the team's database cannot be used: {message}.", remedy=remedy) from error
        require_not_newer(number)
        if number < SCHEMA_VERSION:
            raise ConfigError(
                f"{KEY}: the team's database has no tables of this program yet."
                if not number
                else f"{KEY}: the tables of the team's database are those of an older program ({number}; this one has "
                f"{SCHEMA_VERSION}).",
                remedy="Run `batch-updater worker --migrate` once, as the owner of the database.",
            )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    @cached_property
    def _connections(self) -> Connections:
        from batch_updater.runs.postgres import Connections

        return Connections(self.address)


def version_of(connection: TeamConnection) -> str:
    """Return the version of the tables in a database; '' if there are none. Raises psycopg.Error.

    Tables that its user may not see are there all the same: that raises, too.
    """
    statement = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'schema_version'"
    if connection.execute(statement, (SCHEMA,)).fetchone() is None:
        return ""
    record = connection.execute(f"SELECT version_num FROM {SCHEMA}.schema_version").fetchone()  # noqa: S608  (a constant)
    return str(record[0]) if record else ""


def require_not_newer(version: str) -> None:
    """Check that the tables of a team's database are not of a newer program. Raises ConfigError."""
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{KEY}: the tables of the team's database are those of a newer program ({version}; this one has "
            f"{SCHEMA_VERSION}).",
            remedy="Update batch-updater on this host.",
        )


def team_database(reference: SecretReference, environment: Environment) -> TeamDatabase:
    """Return the database at the address that `team.database` refers to. Raises ConfigError."""
    # Not redacted as a whole: its host and the API's may have much in common, and it begins with the word postgres.
    text = fetch_secret(reference, Environment(environment.variables), KEY).reveal()
    environment.redaction.remember_login(text)
    address = address_of(text)
    if password := _parameters_of(address).get("password"):  # it may be in the query, too
        environment.redaction.remember(password)
    return TeamDatabase(Secret(address))


def address_of(text: str) -> str:
    """Return how the database is connected to: with TLS that is verified, unless it says otherwise or is this machine.

    `sslmode=verify-full` checks that the certificate is of that host and signed by an authority that the system trusts
    (PostgreSQL's documentation, SSL Support). Of several hosts none may be another machine's for less. What is returned
    is in libpq's form of keywords, for it holds every address. Raises ConfigError.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    is_address, (place, _, query) = text.startswith(("postgresql://", "postgres://")), text.partition("?")
    try:
        parameters = _parameters_of(text) if is_address and not _is_split_by_password(place) else {}
    except ProgrammingError:
        parameters = {}
    if not parameters or not all(port.isdecimal() and 0 < int(port) < 65_536 for port in _listed(parameters, "port")):
        # No cause: the text of libpq may quote the address. Behind a `?` of the password is the rest of that.
        unknown = [] if not is_address or "@" in query else _unknown_options(query)
        raise ConfigError(
            f"{KEY}: the address has an option that PostgreSQL does not know: {unknown[0]}."
            if unknown
            else f"{KEY}: the value is not the address of a PostgreSQL database.",
            remedy=f"Give postgresql://USER:PASSWORD@HOST/NAME. {PERCENT_ENCODE}"
            if not unknown
            else "Correct or remove it: postgresql://USER:PASSWORD@HOST/NAME?OPTION=VALUE.",
        )
    if not is_this_machine(parameters):
        parameters.setdefault("sslmode", "verify-full")
        if parameters["sslmode"].startswith("verify"):
            parameters.setdefault("sslrootcert", _trusted_authorities())
    for name, value in _GONE_SOON.items():
        parameters.setdefault(name, value)
    parameters.setdefault("application_name", "batch-updater")
    parameters["options"] = f"{parameters.get('options', '')} -c search_path={SCHEMA}".lstrip()
    return make_conninfo("", **parameters)


def _parameters_of(address: str) -> dict[str, str]:
    """Return the keywords of libpq of an address in either form. Raises psycopg.ProgrammingError."""
    from psycopg.conninfo import conninfo_to_dict

    return {name: str(value) for name, value in conninfo_to_dict(address).items() if value is not None}


def _is_split_by_password(place: str) -> bool:
    """Whether user or password of an address have a sign that ends them too early: what is behind it is shown."""
    place = place.partition("://")[2]
    return place.count("@") > 1 or "@" in place.partition("/")[2]


def _unknown_options(query: str) -> list[str]:
    """Return the names in the query of an address that libpq does not know."""
    from psycopg.pq import Conninfo

    options = {option.keyword.decode() for option in Conninfo.get_defaults()} | {"ssl"}
    names = (unquote(one.partition("=")[0]) for one in query.split("&"))
    return [name for name in names if name and name.isidentifier() and name not in options]


def _listed(parameters: Mapping[str, str], name: str) -> list[str]:
    return [value for value in parameters.get(name, "").split(",") if value]


def is_this_machine(parameters: Mapping[str, str]) -> bool:
    """Whether every host of an address is; one that only the environment or a service file names may be another."""
    hosts = _listed(parameters, "hostaddr") or _listed(parameters, "host")
    return "service" not in parameters and bool(hosts) and all(map(_is_loopback, hosts))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):  # the last two are sockets of this machine
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trusted_authorities() -> str:
    """Return the file with the authorities that the system trusts.

    libpq's own word for it, `system`, means a folder that is not there: psycopg's binary package brings an OpenSSL of
    its own.
    """
    candidates = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    return next((path for path in candidates if path and Path(path).is_file()), "system")
