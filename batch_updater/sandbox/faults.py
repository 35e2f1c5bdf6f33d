"""Faults on demand: which there are, and which one a request meets.

A request names one in the header `X-Sandbox-Fault`, or as `fault:NAME` in the text of a field; with `:N` after it only
the first N attempts meet it, and then the next one named. Others meet one by chance, which depends on the seed alone.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping

import msgspec
from aiohttp import web

from batch_updater.sandbox.connection_faults import CONNECTION_FAULTS
from batch_updater.sandbox.http_exchange import Exchange, FaultKind, as_response
from batch_updater.sandbox.response_faults import RESPONSE_FAULTS
from batch_updater.sandbox.responses import ApiResponse

_MAGIC = re.compile(r"fault:([a-z0-9-]+?)(?::([0-9]{1,6}))?(?![a-z0-9:-])")


class Fault(msgspec.Struct, frozen=True):
    """One fault as it was named."""

    name: str
    kind: FaultKind
    number: int = 0

    async def play(self, exchange: Exchange) -> web.StreamResponse:
        """Answer the request, or break off, as the fault's meaning says."""
        played = self.kind.play(exchange, self.number)
        return as_response(played) if isinstance(played, ApiResponse) else await played


FAULTS = (*RESPONSE_FAULTS, *CONNECTION_FAULTS)


def find_fault(name: str) -> Fault:
    """Return the fault of that name. Raises ValueError if there is none."""
    stem, _, tail = name.rpartition("-")
    number = int(tail) if tail.isascii() and tail.isdigit() and len(tail) <= 6 else None
    for kind in FAULTS:
        if kind.name == name and not name.endswith("-N"):
            return Fault(name, kind)
        if number is not None and kind.name == f"{stem}-N" and kind.lowest <= number <= kind.highest:
            return Fault(name, kind, number)
    raise ValueError(f"There is no fault {name!r}. There are: {', '.join(kind.name for kind in FAULTS)}.")


class FaultChooser:
    """Decides which fault each request meets."""

    def __init__(self, seed: int, chances: Mapping[str, float]) -> None:
        """`chances`: name of a fault -> probability. Raises ValueError for unknown names."""
        self._seed = seed
        self._chances = tuple((find_fault(name), chance) for name, chance in chances.items())
        self._attempts: Counter[tuple[str, str]] = Counter()

    def reset(self) -> None:
        """Forget how many attempts there were."""
        self._attempts.clear()

    def choose(self, target: str, header: str | None, body: bytes) -> Fault | None:
        """Return the fault that a request meets; None if it is answered as ever.

        `target` is the same text for the same method and record. Raises ValueError if it names an unknown fault.
        """
        if header is None and b"fault:" not in body and not self._chances:
            return None
        text = f"fault:{header}" if header is not None else body.decode("utf-8", errors="replace")
        script = _MAGIC.findall(text)
        counted = target, repr(script)
        self._attempts[counted] += 1
        attempt = self._attempts[counted]
        if script:
            for name, times in script:
                fault = find_fault(name)
                if not times or attempt <= int(times):
                    return fault
                attempt -= int(times)
            return None
        digest = hashlib.blake2b(f"{self._seed} {target} {attempt}".encode(), digest_size=8).digest()
        drawn = int.from_bytes(digest) / 2**64
        for fault, chance in self._chances:
            if drawn < chance:
                return fault
            drawn -= chance
        return None
