"""`batch-updater init`: a few answers -> a commented config.yaml, made of the example's own explanations."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TextIO, cast

import msgspec

from batch_updater.config.addresses import meant_address
from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import ApiSettings, Config, OAuthSettings, ReferenceKind
from batch_updater.config.secret_shape import secret_problem
from batch_updater.config.secrets import Secret
from batch_updater.endpoint import base_url as base_urls
from batch_updater.endpoint.description import Endpoint, ParameterLocation, SecurityKind, SecurityScheme
from batch_updater.endpoint.reference import BUILT_IN, load_endpoint
from batch_updater.endpoint.security import scheme_of
from batch_updater.errors import ConfigError, Location, ResultsError, UsageError
from batch_updater.files.reading import PrivateFile
from batch_updater.files.writing import write_faults, write_whole
from batch_updater.text.printable import printable
from batch_updater.text.yaml_reader import read_yaml

EXAMPLE = "config.example.yaml"
OPTIONS = {
    "endpoint": "api.endpoint",
    "base_url": "api.base_url",
    "token": "api.token",
    "user": "api.auth.basic.user",
    "password": "api.auth.basic.password",
    "oauth_token_url": "api.oauth.token_url",
    "client_id": "api.oauth.client_id",
    "client_secret": "api.oauth.client_secret",
    "scope": "api.oauth.scope",
    "rate": "sending.rate_per_s",
    "inbox": "nightly.inbox",
    "notify": "nightly.notify",
}
"""Option of the command line -> the key of the configuration that it sets."""
_TOKEN = "api.token"  # noqa: S105  (the key's name)
_OAUTH = "oauth"
_SECRET = "api.oauth.client_secret"  # noqa: S105  (the key's name)
_USER = "api.auth.basic.user"
_PASSWORD = "api.auth.basic.password"  # noqa: S105  (the key's name)
_AUTH = "api.auth."
_HEADERS = "api.headers."
_BASE_URL = "api.base_url"
_COMPARE = "sending.compare"
_INBOX = "nightly.inbox"
_NOTIFY = "nightly.notify"
_PASTE = "paste"
_ENDINGS = {
    _TOKEN: "token", _SECRET: "secret", _PASSWORD: "password", "api.auth.token": "token",
    "api.auth.header.value": "key", "api.auth.query.value": "key",
}  # fmt: skip
"""Keys of secrets that may be pasted -> how the name of the file for one ends."""
_COMPLETE = {
    "api.oauth.": {"token_url": "https://host", "client_id": "x", "client_secret": "env:X"},
    "api.auth.basic.": {"user": "x", "password": "env:X"},
    "api.auth.header.": {"name": "X", "value": "env:X"},
    "api.auth.query.": {"name": "x", "value": "env:X"},
}
"""Beginning of keys -> the other keys of their section, without which it could not be judged."""
_REFERENCES = "env:NAME, file:PATH or command:PROGRAM ARG"
_WHERE_IT_IS = (
    "Where is the token kept? Never the token itself, but env:NAME, file:PATH or\n"
    "command:PROGRAM ARG. Or paste, to paste it now, unseen, into a private file; or\n"
    "oauth, for client credentials."
)
_MOST_SERVERS = 4
_PLACEHOLDER = re.compile(r"[{<]|\byour|\bexample\b|\blocalhost\b", re.IGNORECASE)
"""In addresses that a person has to change first."""
_WIDTH = 78
_LONGEST_LINE = 1023 if sys.platform == "darwin" else 4095
"""Bytes of a line that a terminal passes on (POSIX: MAX_CANON); it drops what follows."""
_HEAD = (
    "# Written by batch-updater init. A key behind a # has its default, or shows an example.\n"
    "# Every key can also be set by a variable: BATCH_UPDATER_SENDING__RATE_PER_S=50.\n"
    "# Relative paths start at this file.\n"
)


class Answers(msgspec.Struct):
    """What is known so far: dotted key of the configuration -> its text as typed."""

    texts: dict[str, str]
    pasted: dict[Path, Secret] = msgspec.field(default_factory=dict)
    """File for a secret that was pasted -> the secret; it is written together with the configuration."""
    endpoint: Endpoint = msgspec.field(default_factory=lambda: load_endpoint(ApiSettings().endpoint))
    """The one that is called."""

    @property
    def has_oauth(self) -> bool:
        """Whether anything of OAuth was given."""
        return any(key.startswith("api.oauth.") for key in self.texts)

    @property
    def has_auth(self) -> bool:
        """Whether anything was given for authentication otherwise than by a token."""
        return any(key.startswith(_AUTH) for key in self.texts)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that hold secrets of the API, each with a key that refers to it."""
        kept = self.texts.items()
        return {
            text.removeprefix("env:"): key for key, text in kept if key.startswith("api.") and text.startswith("env:")
        }

    @property
    def values(self) -> dict[str, dict[str, object]]:
        """The same as a config.yaml holds it."""
        nested: dict[str, dict[str, object]] = {}
        for key, text in self.texts.items():
            section, *names = key.split(".", 2) if key.startswith(_HEADERS) else key.split(".")
            inner: dict[str, object] = nested.setdefault(section, {})
            for name in names[:-1]:
                inner = inner.setdefault(name, {})  # type: ignore[assignment]  # made here, as a dict
            value: object = [text] if key == _NOTIFY else True if key == _COMPARE else text
            if key == "sending.rate_per_s" and re.fullmatch(r"\d+(\.\d+)?", text):
                value = float(text) if "." in text else int(text)
            inner[names[-1]] = value
        return nested


