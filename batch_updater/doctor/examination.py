"""Every check of the doctor, in the order in which a run would fail over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.config_file import load_config
from batch_updater.doctor.credentials import secret_findings
from batch_updater.doctor.finding import Finding, Status, skipped, wrong
from batch_updater.doctor.folders import folder_findings, lock_finding
from batch_updater.doctor.reach import REACH_CHECKS, reach_findings
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ConfigError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batch_updater.config import Config
    from batch_updater.environment import Environment

_CONFIGURATION = "configuration"
_AFTER_THE_CONFIGURATION = ("endpoint", "results folder", "lock", *REACH_CHECKS, "token")


def examine(path: Path | None, environment: Environment) -> Iterator[Finding]:
    """Yield one finding after the other; `path` None: there is no file, the environment alone is checked.

    Takes at most 10 s for each step over the network and 30 s for each command that gives a secret.
    """
    try:
        config = load_config(path, environment.variables)
    except ConfigError as error:
        yield wrong(_CONFIGURATION, error)
        yield from skipped(_AFTER_THE_CONFIGURATION, _CONFIGURATION)
        return
    yield _configuration_finding(path, config)
    yield _endpoint_finding(config)
    yield from folder_findings(config)
    yield lock_finding(config)
    if config.api.base_url is None:
        yield from skipped(REACH_CHECKS, "api.base_url is missing")
    else:
        yield from reach_findings(config.api, config.api.base_url)
    yield from secret_findings(config, environment)


def _configuration_finding(path: Path | None, config: Config) -> Finding:
    if config.api.base_url is None:
        where = f"{path} does" if path else "There is no config.yaml in this folder, and the environment does"
        remedy = "Set api.base_url" + ("." if path else ": batch-updater init writes a configuration.")
        return Finding(_CONFIGURATION, Status.WRONG, f"{where} not say which API to send to.", remedy)
    source = str(path) if path else "the environment"
    return Finding(_CONFIGURATION, Status.OK, f"{source} has no faults; sends to {config.api.base_url}.")


def _endpoint_finding(config: Config) -> Finding:
    try:
        endpoint = load_endpoint(config.api.endpoint)
    except EndpointError as error:
        return wrong("endpoint", error)
    return Finding("endpoint", Status.OK, f"{endpoint.name}: {endpoint.method} {endpoint.path}")
