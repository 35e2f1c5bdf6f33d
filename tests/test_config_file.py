"""The configuration: what it may contain, and the message for every mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import Config, OAuthSettings, settings_of
from batch_updater.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXAMPLE = Path(__file__).parent.parent / "config.example.yaml"


def load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {})


def faults(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ)
    assert caught.value.remedy
    return [line.replace(f"{tmp_path}/", "") for line in caught.value.message.splitlines()]


def every_key() -> Iterator[tuple[str, str]]:
    for section, field in Config.model_fields.items():
        for key in field.annotation.model_fields:  # type: ignore[union-attr]
            yield section, key


def test_the_example_names_every_key_with_its_default() -> None:
    """config.example.yaml holds every key, set or commented out; what it sets is the default but for the account."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for section, key in every_key():
        block = re.search(rf"(?ms)^{section}:\n(.*?)(?=^\S|\Z)", text)
        assert block, section
        assert re.search(rf"(?m)^  (# )?{key}:", block[1]), f"{section}.{key}"
    for key in OAuthSettings.model_fields:
        assert re.search(rf"(?m)^  #   {key}:", text), key
    shown, default = load_config(EXAMPLE, {}), config_from({}, {})
    for section, key in every_key():
        if (section, key) not in {("api", "base_url"), ("api", "token"), ("results", "folder")}:
            assert getattr(getattr(shown, section), key) == getattr(getattr(default, section), key), f"{section}.{key}"
    assert shown.results.folder == EXAMPLE.parent / "runs"


def test_the_example_stays_true_with_its_commented_keys(tmp_path: Path) -> None:
    """Every commented key can be switched on as it is written."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for line in re.findall(r"(?m)^  # ([a-z_]+: .+)$", text):
        key = line.partition(":")[0]
        section = next(name for name, known in every_key() if known == key)
        load(tmp_path, f"{section}:\n  {line}\n")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """Nothing configured is the default everywhere, with paths from the file's folder."""
    config = load(tmp_path, "")
    assert config.sending.rate_per_s == 20
    assert config.results.folder == tmp_path / "runs"
    assert load(tmp_path, "sending:\n") == config


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    """A variable overrides the file, a key of oauth too, and lists are written as YAML writes them."""
    environ = {
        "BATCH_UPDATER_SENDING__RATE_PER_S": "7.5",
        "BATCH_UPDATER_INPUT__COLUMNS": "{Owner: null, Deal: StageName}",
        "BATCH_UPDATER_API__OAUTH__SCOPE": "read write",
        "PATH": "/bin",
    }
    oauth = "{token_url: 'https://x.example/t', client_id: me, client_secret: 'env:S', scope: old}"
    text = f"sending: {{rate_per_s: 5, burst: 3}}\napi:\n  oauth: {oauth}\n"
    config = load(tmp_path, text, environ)
    assert (config.sending.rate_per_s, config.sending.burst) == (7.5, 3)
    assert config.input.columns == {"Owner": None, "Deal": "StageName"}
    assert config.api.oauth
    assert (config.api.oauth.client_id, config.api.oauth.scope) == ("me", "read write")


def test_all_faults_are_reported_together_with_their_lines(tmp_path: Path) -> None:
    """One error names every fault, each with its line, in plain words and with the nearest known name."""
    text = (
        "api:\n  base_url: ftp://x\n  timout_s: 3\n"
        "sending:\n  rate_per_s: true\n  burst: -1\n  attempts: 2.5\n"
        "sendng: {}\n"
    )
    assert faults(tmp_path, text, {"BATCH_UPDATER_API__TOKN": "x"}) == [
        "The variable BATCH_UPDATER_API__TOKN is not known. Did you mean BATCH_UPDATER_API__TOKEN?",
        "config.yaml, line 2: api.base_url must be an address such as https://host/prefix.",
        "config.yaml, line 3: api.timout_s is not a key. Did you mean timeout_s?",
        "config.yaml, line 5: sending.rate_per_s must be a number.",
        "config.yaml, line 6: sending.burst must be at least 0.",
        "config.yaml, line 7: sending.attempts must be a whole number.",
        "config.yaml, line 8: sendng is not a key. Did you mean sending?",
    ]


def test_a_doubled_key_is_a_fault(tmp_path: Path) -> None:
    """The second of two equal keys would silently win: it is named with its line."""
    assert faults(tmp_path, "sending:\n  burst: 1\n  burst: 2\n") == [
        "config.yaml, line 3: sending.burst appears a second time. Remove one of the two."
    ]


