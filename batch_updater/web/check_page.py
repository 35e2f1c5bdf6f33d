"""`/files/ID/check`: how far a check is, then its verdict and causes, and the grid in which rows are corrected."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Self
from urllib.parse import quote

from aiohttp import web
from msgspec.structs import replace

from batch_updater.errors import ResultsError, UsageError
from batch_updater.questions import Answers
from batch_updater.records import Cause, MadeEdit, OutcomeKind
from batch_updater.reporter.cell_values import text_of_cell
from batch_updater.reporter.summary import NEEDS_PERSON, Summary
from batch_updater.runs.check import check
from batch_updater.runs.draft import CHECKED_AGAIN, Draft, HeldDraftError
from batch_updater.runs.uploads import StoredUpload, Task, TaskKind, TaskState
from batch_updater.web.context import PageContext, context_of, form_of, is_fragment, upload_of, user_of
from batch_updater.web.row_forms import (
    Grid,
    GridFilter,
    RowChange,
    RowForm,
    RowForms,
    RowInput,
    grid_of,
    number_in,
    undo_together,
)
from batch_updater.web.worker import being_sent

_CAUSES_LISTED = 50
_EDITS_OF_A_PAGE = 100
_OPEN = frozenset({TaskState.WAITING, TaskState.RUNNING})
_EDITED = "edited"
"""What the body of a page is told, as an event of htmx, after each change of the draft."""


class CheckFigures(NamedTuple):
    """What changes on the page with every edit."""

    verdict: str
    counts: dict[OutcomeKind, int]
    """Outcomes that some row has."""
    good: int
    """Rows that would be sent."""
    bad: int
    """Rows that need someone."""
    causes: tuple[Cause, ...]
    """The most common first."""
    more_causes: int
    """How many more there are."""

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """Return them for the rows as they are now."""
        return cls(
            summary.verdict,
            {kind: count for kind, count in summary.counts.items() if count},
            summary[OutcomeKind.PLANNED],
            summary.total(NEEDS_PERSON),
            summary.causes[:_CAUSES_LISTED],
            max(len(summary.causes) - _CAUSES_LISTED, 0),
        )


class _ListedEdit(NamedTuple):
    edit: MadeEdit
    place: str
    old: str
    together: int
    """How many edits were made together with it, itself included, where it offers to undo them; else 0."""


def _path(upload: StoredUpload) -> str:
    return f"/files/{upload.id}"


def _number_in(request: web.Request, name: str) -> int:
    """Return a number of the address. Raises HTTPNotFound for one that no row or edit can have."""
    number = number_in(request.match_info[name])
    if number is None:
        raise web.HTTPNotFound
    return number


def _page_of(request: web.Request, upload: StoredUpload) -> str:
    """Return the path of the page that shows the grid: that of the check, or of the run whose rows are repaired."""
    is_on_run = request.query.get("on") == "run" and upload.repairs is not None
    return f"/runs/{quote(upload.repairs or '')}" if is_on_run else f"{_path(upload)}/check"


async def _newest_check(context: PageContext, upload: StoredUpload) -> Task | None:
    tasks = await asyncio.to_thread(context.uploads.tasks, upload.id)
    return next((task for task in tasks if task.kind is TaskKind.CHECK), None)


async def show(request: web.Request) -> web.Response:
    """Show how far the check is, why it failed, or what it found."""
    context, upload = context_of(request), await upload_of(request)
    task = await _newest_check(context, upload)
    if task is not None and task.state in _OPEN:
        live = await asyncio.to_thread(context.worker.live_of_upload, upload.id)
        template = "check_progress_part.html.j2" if is_fragment(request) else "check_progress.html.j2"
        return context.page(request, template, upload=upload, task=task, live=live, files=_path(upload))
    if is_fragment(request) and "row" not in request.query:  # the progress has come to its end
        return web.Response(headers={"HX-Redirect": f"{_path(upload)}/check"})
    if task is not None and task.state is TaskState.FAILED:
        return context.page(request, "check_failed.html.j2", upload=upload, fault=task.fault, files=_path(upload))
    # As it is after the look at its tasks: a check that ends between the two has noted what it asks.
    newest = await asyncio.to_thread(context.uploads.upload, upload.id)
    upload = newest or upload
    draft = await asyncio.to_thread(context.worker.draft, upload.id) if upload.asked is None else None
    if draft is None and upload.asked is None:
        return context.page(request, "check_failed.html.j2", upload=upload, fault=None, files=_path(upload))
    if draft is None or any(not question.is_about_one_cell for question in draft.questions):
        raise web.HTTPSeeOther(_path(upload))
    if "edited" in request.query:
        return await asyncio.to_thread(_edits_page, request, context, upload, draft)
    return await asyncio.to_thread(_grid_page, request, context, upload, draft)


def _grid_page(request: web.Request, context: PageContext, upload: StoredUpload, draft: Draft) -> web.Response:
    shown_rows = GridFilter.of(request.query)
    page = _page_of(request, upload)
    if is_fragment(request):  # all cells of one row
        summary = draft.summary()
        grid = grid_of(draft, summary.causes, shown_rows, page=page, files=_path(upload))
        if not grid.rows:
            raise web.HTTPNotFound
        return context.page(request, "grid_row.html.j2", grid=grid, row=grid.rows[0])
    return _whole_page(request, context, upload, draft, shown_rows)


def _whole_page(
    request: web.Request,
    context: PageContext,
    upload: StoredUpload,
    draft: Draft,
    shown_rows: GridFilter,
    changed: RowForm | None = None,
    result: str = "",
) -> web.Response:
    """Return the page. `changed`: a row that could not be kept as it was typed, and comes back so."""
    summary = draft.summary()
    grid = grid_of(draft, summary.causes, shown_rows, page=_page_of(request, upload), files=_path(upload))
    if changed is not None:
        grid = grid.with_row(changed)
    plan = draft.plan()
    # Questions have a page; what notes say of them is for the command line.
    notes = replace(plan, staged=replace(plan.staged, questions=())).notes
    return context.page(
        request,
        "check.html.j2",
        status=200 if changed is None else 409,
        upload=upload,
        files=_path(upload),
        grid=grid,
        result=result,
        notes=notes,
        questions=draft.questions,
        figures=CheckFigures.of(summary),
    )


def _edits_page(request: web.Request, context: PageContext, upload: StoredUpload, draft: Draft) -> web.Response:
    after = number_in(request.query.get("after", "")) or 0
    edits = draft.edits(after=after, most=_EDITS_OF_A_PAGE + 1)
    first_of_batch = {edit.batch: edit.number for edit in reversed(edits) if not edit.is_undone}
    field_at = {position: name for name, position in draft.columns.of_field.items()}
    listed = [
        _ListedEdit(
            edit,
            draft.columns.short_place(edit.row, field_at[edit.position]),
            text_of_cell(edit.old),
            draft.made_together(edit) if first_of_batch.get(edit.batch) == edit.number else 0,
        )
        for edit in edits[:_EDITS_OF_A_PAGE]
        if edit.position in field_at
    ]
    more = edits[_EDITS_OF_A_PAGE - 1].number if len(edits) > _EDITS_OF_A_PAGE else None
    return context.page(
        request, "edits.html.j2", upload=upload, files=_path(upload), edits=listed, after=after, more=more
    )


async def _open_draft(context: PageContext, upload: StoredUpload) -> Draft:
    """Return the draft of an upload, to be changed. Raises HeldDraftError if it must not be changed now."""
    for task in await asyncio.to_thread(context.uploads.tasks, upload.id):
        if task.state in _OPEN and task.kind is not TaskKind.COMPARE:
            raise HeldDraftError(CHECKED_AGAIN if task.kind is TaskKind.CHECK else being_sent(upload.name))
    draft = await asyncio.to_thread(context.worker.draft, upload.id)
    if draft is None:
        raise web.HTTPSeeOther(f"{_path(upload)}/check")
    return draft


async def save_row(request: web.Request) -> web.Response:
    """Keep what was done to a row: edits, an undo, the same for a group of cells, an answer about a column."""
    context, upload, form = context_of(request), await upload_of(request), await form_of(request)
    draft = await _open_draft(context, upload)
    row = await asyncio.to_thread(draft.row, _number_in(request, "row"))
    if row is None:
        raise web.HTTPNotFound
    change = RowChange(draft, row, RowInput.of(form), user_of(request))
    await asyncio.to_thread(change.save)
    for what, text in change.events:
        await asyncio.to_thread(context.uploads.note, user_of(request), what, upload=upload.id, text=text)
    if change.answers is not None:
        await _answer(request, context, upload, change.answers)
        return _elsewhere(request, f"{_path(upload)}/check")
    return await asyncio.to_thread(_saved, request, context, upload, draft, change)


async def _answer(request: web.Request, context: PageContext, upload: StoredUpload, answers: Answers) -> None:
    await asyncio.to_thread(
        context.uploads.answer,
        upload.id,
        upload.answers.with_more(answers),
        user_of(request),
        layout=upload.layout,
        remember=upload.remember,
    )
    context.worker.wake()


def _elsewhere(request: web.Request, address: str) -> web.Response:
    if is_fragment(request):
        return web.Response(headers={"HX-Redirect": address})
    raise web.HTTPSeeOther(address)


def _saved(
    request: web.Request, context: PageContext, upload: StoredUpload, draft: Draft, change: RowChange
) -> web.Response:
    """Return the row as it is now with the counts, or the page that shows it."""
    shown_rows, page = GridFilter.of(request.query), _page_of(request, upload)
    number = _number_in(request, "row")
    row = draft.row(number)
    if row is None:
        raise web.HTTPNotFound
    if not is_fragment(request):
        if change.left:
            changed = RowForms(draft, draft.summary().causes).of(
                row, is_whole=shown_rows.row is not None, change=change
            )
            return _whole_page(request, context, upload, draft, shown_rows, changed, change.result)
        said = f"{' '.join(change.said)} {RowForms(draft, ()).of(row).state}".strip()
        return context.redirect(request, f"{page}{shown_rows.query}#row-{number}", said)
    summary = draft.summary()
    forms = RowForms(draft, summary.causes)
    changed = forms.of(row, is_whole=shown_rows.row is not None, change=change)
    if change.is_of_many:
        grid = grid_of(draft, summary.causes, shown_rows, page=page, files=_path(upload)).with_row(changed)
    else:
        grid = Grid(page, _path(upload), (), 0, None, shown_rows)
    response = context.page(
        request,
        "grid_changed.html.j2" if change.is_of_many else "row_changed.html.j2",
        grid=grid,
        row=changed,
        files=_path(upload),
        is_on_run=page.startswith("/runs/"),
        result=" ".join(filter(None, [change.result, changed.state if changed.is_kept else ""])),
        figures=CheckFigures.of(summary),
    )
    if change.is_of_many:
        response.headers.update({"HX-Retarget": "#grid", "HX-Reswap": "outerHTML settle:0ms"})
    response.headers["HX-Trigger"] = _EDITED
    return response


async def undo(request: web.Request) -> web.Response:
    """Undo an edit on the list of all edits, or all that were made together with it."""
    context, upload, form = context_of(request), await upload_of(request), await form_of(request)
    draft = await _open_draft(context, upload)
    number = _number_in(request, "number")
    try:
        what, text = await asyncio.to_thread(_undo, draft, number, user_of(request), with_others="all" in form)
    except HeldDraftError:
        raise
    except UsageError:  # another person was faster: the list shows it
        pass
    else:
        await asyncio.to_thread(context.uploads.note, user_of(request), what, upload=upload.id, text=text)
    after = number_in(form.get("after", "")) or 0
    raise web.HTTPSeeOther(f"{_path(upload)}/check?edited=1&after={after}#edit-{number}")


def _undo(draft: Draft, number: int, by: str, *, with_others: bool) -> tuple[str, str]:
    """Undo an edit; return what was done and to what. Raises UsageError if it is undone already."""
    if with_others:
        return undo_together(draft, number, by)
    row = draft.undo_edit(number, by)
    return "undid an edit", f"edit {number:,}, in {draft.columns.row(row.number)}"


async def check_again(request: web.Request) -> web.Response:
    """Check an upload once more: what kept it from being read may have gone."""
    context, upload = context_of(request), await upload_of(request)
    await form_of(request)
    await asyncio.to_thread(context.uploads.add_task, TaskKind.CHECK, user_of(request), upload=upload.id)
    context.worker.wake()
    raise web.HTTPSeeOther(f"{_path(upload)}/check")


async def download(request: web.Request) -> web.StreamResponse:
    """Write the workbook of the check as the rows are now, and give it."""
    context, upload = context_of(request), await upload_of(request)
    draft = await asyncio.to_thread(context.worker.draft, upload.id)
    if draft is None:
        raise web.HTTPNotFound
    plan = await asyncio.to_thread(draft.plan)
    name = f"{plan.snapshot.stem}-check.xlsx"
    result = await asyncio.to_thread(check, plan, upload.folder / name)
    if result.results is None:
        raise ResultsError(result.fault or "The workbook could not be written.")
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return web.FileResponse(result.results, headers={"Content-Disposition": disposition})


routes = (
    web.get("/files/{id}/check", show),
    web.post("/files/{id}/check", check_again),
    web.get("/files/{id}/check.xlsx", download),
    web.post(r"/files/{id}/rows/{row:\d+}", save_row),
    web.post(r"/files/{id}/edits/{number:\d+}/undo", undo),
)
