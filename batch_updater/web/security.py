"""Who may make a request: the address it is for, where it comes from, who is signed in, and the token of a form.

All requests pass the gate, unknown addresses and static files included. What it refuses is raised as an HTTP error,
before anything of the body is read; but what a person has typed whose session has ended is read, to be shown again.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from asyncio import to_thread
from collections import deque
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import quote, unquote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from batch_updater.config.schema import WebSettings
from batch_updater.runs.uploads import Uploads
from batch_updater.web.forms import TYPED, read_form

STATIC = "/static/"
FIELD_OF_TOKEN = "token"  # noqa: S105  (a field's name)
KEY = "key"
"""The parameter of the printed link."""
_SESSION_DAYS = 30
_SAID_S = 60
"""How long a message waits for the page that shows it."""
_LONGEST_SAID = 500
_WRONG_KEYS = 10
_WRONG_KEYS_WITHIN_S = 60.0
_LONGEST_NAME = 200
_EARLIER_SESSION = "The form is of an earlier session. Nothing was done."
_SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_USER = web.RequestKey("user", str)
_SESSION = web.RequestKey("session", str)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex",
    "Server": "batch-updater",
}


def own_user() -> str:
    """Return the name of the person who has started the program: the one person of `web.auth: token`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "unknown"


def is_loopback(host: str) -> bool:
    """Whether an address that a server is to listen on is one that no other machine can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def user_of(request: web.Request) -> str:
    """Return who makes the request."""
    return request[_USER]


def known_user(request: web.Request) -> str | None:
    """Return who makes the request; None if it was refused before that was known."""
    return request.get(_USER)


def form_token(request: web.Request) -> str:
    """Return the token of the forms of this session; '' without a session. Another session has another one."""
    session = request.get(_SESSION)
    return _signature(session, "form") if session else ""


def require_token(request: web.Request, token: str) -> None:
    """Raise HTTPForbidden unless it is the token of this session."""
    if not hmac.compare_digest(_bytes(token), _bytes(form_token(request))) or not token:
        raise web.HTTPForbidden(text=_EARLIER_SESSION)


def has_known_origin(request: web.Request) -> bool:
    """Whether the browser says where a form comes from: not by plain http. There the token alone tells."""
    return request.headers.get("Origin") != "null" or "Sec-Fetch-Site" in request.headers


def _signature(session: str, purpose: str) -> str:
    return hmac.new(_bytes(session), _bytes(purpose), hashlib.sha256).hexdigest()


def _digest(session: str) -> str:
    return hashlib.sha256(_bytes(session)).hexdigest()


def _bytes(text: str) -> bytes:
    """Return what a header or an address has said, which need not be UTF-8."""
    return text.encode(errors="surrogatepass")


async def set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Set what every answer says to browsers. Answers that may be kept say so themselves, all others may not."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


class AccessKey:
    """The key of the printed link, new at each start; nothing but the link has it."""

    def __init__(self) -> None:
        self.text = secrets.token_urlsafe(24)
        self._wrong_at: deque[float] = deque(maxlen=_WRONG_KEYS)

    def require(self, given: str) -> None:
        """Raise HTTPForbidden for a wrong key, HTTPTooManyRequests for any key after too many of those."""
        now = time.monotonic()
        if len(self._wrong_at) == _WRONG_KEYS and (waits_s := self._wrong_at[0] + _WRONG_KEYS_WITHIN_S - now) > 0:
            text = "Too many wrong keys. Try again in a minute."
            raise web.HTTPTooManyRequests(text=text, headers={"Retry-After": str(int(waits_s) + 1)})
        if not hmac.compare_digest(_bytes(given), _bytes(self.text)):
            self._wrong_at.append(now)
            raise web.HTTPForbidden(
                text="The key is wrong. It is new each time the server starts: open the link that it has printed last."
            )


class Gate:
    """Lets requests in. With a key, the person who has it is the one person; without, a proxy says who it is."""

    def __init__(
        self, settings: WebSettings, uploads: Uploads, address: tuple[str, int], key: AccessKey | None
    ) -> None:
        """`address`: host and port that are served. `key`: None with `web.auth: proxy`."""
        host, self._port = address
        self._names = frozenset({"localhost", "127.0.0.1", "::1", host.lower()})
        self._header = settings.user_header
        self._proxies = tuple(map(ip_network, settings.trusted_proxies))
        self._uploads = uploads
        self._key = key
        self._cookie = f"batch-updater-{self._port}"
        self._cookie_of_message = f"{self._cookie}-said"

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that may be made. Raises HTTPForbidden, HTTPUnauthorized, HTTPTooManyRequests."""
        named = self._user_of_proxy(request) if self._key is None else None
        is_plain = self._key is None and not self._is_https(request)
        _require_own_origin(request, self._own_origins(request), is_plain=is_plain)
        if request.path.startswith(STATIC):
            return await handler(request)
        if self._key and request.method == hdrs.METH_GET and KEY in request.query:
            return await self._sign_in(request, self._key)
        session = request.cookies.get(self._cookie, "")
        user = await to_thread(self._uploads.session_user, _digest(session), datetime.now(UTC)) if session else None
        if user is None and _is_led(request):
            # The strict cookie stayed away: there is a session, and no other takes its place.
            return _way_on(own_path(request.rel_url))
        if named is None and user is None:
            raise await self._without_session(request)
        is_new = named is not None and user != named
        if is_new and not has_known_origin(request):  # another site's form would replace the session of now
            raise web.HTTPForbidden(text=_EARLIER_SESSION)
        if is_new:
            session, user = await self._new_session(named or ""), named
        request[_USER], request[_SESSION] = user or "", session
        try:
            response = await handler(request)
        except web.HTTPException as error:
            if is_new:
                self._set_cookie(request, error, session)
            raise
        if is_new and not response.prepared:
            self._set_cookie(request, response, session)
        return response

    async def _sign_in(self, request: web.Request, key: AccessKey) -> web.StreamResponse:
        """Give the session of a right key to the browser, and leave the key out of its address."""
        key.require(request.query[KEY])
        path = own_path(request.rel_url.without_query_params(KEY))
        # It would follow a redirection without the new cookie.
        response = _way_on(path) if _is_led(request) else web.Response(status=303, headers={"Location": path})
        self._set_cookie(request, response, await self._new_session(own_user()))
        return response

    async def _without_session(self, request: web.Request) -> web.HTTPException:
        """Return what is told without a session. What was typed is kept on the page, where a key can be typed too.

        With a right key, the error gives a session to the browser, and nothing else is done: what was typed is shown
        with the token of that session. Raises HTTPTooManyRequests, HTTPRequestTimeout.
        """
        sign_in = web.HTTPUnauthorized(text="Open the link that the server has printed when it was started.")
        if self._key is None or request.method != hdrs.METH_POST:
            return sign_in
        try:
            typed = await read_form(request)
        except web.HTTPRequestTimeout:
            raise
        except web.HTTPException:  # a file, which is chosen once more
            return sign_in
        typed.pop(FIELD_OF_TOKEN, None)
        key = typed.pop(KEY, None)
        request[TYPED] = typed
        if key is None:
            return sign_in
        try:
            self._key.require(key)
        except web.HTTPForbidden as error:
            return web.HTTPUnauthorized(text=error.text)
        signed_in = web.HTTPForbidden(text="You are signed in. Nothing was done yet.")
        request[_USER], request[_SESSION] = own_user(), await self._new_session(own_user())
        self._set_cookie(request, signed_in, request[_SESSION])
        return signed_in

    async def _new_session(self, user: str) -> str:
        session = secrets.token_urlsafe(32)
        expires_at = datetime.now(UTC) + timedelta(days=_SESSION_DAYS)
        await to_thread(self._uploads.add_session, _digest(session), user, expires_at)
        return session

    def _set_cookie(self, request: web.Request, response: web.StreamResponse, session: str) -> None:
        response.set_cookie(
            self._cookie, session, max_age=_SESSION_DAYS * 86_400, path="/",
            httponly=True, samesite="Strict", secure=self._is_https(request),
        )  # fmt: skip

    # --- where a request comes from ---

    def _user_of_proxy(self, request: web.Request) -> str:
        """Return whom the proxy names. Raises HTTPForbidden for a peer that is no proxy of ours, or names no one."""
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = ip_address(peer[0].partition("%")[0]) if peer else None
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address is None or not any(address in network for network in self._proxies):
            raise web.HTTPForbidden(text="This page is reached through its proxy alone.")
        names = [name.strip() for name in request.headers.getall(self._header, ())]
        if len(names) != 1 or not names[0] or len(names[0]) > _LONGEST_NAME:
            raise web.HTTPForbidden(text="The proxy did not say who you are. Sign in there again.")
        name = unicodedata.normalize("NFC", names[0])
        if any(unicodedata.category(character)[0] == "C" for character in name):
            raise web.HTTPForbidden(text="The name that the proxy gives is no name.")
        return name

    def _is_https(self, request: web.Request) -> bool:
        return self._key is None and _first(request, "X-Forwarded-Proto").lower() == "https"

    def _own_origins(self, request: web.Request) -> tuple[str, ...]:
        """Return scheme, name and port that the browser knows. Raises HTTPForbidden for a name that is not ours.

        Another site could make its own name lead to this machine (DNS rebinding), but not its name one of ours. A
        proxy forwards the name that it is known by.
        """
        host = request.headers.get("Host", "")
        if self._key is None:
            name = _first(request, "X-Forwarded-Host") or host
            scheme = _first(request, "X-Forwarded-Proto").lower()
            return tuple(f"{one}://{name.lower()}" for one in ([scheme] if scheme else ["https", "http"]))
        try:
            parts = urlsplit(f"//{host}")
            is_own = parts.hostname in self._names and (parts.port or 80) == self._port and "@" not in host
        except ValueError:
            is_own = False
        if not is_own:
            raise web.HTTPForbidden(text="This server does not answer to that name.")
        return (f"http://{host.lower()}",)

    # --- messages for the next page ---

    def say(self, request: web.Request, response: web.StreamResponse, text: str) -> None:
        """Let the next page that this browser opens show a sentence."""
        text = text[:_LONGEST_SAID]
        content = f"{_signature(request[_SESSION], f'said {text}')}.{quote(text)}"
        response.set_cookie(
            self._cookie_of_message, content, max_age=_SAID_S, path="/",
            httponly=True, samesite="Strict", secure=self._is_https(request),
        )  # fmt: skip

    def said(self, request: web.Request) -> str:
        """Return the sentence that this page is to show; '' if there is none."""
        signature, _, text = request.cookies.get(self._cookie_of_message, "").partition(".")
        text = unquote(text)
        expected = _signature(request.get(_SESSION, ""), f"said {text}")
        return text if text and hmac.compare_digest(_bytes(signature), _bytes(expected)) else ""

    def forget_said(self, response: web.StreamResponse) -> None:
        """Let no further page show it."""
        response.del_cookie(self._cookie_of_message, path="/", httponly=True, samesite="Strict")


