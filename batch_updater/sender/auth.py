"""Where the token comes from: secrets by reference, and OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.request import getproxies

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from batch_updater.config import ReferenceKind, SecretReference
from batch_updater.daemon_thread import in_daemon_thread
from batch_updater.errors import CredentialsError
from batch_updater.regular_file import read_regular
from batch_updater.sender.no_connection import is_about_proxy, no_connection, reason_of, require_not_of_proxy
from batch_updater.sender.proxies import require_usable_proxies
from batch_updater.sender.retry_after import asked_wait_s
from batch_updater.sender.secret_shape import secret_problem
from batch_updater.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from batch_updater.config import ApiSettings, OAuthSettings
    from batch_updater.environment import Environment
    from batch_updater.redaction import Redaction
    from batch_updater.sender.proxies import Proxy
    from batch_updater.sender.under_way import UnderWay

_log = logging.getLogger("batch_updater.sender")
_COMMAND_LIMIT_S = 30
_STEP_S = 0.01
_KILLED_WITHIN_S = 1.0
_LARGEST_BYTES = 64_000
_LONGEST_LIFETIME_S = 1e9
"""More than any run takes; keeps a number of any length finite."""
_RENEW_BEFORE_S = 60.0
_RENEW_BEFORE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that is shown only where it is asked for by name."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    generation: int
    """1 for the first of the run, one more for each fetched later."""
    value: Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret of a configuration, fetched."""

    token: Secret | None
    client_secret: Secret | None
    headers: Mapping[str, Secret]


