"""docs/recipes/github-issues.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.recipes.github_issues import RECIPE, TOKEN, GitHubIssues
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import Reply, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/repos/octo-org/shop/issues/"
BEARER = f"Bearer {TOKEN}"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "headers", "status"),
    [
        (f"{PATH}1347", '{"state": "closed"}', {}, 200),
        (f"{PATH}1347", '{"state": "closed"}', {"Authorization": f"token {TOKEN[:-1]}"}, 401),
        (f"{PATH}1347", '{"state": "closed"}', {"User_Agent": ""}, 403),
        (f"{PATH}1347", '{"state": "closed"}', {"X_GitHub_Api_Version": "2021-01-01"}, 400),
        (f"{PATH}9", '{"state": "closed"}', {}, 404),
        ("/repos/octo-org/other/issues/1347", "{}", {}, 404),
        (f"{PATH}1347", "state=closed", {}, 400),
        (f"{PATH}1347", '{"issue": {"state": "closed"}}', {}, 422),
        (f"{PATH}1347", '{"assignees": ["nobody"]}', {}, 422),
        (f"{PATH}1347", '{"milestone": "2026-12"}', {}, 422),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(
    target: str, body: str, headers: dict[str, str], status: int
) -> None:
    """A wrong token or version, no agent, a form, a wrapper, and people and milestones that do not exist."""
    sent = {"Authorization": BEARER, "User_Agent": "x"} | headers
    assert GitHubIssues().judged(request("PATCH", target, body, **sent)).status == status


def test_what_is_dropped_without_push_access_is_not_taken_for_done(desk: Desk) -> None:
    """The answer is 200 with the labels and assignees as they were."""
    assert isinstance(desk.server, GitHubIssues)
    desk.server.may_push = False
    desk.write([{"issue_number": "1348", "state": "closed", "labels": "shop", "assignees": "mona"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"differs": 1})
    labels, assignees = sorted((cause["example"]["message"] for cause in done.object["causes"]), reverse=True)
    assert labels.startswith("labels: asked for 'shop', got")
    assert assignees == "assignees: asked for 'mona', got an empty field."


def test_a_primary_limit_ends_the_run_and_the_next_run_goes_on(desk: Desk) -> None:
    """The limit is reset in an hour; no row is refused for it, and none is sent twice."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"}
    used_up = Reply(403, {"message": "API rate limit exceeded for user ID 1."}, headers)
    desk.server.script["PATCH", f"{PATH}1348"] = deque([used_up])
    done = desk("run", ROWS, "--json", BATCH_UPDATER_SENDING__CONCURRENCY="1")
    assert (done.code, done.object["stopped"]) == (3, "max_wait")
    assert done.outcomes == {"updated": 1, "failed": 1, "not_sent": 1}
    resumed = desk("run", ROWS, "--json")
    assert (resumed.code, resumed.outcomes) == (0, {"updated": 3})
    times = Counter(one.path.removeprefix(PATH) for one in desk.server.updates())
    assert times == {"1347": 1, "1348": 2, "1350": 1}


def test_the_vendor_decides_on_the_reason_for_an_issue_that_is_opened_again(desk: Desk) -> None:
    """So an undo of a closed issue opens it, and tells that the reason is another one than before."""
    assert isinstance(desk.server, GitHubIssues)
    desk.write([{"issue_number": "1348", "state": "closed", "state_reason": "not_planned"}])
    done = desk("run", ROWS, "--compare", "--json")
    assert (done.code, done.outcomes) == (0, {"updated": 1})
    assert desk.server.reasons == {"1348": "not_planned"}
    assert desk("undo", done.object["run"]).code == 0
    undone = desk("run", next(desk.folder.glob("**/*undo*.xlsx")), "--json")
    assert (undone.code, undone.outcomes) == (1, {"differs": 1})
    assert undone.object["causes"][0]["example"]["message"] == "state_reason: asked to clear it, got 'reopened'."
    assert desk.server.records["1348"]["state"] == "open"


def test_an_undo_needs_a_row_that_shows_by_which_member_labels_are_told(desk: Desk) -> None:
    """A row that empties them does not."""
    desk.write([{"issue_number": "1347", "labels": "#CLEAR"}])
    done = desk("run", ROWS, "--compare", "--json")
    assert (done.code, done.outcomes) == (0, {"updated": 1})
    assert desk("undo", done.object["run"]).code == 0
    book = openpyxl.load_workbook(next(desk.folder.glob("**/*undo*.xlsx")))
    assert "it is not a list of plain values" in str([cell.value for cell in book["Not possible"][2]])


def test_a_reason_without_a_change_of_the_state_is_ignored(desk: Desk) -> None:
    """Which the answer shows."""
    desk.write([{"issue_number": "1348", "state_reason": "not_planned"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"differs": 1})


def test_issues_of_several_repositories_have_columns_for_them(desk: Desk) -> None:
    """In place of the constants."""
    config = RECIPE.config.replace("input:\n  constants: {owner: octo-org, repo: shop}\n", "")
    assert config != RECIPE.config
    desk.configure(config)
    desk.write([{"owner": "octo-org", "repo": "shop", "issue_number": "1347", "state": "closed"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (0, {"updated": 1})
    assert [one.path for one in desk.server.updates()] == [f"{PATH}1347"]
