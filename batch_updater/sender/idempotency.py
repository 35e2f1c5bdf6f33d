"""Keys that make the attempts at a row count once, however many arrive."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5


def idempotency_key(run: str, row: int) -> str:
    """Return the key of a row, the same in all parts of its run: a UUID by name (RFC 9562, section 5.5).

    `run` is what tells the run from every other one.
    """
    return str(uuid5(NAMESPACE_OID, f"{run} {row}"))