def require_free(path: Path) -> None:
    """Raise UsageError if there is a file already, ResultsError if there is no folder for it."""
    if os.path.lexists(path):
        raise UsageError(
            f"{path} already exists; it is not replaced.", remedy="Name another file, or change that one by hand."
        )
    if not path.absolute().parent.is_dir():
        raise ResultsError(
            f"There is no folder {path.parent}.", remedy="Create it first.", place=Location(file=str(path))
        )


def named_endpoint(reference: str, path: Path) -> tuple[str, Endpoint]:
    """Return what a configuration at `path` calls the description that is named from here, and the endpoint.

    Raises EndpointError.
    """
    document, hash_sign, operation = reference.partition("#")
    if reference in BUILT_IN or (not hash_sign and not Path(document).suffix):
        return reference, load_endpoint(reference)
    absolute, folder = Path(document).absolute(), path.absolute().parent
    endpoint = load_endpoint(f"{absolute}{hash_sign}{operation}")
    if not Path(document).is_absolute():
        with suppress(ValueError):  # on Windows it may be on another drive
            document = os.path.relpath(absolute, folder)
    return f"{document}{hash_sign}{operation}", endpoint


def faults_of(key: str, text: str, endpoint: Endpoint) -> list[str]:
    """Return what the configuration's own rules say against a value; never the value, which may be a secret."""
    one: Mapping[str, object] = Answers({key: text}, endpoint=endpoint).values
    for beginning, others in _COMPLETE.items():
        if key.startswith(beginning):
            section = Answers({f"{beginning}{name}": other for name, other in others.items()}, endpoint=endpoint)
            section.texts[key] = text
            one = section.values
    if key in (f"{_AUTH}scheme", f"{_AUTH}token"):
        one = {"api": {"auth": {"scheme": "X", "token": "env:X", key.removeprefix(_AUTH): text}}}
    is_secret = key.removeprefix(_HEADERS) in {scheme.name for way in endpoint.security for scheme in way}
    if (key == _NOTIFY or is_secret) and text.partition(":")[0] not in {"env", "file", "command"}:
        # The configuration would take what is written out; what init writes holds no secret.
        return [fault.replace(_TOKEN, key) for fault in faults_of(_TOKEN, text, endpoint)]
    try:
        config = config_from(one, {})
    except ConfigError as error:
        faults = [line.removeprefix("the configuration: ") for line in error.lines]
        if key == _BASE_URL and (meant := _meant_base_url(text, endpoint)):
            faults = [f"{fault.partition('; write ')[0].rstrip('.')}; write {meant}." for fault in faults]
        return faults
    if key != _BASE_URL:
        return []
    try:
        base_urls.require_fitting(config.api.base_url, endpoint)
    except ConfigError as error:
        return [f"{error.message} {error.remedy}"]
    return []


