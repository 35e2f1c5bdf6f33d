"""What every page needs: the settings, the stores, the worker, and the templates."""

from __future__ import annotations

from aiohttp import web

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.runs.uploads import StoredUpload, Uploads
from batch_updater.web.worker import Worker


class PageContext:
    """Shared by all requests; `context_of(request)` returns it."""

    config: Config
    environment: Environment
    uploads: Uploads
    worker: Worker

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: object) -> web.Response:
        """Return a page, or a fragment of one, of a template; `values` beside what every template has."""
        raise NotImplementedError

    def may_send(self, user: str) -> bool:
        """Whether a person may send by themselves (web.may_send)."""
        raise NotImplementedError

    def may_approve(self, user: str) -> bool:
        """Whether a person may approve what others send (web.may_approve)."""
        raise NotImplementedError


def context_of(request: web.Request) -> PageContext:
    """Return what every page needs."""
    raise NotImplementedError


def user_of(request: web.Request) -> str:
    """Return who makes the request."""
    raise NotImplementedError


async def upload_of(request: web.Request) -> StoredUpload:
    """Return the upload that the address names. Raises HTTPNotFound if there is none that the person may see."""
    raise NotImplementedError


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form whose token was checked; of several of a name the last. Raises HTTPForbidden."""
    raise NotImplementedError


def is_fragment(request: web.Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"
