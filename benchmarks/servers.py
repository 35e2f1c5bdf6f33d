"""The local servers that confirm every PUT, and what they saw."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from benchmarks.measure import FailedError
from tests.reserved_port import reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_WITHIN_S = 60
LOG_COMPLETE_WITHIN_S = 60
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
"""Where nginx is, and where few people look for programs."""
NGINX_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    log_format seen '$msec $request_time';
    access_log {folder}/seen.log seen;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location ~ ^/api/v2/opportunities/(?<id>[0-9]+)$ {{
            default_type application/json;
            return 200 '{{"Type":"$arg_opportunityType","ID":$id}}';
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a server saw of one client."""

    requests: int
    first_s: float
    """When the first request came, in seconds since the epoch."""
    last_s: float
    """When the last answer went."""
    most_in_a_second: int
    """How many came in the second in which most did."""


class Server(Protocol):
    """A server that is running."""

    name: str
    """What it is, for a person."""
    url: str
    process: int

    def take(self, expected: int) -> Traffic:
        """Return what it saw since it was last asked; waits a little for a log that lags behind `expected` requests."""


class Nginx:
    """nginx with a configuration of our own, that answers at once."""

    name = "nginx"

    def __init__(self, url: str, process: int, log: Path) -> None:
        self.url = url
        self.process = process
        self._log = log

    def take(self, expected: int) -> Traffic:
        """Read the access log, and empty it. It is exact to the millisecond."""
        latest = time.monotonic() + LOG_COMPLETE_WITHIN_S
        while True:
            with self._log.open(encoding="ascii") as lines:
                times = [tuple(map(float, line.split())) for line in lines]
            if len(times) >= expected or time.monotonic() > latest:
                break
            time.sleep(0.05)
        os.truncate(self._log, 0)  # nginx appends
        came = sorted(ended_s - took_s for ended_s, took_s in times)
        return Traffic(
            len(times),
            min(came, default=0.0),
            max((ended_s for ended_s, _ in times), default=0.0),
            max((number - bisect_right(came, moment - 1) for number, moment in enumerate(came, 1)), default=0),
        )


class Bare:
    """The sandbox's bare mode, that answers after a set time."""

    name = "the sandbox's bare mode"

    def __init__(self, url: str, process: int) -> None:
        self.url = url
        self.process = process

    def take(self, expected: int) -> Traffic:  # noqa: ARG002  (it counts as it answers: nothing lags behind)
        """Ask the server itself, which then starts again."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=READY_WITHIN_S)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            seen = json.loads(connection.getresponse().read())
        return Traffic(**seen)


def program_path(name: str) -> str | None:
    """Return where a program is installed; None if it is not."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS)))


@contextlib.contextmanager
def serving(folder: Path, latency_ms: int = 0) -> Iterator[Server]:
    """Run the fastest server there is for this latency; its files are in a new folder inside `folder`."""
    program = program_path("nginx")
    server = _nginx(program, folder) if program and not latency_ms else _bare(latency_ms)
    with server as running:
        yield running


@contextlib.contextmanager
def _nginx(program: str, folder: Path) -> Iterator[Nginx]:
    with reserved_port() as port:
        own = folder / f"nginx-{port}"
        own.mkdir()
        config = own / "nginx.conf"
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""  # only root may name one
        config.write_text(NGINX_CONFIG.format(folder=own, port=port, user=user), encoding="utf-8")
        process = subprocess.Popen(  # noqa: S603
            [program, "-p", str(own), "-e", "stderr", "-c", str(config)], stderr=subprocess.DEVNULL
        )
        with _ending(process):
            _pin(process)
            _wait_for(port, process)
            yield Nginx(f"http://127.0.0.1:{port}", process.pid, own / "seen.log")


@contextlib.contextmanager
def _bare(latency_ms: int) -> Iterator[Bare]:
    command = [sys.executable, "-m", "benchmarks.echo_server", str(latency_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    with _ending(process):
        _pin(process)
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            raise FailedError("The sandbox's bare mode did not start.")
        yield Bare(url, process.pid)


@contextlib.contextmanager
def _ending(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Terminate the process at the end of the block, however that ends."""
    try:
        with process:
            try:
                yield
            finally:
                process.terminate()
    finally:
        if process.poll() is None:
            process.kill()


def _pin(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Keep a server on the last core, where there is another one for its clients."""
    if hasattr(os, "sched_setaffinity") and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(process.pid, {max(cores)})


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    latest = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < latest:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), READY_WITHIN_S):
            return
        time.sleep(0.02)
    raise FailedError(f"{process.args!r} does not serve on port {port}.")
