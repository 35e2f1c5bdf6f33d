"""Faults in what is answered: another status, another record, or something that is none."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from batch_updater.sandbox.http_exchange import Exchange, as_response
from batch_updater.sandbox.responses import (
    LIMIT_EXCEEDED,
    MISSING_TOKEN,
    TOO_MANY_REQUESTS,
    ApiResponse,
    gateway_answer,
    invalid_answer,
    record_answer,
    status_answer,
    unauthorized_answer,
)

if TYPE_CHECKING:
    from aiohttp import web

_NUMBER = re.compile(r": (-?[0-9][0-9.eE+-]*)(?=[,}])")
_ID = re.compile(r'(?<="ID": )[0-9]+')
_ID_MEMBER = re.compile(r'"ID": [0-9]+, ')
_AMOUNT = re.compile(r'(?<=(?:ntial|venue)": )(null|-?[0-9][0-9.eE+-]*)(?=[,}])')
_MEMBER = re.compile(r'(?<=[{ ])("[A-Za-z]+"): ')
_NAME = re.compile(r'(?<="OpportunityName": )(null|"(\\.|[^"\\])*")')
_UMLAUT = '"Gl\u00fcck"'
_ODD_NUMBERS = {"huge": "1e999999999", "tiny": "1e-999999999", "long": "7" * 100_000, "minus-zero": "-0.00"}
_LOCKED = "The record is locked, nothing was saved."
_BOMB_BYTES = 64 * 1024 * 1024
_DEPTH = 100_000
_HOSTILE = '=HYPERLINK("http://127.0.0.1/","click")\x07 <script>alert(1)</script> _x0041_ \u202e'


async def status(_: Exchange, number: int) -> web.StreamResponse:
    """ApiResponse with a status and what is documented for it."""
    return as_response(status_answer(number))


async def throttled(_: Exchange, __: int) -> web.StreamResponse:
    """429, the kind that waiting helps."""
    return as_response(gateway_answer(429, TOO_MANY_REQUESTS))


async def quota(_: Exchange, __: int) -> web.StreamResponse:
    """429, the kind that waiting does not help."""
    return as_response(gateway_answer(429, LIMIT_EXCEEDED))


async def retry_after(_: Exchange, seconds: int) -> web.StreamResponse:
    """429 with a pause in seconds."""
    return as_response(gateway_answer(429, TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}))


async def unavailable(_: Exchange, seconds: int) -> web.StreamResponse:
    """503 with a pause in seconds."""
    return as_response(gateway_answer(503, "Service Unavailable", {"Retry-After": str(seconds)}))


async def until(_: Exchange, seconds: int) -> web.StreamResponse:
    """503 with a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return as_response(gateway_answer(503, "Service Unavailable", {"Retry-After": date}))


async def missing_token(_: Exchange, __: int) -> web.StreamResponse:
    """403, which says something about a token and means the path."""
    return as_response(gateway_answer(403, MISSING_TOKEN))


async def token_revoked(exchange: Exchange, _: int) -> web.StreamResponse:
    """401 now, and from now on for every request with this token."""
    exchange.revoke_token()
    return as_response(unauthorized_answer())


async def no_lists(_: Exchange, __: int) -> web.StreamResponse:
    """400 that teaches nothing."""
    return as_response(invalid_answer("Stage not found. Please select from available stages."))


async def hostile(_: Exchange, __: int) -> web.StreamResponse:
    """400 with a message that must not come to life in a spreadsheet, a page or a terminal."""
    return as_response(invalid_answer(_HOSTILE))


async def echo_refused(exchange: Exchange, _: int) -> web.StreamResponse:
    """400 that shows what the client has sent to prove who it is."""
    return await echo(exchange, 400)


async def echo(exchange: Exchange, status: int) -> web.StreamResponse:
    """Show it in the text of an error, and in a header."""
    header = _authorization(exchange)
    if status == 400:
        return as_response(invalid_answer(_in_every_form(header)))
    return as_response(gateway_answer(status, _in_every_form(header), {"X-Echo": header}))


