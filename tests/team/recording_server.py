"""A service on loopback that notes when the kernel received each request, however busy the machine is."""

from __future__ import annotations

import re
import selectors
import socket
import struct
import threading
import time
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
        """Answer one request, which may come in several pieces; returns whether there was one."""
        try:
            data, ancillary, _, _ = connection.recvmsg(65536, 512)
            stamps = [content for _, kind, content in ancillary if kind == _SO_TIMESTAMPING]
            while (missing := _missing(data)) and (more := connection.recv(missing)):
                data += more
            if _missing(data):
                return False
            # The kernel begins to stamp packets a moment after the first socket has asked for it.
            seconds, nanoseconds = _STAMP.unpack_from(stamps[0]) if stamps else divmod(time.time_ns(), 10**9)
            record = _RECORD.search(data)
            arrival = Arrival(seconds + nanoseconds * 1e-9, int(record[1]) if record else 0, data[:4].decode().strip())
            self.arrivals.append(arrival)
            status, headers = self.answer(arrival)
            _, _, body = data.partition(b"\r\n\r\n")
            sent = body or b'{"OpportunityName": "a"}'
            answered = b"" if arrival.method == "HEAD" else b'{"ID": %d, "Type": "Pre", %b' % (arrival.record, sent[1:])
            headers = f"Content-Type: application/json\r\n{headers}Content-Length: {len(answered)}"
            connection.sendall(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + answered)
        except OSError:
            return False
        return True


def _missing(data: bytes) -> int:
    """Return how many bytes of a request are still to come, at least."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return max((int(length[1]) if length else 0) - len(body), 0) if end else 1


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
