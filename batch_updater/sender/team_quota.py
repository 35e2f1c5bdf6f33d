"""What a team's quota tells, and what may be asked of it: the database behind it is passed in.

All moments are on this machine's monotonic clock.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class OpenBreaker(msgspec.Struct, frozen=True):
    """The circuit breaker of a team while it is open."""

    why: str
    deadline: float
    """When the team has waited for as long as it may."""
    next_probe_at: float
    probes: int
    """So many were let through since it opened."""


class QuotaState(msgspec.Struct, frozen=True, kw_only=True):
    """What all workers of a team know of the service."""

    pace_per_s: float
    slowed_at: float | None
    """When the service last refused a request because they are too many; None: it never has."""
    paused_until: float
    breaker: OpenBreaker | None


class Lease(QuotaState, frozen=True, kw_only=True):
    """Permits that no other worker has, and the state in which they were given."""

    moments: tuple[float, ...]
    """When each is due, in order. One that is not used then is lost."""
    is_due_at_once: bool
    """Whether the first was due as soon as it could be used: the team uses fewer than it may."""
    ahead_s: float
    """How long before it is due a permit has to be asked for: what the way to the database and back may take."""


class SharedQuota(Protocol):
    """The quota of one account at one service, which all workers of a team share.

    Each call waits until the database has answered, however long it cannot be reached. Raises StoreError if it answers
    that this cannot be done.
    """

    rate_per_s: float

    async def lease(self, permits: int, unused: int) -> Lease:
        """Return permits for requests that wait now: so many at most, and at least one.

        `unused` of those leased earlier were lost; they do not count towards the month.
        """

    async def state(self) -> QuotaState:
        """Return what there is to know without a permit."""

    async def throttled(self, written_at: float) -> None:
        """Slow the team down, unless it has slowed down since that moment."""

    async def pause(self, until: float) -> None:
        """Let none of the team send anything before that moment."""

    async def open_breaker(self, why: str, max_wait_s: float, pause_s: float) -> None:
        """Open the team's breaker, unless it is open; the first probe may go after a pause."""

    async def close_breaker(self) -> None:
        """Close it: a worker has found the service working."""

    async def take_probe(self, lost_after_s: float) -> bool:
        """Take the one probe that is due; returns whether it is this worker's. Another may take the next one then."""

    async def probe_failed(self, pause_share: float) -> None:
        """Give the probe back; the next one may go after that share of the pause that is due."""

    def cut_off(self) -> None:
        """Let no call wait for an answer any longer."""

    async def end(self, unused: int) -> None:
        """Have permits that were lost not count towards the month, if the database can be reached, and disconnect."""
