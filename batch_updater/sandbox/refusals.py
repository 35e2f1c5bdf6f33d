"""Refusals that carry their reason in the forms of other services, and answers that ask to wait in theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from batch_updater.sandbox.http_exchange import Exchange, as_response
from batch_updater.sandbox.responses import TOO_MANY_REQUESTS, ApiResponse, gateway_answer

if TYPE_CHECKING:
    from aiohttp import web

    Play = Callable[[Exchange, int], Awaitable[web.StreamResponse]]

_CLOSED = "is not valid: it is closed"
_LOCKED = "Record is locked by another user. Try again."


def _json(status: int, body: object, content_type: str = "application/json") -> ApiResponse:
    return ApiResponse(status, json.dumps(body, ensure_ascii=False).encode(), content_type)


REFUSALS = {
    "locked": _json(423, {"Message": _LOCKED}),
    "locked-409": _json(409, {"Message": _LOCKED}),
    "conflict": _json(409, {"Message": "The record was changed by another user since it was read."}),
    "errors-by-field": _json(
        400,
        {
            "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
            "title": "One or more validation errors occurred.",
            "status": 400,
            "errors": {"$.StageName": [_CLOSED], "AcctPotential": ["must be greater than 0"]},
        },
        "application/problem+json",
    ),
    "error-list": _json(422, {"errors": [{"field": "StageName", "message": _CLOSED}]}),
    "bare-list": _json(400, [{"errorCode": "CLOSED", "message": f"Stage {_CLOSED}", "fields": ["StageName"]}]),
    "odata-error": _json(
        400,
        {
            "error": {
                "code": "Bad",
                "message": "Update failed",
                "details": [{"target": "StageName", "message": _CLOSED}],
            }
        },
    ),
    "json-api-errors": _json(
        422, {"errors": [{"source": {"pointer": "/data/attributes/StageName"}, "title": "Invalid", "detail": _CLOSED}]}
    ),
    "soap-fault": ApiResponse(
        400,
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client'
        b"</faultcode><faultstring>Stage is not valid: it is closed</faultstring></s:Fault></s:Body></s:Envelope>",
        "text/xml",
    ),
    "text-refusal": ApiResponse(400, "Die Phase ist ungültig.".encode("latin-1"), "text/plain; charset=iso-8859-1"),
    "json-as-html": _json(400, {"error": {"message": f"Stage {_CLOSED}"}}, "text/html"),
    "unknown-form": _json(400, {"outcome": 17, "why": {"x": f"Stage {_CLOSED}"}}),
    "nested-reason": _json(
        400, {"Message": "An error has occurred", "InnerException": {"ExceptionMessage": f"Stage {_CLOSED}"}}
    ),
    "translated-reason": _json(422, {"errors": {"StageName": [{"code": "closed", "message": {"en": _CLOSED}}]}}),
    "no-words": _json(400, {"code": 1234, "ok": False}),
    "binary-refusal": ApiResponse(400, b"\x00\x01\x02\xff\xfe", "text/plain"),
    "no-reason": ApiResponse(400, b"", "text/plain"),
}
"""Name of a fault -> the whole answer."""


def refusal(name: str) -> Play:
    """Return what answers so and does nothing."""

    async def play(_: Exchange, __: int) -> web.StreamResponse:
        return as_response(REFUSALS[name])

    return play


async def accepted(exchange: Exchange, _: int) -> web.StreamResponse:
    """Do it, and say only that it will be done."""
    return _only_accepted(exchange, ApiResponse(202, b""))


async def accepted_page(exchange: Exchange, _: int) -> web.StreamResponse:
    """Do it, and say so little on a web page."""
    return _only_accepted(exchange, ApiResponse(202, b"<html><body>queued</body></html>", "text/html"))


def _only_accepted(exchange: Exchange, instead: ApiResponse) -> web.Response:
    answer = exchange.call.process()
    return as_response(instead if answer.status == 200 else answer)


async def retry_after_fraction(_: Exchange, milliseconds: int) -> web.StreamResponse:
    """503 with a pause in seconds that is no whole number."""
    return as_response(gateway_answer(503, "Service Unavailable", {"Retry-After": f"{milliseconds / 1000:.3f}"}))


async def retry_after_ms(_: Exchange, milliseconds: int) -> web.StreamResponse:
    """429 with a pause in milliseconds."""
    return as_response(gateway_answer(429, TOO_MANY_REQUESTS, {"x-ms-retry-after-ms": str(milliseconds)}))


async def rate_limit_reset(_: Exchange, seconds: int) -> web.StreamResponse:
    """429 with the end of the period, in seconds since 1970."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + seconds)}
    return as_response(gateway_answer(429, TOO_MANY_REQUESTS, headers))
