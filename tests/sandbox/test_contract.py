"""sandbox/contract.py: the published contract, literally, and what a request must not be."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.contract import Invalid, read_change, read_id, read_query
from tests.sandbox.raw import get, put

if TYPE_CHECKING:
    from batch_updater.sandbox.server import Sandbox

PRE_VISIT_EXAMPLE = (
    '{ "OpportunityName": "Updated Product Launch", "CategoryName": "New Business", "StageName": "Qualified", '
    '"AcctPotential": 200000.00, "SalesRevenue": 100000.00, "PendingCloseDate": "2024-12-31" }'
)
POST_VISIT_EXAMPLE = '{ "StageName": "Closed Won", "SalesRevenue": 150000.00 }'
RECORD_FIELDS = [
    "Type", "ID", "VisitID", "CustomerID", "OpportunityName", "OpportunityID", "OpportunityCategoryID",
    "OpportunityStageID", "OpportunityCompetitorID", "AcctPotential", "SalesRevenue", "PendingCloseDate",
    "VisitCustomerOpportunityID", "FollowUpSentDate",
]  # fmt: skip


def test_the_documented_pre_visit_request_is_answered_with_the_documented_record(sandbox: Sandbox) -> None:
    """The published example is taken, and its answer has the published fields in their order."""
    reply = put(sandbox, "123?opportunityType=Pre", PRE_VISIT_EXAMPLE)
    record = reply.json()
    assert reply.status == 200
    assert list(record) == RECORD_FIELDS
    assert (record["Type"], record["ID"]) == ("Pre", 123)
    assert record["OpportunityName"] == "Updated Product Launch"
    assert (record["OpportunityCategoryID"], record["OpportunityStageID"]) == (1, 2)
    assert record["PendingCloseDate"] == "2024-12-31"
    assert b'"AcctPotential": 200000.00, "SalesRevenue": 100000.00' in reply.body


def test_the_documented_post_visit_request_changes_the_two_fields_alone(sandbox: Sandbox) -> None:
    """Fields that are not sent stay as they are, and the record of the other type does too."""
    before, other = get(sandbox, "456?opportunityType=Post").json()[0], get(sandbox, "456?opportunityType=Pre").body
    reply = put(sandbox, "456?opportunityType=Post&LanguageId=1", POST_VISIT_EXAMPLE)
    assert reply.status == 200
    assert reply.json() == {**before, "OpportunityStageID": 5, "SalesRevenue": 150000.00}
    assert get(sandbox, "456?opportunityType=Post").json() == [reply.json()]
    assert get(sandbox, "456?opportunityType=Pre").body == other


def test_an_unknown_category_is_answered_with_the_documented_body(sandbox: Sandbox) -> None:
    """400 has the published message and both lists of valid names."""
    reply = put(sandbox, "1?opportunityType=Pre", '{"CategoryName": "Invalid Category"}')
    body = reply.json()
    assert reply.status == 400
    assert list(body) == ["ValidationMessage", "AvailableCategories", "AvailableStages"]
    assert (
        body["ValidationMessage"] == "Category 'Invalid Category' not found. Please select from available categories."
    )
    assert body["AvailableCategories"][:2] == [
        {"CategoryID": 1, "CategoryName": "New Business"},
        {"CategoryID": 2, "CategoryName": "Existing Business"},
    ]
    assert body["AvailableStages"][:3] == [
        {"StageID": 1, "StageName": "Prospect"},
        {"StageID": 2, "StageName": "Qualified"},
        {"StageID": 3, "StageName": "Proposal"},
    ]


def test_names_depend_on_the_language(sandbox: Sandbox) -> None:
    """A name of one language is unknown in the other, and the lists are in the language that was asked for."""
    assert put(sandbox, "1?opportunityType=Pre&LanguageId=2", '{"StageName": "Angebot"}').json()[
        "OpportunityStageID"
    ] == 3  # fmt: skip
    refused = put(sandbox, "1?opportunityType=Pre&LanguageId=2", '{"StageName": "Proposal"}')
    assert refused.status == 400
    assert refused.json()["AvailableStages"][2]["StageName"] == "Angebot"


@pytest.mark.parametrize("given", ["2026-03-04", "03/04/2026"])
def test_the_documented_forms_of_a_date_are_taken(given: str) -> None:
    """yyyy-MM-dd and MM/dd/yyyy are the same day."""
    assert read_change(json.dumps({"PendingCloseDate": given}).encode()) == {"PendingCloseDate": date(2026, 3, 4)}


def test_a_date_with_the_day_first_is_taken_where_no_month_is_meant() -> None:
    """dd/MM/yyyy is the third documented form."""
    assert read_change(b'{"PendingCloseDate": "25/03/2026"}') == {"PendingCloseDate": date(2026, 3, 25)}


def test_decimals_keep_their_digits() -> None:
    """No amount passes through binary floating point."""
    change = read_change(b'{"AcctPotential": 0.10, "SalesRevenue": 12345678901234567890.123456789}')
    assert str(change["AcctPotential"]) == "0.10"
    assert change["SalesRevenue"] == Decimal("12345678901234567890.123456789")


def test_unknown_fields_are_ignored() -> None:
    """The contract does not say that they are refused."""
    assert read_change(b'{"Colour": "red", "StageName": "Proposal"}') == {"StageName": "Proposal"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"OpportunityName": "\xfc"}',
        b'{"OpportunityName": "\\ud800"}',
        b'{"OpportunityName": 5}',
        b'{"OpportunityID": 5}',
        b'{"StageName": true}',
        b'{"AcctPotential": "5"}',
        b'{"AcctPotential": true}',
        b'{"AcctPotential": NaN}',
        b'{"AcctPotential": Infinity}',
        b'{"AcctPotential": 1e99999999999999999999}',
        b'{"AcctPotential": ' + b"9" * 5000 + b"}",
        b'{"PendingCloseDate": 20260304}',
        b'{"PendingCloseDate": "2026-3-4"}',
        b'{"PendingCloseDate": "2026-02-30"}',
        b'{"PendingCloseDate": "2026-03-04T00:00:00"}',
        b'{"PendingCloseDate": ""}',
        b'{"StageName": "Proposal", "StageName": "Prospect"}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_a_body_that_is_not_as_described_is_refused(body: bytes) -> None:
    """A mistake of the client is shown, never repaired."""
    with pytest.raises(Invalid):
        read_change(body)


@pytest.mark.parametrize(
    "segment", ["0", "-1", "1.0", "abc", "%31%2F..", "1%20", "", "+1", "01", "\u0661", "99999999999"]
)
def test_what_is_no_whole_number_above_0_is_no_id(segment: str) -> None:
    """The route takes integers from 1 on."""
    with pytest.raises(Invalid):
        read_id(segment)


@pytest.mark.parametrize(
    "query",
    [
        "opportunityType=pre",
        "opportunityType=",
        "opportunityType=Pre&opportunityType=Pre",
        "opportunityType=Pre&LanguageId=one",
        "opportunityType=Pre&LanguageId=0",
        "opportunityType=Pre&LanguageId=1&LanguageId=2",
        "opportunityType=%FF",
    ],
)
def test_a_query_that_is_not_as_described_is_refused(query: str) -> None:
    """Types are spelt as documented, and nothing is given twice."""
    with pytest.raises(Invalid):
        read_query(query)


def test_the_language_has_its_documented_default() -> None:
    """Without LanguageId it is 1; other parameters are ignored."""
    read = read_query("opportunityType=Post&trace=1")
    assert (read.type, read.language) == ("Post", 1)


@pytest.mark.parametrize("query", ["", "?opportunityType=Both", "?opportunityType=Pre&LanguageId=9"])
def test_a_refused_parameter_teaches_no_names(sandbox: Sandbox, query: str) -> None:
    """The lists of an answer that is not about names are empty."""
    reply = put(sandbox, f"1{query}", POST_VISIT_EXAMPLE)
    assert reply.status == 400
    assert reply.json()["AvailableStages"] == []
    assert not sandbox.received[-1].applied
