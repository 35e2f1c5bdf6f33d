"""Whether every secret of a configuration can be had. None is shown, and none goes where it does not belong."""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from batch_updater.config import SecretReference
from batch_updater.doctor.finding import Finding, Status, wrong
from batch_updater.doctor.reach import LIMIT_S, dns_finding, route_to
from batch_updater.errors import ConfigError
from batch_updater.nightly.notify import address_of
from batch_updater.sender.auth import (
    CredentialsRefused,
    OAuthClient,
    Secret,
    TokenUnavailable,
    fetch_secret,
)
from batch_updater.sender.client import proxy_for, tls_context
from batch_updater.sender.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.config import ApiSettings, Config, OAuthSettings
    from batch_updater.environment import Environment
    from batch_updater.redaction import Redaction


def secret_findings(config: Config, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for the token, and for every further secret that is configured."""
    yield _token_finding(config.api, environment)
    for name, value in config.api.headers.items():
        if isinstance(value, SecretReference):
            yield _reference_finding("headers", value, environment, f"api.headers.{name}")
    if config.nightly.inbox and not config.nightly.notify:
        message = "nobody: the nightly job sends no message when it needs somebody."
        yield Finding("notify", Status.WARNING, message, "Say under nightly.notify whom to tell.")
    for number, target in enumerate(config.nightly.notify, 1):
        yield _target_finding(f"notify {number}", target, environment)
    health_check = config.nightly.health_check
    if health_check:
        yield _health_check_finding(health_check, environment)


def _health_check_finding(health_check: str | SecretReference, environment: Environment) -> Finding:
    remedy = "Write it whole: https://host/path."
    try:
        address = urlsplit(address_of(health_check, environment, "nightly.health_check"))
    except ConfigError as error:
        return wrong("health check", error)
    except ValueError:  # its text may quote the address
        address = urlsplit("")
    if address.scheme not in {"http", "https"} or not address.hostname:
        return Finding("health check", Status.WRONG, "nightly.health_check is no address of the web.", remedy)
    if "@" in address.netloc:
        message = "nightly.health_check has a name or password before its host, which is not sent."
        return Finding("health check", Status.WRONG, message, remedy)
    return Finding("health check", Status.OK, "the address is one; nothing was sent.")


def _token_finding(api: ApiSettings, environment: Environment) -> Finding:
    if api.token:
        return _reference_finding("token", api.token, environment, "api.token")
    if api.oauth:
        return _oauth_finding(api, api.oauth, environment)
    remedy = "If the API wants one, say under api.token where it is kept."
    return Finding("token", Status.WARNING, "none is configured: rows are sent without.", remedy)


def _reference_finding(check: str, reference: SecretReference, environment: Environment, key: str) -> Finding:
    try:
        fetch_secret(reference, environment, key)
    except ConfigError as error:
        return wrong(check, error)
    return Finding(check, Status.OK, f"{key} can be had from {reference.shown}.")


def _oauth_finding(api: ApiSettings, oauth: OAuthSettings, environment: Environment) -> Finding:
    name = dns_finding(route_to(api, oauth.token_url))
    if name.status is Status.WRONG:
        return Finding("token", name.status, f"The token URL: {name.message}", "Check api.oauth.token_url.")
    try:
        secret = fetch_secret(oauth.client_secret, environment, "api.oauth.client_secret")
        asyncio.run(_fetch_token(api, oauth, secret, environment.redaction))
    except ConfigError as error:
        return wrong("token", error)
    except CredentialsRefused as error:
        remedy = "Check client_id, client_secret and scope under api.oauth."
        return Finding("token", Status.WRONG, error.message, remedy)
    except TokenUnavailable as error:
        remedy = "Check api.oauth.token_url; if it is right, try again later."
        return Finding("token", Status.WRONG, error.message, remedy)
    return Finding("token", Status.OK, f"{oauth.token_url} gives one to client {oauth.client_id}.")


async def _fetch_token(api: ApiSettings, oauth: OAuthSettings, secret: Secret, redaction: Redaction) -> None:
    """Have a token given, once, and let it go. Raises ConfigError, CredentialsRefused and TokenUnavailable."""

    async def at_once(*_: float) -> None:
        """Hold nothing back: there is one request."""

    secure = oauth.token_url.startswith("https:")
    connector = aiohttp.TCPConnector(ssl=tls_context(str(api.ca_file) if api.ca_file else None) if secure else True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        client = OAuthClient(
            oauth, secret, session, permit=at_once, pause=at_once, under_way=UnderWay(LIMIT_S), attempts=1,
            redaction=redaction, proxy=proxy_for(api, oauth.token_url),
        )  # fmt: skip
        await client.fetch()


def _target_finding(check: str, target: str | SecretReference, environment: Environment) -> Finding:
    try:
        address = address_of(target, environment, "nightly.notify")
    except ConfigError as error:
        return wrong(check, error)
    source = target.shown if isinstance(target, SecretReference) else "the configuration itself"
    is_known = _is_known_to_apprise(address)
    if is_known is None:
        return Finding(check, Status.OK, f"the address can be had from {source}; whether it fits was not checked.")
    if not is_known:
        message = f"the address from {source} is none that apprise can send to."
        return Finding(check, Status.WRONG, message, "See apprise's documentation for how addresses are written.")
    return Finding(check, Status.OK, f"the address from {source} fits; nothing was sent.")


def _is_known_to_apprise(address: str) -> bool | None:
    """Whether apprise takes an address; None where apprise is not installed."""
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        return None
    with _silenced("apprise"):  # its log quotes addresses that it does not take
        return bool(apprise.Apprise().add(address))


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
