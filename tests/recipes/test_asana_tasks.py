"""docs/recipes/asana-tasks.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.recipes.asana_tasks import EFFORT, PRIORITY, RECIPE, TOKEN, AsanaTasks
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GID = "1208071111111102"
TARGET = f"/api/1.0/tasks/{GID}"
JSON = "application/json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "kind", "status"),
    [
        (TARGET, '{"completed": true}', JSON, 400),
        (TARGET, '{"data": {"completed": true}', JSON, 400),
        (TARGET, "data[completed]=true", "application/x-www-form-urlencoded", 400),
        (TARGET, '{"data": {"assignee": "nobody@example.com"}}', JSON, 400),
        (TARGET, '{"data": {"followers": ["14641"]}}', JSON, 400),
        (TARGET, f'{{"data": {{"custom_fields": {{"{PRIORITY}": 1208070000000011}}}}}}', JSON, 400),
        (TARGET, f'{{"data": {{"custom_fields": {{"{PRIORITY}": "High"}}}}}}', JSON, 400),
        (TARGET, f'{{"data": {{"custom_fields": {{"{EFFORT}": "2.5"}}}}}}', JSON, 400),
        (TARGET, '{"data": {"custom_fields": {"1": "x"}}}', JSON, 400),
        (f"{TARGET}9", '{"data": {"completed": true}}', JSON, 404),
        (TARGET, '{"data": {"completed": true}}', JSON, 200),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(target: str, body: str, kind: str, status: int) -> None:
    """A missing wrapper, another content type, unknown people, options by name or as numbers, numbers as texts."""
    received = request("PUT", target, body, Authorization=f"Bearer {TOKEN}", Content_Type=kind)
    assert AsanaTasks().judged(received).status == status
    assert AsanaTasks().judged(request("PUT", target, body, Content_Type=kind)).status == 401


def test_an_assignee_by_address_comes_back_by_gid(desk: Desk) -> None:
    """Which is another value than was asked for, as far as anyone can tell."""
    desk.write([{"task_gid": GID, "assignee": "mona@example.com"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"differs": 1})
    assert "asked for 'mona@example.com', got '14702'" in done.object["causes"][0]["example"]["message"]


def test_notes_that_are_not_reported_confirm_nothing(desk: Desk) -> None:
    """They were applied, but the answer does not show it."""
    desk.configure(only=["data.html_notes"], fields={})
    row = {"task_gid": GID, "html_notes": "<body>Call <b>back</b></body>"}
    desk.write([row])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (3, {"unconfirmed": 1})
    assert "the record lacks html_notes" in done.object["causes"][0]["example"]["message"]
    assert desk.server.records[GID]["html_notes"] == row["html_notes"]


def test_a_gid_that_has_lost_digits_is_refused(desk: Desk) -> None:
    """A workbook keeps 15 digits of a number, and all of a text."""
    for gid, outcomes in ((12080711111111027, {"invalid": 1}), (GID, {"planned": 1})):
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["task_gid", "completed"])
        sheet.append([gid, True])
        book.save(desk.folder / "changes.xlsx")
        assert desk("check", "changes.xlsx", "--json").outcomes == outcomes
