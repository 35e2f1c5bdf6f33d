"""The page with what only a person can answer about a file."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, TypeAlias

from filelock import FileLock

from tests.loader.described import workbook
from tests.web.messy_workbook import write_messy
from tests.web.served import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.web.served import Answer, Browser, PageServer

    Rows: TypeAlias = Sequence[Sequence[object]]
    Sheets: TypeAlias = dict[str, Rows]

CHECK = '<button type="submit" class="primary">Check</button>'
PLAIN = b"Id,Type,StageName,Notes\n101,Pre,Proposal,a\n102,Pre,Proposal,b\n"


def asked(browser: Browser, place: str) -> Answer:
    """Wait until a file was looked at, and return the page with its questions."""
    while CHECK not in (answer := browser.get(place)).text:
        assert "Checking" in answer.shown, answer.shown
    return answer


def uploaded(browser: Browser, path: Path) -> str:
    return browser.upload(path.name, path.read_bytes()).location


def radios(page: Answer) -> dict[str, list[tuple[str, str]]]:
    """Return the questions: text -> name of the buttons in the form, and text of each choice with its value."""
    found = {}
    for group in re.findall(r"(?s)<fieldset.*?</fieldset>", page.text):
        legend = unescape(re.sub("<[^>]*>", "", re.findall(r"(?s)<legend>(.*?)</legend>", group)[0]))
        labels = re.findall(
            r'(?s)<input type="radio" name="([^"]*)" value="([^"]*)"[^>]*> <span>(.*?)</span></label>', group
        )
        found[legend] = [(f"{name}={value}", unescape(re.sub("<[^>]*>", "", text))) for name, value, text in labels]
    return found


def answer(browser: Browser, place: str, page: Answer, *chosen: str, **fields: str) -> Answer:
    """Send the form as the page has it, with some buttons pressed: `chosen` is a part of question and choice."""
    form = page.form(f"{place}/answers")
    for text in chosen:
        (button,) = [
            button
            for question, choices in radios(page).items()
            for button, choice in choices
            if text in f"{question} {choice}"
        ]
        name, _, value = button.partition("=")
        form[name] = value
    form |= {name.replace("c", "c.", 1) if name[1:].isdigit() else name: value for name, value in fields.items()}
    return browser.post(f"{place}/answers", form, token=form["token"])


def fields(page: Answer) -> dict[str, str]:
    """Return the mapping table: header -> value of the field that is chosen."""
    headers = re.findall(r'(?s)id="(c\.\d+)-header">(.*?) <span class="tag">', page.text)
    form = page.form(re.findall(r'action="(/files/[^/"]*/answers)"', page.text)[0])
    return {unescape(re.sub("<[^>]*>", "", header)): form[key] for key, header in headers}


def test_a_messy_workbook_is_answered_step_by_step(browser: Browser, tmp_path: Path) -> None:
    """Sheet, columns, then dates, decimals, hidden rows and totals: each with its evidence, none guessed."""
    place = uploaded(browser, write_messy(tmp_path / "deals.xlsx", day_first=False))
    page = asked(browser, place)
    steps = []
    for _ in range(4):
        steps += list(radios(page))
        given = {
            "hidden": "left out",
            "sheet": "'Deals'",
            "headers": "row 3",
            "dates": "day/month",
            "decimal": "a comma",
        }
        buttons = [
            f"{question} {choice}"
            for question, choices in radios(page).items()
            for word, text in given.items()
            for _, choice in choices
            if word in question and text in choice
        ]
        known = {"Deal no.": "=OpportunityId", "Worth": "=AcctPotential", "Deal name": "=OpportunityName"}
        changed = {f"c{at}": known[header] for at, header in enumerate(fields(page)) if header in known}
        sent = answer(browser, place, page, *buttons, **changed)
        assert sent.location == f"{place}/check"
        page = asked(browser, place)
        if "What only you can answer" not in page.shown and "How cells and rows are read" in page.shown:
            break
    assert [step for step in steps if "sheet" in step] == ["Which sheet is to be read?"]
    assert any("dates of 'Close date'" in step for step in steps)
    assert "day/month" in page.shown
    assert fields(page)["Deal no."] == "=OpportunityId"
    assert fields(page)["Owner"] == "-"
    log = browser.get(f"{place}/preview").shown
    for told in (
        "answered: sheet: Deals",
        "Deal no. is OpportunityId",
        "Owner is not sent",
        "date order of Close date is DMY",
    ):
        assert told in log, log


def test_what_is_not_certain_has_to_be_chosen(browser: Browser, tmp_path: Path) -> None:
    """Nothing is chosen beforehand, the browser requires a choice, and so does the server; what was typed stays."""
    rows: Sheets = {
        "May": [["Id", "Type", "StageName"], [5, "Pre", "Won"]],
        "June": [["Id", "Type", "StageName"], [6, "Pre"]],
    }
    place = uploaded(browser, workbook(tmp_path / "two.xlsx", rows))
    page = asked(browser, place)
    assert list(radios(page)) == ["Which sheet is to be read?"]
    assert "checked" not in page.text
    assert page.text.count(" required> <span>") == 2
    assert "5 Pre Won" in page.shown
    refused = answer(browser, place, page)
    assert refused.status == 422
    assert "Which sheet is to be read? Choose an answer." in refused.shown


def test_a_field_is_chosen_for_one_column(browser: Browser) -> None:
    """It is said at once, and by the server where the form is sent all the same; what was chosen stays."""
    place = browser.upload("a.csv", PLAIN).location
    page = asked(browser, place)
    assert fields(page) == {
        "Id": "=OpportunityId", "Type": "=opportunityType", "StageName": "=StageName", "Notes": "-",
    }  # fmt: skip
    form = page.form(f"{place}/answers") | {"c.3": "=StageName"}
    at_once = browser.post(f"{place}/answers", form, token=form["token"], **{"HX-Request": "true"})
    assert at_once.text.startswith('<div id="mapping-errors"')
    assert "D, Notes: StageName is chosen for C and D" in at_once.shown
    refused = answer(browser, place, page, c3="=StageName")
    assert (refused.status, fields(refused)["Notes"]) == (422, "=StageName")
    assert "StageName is chosen for C and D: a field has one column." in refused.shown
    changed = answer(browser, place, page, c3="=OpportunityName")
    assert changed.location == f"{place}/check"
    assert fields(asked(browser, place))["Notes"] == "=OpportunityName"


def test_a_proposed_field_is_marked_and_says_why(browser: Browser) -> None:
    """A person sees what is only likely."""
    place = browser.upload("a.csv", b"Id,Type,Stagename*,Notes\n101,Pre,Proposal,x\n").location
    page = asked(browser, place)
    assert fields(page)["Stagename*"] == "=StageName"
    assert "proposed 'Stagename*' is not the name of a field, but close to StageName." in page.shown
    assert "Is it right that this column is not sent?" in page.shown


def test_a_file_that_cannot_be_read_says_why_and_takes_another(browser: Browser) -> None:
    """With the remedy, and the way on."""
    place = browser.upload("a.pdf", b"%PDF-1.7 nothing").location
    page = wait_until(browser, place, "Upload again")
    assert "It could not be checked a.pdf is a PDF document." in page.shown
    assert page.form("/files")["token"]
    assert CHECK not in page.text
    assert "Another sheet" not in page.shown
    removed = browser.post(f"{place}/remove", page.form(f"{place}/remove"))
    assert (removed.location, browser.get(place).status) == ("/", 404)


def test_a_header_row_that_does_not_fit_can_be_mapped_all_the_same(browser: Browser) -> None:
    """What is wrong is told above the table; a column that no one would take for the number of a record may be it."""
    place = browser.upload("a.csv", b"Label,Type,StageName\nD-101,Pre,Proposal\n").location
    page = asked(browser, place)
    assert "There is no column OpportunityId, which every row needs." in page.shown
    assert fields(page) == {"Label": "-", "Type": "=opportunityType", "StageName": "=StageName"}
    answer(browser, place, page, c0="=OpportunityId")
    assert fields(asked(browser, place))["Label"] == "=OpportunityId"


def test_answers_are_remembered_for_files_with_the_same_headers(browser: Browser, tmp_path: Path) -> None:
    """The next one is read without questions, and the page says with which layout."""
    content = b"Id,Type,Stagename*,Notes\n101,Pre,Proposal,x\n"
    place = browser.upload("week 1.csv", content).location
    page = asked(browser, place)
    assert page.form(f"{place}/answers")["layout_name"] == "week_1"
    for name, why in (("../x", "That is no name"), ("", "That is no name")):
        refused = answer(browser, place, page, remember="yes", layout_name=name)
        assert (refused.status, why in refused.shown) == (422, True)
        assert refused.form(f"{place}/answers")["layout_name"] == name
    answer(browser, place, page, remember="yes", layout_name="weekly")
    asked(browser, place)
    assert (tmp_path / "layouts" / "weekly.yaml").exists()
    second = browser.upload("week 2.csv", content).location
    page = asked(browser, second)
    assert "Read with the layout weekly" in page.shown
    assert fields(page)["Stagename*"] == "=StageName"
    assert page.form(f"{second}/answers")["layout_name"] == "weekly"
    refused = answer(browser, second, page, remember="yes", layout_name="other")
    assert "The layout 'weekly' has the same headers: take its name to replace it." in refused.shown
    third = browser.upload("b.csv", b"Id,Type,OpportunityName,LanguageId\n101,Pre,x,1\n").location
    refused = answer(browser, third, asked(browser, third), remember="yes", layout_name="weekly")
    assert "There is a layout 'weekly' already" in refused.shown


def test_an_earlier_answer_can_be_changed(browser: Browser) -> None:
    """Going back from the check: other dates, or to be asked once more; without a change nothing is checked again."""
    content = b"Id,Type,PendingCloseDate\n" + b"".join(b"%d,Pre,0%d/04/2026\n" % (n, n) for n in range(1, 6))
    place = browser.upload("a.csv", content).location
    page = asked(browser, place)
    answer(browser, place, page, "day/month")
    page = asked(browser, place)
    assert re.search(r'value="0" checked> <span>day/month', page.text)
    answer(browser, place, page, "month/day")
    page = asked(browser, place)
    assert re.search(r'value="1" checked> <span>month/day', page.text)
    assert answer(browser, place, page).location == f"{place}/check"
    assert CHECK in browser.get(place).text
    answer(browser, place, page, "ask me again")
    assert "What only you can answer" in asked(browser, place).shown


def test_another_header_row_and_sheet_can_be_read(browser: Browser, tmp_path: Path) -> None:
    """Where the one that was found is not the one that is meant."""
    rows: Rows = [["Id", "Type", "StageName"], ["Id", "Type", "OpportunityName"], [5, "Pre", "x"]]
    other: Rows = [["Id", "Type", "CategoryName"], [6, "Pre", "Renewal"]]
    place = uploaded(browser, workbook(tmp_path / "a.xlsx", {"One": rows, "Two": [["nothing"]], "Three": other}))
    page = asked(browser, place)
    answer(browser, place, page, "'One'")
    page = asked(browser, place)
    assert page.form(f"{place}/answers")["sheet"] == "One"
    refused = answer(browser, place, page, header_row="two")
    assert "Type the number of the row, such as 3." in refused.shown
    answer(browser, place, page, header_row="2")
    page = asked(browser, place)
    assert list(fields(page)) == ["Id", "Type", "OpportunityName"]
    answer(browser, place, page, sheet="Three")
    assert list(fields(asked(browser, place))) == ["Id", "Type", "CategoryName"]
    answer(browser, place, asked(browser, place), sheet="Thre")
    assert "Did you mean 'Three'?" in asked(browser, place).shown


def test_the_page_tells_how_far_the_check_is(browser: Browser, page_server: PageServer) -> None:
    """It asks again by itself, with and without scripts; meanwhile no answer is taken."""
    content = b"Id,Type,StageName\n" + b"".join(b"%d,Pre,Proposal\n" % number for number in range(1, 5_000))
    place = browser.upload("long.csv", content).location
    asked(browser, place)
    folder = page_server.folder / "runs" / "web" / place.split("/")[2]
    with FileLock(folder / ".draft-lock"):  # a check waits for it at its end
        browser.post(f"{place}/check", {})
        page = browser.get(place)
        assert "Checking" in page.shown
        assert '<meta http-equiv="refresh"' in page.text
        assert f'hx-get="{place}"' in page.text
        assert browser.post(f"{place}/answers", {}).location == place
        wait_until(browser, place, "rows read so far")
        part = browser.get(place, **{"HX-Request": "true"})
        assert part.text.lstrip().startswith('<section id="state"')
    asked(browser, place)
    assert browser.get(place, **{"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_headers_and_cells_are_shown_as_text(browser: Browser) -> None:
    """Whatever they hold."""
    content = 'Id,Type,StageName,"<b>{{ 7*7 }}</b>\u202e"\n101,Pre,Proposal,"<script>alert(1)</script>"\n'
    page = asked(browser, browser.upload("a.csv", content.encode()).location)
    assert "<b>{{ 7*7 }}</b>\\u202e" in unescape(page.text)
    assert "<script>alert" not in page.text
