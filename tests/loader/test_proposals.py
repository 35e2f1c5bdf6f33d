"""What an unknown header may be meant for: named where there is any sign, never the wrong field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.errors import InputError
from batch_updater.loader.columns import HeaderRow, fit_columns
from batch_updater.loader.header_words import key_words, same_word, spaced, stem, undecorated
from batch_updater.questions import OpenQuestionsError
from tests.loader.described import AMOUNT, DAY, ITEM, TEXT, endpoint
from tests.loader.header_files import (
    CATEGORIES,
    CUSTOMERS,
    FORMATS,
    NEXUS,
    STAGES,
    days,
    offered,
    opened,
    refusal,
    with_column,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint

NUMBERS = range(1000, 1300)
MARKED = {
    "StageName*": "StageName", "StageName *": "StageName", "* Stage Name": "StageName", "stage_name*": "StageName",
    "StageName (required)": "StageName", "StageName [optional]": "StageName", "Stage Name - required": "StageName",
    "STAGE NAME (mandatory)": "StageName", "StageName:": "StageName", "Stage Name?": "StageName",
    "<StageName>": "StageName", "StageName †": "StageName", "required: StageName": "StageName",
    "AcctPotential (USD)": "AcctPotential", "AcctPotential USD": "AcctPotential", "SalesRevenue €": "SalesRevenue",
    "SalesRevenue in EUR": "SalesRevenue", "PendingCloseDate (YYYY-MM-DD)": "PendingCloseDate",
    "close date*": "PendingCloseDate", "OpportunityName (max. 80 characters)": "OpportunityName",
    "OpportunityID*": "OpportunityID", "OpportunityID (optional)": "OpportunityID",
    "CRM Opportunity ID *": "OpportunityID", "CRM Opportunity No.": "OpportunityID",
}  # fmt: skip
KEY_MARKED = {
    "OpportunityId*": ["OpportunityId"], "OpportunityId (required)": ["OpportunityId"], "Id *": ["OpportunityId"],
    "Nexus ID (required)": ["OpportunityId"], "Nexus No.": ["OpportunityId"], "Nexus Number": ["OpportunityId"],
    "OportunityId": ["OpportunityId"], "OpportunityIds": ["OpportunityId"], "OpportunitId": ["OpportunityId"],
    "Opportunity No.": ["OpportunityId", "OpportunityID"], "Opportunity #": ["OpportunityId", "OpportunityID"],
    "Opportunity Number (required)": ["OpportunityId", "OpportunityID"],
    "opportunity_id*": ["OpportunityId", "OpportunityID"], "oportunityid": ["OpportunityId", "OpportunityID"],
    "Opportunity Key": ["OpportunityId", "OpportunityID"], "OPPORTUNITYIDS": ["OpportunityId", "OpportunityID"],
}  # fmt: skip
ORDINARY = (
    "Owner", "Comment", "Region", "Country", "Account", "Account Name", "Opportunity Owner", "Probability (%)",
    "Currency", "Status", "Priority", "Visit ID", "Customer No.", "No.", "#", "Sales Rep", "Sales Region", "Team",
    "Notes", "Phone", "Year", "Probability", "Quantity", "Manager", "Department", "Job", "Opp Owner",
    "Next step", "Competitor", "Source", "E-mail", "Industry", "Created by",
)  # fmt: skip
SPEAKING = {
    "Deal Stage": "StageName", "Stages": "StageName", "dealstage": "StageName", "New stage": "StageName",
    "stage_of_deal": "StageName", "Sales stage": "StageName", "Product category": "CategoryName",
    "Categories": "CategoryName", "Expected Revenue": "SalesRevenue", "Revenue (EUR)": "SalesRevenue",
    "Revenues": "SalesRevenue", "ExpectedRevenue": "SalesRevenue", "Potential value": "AcctPotential",
    "Upsell potential": "AcctPotential", "Potential (TEUR)": "AcctPotential", "Close": "PendingCloseDate",
    "Closing": "PendingCloseDate", "closedate": "PendingCloseDate", "Expected close": "PendingCloseDate",
    "Phase (deal stage)": "StageName", "Deal St\u0430ge": "StageName", "\u0421losing": "PendingCloseDate",
    "Est. Closing Date": "PendingCloseDate", "When closed": "PendingCloseDate", "Language of texts": "LanguageId",
    "Opp. ID (CRM)": "OpportunityID", "CRM Opp No": "OpportunityID", "Oppty Number": "OpportunityID",
    "Opp-Nr.": "OpportunityID", "Salesforce Opportunity #": "OpportunityID", "Parent opp. key": "OpportunityID",
    "Cat.": "CategoryName",
}  # fmt: skip
SPEAKING_OF_CONTACTS = {
    "Limit": "creditLimit", "Limit EUR": "creditLimit", "Sales region": "region", "Regions": "region",
    "Since": "customerSince", "Newsletter (y/n)": "newsletter", "Wants newsletter": "newsletter", "Tiers": "tier",
}  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("header", "field"), MARKED.items())
def test_marks_around_a_name_lead_to_its_field(tmp_path: Path, ending: str, header: str, field: str) -> None:
    """Stars, brackets, currencies and words such as required do not hide the name, and lead to no other field."""
    error = refusal(tmp_path / f"a.{ending}", header)
    assert offered(error, header) == [field, ""]
    assert error.place.cell == "C1"


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("header", "fields"), KEY_MARKED.items())
def test_a_column_that_every_row_needs_is_found_first(
    tmp_path: Path, ending: str, header: str, fields: list[str]
) -> None:
    """By exact case, else first the field that every row needs and no column feeds; two candidates are both named."""
    rows: list[list[object]] = [[header, "Type", "StageName"], *([number, "Pre", "x"] for number in NUMBERS)]
    with pytest.raises(InputError) as raised:
        opened(write(tmp_path / f"a.{ending}", rows))
    assert offered(raised.value, header) == [*fields, ""]
    assert f"close to {' or '.join(fields)}." in raised.value.message
    assert "There is no column" not in raised.value.message


@pytest.mark.parametrize("ending", FORMATS)
def test_totals_in_a_column_rule_nothing_out(tmp_path: Path, ending: str) -> None:
    """Two numbers and the word Total are a column of numbers all the same."""
    rows: list[list[object]] = [
        ["Opportunity No.", "Type", "StageName"],
        [101, "Pre", "x"],
        [102, "Pre", "x"],
        ["Total"],
    ]
    with pytest.raises(InputError) as raised:
        opened(write(tmp_path / f"a.{ending}", rows))
    assert offered(raised.value, "Opportunity No.") == ["OpportunityId", "OpportunityID", ""]


@pytest.mark.parametrize("ending", FORMATS)
def test_one_number_twice_rules_nothing_out(tmp_path: Path, ending: str) -> None:
    """Large numbers may be amounts; that a record has two rows, or a total is below, makes them none."""
    numbers = (*range(50_001, 50_061), 50_007)
    rows: list[list[object]] = [["Deal", "Type", "StageName"], *([number, "Pre", "x"] for number in numbers)]
    with pytest.raises(OpenQuestionsError) as raised:
        opened(write(tmp_path / f"a.{ending}", [*rows, ["Total"]]))
    assert offered(raised.value, "Deal") == ["OpportunityId"]


@pytest.mark.parametrize("ending", FORMATS)
def test_values_rule_a_candidate_out(tmp_path: Path, ending: str) -> None:
    """Codes are no whole number, and hundreds of different whole numbers are no name."""
    path = tmp_path / f"a.{ending}"
    rows = [["Opportunity No.", "Type", "StageName"], ["OPP-1", "Pre", "x"], ["OPP-2", "Pre", "x"]]
    with pytest.raises(InputError) as raised:
        opened(write(path, rows))
    assert offered(raised.value, "Opportunity No.") == ["OpportunityID", ""]
    assert offered(refusal(path, "OpportunityNum", NUMBERS), "OpportunityNum") == ["OpportunityID", ""]
    assert offered(refusal(path, "OpportunityNme", NUMBERS), "OpportunityNme") == ["OpportunityName", ""]


@pytest.mark.parametrize(
    "header",
    ["stage_name", "STAGE_NAME", "Stage_Name", "stage name", "stagename", "Stage  Name", "_stage_name_", "StageName ",
     "s_t_a_g_e name"],
)  # fmt: skip
@pytest.mark.parametrize("ending", FORMATS)
def test_an_underscore_counts_as_a_blank(tmp_path: Path, ending: str, header: str) -> None:
    """What databases call a column is understood as what people call it."""
    assert with_column(tmp_path / f"a.{ending}", header).columns.of_field["StageName"] == 2


@pytest.mark.parametrize(
    "header",
    ["opportunity_id", "OPPORTUNITY_ID", "Opportunity_ID", "opportunity id", "opportunityID", "_OpportunityId"],
)
@pytest.mark.parametrize("ending", FORMATS)
def test_a_header_that_fits_two_fields_names_both(tmp_path: Path, ending: str, header: str) -> None:
    """Every spelling but the two exact ones is refused; what has a column already is not offered again."""
    path = tmp_path / f"a.{ending}"
    with pytest.raises(InputError, match="could be OpportunityId or OpportunityID, which are") as raised:
        opened(write(path, [[header, "type", "stage_name"], [1, "Pre", "x"]]))
    assert offered(raised.value, header) == ["OpportunityId", "OpportunityID", ""]
    assert offered(refusal(path, header), header) == ["OpportunityID", ""]


@pytest.mark.parametrize(
    ("headers", "values", "fields"),
    [
        (["itemId", "Order"], ["Acme renewal", "Big deal", "Contoso"], ["orderTitle"]),
        (["itemId", "Order"], ["Contoso", "Fabrikam"], ["orderTitle", "orderCode"]),
        (["itemId", "Orders"], ["A-1", "A-2"], ["orderTitle", "orderCode"]),
        (["itemId", "Ord."], ["A-1", "A-2"], ["orderTitle", "orderCode"]),
        (["itemId", "orderTitle", "Order"], ["A-1", "A-2"], ["orderCode"]),
        (["itemId", "Order No."], ["A-1", "A-2"], ["orderCode"]),
        (["itemId", "ORDERREF"], ["A-1", "A-2"], ["orderCode"]),
        (["itemId", "Web ord. #"], ["A-1", "A-2"], ["orderCode"]),
        (["itemId", "Trade"], ["Cook", "Smith"], ["tradeLevel"]),
        (["itemId", "Trade name"], ["Cook", "Smith"], ["tradeLevel"]),
        (["itemId", "Trade code"], ["C", "S"], ["tradeLevel"]),
        (["itemId", "Level"], ["Cook", "Smith"], ["tradeLevel"]),
        (["itemId", "Unit"], ["12.5", "3"], ["unitPrice"]),
        (["itemId", "Dept"], ["Sales", "Legal"], ["departmentName"]),
        (["label", "Item Number"], ["1", "2"], ["itemId"]),
        (["label", "ITEM_NO"], ["1", "2"], ["itemId"]),
        (["label", "Item ID No."], ["1", "2"], ["itemId"]),
        *((["label", header], ["1", "2"], ["itemId"]) for header in ("id", "ID", "No.", "#", "Key", "Code (ours)")),
        *((["itemId", header], ["pcs", "box"], []) for header in ("Unit", "Unit no.", "No.", "#", "Comment", "Job")),
    ],
)  # fmt: skip
def test_words_lead_to_the_fields_of_any_endpoint(headers: list[str], values: list[str], fields: list[str]) -> None:
    """The first words of several fields, any word of one, short forms and other words for an identifier are seen."""
    described = endpoint(
        (
            ITEM, TEXT, replace(AMOUNT, name="unitPrice"), replace(TEXT, name="departmentName"),
            replace(TEXT, name="tradeLevel", enum=("Junior", "Senior")), replace(TEXT, name="orderTitle"),
            replace(TEXT, name="orderCode", is_identifier=True), replace(DAY, name="orderDay"),
        )
    )  # fmt: skip
    rows = tuple(["5"] * (len(headers) - 1) + [value] for value in values)
    row = HeaderRow("a.csv", None, 1, 0, (*headers, "label") if "label" not in headers else tuple(headers), 3, rows)
    if not fields:
        assert headers[-1] in fit_columns(row, described, {}, ()).not_sent
        return
    with pytest.raises(InputError) as raised:
        fit_columns(row, described, {}, ())
    assert offered(raised.value, headers[-1]) == [*fields, ""]
    assert "There is no column" not in raised.value.message


def test_the_id_of_a_record_below_another_is_asked_for() -> None:
    """Where the path has two parameters, `Id` alone may be either's: a person says which."""
    row = HeaderRow("a.csv", None, 1, 0, ("Id", "email"), 2, (["7", "a@b.c"],))
    with pytest.raises(InputError, match="There is no column contactId") as raised:
        fit_columns(row, CUSTOMERS, {}, ())
    assert offered(raised.value, "Id") == ["accountId", "contactId"]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [("opp", "opportunity", True), ("oppty", "opportunity", True), ("dept", "department", True),
     ("account", "acct", True), ("items", "item", True), ("stage", "storage", False), ("op", "opportunity", False),
     ("country", "count", False), ("owner", "order", False)],
)  # fmt: skip
def test_short_forms_are_beginnings_or_first_and_last_letters(one: str, other: str, is_same: bool) -> None:
    """A short form is much shorter than its word; a word that happens to have its letters is another."""
    assert same_word(one, other) is same_word(other, one) is is_same


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("values", [["Acme renewal", "Borealis pilot", "Contoso"], ["Contoso"]])
def test_the_word_that_fields_begin_with_may_be_any_of_them(tmp_path: Path, ending: str, values: list[str]) -> None:
    """Values with several words are names and no identifiers; where the values tell nothing, both are named."""
    fields = ["OpportunityName"] if len(values) > 1 else ["OpportunityName", "OpportunityID"]
    error = refusal(tmp_path / f"a.{ending}", "Opportunity", values, ["StageName"])
    assert offered(error, "Opportunity") == [*fields, ""]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("header", ["Opp Id", "OppId", "Opp. No.", "Oppty #"])