def _meant_base_url(text: str, endpoint: Endpoint) -> str:
    """Return the base URL that was probably meant instead of this one; '' if that cannot be told."""
    meant = meant_address(text)
    overlap = base_urls.repeated_path(meant, endpoint) if meant else None
    meant = overlap.corrected if overlap and (overlap.is_certain or meant == text.rstrip("/")) else meant
    return meant if meant and not faults_of(_BASE_URL, meant, endpoint) else ""


def doubt_about(answers: Answers) -> base_urls.RepeatedPath | base_urls.MissingPath | None:
    """Return what may be wrong with a base URL that has no fault; None if nothing may be."""
    return base_urls.possible_misfit(answers.texts[_BASE_URL].rstrip("/"), answers.endpoint)


def _described_base_url(endpoint: Endpoint) -> str:
    """Return the first address of the description that can be used as it is; '' if none can."""
    for server in endpoint.servers:
        if not _PLACEHOLDER.search(server) and not faults_of(_BASE_URL, server, endpoint):
            return server.rstrip("/")
    return ""


def _default(key: str, endpoint: Endpoint) -> str:
    """Return the reference to a secret that is proposed: a variable, named after the API."""
    words = (word for word in re.findall(r"[A-Za-z][A-Za-z0-9]*", endpoint.api_name))
    name = next((word for word in words if word.lower() not in {"the", "api", "rest"}), "API").upper()
    ending = {_SECRET: "CLIENT_SECRET", _PASSWORD: "PASSWORD"}.get(key, "KEY" if key.endswith(".value") else "TOKEN")
    return f"env:{name}_{ending}"


def ask(answers: Answers, path: Path, stdin: TextIO, screen: TextIO) -> None:
    """Ask for what is not known yet, for the configuration `path`. Raises UsageError at the end of the input."""
    texts, endpoint, dialogue = answers.texts, answers.endpoint, _Dialogue(answers, path, stdin, screen)
    screen.write("An empty answer takes the value in brackets.\n\n")
    described = [server for server in endpoint.servers if "//" in server]
    hint = f"\nThe description has {', '.join(described[:_MOST_SERVERS])}" if described else ""
    question = f"What is the address of the API (https://host, with a prefix if it has one)?{hint}"
    dialogue.settle(_BASE_URL, question, _described_base_url(endpoint))
    _ask_for_credentials(dialogue)
    for field in endpoint.fields:
        if field.location is ParameterLocation.HEADER and field.required:
            question = (
                f"The API needs the header {field.wire_name}. What is it, if it is the same for every\n"
                "row? Nothing: the file has a column for it."
            )
            dialogue.settle(f"{_HEADERS}{field.wire_name}", question, is_optional=True)
    dialogue.settle("sending.rate_per_s", "How many requests a second may this account send?", "20")
    can_compare = endpoint.read is not None and _COMPARE not in texts
    if can_compare and dialogue.confirmed(
        "Read every record before it is changed? Only then can a run be undone,\n"
        "and the preview say what would change. It takes two or three times as many\n"
        "requests."
    ):
        texts[_COMPARE] = "true"
    if _INBOX not in texts and dialogue.confirmed("Send the files of a folder every night?"):
        dialogue.settle(_INBOX, "Which folder?", "inbox")
    if _INBOX in texts:
        dialogue.settle(
            _NOTIFY,
            "Whom to notify? Where an address of apprise is kept: env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Nothing: no one.",
            is_optional=True,
        )


