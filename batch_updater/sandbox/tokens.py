"""Who may use the API: one documented token, and those that the token endpoint gives out (RFC 6749, section 4.4)."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from batch_updater.sandbox.responses import ApiResponse

STATIC_TOKEN = "sandbox-token"  # noqa: S105  (documented, and opens nothing but the sandbox)
CLIENT_ID = "sandbox"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105  (documented, and opens nothing but the sandbox)
_NOT_TO_BE_KEPT = {"Cache-Control": "no-store"}


class Tokens:
    """The tokens that are taken."""

    def __init__(self, expires_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._expires_s = expires_s
        self._clock = clock
        self._issued: dict[str, tuple[str, float]] = {}
        self._revoked: set[str] = set()

    def name_of(self, authorization: str | None) -> str | None:
        """Return how the log calls the token of an Authorization header; None if it is not taken."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or token in self._revoked:
            return None
        if token == STATIC_TOKEN:
            return STATIC_TOKEN
        name, valid_until = self._issued.get(token, ("", 0.0))
        return name if name and self._clock() < valid_until else None

    def revoke(self, authorization: str | None) -> None:
        """Take the token of an Authorization header no more."""
        self._revoked.add((authorization or "").partition(" ")[2])

    def reset(self) -> None:
        """Take revoked tokens again."""
        self._revoked.clear()

    def answer(self, content_type: str, body: bytes) -> ApiResponse:
        """Answer a request to the token endpoint."""
        if content_type != "application/x-www-form-urlencoded":
            return _refusal(400, "invalid_request")
        form = parse_qs(body.decode("ascii", errors="replace"), keep_blank_values=True)
        if any(len(values) > 1 for values in form.values()) or "grant_type" not in form:
            return _refusal(400, "invalid_request")
        if form["grant_type"] != ["client_credentials"]:
            return _refusal(400, "unsupported_grant_type")
        client, secret = form.get("client_id", [""])[0], form.get("client_secret", [""])[0]
        if not (_same(client, CLIENT_ID) and _same(secret, CLIENT_SECRET)):
            return _refusal(401, "invalid_client")
        # A prefix of its own, so that a search for leaked tokens finds every one.
        token = f"sandbox-issued-{secrets.token_urlsafe(24)}"
        self._issued[token] = (f"issued-{len(self._issued) + 1}", self._clock() + self._expires_s)
        issued = {"access_token": token, "token_type": "Bearer", "expires_in": int(self._expires_s)}
        return ApiResponse(200, json.dumps(issued).encode(), headers=_NOT_TO_BE_KEPT)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _refusal(status: int, error: str) -> ApiResponse:
    return ApiResponse(status, json.dumps({"error": error}).encode(), headers=_NOT_TO_BE_KEPT)
