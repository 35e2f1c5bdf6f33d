"""docs/recipes/zendesk-tickets.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import Fault, request
from tests.recipes.zendesk_tickets import AUTHORIZATION, RECIPE, ZendeskTickets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "/api/v2/tickets/35436"
JSON = "application/json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("method", "target", "body", "kind", "status"),
    [
        ("PUT", TARGET, '{"status": "open"}', JSON, 400),
        ("PUT", TARGET, '{"ticket": {"status": "open"}, "status": "open"}', JSON, 400),
        ("PUT", TARGET, '{"ticket": {"status": "done"}}', JSON, 422),
        ("PUT", TARGET, '{"ticket": {"custom_fields": [{"id": 7, "value": "x"}]}}', JSON, 422),
        ("PUT", TARGET, "ticket[status]=open", "application/x-www-form-urlencoded", 415),
        ("PUT", "/api/v2/tickets/1", '{"ticket": {}}', JSON, 404),
        ("PUT", TARGET, '{"ticket": {"status": "open"}}', JSON, 200),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(
    method: str, target: str, body: str, kind: str, status: int
) -> None:
    """A missing wrapper, another content type, values and tickets that are not there."""
    received = request(method, target, body, Authorization=AUTHORIZATION, Content_Type=kind)
    assert ZendeskTickets().judged(received).status == status
    assert ZendeskTickets().judged(request(method, target, body, Content_Type=kind)).status == 401


def test_the_clear_marker_empties_tags_assignee_and_custom_field(desk: Desk) -> None:
    """An empty list, and null."""
    desk.write([{"ticket_id": "35436", "assignee_id": "#CLEAR", "tags": "#CLEAR", "Plan": "#CLEAR"}])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    (sent,) = desk.server.updates()
    custom = [{"id": 360001, "value": None}]
    assert sent.json() == {"ticket": {"assignee_id": None, "tags": [], "custom_fields": custom}}


def test_a_tag_in_capitals_comes_back_otherwise(desk: Desk) -> None:
    """The row says so; the order of tags is no difference."""
    desk.write([{"ticket_id": "35436", "tags": "VIP"}, {"ticket_id": "35437", "tags": "vip;eu"}])
    assert desk("run", ROWS, "--json").outcomes == {"differs": 1, "updated": 1}


def test_a_closed_ticket_is_rejected(desk: Desk) -> None:
    """In the vendor's words."""
    desk.write([{"ticket_id": "35439", "status": "open"}])
    done = desk("run", ROWS, "--json")
    assert done.outcomes == {"rejected": 1}
    assert "closed prevents ticket update" in done.object["causes"][0]["example"]["message"]


@pytest.mark.parametrize(("idempotent", "outcome", "comments"), [(True, "updated", 2), (False, "unconfirmed", 1)])
def test_a_comment_whose_answer_is_lost_is_there_twice_unless_updates_are_not_repeated(
    desk: Desk, idempotent: bool, outcome: str, comments: int
) -> None:
    """`idempotent: false` leaves it to a person."""
    server = desk.server
    assert isinstance(server, ZendeskTickets)
    desk.configure(only=["ticket.status", "ticket.comment.body"], idempotent=idempotent, fields={})
    desk.write([{"ticket_id": "35436", "status": "solved", "ticket.comment.body": "Done."}])
    server.script["PUT", TARGET] = deque([Fault.LOST])
    assert desk("run", ROWS, "--json").outcomes == {outcome: 1}
    assert server.comments == [("35436", "Done.")] * comments


def test_a_column_that_is_not_kept_is_not_sent(desk: Desk) -> None:
    """`only` leaves comments out, and the row goes out without."""
    desk.write([{"ticket_id": "35436", "status": "solved", "internal remark": "Done."}])
    done = desk("run", ROWS, "--json")
    assert done.outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"ticket": {"status": "solved"}}
