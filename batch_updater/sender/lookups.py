"""The names of hosts, looked up so that a name server that does not answer holds nothing up.

The system's look-up takes as long as it takes. An event loop makes it in threads that it waits for when it ends, so
that a run whose name server hangs could not be ended for a minute.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from functools import partial
from typing import Any, cast

import aiohttp

from batch_updater.daemon_thread import in_daemon_thread


def name_resolver() -> aiohttp.ThreadedResolver:
    """Return aiohttp's resolver, with look-ups that can be left behind."""
    return aiohttp.ThreadedResolver(cast("asyncio.AbstractEventLoop", _Lookups()))


class _Lookups:
    """As much of an event loop as that resolver uses."""

    def getaddrinfo(self, host: Any, port: Any, **how: int) -> Awaitable[Any]:
        return asyncio.wrap_future(in_daemon_thread(partial(socket.getaddrinfo, host, port, **how)))

    def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Awaitable[Any]:
        return asyncio.wrap_future(in_daemon_thread(partial(socket.getnameinfo, sockaddr, flags)))
