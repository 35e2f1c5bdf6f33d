"""The way to the API: name, connection, certificate, an answer, and whether this machine's clock agrees with it.

One request goes out for them, a HEAD of the address itself, without token, headers or body: it can change nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from batch_updater.daemon_thread import in_daemon_thread
from batch_updater.doctor.finding import Finding, Status, skipped, wrong
from batch_updater.errors import ConfigError
from batch_updater.sender.auth import read_at_most
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.proxies import proxy_for, sentence, unused_proxy
from batch_updater.sender.transport import tls_context
from batch_updater.sender.wire import sockets_closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from batch_updater.config.schema import ApiSettings
    from batch_updater.sender.proxies import Proxy

_PROXY = "proxy"
REACH_CHECKS = ("DNS", "connection", "certificate", "answer", "clock")
LIMIT_S = 10.0
"""For each step."""
NO_ANSWER = (aiohttp.ClientError, OSError, ValueError)
"""What `ask` raises where there is no answer."""
_LARGEST_ANSWER_BYTES = 1 << 20
_EXPIRES_SOON = timedelta(days=14)
_CLOCK_MAY_BE_OFF = timedelta(minutes=3)
_WRITTEN_IN = 2026
"""The year of this program: no clock that is right shows an earlier one."""
_LAST_YEAR = 2100


@dataclass(frozen=True, slots=True)
class _Route:
    """Whom the program connects to: the API's host, or a proxy on the way there."""

    host: str
    port: int
    proxy: Proxy | None

    def __str__(self) -> str:
        return str(self.proxy) if self.proxy else f"{self.host}:{self.port}"

    @property
    def key(self) -> str:
        """The key or variable that names it."""
        return self.proxy.source if self.proxy else "api.base_url"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back to a request."""

    status: int
    date: str | None
    certificate_ends: datetime | None
    """None over plain http."""
    body: bytes


def reach_findings(api: ApiSettings, base_url: str) -> Iterator[Finding]:
    """Yield what was found on the way to the API, step by step; after a step that failed the others are skipped."""
    try:
        route = route_to(api, base_url)
    except ConfigError as error:
        yield wrong(_PROXY, error)
        yield from skipped(REACH_CHECKS, _PROXY)
        return
    if route.proxy:
        yield Finding(_PROXY, Status.OK, f"{sentence(route.proxy)} is on the way to the API.")
    for step in (dns_finding, _connection_finding):
        finding = step(route)
        if finding.status is Status.WRONG and not route.proxy:
            finding = replace(finding, remedy=f"{unused_proxy(base_url)} {finding.remedy}".strip())
        yield finding
        if finding.status is Status.WRONG:
            yield from _unanswered(finding)
            return
    yield from _asked(api, base_url)


def route_to(api: ApiSettings, address: str) -> _Route:
    """Return whom a request to an address connects to first. Raises ConfigError for a proxy that cannot be used."""
    proxy = proxy_for(api, address)
    url = URL(proxy.url if proxy else address)
    return _Route(url.host or "", url.port or 443, proxy)


def dns_finding(route: _Route) -> Finding:
    """Look a host up, `LIMIT_S` at most."""
    try:
        looked_up = in_daemon_thread(lambda: {str(at[4][0]) for at in socket.getaddrinfo(route.host, route.port)})
        found = looked_up.result(LIMIT_S)
    except (OSError, UnicodeError) as error:
        why = _why(error) if isinstance(error, OSError) else "that is no name that can be looked up"
        remedy = f"Check {route.key}, and this machine's network and name servers."
        of = f", the host of {route}," if route.proxy else ""
        return Finding("DNS", Status.WRONG, f"{route.host}{of} cannot be looked up: {why}.", remedy)
    if found == {route.host}:
        return Finding("DNS", Status.OK, f"{route.host} is an address: there is no name to look up.")
    return Finding("DNS", Status.OK, f"{route.host} is {_some(found)}.")


def _why(error: OSError) -> str:
    return f"no answer within {LIMIT_S:g} s" if isinstance(error, TimeoutError) else error.strerror or "no answer"


def _some(addresses: set[str]) -> str:
    first, *others = sorted(addresses)
    return f"{first} and {len(others)} more" if others else first


def _connection_finding(route: _Route) -> Finding:
    try:
        # A name may have several addresses, each of which is given the time.
        connected = in_daemon_thread(lambda: socket.create_connection((route.host, route.port), LIMIT_S).close())
        connected.result(LIMIT_S)
    except OSError as error:
        remedy = f"Check {route.key}, and whether a firewall lets this machine through."
        message = f"{_subject(route)} does not take connections: {_why(error)}."
        return Finding("connection", Status.WRONG, message, remedy)
    return Finding("connection", Status.OK, f"{_subject(route)} takes connections.")


def _subject(route: _Route) -> str:
    return sentence(route.proxy) if route.proxy else str(route)


def _asked(api: ApiSettings, base_url: str) -> Iterator[Finding]:
    try:
        heard = ask(api, "HEAD", f"{base_url}/", {})
    except ConfigError as error:
        failure = wrong("certificate", error)
    except NO_ANSWER as error:
        failure = no_answer(error, api, base_url)
    else:
        yield certificate_finding(datetime.now(UTC), heard.certificate_ends)
        yield _answer_finding(heard)
        yield clock_finding(datetime.now(UTC), heard.date)
        return
    yield failure
    yield from _unanswered(failure)


def _unanswered(failed: Finding) -> Iterator[Finding]:
    """Yield what can be said of the later steps after one has failed."""
    later = REACH_CHECKS[REACH_CHECKS.index(failed.check) + 1 :]
    yield from skipped((check for check in later if check != "clock"), failed.check)
    yield clock_finding(datetime.now(UTC), None)


def ask(api: ApiSettings, method: str, url: str, headers: Mapping[str, str]) -> Heard:
    """Make one request without a body, within `LIMIT_S`; redirects are not followed.

    Raises ConfigError, and `NO_ANSWER` where there is none.
    """
    return asyncio.run(_ask(api, method, url, headers))


async def _ask(api: ApiSettings, method: str, url: str, headers: Mapping[str, str]) -> Heard:
    connector = _Observed(tls_context(str(api.ca_file) if api.ca_file else None) if url.startswith("https:") else True)
    proxy = proxy_for(api, url)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=LIMIT_S),
            ) as session,
            session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url if proxy else None,
            ) as response,
        ):
            require_not_of_proxy(response, proxy)
            body = await read_at_most(response.content, _LARGEST_ANSWER_BYTES)
            date = response.headers.get("Date")
            return Heard(response.status, date, connector.certificate_ends, body)
    finally:
        await connector.abort()


class _Observed(aiohttp.TCPConnector):
    """Notes when the certificate of its connection ends: afterwards the answer no longer knows the connection."""

    def __init__(self, tls: ssl.SSLContext | bool) -> None:
        super().__init__(limit=1, ssl=tls)
        self.certificate_ends: datetime | None = None
        self._transport: asyncio.Transport | None = None

    async def abort(self) -> None:
        """Let go of the socket now; a secure connection would first wait for a goodbye, beyond the loop's end."""
        if self._transport:
            self._transport.abort()
        await sockets_closed()

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109  (aiohttp's)
        """Give a connection. Raises what aiohttp raises."""
        connection = await super().connect(req, traces, timeout)
        self._transport = connection.transport
        certificate = connection.transport.get_extra_info("peercert") if connection.transport else None
        if certificate:
            self.certificate_ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        return connection


def no_answer(error: Exception, api: ApiSettings, url: str) -> Finding:
    """Say why there was no answer; in words of ours, because those of an exception may quote a proxy's password."""
    proxy = proxy_for(api, url)
    match error:
        case aiohttp.ClientSSLError() if not is_about_proxy(error, proxy):
            return _no_tls(error)
        case aiohttp.ClientError() | OSError() if proxy:
            why = no_connection(error, url, proxy)
            return Finding("answer", Status.WRONG, why.message, why.advice)
        case TimeoutError():
            message = f"There was no answer within {LIMIT_S:g} s."
        case _:
            message = f"There was no answer that can be read ({reason_of(error)})."
    return Finding(
        "answer", Status.WRONG, message, "Check host and port of api.base_url; ask the people who run the API."
    )


def _no_tls(error: aiohttp.ClientSSLError) -> Finding:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        message = f"The API's certificate cannot be trusted: {reason_of(error).rstrip('.')}."
        remedy = (
            "Check api.base_url and this machine's date. If your company signs its certificates itself, name the "
            "file with its authority under api.ca_file."
        )
        return Finding("certificate", Status.WRONG, message, remedy)
    message = "A secure connection (TLS) cannot be agreed on."
    return Finding("certificate", Status.WRONG, message, "Check host and port of api.base_url.")


def _answer_finding(heard: Heard) -> Finding:
    found = f"HEAD of the address, without a token, is answered with {heard.status}"
    if heard.status >= 500:
        return Finding("answer", Status.WARNING, f"{found}.", "The service may be down: try again later.")
    return Finding("answer", Status.OK, f"{found}: the service is there.")


def certificate_finding(now: datetime, ends: datetime | None) -> Finding:
    """Say for how long the API's certificate, which was verified, is still valid."""
    if ends is None:
        return Finding("certificate", Status.OK, "none needed: plain http to this machine.")
    days = (ends - now).days
    message = f"verified, and valid for {days} more {'day' if days == 1 else 'days'}."
    if ends - now < _EXPIRES_SOON:
        remedy = f"Ask the people who run the API to renew it before {ends:%Y-%m-%d}."
        return Finding("certificate", Status.WARNING, message, remedy)
    return Finding("certificate", Status.OK, message)


def clock_finding(now: datetime, date: str | None) -> Finding:
    """Compare this machine's time with the `Date` of an answer; None: there was none."""
    remedy = "Set this machine's clock, or have it set (timedatectl set-ntp true)."
    if not _WRITTEN_IN <= now.year <= _LAST_YEAR:
        return Finding("clock", Status.WRONG, f"This machine's clock shows the year {now.year}.", remedy)
    theirs = _read_date(date)
    if theirs is None:
        shown = f"{now:%Y-%m-%d %H:%M} UTC"
        return Finding("clock", Status.OK, f"shows {shown}; there is no answer with a date to compare with.")
    off = now - theirs
    if abs(off) > _CLOCK_MAY_BE_OFF:
        message = f"is {_duration(abs(off))} {'ahead of' if off > timedelta() else 'behind'} the API's."
        return Finding("clock", Status.WARNING, f"{message} Tokens may be refused.", remedy)
    return Finding("clock", Status.OK, "agrees with the API's.")


def _read_date(date: str | None) -> datetime | None:
    if date is None:
        return None
    try:
        found = parsedate_to_datetime(date)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _duration(off: timedelta) -> str:
    minutes = int(off.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2 * 24 * 60 else f"{off.days} days"
