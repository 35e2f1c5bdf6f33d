"""The server of the page: its addresses, its answers to what goes wrong, and its start and end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import time
import traceback
from asyncio import to_thread
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, WebSettings
from batch_updater.errors import ExitCode, GuardError, InputError, LockedError, ResultsError, StoreError, UsageError
from batch_updater.files.writing import private_folder
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.lock import WEB, locked_pages
from batch_updater.runs.sending import responsive
from batch_updater.runs.store import DamagedStoreError
from batch_updater.runs.team_database import is_of_team_database
from batch_updater.runs.team_drafts import TeamDrafts
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_uploads import DEAD_S, TeamUploads
from batch_updater.runs.uploads import Uploads
from batch_updater.web import (
    check_page,
    home_page,
    preview_page,
    questions_page,
    row_page,
    run_page,
    settings_page,
)
from batch_updater.web.context import PageContext, context_of, is_fragment, keep_context, typed_of
from batch_updater.web.forms import parted
from batch_updater.web.page_words import in_page_words
from batch_updater.web.security import KEY, STATIC, AccessKey, Gate, is_loopback, known_user, own_path, set_headers
from batch_updater.web.worker import Worker

_PORTS_TRIED = 20
_THREADS = 16
_ENDS_WITHIN_S = 2.0
"""How long requests may take to end when the server does: those that wait for something new would not."""
_KEEPS_CONNECTION_S = 75.0
_logger = logging.getLogger(__name__)


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    file = context_of(request).static.get(name)
    if file is None or file.address != request.path:
        raise web.HTTPNotFound
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


def routes() -> tuple[web.RouteDef, ...]:
    """Return every address of the page."""
    return (
        web.get(f"{STATIC}{{digest}}/{{name}}", _static),
        *home_page.routes,
        *questions_page.routes,
        *check_page.routes,
        *preview_page.routes,
        *run_page.routes,
        *row_page.routes,
        *settings_page.routes,
    )


def application(context: PageContext) -> web.Application:
    """Return the page as an application of aiohttp."""
    app = web.Application(middlewares=[_explain, context.gate.admit])
    app.on_response_prepare.append(set_headers)
    keep_context(app, context)
    run_page.add_streams(app)
    app.add_routes(routes())
    return app


# --- what goes wrong ---

_TITLES = {
    400: "That cannot be read",
    401: "Please sign in",
    403: "Not allowed",
    404: "There is no such page",
    405: "That cannot be done here",
    408: "That took too long",
    409: "That cannot be done now",
    413: "Too large",
    415: "That cannot be read",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Too much at once",
    507: "No room left",
}
_OF_DISK = (
    "The server cannot read or write one of its own files: there may be no room left, or it is locked, damaged or gone."
)
_OF_TEAM = "Nothing was done. Runs in the queue continue once it answers."
_SEND_AGAIN = "Please send it once more"
"""Of a form whose session has ended."""
_TEXTS = {
    404: "The address is wrong, what it was about was removed, or you may not see it.",
    405: "This address does not take such a request.",
}


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what went wrong with a page in plain words; what was typed is on it."""
    started, why = time.monotonic(), ""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        default = error.reason if error.text == f"{error.status}: {error.reason}" else error.text
        response = _error_page(request, error.status, _TEXTS.get(error.status, default or ""))
        response.headers.extend({
            name: value for name, value in error.headers.items() if name in {hdrs.ALLOW, hdrs.RETRY_AFTER}
        })  # fmt: skip
        response.cookies.update(error.cookies)
        if error.keep_alive is False:
            response.force_close()
    except (ConnectionError, asyncio.CancelledError):
        raise  # the browser is gone
    except Exception as error:  # noqa: BLE001  (the boundary of a request, as that of a command is in the command line)
        if is_of_team_database(error):
            why = f": {error}"
            response = _error_page(request, 503, _OF_TEAM, heading="The team's database does not answer; try again")
            response.headers[hdrs.RETRY_AFTER] = "10"
        elif isinstance(error, (UsageError, GuardError, LockedError)):
            text = " ".join(filter(None, (*error.lines, *error.remedy_lines)))
            response = _error_page(request, 409, in_page_words(text))
        else:
            response = _fault_page(request, error)
    _log(request, response.status, time.monotonic() - started, why)
    return response


def _fault_page(request: web.Request, error: Exception) -> web.Response:
    """Log what must not happen, and return the page that tells the reference under which it is in the log."""
    reference = secrets.token_hex(4)
    what = f"{request.method} {request.rel_url.raw_path} failed, reference {reference}"
    _logger.error("%s\n%s", what, "".join(traceback.format_exception(error)))  # redacted as a whole
    is_of_disk = isinstance(error, (OSError, InputError, ResultsError, StoreError, DamagedStoreError))
    why = _OF_DISK if is_of_disk else "This is a fault of the program, not of your file."
    return _error_page(request, 500, f"{why} Tell the person who runs the server: reference {reference}.")


def _error_page(request: web.Request, status: int, text: str, *, heading: str = "") -> web.Response:
    context = context_of(request)
    typed, carried = parted(typed_of(request))
    return context.page(
        request,
        "error_notice.html.j2" if is_fragment(request) else "error.html.j2",
        status=status,
        heading=heading or (_SEND_AGAIN if status == 403 and typed else _TITLES.get(status, "That cannot be done")),
        text=text,
        typed=typed,
        carried=carried,
        action=own_path(request.rel_url.with_query(None)),
        asks_for_key=KEY if status == 401 and context.config.web.auth == "token" else "",
    )


