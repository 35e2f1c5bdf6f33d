"""`/runs/NAME/rows/N`: why a row of a run ended as it did."""

from __future__ import annotations

from aiohttp import web
from msgspec.structs import replace

from batch_updater.runs.explain import explained_rows
from batch_updater.runs.history import PastRun
from batch_updater.runs.row_view import RowView, row_view
from batch_updater.web.context import PageContext, context_of
from batch_updater.web.run_page import going_on, looked_up, run_of


async def show_row(request: web.Request) -> web.Response:
    """Show cells, request, every attempt, the outcome, and later rounds of a row."""
    context, past = context_of(request), await run_of(request)
    number = int(request.match_info["number"])
    row = await looked_up(request, past, lambda: _row_of(context, past, number))
    return context.page(request, "row.html.j2", past=past, row=row)


def _row_of(context: PageContext, past: PastRun, number: int) -> RowView:
    row = next(row_view(row, past) for row in explained_rows(past, number, context.run_list.runs()))
    return replace(row, advice=going_on(past, row.advice))


routes = (web.get(r"/runs/{name}/rows/{number:[0-9]{1,9}}", show_row),)
