from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import ExitCode, InputError
from batch_updater.loader.columns import HeaderRow, fit_columns
from batch_updater.loader.header_words import plain, spaced
from tests.loader.described import FIELDS, endpoint
from tests.loader.header_files import offered

if TYPE_CHECKING:
    from batch_updater.records import Columns

NEXUS = load_endpoint("nexus-opportunity")


def fit(*texts: str, mapping: dict[str, str | None] | None = None, constants: tuple[str, ...] = ()) -> Columns:
    row = HeaderRow("items.csv", None, 1, 0, texts, len(texts))
    return fit_columns(row, endpoint(), mapping or {}, constants)


def fault(*texts: str, mapping: dict[str, str | None] | None = None, constants: tuple[str, ...] = ()) -> InputError:
    with pytest.raises(InputError) as raised:
        fit(*texts, mapping=mapping, constants=constants)
    assert raised.value.exit_code is ExitCode.NOTHING_SENT
    return raised.value


@pytest.mark.parametrize(
    "header",
    ["itemId", "ITEMID", " itemid ", "Item Id", "item\u00a0id", "item\nid", "\ufeffitemId", "item\u200bId",
     "number of ITEM", "Number  of item"],
)  # fmt: skip
def test_a_header_matches_by_name_alias_or_without_case(header: str) -> None:
    """A field's name, its aliases and its name in words are found whatever their case, blanks and invisible marks."""
    assert fit(header, "label").of_field == {"itemId": 0, "label": 1}


def test_what_a_file_has_besides_is_carried_and_named() -> None:
    """Unknown columns and blank headers are no faults; the unknown ones are reported as not sent."""
    columns = fit("Owner", "itemId", "", "label", "Region")
    assert columns.of_field == {"itemId": 1, "label": 3}
    assert columns.not_sent == ("Owner", "Region")
    assert columns.headers == ("Owner", "itemId", "", "label", "Region")


@pytest.mark.parametrize(
    "header", ["opportunityid", "OPPORTUNITYID", "OpportunityiD", "Opportunity ID", " opportunityId"]
)
def test_a_header_that_fits_two_fields_is_a_fault(header: str) -> None:
    """Two fields of Nexus differ in the case of one letter: only the two exact spellings are taken."""
    row = HeaderRow("a.csv", None, 1, 0, ("Id", "Type", header), 3)
    with pytest.raises(InputError) as raised:
        fit_columns(row, NEXUS, {}, ())
    assert "OpportunityId or OpportunityID" in raised.value.message
    assert raised.value.place.cell == "C1"
    assert offered(raised.value, header) == ["OpportunityID", ""]


def test_the_two_exact_spellings_are_told_apart() -> None:
    """Each of the two names that differ in one letter's case is its own field."""
    row = HeaderRow("a.csv", None, 1, 0, ("OpportunityID", "OpportunityId", "Type"), 3)
    assert fit_columns(row, NEXUS, {}, ()).of_field == {"OpportunityID": 0, "OpportunityId": 1, "opportunityType": 2}


@pytest.mark.parametrize(("header", "name"), [("CRM Opportunity ID", "OpportunityID"), ("nexus id", "OpportunityId"),
                                              ("Acct Potential", "AcctPotential")])  # fmt: skip
def test_the_described_aliases_are_known(header: str, name: str) -> None:
    """The headers that the description of Nexus lists, and names in words, find their field."""
    others = [other for other in ("OpportunityId", "opportunityType", "StageName") if other != name]
    row = HeaderRow("a.csv", None, 1, 0, (header, *others), 4)
    assert fit_columns(row, NEXUS, {}, ()).of_field[name] == 0


def test_two_columns_for_one_field_are_a_fault_that_names_both() -> None:
    """Which of two columns holds the field is never guessed."""
    error = fault("itemId", "label", "Label")
    assert "B1 ('label') and C1 ('Label')" in error.message


def test_a_header_close_to_a_field_stops_until_it_is_mapped_or_ignored() -> None:
    """A mistyped header is not silently left out; the message has the options that settle it."""
    error = fault("itemId", "amuontDue")
    assert error.place.cell == "B1"
    assert error.remedy_lines[1:3] == (
        "    --map amuontDue=amountDue   amountDue (amount)",
        "    --map amuontDue=   not sent",
    )
    assert fit("itemId", "amuontDue", mapping={"amuontDue": "amountDue"}).of_field["amountDue"] == 1
    assert fit("itemId", "label", "amuontDue", mapping={"amuontDue": None}).not_sent == ("amuontDue",)


def test_what_a_person_calls_a_field_is_close_to_it() -> None:
    """A header that is the field's title, such as `amount`, is probably meant for it."""
    assert "close to amountDue" in fault("itemId", "Amount").message
    assert fit("itemId", "amountDue", "Day", mapping={"Day": None}).not_sent == ("Day",)


def test_all_faults_are_reported_together() -> None:
    """Everything that is wrong with a header row is told at once."""
    message = fault("Owner", "Itmkind", mapping={"Nobody": None, "Owner": "Labl"}).message
    for part in ("'Labl', which is no field. Did you mean 'label'?", "close to itemKind", "no column itemId"):
        assert part in message


def test_a_file_without_anything_to_update_is_a_fault() -> None:
    """A header row with no field of the body cannot update anything, a constant for one can."""
    assert "no column to update from" in fault("itemId").message
    assert fit("itemId", constants=("label",)).of_field == {"itemId": 0}


def test_a_constant_and_a_column_for_one_field_are_a_fault() -> None:
    """Which of the two is meant is never guessed."""
    assert "set for every row" in fault("itemId", "label", constants=("label",)).message
    assert fit("itemId", "label", "count", mapping={"label": None}, constants=("label",)).of_field["count"] == 2


def test_a_constant_stands_in_for_a_required_column() -> None:
    """A required field may come from the configuration."""
    assert fit("label", constants=("itemId",)).of_field == {"label": 0}


def test_names_in_words() -> None:
    """Words are found in every usual way of writing names."""
    assert [spaced(name) for name in ("PendingCloseDate", "OpportunityID", "item_kind", "HTTPCode2")] == [
        "Pending Close Date", "Opportunity ID", "item kind", "HTTP Code 2",
    ]  # fmt: skip
    assert plain(" a\u00a0\n b\u200b ") == "a b"


def test_every_field_of_every_endpoint_is_found_under_its_own_name() -> None:
    """Exact names never collide."""
    names = tuple(field.name for field in FIELDS)
    assert list(fit(*names).of_field) == list(names)
    shuffled = endpoint(tuple(replace(field, aliases=("same",)) for field in FIELDS))
    row = HeaderRow("a.csv", None, 1, 0, (*names, "Same"), 8)
    with pytest.raises(InputError, match="could be"):
        fit_columns(row, shuffled, {}, ())