async def echo_in_record(exchange: Exchange, _: int) -> web.StreamResponse:
    """Show it in a record."""
    shown = json.dumps(_in_every_form(_authorization(exchange)))
    return _reporting(exchange, lambda record: _NAME.sub(lambda _: shown, record).encode())


def _authorization(exchange: Exchange) -> str:
    return exchange.request.headers.get("Authorization", "")


def _in_every_form(header: str) -> str:
    """Return a header in every form in which layers of software pass texts on, and cut off at its end."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in header)
    as_base64 = base64.b64encode(header.encode()).decode()
    every = "".join(f"%{ord(character):02X}" for character in header)
    return f"You sent {header} ({quote(header)}, {every}, {escaped}, {as_base64}), in short {header[:-3]}"


async def long_message(_: Exchange, __: int) -> web.StreamResponse:
    """400 with a message longer than a cell can be."""
    return as_response(invalid_answer("long " * 40_000))


async def web_page(_: Exchange, number: int) -> web.StreamResponse:
    """ApiResponse with a page of some proxy."""
    page = b"<!DOCTYPE html><html><head><title>Please sign in</title></head><body>Please sign in</body></html>"
    return as_response(ApiResponse(number, page, "text/html"))


async def redirect(_: Exchange, number: int) -> web.StreamResponse:
    """Redirect to a path that no client has any business with."""
    return as_response(ApiResponse(number, b"", "text/plain", {"Location": "/elsewhere"}))


async def slow(exchange: Exchange, milliseconds: int) -> web.StreamResponse:
    """Do it at once, say so later."""
    answer = exchange.call.process()
    await asyncio.sleep(milliseconds / 1000)
    return as_response(answer)


async def close(exchange: Exchange, _: int) -> web.StreamResponse:
    """ApiResponse, and keep the connection no longer."""
    response = as_response(exchange.call.process())
    response.force_close()
    return response


async def differs(exchange: Exchange, _: int) -> web.StreamResponse:
    """RecordStore something else."""
    return as_response(exchange.call.process_wrongly())


async def other_record(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report the record with the next id."""
    return _reporting_other(exchange, 1, of_other_type=False)


