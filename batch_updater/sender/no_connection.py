"""Why there is no connection, in words for people: what the system or the proxy says, and never a name of Python's."""

from __future__ import annotations

import os
import re
import ssl
from http import HTTPStatus
from typing import NamedTuple, Protocol

import aiohttp
from multidict import CIMultiDictProxy, MultiMapping
from yarl import URL

from batch_updater.sender.answer import status_name
from batch_updater.sender.proxies import Proxy, sentence, unused_proxy

_DOCTOR = "batch-updater doctor checks the way step by step"


class NoConnection(NamedTuple):
    """Why no connection came about, so that nothing was sent."""

    message: str
    advice: str
    is_lasting: bool = False
    """Whether it stays so until a person changes something."""
    is_proxy_s: bool = True
    """Whether the proxy is at fault."""

    def ends_run(self, *, has_worked: bool) -> bool:
        """Whether waiting changes nothing; `has_worked`: there was a connection before, so that this may pass."""
        return self.is_lasting or (self.is_proxy_s and not has_worked)


def no_connection(error: BaseException, address: str, proxy: Proxy | None) -> NoConnection:
    """Say why no connection on the way to an address came about; `proxy` is the one on that way."""
    why, host = reason_of(error), URL(address).host or ""
    if proxy is None:
        advice = f"{unused_proxy(address)} Check api.base_url and the network, then run again.".strip()
        return NoConnection(f"No connection to {host} could be made ({why}).", advice, is_proxy_s=False)
    is_https = " (an ordinary proxy has http:// in front, and not https://)" if proxy.url.startswith("https:") else ""
    check = f"Check {proxy.source}{is_https}; {_DOCTOR}."
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return refused_by_proxy(error.status, error.headers, host, proxy)
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorDNSError)):
        return NoConnection(f"{sentence(proxy)} cannot be reached ({why}).", check)
    if isinstance(error, aiohttp.ClientSSLError):
        return NoConnection(f"{sentence(proxy)} agrees on no secure connection ({why}).", check)
    return NoConnection(f"{sentence(proxy)} makes no connection to {host} ({why}).", check)


def is_about_proxy(error: aiohttp.ClientSSLError, proxy: Proxy | None) -> bool:
    """Whether it is the proxy with which no secure connection is agreed on, and not the host behind it."""
    return proxy is not None and error.host == URL(proxy.url).host


def refused_by_proxy(status: int, headers: MultiMapping[str] | None, host: str, proxy: Proxy) -> NoConnection:
    """Say what a proxy has answered in place of letting a request through (RFC 9110, sections 9.3.6 and 11.7)."""
    name = status_name(status)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        schemes = headers.getall("Proxy-Authenticate", ()) if headers else ()
        if schemes and not any(scheme.lower().startswith("basic") for scheme in schemes):
            wanted = ", ".join(scheme.partition(" ")[0][:20] for scheme in schemes)
            message = f"{sentence(proxy)} wants a login of a kind that cannot be given: {wanted} ({name})."
            advice = "Ask the people who run it for another one, or for a program on this machine that logs in to it."
            return NoConnection(message, advice, is_lasting=True)
        # Not "password", which may be a part of the real one: redacted, it would give that away.
        what = "does not accept the login" if "@" in proxy.url else "wants a login"
        advice = (
            f"Write it into {proxy.source}: http://USER:SECRET@HOST:PORT, with %40 for @ and %3A for a colon in it."
        )
        return NoConnection(f"{sentence(proxy)} {what} ({name}).", advice, is_lasting=True)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = f"Check api.base_url, and ask the people who run the proxy; {_DOCTOR}."
        return NoConnection(f"{sentence(proxy)} cannot reach {host} ({name}).", advice)
    advice = f"Ask the people who run the proxy to allow {host}, and check {proxy.source}; {_DOCTOR}."
    return NoConnection(f"{sentence(proxy)} refuses a connection to {host} ({name}).", advice, is_lasting=True)


class StatusAndHeaders(Protocol):
    """An answer as far as its headers."""

    @property
    def status(self) -> int:
        """Of HTTP."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """All of them."""

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        """What it answers."""


def require_not_of_proxy(response: StatusAndHeaders, proxy: Proxy | None) -> None:
    """Raise ClientHttpProxyError if a proxy wants a login: in plain http its answer stands for the API's."""
    wants_login = proxy is not None and response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    if wants_login and response.request_info.url.scheme == "http":
        raise aiohttp.ClientHttpProxyError(response.request_info, (), status=response.status, headers=response.headers)


def reason_of(error: BaseException) -> str:
    """Return in the system's own words why a connection failed."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    match inner:
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLError():
            return getattr(inner, "verify_message", "") or (inner.reason or "no TLS").replace("_", " ").lower()
        case UnicodeError():
            return "that is no name that can be looked up"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "the answer is not HTTP"
        case OSError():
            # asyncio writes addresses into its texts, and several attempts into one.
            number = re.search(r"\[Errno (\d+)]", str(inner))
            if inner.strerror and " call failed" not in inner.strerror:
                return inner.strerror
            return os.strerror(int(number[1])) if number else "the connection failed"
    return "the connection was closed"