@pytest.mark.parametrize(
    "text", ["? api:\n  token: env:T", "input: {columns: {? [canary] : a, ? [canary] : b}}", "a: {{b: 1}: 1}"]
)
def test_a_key_that_is_no_word_is_a_fault(tmp_path: Path, text: str) -> None:
    """A question mark makes a key of a section or of a list."""
    (fault, *_) = faults(tmp_path, text)
    assert fault.startswith("config.yaml, line 1: a list or a section cannot be a key. ")
    assert "canary" not in fault


@pytest.mark.parametrize("value", ["[", "[\udc80]", "[" * 300 + "]" * 300, "[!!int x, *x]"])
def test_a_variable_that_cannot_be_read_is_a_fault(tmp_path: Path, value: str) -> None:
    """It is named, whatever it holds."""
    (fault,) = faults(tmp_path, "", {"BATCH_UPDATER_NIGHTLY__PATTERNS": value})
    assert fault.startswith("The variable BATCH_UPDATER_NIGHTLY__PATTERNS: ")


@pytest.mark.parametrize("text", ["a: [", "\tx: 1", "- 1", "just text", "a: &x [1]\nb: [" + "*x, " * 60000 + "]"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    """Broken YAML, a list, plain text or an alias bomb is one sentence that names the file."""
    assert "config.yaml" in faults(tmp_path, text)[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://nexus.example.com",
        "https://user:pw@nexus.example.com",
        "https://nexus.example.com/a/../b",
        "https://nexus.example.com/?x=1",
        "https://nexus.example.com/#x",
        "https://",
        "nexus.example.com",
        "https://nexus.example.com\\@evil.example",
        "https://a b",
        "http://127.0.0.1.evil.example",
        "https://x:99999999",
    ],
)
def test_a_base_url_that_could_lead_elsewhere_is_refused(tmp_path: Path, url: str) -> None:
    """Only https, or http to this machine, without user, query, fragment or dot segments."""
    assert "api.base_url must" in faults(tmp_path, f"api: {{base_url: '{url}'}}")[0]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:9", "https://a.example/p"]
)
def test_a_good_base_url_loses_its_last_slash(tmp_path: Path, url: str) -> None:
    """Plain http is for loopback; a prefix stays."""
    assert load(tmp_path, f"api: {{base_url: '{url}/'}}").api.base_url == url


@pytest.mark.parametrize(
    "key", ["token: canary-token", "oauth: {token_url: 'https://x.example', client_id: a, client_secret: canary-token}"]
)
def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    """A secret in the file is refused with advice, and does not appear in the message."""
    (message,) = faults(tmp_path, f"api:\n  {key}\n")
    assert "env:NAME, file:PATH or command:PROGRAM" in message
    assert "canary" not in message


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """What a workbook says of the configuration holds references, and neither passwords nor header values."""
    text = "api: {token: 'env:T', proxy: 'http://me:canary@proxy:80', headers: {X-Key: canary, X-Other: 'env:K'}}"
    shown = {setting.name: setting.value for setting in settings_of(load(tmp_path, text))}
    assert shown["api.token"] == "env:T"
    nightly = load(tmp_path, "nightly: {notify: ['json://canary', 'env:N'], health_check: 'https://x.example/canary'}")
    told = {setting.name: setting.value for setting in settings_of(nightly)}
    assert (told["nightly.notify"], told["nightly.health_check"]) == ("***, env:N", "***")
    assert shown["api.headers"] == "X-Key: ***, X-Other: env:K"
    assert "canary" not in str(shown)
    assert set(shown) == {f"{section}.{key}" for section, key in every_key()}


@pytest.mark.parametrize("headers", ["", "5", "[X-Key, a]", "{5: a, X-Note: 6}"])
def test_headers_that_are_no_list_of_pairs_are_refused(tmp_path: Path, headers: str) -> None:
    """A section without an entry, a number or a list in its place is told like any other problem."""
    assert "api.headers" in faults(tmp_path, f"api:\n  headers: {headers}")[0]


@pytest.mark.parametrize("header", ["Authorization: x", "host: x", "'X Y': z", 'X: "a\\nb"', "Content-Length: '1'"])
def test_headers_that_are_not_ours_to_change_are_refused(tmp_path: Path, header: str) -> None:
    """Authorization, Host and the like belong to the program; names and values are single words and lines."""
    assert "api.headers" in faults(tmp_path, f"api: {{headers: {{{header}}}}}")[0]


