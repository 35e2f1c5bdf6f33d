"""How requests are authenticated: what goes out, what is said about a refusal, and that no secret stays behind."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from batch_updater.config.secret_shape import secret_problem
from tests.end_to_end.program import batch_updater
from tests.end_to_end.records_api import RecordsApi, describe, status
from tests.end_to_end.test_secrets import assert_in_no_form

if TYPE_CHECKING:
    from tests.end_to_end.program import Done

pytestmark = pytest.mark.usefixtures("store")

PASSWORD = "p+w/0=&47:11 x"
KEY = "k+0/9=&1%20-canary"
USER = "ops@example.com/token"


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass
class GuardedApi(RecordsApi):
    """Lets in those who have exactly this header or parameter; `echoes`: it repeats what it was sent, and refuses."""

    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None
    echoes: bool = False
    seen: list[tuple[dict[str, str], str]] = field(default_factory=list)
    """Headers and raw query of all requests."""

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((dict(request.headers), request.rel_url.raw_query_string))
        if self.echoes:
            said = f"You sent {self.seen[-1]}"
            match request.match_info["id"]:
                case "1":
                    return web.json_response({"message": said}, status=422)
                case "2":
                    return web.Response(status=500, text=said)
                case "3":
                    return web.json_response({"id": 3, "name": said, "amount": None, "since": None})
                case _:
                    return web.json_response({"message": said}, status=401)
        if self.header and request.headers.getall(self.header[0], []) != [self.header[1]]:
            return web.json_response({"message": "who are you?"}, status=401)
        if self.parameter and request.query.getall(self.parameter[0], []) != [self.parameter[1]]:
            return web.json_response({"message": "who are you?"}, status=401)
        return await super()._reply(request)


def prepare(folder: Path, api: RecordsApi, more: str, *, schemes: str = "", security: str = "", rows: int = 3) -> None:
    """Write description, configuration and file; `schemes` and `security` are YAML in flow style."""
    reference = describe(folder)
    path = folder / "items.yaml"
    text = path.read_text(encoding="utf-8")
    if schemes:
        text = (
            text.replace("components:\n", f"components:\n  securitySchemes: {schemes}\n") + f"\nsecurity: {security}\n"
        )
    path.write_text(text, encoding="utf-8")
    (folder / "config.yaml").write_text(
        f"api:\n  base_url: {api.url}\n  endpoint: '{reference}'\n{more}\nsending: {{rate_per_s: 500, attempts: 1}}\n",
        encoding="utf-8",
    )
    lines = ["itemId,name", *(f"{number},new {number}" for number in range(1, rows + 1))]
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8")


def run(folder: Path, *options: str) -> Done:
    return batch_updater("run", "rows.csv", "--json", *options, cwd=folder, PASSWORD=PASSWORD, KEY=KEY, NAME="AC-1")


@pytest.mark.parametrize(
    ("auth", "header", "parameter"),
    [
        (f"{{basic: {{user: {USER}, password: env:PASSWORD}}}}", ("Authorization", basic(USER, PASSWORD)), None),
        ("{basic: {user: env:NAME, password: env:PASSWORD}}", ("Authorization", basic("AC-1", PASSWORD)), None),
        ("{basic: {user: env:KEY}}", ("Authorization", basic(KEY, "")), None),
        ("{scheme: Token, token: env:KEY}", ("Authorization", f"Token {KEY}"), None),
        ("{scheme: Bot, token: env:KEY}", ("Authorization", f"Bot {KEY}"), None),
        ("{scheme: Token token=, token: env:KEY}", ("Authorization", f"Token token={KEY}"), None),
        ("{scheme: 'Token token=\"', token: env:KEY}", ("Authorization", f'Token token="{KEY}"'), None),
        ("{header: {name: X-Api-Key, value: env:KEY}}", ("X-Api-Key", KEY), None),
        ("{header: {name: Authorization, value: env:KEY}}", ("Authorization", KEY), None),
        ("{query: {name: api key, value: env:KEY}}", None, ("api key", KEY)),
    ],
)
def test_the_secret_goes_where_the_configuration_says(
    tmp_path: Path, auth: str, header: tuple[str, str] | None, parameter: tuple[str, str] | None
) -> None:
    """With readings and updates alike, exactly once, and in nothing that is kept."""
    with GuardedApi(header=header, parameter=parameter) as api:
        prepare(tmp_path, api, f"  auth: {auth}")
        done = run(tmp_path, "--compare")
        assert done.outcomes == {"updated": 3}, done.out + done.err
        assert sorted(api.methods) == ["GET"] * 3 + ["PUT"] * 3
        doctor = batch_updater(
            "doctor", "--record", "1", "--json", cwd=tmp_path, PASSWORD=PASSWORD, KEY=KEY, NAME="AC-1"
        )
    assert next(one for one in doctor.object["checks"] if one["check"] == "token")["status"] == "ok", doctor.out
    for secret in (PASSWORD, KEY):
        assert_in_no_form(tmp_path, done, secret)
        assert_in_no_form(tmp_path, doctor, secret)


@pytest.mark.parametrize(
    ("schemes", "security", "header", "parameter"),
    [
        ("{k: {type: apiKey, in: header, name: X-Key}}", "[{k: []}]", ("X-Key", KEY), None),
        ("{k: {type: apiKey, in: query, name: api_key}}", "[{k: []}]", None, ("api_key", KEY)),
        ("{k: {type: http, scheme: bot}}", "[{k: []}]", ("Authorization", f"bot {KEY}"), None),
        ("{k: {type: apiKey, in: header, name: Authorization}}", "[{k: []}]", ("Authorization", KEY), None),
        (
            "{k: {type: apiKey, in: query, name: api_key}, b: {type: http, scheme: bearer}}",
            "[{k: []}, {b: []}]",
            ("Authorization", f"Bearer {KEY}"),
            None,
        ),
        (
            "{k: {type: apiKey, in: header, name: X-Key}, t: {type: apiKey, in: header, name: X-Tenant}}",
            "[{t: [], k: []}]",
            ("X-Key", KEY),
            None,
        ),
        ("{c: {type: apiKey, in: cookie, name: session}}", "[{c: []}]", ("Authorization", f"Bearer {KEY}"), None),
        ("{}", "[]", ("Authorization", f"Bearer {KEY}"), None),
    ],
)
def test_a_token_goes_where_the_description_has_a_place_for_it(
    tmp_path: Path, schemes: str, security: str, header: tuple[str, str] | None, parameter: tuple[str, str] | None
) -> None:
    """Bearer wherever it is one of the ways, and where nothing else is known."""
    with GuardedApi(header=header, parameter=parameter) as api:
        prepare(tmp_path, api, "  token: env:KEY\n  headers: {X-Tenant: '7'}", schemes=schemes, security=security)
        assert run(tmp_path).outcomes == {"updated": 3}
    assert all(headers["X-Tenant"] == "7" for headers, _ in api.seen)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", ("no credentials are configured", "Set api.auth: {basic: {user: NAME, password: env:NAME}}")),
        ("  token: env:KEY", ("Check what api.token refers to", "asks for something else: api.auth: {basic:")),
        ("  auth: {basic: {user: me, password: env:PASSWORD}}", ("Check what api.auth.basic.password refers to",)),
        ("  auth: {query: {name: k, value: env:KEY}}", ("Check what api.auth.query.value", "api.auth: {basic:")),
    ],
)
def test_a_refusal_of_the_credentials_names_the_key(tmp_path: Path, more: str, words: tuple[str, ...]) -> None:
    """The run stops at the first 401, and says what the description asks for where that is something else."""
    with GuardedApi(header=("Authorization", "never")) as api:
        prepare(tmp_path, api, more, schemes="{u: {type: http, scheme: basic}}", security="[{u: []}]")
        done = run(tmp_path)
        assert (done.code, done.object["stopped"]) == (3, "credentials")
        assert len(api.seen) == 1
        said = " ".join(batch_updater("run", "rows.csv", cwd=tmp_path, PASSWORD=PASSWORD, KEY=KEY).out.split())
    for word in words:
        assert word in said


def test_a_token_that_the_description_does_not_take_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """By a note, for the API may take it all the same; what is said under api.auth is meant as it is."""
    schemes, security = "{u: {type: http, scheme: basic}}", "[{u: []}]"
    with GuardedApi() as api:
        for more, is_told in (("  token: env:KEY", True), ("  auth: {scheme: Bearer, token: env:KEY}", False)):
            prepare(tmp_path, api, more, schemes=schemes, security=security)
            checked = batch_updater("check", "rows.csv", "--json", "--results", f"{is_told}.xlsx", cwd=tmp_path)
            assert ("asks for something else: api.auth: {basic:" in str(checked.object["notes"])) is is_told
        assert api.seen == []


_KEY_IN_HEADER = "{k: {type: apiKey, in: header, name: X-Key}, b: {type: http, scheme: bearer}}"


@pytest.mark.parametrize(
    ("more", "security", "said"),
    [
        ("", "[{k: []}]", "No credentials are configured, and the description asks for some: set api.auth: {header:"),
        ("", "[{b: []}]", "asks for some: set api.token: env:NAME."),
        ("", "[{k: []}, {}]", ""),
        ("", "[]", ""),
        ("  headers: {X-KEY: env:KEY}", "[{k: []}]", ""),
        ("  auth: {basic: {user: me, password: env:PASSWORD}}", "[{k: []}, {}]", "password is sent in the header Auth"),
        ("  auth: {basic: {user: me, password: env:PASSWORD}}", "[{k: []}, {b: []}]", ""),
        ("  auth: {header: {name: X-Other, value: env:KEY}}", "[{k: []}]", ""),
    ],
)
def test_credentials_that_the_description_asks_for_are_named_beforehand(
    tmp_path: Path, more: str, security: str, said: str
) -> None:
    """By check, by the preview and by the doctor; not where none are needed, or a header beside them is enough."""
    with GuardedApi() as api:
        prepare(tmp_path, api, more, schemes=_KEY_IN_HEADER, security=security)
        checked = batch_updater("check", "rows.csv", "--json", cwd=tmp_path)
        notes = checked.object["notes"]
        assert said in " ".join(notes), notes
        assert any("escription asks for" in note for note in notes) is bool(said)
        preview = " ".join(batch_updater("run", "rows.csv", cwd=tmp_path, PASSWORD=PASSWORD, KEY=KEY).err.split())
        assert ("escription asks for" in preview) is bool(said), preview
        doctor = " ".join(batch_updater("doctor", cwd=tmp_path, PASSWORD=PASSWORD, KEY=KEY).out.split())
    assert ("escription asks for" in doctor) is bool(said), doctor


def test_a_run_that_is_forbidden_everything_names_the_key(tmp_path: Path) -> None:
    """403 may be about a record; of every row alike it is about the account."""
    with GuardedApi() as api:
        prepare(tmp_path, api, "  auth: {header: {name: X-Key, value: env:KEY}}")
        for number in (1, 2, 3):
            api.script["PUT", number].append(status(403))
        config = tmp_path / "config.yaml"
        text = config.read_text(encoding="utf-8").replace(
            "attempts: 1", "attempts: 1, concurrency: 1, stop_after_alike: 2"
        )
        config.write_text(text, encoding="utf-8")
        done = batch_updater("run", "rows.csv", cwd=tmp_path, KEY=KEY)
    assert done.code == 3
    assert "Check what api.auth.header.value refers to" in " ".join(done.out.split())


def test_another_user_is_another_account(tmp_path: Path) -> None:
    """What was done for one is not resumed for the other, and is for the same."""
    with GuardedApi(header=("Authorization", basic("a", PASSWORD))) as api:
        prepare(tmp_path, api, "  auth: {basic: {user: a, password: env:PASSWORD}}")
        assert run(tmp_path, "--limit", "1").outcomes == {"updated": 1, "not_sent": 2}
        path = tmp_path / "config.yaml"
        text = path.read_text(encoding="utf-8")
        api.header = ("Authorization", basic("b", PASSWORD))
        path.write_text(text.replace("user: a", "user: b"), encoding="utf-8")
        other = run(tmp_path, "--limit", "1")
        assert "the account (api.auth)" in other.err + json.dumps(other.object["notes"])
        api.header = ("Authorization", basic("a", PASSWORD))
        path.write_text(text, encoding="utf-8")
        assert run(tmp_path).outcomes == {"updated": 3}
    assert len(api.seen) == 4


_SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40)


@pytest.mark.one_process("a property with dozens of runs, each of which a worker would take a second for")
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(_SECRETS, st.sampled_from(["basic", "user", "header", "query", "scheme"]))
def test_no_secret_is_kept_whatever_the_service_repeats(secret: str, kind: str) -> None:
    """Nor in Base64 with the user's name, nor as it is written in a query: in log, database, workbook, page, output."""
    assume(secret_problem(secret, "api.token") is None and len(set(secret)) > 8)  # not one that is in any text
    auth = {
        "basic": "{basic: {user: ops@example.com, password: env:SECRET}}",
        "user": "{basic: {user: env:SECRET}}",
        "header": "{header: {name: X-Api-Key, value: env:SECRET}}",
        "query": "{query: {name: api_key, value: env:SECRET}}",
        "scheme": "{scheme: 'Token token=\"', token: env:SECRET}",
    }[kind]
    if kind == "user":
        assume(":" not in secret)
    together = {"basic": f"ops@example.com:{secret}", "user": f"{secret}:"}.get(kind, secret).encode()
    forms = (secret, quote(secret, safe=""), b64encode(together).decode())
    with TemporaryDirectory() as name, GuardedApi(echoes=True) as api:
        folder = Path(name)
        prepare(folder, api, f"  auth: {auth}", rows=5)
        done = batch_updater("run", "rows.csv", "--json", "--verbose", cwd=folder, SECRET=secret)
        assert done.object["stopped"] == "credentials"
        (made,) = (folder / "runs").glob("2*")
        explained = batch_updater("report", made, "--row", "2", cwd=folder, SECRET=secret)
        for form in forms:
            assert form not in done.out + done.err + explained.out + explained.err
            assert_in_no_form(folder, done, form)
        assert any(form in f"{headers}{query}" for headers, query in api.seen for form in forms)
