"""What every page needs: the settings, the stores, the worker, and the templates."""

from __future__ import annotations

import hashlib
import os
import re
from asyncio import to_thread
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType

import msgspec
from aiohttp import web
from markupsafe import Markup

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.messages import counted
from batch_updater.reporter.markup import TEMPLATES, as_value, bar_parts, in_body, plain
from batch_updater.reporter.style import COLOURS
from batch_updater.runs.run_list import RunList
from batch_updater.runs.uploads import StoredUpload, Uploads
from batch_updater.text.templates import environment_of
from batch_updater.version import __version__
from batch_updater.web.forms import TYPED, ReceivedFile, read_form, receive_file
from batch_updater.web.hidden_paths import HiddenPaths
from batch_updater.web.page_words import in_page_words
from batch_updater.web.security import (
    FIELD_OF_TOKEN,
    STATIC,
    Gate,
    form_token,
    has_known_origin,
    known_user,
    require_token,
    user_of,
)
from batch_updater.web.time_elements import time_element, with_time_elements
from batch_updater.web.worker import Worker

__all__ = [
    "PageContext",
    "context_of",
    "form_of",
    "is_fragment",
    "received_file",
    "typed_of",
    "upload_of",
    "user_of",
]

_KINDS = MappingProxyType({".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})
_UPLOADS_AT_ONCE = 4
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class StaticFile(msgspec.Struct, frozen=True):
    """A style sheet, script or picture, kept in memory under an address that changes with its content."""

    address: str
    body: bytes
    content_type: str


class PageContext:
    """Shared by all requests; `context_of(request)` returns it."""

    config: Config
    environment: Environment
    uploads: Uploads
    worker: Worker

    def __init__(
        self,
        config: Config,
        environment: Environment,
        uploads: Uploads,
        worker: Worker,
        gate: Gate,
        config_path: Path | None = None,
    ) -> None:
        """`config_path`: the file of the configuration; None: the environment alone is."""
        self.config = config
        self.config_path = config_path
        self.environment = environment
        self.uploads = uploads
        self.worker = worker
        self.gate = gate
        self.run_list = RunList(config.results.folder)
        self.receiving = 0
        """How many uploads are arriving."""
        here = Path(__file__).parent
        self.hidden_paths = hidden = HiddenPaths(config, config_path)

        def finalized(value: object) -> object:
            return in_body(hidden.text(value) if type(value) is str else value)

        self.with_times = partial(with_time_elements, finalized)
        """Makes elements of the times in a message of ours."""
        self._templates = environment_of(here / "templates", finalized, TEMPLATES)
        self._templates.filters |= {
            "plain": lambda text: plain(hidden.text(text)), "value": as_value, "exact": Markup.escape,
            "thousands": "{:,}".format, "counted": counted, "grouped": _grouped, "time": time_element,
            "with_times": self.with_times, "in_page_words": in_page_words,
        }  # fmt: skip
        files = {path.name: path.read_bytes() for path in (here / "static").iterdir() if path.suffix in _KINDS}
        files["app.css"] = _style(here / "static").encode()
        self.static = {name: _static_file(name, body) for name, body in files.items()}
        """Name of a file -> the file as it is served."""
        self._templates.globals |= {
            "static": lambda name: self.static[name].address, "bar_parts": bar_parts, "version": __version__,
        }  # fmt: skip

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: object) -> web.Response:
        """Return a page, or a fragment of one, of a template; `values` beside what every template has."""
        said = "" if is_fragment(request) else self.gate.said(request)
        text = self._templates.get_template(template).render(
            request=request,
            user=known_user(request),
            said=said,
            form_token=partial(_token_field, request),
            **values,
        )
        response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
        if said:
            self.gate.forget_said(response)
        return response

    def redirect(self, request: web.Request, path: str, said: str = "") -> web.Response:
        """Return the way to another page (303), which shows a sentence."""
        response = web.Response(status=303, headers={"Location": path})
        if said:
            self.gate.say(request, response, said)
        return response

    def without_paths(self, text: str) -> str:
        """Return a text without secrets, and without the folder of the results in paths."""
        return self.environment.redaction.text(text.replace(f"{self.config.results.folder}{os.sep}", ""))

    def may_send(self, user: str) -> bool:
        """Whether a person may send by themselves (web.may_send)."""
        return _is_among(user, self.config.web.may_send)

    def may_approve(self, user: str) -> bool:
        """Whether a person may approve what others send (web.may_approve)."""
        return _is_among(user, self.config.web.may_approve)

    def may_see(self, upload: StoredUpload, user: str) -> bool:
        """Whether a person may see an upload: their own, those that they may approve, and what is about a run."""
        is_one_person = self.config.web.auth == "token"
        is_of_run = upload.repairs is not None or upload.undoes is not None
        return is_one_person or is_of_run or upload.by == user or self.may_approve(user)


_CONTEXT = web.AppKey("context", PageContext)


def _is_among(user: str, names: tuple[str, ...]) -> bool:
    return "*" in names or user in names


def _grouped(number: str) -> str:
    """Return a decimal number with its digits in groups of three; any other text as it is."""
    return f"{Decimal(number):,f}" if _NUMBER.fullmatch(number) else number


def keep_context(app: web.Application, context: PageContext) -> None:
    """Let `context_of` return it for the requests of an application."""
    app[_CONTEXT] = context


def context_of(request: web.Request) -> PageContext:
    """Return what every page needs."""
    return request.app[_CONTEXT]


async def upload_of(request: web.Request) -> StoredUpload:
    """Return the upload that the address names. Raises HTTPNotFound if there is none that the person may see."""
    context = context_of(request)
    upload = await to_thread(context.uploads.upload, request.match_info["id"])
    if upload is None or not context.may_see(upload, user_of(request)):
        raise web.HTTPNotFound
    return upload


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form whose token was checked; of several of a name the last. Raises HTTPForbidden."""
    fields = await read_form(request)
    token = fields.pop(FIELD_OF_TOKEN, "")
    if has_known_origin(request):  # else it may be another site that has typed it, to be sent once more
        request[TYPED] = fields
    require_token(request, token)
    request[TYPED] = fields
    return fields


async def received_file(request: web.Request, folder: Path) -> ReceivedFile:
    """Write the file of a form whose token was checked, or the rows pasted into it, into a folder.

    Raises the HTTP errors that say why not; then nothing is left in the folder.
    """
    context = context_of(request)
    if context.receiving >= _UPLOADS_AT_ONCE:
        text = "Several files are arriving just now. Try again in a minute."
        raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "60"})
    context.receiving += 1
    try:
        most_mb = context.config.web.max_upload_mb
        typed = request[TYPED] = {}
        kept = typed if has_known_origin(request) else None
        return await receive_file(request, folder, most_mb, partial(require_token, request), FIELD_OF_TOKEN, kept)
    finally:
        context.receiving -= 1


def typed_of(request: web.Request) -> Mapping[str, str]:
    """Return what a person has typed into the form of this request, as far as it was read."""
    typed: Mapping[str, str] = request.get(TYPED, {})
    return typed


def is_fragment(request: web.Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def _token_field(request: web.Request) -> Markup:
    """Return the field that every form has first."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD_OF_TOKEN, form_token(request))


def _style(folder: Path) -> str:
    """Return the style sheet: that of the report's page, and ours behind it."""
    report = environment_of(TEMPLATES, in_body).get_template("report.css.j2").render(colours=COLOURS)
    return environment_of(folder, in_body).get_template("app.css.j2").render(report=Markup(report))  # noqa: S704  (our own)


def _static_file(name: str, body: bytes) -> StaticFile:
    digest = hashlib.sha256(body).hexdigest()[:16]
    kind = _KINDS[Path(name).suffix]
    return StaticFile(f"{STATIC}{digest}/{name}", body, kind)
