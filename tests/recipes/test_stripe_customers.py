"""docs/recipes/stripe-customers.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

import signal
import sys
from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.stripe_customers import KEY, PATH, RECIPE, StripeCustomers
from tests.recipes.vendor_server import Fault, Received, request
from tests.torture.runs import ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = f"{PATH}cus_NffrFeUfNV2Hib"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "kind", "status"),
    [
        (TARGET, '{"name": "x"}', "application/json", 400),
        (TARGET, "nme=x", FORM, 400),
        (TARGET, "address=Bonn", FORM, 400),
        (TARGET, "preferred_locales=de", FORM, 400),
        (TARGET, "preferred_locales[1]=de", FORM, 400),
        (TARGET, "email=x", FORM, 400),
        (f"{PATH}cus_1", "name=x", FORM, 404),
        (TARGET, "name=x&metadata[erp_id]=7", FORM, 200),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(target: str, body: str, kind: str, status: int) -> None:
    """Another content type, unknown parameters, lists and objects that are written otherwise."""
    received = request("POST", target, body, Authorization=f"Bearer {KEY}", Content_Type=kind)
    assert StripeCustomers().judged(received).status == status
    assert StripeCustomers().judged(request("POST", target, body, Content_Type=kind)).status == 401


def test_the_server_carries_out_a_request_once_for_each_key() -> None:
    """And refuses a key with another request."""
    headers = {"Authorization": f"Bearer {KEY}", "Content_Type": FORM, "Idempotency_Key": "1"}
    server = StripeCustomers()
    first = server.judged(request("POST", TARGET, "balance=1", **headers))
    server.records["cus_NffrFeUfNV2Hib"]["balance"] = 2
    assert server.judged(request("POST", TARGET, "balance=1", **headers)) == first
    assert server.records["cus_NffrFeUfNV2Hib"]["balance"] == 2
    assert server.judged(request("POST", TARGET, "balance=3", **headers)).status == 400


def test_the_clear_marker_sends_an_empty_text(desk: Desk) -> None:
    """An entry of the metadata is removed, and the others stay."""
    desk.server.records["cus_NffrFeUfNV2Hib"]["metadata"] |= {"segment": "smb"}
    desk.write([{"customer": "cus_NffrFeUfNV2Hib", "name": "#CLEAR", "metadata.erp_id": "#CLEAR"}])
    done = desk("run", ROWS, "--json")
    assert done.outcomes == {"updated": 1}, done.object["causes"]
    assert desk.server.updates()[0].body == b"name=&metadata[erp_id]="
    assert desk.server.records["cus_NffrFeUfNV2Hib"]["metadata"] == {"segment": "smb"}


def key_of(received: Received) -> str:
    return received.headers["Idempotency-Key"]


def test_a_row_has_the_same_key_for_every_attempt(desk: Desk) -> None:
    """And another one than the other rows, so that a POST whose answer was lost counts once."""
    desk.server.script["POST", TARGET] = deque([Fault.LOST])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 3}
    sent = desk.server.updates()
    assert len(sent) == 4
    assert len({key_of(received) for received in sent}) == 3
    assert len({key_of(received) for received in sent if received.target == TARGET}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")
def test_a_row_has_the_same_key_when_a_killed_run_is_resumed(desk: Desk) -> None:
    """It was carried out before, and is not again."""
    server = desk.server
    server.held_after = 0
    process = desk.start("run", ROWS, BATCH_UPDATER_SENDING__CONCURRENCY="1")
    server.wait_for_updates(1, process)
    process.send_signal(signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    server.held_after = None
    assert desk("run", ROWS, "--json").outcomes == {"updated": 3}
    first, *others = server.updates()
    assert [key_of(one) for one in others if one.target == first.target] == [key_of(first)]
    assert len(others) == 3
