"""The page at `/`: what the sandbox received and what it holds."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batch_updater.sandbox.request_log import Received
    from batch_updater.sandbox.store import Record, Store

_ROWS_SHOWN = 100
_BODY_CHARACTERS = 400
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d2733; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: #52606d; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #dde3e9; }
td { overflow-wrap: anywhere; } td:first-child { white-space: nowrap; } code { font-size: .92em; }
"""


def page(received: Sequence[Received], store: Store) -> web.Response:
    """Return the page. Nothing of a request is taken for markup, and the page may load nothing."""
    text = _page(received, store)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})


def _page(received: Sequence[Received], store: Store) -> str:
    counts = Counter("no answer" if one.status is None else str(one.status) for one in received)
    requests = _table(
        f"The latest {min(len(received), _ROWS_SHOWN)} of {len(received):,}, the newest first",
        ("Received (UTC)", "Request", "Body", "Status", "Applied", "Fault"),
        map(_request_cells, islice(reversed(received), _ROWS_SHOWN)),
    )
    records = _table(
        f"{min(len(store), _ROWS_SHOWN)} of {len(store):,} that somebody has changed, as they now stand",
        ("Opportunity", "Record"),
        map(_record_cells, islice(reversed(list(store)), _ROWS_SHOWN)),
    )
    summary = ", ".join(f"{escape(status)}: {count:,}" for status, count in sorted(counts.items())) or "none yet"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Nexus sandbox</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Nexus sandbox</h1>\n"
        "<p>A stand-in for Nexus on this machine. Nothing here is real, and nothing leaves the machine. "
        "More for programs: <code>/_sandbox/requests</code>, <code>/_sandbox/records</code>, "
        "<code>/_sandbox/faults</code>.</p>\n"
        f"<p>Requests by status: {summary}</p>\n<h2>Requests</h2>\n{requests}\n<h2>Records</h2>\n{records}\n"
        "</body></html>\n"
    )


def _table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _request_cells(received: Received) -> Sequence[str]:
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


def _record_cells(record: Record) -> Sequence[str]:
    return f"{record.type} {record.id}", record.as_json()
