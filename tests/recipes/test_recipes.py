"""Each page of docs/recipes, as its reader follows it: check, run, an interrupted run, a refused row, compare, undo."""

from __future__ import annotations

import csv
import importlib
import signal
import sys
from collections import Counter, deque
from copy import deepcopy
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.docs.pages import DOCS
from tests.recipes.recipe import ROWS, Desk, Recipe, desk_of
from tests.torture.runs import ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def recipe_of(page: Path) -> Recipe:
    """Return the recipe of a page: `RECIPE` in the module of its name, which every page has."""
    recipe = importlib.import_module(f"tests.recipes.{page.stem.replace('-', '_')}").RECIPE
    assert isinstance(recipe, Recipe)
    return recipe


RECIPES = [recipe_of(page) for page in sorted((DOCS / "recipes").glob("*.md"))]


@pytest.fixture(params=RECIPES, ids=str)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    recipe: Recipe = request.param
    with desk_of(recipe, tmp_path) as desk:
        yield desk


def test_the_rows_of_the_page_are_good_and_go_out_as_it_shows(desk: Desk) -> None:
    """`check` sends nothing; `run` updates every record with one request, and the first is the one of the page."""
    rows = len(desk.recipe.rows)
    checked = desk("check", ROWS, "--json")
    assert (checked.code, checked.outcomes) == (0, {"planned": rows}), checked.err
    assert not desk.server.requests
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (0, {"updated": rows}), done.object["causes"]
    shown = desk.recipe.request
    updates = desk.server.updates()
    assert len({request.target for request in updates}) == len(updates) == rows
    shown.require_equal(next(request for request in updates if request.target == shown.target))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_an_interrupted_run_is_resumed_without_sending_a_confirmed_row_again(desk: Desk) -> None:
    """Ctrl-C ends the run while a request has no answer: that row is the only one that may go out twice."""
    server, rows = desk.server, len(desk.recipe.rows)
    server.held_after = 1
    process = desk.start("run", ROWS, BATCH_UPDATER_SENDING__CONCURRENCY="1", BATCH_UPDATER_SENDING__DRAIN_S="0")
    server.wait_for_updates(2, process)
    process.send_signal(signal.SIGINT)
    code, result, said = ended(process)
    assert (code, result["stopped"]) == (3, "interrupted"), said
    outcomes = {outcome: count for outcome, count in result["outcomes"].items() if count}
    assert outcomes == {"updated": 1, "unconfirmed": 1} | ({"not_sent": rows - 2} if rows > 2 else {})
    server.held_after = None
    resumed = desk("run", ROWS, "--json")
    assert (resumed.code, resumed.outcomes) == (0, {"updated": rows}), resumed.object["causes"]
    times = Counter(request.target for request in server.updates())
    held = server.updates()[1]
    assert times == dict.fromkeys(times, 1) | {held.target: 2}
    assert held.body == [request.body for request in server.updates() if request.target == held.target][1]


def test_a_row_that_the_vendor_refuses_is_repaired_on_to_fix(desk: Desk) -> None:
    """The vendor's own words are beside the row; the repaired row is sent, and no other."""
    header, bad = desk.recipe.bad_cell
    rows = desk.recipe.rows
    good = rows[-1][header]
    desk.write([*rows[:-1], rows[-1] | {header: bad}])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (1, {"updated": len(rows) - 1, "rejected": 1}), done.object["causes"]
    book = openpyxl.load_workbook(done.object["results"])
    to_fix = book["To fix"]
    headers = [cell.value for cell in to_fix[1]]
    assert desk.recipe.reason in str(to_fix.cell(2, 3).value)
    to_fix.cell(2, headers.index(header) + 1, good)
    book.save(done.object["results"])
    sent = len(desk.server.updates())
    fixed = desk("run", "--fix", "--json")
    assert (fixed.code, fixed.outcomes) == (0, {"updated": 1}), fixed.object["causes"]
    assert len(desk.server.updates()) == sent + 1


