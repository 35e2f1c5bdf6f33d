"""What the pages of docs/recipes warn of happens, and is told."""

from __future__ import annotations

import json
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.recipes import asana_tasks, dynamics_customers, github_issues, pipedrive_deals
from tests.recipes.recipe import ROWS, Desk, Recipe
from tests.recipes.vendor_server import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def desk_of(
    recipe: Recipe, folder: Path, *rows: dict[str, str], config: tuple[str, str] | None = None
) -> Iterator[tuple[Desk, Any]]:
    """Sit down at a desk, with other rows than the page's, and with a text of its configuration replaced."""
    with recipe.server() as server:
        desk = Desk(recipe, folder, server)
        if rows:
            desk.write(list(rows))
        if config is not None:
            assert config[0] in recipe.config
            (folder / "config.yaml").write_text(recipe.config.replace(*config, 1), encoding="utf-8")
        yield desk, server


def test_what_github_drops_without_push_access_is_not_taken_for_done(tmp_path: Path) -> None:
    """It answers 200 with the issue as it was; the state was changed all the same."""
    row = {"issue_number": "1348", "state": "closed", "labels": "shop", "assignees": "mona"}
    with desk_of(github_issues.RECIPE, tmp_path, row) as (desk, server):
        server.may_push = False
        done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"differs": 1})
    labels, assignees = sorted((cause["example"]["message"] for cause in done.object["causes"]), reverse=True)
    assert labels.startswith("labels: asked for 'shop', got")
    assert assignees == "assignees: asked for 'mona', got an empty field."


