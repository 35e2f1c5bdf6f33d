"""`/files/ID/preview`: what would be sent and what would change, and the buttons to read, to approve and to send."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from batch_updater.errors import BatchUpdaterError, UsageError
from batch_updater.runs.comparison import Comparison
from batch_updater.runs.draft import DRAFT, Draft
from batch_updater.runs.guards import guards_on_changes, judged_guards
from batch_updater.runs.history import DATABASE, Earlier
from batch_updater.runs.permission import CHANGED, approve, permission
from batch_updater.runs.preview import cost_of_reading, earlier_of, preview_of
from batch_updater.runs.repeats import repeats_of
from batch_updater.runs.store import Store, opened_store
from batch_updater.runs.uploads import SendingOptions, StoredUpload, TaskKind
from batch_updater.web.context import PageContext, context_of, form_of, is_fragment, upload_of, user_of
from batch_updater.web.row_forms import number_in
from batch_updater.web.send_form import OPEN, send_form, tasks_ahead_of, way_to

_CHANGES_OF_A_PAGE = 50


async def show(request: web.Request) -> web.Response:
    """Show the page, or how far the reading of the records is."""
    context, upload, user = context_of(request), await upload_of(request), user_of(request)
    draft = await asyncio.to_thread(context.worker.draft, upload.id)
    if draft is None or upload.asked is not None:
        return way_to(request, f"/files/{upload.id}/check")
    if any(not question.is_about_one_cell for question in draft.questions):
        return way_to(request, f"/files/{upload.id}")
    after = number_in(request.query.get("after", "")) or 0
    values = await asyncio.to_thread(_values, context, upload, draft, user, after)
    if not is_fragment(request):
        return context.page(request, "preview.html.j2", **values)
    if values["reading"] is None:  # all of the page depends on what was read
        return web.Response(headers={"HX-Refresh": "true"})
    return context.page(request, "changes.html.j2", **values)


def _values(context: PageContext, upload: StoredUpload, draft: Draft, user: str, after: int) -> dict[str, Any]:
    plan, content = draft.plan(), draft.digest()
    if upload.compare:
        sending = plan.config.sending.model_copy(update={"compare": True})
        plan = replace(plan, config=plan.config.model_copy(update={"sending": sending}))
    compared = Comparison.open(draft.folder)
    if compared and compared.digest != content:
        compared = None
    try:
        earlier = earlier_of(plan, draft.identity, context.environment, context.run_list.runs())
    except BatchUpdaterError as error:  # it is told, and keeps the run from beginning
        earlier = Earlier(note=context.without_paths(error.message))
    with closing(Store.reading(draft.folder / DRAFT)) as store:
        # What the page says of questions is on the page of the file.
        staged = replace(plan.staged, questions=())
        repeats = repeats_of(store, staged, earlier.related)
        plan = replace(plan, store=store, staged=staged, repeats=repeats)
        count = _left_to_send(earlier) if earlier.resumed else staged.good
        form = send_form(context, upload, draft, user, count)
        guards = context.config.guards
        approved = {guard.key for guard in form.permission.over}
        is_read_twice = plan.reads_first and any(key not in approved for key in guards_on_changes(guards))
        notes = map(context.without_paths, plan.notes)
        environment = context.environment
        preview = preview_of(plan, earlier, tuple(notes), count, environment, is_read_twice=is_read_twice)
    changes = compared.changes(after=after, most=_CHANGES_OF_A_PAGE + 1) if compared else ()
    tasks = context.uploads.tasks(upload.id)
    reading = next((task for task in tasks if task.kind is TaskKind.COMPARE), None)
    is_reading = reading is not None and reading.state in OPEN
    events = context.uploads.events(upload=upload.id)
    return {
        "upload": upload,
        "preview": preview,
        "undo": _undo(preview.undo, preview.can_read, reads_first=preview.reads_first),
        "earlier": tuple(map(context.without_paths, earlier.sentences)),
        "earlier_key": earlier.key,
        "is_old": earlier.is_old,
        "form": form,
        "count": count,
        "withdrawn": next((one for one in events if one.what in {"approved", "approval withdrawn"}), None),
        "guards": tuple(judged_guards(guards, staged, form.permission.over, compared.guarded if compared else {})),
        "cost": cost_of_reading(plan),
        "compared": compared,
        "changes": changes[:_CHANGES_OF_A_PAGE],
        "change_count": compared.change_count if compared else 0,
        "next_after": changes[_CHANGES_OF_A_PAGE - 1].rank if len(changes) > _CHANGES_OF_A_PAGE else None,
        "after": after,
        "unread": compared.unread() if compared else (),
        "unread_count": compared.unread_count if compared else 0,
        "reading": reading if is_reading else None,
        "ahead": tasks_ahead_of(context, reading) if reading and is_reading else 0,
        "live": context.worker.live_of_upload(upload.id) if is_reading else None,
        "failed": reading.fault if reading and not is_reading else None,
        "left": "",
        "events": events,
    }


def _left_to_send(earlier: Earlier) -> int:
    """Return how many rows of the run that is resumed are left."""
    if earlier.resumed is None:
        return 0
    with opened_store(earlier.resumed.folder / DATABASE) as store:
        return store.to_send()


def _undo(on_the_command_line: str, can_read: bool, *, reads_first: bool) -> str:
    if can_read and not reads_first:
        return "not possible; with “Read records first” every record is read before its update"
    return on_the_command_line


async def read_records(request: web.Request) -> web.Response:
    """Read the record of every row, to show what would change; each is read again before its update."""
    context, upload, user = context_of(request), await upload_of(request), user_of(request)
    await form_of(request)

    def queue() -> None:
        context.uploads.set_compare(upload.id, user, compare=True)
        if not any(task.kind is TaskKind.COMPARE and task.state in OPEN for task in context.uploads.tasks(upload.id)):
            context.uploads.add_task(TaskKind.COMPARE, user, upload=upload.id)

    await asyncio.to_thread(queue)
    context.worker.wake()
    return way_to(request, f"/files/{upload.id}/preview#changes")


async def approve_rows(request: web.Request) -> web.Response:
    """Keep the approval of exactly what the person saw."""
    context, upload, user = context_of(request), await upload_of(request), user_of(request)
    digest = (await form_of(request)).get("digest", "")
    draft = await _draft_of(context, upload)
    await asyncio.to_thread(approve, draft, upload, context.uploads, context.config, user, digest)
    return context.redirect(request, f"/files/{upload.id}/preview", f"{upload.name} can be sent now.")


async def send(request: web.Request) -> web.Response:
    """Put what the person saw into the queue, once."""
    context, upload, user = context_of(request), await upload_of(request), user_of(request)
    form = await form_of(request)
    draft = await _draft_of(context, upload)
    digest, newest = form.get("digest", ""), number_in(form.get("newest", "")) or 0

    def queue() -> None:
        tasks = [task for task in context.uploads.tasks(upload.id) if task.kind is TaskKind.SEND]
        if tasks and tasks[0].number > newest:  # a form that was sent twice, or an old page: that sending counts
            return
        judged = permission(draft, upload, context.uploads, context.config, user)
        if judged.digest != digest:
            raise UsageError(CHANGED, remedy="Look at the preview once more, and send it from there.")
        if judged.refusal:
            raise UsageError(judged.refusal, remedy=judged.remedy)
        options = SendingOptions("resume_old" in form, digest, form.get("earlier"))
        context.uploads.add_task(TaskKind.SEND, user, upload=upload.id, options=options, after=newest)

    await asyncio.to_thread(queue)
    context.worker.wake()
    return way_to(request, f"/files/{upload.id}/run")


async def _draft_of(context: PageContext, upload: StoredUpload) -> Draft:
    draft = await asyncio.to_thread(context.worker.draft, upload.id)
    if draft is None:
        raise UsageError(f"{upload.name} is not checked.", remedy="Look at its check first.")
    return draft


routes = (
    web.get("/files/{id}/preview", show),
    web.post("/files/{id}/compare", read_records),
    web.post("/files/{id}/approval", approve_rows),
    web.post("/files/{id}/send", send),
)
