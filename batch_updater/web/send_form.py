"""What the pages have in common that send a file: the form, its place in the queue, and the way to another page."""

from __future__ import annotations

import msgspec
from aiohttp import web

from batch_updater.runs.draft import Draft
from batch_updater.runs.permission import Permission, permission
from batch_updater.runs.uploads import StoredUpload, Task, TaskKind, TaskState
from batch_updater.web.context import PageContext, context_of, is_fragment

OPEN = frozenset({TaskState.WAITING, TaskState.RUNNING})


class SendForm(msgspec.Struct, frozen=True):
    """The form that sends a file, or says why that is not possible."""

    upload: StoredUpload
    permission: Permission
    count: int
    """Rows that would be sent."""
    newest: int
    """Number of the newest task that sends the file, 0 if there is none: a form of before begins no other."""
    sending: Task | None
    """The task that is sending it just now, or waits to."""


def send_form(context: PageContext, upload: StoredUpload, draft: Draft, user: str, count: int) -> SendForm:
    """Return the form for a person."""
    sends = [task for task in context.uploads.tasks(upload.id) if task.kind is TaskKind.SEND]
    newest = sends[0] if sends else None
    judged = permission(draft, upload, context.uploads, context.config, user)
    sending = newest if newest and newest.state in OPEN else None
    return SendForm(upload, judged, count, newest.number if newest else 0, sending)


def tasks_ahead_of(context: PageContext, task: Task) -> int:
    """Return how many tasks that send or read are before one in the queue."""
    tasks = context.uploads.open_tasks()
    return sum(one.kind is not TaskKind.CHECK and one.number < task.number for one in tasks)


def way_to(request: web.Request, path: str) -> web.Response:
    """Return the way to another page, from a page or from the part of one that htmx asks for."""
    if is_fragment(request):
        return web.Response(headers={"HX-Redirect": path})
    return context_of(request).redirect(request, path)
