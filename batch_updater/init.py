"""`batch-updater init`: a few answers -> a commented config.yaml, made of the example's own explanations."""

from __future__ import annotations

import json
import os
import re
import textwrap
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from batch_updater.config import Config, OAuthSettings
from batch_updater.config_file import config_from, load_config
from batch_updater.errors import ConfigError, Place, ResultsError, UsageError
from batch_updater.printable import printable
from batch_updater.regular_file import PrivateFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

EXAMPLE = "config.example.yaml"
OPTIONS = {
    "base_url": "api.base_url",
    "token": "api.token",
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
_OAUTH_KEYS = ("api.oauth.token_url", "api.oauth.client_id", "api.oauth.client_secret")
_DEFAULTS = {_TOKEN: "env:NEXUS_TOKEN", "api.oauth.client_secret": "env:NEXUS_CLIENT_SECRET", "nightly.inbox": "inbox"}
_HEAD = (
    "# Written by batch-updater init. A key behind a # has its default, or shows an example.\n"
    "# Every key can also be set by a variable: BATCH_UPDATER_SENDING__RATE_PER_S=50.\n"
    "# Relative paths start at this file.\n"
)


@dataclass
class Answers:
    """What is known so far: dotted key of the configuration -> its text as typed."""

    texts: dict[str, str]

    @property
    def has_oauth(self) -> bool:
        """Whether anything of OAuth was given."""
        return any(key.startswith("api.oauth.") for key in self.texts)

    @property
    def values(self) -> dict[str, dict[str, object]]:
        """The same as a config.yaml holds it."""
        nested: dict[str, dict[str, object]] = {}
        for key, text in self.texts.items():
            section, *names = key.split(".")
            inner: dict[str, object] = nested.setdefault(section, {})
            if len(names) == 2:
                inner = inner.setdefault(names[0], {})  # type: ignore[assignment]  # made here, as a dict
            inner[names[-1]] = _value(key, text)
        return nested


def _value(key: str, text: str) -> object:
    if key == "nightly.notify":
        return [text]
    if key == "sending.rate_per_s" and re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text


def require_free(path: Path) -> None:
    """Raise UsageError if there is a file already, ResultsError if there is no folder for it."""
    if os.path.lexists(path):
        raise UsageError(
            f"{path} is there already; it is not replaced.", remedy="Name another file, or change that one by hand."
        )
    if not path.absolute().parent.is_dir():
        raise ResultsError(f"There is no folder {path.parent}.", remedy="Make it first.", place=Place(file=str(path)))


def faults_of(key: str, text: str) -> list[str]:
    """Return what the configuration's own rules say against a value; never the value, which may be a secret."""
    one = Answers({key: text}).values
    if key.startswith("api.oauth."):
        # Its other keys are needed for a section to be judged at all.
        others = {"token_url": "https://host", "client_id": "x", "client_secret": "env:X"}
        one = {"api": {"oauth": {**others, key.rpartition(".")[2]: text}}}
    if key == "nightly.notify" and text.partition(":")[0] not in {"env", "file", "command"}:
        # The configuration would take an address as it stands; what init writes holds no secret.
        return [fault.replace(_TOKEN, key) for fault in faults_of(_TOKEN, text)]
    try:
        config_from(one, {})
    except ConfigError as error:
        return [line.removeprefix("the configuration: ") for line in error.lines]
    return []


def ask(answers: Answers, stdin: TextIO, screen: TextIO) -> None:
    """Ask for what is not known yet. Raises UsageError at the end of the input."""
    dialogue = _Dialogue(answers, stdin, screen)
    screen.write("An empty answer takes what stands in brackets.\n\n")
    dialogue.settle("api.base_url", "Where is the API (https://host, with a prefix if it has one)?")
    if not answers.has_oauth and _TOKEN not in answers.texts:
        dialogue.settle(
            _TOKEN,
            "Where is the token kept? Never the token itself, but env:NAME, file:PATH or\n"
            "command:PROGRAM ARG; or oauth for client credentials.",
            _DEFAULTS[_TOKEN],
        )
    if answers.texts.get(_TOKEN) == _OAUTH:
        del answers.texts[_TOKEN]
        dialogue.settle_oauth()
    elif answers.has_oauth:
        dialogue.settle_oauth()
    dialogue.settle("sending.rate_per_s", "How many requests a second may this account send?", "20")
    if "nightly.inbox" not in answers.texts and dialogue.confirmed("Shall files in a folder be sent every night?"):
        dialogue.settle("nightly.inbox", "Which folder?", _DEFAULTS["nightly.inbox"])
    if "nightly.inbox" in answers.texts:
        dialogue.settle_optional(
            "nightly.notify",
            "Whom to tell? Where an address of apprise is kept: env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Nothing: nobody.",
        )


class _Dialogue:
    """Asks on a terminal until an answer fits."""

    def __init__(self, answers: Answers, stdin: TextIO, screen: TextIO) -> None:
        self._answers = answers
        self._stdin = stdin
        self._screen = screen

    def settle(self, key: str, question: str, default: str = "") -> None:
        """Have an answer that the configuration takes."""
        while key not in self._answers.texts:
            text = self._line(question, default) or default
            if text:
                self._take(key, text)

    def settle_optional(self, key: str, question: str) -> None:
        """Have one, or none."""
        while key not in self._answers.texts and (text := self._line(question, "")):
            self._take(key, text)

    def settle_oauth(self) -> None:
        """Have client credentials."""
        self.settle("api.oauth.token_url", "What is the token URL?")
        self.settle("api.oauth.client_id", "What is the client's id?")
        secret = "api.oauth.client_secret"  # noqa: S105  (the key's name)
        self.settle(secret, "Where is its secret kept (env:NAME, file:PATH or command:PROGRAM ARG)?", _DEFAULTS[secret])
        self.settle_optional("api.oauth.scope", "Which scope, if one is needed?")

    def confirmed(self, question: str) -> bool:
        """Whether the answer is yes; no is the default, and anything else is asked again."""
        while (answer := self._line(question, "y/N").lower()) not in {"y", "yes", "n", "no", ""}:
            self._screen.write("  ! Please answer y or n.\n")
        return answer in {"y", "yes"}

    def _take(self, key: str, text: str) -> None:
        faults = [] if key == _TOKEN and text == _OAUTH else faults_of(key, text)
        for fault in faults:
            self._screen.write(
                textwrap.fill(printable(fault), 78, initial_indent="  ! ", subsequent_indent="    ") + "\n"
            )
        if not faults:
            self._answers.texts[key] = text

    def _line(self, question: str, shown: str) -> str:
        self._screen.write(f"{question}{f' [{shown}]' if shown else ''}\n> ")
        self._screen.flush()
        line = self._stdin.readline()
        if not line:
            raise UsageError("The answers ended before the last question; nothing was written.")
        return line.strip()


def complete(answers: Answers, *, defaults_for_all: bool) -> None:
    """See to it that nothing is missing or wrong. Raises UsageError, which names every option at fault."""
    texts = answers.texts
    option = {key: f"--{name.replace('_', '-')}" for name, key in OPTIONS.items()}
    if defaults_for_all:
        wanted = "api.oauth.client_secret" if answers.has_oauth else _TOKEN
        texts.setdefault(wanted, _DEFAULTS[wanted])
    if _TOKEN in texts and answers.has_oauth:
        raise UsageError("--token and OAuth's options exclude each other.", remedy="Leave one of them out.")
    needed = ("api.base_url", *(_OAUTH_KEYS if answers.has_oauth else (_TOKEN,)))
    missing = [option[key] for key in needed if key not in texts]
    if missing:
        oauth = " (or --oauth-token-url, --client-id and --client-secret)" if option[_TOKEN] in missing else ""
        raise UsageError(
            f"Without questions these options are needed: {', '.join(missing)}{oauth}.",
            remedy="Add them, or run it on a terminal to be asked.",
        )
    faults = [f"{option[key]}: {fault}" for key, text in texts.items() for fault in faults_of(key, text)]
    if faults:
        raise UsageError(faults, remedy="Correct these options; nothing was written.")


def write(path: Path, answers: Answers) -> None:
    """Write the configuration for its owner alone, and read it back. Raises UsageError and ResultsError."""
    text = rendered(example(), answers.values)
    require_free(path)
    try:
        file = PrivateFile(path, "xb")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            file.write(text.encode())
        _require_readable(path, answers)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> ResultsError:
    why = f"{path} cannot be written: {error.strerror or error}."
    return ResultsError(why, remedy="Name another file.", place=Place(file=str(path)))


def _require_readable(path: Path, answers: Answers) -> None:
    """Raise unless the file says what was answered: then the fault is ours."""
    load_config(path, {})
    found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if {section: keys for section, keys in found.items() if keys is not None} != answers.values:
        raise RuntimeError("what was written is not what was answered")


def example() -> str:
    """Return the example: the one place where every key is explained."""
    packaged = Path(str(files("batch_updater"))) / EXAMPLE
    path = packaged if packaged.exists() else Path(__file__).parent.parent / EXAMPLE
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
    found = re.match(r"  (?:# )?([a-z_]+):", line)
    nested = re.match(r"  #   ([a-z_]+):", line)
    keys = Config.model_fields[section].annotation.model_fields if section else {}  # type: ignore[union-attr]
    oauth = values.get(_OAUTH)
    if nested and isinstance(oauth, dict) and nested[1] in OAuthSettings.model_fields:
        if nested[1] in oauth:
            yield f"    {nested[1]}: {_written(oauth[nested[1]])}"
    elif not found or found[1] not in keys:
        yield line
    elif found[1] not in values:
        yield line if line.startswith("  #") else f"  # {line.strip()}"
    elif found[1] == _OAUTH:
        yield "  oauth:"
    else:
        yield f"  {found[1]}: {_written(values[found[1]])}"


def _written(value: object) -> str:
    """Write a value as YAML. JSON is YAML too, so whatever is not obviously plain goes into its quotes."""
    if isinstance(value, str) and re.fullmatch(r"(https?|env|file|command):[\w./:~-]*\w( [\w./=~-]+)*", value):
        return value
    return json.dumps(value, ensure_ascii=False)
