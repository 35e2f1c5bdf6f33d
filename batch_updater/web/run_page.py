"""`/runs/NAME`: a run while it is going on, and what became of it; `/files/ID/run`: the wait before it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from aiohttp import web
from markupsafe import Markup
from msgspec.structs import replace

from batch_updater.errors import BatchUpdaterError, InputError, UsageError
from batch_updater.files.reading import read_regular
from batch_updater.messages import counted, duration
from batch_updater.reporter.next_step import NextKind
from batch_updater.reporter.summary import RUN_AGAIN
from batch_updater.reporter.summary_view import SummaryView
from batch_updater.runs.close import close_run, closing_in_words, run_to_close
from batch_updater.runs.explain import explained_rows
from batch_updater.runs.family import relatives_of
from batch_updater.runs.follow_ups import can_be_repaired, repair_of_run, undo_of_run
from batch_updater.runs.history import DamagedRun, Earlier, PastRun, run_named
from batch_updater.runs.lock import holder_of
from batch_updater.runs.permission import why_not_resume, why_not_stop
from batch_updater.runs.preview import undo_in_words
from batch_updater.runs.report import report, view_of
from batch_updater.runs.run_files import RunFileKind, files_of
from batch_updater.runs.team_database import TeamUnreachableError
from batch_updater.runs.team_drafts import ElsewhereError
from batch_updater.runs.uploads import SendingOptions, Task, TaskKind, TaskState
from batch_updater.web.context import PageContext, context_of, form_of, is_fragment, upload_of, user_of
from batch_updater.web.page_words import in_page_words
from batch_updater.web.row_forms import GridFilter, grid_of
from batch_updater.web.send_form import OPEN, send_form, tasks_ahead_of, way_to
from batch_updater.web.time_elements import time_element

if TYPE_CHECKING:
    from batch_updater.web.worker import LiveCounts

_T = TypeVar("_T")
STOPPED = "stopped"
"""What the log of events says of someone who stopped a run."""
_EVENT_EVERY_S = 0.5
_HEARTBEAT_S = 15.0
"""A proxy closes a connection on which nothing comes for a minute or so."""
_MOST_STREAMS = 100
_DIGITS_OF_A_NUMBER = 9
_FACTS_LEFT_OUT = frozenset({"When", "File", "Run folder"})
"""The time is an element, the others are paths of the server."""
_RUN_AGAIN = re.compile(r"\b([Rr])un again(?: to go on| without --limit)?\b")
_NEVER_BEGUN = "The run was taken from the queue before its turn. Nothing was sent."
_ON_TO_FIX = ": repair it on the sheet To fix"


class EventStreams:
    """The connections on which pages are told how far runs are."""

    def __init__(self) -> None:
        self.count = 0
        self.closing = asyncio.Event()


STREAMS = web.AppKey("streams", EventStreams)


def add_streams(app: web.Application) -> None:
    """Let a server have such connections, and end them when it shuts down."""

    async def open_streams(app: web.Application) -> None:
        app[STREAMS] = EventStreams()

    async def close_streams(app: web.Application) -> None:
        app[STREAMS].closing.set()

    app.on_startup.append(open_streams)
    app.on_shutdown.append(close_streams)


async def show_wait(request: web.Request) -> web.Response:
    """Show the place in the queue of a file that is to be sent, until its run has begun."""
    context, upload = context_of(request), await upload_of(request)
    tasks = await asyncio.to_thread(context.uploads.tasks, upload.id)
    task = next((one for one in tasks if one.kind is TaskKind.SEND), None)
    if task is None:
        return way_to(request, f"/files/{upload.id}/preview")
    if task.run:
        begun = await asyncio.to_thread(run_named, context.config.results.folder, task.run)
        if begun is not None:
            return way_to(request, address(task.run))
    if task.state is TaskState.DONE:  # it was taken from the queue, or its run is gone
        return way_to(request, f"/files/{upload.id}/preview")
    ahead = await asyncio.to_thread(tasks_ahead_of, context, task)
    return context.page(request, "wait.html.j2", upload=upload, task=task, ahead=ahead)


def address(run: str) -> str:
    """Return the address of the page of a run."""
    return f"/runs/{quote(run, safe='')}"


async def run_of(request: web.Request) -> PastRun:
    """Return the run that the address names. Raises HTTPNotFound, and UsageError if its database is damaged."""
    name = request.match_info["name"]
    found = await asyncio.to_thread(run_named, context_of(request).config.results.folder, name)
    if isinstance(found, DamagedRun):
        why = "may not be read by this server" if found.is_withheld else found.how
        raise UsageError(
            f"The database of the run {name} {why}.", remedy="The workbooks in its folder are all there is."
        )
    if found is None:
        raise web.HTTPNotFound
    return found


async def looked_up(request: web.Request, past: PastRun, look: Callable[[], _T]) -> _T:
    """Return what a thread does about a run. Raises UsageError for what goes wrong: no answer names a path."""
    try:
        return await asyncio.to_thread(look)
    except InputError as error:
        why = f"The database of the run {past.folder.name} is damaged."
        raise UsageError(why, remedy="The workbooks in its folder are all there is.") from error
    except BatchUpdaterError as error:
        place = error.place.file
        message = error.message.replace(place, PurePath(place).name) if place else error.message
        without_paths = context_of(request).without_paths
        raise UsageError(without_paths(message), remedy=without_paths(error.remedy)) from error


async def show_run(request: web.Request) -> web.Response:
    """Show how far a run is, or how it ended."""
    context, past = context_of(request), await run_of(request)
    live = await asyncio.to_thread(context.worker.live_of_run, past.folder.name)
    if live is not None:
        if is_fragment(request):  # what was waiting in the queue has begun
            return way_to(request, address(past.folder.name))
        values = await asyncio.to_thread(_values_of_going, context, past, user_of(request))
        return context.page(request, "going.html.j2", **live_values(live), **values)
    values = await looked_up(request, past, lambda: _values_of_ended(context, past, request))
    if is_fragment(request) and values["task"] is None:  # what was waiting in the queue has ended
        return way_to(request, address(past.folder.name))
    return context.page(request, "run.html.j2", row_fault=None, typed="", **values)


def live_values(live: LiveCounts) -> dict[str, Any]:
    """Return what the template of live counts needs."""
    return {"live": live, "left": "" if live.left_s is None else duration(live.left_s)}


def _values_of_going(context: PageContext, past: PastRun, user: str) -> dict[str, Any]:
    name = past.folder.name
    task, events = context.uploads.task_of_run(name), context.uploads.events(run=name)
    is_of_team = past.team_state is not None
    return {
        "past": past,
        "own": address(name),
        "is_ours": is_of_team or (task is not None and task.state is TaskState.RUNNING),
        "is_stopping": bool(events) and events[0].what == STOPPED,
        "stop_refusal": _why_not_stopped(context, past, task, user),
        "holder": None if is_of_team else holder_of(past.folder.parent, past.identity.base_url or ""),
        "events": events,
    }


def _why_not_stopped(context: PageContext, past: PastRun, task: Task | None, user: str) -> str:
    """Return why a person may not stop a run; '' if they may. Those of a team are stopped on any host."""
    if task is None and past.team_state is None:
        return ""
    return why_not_stop(task.by if task else past.sent_by, context.config, user)


def _values_of_ended(context: PageContext, past: PastRun, request: web.Request) -> dict[str, Any]:
    name, runs, workbook, files = past.folder.name, context.run_list.runs(), past.workbook, files_of(past)
    view = view_of(past, runs)
    user, task = user_of(request), context.uploads.task_of_run(name)
    is_open = task is not None and task.state in OPEN
    is_here = any(file.kind is RunFileKind.WORKBOOK for file in files)
    repairs = _repair_values(context, past, request)
    is_repaired = repairs["repair"] is not None and repairs["repair"].run is not None
    return {
        "past": past,
        "own": address(name),
        "view": _in_words_of_the_page(context, past, view, is_repaired=is_repaired),
        "next_sentences": tuple(_next_sentences(past, view, is_repaired=is_repaired)),
        "open_rows": past.summary.total(RUN_AGAIN),
        "files": files,
        "has_workbook": workbook is not None,
        "elsewhere": workbook.name if workbook and not is_here else "",
        "relatives": relatives_of(past, runs),
        "undo": undo_in_words(past),
        "no_undo": _why_not_undone(past),
        "closing": closing_in_words(past) if past.is_unfinished else (),
        "close_refusal": why_not_stop(past.sent_by, context.config, user),
        "task": task if is_open else None,
        "ahead": tasks_ahead_of(context, task) if task and is_open else 0,
        "failed": task.fault if task else None,
        "resume_refusal": why_not_resume(past, context.uploads, context.config, user) if past.is_unfinished else "",
        "can_be_repaired": can_be_repaired(past),
        "events": context.uploads.events(run=name),
        **repairs,
    }


def _repair_values(context: PageContext, past: PastRun, request: web.Request) -> dict[str, Any]:
    """Return the grid in which the rows of a run are repaired, as far as there is one."""
    upload, elsewhere = context.uploads.repair_of(past.folder.name), ""
    try:
        draft = context.worker.draft(upload.id) if upload and upload.asked is None else None
    except ElsewhereError as error:
        draft, elsewhere = None, f"{error.message} {error.remedy}"
    checks = [task for task in context.uploads.tasks(upload.id) if task.kind is TaskKind.CHECK] if upload else []
    values: dict[str, Any] = {
        "own": address(past.folder.name), "repair": upload, "grid": None, "form": None, "questions": (),
        "check": checks[0] if checks else None, "repair_elsewhere": elsewhere,
    }  # fmt: skip
    if upload is None or draft is None or (checks and checks[0].state in OPEN):
        return values
    files, shown_rows = f"/files/{upload.id}", GridFilter.of(request.query)
    summary = draft.summary()
    return {
        **values,
        "form": send_form(context, upload, draft, user_of(request), draft.staged.good),
        "grid": grid_of(draft, summary.causes, shown_rows, page=address(past.folder.name), files=files),
        "questions": [question for question in draft.questions if not question.is_about_one_cell],
    }


def _in_words_of_the_page(context: PageContext, past: PastRun, view: SummaryView, *, is_repaired: bool) -> SummaryView:
    """Return a view whose words are about this page, not about the workbook and the command line."""
    lasted = dict(view.facts)["When"].rpartition(", ")[2]
    when = Markup("{}, {}").format(time_element(view.started_at), lasted)
    facts = (
        (key, context.with_times(text) if key == "Note" else text)
        for key, text in ((key, in_page_words(context.without_paths(text))) for key, text in view.facts)
        if key not in _FACTS_LEFT_OUT
    )
    repair = ": it can be repaired here once the run has come to its end" if past.is_unfinished else ": repair it below"
    counts = (
        replace(count, meaning=going_on(past, count.meaning.replace(_ON_TO_FIX, "" if is_repaired else repair)))
        for count in view.counts
    )
    stop = going_on(past, in_page_words(context.without_paths(view.stop)))
    return replace(view, facts=(("When", when), *facts), stop=stop, counts=tuple(counts))


def going_on(past: PastRun, text: str) -> str:
    """Return a message in which the button of an unfinished run takes the place of its command."""
    return _RUN_AGAIN.sub(_press_go_on, text) if past.is_unfinished else text


def _press_go_on(found: re.Match[str]) -> str:
    return f"{'P' if found[1] == 'R' else 'p'}ress “Go on”"


def _next_sentences(past: PastRun, view: SummaryView, *, is_repaired: bool) -> Iterator[str]:
    """Yield what is to be done, in words of the page: what a button does is not said as a command.

    `is_repaired`: the rows that need a person were sent in another run.
    """
    open_rows = past.summary.total(RUN_AGAIN)
    is_done = view.next_step.kind is NextKind.NOTHING
    if past.facts.inbox and not is_done:  # the next night does it, unless a person does
        yield view.next_step.text
    if past.is_unfinished and open_rows:
        yield f"{counted(open_rows, 'row')} {'is' if open_rows == 1 else 'are'} not done. Going on sends just those."
        if Earlier(resumed=past).is_old:
            yield "It started more than a day ago: changes made since could be overwritten."
    if view.for_review and not is_repaired:
        needs = "needs a person" if view.for_review == 1 else "need a person"
        they = "It" if view.for_review == 1 else "They"
        repaired = (
            f"{they} can be repaired here once the run has come to its end."
            if past.is_unfinished
            else "Repaired here, just those are sent."
        )
        yield f"{counted(view.for_review, 'row')} {needs}. {repaired}"
    elif is_done:
        yield view.next_step.text


def _why_not_undone(past: PastRun) -> str:
    if past.endpoint.read is None:
        return f"It cannot be undone: the description {past.identity.endpoint} names no way to read a record."
    if not past.facts.reads_first:
        return "It cannot be undone: its records were not read before they were changed."
    return "There is nothing to undo: it has changed no record."


async def stream_events(request: web.Request) -> web.StreamResponse:
    """Tell a page how far a run is, twice a second at most, until it has ended (HTML Living Standard, section 9.2)."""
    context, past = context_of(request), await run_of(request)
    streams, name = request.app[STREAMS], past.folder.name
    if streams.count >= _MOST_STREAMS:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"})
    streams.count += 1
    try:
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        with suppress(ConnectionError):  # the page was closed
            said, silent_s = "", 0.0
            while not streams.closing.is_set():
                fragment = said  # until a team's database answers again
                with suppress(TeamUnreachableError):
                    live = await asyncio.to_thread(context.worker.live_of_run, name)
                    if live is None:
                        await response.write(_event("end", ""))
                        break
                    fragment = context.page(request, "live.html.j2", **live_values(live)).text or ""
                if fragment != said:
                    await response.write(_event("message", fragment))
                    said, silent_s = fragment, 0.0
                elif silent_s >= _HEARTBEAT_S:
                    await response.write(b": going on\n\n")
                    silent_s = 0.0
                with suppress(TimeoutError):
                    await asyncio.wait_for(streams.closing.wait(), _EVENT_EVERY_S)
                silent_s += _EVENT_EVERY_S
        return response
    finally:
        streams.count -= 1


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


async def stop(request: web.Request) -> web.Response:
    """Stop a run that this server, or its team, is sending: what is in flight is awaited."""
    context, past, _ = context_of(request), await run_of(request), await form_of(request)
    name, user = past.folder.name, user_of(request)

    def stopped() -> None:
        if why := _why_not_stopped(context, past, context.uploads.task_of_run(name), user):
            raise UsageError(why)
        if not context.worker.stop(name, user):
            remedy = "It has ended, or another process sends it."
            raise UsageError("This server is not sending this run.", remedy=remedy)
        context.uploads.note(user, STOPPED, run=name)

    await asyncio.to_thread(stopped)
    is_there = await asyncio.to_thread(run_named, context.config.results.folder, name)
    return context.redirect(request, address(name)) if is_there else context.redirect(request, "/", _NEVER_BEGUN)


async def resume(request: web.Request) -> web.Response:
    """Go on with an unfinished run."""
    context, user, past = context_of(request), user_of(request), await run_of(request)
    await form_of(request)
    name = past.folder.name

    def queue() -> None:
        before = context.uploads.task_of_run(name)
        if before and before.state in OPEN:
            return
        if why := why_not_resume(past, context.uploads, context.config, user):
            raise UsageError(why)
        # Should nothing be left of the run, no other rows are sent in its place.
        upload, digest = (before.upload, before.options.digest) if before else (None, "")
        options = SendingOptions(resume_old=True, digest=digest)  # when it began stands beside the button
        context.uploads.add_task(TaskKind.SEND, user, upload=upload, run=name, options=options)

    await asyncio.to_thread(queue)
    context.worker.wake()
    return context.redirect(request, address(name))


async def close(request: web.Request) -> web.Response:
    """Close an unfinished run for good: one's own, or anyone's for those who may send."""
    context, user, past = context_of(request), user_of(request), await run_of(request)
    await form_of(request)

    def closed() -> None:
        if why := why_not_stop(past.sent_by, context.config, user):
            raise UsageError(why)
        with run_to_close(past) as unfinished:
            close_run(unfinished)
        context.uploads.note(user, "closed", run=past.folder.name)

    await looked_up(request, past, closed)
    return context.redirect(request, address(past.folder.name), "The run is closed.")


async def undo(request: web.Request) -> web.Response:
    """Open the workbook that undoes a run as a new file, to be checked and sent."""
    context, user, past = context_of(request), user_of(request), await run_of(request)
    await form_of(request)

    upload = await looked_up(
        request, past, lambda: undo_of_run(past, context.uploads, context.config, context.environment, user)
    )
    context.worker.wake()
    events = await asyncio.to_thread(context.uploads.events, upload=upload.id)
    said = next((one.text for one in events if (one.upload, one.what) == (upload.id, "undid")), "")
    return context.redirect(request, f"/files/{upload.id}/check", said)


async def repair(request: web.Request) -> web.Response:
    """Open the rows of a run that need a person, to be repaired on its page."""
    context, user, past = context_of(request), user_of(request), await run_of(request)
    await form_of(request)

    def repaired() -> None:
        before = context.uploads.repair_of(past.folder.name)
        repair = repair_of_run(past, context.uploads, user)
        if before is None:
            context.uploads.note(user, "began to repair", upload=repair.id, run=past.folder.name)

    await looked_up(request, past, repaired)
    context.worker.wake()
    return context.redirect(request, f"{address(past.folder.name)}#grid")


async def show_repaired(request: web.Request) -> web.Response:
    """Show the form that sends repaired rows, as it is after an edit."""
    context, past = context_of(request), await run_of(request)
    values = await looked_up(request, past, lambda: _repair_values(context, past, request))
    if not is_fragment(request):
        return context.redirect(request, address(past.folder.name))
    if values["form"] is not None and "check" in request.query:  # the rows are there by now
        return web.Response(headers={"HX-Refresh": "true"})
    return context.page(request, "repaired.html.j2", **values)


async def cancel(request: web.Request) -> web.Response:
    """Take a file from the queue that was not begun to be sent."""
    context, upload, user = context_of(request), await upload_of(request), user_of(request)
    await form_of(request)

    def stopped() -> None:
        sends = (one for one in context.uploads.tasks(upload.id) if one.kind is TaskKind.SEND and one.state in OPEN)
        for task in sends:
            if why := why_not_stop(task.by, context.config, user):
                raise UsageError(why)
            context.worker.cancel(task.number)
            context.uploads.note(user, STOPPED, upload=upload.id)

    await asyncio.to_thread(stopped)
    return context.redirect(request, f"/files/{upload.id}/preview")


async def write_report(request: web.Request) -> web.Response:
    """Write the workbook of a run again."""
    context, user, past = context_of(request), user_of(request), await run_of(request)
    await form_of(request)
    await looked_up(request, past, lambda: report(past, None))
    await asyncio.to_thread(context.uploads.note, user, "wrote the workbook again", run=past.folder.name)
    return context.redirect(request, f"{address(past.folder.name)}#files", "The workbook is written.")


async def download(request: web.Request) -> web.StreamResponse:
    """Send one of the files that the run has in its folder; the address names its kind, never a path.

    The page, which the run wrote for those who can open its folder, is sent without the folders of the server.
    """
    context, past = context_of(request), await run_of(request)
    files = await asyncio.to_thread(files_of, past)
    found = next((one for one in files if one.kind == request.match_info["kind"]), None)
    if found is None:
        raise web.HTTPNotFound
    headers = {
        # No type that a browser would show by itself: what is in the file is not ours.
        "Content-Type": "application/octet-stream",
        "Content-Disposition": disposition(found.path.name),
        "Cache-Control": "no-store",
    }
    if found.kind is RunFileKind.PAGE:
        try:
            written = await asyncio.to_thread(read_regular, found.path, found.size)
        except OSError as error:  # it is gone, or is just being written again
            raise web.HTTPNotFound from error
        shown = context.hidden_paths.page(written.decode(errors="replace"), past.facts.input)
        return web.Response(body=shown.encode(), headers=headers)
    return web.FileResponse(found.path, headers=headers)


def disposition(name: str) -> str:
    """Return the header that has a browser save a file under a name (RFC 6266, with RFC 8187 for other letters)."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name
    )
    extended = quote(name, safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}"


