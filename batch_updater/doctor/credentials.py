"""Whether every secret of a configuration can be fetched. None is shown, and none goes where it does not belong."""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from batch_updater.config.schema import ReferenceKind, SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.config.token_help import ways_to_set
from batch_updater.doctor.finding import Finding, Status, wrong
from batch_updater.doctor.reach import LIMIT_S, dns_finding, route_to
from batch_updater.errors import ConfigError
from batch_updater.nightly.message import Message
from batch_updater.nightly.notify import address_of, why_not_told
from batch_updater.sender.auth import CredentialsRefused, OAuthClient, TokenUnavailable
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.proxies import proxy_for
from batch_updater.sender.transport import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batch_updater.config.environment import Environment
    from batch_updater.config.schema import ApiSettings, Config, OAuthSettings
    from batch_updater.text.redaction import Redaction


@dataclass(frozen=True, slots=True)
class Had:
    """The secrets that a request to the API needs, as far as they can be fetched."""

    token: Secret | None
    """None: none is configured, or it cannot be fetched."""
    token_finding: Finding
    """Whether the token can be fetched; nothing of whether the API accepts it."""
    headers: Mapping[str, Secret]
    header_findings: tuple[Finding, ...]
    """About those that are kept by reference."""


def fetched(config: Config, environment: Environment) -> Had:
    """Fetch the secrets of the API; all of them are redacted from now on."""
    token, token_finding = _token(config.api, environment)
    headers: dict[str, Secret] = {}
    findings = []
    for name, value in config.api.headers.items():
        if isinstance(value, str):
            headers[name] = Secret(value)
            continue
        secret, finding = _referenced("headers", value, environment, f"api.headers.{name}")
        findings.append(finding)
        if secret:
            headers[name] = secret
    return Had(token, token_finding, headers, tuple(findings))


def notification_findings(config: Config, environment: Environment, *, send: bool) -> Iterator[Finding]:
    """Yield a finding for everyone who is told; `send`: a test message goes to each."""
    if not config.nightly.notify and (config.nightly.inbox or send):
        status = Status.WRONG if send else Status.WARNING
        message = "no one is told: the nightly job sends no message when it needs a person."
        yield Finding("notify", status, message, "Say under nightly.notify whom to tell.")
    for number, target in enumerate(config.nightly.notify, 1):
        finding = _target_finding(f"notify {number}", target, environment)
        yield _told(finding, number, target, environment) if send and finding.status is Status.OK else finding
    health_check = config.nightly.health_check
    if health_check:
        yield _health_check_finding(health_check, environment)


def _told(finding: Finding, number: int, target: str | SecretReference, environment: Environment) -> Finding:
    """Send the test message to one recipient."""
    what = f"nightly.notify, number {number}"
    source = _source_of(target)
    if why := why_not_told(_TEST_MESSAGE, target, environment, what):
        message = f"the test message to the address from {source} failed: {why}."
        remedy = "Check the address and its password, and whether this machine may reach the service."
        return Finding(finding.check, Status.WRONG, message, remedy)
    return Finding(finding.check, Status.OK, f"a test message was sent to the address from {source}: see that it came.")


_TEST_MESSAGE = Message(
    "batch-updater: a test message",
    "batch-updater doctor --notify has sent this. Messages of the nightly job will come here.",
    (),
    "info",
)


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


def _token(api: ApiSettings, environment: Environment) -> tuple[Secret | None, Finding]:
    if api.token:
        return _referenced("token", api.token, environment, "api.token")
    if api.oauth:
        return _oauth_token(api, api.oauth, environment)
    remedy = "If the API wants one, say under api.token where it is kept."
    return None, Finding("token", Status.WARNING, "none is configured: rows are sent without.", remedy)


def _referenced(
    check: str, reference: SecretReference, environment: Environment, key: str
) -> tuple[Secret | None, Finding]:
    try:
        secret = fetch_secret(reference, environment, key)
    except ConfigError as error:
        is_variable = reference.kind is ReferenceKind.ENVIRONMENT
        return None, replace(wrong(check, error), steps=ways_to_set(reference.location) if is_variable else ())
    return secret, Finding(check, Status.OK, f"{reference.shown} gives {key}.")


def _oauth_token(api: ApiSettings, oauth: OAuthSettings, environment: Environment) -> tuple[Secret | None, Finding]:
    try:
        name = dns_finding(route_to(api, oauth.token_url))
        if name.status is Status.WRONG:
            return None, Finding("token", name.status, f"The token URL: {name.message}", "Check api.oauth.token_url.")
        secret = fetch_secret(oauth.client_secret, environment, "api.oauth.client_secret")
        token = asyncio.run(_fetch_token(api, oauth, secret, environment.redaction))
    except ConfigError as error:
        return None, wrong("token", error)
    except CredentialsRefused as error:
        remedy = "Check client_id, client_secret and scope under api.oauth."
        return None, Finding("token", Status.WRONG, str(error), remedy)
    except TokenUnavailable as error:
        remedy = error.advice if error.is_lasting else "Check api.oauth.token_url; if it is right, try again later."
        return None, Finding("token", Status.WRONG, str(error), remedy)
    return token, Finding("token", Status.OK, f"{oauth.token_url} gives one to client {oauth.client_id}.")


async def _fetch_token(api: ApiSettings, oauth: OAuthSettings, secret: Secret, redaction: Redaction) -> Secret:
    """Have a token given, once. Raises ConfigError, CredentialsRefused and TokenUnavailable."""

    async def at_once(*_: float) -> None:
        """Hold nothing back: there is one request."""

    secure = oauth.token_url.startswith("https:")
    connector = aiohttp.TCPConnector(ssl=tls_context(str(api.ca_file) if api.ca_file else None) if secure else True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        client = OAuthClient(
            oauth, secret, session, permit=at_once, pause=at_once, in_flight=InFlight(LIMIT_S), attempts=1,
            redaction=redaction, proxy=proxy_for(api, oauth.token_url),
        )  # fmt: skip
        return (await client.fetch()).value


def _target_finding(check: str, target: str | SecretReference, environment: Environment) -> Finding:
    try:
        address = address_of(target, environment, "nightly.notify")
    except ConfigError as error:
        return wrong(check, error)
    source = _source_of(target)
    is_known = _is_known_to_apprise(address)
    if is_known is None:
        return Finding(check, Status.OK, f"{source} gives the address; whether it fits was not checked.")
    if not is_known:
        message = f"the address from {source} is none that apprise can send to."
        return Finding(check, Status.WRONG, message, "See apprise's documentation for how addresses are written.")
    return Finding(check, Status.OK, f"the address from {source} fits; nothing was sent.")


def _source_of(target: str | SecretReference) -> str:
    return target.shown if isinstance(target, SecretReference) else "the configuration itself"


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
