"""The reference for a page: aiohttp.web and Jinja2 with a table of 25 lines, and nothing that makes it safe.

    python -m benchmarks.bare_page

prints its address.
"""

from __future__ import annotations

import asyncio
import socket

import jinja2
from aiohttp import web

TEMPLATE = """\
<!doctype html><title>Runs</title><table>
{% for line in lines %}<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
"""
LINES = [(f"run {number}", "All rows are updated.", 10, "2 s", "anna") for number in range(25)]


async def serve() -> None:
    """Serve until the process is ended."""
    template = jinja2.Environment(autoescape=True).from_string(TEMPLATE)

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=template.render(lines=LINES), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    own = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, own).start()
    print(f"http://127.0.0.1:{own.getsockname()[1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