async def find_row(request: web.Request) -> web.Response:
    """Go to the page of the row whose number was typed."""
    context, past = context_of(request), await run_of(request)
    typed = request.query.get("number", "").strip()
    try:
        number = _number_of(typed)
        await looked_up(request, past, lambda: next(explained_rows(past, number, context.run_list.runs())))
    except UsageError as error:
        values = await looked_up(request, past, lambda: _values_of_ended(context, past, request))
        return context.page(request, "run.html.j2", status=404, row_fault=error, typed=typed, **values)
    return context.redirect(request, f"{address(past.folder.name)}/rows/{number}")


def _number_of(typed: str) -> int:
    digits = typed.replace(",", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_OF_A_NUMBER):
        raise UsageError(f"{typed!r} is no number of a row.", remedy="Type the number that Excel shows beside the row.")
    return int(digits)


routes = (
    web.get("/files/{id}/run", show_wait),
    web.post("/files/{id}/run", cancel),
    web.get("/runs/{name}", show_run),
    web.get("/runs/{name}/events", stream_events),
    web.post("/runs/{name}/stop", stop),
    web.post("/runs/{name}/resume", resume),
    web.post("/runs/{name}/close", close),
    web.post("/runs/{name}/report", write_report),
    web.post("/runs/{name}/undo", undo),
    web.post("/runs/{name}/repair", repair),
    web.get("/runs/{name}/repaired", show_repaired),
    web.get("/runs/{name}/files/{kind}", download),
    web.get("/runs/{name}/rows", find_row),
)
