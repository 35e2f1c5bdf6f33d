"""Bodies of requests: forms, and spreadsheets that are written to disk while they arrive. All are bounded.

Sizes are held against the declared length first, then against what arrives. A body that stops arriving, or arrives too
slowly, is given up.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import unicodedata
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

_T = TypeVar("_T")
_MOST_BYTES = 1_000_000
"""Of a form without a spreadsheet."""
_MOST_FIELDS = 5_000
_STALLS_AFTER_S = 15.0
_SLOWEST_BYTES_PER_S = 10_000
_PIECE_BYTES = 262_144
_LONGEST_NAME = 150
_LONGEST_EXTENSION = 8
_UNREADABLE = (ValueError, AssertionError, HttpProcessingError, BadHttpMessage, web.RequestPayloadError)
"""What aiohttp raises for a body that is none, or not compressed as it says."""
TYPED: web.RequestKey[dict[str, str]] = web.RequestKey("typed", dict)
"""What a person has typed into the form of a request, to be shown if nothing comes of it."""
_ROWS = "rows"
_CARRIED = re.compile(
    r"(?:after|digest|columns_digest|newest|earlier|of_layout|resume_old|remember|accept|undo|apply|read)"
    r"|q\..*|(?:seen|near|same)-\d+"
)
"""Fields of our forms in which no one types: what a page was made of, boxes, answers by number, and buttons."""
PASTED = ("pasted rows", "input.tsv")
"""What pasted rows are called, and the file that they become."""


class ReceivedFile(msgspec.Struct, frozen=True):
    """A spreadsheet that has arrived in a folder."""

    name: str
    """What people call it: text only."""
    file: str
    """Its name in the folder: `input.<ext>`."""


class _Pace:
    """How long a body may take: it must go on arriving, and not too slowly as a whole."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._bytes = 0

    async def next(self, piece: Awaitable[_T]) -> _T:
        """Wait for the next piece. Raises HTTPRequestTimeout."""
        left_s = self._started + _STALLS_AFTER_S + self._bytes / _SLOWEST_BYTES_PER_S - time.monotonic()
        try:
            async with asyncio.timeout(min(_STALLS_AFTER_S, left_s)):
                result = await piece
        except TimeoutError as error:
            text = "The connection is too slow, or was interrupted. Nothing was done."
            refused = web.HTTPRequestTimeout(text=text)
            refused.force_close()
            raise refused from error
        if isinstance(result, bytes):
            self._bytes += len(result)
        return result


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; of several of a name the last.

    Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPUnsupportedMediaType, HTTPBadRequest.
    """
    _require_length(request, _MOST_BYTES)
    if request.content_type == "multipart/form-data":
        fields: dict[str, str] = {}
        await _read_parts(request, lambda part, read: _collect(part, read, fields), _MOST_BYTES)
        return fields
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="That is no form.")
    body, pace = bytearray(), _Pace()
    try:
        while piece := await pace.next(request.content.readany()):
            body += piece
            if len(body) > _MOST_BYTES:
                raise _too_large(_MOST_BYTES)
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )  # fmt: skip
    except _UNREADABLE as error:
        raise web.HTTPBadRequest(text="The form cannot be read.") from error
    return dict(pairs)


async def receive_file(
    request: web.Request,
    folder: Path,
    most_mb: int,
    require_token: Callable[[str], None],
    token_field: str,
    typed: dict[str, str] | None,
) -> ReceivedFile:
    """Write the file of a form, or its field `rows` with pasted rows, into a folder while it arrives.

    The token comes first in the form: nothing is written before it was checked. What was written of a file that is
    refused is removed. With a token that is refused, what was typed is read into `typed`, unless that is None. Raises
    as `read_form` does, HTTPBadRequest also if the form has neither, HTTPForbidden, HTTPInsufficientStorage.
    """
    most_bytes = most_mb * 1_000_000
    if request.content_length is not None and request.content_length > most_bytes + _MOST_BYTES:
        raise _too_large(most_bytes)
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType(text="That is no form with a file.")
    form = _FileForm(folder, most_bytes, require_token, token_field, typed)
    try:
        await _read_parts(request, form.take, most_bytes + _MOST_BYTES)
    except BaseException:
        await to_thread(_remove_input, folder)
        raise
    return form.received_file()


class _FileForm:
    """A form with a file or pasted rows, while its parts arrive."""

    def __init__(
        self,
        folder: Path,
        most_bytes: int,
        require_token: Callable[[str], None],
        token_field: str,
        typed: dict[str, str] | None,
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._require_token = require_token
        self._token_field = token_field
        self._typed = typed
        self._is_checked = False
        self._refused: web.HTTPForbidden | None = None
        self._received: ReceivedFile | None = None
        self._empty = ""

    async def take(self, part: BodyPartReader, read: Callable[[], Awaitable[bytes]]) -> None:
        """Take the next part. Raises what `receive_file` raises."""
        if part.name == self._token_field:
            self._check(await _text(read))
        elif self._refused:
            await self._keep(part, read, self._refused)
        else:
            await self._take_content(part, read)

    def received_file(self) -> ReceivedFile:
        """Return the file, once the form has arrived. Raises HTTPForbidden, HTTPBadRequest."""
        if self._refused:
            raise self._refused
        if not self._is_checked:
            self._require_token("")
        if self._received:
            return self._received
        if self._empty:
            raise web.HTTPBadRequest(text=f"{self._empty} is empty. Choose another file.")
        raise web.HTTPBadRequest(text="Choose a spreadsheet, or paste rows, first.")

    def _check(self, token: str) -> None:
        try:
            self._require_token(token)
        except web.HTTPForbidden as error:
            if self._typed is None:
                raise
            self._refused = error
        self._is_checked = True

    async def _keep(
        self, part: BodyPartReader, read: Callable[[], Awaitable[bytes]], refused: web.HTTPForbidden
    ) -> None:
        if self._typed is None or part.filename is not None:  # a file is chosen once more
            raise refused
        await _collect(part, read, self._typed)

    async def _take_content(self, part: BodyPartReader, read: Callable[[], Awaitable[bytes]]) -> None:
        if not self._is_checked:
            self._require_token("")
        name = safe_name(part.filename) if part.filename else PASTED[0] if part.name == _ROWS else ""
        if not name:
            await _text(read)
            return
        if self._received:
            raise web.HTTPBadRequest(text="One spreadsheet at a time, please.")
        extension = _extension(name) if part.filename else "tsv"
        path = self._folder / (f"input.{extension}" if extension else "input")
        if await _write(path, read, self._most_bytes):
            self._received = ReceivedFile(name, path.name)
        elif part.filename:
            self._empty = name


async def _write(path: Path, read: Callable[[], Awaitable[bytes]], most_bytes: int) -> bool:
    """Write what is read, for its owner alone. Returns whether there is a file: not of nothing, nor of blank rows."""
    is_blank, size = True, 0
    try:
        with await to_thread(_create, path) as file:
            while piece := await read():
                size += len(piece)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                is_blank = is_blank and not piece.strip()
                await to_thread(file.write, piece)
            await to_thread(_sync, file)
    except OSError as error:
        text = "The file cannot be kept: there is no room, or the server may not write. Tell the person who runs it."
        raise web.HTTPInsufficientStorage(text=text) from error
    if is_blank and (size == 0 or path.name == "input.tsv"):
        await to_thread(path.unlink)
        return False
    return True


def _remove_input(folder: Path) -> None:
    for path in folder.glob("input*"):
        path.unlink()


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _collect(part: BodyPartReader, read: Callable[[], Awaitable[bytes]], fields: dict[str, str]) -> None:
    text = await _text(read)
    if part.name is not None and part.filename is None:
        fields[part.name] = text


async def _text(read: Callable[[], Awaitable[bytes]]) -> str:
    body = bytearray()
    while piece := await read():
        body += piece
        if len(body) > _MOST_BYTES:
            raise _too_large(_MOST_BYTES)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text="The form cannot be read.") from error


async def _read_parts(
    request: web.Request,
    take: Callable[[BodyPartReader, Callable[[], Awaitable[bytes]]], Awaitable[None]],
    most_bytes: int,
) -> None:
    """Give every part of a multipart form to `take`, with what reads its next piece (b'' at the end)."""
    pace, size, count = _Pace(), 0, 0
    try:
        parts = await request.multipart()
        while (part := await pace.next(parts.next())) is not None:
            count += 1
            if not isinstance(part, BodyPartReader) or count > _MOST_FIELDS:
                raise web.HTTPBadRequest(text="The form cannot be read.")
            one = part

            async def read() -> bytes:
                nonlocal size
                piece = await pace.next(one.read_chunk(_PIECE_BYTES))  # noqa: B023  (read before the next part)
                size += len(piece)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                return piece

            await take(part, read)
    except _UNREADABLE as error:
        raise web.HTTPBadRequest(text="The form cannot be read.") from error


def _require_length(request: web.Request, most_bytes: int) -> None:
    if request.content_length is not None and request.content_length > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> web.HTTPRequestEntityTooLarge:
    megabytes = most_bytes // 1_000_000
    text = f"That is too large: more than {megabytes} MB. Nothing was done."
    return web.HTTPRequestEntityTooLarge(most_bytes, 0, text=text)


def parted(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields that hold what a person has typed, and the others, without which a form is not whole.

    A cell that holds what it showed before was not typed.
    """

    def is_typed(name: str, value: str) -> bool:
        is_as_shown = name.startswith("cell-") and value == fields.get(name.replace("cell-", "seen-"))
        return not is_as_shown and not _CARRIED.fullmatch(name)

    typed = {name: value for name, value in fields.items() if is_typed(name, value)}
    return typed, {name: value for name, value in fields.items() if name not in typed}


def safe_name(name: str) -> str:
    """Return a file's name as text: its last path segment in NFC, without control characters, not too long; or ''."""
    # Browsers escape these three in a name, and nothing else (HTML, "multipart form data").
    for escaped, character in (("%22", '"'), ("%0D", ""), ("%0A", "")):
        name = name.replace(escaped, character)
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    name = "".join(one for one in name if unicodedata.category(one) not in {"Cc", "Cs", "Zl", "Zp"}).strip(" ")
    if name in {".", ".."}:
        return ""
    if len(name) > _LONGEST_NAME:
        extension = f".{_extension(name)}" if _extension(name) else ""
        name = f"{name[: _LONGEST_NAME - len(extension) - 1]}…{extension}"
    return name


def _extension(name: str) -> str:
    """Return the extension in lower case, if it is one of letters and digits; else ''."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    return extension if re.fullmatch(rf"[a-z0-9]{{1,{_LONGEST_EXTENSION}}}", extension) else ""