class CredentialsRefused(Exception):  # noqa: N818  (an answer of the service, not an error of ours)
    """The service does not take our credentials: the run stops."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TokenUnavailable(Exception):  # noqa: N818  (as above)
    """The token URL gives no token just now: the run stops."""

    def __init__(
        self, message: str, advice: str = "Run again later.", *, is_lasting: bool = False, asked_wait_s: float = 0.0
    ) -> None:
        """`is_lasting`: whether asking again changes nothing. `asked_wait_s`: how long the token URL asks to wait."""
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.is_lasting = is_lasting
        self.asked_wait_s = asked_wait_s


def fetch_secret(reference: SecretReference, environment: Environment, what: str) -> Secret:
    """Fetch a secret, which is redacted from now on; `what` names the key of the configuration for messages.

    Takes up to 30 s for a command. Raises CredentialsError, which says where the secret should have been and never what
    was found there.
    """
    match reference.kind:
        case ReferenceKind.ENVIRONMENT:
            text = _from_environment(reference.location, environment.variables, what)
        case ReferenceKind.FILE:
            text = _from_file(Path(reference.location), what)
        case ReferenceKind.COMMAND:
            text = _from_command(reference.location, what)
    text = text.strip()
    if problem := secret_problem(text, what):
        raise CredentialsError(f"{what}: what {reference.shown} gives {problem.what}.", remedy=problem.remedy)
    _remember(text, environment.redaction)
    return Secret(text)


def _from_environment(name: str, variables: Mapping[str, str], what: str) -> str:
    if not variables.get(name):
        close = nearest(name, variables, cutoff=0.85)
        hint = f"Did you mean {close}? " if close and variables[close] else ""
        raise CredentialsError(
            f"{what}: the environment variable {name} is not set.",
            remedy=f"{hint}Set {name} and start again; batch-updater doctor says how.",
        )
    return variables[name]


def _from_file(path: Path, what: str) -> str:
    try:
        content = read_regular(path, _LARGEST_BYTES)
    except OSError as error:
        why = error.strerror or "the system does not say why"
        raise CredentialsError(
            f"{what}: {path} cannot be read: {why}.", remedy="Put the secret into that file."
        ) from error
    # Whatever is no text is refused by the caller, without showing it.
    return content.decode("utf-8-sig", errors="replace")


def _from_command(command: str, what: str) -> str:
    arguments = shlex.split(command)
    program = arguments[0]
    try:
        code, printed = _run(arguments)
    except subprocess.TimeoutExpired:
        # `from None`: the exception carries what the command printed.
        raise CredentialsError(
            f"{what}: {program} took longer than {_COMMAND_LIMIT_S} s.", remedy="Try the command by itself."
        ) from None
    except OSError as error:
        raise CredentialsError(
            f"{what}: {program} cannot be started: {error.strerror}.", remedy="Check the command's name and path."
        ) from error
    if code:
        raise CredentialsError(f"{what}: {program} ended with exit code {code}.", remedy="Try the command by itself.")
    return printed.decode("utf-8", errors="replace")


def _run(arguments: Sequence[str]) -> tuple[int, bytes]:
    """Run a program to its end. Returns its exit code and what it printed until then, `_LARGEST_BYTES` at most.

    A helper that it leaves running may hold its output open, so the end is not waited for there: once the program has
    ended, a mark of ours follows whatever it printed. Threads start it, read it and end it, since a signal may come
    between any two steps of the main thread. Raises TimeoutExpired and OSError.
    """
    mark, is_given_up, is_over = secrets.token_bytes(32), threading.Event(), threading.Event()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        try:
            ended = in_daemon_thread(lambda: _ended(arguments, writer, mark, is_given_up, is_over))
            printed = in_daemon_thread(lambda: _read_until(mark, reader))
            # Step by step: a signal that came right before a wait without end would not be noticed in it.
            while not is_over.wait(_STEP_S):
                pass
            return ended.result(), printed.result()
        finally:
            is_given_up.set()
            is_over.wait(_KILLED_WITHIN_S)


def _ended(
    arguments: Sequence[str], writer: IO[bytes], mark: bytes, is_given_up: threading.Event, is_over: threading.Event
) -> int:
    """Run a program until it ends, takes too long or is given up; then write the mark. Returns its exit code."""
    ends_at = time.monotonic() + _COMMAND_LIMIT_S
    try:
        # The program and its arguments come from the user's own configuration, and no shell reads them.
        with subprocess.Popen(  # noqa: S603
            arguments, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                if is_given_up.wait(_STEP_S) or time.monotonic() > ends_at:
                    process.kill()
                    raise subprocess.TimeoutExpired(arguments, _COMMAND_LIMIT_S)
        return process.returncode
    finally:
        writer.write(mark)
        is_over.set()


def _read_until(mark: bytes, stream: IO[bytes]) -> bytes:
    """Return the first `_LARGEST_BYTES` of what stands before a mark; more is read, and not kept."""
    kept, latest = b"", b""
    while mark not in latest:
        chunk = stream.read(_LARGEST_BYTES)
        kept = (kept + chunk)[: _LARGEST_BYTES + len(mark)]
        latest = latest[-len(mark) :] + chunk
    return kept.partition(mark)[0][:_LARGEST_BYTES]


def fetch_credentials(
    api: ApiSettings, environment: Environment, fetched: Mapping[str, Secret] | None = None
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
    return Credentials(
        token=fetch(api.token, "api.token") if api.token else None,
        client_secret=fetch(api.oauth.client_secret, "api.oauth.client_secret") if api.oauth else None,
        headers=headers,
    )


def remember_written(api: ApiSettings, redaction: Redaction) -> None:
    """Have the secrets redacted that are written out: headers of the configuration, and logins of proxies."""
    for address in filter(None, (api.proxy, *getproxies().values())):
        redaction.remember_login(address)
    for value in _literal_keys(api.headers):
        _remember(value, redaction)


def _remember(text: str, redaction: Redaction) -> None:
    """Have a secret redacted, and what follows a scheme such as Bearer (RFC 9110, section 11.4) by itself, too."""
    redaction.remember(text)
    if scheme := re.fullmatch(r"[A-Za-z][\w-]*\s+(\S+)", text):
        redaction.remember(scheme[1])


_KEY_HEADER = re.compile(r"key|token|secret|auth|passw|cookie|signature|credential", re.IGNORECASE)
_KEY_LENGTH = 16


def _literal_keys(headers: Mapping[str, str | SecretReference]) -> Iterator[str]:
    """Yield the values that are written out in the configuration and are keys of the API by name or look."""
    for name, value in headers.items():
        if isinstance(value, str) and (_KEY_HEADER.search(name) or (len(value) >= _KEY_LENGTH and " " not in value)):
            yield value


@dataclass(frozen=True, slots=True)
class _Fetched:
    value: Secret
    lifetime_s: float | None = None


class TokenSource:
    """The pool's one token: fetched once for everybody, renewed before it runs out.

    `fetch` gives a new token, or is None where the first is the only one.
    """

    def __init__(
        self,
        first: Secret | None,
        fetch: Callable[[], Awaitable[_Fetched]] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token = Token(1, first) if first else None
        self._renew_at: float | None = None
        self._fetched_after_refusal = False
        self._accepted = False
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Token | None:
        """The token to send; None if the API is called without one."""
        return self._token

    @property
    def is_due(self) -> bool:
        """Whether there is no token yet, or it is about to run out."""
        return self._token is None or (self._renew_at is not None and self._clock() >= self._renew_at)

    async def renew_if_due(self) -> None:
        """Have a token that can be sent.

        Raises CredentialsRefused, TokenUnavailable and, for a reference, CredentialsError.
        """
        if not self.is_due or self._fetch is None:
            return
        async with self._turn:
            if self.is_due:
                await self._renew(self._fetch, "the last one runs out" if self._token else "there is none yet")
                self._fetched_after_refusal = False

    def accepted(self, token: Token) -> None:
        """Take note that the API took this token."""
        if token is self._token:
            self._accepted = True

    async def refused(self, token: Token | None) -> None:
        """Take note of a 401 to this token; when this returns the request may be sent again.

        Raises CredentialsRefused if there is no other token, and what `renew_if_due` raises.
        """
        if token is None or self._fetch is None:
            raise CredentialsRefused("The API does not accept the token (401).")
        async with self._turn:
            current = self._token
            if current is not None and token.generation < current.generation:
                return  # another request has fetched a new one meanwhile
            if self._fetched_after_refusal and not self._accepted:
                raise CredentialsRefused("The API does not accept a token that was fetched just now (401).")
            await self._renew(self._fetch, "the API refused the last one (401)")
            if self._token is not None and self._token.value == token.value:
                raise CredentialsRefused("The API does not accept the token (401), and there is no other one.")
            self._fetched_after_refusal = True

    async def _renew(self, fetch: Callable[[], Awaitable[_Fetched]], why: str) -> None:
        asked_at = self._clock()
        fetched = await fetch()
        _log.info("token", extra={"event": "token", "why": f"a new token: {why}"})
        self._token = Token(self._token.generation + 1 if self._token else 1, fetched.value)
        self._accepted = False
        self._renew_at = None
        if fetched.lifetime_s is not None:
            margin = min(_RENEW_BEFORE_S, fetched.lifetime_s * _RENEW_BEFORE_SHARE)
            self._renew_at = asked_at + fetched.lifetime_s - margin


def source_by_reference(reference: SecretReference, first: Secret, environment: Environment) -> TokenSource:
    """Return the source for a token that is kept somewhere; an environment variable cannot change while we run."""

    async def fetch() -> _Fetched:
        return _Fetched(await asyncio.to_thread(fetch_secret, reference, environment, "api.token"))

    return TokenSource(first, None if reference.kind is ReferenceKind.ENVIRONMENT else fetch)


@dataclass
class OAuthClient:
    """Fetches tokens with client credentials; they go to the token URL and nowhere else."""

    settings: OAuthSettings
    secret: Secret
    session: aiohttp.ClientSession
    permit: Callable[[], Awaitable[None]]
    """Awaited before every request: the token URL shares the account's limits."""
    pause: Callable[[float], Awaitable[None]]
    """Awaited between attempts, with seconds; raises Stopped once the run is ending."""
    under_way: UnderWay
    attempts: int
    redaction: Redaction
    """Told of every token."""
    proxy: Proxy | None = None
    max_wait_s: float = 0.0
    """The longest wait that the token URL may ask for."""
    has_answered: bool = field(default=False, init=False)

    async def fetch(self) -> _Fetched:
        """Ask for a token, again where that may help. Raises CredentialsRefused and TokenUnavailable."""
        backoff = wait_random_exponential(multiplier=0.5, max=10)
        retrying = AsyncRetrying(
            sleep=self.pause,
            stop=stop_after_attempt(self.attempts),
            wait=lambda state: max(backoff(state), _asked_wait_s(state)),
            retry=retry_if_exception(self._may_pass),
            reraise=True,
        )
        return await retrying(self._ask)

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, TokenUnavailable) and not error.is_lasting and error.asked_wait_s <= self.max_wait_s

    async def _ask(self) -> _Fetched:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.secret.reveal(),
            "scope": self.settings.scope,
        }
        await self.permit()
        try:
            async with (
                self.under_way.limited(),
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
                asked_s = asked_wait_s(response.status, response.headers, datetime.now(UTC)) or 0.0
                return self._judged(response.status, body, asked_s)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unavailable(error) from None  # the text of a client error may quote the request

    def _unavailable(self, error: Exception) -> TokenUnavailable:
        url = self.settings.token_url
        if self.proxy is None or (isinstance(error, aiohttp.ClientSSLError) and not is_about_proxy(error, self.proxy)):
            return TokenUnavailable(f"The token URL {url} cannot be reached ({reason_of(error)}).")
        why = no_connection(error, url, self.proxy)
        lasting = why.ends_run(has_worked=self.has_answered)
        return TokenUnavailable(f"The token URL {url} cannot be reached. {why.message}", why.advice, is_lasting=lasting)

    def _judged(self, status: int, body: bytes, asked_s: float) -> _Fetched:
        url = self.settings.token_url
        if status in {408, 423, 425, 429} or status >= 500:
            raise TokenUnavailable(f"The token URL {url} answers {status}.", asked_wait_s=asked_s)
        if status != 200:
            raise CredentialsRefused(f"The token URL {url} refuses the client's credentials ({status}{_code(body)}).")
        answer = _json(body)
        token, kind, lifetime = answer.get("access_token"), answer.get("token_type", "Bearer"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise CredentialsRefused(f"The token URL {url} answers without a token.")
        self.redaction.remember(token)
        if str(kind).lower() != "bearer":
            raise CredentialsRefused(f"The token URL {url} gives no bearer token.")
        if not isinstance(lifetime, (int, float)) or isinstance(lifetime, bool) or lifetime <= 0:
            return _Fetched(Secret(token))  # it says nothing usable: only a 401 will tell
        return _Fetched(Secret(token), float(min(lifetime, _LONGEST_LIFETIME_S)))


def _asked_wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.asked_wait_s if isinstance(error, TokenUnavailable) else 0.0


async def read_at_most(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Read a body in pieces until it ends or is longer than the limit: `read()` would take whatever it unpacks to."""
    parts, size = [], 0
    while size <= limit and not stream.at_eof():
        part = await stream.read(limit + 1 - size)
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _json(body: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _code(body: bytes) -> str:
    """Return OAuth's own short name of the fault (RFC 6749, section 5.2), if it is one."""
    code = _json(body).get("error")
    known = ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope",
             "unsupported_grant_type")  # fmt: skip
    return f", {code}" if code in known else ""
