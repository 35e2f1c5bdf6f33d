"""`/`: a spreadsheet given to the page, what is being worked on, and the runs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web

from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.errors import BatchUpdaterError
from batch_updater.files.samples import SAMPLE, sample
from batch_updater.messages import counted, duration
from batch_updater.records import OutcomeKind
from batch_updater.reporter.template import write_template
from batch_updater.runs.history import DamagedRun, PastRun
from batch_updater.runs.names import remembered_names
from batch_updater.runs.run_list import ListedRun, RunEntry, RunState
from batch_updater.runs.uploads import StoredUpload, Task, TaskKind, TaskState
from batch_updater.text.clipboard import as_tab_separated
from batch_updater.web.context import (
    PageContext,
    context_of,
    form_of,
    is_fragment,
    received_file,
    upload_of,
    user_of,
)
from batch_updater.web.forms import PASTED

_ENTRIES_ON_A_PAGE = 25
_UPLOADS_JUDGED = 10
"""Uploads whose verdict is shown: each needs its database."""
_ALL = "all"


class _RunLine(msgspec.Struct, frozen=True):
    """A run as the list shows it."""

    name: str
    link: str
    file: str
    verdict: str
    started_at: datetime | None
    took: str
    by: str
    how: str
    """How it was started, where that was not by a person on the page."""
    remarks: tuple[str, ...]
    counts: Mapping[OutcomeKind, int]
    is_damaged: bool


class _EntryLine(msgspec.Struct, frozen=True):
    """An entry of the list: a run, with the earlier rounds of its file."""

    last: _RunLine
    family: str
    rounds: tuple[_RunLine, ...]
    """All, where there are several."""


class _WorkLine(msgspec.Struct, frozen=True):
    """An upload that is not sent yet."""

    upload: StoredUpload
    link: str
    state: str
    is_mine: bool
    can_be_removed: bool


class _QueueLine(NamedTuple):
    """Something that is being sent or compared, or waits for its turn."""

    text: str
    link: str
    """'' where the person may not see what it is about."""
    waits_for: str


class _Listed(msgspec.Struct, frozen=True):
    """One page of the list of runs."""

    entries: tuple[_EntryLine, ...]
    total: int
    has_any: bool
    """Whether there is any run at all."""
    fault: str
    page: int
    pages: int


def _line(context: PageContext, one: ListedRun) -> _RunLine:
    run, link = one.run, f"/runs/{quote(one.name)}"
    if isinstance(run, DamagedRun):
        what = f"Its database {run.what.rstrip('.')}."
        return _RunLine(one.name, link, one.name, what, None, "", "", "", (), {}, is_damaged=True)
    task = context.uploads.task_of_run(one.name)
    how = "nightly" if run.facts.inbox else "" if task else "command line"
    if run.team_state is not None and run.machine:
        how = f"{how} on {run.machine}".strip()
    going_on = run.is_going_on
    return _RunLine(
        name=one.name,
        link=link,
        file=one.file,
        verdict="" if going_on else run.summary.verdict,
        started_at=run.started_at,
        took="running now" if going_on else "cut off" if run.is_cut_off else duration(run.elapsed_s),
        by=task.by if task else one.started_by,
        how=how,
        remarks=() if going_on else tuple(_remarks(run, one.undone_by)),
        counts={kind: count for kind, count in run.counts.items() if count},
        is_damaged=False,
    )


def _remarks(run: PastRun, undone_by: PastRun | None) -> Iterator[str]:
    if run.facts.closed_at:
        yield "Closed: running the same file again sends every row."
    if run.is_unfinished:
        yield f"Unfinished. {run.stop.message if run.stop else ''}".strip()
    if undone_by:
        yield f"Undone, at least in part, by the run {undone_by.folder.name}."


def _listed(context: PageContext, state: str, text: str, page: int) -> _Listed:
    try:
        entries = context.run_list.entries()
    except BatchUpdaterError as error:
        return _Listed((), 0, has_any=False, fault=f"{error.message} {error.remedy}", page=1, pages=1)
    wanted = [
        entry for entry in entries if (state == _ALL or state in entry.states) and (not text or entry.mentions(text))
    ]
    pages = max(1, -(-len(wanted) // _ENTRIES_ON_A_PAGE))
    page = min(page, pages)
    shown = wanted[(page - 1) * _ENTRIES_ON_A_PAGE : page * _ENTRIES_ON_A_PAGE]
    return _Listed(tuple(_entry(context, entry) for entry in shown), len(wanted), bool(entries), "", page, pages)


def _entry(context: PageContext, entry: RunEntry) -> _EntryLine:
    rounds = tuple(_line(context, one) for one in entry.rounds)
    family = entry.family.sentence if entry.family else ""
    return _EntryLine(rounds[0], family, rounds if len(rounds) > 1 else ())


def _work(context: PageContext, user: str) -> tuple[Sequence[_WorkLine], Sequence[_QueueLine]]:
    """Return the uploads that a person may go on with, and what the server is doing."""
    seen = [
        upload
        for upload in context.uploads.uploads()
        if upload.run is None and upload.repairs is None and context.may_see(upload, user)
    ]
    lines = []
    for number, upload in enumerate(seen):
        tasks = context.uploads.tasks(upload.id)
        is_busy = any(task.state in {TaskState.WAITING, TaskState.RUNNING} for task in tasks)
        state, step = _state_of(context, upload, tasks, is_judged=number < _UPLOADS_JUDGED)
        lines.append(_WorkLine(upload, f"/files/{upload.id}{step}", state, upload.by == user, not is_busy))
    queue = [_queued(context, user, task) for task in context.uploads.open_tasks() if task.kind is not TaskKind.CHECK]
    return lines, queue


def _state_of(context: PageContext, upload: StoredUpload, tasks: Sequence[Task], *, is_judged: bool) -> tuple[str, str]:
    """Return in words how far an upload is, and behind its address the page on which it goes on."""
    newest = tasks[0] if tasks else None
    if newest and newest.state in {TaskState.WAITING, TaskState.RUNNING}:
        if newest.kind is not TaskKind.CHECK:
            return ("is compared" if newest.kind is TaskKind.COMPARE else "is sent"), "/preview"
        live = context.worker.live_of_upload(upload.id)
        is_waiting = newest.state is TaskState.WAITING
        return "waits for its check" if is_waiting else f"checking: {live.done if live else 0:,} rows so far", ""
    check = next((task for task in tasks if task.kind is TaskKind.CHECK), None)
    if check and check.fault:
        return check.fault.message, ""
    if upload.asked:
        return f"{counted(len(upload.asked.questions), 'question')} to answer", ""
    judged = context.worker.judgement(upload) if is_judged else None
    if judged is None:
        return "checked", "/check"
    if judged.questions:
        return f"{counted(judged.questions, 'question')} to answer", ""
    return judged.verdict, "/check"


def _queued(context: PageContext, user: str, task: Task) -> _QueueLine:
    upload = context.uploads.upload(task.upload) if task.upload else None
    name = upload.name if upload and context.may_see(upload, user) else ""
    of_upload = f"/files/{upload.id}/run" if upload and name else ""
    link = f"/runs/{quote(task.run)}" if task.run else of_upload
    does = {TaskKind.COMPARE: "reads records of", TaskKind.SEND: "sends"}[task.kind]
    waits = "" if task.state is TaskState.RUNNING else " (waiting)"
    return _QueueLine(f"{task.by} {does} {name or task.run or 'a file'}{waits}", link, task.waits_for)


async def _home(request: web.Request) -> web.Response:
    context, user, asked = context_of(request), user_of(request), request.query
    work, queue = await asyncio.to_thread(_work, context, user)
    is_busy = bool(queue) or any(not one.can_be_removed for one in work)
    if is_fragment(request):
        return context.page(request, "home_work.html.j2", work=work, queue=queue, is_busy=is_busy)
    states = [_ALL, *RunState]
    state = asked.get("show", _ALL)
    state, text = state if state in states else _ALL, asked.get("q", "").strip()
    number = asked.get("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 7 else 1
    listed = await asyncio.to_thread(_listed, context, state, text, page)
    link = partial(_list_link, state, text)
    return context.page(
        request, "home.html.j2", work=work, queue=queue, is_busy=is_busy,
        listed=listed, states=states, state=state, text=text,
        earlier=link(listed.page + 1) if listed.page < listed.pages else "",
        later=link(listed.page - 1) if listed.page > 1 else "",
        has_sample=context.config.api.endpoint == "nexus-opportunity",
    )  # fmt: skip


def _list_link(state: str, text: str, page: int) -> str:
    asked = {"show": state if state != _ALL else "", "q": text, "page": str(page) if page > 1 else ""}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/?{query}#runs" if query else "/#runs"


async def _template(request: web.Request) -> web.Response:
    """Answer with the workbook that the command `template` writes."""
    config = context_of(request).config

    def written() -> tuple[str, bytes]:
        endpoint = endpoint_for(config.api, config.input.constants)
        names = remembered_names(config.results.folder, endpoint.name, config.api.base_url)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "template.xlsx"
            write_template(path, endpoint, config.input, names.allowed)
            return endpoint.name, path.read_bytes()

    name, content = await asyncio.to_thread(written)
    return web.Response(
        body=content,
        content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}-template.xlsx"},
    )


async def _upload(request: web.Request) -> web.StreamResponse:
    """Take a spreadsheet, or pasted rows, and check it."""
    context, user = context_of(request), user_of(request)
    upload_id, folder = await asyncio.to_thread(context.uploads.new_folder)
    try:
        received = await received_file(request, folder)
        if (received.name, received.file) == PASTED:
            await asyncio.to_thread(_as_copied, folder / received.file)
        upload = await asyncio.to_thread(context.uploads.add, upload_id, received.name, received.file, user)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    context.worker.wake()
    return context.redirect(request, f"/files/{upload.id}")


def _as_copied(path: Path) -> None:
    """Make a file of pasted rows one that is read as the spreadsheet program has copied them."""
    try:
        text = as_tab_separated(path.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text="The rows cannot be read: they are no text.") from error
    path.write_bytes(text.encode())


async def _sample(request: web.Request) -> web.StreamResponse:
    """Take the sample as if it had been uploaded."""
    context, user = context_of(request), user_of(request)
    await form_of(request)

    def copied() -> StoredUpload:
        upload_id, folder = context.uploads.new_folder()
        file = f"input{Path(SAMPLE).suffix}"
        shutil.copyfile(sample(SAMPLE), folder / file)
        return context.uploads.add(upload_id, SAMPLE, file, user)

    upload = await asyncio.to_thread(copied)
    context.worker.wake()
    return context.redirect(request, f"/files/{upload.id}")


async def _remove(request: web.Request) -> web.StreamResponse:
    context, upload = context_of(request), await upload_of(request)
    await form_of(request)
    await asyncio.to_thread(context.uploads.remove, upload.id, user_of(request))
    return context.redirect(request, "/", f"{upload.name} was removed.")


routes = (
    web.get("/", _home),
    web.get("/template.xlsx", _template),
    web.post("/files", _upload),
    web.post("/files/sample", _sample),
    web.post("/files/{id}/remove", _remove),
)
