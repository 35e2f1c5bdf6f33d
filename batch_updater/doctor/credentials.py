"""Whether every secret of a configuration can be fetched. None is shown, and each goes only where it belongs."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ApiSettings, NightlySettings, OAuthSettings, SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.doctor.finding import Finding, Status, from_error, ok, warning, wrong
from batch_updater.doctor.reach import LIMIT_S, session_for
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.security import asked_for, unlike_described
from batch_updater.errors import ConfigError
from batch_updater.nightly.night import Message
from batch_updater.nightly.notify import address_of, why_not_told
from batch_updater.sender.auth import CredentialsRefused, OAuthClient, Placement, TokenUnavailable, placement_of
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.proxies import proxy_for

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_quota import TeamQuota

_TEST_MESSAGE = Message(
    "batch-updater: a test message",
    "batch-updater doctor --notify has sent this. Messages of the nightly job will come here.",
    (),
    "info",
)


class ApiSecrets(msgspec.Struct, frozen=True):
    """The secrets that a request to the API needs, as far as they can be fetched."""

    token: Secret | None
    """What authenticates a request; None: nothing is configured, or it cannot be fetched."""
    placement: Placement | None
    """Where a request has it; None without it."""
    token_finding: Finding
    """Whether the token can be fetched, not whether the API accepts it."""
    headers: Mapping[str, Secret]
    header_findings: tuple[Finding, ...]
    """About those by reference."""


def fetch_api_secrets(
    api: ApiSettings, endpoint: Endpoint | None, environment: Environment, quota: TeamQuota | None = None
) -> ApiSecrets:
    """Fetch the secrets of the API; all of them are redacted from now on.

    `endpoint` None: it cannot be read. `quota`: that of a team, which a request for a token keeps to.
    """
    placement = None
    if api.secret:
        key, reference = api.secret
        token, token_finding = _referenced("token", reference, environment, key)
    elif api.oauth:
        token, token_finding = _oauth_token(api, api.oauth, environment, quota)
    else:
        remedy = "If the API needs one, set api.token to where it is kept."
        if endpoint and unlike_described(api, endpoint):
            remedy = f"The description asks for one. Set {asked_for(endpoint)}."
        token = None
        token_finding = warning("token", "none is configured: rows are sent without one.", remedy)
    if token and endpoint:
        try:
            placement = placement_of(api, endpoint, lambda reference, key: fetch_secret(reference, environment, key))
            placement.remember(token, environment.redaction)
        except ConfigError as error:  # of the user's name that goes with it
            token, token_finding = None, from_error("token", error)
    headers: dict[str, Secret] = {}
    findings = []
    for name, value in api.headers.items():
        if isinstance(value, str):
            headers[name] = Secret(value)
            continue
        secret, finding = _referenced("headers", value, environment, f"api.headers.{name}")
        findings.append(finding)
        if secret:
            headers[name] = secret
    return ApiSecrets(token, placement, token_finding, headers, tuple(findings))


def _referenced(
    check: str, reference: SecretReference, environment: Environment, key: str
) -> tuple[Secret | None, Finding]:
    try:
        secret = fetch_secret(reference, environment, key)
    except ConfigError as error:
        return None, from_error(check, error)
    return secret, ok(check, f"{reference.shown} gives {key}.")


def _oauth_token(
    api: ApiSettings, oauth: OAuthSettings, environment: Environment, quota: TeamQuota | None
) -> tuple[Secret | None, Finding]:
    async def at_once(*_: float) -> None:
        """Hold nothing back: there is one request."""

    async def fetch(secret: Secret) -> Secret:
        async with session_for(api, oauth.token_url, quota) as (session, _):
            client = OAuthClient(
                oauth, secret, session, permit=at_once, pause=at_once, in_flight=InFlight(LIMIT_S), attempts=1,
                redaction=environment.redaction, proxy=proxy_for(api, oauth.token_url),
            )  # fmt: skip
            return (await client.fetch()).value

    try:
        token = asyncio.run(fetch(fetch_secret(oauth.client_secret, environment, "api.oauth.client_secret")))
    except ConfigError as error:
        return None, from_error("token", error)
    except CredentialsRefused as error:
        return None, wrong("token", str(error), "Check client_id, client_secret and scope under api.oauth.")
    except TokenUnavailable as error:
        remedy = error.advice if error.is_lasting else "Check api.oauth.token_url; if it is right, try again later."
        return None, wrong("token", str(error), remedy)
    return token, ok("token", f"{oauth.token_url} gives one to client {oauth.client_id}.")


def notification_findings(nightly: NightlySettings, environment: Environment, *, send: bool) -> Iterator[Finding]:
    """Yield a finding for every address that is notified; `send`: a test message goes to each."""
    if not nightly.notify and (nightly.inbox or send):
        status = Status.WRONG if send else Status.WARNING
        message = "no one is notified when the nightly job needs a person."
        yield Finding("notify", status, message, "Add an address under nightly.notify.")
    for number, target in enumerate(nightly.notify, 1):
        finding = _target_finding(f"notify {number}", target, environment, number if send else None)
        yield finding
    if nightly.health_check:
        yield _health_check_finding(nightly.health_check, environment)


def _target_finding(
    check: str, target: str | SecretReference, environment: Environment, sent_number: int | None
) -> Finding:
    """Check an address; one that fits gets a test message if `sent_number` says which it is in the configuration."""
    source = target.shown if isinstance(target, SecretReference) else "the configuration itself"
    try:
        address = address_of(target, environment, "nightly.notify")
    except ConfigError as error:
        return from_error(check, error)
    log = logging.getLogger("apprise")  # it quotes addresses that it does not take
    before, log.disabled = log.disabled, True
    try:
        is_valid = importlib.import_module("apprise").Apprise().add(address)
    finally:
        log.disabled = before
    if not is_valid:
        message = f"the address from {source} is not one that apprise can send to."
        return wrong(check, message, "See apprise's documentation for how addresses are written.")
    if sent_number is None:
        return ok(check, f"the address from {source} fits; nothing was sent.")
    if why := why_not_told(_TEST_MESSAGE, target, environment, f"nightly.notify, number {sent_number}"):
        message = f"the test message to the address from {source} failed: {why}."
        remedy = "Check the address and its password, and whether this machine may reach the service."
        return wrong(check, message, remedy)
    return ok(check, f"a test message was sent to the address from {source}: check that it arrived.")


def _health_check_finding(health_check: str | SecretReference, environment: Environment) -> Finding:
    try:
        address = urlsplit(address_of(health_check, environment, "nightly.health_check"))
    except ConfigError as error:
        return from_error("health check", error)
    except ValueError:  # its text may quote the address
        address = urlsplit("")
    remedy = "Write it whole: https://host/path."
    if address.scheme not in {"http", "https"} or not address.hostname:
        return wrong("health check", "nightly.health_check is not a web address.", remedy)
    if "@" in address.netloc:
        message = "nightly.health_check has a name or password before its host, which is not sent."
        return wrong("health check", message, remedy)
    return ok("health check", "the address is valid; nothing was sent.")