def test_a_required_column_in_short_is_named(tmp_path: Path, ending: str, header: str) -> None:
    """It is not called missing while a header may be meant for it."""
    with pytest.raises(InputError) as raised:
        opened(write(tmp_path / f"a.{ending}", [[header, "Type", "StageName"], [841, "Pre", "x"]]))
    assert offered(raised.value, header) == ["OpportunityId", "OpportunityID", ""]
    assert "There is no column" not in raised.value.message


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("header", ORDINARY)
def test_ordinary_columns_go_through(tmp_path: Path, ending: str, header: str) -> None:
    """A column of the file's own is no question, whatever fields have no column; the mapping table shows it."""
    for beside in (["OpportunityName"], [field.name for field in NEXUS.body_fields]):
        table = with_column(tmp_path / f"a.{ending}", header, ["abc", "7"], beside, names=[STAGES, CATEGORIES])
        assert table.columns.mapping[-1] == (header, "abc", None)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("header", "field"), SPEAKING.items())
def test_a_telling_word_of_a_field_without_a_column_stops_the_run(
    tmp_path: Path, ending: str, header: str, field: str
) -> None:
    """Stage, Revenue, Potential or Close in a header is a question while no column feeds that field, and none after."""
    path = tmp_path / f"a.{ending}"
    error = refusal(path, header, ["x"], ["OpportunityName"])
    assert offered(error, header) == [field, ""]
    assert header in error.message
    for answer, sent_as in ((field, field), (None, None)):
        table = with_column(path, header, ["x"], ["OpportunityName"], columns={header: answer})
        assert table.columns.mapping[-1].field == sent_as
        table.close()
    table = with_column(path, header, ["x"], ["OpportunityName", field])
    assert table.columns.mapping[-1].field is None
    table.close()


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("header", "field"), SPEAKING_OF_CONTACTS.items())
def test_telling_words_are_those_of_any_endpoint(tmp_path: Path, ending: str, header: str, field: str) -> None:
    """Which words tell is worked out from the names of the endpoint's own fields."""
    assert offered(refusal(tmp_path / f"a.{ending}", header, endpoint=CUSTOMERS), header) == [field, ""]


