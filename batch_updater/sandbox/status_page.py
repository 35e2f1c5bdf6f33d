"""The page at `/`: what the sandbox received and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from aiohttp import web

from batch_updater.sandbox.request_log import Received
from batch_updater.sandbox.store import RecordStore

_ROWS_SHOWN = 100
_BODY_CHARACTERS = 400


def status_page(received: Sequence[Received], store: RecordStore) -> web.Response:
    """Return the page. Nothing of a request is taken for markup, and the page may load nothing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (only where the page is asked for)

    environment = Environment(
        loader=PackageLoader("batch_updater.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter("no answer" if one.status is None else str(one.status) for one in received)
    text = environment.get_template("status_page.html.j2").render(
        counts=sorted(counts.items()),
        received=len(received),
        requests=[_cells(one) for one in islice(reversed(received), _ROWS_SHOWN)],
        changed=len(store),
        records=[(f"{one.type} {one.id}", one.as_json()) for one in islice(reversed(list(store)), _ROWS_SHOWN)],
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})


def _cells(received: Received) -> Sequence[str]:
    query = f"?{received.query}" if received.query else ""
    body = received.body.decode("utf-8", errors="replace")
    return (
        f"{datetime.fromtimestamp(received.at_s, UTC):%H:%M:%S.%f}"[:-3],
        f"{received.method} {received.path}{query}",
        body if len(body) <= _BODY_CHARACTERS else f"{body[:_BODY_CHARACTERS]} ...",
        "none" if received.status is None else str(received.status),
        "yes" if received.applied else "no",
        received.fault or "",
    )
