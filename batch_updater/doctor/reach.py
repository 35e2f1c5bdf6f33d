"""The way to the API: name, connection, certificate, an answer, and whether this machine's clock agrees with it.

One request goes out for them, a HEAD of the address itself, without token, headers or body: it can change nothing. It
goes the way of a row, over the sender's own connector, so that both fail for the same reasons.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp.abc import ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from batch_updater.config.schema import ApiSettings
from batch_updater.doctor.finding import Finding, from_error, ok, skipped, warning, wrong
from batch_updater.errors import ConfigError
from batch_updater.messages import counted
from batch_updater.sender.auth import read_at_most
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.limiter import Limiter, RateLimiter
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.proxies import Proxy, proxy_for, sentence, unused_proxy
from batch_updater.sender.shutdown import Shutdown
from batch_updater.sender.team_limiter import TeamLimiter
from batch_updater.sender.transport import tls_for
from batch_updater.sender.wire import Connector, WrittenAtOnce, sockets_closed

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_quota import TeamQuota

_PROXY = "proxy"
REACH_CHECKS = ("DNS", "connection", "certificate", "answer", "clock")
LIMIT_S = 10.0
_RATE_PER_S = 1000.0
_LARGEST_ANSWER_BYTES = 1 << 20
_EXPIRES_SOON = timedelta(days=14)
_CLOCK_MAY_BE_OFF = timedelta(minutes=3)
_EARLIEST_YEAR = 2026
"""The year of this program: no clock that is right shows an earlier one."""
_LAST_YEAR = 2100


class ProbeAnswer(msgspec.Struct, frozen=True):
    """The answer to a request, and the connection that it came on."""

    status: int
    date: str | None
    body: bytes
    addresses: frozenset[str]
    """Of the host that was connected to."""
    certificate_ends: datetime | None


class NoAnswer(Exception):  # noqa: N818  (what a check finds, not an error of ours)
    """A request has brought no answer."""

    def __init__(self, finding: Finding, addresses: frozenset[str]) -> None:
        super().__init__(finding.message)
        self.finding = finding
        self.addresses = addresses
        """Of the host that was to be connected to; empty if it could not be looked up."""


def reach_findings(
    api: ApiSettings, base_url: str, quota: TeamQuota | None = None, *, why_no_request: str = ""
) -> Iterator[Finding]:
    """Yield what was found on the way to the API, step by step; after a step that failed the others are skipped.

    `quota`: that of a team, which every request to the API keeps to. `why_no_request`: the check because of which none
    may be made; then the way is looked at as far as its certificate.
    """
    try:
        proxy = proxy_for(api, base_url)
    except ConfigError as error:
        yield from_error(_PROXY, error)
        yield from skipped(REACH_CHECKS, _PROXY)
        return
    if proxy:
        yield ok(_PROXY, f"{sentence(proxy)} is on the way to the API.")
    try:
        answer = ask(api, "HEAD", f"{base_url}/", {}, quota, connects_only=bool(why_no_request))
    except NoAnswer as error:
        failed = error.finding
        position = REACH_CHECKS.index(failed.check)
        earlier, later = REACH_CHECKS[:position], REACH_CHECKS[position + 1 : -1]
        passed = _connected(base_url, proxy, error.addresses) if error.addresses else skipped(earlier, failed.check)
        yield from islice(passed, len(earlier))
        yield failed
        yield from skipped(later, failed.check)
        yield clock_finding(datetime.now(UTC), None)
        return
    yield from _connected(base_url, proxy, answer.addresses)
    yield certificate_finding(datetime.now(UTC), answer.certificate_ends)
    if why_no_request:
        yield from skipped(("answer",), why_no_request)
        yield clock_finding(datetime.now(UTC), None)
        return
    status = f"HEAD of the address, without a token, is answered with {answer.status}"
    if answer.status >= 500:
        yield warning("answer", f"{status}.", "The service may be down: try again later.")
    else:
        yield ok("answer", f"{status}: the service is there.")
    yield clock_finding(datetime.now(UTC), answer.date)


def _connected(url: str, proxy: Proxy | None, addresses: frozenset[str]) -> Iterator[Finding]:
    host, (first, *others) = _host(url, proxy), sorted(addresses)
    if addresses == {host}:
        yield ok("DNS", f"{host} is an address: there is no name to look up.")
    else:
        yield ok("DNS", f"{host} is {first}{f' and {len(others)} more' if others else ''}.")
    yield ok("connection", f"{_subject(url, proxy)} takes connections.")


def _host(url: str, proxy: Proxy | None) -> str:
    """Return the host that is connected to: the API's, or that of a proxy on the way there."""
    return URL(proxy.url if proxy else url).host or ""


