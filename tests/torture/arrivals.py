"""When requests arrive, as the kernel of this machine says: when something reads them is another matter."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SO_TIMESTAMPING = 37
_SOFTWARE = 1 << 4
_RX_SOFTWARE = 1 << 3
"""From linux/net_tstamp.h: packets are stamped when they are received, whatever kind of network it is."""
_STAMP = struct.Struct("qq")
_METHODS = (b"PUT ", b"GET ", b"POST ")
_APPLICATION_DATA = 0x17
_LONGEST_FAREWELL = 100
"""Bytes of a TLS record without a request: TLS 1.3 hides alerts and the end of the handshake in the same kind."""


@dataclass
class Arrivals:
    """Passes connections on to a port, and notes when each request arrived, on the clock of the day."""

    target: int
    held: int
    """So many connections after the first are held back, and passed on together."""
    port: int = 0
    times: list[float] = field(default_factory=list)
    _came: int = 0
    _opens: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listening: socket.socket) -> None:
        """Take connections until the socket is closed."""
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: socket.socket) -> None:
        self._wait_for_others()
        with connection, socket.create_connection(("127.0.0.1", self.target)) as behind, suppress(OSError):
            threading.Thread(target=_pass_back, args=(behind, connection), daemon=True).start()
            while True:
                data, ancillary, _, _ = connection.recvmsg(65536, 512)
                if data.startswith(_METHODS) or _holds_request(data):
                    stamp = next(content for _, kind, content in ancillary if kind == _SO_TIMESTAMPING)
                    seconds, nanoseconds = _STAMP.unpack_from(stamp)
                    self.times.append(seconds + nanoseconds * 1e-9)
                if not data:
                    return
                behind.sendall(data)

    def _wait_for_others(self) -> None:
        with self._lock:
            self._came += 1
            number = self._came
        if number > self.held:
            self._opens.set()
        if number > 1:
            self._opens.wait()


def _holds_request(data: bytes) -> bool:
    """Whether whole TLS records hold a request."""
    while len(data) > 5:
        kind, length = data[0], 5 + int.from_bytes(data[3:5])
        if kind == _APPLICATION_DATA and length > _LONGEST_FAREWELL:
            return True
        data = data[length:]
    return False


def _pass_back(behind: socket.socket, connection: socket.socket) -> None:
    with suppress(OSError):
        while data := behind.recv(65536):
            connection.sendall(data)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


@contextmanager
def arrivals(url: str, held: int = 0) -> Iterator[Arrivals]:
    """Listen before the server at a URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE | _RX_SOFTWARE)  # of each connection, too
        found = Arrivals(int(url.rpartition(":")[2]), held, listening.getsockname()[1])
        threading.Thread(target=found.serve, args=(listening,), daemon=True).start()
        yield found
        listening.shutdown(socket.SHUT_RDWR)
