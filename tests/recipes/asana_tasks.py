"""Tasks as Asana documents them: a wrapper, and custom fields that go out as a map and come back as a list."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "2/1199053184/1209053184:6f0d9b1c4e7a4bd2"
PEOPLE = {"14641": "Greg Sanchez", "14702": "Mona Lee"}
ADDRESSES = {"mona@example.com": "14702"}
PRIORITY, EFFORT = "1208070000000001", "1208070000000002"
OPTIONS = {"1208070000000011": "High", "1208070000000012": "Low"}
"""Of the custom field Priority; Effort is a number."""
_PLAIN = {"name", "notes", "html_notes", "completed", "due_on", "due_at", "start_on", "approval_status"}


def person(gid: str | None) -> Record | None:
    return None if gid is None else {"gid": gid, "resource_type": "user", "name": PEOPLE[gid]}


def priority(gid: str | None) -> Record:
    option = None if gid is None else {"gid": gid, "resource_type": "enum_option", "name": OPTIONS[gid]}
    return {"gid": PRIORITY, "name": "Priority", "resource_subtype": "enum", "enum_value": option}


def effort(number: float | None) -> Record:
    return {"gid": EFFORT, "name": "Effort", "resource_subtype": "number", "number_value": number}


def task(gid: str, **members: object) -> Record:
    return {
        "gid": gid, "resource_type": "task", "name": f"Task {gid}", "notes": "", "completed": False, "assignee": None,
        "due_on": None, "due_at": None, "start_on": None, "custom_fields": [priority(None), effort(None)],
        "followers": [],
    } | members  # fmt: skip


class AsanaTasks(VendorServer):
    """Holds three tasks with two custom fields."""

    def __init__(self) -> None:
        super().__init__()
        for record in (
            task("1208071111111101", due_on="2026-12-01", assignee=person("14641")),
            task("1208071111111102", custom_fields=[priority("1208070000000012"), effort(3)]),
            task("1208071111111103", completed=True, custom_fields=[priority("1208070000000011"), effort(0.5)]),
        ):
            self.records[str(record["gid"])] = record

    def too_fast(self) -> Reply:
        text = "You've made too many requests and hit a rate limit. Please retry after the given amount of time."
        return Reply(429, {"errors": [{"message": text}]}, {"Retry-After": "0"})

    def reply(self, request: Received) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _error(401, "Not Authorized")
        gid = request.path.removeprefix("/api/1.0/tasks/")
        if gid not in self.records:
            raise _error(404, f"task: Unknown object: {gid}")
        if request.method == "PUT":
            self.records[gid] = self._changed(gid, request)
        elif request.method != "GET":
            raise _error(404, "No matching route for request")
        # Without opt_fields it leaves html_notes out.
        return Reply(200, {"data": {name: one for name, one in self.records[gid].items() if name != "html_notes"}})

    def _changed(self, gid: str, request: Received) -> Record:
        if request.content_type != "application/json":
            raise _error(400, "Could not parse request data")
        try:
            change = request.json().get("data")
        except ValueError:
            raise _error(400, "Could not parse request data, invalid JSON") from None
        if not isinstance(change, dict):
            raise _error(400, "data: Missing input")
        record = deepcopy(self.records[gid])
        custom_fields = change.pop("custom_fields", {})
        for name, value in change.items():
            if name == "assignee":
                record[name] = person(_known(value))
            elif name not in _PLAIN:
                raise _error(400, f"{name}: Not a writable field of a task")
            else:
                record[name] = value
        if change.get("due_on") is not None:
            record["due_at"] = None
        for field, value in custom_fields.items():
            _set(record["custom_fields"], field, value)
        return record


def _known(gid: Any) -> str | None:
    gid = ADDRESSES.get(gid, gid)
    if gid is None or gid in PEOPLE:
        return None if gid is None else str(gid)
    raise _error(400, f"assignee: Not a recognized ID: {gid}")


def _set(custom_fields: list[Record], gid: str, value: Any) -> None:
    """Set a field as its type wants it: an option by its gid, which is a text, and a number as one."""
    if gid == PRIORITY and (value is None or value in OPTIONS):
        custom_fields[0] = priority(value)
    elif gid == EFFORT and (value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))):
        custom_fields[1] = effort(value)
    else:
        raise _error(400, f"custom_fields: Invalid value {value!r} for the custom field {gid}")


def _error(status: int, message: str) -> Refused:
    text = "For more information on API status codes and how to handle them, read the docs on errors"
    return Refused(Reply(status, {"errors": [{"message": message, "help": text}]}))


RECIPE = Recipe(
    name="asana-tasks",
    description="asana-tasks.yaml",
    server=AsanaTasks,
    secrets={"ASANA_TOKEN": TOKEN},
    bad_cell=("assignee", "99999"),
    reason="Not a recognized ID",
)