@pytest.mark.parametrize(
    ("value", "rows", "limit"),
    [("3", 100, 3), ('"10%"', 250, 25), ('"1%"', 20, 1), ('"29%"', 100, 29), ("null", 9, None)],
)
def test_stop_after_failures_is_a_number_or_a_share(tmp_path: Path, value: str, rows: int, limit: int | None) -> None:
    """A share is of all rows, and at least one."""
    assert load(tmp_path, f"sending: {{stop_after_failures: {value}}}").sending.failures_allowed(rows) == limit


@pytest.mark.parametrize("value", ["0", "-1", '"0%"', '"101%"', "many", "true", "1.5"])
def test_another_stop_after_failures_is_refused(tmp_path: Path, value: str) -> None:
    """Nothing else is a number or a share of rows."""
    assert "stop_after_failures" in faults(tmp_path, f"sending: {{stop_after_failures: {value}}}")[0]


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    """Paths in the file, those of secrets and descriptions too, are relative to its folder."""
    text = "api: {token: 'file:secrets/t', ca_file: ca.pem, endpoint: 'x/api.yaml#put'}\nresults: {folder: out}"
    config = load(tmp_path, text)
    assert config.api.token
    assert config.api.token.location == str(tmp_path / "secrets" / "t")
    assert (config.api.ca_file, config.results.folder) == (tmp_path / "ca.pem", tmp_path / "out")
    assert config.api.endpoint == f"{tmp_path}/x/api.yaml#put"


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "EST5EDT"])
def test_a_time_zone_is_named_as_the_iana_names_it(tmp_path: Path, name: str) -> None:
    """What zoneinfo has under the name is taken."""
    assert load(tmp_path, f"input: {{time_zone: {name}}}").input.time_zone == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "; write Europe/Berlin"),
        ("europe/berlin", "; write Europe/Berlin"),
        ("Europe", ""),
        ("../../etc/hosts", ""),
        ("localtime", ""),
        ("right/Europe/Berlin", "; write Europe/Berlin"),
        ("'+02:00'", ""),
        ("''", ""),
        (f"Europe/{'x' * 300}", ""),
    ],
)
def test_a_time_zone_that_is_none_is_told_with_the_nearest(tmp_path: Path, name: str, hint: str) -> None:
    """A file of the system, a folder or an offset is no zone; the name that was probably meant is told."""
    what = f"must be a name of the IANA's time zone database, such as Europe/Berlin{hint}"
    found = faults(tmp_path, f"input:\n  time_zone: {name}")
    assert found == [f"config.yaml, line 2: input.time_zone {what}."]


def test_a_list_separator_is_a_text_that_is_not_empty(tmp_path: Path) -> None:
    """It may be of several characters."""
    assert load(tmp_path, 'input: {list_separator: " | "}').input.list_separator == " | "
    assert faults(tmp_path, 'input: {list_separator: ""}') == [
        "config.yaml, line 1: input.list_separator must not be empty."
    ]


