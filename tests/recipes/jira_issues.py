"""Issues as Jira Cloud documents them: Basic authentication, free maps of JSON, and 204 without a body."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "ATATT3xFfGF0c0ffee2kZ9tQ8mB7"
AUTHORIZATION = "Basic " + base64.b64encode(f"ops@example.com:{TOKEN}".encode()).decode()
PATH = "/rest/api/3/issue/"
POINTS = "customfield_10016"
"""A custom field of this site, a number."""
_PRIORITIES = {"Highest": "1", "High": "2", "Medium": "3", "Low": "4"}


def issue(number: int, **fields: object) -> Record:
    """Return the fields of an issue as a reading has them."""
    return {
        "summary": f"Issue {number}", "priority": _priority("Medium"), "labels": [], "duedate": None, POINTS: None,
        "description": None,
    } | fields  # fmt: skip


def _priority(name: str) -> dict[str, str]:
    number = _PRIORITIES[name]
    return {"self": f"https://example.atlassian.net/rest/api/3/priority/{number}", "name": name, "id": number}


class JiraIssues(VendorServer):
    """Holds three issues."""

    def __init__(self) -> None:
        super().__init__()
        self.records = {
            "OPS-1": issue(1, labels=["eu"], duedate="2026-01-31"),
            "OPS-2": issue(2, priority=_priority("Low"), **{POINTS: 5.0}),
            "OPS-3": issue(3, labels=["vip"], **{POINTS: 1.0}),
        }

    def too_fast(self) -> Reply:
        headers = {"Retry-After": "0", "RateLimit-Reason": "jira-burst-based"}
        return Reply(429, {"errorMessages": ["Rate limit exceeded."], "errors": {}}, headers)

    def reply(self, request: Received) -> Reply:
        if request.headers.get("Authorization") != AUTHORIZATION:
            raise Refused(Reply(401, b"Client must be authenticated to access this resource."))
        key = request.path.removeprefix(PATH)
        if key not in self.records:
            raise _refused(404, "Issue does not exist or you do not have permission to see it.")
        if request.method == "GET":
            return Reply(200, {"id": f"1000{key[-1]}", "key": key, "fields": self.records[key]})
        if request.method != "PUT" or request.content_type != "application/json":
            raise Refused(Reply(415, {"message": "HTTP 415 Unsupported Media Type", "status-code": 415}))
        change = request.json()
        if not isinstance(change, dict) or not set(change) <= {"fields", "update", "properties", "transition"}:
            raise _refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        fields, update = change.get("fields", {}), change.get("update", {})
        if not fields and not update:
            raise _refused(400, "one of 'fields' or 'update' required")
        if both := set(fields) & set(update):
            raise _refused(400, **dict.fromkeys(both, "Field cannot be in both 'fields' and 'update'."))
        self.records[key] = _changed(self.records[key], fields)
        for operation in update.get("labels", ()):
            self.records[key]["labels"].append(operation["add"])
        return Reply(204)


def _changed(record: Record, change: dict[str, Any]) -> Record:
    record = deepcopy(record)
    for name, value in change.items():
        match name, value:
            case "summary", str() if value and "\n" not in value:
                record[name] = value
            case "priority", {"name": str() as priority} if priority in _PRIORITIES:
                record[name] = _priority(priority)
            case "labels", list() if all(isinstance(label, str) and " " not in label for label in value):
                record[name] = value
            case "duedate", str() | None:
                record[name] = value or None
            case (str(), int() | float() | None) if name == POINTS:
                record[name] = None if value is None else float(value)
            case "priority", _:
                raise _refused(400, priority="The priority selected is invalid.")
            case "description", {"type": "doc"}:
                record[name] = value
            case "description", _:
                raise _refused(400, description="Operation value must be an Atlassian Document")
            case "summary" | "labels" | "duedate", _:
                raise _refused(400, **{name: f"The value {value!r} is not valid."})
            case _:
                text = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
                raise _refused(400, **{name: text})
    return record


def _refused(status: int, *messages: str, **errors: str) -> Refused:
    return Refused(Reply(status, {"errorMessages": list(messages), "errors": errors}))


RECIPE = Recipe(
    name="jira-issues",
    description="jira-issues.json",
    server=JiraIssues,
    secrets={"JIRA_TOKEN": TOKEN},
    shown=AUTHORIZATION.removeprefix("Basic "),
    bad_cell=("fields.priority.name", "Hihg"),
    reason="The priority selected is invalid.",
)
