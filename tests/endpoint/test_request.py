"""endpoint/request.py: what goes out on the wire, to the byte."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.request import RequestBuilder, path_segment
from batch_updater.records import Job, Value

ENDPOINT = load_endpoint("nexus-opportunity")
BUILDER = RequestBuilder(ENDPOINT)


def job(**values: Value) -> Job:
    return Job(2, "", {"OpportunityId": 123, "opportunityType": "Pre", **values})


def test_the_first_example_of_the_contract_is_built_to_the_byte() -> None:
    """Path, query and body are those of the contract's example, with the digits of the money."""
    request = BUILDER.build(
        job(
            OpportunityName="Updated Product Launch",
            CategoryName="New Business",
            StageName="Qualified",
            AcctPotential=Decimal("200000.00"),
            SalesRevenue=Decimal("100000.00"),
            PendingCloseDate=date(2024, 12, 31),
        )
    )
    assert (request.method, request.path, request.query) == ("PUT", "/api/v2/opportunities/123", "opportunityType=Pre")
    assert request.body == (
        b'{"OpportunityName": "Updated Product Launch", "CategoryName": "New Business", "StageName": "Qualified", '
        b'"AcctPotential": 200000.00, "SalesRevenue": 100000.00, "PendingCloseDate": "2024-12-31"}'
    )


def test_only_given_fields_are_sent_and_none_clears() -> None:
    """A field without a value is absent from the body; a cleared one is null."""
    request = BUILDER.build(job(LanguageId=1, StageName=None))
    assert request.query == "opportunityType=Pre&LanguageId=1"
    assert request.body == b'{"StageName": null}'


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_money_keeps_its_digits(amount: Decimal) -> None:
    """Whatever the number, the JSON number has its digits and no exponent."""
    body = BUILDER.build(job(SalesRevenue=amount)).body.decode()
    digits = body.removeprefix('{"SalesRevenue": ').removesuffix("}")
    assert digits == format(amount, "f")
    assert json.loads(body, parse_float=Decimal, parse_int=Decimal)["SalesRevenue"] == amount


def test_an_exponent_is_written_out() -> None:
    """1E+3 is 1000 on the wire: the value's digits, not its notation."""
    assert BUILDER.build(job(SalesRevenue=Decimal("1E+3"))).body == b'{"SalesRevenue": 1000}'


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_text_arrives_as_it_was(text: str) -> None:
    """Any text comes out of the JSON as it went in."""
    assert json.loads(BUILDER.build(job(OpportunityName=text)).body) == {"OpportunityName": text}


@given(st.text(min_size=1))
def test_a_segment_is_one_segment_or_refused(text: str) -> None:
    """No text can leave its path segment: it comes back whole from exactly there, or is refused."""
    try:
        written = path_segment(text)
    except ValueError:
        return
    url = URL(f"http://127.0.0.1/things/{written}/end", encoded=True)
    assert url.origin() == URL("http://127.0.0.1")
    parts = url.raw_path.split("/")
    assert (parts[1], len(parts), parts[3], unquote(parts[2])) == ("things", 4, "end", text)
    assert not url.raw_query_string
    assert not url.raw_fragment


@pytest.mark.parametrize("text", ["", ".", "..", "a\r\nb", "a\0b"])
def test_what_cannot_be_a_segment_is_refused(text: str) -> None:
    """Dot segments lead out even when they are encoded; control characters end a request line."""
    with pytest.raises(ValueError, match="path segment"):
        path_segment(text)


def test_years_before_1000_keep_four_digits() -> None:
    """A date is yyyy-MM-dd for every year."""
    assert b'"0987-01-02"' in BUILDER.build(job(PendingCloseDate=date(987, 1, 2))).body
