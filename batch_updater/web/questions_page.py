"""`/files/ID`: how far the check of an upload is, what only a person can answer about it, and the mapping table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import msgspec
from aiohttp import web

from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.description import Endpoint
from batch_updater.loader.layouts import Layout
from batch_updater.loader.open_questions import settled_questions
from batch_updater.questions import ALL_COLUMNS, OF_COLUMNS, Answers
from batch_updater.records import NOT_SENT
from batch_updater.runs.draft import Draft
from batch_updater.runs.folder import safe_stem
from batch_updater.runs.layouts import is_taken, read_layouts, require_name, same_headers
from batch_updater.runs.uploads import StoredUpload, Task, TaskKind, TaskState
from batch_updater.web.answer_form import AnswerForm, FileAnswers
from batch_updater.web.context import PageContext, context_of, form_of, is_fragment, upload_of, user_of
from batch_updater.web.worker import LiveCounts

_OPEN = frozenset({TaskState.WAITING, TaskState.RUNNING})
_ANSWERS_TOLD = 20
"""In the log of who did what."""


class _CheckedFile(msgspec.Struct, frozen=True):
    """How far the check of an upload is, and what it has found out."""

    task: Task | None
    """The newest check."""
    is_open: bool
    """Whether it is waiting or running."""
    turn: int
    """Its place in the queue, from 1; 0 if it is not waiting."""
    live: LiveCounts | None
    draft: Draft | None
    file: FileAnswers
    layouts: tuple[str, ...]
    """Names of those that can be asked for."""

    @property
    def layout_used(self) -> str | None:
        """Name of the layout that the file has."""
        return self.draft.staged.layout if self.draft else None

    @property
    def is_own_workbook(self) -> bool:
        """Whether it is a workbook of ours, which says itself how it is read."""
        return self.draft is not None and (self.draft.staged.is_to_fix or self.draft.staged.is_undo)


def _checked_file(context: PageContext, upload: StoredUpload) -> _CheckedFile:
    tasks = [task for task in context.uploads.tasks(upload.id) if task.kind is TaskKind.CHECK]
    task = tasks[0] if tasks else None
    is_open = task is not None and task.state in _OPEN
    # As it is after the look at its tasks: a check that ends between the two has noted what it asks.
    upload = context.uploads.upload(upload.id) or upload
    waiting = [one.number for one in context.uploads.open_tasks() if one.state is TaskState.WAITING]
    is_read = not is_open and upload.asked is None and task is not None and task.state is TaskState.DONE
    draft = context.worker.draft(upload.id) if is_read else None
    if draft:
        answers, staged = draft.answers, draft.staged
        file = FileAnswers(
            draft.questions, staged.columns.sampled, upload.answers, answers,
            tuple(settled_questions(answers, context.config.input.clear_marker)),
            staged.sheet, staged.columns.header_row,
        )  # fmt: skip
    else:
        asked, given = upload.asked, upload.answers
        file = FileAnswers(
            asked.questions if asked else (), asked.columns if asked else (), given, given, (),
            given.sheet, given.header_row,
        )  # fmt: skip
    return _CheckedFile(
        task=task,
        is_open=is_open,
        turn=waiting.index(task.number) + 1 if task and task.number in waiting else 0,
        live=context.worker.live_of_upload(upload.id) if is_open else None,
        draft=draft,
        file=file,
        layouts=tuple(layout.name for layout in read_layouts(context.config.layouts_folder).layouts),
    )


def _endpoint(context: PageContext, checked: _CheckedFile) -> Endpoint:
    return checked.draft.endpoint if checked.draft else endpoint_for(context.config.api, context.config.input.constants)


def _form(context: PageContext, checked: _CheckedFile, typed: Mapping[str, str] | None = None) -> AnswerForm:
    return AnswerForm(checked.file, _endpoint(context, checked), typed)


async def _show(request: web.Request) -> web.Response:
    context, upload = context_of(request), await upload_of(request)
    checked = await asyncio.to_thread(_checked_file, context, upload)
    if is_fragment(request):
        response = context.page(request, "check_state.html.j2", upload=upload, checked=checked)
        if not checked.is_open:
            response.headers["HX-Refresh"] = "true"
        return response
    form = None if checked.is_open else await asyncio.to_thread(_form, context, checked)
    return _page(request, upload, checked, form)


def _page(
    request: web.Request,
    upload: StoredUpload,
    checked: _CheckedFile,
    form: AnswerForm | None,
    typed: Mapping[str, str] | None = None,
    name_error: str = "",
) -> web.Response:
    proposed = upload.remember or checked.layout_used or safe_stem(PurePath(upload.name).name)
    return context_of(request).page(
        request,
        "questions.html.j2",
        status=422 if typed is not None else 200,
        upload=upload,
        checked=checked,
        form=form,
        layout=typed.get("layout", "") if typed is not None else upload.layout or "",
        is_to_remember="remember" in typed if typed is not None else upload.remember is not None,
        layout_name=typed.get("layout_name", "") if typed is not None else proposed,
        name_error=name_error,
    )


async def _answer(request: web.Request) -> web.Response:
    """Keep what was answered, and check the file with it."""
    context, upload, typed = context_of(request), await upload_of(request), await form_of(request)
    checked = await asyncio.to_thread(_checked_file, context, upload)
    if checked.is_open:
        return context.redirect(request, f"/files/{upload.id}")
    form = await asyncio.to_thread(_form, context, checked, typed)
    if is_fragment(request):
        return context.page(request, "mapping_errors.html.j2", form=form)
    name, name_error = None, ""
    if "remember" in typed:
        try:
            name = await asyncio.to_thread(_name_to_remember, context, checked, typed.get("layout_name", ""))
        except ValueError as error:
            name_error = str(error)
    if form.errors or name_error:
        return _page(request, upload, checked, form, typed, name_error)
    answers, layout = form.answers, typed.get("layout", upload.layout) or None
    is_as_checked = (answers, layout) == (upload.answers, upload.layout) and name in {None, upload.remember}
    if not (is_as_checked and checked.draft):
        new = list(_new_answers(upload.answers, answers))
        if layout and layout != upload.layout:
            new.append(f"the layout is {layout}")
        text = "; ".join(new[:_ANSWERS_TOLD]) + (f" and {len(new) - _ANSWERS_TOLD:,} more" * (len(new) > _ANSWERS_TOLD))
        await asyncio.to_thread(
            context.uploads.answer,
            upload.id,
            answers,
            user_of(request),
            layout=layout,
            remember=name,
            text=f"{text}." if text else "",
        )
        context.worker.wake()
    return context.redirect(request, f"/files/{upload.id}/check")


def _new_answers(before: Answers, now: Answers) -> Iterator[str]:
    """Yield in words what is answered otherwise than before."""
    for header, field in now.columns.items():
        if header not in before.columns or before.columns[header] != field:
            yield f"{header} is {NOT_SENT if field is None else field}"
    for name in ("sheet", "header_row", *OF_COLUMNS, "hidden_rows", "rows_below"):
        value, earlier, what = getattr(now, name), getattr(before, name), name.replace("_", " ")
        if isinstance(value, Mapping):
            for header, answer in value.items():
                if earlier.get(header) != answer:
                    yield f"{what} {f'of {header} ' * (header != ALL_COLUMNS)}is {answer}"
        elif value is not None and value != earlier:
            yield f"{what}: {value}"


def _name_to_remember(context: PageContext, checked: _CheckedFile, typed: str) -> str:
    """Return the name of the layout that is written or replaced. Raises ValueError if it cannot be that one."""
    try:
        name = require_name(typed)
    except ValueError as error:
        raise ValueError(f"That is no name: {error}.") from error
    folder, headers = context.config.layouts_folder, tuple(column.header for column in checked.file.columns)
    layout = Layout(name, headers, checked.file.given)
    if other := same_headers(folder, layout):
        raise ValueError(f"The layout {other!r} has the same headers: take its name to replace it.")
    if name != checked.layout_used and is_taken(folder, name):
        raise ValueError(f"There is a layout {name!r} already, for files with other headers. Choose another name.")
    return name


routes = (
    web.get("/files/{id}", _show),
    web.post("/files/{id}/answers", _answer),
)