@pytest.mark.parametrize(
    "header", ["Contact person", "Full name", "Frontier", "Credit rating", "Customer", "Type", "Id"]
)
def test_words_that_tell_nothing_are_passed_over(tmp_path: Path, header: str) -> None:
    """The record's own word, words of every second header and words inside others stop nothing."""
    table = with_column(tmp_path / "a.csv", header, endpoint=CUSTOMERS)
    assert table.columns.mapping[-1].field is None


@pytest.mark.parametrize("ending", FORMATS)
def test_another_word_of_a_name_tells_only_with_fitting_values(tmp_path: Path, ending: str) -> None:
    """Sales may be the revenue if it holds amounts, and is a person's name if it holds one."""
    path = tmp_path / f"a.{ending}"
    assert offered(refusal(path, "Sales", [1200.5, 7], ["StageName"]), "Sales") == ["SalesRevenue", ""]
    assert with_column(path, "Sales", ["Ada", "Bo"], ["StageName"]).columns.mapping[-1].field is None
    assert with_column(path, "Sales rep no.", [12, 13], ["StageName"]).columns.mapping[-1].field is None


@pytest.mark.parametrize("ending", FORMATS)
def test_names_that_the_api_has_stop_the_run(tmp_path: Path, ending: str) -> None:
    """A column of stages is one whatever it is called, as long as no column feeds the stage."""
    path, known = tmp_path / f"a.{ending}", [STAGES, CATEGORIES]
    values = ["Qualified", "prospect", "Qualified", "Prospect", None, "Qualifed", "Prospect"]
    error = refusal(path, "Phase", values, ["OpportunityName"], names=known)
    assert offered(error, "Phase") == ["StageName", ""]
    assert "holds values of StageName ('Qualified', 'prospect'), which no column feeds" in error.message
    error = refusal(path, "Phase", ["Qualifed", "Prospect", "Qualified"], ["OpportunityName"], names=known)
    assert offered(error, "Phase") == ["StageName", ""]
    for more in ({"beside": ["StageName"]}, {"names": ()}, {"values": ["Open", "Won"]}):
        asked = {"values": values, "beside": ["OpportunityName"], "names": known, **more}
        assert with_column(path, "Phase", **asked).columns.mapping[-1].field is None  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", FORMATS)
