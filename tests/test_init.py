"""`init`: a configuration from options or from answers, explained by the example's own words."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from batch_updater.cli import wizard as init
from batch_updater.config.loading import load_config
from batch_updater.config.schema import Config
from batch_updater.errors import UsageError
from tests.end_to_end.program import batch_updater, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

URL = "https://nexus.example.org/prefix"
SECRET = "eyJhbGciOi.very-secret"
UNSEEN = "nothing is shown: "


def converse(cwd: Path, answers: Sequence[str], *arguments: str) -> tuple[int, str]:
    """Run `init` on a pseudo-terminal, answer each question in turn, and return the exit code and what was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "batch_updater", "init", *arguments]
    # Without a terminal of its own, so that what is typed unseen is read from the one that it is given.
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, asked = "", 0
    while True:
        try:
            shown += os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # the other side has closed: the command has ended
            break
        while asked < min(shown.count("\n> ") + shown.count(UNSEEN), len(answers)):
            os.write(ours, f"{answers[asked]}\n".encode())
            asked += 1
    os.close(ours)
    assert asked == len(answers), shown
    return process.wait(timeout=60), shown.replace("\r", "")


def said(path: Path) -> dict[str, dict[str, object]]:
    """Return what a configuration sets."""
    found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return {section: keys for section, keys in found.items() if keys}


