"""What authenticates requests: secrets by reference, and tokens of OAuth 2.0 (client credentials: RFC 6749, 4.4)."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote
from urllib.request import getproxies

import aiohttp
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from batch_updater.config.environment import Environment
from batch_updater.config.schema import (
    ApiSettings,
    OAuthSettings,
    ReferenceKind,
    SecretReference,
)
from batch_updater.config.secrets import Secret, fetch_secret, remember_secret
from batch_updater.endpoint.description import Endpoint, SecurityKind, SecurityScheme
from batch_updater.endpoint.security import asked_for, scheme_of, unlike_described
from batch_updater.errors import CredentialsError
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.proxies import Proxy, require_usable_proxies
from batch_updater.sender.retry_after import read_retry_after
from batch_updater.text.redaction import Redaction

_log = logging.getLogger("batch_updater.sender")
_LARGEST_BYTES = 64_000
_LONGEST_LIFETIME_S = 1e9
"""More than any run takes; keeps a number of any length finite."""
_RENEW_BEFORE_S = 60.0
_RENEW_BEFORE_SHARE = 0.1
_LOOKED_EVERY_S = 0.02
"""How often it is looked at whether another event loop has fetched a token."""
_KEY_HEADER = re.compile(r"key|token|secret|auth|passw|cookie|signature|credential", re.IGNORECASE)
_KEY_LENGTH = 16
_OAUTH_ERRORS = (
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope",
    "unsupported_grant_type",
)  # fmt: skip
"""The short names of errors of RFC 6749, section 5.2."""


class Placement(msgspec.Struct, frozen=True):
    """Where a request has the secret that authenticates it."""

    scheme: SecurityScheme
    user: Secret | None = None
    """Of Basic authentication; None: the secret is the user, and there is no password."""

    def headers(self, secret: Secret) -> dict[str, str]:
        """Return the header that holds the secret; none if it is in the query."""
        match self.scheme.kind:
            case SecurityKind.BASIC:
                return {"Authorization": f"Basic {self._credentials(secret)}"}
            case SecurityKind.SCHEME:
                word = self.scheme.name
                blank, end = "" if word.endswith(("=", '"')) else " ", '"' if word.endswith('"') else ""
                return {"Authorization": f"{word}{blank}{secret.reveal()}{end}"}
            case SecurityKind.HEADER:
                return {self.scheme.name: secret.reveal()}
        return {}

    def query(self, secret: Secret) -> str:
        """Return the parameter that holds the secret, as it is in a query; '' if it is in a header."""
        if self.scheme.kind is not SecurityKind.QUERY:
            return ""
        return f"{quote(self.scheme.name, safe='')}={quote(secret.reveal(), safe='')}"

    def remember(self, secret: Secret, redaction: Redaction) -> None:
        """Have redacted what is made of the secret; the secret itself is from when it was fetched."""
        if self.scheme.kind is SecurityKind.BASIC:
            redaction.remember(self._credentials(secret))

    def _credentials(self, secret: Secret) -> str:
        user, password = (self.user.reveal(), secret.reveal()) if self.user else (secret.reveal(), "")
        return b64encode(f"{user}:{password}".encode()).decode()


def refusal_advice(api: ApiSettings, endpoint: Endpoint) -> str:
    """Return what to do where the API does not accept the credentials: which key to look at."""
    if api.oauth:
        check = "Check client_id, client_secret and scope under api.oauth, then run again."
    elif api.secret:
        check = f"Check what {api.secret[0]} refers to, then run again."
    else:
        return f"Set {asked_for(endpoint) or 'api.token, api.oauth or api.auth'}, then run again."
    if api.auth and (asked := asked_for(endpoint)):
        return f"{check} The description asks for {asked}."
    return f"{check} {unlike_described(api, endpoint)}".rstrip()


class Token(msgspec.Struct, frozen=True):
    """The secret that authenticates requests, of whatever kind it is."""

    generation: int
    """1 for the first of the run, one more for each fetched later."""
    value: Secret


class Credentials(msgspec.Struct, frozen=True):
    """Every secret of a configuration, fetched."""

    token: Secret | None
    """What `ApiSettings.secret` refers to."""
    client_secret: Secret | None
    headers: Mapping[str, Secret]
    placement: Placement


class CredentialsRefused(Exception):  # noqa: N818  (an answer of the service, not an error of ours)
    """The service does not take our credentials: the run stops."""


class TokenUnavailable(Exception):  # noqa: N818  (as above)
    """The token URL gives no token just now: the run stops."""

    def __init__(
        self, message: str, advice: str = "Run again later.", *, is_lasting: bool = False, retry_after_s: float = 0.0
    ) -> None:
        """`is_lasting`: whether asking again changes nothing. `retry_after_s`: how long the token URL asks to wait."""
        super().__init__(message)
        self.advice = advice
        self.is_lasting = is_lasting
        self.retry_after_s = retry_after_s


def fetch_credentials(
    api: ApiSettings, endpoint: Endpoint, environment: Environment, fetched: Mapping[str, Secret] | None = None
) -> Credentials:
    """Fetch every secret that the configuration refers to, before anything is sent.

    `fetched` are those that were fetched a moment ago, by their keys: a command is not started a second time. Raises
    CredentialsError, and ConfigError for a proxy that cannot be used.
    """

    def fetch(reference: SecretReference, key: str) -> Secret:
        return (fetched or {}).get(key) or fetch_secret(reference, environment, key)

    remember_written(api, environment.redaction)
    require_usable_proxies(api)
    headers = {
        name: fetch(value, f"api.headers.{name}") if isinstance(value, SecretReference) else Secret(value)
        for name, value in api.headers.items()
    }
    token = fetch(api.secret[1], api.secret[0]) if api.secret else None
    placement = placement_of(api, endpoint, fetch)
    if token:
        placement.remember(token, environment.redaction)
    return Credentials(
        token=token,
        client_secret=fetch(api.oauth.client_secret, "api.oauth.client_secret") if api.oauth else None,
        headers=headers,
        placement=placement,
    )


def placement_of(api: ApiSettings, endpoint: Endpoint, fetch: Callable[[SecretReference, str], Secret]) -> Placement:
    """Return where requests have the secret; `fetch` gets the user's name, if that is kept somewhere."""
    user = None
    if api.auth and api.auth.basic and api.auth.basic.password:
        name = api.auth.basic.user
        user = Secret(name) if isinstance(name, str) else fetch(name, "api.auth.basic.user")
        if ":" in user.reveal():
            raise CredentialsError(
                "api.auth.basic.user: the value holds a colon, which no user's name may (RFC 7617).",
                remedy="Put only the name there, and the password where api.auth.basic.password says.",
            )
    return Placement(scheme_of(api, endpoint), user)