def _subject(url: str, proxy: Proxy | None) -> str:
    return sentence(proxy) if proxy else f"{URL(url).host}:{URL(url).port}"


def ask(
    api: ApiSettings,
    method: str,
    url: str,
    headers: Mapping[str, str],
    quota: TeamQuota | None = None,
    *,
    connects_only: bool = False,
) -> ProbeAnswer:
    """Make one request without a body; redirects are not followed. `connects_only`: nothing of it is written.

    Takes at most `LIMIT_S` to connect, and as long for the answer. Raises NoAnswer.
    """
    proxy, addresses = proxy_for(api, url), frozenset[str]()

    async def answer() -> ProbeAnswer:
        nonlocal addresses
        way = proxy.url if proxy else None
        async with session_for(api, url, quota) as (session, connector):
            connector.connects_only = connects_only
            try:
                whole = URL(url, encoded=True)
                async with session.request(
                    method, whole, headers=headers, allow_redirects=False, proxy=way
                ) as response:
                    require_not_of_proxy(response, proxy)
                    body = await read_at_most(response.content, _LARGEST_ANSWER_BYTES)
                    date = response.headers.get("Date")
                    return ProbeAnswer(response.status, date, body, connector.addresses, connector.certificate_ends)
            except _Connected:
                return ProbeAnswer(0, None, b"", connector.addresses, connector.certificate_ends)
            finally:
                addresses = connector.addresses

    try:
        return asyncio.run(answer())
    except ConfigError as error:
        raise NoAnswer(from_error("certificate", error), addresses) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Not as its cause: the text of an exception may quote a proxy's password.
        raise NoAnswer(_failure(error, url, proxy, addresses), addresses) from None


@asynccontextmanager
async def session_for(
    api: ApiSettings, url: str, quota: TeamQuota | None
) -> AsyncIterator[tuple[aiohttp.ClientSession, ObservedConnector]]:
    """Give a session for a few requests to an address until the block ends. Raises ConfigError for `api.ca_file`."""
    tls, timeout = tls_for(api, url), aiohttp.ClientTimeout(connect=LIMIT_S, sock_read=LIMIT_S, total=3 * LIMIT_S)
    async with AsyncExitStack() as stack:
        limiter: RateLimiter = Limiter(_RATE_PER_S, 0, Shutdown())
        if quota is not None:
            limiter = await stack.enter_async_context(TeamLimiter(quota))
        connector = ObservedConnector(1, tls, limiter, InFlight(LIMIT_S))
        try:
            async with aiohttp.ClientSession(
                connector=connector, request_class=WrittenAtOnce, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
            ) as session:
                yield session, connector
        finally:
            await sockets_closed()


class _Connected(Exception):  # noqa: N818  (no error: it ends a request before it is written)
    """There is a connection, which is all that was asked for."""


