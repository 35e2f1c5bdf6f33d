"""A port on which nothing listens, and which no other program of this machine is given meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port on loopback until the block ends: connections to it are refused.

    A program that is told of it may listen on it all the same, again and again, if it sets SO_REUSEADDR as most do.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
