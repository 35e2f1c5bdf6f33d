"""Ports that a test gives by number: to a server that cannot choose one, or as one where nothing listens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_FIRST, _PORTS = 20_000, 12_000  # below those that Linux gives to sockets that ask for any (from 32768 on)
_STEP = 101
"""Ports from those of one process of the tests to those of the next."""
_next_port = os.getpid() * _STEP


def free_port() -> int:
    """Return a port that is free and stays so: neither the system nor another test takes it."""
    global _next_port  # noqa: PLW0603  (of this process, as its ports are)
    while True:
        port = _FIRST + _next_port % _PORTS
        _next_port += 1
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
