"""docs/recipes/pipedrive-deals.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.recipes.pipedrive_deals import COMMISSION, PO_NUMBER, RECIPE, TIER, TOKEN, PipedriveDeals
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import Reply, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "/api/v2/deals/101"
JSON = "application/json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "kind", "status"),
    [
        (TARGET, '{"data": {"title": "x"}}', JSON, 400),
        (TARGET, '{"value": "1500"}', JSON, 400),
        (TARGET, '{"status": "deleted"}', JSON, 400),
        (TARGET, '{"lost_reason": "Price"}', JSON, 400),
        (TARGET, '{"stage_id": 99}', JSON, 400),
        (TARGET, f'{{"custom_fields": {{"{TIER}": "12"}}}}', JSON, 400),
        (TARGET, f'{{"custom_fields": {{"{PO_NUMBER}": 43}}}}', JSON, 400),
        (TARGET, "title=x", "application/x-www-form-urlencoded", 415),
        ("/api/v2/deals/9", '{"title": "x"}', JSON, 404),
        (TARGET, '{"title": "x"}', JSON, 200),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(target: str, body: str, kind: str, status: int) -> None:
    """A wrapper, a form, values of another type than the field's, states that exclude each other, unknown records."""
    headers = {"x_api_token": TOKEN, "Content_Type": kind}
    assert PipedriveDeals().judged(request("PATCH", target, body, **headers)).status == status
    headers = {"Authorization": f"Bearer {TOKEN}", "Content_Type": kind}
    assert PipedriveDeals().judged(request("PATCH", target, body, **headers)).status == 401


def test_an_answer_without_success_is_none(desk: Desk) -> None:
    """Whatever its status."""
    desk.server.script["PATCH", TARGET] = deque([Reply(200, {"success": False, "error": "Try later."})])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (3, {"updated": 2, "unconfirmed": 1})
    assert (
        'says that it failed: "success": false, "error": "Try later."' in done.object["causes"][0]["example"]["message"]
    )


def test_the_parts_of_a_custom_field_are_columns(desk: Desk) -> None:
    """An amount and its currency go out as one object; that the amount is a number, the configuration has to say."""
    key = f"custom_fields.{COMMISSION}"
    fields = yaml.safe_load(RECIPE.config)["api"]["fields"]
    desk.configure(fields=fields | {f"{key}.value": {"kind": "decimal"}})
    desk.write([{"id": "101", f"{key}.value": "99.5", f"{key}.currency": "EUR"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (0, {"updated": 1}), done.object["causes"]
    (update,) = desk.server.updates()
    assert json.loads(update.body) == {"custom_fields": {COMMISSION: {"value": 99.5, "currency": "EUR"}}}


def test_a_reason_for_losing_a_deal_needs_its_status(desk: Desk) -> None:
    """The vendor's words are beside the row."""
    desk.write([{"id": "101", "lost_reason": "Price"}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"rejected": 1})
    assert "can only be set if the status is lost" in done.object["causes"][0]["example"]["message"]
