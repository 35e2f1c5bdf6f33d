"""A service on loopback that notes when the kernel received each request, however busy the machine is."""

from __future__ import annotations

import re
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SO_TIMESTAMPING = 37
_SOFTWARE = 1 << 4
_RX_SOFTWARE = 1 << 3
"""From linux/net_tstamp.h: packets are stamped when they are received."""
_STAMP = struct.Struct("qq")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_RECORD = re.compile(rb"/(\d+)[? ]")


@dataclass(frozen=True)
class Arrival:
    """One request as it came."""

    at: float
    """By the clock of the day."""
    record: int
    method: str


Answer = Callable[[Arrival], tuple[str, str]]
"""Request -> status and further headers of the answer."""


def works(_arrival: Arrival) -> tuple[str, str]:
    return "200 OK", ""


@dataclass
class RecordingServer:
    """Answers each update with the record that it asks for, or as it is told."""

    port: int
    answer: Answer = works
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def times(self) -> list[float]:
        """When requests arrived, in order."""
        return sorted(arrival.at for arrival in self.arrivals)

    def serve(self, listening: socket.socket, told: socket.socket) -> None:
        """Answer until it is told something."""
        with selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(told, selectors.EVENT_READ)
            connections: set[socket.socket] = set()
            while True:
                for key, _ in selector.select():
                    if key.fileobj is told:
                        for one in connections:
                            one.close()
                        return
                    if key.fileobj is listening:
                        connection, _address = listening.accept()
                        connections.add(connection)
                        selector.register(connection, selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket) and not self._answered(key.fileobj):
                        selector.unregister(key.fileobj)
                        connections.discard(key.fileobj)
                        key.fileobj.close()

    def _answered(self, connection: socket.socket) -> bool:
        """Answer one request, which comes in one piece; returns whether there was one."""
        try:
            data, ancillary, _, _ = connection.recvmsg(65536, 512)
            if not data:
                return False
            stamp = next(content for _, kind, content in ancillary if kind == _SO_TIMESTAMPING)
            seconds, nanoseconds = _STAMP.unpack_from(stamp)
            record = _RECORD.search(data)
            arrival = Arrival(seconds + nanoseconds * 1e-9, int(record[1]) if record else 0, data[:4].decode().strip())
            self.arrivals.append(arrival)
            status, headers = self.answer(arrival)
            length = _LENGTH.search(data)
            sent = data[-int(length[1]) :] if length and int(length[1]) else b'{"OpportunityName": "a"}'
            body = b"" if arrival.method == "HEAD" else b'{"ID": %d, "Type": "Pre", %b' % (arrival.record, sent[1:])
            headers = f"Content-Type: application/json\r\n{headers}Content-Length: {len(body)}"
            connection.sendall(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body)
        except OSError:
            return False
        return True


@contextmanager
def recording_server(answer: Answer = works) -> Iterator[RecordingServer]:
    """Serve until the block ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE | _RX_SOFTWARE)  # of each connection, too
        server = RecordingServer(listening.getsockname()[1], answer)
        thread = threading.Thread(target=server.serve, args=(listening, theirs))
        thread.start()
        try:
            yield server
        finally:
            ours.send(b"x")
            thread.join()


def busiest_second(times: list[float]) -> int:
    """Return the largest number of requests in any window of one second."""
    first, most = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
