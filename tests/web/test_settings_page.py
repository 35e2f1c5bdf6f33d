"""The page of the settings: with the real server and the real sandbox."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from batch_updater.loader.layouts import Layout
from batch_updater.questions import NO_ANSWERS
from batch_updater.runs.layouts import write_layout
from tests.end_to_end.program import TOKEN
from tests.web.served import PageServer, configured
from tests.web.test_preview_page import checked, rows_of
from tests.web.test_run_page import finished, sent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox
    from tests.web.served import Browser


@pytest.fixture
def page_server(tmp_path: Path, api: Sandbox) -> Iterator[PageServer]:
    """Serve the page with a guard and two layouts."""
    for name in ("q1", "q2"):
        write_layout(tmp_path / "layouts", Layout(name, (name, "Id"), NO_ANSWERS))
    more = "guards: {rows: 1000}\n"
    with PageServer(configured(tmp_path, api.url, more=more)) as server:
        yield server


def settings(page_server: PageServer) -> Browser:
    browser = page_server.signed_in()
    browser.secrets = ()  # this page alone shows where things are
    return browser


def test_the_settings_are_shown_without_secrets(page_server: PageServer) -> None:
    """Configuration, guards, and who may do what."""
    page = settings(page_server).get("/settings")
    assert page.status == 200
    assert TOKEN not in page.text
    assert "api.endpoint nexus-opportunity" in page.shown
    assert "guards.rows 1,000" in page.shown
    assert "guards.cleared not set" in page.shown
    assert "Send everyone" in page.shown
    assert "Approve what others send no one" in page.shown


def test_the_doctor_examines_at_the_press_of_a_button(page_server: PageServer, api: Sandbox) -> None:
    """Its findings are those of the command; nothing is sent with the token."""
    browser = settings(page_server)
    page = browser.post("/settings/doctor", {})
    assert page.status == 200
    assert "ok endpoint nexus-opportunity: PUT /api/v2/opportunities/{OpportunityId}" in page.shown
    assert "nothing is wrong so far; token: not tried." in page.shown
    assert not [request for request in api.requests() if request["method"] == "PUT"]
    part = browser.post("/settings/doctor", {}, **{"HX-Request": "true"})
    assert part.text.startswith('<div id="findings"') or '<div id="findings"' in part.text[:200]
    assert "<html" not in part.text


def test_a_layout_is_renamed_and_deleted(page_server: PageServer) -> None:
    """Who did it is kept."""
    browser = settings(page_server)
    renamed = browser.post("/settings/layouts/rename", {"of_layout": "q1", "name": "Pipeline"})
    assert renamed.location == "/settings#layout-1"
    page = browser.get("/settings")
    assert 'id="layout-1" tabindex="-1">Pipeline</span>' in page.text
    assert "The layout q1 is called Pipeline now." in page.shown
    assert browser.post("/settings/layouts/delete", {"of_layout": "q2"}).location == "/settings#layouts"
    page = browser.get("/settings")
    assert re.findall(r'id="layout-[0-9]+" tabindex="-1">([^<]+)</span></th>', page.text) == ["Pipeline"]
    assert "renamed a layout: q1 is now Pipeline." in page.shown
    assert "deleted a layout: q2." in page.shown
    assert [path.name for path in (page_server.folder / "layouts").iterdir()] == ["Pipeline.yaml"]


@pytest.mark.parametrize(
    ("name", "why"), [("q2", "There is a layout 'q2' already"), ("../../x", "is no name of a layout"), ("", "no name")]
)
def test_a_name_that_is_refused_stays_where_it_was_typed(page_server: PageServer, name: str, why: str) -> None:
    """Nothing is renamed."""
    browser = settings(page_server)
    page = browser.post("/settings/layouts/rename", {"of_layout": "q1", "name": name})
    assert page.status == 400
    assert why in page.shown
    assert f'name="name" value="{name}"' in page.text
    assert {path.name for path in (page_server.folder / "layouts").iterdir()} == {"q1.yaml", "q2.yaml"}


def test_a_layout_is_changed_by_a_form_with_its_token_alone(page_server: PageServer) -> None:
    """No address deletes anything."""
    browser = settings(page_server)
    assert browser.post("/settings/layouts/delete", {"of_layout": "q1"}, token="0" * 64).status == 403
    assert browser.request("GET", "/settings/layouts/delete").status in {404, 405}
    assert (page_server.folder / "layouts" / "q1.yaml").exists()


def test_names_that_answers_have_listed_are_shown(page_server: PageServer) -> None:
    """With their ids, and what they depend on."""
    browser = settings(page_server)
    run = sent(browser, b"Id,Type,StageName\n1,Pre,Propsal\n")
    finished(browser, run)
    page = browser.get("/settings")
    assert re.search(r"StageName, LanguageId 1: \d+ names", page.shown)
    assert "Proposal" in page.shown


def test_no_one_sees_what_was_done_to_the_files_of_others(tmp_path: Path, api: Sandbox) -> None:
    """A person who may approve does."""
    (tmp_path / "team").mkdir()
    web = "auth: proxy, may_approve: [ben]"
    with PageServer(configured(tmp_path / "team", api.url, web)) as server:
        anna, ben, dora = (server.browser(X_Forwarded_User=name) for name in ("anna", "ben", "dora"))
        checked(anna, rows_of(2), "secret-plans.csv")
        for one in (anna, ben, dora):
            one.secrets = ()
        assert "secret-plans.csv" in anna.get("/settings").shown
        assert "secret-plans.csv" in ben.get("/settings").shown
        assert "secret-plans.csv" not in dora.get("/settings").shown