def test_described_values_stop_the_run_as_well(tmp_path: Path, ending: str) -> None:
    """The values of a list in the description are known without any answer of the API."""
    path = tmp_path / f"a.{ending}"
    assert offered(refusal(path, "Level", ["Plus", "basic"], endpoint=CUSTOMERS), "Level") == ["tier", ""]
    assert with_column(path, "Level", ["A", "B"], endpoint=CUSTOMERS).columns.mapping[-1].field is None


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("values", [days(3), ["25.03.2026", "26.03.2026"], ["03/04/2026", "04/05/2026"], ["25-Mar-26"]])
def test_dates_stop_the_run_where_one_date_field_is_free(tmp_path: Path, ending: str, values: list[object]) -> None:
    """A column of days may be meant for the only date field without a column, even if its dates have two readings."""
    path = tmp_path / f"a.{ending}"
    assert offered(refusal(path, "Due", values, ["StageName"]), "Due") == ["PendingCloseDate", ""]
    assert with_column(path, "Due", values, ["PendingCloseDate"]).columns.mapping[-1].field is None


@pytest.mark.parametrize("values", [["2026-03-04 10:11:12"], ["soon"], [45000, 45001], ["1/2"], [None, None]])
@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_no_day_stops_nothing(tmp_path: Path, ending: str, values: list[object]) -> None:
    """A moment, a word, a number or nothing is no date of a record."""
    assert with_column(tmp_path / f"a.{ending}", "Due", values, ["StageName"]).columns.mapping[-1].field is None