def remember_written(api: ApiSettings, redaction: Redaction) -> None:
    """Have the secrets redacted that are written out: logins of proxies, and headers that are keys by name or look."""
    for address in filter(None, (api.proxy, *getproxies().values())):
        redaction.remember_login(address)
    for name, value in api.headers.items():
        if isinstance(value, str) and (_KEY_HEADER.search(name) or (len(value) >= _KEY_LENGTH and " " not in value)):
            remember_secret(value, redaction)


class FetchedToken(msgspec.Struct, frozen=True):
    """A token as its source gave it."""

    value: Secret
    lifetime_s: float | None = None
    """None: only a 401 tells when it has run out."""


class KeptToken:
    """The token that several pools of a process send, each in an event loop of its own, and what is known of it."""

    def __init__(self) -> None:
        self.current: Token | None = None
        self.renew_at: float | None = None
        self.fetched_after_refusal = False
        self.accepted = False
        self.turn = threading.Lock()
        """Held while a token is fetched."""


class TokenSource:
    """The pool's one token: fetched once for all workers, renewed before it runs out.

    `fetch` gives a new token, or is None where the first is the only one. `kept`: the token that other pools send, too.
    """

    def __init__(
        self,
        first: Secret | None,
        fetch: Callable[[], Awaitable[FetchedToken]] | None,
        clock: Callable[[], float] = time.monotonic,
        kept: KeptToken | None = None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept = kept or KeptToken()
        if first and self._kept.current is None:
            self._kept.current = Token(1, first)
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Token | None:
        """The token to send; None if the API is called without one."""
        return self._kept.current

    @property
    def is_due(self) -> bool:
        """Whether there is no token yet, or it is about to run out."""
        kept = self._kept
        return kept.current is None or (kept.renew_at is not None and self._clock() >= kept.renew_at)

    async def renew_if_due(self) -> None:
        """Have a token that can be sent.

        Raises CredentialsRefused, TokenUnavailable and, for a reference, CredentialsError.
        """
        if not self.is_due or self._fetch is None:
            return
        async with self._alone():
            if self.is_due:
                await self._renew(self._fetch, "the last one runs out" if self.current else "there is none yet")
                self._kept.fetched_after_refusal = False

    def accepted(self, token: Token) -> None:
        """Take note that the API took this token."""
        if token is self._kept.current:
            self._kept.accepted = True

    async def refused(self, token: Token | None) -> None:
        """Take note of a 401 to this token; when this returns the request may be sent again.

        Raises CredentialsRefused if there is no other token, and what `renew_if_due` raises.
        """
        if token is None:
            raise CredentialsRefused("The API wants to know who calls it (401), and no credentials are configured.")
        if self._fetch is None:
            raise CredentialsRefused("The API does not accept the credentials (401).")
        async with self._alone():
            current = self.current
            if current is not None and token.generation < current.generation:
                return  # another request has fetched a new one meanwhile
            if self._kept.fetched_after_refusal and not self._kept.accepted:
                raise CredentialsRefused("The API does not accept credentials that were fetched just now (401).")
            await self._renew(self._fetch, "the API refused the last one (401)")
            if self.current is not None and self.current.value == token.value:
                raise CredentialsRefused("The API does not accept the credentials (401), and there are no other ones.")
            self._kept.fetched_after_refusal = True

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let no other request fetch a token meanwhile, be it of another event loop."""
        async with self._turn:
            while not self._kept.turn.acquire(blocking=False):  # noqa: ASYNC110  (held by another loop's thread)
                await asyncio.sleep(_LOOKED_EVERY_S)
            try:
                yield
            finally:
                self._kept.turn.release()

    async def _renew(self, fetch: Callable[[], Awaitable[FetchedToken]], why: str) -> None:
        asked_at = self._clock()
        fetched = await fetch()
        _log.info("token", extra={"event": "token", "why": f"a new token: {why}"})
        kept = self._kept
        kept.current = Token(kept.current.generation + 1 if kept.current else 1, fetched.value)
        kept.accepted = False
        kept.renew_at = None
        if fetched.lifetime_s is not None:
            margin = min(_RENEW_BEFORE_S, fetched.lifetime_s * _RENEW_BEFORE_SHARE)
            kept.renew_at = asked_at + fetched.lifetime_s - margin


def source_by_reference(
    api: ApiSettings, credentials: Credentials, environment: Environment, kept: KeptToken | None
) -> TokenSource:
    """Return the source for a secret that is kept somewhere; an environment variable cannot change while we run."""
    if api.secret is None:
        return TokenSource(None, None)
    key, reference = api.secret

    async def fetch() -> FetchedToken:
        secret = await asyncio.to_thread(fetch_secret, reference, environment, key)
        credentials.placement.remember(secret, environment.redaction)
        return FetchedToken(secret)

    return TokenSource(credentials.token, None if reference.kind is ReferenceKind.ENVIRONMENT else fetch, kept=kept)


class OAuthClient(msgspec.Struct):
    """Fetches tokens with client credentials; they go to the token URL and nowhere else."""

    settings: OAuthSettings
    secret: Secret
    session: aiohttp.ClientSession
    permit: Callable[[], Awaitable[None]]
    """Awaited before every request: the token URL shares the account's limits."""
    pause: Callable[[float], Awaitable[None]]
    """Awaited between attempts, with seconds; raises ShuttingDown once the run is ending."""
    in_flight: InFlight
    attempts: int
    redaction: Redaction
    proxy: Proxy | None = None
    max_wait_s: float = 0.0
    has_answered: bool = False

    async def fetch(self) -> FetchedToken:
        """Ask for a token, again where that may help. Raises CredentialsRefused and TokenUnavailable."""
        backoff = wait_random_exponential(multiplier=0.5, max=10)

        def may_pass(error: BaseException) -> bool:
            if not isinstance(error, TokenUnavailable) or error.is_lasting:
                return False
            return error.retry_after_s <= self.max_wait_s

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), error.retry_after_s if isinstance(error, TokenUnavailable) else 0.0)

        retry, stop = retry_if_exception(may_pass), stop_after_attempt(self.attempts)
        return await AsyncRetrying(sleep=self.pause, stop=stop, wait=wait, retry=retry, reraise=True)(self._ask)

    async def _ask(self) -> FetchedToken:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.secret.reveal(),
            "scope": self.settings.scope,
        }
        await self.permit()
        try:
            async with (
                self.in_flight.limited(),
                self.session.post(
                    self.settings.token_url,
                    data={name: value for name, value in form.items() if value},
                    allow_redirects=False,
                    proxy=self.proxy.url if self.proxy else None,
                ) as response,
            ):
                require_not_of_proxy(response, self.proxy)
                body = await read_at_most(response.content, _LARGEST_BYTES)
                self.has_answered = True
                wait_s = read_retry_after(response.status, response.headers, datetime.now(UTC)) or 0.0
                return self._token_in(response.status, body, wait_s)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            url, proxy = self.settings.token_url, self.proxy
            if proxy is None or (isinstance(error, aiohttp.ClientSSLError) and not is_about_proxy(error, proxy)):
                unavailable = TokenUnavailable(f"The token URL {url} cannot be reached ({reason_of(error)}).")
            else:
                why = no_connection(error, url, proxy)
                message = f"The token URL {url} cannot be reached. {why.message}"
                is_lasting = why.ends_run(has_worked=self.has_answered)
                unavailable = TokenUnavailable(message, why.advice, is_lasting=is_lasting)
            raise unavailable from None  # the text of a client error may quote the request

    def _token_in(self, status: int, body: bytes, retry_after_s: float) -> FetchedToken:
        url = self.settings.token_url
        if status in {408, 423, 425, 429} or status >= 500:
            raise TokenUnavailable(f"The token URL {url} answers {status}.", retry_after_s=retry_after_s)
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        answer = parsed if isinstance(parsed, dict) else {}
        if status != 200:
            code = f", {answer['error']}" if answer.get("error") in _OAUTH_ERRORS else ""
            raise CredentialsRefused(f"The token URL {url} refuses the client's credentials ({status}{code}).")
        token, kind, lifetime = answer.get("access_token"), answer.get("token_type", "Bearer"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise CredentialsRefused(f"The token URL {url} answers without a token.")
        self.redaction.remember(token)
        if str(kind).lower() != "bearer":
            raise CredentialsRefused(f"The token URL {url} gives no bearer token.")
        if not isinstance(lifetime, (int, float)) or isinstance(lifetime, bool) or lifetime <= 0:
            return FetchedToken(Secret(token))  # it says nothing usable: only a 401 will tell
        return FetchedToken(Secret(token), float(min(lifetime, _LONGEST_LIFETIME_S)))


async def read_at_most(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Read a body in pieces until it ends or is longer than the limit: `read()` would take whatever it unpacks to."""
    parts, size = [], 0
    while size <= limit and not stream.at_eof():
        part = await stream.read(limit + 1 - size)
        parts.append(part)
        size += len(part)
    return b"".join(parts)
