"""`batch-updater init`: a few answers -> a commented config.yaml, made of the example's own explanations."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from batch_updater.config.addresses import meant_address
from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import ApiSettings, Config, OAuthSettings
from batch_updater.config.secret_shape import secret_problem
from batch_updater.config.secrets import Secret
from batch_updater.endpoint.base_url import RepeatedPath, possible_repetition, repeated_path, require_fitting
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ConfigError, Location, ResultsError, UsageError
from batch_updater.files.reading import PrivateFile
from batch_updater.files.writing import write_whole
from batch_updater.text.printable import printable

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
_SECRET = "api.oauth.client_secret"  # noqa: S105  (the key's name)
_BASE_URL = "api.base_url"
_COMPARE = "sending.compare"
_PASTE = "paste"
_DEFAULTS = {_TOKEN: "env:NEXUS_TOKEN", _SECRET: "env:NEXUS_CLIENT_SECRET", "nightly.inbox": "inbox"}
_WIDTH = 78
_LONGEST_LINE = 1023 if sys.platform == "darwin" else 4095
"""Bytes of a line that a terminal passes on (POSIX: MAX_CANON); it drops what follows."""
_HEAD = (
    "# Written by batch-updater init. A key behind a # has its default, or shows an example.\n"
    "# Every key can also be set by a variable: BATCH_UPDATER_SENDING__RATE_PER_S=50.\n"
    "# Relative paths start at this file.\n"
)


@dataclass
class Answers:
    """What is known so far: dotted key of the configuration -> its text as typed."""

    texts: dict[str, str]
    pasted: dict[Path, Secret] = field(default_factory=dict)
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
            inner[names[-1]] = _value(key, text)
        return nested


def _value(key: str, text: str) -> object:
    if key == "nightly.notify":
        return [text]
    if key == _COMPARE:
        return True
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
        raise ResultsError(
            f"There is no folder {path.parent}.", remedy="Make it first.", place=Location(file=str(path))
        )


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
        config = config_from(one, {})
    except ConfigError as error:
        faults = [line.removeprefix("the configuration: ") for line in error.lines]
        if key == _BASE_URL and (meant := _meant_base_url(text)):
            faults = [f"{fault.partition('; write ')[0].rstrip('.')}; write {meant}." for fault in faults]
        return faults
    if key != _BASE_URL:
        return []
    try:
        require_fitting(config.api.base_url, load_endpoint(config.api.endpoint))
    except ConfigError as error:
        return [f"{error.message} {error.remedy}"]
    return []


def _meant_base_url(text: str) -> str:
    """Return the base URL that was probably meant instead of this one; '' if that cannot be told."""
    meant = meant_address(text)
    found = repeated_path(meant, load_endpoint(ApiSettings().endpoint)) if meant else None
    meant = found.corrected if found and (found.is_certain or meant == text.rstrip("/")) else meant
    return meant if meant and not faults_of(_BASE_URL, meant) else ""


def doubt_about(base_url: str) -> RepeatedPath | None:
    """Return what may be wrong with a base URL that has no fault; None if nothing may be."""
    return possible_repetition(base_url.rstrip("/"), load_endpoint(ApiSettings().endpoint))


def ask(answers: Answers, path: Path, stdin: TextIO, screen: TextIO) -> None:
    """Ask for what is not known yet, for the configuration `path`. Raises UsageError at the end of the input."""
    dialogue = _Dialogue(answers, path, stdin, screen)
    screen.write("An empty answer takes what stands in brackets.\n\n")
    dialogue.settle(_BASE_URL, "Where is the API (https://host, with a prefix if it has one)?")
    if not answers.has_oauth and _TOKEN not in answers.texts:
        dialogue.settle(
            _TOKEN,
            "Where is the token kept? Never the token itself, but env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Or paste, to paste it now, unseen, into a private file; or\n"
            "oauth, for client credentials.",
            _DEFAULTS[_TOKEN],
        )
    if answers.texts.get(_TOKEN) == _OAUTH:
        del answers.texts[_TOKEN]
        dialogue.settle_oauth()
    elif answers.has_oauth:
        dialogue.settle_oauth()
    dialogue.settle("sending.rate_per_s", "How many requests a second may this account send?", "20")
    if _COMPARE not in answers.texts and dialogue.confirmed(
        "Shall every record be read before it is changed? Only then can a run be undone,\n"
        "and the preview say what would change. It takes two or three times as many\n"
        "requests."
    ):
        answers.texts[_COMPARE] = "true"
    if "nightly.inbox" not in answers.texts and dialogue.confirmed("Shall files in a folder be sent every night?"):
        dialogue.settle("nightly.inbox", "Which folder?", _DEFAULTS["nightly.inbox"])
    if "nightly.inbox" in answers.texts:
        dialogue.settle_optional(
            "nightly.notify",
            "Whom to tell? Where an address of apprise is kept: env:NAME, file:PATH or\n"
            "command:PROGRAM ARG. Nothing: no one.",
        )


_ENDED = "The answers ended before the last question; nothing was written."


class _Dialogue:
    """Asks on a terminal until an answer fits."""

    def __init__(self, answers: Answers, path: Path, stdin: TextIO, screen: TextIO) -> None:
        self._answers = answers
        self._path = path
        self._stdin = stdin
        self._screen = screen

    def settle(self, key: str, question: str, default: str = "") -> None:
        """Have an answer that the configuration takes."""
        while key not in self._answers.texts:
            text = self._line(question, default) or default
            if text == _PASTE and key in (_TOKEN, _SECRET):
                self._paste(key)
            elif text:
                self._take(key, text)
                default = (key == _BASE_URL and _meant_base_url(text)) or default

    def settle_optional(self, key: str, question: str) -> None:
        """Have one, or none."""
        while key not in self._answers.texts and (text := self._line(question, "")):
            self._take(key, text)

    def settle_oauth(self) -> None:
        """Have client credentials."""
        self.settle("api.oauth.token_url", "What is the token URL?")
        self.settle("api.oauth.client_id", "What is the client's id?")
        question = "Where is its secret kept: env:NAME, file:PATH or command:PROGRAM ARG; or paste?"
        self.settle(_SECRET, question, _DEFAULTS[_SECRET])
        self.settle_optional("api.oauth.scope", "Which scope, if one is needed?")

    def confirmed(self, question: str) -> bool:
        """Whether the answer is yes; no is the default, and anything else is asked again."""
        while (answer := self._line(question, "y/N").lower()) not in {"y", "yes", "n", "no", ""}:
            self._screen.write("  ! Please answer y or n.\n")
        return answer in {"y", "yes"}

    def _paste(self, key: str) -> None:
        """Have a secret pasted, unseen, for a private file beside the configuration; an unfit one is asked again."""
        path = _beside(self._path, "token" if key == _TOKEN else "secret")
        if os.path.lexists(path) and not self.confirmed(f"{printable(str(path))} is there already. Replace it?"):
            return
        try:
            text = getpass.getpass("Paste it and press Enter; nothing is shown: ", self._screen).strip()
        except EOFError:
            raise UsageError(_ENDED) from None
        if len(text) >= _LONGEST_LINE:
            self._complain("It is longer than a terminal passes on. Put it into a file with an editor: file:PATH.")
        elif problem := secret_problem(text, key):
            self._complain(f"What was pasted {problem.what}. {problem.remedy}")
        else:
            self._answers.pasted[path] = Secret(text)
            self._answers.texts[key] = f"file:{path.name}"

    def _take(self, key: str, text: str) -> None:
        faults = [] if key == _TOKEN and text == _OAUTH else faults_of(key, text)
        for fault in faults:
            self._complain(fault)
        if not faults and (key != _BASE_URL or self._is_meant(text)):
            self._answers.texts[key] = text

    def _is_meant(self, base_url: str) -> bool:
        """Whether a base URL is to be taken: one about which there is a doubt, only if a person insists."""
        found = doubt_about(base_url)
        if found is None:
            return True
        self._complain(found.note)
        return self.confirmed("Is it right all the same?")

    def _complain(self, why: str) -> None:
        self._screen.write(
            textwrap.fill(printable(why), _WIDTH, initial_indent="  ! ", subsequent_indent="    ") + "\n"
        )

    def _line(self, question: str, shown: str) -> str:
        default = f"[{shown}]" if shown else ""
        fits = len(question.rpartition("\n")[2]) + len(default) < _WIDTH
        self._screen.write(f"{question}{' ' if fits else chr(10)}{default}".rstrip() + "\n> ")
        self._screen.flush()
        line = self._stdin.readline()
        if not line:
            raise UsageError(_ENDED)
        return line.strip()


def _beside(path: Path, ending: str) -> Path:
    """Return the file for a secret beside a configuration: another one, whatever that is called."""
    stem = path.stem if path.suffix.lower() in {".yaml", ".yml"} else path.name
    return path.with_name(f"{stem}.{ending}")


def complete(answers: Answers, *, defaults_for_all: bool) -> None:
    """See to it that nothing is missing or wrong. Raises UsageError, which names every option at fault."""
    texts = answers.texts
    option = {key: f"--{name.replace('_', '-')}" for name, key in OPTIONS.items()}
    if defaults_for_all:
        wanted = _SECRET if answers.has_oauth else _TOKEN
        texts.setdefault(wanted, _DEFAULTS[wanted])
    if _TOKEN in texts and answers.has_oauth:
        raise UsageError("--token and OAuth's options exclude each other.", remedy="Leave one of them out.")
    needed = (_BASE_URL, *(_OAUTH_KEYS if answers.has_oauth else (_TOKEN,)))
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
    try:
        file = PrivateFile(path, "xb")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            file.write(text.encode())
        _require_readable(path, answers)
        for secret_path, secret in answers.pasted.items():
            write_whole(secret_path, lambda draft, secret=secret: _fill(draft, secret))  # type: ignore[misc]  # bound at once
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _fill(draft: Path, secret: Secret) -> None:
    if os.name == "nt":  # where the mode of a file says nothing of who may read it
        user = f"{os.environ.get('USERDOMAIN', '.')}\\{getpass.getuser()}"
        icacls = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "icacls.exe"
        subprocess.run(  # noqa: S603  (a program of the system, without a shell)
            [icacls, draft, "/inheritance:r", "/grant:r", f"{user}:F"], check=False, capture_output=True
        )
    draft.write_text(f"{secret.reveal()}\n", encoding="ascii")


def _unwritable(path: Path, error: OSError) -> ResultsError:
    why = f"{path} cannot be written: {error.strerror or error}."
    return ResultsError(why, remedy="Name another file.", place=Location(file=str(path)))


def _require_readable(path: Path, answers: Answers) -> None:
    """Raise unless the file says what was answered: then the fault is ours."""
    load_config(path, {})
    found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if {section: keys for section, keys in found.items() if keys is not None} != answers.values:
        raise RuntimeError("what was written is not what was answered")


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
