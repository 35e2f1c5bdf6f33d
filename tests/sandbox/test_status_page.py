"""sandbox/app.py: what people see of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox.raw import put, send

if TYPE_CHECKING:
    from batch_updater.sandbox.server import Sandbox


def test_an_empty_sandbox_says_so(sandbox: Sandbox) -> None:
    """There is a page before there is anything to show."""
    reply = send(sandbox, "GET", "/")
    assert reply.status == 200
    assert b"Requests by status: none yet" in reply.body


def test_requests_and_records_are_shown(sandbox: Sandbox) -> None:
    """The page has what arrived, how it was answered, and the record as it now stands."""
    put(sandbox, "7?opportunityType=Pre", '{"StageName": "Closed Won", "SalesRevenue": 123.40}')
    put(sandbox, "100001?opportunityType=Post", "{}")
    page = send(sandbox, "GET", "/").body.decode()
    assert "Requests by status: 200: 1, 404: 1" in page
    assert "PUT /api/v2/opportunities/7?opportunityType=Pre" in page
    assert "<td>Pre 7</td>" in page
    assert page.count("123.40") == 2


def test_nothing_of_a_request_becomes_markup(sandbox: Sandbox) -> None:
    """Path, query, body and fields are escaped, and the page may neither run nor load anything."""
    hostile = "<script>alert('x')</script>{{ 7*7 }}\\\"&"
    put(sandbox, f"7?opportunityType=Pre&{'<img/src=x>'}", f'{{"OpportunityName": "{hostile}"}}')
    reply = send(sandbox, "GET", "/")
    page = reply.body.decode()
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "<script" not in page
    assert "<img" not in page
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_long_log_is_cut(sandbox: Sandbox) -> None:
    """The page stays readable: the latest requests and the beginning of long bodies."""
    for number in range(1, 121):
        put(sandbox, f"{number}?opportunityType=Pre", f'{{"OpportunityName": "{"long " * 200}"}}')
    page = send(sandbox, "GET", "/").body.decode()
    assert "The latest 100 of 120" in page
    assert "/opportunities/120?" in page
    assert "/opportunities/20?" not in page
