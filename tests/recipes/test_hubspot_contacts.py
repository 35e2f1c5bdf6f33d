"""docs/recipes/hubspot-contacts.md: what the page says beside its example, and what the server refuses."""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.docs.pages import blocks
from tests.recipes.hubspot_contacts import PATH, RECIPE, TOKEN, HubSpotContacts
from tests.recipes.recipe import ROWS, Desk, desk_of
from tests.recipes.vendor_server import Fault, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = f"{PATH}512"
JSON = "application/json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_of(RECIPE, tmp_path) as desk:
        yield desk


@pytest.mark.parametrize(
    ("target", "body", "kind", "status"),
    [
        (TARGET, '{"phone": "1"}', JSON, 400),
        (TARGET, '{"properties": {"phone": 1}}', JSON, 400),
        (TARGET, '{"properties": {"phone": null}}', JSON, 400),
        (TARGET, '{"properties": {"phon": "1"}}', JSON, 400),
        (TARGET, "properties[phone]=1", "application/x-www-form-urlencoded", 415),
        (f"{PATH}c512%40example.com", '{"properties": {"phone": "1"}}', JSON, 404),
        (f"{PATH}c512%40example.com?idProperty=email", '{"properties": {"phone": "1"}}', JSON, 200),
    ],
)
def test_the_server_refuses_what_the_vendor_refuses(target: str, body: str, kind: str, status: int) -> None:
    """A missing wrapper, what is no text, unknown properties, another content type."""
    received = request("PATCH", target, body, Authorization=f"Bearer {TOKEN}", Content_Type=kind)
    assert HubSpotContacts().judged(received).status == status
    assert HubSpotContacts().judged(request("PATCH", target, body, Content_Type=kind)).status == 401


def test_the_clear_marker_sends_an_empty_text(desk: Desk) -> None:
    """Null would be refused."""
    desk.write([{"contactId": "512", "properties.phone": "#CLEAR", "properties.jobtitle": ""}])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"properties": {"phone": ""}}


def test_numbers_and_dates_of_a_spreadsheet_go_out_as_texts(desk: Desk) -> None:
    """As every property does; a truth value has to be typed as text."""
    desk.configure(fields={"properties.lastname": {"kind": "date"}})
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["contactId", "properties.jobtitle", "properties.lastname", "properties.phone"])
    sheet.append([512, 3, date(2026, 3, 31), "true"])
    sheet.append([513, 3, date(2026, 3, 31), True])
    book.save(desk.folder / "changes.xlsx")
    assert desk("run", "changes.xlsx", "--json").outcomes == {"updated": 1, "invalid": 1}
    properties = {"jobtitle": "3", "lastname": "2026-03-31", "phone": "true"}
    assert desk.server.updates()[0].json() == {"properties": properties}


def test_a_contact_is_found_by_its_address(desk: Desk) -> None:
    """By the second configuration of the page: the answer's id is not compared with the address."""
    server, second = desk.server, blocks(RECIPE.page, "yaml")[1]
    desk.configure(second, token="env:HUBSPOT_TOKEN")
    desk.write([{"Email": f"c{number}@example.com", "properties.phone": f"+{number}"} for number in (512, 513)])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 2}
    assert [record["phone"] for record in server.records.values()][:2] == ["+512", "+513"]
    assert {sent.target for sent in server.updates()} == {
        f"{PATH}c{number}%40example.com?idProperty=email" for number in (512, 513)
    }


def test_an_answer_that_is_lost_is_asked_for_again(desk: Desk) -> None:
    """`idempotent: true` of the page says that a PATCH may be repeated here."""
    desk.server.script["PATCH", TARGET] = deque([Fault.LOST])
    assert desk("run", ROWS, "--json").outcomes == {"updated": 3}
    assert len([sent for sent in desk.server.updates() if sent.target == TARGET]) == 2


def test_a_property_that_no_reading_holds_is_sent_and_listed_as_not_possible_to_undo(desk: Desk) -> None:
    """It is unknown what it was before."""
    desk.configure(read="get-/crm/v3/objects/contacts/{contactId}_getById?properties=jobtitle")
    desk.write([{"contactId": "512", "properties.phone": "+1", "properties.jobtitle": "Chair"}])
    assert desk("run", ROWS, "--compare", "--json").outcomes == {"updated": 1}
    assert desk.server.updates()[0].json() == {"properties": {"phone": "+1", "jobtitle": "Chair"}}
    assert desk("undo").code == 0
    book = openpyxl.load_workbook(next(desk.folder.glob("**/undo.xlsx")))
    assert [row[2] for row in book["Not possible"].iter_rows(min_row=2, values_only=True)] == ["properties.phone"]
    assert "properties.phone" not in [cell.value for cell in book["Data"][1]]
