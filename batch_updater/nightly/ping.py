"""Pings of a health check as Healthchecks.io defines them: GET <address>/start, <address>, <address>/fail."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from batch_updater.config.environment import Environment
from batch_updater.config.schema import SecretReference
from batch_updater.errors import ConfigError
from batch_updater.nightly.notify import address_of
from batch_updater.nightly.time_limit import run_with_timeout

LIMIT_S = 10.0
START = "/start"
SUCCESS = ""
FAILURE = "/fail"


def ping(
    health_check: str | SecretReference | None, sign: str, environment: Environment, limit_s: float = LIMIT_S
) -> str | None:
    """Send START, SUCCESS or FAILURE; returns a sentence if that failed. The address itself is a secret."""
    if health_check is None:
        return None
    try:
        address = address_of(health_check, environment, "nightly.health_check")
    except ConfigError as error:
        return f"The health check was not told: {error.message}"
    why = run_with_timeout(lambda: _get(address, sign, limit_s), limit_s)
    return f"The health check (nightly.health_check) was not told: {why}." if why else None


def _get(address: str, sign: str, limit_s: float) -> str | None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "its address does not begin with https:// or http://"
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + sign))
    try:
        with urllib.request.urlopen(url, timeout=limit_s):  # noqa: S310  (the scheme is judged above)
            return None
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}"
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return "no secure connection to it can be made"
        return f"it cannot be reached ({getattr(error.reason, 'strerror', None) or 'no connection'})"
