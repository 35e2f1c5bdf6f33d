"""What the sandbox received, in order."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Received:
    """One request and its answer."""

    method: str
    path: str
    """As it stood on the wire, percent-encoded."""
    query: str
    """As it stood on the wire, without the question mark."""
    headers: Mapping[str, str]
    """Without Authorization; empty where they are not kept."""
    body: bytes
    """b'' where it is not kept."""
    at_s: float
    """When it had arrived in full, seconds since 1970."""
    token: str | None = None
    """Which token it carried: `sandbox-token`, `issued-1`, ...; None if none that is taken."""
    status: int | None = None
    """None: no answer was begun."""
    applied: bool = False
    """Whether the record was changed, whatever was answered."""
    fault: str | None = None
    """Name of the fault that it met."""

    def as_json(self) -> str:
        """Return it as one line; a body that is not UTF-8 is under `body_base64`."""
        shown: dict[str, object] = {
            "method": self.method, "path": self.path, "query": self.query, "headers": dict(self.headers),
            "at_s": self.at_s, "token": self.token, "status": self.status, "applied": self.applied, "fault": self.fault,
        }  # fmt: skip
        try:
            shown["body"] = self.body.decode("utf-8")
        except UnicodeDecodeError:
            shown["body_base64"] = base64.b64encode(self.body).decode("ascii")
        return json.dumps(shown)
