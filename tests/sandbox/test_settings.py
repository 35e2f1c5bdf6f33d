"""sandbox/settings.py: what a sandbox can be told."""

from __future__ import annotations

from typing import Any

import pytest

from batch_updater.sandbox.settings import SandboxSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_addresses_are_taken(host: str) -> None:
    """The sandbox may listen on any address of this machine alone."""
    assert SandboxSettings(host=host).host == host


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"host": "0.0.0.0"}, "this machine only"),  # noqa: S104  (it must be refused)
        ({"host": "192.168.1.5"}, "this machine only"),
        ({"host": "::"}, "this machine only"),
        ({"port": -1}, "no port"),
        ({"port": 65_536}, "no port"),
        ({"rate_per_s": 0}, "above 0"),
        ({"rate_per_s": float("nan")}, "above 0"),
        ({"burst": -1}, "below 0"),
        ({"quota": -1}, "below 0"),
        ({"latency_ms": -1}, "below 0"),
        ({"faults": {"nonsense": 0.1}}, "There is no fault 'nonsense'"),
        ({"faults": {"quota": 1.1}}, "between 0 and 1"),
        ({"faults": {"quota": float("nan")}}, "between 0 and 1"),
        ({"faults": {"quota": 0.6, "throttled": 0.6}}, "their sum"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong: dict[str, Any], says: str) -> None:
    """A wrong setting is told before anything is served."""
    with pytest.raises(ValueError, match=says):
        SandboxSettings(**wrong)
