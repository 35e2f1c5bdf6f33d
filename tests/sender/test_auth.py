"""sender/auth.py: one token for all workers, fetched when it has to be, and every secret redacted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
import pytest

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from
from batch_updater.config.schema import ApiSettings
from batch_updater.config.secrets import Secret
from batch_updater.errors import CredentialsError
from batch_updater.sender.auth import (
    CredentialsRefused,
    FetchedToken,
    KeptToken,
    OAuthClient,
    TokenSource,
    TokenUnavailable,
    fetch_credentials,
    remember_written,
)
from batch_updater.sender.in_flight import InFlight
from batch_updater.text.redaction import Redaction
from tests.sender.driver import ENDPOINT as NEXUS
from tests.sender.server import Answer, Api, status


class Issuer:
    """A source of tokens that counts them, and the clock by which they age."""

    def __init__(self, lifetime_s: float | None = None, *, always: str = "") -> None:
        self.now = 1000.0
        self.issued = 0
        self._lifetime_s = lifetime_s
        self._always = always

    async def __call__(self) -> FetchedToken:
        await asyncio.sleep(0)  # others have their turn meanwhile
        self.issued += 1
        return FetchedToken(Secret(self._always or f"token-{self.issued}"), self._lifetime_s)

    def source(self) -> TokenSource:
        return TokenSource(None, self, lambda: self.now)


def shown(tokens: TokenSource) -> str:
    assert tokens.current
    return tokens.current.value.reveal()


def test_one_token_is_fetched_for_all_who_need_one() -> None:
    """Ten that find none at the same time share the one that the first of them fetches."""

    async def go() -> None:
        issuer = Issuer()
        tokens = issuer.source()
        assert tokens.is_due
        await asyncio.gather(*(tokens.renew_if_due() for _ in range(10)))
        assert (issuer.issued, shown(tokens), tokens.is_due) == (1, "token-1", False)

    asyncio.run(go())


def test_one_token_is_fetched_for_several_event_loops() -> None:
    """What one of them fetches the others have, whose requests wait for it meanwhile."""
    issued: list[str] = []
    kept = KeptToken()

    async def fetch() -> FetchedToken:
        await asyncio.sleep(0.1)
        issued.append(f"token-{len(issued) + 1}")
        return FetchedToken(Secret(issued[-1]))

    async def go() -> tuple[str, str]:
        tokens = TokenSource(None, fetch, kept=kept)
        await tokens.renew_if_due()
        first = tokens.current
        await asyncio.to_thread(both.wait)
        await tokens.refused(first)
        return first.value.reveal() if first else "", shown(tokens)

    both = threading.Barrier(3)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: asyncio.run(go()), range(3)))
    assert found == [("token-1", "token-2")] * 3
    assert len(issued) == 2


@pytest.mark.parametrize(
    ("lifetime_s", "is_good_for_s"), [(3600.0, 3540.0), (600.0, 540.0), (100.0, 90.0), (1.0, 0.9), (None, 1e9)]
)
def test_a_token_is_renewed_before_it_runs_out(lifetime_s: float | None, is_good_for_s: float) -> None:
    """A minute before, or a tenth of its lifetime if that is less; without a lifetime only after a 401."""

    async def go() -> None:
        issuer = Issuer(lifetime_s)
        tokens = issuer.source()
        await tokens.renew_if_due()
        issuer.now += is_good_for_s - 0.01
        assert not tokens.is_due
        issuer.now += 0.02
        assert tokens.is_due is (lifetime_s is not None)
        await tokens.renew_if_due()
        assert issuer.issued == (1 if lifetime_s is None else 2)

    asyncio.run(go())


def test_a_401_costs_one_token_for_the_whole_pool() -> None:
    """All whose token of the same generation is refused share its successor; the first token is asked for no more."""

    async def go() -> None:
        issuer = Issuer()
        tokens = issuer.source()
        await tokens.renew_if_due()
        first = tokens.current
        await asyncio.gather(*(tokens.refused(first) for _ in range(10)))
        assert (issuer.issued, shown(tokens)) == (2, "token-2")
        assert tokens.current
        tokens.accepted(tokens.current)
        await tokens.refused(first)  # an answer that was late
        assert issuer.issued == 2

    asyncio.run(go())


@pytest.mark.parametrize(("is_accepted", "issued"), [(True, 3), (False, 2)])
def test_a_fresh_token_that_is_refused_ends_the_run_unless_it_was_accepted(issued: int, *, is_accepted: bool) -> None:
    """Fetching token after token would not help; one that worked for a while may be replaced once more."""

    async def go() -> int:
        issuer = Issuer()
        tokens = issuer.source()
        await tokens.renew_if_due()
        await tokens.refused(tokens.current)
        assert tokens.current
        if is_accepted:
            tokens.accepted(tokens.current)
            await tokens.refused(tokens.current)
        else:
            with pytest.raises(CredentialsRefused, match="fetched just now"):
                await tokens.refused(tokens.current)
        return issuer.issued

    assert asyncio.run(go()) == issued


@pytest.mark.parametrize(
    "source", [lambda: TokenSource(Secret("t"), None), lambda: TokenSource(None, None), Issuer(always="t").source]
)
def test_a_401_without_another_token_ends_the_run(source: Callable[[], TokenSource]) -> None:
    """A variable cannot change while the program runs, and a file or command may give the same token again."""

    async def go() -> None:
        tokens = source()
        await tokens.renew_if_due()
        with pytest.raises(CredentialsRefused, match="401"):
            await tokens.refused(tokens.current)

    asyncio.run(go())


async def ask(url: str, redaction: Redaction, attempts: int = 1) -> FetchedToken:
    """Fetch a token as the pool does, without pauses."""

    async def at_once(*_: float) -> None:
        """Hold nothing back."""

    oauth = config_from(
        {"api": {"oauth": {"token_url": f"{url}/oauth/token", "client_id": "me", "client_secret": "env:S"}}}, {}
    ).api.oauth
    assert oauth
    async with aiohttp.ClientSession() as session:
        client = OAuthClient(
            oauth, Secret("s"), session, permit=at_once, pause=at_once, in_flight=InFlight(5), attempts=attempts,
            redaction=redaction, max_wait_s=60,
        )  # fmt: skip
        return await client.fetch()


@pytest.mark.parametrize(
    ("body", "lifetime_s"),
    [
        ({"access_token": "canary-token", "token_type": "Bearer", "expires_in": 3600}, 3600.0),
        ({"access_token": "canary-token", "token_type": "bearer"}, None),
        ({"access_token": "canary-token", "expires_in": 0.5}, 0.5),
        ({"access_token": "canary-token", "expires_in": 10**30}, 1e9),
        *[({"access_token": "canary-token", "expires_in": odd}, None) for odd in ("3600", True, 0, -5, None, [1])],
    ],
)
def test_a_token_is_taken_with_the_lifetime_it_names(body: object, lifetime_s: float | None) -> None:
    """A lifetime that is no positive number is none; the token is redacted from then on."""
    redaction = Redaction()
    with Api(token_answers=[status(200, body)]) as api:
        assert asyncio.run(ask(api.url, redaction)) == FetchedToken(Secret("canary-token"), lifetime_s)
    assert redaction.text("it says canary-token.") != "it says canary-token."


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (status(400, {"error": "invalid_scope"}), CredentialsRefused, "(400, invalid_scope)"),
        (status(401, {"error": "invalid_client"}), CredentialsRefused, "(401, invalid_client)"),
        (status(401, {"error": "the secret was s3cr3t"}), CredentialsRefused, "(401)"),
        (status(401, {"error": {"code": 5}}), CredentialsRefused, "(401)"),
        (status(403, "<html>"), CredentialsRefused, "(403)"),
        (status(302, Location="/elsewhere"), CredentialsRefused, "(302)"),
        (status(200, "no JSON"), CredentialsRefused, "without a token"),
        (status(200, ["abc"]), CredentialsRefused, "without a token"),
        (status(200, {"access_token": ""}), CredentialsRefused, "without a token"),
        (status(200, {"access_token": "a\nb"}), CredentialsRefused, "without a token"),
        (status(200, {"access_token": "tök"}), CredentialsRefused, "without a token"),
        (status(200, {"access_token": "abc", "token_type": "MAC"}), CredentialsRefused, "no bearer token"),
        *[(status(code), TokenUnavailable, f"answers {code}") for code in (408, 423, 425, 429, 500, 503)],
    ],
)
def test_a_token_url_that_gives_no_token_is_told_from_one_that_is_down(
    answer: Answer, error: type[Exception], words: str
) -> None:
    """A refusal ends the run at once; trouble that may pass is another thing. Only known short names are quoted."""
    with Api(token_answers=[answer]) as api, pytest.raises(error) as caught:
        asyncio.run(ask(api.url, Redaction()))
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([status(503), status(429)], 3),
        ([status(503), status(401)], 2),
        ([status(429, Retry_After="61")], 1),
        ([status(503)] * 3, 3),
    ],
)
def test_a_token_url_is_asked_again_as_often_as_allowed(answers: list[Answer], requests: int) -> None:
    """Up to `attempts` times, not after a refusal, and not if it asks for a longer wait than sending.max_wait_s."""

    async def go(url: str) -> None:
        with suppress(CredentialsRefused, TokenUnavailable):
            await ask(url, Redaction(), attempts=3)

    with Api(token_answers=answers) as api:
        asyncio.run(go(api.url))
        assert len(api.token_requests) == requests


def settings(**api: object) -> ApiSettings:
    return config_from({"api": {"base_url": "http://127.0.0.1:1", **api}}, {}).api


def test_every_secret_is_fetched_before_anything_is_sent() -> None:
    """Token and headers by reference, unless they were fetched a moment ago; the first that is missing is named."""
    api = settings(token="env:TOKEN", headers={"X-Key": "env:KEY", "X-Tenant": "bc-7"})
    variables = {"TOKEN": "canary-token", "KEY": "canary-key"}
    fetched = fetch_credentials(api, NEXUS, Environment(variables))
    assert fetched.token == Secret("canary-token")
    assert fetched.headers == {"X-Key": Secret("canary-key"), "X-Tenant": Secret("bc-7")}
    known = {"api.token": Secret("from before")}
    assert fetch_credentials(api, NEXUS, Environment({"KEY": "canary-key"}), known).token == Secret("from before")
    with pytest.raises(CredentialsError, match="KEY"):
        fetch_credentials(api, NEXUS, Environment({"TOKEN": "canary-token"}))


@pytest.mark.parametrize(
    ("header", "value", "is_secret"),
    [
        ("X-Api-Key", "k-47110815", True),
        ("Ocp-Apim-Subscription", "0123456789abcdef", True),
        ("X-Session-Token", "4711-0815", True),
        ("X-Tenant", "bc-7", False),
        ("X-Comment", "sent by the operations team", False),
    ],
)
def test_a_header_that_is_a_key_by_name_or_look_is_redacted(header: str, value: str, *, is_secret: bool) -> None:
    """Written out in the configuration it is a secret like any other; a tenant or a comment is none."""
    redaction = Redaction()
    remember_written(settings(headers={header: value}), redaction)
    assert (value not in redaction.text(f"said {value} there")) is is_secret