@pytest.mark.parametrize("ending", FORMATS)
def test_values_beyond_the_first_rows_are_not_looked_at(tmp_path: Path, ending: str) -> None:
    """Reading a whole file to know what a column is would cost too much."""
    values = [*["nothing"] * 300, *days(28)]
    assert with_column(tmp_path / f"a.{ending}", "Due", values, ["StageName"]).columns.mapping[-1].field is None


@pytest.mark.parametrize(
    ("header", "field", "named"),
    [("St\u0430geName", "StageName", "character 3 is U+0430 (CYRILLIC SMALL LETTER A), not a"),
     ("\u0421ategoryName", "CategoryName", "character 1 is U+0421 (CYRILLIC CAPITAL LETTER ES), not C"),
     ("Stage N\u0430me*", "StageName", "U+0430"), ("\u0405alesRevenue", "SalesRevenue", "U+0405"),
     ("\u0410cctPotential", "AcctPotential", "U+0410"), ("PendingClo\u0455eDate", "PendingCloseDate", "U+0455"),
     ("\uff33\uff54\uff41\uff47\uff45\uff2e\uff41\uff4d\uff45", "StageName", "U+FF33"),
     ("Opp\u043ertunityID", "OpportunityID", "U+043E (CYRILLIC SMALL LETTER O), not o"),
     ("Deal St\u0430ge", "StageName", "than 'Stage': character 3 is U+0430 (CYRILLIC SMALL LETTER A), not a")],
)  # fmt: skip
@pytest.mark.parametrize("ending", FORMATS)
def test_letters_of_another_script_are_named(tmp_path: Path, ending: str, header: str, field: str, named: str) -> None:
    """A header that only looks like a field's name says with which characters it is written."""
    error = refusal(tmp_path / f"a.{ending}", header)
    assert offered(error, header) == [field, ""]
    assert named in error.message