def test_a_record_that_has_the_values_is_not_sent_and_an_undo_sets_every_record_back(desk: Desk) -> None:
    """`--compare` reads each record first; the undo workbook brings back what the run has changed."""
    server, rows = desk.server, len(desk.recipe.rows)
    before = deepcopy(server.records)
    done = desk("run", ROWS, "--compare", "--json")
    assert (done.code, done.outcomes) == (0, {"updated": rows}), done.object["causes"]
    assert server.records != before
    sent = len(server.updates())
    again = desk("run", ROWS, "--compare", "--json")
    assert (again.code, again.outcomes) == (0, {"unchanged": rows}), again.object["causes"]
    assert len(server.updates()) == sent
    undo = desk("undo", done.object["run"])
    assert undo.code == 0, undo.err
    workbook = next(desk.folder.glob("**/*undo*.xlsx"))
    undone = desk("run", workbook, "--json")
    assert (undone.code, undone.outcomes) == (0, {"updated": rows}), undone.object["causes"]
    assert server.records == before


def test_a_wrong_secret_ends_the_run_before_anything_changes(desk: Desk) -> None:
    """The rows are not failed one after the other, and the credentials are named as the reason."""
    before = deepcopy(desk.server.records)
    done = desk("run", ROWS, "--json", **dict.fromkeys(desk.recipe.secrets, "wrong-secret"))
    assert (done.code, done.object["stopped"]) == (3, "credentials")
    assert set(done.outcomes) <= {"failed", "not_sent"}
    assert desk.server.records == before


def test_a_request_that_comes_too_fast_is_sent_again_when_the_vendor_says(desk: Desk) -> None:
    """The vendor's own answer for its limit delays a row and does not fail it."""
    shown = desk.recipe.request
    desk.server.script[shown.method, shown.target.partition("?")[0]] = deque([desk.server.too_fast()])
    done = desk("run", ROWS, "--json")
    assert (done.code, done.outcomes) == (0, {"updated": len(desk.recipe.rows)}), done.object["causes"]
    assert done.object["retries"] == 1


def test_a_template_has_the_columns_of_the_page(desk: Desk) -> None:
    """A filled-in template is good: each of its columns takes the value that the page has for that field."""
    rows = desk.recipe.rows
    headers = {one["field"]: one["header"] for one in desk("check", ROWS, "--json").object["columns"]}
    assert desk("template", "template.csv").code == 0
    with (desk.folder / "template.csv").open(encoding="utf-8-sig", newline="") as stream:
        fields = next(csv.reader(stream))
    assert len(set(headers).intersection(fields)) > 1
    with (desk.folder / "template.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(fields)
        writer.writerows([row.get(headers.get(field, ""), "") for field in fields] for row in rows)
    checked = desk("check", "template.csv", "--json")
    assert (checked.code, checked.outcomes) == (0, {"planned": len(rows)}), checked.out


def test_the_doctor_reads_a_record_and_changes_nothing(desk: Desk) -> None:
    """The first column of each page holds what names the record."""
    named, before = next(iter(desk.recipe.rows[0].values())), deepcopy(desk.server.records)
    done = desk("doctor", "--record", named, "--json")
    assert done.code == 0, done.out
    (token,) = [one for one in done.object["checks"] if one["check"] == "token"]
    assert token["status"] == "ok", token
    assert desk.server.records == before


def test_the_operation_of_the_page_is_listed_as_one_that_rows_can_use(desk: Desk) -> None:
    """`endpoints` names it as the configuration does."""
    document, _, operation = (
        str(next(desk.folder.glob("config.yaml")).read_text(encoding="utf-8"))
        .partition("endpoint: ")[2]
        .partition("\n")[0]
        .strip("'\"")
        .partition("#")
    )
    listed = desk("endpoints", document, "--json")
    found = next(one for one in listed.object["operations"] if one["operation"] == operation)
    assert (found["supported"], found["reason"]) == (True, None)
