"""The environment: variables, the secrets fetched so far, user and machine."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping

import msgspec

from batch_updater.records import Setting
from batch_updater.text.redaction import Redaction
from batch_updater.version import __version__

RUN_BY = "run by"
"""The setting that says which user of the machine the process belongs to."""
ON_MACHINE = "on machine"
SENT_BY = "sent by"
"""The setting that says which person has sent a run on the page."""


class Environment(msgspec.Struct, frozen=True):
    """Environment variables, and the secrets fetched so far."""

    variables: Mapping[str, str]
    redaction: Redaction = msgspec.field(default_factory=Redaction)


def machine_name() -> str:
    """Return the name of this machine."""
    return platform.node() or "unknown"


def environment_settings() -> tuple[Setting, ...]:
    """Return version, user and machine, for the workbook's `Settings` and for the log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        user = "unknown"
    return (
        Setting("batch-updater", __version__),
        Setting(RUN_BY, user),
        Setting(ON_MACHINE, machine_name()),
        Setting("Python", f"{platform.python_version()} on {platform.system()}"),
    )


def ways_to_set(name: str, key: str) -> tuple[str, ...]:
    """Return lines on how to set the environment variable that a key of the configuration refers to.

    The program has to be started from the same window.
    """
    return (
        f"Linux, macOS:  export {name}='...'",
        f"cmd:           set {name}=...",
        f"PowerShell:    $env:{name} = '...'",
        f"Scheduled:     a private file, by {key}: file:PATH",
    )
