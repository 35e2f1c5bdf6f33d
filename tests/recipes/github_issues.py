"""Issues as GitHub's REST API documents them: labels and people come back as objects, a limit is a 403."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.recipes.recipe import Recipe
from tests.recipes.vendor_server import Received, Record, Refused, Reply, VendorServer

TOKEN = "github_pat_11ABCDEFG0aKq3VbXw7Z_pLmN4sTuVwXyZ"
DOCS = "https://docs.github.com/rest"
VERSIONS = {"2022-11-28", "2026-03-10"}
PEOPLE = {"octocat": 583231, "hubot": 480938, "mona": 6060}
MILESTONES = {3: "2026-12", 4: "2027-01"}
_WRITABLE = {"title", "body", "state", "state_reason", "labels", "assignees", "milestone", "type"}


def label(name: str) -> Record:
    return {"id": 208045946 + len(name), "name": name, "color": "ededed", "default": False, "description": None}


def person(login: str) -> Record:
    return {"login": login, "id": PEOPLE[login], "type": "User", "site_admin": False}


def milestone(number: int | None) -> Record | None:
    return None if number is None else {"id": 1002604 + number, "number": number, "title": MILESTONES[number]}


def issue(number: int, **members: object) -> Record:
    return {
        "id": 100000 + number, "number": number, "title": f"Issue {number}", "body": None, "state": "open",
        "labels": [], "assignees": [], "milestone": None, "user": person("mona"), "locked": False, "comments": 0,
        "type": None,
    } | members  # fmt: skip


class GitHubIssues(VendorServer):
    """Holds three issues of the repository octo-org/shop."""

    def __init__(self) -> None:
        super().__init__()
        self.may_push = True
        """Without it, GitHub drops labels, assignees and milestone, and tells nothing."""
        self.reasons: dict[str, str | None] = {}
        """Number -> why it has its state, which GitHub decides if nothing is said."""
        for record in (
            issue(1347, labels=[label("bug"), label("triage")], assignees=[person("hubot")]),
            issue(1348, labels=[label("bug")], milestone=milestone(3)),
            issue(1350, assignees=[person("octocat")], milestone=milestone(3)),
        ):
            self.records[str(record["number"])] = record

    def too_fast(self) -> Reply:
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return Reply(403, {"message": message, "documentation_url": f"{DOCS}/overview/rate-limits"}, _limit("0"))

    def reply(self, request: Received) -> Reply:
        if not request.headers.get("User-Agent"):
            raise Refused(Reply(403, b"Request forbidden by administrative rules. Add a User-Agent header."))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _error(401, "Bad credentials")
        if request.headers.get("X-GitHub-Api-Version", "2022-11-28") not in VERSIONS:
            raise _error(400, "The version of the API is not supported.")
        repository, _, number = request.path.removeprefix("/repos/").partition("/issues/")
        if repository != "octo-org/shop" or number not in self.records:
            raise _error(404, "Not Found")
        if request.method == "PATCH":
            self.records[number] = self._changed(number, request)
        elif request.method != "GET":
            raise _error(404, "Not Found")
        return Reply(200, self.records[number] | {"state_reason": self.reasons.get(number)}, _limit("4999"))

    def _changed(self, number: str, request: Received) -> Record:
        try:
            change = request.json()
        except ValueError:
            change = None
        if not isinstance(change, dict):
            raise _error(400, "Problems parsing JSON")
        if unknown := sorted(set(change) - _WRITABLE):
            raise _error(422, f'Invalid request. "{unknown[0]}" is not a permitted key.')
        record = deepcopy(self.records[number])
        reason = change.pop("state_reason", None)
        if (state := change.get("state", record["state"])) != record["state"]:
            self.reasons[number] = "reopened" if state == "open" else reason or "completed"
        if not self.may_push:
            for name in ("labels", "assignees", "milestone", "type"):
                change.pop(name, None)
        for login in change.get("assignees", ()):
            if login not in PEOPLE:
                raise _invalid("assignees", login)
        if change.get("milestone") is not None and change["milestone"] not in MILESTONES:
            raise _invalid("milestone", change["milestone"])
        if "labels" in change:
            change["labels"] = [label(name) for name in sorted(change["labels"])]
        if "assignees" in change:
            change["assignees"] = [person(login) for login in change["assignees"]]
        if "milestone" in change:
            change["milestone"] = milestone(change["milestone"])
        return record | change


def _limit(remaining: str) -> dict[str, str]:
    return {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "1"}


def _error(status: int, message: str, **members: Any) -> Refused:
    body = {"message": message, **members, "documentation_url": f"{DOCS}/issues/issues", "status": str(status)}
    return Refused(Reply(status, body, _limit("4999")))


def _invalid(field: str, value: object) -> Refused:
    error = {"value": value, "resource": "Issue", "field": field, "code": "invalid"}
    return _error(422, "Validation Failed", errors=[error])


RECIPE = Recipe(
    name="github-issues",
    description="github-issues.json",
    server=GitHubIssues,
    secrets={"GITHUB_TOKEN": TOKEN},
    bad_cell=("milestone", "99"),
    reason="Validation Failed",
)
