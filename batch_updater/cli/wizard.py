"""`batch-updater init`: a few answers -> a commented config.yaml, made of the example's own explanations."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TextIO, cast

import msgspec

from batch_updater.config.addresses import meant_address
from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import ApiSettings, Config, OAuthSettings
from batch_updater.config.secret_shape import secret_problem
from batch_updater.config.secrets import Secret
from batch_updater.endpoint import base_url as base_urls
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ConfigError, Location, ResultsError, UsageError
from batch_updater.files.reading import PrivateFile
from batch_updater.files.writing import write_faults, write_whole
from batch_updater.text.printable import printable
from batch_updater.text.yaml_reader import read_yaml

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
_SECRET = "api.oauth.client_secret"  # noqa: S105  (the key's name)
_BASE_URL = "api.base_url"
_COMPARE = "sending.compare"
_INBOX = "nightly.inbox"
_NOTIFY = "nightly.notify"
_PASTE = "paste"
_DEFAULTS = {_TOKEN: "env:NEXUS_TOKEN", _SECRET: "env:NEXUS_CLIENT_SECRET", _INBOX: "inbox"}
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


def faults_of(key: str, text: str) -> list[str]:
    """Return what the configuration's own rules say against a value; never the value, which may be a secret."""
    one = Answers({key: text}).values
    if key.startswith("api.oauth."):
        # Its other keys are needed for a section to be judged at all.
        others = {"token_url": "https://host", "client_id": "x", "client_secret": "env:X"}
        one = {"api": {"oauth": {**others, key.rpartition(".")[2]: text}}}
    if key == _NOTIFY and text.partition(":")[0] not in {"env", "file", "command"}:
        # The configuration would take a literal address; what init writes holds no secret.
        return [fault.replace(_TOKEN, key) for fault in faults_of(_TOKEN, text)]
    try:
        config = config_from(one, {})
    except ConfigError as error:
        faults = [line.removeprefix("the configuration: ") for line in error.lines]
        if key == _BASE_URL and (meant := _meant_base_url(text)):
            faults = [f"{fault.partition('; write ')[0].rstrip('.')}; write {meant}." for fault in faults]
        return faults
    if key != _BASE_URL:
        return []
    try:
        base_urls.require_fitting(config.api.base_url, load_endpoint(config.api.endpoint))
    except ConfigError as error:
        return [f"{error.message} {error.remedy}"]
    return []


def _meant_base_url(text: str) -> str:
    """Return the base URL that was probably meant instead of this one; '' if that cannot be told."""
    meant = meant_address(text)
    overlap = base_urls.repeated_path(meant, load_endpoint(ApiSettings().endpoint)) if meant else None
    meant = overlap.corrected if overlap and (overlap.is_certain or meant == text.rstrip("/")) else meant
    return meant if meant and not faults_of(_BASE_URL, meant) else ""


def doubt_about(base_url: str) -> base_urls.RepeatedPath | None:
    """Return what may be wrong with a base URL that has no fault; None if nothing may be."""
    return base_urls.possible_repetition(base_url.rstrip("/"), load_endpoint(ApiSettings().endpoint))


def ask(answers: Answers, path: Path, stdin: TextIO, screen: TextIO) -> None:
    """Ask for what is not known yet, for the configuration `path`. Raises UsageError at the end of the input."""
    texts, dialogue = answers.texts, _Dialogue(answers, path, stdin, screen)
    screen.write("An empty answer takes the value in brackets.\n\n")
    dialogue.settle(_BASE_URL, "What is the address of the API (https://host, with a prefix if it has one)?")
    is_oauth = answers.has_oauth
    if not is_oauth:
        dialogue.settle(
            _TOKEN,
            "Where is the token kept? Never the token itself, but env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Or paste, to paste it now, unseen, into a private file; or\n"
            "oauth, for client credentials.",
            _DEFAULTS[_TOKEN],
        )
    if texts.get(_TOKEN) == _OAUTH:
        del texts[_TOKEN]
        is_oauth = True
    if is_oauth:
        dialogue.settle("api.oauth.token_url", "What is the token URL?")
        dialogue.settle("api.oauth.client_id", "What is the client's id?")
        question = "Where is its secret kept: env:NAME, file:PATH or command:PROGRAM ARG; or paste?"
        dialogue.settle(_SECRET, question, _DEFAULTS[_SECRET])
        dialogue.settle("api.oauth.scope", "Which scope, if one is needed?", is_optional=True)
    dialogue.settle("sending.rate_per_s", "How many requests a second may this account send?", "20")
    if _COMPARE not in texts and dialogue.confirmed(
        "Read every record before it is changed? Only then can a run be undone,\n"
        "and the preview say what would change. It takes two or three times as many\n"
        "requests."
    ):
        texts[_COMPARE] = "true"
    if _INBOX not in texts and dialogue.confirmed("Send the files of a folder every night?"):
        dialogue.settle(_INBOX, "Which folder?", _DEFAULTS[_INBOX])
    if _INBOX in texts:
        dialogue.settle(
            _NOTIFY,
            "Whom to notify? Where an address of apprise is kept: env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Nothing: no one.",
            is_optional=True,
        )


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
            if text == _PASTE and key in (_TOKEN, _SECRET):
                self._paste(key)
            elif text:
                self._take(key, text)
                default = (key == _BASE_URL and _meant_base_url(text)) or default
            elif is_optional:
                return

    def confirmed(self, question: str) -> bool:
        """Whether the answer is yes; no is the default, and anything else is asked again."""
        while (answer := self._answer(question, "y/N").lower()) not in {"y", "yes", "n", "no", ""}:
            self.screen.write("  ! Please answer y or n.\n")
        return answer in {"y", "yes"}

    def _paste(self, key: str) -> None:
        """Ask for a secret, unseen, for a private file beside the configuration; one that cannot be it is refused."""
        is_yaml = self.path.suffix.lower() in {".yaml", ".yml"}
        ending = "token" if key == _TOKEN else "secret"
        path = self.path.with_name(f"{self.path.stem if is_yaml else self.path.name}.{ending}")
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
        faults = [] if key == _TOKEN and text == _OAUTH else faults_of(key, text)
        doubt = doubt_about(text) if key == _BASE_URL and not faults else None
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
    texts = answers.texts
    option = {key: f"--{name.replace('_', '-')}" for name, key in OPTIONS.items()}
    if defaults_for_all:
        wanted = _SECRET if answers.has_oauth else _TOKEN
        texts.setdefault(wanted, _DEFAULTS[wanted])
    if _TOKEN in texts and answers.has_oauth:
        raise UsageError("--token and OAuth's options exclude each other.", remedy="Leave one of them out.")
    oauth_keys = ("api.oauth.token_url", "api.oauth.client_id", _SECRET)
    needed = (_BASE_URL, *(oauth_keys if answers.has_oauth else (_TOKEN,)))
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
    return json.dumps(value, ensure_ascii=False)
