"""Every check of the doctor, in the order in which a run would fail over it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.config.schema import Config
from batch_updater.doctor.credentials import ApiSecrets, fetch_api_secrets, notification_findings
from batch_updater.doctor.finding import Finding, Status, from_error, ok, skipped, warning, wrong
from batch_updater.doctor.folders import folder_findings, lock_finding
from batch_updater.doctor.reach import REACH_CHECKS, reach_findings
from batch_updater.doctor.team import team_findings
from batch_updater.doctor.token_trial import fields_to_name, not_tried, trial_of, try_token
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.base_url import possible_misfit, require_fitting
from batch_updater.endpoint.description import Endpoint, Field
from batch_updater.endpoint.security import unlike_described
from batch_updater.errors import ConfigError, CredentialsError, EndpointError, UsageError
from batch_updater.sender.auth import remember_written

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_quota import TeamQuota

_CONFIGURATION = "configuration"
_MISNAMED = re.compile(r"config(\.ya?ml)?(\.ya?ml|\.txt)", re.IGNORECASE)
"""Names under which some editors save a configuration, and other programs theirs."""
_AFTER_THE_CONFIGURATION = ("endpoint", "results folder", "lock", *REACH_CHECKS, "token")


class DoctorOptions(msgspec.Struct, frozen=True):
    """What is checked only on request."""

    record: tuple[str, ...] = ()
    ask_record: Callable[[Endpoint, Sequence[Field]], Sequence[str]] | None = None
    """Asks a person for one and returns a value for each field, or nothing; None: there is no one to ask."""
    notify: bool = False


def examine(path: Path | None, environment: Environment, options: DoctorOptions | None = None) -> Iterator[Finding]:
    """Yield one finding after the other; `path` None: the environment alone is the configuration.

    Takes at most 10 s for each step over the network and 30 s for each command that gives a secret. Texts from outside
    (a proxy, an API, a token URL) are redacted.
    """
    return (
        finding.redacted(environment.redaction) for finding in _examined(path, environment, options or DoctorOptions())
    )


def _examined(path: Path | None, environment: Environment, options: DoctorOptions) -> Iterator[Finding]:
    try:
        config = load_config(path, environment.variables)
    except ConfigError as error:
        yield from_error(_CONFIGURATION, error)
        yield from skipped(_AFTER_THE_CONFIGURATION, _CONFIGURATION)
        return
    remember_written(config.api, environment.redaction)
    if config.api.base_url is None:
        others = sorted(file.name for file in Path().glob("*") if _MISNAMED.fullmatch(file.name))
        unread = f" but {others[0]}, which is not read" if others else ""
        no_file = f"There is no config.yaml in this folder{unread}, and the environment does"
        where = f"{path} does" if path else no_file
        remedy = "Set api.base_url" + ("." if path else ": batch-updater init writes a configuration.")
        yield wrong(_CONFIGURATION, f"{where} not say which API to send to.", remedy)
    else:
        yield ok(_CONFIGURATION, f"{path or 'the environment'} is valid; sends to {config.api.base_url}.")
    failed = None if config.api.base_url else _CONFIGURATION
    endpoint, finding = _endpoint(config)
    yield finding
    failed = failed or (None if endpoint else finding.check)
    yield from folder_findings(config.results, config.nightly)
    if config.team.database is None:
        yield lock_finding(config.results.folder, config.api.base_url)
    yield from team_findings(config, endpoint, environment)
    try:
        quota = _quota(config, environment)
    except ConfigError:  # of the team's database, which has its findings: without it nothing may be sent
        if config.api.base_url is not None:
            yield from reach_findings(config.api, config.api.base_url, why_no_request="team.database")
        yield from skipped(("token",), "team.database")
        yield from notification_findings(config.nightly, environment, send=options.notify)
        return
    if config.api.base_url is None:
        yield from skipped(REACH_CHECKS, "api.base_url is missing")
    else:
        for finding in reach_findings(config.api, config.api.base_url, quota):
            yield finding
            failed = failed or (finding.check if finding.status is Status.WRONG else None)
    secrets = fetch_api_secrets(config.api, endpoint, environment, quota)
    finding = _token_finding(config, endpoint, secrets, failed, environment, options, quota)
    yield finding
    unlike = unlike_described(config.api, endpoint) if endpoint and secrets.token else ""
    if unlike and finding.status is not Status.OK:
        yield warning("token", unlike, "Try which of them the API takes: batch-updater doctor --record ID.")
    yield from secrets.header_findings
    yield from notification_findings(config.nightly, environment, send=options.notify)


def _token_finding(
    config: Config,
    endpoint: Endpoint | None,
    secrets: ApiSecrets,
    failed: str | None,
    environment: Environment,
    options: DoctorOptions,
    quota: TeamQuota | None,
) -> Finding:
    """Try the token on a record, if one is named; `failed` is the check that has made this pointless, or None."""
    if secrets.token_finding.status is Status.WRONG:
        return secrets.token_finding
    failed = failed or next((one.check for one in secrets.header_findings if one.status is Status.WRONG), None)
    if endpoint is None or failed:
        return not_tried(secrets, f"another check has failed: {failed}")
    if endpoint.sample_read is None:
        why = f"the description {endpoint.name} names no way to read a record"
        return not_tried(secrets, why, "Set api.read to the operation that returns one.")
    constants, named = config.input.constants, options.record
    if not named and options.ask_record and secrets.token:
        named = tuple(options.ask_record(endpoint, fields_to_name(endpoint, constants)))
    if not named:
        why = "no record was named that may be read with it"
        return not_tried(secrets, why, "batch-updater doctor --record ID reads one.")
    try:
        trial = trial_of(endpoint, constants, named)
    except UsageError as error:
        return from_error("token", error)
    return try_token(config.api, secrets, trial, environment.redaction, quota)


def _quota(config: Config, environment: Environment) -> TeamQuota | None:
    """Return what the team may send to the API. Raises ConfigError if its database cannot be asked."""
    if config.team.database is None or config.api.base_url is None:
        return None
    from batch_updater.runs.team_folders import joined  # noqa: PLC0415  (as in all that only a team needs)
    from batch_updater.runs.team_quota import quota_for  # noqa: PLC0415

    with joined(config, environment):
        try:
            return quota_for(config, environment)
        except CredentialsError:  # without them requests count for no account
            return None


def _endpoint(config: Config) -> tuple[Endpoint | None, Finding]:
    """Return the endpoint, None if it cannot be read or the base URL does not fit it, and the finding."""
    try:
        endpoint = endpoint_for(config.api, config.input.constants)
        require_fitting(config.api.base_url, endpoint)
    except (ConfigError, EndpointError) as error:
        return None, from_error("endpoint", error)
    message = f"{endpoint.name}: {endpoint.method} {endpoint.path}"
    if concern := possible_misfit(config.api.base_url, endpoint):
        return endpoint, warning("endpoint", f"{message}; but {concern.message}", concern.remedy)
    if endpoint.notes:
        notes = " ".join(endpoint.notes)
        return endpoint, warning("endpoint", f"{message}. {notes}", "Correct the overlay, if it counts.")
    return endpoint, ok("endpoint", message)
