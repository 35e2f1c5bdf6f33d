"""Every key of the configuration: its default, its meaning and its limits."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from batch_updater.config.addresses import proxy_problem, require_base_url, require_web_address
from batch_updater.config.yaml_slips import ESCAPES, WITHOUT_ESCAPES
from batch_updater.errors import ConfigError
from batch_updater.records import Setting


class ConfigSection(BaseModel):
    """One section of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _plain_number(value: object) -> object:
    """Refuse true, which is 1 to Python, and texts, out of which pydantic would read numbers."""
    if isinstance(value, (bool, str)):
        raise ValueError("must be a number")  # noqa: TRY004  (pydantic collects ValueErrors)
    return value


Number = Annotated[float, BeforeValidator(_plain_number)]
Whole = Annotated[int, BeforeValidator(_plain_number)]


_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that YAML makes of a backslash and a letter in double quotes."""


def _absolute(path: Path, info: ValidationInfo) -> Path:
    """Make a path absolute, relative to the `folder` of the context, else to the current one."""
    if _HIDDEN.search(str(path)):
        raise ValueError(f"holds a character that cannot be seen: {ESCAPES}. {WITHOUT_ESCAPES.rstrip('.')}")
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    try:
        return Path(folder or Path.cwd()) / path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~ and the name of no user of this machine; write the path in full") from None


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class ReferenceKind(StrEnum):
    """Where a secret is kept."""

    ENVIRONMENT = "env"
    FILE = "file"
    COMMAND = "command"


class SecretReference(ConfigSection):
    """Where a secret is kept; never the secret itself. `config/secrets.py` fetches it."""

    kind: ReferenceKind
    location: str
    """Name of the variable, absolute path of the file, or program and arguments as typed."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.location}"

    @property
    def shown(self) -> str:
        """The reference for messages: of a command only the program, for its arguments may be secrets themselves."""
        return f"{self.kind}:{self.location.split(' ')[0] if self.kind is ReferenceKind.COMMAND else self.location}"


_LITERAL_SECRET = (
    "must say where the secret is kept: env:NAME, file:PATH or command:PROGRAM ARG; never the secret itself"  # noqa: S105
)


def _reference(value: object, info: ValidationInfo) -> object:
    """Read `env:NAME`, `file:PATH` or `command:PROGRAM ARG ...`; what is wrong is not repeated, it may be a secret."""
    if isinstance(value, (SecretReference, dict)):
        return value
    kind, colon, location = value.partition(":") if isinstance(value, str) else ("", "", "")
    location = location.strip()
    if not colon or kind not in set(ReferenceKind) or not location:
        raise ValueError(_LITERAL_SECRET)
    if kind == ReferenceKind.ENVIRONMENT and not re.fullmatch(r"[^\s$%={}<>\"'`]+", location):
        raise ValueError("must name the variable as env:NAME, without $, %, brackets and quotation marks")
    if kind == ReferenceKind.FILE:
        location = str(_absolute(Path(location), info))
    elif kind == ReferenceKind.COMMAND:
        try:
            shlex.split(location)
        except ValueError as error:
            raise ValueError("has a quote that is not closed") from error
    return SecretReference(kind=ReferenceKind(kind), location=location)


def _header_value(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and value.partition(":")[0] in set(ReferenceKind):
        return _reference(value, info)
    if isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("must be a single line")
    if not isinstance(value, (str, SecretReference, dict)):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004  (as above)
    return value


Reference = Annotated[SecretReference, BeforeValidator(_reference)]
HeaderValue = Annotated[str | SecretReference, BeforeValidator(_header_value)]


def _proxy(text: str) -> str:
    if problem := proxy_problem(text):
        raise ValueError(problem)
    return text


class OAuthSettings(ConfigSection):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    token_url: Annotated[str, AfterValidator(require_web_address)]
    client_id: str
    client_secret: Reference
    scope: str = ""


_OWN_HEADERS = frozenset({
    "authorization", "host", "content-type", "content-length", "transfer-encoding", "connection", "te", "trailer",
    "upgrade", "proxy-authorization", "expect",
})  # fmt: skip


def _header_names(headers: object) -> object:
    for name in map(str, headers if isinstance(headers, dict) else ()):
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError(f"must not hold {name!r}, which is no name of a header")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"must not hold {name}, which the program sets itself")
    return headers


