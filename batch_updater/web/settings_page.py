"""`/settings`: how this server is set up, and what it has learned. Nothing of it can be changed here but layouts."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from aiohttp import web

from batch_updater.config.schema import settings_of
from batch_updater.doctor.examination import examine
from batch_updater.doctor.finding import diagnosis
from batch_updater.errors import BatchUpdaterError
from batch_updater.runs.layouts import delete_layout, read_layouts, rename_layout
from batch_updater.runs.names import all_names
from batch_updater.runs.uploads import Event
from batch_updater.web.context import PageContext, context_of, form_of, is_fragment, user_of

if TYPE_CHECKING:
    from batch_updater.doctor.finding import Finding

_EVENTS_SHOWN = 100
_EVENTS_READ = 1_000


async def show_settings(request: web.Request) -> web.Response:
    """Show the page."""
    return await _page(request)


async def run_doctor(request: web.Request) -> web.Response:
    """Examine the set-up without sending anything, and show what was found."""
    context = context_of(request)
    await form_of(request)

    def examined() -> list[Finding]:
        return list(examine(context.config_path, context.environment))

    findings = await asyncio.to_thread(examined)
    if is_fragment(request):
        return context.page(request, "findings.html.j2", findings=findings, diagnosis=diagnosis(findings))
    return await _page(request, findings=findings)


async def rename(request: web.Request) -> web.Response:
    """Rename a layout."""
    form = await form_of(request)
    return await _changed(request, "renamed a layout", form.get("of_layout", ""), form.get("name", ""))


async def delete(request: web.Request) -> web.Response:
    """Delete a layout."""
    form = await form_of(request)
    return await _changed(request, "deleted a layout", form.get("of_layout", ""), None)


async def _changed(request: web.Request, what: str, name: str, new_name: str | None) -> web.Response:
    context, user = context_of(request), user_of(request)

    def change() -> tuple[str, str]:
        """Return the part of the page that shows what was changed, and a sentence."""
        folder = context.config.layouts_folder
        if new_name is None:
            delete_layout(folder, name)
            context.uploads.note(user, what, text=f"{name}.")
            return "layouts", f"The layout {name} was deleted."
        called = rename_layout(folder, name, new_name)
        context.uploads.note(user, what, text=f"{name} is now {called}.")
        listed = read_layouts(folder)
        names = [layout.name for layout in listed.layouts] + [layout.name for layout in listed.damaged]
        part = f"layout-{names.index(called) + 1}" if called in names else "layouts"
        return part, f"The layout {name} is called {called} now."

    try:
        part, said = await asyncio.to_thread(change)
    except BatchUpdaterError as error:  # what was typed stays where it was typed
        return await _page(request, status=400, refused=(name, new_name or "", error))
    return context.redirect(request, f"/settings#{part}", said)


async def _page(
    request: web.Request,
    *,
    status: int = 200,
    findings: list[Finding] | None = None,
    refused: tuple[str, str, BatchUpdaterError] | None = None,
) -> web.Response:
    context = context_of(request)
    values = await asyncio.to_thread(_values, context, user_of(request))
    told = diagnosis(findings) if findings else ""
    return context.page(
        request, "settings.html.j2", status=status, findings=findings, diagnosis=told, refused=refused, **values
    )


def _values(context: PageContext, user: str) -> dict[str, object]:
    config, uploads = context.config, {upload.id: upload for upload in context.uploads.uploads()}

    def seen(event: Event) -> bool:
        """Whether the person may know of it: of what was done to files of others only by a run, which all see."""
        upload = uploads.get(event.upload or "")
        return event.upload is None or (upload is not None and context.may_see(upload, user))

    return {
        "sections": groupby(settings_of(config), lambda setting: setting.name.partition(".")[0]),
        "guards": [(f"guards.{name}", limit) for name, limit in config.guards],
        "layouts": read_layouts(config.layouts_folder),
        "names": all_names(config.results.folder),
        "may_send": config.web.may_send,
        "may_approve": config.web.may_approve,
        "names_of_files": {id_: upload.name for id_, upload in uploads.items()},
        "events": tuple(event for event in context.uploads.events(most=_EVENTS_READ) if seen(event))[:_EVENTS_SHOWN],
    }


routes = (
    web.get("/settings", show_settings),
    web.post("/settings/doctor", run_doctor),
    web.post("/settings/layouts/rename", rename),
    web.post("/settings/layouts/delete", delete),
)
