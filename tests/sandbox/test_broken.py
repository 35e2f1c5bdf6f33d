"""sandbox/connection_faults.py: every fault of the connection does what its name says."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.faults import find_fault
from tests.sandbox.raw import put, put_on_socket

if TYPE_CHECKING:
    import socket

    from batch_updater.sandbox.server import Sandbox

TARGET = "7?opportunityType=Pre"
DROPPED = ["drop-before", "drop-after"]
RESET = ["reset-before", "reset-after"]
CUT_OFF = ["cut-off", "cut-off-chunked"]
WITHOUT_END = ["endless", "drip"]
SILENT = ["hang", "hang-after"]
TWICE = ["second-answer-0", "second-answer-20", "second-record-0", "second-record-20"]
FAULTS_TESTED = [*DROPPED, *RESET, *CUT_OFF, *WITHOUT_END, *SILENT, *TWICE, "interim-103", "not-http"]


def update_with(fault: str) -> str:
    return json.dumps({"OpportunityName": f"fault:{fault}"})


def sent(sandbox: Sandbox, fault: str) -> socket.socket:
    return put_on_socket(sandbox, TARGET, update_with(fault))


def assert_applied_as_documented(sandbox: Sandbox, fault: str) -> None:
    """Check that the update was carried out if and only if the fault says so."""
    received, record = sandbox.received[-1], sandbox.record("Pre", 7)
    assert record
    assert received.fault == fault
    assert received.applied is find_fault(fault).kind.applied
    assert (record.name == f"fault:{fault}") is received.applied


@pytest.mark.parametrize("fault", DROPPED)
def test_a_dropped_connection_ends_without_an_answer(sandbox: Sandbox, fault: str) -> None:
    """Not a byte arrives, and the log knows of no status."""
    with sent(sandbox, fault) as connection:
        assert connection.recv(100) == b""
    assert_applied_as_documented(sandbox, fault)
    assert sandbox.received[-1].status is None


@pytest.mark.parametrize("fault", RESET)
def test_a_reset_connection_is_an_error_of_the_socket(sandbox: Sandbox, fault: str) -> None:
    """The client's operating system reports a reset."""
    with sent(sandbox, fault) as connection, pytest.raises(ConnectionResetError):
        connection.recv(100)
    assert_applied_as_documented(sandbox, fault)
    assert sandbox.received[-1].status is None


@pytest.mark.parametrize("fault", CUT_OFF)
def test_a_cut_off_answer_begins_well_and_breaks_off(sandbox: Sandbox, fault: str) -> None:
    """The head says 200, and fewer bytes come than it promises."""
    with pytest.raises(http.client.IncompleteRead) as cut:
        put(sandbox, TARGET, update_with(fault))
    assert cut.value.partial.startswith(b'{"Type": "Pre", "ID": 7,')
    assert_applied_as_documented(sandbox, fault)
    assert sandbox.received[-1].status == 200


@pytest.mark.parametrize("fault", WITHOUT_END)
def test_an_answer_without_an_end_goes_on_until_the_client_leaves(sandbox: Sandbox, fault: str) -> None:
    """More keeps coming; once the client has left, the sandbox serves others as before."""
    with sent(sandbox, fault) as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        for _ in range(4):
            assert connection.recv(500_000)
    assert_applied_as_documented(sandbox, fault)
    assert put(sandbox, "8?opportunityType=Pre", "{}").status == 200


@pytest.mark.parametrize("fault", SILENT)
def test_a_hanging_request_is_never_answered(sandbox: Sandbox, fault: str) -> None:
    """Nothing comes however long one waits, and others are served meanwhile."""
    with sent(sandbox, fault) as connection:
        assert put(sandbox, "8?opportunityType=Pre", "{}").status == 200
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        hanging = sandbox.received[0]
        assert (hanging.fault, hanging.status) == (fault, None)
        assert hanging.applied is find_fault(fault).kind.applied


def test_not_http_is_no_answer_that_a_client_can_read(sandbox: Sandbox) -> None:
    """The standard library's client finds no status line."""
    with pytest.raises(http.client.BadStatusLine):
        put(sandbox, TARGET, update_with("not-http"))
    assert_applied_as_documented(sandbox, "not-http")


@pytest.mark.parametrize("fault", TWICE)
def test_a_second_answer_follows_the_right_one(sandbox: Sandbox, fault: str) -> None:
    """The record comes first, then on the same connection a refusal or the next record."""
    with sent(sandbox, fault) as connection, connection.makefile("rb") as stream:
        answers = []
        for _ in range(2):
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            answers.append((status, json.loads(stream.read(length))))
    (right, record), (second, other) = answers
    assert (right, record["ID"], record["OpportunityName"]) == (200, 7, f"fault:{fault}")
    assert (second, other.get("ID")) == ((200, 8) if "record" in fault else (400, None))
    assert_applied_as_documented(sandbox, fault)


def test_an_interim_answer_comes_first(sandbox: Sandbox) -> None:
    """A status of the 1xx family goes before the record."""
    with sent(sandbox, "interim-103") as connection, connection.makefile("rb") as stream:
        lines = [stream.readline() for _ in range(3)]
    assert lines == [b"HTTP/1.1 103 Wait\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\n"]
    assert_applied_as_documented(sandbox, "interim-103")