def _log(request: web.Request, status: int, seconds: float, why: str) -> None:
    """Log an answer: never the query, which may hold the key, nor anything that was typed. A path is one line."""
    level = logging.WARNING if status in {401, 403, 429, 503} else logging.DEBUG
    if not request.path.startswith(STATIC):
        who, took_ms = known_user(request) or "not signed in", 1000 * seconds
        path = request.rel_url.raw_path
        _logger.log(level, "%s %s %s, %.0f ms, %s%s", request.method, path, status, took_ms, who, why)


# --- start and end ---


class Listening:
    """A port that is taken, and the link under which the page is reached there."""

    def __init__(self, settings: WebSettings) -> None:
        """Take the port, or one of the next if it is taken. Raises UsageError."""
        self.host = settings.host
        self._is_token = settings.auth == "token"
        if self._is_token and not is_loopback(settings.host):
            raise UsageError(
                f"{settings.host} can be reached by others, and the key in a link is for one person on this machine.",
                remedy="Put a proxy in front that signs people in, and set web.auth to proxy; or leave out --host.",
            )
        # A proxy knows one port; a person gets a link.
        ports = range(settings.port, settings.port + (_PORTS_TRIED if self._is_token and settings.port else 1))
        self.socket = self._first(ports)
        self.port: int = self.socket.getsockname()[1]
        self.key = AccessKey() if self._is_token else None

    def _first(self, ports: range) -> socket.socket:
        for port in ports:
            try:
                family, _, _, _, address = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)[0]
                return socket.create_server(address[:2], family=family, backlog=128)
            except OverflowError:
                break
            except OSError as error:
                reason = error.strerror or str(error)
                if error.errno != errno.EADDRINUSE:
                    break
        last = f" to {ports[-1]}" if len(ports) > 1 else ""
        raise UsageError(
            f"{self.host}, port {ports[0]}{last}, cannot be served: {reason}.",
            remedy="Choose another with --host and --port, or web.host and web.port in the configuration.",
        )

    @property
    def address(self) -> str:
        """The address without the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def link(self) -> str:
        """The address, with the key if there is one."""
        return f"{self.address}?{KEY}={self.key.text}" if self.key else self.address


def serve(
    config: Config,
    environment: Environment,
    interrupts: StopRequests,
    started: Callable[[str], None],
    config_path: Path | None = None,
    dead_after_s: float = DEAD_S,
) -> ExitCode:
    """Serve the page until a signal ends it: the first one cleanly, a second one at once.

    `started` gets the link as soon as it is answered, `config_path` is the file of the configuration; after
    `dead_after_s` without a sign of this server, others of its team take it to be dead. Raises UsageError, LockedError,
    ResultsError, StoreError.
    """
    with ExitStack() as stack:
        listening = Listening(config.web)
        stack.enter_context(listening.socket)
        folder = config.results.folder / WEB
        private_folder(folder)
        stack.enter_context(locked_pages(config.results.folder, listening.address))
        uploads, drafts = _uploads(config, environment, folder, dead_after_s)
        stack.callback(uploads.close)
        worker = Worker(config, environment, uploads, drafts)
        gate = Gate(config.web, uploads, (listening.host, listening.port), listening.key)
        context = PageContext(config, environment, uploads, worker, gate, config_path)
        with responsive():  # four checks would hold up each step of a page for 5 ms, and it has dozens
            asyncio.run(_serve(context, listening, interrupts, started))
    return ExitCode.OK


def _uploads(
    config: Config, environment: Environment, folder: Path, dead_after_s: float
) -> tuple[Uploads, TeamDrafts | None]:
    """Return the database of the page, and the drafts of all hosts if a team has it in common. Raises ResultsError."""
    team = team_of(config.results.folder)
    if team is None:
        return Uploads(folder), None
    uploads = TeamUploads(folder, team, environment.redaction.text, dead_after_s)
    return uploads, TeamDrafts(uploads)


async def _serve(
    context: PageContext, listening: Listening, interrupts: StopRequests, started: Callable[[str], None]
) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="page"))
    runner = web.AppRunner(
        application(context),
        access_log=None,
        logger=_logger,
        shutdown_timeout=_ENDS_WITHIN_S,
        keepalive_timeout=_KEEPS_CONNECTION_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening.socket).start()
        # What was begun can be resumed: a second signal need not wait for anything.
        interrupts.sending(loop, ended.set, lambda: os._exit(ExitCode.RUN_AGAIN))
        await to_thread(context.worker.start)
        # The first look at hundreds of runs takes longer than a page may take.
        first_look = asyncio.create_task(to_thread(context.run_list.entries))
        first_look.add_done_callback(lambda look: look.cancelled() or look.exception())
        started(listening.link)
        await ended.wait()
    finally:
        await runner.cleanup()
        await to_thread(context.worker.shut_down)
        interrupts.sent()


class _Lines(logging.Handler):
    """Gives each line of the log to a function, redacted."""

    def __init__(self, say: Callable[[str], None], redact: Callable[[str], str]) -> None:
        super().__init__()
        self._say = say
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        for line in self._redact(record.getMessage()).splitlines():
            self._say(f"{at} {line}")


@contextmanager
def logged(say: Callable[[str], None], redact: Callable[[str], str], *, every_request: bool) -> Iterator[None]:
    """Give the log of the page to `say`, line by line; from any thread."""
    handler = _Lines(say, redact)
    handler.setLevel(logging.DEBUG if every_request else logging.WARNING)
    logger = logging.getLogger("batch_updater.web")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