def test_a_header_that_looks_like_a_field_with_a_column_is_not_proposed_as_the_other(tmp_path: Path) -> None:
    """Which of the two fields it looks like is seen by the case of its letters."""
    header = "Opp\u043ertunityId"
    error = refusal(tmp_path / "a.csv", header)
    assert "close to OpportunityId." in error.message
    assert "OpportunityId has the column A1 ('OpportunityId') already." in error.message
    assert offered(error, header) == [""]


def test_a_misspelt_header_beside_its_field_can_only_be_left_out(tmp_path: Path) -> None:
    """A line that would give a field two columns is not offered."""
    error = refusal(tmp_path / "a.csv", "StageNames", ["x"], ["StageName"])
    assert "StageName has the column C1 ('StageName') already." in error.message
    assert offered(error, "StageNames") == [""]


@pytest.mark.parametrize(
    "header", ["Owner name", "Account name", "Old stage", "Type (internal)", "Stage*", "Created date"]
)
@pytest.mark.parametrize("ending", FORMATS)
def test_a_word_shared_with_a_field_that_has_a_column_is_a_note(tmp_path: Path, ending: str, header: str) -> None:
    """What may be a slip but has no field left is told, and does not stop the run."""
    beside = [field.name for field in NEXUS.body_fields]
    table = with_column(tmp_path / f"a.{ending}", header, ["x"], beside)
    (note,) = table.notes
    assert note.startswith(f"'{header}' (J1) is not sent. It shares a word with ")
    assert with_column(tmp_path / f"a.{ending}", header, ["x"], beside, columns={header: None}).notes == ()


def test_a_constant_feeds_its_field(tmp_path: Path) -> None:
    """A field that is set for every row has no free place for a column."""
    table = with_column(tmp_path / "a.csv", "Deal stage", ["x"], ["OpportunityName"], constants={"StageName": "Won"})
    assert table.columns.mapping[-1].field is None


def test_a_header_that_speaks_of_two_fields_names_both(tmp_path: Path) -> None:
    """Which of them is meant is the person's to say."""
    error = refusal(tmp_path / "a.csv", "Stage and category")
    assert offered(error, "Stage and category") == ["CategoryName", "StageName", ""]


@given(st.text(max_size=30))
def test_any_header_is_a_field_or_not_sent_or_a_question(header: str) -> None:
    """No header breaks the matching; what is refused names the header's own cell."""
    row = HeaderRow(
        "a.csv", None, 1, 0, ("OpportunityId", "opportunityType", "StageName", header), 4, ([1, "Pre", "x"],)
    )
    try:
        mapped = len(fit_columns(row, NEXUS, {}, ()).mapping)
    except InputError as error:
        mapped = 4 if error.place.cell in {"A1", "B1", "C1", "D1"} else -1
    assert mapped == (4 if header.strip() else 3)


