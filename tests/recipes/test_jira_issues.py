"""docs/recipes/jira-issues.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.recipes.jira_issues import AUTHORIZATION, PATH, RECIPE, JiraIssues
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = f"{PATH}OPS-1"
JSON = "application/json"
DOCUMENT = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x"}]}]}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "kind", "status"),
    [
        (TARGET, '{"summary": "x"}', JSON, 400),
        (TARGET, "{}", JSON, 400),
        (TARGET, '{"fields": {"labels": "vip"}}', JSON, 400),
        (TARGET, '{"fields": {"priority": "High"}}', JSON, 400),
        (TARGET, '{"fields": {"customfield_10016": "3"}}', JSON, 400),
        (TARGET, '{"fields": {"customfield_1": 3}}', JSON, 400),
        (TARGET, '{"fields": {"labels": ["a"]}, "update": {"labels": [{"add": "b"}]}}', JSON, 400),
        (TARGET, "fields[summary]=x", "application/x-www-form-urlencoded", 415),
        (f"{PATH}OPS-9", '{"fields": {"summary": "x"}}', JSON, 404),
        (TARGET, '{"fields": {"customfield_10016": 3}}', JSON, 204),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(target: str, body: str, kind: str, status: int) -> None:
    """A missing wrapper, values of another type than the field's, unknown fields, another content type."""
    received = request("PUT", target, body, Authorization=AUTHORIZATION, Content_Type=kind)
    assert JiraIssues().judged(received).status == status
    assert JiraIssues().judged(request("PUT", target, body, Content_Type=kind)).status == 401


def test_cells_are_checked_by_the_kinds_of_the_configuration(desk: Desk) -> None:
    """Before anything is sent."""
    good = {"issueIdOrKey": "OPS-1", "Story points": "1", "fields.duedate": ""}
    rows = [{"Story points": "many"}, {"fields.duedate": "soon"}]
    desk.write([good, *(good | row | {"issueIdOrKey": f"OPS-{at}"} for at, row in enumerate(rows, 2))])
    done = desk("check", ROWS, "--json")
    assert done.outcomes == {"planned": 1, "invalid": 2}
    assert not desk.server.requests


def test_the_clear_marker_empties_labels_date_and_points(desk: Desk) -> None:
    """An empty list, and null."""
    row = {"issueIdOrKey": "OPS-1", "fields.labels": "#CLEAR", "fields.duedate": "#CLEAR", "Story points": "#CLEAR"}
    desk.write([row])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"fields": {"labels": [], "duedate": None, "customfield_10016": None}}


def test_a_summary_that_looks_like_a_number_stays_a_text(desk: Desk) -> None:
    """Its kind says so."""
    desk.write([{"issueIdOrKey": "OPS-1", "Summary": "007"}])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"fields": {"summary": "007"}}


def test_a_cell_of_json_adds_a_label(desk: Desk) -> None:
    """`update.labels` leaves the others."""
    desk.configure(only=["update"], fields={})
    desk.write([{"issueIdOrKey": "OPS-1", "update.labels": '[{"add": "vip"}]'}])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"update": {"labels": [{"add": "vip"}]}}
    assert desk.server.records["OPS-1"]["labels"] == ["eu", "vip"]


def test_a_description_takes_a_document(desk: Desk) -> None:
    """A text is refused by the vendor; a cell of JSON goes out as it is."""
    desk.write([{"issueIdOrKey": "OPS-1", "fields.description": "x"}])
    done = desk("run", ROWS, "--json")
    assert done.outcomes == {"rejected": 1}
    assert "must be an Atlassian Document" in done.object["causes"][0]["example"]["message"]
    desk.configure(fields={"fields.description": {"kind": "JSON"}})
    desk.write([{"issueIdOrKey": "OPS-1", "fields.description": json.dumps(DOCUMENT)}])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    assert desk.server.records["OPS-1"]["description"] == DOCUMENT