def _ask_for_credentials(dialogue: _Dialogue) -> None:
    """Ask for what the description says that the API needs; where it says nothing, for a token or OAuth's client."""
    answers, security = dialogue.answers, dialogue.answers.endpoint.security
    if answers.has_oauth or _TOKEN in answers.texts or (not security and not answers.has_auth):
        if not answers.has_oauth:
            dialogue.settle(_TOKEN, _WHERE_IT_IS, _default(_TOKEN, answers.endpoint))
        _ask_for_client(dialogue)
        return
    ways = _ways(answers.endpoint)
    words = tuple(ways)
    if answers.has_auth:
        first, *others = (SecurityScheme(SecurityKind.BASIC, "Basic"),)
    else:
        lines = [f"  {word}: {_described(way[0])}" for word, way in ways.items()]
        question = "\n".join(["How does the API know you? The description has", *lines])
        first, *others = ways[dialogue.chosen(question, words) if len(ways) > 1 else words[0]]
    _ask_for_scheme(dialogue, first, others)
    for scheme in others:
        question = f"Where is the value of the header {scheme.name} kept:\n{_REFERENCES}?"
        dialogue.settle(f"{_HEADERS}{scheme.name}", question, _default(".value", answers.endpoint))


def _ask_for_scheme(dialogue: _Dialogue, scheme: SecurityScheme, others: Sequence[SecurityScheme]) -> None:
    """Ask for the secret of one scheme, which is sent beside the headers of the others."""
    texts, endpoint, where = dialogue.answers.texts, dialogue.answers.endpoint, f"{_REFERENCES}; or paste?"
    if scheme.kind is SecurityKind.BASIC:
        question = f"What is the user's name? Or, if it is a key without a password, where is it\nkept: {_REFERENCES}?"
        dialogue.settle(_USER, question)
        is_key = texts[_USER].partition(":")[0] in set(ReferenceKind)
        default = "" if is_key else _default(_PASSWORD, endpoint)
        question = f"Where is the password kept:\n{where}{' Nothing: there is none.' if is_key else ''}"
        dialogue.settle(_PASSWORD, question, default, is_optional=is_key)
        return
    key, named = _keys_of(scheme, others, endpoint)
    if key == _TOKEN:
        is_bearer = scheme.kind is SecurityKind.SCHEME and scheme.name == "Bearer"
        question = _WHERE_IT_IS if is_bearer else f"Where is {_described(scheme)} kept:\n{where}"
        dialogue.settle(_TOKEN, question, _default(_TOKEN, endpoint))
        _ask_for_client(dialogue, scheme)
        return
    texts.update(named)
    dialogue.settle(key, f"Where is {_described(scheme)} kept:\n{where}", _default(key, endpoint))


def _keys_of(
    scheme: SecurityScheme, others: Sequence[SecurityScheme], endpoint: Endpoint
) -> tuple[str, Mapping[str, str]]:
    """Return the key for the secret of a scheme other than Basic, and the keys that say where it goes, with values.

    There are none where the description says all that they would.
    """
    api = config_from({"api": {"token": "env:X", "headers": {one.name: "env:X" for one in others}}}, {}).api
    placed = scheme_of(api, endpoint)
    if (placed.kind, placed.name) == (scheme.kind, scheme.name):
        return _TOKEN, {}
    if scheme.kind is SecurityKind.SCHEME:
        return f"{_AUTH}token", {f"{_AUTH}scheme": scheme.name}
    return f"{_AUTH}{scheme.kind}.value", {f"{_AUTH}{scheme.kind}.name": scheme.name}


