"""A PostgreSQL server of the tests' own, from Debian's package, on a private port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg

from tests.ports import free_port

_SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "200", "shared_buffers": "64MB", "log_min_messages": "fatal",
    "unix_socket_directories": "", "autovacuum_naptime": "5s",
}  # fmt: skip


class PostgresServer:
    """A cluster in a folder; one for each process of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = ""
        """The name of a database with the tables of this program and no rows, once there is one."""
        self._made = 0
        self.port = free_port()

    def start(self) -> None:
        """Return once it takes connections."""
        self._pg_ctl("start", "--wait", "--log", str(self.folder / "log"), "-o", f"-p {self.port}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast`, or `immediate` as when the machine goes down."""
        self._pg_ctl("stop", "--wait", "--mode", mode)

    def restart(self, mode: str = "immediate") -> None:
        """Stop and start it."""
        self._pg_ctl("restart", "--wait", "--mode", mode, "--log", str(self.folder / "log"), "-o", f"-p {self.port}")

    def address(self, name: str = "postgres", port: int | None = None) -> str:
        """Return the address of a database, by way of another port if that is given."""
        return f"postgresql://postgres:secret-of-the-database@127.0.0.1:{port or self.port}/{name}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database with what another one holds, or an empty one; returns its address."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.address(name)

    def _pg_ctl(self, *arguments: str) -> None:
        _as_postgres([str(_programs() / "pg_ctl"), "--pgdata", str(self.folder / "data"), *arguments])


@contextmanager
def postgres_server(fsync: Literal["on", "off"] = "off") -> Iterator[PostgresServer]:
    """Make a cluster, start it, and remove it in the end.

    Without fsync it loses nothing when it is killed, for its machine goes on: what it has written, the kernel has.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        password = folder / "password"
        password.write_text("secret-of-the-database\n")
        if os.getuid() == 0:
            shutil.chown(password, "postgres")
        _as_postgres([
            str(_programs() / "initdb"), "--pgdata", str(folder / "data"), "--username", "postgres", "--no-sync",
            "--auth", "scram-sha-256", "--pwfile", str(password), "--encoding", "UTF8", "--locale", "C.UTF-8",
        ])  # fmt: skip
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in {**_SETTINGS, "fsync": fsync}.items())
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Return the folder of initdb and pg_ctl, which Debian does not put on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed: make debian-packages")
    return found[-1]


def _as_postgres(command: Sequence[str]) -> None:
    """Run a program as a user that the server accepts: it refuses root."""
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    done = subprocess.run(
        command, user=user, group="postgres" if os.getuid() == 0 else None, cwd="/", check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
