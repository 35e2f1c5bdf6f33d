"""What receives messages in tests: a web server and a mail server on loopback."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

from batch_updater.sandbox.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass
class Received:
    """Requests in the order in which they came."""

    place: str = ""
    calls: list[tuple[str, bytes]] = field(default_factory=list)

    def requests(self) -> list[str]:
        """Return method and path of every request."""
        return [line for line, _ in self.calls]

    def bodies(self) -> list[dict[str, Any]]:
        """Return the JSON of every POST."""
        return [json.loads(body) for line, body in self.calls if line.startswith("POST")]


@contextmanager
def webhook(*, after_s: float = 0) -> Iterator[Received]:
    """Take everything, and answer so many seconds later."""
    received = Received()

    class Answers(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.calls.append((f"{self.command} {self.path}", body))
            time.sleep(after_s)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _answer  # noqa: N815  (the names that http.server looks for)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        received.place = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """Mails in the order in which they came."""

    port: int = 0
    recipients: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        self.recipients.extend(envelope.rcpt_tos)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()
    loop = LoopThread("mail")
    server = loop.run(_serving_mail(box))
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        loop.settle()
        loop.call(server.close)
        loop.end()


async def _serving_mail(box: Mailbox) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