def _ways(endpoint: Endpoint) -> Mapping[str, tuple[SecurityScheme, ...]]:
    """Return the answer that chooses each way of the description to authenticate -> the way. The first is proposed."""
    ways: dict[str, tuple[SecurityScheme, ...]] = {}
    for way in endpoint.security:
        ways.setdefault(_word_for(way[0]), way)
    return ways


def _ask_for_client(dialogue: _Dialogue, scheme: SecurityScheme | None = None) -> None:
    """Ask for OAuth's client, if that is the answer instead of a token; `scheme` is the bearer token's."""
    answers = dialogue.answers
    if answers.texts.get(_TOKEN) == _OAUTH:
        del answers.texts[_TOKEN]
    elif not answers.has_oauth:
        return
    token_url = scheme.token_url if scheme else ""
    is_usable = bool(token_url) and not faults_of("api.oauth.token_url", token_url, answers.endpoint)
    dialogue.settle("api.oauth.token_url", "What is the token URL?", token_url if is_usable else "")
    dialogue.settle("api.oauth.client_id", "What is the client's id?")
    question = f"Where is its secret kept:\n{_REFERENCES}; or paste?"
    dialogue.settle(_SECRET, question, _default(_SECRET, answers.endpoint))
    scopes = " ".join(scheme.scopes) if scheme else ""
    dialogue.settle("api.oauth.scope", "Which scope, if one is needed?", scopes, is_optional=True)


def _word_for(scheme: SecurityScheme) -> str:
    """Return the answer that chooses a scheme: `basic`, `token`, `header`, `query`, or its own word such as `bot`."""
    if scheme.kind is not SecurityKind.SCHEME:
        return scheme.kind
    return "token" if scheme.name == "Bearer" else scheme.name.lower()


def _described(scheme: SecurityScheme) -> str:
    match scheme.kind:
        case SecurityKind.BASIC:
            return "a user's name and a password"
        case SecurityKind.SCHEME:
            return f"the token after the word {scheme.name}"
        case SecurityKind.HEADER:
            return f"the key in the header {scheme.name}"
        case SecurityKind.QUERY:
            return f"the key in the query parameter {scheme.name}"


_ENDED = "The answers ended before the last question; nothing was written."


class _Dialogue(msgspec.Struct):
    answers: Answers
    path: Path
    """Of the configuration."""
    stdin: TextIO
    screen: TextIO

    def settle(self, key: str, question: str, default: str = "", *, is_optional: bool = False) -> None:
        """Ask for a key that is not known yet, until the configuration takes the answer."""
        while key not in self.answers.texts:
            text = self._answer(question, default) or default
            if text == _PASTE and key in _ENDINGS:
                self._paste(key)
            elif text:
                self._take(key, text)
                default = (key == _BASE_URL and _meant_base_url(text, self.answers.endpoint)) or default
            elif is_optional:
                return

    def confirmed(self, question: str) -> bool:
        """Whether the answer is yes; no is the default, and anything else is asked again."""
        while (answer := self._answer(question, "y/N").lower()) not in {"y", "yes", "n", "no", ""}:
            self.screen.write("  ! Please answer y or n.\n")
        return answer in {"y", "yes"}

    def chosen(self, question: str, words: Sequence[str]) -> str:
        """Return which of the words is the answer; the first is the default, and anything else is asked again."""
        while (answer := self._answer(question, words[0]).lower() or words[0]) not in words:
            self.screen.write(f"  ! Please answer {' or '.join(words)}.\n")
        return answer

    def _paste(self, key: str) -> None:
        """Ask for a secret, unseen, for a private file beside the configuration; one that cannot be it is refused."""
        is_yaml = self.path.suffix.lower() in {".yaml", ".yml"}
        path = self.path.with_name(f"{self.path.stem if is_yaml else self.path.name}.{_ENDINGS[key]}")
        if os.path.lexists(path) and not self.confirmed(f"{printable(str(path))} already exists. Replace it?"):
            return
        try:
            text = getpass.getpass("Paste it and press Enter; nothing is shown: ", self.screen).strip()
        except EOFError:
            raise UsageError(_ENDED) from None
        if len(text) >= _LONGEST_LINE:
            self._complain("It is longer than a terminal passes on. Put it into a file with an editor: file:PATH.")
        elif problem := secret_problem(text, key):
            self._complain(f"What was pasted {problem.what}. {problem.remedy}")
        else:
            self.answers.pasted[path] = Secret(text)
            self.answers.texts[key] = f"file:{path.name}"

    def _take(self, key: str, text: str) -> None:
        endpoint = self.answers.endpoint
        faults = [] if key == _TOKEN and text == _OAUTH else faults_of(key, text, endpoint)
        is_address = key == _BASE_URL and not faults
        doubt = base_urls.possible_misfit(text.rstrip("/"), endpoint) if is_address else None
        for fault in [*faults, *([doubt.note] if doubt else [])]:
            self._complain(fault)
        if not faults and (doubt is None or self.confirmed("Use it anyway?")):
            self.answers.texts[key] = text

    def _complain(self, why: str) -> None:
        lines = textwrap.fill(printable(why), _WIDTH, initial_indent="  ! ", subsequent_indent="    ")
        self.screen.write(f"{lines}\n")

    def _answer(self, question: str, shown: str) -> str:
        default = f"[{shown}]" if shown else ""
        fits = len(question.rpartition("\n")[2]) + len(default) < _WIDTH
        self.screen.write(f"{question}{' ' if fits else chr(10)}{default}".rstrip() + "\n> ")
        self.screen.flush()
        line = self.stdin.readline()
        if not line:
            raise UsageError(_ENDED)
        return line.strip()


