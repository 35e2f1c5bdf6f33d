"""sender/reasons.py: the reason of a refusal is told, wherever it is in the answer."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.records import Job
from batch_updater.sender.advice import advice_on
from batch_updater.sender.answer import Answer, read_answer
from batch_updater.sender.bodies import read_body
from batch_updater.sender.classify import Meaning, classify_read
from batch_updater.sender.outcomes import AttemptResult, OutcomeWriter, RowSoFar
from batch_updater.sender.reasons import Reason, read_error
from batch_updater.text.redaction import Redaction
from tests.endpoint.test_bodies import endpoint
from tests.endpoint.test_named_fields import FIELDS, VALUES
from tests.sender.driver import ENDPOINT, job
from tests.test_any_answer import JSON

KEYS = ("ValidationMessage", "Message", "message")
CLOSED = "is closed"
SOAP_11 = (
    b'<s:Envelope xmlns:s="e"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring xml:lang="en">Not saved'
    b'</faultstring><detail><F xmlns="x"><Field>StageName</Field><Reason>is closed</Reason></F></detail></s:Fault>'
    b"</s:Body></s:Envelope>"
)
SOAP_12 = (
    b'<e:Envelope xmlns:e="e"><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text>Not saved'
    b"</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
)
PAGE = (
    b"<html><head><title>Error 400</title><style>x{}</style></head><body><h1>Error 400</h1><script>x</script>"
    b"<p>Stage &amp; type</p></body></html>"
)


def told(answer: object) -> str:
    return read_error(read_body(json.dumps(answer).encode(), "application/json"), KEYS).text


def told_by_nexus(answer: object) -> str:
    return answered(400, json.dumps(answer).encode()).explanation.text


def answered(status: int, body: bytes, content_type: str = "", *, complete: bool = True) -> Answer:
    return read_answer(status, body, content_type, ENDPOINT, complete=complete)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param({"ValidationMessage": "No.", "AvailableStages": [{"StageName": "P"}]}, "No.", id="Nexus"),
        pytest.param(
            {"type": "x", "title": "One or more validation errors occurred.", "status": 400,
             "errors": {"$.AcctPotential": ["The value could not be converted."], "StageName": ["a", "b"]}},
            "One or more validation errors occurred. AcctPotential: The value could not be converted. StageName: a; b",
            id="ASP.NET",
        ),
        pytest.param(
            {"Message": "The request is invalid.", "ModelState": {"o.StageName": [CLOSED], "": ["All of it."]}},
            "The request is invalid. StageName: is closed; All of it.", id="ASP.NET before Core",
        ),
        pytest.param(
            [{"errorCode": "CUSTOM_VALIDATION", "message": "May not lie in the past", "fields": ["PendingCloseDate"]}],
            "PendingCloseDate: May not lie in the past", id="Salesforce",
        ),
        pytest.param(
            {"errors": [{"field": "AcctPotential", "message": "must be greater than 0"},
                        {"field": "StageName", "message": CLOSED}]},
            "AcctPotential: must be greater than 0; StageName: is closed", id="list of errors",
        ),
        pytest.param(
            {"type": "https://example.net/e", "title": "Not valid.", "detail": "See below.", "status": 422,
             "errors": [{"detail": CLOSED, "pointer": "#/StageName"}]},
            "Not valid. See below. StageName: is closed", id="RFC 9457",
        ),
        pytest.param(
            {"title": "Not valid.", "invalid-params": [{"name": "age", "reason": "must be positive"}]},
            "Not valid. age: must be positive", id="RFC 7807",
        ),
        pytest.param(
            {"error": {"code": "Bad", "message": "Failed", "details": [{"target": "StageName", "message": CLOSED}],
                       "innererror": {"code": "x", "stacktrace": "at line 5"}}},
            "Failed; StageName: is closed", id="OData 4",
        ),
        pytest.param({"odata.error": {"message": {"lang": "en-US", "value": "Closed."}}}, "Closed.", id="OData 3"),
        pytest.param(
            {"errors": [{"status": "422", "source": {"pointer": "/data/attributes/StageName"}, "detail": CLOSED}]},
            "StageName: is closed", id="JSON:API",
        ),
        pytest.param(
            {"data": None, "errors": [{"message": "Failed", "extensions": {"validation": {"in.StageName": [CLOSED]}}}]},
            "Failed; StageName: is closed", id="GraphQL",
        ),
        pytest.param(
            {"detail": [{"loc": ["body", "StageName"], "msg": "field required", "input": {"message": "echo"}}]},
            "StageName: field required", id="FastAPI",
        ),
        pytest.param({"StageName": [CLOSED], "non_field_errors": ["Both."]}, "Both. StageName: is closed", id="Django"),
        pytest.param({"errors": {"name": ["can't be blank"]}}, "name: can't be blank", id="Rails"),
        pytest.param(
            {"timestamp": "2026", "status": 400, "error": "Bad Request", "path": "/api/v2/opportunities/1",
             "errors": [{"codes": ["NotNull.stageName"], "arguments": [{"defaultMessage": "stageName"}],
                         "defaultMessage": "must not be null", "field": "stageName", "rejectedValue": None}]},
            "stageName: must not be null", id="Spring",
        ),
        pytest.param(
            {"error": {"code": 400, "message": "Invalid", "status": "INVALID_ARGUMENT", "details": [
                {"@type": "BadRequest", "fieldViolations": [{"field": "stage_name", "description": CLOSED}]}]}},
            "Invalid; stage_name: is closed", id="Google",
        ),
        pytest.param(
            {"message": "Validation Failed", "errors": [{"field": "title", "code": "missing_field"}]},
            "Validation Failed; title: missing_field", id="GitHub",
        ),
        pytest.param(
            {"statusCode": 400, "message": ["StageName must be a string"], "error": "Bad Request"},
            "StageName must be a string", id="NestJS",
        ),
        pytest.param(
            {"message": "v failed: StageName: Path is required.", "errors": {"StageName": {
                "message": "Path is required.", "name": "ValidatorError", "kind": "required"}}},
            "v failed: StageName: Path is required.", id="told by another one",
        ),
        pytest.param(
            {"violations": [{"propertyPath": "a.StageName", "message": CLOSED}]}, "StageName: is closed", id="Bean"
        ),
        pytest.param({"result": {"data": {"errorMessage": "Closed"}}}, "Closed", id="envelope"),
        pytest.param({"error": "invalid_request", "error_description": "Closed"}, "Closed", id="OAuth"),
        pytest.param({"Message": '{"errors": [{"field": "A", "message": "deep"}]}'}, "A: deep", id="JSON in a text"),
        pytest.param("No.", "No.", id="a text"),
        pytest.param({"message": "Conflict", "current": {"Title": "echo"}},
                     '{"message": "Conflict", "current": {"Title": "echo"}}', id="an echo is no reason"),
        pytest.param({"code": "CLOSED"}, '{"code": "CLOSED"}', id="a code alone is quoted"),
        pytest.param({"x": {"y": [CLOSED, 5]}}, '{"x": {"y": ["is closed", 5]}}', id="an unknown form is quoted"),
        pytest.param({"status": 400, "error": "Bad Request"}, "", id="no more than the status"),
        pytest.param(None, "", id="null"),
        pytest.param([], "", id="an empty list"),
    ],
)  # fmt: skip
def test_the_texts_of_any_form_of_json_are_collected(answer: object, text: str) -> None:
    """Texts for people are told once, with the last name of the field; without any, the answer is quoted."""
    assert told(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"Message": "An error has occurred", "InnerException": {"ExceptionMessage": "Foreign key missing"}},
         "An error has occurred; Foreign key missing"),
        ({"Message": "An error has occurred.", "ExceptionType": "System.X", "StackTrace": "   at Foo.Bar()",
          "InnerException": {"Message": "See inside", "InnerException": {"Message": "Foreign key missing"}}},
         "An error has occurred. See inside; Foreign key missing"),
        ({"message": "Failed", "data": {"fields": [{"name": "SalesRevenue", "problem": "cap"}]}},
         "Failed; SalesRevenue: cap"),
        ({"message": "Failed", "fields": {"SalesRevenue": "too low"}}, "Failed; SalesRevenue: too low"),
        ({"message": "Failed", "SalesRevenue": ["too low"]}, "Failed; SalesRevenue: too low"),
        ({"message": "Failed", "data": {"SalesRevenue": ["too low"]}}, "Failed; SalesRevenue: too low"),
        ({"message": "Failed", "data": {"SalesRevenue": {"message": "too low"}}}, "Failed; SalesRevenue: too low"),
        ({"message": "Failed", "extra": {"hint": "use EUR"}}, "Failed; use EUR"),
        ({"message": "Failed", "extra": {"hints": ["use EUR"], "reasonText": "cap"}}, "Failed; cap; use EUR"),
        ({"message": "Failed", "meta": {"reason": "over the cap", "requestId": "r-1"}}, "Failed; over the cap"),
        ({"message": "Failed", "cause": {"message": "db", "cause": {"message": "no key"}}}, "Failed; db; no key"),
        ({"errors": [{"detail": "deep"}], "title": "Not valid."}, "Not valid. deep"),
        ({"message": "Failed", "request": {"message": "echo"}, "traceId": "abc", "type": "https://e.net/x",
          "detail": "https://e.net/help", "info": "2026-01-01T00:00:00Z", "reason": "0b6f3a52-9c1b-4b0e-8a8e-0c1a2b3c"},
         "Failed"),
        ({"message": "Failed", "data": {"OpportunityName": "x", "StageName": "Won", "lossReason": "price"}}, "Failed"),
        ({"message": "Failed", "submittedData": {"lossReason": "price"}}, "Failed"),
        ({"detail": "System.X: Not found\r\n   at A.B(C) in x.cs:line 5\r\n   at D.E()"}, "System.X: Not found"),
        ({"error": 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\nValueError: too low'},
         "ValueError: too low"),
        ({"error": "java.lang.X: too low\n\tat com.a.B.c(B.java:5)\n\t... 3 more"}, "java.lang.X: too low"),
    ],
)  # fmt: skip
def test_texts_inside_an_answer_follow_its_outermost_one(answer: object, text: str) -> None:
    """They are the reason itself; ids, addresses, times, stack traces and the request repeated are none."""
    assert told_by_nexus(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"errors": {"SalesRevenue": [{"code": "gt", "message": {"en": "Too much"}}]}}, "SalesRevenue: Too much"),
        ({"errors": {"price": [{"message": {"de-DE": "Zu viel", "en-US": "Too much"}}]}}, "price: Too much"),
        ({"errors": {"price": {"fr": "Trop", "de": "Zu viel"}}}, "price: Trop"),
        ({"errors": [{"field": "price", "message": {"zh-Hans": "Too much"}}]}, "price: Too much"),
        ({"message": {"en": "Too much"}}, "Too much"),
        ({"errors": {"SalesRevenue": {"gt": "Too much"}}}, "SalesRevenue: Too much"),
        ({"errors": {"id": ["bad"], "to": ["bad"]}}, "id: bad; to: bad"),
        ({"errors": {"price": [{"message": {"english": "Too much"}}]}}, "price: Too much"),
        ({"errors": {"address": {"zip": ["bad"]}}}, "zip: bad"),
        ({"errors": {"items": [{"price": ["bad"]}]}}, "price: bad"),
    ],
)
def test_a_language_or_rule_is_no_name_of_a_field(answer: object, text: str) -> None:
    """The nearest name that is one stays, and a text in several languages is told once, in English if it is there."""
    assert told_by_nexus(answer) == text


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 1234, "ok": false}', b'{"code": "E-1234"}', b'{"traceId": "abc", "ok": false}', b"17", b"{}", b"",
        b'{"type": "about:blank", "status": 400}', b'{"type": "https://e.net/x", "ok": false}', b'["5"]', b"\x01A\x02",
        b"\x00\x01\x02\xff\xfe", b"\x00\x01\x02\xff", b"\x89PNG\r\n\x1a\n\x00\x00", b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain; charset=iso-8859-1"])
def test_an_answer_without_words_is_not_said_to_name_anything(body: bytes, content_type: str) -> None:
    """There is no message to correct anything by; the advice says what to do without one."""
    message, advice = outcome_of(answered(400, body, content_type))
    assert "the message names" not in advice
    assert "ÿ" not in message
    assert "PNG" not in message


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"<Error><Message>Invalid.</Message><ModelState><o.StageName>is closed</o.StageName></ModelState></Error>",
         "application/xml", "Invalid. StageName: is closed"),
        (SOAP_11, "text/xml", "Not saved; StageName: is closed"),
        (SOAP_12, "", "Not saved"),
        (b'<problem xmlns="urn:ietf:rfc:7807"><type>t</type><title>Not valid.</title><detail>Old.</detail></problem>',
         "application/problem+xml", "Not valid. Old."),
        (b'<errors><error field="StageName">is closed</error></errors>', "text/html", "StageName: is closed"),
        (b'<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/">Closed</string>', "", "Closed"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>Closed</x>', "", "]> Closed"),
        (b"<a>" * 5_000, "", ("<a>" * 100) + " ..."),
        (PAGE, "text/html", "a web page: Error 400 Stage & type"),
        (b"<!DOCTYPE html><title>Sorry</title><body>", "", "a web page: Sorry"),
        ("Größe".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Größe"),
        ("Größe".encode("cp1252"), "text/plain", "Größe"),
        ("Größe".encode("utf-16"), "text/plain", "Größe"),
        ('{"message": "Größe"}'.encode("utf-16-le"), "application/json", "Größe"),
        ('{"message": "Größe"}'.encode("latin-1"), "application/json; charset=latin1", "Größe"),
        ("\ufeffGröße".encode(), "text/plain; charset=nonsense", "Größe"),
        (b'{"message": "Closed"}', "text/html", "Closed"),
        (b"{'message': 1}", "application/json", "{'message': 1}"),
        (b"a < b", "", "a < b"),
        (b"17", "", "17"),
        (b" \n ", "", ""),
        (b"", "", ""),
    ],
)  # fmt: skip
def test_texts_pages_and_xml_are_read_by_how_they_look(body: bytes, content_type: str, text: str) -> None:
    """The header names the charset at most; an entity is never unfolded, and what cannot be read is quoted."""
    assert read_error(read_body(body, content_type), KEYS).text == text


def test_a_long_answer_is_bounded_and_says_the_best_first() -> None:
    """Twenty reasons at most, each bounded, those under the description's own keys before all others."""
    answer = {"errors": [{"field": f"f{at}", "message": "x" * 10_000} for at in range(500)], "Message": "First."}
    said = read_error(read_body(json.dumps(answer).encode(), ""), KEYS)
    assert said.reasons[0] == Reason("", "First.")
    assert len(said.reasons) == 20
    assert all(len(reason.text) < 600 for reason in said.reasons)


