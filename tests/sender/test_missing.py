"""sender/classify.py: which 404 is about the record, and which about the address."""

from __future__ import annotations

import pytest

from batch_updater.sender.answer import read_answer
from batch_updater.sender.classify import says_record_missing
from tests.sender.driver import ENDPOINT, job

OF_RECORD = [
    b'{"Message": "Opportunity 4711 was not found."}',
    b'{"message": "There is no such opportunity."}',
    b'{"errors": [{"code": "ENTITY_NOT_FOUND"}]}',
    b'{"error": "ObjectNotFound", "path": "/api/v2/opportunities/4711"}',
    b'{"detail": "4711 does not exist"}',
    b'{"message": "Record not found"}',
    b"<Error><Message>No object with that id</Message></Error>",
]
OF_ADDRESS = [
    b"",
    b"Not Found",
    b"<html><title>404</title><body>Opportunity 4711: not found</body></html>",
    b'{"detail": "Not Found"}',
    b'{"message": "no Route matched with those values"}',
    b'{"message": "Cannot PUT /api/v2/opportunities/4711"}',
    b'{"status": 404, "error": "Not Found", "path": "/api/v2/opportunities/4711"}',
    b'{"message": "The requested resource was not found"}',
    b'{"Message": "No HTTP resource was found that matches the request URI \'http://x/opportunities/4711\'."}',
    b'{"message": "No endpoint for opportunity 4711"}',
    b'{"message": "No static resource api/v2/opportunities/4711."}',
]


@pytest.mark.parametrize(("body", "expected"), [(body, True) for body in OF_RECORD] + [(b, False) for b in OF_ADDRESS])
def test_a_404_is_about_the_record_if_its_reason_names_it(body: bytes, expected: bool) -> None:
    """A page, an empty body, a missing route and a bare `Not Found` may come from any server."""
    assert says_record_missing(read_answer(404, body, "", ENDPOINT), ENDPOINT, job(4711)) is expected
    assert not says_record_missing(read_answer(403, body, "", ENDPOINT), ENDPOINT, job(4711))