def _endpoint(text: str, info: ValidationInfo) -> str:
    path, hash_sign, operation = text.partition("#")
    if hash_sign or Path(path).suffix:
        return f"{_absolute(Path(path), info)}{hash_sign}{operation}"
    return text


class ApiSettings(ConfigSection):
    """Which API is called, with which credentials and headers."""

    base_url: Annotated[str, AfterValidator(require_base_url)] | None = None
    """`https://host[/prefix]` without a trailing slash; plain http only to loopback. Needed for sending only."""
    endpoint: Annotated[str, AfterValidator(_endpoint)] = "nexus-opportunity"
    """A built-in description, or `/absolute/path/openapi.yaml#operationId`."""
    token: Reference | None = None
    oauth: OAuthSettings | None = None
    accepted_is_done: bool = False
    """Whether an answer 202 (accepted) counts as done: for an API that answers every update with it."""
    timeout_s: Annotated[Number, Field(gt=0)] = 35.0
    """For one attempt: connecting, sending and reading the answer."""
    connect_timeout_s: Annotated[Number, Field(gt=0)] = 10.0
    headers: Annotated[dict[str, HeaderValue], BeforeValidator(_header_names)] = {}
    ca_file: AbsolutePath | None = None
    proxy: Annotated[str, AfterValidator(_proxy)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.token and self.oauth:
            raise ValueError("must not hold both token and oauth; remove one")
        return self


def _failures(value: object) -> object:
    """Accept a number of rows, or a share of them such as "10%"."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}(\.\d+)?%", value) and 0 < float(value[:-1]) <= 100:
        return value
    raise ValueError('must be a number of rows, or a share such as "10%"')


class SendingSettings(ConfigSection):
    """Rate, concurrency and retries."""

    rate_per_s: Annotated[Number, Field(gt=0)] = 20.0
    burst: Annotated[Whole, Field(ge=0)] = 0
    concurrency: Annotated[Whole, Field(ge=1)] = 10
    attempts: Annotated[Whole, Field(ge=1)] = 5
    max_wait_s: Annotated[Number, Field(ge=0)] = 120.0
    retry_budget: Annotated[Number, Field(ge=0)] = 0.2
    stop_after_alike: Annotated[Whole, Field(ge=1)] = 20
    stop_after_failures: Annotated[int | str | None, BeforeValidator(_failures)] = None
    drain_s: Annotated[Number, Field(ge=0)] = 10.0
    compare: bool = False

    def failures_allowed(self, rows: int) -> int | None:
        """Return after how many failures of so many rows the run stops; None if it does not."""
        limit = self.stop_after_failures
        return max(1, int(rows * Decimal(limit[:-1]) / 100)) if isinstance(limit, str) else limit


class DateOrder(StrEnum):
    """How an ambiguous text date such as 03/04/2025 is read."""

    DMY = "DMY"
    MDY = "MDY"


def _constant(value: object) -> object:
    """Return a constant as it would be typed into a cell; a whole number needs no quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class InputSettings(ConfigSection):
    """How the file is read."""

    sheet: str | None = None
    header_row: Annotated[Whole, Field(ge=1)] | None = None
    """Row of the sheet that holds the headers, as Excel numbers it; None: the first row that is not blank."""
    columns: dict[str, str | None] = {}
    """Further headers that are understood -> field name, or None for a column that is not sent."""
    constants: dict[str, Annotated[str, BeforeValidator(_constant)]] = {}
    """Field name -> value for every row, as a person would type it into a cell."""
    encoding: str | None = None
    date_order: DateOrder | None = None
    two_digit_years: Annotated[Whole, Field(ge=1900, le=2100)] | None = None
    """First of the hundred years that a year of two digits belongs to; None: such a year leaves the century open."""
    decimal: Literal[".", ","] = "."
    clear_marker: Annotated[str, Field(min_length=1)] = "#CLEAR"
    duplicates: Literal["reject", "in_order"] = "reject"
    max_unpacked_mb: Annotated[Whole, Field(ge=1)] = 500


class GuardSettings(ConfigSection):
    """Limits above which nothing is sent."""

    rows: Annotated[Whole, Field(ge=0)] | None = None
    invalid_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    """Largest share of invalid rows, in percent of all."""
    cleared: Annotated[Whole, Field(ge=0)] | None = None
    changed: Annotated[Whole, Field(ge=0)] | None = None
    factor: Annotated[Number, Field(ge=1)] | None = None
    """Largest factor by which one number may change."""
    total_change_percent: Annotated[Number, Field(ge=0)] | None = None
    """Largest change of a column's total, in percent of what it is now."""


class ResultsSettings(ConfigSection):
    """Where results go."""

    folder: AbsolutePath = Field(Path("runs"), validate_default=True)
    keep_days: Annotated[Whole, Field(ge=1, le=36_500)] = 90
    annotate: bool = False


class NightlySettings(ConfigSection):
    """The unattended job."""

    inbox: AbsolutePath | None = None
    patterns: tuple[str, ...] = ("*.csv", "*.tsv", "*.xlsx", "*.xlsm", "*.xls", "*.xlsb", "*.ods")
    done: AbsolutePath | None = None
    """None: `done` beside the inbox."""
    attention: AbsolutePath | None = None
    """None: `attention` beside the inbox."""
    repeat: Literal["refuse", "allow"] = "refuse"
    notify: tuple[HeaderValue, ...] = ()
    notify_when: Literal["attention", "always", "never"] = "attention"
    metrics: AbsolutePath | None = None
    health_check: HeaderValue | None = None


class Config(ConfigSection):
    """The whole configuration. Paths are absolute."""

    api: ApiSettings = Field(default_factory=ApiSettings)
    sending: SendingSettings = Field(default_factory=SendingSettings)
    input: InputSettings = Field(default_factory=InputSettings)
    guards: GuardSettings = Field(default_factory=GuardSettings)
    results: ResultsSettings = Field(default_factory=lambda: ResultsSettings(folder=Path("runs")))
    nightly: NightlySettings = Field(default_factory=NightlySettings)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    def model_post_init(self, context: Any, /) -> None:
        """Remember the folder of the file. pydantic calls it."""
        if isinstance(context, dict) and "folder" in context:
            self._folder = Path(context["folder"])

    @property
    def layouts_folder(self) -> Path:
        """Where layouts are remembered: beside the configuration, else in the current folder."""
        return self._folder / "layouts"


def settings_of(config: Config) -> tuple[Setting, ...]:
    """Return every key and its value as text, without secrets."""
    return tuple(
        Setting(f"{section}.{key}", _shown(f"{section}.{key}", value))
        for section in Config.model_fields
        for key, value in getattr(config, section)
    )


def _shown(key: str, value: object) -> str:
    match key, value:
        case "api.proxy", str():
            return re.sub(r"//.*@", "//***@", value)
        case "api.headers", dict():  # a header's literal value may be a key of the API
            return ", ".join(f"{name}: {_shown_secret(text)}" for name, text in value.items())
        case "nightly.notify", tuple():  # such an address is a secret as a whole
            return ", ".join(map(_shown_secret, value))
        case "nightly.health_check", str():
            return "***"
        case _, SecretReference():
            return value.shown
        case _, OAuthSettings():
            secret = value.client_secret.shown
            return f"{value.token_url}, client {value.client_id}, secret {secret}, scope {value.scope!r}"
        case _, dict():
            return ", ".join(f"{name}: {text}" for name, text in value.items())
        case _, tuple():
            return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _shown_secret(value: str | SecretReference) -> str:
    return value.shown if isinstance(value, SecretReference) else "***"


def require_sendable(config: Config) -> None:
    """Raise ConfigError unless api.base_url is set."""
    if config.api.base_url is None:
        raise ConfigError(
            "The configuration does not say which API to send to.",
            remedy="Set api.base_url in config.yaml, or the variable BATCH_UPDATER_API__BASE_URL.",
        )