def test_options_make_a_configuration(tmp_path: Path) -> None:
    """The file contains what was given and nothing else; it is private, and the next step is named."""
    done = batch_updater(
        "init", "nexus.yaml", "--base-url", URL, "--token", "command:pass show nexus/token", "--rate", "7.5",
        "--inbox", "in box", "--notify", "env:TELL", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    path = tmp_path / "nexus.yaml"
    assert said(path) == {
        "api": {"base_url": URL, "token": "command:pass show nexus/token"},
        "sending": {"rate_per_s": 7.5},
        "nightly": {"inbox": "in box", "notify": ["env:TELL"]},
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_config(path, {}).nightly.inbox == tmp_path / "in box"
    assert "batch-updater doctor --config nexus.yaml" in done.out
    assert "create the folder in box" in done.out


def test_client_credentials_by_options(tmp_path: Path) -> None:
    """OAuth's four keys are in a section of their own; what was not given is left out."""
    done = batch_updater(
        "init", "--base-url", URL, "--oauth-token-url", "https://login.example.org/t", "--client-id", 'a "b"',
        "--client-secret", "file:secret", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.object == {"schema": 1, "command": "init", "config": "config.yaml", "exit_code": 0}
    oauth = load_config(tmp_path / "config.yaml", {}).api.oauth
    assert oauth
    assert (oauth.client_id, str(oauth.client_secret)) == ('a "b"', f"file:{tmp_path}/secret")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), ("--base-url", "--token")),
        (("--token", "env:T"), ("--base-url",)),
        (("--base-url", URL), ("--token", "--oauth-token-url")),
        (("--base-url", URL, "--client-id", "me"), ("--oauth-token-url", "--client-secret")),
        (("--yes",), ("--base-url",)),
        (("--base-url", URL, "--token", "env:T", "--scope", "x"), ("--token",)),
        (("--base-url", "ftp://x", "--token", "env:T", "--rate", "0"), ("--base-url", "--rate")),
        (("--base-url", URL, "--token", "env:T", "--rate", "fast"), ("--rate",)),
        (("--base-url", URL, "--token", SECRET), ("--token", "never the secret itself")),
        (("--base-url", URL, "--token", "env:T", "--notify", f"tgram://{SECRET}"), ("--notify", "nightly.notify")),
    ],
)
def test_without_a_terminal_what_is_missing_or_wrong_is_named(
    tmp_path: Path, options: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """Exit 2, every option at fault, no value repeated, no file."""
    done = batch_updater("init", *options, cwd=tmp_path)
    assert done.code == 2
    for words in named:
        assert words in done.err
    assert SECRET not in done.err
    assert not list(tmp_path.iterdir())


def test_yes_takes_the_defaults(tmp_path: Path) -> None:
    """Only the address has none."""
    assert batch_updater("init", "--yes", "--base-url", URL, cwd=tmp_path).code == 0
    assert said(tmp_path / "config.yaml") == {"api": {"base_url": URL, "token": "env:NEXUS_TOKEN"}}


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    """Exit 2 at once, and the file is as it was; a link that leads nowhere is a file too."""
    (tmp_path / "config.yaml").write_text("mine", encoding="ascii")
    (tmp_path / "link.yaml").symlink_to("nowhere")
    for name in ("config.yaml", "link.yaml"):
        done = batch_updater("init", name, "--yes", "--base-url", URL, cwd=tmp_path)
        assert (done.code, "already exists" in done.err) == (2, True)
    assert (tmp_path / "config.yaml").read_text(encoding="ascii") == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """No folder is made on the way."""
    done = batch_updater("init", "no/config.yaml", "--yes", "--base-url", URL, cwd=tmp_path)
    assert (done.code, "no folder" in done.err) == (2, True)


def test_questions_on_a_terminal(tmp_path: Path) -> None:
    """Wrong answers are refused at once in the configuration's own words, empty ones take the default."""
    answers = ["", "http://elsewhere.example", URL, SECRET, "", "0", "", "n", "sure", "y", "", "tgram://x", "env:TELL"]
    code, shown = converse(tmp_path, answers)
    assert code == 0, shown
    assert said(tmp_path / "config.yaml") == {
        "api": {"base_url": URL, "token": "env:NEXUS_TOKEN"},
        "sending": {"rate_per_s": 20},
        "nightly": {"inbox": "inbox", "notify": ["env:TELL"]},
    }
    assert "! api.base_url must begin with https://" in shown
    assert "! api.token must say where the secret is kept" in shown
    assert "! sending.rate_per_s must be more than 0." in shown
    assert "! nightly.notify must say where" in shown
    assert shown.count(SECRET) == 1  # the terminal's own echo of what was typed
    assert "! Please answer y or n." in shown
    assert "Written: config.yaml" in shown
    assert "batch-updater nightly runs the files of the inbox" in shown
    assert not [line for line in shown.splitlines() if len(line) >= 80]


def test_client_credentials_by_questions(tmp_path: Path) -> None:
    """`oauth` in place of a reference leads to its four questions."""
    answers = [URL, "oauth", "https://login.example.org/t", "me", "", "read write", "50", "n", "n"]
    code, shown = converse(tmp_path, answers)
    assert code == 0, shown
    oauth = {"token_url": answers[2], "client_id": "me", "client_secret": "env:NEXUS_CLIENT_SECRET"}
    assert said(tmp_path / "config.yaml") == {
        "api": {"base_url": URL, "oauth": {**oauth, "scope": "read write"}},
        "sending": {"rate_per_s": 50},
    }


def test_what_an_option_says_is_not_asked(tmp_path: Path) -> None:
    """Options and questions go together."""
    code, shown = converse(tmp_path, ["n", "n"], "--base-url", URL, "--token", "env:T", "--rate", "5")
    assert code == 0, shown
    assert said(tmp_path / "config.yaml")["sending"] == {"rate_per_s": 5}


def test_answers_that_end_write_nothing(tmp_path: Path) -> None:
    """Ctrl-D is an end, not an answer."""
    code, shown = converse(tmp_path, [URL, "\x04"])
    assert (code, "nothing was written" in shown) == (2, True)
    assert not list(tmp_path.iterdir())


def test_the_file_holds_every_explanation_of_the_example(tmp_path: Path) -> None:
    """Every key appears once, chosen or behind a #, under the example's own words."""
    path = tmp_path / "config.yaml"
    init.write(path, init.Answers({"api.base_url": URL, "api.token": "env:T"}))
    written, example = path.read_text(encoding="utf-8"), init.example()
    for line in example.partition("\n\n")[2].splitlines():
        bare = re.sub(r"^  (# )?", "", line)
        if not bare.startswith(("base_url", "token:")):
            assert bare in written
    for section, field in Config.model_fields.items():
        block = re.search(rf"(?ms)^{section}:\n(.*?)(?=^\S|\Z)", written)
        assert block
        for key in field.annotation.model_fields:  # type: ignore[union-attr]
            assert len(re.findall(rf"(?m)^  (?:# )?{key}:", block[1])) == 1, key
    assert "Copy this file" not in written


@pytest.mark.parametrize("text", ["no", "1.5", "a: b", "a #b", "'x", '"', "ü ñ", "{x}", "~", ".inf", "back\\slash"])
def test_any_text_comes_back_as_it_was_answered(tmp_path: Path, text: str) -> None:
    """Whatever YAML would read otherwise is quoted."""
    path = tmp_path / "config.yaml"
    init.write(path, init.Answers({"api.base_url": URL, "api.token": "env:T", "nightly.inbox": text}))
    assert said(path)["nightly"] == {"inbox": text}


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    """Between the first question and the last another program may have made it."""
    path = tmp_path / "config.yaml"
    path.touch()
    with pytest.raises(UsageError):
        init.write(path, init.Answers({"api.base_url": URL}))
    assert path.read_bytes() == b""


def test_an_empty_answer_to_a_needed_question_asks_again() -> None:
    """There is no default for the address."""
    answers, screen = init.Answers({"api.token": "env:T"}), io.StringIO()
    init.ask(answers, Path("config.yaml"), io.StringIO(f"\n\n{URL}\n\nn\nn\n"), screen)
    assert answers.texts["api.base_url"] == URL
    assert screen.getvalue().count("What is the address of the API") == 3


def test_the_example_is_packaged() -> None:
    """The wheel holds what init is made of."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{init.EXAMPLE}" = "batch_updater/{init.EXAMPLE}"' in text


def test_a_pasted_token_is_kept_in_a_private_file(tmp_path: Path) -> None:
    """It is not shown while it is typed, an unfit one is asked for again, and the configuration refers to the file."""
    code, shown = converse(tmp_path, [URL, "paste", f"Bearer {SECRET}", "paste", SECRET, "", "y", "n"], "nexus.yaml")
    assert code == 0, shown
    assert SECRET not in shown
    assert "! What was pasted begins with the word that goes before a token" in shown
    assert "Secret:  nexus.token, which only you may read" in shown
    assert said(tmp_path / "nexus.yaml") == {
        "api": {"base_url": URL, "token": "file:nexus.token"},
        "sending": {"rate_per_s": 20, "compare": True},
    }
    path = tmp_path / "nexus.token"
    assert (path.read_text(encoding="ascii"), path.stat().st_mode & 0o777) == (f"{SECRET}\n", 0o600)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["nexus.token", "nexus.yaml"]
    assert SECRET not in (tmp_path / "nexus.yaml").read_text(encoding="utf-8")


def test_a_file_with_a_token_is_replaced_only_if_a_person_says_so(tmp_path: Path) -> None:
    """No asks again where the token is kept; yes replaces it, once everything else is answered."""
    path = tmp_path / "config.token"
    path.write_text("mine", encoding="ascii")
    code, shown = converse(tmp_path, [URL, "paste", "n", "env:T", "", "n", "n"])
    assert (code, path.read_text(encoding="ascii")) == (0, "mine"), shown
    (tmp_path / "config.yaml").unlink()
    code, shown = converse(tmp_path, [URL, "paste", "y", SECRET, "\x04"])
    assert (code, path.read_text(encoding="ascii")) == (2, "mine"), shown
    code, shown = converse(tmp_path, [URL, "paste", "y", SECRET, "", "n", "n"])
    assert (code, path.read_text(encoding="ascii")) == (0, f"{SECRET}\n"), shown


def test_a_secret_of_a_client_can_be_pasted_too(tmp_path: Path) -> None:
    """Into a file of its own."""
    code, shown = converse(
        tmp_path, [URL, "oauth", "https://login.example.org/t", "me", "paste", SECRET, "", "", "n", "n"], "a.secret"
    )
    assert code == 0, shown
    oauth = load_config(tmp_path / "a.secret", {}).api.oauth
    assert oauth
    assert str(oauth.client_secret) == f"file:{tmp_path}/a.secret.secret"
    assert (tmp_path / "a.secret.secret").read_text(encoding="ascii") == f"{SECRET}\n"


@pytest.mark.parametrize("name", ["prod.token", "nexus.prod"])
def test_a_configuration_of_any_name_keeps_what_was_pasted_in_another_file(tmp_path: Path, name: str) -> None:
    """Both are there afterwards, and each holds its own."""
    code, shown = converse(tmp_path, [URL, "paste", SECRET, "", "n", "n"], name)
    assert code == 0, shown
    token = load_config(tmp_path / name, {}).api.token
    assert str(token) == f"file:{tmp_path}/{name}.token"
    assert (tmp_path / f"{name}.token").read_text(encoding="ascii") == f"{SECRET}\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("nexus.example.org/prefix", URL),
        ("nexus.example.org/prefix/api/v2/", URL),
        (f"{URL}/api/v2", URL),
        (f"{URL}/api\nn", URL),
        (f"{URL}/api\ny", f"{URL}/api"),
        ("nexus.example.org/prefix/api\n\ny", f"{URL}/api"),
        (f"{URL}?code=1", URL),
    ],
)
def test_an_address_that_was_meant_is_offered(typed: str, offered: str, tmp_path: Path) -> None:
    """After a wrong one an empty answer takes the right one; one that may be right is taken if a person insists."""
    answers, screen = init.Answers({"api.token": "env:T"}), io.StringIO()
    init.ask(answers, tmp_path / "config.yaml", io.StringIO(f"{typed}\n\n\nn\nn\n\n"), screen)
    assert answers.texts["api.base_url"] == offered
    assert "  ! api.base_url" in screen.getvalue()


def test_how_a_token_is_set_is_told_for_every_system(tmp_path: Path) -> None:
    """A shell, cmd, PowerShell, and a scheduled task; by init and by doctor."""
    made = batch_updater("init", "--yes", "--base-url", "http://127.0.0.1:9", cwd=tmp_path)
    examined = batch_updater("doctor", cwd=tmp_path, NEXUS_TOKEN="")
    for done in (made, examined):
        for way in ("export NEXUS_TOKEN='...'", "set NEXUS_TOKEN=...", "$env:NEXUS_TOKEN = '...'", "token: file:PATH"):
            assert way in done.out


def test_compare_by_an_option(tmp_path: Path) -> None:
    """Without a terminal `--compare` answers that question."""
    assert batch_updater("init", "--yes", "--base-url", URL, "--compare", cwd=tmp_path).code == 0
    assert load_config(tmp_path / "config.yaml", {}).sending.compare


_DESCRIBED = """\
openapi: 3.0.3
info: {title: The Desk API, version: "1"}
servers: [{url: "SERVER"}]
components:
  securitySchemes:
    basic: {type: http, scheme: basic}
    bearer: {type: http, scheme: bearer}
    bot: {type: http, scheme: Bot}
    client: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://login.desk.io/t", scopes: {w: write}}}}
    query: {type: apiKey, in: query, name: api_key}
    header: {type: apiKey, in: header, name: X-Api-Key}
    app: {type: apiKey, in: header, name: X-App}
paths:
  /tickets/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
      - {name: X-Tenant, in: header, required: TENANT, schema: {type: string}}
    patch:
      operationId: update
      security: SECURITY
      requestBody: {content: {application/json: {schema: {type: object, properties: {status: {type: string}}}}}}
      responses: {"204": {description: done}}
"""


def describe(folder: Path, security: str, server: str = "https://api.desk.io/v1", *, tenant: bool = False) -> None:
    text = _DESCRIBED.replace("SECURITY", security).replace("SERVER", server).replace("TENANT", str(tenant).lower())
    (folder / "desk.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("security", "answers", "api"),
    [
        (
            "[{basic: []}]",
            ["ops@desk.io/token", ""],
            {"auth": {"basic": {"user": "ops@desk.io/token", "password": "env:DESK_PASSWORD"}}},
        ),
        ("[{basic: []}]", ["env:KEY", ""], {"auth": {"basic": {"user": "env:KEY"}}}),
        ("[{bearer: []}]", [""], {"token": "env:DESK_TOKEN"}),
        ("[{query: []}]", [""], {"token": "env:DESK_TOKEN"}),
        (
            "[{query: []}, {bearer: []}]",
            ["maybe", "", "env:K"],
            {"auth": {"query": {"name": "api_key", "value": "env:K"}}},
        ),
        ("[{query: []}, {bearer: []}]", ["token", "env:T"], {"token": "env:T"}),
        ("[{bot: []}, {bearer: []}]", ["Bot", "env:B"], {"auth": {"scheme": "Bot", "token": "env:B"}}),
        (
            "[{header: [], app: []}]",
            ["", "literal", ""],
            {"token": "env:DESK_TOKEN", "headers": {"X-App": "env:DESK_KEY"}},
        ),
        (
            "[{client: [w]}]",
            ["oauth", "", "me", "", ""],
            {
                "oauth": {
                    "token_url": "https://login.desk.io/t",
                    "client_id": "me",
                    "client_secret": "env:DESK_CLIENT_SECRET",
                    "scope": "w",
                }
            },
        ),
    ],
)
def test_a_description_decides_what_is_asked(
    tmp_path: Path, security: str, answers: list[str], api: dict[str, object]
) -> None:
    """Its address is proposed; only what this API needs is asked for, and not whether to read where nothing can be."""
    describe(tmp_path, security)
    code, shown = converse(tmp_path, ["", *answers, "", "n"], "--endpoint", "desk.yaml#update")
    assert code == 0, shown
    written = said(tmp_path / "config.yaml")
    assert written == {
        "api": {"endpoint": "desk.yaml#update", "base_url": "https://api.desk.io/v1", **api},
        "sending": {"rate_per_s": 20},
    }
    for reference in re.findall(r"env:(\w+)", str(written)):
        assert f"export {reference}='...'" in shown


def test_a_secret_of_any_kind_can_be_pasted(tmp_path: Path) -> None:
    """It is in no configuration."""
    describe(tmp_path, "[{basic: []}]")
    code, shown = converse(tmp_path, ["", "me", "paste", SECRET, "", "n"], "--endpoint", "desk.yaml#update")
    assert code == 0, shown
    assert SECRET not in shown + (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert (tmp_path / "config.password").read_text(encoding="ascii") == f"{SECRET}\n"


def test_an_address_with_blanks_to_fill_in_is_shown_and_not_proposed(tmp_path: Path) -> None:
    """An empty answer asks again; a header that every request needs may be the same for every row."""
    describe(tmp_path, "[]", "https://{shop}.desk.io", tenant=True)
    answers = ["", "https://mine.desk.io", "", "7", "", "n"]
    code, shown = converse(tmp_path, answers, "--endpoint", "desk.yaml#update")
    assert code == 0, shown
    assert shown.count("https://{shop}.desk.io") == 2
    assert said(tmp_path / "config.yaml")["api"] == {
        "endpoint": "desk.yaml#update", "base_url": "https://mine.desk.io", "token": "env:DESK_TOKEN",
        "headers": {"X-Tenant": "7"},
    }  # fmt: skip


def test_a_description_by_options(tmp_path: Path) -> None:
    """The document is named from the configuration's folder; what the description needs are the options that count."""
    describe(tmp_path, "[{basic: []}]")
    (tmp_path / "set").mkdir()
    missing = batch_updater("init", "--endpoint", "desk.yaml#update", cwd=tmp_path)
    assert (missing.code, "--base-url, --user, --password" in missing.err) == (2, True), missing.err
    done = batch_updater(
        "init", "set/config.yaml", "--endpoint", "desk.yaml#update", "--user", "me", "--yes", cwd=tmp_path
    )
    assert done.code == 0, done.err
    config = load_config(tmp_path / "set" / "config.yaml", {})
    assert (config.api.base_url, config.api.auth and config.api.auth.shown) == (
        "https://api.desk.io/v1", "basic, user me, password env:DESK_PASSWORD",
    )  # fmt: skip
    assert batch_updater("template", "t.csv", "--config", "set/config.yaml", cwd=tmp_path).code == 0
    both = batch_updater("init", "--yes", "--base-url", URL, "--token", "env:T", "--user", "me", cwd=tmp_path)
    assert (both.code, "exclude each other" in both.err) == (2, True)
    for reference, words in (("none.yaml#x", "does not exist"), ("desk.yaml#updat", "Did you mean 'update'?")):
        gone = batch_updater("init", "--endpoint", reference, "--yes", cwd=tmp_path)
        assert (gone.code, words in gone.err) == (2, True), gone.err


_ASKED = ("asked.yaml", "--endpoint", "desk.yaml#update")


@pytest.mark.parametrize(
    ("security", "api"),
    [
        ("[{query: []}, {bearer: []}]", {"auth": {"query": {"name": "api_key", "value": "env:DESK_KEY"}}}),
        ("[{bearer: []}, {basic: []}]", {"token": "env:DESK_TOKEN"}),
        ("[{bot: []}, {bearer: []}]", {"auth": {"scheme": "Bot", "token": "env:DESK_TOKEN"}}),
        ("[{header: [], app: []}]", {"token": "env:DESK_TOKEN", "headers": {"X-App": "env:DESK_KEY"}}),
    ],
)
def test_without_a_terminal_credentials_are_those_that_are_proposed_on_one(
    tmp_path: Path, security: str, api: dict[str, object]
) -> None:
    """The first way that the description has, with the same names."""
    describe(tmp_path, security)
    done = batch_updater("init", "unasked.yaml", "--yes", "--endpoint", "desk.yaml#update", cwd=tmp_path)
    assert done.code == 0, done.err
    code, shown = converse(tmp_path, [""] * 5, *_ASKED)
    assert code == 0, shown
    asked, unasked = (said(tmp_path / name)["api"] for name in ("asked.yaml", "unasked.yaml"))
    assert asked == unasked == {"endpoint": "desk.yaml#update", "base_url": "https://api.desk.io/v1", **api}


@pytest.mark.parametrize("security", ["[{basic: []}, {client: [w]}]", "[{basic: []}, {bearer: []}, {basic: []}]"])
def test_a_user_is_asked_for_where_the_description_has_it_first(tmp_path: Path, security: str) -> None:
    """As on a terminal; a token that is given counts, and so does OAuth."""
    describe(tmp_path, security)
    code, shown = converse(tmp_path, ["", "", "me", "", "", "n"], *_ASKED)
    assert code == 0, shown
    options = ("init", "unasked.yaml", "--yes", "--endpoint", "desk.yaml#update")
    missing = batch_updater(*options, cwd=tmp_path)
    assert (missing.code, "needed: --user (or --token instead" in missing.err) == (2, True), missing.err
    done = batch_updater(*options, "--user", "me", cwd=tmp_path)
    assert done.code == 0, done.err
    assert said(tmp_path / "unasked.yaml")["api"] == said(tmp_path / "asked.yaml")["api"]
    assert batch_updater("init", "token.yaml", *options[2:], "--token", "env:T", cwd=tmp_path).code == 0
    assert said(tmp_path / "token.yaml")["api"]["token"] == "env:T"