def complete(answers: Answers, *, defaults_for_all: bool) -> None:
    """See to it that nothing is missing or wrong. Raises UsageError, which names every option at fault."""
    texts, endpoint = answers.texts, answers.endpoint
    option = {key: f"--{name.replace('_', '-')}" for name, key in OPTIONS.items()}
    ways = _ways(endpoint)
    way = next(iter(ways.values()), ())  # as on a terminal
    is_basic = bool(way) and way[0].kind is SecurityKind.BASIC
    needed: tuple[str, ...]
    if answers.has_oauth:
        needed = ("api.oauth.token_url", "api.oauth.client_id", _SECRET)
    elif _USER in texts or _PASSWORD in texts or (is_basic and _TOKEN not in texts):
        is_key = texts.get(_USER, "").partition(":")[0] in set(ReferenceKind)
        needed = (_USER,) if is_key else (_USER, _PASSWORD)
    else:
        needed = () if answers.has_auth else (_TOKEN,)
        if way and needed and defaults_for_all and _TOKEN not in texts:
            key, named = _keys_of(way[0], way[1:], endpoint)
            needed = (key, *(f"{_HEADERS}{one.name}" for one in way[1:]))
            texts.update(named)
    if defaults_for_all:
        for key in needed:
            if key in _ENDINGS or key.startswith(_HEADERS):
                texts.setdefault(key, _default(".value" if key.startswith(_HEADERS) else key, endpoint))
        if described := _described_base_url(endpoint):
            texts.setdefault(_BASE_URL, described)
    if (_TOKEN in texts) + answers.has_oauth + answers.has_auth > 1:
        what = "--token and OAuth's options" if not answers.has_auth else "--user and the options for tokens"
        raise UsageError(f"{what} exclude each other.", remedy="Leave one of them out.")
    missing = [option[key] for key in (_BASE_URL, *needed) if key not in texts]
    if missing:
        other = " (or --oauth-token-url, --client-id and --client-secret)" if option[_TOKEN] in missing else ""
        if option[_USER] in missing and len(ways) > 1:
            other = " (or --token instead of the user)"
        raise UsageError(
            f"Without questions these options are needed: {', '.join(missing)}{other}.",
            remedy="Add them, or run it on a terminal to be asked.",
        )
    faults = [
        f"{option.get(key, key)}: {fault}" for key, text in texts.items() for fault in faults_of(key, text, endpoint)
    ]
    if faults:
        raise UsageError(faults, remedy="Correct these options; nothing was written.")