class ObservedConnector(Connector):
    """Notes what it connects to: afterwards an answer no longer knows its connection."""

    connects_only = False

    addresses: frozenset[str] = frozenset()
    certificate_ends: datetime | None = None

    async def _resolve_host(self, host: str, port: int, traces: Sequence[Trace] | None = None) -> list[ResolveResult]:
        resolved = await super()._resolve_host(host, port, traces)
        self.addresses = frozenset(str(one["host"]) for one in resolved)
        return resolved

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's)
    ) -> Connection:
        """Give a connection. Raises what `Connector.connect` raises."""
        connection = await super().connect(req, traces, timeout)
        certificate = connection.transport.get_extra_info("peercert") if connection.transport else None
        if certificate:
            self.certificate_ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        if self.connects_only:
            connection.close()
            raise _Connected
        return connection


def _failure(error: Exception, url: str, proxy: Proxy | None, addresses: frozenset[str]) -> Finding:
    source = proxy.source if proxy else "api.base_url"
    unused = "" if proxy else f"{unused_proxy(url)} ".lstrip()
    why = f"no answer within {LIMIT_S:g} s" if isinstance(error, TimeoutError) else reason_of(error)
    match error:
        case aiohttp.ClientConnectorDNSError() | aiohttp.ConnectionTimeoutError() | UnicodeError() if not addresses:
            of_proxy = f", the host of {proxy}," if proxy else ""
            message = f"{_host(url, proxy)}{of_proxy} cannot be looked up: {why}."
            remedy = f"{unused}Check {source}, and this machine's network and name servers."
            return wrong("DNS", message, remedy)
        case aiohttp.ClientSSLError() if not is_about_proxy(error, proxy):
            if not isinstance(error, aiohttp.ClientConnectorCertificateError):
                message = "A secure connection (TLS) cannot be established."
                return wrong("certificate", message, "Check host and port of api.base_url.")
            message = f"The API's certificate cannot be trusted: {reason_of(error).rstrip('.')}."
            remedy = (
                "Check api.base_url and this machine's date. If your company signs its certificates itself, name the "
                "file with its authority under api.ca_file."
            )
            return wrong("certificate", message, remedy)
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError() if not isinstance(
            error, aiohttp.ClientSSLError
        ):
            message = f"{_subject(url, proxy)} does not take connections: {why}."
            remedy = f"{unused}Check {source}, and whether a firewall lets this machine through."
            return wrong("connection", message, remedy)
        case aiohttp.ClientError() | OSError() if proxy:
            no_way = no_connection(error, url, proxy)
            return wrong("answer", no_way.message, no_way.advice)
    message = (
        f"There was {why}." if isinstance(error, TimeoutError) else f"There was no answer that can be read ({why})."
    )
    remedy = "Check host and port of api.base_url; ask the people who run the API."
    return wrong("answer", message, remedy)


def certificate_finding(now: datetime, ends: datetime | None) -> Finding:
    """Say for how long the API's certificate, which was verified, is still valid."""
    if ends is None:
        return ok("certificate", "none needed: plain http to this machine.")
    message = f"verified, and valid for {counted((ends - now).days, 'more day')}."
    if ends - now < _EXPIRES_SOON:
        remedy = f"Ask the people who run the API to renew it before {ends:%Y-%m-%d}."
        return warning("certificate", message, remedy)
    return ok("certificate", message)


def clock_finding(now: datetime, date: str | None) -> Finding:
    """Compare this machine's time with the `Date` of an answer; None: there was none."""
    remedy = "Set this machine's clock, or let it be set (timedatectl set-ntp true)."
    if not _EARLIEST_YEAR <= now.year <= _LAST_YEAR:
        return wrong("clock", f"This machine's clock shows the year {now.year}.", remedy)
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        shown = f"{now:%Y-%m-%d %H:%M} UTC"
        return ok("clock", f"shows {shown}; there is no answer with a date to compare with.")
    off = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
    if abs(off) > _CLOCK_MAY_BE_OFF:
        message = f"is {_about(abs(off))} {'ahead of' if off > timedelta() else 'behind'} the API's."
        return warning("clock", f"{message} Tokens may be refused.", remedy)
    return ok("clock", "agrees with the API's.")


def _about(off: timedelta) -> str:
    minutes = int(off.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2 * 24 * 60 else f"{off.days} days"