def outcome_of(answer: Answer) -> tuple[str, str]:
    """Return message and advice of a row that is answered so."""
    last = AttemptResult(answer, classify_read(answer, ENDPOINT, job(1, StageName="Won")))
    row = RowSoFar(job(1, StageName="Won"), maybe_applied=False, last=last, attempts=1, status=answer.status)
    writer = OutcomeWriter(ENDPOINT, Redaction())
    is_refused = last.classification.meaning is Meaning.REFUSED
    outcome = writer.refused(row, answer, AllowedValues(ENDPOINT)) if is_refused else writer.unsettled(row)
    return outcome.message, outcome.advice


@given(
    JSON.map(str.encode) | st.binary(max_size=200) | st.text("<>/&;abXML! =\"'{}[]:,\n", max_size=80).map(str.encode),
    st.integers(300, 599),
    st.sampled_from(["", "application/json", "text/html; charset=utf-16", "text/plain; charset=hex", "a;charset=idna"]),
    st.booleans(),
)
def test_whatever_is_answered_there_is_a_bounded_message_and_an_advice(
    body: bytes, status: int, content_type: str, complete: bool
) -> None:
    """No body raises an exception; nothing is advised to correct what a message names that names nothing."""
    message, advice = outcome_of(answered(status, body, content_type, complete=complete))
    assert 0 < len(message) < 1_200
    assert message.isprintable()
    assert advice
    if advice.startswith("Correct what the message names"):
        assert re.search(r"\): .*[^\W\d_]{2}", message)


