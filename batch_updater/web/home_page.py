"""Home: where a spreadsheet is given to the page, and all runs are listed."""

from __future__ import annotations

from aiohttp import web

from batch_updater.web.context import context_of


async def home(request: web.Request) -> web.Response:
    """Show the page."""
    return context_of(request).page(request, "home.html.j2")


routes: tuple[web.RouteDef, ...] = (web.get("/", home),)