def test_a_primary_limit_of_github_ends_the_run_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The limit is reset in an hour; no row is refused for it, and none is sent twice."""
    used_up = Reply(
        403, {"message": "API rate limit exceeded for user ID 1."},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"},
    )  # fmt: skip
    with desk_of(github_issues.RECIPE, tmp_path) as (desk, server):
        server.script["PATCH", "/repos/octo-org/shop/issues/1348"] = deque([used_up])
        done = desk("run", ROWS, "--json", BATCH_UPDATER_SENDING__CONCURRENCY="1")
        assert (done.code, done.object["stopped"]) == (3, "max_wait")
        assert done.outcomes == {"updated": 1, "failed": 1, "not_sent": 1}
        resumed = desk("run", ROWS, "--json")
        assert (resumed.code, resumed.outcomes) == (0, {"updated": 3})
        assert Counter(one.path for one in server.updates()) == Counter(
            {f"/repos/octo-org/shop/issues/{number}": times for number, times in ((1347, 1), (1348, 2), (1350, 1))}
        )


def test_github_decides_on_the_reason_for_an_issue_that_is_opened_again(tmp_path: Path) -> None:
    """So an undo of a closed issue opens it, and tells that the reason is another one than before."""
    row = {"issue_number": "1348", "state": "closed", "state_reason": "not_planned"}
    with desk_of(github_issues.RECIPE, tmp_path, row) as (desk, server):
        done = desk("run", ROWS, "--compare", "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 1})
        assert server.reasons == {"1348": "not_planned"}
        assert desk("undo", done.object["run"]).code == 0
        undone = desk("run", next(tmp_path.glob("**/*undo*.xlsx")), "--json")
        assert (undone.code, undone.outcomes) == (1, {"differs": 1})
        assert "state_reason: asked to clear it, got 'reopened'." in undone.object["causes"][0]["example"]["message"]
        assert server.records["1348"]["state"] == "open"


def test_an_assignee_of_asana_by_address_comes_back_by_gid(tmp_path: Path) -> None:
    """Which is another value than was asked for, as far as anyone can tell."""
    row = {"task_gid": "1208071111111102", "assignee": "mona@example.com"}
    with desk_of(asana_tasks.RECIPE, tmp_path, row) as (desk, _):
        done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"differs": 1})
    assert "asked for 'mona@example.com', got '14702'" in done.object["causes"][0]["example"]["message"]


def test_notes_that_asana_does_not_report_confirm_nothing(tmp_path: Path) -> None:
    """They were applied, but the answer does not show it."""
    row = {"task_gid": "1208071111111102", "html_notes": "<body>Call <b>back</b></body>"}
    with desk_of(asana_tasks.RECIPE, tmp_path, row, config=("only: [", "only: [data.html_notes, ")) as (desk, server):
        done = desk("run", ROWS, "--json")
        assert (done.code, done.outcomes) == (3, {"unconfirmed": 1})
        assert "the record lacks html_notes" in done.object["causes"][0]["example"]["message"]
        assert server.records["1208071111111102"]["html_notes"] == row["html_notes"]


def test_a_customer_that_has_changed_since_it_was_read_is_not_overwritten(tmp_path: Path) -> None:
    """Each update names the version that was read, and Business Central refuses that of an older one."""
    with desk_of(dynamics_customers.RECIPE, tmp_path) as (desk, server):
        busy, *others = server.records
        before = dict(server.records[busy])
        server.busy = {busy}
        done = desk("run", ROWS, "--compare", "--json")
        assert (done.code, done.outcomes) == (1, {"updated": 2, "rejected": 1})
        assert "Another user has already changed the record." in done.object["causes"][0]["example"]["message"]
        assert server.records[busy] == before
        sent = {one.path.partition("customers(")[2][:-1]: one.headers["If-Match"] for one in server.updates()}
        assert sent == dict.fromkeys([busy, *others], 'W/"JzQ0O0000OyI7Jw=="')


def test_an_undo_of_customers_leaves_what_was_changed_since(tmp_path: Path) -> None:
    """The others are set back."""
    with desk_of(dynamics_customers.RECIPE, tmp_path) as (desk, server):
        done = desk("run", ROWS, "--compare", "--json")
        changed = next(iter(server.records))
        server.records[changed]["phoneNumber"] = "+1 404 555 0001"
        assert desk("undo", done.object["run"]).code == 0
        undone = desk("run", next(tmp_path.glob("**/*undo*.xlsx")), "--json")
        assert (undone.code, undone.outcomes) == (1, {"updated": 2, "rejected": 1})
        assert server.records[changed]["phoneNumber"] == "+1 404 555 0001"


def test_a_lost_answer_of_a_patch_is_repeated_only_where_the_configuration_allows_it(tmp_path: Path) -> None:
    """Without a word on it the row is unconfirmed, and the next run settles it."""
    allowed = ("api:\n", "api:\n  idempotent: true\n")
    for name, config, code, outcomes in (
        ("plain", None, 3, {"updated": 2, "unconfirmed": 1}),
        ("idempotent", allowed, 0, {"updated": 3}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        with desk_of(dynamics_customers.RECIPE, folder, config=config) as (desk, server):
            lost = desk.recipe.request
            server.script[lost.method, lost.target] = deque([Fault.LOST])
            done = desk("run", ROWS, "--json")
            assert (done.code, done.outcomes) == (code, outcomes)
            again = desk("run", ROWS, "--json", "--yes")
            assert (again.code, again.outcomes) == (0, {"updated": 3})


def test_an_answer_of_pipedrive_without_success_is_none(tmp_path: Path) -> None:
    """Whatever its status."""
    with desk_of(pipedrive_deals.RECIPE, tmp_path) as (desk, server):
        server.script["PATCH", "/api/v2/deals/101"] = deque([Reply(200, {"success": False, "error": "Try later."})])
        done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (3, {"updated": 2, "unconfirmed": 1})
    assert "says that it failed" in done.object["causes"][0]["example"]["message"]


def test_the_parts_of_a_custom_field_of_pipedrive_are_columns(tmp_path: Path) -> None:
    """An amount and its currency go out as one object; that the amount is a number, the configuration has to say."""
    key = f"custom_fields.{pipedrive_deals.COMMISSION}"
    row = {"id": "101", f"{key}.value": "99.5", f"{key}.currency": "EUR"}
    config = ("  fields:\n", f"  fields:\n    {key}.value: {{kind: decimal}}\n")
    with desk_of(pipedrive_deals.RECIPE, tmp_path, row, config=config) as (desk, server):
        done = desk("run", ROWS, "--json")
        assert (done.code, done.outcomes) == (0, {"updated": 1}), done.object["causes"]
        (update,) = server.updates()
        assert json.loads(update.body) == {
            "custom_fields": {pipedrive_deals.COMMISSION: {"value": 99.5, "currency": "EUR"}}
        }
