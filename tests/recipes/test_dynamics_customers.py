"""docs/recipes/dynamics-customers.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.recipes.dynamics_customers import COMPANY, NET_30, RECIPE, TOKEN, TOKEN_PATH, DynamicsCustomers
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import Fault, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CUSTOMERS = f"/v2.0/production/api/v1.0/companies({COMPANY})/customers"
TARGET = f"{CUSTOMERS}(7d2f9a10-0000-4000-8000-000000010000)"
FIRST_VERSION = 'W/"JzQ0O0000OyI7Jw=="'
ANY = {"If_Match": "*"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "headers", "status"),
    [
        (TARGET, '{"displayName": "x"}', {}, 400),
        (TARGET, '{"displayName": "x"}', {"If_Match": 'W/"older"'}, 409),
        (TARGET, '{"displayName": "x"}', {"If_Match": FIRST_VERSION}, 200),
        (TARGET, '{"displayName": "x"}', ANY, 200),
        (TARGET, '{"displayName": "x"}', ANY | {"Authorization": "Bearer other"}, 401),
        (TARGET, '{"displayName": "x"}', ANY | {"Content_Type": "text/plain"}, 415),
        (TARGET, '{"lastModifiedDateTime": "2026-11-29T00:00:00Z"}', ANY, 400),
        (TARGET, f'{{"paymentTermsId": "{COMPANY}"}}', ANY, 400),
        (TARGET, f'{{"paymentTermsId": "{NET_30}"}}', ANY, 200),
        (f"{CUSTOMERS}(10000)", '{"displayName": "x"}', ANY, 404),
        (TARGET.replace("companies(9", "companies(8"), '{"displayName": "x"}', ANY, 404),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(
    target: str, body: str, headers: dict[str, str], status: int
) -> None:
    """A missing or older version, another token or content type, read-only fields, unknown records."""
    sent = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json"} | headers
    assert DynamicsCustomers().judged(request("PATCH", target, body, **sent)).status == status


def test_one_token_is_fetched_for_all_rows_and_no_cell_decides_on_headers(desk: Desk) -> None:
    """Content-Type and If-Match are parameters of the description, and no columns."""
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (0, {"updated": 3})
    assert [one.path for one in desk.server.requests].count(TOKEN_PATH) == 1
    assert {one.headers["If-Match"] for one in desk.server.updates()} == {"*"}
    template = desk("template", "new.csv")
    assert template.code == 0, template.err
    headers = (desk.folder / "new.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert headers == "customer_id,displayName,phoneNumber,email,website,taxLiable,paymentTermsId"


def test_a_customer_that_has_changed_since_it_was_read_is_not_overwritten(desk: Desk) -> None:
    """Each update names the version that was read."""
    server = desk.server
    assert isinstance(server, DynamicsCustomers)
    busy = next(iter(server.records))
    before = dict(server.records[busy])
    server.busy = {busy}
    done = desk("run", ROWS, "--compare", "--json")
    assert (done.code, done.outcomes) == (1, {"updated": 2, "rejected": 1})
    assert "Another user has already changed the record." in done.object["causes"][0]["example"]["message"]
    assert server.records[busy] == before
    assert [one.headers["If-Match"] for one in server.updates()] == [FIRST_VERSION] * 3


def test_an_undo_leaves_what_was_changed_since(desk: Desk) -> None:
    """The others are set back."""
    records = desk.server.records
    done = desk("run", ROWS, "--compare", "--json")
    changed = next(iter(records))
    records[changed]["phoneNumber"] = "+1 404 555 0001"
    assert desk("undo", done.object["run"]).code == 0
    undone = desk("run", next(desk.folder.glob("**/*undo*.xlsx")), "--json")
    assert (undone.code, undone.outcomes) == (1, {"updated": 2, "rejected": 1})
    assert records[changed]["phoneNumber"] == "+1 404 555 0001"


@pytest.mark.parametrize(
    ("idempotent", "code", "outcomes"),
    [(None, 3, {"updated": 2, "unconfirmed": 1}), (True, 0, {"updated": 3})],
)
def test_a_patch_without_an_answer_is_repeated_only_where_the_configuration_allows_it(
    desk: Desk, *, idempotent: bool | None, code: int, outcomes: dict[str, int]
) -> None:
    """Without a word on it the row is unconfirmed, and the next run settles it."""
    desk.configure(idempotent=idempotent)
    desk.server.script["PATCH", TARGET] = deque([Fault.LOST])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (code, outcomes)
    if code:
        again = desk("run", ROWS, "--json")
        assert (again.code, again.outcomes) == (0, {"updated": 3})


def test_a_version_that_an_own_attempt_has_changed_is_not_taken_for_a_refusal(desk: Desk) -> None:
    """The attempt had no answer, and the next one names a version that it has replaced itself."""
    desk.configure(idempotent=True)
    desk.server.script["PATCH", TARGET] = deque([Fault.LOST])
    done = desk("run", ROWS, "--compare", "--json")
    assert (done.code, done.outcomes) == (3, {"updated": 2, "unconfirmed": 1})
    assert "perhaps by an attempt that had no answer" in done.object["causes"][0]["example"]["message"]
    sent = len(desk.server.updates())
    again = desk("run", ROWS, "--compare", "--json")
    assert (again.code, again.outcomes) == (0, {"updated": 3})
    assert len(desk.server.updates()) == sent
