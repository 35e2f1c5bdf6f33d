"""The answers that the API and the gateway before it give, as they are documented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from batch_updater.sandbox.record_store import LANGUAGES, Record

TOO_MANY_REQUESTS = "Too Many Requests"
LIMIT_EXCEEDED = "Limit Exceeded"
MISSING_TOKEN = "Missing Authentication Token"  # noqa: S105  (the gateway's words for an unknown path or method)
_GATEWAY_MESSAGES = {
    403: "Forbidden",
    413: "Request Too Long",
    415: "Unsupported Media Type",
    429: TOO_MANY_REQUESTS,
    502: "Internal server error",
    503: "Service Unavailable",
    504: "Endpoint request timed out",
}


class ApiResponse(msgspec.Struct, frozen=True):
    """One whole answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    def on_the_wire(self) -> bytes:
        """Return the bytes of the answer, its status line and head included."""
        head = {"Content-Type": self.content_type, "Content-Length": str(len(self.body)), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n{lines}\r\n".encode() + self.body


def record_answer(record: Record) -> ApiResponse:
    """Return the record as it now stands (V2OpportunityPrePostFlat)."""
    return ApiResponse(200, record.as_json().encode())


def invalid_answer(message: str, language: int | None = None) -> ApiResponse:
    """Return 400 (V2OpportunityInvalidResponse); the lists are empty unless a language is given."""
    names = LANGUAGES.get(language or 0)
    categories = enumerate(names.categories if names else (), start=1)
    stages = enumerate(names.stages if names else (), start=1)
    return json_answer(
        400,
        {
            "ValidationMessage": message,
            "AvailableCategories": [{"CategoryID": number, "CategoryName": name} for number, name in categories],
            "AvailableStages": [{"StageID": number, "StageName": name} for number, name in stages],
        },
    )


def unauthorized_answer() -> ApiResponse:
    """Return 401, whose body is a plain string."""
    return ApiResponse(401, b"Not Authorized", "text/plain", {"WWW-Authenticate": "Bearer"})


def not_found_answer(identity: int | None = None) -> ApiResponse:
    """Return 404 (ObjectNotFoundResponse; its fields are not documented)."""
    which = "The opportunity" if identity is None else f"Opportunity {identity}"
    return json_answer(404, {"Message": f"{which} was not found."})


def gateway_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return what the gateway says by itself."""
    return json_answer(status, {"message": message}, headers)


def status_answer(status: int) -> ApiResponse:
    """Return the documented answer of a status; for one that is not documented, a gateway's."""
    match status:
        case 400:
            return invalid_answer("The request is not valid.")
        case 401:
            return unauthorized_answer()
        case 404:
            return not_found_answer()
        case 500:
            return json_answer(500, {"Message": "An error has occurred."})
        case 204 | 205 | 304:
            return ApiResponse(status, b"")
        case _:
            return gateway_answer(status, _GATEWAY_MESSAGES.get(status) or _phrase(status))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return an answer in JSON."""
    return ApiResponse(status, json.dumps(body, ensure_ascii=False).encode(), headers=headers or {})