@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_has_an_advice_without_a_reason(status: int) -> None:
    """An empty body leaves a person with something to do, and never with a message that is not there."""
    advice = advice_on(status, ENDPOINT)
    assert advice
    assert "{" not in advice
    assert "the message names" not in advice


@pytest.mark.parametrize(
    ("answer", "cells"),
    [
        pytest.param(
            {"detail": [{"loc": ["body", "ticket", "custom_fields", 0, "value"], "msg": "not a number"}]},
            {"custom[360001]": "value: not a number"}, id="FastAPI",
        ),
        pytest.param(
            {"errors": [{"source": {"pointer": "/data/attributes/first~0name"}, "detail": "is too long"}]},
            {"first": "first~0name: is too long"}, id="JSON:API",
        ),
        pytest.param(
            {"message": "Invalid.", "errors": {"ticket.custom_fields.1.value": ["is odd"], "lines.1.amount": ["is 0"]}},
            {"custom[5]": "value: is odd", "lines[2].amount": "amount: is 0"}, id="Laravel",
        ),
        pytest.param(
            {"lines": [{}, {"amount": ["is 0"]}], "owner": {"name": ["is odd"]}, "name": ["is empty"]},
            {"lines[2].amount": "amount: is 0", "name": "name: is empty"}, id="Django",
        ),
        pytest.param(
            {"title": "Bad.", "errors": {"$.lines[0].amount": ["is 0"], "Lines[1].Amount": ["is 0"]}},
            {"lines[0].amount": "amount: is 0", "lines[2].amount": "Amount: is 0"}, id="ASP.NET",
        ),
        pytest.param(
            {"errors": {"fields": {"summary": "is missing"}}}, {"fields.summary": "summary: is missing"}, id="nested",
        ),
        pytest.param(
            {"details": {"status": [{"description": "Status: is closed"}]}},
            {"ticket.status": "status: Status: is closed"}, id="details by field",
        ),
    ],
)  # fmt: skip
def test_a_reason_about_a_nested_value_names_its_cell(answer: dict[str, object], cells: dict[str, str]) -> None:
    """Positions are those in the body that was sent; what fits no cell of the row names none."""
    nested = endpoint(*FIELDS)
    one = Job(2, "", VALUES)
    refused = read_answer(422, json.dumps(answer).encode(), "application/json", nested)
    row = RowSoFar(one, maybe_applied=False, last=AttemptResult(refused, classify_read(refused, nested, one)))
    outcome = OutcomeWriter(nested, Redaction()).refused(row, refused, AllowedValues(nested))
    assert {problem.field: problem.reason for problem in outcome.problems} == cells
