"""Every key of the configuration: its default, its meaning and its limits."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path, PurePath
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
from batch_updater.text.spelling import nearest


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


def _user(user: str | SecretReference) -> str | SecretReference:
    if isinstance(user, str) and (not user or ":" in user):
        raise ValueError("must not be empty, and must not hold a colon (RFC 7617)")
    return user


def _scheme(words: str) -> str:
    # A second word ends with =, so that no token is taken for a part of it.
    if not re.fullmatch(r'[A-Za-z][\w.+-]{0,39}(( [A-Za-z][\w.-]{0,39})?="?)?', words := words.strip()):
        raise ValueError('must be what goes before the token, such as Token, Bot, Token token= or Token token="')
    return words


def _constant(value: object) -> object:
    """Return a value as it would be typed into a cell; a whole number needs no quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


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

    @property
    def shown(self) -> str:
        """All of it for people, with the reference to the secret."""
        return f"{self.token_url}, client {self.client_id}, secret {self.client_secret.shown}, scope {self.scope!r}"


_OWN_HEADERS = frozenset({
    "host", "content-type", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade",
    "proxy-authorization", "expect",
})  # fmt: skip


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError(f"must not hold {name!r}, which is no name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"must not hold {name}, which the program sets itself")
    return name


def _header_names(headers: object) -> object:
    for name in map(str, headers if isinstance(headers, dict) else ()):
        if name.lower() == "authorization":
            raise ValueError(f"must not hold {name}; say under api.auth how requests are authenticated")
        _header_name(name)
    return headers


class BasicSettings(ConfigSection):
    """HTTP Basic authentication (RFC 7617)."""

    user: Annotated[HeaderValue, AfterValidator(_user)]
    password: Reference | None = None
    """None: the user is itself the secret, such as a key of the API, and no password goes with it."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.password is None and isinstance(self.user, str):
            raise ValueError("must say where the password is kept; a user without one is itself given by reference")
        return self


class HeaderSecret(ConfigSection):
    """A secret that is the whole value of a header."""

    name: Annotated[str, AfterValidator(_header_name)]
    value: Reference


class QuerySecret(ConfigSection):
    """A secret that is the value of a query parameter."""

    name: Annotated[str, Field(min_length=1)]
    value: Reference


class AuthSettings(ConfigSection):
    """How requests are authenticated otherwise than by a bearer token: in one of four ways."""

    basic: BasicSettings | None = None
    scheme: Annotated[str, AfterValidator(_scheme)] | None = None
    """What goes before the token in the header Authorization: `Token`, `Bot`, `Token token=`, `Token token="`."""
    token: Reference | None = None
    """Of `scheme`."""
    header: HeaderSecret | None = None
    query: QuerySecret | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.basic, self.scheme or self.token, self.header, self.query)) != 1:
            raise ValueError("must hold one of basic, scheme (with token), header and query")
        if (self.scheme is None) != (self.token is None):
            raise ValueError(f"must hold {'scheme' if self.token else 'token'}, too")
        return self

    @property
    def shown(self) -> str:
        """All of it for people, with the reference to the secret."""
        match self:
            case AuthSettings(basic=BasicSettings(user=user, password=password)):
                name = user.shown if isinstance(user, SecretReference) else user
                return f"basic, user {name}" + (f", password {password.shown}" if password else "")
            case AuthSettings(header=HeaderSecret(name=name, value=value)):
                return f"header {name}: {value.shown}"
            case AuthSettings(query=QuerySecret(name=name, value=value)):
                return f"query parameter {name}: {value.shown}"
        return f"{self.scheme} {self.token.shown if self.token else ''}"


class AllowedNamesSettings(ConfigSection):
    """Where an error answer lists the valid names of a field."""

    list: str
    name: str
    id: str | None = None
    depends_on: tuple[str, ...] = ()


class FieldSettings(ConfigSection):
    """What the description does not say of a field, or says otherwise; a key that is not set changes nothing."""

    field_name: Annotated[str, Field(min_length=1)] | None = None
    aliases: tuple[str, ...] = ()
    """In addition to those of the description."""
    title: str | None = None
    kind: Literal["text", "integer", "decimal", "boolean", "date", "date-time", "list", "JSON"] | None = None
    required: bool | None = None
    nullable: bool | None = None
    clears_with: str | None = None
    """What the clear marker sends in place of null."""
    date_format: str | None = None
    default: Annotated[str, BeforeValidator(_constant)] | None = None
    example: Annotated[str, BeforeValidator(_constant)] | None = None
    identifier: bool | None = None
    selects_record: bool | None = None
    reported_as: str | tuple[str | int, ...] | None = None
    """Where the record of an answer holds the value: `status`, `fields.status`, `fields[id=7].value` or the steps; set
    to null: nowhere."""
    reported_id_as: str | None = None
    allowed_names: AllowedNamesSettings | None = None


def _reading(text: str) -> str:
    _, _, query = text.partition("?")
    if not re.fullmatch(r"([!$'()*+,./0-9:;=?@A-Z_a-z~&\[\]-]|%[0-9A-Fa-f]{2})*", query):
        raise ValueError("must have its parameters as they are in an address, with %20 for a space")
    return text


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
    """Sent as a bearer token, unless the description takes none but has another place for it."""
    oauth: OAuthSettings | None = None
    auth: AuthSettings | None = None
    overlay: AbsolutePath | None = None
    """An OpenAPI Overlay 1.0 document, applied to the description."""
    fields: dict[str, FieldSettings] = {}
    """Name of a field in the description -> what is different about it."""
    only: tuple[str, ...] = ()
    """Names of the fields and objects that columns may have beside what every request needs; empty: all."""
    read: Annotated[str, AfterValidator(_reading)] | None = None
    """The operation that returns a record: its operationId, or `get /path`; with `?name=value` if it needs more."""
    idempotent: bool | None = None
    """Whether a request that may have been applied may be repeated; None: as the description says."""
    record_name: Annotated[str, Field(min_length=1)] | None = None
    always_reported: tuple[str, ...] = ()
    """Properties that the record in an answer always has; empty: as the description says."""
    error_message: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = ()
    """Properties of an error answer that hold its message, the best first."""
    quota_per_month: Annotated[Whole, Field(ge=1)] | None = None
    quota_exceeded: Annotated[str, Field(min_length=1)] | None = None
    """The message of a 429 for a used-up quota."""
    accepted_is_done: bool = False
    """Whether an answer 202 (accepted) counts as done: for an API that answers every update with it."""
    timeout_s: Annotated[Number, Field(gt=0)] = 35.0
    """For one attempt: connecting, sending and reading the answer."""
    connect_timeout_s: Annotated[Number, Field(gt=0)] = 10.0
    headers: Annotated[dict[str, HeaderValue], BeforeValidator(_header_names)] = {}
    ca_file: AbsolutePath | None = None
    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    _places: Mapping[tuple[str, ...], str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        ways = [key for key in ("token", "oauth", "auth") if getattr(self, key)]
        if len(ways) > 1:
            raise ValueError(f"must not hold {', '.join(ways[:-1])} and {ways[-1]} together; keep one")
        header = self.auth.header.name if self.auth and self.auth.header else ""
        if header.lower() in map(str.lower, self.headers):
            raise ValueError(f"must not hold {header} both in auth and in headers; keep one")
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Remember where the keys are that only the description can judge. pydantic calls it."""
        places = context.get("places", {}) if isinstance(context, dict) else {}
        self._places = {path[1:]: place for path, place in places.items() if path[:1] == ("api",) and path[1:]}

    def place(self, *path: str) -> str:
        """Return where a key is set, or the one that it is within: `config.yaml, line 7`, or a variable."""
        around = (self._places.get(path[:length]) for length in range(len(path), 0, -1))
        return next(filter(None, around), "the configuration")

    @property
    def secret(self) -> tuple[str, SecretReference] | None:
        """The key that refers to what authenticates requests, and the reference; None for `oauth` or nothing."""
        match self.auth:
            case AuthSettings(basic=BasicSettings(password=SecretReference() as password)):
                return "api.auth.basic.password", password
            case AuthSettings(basic=BasicSettings(user=SecretReference() as user)):
                return "api.auth.basic.user", user
            case AuthSettings(token=SecretReference() as token):
                return "api.auth.token", token
            case AuthSettings(header=HeaderSecret(value=value)):
                return "api.auth.header.value", value
            case AuthSettings(query=QuerySecret(value=value)):
                return "api.auth.query.value", value
        return ("api.token", self.token) if self.token else None


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


def _time_zone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones  # noqa: PLC0415  (most files need no zone)

    try:
        # Lower case begins localtime, and the copies of the database that count leap seconds, as some systems have.
        is_zone = name[:1].isupper() and ZoneInfo(name).key == name
    except (ValueError, OSError, ZoneInfoNotFoundError):
        is_zone = False
    if not is_zone:
        close = nearest(name, available_timezones() - {"localtime"}, cutoff=0.75)
        hint = f"; write {close}" if close else ""
        raise ValueError(f"must be a name of the IANA's time zone database, such as Europe/Berlin{hint}")
    return name


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
    list_separator: Annotated[str, Field(min_length=1)] = ";"
    """What is between the items of a list in one cell; a line break is, too."""
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = None
    """IANA name of the zone of times of day that name none themselves; None: those are refused."""
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


def _trusted(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(
            f"must hold IP addresses or networks, such as 10.0.0.7 or 10.1.0.0/16; {text!r} is neither"
        ) from None
    return text


def _person(name: str) -> str:
    """Return a name as the page takes it from the header: composed (NFC), however an editor has written it."""
    return unicodedata.normalize("NFC", name.strip())


def _web_header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError(f"must be the name of a header, such as X-Forwarded-User; {name!r} is none")
    return name


class WebSettings(ConfigSection):
    """The web page."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 8484
    """0: any that is free."""
    auth: Literal["token", "proxy"] = "token"
    """token: anyone with the key of the printed link; proxy: the person that a reverse proxy names in `user_header`."""
    user_header: Annotated[str, AfterValidator(_web_header)] = "X-Forwarded-User"
    trusted_proxies: tuple[Annotated[str, AfterValidator(_trusted)], ...] = ("127.0.0.1",)
    may_send: tuple[Annotated[str, AfterValidator(_person)], ...] = ("*",)
    """Names, or `*` for everyone."""
    may_approve: tuple[Annotated[str, AfterValidator(_person)], ...] = ()
    max_upload_mb: Annotated[Whole, Field(ge=1)] = 100


def _schedule(text: str) -> str:
    from croniter import croniter  # noqa: PLC0415  (of Procrastinate, for which few configurations have a use)

    if len(text.split()) != 5:
        raise ValueError("must be five fields of cron: minute, hour, day, month, weekday, as in 0 2 * * *")
    if not croniter.is_valid(text):
        raise ValueError(f"must be five fields of cron, as in 0 2 * * *; {text!r} is not valid")
    return " ".join(text.split())


class TeamSettings(ConfigSection):
    """What several hosts share."""

    database: Reference | None = None
    """Of a PostgreSQL address, `postgresql://user:password@host/name`; None: this program alone, with SQLite."""
    block_rows: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1_000
    """So many rows, about, are one worker's at a time."""
    nightly: Annotated[str, AfterValidator(_schedule)] | None = None
    """When one of the workers runs the unattended job, as in crontab(5) but in UTC, which all hosts share; None: none
    does."""


class Config(ConfigSection):
    """The whole configuration. Paths are absolute."""

    api: ApiSettings = Field(default_factory=ApiSettings)
    sending: SendingSettings = Field(default_factory=SendingSettings)
    input: InputSettings = Field(default_factory=InputSettings)
    guards: GuardSettings = Field(default_factory=GuardSettings)
    results: ResultsSettings = Field(default_factory=lambda: ResultsSettings(folder=Path("runs")))
    nightly: NightlySettings = Field(default_factory=NightlySettings)
    web: WebSettings = Field(default_factory=WebSettings)
    team: TeamSettings = Field(default_factory=TeamSettings)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    def model_post_init(self, context: Any, /) -> None:
        """Remember the folder of the file. pydantic calls it."""
        if isinstance(context, dict) and "folder" in context:
            self._folder = Path(context["folder"])

    @property
    def layouts_folder(self) -> Path:
        """Where layouts are remembered: beside the configuration, else in the current folder."""
        return self._folder / "layouts"

    def within(self, value: object) -> object:
        """Return a path relative to the configuration, its name if it is elsewhere, and any other value as it is."""
        match value:
            case Path():
                is_below = value.is_relative_to(self._folder)
                return value.relative_to(self._folder) if is_below else PurePath(value.name)
            case str():
                return value.replace(f"{self._folder}{os.sep}", "")
        return value


def settings_of(config: Config, *, hides_folders: bool = False) -> tuple[Setting, ...]:
    """Return every key and its value as text, without secrets.

    `hides_folders`: paths are relative to the folder of the configuration, and of one elsewhere only the name is told.
    """
    return tuple(
        Setting(f"{section}.{key}", _shown(f"{section}.{key}", config.within(value) if hides_folders else value))
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
        case _, SecretReference() | OAuthSettings() | AuthSettings():
            return value.shown
        case "api.fields", dict():
            return ", ".join(f"{name}: {one.model_dump_json(exclude_unset=True)}" for name, one in value.items())
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
