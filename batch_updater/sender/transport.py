"""One request over the shared connections, and what it brings: an answer or a transport error."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime

import aiohttp
from msgspec.structs import replace
from yarl import URL

from batch_updater.config.schema import ApiSettings
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import Request
from batch_updater.errors import ConfigError, Location
from batch_updater.files.reading import open_regular
from batch_updater.sender.advice import retry_advice
from batch_updater.sender.answer import Answer, TransportError, read_answer
from batch_updater.sender.auth import Credentials, Token, read_at_most
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.proxies import proxy_for
from batch_updater.sender.retry_after import read_retry_after
from batch_updater.sender.wire import Connector, RequestHead, RowRequest

_LARGEST_ANSWER_BYTES = 1 << 20


def tls_for(api: ApiSettings, *addresses: str) -> ssl.SSLContext | bool:
    """Return how certificates are verified: by the system's trust store, or by `api.ca_file` alone.

    True where no address needs any. Raises ConfigError.
    """
    if not any(address.startswith("https:") for address in (*addresses, api.proxy or "")):
        return True
    try:
        if api.ca_file is not None:
            open_regular(api.ca_file).close()  # OpenSSL would wait for a pipe
        return ssl.create_default_context(cafile=api.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"api.ca_file: {api.ca_file} holds no certificates that can be read.",
            remedy="Name a file with certificates in PEM format.",
            place=Location(file=str(api.ca_file)),
        ) from error


class Transport:
    """Sends requests, each once, and reads their answers; shared by all workers."""

    def __init__(
        self,
        endpoint: Endpoint,
        api: ApiSettings,
        credentials: Credentials,
        connector: Connector,
        in_flight: InFlight,
    ) -> None:
        """Take what all requests share. Raises ConfigError for a proxy that cannot be used."""
        self._endpoint = endpoint
        self._base = api.base_url or ""
        self._base_path = URL(self._base, encoded=True).raw_path.rstrip("/")
        self._timeout_s = api.timeout_s
        self._proxy = proxy_for(api, self._base)
        self._proxy_url = self._proxy.url if self._proxy else None
        self._in_flight = in_flight
        self.connector = connector
        self._placement = credentials.placement
        self._headers = {name: value.reveal() for name, value in credentials.headers.items()}
        if "accept" not in map(str.lower, self._headers):
            self._headers["Accept"] = "application/json"
        self._heads: dict[str, tuple[Token | None, RequestHead, str]] = {}
        """Method -> the token of its last request, and what further ones share: the head, and the end of the query."""
        self.answered = asyncio.Event()
        self.first_answer_s = 0.0

    async def send(
        self, request: Request, token: Token | None, outgoing: RowRequest, task: asyncio.Task[object]
    ) -> Answer | TransportError:
        """Send one request in `task`, the current one, and return what comes of it.

        Raises what `outgoing.before_write` and the limiter raise.
        """
        # The clock starts now: waiting for a turn was not the service's fault.
        self._in_flight.start(outgoing, task)
        answer: Answer | TransportError
        try:
            answer = await self._answer(request, token, outgoing)
            reader = outgoing.reader
            if reader is not None and reader.is_doubted and await self.connector.is_for_another_request(reader):
                outgoing.refusal = None
                raise aiohttp.ServerDisconnectedError("the refusal was an earlier request's")
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            answer = outgoing.refusal or self._error(error, outgoing)
        except asyncio.CancelledError:
            if not self._in_flight.timed_out(outgoing):
                raise
            answer = outgoing.refusal or self._error(TimeoutError(), outgoing)
        finally:
            self._in_flight.stop(outgoing)
        if isinstance(answer, Answer) and outgoing.written_at and not self.answered.is_set():
            self.first_answer_s = time.monotonic() - outgoing.written_at
            self.connector.expect_answers_within(self.first_answer_s)
            self.answered.set()
        return answer

    async def _answer(self, request: Request, token: Token | None, outgoing: RowRequest) -> Answer:
        if request.path[:1] != "/":  # cannot happen with a description that was read
            raise ValueError(f"a row would be sent to {self._base}{request.path}")
        last_token, head, secret_query = self._heads.get(request.method, (None, None, ""))
        if head is None or token is not last_token:
            by_header = self._placement.headers(token.value) if token else {}
            secret_query = self._placement.query(token.value) if token else ""
            by_body = {"Content-Type": request.content_type} if request.content_type else {}
            head = RequestHead(request.method, self._base, self._headers | by_body | by_header, self._proxy_url)
            self._heads[request.method] = token, head, secret_query
        # Only here does a secret come into a query: what is stored and shown of a request is without it.
        query = "&".join(filter(None, (request.query, secret_query)))
        # Whatever follows a slash after the base URL stays within its origin.
        target = f"{self._base_path}{request.path}{'?' if query else ''}{query}"
        received = await self.connector.exchange(head, target, request, outgoing)
        complete = False
        try:
            require_not_of_proxy(received, self._proxy)
            status, content_type, wait_s = received.status, "", None
            if not 200 <= status < 300:
                content_type = received.headers.get("Content-Type", "")
                wait_s = read_retry_after(status, received.headers, datetime.now(UTC))
                outgoing.refusal = Answer(status, complete=False, retry_after_s=wait_s)
            try:
                content = received.content  # nearly always there by now
                body = content.read_nowait() if content.is_eof() else await read_at_most(content, _LARGEST_ANSWER_BYTES)
                complete = len(body) <= _LARGEST_ANSWER_BYTES
            except (aiohttp.ClientError, OSError):
                body = b""  # the status has arrived, and says more than that the rest has not
            answer = read_answer(status, body, content_type, self._endpoint, complete=complete, retry_after_s=wait_s)
            etag = received.headers.get("ETag", "") if self._endpoint.if_match else ""
            return replace(answer, etag=etag) if etag else answer
        finally:
            if complete:
                self.connector.keep(received.connection)
            else:
                received.connection.close()

    def _error(self, error: Exception, outgoing: RowRequest) -> TransportError:
        """Say what went wrong without an answer, and whether the request can have been applied."""
        if isinstance(error, aiohttp.ClientSSLError) and not is_about_proxy(error, self._proxy):
            return TransportError(
                "no secure connection",
                f"No secure connection to {URL(self._base).host} can be made: {reason_of(error)}.",
                "Check api.base_url and api.ca_file; ask the people who run the network whether a proxy replaces "
                "certificates.",
                # A certificate stays as it is; any other trouble with TLS may pass, once it has worked.
                lasting=isinstance(error, aiohttp.ClientConnectorCertificateError) or not self.answered.is_set(),
            )
        if not outgoing.is_written or isinstance(error, aiohttp.ClientHttpProxyError):
            why = no_connection(error, self._base, self._proxy)
            lasting = why.ends_run(has_worked=self.answered.is_set())
            return TransportError("no connection", why.message, why.advice, lasting=lasting)
        if not isinstance(error, TimeoutError):
            cause, message = "connection lost", "The connection was lost before the answer came."
        elif self._in_flight.is_cancelled:
            cause, message = "ended while on its way", "The run ended before the answer came."
        else:
            cause, message = "no answer in time", f"No answer came within {self._timeout_s:g} s."
        return TransportError(cause, message, retry_advice(self._endpoint), maybe_applied=True)
