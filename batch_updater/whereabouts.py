"""Who runs the program, and where: for the workbook's `Settings` and for locks."""

from __future__ import annotations

import getpass
import platform

from batch_updater import __version__
from batch_updater.model import Setting


def whereabouts() -> tuple[Setting, ...]:
    """Return version, user and machine."""
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