def test_what_is_no_part_of_a_name_is_taken_off() -> None:
    """Marks at the ends, brackets, currencies and a few words; never a part of the name itself."""
    headers = ("Total * (required)", "[x] Total", "optional total", "Total EUR", "required", "USD", "C++", "___", "")
    assert [undecorated(header) for header in headers] == [
        "Total", "Total", "total", "Total", "required", "USD", "C", "", "",
    ]  # fmt: skip
    names = ("Item No.", "itemNumber", "Item ID #", "No.", "#", "Item", "Item (no.)")
    assert [key_words(header) for header in names] == [
        *[("item", "id")] * 3, ("id",), ("id",), ("item",), ("item",),
    ]  # fmt: skip
    assert {stem(word) for word in ("Close", "closing", "closed", "CLOSES")} == {"clos"}
    assert (stem("Categories"), stem("name"), stem("names")) == ("category", "name", "name")


WORDS = st.sampled_from(["order", "price", "name", "id", "code", "date", "unit", "stock", "owner", "type", "net", "no"])
NAMES = st.lists(
    st.lists(WORDS, min_size=1, max_size=3, unique=True).flatmap(
        lambda found: st.sampled_from(
            ["".join(map(str.title, found)), found[0] + "".join(map(str.title, found[1:])), "_".join(found)]
        )
    ),
    min_size=1, max_size=8, unique=True,
)  # fmt: skip


@given(NAMES, st.data())
def test_the_headers_of_any_endpoint_lead_to_their_own_fields(names: list[str], data: st.DataObject) -> None:
    """A field's name is the field; in other writing it is that field or a question that names it."""
    described = endpoint((ITEM, *(replace(TEXT, name=name, wire_name=name) for name in names)))
    headers = ["itemId", *names]
    assert fitted(described, headers) == {name: at for at, name in enumerate(headers)}
    at = data.draw(st.integers(1, len(names)))
    name = headers[at]
    write_otherwise = data.draw(
        st.sampled_from(
            [str.upper, lambda text: spaced(text).replace(" ", "_"), spaced, lambda text: f"{text} *",
             lambda text: f"{text} (required)", lambda text: f"optional: {text}"]
        )
    )  # fmt: skip
    headers[at] = write_otherwise(name)
    if headers[at] in names:
        return
    found = fitted(described, headers)
    if isinstance(found, InputError):
        assert name in offered(found, headers[at])
    else:
        assert found[name] == at


def fitted(described: Endpoint, headers: list[str]) -> dict[str, int] | InputError:
    row = HeaderRow("a.csv", None, 1, 0, tuple(headers), len(headers))
    try:
        return dict(fit_columns(row, described, {}, ()).of_field)
    except InputError as error:
        return error


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("header", "values", "is_told"),
    [
        ("Amount", (12000, 800, 9500), True), ("Betrag", ("1,234", "9,500", "12,000"), True),
        ("Value", ("1200.50", "99.90", "310.00"), True), ("Worth", ("$5", "$7"), True), ("Year", (2024, 2025), False),
        ("FY", (2024, 2025), False), ("Probability", ("0.25", "33.5", "90"), False), ("Quantity", (1, 12, 250), False),
        ("Row", range(1, 400), False), ("Customer", (10045, 10046, 10071), False), ("Phone", (4930123, 49301), False),
        ("Account No.", (1000, 20000), False), ("Owner", ("Ada", "Bo"), False),
    ],
)  # fmt: skip
def test_amounts_that_are_not_sent_are_told_where_no_amount_is(
    tmp_path: Path, ending: str, header: str, values: Sequence[object], is_told: bool
) -> None:
    """A person who has a column of them means them to be sent; counters, years, shares and codes are no amounts."""
    table = with_column(tmp_path / f"a.{ending}", header, values, ["StageName"])
    note = f"'{header}' (D1) is not sent, although it holds numbers and no column is AcctPotential or SalesRevenue."
    assert table.columns.notes == ((note,) if is_told else ())
    assert with_column(tmp_path / f"b.{ending}", header, values, ["SalesRevenue"]).columns.notes == ()
    fixed = with_column(tmp_path / f"c.{ending}", header, values, ["StageName"], constants={"AcctPotential": "5"})
    assert fixed.columns.notes == ()
