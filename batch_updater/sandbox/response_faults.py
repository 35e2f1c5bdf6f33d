"""Faults in what is answered: another status, another record, a reason in another form, or something that is none."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

from aiohttp import web
from msgspec.structs import replace

from batch_updater.sandbox.http_exchange import Exchange, FaultKind, as_response
from batch_updater.sandbox.record_store import Record
from batch_updater.sandbox.responses import (
    LIMIT_EXCEEDED,
    MISSING_TOKEN,
    TOO_MANY_REQUESTS,
    ApiResponse,
    gateway_answer,
    invalid_answer,
    json_answer,
    record_answer,
    status_answer,
    unauthorized_answer,
)

_NUMBER = re.compile(r": (-?[0-9][0-9.eE+-]*)(?=[,}])")
_ID = re.compile(r'(?<="ID": )[0-9]+')
_TYPE_AND_ID = re.compile(r'"Type": "[A-Za-z]+", "ID": [0-9]+')
_ID_MEMBER = re.compile(r'"ID": [0-9]+, ')
_AMOUNT = re.compile(r'(?<=(?:ntial|venue)": )(null|-?[0-9][0-9.eE+-]*)(?=[,}])')
_MEMBER = re.compile(r'(?<=[{ ])("[A-Za-z]+"): ')
_NAME = re.compile(r'(?<="OpportunityName": )(null|"(\\.|[^"\\])*")')
_UMLAUT = '"Gl\u00fcck"'
_NOT_SAVED = "The record is locked, nothing was saved."
_BOMB_BYTES = 64 * 1024 * 1024
_DEPTH = 100_000
_HOSTILE = '=HYPERLINK("http://127.0.0.1/","click")\x07 <script>alert(1)</script> _x0041_ \u202e'
_SIGN_IN = b"<!DOCTYPE html><html><head><title>Please sign in</title></head><body>Please sign in</body></html>"
_CLOSED = "is not valid: it is closed"
_STAGE_CLOSED = f"Stage {_CLOSED}"
_RECORD_LOCKED = {"Message": "Record is locked by another user. Try again."}
_BY_FIELD = {
    "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
    "title": "One or more validation errors occurred.",
    "status": 400,
    "errors": {"$.StageName": [_CLOSED], "AcctPotential": ["must be greater than 0"]},
}
_ODATA = {
    "error": {"code": "Bad", "message": "Update failed", "details": [{"target": "StageName", "message": _CLOSED}]}
}
_JSON_API = {"errors": [{"source": {"pointer": "/data/attributes/StageName"}, "title": "Invalid", "detail": _CLOSED}]}
_NESTED = {"Message": "An error has occurred", "InnerException": {"ExceptionMessage": _STAGE_CLOSED}}
_SOAP = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client'
    b"</faultcode><faultstring>Stage is not valid: it is closed</faultstring></s:Fault></s:Body></s:Envelope>"
)


def _refusal(
    name: str, meaning: str, answer: ApiResponse | Callable[[int], ApiResponse], lowest: int = 0, highest: int = 600_000
) -> FaultKind:
    """Return the fault that does nothing and answers this, which may depend on N."""

    def play(_: Exchange, number: int) -> ApiResponse:
        return answer if isinstance(answer, ApiResponse) else answer(number)

    return FaultKind(name, meaning, False, play, lowest, highest)


def _done(
    name: str,
    meaning: str,
    report: Callable[[Exchange, ApiResponse, int], ApiResponse],
    lowest: int = 0,
    highest: int = 600_000,
) -> FaultKind:
    """Return the fault that does it and reports something else, made of the right answer; a refusal stays as it is."""

    def play(exchange: Exchange, number: int) -> ApiResponse:
        answer = exchange.call.process()
        return report(exchange, answer, number) if answer.status == 200 else answer

    return FaultKind(name, meaning, True, play, lowest, highest)


def _report(
    name: str, meaning: str, change: Callable[[str], str | bytes], content_type: str = "application/json"
) -> FaultKind:
    """Return the fault that does it, and changes the text of the record."""

    def report(_: Exchange, answer: ApiResponse, __: int) -> ApiResponse:
        body = change(answer.body.decode())
        return ApiResponse(200, body.encode() if isinstance(body, str) else body, content_type)

    return _done(name, meaning, report)


def _asks_to_wait(status: int, header: str, value: str) -> ApiResponse:
    return gateway_answer(status, TOO_MANY_REQUESTS if status == 429 else "Service Unavailable", {header: value})


def _until(seconds: int) -> ApiResponse:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return _asks_to_wait(503, "Retry-After", date)


def _rate_limit_reset(seconds: int) -> ApiResponse:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + seconds)}
    return gateway_answer(429, TOO_MANY_REQUESTS, headers)


def _token_revoked(exchange: Exchange, _: int) -> ApiResponse:
    exchange.revoke_token()
    return unauthorized_answer()


def _echo(exchange: Exchange, status: int) -> ApiResponse:
    header, shown = _authorization(exchange)
    return invalid_answer(shown) if status in (0, 400) else gateway_answer(status, shown, {"X-Echo": header})


def _echo_in_record(exchange: Exchange, answer: ApiResponse, _: int) -> ApiResponse:
    shown = json.dumps(_authorization(exchange)[1])
    return replace(answer, body=_NAME.sub(lambda _: shown, answer.body.decode()).encode())


def _authorization(exchange: Exchange) -> tuple[str, str]:
    """Return the header, and it in every form in which layers of software pass texts on, and cut off at its end."""
    header = exchange.request.headers.get("Authorization", "")
    escaped = "".join(f"\\u{ord(character):04x}" for character in header)
    as_base64 = base64.b64encode(header.encode()).decode()
    every = "".join(f"%{ord(character):02X}" for character in header)
    return header, f"You sent {header} ({quote(header)}, {every}, {escaped}, {as_base64}), in short {header[:-3]}"


async def _slow(exchange: Exchange, milliseconds: int) -> web.StreamResponse:
    answer = exchange.call.process()
    await asyncio.sleep(milliseconds / 1000)
    return as_response(answer)


async def _close(exchange: Exchange, _: int) -> web.StreamResponse:
    response = as_response(exchange.call.process())
    response.force_close()
    return response


def _other_record(other: Record | None, answer: ApiResponse) -> ApiResponse:
    return answer if other is None else record_answer(other)


def _contradiction(exchange: Exchange, _: int) -> ApiResponse:
    answer = exchange.call.preview()
    if answer.status != 200:
        return answer
    body = answer.body.decode().removeprefix("[").removesuffix("]").removesuffix("}")
    return ApiResponse(200, f'{body}, "success": false, "error": "{_NOT_SAVED}"}}'.encode())


def _instead(exchange: Exchange, members: dict[str, object]) -> ApiResponse:
    """Answer with something else beside the id and the type, and do nothing, where the request could be done."""
    answer, record = exchange.call.preview(), exchange.call.find_record()
    if record is None or answer.status != 200:
        return answer
    return ApiResponse(200, json.dumps({"ID": record.id, "Type": record.type, **members}).encode())


def _gzip_bomb(exchange: Exchange, _: int) -> ApiResponse:
    exchange.call.process()
    return ApiResponse(200, gzip.compress(b" " * _BOMB_BYTES, mtime=0), headers={"Content-Encoding": "gzip"})


def _huge_headers(exchange: Exchange, _: int) -> ApiResponse:
    answer = exchange.call.process()
    return replace(answer, headers={**answer.headers, "X-Padding": "x" * 1_000_000})


RESPONSE_FAULTS = (
    _refusal("status-N", "answers with that status and its documented body", status_answer, 200, 599),
    _refusal("throttled", "429 as the gateway says it when the rate is exceeded",
             gateway_answer(429, TOO_MANY_REQUESTS)),
    _refusal("quota", "429 as the gateway says it when the quota is used up", gateway_answer(429, LIMIT_EXCEEDED)),
    _refusal("retry-after-N", "429 that asks to wait N seconds", lambda n: _asks_to_wait(429, "Retry-After", str(n))),
    _refusal("retry-after-503-N", "503 that asks to wait N seconds",
             lambda n: _asks_to_wait(503, "Retry-After", str(n))),
    _refusal("retry-after-date-N", "503 that asks to wait until N seconds from now", _until),
    _refusal("retry-after-fraction-N", "503 that asks to wait N ms, in seconds",
             lambda n: _asks_to_wait(503, "Retry-After", f"{n / 1000:.3f}")),
    _refusal("retry-after-ms-N", "429 that asks to wait N ms in a header of Azure's",
             lambda n: _asks_to_wait(429, "x-ms-retry-after-ms", str(n))),
    _refusal("rate-limit-reset-N", "429 whose limit is reset in N seconds", _rate_limit_reset),
    _refusal("missing-token", "403 as the gateway says it of an unknown path", gateway_answer(403, MISSING_TOKEN)),
    FaultKind("token-revoked", "401; the token is not taken any more", False, _token_revoked),
    _refusal("no-lists", "400 whose lists of valid names are empty",
             invalid_answer("Stage not found. Please select from available stages.")),
    _refusal("hostile-message", "400 whose message tries to be a formula, a link and markup", invalid_answer(_HOSTILE)),
    FaultKind("echo-authorization", "400 that repeats the Authorization header", False, _echo),
    FaultKind("echo-authorization-N", "the same with that status", False, _echo, 300, 599),
    _done("echo-in-record", "reports the Authorization header as a name", _echo_in_record),
    _refusal("locked", "423 that says that the record is locked", json_answer(423, _RECORD_LOCKED)),
    _refusal("locked-409", "409 that says so", json_answer(409, _RECORD_LOCKED)),
    _refusal("conflict", "409 that says that the record was changed",
             json_answer(409, {"Message": "The record was changed by another user since it was read."})),
    _refusal("errors-by-field", "400 with problem details of ASP.NET",
             replace(json_answer(400, _BY_FIELD), content_type="application/problem+json")),
    _refusal("error-list", "422 with a list of errors",
             json_answer(422, {"errors": [{"field": "StageName", "message": _CLOSED}]})),
    _refusal("bare-list", "400 that is a list of errors",
             json_answer(400, [{"errorCode": "CLOSED", "message": _STAGE_CLOSED, "fields": ["StageName"]}])),
    _refusal("odata-error", "400 with an error of OData", json_answer(400, _ODATA)),
    _refusal("json-api-errors", "422 with errors of JSON:API", json_answer(422, _JSON_API)),
    _refusal("soap-fault", "400 with a fault of SOAP", ApiResponse(400, _SOAP, "text/xml")),
    _refusal("text-refusal", "400 with a text in Latin-1",
             ApiResponse(400, "Die Phase ist ungültig.".encode("latin-1"), "text/plain; charset=iso-8859-1")),
    _refusal("json-as-html", "400 with JSON, labelled text/html",
             replace(json_answer(400, {"error": {"message": _STAGE_CLOSED}}), content_type="text/html")),
    _refusal("unknown-form", "400 with a reason in no known form",
             json_answer(400, {"outcome": 17, "why": {"x": _STAGE_CLOSED}})),
    _refusal("nested-reason", "400 whose reason is inside another error", json_answer(400, _NESTED)),
    _refusal("translated-reason", "422 with a text by language",
             json_answer(422, {"errors": {"StageName": [{"code": "closed", "message": {"en": _CLOSED}}]}})),
    _refusal("no-words", "400 with a number and a flag", json_answer(400, {"code": 1234, "ok": False})),
    _refusal("binary-refusal", "400 with bytes that are no text",
             ApiResponse(400, b"\x00\x01\x02\xff\xfe", "text/plain")),
    _refusal("no-reason", "400 without a body", ApiResponse(400, b"", "text/plain")),
    _refusal("long-message", "400 whose message has 200,000 characters", lambda _: invalid_answer("long " * 40_000)),
    _refusal("html-N", "a web page with that status", lambda n: ApiResponse(n, _SIGN_IN, "text/html"), 200, 599),
    _refusal("redirect-N", "redirects to another path with that status",
             lambda n: ApiResponse(n, b"", "text/plain", {"Location": "/elsewhere"}), 300, 399),
    FaultKind("slow-N", "applies the update and answers N milliseconds later", True, _slow),
    FaultKind("close", "answers and closes the connection", True, _close),
    FaultKind("stored-differs", "stores other values than were asked for, and reports them", True,
             lambda exchange, _: exchange.call.process_wrongly()),
    _done("other-record", "reports the next record in place of the one asked for",
          lambda exchange, answer, _: _other_record(exchange.call.find_record(1), answer)),
    _done("other-type", "reports the record of the other type",
          lambda exchange, answer, _: _other_record(exchange.call.find_record(of_other_type=True), answer)),
    _report("partial-record", "reports id and type alone", lambda record: f"{{{_TYPE_AND_ID.findall(record)[0]}}}"),
    _report("id-only", "reports the id alone", lambda record: f'{{"ID": {_ID.findall(record)[0]}}}'),
    _report("no-id", "reports the record without its id", lambda record: _ID_MEMBER.sub("", record)),
    _report("null-id", "reports the record with null for its id", lambda record: _ID.sub("null", record)),
    FaultKind("not-saved", "200 that says success: false, and an error", False,
             lambda exchange, _: _instead(exchange, {"success": False, "error": _NOT_SAVED})),
    FaultKind("errors-200", "200 with a list of errors and next to nothing of the record", False,
             lambda exchange, _: _instead(exchange, {"VisitID": None, "errors": [_NOT_SAVED]})),
    FaultKind("contradiction", "200 with the record as asked, and success: false", False, _contradiction),
    _done("record-N", "the right answer with that status", lambda _, answer, n: replace(answer, status=n), 200, 299),
    _report("huge-number", "reports amounts of 1e999999999", lambda record: _AMOUNT.sub("1e999999999", record)),
    _report("tiny-number", "reports amounts of 1e-999999999", lambda record: _AMOUNT.sub("1e-999999999", record)),
    _report("long-number", "reports amounts of a hundred thousand digits",
            lambda record: _AMOUNT.sub("7" * 100_000, record)),
    _report("minus-zero", "reports amounts of -0.00", lambda record: _AMOUNT.sub("-0.00", record)),
    _report("array-200", "reports the record inside an array", lambda record: f"[{record}]"),
    _report("numbers-as-text", "reports numbers in quotation marks", lambda record: _NUMBER.sub(r': "\1"', record)),
    _report("duplicate-keys", "reports every field twice, first with null",
            lambda record: _MEMBER.sub(r"\1: null, \1: ", record)),
    _report("nan", "reports NaN for every number, which is no JSON", lambda record: _NUMBER.sub(": NaN", record)),
    _done("accepted", "202 without a body", lambda *_: ApiResponse(202, b"")),
    _done("accepted-page", "202 with a web page",
          lambda *_: ApiResponse(202, b"<html><body>queued</body></html>", "text/html")),
    _report("empty-200", "200 without a body", lambda _: b""),
    _report("null-200", "200 with the body null", lambda _: b"null"),
    _report("text-200", "200 with the plain text OK", lambda _: b"OK", "text/plain"),
    _report("deep-json", "200 with a hundred thousand arrays inside one another",
            lambda _: b"[" * _DEPTH + b"]" * _DEPTH),
    _report("latin-1", "reports a name with an umlaut in Latin-1, which is not UTF-8",
            lambda record: _NAME.sub(_UMLAUT, record).encode("latin-1", errors="replace")),
    _report("byte-order-mark", "answers with a byte order mark before the JSON",
            lambda record: record.encode("utf-8-sig")),
    _report("wrong-content-type", "the right answer, labelled text/html", str, "text/html"),
    FaultKind("gzip-bomb", "a small answer that unpacks to 64 MiB", True, _gzip_bomb),
    FaultKind("huge-headers", "an answer with a header of a million bytes", True, _huge_headers),
)  # fmt: skip