def test_a_home_folder_of_no_user_is_refused(tmp_path: Path) -> None:
    r"""As where `~C:\runs` was typed."""
    with pytest.raises(ConfigError, match=r"results\.folder begins with ~ and the name of no user of this machine"):
        load(tmp_path, "results: {folder: '~C:\\runs'}\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """--config with a wrong name is one sentence with the name."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        load_config(tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('results:\n  folder: "C:\\Users\\me\\runs"', 2, "without quotation marks, or with /"),
        ('results:\n  folder: "C:\\data"', 2, "without quotation marks, or with /"),
        ('results:\n  folder: "C:\\runs\\"\n  keep_days: 3', 2, "without quotation marks, or with /"),
        ('results:\n  folder: "C:\\new\\temp"', 2, "without quotation marks, or with /"),
        ('api:\n  token: "file:C:\\temp\\new"', 2, "without quotation marks, or with /"),
        ("api:\n\tbase_url: https://canary.example", 2, "tab"),
        ("api:\n  base_url:\thttps://canary.example", 2, "tab"),
        ("api:\n  base_url: https://canary.example\n\ttoken: env:T", 3, "tab"),
        ("api:\n  base_url:https://canary.example\n  token: env:T", 2, "Write base_url: and then a blank"),
        ("api:\n  token:canary", 2, "Write token: and then a blank"),
        ("api:\n  base_url: https://canary.example\n  token:canary\nsending:\n  burst: 1", 3, "Write token: and"),
        ('api:\n  base_url: "https://canary.example\n  token: env:T', 2, "is never closed"),
        ('api:\n  base_url: "https://canary.example\n  token: "env:T"', 2, "is never closed"),
        ("input:\n  sheet: 'Meyer's canary'", 2, "the whole value"),
        ("api:\n  token: \u201cenv:canary\u201d", 2, "typographic"),
        ("input:\n  columns: {\u201cDeal: canary\u201d: StageName}", 2, "typographic"),
        ("nightly:\n  notify: [\u2018env:canary\u2019]", 2, "typographic"),
        ("api:\n  base_url: https://canary.example\n    token: env:T", 3, "further than the one before"),
        ("api:\n    base_url: https://canary.example\n  token: env:T", 3, "same column"),
        (" api:\n  base_url: https://canary.example\nsending:\n  burst: 1", 1, "first column"),
        ("api:\n\u00a0\u00a0base_url: https://canary.example", 2, "blanks of another kind"),
        ("api:\n  token: env: canary", 2, "without a blank between"),
        ("api:\n  token: %canary%", 2, "single quotation marks"),
        ("nightly:\n  patterns: [*.csv]", 2, "single quotation marks"),
        ("nightly:\n  patterns:\n    - *.csv", 3, "single quotation marks"),
        ("input:\n  sheet: Sales: canary", 2, "single quotation marks"),
        ("api:\n  base_url = https://canary.example\n  token: env:T", 2, "Write base_url: and"),
        ("api\n  base_url: https://canary.example", 1, "Write api: with a colon"),
        ("sending: {rate_per_s: 5\ninput: {}", 1, "Write } at its end"),
        ("nightly:\n  notify: [env:canary\n  inbox: in", 2, "Write ] at its end"),
        ("api:\n  - base_url: https://canary.example", 2, "without a dash"),
        ("api\uff1a\n  base_url\uff1a https://canary.example", 1, "Write api: and"),
        ("api:\n  base_url: https://canary.example\x00", 2, "characters"),
        ("---\napi: {}\n---\nsending: {}", 3, "Remove the line"),
    ],
)
def test_a_slip_of_yaml_is_told_with_what_to_write(tmp_path: Path, text: str, line: int, words: str) -> None:
    """The line of the slip, not the one where YAML gives up; what to write there, and no value, which may be secret."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text + "\n")
    said = f"{caught.value.message} {caught.value.remedy}"
    assert f"config.yaml, line {line}: " in said
    assert words in said
    assert "canary" not in said.replace(str(tmp_path), "")
    assert "hexdecimal" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("api:\nbase_url: https://x.example\n", "line 2: base_url belongs under api:, indented by 2 blanks."),
        (
            "api:\n  oauth:\n  token_url: https://x.example\n",
            "line 3: api.token_url belongs under oauth: in api:, indented",
        ),
        ("sending:\n  token: canary\n", "line 2: sending.token belongs under api:, indented by 2 blanks."),
        ("base-url: https://x.example\n", "line 1: base_url belongs under api:, indented by 2 blanks."),
        ("nightly:\n  notify:\n    -env:X\n", "line 2: nightly.notify must be a list: [first, second], or lines"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_where_it_belongs(tmp_path: Path, text: str, words: str) -> None:
    """As when the keys of a section are not indented."""
    assert words in faults(tmp_path, text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "results:\n  folder: 'C:\\new\\temp'",
        'results:\n  folder: "C:\\\\new\\\\temp"',
        'results:\n  folder: "C:/new/temp"',
        "input:\n  columns:\n    \"Deal\\nstage\": StageName\n    'the \u201cdeal\u201d': null\n    Owner's: null",
        "input:\n  sheet: \u201cThe\u201d sheet",
        "api:\n  headers: {X-Note: \"a 'quoted' word\", X-Other: 'it''s'}",
        "api:\n\n  # token:env:X\n  token: env:X # a: b",
    ],
)
def test_what_yaml_reads_as_it_was_meant_is_no_slip(tmp_path: Path, text: str) -> None:
    """Quotation marks, backslashes and colons in their places."""
    load(tmp_path, text + "\n")


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("nexus.example.com", "https://nexus.example.com"),
        ("nexus.example.com/prefix/", "https://nexus.example.com/prefix"),
        ("nexus.example.com:8443/p", "https://nexus.example.com:8443/p"),
        ("127.0.0.1:8099", "http://127.0.0.1:8099"),
        ("localhost:8099/api", "http://localhost:8099/api"),
        ("[::1]:8099", "http://[::1]:8099"),
        ("//nexus.example.com", "https://nexus.example.com"),
        ("https:/nexus.example.com", "https://nexus.example.com"),
        ("https//nexus.example.com", "https://nexus.example.com"),
        ("htps://nexus.example.com", "https://nexus.example.com"),
        ("http://nexus.example.com:80/x", "https://nexus.example.com/x"),
        ("https://nexus.example.com/x?code=canary", "https://nexus.example.com/x"),
        ("https://nexus.example.com/x#canary", "https://nexus.example.com/x"),
        ('"https://nexus.example.com"', "https://nexus.example.com"),
        ("https://canary:canary@nexus.example.com", None),
        ("canary", None),
        ("supersecret-canary.token.abc", None),
        ("AbC1defGhijKlmnOpqr-canary.eyJ.abc", None),
        ("https//AbC1defGhijKlmnOpqr-canary.abc", None),
        ("nexus.example.com/AbC1defGhijKlmnOpqr-canary", None),
        ("nexus-01:8443", "https://nexus-01:8443"),
        ("d-1a2b3c4d5e6f7a8b9c0d1e.example.technology", "https://d-1a2b3c4d5e6f7a8b9c0d1e.example.technology"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.canary-SflKxwRJSMeKKF2QT4", None),
        (f"https://{'canary' * 20}.com", None),
    ],
)
def test_an_address_that_is_none_is_told_with_the_one_that_was_meant(
    tmp_path: Path, url: str, meant: str | None
) -> None:
    """Without what may be a secret; where nothing can be told, an example."""
    (fault,) = faults(tmp_path, f"api:\n  base_url: '{url}'\n")
    assert fault.startswith("config.yaml, line 2: api.base_url must ")
    assert fault.endswith(f"; write {meant}.") if meant else "; write" not in fault
    assert "canary" not in fault
    if meant:
        assert load(tmp_path, f"api: {{base_url: '{meant}'}}").api.base_url == meant


@pytest.mark.parametrize("reference", ["env:$TOK", "env:${TOK}", "env:%TOK%", 'env:"TOK"', "env:<TOK>"])
def test_a_variable_is_named_without_the_marks_of_a_shell(tmp_path: Path, reference: str) -> None:
    """The variable of that whole name would never be set."""
    assert "env:NAME, without $" in faults(tmp_path, f"api: {{token: '{reference}'}}")[0]


def test_the_database_of_a_team_is_given_by_reference(tmp_path: Path) -> None:
    """In the file or by a variable; what is shown of it is the reference."""
    text = 'team:\n  database: env:TEAM_DATABASE\n  block_rows: 500\n  nightly: "0  2 * * MON-FRI"\n'
    team = load(tmp_path, text).team
    assert (str(team.database), team.block_rows, team.nightly) == ("env:TEAM_DATABASE", 500, "0 2 * * MON-FRI")
    environ = {
        "BATCH_UPDATER_TEAM__DATABASE": f"file:{tmp_path}/address",
        "BATCH_UPDATER_TEAM__BLOCK_ROWS": "7",
        "BATCH_UPDATER_TEAM__NIGHTLY": "30 1 * * *",
    }
    config = load(tmp_path, text, environ)
    assert (config.team.block_rows, config.team.nightly) == (7, "30 1 * * *")
    shown = {setting.name: setting.value for setting in settings_of(config)}
    assert shown["team.database"] == f"file:{tmp_path}/address"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "database: postgresql://me:canary@db.example.com/team",
            (
                "team.database must say where the secret is kept: env:NAME, file:PATH or "
                "command:PROGRAM ARG; never the secret itself."
            ),
        ),
        ("databse: env:X", "team.databse is not a key. Did you mean database?"),
        ("block_rows: 0", "team.block_rows must be at least 1."),
        (
            "nightly: every night",
            ("team.nightly must be five fields of cron: minute, hour, day, month, weekday, as in 0 2 * * *."),
        ),
        (
            "nightly: 0 25 * * *",
            "team.nightly must be five fields of cron, as in 0 2 * * *; '0 25 * * *' is not valid.",
        ),
    ],
)
def test_what_is_wrong_with_the_team_is_named(tmp_path: Path, text: str, fault: str) -> None:
    """An address that is written out is not repeated: it holds a password."""
    assert faults(tmp_path, f"team:\n  {text}\n") == [f"config.yaml, line 2: {fault}"]


def test_a_variable_with_the_address_itself_is_refused(tmp_path: Path) -> None:
    """The name of the variable is told, its value is not."""
    (fault,) = faults(tmp_path, "", {"BATCH_UPDATER_TEAM__DATABASE": "postgresql://me:canary@db/team"})
    assert "BATCH_UPDATER_TEAM__DATABASE" in fault
    assert "canary" not in fault