def write(path: Path, answers: Answers) -> None:
    """Write the configuration and what was pasted for their owner alone, and read the configuration back.

    Raises UsageError and ResultsError.
    """
    text = rendered(example(), answers.values)
    require_free(path)
    with write_faults(path, "Name another file."):
        file = PrivateFile(path, "xb")
        try:
            with file:
                file.write(text.encode())
            _require_readable(path, answers)
            for secret_path, secret in answers.pasted.items():
                write_whole(secret_path, partial(_fill, secret))
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _require_readable(path: Path, answers: Answers) -> None:
    """Raise unless the file says what was answered: then the fault is ours."""
    load_config(path, {})
    written = cast("dict[str, object]", read_yaml(path.read_text(encoding="utf-8")).value())
    if {section: keys for section, keys in written.items() if keys is not None} != answers.values:
        raise RuntimeError("what was written is not what was answered")


def _fill(secret: Secret, draft: Path) -> None:
    if os.name == "nt":  # where the mode of a file says nothing of who may read it
        user = f"{os.environ.get('USERDOMAIN', '.')}\\{getpass.getuser()}"
        icacls = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "icacls.exe"
        subprocess.run(  # noqa: S603  (a program of the system, without a shell)
            [icacls, draft, "/inheritance:r", "/grant:r", f"{user}:F"], check=False, capture_output=True
        )
    draft.write_text(f"{secret.reveal()}\n", encoding="ascii")


def example() -> str:
    """Return the example: the one place where every key is explained."""
    packaged = Path(str(files("batch_updater"))) / EXAMPLE
    path = packaged if packaged.exists() else Path(__file__).parents[2] / EXAMPLE
    return path.read_text(encoding="utf-8")


def rendered(text: str, values: Mapping[str, Mapping[str, object]]) -> str:
    """Return the example with these values, and every other key behind a #."""
    _, _, sections = text.partition("\n\n")  # its head explains the example itself
    section = ""
    lines: list[str] = []
    for line in sections.splitlines():
        if top := re.match(r"([a-z]+):$", line):
            section = top[1]
        lines.extend(_line(line, section, values.get(section, {})))
    return "\n".join([_HEAD, *lines, ""])


def _line(line: str, section: str, values: Mapping[str, object]) -> Iterator[str]:
    match = re.match(r"  (?:# )?([a-z_]+):", line)
    nested = re.match(r"  #   ([a-z_]+):", line)
    keys = Config.model_fields[section].annotation.model_fields if section else {}  # type: ignore[union-attr]
    oauth = values.get(_OAUTH)
    if nested and isinstance(oauth, dict) and nested[1] in OAuthSettings.model_fields:
        if nested[1] in oauth:
            yield f"    {nested[1]}: {_written(oauth[nested[1]])}"
    elif not match or match[1] not in keys:
        yield line
    elif match[1] not in values:
        yield line if line.startswith("  #") else f"  # {line.strip()}"
    elif match[1] == _OAUTH:
        yield "  oauth:"
    else:
        yield f"  {match[1]}: {_written(values[match[1]])}"


def _written(value: object) -> str:
    """Write a value as YAML. JSON is YAML too, so whatever is not obviously plain goes into its quotes."""
    if isinstance(value, str) and re.fullmatch(r"(https?|env|file|command):[\w./:~-]*\w( [\w./=~-]+)*", value):
        return value
    if isinstance(value, dict):
        members = (
            f"{name if re.fullmatch(r'[a-z_]+', name) else json.dumps(name)}: {_written(one)}"
            for name, one in value.items()
        )
        return f"{{{', '.join(members)}}}"
    return json.dumps(value, ensure_ascii=False)
