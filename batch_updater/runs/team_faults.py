"""Why a team's database cannot be used, and what to do about it: named are host, port, database and user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # imported only where there is a team
    import psycopg

PERCENT_ENCODE = "In user and password, write @ : / ? # % as %40 %3A %2F %3F %23 %25."
_PORT = "5432"
_REMEDIES = {
    r"password authentication failed|no password supplied": f"Correct user and password. {PERCENT_ENCODE}",
    r'role ".*" (does not exist|is not permitted to log in)': "Correct the user, or have it created with LOGIN.",
    r'database ".*" does not exist': "Correct the name of the database, or have it created (createdb).",
    r"resolve host|translate host name|not known": (
        f"Correct the host, or check the name servers of this machine. {PERCENT_ENCODE}"
    ),
    r"does not match host name": (
        "Give the host by the name that the server's certificate is for, or have it get one for this name."
    ),
    r"certificate verify failed": (
        "If your company signs its certificates itself, name the file with its authority: add ?sslrootcert=FILE to the "
        "address."
    ),
    r"root certificate file": "Name a file with the authorities to trust: add ?sslrootcert=FILE to the address.",
    r"does not support SSL": "Have TLS turned on at the server (ssl = on, with a certificate).",
    r"no pg_hba.conf entry|pg_hba.conf rejects": (
        "Have a line added to the server's pg_hba.conf that lets this user connect to this database from this host."
    ),
    r"permission denied": "Have the owner of the database grant the user its rights, as samples/team/roles.sql does.",
    r"[Nn]o space left": "Free some space on the disk of the database, then try again.",
    r"[Cc]onnection refused": "Check host and port, and that PostgreSQL runs and listens there (listen_addresses).",
    r"too many (connections|clients)|connection slots": "Raise max_connections of the server, or end what uses them.",
    r"starting up|shutting down|recovery|terminating connection": "Try again in a moment.",
    r"statement timeout|lock timeout": "Raise statement_timeout and lock_timeout of the user, or have them removed.",
    r"timeout|timed out|[Nn]o route|unreachable": "Check host and port, and whether a firewall lets this host through.",
}
"""What libpq and PostgreSQL say -> what to do about it; the first that fits."""
_NO_REASON = ("\t", "Multiple", "DETAIL", "HINT")
_WHO = re.compile(r"^(FATAL|fe_sendauth): *")
_OTHERWISE = "Check that PostgreSQL runs, and that the address is right."


class TeamFault(NamedTuple):
    """Why a team's database cannot be used."""

    message: str
    """What is wrong with which database; no sentence yet, and without a full stop."""
    remedy: str


def fault_of(error: psycopg.Error, parameters: Mapping[str, str]) -> TeamFault:
    """Return why a statement or a connection has failed; `parameters` are the keywords of libpq of the address."""
    reason = _reason_of(error)
    remedy = next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, reason)), _OTHERWISE)
    return TeamFault(f"{_place(parameters)}: {reason}", remedy)


def _place(parameters: Mapping[str, str]) -> str:
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = (parameters.get("port") or _PORT).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    where = " or ".join(
        f"{host or 'the default host'}, port {port or _PORT}" for host, port in zip(hosts, ports, strict=False)
    )
    user = parameters.get("user", "")
    name = parameters.get("dbname") or user
    return f"database {name or 'of the user'} at {where}" + (f", as user {user}" if user else "")


def _reason_of(error: psycopg.Error) -> str:
    if primary := error.diag.message_primary:
        return primary
    # libpq has a line for each host that it tried, such as: connection to server at "db", port 5432 failed: reason
    # It tells who has failed as well: FATAL the server, fe_sendauth its own function.
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(_NO_REASON)]
    reasons = (_WHO.sub("", line.rpartition(" failed: ")[2].strip()).rstrip(".") for line in lines)
    return "; ".join(dict.fromkeys(reasons)) or type(error).__name__