def _is_led(request: web.Request) -> bool:
    """Whether a page of another site has led the browser here, which then leaves out strict cookies."""
    return request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}


def own_path(url: URL) -> str:
    """Return path and query of an address; the start where browsers would take the path for another site's name."""
    path = str(url)
    return "/" if re.match(r"/[/\\]", path) else path


def _way_on(path: str) -> web.Response:
    """Return a page of ours that goes on to a path; the browser then sends its strict cookies there."""
    return web.Response(
        text=f'<!DOCTYPE html><meta http-equiv="refresh" content="0;url={quote(path, safe="/?=&%+:")}">'
        "<title>batch-updater</title>",
        content_type="text/html",
    )


def _first(request: web.Request, header: str) -> str:
    """Return the first of the values in a header, that of the outermost proxy; '' without it."""
    return request.headers.get(header, "").split(",")[0].strip()


def _require_own_origin(request: web.Request, own: tuple[str, ...], *, is_plain: bool) -> None:
    """Raise HTTPForbidden for what another site's page makes a browser send; a link to a page may be followed.

    A form of a page with `no-referrer` has the origin `null`; then the browser itself has to say that it is our own
    (Fetch, "serializing a request origin"; Fetch Metadata). A program that is no browser says nothing of it, and needs
    the token of the form as everyone does.

    `is_plain`: a proxy is reached by plain http. There browsers say nothing of it, either (Fetch Metadata: only to
    "potentially trustworthy" addresses), so the form is held against its token alone. A page of another site has none
    that fits: it can read none, and its own form comes without the strict cookie.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    is_safe = request.method in _SAFE_METHODS
    is_link = is_safe and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if is_link and request.headers.get("Sec-Fetch-Dest", "document") != "document":
        is_link = False  # a frame
    if origin == "null":
        is_own = site == "same-origin" or (is_plain and not has_known_origin(request) and not is_safe)
    elif origin is not None:
        is_own = origin.lower() in own
    else:
        is_own = True
    if site not in {None, "same-origin", "none"} and not is_link:
        is_own = False
    if not is_own:
        raise web.HTTPForbidden(text="The request comes from a page of another site. Nothing was done.")
