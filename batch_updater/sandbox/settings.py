"""What can be set about a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from batch_updater.sandbox.faults import find_fault


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One sandbox. Raises ValueError, in a sentence for people, if something cannot be."""

    host: str = "127.0.0.1"
    """A loopback address; nothing else is ever bound."""
    port: int = 0
    """0: any that is free."""
    seed: int = 1
    """Of the records, and of the faults by chance."""
    records: int = 100_000
    """Opportunities with the numbers 1 to this exist, of both types; all others are not found."""
    rate_per_s: float | None = None
    """Requests a second that the account may send; None: any number."""
    burst: int = 0
    """How many requests the gateway's token bucket holds; 0: as many as `rate_per_s` allows in one second."""
    quota: int | None = None
    """Requests that the account may send in all; None: any number."""
    latency_ms: float = 0.0
    faults: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Name of a fault -> the probability, 0 to 1, with which a request meets it."""
    null_clears: bool = False
    """Whether null in a body empties the field; otherwise it changes nothing."""
    token_expires_s: float = 3600.0
    keep_bodies: bool = True
    """Whether the log keeps headers and bodies; without them a request takes some 400 bytes of memory."""

    def __post_init__(self) -> None:
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"The sandbox serves this machine only, so it cannot listen on {self.host}.")
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"{self.port} is no port: a port is a number from 0 to 65535.")
        if self.rate_per_s is not None and not self.rate_per_s > 0:
            raise ValueError(f"A rate of {self.rate_per_s:g} requests a second cannot be: it has to be above 0.")
        if min(self.burst, self.quota or 0, self.latency_ms) < 0:
            raise ValueError("Burst, quota and latency cannot be below 0.")
        for name in self.faults:
            find_fault(name)
        if not all(0 <= chance <= 1 for chance in self.faults.values()) or sum(self.faults.values()) > 1 + 1e-9:
            raise ValueError("The probabilities of the faults lie between 0 and 1, and so does their sum.")
