"""The environment: variables, the secrets fetched so far, user and machine."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from batch_updater.records import Setting
from batch_updater.text.redaction import Redaction
from batch_updater.version import __version__


@dataclass(frozen=True, slots=True)
class Environment:
    """Environment variables, and the secrets fetched so far."""

    variables: Mapping[str, str]
    redaction: Redaction = field(default_factory=Redaction)
    """Removes every secret that was fetched so far from texts."""


def environment_settings() -> tuple[Setting, ...]:
    """Return version, user and machine, for the workbook's `Settings` and for the log."""
    return (
        Setting("batch-updater", __version__),
        Setting("run by", _user()),
        Setting("on machine", platform.node() or "unknown"),
        Setting("Python", f"{platform.python_version()} on {platform.system()}"),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "unknown"
