"""Tickets as Zendesk Support documents them: Basic authentication by an API token, a wrapper around the ticket."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "zd-6wiIBWbGkBMo1mRDMuVwkw1EPsNk"
AUTHORIZATION = "Basic " + base64.b64encode(f"ops@example.com/token:{TOKEN}".encode()).decode()
PLAN = 360001
"""A custom field of this account, with the tags of a drop-down list as its values."""
AGENTS = {235323, 235324}
_STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
_WRITABLE = {"assignee_id", "comment", "custom_fields", "due_at", "followers", "priority", "status", "subject", "tags"}


def ticket(number: int, **members: object) -> Record:
    return {
        "id": number, "requester_id": 4711, "subject": f"Ticket {number}", "status": "open", "priority": None,
        "tags": [], "assignee_id": None, "due_at": None, "custom_fields": [{"id": PLAN, "value": None}],
    } | members  # fmt: skip


class ZendeskTickets(VendorServer):
    """Holds three open tickets and one that is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.comments: list[tuple[str, str]] = []
        for record in (
            ticket(35436, priority="normal", tags=["eu"], assignee_id=235324),
            ticket(35437, custom_fields=[{"id": PLAN, "value": "premium"}]),
            ticket(35438, priority="urgent", tags=["eu", "vip"]),
            ticket(35439, status="closed"),
        ):
            self.records[str(record["id"])] = record

    def too_fast(self) -> Reply:
        text = "Number of allowed API requests per minute exceeded"
        return Reply(429, {"error": "APIRateLimitExceeded", "description": text}, {"Retry-After": "0"})

    def reply(self, request: Received) -> Reply:
        if request.headers.get("Authorization") != AUTHORIZATION:
            raise Refused(Reply(401, {"error": "Couldn't authenticate you"}))
        number = request.path.removeprefix("/api/v2/tickets/")
        if number not in self.records:
            raise Refused(Reply(404, {"error": "RecordNotFound", "description": "Not found"}))
        if request.method == "GET":
            return Reply(200, {"ticket": self.records[number]})
        if request.method != "PUT" or request.content_type != "application/json":
            raise Refused(Reply(415, {"error": "Unsupported media type"}))
        self.records[number] = self._changed(number, request)
        return Reply(200, {"ticket": self.records[number], "audit": {"id": 1, "ticket_id": int(number)}})

    def _changed(self, number: str, request: Received) -> Record:
        change = request.json().get("ticket")
        if not isinstance(change, dict) or len(request.json()) > 1:
            text = "You passed an invalid value for the ticket attribute. Invalid parameter: ticket must be an object"
            raise Refused(Reply(400, {"error": {"title": "Invalid attribute", "message": text}}))
        record = deepcopy(self.records[number])
        if record["status"] == "closed":
            raise _invalid("status", "Status: closed prevents ticket update")
        if unknown := set(change) - _WRITABLE:
            raise _invalid("base", f"Unknown attributes: {unknown}")
        if change.get("assignee_id") is not None and change["assignee_id"] not in AGENTS:
            raise _invalid("assignee", "Assignee: is not an agent of this account")
        if "status" in change and change["status"] not in _STATUSES:
            raise _invalid("status", f"Status: {change['status']} is not included in the list")
        for element in change.pop("custom_fields", ()):
            value = next((one for one in record["custom_fields"] if one["id"] == element["id"]), None)
            if value is None or set(element) != {"id", "value"}:
                raise _invalid("base", f"Custom field {element} is not one of this account")
            value["value"] = element["value"]
        if comment := change.pop("comment", None):
            self.comments.append((number, comment["body"]))
        if "tags" in change:
            # The answer has them in another order and in lower case.
            change["tags"] = sorted(map(str.lower, change["tags"]))
        return record | change


def _invalid(attribute: str, text: str) -> Refused:
    details: dict[str, Any] = {attribute: [{"description": text}]}
    return Refused(
        Reply(422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details})
    )


RECIPE = Recipe(
    name="zendesk-tickets",
    description="zendesk-tickets.yaml",
    server=ZendeskTickets,
    secrets={"ZENDESK_TOKEN": TOKEN},
    shown=AUTHORIZATION.removeprefix("Basic "),
    bad_cell=("assignee_id", "235999"),
    reason="Assignee: is not an agent of this account",
)