async def other_type(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report the record with the same id and the other type."""
    return _reporting_other(exchange, 0, of_other_type=True)


def _reporting_other(exchange: Exchange, offset: int, *, of_other_type: bool) -> web.StreamResponse:
    answer = exchange.call.process()
    other = exchange.call.find_record(offset, of_other_type=of_other_type)
    return as_response(answer if other is None or answer.status != 200 else record_answer(other))


async def partial_record(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report what the record is, and nothing that it holds."""
    answer = exchange.call.process()
    other = exchange.call.find_record()
    if other is None or answer.status != 200:
        return as_response(answer)
    return as_response(ApiResponse(200, f'{{"Type": "{other.type}", "ID": {other.id}}}'.encode()))


async def id_only(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report the id, and not even the type."""
    return _reporting(exchange, lambda record: f'{{"ID": {_ID.findall(record)[0]}}}'.encode())


async def no_id(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report all but the id."""
    return _reporting(exchange, lambda record: _ID_MEMBER.sub("", record).encode())


async def null_id(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report an id that is null."""
    return _reporting(exchange, lambda record: _ID.sub("null", record).encode())


async def not_saved(exchange: Exchange, _: int) -> web.StreamResponse:
    """Say that it went well by the status, and that it did not by the body."""
    return _instead(exchange, {"success": False, "error": _LOCKED})


async def errors(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report a record with nothing in it but errors."""
    return _instead(exchange, {"VisitID": None, "errors": [_LOCKED]})


async def contradiction(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report what the record would be, and that it is not."""
    answer = exchange.call.preview()
    if answer.status != 200:
        return as_response(answer)
    body = answer.body.decode().removeprefix("[").removesuffix("]").removesuffix("}")
    return as_response(ApiResponse(200, f'{body}, "success": false, "error": "{_LOCKED}"}}'.encode()))


def _instead(exchange: Exchange, members: dict[str, object]) -> web.StreamResponse:
    """ApiResponse with something else beside the id and the type, and do nothing, where the request could be done."""
    answer, record = exchange.call.preview(), exchange.call.find_record()
    if record is None or answer.status != 200:
        return as_response(answer)
    return as_response(ApiResponse(200, json.dumps({"ID": record.id, "Type": record.type, **members}).encode()))


async def record_with_status(exchange: Exchange, number: int) -> web.StreamResponse:
    """Do it, and report the record with another status."""
    answer = exchange.call.process()
    return as_response(replace(answer, status=number) if answer.status == 200 else answer)


def odd_numbers(name: str) -> Callable[[Exchange, int], Awaitable[web.StreamResponse]]:
    """Return what reports a number of that name for both amounts."""

    async def report(exchange: Exchange, _: int) -> web.StreamResponse:
        return _reporting(exchange, lambda record: _AMOUNT.sub(_ODD_NUMBERS[name], record).encode())

    return report


async def array(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report an array of one record."""
    return _reporting(exchange, lambda record: f"[{record}]".encode())


async def numbers_as_text(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report "100000.00"."""
    return _reporting(exchange, lambda record: _NUMBER.sub(r': "\1"', record).encode())


async def duplicate_keys(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report every field twice; most readers take the second."""
    return _reporting(exchange, lambda record: _MEMBER.sub(r"\1: null, \1: ", record).encode())


async def nan(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report what some readers take for a number."""
    return _reporting(exchange, lambda record: _NUMBER.sub(": NaN", record).encode())


async def empty(exchange: Exchange, _: int) -> web.StreamResponse:
    """Say nothing."""
    return _reporting(exchange, lambda _: b"")


async def null(exchange: Exchange, _: int) -> web.StreamResponse:
    """Say null."""
    return _reporting(exchange, lambda _: b"null")


async def text(exchange: Exchange, _: int) -> web.StreamResponse:
    """Say OK."""
    return _reporting(exchange, lambda _: b"OK", "text/plain")


async def deep(exchange: Exchange, _: int) -> web.StreamResponse:
    """Say something that recursive readers cannot read."""
    return _reporting(exchange, lambda _: b"[" * _DEPTH + b"]" * _DEPTH)


async def latin_1(exchange: Exchange, _: int) -> web.StreamResponse:
    """Report bytes that are not UTF-8."""
    return _reporting(exchange, lambda record: _NAME.sub(_UMLAUT, record).encode("latin-1", errors="replace"))


async def byte_order_mark(exchange: Exchange, _: int) -> web.StreamResponse:
    """Begin with U+FEFF."""
    return _reporting(exchange, lambda record: record.encode("utf-8-sig"))


async def wrong_content_type(exchange: Exchange, _: int) -> web.StreamResponse:
    """Label JSON as something else."""
    return _reporting(exchange, str.encode, "text/html")


async def gzip_bomb(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send 64 KiB that unpack to 64 MiB of blanks."""
    exchange.call.process()
    packed = gzip.compress(b" " * _BOMB_BYTES, mtime=0)
    return as_response(ApiResponse(200, packed, headers={"Content-Encoding": "gzip"}))


async def huge_headers(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send a header that no client should take."""
    response = as_response(exchange.call.process())
    response.headers["X-Padding"] = "x" * 1_000_000
    return response


def _reporting(
    exchange: Exchange, change: Callable[[str], bytes], content_type: str = "application/json"
) -> web.StreamResponse:
    """ApiResponse with a changed body where the update was accepted; a refusal stays as it is."""
    answer = exchange.call.process()
    if answer.status != 200:
        return as_response(answer)
    return as_response(ApiResponse(200, change(answer.body.decode()), content_type))
