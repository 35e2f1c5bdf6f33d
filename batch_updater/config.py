"""config.yaml and the environment -> `Config`: every key of the program, its default and what it means."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    """One section of the file: unknown keys are faults, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReferenceKind(StrEnum):
    """Where a secret is kept."""

    ENVIRONMENT = "env"
    FILE = "file"
    COMMAND = "command"


class SecretReference(_Section):
    """Where a secret is kept; never the secret itself. `sender/auth.py` fetches it."""

    kind: ReferenceKind
    location: str
    """Name of the variable, absolute path of the file, or program and arguments as typed."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.location}"


class OAuthSettings(_Section):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    token_url: str
    client_id: str
    client_secret: SecretReference
    scope: str = ""


class ApiSettings(_Section):
    """Which API is called, and as whom."""

    base_url: str | None = None
    """`https://host[/prefix]` without a trailing slash; plain http only to loopback. Needed for sending only."""
    endpoint: str = "nexus-opportunity"
    """A built-in description, or `/absolute/path/openapi.yaml#operationId`."""
    token: SecretReference | None = None
    oauth: OAuthSettings | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 35.0
    connect_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    headers: dict[str, str | SecretReference] = {}
    ca_file: Path | None = None
    proxy: str | None = None


class SendingSettings(_Section):
    """How fast and how stubbornly rows are sent."""

    rate_per_s: Annotated[float, Field(gt=0)] = 20.0
    burst: Annotated[int, Field(ge=0)] = 0
    concurrency: Annotated[int, Field(ge=1)] = 10
    attempts: Annotated[int, Field(ge=1)] = 5
    max_wait_s: Annotated[float, Field(ge=0)] = 120.0
    retry_budget: Annotated[float, Field(ge=0)] = 0.2
    stop_after_alike: Annotated[int, Field(ge=1)] = 20
    stop_after_failures: int | str | None = None
    """A number of rows, or a share of them such as "10%"; None: never."""
    drain_s: Annotated[float, Field(ge=0)] = 10.0
    compare: bool = False


class DateOrder(StrEnum):
    """How an ambiguous text date such as 03/04/2025 is read."""

    DMY = "DMY"
    MDY = "MDY"


class InputSettings(_Section):
    """How the file is read."""

    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1)] | None = None
    """Row of the sheet that holds the headers, as Excel numbers it; None: the first row that is not blank."""
    columns: dict[str, str | None] = {}
    """Header as it stands in the file -> field name, or None to ignore the column."""
    constants: dict[str, str] = {}
    """Field name -> value for every row, as a person would type it into a cell."""
    encoding: str | None = None
    date_order: DateOrder | None = None
    decimal: Literal[".", ","] = "."
    clear_marker: Annotated[str, Field(min_length=1)] = "#CLEAR"
    duplicates: Literal["reject", "in_order"] = "reject"
    max_unpacked_mb: Annotated[int, Field(ge=1)] = 500


class GuardSettings(_Section):
    """Limits over which nothing is sent."""

    rows: int | None = None
    invalid_percent: float | None = None
    cleared: int | None = None
    changed: int | None = None
    factor: float | None = None
    total_change_percent: float | None = None


class ResultsSettings(_Section):
    """Where results go."""

    folder: Path = Path("runs")
    keep_days: Annotated[int, Field(ge=1)] = 90


class NightlySettings(_Section):
    """The unattended job."""

    inbox: Path | None = None
    patterns: tuple[str, ...] = ("*.csv", "*.tsv", "*.xlsx", "*.xlsm", "*.xls", "*.xlsb", "*.ods")
    done: Path | None = None
    attention: Path | None = None
    repeat: Literal["refuse", "allow"] = "refuse"
    notify: tuple[str | SecretReference, ...] = ()
    notify_when: Literal["attention", "always", "never"] = "attention"
    metrics: Path | None = None
    health_check: str | SecretReference | None = None


class Config(_Section):
    """The whole configuration. Paths are absolute."""

    api: ApiSettings = ApiSettings()
    sending: SendingSettings = SendingSettings()
    input: InputSettings = InputSettings()
    guards: GuardSettings = GuardSettings()
    results: ResultsSettings = ResultsSettings()
    nightly: NightlySettings = NightlySettings()
